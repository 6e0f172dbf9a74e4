/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of an open session against their golden bytes, which were made by another program from
 * docs/PROTOCOL.md alone: ours are the same, and read back as what the comments say.
 */
#include "lib/golden.h"

#include "core/mp_write.h"
#include "core/digest.h"
#include "sync/change.h"
#include "sync/diff.h"
#include "sync/query.h"
#include "sync/round.h"
#include "sync/state.h"
#include "sync/tally.h"

#define T UINT64_C(1700000000000000)

static const struct pl_salt salt = { { 1, 2, 3, 4, 5, 6, 7, 8 } };

/* 10..1f for 1, 20..2f for 2, and so on. */
static void digest_of(unsigned number, uint8_t out[PARLEY_DIGEST_BYTES])
{
    for (unsigned i = 0; i < PARLEY_DIGEST_BYTES; i++)
        out[i] = (uint8_t)(16 * number + i);
}

static uint64_t key_of(unsigned number)
{
    uint8_t digest[PARLEY_DIGEST_BYTES];
    digest_of(number, digest);
    return pl_query_key(&salt, digest);
}

static uint64_t print_of(unsigned first, unsigned count)
{
    struct parley_root root = { .count = count };
    for (unsigned i = 0; i < count; i++) {
        uint8_t digest[PARLEY_DIGEST_BYTES];
        digest_of(first + i, digest);
        pl_digest_add(root.sum, digest);
    }
    return pl_query_print(&salt, &root);
}

static struct pl_writer writer(uint8_t *bytes)
{
    return pl_writer_over(bytes, GOLDEN_BYTES_MAX);
}

static void state_is_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_writer w = writer(bytes);
    struct pl_state state = {
        .head = 70000,
        .has_cursor = true,
        .cursor = 69999,
        .wall = (int64_t)T + 5,
        .spaces = { { .name_space = pl_span_text("main"),
                      .root = { .count = 3 },
                      .floor = T,
                      .clean = T + 1,
                      .counted = T + 2,
                      .cut = T },
                    { .name_space = pl_span_text("team"),
                      .since = T - 10,
                      .prefix = pl_span_text("work/") } },
        .space_count = 2,
        .compare = true,
    };
    (void)test;
    for (unsigned i = 0; i < PARLEY_INCARNATION_BYTES; i++)
        state.cursor_incarnation.bytes[i] = (uint8_t)(0xf0 + i);
    digest_of(1, state.spaces[0].root.sum);
    pl_state_write(&w, &state);
    golden_check("state", PL_MSG_STATE, &w);
}

static struct parley_version version_of(enum parley_kind kind, const char *id, uint64_t time,
                                        const char *origin, struct parley_span body)
{
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text("talk-1"),
                                    .id = pl_span_text(id),
                                    .kind = kind,
                                    .time = time,
                                    .origin = pl_span_text(origin),
                                    .body = body };
}

static void changes_are_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX], title[16], text[16];
    struct pl_writer w = writer(bytes);
    struct pl_writer t = pl_writer_over(title, sizeof title);
    struct pl_writer m = pl_writer_over(text, sizeof text);
    struct pl_change_state state = { 0 };
    (void)test;
    pl_mp_write_text(&t, "Hello");
    pl_mp_write_text(&m, "body");
    struct parley_version versions[] = {
        version_of(PARLEY_KIND_HEADER, "title", T, "local_sha256_aa", pl_writer_span(&t)),
        version_of(PARLEY_KIND_MESSAGE, "message-10", T + 1000, "hosted_sha256_bb",
                   pl_writer_span(&m)),
        version_of(PARLEY_KIND_MESSAGE, "message-11", T + 400, "local_sha256_aa",
                   pl_span_of(NULL, 0)),
    };
    versions[2].flags = PARLEY_FLAG_TOMBSTONE;
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), 70000);
    for (size_t i = 0; i < PL_ARRAY_LEN(versions); i++)
        assert_true(pl_change_write(&w, &state, &versions[i]));
    golden_check("changes", PL_MSG_CHANGES, &w);
}

static void ack_and_want_are_golden(void **test)
{
    static const uint8_t second[1] = { 2 };
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_writer w = writer(bytes);
    (void)test;
    pl_mp_write_array(&w, 1);
    pl_mp_write_uint(&w, 70000);
    golden_check("ack", PL_MSG_ACK, &w);
    w = writer(bytes);
    pl_mp_write_array(&w, 2);
    pl_mp_write_uint(&w, 3);
    pl_mp_write_bin(&w, pl_span_of(second, 1));
    golden_check("want", PL_MSG_WANT, &w);
}

static void write_items(struct pl_writer *w, uint64_t number, const struct pl_query_item *items,
                        size_t count)
{
    struct pl_query_walk walk = { 0 };
    pl_varint_write(w, number);
    for (size_t i = 0; i < count; i++)
        pl_query_write(w, &walk, &items[i]);
}

static struct pl_query_item begin_item(void)
{
    return (struct pl_query_item){ .kind = PL_QUERY_BEGIN,
                                   .salt = pl_span_of(salt.bytes, sizeof salt.bytes) };
}

static struct pl_query_item space_item(void)
{
    return (struct pl_query_item){ .kind = PL_QUERY_SPACE,
                                   .name_space = pl_span_text("main"),
                                   .takes = true };
}

