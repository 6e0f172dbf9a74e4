/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log: whatever a value holds, a line is one line and reads back.
 */
#include "lib/testlib.h"

#include "base/rng.h"
#include "parleyd/log.h"

#include <jansson.h>
#include <stdio.h>

#define TIME "2020-01-01T00:00:44.000000Z"

static const char *line_of(enum log_format format, const char *value,
                           char out[LOG_LINE_BYTES_MAX + 2])
{
    const struct log_pair pairs[] = { { "none", NULL }, { "value", value }, { NULL, NULL } };
    size_t len = log_format_line(format, TIME, LOG_LEVEL_WARN, "tested", pairs, out);
    assert_true(len <= LOG_LINE_BYTES_MAX + 1);
    assert_int_equal('\n', out[len - 1]);
    out[len - 1] = '\0';
    assert_int_equal(len - 1, strlen(out));
    return out;
}

static void log_writes_both_formats(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 2];
    assert_string_equal("time=" TIME " level=warn event=tested value=plain",
                        line_of(LOG_FORMAT_LOGFMT, "plain", line));
    assert_string_equal("{\"time\":\"" TIME "\",\"level\":\"warn\",\"event\":\"tested\","
                        "\"value\":\"plain\"}",
                        line_of(LOG_FORMAT_JSON, "plain", line));
}

static void log_quotes_what_could_end_a_value(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 2];
    static const char value[] = "a b=\"c\" \\ \n event=forged";
    assert_string_equal("time=" TIME " level=warn event=tested "
                        "value=\"a b=\\\"c\\\" \\\\   event=forged\"",
                        line_of(LOG_FORMAT_LOGFMT, value, line));
    assert_string_equal("time=" TIME " level=warn event=tested value=\"\"",
                        line_of(LOG_FORMAT_LOGFMT, "", line));
    assert_string_equal("time=" TIME " level=warn event=tested value=\"??x\"",
                        line_of(LOG_FORMAT_LOGFMT, "\xff\xc3x", line));
}

static const char *value_of(const char *line, char out[LOG_LINE_BYTES_MAX + 1])
{
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_int_equal(4, json_object_size(json));
    assert_string_equal("tested", json_string_value(json_object_get(json, "event")));
    snprintf(out, LOG_LINE_BYTES_MAX + 1, "%s", json_string_value(json_object_get(json, "value")));
    json_decref(json);
    return out;
}

static void log_writes_json_that_reads_back(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 2];
    char value[LOG_LINE_BYTES_MAX + 1];
    assert_string_equal(
        "\"}\\ \xc3\xbc \xf0\x9f\x8e\x89",
        value_of(line_of(LOG_FORMAT_JSON, "\"}\\ \xc3\xbc \xf0\x9f\x8e\x89", line), value));
    assert_string_equal("a  b?", value_of(line_of(LOG_FORMAT_JSON,
                                                  "a\n\x1b"
                                                  "b\x80",
                                                  line),
                                          value));
    struct pl_rng rng;
    pl_rng_init(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        size_t len = (size_t)pl_rng_below(&rng, sizeof text);
        for (size_t j = 0; j < len; j++)
            text[j] = (char)(1 + pl_rng_below(&rng, 255));
        text[len] = '\0';
        value_of(line_of(LOG_FORMAT_JSON, text, line), value);
    }
}

/* What is cut is a value, never the form of the line. */
static void log_cuts_long_lines_whole(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 2];
    char value[LOG_LINE_BYTES_MAX + 1];
    char text[3000];
    static const char *const units[] = { "x", "\"", "\xf0\x9f\x8e\x89", "\n" };
    for (size_t unit = 0; unit < PL_ARRAY_LEN(units); unit++) {
        size_t len = strlen(units[unit]);
        for (size_t count = 400; count * len < sizeof text; count += 1 + count % 7) {
            for (size_t i = 0; i < count; i++)
                memcpy(text + i * len, units[unit], len);
            text[count * len] = '\0';
            value_of(line_of(LOG_FORMAT_JSON, text, line), value);
            line_of(LOG_FORMAT_LOGFMT, text, line);
        }
    }
    assert_true(strlen(line) > LOG_LINE_BYTES_MAX - 16); /* so it was cut, and not by much */
    assert_int_equal('"', line[strlen(line) - 1]);
}

static void log_leaves_out_pairs_without_room(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 2];
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const struct log_pair pairs[] = { { "first", text }, { "second", text }, { NULL, NULL } };
    size_t len = log_format_line(LOG_FORMAT_JSON, TIME, LOG_LEVEL_INFO, "e", pairs, line);
    json_t *json = json_loadb(line, len, 0, NULL);
    assert_non_null(json);
    assert_non_null(json_object_get(json, "first"));
    assert_null(json_object_get(json, "second"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_writes_both_formats),
        cmocka_unit_test(log_quotes_what_could_end_a_value),
        cmocka_unit_test(log_writes_json_that_reads_back),
        cmocka_unit_test(log_cuts_long_lines_whole),
        cmocka_unit_test(log_leaves_out_pairs_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
