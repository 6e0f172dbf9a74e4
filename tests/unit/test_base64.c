/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "core/base64.h"

static parley_err decode_text(const char *text, bool url, uint8_t *out, size_t cap, size_t *len)
{
    struct parley_span span = pl_span_text(text);
    return url ? pl_base64url_decode(span, out, cap, len) : pl_base64_decode(span, out, cap, len);
}

static void base64_encodes_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    static const char *const vectors[][3] = {
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
        { "\xfb\xff", "+/8=", "-_8" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(vectors); i++) {
        uint8_t buf[16];
        size_t len = 99;
        struct pl_writer w = pl_writer_over(buf, sizeof buf);
        pl_base64_write(&w, pl_span_text(vectors[i][0]));
        assert_span_text(pl_writer_span(&w), vectors[i][1]);
        w = pl_writer_over(buf, sizeof buf);
        pl_base64url_write(&w, pl_span_text(vectors[i][0]));
        assert_span_text(pl_writer_span(&w), vectors[i][2]);
        assert_ok(decode_text(vectors[i][1], false, buf, sizeof buf, &len));
        assert_span_text(pl_span_of(buf, len), vectors[i][0]);
        assert_ok(decode_text(vectors[i][2], true, buf, sizeof buf, &len));
        assert_span_text(pl_span_of(buf, len), vectors[i][0]);
    }
}

static void base64_refuses_all_but_the_one_text(void **state)
{
    (void)state;
    static const char *const bad[] = { "Zg",       "Zg=",  "Zh==",    "Zm9=", "Zm9v=",
                                       "Z===",     "====", "Zg==\n",  "Z g=", "Zm-_",
                                       "Zg==Zg==", "=g==", "Zm8=====" };
    static const char *const bad_url[] = { "Zg==", "Z", "Zh", "Zm9v\n", "Zm+/", "Zm9", "Zm 9" };
    uint8_t out[16];
    size_t len = 7;
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        assert_err(PARLEY_EMALFORMED, decode_text(bad[i], false, out, sizeof out, &len));
    for (size_t i = 0; i < PL_ARRAY_LEN(bad_url); i++)
        assert_err(PARLEY_EMALFORMED, decode_text(bad_url[i], true, out, sizeof out, &len));
    assert_int_equal(7, len);
}

static void base64_stays_within_its_room(void **state)
{
    (void)state;
    uint8_t out[4];
    size_t len;
    assert_err(PARLEY_EFULL, decode_text("Zm9vYmE=", false, out, 4, &len));
    assert_err(PARLEY_EFULL, decode_text("Zm9vYmE", true, out, 4, &len));
    struct pl_writer w = pl_writer_over(out, 3);
    pl_base64_write(&w, pl_span_text("a"));
    assert_int_equal(PARLEY_EFULL, w.err);
    assert_int_equal(0, w.len);
}

static void base64_accepts_exactly_its_alphabet(void **state)
{
    (void)state;
    static const char standard[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[4] = { 'A', 'A', 'A', (uint8_t)c };
        uint8_t out[3];
        size_t len;
        const char *at = c == 0 ? NULL : strchr(standard, (int)c);
        bool accepted = at != NULL || c == '=';
        parley_err err = pl_base64_decode(pl_span_of(text, 4), out, 3, &len);
        assert_int_equal(accepted ? PARLEY_OK : PARLEY_EMALFORMED, err);
        if (at != NULL)
            assert_int_equal(at - standard, out[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_encodes_the_vectors_of_the_rfc),
        cmocka_unit_test(base64_refuses_all_but_the_one_text),
        cmocka_unit_test(base64_stays_within_its_room),
        cmocka_unit_test(base64_accepts_exactly_its_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
