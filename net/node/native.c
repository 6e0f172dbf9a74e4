/* SPDX-License-Identifier: Apache-2.0
 *
 * Native sessions of a node: who may open one, joining by invite, and the flow of messages between
 * session, round and write batch.
 *
 * A MESSAGE event stays with the connection (`has_message`) until all of it is in the batch; while
 * it does, the session reads nothing more. That is the backpressure of a receiver whose batch is
 * full or whose commit is slow.
 */
#include "node/node_int.h"

#include "core/hash.h"

static bool has_write_room(const struct pl_node *node, const struct parley_version *v)
{
    size_t bytes =
        v->name_space.len + v->conversation.len + v->id.len + v->origin.len + v->body.len;
    /* The version and a cursor behind it. */
    return pl_batch_has_room(node, 2, bytes) &&
           (v->kind != PARLEY_KIND_PURGE || pl_audit_has_room(node));
}

static struct pl_session_key session_key(const struct pl_node *node, const struct pl_peer *peer)
{
    return (struct pl_session_key){ .key = &peer->key,
                                    .previous = pl_peer_previous_key(peer, node->now.wall),
                                    .rotations = peer->rotations };
}

parley_err pl_native_open(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_session_config config = {
        .client = conn->dialed,
        .backend_id = pl_span_text(node->backend_id),
        .identity = node->identity,
        .chain = &node->chain,
        .zip = node->zip,
        .incarnation = node->state.incarnation,
    };
    if (conn->tls != NULL)
        memcpy(config.tls_server_key, pl_tls_server_key(conn->tls), sizeof config.tls_server_key);
    if (conn->dialed && conn->peer != NULL) {
        config.expect_backend_id = pl_span_text(conn->peer->backend_id);
        config.expect_key = session_key(node, conn->peer);
    } else if (conn->dialed) {
        config.join = true;
        config.expect_backend_id = pl_span_text(node->join.backend_id);
        memcpy(config.expect_fingerprint, node->join.fingerprint, PL_FINGERPRINT_BYTES);
        memcpy(config.join_secret, node->join.secret, PL_INVITE_SECRET_BYTES);
    }
    parley_err err = pl_session_open(node->env, &config, node->now.mono, &conn->session);
    pl_wipe(config.join_secret, sizeof config.join_secret);
    if (err == PARLEY_OK)
        conn->kind = PL_CONN_NATIVE;
    return err;
}

parley_err pl_native_dial_join(struct pl_node *node)
{
    struct pl_connection *conn = pl_node_conn_open(node);
    if (conn == NULL) {
        node->join.phase = PL_JOIN_NONE;
        return PARLEY_EFULL;
    }
    conn->kind = PL_CONN_DIALING;
    conn->dialed = true;
    node->join.conn = conn->handle;
    pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_DIAL,
                                             .conn = conn->handle,
                                             .address = node->join.address });
    return PARLEY_OK;
}

/* ---- Who is there ---- */

static void record_refusal(struct pl_node *node, const struct pl_connection *conn, uint32_t code,
                           const char *why)
{
    struct parley_span id = pl_session_peer_id(conn->session);
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1] = "";
    if (id.len != 0 && id.len < sizeof name)
        memcpy(name, id.ptr, id.len);
    pl_audit_refusal(node, pl_bye_text(code), name, "");
    pl_node_trace(node, PARLEY_TRACE_SESSION_REFUSED_EVENT, name, why, 0);
}

static void refuse(struct pl_node *node, struct pl_connection *conn, enum pl_bye code)
{
    record_refusal(node, conn, code, pl_bye_text(code));
    pl_session_close(conn->session, code);
}

/* Whether the open session `other` is with the store that this event is of. */
static bool is_with_same_store(const struct pl_connection *other,
                               const struct pl_session_event *event)
{
    return other->kind == PL_CONN_NATIVE && other->round != NULL &&
           memcmp(other->round->peer_incarnation.bytes, event->incarnation.bytes,
                  PARLEY_INCARNATION_BYTES) == 0;
}

/* The BYE still leaves, if somebody reads it: who has a second machine must know. */
static void end_duplicate(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->session == NULL) {
        pl_node_conn_close(node, conn);
        return;
    }
    pl_session_close(conn->session, PL_BYE_DUPLICATE);
    conn->cut_at = node->now.mono + PL_REVOKED_NS_MAX;
}

