/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "node/split.h"

#include <stdio.h>

/* All events of a text as one line of text, "name=value" and "[", elements and "]"; then "." or
 * "!". The window grows by `piece` bytes whenever there is not enough. */
static void cut(const char *text, size_t piece, char *out, size_t cap)
{
    struct pl_split s;
    size_t len = strlen(text);
    size_t begin = 0;
    size_t end = pl_min_size(piece, len);
    size_t at = 0;
    pl_split_init(&s, "list");
    for (;;) {
        switch (
            pl_split_next(&s, pl_span_of((const uint8_t *)text + begin, end - begin), end < len)) {
        case PL_SPLIT_MORE:
            begin += s.at;
            s.at = 0;
            assert_true(end < len);
            end = pl_min_size(end + piece, len);
            break;
        case PL_SPLIT_MEMBER:
            at += (size_t)snprintf(out + at, cap - at, "%.*s=%.*s ", (int)s.name_len, s.name,
                                   (int)s.value.len, s.value.ptr);
            break;
        case PL_SPLIT_BEGIN:
            at += (size_t)snprintf(out + at, cap - at, "[ ");
            break;
        case PL_SPLIT_ELEMENT:
            at += (size_t)snprintf(out + at, cap - at, "%.*s ", (int)s.value.len, s.value.ptr);
            break;
        case PL_SPLIT_END:
            snprintf(out + at, cap - at, ".");
            return;
        case PL_SPLIT_BAD:
            snprintf(out + at, cap - at, "!%s", s.what);
            return;
        }
    }
}

static void expect(const char *text, const char *events)
{
    char got[512];
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        cut(text, piece, got, sizeof got);
        if (strcmp(got, events) != 0)
            fail_msg("%s in pieces of %zu: %s", text, piece, got);
    }
}

static void split_gives_the_same_however_the_bytes_come(void **state)
{
    (void)state;
    expect("{}", ".");
    expect(" { } \n", ".");
    expect("{\"list\":[]}", "[ .");
    expect("{\"a\":1,\"list\":[1, {\"x\":[2,\"]\"]} ,\"}\\\"\" ],\"b\":\"c\"}",
           "a=1 [ 1 {\"x\":[2,\"]\"]} \"}\\\"\" b=\"c\" .");
    expect("{ \"a\" : true , \"b\":[{},[]] }", "a=true b=[{},[]] .");
    expect("{\"l\\u0069st\":[-1.5e3,null]}", "[ -1.5e3 null .");
    expect("{\"list\":{\"no\":1}}", "list={\"no\":1} .");
    expect("{\"list\":[\"\\\\\",\"\\\\\\\"\"]}", "[ \"\\\\\" \"\\\\\\\"\" .");
}

static void split_says_what_is_wrong_between_the_pieces(void **state)
{
    (void)state;
    expect("[1]", "!expected an object");
    expect("{\"a\":1", "a=1 !the text ends too soon");
    expect("{\"a\" 1}", "!expected ':'");
    expect("{a:1}", "!expected a name");
    expect("{\"a\":1,}", "a=1 !expected a name");
    expect("{\"a\":1 \"b\":2}", "a=1 !expected ',' or '}'");
    expect("{\"list\":[1 2]}", "[ 1 !expected ',' or ']'");
    expect("{\"list\":[1}", "[ 1 !expected ',' or ']'");
    expect("{\"a\":1}x", "a=1 !nothing may follow the object");
    expect("{\"a\\x\":1}", "!the name before this is not a string");
    expect("", "!the text ends too soon");
}

/* What is inside of a piece is for who reads it. */
static void split_gives_broken_pieces_as_they_are(void **state)
{
    (void)state;
    expect("{\"list\":[tru,\"\\x\",1e]}", "[ tru \"\\x\" 1e .");
    expect("{\"list\":[\"a", "[ \"a !the text ends too soon");
    expect("{\"list\":[1,]}", "[ 1 ] !expected ',' or ']'");
}

static void split_knows_no_name_above_its_limit(void **state)
{
    (void)state;
    char text[2 * PL_SPLIT_NAME_BYTES_MAX + 16];
    char want[32] = "=1 .";
    int n = PL_SPLIT_NAME_BYTES_MAX + 1;
    snprintf(text, sizeof text, "{\"%0*d\":1}", n, 7);
    expect(text, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_gives_the_same_however_the_bytes_come),
        cmocka_unit_test(split_says_what_is_wrong_between_the_pieces),
        cmocka_unit_test(split_gives_broken_pieces_as_they_are),
        cmocka_unit_test(split_knows_no_name_above_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
