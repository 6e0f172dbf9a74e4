/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups by what the change log has: a conversation by its number, a register with its change.
 */
#include "lib/db_fixture.h"

#include "db/db_int.h"

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
    struct parley_span m = pl_span_text("m");
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

#define TOO_LONG (PARLEY_ORIGIN_BYTES_MAX + 1) /* longer than any name or id may be */

static const char long_name[TOO_LONG + 1] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* What no row can be called is not there; it reaches no key, whose room is that of real names. A
 * set of elements and the rule of a namespace once took any name, and a long one was a panic. */
static void lookup_finds_nothing_by_a_name_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    static const struct parley_point lowest;
    const struct parley_span bad[] = { pl_span_text(""), pl_span_of(long_name, TOO_LONG) };
    struct parley_span main = pl_span_text("main");
    struct parley_namespace_info space;
    struct parley_conversation_info talk;
    struct parley_retention rule;
    struct parley_read *read;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    struct parley_write narrow = { .kind = PARLEY_WRITE_RETENTION,
                                   .u.retention = { .name_space = main, .rule = { 3, 0 } } };
    assert_ok(parley_db_apply(f->db, &narrow, 1, DB_UTIL_NOW, NULL));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        bool found = true;
        assert_ok(parley_read_namespace_named(read, bad[i], &space, &found));
        assert_false(found);
        found = true;
        assert_ok(parley_read_conversation(read, bad[i], pl_span_text("c1"), &talk, &found));
        assert_false(found);
        found = true;
        assert_ok(parley_read_conversation(read, main, bad[i], &talk, &found));
        assert_false(found);
        found = true;
        assert_ok(parley_read_conversation_after(read, bad[i], pl_span_text(""), &talk, &found));
        assert_false(found);
        enum parley_view_state view = PARLEY_VIEW_READY;
        assert_ok(parley_read_view(read, bad[i], pl_span_text("c"), &view));
        assert_int_equal(PARLEY_VIEW_NONE, view);
        assert_ok(parley_read_retention(read, bad[i], &rule));
        assert_int_equal(PARLEY_HISTORY_VERSIONS, rule.versions);
        struct parley_set set = { .name_space = bad[i] };
        struct parley_elements elements;
        struct parley_element element;
        struct parley_runs runs;
        struct parley_run run;
        assert_ok(parley_elements_begin(read, &set, &lowest, &elements));
        found = true;
        assert_ok(parley_elements_next(&elements, &element, &found));
        assert_false(found);
        assert_ok(parley_runs_begin(read, &set, &lowest, &runs));
        found = true;
        assert_ok(parley_runs_next(&runs, NULL, &run, &found));
        assert_false(found);
    }
    bool found = true;
    assert_ok(parley_read_conversation_after(read, main, bad[1], &talk, &found));
    assert_false(found);
    parley_read_end(read);
}

static void lookup_finds_no_register_by_a_name_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    const struct {
        uint64_t conversation;
        enum parley_kind kind;
        struct parley_span id;
    } bad[] = {
        { 0, PARLEY_KIND_MESSAGE, pl_span_text("m") },
        { UINT64_C(1) << 32, PARLEY_KIND_MESSAGE, pl_span_text("m") },
        { 1, (enum parley_kind)0, pl_span_text("m") },
        { 1, (enum parley_kind)5, pl_span_text("m") },
        { 1, PARLEY_KIND_MESSAGE, pl_span_of(long_name, TOO_LONG) },
    };
    struct parley_version version;
    struct parley_change change;
    struct parley_read *read;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m", 20, "ann", "y", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        uint32_t position = 0;
        bool found = true;
        assert_ok(parley_read_register(read, bad[i].conversation, bad[i].kind, bad[i].id, &version,
                                       &found));
        assert_false(found);
        found = true;
        assert_ok(parley_read_register_change(read, bad[i].conversation, bad[i].kind, bad[i].id,
                                              &change, &found));
        assert_false(found);
        found = true;
        assert_ok(parley_read_history(read, bad[i].conversation, bad[i].kind, bad[i].id, &position,
                                      &version, &found));
        assert_false(found);
    }
    uint32_t behind = PARLEY_HISTORY_PER_REGISTER_MAX;
    bool found = true;
    assert_ok(parley_read_history(read, 1, PARLEY_KIND_MESSAGE, pl_span_text("m"), &behind,
                                  &version, &found));
    assert_false(found);
    parley_read_end(read);
}

