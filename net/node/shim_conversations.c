/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading conversations: one, history, export. Each answer comes from one snapshot.
 */
#include "node/etag.h"
#include "node/render.h"
#include "node/shim.h"

#define EXPORT_BYTES_DEFAULT (8u << 20)
#define EXPORT_BYTES_MAX     (32u << 20)
#define HISTORY_VERSIONS_MAX 10000u

/* Also for answers that do not fit: the buffer's own error is the exact one. */
enum pl_shim_step pl_shim_read_problem(struct pl_node *node, struct pl_request *request,
                                       parley_err err)
{
    if (request->out.err == PARLEY_EFULL || err == PARLEY_EFULL) {
        pl_shim_problem(request, 503, "busy", "no memory for an answer of this size now");
        pl_shim_header(request, "Retry-After", pl_span_text("1"));
        return PL_SHIM_DONE;
    }
    return pl_shim_store_problem(node, request, err);
}

enum pl_shim_step pl_shim_no_conversation(struct pl_request *request)
{
    pl_shim_problem(request, 404, "no-such-conversation",
                    "there is no such conversation in this namespace");
    return PL_SHIM_DONE;
}

static bool is_live(const struct parley_conversation_info *info)
{
    return info->messages != 0 || info->headers != 0;
}

/* ---- GET /conversations/{id} ---- */

enum pl_shim_step pl_shim_get_conversation(struct pl_node *node, struct pl_request *request)
{
    struct parley_conversation_info info;
    bool found;
    struct parley_read *read;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &read, &info, &found);
    if (err == PARLEY_OK && (!found || !is_live(&info)))
        return pl_shim_no_conversation(request);
    struct pl_etag tag;
    struct pl_etag_sum sum;
    bool asks = request->head.if_none_match.ptr != NULL; /* then perhaps nothing is written */
    if (err == PARLEY_OK && asks)
        err = pl_etag_of_conversation(read, info.number, &tag);
    if (err == PARLEY_OK && asks && pl_etag_is_known(request, &tag))
        return PL_SHIM_DONE;
    pl_etag_begin_conversation(&sum);
    pl_shim_reply(request, 200);
    if (err == PARLEY_OK)
        err = pl_render_tagged_conversation(read, &info, &sum, &request->out);
    pl_etag_end(&sum, false, &tag);
    if (err == PARLEY_OK)
        pl_etag_write(request, &tag);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_read_problem(node, request, err);
}

/* ---- GET /export ---- */

/* The id in percent encoding: header values take ASCII only. */
static void write_next(struct pl_request *request, struct parley_span id)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[PARLEY_ID_BYTES_MAX * 3];
    size_t len = 0;
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            text[len++] = (char)c;
        } else {
            text[len++] = '%';
            text[len++] = hex[c >> 4];
            text[len++] = hex[c & 15];
        }
    }
    pl_shim_header(request, "X-Parley-Next", pl_span_of(text, len));
}

static PL_MUST_USE parley_err export_lines(struct parley_read *read, struct pl_request *request,
                                           struct parley_span after, uint64_t limit)
{
    struct parley_conversation_info info;
    struct parley_span name_space = pl_shim_name_space(request);
    struct pl_out *out = &request->out;
    bool found = false;
    PL_TRY(parley_read_conversation_after(read, name_space, after, &info, &found));
    while (found) {
        PL_TRY(pl_render_conversation(read, &info, 0, out));
        pl_out_text(out, "\n");
        struct parley_span last = info.id;
        PL_TRY(parley_read_conversation_after(read, name_space, last, &info, &found));
        if (found && out->len >= limit) {
            write_next(request, last);
            break;
        }
    }
    return out->err;
}

enum pl_shim_step pl_shim_get_export(struct pl_node *node, struct pl_request *request)
{
    char after[PARLEY_ID_BYTES_MAX];
    size_t after_len = 0;
    bool found = false;
    uint64_t limit = EXPORT_BYTES_DEFAULT;
    parley_err err = PARLEY_OK;
    if (!pl_shim_query(request, "after", after, sizeof after, &after_len, &found) ||
        !pl_shim_query_number(request, "limit_bytes", EXPORT_BYTES_MAX, &limit))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    pl_shim_reply(request, 200);
    request->content_type = "application/x-ndjson";
    if (read != NULL)
        err = export_lines(read, request, pl_span_of(after, after_len), limit);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_read_problem(node, request, err);
}

/* ---- GET /conversations/{id}/history ---- */

struct history {
    struct parley_read *read;
    uint64_t conversation;
    struct pl_out *out;
    size_t count;
};

static PL_MUST_USE parley_err write_replaced(struct history *h, enum parley_kind kind,
                                             struct parley_span id)
{
    uint32_t position = 0;
    for (; h->count < HISTORY_VERSIONS_MAX; h->count++) {
        struct parley_version old;
        bool found = false;
        PL_TRY(parley_read_history(h->read, h->conversation, kind, id, &position, &old, &found));
        if (!found)
            return PARLEY_OK;
        PL_TRY(pl_render_version(&old, false, h->out));
    }
    return PARLEY_OK;
}

/* The current version of a register, then what it replaced. */
static PL_MUST_USE parley_err write_register(struct history *h,
                                             const struct parley_version *current)
{
    PL_TRY(pl_render_version(current, true, h->out));
    h->count++;
    return write_replaced(h, current->kind, current->id);
}

static PL_MUST_USE parley_err write_history(struct history *h, struct parley_span only, bool *any)
{
    struct parley_version v;
    bool found = false;
    if (only.len != 0) {
        PL_TRY(
            parley_read_register(h->read, h->conversation, PARLEY_KIND_MESSAGE, only, &v, &found));
        /* A deleted conversation has no current messages, but what they were is kept. */
        PL_TRY(found ? write_register(h, &v) : write_replaced(h, PARLEY_KIND_MESSAGE, only));
        *any = h->count != 0;
        return PARLEY_OK;
    }
    struct parley_register_cursor cursor;
    PL_TRY(parley_registers_begin(h->read, h->conversation, &cursor));
    *any = true;
    while (h->count < HISTORY_VERSIONS_MAX) {
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (!found)
            break;
        PL_TRY(write_register(h, &v));
    }
    return PARLEY_OK;
}

enum pl_shim_step pl_shim_get_history(struct pl_node *node, struct pl_request *request)
{
    char message[PARLEY_ID_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    bool any = false;
    struct parley_conversation_info info;
    if (!pl_shim_query(request, "message", message, sizeof message, &len, &found))
        return PL_SHIM_DONE;
    struct parley_read *read;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &read, &info, &found);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(node, request, err);
    if (!found)
        return pl_shim_no_conversation(request);
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{\"versions\":[");
    struct history h = { .read = read, .conversation = info.number, .out = &request->out };
    err = write_history(&h, pl_span_of(message, len), &any);
    pl_out_text(&request->out, "]}");
    if (err != PARLEY_OK)
        return pl_shim_read_problem(node, request, err);
    if (!any)
        pl_shim_problem(request, 404, "no-such-message", "there is no such message here");
    return PL_SHIM_DONE;
}
