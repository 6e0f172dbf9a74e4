/* SPDX-License-Identifier: Apache-2.0
 *
 * Old backends as the operator sees them, and the routes of the old system for one peer: sync now,
 * what is new for it, how it went.
 *
 * Who may ask for a peer: the operator, and that peer itself. The table of routes lets in whoever
 * has the right on the namespace, in compat-legacy mode also who has no token; the rest is here.
 */
#include "node/legacy.h"
#include "node/report.h"
#include "node/shim.h"

/* How long POST /sync/{id} waits for a push to end, and how often it looks. */
#define WAIT_NS (10 * PARLEY_NS_PER_S)
#define POLL_NS (50 * PARLEY_NS_PER_MS)
/* Of sequences in a query; 12 digits are read. */
#define AFTER_MAX UINT64_C(999999999999)

/* ---- In lists and states ---- */

static const char *kind_of(const struct pl_node *node, const struct pl_peer *peer)
{
    if (pl_legacy_of(node, peer) != NULL)
        return "http-legacy";
    return peer->http ? "http" : "native";
}

static void write_legacy(const struct pl_node *node, const struct pl_legacy *legacy,
                         struct pl_out *out)
{
    pl_out_name(out, "legacy");
    pl_out_text(out, "{");
    pl_out_name(out, "url");
    pl_out_text(out, "\"" PL_LEGACY_URL);
    pl_out_text(out, legacy->address); /* of characters that need no escape */
    pl_out_text(out, "\"");
    pl_out_field_text(out, "state", pl_sync_state_name(legacy->sync));
    pl_out_field_bool(out, "registered", legacy->registered);
    pl_out_field_u64(out, "cursor", legacy->cursor);
    pl_out_field_time(out, "last_push_at", legacy->pushed_at);
    pl_out_field_text(out, "last_error", legacy->note);
    pl_out_field_time(out, "last_error_at", legacy->failed_at);
    pl_out_field_u64(out, "failures_in_a_row", legacy->failures);
    pl_out_field_time(out, "next_try_at", pl_legacy_next_try(node, legacy));
    pl_out_field_u64(out, "pushes", legacy->pushes);
    pl_out_field_u64(out, "push_failures", legacy->push_failures);
    pl_out_field_u64(out, "conversations_out", legacy->conversations);
    pl_out_field_u64(out, "messages_out", legacy->messages);
    pl_out_field_u64(out, "bytes_out", legacy->bytes_out);
    pl_out_text(out, "}");
}

void pl_shim_write_kind(const struct pl_node *node, const struct pl_peer *peer, struct pl_out *out)
{
    const struct pl_legacy *legacy = pl_legacy_of(node, peer);
    pl_out_field_text(out, "kind", kind_of(node, peer));
    if (legacy != NULL)
        write_legacy(node, legacy, out);
}

static void write_unknown(const struct pl_node *node, const struct pl_legacy *legacy,
                          struct pl_out *out)
{
    parley_wall next = pl_legacy_next_try(node, legacy);
    pl_out_separate(out);
    pl_out_text(out, "{\"backend_id\":\"" PL_LEGACY_URL);
    pl_out_text(out, legacy->address);
    pl_out_text(out, "\"");
    pl_out_field_text(out, "state", pl_sync_state_name(legacy->sync));
    pl_out_field_bool(out, "in_sync", false);
    pl_out_field_time(out, "last_sync_at", 0);
    pl_out_field_time(out, "registered_at", legacy->added_at);
    pl_out_field_time(out, "since", legacy->since);
    pl_out_field_text(out, "note", legacy->note);
    pl_out_field_text(out, "address", legacy->address);
    if (next != 0)
        pl_out_field_time(out, "next_dial_at", next);
    pl_out_name(out, "sync");
    pl_out_text(out, "{");
    pl_out_field_text(out, "state", pl_sync_state_name(legacy->sync));
    pl_out_field_text(out, "note", legacy->note);
    pl_out_text(out, "}");
    pl_out_text(out, ",\"grants\":[],\"namespaces\":[]");
    pl_out_field_text(out, "kind", "http-legacy");
    write_legacy(node, legacy, out);
    pl_out_text(out, "}");
}

void pl_shim_write_unknown_legacy(struct pl_node *node, struct pl_out *out)
{
    for (size_t i = 0; i < node->legacy_count; i++)
        if (!node->legacy[i]->removed && pl_legacy_peer(node, node->legacy[i]) == NULL)
            write_unknown(node, node->legacy[i], out);
}

/* ---- POST /peers/legacy ---- */

static enum pl_shim_step answer_added(struct pl_request *request, unsigned status, const char *text)
{
    pl_shim_reply(request, status);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "status", text);
    pl_out_field_text(&request->out, "kind", "http-legacy");
    pl_out_field_text(&request->out, "url", request->long_text);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

