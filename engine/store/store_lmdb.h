/* SPDX-License-Identifier: Apache-2.0
 *
 * The durable store: one LMDB environment in a directory of its own, `DIR/store/data.mdb`.
 */
#ifndef PL_STORE_LMDB_H
#define PL_STORE_LMDB_H

#include "store/store.h"

/* Opens the store in directory `dir`, creating it crash-safely if it is not there: built in a
 * temporary directory beside it, synced, renamed, parent synced. Takes an exclusive advisory lock
 * on `dir`/lock for as long as it is open; a lock held by another process is ELOCKED.
 *
 * Ownership: `env` is borrowed for the life of the store; `dir` is copied.
 * Errors:    ELOCKED, EACCESS, ENOSPC, EIO, EFORMAT (not an LMDB file, or truncated), ENOMEM;
 *            `diag` then names the file and what to do.
 */
PL_MUST_USE parley_err pl_store_lmdb_open(const struct parley_env *env, const char *dir,
                                          struct parley_store **out, struct parley_diag *diag);

/* The same with a size limit to start from, in bytes; a multiple of the page size. For tests that
 * fill it. `maintain` grows it as ever. */
PL_MUST_USE parley_err pl_store_lmdb_open_sized(const struct parley_env *env, const char *dir,
                                                uint64_t map_bytes, struct parley_store **out,
                                                struct parley_diag *diag);

/* The same with a limit that `maintain` leaves as it is. A store that is larger already opens, and
 * takes nothing but what may use the reserve. */
PL_MUST_USE parley_err pl_store_lmdb_open_limited(const struct parley_env *env, const char *dir,
                                                  uint64_t limit_bytes, struct parley_store **out,
                                                  struct parley_diag *diag);

#endif
