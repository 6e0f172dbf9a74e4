/* SPDX-License-Identifier: Apache-2.0
 *
 * Two nodes that collect tombstones, and one of them away for longer than that allows. Each case is
 * run with either side in either part, since one dials and asks, and the other answers.
 */
#include "lib/db_util.h"
#include "lib/node_pair.h"

#include "core/message.h"
#include "sync/state.h"

#include <stdio.h>
#include <stdlib.h>

#define GRACE_S  800
#define GRACE_US (GRACE_S * PARLEY_US_PER_S)

struct pair {
    struct world w;
    struct side *home; /* collects */
    struct side *away;
    bool company;
};

static void pair_open(struct pair *p, int turn)
{
    world_open(&p->w, false, 3000);
    world_set_grace(&p->w, GRACE_US);
    p->home = turn == 0 ? &p->w.a : &p->w.b;
    p->away = turn == 0 ? &p->w.b : &p->w.a;
}

static void join(struct pair *p)
{
    world_join(&p->w);
    world_settle(&p->w);
}

/* A third node, of which only the home side knows: it has everything, and is always there. */
static void keep_company(struct pair *p)
{
    struct pl_node *node = p->home->node;
    struct pl_peer *third = pl_peers_find(&node->peers, pl_span_text("third"));
    if (third == NULL) {
        assert_ok(pl_peers_add(&node->peers, node->env, pl_span_text("third"), &third));
        assert_ok(pl_peer_grant(third, pl_span_text("main"), true));
        third->state = PL_PEER_ACTIVE;
        third->http = true; /* nobody waits for its session */
        third->stated = true;
        third->acked = UINT64_MAX;
    }
    third->synced_at[0] = p->w.now.wall;
}

static void pass(struct pair *p, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i += 10) {
        if (p->company)
            keep_company(p);
        world_pass(&p->w, 10 * PARLEY_NS_PER_S);
    }
}

static void let_one_byte_pass(struct pair *p)
{
    p->w.wire_max = p->w.wire_bytes + 1;
    world_step(&p->w);
}

static void put(struct pair *p, struct side *s, const char *id, uint64_t time, const char *text)
{
    uint8_t body[80];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    struct parley_version v = { .name_space = pl_span_text("main"),
                                .conversation = pl_span_text("talk"),
                                .id = pl_span_text(id),
                                .kind = PARLEY_KIND_MESSAGE,
                                .time = time };
    if (time != 0)
        v.origin = pl_span_text("import");
    if (text == NULL)
        v.flags = PARLEY_FLAG_TOMBSTONE;
    else
        pl_message_encode(&w, &(struct pl_message){ .role = pl_span_text("user"),
                                                    .content = pl_span_text(text) });
    v.body = pl_writer_span(&w);
    assert_ok(pl_node_write(s->node, &v, p->w.now));
    world_step(&p->w);
}

/* Whether a message is there, and alive; *dead: its tombstone is. */
static bool has(struct side *s, const char *id, bool *dead)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info talk;
    struct parley_version v;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("talk"), &talk, &found));
    if (found)
        assert_ok(parley_read_register(read, talk.number, PARLEY_KIND_MESSAGE, pl_span_text(id), &v,
                                       &found));
    bool tombstone = found && (v.flags & PARLEY_FLAG_TOMBSTONE) != 0;
    if (dead != NULL)
        *dead = tombstone;
    parley_read_end(read);
    return found && !tombstone;
}

static uint64_t trash_of(struct side *s, const char *first)
{
    struct parley_read *read = NULL;
    struct parley_trash_key key = { 0 };
    struct parley_version v;
    uint64_t count = 0;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_trash_count(read, &count));
    assert_ok(parley_read_trash_after(read, &key, &v, &found));
    if (first != NULL)
        assert_true(found && pl_span_is(v.id, first));
    parley_read_end(read);
    return count;
}

