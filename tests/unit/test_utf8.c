/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "core/utf8.h"

/* The definition, slowly: decode one character and see whether encoding it gives the same bytes. */
static size_t slow_len(const uint8_t *at, size_t left)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = at[0] < 0x80       ? 1
                 : at[0] >> 5 == 6  ? 2
                 : at[0] >> 4 == 14 ? 3
                 : at[0] >> 3 == 30 ? 4
                                    : 0;
    if (len == 0 || len > left)
        return 0;
    uint32_t c = len == 1 ? at[0] : at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        c = c << 6 | (at[i] & 63u);
    }
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

static void utf8_agrees_with_the_definition_on_every_three_bytes(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 1u << 24; n++) {
        uint8_t text[4] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0x81 };
        size_t expected = 0;
        for (size_t len = 1; expected < 4 && len != 0;) {
            len = slow_len(text + expected, 4 - expected);
            expected += len;
        }
        if (pl_utf8_prefix(pl_span_of(text, 4)) != expected)
            fail_msg("bytes %06x 81", n);
    }
}

static void utf8_finds_a_bad_byte_at_any_place_in_ascii(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t i = 0; i < sizeof text; i++) {
        memset(text, 'a', sizeof text);
        text[i] = 0xff;
        assert_int_equal(i, pl_utf8_prefix(pl_span_of(text, sizeof text)));
        assert_false(pl_utf8_is_valid(pl_span_of(text, sizeof text)));
        assert_true(pl_utf8_is_valid(pl_span_of(text, i)));
    }
}

static void utf8_accepts_the_bounds_and_refuses_what_is_beyond(void **state)
{
    (void)state;
    assert_true(pl_utf8_is_valid(pl_span_text("\xf4\x8f\xbf\xbf")));
    assert_false(pl_utf8_is_valid(pl_span_text("\xf4\x90\x80\x80")));
    assert_true(pl_utf8_is_valid(pl_span_text("\xf0\x90\x80\x80")));
    assert_false(pl_utf8_is_valid(pl_span_text("\xf0\x8f\xbf\xbf")));
    assert_false(pl_utf8_is_valid(pl_span_text("\xf0\x90\x80")));
    assert_true(pl_utf8_is_valid(pl_span_of("\0", 1)));
    assert_true(pl_utf8_is_valid(pl_span_of(NULL, 0)));
}

static void utf8_tells_printable_ascii_from_every_other_byte_at_any_place(void **state)
{
    (void)state;
    uint8_t text[20];
    for (size_t len = 1; len <= sizeof text; len++)
        for (size_t i = 0; i < len; i++)
            for (unsigned c = 0; c < 256; c++) {
                memset(text, c % 2 == 0 ? '~' : ' ', sizeof text);
                text[i] = (uint8_t)c;
                if (pl_ascii_is_printable(pl_span_of(text, len)) != (c >= 0x20 && c < 0x7f))
                    fail_msg("byte %02x at %zu of %zu", c, i, len);
            }
    assert_true(pl_ascii_is_printable(pl_span_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_agrees_with_the_definition_on_every_three_bytes),
        cmocka_unit_test(utf8_finds_a_bad_byte_at_any_place_in_ascii),
        cmocka_unit_test(utf8_accepts_the_bounds_and_refuses_what_is_beyond),
        cmocka_unit_test(utf8_tells_printable_ascii_from_every_other_byte_at_any_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
