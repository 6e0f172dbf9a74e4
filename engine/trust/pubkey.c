/* SPDX-License-Identifier: Apache-2.0
 *
 * The public half of an identity: checking, reading and writing SubjectPublicKeyInfo, verifying
 * signatures, deriving backend ids.
 */
#include "trust/pubkey_int.h"

#include "core/hash.h"
#include "trust/der.h"
#include "trust/pem.h"

#include <bearssl.h>

static const uint8_t rsa_algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
static const uint8_t p256_algorithm[] = { 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                          0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
                                          0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };

struct parley_span pl_pubkey_algorithm(enum pl_key_kind kind)
{
    if (kind == PL_KEY_P256)
        return pl_span_of(p256_algorithm, sizeof p256_algorithm);
    return pl_span_of(rsa_algorithm, sizeof rsa_algorithm);
}

static size_t bit_length(struct parley_span number)
{
    if (number.len == 0)
        return 0;
    size_t bits = 8 * (number.len - 1);
    for (unsigned top = number.ptr[0]; top != 0; top >>= 1)
        bits++;
    return bits;
}

static parley_err add_fingerprint(struct pl_pubkey *key)
{
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len;
    PL_TRY(pl_pubkey_to_der(key, der, &len));
    pl_sha256_of(pl_span_of(der, len), key->fingerprint);
    return PARLEY_OK;
}

parley_err pl_pubkey_make(struct parley_span modulus, struct parley_span exponent,
                          struct pl_pubkey *out)
{
    size_t bits = bit_length(modulus);
    if (bits > PL_RSA_BITS_MAX || exponent.len > sizeof out->exponent)
        return PARLEY_ETOOBIG;
    if (bits < PL_RSA_BITS_DEFAULT)
        return PARLEY_EINVAL;
    /* An even modulus has no Montgomery form, an even exponent no inverse, and 1 signs nothing. */
    bool exponent_is_one = exponent.len == 1 && exponent.ptr[0] == 1;
    if (exponent.len == 0 || exponent.ptr[0] == 0 || exponent_is_one)
        return PARLEY_EMALFORMED;
    if ((modulus.ptr[modulus.len - 1] & exponent.ptr[exponent.len - 1] & 1) == 0)
        return PARLEY_EMALFORMED;

    struct pl_pubkey key = { .kind = PL_KEY_RSA,
                             .modulus_len = modulus.len,
                             .exponent_len = exponent.len };
    memcpy(key.modulus, modulus.ptr, modulus.len);
    memcpy(key.exponent, exponent.ptr, exponent.len);
    PL_TRY(add_fingerprint(&key));
    *out = key;
    return PARLEY_OK;
}

/* BearSSL checks the point before it multiplies; by one, that is all there is to pay for. */
static bool is_on_curve(const uint8_t point[PL_EC_PUBLIC_BYTES])
{
    static const unsigned char one[1] = { 1 };
    uint8_t copy[PL_EC_PUBLIC_BYTES];
    memcpy(copy, point, sizeof copy);
    return br_ec_get_default()->mul(copy, sizeof copy, one, sizeof one, BR_EC_secp256r1) == 1;
}

static parley_err make_p256(struct parley_span point, struct pl_pubkey *out)
{
    struct pl_pubkey key = { .kind = PL_KEY_P256 };
    if (point.len != sizeof key.point || point.ptr[0] != 0x04)
        return PARLEY_EMALFORMED;
    memcpy(key.point, point.ptr, point.len);
    if (!is_on_curve(key.point))
        return PARLEY_EMALFORMED;
    PL_TRY(add_fingerprint(&key));
    *out = key;
    return PARLEY_OK;
}

parley_err pl_pubkey_to_der(const struct pl_pubkey *key, uint8_t out[PL_PUBKEY_DER_BYTES_MAX],
                            size_t *len)
{
    struct pl_der_writer w = pl_der_writer_over(out, PL_PUBKEY_DER_BYTES_MAX);
    size_t end = pl_der_mark(&w);
    switch (key->kind) {
    case PL_KEY_RSA:
        pl_der_put_uint(&w, pl_span_of(key->exponent, key->exponent_len));
        pl_der_put_uint(&w, pl_span_of(key->modulus, key->modulus_len));
        pl_der_wrap(&w, PL_DER_SEQUENCE, end);
        pl_der_wrap_bits(&w, end);
        break;
    case PL_KEY_P256:
        pl_der_put_bytes(&w, pl_span_of(key->point, sizeof key->point));
        pl_der_wrap_bits(&w, end);
        break;
    }
    pl_der_put_bytes(&w, pl_pubkey_algorithm(key->kind));
    pl_der_wrap(&w, PL_DER_SEQUENCE, end);
    return pl_der_finish(&w, len);
}

static parley_err read_rsa(struct parley_span bits, struct pl_pubkey *out)
{
    struct pl_reader r = pl_reader_over(bits);
    struct pl_reader key = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span modulus = pl_der_read_uint(&key, PL_RSA_MODULUS_BYTES_MAX);
    struct parley_span exponent = pl_der_read_uint(&key, sizeof out->exponent);
    pl_der_leave(&r, &key);
    PL_TRY(pl_reader_end(&r));
    return pl_pubkey_make(modulus, exponent, out);
}