static void check_equal(struct pair *p)
{
    struct parley_check_report report;
    struct parley_namespace_info a = db_util_namespace(p->home->db),
                                 b = db_util_namespace(p->away->db);
    assert_int_equal(a.root.count, b.root.count);
    assert_memory_equal(a.root.sum, b.root.sum, PARLEY_DIGEST_BYTES);
    assert_int_equal(a.floor, b.floor);
    for (int i = 0; i < 2; i++) {
        assert_ok(parley_db_check(i == 0 ? p->home->db : p->away->db, &report));
        assert_int_equal(0, report.problems);
    }
}

static void pair_close(struct pair *p)
{
    world_close(&p->w);
    free(p);
}

static struct pair *pair_new(int turn)
{
    struct pair *p = calloc(1, sizeof *p);
    pair_open(p, turn);
    return p;
}

static void tombstones_go_when_the_peer_has_them(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        bool dead = false;
        join(p);
        put(p, p->home, "m1", 0, "one");
        put(p, p->home, "m2", 0, "two");
        put(p, p->away, "m1", 0, NULL);
        pass(p, GRACE_S - 100);
        assert_false(has(p->home, "m1", &dead));
        assert_true(dead);
        pass(p, 300);
        assert_int_equal(1, db_util_namespace(p->home->db).root.count);
        assert_true(db_util_namespace(p->home->db).floor != 0);
        check_equal(p);
        assert_true(pl_node_in_sync(p->home->node) && pl_node_in_sync(p->away->node));
        /* The logs alone did it: a floor that rises makes no difference to be searched. */
        assert_int_equal(0, p->home->node->peers.table[0]->repairs);
        assert_int_equal(0, p->away->node->peers.table[0]->repairs);
        assert_int_equal(0, p->home->node->rebases + p->away->node->rebases);
        pair_close(p);
    }
}

static void a_node_without_peers_collects_by_age_and_one_that_must_not_does_not(void **state)
{
    (void)state;
    for (int never = 0; never < 2; never++) {
        struct pair *p = pair_new(0);
        if (never == 1)
            p->w.a.node->options.tombstone_grace_us = -1;
        put(p, p->home, "m1", 0, NULL);
        pass(p, GRACE_S + 200);
        assert_int_equal(never, db_util_namespace(p->home->db).root.count);
        pair_close(p);
    }
}

/* A machine that is on for some minutes a day has no hour between two passes. */
static void a_node_that_is_never_up_for_an_hour_collects(void **state)
{
    (void)state;
    struct pair *p = pair_new(0);
    world_set_grace(&p->w, PL_FLOOR_GRACE_US);
    side_kill(&p->w, p->home, p->away);
    put(p, p->home, "m1", 0, NULL);
    for (int day = 0; day < 100; day++) {
        p->w.now.wall += 24 * 3600 * PARLEY_US_PER_S;
        side_kill(&p->w, p->home, p->away);
        pass(p, 120);
        assert_int_equal(day < 89 ? 1 : 0, db_util_namespace(p->home->db).root.count);
    }
    pair_close(p);
}

static void a_peer_that_is_away_is_waited_for_and_no_longer_than_it_may_be_away(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        struct pl_collectable able;
        parley_err err;
        p->company = true;
        join(p);
        put(p, p->home, "m1", 0, "one");
        world_part(&p->w);
        put(p, p->home, "m1", 0, NULL);
        pass(p, GRACE_S + GRACE_S / 16);
        assert_int_equal(1, db_util_namespace(p->home->db).root.count);
        assert_ok(pl_collect_find(p->home->node, pl_node_read(p->home->node, &err),
                                  pl_span_text("main"), (uint64_t)p->w.now.wall, &able));
        pl_node_read_done(p->home->node);
        assert_ptr_equal(p->home->node->peers.table[0], able.holder);
        pass(p, GRACE_S / 8 + 100);
        assert_int_equal(0, db_util_namespace(p->home->db).root.count);
        pair_close(p);
    }
}

