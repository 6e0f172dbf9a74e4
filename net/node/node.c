/* SPDX-License-Identifier: Apache-2.0
 *
 * The node: connections and their layers, events in, effects out.
 *
 * Bytes go socket <-> [TLS] <-> session or HTTP. pump() moves them between the layers until nothing
 * moves any more, and then says what the host must do for this connection: WRITE, READ, CLOSE.
 * Every public call sets `now`, does its work, pumps what it touched and ends the read snapshot.
 */
#include "node/node_int.h"

#include "core/hash.h"
#include "node/growth.h"
#include "node/legacy.h"

#define SNIFF_NS_MAX (10 * PARLEY_NS_PER_S)
#define MAINTAIN_NS  (5 * PARLEY_NS_PER_S)
/* Whose large versions are those of the host: no connection has this handle. */
#define NO_CONN UINT32_MAX

void pl_node_effect(struct pl_node *node, struct pl_effect effect)
{
    PL_ASSERT(node->effect_count < PL_EFFECTS_MAX);
    node->effects[(node->effect_first + node->effect_count) % PL_EFFECTS_MAX] = effect;
    node->effect_count++;
}

bool pl_node_take_effect(struct pl_node *node, struct pl_effect *out)
{
    if (node->effect_count == 0)
        return false;
    *out = node->effects[node->effect_first];
    node->effect_first = (node->effect_first + 1) % PL_EFFECTS_MAX;
    node->effect_count--;
    return true;
}

struct parley_read *pl_node_read(struct pl_node *node, parley_err *err)
{
    *err = PARLEY_OK;
    if (node->read == NULL) {
        /* A snapshot may be newer than the last outcome we were told; head and roots of what is
         * said to a peer must come from the same one. */
        node->state_fresh = false;
        *err = parley_read_begin(node->db, &node->read);
    }
    if (*err == PARLEY_OK && !node->state_fresh) {
        *err = parley_read_state(node->read, &node->state);
        node->state_fresh = *err == PARLEY_OK;
    }
    return *err == PARLEY_OK ? node->read : NULL;
}

void pl_node_read_done(struct pl_node *node)
{
    if (node->read != NULL)
        parley_read_end(node->read);
    node->read = NULL;
}

/* ---- Connections ---- */

struct pl_connection *pl_node_conn_find(struct pl_node *node, pl_conn handle)
{
    return pl_slab_find(&node->conns, handle);
}

struct pl_connection *pl_node_conn_open(struct pl_node *node)
{
    pl_handle handle = 0;
    struct pl_connection *conn = pl_slab_alloc(&node->conns, &handle);
    if (conn == NULL)
        return NULL;
    conn->handle = handle;
    conn->accepted_at = node->now.mono;
    conn->moved_at = node->now.mono;
    conn->cut_at = PARLEY_TIME_NEVER;
    return conn;
}

void pl_node_conn_close(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_CLOSE, .conn = conn->handle });
}

static void free_layers(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_peer *peer = conn->peer;
    if (conn->session != NULL)
        pl_native_free(node, conn);
    if (conn->http != NULL)
        pl_http_free(node, conn);
    if (conn->legacy != NULL)
        pl_legacy_closed(node, conn);
    if (peer != NULL && peer->conn == conn->handle)
        pl_peering_lost(node, peer, conn->failed || conn->kind == PL_CONN_DIALING,
                        "the connection was lost");
    pl_tls_close(conn->tls);
    conn->tls = NULL;
}

/* The four verbs of whatever stands above TLS. */

static uint8_t *upper_recv_buf(struct pl_node *node, struct pl_connection *conn, size_t *len)
{
    *len = 0;
    switch (conn->kind) {
    case PL_CONN_NATIVE:
        return pl_session_recv_buf(conn->session, len);
    case PL_CONN_HTTP:
        return pl_http_recv_buf(node, conn, len);
    case PL_CONN_LEGACY:
        return pl_legacy_call_recv_buf(conn->legacy->call, len);
    case PL_CONN_SNIFFING:
        *len = sizeof conn->sniff - conn->sniff_len;
        return *len == 0 ? NULL : conn->sniff + conn->sniff_len;
    case PL_CONN_DIALING:
        break;
    }
    return NULL;
}

