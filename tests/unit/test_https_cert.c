/* SPDX-License-Identifier: Apache-2.0
 *
 * The files are made by the openssl command; without it the tests are skipped. How each refusal
 * reads to an operator is in tests/cli/test_tls.py.
 */
#include "lib/testlib.h"

#include "core/hash.h"
#include "trust/https_cert.h"
#include "trust/pem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FILE_BYTES_MAX 32768

struct text {
    char bytes[FILE_BYTES_MAX];
    size_t len;
};

struct fixture {
    struct test_env t;
    char dir[64];
    parley_wall now;
};

static int make(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    char line[2048];
    *state = f;
    test_env_init(&f->t);
    test_tmpdir(f->dir);
    snprintf(
        line, sizeof line,
        "cd '%s' && { for k in a b; do openssl ecparam -name prime256v1 -genkey -out ec_$k.key;"
        " openssl req -x509 -key ec_$k.key -out ec_$k.pem -days 30 -subj /CN=$k;"
        " openssl pkcs8 -topk8 -nocrypt -in ec_$k.key -out ec_$k.p8;"
        " openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa_$k.key -out rsa_$k.pem"
        " -days 30 -subj /CN=$k;"
        " openssl rsa -traditional -in rsa_$k.key -out rsa_$k.p1; done; } >log 2>&1",
        f->dir);
    if (system(line) == 0)
        f->now = (parley_wall)time(NULL) * PARLEY_US_PER_S; /* not before they were made */
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    test_rmtree(f->dir);
    assert_int_equal(0, f->t.allocs);
    test_free(f);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;
    if (f->now == 0) {
        print_error("SKIPPED: no openssl command here\n");
        skip();
    }
    return f;
}

static struct parley_span load(const struct fixture *f, const char *name, struct text *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text->len = fread(text->bytes, 1, sizeof text->bytes, file);
    fclose(file);
    return pl_span_of(text->bytes, text->len);
}

static struct pl_https_cert *opened(struct fixture *f, const char *name)
{
    struct text text;
    struct pl_https_cert *cert = NULL;
    struct parley_diag diag = { "" };
    assert_ok(pl_https_cert_open(&f->t.env, load(f, name, &text), f->now, &cert, &diag));
    return cert;
}

static parley_err set_key(struct fixture *f, struct pl_https_cert *cert, const char *name)
{
    struct text text;
    struct parley_diag diag = { "" };
    return pl_https_cert_set_key(cert, load(f, name, &text), &diag);
}

static void every_form_of_the_right_key_is_taken_and_signs(void **state)
{
    struct fixture *f = fixture_of(state);
    static const char *const pairs[][2] = { { "ec_a.pem", "ec_a.key" },
                                            { "ec_a.pem", "ec_a.p8" },
                                            { "rsa_a.pem", "rsa_a.key" },
                                            { "rsa_a.pem", "rsa_a.p1" } };
    for (size_t i = 0; i < PL_ARRAY_LEN(pairs); i++) {
        uint8_t hash[PL_SHA256_BYTES] = { 1, 2, 3 };
        uint8_t signature[PL_SIGNATURE_BYTES_MAX];
        size_t len = 0;
        struct pl_https_cert *cert = opened(f, pairs[i][0]);
        assert_ok(set_key(f, cert, pairs[i][1]));
        assert_int_equal(i >= 2, pl_https_cert_is_rsa(cert));
        assert_int_equal(1, pl_https_cert_count(cert));
        assert_ok(pl_https_cert_sign(cert, hash, signature, sizeof signature, &len));
        assert_in_range(len, 60, sizeof signature);
        assert_err(PARLEY_EFULL, pl_https_cert_sign(cert, hash, signature, 60, &len));
        pl_https_cert_close(cert);
    }
}

static void the_key_of_another_certificate_is_refused(void **state)
{
    struct fixture *f = fixture_of(state);
    static const struct {
        const char *cert, *key;
        parley_err err;
    } cases[] = { { "ec_a.pem", "ec_b.key", PARLEY_EIDENTITY },
                  { "ec_a.pem", "ec_b.p8", PARLEY_EIDENTITY },
                  { "rsa_a.pem", "rsa_b.key", PARLEY_EIDENTITY },
                  { "rsa_a.pem", "ec_a.p8", PARLEY_EINVAL },
                  { "ec_a.pem", "rsa_a.key", PARLEY_EINVAL },
                  { "ec_a.pem", "ec_a.pem", PARLEY_EMALFORMED } };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct pl_https_cert *cert = opened(f, cases[i].cert);
        assert_err(cases[i].err, set_key(f, cert, cases[i].key));
        pl_https_cert_close(cert);
    }
}

