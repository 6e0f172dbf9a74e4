/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "lib/keys.h"

#include "core/hash.h"
#include "trust/identity.h"
#include "trust/seal.h"

static const uint8_t hash[32] = { 1, 2, 3 };
static const uint8_t seal_key[32] = { 7 };

static struct pl_seal_secret secret(void)
{
    return (struct pl_seal_secret){ .kind = PL_SEAL_RAW,
                                    .bytes = pl_span_of(seal_key, sizeof seal_key) };
}

static struct pl_identity *import(struct test_env *t, const char *pem)
{
    struct pl_identity *id = NULL;
    assert_ok(pl_identity_import(&t->env, pl_span_text(pem), &id, NULL));
    return id;
}

static parley_err import_result(struct test_env *t, struct parley_span pem)
{
    struct pl_identity *id = NULL;
    struct parley_diag diag = { .text = "" };
    parley_err err = pl_identity_import(&t->env, pem, &id, &diag);
    assert_true((err == PARLEY_OK) == (id != NULL));
    assert_true((err == PARLEY_OK) == (diag.text[0] == '\0'));
    pl_identity_destroy(id);
    return err;
}

/* Replaces every `from` by `to`. */
static void replace(const char *text, char from, const char *to, char *out, size_t cap)
{
    size_t at = 0;
    for (; *text != '\0'; text++) {
        const char one[2] = { *text, '\0' };
        const char *piece = *text == from ? to : one;
        assert_true(at + strlen(piece) < cap);
        memcpy(out + at, piece, strlen(piece));
        at += strlen(piece);
    }
    out[at] = '\0';
}

static void creation_makes_a_working_2048_bit_key(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *id = NULL;
    assert_ok(pl_identity_create(&t.env, PL_RSA_BITS_DEFAULT, &id));
    const struct pl_pubkey *key = pl_identity_pubkey(id);
    assert_int_equal(256, key->modulus_len);
    assert_true(key->modulus[0] >= 0x80);
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    assert_ok(pl_identity_sign(id, hash, signature, &len));
    assert_ok(pl_pubkey_verify(key, hash, pl_span_of(signature, len)));
    pl_identity_destroy(id);
    assert_int_equal(0, t.allocs);
}

static void creation_refuses_other_sizes(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *id = NULL;
    static const unsigned sizes[] = { 0, 512, 1024, 2047, 2049, 4096 };
    for (size_t i = 0; i < PL_ARRAY_LEN(sizes); i++)
        assert_err(PARLEY_EINVAL, pl_identity_create(&t.env, sizes[i], &id));
}

static void both_pem_forms_give_the_same_key(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *a = import(&t, TEST_KEY_A_PKCS1);
    struct pl_identity *b = import(&t, TEST_KEY_A_PKCS8);
    assert_memory_equal(pl_identity_pubkey(a)->fingerprint, pl_identity_pubkey(b)->fingerprint,
                        PL_FINGERPRINT_BYTES);
    pl_identity_destroy(a);
    pl_identity_destroy(b);
}

static void fingerprint_and_public_pem_agree_with_openssl(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *id = import(&t, TEST_KEY_A_PKCS1);
    char hex[2 * PL_FINGERPRINT_BYTES];
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    pl_hex_encode(pl_identity_pubkey(id)->fingerprint, PL_FINGERPRINT_BYTES, hex);
    assert_memory_equal(TEST_KEY_A_FINGERPRINT, hex, sizeof hex);
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(id), pem));
    assert_string_equal(TEST_KEY_A_PUBLIC, pem);
    pl_identity_destroy(id);
}

static void import_accepts_mangled_line_ends(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    static const char *const ends[] = { "\\n", "\r\n", "\\r\\n", " ", "" };
    for (size_t i = 0; i < PL_ARRAY_LEN(ends); i++) {
        char pem[4096];
        replace(TEST_KEY_A_PKCS8, '\n', ends[i], pem, sizeof pem);
        assert_ok(import_result(&t, pl_span_text(pem)));
        replace(TEST_KEY_A_PKCS1, '\n', ends[i], pem, sizeof pem);
        assert_ok(import_result(&t, pl_span_text(pem)));
    }
}

static void import_accepts_3072_bits_and_refuses_other_sizes(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    assert_ok(import_result(&t, pl_span_text(TEST_KEY_3072_PKCS8)));
    assert_err(PARLEY_EINVAL, import_result(&t, pl_span_text(TEST_KEY_1024)));
    assert_err(PARLEY_ETOOBIG, import_result(&t, pl_span_text(TEST_KEY_4096)));
}

