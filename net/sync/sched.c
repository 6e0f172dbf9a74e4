/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sched.h"

parley_time pl_sched_wait(uint32_t failures, parley_time interval, struct pl_rng *rng)
{
    parley_time base = interval == 0 ? PL_SCHED_INTERVAL_NS : interval;
    parley_time wait = base / 4 + 1;
    for (uint32_t i = 0; i < failures && wait < PL_SCHED_BACKOFF_NS_MAX; i++)
        wait *= 2;
    wait = pl_min_u64(wait, PL_SCHED_BACKOFF_NS_MAX);
    return wait / 2 + pl_rng_below(rng, wait / 2 + 1);
}
