/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed bodies from a hostile peer: nothing is written behind the length that was allowed, and
 * what unpacks is read as CHANGES like any other. The same bytes, as a body of ours, must come back
 * from packing unchanged.
 */
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/zip.h"
#include "sync/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GUARD 0x5a

static void read_changes(struct parley_span body)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_change_state state = { 0 };
    pl_mp_read_uint(&r); /* the sequence */
    for (bool found = true; found;) {
        struct parley_version version = { 0 };
        if (pl_change_read(&r, &state, &version, &found) != PARLEY_OK)
            return;
        if (found && parley_version_check(&version, NULL) != PARLEY_OK)
            return;
    }
}

static void unpack(struct pl_zip *zip, struct parley_span packed, size_t cap)
{
    static uint8_t out[PL_FRAME_BODY_BYTES_MAX + 1];
    size_t len = 0;
    out[cap] = GUARD;
    parley_err err = pl_zip_unpack(zip, packed, out, cap, &len);
    if (out[cap] != GUARD || (err == PARLEY_OK && (len == 0 || len > cap)))
        abort();
    if (err == PARLEY_OK)
        read_changes(pl_span_of(out, len));
}

static void pack_and_compare(struct pl_zip *zip, struct parley_span plain)
{
    static uint8_t out[PL_FRAME_BODY_BYTES_MAX];
    struct parley_span packed;
    size_t len = 0;
    if (!pl_zip_pack(zip, plain, &packed))
        return;
    if (pl_zip_unpack(zip, packed, out, sizeof out, &len) != PARLEY_OK || len != plain.len ||
        memcmp(out, plain.ptr, len) != 0)
        abort();
}

static struct pl_zip *open_zip(void)
{
    struct parley_env env;
    struct pl_zip *zip = NULL;
    parley_env_posix(&env);
    if (pl_zip_create(&env, &zip) != PARLEY_OK)
        abort();
    return zip;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pl_zip *zip;
    if (zip == NULL)
        zip = open_zip();
    if (size < 2 || size > PL_FRAME_BODY_BYTES_MAX)
        return 0;
    struct parley_span bytes = pl_span_of(data + 1, size - 1);
    unpack(zip, bytes, PL_FRAME_BODY_BYTES_MAX);
    unpack(zip, bytes, (size_t)data[0] * 16);
    pack_and_compare(zip, bytes);
    return 0;
}
