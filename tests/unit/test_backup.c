/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: what is in them, what a restore makes of them, and that no damage gets past it.
 */
#include "core/digest.h"
#include "db/backup_int.h"
#include "lib/db_fixture.h"

#include <parley/backup.h>

#include <stdlib.h>

#define JOURNAL   "audit/"
#define BYTES_MAX (1u << 20)

struct backup {
    uint8_t bytes[BYTES_MAX];
    size_t len;
    struct parley_backup_place place;
    bool done;
};

/* ---- Taking ---- */

static const struct parley_backup_options options = { .journal = { (const uint8_t *)JOURNAL, 6 },
                                                      .now = DB_UTIL_NOW };

/* The next block behind what is there, with the room that it asks for. */
static void take_block(struct parley_db *db, struct backup *b)
{
    struct parley_read *read;
    size_t len = 0;
    assert_ok(parley_read_begin(db, &read));
    parley_err err =
        parley_backup_next(read, &options, &b->place, b->bytes + b->len, 0, &len, &b->done);
    assert_err(PARLEY_EFULL, err);
    while (err == PARLEY_EFULL) {
        assert_true(b->len + len <= BYTES_MAX);
        err = parley_backup_next(read, &options, &b->place, b->bytes + b->len, len, &len, &b->done);
    }
    assert_ok(err);
    parley_read_end(read);
    b->len += len;
}

/* With all the room there is. */
static void take_roomy_block(struct parley_db *db, struct backup *b)
{
    struct parley_read *read;
    size_t len = 0;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_backup_next(read, &options, &b->place, b->bytes + b->len, BYTES_MAX - b->len,
                                 &len, &b->done));
    parley_read_end(read);
    b->len += len;
}

static struct backup *take(struct parley_db *db)
{
    struct backup *b = calloc(1, sizeof *b);
    assert_non_null(b);
    while (!b->done)
        take_roomy_block(db, b);
    return b;
}

/* ---- Restoring ---- */

static parley_err push_all(struct parley_restore *r, const uint8_t *bytes, size_t len, size_t step,
                           struct parley_diag *diag)
{
    for (size_t at = 0; at < len; at += step)
        PL_TRY(parley_restore_push(r, bytes + at, pl_min_size(step, len - at), diag));
    return parley_restore_finish(r, diag);
}

static parley_err restore_into(struct fixture *f, struct parley_db *db, const struct backup *b,
                               size_t step, struct parley_backup_report *report)
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

static struct parley_db *restored(struct fixture *f, const struct backup *b, const char *name)
{
    struct parley_db *db = db_util_open(&f->env.t.env, name);
    assert_ok(restore_into(f, db, b, 777, NULL));
    db_util_check(db);
    return db;
}

/* ---- Contents ---- */

static void put_sys(struct parley_db *db, const char *key, const char *value)
{
    struct parley_write w = { .kind = PARLEY_WRITE_SYS_PUT };
    w.u.sys.key = pl_span_text(key);
    w.u.sys.value = pl_span_text(value);
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
}

static void apply(struct parley_db *db, struct parley_write w)
{
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
}

static void assert_sys(struct parley_db *db, const char *key, const char *value)
{
    struct parley_read *read;
    struct pl_span found_value;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_sys(read, pl_span_text(key), &found_value, &found));
    assert_int_equal(value != NULL, found);
    if (value != NULL)
        assert_true(pl_span_is(found_value, value));
    parley_read_end(read);
}

/* The sequence of the live message. */
static parley_seq seq_of(struct parley_db *db, const char *conversation, const char *id)
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
static void fill(struct fixture *f)
{
    struct parley_db *db = f->db;
    uint8_t *body = f->body;
    char id[8] = "m0";
    put_sys(db, "audit-head", "2");
    put_sys(db, "audit/1", "one");
    put_sys(db, "audit/2", "two");
    put_sys(db, "identity", "sealed");
    put_sys(db, "identity/rotations", "chain");
    put_sys(db, "peer/x", "record");
    for (int i = 0; i < 8; i++, id[1]++)
        db_util_apply(db, db_util_message("c", id, 100u + (uint64_t)i, "o", "text", body));
    db_util_apply(db, db_util_message("c", "m1", 200, "other", "edited", body));
    db_util_apply(db, db_util_message("c", "m1", 150, "third", "lost", body));
    db_util_apply(db, db_util_tombstone("c", "m2", 210, "o"));
    db_util_apply(db, db_util_message("gone", "m0", 120, "o", "text", body));
    db_util_apply(db, db_util_delete("gone", 130, "o"));
    db_util_apply(db, db_util_message("old", "m0", 20, "o", "deleted long ago", body));
    db_util_apply(db, db_util_tombstone("old", "m0", 30, "o"));
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
};

