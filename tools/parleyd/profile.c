/* SPDX-License-Identifier: Apache-2.0 */
#include "parleyd/profile.h"

#include "store/store_lmdb.h"

#include <stdlib.h>
#include <string.h>

/* small: a commit of 256 scattered versions makes about 600 dirty pages of 4 KiB, which LMDB keeps
 * for the next one; a TLS session of a peer has about 200 KiB. With the 2 MiB that an empty node
 * has this stays within 8 MiB; parley-bench footprint measures it. */
static const struct profile profiles[] = {
    { .name = "normal" },
    { .name = "small",
      .store_bytes_max = UINT64_C(256) << 20,
      .memory_bytes_max = 5u << 20,
      .conns_max = 24,
      .batch_writes_max = 256,
      .batch_bytes_max = 256u << 10,
      .pool_threads = "1" },
};

const struct profile *profile_find(const char *name)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(profiles); i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

void *profile_alloc(struct profile_memory *memory, size_t size)
{
    size_t max = atomic_load(&memory->max);
    size_t before = atomic_fetch_add(&memory->used, size);
    void *ptr = max == 0 || (before <= max && size <= max - before) ? malloc(size) : NULL;
    if (ptr == NULL)
        atomic_fetch_sub(&memory->used, size);
    return ptr;
}

void profile_release(struct profile_memory *memory, void *ptr, size_t size)
{
    if (ptr != NULL)
        atomic_fetch_sub(&memory->used, size);
    free(ptr);
}

void profile_bound(struct profile_memory *memory, const struct profile *profile)
{
    if (profile->memory_bytes_max != 0)
        atomic_store(&memory->max, atomic_load(&memory->used) + profile->memory_bytes_max);
}

/* The store borrows an environment for its whole life and uses its memory alone. */
static void *store_alloc(void *ud, size_t size)
{
    (void)ud;
    return malloc(size);
}

static void store_release(void *ud, void *ptr, size_t size)
{
    (void)ud;
    (void)size;
    free(ptr);
}

parley_err profile_store_open(const struct profile *profile, const char *dir,
                              struct parley_store **out, struct parley_diag *diag)
{
    static const struct parley_env memory = { .alloc = store_alloc, .release = store_release };
    if (profile->store_bytes_max == 0)
        return pl_store_lmdb_open(&memory, dir, out, diag);
    return pl_store_lmdb_open_limited(&memory, dir, profile->store_bytes_max, out, diag);
}