/* Above that a deletion may be missing here that is gone elsewhere. */
static void a_floor_stays_a_grace_behind_the_last_time_in_sync(void **state)
{
    (void)state;
    struct pair *p = pair_new(0);
    p->company = true;
    pass(p, 10);
    put(p, p->home, "m1", 0, NULL);
    pass(p, GRACE_S / 2);
    p->company = false; /* it still counts, and has acknowledged everything */
    pass(p, GRACE_S / 2 + 100);
    assert_int_equal(1, db_util_namespace(p->home->db).root.count);
    struct pl_waiting waiting;
    parley_err err;
    assert_ok(pl_collect_describe(p->home->node, pl_node_read(p->home->node, &err),
                                  pl_span_text("main"), &waiting));
    pl_node_read_done(p->home->node);
    assert_int_equal(1, waiting.due);
    assert_ptr_equal(p->home->node->peers.table[0], waiting.holder);
    p->company = true;
    pass(p, GRACE_S / 8);
    assert_int_equal(0, db_util_namespace(p->home->db).root.count);
    pair_close(p);
}

/* What the peer says to this side, as if it had been on its way for a while. */
static void hear_late(struct pair *p, struct side *s, const struct side *other, unsigned seconds)
{
    uint8_t body[512];
    parley_err err = PARLEY_OK;
    struct parley_db_state there;
    struct parley_read *read = NULL;
    struct parley_namespace_info info = db_util_namespace(other->db);
    struct pl_connection *conn = pl_node_conn_find(s->node, s->conn);
    struct pl_round_view view = { .read = pl_node_read(s->node, &err),
                                  .state = &s->node->state,
                                  .now = p->w.now };
    assert_ok(err);
    assert_ok(parley_read_begin(other->db, &read));
    assert_ok(parley_read_state(read, &there));
    parley_read_end(read);
    struct pl_state said = { .head = there.head,
                             .has_cursor = true,
                             .cursor_incarnation = s->node->state.incarnation,
                             .cursor = s->node->state.head,
                             .wall = p->w.now.wall - seconds * PARLEY_US_PER_S,
                             .space_count = 1 };
    said.spaces[0] =
        (struct pl_state_space){ .name_space = pl_span_text("main"), .root = info.root };
    struct pl_writer w = pl_writer_over(body, sizeof body);
    pl_state_write(&w, &said);
    assert_ok(pl_round_on_state(conn->round, pl_writer_span(&w), &view));
    pl_node_read_done(s->node);
}

/* Else what a peer said before it rebased would prove that we are fresh after. */
static void in_sync_is_dated_by_who_said_so(void **state)
{
    (void)state;
    struct pair *p = pair_new(0);
    join(p);
    put(p, p->home, "m1", 0, "one");
    pass(p, 100);
    const struct pl_peer *peer = p->home->node->peers.table[0];
    hear_late(p, p->home, p->away, 3);
    assert_int_equal(p->w.now.wall - 3 * PARLEY_US_PER_S, peer->synced_at[0]);
    hear_late(p, p->home, p->away, 0);
    assert_int_equal(p->w.now.wall, peer->synced_at[0]);
    pair_close(p);
}

/* For all that it knows it is away itself. */
static void a_node_of_whose_peers_more_are_away_than_here_collects_nothing(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        join(p);
        pass(p, 100);
        world_part(&p->w);
        put(p, p->home, "m1", 0, NULL);
        pass(p, 3 * GRACE_S);
        assert_int_equal(1, db_util_namespace(p->home->db).root.count);
        assert_int_equal(0, db_util_namespace(p->home->db).floor);
        pair_close(p);
    }
}

/* It sends everything again and again, and acknowledges nothing. */
static void a_client_that_only_speaks_http_is_waited_for_while_it_comes(void **state)
{
    (void)state;
    struct pair *p = pair_new(0);
    p->company = true;
    pass(p, 10);
    struct pl_peer *client = NULL;
    struct pl_node *node = p->home->node;
    assert_ok(pl_peers_add(&node->peers, node->env, pl_span_text("client"), &client));
    assert_ok(pl_peer_grant(client, pl_span_text("main"), true));
    client->state = PL_PEER_ACTIVE;
    client->http = true;
    put(p, p->home, "m1", 0, NULL);
    for (unsigned i = 0; i < 2 * GRACE_S; i += 100) {
        client->last_sync_at = p->w.now.wall;
        pass(p, 100);
        assert_int_equal(1, db_util_namespace(p->home->db).root.count);
    }
    pass(p, GRACE_S + GRACE_S / 8 + 100);
    assert_int_equal(0, db_util_namespace(p->home->db).root.count);
    pair_close(p);
}

