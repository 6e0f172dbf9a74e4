/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/rng.h"
#include "core/mp_read.h"

#include <stdlib.h>
#include <msgpack.h>

#define BYTES(text) pl_span_of((text), sizeof(text) - 1)

static struct pl_reader over(struct parley_span bytes)
{
    return pl_reader_over(bytes);
}

static void mp_read_peeks_at_the_meaning_not_the_encoding(void **state)
{
    (void)state;
    static const enum pl_mp_type fixed[][2] = {
        { 0xc0, PL_MP_NIL },  { 0xc1, PL_MP_END },   { 0xc2, PL_MP_BOOL }, { 0xca, PL_MP_FLOAT },
        { 0x00, PL_MP_UINT }, { 0xe0, PL_MP_INT },   { 0x80, PL_MP_MAP },  { 0x9f, PL_MP_ARRAY },
        { 0xbf, PL_MP_STR },  { 0xdb, PL_MP_STR },   { 0xc6, PL_MP_BIN },  { 0xd8, PL_MP_EXT },
        { 0xdf, PL_MP_MAP },  { 0xdd, PL_MP_ARRAY }, { 0xcf, PL_MP_UINT },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(fixed); i++) {
        uint8_t tag = (uint8_t)fixed[i][0];
        struct pl_reader r = over(pl_span_of(&tag, 1));
        assert_int_equal(fixed[i][1], pl_mp_peek(&r));
    }
    struct pl_reader r = over(BYTES("\xd0\x05"));
    assert_int_equal(PL_MP_UINT, pl_mp_peek(&r));
    assert_int_equal(5, pl_mp_read_uint(&r));
    r = over(BYTES("\xd1\xff\xfe"));
    assert_int_equal(PL_MP_INT, pl_mp_peek(&r));
    assert_true(pl_mp_read_int(&r) == -2);
    assert_int_equal(PL_MP_END, pl_mp_peek(&r));
    /* The sign is in the byte that is missing. */
    r = over(BYTES("\xd3"));
    assert_int_equal(PL_MP_UINT, pl_mp_peek(&r));
    assert_true(pl_mp_read_int(&r) == 0);
    assert_int_equal(PARLEY_EMALFORMED, r.err);
}

static void mp_read_refuses_another_type(void **state)
{
    (void)state;
    struct pl_reader r = over(BYTES("\xff"));
    assert_true(pl_mp_read_uint(&r) == 0);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\xcf\x80\0\0\0\0\0\0\0"));
    assert_true(pl_mp_read_int(&r) == 0);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\xc3"));
    assert_true(pl_mp_read_int(&r) == 0);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\x01"));
    assert_true(pl_mp_read_float(&r) == 0);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\xc0"));
    assert_false(pl_mp_read_bool(&r));
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\xa1x"));
    assert_int_equal(0, pl_mp_read_bin(&r, 10).len);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES("\x01"));
    pl_mp_read_nil(&r);
    assert_int_equal(PARLEY_ETYPE, r.err);
    r = over(BYTES(""));
    pl_mp_read_nil(&r);
    assert_int_equal(PARLEY_EMALFORMED, r.err);
}

static void mp_read_does_not_believe_lengths_beyond_the_bytes(void **state)
{
    (void)state;
    static const char *const bad[] = { "\xdd\xff\xff\xff\xff",
                                       "\xdf\x80\x01\x01\x01\x01\x01",
                                       "\xdb\xff\xff\xff\xff",
                                       "\xc6\xff\xff\xff\xff",
                                       "\xc9\xff\xff\xff\xff",
                                       "\x82\x01\x01\x01",
                                       "\x92\x01",
                                       "\xa2x",
                                       "\xcd\x01",
                                       "\xd4\x01",
                                       "\xc1",
                                       "" };
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        struct parley_span bytes = pl_span_text(bad[i]);
        struct pl_reader r = over(bytes);
        assert_int_equal(0, pl_mp_read_any(&r).len);
        assert_int_equal(PARLEY_EMALFORMED, r.err);
        assert_err(PARLEY_EMALFORMED, pl_mp_check(bytes));
    }
    struct pl_reader r = over(BYTES("\xdd\x00\x00\x00\x03\x01\x01"));
    assert_int_equal(0, pl_mp_read_array(&r, 10));
    assert_int_equal(PARLEY_EMALFORMED, r.err);
}

