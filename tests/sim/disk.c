/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include "sim/oracle.h"

#include <stdlib.h>

/* The planted bug: nothing is ahead of such a clock. */
#define FAR_US (INT64_C(3650) * 24 * 3600 * PARLEY_US_PER_S)

static void *disk_alloc(void *ud, size_t size)
{
    struct sim_node *n = ud;
    void *ptr = malloc(size);
    PL_ASSERT(ptr != NULL);
    n->world->disk_blocks++;
    return ptr;
}

static void disk_release(void *ud, void *ptr, size_t size)
{
    struct sim_node *n = ud;
    (void)size;
    n->world->disk_blocks -= ptr != NULL ? 1 : 0;
    free(ptr);
}

static void keep_open(struct parley_store *store)
{
    (void)store;
}

/* A store whose close keeps it: closing a node's store does not empty its disk. */
static void adopt(struct sim_disk *disk, struct parley_store *store)
{
    disk->store = store;
    disk->ops = store->ops;
    disk->kept = *store->ops;
    disk->kept.close = keep_open;
    if (disk->dir[0] != '\0')
        sim_lmdb_wrap(&disk->kept);
    store->ops = &disk->kept;
}

static void set_faults(struct sim_node *n)
{
    struct sim_disk *disk = &n->disk;
    bool full = n->world->now < disk->full_until;
    if (n->world->plan.on_lmdb) {
        disk->full = full;
        disk->failing = disk->fail_next;
        return;
    }
    struct pl_store_mem_faults faults = { .fail_put_after = full ? 0 : -1,
                                          .fail_commit_after = disk->fail_next ? 0 : -1,
                                          .commit_eio_applied = disk->fail_applied,
                                          .repeat = full };
    pl_store_mem_set_faults(disk->store, &faults);
}

static parley_err open_store(struct sim_node *n)
{
    struct sim_disk *disk = &n->disk;
    struct parley_store *store = NULL;
    disk->env = (struct parley_env){ .ud = n, .alloc = disk_alloc, .release = disk_release };
    disk->places += disk->places == 0 ? 1000 * (n->index + 1u) : 1;
    if (n->world->plan.on_lmdb)
        PL_TRY(sim_lmdb_open(disk, n->index, &store));
    else
        PL_TRY(pl_store_mem_open(&disk->env, disk->places, 0, &store));
    adopt(disk, store);
    return PARLEY_OK;
}

parley_err sim_disk_open(void *ud, const char *name, struct parley_store **out,
                         struct parley_diag *diag)
{
    struct sim_node *n = ud;
    struct sim_disk *disk = &n->disk;
    (void)name;
    (void)diag;
    if (disk->store == NULL)
        PL_TRY(open_store(n));
    /* A new process opens the file anew. */
    PL_TRY(disk->kept.reopen(disk->store));
    set_faults(n);
    *out = disk->store;
    return PARLEY_OK;
}

static parley_time delay(struct sim_world *w)
{
    return 50000 + sim_within(w, w->calm ? PARLEY_NS_PER_MS : w->plan.disk_ns);
}

void sim_disk_commit(struct sim_node *n, struct parley_write *writes, size_t count)
{
    struct sim_world *w = n->world;
    PL_ASSERT(!n->disk.busy);
    n->disk.busy = true;
    n->disk.writes = writes;
    n->disk.count = count;
    sim_push(w, w->now + delay(w), SIM_APPLY, n->index, n->epoch);
}

static parley_err recover(struct sim_node *n)
{
    struct sim_disk *disk = &n->disk;
    parley_err err = PARLEY_EIO;
    if (!disk->fail_recover)
        err = parley_db_recover(n->db);
    disk->fail_recover = false;
    disk->uncertain = err != PARLEY_OK;
    return err;
}

/* The clock as the store sees it. */
static parley_wall disk_wall(struct sim_node *n)
{
    parley_wall wall = sim_now(n).wall;
    n->wall_max = wall > n->wall_max ? wall : n->wall_max;
    return n->world->plan.plant == SIM_PLANT_EAGER ? wall + FAR_US : wall;
}

static void maintain(struct sim_node *n)
{
    size_t count = 0;
    n->disk.maintain_wanted = false;
    set_faults(n);
    parley_err err = parley_db_maintain(n->db, disk_wall(n), &count);
    n->changes += count;
    oracle_future_look(n);
    oracle_rounds_look(n->world);
    if (err == PARLEY_EIO) {
        n->changes++;
        n->disk.fail_next = n->disk.fail_next && n->disk.uncertain;
        pl_ignore(recover(n), "the next commit tries again");
    }
}

void sim_disk_maintain(struct sim_node *n)
{
    if (n->disk.busy)
        n->disk.maintain_wanted = true;
    else
        maintain(n);
}

/* What is from no peer is a local write. Its stamp is in the results. */
static void log_writes(struct sim_node *n, const struct parley_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct parley_write *write = &writes[i];
        if (write->kind != PARLEY_WRITE_VERSION)
            continue;
        if (write->source == 0)
            sim_load_log(n, write);
        else if (n->world->plan.grace_us != 0)
            sim_load_hear(n, &write->u.version);
    }
}

