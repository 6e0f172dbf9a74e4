/* SPDX-License-Identifier: Apache-2.0
 *
 * One node or two on a loop, over uv_shim.h. For one test program: it holds functions.
 */
#ifndef UV_PAIR_H
#define UV_PAIR_H

#include "uv_shim.h"

struct pair {
    struct host_loop l;
    struct host a;
    struct host b;
};

static inline void one_start(struct pair *p)
{
    shim_reset();
    host_loop_init(&p->l);
    host_start(&p->a, &p->l, true);
}

static inline void one_stop(struct pair *p)
{
    host_stop(&p->a, &p->l);
    host_loop_close(&p->l);
}

static inline void pair_start(struct pair *p)
{
    one_start(p);
    host_start(&p->b, &p->l, true);
    shim.hold_lookups = true;
}

static inline void pair_stop(struct pair *p)
{
    host_stop(&p->b, &p->l);
    one_stop(p);
}

static inline bool turns_are_over(void *arg)
{
    size_t *turns = arg;
    return (*turns)-- == 0;
}

static inline void turn(struct pair *p, size_t turns)
{
    assert_true(host_run(&p->l, turns_are_over, &turns));
}

#endif
