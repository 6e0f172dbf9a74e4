/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of the line for a broken invariant of parley's own, never for bad input: it stops the
 * process, because going on could spoil what is stored. A host may say where, before it ends.
 */
#ifndef PARLEY_PANIC_H
#define PARLEY_PANIC_H

#include <parley/err.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PARLEY_NORETURN __attribute__((noreturn))
#else
#define PARLEY_NORETURN
#endif

/* Calls the hook, if there is one, and then abort(). libparley and libparley-node end here.
 * Threads: any. */
PARLEY_API PARLEY_NORETURN void parley_panic(const char *file, int line, const char *what);

/* Lets an embedding program note a panic before the abort; returning from it still aborts. NULL
 * takes it away. For the whole process, as abort() is: the only state of the libraries that is not
 * in a struct of the caller.
 * Threads: set it before the first other call; the hook runs on whichever thread panics. */
PARLEY_API void parley_panic_hook(void (*hook)(const char *file, int line, const char *what));

#ifdef __cplusplus
}
#endif

#endif