static struct totals totals_of(struct parley_db *db)
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
    parley_read_end(read);
    return t;
}

static void assert_same_node(struct parley_db *a, struct parley_db *b)
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
    assert_int_equal(sa.clock, sb.clock);
    assert_memory_not_equal(&sa.incarnation, &sb.incarnation, sizeof sa.incarnation);
}

/* ---- What is in a backup ---- */

static void backup_restores_everything_of_a_node_in_a_new_incarnation(void **state)
{
    struct fixture *f = *state;
    struct parley_incarnation incarnation;
    struct parley_read *read;
    enum parley_view_state view;
    parley_seq seq;
    bool found;
    fill(f);
    struct backup *b = take(f->db);
    struct parley_db *db = restored(f, b, "restored");
    assert_same_node(f->db, db);
    assert_sys(db, "identity", "sealed");
    assert_sys(db, "identity/rotations", "chain");
    assert_sys(db, "audit/2", "two");
    assert_sys(db, "peer/x", "record");
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_cursor(read, 7, &incarnation, &seq, &found));
    assert_true(found && seq == 4711 && incarnation.bytes[3] == 5);
    assert_ok(parley_read_view(read, pl_span_text("main"), pl_span_text("c"), &view));
    assert_int_equal(PARLEY_VIEW_READY, view);
    parley_read_end(read);
    parley_db_close(db);
    free(b);
}

static void backup_keeps_who_a_version_came_from(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct parley_change change;
    bool found;
    db_util_apply(f->db, db_util_message("c", "m", 9, "o", "text", f->body));
    struct backup *b = take(f->db);
    struct parley_db *db = restored(f, b, "restored");
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_change(read, 1, &change, &found));
    assert_true(found && change.source == 7);
    parley_read_end(read);
    parley_db_close(db);
    free(b);
}

static void backup_of_an_empty_store_is_whole(void **state)
{
    struct fixture *f = *state;
    struct parley_backup_report report;
    struct backup *b = take(f->db);
    assert_ok(restore_into(f, NULL, b, BYTES_MAX, &report));
    assert_true(report.complete);
    assert_int_equal(2, report.records);
    assert_int_equal(b->len, report.bytes);
    assert_int_equal(DB_UTIL_NOW, report.taken_at);
    parley_db_close(restored(f, b, "restored"));
    free(b);
}

static void backup_is_the_same_whatever_the_room(void **state)
{
    struct fixture *f = *state;
    struct backup *tight = calloc(1, sizeof *tight);
    fill(f);
    struct backup *roomy = take(f->db);
    while (!tight->done)
        take_block(f->db, tight);
    assert_int_equal(roomy->len, tight->len);
    assert_memory_equal(roomy->bytes, tight->bytes, tight->len);
    free(tight);
    free(roomy);
}

static void backup_holds_a_version_longer_than_a_block(void **state)
{
    struct fixture *f = *state;
    size_t len = PL_BACKUP_BLOCK_BYTES + 1000;
    uint8_t *body = calloc(1, len + 16);
    struct parley_version v = db_util_message("c", "big", 9, "o", "", f->body);
    struct pl_writer w = pl_writer_over(body, len + 16);
    v.kind = PARLEY_KIND_HEADER;
    v.id = pl_span_text("metadata.x");
    if (len > 60000)
        len = 60000; /* a header has at most 64 KiB; then it is only long */
    pl_write_u8(&w, 0xc6);
    pl_write_u32(&w, (uint32_t)len);
    w.len += len;
    v.body = pl_writer_span(&w);
    db_util_apply(f->db, db_util_message("c", "m", 8, "o", "before", f->body));
    db_util_apply(f->db, v);
    struct backup *b = calloc(1, sizeof *b);
    while (!b->done)
        take_block(f->db, b);
    struct parley_db *db = restored(f, b, "restored");
    assert_same_node(f->db, db);
    parley_db_close(db);
    free(b);
    free(body);
}

/* ---- While it is written to ---- */