/* Two sessions with one peer: the one dialed by the smaller id stays; of two in the same direction
 * the newer, because the older is likely a corpse that TCP has not noticed. A join always takes
 * over: refused for the sake of an open session, peers could never join for another namespace. So
 * does another store under the same identity, restored or copied: two machines on copies of one
 * store get their turns at a peer only so. */
static bool take_peer(struct pl_node *node, struct pl_connection *conn, struct pl_peer *peer,
                      const struct pl_session_event *event)
{
    struct pl_connection *other = pl_node_conn_find(node, peer->conn);
    if (other != NULL && other != conn) {
        bool we_are_smaller = strcmp(node->backend_id, peer->backend_id) < 0;
        bool stays = event->kind == PL_SESSION_OPEN && is_with_same_store(other, event);
        if (stays && other->dialed != conn->dialed && other->dialed == we_are_smaller)
            return false;
        other->peer = NULL;
        end_duplicate(node, other);
    }
    conn->peer = peer;
    peer->conn = conn->handle;
    return true;
}

static void on_peer(struct pl_node *node, struct pl_connection *conn,
                    const struct pl_session_event *event)
{
    /* A signature costs far more than a HELLO: nobody gets one for an invite that cannot be. */
    if (event->join && pl_invite_may_join(node, event->peer_id)) {
        pl_session_admit(conn->session, NULL);
        return;
    }
    if (event->join) {
        refuse(node, conn, PL_BYE_INVITE);
        return;
    }
    struct pl_peer *peer = pl_peers_find(&node->peers, event->peer_id);
    /* What registered without a proof is a client of the HTTP routes and nothing else. */
    if (peer == NULL || peer->legacy) {
        refuse(node, conn, PL_BYE_UNKNOWN_PEER);
    } else if (peer->state == PL_PEER_REVOKED) {
        refuse(node, conn, PL_BYE_REVOKED);
    } else if (peer->state == PL_PEER_PENDING) {
        refuse(node, conn, PL_BYE_PENDING);
    } else {
        struct pl_session_key key = session_key(node, peer);
        pl_session_admit(conn->session, &key);
    }
}

static bool has_peer_record_room(const struct pl_node *node)
{
    return pl_audit_has_room(node) && pl_batch_has_room(node, 3, PL_PEER_RECORD_BYTES_MAX + 1024);
}

/* A revoked peer that is let in again gets what is granted now, not what was taken away. */
static void forget_taken_grants(struct pl_peer *peer)
{
    if (peer->state == PL_PEER_REVOKED)
        peer->grant_count = 0;
}

/* Whether a peer that joins again shows the key we hold for it, or, restored from a backup, the one
 * before while that still counts. */
static bool has_known_key(const struct pl_node *node, const struct pl_connection *conn,
                          const struct pl_peer *peer)
{
    const struct pl_pubkey *previous = pl_peer_previous_key(peer, node->now.wall);
    return pl_session_has_shown(conn->session, &peer->key) ||
           (previous != NULL && pl_session_has_shown(conn->session, previous));
}

/* Whether the invite lets in who presents it. */
static bool lets_in(struct pl_node *node, const struct pl_connection *conn,
                    const struct pl_session_event *event, const struct pl_invite *invite,
                    const struct pl_peer *peer)
{
    const struct pl_peer *other = pl_peers_find_key(&node->peers, event->peer_key, event->peer_id);
    /* A revocation beats what was granted before it, known or not, under whatever id. */
    bool overruled =
        peer != NULL && peer->state == PL_PEER_REVOKED && invite->created <= peer->revoked_at;
    bool other_id =
        other != NULL && (other->state != PL_PEER_REVOKED || invite->created <= other->revoked_at);
    bool other_key = peer != NULL && !has_known_key(node, conn, peer);
    /* A used invite only completes the join that it began: afterwards the operator may have
     * narrowed what it granted, or revoked the peer. */
    bool spent = invite->used_by[0] != '\0' && (peer == NULL || peer->state != PL_PEER_JOINING);
    return !overruled && !other_id && !other_key && !spent;
}

/* A stranger with an invite. It is stored as `joining` and becomes active with its first session:
 * the JOIN_DONE of this one, or, if that is lost, a later HELLO with the same key. */
