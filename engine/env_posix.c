/* SPDX-License-Identifier: Apache-2.0
 *
 * The default environment: the C heap, the kernel's entropy, the LMDB store, no trace.
 */
#define _DEFAULT_SOURCE 1 /* getrandom */
#include "base/base.h"
#include "store/store_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static void posix_entropy(void *ud, void *out, size_t len)
{
    (void)ud;
    uint8_t *at = out;
    while (len != 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            pl_panic(__FILE__, __LINE__, "the kernel gives no entropy");
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

static parley_err posix_store_open(void *ud, const char *name, struct pl_store **out,
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
