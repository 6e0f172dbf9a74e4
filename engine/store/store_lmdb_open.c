/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the LMDB store; store_lmdb_size.c has its size.
 *
 *   DIR/lock                    advisory lock; holds the process id of its owner
 *   DIR/store/data.mdb          the environment, with lock.mdb beside it
 *   DIR/store.tmp/              an environment being created; removed at the next open
 *   DIR/compact.tmp/            a copy being made by store_lmdb_compact.c; likewise
 *
 * Creation is LMDB's one weak moment: before the first commit a crash leaves a file that does not
 * open. So it is built aside with its tables committed, synced, renamed, and the parent synced. A
 * process may be killed before that last sync, so every open syncs the directory again.
 *
 * The lock comes first and covers everything else. It also keeps a second environment on the same
 * path out of this process, which would silently drop LMDB's own locks when closed.
 */
#define _DEFAULT_SOURCE 1 /* flock */
#define _POSIX_C_SOURCE 200809L
#include "base/writer.h"
#include "store/store_lmdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Leaves room for the longest name in it. */
#define DIR_BYTES_MAX 4000

/* The map of an environment that holds nothing but empty tables. */
#define CREATE_MAP_BYTES (1u << 20)
/* Two meta pages of the smallest page size there is: no committed environment is shorter. */
#define FILE_BYTES_MIN 8192

/* Names are part of the disk format. */
static const char *const table_names[PL_TABLE_COUNT] = {
    [PL_TABLE_META] = "meta",
    [PL_TABLE_SYS] = "sys",
    [PL_TABLE_NAMESPACE] = "namespace",
    [PL_TABLE_ORIGIN] = "origin",
    [PL_TABLE_CONVERSATION] = "conversation",
    [PL_TABLE_REGISTER] = "register",
    [PL_TABLE_LOG] = "log",
    [PL_TABLE_HISTORY] = "history",
    [PL_TABLE_HOLD] = "hold",
    [PL_TABLE_ELEMENT] = "element",
    [PL_TABLE_SUM] = "sum",
    [PL_TABLE_TRASH] = "trash",
};

struct pl_store_lmdb_path pl_store_lmdb_path_of(const char *dir, const char *name)
{
    struct pl_store_lmdb_path p;
    int len = snprintf(p.text, sizeof p.text, "%s/%s", dir, name);
    PL_ASSERT(len > 0 && (size_t)len < sizeof p.text);
    return p;
}

/* Fills `diag` with the path, what failed and what to do, and returns `err`. */
static parley_err explain(struct parley_diag *diag, parley_err err, const char *path,
                          const char *what)
{
    if (diag != NULL) {
        int len = snprintf(diag->text, sizeof diag->text, "%s: %s", path, what);
        if (len < 0)
            diag->text[0] = '\0';
    }
    return err;
}

static parley_err explain_errno(struct parley_diag *diag, const char *dir, const char *path, int rc)
{
    parley_err err = pl_store_lmdb_err(dir, rc);
    return explain(diag, err, path, mdb_strerror(rc));
}

/* ---- Directories ---- */

int pl_store_lmdb_sync(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return errno;
    int rc = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return rc;
}

/* Syncs the directory that this one is in. */
static int sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return pl_store_lmdb_sync(".", O_DIRECTORY);
    if (slash == path)
        return pl_store_lmdb_sync("/", O_DIRECTORY);
    *slash = '\0';
    int rc = pl_store_lmdb_sync(path, O_DIRECTORY);
    *slash = '/';
    return rc;
}

/* Makes one directory and syncs the one it is in, so that it outlives a crash. */
static int make_dir(char *path)
{
    return mkdir(path, 0700) == 0 ? sync_parent(path) : errno;
}

/* Of a sync of names that are there, since who made them may have been killed, or have failed,
 * before. What may not even be read was made by somebody else; a store was never made by us where
 * directories cannot be synced (EINVAL), but it may have been put there. */
static int again(int rc)
{
    return rc == EACCES || rc == EINVAL ? 0 : rc;
}

