/* SPDX-License-Identifier: Apache-2.0
 *
 * The sealed record, all integers big-endian:
 *
 *   0   8  magic "pl-seal" and a NUL
 *   8   1  version 1
 *   9   1  kind
 *   10  2  lanes     } of Argon2id;
 *   12  4  memory KiB} zero for raw
 *   16  4  passes    } key material
 *   20 32  salt, fresh for each secret: records of one salt share a key and differ in the nonce.
 *          Those are the few rotations of one identity: random nonces do not meet
 *   52 12  nonce, fresh for each record
 *   64  n  ciphertext
 *   64+n 16 tag
 *
 * The additional data is SHA-256 over bytes 0 to 63 and the context: nothing of it can be changed.
 *
 * libargon2 takes its 64 MiB from malloc: its allocator callbacks carry no user data, and a global
 * to smuggle the env through is worse. It runs at start and on operator commands only. One lane:
 * more would start threads.
 */
#include "trust/seal.h"

#include "base/reader.h"
#include "base/writer.h"
#include "core/hash.h"

#include <argon2.h>
#include <bearssl.h>

#define VERSION      1
#define KEY_BYTES    32
#define SALT_BYTES   32
#define NONCE_BYTES  12
#define TAG_BYTES    16
#define PARAMS_BYTES 20
#define HEAD_BYTES   (PARAMS_BYTES + SALT_BYTES + NONCE_BYTES)
_Static_assert(PARAMS_BYTES + SALT_BYTES == PL_SEAL_SALT_HEAD_BYTES, "the head up to the nonce");
_Static_assert(KEY_BYTES == PL_SEAL_KEY_BYTES, "the key is part of the API");
_Static_assert(HEAD_BYTES + TAG_BYTES == PL_SEAL_OVERHEAD_BYTES, "the overhead is part of the API");

#define ARGON2_LANES      1
#define ARGON2_MEMORY_KIB (64u << 10)
#define ARGON2_PASSES     3
/* What a record may ask for: above it, opening a hostile file would be the attack. */
#define ARGON2_MEMORY_KIB_MAX (1u << 20)
#define ARGON2_MEMORY_KIB_MIN 8
#define ARGON2_PASSES_MAX     10

static const uint8_t magic[8] = "pl-seal";

struct params {
    enum pl_seal_kind kind;
    uint16_t lanes;
    uint32_t memory_kib;
    uint32_t passes;
};

static parley_err check_secret(const struct pl_seal_secret *secret)
{
    if (secret->bytes.len == 0 || secret->bytes.len > PL_SEAL_SECRET_BYTES_MAX)
        return PARLEY_EINVAL;
    switch (secret->kind) {
    case PL_SEAL_RAW:
        /* Without stretching, less than 256 bits could be searched. */
        return secret->bytes.len >= KEY_BYTES ? PARLEY_OK : PARLEY_EINVAL;
    case PL_SEAL_PASSPHRASE:
        return PARLEY_OK;
    }
    return PARLEY_EINVAL;
}

static struct params params_for(enum pl_seal_kind kind)
{
    if (kind == PL_SEAL_RAW)
        return (struct params){ .kind = kind };
    return (struct params){ .kind = kind,
                            .lanes = ARGON2_LANES,
                            .memory_kib = ARGON2_MEMORY_KIB,
                            .passes = ARGON2_PASSES };
}

static parley_err read_params(struct parley_span head, struct params *out)
{
    struct pl_reader r = pl_reader_over(head);
    struct parley_span found = pl_read_bytes(&r, sizeof magic);
    uint8_t version = pl_read_u8(&r);
    uint8_t kind = pl_read_u8(&r);
    uint16_t lanes = pl_read_u16(&r);
    uint32_t memory_kib = pl_read_u32(&r);
    uint32_t passes = pl_read_u32(&r);
    PL_TRY(pl_reader_end(&r));
    if (!pl_span_equal(found, pl_span_of(magic, sizeof magic)) || version != VERSION)
        return PARLEY_EMALFORMED;
    if (kind == PL_SEAL_RAW) {
        if (lanes != 0 || memory_kib != 0 || passes != 0)
            return PARLEY_EMALFORMED;
    } else if (kind == PL_SEAL_PASSPHRASE) {
        if (lanes != ARGON2_LANES || passes == 0 || passes > ARGON2_PASSES_MAX)
            return PARLEY_EMALFORMED;
        if (memory_kib < ARGON2_MEMORY_KIB_MIN || memory_kib > ARGON2_MEMORY_KIB_MAX)
            return PARLEY_EMALFORMED;
    } else {
        return PARLEY_EMALFORMED;
    }
    *out = (struct params){
        .kind = (enum pl_seal_kind)kind, .lanes = lanes, .memory_kib = memory_kib, .passes = passes
    };
    return PARLEY_OK;
}