/* What happens between two blocks, so that every row moves somewhere. */
static void disturb(struct fixture *f, unsigned round)
{
    char id[8] = "m0";
    char name[16] = "new0";
    struct parley_db *db = f->db;
    uint64_t time = 1000 + round * 10;
    name[3] = (char)('a' + round % 26);
    id[1] = (char)('0' + round % 8);
    db_util_apply(db, db_util_message("c", id, time, "o", "again", f->body));
    db_util_apply(db, db_util_message(name, "m0", time + 1, "o", "new", f->body));
    if (round % 3 == 0)
        db_util_apply(db, db_util_tombstone("c", id, time + 2, "o"));
    if (round % 5 == 0)
        db_util_apply(db, db_util_delete(name, time + 3, "o"));
    put_sys(db, "audit-head", "more");
    char key[16] = "audit/a";
    key[6] = (char)('a' + round % 26);
    put_sys(db, key, "later");
}

static bool is_before_the_end_of_the_log(const struct backup *b)
{
    struct pl_backup_at at;
    struct pl_span place = pl_span_of(b->place.bytes, b->place.len);
    assert_ok(pl_backup_read_at(pl_span_after(place, PARLEY_BACKUP_DIGEST_BYTES), &at));
    return at.phase <= PL_BACKUP_WALK_LOG;
}

/* With writes after each block, `rounds` times; with `early` none behind the last block of the log.
 */
static struct backup *take_disturbed(struct fixture *f, unsigned rounds, bool early)
{
    struct backup *b = calloc(1, sizeof *b);
    for (unsigned round = 0; !b->done; round++) {
        take_block(f->db, b);
        if (round < rounds && (!early || is_before_the_end_of_the_log(b)))
            disturb(f, round);
    }
    return b;
}

#define ROUNDS_MAX 40

static void backup_under_writes_is_sound_and_has_all_that_was_there(void **state)
{
    struct fixture *f = *state;
    for (unsigned rounds = 1; rounds < ROUNDS_MAX; rounds += 6) {
        struct parley_read *read;
        struct parley_feed feed;
        struct parley_change change;
        bool found = true;
        fill(f);
        /* Everything that is live now must be there, or have lost to something newer. */
        env_mem_copy(&f->env, "a", "before");
        struct parley_db *before = db_util_open(&f->env.t.env, "before");
        struct backup *b = take_disturbed(f, rounds, false);
        struct parley_db *db = restored(f, b, "restored");
        assert_sys(db, "audit-head", "2");
        assert_sys(db, "audit/2", "two");
        assert_sys(db, "audit/a", NULL);
        struct parley_read *there;
        assert_ok(parley_read_begin(before, &read));
        assert_ok(parley_read_begin(db, &there));
        assert_ok(parley_feed_begin(read, 0, &feed));
        for (;;) {
            bool wanted = true;
            assert_ok(parley_feed_next(&feed, &change, &found));
            if (!found)
                break;
            assert_ok(parley_read_wants(there, &change.version, change.digest, &wanted));
            assert_false(wanted);
        }
        parley_read_end(there);
        parley_read_end(read);
        parley_db_close(before);
        parley_db_close(db);
        free(b);
        teardown(state);
        setup(state);
    }
}

static void backup_has_the_state_of_the_last_block_of_the_log(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *b = take_disturbed(f, ROUNDS_MAX, true);
    struct parley_db *db = restored(f, b, "restored");
    struct parley_root now = db_util_root(f->db);
    struct parley_root then = db_util_root(db);
    assert_true(pl_root_equal(&now, &then));
    parley_db_close(db);
    free(b);
}

static void backup_goes_on_from_the_place_that_a_reader_found(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *whole = take(f->db);
    for (size_t cut = 0; cut < whole->len; cut += 97) {
        struct parley_restore *r;
        struct parley_backup_report report;
        struct backup *b = calloc(1, sizeof *b);
        assert_ok(parley_restore_open(&f->env.t.env, NULL, PARLEY_RESTORE_SKIM, &r));
        assert_ok(parley_restore_push(r, whole->bytes, cut, NULL));
        parley_restore_report(r, &report);
        parley_restore_place(r, &b->place);
        parley_restore_close(r);
        assert_true(report.bytes <= cut);
        b->len = b->place.len == 0 ? 0 : (size_t)report.bytes;
        memcpy(b->bytes, whole->bytes, b->len);
        while (!b->done)
            take_roomy_block(f->db, b);
        assert_int_equal(whole->len, b->len);
        assert_memory_equal(whole->bytes, b->bytes, b->len);
        free(b);
    }
    free(whole);
}

