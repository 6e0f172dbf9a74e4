/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client asks of the form of an answer: msgpack instead of JSON, and packed. Files that
 * are kept packed are unpacked for who does not ask for that.
 *
 * Answers that show a secret once (tokens, invites) are never packed: who can add text to such an
 * answer and sees its length could guess the secret.
 */
#include "node/http_conn_int.h"

#include "core/json.h"
#include "node/etag.h"
#include "proto/gzip.h"

/* A shorter answer fits a packet or two as it is. */
#define PACK_BYTES_MIN 1024u

static bool is_json(const struct pl_request *request)
{
    struct parley_span type =
        pl_span_text(request->content_type == NULL ? "" : request->content_type);
    return pl_span_is(type, "application/json") || pl_span_is(type, "application/problem+json");
}

/* Puts what is in scratch in the place of the answer. */
static void swap(struct pl_request *request)
{
    struct pl_out packed = request->scratch;
    request->scratch = request->out;
    request->out = packed;
}

/* A failure for want of memory leaves JSON, which the client understands too. */
static void to_msgpack(struct pl_request *request)
{
    pl_out_reset(&request->scratch);
    if (!is_json(request) || !pl_http_accepts(request->head.accept, "application/msgpack") ||
        pl_shim_to_mp(pl_out_span(&request->out), &request->scratch, NULL) != PARLEY_OK)
        return;
    swap(request);
    pl_etag_mark_form(request, "msgpack");
    request->content_type = "application/msgpack";
}

/* One frame of zstd behind the other, which is a zstd text again (RFC 8878, 3.1). */
static bool pack_zstd(struct pl_node *node, struct pl_request *request)
{
    struct parley_span rest = pl_out_span(&request->out);
    while (rest.len != 0) {
        struct parley_span part = pl_span_of(rest.ptr, pl_min_size(rest.len, PL_FRAME_BYTES_MAX));
        struct parley_span packed;
        if (!pl_zip_pack(node->zip, part, &packed))
            return false;
        pl_out_bytes(&request->scratch, packed);
        rest = pl_span_after(rest, part.len);
    }
    return request->scratch.err == PARLEY_OK;
}

static bool pack_gzip(struct pl_node *node, struct pl_request *request)
{
    size_t len = 0;
    size_t cap = request->out.len - 1; /* or it was not worth it */
    if (pl_out_room(&request->scratch, cap) != PARLEY_OK ||
        pl_gzip_pack(node->env, pl_out_span(&request->out), request->scratch.ptr, cap, &len) !=
            PARLEY_OK)
        return false;
    request->scratch.len = len;
    return true;
}

static void set_coding(struct pl_request *request, const char *coding)
{
    pl_etag_mark_form(request, coding);
    pl_shim_header(request, "Content-Encoding", pl_span_text(coding));
}

/* False: for want of memory. */
static bool unpack(struct pl_node *node, struct pl_request *request)
{
    size_t len = request->packed_from;
    pl_out_reset(&request->scratch);
    if (pl_out_room(&request->scratch, len) != PARLEY_OK ||
        pl_gzip_unpack(node->env, pl_out_span(&request->out), request->scratch.ptr, len) !=
            PARLEY_OK)
        return false;
    request->scratch.len = len;
    swap(request);
    return true;
}

static void pack(struct pl_node *node, struct pl_request *request)
{
    struct parley_span wants = request->head.accept_encoding;
    const char *coding = NULL;
    bool shows_secret = request->head.method != PL_HTTP_GET;
    if (wants.len == 0 || shows_secret || request->out.len < PACK_BYTES_MIN)
        return;
    pl_out_reset(&request->scratch);
    if (node->zip != NULL && pl_http_accepts(wants, "zstd") && pack_zstd(node, request))
        coding = "zstd";
    if (coding == NULL)
        pl_out_reset(&request->scratch);
    if (coding == NULL && pl_http_accepts(wants, "gzip") && pack_gzip(node, request))
        coding = "gzip";
    if (coding == NULL)
        return;
    swap(request);
    set_coding(request, coding);
}

void pl_http_encode(struct pl_node *node, struct pl_request *request)
{
    if (request->out.err != PARLEY_OK)
        return;
    if (request->packed_from != 0) {
        if (pl_http_accepts(request->head.accept_encoding, "gzip"))
            set_coding(request, "gzip");
        else if (!unpack(node, request))
            pl_shim_problem(request, 503, "busy", "out of memory; try again shortly");
        return;
    }
    if (request->head.method == PL_HTTP_HEAD)
        return;
    to_msgpack(request);
    pack(node, request);
}
