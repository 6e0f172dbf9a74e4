/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP connection: bytes in, one request at a time, bytes out.
 *
 *         head parsed        body whole        handler DONE       all sent
 *   HEAD -------------> BODY ------------> RUN -------------> WRITE --------> HEAD (keep-alive)
 *     |  (no body: RUN)   |     MORE        |  WAIT, AGAIN,     |             FINISHED (close)
 *     |                   |  <------------  |  YIELD, SLEEP:    |
 *     |                   |  (in pieces)    |  stay  <--------  | (after SEND)
 *     +----- refused -----+-----------------+---------------> WRITE --------> DRAIN
 *
 * Invariants
 *  1. Requests are answered strictly in order: while one is in RUN or WRITE nothing is read, and
 *     what the client has pipelined waits in `in`, then in its socket.
 *  2. `in[0, in_used)` is the head of the current request and does not move until it is answered.
 *  3. Every byte of a body or response is accounted in node->buffered_bytes.
 *  4. After an error that leaves request bytes unread the answer says "close", and some of those
 *     bytes are read and thrown away (DRAIN): closing at once would make the kernel reset the
 *     connection, and the client would never see the answer.
 *
 * Bodies of a known length are received directly where they stay. A body that comes in pieces is
 * held up to `window`: its handler runs, says what it is done with, and the rest moves to the
 * front. A handler that is done with nothing gets a window twice as large.
 */
#include "core/hash.h"
#include "node/http_conn_int.h"

#define HEAD_NS_MAX  (10 * PARLEY_NS_PER_S) /* a head, from its first byte */
#define IDLE_NS_MAX  (60 * PARLEY_NS_PER_S) /* between requests */
#define BODY_NS_MAX  (30 * PARLEY_NS_PER_S) /* between two pieces of a body */
#define DRAIN_NS_MAX (2 * PARLEY_NS_PER_S)
#define RETRY_NS     (100 * PARLEY_NS_PER_MS) /* AGAIN without a commit under way */
#define AGAIN_NS_MAX (10 * PARLEY_NS_PER_S)   /* of AGAIN without an end; then 503 */

/* Thrown away after an error; what a client has under way when it sees the answer. */
#define DRAIN_BYTES_MAX (4u << 20)
/* A refused request with a body of at most this is read to its end, and the connection lives on. */
#define SKIP_BYTES_MAX 65536u
/* The first piece of a body buffer; it doubles as bytes come, so that a promise costs nothing. Who
 * has shown a good token is believed at once as far as the second. */
#define BODY_BYTES_FIRST   65536u
#define BODY_BYTES_TRUSTED (1u << 20)

parley_err pl_http_open(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_http_conn *h = node->env->alloc(node->env->ud, sizeof *h);
    if (h == NULL)
        return PARLEY_ENOMEM;
    memset(h, 0, offsetof(struct pl_http_conn, in));
    pl_out_init(&h->body, node->env, &node->buffered_bytes);
    pl_shim_init(node, &h->request);
    pl_http_enter(node, h, HTTP_HEAD, HEAD_NS_MAX);
    conn->http = h;
    conn->kind = PL_CONN_HTTP;
    return PARLEY_OK;
}

void pl_http_free(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_http_conn *h = conn->http;
    if (h == NULL)
        return;
    pl_shim_end(node, &h->request);
    pl_out_free(&h->body);
    /* What was never filled is not touched: it may not even be in memory. */
    pl_wipe(h, offsetof(struct pl_http_conn, in) + h->in_high);
    node->env->release(node->env->ud, h, sizeof *h);
    conn->http = NULL;
}

/* Between two requests nothing is kept but the time at which the connection is closed: clients that
 * stay connected are many, and a connection at work needs some pages. */
static void rest(struct pl_node *node, struct pl_connection *conn)
{
    conn->rest_until = conn->http->deadline;
    pl_http_free(node, conn);
}

/* The next request comes. Without memory for it the connection rests on, until its time is up. */
static bool wake(struct pl_node *node, struct pl_connection *conn)
{
    if (conn->rest_until == 0 || pl_http_open(node, conn) != PARLEY_OK)
        return false;
    conn->http->deadline = conn->rest_until;
    return true;
}

/* ---- Answering ---- */

