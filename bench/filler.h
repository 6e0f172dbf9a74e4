/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores of made-up messages: short ones, twenty a conversation, times of one's own choice.
 */
#ifndef BENCH_FILLER_H
#define BENCH_FILLER_H

#include "bench.h"

#define FILLER_BATCH_MAX  10000u
#define FILLER_TALK_LEN   20u
#define FILLER_YEAR_US    (INT64_C(365) * 24 * 3600 * 1000000)
#define FILLER_BEGIN_US   INT64_C(1700000000000000)
#define FILLER_WALL       INT64_C(1893456000000000) /* later than all times */
#define FILLER_BODY_BYTES 64u

struct filler {
    struct parley_env env;
    struct parley_db *db;
    struct parley_write *writes;
    size_t count;
    char (*names)[2][24];
    uint8_t body[FILLER_BODY_BYTES];
    size_t body_len;
    double seconds; /* in parley_db_apply */
};

/* Opens or creates DIR/store; see db/measure.h for `without_elements`. */
void filler_open(struct filler *f, const char *dir, bool without_elements);
void filler_flush(struct filler *f);
/* Of any db. */
struct parley_db_state filler_state(struct parley_db *db);
/* Brings the sets of any db on until they have everything. Seconds. */
double filler_index(struct parley_db *db);
void filler_close(struct filler *f);
/* Message "m<message>" of conversation "<prefix><talk>"; merges when `batch` of them have come. */
void filler_put(struct filler *f, const char *prefix, uint64_t talk, uint64_t message,
                uint64_t time, size_t batch);
/* The same by number: FILLER_TALK_LEN messages a conversation. */
void filler_add(struct filler *f, const char *prefix, uint64_t index, uint64_t time, size_t batch);
/* `count` messages, evenly over the year. */
void filler_fill(struct filler *f, uint64_t count, size_t batch);
/* Copies DIR/store. */
void filler_copy(const char *from, const char *to);

#endif
