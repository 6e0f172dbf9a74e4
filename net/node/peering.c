/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to peers: approval, revocation, dialing, and the records of it.
 */
#include "node/node_int.h"

#include "node/legacy.h"
#include "sync/sched.h"

parley_wall pl_peering_stamp(struct pl_node *node)
{
    parley_wall now = node->now.wall;
    node->last_stamp = now > node->last_stamp ? now : node->last_stamp + 1;
    return node->last_stamp;
}

void pl_node_store_peer(struct pl_node *node, struct pl_peer *peer)
{
    uint8_t record[PL_PEER_RECORD_BYTES_MAX];
    char key[PL_PEER_KEY_BYTES_MAX];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    pl_peer_encode(peer, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    if (peer->unsaved) {
        pl_audit_event(node, PL_AUDIT_peer_revoked, "operator", peer->backend_id, peer->note);
        pl_ledger_add_peer(node, peer);
    }
    /* Before the batch may be launched, which gives the next one another serial. */
    peer->stored_in = pl_batch_serial(node);
    peer->unsaved = false;
    peer->forgotten = false;
    pl_batch_add_sys(node, pl_peer_key(peer, key), pl_writer_span(&w));
}

bool pl_peering_has_room(const struct pl_node *node)
{
    return pl_audit_has_room(node) &&
           pl_batch_has_room(node, 2,
                             PL_PEER_RECORD_BYTES_MAX + PL_PEER_KEY_BYTES_MAX +
                                 PL_LEDGER_LINE_BYTES_MAX);
}

parley_err pl_peering_approve(struct pl_node *node, struct pl_peer *peer, const char *what)
{
    if (!pl_peering_has_room(node))
        return PARLEY_EAGAIN;
    if (peer->state == PL_PEER_REVOKED)
        return PARLEY_EDENIED;
    peer->state = PL_PEER_ACTIVE;
    peer->admitted_at = pl_peering_stamp(node);
    peer->dial_at = node->now.mono;
    pl_peer_set_note(peer, "approved");
    pl_audit_event(node, PL_AUDIT_peer_approved, "operator", peer->backend_id, what);
    pl_node_store_peer(node, peer);
    pl_node_trace(node, PARLEY_TRACE_PEER_APPROVED_EVENT, peer->backend_id, "", 0);
    return PARLEY_OK;
}

/* Ends what this connection does for a revoked peer: a session may still say why, but not for
 * long; a request of its ends where it is. */
static void cut(struct pl_node *node, struct pl_connection *conn, const struct pl_peer *peer)
{
    bool request = conn->kind == PL_CONN_HTTP && pl_http_serves(conn, peer->number);
    bool dial = conn->kind == PL_CONN_DIALING && conn->peer == peer;
    if (request || dial)
        pl_node_conn_close(node, conn);
    if (conn->kind != PL_CONN_NATIVE || conn->peer != peer)
        return;
    conn->cut_at = node->now.mono + PL_REVOKED_NS_MAX;
    pl_session_close(conn->session, PL_BYE_REVOKED);
    pl_native_pump(node, conn);
}

parley_err pl_peering_revoke(struct pl_node *node, struct pl_peer *peer)
{
    if (peer->state != PL_PEER_REVOKED)
        peer->revoked_at = pl_peering_stamp(node);
    peer->state = PL_PEER_REVOKED;
    peer->sync = PL_SYNC_REFUSED;
    peer->root_equal = false;
    peer->unsaved = true;
    pl_peer_set_note(peer, "revoked here");
    pl_credential_forget(node, peer);
    pl_legacy_revoked(node, peer);
    pl_node_trace(node, PARLEY_TRACE_PEER_REVOKED_EVENT, peer->backend_id, "", 0);
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        cut(node, pl_slab_find(&node->conns, h), peer);
    if (!pl_peering_has_room(node))
        return PARLEY_EAGAIN;
    pl_node_store_peer(node, peer);
    return PARLEY_OK;
}

parley_err pl_peering_forget(struct pl_node *node, struct pl_peer *peer, const char *actor)
{
    char key[PL_PEER_KEY_BYTES_MAX];
    PL_ASSERT(peer->state == PL_PEER_PENDING);
    if (!pl_peering_has_room(node))
        return PARLEY_EAGAIN;
    pl_audit_event(node, PL_AUDIT_peer_forgotten, actor, peer->backend_id, "");
    peer->stored_in = pl_batch_serial(node);
    peer->forgotten = true;
    pl_batch_del_sys(node, pl_peer_key(peer, key));
    return PARLEY_OK;
}

void pl_peering_committed(struct pl_node *node, uint64_t serial)
{
    for (size_t i = node->peers.count; i-- > 0;) {
        struct pl_peer *peer = node->peers.table[i];
        if (peer->forgotten && peer->stored_in == serial)
            pl_peers_remove(&node->peers, node->env, peer);
    }
}

void pl_peering_count(struct pl_node *node, const struct pl_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct parley_write *write = &batch->writes[i];
        if (write->kind != PARLEY_WRITE_VERSION || write->verdict != PARLEY_VERDICT_LOST)
            continue;
        struct pl_peer *peer = pl_peers_find_number(&node->peers, write->source);
        if (peer != NULL)
            peer->versions_lost++;
    }
}

