/* SPDX-License-Identifier: Apache-2.0
 *
 * Every value begins with a tag byte, which decides its type, the width of the number that follows
 * and what the number means. read_head decodes that much and checks a length against the bytes
 * left; everything else is built on it.
 */
#include "core/mp_read.h"
#include "base/writer.h"
#include "core/utf8.h"

struct head {
    enum pl_mp_type type;
    size_t bytes;   /* of the tag and the number after it */
    uint64_t value; /* integer as two's complement, float bits as a double's, length or count */
};

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t widen_float(uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float value;
    memcpy(&value, &narrow, sizeof value);
    double wide = (double)value;
    memcpy(&bits, &wide, sizeof bits);
    return bits;
}

/* Tags from 0xc0 to 0xdf: the type and how many bytes of number follow. */
static const struct {
    uint8_t type;
    uint8_t width;
} tags[32] = { { PL_MP_NIL, 0 },   { PL_MP_END, 0 },   { PL_MP_BOOL, 0 },  { PL_MP_BOOL, 0 },
               { PL_MP_BIN, 1 },   { PL_MP_BIN, 2 },   { PL_MP_BIN, 4 },   { PL_MP_EXT, 1 },
               { PL_MP_EXT, 2 },   { PL_MP_EXT, 4 },   { PL_MP_FLOAT, 4 }, { PL_MP_FLOAT, 8 },
               { PL_MP_UINT, 1 },  { PL_MP_UINT, 2 },  { PL_MP_UINT, 4 },  { PL_MP_UINT, 8 },
               { PL_MP_INT, 1 },   { PL_MP_INT, 2 },   { PL_MP_INT, 4 },   { PL_MP_INT, 8 },
               { PL_MP_EXT, 0 },   { PL_MP_EXT, 0 },   { PL_MP_EXT, 0 },   { PL_MP_EXT, 0 },
               { PL_MP_EXT, 0 },   { PL_MP_STR, 1 },   { PL_MP_STR, 2 },   { PL_MP_STR, 4 },
               { PL_MP_ARRAY, 2 }, { PL_MP_ARRAY, 4 }, { PL_MP_MAP, 2 },   { PL_MP_MAP, 4 } };

#define TAG_FIXMAP  0x80u
#define TAG_FIXSTR  0xa0u
#define TAG_NIL     0xc0u
#define TAG_TRUE    0xc3u
#define TAG_FIXEXT1 0xd4u

/* The tags that hold their number. */
static struct head small_head(uint8_t tag)
{
    if (tag < 0x80)
        return (struct head){ .type = PL_MP_UINT, .bytes = 1, .value = tag };
    if (tag < 0x90)
        return (struct head){ .type = PL_MP_MAP, .bytes = 1, .value = tag & 15 };
    if (tag < 0xa0)
        return (struct head){ .type = PL_MP_ARRAY, .bytes = 1, .value = tag & 15 };
    if (tag < TAG_NIL)
        return (struct head){ .type = PL_MP_STR, .bytes = 1, .value = tag & 31 };
    return (struct head){ .type = PL_MP_INT, .bytes = 1, .value = UINT64_MAX - 255 + tag };
}

/* Decodes at `at`; false when it is truncated or reserved. Does not look at the payload. */
static bool decode_head(const uint8_t *at, size_t left, struct head *h)
{
    if (left == 0)
        return false;
    uint8_t tag = at[0];
    if (tag < TAG_NIL || tag >= 0xe0) {
        *h = small_head(tag);
        return true;
    }
    enum pl_mp_type type = (enum pl_mp_type)tags[tag - TAG_NIL].type;
    size_t width = tags[tag - TAG_NIL].width;
    if (type == PL_MP_END || width > left - 1)
        return false;
    uint64_t value = pl_get_be(at + 1, width);
    *h = (struct head){ .type = type, .bytes = 1 + width, .value = value };
    if (type == PL_MP_BOOL) {
        h->value = tag == TAG_TRUE;
    } else if (type == PL_MP_INT) {
        uint64_t sign = UINT64_C(1) << (8 * width - 1);
        h->value = (value ^ sign) - sign;
        h->type = (value & sign) != 0 ? PL_MP_INT : PL_MP_UINT;
    } else if (type == PL_MP_FLOAT && width == 4) {
        h->value = widen_float(value);
    } else if (type == PL_MP_EXT) {
        /* The byte of the application's type counts as payload. */
        h->value = width == 0 ? (UINT64_C(1) << (tag - TAG_FIXEXT1)) + 1 : value + 1;
    }
    return true;
}

