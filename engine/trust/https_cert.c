/* SPDX-License-Identifier: Apache-2.0
 *
 * H1. A private key is taken only when it is that of the leaf: RSA by comparing public keys after
 *     a signature of it verified (identity.c), P-256 by computing the point.
 * H2. Every stack copy of private material is wiped on every path.
 */
#include "trust/https_cert.h"

#include "base/writer.h"
#include "core/hash.h"
#include "core/iso8601.h"
#include "trust/cert.h"
#include "trust/der.h"
#include "trust/der_time.h"
#include "trust/pem.h"

#include <bearssl.h>

#define ECDSA_BYTES_MAX 72
#define DATE_CHARS      10 /* of an ISO 8601 time */

struct pl_https_cert {
    struct parley_env env; /* a copy: close needs it */
    size_t count;
    uint8_t der[PL_HTTPS_CHAIN_MAX][PL_PEM_DER_BYTES_MAX];
    size_t der_len[PL_HTTPS_CHAIN_MAX];
    int64_t not_after;
    struct pl_pubkey leaf_key;
    struct pl_identity *rsa_key;         /* NULL until set */
    uint8_t ec_key[PL_EC_PRIVATE_BYTES]; /* zeros until set */
};

/* What is read of each certificate. */
struct facts {
    int64_t not_before;
    int64_t not_after;
    struct parley_span public_key; /* SubjectPublicKeyInfo */
};

