/* SPDX-License-Identifier: Apache-2.0
 *
 * What nodes know of each other's logs: what is acknowledged while the disk is slow or refuses (R2
 * of round.h), and what is left of it when one of them comes back with another store.
 */
#include "lib/db_util.h"
#include "lib/node_pair.h"

#include "core/message.h"
#include "core/mp_write.h"
#include "sync/round.h"

static void write_message(struct world *w, struct side *s, const char *id)
{
    uint8_t body[128];
    struct pl_writer writer = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text("hi") };
    pl_message_encode(&writer, &message);
    struct parley_version version = { .name_space = pl_span_text("main"),
                                      .conversation = pl_span_text("talk"),
                                      .id = pl_span_text(id),
                                      .kind = PARLEY_KIND_MESSAGE,
                                      .body = pl_writer_span(&writer) };
    assert_ok(pl_node_write(s->node, &version, w->now));
}

static const struct pl_peer *only_peer(const struct side *s)
{
    assert_int_equal(1, s->node->peers.count);
    return s->node->peers.table[0];
}

static parley_seq head_of(const struct side *s)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_state(read, &state));
    parley_read_end(read);
    return state.head;
}

static parley_seq stored_cursor(struct side *s)
{
    struct parley_read *read = NULL;
    struct parley_incarnation life;
    parley_seq seq = 0;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_cursor(read, only_peer(s)->number, &life, &seq, &found));
    parley_read_end(read);
    return seq;
}

/* b takes what a wrote, and its disk is still at it. */
static void send_and_hold(struct world *w)
{
    world_open(w, false, 100000);
    world_join(w);
    world_settle(w);
    write_message(w, &w->a, "1");
    world_pass(w, PARLEY_NS_PER_S);
    world_settle(w);
    assert_int_equal(head_of(&w->a), only_peer(&w->a)->acked);
    w->b.hold_commits = true;
    write_message(w, &w->a, "2");
    world_pass(w, PARLEY_NS_PER_S);
    assert_true(w->b.has_held);
}

static void an_acknowledgement_waits_for_the_commit(void **state)
{
    (void)state;
    struct world w;
    send_and_hold(&w);
    for (int i = 0; i < 5; i++) {
        world_pass(&w, PARLEY_NS_PER_S);
        assert_true(only_peer(&w.a)->acked < head_of(&w.a));
        assert_true(only_peer(&w.b)->applied < head_of(&w.a));
    }
    side_commit(&w, &w.b);
    world_step(&w);
    assert_int_equal(head_of(&w.a), only_peer(&w.a)->acked);
    assert_int_equal(head_of(&w.a), stored_cursor(&w.b));
    world_close(&w);
}

