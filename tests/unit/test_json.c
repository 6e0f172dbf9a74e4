/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/rng.h"
#include "core/json.h"
#include "core/mp_read.h"

#include <stdlib.h>
#include <jansson.h>

static struct parley_span to_mp(const char *text, uint8_t *buf, size_t cap)
{
    struct pl_writer w = pl_writer_over(buf, cap);
    struct pl_json_error error = { .what = "" };
    parley_err err = pl_json_to_mp(pl_span_text(text), &w, &error);
    if (err != PARLEY_OK)
        fail_msg("%s: %s at %zu", text, error.what, error.offset);
    return pl_writer_span(&w);
}

static void assert_json_to_mp(const char *text, const void *mp, size_t len)
{
    uint8_t buf[256];
    struct parley_span out = to_mp(text, buf, sizeof buf);
    assert_int_equal(len, out.len);
    assert_memory_equal(mp, out.ptr, len);
}

#define CHECK_MP(text, mp) assert_json_to_mp((text), (mp), sizeof(mp) - 1)

static void json_makes_the_shortest_encoding(void **state)
{
    (void)state;
    CHECK_MP("null", "\xc0");
    CHECK_MP(" [ true , false ] ", "\x92\xc3\xc2");
    CHECK_MP("[0,127,128,65536,-1,-32,-33]",
             "\x97\x00\x7f\xcc\x80\xce\x00\x01\x00\x00\xff\xe0\xd0\xdf");
    CHECK_MP("-0", "\x00");
    CHECK_MP("18446744073709551615", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    CHECK_MP("-9223372036854775808", "\xd3\x80\0\0\0\0\0\0\0");
    CHECK_MP("18446744073709551616", "\xcb\x43\xf0\0\0\0\0\0\0");
    CHECK_MP("-9223372036854775809", "\xcb\xc3\xe0\0\0\0\0\0\0");
    CHECK_MP("1.0", "\xcb\x3f\xf0\0\0\0\0\0\0");
    CHECK_MP("{\"a\":[],\"b\":{}}", "\x82\xa1"
                                    "a\x90\xa1"
                                    "b\x80");
    CHECK_MP("\"\\u00e9\\ud83d\\ude00\\n\\u0000\\/\"", "\xa9\xc3\xa9\xf0\x9f\x98\x80\n\0/");
    CHECK_MP("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "\xdc\x00\x10\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1");
}

static void json_escapes_shrink_a_string_to_its_shortest_head(void **state)
{
    (void)state;
    char text[6 * 40 + 3];
    size_t at = 0;
    text[at++] = '"';
    for (int i = 0; i < 31; i++, at += 6)
        memcpy(text + at, "\\u0041", 6);
    memcpy(text + at, "\"", 2);
    CHECK_MP(text, "\xbf"
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

static void json_widens_heads_of_long_containers(void **state)
{
    (void)state;
    size_t count = 70000;
    char *text = malloc(2 * count + 2);
    uint8_t *mp = malloc(PL_JSON_MP_BYTES_MAX(2 * count));
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + 2 * i, "7,", 2);
    text[0] = '[';
    text[2 * count] = ']';
    text[2 * count + 1] = 0;
    struct parley_span out = to_mp(text, mp, PL_JSON_MP_BYTES_MAX(2 * count));
    assert_int_equal(count + 5, out.len);
    struct pl_reader r = pl_reader_over(out);
    assert_int_equal(count, pl_mp_read_array(&r, UINT32_MAX));
    assert_ok(pl_mp_check(out));
    free(mp);
    free(text);
}

static void json_says_where_and_why_a_text_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        parley_err err;
    } rows[] = {
        { "", 0, PARLEY_EMALFORMED },
        { " ", 1, PARLEY_EMALFORMED },
        { "[1,]", 3, PARLEY_EMALFORMED },
        { "[1 2]", 3, PARLEY_EMALFORMED },
        { "[,1]", 1, PARLEY_EMALFORMED },
        { "{\"a\" 1}", 5, PARLEY_EMALFORMED },
        { "{\"a\":1,}", 7, PARLEY_EMALFORMED },
        { "{a:1}", 1, PARLEY_EMALFORMED },
        { "{1:1}", 1, PARLEY_EMALFORMED },
        { "[1}", 2, PARLEY_EMALFORMED },
        { "01", 0, PARLEY_EMALFORMED },
        { "-", 0, PARLEY_EMALFORMED },
        { "1.", 0, PARLEY_EMALFORMED },
        { ".5", 0, PARLEY_EMALFORMED },
        { "+1", 0, PARLEY_EMALFORMED },
        { "1e999", 0, PARLEY_EMALFORMED },
        { "NaN", 0, PARLEY_EMALFORMED },
        { "nul", 0, PARLEY_EMALFORMED },
        { "true1", 4, PARLEY_EMALFORMED },
        { "1 1", 2, PARLEY_EMALFORMED },
        { "\"abc", 4, PARLEY_EMALFORMED },
        { "\"a\nb\"", 2, PARLEY_EMALFORMED },
        { "\"\\x\"", 1, PARLEY_EMALFORMED },
        { "\"\\", 2, PARLEY_EMALFORMED },
        { "\"\\u12g4\"", 1, PARLEY_EMALFORMED },
        { "\"\\ud800\"", 1, PARLEY_EMALFORMED },
        { "\"\\udc00\"", 1, PARLEY_EMALFORMED },
        { "\"\\ud800\\u0041\"", 1, PARLEY_EMALFORMED },
        { "\"ab\xff\"", 3, PARLEY_EUTF8 },
        { "\"\xc3\\u0041\"", 1, PARLEY_EUTF8 },
        { "\"\xed\xa0\x80\"", 1, PARLEY_EUTF8 },
        { "\xef\xbb\xbf"
          "1",
          0, PARLEY_EMALFORMED },
        { "'a'", 0, PARLEY_EMALFORMED },
        { "[1]]", 3, PARLEY_EMALFORMED },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        uint8_t buf[64];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        struct pl_json_error error = { .what = NULL };
        parley_err err = pl_json_to_mp(pl_span_text(rows[i].text), &w, &error);
        if (err != rows[i].err || error.offset != rows[i].offset || error.what == NULL ||
            w.len != 0)
            fail_msg("%s: %s at %zu", rows[i].text, parley_err_name(err), error.offset);
    }
}

static void json_refuses_each_control_character_at_each_place_of_a_string(void **state)
{
    (void)state;
    for (uint8_t c = 0; c < 0x20; c++) {
        for (size_t at = 1; at <= 18; at++) {
            uint8_t text[20];
            uint8_t buf[64];
            struct pl_writer w = pl_writer_over(buf, sizeof buf);
            struct pl_json_error error = { .what = NULL };
            memset(text, 'x', sizeof text);
            text[0] = '"';
            text[sizeof text - 1] = '"';
            text[at] = c;
            assert_err(PARLEY_EMALFORMED, pl_json_to_mp(pl_span_of(text, sizeof text), &w, &error));
            assert_int_equal(at, error.offset);
        }
    }
}

static void json_bounds_nesting_both_ways(void **state)
{
    (void)state;
    char text[2 * PARLEY_DEPTH_MAX + 3] = { 0 };
    uint8_t buf[256];
    memset(text, '[', PARLEY_DEPTH_MAX);
    memset(text + PARLEY_DEPTH_MAX, ']', PARLEY_DEPTH_MAX);
    assert_int_equal(PARLEY_DEPTH_MAX, to_mp(text, buf, sizeof buf).len);
    memset(text, '[', PARLEY_DEPTH_MAX + 1);
    memset(text + PARLEY_DEPTH_MAX + 1, ']', PARLEY_DEPTH_MAX + 1);
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    assert_err(PARLEY_ETOOBIG, pl_json_to_mp(pl_span_text(text), &w, NULL));
    uint8_t deep[PARLEY_DEPTH_MAX + 1];
    memset(deep, 0x91, sizeof deep);
    struct pl_reader r = pl_reader_over(pl_span_of(deep, sizeof deep));
    assert_err(PARLEY_ETOOBIG, pl_mp_to_json(&r, &w));
}

static void json_refuses_every_room_that_is_too_small(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,2.5,\"x\",-300],\"long\":\"0123456789012345678901234567890123\","
        "\"b\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}";
    uint8_t buf[128];
    size_t need = to_mp(text, buf, sizeof buf).len;
    for (size_t cap = 0; cap < need; cap++) {
        struct pl_writer w = pl_writer_over(buf, cap);
        assert_err(PARLEY_EFULL, pl_json_to_mp(pl_span_text(text), &w, NULL));
        assert_int_equal(0, w.len);
    }
    assert_int_equal(need, to_mp(text, buf, need).len);
}

static void assert_printed(const void *mp, size_t len, const char *text)
{
    uint8_t buf[256];
    struct pl_reader r = pl_reader_over(pl_span_of(mp, len));
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    assert_ok(pl_mp_to_json(&r, &w));
    assert_ok(pl_reader_end(&r));
    assert_span_text(pl_writer_span(&w), text);
}

#define CHECK_TEXT(mp, text) assert_printed((mp), sizeof(mp) - 1, (text))

static void json_prints_every_type(void **state)
{
    (void)state;
    CHECK_TEXT("\x95\xc0\xc3\xc2\x90\x80", "[null,true,false,[],{}]");
    CHECK_TEXT("\x82\xa1"
               "a\x91\x80\xa1"
               "b\x92\x90\x01",
               "{\"a\":[{}],\"b\":[[],1]}");
    CHECK_TEXT("\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd3\x80\0\0\0\0\0\0\0",
               "[18446744073709551615,-9223372036854775808]");
    CHECK_TEXT("\xa8\"\\/\n\x01\x7f\xc3\xa9", "\"\\\"\\\\/\\n\\u0001\x7f\xc3\xa9\"");
    CHECK_TEXT("\xc4\x04\xfb\xff\x00\x01", "\"+/8AAQ==\"");
    CHECK_TEXT("\x93\xca\x3f\x80\0\0\xcb\x7f\xf0\0\0\0\0\0\0\xca\x7f\xc0\0\0", "[1.0,null,null]");
}

static void json_refuses_what_it_cannot_print(void **state)
{
    (void)state;
    static const struct {
        const char *mp;
        parley_err err;
    } rows[] = { { "\x91\xd4\x01\x01", PARLEY_ETYPE }, { "\x81\x01\x02", PARLEY_ETYPE },
                 { "\xa1\xff", PARLEY_EUTF8 },         { "\x92\x01", PARLEY_EMALFORMED },
                 { "\xc1", PARLEY_EMALFORMED },        { "", PARLEY_EMALFORMED } };
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        uint8_t buf[32];
        struct pl_reader r = pl_reader_over(pl_span_text(rows[i].mp));
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        assert_err(rows[i].err, pl_mp_to_json(&r, &w));
        assert_int_equal(0, w.len);
    }
}

