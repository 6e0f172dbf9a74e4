/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/reader.h"

static void reader_reads_big_endian_numbers(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    struct pl_reader r = pl_reader_over(pl_span_of(bytes, sizeof bytes));
    assert_int_equal(1, pl_read_u8(&r));
    assert_int_equal(0x0203, pl_read_u16(&r));
    assert_int_equal(0x04050607, pl_read_u32(&r));
    assert_true(pl_read_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_ok(pl_reader_end(&r));
}

static void reader_keeps_its_first_error_and_reads_zero_after_it(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 1, 2, 3 };
    struct pl_reader r = pl_reader_over(pl_span_of(bytes, sizeof bytes));
    assert_int_equal(0, pl_read_u32(&r));
    assert_int_equal(0, pl_read_u8(&r));
    assert_int_equal(3, pl_reader_left(&r));
    pl_reader_fail(&r, PARLEY_ETYPE);
    assert_err(PARLEY_EMALFORMED, pl_reader_end(&r));
}

static void reader_refuses_left_over_bytes(void **state)
{
    (void)state;
    struct pl_reader r = pl_reader_over(pl_span_text("ab"));
    assert_int_equal('a', pl_read_u8(&r));
    assert_err(PARLEY_EMALFORMED, pl_reader_end(&r));
}

static void reader_copies_whole_or_zeroes(void **state)
{
    (void)state;
    uint8_t out[4] = { 9, 9, 9, 9 };
    struct pl_reader r = pl_reader_over(pl_span_text("abcde"));
    pl_read_copy(&r, out, 4);
    assert_memory_equal("abcd", out, 4);
    pl_read_copy(&r, out, 4);
    assert_memory_equal("\0\0\0\0", out, 4);
    assert_err(PARLEY_EMALFORMED, pl_reader_end(&r));
}

static void reader_of_nothing_is_at_its_end(void **state)
{
    (void)state;
    struct pl_reader r = pl_reader_over(pl_span_of(NULL, 0));
    assert_int_equal(0, pl_read_bytes(&r, 0).len);
    assert_ok(pl_reader_end(&r));
    assert_int_equal(0, pl_read_bytes(&r, SIZE_MAX).len);
    assert_err(PARLEY_EMALFORMED, pl_reader_end(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_reads_big_endian_numbers),
        cmocka_unit_test(reader_keeps_its_first_error_and_reads_zero_after_it),
        cmocka_unit_test(reader_refuses_left_over_bytes),
        cmocka_unit_test(reader_copies_whole_or_zeroes),
        cmocka_unit_test(reader_of_nothing_is_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