/* What is known of a peer is stored, and known after a restart. */
static void a_restarted_node_waits_for_a_peer_as_before(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        join(p);
        put(p, p->home, "m1", 0, NULL); /* acknowledged */
        pass(p, 100);
        world_part(&p->w);
        put(p, p->home, "m2", 0, NULL);
        p->company = true;
        side_kill(&p->w, p->home, p->away);
        pass(p, GRACE_S);
        assert_int_equal(2, db_util_namespace(p->home->db).root.count);
        pass(p, GRACE_S / 8 + 100);
        assert_int_equal(0, db_util_namespace(p->home->db).root.count);
        pair_close(p);
    }
}

/* The home side collects up to a time, as its next pass would have before they parted. */
static void raise_floor(struct pair *p, uint64_t upto)
{
    pl_collect_start(p->home->node, PL_COLLECT_AGE, pl_span_text("main"), upto, upto);
    pass(p, 10);
    assert_int_equal(upto, db_util_namespace(p->home->db).floor);
}

/* The scene of the next tests: what each side wrote and deleted while the other was away. */
static void be_away(struct pair *p, unsigned seconds)
{
    p->company = true;
    uint64_t old = (uint64_t)p->w.now.wall - 1000 * PARLEY_US_PER_S;
    put(p, p->home, "deleted", 0, "to be deleted at home");
    put(p, p->home, "kept", 0, "kept");
    pass(p, 100);
    world_part(&p->w);
    put(p, p->home, "deleted", 0, NULL);
    put(p, p->home, "home", 0, "written at home");
    put(p, p->away, "away-old", old, "imported while away");
    pass(p, seconds);
    put(p, p->home, "home-import", old, "imported at home");
    put(p, p->away, "away", 0, "written while away");
    pass(p, 20);
}

static void come_back(struct pair *p)
{
    p->w.apart = false;
    pass(p, 60);
    world_settle(&p->w);
}

static void a_stale_node_brings_nothing_back_and_loses_nothing_silently(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        join(p);
        be_away(p, 2 * GRACE_S);
        assert_int_equal(3, db_util_namespace(p->home->db).root.count);
        come_back(p);
        check_equal(p);
        assert_false(has(p->home, "deleted", NULL) || has(p->away, "deleted", NULL));
        assert_true(has(p->home, "away", NULL) && has(p->away, "home", NULL));
        assert_true(has(p->away, "home-import", NULL) && has(p->away, "kept", NULL));
        assert_int_equal(2, trash_of(p->away, "away-old"));
        assert_int_equal(0, trash_of(p->home, NULL));
        assert_int_equal(1, p->away->node->rebases);
        assert_int_equal(0, p->home->node->rebases);
        assert_true(db_util_namespace(p->away->db).clean > db_util_namespace(p->away->db).floor);
        pair_close(p);
    }
}

static void a_node_that_was_away_for_less_is_fresh_and_keeps_what_it_imported(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        put(p, p->home, "older", 0, NULL); /* goes while the other is away */
        uint64_t then = (uint64_t)p->w.now.wall;
        join(p);
        pass(p, GRACE_S / 2);
        be_away(p, 3 * GRACE_S / 4);
        raise_floor(p, then);
        assert_int_equal(0, db_util_namespace(p->away->db).floor);
        come_back(p);
        check_equal(p);
        assert_true(has(p->home, "away-old", NULL));
        assert_false(has(p->home, "deleted", NULL) || has(p->away, "deleted", NULL));
        assert_int_equal(0, trash_of(p->away, NULL));
        assert_int_equal(0, p->away->node->rebases);
        pair_close(p);
    }
}

