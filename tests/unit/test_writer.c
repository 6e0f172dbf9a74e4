/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"
#include "base/writer.h"

static void writer_writes_big_endian_numbers(void **state)
{
    (void)state;
    uint8_t buf[15];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    pl_write_u8(&w, 1);
    pl_write_u16(&w, 0x0203);
    pl_write_u32(&w, 0x04050607);
    pl_write_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(PARLEY_OK, w.err);
    for (size_t i = 0; i < sizeof buf; i++)
        assert_int_equal(i + 1, buf[i]);
    assert_int_equal(0x0203, pl_get_be(buf + 1, 2));
}

static void writer_sticks_when_full_and_writes_no_part(void **state)
{
    (void)state;
    uint8_t buf[4] = { 9, 9, 9, 9 };
    struct pl_writer w = pl_writer_over(buf, 3);
    pl_write_text(&w, "ab");
    pl_write_u16(&w, 0);
    assert_int_equal(PARLEY_EFULL, w.err);
    assert_null(pl_writer_reserve(&w, 0));
    pl_write_u8(&w, 7);
    assert_span_text(pl_writer_span(&w), "ab");
    assert_int_equal(9, buf[2]);
}

static void writer_reserves_to_the_last_byte(void **state)
{
    (void)state;
    uint8_t buf[3];
    struct pl_writer w = pl_writer_over(buf, sizeof buf);
    assert_ptr_equal(buf, pl_writer_reserve(&w, 3));
    pl_write_span(&w, pl_span_of(NULL, 0));
    assert_int_equal(PARLEY_OK, w.err);
    assert_null(pl_writer_reserve(&w, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_writes_big_endian_numbers),
        cmocka_unit_test(writer_sticks_when_full_and_writes_no_part),
        cmocka_unit_test(writer_reserves_to_the_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