static parley_err make_dirs(const char *dir, struct parley_diag *diag)
{
    struct stat st;
    struct pl_store_lmdb_path p = pl_store_lmdb_path_of(dir, ".");
    size_t len = strlen(dir);
    for (size_t i = 1; i <= len; i++) {
        if (p.text[i] != '/' || p.text[i - 1] == '/')
            continue;
        p.text[i] = '\0';
        int rc = 0;
        if (stat(p.text, &st) != 0)
            rc = make_dir(p.text);
        else if (i == len)
            rc = again(sync_parent(p.text));
        if (rc != 0 && rc != EEXIST)
            return explain_errno(diag, dir, p.text, rc);
        p.text[i] = '/';
    }
    return PARLEY_OK;
}

/* ---- The lock ---- */

static void read_owner(int fd, char *out, size_t cap)
{
    char text[24] = "";
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    unsigned long pid = len > 0 ? strtoul(text, NULL, 10) : 0;
    if (pid != 0)
        snprintf(out, cap, "in use by process %lu; stop it first", pid);
    else
        snprintf(out, cap, "in use by another process; stop it first");
}

static parley_err take_lock(const char *dir, int *out, struct parley_diag *diag)
{
    struct pl_store_lmdb_path p = pl_store_lmdb_path_of(dir, "lock");
    int fd = open(p.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return explain_errno(diag, dir, p.text, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno;
        char what[80];
        read_owner(fd, what, sizeof what);
        close(fd);
        if (rc == EWOULDBLOCK)
            return explain(diag, PARLEY_ELOCKED, p.text, what);
        return explain_errno(diag, dir, p.text, rc);
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The number only helps people; the lock itself is what counts, also on a full disk. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) != len)
        pl_ignore(PARLEY_EIO, "a lock file without our number still locks");
    *out = fd;
    return PARLEY_OK;
}

/* ---- Creation ---- */

int pl_store_lmdb_remove_temp(const char *dir, const char *name)
{
    struct pl_store_lmdb_path tmp = pl_store_lmdb_path_of(dir, name);
    struct pl_store_lmdb_path data = pl_store_lmdb_path_of(tmp.text, "data.mdb");
    struct pl_store_lmdb_path lock = pl_store_lmdb_path_of(tmp.text, "lock.mdb");
    if (unlink(data.text) != 0 && errno != ENOENT)
        return errno;
    if (unlink(lock.text) != 0 && errno != ENOENT)
        return errno;
    return rmdir(tmp.text) == 0 || errno == ENOENT ? 0 : errno;
}

/* Tables from number `create_from` on may be new. */
static int open_tables(MDB_txn *txn, size_t create_from, MDB_dbi dbi[PL_TABLE_COUNT])
{
    for (size_t i = 0; i < PL_TABLE_COUNT; i++) {
        int rc = mdb_dbi_open(txn, table_names[i], i < create_from ? 0 : MDB_CREATE, &dbi[i]);
        if (rc != MDB_SUCCESS)
            return rc;
    }
    return MDB_SUCCESS;
}

