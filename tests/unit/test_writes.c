/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of writes, and which of them may use the reserve. The store has as much room as the
 * test says.
 */
#include "lib/db_fixture.h"

#include "base/base.h"
#include "db/db_int.h"

static parley_err room_left; /* what the store answers */

static parley_err answer_room(struct parley_store *s, uint64_t reserve)
{
    (void)s;
    return reserve == 0 ? PARLEY_OK : room_left;
}

static int setup_room(void **state)
{
    setup(state);
    struct fixture *f = *state;
    room_left = PARLEY_OK;
    f->env.slots[0].kept.room = answer_room;
    return 0;
}

static struct parley_write put_message(struct fixture *f, const char *id, uint64_t time)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = 3 };
    w.u.version = db_util_message("c", id, time, "ann", "hello", f->body);
    return w;
}

static struct parley_write del_message(const char *id, uint64_t time)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = 3 };
    w.u.version = db_util_tombstone("c", id, time, "ann");
    return w;
}

static struct parley_write put_sys(const char *value)
{
    struct parley_write w = { .kind = PARLEY_WRITE_SYS_PUT };
    w.u.sys.key = pl_span_text("key");
    w.u.sys.value = pl_span_text(value);
    return w;
}

static parley_err apply(struct fixture *f, struct parley_write *writes, size_t count)
{
    return parley_db_apply(f->db, writes, count, DB_UTIL_NOW, NULL);
}

/* ---- Shape ---- */

static void every_kind_has_a_shape_and_says_what_is_wrong_with_it(void **state)
{
    static const uint8_t long_line[PL_DB_LINE_BYTES_MAX + 1] = { 0 };
    struct parley_write bad[] = {
        { .kind = PARLEY_WRITE_VERSION },
        { .kind = PARLEY_WRITE_SYS_PUT },
        { .kind = PARLEY_WRITE_SYS_DEL, .u.sys.key = { (const uint8_t *)"\0c", 2 } },
        { .kind = PARLEY_WRITE_LEDGER, .u.line = { long_line, sizeof long_line } },
        { .kind = PARLEY_WRITE_LEDGER, .u.line = { (const uint8_t *)"a\nb\n", 4 } },
        { .kind = PARLEY_WRITE_VIEW, .u.view.name_space = { (const uint8_t *)"n", 1 } },
        { .kind = PARLEY_WRITE_VIEW_DROP },
        { .kind = PARLEY_WRITE_COLLECT },
        { .kind = PARLEY_WRITE_TRASH },
        { .kind = PARLEY_WRITE_UNTRASH },
        { .kind = (enum parley_write_kind)99 },
    };
    struct fixture *f = *state;
    struct parley_write good[] = { put_message(f, "m", 1),
                                   put_sys("x"),
                                   { .kind = PARLEY_WRITE_CURSOR },
                                   { .kind = PARLEY_WRITE_INDEX } };
    struct parley_diag diag = { "" };
    assert_ok(parley_writes_check(good, PL_ARRAY_LEN(good), &diag));
    assert_string_equal("", diag.text);
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        diag.text[0] = '\0';
        assert_err(PARLEY_EINVAL, parley_writes_check(&bad[i], 1, &diag));
        assert_true(strlen(diag.text) > 5);
        struct parley_write both[] = { good[0], bad[i] };
        assert_err(PARLEY_EINVAL, parley_writes_check(both, 2, NULL));
        assert_err(PARLEY_EINVAL, apply(f, both, 2));
    }
    assert_int_equal(0, db_util_root(f->db).count);
}

/* ---- The reserve ---- */

static void an_ordinary_write_may_not_use_the_reserve(void **state)
{
    static const parley_err errors[] = { PARLEY_ENOSPC, PARLEY_EMAPFULL };
    struct fixture *f = *state;
    for (size_t i = 0; i < PL_ARRAY_LEN(errors); i++) {
        room_left = errors[i];
        struct parley_write writes[] = { put_message(f, "a", 1), del_message("b", 2),
                                         put_sys("x") };
        struct parley_write view = { .kind = PARLEY_WRITE_VIEW };
        view.u.view.name_space = pl_span_text("main");
        view.u.view.prefix = pl_span_text("c");
        assert_err(errors[i], apply(f, writes, 1));
        assert_err(errors[i], apply(f, writes, 3));
        assert_err(errors[i], apply(f, &view, 1));
        assert_int_equal(0, db_util_root(f->db).count);
    }
    room_left = PARLEY_OK;
    struct parley_write write = put_message(f, "a", 1);
    assert_ok(apply(f, &write, 1));
}