static void write_params(const struct params *params, uint8_t head[PARAMS_BYTES])
{
    struct pl_writer w = pl_writer_over(head, PARAMS_BYTES);
    pl_write_bytes(&w, magic, sizeof magic);
    pl_write_u8(&w, VERSION);
    pl_write_u8(&w, (uint8_t)params->kind);
    pl_write_u16(&w, params->lanes);
    pl_write_u32(&w, params->memory_kib);
    pl_write_u32(&w, params->passes);
    PL_ASSERT(w.err == PARLEY_OK && w.len == PARAMS_BYTES);
}

static parley_err stretch(const struct params *params, struct parley_span secret,
                          const uint8_t *salt, uint8_t out[KEY_BYTES])
{
    int rc = argon2id_hash_raw(params->passes, params->memory_kib, params->lanes, secret.ptr,
                               secret.len, salt, SALT_BYTES, out, KEY_BYTES);
    if (rc == ARGON2_OK)
        return PARLEY_OK;
    return rc == ARGON2_MEMORY_ALLOCATION_ERROR ? PARLEY_ENOMEM : PARLEY_EINVAL;
}

/* HKDF over the stretched pass phrase, or over the key material as it is. */
static parley_err derive_key(const struct pl_seal_secret *secret, const struct params *params,
                             const uint8_t *salt, uint8_t out[KEY_BYTES])
{
    uint8_t stretched[KEY_BYTES];
    struct parley_span material = secret->bytes;
    if (params->kind == PL_SEAL_PASSPHRASE) {
        parley_err err = stretch(params, secret->bytes, salt, stretched);
        if (err != PARLEY_OK) {
            pl_wipe(stretched, sizeof stretched);
            return err;
        }
        material = pl_span_of(stretched, sizeof stretched);
    }
    static const char info[] = "parley seal v1";
    br_hkdf_context hkdf;
    br_hkdf_init(&hkdf, &br_sha256_vtable, salt, SALT_BYTES);
    br_hkdf_inject(&hkdf, material.ptr, material.len);
    br_hkdf_flip(&hkdf);
    br_hkdf_produce(&hkdf, info, strlen(info), out, KEY_BYTES);
    pl_wipe(&hkdf, sizeof hkdf);
    if (params->kind == PL_SEAL_PASSPHRASE)
        pl_wipe(stretched, sizeof stretched);
    return PARLEY_OK;
}

/* Runs the AEAD in place over `data` and gives the tag. */
static void crypt(const uint8_t key[KEY_BYTES], const uint8_t *head, struct parley_span context,
                  uint8_t *data, size_t len, uint8_t tag[TAG_BYTES], bool encrypt)
{
    uint8_t bound[PL_SHA256_BYTES];
    struct pl_sha256 hash;
    pl_sha256_init(&hash);
    pl_sha256_update(&hash, head, HEAD_BYTES);
    pl_sha256_update(&hash, context.ptr, context.len);
    pl_sha256_final(&hash, bound);
    br_poly1305_ctmul_run(key, head + PARAMS_BYTES + SALT_BYTES, data, len, bound, sizeof bound,
                          tag, br_chacha20_ct_run, encrypt ? 1 : 0);
}

parley_err pl_seal_key_make(const struct parley_env *env, const struct pl_seal_secret *secret,
                            struct pl_seal_key *out)
{
    PL_TRY(check_secret(secret));
    struct params params = params_for(secret->kind);
    struct pl_seal_key key;
    write_params(&params, key.head);
    env->entropy(env->ud, key.head + PARAMS_BYTES, SALT_BYTES);
    parley_err err = derive_key(secret, &params, key.head + PARAMS_BYTES, key.key);
    if (err == PARLEY_OK)
        *out = key;
    pl_seal_key_wipe(&key);
    return err;
}

