/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /retention: how much of what was overwritten this node keeps, of one namespace.
 */
#include "core/mp_read.h"
#include "node/shim.h"

#define DAY_US       (UINT64_C(24) * 3600 * (uint64_t)PARLEY_US_PER_S)
#define AGE_DAYS_MAX 36500u

static enum pl_shim_step answer(struct pl_request *request, const struct parley_retention *rule)
{
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field(out, "namespace", pl_shim_name_space(request));
    pl_out_field_u64(out, "versions", rule->versions);
    pl_out_field_u64(out, "max_age_days", rule->age_us / DAY_US);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* What holds now. False: answered. */
static bool read_rule(struct pl_node *node, struct pl_request *request,
                      struct parley_retention *out)
{
    parley_err err = PARLEY_OK;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        err = parley_read_retention(read, pl_shim_name_space(request), out);
    if (err != PARLEY_OK)
        pl_shim_store_problem(node, request, err);
    return err == PARLEY_OK;
}

/* A number that may be missing: then *value stays. */
static bool take_number(struct pl_request *request, const struct pl_shim_field *field, uint64_t max,
                        const char *wanted, uint64_t *value)
{
    if (field->value.len == 0)
        return true;
    struct pl_reader r = pl_reader_over(field->value);
    uint64_t number = pl_mp_read_uint(&r);
    if (r.err == PARLEY_OK && number <= max) {
        *value = number;
        return true;
    }
    pl_shim_problem_field(request, 400, "bad-number", field->name, wanted);
    return false;
}

enum pl_shim_step pl_shim_get_retention(struct pl_node *node, struct pl_request *request)
{
    struct parley_retention rule;
    return read_rule(node, request, &rule) ? answer(request, &rule) : PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_retention(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "versions", .any = true },
                                      { .name = "max_age_days", .any = true } };
    struct parley_retention rule;
    if (request->phase == 1 && request->commit_err != PARLEY_OK)
        return pl_shim_store_problem(node, request, request->commit_err);
    if (request->phase == 1)
        return pl_shim_get_retention(node, request);
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !read_rule(node, request, &rule))
        return PL_SHIM_DONE;
    uint64_t versions = rule.versions;
    uint64_t days = rule.age_us / DAY_US;
    if (!take_number(request, &fields[0], PARLEY_HISTORY_PER_REGISTER_MAX,
                     "must be a whole number from 0 to 64", &versions) ||
        !take_number(request, &fields[1], AGE_DAYS_MAX,
                     "must be a whole number from 0, which is any age, to 36500", &days))
        return PL_SHIM_DONE;
    struct parley_span name_space = pl_shim_name_space(request);
    if (!pl_batch_has_room(node, 1, name_space.len))
        return pl_shim_again(node);
    pl_shim_mark(node, request);
    struct parley_write *write = pl_batch_add(node, PARLEY_WRITE_RETENTION, 0);
    write->u.retention.name_space = pl_batch_copy(node, name_space);
    write->u.retention.rule =
        (struct parley_retention){ .versions = (uint32_t)versions, .age_us = days * DAY_US };
    request->phase = 1;
    return pl_shim_wait(node, request);
}
