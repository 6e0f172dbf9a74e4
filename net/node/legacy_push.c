/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to old backends, one at a time each, and what comes of them; the rules are in legacy.h.
 *
 *   failure of any kind    backoff, and GET /identity before anything else
 *   403 to a push          the same, and POST /register-peer; at once if it is the first in a row
 *   another identity       refused, asked again each PL_SCHED_BACKOFF_NS_MAX
 *   a push that was refused or took too long   the next one is half as long
 */
#include "node/legacy.h"

#include "sync/sched.h"

/* The batch had no room for what an answer led to. */
#define RETRY_NS (100 * PARLEY_NS_PER_MS)
/* Of the words of an old backend, in a note. */
#define DETAIL_BYTES 60

static parley_time interval_of(const struct pl_node *node)
{
    return node->options.sync_interval != 0 ? node->options.sync_interval : PL_SCHED_INTERVAL_NS;
}

/* ---- What people see ---- */

static void show(struct pl_node *node, struct pl_legacy *legacy, enum pl_sync_state sync)
{
    struct pl_peer *peer = pl_legacy_peer(node, legacy);
    if (legacy->sync != sync || legacy->since == 0)
        legacy->since = node->now.wall;
    legacy->sync = sync;
    if (peer == NULL || peer->state != PL_PEER_ACTIVE)
        return;
    peer->sync = sync;
    peer->since = legacy->since;
    pl_peer_set_note(peer, legacy->note);
}

static const char *phase_text(enum pl_legacy_phase phase)
{
    switch (phase) {
    case PL_LEGACY_IDENTITY:
        return "GET /identity";
    case PL_LEGACY_REGISTER:
        return "POST /register-peer";
    case PL_LEGACY_PUSH:
        return "POST /sync";
    }
    return "";
}

static void set_note(struct pl_legacy *legacy, const char *why)
{
    char text[PL_PEER_NOTE_BYTES_MAX + PARLEY_ID_BYTES_MAX + 64];
    struct pl_writer w = pl_writer_over(text, sizeof text - 1);
    pl_write_text(&w, phase_text(legacy->phase));
    pl_write_text(&w, ": ");
    pl_write_text(&w, why);
    /* Only then is it clear which one it was. */
    if (legacy->phase == PL_LEGACY_PUSH && legacy->pushing_conversations == 1) {
        pl_write_text(&w, ", for conversation ");
        pl_write_text(&w, legacy->pushing_first);
    }
    PL_ASSERT(w.err == PARLEY_OK);
    text[w.len] = '\0';
    pl_text_copy(legacy->note, sizeof legacy->note, text);
}

/* ---- Outcomes ---- */

static void fail(struct pl_node *node, struct pl_legacy *legacy, const char *why)
{
    const struct pl_peer *peer = pl_legacy_peer(node, legacy);
    if (legacy->phase == PL_LEGACY_PUSH) {
        legacy->push_failures++;
        legacy->changes_max = pl_max_size(legacy->changes_max / 2, 1);
    }
    set_note(legacy, why);
    legacy->failed_at = node->now.wall;
    legacy->failures++;
    legacy->identified = false;
    legacy->next_at =
        node->now.mono + pl_sched_wait(legacy->failures, node->options.sync_interval, &node->rng);
    show(node, legacy, PL_SYNC_OFFLINE);
    pl_node_trace(node, PARLEY_TRACE_SESSION_CLOSED_EVENT,
                  peer == NULL ? legacy->address : peer->backend_id, legacy->note, 0);
}

static void fail_status(struct pl_node *node, struct pl_legacy *legacy)
{
    char detail[DETAIL_BYTES + 1] = "";
    char text[PL_PEER_NOTE_BYTES_MAX];
    char digits[20];
    struct pl_writer w = pl_writer_over(text, sizeof text - 1);
    bool object = pl_legacy_answer_field(node, legacy->call, "detail", detail, sizeof detail);
    pl_write_text(&w, "it answered ");
    pl_write_span(&w, pl_out_digits(legacy->call->answer.status, digits));
    if (legacy->call->answer.status == 200 && !object)
        pl_write_text(&w, " with something that is no JSON object");
    if (detail[0] != '\0') {
        pl_write_text(&w, " ");
        pl_write_text(&w, detail);
    }
    PL_ASSERT(w.err == PARLEY_OK);
    text[w.len] = '\0';
    fail(node, legacy, text);
}

