/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotation between two whole nodes: who learns it, when, through which failures, and what is
 * refused.
 */
#include "lib/keys.h"
#include "lib/more_keys.h"
#include "lib/node_pair.h"

#define DAY_NS (24 * 3600 * PARLEY_NS_PER_S)

static const struct pl_pubkey *key_of(const struct side *s)
{
    return pl_identity_pubkey(s->node->identity);
}

static bool holds_key_of(const struct side *s, const struct side *other)
{
    return memcmp(s->node->peers.table[0]->key.fingerprint, key_of(other)->fingerprint,
                  PL_FINGERPRINT_BYTES) == 0;
}

static void assert_each_holds_the_others_key(const struct world *w)
{
    assert_true(holds_key_of(&w->a, &w->b));
    assert_true(holds_key_of(&w->b, &w->a));
}

static void open_joined(struct world *w, bool tls)
{
    world_open(w, tls, 100000);
    world_join(w);
    world_settle(w);
}

static void rotate_each_side(bool tls)
{
    struct world w;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    open_joined(&w, tls);
    memcpy(id, pl_node_backend_id(w.a.node), sizeof id);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1); /* the dialed one */
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_2); /* the dialing one */
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    assert_string_equal(id, pl_node_backend_id(w.a.node));
    assert_int_equal(1, w.a.node->peers.table[0]->rotations);
    assert_true(w.a.node->peers.table[0]->has_previous);
    assert_int_equal(w.b.node->chain.links[0].at, w.a.node->peers.table[0]->rotated_at);
    /* What was learned is durable. */
    side_kill(&w, &w.a, &w.b);
    side_kill(&w, &w.b, &w.a);
    assert_each_holds_the_others_key(&w);
    assert_string_equal(id, pl_node_backend_id(w.a.node));
    world_settle(&w);
    world_close(&w);
}

static void a_rotation_of_either_side_is_learned_at_once(void **state)
{
    (void)state;
    rotate_each_side(false);
}

static void a_rotation_of_either_side_is_learned_over_tls(void **state)
{
    (void)state;
    rotate_each_side(true);
}

/* Both rotated twice while they could not talk, and months passed. */
static void who_was_away_for_two_rotations_still_learns(void **state)
{
    struct world w;
    (void)state;
    open_joined(&w, true);
    world_part(&w);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_2);
    world_pass(&w, 60 * DAY_NS);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_3);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_4);
    world_pass(&w, 60 * DAY_NS);
    side_kill(&w, &w.a, &w.b);
    w.apart = false;
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    assert_int_equal(2, w.a.node->peers.table[0]->rotations);
    assert_int_equal(2, w.b.node->peers.table[0]->rotations);
    world_close(&w);
}

static void a_crash_before_the_commit_leaves_the_old_key(void **state)
{
    struct world w;
    uint8_t before[PL_FINGERPRINT_BYTES];
    (void)state;
    open_joined(&w, false);
    memcpy(before, key_of(&w.a)->fingerprint, sizeof before);
    w.a.hold_commits = true;
    assert_ok(pl_node_rotate(w.a.node, 0, w.now));
    world_step(&w);
    side_key_made(&w, &w.a, TEST_NEXT_KEY_1);
    assert_true(w.a.has_held);
    assert_int_equal(PL_ROTATE_STORING, w.a.node->rotate.phase);
    assert_memory_equal(before, key_of(&w.a)->fingerprint, sizeof before);
    side_kill(&w, &w.a, &w.b);
    assert_memory_equal(before, key_of(&w.a)->fingerprint, sizeof before);
    assert_int_equal(0, w.a.node->chain.count);
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    world_close(&w);
}

static void a_crash_between_commit_and_its_report_leaves_the_new_key(void **state)
{
    struct world w;
    bool changed = false;
    (void)state;
    open_joined(&w, false);
    w.a.hold_commits = true;
    assert_ok(pl_node_rotate(w.a.node, 0, w.now));
    world_step(&w);
    side_key_made(&w, &w.a, TEST_NEXT_KEY_1);
    assert_true(w.a.has_held);
    assert_ok(parley_db_apply(w.a.db, w.a.held.writes, w.a.held.count, w.now.wall, &changed));
    side_kill(&w, &w.a, &w.b);
    assert_int_equal(1, w.a.node->chain.count);
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    world_close(&w);
}

