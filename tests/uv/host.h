/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node with its directory on a loop that several of them may share.
 */
#ifndef UV_HOST_H
#define UV_HOST_H

#include "lib/testlib.h"
#include "uv/uv_node.h"

#include <uv.h>

struct host {
    char dir[64];
    struct parley_env env;
    struct parley_db *db;
    struct pl_node *node;
    struct pl_uv *uv;
    bool stopped;
    size_t notes[PL_UV_NOTE_STOP_FORCED + 1];
    /* Of the last one. */
    char why[128];
    char about[PL_ADDRESS_BYTES_MAX + 1];
    parley_err err;
};

/* The loop with a ticking timer, so that a condition is looked at every few milliseconds. */
struct host_loop {
    uv_loop_t loop;
    uv_timer_t ticker;
};

void host_loop_init(struct host_loop *l);
void host_loop_close(struct host_loop *l);
/* Turns the loop until `done(arg)`; false after 20 seconds. */
bool host_run(struct host_loop *l, bool (*done)(void *arg), void *arg);

/* A new node in a new directory, listening on a free port of 127.0.0.1, started. */
void host_start(struct host *h, struct host_loop *l, bool plain_peers);
/* Stops it, waits, frees everything and removes the directory. */
void host_stop(struct host *h, struct host_loop *l);
/* Its port. */
uint16_t host_port(const struct host *h);
/* A blocking socket that is connected to it. */
int host_connect(const struct host *h);

#endif
