/* SPDX-License-Identifier: Apache-2.0
 *
 * One node and a peer that speaks the protocol by hand over plain bytes. For one test program: it
 * holds functions.
 */
#ifndef NODE_RIG_H
#define NODE_RIG_H

#include "lib/env_mem.h"
#include "lib/keys.h"

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
    bool greedy;    /* wants all that is offered */
    size_t offers;
    size_t answers;
    unsigned answer_bits; /* the first eight of the last ANSWER */
    uint8_t *heard;       /* all that the node sent, while the peer keeps it */
    size_t heard_len;
    uint8_t wanted[PL_OFFER_ENTRIES_MAX / 8 + 1]; /* the bits of the last WANT */
    size_t wanted_len;
};

static inline void rig_open(struct rig *r)
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

static inline void finish_commit(struct rig *r, const struct pl_effect *effect, parley_err fail)
{
    bool changed = false;
    parley_err err = fail;
    if (fail == PARLEY_OK)
        err = parley_db_apply(r->db, effect->writes, effect->count, r->now.wall, &changed);
    pl_node_committed(r->node, err, true, changed, r->now);
}

static inline void run_effects(struct rig *r)
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

/* Answers an OFFER with a WANT of every bit. */
static inline void want_all(struct rig *r, uint64_t number, size_t count)
{
    uint8_t bits[PL_OFFER_ENTRIES_MAX / 8 + 1];
    struct pl_writer w;
    memset(bits, 0xff, sizeof bits);
    assert_true(pl_session_send_begin(r->s, PL_MSG_WANT, sizeof bits + 32, &w));
    pl_mp_write_array(&w, 2);
    pl_mp_write_uint(&w, number);
    pl_mp_write_bin(&w, pl_span_of(bits, (count + 7) / 8));
    pl_session_send_end(r->s, &w);
}

/* The number of an OFFER and of the keys in it. */
static inline size_t read_offer(struct pl_reader body, uint64_t *number)
{
    struct pl_query_walk walk = { 0 };
    size_t count = 0;
    *number = pl_varint_read(&body);
    for (bool found = true; found;) {
        struct pl_query_item item = { .count = 0 };
        assert_ok(pl_query_read(&body, &walk, &item, &found));
        count += found && item.kind == PL_QUERY_HAVE ? item.count : 0;
    }
    return count;
}

static inline void take_message(struct rig *r, const struct pl_session_event *event)
{
    struct pl_reader body = pl_reader_over(event->body);
    uint64_t number = 0;
    size_t offered = 0;
    if (event->type == PL_MSG_OFFER && r->greedy)
        offered = read_offer(body, &number);
    if (event->type == PL_MSG_WANT) {
        pl_mp_read_array(&body, 2);
        pl_mp_read_uint(&body);
        struct parley_span bits = pl_mp_read_bin(&body, sizeof r->wanted);
        r->wanted_len = bits.len;
        if (bits.len != 0)
            memcpy(r->wanted, bits.ptr, bits.len);
    }
    if (event->type == PL_MSG_ACK) {
        pl_mp_read_array(&body, 1);
        r->acked = pl_mp_read_uint(&body);
    }
    if (event->type == PL_MSG_ANSWER) {
        pl_varint_read(&body);
        r->answer_bits = pl_reader_left(&body) != 0 ? pl_read_u8(&body) : 0;
    }
    r->wants += event->type == PL_MSG_WANT ? 1 : 0;
    r->offers += event->type == PL_MSG_OFFER ? 1 : 0;
    r->answers += event->type == PL_MSG_ANSWER ? 1 : 0;
    pl_session_message_done(r->s);
    if (offered != 0)
        want_all(r, number, offered);
}

static inline bool take_events(struct rig *r)
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

static inline void keep(struct rig *r, const uint8_t *bytes, size_t len)
{
    r->heard = realloc(r->heard, r->heard_len + len);
    memcpy(r->heard + r->heard_len, bytes, len);
    r->heard_len += len;
}

