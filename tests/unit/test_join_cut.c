/* SPDX-License-Identifier: Apache-2.0
 *
 * A join between two nodes that breaks: the connection at any byte, with or without the loss of
 * power on one side, and any commit of either. Afterwards both sides have each other once they meet
 * again, or the one that joins knows nothing, the other gives it nothing, and the same invite still
 * completes the join.
 */
#include "lib/node_pair.h"

#define BYTES_A_CUT 61 /* bytes between two cuts: every frame is cut in several places */
#define COMMITS     4  /* that one side makes, and one more */

enum loss { NOTHING_LOST, A_LOSES_POWER, B_LOSES_POWER, LOSSES };

static struct pl_peer *only_peer(struct side *s)
{
    assert_in_range(s->node->peers.count, 0, 1);
    return s->node->peers.count == 0 ? NULL : s->node->peers.table[0];
}

static void begin(struct world *w, char url[512])
{
    world_open(w, false, 100000);
    assert_ok(pl_node_invite(w->a.node, pl_span_text("main"), true,
                             w->now.wall + 3600 * PARLEY_US_PER_S, url, 512, w->now));
    world_step(w);
    w->wire_bytes = 0;
}

static void join(struct world *w, const char *url)
{
    assert_ok(pl_node_join(w->b.node, pl_span_text(url), w->now, NULL));
    world_step(w);
}

static bool are_joined(struct world *w)
{
    const struct pl_peer *a = only_peer(&w->b);
    const struct pl_peer *b = only_peer(&w->a);
    return a != NULL && b != NULL && a->state == PL_PEER_ACTIVE && b->state == PL_PEER_ACTIVE;
}

/* What the head of this file says. */
static void check_outcome(struct world *w, const char *url)
{
    w->apart = false;
    world_pass(w, 30 * PARLEY_NS_PER_S);
    if (only_peer(&w->b) == NULL) {
        const struct pl_peer *b = only_peer(&w->a);
        assert_int_not_equal(PL_JOIN_DONE, w->b.node->join.phase);
        assert_true(b == NULL || b->state == PL_PEER_JOINING);
        join(w, url);
        if (w->b.node->join.phase != PL_JOIN_DONE)
            fail_msg("the join cannot be completed: %s", w->b.node->join.error);
    }
    world_settle(w);
    assert_true(are_joined(w));
}

/* Returns whether the join was complete before the cut. */
static bool cut_at(uint64_t bytes, enum loss loss)
{
    struct world w;
    char url[512];
    begin(&w, url);
    w.wire_max = bytes;
    join(&w, url);
    bool complete = w.wire_bytes < bytes;
    w.wire_max = 0;
    world_part(&w);
    if (loss == A_LOSES_POWER)
        side_kill(&w, &w.a, &w.b);
    if (loss == B_LOSES_POWER)
        side_kill(&w, &w.b, &w.a);
    check_outcome(&w, url);
    world_close(&w);
    return complete;
}

static void a_join_that_is_cut_at_any_byte_comes_to_both_or_can_be_made_again(void **state)
{
    (void)state;
    for (int loss = 0; loss < LOSSES; loss++) {
        uint64_t bytes = 1;
        while (!cut_at(bytes, (enum loss)loss))
            bytes += BYTES_A_CUT;
        assert_true(bytes > 1000);
    }
}

static void fail_commit(bool of_a, int64_t number)
{
    struct world w;
    char url[512];
    begin(&w, url);
    struct side *s = of_a ? &w.a : &w.b;
    struct pl_store_mem_faults faults = { .fail_put_after = -1, .fail_commit_after = number };
    pl_store_mem_set_faults(env_mem_store(&w.env, s->store), &faults);
    join(&w, url);
    faults.fail_commit_after = -1;
    pl_store_mem_set_faults(env_mem_store(&w.env, s->store), &faults);
    check_outcome(&w, url);
    world_close(&w);
}

static void a_join_whose_commit_fails_comes_to_both_or_can_be_made_again(void **state)
{
    (void)state;
    for (int64_t number = 0; number < COMMITS; number++) {
        fail_commit(true, number);
        fail_commit(false, number);
    }
}

/* Power goes while a commit waits. */
static void a_join_that_dies_with_its_commit_comes_to_both_or_can_be_made_again(void **state)
{
    (void)state;
    for (int of_a = 0; of_a < 2; of_a++) {
        struct world w;
        char url[512];
        begin(&w, url);
        struct side *s = of_a != 0 ? &w.a : &w.b;
        s->hold_commits = true;
        join(&w, url);
        assert_true(s->has_held);
        side_kill(&w, s, of_a != 0 ? &w.b : &w.a);
        check_outcome(&w, url);
        world_close(&w);
    }
}

/* The operator agreed to the namespace of the line, not to any that the other side names. */
static void a_join_that_gives_another_namespace_fails_and_leaves_nothing(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    begin(&w, url);
    struct pl_invite *invite = &w.a.node->invites[0];
    assert_string_equal("main", invite->name_space);
    memcpy(invite->name_space, "mine", 5);
    join(&w, url);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_null(only_peer(&w.b));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_that_gives_another_namespace_fails_and_leaves_nothing),
        cmocka_unit_test(a_join_that_is_cut_at_any_byte_comes_to_both_or_can_be_made_again),
        cmocka_unit_test(a_join_whose_commit_fails_comes_to_both_or_can_be_made_again),
        cmocka_unit_test(a_join_that_dies_with_its_commit_comes_to_both_or_can_be_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
