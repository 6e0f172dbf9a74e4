/* SPDX-License-Identifier: Apache-2.0
 *
 * Small inputs of a request: JSON objects with known fields, and query parameters.
 */
#include "core/json.h"
#include "core/mp_read.h"
#include "core/utf8.h"
#include "node/payload.h"
#include "node/shim.h"

PL_MUST_USE parley_err pl_shim_to_mp(struct parley_span json, struct pl_out *out,
                                     struct pl_json_error *where)
{
    /* First the room that all but strange texts need, then what always suffices. */
    size_t wants[2] = { json.len + 16, PL_JSON_MP_BYTES_MAX(json.len) };
    parley_err err = PARLEY_EFULL;
    for (size_t i = 0; i < 2 && err == PARLEY_EFULL; i++) {
        PL_TRY(pl_out_room(out, wants[i]));
        struct pl_writer w = pl_writer_over(out->ptr + out->len, out->cap - out->len);
        err = pl_json_to_mp(json, &w, where);
        if (err == PARLEY_OK)
            out->len += w.len;
    }
    return err;
}

static void refuse_no_memory(struct pl_request *request)
{
    pl_shim_problem(request, 503, "busy", "no memory for this body now; try again shortly");
    pl_shim_header(request, "Retry-After", pl_span_text("1"));
}

static void refuse_json(struct pl_request *request, parley_err err,
                        const struct pl_json_error *where)
{
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    char digits[20];
    if (err == PARLEY_ENOMEM || err == PARLEY_EFULL) {
        refuse_no_memory(request);
        return;
    }
    pl_write_text(&w, "body: at byte ");
    pl_write_span(&w, pl_out_digits(where->offset, digits));
    pl_write_text(&w, ": ");
    pl_write_text(&w, where->what != NULL ? where->what : parley_err_text(err));
    diag.text[w.len] = '\0';
    pl_shim_problem(request, 400, "bad-json", diag.text);
}

bool pl_shim_body_is_msgpack(const struct pl_request *request)
{
    return pl_span_has_prefix(request->head.content_type, pl_span_text("application/msgpack"));
}

bool pl_shim_body(struct pl_node *node, struct pl_request *request)
{
    struct pl_json_error where = { 0 };
    (void)node;
    pl_out_reset(&request->mp);
    if (pl_shim_body_is_msgpack(request)) {
        pl_out_bytes(&request->mp, request->body);
        if (request->mp.err != PARLEY_OK)
            refuse_no_memory(request);
        else if (pl_mp_check(request->body) != PARLEY_OK)
            pl_shim_problem(request, 400, "bad-msgpack",
                            "body: must be one well-formed msgpack value");
        return request->problem == NULL;
    }
    parley_err err = pl_shim_to_mp(request->body, &request->mp, &where);
    if (err != PARLEY_OK)
        refuse_json(request, err, &where);
    return err == PARLEY_OK;
}

static bool take_field(struct pl_request *request, struct pl_shim_field *field)
{
    bool nil = field->value.len == 1 && field->value.ptr[0] == 0xc0;
    if (field->value.len == 0 || nil) {
        field->value = pl_span_of(NULL, 0);
        if (field->required)
            pl_shim_problem_field(request, 400, "missing-field", field->name, "is missing");
        return !field->required;
    }
    if (field->any)
        return true;
    struct pl_reader r = pl_reader_over(field->value);
    if (pl_mp_peek(&r) != PL_MP_STR) {
        pl_shim_problem_field(request, 400, "wrong-type", field->name, "must be a string");
        return false;
    }
    field->text = pl_mp_read_str(&r, field->value.len);
    if (field->text.len <= field->max)
        return true;
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    char digits[20];
    pl_write_text(&w, "is longer than ");
    pl_write_span(&w, pl_out_digits(field->max, digits));
    pl_write_text(&w, " bytes");
    diag.text[w.len] = '\0';
    pl_shim_problem_limit(request, 400, "too-long", field->name, field->max, diag.text);
    return false;
}

static void refuse_duplicate(struct pl_request *request, const char *name)
{
    pl_shim_problem_field(request, 400, "duplicate-field", name, "is given twice");
}

bool pl_shim_json_field(struct pl_request *request, struct parley_span json, bool seen,
                        struct pl_shim_field *field)
{
    struct pl_json_error where = { 0 };
    pl_out_reset(&request->mp);
    parley_err err = pl_shim_to_mp(json, &request->mp, &where);
    if (err != PARLEY_OK)
        refuse_json(request, err, &where);
    else if (seen)
        refuse_duplicate(request, field->name);
    field->value = pl_out_span(&request->mp);
    return err == PARLEY_OK && !seen && take_field(request, field);
}

