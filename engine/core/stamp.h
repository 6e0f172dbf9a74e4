/* SPDX-License-Identifier: Apache-2.0
 *
 * The total order of versions of one register: time, then origin tag, then digest. Commutative,
 * associative and idempotent merge is "keep the greatest". Nothing else decides.
 *
 * The tag is the first four bytes of SHA-256 of the origin's name: tags may collide, the digest,
 * which covers the whole name, then decides.
 */
#ifndef PL_STAMP_H
#define PL_STAMP_H

#include "base/span.h"

struct pl_stamp {
    uint64_t time;
    uint32_t tag;
};

uint32_t pl_stamp_tag(struct parley_span origin);

/* Negative, zero, positive as a is older than, equal to, newer than b. */
static inline int pl_stamp_compare(struct pl_stamp a, struct pl_stamp b)
{
    if (a.time != b.time)
        return a.time < b.time ? -1 : 1;
    return (a.tag > b.tag) - (a.tag < b.tag);
}

#endif
