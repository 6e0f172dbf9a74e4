/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a db: create, open, recover, close. The rows of META are read and written here alone.
 *
 * Recovery: a commit that failed with EIO has an unknown outcome. The db is then `uncertain` and
 * takes no write until parley_db_recover reopened the store and found the last acknowledged commit
 * there; the failed one may be there too, which is harmless, since merging again changes nothing.
 */
#include "db/db_int.h"

#include "core/digest.h"
#include "core/hash.h"
#include "core/utf8.h"

/* ---- Buffers ---- */

PL_MUST_USE parley_err pl_db_room(const struct parley_db *db, struct pl_buffer *buffer, size_t len)
{
    if (len <= buffer->cap)
        return PARLEY_OK;
    if (len > PL_RECORD_HELD_BYTES_MAX + PL_RECORD_BYTES_MAX)
        return PARLEY_ETOOBIG;
    size_t cap = 4096;
    while (cap < len)
        cap *= 2;
    uint8_t *grown = db->env->alloc(db->env->ud, cap);
    if (grown == NULL)
        return PARLEY_ENOMEM;
    db->env->release(db->env->ud, buffer->ptr, buffer->cap);
    *buffer = (struct pl_buffer){ .ptr = grown, .cap = cap };
    return PARLEY_OK;
}

/* ---- Text ---- */

void pl_db_write_hex(struct pl_writer *w, struct parley_span bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len && i < 48; i++) {
        pl_write_u8(w, (uint8_t)digits[bytes.ptr[i] >> 4]);
        pl_write_u8(w, (uint8_t)digits[bytes.ptr[i] & 15]);
    }
}

/* ---- META ---- */

static PL_MUST_USE parley_err get_meta(struct pl_txn *txn, const char *name,
                                       struct parley_span *value, bool *found)
{
    return pl_txn_get(txn, PL_TABLE_META, pl_span_text(name), value, found);
}

static PL_MUST_USE parley_err put_meta(struct pl_txn *txn, const char *name,
                                       const struct pl_writer *w)
{
    return pl_txn_put(txn, PL_TABLE_META, pl_span_text(name), pl_writer_span(w));
}

PL_MUST_USE parley_err pl_db_write_format(struct pl_txn *txn)
{
    uint8_t row[4];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    pl_write_u32(&w, PL_DB_FORMAT);
    return put_meta(txn, "format", &w);
}

