/* SPDX-License-Identifier: Apache-2.0
 *
 * Every function that reads a store, and the open of one: each read of each of them fails in turn.
 */
#include "lib/rich_db.h"

#include "core/digest.h"

/* ---- Reads ---- */

/* What a walk has seen, so that two walks can be compared. */
struct sight {
    uint64_t sum;
    size_t count;
};

static void see(struct sight *s, struct parley_span span)
{
    for (size_t i = 0; i < span.len; i++)
        s->sum = (s->sum ^ span.ptr[i]) * UINT64_C(1099511628211);
    s->sum = (s->sum ^ span.len) * UINT64_C(1099511628211);
}

static void see_number(struct sight *s, uint64_t number)
{
    see(s, pl_span_of(&number, sizeof number));
    s->count++;
}

static void see_version(struct sight *s, const struct parley_version *v)
{
    see(s, v->conversation);
    see(s, v->id);
    see(s, v->origin);
    see(s, v->body);
    see_number(s, v->time);
}

static parley_err read_state(struct parley_read *read, struct sight *s)
{
    struct parley_db_state state;
    PL_TRY(parley_read_state(read, &state));
    see_number(s, state.head + state.held);
    return PARLEY_OK;
}

static parley_err read_namespaces(struct parley_read *read, struct sight *s)
{
    struct parley_namespace_info info;
    uint32_t position = 0;
    bool found = true;
    while (found) {
        PL_TRY(parley_read_namespace(read, &position, &info, &found));
        if (found)
            see_number(s, info.root.count + info.floor);
    }
    return PARLEY_OK;
}

static parley_err read_namespace(struct parley_read *read, struct sight *s)
{
    struct parley_namespace_info info;
    bool found = false;
    PL_TRY(parley_read_namespace_named(read, MAIN, &info, &found));
    see_number(s, found ? info.messages : 0);
    return PARLEY_OK;
}

static parley_err read_conversation(struct parley_read *read, struct sight *s)
{
    struct parley_conversation_info info;
    bool found = false;
    PL_TRY(parley_read_conversation(read, MAIN, pl_span_text("c2"), &info, &found));
    see_number(s, found ? info.deleted : 0);
    return PARLEY_OK;
}

static parley_err read_conversations(struct parley_read *read, struct sight *s)
{
    struct parley_conversation_info info = { .id = pl_span_text("") };
    uint8_t after[PARLEY_ID_BYTES_MAX];
    bool found = true;
    while (found) {
        size_t len = info.id.len;
        if (len != 0)
            memcpy(after, info.id.ptr, len);
        PL_TRY(parley_read_conversation_after(read, MAIN, pl_span_of(after, len), &info, &found));
        if (found)
            see(s, info.id);
        s->count += found;
    }
    return PARLEY_OK;
}

static parley_err read_numbered(struct parley_read *read, struct sight *s)
{
    struct parley_conversation_info info;
    bool found = false;
    PL_TRY(parley_read_conversation_numbered(read, NUMBER_OF_C1, &info, &found));
    see_number(s, found ? info.messages : 0);
    return PARLEY_OK;
}

static parley_err read_registers(struct parley_read *read, struct sight *s)
{
    struct parley_register_cursor cursor;
    struct parley_version v;
    bool found = true;
    PL_TRY(parley_registers_begin(read, NUMBER_OF_C1, &cursor));
    while (found) {
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (found)
            see_version(s, &v);
    }
    return PARLEY_OK;
}

static parley_err read_register_changes(struct parley_read *read, struct sight *s)
{
    struct parley_register_name after = {
        .conversation = NUMBER_OF_C1, .kind = PARLEY_KIND_MESSAGE, .id_len = 2, .id = "m1"
    };
    struct parley_register_cursor cursor;
    struct parley_change change;
    bool found = true;
    PL_TRY(parley_registers_begin_after(read, &after, &cursor));
    while (found) {
        PL_TRY(parley_registers_next_change(&cursor, &change, &found));
        if (found)
            see_version(s, &change.version);
    }
    return PARLEY_OK;
}

