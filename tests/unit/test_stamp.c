/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/stamp.h"

static void stamp_tag_is_the_start_of_the_names_sha256(void **state)
{
    (void)state;
    /* SHA-256 of "abc" begins ba7816bf. */
    assert_int_equal(0xba7816bf, pl_stamp_tag(pl_span_text("abc")));
}

static void stamp_orders_by_time_then_tag(void **state)
{
    (void)state;
    struct pl_stamp low = { 1, 9 }, high = { 2, 1 }, tied = { 2, 2 };
    assert_true(pl_stamp_compare(low, high) < 0);
    assert_true(pl_stamp_compare(tied, high) > 0);
    assert_int_equal(0, pl_stamp_compare(high, high));
    assert_true(pl_stamp_compare((struct pl_stamp){ 0, UINT32_MAX }, low) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamp_tag_is_the_start_of_the_names_sha256),
        cmocka_unit_test(stamp_orders_by_time_then_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
