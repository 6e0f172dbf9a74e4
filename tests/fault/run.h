/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of the script with one fault, in a process of its own, and what must hold of it.
 *
 *   F1  Nobody dies, hangs or asserts.
 *   F2  A call that fails says so, with an error of ours of the class LIMIT, AGAIN or STORE: an
 *       intact store is not called damaged, nor a request wrong.
 *   F3  A step that was acknowledged is there from then on: after the fault, after
 *       parley_db_recover, after a restart.
 *   F4  A step that failed is done or not done, never half, and without EIO not done.
 *   F5  A read that succeeds while the fault lasts shows what F3 and F4 allow.
 *   F6  When the fault is over, parley_db_recover (after EIO) and no more than that, or a restart,
 *       make the same step work.
 *   F7  parley_db_check finds nothing, the incarnation is the same, no memory is lost.
 */
#ifndef RUN_H
#define RUN_H

#include "fault/script.h"

enum run_way {
    RUN_RECOVER, /* go on in the process */
    RUN_RESTART, /* close and open again */
    RUN_WAYS
};

struct run_case {
    enum fault_class class; /* FAULT_NONE: only count */
    int error;
    uint64_t at;
    uint64_t more;
    enum run_way way;
    enum script_lie lie;
};

/* What a script without faults leaves after each step. */
struct run_states {
    uint8_t after[SCRIPT_STEPS_MAX][PL_SHA256_BYTES];
    struct script_sites sites; /* filled by a run without a fault */
};

/* What the process of a run and its parent share. */
struct run_slot {
    struct fault fault;
    uint32_t step;
    char oracle[16]; /* empty: nothing was broken */
    char why[256];
};

/* Runs the case in directory `dir`, which must not exist, and ends the process: status 0, or 1 and
 * the oracle in the slot. */
_Noreturn void run_case(struct run_slot *slot, const struct run_case *c, const char *dir,
                        struct run_states *states);
/* Runs the script without a fault and fills `states`, likewise. */
_Noreturn void run_reference(struct run_slot *slot, const char *dir, struct run_states *states);

#endif
