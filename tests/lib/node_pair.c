/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/node_pair.h"

#include "lib/keys.h"

#include <stdlib.h>

#define QUEUE_BYTES (1u << 20)

static struct pl_identity *stored_key(struct world *w, struct side *s)
{
    struct parley_read *read = NULL;
    struct parley_span record;
    struct pl_identity *identity = NULL;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_sys(read, pl_span_text(PL_IDENTITY_RECORD_KEY), &record, &found));
    assert_ok(
        pl_identity_import(&w->env.t.env, found ? record : pl_span_text(s->key), &identity, NULL));
    parley_read_end(read);
    return identity;
}

void side_open(struct world *w, struct side *s)
{
    struct parley_db_options db_options = { .name = s->store };
    struct pl_node_options options = { .plain_peers = !w->tls,
                                       .version = "test",
                                       .tombstone_grace_us = w->grace_us };
    struct pl_identity *identity = NULL;
    bool renewed = false;
    assert_ok(parley_db_open(&w->env.t.env, &db_options, &s->db, &renewed, NULL));
    identity = stored_key(w, s);
    assert_ok(pl_node_open(&w->env.t.env, &options, s->db, identity, w->now, &s->node, NULL));
}

void world_open(struct world *w, bool tls, size_t piece_max)
{
    *w = (struct world){ .tls = tls, .piece_max = piece_max };
    env_mem_init(&w->env);
    w->now = (struct parley_now){ .mono = 1, .wall = INT64_C(1700000000) * PARLEY_US_PER_S };
    w->a = (struct side){ .store = "a", .key = TEST_KEY_A_PKCS8 };
    w->b = (struct side){ .store = "b", .key = TEST_KEY_B_PKCS1 };
    w->a.in.bytes = malloc(QUEUE_BYTES);
    w->b.in.bytes = malloc(QUEUE_BYTES);
    side_open(w, &w->a);
    side_open(w, &w->b);
}

void world_set_grace(struct world *w, int64_t grace_us)
{
    w->grace_us = grace_us;
    w->a.node->options.tombstone_grace_us = grace_us;
    w->b.node->options.tombstone_grace_us = grace_us;
}

static void commit(struct world *w, struct side *s, const struct pl_effect *effect)
{
    bool changed = false;
    bool recovered = false;
    if (s->on_commit != NULL)
        s->on_commit(s, effect);
    parley_err err = parley_db_apply(s->db, effect->writes, effect->count, w->now.wall, &changed);
    if (err == PARLEY_EIO)
        recovered = parley_db_recover(s->db) == PARLEY_OK;
    s->commits += changed ? 1 : 0;
    pl_node_committed(s->node, err, recovered, changed, w->now);
}

void side_commit(struct world *w, struct side *s)
{
    assert_true(s->has_held);
    s->has_held = s->hold_commits = false;
    commit(w, s, &s->held);
}

