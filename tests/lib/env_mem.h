/* SPDX-License-Identifier: Apache-2.0
 *
 * A test environment whose stores live in memory and survive being closed: opening the same name
 * again gives the same store, as a restart finds the same disk.
 */
#ifndef ENV_MEM_H
#define ENV_MEM_H

#include "lib/testlib.h"
#include "store/store_mem.h"

#define ENV_MEM_STORES_MAX 8

struct env_mem_slot {
    char name[32];
    struct parley_store *store;
    const struct pl_store_ops *ops; /* of the store itself */
    struct pl_store_ops kept;       /* the same, with a close that keeps it */
    bool open;
};

struct env_mem {
    struct test_env t; /* first: its address is the env's user data */
    struct env_mem_slot slots[ENV_MEM_STORES_MAX];
};

void env_mem_init(struct env_mem *m);
/* Closes the stores for good and asserts that nothing leaked. */
void env_mem_deinit(struct env_mem *m);
/* The store of a name that was opened before. */
struct parley_store *env_mem_store(struct env_mem *m, const char *name);
/* Makes `to` a copy of `from`, at another place, as a copied disk would be. */
void env_mem_copy(struct env_mem *m, const char *from, const char *to);

#endif
