/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of stamps of engine/core/stamp.h, which decides what a merge keeps, proved by Frama-C
 * WP (run.sh): it is the lexicographic order of (time, tag), hence total, antisymmetric and
 * transitive, and "keep the greater" is commutative, associative and idempotent. I6.
 */
#include "base/base.h"

/*@ requires \false; // an assertion that fails
    assigns \nothing;
    ensures \false; */
void parley_panic(const char *file, int line, const char *what);

#include "core/stamp.h"

/*@ predicate less(struct pl_stamp a, struct pl_stamp b) =
        a.time < b.time || (a.time == b.time && a.tag < b.tag);
    predicate same(struct pl_stamp a, struct pl_stamp b) = a.time == b.time && a.tag == b.tag; */

/*@ assigns \nothing;
    ensures older: \result < 0 <==> less(a, b);
    ensures equal: \result == 0 <==> same(a, b);
    ensures newer: \result > 0 <==> less(b, a);
    ensures -1 <= \result <= 1; */
static inline int pl_stamp_compare(struct pl_stamp a, struct pl_stamp b);

/*@ assigns \nothing;
    ensures \true; */
void order(struct pl_stamp a, struct pl_stamp b, struct pl_stamp c)
{
    int ab = pl_stamp_compare(a, b);
    int ba = pl_stamp_compare(b, a);
    int bc = pl_stamp_compare(b, c);
    int ac = pl_stamp_compare(a, c);
    //@ assert antisymmetric: ab == -ba;
    //@ assert one_or_the_same: ab == 0 ==> same(a, b);
    //@ assert transitive: ab < 0 && bc < 0 ==> ac < 0;
    //@ assert transitive_with_equals: ab <= 0 && bc <= 0 ==> ac <= 0;
    //@ assert congruent: ab == 0 ==> ac == bc;
}

/* M1 of engine/db/merge.c, for stamps that differ. */
/*@ assigns \nothing;
    ensures same(\result, a) || same(\result, b);
    ensures !less(\result, a) && !less(\result, b); */
static struct pl_stamp keep(struct pl_stamp a, struct pl_stamp b)
{
    return pl_stamp_compare(b, a) > 0 ? b : a;
}

/*@ assigns \nothing;
    ensures \true; */
void merge(struct pl_stamp a, struct pl_stamp b, struct pl_stamp c)
{
    struct pl_stamp ab = keep(a, b);
    struct pl_stamp ba = keep(b, a);
    struct pl_stamp ab_c = keep(ab, c);
    struct pl_stamp bc = keep(b, c);
    struct pl_stamp a_bc = keep(a, bc);
    struct pl_stamp aa = keep(a, a);
    //@ assert commutative: same(ab, ba);
    //@ assert associative: same(ab_c, a_bc);
    //@ assert idempotent: same(aa, a);
}
