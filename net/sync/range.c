/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of elements; see range.h.
 */
#include "sync/range.h"

#include "core/digest.h"

static void add(struct parley_root *sum, const struct parley_root *more)
{
    sum->count += more->count;
    pl_digest_add(sum->sum, more->sum);
}

static struct parley_set set_of(const struct pl_scope *scope)
{
    return (struct parley_set){ .name_space = scope->name_space, .prefix = scope->prefix };
}

/* Where a walk begins: at the bound, or where the scope does. */
static struct parley_point begin_of(const struct pl_scope *scope, const struct pl_bound *from)
{
    struct pl_bound since = { .time = scope->since };
    struct parley_point point;
    pl_bound_point(pl_bound_compare(from, &since) < 0 ? &since : from, &point);
    return point;
}

parley_err pl_range_begin(struct parley_read *read, const struct pl_scope *scope,
                          const struct pl_bound *from, struct pl_range_walk *out)
{
    struct parley_set set = set_of(scope);
    struct parley_point point = begin_of(scope, from);
    return parley_elements_begin(read, &set, &point, &out->elements);
}

parley_err pl_range_next(struct pl_range_walk *walk, const struct pl_bound *to,
                         struct parley_element *out, bool *found)
{
    struct parley_point end;
    pl_bound_point(to, &end);
    PL_TRY(parley_elements_next(&walk->elements, out, found));
    *found = *found && memcmp(out->point.bytes, end.bytes, sizeof end.bytes) < 0;
    return PARLEY_OK;
}

parley_err pl_range_sums_begin(struct parley_read *read, const struct pl_scope *scope,
                               const struct pl_bound *from, struct pl_range_sums *out)
{
    struct parley_set set = set_of(scope);
    struct parley_point point = begin_of(scope, from);
    return parley_runs_begin(read, &set, &point, &out->runs);
}

parley_err pl_range_sums_next(struct pl_range_sums *sums, const struct pl_bound *to,
                              struct parley_root *out)
{
    struct parley_point end;
    pl_bound_point(to, &end);
    *out = (struct parley_root){ 0 };
    for (;;) {
        struct parley_run run;
        bool found = false;
        PL_TRY(parley_runs_next(&sums->runs, &end, &run, &found));
        if (!found)
            return PARLEY_OK;
        add(out, &run.root);
    }
}

static bool is_within(const struct pl_scope *scope, const struct parley_version *version)
{
    return version->time >= scope->since && pl_span_equal(version->name_space, scope->name_space) &&
           pl_span_has_prefix(version->conversation, scope->prefix);
}

/* What is not in the store's sets yet is the end of the change log. */
static parley_err add_pending(struct parley_read *read, const struct pl_scope *scope,
                              struct parley_root *sum)
{
    struct parley_db_state state;
    struct parley_feed feed;
    PL_TRY(parley_read_state(read, &state));
    PL_TRY(parley_feed_begin(read, state.indexed, &feed));
    for (;;) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found)
            return PARLEY_OK;
        if (!is_within(scope, &change.version))
            continue;
        sum->count++;
        pl_digest_add(sum->sum, change.digest);
    }
}

parley_err pl_range_root(struct parley_read *read, const struct pl_scope *scope,
                         struct parley_root *out)
{
    struct parley_namespace_info info;
    struct pl_range_sums sums;
    struct pl_bound lowest = { 0 }, end = PL_BOUND_END;
    bool found = false;
    if (scope->since != 0 || scope->prefix.len != 0) {
        PL_TRY(pl_range_sums_begin(read, scope, &lowest, &sums));
        PL_TRY(pl_range_sums_next(&sums, &end, out));
        return add_pending(read, scope, out);
    }
    PL_TRY(parley_read_namespace_named(read, scope->name_space, &info, &found));
    *out = found ? info.root : (struct parley_root){ 0 };
    return PARLEY_OK;
}

parley_err pl_range_cut(struct parley_read *read, const struct pl_scope *scope,
                        const struct pl_bound *from, const struct pl_bound *to, uint64_t limit,
                        struct pl_range_part parts[PL_RANGE_PARTS_MAX], uint32_t *count)
{
    struct pl_range_sums sums;
    struct parley_point end;
    uint32_t n = 0;
    pl_bound_point(to, &end);
    parts[0] = (struct pl_range_part){ .to = *to };
    PL_TRY(pl_range_sums_begin(read, scope, from, &sums));
    for (;;) {
        struct parley_run run;
        bool found = false;
        PL_TRY(parley_runs_next(&sums.runs, &end, &run, &found));
        if (!found)
            break;
        bool full = parts[n].root.count != 0 && parts[n].root.count + run.root.count > limit;
        if (full && n + 1 < PL_RANGE_PARTS_MAX) {
            parts[n].to = pl_bound_at(&run.lower);
            parts[++n] = (struct pl_range_part){ .to = *to };
        }
        add(&parts[n].root, &run.root);
    }
    *count = n + 1;
    return PARLEY_OK;
}
