/* SPDX-License-Identifier: Apache-2.0
 *
 * The default environment: the C heap, the kernel's entropy, the LMDB store, no trace; and the
 * system's clocks.
 */
#define _DEFAULT_SOURCE 1 /* getrandom, clock_gettime */
#include "base/base.h"
#include "store/store_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static void posix_entropy(void *ud, void *out, size_t len)
{
    (void)ud;
    uint8_t *at = out;
    while (len != 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            parley_panic(__FILE__, __LINE__, "the kernel gives no entropy");
        at += got;
        len -= (size_t)got;
    }
}

static void *posix_alloc(void *ud, size_t size)
{
    (void)ud;
    return malloc(size);
}

static void posix_release(void *ud, void *ptr, size_t size)
{
    (void)ud;
    (void)size;
    free(ptr);
}

static parley_err posix_store_open(void *ud, const char *name, struct parley_store **out,
                                   struct parley_diag *diag)
{
    /* The store borrows an environment for its whole life and uses its memory alone. A constant
     * one outlives any struct that the host may copy or drop. */
    static const struct parley_env memory = { .alloc = posix_alloc, .release = posix_release };
    (void)ud;
    return pl_store_lmdb_open(&memory, name, out, diag);
}

void parley_env_posix(struct parley_env *env)
{
    *env = (struct parley_env){
        .entropy = posix_entropy,
        .alloc = posix_alloc,
        .release = posix_release,
        .store_open = posix_store_open,
    };
}

struct parley_now parley_now_posix(void)
{
    struct timespec mono;
    struct timespec wall;
    if (clock_gettime(CLOCK_MONOTONIC, &mono) != 0 || clock_gettime(CLOCK_REALTIME, &wall) != 0)
        parley_panic(__FILE__, __LINE__, "the kernel gives no time");
    return (struct parley_now){
        .mono = (parley_time)mono.tv_sec * PARLEY_NS_PER_S + (parley_time)mono.tv_nsec,
        .wall = (parley_wall)wall.tv_sec * PARLEY_US_PER_S + wall.tv_nsec / 1000
    };
}
