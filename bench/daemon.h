/* SPDX-License-Identifier: Apache-2.0
 *
 * Real daemons that a suite starts, and what `parley` says of them.
 */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include "bench.h"

#include <jansson.h>
#include <sys/types.h>

#define DAEMON_COMMAND_SECONDS 120.0
#define DAEMON_TOKEN_BYTES     128

struct daemon {
    char data[BENCH_PATH_BYTES];
    char log[BENCH_PATH_BYTES];
    char door[32];       /* what peers dial; empty: it does not say */
    bool plain;          /* without zstd */
    const char *profile; /* --profile; NULL: none */
    const char *program; /* parleyd, below the build directory; NULL: the one that was built */
    pid_t pid;
    int out;
    uint16_t port;
};

/* Starts parleyd on a fresh directory and waits until it listens on loopback; `type` NULL: as by
 * default. The caller has set `door` and `plain`. */
void daemon_start(const struct bench *b, struct daemon *daemon, const char *type);
/* The same on the directory that `data` names. */
void daemon_start_on(const struct bench *b, struct daemon *daemon, const char *type);
/* Stops it and removes its directory. */
void daemon_stop(struct daemon *daemon);
/* Runs `parley --data DIR --json COMMAND [ARG]`. Ownership: the caller's to release. */
json_t *daemon_command(const struct bench *b, const struct daemon *daemon, const char *name,
                       const char *arg);
/* The token of its operator. */
void daemon_token(const struct daemon *daemon, char out[DAEMON_TOKEN_BYTES]);
/* Waits until both say that they are equal. */
void daemons_wait_equal(const struct bench *b, const struct daemon *x, const struct daemon *y);

#endif
