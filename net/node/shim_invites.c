/* SPDX-License-Identifier: Apache-2.0
 *
 * Invites and joins: how the operator lets another node in, and has this one let in.
 */
#include "node/shim.h"

#include "core/hash.h"
#include "core/mp_read.h"

#define INVITE_SECONDS_DEFAULT 600
#define INVITE_SECONDS_MAX     (30 * 24 * 3600)

/* ---- POST /invites ---- */

static bool take_ttl(struct pl_request *request, struct parley_span value, uint64_t *seconds)
{
    *seconds = INVITE_SECONDS_DEFAULT;
    if (value.len == 0)
        return true;
    struct pl_reader r = pl_reader_over(value);
    *seconds = pl_mp_read_uint(&r);
    if (r.err == PARLEY_OK && *seconds >= 1 && *seconds <= INVITE_SECONDS_MAX)
        return true;
    pl_shim_problem_field(request, 400, "bad-ttl", "ttl_seconds",
                          "must be a whole number from 1 to 2592000 (30 days)");
    return false;
}

static enum pl_shim_step answer_invite(struct pl_request *request)
{
    pl_shim_reply(request, 201);
    pl_out_text(&request->out, "{");
    pl_out_field(&request->out, "id", pl_span_of(request->word, PL_INVITE_ID_BYTES));
    pl_out_field_text(&request->out, "url", request->long_text);
    pl_out_field_time(&request->out, "expires_at", (int64_t)request->remembered);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

/* The invite is one word of text with the name in it: what would end the name, the word or the
 * quotes of a shell cannot be part of it. */
static bool check_invite_name(struct pl_request *request, struct parley_span name_space)
{
    for (size_t i = 0; i < name_space.len; i++) {
        if (name_space.ptr[i] <= ' ' || memchr("&%#\"'", name_space.ptr[i], 5) != NULL) {
            pl_shim_problem_field(request, 400, "bad-namespace", "namespace",
                                  "an invite cannot carry a blank or one of & % # \" ' in it; "
                                  "use parley approve --namespace once the peer has joined");
            return false;
        }
    }
    return true;
}

enum pl_shim_step pl_shim_post_invite(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "namespace", .max = PARLEY_NAMESPACE_BYTES_MAX },
                                      { .name = "right", .max = 5 },
                                      { .name = "ttl_seconds", .any = true },
                                      { .name = "prefix", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "max_age_days", .any = true } };
    struct pl_filter filter = { .max_age = 0 };
    bool may_write = false;
    uint64_t seconds = 0;
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_invite(request);
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !pl_shim_grant(request, &fields[0], &fields[1], &may_write) ||
        !check_invite_name(request, fields[0].text) ||
        !take_ttl(request, fields[2].value, &seconds) ||
        !pl_shim_take_filter(request, &fields[3], &fields[4], &filter))
        return PL_SHIM_DONE;
    struct parley_span name_space = fields[0].text.len != 0 ? fields[0].text : pl_span_text("main");
    if (!pl_shim_check_views(node, request, name_space, &filter))
        return PL_SHIM_DONE;
    parley_wall expires = node->now.wall + (parley_wall)seconds * PARLEY_US_PER_S;
    pl_shim_mark(node, request);
    parley_err err =
        pl_invite_make(node, name_space, may_write, &filter, expires, request->long_text,
                       sizeof request->long_text, request->word, node->now);
    pl_wipe_stack(); /* its secret was made and hashed there */
    if (err == PARLEY_EFULL) {
        pl_shim_problem(request, 409, "too-many-invites",
                        "64 invites are open; withdraw one, or wait until one is used or expires");
        return PL_SHIM_DONE;
    }
    request->remembered = (uint64_t)expires;
    return pl_shim_wait_for_record(node, request, err);
}

/* ---- GET /invites, DELETE /invites/{id} ---- */

static void write_invite(const struct pl_invite *invite, struct pl_out *out)
{
    char id[PL_INVITE_ID_BYTES];
    pl_invite_id(invite, id);
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "id", pl_span_of(id, sizeof id));
    pl_out_field_text(out, "state", invite->used_by[0] == '\0' ? "open" : "used");
    pl_out_field_text(out, "namespace", invite->name_space);
    pl_out_field_text(out, "right", invite->may_write ? "write" : "read");
    if (invite->filter.prefix[0] != '\0')
        pl_out_field_text(out, "prefix", invite->filter.prefix);
    if (invite->filter.max_age != 0)
        pl_out_field_u64(out, "max_age_days", invite->filter.max_age);
    pl_out_field_time(out, "created_at", invite->created);
    pl_out_field_time(out, "expires_at", invite->expires);
    if (invite->used_by[0] != '\0')
        pl_out_field_text(out, "used_by", invite->used_by);
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_get_invites(struct pl_node *node, struct pl_request *request)
{
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{\"invites\":[");
    for (size_t i = 0; i < node->invite_count; i++) {
        const struct pl_invite *invite = &node->invites[i];
        if (!invite->withdrawn && invite->expires > node->now.wall)
            write_invite(invite, &request->out);
    }
    pl_out_text(&request->out, "]}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_delete_invite(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1) {
        pl_shim_reply(request, 200);
        pl_out_text(&request->out, "{");
        pl_out_field_text(&request->out, "status", "withdrawn");
        pl_out_field(&request->out, "id", pl_shim_param(request, 0));
        pl_out_text(&request->out, "}");
        return PL_SHIM_DONE;
    }
    struct pl_invite *invite = pl_invite_named(node, pl_shim_param(request, 0));
    if (invite == NULL) {
        pl_shim_problem(request, 404, "no-such-invite",
                        "no invite with this id is known here; it may have been withdrawn");
        return PL_SHIM_DONE;
    }
    pl_shim_mark(node, request);
    return pl_shim_wait_for_record(node, request, pl_invite_withdraw(node, invite));
}

/* ---- Joins ---- */

static void write_join(const struct pl_join *join, struct pl_out *out)
{
    static const char *const names[] = { "none", "dialing", "storing", "done", "failed" };
    pl_out_text(out, "{");
    pl_out_field_text(out, "phase", names[join->phase]);
    pl_out_field_text(out, "backend_id", join->backend_id);
    pl_out_field_text(out, "check", join->check);
    if (join->error[0] != '\0')
        pl_out_field_text(out, "error", join->error);
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_post_join(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "url", .required = true, .max = 1024 },
                                      { .name = "prefix", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "max_age_days", .any = true } };
    struct pl_filter filter = { .max_age = 0 };
    struct parley_diag diag = { { 0 } };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !pl_shim_take_filter(request, &fields[1], &fields[2], &filter))
        return PL_SHIM_DONE;
    parley_err err = pl_invite_join(node, fields[0].text, &filter, node->now, &diag);
    pl_wipe_stack(); /* the invite's secret was read and hashed there */
    const char *why = diag.text[0] != '\0' ? diag.text : parley_err_text(err);
    if (err == PARLEY_OK) {
        pl_shim_reply(request, 202);
        write_join(&node->join, &request->out);
    } else if (err == PARLEY_EBUSY) {
        pl_shim_problem(request, 409, "join-under-way", why);
    } else if (parley_err_class(err) == 2) {
        pl_shim_problem(request, 503, "busy", why);
    } else {
        pl_shim_problem(request, 400, "bad-invite", why);
    }
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_join(struct pl_node *node, struct pl_request *request)
{
    pl_shim_reply(request, 200);
    write_join(&node->join, &request->out);
    return PL_SHIM_DONE;
}
