/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that are good, and any header and claims properly signed. For one test program: it holds
 * functions.
 */
#ifndef TOKEN_FIXTURE_H
#define TOKEN_FIXTURE_H

#include "lib/testlib.h"

#include "lib/keys.h"

#include "core/base64.h"
#include "core/hash.h"
#include "core/iso8601.h"
#include "trust/token.h"

#include <bearssl.h>

/* 2026-01-01T00:00:00.5Z */
#define NOW    (INT64_C(1767225600) * PARLEY_US_PER_S + 500000)
#define ISSUER "local_sha256_0123456789abcdef0123456789abcdef"
#define HOSTED "hosted_sha256_fedcba9876543210fedcba9876543210"

#define WITH_ALG(alg) "{\"typ\":\"SBT\",\"alg\":" alg ",\"kid\":\"" ISSUER "\"}"
#define HEADER        WITH_ALG("\"RS256\"")
#define HEADER_ES     WITH_ALG("\"ES256\"")
#define TEXTS                                                                                      \
    "\"sbt_id\":\"t-1\",\"user_id\":\"u\",\"session_id\":\"s\",\"local_backend_id\":\"" ISSUER     \
    "\",\"hosted_backend_id\":\"" HOSTED "\","
#define TIMES                                                                                      \
    "\"created_at\":\"2026-01-01T00:00:00.500000Z\",\"expires_at\":"                               \
    "\"2026-01-01T08:00:00.500000Z\",\"iat\":1767225600,\"exp\":1767254400,"
#define NAMES  "\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"jti\":\"t-1\""
#define CLAIMS "{" TEXTS TIMES NAMES "}"

struct fixture {
    struct test_env t;
    struct pl_identity *id;
    struct pl_identity *other;
    struct pl_pubkey p256; /* the public half of TEST_KEY_EC */
    parley_err err;        /* of the last verification */
    enum pl_token_refusal why;
    char jwt[PARLEY_TOKEN_BYTES_MAX + 64];
    size_t len;
};

static inline void setup(struct fixture *f)
{
    *f = (struct fixture){ .len = 0 };
    test_env_init(&f->t);
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(TEST_KEY_A_PKCS1), &f->id, NULL));
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(TEST_KEY_B_PKCS1), &f->other, NULL));
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &f->p256));
}

static inline void teardown(struct fixture *f)
{
    pl_identity_destroy(f->id);
    pl_identity_destroy(f->other);
    assert_int_equal(0, f->t.allocs);
}

static inline struct pl_token token(void)
{
    return (struct pl_token){ .sbt_id = "t-1",
                              .user_id = "u",
                              .session_id = "s",
                              .local_backend_id = ISSUER,
                              .hosted_backend_id = HOSTED,
                              .issuer = ISSUER,
                              .created_at = NOW,
                              .expires_at = NOW + PL_TOKEN_TTL_US_DEFAULT };
}

static inline void issue(struct fixture *f, const struct pl_token *value)
{
    assert_ok(pl_token_issue(f->id, value, f->jwt, &f->len));
}

static inline const uint8_t *p256_scalar(void)
{
    return (const uint8_t *)TEST_KEY_EC_SCALAR;
}

static inline size_t sign_p256(const uint8_t hash[32], uint8_t out[PL_EC_SIGNATURE_BYTES])
{
    uint8_t scalar[PL_EC_PRIVATE_BYTES];
    br_ec_private_key key = { .curve = BR_EC_secp256r1, .x = scalar, .xlen = sizeof scalar };
    memcpy(scalar, p256_scalar(), sizeof scalar);
    return br_ecdsa_sign_raw_get_default()(br_ec_get_default(), &br_sha256_vtable, hash, &key, out);
}

/* Signs whatever it is given as header and claims, with the RSA key or the one of P-256. */
static inline void forge_as(struct fixture *f, bool p256, struct parley_span header,
                            struct parley_span claims)
{
    uint8_t hash[32];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    struct pl_writer w = pl_writer_over(f->jwt, sizeof f->jwt);
    pl_base64url_write(&w, header);
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, claims);
    pl_sha256_of(pl_writer_span(&w), hash);
    if (p256)
        len = sign_p256(hash, signature);
    else
        assert_ok(pl_identity_sign(f->id, hash, signature, &len));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_of(signature, len));
    assert_ok(w.err);
    f->len = w.len;
}

static inline void forge(struct fixture *f, const char *header, const char *claims)
{
    forge_as(f, false, pl_span_text(header), pl_span_text(claims));
}

/* The code of the refusal; "" when the token is accepted. */
static inline const char *verify_with(struct fixture *f, const struct pl_pubkey *key,
                                      const char *audience, parley_wall now)
{
    struct pl_token out;
    f->why = PL_TOKEN_ACCEPTED;
    f->err = pl_token_verify(pl_span_of(f->jwt, f->len), key, pl_span_text(audience), now, &out,
                             &f->why);
    assert_int_equal(f->err == PARLEY_OK, f->why == PL_TOKEN_ACCEPTED);
    return pl_token_refusal_code(f->why);
}

static inline const char *verify_at(struct fixture *f, const char *audience, parley_wall now)
{
    return verify_with(f, pl_identity_pubkey(f->id), audience, now);
}

static inline const char *verify(struct fixture *f)
{
    return verify_at(f, HOSTED, NOW);
}

#define assert_accepted(call)      assert_string_equal("", (call))
#define assert_refused(code, call) assert_string_equal((code), (call))

#endif
