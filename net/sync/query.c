/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoder and decoder of QUERY and ANSWER, side by side.
 */
#include "sync/query.h"

#include "core/hash.h"

/* Of a SPACE. */
#define FLAG_TAKES  1u
#define FLAG_CUT    2u
#define FLAG_FILTER 8u
#define FLAGS_ALL   UINT64_C(11)

/* ---- Varints ---- */

void pl_varint_write(struct pl_writer *w, uint64_t value)
{
    while (value >= 0x80) {
        pl_write_u8(w, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    pl_write_u8(w, (uint8_t)value);
}

uint64_t pl_varint_read(struct pl_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = pl_read_u8(r);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    pl_reader_fail(r, PARLEY_EMALFORMED);
    return 0;
}

/* ---- Bounds ---- */

static void write_time(struct pl_writer *w, struct pl_query_walk *walk, uint64_t time)
{
    uint64_t delta = time - walk->time;
    uint64_t sign = (delta >> 63) != 0 ? UINT64_MAX : 0;
    pl_varint_write(w, (delta << 1) ^ sign);
    walk->time = time;
}

static uint64_t read_time(struct pl_reader *r, struct pl_query_walk *walk)
{
    uint64_t coded = pl_varint_read(r);
    uint64_t sign = (coded & 1) != 0 ? UINT64_MAX : 0;
    walk->time += (coded >> 1) ^ sign;
    return walk->time;
}

static void write_bound(struct pl_writer *w, struct pl_query_walk *walk,
                        const struct pl_bound *bound)
{
    write_time(w, walk, bound->time);
    pl_varint_write(w, bound->prefix);
}

static struct pl_bound read_bound(struct pl_reader *r, struct pl_query_walk *walk)
{
    uint64_t time = read_time(r, walk);
    uint64_t prefix = pl_varint_read(r);
    if (prefix > UINT32_MAX)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    return (struct pl_bound){ .time = time, .prefix = (uint32_t)prefix };
}

void pl_bound_point(const struct pl_bound *bound, struct parley_point *out)
{
    memset(out->bytes, 0, sizeof out->bytes);
    pl_put_be(out->bytes, bound->time, 8);
    pl_put_be(out->bytes + 8, bound->prefix, 4);
}

struct pl_bound pl_bound_at(const struct parley_point *point)
{
    return (struct pl_bound){ .time = pl_get_be(point->bytes, 8),
                              .prefix = (uint32_t)pl_get_be(point->bytes + 8, 4) };
}

struct pl_bound pl_bound_above(const struct parley_point *point)
{
    struct pl_bound bound = pl_bound_at(point);
    if (++bound.prefix == 0)
        bound.time++;
    return bound;
}

/* ---- Items ---- */

static void write_name(struct pl_writer *w, struct parley_span name)
{
    pl_varint_write(w, name.len);
    pl_write_span(w, name);
}

static struct parley_span read_name(struct pl_reader *r, size_t max)
{
    uint64_t len = pl_varint_read(r);
    if (len <= max)
        return pl_read_bytes(r, (size_t)len);
    pl_reader_fail(r, PARLEY_EMALFORMED);
    return pl_span_of(NULL, 0);
}

static void write_space(struct pl_writer *w, struct pl_query_walk *walk,
                        const struct pl_query_item *item)
{
    walk->time = 0;
    bool filter = item->since != 0 || item->prefix.len != 0;
    pl_varint_write(w, (item->takes ? FLAG_TAKES : 0) | (item->cut != 0 ? FLAG_CUT : 0) |
                           (filter ? FLAG_FILTER : 0));
    if (item->cut != 0)
        pl_varint_write(w, item->cut);
    write_name(w, item->name_space);
    if (!filter)
        return;
    pl_varint_write(w, item->since);
    write_name(w, item->prefix);
}

static void read_space(struct pl_reader *r, struct pl_query_walk *walk, struct pl_query_item *out)
{
    walk->time = 0;
    uint64_t flags = pl_varint_read(r);
    /* Values may stand behind a flag that we do not know: what follows would be read wrongly. */
    if ((flags & ~FLAGS_ALL) != 0)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    out->takes = (flags & FLAG_TAKES) != 0;
    out->cut = (flags & FLAG_CUT) != 0 ? pl_varint_read(r) : 0;
    out->name_space = read_name(r, PARLEY_NAMESPACE_BYTES_MAX);
    if (out->name_space.len == 0)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    bool filter = (flags & FLAG_FILTER) != 0;
    out->since = filter ? pl_varint_read(r) : 0;
    out->prefix = filter ? read_name(r, PARLEY_ID_BYTES_MAX) : pl_span_of(NULL, 0);
}

static void write_split(struct pl_writer *w, struct pl_query_walk *walk,
                        const struct pl_query_item *item)
{
    PL_ASSERT(item->count >= 1 && item->count <= PL_QUERY_PARTS_MAX);
    write_bound(w, walk, &item->bounds[0]);
    pl_varint_write(w, item->count);
    for (uint32_t i = 0; i < item->count; i++) {
        write_bound(w, walk, &item->bounds[i + 1]);
        pl_varint_write(w, item->counts[i]);
        pl_write_be(w, item->prints[i], PL_QUERY_PRINT_BYTES);
    }
}

static void read_split(struct pl_reader *r, struct pl_query_walk *walk, struct pl_query_item *out)
{
    out->bounds[0] = read_bound(r, walk);
    uint64_t count = pl_varint_read(r);
    if (count == 0 || count > PL_QUERY_PARTS_MAX) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return;
    }
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < out->count; i++) {
        out->bounds[i + 1] = read_bound(r, walk);
        out->counts[i] = pl_varint_read(r);
        out->prints[i] = pl_read_be(r, PL_QUERY_PRINT_BYTES);
        if (pl_bound_compare(&out->bounds[i], &out->bounds[i + 1]) > 0)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    }
}