static void what_was_not_committed_is_not_acknowledged_and_comes_again(void **state)
{
    (void)state;
    struct world w;
    send_and_hold(&w);
    parley_seq before = stored_cursor(&w.b);
    w.b.hold_commits = false;
    pl_node_committed(w.b.node, PARLEY_ENOSPC, false, false, w.now);
    world_step(&w);
    assert_true(only_peer(&w.a)->acked < head_of(&w.a));
    assert_int_equal(before, stored_cursor(&w.b));
    world_pass(&w, 10 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_int_equal(head_of(&w.a), only_peer(&w.a)->acked);
    assert_int_equal(head_of(&w.a), stored_cursor(&w.b));
    world_close(&w);
}

/* While the first batch is on its way a second one fills, with more of the same log and a cursor
 * behind it. The first one fails: that cursor must not be stored. */
static void a_cursor_does_not_outlive_the_versions_before_it(void **state)
{
    (void)state;
    struct world w;
    struct pl_effect effect;
    send_and_hold(&w);
    parley_seq before = stored_cursor(&w.b);
    w.b.has_held = false;
    write_message(&w, &w.a, "3");
    world_pass(&w, PARLEY_NS_PER_S);
    assert_true(pl_batch_count(w.b.node) != 0);
    pl_node_committed(w.b.node, PARLEY_ENOSPC, false, false, w.now);
    bool found = false;
    while (pl_node_take_effect(w.b.node, &effect)) {
        if (effect.kind == PL_EFFECT_CLOSE)
            pl_node_closed(w.b.node, effect.conn, w.now);
        if (effect.kind != PL_EFFECT_COMMIT)
            continue;
        bool changed = false;
        found = true;
        assert_ok(parley_db_apply(w.b.db, effect.writes, effect.count, w.now.wall, &changed));
        assert_int_equal(before, stored_cursor(&w.b));
        pl_node_committed(w.b.node, PARLEY_OK, false, changed, w.now);
    }
    assert_true(found);
    w.b.conn = 0;
    w.b.hold_commits = false;
    world_part(&w);
    w.apart = false;
    world_pass(&w, 30 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_int_equal(head_of(&w.a), stored_cursor(&w.b));
    world_close(&w);
}

/* ---- Another store under the same identity ---- */

static void stop(struct world *w, struct side *s)
{
    world_part(w);
    pl_node_stop(s->node, w->now);
    world_step(w);
    pl_node_free(s->node);
    parley_db_close(s->db);
}

/* Puts a copy of a store that was made before in the place of the one that a side has now. */
static void put_back(struct world *w, struct side *s, const char *copy)
{
    stop(w, s);
    s->store = copy;
    side_open(w, s);
}

static void meet_again(struct world *w)
{
    w->apart = false;
    world_pass(w, 30 * PARLEY_NS_PER_S);
}

static void assert_equal_now(struct world *w, uint64_t count)
{
    struct parley_root a = db_util_root(w->a.db);
    struct parley_root b = db_util_root(w->b.db);
    assert_int_equal(count, a.count);
    assert_int_equal(count, b.count);
    assert_memory_equal(a.sum, b.sum, sizeof a.sum);
}

/* The numbers go on as if nothing had happened, and name other versions: what is missing is found
 * at once, not when somebody looks why the roots differ. */
static void a_cursor_into_another_life_of_a_store_is_void(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    write_message(&w, &w.a, "both");
    world_pass(&w, PARLEY_NS_PER_S);
    world_settle(&w);
    env_mem_copy(&w.env, "a", "a-old");
    write_message(&w, &w.a, "old-1");
    write_message(&w, &w.a, "old-2");
    world_pass(&w, PARLEY_NS_PER_S);
    world_settle(&w);
    parley_seq cursor = stored_cursor(&w.b);
    put_back(&w, &w.a, "a-old");
    for (char id[] = "new-1"; id[4] <= '4'; id[4]++) {
        write_message(&w, &w.a, id);
        world_pass(&w, PARLEY_NS_PER_S);
    }
    assert_true(head_of(&w.a) > cursor);
    meet_again(&w);
    assert_equal_now(&w, 7);
    world_close(&w);
}

static parley_seq applied_at_the_start(struct world *w, const struct parley_incarnation *life)
{
    static struct pl_round round;
    static struct pl_peer peer;
    struct parley_db_state db = db_util_state(w->b.db);
    struct pl_round_view view = { .state = &db, .now = w->now };
    bool changed = false;
    peer = *only_peer(&w->b);
    assert_ok(parley_read_begin(w->b.db, &view.read));
    assert_ok(pl_round_init(&round, &w->env.t.env, &peer, *life, true, 1, &view, &changed));
    parley_read_end(view.read);
    pl_round_deinit(&round);
    return round.applied;
}

static void a_session_begins_with_the_cursor_of_this_life_alone(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    write_message(&w, &w.a, "1");
    world_pass(&w, PARLEY_NS_PER_S);
    world_settle(&w);
    struct parley_incarnation life = db_util_state(w.a.db).incarnation;
    assert_int_equal(head_of(&w.a), applied_at_the_start(&w, &life));
    life.bytes[PARLEY_INCARNATION_BYTES - 1] ^= 1;
    assert_int_equal(0, applied_at_the_start(&w, &life));
    world_close(&w);
}

/* What came from a peer is not sent back to it; but a peer that was put back has lost it. */
static void what_a_peer_wrote_in_an_older_life_is_sent_back_to_it(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    env_mem_copy(&w.env, "b", "b-old");
    for (char id[] = "1"; id[0] <= '5'; id[0]++)
        write_message(&w, &w.b, id);
    world_pass(&w, PARLEY_NS_PER_S);
    world_settle(&w);
    assert_equal_now(&w, 5);
    put_back(&w, &w.b, "b-old");
    assert_int_equal(0, db_util_root(w.b.db).count);
    meet_again(&w);
    assert_equal_now(&w, 5);
    world_close(&w);
}

/* ---- Acknowledgements ---- */

static parley_err acknowledge(struct pl_round *round, const struct pl_round_view *view,
                              uint64_t seq)
{
    uint8_t body[16];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    pl_mp_write_array(&w, 1);
    pl_mp_write_uint(&w, seq);
    return pl_round_on_ack(round, pl_writer_span(&w), view);
}

static void an_acknowledgement_counts_for_what_this_session_has_sent(void **state)
{
    (void)state;
    static struct pl_peer peer;
    static struct pl_round round;
    struct parley_db_state db = { .head = 10 };
    struct pl_round_view view = { .state = &db };
    round.peer = &peer;
    round.started = true;
    round.sent = 5;
    round.acked = 2;
    assert_ok(acknowledge(&round, &view, 7));
    assert_int_equal(2, round.acked);
    assert_ok(acknowledge(&round, &view, 4));
    assert_int_equal(4, round.acked);
    assert_int_equal(4, peer.acked);
    assert_ok(acknowledge(&round, &view, 3));
    assert_int_equal(4, round.acked);
    assert_err(PARLEY_EPROTO, acknowledge(&round, &view, 11));
    assert_err(PARLEY_EPROTO, pl_round_on_ack(&round, pl_span_of("\x92\x01\x01", 3), &view));
    assert_err(PARLEY_EPROTO, pl_round_on_ack(&round, pl_span_of("\x91\xc0", 2), &view));
    assert_int_equal(4, round.acked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acknowledgement_waits_for_the_commit),
        cmocka_unit_test(what_was_not_committed_is_not_acknowledged_and_comes_again),
        cmocka_unit_test(a_cursor_does_not_outlive_the_versions_before_it),
        cmocka_unit_test(a_cursor_into_another_life_of_a_store_is_void),
        cmocka_unit_test(a_session_begins_with_the_cursor_of_this_life_alone),
        cmocka_unit_test(what_a_peer_wrote_in_an_older_life_is_sent_back_to_it),
        cmocka_unit_test(an_acknowledgement_counts_for_what_this_session_has_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
