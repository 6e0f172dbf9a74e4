/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /conversations/{id}/purge: erases a conversation here and, by sync, everywhere. Also what
 * the audit log says of purges, those of other nodes too.
 */
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "core/utf8.h"
#include "node/shim.h"

static void copy_text(char *out, size_t cap, struct parley_span text)
{
    size_t len = pl_utf8_prefix(pl_span_of(text.ptr, pl_min_size(text.len, cap - 1)));
    if (len != 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static void note_purge(struct pl_node *node, const struct parley_version *version,
                       const char *actor)
{
    char talk[PL_AUDIT_TEXT_BYTES_MAX + 1];
    char reason[PL_AUDIT_TEXT_BYTES_MAX + 1];
    struct pl_reader r = pl_reader_over(version->body);
    copy_text(talk, sizeof talk, version->conversation);
    copy_text(reason, sizeof reason, pl_mp_read_str(&r, PARLEY_PURGE_REASON_BYTES_MAX));
    pl_audit_event(node, PL_AUDIT_conversation_purged, actor, talk, reason);
}

/* Whether this purge, or a later one of its conversation, is here. */
static bool is_here(struct pl_node *node, const struct parley_version *version)
{
    struct parley_conversation_info info;
    struct parley_version here = { .time = 0 };
    parley_err err = PARLEY_OK;
    bool found = false;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = parley_read_conversation(read, version->name_space, version->conversation, &info,
                                       &found);
    if (err == PARLEY_OK && found)
        err = parley_read_register(read, info.number, PARLEY_KIND_PURGE, pl_span_of(NULL, 0), &here,
                                   &found);
    return err == PARLEY_OK && found && here.time >= version->time;
}

void pl_purge_heard(struct pl_node *node, const struct parley_version *version)
{
    char origin[PARLEY_ORIGIN_BYTES_MAX + 1];
    if (version->kind != PARLEY_KIND_PURGE || is_here(node, version))
        return;
    copy_text(origin, sizeof origin, version->origin);
    note_purge(node, version, origin);
}

static enum pl_shim_step answer(struct pl_node *node, struct pl_request *request)
{
    const struct parley_write *write = &pl_batch_results(node)[request->first];
    if (request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{\"status\":\"purged\"");
    pl_out_field_u64(&request->out, "versions_erased", write->moved);
    pl_out_field_time(&request->out, "timestamp", (int64_t)write->stamped_time);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

static bool write_reason(struct pl_node *node, struct pl_request *request,
                         struct parley_span reason)
{
    pl_out_reset(&request->scratch);
    if (pl_out_room(&request->scratch, reason.len + 8) != PARLEY_OK) {
        pl_shim_store_problem(node, request, PARLEY_ENOMEM);
        return false;
    }
    struct pl_writer w = pl_writer_over(request->scratch.ptr, request->scratch.cap);
    pl_mp_write_str(&w, reason);
    PL_ASSERT(w.err == PARLEY_OK);
    request->scratch.len = w.len;
    return true;
}

/* Whether a conversation of this name was ever here. */
static bool is_known(struct pl_node *node, struct pl_request *request)
{
    struct parley_conversation_info info;
    struct parley_read *read;
    bool found;
    parley_err err =
        pl_shim_find_conversation(node, request, pl_shim_param(request, 0), &read, &info, &found);
    if (err != PARLEY_OK)
        pl_shim_store_problem(node, request, err);
    else if (!found)
        pl_shim_problem(request, 404, "no-such-conversation",
                        "no such conversation was ever in this namespace of this node; purge it "
                        "where it is known");
    return err == PARLEY_OK && found;
}

enum pl_shim_step pl_shim_purge(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field reason = { .name = "reason", .max = PARLEY_PURGE_REASON_BYTES_MAX };
    if (request->phase == 1)
        return answer(node, request);
    if (!pl_shim_body_fields(node, request, &reason, 1) || !is_known(node, request) ||
        !write_reason(node, request, reason.text))
        return PL_SHIM_DONE;
    struct parley_version v = { .name_space = pl_shim_name_space(request),
                                .conversation = pl_shim_param(request, 0),
                                .kind = PARLEY_KIND_PURGE,
                                .body = pl_out_span(&request->scratch) };
    pl_shim_mark(node, request);
    if (!pl_audit_has_room(node) || !pl_shim_add_version(node, request, &v, 0))
        return pl_shim_again(node);
    note_purge(node, &v, "operator");
    request->phase = 1;
    return pl_shim_wait(node, request);
}
