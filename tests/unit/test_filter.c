/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "sync/filter.h"

#define DAY (INT64_C(86400) * PARLEY_US_PER_S)

static void an_age_begins_at_midnight(void **state)
{
    struct pl_filter filter = { .max_age = 2 };
    (void)state;
    assert_int_equal(8 * DAY, pl_filter_since(&filter, 10 * DAY));
    assert_int_equal(8 * DAY, pl_filter_since(&filter, 11 * DAY - 1));
    assert_int_equal(9 * DAY, pl_filter_since(&filter, 11 * DAY));
    assert_int_equal(0, pl_filter_since(&filter, DAY));
    filter.max_age = 0;
    assert_int_equal(0, pl_filter_since(&filter, 10 * DAY));
}

static void a_filter_is_what_an_id_can_begin_with(void **state)
{
    struct pl_filter filter = { .max_age = 5 };
    char longest[PARLEY_ID_BYTES_MAX + 1];
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_ok(pl_filter_set(&filter, pl_span_text("work/"), 30));
    assert_string_equal("work/", filter.prefix);
    assert_int_equal(30, filter.max_age);
    assert_err(PARLEY_EINVAL, pl_filter_set(&filter, pl_span_text("a\nb"), 1));
    assert_err(PARLEY_EINVAL, pl_filter_set(&filter, pl_span_of("\0", 1), 1));
    assert_err(PARLEY_EINVAL, pl_filter_set(&filter, pl_span_of("\xff", 1), 1));
    assert_err(PARLEY_EINVAL, pl_filter_set(&filter, pl_span_of(longest, sizeof longest), 1));
    assert_err(PARLEY_EINVAL, pl_filter_set(&filter, pl_span_text("a"), 36501));
    assert_string_equal("work/", filter.prefix);
    assert_ok(pl_filter_set(&filter, pl_span_of(longest, PARLEY_ID_BYTES_MAX), 36500));
    assert_ok(pl_filter_set(&filter, pl_span_of(NULL, 0), 0));
    assert_string_equal("", filter.prefix);
}

static void learn(struct pl_share *share, const char *ours, uint64_t since, const char *prefix)
{
    pl_share_learn(share, pl_span_text(ours), since, pl_span_text(prefix));
}

static void shares_only_become_narrower(void **state)
{
    struct pl_share share = { .state = PL_SHARE_OPEN };
    (void)state;
    learn(&share, "a", 5, "a");
    assert_int_equal(0, share.prefix_len);
    assert_int_equal(5, share.since);
    learn(&share, "a", 3, "abc");
    assert_int_equal(3, share.prefix_len);
    assert_int_equal(5, share.since);
    learn(&share, "a", 9, "ab");
    assert_int_equal(3, share.prefix_len);
    assert_memory_equal("abc", share.prefix, 3);
    assert_int_equal(9, share.since);
    assert_int_equal(PL_SHARE_OPEN, share.state);
    learn(&share, "a", 9, "abd");
    assert_int_equal(PL_SHARE_EXCLUDED, share.state);
    learn(&share, "a", 9, "abc"); /* too late: what was said holds for the session */
    assert_int_equal(PL_SHARE_EXCLUDED, share.state);
}

static void prefixes_that_share_no_id_exclude_each_other(void **state)
{
    struct pl_share share = { .state = PL_SHARE_OPEN };
    (void)state;
    learn(&share, "work/", 0, "home/");
    assert_int_equal(PL_SHARE_EXCLUDED, share.state);
    share = (struct pl_share){ .state = PL_SHARE_OPEN };
    learn(&share, "work/", 0, "w");
    assert_int_equal(PL_SHARE_OPEN, share.state);
    assert_int_equal(0, share.prefix_len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_age_begins_at_midnight),
        cmocka_unit_test(a_filter_is_what_an_id_can_begin_with),
        cmocka_unit_test(shares_only_become_narrower),
        cmocka_unit_test(prefixes_that_share_no_id_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
