/* SPDX-License-Identifier: Apache-2.0
 *
 * What every test file includes: cmocka, a test environment and small helpers.
 */
#ifndef TESTLIB_H
#define TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/span.h"
#include <parley/env.h>

/* An environment whose allocations are counted and can be made to fail, with repeatable entropy. */
struct test_env {
    struct parley_env env;
    int64_t fail_after; /* -1: never; 0: the next allocation returns NULL, and so on down */
    bool fail_once;     /* only one fails; fail_after is -1 then */
    int64_t allocs;     /* open allocations; 0 at the end or the test leaks */
    uint64_t seed;      /* state of the entropy */
};

/* Fills `t`; `t->env` then works, without store_open. */
void test_env_init(struct test_env *t);

/* Makes a fresh directory; the path is at most 63 characters. */
void test_tmpdir(char path[64]);
/* Removes a directory tree made by test_tmpdir. */
void test_rmtree(const char *path);

#define assert_ok(call)              assert_int_equal(PARLEY_OK, (call))
#define assert_err(code, call)       assert_int_equal((code), (call))
#define assert_span_text(span, text) assert_true(pl_span_is((span), (text)))

#endif
