/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /check: is it all here, and sound.
 */
#include "node/shim.h"

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
    pl_out_field_u64(out, "trash", report.trash);
    pl_out_field_u64(out, "audit", records);
    write_problems(&report, &audit, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}