/* As the command line goes on with a file: what is torn or damaged is cut off, the rest is kept. */
static void skim_goes_on_behind_the_last_whole_block_after_damage(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *whole = take(f->db);
    for (size_t damaged = 0; damaged < whole->len; damaged += 61) {
        struct parley_restore *r;
        struct parley_backup_report report;
        assert_ok(parley_restore_open(&f->env.t.env, NULL, PARLEY_RESTORE_SKIM, &r));
        whole->bytes[damaged] ^= 0x55;
        parley_err err = parley_restore_push(r, whole->bytes, whole->len, NULL);
        assert_true(err == PARLEY_EMALFORMED || err == PARLEY_OK);
        whole->bytes[damaged] ^= 0x55;
        parley_restore_rewind(r);
        parley_restore_report(r, &report);
        assert_true(report.bytes <= damaged && !report.complete);
        size_t at = (size_t)report.bytes;
        assert_ok(parley_restore_push(r, whole->bytes + at, whole->len - at, NULL));
        assert_ok(parley_restore_finish(r, NULL));
        parley_restore_report(r, &report);
        assert_true(report.complete && report.bytes == whole->len);
        parley_restore_close(r);
    }
    free(whole);
}

static void backup_refuses_a_place_that_is_none(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct backup *b = calloc(1, sizeof *b);
    size_t len = 0;
    take_block(f->db, b);
    struct parley_backup_place good = b->place, other = b->place;
    if (b->done) /* then it must be refused, too */
        other.len--;
    else
        other.bytes[PARLEY_BACKUP_DIGEST_BYTES] ^= 1;
    assert_ok(parley_read_begin(f->db, &read));
    assert_true(parley_backup_next(read, &options, &other, b->bytes, BYTES_MAX, &len, &b->done) !=
                PARLEY_OK);
    for (size_t i = 1; i < good.len; i++) {
        other = good;
        other.len = i;
        assert_err(PARLEY_EINVAL,
                   parley_backup_next(read, &options, &other, b->bytes, BYTES_MAX, &len, &b->done));
    }
    parley_read_end(read);
    free(b);
}

static void backup_refuses_a_place_of_another_incarnation(void **state)
{
    struct fixture *f = *state;
    struct parley_read *read;
    struct backup *b = calloc(1, sizeof *b);
    size_t len = 0;
    /* Enough that the first block is not the last one. */
    for (int i = 0; i < 40; i++) {
        uint8_t body[80];
        char id[8] = "m00";
        id[1] = (char)('0' + i / 10);
        id[2] = (char)('0' + i % 10);
        db_util_apply(f->db, db_util_message("c", id, 9, "o", "text", body));
    }
    struct parley_db *other = db_util_open(&f->env.t.env, "other");
    take_roomy_block(f->db, b);
    assert_ok(parley_read_begin(other, &read));
    parley_err err =
        parley_backup_next(read, &options, &b->place, b->bytes, BYTES_MAX, &len, &b->done);
    assert_int_equal(b->done ? PARLEY_EINVAL : PARLEY_ESTATE, err);
    parley_read_end(read);
    parley_db_close(other);
    free(b);
}

/* ---- Damage ---- */

/* A small one, so that every byte of it can be tried. */
static struct backup *take_small(struct fixture *f)
{
    put_sys(f->db, "identity", "sealed");
    db_util_apply(f->db, db_util_message("c", "m", 9, "o", "text", f->body));
    db_util_apply(f->db, db_util_message("c", "m", 19, "o", "text", f->body));
    db_util_apply(f->db, db_util_tombstone("c", "n", 19, "o"));
    db_util_apply(f->db, db_util_message("c", "later", DB_UTIL_NOW * 2, "o", "held", f->body));
    return take(f->db);
}

static void restore_refuses_a_backup_cut_at_any_byte(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    size_t whole = b->len;
    for (b->len = 0; b->len < whole; b->len++)
        assert_err(PARLEY_EMISSING, restore_into(f, NULL, b, BYTES_MAX, NULL));
    assert_ok(restore_into(f, NULL, b, 1, NULL));
    b->bytes[b->len++] = 0;
    assert_err(PARLEY_EMALFORMED, restore_into(f, NULL, b, BYTES_MAX, NULL));
    free(b);
}

static void restore_refuses_a_backup_with_any_bit_changed(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    for (size_t i = 0; i < 8 * b->len; i++) {
        b->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        parley_err err = restore_into(f, NULL, b, BYTES_MAX, NULL);
        assert_true(err == PARLEY_EMALFORMED || err == PARLEY_EMISSING);
        b->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    free(b);
}

/* Makes the digests of all blocks right again: what a hostile file has. */
static void forge(struct backup *b)
{
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES];
    pl_backup_genesis(digest);
    for (size_t at = PL_BACKUP_MAGIC_BYTES; at + 6 < b->len;) {
        size_t records = (size_t)pl_get_be(b->bytes + at, 4);
        if (records > b->len - at - 6)
            return;
        size_t end = at + 6 + records + (size_t)pl_get_be(b->bytes + at + 4 + records, 2);
        if (end + sizeof digest > b->len)
            return;
        pl_backup_chain(digest, pl_span_of(b->bytes + at, end - at));
        memcpy(b->bytes + end, digest, sizeof digest);
        at = end + sizeof digest;
    }
}

