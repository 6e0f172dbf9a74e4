/* SPDX-License-Identifier: Apache-2.0
 *
 * Views: while a view is made in steps, with writes and restarts between them, and ever after, its
 * elements are those of the change log whose conversation begins with its prefix.
 */
#include "lib/db_fixture.h"

#include "base/rng.h"
#include "core/digest.h"
#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

#define MODEL_MAX 4000

static enum parley_view_state state_of(struct parley_db *db, const char *prefix)
{
    struct parley_read *read = NULL;
    enum parley_view_state state = PARLEY_VIEW_NONE;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_view(read, pl_span_text("main"), pl_span_text(prefix), &state));
    parley_read_end(read);
    return state;
}

static parley_err write_view(struct parley_db *db, enum parley_write_kind kind, const char *space,
                             const char *prefix, bool *changed)
{
    struct parley_write w = { .kind = kind };
    w.u.view.name_space = pl_span_text(space);
    w.u.view.prefix = pl_span_text(prefix);
    return parley_db_apply(db, &w, 1, DB_UTIL_NOW, changed);
}

static void step(struct parley_db *db, enum parley_write_kind kind, const char *prefix)
{
    bool changed = false;
    assert_ok(write_view(db, kind, "main", prefix, &changed));
    assert_true(changed);
}

/* Steps until nothing is left to do; how many. */
static unsigned make(struct parley_db *db, const char *prefix)
{
    unsigned steps = 0;
    for (; state_of(db, prefix) != PARLEY_VIEW_READY; steps++)
        step(db, PARLEY_WRITE_VIEW, prefix);
    return steps;
}

/* Conversations like "a/3", "ab/3", "b/3". */
static void write_random(struct parley_db *db, struct pl_rng *rng)
{
    static const char *const stems[] = { "a/", "ab/", "b/", "b" };
    char conversation[12], id[8];
    uint8_t body[80];
    snprintf(conversation, sizeof conversation, "%s%u", stems[pl_rng_below(rng, 4)],
             (unsigned)pl_rng_below(rng, 5));
    snprintf(id, sizeof id, "m%u", (unsigned)pl_rng_below(rng, 40));
    uint64_t time = 1 + pl_rng_below(rng, 3000);
    if (pl_rng_below(rng, 150) == 0)
        db_util_apply(db, db_util_delete(conversation, time, "ann"));
    else
        db_util_apply(db, db_util_message(conversation, id, time, "ann", "text", body));
}

static int by_point(const void *a, const void *b)
{
    return memcmp(a, b, PARLEY_POINT_BYTES);
}

/* The READY view and sums over it are what the log says. */
static void compare(struct parley_db *db, const char *prefix)
{
    struct parley_element *model = calloc(MODEL_MAX, sizeof *model);
    struct parley_set set = { .name_space = pl_span_text("main"), .prefix = pl_span_text(prefix) };
    struct parley_point from = { { 0 } };
    struct parley_read *read = NULL;
    struct parley_feed feed;
    struct parley_elements e;
    struct parley_runs runs;
    struct parley_root expected = { 0 }, got = { 0 };
    size_t count = 0;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_feed_begin(read, 0, &feed));
    for (bool found = true; found;) {
        struct parley_change change;
        assert_ok(parley_feed_next(&feed, &change, &found));
        if (!found || !pl_span_has_prefix(change.version.conversation, set.prefix))
            continue;
        assert_true(count < MODEL_MAX);
        pl_element_point(&model[count].point, change.version.time, change.digest);
        model[count++].seq = change.seq;
        pl_digest_add(expected.sum, change.digest);
    }
    expected.count = count;
    qsort(model, count, sizeof *model, by_point);
    assert_ok(parley_elements_begin(read, &set, &from, &e));
    for (size_t i = 0; i <= count; i++) {
        struct parley_element element;
        bool found = false;
        assert_ok(parley_elements_next(&e, &element, &found));
        assert_true(found == (i < count));
        if (found)
            assert_memory_equal(&element, &model[i], sizeof element);
    }
    assert_ok(parley_runs_begin(read, &set, &from, &runs));
    for (bool found = true; found;) {
        struct parley_run run;
        assert_ok(parley_runs_next(&runs, NULL, &run, &found));
        got.count += found ? run.root.count : 0;
        if (found)
            pl_digest_add(got.sum, run.root.sum);
    }
    assert_true(pl_root_equal(&expected, &got));
    parley_read_end(read);
    free(model);
}

