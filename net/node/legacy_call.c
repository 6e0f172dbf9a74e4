/* SPDX-License-Identifier: Apache-2.0
 *
 * One call; the contract is in legacy_call.h.
 */
#include "node/legacy_call.h"

_Static_assert(PL_LEGACY_ANSWER_BYTES_MAX < PL_HTTP_BODY_BYTES_MAX, "the parser allows more");

void pl_legacy_call_init(struct pl_legacy_call *call, const struct parley_env *env, size_t *account)
{
    memset(call, 0, offsetof(struct pl_legacy_call, in));
    pl_out_init(&call->body, env, account);
    pl_out_init(&call->content, env, account);
    call->deadline = PARLEY_TIME_NEVER;
}

void pl_legacy_call_deinit(struct pl_legacy_call *call)
{
    pl_out_free(&call->body);
    pl_out_free(&call->content);
}

void pl_legacy_call_head(struct pl_legacy_call *call, bool post, const char *path,
                         const char *address)
{
    struct pl_writer w = pl_writer_over(call->head, sizeof call->head);
    char digits[20];
    pl_write_text(&w, post ? "POST " : "GET ");
    pl_write_text(&w, path);
    pl_write_text(&w, " HTTP/1.1\r\nHost: ");
    pl_write_text(&w, address);
    pl_write_text(&w, "\r\nUser-Agent: parley\r\nAccept: application/json\r\n");
    if (post) {
        pl_write_text(&w, "Content-Type: application/json\r\nContent-Length: ");
        pl_write_span(&w, pl_out_digits(call->body.len, digits));
        pl_write_text(&w, "\r\n");
    }
    pl_write_text(&w, "Connection: close\r\n\r\n");
    PL_ASSERT(w.err == PARLEY_OK);
    call->head_len = w.len;
}

static size_t left_to_send(const struct pl_legacy_call *call)
{
    return call->head_len + call->body.len - call->sent;
}

void pl_legacy_call_connected(struct pl_legacy_call *call, parley_time now)
{
    call->deadline = now + PL_LEGACY_CALL_NS +
                     call->body.len / PL_LEGACY_CALL_BYTES_S * (parley_time)PARLEY_NS_PER_S;
}

void pl_legacy_call_fail(struct pl_legacy_call *call, const char *why)
{
    if (pl_legacy_call_is_finished(call))
        return;
    call->state = PL_LEGACY_CALL_FAILED;
    call->why = why;
    call->deadline = PARLEY_TIME_NEVER;
}

static void finish(struct pl_legacy_call *call)
{
    call->state = PL_LEGACY_CALL_DONE;
    call->deadline = PARLEY_TIME_NEVER;
}

/* ---- Receiving ---- */

uint8_t *pl_legacy_call_recv_buf(struct pl_legacy_call *call, size_t *len)
{
    *len = pl_legacy_call_is_finished(call) ? 0 : sizeof call->in - call->in_len;
    return *len == 0 ? NULL : call->in + call->in_len;
}

/* The first `len` bytes are done with. */
static void consume(struct pl_legacy_call *call, size_t len)
{
    call->in_len -= len;
    memmove(call->in, call->in + len, call->in_len);
    call->scanned = 0;
}

static bool keep(struct pl_legacy_call *call, struct parley_span part)
{
    if (part.len > PL_LEGACY_ANSWER_BYTES_MAX - call->content.len) {
        pl_legacy_call_fail(call, "the answer is longer than 64 KiB");
        return false;
    }
    pl_out_bytes(&call->content, part);
    if (call->content.err != PARLEY_OK)
        pl_legacy_call_fail(call, "this node has no memory for the answer now");
    return call->content.err == PARLEY_OK;
}

static void take_chunks(struct pl_legacy_call *call)
{
    bool done = false;
    for (size_t at = 0; !done && at < call->in_len;) {
        struct parley_span in = pl_span_of(call->in + at, call->in_len - at);
        struct parley_span part = { 0 };
        size_t used = 0;
        if (pl_http_chunked_feed(&call->chunked, in, &used, &part, &done) != PARLEY_OK) {
            pl_legacy_call_fail(call, "the chunks of the answer are malformed");
            return;
        }
        if (!keep(call, part))
            return;
        at += used;
    }
    call->in_len = 0;
    if (done)
        finish(call);
}

