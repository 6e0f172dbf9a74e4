/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the URL of an invite; what it opens is tested with whole nodes.
 */
#include "lib/testlib.h"

#include "node/node_int.h"

#define KEY    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define SECRET "AAECAwQFBgcICQoLDA0ODw"
#define GOOD                                                                                       \
    "parley://example.org:8825/edge_sha256_0?k=" KEY "&s=" SECRET "&n=team&r=w&e=1767225600"

static void invite_is_read_field_by_field(void **state)
{
    struct pl_join join;
    (void)state;
    assert_ok(pl_invite_parse(pl_span_text(GOOD), &join, NULL));
    assert_string_equal("example.org:8825", join.address);
    assert_string_equal("edge_sha256_0", join.backend_id);
    assert_string_equal("team", join.name_space);
    assert_true(join.may_write);
    assert_int_equal(31, join.fingerprint[31]);
    assert_int_equal(15, join.secret[15]);
    assert_ok(pl_invite_parse(pl_span_text("parley://h:1/i?n=a&s=" SECRET "&k=" KEY), &join, NULL));
    assert_false(join.may_write);
}

static void invite_names_the_part_that_is_no_good(void **state)
{
    static const struct {
        const char *why;
        const char *url;
    } rows[] = {
        { "parley://", "" },
        { "parley://", "http://h:1/i?k=" KEY "&s=" SECRET "&n=a" },
        { "HOST:PORT", "parley:///i?k=" KEY "&s=" SECRET "&n=a" },
        { "HOST:PORT", "parley://h\n:1/i?k=" KEY "&s=" SECRET "&n=a" },
        { "backend id", "parley://h:1/?k=" KEY "&s=" SECRET "&n=a" },
        { "backend id", "parley://h:1/i i?k=" KEY "&s=" SECRET "&n=a" },
        { "(k=)", "parley://h:1/i?s=" SECRET "&n=a" },
        { "(k=)", "parley://h:1/i?k=AAAA&s=" SECRET "&n=a" },
        { "twice", "parley://h:1/i?k=" KEY "&k=&s=" SECRET "&n=a" },
        { "twice", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=a&n=b" },
        { "(r=)", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=a&r=rw" },
        { "(e=)", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=a&e=soon" },
        { "(n=)", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=\xff" },
        { "(s=)", "parley://h:1/i?k=" KEY "&n=a" },
        { "(s=)", "parley://h:1/i?k=" KEY "&s=" KEY "&n=a" },
        { "(n=)", "parley://h:1/i?k=" KEY "&s=" SECRET },
        { "(n=)", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=" },
        { "(n=)", "parley://h:1/i?k=" KEY "&s=" SECRET "&n=a\tb" },
    };
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        struct pl_join join;
        struct parley_diag diag = { { 0 } };
        assert_err(PARLEY_EMALFORMED, pl_invite_parse(pl_span_text(rows[i].url), &join, &diag));
        assert_non_null(strstr(diag.text, rows[i].why));
    }
}

/* A C string would end there, and name another host or node than the whole. */
static void invite_with_a_nul_in_it_is_refused(void **state)
{
    (void)state;
    /* Of the right and the expiry, what is not understood is passed over. */
    for (size_t at = 0; at < strlen(GOOD) - strlen("r=w&e=1767225600"); at++) {
        char url[] = GOOD;
        struct pl_join join;
        url[at] = '\0';
        assert_err(PARLEY_EMALFORMED,
                   pl_invite_parse(pl_span_of(url, sizeof GOOD - 1), &join, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invite_is_read_field_by_field),
        cmocka_unit_test(invite_names_the_part_that_is_no_good),
        cmocka_unit_test(invite_with_a_nul_in_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
