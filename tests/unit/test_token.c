/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/token_fixture.h"

static void issued_token_verifies_and_comes_back_equal(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    struct pl_token out;
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    issue(&f, &in);
    assert_ok(pl_token_peek_issuer(pl_span_of(f.jwt, f.len), issuer, NULL));
    assert_string_equal(ISSUER, issuer);
    assert_ok(pl_token_verify(pl_span_of(f.jwt, f.len), pl_identity_pubkey(f.id),
                              pl_span_text(HOSTED), NOW, &out, NULL));
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
    assert_accepted(verify_at(&f, HOSTED, NOW));
    assert_accepted(verify_at(&f, ISSUER, NOW));
    assert_refused("token-audience", verify_at(&f, "hosted_sha256_other", NOW));
    assert_refused("token-audience", verify_at(&f, "", NOW));
    memcpy(in.issuer, "edge_sha256_x", 14);
    issue(&f, &in);
    assert_refused("token-issuer-not-bound", verify_at(&f, HOSTED, NOW));
    teardown(&f);
}

static void times_are_checked_with_a_minute_of_leeway(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    issue(&f, &in);
    assert_accepted(verify_at(&f, HOSTED, in.expires_at + PL_TOKEN_LEEWAY_US));
    assert_refused("token-expired", verify_at(&f, HOSTED, in.expires_at + PL_TOKEN_LEEWAY_US + 1));
    assert_accepted(verify_at(&f, HOSTED, NOW - PL_TOKEN_LEEWAY_US));
    assert_refused("token-not-yet-valid", verify_at(&f, HOSTED, NOW - PL_TOKEN_LEEWAY_US - 1));
    teardown(&f);
}

static void times_go_on_where_32_bits_of_seconds_end(void **state)
{
    static const int64_t seconds[] = { INT32_MAX, UINT32_MAX };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(seconds); i++) {
        struct fixture f;
        setup(&f);
        struct pl_token in = token();
        in.created_at = seconds[i] * PARLEY_US_PER_S;
        in.expires_at = in.created_at + PL_TOKEN_TTL_US_DEFAULT;
        issue(&f, &in);
        assert_accepted(verify_at(&f, HOSTED, in.expires_at));
        assert_refused("token-expired",
                       verify_at(&f, HOSTED, in.expires_at + PL_TOKEN_LEEWAY_US + 1));
        assert_refused("token-not-yet-valid", verify_at(&f, HOSTED, NOW));
        teardown(&f);
    }
}

static void another_key_does_not_verify(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    size_t len = 0;
    issue(&f, &in);
    assert_refused("token-signature", verify_with(&f, pl_identity_pubkey(f.other), HOSTED, NOW));
    static const uint8_t scalar[PL_EC_PRIVATE_BYTES] = { 1 };
    assert_ok(pl_token_issue_es256(scalar, &in, f.jwt, &len));
    f.len = len;
    assert_refused("token-signature", verify_with(&f, &f.p256, HOSTED, NOW));
    teardown(&f);
}

/* Of a token that is known only the signature is taken as read, and for its key alone. */
static void a_known_signature_is_not_calculated_again_and_nothing_else_is_known(void **state)
{
    (void)state;
    static struct pl_token_signatures known;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    struct pl_token out;
    issue(&f, &in);
    struct parley_span jwt = pl_span_of(f.jwt, f.len);
    struct parley_span audience = pl_span_text(HOSTED);
    struct pl_pubkey key = *pl_identity_pubkey(f.id);
    assert_err(PARLEY_EAUTH, pl_token_verify_known(&known, jwt, pl_identity_pubkey(f.other),
                                                   audience, NOW, &out, NULL));
    assert_ok(pl_token_verify_known(&known, jwt, &key, audience, NOW, &out, NULL));
    key.modulus[9] ^= 1; /* under its fingerprint nothing verifies any more: it is not asked */
    assert_err(PARLEY_EAUTH, pl_token_verify(jwt, &key, audience, NOW, &out, NULL));
    assert_ok(pl_token_verify_known(&known, jwt, &key, audience, NOW, &out, NULL));
    assert_string_equal(in.sbt_id, out.sbt_id);
    assert_err(PARLEY_EAUTH, pl_token_verify_known(&known, jwt, pl_identity_pubkey(f.other),
                                                   audience, NOW, &out, NULL));
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    parley_wall late = in.expires_at + 3600 * PARLEY_US_PER_S;
    assert_true(pl_token_verify_known(&known, jwt, &key, audience, late, &out, &why) != PARLEY_OK);
    assert_string_equal("token-expired", pl_token_refusal_code(why));
    f.jwt[f.len - 20] = (char)(f.jwt[f.len - 20] == 'A' ? 'B' : 'A');
    assert_err(PARLEY_EAUTH, pl_token_verify_known(&known, jwt, &key, audience, NOW, &out, NULL));
    teardown(&f);
}

