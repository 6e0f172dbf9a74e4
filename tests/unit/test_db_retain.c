/* SPDX-License-Identifier: Apache-2.0
 *
 * How much history is kept, by number and by age (engine/db/retain.c, K1 to K3).
 */
#include "lib/db_fixture.h"

#include "db/db_int.h"

#include <stdio.h>

#define DAY_US (INT64_C(24) * 3600 * PARLEY_US_PER_S)
/* Passes rest for ten minutes. */
#define HOUR_US (INT64_C(3600) * PARLEY_US_PER_S)

static bool keep(struct fixture *f, const char *name_space, uint32_t versions, uint64_t age_us)
{
    struct parley_write w = { .kind = PARLEY_WRITE_RETENTION };
    bool changed;
    w.u.retention.name_space = pl_span_text(name_space);
    w.u.retention.rule = (struct parley_retention){ .versions = versions, .age_us = age_us };
    assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    return changed;
}

static struct parley_retention rule_of(struct fixture *f, const char *name_space)
{
    struct parley_read *read;
    struct parley_retention rule;
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_retention(read, pl_span_text(name_space), &rule));
    parley_read_end(read);
    return rule;
}

/* Versions of one message at these times; the last is the current one. */
static void write(struct fixture *f, const char *name_space, const char *id, uint64_t from,
                  unsigned count, uint64_t step)
{
    for (unsigned i = 0; i < count; i++) {
        struct parley_version v = db_util_message("c", id, from + i * step, "ann", "x", f->body);
        v.name_space = pl_span_text(name_space);
        db_util_apply(f->db, v);
    }
}

/* A whole pass, and the times that are left in the history of a message, newest first. */
static unsigned pass(struct fixture *f, parley_wall now, const char *name_space, const char *id,
                     uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX])
{
    struct parley_read *read;
    struct parley_conversation_info talk;
    struct parley_version old;
    uint32_t position = 0;
    unsigned count = 0;
    bool found;
    for (int i = 0; i < 400; i++)
        assert_ok(parley_db_maintain(f->db, now, NULL));
    db_util_check(f->db);
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text(name_space), pl_span_text("c"), &talk, &found));
    for (found = true; found;) {
        assert_ok(parley_read_history(read, talk.number, PARLEY_KIND_MESSAGE, pl_span_text(id),
                                      &position, &old, &found));
        if (found)
            times[count++] = old.time;
    }
    parley_read_end(read);
    return count;
}

static void without_a_rule_sixteen_versions_of_any_age_are_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    write(f, "main", "m", 10, 30, 1);
    assert_int_equal(PARLEY_HISTORY_VERSIONS, rule_of(f, "main").versions);
    assert_int_equal(0, rule_of(f, "main").age_us);
    assert_int_equal(16, pass(f, DB_UTIL_NOW, "main", "m", times));
    assert_int_equal(38, times[0]);
}

static void a_wider_rule_keeps_more_and_a_narrower_one_is_carried_out_by_passes(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    assert_true(keep(f, "main", 64, 0));
    assert_false(keep(f, "main", 64, 0));
    write(f, "main", "m", 10, 100, 1);
    write(f, "team", "m", 10, 100, 1);
    assert_int_equal(64, pass(f, DB_UTIL_NOW, "main", "m", times));
    assert_int_equal(16, pass(f, DB_UTIL_NOW, "team", "m", times));
    struct parley_root before = db_util_root(f->db);
    assert_true(keep(f, "main", 5, 0));
    assert_int_equal(5, pass(f, DB_UTIL_NOW, "main", "m", times));
    assert_int_equal(108, times[0]);
    assert_int_equal(104, times[4]);
    struct parley_root after = db_util_root(f->db);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(16, pass(f, DB_UTIL_NOW, "team", "m", times));
    restart(f);
    assert_int_equal(5, rule_of(f, "main").versions);
    assert_true(keep(f, "main", 0, 0));
    write(f, "main", "m", 500, 3, 1);
    assert_int_equal(0, pass(f, DB_UTIL_NOW + HOUR_US, "main", "m", times));
}