static void write_leaf(struct pl_writer *w, struct pl_query_walk *walk,
                       const struct pl_query_item *item)
{
    PL_ASSERT(item->count <= PL_QUERY_KEYS_MAX);
    uint64_t time = item->bounds[0].time;
    write_bound(w, walk, &item->bounds[0]);
    write_bound(w, walk, &item->bounds[1]);
    pl_varint_write(w, item->count);
    for (uint32_t i = 0; i < item->count; i++) {
        PL_ASSERT(item->times[i] >= time);
        pl_varint_write(w, item->times[i] - time);
        pl_write_be(w, item->keys[i], PL_QUERY_KEY_BYTES);
        time = item->times[i];
    }
}

static void read_leaf(struct pl_reader *r, struct pl_query_walk *walk, struct pl_query_item *out)
{
    out->bounds[0] = read_bound(r, walk);
    out->bounds[1] = read_bound(r, walk);
    uint64_t count = pl_varint_read(r);
    uint64_t time = out->bounds[0].time;
    if (count > PL_QUERY_KEYS_MAX || pl_bound_compare(&out->bounds[0], &out->bounds[1]) > 0) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return;
    }
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < out->count; i++) {
        uint64_t delta = pl_varint_read(r);
        if (delta > out->bounds[1].time - time) {
            pl_reader_fail(r, PARLEY_EMALFORMED);
            return;
        }
        time += delta;
        out->times[i] = time;
        out->keys[i] = pl_read_be(r, PL_QUERY_KEY_BYTES);
    }
}

static void write_have(struct pl_writer *w, struct pl_query_walk *walk,
                       const struct pl_query_item *item)
{
    PL_ASSERT(item->count >= 1 && item->count <= PL_QUERY_KEYS_MAX);
    pl_varint_write(w, item->count);
    for (uint32_t i = 0; i < item->count; i++) {
        write_time(w, walk, item->times[i]);
        pl_write_be(w, item->keys[i], PL_QUERY_KEY_BYTES);
    }
}

