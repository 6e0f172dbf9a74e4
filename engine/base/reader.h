/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounds-checked decoder over borrowed bytes. The first failure sticks: later reads return zero
 * and change nothing, so that decoders read straight down and test once, with pl_reader_end.
 * Integers are big-endian, as on disk and wire.
 */
#ifndef PL_READER_H
#define PL_READER_H

#include "base/be.h"
#include "base/span.h"

struct pl_reader {
    const uint8_t *at;
    const uint8_t *end;
    parley_err err;
};

static inline struct pl_reader pl_reader_over(struct parley_span bytes)
{
    return (struct pl_reader){ .at = bytes.ptr,
                               .end = bytes.ptr == NULL ? NULL : bytes.ptr + bytes.len };
}

static inline size_t pl_reader_left(const struct pl_reader *r)
{
    return r->at == NULL ? 0 : (size_t)(r->end - r->at);
}

static inline void pl_reader_fail(struct pl_reader *r, parley_err err)
{
    if (r->err == PARLEY_OK)
        r->err = err;
}

/* Lends the next `len` bytes of the underlying span, or the empty span on failure. */
static inline struct parley_span pl_read_bytes(struct pl_reader *r, size_t len)
{
    if (r->err != PARLEY_OK || len > pl_reader_left(r)) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return pl_span_of(NULL, 0);
    }
    struct parley_span out = pl_span_of(r->at, len);
    r->at = len == 0 ? r->at : r->at + len;
    return out;
}

static inline uint64_t pl_read_be(struct pl_reader *r, size_t width)
{
    struct parley_span bytes = pl_read_bytes(r, width);
    return bytes.len == 0 ? 0 : pl_get_be(bytes.ptr, width);
}

static inline uint8_t pl_read_u8(struct pl_reader *r)
{
    return (uint8_t)pl_read_be(r, 1);
}

static inline uint16_t pl_read_u16(struct pl_reader *r)
{
    return (uint16_t)pl_read_be(r, 2);
}

static inline uint32_t pl_read_u32(struct pl_reader *r)
{
    return (uint32_t)pl_read_be(r, 4);
}

static inline uint64_t pl_read_u64(struct pl_reader *r)
{
    return pl_read_be(r, 8);
}

/* Copies exactly `len` bytes to `out`; on failure `out` is zeroed. */
static inline void pl_read_copy(struct pl_reader *r, void *out, size_t len)
{
    struct parley_span bytes = pl_read_bytes(r, len);
    if (bytes.len == len && len != 0)
        memcpy(out, bytes.ptr, len);
    else
        memset(out, 0, len);
}

/* The sticky error, or EMALFORMED when bytes are left over. */
static inline PL_MUST_USE parley_err pl_reader_end(const struct pl_reader *r)
{
    if (r->err != PARLEY_OK)
        return r->err;
    return pl_reader_left(r) == 0 ? PARLEY_OK : PARLEY_EMALFORMED;
}

#endif
