/* SPDX-License-Identifier: Apache-2.0
 *
 * Two nodes with filters on their grants: each gets what lies within both, proves that by root, and
 * nothing else crosses; a wider filter brings the rest at once. a holds conversations of "work/"
 * and "home/", of today and of long ago.
 */
#include "lib/node_pair.h"

#include "core/mp_write.h"

#include <stdio.h>

#define DAY (INT64_C(86400) * PARLEY_US_PER_S)

static void put(struct world *w, struct side *s, const char *conversation, unsigned id,
                unsigned days_ago)
{
    uint8_t body[64];
    char name[16];
    bool changed = false;
    struct pl_writer b = pl_writer_over(body, sizeof body);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    pl_mp_write_array(&b, 2);
    pl_mp_write_text(&b, "user");
    pl_mp_write_text(&b, "hello");
    snprintf(name, sizeof name, "m%u", id);
    write.u.version = (struct parley_version){
        .name_space = pl_span_text("main"),
        .conversation = pl_span_text(conversation),
        .id = pl_span_text(name),
        .kind = PARLEY_KIND_MESSAGE,
        .time = (uint64_t)(w->now.wall - (int64_t)days_ago * DAY) + id,
        .origin = pl_span_text("x"),
        .body = pl_writer_span(&b),
    };
    assert_ok(parley_db_apply(s->db, &write, 1, w->now.wall, &changed));
    s->node->state_fresh = false;
}

/* 20 of work/new, 20 of work/old, 20 of home/new. */
static void open_world(struct world *w)
{
    world_open(w, false, 4000);
    for (unsigned i = 0; i < 20; i++) {
        put(w, &w->a, "work/new", i, 1);
        put(w, &w->a, "work/old", i, 100);
        put(w, &w->a, "home/new", i, 1);
    }
}

static struct pl_filter filter_of(const char *prefix, unsigned days)
{
    struct pl_filter filter = { .max_age = 0 };
    assert_ok(pl_filter_set(&filter, pl_span_text(prefix), days));
    return filter;
}

/* b joins a; either has a filter on its grant. */
static void join(struct world *w, const struct pl_filter *at_a, const struct pl_filter *at_b)
{
    char url[512];
    char id[PL_INVITE_ID_BYTES];
    struct pl_filter none = { .max_age = 0 };
    assert_ok(pl_invite_make(w->a.node, pl_span_text("main"), true, at_a != NULL ? at_a : &none,
                             w->now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, id, w->now));
    world_effects(w, &w->a, &w->b);
    assert_ok(
        pl_invite_join(w->b.node, pl_span_text(url), at_b != NULL ? at_b : &none, w->now, NULL));
    world_step(w);
}

static size_t count_of(struct side *s, const char *conversation)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info info = { .messages = 0 };
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(conversation),
                                       &info, &found));
    parley_read_end(read);
    return found ? (size_t)info.messages : 0;
}

static void assert_has(struct side *s, size_t work_new, size_t work_old, size_t home_new)
{
    assert_int_equal(work_new, count_of(s, "work/new"));
    assert_int_equal(work_old, count_of(s, "work/old"));
    assert_int_equal(home_new, count_of(s, "home/new"));
}

static struct pl_peer *peer_of(struct side *s)
{
    return s->node->peers.table[0];
}

static void assert_in_sync(struct world *w, uint64_t count)
{
    assert_true(pl_node_in_sync(w->b.node));
    assert_int_equal(PL_SYNC_IN_SYNC, peer_of(&w->a)->sync);
    assert_int_equal(count, peer_of(&w->b)->roots[0].root.count);
    assert_true(peer_of(&w->b)->roots[0].equal);
    assert_int_equal(0, peer_of(&w->a)->writes_refused + peer_of(&w->b)->writes_refused);
}

