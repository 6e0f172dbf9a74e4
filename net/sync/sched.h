/* SPDX-License-Identifier: Apache-2.0
 *
 * When to dial a peer that is off line: exponential backoff with jitter, from the sync interval up
 * to a minute, so that a fleet does not come back in step.
 */
#ifndef PL_SCHED_H
#define PL_SCHED_H

#include "base/rng.h"
#include <parley/env.h>

#define PL_SCHED_INTERVAL_NS    (5 * PARLEY_NS_PER_S)
#define PL_SCHED_BACKOFF_NS_MAX (60 * PARLEY_NS_PER_S)

/* The wait before the next dial after `failures` dials in a row have failed (0: the session was
 * good): between half and the whole of min(interval / 4 * 2^failures, the maximum). */
parley_time pl_sched_wait(uint32_t failures, parley_time interval, struct pl_rng *rng);

#endif
