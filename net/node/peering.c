/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to peers: approval, revocation, dialing, and the records of it.
 */
#include "node/node_int.h"

#include "sync/sched.h"

#define PEER_PREFIX "peer/"

void pl_node_store_peer(struct pl_node *node, const struct pl_peer *peer)
{
    uint8_t record[PL_PEER_RECORD_BYTES_MAX];
    char key[sizeof PEER_PREFIX + PARLEY_BACKEND_ID_BYTES_MAX];
    struct pl_writer k = pl_writer_over(key, sizeof key);
    struct pl_writer w = pl_writer_over(record, sizeof record);
    pl_write_text(&k, PEER_PREFIX);
    pl_write_text(&k, peer->backend_id);
    pl_peer_encode(peer, &w);
    PL_ASSERT(k.err == PARLEY_OK && w.err == PARLEY_OK);
    pl_batch_add_sys(node, pl_writer_span(&k), pl_writer_span(&w));
}

static bool has_record_room(const struct pl_node *node)
{
    return pl_batch_has_room(node, 1, PL_PEER_RECORD_BYTES_MAX + PARLEY_BACKEND_ID_BYTES_MAX + 8);
}

parley_err pl_peering_approve(struct pl_node *node, struct pl_peer *peer)
{
    if (!has_record_room(node))
        return PARLEY_EAGAIN;
    if (peer->state == PL_PEER_REVOKED)
        return PARLEY_EDENIED;
    peer->state = PL_PEER_ACTIVE;
    peer->dial_at = node->now.mono;
    pl_peer_set_note(peer, "approved");
    pl_node_store_peer(node, peer);
    pl_node_trace(node, PARLEY_TRACE_PEER_APPROVED_EVENT, peer->backend_id, "", 0);
    return PARLEY_OK;
}

parley_err pl_peering_revoke(struct pl_node *node, struct pl_peer *peer)
{
    if (!has_record_room(node))
        return PARLEY_EAGAIN;
    peer->state = PL_PEER_REVOKED;
    peer->sync = PL_SYNC_REFUSED;
    peer->root_equal = false;
    pl_peer_set_note(peer, "revoked here");
    pl_credential_forget(node, peer);
    pl_node_store_peer(node, peer);
    pl_node_trace(node, PARLEY_TRACE_PEER_REVOKED_EVENT, peer->backend_id, "", 0);
    struct pl_connection *conn = pl_node_conn_find(node, peer->conn);
    if (conn == NULL)
        return PARLEY_OK;
    if (conn->session == NULL) { /* still being dialed */
        pl_node_conn_close(node, conn);
        return PARLEY_OK;
    }
    pl_session_close(conn->session, PL_BYE_REVOKED);
    pl_native_pump(node, conn);
    return PARLEY_OK;
}

void pl_peering_kick(struct pl_node *node, struct pl_peer *peer)
{
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
