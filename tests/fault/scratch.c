/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* nftw, mkdtemp, MAP_ANONYMOUS */
#include "fault/scratch.h"

#include "base/base.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void scratch_make(char path[64])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, 64, "%s/parley-fault-XXXXXX", base != NULL && strlen(base) < 40 ? base : "/tmp");
    PL_ASSERT(mkdtemp(path) != NULL);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void scratch_remove(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        fprintf(stderr, "%s stays behind\n", path);
}

void *scratch_share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    PL_ASSERT(memory != MAP_FAILED);
    return memory;
}

void scratch_unshare(void *memory, size_t size)
{
    munmap(memory, size);
}
