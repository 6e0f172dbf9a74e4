/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole nodes in one process, joined by byte queues: joining, catching up both ways, live
 * pushes, restarts, void cursors, large versions, revocation. The simulator does the same with
 * faults; here each case is small and named.
 */
#include "lib/db_util.h"
#include "lib/node_pair.h"

#include "core/message.h"

#include <stdio.h>
#include <stdlib.h>

static void write_message(struct world *w, struct side *s, const char *conversation, const char *id,
                          struct parley_span content)
{
    uint8_t *body = malloc(content.len + 64);
    struct pl_writer out = pl_writer_over(body, content.len + 64);
    struct pl_message message = { .role = pl_span_text("user"), .content = content };
    pl_message_encode(&out, &message);
    struct parley_version v = { .name_space = pl_span_text("main"),
                                .conversation = pl_span_text(conversation),
                                .id = pl_span_text(id),
                                .kind = PARLEY_KIND_MESSAGE,
                                .origin = pl_span_text(pl_node_backend_id(s->node)),
                                .body = pl_writer_span(&out) };
    while (pl_node_write(s->node, &v, w->now) == PARLEY_EAGAIN)
        world_step(w);
    free(body);
}

static void assert_equal_roots(struct world *w, uint64_t count)
{
    struct parley_root a = db_util_root(w->a.db);
    struct parley_root b = db_util_root(w->b.db);
    assert_int_equal(count, a.count);
    assert_int_equal(count, b.count);
    assert_memory_equal(a.sum, b.sum, sizeof a.sum);
}

static void write_many(struct world *w, struct side *s, const char *prefix, int count)
{
    char id[32];
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%s-%d", prefix, i);
        write_message(w, s, i % 3 == 0 ? "talk-0" : "talk-1", id, pl_span_text("hello"));
    }
}

static void sync_both_ways(bool tls, size_t piece)
{
    struct world w;
    world_open(&w, tls, piece);
    write_many(&w, &w.a, "from-a", 40);
    write_many(&w, &w.b, "from-b", 30);
    world_join(&w);
    world_settle(&w);
    assert_equal_roots(&w, 70);
    write_many(&w, &w.a, "live-a", 5);
    write_many(&w, &w.b, "live-b", 5);
    world_settle(&w);
    assert_equal_roots(&w, 80);
    world_close(&w);
}

static void nodes_sync_both_ways_over_plain_bytes(void **state)
{
    (void)state;
    sync_both_ways(false, 100000);
}

static void nodes_sync_when_bytes_come_seven_at_a_time(void **state)
{
    (void)state;
    sync_both_ways(false, 7);
}

static void nodes_sync_both_ways_over_tls(void **state)
{
    (void)state;
    sync_both_ways(true, 5000);
}

static void join_shows_the_same_six_digits_on_both_sides(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    world_join(&w);
    const char *check = w.a.node->peers.table[0]->check;
    assert_int_equal(6, strlen(check));
    assert_string_equal(check, w.b.node->join.check);
    assert_string_equal(check, w.b.node->peers.table[0]->check);
    world_close(&w);
}

static void an_invite_works_once(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    assert_ok(pl_node_invite(w.a.node, pl_span_text("main"), true,
                             w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w.now));
    world_step(&w);
    memcpy(w.a.node->invites[0].used_by, "somebody", 9);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_int_equal(0, w.a.node->peers.count);
    assert_int_equal(0, w.b.node->peers.count);
    world_close(&w);
}

/* All that a stranger gets is a BYE: a HELLO would be followed by a signature. */
static void assert_refused_unsigned(struct world *w, const char *url)
{
    w->wire_bytes = 0;
    assert_ok(pl_node_join(w->b.node, pl_span_text(url), w->now, NULL));
    world_step(w);
    assert_int_equal(PL_JOIN_FAILED, w->b.node->join.phase);
    assert_string_equal(pl_bye_text(PL_BYE_INVITE), w->b.node->join.error);
    assert_true(w->wire_bytes < 256);
}

