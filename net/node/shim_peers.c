/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator sees of peers and does to them: list, approve, revoke, dial.
 */
#include "core/hash.h"
#include "core/mp_read.h"
#include "node/legacy.h"
#include "node/report.h"
#include "node/shim.h"

/* ---- GET /peers ---- */

/* The value of a name in the stored map {capabilities, sbt}. */
static struct parley_span extra_value(const struct pl_peer *peer, const char *wanted)
{
    struct pl_reader r = pl_reader_over(pl_span_of(peer->extra, peer->extra_len));
    uint32_t count = peer->extra_len == 0 ? 0 : pl_mp_read_map(&r, 8);
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, peer->extra_len);
        struct parley_span value = pl_mp_read_any(&r);
        if (pl_span_is(name, wanted))
            return value;
    }
    return pl_span_of(NULL, 0);
}

static void write_identity(const struct pl_peer *peer, struct pl_out *out)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    struct parley_span sbt = extra_value(peer, "sbt");
    struct parley_span capabilities = extra_value(peer, "capabilities");
    pl_out_name(out, "sbt");
    if (sbt.len != 0)
        pl_out_mp(out, sbt);
    else
        pl_out_text(out, "null");
    pl_out_field_text(out, "backend_id", peer->backend_id);
    pl_out_name(out, "public_key");
    if (pl_pubkey_to_pem(&peer->key, pem) == PARLEY_OK)
        pl_out_string(out, pl_span_text(pem));
    else
        pl_out_text(out, "null");
    pl_out_name(out, "capabilities");
    if (capabilities.len != 0)
        pl_out_mp(out, capabilities);
    else
        pl_out_text(out, "[]");
    pl_out_field_time(out, "registered_at", peer->registered_at);
    pl_out_field_text(out, "state", pl_peer_state_name(peer->state));
}

static void write_sync(const struct pl_node *node, const struct pl_peer *peer, struct pl_out *out)
{
    pl_out_name(out, "sync");
    pl_out_text(out, "{");
    pl_out_field_text(out, "state", pl_sync_state_name(peer->sync));
    pl_out_field_text(out, "note", peer->note);
    pl_out_field_time(out, "since", peer->since);
    pl_out_field_bool(out, "root_equal", peer->root_equal);
    pl_out_field_u64(out, "behind", peer->behind_ours + peer->behind_theirs);
    pl_out_name(out, "skew_us");
    pl_out_i64(out, peer->skew_us);
    pl_out_field_u64(out, "bytes_in", peer->bytes_in);
    pl_out_field_u64(out, "bytes_out", peer->bytes_out);
    pl_out_field_u64(out, "versions_in", peer->versions_in);
    pl_out_field_u64(out, "versions_out", peer->versions_out);
    pl_out_field_u64(out, "writes_refused", peer->writes_refused);
    parley_wall next = pl_report_next_dial(node, peer);
    if (next != 0)
        pl_out_field_time(out, "next_dial_at", next);
    pl_out_text(out, "}");
}

