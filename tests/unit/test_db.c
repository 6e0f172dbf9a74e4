/* SPDX-License-Identifier: Apache-2.0
 *
 * The db as its callers see it: life, verdicts, rows of the node, held versions, and every fault
 * that a store or an allocator can throw at a batch.
 */
#include "lib/db_fixture.h"

#include <stdio.h>

#include "base/writer.h"
#include "core/digest.h"
#include "core/hash.h"
#include "db/db_int.h"
#include "store/store_lmdb.h"

#define FAR_AHEAD ((uint64_t)DB_UTIL_NOW + 2 * (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX)

static void set_faults(struct fixture *f, int64_t put, int64_t commit, bool applied)
{
    struct pl_store_mem_faults faults = { .fail_put_after = put,
                                          .fail_commit_after = commit,
                                          .commit_eio_applied = applied };
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
}

/* ---- Life ---- */

static void db_is_the_same_after_a_restart(void **state)
{
    struct fixture *f = *state;
    db_util_apply(f->db, db_util_message("c", "m", 0, "", "hello", f->body));
    struct parley_db_state before = db_util_state(f->db);
    struct parley_root root = db_util_root(f->db);
    restart(f);
    struct parley_db_state after = db_util_state(f->db);
    struct parley_root root_after = db_util_root(f->db);
    assert_memory_equal(before.incarnation.bytes, after.incarnation.bytes, 16);
    assert_int_equal(before.head, after.head);
    assert_int_equal(before.clock, after.clock);
    assert_true(pl_root_equal(&root, &root_after));
}

static void db_renews_the_incarnation_of_a_copied_store(void **state)
{
    struct fixture *f = *state;
    struct parley_db_options options = { .name = "copy" };
    struct parley_db *copy;
    bool renewed;
    db_util_apply(f->db, db_util_message("c", "m", 5, "ann", "hello", f->body));
    env_mem_copy(&f->env, "a", "copy");
    assert_ok(parley_db_open(&f->env.t.env, &options, &copy, &renewed, NULL));
    assert_true(renewed);
    struct parley_db_state mine = db_util_state(f->db);
    struct parley_db_state theirs = db_util_state(copy);
    assert_memory_not_equal(mine.incarnation.bytes, theirs.incarnation.bytes, 16);
    db_util_check(copy);
    parley_db_close(copy);
    assert_ok(parley_db_open(&f->env.t.env, &options, &copy, &renewed, NULL));
    assert_false(renewed);
    parley_db_close(copy);
}

/* An older copy put back into the same file, or another store, shows by the witness. */
static void db_renews_the_incarnation_when_the_witness_has_seen_more(void **state)
{
    struct fixture *f = *state;
    struct parley_db_options options = { .name = "a" };
    struct parley_store *store = env_mem_store(&f->env, "a");
    for (int i = 0; i < 6; i++) {
        uint8_t bytes[PL_STORE_WITNESS_BYTES];
        bool found = false;
        bool renewed = false;
        db_util_apply(f->db, db_util_message("c", "m", 9 + (uint64_t)i, "ann", "hello", f->body));
        parley_db_close(f->db);
        assert_ok(store->ops->witness_read(store, bytes, &found));
        assert_true(found);
        if (i == 1)
            bytes[23]++; /* a later commit */
        if (i == 2)
            bytes[23]--; /* an earlier one: it was not synced before the power went */
        if (i == 3)
            bytes[0] ^= 1;                                                      /* another life */
        pl_put_be(bytes + 24, pl_xxh3_of(pl_span_of(bytes, 24)) + (i == 4), 8); /* 4: torn */
        assert_ok(store->ops->witness_write(store, bytes));
        assert_ok(parley_db_open(&f->env.t.env, &options, &f->db, &renewed, NULL));
        assert_int_equal(i == 1 || i == 3, renewed);
    }
}

static void set_format(struct fixture *f, uint8_t format)
{
    struct pl_txn *txn;
    uint8_t row[4] = { 0, 0, 0, format };
    assert_ok(pl_store_write_begin(env_mem_store(&f->env, "a"), &txn));
    assert_ok(pl_txn_put(txn, PL_TABLE_META, pl_span_text("format"), pl_span_of(row, 4)));
    assert_ok(pl_txn_commit(txn));
}

