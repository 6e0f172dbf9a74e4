/* SPDX-License-Identifier: Apache-2.0
 *
 * The private half of an identity. Private keys reach BearSSL's arithmetic only after this file has
 * bounded every number, and only after a signature made with them verified under their public key.
 * Every stack copy of private material is wiped on every path.
 */
#include "trust/identity.h"

#include "base/writer.h"
#include "core/hash.h"
#include "trust/der.h"
#include "trust/pem.h"
#include "trust/pubkey_int.h"
#include "trust/seal.h"

#include <bearssl.h>

#define FACTOR_BYTES_MAX (PL_RSA_MODULUS_BYTES_MAX / 2)
#define SEALED_VERSION   1
#define SEAL_CONTEXT     "parley identity"
#define PUBLIC_EXPONENT  65537
/* Entropy bytes for one HMAC-DRBG: 256 bits of strength and half as much nonce (SP 800-90A). */
#define SEED_BYTES 48

/* The order in which PKCS#1 and our sealed form have them. */
enum part { PART_P, PART_Q, PART_DP, PART_DQ, PART_IQ, PART_COUNT };

struct pl_identity {
    struct parley_env env; /* a copy: destroy needs it */
    struct pl_pubkey pubkey;
    uint8_t parts[PART_COUNT][FACTOR_BYTES_MAX];
    size_t part_lens[PART_COUNT];
};

/* A private key as lent spans, not checked yet. */
struct raw_key {
    struct parley_span modulus;
    struct parley_span exponent;
    struct parley_span parts[PART_COUNT];
};

/* Bytes of the sealed form: version, then every number behind a 16-bit length. */
#define RECORD_BYTES_MAX                                                                           \
    (1 + (2 + PL_RSA_MODULUS_BYTES_MAX) + (2 + 8) + PART_COUNT * (2 + FACTOR_BYTES_MAX))
_Static_assert(RECORD_BYTES_MAX + PL_SEAL_OVERHEAD_BYTES <= PL_IDENTITY_SEALED_BYTES_MAX,
               "a sealed identity must fit its documented bound");

static void set_diag(struct parley_diag *diag, const char *text)
{
    if (diag == NULL)
        return;
    pl_text_copy(diag->text, sizeof diag->text, text);
}

/* Refuses what BearSSL's private key operation must not see: factors that are not each exactly half
 * of the modulus, even ones, and exponents longer than their factor. */
static parley_err check_parts(const struct raw_key *raw)
{
    size_t half = raw->modulus.len / 2;
    if (raw->modulus.len % 2 != 0 || half > FACTOR_BYTES_MAX)
        return PARLEY_EMALFORMED;
    for (int i = PART_P; i < PART_COUNT; i++) {
        if (raw->parts[i].len == 0 || raw->parts[i].len > half)
            return PARLEY_EMALFORMED;
    }
    for (int i = PART_P; i <= PART_Q; i++) {
        if (raw->parts[i].len != half || (raw->parts[i].ptr[half - 1] & 1) == 0)
            return PARLEY_EMALFORMED;
    }
    return PARLEY_OK;
}

/* Signs and verifies once: p, q, dp, dq and iq then belong together and to the public key. */
static parley_err check_pair(const struct pl_identity *id)
{
    static const uint8_t probe[PL_SHA256_BYTES] = { 0x70, 0x61, 0x72, 0x6c, 0x65, 0x79 };
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    return pl_identity_sign(id, probe, signature, &len) == PARLEY_OK ? PARLEY_OK
                                                                     : PARLEY_EMALFORMED;
}

/* Copies a checked key into a new identity. */
static parley_err identity_from_raw(const struct parley_env *env, const struct raw_key *raw,
                                    struct pl_identity **out)
{
    struct pl_pubkey pubkey;
    PL_TRY(pl_pubkey_make(raw->modulus, raw->exponent, &pubkey));
    PL_TRY(check_parts(raw));
    struct pl_identity *id = env->alloc(env->ud, sizeof *id);
    if (id == NULL)
        return PARLEY_ENOMEM;
    *id = (struct pl_identity){ .env = *env, .pubkey = pubkey };
    for (int i = PART_P; i < PART_COUNT; i++) {
        memcpy(id->parts[i], raw->parts[i].ptr, raw->parts[i].len);
        id->part_lens[i] = raw->parts[i].len;
    }
    parley_err err = check_pair(id);
    if (err != PARLEY_OK) {
        pl_identity_destroy(id);
        return err;
    }
    *out = id;
    return PARLEY_OK;
}

