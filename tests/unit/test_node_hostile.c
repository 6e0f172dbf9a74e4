/* SPDX-License-Identifier: Apache-2.0
 *
 * One node and a peer that speaks the protocol by hand: what it may not get by being hostile, and
 * what the node promises to it while commits wait, fail or come late.
 */
#include "lib/env_mem.h"
#include "lib/keys.h"

#include "core/message.h"
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "node/node_int.h"
#include "sync/change.h"

#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct env_mem env;
    struct parley_db *db;
    struct pl_node *node;
    struct pl_identity *peer_identity;
    char peer_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_peer *peer;
    struct pl_session *s; /* the peer's end */
    pl_conn conn;
    struct parley_now now;
    bool hold; /* COMMIT effects wait in `held` */
    bool has_held;
    struct pl_effect held;
    bool open, closed;
    uint32_t bye;
    parley_seq acked;
    size_t wants;
    uint64_t times; /* of the versions it sends */
    bool deaf;      /* takes nothing of what the node sends */
};

static void rig_open(struct rig *r)
{
    struct parley_db_options db_options = { .name = "a" };
    struct pl_node_options options = { .plain_peers = true, .version = "test" };
    struct pl_identity *identity = NULL;
    bool renewed = false;
    *r = (struct rig){ .times = 1000 };
    env_mem_init(&r->env);
    const struct parley_env *env = &r->env.t.env;
    r->now = (struct parley_now){ .mono = 1, .wall = INT64_C(1700000000) * PARLEY_US_PER_S };
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_A_PKCS8), &identity, NULL));
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_B_PKCS1), &r->peer_identity, NULL));
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(r->peer_identity), r->peer_id);
    assert_ok(parley_db_open(env, &db_options, &r->db, &renewed, NULL));
    assert_ok(pl_node_open(env, &options, r->db, identity, r->now, &r->node, NULL));
    assert_ok(pl_peers_add(&r->node->peers, env, pl_span_text(r->peer_id), &r->peer));
    r->peer->key = *pl_identity_pubkey(r->peer_identity);
    r->peer->state = PL_PEER_ACTIVE;
    assert_ok(pl_peer_grant(r->peer, pl_span_text("main"), true));
}

static void finish_commit(struct rig *r, const struct pl_effect *effect, parley_err fail)
{
    bool changed = false;
    parley_err err = fail;
    if (fail == PARLEY_OK)
        err = parley_db_apply(r->db, effect->writes, effect->count, r->now.wall, &changed);
    pl_node_committed(r->node, err, true, changed, r->now);
}

static void run_effects(struct rig *r)
{
    struct pl_effect effect;
    while (pl_node_take_effect(r->node, &effect)) {
        if (effect.kind == PL_EFFECT_CLOSE) {
            pl_node_closed(r->node, effect.conn, r->now);
            r->conn = effect.conn == r->conn ? 0 : r->conn;
        } else if (effect.kind == PL_EFFECT_COMMIT && r->hold) {
            assert_false(r->has_held);
            r->held = effect;
            r->has_held = true;
        } else if (effect.kind == PL_EFFECT_COMMIT) {
            finish_commit(r, &effect, PARLEY_OK);
        }
    }
}

static void take_message(struct rig *r, const struct pl_session_event *event)
{
    struct pl_reader body = pl_reader_over(event->body);
    if (event->type == PL_MSG_ACK) {
        pl_mp_read_array(&body, 1);
        r->acked = pl_mp_read_uint(&body);
    }
    r->wants += event->type == PL_MSG_WANT ? 1 : 0;
    pl_session_message_done(r->s);
}

static bool take_events(struct rig *r)
{
    struct pl_session_event event;
    pl_session_next(r->s, &event);
    r->open = r->open || event.kind == PL_SESSION_OPEN;
    if (event.kind == PL_SESSION_CLOSED) {
        r->closed = true;
        r->bye = event.bye;
    }
    if (event.kind == PL_SESSION_MESSAGE)
        take_message(r, &event);
    return event.kind != PL_SESSION_NONE;
}