static int commit_tables(MDB_env *mdb, unsigned txn_flags, size_t create_from,
                         MDB_dbi dbi[PL_TABLE_COUNT])
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(mdb, NULL, txn_flags, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = open_tables(txn, create_from, dbi);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* LMDB maps its lock file and writes to it; on a full disk a page that was never allocated is a
 * SIGBUS, so allocate it before: then a store opens for reading on a full disk, and a start that
 * cannot have its page is an error. The size is what LMDB makes of the number of readers. */
static int reserve_lock_file(const char *path)
{
    enum { READER_BYTES = 64, HEAD_BYTES = 192 };
    struct pl_store_lmdb_path lock = pl_store_lmdb_path_of(path, "lock.mdb");
    int fd = open(lock.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc = EINTR;
    for (int tries = 0; rc == EINTR && tries < 100; tries++)
        rc = posix_fallocate(fd, 0, (PL_STORE_LMDB_READERS_MAX - 1) * READER_BYTES + HEAD_BYTES);
    close(fd);
    return rc;
}

int pl_store_lmdb_env_open(const char *path, uint64_t map_bytes, MDB_env **out)
{
    MDB_env *mdb;
    int rc = reserve_lock_file(path);
    if (rc == 0)
        rc = mdb_env_create(&mdb);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = mdb_env_set_maxdbs(mdb, PL_TABLE_COUNT);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(mdb, PL_STORE_LMDB_READERS_MAX);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_mapsize(mdb, (size_t)map_bytes);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(mdb, path, MDB_NOTLS, 0600);
    if (rc != MDB_SUCCESS) {
        mdb_env_close(mdb);
        return rc;
    }
    *out = mdb;
    return MDB_SUCCESS;
}

static int build_temp(const char *tmp)
{
    if (mkdir(tmp, 0700) != 0)
        return errno;
    MDB_env *mdb;
    int rc = pl_store_lmdb_env_open(tmp, CREATE_MAP_BYTES, &mdb);
    if (rc != MDB_SUCCESS)
        return rc;
    MDB_dbi dbi[PL_TABLE_COUNT];
    rc = commit_tables(mdb, 0, 0, dbi);
    mdb_env_close(mdb);
    if (rc != MDB_SUCCESS)
        return rc;
    struct pl_store_lmdb_path data = pl_store_lmdb_path_of(tmp, "data.mdb");
    rc = pl_store_lmdb_sync(data.text, 0);
    return rc != 0 ? rc : pl_store_lmdb_sync(tmp, O_DIRECTORY);
}

static parley_err create_store(const char *dir, struct parley_diag *diag)
{
    struct pl_store_lmdb_path tmp = pl_store_lmdb_path_of(dir, "store.tmp");
    struct pl_store_lmdb_path home = pl_store_lmdb_path_of(dir, "store");
    int rc = build_temp(tmp.text);
    if (rc != 0) {
        parley_err err = explain_errno(diag, dir, tmp.text, rc);
        if (pl_store_lmdb_remove_temp(dir, "store.tmp") != 0)
            pl_ignore(PARLEY_EIO, "the next open removes it");
        return err;
    }
    if (rename(tmp.text, home.text) != 0) {
        rc = errno;
        /* The name is taken by something that is not ours to replace. */
        if (rc == ENOTEMPTY || rc == EEXIST || rc == ENOTDIR)
            return explain(diag, PARLEY_EFORMAT, home.text,
                           "exists but holds no data.mdb; restore a backup, or move it away "
                           "to start empty");
        return explain_errno(diag, dir, home.text, rc);
    }
    rc = pl_store_lmdb_sync(dir, O_DIRECTORY);
    return rc == 0 ? PARLEY_OK : explain_errno(diag, dir, dir, rc);
}

/* ---- Opening the environment ---- */

/* Says whether all pages from `first` to `last` are free, in the state of the last commit. */
static int tail_is_free(MDB_env *mdb, uint64_t first, uint64_t last, bool *out)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(mdb, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    uint64_t count = 0;
    rc = pl_store_lmdb_count_free(txn, first, UINT64_MAX, &count);
    mdb_txn_abort(txn);
    if (rc == MDB_SUCCESS)
        *out = count == last - first + 1;
    return rc;
}

/* Makes the file as long as its pages say. It stays so when all of the new ones are free, which
 * *whole tells, and gets its length back when they are not. An errno when the system was in the
 * way, which says nothing about the file; what LMDB has against the file is no error here. */
static int lengthen(MDB_env *mdb, const char *data, off_t len, uint64_t page_bytes, uint64_t last,
                    bool *whole)
{
    if (truncate(data, (off_t)((last + 1) * page_bytes)) != 0)
        return errno == EFBIG || errno == EINVAL ? 0 : errno; /* no such page can be */
    int rc = tail_is_free(mdb, (uint64_t)len / page_bytes, last, whole);
    if (rc == MDB_SUCCESS && *whole)
        return 0;
    if (truncate(data, len) != 0)
        pl_ignore(PARLEY_EIO, "refused either way; the hole at the end holds no data");
    return rc > 0 ? rc : 0;
}

/* A page beyond the end of the file is SIGBUS when read, so a truncated file must not be served.
 * A whole file can be short too: LMDB never writes pages that were taken and freed within one
 * transaction, for example by a large value put twice in a batch. Those are on the free list. The
 * file is extended (with a hole) before that list is walked, since it may itself be in the part
 * that is missing; a refused file gets its old length back. */
static parley_err check_length(MDB_env *mdb, const char *dir, const char *data,
                               struct parley_diag *diag)
{
    MDB_envinfo info;
    MDB_stat shape;
    struct stat st;
    int rc = mdb_env_info(mdb, &info);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_stat(mdb, &shape);
    if (rc == MDB_SUCCESS && stat(data, &st) != 0)
        rc = errno;
    if (rc != MDB_SUCCESS)
        return explain_errno(diag, dir, data, rc);
    uint64_t have = (uint64_t)st.st_size / shape.ms_psize;
    uint64_t last = (uint64_t)info.me_last_pgno;
    if (last < have)
        return PARLEY_OK;
    bool whole = false;
    if (have >= 2)
        rc = lengthen(mdb, data, st.st_size, shape.ms_psize, last, &whole);
    if (rc != 0)
        return explain_errno(diag, dir, data, rc);
    if (whole)
        return PARLEY_OK;
    return explain(diag, PARLEY_EFORMAT, data,
                   "is truncated: pages in use lie beyond its end; restore a backup");
}

int pl_store_lmdb_read_place(const char *data, uint8_t place[PL_STORE_PLACE_BYTES])
{
    struct stat st;
    struct statvfs fs;
    if (stat(data, &st) != 0 || statvfs(data, &fs) != 0)
        return errno;
    pl_put_be(place, (uint64_t)fs.f_fsid, 8);
    pl_put_be(place + 8, (uint64_t)st.st_ino, 8);
    return 0;
}

parley_err pl_store_lmdb_open_env(struct pl_store_lmdb *s, uint64_t map_bytes,
                                  struct parley_diag *diag)
{
    struct pl_store_lmdb_path home = pl_store_lmdb_path_of(s->dir, "store");
    struct pl_store_lmdb_path data = pl_store_lmdb_path_of(home.text, "data.mdb");
    struct stat st;
    if (stat(data.text, &st) != 0)
        return explain_errno(diag, s->dir, data.text, errno);
    if (st.st_size < FILE_BYTES_MIN)
        return explain(diag, PARLEY_EFORMAT, data.text,
                       "is too short to be a store; restore a backup");
    map_bytes = pl_store_lmdb_map_for(map_bytes, (uint64_t)st.st_size, s->map_bytes_max);
    MDB_env *mdb = NULL;
    int rc = pl_store_lmdb_env_open(home.text, map_bytes, &mdb);
    /* Too much address space is ENOMEM from the kernel, EINVAL under valgrind. */
    while ((rc == ENOMEM || rc == EINVAL) && map_bytes / 2 >= PL_STORE_LMDB_MAP_BYTES_MIN &&
           !pl_store_lmdb_nearly_full((uint64_t)st.st_size, map_bytes / 2)) {
        map_bytes /= 2;
        rc = pl_store_lmdb_env_open(home.text, map_bytes, &mdb);
    }
    if (rc != MDB_SUCCESS)
        return explain_errno(diag, s->dir, data.text, rc);
    parley_err err = check_length(mdb, s->dir, data.text, diag);
    if (err != PARLEY_OK)
        goto out;
    int dead = 0;
    rc = mdb_reader_check(mdb, &dead);
    if (rc == MDB_SUCCESS)
        rc = commit_tables(mdb, MDB_RDONLY, PL_TABLE_COUNT, s->dbi);
    if (rc == MDB_NOTFOUND) /* of format 1; the tables that it must have are not made up */
        rc = commit_tables(mdb, 0, PL_TABLE_ELEMENT, s->dbi);
    if (rc == MDB_SUCCESS)
        rc = pl_store_lmdb_read_place(data.text, s->place);
    if (rc != MDB_SUCCESS) {
        err = explain_errno(diag, s->dir, data.text, rc);
        goto out;
    }
    s->mdb = mdb;
    s->map_bytes = map_bytes;
    s->must_reopen = false;
    return PARLEY_OK;
out:
    mdb_env_close(mdb);
    return err;
}

static parley_err open_or_create(struct pl_store_lmdb *s, uint64_t map_bytes,
                                 struct parley_diag *diag)
{
    static const char *const temps[] = { "store.tmp", "compact.tmp" };
    for (size_t i = 0; i < PL_ARRAY_LEN(temps); i++) {
        int rc = pl_store_lmdb_remove_temp(s->dir, temps[i]);
        struct pl_store_lmdb_path tmp = pl_store_lmdb_path_of(s->dir, temps[i]);
        if (rc != 0)
            return explain_errno(diag, s->dir, tmp.text, rc);
    }
    struct pl_store_lmdb_path data = pl_store_lmdb_path_of(s->dir, "store/data.mdb");
    struct stat st;
    if (stat(data.text, &st) == 0) {
        int rc = again(pl_store_lmdb_sync(s->dir, O_DIRECTORY));
        if (rc != 0)
            return explain_errno(diag, s->dir, s->dir, rc);
    } else {
        if (errno != ENOENT)
            return explain_errno(diag, s->dir, data.text, errno);
        PL_TRY(create_store(s->dir, diag));
    }
    return pl_store_lmdb_open_env(s, map_bytes, diag);
}

static parley_err open_bounded(const struct parley_env *env, const char *dir, uint64_t map_bytes,
                               uint64_t map_bytes_max, struct parley_store **out,
                               struct parley_diag *diag)
{
    size_t len = strlen(dir);
    if (len == 0 || len > DIR_BYTES_MAX)
        return explain(diag, PARLEY_EINVAL, "store", "the directory name is empty or too long");
    size_t size = sizeof(struct pl_store_lmdb) + len + 1;
    struct pl_store_lmdb *s = env->alloc(env->ud, size);
    if (s == NULL)
        return explain(diag, PARLEY_ENOMEM, dir, "out of memory");
    *s = (struct pl_store_lmdb){ .head.ops = &pl_store_lmdb_ops,
                                 .env = env,
                                 .lock_fd = -1,
                                 .size = size,
                                 .map_bytes_max = map_bytes_max };
    memcpy(s->dir, dir, len + 1);
    parley_err err = PARLEY_OK;
    if (!pl_store_lmdb_locks_init(s)) {
        err = explain(diag, PARLEY_ENOMEM, dir, "no mutex");
        goto out_memory;
    }
    err = make_dirs(dir, diag);
    if (err == PARLEY_OK)
        err = take_lock(dir, &s->lock_fd, diag);
    if (err == PARLEY_OK)
        err = open_or_create(s, map_bytes, diag);
    if (err == PARLEY_OK) {
        *out = &s->head;
        return PARLEY_OK;
    }
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pl_store_lmdb_locks_deinit(s);
out_memory:
    env->release(env->ud, s, size);
    return err;
}

parley_err pl_store_lmdb_open_sized(const struct parley_env *env, const char *dir,
                                    uint64_t map_bytes, struct parley_store **out,
                                    struct parley_diag *diag)
{
    return open_bounded(env, dir, map_bytes, PL_STORE_LMDB_MAP_BYTES_MAX, out, diag);
}

parley_err pl_store_lmdb_open_limited(const struct parley_env *env, const char *dir,
                                      uint64_t limit_bytes, struct parley_store **out,
                                      struct parley_diag *diag)
{
    return open_bounded(env, dir, limit_bytes, limit_bytes, out, diag);
}

parley_err pl_store_lmdb_open(const struct parley_env *env, const char *dir,
                              struct parley_store **out, struct parley_diag *diag)
{
    return pl_store_lmdb_open_sized(env, dir, PL_STORE_LMDB_MAP_BYTES, out, diag);
}

/* ---- Closing, reopening ---- */

void pl_store_lmdb_env_close(struct pl_store_lmdb *s)
{
    while (s->pool != NULL) {
        struct pl_store_lmdb_txn *t = s->pool;
        s->pool = t->next;
        mdb_txn_abort(t->mdb);
        s->env->release(s->env->ud, t, sizeof *t);
    }
    if (s->mdb != NULL)
        mdb_env_close(s->mdb);
    s->mdb = NULL;
}

parley_err pl_store_lmdb_reopen(struct parley_store *store)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    pthread_mutex_lock(&s->mutex);
    parley_err err = PARLEY_EBUSY;
    if (!s->write_open && pl_store_lmdb_gate_clear(s)) {
        pl_store_lmdb_env_close(s);
        err = pl_store_lmdb_open_env(s, s->map_bytes, NULL);
    }
    pl_store_lmdb_gate_release(s);
    pthread_mutex_unlock(&s->mutex);
    return err;
}

void pl_store_lmdb_close(struct parley_store *store)
{
    struct pl_store_lmdb *s = PL_CONTAINER_OF(store, struct pl_store_lmdb, head);
    PL_ASSERT(s->readers == 0);
    PL_ASSERT(!s->write_open);
    const struct parley_env *env = s->env;
    pl_store_lmdb_env_close(s);
    if (ftruncate(s->lock_fd, 0) != 0)
        pl_ignore(PARLEY_EIO, "a stale number in an unlocked file misleads nobody");
    close(s->lock_fd);
    pl_store_lmdb_locks_deinit(s);
    env->release(env->ud, s, s->size);
}
