/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sync with a peer would move, found by a dry comparison of the sets: the side that dialed
 * asks, as in any comparison, and nothing moves. The other side asks it to, and is told.
 *
 *   NONE --want--> RUNNING --the comparison ends, or DIFF tells--> DONE
 *
 * DIFF, from the side that did not dial: []; from the one that did: [versions and bytes that it
 * would send, versions and bytes that it would get, conflicts, whether these are all].
 *
 * Threads: the node's.
 */
#ifndef PL_DIFF_H
#define PL_DIFF_H

#include "sync/tally.h"

/* Registers of each direction that are looked at for conflicts. */
#define PL_DIFF_KEYS_MAX PL_LIMIT(4096u, 24u)

enum pl_diff_state { PL_DIFF_NONE = 0, PL_DIFF_RUNNING, PL_DIFF_DONE };

struct pl_diff_result {
    enum pl_diff_state state;
    parley_wall at; /* when it was done */
    uint64_t versions_out, bytes_out;
    uint64_t versions_in, bytes_in;
    uint64_t conflicts; /* registers of which both sides have what the other lacks */
    bool conflicts_all; /* false: at least so many */
};

/* What is counted while it runs. */
struct pl_diff {
    struct pl_tally out, in;
    uint64_t keys[2][PL_DIFF_KEYS_MAX];
};
void pl_diff_init(struct pl_diff *diff);
/* Both directions together. */
void pl_diff_end(struct pl_diff *diff, parley_wall now, struct pl_diff_result *out);

#define PL_DIFF_BYTES_MAX 64u
void pl_diff_write(struct pl_writer *w, const struct pl_diff_result *result);
/* *asks: it was []. The result is as the receiver sees it. Errors: EPROTO. */
PL_MUST_USE parley_err pl_diff_read(struct parley_span body, bool *asks,
                                    struct pl_diff_result *out);

#endif
