/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole nodes in one process, joined by byte queues. For one test program at a time: it holds
 * functions.
 */
#ifndef NODE_PAIR_H
#define NODE_PAIR_H

#include "lib/env_mem.h"
#include "lib/keys.h"

#include "core/message.h"
#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>

#define QUEUE_BYTES (1u << 20)

struct queue {
    uint8_t *bytes; /* QUEUE_BYTES */
    size_t len;
};

struct side {
    const char *store;
    const char *key;
    struct parley_db *db;
    struct pl_node *node;
    pl_conn conn;
    struct queue in; /* bytes that the other side sent */
    uint64_t commits;
};

struct world {
    struct env_mem env;
    struct side a, b; /* b dials a */
    struct parley_now now;
    size_t piece_max; /* bytes moved at once */
    bool tls;
    uint64_t wire_bytes;
};

static void open_side(struct world *w, struct side *s)
{
    struct parley_db_options db_options = { .name = s->store };
    struct pl_node_options options = { .plain_peers = !w->tls, .version = "test" };
    struct pl_identity *identity = NULL;
    bool renewed = false;
    assert_ok(pl_identity_import(&w->env.t.env, pl_span_text(s->key), &identity, NULL));
    assert_ok(parley_db_open(&w->env.t.env, &db_options, &s->db, &renewed, NULL));
    assert_ok(pl_node_open(&w->env.t.env, &options, s->db, identity, w->now, &s->node, NULL));
}

static void open_world(struct world *w, bool tls, size_t piece_max)
{
    *w = (struct world){ .tls = tls, .piece_max = piece_max };
    env_mem_init(&w->env);
    w->now = (struct parley_now){ .mono = 1, .wall = INT64_C(1700000000) * PARLEY_US_PER_S };
    w->a = (struct side){ .store = "a", .key = TEST_KEY_A_PKCS8 };
    w->b = (struct side){ .store = "b", .key = TEST_KEY_B_PKCS1 };
    w->a.in.bytes = malloc(QUEUE_BYTES);
    w->b.in.bytes = malloc(QUEUE_BYTES);
    open_side(w, &w->a);
    open_side(w, &w->b);
}

static void run_effects(struct world *w, struct side *s, struct side *other)
{
    struct pl_effect effect;
    while (pl_node_take_effect(s->node, &effect)) {
        switch (effect.kind) {
        case PL_EFFECT_DIAL:
            if (s->conn != 0 || other->node == NULL) {
                pl_node_dialed(s->node, effect.conn, false, true, "nobody listens", w->now);
                break;
            }
            s->conn = effect.conn;
            s->in.len = 0;
            other->in.len = 0;
            other->conn = pl_node_accepted(other->node, true, w->now);
            pl_node_dialed(s->node, effect.conn, true, true, "", w->now);
            break;
        case PL_EFFECT_CLOSE:
            if (s->conn == effect.conn)
                s->conn = 0;
            pl_node_closed(s->node, effect.conn, w->now);
            break;
        case PL_EFFECT_COMMIT: {
            bool changed = false;
            parley_err err =
                parley_db_apply(s->db, effect.writes, effect.count, w->now.wall, &changed);
            s->commits += changed ? 1 : 0;
            pl_node_committed(s->node, err, true, changed, w->now);
            break;
        }
        case PL_EFFECT_WRITE:
        case PL_EFFECT_READ:
        case PL_EFFECT_MAINTAIN:
            break;
        }
    }
}

/* Moves bytes from one side's send buffer through the queue into the other. True if any moved. */
static bool move_bytes(struct world *w, struct side *from, struct side *to)
{
    size_t len = 0;
    bool moved = false;
    const uint8_t *bytes = from->conn == 0 ? NULL : pl_node_send_buf(from->node, from->conn, &len);
    len = bytes == NULL ? 0 : pl_min_size(pl_min_size(len, w->piece_max), QUEUE_BYTES - to->in.len);
    if (len > 0) {
        memcpy(to->in.bytes + to->in.len, bytes, len);
        to->in.len += len;
        w->wire_bytes += len;
        pl_node_send_ack(from->node, from->conn, len, w->now);
        moved = true;
    }
    size_t room = 0;
    uint8_t *buf = to->conn == 0 ? NULL : pl_node_recv_buf(to->node, to->conn, &room);
    room = buf == NULL ? 0 : pl_min_size(pl_min_size(room, w->piece_max), to->in.len);
    if (room > 0) {
        memcpy(buf, to->in.bytes, room);
        memmove(to->in.bytes, to->in.bytes + room, to->in.len - room);
        to->in.len -= room;
        pl_node_recv_ack(to->node, to->conn, room, w->now);
        moved = true;
    }
    return moved;
}

/* A connection that one side has closed is closed for the other once its bytes are through. */
static void carry_close(struct world *w, struct side *s, struct side *other)
{
    if (s->conn == 0 && other->conn != 0 && other->in.len == 0)
        pl_node_recv_end(other->node, other->conn, w->now);
}