static void a_failed_commit_is_looked_up(void **state)
{
    for (int applied = 0; applied < 2; applied++) {
        struct world w;
        bool changed = false;
        (void)state;
        open_joined(&w, false);
        w.a.hold_commits = true;
        assert_ok(pl_node_rotate(w.a.node, 0, w.now));
        world_step(&w);
        side_key_made(&w, &w.a, TEST_NEXT_KEY_1);
        if (applied != 0)
            assert_ok(
                parley_db_apply(w.a.db, w.a.held.writes, w.a.held.count, w.now.wall, &changed));
        w.a.hold_commits = false;
        w.a.has_held = false;
        pl_node_committed(w.a.node, PARLEY_EIO, true, false, w.now);
        world_step(&w);
        assert_int_equal(applied != 0 ? PL_ROTATE_DONE : PL_ROTATE_FAILED, w.a.node->rotate.phase);
        assert_int_equal(applied, w.a.node->chain.count);
        world_settle(&w);
        assert_each_holds_the_others_key(&w);
        world_close(&w);
    }
}

static void a_rotation_that_fails_can_be_tried_again(void **state)
{
    struct world w;
    (void)state;
    open_joined(&w, false);
    assert_err(PARLEY_EINVAL, pl_node_rotate(w.a.node, 4096, w.now));
    assert_ok(pl_node_rotate(w.a.node, 2048, w.now));
    assert_err(PARLEY_EBUSY, pl_node_rotate(w.a.node, 2048, w.now));
    world_step(&w);
    w.a.wants_key = false;
    pl_node_key_made(w.a.node, NULL, pl_span_of(NULL, 0), PARLEY_ENOMEM, w.now);
    assert_int_equal(PL_ROTATE_FAILED, w.a.node->rotate.phase);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    size_t count = w.a.node->chain.count;
    w.a.node->chain.count = PL_ROTATIONS_MAX;
    assert_err(PARLEY_EFULL, pl_node_rotate(w.a.node, 0, w.now));
    w.a.node->chain.count = count;
    world_close(&w);
}

/* An invite names the key of its time. */
static void nodes_join_however_often_both_have_rotated(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, true, 100000);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_1);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_2);
    assert_ok(pl_node_invite(w.a.node, pl_span_text("main"), true,
                             w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w.now));
    world_step(&w);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_3);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_4);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_DONE, w.b.node->join.phase);
    assert_each_holds_the_others_key(&w);
    assert_int_equal(2, w.a.node->peers.table[0]->rotations);
    assert_string_equal(w.a.node->peers.table[0]->check, w.b.node->join.check);
    world_settle(&w);
    side_rotate(&w, &w.b, TEST_NEXT_KEY_5);
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    world_close(&w);
}

static void an_invite_with_a_strange_key_is_refused(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    assert_ok(pl_node_invite(w.a.node, pl_span_text("main"), true,
                             w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w.now));
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    w.b.node->join.fingerprint[31] ^= 1;
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_int_equal(0, w.b.node->peers.count);
    world_close(&w);
}

/* Puts the store of before the rotation back. */
static void restore_a(struct world *w)
{
    if (w->a.conn != 0)
        world_part(w);
    side_stop(w, &w->a);
    w->a.store = "a-old";
    side_open(w, &w->a);
    w->apart = false;
}

static void back_up_a(struct world *w)
{
    world_part(w);
    pl_node_free(w->a.node);
    parley_db_close(w->a.db);
    env_mem_copy(&w->env, "a", "a-old");
    side_open(w, &w->a);
    w->apart = false;
    world_settle(w);
}

