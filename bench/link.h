/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS connection to a daemon on loopback, blocking.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include "bench.h"
#include "proto/tls.h"

#define LINK_ANSWER_BYTES 8192

struct link {
    struct parley_env env;
    struct pl_tls_profile *profile;
    int fd;
    struct pl_tls *tls;
};

struct parley_now link_now(void);
/* One profile serves many connections, one after the other. */
void link_init(struct link *link);
void link_deinit(struct link *link);
void link_open(struct link *link, uint16_t port);
void link_close(struct link *link);
void link_handshake(struct link *link);
/* Sends what there is and waits for bytes. False: the daemon has closed the connection. */
bool link_turn(struct link *link);
/* One GET and its whole answer, NUL-terminated, at most LINK_ANSWER_BYTES. Returns its body.
 * `token` NULL: none. */
const char *link_ask(struct link *link, const char *path, const char *token, char *answer);

#endif
