/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "trust/cert_names.h"

static void addresses_are_read_in_their_usual_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        uint8_t bytes[16];
    } good[] = {
        { "192.168.1.20", 4, { 192, 168, 1, 20 } },
        { "0.0.0.0", 4, { 0 } },
        { "255.255.255.255", 4, { 255, 255, 255, 255 } },
        { "::", 16, { 0 } },
        { "::1", 16, { [15] = 1 } },
        { "fe80::", 16, { 0xfe, 0x80 } },
        { "2001:DB8::ff:1", 16, { 0x20, 0x01, 0x0d, 0xb8, [13] = 0xff, [15] = 1 } },
        { "1:2:3:4:5:6:7:8", 16, { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8 } },
        { "1::3:4:5:6:7:8", 16, { 0, 1, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8 } },
        { "1:2:3:4:5:6:7::", 16, { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7 } },
        { "::2:3:4:5:6:7:8", 16, { 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8 } },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(good); i++) {
        uint8_t bytes[16] = { 0 };
        assert_int_equal(good[i].len, pl_cert_ip_parse(pl_span_text(good[i].text), bytes));
        assert_memory_equal(good[i].bytes, bytes, good[i].len);
    }
}

static void what_is_no_address_is_not_read_as_one(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "1.2.3",
                                       "1.2.3.4.5",
                                       "256.1.1.1",
                                       "1.2.3.",
                                       "1..2.3",
                                       "a.b.c.d",
                                       ":",
                                       ":::",
                                       "1::2::3",
                                       "1:2:3",
                                       "12345::",
                                       "1:2:3:4:5:6:7:8:9",
                                       "::1:",
                                       "1:",
                                       ":1",
                                       "g::",
                                       "1.2.3.4 ",
                                       "0001.2.3.4",
                                       "1:2:3:4:5:6:7:8::",
                                       "::1.2.3.4" };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        uint8_t bytes[16];
        assert_int_equal(0, pl_cert_ip_parse(pl_span_text(bad[i]), bytes));
    }
}

static void names_and_addresses_lose_their_ports_and_are_kept_once(void **state)
{
    (void)state;
    struct pl_cert_names names = { .count = 0 };
    static const char *const added[] = { "chat.example.org:8825",
                                         "chat.example.org",
                                         "10.0.0.7:1",
                                         "[2001:db8::1]:8825",
                                         "2001:db8::1",
                                         "0.0.0.0:8825",
                                         "[::]:8825",
                                         "127.0.0.1:8825",
                                         "[::1]:8825",
                                         "localhost:8825",
                                         "10.0.0.7" };
    for (size_t i = 0; i < PL_ARRAY_LEN(added); i++)
        assert_ok(pl_cert_names_add(&names, pl_span_text(added[i])));
    bool is_ip = true;
    assert_int_equal(3, names.count);
    assert_span_text(pl_cert_names_at(&names, 0, &is_ip), "chat.example.org");
    assert_false(is_ip);
    assert_int_equal(4, pl_cert_names_at(&names, 1, &is_ip).len);
    assert_true(is_ip);
    assert_int_equal(16, pl_cert_names_at(&names, 2, &is_ip).len);
    assert_true(is_ip);
}

static void what_is_no_host_name_is_refused(void **state)
{
    (void)state;
    struct pl_cert_names names = { .count = 0 };
    static const char *const bad[] = { "",          ":1",  "[]",   ".x",    "-x",
                                       "a b",       "a/b", "[::1", "a_b:1", "\xc3\xa4",
                                       "*.example", "a\n", "a:b:c" };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EINVAL, pl_cert_names_add(&names, pl_span_text(bad[i])));
    assert_int_equal(0, names.count);
}

static void a_full_list_stays_as_it_is(void **state)
{
    (void)state;
    struct pl_cert_names names = { .count = 0 };
    char name[254] = { 0 };
    memset(name, 'a', 253);
    assert_ok(pl_cert_names_add(&names, pl_span_text(name)));
    name[0] = 'b';
    assert_err(PARLEY_EFULL, pl_cert_names_add(&names, pl_span_text(name)));
    for (size_t i = 1; i < PL_CERT_NAMES_MAX; i++) {
        char few[2] = { (char)('a' + i), '\0' };
        assert_ok(pl_cert_names_add(&names, pl_span_text(few)));
    }
    assert_err(PARLEY_EFULL, pl_cert_names_add(&names, pl_span_text("z")));
    assert_int_equal(PL_CERT_NAMES_MAX, names.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_in_their_usual_forms),
        cmocka_unit_test(what_is_no_address_is_not_read_as_one),
        cmocka_unit_test(names_and_addresses_lose_their_ports_and_are_kept_once),
        cmocka_unit_test(what_is_no_host_name_is_refused),
        cmocka_unit_test(a_full_list_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