static void a_view_is_what_the_log_has_of_its_conversations(void **state)
{
    struct fixture *f = *state;
    struct pl_rng rng;
    pl_rng_init(&rng, 7);
    for (unsigned i = 0; i < 600; i++)
        write_random(f->db, &rng);
    assert_true(make(f->db, "a") > 1 || PL_LIMIT(1, 0) == 1);
    make(f->db, "ab/");
    make(f->db, "b/1");
    compare(f->db, "a");
    compare(f->db, "ab/");
    for (unsigned i = 0; i < 1500; i++)
        write_random(f->db, &rng);
    compare(f->db, "a");
    compare(f->db, "ab/");
    compare(f->db, "b/1");
    assert_int_equal(PARLEY_VIEW_NONE, state_of(f->db, "a/"));
}

static void a_view_is_made_among_writes_and_restarts(void **state)
{
    struct fixture *f = *state;
    struct pl_rng rng;
    pl_rng_init(&rng, 8);
    for (unsigned i = 0; i < 400; i++)
        write_random(f->db, &rng);
    for (unsigned steps = 0; state_of(f->db, "a") != PARLEY_VIEW_READY; steps++) {
        assert_true(steps < 500);
        step(f->db, PARLEY_WRITE_VIEW, "a");
        db_util_check(f->db);
        for (unsigned i = 0; i < 5; i++)
            write_random(f->db, &rng);
        db_util_check(f->db);
        if (steps % 7 == 3)
            restart(f);
    }
    compare(f->db, "a");
    for (unsigned i = 0; i < 300; i++)
        write_random(f->db, &rng);
    compare(f->db, "a");
}

static struct parley_write view_write(const char *prefix)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VIEW };
    w.u.view.name_space = pl_span_text("main");
    w.u.view.prefix = pl_span_text(prefix);
    return w;
}

/* A step whose batch fails leaves the view as it was, also in what the writer remembers. */
static void a_step_that_was_cut_is_done_again(void **state)
{
    struct fixture *f = *state;
    struct pl_rng rng;
    char prefix[4] = "p0";
    pl_rng_init(&rng, 9);
    for (unsigned i = 0; i < 300; i++)
        write_random(f->db, &rng);
    for (unsigned i = 0; i < PARLEY_VIEWS_MAX - 2; i++) {
        prefix[1] = (char)('a' + i);
        make(f->db, prefix);
    }
    step(f->db, PARLEY_WRITE_VIEW, "a");
    struct parley_write w[3] = { view_write("a"), view_write("b"), view_write("one too many") };
    enum parley_view_state before = state_of(f->db, "a");
    for (unsigned i = 0; i < 3; i++) {
        assert_err(PARLEY_EFULL, parley_db_apply(f->db, w, 3, DB_UTIL_NOW, NULL));
        write_random(f->db, &rng);
    }
    assert_int_equal(PARLEY_VIEW_NONE, state_of(f->db, "b"));
    assert_int_equal(before, state_of(f->db, "a"));
    make(f->db, "a");
    make(f->db, "b");
    compare(f->db, "a");
    compare(f->db, "b");
}

static void a_view_of_nothing_takes_what_comes(void **state)
{
    struct fixture *f = *state;
    make(f->db, "a");
    compare(f->db, "a");
    db_util_apply(f->db, db_util_message("ax", "m", 5, "ann", "text", f->body));
    db_util_apply(f->db, db_util_message("bx", "m", 6, "ann", "text", f->body));
    compare(f->db, "a");
    bool changed = true;
    assert_ok(write_view(f->db, PARLEY_WRITE_VIEW, "main", "a", &changed));
    assert_false(changed);
}

static void a_view_is_dropped_in_steps_and_made_again(void **state)
{
    struct fixture *f = *state;
    struct pl_rng rng;
    pl_rng_init(&rng, 10);
    for (unsigned i = 0; i < 400; i++)
        write_random(f->db, &rng);
    make(f->db, "a");
    make(f->db, "b");
    for (unsigned steps = 0; state_of(f->db, "a") != PARLEY_VIEW_NONE; steps++) {
        assert_true(steps < 100);
        step(f->db, PARLEY_WRITE_VIEW_DROP, "a");
        write_random(f->db, &rng);
        db_util_check(f->db);
        if (steps == 1)
            restart(f);
    }
    bool changed = true;
    assert_ok(write_view(f->db, PARLEY_WRITE_VIEW_DROP, "main", "a", &changed));
    assert_false(changed);
    /* One that is half gone is made anew. */
    step(f->db, PARLEY_WRITE_VIEW_DROP, "b");
    make(f->db, "b");
    make(f->db, "a");
    compare(f->db, "a");
    compare(f->db, "b");
}