static void es256_tokens_verify_under_their_p256_key_alone(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    struct pl_token out;
    assert_ok(pl_token_issue_es256(p256_scalar(), &in, f.jwt, &f.len));
    assert_accepted(verify_with(&f, &f.p256, HOSTED, NOW));
    assert_ok(
        pl_token_verify(pl_span_of(f.jwt, f.len), &f.p256, pl_span_text(HOSTED), NOW, &out, NULL));
    assert_string_equal(in.sbt_id, out.sbt_id);
    assert_string_equal(in.issuer, out.issuer);
    assert_refused("token-alg-key", verify(&f));
    /* The header is as the other algorithm's but for its name. */
    char first[PARLEY_TOKEN_BYTES_MAX];
    size_t first_len = f.len;
    memcpy(first, f.jwt, f.len);
    forge_as(&f, true, pl_span_text(HEADER_ES), pl_span_text(CLAIMS));
    assert_accepted(verify_with(&f, &f.p256, HOSTED, NOW));
    assert_ok(pl_token_issue_es256(p256_scalar(), &in, f.jwt, &f.len));
    assert_int_equal(first_len, f.len);
    assert_memory_equal(first, f.jwt, f.len); /* no nonce to leak the key by */
    teardown(&f);
}

static void es256_is_not_signed_with_a_scalar_that_is_no_key(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    uint8_t scalar[PL_EC_PRIVATE_BYTES] = { 0 };
    size_t len = 77;
    assert_err(PARLEY_EINVAL, pl_token_issue_es256(scalar, &in, f.jwt, &len));
    memset(scalar, 0xff, sizeof scalar);
    assert_err(PARLEY_EINVAL, pl_token_issue_es256(scalar, &in, f.jwt, &len));
    in.user_id[0] = '\0';
    assert_err(PARLEY_EINVAL, pl_token_issue_es256(p256_scalar(), &in, f.jwt, &len));
    assert_int_equal(77, len);
    teardown(&f);
}

/* RFC 2104 over SHA-256, whose block is 64 bytes, for a key longer than that. */
static void hmac_sha256(struct parley_span key, struct parley_span text, uint8_t out[32])
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

/* A classic: an HMAC under the public key, which everyone has. */
static void hmac_under_the_public_key_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    static const struct {
        const char *header;
        const char *code;
    } rows[] = { { WITH_ALG("\"HS256\""), "token-alg-hmac" },
                 { WITH_ALG("\"HS512\""), "token-alg-hmac" },
                 { HEADER, "token-signature" },
                 { HEADER_ES, "token-alg-key" } };
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(f.id), pem));
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        struct pl_writer w = pl_writer_over(f.jwt, sizeof f.jwt);
        uint8_t mac[32];
        pl_base64url_write(&w, pl_span_text(rows[i].header));
        pl_write_u8(&w, '.');
        pl_base64url_write(&w, pl_span_text(CLAIMS));
        hmac_sha256(pl_span_text(pem), pl_writer_span(&w), mac);
        pl_write_u8(&w, '.');
        pl_base64url_write(&w, pl_span_of(mac, sizeof mac));
        f.len = w.len;
        assert_refused(rows[i].code, verify(&f));
    }
    teardown(&f);
}

