/* SPDX-License-Identifier: Apache-2.0
 *
 * The few macros that every file may use. Includes C11 headers only.
 */
#ifndef PL_BASE_H
#define PL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <parley/err.h>
#include <parley/panic.h>

#include "base/bounds.h"

#define PL_MUST_USE PARLEY_MUST_USE
#if defined(__GNUC__)
#define PL_UNUSED __attribute__((unused))
#else
#define PL_UNUSED
#endif

/* Where branches are counted an assertion is none: the other way out of it is never taken. */
#ifdef PARLEY_COVERAGE
#define PL_ASSERT(cond) ((void)sizeof((cond) ? 1 : 0))
#else
#define PL_ASSERT(cond) ((cond) ? (void)0 : parley_panic(__FILE__, __LINE__, #cond))
#endif
#ifdef PARLEY_TINY
#define PL_ASSERT_SLOW(cond) PL_ASSERT(cond)
#else
#define PL_ASSERT_SLOW(cond) ((void)0)
#endif

/* Returns the error of `call` from the enclosing function. Only where nothing is held. */
#define PL_TRY(call)                                                                               \
    do {                                                                                           \
        parley_err pl_try_err = (call);                                                            \
        if (pl_try_err != PARLEY_OK)                                                               \
            return pl_try_err;                                                                     \
    } while (0)

/* The one way to drop an error; the reason is for the reader. */
static inline void pl_ignore(parley_err err, const char *reason)
{
    (void)err;
    (void)reason;
}

#define PL_ARRAY_LEN(array)                (sizeof(array) / sizeof((array)[0]))
#define PL_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline size_t pl_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t pl_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline uint64_t pl_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t pl_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
