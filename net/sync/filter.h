/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters: what of a namespace a grant is about, and what both sides of a session share of it.
 * Pure; any thread.
 *
 * The operator of each side may set one on its grant. In a session they meet: a conversation is
 * shared when both prefixes begin its id, a version when it is not older than either age allows.
 * So in a session what is shared only becomes less; a wider filter needs a new one.
 */
#ifndef PL_FILTER_H
#define PL_FILTER_H

#include <parley/env.h>
#include <parley/limits.h>

#include "base/span.h"

#define PL_FILTER_AGE_DAYS_MAX 36500u

/* Of a grant. */
struct pl_filter {
    char prefix[PARLEY_ID_BYTES_MAX + 1]; /* of conversation ids; empty: all */
    uint32_t max_age;                     /* days since a version was written; 0: all */
};

/* Sets both, if they are good. EINVAL: the prefix is too long, not UTF-8, or has what no id has;
 * the age is above PL_FILTER_AGE_DAYS_MAX. */
PL_MUST_USE parley_err pl_filter_set(struct pl_filter *filter, struct parley_span prefix,
                                     uint64_t max_age);
bool pl_filter_equal(const struct pl_filter *a, const struct pl_filter *b);
/* The first moment that is not too old: the beginning of a UTC day, so that it moves once a day and
 * the roots of both sides stand still meanwhile. 0: there is none. */
uint64_t pl_filter_since(const struct pl_filter *filter, parley_wall now);

enum pl_share_state {
    PL_SHARE_OPEN = 0,
    PL_SHARE_EXCLUDED, /* no id begins with both prefixes */
    PL_SHARE_REFUSED   /* we make no view for it */
};

/* What is known of the peer's filter, for the namespace of one grant, since the session began. */
struct pl_share {
    enum pl_share_state state;
    uint64_t cut;   /* the greater one of the floors of both sides: see floor.h */
    uint64_t since; /* the greatest that it has said */
    uint8_t prefix_len;
    uint8_t prefix[PARLEY_ID_BYTES_MAX]; /* the longest that it has said */
    /* Under what our last STATE was. */
    uint64_t stated_since;
    uint8_t stated_prefix_len;
};

/* Takes what the peer has said. `ours`: the prefix of our grant. */
void pl_share_learn(struct pl_share *share, struct parley_span ours, uint64_t since,
                    struct parley_span prefix);

#endif