static void upper_recv_ack(struct pl_node *node, struct pl_connection *conn, size_t len)
{
    switch (conn->kind) {
    case PL_CONN_NATIVE:
        if (conn->peer != NULL)
            conn->peer->bytes_in += len;
        pl_session_recv_ack(conn->session, len, node->now.mono);
        break;
    case PL_CONN_HTTP:
        pl_http_recv_ack(node, conn, len);
        break;
    case PL_CONN_LEGACY:
        pl_legacy_call_recv_ack(conn->legacy->call, len);
        break;
    case PL_CONN_SNIFFING:
        conn->sniff_len += len;
        break;
    case PL_CONN_DIALING:
        break;
    }
}

static const uint8_t *upper_send_buf(struct pl_node *node, struct pl_connection *conn, size_t *len)
{
    *len = 0;
    if (conn->kind == PL_CONN_NATIVE)
        return pl_session_send_buf(conn->session, len);
    if (conn->kind == PL_CONN_HTTP)
        return pl_http_send_buf(node, conn, len);
    if (conn->kind == PL_CONN_LEGACY)
        return pl_legacy_call_send_buf(conn->legacy->call, len);
    return NULL;
}

static void upper_send_ack(struct pl_node *node, struct pl_connection *conn, size_t len)
{
    if (conn->kind == PL_CONN_NATIVE) {
        if (conn->peer != NULL)
            conn->peer->bytes_out += len;
        pl_session_send_ack(conn->session, len);
    } else if (conn->kind == PL_CONN_HTTP) {
        pl_http_send_ack(node, conn, len);
    } else if (conn->kind == PL_CONN_LEGACY) {
        pl_legacy_call_send_ack(conn->legacy->call, len, node->now.mono);
    }
}

/* Hands bytes that are in memory to the layer above; returns how many it took. */
static size_t feed_upper(struct pl_node *node, struct pl_connection *conn, const uint8_t *bytes,
                         size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t room = 0;
        uint8_t *to = upper_recv_buf(node, conn, &room);
        if (to == NULL || room == 0)
            break;
        size_t part = pl_min_size(room, len - done);
        memcpy(to, bytes + done, part);
        upper_recv_ack(node, conn, part);
        done += part;
    }
    return done;
}

/* ---- Sniffing: the first plain byte says what is spoken ---- */

static parley_err open_upper(struct pl_node *node, struct pl_connection *conn, uint8_t first)
{
    bool native = first == (uint8_t)PL_WIRE_PREFACE[0];
    if (native && conn->tls == NULL && !conn->local && !node->options.plain_peers)
        return PARLEY_EDENIED;
    if (native && conn->tls != NULL && pl_tls_server_key(conn->tls) == NULL)
        return PARLEY_EPROTO; /* under the operator's certificate there is nothing to sign */
    if (native)
        return pl_native_open(node, conn);
    PL_TRY(pl_http_open(node, conn)); /* which tells who comes without TLS why it gets nothing */
    conn->kind = PL_CONN_HTTP;
    return PARLEY_OK;
}

static void refuse_connection(struct pl_node *node, struct pl_connection *conn, parley_err err)
{
    const char *note = err == PARLEY_EDENIED
                           ? "plain TCP from another machine; use TLS, or start with --plain-peers"
                           : parley_err_text(err);
    pl_audit_refusal(node, err == PARLEY_EDENIED ? "plain-connection" : "connection", "", "");
    pl_node_trace(node, PARLEY_TRACE_CONNECTION_REFUSED_EVENT, "", note, 0);
    pl_node_conn_close(node, conn);
}