/* Moves bytes one way, as far as the other side takes them. */
static bool carry(struct rig *r, bool to_node)
{
    size_t have = 0;
    size_t room = 0;
    if (r->conn == 0 || (r->deaf && !to_node))
        return false;
    const uint8_t *from =
        to_node ? pl_session_send_buf(r->s, &have) : pl_node_send_buf(r->node, r->conn, &have);
    uint8_t *to =
        to_node ? pl_node_recv_buf(r->node, r->conn, &room) : pl_session_recv_buf(r->s, &room);
    size_t len = from == NULL || to == NULL ? 0 : pl_min_size(have, room);
    if (len == 0)
        return false;
    memcpy(to, from, len);
    if (to_node) {
        pl_session_send_ack(r->s, len);
        pl_node_recv_ack(r->node, r->conn, len, r->now);
    } else {
        pl_node_send_ack(r->node, r->conn, len, r->now);
        pl_session_recv_ack(r->s, len, r->now.mono);
    }
    return true;
}

static void settle(struct rig *r)
{
    for (int i = 0; i < 100000; i++) {
        run_effects(r);
        bool moved = carry(r, true);
        run_effects(r);
        moved = carry(r, false) || moved;
        moved = take_events(r) || moved;
        if (!moved && r->node->effect_count == 0)
            return;
    }
    fail_msg("the node does not come to rest");
}

static void wait_for(struct rig *r, parley_time ns)
{
    r->now.mono += ns;
    r->now.wall += (parley_wall)(ns / 1000);
    pl_node_tick(r->node, r->now);
    settle(r);
}

static void dial(struct rig *r)
{
    struct pl_session_config config = { .client = true,
                                        .backend_id = pl_span_text(r->peer_id),
                                        .identity = r->peer_identity,
                                        .incarnation.bytes = { 7 } };
    config.expect_backend_id = pl_span_text(r->node->backend_id);
    config.expect_key.key = pl_identity_pubkey(r->node->identity);
    if (r->s != NULL)
        pl_session_free(r->s);
    r->open = r->closed = false;
    r->acked = 0;
    assert_ok(pl_session_open(&r->env.t.env, &config, r->now.mono, &r->s));
    r->conn = pl_node_accepted(r->node, &(struct pl_remote){ .local = true }, r->now);
    settle(r);
    assert_true(r->open);
}

static void rig_close(struct rig *r)
{
    r->hold = false;
    if (r->has_held)
        finish_commit(r, &r->held, PARLEY_OK);
    if (r->conn != 0)
        pl_node_closed(r->node, r->conn, r->now);
    r->conn = 0;
    run_effects(r);
    pl_session_free(r->s);
    pl_node_free(r->node);
    parley_db_close(r->db);
    pl_identity_destroy(r->peer_identity);
    env_mem_deinit(&r->env);
}

static void commit_held(struct rig *r, parley_err fail)
{
    struct pl_effect effect = r->held;
    assert_true(r->has_held);
    r->has_held = false;
    finish_commit(r, &effect, fail);
    settle(r);
}

/* ---- What the peer says ---- */

static struct pl_writer begin(struct rig *r, enum pl_message_type type, size_t max)
{
    struct pl_writer w;
    for (int i = 0; !pl_session_send_begin(r->s, type, max, &w); i++) {
        assert_true(i < 10 && r->conn != 0);
        settle(r);
    }
    return w;
}

static void end(struct rig *r, const struct pl_writer *w)
{
    pl_session_send_end(r->s, w);
    settle(r);
}

static struct parley_version small_version(struct rig *r, char id[32])
{
    static const uint8_t body[] = { 0x92, 0xa4, 'u', 's', 'e', 'r', 0xa2, 'h', 'i' };
    snprintf(id, 32, "m%u", (unsigned)r->times);
    return (struct parley_version){ .name_space = pl_span_text("main"),
                                    .conversation = pl_span_text("talk"),
                                    .id = pl_span_text(id),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = r->times++,
                                    .origin = pl_span_text(r->peer_id),
                                    .body = pl_span_of(body, sizeof body) };
}

