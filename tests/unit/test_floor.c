/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a peer's floor (net/sync/floor.h, G3, G4 and G6).
 */
#include "lib/testlib.h"

#include "sync/floor.h"

#define GRACE INT64_C(800)

static struct pl_floor_facts facts_of_a_peer_that_is_ahead(void)
{
    return (struct pl_floor_facts){ .ours = 50,
                                    .theirs = 100,
                                    .their_clean = 150,
                                    .may_write = true,
                                    .synced_at = 200,
                                    .counted_at = 200,
                                    .synced_ever = true,
                                    .now = 1000,
                                    .grace_us = GRACE };
}

static void a_floor_that_is_not_above_ours_is_no_matter(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.synced_at = 0;
    f.ours = f.theirs;
    assert_int_equal(PL_FLOOR_EVEN, pl_floor_judge(&f));
    f.ours = 0;
    f.may_write = false;
    assert_int_equal(PL_FLOOR_EVEN, pl_floor_judge(&f));
}

static void who_was_in_sync_since_floor_and_clean_is_fresh(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.synced_at = 150;
    assert_int_equal(PL_FLOOR_FOLLOW, pl_floor_judge(&f));
    f.synced_at = 149;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
    f.their_clean = 0;
    f.synced_at = 101;
    assert_int_equal(PL_FLOOR_FOLLOW, pl_floor_judge(&f));
    /* A deletion of the same microsecond may have come behind the STATE. */
    f.synced_at = 100;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
    f.synced_at = 0;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
}

/* It was in sync by a STATE of the peer, which did not hear of that: it was not waited for. */
static void who_was_not_in_sync_as_the_peer_says_is_stale(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.counted_at = 150;
    assert_int_equal(PL_FLOOR_FOLLOW, pl_floor_judge(&f));
    f.counted_at = 149;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
    f.counted_at = 0;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
    f.counted_at = f.now + 1;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
}

static void a_time_of_the_future_proves_nothing(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.synced_at = f.now + 1;
    assert_int_equal(PL_FLOOR_STALE, pl_floor_judge(&f));
}

static void data_that_was_never_shared_is_its_owners(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.synced_at = 0;
    f.synced_ever = false;
    assert_int_equal(PL_FLOOR_FOLLOW, pl_floor_judge(&f));
}

static void a_floor_from_the_present_does_not_count(void **state)
{
    struct pl_floor_facts f = facts_of_a_peer_that_is_ahead();
    (void)state;
    f.synced_at = 900;
    f.counted_at = 900;
    f.theirs = (uint64_t)(f.now - GRACE / 2);
    assert_int_equal(PL_FLOOR_FOLLOW, pl_floor_judge(&f));
    f.theirs++;
    assert_int_equal(PL_FLOOR_TOO_NEW, pl_floor_judge(&f));
    f.theirs = UINT64_MAX;
    assert_int_equal(PL_FLOOR_TOO_NEW, pl_floor_judge(&f));
    f.now = 10;
    f.theirs = 51;
    assert_int_equal(PL_FLOOR_TOO_NEW, pl_floor_judge(&f));
}

static void a_peer_is_waited_for_a_little_longer_than_it_counts_as_fresh(void **state)
{
    struct pl_peer peer = { .state = PL_PEER_ACTIVE };
    (void)state;
    peer.synced_at[1] = 100;
    assert_true(pl_floor_counts(&peer, 1, 1000, GRACE));
    assert_false(pl_floor_counts(&peer, 1, 1001, GRACE));
    assert_false(pl_floor_counts(&peer, 0, 1000, GRACE));
    peer.admitted_at = 500;
    assert_true(pl_floor_counts(&peer, 0, 1400, GRACE));
    peer.admitted_at = 0;
    peer.last_sync_at = 500; /* over HTTP */
    assert_true(pl_floor_counts(&peer, 0, 1400, GRACE));
    peer.state = PL_PEER_REVOKED;
    assert_false(pl_floor_counts(&peer, 0, 1400, GRACE));
}

static void what_was_stored_of_acknowledgements_counts_until_the_peer_says_more(void **state)
{
    struct pl_peer peer = { .acked_stored = 7 };
    (void)state;
    assert_int_equal(7, pl_floor_acked(&peer));
    peer.stated = true;
    peer.acked = 5; /* it was restored */
    assert_int_equal(5, pl_floor_acked(&peer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_floor_that_is_not_above_ours_is_no_matter),
        cmocka_unit_test(who_was_in_sync_since_floor_and_clean_is_fresh),
        cmocka_unit_test(who_was_not_in_sync_as_the_peer_says_is_stale),
        cmocka_unit_test(a_time_of_the_future_proves_nothing),
        cmocka_unit_test(data_that_was_never_shared_is_its_owners),
        cmocka_unit_test(a_floor_from_the_present_does_not_count),
        cmocka_unit_test(a_peer_is_waited_for_a_little_longer_than_it_counts_as_fresh),
        cmocka_unit_test(what_was_stored_of_acknowledgements_counts_until_the_peer_says_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