/* Deletes every `step`-th block of elements. */
static void drop_blocks(struct fixture *f, size_t step)
{
    struct pl_txn *txn;
    struct pl_key at = { .len = 1 };
    struct pl_cursor c;
    assert_ok(pl_store_write_begin(env_mem_store(&f->env, "a"), &txn));
    assert_ok(pl_txn_cursor(txn, PL_TABLE_ELEMENT, &c));
    for (size_t i = 1;; i++) {
        struct parley_span key, value;
        bool found;
        assert_ok(pl_cursor_seek(&c, pl_key_span(&at), &key, &value, &found));
        if (!found)
            break;
        at.len = key.len;
        memcpy(at.bytes, key.ptr, key.len);
        if (i % step == 0)
            assert_ok(pl_txn_del(txn, PL_TABLE_ELEMENT, pl_key_span(&at)));
        pl_key_bump(&at);
    }
    assert_ok(pl_txn_commit(txn));
}

/* Format 1 had no elements, format 2 none of tombstones; an upgrade that was cut has left some. */
static void db_upgrades_older_formats_also_after_a_cut(void **state)
{
    struct fixture *f = *state;
    uint8_t body[80];
    for (unsigned i = 0; i < 200; i++) {
        char id[8];
        snprintf(id, sizeof id, "m%u", i % 90);
        db_util_apply(f->db, db_util_message(i % 2 == 0 ? "c" : "d", id, 10 + i, "ann", "x", body));
        if (i % 9 == 0)
            db_util_apply(f->db, db_util_tombstone("c", id, 11 + i, "ann"));
    }
    db_util_check(f->db);
    struct parley_root root = db_util_root(f->db);
    for (size_t step = 1; step <= 3; step++) {
        parley_db_close(f->db);
        if (step < 3)
            drop_blocks(f, step);
        set_format(f, (uint8_t)step);
        f->db = db_util_open(&f->env.t.env, "a");
        db_util_check(f->db);
        struct parley_root after = db_util_root(f->db);
        assert_true(pl_root_equal(&root, &after));
        for (int i = 0; i < 200; i++)
            assert_ok(parley_db_maintain(f->db, 0, NULL));
        db_util_check(f->db);
        struct parley_read *read = NULL;
        struct parley_db_state now;
        assert_ok(parley_read_begin(f->db, &read));
        assert_ok(parley_read_state(read, &now));
        parley_read_end(read);
        assert_true(now.indexed == now.head);
    }
}

static void db_refuses_a_newer_format(void **state)
{
    struct fixture *f = *state;
    struct parley_db_options options = { .name = "a" };
    struct parley_db *db;
    struct parley_diag diag;
    parley_db_close(f->db);
    set_format(f, PL_DB_FORMAT + 1);
    assert_err(PARLEY_EFORMAT, parley_db_open(&f->env.t.env, &options, &db, NULL, &diag));
    set_format(f, PL_DB_FORMAT);
    f->db = db_util_open(&f->env.t.env, "a");
}

/* ---- Verdicts ---- */

static void db_tells_what_became_of_each_version(void **state)
{
    struct fixture *f = *state;
    struct parley_version v = db_util_message("c", "m", 10, "ann", "x", f->body);
    struct parley_write w = db_util_apply(f->db, v);
    assert_int_equal(PARLEY_VERDICT_NEW, w.verdict);
    assert_true(w.conversation_created);
    assert_int_equal(10, w.stamped_time);
    w = db_util_apply(f->db, v);
    assert_int_equal(PARLEY_VERDICT_SAME, w.verdict);
    w = db_util_apply(f->db, db_util_message("c", "m", 11, "ann", "y", f->other));
    assert_int_equal(PARLEY_VERDICT_UPDATED, w.verdict);
    assert_false(w.conversation_created);
    w = db_util_apply(f->db, db_util_message("c", "m", 9, "ann", "z", f->other));
    assert_int_equal(PARLEY_VERDICT_LOST, w.verdict);
    w = db_util_apply(f->db, v);
    assert_int_equal(PARLEY_VERDICT_SAME, w.verdict);
}

