/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores of LMDB under a world: directories on a RAM disk, one a node, and copies of their files
 * for backups and clones. Faults stand before the calls of the store, which the store in memory has
 * built in. What a power loss may leave is the subject of tests/power; here a crash is a kill, and
 * keeps what was committed.
 */
#define _GNU_SOURCE
#include "store/store_lmdb.h"

#include "sim/world.h"
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Files ---- */

/* One a process; it is removed at its exit. */
static char base[48];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    int rc = nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    PL_ASSERT(rc == 0 || errno == ENOENT);
}

static void remove_base(void)
{
    remove_tree(base);
}

static void make_dir(struct sim_disk *disk, unsigned node)
{
    if (base[0] == '\0') {
        struct stat info;
        bool ram = stat("/dev/shm", &info) == 0;
        snprintf(base, sizeof base, "%s/parley-sim-XXXXXX", ram ? "/dev/shm" : "/tmp");
        PL_ASSERT(mkdtemp(base) != NULL);
        atexit(remove_base);
    }
    snprintf(disk->dir, sizeof disk->dir, "%s/n%u", base, node);
    int rc = mkdir(disk->dir, 0700);
    PL_ASSERT(rc == 0 || errno == EEXIST);
}

static void name_file(const struct sim_disk *disk, const char *name, char out[160])
{
    snprintf(out, 160, "%s/%s", disk->dir, name);
}

/* A file of its own, with its own inode. What is not there is not copied. */
static void copy_file(const char *from, const char *to)
{
    static uint8_t bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 && errno == ENOENT)
        return;
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    PL_ASSERT(in >= 0 && out >= 0);
    for (ssize_t len = 1; len > 0;) {
        len = read(in, bytes, sizeof bytes);
        PL_ASSERT(len >= 0 && write(out, bytes, (size_t)len) == len);
    }
    close(in);
    close(out);
}

/* ---- The store ---- */

parley_err sim_lmdb_open(struct sim_disk *disk, unsigned node, struct parley_store **out)
{
    struct parley_diag diag = { "" };
    make_dir(disk, node);
    disk->must_reopen = false;
    parley_err err = pl_store_lmdb_open(&disk->env, disk->dir, out, &diag);
    if (err != PARLEY_OK)
        fprintf(stderr, "%s\n", diag.text);
    return err;
}

void sim_lmdb_back_up(struct sim_disk *disk)
{
    char from[160], to[160];
    name_file(disk, "store/data.mdb", from);
    name_file(disk, "backup.mdb", to);
    unlink(to);
    copy_file(from, to);
}

void sim_lmdb_restore(struct sim_disk *disk)
{
    char from[160], to[160];
    name_file(disk, "backup.mdb", from);
    name_file(disk, "store/data.mdb", to);
    int rc = rename(from, to);
    PL_ASSERT(rc == 0);
}

void sim_lmdb_copy(const struct sim_disk *disk, struct sim_disk *twin, unsigned node)
{
    static const char *const names[] = { "store/data.mdb", "ledger", "witness" };
    char from[160], to[160];
    make_dir(twin, node);
    name_file(twin, "store", to);
    int rc = mkdir(to, 0700);
    PL_ASSERT(rc == 0);
    for (size_t i = 0; i < PL_ARRAY_LEN(names); i++) {
        name_file(disk, names[i], from);
        name_file(twin, names[i], to);
        copy_file(from, to);
    }
}

void sim_lmdb_wipe(struct sim_disk *disk)
{
    remove_tree(disk->dir);
    disk->has_backup = false;
}

/* ---- Faults ---- */

static struct sim_disk *disk_of(struct parley_store *store)
{
    return PL_CONTAINER_OF(store->ops, struct sim_disk, kept);
}

static parley_err may_change(struct pl_txn *txn)
{
    if (txn->err == PARLEY_OK && disk_of(txn->store)->full)
        return pl_store_fail(txn, PARLEY_EMAPFULL);
    return txn->err;
}

static parley_err faulty_put(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                             struct parley_span value)
{
    PL_TRY(may_change(txn));
    return disk_of(txn->store)->ops->put(txn, t, key, value);
}

static parley_err faulty_append(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                                struct parley_span value)
{
    PL_TRY(may_change(txn));
    return disk_of(txn->store)->ops->append(txn, t, key, value);
}

static parley_err faulty_del(struct pl_txn *txn, enum pl_table t, struct parley_span key)
{
    PL_TRY(may_change(txn));
    return disk_of(txn->store)->ops->del(txn, t, key);
}

static parley_err faulty_write_begin(struct parley_store *store, struct pl_txn **out)
{
    struct sim_disk *disk = disk_of(store);
    return disk->must_reopen ? PARLEY_EIO : disk->ops->write_begin(store, out);
}

static parley_err faulty_commit(struct pl_txn *txn)
{
    struct sim_disk *disk = disk_of(txn->store);
    if (txn->err != PARLEY_OK || !disk->failing)
        return disk->ops->commit(txn);
    disk->failing = false;
    disk->must_reopen = true;
    if (!disk->fail_applied) {
        disk->ops->abort(txn);
        return PARLEY_EIO;
    }
    parley_err err = disk->ops->commit(txn);
    PL_ASSERT(err == PARLEY_OK);
    return PARLEY_EIO;
}

static parley_err faulty_reopen(struct parley_store *store)
{
    struct sim_disk *disk = disk_of(store);
    PL_TRY(disk->ops->reopen(store));
    disk->must_reopen = false;
    return PARLEY_OK;
}

void sim_lmdb_wrap(struct pl_store_ops *ops)
{
    ops->put = faulty_put;
    ops->append = faulty_append;
    ops->del = faulty_del;
    ops->write_begin = faulty_write_begin;
    ops->commit = faulty_commit;
    ops->reopen = faulty_reopen;
}
