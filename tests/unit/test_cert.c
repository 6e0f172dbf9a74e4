/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "lib/keys.h"

#include "trust/cert.h"

#include <stdio.h>
#include <stdlib.h>

/* 2026-01-01T00:00:00Z */
#define NOW        (INT64_C(1767225600) * PARLEY_US_PER_S)
#define DAY        (INT64_C(86400) * PARLEY_US_PER_S)
#define BACKEND_ID "local_sha256_0123456789abcdef0123456789abcdef"

struct fixture {
    struct test_env t;
    struct pl_identity *id;
    struct pl_identity *other;
};

static void setup(struct fixture *f, const char *pem)
{
    test_env_init(&f->t);
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(pem), &f->id, NULL));
    assert_ok(pl_identity_import(&f->t.env, pl_span_text(TEST_KEY_B_PKCS1), &f->other, NULL));
}

static void teardown(struct fixture *f)
{
    pl_identity_destroy(f->id);
    pl_identity_destroy(f->other);
    assert_int_equal(0, f->t.allocs);
}

static struct pl_tls_credential make(struct fixture *f, const char *dns_name, parley_wall now)
{
    struct pl_tls_credential c;
    struct pl_cert_names names = { .count = 0 };
    if (dns_name[0] != '\0')
        assert_ok(pl_cert_names_add(&names, pl_span_text(dns_name)));
    assert_ok(pl_tls_credential_make(&f->t.env, f->id, BACKEND_ID, &names, now, &c));
    return c;
}

static parley_err check(const struct pl_tls_credential *c, const struct pl_identity *issuer,
                        parley_wall now)
{
    uint8_t point[PL_EC_PUBLIC_BYTES] = { 0 };
    parley_err err =
        pl_cert_leaf_check(pl_span_of(c->leaf, c->leaf_len),
                           issuer == NULL ? NULL : pl_identity_pubkey(issuer), now, point);
    if (err == PARLEY_OK)
        assert_memory_equal(c->public_key, point, sizeof point);
    return err;
}

static void leaf_is_accepted_under_its_identity_alone(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = make(&f, "", NOW);
    assert_ok(check(&c, f.id, NOW));
    assert_ok(check(&c, NULL, NOW));
    assert_err(PARLEY_EAUTH, check(&c, f.other, NOW));
    teardown(&f);
}

static void leaf_is_valid_from_a_day_before_for_ninety_days(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = make(&f, "", NOW);
    assert_int_equal((NOW + 90 * DAY) / PARLEY_US_PER_S, c.not_after);
    assert_ok(check(&c, f.id, NOW - DAY));
    assert_err(PARLEY_EEXPIRED, check(&c, f.id, NOW - DAY - 1000000));
    assert_ok(check(&c, f.id, NOW + 90 * DAY));
    assert_err(PARLEY_EEXPIRED, check(&c, f.id, NOW + 90 * DAY + 1000000));
    assert_err(PARLEY_EEXPIRED, check(&c, NULL, NOW + 91 * DAY));
    assert_err(PARLEY_EEXPIRED, check(&c, f.id, -1));
    /* A bad signature speaks before a bad date. */
    assert_err(PARLEY_EAUTH, check(&c, f.other, NOW + 91 * DAY));
    teardown(&f);
}