/* All of it for the operator; for an old client without a token what it knows. */
static void write_peer(const struct pl_node *node, const struct pl_peer *peer, bool full,
                       struct pl_out *out)
{
    pl_out_separate(out);
    pl_out_text(out, "{");
    write_identity(peer, out);
    if (!full) {
        pl_out_text(out, "}");
        return;
    }
    write_sync(node, peer, out);
    pl_shim_write_kind(node, peer, out);
    pl_out_field_text(out, "address", peer->address);
    if (peer->check[0] != '\0')
        pl_out_field_text(out, "check", peer->check);
    pl_out_name(out, "grants");
    pl_out_text(out, "[");
    for (size_t i = 0; i < peer->grant_count; i++) {
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field_text(out, "namespace", peer->grants[i].name_space);
        pl_out_field_text(out, "right", peer->grants[i].may_write ? "write" : "read");
        if (peer->grants[i].filter.prefix[0] != '\0')
            pl_out_field_text(out, "prefix", peer->grants[i].filter.prefix);
        if (peer->grants[i].filter.max_age != 0)
            pl_out_field_u64(out, "max_age_days", peer->grants[i].filter.max_age);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
    pl_out_field_time(out, "last_sync_at", peer->last_sync_at);
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_get_peers(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    if (pl_node_read(node, &err) != NULL)
        pl_report_waiting(node);
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{\"peers\":[");
    for (size_t i = 0; i < node->peers.count; i++)
        write_peer(node, node->peers.table[i], request->role == PL_SHIM_ADMIN, &request->out);
    if (request->role == PL_SHIM_ADMIN)
        pl_shim_write_unknown_legacy(node, &request->out);
    pl_out_text(&request->out, "]}");
    return PL_SHIM_DONE;
}

/* ---- One peer ---- */

static enum pl_shim_step answer_status(struct pl_request *request, unsigned status,
                                       const char *text)
{
    pl_shim_reply(request, status);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "status", text);
    pl_out_field(&request->out, "backend_id", pl_shim_param(request, 0));
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_wait_for_record(struct pl_node *node, struct pl_request *request,
                                          parley_err err)
{
    if (err == PARLEY_EAGAIN)
        return pl_shim_again(node);
    if (err == PARLEY_EDENIED) {
        pl_shim_problem(request, 409, "revoked",
                        "this peer was revoked; to let it in again, invite it: parley invite");
        return PL_SHIM_DONE;
    }
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    request->phase = 1;
    return pl_shim_wait(node, request);
}

enum pl_shim_step pl_shim_delete_peer(struct pl_node *node, struct pl_request *request)
{
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_status(request, 200, request->remembered != 0 ? "forgotten" : "revoked");
    struct pl_legacy *legacy = pl_legacy_named(node, pl_shim_param(request, 0));
    struct pl_peer *peer = legacy == NULL ? NULL : pl_legacy_peer(node, legacy);
    if (legacy != NULL && peer == NULL)
        return pl_shim_delete_legacy(node, request, legacy);
    if (peer == NULL)
        peer = pl_shim_named_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    pl_shim_mark(node, request);
    request->remembered = peer->state == PL_PEER_PENDING;
    return pl_shim_wait_for_record(node, request,
                                   request->remembered != 0
                                       ? pl_peering_forget(node, peer, "operator")
                                       : pl_peering_revoke(node, peer));
}

bool pl_shim_take_filter(struct pl_request *request, const struct pl_shim_field *prefix,
                         const struct pl_shim_field *max_age, struct pl_filter *out)
{
    struct pl_reader r = pl_reader_over(max_age->value);
    uint64_t days = max_age->value.len == 0 ? 0 : pl_mp_read_uint(&r);
    bool zero = max_age->value.len != 0 && days == 0;
    if (r.err != PARLEY_OK || zero || days > PL_FILTER_AGE_DAYS_MAX) {
        pl_shim_problem_field(request, 400, "bad-age", "max_age_days",
                              "must be a whole number from 1 to 36500");
        return false;
    }
    if (pl_filter_set(out, prefix->text, days) == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "bad-prefix", "prefix",
                          "has a control character, or is not the beginning of any id");
    return false;
}

bool pl_shim_check_views(struct pl_node *node, struct pl_request *request,
                         struct parley_span name_space, const struct pl_filter *filter)
{
    parley_err err = pl_views_check(node, name_space, filter);
    if (err == PARLEY_EFULL)
        pl_shim_problem_field(request, 409, "too-many-filters", "prefix",
                              "at most 15 different prefixes of a namespace may be in use");
    else if (err != PARLEY_OK)
        pl_shim_store_problem(node, request, err);
    return err == PARLEY_OK;
}

/* For the audit log. */
static void describe_grant(struct parley_span name_space, bool may_write,
                           const struct pl_filter *filter, char *out, size_t cap)
{
    char digits[20];
    struct pl_writer w = pl_writer_over(out, cap - 1);
    pl_write_span(&w, name_space);
    pl_write_text(&w, may_write ? " write" : " read");
    if (filter->prefix[0] != '\0') {
        pl_write_text(&w, " prefix ");
        pl_write_text(&w, filter->prefix);
    }
    if (filter->max_age != 0) {
        pl_write_text(&w, " max-age-days ");
        pl_write_span(&w, pl_out_digits(filter->max_age, digits));
    }
    PL_ASSERT(w.err == PARLEY_OK);
    out[w.len] = '\0';
}

enum pl_shim_step pl_shim_approve_peer(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "namespace", .max = PARLEY_NAMESPACE_BYTES_MAX },
                                      { .name = "right", .max = 5 },
                                      { .name = "prefix", .max = PARLEY_ID_BYTES_MAX },
                                      { .name = "max_age_days", .any = true } };
    struct pl_filter filter = { .max_age = 0 };
    bool may_write = false;
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return answer_status(request, 200, "approved");
    struct pl_peer *peer = pl_shim_named_peer(node, request);
    if (peer == NULL || !pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !pl_shim_grant(request, &fields[0], &fields[1], &may_write) ||
        !pl_shim_take_filter(request, &fields[2], &fields[3], &filter))
        return PL_SHIM_DONE;
    if (peer->state == PL_PEER_REVOKED)
        return pl_shim_wait_for_record(node, request, PARLEY_EDENIED);
    if (!pl_peering_has_room(node))
        return pl_shim_again(node);
    struct parley_span name_space = fields[0].text.len != 0 ? fields[0].text : pl_span_text("main");
    if (!pl_shim_check_views(node, request, name_space, &filter))
        return PL_SHIM_DONE;
    if (pl_peer_grant(peer, name_space, may_write) != PARLEY_OK) {
        pl_shim_problem_field(request, 409, "too-many-grants", "namespace",
                              "a peer may be granted at most 16 namespaces");
        return PL_SHIM_DONE;
    }
    pl_views_regrant(node, peer, name_space, &filter);
    pl_shim_mark(node, request);
    char what[PARLEY_NAMESPACE_BYTES_MAX + PARLEY_ID_BYTES_MAX + 64];
    describe_grant(name_space, may_write, &filter, what, sizeof what);
    return pl_shim_wait_for_record(node, request, pl_peering_approve(node, peer, what));
}

enum pl_shim_step pl_shim_sync_peer(struct pl_node *node, struct pl_request *request)
{
    struct pl_legacy *legacy = pl_legacy_named(node, pl_shim_param(request, 0));
    if (legacy != NULL) {
        pl_legacy_kick(node, legacy);
        return answer_status(request, 202, "dialing");
    }
    struct pl_peer *peer = pl_shim_named_peer(node, request);
    if (peer == NULL)
        return PL_SHIM_DONE;
    if (peer->state != PL_PEER_ACTIVE || peer->address[0] == '\0') {
        pl_shim_problem(request, 409, "cannot-dial",
                        "this peer is not active, or it has no address and dials us itself");
        return PL_SHIM_DONE;
    }
    pl_peering_kick(node, peer);
    return answer_status(request, 202, "dialing");
}
