/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "lib/keys.h"

#include "core/base64.h"
#include "core/hash.h"
#include "trust/token.h"

/* 2026-01-01T00:00:00.5Z */
#define NOW    (INT64_C(1767225600) * PARLEY_US_PER_S + 500000)
#define ISSUER "local_sha256_0123456789abcdef0123456789abcdef"
#define HOSTED "hosted_sha256_fedcba9876543210fedcba9876543210"

#define HEADER "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"" ISSUER "\"}"
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
    char jwt[PARLEY_TOKEN_BYTES_MAX + 64];
    size_t len;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){ .len = 0 };
    test_env_init(&f->t);
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(TEST_KEY_A_PKCS1), &f->id, NULL));
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(TEST_KEY_B_PKCS1), &f->other, NULL));
}

static void teardown(struct fixture *f)
{
    pl_identity_destroy(f->id);
    pl_identity_destroy(f->other);
    assert_int_equal(0, f->t.allocs);
}

static struct pl_token token(void)
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

static void issue(struct fixture *f, const struct pl_token *value)
{
    assert_ok(pl_token_issue(f->id, value, f->jwt, &f->len));
}

/* Signs whatever it is given as header and claims. */
static void forge(struct fixture *f, const char *header, const char *claims)
{
    uint8_t hash[32];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    struct pl_writer w = pl_writer_over(f->jwt, sizeof f->jwt);
    pl_base64url_write(&w, pl_span_text(header));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_text(claims));
    pl_sha256_of(pl_writer_span(&w), hash);
    assert_ok(pl_identity_sign(f->id, hash, signature, &len));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_of(signature, len));
    assert_ok(w.err);
    f->len = w.len;
}

static parley_err verify_at(struct fixture *f, const char *audience, parley_wall now)
{
    struct pl_token out;
    return pl_token_verify(pl_span_of(f->jwt, f->len), pl_identity_pubkey(f->id),
                           pl_span_text(audience), now, &out);
}

static parley_err verify(struct fixture *f)
{
    return verify_at(f, HOSTED, NOW);
}

static void issued_token_verifies_and_comes_back_equal(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    struct pl_token out;
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    issue(&f, &in);
    assert_ok(pl_token_peek_issuer(pl_span_of(f.jwt, f.len), issuer));
    assert_string_equal(ISSUER, issuer);
    assert_ok(pl_token_verify(pl_span_of(f.jwt, f.len), pl_identity_pubkey(f.id),
                              pl_span_text(HOSTED), NOW, &out));
    assert_string_equal(in.sbt_id, out.sbt_id);
    assert_string_equal(in.user_id, out.user_id);
    assert_string_equal(in.session_id, out.session_id);
    assert_string_equal(in.local_backend_id, out.local_backend_id);
    assert_string_equal(in.hosted_backend_id, out.hosted_backend_id);
    assert_string_equal(in.issuer, out.issuer);
    assert_int_equal(in.created_at, out.created_at);
    assert_int_equal(in.expires_at, out.expires_at);
    teardown(&f);
}

static void issued_text_is_exactly_the_documented_one(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    char *dot = strchr(f.jwt, '.');
    uint8_t json[1024];
    size_t len;
    assert_ok(
        pl_base64url_decode(pl_span_of(f.jwt, (size_t)(dot - f.jwt)), json, sizeof json, &len));
    assert_span_text(pl_span_of(json, len), HEADER);
    char *second = strchr(dot + 1, '.');
    assert_ok(pl_base64url_decode(pl_span_of(dot + 1, (size_t)(second - dot - 1)), json,
                                  sizeof json, &len));
    assert_span_text(pl_span_of(json, len),
                     "{" TEXTS "\"created_at\":\"2026-01-01T00:00:00.500000Z\",\"expires_at\":"
                     "\"2026-01-01T08:00:00.500000Z\"," NAMES
                     ",\"iat\":1767225600,\"exp\":1767254400}");
    teardown(&f);
}