static void refuse_and_close(struct pl_node *node, struct pl_http_conn *h)
{
    h->keep_alive = false;
    h->unread = true;
    pl_http_respond(node, h);
}

/* Refuses what could not be parsed or read to its end. */
static void refuse(struct pl_node *node, struct pl_http_conn *h, unsigned status, const char *code,
                   const char *detail)
{
    pl_shim_problem(&h->request, status, code, detail);
    if (status == 503)
        pl_shim_header(&h->request, "Retry-After", pl_span_text("1"));
    refuse_and_close(node, h);
}

static void refuse_length(struct pl_node *node, struct pl_http_conn *h, uint64_t limit,
                          const char *detail)
{
    pl_shim_problem_limit(&h->request, 413, "body-too-large", NULL, limit, detail);
    refuse_and_close(node, h);
}

static void refuse_head(struct pl_node *node, struct pl_http_conn *h, unsigned status)
{
    const char *code = pl_http_parse_code(status);
    const char *detail = pl_http_parse_detail(status);
    uint64_t limit = pl_http_parse_limit(status);
    if (limit != 0)
        pl_shim_problem_limit(&h->request, status, code, NULL, limit, detail);
    else
        pl_shim_problem(&h->request, status, code, detail);
    refuse_and_close(node, h);
}

/* The answer is sent: on to the next request, or to the end. Pipelined bytes move to the front. */
static void finish_answer(struct pl_node *node, struct pl_http_conn *h)
{
    pl_shim_end(node, &h->request);
    pl_out_free(&h->body);
    if (!h->keep_alive) {
        pl_http_enter(node, h, h->unread && !h->recv_ended ? HTTP_DRAIN : HTTP_FINISHED,
                      DRAIN_NS_MAX);
        return;
    }
    h->in_len -= h->in_used;
    memmove(h->in, h->in + h->in_used, h->in_len);
    h->in_used = 0;
    h->scanned = 0;
    h->body_got = 0;
    h->refused = false;
    h->streaming = false;
    h->again_until = 0;
    pl_shim_init(node, &h->request);
    pl_http_enter(node, h, HTTP_HEAD, h->in_len != 0 ? HEAD_NS_MAX : IDLE_NS_MAX);
}

/* ---- Receiving ---- */

static bool has_body(const struct pl_http_request *head)
{
    return head->chunked || head->content_length != 0;
}

/* After a head that the shim refused: skip a small body, or answer at once and close. */
static void refuse_body(struct pl_node *node, struct pl_http_conn *h)
{
    const struct pl_http_request *head = &h->request.head;
    bool small = has_body(head) && !head->chunked && head->content_length <= SKIP_BYTES_MAX &&
                 !head->expect_continue;
    if (small) {
        h->refused = true;
        pl_http_enter(node, h, HTTP_BODY, BODY_NS_MAX);
        return;
    }
    h->unread = has_body(head);
    pl_http_respond(node, h);
}

/* Takes the announced bytes that came with the head. */
static void take_early_bytes(struct pl_http_conn *h)
{
    size_t len = pl_min_size(h->in_len - h->in_used, h->body_want);
    if (!h->refused)
        pl_out_bytes(&h->body, pl_span_of(h->in + h->in_used, len));
    h->body_got += len;
    h->in_used += len;
}

static bool in_pieces(const struct pl_http_conn *h)
{
    return !h->refused && h->request.route->body_bytes_max > PL_HTTP_WHOLE_BYTES_MAX;
}

static void begin_body(struct pl_node *node, struct pl_http_conn *h)
{
    const struct pl_http_request *head = &h->request.head;
    h->body_want = (size_t)head->content_length;
    h->window = in_pieces(h) ? PL_HTTP_WINDOW_BYTES : SIZE_MAX;
    pl_http_chunked_init(&h->chunked);
    if (!h->refused &&
        !pl_out_may_hold(pl_min_size(h->body_want, h->window), node->buffered_bytes)) {
        refuse(node, h, 503, "busy", "the node has no room for this body now; try again shortly");
        return;
    }
    if (!head->chunked)
        take_early_bytes(h);
    if (head->expect_continue && h->in_used == h->in_len)
        h->interim = pl_span_text("HTTP/1.1 100 Continue\r\n\r\n");
    pl_http_enter(node, h, HTTP_BODY, BODY_NS_MAX);
}