/* Decides by the bytes held in `sniff`; they then belong to the layer that was chosen. */
static void sniff(struct pl_node *node, struct pl_connection *conn)
{
    uint8_t held[sizeof conn->sniff];
    size_t len = conn->sniff_len;
    if (len == 0)
        return;
    memcpy(held, conn->sniff, len);
    pl_wipe(conn->sniff, len);
    conn->sniff_len = 0;
    parley_err err = PARLEY_OK;
    if (held[0] == 0x16 && conn->tls == NULL) {
        err = pl_tls_open_server(node->env, node->tls_profile, &node->tls_credential,
                                 node->options.https, node->now.mono, &conn->tls);
        for (size_t done = 0; err == PARLEY_OK && done < len;) {
            size_t room = 0;
            uint8_t *to = pl_tls_recv_buf(conn->tls, &room);
            PL_ASSERT(to != NULL && room > 0); /* its buffer holds a whole record */
            size_t part = pl_min_size(room, len - done);
            memcpy(to, held + done, part);
            pl_tls_recv_ack(conn->tls, part);
            done += part;
        }
    } else {
        err = open_upper(node, conn, held[0]);
        if (err == PARLEY_OK && feed_upper(node, conn, held, len) != len)
            err = PARLEY_EFULL;
    }
    pl_wipe(held, len);
    if (err != PARLEY_OK)
        refuse_connection(node, conn, err);
}

/* ---- Moving bytes ---- */

/* From TLS up. A first plain byte opens the layer above. True if anything moved. */
static bool pump_up(struct pl_node *node, struct pl_connection *conn)
{
    size_t len = 0;
    const uint8_t *bytes = pl_tls_plain_recv_buf(conn->tls, &len);
    if (bytes == NULL || len == 0)
        return false;
    parley_err err = conn->kind == PL_CONN_SNIFFING ? open_upper(node, conn, bytes[0]) : PARLEY_OK;
    if (err != PARLEY_OK) {
        refuse_connection(node, conn, err);
        return false;
    }
    size_t taken = feed_upper(node, conn, bytes, len);
    pl_tls_plain_recv_ack(conn->tls, taken);
    return taken > 0;
}

static bool pump_down(struct pl_node *node, struct pl_connection *conn)
{
    size_t have = 0;
    size_t room = 0;
    const uint8_t *bytes = upper_send_buf(node, conn, &have);
    if (bytes == NULL || have == 0)
        return false;
    uint8_t *to = pl_tls_plain_send_buf(conn->tls, &room);
    if (to == NULL || room == 0)
        return false;
    size_t part = pl_min_size(have, room);
    memcpy(to, bytes, part);
    upper_send_ack(node, conn, part);
    pl_tls_plain_send_ack(conn->tls, part);
    if (part == have)
        pl_tls_flush(conn->tls);
    return true;
}

static void run_upper(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->kind == PL_CONN_NATIVE)
        pl_native_pump(node, conn);
    else if (conn->kind == PL_CONN_HTTP)
        pl_http_pump(node, conn);
    else if (conn->kind == PL_CONN_LEGACY)
        pl_legacy_pump(node, conn);
}

static bool upper_is_finished(const struct pl_connection *conn)
{
    if (conn->kind == PL_CONN_NATIVE)
        return pl_session_is_finished(conn->session);
    if (conn->kind == PL_CONN_HTTP)
        return pl_http_is_finished(conn);
    return false;
}

/* A dialed connection whose handshake is over begins its session. */
static void pump_tls(struct pl_node *node, struct pl_connection *conn)
{
    struct parley_diag why = { "" };
    if (conn->kind == PL_CONN_DIALING && pl_tls_is_ready(conn->tls) &&
        pl_native_open(node, conn) != PARLEY_OK)
        pl_node_conn_close(node, conn);
    run_upper(node, conn);
    for (bool moved = true; moved && !conn->closing;) {
        moved = pump_up(node, conn);
        if (moved)
            run_upper(node, conn);
        while (pump_down(node, conn)) {
            moved = true;
            run_upper(node, conn);
        }
    }
    if (!pl_tls_is_closed(conn->tls, &why))
        return;
    size_t left = 0;
    if (pl_tls_send_buf(conn->tls, &left) == NULL || left == 0) {
        pl_native_fail(node, conn, why.text);
        pl_node_conn_close(node, conn);
    }
}

