/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the leaf certificate of a server. Oracle: what is accepted has an uncompressed point
 * that is found in the bytes, and one byte less is refused.
 */
#include "trust/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const parley_wall now = INT64_C(1767225600) * PARLEY_US_PER_S;
    uint8_t point[PL_EC_PUBLIC_BYTES] = { 0 };
    if (pl_cert_leaf_check(pl_span_of(data, size), NULL, now, point) != PARLEY_OK)
        return 0;
    PL_ASSERT(point[0] == 0x04);
    bool found = false;
    for (size_t i = 0; i + sizeof point <= size; i++)
        found = found || memcmp(data + i, point, sizeof point) == 0;
    PL_ASSERT(found);
    PL_ASSERT(pl_cert_leaf_check(pl_span_of(data, size - 1), NULL, now, point) ==
              PARLEY_EMALFORMED);
    return 0;
}