/* Moves bytes one way, as far as the other side takes them. */
static inline bool carry(struct rig *r, bool to_node)
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
        keep(r, from, len);
        pl_node_send_ack(r->node, r->conn, len, r->now);
        pl_session_recv_ack(r->s, len, r->now.mono);
    }
    return true;
}

static inline void settle(struct rig *r)
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

static inline void wait_for(struct rig *r, parley_time ns)
{
    r->now.mono += ns;
    r->now.wall += (parley_wall)(ns / 1000);
    pl_node_tick(r->node, r->now);
    settle(r);
}

static inline void dial(struct rig *r)
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

static inline void rig_close(struct rig *r)
{
    r->hold = false;
    if (r->has_held)
        finish_commit(r, &r->held, PARLEY_OK);
    if (r->conn != 0)
        pl_node_closed(r->node, r->conn, r->now);
    r->conn = 0;
    run_effects(r);
    free(r->heard);
    pl_session_free(r->s);
    pl_node_free(r->node);
    parley_db_close(r->db);
    pl_identity_destroy(r->peer_identity);
    env_mem_deinit(&r->env);
}

static inline void commit_held(struct rig *r, parley_err fail)
{
    struct pl_effect effect = r->held;
    assert_true(r->has_held);
    r->has_held = false;
    finish_commit(r, &effect, fail);
    settle(r);
}

/* ---- What the peer says ---- */

static inline struct pl_writer begin(struct rig *r, enum pl_message_type type, size_t max)
{
    struct pl_writer w;
    for (int i = 0; !pl_session_send_begin(r->s, type, max, &w); i++) {
        assert_true(i < 10 && r->conn != 0);
        settle(r);
    }
    return w;
}

static inline void end(struct rig *r, const struct pl_writer *w)
{
    pl_session_send_end(r->s, w);
    settle(r);
}

static inline struct parley_version small_version(struct rig *r, char id[32])
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
static inline void send_changes(struct rig *r, parley_seq seq, size_t count)
{
    struct pl_writer w = begin(r, PL_MSG_CHANGES, 8000);
    struct pl_change_state state = { 0 };
    char id[64][32];
    assert_true(count <= 64);
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), seq);
    for (size_t i = 0; i < count; i++) {
        struct parley_version v = small_version(r, id[i]);
        assert_true(pl_change_write(&w, &state, &v));
    }
    end(r, &w);
}

/* A PART that holds the whole of one version. */
static inline void send_part(struct rig *r, const char *name_space)
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

static inline uint64_t stored_messages(struct rig *r)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info;
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    parley_read_end(read);
    return found ? info.messages : 0;
}

static inline parley_seq stored_cursor(struct rig *r)
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

/* Offers `count` versions of a namespace, which the node cannot have. */
static inline void put_offer(struct rig *r, struct pl_writer *w, struct pl_query_walk *walk,
                             const char *name_space, uint32_t count)
{
    struct pl_query_item item = { .kind = PL_QUERY_SPACE, .name_space = pl_span_text(name_space) };
    pl_query_write(w, walk, &item);
    item.kind = PL_QUERY_HAVE;
    item.count = count;
    for (uint32_t i = 0; i < count; i++) {
        item.times[i] = r->times++;
        item.keys[i] = 1 + i;
    }
    pl_query_write(w, walk, &item);
}

static inline struct pl_writer begin_offer(struct rig *r, uint64_t number,
                                           struct pl_query_walk *walk)
{
    static const uint8_t salt[PL_QUERY_SALT_BYTES] = { 1 };
    struct pl_writer w = begin(r, PL_MSG_OFFER, 4000);
    struct pl_query_item item = { .kind = PL_QUERY_BEGIN, .salt = pl_span_of(salt, sizeof salt) };
    *walk = (struct pl_query_walk){ 0 };
    pl_varint_write(&w, number);
    pl_query_write(&w, walk, &item);
    return w;
}

static inline void send_offer(struct rig *r, uint64_t number, uint32_t count)
{
    struct pl_query_walk walk;
    struct pl_writer w = begin_offer(r, number, &walk);
    put_offer(r, &w, &walk, "main", count);
    end(r, &w);
}

#endif
