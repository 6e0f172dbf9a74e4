/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mp_write.h"

#include <msgpack.h>

/* The packer stops at a result other than 0; the writer has kept the reason by then. */
static int append(void *data, const char *bytes, size_t len)
{
    struct pl_writer *w = data;
    pl_write_bytes(w, bytes, len);
    return w->err == PARLEY_OK ? 0 : -1;
}

static msgpack_packer packer_over(struct pl_writer *w)
{
    return (msgpack_packer){ .data = w, .callback = append };
}

/* The format has 32-bit lengths. */
static bool is_encodable(struct pl_writer *w, size_t len)
{
    if (len > UINT32_MAX && w->err == PARLEY_OK)
        w->err = PARLEY_ETOOBIG;
    return w->err == PARLEY_OK;
}

void pl_mp_write_nil(struct pl_writer *w)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_nil(&packer);
}

void pl_mp_write_bool(struct pl_writer *w, bool value)
{
    msgpack_packer packer = packer_over(w);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void pl_mp_write_uint(struct pl_writer *w, uint64_t value)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_uint64(&packer, value);
}

void pl_mp_write_int(struct pl_writer *w, int64_t value)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_int64(&packer, value);
}

void pl_mp_write_float(struct pl_writer *w, double value)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_double(&packer, value);
}

void pl_mp_write_str(struct pl_writer *w, struct parley_span text)
{
    msgpack_packer packer = packer_over(w);
    if (is_encodable(w, text.len) && msgpack_pack_str(&packer, text.len) == 0)
        pl_write_span(w, text);
}

void pl_mp_write_text(struct pl_writer *w, const char *text)
{
    pl_mp_write_str(w, pl_span_text(text));
}

void pl_mp_write_bin(struct pl_writer *w, struct parley_span bytes)
{
    msgpack_packer packer = packer_over(w);
    if (is_encodable(w, bytes.len) && msgpack_pack_bin(&packer, bytes.len) == 0)
        pl_write_span(w, bytes);
}

void pl_mp_write_array(struct pl_writer *w, uint32_t count)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_array(&packer, count);
}

void pl_mp_write_map(struct pl_writer *w, uint32_t count)
{
    msgpack_packer packer = packer_over(w);
    msgpack_pack_map(&packer, count);
}
