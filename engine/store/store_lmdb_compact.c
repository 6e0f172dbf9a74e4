/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the file of the LMDB store as small as its contents.
 *
 * LMDB keeps the pages that are free for later and never shrinks its file. Its own copy leaves them
 * out; that is made in DIR/compact.tmp, told where it lives, synced, and renamed over the old one:
 *
 *   copy -> place -> fsync -> close the old one -> rename -> fsync of the directory -> open
 *
 * Until the rename a crash leaves the old file, and a directory that the next open removes; from
 * then on the new one. A copy that did not know its place would be taken for one that somebody has
 * put there, and get a new incarnation.
 */
#define _DEFAULT_SOURCE 1
#define _POSIX_C_SOURCE 200809L
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP "compact.tmp"
/* Room in the copy for the pages that the row of the place changes. */
#define SPARE_BYTES (UINT64_C(1) << 20)

static int put_place(MDB_env *mdb, struct parley_span key,
                     const uint8_t place[PL_STORE_PLACE_BYTES])
{
    MDB_txn *txn;
    MDB_dbi meta;
    int rc = mdb_txn_begin(mdb, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    MDB_val k = { .mv_size = key.len, .mv_data = (void *)(uintptr_t)key.ptr };
    MDB_val v = { .mv_size = PL_STORE_PLACE_BYTES, .mv_data = (void *)(uintptr_t)place };
    MDB_val old;
    rc = mdb_dbi_open(txn, "meta", 0, &meta);
    if (rc == MDB_SUCCESS)
        rc = mdb_get(txn, meta, &k, &old);
    if (rc == MDB_SUCCESS)
        rc = mdb_put(txn, meta, &k, &v, 0);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int settle(const char *tmp, const char *data, struct parley_span place_key)
{
    uint8_t place[PL_STORE_PLACE_BYTES];
    struct stat st;
    MDB_env *mdb;
    if (stat(data, &st) != 0)
        return errno;
    int rc = pl_store_lmdb_read_place(data, place);
    if (rc == 0)
        rc = pl_store_lmdb_env_open(tmp, (uint64_t)st.st_size + SPARE_BYTES, &mdb);
    if (rc != 0)
        return rc;
    rc = put_place(mdb, place_key, place);
    mdb_env_close(mdb);
    return rc;
}

/* The copy, whole and durable, in `tmp`. */
static int make_copy(struct pl_store_lmdb *s, const char *tmp, const char *data,
                     struct parley_span place_key)
{
    if (mkdir(tmp, 0700) != 0)
        return errno;
    int rc = mdb_env_copy2(s->mdb, tmp, MDB_CP_COMPACT);
    if (rc == MDB_SUCCESS && chmod(data, 0600) != 0)
        rc = errno;
    if (rc == MDB_SUCCESS)
        rc = settle(tmp, data, place_key);
    return rc == MDB_SUCCESS ? pl_store_lmdb_sync(data, 0) : rc;
}

/* Puts it in the place of the old one. */
static parley_err swap(struct pl_store_lmdb *s, const char *data)
{
    struct pl_store_lmdb_path home = pl_store_lmdb_path_of(s->dir, "store");
    struct pl_store_lmdb_path old = pl_store_lmdb_path_of(s->dir, "store/data.mdb");
    pl_store_lmdb_env_close(s);
    int rc = rename(data, old.text) == 0 ? 0 : errno;
    if (rc == 0)
        rc = pl_store_lmdb_sync(home.text, O_DIRECTORY);
    parley_err err = pl_store_lmdb_open_env(s, s->map_bytes, NULL);
    if (err == PARLEY_OK && rc != 0)
        err = pl_store_lmdb_err(s->dir, rc);
    return err;
}

static parley_err compact(struct pl_store_lmdb *s, struct parley_span place_key)
{
    struct pl_store_lmdb_path tmp = pl_store_lmdb_path_of(s->dir, TEMP);
    struct pl_store_lmdb_path data = pl_store_lmdb_path_of(tmp.text, "data.mdb");
    if (s->mdb == NULL || s->must_reopen)
        return PARLEY_EIO;
    if (s->readers != 0 || s->write_open)
        return PARLEY_EBUSY;
    int rc = make_copy(s, tmp.text, data.text, place_key);
    parley_err err = rc == 0 ? swap(s, data.text) : pl_store_lmdb_err(s->dir, rc);
    if (pl_store_lmdb_remove_temp(s->dir, TEMP) != 0)
        pl_ignore(PARLEY_EIO, "the next open removes it");
    return err;
}

parley_err pl_store_lmdb_compact(struct parley_store *store, struct parley_span place_key)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    pthread_mutex_lock(&s->mutex);
    parley_err err = compact(s, place_key);
    pthread_mutex_unlock(&s->mutex);
    return err;
}