static void either_bound_backend_is_an_audience_and_no_other(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    assert_ok(verify_at(&f, HOSTED, NOW));
    assert_ok(verify_at(&f, ISSUER, NOW));
    assert_err(PARLEY_EDENIED, verify_at(&f, "hosted_sha256_other", NOW));
    assert_err(PARLEY_EDENIED, verify_at(&f, "", NOW));
    memcpy(in.issuer, "edge_sha256_x", 14);
    issue(&f, &in);
    assert_err(PARLEY_EDENIED, verify_at(&f, HOSTED, NOW));
    teardown(&f);
}

static void times_are_checked_with_a_minute_of_leeway(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    assert_ok(verify_at(&f, HOSTED, in.expires_at + PL_TOKEN_LEEWAY_US));
    assert_err(PARLEY_EEXPIRED, verify_at(&f, HOSTED, in.expires_at + PL_TOKEN_LEEWAY_US + 1));
    assert_ok(verify_at(&f, HOSTED, NOW - PL_TOKEN_LEEWAY_US));
    assert_err(PARLEY_EAGAIN, verify_at(&f, HOSTED, NOW - PL_TOKEN_LEEWAY_US - 1));
    teardown(&f);
}

static void another_key_does_not_verify(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    struct pl_token out;
    issue(&f, &in);
    assert_err(PARLEY_EAUTH, pl_token_verify(pl_span_of(f.jwt, f.len), pl_identity_pubkey(f.other),
                                             pl_span_text(HOSTED), NOW, &out));
    teardown(&f);
}

static void algorithm_is_rs256_whatever_the_token_says(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
#define WITH_ALG(alg) "{\"typ\":\"SBT\",\"alg\":" alg ",\"kid\":\"" ISSUER "\"}"
    static const char *const bad[] = {
        WITH_ALG("\"none\""),
        WITH_ALG("\"HS256\""),
        WITH_ALG("\"ES256\""),
        WITH_ALG("\"rs256\""),
        WITH_ALG("\"RS2560\""),
        WITH_ALG("\"RS256\\u0020\""),
        WITH_ALG("\"\""),
        WITH_ALG("null"),
        WITH_ALG("256"),
        WITH_ALG("[\"RS256\"]"),
        "{\"typ\":\"SBT\",\"kid\":\"" ISSUER "\"}",
        "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"" ISSUER "\"}",
        "{\"alg\":\"RS256\",\"kid\":\"" ISSUER "\"}",
    };
    forge(&f, HEADER, CLAIMS);
    assert_ok(verify(&f));
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        forge(&f, bad[i], CLAIMS);
        assert_err(PARLEY_ETYPE, verify(&f));
    }
    /* The classic: no algorithm and no signature. */
    forge(&f, WITH_ALG("\"none\""), CLAIMS);
    f.len = (size_t)(strrchr(f.jwt, '.') - f.jwt) + 1;
    assert_err(PARLEY_ETYPE, verify(&f));
    forge(&f, HEADER, CLAIMS);
    f.len = (size_t)(strrchr(f.jwt, '.') - f.jwt) + 1;
    assert_err(PARLEY_EAUTH, verify(&f));
    teardown(&f);
}

