/* SPDX-License-Identifier: Apache-2.0
 *
 * A seeded generator for jitter and simulation: the same seed gives the same draws on every
 * machine. Never for keys, nonces or anything a peer must not guess.
 */
#ifndef PL_RNG_H
#define PL_RNG_H

#include "base/base.h"

struct pl_rng {
    uint64_t state[4];
};

/* Every seed is a good one, 0 too. */
void pl_rng_init(struct pl_rng *rng, uint64_t seed);

uint64_t pl_rng_u64(struct pl_rng *rng);

/* A draw from 0 to n - 1, each as likely; n must not be 0. */
uint64_t pl_rng_below(struct pl_rng *rng, uint64_t n);

#endif
