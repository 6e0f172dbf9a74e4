/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/slab.h"

#include <stdlib.h>

struct thing {
    uint64_t a;
    uint8_t b;
};

static void *slab_memory(struct pl_slab *slab, uint32_t count)
{
    void *mem = malloc(pl_slab_bytes(count, sizeof(struct thing)));
    assert_non_null(mem);
    pl_slab_init(slab, mem, count, sizeof(struct thing));
    return mem;
}

static void slab_lends_zeroed_objects_until_full(void **state)
{
    (void)state;
    struct pl_slab slab;
    void *mem = slab_memory(&slab, 3);
    pl_handle handles[3];
    for (size_t i = 0; i < 3; i++) {
        struct thing *thing = pl_slab_alloc(&slab, &handles[i]);
        assert_non_null(thing);
        assert_true(handles[i] != 0);
        assert_int_equal(0, thing->a);
        assert_ptr_equal(thing, pl_slab_find(&slab, handles[i]));
        *thing = (struct thing){ .a = i + 1, .b = 9 };
    }
    pl_handle none = 77;
    assert_null(pl_slab_alloc(&slab, &none));
    assert_int_equal(77, none);
    assert_int_equal(2, ((struct thing *)pl_slab_find(&slab, handles[1]))->a);
    pl_slab_free(&slab, handles[1]);
    struct thing *again = pl_slab_alloc(&slab, &none);
    assert_non_null(again);
    assert_int_equal(0, again->a);
    free(mem);
}

static void slab_detects_stale_and_foreign_handles(void **state)
{
    (void)state;
    struct pl_slab slab;
    void *mem = slab_memory(&slab, 2);
    pl_handle first;
    pl_handle second;
    assert_non_null(pl_slab_alloc(&slab, &first));
    pl_slab_free(&slab, first);
    assert_null(pl_slab_find(&slab, first));
    assert_null(pl_slab_find(&slab, 0));
    assert_null(pl_slab_find(&slab, 0x10005));
    for (int i = 0; i < 2; i++)
        assert_non_null(pl_slab_alloc(&slab, &second));
    assert_null(pl_slab_find(&slab, first));
    free(mem);
}

static void slab_never_makes_handle_zero_when_generations_wrap(void **state)
{
    (void)state;
    struct pl_slab slab;
    void *mem = slab_memory(&slab, 1);
    for (uint32_t i = 0; i < 70000; i++) {
        pl_handle handle = 0;
        assert_non_null(pl_slab_alloc(&slab, &handle));
        assert_true(handle != 0);
        pl_slab_free(&slab, handle);
    }
    free(mem);
}

static void slab_iterates_live_objects_while_they_are_freed(void **state)
{
    (void)state;
    struct pl_slab slab;
    void *mem = slab_memory(&slab, 5);
    pl_handle handles[5];
    for (size_t i = 0; i < 5; i++)
        assert_non_null(pl_slab_alloc(&slab, &handles[i]));
    pl_slab_free(&slab, handles[0]);
    pl_slab_free(&slab, handles[3]);
    size_t seen = 0;
    for (pl_handle h = pl_slab_next(&slab, 0); h != 0; h = pl_slab_next(&slab, h)) {
        seen++;
        pl_slab_free(&slab, h);
    }
    assert_int_equal(3, seen);
    assert_int_equal(0, slab.used);
    assert_int_equal(0, pl_slab_next(&slab, 0));
    free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slab_lends_zeroed_objects_until_full),
        cmocka_unit_test(slab_detects_stale_and_foreign_handles),
        cmocka_unit_test(slab_never_makes_handle_zero_when_generations_wrap),
        cmocka_unit_test(slab_iterates_live_objects_while_they_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
