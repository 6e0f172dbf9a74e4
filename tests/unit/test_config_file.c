/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a configuration file: which lines say something, and what is wrong with the others.
 */
#include "lib/testlib.h"

#include "parleyd/config_file.h"

#include <stdio.h>

struct script {
    char text[4096];
};

static void note(struct script *script, const char *text)
{
    size_t len = strlen(script->text);
    snprintf(script->text + len, sizeof script->text - len, "%s", text);
}

static void on_entry(void *ud, unsigned line, const char *name, const char *value)
{
    char text[512];
    snprintf(text, sizeof text, "%u %s=%s\n", line, name, value);
    note(ud, text);
}

static void on_mistake(void *ud, unsigned line, const char *why)
{
    char text[512];
    snprintf(text, sizeof text, "%u ! %s\n", line, why);
    note(ud, text);
}

static void check(struct parley_span text, const char *expected)
{
    struct script script = { "" };
    struct config_file_hooks hooks = { .ud = &script, .entry = on_entry, .mistake = on_mistake };
    config_file_read(text, &hooks);
    assert_string_equal(expected, script.text);
}

static void config_file_reads_names_and_values(void **state)
{
    (void)state;
    check(pl_span_text("data = /var/lib/parley\n\nrate=5:6\r\n  log-level : debug\t\n"
                       "listen = [::1]:8825"),
          "1 data=/var/lib/parley\n3 rate=5:6\n4 log-level=debug\n5 listen=[::1]:8825\n");
    check(pl_span_text(""), "");
    check(pl_span_text("\n \n\t\n"), "");
}

static void config_file_passes_comments_over(void **state)
{
    (void)state;
    check(pl_span_text("# one\n; two\n  # three = 3\ndata = a ; four\ndata = b;c\n"),
          "4 data=a\n5 data=b;c\n");
    check(pl_span_text("\xef\xbb\xbf# a mark of Windows\n\xef\xbb\xbf"
                       "data = d\n"),
          "2 data=d\n");
}

static void config_file_names_every_line_that_is_wrong(void **state)
{
    (void)state;
    check(pl_span_text("[net]\nfoo\n= 1\ndata =\ndata = \"x\"\ndata = x # y\nrate = 1:2\n"),
          "1 ! there are no sections; take the line away\n"
          "2 ! write NAME = VALUE\n"
          "3 ! there is no name before the =\n"
          "4 ! there is no value behind the =; take the line away for the default\n"
          "5 ! write the value without quotes\n"
          "6 ! a comment behind a value begins with \" ;\", not with \" #\"\n"
          "7 rate=1:2\n");
}

/* For inih an indented line goes on with the value of the line before. */
static void config_file_takes_an_indented_line_for_itself(void **state)
{
    (void)state;
    check(pl_span_text("data = a\n  b\n  rate = 1:2\n"),
          "1 data=a\n2 ! write NAME = VALUE\n3 rate=1:2\n");
}

static void config_file_bounds_a_line(void **state)
{
    (void)state;
    char text[512];
    char expected[512];
    for (int len = 180; len < 260; len++) {
        int name = snprintf(text, sizeof text, "data = ");
        memset(text + name, 'x', (size_t)(len - name));
        snprintf(text + len, sizeof text - (size_t)len, "\nrate = 1:2\n");
        if (len <= (int)CONFIG_LINE_BYTES_MAX)
            snprintf(expected, sizeof expected, "1 data=%.*s\n2 rate=1:2\n", len - name,
                     text + name);
        else
            snprintf(expected, sizeof expected,
                     "1 ! the line is longer than 190 bytes\n2 rate=1:2\n");
        check(pl_span_text(text), expected);
    }
}

static void config_file_refuses_controls_and_what_is_not_utf8(void **state)
{
    (void)state;
    static const char text[] =
        "data = a\0b\ndata = \x1b[31m\ndata = \xff\nda\0\n\0\ndata = \xc3\xbc\n";
    static const char why[] = "the line has a control character, or is not UTF-8";
    char expected[512];
    snprintf(expected, sizeof expected, "1 ! %s\n2 ! %s\n3 ! %s\n4 ! %s\n5 ! %s\n6 data=\xc3\xbc\n",
             why, why, why, why, why);
    check(pl_span_of(text, sizeof text - 1), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_file_reads_names_and_values),
        cmocka_unit_test(config_file_passes_comments_over),
        cmocka_unit_test(config_file_names_every_line_that_is_wrong),
        cmocka_unit_test(config_file_takes_an_indented_line_for_itself),
        cmocka_unit_test(config_file_bounds_a_line),
        cmocka_unit_test(config_file_refuses_controls_and_what_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