static void on_join(struct pl_node *node, struct pl_connection *conn,
                    const struct pl_session_event *event)
{
    struct pl_invite *invite = pl_invite_find(node, event->join_secret, event->peer_id);
    struct pl_peer *peer = pl_peers_find(&node->peers, event->peer_id);
    if (invite == NULL || !lets_in(node, conn, event, invite, peer)) {
        refuse(node, conn, PL_BYE_INVITE);
        return;
    }
    if (!has_peer_record_room(node)) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    if (peer == NULL && pl_peers_add(&node->peers, node->env, event->peer_id, &peer) != PARLEY_OK) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    forget_taken_grants(peer);
    /* The grant first: it alone can still fail, and then nothing has changed. */
    bool granted =
        pl_peer_grant(peer, pl_span_text(invite->name_space), invite->may_write) == PARLEY_OK;
    if (!granted || !take_peer(node, conn, peer, event)) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    pl_keys_learn(node, peer, event);
    if (peer->state != PL_PEER_ACTIVE)
        peer->state = PL_PEER_JOINING;
    peer->admitted_at = pl_peering_stamp(node);
    peer->http = false;
    peer->legacy = false;
    if (peer->registered_at == 0)
        peer->registered_at = node->now.wall;
    memcpy(invite->used_by, peer->backend_id, sizeof invite->used_by);
    invite->tries++;
    memcpy(peer->check, event->check, sizeof event->check);
    pl_views_regrant(node, peer, pl_span_text(invite->name_space), &invite->filter);
    conn->join_grant = *pl_peer_granted(peer, pl_span_text(invite->name_space));
    pl_audit_event(node, PL_AUDIT_peer_joined, peer->backend_id, invite->name_space,
                   invite->may_write ? "write" : "read");
    /* One transaction for both: an invite that is used up for nobody, or a peer whose invite is
     * still open, must not outlive a failure. JOINED waits for it. */
    pl_invite_store(node, invite);
    conn->join_serial = pl_batch_serial(node);
    pl_node_store_peer(node, peer);
    pl_node_trace(node, PARLEY_TRACE_PEER_REGISTERED_EVENT, peer->backend_id, "by invite", 0);
}

/* It has shown none of the keys that we know it by. An older one was its own when this join began,
 * and another session has brought the rotation since. */
static void refuse_known_key(struct pl_node *node, struct pl_connection *conn, bool older)
{
    pl_native_fail_join(node, conn,
                        older ? "the inviting node is known here with a newer key; join again, and "
                                "if this repeats it was restored from before its rotation"
                              : "the inviting node is known here with another key");
    refuse(node, conn, older ? PL_BYE_REKEYED : PL_BYE_PROOF);
}

/* The inviting node has us. Store it, then say so. */
static void on_joined(struct pl_node *node, struct pl_connection *conn,
                      const struct pl_session_event *event)
{
    struct pl_join *join = &node->join;
    struct pl_peer *peer = pl_peers_find(&node->peers, event->peer_id);
    if (join->phase != PL_JOIN_DIALING || join->conn != conn->handle ||
        !has_peer_record_room(node)) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    /* The operator agreed to the namespace of the invite, not to any that the other side names. */
    if (!pl_span_is(event->name_space, join->name_space)) {
        refuse(node, conn, PL_BYE_PROTOCOL);
        return;
    }
    if (peer == NULL && pl_peers_add(&node->peers, node->env, event->peer_id, &peer) != PARLEY_OK) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    if (pl_peer_has_key(peer) && !has_known_key(node, conn, peer)) {
        refuse_known_key(node, conn, event->rotations < peer->rotations);
        return;
    }
    forget_taken_grants(peer);
    if (pl_peer_grant(peer, event->name_space, true) != PARLEY_OK ||
        !take_peer(node, conn, peer, event)) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    pl_views_regrant(node, peer, event->name_space, &join->filter);
    pl_keys_learn(node, peer, event);
    peer->state = PL_PEER_ACTIVE;
    peer->admitted_at = pl_peering_stamp(node);
    peer->http = false;
    peer->legacy = false;
    if (peer->registered_at == 0)
        peer->registered_at = node->now.wall;
    memcpy(peer->address, join->address, sizeof join->address);
    memcpy(join->check, event->check, sizeof join->check);
    memcpy(peer->check, event->check, sizeof event->check);
    join->phase = PL_JOIN_STORING;
    pl_audit_event(node, PL_AUDIT_joined_peer, "operator", peer->backend_id, join->name_space);
    conn->join_serial = pl_batch_serial(node);
    pl_node_store_peer(node, peer);
}