static bool is_good(struct pl_node *node, const struct pl_legacy *legacy)
{
    return legacy->call->answer.status == 200 &&
           pl_legacy_answer_field(node, legacy->call, NULL, NULL, 0);
}

static void go_on(struct pl_node *node, struct pl_legacy *legacy)
{
    legacy->next_at = node->now.mono;
    show(node, legacy, PL_SYNC_CATCHING_UP);
}

static void take_identity(struct pl_node *node, struct pl_legacy *legacy)
{
    char why[PL_PEER_NOTE_BYTES_MAX] = "";
    if (!is_good(node, legacy)) {
        fail_status(node, legacy);
        return;
    }
    parley_err err = pl_legacy_take_identity(node, legacy, why);
    if (err == PARLEY_OK) {
        legacy->identified = true;
        go_on(node, legacy);
    } else if (err == PARLEY_EAGAIN) {
        legacy->next_at = node->now.mono + RETRY_NS;
    } else {
        fail(node, legacy, why);
        if (err != PARLEY_EIDENTITY && err != PARLEY_EDENIED)
            return;
        legacy->next_at = node->now.mono + PL_SCHED_BACKOFF_NS_MAX;
        show(node, legacy, PL_SYNC_REFUSED);
    }
}

static void take_registration(struct pl_node *node, struct pl_legacy *legacy)
{
    char status[16] = "";
    unsigned code = legacy->call->answer.status;
    bool object = pl_legacy_answer_field(node, legacy->call, "status", status, sizeof status);
    if (code != 200 && code != 201 && code != 202) {
        fail_status(node, legacy);
    } else if (!object) {
        fail(node, legacy, "the answer is no JSON object");
    } else if (code == 202 || strcmp(status, "pending") == 0) {
        fail(node, legacy, "this node is registered there, but not let in yet");
    } else {
        legacy->registered = true;
        pl_legacy_store(node, legacy);
        go_on(node, legacy);
    }
}

static void take_push(struct pl_node *node, struct pl_legacy *legacy)
{
    struct pl_peer *peer = pl_legacy_peer(node, legacy);
    size_t bytes = legacy->call->body.len;
    legacy->bytes_out += bytes;
    legacy->bytes_in += legacy->call->content.len;
    if (legacy->call->answer.status == 403) {
        bool first = legacy->failures == 0;
        legacy->registered = false;
        fail_status(node, legacy);
        if (first)
            legacy->next_at = node->now.mono;
        return;
    }
    if (!is_good(node, legacy)) {
        fail_status(node, legacy);
        return;
    }
    /* 0: meanwhile all is to be sent anew. */
    if (legacy->pushing_to != 0)
        legacy->cursor = legacy->pushing_to;
    legacy->pushed_at = node->now.wall;
    legacy->failures = 0;
    legacy->note[0] = '\0';
    legacy->changes_max = pl_min_size(legacy->changes_max * 2, PL_LEGACY_CHANGES_MAX);
    legacy->pushes++;
    legacy->conversations += legacy->pushing_conversations;
    legacy->messages += legacy->pushing_messages;
    if (peer != NULL) {
        peer->last_sync_at = node->now.wall;
        peer->bytes_out += bytes;
        peer->versions_out += legacy->pushing_messages;
    }
    pl_legacy_store(node, legacy);
    go_on(node, legacy);
}

