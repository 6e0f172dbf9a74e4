/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file below the tools that knows zlib.
 */
#include "proto/gzip.h"

#include <zlib.h>

#define LEVEL     5         /* of 1 to 9: behind it little is gained for much */
#define GZIP_BITS (15 + 16) /* the largest window, with the head and end of gzip */
#define MEM_LEVEL 8

/* zlib does not say how much it gives back. */
union block {
    size_t size;
    max_align_t align;
};

static void *take(void *ud, unsigned items, unsigned size)
{
    const struct parley_env *env = ud;
    size_t bytes = sizeof(union block) + (size_t)items * size;
    union block *block = env->alloc(env->ud, bytes);
    if (block == NULL)
        return NULL;
    block->size = bytes;
    return block + 1;
}

static void give(void *ud, void *ptr)
{
    const struct parley_env *env = ud;
    union block *block = (union block *)ptr - 1;
    env->release(env->ud, block, block->size);
}

/* zlib's input has no const; it does not write there. */
static void set_buffers(z_stream *z, struct parley_span in, uint8_t *out, size_t cap)
{
    z->next_in = (uint8_t *)(uintptr_t)in.ptr;
    z->avail_in = (unsigned)in.len;
    z->next_out = out;
    z->avail_out = (unsigned)cap;
}

parley_err pl_gzip_pack(const struct parley_env *env, struct parley_span plain, uint8_t *out,
                        size_t cap, size_t *len)
{
    struct parley_env own = *env;
    z_stream z = { .zalloc = take, .zfree = give, .opaque = &own };
    if (plain.len > UINT32_MAX || cap > UINT32_MAX)
        return PARLEY_EFULL;
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return PARLEY_ENOMEM;
    set_buffers(&z, plain, out, cap);
    int rc = deflate(&z, Z_FINISH);
    *len = cap - z.avail_out;
    int end = deflateEnd(&z);
    PL_ASSERT(rc != Z_STREAM_END || end == Z_OK);
    return rc == Z_STREAM_END ? PARLEY_OK : PARLEY_EFULL;
}

parley_err pl_gzip_unpack(const struct parley_env *env, struct parley_span packed, uint8_t *out,
                          size_t len)
{
    struct parley_env own = *env;
    z_stream z = { .zalloc = take, .zfree = give, .opaque = &own };
    if (packed.len > UINT32_MAX || len > UINT32_MAX)
        return PARLEY_ECORRUPT;
    if (inflateInit2(&z, GZIP_BITS) != Z_OK)
        return PARLEY_ENOMEM;
    set_buffers(&z, packed, out, len);
    int rc = inflate(&z, Z_FINISH);
    bool whole = rc == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? PARLEY_OK : rc == Z_MEM_ERROR ? PARLEY_ENOMEM : PARLEY_ECORRUPT;
}
