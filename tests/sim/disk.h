/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk of one node: a store that outlives the node, in memory or LMDB's (disk_lmdb.c). A commit
 * takes time; it is applied at one moment and reported at a later one, so that a crash can fall
 * between.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "store/store_mem.h"
#include <parley/db.h>

struct sim_node;

struct sim_disk {
    struct parley_env env; /* of the store: its memory is not the node's */
    struct parley_store *store;
    const struct pl_store_ops *ops; /* the store's own */
    struct pl_store_ops kept;       /* the same, with a close that keeps it */
    bool has_backup;
    struct parley_store *backup; /* in memory only; LMDB's is a file */
    char dir[96];                /* LMDB's only */
    size_t backup_marks;         /* entries of the load's log when the backup was made */
    uint64_t places;
    /* The commit under way. */
    struct parley_write *writes;
    size_t count;
    bool busy;
    bool maintain_wanted;
    parley_err err;
    bool recovered, changed;
    size_t first_entry; /* of the load's log, that this commit made durable */
    /* Faults. */
    bool fail_next, fail_applied, fail_recover;
    bool full, failing,
        must_reopen; /* LMDB's only: now, at the next commit, until it is reopened */
    bool uncertain;  /* a commit failed and the store could not be reopened yet */
    parley_time full_until;
};

parley_err sim_disk_open(void *node, const char *name, struct parley_store **out,
                         struct parley_diag *diag);
void sim_disk_commit(struct sim_node *n, struct parley_write *writes, size_t count);
void sim_disk_maintain(struct sim_node *n);
void sim_disk_apply(struct sim_node *n);
void sim_disk_committed(struct sim_node *n);
/* The machine stops: whatever was under way is forgotten. */
void sim_disk_crash(struct sim_node *n);
/* Keeps a copy of the contents as they are. */
void sim_disk_back_up(struct sim_node *n);
/* The backup becomes the store; `honest`: at another place, so that the node can notice. */
void sim_disk_restore(struct sim_node *n, bool honest);
/* The disk is replaced by an empty one. */
void sim_disk_wipe(struct sim_node *n);
/* The disk of `twin` becomes a copy of this one. */
void sim_disk_copy(struct sim_node *n, struct sim_node *twin);
/* Looks again whether the store is full. */
void sim_disk_full_ends(struct sim_node *n);
void sim_disk_free(struct sim_node *n);

/* ---- disk_lmdb.c: the same on LMDB, in a directory on a RAM disk ---- */
parley_err sim_lmdb_open(struct sim_disk *disk, unsigned node, struct parley_store **out);
/* Puts the faults of disk->full and disk->failing before the calls of the store. */
void sim_lmdb_wrap(struct pl_store_ops *ops);
/* Copies of files; the store may be open, nobody writes. */
void sim_lmdb_back_up(struct sim_disk *disk);
void sim_lmdb_copy(const struct sim_disk *disk, struct sim_disk *twin, unsigned node);
/* The store is closed. */
void sim_lmdb_restore(struct sim_disk *disk);
void sim_lmdb_wipe(struct sim_disk *disk);

#endif
