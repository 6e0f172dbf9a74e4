/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/rng.h"

static void rng_repeats_with_the_same_seed(void **state)
{
    (void)state;
    struct pl_rng a;
    struct pl_rng b;
    struct pl_rng c;
    pl_rng_init(&a, 42);
    pl_rng_init(&b, 42);
    pl_rng_init(&c, 43);
    int equal = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t draw = pl_rng_u64(&a);
        assert_true(draw == pl_rng_u64(&b));
        equal += draw == pl_rng_u64(&c);
    }
    assert_int_equal(0, equal);
}

static void rng_follows_the_published_algorithm(void **state)
{
    (void)state;
    struct pl_rng rng = { .state = { 1, 2, 3, 4 } };
    assert_true(pl_rng_u64(&rng) == 11520);
    assert_true(pl_rng_u64(&rng) == 0);
    assert_true(pl_rng_u64(&rng) == 1509978240);
}

static void rng_below_stays_below_and_reaches_everything(void **state)
{
    (void)state;
    struct pl_rng rng;
    unsigned seen[7] = { 0 };
    pl_rng_init(&rng, 0);
    for (int i = 0; i < 7000; i++) {
        uint64_t draw = pl_rng_below(&rng, 7);
        assert_true(draw < 7);
        seen[draw]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_true(pl_rng_below(&rng, 1) == 0);
    assert_true(pl_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng_repeats_with_the_same_seed),
        cmocka_unit_test(rng_follows_the_published_algorithm),
        cmocka_unit_test(rng_below_stays_below_and_reaches_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
