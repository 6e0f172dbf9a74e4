/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kind of write but versions (test_db_faults.c), and what proves and maintains a store: each
 * read, and each put, of each of them fails in turn.
 */
#include "lib/rich_db.h"

#define DAY_US (INT64_C(24) * 3600 * PARLEY_US_PER_S)

/* ---- Writes ---- */

static parley_err write_one(struct parley_db *db, const struct parley_write *w)
{
    struct parley_write copy = *w;
    return parley_db_apply(db, &copy, 1, DB_UTIL_NOW, NULL);
}

static parley_err write_until_done(struct parley_db *db, const struct parley_write *w)
{
    for (bool changed = true; changed;) {
        struct parley_write copy = *w;
        PL_TRY(parley_db_apply(db, &copy, 1, DB_UTIL_NOW, &changed));
    }
    return PARLEY_OK;
}

static parley_err put_sys(struct parley_db *db)
{
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_SYS_PUT,
                                                 .u.sys = { .key = pl_span_text("k1"),
                                                            .value = pl_span_text("another") } });
}

static parley_err delete_sys(struct parley_db *db)
{
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_SYS_DEL,
                                                 .u.sys = { .key = pl_span_text("k1") } });
}

static parley_err put_cursor(struct parley_db *db)
{
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_CURSOR,
                                                 .u.cursor = { .peer = 1, .seq = 9 } });
}

static parley_err make_view(struct parley_db *db)
{
    return write_until_done(
        db,
        &(struct parley_write){ .kind = PARLEY_WRITE_VIEW,
                                .u.view = { .name_space = MAIN, .prefix = pl_span_text("d") } });
}

static parley_err drop_view(struct parley_db *db)
{
    return write_until_done(
        db,
        &(struct parley_write){ .kind = PARLEY_WRITE_VIEW_DROP,
                                .u.view = { .name_space = MAIN, .prefix = pl_span_text("c") } });
}

static parley_err make_view_elsewhere(struct parley_db *db)
{
    return write_until_done(db,
                            &(struct parley_write){ .kind = PARLEY_WRITE_VIEW,
                                                    .u.view = { .name_space = pl_span_text("other"),
                                                                .prefix = pl_span_text("d") } });
}

static parley_err collect(struct parley_db *db)
{
    return write_until_done(
        db, &(struct parley_write){
                .kind = PARLEY_WRITE_COLLECT,
                .u.collect = { .name_space = MAIN, .upto = 400, .raise = true, .clean = 500 } });
}

static parley_err collect_elsewhere(struct parley_db *db)
{
    return write_one(
        db, &(struct parley_write){
                .kind = PARLEY_WRITE_COLLECT,
                .u.collect = { .name_space = pl_span_text("other"), .upto = 400, .raise = true } });
}

/* Of the newest in its conversation, so that what was updated last is looked for again. */
static parley_err trash(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_change change;
    bool found = false;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = parley_read_register_change(read, NUMBER_OF_C1, PARLEY_KIND_MESSAGE,
                                                 pl_span_text("m2"), &change, &found);
    parley_read_end(read);
    if (err != PARLEY_OK || !found)
        return err;
    return write_one(db,
                     &(struct parley_write){ .kind = PARLEY_WRITE_TRASH, .u.trash = change.seq });
}

static parley_err untrash(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_trash_key key = { 0 };
    struct parley_version v;
    bool found = false;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = parley_read_trash_after(read, &key, &v, &found);
    parley_read_end(read);
    if (err != PARLEY_OK || !found)
        return err;
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_UNTRASH,
                                                 .u.untrash = pl_span_of(key.bytes, key.len) });
}

static parley_err set_retention(struct parley_db *db)
{
    return write_one(
        db, &(struct parley_write){
                .kind = PARLEY_WRITE_RETENTION,
                .u.retention = { .name_space = MAIN, .rule = { .versions = 1, .age_us = 5 } } });
}

static parley_err set_retention_elsewhere(struct parley_db *db)
{
    return write_one(db,
                     &(struct parley_write){ .kind = PARLEY_WRITE_RETENTION,
                                             .u.retention = { .name_space = pl_span_text("other"),
                                                              .rule = { .versions = 1 } } });
}

