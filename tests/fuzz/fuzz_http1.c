/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the head parser and then, where the head says so, the decoder of chunked bodies. The
 * first input byte chooses how the rest is cut. Checked: cuts change no verdict, a head that is
 * taken ends in an empty line, spans stay inside it, and each call of the decoder advances.
 */
#include <stdlib.h>

#include "proto/http1.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct parley_span head, struct parley_span part)
{
    CHECK(part.ptr == NULL ? part.len == 0 : part.ptr >= head.ptr);
    CHECK(part.ptr == NULL || part.len <= (size_t)(head.ptr + head.len - part.ptr));
}

static void check_head(struct parley_span head, const struct pl_http_request *r)
{
    const struct parley_span parts[] = {
        r->target,          r->path,          r->query,           r->host,
        r->origin,          r->authorization, r->content_type,    r->accept,
        r->if_none_match,   r->if_match,      r->accept_encoding, r->content_encoding,
        r->idempotency_key, r->last_event_id
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++)
        check_inside(head, parts[i]);
    CHECK(head.len >= 4 && memcmp(head.ptr + head.len - 4, "\r\n\r\n", 4) == 0);
    CHECK(r->target.len > 0 && r->target.ptr[0] == '/');
    CHECK(r->minor <= 1 && r->header_count <= PL_HTTP_HEADERS_MAX);
    CHECK(!(r->chunked && (r->has_length || r->minor == 0)));
    CHECK(r->content_length <= PL_HTTP_BODY_BYTES_MAX);
    CHECK(r->minor == 0 || r->host.len > 0);
}

/* Decodes the body in steps; returns how many bytes the message took, SIZE_MAX for a bad one. */
static size_t decode_body(struct parley_span in, size_t step, uint64_t *body_sum, bool *done)
{
    struct pl_http_chunked c;
    size_t at = 0;
    pl_http_chunked_init(&c);
    *body_sum = 0;
    *done = false;
    while (at < in.len && !*done) {
        struct parley_span part = pl_span_of(in.ptr + at, pl_min_size(step, in.len - at));
        struct parley_span body;
        size_t used;
        if (pl_http_chunked_feed(&c, part, &used, &body, done) != PARLEY_OK)
            return SIZE_MAX;
        CHECK(used > 0 && used <= part.len && body.len <= used);
        check_inside(part, body);
        for (size_t i = 0; i < body.len; i++)
            *body_sum = *body_sum * 31 + body.ptr[i] + 1;
        at += used;
    }
    return at;
}

static void check_body(struct parley_span in, size_t step)
{
    uint64_t whole_sum;
    uint64_t split_sum;
    bool whole_done;
    bool split_done;
    size_t whole = decode_body(in, SIZE_MAX, &whole_sum, &whole_done);
    size_t split = decode_body(in, step, &split_sum, &split_done);
    CHECK(whole == split && whole_sum == split_sum && whole_done == split_done);
}

static void check_values(const struct pl_http_request *r)
{
    char out[256];
    size_t len = 0;
    bool found = false;
    if (pl_http_query(r->query, "since", out, sizeof out, &len, &found) == PARLEY_OK)
        CHECK(len <= sizeof out && (found || len == 0));
    if (pl_http_decode_segment(r->path, out, sizeof out, &len) == PARLEY_OK)
        CHECK(len <= sizeof out && len <= r->path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct parley_span in = pl_span_of(data + 1, size - 1);
    size_t step = 1 + data[0] % 64;
    struct pl_http_request whole = { .minor = 0 };
    struct pl_http_request split = { .minor = 0 };
    size_t scanned = 0;
    size_t whole_len = 0;
    size_t split_len = 0;
    unsigned whole_status = 0;
    unsigned split_status = 0;
    enum pl_http_parse first = pl_http_parse_head(in, &scanned, &whole, &whole_len, &whole_status);
    enum pl_http_parse second = PL_HTTP_NEED_MORE;
    scanned = 0;
    for (size_t shown = 0; second == PL_HTTP_NEED_MORE && shown < in.len;) {
        shown = pl_min_size(shown + step, in.len);
        second = pl_http_parse_head(pl_span_of(in.ptr, shown), &scanned, &split, &split_len,
                                    &split_status);
    }
    CHECK(first == second && whole_len == split_len && whole_status == split_status);
    CHECK(first != PL_HTTP_BAD || (whole_status >= 400 && whole_status <= 505));
    check_body(in, step);
    if (first != PL_HTTP_DONE)
        return 0;
    CHECK(whole_len <= in.len && whole.target.len == split.target.len);
    check_head(pl_span_of(in.ptr, whole_len), &whole);
    check_values(&whole);
    if (whole.chunked)
        check_body(pl_span_after(in, whole_len), step);
    return 0;
}
