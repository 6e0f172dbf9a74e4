/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/audit.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define VERSION 1
#define FIELDS  9
/* fixarray, version; then uint64 and bin 8, in their longest form whatever they hold. */
#define SEQUENCE_AT 3
#define PREVIOUS_AT 13
#define CHAINED     (PREVIOUS_AT + PL_SHA256_BYTES)

static const struct event_name {
    uint32_t number;
    const char *name;
    const char *text;
} names[] = {
#define PL_AUDIT_NAME(number, name, text) { number, #name, text },
    PL_AUDIT_TABLE(PL_AUDIT_NAME)
#undef PL_AUDIT_NAME
};

static const struct event_name *find_name(uint32_t event)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++)
        if (names[i].number == event)
            return &names[i];
    return NULL;
}

const char *pl_audit_event_name(uint32_t event)
{
    const struct event_name *found = find_name(event);
    return found == NULL ? "unknown" : found->name;
}

const char *pl_audit_event_text(uint32_t event)
{
    const struct event_name *found = find_name(event);
    return found == NULL ? "an event of a later version" : found->text;
}

static void write_text(struct pl_writer *w, struct parley_span text)
{
    size_t len = pl_min_size(text.len, PL_AUDIT_TEXT_BYTES_MAX);
    while (len != 0 && len < text.len && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    pl_mp_write_str(w, pl_span_of(text.ptr, len));
}

void pl_audit_encode(const struct pl_audit_record *record, struct pl_writer *w)
{
    uint8_t *head = pl_writer_reserve(w, CHAINED);
    if (head == NULL)
        return;
    head[0] = 0x90 | FIELDS;
    head[1] = VERSION;
    head[2] = 0xcf;
    head[PREVIOUS_AT - 2] = 0xc4;
    head[PREVIOUS_AT - 1] = PL_SHA256_BYTES;
    pl_audit_chain(head, CHAINED, record->sequence, record->previous);
    pl_mp_write_int(w, record->time);
    pl_mp_write_uint(w, record->event);
    write_text(w, record->actor);
    write_text(w, record->subject);
    write_text(w, record->detail);
    pl_mp_write_uint(w, record->count);
}

void pl_audit_chain(uint8_t *record, size_t len, uint64_t sequence,
                    const uint8_t previous[PL_SHA256_BYTES])
{
    PL_ASSERT(len >= CHAINED);
    pl_put_be(record + SEQUENCE_AT, sequence, 8);
    memcpy(record + PREVIOUS_AT, previous, PL_SHA256_BYTES);
}

parley_err pl_audit_decode(struct parley_span bytes, struct pl_audit_record *out)
{
    struct pl_reader r = pl_reader_over(bytes);
    struct pl_audit_record record = { 0 };
    uint32_t fields = pl_mp_read_array(&r, FIELDS);
    uint64_t version = pl_mp_read_uint(&r);
    record.sequence = pl_mp_read_uint(&r);
    struct parley_span previous = pl_mp_read_bin(&r, PL_SHA256_BYTES);
    record.time = pl_mp_read_int(&r);
    uint64_t event = pl_mp_read_uint(&r);
    record.actor = pl_mp_read_str(&r, PL_AUDIT_TEXT_BYTES_MAX);
    record.subject = pl_mp_read_str(&r, PL_AUDIT_TEXT_BYTES_MAX);
    record.detail = pl_mp_read_str(&r, PL_AUDIT_TEXT_BYTES_MAX);
    record.count = pl_mp_read_uint(&r);
    if (pl_reader_end(&r) != PARLEY_OK || fields != FIELDS || version != VERSION ||
        previous.len != PL_SHA256_BYTES || event > UINT32_MAX)
        return PARLEY_ECORRUPT;
    record.event = (uint32_t)event;
    memcpy(record.previous, previous.ptr, PL_SHA256_BYTES);
    *out = record;
    return PARLEY_OK;
}

void pl_audit_genesis(uint8_t out[PL_SHA256_BYTES])
{
    pl_sha256_of(pl_span_text("parley audit 1"), out);
}

parley_err pl_audit_verify(struct parley_span bytes, uint64_t *sequence,
                           uint8_t hash[PL_SHA256_BYTES], const char **why)
{
    struct pl_audit_record record;
    *why = "it does not decode";
    PL_TRY(pl_audit_decode(bytes, &record));
    *why = "a record before it is missing, or one was put in";
    if (record.sequence != *sequence + 1)
        return PARLEY_ECORRUPT;
    *why = "the record before it was changed";
    if (memcmp(record.previous, hash, PL_SHA256_BYTES) != 0)
        return PARLEY_ECORRUPT;
    *why = "";
    *sequence = record.sequence;
    pl_sha256_of(bytes, hash);
    return PARLEY_OK;
}
