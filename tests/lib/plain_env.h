/* SPDX-License-Identifier: Apache-2.0
 *
 * An environment from the heap, for programs that are not cmocka tests: stores are in memory,
 * entropy follows from `seed`, events go nowhere. Where faults and leaks are to be seen:
 * lib/env_mem.h.
 */
#ifndef TESTLIB_PLAIN_ENV_H
#define TESTLIB_PLAIN_ENV_H

#include "base/base.h"
#include "store/store_mem.h"

#include <stdlib.h>

struct plain_env {
    struct parley_env env;
    uint64_t seed;
    uint64_t places; /* stores that were opened */
};

static inline void plain_env_entropy(void *ud, void *out, size_t len)
{
    struct plain_env *e = ud;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        e->seed = e->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(e->seed >> 56);
    }
}

static inline void *plain_env_alloc(void *ud, size_t size)
{
    (void)ud;
    return malloc(size);
}

static inline void plain_env_release(void *ud, void *ptr, size_t size)
{
    (void)ud;
    (void)size;
    free(ptr);
}

static inline parley_err plain_env_store_open(void *ud, const char *name, struct parley_store **out,
                                              struct parley_diag *diag)
{
    struct plain_env *e = ud;
    (void)name;
    (void)diag;
    return pl_store_mem_open(&e->env, ++e->places, 0, out);
}

static inline void plain_env_trace(void *ud, const struct parley_trace *event)
{
    (void)ud;
    (void)event;
}

/* `e` must stay where it is. */
static inline void plain_env_init(struct plain_env *e)
{
    *e = (struct plain_env){ .env = { .ud = e,
                                      .entropy = plain_env_entropy,
                                      .alloc = plain_env_alloc,
                                      .release = plain_env_release,
                                      .store_open = plain_env_store_open,
                                      .trace = plain_env_trace } };
}

#endif