static void import_refuses_keys_of_other_kinds(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    assert_err(PARLEY_EINVAL, import_result(&t, pl_span_text(TEST_KEY_EC)));
    assert_err(PARLEY_EINVAL, import_result(&t, pl_span_text(TEST_KEY_EC_SEC1)));
    assert_err(PARLEY_EINVAL, import_result(&t, pl_span_text(TEST_KEY_ENCRYPTED)));
    assert_err(PARLEY_EINVAL, import_result(&t, pl_span_text(TEST_KEY_A_PUBLIC)));
}

static void import_refuses_garbage(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    static const char *const bad[] = {
        "",
        "hello",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nA*AA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        TEST_KEY_A_PKCS1 "x",
        TEST_KEY_A_PKCS1 TEST_KEY_A_PKCS1,
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EMALFORMED, import_result(&t, pl_span_text(bad[i])));
    static char huge[9000];
    memset(huge, 'A', sizeof huge);
    assert_err(PARLEY_ETOOBIG, import_result(&t, pl_span_of(huge, sizeof huge)));
    memcpy(huge, "-----BEGIN PRIVATE KEY-----", 27);
    assert_err(PARLEY_ETOOBIG, import_result(&t, pl_span_of(huge, 8000)));
}

static void import_refuses_every_truncation(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    static const char *const keys[] = { TEST_KEY_A_PKCS1, TEST_KEY_A_PKCS8 };
    for (size_t k = 0; k < PL_ARRAY_LEN(keys); k++) {
        /* Without the last newline it is still whole. */
        for (size_t len = 0; len + 1 < strlen(keys[k]); len++) {
            parley_err err = import_result(&t, pl_span_of(keys[k], len));
            assert_true(err == PARLEY_EMALFORMED || err == PARLEY_EINVAL);
        }
    }
    assert_int_equal(0, t.allocs);
}

/* Changes of one character either break the form or give a key whose halves do not belong
 * together; one that changes only the unused private exponent is a key still, and the same one. */
static void import_refuses_changed_numbers(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    size_t accepted = 0;
    size_t tried = 0;
    char pem[] = TEST_KEY_A_PKCS1;
    for (size_t i = 40; i + 40 < strlen(pem); i += 13) {
        char kept = pem[i];
        if (kept == '\n')
            continue;
        pem[i] = kept == 'A' ? 'B' : 'A';
        tried++;
        struct pl_identity *id = NULL;
        if (pl_identity_import(&t.env, pl_span_text(pem), &id, NULL) == PARLEY_OK) {
            char hex[2 * PL_FINGERPRINT_BYTES];
            pl_hex_encode(pl_identity_pubkey(id)->fingerprint, PL_FINGERPRINT_BYTES, hex);
            assert_memory_equal(TEST_KEY_A_FINGERPRINT, hex, sizeof hex);
            accepted++;
        }
        pl_identity_destroy(id);
        pem[i] = kept;
    }
    /* The private exponent is a quarter of the numbers. */
    assert_in_range(accepted, 1, tried / 3);
    assert_int_equal(0, t.allocs);
}

static void sealed_identity_opens_as_the_same_key(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    static const char *const keys[] = { TEST_KEY_A_PKCS1, TEST_KEY_3072_PKCS8 };
    for (size_t i = 0; i < PL_ARRAY_LEN(keys); i++) {
        struct pl_identity *id = import(&t, keys[i]);
        struct pl_identity *again = NULL;
        struct pl_seal_secret s = secret();
        uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
        size_t len;
        assert_ok(pl_identity_seal(id, &t.env, &s, sealed, sizeof sealed, &len));
        assert_ok(pl_identity_unseal(&t.env, &s, pl_span_of(sealed, len), &again));
        assert_memory_equal(pl_identity_pubkey(id), pl_identity_pubkey(again),
                            sizeof(struct pl_pubkey));
        pl_identity_destroy(id);
        pl_identity_destroy(again);
    }
    assert_int_equal(0, t.allocs);
}

static void unsealing_refuses_a_wrong_secret_and_foreign_contents(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *id = import(&t, TEST_KEY_A_PKCS1);
    struct pl_identity *out = NULL;
    struct pl_seal_secret s = secret();
    uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
    size_t len;
    assert_ok(pl_identity_seal(id, &t.env, &s, sealed, sizeof sealed, &len));
    pl_identity_destroy(id);
    uint8_t other[32] = { 8 };
    struct pl_seal_secret wrong = { .kind = PL_SEAL_RAW, .bytes = pl_span_of(other, 32) };
    assert_err(PARLEY_ESEALED, pl_identity_unseal(&t.env, &wrong, pl_span_of(sealed, len), &out));
    sealed[200] ^= 1;
    assert_err(PARLEY_ESEALED, pl_identity_unseal(&t.env, &s, pl_span_of(sealed, len), &out));
    assert_err(PARLEY_EMALFORMED, pl_identity_unseal(&t.env, &s, pl_span_of(sealed, 40), &out));
    struct parley_span context = pl_span_text("parley identity");
    assert_ok(pl_seal(&t.env, &s, context, pl_span_text("no key"), sealed, sizeof sealed, &len));
    assert_err(PARLEY_EMALFORMED, pl_identity_unseal(&t.env, &s, pl_span_of(sealed, len), &out));
    assert_null(out);
    assert_int_equal(0, t.allocs);
}