/* A laptop with a history of its own joins a node that has collected. */
static void a_node_that_joins_brings_its_history(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        put(p, p->away, "history", 0, "from before");
        put(p, p->home, "m1", 0, NULL);
        pass(p, GRACE_S + 200);
        assert_true(db_util_namespace(p->home->db).floor != 0);
        join(p);
        pass(p, 20);
        check_equal(p);
        assert_true(has(p->home, "history", NULL));
        assert_int_equal(0, trash_of(p->away, NULL));
        pair_close(p);
    }
}

/* Its own deletion of the time that was collected elsewhere is void: nobody can tell it from one
 * that was undone since. */
static void a_deletion_that_comes_after_the_grace_is_void(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        bool dead = false;
        p->company = true;
        join(p);
        put(p, p->home, "m1", 0, "one");
        put(p, p->home, "m2", 0, "two");
        pass(p, 100);
        world_part(&p->w);
        put(p, p->away, "m1", 0, NULL);
        pass(p, 50);
        put(p, p->home, "m2", 0, NULL);
        pass(p, 2 * GRACE_S);
        come_back(p);
        check_equal(p);
        assert_true(has(p->away, "m1", &dead) && !dead);
        assert_false(has(p->away, "m2", NULL));
        pair_close(p);
    }
}

/* The power goes after any number of bytes: in the end it is as if it had not. */
static void a_rebase_that_is_cut_begins_anew(void **state)
{
    (void)state;
    unsigned cuts = 0;
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t bytes = 100; bytes < 6000; bytes += 170) {
            struct pair *p = pair_new(turn);
            join(p);
            be_away(p, 2 * GRACE_S);
            p->w.wire_max = p->w.wire_bytes + bytes;
            p->w.apart = false;
            pass(p, 60);
            cuts += p->away->node->rebases == 0 ? 1 : 0;
            side_kill(&p->w, p->away, p->home);
            p->w.wire_max = 0;
            come_back(p);
            check_equal(p);
            assert_false(has(p->home, "deleted", NULL) || has(p->away, "deleted", NULL));
            assert_true(has(p->home, "away", NULL) && has(p->away, "kept", NULL));
            assert_int_equal(2, trash_of(p->away, "away-old"));
            pair_close(p);
        }
    }
    assert_true(cuts > 10);
}

/* Two nodes that both have a history meet; the one that asks nothing begins a rebase while the
 * other one compares already. That comparison has passed ranges that were the same when it asked
 * about them: it is not the rebase's. Found by the simulator: deletions came back. */
static void a_comparison_that_had_begun_before_is_not_the_rebases(void **state)
{
    (void)state;
    struct pair *p = pair_new(1);
    char url[512];
    for (unsigned i = 0; i < 400; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%u", i);
        put(p, i % 2 == 0 ? p->away : p->home, id, 0, "x");
    }
    assert_ok(pl_node_invite(p->away->node, pl_span_text("main"), true,
                             p->w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, p->w.now));
    world_step(&p->w);
    assert_ok(pl_node_join(p->home->node, pl_span_text(url), p->w.now, NULL));
    struct pl_connection *conn = NULL;
    unsigned turns = 0;
    while (conn == NULL || conn->round == NULL || !conn->round->reply.running) {
        let_one_byte_pass(p);
        conn = pl_node_conn_find(p->away->node, p->away->conn);
    }
    pl_round_rebase(conn->round, 0, (uint64_t)p->w.now.wall, p->away->node->state.head);
    for (; conn->round->reply.running; turns++) {
        assert_int_equal(PL_REBASE_WANTED, conn->round->rebase.phase);
        let_one_byte_pass(p);
    }
    assert_true(turns > 100);
    assert_int_equal(PL_REBASE_WANTED, conn->round->rebase.phase);
    pair_close(p);
}

