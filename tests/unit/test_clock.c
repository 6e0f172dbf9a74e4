/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/clock.h"

static void clock_follows_the_wall_and_never_repeats(void **state)
{
    (void)state;
    assert_int_equal(100, pl_clock_next(5, 100));
    assert_int_equal(101, pl_clock_next(100, 100));
    assert_int_equal(201, pl_clock_next(200, 100));
    assert_int_equal(6, pl_clock_next(5, -1));
}

static void clock_goes_on_where_32_bits_of_seconds_end(void **state)
{
    (void)state;
    static const uint64_t seconds[] = { INT32_MAX, UINT32_MAX };
    for (size_t i = 0; i < PL_ARRAY_LEN(seconds); i++) {
        uint64_t last = seconds[i] * 1000000 + 999999;
        assert_true(pl_clock_next(last, (parley_wall)last) == last + 1);
        assert_true(pl_clock_next(last, (parley_wall)last + 5) == last + 5);
        assert_false(pl_clock_is_ahead(last + 1, (parley_wall)last));
        assert_true(
            pl_clock_is_ahead(last + 1 + (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX, (parley_wall)last));
    }
}

static void clock_is_ahead_only_beyond_the_allowed_drift(void **state)
{
    (void)state;
    uint64_t edge = 1000 + (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX;
    assert_false(pl_clock_is_ahead(1, 1000));
    assert_false(pl_clock_is_ahead(edge, 1000));
    assert_true(pl_clock_is_ahead(edge + 1, 1000));
    assert_true(pl_clock_is_ahead(UINT64_MAX, INT64_MAX));
    assert_true(pl_clock_is_ahead(edge, -5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_follows_the_wall_and_never_repeats),
        cmocka_unit_test(clock_goes_on_where_32_bits_of_seconds_end),
        cmocka_unit_test(clock_is_ahead_only_beyond_the_allowed_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
