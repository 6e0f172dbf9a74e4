/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: what is in them, also when the store is written to meanwhile.
 */
#include "lib/backup_fixture.h"

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
    if (round % 7 == 0)
        db_util_apply(db, db_util_purge(name, time + 4, "o"));
    put_sys(db, "audit-head", "more");
    char key[16] = "audit/a";
    key[6] = (char)('a' + round % 26);
    put_sys(db, key, "later");
}

static bool is_before_the_end_of_the_log(const struct backup *b)
{
    struct pl_backup_at at;
    struct parley_span place = pl_span_of(b->place.bytes, b->place.len);
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

/* ---- What moves meanwhile ---- */

#define MOVERS 30u

static void name_mover(unsigned i, char id[8])
{
    id[0] = 't';
    id[1] = (char)('0' + i / 10);
    id[2] = (char)('0' + i % 10);
    id[3] = '\0';
}

static bool find_in_trash(struct parley_db *db, const char *id, struct parley_trash_key *key)
{
    struct parley_read *read;
    struct parley_version v;
    bool found = true, same = false;
    *key = (struct parley_trash_key){ 0 };
    assert_ok(parley_read_begin(db, &read));
    while (!same) {
        assert_ok(parley_read_trash_after(read, key, &v, &found));
        if (!found)
            break;
        same = pl_span_is(v.id, id);
    }
    parley_read_end(read);
    return same;
}

static bool is_live(struct parley_db *db, const char *id)
{
    struct parley_read *read;
    struct parley_conversation_info info;
    struct parley_version v;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c"), &info, &found));
    assert_true(found);
    assert_ok(
        parley_read_register(read, info.number, PARLEY_KIND_MESSAGE, pl_span_text(id), &v, &found));
    parley_read_end(read);
    return found;
}

/* Into the trash, or back as an operator does it: written anew, then dropped there. */
static void move(struct fixture *f, unsigned i)
{
    struct parley_trash_key key;
    char id[8];
    name_mover(i, id);
    if (!find_in_trash(f->db, id, &key)) {
        apply(f->db, (struct parley_write){ .kind = PARLEY_WRITE_TRASH,
                                            .u.trash = seq_of(f->db, "c", id) });
        return;
    }
    db_util_apply(f->db, db_util_message("c", id, 0, "local", "again", f->body));
    apply(f->db, (struct parley_write){ .kind = PARLEY_WRITE_UNTRASH,
                                        .u.untrash = pl_span_of(key.bytes, key.len) });
}

static void backup_loses_nothing_that_moves_between_log_and_trash(void **state)
{
    struct fixture *f = *state;
    struct parley_trash_key key;
    char id[8];
    for (unsigned start = 0; start < MOVERS; start += 7) {
        for (unsigned i = 0; i < MOVERS; i++) {
            name_mover(i, id);
            for (uint64_t time = 100; time < 105; time++) /* history for some blocks */
                db_util_apply(f->db, db_util_message("c", id, time, "o", "text", f->body));
            if (i % 2 == 0)
                move(f, i);
        }
        struct backup *b = calloc(1, sizeof *b);
        for (unsigned i = start; !b->done; i += 11) {
            take_block(f->db, b);
            move(f, i % MOVERS);
        }
        struct parley_db *db = restored(f, b, "restored");
        for (unsigned i = 0; i < MOVERS; i++) {
            name_mover(i, id);
            assert_true(is_live(db, id) || find_in_trash(db, id, &key));
        }
        parley_db_close(db);
        free(b);
        teardown(state);
        setup(state);
    }
}

/* The clock stands above everything that is left when what was newest is dropped. */
static void backup_keeps_the_clock_also_when_nothing_shows_it(void **state)
{
    struct fixture *f = *state;
    struct parley_trash_key key;
    db_util_apply(f->db, db_util_message("c", "m", 100, "o", "stays", f->body));
    db_util_apply(f->db, db_util_message("c", "newest", 900, "o", "goes", f->body));
    apply(f->db, (struct parley_write){ .kind = PARLEY_WRITE_TRASH,
                                        .u.trash = seq_of(f->db, "c", "newest") });
    assert_true(find_in_trash(f->db, "newest", &key));
    apply(f->db, (struct parley_write){ .kind = PARLEY_WRITE_UNTRASH,
                                        .u.untrash = pl_span_of(key.bytes, key.len) });
    struct backup *b = take(f->db);
    struct parley_db *db = restored(f, b, "restored");
    assert_int_equal(900, db_util_state(db).clock);
    parley_db_close(db);
    free(b);
}

/* Deletes with an old stamp and collects at once, as a node may that was told so by its peers. */
static void delete_and_collect(struct fixture *f, unsigned number)
{
    struct parley_write collect = { .kind = PARLEY_WRITE_COLLECT };
    char id[8];
    name_mover(number, id);
    db_util_apply(f->db, db_util_tombstone("c", id, 200 + number, "o"));
    collect.u.collect.name_space = pl_span_text("main");
    collect.u.collect.upto = 200 + number;
    collect.u.collect.raise = true;
    for (int i = 0; i < 40; i++)
        apply(f->db, collect);
}

/* Without its tombstone a node must say that there was one: by its floor. */
static void backup_knows_what_was_collected_meanwhile(void **state)
{
    struct fixture *f = *state;
    char id[8];
    for (unsigned i = 0; i < MOVERS; i++) {
        name_mover(i, id);
        db_util_apply(f->db, db_util_message("c", id, 100 + i, "o", "text", f->body));
    }
    struct backup *b = calloc(1, sizeof *b);
    for (unsigned i = 0; !b->done; i++) {
        take_block(f->db, b);
        if (i < MOVERS && is_before_the_end_of_the_log(b))
            delete_and_collect(f, i);
    }
    struct parley_db *db = restored(f, b, "restored");
    assert_int_equal(db_util_namespace(f->db).floor, db_util_namespace(db).floor);
    parley_db_close(db);
    free(b);
}

/* A rotation writes both rows in one batch. */
/* What lost to a tombstone that was collected is history still, when an older version that had not
 * heard of it comes in: newer than what is live, and good. */
static void backup_keeps_history_above_a_late_version(void **state)
{
    struct fixture *f = *state;
    char id[8];
    name_mover(0, id);
    db_util_apply(f->db, db_util_message("c", id, 100, "o", "text", f->body));
    db_util_apply(f->db, db_util_message("c", id, 150, "o", "more", f->body));
    delete_and_collect(f, 0);
    db_util_apply(f->db, db_util_message("c", id, 50, "late", "text", f->body));
    struct parley_check_report before = db_util_check(f->db);
    assert_true(before.history != 0);
    struct backup *b = take(f->db);
    struct parley_db *db = restored(f, b, "restored");
    struct parley_check_report after = db_util_check(db);
    assert_int_equal(before.history, after.history);
    assert_same_node(f->db, db);
    parley_db_close(db);
    free(b);
}

static void rotate(struct parley_db *db, unsigned number)
{
    struct parley_write w[2] = { { .kind = PARLEY_WRITE_SYS_PUT },
                                 { .kind = PARLEY_WRITE_SYS_PUT } };
    char value[8] = "k00";
    value[1] = (char)('0' + number / 10 % 10);
    value[2] = (char)('0' + number % 10);
    w[0].u.sys.key = pl_span_text("identity");
    w[1].u.sys.key = pl_span_text("identity/rotations");
    w[0].u.sys.value = w[1].u.sys.value = pl_span_text(value);
    assert_ok(parley_db_apply(db, w, 2, DB_UTIL_NOW, NULL));
}

static void assert_of_one_rotation(struct parley_db *db)
{
    struct parley_read *read;
    struct parley_span one, other;
    bool found;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_sys(read, pl_span_text("identity"), &one, &found));
    assert_ok(parley_read_sys(read, pl_span_text("identity/rotations"), &other, &found));
    assert_true(found && pl_span_equal(one, other));
    parley_read_end(read);
}