/* ---- Every refusal ---- */

#define KID                  "\"kid\":\"" ISSUER "\""
#define SBT_RS256            "\"typ\":\"SBT\",\"alg\":\"RS256\""
#define MALFORMED            "token-malformed"
#define ALGORITHM            "token-algorithm"
#define SHORT(iss, sub, jti) "\"iss\":\"" iss "\",\"sub\":\"" sub "\",\"jti\":\"" jti "\""
#define CREATED              "\"created_at\":\"2026-01-01T00:00:00Z\","
#define EXPIRES              "\"expires_at\":\"2026-01-01T08:00:00Z\","
#define BOUND(user, local, hosted)                                                                 \
    "\"sbt_id\":\"t-1\",\"user_id\":\"" user                                                       \
    "\",\"session_id\":\"s\",\"local_backend_id\":\"" local "\",\"hosted_backend_id\":\"" hosted   \
    "\","

/* Properly signed, so that nothing but the rule named refuses it. */
static const struct row {
    const char *code;
    const char *header;
    const char *claims;
} signed_rows[] = {
    /* Rule 2. */
    { MALFORMED, "", CLAIMS },
    { MALFORMED, "[]", CLAIMS },
    { MALFORMED, HEADER "x", CLAIMS },
    { MALFORMED, "{" SBT_RS256 "," KID "," KID "}", CLAIMS },
    { MALFORMED, "{\"alg\":\"none\"," SBT_RS256 "," KID "}", CLAIMS },
    { MALFORMED, "{" SBT_RS256 "," KID ",\"alg\":\"none\"}", CLAIMS },
    { MALFORMED, "{" SBT_RS256 "," KID ",\"typ\":\"SBT\"}", CLAIMS },
    { MALFORMED, "{" SBT_RS256 "," KID ",\"x\":1,\"\\u0078\":1}", CLAIMS },
    { "token-no-kid", "{" SBT_RS256 "}", CLAIMS },
    { "token-no-kid", "{" SBT_RS256 ",\"kid\":\"\"}", CLAIMS },
    { "token-no-kid", "{" SBT_RS256 ",\"kid\":1}", CLAIMS },
    { "token-no-kid", "{" SBT_RS256 ",\"kid\":\"" ISSUER ISSUER "\"}", CLAIMS },
    { "token-type", "{\"typ\":\"JWT\",\"alg\":\"RS256\"," KID "}", CLAIMS },
    { "token-type", "{\"typ\":\"sbt\",\"alg\":\"RS256\"," KID "}", CLAIMS },
    { "token-type", "{\"typ\":[\"SBT\"],\"alg\":\"RS256\"," KID "}", CLAIMS },
    { "token-type", "{\"alg\":\"RS256\"," KID "}", CLAIMS },
    { "token-alg-none", WITH_ALG("\"none\""), CLAIMS },
    { "token-alg-none", WITH_ALG("\"None\""), CLAIMS },
    { "token-alg-none", WITH_ALG("\"NONE\""), CLAIMS },
    { "token-alg-hmac", WITH_ALG("\"HS256\""), CLAIMS },
    { "token-alg-hmac", WITH_ALG("\"HS384\""), CLAIMS },
    { "token-alg-hmac", WITH_ALG("\"HS512\""), CLAIMS },
    { "token-alg-key", HEADER_ES, CLAIMS },
    { ALGORITHM, WITH_ALG("\"RS384\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"PS256\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"EdDSA\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"rs256\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"RS2560\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"RS256\\u0020\""), CLAIMS },
    { ALGORITHM, WITH_ALG("\"\""), CLAIMS },
    { ALGORITHM, WITH_ALG("null"), CLAIMS },
    { ALGORITHM, WITH_ALG("256"), CLAIMS },
    { ALGORITHM, WITH_ALG("[\"RS256\"]"), CLAIMS },
    { ALGORITHM, "{\"typ\":\"SBT\"," KID "}", CLAIMS },
    { "token-crit", "{" SBT_RS256 "," KID ",\"crit\":[\"x\"]}", CLAIMS },
    { "token-crit", "{" SBT_RS256 "," KID ",\"crit\":null}", CLAIMS },
    /* Rule 4. */
    { MALFORMED, HEADER, "" },
    { MALFORMED, HEADER, "null" },
    { MALFORMED, HEADER, CLAIMS "," },
    { MALFORMED, HEADER, "{\"x\":\"\xff\"," TEXTS TIMES NAMES "}" },
    { "token-claims", HEADER, "{}" },
    { "token-claims", HEADER, "{" TEXTS TIMES NAMES ",\"user_id\":\"v\"}" },
    { "token-claims", HEADER, "{" TEXTS TIMES NAMES ",\"exp\":1767254400}" },
    { "token-claims", HEADER, "{\"aud\":1," TEXTS TIMES NAMES ",\"aud\":2}" },
    { "token-claims", HEADER, "{" TEXTS TIMES SHORT(ISSUER, "", "t-1") "}" },
    { "token-claims", HEADER, "{" TEXTS TIMES SHORT(ISSUER, "u", "") "}" },
    { "token-claims", HEADER, "{" TEXTS NAMES "}" },
    { "token-claims", HEADER, "{" TIMES NAMES "}" },
    { "token-claims", HEADER, "{" TEXTS TIMES "\"sub\":\"u\",\"jti\":\"t-1\"}" },
    { "token-claims", HEADER, "{" TEXTS TIMES "\"iss\":\"" ISSUER "\",\"jti\":\"t-1\"}" },
    { "token-claims", HEADER, "{" TEXTS TIMES "\"iss\":\"" ISSUER "\",\"sub\":\"u\"}" },
    { "token-claims", HEADER, "{" BOUND("", ISSUER, HOSTED) TIMES SHORT(ISSUER, "", "t-1") "}" },
    { "token-claims", HEADER,
      "{" BOUND("u", ISSUER ISSUER, HOSTED) TIMES SHORT(ISSUER, "u", "t-1") "}" },
    { "token-claims", HEADER,
      "{" BOUND("u\\u0000", ISSUER, HOSTED) TIMES SHORT(ISSUER, "u", "t-1") "}" },
    { "token-claims", HEADER,
      "{" TEXTS CREATED EXPIRES "\"iat\":1767225600.0,\"exp\":1767254400," NAMES "}" },
    { "token-claims", HEADER,
      "{" TEXTS CREATED EXPIRES "\"iat\":\"1767225600\",\"exp\":1767254400," NAMES "}" },
    { "token-claims", HEADER,
      "{" TEXTS CREATED EXPIRES "\"iat\":1767225600,\"exp\":-1," NAMES "}" },
    { "token-claims", HEADER,
      "{" TEXTS "\"created_at\":\"today\"," EXPIRES "\"iat\":1767225600,\"exp\":1767254400," NAMES
      "}" },
    { "token-claims", HEADER,
      "{" TEXTS "\"created_at\":1767225600," EXPIRES "\"iat\":1767225600,\"exp\":1767254400," NAMES
      "}" },
    { "token-kid-mismatch", "{" SBT_RS256 ",\"kid\":\"other\"}", CLAIMS },
    { "token-kid-mismatch", HEADER, "{" TEXTS TIMES SHORT("x", "u", "t-1") "}" },
    { "token-user-mismatch", HEADER, "{" TEXTS TIMES SHORT(ISSUER, "v", "t-1") "}" },
    { "token-id-mismatch", HEADER, "{" TEXTS TIMES SHORT(ISSUER, "u", "t-2") "}" },
    { "token-times", HEADER,
      "{" TEXTS CREATED EXPIRES "\"iat\":1767225601,\"exp\":1767254400," NAMES "}" },
    { "token-times", HEADER,
      "{" TEXTS CREATED EXPIRES "\"iat\":1767225600,\"exp\":1767254401," NAMES "}" },
    { "token-times", HEADER,
      "{" TEXTS "\"created_at\":\"2026-01-01T08:00:00Z\",\"expires_at\":\"2026-01-01T00:00:00Z\","
      "\"iat\":1767254400,\"exp\":1767225600," NAMES "}" },
    /* Rule 5. */
    { "token-expired", HEADER,
      "{" TEXTS "\"created_at\":\"2025-12-31T00:00:00Z\",\"expires_at\":\"2025-12-31T08:00:00Z\","
      "\"iat\":1767139200,\"exp\":1767168000," NAMES "}" },
    { "token-not-yet-valid", HEADER,
      "{" TEXTS "\"created_at\":\"2026-01-01T01:00:00Z\"," EXPIRES
      "\"iat\":1767229200,\"exp\":1767254400," NAMES "}" },
    /* Rule 6. */
    { "token-audience", HEADER,
      "{" BOUND("u", ISSUER, "hosted_sha256_x") TIMES SHORT(ISSUER, "u", "t-1") "}" },
    { "token-issuer-not-bound", HEADER,
      "{" BOUND("u", HOSTED, HOSTED) TIMES SHORT(ISSUER, "u", "t-1") "}" },
};

