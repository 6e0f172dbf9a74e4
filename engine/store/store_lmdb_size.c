/* SPDX-License-Identifier: Apache-2.0
 *
 * The size of the LMDB store: how much room there is, and how its limit grows.
 *
 * LMDB moves its map when the limit changes, under open readers without a word. So the writer that
 * wants to grow, or to reopen the file, shuts the gate, lets the readers that are inside leave,
 * does it, and opens the gate again; that takes as long as the longest read, and
 * PL_STORE_GATE_MS_MAX at most. Without it a store that somebody always reads would never grow.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

/* Growing the limit is no help when the disk has less than this left. */
#define GROW_DISK_BYTES_MIN (UINT64_C(64) << 20)

/* ---- The gate ---- */

bool pl_store_lmdb_locks_init(struct pl_store_lmdb *s)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool mutex = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
                 pthread_mutex_init(&s->mutex, NULL) == 0;
    bool left = mutex && pthread_cond_init(&s->readers_left, &attr) == 0;
    bool open = left && pthread_cond_init(&s->gate_open, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (left && !open)
        pthread_cond_destroy(&s->readers_left);
    if (mutex && !open)
        pthread_mutex_destroy(&s->mutex);
    return open;
}

void pl_store_lmdb_locks_deinit(struct pl_store_lmdb *s)
{
    pthread_cond_destroy(&s->gate_open);
    pthread_cond_destroy(&s->readers_left);
    pthread_mutex_destroy(&s->mutex);
}

void pl_store_lmdb_gate_pass(struct pl_store_lmdb *s)
{
    while (s->gate_shut)
        pthread_cond_wait(&s->gate_open, &s->mutex);
}

void pl_store_lmdb_gate_leave(struct pl_store_lmdb *s)
{
    PL_ASSERT(s->readers > 0);
    s->readers--;
    if (s->readers == 0 && s->gate_shut)
        pthread_cond_signal(&s->readers_left);
}