static void want_io(struct pl_node *node, struct pl_connection *conn)
{
    size_t len = 0;
    if (!conn->want_write && pl_node_send_buf(node, conn->handle, &len) != NULL && len > 0) {
        conn->want_write = true;
        pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_WRITE, .conn = conn->handle });
    }
    if (conn->read_paused && pl_node_recv_buf(node, conn->handle, &len) != NULL && len > 0) {
        conn->read_paused = false;
        pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_READ, .conn = conn->handle });
    }
}

static void pump(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->closing)
        return;
    if (conn->kind == PL_CONN_SNIFFING && conn->tls == NULL)
        sniff(node, conn);
    if (conn->closing)
        return;
    if (conn->tls != NULL)
        pump_tls(node, conn);
    else
        run_upper(node, conn);
    if (conn->closing)
        return;
    size_t left = 0;
    if (upper_is_finished(conn)) {
        /* All is in TLS by now; it goes out before the socket closes, if the peer takes it. */
        conn->cut_at = pl_min_u64(conn->cut_at, node->now.mono + PL_DRAIN_NS_MAX);
        if (conn->tls != NULL && !conn->tls_shutdown) {
            conn->tls_shutdown = true;
            pl_tls_shutdown(conn->tls);
        }
        if (pl_node_send_buf(node, conn->handle, &left) == NULL || left == 0) {
            pl_node_conn_close(node, conn);
            return;
        }
    }
    want_io(node, conn);
}

static void pump_all(struct pl_node *node)
{
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        pump(node, pl_slab_find(&node->conns, h));
}

/* ---- Data plane ---- */

uint8_t *pl_node_recv_buf(struct pl_node *node, pl_conn handle, size_t *len)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    uint8_t *buf = NULL;
    *len = 0;
    if (conn == NULL || conn->closing)
        return NULL;
    buf = conn->tls != NULL ? pl_tls_recv_buf(conn->tls, len) : upper_recv_buf(node, conn, len);
    if (buf == NULL || *len == 0) {
        conn->read_paused = true;
        return NULL;
    }
    return buf;
}

void pl_node_recv_ack(struct pl_node *node, pl_conn handle, size_t len, struct parley_now now)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    node->now = now;
    if (conn == NULL || conn->closing)
        return;
    conn->moved_at = now.mono;
    if (conn->tls != NULL)
        pl_tls_recv_ack(conn->tls, len);
    else
        upper_recv_ack(node, conn, len);
    pump(node, conn);
    pl_node_read_done(node);
}

const uint8_t *pl_node_send_buf(struct pl_node *node, pl_conn handle, size_t *len)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    *len = 0;
    if (conn == NULL || conn->closing)
        return NULL;
    return conn->tls != NULL ? pl_tls_send_buf(conn->tls, len) : upper_send_buf(node, conn, len);
}

void pl_node_send_ack(struct pl_node *node, pl_conn handle, size_t len, struct parley_now now)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    node->now = now;
    if (conn == NULL || conn->closing)
        return;
    conn->moved_at = now.mono;
    if (conn->tls != NULL)
        pl_tls_send_ack(conn->tls, len);
    else
        upper_send_ack(node, conn, len);
    conn->want_write = false;
    pump(node, conn);
    pl_node_read_done(node);
}

void pl_node_recv_end(struct pl_node *node, pl_conn handle, struct parley_now now)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    node->now = now;
    if (conn == NULL || conn->closing)
        return;
    /* An HTTP client may half-close and still wait for its answer, and an old backend may end its
     * answer so; nobody else may. */
    if (conn->kind == PL_CONN_HTTP && conn->tls == NULL) {
        pl_http_recv_end(node, conn);
        pump(node, conn);
    } else if (conn->kind == PL_CONN_LEGACY) {
        pl_legacy_call_recv_end(conn->legacy->call);
        pump(node, conn);
    } else {
        pl_node_conn_close(node, conn);
    }
    pl_node_read_done(node);
}

/* ---- Control plane ---- */

pl_conn pl_node_accepted(struct pl_node *node, const struct pl_remote *from, struct parley_now now)
{
    node->now = now;
    pl_admission_make_room(node, from);
    struct pl_connection *conn = node->stopping ? NULL : pl_node_conn_open(node);
    if (conn == NULL)
        return 0;
    conn->local = from->local;
    memcpy(conn->net, from->net, sizeof conn->net);
    return conn->handle;
}