/* More than the lists of a round and the limits of a write hold. */
static void a_rebase_of_many_versions_takes_them_all(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        char id[16];
        const unsigned count = 6 * PL_REBASE_TRASH_MAX + 20;
        p->company = true;
        join(p);
        for (unsigned i = 0; i < count; i++) {
            snprintf(id, sizeof id, "m%u", i);
            put(p, p->home, id, 0, "x");
        }
        pass(p, 100);
        world_part(&p->w);
        for (unsigned i = 0; i < count; i++) {
            snprintf(id, sizeof id, "m%u", i);
            if (i % 3 != 0)
                put(p, p->home, id, 0, NULL);
        }
        pass(p, 2 * GRACE_S);
        come_back(p);
        check_equal(p);
        assert_int_equal(count - (count + 2) / 3, trash_of(p->away, NULL));
        pair_close(p);
    }
}

/* G6. */
static void a_floor_from_the_present_moves_nobody(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        join(p);
        put(p, p->home, "m1", 0, NULL);
        put(p, p->home, "m2", 0, "two");
        pass(p, 30);
        pl_collect_start(p->home->node, PL_COLLECT_AGE, pl_span_text("main"),
                         (uint64_t)p->w.now.wall, 0);
        pass(p, 60);
        assert_int_equal((uint64_t)p->w.now.wall - 60 * PARLEY_US_PER_S,
                         db_util_namespace(p->home->db).floor);
        assert_int_equal(0, db_util_namespace(p->away->db).floor);
        assert_int_equal(2, db_util_namespace(p->away->db).root.count);
        assert_true(pl_node_in_sync(p->home->node) && pl_node_in_sync(p->away->node));
        pair_close(p);
    }
}

/* G5. An old import is on its way when a floor rises: it is passed over, and found again. */
static void an_import_that_crosses_a_rising_floor_arrives(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        uint64_t old = (uint64_t)p->w.now.wall - 1000;
        put(p, p->home, "m1", 0, NULL);
        join(p);
        pass(p, GRACE_S / 2);
        p->w.wire_max = p->w.wire_bytes; /* nothing moves */
        pl_collect_start(p->home->node, PL_COLLECT_AGE, pl_span_text("main"), old + 1, 0);
        put(p, p->away, "import", old, "old");
        p->w.wire_max = 0;
        pass(p, 40);
        world_settle(&p->w);
        assert_true(has(p->home, "import", NULL));
        assert_int_equal(1, p->home->node->peers.table[0]->repairs);
        assert_int_equal(0, p->home->node->rebases + p->away->node->rebases);
        pair_close(p);
    }
}

/* Found by tests/models/floors.pml: that a peer was in sync again after long was stored up to an
 * hour later. A node that crashed before that took it for one that is away, did not wait for it,
 * and collected a deletion that had come late; and the peer, which knew better, was fresh. */
static void a_peer_that_has_returned_is_waited_for_after_a_crash(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        p->company = true;
        join(p);
        put(p, p->home, "m1", 0, "one");
        pass(p, 100);
        world_part(&p->w);
        pass(p, 2 * GRACE_S);
        put(p, p->home, "home", 0, "written at home");
        put(p, p->away, "away", 0, "written while away");
        p->w.apart = false;
        world_settle(&p->w);
        world_step(&p->w);
        world_part(&p->w);
        side_kill(&p->w, p->home, p->away);
        /* As one from a third node: it is older than the last time in sync. */
        put(p, p->home, "m1", (uint64_t)p->w.now.wall - 60 * PARLEY_US_PER_S, NULL);
        pass(p, GRACE_S + 40);
        come_back(p);
        check_equal(p);
        assert_false(has(p->home, "m1", NULL) || has(p->away, "m1", NULL));
        assert_int_equal(0, p->away->node->rebases);
        pair_close(p);
    }
}

/* Brings the two together until the one that was away is in sync and the other one has not heard
 * of that. */