static void every_signed_token_that_breaks_a_rule_is_refused_with_its_code(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    forge(&f, HEADER, CLAIMS);
    assert_accepted(verify(&f));
    for (size_t i = 0; i < PL_ARRAY_LEN(signed_rows); i++) {
        const struct row *row = &signed_rows[i];
        forge(&f, row->header, row->claims);
        const char *code = verify(&f);
        if (strcmp(row->code, code) != 0)
            fail_msg("row %zu: wanted %s, got \"%s\"", i, row->code, code);
    }
    teardown(&f);
}

/* Rules 1 and 3, the clock, and what can only be broken by hand. */
static void tokens_that_are_unsigned_cut_or_too_long_have_their_codes(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    forge(&f, WITH_ALG("\"none\""), CLAIMS);
    f.len = (size_t)(strrchr(f.jwt, '.') - f.jwt) + 1;
    assert_refused("token-alg-none", verify(&f));
    forge(&f, HEADER, CLAIMS);
    size_t whole = f.len;
    f.len = (size_t)(strrchr(f.jwt, '.') - f.jwt) + 1;
    assert_refused("token-signature", verify(&f));
    f.len -= 1; /* two parts */
    assert_refused(MALFORMED, verify(&f));
    f.len = whole;
    f.jwt[f.len++] = '*';
    assert_refused(MALFORMED, verify(&f));
    f.len = whole;
    memset(f.jwt + f.len, 'A', sizeof f.jwt - f.len);
    f.len = PARLEY_TOKEN_BYTES_MAX;
    assert_refused("token-signature", verify(&f)); /* longer than any signature */
    f.len = PARLEY_TOKEN_BYTES_MAX + 1;
    assert_refused("token-too-big", verify(&f));
    assert_err(PARLEY_ETOOBIG, f.err);
    forge(&f, HEADER, CLAIMS);
    assert_refused("token-clock", verify_at(&f, HOSTED, -1));
    assert_refused("token-clock", verify_at(&f, HOSTED, INT64_MAX));
    forge(&f, HEADER, CLAIMS); /* RS256 under a key of P-256 */
    assert_refused("token-alg-key", verify_with(&f, &f.p256, HOSTED, NOW));
    forge_as(&f, true, pl_span_text(HEADER), pl_span_text(CLAIMS));
    assert_refused("token-signature", verify(&f));
    forge_as(&f, true, pl_span_text(HEADER), pl_span_text(CLAIMS));
    assert_refused("token-alg-key", verify_with(&f, &f.p256, HOSTED, NOW));
    teardown(&f);
}