parley_err pl_pubkey_from_der(struct parley_span der, struct pl_pubkey *out)
{
    if (der.len > PL_PUBKEY_DER_BYTES_MAX)
        return PARLEY_ETOOBIG;
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader info = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span algorithm = pl_der_read_whole(&info, PL_DER_SEQUENCE);
    struct parley_span bits = pl_der_read_bits(&info);
    pl_der_leave(&r, &info);
    PL_TRY(pl_reader_end(&r));
    if (pl_span_equal(algorithm, pl_pubkey_algorithm(PL_KEY_RSA)))
        return read_rsa(bits, out);
    if (pl_span_equal(algorithm, pl_pubkey_algorithm(PL_KEY_P256)))
        return make_p256(bits, out);
    return PARLEY_EINVAL;
}

parley_err pl_pubkey_to_pem(const struct pl_pubkey *key,
                            char out[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1])
{
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len;
    PL_TRY(pl_pubkey_to_der(key, der, &len));
    return pl_pem_encode(pl_span_of(der, len), "PUBLIC KEY", out,
                         PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1);
}

parley_err pl_pubkey_from_pem(struct parley_span pem, struct pl_pubkey *out)
{
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len;
    PL_TRY(pl_pem_decode(pem, "PUBLIC KEY", der, sizeof der, &len));
    return pl_pubkey_from_der(pl_span_of(der, len), out);
}

/* EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01 ff ... ff 00, DigestInfo of SHA-256, hash. */
static void encode_hash(const uint8_t hash[32], uint8_t *out, size_t len)
{
    static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    size_t tail = sizeof info + PL_SHA256_BYTES;
    PL_ASSERT(len >= tail + 11);
    memset(out, 0xff, len);
    out[0] = 0x00;
    out[1] = 0x01;
    out[len - tail - 1] = 0x00;
    memcpy(out + len - tail, info, sizeof info);
    memcpy(out + len - PL_SHA256_BYTES, hash, PL_SHA256_BYTES);
}

/* Encodes and compares, as the RFC has it: there is one right encoding and nothing to parse.
 * BearSSL's own verifier also takes a DigestInfo without the NULL. */
static bool verify_rsa(const struct pl_pubkey *key, const uint8_t hash[32],
                       struct parley_span signature)
{
    /* BearSSL takes the numbers through pointers that are not const and only reads them. */
    struct pl_pubkey copy = *key;
    br_rsa_public_key rsa = {
        .n = copy.modulus, .nlen = copy.modulus_len, .e = copy.exponent, .elen = copy.exponent_len
    };
    uint8_t found[PL_SIGNATURE_BYTES_MAX];
    uint8_t expected[PL_SIGNATURE_BYTES_MAX];
    if (signature.len != key->modulus_len)
        return false;
    memcpy(found, signature.ptr, signature.len);
    if (br_rsa_public_get_default()(found, signature.len, &rsa) != 1) /* not below the modulus */
        return false;
    encode_hash(hash, expected, signature.len);
    return pl_equal_ct(found, expected, signature.len);
}

static bool verify_p256(const struct pl_pubkey *key, const uint8_t hash[32],
                        struct parley_span signature)
{
    struct pl_pubkey copy = *key;
    br_ec_public_key ec = { .curve = BR_EC_secp256r1, .q = copy.point, .qlen = sizeof copy.point };
    /* BearSSL would take any even length, with leading zeros or without. */
    if (signature.len != PL_EC_SIGNATURE_BYTES)
        return false;
    return br_ecdsa_vrfy_raw_get_default()(br_ec_get_default(), hash, PL_SHA256_BYTES, &ec,
                                           signature.ptr, signature.len) == 1;
}

parley_err pl_pubkey_verify(const struct pl_pubkey *key, const uint8_t hash[32],
                            struct parley_span signature)
{
    switch (key->kind) {
    case PL_KEY_RSA:
        return verify_rsa(key, hash, signature) ? PARLEY_OK : PARLEY_EAUTH;
    case PL_KEY_P256:
        return verify_p256(key, hash, signature) ? PARLEY_OK : PARLEY_EAUTH;
    }
    return PARLEY_EAUTH;
}

const char *pl_backend_type_name(enum pl_backend_type type)
{
    switch (type) {
    case PL_BACKEND_LOCAL:
        return "local";
    case PL_BACKEND_HOSTED:
        return "hosted";
    case PL_BACKEND_EDGE:
        return "edge";
    }
    return "?";
}

parley_err pl_backend_type_parse(struct parley_span text, enum pl_backend_type *out)
{
    for (int type = PL_BACKEND_LOCAL; type <= PL_BACKEND_EDGE; type++) {
        if (pl_span_is(text, pl_backend_type_name((enum pl_backend_type)type))) {
            *out = (enum pl_backend_type)type;
            return PARLEY_OK;
        }
    }
    return PARLEY_EINVAL;
}

void pl_backend_id_make(enum pl_backend_type type, const struct pl_pubkey *first_key,
                        char out[PARLEY_BACKEND_ID_BYTES_MAX + 1])
{
    const char *name = pl_backend_type_name(type);
    static const char infix[] = "_sha256_";
    const size_t hash_bytes = 16;
    size_t name_len = strlen(name);
    PL_ASSERT(name_len + strlen(infix) + 2 * hash_bytes <= PARLEY_BACKEND_ID_BYTES_MAX);
    memcpy(out, name, name_len);
    memcpy(out + name_len, infix, strlen(infix));
    char *hex = out + name_len + strlen(infix);
    pl_hex_encode(first_key->fingerprint, hash_bytes, hex);
    hex[2 * hash_bytes] = '\0';
}

bool pl_backend_id_names(struct parley_span id, const struct pl_pubkey *first_key)
{
    char made[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    for (int type = PL_BACKEND_LOCAL; type <= PL_BACKEND_EDGE; type++) {
        pl_backend_id_make((enum pl_backend_type)type, first_key, made);
        if (pl_span_is(id, made))
            return true;
    }
    return false;
}