/* AlgorithmIdentifier { id-ecPublicKey, prime256v1 }, and the curve alone. */
static const uint8_t algorithm_p256[] = { 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                          0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
                                          0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t curve_p256[] = { 0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                      0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
/* The order of the group: a private key is 1 to one less. */
static const uint8_t order_p256[PL_EC_PRIVATE_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51
};

#define BYTES(array) pl_span_of((array), sizeof(array))

static parley_err fail(struct parley_diag *diag, parley_err err, const char *text)
{
    if (diag != NULL)
        pl_text_copy(diag->text, sizeof diag->text, text);
    return err;
}

/* ---- The chain ---- */

static parley_err fail_date(struct parley_diag *diag, size_t index, const char *what,
                            int64_t seconds)
{
    char date[PL_ISO8601_BYTES];
    if (diag == NULL)
        return PARLEY_EEXPIRED;
    pl_iso8601_format((uint64_t)seconds * (uint64_t)PARLEY_US_PER_S, date);
    struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
    pl_write_text(&w, "certificate ");
    pl_write_u8(&w, (uint8_t)('1' + index));
    pl_write_text(&w, what);
    pl_write_bytes(&w, date, DATE_CHARS);
    diag->text[w.len] = '\0';
    return PARLEY_EEXPIRED;
}

static parley_err read_facts(struct parley_span der, struct facts *out)
{
    struct facts facts;
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader certificate = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct pl_reader tbs = pl_der_enter(&certificate, PL_DER_SEQUENCE);
    if (pl_der_peek(&tbs) == PL_DER_CONTEXT_0)
        pl_der_read(&tbs, PL_DER_CONTEXT_0); /* the version */
    pl_der_read(&tbs, PL_DER_INTEGER);
    pl_der_read(&tbs, PL_DER_SEQUENCE);
    pl_der_read(&tbs, PL_DER_SEQUENCE); /* the issuer */
    struct pl_reader validity = pl_der_enter(&tbs, PL_DER_SEQUENCE);
    facts.not_before = pl_der_read_time(&validity);
    facts.not_after = pl_der_read_time(&validity);
    pl_der_leave(&tbs, &validity);
    pl_der_read(&tbs, PL_DER_SEQUENCE); /* the subject */
    facts.public_key = pl_der_read_whole(&tbs, PL_DER_SEQUENCE);
    /* Extensions follow; they are for the clients. */
    if (tbs.err != PARLEY_OK)
        pl_reader_fail(&certificate, tbs.err);
    pl_der_read(&certificate, PL_DER_SEQUENCE);
    pl_der_read(&certificate, PL_DER_BIT_STRING);
    pl_der_leave(&r, &certificate);
    if (pl_reader_end(&r) != PARLEY_OK)
        return PARLEY_EMALFORMED;
    *out = facts;
    return PARLEY_OK;
}

static parley_err read_leaf_key(struct pl_https_cert *cert, struct parley_span info,
                                struct parley_diag *diag)
{
    parley_err err = pl_pubkey_from_der(info, &cert->leaf_key);
    if (err == PARLEY_ETOOBIG)
        return fail(diag, err, "its RSA key is above 3072 bits");
    if (err != PARLEY_OK)
        return fail(diag, PARLEY_EINVAL, "its key is neither RSA of 2048 to 3072 bits nor P-256");
    return PARLEY_OK;
}

static parley_err add_certificate(struct pl_https_cert *cert, struct parley_span block,
                                  parley_wall now, struct parley_diag *diag)
{
    struct facts facts;
    size_t index = cert->count;
    if (index == PL_HTTPS_CHAIN_MAX)
        return fail(diag, PARLEY_ETOOBIG, "holds more than 4 certificates; leave the root away");
    parley_err err = pl_pem_decode(block, "CERTIFICATE", cert->der[index], sizeof cert->der[index],
                                   &cert->der_len[index]);
    if (err == PARLEY_ETOOBIG)
        return fail(diag, err, "a certificate in it is longer than 4096 bytes");
    if (err == PARLEY_OK)
        err = read_facts(pl_span_of(cert->der[index], cert->der_len[index]), &facts);
    if (err != PARLEY_OK)
        return fail(diag, PARLEY_EMALFORMED, "a certificate in it does not decode");
    int64_t seconds = now / PARLEY_US_PER_S;
    if (seconds > facts.not_after)
        return fail_date(diag, index, " of it expired on ", facts.not_after);
    if (seconds < facts.not_before)
        return fail_date(diag, index, " of it is not valid before ", facts.not_before);
    if (index == 0)
        PL_TRY(read_leaf_key(cert, facts.public_key, diag));
    if (index == 0 || facts.not_after < cert->not_after)
        cert->not_after = facts.not_after;
    cert->count++;
    return PARLEY_OK;
}

/* Takes every block called CERTIFICATE; others, a key in the same file, are passed over. */
static parley_err read_chain(struct pl_https_cert *cert, struct parley_span text, parley_wall now,
                             struct parley_diag *diag)
{
    for (;;) {
        struct parley_span block;
        struct parley_span label;
        bool found = false;
        parley_err err = pl_pem_cut(&text, &block, &found);
        if (err == PARLEY_OK && found)
            err = pl_pem_label(block, &label);
        if (err != PARLEY_OK)
            return fail(diag, err, "is not PEM");
        if (!found)
            break;
        if (pl_span_is(label, "CERTIFICATE"))
            PL_TRY(add_certificate(cert, block, now, diag));
    }
    if (cert->count == 0)
        return fail(diag, PARLEY_EMALFORMED, "holds no certificate in PEM");
    return PARLEY_OK;
}

parley_err pl_https_cert_open(const struct parley_env *env, struct parley_span pem, parley_wall now,
                              struct pl_https_cert **out, struct parley_diag *diag)
{
    if (pem.len > PL_HTTPS_PEM_BYTES_MAX)
        return fail(diag, PARLEY_ETOOBIG, "is longer than 64 KiB");
    struct pl_https_cert *cert = env->alloc(env->ud, sizeof *cert);
    if (cert == NULL)
        return fail(diag, PARLEY_ENOMEM, "out of memory");
    memset(cert, 0, sizeof *cert);
    cert->env = *env;
    parley_err err = read_chain(cert, pem, now, diag);
    if (err != PARLEY_OK) {
        pl_https_cert_close(cert);
        return err;
    }
    *out = cert;
    return PARLEY_OK;
}

void pl_https_cert_close(struct pl_https_cert *cert)
{
    if (cert == NULL)
        return;
    struct parley_env env = cert->env;
    pl_identity_destroy(cert->rsa_key);
    pl_wipe(cert, sizeof *cert);
    env.release(env.ud, cert, sizeof *cert);
}

/* ---- The key ---- */

static parley_err set_rsa_key(struct pl_https_cert *cert, struct parley_span block,
                              struct parley_diag *diag)
{
    struct pl_identity *key = NULL;
    PL_TRY(pl_identity_import(&cert->env, block, &key, diag));
    if (memcmp(pl_identity_pubkey(key)->fingerprint, cert->leaf_key.fingerprint,
               PL_FINGERPRINT_BYTES) != 0) {
        pl_identity_destroy(key);
        return fail(diag, PARLEY_EIDENTITY, "is not the key of the first certificate");
    }
    cert->rsa_key = key;
    return PARLEY_OK;
}

/* ECPrivateKey of RFC 5915. */
static parley_err read_sec1(struct parley_span der, struct parley_span *out)
{
    static const uint8_t version_1[] = { 0x02, 0x01, 0x01 };
    static const uint8_t tag_public = 0xa1;
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader key = pl_der_enter(&r, PL_DER_SEQUENCE);
    pl_der_expect(&key, BYTES(version_1), PARLEY_EMALFORMED);
    struct parley_span scalar = pl_der_read(&key, PL_DER_OCTET_STRING);
    if (pl_der_peek(&key) == PL_DER_CONTEXT_0)
        pl_der_expect(&key, BYTES(curve_p256), PARLEY_EINVAL);
    if (pl_der_peek(&key) == tag_public)
        pl_der_read(&key, tag_public); /* what it says is computed instead */
    pl_der_leave(&r, &key);
    PL_TRY(pl_reader_end(&r));
    if (scalar.len != PL_EC_PRIVATE_BYTES ||
        memcmp(scalar.ptr, order_p256, PL_EC_PRIVATE_BYTES) >= 0)
        return PARLEY_EINVAL;
    *out = scalar;
    return PARLEY_OK;
}

/* PrivateKeyInfo of PKCS#8 around it. */
static parley_err read_pkcs8(struct parley_span der, struct parley_span *out)
{
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader info = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span version = pl_der_read_uint(&info, 1);
    pl_der_expect(&info, BYTES(algorithm_p256), PARLEY_EINVAL);
    struct parley_span key = pl_der_read(&info, PL_DER_OCTET_STRING);
    if (pl_der_peek(&info) == PL_DER_CONTEXT_0)
        pl_der_read(&info, PL_DER_CONTEXT_0); /* attributes: allowed, meaningless here */
    pl_der_leave(&r, &info);
    PL_TRY(pl_reader_end(&r));
    return version.len != 0 ? PARLEY_EMALFORMED : read_sec1(key, out);
}

static bool is_key_of_point(struct parley_span scalar, const uint8_t point[PL_EC_PUBLIC_BYTES])
{
    uint8_t secret[PL_EC_PRIVATE_BYTES];
    uint8_t computed[BR_EC_KBUF_PUB_MAX_SIZE];
    memcpy(secret, scalar.ptr, sizeof secret);
    br_ec_private_key key = { .curve = BR_EC_secp256r1, .x = secret, .xlen = sizeof secret };
    size_t len = br_ec_compute_pub(br_ec_get_default(), NULL, computed, &key);
    pl_wipe(secret, sizeof secret);
    return len == PL_EC_PUBLIC_BYTES && memcmp(computed, point, len) == 0;
}

static parley_err set_ec_key(struct pl_https_cert *cert, struct parley_span block,
                             struct parley_span label, struct parley_diag *diag)
{
    uint8_t der[PL_PEM_DER_BYTES_MAX];
    size_t len = 0;
    struct parley_span scalar;
    bool is_pkcs8 = pl_span_is(label, "PRIVATE KEY");
    parley_err err =
        pl_pem_decode(block, is_pkcs8 ? "PRIVATE KEY" : "EC PRIVATE KEY", der, sizeof der, &len);
    if (err == PARLEY_OK)
        err = (is_pkcs8 ? read_pkcs8 : read_sec1)(pl_span_of(der, len), &scalar);
    if (err != PARLEY_OK)
        err = fail(diag, err, "is not a P-256 key, as the first certificate needs it");
    else if (!is_key_of_point(scalar, cert->leaf_key.point))
        err = fail(diag, PARLEY_EIDENTITY, "is not the key of the first certificate");
    else
        memcpy(cert->ec_key, scalar.ptr, sizeof cert->ec_key);
    pl_wipe(der, sizeof der);
    return err;
}

parley_err pl_https_cert_set_key(struct pl_https_cert *cert, struct parley_span pem,
                                 struct parley_diag *diag)
{
    if (pem.len > PL_HTTPS_PEM_BYTES_MAX)
        return fail(diag, PARLEY_ETOOBIG, "is longer than 64 KiB");
    for (;;) {
        struct parley_span block;
        struct parley_span label;
        bool found = false;
        parley_err err = pl_pem_cut(&pem, &block, &found);
        if (err == PARLEY_OK && found)
            err = pl_pem_label(block, &label);
        if (err != PARLEY_OK)
            return fail(diag, err, "is not PEM");
        if (!found)
            return fail(diag, PARLEY_EMALFORMED, "holds no private key in PEM");
        if (pl_span_is(label, "ENCRYPTED PRIVATE KEY"))
            return fail(diag, PARLEY_EINVAL, "is encrypted; store it without a pass phrase");
        bool is_key = pl_span_is(label, "PRIVATE KEY") || pl_span_is(label, "RSA PRIVATE KEY") ||
                      pl_span_is(label, "EC PRIVATE KEY");
        if (!is_key)
            continue; /* parameters of a curve, certificates */
        return cert->leaf_key.kind == PL_KEY_RSA ? set_rsa_key(cert, block, diag)
                                                 : set_ec_key(cert, block, label, diag);
    }
}

/* ---- Serving ---- */

size_t pl_https_cert_count(const struct pl_https_cert *cert)
{
    return cert->count;
}

struct parley_span pl_https_cert_at(const struct pl_https_cert *cert, size_t index)
{
    PL_ASSERT(index < cert->count);
    return pl_span_of(cert->der[index], cert->der_len[index]);
}

bool pl_https_cert_is_rsa(const struct pl_https_cert *cert)
{
    return cert->leaf_key.kind == PL_KEY_RSA;
}

int64_t pl_https_cert_not_after(const struct pl_https_cert *cert)
{
    return cert->not_after;
}

parley_err pl_https_cert_sign(const struct pl_https_cert *cert, const uint8_t hash[32],
                              uint8_t *out, size_t cap, size_t *len)
{
    if (cap < (cert->leaf_key.kind == PL_KEY_RSA ? PL_SIGNATURE_BYTES_MAX : ECDSA_BYTES_MAX))
        return PARLEY_EFULL;
    if (cert->leaf_key.kind == PL_KEY_RSA) {
        PL_ASSERT(cert->rsa_key != NULL);
        return pl_identity_sign(cert->rsa_key, hash, out, len);
    }
    /* BearSSL takes the key through a pointer that is not const and only reads it. */
    br_ec_private_key key = { .curve = BR_EC_secp256r1,
                              .x = (unsigned char *)(uintptr_t)cert->ec_key,
                              .xlen = sizeof cert->ec_key };
    size_t size =
        br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), &br_sha256_vtable, hash, &key, out);
    if (size == 0)
        return PARLEY_ECORRUPT;
    *len = size;
    return PARLEY_OK;
}
