/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that has nothing joins one that has much: what it gets first, what it gets in all, and
 * what a cut costs.
 */
#include "lib/node_pair.h"

#include "base/rng.h"
#include "core/digest.h"
#include "core/message.h"
#include "sync/copy.h"
#include "sync/descent.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX 2000
#define BODY_MAX  (PL_FRAME_BYTES_MAX + 2048u)
/* Contents, so that a copy is of many frames. */
#define SHORT PL_LIMIT(3000u, 40u)
#define LONG  PL_LIMIT(6000u, 400u)

/* One version of a, as it was before the copy. */
struct item {
    char space[8], talk[16], id[16];
    enum parley_kind kind;
    uint64_t time;
    /* When it is due: the greatest time of its conversation, or its own time where conversations do
     * not leave whole. */
    uint64_t due;
    uint64_t number; /* of the conversation */
};

struct rig {
    struct world w;
    struct pl_rng rng;
    struct item items[ITEMS_MAX];
    size_t count;
    parley_seq checked; /* head of b at the last check */
    unsigned serial;    /* of writes meanwhile */
    uint8_t body[BODY_MAX + 256];
    char text[BODY_MAX];
};

/* Little data must take many frames and ranges. */
static void needs_tiny_limits(void)
{
    if (PL_LIMIT(0, 1) == 0)
        skip();
}

static void put(struct side *s, const struct parley_version *version, parley_wall now)
{
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .u.version = *version };
    bool changed = false;
    assert_ok(parley_db_apply(s->db, &write, 1, now, &changed));
    s->node->state_fresh = false;
}

static struct parley_version make_version(struct rig *r, const char *space, const char *talk,
                                          const char *id, uint64_t time, size_t len)
{
    struct pl_writer w = pl_writer_over(r->body, sizeof r->body);
    for (size_t i = 0; i < len; i++)
        r->text[i] = (char)('a' + pl_rng_below(&r->rng, 26));
    struct pl_message message = { .role = pl_span_text("user"),
                                  .content = pl_span_of(r->text, len) };
    pl_message_encode(&w, &message);
    return (struct parley_version){ .name_space = pl_span_text(space),
                                    .conversation = pl_span_text(talk),
                                    .id = pl_span_text(id),
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .time = time,
                                    .origin = time == 0 ? pl_span_text("") : pl_span_text("ann"),
                                    .body = pl_writer_span(&w) };
}

static void set_due(struct rig *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct item *item = &r->items[i];
        item->due = item->time;
        for (size_t k = 0; item->number < PL_COPY_TALKS_MAX && k < r->count; k++) {
            if (r->items[k].number == item->number)
                item->due = pl_max_u64(item->due, r->items[k].time);
        }
    }
}

static void keep_text(char *out, size_t size, struct parley_span text)
{
    snprintf(out, size, "%.*s", (int)text.len, (const char *)text.ptr);
}

static void list_items(struct rig *r)
{
    struct parley_read *read = NULL;
    struct parley_feed feed;
    assert_ok(parley_read_begin(r->w.a.db, &read));
    assert_ok(parley_feed_begin(read, 0, &feed));
    r->count = 0;
    for (bool found = true;;) {
        struct parley_change change;
        assert_ok(parley_feed_next(&feed, &change, &found));
        if (!found)
            break;
        struct item *item = &r->items[r->count++];
        const struct parley_version *v = &change.version;
        *item = (struct item){ .kind = v->kind, .time = v->time };
        keep_text(item->space, sizeof item->space, v->name_space);
        keep_text(item->talk, sizeof item->talk, v->conversation);
        keep_text(item->id, sizeof item->id, v->id);
        assert_ok(parley_read_change_conversation(read, change.seq, &item->number, &found));
    }
    parley_read_end(read);
    set_due(r);
}

/* Fills a: `count` versions of the past in `talks` conversations, written in another order than
 * that of their times, no two of which are the same; one in ten a title or a deletion. */
