/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "core/key.h"

static void key_register_keeps_conversations_together_with_their_row_first(void **state)
{
    (void)state;
    struct pl_key row, first, last, next;
    pl_key_register(&row, 7, 0, pl_span_of(NULL, 0));
    pl_key_register(&first, 7, 1, pl_span_of(NULL, 0));
    pl_key_register(&last, 7, 3, pl_span_text("zzz"));
    pl_key_register(&next, 8, 0, pl_span_of(NULL, 0));
    assert_true(pl_span_compare(pl_key_span(&row), pl_key_span(&first)) < 0);
    assert_true(pl_span_compare(pl_key_span(&first), pl_key_span(&last)) < 0);
    assert_true(pl_span_compare(pl_key_span(&last), pl_key_span(&next)) < 0);
}

static void key_register_splits_into_its_parts(void **state)
{
    (void)state;
    struct pl_key key;
    struct pl_key_register_parts parts;
    pl_key_register(&key, 0x01020304, 3, pl_span_text("id"));
    assert_ok(pl_key_register_split(pl_key_span(&key), &parts));
    assert_int_equal(0x01020304, parts.conversation);
    assert_int_equal(3, parts.kind);
    assert_span_text(parts.id, "id");
    assert_err(PARLEY_ECORRUPT, pl_key_register_split(pl_span_of(key.bytes, 4), &parts));
}

static void key_register_splits_up_to_the_longest_id_and_no_further(void **state)
{
    (void)state;
    uint8_t bytes[5 + PARLEY_ID_BYTES_MAX + 1] = { 0 };
    struct pl_key_register_parts parts;
    assert_ok(pl_key_register_split(pl_span_of(bytes, 5), &parts));
    assert_int_equal(0, parts.id.len);
    assert_ok(pl_key_register_split(pl_span_of(bytes, sizeof bytes - 1), &parts));
    assert_int_equal(PARLEY_ID_BYTES_MAX, parts.id.len);
    assert_err(PARLEY_ECORRUPT, pl_key_register_split(pl_span_of(bytes, sizeof bytes), &parts));
}

static void key_of_a_greater_number_sorts_behind(void **state)
{
    (void)state;
    static const uint64_t numbers[] = { 0,         1, 255, 256, 65535, 1u << 24, UINT64_C(1) << 40,
                                        UINT64_MAX };
    for (size_t i = 1; i < PL_ARRAY_LEN(numbers); i++) {
        struct pl_key lower, upper;
        uint8_t digest[PARLEY_DIGEST_BYTES] = { 0 };
        pl_key_log(&lower, numbers[i - 1]);
        pl_key_log(&upper, numbers[i]);
        assert_true(pl_span_compare(pl_key_span(&lower), pl_key_span(&upper)) < 0);
        pl_key_hold(&lower, (struct pl_stamp){ numbers[i - 1], 9 }, digest, pl_span_text("a"));
        pl_key_hold(&upper, (struct pl_stamp){ numbers[i], 1 }, digest, pl_span_text("a"));
        assert_true(pl_span_compare(pl_key_span(&lower), pl_key_span(&upper)) < 0);
    }
}

static void key_history_never_mixes_an_id_with_its_extension(void **state)
{
    (void)state;
    struct pl_key prefix, other;
    uint8_t digest[PARLEY_DIGEST_BYTES] = { 0 };
    struct pl_stamp stamp = { 1, 1 };
    pl_key_history_prefix(&prefix, 1, 3, pl_span_text("a"));
    pl_key_history(&other, 1, 3, pl_span_text("ab"), stamp, digest);
    assert_false(pl_span_has_prefix(pl_key_span(&other), pl_key_span(&prefix)));
    pl_key_history(&other, 1, 3, pl_span_text("a"), stamp, digest);
    assert_true(pl_span_has_prefix(pl_key_span(&other), pl_key_span(&prefix)));
}

static void key_of_the_longest_names_fits(void **state)
{
    (void)state;
    uint8_t id[PARLEY_ID_BYTES_MAX], digest[PARLEY_DIGEST_BYTES] = { 0 };
    struct pl_key key;
    memset(id, 'x', sizeof id);
    pl_key_history(&key, 1, 3, pl_span_of(id, sizeof id), (struct pl_stamp){ 1, 1 }, digest);
    assert_int_equal(PL_KEY_BYTES_MAX, key.len);
    pl_key_hold(&key, (struct pl_stamp){ 1, 1 }, digest, pl_span_text("main"));
    assert_int_equal(PL_KEY_HOLD_BYTES, key.len);
}

static void key_of_a_cursor_begins_with_a_byte_no_text_has(void **state)
{
    (void)state;
    struct pl_key key;
    pl_key_cursor(&key, 5);
    assert_int_equal(0, key.bytes[0]);
    assert_int_equal(PL_KEY_CURSOR_BYTES, key.len);
}

static void key_bumped_is_the_next_possible_key(void **state)
{
    (void)state;
    struct pl_key key, bumped;
    pl_key_conversation(&key, 1, pl_span_text("a"));
    bumped = key;
    pl_key_bump(&bumped);
    assert_true(pl_span_compare(pl_key_span(&bumped), pl_key_span(&key)) > 0);
    assert_int_equal(key.len + 1, bumped.len);
    assert_int_equal(0, bumped.bytes[key.len]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_register_keeps_conversations_together_with_their_row_first),
        cmocka_unit_test(key_register_splits_into_its_parts),
        cmocka_unit_test(key_register_splits_up_to_the_longest_id_and_no_further),
        cmocka_unit_test(key_of_a_greater_number_sorts_behind),
        cmocka_unit_test(key_history_never_mixes_an_id_with_its_extension),
        cmocka_unit_test(key_of_the_longest_names_fits),
        cmocka_unit_test(key_of_a_cursor_begins_with_a_byte_no_text_has),
        cmocka_unit_test(key_bumped_is_the_next_possible_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
