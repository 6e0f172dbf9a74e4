/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a record of the audit log. Oracle: what is refused leaves the result and the chain
 * alone and says why; what is accepted is the same when it is written again, and follows exactly
 * the place in the chain that it names.
 */
#include "trust/audit.h"

#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct pl_audit_record *a, const struct pl_audit_record *b)
{
    CHECK(a->sequence == b->sequence && a->time == b->time && a->event == b->event);
    CHECK(memcmp(a->previous, b->previous, sizeof a->previous) == 0 && a->count == b->count);
    CHECK(pl_span_equal(a->actor, b->actor) && pl_span_equal(a->subject, b->subject));
    CHECK(pl_span_equal(a->detail, b->detail));
}

static void check_again(const struct pl_audit_record *record)
{
    uint8_t bytes[PL_AUDIT_RECORD_BYTES_MAX];
    struct pl_audit_record again;
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_audit_encode(record, &w);
    CHECK(w.err == PARLEY_OK);
    CHECK(pl_audit_decode(pl_writer_span(&w), &again) == PARLEY_OK);
    check_same(record, &again);
}

static void check_chain(struct parley_span bytes, const struct pl_audit_record *record)
{
    uint8_t hash[PL_SHA256_BYTES];
    const char *why = NULL;
    uint64_t sequence = record->sequence - 1;
    memcpy(hash, record->previous, sizeof hash);
    CHECK(pl_audit_verify(bytes, &sequence, hash, &why) == PARLEY_OK);
    CHECK(sequence == record->sequence);
    /* It does not follow itself. */
    CHECK(pl_audit_verify(bytes, &sequence, hash, &why) != PARLEY_OK && why[0] != '\0');
    CHECK(sequence == record->sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_span bytes = pl_span_of(data, size);
    struct pl_audit_record record = { .sequence = 7 };
    uint8_t hash[PL_SHA256_BYTES] = { 1 };
    uint64_t sequence = 7;
    const char *why = NULL;
    if (pl_audit_decode(bytes, &record) != PARLEY_OK) {
        CHECK(record.sequence == 7);
        CHECK(pl_audit_verify(bytes, &sequence, hash, &why) == PARLEY_ECORRUPT);
        CHECK(sequence == 7 && hash[0] == 1 && hash[1] == 0 && why[0] != '\0');
        return 0;
    }
    check_again(&record);
    check_chain(bytes, &record);
    CHECK(pl_audit_event_name(record.event)[0] != '\0');
    CHECK(pl_audit_event_text(record.event)[0] != '\0');
    return 0;
}