/* BearSSL writes numbers of fixed width; ours have no leading zeros. */
static struct parley_span trimmed(const uint8_t *ptr, size_t len)
{
    struct parley_span number = pl_span_of(ptr, len);
    while (number.len != 0 && number.ptr[0] == 0)
        number = pl_span_after(number, 1);
    return number;
}

parley_err pl_identity_create(const struct parley_env *env, unsigned bits, struct pl_identity **out)
{
    if (bits != PL_RSA_BITS_DEFAULT && bits != PL_RSA_BITS_MAX)
        return PARLEY_EINVAL;
    uint8_t seed[SEED_BYTES];
    uint8_t private_buf[BR_RSA_KBUF_PRIV_SIZE(PL_RSA_BITS_MAX)];
    uint8_t public_buf[BR_RSA_KBUF_PUB_SIZE(PL_RSA_BITS_MAX)];
    br_hmac_drbg_context rng;
    br_rsa_private_key private_key;
    br_rsa_public_key public_key;

    env->entropy(env->ud, seed, sizeof seed);
    br_hmac_drbg_init(&rng, &br_sha256_vtable, seed, sizeof seed);
    parley_err err = PARLEY_EINVAL;
    if (br_rsa_keygen_get_default()(&rng.vtable, &private_key, private_buf, &public_key, public_buf,
                                    bits, PUBLIC_EXPONENT) == 1) {
        struct raw_key raw = { .modulus = trimmed(public_key.n, public_key.nlen),
                               .exponent = trimmed(public_key.e, public_key.elen) };
        raw.parts[PART_P] = trimmed(private_key.p, private_key.plen);
        raw.parts[PART_Q] = trimmed(private_key.q, private_key.qlen);
        raw.parts[PART_DP] = trimmed(private_key.dp, private_key.dplen);
        raw.parts[PART_DQ] = trimmed(private_key.dq, private_key.dqlen);
        raw.parts[PART_IQ] = trimmed(private_key.iq, private_key.iqlen);
        err = identity_from_raw(env, &raw, out);
    }
    pl_wipe(seed, sizeof seed);
    pl_wipe(&rng, sizeof rng);
    pl_wipe(private_buf, sizeof private_buf);
    pl_wipe_stack();
    return err;
}

/* RSAPrivateKey of PKCS#1, two primes. */
static parley_err read_pkcs1(struct parley_span der, struct raw_key *out)
{
    struct raw_key raw;
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader key = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span version = pl_der_read_uint(&key, 1);
    raw.modulus = pl_der_read_uint(&key, PL_RSA_MODULUS_BYTES_MAX);
    raw.exponent = pl_der_read_uint(&key, 8);
    /* The private exponent is not kept: signing works with its two halves. */
    struct parley_span unused = pl_der_read_uint(&key, PL_RSA_MODULUS_BYTES_MAX);
    (void)unused;
    for (int i = PART_P; i < PART_COUNT; i++)
        raw.parts[i] = pl_der_read_uint(&key, PL_RSA_MODULUS_BYTES_MAX);
    pl_der_leave(&r, &key);
    PL_TRY(pl_reader_end(&r));
    if (version.len != 0)
        return PARLEY_EMALFORMED;
    *out = raw;
    return PARLEY_OK;
}