static void dates_count_from_the_first_to_the_last_second(void **state)
{
    struct fixture *f = fixture_of(state);
    struct text text;
    struct pl_https_cert *cert = opened(f, "ec_a.pem");
    parley_wall end = pl_https_cert_not_after(cert) * PARLEY_US_PER_S;
    struct parley_span pem = load(f, "ec_a.pem", &text);
    pl_https_cert_close(cert);
    assert_ok(pl_https_cert_open(&f->t.env, pem, end, &cert, NULL));
    pl_https_cert_close(cert);
    assert_err(PARLEY_EEXPIRED,
               pl_https_cert_open(&f->t.env, pem, end + PARLEY_US_PER_S, &cert, NULL));
    assert_err(PARLEY_EEXPIRED, pl_https_cert_open(&f->t.env, pem, PARLEY_US_PER_S, &cert, NULL));
}

static void a_chain_of_four_is_taken_and_of_five_is_not(void **state)
{
    struct fixture *f = fixture_of(state);
    struct text text;
    struct parley_span one = load(f, "rsa_a.pem", &text);
    struct pl_https_cert *cert = NULL;
    for (size_t count = 1; count < 5; count++)
        memcpy(text.bytes + count * one.len, one.ptr, one.len);
    assert_ok(
        pl_https_cert_open(&f->t.env, pl_span_of(text.bytes, 4 * one.len), f->now, &cert, NULL));
    assert_int_equal(4, pl_https_cert_count(cert));
    assert_true(pl_span_equal(pl_https_cert_at(cert, 0), pl_https_cert_at(cert, 3)));
    pl_https_cert_close(cert);
    assert_err(PARLEY_ETOOBIG, pl_https_cert_open(&f->t.env, pl_span_of(text.bytes, 5 * one.len),
                                                  f->now, &cert, NULL));
}

/* Whatever is cut off or changed: refused or taken, and nothing is left behind. */
static void damaged_files_do_no_harm(void **state)
{
    struct fixture *f = fixture_of(state);
    static const char *const names[] = { "ec_a.pem", "ec_a.key", "ec_a.p8", "rsa_a.pem" };
    struct pl_https_cert *good = opened(f, "ec_a.pem");
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        struct text text;
        struct parley_span whole = load(f, names[i], &text);
        for (size_t at = 0; at + 1 < whole.len; at += 3) { /* the last is a line end */
            struct pl_https_cert *cert = NULL;
            struct parley_span cut = pl_span_of(text.bytes, at);
            assert_int_not_equal(PARLEY_OK,
                                 pl_https_cert_open(&f->t.env, cut, f->now, &cert, NULL));
            text.bytes[at] ^= 1;
            if (pl_https_cert_open(&f->t.env, whole, f->now, &cert, NULL) == PARLEY_OK)
                pl_https_cert_close(cert);
            pl_ignore(pl_https_cert_set_key(good, whole, NULL), "any answer will do");
            text.bytes[at] ^= 1;
        }
    }
    pl_https_cert_close(good);
}

static void no_memory_is_reported(void **state)
{
    struct fixture *f = fixture_of(state);
    struct text text;
    struct pl_https_cert *cert = NULL;
    struct parley_span pem = load(f, "rsa_a.pem", &text);
    f->t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_https_cert_open(&f->t.env, pem, f->now, &cert, NULL));
    f->t.fail_after = -1;
    cert = opened(f, "rsa_a.pem");
    f->t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, set_key(f, cert, "rsa_a.key"));
    f->t.fail_after = -1;
    pl_https_cert_close(cert);
    pl_https_cert_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_the_right_key_is_taken_and_signs),
        cmocka_unit_test(the_key_of_another_certificate_is_refused),
        cmocka_unit_test(dates_count_from_the_first_to_the_last_second),
        cmocka_unit_test(a_chain_of_four_is_taken_and_of_five_is_not),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(no_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
