/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes and restores backups in memory. For one test program: it holds functions.
 */
#ifndef BACKUP_FIXTURE_H
#define BACKUP_FIXTURE_H

#include "core/digest.h"
#include "db/backup_int.h"
#include "lib/db_fixture.h"

#include <stdlib.h>

#define BYTES_MAX (1u << 20)

struct backup {
    uint8_t bytes[BYTES_MAX];
    size_t len;
    struct parley_backup_place place;
    bool done;
};

/* ---- Taking ---- */

static const struct parley_backup_options backup_options = {
    .journal = { (const uint8_t *)"audit/", 6 }, .now = DB_UTIL_NOW
};

/* The next block behind what is there, with the room that it asks for. */
static inline void take_block(struct parley_db *db, struct backup *b)
{
    struct parley_read *read;
    size_t len = 0;
    assert_ok(parley_read_begin(db, &read));
    parley_err err =
        parley_backup_next(read, &backup_options, &b->place, b->bytes + b->len, 0, &len, &b->done);
    assert_err(PARLEY_EFULL, err);
    while (err == PARLEY_EFULL) {
        assert_true(b->len + len <= BYTES_MAX);
        err = parley_backup_next(read, &backup_options, &b->place, b->bytes + b->len, len, &len,
                                 &b->done);
    }
    assert_ok(err);
    parley_read_end(read);
    b->len += len;
}

/* With all the room there is. */
static inline void take_roomy_block(struct parley_db *db, struct backup *b)
{
    struct parley_read *read;
    size_t len = 0;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_backup_next(read, &backup_options, &b->place, b->bytes + b->len,
                                 BYTES_MAX - b->len, &len, &b->done));
    parley_read_end(read);
    b->len += len;
}

static inline struct backup *take(struct parley_db *db)
{
    struct backup *b = calloc(1, sizeof *b);
    assert_non_null(b);
    while (!b->done)
        take_roomy_block(db, b);
    return b;
}

/* ---- Restoring ---- */

static inline parley_err push_all(struct parley_restore *r, const uint8_t *bytes, size_t len,
                                  size_t step, struct parley_diag *diag)
{
    for (size_t at = 0; at < len; at += step)
        PL_TRY(parley_restore_push(r, bytes + at, pl_min_size(step, len - at), diag));
    return parley_restore_finish(r, diag);
}

static inline parley_err restore_into(struct fixture *f, struct parley_db *db,
                                      const struct backup *b, size_t step,
                                      struct parley_backup_report *report)
{
    struct parley_restore *r;
    struct parley_diag diag = { "" };
    enum parley_restore_mode mode = db != NULL ? PARLEY_RESTORE_STORE : PARLEY_RESTORE_VERIFY;
    assert_ok(parley_restore_open(&f->env.t.env, db, mode, &r));
    parley_err err = push_all(r, b->bytes, b->len, step, &diag);
    assert_true((err != PARLEY_OK) == (diag.text[0] != '\0'));
    if (report != NULL)
        parley_restore_report(r, report);
    parley_restore_close(r);
    return err;
}

static inline struct parley_db *restored(struct fixture *f, const struct backup *b,
                                         const char *name)
{
    struct parley_db *db = db_util_open(&f->env.t.env, name);
    assert_ok(restore_into(f, db, b, 777, NULL));
    db_util_check(db);
    return db;
}

/* ---- Contents ---- */

static inline void put_sys(struct parley_db *db, const char *key, const char *value)
{
    struct parley_write w = { .kind = PARLEY_WRITE_SYS_PUT };
    w.u.sys.key = pl_span_text(key);
    w.u.sys.value = pl_span_text(value);
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
}

static inline void apply(struct parley_db *db, struct parley_write w)
{
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
}

static inline void assert_sys(struct parley_db *db, const char *key, const char *value)
{
    struct parley_read *read;
    struct parley_span found_value;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_sys(read, pl_span_text(key), &found_value, &found));
    assert_int_equal(value != NULL, found);
    if (value != NULL)
        assert_true(pl_span_is(found_value, value));
    parley_read_end(read);
}

/* The sequence of the live message. */
static inline parley_seq seq_of(struct parley_db *db, const char *conversation, const char *id)
{
    struct parley_read *read;
    struct parley_feed feed;
    struct parley_change change;
    parley_seq seq = 0;
    bool found = true;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_feed_begin(read, 0, &feed));
    while (seq == 0 && found) {
        assert_ok(parley_feed_next(&feed, &change, &found));
        if (found && pl_span_is(change.version.conversation, conversation) &&
            pl_span_is(change.version.id, id))
            seq = change.seq;
    }
    parley_read_end(read);
    assert_true(seq != 0);
    return seq;
}