/* RFC 2104 over SHA-256, whose block is 64 bytes, for a key longer than that. */
static void hmac_sha256(struct pl_span key, struct pl_span text, uint8_t out[32])
{
    uint8_t inner[64] = { 0 };
    uint8_t outer[64];
    struct pl_sha256 h;
    assert_true(key.len > sizeof inner);
    pl_sha256_of(key, inner);
    for (size_t i = 0; i < sizeof inner; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    pl_sha256_init(&h);
    pl_sha256_update(&h, inner, sizeof inner);
    pl_sha256_update(&h, text.ptr, text.len);
    pl_sha256_final(&h, out);
    pl_sha256_init(&h);
    pl_sha256_update(&h, outer, sizeof outer);
    pl_sha256_update(&h, out, 32);
    pl_sha256_final(&h, out);
}

/* The other classic: an HMAC under the public key, which everyone has. */
static void hmac_under_the_public_key_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(f.id), pem));
    static const char *const headers[] = { WITH_ALG("\"HS256\""), HEADER };
    static const parley_err expected[] = { PARLEY_ETYPE, PARLEY_EAUTH };
    for (size_t i = 0; i < PL_ARRAY_LEN(headers); i++) {
        struct pl_writer w = pl_writer_over(f.jwt, sizeof f.jwt);
        uint8_t mac[32];
        pl_base64url_write(&w, pl_span_text(headers[i]));
        pl_write_u8(&w, '.');
        pl_base64url_write(&w, pl_span_text(CLAIMS));
        hmac_sha256(pl_span_text(pem), pl_writer_span(&w), mac);
        pl_write_u8(&w, '.');
        pl_base64url_write(&w, pl_span_of(mac, sizeof mac));
        f.len = w.len;
        assert_err(expected[i], verify(&f));
    }
    teardown(&f);
}

static void malformed_headers_and_claims_are_refused_though_signed(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    static const struct {
        const char *header;
        const char *claims;
    } bad[] = {
        { "", CLAIMS },
        { "[]", CLAIMS },
        { HEADER "x", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\"}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"\"}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":1}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"other\"}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"" ISSUER "\"}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"" ISSUER "\"}", CLAIMS },
        { "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"" ISSUER "\",\"crit\":[\"x\"]}", CLAIMS },
        { HEADER, "" },
        { HEADER, "null" },
        { HEADER, "{}" },
        { HEADER, CLAIMS "," },
        { HEADER, "{" TEXTS TIMES NAMES ",\"user_id\":\"v\"}" },
        { HEADER, "{" TEXTS TIMES NAMES ",\"exp\":1767254400}" },
        { HEADER, "{" TEXTS NAMES "}" },
        { HEADER, "{" TIMES NAMES "}" },
        { HEADER, "{" TEXTS TIMES "\"iss\":\"x\",\"sub\":\"u\",\"jti\":\"t-1\"}" },
        { HEADER, "{" TEXTS TIMES "\"iss\":\"" ISSUER "\",\"sub\":\"v\",\"jti\":\"t-1\"}" },
        { HEADER, "{" TEXTS TIMES "\"iss\":\"" ISSUER "\",\"sub\":\"u\",\"jti\":\"t-2\"}" },
        { HEADER, "{" TEXTS "\"created_at\":\"2026-01-01T00:00:00Z\",\"expires_at\":"
                  "\"2026-01-01T08:00:00Z\",\"iat\":1767225601,\"exp\":1767254400," NAMES "}" },
        { HEADER, "{" TEXTS "\"created_at\":\"2026-01-01T00:00:00Z\",\"expires_at\":"
                  "\"2026-01-01T08:00:00Z\",\"iat\":1767225600.0,\"exp\":1767254400," NAMES "}" },
        { HEADER, "{" TEXTS "\"created_at\":\"2026-01-01T08:00:00Z\",\"expires_at\":"
                  "\"2026-01-01T00:00:00Z\",\"iat\":1767254400,\"exp\":1767225600," NAMES "}" },
        { HEADER, "{" TEXTS "\"created_at\":\"today\",\"expires_at\":"
                  "\"2026-01-01T08:00:00Z\",\"iat\":1767225600,\"exp\":1767254400," NAMES "}" },
        { HEADER, "{\"x\":\"\xff\"," TEXTS TIMES NAMES "}" },
        { HEADER, "{\"sbt_id\":\"t\\u0000\",\"user_id\":\"u\",\"session_id\":\"s\","
                  "\"local_backend_id\":\"" ISSUER "\",\"hosted_backend_id\":\"" HOSTED
                  "\"," TIMES NAMES "}" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        forge(&f, bad[i].header, bad[i].claims);
        assert_err(PARLEY_EMALFORMED, verify(&f));
    }
    teardown(&f);
}