static void a_join_is_refused_before_anything_is_signed_when_no_invite_is_open(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    assert_ok(pl_node_invite(w.a.node, pl_span_text("main"), true,
                             w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w.now));
    world_step(&w);
    struct pl_invite *invite = &w.a.node->invites[0];
    memcpy(invite->used_by, "somebody", 9);
    assert_refused_unsigned(&w, url);
    invite->used_by[0] = '\0';
    invite->expires = w.now.wall;
    assert_refused_unsigned(&w, url);
    invite->expires = w.now.wall + PARLEY_US_PER_S;
    w.a.hold_commits = true; /* from now on, not from the commit on */
    assert_ok(pl_invite_withdraw(w.a.node, invite));
    assert_refused_unsigned(&w, url);
    side_commit(&w, &w.a);
    assert_int_equal(0, w.a.node->invite_count);
    assert_refused_unsigned(&w, url);
    world_close(&w);
}

/* Each join is a chance to meet digits that somebody has seen elsewhere. */
static void an_invite_begins_no_more_joins_than_its_limit(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    assert_ok(pl_node_invite(w.a.node, pl_span_text("main"), true,
                             w.now.wall + 600 * PARLEY_US_PER_S, url, sizeof url, w.now));
    world_step(&w);
    for (unsigned i = 0; i <= PL_INVITE_TRIES_MAX; i++) {
        assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
        w.b.hold_commits = true; /* it never says JOIN_DONE */
        world_step(&w);
        enum pl_join_phase want = i < PL_INVITE_TRIES_MAX ? PL_JOIN_STORING : PL_JOIN_FAILED;
        assert_int_equal(want, w.b.node->join.phase);
        side_kill(&w, &w.b, &w.a);
        w.a.conn = 0;
    }
    assert_int_equal(PL_PEER_JOINING, w.a.node->peers.table[0]->state);
    world_close(&w);
}

static void a_restart_keeps_identity_peers_and_cursors(void **state)
{
    struct world w;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    write_many(&w, &w.a, "x", 50);
    world_settle(&w);
    memcpy(id, pl_node_backend_id(w.a.node), sizeof id);
    side_kill(&w, &w.a, &w.b);
    side_kill(&w, &w.b, &w.a);
    assert_string_equal(id, pl_node_backend_id(w.a.node));
    assert_int_equal(1, w.a.node->peers.count);
    assert_int_equal(PL_PEER_ACTIVE, w.a.node->peers.table[0]->state);
    w.wire_bytes = 0;
    world_settle(&w);
    assert_true(w.wire_bytes < 4096); /* nothing is sent again */
    assert_equal_roots(&w, 50);
    world_close(&w);
}

static void a_resync_of_equal_nodes_writes_nothing(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    write_many(&w, &w.a, "x", 50);
    world_settle(&w);
    for (int i = 0; i < 2; i++) /* cursors are given, and stored */
        world_pass(&w, 6 * PARLEY_NS_PER_S);
    side_kill(&w, &w.b, &w.a);
    w.a.commits = 0;
    w.b.commits = 0;
    world_settle(&w);
    world_pass(&w, 6 * PARLEY_NS_PER_S);
    assert_int_equal(0, w.a.commits);
    assert_int_equal(0, w.b.commits);
    world_close(&w);
}

static void a_wiped_cursor_is_repaired_by_a_comparison(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    write_many(&w, &w.a, "x", 60);
    world_settle(&w);
    /* b's store is replaced by a copy: a new incarnation, so a's cursor for it is void, and both
     * write while apart. */
    if (w.a.conn != 0)
        pl_node_closed(w.a.node, w.a.conn, w.now);
    w.a.conn = 0;
    if (w.b.conn != 0)
        pl_node_closed(w.b.node, w.b.conn, w.now);
    w.b.conn = 0;
    write_many(&w, &w.a, "apart-a", 20);
    world_step(&w);
    pl_node_stop(w.b.node, w.now);
    pl_node_free(w.b.node);
    parley_db_close(w.b.db);
    env_mem_copy(&w.env, "b", "b-copy");
    w.b.store = "b-copy";
    side_open(&w, &w.b);
    write_many(&w, &w.b, "apart-b", 20);
    world_settle(&w);
    assert_equal_roots(&w, 100);
    world_close(&w);
}

