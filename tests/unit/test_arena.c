/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/arena.h"

#include <stdalign.h>

static void arena_lends_aligned_pieces_until_full(void **state)
{
    (void)state;
    alignas(16) uint8_t mem[65];
    struct pl_arena arena;
    pl_arena_init(&arena, mem, sizeof mem);
    uint8_t *a = pl_arena_take(&arena, 1);
    uint8_t *b = pl_arena_take(&arena, 17);
    assert_ptr_equal(mem, a);
    assert_ptr_equal(mem + 16, b);
    assert_null(pl_arena_take(&arena, 17));
    assert_ptr_equal(mem + 48, pl_arena_take(&arena, 16));
    assert_null(pl_arena_take(&arena, 1));
    assert_null(pl_arena_take(&arena, SIZE_MAX));
    assert_int_equal(64, arena.len_max);
}

static void arena_aligns_a_crooked_block(void **state)
{
    (void)state;
    alignas(16) uint8_t mem[64];
    struct pl_arena arena;
    pl_arena_init(&arena, mem + 3, 40);
    assert_ptr_equal(mem + 16, pl_arena_take(&arena, 16));
    assert_null(pl_arena_take(&arena, 12));
    pl_arena_init(&arena, mem + 3, 5);
    assert_null(pl_arena_take(&arena, 1));
}

static void arena_copies_spans_or_leaves_them_alone(void **state)
{
    (void)state;
    alignas(16) uint8_t mem[16];
    struct pl_arena arena;
    struct parley_span copy = pl_span_text("before");
    pl_arena_init(&arena, mem, sizeof mem);
    assert_false(pl_arena_copy(&arena, pl_span_text("seventeen letters"), &copy));
    assert_span_text(copy, "before");
    assert_true(pl_arena_copy(&arena, pl_span_text("word"), &copy));
    assert_span_text(copy, "word");
    assert_ptr_equal(mem, copy.ptr);
    assert_true(pl_arena_copy(&arena, pl_span_of(NULL, 0), &copy));
    assert_int_equal(0, copy.len);
}

static void arena_forgets_on_reset_and_rewind_but_keeps_its_high_water(void **state)
{
    (void)state;
    alignas(16) uint8_t mem[64];
    struct pl_arena arena;
    pl_arena_init(&arena, mem, sizeof mem);
    assert_non_null(pl_arena_take(&arena, 16));
    size_t mark = pl_arena_mark(&arena);
    assert_non_null(pl_arena_take(&arena, 32));
    pl_arena_rewind(&arena, mark);
    assert_int_equal(16, arena.len);
    pl_arena_reset(&arena);
    assert_ptr_equal(mem, pl_arena_take(&arena, 64));
    pl_arena_reset(&arena);
    assert_int_equal(64, arena.len_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_lends_aligned_pieces_until_full),
        cmocka_unit_test(arena_aligns_a_crooked_block),
        cmocka_unit_test(arena_copies_spans_or_leaves_them_alone),
        cmocka_unit_test(arena_forgets_on_reset_and_rewind_but_keeps_its_high_water),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