/* A mode that passes over tokens which nobody can verify goes by this class. */
static void only_tokens_that_nobody_can_verify_are_of_another_type(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < PL_ARRAY_LEN(signed_rows); i++) {
        const char *code = signed_rows[i].code;
        bool other = strcmp(code, "token-type") == 0 || strcmp(code, "token-alg-none") == 0 ||
                     strcmp(code, "token-alg-hmac") == 0 || strcmp(code, ALGORITHM) == 0;
        forge(&f, signed_rows[i].header, signed_rows[i].claims);
        verify(&f);
        assert_int_equal(other, f.err == PARLEY_ETYPE);
    }
    teardown(&f);
}

static void refusals_have_codes_of_their_own_and_texts(void **state)
{
    (void)state;
    for (int i = 1; i < PL_TOKEN_REFUSAL_COUNT; i++) {
        const char *code = pl_token_refusal_code((enum pl_token_refusal)i);
        assert_memory_equal("token-", code, 6);
        assert_true(strlen(pl_token_refusal_text((enum pl_token_refusal)i)) > 20);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(code, pl_token_refusal_code((enum pl_token_refusal)k));
    }
    assert_string_equal("", pl_token_refusal_code(PL_TOKEN_ACCEPTED));
    assert_string_equal("", pl_token_refusal_text(PL_TOKEN_ACCEPTED));
}

