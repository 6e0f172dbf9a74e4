/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /status and GET /check: is it all here, and is it equal.
 */
#include "node/shim.h"

static PL_MUST_USE parley_err write_name_spaces(struct parley_read *read, struct pl_out *out)
{
    uint32_t position = 0;
    pl_out_name(out, "namespaces");
    pl_out_text(out, "[");
    for (;;) {
        struct parley_namespace_info info;
        bool found = false;
        PL_TRY(parley_read_namespace(read, &position, &info, &found));
        if (!found)
            break;
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field(out, "name", info.name);
        pl_out_name(out, "root");
        pl_out_hex(out, info.root.sum, sizeof info.root.sum);
        pl_out_field_u64(out, "versions", info.root.count);
        pl_out_field_u64(out, "conversations", info.conversations);
        pl_out_field_u64(out, "messages", info.messages);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
    return PARLEY_OK;
}

static const char *state_of(const struct pl_peer *peer)
{
    switch (peer->state) {
    case PL_PEER_PENDING:
    case PL_PEER_JOINING:
        return "pending";
    case PL_PEER_REVOKED:
        return "revoked";
    case PL_PEER_ACTIVE:
        break;
    }
    switch (peer->sync) {
    case PL_SYNC_OFFLINE:
        return "offline";
    case PL_SYNC_CATCHING_UP:
        return "catching up";
    case PL_SYNC_IN_SYNC:
        return "in sync";
    case PL_SYNC_REFUSED:
        return "refused";
    }
    return "offline";
}

static void write_peers(const struct pl_node *node, struct pl_out *out)
{
    pl_out_name(out, "peers");
    pl_out_text(out, "[");
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        bool in_sync = peer->state == PL_PEER_ACTIVE && peer->sync == PL_SYNC_IN_SYNC;
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field_text(out, "backend_id", peer->backend_id);
        pl_out_field_text(out, "state", state_of(peer));
        pl_out_field_bool(out, "in_sync", in_sync);
        pl_out_field_bool(out, "root_equal", peer->root_equal);
        pl_out_field_time(out, "last_sync_at", peer->last_sync_at);
        pl_out_field_u64(out, "behind", peer->behind_ours + peer->behind_theirs);
        pl_out_field_u64(out, "writes_refused", peer->writes_refused);
        pl_out_field_text(out, "note", peer->note);
        pl_out_field_text(out, "address", peer->address);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
}

static PL_MUST_USE parley_err write_status(struct pl_node *node, struct parley_read *read,
                                           struct pl_out *out)
{
    struct parley_db_state state;
    PL_TRY(parley_read_state(read, &state));
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", node->backend_id);
    pl_out_name(out, "incarnation");
    pl_out_hex(out, state.incarnation.bytes, sizeof state.incarnation.bytes);
    PL_TRY(write_name_spaces(read, out));
    write_peers(node, out);
    pl_out_field_u64(out, "head", state.head);
    pl_out_field_u64(out, "held", state.held);
    pl_out_name(out, "store");
    pl_out_text(out, "{");
    pl_out_field_bool(out, "ok", node->store_health == PARLEY_OK);
    if (node->store_health != PARLEY_OK)
        pl_out_field_text(out, "note", node->store_note);
    pl_out_field_u64(out, "file_bytes", state.file_bytes);
    pl_out_field_u64(out, "limit_bytes", state.limit_bytes);
    pl_out_text(out, "}");
    pl_out_field_text(out, "version", node->options.version != NULL ? node->options.version : "");
    pl_out_text(out, "}");
    return PARLEY_OK;
}

enum pl_shim_step pl_shim_get_status(struct pl_node *node, struct pl_request *request)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    pl_shim_reply(request, 200);
    if (read != NULL)
        err = write_status(node, read, &request->out);
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}

/* The audit log is the node's, not the engine's: one more problem, the first of all. */
static PL_MUST_USE parley_err check_audit(struct pl_node *node, uint64_t *records,
                                          struct parley_diag *problem)
{
    char digits[20];
    uint64_t broken = 0;
    const char *why = NULL;
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = pl_audit_check(read, records, &broken, &why);
    pl_node_read_done(node);
    if (err != PARLEY_OK || why == NULL)
        return err;
    struct pl_writer w = pl_writer_over(problem->text, sizeof problem->text - 1);
    pl_write_text(&w, "audit record ");
    pl_write_span(&w, pl_out_digits(broken, digits));
    pl_write_text(&w, ": ");
    pl_write_text(&w, why);
    problem->text[w.len] = '\0';
    return PARLEY_OK;
}

static void write_problems(const struct parley_check_report *report,
                           const struct parley_diag *audit, struct pl_out *out)
{
    pl_out_name(out, "first");
    pl_out_text(out, "[");
    if (audit->text[0] != '\0')
        pl_out_string(out, pl_span_text(audit->text));
    for (size_t i = 0; i < PL_ARRAY_LEN(report->first) && i < report->problems; i++) {
        pl_out_separate(out);
        pl_out_string(out, pl_span_text(report->first[i].text));
    }
    pl_out_text(out, "]");
}

enum pl_shim_step pl_shim_get_check(struct pl_node *node, struct pl_request *request)
{
    struct parley_check_report report = { 0 };
    struct parley_diag audit = { { 0 } };
    uint64_t records = 0;
    struct pl_out *out = &request->out;
    parley_err err = parley_db_check(node->db, &report);
    if (err == PARLEY_OK)
        err = check_audit(node, &records, &audit);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    uint64_t problems = report.problems + (audit.text[0] != '\0' ? 1 : 0);
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_bool(out, "ok", problems == 0);
    pl_out_field_u64(out, "problems", problems);
    pl_out_field_u64(out, "versions", report.versions);
    pl_out_field_u64(out, "conversations", report.conversations);
    pl_out_field_u64(out, "messages", report.messages);
    pl_out_field_u64(out, "history", report.history);
    pl_out_field_u64(out, "held", report.held);
    pl_out_field_u64(out, "audit", records);
    write_problems(&report, &audit, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}
