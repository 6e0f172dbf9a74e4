/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of the LMDB store; store_lmdb_open.c has its files, store_lmdb_size.c its size,
 * store_lmdb_compact.c makes them smaller.
 *
 * Readers come from a pool: an ended one is reset, which lets its pages go but keeps its slot, and
 * renewing it costs nanoseconds. MDB_NOTLS lets any thread use any of them, one at a time. The one
 * writer begins and ends on the same thread, because LMDB holds a mutex for it in between.
 *
 * Failure: an error inside a transaction sticks to it. A commit that fails with EIO has an unknown
 * outcome; from then on write_begin answers EIO until reopen, whatever LMDB itself would allow:
 * after a failed fdatasync it would go on as if nothing had happened.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Below this much room EIO is taken for a full disk: LMDB reports a short write as EIO, and any
 * commit needs a few dozen pages. */
#define FULL_DISK_BYTES (UINT64_C(1) << 20)

static bool disk_is_full(const char *dir)
{
    struct statvfs fs;
    return statvfs(dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < FULL_DISK_BYTES;
}

parley_err pl_store_lmdb_err(const char *dir, int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return PARLEY_OK;
    case MDB_MAP_FULL:
        return PARLEY_EMAPFULL;
    case MDB_KEYEXIST: /* only MDB_APPEND out of order */
    case EINVAL:
        return PARLEY_EINVAL;
    case MDB_BAD_VALSIZE:
        return PARLEY_ETOOBIG;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
        return PARLEY_EFULL;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_NOTFOUND: /* callers handle absent keys; what is left is an absent table */
        return PARLEY_EFORMAT;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_BAD_DBI:
        return PARLEY_ECORRUPT;
    case ENOSPC:
    case EDQUOT:
        return PARLEY_ENOSPC;
    case ENOMEM:
        return PARLEY_ENOMEM;
    case EACCES:
    case EPERM:
        return PARLEY_EACCESS;
    case EROFS:
        return PARLEY_EREADONLY;
    case ENOENT:
    case ENOTDIR:
        return PARLEY_ENOENT;
    case EIO:
        return disk_is_full(dir) ? PARLEY_ENOSPC : PARLEY_EIO;
    default: /* MDB_PANIC, MDB_BAD_TXN, MDB_MAP_RESIZED and whatever else errno holds */
        return PARLEY_EIO;
    }
}

static struct pl_store_lmdb *store_of(struct parley_store *s)
{
    return PL_CONTAINER_OF(s, struct pl_store_lmdb, head);
}

static struct pl_store_lmdb_txn *txn_of(struct pl_txn *txn)
{
    return PL_CONTAINER_OF(txn, struct pl_store_lmdb_txn, head);
}

static parley_err txn_failed(struct pl_txn *txn, int rc)
{
    return pl_store_fail(txn, pl_store_lmdb_err(store_of(txn->store)->dir, rc));
}

static MDB_val val_of(struct parley_span bytes)
{
    /* LMDB copies from the pointer even when the length is zero. */
    static const char nothing[1] = "";
    const void *ptr = bytes.ptr == NULL ? (const void *)nothing : bytes.ptr;
    /* MDB_val has no const; LMDB does not write through a key or value of ours. */
    return (MDB_val){ .mv_size = bytes.len, .mv_data = (void *)(uintptr_t)ptr };
}

static struct parley_span span_of(MDB_val val)
{
    return pl_span_of(val.mv_data, val.mv_size);
}

/* ---- Readers ---- */

static int reader_start(struct pl_store_lmdb *s, struct pl_store_lmdb_txn *t)
{
    if (t->mdb != NULL)
        return mdb_txn_renew(t->mdb);
    int rc = mdb_txn_begin(s->mdb, NULL, MDB_RDONLY, &t->mdb);
    if (rc == MDB_READERS_FULL) {
        /* Slots of killed processes: a tool that looked at the store, for example. */
        int dead = 0;
        rc = mdb_reader_check(s->mdb, &dead);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_begin(s->mdb, NULL, MDB_RDONLY, &t->mdb);
    }
    if (rc != MDB_SUCCESS)
        t->mdb = NULL;
    return rc;
}

