/* SPDX-License-Identifier: Apache-2.0
 *
 * The published algorithms xoshiro256** (Blackman and Vigna) for the draws and SplitMix64 to spread
 * the seed: 256 bits of state, period 2^256 - 1, one draw in about a nanosecond.
 */
#include "base/rng.h"

static uint64_t rotate_left(uint64_t x, unsigned count)
{
    return x << count | x >> (64 - count);
}

static uint64_t split_mix(uint64_t *x)
{
    *x += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *x;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void pl_rng_init(struct pl_rng *rng, uint64_t seed)
{
    /* Four consecutive SplitMix64 values are never all zero, the one state that must not be. */
    for (size_t i = 0; i < PL_ARRAY_LEN(rng->state); i++)
        rng->state[i] = split_mix(&seed);
}

uint64_t pl_rng_u64(struct pl_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t draw = rotate_left(s[1] * 5, 7) * 9;
    uint64_t mixed = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= mixed;
    s[3] = rotate_left(s[3], 45);
    return draw;
}

uint64_t pl_rng_below(struct pl_rng *rng, uint64_t n)
{
    PL_ASSERT(n != 0);
    /* The lowest 2^64 mod n draws would favour small results, so they are drawn again: less than
     * one time in two even for the worst n, practically never for a small one. */
    uint64_t unfair = (0 - n) % n;
    uint64_t draw;
    do
        draw = pl_rng_u64(rng);
    while (draw < unfair);
    return draw % n;
}