static void settle(struct pl_node *node, struct pl_legacy *legacy)
{
    if (legacy->settled)
        return;
    legacy->settled = true;
    if (legacy->removed)
        return;
    if (legacy->call->state == PL_LEGACY_CALL_FAILED) {
        fail(node, legacy, legacy->call->why);
        return;
    }
    switch (legacy->phase) {
    case PL_LEGACY_IDENTITY:
        take_identity(node, legacy);
        break;
    case PL_LEGACY_REGISTER:
        take_registration(node, legacy);
        break;
    case PL_LEGACY_PUSH:
        take_push(node, legacy);
        break;
    }
}

/* ---- Calls ---- */

static void drop_call(struct pl_node *node, struct pl_legacy *legacy)
{
    if (legacy->call == NULL)
        return;
    pl_legacy_call_deinit(legacy->call);
    node->env->release(node->env->ud, legacy->call, sizeof *legacy->call);
    legacy->call = NULL;
}

static bool open_call(struct pl_node *node, struct pl_legacy *legacy, enum pl_legacy_phase phase)
{
    legacy->phase = phase;
    legacy->call = node->env->alloc(node->env->ud, sizeof *legacy->call);
    if (legacy->call == NULL) {
        fail(node, legacy, "no memory here now");
        return false;
    }
    pl_legacy_call_init(legacy->call, node->env, &node->buffered_bytes);
    return true;
}

/* The call is complete: dial for it. */
static void dial(struct pl_node *node, struct pl_legacy *legacy, const char *path)
{
    struct pl_connection *conn = NULL;
    if (legacy->call->body.err == PARLEY_OK)
        conn = pl_node_conn_open(node);
    if (conn == NULL) {
        drop_call(node, legacy);
        fail(node, legacy, "no room for another connection, or its memory, here");
        return;
    }
    pl_legacy_call_head(legacy->call, legacy->phase != PL_LEGACY_IDENTITY, path, legacy->address);
    conn->kind = PL_CONN_DIALING;
    conn->dialed = true;
    conn->legacy = legacy;
    legacy->conn = conn->handle;
    legacy->settled = false;
    pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_DIAL,
                                             .conn = conn->handle,
                                             .address = legacy->address });
}

static void rest(struct pl_node *node, struct pl_legacy *legacy)
{
    legacy->failures = 0;
    legacy->note[0] = '\0';
    legacy->next_at = node->now.mono + interval_of(node);
    show(node, legacy, PL_SYNC_IN_SYNC);
}

static void note_behind(const struct pl_node *node, const struct pl_legacy *legacy,
                        struct pl_peer *peer)
{
    peer->behind_ours = node->state.head > legacy->cursor ? node->state.head - legacy->cursor : 0;
    peer->acked = legacy->cursor;
}

static void push(struct pl_node *node, struct pl_legacy *legacy, struct pl_peer *peer)
{
    struct pl_legacy_pack pack;
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    bool known_life = memcmp(legacy->incarnation.bytes, node->state.incarnation.bytes,
                             PARLEY_INCARNATION_BYTES) == 0;
    if (read != NULL && !known_life) {
        legacy->incarnation = node->state.incarnation;
        legacy->cursor = 0;
    }
    note_behind(node, legacy, peer);
    if (read != NULL && legacy->cursor >= node->state.head) {
        rest(node, legacy);
        return;
    }
    legacy->pushing_conversations = 0;
    if (!open_call(node, legacy, PL_LEGACY_PUSH))
        return;
    struct pl_legacy_range range = { .after = legacy->cursor, .changes_max = legacy->changes_max };
    if (read != NULL)
        err = pl_legacy_write_payload(node, peer, &range, &legacy->call->body, &pack);
    if (err == PARLEY_OK && pack.conversations != 0) {
        pl_out_text(&legacy->call->body, "}");
        legacy->pushing_conversations = pack.conversations;
        legacy->pushing_to = pack.end;
        legacy->pushing_messages = pack.messages;
        pl_text_copy(legacy->pushing_first, sizeof legacy->pushing_first, pack.first);
        show(node, legacy, PL_SYNC_CATCHING_UP);
        dial(node, legacy, "/sync");
        return;
    }
    drop_call(node, legacy);
    if (err != PARLEY_OK) {
        fail(node, legacy, parley_err_text(err));
        return;
    }
    /* Nothing of that stretch is for this peer. */
    legacy->cursor = pack.end;
    note_behind(node, legacy, peer);
    if (pack.more)
        go_on(node, legacy);
    else
        rest(node, legacy);
}

