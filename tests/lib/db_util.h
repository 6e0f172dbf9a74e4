/* SPDX-License-Identifier: Apache-2.0
 *
 * Short ways to write and inspect a db in tests.
 */
#ifndef DB_UTIL_H
#define DB_UTIL_H

#include "lib/testlib.h"
#include <parley/db.h>

#define DB_UTIL_NOW INT64_C(1000000000000000)

struct parley_db *db_util_open(const struct parley_env *env, const char *name);
/* A message version; `content` at most 60 bytes, copied into `body`, at least 80. time 0: local. */
struct parley_version db_util_message(const char *conversation, const char *id, uint64_t time,
                                      const char *origin, const char *content, uint8_t *body);
struct parley_version db_util_tombstone(const char *conversation, const char *id, uint64_t time,
                                        const char *origin);
/* Deletes a whole conversation. */
struct parley_version db_util_delete(const char *conversation, uint64_t time, const char *origin);
/* Erases what a conversation was; the reason is one byte. */
struct parley_version db_util_purge(const char *conversation, uint64_t time, const char *origin);
/* Applies one version; asserts success and gives the filled write. */
struct parley_write db_util_apply(struct parley_db *db, struct parley_version version);
/* Asserts that parley_db_check finds nothing. */
struct parley_check_report db_util_check(struct parley_db *db);
/* Of "main", zeros where there is none; its name is not to be read. */
struct parley_namespace_info db_util_namespace(struct parley_db *db);
/* The root of "main". */
struct parley_root db_util_root(struct parley_db *db);
struct parley_db_state db_util_state(struct parley_db *db);

#endif
