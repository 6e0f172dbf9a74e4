/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "trust/der.h"

#define READER(...)                                                                                \
    pl_reader_over(                                                                                \
        pl_span_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })))

static void reads_and_leaves_nested_elements(void **state)
{
    (void)state;
    struct pl_reader r = READER(0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xaa);
    struct pl_reader inner = pl_der_enter(&r, PL_DER_SEQUENCE);
    struct parley_span number = pl_der_read_uint(&inner, 8);
    assert_int_equal(1, number.len);
    assert_int_equal(5, number.ptr[0]);
    assert_int_equal(PL_DER_OCTET_STRING, pl_der_peek(&inner));
    assert_int_equal(0xaa, pl_der_read(&inner, PL_DER_OCTET_STRING).ptr[0]);
    pl_der_leave(&r, &inner);
    assert_ok(pl_reader_end(&r));
}

static void refuses_bytes_left_in_an_element(void **state)
{
    (void)state;
    struct pl_reader r = READER(0x30, 0x04, 0x02, 0x01, 0x05, 0x00);
    struct pl_reader inner = pl_der_enter(&r, PL_DER_SEQUENCE);
    pl_der_read_uint(&inner, 8);
    pl_der_leave(&r, &inner);
    assert_err(PARLEY_EMALFORMED, pl_reader_end(&r));
}

static void refuses_lengths_that_are_not_minimal(void **state)
{
    (void)state;
    struct pl_reader long_form = READER(0x04, 0x81, 0x01, 0xaa);
    pl_der_read(&long_form, PL_DER_OCTET_STRING);
    assert_err(PARLEY_EMALFORMED, long_form.err);
    struct pl_reader two_bytes = READER(0x04, 0x82, 0x00, 0x01, 0xaa);
    pl_der_read(&two_bytes, PL_DER_OCTET_STRING);
    assert_err(PARLEY_EMALFORMED, two_bytes.err);
}

static void refuses_indefinite_and_huge_lengths(void **state)
{
    (void)state;
    struct pl_reader indefinite = READER(0x30, 0x80, 0x00, 0x00);
    pl_der_read(&indefinite, PL_DER_SEQUENCE);
    assert_err(PARLEY_EMALFORMED, indefinite.err);
    struct pl_reader huge = READER(0x30, 0x84, 0xff, 0xff, 0xff, 0xff);
    pl_der_read(&huge, PL_DER_SEQUENCE);
    assert_err(PARLEY_EMALFORMED, huge.err);
    struct pl_reader beyond = READER(0x04, 0x02, 0xaa);
    pl_der_read(&beyond, PL_DER_OCTET_STRING);
    assert_err(PARLEY_EMALFORMED, beyond.err);
}

static void refuses_another_tag(void **state)
{
    (void)state;
    struct pl_reader r = READER(0x04, 0x01, 0xaa);
    assert_int_equal(0, pl_der_read(&r, PL_DER_INTEGER).len);
    assert_err(PARLEY_EMALFORMED, r.err);
    assert_int_equal(0, pl_der_peek(&r));
}

static void integers_are_minimal_positive_and_bounded(void **state)
{
    (void)state;
    struct pl_reader zero = READER(0x02, 0x01, 0x00);
    assert_int_equal(0, pl_der_read_uint(&zero, 1).len);
    assert_ok(pl_reader_end(&zero));
    struct pl_reader high = READER(0x02, 0x02, 0x00, 0x80);
    assert_int_equal(1, pl_der_read_uint(&high, 1).len);
    assert_ok(pl_reader_end(&high));
    struct pl_reader padded = READER(0x02, 0x02, 0x00, 0x7f);
    pl_der_read_uint(&padded, 8);
    assert_err(PARLEY_EMALFORMED, padded.err);
    struct pl_reader negative = READER(0x02, 0x01, 0x80);
    pl_der_read_uint(&negative, 8);
    assert_err(PARLEY_EMALFORMED, negative.err);
    struct pl_reader empty = READER(0x02, 0x00);
    pl_der_read_uint(&empty, 8);
    assert_err(PARLEY_EMALFORMED, empty.err);
    struct pl_reader big = READER(0x02, 0x02, 0x01, 0x00);
    pl_der_read_uint(&big, 1);
    assert_err(PARLEY_ETOOBIG, big.err);
}

static void bit_strings_hold_whole_bytes(void **state)
{
    (void)state;
    struct pl_reader good = READER(0x03, 0x02, 0x00, 0xaa);
    assert_int_equal(1, pl_der_read_bits(&good).len);
    struct pl_reader partial = READER(0x03, 0x02, 0x01, 0xaa);
    pl_der_read_bits(&partial);
    assert_err(PARLEY_EMALFORMED, partial.err);
    struct pl_reader empty = READER(0x03, 0x00);
    pl_der_read_bits(&empty);
    assert_err(PARLEY_EMALFORMED, empty.err);
}

static void writer_makes_every_length_form(void **state)
{
    (void)state;
    static const size_t lens[] = { 0, 1, 127, 128, 255, 256, 1000 };
    uint8_t contents[1000] = { 0 };
    for (size_t i = 0; i < PL_ARRAY_LEN(lens); i++) {
        uint8_t buf[1100];
        size_t len;
        struct pl_der_writer w = pl_der_writer_over(buf, sizeof buf);
        pl_der_put(&w, PL_DER_OCTET_STRING, pl_span_of(contents, lens[i]));
        assert_ok(pl_der_finish(&w, &len));
        struct pl_reader r = pl_reader_over(pl_span_of(buf, len));
        assert_int_equal(lens[i], pl_der_read(&r, PL_DER_OCTET_STRING).len);
        assert_ok(pl_reader_end(&r));
    }
}

static void writer_keeps_its_first_overflow(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 5; cap++) {
        uint8_t buf[5];
        size_t len = 77;
        struct pl_der_writer w = pl_der_writer_over(buf, cap);
        static const uint8_t number[] = { 0x00, 0x80, 0x01 };
        pl_der_put_uint(&w, pl_span_of(number, sizeof number));
        assert_err(PARLEY_EFULL, pl_der_finish(&w, &len));
        assert_int_equal(77, len);
    }
}

static void writer_pads_integers_with_the_high_bit(void **state)
{
    (void)state;
    uint8_t buf[8];
    size_t len;
    struct pl_der_writer w = pl_der_writer_over(buf, sizeof buf);
    static const uint8_t number[] = { 0x00, 0x00, 0x80, 0x01 };
    static const uint8_t expected[] = { 0x02, 0x03, 0x00, 0x80, 0x01 };
    pl_der_put_uint(&w, pl_span_of(number, sizeof number));
    assert_ok(pl_der_finish(&w, &len));
    assert_int_equal(sizeof expected, len);
    assert_memory_equal(expected, buf, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_leaves_nested_elements),
        cmocka_unit_test(refuses_bytes_left_in_an_element),
        cmocka_unit_test(refuses_lengths_that_are_not_minimal),
        cmocka_unit_test(refuses_indefinite_and_huge_lengths),
        cmocka_unit_test(refuses_another_tag),
        cmocka_unit_test(integers_are_minimal_positive_and_bounded),
        cmocka_unit_test(bit_strings_hold_whole_bytes),
        cmocka_unit_test(writer_makes_every_length_form),
        cmocka_unit_test(writer_keeps_its_first_overflow),
        cmocka_unit_test(writer_pads_integers_with_the_high_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