static void meet_and_be_cut_off(struct pair *p)
{
    parley_wall began = p->w.now.wall;
    const struct pl_peer *here = p->away->node->peers.table[0];
    const struct pl_peer *there = p->home->node->peers.table[0];
    parley_wall known = there->synced_at[0];
    p->w.apart = false;
    while (here->synced_at[0] < began) {
        let_one_byte_pass(p);
        if (p->w.wire_bytes < p->w.wire_max)
            pass(p, 10);
    }
    assert_int_equal(known, there->synced_at[0]);
    world_part(&p->w);
    p->w.wire_max = 0;
}

/* Found by tests/models/floors.pml: a peer that has returned is in sync by what it hears, and gone
 * again before the other one heard of that, which does not wait for it. */
static void a_peer_that_was_cut_off_before_it_was_heard_is_stale(void **state)
{
    (void)state;
    struct pair *p = pair_new(0); /* bytes of this side go first */
    p->company = true;
    join(p);
    put(p, p->home, "m1", 0, "one");
    pass(p, 100);
    uint64_t then = (uint64_t)p->w.now.wall;
    world_part(&p->w);
    pass(p, 2 * GRACE_S);
    meet_and_be_cut_off(p);
    put(p, p->home, "m1", then, NULL); /* from a third node, made long ago */
    pass(p, GRACE_S / 2);
    assert_int_equal(then, db_util_namespace(p->home->db).floor);
    come_back(p);
    check_equal(p);
    assert_false(has(p->home, "m1", NULL) || has(p->away, "m1", NULL));
    assert_int_equal(1, trash_of(p->away, "m1"));
    pair_close(p);
}

/* A store that was put back has forgotten what it had acknowledged. */
static void a_copied_store_is_stale(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct pair *p = pair_new(turn);
        put(p, p->home, "older", 0, NULL);
        uint64_t then = (uint64_t)p->w.now.wall;
        join(p);
        pass(p, 100);
        p->company = true;
        memset(&p->away->node->peers.table[0]->synced_life, 7, 16);
        world_part(&p->w);
        put(p, p->away, "import", 5, "old");
        pass(p, GRACE_S);
        raise_floor(p, then);
        come_back(p);
        assert_int_equal(1, p->away->node->rebases);
        assert_int_equal(1, trash_of(p->away, "import"));
        pair_close(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tombstones_go_when_the_peer_has_them),
        cmocka_unit_test(a_node_without_peers_collects_by_age_and_one_that_must_not_does_not),
        cmocka_unit_test(a_node_that_is_never_up_for_an_hour_collects),
        cmocka_unit_test(a_peer_that_is_away_is_waited_for_and_no_longer_than_it_may_be_away),
        cmocka_unit_test(a_floor_stays_a_grace_behind_the_last_time_in_sync),
        cmocka_unit_test(in_sync_is_dated_by_who_said_so),
        cmocka_unit_test(a_node_of_whose_peers_more_are_away_than_here_collects_nothing),
        cmocka_unit_test(a_client_that_only_speaks_http_is_waited_for_while_it_comes),
        cmocka_unit_test(a_restarted_node_waits_for_a_peer_as_before),
        cmocka_unit_test(a_stale_node_brings_nothing_back_and_loses_nothing_silently),
        cmocka_unit_test(a_node_that_was_away_for_less_is_fresh_and_keeps_what_it_imported),
        cmocka_unit_test(a_node_that_joins_brings_its_history),
        cmocka_unit_test(a_deletion_that_comes_after_the_grace_is_void),
        cmocka_unit_test(a_rebase_that_is_cut_begins_anew),
        cmocka_unit_test(a_comparison_that_had_begun_before_is_not_the_rebases),
        cmocka_unit_test(a_rebase_of_many_versions_takes_them_all),
        cmocka_unit_test(a_floor_from_the_present_moves_nobody),
        cmocka_unit_test(an_import_that_crosses_a_rising_floor_arrives),
        cmocka_unit_test(a_peer_that_has_returned_is_waited_for_after_a_crash),
        cmocka_unit_test(a_peer_that_was_cut_off_before_it_was_heard_is_stale),
        cmocka_unit_test(a_copied_store_is_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
