/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles over HTTP: what GET makes of the log, block after block, and what POST takes from whom.
 */
#include "lib/auth_fixture.h"
#include "lib/db_util.h"

#include "core/hash.h"
#include "node/bundle.h"
#include "sync/change.h"
#include "sync/round.h"

#define BLOCK_MAX 65536u

/* One block; `edit` changes the bytes of its array before it is signed, `cut` what is sent. */
struct block {
    struct pl_bundle bundle;
    struct pl_change_state state;
    uint8_t versions[BLOCK_MAX / 2];
    struct pl_writer w;
    uint8_t bytes[BLOCK_MAX];
    size_t len;
};

static struct block *block_of(struct fixture *f)
{
    struct block *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->w = pl_writer_over(b->versions, sizeof b->versions);
    b->bundle.maker = pl_span_text(f->peer_id);
    b->bundle.name_space = pl_span_text("main");
    b->bundle.incarnation.bytes[0] = 7;
    return b;
}

static void block_add(struct block *b, struct parley_version v)
{
    assert_true(pl_change_write(&b->w, &b->state, &v));
    b->bundle.upto++;
    b->bundle.head++;
}

static void block_sign(struct block *b, const struct pl_identity *signer)
{
    struct pl_writer w = pl_writer_over(b->bytes, sizeof b->bytes);
    b->bundle.versions = pl_writer_span(&b->w);
    assert_ok(pl_bundle_write(&w, &b->bundle, signer));
    b->len = w.len;
}

static void block_begin_post(struct fixture *f, const struct block *b)
{
    char head[512];
    int len = snprintf(head, sizeof head,
                       "POST /bundle HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                       NODE_CLIENT_ADMIN, b->len);
    node_client_connect(&f->c);
    node_client_send(&f->c, head, (size_t)len);
    node_client_send(&f->c, b->bytes, b->len);
    node_client_settle(&f->c);
}

static struct node_reply block_post(struct fixture *f, const struct block *b)
{
    block_begin_post(f, b);
    return node_client_take(&f->c, false);
}

/* Signs it as the peer and posts it. */
static struct node_reply block_send(struct fixture *f, struct block *b)
{
    block_sign(b, f->peer);
    return block_post(f, b);
}

static void make_friends(struct fixture *f)
{
    register_peer(f);
    approve(f, "{}");
}

static void write_here(struct fixture *f, const char *conversation, const char *id, uint64_t time)
{
    uint8_t body[80];
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION,
                              .u.version =
                                  db_util_message(conversation, id, time, "ann", id, body) };
    assert_ok(parley_db_apply(f->c.db, &w, 1, f->c.now.wall, NULL));
    f->c.node->state_fresh = false;
}

static bool has_here(struct fixture *f, const char *conversation)
{
    struct parley_read *read;
    struct parley_conversation_info info;
    bool found = false;
    assert_ok(parley_read_begin(f->c.db, &read));
    assert_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(conversation),
                                       &info, &found));
    parley_read_end(read);
    return found && info.messages != 0;
}

/* ---- GET ---- */

/* Proves a block of this node and counts its versions of conversation "c". */
static size_t count_versions(struct fixture *f, const struct node_reply *reply,
                             struct pl_bundle *out)
{
    uint8_t hash[32];
    struct parley_span signature;
    struct pl_change_state state = { .origin_count = 0 };
    struct parley_version v;
    size_t count = 0;
    bool found = true;
    assert_int_equal(200, reply->status);
    struct parley_span block = pl_span_of(reply->body, reply->body_len);
    assert_ok(pl_bundle_read(block, out, hash, &signature));
    assert_ok(pl_pubkey_verify(pl_identity_pubkey(f->c.node->identity), hash, signature));
    assert_true(pl_span_is(out->maker, us(f)) && pl_span_is(out->name_space, "main"));
    struct pl_reader r = pl_reader_over(out->versions);
    while (found) {
        assert_ok(pl_change_read(&r, &state, &v, &found));
        count += found && pl_span_is(v.conversation, "c");
    }
    return count;
}