/* The fewest bytes that must follow the head; every element takes at least one. */
static uint64_t payload_min(const struct head *h)
{
    switch (h->type) {
    case PL_MP_STR:
    case PL_MP_BIN:
    case PL_MP_EXT:
    case PL_MP_ARRAY:
        return h->value;
    case PL_MP_MAP:
        return 2 * h->value;
    case PL_MP_NIL:
    case PL_MP_BOOL:
    case PL_MP_UINT:
    case PL_MP_INT:
    case PL_MP_FLOAT:
    case PL_MP_END:
        return 0;
    }
    return 0;
}

/* Decodes and checks the next head without moving; on failure the reader keeps EMALFORMED. */
static bool read_head(struct pl_reader *r, struct head *h)
{
    size_t left = pl_reader_left(r);
    if (r->err != PARLEY_OK)
        return false;
    if (!decode_head(r->at, left, h) || payload_min(h) > left - h->bytes) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return false;
    }
    return true;
}

/* Moves over the next head if it has the type; else the reader keeps the reason. */
static bool take_head(struct pl_reader *r, enum pl_mp_type type, struct head *h)
{
    if (!read_head(r, h))
        return false;
    if (h->type != type) {
        pl_reader_fail(r, PARLEY_ETYPE);
        return false;
    }
    r->at += h->bytes;
    return true;
}

enum pl_mp_type pl_mp_peek(const struct pl_reader *r)
{
    size_t left = pl_reader_left(r);
    if (r->err != PARLEY_OK || left == 0)
        return PL_MP_END;
    uint8_t tag = r->at[0];
    if (tag < TAG_NIL || tag >= 0xe0)
        return small_head(tag).type;
    enum pl_mp_type type = (enum pl_mp_type)tags[tag - TAG_NIL].type;
    if (type == PL_MP_INT && (left < 2 || r->at[1] < 0x80))
        return PL_MP_UINT;
    return type;
}

void pl_mp_read_nil(struct pl_reader *r)
{
    struct head h;
    if (read_head(r, &h) && h.type == PL_MP_NIL)
        r->at += h.bytes;
    else
        pl_reader_fail(r, PARLEY_ETYPE);
}

bool pl_mp_read_bool(struct pl_reader *r)
{
    struct head h;
    return take_head(r, PL_MP_BOOL, &h) && h.value != 0;
}

uint64_t pl_mp_read_uint(struct pl_reader *r)
{
    struct head h;
    return take_head(r, PL_MP_UINT, &h) ? h.value : 0;
}

int64_t pl_mp_read_int(struct pl_reader *r)
{
    struct head h;
    enum pl_mp_type type = pl_mp_peek(r) == PL_MP_INT ? PL_MP_INT : PL_MP_UINT;
    if (!read_head(r, &h))
        return 0;
    if (h.type != type || (type == PL_MP_UINT && h.value > INT64_MAX)) {
        pl_reader_fail(r, PARLEY_ETYPE);
        return 0;
    }
    r->at += h.bytes;
    return (int64_t)h.value;
}

double pl_mp_read_float(struct pl_reader *r)
{
    struct head h;
    return take_head(r, PL_MP_FLOAT, &h) ? double_of(h.value) : 0;
}