static void fill(struct rig *r, const char *space, unsigned talks, unsigned count, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        static const uint8_t title[] = { 0xa1, 't' };
        char talk[16], id[16];
        uint64_t age = (uint64_t)((i * 7919) % count) * 2 + (space[0] == 't' ? 1 : 0);
        uint64_t time = (uint64_t)r->w.now.wall - UINT64_C(1000000000) + age * 1000;
        snprintf(talk, sizeof talk, "%s-%u", space, (unsigned)pl_rng_below(&r->rng, talks));
        snprintf(id, sizeof id, "m%u", i);
        struct parley_version v = make_version(r, space, talk, id, time, len);
        if (i % 20 == 7) {
            v.kind = PARLEY_KIND_HEADER;
            v.id = pl_span_text("title");
            v.body = pl_span_of(title, sizeof title);
        } else if (i % 20 == 17) {
            v.flags = PARLEY_FLAG_TOMBSTONE;
            v.body = pl_span_of(NULL, 0);
        }
        put(&r->w.a, &v, r->w.now.wall);
    }
}

static struct rig *rig_open(uint64_t seed)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    pl_rng_init(&r->rng, seed);
    world_open(&r->w, false, 100000);
    return r;
}

static void rig_close(struct rig *r)
{
    world_close(&r->w);
    free(r);
}

static bool has(struct parley_read *read, const struct item *item)
{
    struct parley_conversation_info info;
    struct parley_version v;
    bool found = false;
    assert_ok(parley_read_conversation(read, pl_span_text(item->space), pl_span_text(item->talk),
                                       &info, &found));
    if (!found)
        return false;
    assert_ok(
        parley_read_register(read, info.number, item->kind, pl_span_text(item->id), &v, &found));
    return found && v.time == item->time;
}

/* What b has is due before everything that it lacks; only one conversation may be in between. How
 * many it has. */
static size_t check_order(struct rig *r)
{
    struct parley_read *read = NULL;
    uint64_t oldest = UINT64_MAX;
    uint64_t missing = 0;
    size_t count = 0;
    assert_ok(parley_read_begin(r->w.b.db, &read));
    for (size_t i = 0; i < r->count; i++) {
        bool there = has(read, &r->items[i]);
        count += there ? 1 : 0;
        if (there)
            oldest = pl_min_u64(oldest, r->items[i].due);
        else
            missing = pl_max_u64(missing, r->items[i].due);
    }
    parley_read_end(read);
    if (missing > oldest)
        fail_msg("%u of %u are there, and one is missing that is newer by %u ms", (unsigned)count,
                 (unsigned)r->count, (unsigned)((missing - oldest) / 1000));
    return count;
}

static struct parley_db_state state_of(const struct side *s)
{
    struct parley_db_state state;
    struct parley_read *read = NULL;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_state(read, &state));
    parley_read_end(read);
    return state;
}

static struct pl_peer *peer_of(const struct side *s)
{
    return s->node->peers.table[0];
}

static struct parley_root root_of(const struct side *s, const char *space)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info;
    bool found = false;
    assert_ok(parley_read_begin(s->db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text(space), &info, &found));
    parley_read_end(read);
    return found ? info.root : (struct parley_root){ 0 };
}

static void expect_equal(struct rig *r, const char *space)
{
    struct parley_root a = root_of(&r->w.a, space);
    struct parley_root b = root_of(&r->w.b, space);
    if (!pl_root_equal(&a, &b))
        fail_msg("%s: %u and %u versions", space, (unsigned)a.count, (unsigned)b.count);
}

/* Moves at most `bytes`; lets a little time pass when none did. */
static void step(struct rig *r, uint64_t bytes)
{
    uint64_t before = r->w.wire_bytes;
    r->w.wire_max = before + bytes;
    world_step(&r->w);
    if (r->w.wire_bytes == before)
        world_pass(&r->w, 200 * PARLEY_NS_PER_MS);
}

static bool is_copying(const struct rig *r)
{
    const struct pl_connection *conn = pl_node_conn_find(r->w.a.node, r->w.a.conn);
    return r->w.a.conn != 0 && conn != NULL && conn->round != NULL && conn->round->copy != NULL;
}

