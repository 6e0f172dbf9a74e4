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

parley_err pl_range_begin(struct parley_read *read, struct pl_span name_space,
                          const struct pl_bound *from, struct parley_elements *out)
{
    struct parley_point point;
    pl_bound_point(from, &point);
    return parley_elements_begin(read, name_space, &point, out);
}

parley_err pl_range_next(struct parley_elements *elements, const struct pl_bound *to,
                         struct parley_element *out, bool *found)
{
    struct parley_point end;
    pl_bound_point(to, &end);
    PL_TRY(parley_elements_next(elements, out, found));
    *found = *found && memcmp(out->point.bytes, end.bytes, sizeof end.bytes) < 0;
    return PARLEY_OK;
}

parley_err pl_range_sums_begin(struct parley_read *read, struct pl_span name_space,
                               const struct pl_bound *from, struct pl_range_sums *out)
{
    return pl_range_begin(read, name_space, from, &out->elements);
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
        PL_TRY(parley_elements_run(&sums->elements, &end, &run, &found));
        if (!found)
            return PARLEY_OK;
        add(out, &run.root);
    }
}

/* A bound between two neighbouring elements: the times alone if they differ, so that it is short on
 * the wire. Elements that share time and the first 8 bytes of their digests stay together. */
static bool bound_between(const struct parley_point *before, const struct parley_point *after,
                          struct pl_bound *out)
{
    *out = (struct pl_bound){ .time = pl_point_time(after) };
    if (pl_point_time(before) == out->time)
        out->prefix = pl_get_be(pl_point_digest(after), 8);
    return memcmp(before->bytes, after->bytes, 16) != 0;
}

parley_err pl_range_cut(struct parley_read *read, struct pl_span name_space,
                        const struct pl_bound *from, const struct pl_bound *to, uint32_t max,
                        struct pl_range_part parts[PL_QUERY_PARTS_MAX], uint32_t *count)
{
    PL_ASSERT(max >= 1 && max <= PL_QUERY_PARTS_MAX);
    struct pl_range_sums sums;
    struct parley_root total;
    struct parley_point end, last = { 0 };
    PL_TRY(pl_range_sums_begin(read, name_space, from, &sums));
    PL_TRY(pl_range_sums_next(&sums, to, &total));
    if (total.count <= PL_QUERY_KEYS_MAX * PL_RANGE_LEAVES)
        max = PL_QUERY_PARTS_MAX; /* so that each is a leaf */
    uint64_t limit = pl_max_u64((total.count + max - 1) / max, PL_QUERY_KEYS_MAX);
    uint32_t n = 0;
    pl_bound_point(to, &end);
    parts[0] = (struct pl_range_part){ .to = *to };
    PL_TRY(pl_range_begin(read, name_space, from, &sums.elements));
    for (;;) {
        struct parley_run run;
        bool found = false;
        PL_TRY(parley_elements_run(&sums.elements, &end, &run, &found));
        if (!found)
            break;
        struct pl_bound bound;
        bool full = parts[n].root.count + run.root.count > limit;
        if (parts[n].root.count != 0 && full && n + 1 < max &&
            bound_between(&last, &run.first, &bound)) {
            parts[n].to = bound;
            parts[++n] = (struct pl_range_part){ .to = *to };
        }
        add(&parts[n].root, &run.root);
        last = run.last;
    }
    *count = n + 1;
    return PARLEY_OK;
}
