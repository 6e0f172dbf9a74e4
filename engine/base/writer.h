/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounds-checked encoder into the caller's fixed buffer. The first overflow sticks (EFULL) and
 * later writes change nothing. Integers are big-endian.
 */
#ifndef PL_WRITER_H
#define PL_WRITER_H

#include "base/be.h"
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