/* Connects, if they are not, and goes on until a copies. */
static void begin_copy(struct rig *r)
{
    r->w.apart = false;
    for (int i = 0; i < 2000 && !is_copying(r); i++)
        step(r, 64);
    assert_true(is_copying(r));
}

/* Both nodes know each other and have met; a has nothing yet, they are apart. */
static void meet(struct rig *r)
{
    world_join(&r->w);
    world_settle(&r->w);
    world_part(&r->w);
}

/* What the copy leaves out would be found by a comparison, later. */
static void expect_no_repairs(struct rig *r)
{
    assert_int_equal(0, peer_of(&r->w.a)->repairs);
    assert_int_equal(0, peer_of(&r->w.b)->repairs);
}

static void copy_to_the_end(struct rig *r, uint64_t bytes)
{
    begin_copy(r);
    for (int i = 0; i < 20000 && !pl_node_in_sync(r->w.b.node); i++) {
        parley_seq head;
        step(r, 1 + pl_rng_below(&r->rng, bytes));
        head = state_of(&r->w.b).head;
        if (head != r->checked)
            check_order(r);
        r->checked = head;
    }
    r->w.wire_max = 0;
    world_settle(&r->w);
    expect_no_repairs(r);
}

static void copy_brings_whole_conversations_the_newest_first(void **state)
{
    (void)state;
    struct rig *r = rig_open(1);
    meet(r);
    fill(r, "main", PL_COPY_TALKS_MAX - 1, 500, SHORT);
    list_items(r);
    copy_to_the_end(r, 300);
    assert_int_equal(r->count, check_order(r));
    assert_int_equal(r->count, peer_of(&r->w.b)->versions_in);
    expect_equal(r, "main");
    rig_close(r);
}

/* Two namespaces are one to the user: what is newest in both comes first. A third is not shared. */
static void copy_goes_through_all_shared_namespaces_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_open(2);
    meet(r);
    assert_ok(pl_peer_grant(peer_of(&r->w.a), pl_span_text("team"), true));
    assert_ok(pl_peer_grant(peer_of(&r->w.b), pl_span_text("team"), true));
    fill(r, "main", 6, 200, SHORT);
    fill(r, "team", 6, 200, SHORT);
    list_items(r);
    fill(r, "own", 3, 20, SHORT);
    copy_to_the_end(r, 300);
    assert_int_equal(r->count, check_order(r));
    expect_equal(r, "main");
    expect_equal(r, "team");
    assert_int_equal(0, root_of(&r->w.b, "own").count);
    rig_close(r);
}

/* Only so many conversations are remembered as sent; of the others versions come one by one. */
static void copy_sends_what_the_bitmap_does_not_hold_one_by_one(void **state)
{
    (void)state;
    struct rig *r = rig_open(3);
    meet(r);
    fill(r, "main", 3 * PL_COPY_TALKS_MAX, 400, 1500);
    list_items(r);
    copy_to_the_end(r, 3000);
    assert_int_equal(r->count, check_order(r));
    assert_int_equal(r->count, peer_of(&r->w.b)->versions_in);
    expect_equal(r, "main");
    rig_close(r);
}

static void copy_sends_large_versions_in_their_place(void **state)
{
    (void)state;
    struct rig *r = rig_open(4);
    meet(r);
    fill(r, "main", 8, 60, SHORT);
    for (unsigned i = 0; i < 4; i++) {
        char id[16], talk[16];
        uint64_t time = (uint64_t)r->w.now.wall - UINT64_C(999990500) + i * 20000;
        snprintf(id, sizeof id, "large-%u", i);
        snprintf(talk, sizeof talk, "main-%u", i * 2);
        struct parley_version v =
            make_version(r, "main", talk, id, time, PL_FRAME_BYTES_MAX + 1000u);
        put(&r->w.a, &v, r->w.now.wall);
    }
    list_items(r);
    copy_to_the_end(r, 4000);
    assert_int_equal(r->count, check_order(r));
    expect_equal(r, "main");
    rig_close(r);
}