static void on_open(struct pl_node *node, struct pl_connection *conn,
                    const struct pl_session_event *event)
{
    struct pl_peer *peer = pl_peers_find(&node->peers, event->peer_id);
    parley_err err = PARLEY_OK;
    bool usable = peer != NULL && peer->state != PL_PEER_REVOKED && peer->state != PL_PEER_PENDING;
    if (!usable || !has_peer_record_room(node)) {
        refuse(node, conn, usable ? PL_BYE_BUSY : PL_BYE_REVOKED);
        return;
    }
    if (!take_peer(node, conn, peer, event)) {
        refuse(node, conn, PL_BYE_DUPLICATE);
        return;
    }
    bool activated = peer->state == PL_PEER_JOINING;
    peer->state = PL_PEER_ACTIVE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL) {
        refuse(node, conn, PL_BYE_STORE);
        return;
    }
    conn->round = node->env->alloc(node->env->ud, sizeof *conn->round);
    if (conn->round == NULL) {
        refuse(node, conn, PL_BYE_BUSY);
        return;
    }
    struct pl_round_view view = { .read = read, .state = &node->state, .now = node->now };
    bool changed = false;
    err = pl_round_init(conn->round, node->env, peer, event->incarnation, conn->dialed,
                        pl_collect_grace(node), &view, &changed);
    if (err != PARLEY_OK) {
        refuse(node, conn, PL_BYE_STORE);
        return;
    }
    pl_rebase_greet(node, conn);
    pl_collect_greet(node);
    bool learned = pl_keys_learn(node, peer, event);
    if (changed || activated || learned)
        pl_node_store_peer(node, peer);
    if (conn->dialed && conn->tls != NULL && !pl_tls_session(conn->tls, &peer->tls_session))
        pl_tls_session_forget(&peer->tls_session);
    pl_node_trace(node, PARLEY_TRACE_SESSION_OPEN_EVENT, peer->backend_id, "", 0);
    if (node->join.conn == conn->handle && node->join.phase == PL_JOIN_STORING) {
        node->join.phase = PL_JOIN_DONE;
        pl_node_trace(node, PARLEY_TRACE_JOIN_DONE_EVENT, peer->backend_id, "", 0);
        pl_wipe(node->join.secret, sizeof node->join.secret);
    }
}

static bool is_refusal(uint32_t bye)
{
    return bye == PL_BYE_UNKNOWN_PEER || bye == PL_BYE_PENDING || bye == PL_BYE_REVOKED ||
           bye == PL_BYE_PROOF || bye == PL_BYE_VERSION || bye == PL_BYE_SELF;
}

void pl_native_fail_join(struct pl_node *node, const struct pl_connection *conn, const char *why)
{
    struct pl_join *join = &node->join;
    if (join->conn != conn->handle ||
        (join->phase != PL_JOIN_DIALING && join->phase != PL_JOIN_STORING))
        return;
    join->phase = PL_JOIN_FAILED;
    pl_wipe(join->secret, sizeof join->secret);
    pl_text_copy(join->error, sizeof join->error, why);
    pl_node_trace(node, PARLEY_TRACE_JOIN_FAILED_EVENT, join->backend_id, why, 0);
}

void pl_native_fail(struct pl_node *node, struct pl_connection *conn, const char *why)
{
    struct pl_peer *peer = conn->peer;
    if (peer != NULL && peer->conn == conn->handle) {
        conn->peer = NULL;
        pl_peering_lost(node, peer, true, why);
        pl_node_trace(node, PARLEY_TRACE_SESSION_CLOSED_EVENT, peer->backend_id, why, 0);
    }
    pl_native_fail_join(node, conn, why);
}

static void on_closed(struct pl_node *node, struct pl_connection *conn,
                      const struct pl_session_event *event)
{
    struct pl_peer *peer = conn->peer;
    bool ours = peer != NULL && peer->conn == conn->handle;
    /* What the session has refused by itself, such as a false proof. */
    if (!event->by_peer && event->bye != PL_BYE_IDLE && event->bye != PL_BYE_CLOSING &&
        event->bye != PL_BYE_REGRANTED)
        record_refusal(node, conn, event->bye, event->why);
    if (ours)
        peer->displaced = event->by_peer && event->bye == PL_BYE_DUPLICATE;
    pl_native_fail(node, conn, event->why != NULL ? event->why : pl_bye_text(event->bye));
    if (ours && is_refusal(event->bye))
        peer->sync = PL_SYNC_REFUSED;
}

