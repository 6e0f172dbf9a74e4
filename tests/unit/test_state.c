/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec of STATE: what is written reads back, and nothing else is taken.
 */
#include "lib/testlib.h"

#include "core/mp_write.h"
#include "sync/state.h"

#define BODY_BYTES_MAX 8192u

static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123";
_Static_assert(sizeof long_name - 1 == PARLEY_NAMESPACE_BYTES_MAX, "the longest name");

static struct pl_state make_state(void)
{
    return (struct pl_state){
        .head = UINT64_MAX,
        .has_cursor = true,
        .cursor_incarnation = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } },
        .cursor = UINT64_C(1) << 40,
        .wall = -1,
        .spaces = { { .name_space = pl_span_text("main"),
                      .root = { .count = 3, .sum = { 0xff, 1 } },
                      .floor = 70,
                      .clean = 71,
                      .counted = 74,
                      .cut = 73,
                      .since = 72,
                      .prefix = pl_span_text("chat-") },
                    { .name_space = pl_span_text(long_name) } },
        .space_count = 2,
        .compare = true,
    };
}

static void state_reads_back_and_no_part_of_it_does(void **state)
{
    static uint8_t body[BODY_BYTES_MAX];
    struct pl_state in = make_state();
    struct pl_state out;
    struct pl_writer w = pl_writer_over(body, sizeof body);
    (void)state;
    pl_state_write(&w, &in);
    assert_ok(w.err);
    assert_true(w.len <= PL_STATE_HEAD_BYTES_MAX + in.space_count * PL_STATE_SPACE_BYTES_MAX);
    assert_ok(pl_state_read(pl_writer_span(&w), &out));
    assert_true(out.head == in.head && out.cursor == in.cursor && out.wall == in.wall);
    assert_true(out.has_cursor && out.compare);
    assert_memory_equal(in.cursor_incarnation.bytes, out.cursor_incarnation.bytes, 16);
    assert_int_equal(2, out.space_count);
    for (size_t i = 0; i < 2; i++) {
        const struct pl_state_space *a = &in.spaces[i];
        const struct pl_state_space *b = &out.spaces[i];
        assert_true(pl_span_equal(a->name_space, b->name_space));
        assert_true(pl_span_equal(a->prefix, b->prefix));
        assert_true(a->floor == b->floor && a->clean == b->clean && a->since == b->since);
        assert_int_equal(a->counted, b->counted);
        assert_true(a->cut == b->cut && a->root.count == b->root.count);
        assert_memory_equal(a->root.sum, b->root.sum, PARLEY_DIGEST_BYTES);
    }
    for (size_t len = 0; len < w.len; len++)
        assert_int_equal(PARLEY_EPROTO, pl_state_read(pl_span_of(body, len), &out));
    body[w.len] = 0;
    assert_int_equal(PARLEY_EPROTO, pl_state_read(pl_span_of(body, w.len + 1), &out));
}

static void state_names_at_most_so_many_namespaces(void **state)
{
    static uint8_t body[BODY_BYTES_MAX];
    struct pl_state out;
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        struct pl_state in = { .space_count = 0 };
        struct pl_writer w = pl_writer_over(body, sizeof body);
        pl_state_write(&w, &in);
        w.len -= 2; /* no namespaces; false */
        pl_mp_write_array(&w, PARLEY_SHARED_NAMESPACES_MAX + extra);
        for (uint32_t i = 0; i < PARLEY_SHARED_NAMESPACES_MAX + extra; i++) {
            pl_mp_write_array(&w, 9);
            pl_mp_write_text(&w, "n");
            pl_mp_write_uint(&w, 0);
            pl_mp_write_bin(&w, pl_span_of(in.spaces[0].root.sum, PARLEY_DIGEST_BYTES));
            for (int field = 0; field < 5; field++)
                pl_mp_write_uint(&w, 0);
            pl_mp_write_text(&w, "");
        }
        pl_mp_write_bool(&w, false);
        assert_int_equal(extra == 0 ? PARLEY_OK : PARLEY_EPROTO,
                         pl_state_read(pl_writer_span(&w), &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_reads_back_and_no_part_of_it_does),
        cmocka_unit_test(state_names_at_most_so_many_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