/* Returns whether something moved. */
static bool step_head(struct pl_node *node, struct pl_http_conn *h, struct pl_connection *conn)
{
    struct pl_request *request = &h->request;
    size_t head_len = 0;
    unsigned status = 0;
    if (h->in_len == 0)
        return false;
    switch (pl_http_parse_head(pl_span_of(h->in, h->in_len), &h->scanned, &request->head, &head_len,
                               &status)) {
    case PL_HTTP_NEED_MORE:
        if (h->in_len < PL_HTTP_HEAD_BYTES_MAX)
            return false;
        refuse_head(node, h, 431);
        return true;
    case PL_HTTP_BAD:
        refuse_head(node, h, status);
        return true;
    case PL_HTTP_DONE:
        break;
    }
    h->in_used = head_len;
    h->head_bytes = head_len;
    h->unread = false;
    request->plain_local = conn->tls == NULL && conn->local;
    request->plain_remote = conn->tls == NULL && !conn->local && !node->options.plain_peers;
    h->keep_alive = request->head.keep_alive && !request->plain_remote;
    request->conn = conn->handle;
    request->from.local = conn->local;
    memcpy(request->from.net, conn->net, sizeof conn->net);
    bool goes_on = pl_shim_begin(node, request);
    conn->proved = conn->proved || request->role != PL_SHIM_NOBODY;
    conn->is_operator = conn->is_operator || request->role == PL_SHIM_ADMIN;
    if (!goes_on) {
        refuse_body(node, h);
        if (h->state == HTTP_BODY)
            begin_body(node, h);
    } else if (has_body(&request->head)) {
        begin_body(node, h);
    } else {
        pl_http_enter(node, h, HTTP_RUN, PARLEY_TIME_NEVER);
    }
    return true;
}

static void run_body(struct pl_node *node, struct pl_http_conn *h, bool more)
{
    if (h->refused) {
        pl_http_respond(node, h);
        return;
    }
    h->request.body = pl_out_span(&h->body);
    h->request.body_more = more;
    h->request.body_bytes = h->body_got;
    pl_http_enter(node, h, HTTP_RUN, PARLEY_TIME_NEVER);
}

static bool no_room(struct pl_node *node, struct pl_http_conn *h)
{
    refuse(node, h, 503, "busy", "the node has no memory for this body now; try again shortly");
    return true;
}

static bool step_body_known(struct pl_node *node, struct pl_http_conn *h)
{
    size_t left = h->body_want - h->body_got;
    if (h->body.err != PARLEY_OK)
        return no_room(node, h);
    if (left == 0 || (!h->refused && h->body.len >= h->window)) {
        run_body(node, h, left != 0);
        return true;
    }
    if (h->refused)
        return false;
    if (h->body.cap > h->body.len)
        return false;
    bool trusted = h->request.role != PL_SHIM_NOBODY;
    size_t more = pl_max_size(trusted ? BODY_BYTES_TRUSTED : BODY_BYTES_FIRST, h->body.len);
    more = pl_min_size(pl_min_size(left, h->window - h->body.len), more);
    if (pl_out_room(&h->body, more) != PARLEY_OK)
        return no_room(node, h);
    return false;
}

static bool step_body_chunked(struct pl_node *node, struct pl_http_conn *h)
{
    bool done = false;
    while (!done && h->in_used < h->in_len && h->body.len < h->window) {
        struct parley_span in = pl_span_of(h->in + h->in_used, h->in_len - h->in_used);
        struct parley_span piece = { 0 };
        size_t used = 0;
        if (pl_http_chunked_feed(&h->chunked, in, &used, &piece, &done) != PARLEY_OK) {
            refuse(node, h, 400, "malformed", "the chunked body is malformed");
            return true;
        }
        h->in_used += used;
        if (piece.len > h->request.route->body_bytes_max - h->body_got) {
            refuse_length(node, h, h->request.route->body_bytes_max,
                          "the body is longer than this route takes");
            return true;
        }
        pl_out_bytes(&h->body, piece);
        h->body_got += piece.len;
        if (h->body.err != PARLEY_OK)
            return no_room(node, h);
    }
    if (done || h->body.len >= h->window) {
        run_body(node, h, !done);
        return true;
    }
    /* All is decoded: use the same place again, behind the head whose spans are in use. */
    h->in_used = h->head_bytes;
    h->in_len = h->head_bytes;
    return false;
}