/* A CHANGES frame with `count` new messages that brings the node to `seq`. */
static void send_changes(struct rig *r, parley_seq seq, size_t count)
{
    struct pl_writer w = begin(r, PL_MSG_CHANGES, 8000);
    struct pl_change_state state = { 0 };
    char id[64][32];
    assert_true(count <= 64);
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), seq);
    for (size_t i = 0; i < count; i++) {
        struct parley_version v = small_version(r, id[i]);
        assert_true(pl_change_write(&w, &state, &v, NULL));
    }
    end(r, &w);
}

/* A PART that holds the whole of one version. */
static void send_part(struct rig *r, const char *name_space)
{
    struct pl_writer w = begin(r, PL_MSG_PART, 8000);
    char id[32];
    struct parley_version v = small_version(r, id);
    pl_mp_write_uint(&w, v.body.len);
    pl_mp_write_uint(&w, 0);
    pl_mp_write_text(&w, name_space);
    pl_mp_write_str(&w, v.conversation);
    pl_mp_write_str(&w, v.origin);
    pl_mp_write_uint(&w, (uint64_t)v.kind);
    pl_mp_write_str(&w, v.id);
    pl_mp_write_uint(&w, v.time);
    pl_mp_write_bin(&w, v.body);
    end(r, &w);
}

static uint64_t stored_messages(struct rig *r)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info;
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    parley_read_end(read);
    return found ? info.messages : 0;
}

static parley_seq stored_cursor(struct rig *r)
{
    struct parley_read *read = NULL;
    struct parley_incarnation incarnation;
    parley_seq seq = 0;
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_read_cursor(read, r->peer->number, &incarnation, &seq, &found));
    parley_read_end(read);
    return found ? seq : 0;
}

/* ---- Durability ---- */

static void a_large_version_is_not_acknowledged_before_it_is_durable(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_part(&r, "main");
    send_changes(&r, 5, 0); /* moves the cursor over it */
    assert_int_equal(0, r.acked);
    assert_int_equal(0, stored_messages(&r));
    r.hold = false;
    commit_held(&r, PARLEY_OK);
    assert_int_equal(1, stored_messages(&r));
    assert_int_equal(5, r.acked);
    wait_for(&r, 6 * PARLEY_NS_PER_S);
    assert_int_equal(5, stored_cursor(&r));
    rig_close(&r);
}

static void a_large_version_whose_commit_fails_is_never_acknowledged(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_part(&r, "main");
    send_changes(&r, 5, 0);
    r.hold = false;
    commit_held(&r, PARLEY_EMAPFULL);
    wait_for(&r, 6 * PARLEY_NS_PER_S);
    assert_int_equal(0, r.acked);
    assert_int_equal(0, stored_cursor(&r));
    assert_true(r.closed || r.conn == 0);
    rig_close(&r);
}

static void a_failed_commit_takes_the_cursor_of_the_next_batch_with_it(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_changes(&r, 3, 3); /* in flight */
    send_changes(&r, 6, 3); /* fills the next */
    r.hold = false;
    commit_held(&r, PARLEY_EMAPFULL);
    assert_int_equal(0, r.acked);
    assert_true(stored_messages(&r) <= 3);
    assert_int_equal(0, stored_cursor(&r));
    dial(&r);
    assert_int_equal(0, stored_cursor(&r));
    rig_close(&r);
}

static void a_connection_that_is_gone_leaves_no_cursor_over_a_failed_commit(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_changes(&r, 3, 3);
    send_changes(&r, 6, 3);
    pl_node_closed(r.node, r.conn, r.now);
    r.conn = 0;
    r.hold = false;
    commit_held(&r, PARLEY_EMAPFULL);
    assert_int_equal(0, stored_cursor(&r));
    rig_close(&r);
}