static void take_body(struct pl_legacy_call *call)
{
    const struct pl_http_answer *answer = &call->answer;
    if (answer->chunked) {
        take_chunks(call);
        return;
    }
    uint64_t want = answer->has_length ? answer->content_length - call->content.len : UINT64_MAX;
    size_t len = (size_t)pl_min_u64(call->in_len, want);
    if (!keep(call, pl_span_of(call->in, len)))
        return;
    call->in_len = 0;
    if (answer->has_length && call->content.len == answer->content_length)
        finish(call);
}

static void begin_body(struct pl_legacy_call *call)
{
    const struct pl_http_answer *answer = &call->answer;
    call->state = PL_LEGACY_CALL_BODY;
    pl_http_chunked_init(&call->chunked);
    if (answer->bodiless)
        finish(call);
    else if (answer->has_length && answer->content_length > PL_LEGACY_ANSWER_BYTES_MAX)
        pl_legacy_call_fail(call, "the answer is longer than 64 KiB");
    else
        take_body(call);
}

/* Returns whether another head may follow at once. */
static bool take_head(struct pl_legacy_call *call)
{
    size_t head_len = 0;
    const char *why = NULL;
    switch (pl_http_parse_answer(pl_span_of(call->in, call->in_len), &call->scanned, &call->answer,
                                 &head_len, &why)) {
    case PL_HTTP_NEED_MORE:
        return false;
    case PL_HTTP_BAD:
        pl_legacy_call_fail(call, why);
        return false;
    case PL_HTTP_DONE:
        break;
    }
    consume(call, head_len);
    if (call->answer.status >= 200) {
        begin_body(call);
        return false;
    }
    if (call->answer.status == 101 || call->interim++ == PL_LEGACY_INTERIM_MAX)
        pl_legacy_call_fail(call, "the answer is one of too many, or changes the protocol");
    return !pl_legacy_call_is_finished(call) && call->in_len != 0;
}

void pl_legacy_call_recv_ack(struct pl_legacy_call *call, size_t len)
{
    if (len == 0 || pl_legacy_call_is_finished(call))
        return;
    PL_ASSERT(len <= sizeof call->in - call->in_len);
    call->in_len += len;
    if (call->state == PL_LEGACY_CALL_BODY) {
        take_body(call);
        return;
    }
    /* An answer may come before all was sent: the other side has heard enough. */
    call->state = PL_LEGACY_CALL_HEAD;
    while (take_head(call))
        continue;
}

void pl_legacy_call_recv_end(struct pl_legacy_call *call)
{
    const struct pl_http_answer *answer = &call->answer;
    bool open_ended = !answer->chunked && !answer->has_length;
    if (call->state == PL_LEGACY_CALL_BODY && open_ended)
        finish(call);
    else
        pl_legacy_call_fail(call, "the connection ended before the answer did");
}

/* ---- Sending ---- */

const uint8_t *pl_legacy_call_send_buf(const struct pl_legacy_call *call, size_t *len)
{
    *len = 0;
    if (pl_legacy_call_is_finished(call) || left_to_send(call) == 0)
        return NULL;
    bool in_head = call->sent < call->head_len;
    *len = in_head ? call->head_len - call->sent : left_to_send(call);
    return in_head ? call->head + call->sent : call->body.ptr + (call->sent - call->head_len);
}

void pl_legacy_call_send_ack(struct pl_legacy_call *call, size_t len, parley_time now)
{
    PL_ASSERT(len <= left_to_send(call));
    call->sent += len;
    if (pl_legacy_call_is_finished(call) || left_to_send(call) != 0)
        return;
    call->deadline = now + PL_LEGACY_CALL_NS;
    if (call->state == PL_LEGACY_CALL_SEND)
        call->state = PL_LEGACY_CALL_HEAD;
}

void pl_legacy_call_tick(struct pl_legacy_call *call, parley_time now)
{
    if (now < call->deadline)
        return;
    pl_legacy_call_fail(call, left_to_send(call) != 0 ? "the request was not taken in time"
                                                      : "no whole answer came within 30 seconds");
}
