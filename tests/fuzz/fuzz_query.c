/* SPDX-License-Identifier: Apache-2.0
 *
 * QUERY bodies from a hostile peer: what is read lies inside the frame, keeps to the limits, and
 * encodes and reads back the same. The same bytes are tried as an ANSWER, a TALLY, a DIFF and a
 * STATE.
 */
#include <stdlib.h>

#include "sync/descent.h"
#include "sync/diff.h"
#include "sync/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_inside(struct parley_span part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.ptr >= data && part.ptr + part.len <= data + size);
}

static void check(const struct pl_query_item *item, const uint8_t *data, size_t size)
{
    if (item->kind == PL_QUERY_SPACE &&
        (!lies_inside(item->name_space, data, size) || !lies_inside(item->prefix, data, size)))
        abort();
    if (item->kind == PL_QUERY_BEGIN && !lies_inside(item->salt, data, size))
        abort();
    if (item->kind == PL_QUERY_SPLIT && (item->count == 0 || item->count > PL_QUERY_PARTS_MAX))
        abort();
    if (item->kind == PL_QUERY_LEAF && item->count > PL_QUERY_KEYS_MAX)
        abort();
    for (uint32_t i = 1; item->kind == PL_QUERY_LEAF && i < item->count; i++) {
        if (item->times[i] < item->times[i - 1] || item->times[i] > item->bounds[1].time)
            abort();
    }
}

static void write_and_compare(const struct pl_query_item *item)
{
    static uint8_t buf[2 * PL_QUERY_ITEM_BYTES_MAX];
    static uint8_t again[sizeof buf];
    struct pl_query_walk walk = { 0 };
    struct pl_query_item read;
    bool found = false;
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_query_write(&w, &walk, item);
    struct pl_reader r = pl_reader_over(pl_writer_span(&w));
    walk.time = 0;
    if (pl_query_read(&r, &walk, &read, &found) != PARLEY_OK || !found)
        abort();
    struct pl_writer w2 = pl_writer_over(again, sizeof again);
    walk.time = 0;
    pl_query_write(&w2, &walk, &read);
    if (w.len != w2.len || memcmp(buf, again, w.len) != 0)
        abort();
}

static void try_others(struct parley_span body)
{
    static struct pl_diff diff;
    static struct pl_state state;
    struct pl_diff_result result;
    bool asks = false;
    pl_diff_init(&diff);
    if (pl_tally_read(body, &diff.in) == PARLEY_OK && diff.in.key_count > diff.in.key_max)
        abort();
    if (pl_tally_conflicts(&diff.in, &diff.in) > diff.in.key_count)
        abort();
    if (pl_diff_read(body, &asks, &result) == PARLEY_OK && !asks && result.at != 0)
        abort();
    if (pl_state_read(body, &state) == PARLEY_OK &&
        state.space_count > PARLEY_SHARED_NAMESPACES_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pl_descent d;
    struct pl_salt salt = { { 0 } };
    struct pl_query_walk walk = { 0 };
    struct pl_reader r = pl_reader_over(pl_span_of(data, size));
    if (size > PL_FRAME_BYTES_MAX)
        return 0;
    try_others(pl_span_of(data, size));
    pl_varint_read(&r);
    for (bool found = r.err == PARLEY_OK; found;) {
        struct pl_query_item item;
        if (pl_query_read(&r, &walk, &item, &found) != PARLEY_OK || !found)
            break;
        check(&item, data, size);
        write_and_compare(&item);
    }
    pl_descent_init(&d, &salt, 0);
    if (pl_descent_answer(&d, pl_span_of(data, size)) != PARLEY_EPROTO)
        abort(); /* nothing was asked */
    return 0;
}
