/* SPDX-License-Identifier: Apache-2.0
 *
 * The answering side of a reconciliation. It keeps a salt between frames and, while it serves one,
 * how far it has come; the frame itself stays with the session until it is served. First the ANSWER
 * leaves, so that the peer can go on, then the versions that the peer lacks; in a dry comparison
 * these are counted first, and the count leaves with the ANSWER.
 */
#ifndef PL_REPLY_H
#define PL_REPLY_H

#include "sync/query.h"

struct pl_sender;

#define PL_ANSWER_BYTES_MAX 4096u

struct pl_dry_reply;

struct pl_reply {
    bool running; /* between BEGIN and END */
    bool rebases; /* a rebase was wanted at BEGIN: this comparison is for it, as a whole */
    bool ended;   /* END was answered; the owner clears it */
    struct pl_salt salt;
    struct pl_dry_reply *dry; /* it moves nothing, it counts; NULL: it moves */
    bool cut;                 /* it counted so much that it goes on in the next turn */
    /* Of the frame being served. */
    bool answered;
    uint32_t item; /* whose versions are being sent */
    uint32_t part; /* of it, in a SPLIT */
    bool in_part;
    struct pl_bound to; /* where the part goes on, downwards */
};

void pl_reply_deinit(struct pl_reply *reply, const struct parley_env *env);
/* Serves a QUERY. EAGAIN: there is no room, call again with the same frame. Errors: EPROTO. */
PL_MUST_USE parley_err pl_reply_serve(struct pl_reply *reply, struct pl_sender *sender,
                                      struct parley_span body);

#endif