static parley_err start_dialed(struct pl_node *node, struct pl_connection *conn)
{
    if (node->options.plain_peers)
        return pl_native_open(node, conn);
    if (conn->peer == NULL)
        return pl_tls_open_client(node->env, node->tls_profile, NULL, node->now, &conn->tls);
    /* Used up even if nothing comes of it: a session that the server refuses must not be offered
     * for ever. A session that opens puts the next one there. */
    struct pl_tls_session *session = &conn->peer->tls_session;
    parley_err err =
        pl_tls_open_client(node->env, node->tls_profile, session, node->now, &conn->tls);
    pl_tls_session_forget(session);
    return err;
}

void pl_node_dialed(struct pl_node *node, pl_conn handle, bool ok, bool local, const char *why,
                    struct parley_now now)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    node->now = now;
    if (conn == NULL)
        return;
    conn->local = local;
    if (conn->legacy != NULL)
        pl_legacy_dialed(node, conn, ok, why);
    bool speaks_http = conn->kind == PL_CONN_LEGACY;
    if (speaks_http || (ok && conn->legacy == NULL && start_dialed(node, conn) == PARLEY_OK)) {
        pump(node, conn);
    } else {
        pl_native_fail(node, conn, why);
        if (ok)
            pl_node_conn_close(node, conn);
        else
            pl_node_closed(node, handle, now);
    }
    pl_node_read_done(node);
}

void pl_node_closed(struct pl_node *node, pl_conn handle, struct parley_now now)
{
    struct pl_connection *conn = pl_node_conn_find(node, handle);
    node->now = now;
    if (conn == NULL)
        return;
    pl_native_fail_join(node, conn, "the connection was lost before the join was complete");
    free_layers(node, conn);
    pl_wipe(conn, sizeof *conn);
    pl_slab_free(&node->conns, handle);
    pl_node_read_done(node);
}

static void resume_waiters(struct pl_node *node, parley_err err)
{
    uint64_t serial = node->batches[1 - node->filling].serial;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (conn->closing)
            continue;
        if (conn->kind == PL_CONN_NATIVE)
            pl_native_committed(node, conn, err);
        else if (conn->kind == PL_CONN_HTTP && conn->waits_for == serial)
            pl_http_committed(node, conn, err);
    }
    pl_large_committed(node, serial);
}

/* Versions of the failed batch came before the cursors that wait in the filling one: those of the
 * same peers must not become durable without them. A write that does nothing takes their place,
 * because requests remember theirs by number. */
static void void_cursors(struct pl_node *node)
{
    const struct pl_batch *failed = &node->batches[1 - node->filling];
    struct pl_batch *next = &node->batches[node->filling];
    for (size_t i = 0; i < next->count; i++) {
        struct parley_write *write = &next->writes[i];
        bool lost = false;
        for (size_t k = 0; write->kind == PARLEY_WRITE_CURSOR && k < failed->count && !lost; k++)
            lost = failed->writes[k].kind == PARLEY_WRITE_VERSION &&
                   failed->writes[k].source == write->u.cursor.peer;
        if (!lost)
            continue;
        *write = (struct parley_write){ .kind = PARLEY_WRITE_SYS_DEL };
        write->u.sys.key = pl_span_text("void");
    }
}

/* A batch that may use the reserve says nothing about room for others. */
static bool says_nothing(const struct pl_node *node, parley_err err, bool changed)
{
    const struct pl_batch *batch = &node->batches[1 - node->filling];
    bool full = node->store_health == PARLEY_ENOSPC || node->store_health == PARLEY_EMAPFULL;
    return full && err == PARLEY_OK &&
           !(changed && parley_writes_need_room(batch->writes, batch->count));
}

