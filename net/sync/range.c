/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of elements; see range.h.
 */
#include "sync/range.h"

#include "core/digest.h"

static const struct parley_point lowest;

static void add(struct parley_root *sum, const struct parley_root *more)
{
    sum->count += more->count;
    pl_digest_add(sum->sum, more->sum);
}

static void take(struct parley_root *sum, const struct parley_root *less)
{
    sum->count -= less->count;
    pl_digest_sub(sum->sum, less->sum);
}

static struct parley_set set_of(const struct pl_scope *scope, bool tombstones)
{
    return (struct parley_set){ .name_space = scope->name_space,
                                .prefix = scope->prefix,
                                .tombstones = tombstones };
}

/* Where a walk begins: at the bound, or where the scope does. */
static struct parley_point begin_of(const struct pl_scope *scope, const struct pl_bound *from)
{
    struct pl_bound since = { .time = scope->since };
    struct parley_point point;
    pl_bound_point(pl_bound_compare(from, &since) < 0 ? &since : from, &point);
    return point;
}

static const struct parley_point *lower_of(const struct parley_point *a,
                                           const struct parley_point *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) < 0 ? a : b;
}

/* The lowest point above all tombstones that are left out. */
static struct parley_point end_of_cut(const struct pl_scope *scope)
{
    struct pl_bound end =
        scope->cut == UINT64_MAX ? PL_BOUND_END : (struct pl_bound){ .time = scope->cut + 1 };
    struct parley_point point;
    pl_bound_point(&end, &point);
    return point;
}

/* ---- Elements ---- */

/* `cutting` false: none is left. */
static parley_err next_tomb(struct pl_range_walk *walk)
{
    PL_TRY(parley_elements_next(&walk->tombs, &walk->tomb, &walk->cutting));
    walk->cutting = walk->cutting && pl_point_time(&walk->tomb.point) <= walk->cut;
    return PARLEY_OK;
}

parley_err pl_range_begin(struct parley_read *read, const struct pl_scope *scope,
                          const struct pl_bound *from, struct pl_range_walk *out)
{
    struct parley_set set = set_of(scope, false);
    struct parley_set tombs = set_of(scope, true);
    struct parley_point point = begin_of(scope, from);
    out->cut = scope->cut;
    out->cutting = false;
    if (scope->cut >= pl_point_time(&point) && scope->cut != 0) {
        PL_TRY(parley_elements_begin(read, &tombs, &point, &out->tombs));
        PL_TRY(next_tomb(out));
    }
    return parley_elements_begin(read, &set, &point, &out->elements);
}

parley_err pl_range_next(struct pl_range_walk *walk, const struct pl_bound *to,
                         struct parley_element *out, bool *found)
{
    struct parley_point end;
    pl_bound_point(to, &end);
    PL_TRY(parley_elements_next(&walk->elements, out, found));
    /* Each tombstone is in both sets, so the next of them cannot be passed over. */
    while (*found && walk->cutting && memcmp(&out->point, &walk->tomb.point, sizeof end) == 0) {
        PL_TRY(next_tomb(walk));
        PL_TRY(parley_elements_next(&walk->elements, out, found));
    }
    *found = *found && memcmp(out->point.bytes, end.bytes, sizeof end.bytes) < 0;
    return PARLEY_OK;
}

static parley_err prev_tomb(struct pl_range_walk *walk)
{
    return parley_elements_prev(&walk->tombs, &walk->tomb, &walk->cutting);
}

parley_err pl_range_begin_below(struct parley_read *read, const struct pl_scope *scope,
                                const struct pl_bound *to, struct pl_range_walk *out)
{
    struct parley_set set = set_of(scope, false);
    struct parley_set tombs = set_of(scope, true);
    struct parley_point point, end = end_of_cut(scope);
    pl_bound_point(to, &point);
    out->since = begin_of(scope, &(struct pl_bound){ 0 });
    out->cutting = false;
    if (scope->cut != 0) {
        PL_TRY(parley_elements_begin_below(read, &tombs, lower_of(&point, &end), &out->tombs));
        PL_TRY(prev_tomb(out));
    }
    return parley_elements_begin_below(read, &set, &point, &out->elements);
}

parley_err pl_range_prev(struct pl_range_walk *walk, const struct pl_bound *from,
                         struct parley_element *out, bool *found)
{
    struct parley_point begin;
    pl_bound_point(from, &begin);
    PL_TRY(parley_elements_prev(&walk->elements, out, found));
    while (*found && walk->cutting && memcmp(&out->point, &walk->tomb.point, sizeof begin) == 0) {
        PL_TRY(prev_tomb(walk));
        PL_TRY(parley_elements_prev(&walk->elements, out, found));
    }
    *found = *found && memcmp(out->point.bytes, begin.bytes, sizeof begin.bytes) >= 0 &&
             memcmp(out->point.bytes, walk->since.bytes, sizeof begin.bytes) >= 0;
    return PARLEY_OK;
}

/* ---- Sums ---- */

/* Whether there is anything to leave out at all: mostly there is not. */
static parley_err find_cut(struct parley_read *read, const struct pl_scope *scope, bool *any)
{
    struct parley_set set = set_of(scope, true);
    struct parley_elements oldest;
    struct parley_element first;
    *any = false;
    if (scope->cut == 0)
        return PARLEY_OK;
    PL_TRY(parley_elements_begin(read, &set, &lowest, &oldest));
    PL_TRY(parley_elements_next(&oldest, &first, any));
    *any = *any && pl_point_time(&first.point) <= scope->cut;
    return PARLEY_OK;
}