static void db_writes_nothing_for_what_it_knows(void **state)
{
    struct fixture *f = *state;
    struct parley_write ws[2] = {
        { .kind = PARLEY_WRITE_VERSION,
          .u.version = db_util_message("c", "m", 10, "ann", "x", f->body) },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("k"), .value = pl_span_text("v") } },
    };
    bool changed;
    assert_ok(parley_db_apply(f->db, ws, 2, DB_UTIL_NOW, &changed));
    assert_true(changed);
    set_faults(f, 0, 0, false); /* any write would fail */
    assert_ok(parley_db_apply(f->db, ws, 2, DB_UTIL_NOW, &changed));
    assert_false(changed);
    set_faults(f, -1, -1, false);
}

static void db_refuses_a_batch_with_one_bad_version_whole(void **state)
{
    struct fixture *f = *state;
    struct parley_write ws[2] = {
        { .kind = PARLEY_WRITE_VERSION,
          .u.version = db_util_message("c", "m", 10, "ann", "x", f->body) },
        { .kind = PARLEY_WRITE_VERSION,
          .u.version = db_util_message("c", "a\x01", 10, "ann", "x", f->other) },
    };
    bool changed;
    assert_err(PARLEY_EINVAL, parley_db_apply(f->db, ws, 2, DB_UTIL_NOW, &changed));
    assert_int_equal(0, db_util_root(f->db).count);
}

static void db_lets_a_local_write_win_over_everything_merged(void **state)
{
    struct fixture *f = *state;
    uint64_t ahead = (uint64_t)DB_UTIL_NOW + (uint64_t)PARLEY_CLOCK_DRIFT_US_MAX;
    db_util_apply(f->db, db_util_message("c", "m", ahead, "zed", "x", f->body));
    db_util_apply(f->db, db_util_delete("c", ahead, "zed"));
    struct parley_write w =
        db_util_apply(f->db, db_util_message("c", "m", 0, "", "mine", f->other));
    assert_int_equal(PARLEY_VERDICT_NEW, w.verdict);
    assert_int_equal(ahead + 1, w.stamped_time);
    w = db_util_apply(f->db, db_util_delete("c", 0, ""));
    assert_int_equal(PARLEY_VERDICT_UPDATED, w.verdict);
    assert_int_equal(1, db_util_root(f->db).count);
}

static void db_covers_older_registers_with_a_conversation_tombstone(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_conversation_info info;
    bool found;
    db_util_apply(f->db, db_util_message("c", "old", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c", "new", 30, "ann", "y", f->body));
    db_util_apply(f->db, db_util_delete("c", 20, "bob"));
    struct parley_write w =
        db_util_apply(f->db, db_util_message("c", "late", 15, "ann", "z", f->body));
    assert_int_equal(PARLEY_VERDICT_LOST, w.verdict);
    assert_int_equal(2, db_util_root(f->db).count);
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &info, &found));
    parley_read_end(read);
    assert_int_equal(1, info.messages);
    assert_int_equal(20, info.deleted);
    assert_int_equal(30, info.updated);
    assert_int_equal(2, db_util_check(f->db).history);
}

/* ---- Held ---- */

static void db_holds_a_version_from_the_future_until_its_time(void **state)
{
    struct fixture *f = *state;
    struct parley_version v = db_util_message("c", "m", FAR_AHEAD, "ann", "later", f->body);
    size_t count;
    assert_int_equal(PARLEY_VERDICT_HELD, db_util_apply(f->db, v).verdict);
    assert_int_equal(PARLEY_VERDICT_SAME, db_util_apply(f->db, v).verdict);
    struct parley_db_state s = db_util_state(f->db);
    assert_int_equal(1, s.held);
    assert_int_equal(0, s.clock);
    assert_int_equal(0, db_util_root(f->db).count);
    restart(f);
    assert_ok(parley_db_maintain(f->db, DB_UTIL_NOW, &count));
    assert_int_equal(0, count);
    assert_ok(parley_db_maintain(f->db, (parley_wall)FAR_AHEAD, &count));
    assert_int_equal(1, count);
    assert_int_equal(1, db_util_root(f->db).count);
    s = db_util_state(f->db);
    assert_int_equal(0, s.held);
    assert_int_equal(FAR_AHEAD, s.clock);
}

