/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "proto/frame.h"

static parley_err split(const uint8_t *wire, size_t len, struct pl_frame *frame, bool *whole,
                        size_t *need)
{
    return pl_frame_split(pl_span_of(wire, len), frame, whole, need);
}

/* What splitting says about a header that claims `length` for `type`. */
static parley_err judge(uint64_t length, uint8_t type, size_t shown)
{
    uint8_t wire[PL_FRAME_HEADER_BYTES] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                            (uint8_t)(length >> 8), (uint8_t)length, type };
    struct pl_frame frame;
    bool whole = true;
    size_t need = 0;
    parley_err err = split(wire, shown, &frame, &whole, &need);
    if (err == PARLEY_OK && length > 1)
        assert_false(whole);
    return err;
}

static void frame_splits_what_it_built(void **state)
{
    (void)state;
    uint8_t wire[PL_FRAME_HEADER_BYTES + 4] = { 0 };
    memcpy(wire + PL_FRAME_HEADER_BYTES, "\x91\x07!!", 4);
    pl_frame_put_header(wire, PL_MSG_ACK, 2);
    assert_memory_equal("\0\0\0\x03\x08", wire, PL_FRAME_HEADER_BYTES);
    struct pl_frame frame;
    bool whole = false;
    size_t need = 0;
    assert_ok(split(wire, sizeof wire, &frame, &whole, &need));
    assert_true(whole);
    assert_int_equal(7, need);
    assert_int_equal(PL_MSG_ACK, frame.type);
    assert_ptr_equal(wire + PL_FRAME_HEADER_BYTES, frame.body.ptr);
    assert_int_equal(2, frame.body.len);
    assert_ptr_equal(wire, frame.bytes.ptr);
    assert_int_equal(7, frame.bytes.len);
}

static void frame_asks_for_exactly_what_is_missing(void **state)
{
    (void)state;
    static const uint8_t wire[] = { 0, 0, 0, 3, PL_MSG_ACK, 0x91, 0x07 };
    struct pl_frame frame;
    bool whole;
    size_t need;
    for (size_t len = 0; len < sizeof wire; len++) {
        assert_ok(split(wire, len, &frame, &whole, &need));
        assert_false(whole);
        assert_int_equal(len < 4 ? 4 : len < 5 ? 5 : 7, need);
    }
}

static void frame_may_have_an_empty_body(void **state)
{
    (void)state;
    static const uint8_t wire[] = { 0, 0, 0, 1, PL_MSG_BYE };
    struct pl_frame frame;
    bool whole = false;
    size_t need;
    assert_ok(split(wire, sizeof wire, &frame, &whole, &need));
    assert_true(whole);
    assert_int_equal(0, frame.body.len);
}

static void frame_refuses_length_zero_from_four_bytes(void **state)
{
    (void)state;
    assert_err(PARLEY_EMALFORMED, judge(0, 0, 4));
}

static void frame_refuses_length_above_limit_from_four_bytes(void **state)
{
    (void)state;
    assert_ok(judge(PL_FRAME_BYTES_MAX - PL_FRAME_LENGTH_BYTES, 0, 4));
    assert_err(PARLEY_ETOOBIG, judge(PL_FRAME_BYTES_MAX - PL_FRAME_LENGTH_BYTES + 1, 0, 4));
    assert_err(PARLEY_ETOOBIG, judge(0xffffffff, PL_MSG_HELLO, 4));
    assert_err(PARLEY_ETOOBIG, judge(0x80000000, PL_MSG_HELLO, 4));
}

static void frame_refuses_body_above_the_limit_of_its_type(void **state)
{
    (void)state;
    for (uint8_t type = PL_MSG_HELLO; type <= PL_MSG_BYE; type++) {
        size_t max = pl_frame_body_max(type);
        assert_in_range(max, 1, PL_FRAME_BODY_BYTES_MAX);
        assert_ok(judge(max + 1, type, 5));
        assert_err(PARLEY_ETOOBIG, judge(max + 2, type, 5));
    }
}

static void frame_refuses_every_unknown_type(void **state)
{
    (void)state;
    assert_err(PARLEY_EPROTO, judge(2, 0, 5));
    for (unsigned type = PL_MSG_DIFF + 1; type <= 255; type++)
        assert_err(PARLEY_EPROTO, judge(2, (uint8_t)type, 5));
}

static void frame_leaves_the_result_alone_on_error(void **state)
{
    (void)state;
    static const uint8_t wire[] = { 0, 0, 0, 0, 0 };
    struct pl_frame frame = { .type = PL_MSG_PART };
    bool whole = true;
    size_t need = 77;
    assert_err(PARLEY_EMALFORMED, split(wire, sizeof wire, &frame, &whole, &need));
    assert_int_equal(PL_MSG_PART, frame.type);
    assert_true(whole);
    assert_int_equal(77, need);
}

static void frame_names_every_bye_and_no_other(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < PL_BYE_COUNT; code++)
        assert_string_not_equal("unknown reason", pl_bye_text(code));
    assert_string_equal("unknown reason", pl_bye_text(PL_BYE_COUNT));
    assert_string_equal("unknown reason", pl_bye_text(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_splits_what_it_built),
        cmocka_unit_test(frame_asks_for_exactly_what_is_missing),
        cmocka_unit_test(frame_may_have_an_empty_body),
        cmocka_unit_test(frame_refuses_length_zero_from_four_bytes),
        cmocka_unit_test(frame_refuses_length_above_limit_from_four_bytes),
        cmocka_unit_test(frame_refuses_body_above_the_limit_of_its_type),
        cmocka_unit_test(frame_refuses_every_unknown_type),
        cmocka_unit_test(frame_leaves_the_result_alone_on_error),
        cmocka_unit_test(frame_names_every_bye_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