static parley_err begin_sums(struct parley_read *read, const struct pl_scope *scope,
                             const struct parley_point *from, struct pl_range_sums *out)
{
    struct parley_set set = set_of(scope, false);
    struct parley_set tombs = set_of(scope, true);
    out->end = end_of_cut(scope);
    PL_TRY(find_cut(read, scope, &out->cutting));
    if (out->cutting)
        PL_TRY(parley_runs_begin(read, &tombs, from, &out->tombs));
    return parley_runs_begin(read, &set, from, &out->runs);
}

parley_err pl_range_sums_begin(struct parley_read *read, const struct pl_scope *scope,
                               const struct pl_bound *from, struct pl_range_sums *out)
{
    struct parley_point point = begin_of(scope, from);
    return begin_sums(read, scope, &point, out);
}

/* Takes the tombstones that are left out, up to `to`, from a sum. */
static parley_err leave_out(struct pl_range_sums *sums, const struct parley_point *to,
                            struct parley_root *sum)
{
    const struct parley_point *end = lower_of(to, &sums->end);
    for (bool found = sums->cutting; found;) {
        struct parley_run run;
        PL_TRY(parley_runs_next(&sums->tombs, end, &run, &found));
        if (found)
            take(sum, &run.root);
    }
    return PARLEY_OK;
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
            return leave_out(sums, &end, out);
        add(out, &run.root);
    }
}

static bool is_within(const struct pl_scope *scope, const struct parley_version *version)
{
    return version->time >= scope->since && pl_span_equal(version->name_space, scope->name_space) &&
           pl_span_has_prefix(version->conversation, scope->prefix);
}

static bool is_cut(const struct pl_scope *scope, const struct parley_version *version)
{
    return (version->flags & PARLEY_FLAG_TOMBSTONE) != 0 && version->time <= scope->cut;
}

/* What is not in the store's sets yet is the end of the change log. `counted`: it is in the sum, so
 * that what is left out is taken from it; else what is not left out is added. */
static parley_err add_pending(struct parley_read *read, const struct pl_scope *scope, bool counted,
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
        if (!is_within(scope, &change.version) || is_cut(scope, &change.version) != counted)
            continue;
        struct parley_root one = { .count = 1 };
        memcpy(one.sum, change.digest, sizeof one.sum);
        if (counted)
            take(sum, &one);
        else
            add(sum, &one);
    }
}

parley_err pl_range_root(struct parley_read *read, const struct pl_scope *scope,
                         struct parley_root *out)
{
    struct parley_namespace_info info;
    struct pl_range_sums sums;
    struct pl_bound first = { 0 }, end = PL_BOUND_END;
    struct parley_root root = { 0 };
    bool found = false;
    if (scope->since != 0 || scope->prefix.len != 0) {
        PL_TRY(pl_range_sums_begin(read, scope, &first, &sums));
        PL_TRY(pl_range_sums_next(&sums, &end, out));
        return add_pending(read, scope, false, out);
    }
    PL_TRY(parley_read_namespace_named(read, scope->name_space, &info, &found));
    if (found)
        root = info.root;
    /* Below our own floor there are none. */
    if (found && scope->cut > info.floor) {
        PL_TRY(begin_sums(read, scope, &lowest, &sums));
        PL_TRY(leave_out(&sums, &sums.end, &root));
        PL_TRY(add_pending(read, scope, true, &root));
    }
    *out = root;
    return PARLEY_OK;
}

/* ---- Parts ---- */

struct cutter {
    struct pl_range_part *parts;
    uint32_t last; /* the part that is being filled */
    uint64_t limit;
    struct pl_bound to;
};

static void put(struct cutter *c, const struct parley_run *run)
{
    struct pl_range_part *part = &c->parts[c->last];
    bool full = part->root.count != 0 && part->root.count + run->root.count > c->limit;
    if (full && c->last + 1 < PL_RANGE_PARTS_MAX) {
        part->to = pl_bound_at(&run->lower);
        part = &c->parts[++c->last];
        *part = (struct pl_range_part){ .to = c->to };
    }
    add(&part->root, &run->root);
}

parley_err pl_range_cut(struct parley_read *read, const struct pl_scope *scope,
                        const struct pl_bound *from, const struct pl_bound *to, uint64_t limit,
                        struct pl_range_part parts[PL_RANGE_PARTS_MAX], uint32_t *count)
{
    struct cutter c = { .parts = parts, .limit = limit, .to = *to };
    struct pl_range_sums sums;
    struct parley_point end;
    struct parley_run run = { .root = { 0 } }; /* the one before, still with its tombstones */
    pl_bound_point(to, &end);
    parts[0] = (struct pl_range_part){ .to = *to };
    PL_TRY(pl_range_sums_begin(read, scope, from, &sums));
    for (bool found = true; found;) {
        struct parley_run next;
        PL_TRY(parley_runs_next(&sums.runs, &end, &next, &found));
        /* A run reaches up to the next one. */
        PL_TRY(leave_out(&sums, found ? &next.lower : &end, &run.root));
        if (run.root.count != 0)
            put(&c, &run);
        if (found)
            run = next;
    }
    *count = c.last + 1;
    return PARLEY_OK;
}
