/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a response, whole or in pieces.
 */
#include "node/http_conn_int.h"

#define JOINED_BYTES_MAX 65536u

void pl_http_enter(struct pl_node *node, struct pl_http_conn *h, enum http_state state,
                   parley_time wait)
{
    h->state = state;
    h->deadline = wait == PARLEY_TIME_NEVER ? PARLEY_TIME_NEVER : node->now.mono + wait;
}

size_t pl_http_body_len(const struct pl_http_conn *h)
{
    return h->request.head.method == PL_HTTP_HEAD ? 0 : h->request.out.len;
}

/* The response could not be built for want of memory: a short one that fits where it is. */
static void fall_back(struct pl_http_conn *h)
{
    struct pl_request *request = &h->request;
    pl_out_free(&request->out);
    request->content_type = NULL;
    request->extra_len = 0;
    request->status = 503;
    pl_shim_header(request, "Retry-After", pl_span_text("1"));
}

/* Answers that tell of somebody who wanted what he may not. */
static void audit_refusal(struct pl_node *node, const struct pl_request *request)
{
    bool denied = request->status == 401 || request->status == 403 || request->status == 429 ||
                  strcmp(request->problem, "key-conflict") == 0 ||
                  strcmp(request->problem, "bad-sbt") == 0;
    const struct pl_peer *peer = pl_shim_peer(node, request);
    if (denied)
        pl_audit_refusal(node, request->problem, peer == NULL ? "" : peer->backend_id,
                         request->route == NULL ? "" : request->route->pattern);
}

/* A short body moves behind its head, so that both go out in one write, and in one record of TLS:
 * a write costs more than the move. */
static void join_head(struct pl_http_conn *h)
{
    struct pl_out *out = &h->request.out;
    size_t len = pl_http_body_len(h);
    if (len == 0 || len > JOINED_BYTES_MAX || h->head_len > out->cap - len)
        return;
    memmove(out->ptr + h->head_len, out->ptr, len);
    memcpy(out->ptr, h->head, h->head_len);
    out->len += h->head_len;
    h->head_len = 0;
}

static void write_head(struct pl_node *node, struct pl_http_conn *h, struct pl_writer *w)
{
    struct pl_request *request = &h->request;
    pl_shim_finish_head(node, request);
    struct pl_http_response response = { .status = request->status,
                                         .content_type = request->content_type,
                                         .content_length = request->out.len,
                                         .chunked = h->streaming && h->chunked_out,
                                         .until_close = h->streaming && !h->chunked_out,
                                         .keep_alive = h->keep_alive,
                                         .tagged = request->tagged,
                                         .extra = pl_span_of(request->extra, request->extra_len) };
    pl_http_write_head(w, &response);
}

void pl_http_respond(struct pl_node *node, struct pl_http_conn *h)
{
    struct pl_request *request = &h->request;
    if (request->problem != NULL)
        audit_refusal(node, request);
    pl_http_encode(node, request);
    if (request->out.err != PARLEY_OK)
        fall_back(h);
    h->keep_alive = h->keep_alive && !h->unread && !node->stopping;
    struct pl_writer w = pl_writer_over(h->head, sizeof h->head);
    write_head(node, h, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    h->head_len = w.len;
    join_head(h);
    h->tail = pl_span_of(NULL, 0);
    h->sent = 0;
    pl_http_enter(node, h, HTTP_WRITE, PL_HTTP_WRITE_NS_MAX);
}

static void write_stream_head(struct pl_node *node, struct pl_http_conn *h, struct pl_writer *w)
{
    h->streaming = true;
    h->chunked_out = h->request.head.minor > 0;
    h->keep_alive = h->keep_alive && h->chunked_out && !h->unread && !node->stopping;
    write_head(node, h, w);
}

static void write_chunk_size(struct pl_writer *w, size_t len)
{
    char digits[2 * sizeof len];
    size_t at = sizeof digits;
    for (size_t rest = len; rest != 0; rest >>= 4)
        digits[--at] = "0123456789abcdef"[rest & 15];
    pl_write_bytes(w, digits + at, sizeof digits - at);
    pl_write_text(w, "\r\n");
}

void pl_http_send_piece(struct pl_node *node, struct pl_http_conn *h, bool last)
{
    struct pl_request *request = &h->request;
    struct pl_writer w = pl_writer_over(h->head, sizeof h->head);
    bool broken = request->out.err != PARLEY_OK || request->problem != NULL;
    if (!h->streaming)
        write_stream_head(node, h, &w);
    if (broken) {
        pl_out_free(&request->out);
        h->keep_alive = false;
    }
    h->last_piece = last || broken || request->head.method == PL_HTTP_HEAD;
    bool framed = h->chunked_out && request->head.method != PL_HTTP_HEAD && !broken;
    if (framed && request->out.len != 0)
        write_chunk_size(&w, request->out.len);
    const char *tail = request->out.len == 0 ? "0\r\n\r\n" : last ? "\r\n0\r\n\r\n" : "\r\n";
    h->tail = framed && (last || request->out.len != 0) ? pl_span_text(tail) : pl_span_of(NULL, 0);
    PL_ASSERT(w.err == PARLEY_OK);
    h->head_len = w.len;
    h->sent = 0;
    pl_http_enter(node, h, HTTP_WRITE, PL_HTTP_WRITE_NS_MAX);
}

const char *pl_http_parse_detail(unsigned status)
{
    switch (status) {
    case 413:
        return "the body is longer than 1 GiB; send it in parts";
    case 414:
        return "the request target is longer than 4096 bytes";
    case 417:
        return "the only expectation that is understood is 100-continue";
    case 431:
        return "the request head is longer than 16384 bytes or has more than 64 fields";
    case 501:
        return "the only transfer coding that is understood is chunked";
    case 505:
        return "only HTTP/1.0 and HTTP/1.1 are spoken here";
    default:
        return "the request head is malformed or ambiguous";
    }
}

const char *pl_http_parse_code(unsigned status)
{
    switch (status) {
    case 413:
        return "body-too-large";
    case 414:
        return "target-too-long";
    case 417:
        return "expectation";
    case 431:
        return "head-too-large";
    case 501:
        return "transfer-coding";
    case 505:
        return "http-version";
    default:
        return "malformed";
    }
}

uint64_t pl_http_parse_limit(unsigned status)
{
    switch (status) {
    case 413:
        return PL_HTTP_BODY_BYTES_MAX;
    case 414:
        return PL_HTTP_TARGET_BYTES_MAX;
    case 431:
        return PL_HTTP_HEAD_BYTES_MAX;
    default:
        return 0;
    }
}