/* PrivateKeyInfo of PKCS#8 around PKCS#1. */
static parley_err read_pkcs8(struct parley_span der, struct raw_key *out)
{
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader info = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span version = pl_der_read_uint(&info, 1);
    struct parley_span algorithm = pl_der_read_whole(&info, PL_DER_SEQUENCE);
    struct parley_span key = pl_der_read(&info, PL_DER_OCTET_STRING);
    if (pl_der_peek(&info) == PL_DER_CONTEXT_0)
        pl_der_read(&info, PL_DER_CONTEXT_0); /* attributes: allowed, meaningless here */
    pl_der_leave(&r, &info);
    PL_TRY(pl_reader_end(&r));
    if (version.len != 0)
        return PARLEY_EMALFORMED;
    if (!pl_span_equal(algorithm, pl_pubkey_algorithm(PL_KEY_RSA)))
        return PARLEY_EINVAL;
    return read_pkcs1(key, out);
}

static const char *import_problem(parley_err err)
{
    if (err == PARLEY_ETOOBIG)
        return "the private key is above 3072 bits";
    if (err == PARLEY_EINVAL)
        return "the private key is not RSA or below 2048 bits";
    if (err == PARLEY_ENOMEM)
        return "out of memory";
    return "the private key does not decode: expected one PEM block of PKCS#1 or PKCS#8";
}

/* Decides by the label which form follows. */
static parley_err decode_pem(struct parley_span pem, uint8_t der[PL_PEM_DER_BYTES_MAX],
                             struct raw_key *raw)
{
    struct parley_span label;
    size_t len;
    PL_TRY(pl_pem_label(pem, &label));
    if (pl_span_is(label, "PRIVATE KEY")) {
        PL_TRY(pl_pem_decode(pem, "PRIVATE KEY", der, PL_PEM_DER_BYTES_MAX, &len));
        return read_pkcs8(pl_span_of(der, len), raw);
    }
    if (pl_span_is(label, "RSA PRIVATE KEY")) {
        PL_TRY(pl_pem_decode(pem, "RSA PRIVATE KEY", der, PL_PEM_DER_BYTES_MAX, &len));
        return read_pkcs1(pl_span_of(der, len), raw);
    }
    return PARLEY_EINVAL;
}

parley_err pl_identity_import(const struct parley_env *env, struct parley_span pem,
                              struct pl_identity **out, struct parley_diag *diag)
{
    uint8_t der[PL_PEM_DER_BYTES_MAX];
    struct raw_key raw;
    parley_err err = decode_pem(pem, der, &raw);
    if (err == PARLEY_OK)
        err = identity_from_raw(env, &raw, out);
    pl_wipe(der, sizeof der);
    if (err != PARLEY_OK)
        set_diag(diag, import_problem(err));
    return err;
}

static void write_number(struct pl_writer *w, const uint8_t *ptr, size_t len)
{
    pl_write_u16(w, (uint16_t)len);
    pl_write_bytes(w, ptr, len);
}

static struct parley_span read_number(struct pl_reader *r)
{
    size_t len = pl_read_u16(r);
    return pl_read_bytes(r, len);
}