static void peeking_says_why_there_is_no_issuer(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    forge(&f, "{" SBT_RS256 "}", CLAIMS);
    assert_err(PARLEY_EMISSING, pl_token_peek_issuer(pl_span_of(f.jwt, f.len), issuer, &why));
    assert_int_equal(PL_TOKEN_NO_KID, why);
    assert_err(PARLEY_EMALFORMED, pl_token_peek_issuer(pl_span_text("a.b.c"), issuer, &why));
    assert_int_equal(PL_TOKEN_MALFORMED, why);
    memset(f.jwt, 'A', sizeof f.jwt);
    assert_err(PARLEY_ETOOBIG, pl_token_peek_issuer(pl_span_of(f.jwt, sizeof f.jwt), issuer, &why));
    assert_int_equal(PL_TOKEN_TOO_BIG, why);
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
          "{\"aud\":[1,[2,{\"iss\":3}]],\"nbf\":1," TEXTS TIMES NAMES "}");
    assert_accepted(verify(&f));
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
        verify(&f);
        if (f.len <= last_dot)
            assert_int_equal(PL_TOKEN_MALFORMED, f.why);
        else
            assert_true(f.why == PL_TOKEN_SIGNATURE || f.why == PL_TOKEN_MALFORMED);
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
            verify(&f);
            assert_int_not_equal(PL_TOKEN_ACCEPTED, f.why);
            assert_true(f.why <= PL_TOKEN_SIGNATURE); /* no claim is looked at before it */
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
        verify(&f);
        assert_true(f.why == PL_TOKEN_MALFORMED || f.why == PL_TOKEN_SIGNATURE);
    }
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
    assert_accepted(verify(&f));
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
        cmocka_unit_test(times_go_on_where_32_bits_of_seconds_end),
        cmocka_unit_test(another_key_does_not_verify),
        cmocka_unit_test(a_known_signature_is_not_calculated_again_and_nothing_else_is_known),
        cmocka_unit_test(es256_tokens_verify_under_their_p256_key_alone),
        cmocka_unit_test(es256_is_not_signed_with_a_scalar_that_is_no_key),
        cmocka_unit_test(hmac_under_the_public_key_is_refused),
        cmocka_unit_test(every_signed_token_that_breaks_a_rule_is_refused_with_its_code),
        cmocka_unit_test(tokens_that_are_unsigned_cut_or_too_long_have_their_codes),
        cmocka_unit_test(only_tokens_that_nobody_can_verify_are_of_another_type),
        cmocka_unit_test(refusals_have_codes_of_their_own_and_texts),
        cmocka_unit_test(peeking_says_why_there_is_no_issuer),
        cmocka_unit_test(unknown_keys_are_passed_over),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(anything_around_a_token_is_refused),
        cmocka_unit_test(longest_fields_fit_and_bad_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