/* The value of X-Parley-Next. False: the log is at its end. */
static bool next_place(const struct node_reply *reply, char out[64])
{
    const char *at = strstr(reply->head, "X-Parley-Next: ");
    if (at == NULL)
        return false;
    at += strlen("X-Parley-Next: ");
    size_t len = strcspn(at, "\r");
    assert_true(len < 64);
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

static void blocks_follow_each_other_until_all_is_told(void **state)
{
    struct fixture *f = *state;
    char target[128] = "/bundle";
    char place[64];
    char id[16];
    size_t count = 0, blocks = 0;
    parley_seq upto = 0;
    const size_t all = PL_ROUND_SCAN_MAX + 5;
    for (size_t i = 0; i < all; i++) {
        snprintf(id, sizeof id, "m%zu", i);
        write_here(f, "c", id, 100 + i);
    }
    for (bool more = true; more; blocks++) {
        struct pl_bundle bundle;
        struct node_reply reply = node_client_admin(&f->c, "GET", target, NULL);
        count += count_versions(f, &reply, &bundle);
        assert_int_equal(upto, bundle.since);
        upto = bundle.upto;
        more = next_place(&reply, place);
        assert_int_equal(more, upto < bundle.head);
        snprintf(target, sizeof target, "/bundle?since=%s", place);
    }
    assert_int_equal(all, count);
    assert_int_equal(2, blocks);
}

/* Versions of other namespaces are passed by; origins beyond a block's table begin the next one. */
static void a_block_is_of_one_namespace_and_ends_where_its_table_of_origins_does(void **state)
{
    struct fixture *f = *state;
    struct pl_bundle bundle;
    char origin[16], place[64], target[128];
    uint8_t body[80];
    for (size_t i = 0; i <= PL_CHANGE_ORIGINS_MAX; i++) {
        snprintf(origin, sizeof origin, "origin%zu", i);
        struct parley_write w = { .kind = PARLEY_WRITE_VERSION };
        w.u.version = db_util_message("c", origin, 100 + i, origin, "x", body);
        assert_ok(parley_db_apply(f->c.db, &w, 1, f->c.now.wall, NULL));
        w.u.version = db_util_message("c", origin, 100 + i, "ann", "x", body);
        w.u.version.name_space = pl_span_text("other");
        if (i < 2)
            assert_ok(parley_db_apply(f->c.db, &w, 1, f->c.now.wall, NULL));
    }
    f->c.node->state_fresh = false;
    size_t count = 0;
    snprintf(target, sizeof target, "/bundle");
    for (bool more = true; more;) {
        struct node_reply reply = node_client_admin(&f->c, "GET", target, NULL);
        size_t some = count_versions(f, &reply, &bundle);
        assert_true(some <= PL_CHANGE_ORIGINS_MAX);
        count += some;
        more = next_place(&reply, place);
        snprintf(target, sizeof target, "/bundle?since=%s", place);
    }
    assert_int_equal(PL_CHANGE_ORIGINS_MAX + 1, count);
}

static void a_place_of_another_log_makes_no_bundle(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "1",
                                       "12345678",
                                       "12345678:",
                                       "12345678x1",
                                       "12345678:1x",
                                       "12345678:-1",
                                       "12345678:1234567890123456789" };
    char target[128], hex[9];
    for (size_t i = 0; i < PL_ARRAY_LEN(bad); i++) {
        snprintf(target, sizeof target, "/bundle?since=%s", bad[i]);
        node_client_expect(node_client_admin(&f->c, "GET", target, NULL), 400, "bad-query");
    }
    struct parley_incarnation own = db_util_state(f->c.db).incarnation;
    pl_hex_encode(own.bytes, 4, hex);
    hex[8] = '\0';
    snprintf(target, sizeof target, "/bundle?since=%s:999999", hex);
    node_client_expect(node_client_admin(&f->c, "GET", target, NULL), 409, "another-incarnation");
    hex[0] = hex[0] == '0' ? '1' : '0';
    snprintf(target, sizeof target, "/bundle?since=%s:0", hex);
    node_client_expect(node_client_admin(&f->c, "GET", target, NULL), 409, "another-incarnation");
    node_client_expect(node_client_admin(&f->c, "GET", "/bundle?since=%zz", NULL), 400, NULL);
    node_client_expect(node_client_admin(&f->c, "GET", "/bundle?peer=%zz", NULL), 400, NULL);
}

static void a_bundle_for_a_peer_begins_where_it_has_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct pl_bundle bundle;
    char target[160];
    make_friends(f);
    write_here(f, "c", "m1", 100);
    write_here(f, "c", "m2", 110);
    snprintf(target, sizeof target, "/bundle?peer=%s", f->peer_id);
    struct node_reply reply = node_client_admin(&f->c, "GET", target, NULL);
    assert_int_equal(2, count_versions(f, &reply, &bundle));
    assert_int_equal(0, bundle.since);
    node_client_expect(node_client_admin(&f->c, "GET", "/bundle?peer=nobody", NULL), 404,
                       "no-such-peer");
}

/* ---- POST ---- */

