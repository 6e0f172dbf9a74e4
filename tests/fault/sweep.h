/* SPDX-License-Identifier: Apache-2.0
 *
 * All cases of a script, or a sample of them, each in a process of its own.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "fault/run.h"

#define SWEEP_JOBS_MAX 64

struct sweep_options {
    enum fault_class only; /* FAULT_NONE: all */
    uint64_t limit;        /* cases; 0: all */
    uint64_t seed;         /* of the sample */
    unsigned jobs;
};

/* Runs them and prints a table. False when a run broke something, with a line for each. */
bool sweep_run(const struct sweep_options *options);
/* Runs one case given as text: CLASS ERROR AT once|ever recover|restart. */
bool sweep_replay(char *const words[5]);
/* Lets the engine lie, in every way there is, and is content when each lie is found out by the
 * oracle that is there for it. */
bool sweep_lies(unsigned jobs);

#endif