parley_err pl_identity_seal_with(const struct pl_identity *id, const struct parley_env *env,
                                 const struct pl_seal_key *key, uint8_t *out, size_t cap,
                                 size_t *len)
{
    uint8_t record[RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    pl_write_u8(&w, SEALED_VERSION);
    write_number(&w, id->pubkey.modulus, id->pubkey.modulus_len);
    write_number(&w, id->pubkey.exponent, id->pubkey.exponent_len);
    for (int i = PART_P; i < PART_COUNT; i++)
        write_number(&w, id->parts[i], id->part_lens[i]);
    PL_ASSERT(w.err == PARLEY_OK);
    parley_err err =
        pl_seal_with(env, key, pl_span_text(SEAL_CONTEXT), pl_writer_span(&w), out, cap, len);
    pl_wipe(record, sizeof record);
    return err;
}

parley_err pl_identity_seal(const struct pl_identity *id, const struct parley_env *env,
                            const struct pl_seal_secret *secret, uint8_t *out, size_t cap,
                            size_t *len)
{
    struct pl_seal_key key;
    PL_TRY(pl_seal_key_make(env, secret, &key));
    parley_err err = pl_identity_seal_with(id, env, &key, out, cap, len);
    pl_seal_key_wipe(&key);
    return err;
}

static parley_err read_record(struct parley_span record, struct raw_key *out)
{
    struct raw_key raw;
    struct pl_reader r = pl_reader_over(record);
    uint8_t version = pl_read_u8(&r);
    raw.modulus = read_number(&r);
    raw.exponent = read_number(&r);
    for (int i = PART_P; i < PART_COUNT; i++)
        raw.parts[i] = read_number(&r);
    PL_TRY(pl_reader_end(&r));
    if (version != SEALED_VERSION || raw.modulus.len == 0)
        return PARLEY_EMALFORMED;
    *out = raw;
    return PARLEY_OK;
}

parley_err pl_identity_unseal_with(const struct parley_env *env, const struct pl_seal_key *key,
                                   struct parley_span sealed, struct pl_identity **out)
{
    uint8_t record[RECORD_BYTES_MAX];
    struct raw_key raw;
    size_t len = 0;
    parley_err err =
        pl_unseal_with(key, pl_span_text(SEAL_CONTEXT), sealed, record, sizeof record, &len);
    if (err == PARLEY_EFULL)
        err = PARLEY_EMALFORMED; /* longer than any identity */
    if (err == PARLEY_OK)
        err = read_record(pl_span_of(record, len), &raw);
    if (err == PARLEY_OK) {
        err = identity_from_raw(env, &raw, out);
        if (err == PARLEY_EINVAL || err == PARLEY_ETOOBIG)
            err = PARLEY_EMALFORMED; /* we never seal such a key */
    }
    pl_wipe(record, sizeof record);
    return err;
}

parley_err pl_identity_unseal(const struct parley_env *env, const struct pl_seal_secret *secret,
                              struct parley_span sealed, struct pl_identity **out)
{
    struct pl_seal_key key;
    PL_TRY(pl_seal_key_of(secret, sealed, &key));
    parley_err err = pl_identity_unseal_with(env, &key, sealed, out);
    pl_seal_key_wipe(&key);
    return err;
}

void pl_identity_destroy(struct pl_identity *id)
{
    if (id == NULL)
        return;
    struct parley_env env = id->env;
    pl_wipe(id, sizeof *id);
    env.release(env.ud, id, sizeof *id);
}

const struct pl_pubkey *pl_identity_pubkey(const struct pl_identity *id)
{
    return &id->pubkey;
}

/* BearSSL takes the parts through pointers that are not const and only reads them. */
static unsigned char *part_ptr(const struct pl_identity *id, enum part part)
{
    return (unsigned char *)(uintptr_t)id->parts[part];
}

parley_err pl_identity_sign(const struct pl_identity *id, const uint8_t hash[32], uint8_t *out,
                            size_t *len)
{
    br_rsa_private_key key = { .n_bitlen = (uint32_t)(8 * id->pubkey.modulus_len),
                               .p = part_ptr(id, PART_P),
                               .plen = id->part_lens[PART_P],
                               .q = part_ptr(id, PART_Q),
                               .qlen = id->part_lens[PART_Q],
                               .dp = part_ptr(id, PART_DP),
                               .dplen = id->part_lens[PART_DP],
                               .dq = part_ptr(id, PART_DQ),
                               .dqlen = id->part_lens[PART_DQ],
                               .iq = part_ptr(id, PART_IQ),
                               .iqlen = id->part_lens[PART_IQ] };
    for (unsigned top = id->pubkey.modulus[0]; top < 0x80; top <<= 1)
        key.n_bitlen--;
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t size = id->pubkey.modulus_len;
    uint32_t done =
        br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, PL_SHA256_BYTES, &key, signature);
    pl_wipe_stack();
    /* One faulty bit in a CRT signature reveals the key, so none leaves unverified. Costs 8 %. */
    if (done != 1 ||
        pl_pubkey_verify(&id->pubkey, hash, pl_span_of(signature, size)) != PARLEY_OK) {
        pl_wipe(signature, sizeof signature);
        return PARLEY_ECORRUPT;
    }
    memcpy(out, signature, size);
    *len = size;
    return PARLEY_OK;
}