/* ---- Messages ---- */

static void audit_refused_write(struct pl_node *node, const struct pl_peer *peer)
{
    pl_audit_refusal(node, "write-not-granted", peer->backend_id, "");
}

/* A version for a namespace that the peer may not write. */
static void refuse_write(struct pl_node *node, struct pl_peer *peer)
{
    peer->writes_refused++;
    audit_refused_write(node, peer);
}

/* How far the peer's log is applied, as part of the batch. Needs room for one write. */
static void add_cursor(struct pl_node *node, const struct pl_connection *conn, parley_seq seq)
{
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_CURSOR, 0);
    write->u.cursor.peer = conn->peer->number;
    write->u.cursor.incarnation = conn->round->peer_incarnation;
    write->u.cursor.seq = seq;
}

static void take_version(struct pl_node *node, struct pl_connection *conn,
                         const struct parley_version *version)
{
    pl_batch_add_version(node, version, conn->peer->number);
    pl_purge_heard(node, version);
    conn->peer->versions_in++;
    pl_round_took(conn->round, pl_batch_serial(node));
}

/* Puts the versions of a CHANGES frame into the batch. EAGAIN: the batch is full, go on later. */
static parley_err take_changes(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_round *round = conn->round;
    uint64_t cursor_serial = 0;
    if (!round->taking)
        PL_TRY(pl_round_changes_begin(round, conn->event.body));
    for (;;) {
        const struct parley_version *version = NULL;
        PL_TRY(pl_round_changes_peek(round, &version));
        if (version == NULL)
            break;
        if (!has_write_room(node, version)) {
            pl_batch_commit_soon(node);
            return PARLEY_EAGAIN;
        }
        pl_round_changes_pop(round);
        if (!pl_peer_may_write(conn->peer, version)) {
            refuse_write(node, conn->peer);
            continue;
        }
        if (pl_round_passes_over(round, version))
            continue;
        take_version(node, conn, version);
    }
    if (round->took && round->taking_seq != 0) {
        if (!pl_batch_has_room(node, 1, 0)) {
            pl_batch_commit_soon(node);
            return PARLEY_EAGAIN;
        }
        add_cursor(node, conn, round->taking_seq);
        cursor_serial = pl_batch_serial(node);
    }
    if (round->took)
        pl_batch_commit_soon(node);
    pl_round_changes_end(round, cursor_serial, node->now.mono);
    return PARLEY_OK;
}

/* A large version that the peer may not write here takes no memory: its pieces are passed over. */
static bool skip_part(struct pl_node *node, struct pl_connection *conn, const struct pl_part *part)
{
    if (part->total != 0 && part->offset == 0) {
        if (pl_peer_may_write(conn->peer, &part->version))
            return false;
        refuse_write(node, conn->peer);
        conn->skipping = part->total;
    }
    if (conn->skipping == 0)
        return false;
    bool given_up = part->total == 0;
    conn->skipping -= given_up ? conn->skipping : pl_min_size(conn->skipping, part->bytes.len);
    return true;
}

static parley_err take_part(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_part part;
    struct pl_large *large = NULL;
    bool complete = false;
    PL_TRY(pl_round_part_decode(conn->event.body, &part));
    if (skip_part(node, conn, &part))
        return PARLEY_OK;
    if (!pl_batch_has_room(node, 1, 1024)) {
        pl_batch_commit_soon(node);
        return PARLEY_EAGAIN;
    }
    PL_TRY(pl_large_take(node, conn->handle, &part, &large, &complete));
    if (!complete)
        return PARLEY_OK;
    bool may_write = pl_peer_may_write(conn->peer, &large->version);
    if (!may_write || pl_round_passes_over(conn->round, &large->version)) {
        if (!may_write)
            refuse_write(node, conn->peer);
        pl_large_drop(node, conn->handle);
        return PARLEY_OK;
    }
    pl_large_hand_over(large, pl_batch_serial(node));
    pl_round_took(conn->round, pl_batch_serial(node));
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_VERSION, conn->peer->number);
    write->u.version = large->version;
    conn->peer->versions_in++;
    pl_batch_commit_soon(node);
    return PARLEY_OK;
}

