/* SPDX-License-Identifier: Apache-2.0
 *
 * A store with something in every table. For one test program: it holds functions.
 */
#ifndef FULL_DB_H
#define FULL_DB_H

#include "lib/db_util.h"
#include "lib/env_mem.h"

static inline void write_one(struct parley_db *db, struct parley_write w)
{
    assert_ok(parley_db_apply(db, &w, 1, DB_UTIL_NOW, NULL));
}

/* A store with something in every table, and two views. */
static inline struct parley_db *make_full(struct env_mem *env)
{
    uint8_t body[80];
    env_mem_init(env);
    struct parley_db *db = db_util_open(&env->t.env, "a");
    db_util_apply(db, db_util_message("c1", "m1", 10, "ann", "one", body));
    db_util_apply(db, db_util_message("c1", "m1", 11, "bob", "two", body));
    db_util_apply(db, db_util_message("c1", "m2", 0, "", "local", body));
    db_util_apply(db, db_util_tombstone("c2", "m1", 20, "ann"));
    db_util_apply(db, db_util_message("c3", "m1", 20, "ann", "gone", body));
    db_util_apply(db, db_util_delete("c3", 30, "ann"));
    db_util_apply(db, db_util_message("c4", "m1", (uint64_t)DB_UTIL_NOW * 2, "cy", "later", body));
    write_one(db, (struct parley_write){ .kind = PARLEY_WRITE_CURSOR,
                                         .u.cursor = { .peer = 3, .seq = 9 } });
    write_one(db, (struct parley_write){
                      .kind = PARLEY_WRITE_SYS_PUT,
                      .u.sys = { .key = pl_span_text("peer/1"), .value = pl_span_text("value") } });
    db_util_apply(db, db_util_purge("c5", 40, "ann"));
    struct parley_write rule = { .kind = PARLEY_WRITE_RETENTION };
    rule.u.retention.name_space = pl_span_text("main");
    rule.u.retention.rule.versions = 20;
    write_one(db, rule);
    static const char *const prefixes[] = { "c", "c1" };
    for (size_t i = 0; i < 10 * PL_ARRAY_LEN(prefixes); i++) { /* some versions a step */
        struct parley_write view = { .kind = PARLEY_WRITE_VIEW };
        view.u.view.name_space = pl_span_text("main");
        view.u.view.prefix = pl_span_text(prefixes[i % 2]);
        write_one(db, view);
    }
    db_util_apply(db, db_util_tombstone("c1", "m3", 5, "ann"));
    db_util_apply(db, db_util_message("c1", "m4", 4, "ann", "trash", body));
    struct parley_write last[] = {
        { .kind = PARLEY_WRITE_TRASH, .u.trash = db_util_state(db).head },
        { .kind = PARLEY_WRITE_COLLECT,
          .u.collect = { .name_space = pl_span_text("main"), .upto = 6, .raise = true } },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(last); i++) {
        assert_ok(parley_db_apply(db, &last[i], 1, DB_UTIL_NOW, NULL));
        assert_int_equal(1, last[i].moved);
    }
    for (int i = 0; i < 5; i++)
        assert_ok(parley_db_maintain(db, DB_UTIL_NOW, NULL));
    db_util_check(db);
    return db;
}

#endif