static void a_version_larger_than_a_frame_arrives_whole(void **state)
{
    struct world w;
    size_t len = 5 * PL_FRAME_BYTES_MAX + 17;
    (void)state;
    world_open(&w, false, 3000);
    world_join(&w);
    uint8_t *content = malloc(len);
    memset(content, 'x', len);
    size_t before = w.a.node->buffered_bytes;
    uint8_t *body = malloc(len + 64);
    struct pl_writer out = pl_writer_over(body, len + 64);
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_of(content, len) };
    pl_message_encode(&out, &message);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text("big"),
                                               .id = pl_span_text("m1"),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .origin = pl_span_text("x"),
                                               .body = pl_writer_span(&out) };
    bool changed = false;
    world_step(&w);
    assert_ok(parley_db_apply(w.b.db, &write, 1, w.now.wall, &changed));
    w.b.node->state_fresh = false;
    write_many(&w, &w.b, "after", 3);
    world_settle(&w);
    assert_equal_roots(&w, 4);
    assert_int_equal(before, w.a.node->buffered_bytes);
    free(content);
    free(body);
    world_close(&w);
}

static void revocation_cuts_the_session_and_keeps_the_peer_out(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    world_step(&w);
    assert_int_equal(0, w.a.conn);
    write_many(&w, &w.b, "late", 3);
    for (int i = 0; i < 5; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_int_equal(0, db_util_root(w.a.db).count);
    assert_int_equal(PL_SYNC_REFUSED, w.b.node->peers.table[0]->sync);
    world_close(&w);
}

/* Cleared grants were looked up after they were taken away: the fresh invite ended the node. */
static void a_revoked_peer_comes_back_by_a_fresh_invite_with_what_that_grants(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    struct pl_peer *peer = w.a.node->peers.table[0];
    assert_ok(pl_peer_grant(peer, pl_span_text("private"), true));
    assert_ok(pl_peering_revoke(w.a.node, peer));
    world_step(&w);
    world_pass(&w, 60 * PARLEY_NS_PER_S);
    world_join(&w);
    world_settle(&w);
    assert_int_equal(1, peer->grant_count);
    assert_string_equal("main", peer->grants[0].name_space);
    world_close(&w);
}

static void invite_from_a(struct world *w, const char *name_space, char url[512])
{
    assert_ok(pl_node_invite(w->a.node, pl_span_text(name_space), true,
                             w->now.wall + 600 * PARLEY_US_PER_S, url, 512, w->now));
    world_step(w);
}

static void drop_connection(struct world *w)
{
    pl_node_closed(w->a.node, w->a.conn, w->now);
    pl_node_closed(w->b.node, w->b.conn, w->now);
    w->a.conn = 0;
    w->b.conn = 0;
    world_step(w);
}

static void a_used_invite_does_not_give_back_a_right_that_was_narrowed(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    invite_from_a(&w, "main", url);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    world_settle(&w);
    struct pl_peer *peer = w.a.node->peers.table[0];
    assert_ok(pl_peer_grant(peer, pl_span_text("main"), false));
    assert_ok(pl_peering_approve(w.a.node, peer, "main read"));
    drop_connection(&w);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_false(peer->grants[0].may_write);
    world_close(&w);
}

static void joining_a_peer_that_was_revoked_here_gives_back_no_old_grant(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    struct pl_peer *peer = w.b.node->peers.table[0];
    assert_ok(pl_peer_grant(peer, pl_span_text("private"), true));
    assert_ok(pl_peering_revoke(w.b.node, peer));
    world_step(&w);
    invite_from_a(&w, "other", url);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_PEER_ACTIVE, peer->state);
    assert_int_equal(1, peer->grant_count);
    assert_string_equal("other", peer->grants[0].name_space);
    world_close(&w);
}

/* Puts the copy of a store that was made before in the place of the one a node has now. */
static void restore_a(struct world *w, const char *copy)
{
    if (w->a.conn != 0)
        drop_connection(w);
    pl_node_stop(w->a.node, w->now);
    world_step(w);
    pl_node_free(w->a.node);
    parley_db_close(w->a.db);
    w->a.store = copy;
    side_open(w, &w->a);
}

