/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: the head, and a body of chunks or of a length. Each is read at once, in steps of one
 * and of seven bytes, and in two pieces at many places.
 */
#include "badinput.h"

#include "proto/http1.h"

#define SPLITS_MAX 512

/* Where what has come ends, of `len`: after a first piece, then after each step. */
struct cut {
    size_t first, step;
};

static size_t shown_next(const struct cut *cut, size_t shown, size_t len)
{
    size_t part = shown == 0 ? cut->first : cut->step;
    return part >= len - shown ? len : shown + part;
}

static void judge_chunks(struct parley_span body, const struct cut *cut, struct verdict *out)
{
    struct pl_http_chunked c;
    size_t at = 0;
    size_t shown = 0;
    bool done = false;
    pl_http_chunked_init(&c);
    while (!done && at < body.len) {
        struct parley_span run;
        size_t used = 0;
        shown = at == shown ? shown_next(cut, shown, body.len) : shown;
        parley_err err =
            pl_http_chunked_feed(&c, pl_span_of(body.ptr + at, shown - at), &used, &run, &done);
        if (err != PARLEY_OK) {
            verdict_print(out, "body:400");
            return;
        }
        at += used;
    }
    if (!done)
        verdict_print(out, "more");
    else if (at == body.len)
        verdict_print(out, "ok");
    else
        verdict_print(out, "ok+%zu", body.len - at);
}

static void judge_cut(struct parley_span data, const struct cut *cut, struct verdict *out)
{
    struct pl_http_request request = { .minor = 0 };
    enum pl_http_parse found = PL_HTTP_NEED_MORE;
    size_t scanned = 0;
    size_t head_len = 0;
    unsigned status = 0;
    for (size_t shown = 0; found == PL_HTTP_NEED_MORE && shown < data.len;) {
        shown = shown_next(cut, shown, data.len);
        found =
            pl_http_parse_head(pl_span_of(data.ptr, shown), &scanned, &request, &head_len, &status);
    }
    if (found != PL_HTTP_DONE) {
        verdict_print(out, found == PL_HTTP_BAD ? "head:%u" : "more", status);
        return;
    }
    struct parley_span body = pl_span_after(data, head_len);
    if (request.chunked)
        judge_chunks(body, cut, out);
    else if (body.len < request.content_length)
        verdict_print(out, "more");
    else if (body.len == request.content_length)
        verdict_print(out, "ok");
    else
        verdict_print(out, "ok+%zu", (size_t)(body.len - request.content_length));
}

static bool agrees(struct parley_span data, struct cut cut, struct verdict *out)
{
    struct verdict other = { "" };
    judge_cut(data, &cut, &other);
    if (strcmp(other.text, out->text) == 0)
        return true;
    verdict_print(out, "cut:%zu", cut.first);
    return false;
}

void judge_http(const char *reader, struct parley_span data, struct verdict *out)
{
    size_t stride = 1 + data.len / SPLITS_MAX;
    struct cut whole = { SIZE_MAX, SIZE_MAX };
    (void)reader;
    judge_cut(data, &whole, out);
    if (!agrees(data, (struct cut){ 1, 1 }, out) || !agrees(data, (struct cut){ 7, 7 }, out))
        return;
    for (size_t at = 1; at < data.len; at += stride)
        if (!agrees(data, (struct cut){ at, SIZE_MAX }, out))
            return;
}
