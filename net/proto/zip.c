/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file that knows Zstandard. Its contexts live in memory that we give them (what the
 * library calls static), because all memory comes from the env.
 */
#define ZSTD_STATIC_LINKING_ONLY 1
#include "proto/zip.h"

#include "core/hash.h"

#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL       3
#define MAGIC_BYTES 4

struct pl_zip {
    struct parley_env env; /* a copy: destroy needs it */
    size_t size;           /* of the allocation, with what stands behind this struct */
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    uint8_t out[PL_FRAME_BYTES_MAX];
};

/* The library wants its memory aligned to 8. */
static size_t rounded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* Fixed here and not taken from the level at each call: for another length the library would choose
 * tables that the memory is not made for. Returns whether all were taken. */
static bool set_parameters(ZSTD_CCtx *packer, const ZSTD_compressionParameters *p)
{
    const struct {
        ZSTD_cParameter name;
        unsigned value;
    } all[] = {
        { ZSTD_c_windowLog, p->windowLog }, { ZSTD_c_hashLog, p->hashLog },
        { ZSTD_c_chainLog, p->chainLog },   { ZSTD_c_searchLog, p->searchLog },
        { ZSTD_c_minMatch, p->minMatch },   { ZSTD_c_targetLength, p->targetLength },
        { ZSTD_c_strategy, p->strategy },   { ZSTD_c_contentSizeFlag, 1 },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(all); i++)
        if (ZSTD_isError(ZSTD_CCtx_setParameter(packer, all[i].name, (int)all[i].value)))
            return false;
    return true;
}

parley_err pl_zip_create(const struct parley_env *env, struct pl_zip **out)
{
    ZSTD_compressionParameters params = ZSTD_getCParams(LEVEL, PL_FRAME_BYTES_MAX, 0);
    size_t packer_at = rounded(sizeof(struct pl_zip));
    size_t packer_size = rounded(ZSTD_estimateCCtxSize_usingCParams(params));
    size_t unpacker_size = rounded(ZSTD_estimateDCtxSize());
    size_t size = packer_at + packer_size + unpacker_size;
    uint8_t *memory = env->alloc(env->ud, size);
    if (memory == NULL)
        return PARLEY_ENOMEM;
    struct pl_zip *zip = (struct pl_zip *)(void *)memory;
    zip->env = *env;
    zip->size = size;
    zip->packer = ZSTD_initStaticCCtx(memory + packer_at, packer_size);
    zip->unpacker = ZSTD_initStaticDCtx(memory + packer_at + packer_size, unpacker_size);
    PL_ASSERT(zip->packer != NULL);
    PL_ASSERT(zip->unpacker != NULL);
    bool taken = set_parameters(zip->packer, &params);
    PL_ASSERT(taken);
    *out = zip;
    return PARLEY_OK;
}

void pl_zip_destroy(struct pl_zip *zip)
{
    if (zip == NULL)
        return;
    struct parley_env env = zip->env;
    pl_wipe(zip->out, sizeof zip->out);
    env.release(env.ud, zip, zip->size);
}

bool pl_zip_pack(struct pl_zip *zip, struct parley_span plain, struct parley_span *out)
{
    PL_ASSERT(plain.len <= sizeof zip->out);
    if (plain.len <= 2)
        return false;
    size_t len = ZSTD_compress2(zip->packer, zip->out, plain.len - 2, plain.ptr, plain.len);
    if (ZSTD_isError(len)) {
        PL_ASSERT(ZSTD_getErrorCode(len) == ZSTD_error_dstSize_tooSmall);
        return false;
    }
    *out = pl_span_of(zip->out, len);
    return true;
}

/* The library also reads its formats of before version 1, frames to be skipped, and several in a
 * row. None of them is ours. */
static bool is_one_frame(struct parley_span packed)
{
    static const uint8_t magic[MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };
    return packed.len > MAGIC_BYTES && memcmp(packed.ptr, magic, sizeof magic) == 0 &&
           ZSTD_findFrameCompressedSize(packed.ptr, packed.len) == packed.len;
}

parley_err pl_zip_unpack(struct pl_zip *zip, struct parley_span packed, uint8_t *out, size_t cap,
                         size_t *len)
{
    if (!is_one_frame(packed))
        return PARLEY_EPROTO;
    /* Unknown and wrong are the two greatest numbers. */
    unsigned long long size = ZSTD_getFrameContentSize(packed.ptr, packed.len);
    if (size == 0 || size > cap)
        return PARLEY_EPROTO;
    size_t got = ZSTD_decompressDCtx(zip->unpacker, out, (size_t)size, packed.ptr, packed.len);
    if (got != size)
        return PARLEY_EPROTO;
    *len = got;
    return PARLEY_OK;
}