static struct pl_shim_field *find_field(struct pl_shim_field *fields, size_t count,
                                        struct parley_span name)
{
    for (size_t i = 0; i < count; i++)
        if (pl_span_is(name, fields[i].name))
            return &fields[i];
    return NULL;
}

bool pl_shim_body_fields(struct pl_node *node, struct pl_request *request,
                         struct pl_shim_field *fields, size_t count)
{
    if (request->body.len == 0)
        request->body = pl_span_text("{}");
    if (!pl_shim_body(node, request))
        return false;
    struct pl_reader r = pl_reader_over(pl_out_span(&request->mp));
    if (pl_mp_peek(&r) != PL_MP_MAP) {
        pl_shim_problem_field(request, 400, "wrong-type", "body", "must be an object");
        return false;
    }
    uint32_t pairs = pl_mp_read_map(&r, UINT32_MAX);
    for (uint32_t i = 0; i < pairs && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, request->mp.len);
        struct parley_span value = pl_mp_read_any(&r);
        struct pl_shim_field *field = find_field(fields, count, name);
        if (field == NULL || r.err != PARLEY_OK)
            continue;
        if (field->value.len != 0) {
            refuse_duplicate(request, field->name);
            return false;
        }
        field->value = value;
    }
    if (r.err != PARLEY_OK) {
        pl_shim_problem_field(request, 400, "wrong-type", "body", "must have strings as names");
        return false;
    }
    for (size_t f = 0; f < count; f++)
        if (!take_field(request, &fields[f]))
            return false;
    return true;
}

bool pl_shim_query(struct pl_request *request, const char *name, char *out, size_t cap, size_t *len,
                   bool *found)
{
    parley_err err = pl_http_query(request->head.query, name, out, cap, len, found);
    if (err == PARLEY_OK && *found && !pl_utf8_is_valid(pl_span_of(out, *len)))
        err = PARLEY_EUTF8;
    if (err == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "bad-query", name,
                          err == PARLEY_ETOOBIG ? "is too long"
                          : err == PARLEY_EUTF8 ? "is not valid UTF-8"
                                                : "is given twice or badly escaped");
    return false;
}

bool pl_shim_query_number(struct pl_request *request, const char *name, uint64_t max,
                          uint64_t *value)
{
    char text[20];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, name, text, sizeof text, &len, &found))
        return false;
    if (!found)
        return true;
    uint64_t number = 0;
    bool good = len != 0 && len <= 12;
    for (size_t i = 0; i < len && good; i++) {
        good = text[i] >= '0' && text[i] <= '9';
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (!good || number == 0) {
        pl_shim_problem_field(request, 400, "bad-query", name, "must be a number from 1");
        return false;
    }
    *value = pl_min_u64(number, max);
    return true;
}

bool pl_shim_query_time(struct pl_request *request, const char *name, uint64_t *value)
{
    char text[64];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, name, text, sizeof text, &len, &found))
        return false;
    if (!found)
        return true;
    uint64_t us = 0;
    bool digits = len != 0 && len <= 18; /* no time has more; nothing overflows */
    for (size_t i = 0; i < len && digits; i++) {
        digits = text[i] >= '0' && text[i] <= '9';
        us = us * 10 + (uint64_t)(text[i] - '0');
    }
    parley_err err = digits ? PARLEY_OK : pl_iso8601_parse(pl_span_of(text, len), &us);
    if (err == PARLEY_OK && us <= PL_ISO8601_US_MAX) {
        *value = us;
        return true;
    }
    pl_shim_problem_field(request, 400, "bad-query", name,
                          "must be an ISO 8601 time, or microseconds since 1970");
    return false;
}

bool pl_shim_grant(struct pl_request *request, const struct pl_shim_field *name_space,
                   const struct pl_shim_field *right, bool *may_write)
{
    for (size_t i = 0; i < name_space->text.len; i++) {
        if (name_space->text.ptr[i] < 0x20 || name_space->text.ptr[i] == 0x7f) {
            pl_shim_problem_field(request, 400, "bad-namespace", "namespace",
                                  "has a control character");
            return false;
        }
    }
    if (name_space->value.len != 0 && name_space->text.len == 0) {
        pl_shim_problem_field(request, 400, "bad-namespace", "namespace", "must not be empty");
        return false;
    }
    *may_write = right->value.len == 0 || pl_span_is(right->text, "write");
    if (*may_write || pl_span_is(right->text, "read"))
        return true;
    pl_shim_problem_field(request, 400, "bad-right", "right", "must be \"read\" or \"write\"");
    return false;
}