static void a_block_says_what_became_of_each_version(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    make_friends(f);
    write_here(f, "old", "m1", 500);
    struct block *b = block_of(f);
    block_add(b, db_util_message("new", "m1", 100, "bob", "x", body));
    block_add(b, db_util_message("new", "m1", 200, "bob", "y", body));
    block_add(b, db_util_message("new", "m1", 200, "bob", "y", body));
    block_add(b, db_util_message("old", "m1", 400, "bob", "late", body));
    block_add(b, db_util_message("far", "m1", (uint64_t)f->c.now.wall * 2, "bob", "held", body));
    block_add(b, db_util_delete("gone", 300, "bob"));
    block_add(b, db_util_purge("never", 310, "bob"));
    struct node_reply reply = block_send(f, b);
    node_client_expect(reply, 200,
                       "\"versions\":7,\"versions_new\":4,\"known\":1,\"lost\":1,"
                       "\"held\":1,\"refused\":0,\"passed_over\":0}");
    assert_non_null(strstr(reply.body, f->peer_id));
    assert_non_null(strstr(reply.body, "\"since\":\"07000000:0\",\"upto\":\"07000000:7\""));
    assert_true(has_here(f, "new"));
    /* A second time there is nothing new in it. */
    node_client_expect(block_post(f, b), 200, "\"versions_new\":0");
    free(b);
    db_util_check(f->c.db);
}

/* More versions than a batch takes are several commits and one answer. */
static void a_block_of_several_batches_is_taken_whole(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    char id[16], wanted[64];
    const unsigned count = 40;
    make_friends(f);
    struct block *b = block_of(f);
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof id, "m%u", i);
        block_add(b, db_util_message("c", id, 100 + i, "bob", "x", body));
    }
    snprintf(wanted, sizeof wanted, "\"versions\":%u,\"versions_new\":%u,", count, count);
    node_client_expect(block_send(f, b), 200, wanted);
    free(b);
    db_util_check(f->c.db);
}

/* What its maker may not write is counted and not taken; likewise what the floor says is gone. */
static void a_block_brings_only_what_its_maker_may_write(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    struct parley_version v;
    make_friends(f);
    struct block *b = block_of(f);
    b->bundle.name_space = pl_span_text("other");
    v = db_util_message("c", "m1", 100, "bob", "x", body);
    v.name_space = pl_span_text("other");
    block_add(b, v);
    node_client_expect(block_send(f, b), 200,
                       "\"versions_new\":0,\"known\":0,\"lost\":0,"
                       "\"held\":0,\"refused\":1,");
    free(b);

    struct parley_write collect = {
        .kind = PARLEY_WRITE_COLLECT,
        .u.collect = { .name_space = pl_span_text("main"), .upto = 500, .raise = true }
    };
    assert_ok(parley_db_apply(f->c.db, &collect, 1, f->c.now.wall, NULL));
    f->c.node->state_fresh = false;
    b = block_of(f);
    block_add(b, db_util_message("below", "m1", 400, "bob", "x", body));
    block_add(b, db_util_message("above", "m1", 600, "bob", "x", body));
    node_client_expect(block_send(f, b), 200,
                       "\"versions_new\":1,\"known\":0,\"lost\":0,"
                       "\"held\":0,\"refused\":0,\"passed_over\":1");
    assert_false(has_here(f, "below"));
    assert_true(has_here(f, "above"));
    free(b);
}

static void a_block_that_is_changed_or_cut_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    make_friends(f);
    struct block *b = block_of(f);
    block_add(b, db_util_message("c", "m1", 100, "bob", "x", body));
    block_sign(b, f->peer);
    size_t whole = b->len;
    for (size_t at = 0; at < whole; at++) {
        b->bytes[at] ^= 0x55;
        struct node_reply reply = block_post(f, b);
        if (reply.status != 400 && reply.status != 403)
            fail_msg("%u for a changed byte %zu", reply.status, at);
        b->bytes[at] ^= 0x55;
    }
    for (b->len = 1; b->len < whole; b->len += 7)
        node_client_expect(block_post(f, b), 400, "bad-bundle");
    b->len = whole;
    b->bytes[b->len++] = 0;
    node_client_expect(block_post(f, b), 400, "bad-bundle");
    assert_false(has_here(f, "c"));
    b->len = whole;
    node_client_expect(block_post(f, b), 200, "\"versions_new\":1");
    free(b);
}

