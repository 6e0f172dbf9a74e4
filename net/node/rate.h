/* SPDX-License-Identifier: Apache-2.0
 *
 * How many requests one asker may make: a bucket that fills at a rate and holds a burst. Each peer
 * and each user's token has one; those who have not shown a good token share that of the address
 * they come from. The table has a fixed size: where it is full the fullest bucket gives way, which
 * forgives its owner the least.
 */
#ifndef PL_RATE_H
#define PL_RATE_H

#include "base/span.h"
#include <parley/env.h>

/* Askers with a bucket of their own; and how many requests may come at once, in seconds of the
 * rate. */
#define PL_RATES_MAX    PL_LIMIT(512u, 4u)
#define PL_RATE_BURST_S 5u

struct pl_rate {
    parley_time full_at; /* when the bucket is full again; 0: it is */
};

enum pl_rate_who { PL_RATE_LOCAL = 1, PL_RATE_ADDRESS, PL_RATE_PEER, PL_RATE_TOKEN };

struct pl_rates {
    struct {
        uint8_t who; /* enum pl_rate_who; 0: nobody */
        uint8_t id[8];
        struct pl_rate rate;
    } table[PL_RATES_MAX];
};

/* Takes one from the bucket, if `per_second` (0: no limit) allows it. False: *wait_s until it does,
 * at least 1. */
bool pl_rate_take(struct pl_rate *rate, uint32_t per_second, parley_time now, uint64_t *wait_s);
/* The bucket of somebody, made if there is none. `id` tells those of one kind apart. */
struct pl_rate *pl_rate_of(struct pl_rates *rates, enum pl_rate_who who, const uint8_t id[8]);

#endif