parley_err pl_seal_key_of(const struct pl_seal_secret *secret, struct parley_span sealed,
                          struct pl_seal_key *out)
{
    PL_TRY(check_secret(secret));
    if (sealed.len < PL_SEAL_OVERHEAD_BYTES)
        return PARLEY_EMALFORMED;
    struct params params;
    PL_TRY(read_params(pl_span_of(sealed.ptr, PARAMS_BYTES), &params));
    if (params.kind != secret->kind)
        return PARLEY_ESEALED;
    struct pl_seal_key key;
    memcpy(key.head, sealed.ptr, sizeof key.head);
    parley_err err = derive_key(secret, &params, key.head + PARAMS_BYTES, key.key);
    if (err == PARLEY_OK)
        *out = key;
    pl_seal_key_wipe(&key);
    return err;
}

void pl_seal_key_wipe(struct pl_seal_key *key)
{
    pl_wipe(key, sizeof *key);
}

parley_err pl_seal_with(const struct parley_env *env, const struct pl_seal_key *key,
                        struct parley_span context, struct parley_span plain, uint8_t *out,
                        size_t cap, size_t *len)
{
    uint8_t head[HEAD_BYTES];
    if (cap < PL_SEAL_OVERHEAD_BYTES || plain.len > cap - PL_SEAL_OVERHEAD_BYTES)
        return PARLEY_EFULL;
    memcpy(head, key->head, sizeof key->head);
    env->entropy(env->ud, head + sizeof key->head, NONCE_BYTES);
    if (plain.len != 0)
        memmove(out + HEAD_BYTES, plain.ptr, plain.len);
    memcpy(out, head, sizeof head);
    crypt(key->key, head, context, out + HEAD_BYTES, plain.len, out + HEAD_BYTES + plain.len, true);
    *len = plain.len + PL_SEAL_OVERHEAD_BYTES;
    return PARLEY_OK;
}

parley_err pl_unseal_with(const struct pl_seal_key *key, struct parley_span context,
                          struct parley_span sealed, uint8_t *out, size_t cap, size_t *len)
{
    uint8_t tag[TAG_BYTES];
    if (sealed.len < PL_SEAL_OVERHEAD_BYTES)
        return PARLEY_EMALFORMED;
    size_t plain_len = sealed.len - PL_SEAL_OVERHEAD_BYTES;
    if (plain_len > cap)
        return PARLEY_EFULL;
    if (memcmp(key->head, sealed.ptr, sizeof key->head) != 0)
        return PARLEY_ESEALED;
    if (plain_len != 0)
        memcpy(out, sealed.ptr + HEAD_BYTES, plain_len);
    crypt(key->key, sealed.ptr, context, out, plain_len, tag, false);
    if (!pl_equal_ct(tag, sealed.ptr + HEAD_BYTES + plain_len, TAG_BYTES)) {
        /* BearSSL deciphers before the tag can be compared: nothing of it may stay. */
        pl_wipe(out, plain_len);
        return PARLEY_ESEALED;
    }
    *len = plain_len;
    return PARLEY_OK;
}

parley_err pl_seal(const struct parley_env *env, const struct pl_seal_secret *secret,
                   struct parley_span context, struct parley_span plain, uint8_t *out, size_t cap,
                   size_t *len)
{
    struct pl_seal_key key;
    PL_TRY(check_secret(secret));
    /* Before the costly part. */
    if (cap < PL_SEAL_OVERHEAD_BYTES || plain.len > cap - PL_SEAL_OVERHEAD_BYTES)
        return PARLEY_EFULL;
    PL_TRY(pl_seal_key_make(env, secret, &key));
    parley_err err = pl_seal_with(env, &key, context, plain, out, cap, len);
    pl_seal_key_wipe(&key);
    return err;
}

parley_err pl_unseal(const struct parley_env *env, const struct pl_seal_secret *secret,
                     struct parley_span context, struct parley_span sealed, uint8_t *out,
                     size_t cap, size_t *len)
{
    (void)env;
    struct params params;
    struct pl_seal_key key;
    PL_TRY(check_secret(secret));
    if (sealed.len < PL_SEAL_OVERHEAD_BYTES)
        return PARLEY_EMALFORMED;
    PL_TRY(read_params(pl_span_of(sealed.ptr, PARAMS_BYTES), &params));
    if (sealed.len - PL_SEAL_OVERHEAD_BYTES > cap)
        return PARLEY_EFULL;
    PL_TRY(pl_seal_key_of(secret, sealed, &key));
    parley_err err = pl_unseal_with(&key, context, sealed, out, cap, len);
    pl_seal_key_wipe(&key);
    return err;
}
