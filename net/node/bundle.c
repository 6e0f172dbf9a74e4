/* SPDX-License-Identifier: Apache-2.0 */
#include "node/bundle.h"

#include "core/hash.h"
#include "core/mp_write.h"

#define MAGIC  "parley-bundle"
#define FIELDS 10u

static void hash_of(struct parley_span array, uint8_t hash[PL_SHA256_BYTES])
{
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, PL_BUNDLE_LABEL, sizeof PL_BUNDLE_LABEL);
    pl_sha256_update(&h, array.ptr, array.len);
    pl_sha256_final(&h, hash);
}

static void write_array(struct pl_writer *w, const struct pl_bundle *bundle)
{
    pl_mp_write_array(w, FIELDS);
    pl_mp_write_text(w, MAGIC);
    pl_mp_write_uint(w, 1);
    pl_mp_write_str(w, bundle->maker);
    pl_mp_write_bin(w, pl_span_of(bundle->incarnation.bytes, sizeof bundle->incarnation.bytes));
    pl_mp_write_str(w, bundle->name_space);
    pl_mp_write_uint(w, bundle->since);
    pl_mp_write_uint(w, bundle->upto);
    pl_mp_write_uint(w, bundle->head);
    pl_mp_write_uint(w, bundle->floor);
    pl_mp_write_bin(w, bundle->versions);
}

PL_MUST_USE parley_err pl_bundle_write(struct pl_writer *w, const struct pl_bundle *bundle,
                                       const struct pl_identity *identity)
{
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    size_t start = w->len;
    pl_write_be(w, 0, 4);
    write_array(w, bundle);
    if (w->err != PARLEY_OK)
        return w->err;
    struct parley_span array = pl_span_of(w->ptr + start + 4, w->len - start - 4);
    PL_ASSERT(array.len <= PL_BUNDLE_BODY_BYTES_MAX);
    pl_put_be(w->ptr + start, array.len, 4);
    hash_of(array, hash);
    PL_TRY(pl_identity_sign(identity, hash, signature, &len));
    pl_write_be(w, len, 2);
    pl_write_bytes(w, signature, len);
    return w->err;
}

static PL_MUST_USE parley_err read_array(struct pl_reader *r, struct pl_bundle *out)
{
    struct pl_bundle b = { 0 };
    if (pl_mp_read_array(r, FIELDS) != FIELDS ||
        !pl_span_is(pl_mp_read_str(r, sizeof MAGIC - 1), MAGIC) || pl_mp_read_uint(r) != 1)
        return PARLEY_EFORMAT;
    b.maker = pl_mp_read_str(r, PARLEY_BACKEND_ID_BYTES_MAX);
    struct parley_span incarnation = pl_mp_read_bin(r, sizeof b.incarnation.bytes);
    if (r->err == PARLEY_OK && incarnation.len != sizeof b.incarnation.bytes)
        return PARLEY_EMALFORMED;
    if (r->err == PARLEY_OK)
        memcpy(b.incarnation.bytes, incarnation.ptr, incarnation.len);
    b.name_space = pl_mp_read_str(r, PARLEY_NAMESPACE_BYTES_MAX);
    b.since = pl_mp_read_uint(r);
    b.upto = pl_mp_read_uint(r);
    b.head = pl_mp_read_uint(r);
    b.floor = pl_mp_read_uint(r);
    b.versions = pl_mp_read_bin(r, PL_BUNDLE_BODY_BYTES_MAX);
    PL_TRY(pl_reader_end(r));
    if (b.since > b.upto || b.upto > b.head)
        return PARLEY_EMALFORMED;
    *out = b;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_bundle_read(struct parley_span block, struct pl_bundle *out,
                                      uint8_t hash[32], struct parley_span *signature)
{
    struct pl_reader r = pl_reader_over(block);
    uint64_t len = pl_read_be(&r, 4);
    if (len > PL_BUNDLE_BODY_BYTES_MAX)
        return PARLEY_ETOOBIG;
    struct parley_span array = pl_read_bytes(&r, (size_t)len);
    uint64_t signature_len = pl_read_be(&r, 2);
    if (signature_len > PL_SIGNATURE_BYTES_MAX)
        return PARLEY_ETOOBIG;
    *signature = pl_read_bytes(&r, (size_t)signature_len);
    PL_TRY(pl_reader_end(&r));
    struct pl_reader inner = pl_reader_over(array);
    PL_TRY(read_array(&inner, out));
    hash_of(array, hash);
    return PARLEY_OK;
}
