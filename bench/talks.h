/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations of the data as JSON, all of the same number of messages.
 */
#ifndef BENCH_TALKS_H
#define BENCH_TALKS_H

#include "bench.h"

#include <jansson.h>

/* An array of the first `count` conversations of b->data_path that have so many messages; what they
 * have more is cut. Ownership: the caller's to release. */
json_t *talks_read(const struct bench *b, size_t count, size_t messages);

#endif