static bool step_body(struct pl_node *node, struct pl_http_conn *h)
{
    if (h->request.head.chunked)
        return step_body_chunked(node, h);
    return step_body_known(node, h);
}

/* The handler is done with the first bytes of the window and wants more behind the rest. */
static bool read_on(struct pl_node *node, struct pl_http_conn *h)
{
    size_t taken = h->request.body_taken;
    size_t rest = h->body.len - taken;
    PL_ASSERT(h->request.body_more && taken <= h->body.len);
    if (rest >= PL_HTTP_WHOLE_BYTES_MAX) {
        refuse_length(
            node, h, PL_HTTP_WHOLE_BYTES_MAX,
            "one conversation, or what comes before the first one, is longer than 64 MiB");
        return true;
    }
    memmove(h->body.ptr, h->body.ptr + taken, rest);
    h->body.len = rest;
    h->request.body_taken = 0;
    h->window = pl_max_size(PL_HTTP_WINDOW_BYTES, pl_min_size(2 * rest, PL_HTTP_WHOLE_BYTES_MAX));
    pl_http_enter(node, h, HTTP_BODY, BODY_NS_MAX);
    return true;
}

/* ---- Running ---- */

static void answer(struct pl_node *node, struct pl_http_conn *h)
{
    if (h->request.body_more)
        h->unread = true;
    if (h->streaming)
        pl_http_send_piece(node, h, true);
    else
        pl_http_respond(node, h);
}

/* There was no room for what the handler wants to write: others were first, or memory is short. */
static bool try_again(struct pl_node *node, struct pl_http_conn *h)
{
    if (h->again_until == 0)
        h->again_until = node->now.mono + AGAIN_NS_MAX;
    h->deadline = pl_min_u64(node->now.mono + RETRY_NS, h->again_until);
    if (node->now.mono < h->again_until)
        return false;
    h->again_until = 0;
    h->deadline = PARLEY_TIME_NEVER;
    pl_shim_problem(&h->request, 503, "busy",
                    "there was no room for this write for 10 seconds; what was answered before is "
                    "stored, this is not: try again, or write less at once");
    pl_shim_header(&h->request, "Retry-After", pl_span_text("5"));
    answer(node, h);
    return true;
}

static bool step_run(struct pl_node *node, struct pl_http_conn *h, struct pl_connection *conn)
{
    if (h->waiting || h->yielded || (h->sleeping && h->slept_at == node->commits))
        return false;
    h->sleeping = false;
    h->deadline = PARLEY_TIME_NEVER;
    /* The body may have taken its time: rights are looked at again before anything is done. */
    if (h->request.phase == 0 && !pl_shim_still_may(node, &h->request)) {
        answer(node, h);
        return true;
    }
    enum pl_shim_step step = h->request.route->handler(node, &h->request);
    if (step != PL_SHIM_AGAIN)
        h->again_until = 0;
    switch (step) {
    case PL_SHIM_DONE:
        answer(node, h);
        return true;
    case PL_SHIM_WAIT:
        h->waiting = true;
        conn->waits_for = h->request.serial;
        return false;
    case PL_SHIM_AGAIN:
        return try_again(node, h);
    case PL_SHIM_YIELD:
        h->yielded = true;
        h->deadline = node->now.mono;
        return false;
    case PL_SHIM_MORE:
        return read_on(node, h);
    case PL_SHIM_SEND:
        pl_http_send_piece(node, h, false);
        return true;
    case PL_SHIM_SLEEP:
        h->sleeping = true;
        h->slept_at = node->commits;
        h->deadline = h->request.wake_at;
        return false;
    }
    return false;
}

static size_t left_to_send(const struct pl_http_conn *h)
{
    return h->state == HTTP_WRITE ? h->head_len + pl_http_body_len(h) + h->tail.len - h->sent : 0;
}

static void finish_write(struct pl_node *node, struct pl_http_conn *h)
{
    if (!h->streaming || h->last_piece) {
        finish_answer(node, h);
        return;
    }
    pl_out_reset(&h->request.out);
    pl_http_enter(node, h, HTTP_RUN, PARLEY_TIME_NEVER);
}