static parley_err write_purge(struct parley_db *db)
{
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                                 .u.version = db_util_purge("c1", 500, "ann") });
}

static parley_err purge_held(struct parley_db *db)
{
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_VERSION,
                                                 .u.version = db_util_purge("c4", 0, "local") });
}

static parley_err write_elsewhere(struct parley_db *db)
{
    uint8_t body[80];
    struct parley_version v = db_util_message("c9", "m1", 600, "dan", "elsewhere", body);
    v.name_space = pl_span_text("other");
    return write_one(db, &(struct parley_write){ .kind = PARLEY_WRITE_VERSION, .u.version = v });
}

/* ---- What goes on by itself ---- */

static parley_err release_held(struct parley_db *db)
{
    size_t count = 0;
    PL_TRY(parley_db_maintain(db, (parley_wall)LATER, &count));
    return PARLEY_OK;
}

/* The rule is narrower than what there is; steps of a pass are some rows each. */
static parley_err retain(struct parley_db *db)
{
    parley_wall now = DB_UTIL_NOW + DAY_US;
    PL_TRY(set_retention(db));
    for (int i = 0; i < 5; i++)
        PL_TRY(parley_db_maintain(db, now, NULL));
    return PARLEY_OK;
}

static parley_err check(struct parley_db *db)
{
    struct parley_check_report report;
    PL_TRY(parley_db_check(db, &report));
    return report.problems == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

static parley_err scrub(struct parley_db *db)
{
    struct parley_scrub at = { 0 };
    while (at.passes < 1)
        PL_TRY(parley_db_scrub(db, &at, 7));
    return at.problems == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

static const struct step {
    const char *name;
    parley_err (*run)(struct parley_db *db);
    bool reads_only;
} steps[] = {
    { "put sys", put_sys, false },
    { "delete sys", delete_sys, false },
    { "cursor", put_cursor, false },
    { "make view", make_view, false },
    { "drop view", drop_view, false },
    { "make view elsewhere", make_view_elsewhere, false },
    { "collect", collect, false },
    { "collect elsewhere", collect_elsewhere, false },
    { "trash", trash, false },
    { "untrash", untrash, false },
    { "retention", set_retention, false },
    { "retention elsewhere", set_retention_elsewhere, false },
    { "purge", write_purge, false },
    { "purge held", purge_held, false },
    { "elsewhere", write_elsewhere, false },
    { "release held", release_held, false },
    { "retain", retain, false },
    { "check", check, true },
    { "scrub", scrub, true },
};

/* One step on a fresh store, of which the n-th read, or put, fails. False: none did. What it was to
 * do is done by doing it again, after the store has recovered where it had to. */
static bool fail_once(const struct step *step, int64_t at)
{
    struct env_mem env;
    struct parley_db *db = make_db(&env);
    read_fault_after = at;
    read_fault_once = true;
    parley_err err = step->run(db);
    bool reached = read_fault_after < 0;
    read_fault_after = -1;
    if (err != (reached ? PARLEY_EIO : PARLEY_OK))
        fail_msg("%s: error %d at %d", step->name, (int)err, (int)at);
    if (reached && read_fault_in_write) {
        assert_false(step->reads_only);
        assert_err(PARLEY_EIO, step->run(db));
        assert_ok(parley_db_recover(db));
    }
    if (reached) {
        db_util_check(db);
        assert_ok(step->run(db));
    }
    end_db(&env, db);
    return reached;
}

static void each_step_is_all_or_nothing_and_can_be_done_again(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        read_fault_of_puts = writes == 1;
        for (size_t i = 0; i < PL_ARRAY_LEN(steps); i++) {
            int64_t at = 0;
            while (fail_once(&steps[i], at))
                assert_true(++at < READS_MAX);
            assert_true(at >= 1 || (writes == 1 && steps[i].reads_only));
        }
    }
    read_fault_of_puts = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_all_or_nothing_and_can_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