/* Leap days, the end of centuries and the change of form in 2050. */
static void dates_survive_at_awkward_times(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    static const int64_t seconds[] = { 86400,       951782400,  1709164800,  2524521600,
                                       2524608000,  2524694400, 4107542400,  4107456000,
                                       13574563200, 7258118399, 253394524799 };
    for (size_t i = 0; i < PL_ARRAY_LEN(seconds); i++) {
        parley_wall now = seconds[i] * PARLEY_US_PER_S;
        struct pl_tls_credential c = make(&f, "", now);
        assert_ok(check(&c, f.id, now - DAY));
        assert_err(PARLEY_EEXPIRED, check(&c, f.id, now - DAY - 1000000));
        assert_ok(check(&c, f.id, now + 90 * DAY));
        assert_err(PARLEY_EEXPIRED, check(&c, f.id, now + 90 * DAY + 1000000));
    }
    teardown(&f);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = make(&f, "node.example", NOW);
    size_t whole = c.leaf_len;
    for (size_t len = 0; len < whole; len++) {
        c.leaf_len = len;
        assert_err(PARLEY_EMALFORMED, check(&c, NULL, NOW));
    }
    c.leaf_len = whole + 1;
    c.leaf[whole] = 0;
    assert_err(PARLEY_EMALFORMED, check(&c, NULL, NOW));
    teardown(&f);
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = make(&f, "node.example", NOW);
    for (size_t i = 0; i < c.leaf_len; i++) {
        c.leaf[i] ^= 1;
        parley_err err = check(&c, f.id, NOW);
        assert_true(err == PARLEY_EMALFORMED || err == PARLEY_EAUTH);
        c.leaf[i] ^= 1;
    }
    teardown(&f);
}

static void a_ca_certificate_is_no_leaf(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = { .leaf_len = 0 };
    assert_ok(pl_cert_ca_make(f.id, BACKEND_ID, NOW, c.leaf, &c.leaf_len));
    assert_err(PARLEY_EMALFORMED, check(&c, f.id, NOW));
    teardown(&f);
}

static void ca_certificate_is_the_same_each_time(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    uint8_t a[PL_CERT_DER_BYTES_MAX];
    uint8_t b[PL_CERT_DER_BYTES_MAX];
    size_t a_len;
    size_t b_len;
    assert_ok(pl_cert_ca_make(f.id, BACKEND_ID, NOW, a, &a_len));
    assert_ok(pl_cert_ca_make(f.id, BACKEND_ID, NOW, b, &b_len));
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a, b, a_len);
    teardown(&f);
}

static void largest_certificate_fits(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_3072_PKCS8);
    char backend_id[65] = { 0 };
    struct pl_cert_names names = { .count = 0 };
    memset(backend_id, 'b', 64);
    /* As many names as there can be, and as long. */
    for (size_t i = 0; i < PL_CERT_NAMES_MAX; i++) {
        char name[64] = { 0 };
        size_t share = PL_CERT_NAMES_BYTES_MAX / PL_CERT_NAMES_MAX;
        memset(name, 'a',
               i == 0 ? PL_CERT_NAMES_BYTES_MAX - share * (PL_CERT_NAMES_MAX - 1) : share);
        name[0] = (char)('b' + i);
        assert_ok(pl_cert_names_add(&names, pl_span_text(name)));
    }
    assert_int_equal(PL_CERT_NAMES_BYTES_MAX, names.len);
    struct pl_tls_credential c;
    uint8_t ca[PL_CERT_DER_BYTES_MAX];
    size_t len;
    assert_ok(pl_tls_credential_make(&f.t.env, f.id, backend_id, &names, NOW, &c));
    assert_ok(check(&c, f.id, NOW));
    assert_ok(pl_cert_ca_make(f.id, backend_id, NOW, ca, &len));
    teardown(&f);
}

static void a_credential_is_due_when_a_third_is_left_or_the_clock_was_wrong(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c = make(&f, "", NOW);
    assert_false(pl_tls_credential_is_due(&c, NOW));
    assert_false(pl_tls_credential_is_due(&c, NOW + 60 * DAY - 1000000));
    assert_true(pl_tls_credential_is_due(&c, NOW + 60 * DAY));
    assert_true(pl_tls_credential_is_due(&c, NOW + 1000 * DAY));
    assert_false(pl_tls_credential_is_due(&c, NOW - DAY));
    assert_true(pl_tls_credential_is_due(&c, NOW - DAY - 1000000));
    teardown(&f);
}

