/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "trust/seal.h"

static const char text[] = "what must not be read";
static const uint8_t raw_key[32] = { 1, 2, 3 };

static struct pl_seal_secret raw_secret(void)
{
    return (struct pl_seal_secret){ .kind = PL_SEAL_RAW,
                                    .bytes = pl_span_of(raw_key, sizeof raw_key) };
}

static struct pl_seal_secret phrase(const char *words)
{
    return (struct pl_seal_secret){ .kind = PL_SEAL_PASSPHRASE, .bytes = pl_span_text(words) };
}

struct sealed {
    uint8_t bytes[256];
    size_t len;
};

static struct sealed seal(struct test_env *t, struct pl_seal_secret secret, const char *context)
{
    struct sealed s = { .len = 0 };
    assert_ok(pl_seal(&t->env, &secret, pl_span_text(context), pl_span_text(text), s.bytes,
                      sizeof s.bytes, &s.len));
    assert_int_equal(strlen(text) + PL_SEAL_OVERHEAD_BYTES, s.len);
    return s;
}

static parley_err unseal(struct test_env *t, struct pl_seal_secret secret, const char *context,
                         const struct sealed *s)
{
    uint8_t out[256];
    size_t len = 0;
    parley_err err = pl_unseal(&t->env, &secret, pl_span_text(context),
                               pl_span_of(s->bytes, s->len), out, sizeof out, &len);
    if (err == PARLEY_OK)
        assert_true(pl_span_is(pl_span_of(out, len), text));
    return err;
}

static void opens_with_the_same_key_and_context(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, raw_secret(), "context");
    assert_ok(unseal(&t, raw_secret(), "context", &s));
}

static void hides_the_plain_text_and_differs_each_time(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed a = seal(&t, raw_secret(), "context");
    struct sealed b = seal(&t, raw_secret(), "context");
    assert_memory_not_equal(a.bytes + 64, text, strlen(text));
    assert_memory_not_equal(a.bytes + 64, b.bytes + 64, strlen(text));
}

static void refuses_another_key_or_context(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, raw_secret(), "context");
    uint8_t other[32] = { 9 };
    struct pl_seal_secret wrong = { .kind = PL_SEAL_RAW, .bytes = pl_span_of(other, sizeof other) };
    assert_err(PARLEY_ESEALED, unseal(&t, wrong, "context", &s));
    assert_err(PARLEY_ESEALED, unseal(&t, raw_secret(), "contexu", &s));
    assert_err(PARLEY_ESEALED, unseal(&t, raw_secret(), "", &s));
    assert_err(PARLEY_ESEALED, unseal(&t, phrase("words"), "context", &s));
}

static void refuses_every_flipped_byte(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, raw_secret(), "context");
    for (size_t i = 0; i < s.len; i++) {
        struct sealed bad = s;
        bad.bytes[i] ^= 0x10;
        /* Magic, version, kind and parameters do not even decode. */
        parley_err expected = i < 20 ? PARLEY_EMALFORMED : PARLEY_ESEALED;
        assert_err(expected, unseal(&t, raw_secret(), "context", &bad));
    }
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, raw_secret(), "context");
    for (size_t len = 0; len < s.len; len++) {
        struct sealed bad = s;
        bad.len = len;
        parley_err expected = len < PL_SEAL_OVERHEAD_BYTES ? PARLEY_EMALFORMED : PARLEY_ESEALED;
        assert_err(expected, unseal(&t, raw_secret(), "context", &bad));
    }
}

static void leaves_no_plain_text_behind_on_failure(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, raw_secret(), "context");
    uint8_t out[256] = { 0 };
    uint8_t zero[256] = { 0 };
    size_t len = 77;
    struct pl_seal_secret secret = raw_secret();
    s.bytes[s.len - 1] ^= 1;
    assert_err(PARLEY_ESEALED, pl_unseal(&t.env, &secret, pl_span_text("context"),
                                         pl_span_of(s.bytes, s.len), out, sizeof out, &len));
    assert_memory_equal(zero, out, sizeof out);
    assert_int_equal(77, len);
}

static void pass_phrase_opens_and_a_wrong_one_does_not(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, phrase("correct horse"), "context");
    assert_ok(unseal(&t, phrase("correct horse"), "context", &s));
    assert_err(PARLEY_ESEALED, unseal(&t, phrase("correct horsf"), "context", &s));
    assert_err(PARLEY_ESEALED, unseal(&t, raw_secret(), "context", &s));
}

static void refuses_parameters_that_ask_for_too_much(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct sealed s = seal(&t, phrase("p"), "context");
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = { { 8, 2 }, { 9, 3 }, { 11, 4 }, { 12, 0x7f }, { 16, 1 }, { 19, 11 }, { 19, 0 } };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        struct sealed changed = s;
        changed.bytes[bad[i].at] = bad[i].value;
        assert_err(PARLEY_EMALFORMED, unseal(&t, phrase("p"), "context", &changed));
    }
    /* Fewer passes are allowed, but they are authenticated. */
    s.bytes[19] = 1;
    assert_err(PARLEY_ESEALED, unseal(&t, phrase("p"), "context", &s));
}