static void unknown_keys_are_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    forge(&f,
          "{\"x\":{\"alg\":\"none\"},"
          "\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"" ISSUER "\"}",
          "{\"aud\":[1,[2,{\"iss\":3}]],\"aud\":1," TEXTS TIMES NAMES "}");
    assert_ok(verify(&f));
    teardown(&f);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    size_t whole = f.len;
    size_t last_dot = (size_t)(strrchr(f.jwt, '.') - f.jwt);
    for (f.len = 0; f.len < whole; f.len++) {
        parley_err err = verify(&f);
        if (f.len <= last_dot)
            assert_err(PARLEY_EMALFORMED, err);
        else
            assert_true(err == PARLEY_EAUTH || err == PARLEY_EMALFORMED);
    }
    teardown(&f);
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    for (size_t i = 0; i < f.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            f.jwt[i] = (char)(f.jwt[i] ^ (1 << bit));
            parley_err err = verify(&f);
            assert_true(err == PARLEY_EAUTH || err == PARLEY_EMALFORMED || err == PARLEY_ETYPE);
            f.jwt[i] = (char)(f.jwt[i] ^ (1 << bit));
        }
    }
    teardown(&f);
}

static void anything_around_a_token_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    static const char *const tails[] = { ".", " ", "\n", "=", "A", "AAAA", "." };
    for (size_t i = 0; i < PL_ARRAY_LEN(tails); i++) {
        issue(&f, &in);
        memcpy(f.jwt + f.len, tails[i], strlen(tails[i]));
        f.len += strlen(tails[i]);
        parley_err err = verify(&f);
        assert_true(err == PARLEY_EMALFORMED || err == PARLEY_EAUTH);
    }
    static char huge[PARLEY_TOKEN_BYTES_MAX + 1];
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_token out;
    assert_err(PARLEY_ETOOBIG, pl_token_peek_issuer(pl_span_of(huge, sizeof huge), issuer));
    assert_err(PARLEY_ETOOBIG,
               pl_token_verify(pl_span_of(huge, sizeof huge), pl_identity_pubkey(f.id),
                               pl_span_text(HOSTED), NOW, &out));
    teardown(&f);
}

static void longest_fields_fit_and_bad_ones_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    memset(in.sbt_id, 'x', PL_TOKEN_FIELD_BYTES_MAX);
    memset(in.user_id, 'y', PL_TOKEN_FIELD_BYTES_MAX);
    memset(in.session_id, 'z', PL_TOKEN_FIELD_BYTES_MAX);
    memset(in.issuer, 'i', PARLEY_BACKEND_ID_BYTES_MAX);
    memset(in.local_backend_id, 'i', PARLEY_BACKEND_ID_BYTES_MAX);
    issue(&f, &in);
    assert_ok(verify(&f));
    /* Control characters take six characters each. */
    memset(in.user_id, 1, PL_TOKEN_FIELD_BYTES_MAX);
    size_t len = 77;
    assert_err(PARLEY_ETOOBIG, pl_token_issue(f.id, &in, f.jwt, &len));
    assert_int_equal(77, len);
    memset(in.user_id, 0xff, PL_TOKEN_FIELD_BYTES_MAX);
    assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
    in = token();
    in.user_id[0] = '\0';
    assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
    in = token();
    in.expires_at = in.created_at - 1;
    assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
    in.created_at = -1;
    assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issued_token_verifies_and_comes_back_equal),
        cmocka_unit_test(issued_text_is_exactly_the_documented_one),
        cmocka_unit_test(either_bound_backend_is_an_audience_and_no_other),
        cmocka_unit_test(times_are_checked_with_a_minute_of_leeway),
        cmocka_unit_test(another_key_does_not_verify),
        cmocka_unit_test(algorithm_is_rs256_whatever_the_token_says),
        cmocka_unit_test(hmac_under_the_public_key_is_refused),
        cmocka_unit_test(malformed_headers_and_claims_are_refused_though_signed),
        cmocka_unit_test(unknown_keys_are_passed_over),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(anything_around_a_token_is_refused),
        cmocka_unit_test(longest_fields_fit_and_bad_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