PL_MUST_USE parley_err pl_db_read_counters(struct pl_txn *txn, struct pl_counters *out)
{
    struct parley_span value;
    bool found;
    PL_TRY(get_meta(txn, "counters", &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    return pl_record_read_counters(pl_span_text("counters"), value, out);
}

PL_MUST_USE parley_err pl_db_write_counters(struct pl_txn *txn, const struct pl_counters *counters)
{
    uint8_t row[PL_RECORD_COUNTERS_BYTES];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    pl_record_write_counters(&w, pl_span_text("counters"), counters);
    return put_meta(txn, "counters", &w);
}

static PL_MUST_USE parley_err read_incarnation(struct pl_txn *txn, struct parley_incarnation *out)
{
    struct parley_span key = pl_span_text("incarnation");
    struct parley_span value, bytes;
    bool found;
    PL_TRY(get_meta(txn, "incarnation", &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_plain(key, value, &bytes));
    if (bytes.len != PARLEY_INCARNATION_BYTES)
        return PARLEY_ECORRUPT;
    memcpy(out->bytes, bytes.ptr, PARLEY_INCARNATION_BYTES);
    return PARLEY_OK;
}

/* Writes a fresh incarnation and where the store lives now. */
static PL_MUST_USE parley_err write_incarnation(struct parley_db *db, struct pl_txn *txn)
{
    uint8_t row[PARLEY_INCARNATION_BYTES + PL_RECORD_ROW_CHECK_BYTES];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    struct parley_incarnation fresh;
    uint8_t place[PL_STORE_PLACE_BYTES];
    db->env->entropy(db->env->ud, fresh.bytes, sizeof fresh.bytes);
    pl_record_write_plain(&w, pl_span_text("incarnation"),
                          pl_span_of(fresh.bytes, sizeof fresh.bytes));
    PL_TRY(put_meta(txn, "incarnation", &w));
    db->store->ops->place(db->store, place);
    PL_TRY(pl_txn_put(txn, PL_TABLE_META, pl_span_text("place"), pl_span_of(place, sizeof place)));
    db->incarnation = fresh;
    return PARLEY_OK;
}

/* ---- The witness: 16 bytes incarnation, u64 commits, u64 checksum of both ---- */

void pl_db_testify(struct parley_db *db)
{
    uint8_t bytes[PL_STORE_WITNESS_BYTES];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_write_bytes(&w, db->incarnation.bytes, PARLEY_INCARNATION_BYTES);
    pl_write_u64(&w, db->counters.commits);
    pl_write_u64(&w, pl_xxh3_of(pl_writer_span(&w)));
    pl_ignore(db->store->ops->witness_write(db->store, bytes),
              "a witness that is behind sees fewer copies; it loses nothing");
}

/* Whether the witness has seen another store than this one in its place, or a later state of it: an
 * older copy was put there, maybe into the same file. */
static PL_MUST_USE parley_err is_contradicted(struct parley_db *db, bool *out)
{
    uint8_t bytes[PL_STORE_WITNESS_BYTES];
    bool found = false;
    *out = false;
    PL_TRY(db->store->ops->witness_read(db->store, bytes, &found));
    if (!found || pl_get_be(bytes + 24, 8) != pl_xxh3_of(pl_span_of(bytes, 24)))
        return PARLEY_OK;
    *out = memcmp(bytes, db->incarnation.bytes, PARLEY_INCARNATION_BYTES) != 0 ||
           pl_get_be(bytes + 16, 8) > db->counters.commits;
    return PARLEY_OK;
}

/* ---- Open ---- */

static PL_MUST_USE parley_err create_rows(struct parley_db *db)
{
    struct pl_txn *txn;
    PL_TRY(pl_store_write_begin(db->store, &txn));
    parley_err err = pl_db_write_format(txn);
    if (err == PARLEY_OK)
        err = write_incarnation(db, txn);
    if (err == PARLEY_OK)
        err = pl_db_write_counters(txn, &db->counters);
    if (err == PARLEY_OK)
        return pl_txn_commit(txn);
    pl_txn_abort(txn);
    return err;
}

static PL_MUST_USE parley_err renew_incarnation(struct parley_db *db)
{
    struct pl_txn *txn;
    struct pl_counters next = db->counters;
    next.commits++;
    PL_TRY(pl_store_write_begin(db->store, &txn));
    parley_err err = write_incarnation(db, txn);
    if (err == PARLEY_OK)
        err = pl_db_write_counters(txn, &next);
    if (err != PARLEY_OK) {
        pl_txn_abort(txn);
        return err;
    }
    PL_TRY(pl_txn_commit(txn));
    db->counters = next;
    return PARLEY_OK;
}

struct opened {
    bool empty; /* nothing was ever committed */
    bool moved; /* the store is a copy, or was moved */
    uint32_t format;
};

static PL_MUST_USE parley_err read_rows(struct parley_db *db, struct pl_txn *txn,
                                        struct opened *out)
{
    struct parley_span value;
    uint8_t place[PL_STORE_PLACE_BYTES];
    bool found;
    PL_TRY(get_meta(txn, "format", &value, &found));
    if (!found) {
        /* Creation commits all rows of META at once, so one without the other is damage. */
        PL_TRY(get_meta(txn, "counters", &value, &found));
        out->empty = true;
        return found ? PARLEY_ECORRUPT : PARLEY_OK;
    }
    out->format = value.len == 4 ? (uint32_t)pl_get_be(value.ptr, 4) : 0;
    if (out->format < PL_DB_FORMAT_OLDEST || out->format > PL_DB_FORMAT)
        return PARLEY_EFORMAT;
    PL_TRY(read_incarnation(txn, &db->incarnation));
    PL_TRY(pl_db_read_counters(txn, &db->counters));
    PL_TRY(get_meta(txn, "place", &value, &found));
    db->store->ops->place(db->store, place);
    out->moved = !found || !pl_span_equal(value, pl_span_of(place, sizeof place));
    return PARLEY_OK;
}

static PL_MUST_USE parley_err load_rows(struct parley_db *db, struct opened *out)
{
    struct pl_txn *txn;
    *out = (struct opened){ 0 };
    PL_TRY(pl_store_read_begin(db->store, &txn));
    parley_err err = read_rows(db, txn, out);
    pl_store_read_end(txn);
    return err;
}

static void explain(struct parley_diag *diag, const char *text)
{
    if (diag == NULL)
        return;
    struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
    pl_write_text(&w, text);
    diag->text[w.len] = '\0';
}

static PL_MUST_USE parley_err open_rows(struct parley_db *db, bool *renewed,
                                        struct parley_diag *diag)
{
    struct opened opened;
    parley_err err = load_rows(db, &opened);
    if (err == PARLEY_EFORMAT)
        explain(diag, "the store was written by another format version; use a newer parley");
    if (err == PARLEY_ECORRUPT)
        explain(diag,
                "the first rows of the store are damaged; run parley check, restore a backup");
    if (err != PARLEY_OK)
        return err;
    if (opened.empty)
        PL_TRY(create_rows(db));
    else if (opened.format != PL_DB_FORMAT)
        PL_TRY(pl_db_upgrade(db, opened.format));
    bool contradicted = false;
    if (!opened.empty)
        PL_TRY(is_contradicted(db, &contradicted));
    opened.moved = opened.moved || contradicted;
    if (opened.moved)
        PL_TRY(renew_incarnation(db));
    db->counters_known = true;
    pl_db_testify(db);
    *renewed = opened.moved;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_db_open(const struct parley_env *env,
                                          const struct parley_db_options *options,
                                          struct parley_db **out, bool *renewed,
                                          struct parley_diag *diag)
{
    PL_ASSERT(env->store_open != NULL);
    struct parley_db *db = env->alloc(env->ud, sizeof *db);
    bool moved = false;
    if (db == NULL)
        return PARLEY_ENOMEM;
    memset(db, 0, sizeof *db);
    db->env = env;
    db->reserve_bytes = PARLEY_RESERVE_BYTES;
    parley_err err = PARLEY_OK;
    if (options->local_origin.len != 0)
        err = parley_db_set_origin(db, options->local_origin);
    if (err != PARLEY_OK)
        goto out;
    err = env->store_open(env->ud, options->name, &db->store, diag);
    if (err != PARLEY_OK)
        goto out;
    err = open_rows(db, &moved, diag);
out:
    if (err != PARLEY_OK) {
        parley_db_close(db);
        return err;
    }
    *out = db;
    if (renewed != NULL)
        *renewed = moved;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_db_set_origin(struct parley_db *db, struct parley_span origin)
{
    if (origin.len > PARLEY_ORIGIN_BYTES_MAX)
        return PARLEY_ETOOBIG;
    if (origin.len == 0 || db->local_written || !pl_utf8_is_valid(origin))
        return PARLEY_EINVAL;
    for (size_t i = 0; i < origin.len; i++)
        if (origin.ptr[i] < 0x20 || origin.ptr[i] == 0x7f)
            return PARLEY_EINVAL;
    memcpy(db->local_origin, origin.ptr, origin.len);
    db->local_origin_len = origin.len;
    return PARLEY_OK;
}

void parley_db_set_reserve(struct parley_db *db, uint64_t bytes)
{
    db->reserve_bytes = bytes;
}

void parley_db_close(struct parley_db *db)
{
    if (db == NULL)
        return;
    const struct parley_env *env = db->env;
    if (db->store != NULL)
        db->store->ops->close(db->store);
    env->release(env->ud, db->record.ptr, db->record.cap);
    env->release(env->ud, db->incoming.ptr, db->incoming.cap);
    env->release(env->ud, db->entries.ptr, db->entries.cap);
    env->release(env->ud, db, sizeof *db);
}

/* ---- Recover ---- */

PARLEY_MUST_USE parley_err parley_db_recover(struct parley_db *db)
{
    struct pl_counters acknowledged = db->counters;
    struct parley_incarnation incarnation = db->incarnation;
    struct opened opened;
    db->uncertain = true;
    PL_TRY(db->store->ops->reopen(db->store));
    parley_err err = load_rows(db, &opened);
    struct pl_counters now = db->counters;
    struct parley_incarnation found = db->incarnation;
    /* What was acknowledged stays known until the store proves to have it. */
    db->counters = acknowledged;
    db->incarnation = incarnation;
    if (err != PARLEY_OK)
        return err;
    if (opened.empty || memcmp(found.bytes, incarnation.bytes, sizeof found.bytes) != 0)
        return PARLEY_ECORRUPT;
    if (now.commits < acknowledged.commits || now.head < acknowledged.head ||
        now.clock < acknowledged.clock)
        return PARLEY_ECORRUPT;
    memset(db->origins, 0, sizeof db->origins);
    db->counters = now;
    db->counters_known = true;
    db->uncertain = false;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_db_ledger(struct parley_db *db, uint8_t *out, size_t cap,
                                            size_t *len)
{
    return db->store->ops->ledger_read(db->store, out, cap, len);
}

PARLEY_MUST_USE parley_err parley_db_ledger_replace(struct parley_db *db, const uint8_t *lines,
                                                    size_t len)
{
    if (len != 0 && lines[len - 1] != '\n')
        return PARLEY_EINVAL;
    return db->store->ops->ledger_replace(db->store, pl_span_of(lines, len));
}

PARLEY_MUST_USE parley_err parley_db_compact(struct parley_db *db)
{
    if (db->uncertain)
        return PARLEY_EIO;
    parley_err err = db->store->ops->compact(db->store, pl_span_text("place"));
    db->uncertain = err == PARLEY_EIO;
    return err;
}
