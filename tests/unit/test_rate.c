/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "node/rate.h"

#define START (INT64_C(1000) * PARLEY_NS_PER_S)

static size_t take_all(struct pl_rate *rate, uint32_t per_second, parley_time now, uint64_t *wait_s)
{
    size_t count = 0;
    while (count < 10000 && pl_rate_take(rate, per_second, now, wait_s))
        count++;
    return count;
}

static void rate_allows_a_burst_and_then_what_comes_back(void **state)
{
    (void)state;
    struct pl_rate rate = { 0 };
    uint64_t wait_s = 0;
    assert_int_equal(10 * PL_RATE_BURST_S, take_all(&rate, 10, START, &wait_s));
    assert_int_equal(1, wait_s);
    assert_int_equal(0, take_all(&rate, 10, START + PARLEY_NS_PER_S / 20, &wait_s));
    assert_int_equal(1, take_all(&rate, 10, START + PARLEY_NS_PER_S / 10, &wait_s));
    assert_int_equal(9, take_all(&rate, 10, START + PARLEY_NS_PER_S, &wait_s));
    /* A day of rest is worth no more than the burst. */
    assert_int_equal(10 * PL_RATE_BURST_S,
                     take_all(&rate, 10, START + 86400 * PARLEY_NS_PER_S, &wait_s));
}

static void rate_says_how_long_to_wait(void **state)
{
    (void)state;
    struct pl_rate rate = { 0 };
    uint64_t wait_s = 0;
    assert_int_equal(PL_RATE_BURST_S, take_all(&rate, 1, START, &wait_s));
    assert_int_equal(1, wait_s);
    rate.full_at = START + 9 * PARLEY_NS_PER_S;
    assert_false(pl_rate_take(&rate, 1, START, &wait_s));
    assert_int_equal(5, wait_s);
    assert_true(pl_rate_take(&rate, 1, START + wait_s * PARLEY_NS_PER_S, &wait_s));
}

static void rate_of_zero_has_no_limit(void **state)
{
    (void)state;
    struct pl_rate rate = { .full_at = UINT64_MAX };
    uint64_t wait_s = 77;
    assert_true(pl_rate_take(&rate, 0, START, &wait_s));
    assert_int_equal(77, wait_s);
}

static void rate_has_a_bucket_for_each_asker(void **state)
{
    (void)state;
    static struct pl_rates rates;
    const uint8_t one[8] = { 1 };
    const uint8_t two[8] = { 2 };
    struct pl_rate *peer = pl_rate_of(&rates, PL_RATE_PEER, one);
    peer->full_at = START;
    struct pl_rate *token = pl_rate_of(&rates, PL_RATE_TOKEN, one);
    assert_ptr_not_equal(peer, token);
    assert_ptr_not_equal(peer, pl_rate_of(&rates, PL_RATE_PEER, two));
    assert_ptr_equal(peer, pl_rate_of(&rates, PL_RATE_PEER, one));
    assert_int_equal(START, peer->full_at);
}

/* Where all places are taken the fullest bucket goes: whoever has asked most keeps his debt. */
static void rate_forgets_who_has_asked_least(void **state)
{
    (void)state;
    static struct pl_rates rates;
    uint8_t id[8] = { 0 };
    const uint8_t greedy[8] = { 0xff };
    pl_rate_of(&rates, PL_RATE_PEER, greedy)->full_at = START + 100 * PARLEY_NS_PER_S;
    for (unsigned i = 0; i < 8 * PL_RATES_MAX; i++) {
        id[0] = (uint8_t)i;
        id[1] = (uint8_t)(i >> 8);
        struct pl_rate *rate = pl_rate_of(&rates, PL_RATE_ADDRESS, id);
        assert_int_equal(0, rate->full_at);
        rate->full_at = START + i;
    }
    assert_true(pl_rate_of(&rates, PL_RATE_PEER, greedy)->full_at > START + PARLEY_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_allows_a_burst_and_then_what_comes_back),
        cmocka_unit_test(rate_says_how_long_to_wait),
        cmocka_unit_test(rate_of_zero_has_no_limit),
        cmocka_unit_test(rate_has_a_bucket_for_each_asker),
        cmocka_unit_test(rate_forgets_who_has_asked_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
