/* SPDX-License-Identifier: Apache-2.0
 *
 * A bucket is one number: when it is full. Each request moves that on by the time in which one
 * comes back; so long as it is less than the burst ahead of now there is one to take.
 */
#include "node/rate.h"

#include "core/hash.h"

/* Places where a bucket may be. */
#define WAYS     4u
#define BURST_NS (PL_RATE_BURST_S * PARLEY_NS_PER_S)

bool pl_rate_take(struct pl_rate *rate, uint32_t per_second, parley_time now, uint64_t *wait_s)
{
    if (per_second == 0)
        return true;
    parley_time after = (rate->full_at > now ? rate->full_at : now) + PARLEY_NS_PER_S / per_second;
    if (after > now + BURST_NS) {
        *wait_s = (after - now - BURST_NS + PARLEY_NS_PER_S - 1) / PARLEY_NS_PER_S;
        return false;
    }
    rate->full_at = after;
    return true;
}

struct pl_rate *pl_rate_of(struct pl_rates *rates, enum pl_rate_who who, const uint8_t id[8])
{
    size_t first = (size_t)(pl_xxh3_of(pl_span_of(id, 8)) % PL_RATES_MAX);
    size_t place = first;
    for (size_t i = 0; i < WAYS; i++) {
        size_t at = (first + i) % PL_RATES_MAX;
        if (rates->table[at].who == who && memcmp(rates->table[at].id, id, 8) == 0)
            return &rates->table[at].rate;
        if (rates->table[at].rate.full_at < rates->table[place].rate.full_at)
            place = at;
    }
    rates->table[place].who = (uint8_t)who;
    memcpy(rates->table[place].id, id, 8);
    rates->table[place].rate.full_at = 0;
    return &rates->table[place].rate;
}
