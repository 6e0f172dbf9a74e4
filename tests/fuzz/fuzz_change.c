/* SPDX-License-Identifier: Apache-2.0
 *
 * CHANGES and PART bodies from a hostile peer: every version that is read must lie inside the
 * frame, its id in the state, and what passes the checks must encode and read back the same.
 */
#include <stdlib.h>

#include "sync/change.h"
#include "sync/round.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_inside(struct parley_span part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.ptr >= data && part.ptr + part.len <= data + size);
}

static void write_and_compare(struct pl_writer *w, const struct parley_version *version)
{
    struct pl_change_state out = { 0 };
    struct pl_change_state in = { 0 };
    struct parley_version again;
    bool found = false;
    w->len = 0;
    if (!pl_change_write(w, &out, version))
        abort();
    struct pl_reader r = pl_reader_over(pl_writer_span(w));
    if (pl_change_read(&r, &in, &again, &found) != PARLEY_OK || !found)
        abort();
    if (again.time != version->time || !pl_span_equal(again.body, version->body) ||
        !pl_span_equal(again.id, version->id) || !pl_span_equal(again.origin, version->origin))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buf[1u << 17];
    struct pl_part part;
    if (size == 0 || size > PL_FRAME_BYTES_MAX)
        return 0;
    pl_ignore(pl_round_part_decode(pl_span_of(data + 1, size - 1), &part), "must not crash");
    struct pl_reader r = pl_reader_over(pl_span_of(data + 1, size - 1));
    struct pl_change_state state = { 0 };
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    for (bool found = true; found;) {
        struct parley_version version = { 0 };
        if (pl_change_read(&r, &state, &version, &found) != PARLEY_OK || !found)
            break;
        if (version.id.ptr != state.id || version.id.len > sizeof state.id ||
            !lies_inside(version.body, data, size) || !lies_inside(version.origin, data, size))
            abort();
        if (parley_version_check(&version, NULL) == PARLEY_OK)
            write_and_compare(&w, &version);
    }
    return 0;
}