static void a_revocation_survives_the_restore_of_an_older_store(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    env_mem_copy(&w.env, "a", "a-old");
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    world_step(&w);
    restore_a(&w, "a-old");
    world_step(&w);
    assert_int_equal(PL_PEER_REVOKED, w.a.node->peers.table[0]->state);
    write_many(&w, &w.b, "late", 3);
    for (int i = 0; i < 5; i++)
        world_pass(&w, 60 * PARLEY_NS_PER_S);
    assert_int_equal(0, db_util_root(w.a.db).count);
    /* Let in again on purpose, it stays in: the ledger's line is older than that. */
    world_join(&w);
    side_kill(&w, &w.a, &w.b);
    assert_int_equal(PL_PEER_ACTIVE, w.a.node->peers.table[0]->state);
    world_close(&w);
}

static void a_restored_store_brings_no_invite_back(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    invite_from_a(&w, "main", url);
    env_mem_copy(&w.env, "a", "a-old");
    restore_a(&w, "a-old");
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_int_equal(0, w.a.node->peers.count);
    world_close(&w);
}

static void a_revocation_beats_an_invite_that_was_made_before_it(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    invite_from_a(&w, "main", url);
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    world_step(&w);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_int_equal(PL_PEER_REVOKED, w.a.node->peers.table[0]->state);
    world_close(&w);
}

/* Else an invite of before would look newer than the revocation (tests/models/revoke.pml). */
static void a_revocation_beats_an_older_invite_also_when_the_clock_was_put_back(void **state)
{
    struct world w;
    char url[512];
    (void)state;
    world_open(&w, false, 100000);
    world_join(&w);
    world_settle(&w);
    world_pass(&w, 60 * PARLEY_NS_PER_S);
    invite_from_a(&w, "main", url);
    w.now.wall -= 3600 * PARLEY_US_PER_S;
    side_kill(&w, &w.a, &w.b);
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    world_step(&w);
    assert_ok(pl_node_join(w.b.node, pl_span_text(url), w.now, NULL));
    world_step(&w);
    assert_int_equal(PL_JOIN_FAILED, w.b.node->join.phase);
    assert_int_equal(PL_PEER_REVOKED, w.a.node->peers.table[0]->state);
    world_close(&w);
}

/* The polite end of a TLS connection waited for a peer that takes no bytes, for ever. */
static void a_revoked_peer_that_takes_no_bytes_is_cut_within_a_second(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    world_join(&w);
    world_settle(&w);
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    for (int i = 0; i < 10; i++) {
        w.now.mono += 100 * PARLEY_NS_PER_MS;
        pl_node_tick(w.a.node, w.now);
        world_effects(&w, &w.a, &w.b);
    }
    assert_int_equal(0, w.a.conn);
    assert_int_equal(0, pl_slab_next(&w.a.node->conns, 0));
    world_close(&w);
}

static void a_large_version_that_the_peer_may_not_write_takes_no_memory(void **state)
{
    struct world w;
    size_t len = 5 * PL_FRAME_BYTES_MAX;
    (void)state;
    world_open(&w, false, 3000);
    world_join(&w);
    world_settle(&w);
    assert_ok(pl_peer_grant(w.a.node->peers.table[0], pl_span_text("main"), false));
    uint8_t *content = malloc(len);
    memset(content, 'x', len);
    size_t before = w.a.node->buffered_bytes;
    uint8_t *body = malloc(len + 64);
    struct pl_writer out = pl_writer_over(body, len + 64);
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_of(content, len) };
    pl_message_encode(&out, &message);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text("big"),
                                               .id = pl_span_text("m1"),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .origin = pl_span_text("x"),
                                               .body = pl_writer_span(&out) };
    bool changed = false;
    assert_ok(parley_db_apply(w.b.db, &write, 1, w.now.wall, &changed));
    w.b.node->state_fresh = false;
    uint64_t sent = w.b.node->peers.table[0]->versions_out;
    for (int i = 0; i < 20; i++) {
        world_pass(&w, PARLEY_NS_PER_S);
        assert_int_equal(before, w.a.node->buffered_bytes);
    }
    assert_int_equal(sent + 1, w.b.node->peers.table[0]->versions_out);
    /* As it was sent; a comparison, when the roots turn out to differ, does not ask for it. */
    assert_int_equal(1, w.a.node->peers.table[0]->writes_refused);
    assert_int_equal(0, db_util_root(w.a.db).count);
    write_many(&w, &w.a, "still-open", 3); /* the other direction goes on */
    world_pass(&w, PARLEY_NS_PER_S);
    assert_int_equal(4, db_util_root(w.b.db).count);
    free(content);
    free(body);
    world_close(&w);
}