static void note_store_health(struct pl_node *node, parley_err err, bool recovered, bool changed)
{
    const char *note = "";
    if (says_nothing(node, err, changed))
        return;
    if (err != PARLEY_OK && !(err == PARLEY_EIO && recovered))
        note = parley_err_text(err);
    parley_err before = node->store_health;
    node->store_health = note[0] == '\0' ? PARLEY_OK : err;
    if (node->store_health != PARLEY_OK && before == PARLEY_OK)
        pl_node_trace(node, PARLEY_TRACE_STORE_REFUSED_EVENT, "", note, 0);
    if (node->store_health == PARLEY_OK && before != PARLEY_OK)
        pl_node_trace(node, PARLEY_TRACE_STORE_RECOVERED_EVENT, "", "", 0);
    pl_text_copy(node->store_note, sizeof node->store_note, note);
}

void pl_node_scrubbed(struct pl_node *node, const struct parley_scrub *scrub)
{
    bool fresh = scrub->problems != 0 && node->scrub.problems == 0;
    node->scrub = *scrub;
    if (fresh)
        pl_node_trace(node, PARLEY_TRACE_STORE_DAMAGED_EVENT, "", scrub->first.text,
                      scrub->problems);
}

void pl_node_committed(struct pl_node *node, parley_err err, bool recovered, bool changed,
                       struct parley_now now)
{
    PL_ASSERT(node->commit_in_flight);
    node->now = now;
    pl_node_read_done(node);
    node->state_fresh = false;
    uint64_t serial = node->batches[1 - node->filling].serial;
    note_store_health(node, err, recovered, changed);
    node->commits += changed ? 1 : 0;
    if (err != PARLEY_OK) {
        void_cursors(node);
        pl_undo_failed_batch(node, serial);
    } else {
        pl_peering_count(node, &node->batches[1 - node->filling]);
        pl_peering_committed(node, serial);
        pl_invite_committed(node, serial);
    }
    pl_audit_committed(node, &node->batches[1 - node->filling], err);
    pl_tokens_committed(node, err);
    pl_keys_committed(node, err);
    pl_rebase_committed(node, &node->batches[1 - node->filling], err);
    pl_legacy_committed(node, serial, err);
    pl_collect_committed(node, err);
    pl_growth_committed(node, err);
    resume_waiters(node, err);
    node->commit_in_flight = false;
    if (node->stopping)
        pl_growth_stop(node);
    const struct pl_batch *done = &node->batches[1 - node->filling];
    pl_index_committed(node, done->count == 1 && done->writes[0].kind == PARLEY_WRITE_INDEX, err);
    if (node->commit_wanted)
        pl_batch_commit_soon(node);
    pl_views_committed(node, serial, err);
    pump_all(node);
    pl_index_tick(node);
    pl_node_read_done(node);
}

static void tick_conn(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->closing)
        return;
    bool stuck =
        conn->kind == PL_CONN_SNIFFING || (conn->kind == PL_CONN_DIALING && conn->tls != NULL);
    if (stuck && node->now.mono >= conn->accepted_at + SNIFF_NS_MAX) {
        pl_native_fail(node, conn, "the TLS handshake took too long");
        pl_node_conn_close(node, conn);
        return;
    }
    if (node->now.mono >= conn->cut_at) {
        pl_node_conn_close(node, conn);
        return;
    }
    if (conn->kind == PL_CONN_NATIVE)
        pl_native_tick(node, conn);
    else if (conn->kind == PL_CONN_HTTP)
        pl_http_tick(node, conn);
    else if (conn->kind == PL_CONN_LEGACY)
        pl_legacy_conn_tick(node, conn);
    pump(node, conn);
}

/* A store that has refused writes is tried with a small row: nobody else may come and write, and
 * what waits for a healthy store would wait for ever. */
static void probe_store(struct pl_node *node)
{
    struct parley_span key = pl_span_text("node/probe");
    uint8_t value[8];
    if (node->store_health == PARLEY_OK || node->commit_in_flight || pl_batch_count(node) != 0 ||
        !pl_batch_has_room(node, 1, key.len + sizeof value))
        return;
    pl_put_be(value, (uint64_t)node->now.wall, sizeof value);
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_SYS_PUT, 0);
    write->u.sys.key = pl_batch_copy(node, key);
    write->u.sys.value = pl_batch_copy(node, pl_span_of(value, sizeof value));
    write->u.sys.spares_reserve = true;
    pl_batch_commit_soon(node);
}

