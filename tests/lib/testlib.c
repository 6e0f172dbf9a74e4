/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* nftw */
#include "lib/testlib.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void test_entropy(void *ud, void *out, size_t len)
{
    struct test_env *t = ud;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        t->seed = t->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(t->seed >> 56);
    }
}

static void *test_alloc(void *ud, size_t size)
{
    struct test_env *t = ud;
    if (t->fail_after == 0) {
        t->fail_after = t->fail_once ? -1 : 0;
        return NULL;
    }
    if (t->fail_after > 0)
        t->fail_after--;
    t->allocs++;
    return malloc(size);
}

static void test_release(void *ud, void *ptr, size_t size)
{
    struct test_env *t = ud;
    (void)size;
    if (ptr != NULL)
        t->allocs--;
    free(ptr);
}

void test_env_init(struct test_env *t)
{
    *t = (struct test_env){ .fail_after = -1, .seed = 1 };
    t->env = (struct parley_env){
        .ud = t, .entropy = test_entropy, .alloc = test_alloc, .release = test_release
    };
}

void test_tmpdir(char path[64])
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(path, 64, "%s/parley-test-XXXXXX",
                       base != NULL && strlen(base) < 40 ? base : "/tmp");
    assert_in_range(len, 1, 63);
    assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void test_rmtree(const char *path)
{
    assert_int_equal(0, nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS));
}
