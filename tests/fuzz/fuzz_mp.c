/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as MessagePack. Oracle: what pl_mp_check accepts, pl_mp_read_any consumes whole, and
 * its JSON form either fails with an error that says why or is JSON that we accept ourselves.
 */
#include "core/json.h"
#include "core/mp_read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(struct parley_span bytes)
{
    /* A control character takes six characters. */
    size_t cap = bytes.len * 32 + 64;
    uint8_t *text = malloc(cap);
    uint8_t *back = malloc(PL_JSON_MP_BYTES_MAX(cap));
    PL_ASSERT(text != NULL && back != NULL);
    struct pl_reader r = pl_reader_over(bytes);
    struct pl_writer w = pl_writer_over(text, cap);
    parley_err err = pl_mp_to_json(&r, &w);
    PL_ASSERT(err == PARLEY_OK || err == PARLEY_ETYPE);
    if (err == PARLEY_OK) {
        struct pl_writer again = pl_writer_over(back, PL_JSON_MP_BYTES_MAX(cap));
        PL_ASSERT(pl_reader_end(&r) == PARLEY_OK);
        PL_ASSERT(pl_json_to_mp(pl_writer_span(&w), &again, NULL) == PARLEY_OK);
        PL_ASSERT(pl_mp_check(pl_writer_span(&again)) == PARLEY_OK);
    }
    free(back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_span bytes = pl_span_of(data, size);
    struct pl_reader r = pl_reader_over(bytes);
    struct parley_span value = pl_mp_read_any(&r);
    parley_err err = pl_mp_check(bytes);
    if (err == PARLEY_OK) {
        PL_ASSERT(r.err == PARLEY_OK);
        PL_ASSERT(value.ptr == data);
        PL_ASSERT(value.len == size);
        check_json(bytes);
    } else {
        uint8_t text[512];
        struct pl_writer w = pl_writer_over(text, sizeof text);
        struct pl_reader bad = pl_reader_over(bytes);
        parley_err result = pl_mp_to_json(&bad, &w);
        PL_ASSERT(result == PARLEY_OK || w.len == 0);
    }
    return 0;
}
