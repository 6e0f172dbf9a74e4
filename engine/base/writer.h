/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounds-checked encoder into the caller's fixed buffer. The first overflow sticks (EFULL) and
 * later writes change nothing. Integers are big-endian.
 */
#ifndef PL_WRITER_H
#define PL_WRITER_H

#include "base/span.h"

struct pl_writer {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    parley_err err;
};

static inline struct pl_writer pl_writer_over(void *buf, size_t cap)
{
    return (struct pl_writer){ .ptr = (uint8_t *)buf, .cap = cap };
}

/* Makes room for `len` bytes and returns where they go, or NULL when there is none. */
static inline uint8_t *pl_writer_reserve(struct pl_writer *w, size_t len)
{
    if (w->err != PARLEY_OK || len > w->cap - w->len) {
        w->err = w->err == PARLEY_OK ? PARLEY_EFULL : w->err;
        return NULL;
    }
    uint8_t *at = w->ptr + w->len;
    w->len += len;
    return at;
}

static inline void pl_write_bytes(struct pl_writer *w, const void *bytes, size_t len)
{
    uint8_t *at = pl_writer_reserve(w, len);
    if (at != NULL && len != 0)
        memcpy(at, bytes, len);
}

static inline void pl_write_span(struct pl_writer *w, struct parley_span bytes)
{
    pl_write_bytes(w, bytes.ptr, bytes.len);
}

static inline void pl_write_text(struct pl_writer *w, const char *text)
{
    pl_write_bytes(w, text, strlen(text));
}

/* Eight bytes, and four that are read, are written out, because compilers make one instruction of
 * that and a loop of the loop; `width` is nearly always a constant. */
static inline void pl_put_be(uint8_t *at, uint64_t value, size_t width)
{
    if (width == 8) {
        /* By way of an array: gcc stores single bytes where `at` was read before. */
        const uint8_t bytes[8] = { (uint8_t)(value >> 56), (uint8_t)(value >> 48),
                                   (uint8_t)(value >> 40), (uint8_t)(value >> 32),
                                   (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                   (uint8_t)(value >> 8),  (uint8_t)value };
        memcpy(at, bytes, sizeof bytes);
        return;
    }
    /*@ loop invariant 0 <= i <= width;
        loop assigns i, at[0 .. width - 1];
        loop variant width - i; */
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

static inline uint64_t pl_get_be(const uint8_t *at, size_t width)
{
    if (width == 8)
        return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 |
               (uint64_t)at[3] << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 |
               (uint64_t)at[6] << 8 | (uint64_t)at[7];
    if (width == 4)
        return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 |
               (uint64_t)at[3];
    uint64_t value = 0;
    /*@ loop invariant 0 <= i <= width;
        loop assigns i, value;
        loop variant width - i; */
    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

static inline void pl_write_be(struct pl_writer *w, uint64_t value, size_t width)
{
    uint8_t *at = pl_writer_reserve(w, width);
    if (at != NULL)
        pl_put_be(at, value, width);
}

static inline void pl_write_u8(struct pl_writer *w, uint8_t value)
{
    pl_write_be(w, value, 1);
}

static inline void pl_write_u16(struct pl_writer *w, uint16_t value)
{
    pl_write_be(w, value, 2);
}

static inline void pl_write_u32(struct pl_writer *w, uint32_t value)
{
    pl_write_be(w, value, 4);
}

static inline void pl_write_u64(struct pl_writer *w, uint64_t value)
{
    pl_write_be(w, value, 8);
}

static inline struct parley_span pl_writer_span(const struct pl_writer *w)
{
    return pl_span_of(w->ptr, w->len);
}

#endif
