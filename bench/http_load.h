/* SPDX-License-Identifier: Apache-2.0
 *
 * Many keep-alive connections to an HTTP server on loopback that ask all at once: each sends its
 * next request when its answer is whole. One thread, no TLS, no pipelining.
 */
#ifndef BENCH_HTTP_LOAD_H
#define BENCH_HTTP_LOAD_H

#include "bench.h"

#define HTTP_LOAD_CONNECTIONS_MAX 64u
#define HTTP_LOAD_ANSWER_BYTES    65536u

/* What is asked for, and what must come. */
struct http_load_plan {
    uint16_t port;
    unsigned connections;
    unsigned status;
    /* The next request as it is sent. Lent until the next call. */
    struct parley_span (*next)(void *arg);
    void *arg;
};

struct http_load;

struct http_load *http_load_open(const struct http_load_plan *plan);
/* Asks until that many seconds have passed or that many requests are sent, and waits for the last
 * answers. Returns how many came; dies at one with another status. */
size_t http_load_run(struct http_load *load, double seconds, size_t count);
/* The body of the last answer to the first connection. Lent until the next run. */
struct parley_span http_load_body(const struct http_load *load);
void http_load_close(struct http_load *load);

#endif
