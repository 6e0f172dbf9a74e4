/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /sync. A payload that is here whole is checked whole first, so that nothing of one that is
 * not JSON is merged. One that is longer than the window is cut into its conversations while it
 * comes (split.h): of that, what was before a fault is merged.
 */
#include "core/mp_read.h"
#include "node/import.h"

static PL_MUST_USE parley_err open_element(struct pl_node *node, struct pl_request *request,
                                           enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    *out = PL_IMPORT_END;
    if (work->left == 0)
        return PARLEY_OK;
    work->left--;
    work->number = work->received;
    struct parley_span object = pl_mp_read_any(&work->list);
    return pl_import_object(node, request, object, out);
}

static bool refuse_source(struct pl_request *request, const char *code, struct parley_span id,
                          const char *why)
{
    struct parley_diag diag;
    pl_ignore(pl_payload_refuse(&diag, PARLEY_EDENIED, id, why), "the response says it");
    pl_shim_problem(request, 403, code, diag.text);
    return false;
}

/* Whether the asker may push what comes from this source. */
static bool check_source(struct pl_node *node, struct pl_request *request, struct parley_span id,
                         uint32_t *number)
{
    const struct pl_peer *peer = pl_peers_find(&node->peers, id);
    if (request->role == PL_SHIM_SESSION)
        return refuse_source(request, "not-granted", id, "a user's token cannot push for a node");
    if (peer == NULL)
        return refuse_source(request, "not-registered", id,
                             "source_backend_id is not registered here; send POST /register-peer");
    if (request->role == PL_SHIM_PEER && peer->number != request->peer_number)
        return refuse_source(request, "other-peer", id,
                             "source_backend_id is not the peer this token belongs to");
    /* Without a token only those may come who registered without proof: a peer that has a key must
     * use it, whatever the mode. */
    if (request->role == PL_SHIM_NOBODY && !peer->legacy)
        return refuse_source(request, "token-missing", id,
                             "this peer is registered with its key and must send a token");
    if (request->role == PL_SHIM_NOBODY && !pl_span_is(pl_shim_name_space(request), "main"))
        return refuse_source(request, "not-granted", id,
                             "without a token only the namespace \"main\" may be used");
    if (peer->state == PL_PEER_REVOKED)
        return refuse_source(request, "revoked", id, "this peer was revoked here");
    if (peer->state != PL_PEER_ACTIVE)
        return refuse_source(request, "pending", id, "this peer waits for the operator's approval");
    const struct pl_grant *grant = pl_peer_granted(peer, pl_shim_name_space(request));
    if (request->role != PL_SHIM_ADMIN && (grant == NULL || !grant->may_write))
        return refuse_source(request, "not-granted", id, "was not granted write on this namespace");
    if (request->role != PL_SHIM_ADMIN && grant->filter.prefix[0] != '\0')
        return refuse_source(request, "not-granted", id,
                             "was granted only conversations that begin with a prefix");
    *number = peer->number;
    return true;
}

static bool take_source(struct pl_node *node, struct pl_request *request, struct parley_span id)
{
    struct pl_shim_import *work = request->work;
    if (!check_source(node, request, id, &work->source))
        return false;
    work->legacy = pl_peers_find(&node->peers, id)->legacy;
    memcpy(work->origin, id.ptr, id.len);
    work->origin_len = id.len;
    return true;
}

static bool check_target(struct pl_node *node, struct pl_request *request, struct parley_span id)
{
    if (pl_span_is(id, node->backend_id))
        return true;
    pl_shim_problem_field(request, 400, "other-target", "target_backend_id",
                          "does not name this node");
    return false;
}

static void take_sync_id(struct pl_shim_import *work, struct parley_span id)
{
    work->sync_id_len = id.len;
    if (id.len != 0)
        memcpy(work->sync_id, id.ptr, id.len);
}

static bool begin_whole(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = {
        { .name = "sync_id", .max = PARLEY_ID_BYTES_MAX },
        { .name = "source_backend_id", .required = true, .max = PARLEY_BACKEND_ID_BYTES_MAX },
        { .name = "target_backend_id", .max = PARLEY_ID_BYTES_MAX },
        { .name = "conversations", .required = true, .any = true },
    };
    struct pl_shim_import *work = request->work;
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return false;
    if (fields[2].value.len != 0 && !check_target(node, request, fields[2].text))
        return false;
    struct pl_reader r = pl_reader_over(fields[3].value);
    if (pl_mp_peek(&r) != PL_MP_ARRAY) {
        pl_shim_problem_field(request, 400, "wrong-type", "conversations", "must be an array");
        return false;
    }
    if (!take_source(node, request, fields[1].text))
        return false;
    work->left = pl_mp_read_array(&r, UINT32_MAX);
    work->list = r;
    take_sync_id(work, fields[0].text);
    return true;
}

/* ---- The same while it comes ---- */