static parley_err reader_take(struct pl_store_lmdb *s, struct pl_store_lmdb_txn **out)
{
    if (s->mdb == NULL)
        return PARLEY_EIO;
    struct pl_store_lmdb_txn *t = s->pool;
    if (t != NULL) {
        s->pool = t->next;
    } else {
        t = s->env->alloc(s->env->ud, sizeof *t);
        if (t == NULL)
            return PARLEY_ENOMEM;
        memset(t, 0, sizeof *t);
    }
    int rc = reader_start(s, t);
    if (rc != MDB_SUCCESS) {
        if (t->mdb != NULL) {
            t->next = s->pool;
            s->pool = t;
        } else {
            s->env->release(s->env->ud, t, sizeof *t);
        }
        return pl_store_lmdb_err(s->dir, rc);
    }
    t->head = (struct pl_txn){ .store = &s->head };
    t->changes = 0;
    t->cursor_count = 0;
    s->readers++;
    *out = t;
    return PARLEY_OK;
}

static parley_err lmdb_read_begin(struct parley_store *store, struct pl_txn **out)
{
    struct pl_store_lmdb *s = store_of(store);
    struct pl_store_lmdb_txn *t = NULL;
    pthread_mutex_lock(&s->mutex);
    pl_store_lmdb_gate_pass(s);
    parley_err err = reader_take(s, &t);
    pthread_mutex_unlock(&s->mutex);
    if (err == PARLEY_OK)
        *out = &t->head;
    return err;
}

static void cursors_close(struct pl_store_lmdb_txn *t)
{
    for (uint32_t i = 0; i < t->cursor_count; i++)
        mdb_cursor_close(t->cursors[i].mdb);
    t->cursor_count = 0;
    for (size_t i = 0; i < PL_TABLE_COUNT; i++) {
        if (t->places[i] != NULL)
            mdb_cursor_close(t->places[i]);
        t->places[i] = NULL;
    }
    memset(t->gets, 0, sizeof t->gets);
}

static void lmdb_read_end(struct pl_txn *txn)
{
    struct pl_store_lmdb *s = store_of(txn->store);
    struct pl_store_lmdb_txn *t = txn_of(txn);
    PL_ASSERT(!txn->writable);
    cursors_close(t);
    mdb_txn_reset(t->mdb);
    pthread_mutex_lock(&s->mutex);
    pl_store_lmdb_gate_leave(s);
    t->next = s->pool;
    s->pool = t;
    pthread_mutex_unlock(&s->mutex);
}

/* ---- The writer ---- */

static parley_err writer_claim(struct pl_store_lmdb *s)
{
    if (s->mdb == NULL || s->must_reopen)
        return PARLEY_EIO;
    /* LMDB would wait for the other writer, for ever if it is this thread. */
    if (s->write_open)
        return PARLEY_EBUSY;
    s->write_open = true;
    return PARLEY_OK;
}

static void writer_release(struct pl_store_lmdb *s, bool committed)
{
    pthread_mutex_lock(&s->mutex);
    s->write_open = false;
    s->commits += committed ? 1u : 0u;
    pthread_mutex_unlock(&s->mutex);
}

static parley_err lmdb_write_begin(struct parley_store *store, struct pl_txn **out)
{
    struct pl_store_lmdb *s = store_of(store);
    pthread_mutex_lock(&s->mutex);
    parley_err err = writer_claim(s);
    pthread_mutex_unlock(&s->mutex);
    if (err != PARLEY_OK)
        return err;
    struct pl_store_lmdb_txn *t = &s->write;
    int rc = mdb_txn_begin(s->mdb, NULL, 0, &t->mdb);
    if (rc != MDB_SUCCESS) {
        writer_release(s, false);
        return pl_store_lmdb_err(s->dir, rc);
    }
    t->head = (struct pl_txn){ .store = store, .writable = true };
    t->changes = 0;
    t->cursor_count = 0;
    *out = &t->head;
    return PARLEY_OK;
}

