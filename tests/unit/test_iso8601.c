/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "core/iso8601.h"

static uint64_t parse(const char *text)
{
    uint64_t us = 12345;
    assert_ok(pl_iso8601_parse(pl_span_text(text), &us));
    return us;
}

static void iso8601_reads_every_accepted_form_of_one_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2020-01-01T00:00:44.000000Z",   "2020-01-01T00:00:44",       "2020-01-01 00:00:44Z",
        "2020-01-01t00:00:44.0z",        "2020-01-01T02:00:44+02:00", "2019-12-31T18:30:44-0530",
        "2020-01-01T00:00:44.000000999",
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++)
        assert_true(parse(texts[i]) == UINT64_C(1577836844000000));
    assert_true(parse("1970-01-01T00:00") == 0);
    assert_true(parse("1970-01-01T00:00:00.5") == 500000);
    assert_true(parse("2016-12-31T23:59:60Z") == UINT64_C(1483228799999999));
    assert_true(parse("9999-12-31T23:59:59.999999Z") == PL_ISO8601_US_MAX);
}

static void iso8601_goes_on_where_32_bits_of_seconds_end(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t second;
    } rows[] = {
        { "2038-01-19T03:14:07.999999Z", INT32_MAX },
        { "2038-01-19T03:14:08.000000Z", (uint64_t)INT32_MAX + 1 },
        { "2106-02-07T06:28:15.999999Z", UINT32_MAX },
        { "2106-02-07T06:28:16.000000Z", (uint64_t)UINT32_MAX + 1 },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        char text[PL_ISO8601_BYTES];
        uint64_t us = parse(rows[i].text);
        assert_int_equal(rows[i].second, us / 1000000);
        pl_iso8601_format(us, text);
        assert_memory_equal(rows[i].text, text, sizeof text);
    }
}

static void iso8601_refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2020",
        "2020-01-01",
        "2020-01-01T00",
        "2020-01-01T00:00:",
        "2020-13-01T00:00",
        "2020-00-01T00:00",
        "2020-01-00T00:00",
        "2019-02-29T00:00",
        "2100-02-29T00:00",
        "2020-04-31T00:00",
        "2020-01-01T24:00",
        "2020-01-01T00:60",
        "2020-01-01T00:00:61",
        "2020-01-01T00:00:00.",
        "2020-01-01T00:00:00.1234567890",
        "2020-01-01T00:00:00,5",
        "2020-01-01T00:00Zx",
        "2020-01-01T00:00+1",
        "2020-01-01T00:00+01:",
        "2020-01-01T00:00+24:00",
        "2020-01-01T00:00 Z",
        "2020-01-01X00:00",
        "-020-01-01T00:00",
        "2020-1-01T00:00 ",
    };
    uint64_t us = 7;
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EMALFORMED, pl_iso8601_parse(pl_span_text(bad[i]), &us));
    assert_true(us == 7);
}

static void iso8601_refuses_times_outside_its_years(void **state)
{
    (void)state;
    static const char *const bad[] = { "1969-12-31T23:59:59Z", "1970-01-01T00:00+00:01",
                                       "9999-12-31T23:59:59-00:01", "0000-01-01T00:00" };
    uint64_t us;
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_ETOOBIG, pl_iso8601_parse(pl_span_text(bad[i]), &us));
}

static void iso8601_formats_what_parses_back_for_every_day(void **state)
{
    (void)state;
    for (uint64_t us = 123456; us <= PL_ISO8601_US_MAX; us += UINT64_C(86400000000)) {
        char text[PL_ISO8601_BYTES];
        uint64_t back;
        pl_iso8601_format(us, text);
        assert_ok(pl_iso8601_parse(pl_span_of(text, sizeof text), &back));
        if (back != us)
            fail_msg("%.27s", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso8601_reads_every_accepted_form_of_one_time),
        cmocka_unit_test(iso8601_goes_on_where_32_bits_of_seconds_end),
        cmocka_unit_test(iso8601_refuses_what_is_no_time),
        cmocka_unit_test(iso8601_refuses_times_outside_its_years),
        cmocka_unit_test(iso8601_formats_what_parses_back_for_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
