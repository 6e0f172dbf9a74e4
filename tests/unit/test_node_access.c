/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer gets and does in namespaces that it was not granted, over the native protocol. It may
 * read "main", write "team", and knows that there is a "secret".
 */
#define _GNU_SOURCE 1
#include "lib/node_rig.h"

#include "sync/state.h"

#define MAIN   "what all may read"
#define SECRET "what nobody may read"
#define NEWS   "news that went through another peer"
/* Long enough to be offered first. */
#define LONG(text)                                                                                 \
    text " .............................................................................."         \
         " .............................................................................."         \
         " .............................................................................."         \
         " ............................................................................."

static void put_from(struct rig *r, uint32_t source, const char *name_space,
                     const char *conversation, const char *content)
{
    uint8_t body[512];
    char id[32];
    struct pl_writer w = pl_writer_over(body, sizeof body);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .source = source };
    bool changed = false;
    pl_mp_write_array(&w, 2);
    pl_mp_write_text(&w, "user");
    pl_mp_write_text(&w, content);
    write.u.version = small_version(r, id);
    write.u.version.name_space = pl_span_text(name_space);
    write.u.version.conversation = pl_span_text(conversation);
    write.u.version.origin = pl_span_text("x");
    write.u.version.body = pl_writer_span(&w);
    assert_ok(parley_db_apply(r->db, &write, 1, r->now.wall, &changed));
    r->node->state_fresh = false;
}

static void put(struct rig *r, const char *name_space, const char *conversation,
                const char *content)
{
    put_from(r, 0, name_space, conversation, content);
}

static void open_world(struct rig *r)
{
    rig_open(r);
    assert_ok(pl_peer_grant(r->peer, pl_span_text("main"), false));
    assert_ok(pl_peer_grant(r->peer, pl_span_text("team"), true));
    put(r, "main", "talk", MAIN);
    put(r, "secret", "hidden", SECRET);
}

static struct parley_root root_of(struct rig *r, const char *name_space)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info;
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_read_namespace_named(read, pl_span_text(name_space), &info, &found));
    parley_read_end(read);
    return found ? info.root : (struct parley_root){ 0 };
}

/* A STATE that has nothing of the node's, and says this of `name_space`, under a filter. */
static void send_filtered_state(struct rig *r, const char *name_space,
                                const struct parley_root *root, uint64_t since, const char *prefix)
{
    struct pl_writer w = begin(r, PL_MSG_STATE, 200);
    struct pl_state state = {
        .wall = r->now.wall,
        .spaces = { { .name_space = pl_span_text(name_space),
                      .root = *root,
                      .since = since,
                      .prefix = pl_span_text(prefix) } },
        .space_count = 1,
    };
    pl_state_write(&w, &state);
    end(r, &w);
}

static void send_state(struct rig *r, const char *name_space, const struct parley_root *root)
{
    send_filtered_state(r, name_space, root, 0, "");
}

static bool heard(const struct rig *r, const void *bytes, size_t len)
{
    return r->heard_len != 0 && memmem(r->heard, r->heard_len, bytes, len) != NULL;
}

static bool heard_text(const struct rig *r, const char *text)
{
    return heard(r, text, strlen(text));
}

static void assert_nothing_of_secret(struct rig *r)
{
    struct parley_root root = root_of(r, "secret");
    assert_int_not_equal(0, root.count);
    assert_false(heard_text(r, SECRET));
    assert_false(heard_text(r, "secret"));
    assert_false(heard_text(r, "hidden"));
    assert_false(heard(r, root.sum, sizeof root.sum));
}

static uint64_t audited(const struct rig *r)
{
    const struct pl_audit *audit = &r->node->audit;
    for (size_t i = 0; i < audit->class_count; i++)
        if (strcmp(audit->classes[i].name, "write-not-granted") == 0)
            return audit->classes[i].total;
    return 0;
}

/* A frame with one version for each of these namespaces. */
static const char *const spaces[] = { "main", "secret", "team", "nowhere" };