static enum pl_shim_step add_legacy(struct pl_node *node, struct pl_request *request,
                                    const char *address)
{
    pl_shim_mark(node, request);
    parley_err err = pl_legacy_add(node, address);
    if (err == PARLEY_EAGAIN)
        return pl_shim_again(node);
    if (err == PARLEY_EFULL) {
        pl_shim_problem_limit(request, 409, "too-many-legacy", NULL, PL_LEGACY_PEERS_MAX,
                              "16 old backends are pushed to; revoke one first");
        return PL_SHIM_DONE;
    }
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    request->phase = 1;
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_post_legacy(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = {
        { .name = "url", .required = true, .max = PL_LEGACY_URL_MAX + 1 }
    };
    char address[PL_PEER_ADDRESS_BYTES_MAX + 1];
    struct parley_diag diag = { { 0 } };
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_added(request, 202, "added");
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return PL_SHIM_DONE;
    if (pl_legacy_parse(fields[0].text, node->options.plain_peers, address, &diag) != PARLEY_OK) {
        pl_shim_problem_field(request, 400, "bad-url", "url", diag.text);
        return PL_SHIM_DONE;
    }
    struct pl_writer w = pl_writer_over(request->long_text, sizeof request->long_text - 1);
    pl_write_text(&w, PL_LEGACY_URL);
    pl_write_text(&w, address);
    PL_ASSERT(w.err == PARLEY_OK);
    request->long_text[w.len] = '\0';
    if (pl_legacy_find(node, address) != NULL)
        return answer_added(request, 200, "known");
    return add_legacy(node, request, address);
}

enum pl_shim_step pl_shim_delete_legacy(struct pl_node *node, struct pl_request *request,
                                        struct pl_legacy *legacy)
{
    if (!pl_batch_has_room(node, 1, 2 * PL_LEGACY_URL_MAX) || !pl_audit_has_room(node))
        return pl_shim_again(node);
    pl_shim_mark(node, request);
    pl_audit_event(node, PL_AUDIT_peer_forgotten, "operator", legacy->address, "");
    pl_legacy_remove(node, legacy);
    request->remembered = 1;
    request->phase = 1;
    return pl_shim_wait(node, request);
}

/* ---- One peer ---- */

static void refuse(struct pl_request *request, const char *code, const char *detail)
{
    pl_shim_problem(request, 403, code, detail);
}

/* Whether the asker may ask for the peer in the path. False: the response is set. */
static bool may_ask(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *self = pl_shim_peer(node, request);
    if (request->role == PL_SHIM_SESSION) {
        refuse(request, "operator-only", "a user's token cannot ask for a node");
        return false;
    }
    if (self != NULL && !pl_span_is(pl_shim_param(request, 0), self->backend_id)) {
        refuse(request, "other-peer", "the path does not name the peer this token belongs to");
        return false;
    }
    if (pl_span_is(pl_shim_name_space(request), "main"))
        return true;
    pl_shim_problem_field(request, 400, "bad-namespace", "namespace",
                          "old clients and backends know \"main\" alone");
    return false;
}

/* The peer in the path, if the asker may ask for it. NULL: the response is set. */
static struct pl_peer *asked_peer(struct pl_node *node, struct pl_request *request)
{
    return may_ask(node, request) ? pl_shim_named_peer(node, request) : NULL;
}

static enum pl_shim_step answer_sync(struct pl_request *request, const struct pl_peer *peer,
                                     const char *status, const char *error)
{
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "status", status);
    pl_out_field_text(out, "peer_id", peer->backend_id);
    pl_out_field_text(out, "state", pl_report_state_name(pl_report_state(peer)));
    pl_out_field_u64(out, "behind", peer->behind_ours + peer->behind_theirs);
    if (error[0] != '\0')
        pl_out_field_text(out, "error", error);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* A push is waited for, because old callers take the answer for the outcome. */
static enum pl_shim_step wait_for_push(struct pl_node *node, struct pl_request *request,
                                       const struct pl_peer *peer, struct pl_legacy *legacy)
{
    if (request->phase == 0) {
        request->phase = 1;
        request->remembered = node->now.mono + WAIT_NS;
        pl_legacy_kick(node, legacy);
    }
    if (legacy->conn == 0 && legacy->sync == PL_SYNC_IN_SYNC)
        return answer_sync(request, peer, "synced", "");
    if (legacy->conn == 0 && legacy->failures != 0)
        return answer_sync(request, peer, "failed", legacy->note);
    if (node->now.mono >= request->remembered)
        return answer_sync(request, peer, "syncing", "");
    request->wake_at = node->now.mono + POLL_NS;
    return PL_SHIM_SLEEP;
}

enum pl_shim_step pl_shim_post_sync_peer(struct pl_node *node, struct pl_request *request)
{
    struct pl_peer *peer = asked_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    struct pl_legacy *legacy = pl_legacy_of(node, peer);
    if (legacy != NULL && peer->state == PL_PEER_ACTIVE)
        return wait_for_push(node, request, peer, legacy);
    if (peer->state != PL_PEER_ACTIVE || peer->address[0] == '\0' || peer->http) {
        pl_shim_problem(request, 409, "cannot-dial",
                        "this peer is not active, or it has no address and dials us itself");
        return PL_SHIM_DONE;
    }
    pl_peering_kick(node, peer);
    return answer_sync(request, peer, "dialing", "");
}

/* ---- GET /sync/{peer_id} ---- */

enum pl_shim_step pl_shim_get_sync_peer(struct pl_node *node, struct pl_request *request)
{
    struct pl_legacy_range range = { .changes_max = PL_LEGACY_CHANGES_MAX };
    struct pl_legacy_pack pack;
    if (!may_ask(node, request) || !pl_shim_query_time(request, "since", &range.since) ||
        !pl_shim_query_number(request, "after", AFTER_MAX, &range.after))
        return PL_SHIM_DONE;
    const struct pl_peer *peer = pl_shim_named_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    if (request->phase == 1)
        range.after = request->remembered;
    pl_shim_reply(request, 200);
    parley_err err = pl_legacy_write_payload(node, peer, &range, &request->out, &pack);
    if (err != PARLEY_OK)
        return pl_shim_read_problem(node, request, err);
    if (pack.more && pack.conversations == 0) {
        /* A long stretch of what is not for this peer: others have their turn. */
        request->phase = 1;
        request->remembered = pack.end;
        pl_out_reset(&request->out);
        return PL_SHIM_YIELD;
    }
    if (pack.more)
        pl_out_field_u64(&request->out, "next", pack.end);
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

/* ---- Counts ---- */

static void write_counts(const struct pl_node *node, const struct pl_peer *peer, struct pl_out *out)
{
    enum pl_report_state state = pl_report_state(peer);
    pl_out_field_text(out, "peer_id", peer->backend_id);
    pl_out_field_text(out, "kind", kind_of(node, peer));
    pl_out_field_text(out, "state", pl_report_state_name(state));
    pl_out_field_bool(out, "in_sync", state == PL_REPORT_IN_SYNC);
    pl_out_field_time(out, "last_sync_at", peer->last_sync_at);
    pl_out_field_text(out, "last_error", state == PL_REPORT_IN_SYNC ? "" : peer->note);
    pl_out_field_u64(out, "behind", peer->behind_ours + peer->behind_theirs);
    pl_out_field_u64(out, "bytes_in", peer->bytes_in);
    pl_out_field_u64(out, "bytes_out", peer->bytes_out);
    pl_out_field_u64(out, "versions_in", peer->versions_in);
    pl_out_field_u64(out, "versions_out", peer->versions_out);
    pl_out_field_u64(out, "versions_lost", peer->versions_lost);
    pl_out_field_u64(out, "writes_refused", peer->writes_refused);
}

enum pl_shim_step pl_shim_get_sync_metrics(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = asked_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    const struct pl_legacy *legacy = pl_legacy_of(node, peer);
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    write_counts(node, peer, out);
    pl_out_field_u64(out, "pushes", legacy == NULL ? 0 : legacy->pushes);
    pl_out_field_u64(out, "push_failures", legacy == NULL ? 0 : legacy->push_failures);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

static void write_progress(struct pl_out *out, const char *name, struct pl_report_progress progress)
{
    pl_out_name(out, name);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "done", progress.done);
    pl_out_field_u64(out, "of", progress.of);
    pl_out_text(out, "}");
}

/* Where it stands, and for the operator also where it is reached. */
enum pl_shim_step pl_shim_get_debug_sync(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = asked_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    const struct pl_legacy *legacy = pl_legacy_of(node, peer);
    parley_wall next = pl_report_next_dial(node, peer);
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    write_counts(node, peer, out);
    pl_out_field_text(out, "registration", pl_peer_state_name(peer->state));
    pl_out_field_time(out, "registered_at", peer->registered_at);
    pl_out_field_time(out, "since", peer->since);
    pl_out_field_time(out, "next_dial_at", next);
    write_progress(out, "sending", pl_report_sending(peer));
    write_progress(out, "receiving",
                   (struct pl_report_progress){ .done = peer->applied, .of = peer->head });
    if (request->role == PL_SHIM_ADMIN)
        pl_out_field_text(out, "address", peer->address);
    if (request->role == PL_SHIM_ADMIN && legacy != NULL)
        write_legacy(node, legacy, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}