static void step(struct world *w)
{
    for (int i = 0; i < 200000; i++) {
        run_effects(w, &w->a, &w->b);
        run_effects(w, &w->b, &w->a);
        bool moved = move_bytes(w, &w->a, &w->b);
        moved = move_bytes(w, &w->b, &w->a) || moved;
        carry_close(w, &w->a, &w->b);
        carry_close(w, &w->b, &w->a);
        if (!moved && w->a.node->effect_count == 0 && w->b.node->effect_count == 0)
            return;
    }
    fail_msg("the nodes never come to rest");
}

static void pass_time(struct world *w, parley_time ns)
{
    w->now.mono += ns;
    w->now.wall += (parley_wall)(ns / 1000);
    pl_node_tick(w->a.node, w->now);
    pl_node_tick(w->b.node, w->now);
    step(w);
}

static void settle(struct world *w)
{
    step(w);
    for (int i = 0; i < 40; i++) {
        if (pl_node_in_sync(w->a.node) && pl_node_in_sync(w->b.node))
            return;
        pass_time(w, 5 * PARLEY_NS_PER_S);
    }
    fail_msg("not in sync: a says %s, b says %s",
             w->a.node->peers.count > 0 ? w->a.node->peers.table[0]->note : "-",
             w->b.node->peers.count > 0 ? w->b.node->peers.table[0]->note : "-");
}

static void join(struct world *w)
{
    char url[512];
    struct parley_diag diag = { "" };
    assert_ok(pl_node_invite(w->a.node, pl_span_text("main"), true,
                             w->now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w->now));
    step(w);
    parley_err err = pl_node_join(w->b.node, pl_span_text(url), w->now, &diag);
    if (err != PARLEY_OK)
        fail_msg("join: %s", diag.text);
    step(w);
    if (w->b.node->join.phase != PL_JOIN_DONE)
        fail_msg("join ended in phase %d: %s", w->b.node->join.phase, w->b.node->join.error);
}

static void stop_side(struct world *w, struct side *s)
{
    pl_node_stop(s->node, w->now);
    step(w);
    if (s->conn != 0)
        pl_node_closed(s->node, s->conn, w->now);
    s->conn = 0;
    step(w);
    pl_node_free(s->node);
    parley_db_close(s->db);
    s->node = NULL;
}

/* The power goes: nothing is said to anybody. */
static void kill_side(struct world *w, struct side *s, struct side *other)
{
    struct pl_effect effect;
    while (pl_node_take_effect(s->node, &effect)) {
    }
    for (pl_handle h = pl_slab_next(&s->node->conns, 0); h != 0;
         h = pl_slab_next(&s->node->conns, h))
        pl_node_closed(s->node, h, w->now);
    pl_node_free(s->node);
    parley_db_close(s->db);
    s->conn = 0;
    if (other->conn != 0)
        pl_node_closed(other->node, other->conn, w->now);
    other->conn = 0;
    open_side(w, s);
}

static void close_world(struct world *w)
{
    stop_side(w, &w->b);
    w->b.node = NULL;
    pl_node_stop(w->a.node, w->now);
    struct pl_effect effect;
    while (pl_node_take_effect(w->a.node, &effect)) {
        if (effect.kind == PL_EFFECT_CLOSE)
            pl_node_closed(w->a.node, effect.conn, w->now);
    }
    for (pl_handle h = pl_slab_next(&w->a.node->conns, 0); h != 0;
         h = pl_slab_next(&w->a.node->conns, h))
        pl_node_closed(w->a.node, h, w->now);
    pl_node_free(w->a.node);
    parley_db_close(w->a.db);
    free(w->a.in.bytes);
    free(w->b.in.bytes);
    env_mem_deinit(&w->env);
}

static void write_message(struct world *w, struct side *s, const char *conversation, const char *id,
                          struct pl_span content)
{
    uint8_t *body = malloc(content.len + 64);
    struct pl_writer out = pl_writer_over(body, content.len + 64);
    struct pl_message message = { .role = pl_span_text("user"), .content = content };
    pl_message_encode(&out, &message);
    struct parley_version v = { .name_space = pl_span_text("main"),
                                .conversation = pl_span_text(conversation),
                                .id = pl_span_text(id),
                                .kind = PARLEY_KIND_MESSAGE,
                                .origin = pl_span_text(pl_node_backend_id(s->node)),
                                .body = pl_writer_span(&out) };
    while (pl_node_write(s->node, &v, w->now) == PARLEY_EAGAIN)
        step(w);
    free(body);
}

static struct parley_root root_of(struct side *s)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    parley_read_end(read);
    return found ? info.root : (struct parley_root){ 0 };
}

static void assert_equal_roots(struct world *w, uint64_t count)
{
    struct parley_root a = root_of(&w->a);
    struct parley_root b = root_of(&w->b);
    assert_int_equal(count, a.count);
    assert_int_equal(count, b.count);
    assert_memory_equal(a.sum, b.sum, sizeof a.sum);
}

static void write_many(struct world *w, struct side *s, const char *prefix, int count)
{
    char id[32];
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%s-%d", prefix, i);
        write_message(w, s, i % 3 == 0 ? "talk-0" : "talk-1", id, pl_span_text("hello"));
    }
}

#endif