static parley_err read_register(struct parley_read *read, struct sight *s)
{
    struct parley_version v;
    bool found = false;
    PL_TRY(parley_read_register(read, NUMBER_OF_C1, PARLEY_KIND_MESSAGE, pl_span_text("m2"), &v,
                                &found));
    assert_true(found);
    see_version(s, &v);
    return PARLEY_OK;
}

static parley_err read_register_change(struct parley_read *read, struct sight *s)
{
    struct parley_change change;
    bool found = false;
    PL_TRY(parley_read_register_change(read, NUMBER_OF_C1, PARLEY_KIND_MESSAGE, pl_span_text("m2"),
                                       &change, &found));
    assert_true(found);
    see_version(s, &change.version);
    return PARLEY_OK;
}

static parley_err read_history(struct parley_read *read, struct sight *s)
{
    struct parley_version v;
    uint32_t position = 0;
    bool found = true;
    while (found) {
        PL_TRY(parley_read_history(read, NUMBER_OF_C1, PARLEY_KIND_MESSAGE, pl_span_text("m1"),
                                   &position, &v, &found));
        if (found)
            see_version(s, &v);
    }
    return PARLEY_OK;
}

static parley_err read_retention(struct parley_read *read, struct sight *s)
{
    struct parley_retention rule = { 0 };
    PL_TRY(parley_read_retention(read, MAIN, &rule));
    see_number(s, rule.versions);
    return PARLEY_OK;
}

static parley_err read_lost(struct parley_read *read, struct sight *s)
{
    struct parley_register_name name = { 0 };
    bool found = true;
    while (found) {
        PL_TRY(parley_read_lost_after(read, &name, &found));
        if (found)
            see_number(s, name.conversation);
    }
    return PARLEY_OK;
}

static parley_err read_held(struct parley_read *read, struct sight *s)
{
    struct parley_held_position position = { 0 };
    struct parley_held held;
    bool found = true;
    while (found) {
        PL_TRY(parley_read_held(read, &position, &held, &found));
        if (found)
            see_version(s, &held.version);
    }
    return PARLEY_OK;
}

static parley_err read_trash(struct parley_read *read, struct sight *s)
{
    struct parley_trash_key key = { 0 };
    struct parley_version v;
    bool found = true;
    while (found) {
        PL_TRY(parley_read_trash_after(read, &key, &v, &found));
        if (found)
            see_version(s, &v);
    }
    return PARLEY_OK;
}

static parley_err read_trash_count(struct parley_read *read, struct sight *s)
{
    uint64_t count = 0;
    PL_TRY(parley_read_trash_count(read, &count));
    see_number(s, count);
    return PARLEY_OK;
}

static parley_err read_feed(struct parley_read *read, struct sight *s)
{
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    PL_TRY(parley_feed_begin(read, 0, &feed));
    while (found) {
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (found)
            see_version(s, &change.version);
    }
    return PARLEY_OK;
}

static parley_err read_change(struct parley_read *read, struct sight *s)
{
    struct parley_change change;
    bool found = false;
    PL_TRY(parley_read_change(read, 3, &change, &found));
    assert_true(found);
    see_version(s, &change.version);
    return PARLEY_OK;
}

static parley_err read_change_conversation(struct parley_read *read, struct sight *s)
{
    uint64_t conversation = 0;
    bool found = false;
    PL_TRY(parley_read_change_conversation(read, 3, &conversation, &found));
    see_number(s, conversation);
    return PARLEY_OK;
}

static parley_err read_wants(struct parley_read *read, struct sight *s)
{
    uint8_t body[80];
    uint8_t digest[PARLEY_DIGEST_BYTES];
    struct parley_version v = db_util_message("c1", "m1", 250, "ann", "newest", body);
    bool wanted = false;
    pl_digest_of(&v, digest);
    PL_TRY(parley_read_wants(read, &v, digest, &wanted));
    see_number(s, wanted);
    return PARLEY_OK;
}

/* All of "main", or what a view has of it. */
static struct parley_set set_of(const char *prefix)
{
    return (struct parley_set){ .name_space = MAIN, .prefix = pl_span_text(prefix) };
}