void sim_disk_apply(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct sim_disk *disk = &n->disk;
    size_t count = disk->count;
    disk->changed = false;
    disk->recovered = false;
    disk->first_entry = w->load.count;
    if (w->plan.plant != SIM_PLANT_NONE)
        sim_plant_writes(n, disk->writes, &count);
    set_faults(n);
    disk->err = parley_db_apply(n->db, disk->writes, count, disk_wall(n), &disk->changed);
    bool failed = disk->err == PARLEY_EIO;
    /* A db that is uncertain of an earlier commit does not begin another. */
    bool applied = failed && !disk->uncertain && disk->fail_applied;
    if (disk->err == PARLEY_OK || applied)
        log_writes(n, disk->writes, count);
    n->changes += disk->changed || failed ? 1 : 0;
    if (disk->changed) {
        oracle_future_look(n);
        oracle_rounds_look(w);
    }
    if (failed) {
        disk->fail_next = disk->fail_next && disk->uncertain;
        disk->recovered = recover(n) == PARLEY_OK;
    }
    w->stats.commits++;
    sim_note(w, n->index, (uint64_t)disk->err, "n%u commits %zu: %s%s", n->index, disk->count,
             parley_err_name(disk->err), disk->changed ? "" : ", no change");
    sim_push(w, w->now + delay(w) / 4, SIM_COMMITTED, n->index, n->epoch);
}

void sim_disk_committed(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct sim_disk *disk = &n->disk;
    disk->busy = false;
    for (size_t i = disk->first_entry; i < w->load.count && disk->err == PARLEY_OK; i++)
        if (w->load.entries[i].node == n->index)
            w->load.entries[i].fate = SIM_ACKED;
    pl_node_committed(n->node, disk->err, disk->recovered, disk->changed, sim_now(n));
    sim_revoke_committed(n);
    if (disk->maintain_wanted && !disk->busy)
        maintain(n);
    sim_drain(n);
    sim_node_try_halt(n, false);
}

void sim_disk_full_ends(struct sim_node *n)
{
    if (n->disk.store != NULL)
        set_faults(n);
}

void sim_disk_crash(struct sim_node *n)
{
    n->disk.busy = false;
    n->disk.maintain_wanted = false;
    n->disk.uncertain = false;
    n->disk.writes = NULL;
}

/* ---- Backups ---- */

static void close_store(struct sim_disk *disk)
{
    if (disk->store == NULL)
        return;
    disk->store->ops = disk->ops;
    disk->ops->close(disk->store);
    disk->store = NULL;
}

static void drop_backup(struct sim_disk *disk)
{
    if (disk->backup != NULL)
        disk->backup->ops->close(disk->backup);
    disk->backup = NULL;
    disk->has_backup = false;
}

void sim_disk_back_up(struct sim_node *n)
{
    struct sim_disk *disk = &n->disk;
    drop_backup(disk);
    disk->has_backup = true;
    disk->backup_marks = n->world->load.count;
    if (n->world->plan.on_lmdb) {
        sim_lmdb_back_up(disk);
        return;
    }
    /* An honest backup lives at another place; a lying disk brings back the old place. */
    bool lies = n->world->plan.plant == SIM_PLANT_LOST_COMMIT;
    parley_err err =
        pl_store_mem_clone(disk->store, lies ? disk->places : ++disk->places, &disk->backup);
    PL_ASSERT(err == PARLEY_OK);
}

void sim_disk_restore(struct sim_node *n, bool honest)
{
    struct sim_disk *disk = &n->disk;
    struct sim_world *w = n->world;
    PL_ASSERT(n->state == SIM_DOWN);
    if (!disk->has_backup)
        return;
    close_store(disk);
    disk->has_backup = false;
    if (w->plan.on_lmdb) {
        sim_lmdb_restore(disk);
    } else {
        adopt(disk, disk->backup);
        disk->backup = NULL;
    }
    n->changes++;
    n->held_known = false;
    if (!honest) {
        static const uint8_t nothing[PL_STORE_WITNESS_BYTES];
        parley_err err = disk->store->ops->witness_write(disk->store, nothing);
        PL_ASSERT(err == PARLEY_OK);
        return;
    }
    sim_note(w, n->index, 7, "n%u is restored from a backup", n->index);
    sim_load_undo(n, disk->backup_marks);
    oracle_clock_restored(n);
}

void sim_disk_wipe(struct sim_node *n)
{
    PL_ASSERT(n->state == SIM_DOWN);
    sim_note(n->world, n->index, 11, "n%u is wiped", n->index);
    close_store(&n->disk);
    if (n->world->plan.on_lmdb)
        sim_lmdb_wipe(&n->disk);
    n->changes++;
    n->held_known = false;
    sim_load_undo(n, 0);
    oracle_clock_restored(n);
}

void sim_disk_copy(struct sim_node *n, struct sim_node *twin)
{
    struct parley_store *copy = NULL;
    PL_ASSERT(twin->disk.store == NULL);
    twin->disk.places = 1000 * (twin->index + 1u);
    if (n->world->plan.on_lmdb) {
        sim_lmdb_copy(&n->disk, &twin->disk, twin->index);
        parley_err err = open_store(twin);
        PL_ASSERT(err == PARLEY_OK);
    } else {
        parley_err err = pl_store_mem_clone(n->disk.store, twin->disk.places, &copy);
        PL_ASSERT(err == PARLEY_OK);
        adopt(&twin->disk, copy);
    }
    sim_note(n->world, n->index, 12, "n%u is copied to n%u", n->index, twin->index);
}

void sim_disk_free(struct sim_node *n)
{
    drop_backup(&n->disk);
    close_store(&n->disk);
    if (n->disk.dir[0] != '\0')
        sim_lmdb_wipe(&n->disk);
}