/* Local writes, until the filling batch has room for no more than eight. */
static void nearly_fill_batch(struct rig *r)
{
    char id[32];
    while (PL_BATCH_WRITES_MAX - pl_batch_count(r->node) > 8) {
        struct parley_version v = small_version(r, id);
        v.time = 0;
        v.origin = pl_span_text(r->node->backend_id);
        assert_ok(pl_node_write(r->node, &v, r->now));
    }
}

/* One frame lies in two batches: the first part in flight, the rest filling. */
static void a_frame_over_two_batches_needs_both(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_changes(&r, 1, 1); /* in flight; what follows shares the other batch */
    nearly_fill_batch(&r);
    send_changes(&r, 100, 12); /* begins in this batch and goes on in the next */
    commit_held(&r, PARLEY_OK);
    assert_true(r.has_held); /* the batch with the beginning of the frame */
    assert_int_equal(1, r.acked);
    r.hold = false;
    commit_held(&r, PARLEY_EMAPFULL);
    wait_for(&r, 6 * PARLEY_NS_PER_S);
    assert_int_equal(1, r.acked);
    assert_int_equal(1, stored_cursor(&r));
    assert_true(r.closed || r.conn == 0);
    rig_close(&r);
}

static void a_message_held_back_dies_with_its_session(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_changes(&r, 1, 1);
    while (PL_BATCH_WRITES_MAX - pl_batch_count(r.node) > 8)
        send_changes(&r, 2, 1);
    send_changes(&r, 100, 20); /* waits: the batch is full */
    commit_held(&r, PARLEY_EMAPFULL);
    if (r.has_held)
        commit_held(&r, PARLEY_OK);
    if (r.has_held)
        commit_held(&r, PARLEY_OK);
    assert_true(r.closed || r.conn == 0);
    assert_int_equal(0, stored_cursor(&r));
    rig_close(&r);
}

/* Versions that are refused end a frame after the batch with its first ones was committed. */
static void a_frame_whose_end_is_refused_leaves_nothing_to_wait_for(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    for (int turn = 0; turn < 4; turn++) {
        r.hold = true;
        send_changes(&r, 0, 1); /* in flight */
        nearly_fill_batch(&r);
        struct pl_writer w = begin(&r, PL_MSG_CHANGES, 8000);
        struct pl_change_state change = { 0 };
        char id[12][32];
        pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), 0);
        for (size_t i = 0; i < 12; i++) {
            struct parley_version v = small_version(&r, id[i]);
            v.name_space = pl_span_text(i < 7 ? "main" : "theirs");
            assert_true(pl_change_write(&w, &change, &v, NULL));
        }
        end(&r, &w);
        commit_held(&r, PARLEY_OK);
        r.hold = false;
        if (r.has_held)
            commit_held(&r, PARLEY_OK);
        const struct pl_round *round = pl_node_conn_find(r.node, r.conn)->round;
        assert_int_equal(0, round->pending[0].serial);
        assert_int_equal(0, round->pending[1].serial);
    }
    rig_close(&r);
}

static void a_revoked_peer_writes_nothing_more_not_even_a_frame_held_back(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.hold = true;
    send_changes(&r, 1, 1);
    while (PL_BATCH_WRITES_MAX - pl_batch_count(r.node) > 8)
        send_changes(&r, 2, 1);
    send_changes(&r, 100, 20);
    r.hold = false;
    struct pl_effect effect = r.held;
    r.has_held = false;
    bool changed = false;
    assert_ok(parley_db_apply(r.db, effect.writes, effect.count, r.now.wall, &changed));
    size_t before = (size_t)(r.times - 1000);
    /* Room again, and the revocation, before the held frame is looked at. */
    r.peer->state = PL_PEER_REVOKED;
    pl_session_close(pl_node_conn_find(r.node, r.conn)->session, PL_BYE_REVOKED);
    pl_node_committed(r.node, PARLEY_OK, true, changed, r.now);
    settle(&r);
    assert_true(stored_messages(&r) < before - 8);
    rig_close(&r);
}

/* ---- Stalls and storms ---- */

