/* SPDX-License-Identifier: Apache-2.0
 *
 * What `parley doctor` finds, and the checks that find it. A check adds findings and nothing else:
 * it changes nothing and prints nothing. Those that judge an answer of the node are functions of
 * it.
 */
#ifndef PARLEY_DOCTOR_H
#define PARLEY_DOCTOR_H

#include "parley/cli.h"

#include <sys/types.h>

enum doctor_level {
    DOCTOR_OK = 0,  /* looked at, and as it should be */
    DOCTOR_NOTE,    /* worth knowing */
    DOCTOR_WARNING, /* will become a problem, or is one of somebody else */
    DOCTOR_PROBLEM, /* something does not work, or is not safe */
    DOCTOR_LEVELS
};

#define DOCTOR_WHERE_BYTES_MAX 300

/* What the run file of the daemon says. */
struct doctor_run {
    bool alive; /* its process is there */
    pid_t pid;
    json_t *json; /* NULL: none */
};

struct doctor {
    const char *data_dir;
    int64_t now_us; /* wall clock */
    struct buf dir; /* --data DIR as a shell takes it */
    bool keep_out;  /* root looks at the directory of another user */
    struct doctor_run run;
    json_t *findings; /* array of {level, check, where, what, do} */
    size_t counts[DOCTOR_LEVELS];
    size_t area_findings; /* of the area that is looked at */
};

void doctor_init(struct doctor *d, const char *data_dir, int64_t now_us);
void doctor_free(struct doctor *d);

/* Adds a finding. `check` is for programs and does not change. */
void doctor_add(struct doctor *d, enum doctor_level level, const char *check, const char *where,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* What to do about the last finding: a command wherever there is one. */
void doctor_do(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An area begins; and ends: when nothing was found in it, that it is well. */
void doctor_begin(struct doctor *d);
void doctor_end(struct doctor *d, const char *check, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
const char *doctor_level_name(enum doctor_level level);
/* Adds a word so that a shell takes it for one. */
void doctor_quote(struct buf *out, const char *word);

/* ---- doctor_files.c: what needs no node ---- */

/* Returns false when there is no data directory: nothing else can be looked at. */
bool doctor_check_files(struct doctor *d);
/* Also reads the run file. */
void doctor_check_process(struct doctor *d);
void doctor_check_disk(struct doctor *d);
void doctor_check_clock(struct doctor *d);

/* ---- doctor_node.c: what the node says of itself ---- */

/* Judges the answer of GET /status. `is_local`: no daemon, so peers are off line anyway. */
void doctor_judge_store(struct doctor *d, const json_t *status, bool is_local);
void doctor_judge_peers(struct doctor *d, const json_t *status, bool is_local);
/* Judges the answer of GET /key. */
void doctor_judge_key(struct doctor *d, const json_t *key);
/* Judges what the run file says of how the daemon was started. */
void doctor_judge_run(struct doctor *d);

#endif
