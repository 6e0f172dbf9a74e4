/* SPDX-License-Identifier: Apache-2.0
 *
 * A node and a client of its HTTP routes. For one test program: it holds functions.
 */
#ifndef CLIENT_FIXTURE_H
#define CLIENT_FIXTURE_H

#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct node_client c;
};

static inline int open_fixture(void **state, bool legacy)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, legacy);
    *state = f;
    return 0;
}

static inline int set_up(void **state)
{
    return open_fixture(state, false);
}

static inline int set_up_legacy(void **state)
{
    return open_fixture(state, true);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static inline struct node_client *client(void **state)
{
    return &((struct fixture *)*state)->c;
}

#endif
