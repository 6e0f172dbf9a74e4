/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of the versions that two nodes compare, as the store has them now: cut into parts of about
 * equal size, summed, or listed. Every call reads the given snapshot and keeps nothing.
 */
#ifndef PL_RANGE_H
#define PL_RANGE_H

#include "sync/query.h"

/* The versions that are compared; both nodes must mean the same. */
struct pl_scope {
    struct parley_span name_space;
    uint64_t since; /* only versions of this time or later */
    struct parley_span
        prefix;   /* only conversations whose id begins so; not empty: there is a view */
    uint64_t cut; /* tombstones of this time and before are left out */
};

/* Parts of one cut; the protocol's limit, or less so that small sets are searched in depth. */
#define PL_RANGE_PARTS_MAX PL_LIMIT(32u, 4u)
_Static_assert(PL_RANGE_PARTS_MAX <= PL_QUERY_PARTS_MAX, "a cut must fit a SPLIT");

struct pl_range_part {
    struct pl_bound to; /* the next part begins there */
    struct parley_root root;
};

/* Cuts [from, to) into parts of about `limit` elements, at least one part and at most
 * PL_RANGE_PARTS_MAX; the last has what is left. The same store gives the same parts. */
PL_MUST_USE parley_err pl_range_cut(struct parley_read *read, const struct pl_scope *scope,
                                    const struct pl_bound *from, const struct pl_bound *to,
                                    uint64_t limit, struct pl_range_part parts[PL_RANGE_PARTS_MAX],
                                    uint32_t *count);

/* A walk over the sums of neighbouring ranges, in order. */
struct pl_range_sums {
    struct parley_runs runs;
    bool cutting;             /* there are tombstones to leave out: */
    struct parley_runs tombs; /* they, */
    struct parley_point end;  /* below this */
};
PL_MUST_USE parley_err pl_range_sums_begin(struct parley_read *read, const struct pl_scope *scope,
                                           const struct pl_bound *from, struct pl_range_sums *out);
/* The sum from where the last one ended to `to`. */
PL_MUST_USE parley_err pl_range_sums_next(struct pl_range_sums *sums, const struct pl_bound *to,
                                          struct parley_root *out);

/* A walk over single elements, in order. */
struct pl_range_walk {
    struct parley_elements elements;
    uint64_t cut;
    bool cutting; /* there are tombstones to leave out: */
    struct parley_elements tombs;
    struct parley_element tomb; /* the next of them */
    struct parley_point since;  /* of a walk down: where the scope begins */
};
PL_MUST_USE parley_err pl_range_begin(struct parley_read *read, const struct pl_scope *scope,
                                      const struct pl_bound *from, struct pl_range_walk *out);
/* The same walk the other way, from below `to` on: what is sent leaves newest first. */
PL_MUST_USE parley_err pl_range_begin_below(struct parley_read *read, const struct pl_scope *scope,
                                            const struct pl_bound *to, struct pl_range_walk *out);
/* *found false below `from`. */
PL_MUST_USE parley_err pl_range_prev(struct pl_range_walk *walk, const struct pl_bound *from,
                                     struct parley_element *out, bool *found);
/* *found false at `to`. */
PL_MUST_USE parley_err pl_range_next(struct pl_range_walk *walk, const struct pl_bound *to,
                                     struct parley_element *out, bool *found);
/* What all of the scope amounts to. */
PL_MUST_USE parley_err pl_range_root(struct parley_read *read, const struct pl_scope *scope,
                                     struct parley_root *out);

static inline uint64_t pl_point_time(const struct parley_point *point)
{
    return pl_get_be(point->bytes, 8);
}

static inline const uint8_t *pl_point_digest(const struct parley_point *point)
{
    return point->bytes + 8;
}

#endif