static void json_replaces_bad_bytes_when_asked_to_write_any_string(void **state)
{
    (void)state;
    uint8_t buf[64];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_json_write_string(&w, pl_span_text("a\xff\xc3\xa9\xe2\x82"));
    assert_span_text(pl_writer_span(&w), "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Random edits of a document: we accept what jansson accepts, numbers too big for it aside. */
static void json_agrees_with_jansson(void **state)
{
    (void)state;
    static const char seed[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":\"\xc3\xa9\"}}";
    static const char alphabet[] = "{}[]:,\"\\u0129dDeE+-.tfn \n\xc3\xa9\xff";
    struct pl_rng rng;
    pl_rng_init(&rng, 5);
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        char text[sizeof seed];
        memcpy(text, seed, sizeof seed);
        for (uint64_t edits = pl_rng_below(&rng, 3); edits-- > 0;)
            text[pl_rng_below(&rng, sizeof seed - 1)] =
                alphabet[pl_rng_below(&rng, sizeof alphabet - 1)];
        uint8_t buf[256];
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        parley_err err = pl_json_to_mp(pl_span_text(text), &w, NULL);
        json_error_t error;
        json_t *tree = json_loadb(text, strlen(text), JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        bool too_big = json_error_code(&error) == json_error_numeric_overflow;
        if (tree == NULL && too_big)
            continue;
        if ((tree != NULL) != (err == PARLEY_OK))
            fail_msg("%s: %s, jansson: %s", text, parley_err_name(err), error.text);
        accepted += err == PARLEY_OK;
        json_decref(tree);
    }
    assert_in_range(accepted, 30000, 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_makes_the_shortest_encoding),
        cmocka_unit_test(json_escapes_shrink_a_string_to_its_shortest_head),
        cmocka_unit_test(json_widens_heads_of_long_containers),
        cmocka_unit_test(json_says_where_and_why_a_text_is_wrong),
        cmocka_unit_test(json_refuses_each_control_character_at_each_place_of_a_string),
        cmocka_unit_test(json_bounds_nesting_both_ways),
        cmocka_unit_test(json_refuses_every_room_that_is_too_small),
        cmocka_unit_test(json_prints_every_type),
        cmocka_unit_test(json_refuses_what_it_cannot_print),
        cmocka_unit_test(json_replaces_bad_bytes_when_asked_to_write_any_string),
        cmocka_unit_test(json_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