static void a_block_is_taken_only_from_an_active_peer_that_signed_it(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    char path[128];
    struct block *b = block_of(f);
    block_add(b, db_util_message("c", "m1", 100, "bob", "x", body));
    node_client_expect(block_send(f, b), 403, "unknown-maker");
    register_peer(f);
    node_client_expect(block_post(f, b), 403, "unknown-maker"); /* not approved yet */
    approve(f, "{}");
    block_sign(b, f->other);
    node_client_expect(block_post(f, b), 403, "bad-signature");
    node_client_expect(node_client_admin(&f->c, "GET", "/audit", NULL), 200, "bundle-signature");
    b->bundle.maker = pl_span_text(us(f));
    block_sign(b, f->c.node->identity);
    node_client_expect(block_post(f, b), 409, "own-bundle");
    b->bundle.maker = pl_span_text(f->peer_id);
    snprintf(path, sizeof path, "/peers/%s", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "DELETE", path, NULL), 200, NULL);
    node_client_expect(block_send(f, b), 403, "unknown-maker");
    assert_false(has_here(f, "c"));
    free(b);
}

/* The key before a rotation counts for its time of grace. */
static void a_block_of_before_a_rotation_counts_for_a_while(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    make_friends(f);
    struct pl_peer *peer = pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id));
    struct block *b = block_of(f);
    block_add(b, db_util_message("c", "m1", 100, "bob", "x", body));
    block_sign(b, f->peer);
    peer->previous = peer->key;
    peer->has_previous = true;
    peer->rotated_at = f->c.now.wall;
    peer->key = *pl_identity_pubkey(f->other);
    node_client_expect(block_post(f, b), 200, "\"versions_new\":1");
    peer->rotated_at = f->c.now.wall - PL_ROTATION_GRACE_US - 1;
    node_client_expect(block_post(f, b), 403, "bad-signature");
    free(b);
}

/* Signed, and yet not what a maker may sign: nothing of it is taken. */
static void a_signed_block_that_breaks_the_rules_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    struct parley_version v;
    make_friends(f);
    for (int i = 0; i < 5; i++) {
        struct block *b = block_of(f);
        v = db_util_message("c", "m1", 100, "bob", "x", body);
        if (i == 0)
            v.name_space = pl_span_text("other");
        block_add(b, v);
        if (i == 1)
            b->bundle.since = 2; /* beyond upto */
        if (i == 2)
            b->bundle.head = 0;
        if (i == 3)
            b->w.len--;
        if (i == 4)
            pl_write_u8(&b->w, 0xc1); /* no record begins so */
        node_client_expect(block_send(f, b), 400, "bad-bundle");
        assert_false(has_here(f, "c"));
        free(b);
    }
}

static void a_block_whose_commit_fails_may_be_sent_again(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    make_friends(f);
    struct block *b = block_of(f);
    block_add(b, db_util_message("c", "m1", 100, "bob", "x", body));
    block_sign(b, f->peer);
    f->c.hold_commits = true;
    block_begin_post(f, b);
    assert_true(f->c.has_held);
    f->c.has_held = false;
    pl_node_committed(f->c.node, PARLEY_ENOSPC, false, false, f->c.now);
    node_client_settle(&f->c);
    struct node_reply reply = node_client_take(&f->c, false);
    assert_true(reply.status >= 500);
    f->c.hold_commits = false;
    assert_false(has_here(f, "c"));
    free(b);
}

/* Its maker is revoked while the first of its batches is on its way to the disk. */
static void a_block_ends_where_its_maker_is_revoked(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    char id[16];
    make_friends(f);
    struct block *b = block_of(f);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "m%u", i);
        block_add(b, db_util_message("c", id, 100 + i, "bob", "x", body));
    }
    block_sign(b, f->peer);
    f->c.hold_commits = true;
    block_begin_post(f, b);
    assert_true(f->c.has_held);
    pl_peers_find(&f->c.node->peers, pl_span_text(f->peer_id))->state = PL_PEER_REVOKED;
    f->c.hold_commits = false;
    node_client_commit(&f->c);
    node_client_settle(&f->c);
    node_client_expect(node_client_take(&f->c, false), 403, "was revoked meanwhile");
    free(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_follow_each_other_until_all_is_told),
        TEST(a_block_is_of_one_namespace_and_ends_where_its_table_of_origins_does),
        TEST(a_place_of_another_log_makes_no_bundle),
        TEST(a_bundle_for_a_peer_begins_where_it_has_acknowledged),
        TEST(a_block_says_what_became_of_each_version),
        TEST(a_block_of_several_batches_is_taken_whole),
        TEST(a_block_brings_only_what_its_maker_may_write),
        TEST(a_block_that_is_changed_or_cut_is_refused),
        TEST(a_block_is_taken_only_from_an_active_peer_that_signed_it),
        TEST(a_block_of_before_a_rotation_counts_for_a_while),
        TEST(a_signed_block_that_breaks_the_rules_is_refused),
        TEST(a_block_whose_commit_fails_may_be_sent_again),
        TEST(a_block_ends_where_its_maker_is_revoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