static void signatures_of_others_and_of_other_hashes_do_not_verify(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *a = import(&t, TEST_KEY_A_PKCS1);
    struct pl_identity *b = import(&t, TEST_KEY_B_PKCS1);
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    uint8_t other[32] = { 4 };
    size_t len;
    assert_ok(pl_identity_sign(a, hash, signature, &len));
    struct parley_span whole = pl_span_of(signature, len);
    assert_ok(pl_pubkey_verify(pl_identity_pubkey(a), hash, whole));
    assert_err(PARLEY_EAUTH, pl_pubkey_verify(pl_identity_pubkey(b), hash, whole));
    assert_err(PARLEY_EAUTH, pl_pubkey_verify(pl_identity_pubkey(a), other, whole));
    assert_err(PARLEY_EAUTH,
               pl_pubkey_verify(pl_identity_pubkey(a), hash, pl_span_of(signature, len - 1)));
    assert_err(PARLEY_EAUTH, pl_pubkey_verify(pl_identity_pubkey(a), hash, pl_span_of(NULL, 0)));
    for (size_t i = 0; i < len; i++) {
        signature[i] ^= 1;
        assert_err(PARLEY_EAUTH, pl_pubkey_verify(pl_identity_pubkey(a), hash, whole));
        signature[i] ^= 1;
    }
    pl_identity_destroy(a);
    pl_identity_destroy(b);
}

static void public_keys_survive_pem_and_der(void **state)
{
    (void)state;
    struct pl_pubkey key;
    struct pl_pubkey again;
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &key));
    assert_ok(pl_pubkey_to_der(&key, der, &len));
    assert_ok(pl_pubkey_from_der(pl_span_of(der, len), &again));
    assert_int_equal(key.kind, again.kind);
    assert_memory_equal(key.fingerprint, again.fingerprint, sizeof key.fingerprint);
}

static void public_keys_are_refused_when_truncated_or_extended(void **state)
{
    (void)state;
    struct pl_pubkey key;
    struct pl_pubkey out;
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX + 1];
    size_t size;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &key));
    assert_ok(pl_pubkey_to_der(&key, der, &size));
    for (size_t len = 0; len < size; len++)
        assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, len), &out));
    der[size] = 0;
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size + 1), &out));
    assert_err(PARLEY_ETOOBIG, pl_pubkey_from_der(pl_span_of(der, sizeof der), &out));
    der[size - 1] &= 0xfe; /* an even exponent */
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size), &out));
}

static void p256_keys_survive_pem_and_der_and_have_the_fingerprint_of_openssl(void **state)
{
    (void)state;
    struct pl_pubkey key;
    struct pl_pubkey again;
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    char hex[2 * PL_FINGERPRINT_BYTES];
    size_t len;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &key));
    assert_int_equal(PL_KEY_P256, key.kind);
    assert_ok(pl_pubkey_to_der(&key, der, &len));
    assert_int_equal(91, len);
    assert_ok(pl_pubkey_from_der(pl_span_of(der, len), &again));
    assert_int_equal(key.kind, again.kind);
    assert_memory_equal(key.fingerprint, again.fingerprint, sizeof key.fingerprint);
    assert_ok(pl_pubkey_to_pem(&key, pem));
    assert_string_equal(TEST_KEY_EC_PUBLIC, pem);
    pl_hex_encode(key.fingerprint, sizeof key.fingerprint, hex);
    assert_span_text(pl_span_of(hex, sizeof hex), TEST_KEY_EC_FINGERPRINT);
}

static void p256_keys_are_refused_when_truncated_or_not_on_the_curve(void **state)
{
    (void)state;
    struct pl_pubkey key;
    struct pl_pubkey out;
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX] = { 0 };
    size_t size;
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &key));
    assert_ok(pl_pubkey_to_der(&key, der, &size));
    for (size_t len = 0; len < size; len++)
        assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, len), &out));
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size + 1), &out));
    /* One bit of x or y anywhere leaves the curve: both of one x are known, and no other. */
    for (size_t at = size - 64; at < size; at++) {
        der[at] ^= 1;
        assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size), &out));
        der[at] ^= 1;
    }
    der[26] = 0x02; /* the form of a compressed point, of which this would be too long */
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size), &out));
    der[26] = 0x04;
    memset(der + 27, 0, 64);
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size), &out));
    memset(der + 27, 0xff, 64); /* not below the prime */
    assert_err(PARLEY_EMALFORMED, pl_pubkey_from_der(pl_span_of(der, size), &out));
    der[22] = 0x06; /* another curve, or none of ours */
    assert_err(PARLEY_EINVAL, pl_pubkey_from_der(pl_span_of(der, size), &out));
}

