/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "trust/audit.h"

struct chain {
    uint8_t records[3][PL_AUDIT_RECORD_BYTES_MAX];
    size_t len[3];
};

static void make_chain(struct chain *c)
{
    uint8_t hash[PL_SHA256_BYTES];
    pl_audit_genesis(hash);
    for (size_t i = 0; i < 3; i++) {
        struct pl_audit_record record = { .time = 1700000000000000 + (int64_t)i,
                                          .event = PL_AUDIT_peer_approved,
                                          .actor = pl_span_text("operator"),
                                          .subject = pl_span_text("local_sha256_00"),
                                          .detail = pl_span_text("main write"),
                                          .count = 1 };
        struct pl_writer w = pl_writer_over(c->records[i], PL_AUDIT_RECORD_BYTES_MAX);
        pl_audit_encode(&record, &w);
        assert_ok(w.err);
        c->len[i] = w.len;
        pl_audit_chain(c->records[i], w.len, i + 1, hash);
        pl_sha256_of(pl_writer_span(&w), hash);
    }
}

/* The first record that does not verify, 3 when all do. */
static size_t verify(const struct chain *c)
{
    uint8_t hash[PL_SHA256_BYTES];
    uint64_t sequence = 0;
    const char *why = NULL;
    pl_audit_genesis(hash);
    for (size_t i = 0; i < 3; i++)
        if (pl_audit_verify(pl_span_of(c->records[i], c->len[i]), &sequence, hash, &why) !=
            PARLEY_OK)
            return i;
    return 3;
}

static void an_audit_record_reads_back_what_was_written(void **state)
{
    (void)state;
    struct chain c;
    struct pl_audit_record record;
    make_chain(&c);
    assert_ok(pl_audit_decode(pl_span_of(c.records[1], c.len[1]), &record));
    assert_int_equal(2, record.sequence);
    assert_int_equal(1700000000000001, record.time);
    assert_int_equal(PL_AUDIT_peer_approved, record.event);
    assert_span_text(record.actor, "operator");
    assert_span_text(record.subject, "local_sha256_00");
    assert_span_text(record.detail, "main write");
    assert_int_equal(1, record.count);
}

static void a_chain_verifies_and_any_changed_byte_breaks_it(void **state)
{
    (void)state;
    struct chain c;
    make_chain(&c);
    assert_int_equal(3, verify(&c));
    for (size_t i = 0; i < 2; i++) { /* the last one is held by the hash that is written down */
        for (size_t at = 0; at < c.len[i]; at++) {
            c.records[i][at] ^= 1;
            assert_true(verify(&c) <= i + 1);
            c.records[i][at] ^= 1;
        }
    }
}

static void a_record_left_out_or_put_in_is_seen(void **state)
{
    (void)state;
    struct chain c;
    make_chain(&c);
    memcpy(c.records[1], c.records[2], sizeof c.records[1]);
    c.len[1] = c.len[2];
    assert_int_equal(1, verify(&c));
    make_chain(&c);
    memcpy(c.records[1], c.records[0], sizeof c.records[1]);
    c.len[1] = c.len[0];
    assert_int_equal(1, verify(&c));
}

static void a_record_of_any_length_or_with_a_long_text_is_bounded(void **state)
{
    (void)state;
    struct chain c;
    struct pl_audit_record record;
    char text[300];
    make_chain(&c);
    for (size_t len = 0; len < c.len[0]; len++)
        assert_err(PARLEY_ECORRUPT, pl_audit_decode(pl_span_of(c.records[0], len), &record));
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text + PL_AUDIT_TEXT_BYTES_MAX - 1, "\xc3\xa4", 2); /* cut before, not inside */
    struct pl_audit_record big = { .actor = pl_span_text(text),
                                   .subject = pl_span_text(text),
                                   .detail = pl_span_text(text),
                                   .count = UINT64_MAX };
    struct pl_writer w = pl_writer_over(c.records[0], PL_AUDIT_RECORD_BYTES_MAX);
    pl_audit_encode(&big, &w);
    assert_ok(w.err);
    assert_ok(pl_audit_decode(pl_writer_span(&w), &record));
    assert_int_equal(PL_AUDIT_TEXT_BYTES_MAX - 1, record.detail.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_audit_record_reads_back_what_was_written),
        cmocka_unit_test(a_chain_verifies_and_any_changed_byte_breaks_it),
        cmocka_unit_test(a_record_left_out_or_put_in_is_seen),
        cmocka_unit_test(a_record_of_any_length_or_with_a_long_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
