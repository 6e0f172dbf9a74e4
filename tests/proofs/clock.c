/* SPDX-License-Identifier: Apache-2.0
 *
 * Contracts of engine/core/clock.h, proved by Frama-C WP (run.sh). The source is included, not
 * copied. What is proved: a write is newer than everything before it, at most one microsecond
 * beyond it or at the wall clock; "too far ahead" is what the limit says, for every time and every
 * clock, also one before 1970; no overflow; the assertion never fails where the clock is not at its
 * end. I8, I9 of the list of invariants.
 */
#include "base/base.h"
#include <parley/env.h>

/*@ requires \false; // an assertion that fails
    assigns \nothing;
    ensures \false; */
void parley_panic(const char *file, int line, const char *what);

/*@ logic integer wall_of(integer wall) = wall > 0 ? wall : 0;
    logic integer greater(integer a, integer b) = a > b ? a : b; */

/*@ requires last < UINT64_MAX;
    assigns \nothing;
    ensures newer: \result > last;
    ensures follows: \result >= wall_of(wall);
    ensures bounded: \result == greater(last + 1, wall_of(wall)); */
static inline uint64_t pl_clock_next(uint64_t last, parley_wall wall);

/*@ assigns \nothing;
    ensures \result <==> time > wall_of(wall) + PARLEY_CLOCK_DRIFT_US_MAX; */
static inline bool pl_clock_is_ahead(uint64_t time, parley_wall wall);

#include "core/clock.h"

/* What apply.c and merge.c make of them: a clock that is not beyond the limit stays so when a
 * version is merged, and a write is beyond it by at most one microsecond, whatever came before. The
 * wall clock may go back between the steps: then what was within the limit before is the bound. */
/*@ requires clock < UINT64_MAX;
    assigns \nothing;
    ensures \result >= clock;
    ensures \result <= greater(clock, wall_of(wall) + PARLEY_CLOCK_DRIFT_US_MAX); */
uint64_t merge(uint64_t clock, uint64_t time, parley_wall wall)
{
    if (pl_clock_is_ahead(time, wall))
        return clock; /* held, M4 */
    return pl_max_u64(clock, time);
}

/*@ requires clock < UINT64_MAX - 1;
    assigns \nothing;
    ensures \result > clock + 1;
    ensures clock <= wall_of(then) + PARLEY_CLOCK_DRIFT_US_MAX && first <= then ==>
            \result <= wall_of(then) + PARLEY_CLOCK_DRIFT_US_MAX + 2; */
uint64_t write_twice(uint64_t clock, parley_wall first, parley_wall then)
{
    uint64_t stamp = pl_clock_next(clock, first);
    return pl_clock_next(stamp, then);
}