static void mp_read_keeps_to_the_callers_maximum(void **state)
{
    (void)state;
    struct pl_reader r = over(BYTES("\xa2xy"));
    assert_span_text(pl_mp_read_str(&r, 2), "xy");
    r = over(BYTES("\xa2xy"));
    assert_int_equal(0, pl_mp_read_str(&r, 1).len);
    assert_int_equal(PARLEY_ETOOBIG, r.err);
    r = over(BYTES("\x92\1\2"));
    assert_int_equal(0, pl_mp_read_array(&r, 1));
    assert_int_equal(PARLEY_ETOOBIG, r.err);
    r = over(BYTES("\x81\1\2"));
    assert_int_equal(1, pl_mp_read_map(&r, 1));
}

static void mp_read_bounds_nesting_without_recursion(void **state)
{
    (void)state;
    uint8_t bytes[PARLEY_DEPTH_MAX + 2];
    memset(bytes, 0x91, sizeof bytes);
    bytes[PARLEY_DEPTH_MAX] = 0xc0;
    assert_ok(pl_mp_check(pl_span_of(bytes, PARLEY_DEPTH_MAX + 1)));
    bytes[PARLEY_DEPTH_MAX] = 0x90;
    assert_err(PARLEY_ETOOBIG, pl_mp_check(pl_span_of(bytes, PARLEY_DEPTH_MAX + 1)));
}

static void mp_read_reads_floats_of_both_widths(void **state)
{
    (void)state;
    struct pl_reader r = over(BYTES("\xca\x3f\xc0\0\0\xcb\x3f\xf8\0\0\0\0\0\0"));
    assert_true(pl_mp_read_float(&r) == 1.5);
    assert_true(pl_mp_read_float(&r) == 1.5);
    assert_ok(pl_reader_end(&r));
}

static void mp_check_refuses_ext_bad_text_and_left_overs(void **state)
{
    (void)state;
    assert_err(PARLEY_EMALFORMED, pl_mp_check(BYTES("\xd4\x01\x01")));
    assert_err(PARLEY_EMALFORMED, pl_mp_check(BYTES("\x91\xc7\x00\x01")));
    assert_err(PARLEY_EUTF8, pl_mp_check(BYTES("\x81\xa1\xff\x01")));
    assert_err(PARLEY_EMALFORMED, pl_mp_check(BYTES("\xc0\xc0")));
    assert_ok(pl_mp_check(BYTES("\xc4\x01\xff")));
    struct pl_reader r = over(BYTES("\xd4\x01\x01\xc7\x00\x01"));
    assert_int_equal(3, pl_mp_read_any(&r).len);
    assert_int_equal(3, pl_mp_read_any(&r).len);
    assert_ok(pl_reader_end(&r));
}

static void mp_read_any_agrees_with_msgpack_c(void **state)
{
    (void)state;
    struct pl_rng rng;
    pl_rng_init(&rng, 7);
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[24];
        size_t len = 1 + (size_t)pl_rng_below(&rng, sizeof bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)pl_rng_u64(&rng);
        struct pl_reader r = over(pl_span_of(bytes, len));
        size_t ours = pl_mp_read_any(&r).len;
        /* Only what we accept, or what is small, is shown to it: it believes claimed lengths. */
        bool claims =
            (bytes[0] >= 0xc4 && bytes[0] <= 0xc9) || (bytes[0] >= 0xd9 && bytes[0] <= 0xdf);
        if (ours == 0 && (claims || bytes[0] < 0xc0))
            continue;
        msgpack_zone zone;
        msgpack_object object;
        size_t at = 0;
        assert_true(msgpack_zone_init(&zone, 512));
        msgpack_unpack_return result =
            msgpack_unpack((const char *)bytes, len, &at, &zone, &object);
        bool whole = result == MSGPACK_UNPACK_SUCCESS || result == MSGPACK_UNPACK_EXTRA_BYTES;
        assert_int_equal(ours > 0, whole);
        if (whole)
            assert_int_equal(ours, at);
        msgpack_zone_destroy(&zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mp_read_peeks_at_the_meaning_not_the_encoding),
        cmocka_unit_test(mp_read_refuses_another_type),
        cmocka_unit_test(mp_read_does_not_believe_lengths_beyond_the_bytes),
        cmocka_unit_test(mp_read_keeps_to_the_callers_maximum),
        cmocka_unit_test(mp_read_bounds_nesting_without_recursion),
        cmocka_unit_test(mp_read_reads_floats_of_both_widths),
        cmocka_unit_test(mp_check_refuses_ext_bad_text_and_left_overs),
        cmocka_unit_test(mp_read_any_agrees_with_msgpack_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
