/* SPDX-License-Identifier: Apache-2.0
 *
 * X.509 v3, the two shapes that parley makes and the one that it accepts. Fields are written last
 * to first (der.h). The leaf's subject differs from its issuer in the organisation, since software
 * takes a certificate whose two names are equal for self-signed.
 */
#include "trust/cert.h"

#include "core/hash.h"
#include "trust/der.h"
#include "trust/der_time.h"
#include "trust/pubkey_int.h"

#include <bearssl.h>

#define SERIAL_BYTES 16
#define KEY_ID_BYTES 20
#define SEED_BYTES   48
/* RFC 5280: ub-common-name. */
#define COMMON_NAME_BYTES_MAX 64
#define DAY_S                 INT64_C(86400)
#define LEAF_LIFE_S           (90 * DAY_S)
#define CA_LIFE_S             (3650 * DAY_S)

/* AlgorithmIdentifier { sha256WithRSAEncryption, NULL }. */
static const uint8_t algorithm_rs256[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                           0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00 };
/* Contents of object identifiers. */
static const uint8_t oid_common_name[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_organisation[] = { 0x55, 0x04, 0x0a };
static const uint8_t oid_subject_key_id[] = { 0x55, 0x1d, 0x0e };
static const uint8_t oid_key_usage[] = { 0x55, 0x1d, 0x0f };
static const uint8_t oid_alt_name[] = { 0x55, 0x1d, 0x11 };
static const uint8_t oid_basic_constraints[] = { 0x55, 0x1d, 0x13 };
static const uint8_t oid_authority_key_id[] = { 0x55, 0x1d, 0x23 };
static const uint8_t oid_extended_usage[] = { 0x55, 0x1d, 0x25 };

/* Values of extensions that never vary. */
static const uint8_t value_ca[] = { 0x30, 0x03, 0x01, 0x01, 0xff };
static const uint8_t value_not_ca[] = { 0x30, 0x00 };
static const uint8_t value_usage_ca[] = { 0x03, 0x02, 0x01, 0x06 };   /* keyCertSign, cRLSign */
static const uint8_t value_usage_leaf[] = { 0x03, 0x02, 0x07, 0x80 }; /* digitalSignature */
static const uint8_t value_tls_both[] = {                             /* serverAuth, clientAuth */
                                          0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05,
                                          0x05, 0x07, 0x03, 0x01, 0x06, 0x08, 0x2b, 0x06,
                                          0x01, 0x05, 0x05, 0x07, 0x03, 0x02
};
static const char organisation_ca[] = "parley identity";
static const char organisation_leaf[] = "parley node";

#define BYTES(array) pl_span_of((array), sizeof(array))

/* What differs between the two shapes. */
struct shape {
    bool is_ca;
    const char *backend_id;
    uint8_t serial[SERIAL_BYTES];
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
    struct parley_span subject_key_id;
    struct parley_span authority_key_id;
    const struct pl_cert_names *names; /* of the leaf; may be NULL */
    struct parley_span ec_point;       /* of the leaf */
    const struct pl_pubkey *ca_key;    /* of the CA */
};

/* ---- Writing ---- */

static void put_name_part(struct pl_der_writer *w, struct parley_span oid, const char *text)
{
    size_t end = pl_der_mark(w);
    pl_der_put(w, PL_DER_UTF8_STRING, pl_span_text(text));
    pl_der_put(w, PL_DER_OID, oid);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    pl_der_wrap(w, PL_DER_SET, end);
}

static void put_name(struct pl_der_writer *w, const char *organisation, const char *backend_id)
{
    size_t end = pl_der_mark(w);
    put_name_part(w, BYTES(oid_common_name), backend_id);
    put_name_part(w, BYTES(oid_organisation), organisation);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
}

/* Ends an extension whose value has been written since `end`. */
static void wrap_extension(struct pl_der_writer *w, struct parley_span oid, bool critical,
                           size_t end)
{
    static const uint8_t true_byte[] = { 0xff };
    pl_der_wrap(w, PL_DER_OCTET_STRING, end);
    if (critical)
        pl_der_put(w, PL_DER_BOOLEAN, BYTES(true_byte));
    pl_der_put(w, PL_DER_OID, oid);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
}

static void put_extension(struct pl_der_writer *w, struct parley_span oid, bool critical,
                          struct parley_span value)
{
    size_t end = pl_der_mark(w);
    pl_der_put_bytes(w, value);
    wrap_extension(w, oid, critical, end);
}

static void put_alt_names(struct pl_der_writer *w, const struct pl_cert_names *names)
{
    static const uint8_t tag_dns = 0x82;
    static const uint8_t tag_ip = 0x87;
    static const uint8_t loopback4[4] = { 127, 0, 0, 1 };
    static const uint8_t loopback6[16] = { [15] = 1 };
    size_t end = pl_der_mark(w);
    for (size_t i = names == NULL ? 0 : names->count; i > 0; i--) {
        bool is_ip = false;
        struct parley_span name = pl_cert_names_at(names, i - 1, &is_ip);
        pl_der_put(w, is_ip ? tag_ip : tag_dns, name);
    }
    pl_der_put(w, tag_ip, BYTES(loopback6));
    pl_der_put(w, tag_ip, BYTES(loopback4));
    pl_der_put(w, tag_dns, pl_span_text("localhost"));
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    wrap_extension(w, BYTES(oid_alt_name), false, end);
}

static void put_key_ids(struct pl_der_writer *w, const struct shape *shape)
{
    static const uint8_t tag_key_id = 0x80;
    size_t end = pl_der_mark(w);
    pl_der_put(w, tag_key_id, shape->authority_key_id);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    wrap_extension(w, BYTES(oid_authority_key_id), false, end);
    end = pl_der_mark(w);
    pl_der_put(w, PL_DER_OCTET_STRING, shape->subject_key_id);
    wrap_extension(w, BYTES(oid_subject_key_id), false, end);
}

static void put_extensions(struct pl_der_writer *w, const struct shape *shape)
{
    size_t end = pl_der_mark(w);
    if (shape->is_ca) {
        put_extension(w, BYTES(oid_key_usage), true, BYTES(value_usage_ca));
        put_extension(w, BYTES(oid_basic_constraints), true, BYTES(value_ca));
    } else {
        put_alt_names(w, shape->names);
        put_extension(w, BYTES(oid_extended_usage), false, BYTES(value_tls_both));
        put_extension(w, BYTES(oid_key_usage), true, BYTES(value_usage_leaf));
        put_extension(w, BYTES(oid_basic_constraints), true, BYTES(value_not_ca));
    }
    put_key_ids(w, shape);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    pl_der_wrap(w, PL_DER_CONTEXT_3, end);
}

static parley_err put_public_key(struct pl_der_writer *w, const struct shape *shape)
{
    if (shape->is_ca) {
        uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
        size_t len;
        PL_TRY(pl_pubkey_to_der(shape->ca_key, der, &len));
        pl_der_put_bytes(w, pl_span_of(der, len));
        return PARLEY_OK;
    }
    size_t end = pl_der_mark(w);
    pl_der_put_bytes(w, shape->ec_point);
    pl_der_wrap_bits(w, end);
    pl_der_put_bytes(w, pl_pubkey_algorithm(PL_KEY_P256));
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    return PARLEY_OK;
}

static parley_err put_to_be_signed(struct pl_der_writer *w, const struct shape *shape)
{
    static const uint8_t version_3[] = { 2 };
    size_t end = pl_der_mark(w);
    put_extensions(w, shape);
    PL_TRY(put_public_key(w, shape));
    put_name(w, shape->is_ca ? organisation_ca : organisation_leaf, shape->backend_id);
    size_t validity_end = pl_der_mark(w);
    pl_der_put_time(w, shape->not_after);
    pl_der_put_time(w, shape->not_before);
    pl_der_wrap(w, PL_DER_SEQUENCE, validity_end);
    put_name(w, organisation_ca, shape->backend_id);
    pl_der_put_bytes(w, BYTES(algorithm_rs256));
    pl_der_put_uint(w, BYTES(shape->serial));
    size_t version_end = pl_der_mark(w);
    pl_der_put_uint(w, BYTES(version_3));
    pl_der_wrap(w, PL_DER_CONTEXT_0, version_end);
    pl_der_wrap(w, PL_DER_SEQUENCE, end);
    return w->err;
}

/* Writes what is to be signed, signs it and writes the whole. */
static parley_err certificate_make(const struct pl_identity *id, const struct shape *shape,
                                   uint8_t out[PL_CERT_DER_BYTES_MAX], size_t *len)
{
    uint8_t tbs_buf[PL_CERT_DER_BYTES_MAX];
    struct pl_der_writer tbs = pl_der_writer_over(tbs_buf, sizeof tbs_buf);
    PL_TRY(put_to_be_signed(&tbs, shape));
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t signature_len;
    pl_sha256_of(pl_der_written(&tbs), hash);
    PL_TRY(pl_identity_sign(id, hash, signature, &signature_len));

    struct pl_der_writer w = pl_der_writer_over(out, PL_CERT_DER_BYTES_MAX);
    size_t end = pl_der_mark(&w);
    pl_der_put_bytes(&w, pl_span_of(signature, signature_len));
    pl_der_wrap_bits(&w, end);
    pl_der_put_bytes(&w, BYTES(algorithm_rs256));
    pl_der_put_bytes(&w, pl_der_written(&tbs));
    pl_der_wrap(&w, PL_DER_SEQUENCE, end);
    return pl_der_finish(&w, len);
}

/* A serial is positive and not zero. */
static void serial_fix(uint8_t serial[SERIAL_BYTES])
{
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
}

static parley_err check_backend_id(const char *backend_id)
{
    size_t len = strlen(backend_id);
    return len >= 1 && len <= COMMON_NAME_BYTES_MAX ? PARLEY_OK : PARLEY_EINVAL;
}

static parley_err make_ec_key(const struct parley_env *env, struct pl_tls_credential *credential)
{
    uint8_t seed[SEED_BYTES];
    uint8_t private_buf[BR_EC_KBUF_PRIV_MAX_SIZE];
    uint8_t public_buf[BR_EC_KBUF_PUB_MAX_SIZE];
    br_hmac_drbg_context rng;
    br_ec_private_key private_key;
    br_ec_public_key public_key;
    const br_ec_impl *ec = br_ec_get_default();

    env->entropy(env->ud, seed, sizeof seed);
    br_hmac_drbg_init(&rng, &br_sha256_vtable, seed, sizeof seed);
    size_t private_len = br_ec_keygen(&rng.vtable, ec, &private_key, private_buf, BR_EC_secp256r1);
    size_t public_len = 0;
    if (private_len == PL_EC_PRIVATE_BYTES)
        public_len = br_ec_compute_pub(ec, &public_key, public_buf, &private_key);
    parley_err err = PARLEY_EINVAL;
    if (public_len == PL_EC_PUBLIC_BYTES) {
        memcpy(credential->private_key, private_buf, PL_EC_PRIVATE_BYTES);
        memcpy(credential->public_key, public_buf, PL_EC_PUBLIC_BYTES);
        err = PARLEY_OK;
    }
    pl_wipe(seed, sizeof seed);
    pl_wipe(&rng, sizeof rng);
    pl_wipe(private_buf, sizeof private_buf);
    return err;
}

parley_err pl_tls_credential_make(const struct parley_env *env, const struct pl_identity *id,
                                  const char *backend_id, const struct pl_cert_names *names,
                                  parley_wall now, struct pl_tls_credential *out)
{
    PL_TRY(check_backend_id(backend_id));
    int64_t seconds = now / PARLEY_US_PER_S;
    if (seconds < DAY_S || seconds > PL_DER_SECONDS_MAX - LEAF_LIFE_S)
        return PARLEY_EINVAL;
    struct pl_tls_credential credential = { .not_before = seconds - DAY_S,
                                            .not_after = seconds + LEAF_LIFE_S };
    uint8_t point_hash[PL_SHA256_BYTES];
    parley_err err = make_ec_key(env, &credential);
    if (err != PARLEY_OK)
        goto out;
    pl_sha256_of(BYTES(credential.public_key), point_hash);
    struct shape shape = { .backend_id = backend_id,
                           .not_before = credential.not_before,
                           .not_after = credential.not_after,
                           .subject_key_id = pl_span_of(point_hash, KEY_ID_BYTES),
                           .names = names,
                           .ec_point = BYTES(credential.public_key) };
    shape.authority_key_id = pl_span_of(pl_identity_pubkey(id)->fingerprint, KEY_ID_BYTES);
    env->entropy(env->ud, shape.serial, sizeof shape.serial);
    serial_fix(shape.serial);
    err = certificate_make(id, &shape, credential.leaf, &credential.leaf_len);
    if (err == PARLEY_OK)
        *out = credential;
out:
    pl_tls_credential_wipe(&credential);
    return err;
}

bool pl_tls_credential_is_due(const struct pl_tls_credential *credential, parley_wall now)
{
    int64_t seconds = now / PARLEY_US_PER_S;
    return seconds >= credential->not_after - LEAF_LIFE_S / 3 || seconds < credential->not_before;
}

void pl_tls_credential_wipe(struct pl_tls_credential *credential)
{
    pl_wipe(credential, sizeof *credential);
}

parley_err pl_cert_ca_make(const struct pl_identity *id, const char *backend_id,
                           parley_wall created, uint8_t out[PL_CERT_DER_BYTES_MAX], size_t *len)
{
    PL_TRY(check_backend_id(backend_id));
    int64_t seconds = created / PARLEY_US_PER_S;
    if (created < 0 || seconds > PL_DER_SECONDS_MAX - CA_LIFE_S)
        return PARLEY_EINVAL;
    const struct pl_pubkey *key = pl_identity_pubkey(id);
    struct shape shape = { .is_ca = true,
                           .backend_id = backend_id,
                           .not_before = seconds,
                           .not_after = seconds + CA_LIFE_S,
                           .subject_key_id = pl_span_of(key->fingerprint, KEY_ID_BYTES),
                           .authority_key_id = pl_span_of(key->fingerprint, KEY_ID_BYTES),
                           .ca_key = key };
    /* The serial follows from the key and the date, so that making it again gives the same. */
    uint8_t seed[PL_FINGERPRINT_BYTES + 8];
    uint8_t hash[PL_SHA256_BYTES];
    memcpy(seed, key->fingerprint, PL_FINGERPRINT_BYTES);
    for (size_t i = 0; i < 8; i++)
        seed[PL_FINGERPRINT_BYTES + i] = (uint8_t)((uint64_t)seconds >> (56 - 8 * i));
    pl_sha256_of(BYTES(seed), hash);
    memcpy(shape.serial, hash, SERIAL_BYTES);
    serial_fix(shape.serial);
    return certificate_make(id, &shape, out, len);
}

/* ---- Checking ---- */

struct leaf {
    struct parley_span tbs;
    struct parley_span point;
    struct parley_span signature;
    int64_t not_before;
    int64_t not_after;
};

static bool is_known_extension(struct parley_span oid)
{
    return pl_span_equal(oid, BYTES(oid_subject_key_id)) ||
           pl_span_equal(oid, BYTES(oid_key_usage)) || pl_span_equal(oid, BYTES(oid_alt_name)) ||
           pl_span_equal(oid, BYTES(oid_basic_constraints)) ||
           pl_span_equal(oid, BYTES(oid_authority_key_id)) ||
           pl_span_equal(oid, BYTES(oid_extended_usage));
}

/* A leaf says that it is no CA and may sign; unknown extensions must not be critical. */
static void read_extensions(struct pl_reader *tbs)
{
    struct pl_reader outer = pl_der_enter(tbs, PL_DER_CONTEXT_3);
    struct pl_reader list = pl_der_enter(&outer, PL_DER_SEQUENCE);
    unsigned constraints_count = 0;
    unsigned usage_count = 0;
    while (list.err == PARLEY_OK && pl_reader_left(&list) != 0) {
        struct pl_reader one = pl_der_enter(&list, PL_DER_SEQUENCE);
        struct parley_span oid = pl_der_read(&one, PL_DER_OID);
        bool critical = pl_der_peek(&one) == PL_DER_BOOLEAN;
        struct parley_span truth =
            critical ? pl_der_read(&one, PL_DER_BOOLEAN) : pl_span_of(NULL, 0);
        if (critical && (truth.len != 1 || truth.ptr[0] != 0xff))
            pl_reader_fail(&one, PARLEY_EMALFORMED);
        struct parley_span value = pl_der_read(&one, PL_DER_OCTET_STRING);
        if (pl_span_equal(oid, BYTES(oid_basic_constraints))) {
            constraints_count += pl_span_equal(value, BYTES(value_not_ca)) ? 1 : 2;
        } else if (pl_span_equal(oid, BYTES(oid_key_usage))) {
            usage_count += pl_span_equal(value, BYTES(value_usage_leaf)) ? 1 : 2;
        } else if (critical && !is_known_extension(oid)) {
            pl_reader_fail(&one, PARLEY_EMALFORMED);
        }
        pl_der_leave(&list, &one);
    }
    if (constraints_count != 1 || usage_count != 1)
        pl_reader_fail(&list, PARLEY_EMALFORMED);
    pl_der_leave(&outer, &list);
    pl_der_leave(tbs, &outer);
}

static struct parley_span read_point(struct pl_reader *tbs)
{
    struct pl_reader info = pl_der_enter(tbs, PL_DER_SEQUENCE);
    pl_der_expect(&info, pl_pubkey_algorithm(PL_KEY_P256), PARLEY_EMALFORMED);
    struct parley_span point = pl_der_read_bits(&info);
    pl_der_leave(tbs, &info);
    if (point.len != PL_EC_PUBLIC_BYTES || point.ptr[0] != 0x04)
        pl_reader_fail(tbs, PARLEY_EMALFORMED);
    return point;
}

static void read_to_be_signed(struct parley_span bytes, struct leaf *leaf, struct pl_reader *outer)
{
    static const uint8_t version_3[] = { 0x02, 0x01, 0x02 };
    struct pl_reader r = pl_reader_over(bytes);
    struct pl_reader tbs = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct pl_reader version = pl_der_enter(&tbs, PL_DER_CONTEXT_0);
    pl_der_expect(&version, BYTES(version_3), PARLEY_EMALFORMED);
    pl_der_leave(&tbs, &version);
    struct parley_span serial = pl_der_read_uint(&tbs, 20);
    if (serial.len == 0)
        pl_reader_fail(&tbs, PARLEY_EMALFORMED);
    pl_der_expect(&tbs, BYTES(algorithm_rs256), PARLEY_EMALFORMED);
    /* The names prove nothing: the key does. */
    pl_der_read(&tbs, PL_DER_SEQUENCE);
    struct pl_reader validity = pl_der_enter(&tbs, PL_DER_SEQUENCE);
    leaf->not_before = pl_der_read_time(&validity);
    leaf->not_after = pl_der_read_time(&validity);
    pl_der_leave(&tbs, &validity);
    pl_der_read(&tbs, PL_DER_SEQUENCE);
    leaf->point = read_point(&tbs);
    read_extensions(&tbs);
    pl_der_leave(&r, &tbs);
    pl_der_leave(outer, &r);
}

static parley_err read_leaf(struct parley_span der, struct leaf *out)
{
    struct leaf leaf = { .not_after = 0 };
    struct pl_reader r = pl_reader_over(der);
    struct pl_reader certificate = pl_der_enter(&r, PL_DER_SEQUENCE);
    leaf.tbs = pl_der_read_whole(&certificate, PL_DER_SEQUENCE);
    if (certificate.err == PARLEY_OK)
        read_to_be_signed(leaf.tbs, &leaf, &certificate);
    pl_der_expect(&certificate, BYTES(algorithm_rs256), PARLEY_EMALFORMED);
    leaf.signature = pl_der_read_bits(&certificate);
    pl_der_leave(&r, &certificate);
    PL_TRY(pl_reader_end(&r));
    *out = leaf;
    return PARLEY_OK;
}

parley_err pl_cert_leaf_check(struct parley_span der, const struct pl_pubkey *issuer,
                              parley_wall now, uint8_t point[PL_EC_PUBLIC_BYTES])
{
    if (der.len > PL_CERT_DER_BYTES_MAX)
        return PARLEY_EMALFORMED;
    struct leaf leaf;
    if (read_leaf(der, &leaf) != PARLEY_OK)
        return PARLEY_EMALFORMED;
    /* The signature first: only then do the dates say anything about the peer. */
    if (issuer != NULL) {
        /* The algorithm in the leaf is RSA, so an ECDSA signature would be another one's. */
        if (issuer->kind != PL_KEY_RSA)
            return PARLEY_EAUTH;
        uint8_t hash[PL_SHA256_BYTES];
        pl_sha256_of(leaf.tbs, hash);
        PL_TRY(pl_pubkey_verify(issuer, hash, leaf.signature));
    }
    int64_t seconds = now / PARLEY_US_PER_S;
    if (now < 0 || seconds < leaf.not_before || seconds > leaf.not_after)
        return PARLEY_EEXPIRED;
    memcpy(point, leaf.point.ptr, PL_EC_PUBLIC_BYTES);
    return PARLEY_OK;
}