/* LMDB poisons an environment whose meta page it could not write; the next transaction tells. */
static bool env_is_poisoned(struct pl_store_lmdb *s)
{
    MDB_txn *probe = NULL;
    int rc = mdb_txn_begin(s->mdb, NULL, MDB_RDONLY, &probe);
    if (rc == MDB_SUCCESS)
        mdb_txn_abort(probe);
    return rc == MDB_PANIC;
}

static bool nothing_was_applied(parley_err err)
{
    return err == PARLEY_EMAPFULL || err == PARLEY_ENOSPC || err == PARLEY_ENOMEM ||
           err == PARLEY_EFULL;
}

static parley_err commit_failed(struct pl_store_lmdb *s, int rc)
{
    parley_err err = pl_store_lmdb_err(s->dir, rc);
    if (nothing_was_applied(err) && !env_is_poisoned(s))
        return err;
    pthread_mutex_lock(&s->mutex);
    s->must_reopen = true;
    pthread_mutex_unlock(&s->mutex);
    return err == PARLEY_ECORRUPT ? err : PARLEY_EIO;
}

static parley_err lmdb_commit(struct pl_txn *txn)
{
    struct pl_store_lmdb *s = store_of(txn->store);
    struct pl_store_lmdb_txn *t = txn_of(txn);
    PL_ASSERT(txn->writable);
    parley_err err = txn->err;
    cursors_close(t);
    if (err != PARLEY_OK) {
        mdb_txn_abort(t->mdb);
    } else {
        int rc = mdb_txn_commit(t->mdb);
        if (rc != MDB_SUCCESS)
            err = commit_failed(s, rc);
    }
    writer_release(s, err == PARLEY_OK);
    return err;
}

static void lmdb_abort(struct pl_txn *txn)
{
    struct pl_store_lmdb *s = store_of(txn->store);
    PL_ASSERT(txn->writable);
    cursors_close(&s->write);
    mdb_txn_abort(s->write.mdb);
    writer_release(s, false);
}

/* ---- Keys and values ---- */

static MDB_dbi dbi_of(struct pl_txn *txn, enum pl_table table)
{
    PL_ASSERT((unsigned)table < PL_TABLE_COUNT);
    return store_of(txn->store)->dbi[table];
}

/* Gets and puts go from where the last one in that table was: neighbours come one after the other,
 * and LMDB looks at the page at hand before it descends from the root. Readers that read little do
 * without: a place has to be made. */
#define GETS_WITHOUT_PLACE 4u

static int place_of(struct pl_txn *txn, enum pl_table table, MDB_cursor **out)
{
    struct pl_store_lmdb_txn *t = txn_of(txn);
    MDB_dbi dbi = dbi_of(txn, table);
    int rc = MDB_SUCCESS;
    if (t->places[table] == NULL)
        rc = mdb_cursor_open(t->mdb, dbi, &t->places[table]);
    *out = t->places[table];
    return rc;
}

static int get(struct pl_txn *txn, enum pl_table table, MDB_val *k, MDB_val *v)
{
    struct pl_store_lmdb_txn *t = txn_of(txn);
    MDB_cursor *place;
    MDB_dbi dbi = dbi_of(txn, table);
    if (!txn->writable && t->gets[table] < GETS_WITHOUT_PLACE) {
        t->gets[table]++;
        return mdb_get(t->mdb, dbi, k, v);
    }
    int rc = place_of(txn, table, &place);
    return rc == MDB_SUCCESS ? mdb_cursor_get(place, k, v, MDB_SET) : rc;
}