static const struct parley_point lowest;
static const struct parley_point highest = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static parley_err walk_elements(struct parley_read *read, const char *prefix, struct sight *s)
{
    struct parley_set set = set_of(prefix);
    struct parley_elements elements;
    struct parley_element element;
    bool found = true;
    PL_TRY(parley_elements_begin(read, &set, &lowest, &elements));
    while (found) {
        PL_TRY(parley_elements_next(&elements, &element, &found));
        if (found)
            see_number(s, element.seq);
    }
    return PARLEY_OK;
}

static parley_err read_elements(struct parley_read *read, struct sight *s)
{
    return walk_elements(read, "", s);
}

static parley_err read_part(struct parley_read *read, struct sight *s)
{
    return walk_elements(read, "c", s);
}

static parley_err read_elements_back(struct parley_read *read, struct sight *s)
{
    struct parley_set whole = set_of("");
    struct parley_elements elements;
    struct parley_element element;
    bool found = true;
    PL_TRY(parley_elements_begin_below(read, &whole, &highest, &elements));
    while (found) {
        PL_TRY(parley_elements_prev(&elements, &element, &found));
        if (found)
            see_number(s, element.seq);
    }
    return PARLEY_OK;
}

/* To a point inside a block, so that its elements are read too, and to the end. */
static parley_err read_runs(struct parley_read *read, struct sight *s)
{
    struct parley_set whole = set_of("");
    struct parley_point middle = { { 0 } };
    struct parley_runs runs;
    struct parley_run run;
    bool found = true;
    middle.bytes[7] = 205;
    PL_TRY(parley_runs_begin(read, &whole, &lowest, &runs));
    while (found) {
        PL_TRY(parley_runs_next(&runs, &middle, &run, &found));
        if (found)
            see_number(s, run.root.count);
    }
    found = true;
    PL_TRY(parley_runs_begin(read, &whole, &middle, &runs));
    while (found) {
        PL_TRY(parley_runs_next(&runs, NULL, &run, &found));
        if (found)
            see_number(s, run.root.count);
    }
    return PARLEY_OK;
}

static parley_err read_view(struct parley_read *read, struct sight *s)
{
    enum parley_view_state state = PARLEY_VIEW_NONE;
    PL_TRY(parley_read_view(read, MAIN, pl_span_text("c"), &state));
    see_number(s, state);
    return PARLEY_OK;
}

static parley_err read_views(struct parley_read *read, struct sight *s)
{
    struct parley_view_info info;
    uint64_t position = 0;
    bool found = true;
    while (found) {
        PL_TRY(parley_read_views(read, &position, &info, &found));
        if (found)
            see_number(s, info.state);
    }
    return PARLEY_OK;
}

static parley_err read_cursor(struct parley_read *read, struct sight *s)
{
    struct parley_incarnation incarnation;
    parley_seq seq = 0;
    bool found = false;
    PL_TRY(parley_read_cursor(read, 1, &incarnation, &seq, &found));
    see_number(s, seq);
    return PARLEY_OK;
}

static parley_err read_sys(struct parley_read *read, struct sight *s)
{
    struct parley_span value = pl_span_text("");
    bool found = false;
    PL_TRY(parley_read_sys(read, pl_span_text("k1"), &value, &found));
    see(s, value);
    s->count += found;
    return PARLEY_OK;
}

static parley_err read_sys_rows(struct parley_read *read, struct sight *s)
{
    struct parley_span key = pl_span_text("");
    struct parley_span value;
    uint8_t after[8];
    bool found = true;
    while (found) {
        size_t len = key.len;
        if (len != 0)
            memcpy(after, key.ptr, len);
        PL_TRY(parley_read_sys_after(read, pl_span_text("k"), pl_span_of(after, len), &key, &value,
                                     &found));
        if (found)
            see(s, value);
        s->count += found;
    }
    return PARLEY_OK;
}