static void large_versions_that_are_refused_give_their_place_back_at_once(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    for (int i = 0; i < 3 * PL_LARGE_MAX; i++)
        send_part(&r, "theirs");
    assert_int_equal(0, r.node->buffered_bytes);
    send_part(&r, "main");
    assert_int_equal(1, stored_messages(&r));
    rig_close(&r);
}

static void send_offer(struct rig *r, uint64_t number, size_t count)
{
    struct pl_writer w = begin(r, PL_MSG_OFFER, 4000);
    struct pl_change_state state = { 0 };
    uint8_t digest[PARLEY_DIGEST_BYTES] = { 1 };
    char id[8][32];
    pl_mp_write_uint(&w, number);
    for (size_t i = 0; i < count; i++) {
        struct parley_version v = small_version(r, id[i]);
        assert_true(pl_change_write(&w, &state, &v, digest));
    }
    end(r, &w);
}

/* Else two nodes that offer to each other, each with more to send than the wire holds, would both
 * stop reading for ever. */
static void an_offer_is_taken_even_when_nothing_can_be_sent(void **state)
{
    struct rig r;
    static uint8_t content[4 * PL_FRAME_BYTES_MAX];
    static uint8_t body[sizeof content + 64];
    char id[32];
    size_t room = 0;
    (void)state;
    rig_open(&r);
    dial(&r);
    struct pl_writer w = begin(&r, PL_MSG_STATE, 200); /* nothing of the node's is here */
    pl_mp_write_array(&w, 6);
    pl_mp_write_uint(&w, 0);
    pl_mp_write_nil(&w);
    pl_mp_write_uint(&w, 0);
    pl_mp_write_int(&w, r.now.wall);
    pl_mp_write_array(&w, 0);
    pl_mp_write_bool(&w, false);
    end(&r, &w);
    r.deaf = true;
    struct pl_writer m = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_of(content, sizeof content) };
    pl_message_encode(&m, &message);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = small_version(&r, id);
    write.u.version.body = pl_writer_span(&m);
    bool changed = false;
    assert_ok(parley_db_apply(r.db, &write, 1, r.now.wall, &changed));
    r.node->state_fresh = false;
    wait_for(&r, PARLEY_NS_PER_MS); /* its first pieces fill what the node may send */
    send_offer(&r, 1, 8);
    send_offer(&r, 2, 8);
    assert_non_null(pl_node_recv_buf(r.node, r.conn, &room)); /* it still reads */
    r.deaf = false;
    settle(&r);
    assert_int_equal(2, r.wants);
    rig_close(&r);
}

static void a_cursor_that_waits_for_a_commit_does_not_spin_the_clock(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    send_changes(&r, 5, 0); /* stored within five seconds */
    r.hold = true;
    send_changes(&r, 0, 1); /* a commit that takes its time */
    wait_for(&r, 6 * PARLEY_NS_PER_S);
    assert_true(pl_node_deadline(r.node) > r.now.mono);
    r.hold = false;
    commit_held(&r, PARLEY_OK);
    wait_for(&r, 6 * PARLEY_NS_PER_S);
    assert_int_equal(5, stored_cursor(&r));
    rig_close(&r);
}

static void a_closed_session_with_more_to_send_does_not_spin_the_clock(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    r.deaf = true;
    struct pl_connection *conn = pl_node_conn_find(r.node, r.conn);
    conn->wants_pump = true; /* the scan was cut short, and then the peer was revoked */
    pl_session_close(conn->session, PL_BYE_REVOKED);
    pl_node_tick(r.node, r.now);
    assert_true(pl_node_deadline(r.node) > r.now.mono);
    rig_close(&r);
}

/* ---- Rights ---- */

static void an_unreachable_peer_can_be_revoked_while_it_is_dialed(void **state)
{
    struct rig r;
    struct pl_effect effect = { 0 };
    (void)state;
    rig_open(&r);
    memcpy(r.peer->address, "192.0.2.1:8825", 15);
    pl_node_tick(r.node, r.now);
    pl_conn dialing = 0;
    while (pl_node_take_effect(r.node, &effect))
        dialing = effect.kind == PL_EFFECT_DIAL ? effect.conn : dialing;
    assert_int_not_equal(0, dialing);
    assert_ok(pl_peering_revoke(r.node, r.peer));
    run_effects(&r); /* the dial is given up */
    assert_null(pl_node_conn_find(r.node, dialing));
    assert_int_equal(PL_SYNC_REFUSED, r.peer->sync);
    assert_int_equal(PARLEY_TIME_NEVER, pl_peering_deadline(r.node));
    rig_close(&r);
}