static parley_err take_state(struct pl_node *node, struct pl_connection *conn,
                             const struct pl_round_view *view)
{
    bool was_equal = conn->peer->sync == PL_SYNC_IN_SYNC;
    bool was_comparing = pl_round_is_comparing(conn->round);
    parley_err err = pl_round_on_state(conn->round, conn->event.body, view);
    if (err == PARLEY_EAGAIN) {
        PL_TRY(pl_views_prepare(node, conn->peer));
        conn->round->state_due = true; /* the peer learns what is refused */
        err = pl_round_on_state(conn->round, conn->event.body, view);
    }
    PL_TRY(err);
    /* Without room for it the next STATE will do. */
    if (pl_views_prepare(node, conn->peer) == PARLEY_EAGAIN)
        pl_batch_commit_soon(node);
    pl_collect_note_synced(node, conn, view->read);
    if (conn->peer->sync == PL_SYNC_IN_SYNC)
        pl_peering_in_sync(node, conn->peer, conn->accepted_at);
    if (conn->peer->sync == PL_SYNC_IN_SYNC && !was_equal)
        pl_node_trace(node, PARLEY_TRACE_IN_SYNC_EVENT, conn->peer->backend_id, "",
                      node->state.head);
    if (pl_round_is_comparing(conn->round) && !was_comparing)
        pl_node_trace(node, PARLEY_TRACE_DIVERGED_EVENT, conn->peer->backend_id, "comparing ranges",
                      0);
    return PARLEY_OK;
}

static parley_err take_offer(struct pl_node *node, struct pl_connection *conn,
                             const struct pl_round_view *view)
{
    uint64_t refused = conn->peer->writes_refused;
    PL_TRY(pl_round_on_offer(conn->round, conn->event.body, view));
    if (conn->peer->writes_refused != refused)
        audit_refused_write(node, conn->peer);
    return PARLEY_OK;
}

static parley_err take_message(struct pl_node *node, struct pl_connection *conn)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    struct pl_round_view view = { .read = read, .state = &node->state, .now = node->now };
    struct parley_span body = conn->event.body;
    switch (conn->event.type) {
    case PL_MSG_STATE:
        return take_state(node, conn, &view);
    case PL_MSG_CHANGES:
        return take_changes(node, conn);
    case PL_MSG_ACK:
        return pl_round_on_ack(conn->round, body, &view);
    case PL_MSG_OFFER:
        return take_offer(node, conn, &view);
    case PL_MSG_WANT:
        return pl_round_on_want(conn->round, body);
    case PL_MSG_PART:
        return take_part(node, conn);
    case PL_MSG_QUERY:
        return pl_round_on_query(conn->round, conn->session, body, &view);
    case PL_MSG_ANSWER:
        return pl_round_on_answer(conn->round, body, &view);
    case PL_MSG_TALLY:
        return pl_round_on_tally(conn->round, body);
    case PL_MSG_DIFF:
        return pl_round_on_diff(conn->round, body, &view);
    case PL_MSG_NONE:
    case PL_MSG_HELLO:
    case PL_MSG_PROOF:
    case PL_MSG_JOIN:
    case PL_MSG_JOINED:
    case PL_MSG_JOIN_DONE:
    case PL_MSG_PACKED:
    case PL_MSG_BYE:
        break;
    }
    return PARLEY_EPROTO;
}

static void on_event(struct pl_node *node, struct pl_connection *conn)
{
    const struct pl_session_event *event = &conn->event;
    switch (event->kind) {
    case PL_SESSION_NONE:
        break;
    case PL_SESSION_PEER:
        on_peer(node, conn, event);
        break;
    case PL_SESSION_JOIN:
        on_join(node, conn, event);
        break;
    case PL_SESSION_JOINED:
        on_joined(node, conn, event);
        break;
    case PL_SESSION_OPEN:
        on_open(node, conn, event);
        break;
    case PL_SESSION_MESSAGE:
        conn->has_message = true;
        break;
    case PL_SESSION_CLOSED:
        on_closed(node, conn, event);
        break;
    }
}

/* An invite's secret was copied, compared and hashed: none of that stays. */
static void forget_join(struct pl_connection *conn)
{
    pl_wipe(conn->event.join_secret, sizeof conn->event.join_secret);
    pl_wipe_stack();
}