static parley_err lmdb_get(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                           struct parley_span *value, bool *found)
{
    PL_TRY(pl_store_check_key(txn, key));
    MDB_val k = val_of(key);
    MDB_val v;
    int rc = get(txn, table, &k, &v);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return txn_failed(txn, rc);
    *found = rc == MDB_SUCCESS;
    if (rc == MDB_SUCCESS)
        *value = span_of(v);
    return PARLEY_OK;
}

static parley_err store_value(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                              struct parley_span value, unsigned flags)
{
    PL_TRY(pl_store_check_write(txn, key, value.len));
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    MDB_cursor *place;
    txn_of(txn)->changes++;
    int rc = place_of(txn, table, &place);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_put(place, &k, &v, flags);
    return rc == MDB_SUCCESS ? PARLEY_OK : txn_failed(txn, rc);
}

static parley_err lmdb_put(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                           struct parley_span value)
{
    return store_value(txn, table, key, value, 0);
}

static parley_err lmdb_append(struct pl_txn *txn, enum pl_table table, struct parley_span key,
                              struct parley_span value)
{
    return store_value(txn, table, key, value, MDB_APPEND);
}

static parley_err lmdb_del(struct pl_txn *txn, enum pl_table table, struct parley_span key)
{
    PL_TRY(pl_store_check_write(txn, key, 0));
    MDB_val k = val_of(key);
    txn_of(txn)->changes++;
    int rc = mdb_del(txn_of(txn)->mdb, dbi_of(txn, table), &k, NULL);
    return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? PARLEY_OK : txn_failed(txn, rc);
}

/* ---- Cursors ---- */

static parley_err lmdb_cursor(struct pl_txn *txn, enum pl_table table, struct pl_cursor *out)
{
    struct pl_store_lmdb_txn *t = txn_of(txn);
    if (txn->err != PARLEY_OK)
        return txn->err;
    if (t->cursor_count == PL_STORE_CURSORS_MAX)
        return pl_store_fail(txn, PARLEY_EFULL);
    struct pl_store_lmdb_cursor *c = &t->cursors[t->cursor_count];
    int rc = mdb_cursor_open(t->mdb, dbi_of(txn, table), &c->mdb);
    if (rc != MDB_SUCCESS)
        return txn_failed(txn, rc);
    c->at = PL_CURSOR_UNSET;
    c->changes = t->changes;
    t->cursor_count++;
    *out = (struct pl_cursor){ .txn = txn, .table = table, .impl = c };
    return PARLEY_OK;
}

/* Runs one positioning operation; a miss leaves the cursor at `miss`. */
static parley_err cursor_go(struct pl_cursor *pc, MDB_cursor_op op, MDB_val *key,
                            enum pl_cursor_at miss, struct parley_span *out_key,
                            struct parley_span *value, bool *found)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    MDB_val v;
    int rc = mdb_cursor_get(c->mdb, key, &v, op);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return txn_failed(pc->txn, rc);
    *found = rc == MDB_SUCCESS;
    c->at = *found ? PL_CURSOR_ON : miss;
    if (*found) {
        *out_key = span_of(*key);
        *value = span_of(v);
    }
    return PARLEY_OK;
}

static parley_err lmdb_seek(struct pl_cursor *pc, struct parley_span key,
                            struct parley_span *out_key, struct parley_span *value, bool *found)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    if (key.len > PL_STORE_KEY_BYTES_MAX)
        return pl_store_fail(pc->txn, PARLEY_ETOOBIG);
    c->changes = txn_of(pc->txn)->changes;
    MDB_val k = val_of(key);
    return cursor_go(pc, key.len == 0 ? MDB_FIRST : MDB_SET_RANGE, &k, PL_CURSOR_AFTER, out_key,
                     value, found);
}

