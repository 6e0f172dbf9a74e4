/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches that come in pieces: one transaction for all of them, or none.
 */
#include "lib/db_util.h"
#include "lib/env_mem.h"

#include "db/source.h"

#define PIECES_MAX 4

/* Each piece is one write; a gap between pieces is where more came. */
struct fixture {
    struct env_mem env;
    struct parley_db *db;
    struct parley_write writes[PIECES_MAX];
    uint8_t bodies[PIECES_MAX][80];
    size_t count, given;
    int asked;
    parley_err room;
    struct pl_store_ops const *real;
    int begins;
};

static struct fixture *current;

static parley_err answer_room(struct parley_store *s, uint64_t reserve)
{
    (void)s;
    (void)reserve;
    return current->room;
}

static parley_err count_begin(struct parley_store *s, struct pl_txn **out)
{
    current->begins++;
    return current->real->write_begin(s, out);
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .room = PARLEY_OK };
    current = &f;
    env_mem_init(&f.env);
    f.db = db_util_open(&f.env.t.env, "a");
    struct env_mem_slot *slot = &f.env.slots[0];
    f.real = slot->ops;
    slot->kept.room = answer_room;
    slot->kept.write_begin = count_begin;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    db_util_check(f->db);
    parley_db_close(f->db);
    env_mem_deinit(&f->env);
    return 0;
}

static struct parley_write *add(struct fixture *f, const char *id, uint64_t time)
{
    struct parley_write *w = &f->writes[f->count];
    *w = (struct parley_write){ .kind = PARLEY_WRITE_VERSION };
    w->u.version = db_util_message("c", id, time, "ann", "hello", f->bodies[f->count++]);
    return w;
}

static size_t next_piece(void *ud, struct parley_write **out)
{
    struct fixture *f = ud;
    f->asked++;
    if (f->given == f->count)
        return 0;
    *out = &f->writes[f->given++];
    return 1;
}

static parley_err apply(struct fixture *f, bool *changed)
{
    struct pl_write_source source = { .ud = f, .next = next_piece };
    *changed = false;
    return pl_db_apply_from(f->db, &source, DB_UTIL_NOW, changed);
}

static void all_pieces_are_one_transaction(void **state)
{
    struct fixture *f = *state;
    bool changed;
    for (int i = 0; i < PIECES_MAX; i++)
        add(f, (const char *[]){ "m1", "m2", "m3", "m4" }[i], 1);
    assert_ok(apply(f, &changed));
    assert_true(changed);
    assert_int_equal(1, f->begins);
    assert_int_equal(PIECES_MAX, db_util_root(f->db).count);
    for (int i = 0; i < PIECES_MAX; i++)
        assert_int_equal(PARLEY_VERDICT_NEW, f->writes[i].verdict);
}

static void nothing_at_all_is_no_change(void **state)
{
    struct fixture *f = *state;
    bool changed;
    assert_ok(apply(f, &changed));
    assert_false(changed);
    assert_int_equal(0, f->begins);
    assert_int_equal(1, f->asked);
}

static void pieces_that_change_nothing_write_nothing(void **state)
{
    struct fixture *f = *state;
    bool changed;
    add(f, "m1", 1);
    add(f, "m2", 1);
    assert_ok(apply(f, &changed));
    f->given = 0;
    f->begins = 0;
    f->asked = 0;
    assert_ok(apply(f, &changed));
    assert_false(changed);
    assert_int_equal(0, f->begins);
    assert_int_equal(3, f->asked);
    assert_int_equal(PARLEY_VERDICT_SAME, f->writes[0].verdict);
    assert_int_equal(PARLEY_VERDICT_SAME, f->writes[1].verdict);
}

static void a_known_piece_before_a_new_one_keeps_its_verdict(void **state)
{
    struct fixture *f = *state;
    bool changed;
    add(f, "m1", 1);
    assert_ok(apply(f, &changed));
    f->given = 0;
    add(f, "m2", 1);
    assert_ok(apply(f, &changed));
    assert_true(changed);
    assert_int_equal(PARLEY_VERDICT_SAME, f->writes[0].verdict);
    assert_int_equal(PARLEY_VERDICT_NEW, f->writes[1].verdict);
    assert_int_equal(2, db_util_root(f->db).count);
}

static void a_piece_of_bad_shape_takes_all_along(void **state)
{
    struct fixture *f = *state;
    bool changed;
    add(f, "m1", 1);
    add(f, "m2", 1)->u.version.name_space.len = 0;
    add(f, "m3", 1);
    assert_err(PARLEY_EINVAL, apply(f, &changed));
    assert_false(changed);
    assert_int_equal(2, f->asked);
    assert_int_equal(0, db_util_root(f->db).count);
}

/* The reserve is for deletions; what comes later is asked as well. */
static void a_later_piece_may_not_use_the_reserve_either(void **state)
{
    struct fixture *f = *state;
    bool changed;
    add(f, "m1", 1);
    assert_ok(apply(f, &changed));
    f->room = PARLEY_ENOSPC;
    add(f, "m1", 2)->u.version = db_util_tombstone("c", "m1", 2, "ann");
    add(f, "m2", 1);
    assert_err(PARLEY_ENOSPC, apply(f, &changed));
    assert_int_equal(1, db_util_root(f->db).count);
    f->given = 1;
    f->count = 2;
    assert_ok(apply(f, &changed));
    assert_int_equal(PARLEY_VERDICT_UPDATED, f->writes[1].verdict);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_pieces_are_one_transaction),
        CASE(nothing_at_all_is_no_change),
        CASE(pieces_that_change_nothing_write_nothing),
        CASE(a_known_piece_before_a_new_one_keeps_its_verdict),
        CASE(a_piece_of_bad_shape_takes_all_along),
        CASE(a_later_piece_may_not_use_the_reserve_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