/* The node joins; the peer serves and names a namespace of its own choice. */
static void joins(const char *named, const char *joined, bool accepts)
{
    struct rig r;
    rig_open(&r);
    struct pl_node *node = r.node;
    struct pl_session_config config = { .backend_id = pl_span_text(r.peer_id),
                                        .identity = r.peer_identity,
                                        .incarnation.bytes = { 7 } };
    r.peer->grant_count = 0;
    node->join = (struct pl_join){ .phase = PL_JOIN_DIALING, .address = "x:1" };
    memcpy(node->join.backend_id, r.peer_id, sizeof r.peer_id);
    memcpy(node->join.name_space, named, strlen(named) + 1);
    memcpy(node->join.fingerprint, r.peer->key.fingerprint, PL_FINGERPRINT_BYTES);
    assert_ok(pl_native_dial_join(node));
    r.conn = node->join.conn;
    assert_ok(pl_session_open(&r.env.t.env, &config, r.now.mono, &r.s));
    pl_node_dialed(node, r.conn, true, true, "", r.now);
    for (int i = 0; i < 100; i++) {
        struct pl_session_event event;
        run_effects(&r);
        carry(&r, true);
        carry(&r, false);
        pl_session_next(r.s, &event);
        if (event.kind == PL_SESSION_PEER)
            pl_session_admit(r.s, NULL);
        if (event.kind == PL_SESSION_JOIN)
            pl_session_joined(r.s, pl_span_text(joined), true);
        if (event.kind == PL_SESSION_MESSAGE)
            pl_session_message_done(r.s);
        r.open = r.open || event.kind == PL_SESSION_OPEN;
    }
    assert_int_equal(accepts, r.open);
    assert_int_equal(accepts ? PL_JOIN_DONE : PL_JOIN_FAILED, node->join.phase);
    assert_int_equal(accepts ? 1 : 0, r.peer->grant_count);
    rig_close(&r);
}

static void a_join_grants_the_namespace_of_the_invite(void **state)
{
    (void)state;
    joins("shared", "shared", true);
}

static void a_join_grants_no_other_namespace_than_the_invite_says(void **state)
{
    (void)state;
    joins("shared", "private", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_version_is_not_acknowledged_before_it_is_durable),
        cmocka_unit_test(a_large_version_whose_commit_fails_is_never_acknowledged),
        cmocka_unit_test(a_failed_commit_takes_the_cursor_of_the_next_batch_with_it),
        cmocka_unit_test(a_connection_that_is_gone_leaves_no_cursor_over_a_failed_commit),
        cmocka_unit_test(a_frame_over_two_batches_needs_both),
        cmocka_unit_test(a_message_held_back_dies_with_its_session),
        cmocka_unit_test(a_frame_whose_end_is_refused_leaves_nothing_to_wait_for),
        cmocka_unit_test(a_revoked_peer_writes_nothing_more_not_even_a_frame_held_back),
        cmocka_unit_test(large_versions_that_are_refused_give_their_place_back_at_once),
        cmocka_unit_test(an_offer_is_taken_even_when_nothing_can_be_sent),
        cmocka_unit_test(a_cursor_that_waits_for_a_commit_does_not_spin_the_clock),
        cmocka_unit_test(a_closed_session_with_more_to_send_does_not_spin_the_clock),
        cmocka_unit_test(an_unreachable_peer_can_be_revoked_while_it_is_dialed),
        cmocka_unit_test(a_join_grants_the_namespace_of_the_invite),
        cmocka_unit_test(a_join_grants_no_other_namespace_than_the_invite_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