void world_effects(struct world *w, struct side *s, struct side *other)
{
    struct pl_effect effect;
    while (pl_node_take_effect(s->node, &effect)) {
        switch (effect.kind) {
        case PL_EFFECT_DIAL:
            if (s->conn != 0 || other->node == NULL || w->apart) {
                pl_node_dialed(s->node, effect.conn, false, true, "nobody listens", w->now);
                break;
            }
            s->conn = effect.conn;
            s->in.len = 0;
            other->in.len = 0;
            other->conn =
                pl_node_accepted(other->node, &(struct pl_remote){ .local = true }, w->now);
            pl_node_dialed(s->node, effect.conn, true, true, "", w->now);
            break;
        case PL_EFFECT_CLOSE:
            if (s->conn == effect.conn)
                s->conn = 0;
            pl_node_closed(s->node, effect.conn, w->now);
            break;
        case PL_EFFECT_COMMIT:
            if (s->hold_commits) {
                s->held = effect;
                s->has_held = true;
            } else {
                commit(w, s, &effect);
            }
            break;
        case PL_EFFECT_NEW_KEY:
            s->wants_key = true;
            break;
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
    if (w->wire_max != 0)
        len = pl_min_size(len, (size_t)(w->wire_max - pl_min_u64(w->wire_max, w->wire_bytes)));
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

void world_step(struct world *w)
{
    for (int i = 0; i < 200000; i++) {
        world_effects(w, &w->a, &w->b);
        world_effects(w, &w->b, &w->a);
        bool moved = move_bytes(w, &w->a, &w->b);
        moved = move_bytes(w, &w->b, &w->a) || moved;
        carry_close(w, &w->a, &w->b);
        carry_close(w, &w->b, &w->a);
        if (!moved && w->a.node->effect_count == 0 && w->b.node->effect_count == 0)
            return;
    }
    fail_msg("the nodes never come to rest");
}

void world_pass(struct world *w, parley_time ns)
{
    w->now.mono += ns;
    w->now.wall += (parley_wall)(ns / 1000);
    pl_node_tick(w->a.node, w->now);
    pl_node_tick(w->b.node, w->now);
    world_step(w);
}

void world_part(struct world *w)
{
    w->apart = true;
    if (w->a.conn != 0)
        pl_node_closed(w->a.node, w->a.conn, w->now);
    if (w->b.conn != 0)
        pl_node_closed(w->b.node, w->b.conn, w->now);
    w->a.conn = w->b.conn = 0;
    world_step(w);
}

void world_settle(struct world *w)
{
    world_step(w);
    for (int i = 0; i < 40; i++) {
        if (pl_node_in_sync(w->a.node) && pl_node_in_sync(w->b.node))
            return;
        world_pass(w, 5 * PARLEY_NS_PER_S);
    }
    fail_msg("not in sync: a says %s, b says %s",
             w->a.node->peers.count > 0 ? w->a.node->peers.table[0]->note : "-",
             w->b.node->peers.count > 0 ? w->b.node->peers.table[0]->note : "-");
}

void world_join(struct world *w)
{
    char url[512];
    struct parley_diag diag = { "" };
    assert_ok(pl_node_invite(w->a.node, pl_span_text("main"), true,
                             w->now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w->now));
    world_step(w);
    parley_err err = pl_node_join(w->b.node, pl_span_text(url), w->now, &diag);
    if (err != PARLEY_OK)
        fail_msg("join: %s", diag.text);
    world_step(w);
    if (w->b.node->join.phase != PL_JOIN_DONE)
        fail_msg("join ended in phase %d: %s", w->b.node->join.phase, w->b.node->join.error);
}

void side_stop(struct world *w, struct side *s)
{
    pl_node_stop(s->node, w->now);
    world_step(w);
    if (s->conn != 0)
        pl_node_closed(s->node, s->conn, w->now);
    s->conn = 0;
    world_step(w);
    pl_node_free(s->node);
    parley_db_close(s->db);
    s->node = NULL;
}

void side_kill(struct world *w, struct side *s, struct side *other)
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
    s->wants_key = s->has_held = s->hold_commits = false;
    if (other->conn != 0)
        pl_node_closed(other->node, other->conn, w->now);
    other->conn = 0;
    side_open(w, s);
}

void world_close(struct world *w)
{
    side_stop(w, &w->b);
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

void side_key_made(struct world *w, struct side *s, const char *pem)
{
    struct pl_identity *identity = NULL;
    assert_true(s->wants_key);
    s->wants_key = false;
    assert_ok(pl_identity_import(&w->env.t.env, pl_span_text(pem), &identity, NULL));
    pl_node_key_made(s->node, identity, pl_span_text(pem), PARLEY_OK, w->now);
    world_step(w);
}

void side_rotate(struct world *w, struct side *s, const char *pem)
{
    assert_ok(pl_node_rotate(s->node, 0, w->now));
    world_step(w);
    side_key_made(w, s, pem);
    assert_int_equal(PL_ROTATE_DONE, s->node->rotate.phase);
}