/* What is next. */
static void step(struct pl_node *node, struct pl_legacy *legacy)
{
    struct pl_peer *peer = pl_legacy_peer(node, legacy);
    if (peer != NULL && peer->state == PL_PEER_REVOKED) {
        pl_legacy_remove(node, legacy);
        return;
    }
    /* A registration that could not be stored did not happen. */
    if (peer == NULL) {
        legacy->peer_number = 0;
        legacy->identified = false;
    }
    if (!legacy->identified) {
        if (open_call(node, legacy, PL_LEGACY_IDENTITY))
            dial(node, legacy, "/identity");
    } else if (!legacy->registered) {
        if (!open_call(node, legacy, PL_LEGACY_REGISTER))
            return;
        pl_legacy_write_registration(node, peer, &legacy->call->body);
        dial(node, legacy, "/register-peer");
    } else {
        push(node, legacy, peer);
    }
}

/* ---- Time ---- */

void pl_legacy_tick(struct pl_node *node)
{
    pl_legacy_save_again(node);
    for (size_t i = 0; i < node->legacy_count && !node->stopping; i++) {
        struct pl_legacy *legacy = node->legacy[i];
        if (!legacy->removed && legacy->conn == 0 && legacy->next_at <= node->now.mono)
            step(node, legacy);
    }
}

parley_time pl_legacy_deadline(const struct pl_node *node)
{
    parley_time at = PARLEY_TIME_NEVER;
    for (size_t i = 0; i < node->legacy_count && !node->stopping; i++) {
        const struct pl_legacy *legacy = node->legacy[i];
        if (!legacy->removed && legacy->conn == 0)
            at = pl_min_u64(at, legacy->next_at);
    }
    return at;
}

void pl_legacy_kick(struct pl_node *node, struct pl_legacy *legacy)
{
    legacy->failures = 0;
    legacy->next_at = node->now.mono;
    if (legacy->conn == 0 && !legacy->removed && !node->stopping)
        step(node, legacy);
}

parley_wall pl_legacy_next_try(const struct pl_node *node, const struct pl_legacy *legacy)
{
    if (legacy->conn != 0 || legacy->removed)
        return 0;
    parley_time wait = legacy->next_at > node->now.mono ? legacy->next_at - node->now.mono : 0;
    return node->now.wall + (parley_wall)(wait / 1000);
}

/* ---- Its connection ---- */

void pl_legacy_dialed(struct pl_node *node, struct pl_connection *conn, bool ok, const char *why)
{
    struct pl_legacy *legacy = conn->legacy;
    if (ok && !conn->local && !node->options.plain_peers) {
        why = "the host is not this machine; start parleyd with --plain-peers if you trust the "
              "network";
        ok = false;
    }
    if (!ok) {
        pl_legacy_call_fail(legacy->call, why);
        settle(node, legacy);
        return;
    }
    conn->kind = PL_CONN_LEGACY;
    pl_legacy_call_connected(legacy->call, node->now.mono);
}

void pl_legacy_pump(struct pl_node *node, struct pl_connection *conn)
{
    if (!pl_legacy_call_is_finished(conn->legacy->call))
        return;
    settle(node, conn->legacy);
    pl_node_conn_close(node, conn);
}

void pl_legacy_conn_tick(struct pl_node *node, struct pl_connection *conn)
{
    pl_legacy_call_tick(conn->legacy->call, node->now.mono);
    pl_legacy_pump(node, conn);
}

void pl_legacy_closed(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_legacy *legacy = conn->legacy;
    conn->legacy = NULL;
    pl_legacy_call_fail(legacy->call, "the connection was lost");
    settle(node, legacy);
    drop_call(node, legacy);
    legacy->conn = 0;
    pl_legacy_save_again(node);
}