void pl_http_pump(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_http_conn *h = conn->http;
    if (h == NULL) {
        conn->rest_until = node->stopping ? 0 : conn->rest_until;
        return;
    }
    for (bool moved = true; moved;) {
        moved = false;
        switch (h->state) {
        case HTTP_HEAD:
            moved = step_head(node, h, conn);
            break;
        case HTTP_BODY:
            moved = step_body(node, h);
            break;
        case HTTP_RUN:
            moved = step_run(node, h, conn);
            break;
        case HTTP_WRITE:
            moved = left_to_send(h) == 0 && h->interim.len == 0;
            if (moved)
                finish_write(node, h);
            break;
        case HTTP_DRAIN:
        case HTTP_FINISHED:
            break;
        }
    }
    if (h->state != HTTP_HEAD)
        return;
    if (h->recv_ended || (node->stopping && h->in_len == 0))
        pl_http_enter(node, h, HTTP_FINISHED, PARLEY_TIME_NEVER);
    else if (h->in_len == 0)
        rest(node, conn);
}

void pl_http_committed(struct pl_node *node, struct pl_connection *conn, parley_err err)
{
    struct pl_http_conn *h = conn->http;
    if (h == NULL || !h->waiting)
        return;
    conn->waits_for = 0;
    h->waiting = false;
    h->request.commit_err = err;
    pl_http_pump(node, conn);
}

/* ---- The four verbs ---- */

uint8_t *pl_http_recv_buf(struct pl_node *node, struct pl_connection *conn, size_t *len)
{
    *len = 0;
    if (conn->http == NULL && !wake(node, conn))
        return NULL;
    struct pl_http_conn *h = conn->http;
    uint8_t *at = NULL;
    switch (h->state) {
    case HTTP_HEAD:
        *len = PL_HTTP_HEAD_BYTES_MAX - pl_min_size(h->in_len, PL_HTTP_HEAD_BYTES_MAX);
        at = h->in + h->in_len;
        break;
    case HTTP_BODY:
        if (h->request.head.chunked || h->refused) {
            *len = sizeof h->in - h->in_len;
            at = h->in + h->in_len;
        } else {
            *len = pl_min_size(h->body.cap - h->body.len, h->body_want - h->body_got);
            *len = pl_min_size(*len, h->window - h->body.len);
            at = h->body.ptr == NULL ? NULL : h->body.ptr + h->body.len;
        }
        if (h->refused)
            *len = pl_min_size(*len, h->body_want - h->body_got);
        break;
    case HTTP_DRAIN:
        *len = sizeof h->in;
        at = h->in;
        break;
    case HTTP_RUN:
    case HTTP_WRITE:
    case HTTP_FINISHED:
        break;
    }
    return *len == 0 ? NULL : at;
}

static void note_filled(struct pl_http_conn *h, size_t len)
{
    h->in_high = len > h->in_high ? len : h->in_high;
}

static void take_input(struct pl_http_conn *h, size_t len)
{
    h->in_len += len;
    note_filled(h, h->in_len);
}

static void take_body_bytes(struct pl_node *node, struct pl_http_conn *h, size_t len)
{
    h->deadline = node->now.mono + BODY_NS_MAX;
    if (h->refused) {
        note_filled(h, h->in_len + len);
        h->body_got += len;
    } else if (h->request.head.chunked) {
        take_input(h, len);
    } else {
        h->body.len += len;
        h->body_got += len;
    }
}

void pl_http_recv_ack(struct pl_node *node, struct pl_connection *conn, size_t len)
{
    struct pl_http_conn *h = conn->http;
    if (len == 0)
        return;
    switch (h->state) {
    case HTTP_HEAD:
        if (h->in_len == 0)
            h->deadline = node->now.mono + HEAD_NS_MAX;
        take_input(h, len);
        break;
    case HTTP_BODY:
        take_body_bytes(node, h, len);
        break;
    case HTTP_DRAIN:
        note_filled(h, len);
        h->drained += len;
        if (h->drained > DRAIN_BYTES_MAX)
            pl_http_enter(node, h, HTTP_FINISHED, PARLEY_TIME_NEVER);
        break;
    case HTTP_RUN:
    case HTTP_WRITE:
    case HTTP_FINISHED:
        break;
    }
    pl_http_pump(node, conn);
}