static void refuses_empty_short_and_oversized_secrets(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    static const uint8_t big[PL_SEAL_SECRET_BYTES_MAX + 1] = { 0 };
    const struct pl_seal_secret bad[] = {
        { .kind = PL_SEAL_RAW, .bytes = { 0 } },
        { .kind = PL_SEAL_PASSPHRASE, .bytes = { 0 } },
        { .kind = PL_SEAL_RAW, .bytes = pl_span_of(big, 31) },
        { .kind = PL_SEAL_RAW, .bytes = pl_span_of(big, sizeof big) },
        { .kind = PL_SEAL_PASSPHRASE, .bytes = pl_span_of(big, sizeof big) },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        uint8_t out[128];
        size_t len;
        assert_err(PARLEY_EINVAL, pl_seal(&t.env, &bad[i], pl_span_text("c"), pl_span_text("p"),
                                          out, sizeof out, &len));
    }
}

static void says_full_when_there_is_no_room(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    uint8_t out[128];
    size_t len;
    struct pl_seal_secret secret = raw_secret();
    struct parley_span plain = pl_span_text(text);
    size_t need = plain.len + PL_SEAL_OVERHEAD_BYTES;
    assert_err(PARLEY_EFULL, pl_seal(&t.env, &secret, plain, plain, out, need - 1, &len));
    assert_err(PARLEY_EFULL, pl_seal(&t.env, &secret, plain, plain, out, 0, &len));
    assert_ok(pl_seal(&t.env, &secret, plain, plain, out, need, &len));
    uint8_t small[4];
    assert_err(PARLEY_EFULL,
               pl_unseal(&t.env, &secret, plain, pl_span_of(out, len), small, sizeof small, &len));
}

/* What a daemon does that has forgotten the pass phrase. */
static void seal_key_seals_what_the_secret_opens_and_the_other_way_round(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    const struct pl_seal_secret secrets[] = { raw_secret(), phrase("correct horse") };
    for (size_t i = 0; i < PL_ARRAY_LEN(secrets); i++) {
        struct pl_seal_key made, again;
        uint8_t first[128], second[128], out[128];
        size_t first_len = 0, second_len = 0, len = 0;
        struct parley_span plain = pl_span_text(text);
        struct parley_span context = pl_span_text("c");
        assert_ok(pl_seal_key_make(&t.env, &secrets[i], &made));
        assert_ok(pl_seal_with(&t.env, &made, context, plain, first, sizeof first, &first_len));
        assert_ok(pl_seal_with(&t.env, &made, context, plain, second, sizeof second, &second_len));
        /* The same salt, another nonce. */
        assert_memory_equal(first, second, PL_SEAL_SALT_HEAD_BYTES);
        assert_memory_not_equal(first + PL_SEAL_SALT_HEAD_BYTES, second + PL_SEAL_SALT_HEAD_BYTES,
                                12);
        assert_ok(pl_unseal(&t.env, &secrets[i], context, pl_span_of(second, second_len), out,
                            sizeof out, &len));
        assert_int_equal(plain.len, len);
        assert_ok(pl_seal_key_of(&secrets[i], pl_span_of(first, first_len), &again));
        assert_memory_equal(&made, &again, sizeof made);
        assert_ok(
            pl_unseal_with(&again, context, pl_span_of(first, first_len), out, sizeof out, &len));
        assert_err(PARLEY_ESEALED, pl_unseal_with(&again, plain, pl_span_of(first, first_len), out,
                                                  sizeof out, &len));
    }
}

static void seal_key_does_not_open_a_record_of_another_salt(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_seal_secret secret = raw_secret();
    struct pl_seal_key key;
    uint8_t sealed[128], out[128];
    size_t sealed_len = 0, len = 0;
    struct parley_span plain = pl_span_text(text);
    assert_ok(pl_seal(&t.env, &secret, plain, plain, sealed, sizeof sealed, &sealed_len));
    assert_ok(pl_seal_key_make(&t.env, &secret, &key));
    assert_err(PARLEY_ESEALED,
               pl_unseal_with(&key, plain, pl_span_of(sealed, sealed_len), out, sizeof out, &len));
    struct pl_seal_secret other = phrase("p");
    assert_err(PARLEY_ESEALED, pl_seal_key_of(&other, pl_span_of(sealed, sealed_len), &key));
    assert_err(PARLEY_EMALFORMED, pl_seal_key_of(&secret, pl_span_of(sealed, 79), &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_with_the_same_key_and_context),
        cmocka_unit_test(hides_the_plain_text_and_differs_each_time),
        cmocka_unit_test(refuses_another_key_or_context),
        cmocka_unit_test(refuses_every_flipped_byte),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(leaves_no_plain_text_behind_on_failure),
        cmocka_unit_test(pass_phrase_opens_and_a_wrong_one_does_not),
        cmocka_unit_test(refuses_parameters_that_ask_for_too_much),
        cmocka_unit_test(refuses_empty_short_and_oversized_secrets),
        cmocka_unit_test(seal_key_seals_what_the_secret_opens_and_the_other_way_round),
        cmocka_unit_test(seal_key_does_not_open_a_record_of_another_salt),
        cmocka_unit_test(says_full_when_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