static void db_lists_what_it_holds_with_who_sent_it(void **state)
{
    struct fixture *f = *state;
    struct parley_held_position position = { 0 };
    struct parley_held held;
    struct parley_read *read;
    bool found;
    db_util_apply(f->db, db_util_message("c", "late", FAR_AHEAD + 9, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c", "soon", FAR_AHEAD, "ann", "x", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_held(read, &position, &held, &found));
    assert_true(found && pl_span_is(held.version.id, "soon"));
    assert_int_equal(7, held.source);
    assert_ok(parley_read_held(read, &position, &held, &found));
    assert_true(found && pl_span_is(held.version.id, "late"));
    assert_ok(parley_read_held(read, &position, &held, &found));
    assert_false(found);
    parley_read_end(read);
}

/* Its sender may have lost it since, in a restore, without our log having a place before it that
 * says so: a change of source 7 would not be sent there. */
static void db_forgets_who_sent_what_it_held(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_change change;
    bool found;
    db_util_apply(f->db, db_util_message("c", "m", FAR_AHEAD, "ann", "later", f->body));
    assert_ok(parley_db_maintain(f->db, (parley_wall)FAR_AHEAD, NULL));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_change(read, 1, &change, &found));
    assert_true(found);
    assert_int_equal(PARLEY_SOURCE_FORGOTTEN, change.source);
    parley_read_end(read);
}

/* ---- Lost ---- */

static void expect_lost(struct parley_read *read, struct parley_register_name *name, const char *id)
{
    bool found;
    assert_ok(parley_read_lost_after(read, name, &found));
    assert_int_equal(id != NULL, found);
    if (found)
        assert_true(pl_span_is(pl_span_of(name->id, name->id_len), id));
}

static void db_lists_registers_that_have_history(void **state)
{
    struct fixture *f = *state;
    struct parley_register_name name = { 0 };
    struct parley_read *read;
    static const char *const ids[] = { "a", "ab", "b" };
    for (uint64_t time = 10; time < 14; time++)
        for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++)
            db_util_apply(f->db, db_util_message("c", ids[i], time, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c", "once", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("d", "swept", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_delete("d", 20, "ann"));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(ids); i++)
        expect_lost(read, &name, ids[i]);
    expect_lost(read, &name, "swept");
    expect_lost(read, &name, NULL);
    name = (struct parley_register_name){ .conversation = 2 };
    expect_lost(read, &name, "swept");
    name.conversation = UINT64_MAX;
    bool found;
    assert_err(PARLEY_EINVAL, parley_read_lost_after(read, &name, &found));
    parley_read_end(read);
}

static void db_does_not_want_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct parley_version v = db_util_message("c", "m", FAR_AHEAD, "ann", "later", f->body);
    struct parley_read *read;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    bool wanted;
    pl_digest_of(&v, digest);
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_wants(read, &v, digest, &wanted));
    parley_read_end(read);
    assert_true(wanted);
    db_util_apply(f->db, v);
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_wants(read, &v, digest, &wanted));
    parley_read_end(read);
    assert_false(wanted);
}

/* ---- Reading ---- */

static void db_lists_changes_once_a_register_in_order(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_feed feed;
    struct parley_change change;
    bool found;
    db_util_apply(f->db, db_util_message("c", "m1", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c", "m2", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c", "m1", 11, "ann", "y", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_feed_begin(read, 0, &feed));
    assert_ok(parley_feed_next(&feed, &change, &found));
    assert_true(found);
    assert_int_equal(2, change.seq);
    assert_int_equal(7, change.source);
    assert_span_text(change.version.id, "m2");
    assert_ok(parley_feed_next(&feed, &change, &found));
    assert_int_equal(3, change.seq);
    assert_span_text(change.version.id, "m1");
    assert_span_text(change.version.origin, "ann");
    assert_span_text(change.version.name_space, "main");
    assert_ok(parley_feed_next(&feed, &change, &found));
    assert_false(found);
    parley_read_end(read);
}

static void db_iterators_of_one_read_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_register_cursor one, two;
    struct parley_version v;
    bool found;
    for (int i = 0; i < 6; i++) {
        char id[] = { 'm', (char)('0' + i / 2), 0 };
        db_util_apply(f->db, db_util_message(i % 2 != 0 ? "c1" : "c2", id, 10, "a", "x", f->body));
    }
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_registers_begin(read, 1, &one));
    assert_ok(parley_registers_begin(read, 2, &two));
    for (int i = 0; i < 3; i++) {
        char id[] = { 'm', (char)('0' + i), 0 };
        assert_ok(parley_registers_next(&one, &v, &found));
        assert_true(found && pl_span_is(v.id, id) && pl_span_is(v.conversation, "c2"));
        assert_ok(parley_registers_next(&two, &v, &found));
        assert_true(found && pl_span_is(v.id, id) && pl_span_is(v.conversation, "c1"));
    }
    assert_ok(parley_registers_next(&one, &v, &found));
    assert_false(found);
    assert_ok(parley_registers_next(&two, &v, &found));
    assert_false(found);
    parley_read_end(read);
}

