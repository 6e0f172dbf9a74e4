/* SPDX-License-Identifier: Apache-2.0
 *
 * What a machine is good for: --profile. `small` is for devices with some tens of MiB of memory:
 * everything that could grow with what is asked of the node has a small bound.
 */
#ifndef PARLEYD_PROFILE_H
#define PARLEYD_PROFILE_H

#include "node/node.h"

#include <stdatomic.h>

struct profile {
    const char *name;
    uint64_t store_bytes_max; /* of the store's file; 0: what the engine allows */
    size_t memory_bytes_max;  /* that requests and sessions may take after the start; 0: no bound */
    uint32_t conns_max;       /* as pl_node_options has them */
    uint32_t batch_writes_max;
    uint32_t batch_bytes_max;
    const char *pool_threads; /* of libuv: name look-ups, new keys; NULL: libuv's own */
};

/* The profile of that name, static; NULL: there is none. */
const struct profile *profile_find(const char *name);

/* Memory of the node, counted. Above the bound there is none, which the node answers with `busy`.
 * Threads: all. */
struct profile_memory {
    atomic_size_t used;
    atomic_size_t max; /* 0: no bound yet */
};

void *profile_alloc(struct profile_memory *memory, size_t size);
void profile_release(struct profile_memory *memory, void *ptr, size_t size);
/* From now on `profile` bounds what comes on top of what there is. */
void profile_bound(struct profile_memory *memory, const struct profile *profile);

/* Opens the store of `dir` within the profile. Errors: those of pl_store_lmdb_open. */
PL_MUST_USE parley_err profile_store_open(const struct profile *profile, const char *dir,
                                          struct parley_store **out, struct parley_diag *diag);

#endif