void pl_node_tick(struct pl_node *node, struct parley_now now)
{
    node->now = now;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        tick_conn(node, pl_slab_find(&node->conns, h));
    pl_peering_dial_due(node);
    pl_legacy_tick(node);
    pl_undo_save_again(node);
    pl_audit_tick(node);
    pl_growth_tick(node);
    pl_index_tick(node);
    if (now.mono >= node->maintain_at && !node->stopping) {
        node->maintain_at = now.mono + MAINTAIN_NS;
        pl_credential_tick(node);
        probe_store(node);
        node->state_fresh = false;
        pl_tokens_prune(node);
        pl_peering_prune(node);
        pl_views_step(node);
        pl_collect_tick(node);
        pl_node_effect(node, (struct pl_effect){ .kind = PL_EFFECT_MAINTAIN });
    }
    pl_node_read_done(node);
}

static parley_time conn_deadline(const struct pl_connection *conn)
{
    if (conn->closing)
        return PARLEY_TIME_NEVER;
    switch (conn->kind) {
    case PL_CONN_SNIFFING:
        return conn->accepted_at + SNIFF_NS_MAX;
    case PL_CONN_DIALING:
        return conn->tls != NULL ? conn->accepted_at + SNIFF_NS_MAX : PARLEY_TIME_NEVER;
    case PL_CONN_NATIVE:
        return pl_min_u64(conn->cut_at, pl_native_deadline(conn));
    case PL_CONN_HTTP:
        return pl_min_u64(conn->cut_at, pl_http_deadline(conn));
    case PL_CONN_LEGACY:
        return conn->legacy->call->deadline;
    }
    return PARLEY_TIME_NEVER;
}

/* While a commit is in flight its end looks again. */
static parley_time index_deadline(const struct pl_node *node)
{
    return node->commit_in_flight ? PARLEY_TIME_NEVER : node->index_at;
}

parley_time pl_node_deadline(const struct pl_node *node)
{
    parley_time at = pl_min_u64(pl_peering_deadline(node), pl_growth_deadline(node));
    at = pl_min_u64(at, pl_legacy_deadline(node));
    if (!node->stopping)
        at = pl_min_u64(at, pl_min_u64(node->maintain_at, index_deadline(node)));
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h))
        at = pl_min_u64(at, conn_deadline(pl_slab_find(&node->conns, h)));
    return at;
}

void pl_node_stop(struct pl_node *node, struct parley_now now)
{
    node->now = now;
    node->stopping = true;
    pl_growth_stop(node);
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (conn->kind == PL_CONN_NATIVE)
            pl_session_close(conn->session, PL_BYE_CLOSING);
        else if (conn->kind != PL_CONN_HTTP || conn->waits_for == 0)
            pl_node_conn_close(node, conn);
        pump(node, conn);
    }
    pl_node_read_done(node);
}

bool pl_node_is_stopped(const struct pl_node *node)
{
    return node->stopping && pl_slab_next(&node->conns, 0) == 0 && !node->commit_in_flight &&
           node->rotate.phase != PL_ROTATE_MAKING;
}

const char *pl_node_backend_id(const struct pl_node *node)
{
    return node->backend_id;
}

bool pl_node_is_full(const struct pl_node *node)
{
    return node->conns.used == node->conns_max;
}

bool pl_node_in_sync(const struct pl_node *node)
{
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        if (peer->state == PL_PEER_ACTIVE && !peer->http && peer->sync != PL_SYNC_IN_SYNC)
            return false;
    }
    return true;
}

parley_err pl_node_write(struct pl_node *node, const struct parley_version *version,
                         struct parley_now now)
{
    node->now = now;
    PL_TRY(parley_version_check(version, NULL));
    parley_err err = pl_large_write(node, NO_CONN, version, 0);
    if (err == PARLEY_OK || err == PARLEY_EAGAIN)
        pl_batch_commit_soon(node);
    return err;
}