/* A walk cannot begin where there is no register, and a place that is none is refused. */
static void lookup_refuses_a_place_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    struct parley_register_cursor cursor;
    struct parley_register_name far_off = { .conversation = 1, .kind = PARLEY_KIND_MESSAGE };
    struct parley_trash_key trash = { .len = sizeof trash.bytes + 1 };
    struct parley_version version;
    struct parley_read *read;
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    db_util_apply(f->db, db_util_message("c1", "m", 10, "ann", "x", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    assert_err(PARLEY_EINVAL, parley_registers_begin(read, 0, &cursor));
    assert_err(PARLEY_EINVAL, parley_registers_begin(read, UINT64_C(1) << 32, &cursor));
    far_off.id_len = PARLEY_ID_BYTES_MAX + 1;
    assert_err(PARLEY_EINVAL, parley_registers_begin_after(read, &far_off, &cursor));
    assert_err(PARLEY_EINVAL, parley_read_lost_after(read, &far_off, &found));
    far_off = (struct parley_register_name){ .conversation = UINT64_C(1) << 32 };
    assert_err(PARLEY_EINVAL, parley_read_lost_after(read, &far_off, &found));
    /* The end of all sequences is behind every change. */
    assert_ok(parley_feed_begin(read, UINT64_MAX, &feed));
    assert_ok(parley_feed_next(&feed, &change, &found));
    assert_false(found);
    assert_err(PARLEY_EINVAL, parley_read_trash_after(read, &trash, &version, &found));
    parley_read_end(read);
}

/* Who offers what cannot be is not asked for it. */
static void lookup_does_not_want_what_cannot_be(void **state)
{
    struct fixture *f = *state;
    struct parley_version bad[10];
    struct parley_read *read;
    uint8_t digest[PARLEY_DIGEST_BYTES] = { 1 };
    struct parley_span too_long = pl_span_of(long_name, TOO_LONG);
    bool wanted = false;
    struct parley_version good = db_util_message("c1", "m", 10, "ann", "x", f->body);
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].name_space = bad[1].conversation = bad[2].origin = pl_span_text("");
    bad[3].name_space = bad[4].conversation = bad[5].origin = bad[6].id = too_long;
    bad[7].time = 0;
    bad[8].kind = (enum parley_kind)0;
    bad[9].kind = (enum parley_kind)(PARLEY_KIND_PURGE + 1);
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_wants(read, &good, digest, &wanted));
    assert_true(wanted);
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        wanted = true;
        assert_ok(parley_read_wants(read, &bad[i], digest, &wanted));
        assert_false(wanted);
    }
    parley_read_end(read);
}

static void lookup_finds_no_row_of_the_node_by_a_key_that_is_not_its_own(void **state)
{
    struct fixture *f = *state;
    static char long_key[PL_DB_SYS_KEY_BYTES_MAX + 1];
    const struct parley_span bad[] = { pl_span_text(""), pl_span_of("\0c", 2),
                                       pl_span_of(long_key, sizeof long_key) };
    struct parley_span key, value;
    struct parley_read *read;
    memset(long_key, 'k', sizeof long_key);
    struct parley_write ws[] = {
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("k1"), .value = pl_span_text("v1") } },
        { .kind = PARLEY_WRITE_CURSOR, .u.cursor = { .peer = 1, .seq = 7 } },
    };
    assert_ok(parley_db_apply(f->db, ws, PL_ARRAY_LEN(ws), DB_UTIL_NOW, NULL));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        bool found = true;
        assert_ok(parley_read_sys(read, bad[i], &value, &found));
        assert_false(found);
        if (i == 0)
            continue; /* all rows have this prefix */
        found = true;
        assert_ok(parley_read_sys_after(read, bad[i], pl_span_text(""), &key, &value, &found));
        assert_false(found);
    }
    bool found = true;
    assert_ok(parley_read_sys_after(read, pl_span_text("k"), bad[2], &key, &value, &found));
    assert_false(found);
    /* Without a prefix: from the first of the node's rows, past those of the db. */
    assert_ok(
        parley_read_sys_after(read, pl_span_text(""), pl_span_text(""), &key, &value, &found));
    assert_true(found && pl_span_is(key, "k1"));
    assert_ok(
        parley_read_sys_after(read, pl_span_text("k"), pl_span_text("a"), &key, &value, &found));
    assert_true(found && pl_span_is(key, "k1"));
    parley_read_end(read);
}

static void a_db_takes_no_origin_that_could_not_be_printed(void **state)
{
    struct fixture *f = *state;
    assert_err(PARLEY_ETOOBIG, parley_db_set_origin(f->db, pl_span_of(long_name, TOO_LONG)));
    assert_err(PARLEY_EINVAL, parley_db_set_origin(f->db, pl_span_text("")));
    assert_err(PARLEY_EINVAL, parley_db_set_origin(f->db, pl_span_text("\xff")));
    assert_err(PARLEY_EINVAL, parley_db_set_origin(f->db, pl_span_text("a\nb")));
    assert_err(PARLEY_EINVAL, parley_db_set_origin(f->db, pl_span_text("a\x7f")));
    assert_ok(parley_db_set_origin(f->db, pl_span_text("ann")));
    /* Once it has signed a version it stays. */
    db_util_apply(f->db, db_util_message("c1", "m", 0, "ann", "x", f->body));
    assert_err(PARLEY_EINVAL, parley_db_set_origin(f->db, pl_span_text("bob")));
    assert_err(PARLEY_EINVAL, parley_db_ledger_replace(f->db, (const uint8_t *)"half a line", 11));
    parley_db_close(NULL);
    parley_read_end(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lookup_finds_nothing_by_a_name_that_cannot_be),
        TEST(lookup_finds_no_register_by_a_name_that_cannot_be),
        TEST(lookup_refuses_a_place_that_cannot_be),
        TEST(lookup_does_not_want_what_cannot_be),
        TEST(lookup_finds_no_row_of_the_node_by_a_key_that_is_not_its_own),
        TEST(a_db_takes_no_origin_that_could_not_be_printed),
        cmocka_unit_test_setup_teardown(lookup_finds_conversations_by_their_numbers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_misses_numbers_that_were_never_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_gives_a_register_with_its_change, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