const uint8_t *pl_http_send_buf(struct pl_node *node, struct pl_connection *conn, size_t *len)
{
    struct pl_http_conn *h = conn->http;
    (void)node;
    *len = 0;
    if (h == NULL)
        return NULL;
    *len = h->interim.len;
    if (h->interim.len != 0)
        return h->interim.ptr;
    if (left_to_send(h) == 0)
        return NULL;
    if (h->sent < h->head_len) {
        *len = h->head_len - h->sent;
        return h->head + h->sent;
    }
    size_t end = h->head_len + pl_http_body_len(h);
    *len = h->sent < end ? end - h->sent : left_to_send(h);
    return h->sent < end ? h->request.out.ptr + (h->sent - h->head_len)
                         : h->tail.ptr + (h->sent - end);
}

void pl_http_send_ack(struct pl_node *node, struct pl_connection *conn, size_t len)
{
    struct pl_http_conn *h = conn->http;
    if (h->interim.len != 0) {
        h->interim = pl_span_after(h->interim, pl_min_size(len, h->interim.len));
    } else {
        PL_ASSERT(len <= left_to_send(h));
        h->sent += len;
        h->deadline = node->now.mono + PL_HTTP_WRITE_NS_MAX;
    }
    pl_http_pump(node, conn);
}

void pl_http_recv_end(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_http_conn *h = conn->http;
    if (h == NULL) {
        conn->rest_until = 0;
        return;
    }
    h->recv_ended = true;
    switch (h->state) {
    case HTTP_BODY:
        refuse(node, h, 400, "truncated", "the connection ended before the body did");
        break;
    case HTTP_HEAD:
        if (h->in_len != 0)
            refuse(node, h, 400, "truncated", "the connection ended before the head did");
        break;
    case HTTP_DRAIN:
        pl_http_enter(node, h, HTTP_FINISHED, PARLEY_TIME_NEVER);
        break;
    case HTTP_RUN:
    case HTTP_WRITE:
    case HTTP_FINISHED:
        break;
    }
    pl_http_pump(node, conn);
}

bool pl_http_is_finished(const struct pl_connection *conn)
{
    return conn->http == NULL ? conn->rest_until == 0 : conn->http->state == HTTP_FINISHED;
}

bool pl_http_is_idle(const struct pl_connection *conn)
{
    return conn->http == NULL || conn->http->state == HTTP_HEAD;
}

bool pl_http_waits_for_client(const struct pl_connection *conn)
{
    if (conn->http == NULL)
        return false;
    enum http_state state = conn->http->state;
    return state == HTTP_BODY || state == HTTP_WRITE || state == HTTP_DRAIN;
}

bool pl_http_serves(const struct pl_connection *conn, uint32_t peer_number)
{
    if (conn->http == NULL)
        return false;
    const struct pl_request *request = &conn->http->request;
    return request->role == PL_SHIM_PEER && request->peer_number == peer_number;
}

parley_time pl_http_deadline(const struct pl_connection *conn)
{
    if (pl_http_is_finished(conn))
        return PARLEY_TIME_NEVER;
    return conn->http == NULL ? conn->rest_until : conn->http->deadline;
}

void pl_http_tick(struct pl_node *node, struct pl_connection *conn)
{
    struct pl_http_conn *h = conn->http;
    bool due = node->now.mono >= (h == NULL ? conn->rest_until : h->deadline);
    if (h == NULL && due)
        conn->rest_until = 0;
    if (h == NULL || !due) {
        pl_http_pump(node, conn);
        return;
    }
    switch (h->state) {
    case HTTP_HEAD:
        if (h->in_len == 0)
            pl_http_enter(node, h, HTTP_FINISHED, PARLEY_TIME_NEVER);
        else
            refuse(node, h, 408, "timeout", "the request head did not arrive within 10 seconds");
        break;
    case HTTP_BODY:
        refuse(node, h, 408, "timeout", "nothing of the request body arrived for 30 seconds");
        break;
    case HTTP_RUN:
        h->yielded = false;
        h->sleeping = false;
        h->deadline = PARLEY_TIME_NEVER;
        break;
    case HTTP_WRITE:
    case HTTP_DRAIN:
        pl_http_enter(node, h, HTTP_FINISHED, PARLEY_TIME_NEVER);
        break;
    case HTTP_FINISHED:
        break;
    }
    pl_http_pump(node, conn);
}