static void bad_ids_and_times_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, TEST_KEY_A_PKCS1);
    struct pl_tls_credential c;
    char long_name[66] = { 0 };
    memset(long_name, 'a', 65);
    assert_err(PARLEY_EINVAL, pl_tls_credential_make(&f.t.env, f.id, long_name, NULL, NOW, &c));
    assert_err(PARLEY_EINVAL, pl_tls_credential_make(&f.t.env, f.id, "", NULL, NOW, &c));
    assert_err(PARLEY_EINVAL, pl_tls_credential_make(&f.t.env, f.id, BACKEND_ID, NULL, 0, &c));
    assert_err(PARLEY_EINVAL,
               pl_tls_credential_make(&f.t.env, f.id, BACKEND_ID, NULL, INT64_MAX, &c));
    teardown(&f);
}

static void write_file(const char *dir, const char *name, const uint8_t *bytes, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(len, fwrite(bytes, 1, len, file));
    assert_int_equal(0, fclose(file));
}

static int run(const char *dir, const char *command)
{
    char line[1024];
    snprintf(line, sizeof line, "cd '%s' && { %s; } >log 2>&1", dir, command);
    int rc = system(line);
    if (rc != 0) {
        snprintf(line, sizeof line, "cat '%s/log' >&2", dir);
        if (system(line) != 0)
            print_error("no log\n");
    }
    return rc;
}

/* The judge is the real openssl command, strict, at the time the certificate was made for. */
static void openssl_accepts_leaf_and_ca(void **state)
{
    (void)state;
    if (system("openssl version >/dev/null 2>&1") != 0) {
        print_error("SKIPPED: no openssl command here; certificates were not cross-checked\n");
        skip();
    }
    static const char *const keys[] = { TEST_KEY_A_PKCS1, TEST_KEY_3072_PKCS8 };
    for (size_t i = 0; i < PL_ARRAY_LEN(keys); i++) {
        struct fixture f;
        char dir[64];
        uint8_t ca[PL_CERT_DER_BYTES_MAX];
        size_t ca_len;
        setup(&f, keys[i]);
        test_tmpdir(dir);
        struct pl_tls_credential c = make(&f, "node.example", NOW);
        assert_ok(pl_cert_ca_make(f.id, BACKEND_ID, NOW - DAY, ca, &ca_len));
        write_file(dir, "leaf.der", c.leaf, c.leaf_len);
        write_file(dir, "ca.der", ca, ca_len);
        assert_int_equal(0, run(dir, "openssl x509 -inform DER -in leaf.der -out leaf.pem && "
                                     "openssl x509 -inform DER -in ca.der -out ca.pem"));
        assert_int_equal(0, run(dir, "openssl verify -x509_strict -attime 1767225600 "
                                     "-purpose sslserver -verify_hostname node.example "
                                     "-CAfile ca.pem leaf.pem"));
        assert_int_equal(0, run(dir, "openssl verify -x509_strict -attime 1767225600 "
                                     "-purpose sslserver -verify_ip ::1 -CAfile ca.pem leaf.pem"));
        assert_int_equal(0, run(dir, "openssl verify -x509_strict -attime 1767225600 "
                                     "-purpose sslclient -CAfile ca.pem leaf.pem"));
        assert_int_equal(0, run(dir, "openssl x509 -in leaf.pem -noout -startdate | "
                                     "grep -q 'Dec 31 00:00:00 2025 GMT'"));
        test_rmtree(dir);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_is_accepted_under_its_identity_alone),
        cmocka_unit_test(leaf_is_valid_from_a_day_before_for_ninety_days),
        cmocka_unit_test(dates_survive_at_awkward_times),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(a_ca_certificate_is_no_leaf),
        cmocka_unit_test(ca_certificate_is_the_same_each_time),
        cmocka_unit_test(largest_certificate_fits),
        cmocka_unit_test(a_credential_is_due_when_a_third_is_left_or_the_clock_was_wrong),
        cmocka_unit_test(bad_ids_and_times_are_refused),
        cmocka_unit_test(openssl_accepts_leaf_and_ca),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