/* An edit, a new message, a deletion of either or of a whole conversation, on either side. */
static void write_meanwhile(struct rig *r)
{
    const struct item *item = &r->items[pl_rng_below(&r->rng, r->count)];
    struct side *s = pl_rng_below(&r->rng, 4) == 0 ? &r->w.b : &r->w.a;
    char id[16];
    snprintf(id, sizeof id, "w%u", r->serial++);
    bool edit = pl_rng_below(&r->rng, 3) != 0 && item->kind == PARLEY_KIND_MESSAGE;
    struct parley_version v = make_version(r, item->space, item->talk, edit ? item->id : id, 0, 40);
    unsigned kind = (unsigned)pl_rng_below(&r->rng, 16);
    if (kind < 3) {
        v.flags = PARLEY_FLAG_TOMBSTONE;
        v.body = pl_span_of(NULL, 0);
    }
    if (kind == 0) {
        v.kind = PARLEY_KIND_CONVERSATION;
        v.id = pl_span_of(NULL, 0);
    }
    put(s, &v, r->w.now.wall);
}

static void copy_is_enough_while_both_sides_write(void **state)
{
    (void)state;
    needs_tiny_limits();
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig *r = rig_open(seed);
        meet(r);
        fill(r, "main", 1 + (unsigned)pl_rng_below(&r->rng, 2 * PL_COPY_TALKS_MAX),
             50 + (unsigned)pl_rng_below(&r->rng, 500), 1 + (size_t)pl_rng_below(&r->rng, 300));
        list_items(r);
        begin_copy(r);
        for (int i = 0; i < 60; i++) {
            step(r, 1 + pl_rng_below(&r->rng, 4000));
            write_meanwhile(r);
        }
        r->w.wire_max = 0;
        for (int i = 0; i < 3; i++) /* nobody told the nodes of the last writes */
            world_pass(&r->w, 11 * PARLEY_NS_PER_S);
        world_settle(&r->w);
        expect_equal(r, "main");
        expect_no_repairs(r);
        rig_close(r);
    }
}

/* What is written meanwhile goes at once, and once, by the log; but a cursor that passed over it
 * would pass over what is still to be copied. */
static void copy_gives_no_cursor_before_its_end(void **state)
{
    (void)state;
    struct rig *r = rig_open(5);
    unsigned live = 0;
    meet(r);
    fill(r, "main", PL_COPY_TALKS_MAX - 1, 800, LONG);
    list_items(r);
    begin_copy(r);
    const struct pl_peer *peer = peer_of(&r->w.b);
    for (int i = 0; i < 2000 && is_copying(r); i++) {
        char id[16], talk[16];
        snprintf(id, sizeof id, "live-%u", r->serial++);
        snprintf(talk, sizeof talk, "main-%u", r->serial % (PL_COPY_TALKS_MAX - 1));
        struct parley_version v = make_version(r, "main", talk, id, 0, 40);
        put(&r->w.a, &v, r->w.now.wall);
        world_pass(&r->w, PARLEY_NS_PER_MS);
        step(r, 3000);
        if (is_copying(r))
            assert_int_equal(0, peer->applied);
        live = (unsigned)pl_max_u64(live, peer->versions_in - check_order(r));
    }
    assert_in_range(r->serial, 20, 1999);
    assert_in_range(live, 5, r->serial); /* long before the end */
    r->w.wire_max = 0;
    for (int i = 0; i < 3; i++)
        world_pass(&r->w, 11 * PARLEY_NS_PER_S);
    world_settle(&r->w);
    expect_equal(r, "main");
    expect_no_repairs(r);
    assert_int_equal(r->count + r->serial, peer->versions_in);
    rig_close(r);
}

/* Bytes of a copy of this data that nothing disturbs. */
static uint64_t copy_undisturbed(uint64_t seed)
{
    struct rig *r = rig_open(seed);
    meet(r);
    fill(r, "main", PL_COPY_TALKS_MAX - 1, 800, LONG);
    begin_copy(r);
    uint64_t from = r->w.wire_bytes;
    r->w.wire_max = 0;
    world_settle(&r->w);
    uint64_t bytes = r->w.wire_bytes - from;
    rig_close(r);
    return bytes;
}

