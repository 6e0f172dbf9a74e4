/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a backup. As they are they hardly get past the first digest, so that they are also
 * taken as the records of a block that has the right one. Oracle: what is refused says where and
 * why; what is accepted makes a store that is sound, and whose own backup makes the same again.
 */
#include "lib/plain_env.h"

#include "db/backup_int.h"

#include "core/digest.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct parley_db *open_db(struct plain_env *w)
{
    struct parley_db_options options = { .name = "any", .local_origin = pl_span_text("local") };
    struct parley_db *db = NULL;
    CHECK(parley_db_open(&w->env, &options, &db, NULL, NULL) == PARLEY_OK);
    return db;
}

static parley_err restore(struct plain_env *w, struct parley_db *db, struct parley_span bytes)
{
    struct parley_restore *r = NULL;
    struct parley_diag diag = { "" };
    CHECK(parley_restore_open(&w->env, db, PARLEY_RESTORE_STORE, &r) == PARLEY_OK);
    parley_err err = parley_restore_push(r, bytes.ptr, bytes.len, &diag);
    if (err == PARLEY_OK)
        err = parley_restore_finish(r, &diag);
    CHECK((err == PARLEY_OK) == (diag.text[0] == '\0'));
    parley_restore_close(r);
    return err;
}

/* ---- A block with the right digest ---- */

static void write_end(struct pl_writer *w, struct parley_span data)
{
    struct pl_backup_record end = { .type = PL_BACKUP_END };
    struct pl_backup_names names = { 0 };
    struct pl_backup_names read_names = { 0 };
    struct pl_reader r = pl_reader_over(data);
    const char *why = NULL;
    end.u.end.records = 1;
    end.u.end.bytes = w->len - PL_BACKUP_MAGIC_BYTES - 4;
    for (struct pl_backup_record record; pl_reader_left(&r) != 0; end.u.end.records++)
        if (pl_backup_read_record(&r, &record, &read_names, &why) != PARLEY_OK)
            break;
    pl_backup_write_record(w, &end, &names);
}

static struct parley_span frame(struct parley_span data, uint8_t *out, size_t cap)
{
    struct pl_writer w = pl_writer_over(out, cap);
    struct pl_backup_record head = { .type = PL_BACKUP_HEAD,
                                     .u.head.format = PARLEY_BACKUP_FORMAT };
    struct pl_backup_names names = { 0 };
    struct pl_backup_at at = { .phase = PL_BACKUP_DONE };
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES];
    pl_backup_genesis(digest);
    pl_write_bytes(&w, PL_BACKUP_MAGIC, PL_BACKUP_MAGIC_BYTES);
    size_t block = w.len;
    pl_write_u32(&w, 0);
    pl_backup_write_record(&w, &head, &names);
    pl_write_span(&w, data);
    write_end(&w, data);
    pl_put_be(out + block, w.len - block - 4, 4);
    size_t place = w.len;
    pl_write_u16(&w, 0);
    pl_backup_write_at(&w, &at);
    pl_put_be(out + place, w.len - place - 2, 2);
    pl_backup_chain(digest, pl_span_of(out + block, w.len - block));
    pl_write_bytes(&w, digest, sizeof digest);
    CHECK(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

/* ---- The oracle ---- */

static struct parley_span back_up(struct parley_db *db, uint8_t *out, size_t cap)
{
    struct parley_backup_options options = { .now = 1 };
    struct parley_backup_place place = { 0 };
    size_t total = 0;
    for (bool done = false; !done;) {
        struct parley_read *read = NULL;
        size_t len = 0;
        CHECK(parley_read_begin(db, &read) == PARLEY_OK);
        CHECK(parley_backup_next(read, &options, &place, out + total, cap - total, &len, &done) ==
              PARLEY_OK);
        parley_read_end(read);
        total += len;
    }
    return pl_span_of(out, total);
}

static struct parley_check_report check_sound(struct parley_db *db)
{
    struct parley_check_report report;
    CHECK(parley_db_check(db, &report) == PARLEY_OK);
    CHECK(report.problems == 0);
    return report;
}

/* All roots in one; *has_floor: a namespace has one. */
static struct parley_root root_of(struct parley_db *db, bool *has_floor)
{
    struct parley_root all = { 0 };
    struct parley_namespace_info info;
    struct parley_read *read = NULL;
    uint32_t position = 0;
    bool found = true;
    CHECK(parley_read_begin(db, &read) == PARLEY_OK);
    for (;;) {
        CHECK(parley_read_namespace(read, &position, &info, &found) == PARLEY_OK);
        if (!found)
            break;
        *has_floor = *has_floor || info.floor != 0;
        all.count += info.root.count;
        pl_digest_add(all.sum, info.root.sum);
    }
    parley_read_end(read);
    return all;
}

static void check_accepted(struct plain_env *w, struct parley_db *db, uint8_t *out, size_t cap)
{
    struct parley_check_report before = check_sound(db);
    bool has_floor = false;
    struct parley_root root = root_of(db, &has_floor);
    struct parley_db *again = open_db(w);
    CHECK(restore(w, again, back_up(db, out, cap)) == PARLEY_OK);
    struct parley_check_report after = check_sound(again);
    struct parley_root same = root_of(again, &has_floor);
    CHECK(pl_root_equal(&root, &same) && before.history == after.history);
    /* A held deletion at or below a floor is nothing (M6), and is left out of the second store. */
    CHECK(before.held == after.held || (has_floor && after.held < before.held));
    CHECK(before.trash == after.trash);
    parley_db_close(again);
}

static void run(struct parley_span bytes, uint8_t *out, size_t cap)
{
    struct plain_env w;
    plain_env_init(&w);
    struct parley_db *db = open_db(&w);
    if (restore(&w, db, bytes) == PARLEY_OK)
        check_accepted(&w, db, out, cap);
    parley_db_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cap = 64 * size + 65536;
    uint8_t *framed = malloc(size + 4096);
    uint8_t *out = malloc(cap + PL_BACKUP_BLOCK_BYTES + PL_BACKUP_FRAME_BYTES_MAX);
    CHECK(framed != NULL && out != NULL && size < PL_BACKUP_PAYLOAD_BYTES_MAX / 2);
    cap += PL_BACKUP_BLOCK_BYTES + PL_BACKUP_FRAME_BYTES_MAX;
    run(pl_span_of(data, size), out, cap);
    run(frame(pl_span_of(data, size), framed, size + 4096), out, cap);
    free(out);
    free(framed);
    return 0;
}
