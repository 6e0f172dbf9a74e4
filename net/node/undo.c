/* SPDX-License-Identifier: Apache-2.0
 *
 * After a failed commit: what memory holds of peers and invites goes back to what the store holds.
 * Rights are never wider in memory than on disk: an approval or a join that was not stored did not
 * happen. The one exception goes the other way: a revocation stays in force and is stored again
 * until it is durable.
 */
#include "node/node_int.h"

/* Its sessions go on from what did not happen: they begin anew. */
static void close_sessions(struct pl_node *node, const struct pl_peer *peer)
{
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (conn->peer != peer || conn->session == NULL)
            continue;
        pl_native_fail(node, conn, "what the session rested on could not be stored");
        pl_session_close(conn->session, PL_BYE_STORE);
    }
}

/* The record is nowhere: the peer was only about to be registered. Its sessions are closed. */
static void drop_peer(struct pl_node *node, struct pl_peer *peer)
{
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (conn->peer != peer)
            continue;
        conn->peer = NULL;
        pl_node_conn_close(node, conn);
    }
    pl_peers_remove(&node->peers, node->env, peer);
}

static void undo_peer(struct pl_node *node, struct parley_read *read, struct pl_peer *peer)
{
    char key[PL_PEER_KEY_BYTES_MAX];
    struct parley_span value;
    bool found = false;
    if (peer->state == PL_PEER_REVOKED) {
        peer->unsaved = true;
        return;
    }
    peer->forgotten = false;
    close_sessions(node, peer);
    parley_err err = parley_read_sys(read, pl_peer_key(peer, key), &value, &found);
    if (err == PARLEY_OK && found)
        err = pl_peer_reload(peer, value);
    if (err != PARLEY_OK)
        peer->grant_count = 0; /* its record cannot be read: nothing is granted by it */
    else if (!found)
        drop_peer(node, peer);
}

void pl_undo_failed_batch(struct pl_node *node, uint64_t serial)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return; /* reading fails too: no session and no request gets anywhere */
    for (size_t i = node->peers.count; i-- > 0;) {
        struct pl_peer *peer = node->peers.table[i];
        if (peer->stored_in == serial)
            undo_peer(node, read, peer);
    }
    pl_invite_undo(node, read, serial);
}

void pl_undo_save_again(struct pl_node *node)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        struct pl_peer *peer = node->peers.table[i];
        if (peer->unsaved && pl_peering_has_room(node))
            pl_node_store_peer(node, peer);
    }
}