/* Half of a rotation would be no identity, wherever a block ends. */
static void backup_has_a_record_and_those_below_it_of_one_moment(void **state)
{
    char pad[PL_LIMIT(2, 560)];
    memset(pad, '.', sizeof pad);
    pad[sizeof pad - 1] = '\0';
    for (size_t skip = 0; skip < sizeof pad; skip += 8) {
        struct fixture *f = *state;
        struct backup *b = calloc(1, sizeof *b);
        put_sys(f->db, "hidden", pad + skip);
        for (unsigned i = 0; !b->done; i++) {
            rotate(f->db, i);
            take_block(f->db, b);
        }
        struct parley_db *db = restored(f, b, "restored");
        assert_of_one_rotation(db);
        parley_db_close(db);
        free(b);
        teardown(state);
        setup(state);
    }
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
    assert_true(parley_backup_next(read, &backup_options, &other, b->bytes, BYTES_MAX, &len,
                                   &b->done) != PARLEY_OK);
    for (size_t i = 1; i < good.len; i++) {
        other = good;
        other.len = i;
        assert_err(PARLEY_EINVAL, parley_backup_next(read, &backup_options, &other, b->bytes,
                                                     BYTES_MAX, &len, &b->done));
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
        parley_backup_next(read, &backup_options, &b->place, b->bytes, BYTES_MAX, &len, &b->done);
    assert_int_equal(b->done ? PARLEY_EINVAL : PARLEY_ESTATE, err);
    parley_read_end(read);
    parley_db_close(other);
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
        CASE(backup_loses_nothing_that_moves_between_log_and_trash),
        CASE(backup_knows_what_was_collected_meanwhile),
        CASE(backup_keeps_history_above_a_late_version),
        CASE(backup_keeps_the_clock_also_when_nothing_shows_it),
        CASE(backup_has_a_record_and_those_below_it_of_one_moment),
        CASE(backup_goes_on_from_the_place_that_a_reader_found),
        CASE(skim_goes_on_behind_the_last_whole_block_after_damage),
        CASE(backup_refuses_a_place_that_is_none),
        CASE(backup_refuses_a_place_of_another_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