static const struct {
    const char *name;
    parley_err (*run)(struct parley_read *read, struct sight *s);
    size_t count; /* what there is to be seen */
} reads[] = {
    { "state", read_state, 1 },
    { "namespaces", read_namespaces, 1 },
    { "namespace", read_namespace, 1 },
    { "conversation", read_conversation, 1 },
    { "conversations", read_conversations, 2 },
    { "numbered", read_numbered, 1 },
    { "registers", read_registers, 3 },
    { "register changes", read_register_changes, 2 },
    { "register", read_register, 1 },
    { "register change", read_register_change, 1 },
    { "history", read_history, 1 },
    { "retention", read_retention, 1 },
    { "lost", read_lost, 2 },
    { "held", read_held, 1 },
    { "trash", read_trash, 1 },
    { "trash count", read_trash_count, 1 },
    { "feed", read_feed, 6 },
    { "change", read_change, 1 },
    { "change's conversation", read_change_conversation, 1 },
    { "wants", read_wants, 1 },
    { "elements", read_elements, 6 },
    { "elements of a view", read_part, 5 },
    { "elements backwards", read_elements_back, 6 },
    { "runs", read_runs, 2 },
    { "view", read_view, 1 },
    { "views", read_views, 1 },
    { "cursor", read_cursor, 1 },
    { "sys", read_sys, 1 },
    { "sys rows", read_sys_rows, 2 },
};

/* A snapshot of which a part could not be read says nothing more: what came after it would be taken
 * for what follows what came before it. */
static void assert_says_no_more(struct parley_read *read)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(reads); i++) {
        struct sight s = { 0 };
        if (reads[i].run(read, &s) != PARLEY_EIO || s.count != 0)
            fail_msg("%s is read after a failure", reads[i].name);
    }
}

static void a_read_that_fails_is_said_and_nothing_is_read_after_it(void **state)
{
    (void)state;
    struct env_mem env;
    struct parley_db *db = make_db(&env);
    for (size_t i = 0; i < PL_ARRAY_LEN(reads); i++) {
        struct parley_read *read;
        struct sight usual = { 0 };
        assert_ok(parley_read_begin(db, &read));
        assert_ok(reads[i].run(read, &usual));
        parley_read_end(read);
        if (usual.count < reads[i].count)
            fail_msg("%s: %zu seen", reads[i].name, usual.count);
        bool reached = true;
        for (int64_t at = 0; reached; at++) {
            struct sight s = { 0 };
            assert_true(at < READS_MAX);
            assert_ok(parley_read_begin(db, &read));
            read_fault_after = at;
            read_fault_once = true;
            parley_err err = reads[i].run(read, &s);
            reached = read_fault_after < 0;
            read_fault_after = -1;
            if (err != (reached ? PARLEY_EIO : PARLEY_OK))
                fail_msg("%s: error %d at read %d", reads[i].name, (int)err, (int)at);
            if (reached)
                assert_says_no_more(read);
            else
                assert_true(s.sum == usual.sum && s.count == usual.count);
            parley_read_end(read);
        }
    }
    end_db(&env, db);
}

/* ---- Opening ---- */

static void an_open_whose_read_fails_is_refused_and_the_next_one_is_not(void **state)
{
    (void)state;
    struct env_mem env;
    struct parley_db *db = make_db(&env);
    struct parley_root before = db_util_root(db);
    struct parley_incarnation was = db_util_state(db).incarnation;
    bool reached = true;
    for (int64_t at = 0; reached; at++) {
        struct parley_db_options options = { .name = "a", .local_origin = pl_span_text("local") };
        assert_true(at < READS_MAX);
        parley_db_close(db);
        read_fault_after = at;
        read_fault_once = true;
        parley_err err = parley_db_open(&env.t.env, &options, &db, NULL, NULL);
        reached = read_fault_after < 0;
        read_fault_after = -1;
        assert_err(reached ? PARLEY_EIO : PARLEY_OK, err);
        if (reached)
            db = db_util_open(&env.t.env, "a");
        struct parley_root after = db_util_root(db);
        struct parley_incarnation is = db_util_state(db).incarnation;
        assert_true(pl_root_equal(&before, &after));
        assert_memory_equal(was.bytes, is.bytes, sizeof is.bytes);
    }
    end_db(&env, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_fails_is_said_and_nothing_is_read_after_it),
        cmocka_unit_test(an_open_whose_read_fails_is_refused_and_the_next_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
