/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups by what the change log has: a conversation by its number, a register with its change.
 */
#include "lib/db_fixture.h"

static void lookup_finds_conversations_by_their_numbers(void **state)
{
    struct fixture *f = *state;
    struct parley_conversation_info named, info;
    struct parley_read *read;
    bool found = false;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c2", "m", 20, "ann", "x", f->body));
    db_util_apply(f->db, db_util_delete("c2", 30, "ann"));
    assert_ok(parley_read_begin(f->db, &read));
    static const char *const ids[] = { "c1", "c2" };
    for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++) {
        assert_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(ids[i]), &named,
                                           &found));
        assert_true(found);
        found = false;
        assert_ok(parley_read_conversation_numbered(read, named.number, &info, &found));
        assert_true(found && pl_span_is(info.id, ids[i]));
        assert_int_equal(named.updated, info.updated);
        assert_int_equal(named.deleted, info.deleted);
        assert_int_equal(named.messages, info.messages);
    }
    parley_read_end(read);
}

static void lookup_misses_numbers_that_were_never_given(void **state)
{
    struct fixture *f = *state;
    static const uint64_t numbers[] = { 0, 2, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX };
    struct parley_conversation_info info;
    struct parley_read *read;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(numbers); i++) {
        bool found = true;
        assert_ok(parley_read_conversation_numbered(read, numbers[i], &info, &found));
        assert_false(found);
    }
    parley_read_end(read);
}

static void lookup_gives_a_register_with_its_change(void **state)
{
    struct fixture *f = *state;
    struct parley_change change, same;
    struct parley_read *read;
    struct pl_span m = pl_span_text("m");
    bool found = false;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m", 20, "bob", "y", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_register_change(read, 1, PARLEY_KIND_MESSAGE, m, &change, &found));
    assert_true(found && change.version.time == 20);
    assert_ok(parley_read_change(read, change.seq, &same, &found));
    assert_true(found && pl_span_is(same.version.origin, "bob"));
    assert_memory_equal(same.digest, change.digest, sizeof same.digest);
    assert_ok(parley_read_register_change(read, 1, PARLEY_KIND_HEADER, m, &change, &found));
    assert_false(found);
    assert_ok(parley_read_register_change(read, 0, PARLEY_KIND_MESSAGE, m, &change, &found));
    assert_false(found);
    parley_read_end(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lookup_finds_conversations_by_their_numbers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_misses_numbers_that_were_never_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_gives_a_register_with_its_change, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