static struct parley_register_name name_of(uint64_t conversation, const struct parley_version *v)
{
    struct parley_register_name name = { .conversation = conversation,
                                         .kind = v->kind,
                                         .id_len = v->id.len };
    if (v->id.len != 0)
        memcpy(name.id, v->id.ptr, v->id.len);
    return name;
}

/* A walk over registers that is begun anew behind each of them sees all of them, as changes. */
static void db_goes_on_with_registers_behind_any_of_them(void **state)
{
    struct fixture *f = *state;
    static const char *const expected[] = { "", "m0", "m01", "m1" };
    struct parley_read *read;
    struct parley_register_name name = { .conversation = 2 };
    struct parley_register_cursor cursor;
    struct parley_change change;
    bool found = false;
    db_util_apply(f->db, db_util_message("c0", "m", 10, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m1", 11, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m01", 12, "ann", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m0", 13, "ann", "x", f->body));
    db_util_apply(f->db, db_util_delete("c1", 5, "ann"));
    db_util_apply(f->db, db_util_message("c2", "m", 10, "ann", "x", f->body));
    assert_ok(parley_read_begin(f->db, &read));
    for (size_t i = 0; i < PL_ARRAY_LEN(expected); i++) {
        struct parley_change same;
        uint64_t conversation = 0;
        assert_ok(parley_registers_begin_after(read, &name, &cursor));
        assert_ok(parley_registers_next_change(&cursor, &change, &found));
        assert_true(found && pl_span_is(change.version.id, expected[i]));
        assert_ok(parley_read_change(read, change.seq, &same, &found));
        assert_true(found && pl_span_equal(same.version.id, change.version.id));
        assert_int_equal(same.source, change.source);
        assert_memory_equal(same.digest, change.digest, sizeof same.digest);
        assert_ok(parley_read_change_conversation(read, change.seq, &conversation, &found));
        assert_true(found && conversation == 2);
        name = name_of(2, &change.version);
    }
    assert_ok(parley_registers_begin_after(read, &name, &cursor));
    assert_ok(parley_registers_next_change(&cursor, &change, &found));
    assert_false(found);
    uint64_t conversation = 0;
    assert_ok(parley_read_change_conversation(read, 99, &conversation, &found));
    assert_false(found);
    parley_read_end(read);
}

static void db_lists_live_conversations_in_id_order(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_conversation_info info;
    struct parley_span main = pl_span_text("main");
    bool found;
    db_util_apply(f->db, db_util_message("c2", "m", 10, "a", "x", f->body));
    db_util_apply(f->db, db_util_message("c1", "m", 10, "a", "x", f->body));
    db_util_apply(f->db, db_util_message("c10", "m", 10, "a", "x", f->body));
    db_util_apply(f->db, db_util_delete("c10", 20, "a"));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_conversation_after(read, main, pl_span_of(NULL, 0), &info, &found));
    assert_true(found && pl_span_is(info.id, "c1"));
    assert_ok(parley_read_conversation_after(read, main, info.id, &info, &found));
    assert_true(found && pl_span_is(info.id, "c2"));
    assert_ok(parley_read_conversation_after(read, main, info.id, &info, &found));
    assert_false(found);
    parley_read_end(read);
}

/* ---- Rows of the node ---- */

static void db_keeps_rows_of_the_node_apart_from_its_own(void **state)
{
    struct fixture *f = *state;
    struct parley_write ws[] = {
        { .kind = PARLEY_WRITE_CURSOR, .u.cursor = { .peer = 3, .seq = 9 } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("p/1"), .value = pl_span_text("v1") } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("p/2"), .value = pl_span_of(NULL, 0) } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("q"), .value = pl_span_text("v3") } },
    };
    struct parley_read *read;
    struct parley_incarnation incarnation;
    struct parley_span key, value;
    parley_seq seq;
    bool found, changed;
    assert_ok(parley_db_apply(f->db, ws, 4, DB_UTIL_NOW, &changed));
    assert_ok(parley_read_begin(f->db, &read));
    assert_ok(parley_read_cursor(read, 3, &incarnation, &seq, &found));
    assert_true(found && seq == 9);
    assert_ok(parley_read_cursor(read, 4, &incarnation, &seq, &found));
    assert_false(found);
    assert_ok(parley_read_sys_after(read, pl_span_of(NULL, 0), pl_span_of(NULL, 0), &key, &value,
                                    &found));
    assert_true(found && pl_span_is(key, "p/1") && pl_span_is(value, "v1"));
    assert_ok(parley_read_sys_after(read, pl_span_text("p/"), key, &key, &value, &found));
    assert_true(found && pl_span_is(key, "p/2") && value.len == 0);
    assert_ok(parley_read_sys_after(read, pl_span_text("p/"), key, &key, &value, &found));
    assert_false(found);
    assert_ok(parley_read_sys(read, pl_span_text("q"), &value, &found));
    assert_true(found && pl_span_is(value, "v3"));
    parley_read_end(read);
    ws[1].u.sys.key = pl_span_of("\0c", 2);
    assert_err(PARLEY_EINVAL, parley_db_apply(f->db, ws, 4, DB_UTIL_NOW, &changed));
    ws[2].kind = PARLEY_WRITE_SYS_DEL;
    assert_ok(parley_db_apply(f->db, ws + 2, 1, DB_UTIL_NOW, &changed));
    assert_true(changed);
}

