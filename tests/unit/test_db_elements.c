/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of live versions: after any writes and removals, iteration and sums over any range are
 * those of a plain sorted list made from the change log.
 */
#include "lib/db_util.h"
#include "lib/env_mem.h"

#include "base/rng.h"
#include "core/digest.h"
#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

#define MODEL_MAX 4000

struct model {
    struct parley_element elements[MODEL_MAX];
    size_t count;
};

static int by_point(const void *a, const void *b)
{
    return memcmp(a, b, PARLEY_POINT_BYTES);
}

static void model_load(struct model *m, struct parley_read *read)
{
    struct parley_feed feed;
    m->count = 0;
    assert_ok(parley_feed_begin(read, 0, &feed));
    for (;;) {
        struct parley_change change;
        bool found = false;
        assert_ok(parley_feed_next(&feed, &change, &found));
        if (!found)
            break;
        if (!pl_span_equal(change.version.name_space, pl_span_text("main")))
            continue;
        assert_true(m->count < MODEL_MAX);
        struct parley_element *e = &m->elements[m->count++];
        pl_element_point(&e->point, change.version.time, change.digest);
        e->seq = change.seq;
    }
    qsort(m->elements, m->count, sizeof m->elements[0], by_point);
}

/* Points at, just above and far from elements, and the ends. */
static struct parley_point pick_point(const struct model *m, struct pl_rng *rng)
{
    struct parley_point point;
    memset(point.bytes, pl_rng_below(rng, 2) == 0 ? 0 : 0xff, sizeof point.bytes);
    if (m->count != 0 && pl_rng_below(rng, 8) != 0)
        point = m->elements[pl_rng_below(rng, m->count)].point;
    if (pl_rng_below(rng, 3) == 0)
        point.bytes[sizeof point.bytes - 1] ^= 1;
    if (pl_rng_below(rng, 4) == 0)
        memset(point.bytes + 8, 0, PARLEY_DIGEST_BYTES);
    return point;
}

static struct parley_root model_sum(const struct model *m, const struct parley_point *from,
                                    const struct parley_point *to)
{
    struct parley_root root = { 0 };
    for (size_t i = 0; i < m->count; i++) {
        if (by_point(&m->elements[i], from) < 0 || by_point(&m->elements[i], to) >= 0)
            continue;
        root.count++;
        pl_digest_add(root.sum, m->elements[i].point.bytes + 8);
    }
    return root;
}

static struct parley_root sum_of(struct parley_read *read, const struct parley_point *from,
                                 const struct parley_point *to)
{
    struct parley_runs runs;
    struct parley_root root = { 0 };
    assert_ok(parley_runs_begin(read, &(struct parley_set){ .name_space = pl_span_text("main") },
                                from, &runs));
    for (;;) {
        struct parley_run run;
        bool found = false;
        assert_ok(parley_runs_next(&runs, to, &run, &found));
        if (!found)
            break;
        assert_true(run.root.count > 0);
        assert_true(by_point(&run.lower, from) >= 0 && by_point(&run.lower, to) < 0);
        root.count += run.root.count;
        pl_digest_add(root.sum, run.root.sum);
    }
    return root;
}

/* Two iterators at once go down from below element `from`; at the count, from the top. */
static void walk_down(const struct model *m, struct parley_read *read, size_t from)
{
    const struct parley_point *below = from == m->count ? NULL : &m->elements[from].point;
    struct parley_elements a, b;
    assert_ok(parley_elements_begin_below(
        read, &(struct parley_set){ .name_space = pl_span_text("main") }, below, &a));
    assert_ok(parley_elements_begin_below(
        read, &(struct parley_set){ .name_space = pl_span_text("main") }, below, &b));
    for (size_t left = from;; left--) {
        struct parley_element one, two;
        bool found_a = false, found_b = false;
        assert_ok(parley_elements_prev(&a, &one, &found_a));
        assert_ok(parley_elements_prev(&b, &two, &found_b));
        assert_true(found_a == (left != 0) && found_b == found_a);
        if (!found_a)
            return;
        assert_memory_equal(&one, &m->elements[left - 1], sizeof one);
        assert_memory_equal(&two, &m->elements[left - 1], sizeof two);
    }
}