static void note_what_is_there(struct rig *r, bool *there)
{
    struct parley_read *read = NULL;
    assert_ok(parley_read_begin(r->w.b.db, &read));
    for (size_t i = 0; i < r->count; i++)
        there[i] = has(read, &r->items[i]);
    parley_read_end(read);
}

/* Of what came since `before`, newest first: all but two leaves are newer than what is missing. A
 * range that needs fewer questions than a newer one is sent meanwhile. */
static void check_order_since(struct rig *r, const bool *before)
{
    bool there[ITEMS_MAX];
    uint64_t oldest = UINT64_MAX;
    unsigned newer = 0;
    note_what_is_there(r, there);
    for (size_t i = 0; i < r->count; i++) {
        if (there[i] && !before[i])
            oldest = pl_min_u64(oldest, r->items[i].time);
    }
    for (size_t i = 0; i < r->count; i++)
        newer += !there[i] && r->items[i].time > oldest ? 1 : 0;
    assert_in_range(newer, 0, 2 * PL_LEAF_WIDE_MAX);
}

/* A session of a few frames, and a cut. */
static void copy_a_little(struct rig *r)
{
    r->w.wire_max = r->w.wire_bytes + PL_FRAME_BYTES_MAX + 4000 + pl_rng_below(&r->rng, 20000);
    r->w.apart = false;
    for (int i = 0; i < 200 && r->w.wire_bytes < r->w.wire_max; i++) {
        world_pass(&r->w, 500 * PARLEY_NS_PER_MS);
        if (pl_node_in_sync(r->w.b.node))
            return;
    }
    world_part(&r->w);
}

/* What came before a cut is never sent again. */
static void copy_that_is_cut_goes_on_where_it_was(void **state)
{
    (void)state;
    needs_tiny_limits();
    struct rig *r = rig_open(6);
    bool first[ITEMS_MAX];
    unsigned cuts = 0;
    meet(r);
    fill(r, "main", PL_COPY_TALKS_MAX - 1, 800, LONG);
    list_items(r);
    begin_copy(r);
    uint64_t from = r->w.wire_bytes;
    for (; !pl_node_in_sync(r->w.b.node) && cuts < 40; cuts++) {
        copy_a_little(r);
        if (cuts == 0) {
            assert_in_range(check_order(r), 1, r->count / 2);
            note_what_is_there(r, first);
        }
        check_order_since(r, first);
    }
    r->w.wire_max = 0;
    world_settle(&r->w);
    assert_in_range(cuts, 5, 39);
    expect_equal(r, "main");
    assert_int_equal(r->count, peer_of(&r->w.b)->versions_in);
    /* To begin anew each time would take half of the cuts times as much. */
    assert_in_range(r->w.wire_bytes - from, 1, 2 * copy_undisturbed(6));
    rig_close(r);
}

static void copy_tells_how_far_it_is(void **state)
{
    (void)state;
    needs_tiny_limits();
    struct rig *r = rig_open(7);
    meet(r);
    fill(r, "main", 8, 400, LONG);
    list_items(r);
    begin_copy(r);
    const struct pl_peer *peer = peer_of(&r->w.a);
    uint64_t last = peer->copied;
    assert_int_equal(r->count, peer->to_copy);
    for (int i = 0; i < 2000 && is_copying(r); i++) {
        step(r, 2000);
        assert_in_range(peer->copied, last, r->count);
        last = peer->copied;
    }
    assert_int_equal(r->count, last);
    r->w.wire_max = 0;
    world_settle(&r->w);
    assert_int_equal(0, peer->to_copy);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_brings_whole_conversations_the_newest_first),
        cmocka_unit_test(copy_goes_through_all_shared_namespaces_at_once),
        cmocka_unit_test(copy_sends_what_the_bitmap_does_not_hold_one_by_one),
        cmocka_unit_test(copy_sends_large_versions_in_their_place),
        cmocka_unit_test(copy_is_enough_while_both_sides_write),
        cmocka_unit_test(copy_gives_no_cursor_before_its_end),
        cmocka_unit_test(copy_that_is_cut_goes_on_where_it_was),
        cmocka_unit_test(copy_tells_how_far_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