static void regrant(struct world *w, struct side *s, const char *prefix, unsigned days)
{
    struct pl_filter filter = filter_of(prefix, days);
    pl_views_regrant(s->node, peer_of(s), pl_span_text("main"), &filter);
    pl_node_store_peer(s->node, peer_of(s));
    world_step(w);
}

static void filters_meet(const char *a, unsigned a_days, const char *b, unsigned b_days,
                         size_t work_new, size_t work_old, size_t home_new)
{
    struct world w;
    struct pl_filter at_a = filter_of(a, a_days);
    struct pl_filter at_b = filter_of(b, b_days);
    open_world(&w);
    join(&w, &at_a, &at_b);
    /* What each has to learn of the other does not wait for the next STATE that is due anyway. */
    for (int i = 0; i < 4; i++)
        world_pass(&w, PARLEY_NS_PER_S);
    assert_has(&w.b, work_new, work_old, home_new);
    assert_in_sync(&w, work_new + work_old + home_new);
    assert_true(peer_of(&w.a)->versions_out == work_new + work_old + home_new);
    /* What comes later goes the same way, in both directions. */
    put(&w, &w.a, "work/new", 50, 0);
    put(&w, &w.a, "home/new", 51, 0);
    put(&w, &w.b, "work/new", 52, 0);
    put(&w, &w.a, "work/old", 53, 60);
    world_pass(&w, 11 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_has(&w.b, work_new + 2, work_old + (work_old != 0 ? 1 : 0),
               home_new + (home_new != 0 ? 1 : 0));
    assert_int_equal(22, count_of(&w.a, "work/new"));
    assert_true(pl_node_in_sync(w.b.node));
    world_close(&w);
}

static void each_side_gets_what_lies_within_both_filters(void **state)
{
    (void)state;
    filters_meet("", 0, "", 0, 20, 20, 20);
    filters_meet("work/", 0, "", 0, 20, 20, 0);
    filters_meet("", 0, "work/", 0, 20, 20, 0);
    filters_meet("", 30, "", 0, 20, 0, 20);
    filters_meet("", 0, "", 30, 20, 0, 20);
    filters_meet("work/", 0, "", 30, 20, 0, 0);
    filters_meet("wor", 0, "work/n", 30, 20, 0, 0);
}

static void filters_that_exclude_each_other_share_nothing_and_say_so(void **state)
{
    struct world w;
    struct pl_filter at_a = filter_of("work/", 0);
    struct pl_filter at_b = filter_of("home/", 0);
    (void)state;
    open_world(&w);
    join(&w, &at_a, &at_b);
    world_pass(&w, 30 * PARLEY_NS_PER_S);
    assert_has(&w.b, 0, 0, 0);
    assert_false(pl_node_in_sync(w.b.node));
    assert_non_null(strstr(peer_of(&w.a)->note, "filters exclude each other"));
    assert_non_null(strstr(peer_of(&w.b)->note, "filters exclude each other"));
    world_close(&w);
}

static void a_wider_filter_brings_the_rest_at_once(void **state)
{
    struct world w;
    struct pl_filter at_b = filter_of("work/", 30);
    (void)state;
    open_world(&w);
    join(&w, NULL, &at_b);
    world_settle(&w);
    assert_has(&w.b, 20, 0, 0);
    regrant(&w, &w.b, "work/", 0);
    world_pass(&w, 6 * PARLEY_NS_PER_S);
    assert_has(&w.b, 20, 20, 0);
    regrant(&w, &w.b, "", 0);
    world_pass(&w, 6 * PARLEY_NS_PER_S);
    assert_has(&w.b, 20, 20, 20);
    world_settle(&w);
    assert_in_sync(&w, 60);
    world_close(&w);
}

static void a_narrower_filter_deletes_nothing_and_is_in_sync(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    join(&w, NULL, NULL);
    world_settle(&w);
    regrant(&w, &w.b, "home/", 0);
    world_pass(&w, 6 * PARLEY_NS_PER_S);
    put(&w, &w.a, "work/new", 50, 0);
    put(&w, &w.a, "home/new", 51, 0);
    world_pass(&w, 11 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_has(&w.b, 20, 20, 21);
    assert_in_sync(&w, 21);
    world_close(&w);
}

/* The day begins at another moment on each side; both go on without a comparison. */
static void an_age_moves_with_the_days(void **state)
{
    struct world w;
    struct pl_filter at_b = filter_of("", 2);
    (void)state;
    open_world(&w);
    join(&w, NULL, &at_b);
    world_settle(&w);
    assert_in_sync(&w, 40);
    uint64_t repairs = peer_of(&w.a)->repairs + peer_of(&w.b)->repairs;
    for (int i = 0; i < 24 * 60 * 3; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_has(&w.b, 20, 0, 20);
    assert_in_sync(&w, 0);
    assert_int_equal(repairs, peer_of(&w.a)->repairs + peer_of(&w.b)->repairs);
    world_close(&w);
}

static enum parley_view_state view_of(struct side *s, const char *prefix)
{
    struct parley_read *read = NULL;
    enum parley_view_state view = PARLEY_VIEW_NONE;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_view(read, pl_span_text("main"), pl_span_text(prefix), &view));
    parley_read_end(read);
    return view;
}

static void views_are_dropped_with_the_grants_that_needed_them(void **state)
{
    struct world w;
    struct pl_filter at_b = filter_of("work/", 0);
    (void)state;
    open_world(&w);
    join(&w, NULL, &at_b);
    world_settle(&w);
    assert_int_equal(PARLEY_VIEW_READY, view_of(&w.a, "work/"));
    assert_int_equal(PARLEY_VIEW_READY, view_of(&w.b, "work/"));
    side_kill(&w, &w.a, &w.b);
    world_pass(&w, 10 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_int_equal(PARLEY_VIEW_READY, view_of(&w.a, "work/"));
    regrant(&w, &w.b, "", 0);
    world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_int_equal(PARLEY_VIEW_NONE, view_of(&w.b, "work/"));
    assert_ok(pl_peering_revoke(w.a.node, peer_of(&w.a)));
    world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_int_equal(PARLEY_VIEW_NONE, view_of(&w.a, "work/"));
    world_close(&w);
}

/* Another prefix within the hour would let a peer keep us building. */
static void a_peer_that_changes_its_prefix_too_often_is_refused(void **state)
{
    struct world w;
    struct pl_filter at_b = filter_of("work/", 0);
    (void)state;
    open_world(&w);
    join(&w, NULL, &at_b);
    world_settle(&w);
    regrant(&w, &w.b, "home/", 0);
    world_pass(&w, 30 * PARLEY_NS_PER_S);
    assert_non_null(strstr(peer_of(&w.a)->note, "filter is refused"));
    assert_has(&w.b, 20, 20, 0);
    assert_int_equal(PARLEY_VIEW_NONE, view_of(&w.a, "home/"));
    assert_int_equal(PARLEY_VIEW_READY, view_of(&w.a, "work/"));
    world_pass(&w, 3600 * PARLEY_NS_PER_S);
    regrant(&w, &w.b, "home/n", 0);
    world_pass(&w, 30 * PARLEY_NS_PER_S);
    world_settle(&w);
    assert_has(&w.b, 20, 20, 20);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_gets_what_lies_within_both_filters),
        cmocka_unit_test(filters_that_exclude_each_other_share_nothing_and_say_so),
        cmocka_unit_test(a_wider_filter_brings_the_rest_at_once),
        cmocka_unit_test(a_narrower_filter_deletes_nothing_and_is_in_sync),
        cmocka_unit_test(an_age_moves_with_the_days),
        cmocka_unit_test(views_are_dropped_with_the_grants_that_needed_them),
        cmocka_unit_test(a_peer_that_changes_its_prefix_too_often_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