static void views_are_bounded_listed_and_read_only_when_they_are_whole(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read = NULL;
    char prefix[4] = "p0";
    for (unsigned i = 0; i < PARLEY_VIEWS_MAX; i++) {
        prefix[1] = (char)('a' + i);
        make(f->db, prefix);
    }
    assert_err(PARLEY_EFULL, write_view(f->db, PARLEY_WRITE_VIEW, "main", "more", NULL));
    assert_ok(write_view(f->db, PARLEY_WRITE_VIEW, "team", "more", NULL));
    assert_err(PARLEY_EINVAL, write_view(f->db, PARLEY_WRITE_VIEW, "main", "", NULL));
    assert_err(PARLEY_EINVAL, write_view(f->db, PARLEY_WRITE_VIEW, "", "a", NULL));
    assert_ok(parley_read_begin(f->db, &read));
    uint64_t position = 0;
    struct parley_view_info info;
    bool found = true;
    unsigned count = 0;
    for (; found; count += found ? 1 : 0) {
        assert_ok(parley_read_views(read, &position, &info, &found));
        if (found && count == 1)
            assert_true(pl_span_is(info.prefix, "pb") && pl_span_is(info.name_space, "main"));
    }
    assert_int_equal(PARLEY_VIEWS_MAX + 1, count);
    assert_true(pl_span_is(info.prefix, "more") && pl_span_is(info.name_space, "team"));
    struct parley_set set = { .name_space = pl_span_text("main"), .prefix = pl_span_text("x") };
    struct parley_elements e;
    assert_err(PARLEY_ESTATE,
               parley_elements_begin(read, &set, &(struct parley_point){ { 0 } }, &e));
    parley_read_end(read);
}

/* Damage that no checksum shows: a row that is not there, or is that of another time. */
static void check_finds_a_view_that_is_not_its_range(void **state)
{
    struct fixture *f = *state;
    struct parley_check_report report;
    struct pl_txn *txn;
    struct pl_key key;
    struct parley_span value;
    uint8_t saved[PL_BLOCK_BYTES_MAX], saved_sum[PL_RECORD_SUM_BYTES];
    bool found;
    make(f->db, "a");
    db_util_apply(f->db, db_util_message("a1", "m1", 5, "ann", "text", f->body));
    pl_key_element(&key, pl_set_number(1, 1), &(struct parley_point){ { 0 } });
    assert_ok(pl_store_read_begin(f->db->store, &txn));
    assert_ok(pl_txn_get(txn, PL_TABLE_ELEMENT, pl_key_span(&key), &value, &found));
    assert_true(found);
    size_t len = value.len;
    memcpy(saved, value.ptr, len);
    assert_ok(pl_txn_get(txn, PL_TABLE_SUM, pl_key_span(&key), &value, &found));
    memcpy(saved_sum, value.ptr, sizeof saved_sum);
    pl_store_read_end(txn);
    db_util_apply(f->db, db_util_message("a1", "m2", 6, "ann", "text", f->body));
    db_util_check(f->db);
    assert_ok(pl_store_write_begin(f->db->store, &txn));
    assert_ok(pl_txn_put(txn, PL_TABLE_ELEMENT, pl_key_span(&key), pl_span_of(saved, len)));
    assert_ok(
        pl_txn_put(txn, PL_TABLE_SUM, pl_key_span(&key), pl_span_of(saved_sum, sizeof saved_sum)));
    assert_ok(pl_txn_commit(txn));
    assert_ok(parley_db_check(f->db, &report));
    assert_int_equal(1, report.problems);
    assert_non_null(strstr(report.first[0].text, "the view has not the versions of its range"));
    /* Without its row, the blocks are nobody's. */
    pl_key_view(&key, 1, 1);
    assert_ok(pl_store_write_begin(f->db->store, &txn));
    assert_ok(pl_txn_del(txn, PL_TABLE_NAMESPACE, pl_key_span(&key)));
    assert_ok(pl_txn_commit(txn));
    assert_ok(parley_db_check(f->db, &report));
    assert_int_equal(2, report.problems); /* the block, and a sum too many */
    pl_key_element(&key, pl_set_number(1, 1), &(struct parley_point){ { 0 } });
    assert_ok(pl_store_write_begin(f->db->store, &txn));
    assert_ok(pl_txn_del(txn, PL_TABLE_ELEMENT, pl_key_span(&key)));
    assert_ok(pl_txn_del(txn, PL_TABLE_SUM, pl_key_span(&key)));
    assert_ok(pl_txn_commit(txn));
}

int main(void)
{
#define VIEW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        VIEW_TEST(a_view_is_what_the_log_has_of_its_conversations),
        VIEW_TEST(a_view_is_made_among_writes_and_restarts),
        VIEW_TEST(a_step_that_was_cut_is_done_again),
        VIEW_TEST(a_view_of_nothing_takes_what_comes),
        VIEW_TEST(a_view_is_dropped_in_steps_and_made_again),
        VIEW_TEST(views_are_bounded_listed_and_read_only_when_they_are_whole),
        VIEW_TEST(check_finds_a_view_that_is_not_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