static void read_have(struct pl_reader *r, struct pl_query_walk *walk, struct pl_query_item *out)
{
    uint64_t count = pl_varint_read(r);
    if (count == 0 || count > PL_QUERY_KEYS_MAX) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return;
    }
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < out->count; i++) {
        out->times[i] = read_time(r, walk);
        out->keys[i] = pl_read_be(r, PL_QUERY_KEY_BYTES);
    }
}

void pl_query_write(struct pl_writer *w, struct pl_query_walk *walk,
                    const struct pl_query_item *item)
{
    pl_write_u8(w, (uint8_t)item->kind);
    switch (item->kind) {
    case PL_QUERY_BEGIN:
        PL_ASSERT(item->salt.len == PL_QUERY_SALT_BYTES);
        pl_write_span(w, item->salt);
        break;
    case PL_QUERY_SPACE:
        write_space(w, walk, item);
        break;
    case PL_QUERY_SPLIT:
        write_split(w, walk, item);
        break;
    case PL_QUERY_LEAF:
        write_leaf(w, walk, item);
        break;
    case PL_QUERY_HAVE:
        write_have(w, walk, item);
        break;
    case PL_QUERY_END:
    case PL_QUERY_DRY:
        break;
    }
    PL_ASSERT(w->err == PARLEY_OK);
}

parley_err pl_query_read(struct pl_reader *r, struct pl_query_walk *walk, struct pl_query_item *out,
                         bool *found)
{
    *found = pl_reader_left(r) != 0;
    if (!*found)
        return PARLEY_OK;
    uint8_t kind = pl_read_u8(r);
    out->kind = (enum pl_query_kind)kind;
    out->count = 0;
    switch (out->kind) {
    case PL_QUERY_BEGIN:
        out->salt = pl_read_bytes(r, PL_QUERY_SALT_BYTES);
        break;
    case PL_QUERY_SPACE:
        read_space(r, walk, out);
        break;
    case PL_QUERY_SPLIT:
        read_split(r, walk, out);
        break;
    case PL_QUERY_LEAF:
        read_leaf(r, walk, out);
        break;
    case PL_QUERY_HAVE:
        read_have(r, walk, out);
        break;
    case PL_QUERY_END:
    case PL_QUERY_DRY:
        break;
    default:
        return PARLEY_EPROTO;
    }
    return r->err == PARLEY_OK ? PARLEY_OK : PARLEY_EPROTO;
}

/* ---- Bits ---- */

void pl_bits_write(struct pl_bit_writer *b, unsigned value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        b->byte = (uint8_t)(b->byte | (value >> i & 1) << b->used);
        if (++b->used == 8)
            pl_bits_flush(b);
    }
}

void pl_bits_flush(struct pl_bit_writer *b)
{
    if (b->used != 0)
        pl_write_u8(b->w, b->byte);
    b->byte = 0;
    b->used = 0;
}

unsigned pl_bits_read(struct pl_bit_reader *b, unsigned width)
{
    unsigned value = 0;
    for (unsigned i = 0; i < width; i++) {
        if (b->left == 0) {
            b->byte = pl_read_u8(b->r);
            b->left = 8;
        }
        value |= (unsigned)(b->byte >> (8 - b->left) & 1) << i;
        b->left--;
    }
    return value;
}

/* ---- Fingerprints ---- */

uint64_t pl_query_print(const struct pl_salt *salt, const struct parley_root *root)
{
    uint8_t bytes[PARLEY_DIGEST_BYTES + 8];
    memcpy(bytes, root->sum, PARLEY_DIGEST_BYTES);
    pl_put_be(bytes + PARLEY_DIGEST_BYTES, root->count, 8);
    return pl_xxh3_pair(pl_span_of(salt->bytes, sizeof salt->bytes),
                        pl_span_of(bytes, sizeof bytes));
}

uint64_t pl_query_key(const struct pl_salt *salt, const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    uint64_t hash = pl_xxh3_pair(pl_span_of(salt->bytes, sizeof salt->bytes),
                                 pl_span_of(digest, PARLEY_DIGEST_BYTES));
    return hash & ((UINT64_C(1) << (8 * PL_QUERY_KEY_BYTES)) - 1);
}
