/* SPDX-License-Identifier: Apache-2.0
 *
 * A db in memory, checked when the test is over. For one test program: it holds functions.
 */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H

#include "lib/db_util.h"
#include "lib/env_mem.h"

struct fixture {
    struct env_mem env;
    struct parley_db *db;
    uint8_t body[80];
    uint8_t other[80];
};

static inline int setup(void **state)
{
    static struct fixture f;
    env_mem_init(&f.env);
    f.db = db_util_open(&f.env.t.env, "a");
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    db_util_check(f->db);
    parley_db_close(f->db);
    env_mem_deinit(&f->env);
    return 0;
}

static inline void restart(struct fixture *f)
{
    parley_db_close(f->db);
    f->db = db_util_open(&f->env.t.env, "a");
}

#endif