static void backend_id_names_the_type_and_the_key(void **state)
{
    (void)state;
    struct pl_pubkey key;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char expected[PARLEY_BACKEND_ID_BYTES_MAX + 1] = "hosted_sha256_";
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &key));
    pl_backend_id_make(PL_BACKEND_HOSTED, &key, id);
    memcpy(expected + 14, TEST_KEY_A_FINGERPRINT, 32);
    assert_string_equal(expected, id);
}

static void backend_types_parse_by_name_alone(void **state)
{
    (void)state;
    enum pl_backend_type type;
    assert_ok(pl_backend_type_parse(pl_span_text("edge"), &type));
    assert_int_equal(PL_BACKEND_EDGE, type);
    assert_err(PARLEY_EINVAL, pl_backend_type_parse(pl_span_text("Edge"), &type));
    assert_err(PARLEY_EINVAL, pl_backend_type_parse(pl_span_text(""), &type));
}

static void import_and_unseal_report_failed_allocations(void **state)
{
    (void)state;
    struct test_env t;
    test_env_init(&t);
    struct pl_identity *id = import(&t, TEST_KEY_A_PKCS1);
    struct pl_identity *out = NULL;
    struct pl_seal_secret s = secret();
    uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
    size_t len;
    assert_ok(pl_identity_seal(id, &t.env, &s, sealed, sizeof sealed, &len));
    int64_t faults = 0;
    for (;; faults++) {
        t.fail_after = faults;
        parley_err err = pl_identity_unseal(&t.env, &s, pl_span_of(sealed, len), &out);
        if (err == PARLEY_OK)
            break;
        assert_err(PARLEY_ENOMEM, err);
        assert_int_equal(1, t.allocs);
    }
    assert_int_equal(1, faults);
    pl_identity_destroy(out);
    t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, import_result(&t, pl_span_text(TEST_KEY_A_PKCS1)));
    pl_identity_destroy(id);
    pl_identity_destroy(NULL);
    assert_int_equal(0, t.allocs);
}

static void identity_id_names_its_key_and_no_other(void **state)
{
    (void)state;
    struct pl_pubkey key;
    struct pl_pubkey other;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    assert_ok(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &key));
    other = key;
    other.fingerprint[15] ^= 1;
    for (int type = PL_BACKEND_LOCAL; type <= PL_BACKEND_EDGE; type++) {
        pl_backend_id_make((enum pl_backend_type)type, &key, id);
        struct parley_span whole = pl_span_text(id);
        assert_true(pl_backend_id_names(whole, &key));
        assert_false(pl_backend_id_names(whole, &other));
        assert_false(pl_backend_id_names(pl_span_of(id, whole.len - 1), &key));
        assert_false(pl_backend_id_names(pl_span_of(id, whole.len + 1), &key)); /* its NUL */
        assert_false(pl_backend_id_names(pl_span_after(whole, 1), &key));
        id[0] ^= 0x20;
        assert_false(pl_backend_id_names(whole, &key));
    }
    assert_false(pl_backend_id_names(pl_span_of(NULL, 0), &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_makes_a_working_2048_bit_key),
        cmocka_unit_test(creation_refuses_other_sizes),
        cmocka_unit_test(both_pem_forms_give_the_same_key),
        cmocka_unit_test(fingerprint_and_public_pem_agree_with_openssl),
        cmocka_unit_test(import_accepts_mangled_line_ends),
        cmocka_unit_test(import_accepts_3072_bits_and_refuses_other_sizes),
        cmocka_unit_test(import_refuses_keys_of_other_kinds),
        cmocka_unit_test(import_refuses_garbage),
        cmocka_unit_test(import_refuses_every_truncation),
        cmocka_unit_test(import_refuses_changed_numbers),
        cmocka_unit_test(sealed_identity_opens_as_the_same_key),
        cmocka_unit_test(unsealing_refuses_a_wrong_secret_and_foreign_contents),
        cmocka_unit_test(signatures_of_others_and_of_other_hashes_do_not_verify),
        cmocka_unit_test(public_keys_survive_pem_and_der),
        cmocka_unit_test(public_keys_are_refused_when_truncated_or_extended),
        cmocka_unit_test(p256_keys_survive_pem_and_der_and_have_the_fingerprint_of_openssl),
        cmocka_unit_test(p256_keys_are_refused_when_truncated_or_not_on_the_curve),
        cmocka_unit_test(backend_id_names_the_type_and_the_key),
        cmocka_unit_test(backend_types_parse_by_name_alone),
        cmocka_unit_test(import_and_unseal_report_failed_allocations),
        cmocka_unit_test(identity_id_names_its_key_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