static void compare_with_model(struct parley_db *db, struct model *m, struct pl_rng *rng)
{
    struct parley_read *read = NULL;
    assert_ok(parley_read_begin(db, &read));
    model_load(m, read);
    for (int i = 0; i < 40; i++) {
        struct parley_point from = pick_point(m, rng);
        struct parley_point to = pick_point(m, rng);
        struct parley_root expected = model_sum(m, &from, &to);
        struct parley_root got = sum_of(read, &from, &to);
        assert_true(pl_root_equal(&expected, &got));
    }
    /* One walk over neighbouring ranges. */
    struct parley_runs runs;
    struct parley_point last = { 0 };
    assert_ok(parley_runs_begin(read, &(struct parley_set){ .name_space = pl_span_text("main") },
                                &last, &runs));
    for (size_t i = 0; i < m->count; i += 1 + (size_t)pl_rng_below(rng, 30)) {
        struct parley_root got = { 0 }, expected = model_sum(m, &last, &m->elements[i].point);
        for (bool found = true; found;) {
            struct parley_run run;
            assert_ok(parley_runs_next(&runs, &m->elements[i].point, &run, &found));
            got.count += found ? run.root.count : 0;
            if (found)
                pl_digest_add(got.sum, run.root.sum);
        }
        assert_true(pl_root_equal(&expected, &got));
        last = m->elements[i].point;
    }
    /* Two iterators at once, each in its place. */
    struct parley_elements a, b;
    struct parley_point from = { 0 };
    assert_ok(parley_elements_begin(
        read, &(struct parley_set){ .name_space = pl_span_text("main") }, &from, &a));
    assert_ok(parley_elements_begin(
        read, &(struct parley_set){ .name_space = pl_span_text("main") }, &from, &b));
    for (size_t i = 0; i <= m->count; i++) {
        struct parley_element one, two;
        bool found_a = false, found_b = false;
        assert_ok(parley_elements_next(&a, &one, &found_a));
        assert_ok(parley_elements_next(&b, &two, &found_b));
        assert_true(found_a == (i < m->count) && found_b == found_a);
        if (!found_a)
            break;
        assert_memory_equal(&one, &m->elements[i], sizeof one);
        assert_memory_equal(&two, &m->elements[i], sizeof two);
    }
    walk_down(m, read, m->count);
    for (int i = 0; i < 10 && m->count != 0; i++)
        walk_down(m, read, (size_t)pl_rng_below(rng, m->count));
    parley_read_end(read);
}

/* What a version borrows. */
struct names {
    char conversation[8];
    char id[8];
    uint8_t body[80];
};

static struct parley_version pick_version(struct pl_rng *rng, uint64_t step, bool in_order,
                                          struct names *out)
{
    snprintf(out->conversation, sizeof out->conversation, "c%u", (unsigned)pl_rng_below(rng, 12));
    snprintf(out->id, sizeof out->id, "m%u", (unsigned)pl_rng_below(rng, 60));
    uint64_t time = in_order ? 1000 + step : 1 + pl_rng_below(rng, 500);
    if (pl_rng_below(rng, 200) == 0)
        return db_util_delete(out->conversation, time, "ann");
    return db_util_message(out->conversation, out->id, time, "ann", "text", out->body);
}

static void check_against_model(bool in_order)
{
    struct env_mem env;
    struct model *m = malloc(sizeof *m);
    struct pl_rng rng;
    pl_rng_init(&rng, in_order ? 1 : 2);
    env_mem_init(&env);
    struct parley_db *db = db_util_open(&env.t.env, "a");
    compare_with_model(db, m, &rng);
    for (uint64_t step = 0; step < 3000; step++) {
        struct names names;
        db_util_apply(db, pick_version(&rng, step, in_order, &names));
        if (step % 250 == 0)
            compare_with_model(db, m, &rng);
    }
    compare_with_model(db, m, &rng);
    assert_true(m->count > 100);
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(&env);
    free(m);
}

static void elements_are_the_log_in_time_order(void **state)
{
    (void)state;
    check_against_model(false);
    check_against_model(true);
}

static void elements_written_in_time_order_fill_their_blocks(void **state)
{
    (void)state;
    struct env_mem env;
    uint8_t body[80];
    env_mem_init(&env);
    struct parley_db *db = db_util_open(&env.t.env, "a");
    for (unsigned i = 0; i < 10 * PL_BLOCK_ELEMENTS_MAX; i++) {
        char id[8];
        snprintf(id, sizeof id, "m%u", i);
        db_util_apply(db, db_util_message("c", id, 1000 + i, "ann", "text", body));
    }
    struct parley_read *read = NULL;
    struct parley_elements e;
    struct parley_runs runs;
    struct parley_point from = { 0 };
    size_t count = 0;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_runs_begin(read, &(struct parley_set){ .name_space = pl_span_text("main") },
                                &from, &runs));
    for (bool found = true; found; count++) {
        struct parley_run run;
        assert_ok(parley_runs_next(&runs, NULL, &run, &found));
    }
    assert_int_equal(10, count - 1);
    assert_ok(parley_elements_begin(
        read, &(struct parley_set){ .name_space = pl_span_text("nowhere") }, &from, &e));
    struct parley_element element;
    bool found = true;
    assert_ok(parley_elements_next(&e, &element, &found));
    assert_false(found);
    parley_read_end(read);
    parley_db_close(db);
    env_mem_deinit(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_the_log_in_time_order),
        cmocka_unit_test(elements_written_in_time_order_fill_their_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