static struct timespec after_ms(long ms)
{
    struct timespec at;
    if (clock_gettime(CLOCK_MONOTONIC, &at) != 0)
        parley_panic(__FILE__, __LINE__, "there is no monotonic clock");
    at.tv_nsec += ms * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

bool pl_store_lmdb_gate_clear(struct pl_store_lmdb *s)
{
    struct timespec end = after_ms(PL_STORE_GATE_MS_MAX);
    int rc = 0;
    s->gate_shut = true;
    while (s->readers != 0 && rc == 0)
        rc = pthread_cond_timedwait(&s->readers_left, &s->mutex, &end);
    return s->readers == 0;
}

void pl_store_lmdb_gate_release(struct pl_store_lmdb *s)
{
    s->gate_shut = false;
    pthread_cond_broadcast(&s->gate_open);
}

/* ---- Room ---- */

static parley_err disk_bytes(const struct pl_store_lmdb *s, uint64_t *out)
{
    struct statvfs fs;
    if (statvfs(s->dir, &fs) != 0)
        return pl_store_lmdb_err(s->dir, errno);
    *out = (uint64_t)fs.f_bavail * fs.f_frsize;
    return PARLEY_OK;
}

static int used_bytes(const struct pl_store_lmdb *s, uint64_t *page, uint64_t *out)
{
    MDB_envinfo info;
    MDB_stat shape;
    int rc = mdb_env_info(s->mdb, &info);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_stat(s->mdb, &shape);
    if (rc != MDB_SUCCESS)
        return rc;
    *page = shape.ms_psize;
    *out = ((uint64_t)info.me_last_pgno + 1) * shape.ms_psize;
    return MDB_SUCCESS;
}

int pl_store_lmdb_count_free(MDB_txn *txn, uint64_t first, uint64_t enough, uint64_t *out)
{
    /* Table 0 is LMDB's own: transaction number -> count and that many page numbers. mdb_stat
     * reads it the same way. */
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc != MDB_SUCCESS)
        return rc;
    uint64_t count = 0;
    MDB_val k;
    MDB_val v;
    while (count < enough && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == MDB_SUCCESS) {
        size_t room = v.mv_size / sizeof(size_t);
        const uint8_t *at = v.mv_data;
        size_t pages = 0;
        if (room != 0)
            memcpy(&pages, at, sizeof pages);
        if (room == 0 || pages > room - 1) {
            rc = MDB_CORRUPTED;
            break;
        }
        for (size_t i = 1; i <= pages; i++) {
            size_t page;
            memcpy(&page, at + i * sizeof page, sizeof page);
            if (page < first)
                break; /* they are sorted, the greatest first */
            count++;
        }
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return rc;
    *out = count;
    return MDB_SUCCESS;
}

/* Whether the pages that are free within the file hold so many bytes. Those that a reader of an
 * older state still sees are counted: it ends soon. */
static bool has_free_pages(const struct pl_store_lmdb *s, uint64_t page, uint64_t bytes)
{
    MDB_txn *txn;
    uint64_t enough = (bytes + page - 1) / page;
    uint64_t count = 0;
    if (mdb_txn_begin(s->mdb, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return false;
    int rc = pl_store_lmdb_count_free(txn, 0, enough, &count);
    mdb_txn_abort(txn);
    return rc == MDB_SUCCESS && count >= enough;
}

/* By the writer, who alone changes `mdb` and `map_bytes`. */
parley_err pl_store_lmdb_room(struct parley_store *store, uint64_t reserve)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    uint64_t disk = 0;
    uint64_t page = 0;
    uint64_t used = 0;
    if (reserve == 0)
        return PARLEY_OK;
    if (s->mdb == NULL)
        return PARLEY_EIO;
    PL_TRY(disk_bytes(s, &disk));
    int rc = used_bytes(s, &page, &used);
    if (rc != MDB_SUCCESS)
        return pl_store_lmdb_err(s->dir, rc);
    uint64_t map = s->map_bytes - pl_min_u64(s->map_bytes, used);
    uint64_t map_reserve = pl_store_map_reserve(reserve, s->map_bytes);
    if (map < map_reserve && !has_free_pages(s, page, map_reserve - map))
        return PARLEY_EMAPFULL;
    if (disk < reserve && !has_free_pages(s, page, reserve - disk))
        return PARLEY_ENOSPC;
    return PARLEY_OK;
}

/* ---- Growing ---- */

bool pl_store_lmdb_nearly_full(uint64_t used, uint64_t limit)
{
    return used > limit - limit / 4;
}

uint64_t pl_store_lmdb_map_for(uint64_t map_bytes, uint64_t used, uint64_t max)
{
    while (pl_store_lmdb_nearly_full(used, map_bytes) && map_bytes < max)
        map_bytes *= 2;
    return pl_min_u64(map_bytes, max);
}

/* The size that the map should have; the same when there is nothing to do. */
static parley_err grown_size(struct pl_store_lmdb *s, uint64_t *out)
{
    uint64_t page = 0;
    uint64_t used = 0;
    int rc = used_bytes(s, &page, &used);
    if (rc != MDB_SUCCESS)
        return pl_store_lmdb_err(s->dir, rc);
    uint64_t size = pl_store_lmdb_map_for(s->map_bytes, used, s->map_bytes_max);
    if (size != s->map_bytes) {
        uint64_t disk = 0;
        PL_TRY(disk_bytes(s, &disk));
        if (disk < GROW_DISK_BYTES_MIN)
            return PARLEY_ENOSPC;
    }
    *out = size;
    return PARLEY_OK;
}

static parley_err set_size(struct pl_store_lmdb *s, uint64_t size)
{
    int rc = mdb_env_set_mapsize(s->mdb, (size_t)size);
    if (rc == MDB_SUCCESS) {
        s->map_bytes = size;
        return PARLEY_OK;
    }
    /* LMDB has dropped the old map by now: nothing works until the environment is open again. */
    pl_store_lmdb_env_close(s);
    PL_TRY(pl_store_lmdb_open_env(s, s->map_bytes, NULL));
    return pl_store_lmdb_err(s->dir, rc);
}

static parley_err grow(struct pl_store_lmdb *s)
{
    if (s->mdb == NULL)
        return PARLEY_EIO;
    if (s->write_open)
        return PARLEY_EBUSY;
    int dead = 0;
    int rc = mdb_reader_check(s->mdb, &dead);
    if (rc != MDB_SUCCESS)
        return pl_store_lmdb_err(s->dir, rc);
    uint64_t size = s->map_bytes;
    PL_TRY(grown_size(s, &size));
    if (size == s->map_bytes)
        return PARLEY_OK;
    parley_err err = pl_store_lmdb_gate_clear(s) ? set_size(s, size) : PARLEY_EBUSY;
    pl_store_lmdb_gate_release(s);
    return err;
}

parley_err pl_store_lmdb_maintain(struct parley_store *store)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    pthread_mutex_lock(&s->mutex);
    parley_err err = grow(s);
    pthread_mutex_unlock(&s->mutex);
    return err;
}
