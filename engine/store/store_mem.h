/* SPDX-License-Identifier: Apache-2.0
 *
 * The same contract in memory: for tests, ephemeral nodes and the simulator. A persistent
 * (path-copying) balanced tree a table, so that snapshots are a root pointer.
 */
#ifndef PL_STORE_MEM_H
#define PL_STORE_MEM_H

#include "store/store.h"

/* Faults to inject; each counts down calls of its kind and then fails them. */
struct pl_store_mem_faults {
    int64_t fail_put_after;    /* -1: never; 0: the next put, append or del fails with EMAPFULL */
    int64_t fail_commit_after; /* -1: never; 0: the next commit fails with EIO, nothing applied */
    bool commit_eio_applied;   /* it was applied after all, as the next reopen shows */
    bool repeat;               /* keep failing until changed */
};

/* Creates an empty store. `place` becomes its place; `limit_bytes` bounds its contents, 0 means
 * no bound. Ownership: `env` is borrowed. Threads: the store and all its clones belong to one. */
PL_MUST_USE parley_err pl_store_mem_open(const struct parley_env *env, uint64_t place,
                                         uint64_t limit_bytes, struct parley_store **out);

/* Lets a test or the simulator plant faults. The struct is copied. */
void pl_store_mem_set_faults(struct parley_store *s, const struct pl_store_mem_faults *faults);

/* An independent store with the contents of the last commit, as a copied disk holds: one whose
 * outcome is unknown counts if it was applied. Cost: constant, the contents are shared. */
PL_MUST_USE parley_err pl_store_mem_clone(struct parley_store *s, uint64_t place,
                                          struct parley_store **out);

#endif