static parley_err lmdb_seek_last(struct pl_cursor *pc, struct parley_span *out_key,
                                 struct parley_span *value, bool *found)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    c->changes = txn_of(pc->txn)->changes;
    MDB_val k;
    return cursor_go(pc, MDB_LAST, &k, PL_CURSOR_BEFORE, out_key, value, found);
}

static parley_err cursor_check_step(struct pl_cursor *pc)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    if (pc->txn->err != PARLEY_OK)
        return pc->txn->err;
    if (c->changes != txn_of(pc->txn)->changes)
        return pl_store_fail(pc->txn, PARLEY_ESTATE);
    return PARLEY_OK;
}

static parley_err lmdb_next(struct pl_cursor *pc, struct parley_span *out_key,
                            struct parley_span *value, bool *found)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    PL_TRY(cursor_check_step(pc));
    if (c->at == PL_CURSOR_AFTER) {
        *found = false;
        return PARLEY_OK;
    }
    MDB_val k;
    return cursor_go(pc, c->at == PL_CURSOR_ON ? MDB_NEXT : MDB_FIRST, &k, PL_CURSOR_AFTER, out_key,
                     value, found);
}

static parley_err lmdb_prev(struct pl_cursor *pc, struct parley_span *out_key,
                            struct parley_span *value, bool *found)
{
    struct pl_store_lmdb_cursor *c = pc->impl;
    PL_TRY(cursor_check_step(pc));
    if (c->at == PL_CURSOR_BEFORE) {
        *found = false;
        return PARLEY_OK;
    }
    MDB_val k;
    return cursor_go(pc, c->at == PL_CURSOR_ON ? MDB_PREV : MDB_LAST, &k, PL_CURSOR_BEFORE, out_key,
                     value, found);
}

/* ---- Facts ---- */

static parley_err lmdb_stats(struct parley_store *store, struct pl_store_stats *out)
{
    struct pl_store_lmdb *s = store_of(store);
    struct stat file = { 0 };
    int fd = -1;
    int rc = mdb_env_get_fd(s->mdb, &fd);
    if (rc == MDB_SUCCESS && fstat(fd, &file) != 0)
        rc = errno;
    if (rc != MDB_SUCCESS)
        return pl_store_lmdb_err(s->dir, rc);
    MDB_envinfo info;
    rc = mdb_env_info(s->mdb, &info);
    if (rc != MDB_SUCCESS)
        return pl_store_lmdb_err(s->dir, rc);
    pthread_mutex_lock(&s->mutex);
    *out = (struct pl_store_stats){
        .file_bytes = (uint64_t)file.st_size,
        .limit_bytes = s->map_bytes,
        .commits = s->commits,
        .readers = s->readers,
        .reader_slots = info.me_numreaders,
    };
    pthread_mutex_unlock(&s->mutex);
    return PARLEY_OK;
}

static void lmdb_place(struct parley_store *store, uint8_t out[PL_STORE_PLACE_BYTES])
{
    memcpy(out, store_of(store)->place, PL_STORE_PLACE_BYTES);
}

const struct pl_store_ops pl_store_lmdb_ops = {
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .write_begin = lmdb_write_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .append = lmdb_append,
    .del = lmdb_del,
    .cursor = lmdb_cursor,
    .seek = lmdb_seek,
    .seek_last = lmdb_seek_last,
    .next = lmdb_next,
    .prev = lmdb_prev,
    .stats = lmdb_stats,
    .room = pl_store_lmdb_room,
    .place = lmdb_place,
    .reopen = pl_store_lmdb_reopen,
    .maintain = pl_store_lmdb_maintain,
    .compact = pl_store_lmdb_compact,
    .ledger_append = pl_store_lmdb_ledger_append,
    .ledger_read = pl_store_lmdb_ledger_read,
    .ledger_replace = pl_store_lmdb_ledger_replace,
    .witness_write = pl_store_lmdb_witness_write,
    .witness_read = pl_store_lmdb_witness_read,
    .close = pl_store_lmdb_close,
};