/* The age is that of the version that took its place. */
static void a_version_goes_when_it_was_overwritten_long_enough_ago(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    uint64_t begin = (uint64_t)(DB_UTIL_NOW - 10 * DAY_US);
    write(f, "main", "m", begin, 8, (uint64_t)DAY_US); /* the last one three days ago */
    write(f, "main", "n", 1000, 1, 1);
    write(f, "main", "n", (uint64_t)DB_UTIL_NOW, 1, 1); /* old, overwritten now */
    keep(f, "main", 16, (uint64_t)(5 * DAY_US + HOUR_US));
    assert_int_equal(3, pass(f, DB_UTIL_NOW, "main", "m", times));
    assert_int_equal(begin + 6 * (uint64_t)DAY_US, times[0]);
    assert_int_equal(begin + 4 * (uint64_t)DAY_US, times[2]);
    assert_int_equal(1, pass(f, DB_UTIL_NOW, "main", "n", times));
    /* Passes come again by themselves. */
    assert_int_equal(1, pass(f, DB_UTIL_NOW + 2 * DAY_US, "main", "m", times));
    assert_int_equal(1, pass(f, DB_UTIL_NOW + 2 * DAY_US, "main", "n", times));
    assert_int_equal(0, pass(f, DB_UTIL_NOW + 6 * DAY_US, "main", "n", times));
}

static void what_a_deleted_conversation_was_is_as_old_as_its_deletion(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    write(f, "main", "m", 1000, 2, 1);
    db_util_apply(f->db, db_util_delete("c", (uint64_t)(DB_UTIL_NOW - DAY_US), "ann"));
    keep(f, "main", 16, (uint64_t)(2 * DAY_US));
    assert_int_equal(1, pass(f, DB_UTIL_NOW, "main", "m", times));
    assert_int_equal(1001, times[0]);
    assert_int_equal(0, pass(f, DB_UTIL_NOW + 2 * DAY_US, "main", "m", times));
}

static void a_pass_over_many_registers_goes_in_steps_and_writes_only_what_it_drops(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    char id[12];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "m%u", i);
        write(f, "main", id, 10, 6, 1);
    }
    assert_int_equal(300, db_util_check(f->db).history);
    keep(f, "main", 2, 0);
    pass(f, DB_UTIL_NOW, "main", "m0", times);
    assert_int_equal(120, db_util_check(f->db).history);
    parley_seq commits = f->db->counters.commits;
    pass(f, DB_UTIL_NOW + HOUR_US, "main", "m0", times);
    assert_int_equal(commits, f->db->counters.commits);
}

static void a_failed_step_is_repeated(void **state)
{
    struct fixture *f = *state;
    uint64_t times[PARLEY_HISTORY_PER_REGISTER_MAX];
    write(f, "main", "m", 10, 10, 1);
    keep(f, "main", 1, 0);
    struct pl_store_mem_faults faults = { .fail_put_after = 0, .fail_commit_after = -1 };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    assert_int_equal(PARLEY_EMAPFULL, parley_db_maintain(f->db, DB_UTIL_NOW, NULL));
    faults.fail_put_after = -1;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    assert_int_equal(9, db_util_check(f->db).history);
    assert_int_equal(1, pass(f, DB_UTIL_NOW, "main", "m", times));
}

static void a_rule_beyond_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct parley_write w = { .kind = PARLEY_WRITE_RETENTION };
    bool changed;
    w.u.retention.name_space = pl_span_text("main");
    w.u.retention.rule.versions = PARLEY_HISTORY_PER_REGISTER_MAX + 1;
    assert_int_equal(PARLEY_EINVAL, parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
    w.u.retention.rule.versions = 1;
    w.u.retention.name_space = pl_span_of(NULL, 0);
    assert_int_equal(PARLEY_EINVAL, parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
}

#define RETAIN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RETAIN_TEST(without_a_rule_sixteen_versions_of_any_age_are_kept),
        RETAIN_TEST(a_wider_rule_keeps_more_and_a_narrower_one_is_carried_out_by_passes),
        RETAIN_TEST(a_version_goes_when_it_was_overwritten_long_enough_ago),
        RETAIN_TEST(what_a_deleted_conversation_was_is_as_old_as_its_deletion),
        RETAIN_TEST(a_pass_over_many_registers_goes_in_steps_and_writes_only_what_it_drops),
        RETAIN_TEST(a_failed_step_is_repeated),
        RETAIN_TEST(a_rule_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