void pl_peering_prune(struct pl_node *node)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        struct pl_peer *peer = node->peers.table[i];
        bool stale = peer->state == PL_PEER_PENDING && !peer->forgotten &&
                     peer->registered_at + PL_PENDING_US_MAX <= node->now.wall;
        if (stale && pl_peering_forget(node, peer, "node") != PARLEY_OK)
            return;
    }
}

void pl_peering_kick(struct pl_node *node, struct pl_peer *peer)
{
    struct pl_legacy *legacy = pl_legacy_of(node, peer);
    if (legacy != NULL)
        pl_legacy_kick(node, legacy);
    peer->dial_failures = 0;
    peer->dial_at = node->now.mono;
    pl_peering_dial_due(node);
}

static bool is_due(const struct pl_node *node, const struct pl_peer *peer)
{
    return peer->state == PL_PEER_ACTIVE && peer->address[0] != '\0' && peer->conn == 0 &&
           peer->dial_at <= node->now.mono && !peer->http;
}

void pl_peering_dial_due(struct pl_node *node)
{
    if (node->stopping)
        return;
    for (size_t i = 0; i < node->peers.count; i++) {
        struct pl_peer *peer = node->peers.table[i];
        if (!is_due(node, peer))
            continue;
        struct pl_connection *conn = pl_node_conn_open(node);
        if (conn == NULL) {
            pl_peer_set_note(peer, "no room for another connection here");
            peer->dial_at = node->now.mono + PL_SCHED_INTERVAL_NS;
            continue;
        }
        conn->kind = PL_CONN_DIALING;
        conn->dialed = true;
        conn->peer = peer;
        peer->conn = conn->handle;
        pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_DIAL,
                                                 .conn = conn->handle,
                                                 .address = peer->address });
    }
}

parley_time pl_peering_deadline(const struct pl_node *node)
{
    parley_time at = PARLEY_TIME_NEVER;
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        bool dials = peer->state == PL_PEER_ACTIVE && peer->address[0] != '\0' && peer->conn == 0 &&
                     !peer->http;
        if (dials && !node->stopping)
            at = pl_min_u64(at, peer->dial_at);
    }
    return at;
}

void pl_peering_in_sync(struct pl_node *node, struct pl_peer *peer, parley_time opened_at)
{
    /* A peer that cut us as a duplicate has another machine with our identity at hand. Each turn
     * ends in sync, and yet we wait longer for the next one, until a session outlasts the longest
     * wait of that machine. */
    if (peer->displaced && node->now.mono < opened_at + 2 * PL_SCHED_BACKOFF_NS_MAX)
        return;
    peer->displaced = false;
    peer->dial_failures = 0;
}

void pl_peering_lost(struct pl_node *node, struct pl_peer *peer, bool failed, const char *why)
{
    peer->conn = 0;
    peer->root_equal = false;
    if (peer->sync != PL_SYNC_REFUSED || peer->state == PL_PEER_ACTIVE)
        peer->sync = PL_SYNC_OFFLINE;
    peer->since = node->now.wall;
    if (why[0] != '\0')
        pl_peer_set_note(peer, why);
    peer->dial_failures = failed ? peer->dial_failures + 1 : 0;
    peer->dial_at = node->now.mono +
                    pl_sched_wait(peer->dial_failures, node->options.sync_interval, &node->rng);
}