/* ---- Faults ---- */

/* A batch that touches every table. */
static size_t fill_batch(struct fixture *f, struct parley_write *ws)
{
    struct parley_version versions[] = {
        db_util_message("c1", "m1", 40, "ann", "x", f->body),
        db_util_message("c1", "m1", 41, "bob", "x", f->body),
        db_util_message("c2", "m1", 40, "cy", "x", f->body),
        db_util_delete("c2", 50, "ann"),
        db_util_message("c3", "m1", FAR_AHEAD, "ann", "x", f->body),
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(versions); i++)
        ws[i] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION, .u.version = versions[i] };
    ws[5] = (struct parley_write){ .kind = PARLEY_WRITE_CURSOR, .u.cursor = { .peer = 1 } };
    return 6;
}

static void db_survives_every_failing_put(void **state)
{
    struct fixture *f = *state;
    struct parley_write ws[6];
    size_t count = fill_batch(f, ws);
    bool changed;
    parley_err err = PARLEY_EMAPFULL;
    int64_t nth = 0;
    db_util_apply(f->db, db_util_message("c0", "m", 5, "ann", "x", f->other));
    struct parley_root before = db_util_root(f->db);
    for (; err != PARLEY_OK && nth < 200; nth++) {
        set_faults(f, nth, -1, false);
        err = parley_db_apply(f->db, ws, count, DB_UTIL_NOW, &changed);
        set_faults(f, -1, -1, false);
        if (err == PARLEY_OK)
            break;
        assert_err(PARLEY_EMAPFULL, err);
        struct parley_root after = db_util_root(f->db);
        assert_true(pl_root_equal(&before, &after));
        db_util_check(f->db);
    }
    assert_in_range(nth, 15, 100);
    assert_int_equal(3, db_util_root(f->db).count);
}

static void db_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    struct parley_write ws[6];
    size_t count = fill_batch(f, ws);
    bool changed;
    parley_err err = PARLEY_ENOMEM;
    for (int64_t nth = 0; err != PARLEY_OK && nth < 5000; nth++) {
        f->env.t.fail_after = nth;
        err = parley_db_apply(f->db, ws, count, DB_UTIL_NOW, &changed);
        f->env.t.fail_after = -1;
        if (err != PARLEY_OK) {
            assert_err(PARLEY_ENOMEM, err);
            db_util_check(f->db);
        }
    }
    assert_ok(err);
    assert_int_equal(2, db_util_root(f->db).count);
}

