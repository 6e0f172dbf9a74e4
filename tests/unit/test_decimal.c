/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/rng.h"
#include "core/decimal.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Compares with the C library, which rounds correctly. */
static void check_text(const char *text)
{
    double expected = strtod(text, NULL);
    double value = 0;
    bool overflows = expected > 1.7976931348623157e308 || expected < -1.7976931348623157e308;
    parley_err err = pl_decimal_parse(pl_span_text(text), &value);
    if (err != (overflows ? PARLEY_ETOOBIG : PARLEY_OK))
        fail_msg("%s: %s", text, parley_err_name(err));
    if (!overflows && bits_of(value) != bits_of(expected))
        fail_msg("%s: %.17g, not %.17g", text, value, expected);
}

static void decimal_rounds_like_the_c_library_at_every_exponent(void **state)
{
    (void)state;
    struct pl_rng rng;
    pl_rng_init(&rng, 1);
    for (int exponent = -400; exponent <= 330; exponent++) {
        for (int i = 0; i < 60; i++) {
            char text[64];
            uint64_t digits = pl_rng_u64(&rng) >> pl_rng_below(&rng, 64);
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exponent);
            check_text(text);
        }
    }
}

static void decimal_rounds_ties_and_their_neighbours(void **state)
{
    (void)state;
    struct pl_rng rng;
    pl_rng_init(&rng, 2);
    for (int i = 0; i < 3000; i++) {
        /* The exact decimal of a double and half a unit more, of any size, has up to 767 digits. */
        uint64_t bits = pl_rng_u64(&rng) & (i % 3 == 0 ? UINT64_C(0x001fffffffffffff) : INT64_MAX);
        double low;
        memcpy(&low, &bits, sizeof low);
        if (!(low < 1e308))
            continue;
        bits++;
        double high;
        memcpy(&high, &bits, sizeof high);
        long double half = ((long double)low + (long double)high) / 2;
        char text[1300];
        int len = snprintf(text, sizeof text - 2, "%.1100Le", half);
        char *mark = strchr(text, 'e');
        check_text(text);
        char up[1400];
        snprintf(up, sizeof up, "%.*s1%s", (int)(mark - text), text, mark);
        check_text(up);
        assert_true(len > 0);
    }
}

static void decimal_reads_the_hard_cases(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0",
        "-0.0",
        "0e999999999999",
        "1e-999999999999",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "1e99999999999999999999",
        "2.2250738585072011e-308",
        "9007199254740993",
        "9007199254740993.00000000000000000000000000000001",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "0.000000000000000000000000000000000000000000000000001e60",
        "8.5e15",
        "1E+2",
        "1e+02",
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++)
        check_text(texts[i]);
}

static void decimal_refuses_what_json_does(void **state)
{
    (void)state;
    static const char *const bad[] = { "",    "-",   "+1",   ".5",    "5.",    "01",  "-01",
                                       "1e",  "1e+", "1.e5", "00.5",  "1.5.5", "0x1", "inf",
                                       "nan", "1 ",  " 1",   "1e5.5", "--1" };
    double value;
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EMALFORMED, pl_decimal_parse(pl_span_text(bad[i]), &value));
}

static void decimal_prints_what_reads_back_equal(void **state)
{
    (void)state;
    struct pl_rng rng;
    pl_rng_init(&rng, 3);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = pl_rng_u64(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        char text[PL_DECIMAL_BYTES_MAX + 1] = { 0 };
        double back = 0;
        if (!(value - value == 0))
            continue;
        size_t len = pl_decimal_format(value, text);
        assert_in_range(len, 3, PL_DECIMAL_BYTES_MAX);
        assert_ok(pl_decimal_parse(pl_span_of(text, len), &back));
        if (bits_of(back) != bits || bits_of(strtod(text, NULL)) != bits)
            fail_msg("%s is not %.17g", text, value);
    }
}

static void decimal_prints_plainly(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 0.1, "0.1" },
        { 3.0, "3.0" },
        { -1.5, "-1.5" },
        { 1e16, "10000000000000000.0" },
        { 1e17, "1e17" },
        { 1e300, "1e300" },
        { 0.00001, "0.00001" },
        { 0.000001, "1e-6" },
        { 1.0 / 3, "0.3333333333333333" },
        { 1e23, "1e23" },
        { 123.456, "123.456" },
        { 9.5e-7, "9.5e-7" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 9007199254740993.0, "9007199254740992.0" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        char text[PL_DECIMAL_BYTES_MAX];
        assert_span_text(pl_span_of(text, pl_decimal_format(rows[i].value, text)), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_rounds_like_the_c_library_at_every_exponent),
        cmocka_unit_test(decimal_rounds_ties_and_their_neighbours),
        cmocka_unit_test(decimal_reads_the_hard_cases),
        cmocka_unit_test(decimal_refuses_what_json_does),
        cmocka_unit_test(decimal_prints_what_reads_back_equal),
        cmocka_unit_test(decimal_prints_plainly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