static void deletions_and_rows_of_the_node_may_use_the_reserve(void **state)
{
    struct fixture *f = *state;
    struct parley_write message = put_message(f, "a", 1);
    assert_ok(apply(f, &message, 1));
    room_left = PARLEY_ENOSPC;
    struct parley_write writes[] = { del_message("a", 2),
                                     put_sys("x"),
                                     { .kind = PARLEY_WRITE_CURSOR, .u.cursor.peer = 1 } };
    assert_ok(apply(f, writes, PL_ARRAY_LEN(writes)));
    assert_int_equal(PARLEY_VERDICT_UPDATED, writes[0].verdict);
    struct parley_write collect = { .kind = PARLEY_WRITE_COLLECT };
    collect.u.collect.name_space = pl_span_text("main");
    collect.u.collect.upto = 2;
    assert_ok(apply(f, &collect, 1));
    assert_int_equal(1, collect.moved);
}

static void what_changes_nothing_needs_no_room(void **state)
{
    struct fixture *f = *state;
    struct parley_write writes[] = { put_message(f, "a", 1), del_message("a", 2) };
    assert_ok(apply(f, writes, 1));
    room_left = PARLEY_ENOSPC;
    assert_ok(apply(f, writes, 1));
    assert_ok(apply(f, writes, 2)); /* the leading write is known: the rest is a deletion */
    assert_int_equal(PARLEY_VERDICT_UPDATED, writes[1].verdict);
}

static void without_a_reserve_everything_is_tried(void **state)
{
    struct fixture *f = *state;
    struct parley_write write = put_message(f, "a", 1);
    room_left = PARLEY_ENOSPC;
    parley_db_set_reserve(f->db, 0);
    assert_ok(apply(f, &write, 1));
    parley_db_set_reserve(f->db, 1);
    write = put_message(f, "b", 1);
    assert_err(PARLEY_ENOSPC, apply(f, &write, 1));
}

/* Many versions that wait for their sets could fill the reserve: they wait on. */
static void the_sets_do_not_come_along_into_the_reserve(void **state)
{
    struct fixture *f = *state;
    static struct parley_write many[PL_INDEX_EAGER_MAX + 1];
    static char ids[PL_INDEX_EAGER_MAX + 1][8];
    for (unsigned i = 0; i < PL_ARRAY_LEN(many); i++) {
        ids[i][0] = (char)('a' + i % 26);
        ids[i][1] = (char)('a' + i / 26);
        many[i] = put_message(f, ids[i], 1);
    }
    assert_ok(apply(f, many, PL_ARRAY_LEN(many)));
    assert_int_equal(0, db_util_state(f->db).indexed);
    room_left = PARLEY_EMAPFULL;
    struct parley_write along[] = { { .kind = PARLEY_WRITE_INDEX }, del_message("aa", 2) };
    assert_err(PARLEY_EMAPFULL, apply(f, along, 1));
    assert_ok(apply(f, along, 2));
    assert_int_equal(0, db_util_state(f->db).indexed);
    assert_err(PARLEY_EMAPFULL, parley_db_maintain(f->db, DB_UTIL_NOW, NULL));
    room_left = PARLEY_OK;
    for (struct parley_db_state s = db_util_state(f->db); s.indexed < s.head;
         s = db_util_state(f->db))
        assert_ok(parley_db_maintain(f->db, DB_UTIL_NOW, NULL));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup_room, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_kind_has_a_shape_and_says_what_is_wrong_with_it),
        CASE(an_ordinary_write_may_not_use_the_reserve),
        CASE(deletions_and_rows_of_the_node_may_use_the_reserve),
        CASE(what_changes_nothing_needs_no_room),
        CASE(without_a_reserve_everything_is_tried),
        CASE(the_sets_do_not_come_along_into_the_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