/* The connection is lost; b dials again. Returns whether TLS was resumed, as both say. */
static bool reconnect(struct world *w)
{
    pl_node_closed(w->a.node, w->a.conn, w->now);
    pl_node_closed(w->b.node, w->b.conn, w->now);
    w->a.conn = 0;
    w->b.conn = 0;
    world_settle(w);
    bool resumed = pl_tls_is_resumed(pl_node_conn_find(w->b.node, w->b.conn)->tls);
    assert_int_equal(resumed, pl_tls_is_resumed(pl_node_conn_find(w->a.node, w->a.conn)->tls));
    return resumed;
}

static void a_lost_connection_is_resumed_and_a_restart_begins_anew(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    world_join(&w);
    world_settle(&w);
    assert_true(reconnect(&w));
    assert_true(reconnect(&w));
    side_kill(&w, &w.a, &w.b);
    w.b.conn = 0;
    world_settle(&w);
    assert_false(pl_tls_is_resumed(pl_node_conn_find(w.b.node, w.b.conn)->tls));
    assert_true(reconnect(&w));
    /* So long a silence ends the session; it is dialed again at once, from the beginning. */
    world_pass(&w, PL_TLS_SESSION_NS_MAX + PARLEY_NS_PER_S);
    world_settle(&w);
    assert_false(pl_tls_is_resumed(pl_node_conn_find(w.b.node, w.b.conn)->tls));
    write_many(&w, &w.b, "x", 3);
    world_settle(&w);
    assert_equal_roots(&w, 3);
    world_close(&w);
}

static void a_credential_is_renewed_while_the_node_runs(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    world_join(&w);
    world_settle(&w);
    struct pl_tls_credential first = w.a.node->tls_credential;
    for (int day = 0; day < 61; day++) {
        w.now.mono += INT64_C(86400) * PARLEY_NS_PER_S;
        w.now.wall += INT64_C(86400) * PARLEY_US_PER_S;
        world_pass(&w, 5 * PARLEY_NS_PER_S);
    }
    const struct pl_tls_credential *now = &w.a.node->tls_credential;
    assert_memory_not_equal(first.public_key, now->public_key, PL_EC_PUBLIC_BYTES);
    assert_true(now->not_after > first.not_after);
    assert_false(pl_tls_credential_is_due(now, w.now.wall));
    world_settle(&w);
    /* What was agreed under the old key is gone; peers begin anew, and resume again after. */
    assert_true(reconnect(&w));
    assert_ok(pl_credential_renew(w.a.node));
    assert_false(reconnect(&w));
    assert_true(reconnect(&w));
    world_close(&w);
}

static void a_credential_from_a_wrong_clock_is_renewed_when_the_clock_is_right(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    struct pl_tls_credential first = w.a.node->tls_credential;
    w.now.wall -= INT64_C(86400) * 400 * PARLEY_US_PER_S;
    w.now.mono += 10 * PARLEY_NS_PER_S;
    pl_node_tick(w.a.node, w.now);
    assert_true(w.a.node->tls_credential.not_after < first.not_after);
    assert_memory_not_equal(first.public_key, w.a.node->tls_credential.public_key,
                            PL_EC_PUBLIC_BYTES);
    world_step(&w);
    world_close(&w);
}

