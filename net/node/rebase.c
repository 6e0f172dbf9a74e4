/* SPDX-License-Identifier: Apache-2.0
 *
 * A rebase: this node was away, and a peer may have collected what it still has (G4 of
 * net/sync/floor.h). One at a time; the other sessions wait, and send nothing that old meanwhile.
 *
 *   begin -> COMPARING --trash stored--> RAISING --own tombstones gone, floor raised--> done
 *
 * Whatever breaks before RAISING leaves floor and tombstones as they were, so that it begins anew.
 * Tombstones of this node go with the rise of the floor, never before: without them, and without a
 * floor that says so, a third node could bring back what they delete. What they have hidden of the
 * peer's versions makes the roots differ then, and an ordinary comparison brings it. From the
 * beginning on old versions of other peers that do not know the floor are passed over (G5): another
 * node that was away must not bring back what is just being put into the trash.
 */
#include "node/node_int.h"

static struct pl_connection *find_session(struct pl_node *node)
{
    struct pl_connection *conn = pl_node_conn_find(node, node->rebase.conn);
    bool open = conn != NULL && !conn->closing && conn->round != NULL && conn->peer != NULL &&
                pl_session_is_open(conn->session);
    return open ? conn : NULL;
}

uint64_t pl_rebase_floor(const struct pl_node *node, struct parley_span name_space)
{
    const struct pl_rebase *r = &node->rebase;
    bool same = r->phase != PL_REBASE_IDLE && pl_span_is(name_space, r->name_space);
    return same ? r->floor : 0;
}

static void end(struct pl_node *node)
{
    struct pl_rebase *r = &node->rebase;
    r->phase = PL_REBASE_IDLE;
    pl_collect_spread(node, pl_span_text(r->name_space));
}

/* Another session brings the same floor without a rebase: we are fresh towards that peer. */
static bool can_follow(struct pl_node *node, struct parley_span name_space, uint64_t floor)
{
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        const struct pl_connection *conn = pl_slab_find(&node->conns, h);
        const struct pl_grant *grant = conn->round == NULL || conn->peer == NULL
                                           ? NULL
                                           : pl_peer_granted(conn->peer, name_space);
        if (grant == NULL)
            continue;
        const struct pl_round_floor *other = &conn->round->floors[grant - conn->peer->grants];
        if (other->relation == PL_FLOOR_FOLLOW && other->theirs >= floor)
            return true;
    }
    return false;
}

void pl_rebase_greet(struct pl_node *node, const struct pl_connection *conn)
{
    struct parley_span name = pl_span_text(node->rebase.name_space);
    if (pl_rebase_floor(node, name) != 0 && pl_peer_granted(conn->peer, name) != NULL)
        pl_collect_spread(node, name);
}

static void begin(struct pl_node *node, struct pl_connection *conn, size_t grant)
{
    struct pl_rebase *r = &node->rebase;
    const char *name = conn->peer->grants[grant].name_space;
    parley_err err = PARLEY_OK;
    if (pl_node_read(node, &err) == NULL)
        return; /* again with the next turn */
    *r = (struct pl_rebase){ .phase = PL_REBASE_COMPARING,
                             .conn = conn->handle,
                             .grant = grant,
                             .floor = conn->round->floors[grant].theirs };
    pl_text_copy(r->name_space, sizeof r->name_space, name);
    pl_text_copy(r->peer, sizeof r->peer, conn->peer->backend_id);
    pl_collect_spread(node, pl_span_text(name));
    pl_node_trace(node, PARLEY_TRACE_REBASE_BEGUN_EVENT, r->peer, name, 0);
    pl_round_rebase(conn->round, grant, r->floor, node->state.head);
}

static void begin_any(struct pl_node *node, struct pl_connection *conn)
{
    for (size_t i = 0; i < conn->peer->grant_count; i++) {
        const struct pl_round_floor *floor = &conn->round->floors[i];
        struct parley_span name = pl_span_text(conn->peer->grants[i].name_space);
        if (floor->relation != PL_FLOOR_STALE || can_follow(node, name, floor->theirs))
            continue;
        begin(node, conn, i);
        return;
    }
}

/* Puts what the comparison has found into the batch. */
static void take_trash(struct pl_node *node, struct pl_round_rebase *found)
{
    uint32_t taken = 0;
    while (taken < found->trash_count && pl_batch_has_room(node, 1, 0)) {
        pl_batch_add(node, PARLEY_WRITE_TRASH, 0)->u.trash = found->trash[taken++];
        node->rebase.open++;
    }
    found->trash_count -= taken;
    memmove(found->trash, found->trash + taken, found->trash_count * sizeof found->trash[0]);
    if (taken != 0 || found->trash_count != 0)
        pl_batch_commit_soon(node);
}

static void raise(struct pl_node *node)
{
    struct pl_rebase *r = &node->rebase;
    if (node->collect.job != PL_COLLECT_IDLE)
        return;
    r->phase = PL_REBASE_RAISING;
    /* Nobody is fresh towards us by what was before, nor by what was said in this very moment. */
    pl_collect_start(node, PL_COLLECT_RAISE, pl_span_text(r->name_space), r->floor,
                     (uint64_t)node->now.wall + 1);
}

void pl_rebase_pump(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_rebase *r = &node->rebase;
    if (r->phase == PL_REBASE_IDLE && node->collect.job == PL_COLLECT_IDLE &&
        node->store_health == PARLEY_OK)
        begin_any(node, conn);
    if (r->conn != conn->handle || r->phase != PL_REBASE_COMPARING)
        return;
    struct pl_round_rebase *found = &conn->round->rebase;
    take_trash(node, found);
    if (found->phase == PL_REBASE_COMPARED && found->trash_count == 0 && r->open == 0)
        raise(node);
}

/* The floor is raised. */
void pl_rebase_collected(struct pl_node *node)
{
    struct pl_rebase *r = &node->rebase;
    struct pl_connection *conn = find_session(node);
    PL_ASSERT(r->phase == PL_REBASE_RAISING);
    node->rebases++;
    if (pl_audit_has_room(node)) /* else the trace has it, and the trash */
        pl_audit_counted(node, PL_AUDIT_rebased, r->peer, r->name_space, "to the trash",
                         r->trashed);
    pl_batch_commit_soon(node);
    pl_node_trace(node, PARLEY_TRACE_REBASED_EVENT, r->peer, r->name_space, r->trashed);
    if (conn != NULL)
        conn->round->rebase.phase = PL_REBASE_NONE;
    end(node);
}

void pl_rebase_committed(struct pl_node *node, const struct pl_batch *batch, parley_err err)
{
    struct pl_rebase *r = &node->rebase;
    struct pl_connection *conn = find_session(node);
    uint32_t count = 0;
    for (size_t i = 0; r->open != 0 && i < batch->count; i++) {
        if (batch->writes[i].kind != PARLEY_WRITE_TRASH)
            continue;
        count++;
        r->trashed += err == PARLEY_OK ? batch->writes[i].moved : 0;
    }
    r->open -= count;
    if (r->phase != PL_REBASE_COMPARING || (conn != NULL && (err == PARLEY_OK || count == 0)))
        return;
    /* What was to go did not: the comparison has passed over it. */
    if (conn != NULL)
        conn->round->rebase.phase = PL_REBASE_NONE;
    end(node);
}

void pl_rebase_session_ends(struct pl_node *node, pl_conn handle)
{
    struct pl_rebase *r = &node->rebase;
    bool ours = r->conn == handle;
    /* A floor that is being raised rises: all that it needs is durable. */
    if (ours && r->phase == PL_REBASE_COMPARING)
        end(node);
}