/* Members before the conversations, and behind them. False: the response is set. */
static bool take_member(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    struct parley_span name = pl_span_of(work->split.name, work->split.name_len);
    struct pl_shim_field field = { .max = PARLEY_ID_BYTES_MAX };
    bool seen = false;
    if (pl_span_is(name, "source_backend_id")) {
        field = (struct pl_shim_field){ .name = "source_backend_id",
                                        .required = true,
                                        .max = PARLEY_BACKEND_ID_BYTES_MAX };
        seen = work->origin_len != 0;
    } else if (pl_span_is(name, "sync_id")) {
        field.name = "sync_id";
        seen = work->sync_id_len != 0;
    } else if (pl_span_is(name, "target_backend_id")) {
        field.name = "target_backend_id";
    } else if (pl_span_is(name, "conversations")) {
        pl_shim_problem_field(request, 400, "wrong-type", "conversations", "must be an array");
        return false;
    } else {
        field = (struct pl_shim_field){ .name = "body", .any = true };
    }
    if (!pl_shim_json_field(request, work->split.value, seen, &field))
        return false;
    if (field.any || field.value.len == 0)
        return true;
    if (pl_span_is(name, "source_backend_id"))
        return take_source(node, request, field.text);
    if (pl_span_is(name, "target_backend_id"))
        return check_target(node, request, field.text);
    take_sync_id(work, field.text);
    return true;
}

static void refuse_text(struct pl_request *request)
{
    const struct pl_shim_import *work = request->work;
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    char digits[20];
    uint64_t at = request->body_bytes - request->body.len + work->at;
    pl_write_text(&w, "body: at byte ");
    pl_write_span(&w, pl_out_digits(at, digits));
    pl_write_text(&w, ": ");
    pl_write_text(&w, work->split.what);
    if (work->received != 0)
        pl_write_text(&w, "; the conversations before it are stored");
    diag.text[w.len] = '\0';
    pl_shim_problem(request, 400, "bad-json", diag.text);
}

static bool end_pieces(struct pl_request *request)
{
    const struct pl_shim_import *work = request->work;
    const char *missing = work->origin_len == 0      ? "source_backend_id"
                          : !work->has_conversations ? "conversations"
                                                     : NULL;
    if (missing != NULL)
        pl_shim_problem_field(request, 400, "missing-field", missing, "is missing");
    return missing == NULL;
}

/* The conversations begin. */
static bool begin_pieces(struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    const char *why = NULL;
    if (work->has_conversations)
        why = "is given twice";
    else if (work->origin_len == 0)
        why = "comes before source_backend_id; in a body longer than 1 MiB it must come behind it, "
              "so "
              "that nothing is stored for a source that may not write";
    work->has_conversations = true;
    if (why != NULL)
        pl_shim_problem_field(request, 400, work->origin_len == 0 ? "bad-order" : "duplicate-field",
                              "conversations", why);
    return why == NULL;
}

static PL_MUST_USE parley_err open_piece(struct pl_node *node, struct pl_request *request,
                                         enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    for (;;) {
        bool good = true;
        work->split.at = work->at;
        enum pl_split_event event = pl_split_next(&work->split, request->body, request->body_more);
        work->at = work->split.at;
        switch (event) {
        case PL_SPLIT_MORE:
            *out = PL_IMPORT_READ;
            return PARLEY_OK;
        case PL_SPLIT_MEMBER:
            good = take_member(node, request);
            break;
        case PL_SPLIT_BEGIN:
            good = begin_pieces(request);
            break;
        case PL_SPLIT_ELEMENT:
            work->number = work->received;
            return pl_import_json(node, request, work->split.value, out);
        case PL_SPLIT_END:
            *out = end_pieces(request) ? PL_IMPORT_END : PL_IMPORT_REFUSED;
            work->refused = *out == PL_IMPORT_REFUSED;
            return PARLEY_OK;
        case PL_SPLIT_BAD:
            refuse_text(request);
            good = false;
            break;
        }
        if (good)
            continue;
        work->refused = true;
        *out = PL_IMPORT_REFUSED;
        return PARLEY_OK;
    }
}

/* Cut while it comes: JSON that is longer than the window. msgpack says how long it is, but not
 * where a part of it ends: it is waited for. *more: that is under way. */
static bool begin_sync(struct pl_node *node, struct pl_request *request, bool *more)
{
    bool packed = pl_shim_body_is_msgpack(request);
    *more = request->body_more && packed;
    if (*more)
        return true;
    struct pl_shim_import *work = pl_import_begin(node, request);
    if (work == NULL)
        return false;
    work->next = request->body_more ? open_piece : open_element;
    pl_split_init(&work->split, "conversations");
    if (!request->body_more && !begin_whole(node, request))
        return false;
    request->phase = PL_IMPORT_RUNNING;
    return true;
}

static enum pl_shim_step answer_sync(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    struct pl_out *out = &request->out;
    struct pl_peer *peer = pl_peers_find_number(&node->peers, work->source);
    if (peer != NULL) {
        peer->last_sync_at = node->now.wall;
        peer->bytes_in += request->body_bytes;
        peer->versions_in += work->versions_new;
    }
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "status", "synced");
    pl_out_field(out, "sync_id", pl_span_of(work->sync_id, work->sync_id_len));
    pl_out_field_u64(out, "conversations_received", work->received);
    pl_out_field_u64(out, "conversations_merged", work->created);
    pl_out_field_u64(out, "conversations_updated", work->updated);
    pl_out_field_u64(out, "conversations_skipped", work->skipped);
    pl_import_write_errors(work, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_sync(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_step step = PL_SHIM_DONE;
    bool more = false;
    if (request->phase == PL_IMPORT_NEW && !begin_sync(node, request, &more))
        return PL_SHIM_DONE;
    if (more)
        return PL_SHIM_MORE;
    parley_err err = pl_import_run(node, request, &step);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    if (step != PL_SHIM_DONE || request->work->refused)
        return step;
    return answer_sync(node, request);
}
