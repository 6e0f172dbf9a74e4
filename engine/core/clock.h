/* SPDX-License-Identifier: Apache-2.0
 *
 * The hybrid logical clock as two functions: microseconds that follow the wall clock and never
 * repeat or go back on one node, across restarts too, because the last value is stored with each
 * write.
 */
#ifndef PL_CLOCK_H
#define PL_CLOCK_H

#include "base/base.h"
#include <parley/env.h>

/* The stamp of the next local write: max(last + 1, wall). */
static inline uint64_t pl_clock_next(uint64_t last, parley_wall wall)
{
    uint64_t now = wall > 0 ? (uint64_t)wall : 0;
    PL_ASSERT(last < UINT64_MAX);
    return now > last ? now : last + 1;
}

/* Whether a remote stamp is too far ahead to be merged now. Only forward drift counts. */
static inline bool pl_clock_is_ahead(uint64_t time, parley_wall wall)
{
    uint64_t now = wall > 0 ? (uint64_t)wall : 0;
    return time > now && time - now > (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX;
}

#endif