/* Takes the message at hand; false when it must wait. */
static bool finish_message(struct pl_node *node, struct pl_connection *conn)
{
    parley_err err = PARLEY_OK;
    /* A session that ended meanwhile, by a revocation or because the batch before was lost, takes
     * no more: the cursor of this message would pass over what is missing (R2). */
    if (pl_session_is_open(conn->session))
        err = conn->round == NULL ? PARLEY_EPROTO : take_message(node, conn);
    if (err == PARLEY_EAGAIN)
        return false;
    conn->has_message = false;
    pl_session_message_done(conn->session);
    if (err != PARLEY_OK) {
        conn->failed = true;
        pl_session_close(conn->session,
                         parley_err_class(err) == 3 ? PL_BYE_PROTOCOL : PL_BYE_STORE);
    }
    return true;
}

static void fill(struct pl_node *node, struct pl_connection *conn)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return;
    struct pl_round_view view = { .read = read, .state = &node->state, .now = node->now };
    bool more = false;
    err = pl_round_fill(conn->round, conn->session, &view, &more);
    if (err != PARLEY_OK)
        pl_session_close(conn->session, PL_BYE_STORE);
    conn->wants_pump = more;
}

void pl_native_pump(struct pl_node *node, struct pl_connection *conn)
{
    for (;;) {
        if (conn->has_message) {
            if (!finish_message(node, conn))
                break;
            continue;
        }
        pl_session_next(conn->session, &conn->event);
        if (conn->event.kind == PL_SESSION_NONE)
            break;
        on_event(node, conn);
        if (conn->event.kind == PL_SESSION_JOIN || conn->event.kind == PL_SESSION_JOINED)
            forget_join(conn);
    }
    conn->wants_pump = false;
    if (conn->round == NULL || conn->peer == NULL || !pl_session_is_open(conn->session))
        return;
    fill(node, conn);
    if (!pl_session_is_open(conn->session))
        return;
    pl_rebase_pump(node, conn);
    if (pl_round_waits_for_index(conn->round))
        pl_index_tick(node);
}

static void persist_cursor(struct pl_node *node, struct pl_connection *conn, parley_time now)
{
    struct pl_round *round = conn->round;
    if (!pl_round_wants_persist(round, now))
        return;
    if (!pl_batch_has_room(node, 1, 0)) {
        round->persist_at = node->now.mono + PL_ROUND_PERSIST_NS;
        return;
    }
    add_cursor(node, conn, round->applied);
    round->persisted = round->applied;
    round->persist_at = PARLEY_TIME_NEVER;
    pl_batch_commit_soon(node);
}

void pl_native_committed(struct pl_node *node, struct pl_connection *conn, parley_err err)
{
    uint64_t serial = node->batches[1 - node->filling].serial;
    if (err != PARLEY_OK) {
        /* What this session was promised is not there: begin anew, from the durable cursor. */
        bool waits = conn->join_serial == serial ||
                     (conn->round != NULL && pl_round_waits_for(conn->round, serial));
        if (waits) {
            conn->failed = true;
            pl_session_close(conn->session, PL_BYE_STORE);
        }
        return;
    }
    if (conn->round != NULL)
        pl_round_committed(conn->round, serial, node->now.mono);
    if (conn->join_serial != serial || conn->peer == NULL)
        return;
    conn->join_serial = 0;
    if (conn->dialed)
        pl_session_join_done(conn->session);
    else
        pl_session_joined(conn->session, pl_span_text(conn->join_grant.name_space),
                          conn->join_grant.may_write);
}

parley_time pl_native_deadline(const struct pl_connection *conn)
{
    parley_time at = pl_session_deadline(conn->session);
    if (conn->round != NULL && pl_session_is_open(conn->session))
        at = pl_min_u64(at, pl_round_deadline(conn->round));
    return conn->wants_pump ? 0 : at;
}

void pl_native_tick(struct pl_node *node, struct pl_connection *conn)
{
    pl_session_tick(conn->session, node->now.mono);
    if (conn->round != NULL && conn->peer != NULL)
        persist_cursor(node, conn, node->now.mono);
    pl_native_pump(node, conn);
}

void pl_native_free(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->round != NULL && conn->peer != NULL && conn->peer->conn == conn->handle)
        persist_cursor(node, conn, PARLEY_TIME_NEVER);
    if (conn->round != NULL && conn->peer != NULL && conn->peer->conn == conn->handle)
        pl_collect_session_ends(node, conn->peer);
    if (conn->round != NULL) {
        pl_round_deinit(conn->round);
        node->env->release(node->env->ud, conn->round, sizeof *conn->round);
    }
    conn->round = NULL;
    pl_rebase_session_ends(node, conn->handle);
    pl_large_drop(node, conn->handle);
    pl_session_free(conn->session);
    conn->session = NULL;
}
