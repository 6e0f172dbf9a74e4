/* SPDX-License-Identifier: Apache-2.0
 *
 * A block of a bundle from anywhere: it is refused, or all its spans lie inside of it, its places
 * are in order, and its versions read within bounds.
 */
#include "node/bundle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_inside(struct parley_span part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.ptr >= data && part.ptr + part.len <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_bundle b;
    uint8_t hash[32];
    struct parley_span signature;
    if (pl_bundle_read(pl_span_of(data, size), &b, hash, &signature) != PARLEY_OK)
        return 0;
    if (!lies_inside(b.maker, data, size) || b.maker.len > PARLEY_BACKEND_ID_BYTES_MAX ||
        !lies_inside(b.name_space, data, size) || b.name_space.len > PARLEY_NAMESPACE_BYTES_MAX ||
        !lies_inside(b.versions, data, size) || !lies_inside(signature, data, size) ||
        signature.len > PL_SIGNATURE_BYTES_MAX || b.since > b.upto || b.upto > b.head)
        abort();
    struct pl_reader r = pl_reader_over(b.versions);
    struct pl_change_state state = { 0 };
    struct parley_version version;
    for (bool found = true; found;) {
        if (pl_change_read(&r, &state, &version, &found) != PARLEY_OK || !found)
            break;
        if (!lies_inside(version.body, data, size))
            abort();
    }
    return 0;
}