static void a_node_restored_from_before_its_rotation_is_known_for_seven_days(void **state)
{
    struct world w;
    (void)state;
    open_joined(&w, false);
    back_up_a(&w);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    world_settle(&w);
    assert_each_holds_the_others_key(&w);
    restore_a(&w);
    assert_int_equal(0, w.a.node->chain.count);
    world_settle(&w);
    assert_false(holds_key_of(&w.b, &w.a)); /* what b holds is not turned back */
    assert_int_equal(1, w.b.node->peers.table[0]->rotations);
    world_part(&w);
    world_pass(&w, 8 * DAY_NS);
    w.apart = false;
    for (int i = 0; i < 5; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_int_equal(PL_SYNC_REFUSED, w.b.node->peers.table[0]->sync);
    world_close(&w);
}

/* Somebody with an old backup of a rotates it to a key of his own: the chain has forked, and b
 * stays with the branch it knows. */
static void a_second_successor_of_the_same_key_is_refused(void **state)
{
    struct world w;
    (void)state;
    open_joined(&w, false);
    back_up_a(&w);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    world_settle(&w);
    restore_a(&w);
    world_settle(&w); /* within the seven days */
    side_rotate(&w, &w.a, TEST_NEXT_KEY_2);
    for (int i = 0; i < 5; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_false(holds_key_of(&w.b, &w.a));
    assert_int_equal(PL_SYNC_REFUSED, w.b.node->peers.table[0]->sync);
    world_close(&w);
}

static void another_key_than_the_chain_ends_in_does_not_open_the_store(void **state)
{
    struct world w;
    struct pl_identity *identity = NULL;
    struct pl_node *node = NULL;
    struct pl_node_options options = { .version = "test" };
    (void)state;
    open_joined(&w, false);
    side_rotate(&w, &w.a, TEST_NEXT_KEY_1);
    world_settle(&w);
    assert_ok(pl_identity_import(&w.env.t.env, pl_span_text(w.a.key), &identity, NULL));
    assert_err(PARLEY_EIDENTITY,
               pl_node_open(&w.env.t.env, &options, w.a.db, identity, w.now, &node, NULL));
    pl_identity_destroy(identity);
    world_close(&w);
}

static void a_node_that_stops_meanwhile_keeps_its_key(void **state)
{
    struct world w;
    struct pl_identity *identity = NULL;
    (void)state;
    open_joined(&w, false);
    assert_ok(pl_node_rotate(w.b.node, 0, w.now));
    world_step(&w);
    pl_node_stop(w.b.node, w.now);
    world_step(&w);
    assert_false(pl_node_is_stopped(w.b.node));
    assert_ok(pl_identity_import(&w.env.t.env, pl_span_text(TEST_NEXT_KEY_1), &identity, NULL));
    pl_node_key_made(w.b.node, identity, pl_span_text("x"), PARLEY_OK, w.now);
    assert_int_equal(PL_ROTATE_FAILED, w.b.node->rotate.phase);
    assert_true(pl_node_is_stopped(w.b.node));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_of_either_side_is_learned_at_once),
        cmocka_unit_test(a_rotation_of_either_side_is_learned_over_tls),
        cmocka_unit_test(who_was_away_for_two_rotations_still_learns),
        cmocka_unit_test(a_crash_before_the_commit_leaves_the_old_key),
        cmocka_unit_test(a_crash_between_commit_and_its_report_leaves_the_new_key),
        cmocka_unit_test(a_failed_commit_is_looked_up),
        cmocka_unit_test(a_rotation_that_fails_can_be_tried_again),
        cmocka_unit_test(nodes_join_however_often_both_have_rotated),
        cmocka_unit_test(an_invite_with_a_strange_key_is_refused),
        cmocka_unit_test(a_node_restored_from_before_its_rotation_is_known_for_seven_days),
        cmocka_unit_test(a_second_successor_of_the_same_key_is_refused),
        cmocka_unit_test(another_key_than_the_chain_ends_in_does_not_open_the_store),
        cmocka_unit_test(a_node_that_stops_meanwhile_keeps_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