static void send_mixed(struct rig *r, uint64_t seq)
{
    struct pl_writer w = begin(r, PL_MSG_CHANGES, 4000);
    struct pl_change_state state = { 0 };
    char id[PL_ARRAY_LEN(spaces)][32];
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), seq);
    for (size_t i = 0; i < PL_ARRAY_LEN(spaces); i++) {
        struct parley_version v = small_version(r, id[i]);
        v.name_space = pl_span_text(spaces[i]);
        assert_true(pl_change_write(&w, &state, &v));
    }
    end(r, &w);
}

static void offer_mixed(struct rig *r, uint64_t number)
{
    struct pl_query_walk walk;
    struct pl_writer w = begin_offer(r, number, &walk);
    for (size_t i = 0; i < PL_ARRAY_LEN(spaces); i++)
        put_offer(r, &w, &walk, spaces[i], 1);
    end(r, &w);
}

/* ---- Writing ---- */

static void changes_that_were_not_granted_are_dropped_and_counted(void **state)
{
    struct rig r;
    (void)state;
    open_world(&r);
    struct parley_root main_before = root_of(&r, "main");
    struct parley_root secret_before = root_of(&r, "secret");
    dial(&r);
    send_mixed(&r, 9);
    assert_true(r.open && !r.closed);
    assert_int_equal(9, r.acked); /* so that it does not come again and again */
    assert_int_equal(3, r.peer->writes_refused);
    assert_int_equal(3, audited(&r));
    assert_int_equal(1, root_of(&r, "team").count);
    assert_int_equal(0, root_of(&r, "nowhere").count);
    struct parley_root main_after = root_of(&r, "main");
    struct parley_root secret_after = root_of(&r, "secret");
    assert_memory_equal(&main_before, &main_after, sizeof main_after);
    assert_memory_equal(&secret_before, &secret_after, sizeof secret_after);
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

static void parts_that_were_not_granted_are_dropped_and_counted(void **state)
{
    struct rig r;
    (void)state;
    open_world(&r);
    dial(&r);
    send_part(&r, "main");
    send_part(&r, "secret");
    send_part(&r, "nowhere");
    assert_int_equal(3, r.peer->writes_refused);
    assert_int_equal(3, audited(&r));
    assert_int_equal(1, root_of(&r, "main").count);
    assert_int_equal(1, root_of(&r, "secret").count);
    assert_int_equal(0, r.node->buffered_bytes);
    send_part(&r, "team");
    assert_int_equal(1, root_of(&r, "team").count);
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

static void an_offer_of_what_was_not_granted_is_not_wanted_and_counted(void **state)
{
    struct rig r;
    (void)state;
    open_world(&r);
    dial(&r);
    offer_mixed(&r, 1);
    assert_int_equal(1, r.wants);
    assert_int_equal(1, r.wanted_len);
    assert_int_equal(4, r.wanted[0]); /* "team" alone */
    assert_int_equal(3, r.peer->writes_refused);
    assert_int_equal(1, audited(&r)); /* once for the frame */
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

/* The key of what is in "secret", with the salt of begin_offer. */
static void key_of_secret(struct rig *r, uint64_t *time, uint64_t *key)
{
    struct pl_salt salt = { { 1 } };
    struct parley_read *read = NULL;
    struct parley_elements elements;
    struct parley_element element;
    struct parley_point from = { { 0 } };
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_elements_begin(
        read, &(struct parley_set){ .name_space = pl_span_text("secret") }, &from, &elements));
    assert_ok(parley_elements_next(&elements, &element, &found));
    assert_true(found);
    parley_read_end(read);
    *time = pl_get_be(element.point.bytes, 8);
    *key = pl_query_key(&salt, element.point.bytes + 8);
}

/* Else a peer could ask what is in a namespace by offering guesses. */
static void an_answer_does_not_tell_whether_an_offer_is_known(void **state)
{
    struct rig r;
    (void)state;
    open_world(&r);
    dial(&r);
    for (uint64_t number = 1; number <= 2; number++) {
        struct pl_query_walk walk;
        struct pl_writer w = begin_offer(&r, number, &walk);
        struct pl_query_item item = { .kind = PL_QUERY_SPACE,
                                      .name_space = pl_span_text("secret") };
        pl_query_write(&w, &walk, &item);
        item.kind = PL_QUERY_HAVE;
        item.count = 1;
        key_of_secret(&r, &item.times[0], &item.keys[0]);
        item.keys[0] ^= number - 1; /* the second one is not there */
        pl_query_write(&w, &walk, &item);
        end(&r, &w);
        assert_int_equal(number, r.wants);
        assert_int_equal(0, r.wanted[0]);
    }
    rig_close(&r);
}

static void a_right_that_is_narrowed_holds_for_the_open_session(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    dial(&r);
    send_changes(&r, 5, 1);
    assert_ok(pl_peer_grant(r.peer, pl_span_text("main"), false));
    send_changes(&r, 6, 1);
    assert_int_equal(6, r.acked);
    assert_int_equal(1, stored_messages(&r));
    assert_int_equal(1, r.peer->writes_refused);
    rig_close(&r);
}

/* ---- Reading ---- */

static void what_is_pushed_is_of_granted_namespaces_alone(void **state)
{
    struct rig r;
    struct parley_root empty = { 0 };
    (void)state;
    open_world(&r);
    dial(&r);
    send_state(&r, "main", &empty); /* all of it is streamed */
    assert_true(heard_text(&r, MAIN));
    put(&r, "main", "talk", "news for all");
    put(&r, "secret", "hidden", SECRET);
    wait_for(&r, PARLEY_NS_PER_S);
    wait_for(&r, 11 * PARLEY_NS_PER_S); /* another STATE */
    assert_true(heard_text(&r, "news for all"));
    struct parley_root root = root_of(&r, "main");
    assert_true(heard(&r, root.sum, sizeof root.sum));
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

/* What came from another peer is offered first. */
static void what_is_offered_and_wanted_is_of_granted_namespaces_alone(void **state)
{
    struct rig r;
    struct parley_root empty = { 0 };
    (void)state;
    open_world(&r);
    r.greedy = true;
    dial(&r);
    send_state(&r, "main", &empty);
    put_from(&r, 9, "secret", "hidden", LONG(SECRET));
    put_from(&r, 9, "main", "talk", LONG(NEWS));
    wait_for(&r, PARLEY_NS_PER_S);
    wait_for(&r, PARLEY_NS_PER_S); /* it gathers for a moment */
    assert_true(heard_text(&r, NEWS));
    assert_true(r.offers > 0);
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

/* Asks for everything of a namespace, under a filter: a sum of all that cannot be right, then a
 * leaf of all without a key; or, with `empty`, says that it has nothing. */
static void ask_for_range(struct rig *r, uint64_t number, const char *name_space, bool empty,
                          uint64_t since, const char *prefix)
{
    static const struct pl_salt salt = { { 1, 2, 3 } };
    struct pl_writer w = begin(r, PL_MSG_QUERY, 8000);
    struct pl_query_walk walk = { 0 };
    struct pl_query_item item = { .kind = PL_QUERY_BEGIN,
                                  .salt = pl_span_of(salt.bytes, sizeof salt.bytes) };
    pl_varint_write(&w, number);
    pl_query_write(&w, &walk, &item);
    item = (struct pl_query_item){ .kind = PL_QUERY_SPACE,
                                   .name_space = pl_span_text(name_space),
                                   .takes = true,
                                   .since = since,
                                   .prefix = pl_span_text(prefix) };
    pl_query_write(&w, &walk, &item);
    item = (struct pl_query_item){ .kind = PL_QUERY_SPLIT, .count = 1 };
    item.counts[0] = empty ? 0 : 5;
    item.bounds[1] = PL_BOUND_END;
    pl_query_write(&w, &walk, &item);
    item.kind = PL_QUERY_LEAF;
    item.count = 0;
    if (!empty)
        pl_query_write(&w, &walk, &item);
    end(r, &w);
    wait_for(r, PARLEY_NS_PER_MS);
}

static void ask_for_all(struct rig *r, uint64_t number, const char *name_space, bool empty)
{
    ask_for_range(r, number, name_space, empty, 0, "");
}

static void a_comparison_covers_granted_namespaces_alone(void **state)
{
    struct rig r;
    struct parley_root other = { .count = 7, .sum = { 7 } };
    (void)state;
    open_world(&r);
    dial(&r);
    send_state(&r, "main", &other);
    assert_false(heard_text(&r, MAIN)); /* it waits to be asked */
    ask_for_all(&r, 1, "secret", false);
    assert_int_equal(1, r.answers);
    assert_int_equal(0, r.answer_bits); /* as if it were equal */
    ask_for_all(&r, 2, "nowhere", true);
    assert_int_equal(0, r.answer_bits);
    assert_false(heard_text(&r, MAIN));
    assert_nothing_of_secret(&r);
    ask_for_all(&r, 3, "main", false);
    assert_int_equal(PL_QUERY_DIFFERS, r.answer_bits);
    assert_true(heard_text(&r, MAIN));
    r.heard_len = 0;
    ask_for_all(&r, 4, "secret", true);
    assert_false(heard_text(&r, MAIN));
    ask_for_all(&r, 5, "main", true); /* where it has nothing it gets all there is, unasked */
    assert_int_equal(PL_QUERY_DONE, r.answer_bits);
    assert_true(heard_text(&r, MAIN));
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

/* What a peer may only read is not asked of it. */
static void a_comparison_wants_nothing_where_the_peer_may_only_read(void **state)
{
    struct rig r;
    static const struct pl_salt salt = { { 0 } };
    (void)state;
    open_world(&r);
    dial(&r);
    for (uint64_t number = 1; number <= 2; number++) {
        struct pl_writer w = begin(&r, PL_MSG_QUERY, 8000);
        struct pl_query_walk walk = { 0 };
        struct pl_query_item item = { .kind = PL_QUERY_BEGIN,
                                      .salt = pl_span_of(salt.bytes, sizeof salt.bytes) };
        pl_varint_write(&w, number);
        pl_query_write(&w, &walk, &item);
        item.kind = PL_QUERY_SPACE;
        item.name_space = pl_span_text(number == 1 ? "main" : "team");
        pl_query_write(&w, &walk, &item);
        item = (struct pl_query_item){
            .kind = PL_QUERY_LEAF, .count = 2, .times = { 5, 6 }, .keys = { 1, 2 }
        };
        item.bounds[1] = PL_BOUND_END;
        pl_query_write(&w, &walk, &item);
        end(&r, &w);
        assert_int_equal(number, r.answers);
        assert_int_equal(number == 1 ? 0 : 3, r.answer_bits);
    }
    rig_close(&r);
}

/* Asks for all of "main", of which it says that it has nothing, under this prefix. */
static void ask_under_prefix(struct rig *r, const char *prefix)
{
    static const struct pl_salt salt = { { 0 } };
    struct pl_writer w = begin(r, PL_MSG_QUERY, 8000);
    struct pl_query_walk walk = { 0 };
    struct pl_query_item item = { .kind = PL_QUERY_BEGIN,
                                  .salt = pl_span_of(salt.bytes, sizeof salt.bytes) };
    pl_varint_write(&w, 1);
    pl_query_write(&w, &walk, &item);
    item = (struct pl_query_item){ .kind = PL_QUERY_SPACE,
                                   .name_space = pl_span_text("main"),
                                   .takes = true,
                                   .prefix = pl_span_text(prefix) };
    pl_query_write(&w, &walk, &item);
    item = (struct pl_query_item){ .kind = PL_QUERY_LEAF };
    item.bounds[1] = PL_BOUND_END;
    pl_query_write(&w, &walk, &item);
    r->heard_len = 0;
    end(r, &w);
    assert_int_equal(1, r->answers);
}

/* A peer with a prefix gets what begins with it, whatever prefix its query names. */
static void a_comparison_gives_no_more_than_the_prefix_that_was_granted(void **state)
{
    (void)state;
    static const char *const prefixes[] = { "open", "", "talk", "ope" };
    for (size_t i = 0; i < PL_ARRAY_LEN(prefixes); i++) {
        struct rig r;
        struct pl_filter filter;
        struct parley_write view = { .kind = PARLEY_WRITE_VIEW };
        open_world(&r);
        put(&r, "main", "open-1", NEWS);
        view.u.view.name_space = pl_span_text("main");
        view.u.view.prefix = pl_span_text("open");
        assert_ok(parley_db_apply(r.db, &view, 1, r.now.wall, NULL));
        for (int steps = 0; steps < 20; steps++)
            assert_ok(parley_db_maintain(r.db, r.now.wall, NULL));
        assert_ok(pl_filter_set(&filter, pl_span_text("open"), 0));
        assert_true(pl_peer_set_filter(r.peer, pl_span_text("main"), &filter));
        r.node->state_fresh = false;
        dial(&r);
        ask_under_prefix(&r, prefixes[i]);
        assert_int_equal(i == 0, heard_text(&r, NEWS));
        assert_false(heard_text(&r, MAIN));
        rig_close(&r);
    }
}

/* What a node says after the handshake to a peer that claims this root of "secret". */
static void listen_to_answer(const struct parley_root *claimed, struct parley_span *out,
                             uint8_t *space, size_t cap)
{
    struct rig r;
    open_world(&r);
    r.greedy = true;
    dial(&r);
    r.heard_len = 0;
    send_state(&r, "secret", claimed != NULL ? claimed : &(struct parley_root){ 0 });
    wait_for(&r, 11 * PARLEY_NS_PER_S);
    assert_nothing_of_secret(&r);
    assert_true(r.heard_len != 0 && r.heard_len <= cap);
    memcpy(space, r.heard, r.heard_len);
    *out = pl_span_of(space, r.heard_len);
    rig_close(&r);
}

static void a_claimed_root_of_another_namespace_is_not_answered(void **state)
{
    struct rig r;
    static uint8_t right[8192];
    static uint8_t wrong[8192];
    struct parley_span to_right;
    struct parley_span to_wrong;
    (void)state;
    open_world(&r);
    struct parley_root root = root_of(&r, "secret");
    rig_close(&r);
    listen_to_answer(&root, &to_right, right, sizeof right);
    root.sum[0] ^= 1;
    listen_to_answer(&root, &to_wrong, wrong, sizeof wrong);
    assert_true(pl_span_equal(to_right, to_wrong));
}

static void a_want_of_what_was_not_offered_ends_the_session(void **state)
{
    struct rig r;
    struct parley_root empty = { 0 };
    (void)state;
    open_world(&r);
    dial(&r);
    send_state(&r, "main", &empty);
    put_from(&r, 9, "main", "talk", LONG(NEWS));
    wait_for(&r, PARLEY_NS_PER_S);
    wait_for(&r, PARLEY_NS_PER_S);
    assert_int_equal(1, r.offers);
    want_all(&r, 1, 0); /* not as many bits as the offer has versions */
    settle(&r);
    assert_true(r.closed);
    assert_int_equal(PL_BYE_PROTOCOL, r.bye);
    assert_nothing_of_secret(&r);
    dial(&r);
    want_all(&r, 99, 1); /* an offer that was never made */
    settle(&r);
    assert_true(r.closed);
    assert_int_equal(PL_BYE_PROTOCOL, r.bye);
    assert_nothing_of_secret(&r);
    rig_close(&r);
}

static void an_answer_to_no_question_ends_the_session(void **state)
{
    struct rig r;
    (void)state;
    open_world(&r);
    dial(&r);
    struct pl_writer w = begin(&r, PL_MSG_ANSWER, 100);
    pl_varint_write(&w, 1);
    end(&r, &w);
    assert_true(r.closed);
    assert_int_equal(PL_BYE_PROTOCOL, r.bye);
    rig_close(&r);
}

/* ---- Filters ---- */

#define FRESH    "what is within the filter"
#define NOT_HERE "what is beyond the prefix"
#define OLD      "what is too old"
#define DAY      (INT64_C(86400) * PARLEY_US_PER_S)

/* The peer may write main, of which it was granted "open/" and 30 days. */
static void open_filtered(struct rig *r)
{
    struct pl_filter filter;
    rig_open(r);
    assert_ok(pl_filter_set(&filter, pl_span_text("open/"), 30));
    pl_views_regrant(r->node, r->peer, pl_span_text("main"), &filter);
    put(r, "main", "open/x", OLD);
    r->times = (uint64_t)(r->now.wall - DAY);
    put(r, "main", "open/x", FRESH);
    put(r, "main", "shut/y", NOT_HERE);
    r->now.mono += 6 * PARLEY_NS_PER_S;
    pl_node_tick(r->node, r->now);
    run_effects(r); /* the view is made */
    dial(r);
}

static uint64_t since_of(const struct rig *r)
{
    return pl_filter_since(&r->peer->grants[0].filter, r->now.wall);
}

static void assert_nothing_beyond(struct rig *r)
{
    struct parley_root root = root_of(r, "main");
    assert_false(heard_text(r, NOT_HERE));
    assert_false(heard_text(r, "shut/"));
    assert_false(heard_text(r, OLD));
    assert_false(heard(r, root.sum, sizeof root.sum));
}

static void what_is_pushed_and_offered_is_within_the_filter_alone(void **state)
{
    struct rig r;
    struct parley_root none = { 0 };
    (void)state;
    open_filtered(&r);
    r.greedy = true;
    /* Under a filter that is not the node's own its root counts for nothing, and gets nothing. */
    send_state(&r, "main", &none);
    send_filtered_state(&r, "main", &none, 0, "open/");
    put(&r, "main", "open/x", "news before");
    wait_for(&r, PARLEY_NS_PER_S);
    assert_false(heard_text(&r, "news before"));
    send_filtered_state(&r, "main", &none, since_of(&r), "open/");
    put(&r, "main", "open/x", "news for all");
    put(&r, "main", "shut/y", NOT_HERE);
    uint64_t times = r.times;
    r.times = 2000;
    put(&r, "main", "open/x", OLD);
    put_from(&r, 9, "main", "open/x", LONG(OLD));
    r.times = times;
    put_from(&r, 9, "main", "open/x", LONG(NEWS));
    put_from(&r, 9, "main", "shut/y", LONG(NOT_HERE));
    wait_for(&r, PARLEY_NS_PER_S);
    wait_for(&r, PARLEY_NS_PER_S);
    wait_for(&r, 11 * PARLEY_NS_PER_S);
    assert_true(heard_text(&r, "news for all"));
    assert_true(heard_text(&r, NEWS));
    assert_true(r.offers > 0);
    assert_nothing_beyond(&r);
    rig_close(&r);
}

static void a_comparison_is_within_the_filter_alone(void **state)
{
    static const char *const beyond[] = { "", "shut/", "open", "open/x", "o" };
    struct rig r;
    struct parley_root other = { .count = 7, .sum = { 7 } };
    uint64_t number = 1;
    (void)state;
    open_filtered(&r);
    for (size_t i = 0; i < PL_ARRAY_LEN(beyond); i++) {
        ask_for_range(&r, number++, "main", false, 0, beyond[i]);
        assert_int_equal(0, r.answer_bits); /* as if it were equal */
        ask_for_range(&r, number++, "main", true, since_of(&r), beyond[i]);
        assert_int_equal(0, r.answer_bits);
    }
    assert_false(heard_text(&r, FRESH));
    send_filtered_state(&r, "main", &other, since_of(&r), "open/");
    ask_for_range(&r, number++, "main", false, 0, "open/");
    assert_int_equal(PL_QUERY_DIFFERS, r.answer_bits);
    assert_true(heard_text(&r, FRESH));
    r.heard_len = 0;
    ask_for_range(&r, number++, "main", true, 0, "open/");
    assert_true(heard_text(&r, FRESH));
    assert_nothing_beyond(&r);
    rig_close(&r);
}

static uint64_t messages_of(struct rig *r, const char *conversation)
{
    struct parley_read *read = NULL;
    struct parley_conversation_info info = { .messages = 0 };
    bool found = false;
    assert_ok(parley_read_begin(r->db, &read));
    assert_ok(parley_read_conversation(read, pl_span_text("main"), pl_span_text(conversation),
                                       &info, &found));
    parley_read_end(read);
    return found ? info.messages : 0;
}

/* In each conversation one version, old ones too: an age limits only what the node sends. */
static void writes_beyond_the_prefix_are_dropped_and_counted(void **state)
{
    static const char *const talks[] = { "open/z", "shut/z", "open", "open/old" };
    struct rig r;
    struct pl_change_state change = { 0 };
    char id[PL_ARRAY_LEN(talks)][32];
    (void)state;
    open_filtered(&r);
    struct pl_writer w = begin(&r, PL_MSG_CHANGES, 4000);
    pl_change_put_seq(pl_writer_reserve(&w, PL_CHANGE_SEQ_BYTES), 4);
    for (size_t i = 0; i < PL_ARRAY_LEN(talks); i++) {
        struct parley_version v = small_version(&r, id[i]);
        v.conversation = pl_span_text(talks[i]);
        v.time = i == 3 ? 5 : v.time;
        assert_true(pl_change_write(&w, &change, &v));
    }
    end(&r, &w);
    assert_int_equal(4, r.acked);
    assert_int_equal(1, messages_of(&r, "open/z"));
    assert_int_equal(1, messages_of(&r, "open/old"));
    assert_int_equal(0, messages_of(&r, "shut/z") + messages_of(&r, "open"));
    assert_int_equal(2, r.peer->writes_refused);
    send_part(&r, "main"); /* of "talk" */
    assert_int_equal(0, messages_of(&r, "talk"));
    assert_int_equal(3, r.peer->writes_refused);
    assert_int_equal(3, audited(&r));
    rig_close(&r);
}

/* Views cost us: a peer gets one, not as many as it can think of. */
static void a_peer_gets_one_view_however_often_it_asks(void **state)
{
    struct rig r;
    struct parley_root none = { 0 };
    uint64_t position = 0, count = 0;
    (void)state;
    rig_open(&r);
    for (unsigned i = 0; i < 5; i++) {
        char prefix[4] = { (char)('a' + i), '\0' };
        dial(&r);
        send_filtered_state(&r, "main", &none, 0, prefix);
        wait_for(&r, PARLEY_NS_PER_S);
        assert_int_equal(i == 0 ? PL_SHARE_OPEN : PL_SHARE_REFUSED, r.peer->shares[0].state);
        pl_node_closed(r.node, r.conn, r.now);
    }
    struct parley_read *read = NULL;
    assert_ok(parley_read_begin(r.db, &read));
    for (bool found = true; found; count += found ? 1 : 0) {
        struct parley_view_info info;
        assert_ok(parley_read_views(read, &position, &info, &found));
    }
    parley_read_end(read);
    assert_int_equal(1, count);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_that_were_not_granted_are_dropped_and_counted),
        cmocka_unit_test(parts_that_were_not_granted_are_dropped_and_counted),
        cmocka_unit_test(an_offer_of_what_was_not_granted_is_not_wanted_and_counted),
        cmocka_unit_test(an_answer_does_not_tell_whether_an_offer_is_known),
        cmocka_unit_test(a_right_that_is_narrowed_holds_for_the_open_session),
        cmocka_unit_test(what_is_pushed_is_of_granted_namespaces_alone),
        cmocka_unit_test(what_is_offered_and_wanted_is_of_granted_namespaces_alone),
        cmocka_unit_test(a_comparison_covers_granted_namespaces_alone),
        cmocka_unit_test(a_comparison_wants_nothing_where_the_peer_may_only_read),
        cmocka_unit_test(a_comparison_gives_no_more_than_the_prefix_that_was_granted),
        cmocka_unit_test(an_answer_to_no_question_ends_the_session),
        cmocka_unit_test(a_claimed_root_of_another_namespace_is_not_answered),
        cmocka_unit_test(a_want_of_what_was_not_offered_ends_the_session),
        cmocka_unit_test(what_is_pushed_and_offered_is_within_the_filter_alone),
        cmocka_unit_test(a_comparison_is_within_the_filter_alone),
        cmocka_unit_test(writes_beyond_the_prefix_are_dropped_and_counted),
        cmocka_unit_test(a_peer_gets_one_view_however_often_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