static bool has_sessions(const struct side *s, struct pl_tls_session session, parley_time mono)
{
    struct pl_tls *server = NULL;
    struct pl_tls *client = NULL;
    struct parley_now now = { .mono = mono, .wall = s->node->now.wall };
    assert_ok(pl_tls_open_server(s->node->env, s->node->tls_profile, &s->node->tls_credential, NULL,
                                 mono, &server));
    assert_ok(pl_tls_open_client(s->node->env, s->node->tls_profile, &session, now, &client));
    for (bool moved = true; moved;) {
        struct pl_tls *ends[3] = { client, server, client };
        moved = false;
        for (size_t i = 0; i < 2; i++) {
            size_t have = 0;
            size_t room = 0;
            const uint8_t *from = pl_tls_send_buf(ends[i], &have);
            uint8_t *to = pl_tls_recv_buf(ends[i + 1], &room);
            size_t len = from == NULL || to == NULL ? 0 : pl_min_size(have, room);
            if (len == 0)
                continue;
            memcpy(to, from, len);
            pl_tls_send_ack(ends[i], len);
            pl_tls_recv_ack(ends[i + 1], len);
            moved = true;
        }
    }
    bool resumed = pl_tls_is_ready(server) && pl_tls_is_resumed(server);
    pl_tls_close(client);
    pl_tls_close(server);
    return resumed;
}

static void revocation_forgets_what_could_be_resumed(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, true, 100000);
    world_join(&w);
    world_settle(&w);
    struct pl_peer *a_of_b = w.b.node->peers.table[0];
    struct pl_tls_session session = a_of_b->tls_session;
    assert_true(session.is_set);
    assert_true(has_sessions(&w.a, session, w.now.mono));
    assert_ok(pl_peering_revoke(w.a.node, w.a.node->peers.table[0]));
    assert_false(has_sessions(&w.a, session, w.now.mono));
    world_step(&w);
    assert_ok(pl_peering_revoke(w.b.node, a_of_b));
    assert_false(a_of_b->tls_session.is_set);
    world_step(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_sync_both_ways_over_plain_bytes),
        cmocka_unit_test(nodes_sync_when_bytes_come_seven_at_a_time),
        cmocka_unit_test(nodes_sync_both_ways_over_tls),
        cmocka_unit_test(join_shows_the_same_six_digits_on_both_sides),
        cmocka_unit_test(an_invite_works_once),
        cmocka_unit_test(a_join_is_refused_before_anything_is_signed_when_no_invite_is_open),
        cmocka_unit_test(an_invite_begins_no_more_joins_than_its_limit),
        cmocka_unit_test(a_restart_keeps_identity_peers_and_cursors),
        cmocka_unit_test(a_resync_of_equal_nodes_writes_nothing),
        cmocka_unit_test(a_wiped_cursor_is_repaired_by_a_comparison),
        cmocka_unit_test(a_version_larger_than_a_frame_arrives_whole),
        cmocka_unit_test(revocation_cuts_the_session_and_keeps_the_peer_out),
        cmocka_unit_test(a_revoked_peer_comes_back_by_a_fresh_invite_with_what_that_grants),
        cmocka_unit_test(a_used_invite_does_not_give_back_a_right_that_was_narrowed),
        cmocka_unit_test(joining_a_peer_that_was_revoked_here_gives_back_no_old_grant),
        cmocka_unit_test(a_revocation_survives_the_restore_of_an_older_store),
        cmocka_unit_test(a_restored_store_brings_no_invite_back),
        cmocka_unit_test(a_revocation_beats_an_invite_that_was_made_before_it),
        cmocka_unit_test(a_revocation_beats_an_older_invite_also_when_the_clock_was_put_back),
        cmocka_unit_test(a_revoked_peer_that_takes_no_bytes_is_cut_within_a_second),
        cmocka_unit_test(a_large_version_that_the_peer_may_not_write_takes_no_memory),
        cmocka_unit_test(a_lost_connection_is_resumed_and_a_restart_begins_anew),
        cmocka_unit_test(a_credential_is_renewed_while_the_node_runs),
        cmocka_unit_test(a_credential_from_a_wrong_clock_is_renewed_when_the_clock_is_right),
        cmocka_unit_test(revocation_forgets_what_could_be_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