/* Some of everything. */
static inline void fill(struct fixture *f)
{
    struct parley_db *db = f->db;
    uint8_t *body = f->body;
    char id[8] = "m0";
    /* With tiny blocks what stands before the journal is longer than one. */
    put_sys(db, "a", "........................................................................");
    for (char name[3] = "a0"; name[1] < '8'; name[1]++)
        put_sys(db, name, "................................................................");
    put_sys(db, "audit-head", "2");
    put_sys(db, "audit/1", "one");
    put_sys(db, "audit/2", "two");
    put_sys(db, "identity", "sealed");
    put_sys(db, "identity/rotations", "chain");
    put_sys(db, "peer/x", "record");
    for (int i = 0; i < 8; i++, id[1]++)
        db_util_apply(db, db_util_message("c", id, 100u + (uint64_t)i, "o", "text", body));
    for (int i = 0; i < 60; i++) {
        char many[8] = "n00";
        many[1] = (char)('0' + i / 10);
        many[2] = (char)('0' + i % 10);
        db_util_apply(db, db_util_message("many", many, 100u + (uint64_t)i, "o", "text", body));
    }
    db_util_apply(db, db_util_message("c", "m1", 200, "other", "edited", body));
    db_util_apply(db, db_util_message("c", "m1", 150, "third", "lost", body));
    db_util_apply(db, db_util_tombstone("c", "m2", 210, "o"));
    db_util_apply(db, db_util_message("gone", "m0", 120, "o", "text", body));
    db_util_apply(db, db_util_delete("gone", 130, "o"));
    db_util_apply(db, db_util_message("old", "m0", 20, "o", "deleted long ago", body));
    db_util_apply(db, db_util_tombstone("old", "m0", 30, "o"));
    db_util_apply(db, db_util_message("erased", "m0", 45, "o", "nobody may know", body));
    db_util_apply(db, db_util_purge("erased", 46, "o"));
    struct parley_write rule = { .kind = PARLEY_WRITE_RETENTION };
    rule.u.retention.name_space = pl_span_text("main");
    rule.u.retention.rule = (struct parley_retention){ .versions = 20, .age_us = 12345 };
    apply(db, rule);
    db_util_apply(db, db_util_message("aside", "m0", 40, "o", "to the trash", body));
    db_util_apply(db, db_util_message("c", "later", DB_UTIL_NOW * 2, "o", "held", body));
    struct parley_write cursor = { .kind = PARLEY_WRITE_CURSOR };
    cursor.u.cursor.peer = 7;
    cursor.u.cursor.seq = 4711;
    memset(cursor.u.cursor.incarnation.bytes, 5, PARLEY_INCARNATION_BYTES);
    apply(db, cursor);
    struct parley_write view = { .kind = PARLEY_WRITE_VIEW };
    view.u.view.name_space = pl_span_text("main");
    view.u.view.prefix = pl_span_text("c");
    for (int i = 0; i < 20; i++)
        apply(db, view);
    apply(db, (struct parley_write){ .kind = PARLEY_WRITE_TRASH,
                                     .u.trash = seq_of(db, "aside", "m0") });
    struct parley_write collect = { .kind = PARLEY_WRITE_COLLECT };
    collect.u.collect.name_space = pl_span_text("main");
    collect.u.collect.upto = 60;
    collect.u.collect.raise = true;
    collect.u.collect.clean = 55;
    for (int i = 0; i < 20; i++)
        apply(db, collect);
}

/* ---- Equality ---- */

struct totals {
    struct parley_root root;
    struct parley_check_report report;
    uint64_t trash, floor, clean;
    struct parley_retention rule;
};

static inline struct totals totals_of(struct parley_db *db)
{
    struct totals t = { .root = db_util_root(db), .report = db_util_check(db) };
    struct parley_read *read;
    struct parley_namespace_info info;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_trash_count(read, &t.trash));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    assert_true(found);
    t.floor = info.floor;
    t.clean = info.clean;
    assert_ok(parley_read_retention(read, pl_span_text("main"), &t.rule));
    parley_read_end(read);
    return t;
}

static inline void assert_same_node(struct parley_db *a, struct parley_db *b)
{
    struct totals x = totals_of(a);
    struct totals y = totals_of(b);
    struct parley_db_state sa = db_util_state(a);
    struct parley_db_state sb = db_util_state(b);
    assert_true(pl_root_equal(&x.root, &y.root));
    assert_int_equal(x.report.versions, y.report.versions);
    assert_int_equal(x.report.history, y.report.history);
    assert_int_equal(x.report.held, y.report.held);
    assert_int_equal(x.trash, y.trash);
    assert_int_equal(x.floor, y.floor);
    assert_int_equal(x.clean, y.clean);
    assert_int_equal(x.rule.versions, y.rule.versions);
    assert_int_equal(x.rule.age_us, y.rule.age_us);
    assert_int_equal(sa.clock, sb.clock);
    assert_memory_not_equal(&sa.incarnation, &sb.incarnation, sizeof sa.incarnation);
}

#endif
