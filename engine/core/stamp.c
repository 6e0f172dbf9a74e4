/* SPDX-License-Identifier: Apache-2.0
 *
 * The origin tag: a fixed-width stand-in for a name, so that stamps compare without look-ups.
 */
#include "core/stamp.h"

#include "base/writer.h"
#include "core/hash.h"

uint32_t pl_stamp_tag(struct parley_span origin)
{
    uint8_t full[PL_SHA256_BYTES];
    pl_sha256_of(origin, full);
    return (uint32_t)pl_get_be(full, 4);
}