/* Forged with right digests: refused, or a store that is sound. */
static void restore_makes_a_sound_store_of_a_forged_backup_or_none(void **state)
{
    struct fixture *f = *state;
    struct backup *b = take_small(f);
    struct backup *forged = malloc(sizeof *forged);
    unsigned taken = 0;
    for (size_t i = 0; i < b->len; i++) {
        struct fixture own;
        env_mem_init(&own.env);
        own.db = db_util_open(&own.env.t.env, "restored");
        memcpy(forged, b, sizeof *b);
        forged->bytes[i] ^= (uint8_t)(1u << i % 8);
        forge(forged);
        if (restore_into(&own, own.db, forged, BYTES_MAX, NULL) == PARLEY_OK) {
            db_util_check(own.db);
            db_util_apply(own.db, db_util_message("c", "m", 0, "o", "goes on", f->body));
            taken++;
        }
        parley_db_close(own.db);
        env_mem_deinit(&own.env);
    }
    assert_true(taken > 0);
    free(forged);
    free(b);
}

/* ---- Restoring ---- */

static void restore_needs_an_empty_store(void **state)
{
    struct fixture *f = *state;
    struct parley_restore *r;
    put_sys(f->db, "identity", "sealed");
    assert_err(PARLEY_EBUSY, parley_restore_open(&f->env.t.env, f->db, PARLEY_RESTORE_STORE, &r));
}

static void restore_takes_bytes_in_any_pieces(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *b = take(f->db);
    size_t steps[] = { 1, 2, 3, 7, 64, 4096 };
    for (size_t i = 0; i < PL_ARRAY_LEN(steps); i++)
        assert_ok(restore_into(f, NULL, b, steps[i], NULL));
    free(b);
}

static void restore_of_a_restore_is_the_same(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *first = take(f->db);
    struct parley_db *db = restored(f, first, "first");
    struct backup *second = take(db);
    struct parley_db *again = restored(f, second, "second");
    assert_same_node(db, again);
    parley_db_close(again);
    parley_db_close(db);
    free(first);
    free(second);
}

static void restore_survives_running_out_of_memory(void **state)
{
    struct fixture *f = *state;
    fill(f);
    struct backup *b = take(f->db);
    bool through = false;
    for (int64_t nth = 0; !through; nth++) {
        struct fixture own;
        env_mem_init(&own.env);
        own.db = db_util_open(&own.env.t.env, "restored");
        struct parley_restore *r = NULL;
        own.env.t.fail_after = nth;
        parley_err err = parley_restore_open(&own.env.t.env, own.db, PARLEY_RESTORE_STORE, &r);
        if (err == PARLEY_OK)
            err = push_all(r, b->bytes, b->len, 4096, NULL);
        own.env.t.fail_after = -1;
        parley_restore_close(r);
        assert_true(err == PARLEY_OK || err == PARLEY_ENOMEM);
        through = err == PARLEY_OK;
        if (through)
            db_util_check(own.db);
        parley_db_close(own.db);
        env_mem_deinit(&own.env);
        nth += nth / 8; /* every one of the first, then some */
    }
    free(b);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(backup_restores_everything_of_a_node_in_a_new_incarnation),
        CASE(backup_keeps_who_a_version_came_from),
        CASE(backup_of_an_empty_store_is_whole),
        CASE(backup_is_the_same_whatever_the_room),
        CASE(backup_holds_a_version_longer_than_a_block),
        CASE(backup_under_writes_is_sound_and_has_all_that_was_there),
        CASE(backup_has_the_state_of_the_last_block_of_the_log),
        CASE(backup_goes_on_from_the_place_that_a_reader_found),
        CASE(skim_goes_on_behind_the_last_whole_block_after_damage),
        CASE(backup_refuses_a_place_that_is_none),
        CASE(backup_refuses_a_place_of_another_incarnation),
        CASE(restore_refuses_a_backup_cut_at_any_byte),
        CASE(restore_refuses_a_backup_with_any_bit_changed),
        CASE(restore_makes_a_sound_store_of_a_forged_backup_or_none),
        CASE(restore_needs_an_empty_store),
        CASE(restore_takes_bytes_in_any_pieces),
        CASE(restore_of_a_restore_is_the_same),
        CASE(restore_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