static void offer_is_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_writer w = writer(bytes);
    struct pl_query_item items[] = { begin_item(),
                                     space_item(),
                                     { .kind = PL_QUERY_HAVE, .count = 2 } };
    (void)test;
    items[2].times[0] = T;
    items[2].keys[0] = key_of(2);
    items[2].times[1] = T - 7;
    items[2].keys[1] = key_of(3);
    write_items(&w, 3, items, PL_ARRAY_LEN(items));
    golden_check("offer", PL_MSG_OFFER, &w);
}

static void queries_are_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_writer w = writer(bytes);
    static struct pl_query_item items[4];
    (void)test;
    items[0] = begin_item();
    items[1] = space_item();
    items[1].cut = T - 500;
    items[1].since = T - 1000;
    items[1].prefix = pl_span_text("work/");
    items[2] = (struct pl_query_item){ .kind = PL_QUERY_SPLIT, .count = 2 };
    items[2].bounds[1] = (struct pl_bound){ .time = T, .prefix = 0x01020304 };
    items[2].bounds[2] = PL_BOUND_END;
    items[2].counts[0] = 2;
    items[2].prints[0] = print_of(1, 2);
    items[2].counts[1] = 1;
    items[2].prints[1] = print_of(3, 1);
    items[3] = (struct pl_query_item){ .kind = PL_QUERY_LEAF, .count = 2 };
    items[3].bounds[0] = (struct pl_bound){ .time = T - 5 };
    items[3].bounds[1] = (struct pl_bound){ .time = T + 5 };
    items[3].times[0] = T;
    items[3].keys[0] = key_of(4);
    items[3].times[1] = T + 3;
    items[3].keys[1] = key_of(5);
    write_items(&w, 1, items, 4);
    golden_check("query", PL_MSG_QUERY, &w);

    items[1] = (struct pl_query_item){ .kind = PL_QUERY_DRY };
    items[2] = space_item();
    items[3] = (struct pl_query_item){ .kind = PL_QUERY_LEAF };
    items[3].bounds[1] = PL_BOUND_END;
    w = writer(bytes);
    write_items(&w, 1, items, 4);
    golden_check("query_dry", PL_MSG_QUERY, &w);

    items[0] = (struct pl_query_item){ .kind = PL_QUERY_END };
    w = writer(bytes);
    write_items(&w, 2, items, 1);
    golden_check("query_end", PL_MSG_QUERY, &w);
}

static void answer_is_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_writer w = writer(bytes);
    struct pl_bit_writer bits = { .w = &w };
    (void)test;
    pl_varint_write(&w, 1);
    pl_bits_write(&bits, PL_QUERY_DIFFERS, 2);
    pl_bits_write(&bits, PL_QUERY_TAKES_ALL, 2);
    pl_bits_write(&bits, 0, 1);
    pl_bits_write(&bits, 1, 1);
    pl_bits_flush(&bits);
    golden_check("answer", PL_MSG_ANSWER, &w);
}

static void tally_and_diff_are_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    uint64_t keys[2];
    struct pl_writer w = writer(bytes);
    struct pl_tally tally = { .key_max = 2, .keys = keys };
    struct pl_diff_result diff = { .versions_out = 2,
                                   .bytes_out = 300,
                                   .versions_in = 70000,
                                   .bytes_in = 5000000,
                                   .conflicts = 1 };
    struct parley_version v =
        version_of(PARLEY_KIND_MESSAGE, "message-10", T, "x", pl_span_of(NULL, 0));
    (void)test;
    pl_tally_add(&tally, &salt, &v);
    v = version_of(PARLEY_KIND_HEADER, "title", T, "x", pl_span_of(NULL, 0));
    pl_tally_add(&tally, &salt, &v);
    tally.bytes = 300;
    pl_tally_write(&w, &tally);
    golden_check("tally", PL_MSG_TALLY, &w);
    w = writer(bytes);
    pl_diff_write(&w, &diff);
    golden_check("diff", PL_MSG_DIFF, &w);
    bool asks = false;
    assert_ok(pl_diff_read(golden_body("diff_ask", PL_MSG_DIFF, bytes), &asks, &diff));
    assert_true(asks);
}

static void parts_are_golden(void **test)
{
    uint8_t bytes[GOLDEN_BYTES_MAX];
    struct pl_part part;
    (void)test;
    assert_ok(pl_round_part_decode(golden_body("part", PL_MSG_PART, bytes), &part));
    assert_true(part.total == 100000 && part.offset == 0 && part.bytes.len == 3);
    assert_true(part.version.kind == PARLEY_KIND_MESSAGE && part.version.time == T);
    assert_true(pl_span_is(part.version.name_space, "main"));
    assert_true(pl_span_is(part.version.conversation, "talk-1"));
    assert_true(pl_span_is(part.version.origin, "local_sha256_aa"));
    assert_true(pl_span_is(part.version.id, "message-12"));
    assert_ok(pl_round_part_decode(golden_body("part_next", PL_MSG_PART, bytes), &part));
    assert_true(part.total == 100000 && part.offset == 3 && part.bytes.len == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_is_golden),           cmocka_unit_test(changes_are_golden),
        cmocka_unit_test(ack_and_want_are_golden),   cmocka_unit_test(offer_is_golden),
        cmocka_unit_test(queries_are_golden),        cmocka_unit_test(answer_is_golden),
        cmocka_unit_test(tally_and_diff_are_golden), cmocka_unit_test(parts_are_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