static struct parley_span take_payload(struct pl_reader *r, enum pl_mp_type type, size_t max)
{
    struct head h;
    if (!take_head(r, type, &h))
        return pl_span_of(NULL, 0);
    if (h.value > max) {
        pl_reader_fail(r, PARLEY_ETOOBIG);
        return pl_span_of(NULL, 0);
    }
    return pl_read_bytes(r, (size_t)h.value);
}

struct parley_span pl_mp_read_str(struct pl_reader *r, size_t max)
{
    return take_payload(r, PL_MP_STR, max);
}

struct parley_span pl_mp_read_bin(struct pl_reader *r, size_t max)
{
    return take_payload(r, PL_MP_BIN, max);
}

static uint32_t take_count(struct pl_reader *r, enum pl_mp_type type, uint32_t max)
{
    struct head h;
    if (!take_head(r, type, &h))
        return 0;
    if (h.value > max) {
        pl_reader_fail(r, PARLEY_ETOOBIG);
        return 0;
    }
    return (uint32_t)h.value;
}

uint32_t pl_mp_read_array(struct pl_reader *r, uint32_t max)
{
    return take_count(r, PL_MP_ARRAY, max);
}

uint32_t pl_mp_read_map(struct pl_reader *r, uint32_t max)
{
    return take_count(r, PL_MP_MAP, max);
}

/* What pl_mp_check asks of a value beyond its shape. */
static parley_err check_leaf(const struct head *h, const uint8_t *payload)
{
    if (h->type == PL_MP_EXT)
        return PARLEY_EMALFORMED;
    if (h->type == PL_MP_STR && !pl_utf8_is_valid(pl_span_of(payload, (size_t)h->value)))
        return PARLEY_EUTF8;
    return PARLEY_OK;
}

/* Moves over scalars and short strings whose head is one byte, which most values are; at most
 * `count`. Returns how many. */
static uint64_t skip_small(struct pl_reader *r, uint64_t count)
{
    const uint8_t *at = r->at;
    uint64_t done = 0;
    while (done < count && at < r->end) {
        uint8_t tag = *at;
        size_t bytes = 1;
        if (tag >= TAG_FIXSTR && tag < TAG_NIL)
            bytes += tag & 31;
        else if (tag >= TAG_FIXMAP && tag < 0xe0 && tag != TAG_NIL)
            break;
        if (bytes > (size_t)(r->end - at))
            break; /* the slow path says so */
        at += bytes;
        done++;
    }
    r->at = at;
    return done;
}

/* Moves over one value. `left` holds how many values each open container still lacks. */
static void walk(struct pl_reader *r, bool strict)
{
    uint64_t left[PARLEY_DEPTH_MAX];
    size_t depth = 0;
    do {
        struct head h;
        if (!read_head(r, &h))
            return;
        r->at += h.bytes;
        if (depth > 0)
            left[depth - 1]--;
        if (h.type == PL_MP_ARRAY || h.type == PL_MP_MAP) {
            if (depth == PARLEY_DEPTH_MAX) {
                pl_reader_fail(r, PARLEY_ETOOBIG);
                return;
            }
            left[depth++] = payload_min(&h);
        } else {
            if (strict)
                pl_reader_fail(r, check_leaf(&h, r->at));
            r->at += payload_min(&h);
        }
        if (depth > 0 && !strict)
            left[depth - 1] -= skip_small(r, left[depth - 1]);
        while (depth > 0 && left[depth - 1] == 0)
            depth--;
    } while (depth > 0 && r->err == PARLEY_OK);
}

struct parley_span pl_mp_read_any(struct pl_reader *r)
{
    const uint8_t *start = r->at;
    walk(r, false);
    if (r->err != PARLEY_OK)
        return pl_span_of(NULL, 0);
    return pl_span_of(start, (size_t)(r->at - start));
}

parley_err pl_mp_check(struct parley_span bytes)
{
    struct pl_reader r = pl_reader_over(bytes);
    walk(&r, true);
    return pl_reader_end(&r);
}
