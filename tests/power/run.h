/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over a log: at each crash point the images of plan.h, each judged by judge.h. Crash
 * points are each sync of a file or directory and each write through O_DSYNC, before it is done,
 * and each answer with a promise in it.
 *
 * What the pass has seen is in memory that the parent shares, so that an image which kills the
 * process is known by number.
 */
#ifndef POWER_RUN_H
#define POWER_RUN_H

#include "power/judge.h"
#include "power/plan.h"
#include "power/slot.h"

#define RUN_FAILURES_MAX 16
#define RUN_PATH_BYTES   400

struct run_options {
    struct plan_options plan;
    uint32_t tear;
    enum model_plant plant;
    bool early;         /* an operation counts as acknowledged when it is asked for */
    uint32_t deep;      /* one image of so many is judged deeply */
    uint32_t job, jobs; /* this pass takes the crash points with point % jobs == job */
    bool only;          /* the one image at ... */
    uint64_t only_point, only_image;
    const char *keep;       /* ... and its files are put there */
    enum judge_kind wanted; /* failures of this kind end the pass; JUDGE_OK: of any */
    uint64_t failures_max;
    char work[RUN_PATH_BYTES];
};

struct run_failure {
    uint64_t point, image;
    uint32_t node;
    struct judge_verdict verdict;
};

/* Shared with the parent. */
struct run_shared {
    uint64_t point, image; /* in work now */
    uint32_t node;
    uint64_t points, images, deep, operations;
    uint64_t contents, cursors; /* different ones, and cursors in them that were compared */
    uint64_t count[JUDGE_KINDS];
    uint64_t failures; /* all */
    struct run_failure first[RUN_FAILURES_MAX];
    bool done;
};

struct run_log {
    const uint8_t *bytes;
    size_t len;
};

/* The next record, or false at the end. */
bool run_next(const struct run_log *log, size_t *at, struct power_record *record,
              const uint8_t **data);
void run_note_failure(struct run_shared *shared, const struct run_failure *failure);
/* Whether there have been enough failures to stop. */
bool run_is_over(const struct run_options *options, const struct run_shared *shared);

/* Goes on behind image `shared->image` of crash point `shared->point`; from the start when that is
 * UINT64_MAX. `claims` is fresh, `judge` knows the peers. */
void run_log_through(const struct run_options *options, const struct run_log *log,
                     struct claims *claims, struct judge *judge, struct run_shared *shared);

#endif