static void db_open_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    struct parley_db_options options = { .name = "fresh" };
    struct parley_db *db;
    parley_err err = PARLEY_ENOMEM;
    for (int64_t nth = 0; err != PARLEY_OK && nth < 500; nth++) {
        f->env.t.fail_after = nth;
        err = parley_db_open(&f->env.t.env, &options, &db, NULL, NULL);
        f->env.t.fail_after = -1;
    }
    assert_ok(err);
    db_util_check(db);
    parley_db_close(db);
}

static void fail_commit(struct fixture *f, bool applied)
{
    struct parley_write ws[6];
    size_t count = fill_batch(f, ws);
    bool changed;
    db_util_apply(f->db, db_util_message("c0", "m", 5, "ann", "x", f->other));
    set_faults(f, -1, 0, applied);
    assert_err(PARLEY_EIO, parley_db_apply(f->db, ws, count, DB_UTIL_NOW, &changed));
    set_faults(f, -1, -1, false);
    assert_err(PARLEY_EIO, parley_db_apply(f->db, ws, count, DB_UTIL_NOW, &changed));
    assert_ok(parley_db_recover(f->db));
    assert_int_equal(applied ? 3 : 1, db_util_root(f->db).count);
    assert_ok(parley_db_apply(f->db, ws, count, DB_UTIL_NOW, &changed));
    assert_int_equal(!applied, changed);
    assert_int_equal(3, db_util_root(f->db).count);
}

static void db_recovers_from_a_commit_that_was_not_applied(void **state)
{
    fail_commit(*state, false);
}

static void db_recovers_from_a_commit_that_was_applied_after_all(void **state)
{
    fail_commit(*state, true);
}

/* A disk that lost an acknowledged commit: the counters are those of an earlier one. */
static void db_recover_refuses_a_store_that_lost_an_acknowledged_commit(void **state)
{
    struct fixture *f = *state;
    struct parley_store *store = env_mem_store(&f->env, "a");
    struct parley_span key = pl_span_text("counters");
    struct parley_span value;
    struct pl_txn *txn;
    uint8_t older[64], newer[64];
    bool found;
    for (int i = 0; i < 2; i++) {
        struct parley_write w = { .kind = PARLEY_WRITE_CURSOR,
                                  .u.cursor = { .peer = 1, .seq = 1 + (uint64_t)i } };
        bool changed;
        assert_ok(parley_db_apply(f->db, &w, 1, DB_UTIL_NOW, &changed));
        assert_ok(pl_store_read_begin(store, &txn));
        assert_ok(pl_txn_get(txn, PL_TABLE_META, key, &value, &found));
        memcpy(i == 0 ? older : newer, value.ptr, value.len);
        pl_store_read_end(txn);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(pl_store_write_begin(store, &txn));
        assert_ok(
            pl_txn_put(txn, PL_TABLE_META, key, pl_span_of(i == 0 ? older : newer, value.len)));
        assert_ok(pl_txn_commit(txn));
        assert_err(i == 0 ? PARLEY_ECORRUPT : PARLEY_OK, parley_db_recover(f->db));
    }
}

/* ---- LMDB ---- */

static parley_err open_lmdb(void *ud, const char *name, struct parley_store **out,
                            struct parley_diag *diag)
{
    struct test_env *t = ud;
    return pl_store_lmdb_open(&t->env, name, out, diag);
}

