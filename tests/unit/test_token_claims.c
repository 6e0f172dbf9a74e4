/* SPDX-License-Identifier: Apache-2.0
 *
 * Each claim of a token by itself, and tokens that are not made.
 */
#include "lib/token_fixture.h"

static const char *const each_claim[] = { "\"sbt_id\":\"t-1\"",
                                          "\"user_id\":\"u\"",
                                          "\"session_id\":\"s\"",
                                          "\"local_backend_id\":\"" ISSUER "\"",
                                          "\"hosted_backend_id\":\"" HOSTED "\"",
                                          "\"created_at\":\"2026-01-01T00:00:00.500000Z\"",
                                          "\"expires_at\":\"2026-01-01T08:00:00.500000Z\"",
                                          "\"iss\":\"" ISSUER "\"",
                                          "\"sub\":\"u\"",
                                          "\"jti\":\"t-1\"",
                                          "\"iat\":1767225600",
                                          "\"exp\":1767254400" };
#define EACH_CLAIM PL_ARRAY_LEN(each_claim)

/* All claims, in one of which `times` stands so often, with `value` for the last time. */
static const char *claims_with(size_t which, size_t times, const char *value, char out[2048])
{
    struct pl_writer w = pl_writer_over(out, 2047);
    for (size_t i = 0; i < EACH_CLAIM; i++) {
        const char *end = strchr(each_claim[i], ':') + 1;
        for (size_t n = 0; n < (i == which ? times : 1); n++) {
            bool other = i == which && value != NULL && n + 1 == times;
            pl_write_text(&w, w.len == 0 ? "{" : ",");
            pl_write_span(&w, pl_span_of(each_claim[i], (size_t)(end - each_claim[i])));
            pl_write_text(&w, other ? value : end);
        }
    }
    pl_write_text(&w, "}");
    assert_ok(w.err);
    out[w.len] = '\0';
    return out;
}

static void each_claim_is_there_once_and_of_its_type(void **state)
{
    (void)state;
    struct fixture f;
    char claims[2048];
    setup(&f);
    forge(&f, HEADER, claims_with(EACH_CLAIM, 1, NULL, claims));
    assert_accepted(verify(&f));
    for (size_t i = 0; i < EACH_CLAIM; i++) {
        forge(&f, HEADER, claims_with(i, 0, NULL, claims));
        assert_refused("token-claims", verify(&f));
        forge(&f, HEADER, claims_with(i, 2, NULL, claims));
        assert_refused("token-claims", verify(&f));
        forge(&f, HEADER, claims_with(i, 1, "true", claims));
        assert_refused("token-claims", verify(&f));
    }
    teardown(&f);
}

static void no_token_is_signed_with_a_text_or_a_time_that_nobody_would_take(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < 6; i++) {
        struct pl_token in = token();
        char *texts[] = { in.sbt_id,           in.user_id,           in.session_id,
                          in.local_backend_id, in.hosted_backend_id, in.issuer };
        size_t len = 77;
        texts[i][0] = (char)0xff;
        assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
        texts[i][0] = '\0';
        assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &len));
        assert_int_equal(77, len);
    }
    struct pl_token in = token();
    in.expires_at = (parley_wall)PL_ISO8601_US_MAX;
    issue(&f, &in);
    in.expires_at++;
    assert_err(PARLEY_EINVAL, pl_token_issue(f.id, &in, f.jwt, &f.len));
    teardown(&f);
}

/* Each control character takes six, in two claims: the room ends in the claims, then in the text
 * that is signed, then in the signature. */
static void a_token_is_as_long_as_it_may_be_or_is_not_made(void **state)
{
    (void)state;
    struct fixture f;
    bool over = false;
    setup(&f);
    for (size_t i = 1; i < PL_TOKEN_FIELD_BYTES_MAX; i++) {
        struct pl_token in = token();
        memset(in.user_id, 1, i);
        in.user_id[i] = '\0';
        f.len = 77;
        parley_err err = pl_token_issue(f.id, &in, f.jwt, &f.len);
        assert_true(err == PARLEY_ETOOBIG || (err == PARLEY_OK && !over));
        over = err != PARLEY_OK;
        if (over)
            assert_int_equal(77, f.len);
        else
            assert_accepted(verify(&f));
    }
    assert_true(over);
    teardown(&f);
}

static void a_token_is_not_made_with_a_key_that_signs_wrongly(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct pl_token in = token();
    size_t len = 77;
    /* As a bit that fell over in memory. */
    struct pl_pubkey *key = (struct pl_pubkey *)(uintptr_t)pl_identity_pubkey(f.id);
    key->modulus[20] ^= 1;
    assert_err(PARLEY_ECORRUPT, pl_token_issue(f.id, &in, f.jwt, &len));
    assert_int_equal(77, len);
    key->modulus[20] ^= 1;
    issue(&f, &in);
    assert_accepted(verify(&f));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_claim_is_there_once_and_of_its_type),
        cmocka_unit_test(no_token_is_signed_with_a_text_or_a_time_that_nobody_would_take),
        cmocka_unit_test(a_token_is_as_long_as_it_may_be_or_is_not_made),
        cmocka_unit_test(a_token_is_not_made_with_a_key_that_signs_wrongly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
