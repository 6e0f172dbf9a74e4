/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as JSON. Oracle: what is accepted is a well-formed MessagePack value within the
 * documented room, and its JSON form gives the same bytes again.
 */
#include "core/json.h"
#include "core/mp_read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct parley_span mp)
{
    size_t text_cap = mp.len * 32 + 64;
    uint8_t *text = malloc(text_cap);
    uint8_t *back = malloc(PL_JSON_MP_BYTES_MAX(text_cap));
    PL_ASSERT(text != NULL && back != NULL);
    struct pl_reader r = pl_reader_over(mp);
    struct pl_writer w = pl_writer_over(text, text_cap);
    PL_ASSERT(pl_mp_to_json(&r, &w) == PARLEY_OK);
    PL_ASSERT(pl_reader_end(&r) == PARLEY_OK);
    struct pl_writer again = pl_writer_over(back, PL_JSON_MP_BYTES_MAX(text_cap));
    PL_ASSERT(pl_json_to_mp(pl_writer_span(&w), &again, NULL) == PARLEY_OK);
    PL_ASSERT(pl_span_equal(mp, pl_writer_span(&again)));
    free(back);
    free(text);
}

/* Less room than the result needs is always refused, without a trace. */
static void check_tight(struct parley_span json, size_t need)
{
    uint8_t *buf = malloc(need);
    PL_ASSERT(buf != NULL);
    struct pl_writer w = pl_writer_over(buf, need - 1);
    PL_ASSERT(pl_json_to_mp(json, &w, NULL) == PARLEY_EFULL);
    PL_ASSERT(w.len == 0);
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_span json = pl_span_of(data, size);
    size_t cap = PL_JSON_MP_BYTES_MAX(size);
    uint8_t *buf = malloc(cap);
    PL_ASSERT(buf != NULL);
    struct pl_writer w = pl_writer_over(buf, cap);
    struct pl_json_error error = { .what = NULL };
    parley_err err = pl_json_to_mp(json, &w, &error);
    PL_ASSERT(err != PARLEY_EFULL);
    if (err == PARLEY_OK) {
        PL_ASSERT(pl_mp_check(pl_writer_span(&w)) == PARLEY_OK);
        check_round_trip(pl_writer_span(&w));
        check_tight(json, w.len);
    } else {
        PL_ASSERT(error.what != NULL);
        PL_ASSERT(error.offset <= size);
        PL_ASSERT(w.len == 0);
    }
    free(buf);
    return 0;
}