static void db_on_lmdb_equals_db_in_memory(void **state)
{
    struct fixture *f = *state;
    struct test_env t;
    char dir[64];
    bool changed;
    struct parley_write ws[400];
    static uint8_t bodies[400][80];
    static char ids[400][8];
    test_env_init(&t);
    t.env.store_open = open_lmdb;
    test_tmpdir(dir);
    struct parley_db *db = db_util_open(&t.env, dir);
    for (size_t i = 0; i < 400; i++) {
        snprintf(ids[i], sizeof ids[i], "m%zu", i % 30);
        struct parley_version v =
            i % 97 == 96 ? db_util_delete(i % 2 != 0 ? "ca" : "cb", 100 + i / 2, "ann")
                         : db_util_message("c", ids[i], 100 + i, "ann", "text", bodies[i]);
        if (v.kind == PARLEY_KIND_MESSAGE)
            v.conversation = pl_span_text(i / 40 % 2 != 0 ? "ca" : "cb");
        ws[i] = (struct parley_write){ .kind = PARLEY_WRITE_VERSION, .u.version = v };
    }
    for (size_t i = 0; i < 400; i += 50) {
        assert_ok(parley_db_apply(db, ws + i, 50, DB_UTIL_NOW, &changed));
        assert_ok(parley_db_apply(f->db, ws + i, 50, DB_UTIL_NOW, &changed));
    }
    struct parley_root mine = db_util_root(f->db);
    struct parley_root theirs = db_util_root(db);
    assert_true(pl_root_equal(&mine, &theirs));
    parley_db_close(db);
    db = db_util_open(&t.env, dir);
    theirs = db_util_root(db);
    assert_true(pl_root_equal(&mine, &theirs));
    assert_true(db_util_check(db).history > 0);
    parley_db_close(db);
    test_rmtree(dir);
    assert_int_equal(0, t.allocs);
}

static void db_keeps_large_bodies(void **state)
{
    struct fixture *f = *state;
    size_t len = PARLEY_CONTENT_BYTES_MAX;
    size_t cap = len + 32;
    uint8_t *body = test_malloc(cap);
    char *content = test_malloc(len);
    memset(content, 'x', len);
    struct pl_writer w = pl_writer_over(body, cap);
    pl_write_u8(&w, 0x92);
    pl_write_u8(&w, 0xa0);
    pl_write_u8(&w, 0xdb);
    pl_write_u32(&w, (uint32_t)len);
    pl_write_bytes(&w, content, len);
    struct parley_version v = db_util_message("c", "m", 10, "ann", "", f->body);
    v.body = pl_writer_span(&w);
    assert_int_equal(PARLEY_VERDICT_NEW, db_util_apply(f->db, v).verdict);
    v.time = 11;
    assert_int_equal(PARLEY_VERDICT_UPDATED, db_util_apply(f->db, v).verdict);
    v.time = FAR_AHEAD;
    assert_int_equal(PARLEY_VERDICT_HELD, db_util_apply(f->db, v).verdict);
    size_t count;
    assert_ok(parley_db_maintain(f->db, (parley_wall)FAR_AHEAD, &count));
    assert_int_equal(1, count);
    test_free(content);
    test_free(body);
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(db_is_the_same_after_a_restart),
        DB_TEST(db_renews_the_incarnation_of_a_copied_store),
        DB_TEST(db_renews_the_incarnation_when_the_witness_has_seen_more),
        DB_TEST(db_refuses_a_newer_format),
        DB_TEST(db_upgrades_older_formats_also_after_a_cut),
        DB_TEST(db_tells_what_became_of_each_version),
        DB_TEST(db_writes_nothing_for_what_it_knows),
        DB_TEST(db_refuses_a_batch_with_one_bad_version_whole),
        DB_TEST(db_lets_a_local_write_win_over_everything_merged),
        DB_TEST(db_covers_older_registers_with_a_conversation_tombstone),
        DB_TEST(db_holds_a_version_from_the_future_until_its_time),
        DB_TEST(db_lists_what_it_holds_with_who_sent_it),
        DB_TEST(db_forgets_who_sent_what_it_held),
        DB_TEST(db_lists_registers_that_have_history),
        DB_TEST(db_does_not_want_what_it_holds),
        DB_TEST(db_lists_changes_once_a_register_in_order),
        DB_TEST(db_iterators_of_one_read_do_not_disturb_each_other),
        DB_TEST(db_goes_on_with_registers_behind_any_of_them),
        DB_TEST(db_lists_live_conversations_in_id_order),
        DB_TEST(db_keeps_rows_of_the_node_apart_from_its_own),
        DB_TEST(db_survives_every_failing_put),
        DB_TEST(db_survives_every_failing_allocation),
        DB_TEST(db_open_survives_every_failing_allocation),
        DB_TEST(db_recovers_from_a_commit_that_was_not_applied),
        DB_TEST(db_recovers_from_a_commit_that_was_applied_after_all),
        DB_TEST(db_recover_refuses_a_store_that_lost_an_acknowledged_commit),
        DB_TEST(db_on_lmdb_equals_db_in_memory),
        DB_TEST(db_keeps_large_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
