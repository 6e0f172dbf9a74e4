/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/der.h"

uint8_t pl_der_peek(const struct pl_reader *r)
{
    return r->err != PARLEY_OK || pl_reader_left(r) == 0 ? 0 : *r->at;
}

/* Reads a length in its only DER form: short below 128, else the fewest bytes, here one or two. */
static size_t read_length(struct pl_reader *r)
{
    size_t first = pl_read_u8(r);
    if (first < 0x80)
        return first;
    if (first == 0x81) {
        size_t len = pl_read_u8(r);
        if (len < 0x80)
            pl_reader_fail(r, PARLEY_EMALFORMED);
        return len;
    }
    if (first == 0x82) {
        size_t len = pl_read_u16(r);
        if (len < 0x100)
            pl_reader_fail(r, PARLEY_EMALFORMED);
        return len;
    }
    pl_reader_fail(r, PARLEY_EMALFORMED);
    return 0;
}

struct parley_span pl_der_read(struct pl_reader *r, uint8_t tag)
{
    uint8_t found = pl_read_u8(r);
    if (found != tag)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    size_t len = read_length(r);
    return pl_read_bytes(r, len);
}

struct parley_span pl_der_read_whole(struct pl_reader *r, uint8_t tag)
{
    const uint8_t *start = r->at;
    struct parley_span contents = pl_der_read(r, tag);
    if (r->err != PARLEY_OK)
        return contents;
    return pl_span_of(start, (size_t)(r->at - start));
}

struct pl_reader pl_der_enter(struct pl_reader *r, uint8_t tag)
{
    struct pl_reader inner = pl_reader_over(pl_der_read(r, tag));
    inner.err = r->err;
    return inner;
}

void pl_der_leave(struct pl_reader *r, const struct pl_reader *inner)
{
    parley_err err = pl_reader_end(inner);
    if (err != PARLEY_OK)
        pl_reader_fail(r, err);
}

struct parley_span pl_der_read_uint(struct pl_reader *r, size_t max)
{
    struct parley_span value = pl_der_read(r, PL_DER_INTEGER);
    if (r->err != PARLEY_OK)
        return value;
    bool padded = value.len > 1 && value.ptr[0] == 0 && value.ptr[1] < 0x80;
    if (value.len == 0 || value.ptr[0] >= 0x80 || padded) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return pl_span_of(NULL, 0);
    }
    if (value.ptr[0] == 0)
        value = pl_span_after(value, 1);
    if (value.len > max) {
        pl_reader_fail(r, PARLEY_ETOOBIG);
        return pl_span_of(NULL, 0);
    }
    return value;
}

struct parley_span pl_der_read_bits(struct pl_reader *r)
{
    struct parley_span value = pl_der_read(r, PL_DER_BIT_STRING);
    if (r->err != PARLEY_OK)
        return value;
    /* The first byte counts the unused bits of the last. */
    if (value.len == 0 || value.ptr[0] != 0) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        return pl_span_of(NULL, 0);
    }
    return pl_span_after(value, 1);
}

void pl_der_expect(struct pl_reader *r, struct parley_span expected, parley_err err)
{
    PL_ASSERT(expected.len >= 2);
    struct parley_span found = pl_der_read_whole(r, expected.ptr[0]);
    if (r->err == PARLEY_OK && !pl_span_equal(found, expected))
        pl_reader_fail(r, err);
}

struct pl_der_writer pl_der_writer_over(uint8_t *buf, size_t cap)
{
    return (struct pl_der_writer){ .ptr = buf, .at = cap, .cap = cap };
}

size_t pl_der_mark(const struct pl_der_writer *w)
{
    return w->at;
}

void pl_der_put_bytes(struct pl_der_writer *w, struct parley_span bytes)
{
    if (w->err != PARLEY_OK || bytes.len > w->at) {
        w->err = PARLEY_EFULL;
        return;
    }
    w->at -= bytes.len;
    if (bytes.len != 0)
        memcpy(w->ptr + w->at, bytes.ptr, bytes.len);
}

void pl_der_put_u8(struct pl_der_writer *w, uint8_t byte)
{
    pl_der_put_bytes(w, pl_span_of(&byte, 1));
}

void pl_der_wrap(struct pl_der_writer *w, uint8_t tag, size_t mark)
{
    PL_ASSERT(mark >= w->at);
    size_t len = mark - w->at;
    if (len > 0xffff) {
        w->err = PARLEY_EFULL;
        return;
    }
    pl_der_put_u8(w, (uint8_t)(len & 0xff));
    if (len >= 0x100)
        pl_der_put_u8(w, (uint8_t)(len >> 8));
    if (len >= 0x80)
        pl_der_put_u8(w, len >= 0x100 ? 0x82 : 0x81);
    pl_der_put_u8(w, tag);
}

void pl_der_put(struct pl_der_writer *w, uint8_t tag, struct parley_span contents)
{
    size_t mark = pl_der_mark(w);
    pl_der_put_bytes(w, contents);
    pl_der_wrap(w, tag, mark);
}

void pl_der_put_uint(struct pl_der_writer *w, struct parley_span bytes)
{
    while (bytes.len != 0 && bytes.ptr[0] == 0)
        bytes = pl_span_after(bytes, 1);
    size_t mark = pl_der_mark(w);
    pl_der_put_bytes(w, bytes);
    if (bytes.len == 0 || bytes.ptr[0] >= 0x80)
        pl_der_put_u8(w, 0);
    pl_der_wrap(w, PL_DER_INTEGER, mark);
}

void pl_der_wrap_bits(struct pl_der_writer *w, size_t mark)
{
    pl_der_put_u8(w, 0);
    pl_der_wrap(w, PL_DER_BIT_STRING, mark);
}

struct parley_span pl_der_written(const struct pl_der_writer *w)
{
    return pl_span_of(w->ptr + w->at, w->cap - w->at);
}

parley_err pl_der_finish(struct pl_der_writer *w, size_t *len)
{
    if (w->err != PARLEY_OK)
        return w->err;
    size_t size = w->cap - w->at;
    memmove(w->ptr, w->ptr + w->at, size);
    *len = size;
    return PARLEY_OK;
}
