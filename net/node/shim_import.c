/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /import: lines of JSON. They are looked for in what is here of the body.
 */
#include "node/import.h"

static bool is_blank(struct parley_span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
            return false;
    return true;
}

/* False: its end is not here yet. */
static bool next_line(struct pl_shim_import *work, const struct pl_request *request,
                      struct parley_span *out)
{
    struct parley_span rest = pl_span_after(request->body, work->at);
    const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
    size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
    if (end == NULL && request->body_more)
        return false;
    work->at += len + (end == NULL ? 0 : 1);
    work->number++;
    *out = pl_span_of(rest.ptr, len);
    return true;
}

static PL_MUST_USE parley_err open_line(struct pl_node *node, struct pl_request *request,
                                        enum pl_import_next *out)
{
    struct pl_shim_import *work = request->work;
    struct parley_span line = { 0 };
    *out = PL_IMPORT_END;
    while (is_blank(line)) {
        bool at_end = work->at >= request->body.len && !request->body_more;
        if (!at_end && next_line(work, request, &line))
            continue;
        if (!at_end)
            *out = PL_IMPORT_READ;
        return PARLEY_OK;
    }
    return pl_import_json(node, request, line, out);
}

static bool begin_import(struct pl_node *node, struct pl_request *request)
{
    uint64_t strict = 0;
    if (!pl_shim_query_number(request, "strict", 1, &strict))
        return false;
    struct pl_shim_import *work = pl_import_begin(node, request);
    if (work == NULL)
        return false;
    work->lines = true;
    work->next = open_line;
    work->strict = strict != 0;
    memcpy(work->origin, "import", 6);
    work->origin_len = 6;
    request->phase = PL_IMPORT_RUNNING;
    return true;
}

static enum pl_shim_step answer_import(struct pl_request *request)
{
    struct pl_shim_import *work = request->work;
    struct pl_out *out = &request->out;
    if (work->stopped) {
        struct parley_diag diag;
        struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
        char digits[20];
        struct parley_span why = pl_span_text(work->last_error.text);
        pl_write_text(&w, "line ");
        pl_write_span(&w, pl_out_digits(work->number, digits));
        pl_write_text(&w, ": ");
        pl_write_bytes(&w, why.ptr, pl_min_size(why.len, w.cap - w.len));
        diag.text[w.len] = '\0';
        pl_shim_problem(request, 400, "bad-line", diag.text);
        return PL_SHIM_DONE;
    }
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "received", work->received);
    pl_out_field_u64(out, "created", work->created);
    pl_out_field_u64(out, "updated", work->updated);
    pl_out_field_u64(out, "skipped", work->skipped);
    pl_out_field_u64(out, "versions_new", work->versions_new);
    pl_import_write_errors(work, out);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_import(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_step step = PL_SHIM_DONE;
    if (request->phase == PL_IMPORT_NEW && !begin_import(node, request))
        return PL_SHIM_DONE;
    parley_err err = pl_import_run(node, request, &step);
    if (err != PARLEY_OK)
        return pl_shim_store_problem(node, request, err);
    return step == PL_SHIM_DONE ? answer_import(request) : step;
}
