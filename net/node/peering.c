/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to peers: approval, revocation, dialing, and the records of it.
 */
#include "node/node_int.h"

#include "node/out.h"
#include "sync/sched.h"

#define REVOKED        "revoked "
#define LINE_BYTES_MAX (sizeof REVOKED + PARLEY_BACKEND_ID_BYTES_MAX + 24)

/* "revoked <backend id> <microseconds>" */
static void add_revocation(struct pl_node *node, const struct pl_peer *peer)
{
    char line[LINE_BYTES_MAX];
    char digits[20];
    struct pl_writer w = pl_writer_over(line, sizeof line);
    pl_write_text(&w, REVOKED);
    pl_write_text(&w, peer->backend_id);
    pl_write_text(&w, " ");
    pl_write_span(&w, pl_out_digits((uint64_t)peer->revoked_at, digits));
    pl_write_text(&w, "\n");
    PL_ASSERT(w.err == PARLEY_OK);
    pl_batch_add_line(node, pl_writer_span(&w));
}

/* Reads a line of the ledger; false for one of another kind. */
static bool read_revocation(struct pl_span line, struct pl_span *id, parley_wall *at)
{
    if (!pl_span_has_prefix(line, pl_span_text(REVOKED)))
        return false;
    struct pl_span rest = pl_span_after(line, sizeof REVOKED - 1);
    const uint8_t *space = rest.len == 0 ? NULL : memchr(rest.ptr, ' ', rest.len);
    if (space == NULL)
        return false;
    *id = pl_span_of(rest.ptr, (size_t)(space - rest.ptr));
    *at = 0;
    for (const uint8_t *c = space + 1; c < rest.ptr + rest.len; c++) {
        if (*c < '0' || *c > '9' || *at > INT64_MAX / 16)
            return false;
        *at = *at * 10 + (*c - '0');
    }
    return true;
}

static void heed_line(struct pl_node *node, struct pl_span line)
{
    struct pl_span id;
    parley_wall at;
    if (!read_revocation(line, &id, &at))
        return;
    node->last_stamp = at > node->last_stamp ? at : node->last_stamp;
    struct pl_peer *peer = pl_peers_find(&node->peers, id);
    if (peer == NULL || peer->state == PL_PEER_REVOKED || peer->admitted_at > at)
        return;
    peer->state = PL_PEER_REVOKED;
    peer->sync = PL_SYNC_REFUSED;
    peer->revoked_at = at;
    peer->unsaved = true;
    pl_peer_set_note(peer, "revoked here, as the ledger remembers");
}

parley_err pl_peering_heed_ledger(struct pl_node *node)
{
    const struct parley_env *env = node->env;
    size_t len = 0;
    for (size_t i = 0; i < node->peers.count; i++)
        if (node->peers.table[i]->admitted_at > node->last_stamp)
            node->last_stamp = node->peers.table[i]->admitted_at;
    uint8_t *held = env->alloc(env->ud, PARLEY_LEDGER_BYTES_MAX);
    if (held == NULL)
        return PARLEY_ENOMEM;
    parley_err err = parley_db_ledger(node->db, held, PARLEY_LEDGER_BYTES_MAX, &len);
    for (size_t at = 0; err == PARLEY_OK && at < len;) {
        const uint8_t *end = memchr(held + at, '\n', len - at);
        size_t line = end == NULL ? len - at : (size_t)(end - (held + at));
        heed_line(node, pl_span_of(held + at, line));
        at += line + 1;
    }
    env->release(env->ud, held, PARLEY_LEDGER_BYTES_MAX);
    return err;
}

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
        add_revocation(node, peer);
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
                             PL_PEER_RECORD_BYTES_MAX + PL_PEER_KEY_BYTES_MAX + LINE_BYTES_MAX);
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
