/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HTTP_SYNC_H
#define BENCH_HTTP_SYNC_H

#include "cores.h"

/* Reports what a POST /sync costs a daemon; part of the suite `http`. */
void http_sync_measure(struct bench *b, const struct cores *cores);

#endif
