/* SPDX-License-Identifier: Apache-2.0
 *
 * A db in memory that has rows in each table, and whose reads and puts can be made to fail.
 */
#ifndef RICH_DB_H
#define RICH_DB_H

#include "lib/db_util.h"
#include "lib/read_fault.h"

#define LATER ((uint64_t)DB_UTIL_NOW * 2)
/* No step takes more reads; then something would be wrong with it. */
#define READS_MAX    3000
#define NUMBER_OF_C1 1
#define MAIN         pl_span_text("main")

/* Rows in each table: history, a tombstone, a purge, one held, one in the trash, a view, a rule. */
static inline void fill(struct parley_db *db)
{
    uint8_t body[80];
    static const char line[] = "a line\n";
    db_util_apply(db, db_util_message("c1", "m1", 100, "ann", "old", body));
    db_util_apply(db, db_util_message("c1", "m1", 200, "bob", "new", body));
    db_util_apply(db, db_util_message("c1", "m2", 210, "bob", "more", body));
    db_util_apply(db, db_util_tombstone("c1", "m3", 220, "bob"));
    db_util_apply(db, db_util_message("c2", "m1", 100, "ann", "gone", body));
    db_util_apply(db, db_util_delete("c2", 250, "ann"));
    db_util_apply(db, db_util_message("c3", "m1", 100, "ann", "erased", body));
    db_util_apply(db, db_util_purge("c3", 250, "ann"));
    db_util_apply(db, db_util_message("c4", "m1", LATER, "ann", "held", body));
    db_util_apply(db, db_util_message("d1", "m1", 300, "cy", "live", body));
    db_util_apply(db, db_util_message("d2", "m1", 310, "cy", "trash", body));
    struct parley_write more[] = {
        { .kind = PARLEY_WRITE_TRASH, .u.trash = db_util_state(db).head },
        { .kind = PARLEY_WRITE_CURSOR, .u.cursor = { .peer = 1, .seq = 7 } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("k1"), .value = pl_span_text("v1") } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text("k2"), .value = pl_span_text("v2") } },
        { .kind = PARLEY_WRITE_RETENTION,
          .u.retention = { .name_space = MAIN, .rule = { .versions = 9 } } },
        { .kind = PARLEY_WRITE_LEDGER, .u.line = pl_span_text(line) },
        { .kind = PARLEY_WRITE_INDEX },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(more); i++)
        assert_ok(parley_db_apply(db, &more[i], 1, DB_UTIL_NOW, NULL));
    struct parley_write view = { .kind = PARLEY_WRITE_VIEW,
                                 .u.view = { .name_space = MAIN, .prefix = pl_span_text("c") } };
    for (bool changed = true; changed;)
        assert_ok(parley_db_apply(db, &view, 1, DB_UTIL_NOW, &changed));
}

static inline struct parley_db *make_db(struct env_mem *env)
{
    env_mem_init(env);
    struct parley_db *db = db_util_open(&env->t.env, "a");
    fill(db);
    read_fault_plant(env, "a");
    return db;
}

static inline void end_db(struct env_mem *env, struct parley_db *db)
{
    db_util_check(db);
    parley_db_close(db);
    env_mem_deinit(env);
}

#endif
