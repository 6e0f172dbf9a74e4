/* SPDX-License-Identifier: Apache-2.0
 *
 * Lost, or merely replaced: each rule of conflict.h, and its opposite.
 */
#include "lib/db_util.h"
#include "lib/env_mem.h"

#include "core/message.h"
#include "node/conflict.h"

struct fixture {
    struct env_mem env;
    struct parley_db *db;
    uint8_t body[80];
    uint64_t time;
    struct pl_conflict c;
    struct parley_read *read;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    env_mem_init(&f.env);
    f.db = db_util_open(&f.env.t.env, "a");
    f.time = 10;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    parley_read_end(f->read);
    parley_db_close(f->db);
    env_mem_deinit(&f->env);
    return 0;
}

static void say(struct fixture *f, const char *origin, const char *text)
{
    db_util_apply(f->db, db_util_message("c", "m", f->time++, origin, text, f->body));
}

/* As say, but of a message that was said before. */
static void edit(struct fixture *f, const char *origin, const char *text)
{
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_text(text),
                                  .created = 10 };
    struct pl_writer w = pl_writer_over(f->body, sizeof f->body);
    struct parley_version v = db_util_tombstone("c", "m", f->time++, origin);
    pl_message_encode(&w, &message);
    v.flags = 0;
    v.body = pl_writer_span(&w);
    db_util_apply(f->db, v);
}

static void drop(struct fixture *f, const char *origin)
{
    db_util_apply(f->db, db_util_tombstone("c", "m", f->time++, origin));
}

/* What of the history was lost, newest first: "x" lost, "." replaced. */
static void expect(struct fixture *f, const char *want)
{
    struct parley_register_name name = { 0 };
    char got[PARLEY_HISTORY_PER_REGISTER_MAX + 1] = "";
    bool found;
    assert_ok(parley_read_begin(f->db, &f->read));
    assert_ok(parley_read_lost_after(f->read, &name, &found));
    assert_true(found);
    assert_ok(pl_conflict_read(f->read, &name, &f->c));
    for (size_t i = 0; i < f->c.count; i++)
        got[i] = f->c.lost[i] ? 'x' : '.';
    assert_string_equal(want, got);
}

static void conflict_is_an_edit_that_lost_to_another_origins(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "of ann");
    edit(f, "bob", "of bob");
    expect(f, "x.");
    assert_int_equal(1, f->c.lost_count);
    assert_true(pl_span_is(f->c.current.origin, "bob"));
}

static void conflict_is_none_with_an_own_version(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "one");
    edit(f, "ann", "two");
    expect(f, "..");
}

static void conflict_is_none_when_a_first_version_is_edited(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "bob", "edited");
    expect(f, ".");
}

static void conflict_is_none_when_a_first_version_is_deleted(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    drop(f, "bob");
    expect(f, ".");
}

static void conflict_is_one_id_said_by_two(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    say(f, "bob", "good day");
    expect(f, "x");
}

static void conflict_is_an_edit_that_lost_to_a_deletion_and_the_reverse(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "edited");
    drop(f, "bob");
    edit(f, "cy", "late");
    expect(f, "xx.");
}

static void conflict_is_none_when_nothing_was_lost(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "agreed");
    edit(f, "bob", "agreed");
    expect(f, "..");
}

static void conflict_is_none_after_a_promotion(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "of ann");
    edit(f, "bob", "of bob");
    edit(f, "ann", "of ann");
    expect(f, "...");
}

static void conflict_is_none_in_a_deleted_conversation(void **state)
{
    struct fixture *f = *state;
    say(f, "ann", "hello");
    edit(f, "ann", "of ann");
    edit(f, "bob", "of bob");
    db_util_apply(f->db, db_util_delete("c", f->time, "cy"));
    expect(f, "...");
    assert_false(f->c.has_current);
}

#define CONFLICT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFLICT_TEST(conflict_is_an_edit_that_lost_to_another_origins),
        CONFLICT_TEST(conflict_is_none_with_an_own_version),
        CONFLICT_TEST(conflict_is_none_when_a_first_version_is_edited),
        CONFLICT_TEST(conflict_is_none_when_a_first_version_is_deleted),
        CONFLICT_TEST(conflict_is_one_id_said_by_two),
        CONFLICT_TEST(conflict_is_an_edit_that_lost_to_a_deletion_and_the_reverse),
        CONFLICT_TEST(conflict_is_none_when_nothing_was_lost),
        CONFLICT_TEST(conflict_is_none_after_a_promotion),
        CONFLICT_TEST(conflict_is_none_in_a_deleted_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
