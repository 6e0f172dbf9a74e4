/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of sync as the operator sees it, by peer and by namespace: read by GET /status,
 * GET /health and GET /metrics, so that all of them say the same.
 */
#ifndef PL_REPORT_H
#define PL_REPORT_H

#include "node/node_int.h"

/* Held versions looked at for one report, the earliest first. */
#define PL_REPORT_HELD_MAX PL_LIMIT(1000u, 4u)

enum pl_report_state {
    PL_REPORT_IN_SYNC,
    PL_REPORT_CATCHING_UP,
    PL_REPORT_OFFLINE,
    PL_REPORT_REFUSED,
    PL_REPORT_PENDING,
    PL_REPORT_REVOKED,
    PL_REPORT_NOT_SHARED, /* of a namespace: the peer was granted it and does not grant it to us */
    PL_REPORT_STATES
};
const char *pl_report_state_name(enum pl_report_state state);
enum pl_report_state pl_report_state(const struct pl_peer *peer);

/* One namespace that a peer was granted. */
struct pl_report_space {
    const struct pl_grant *grant;
    enum pl_report_state state;
    bool equal;        /* our root now is the one that the peer showed last, on an open session */
    parley_wall since; /* of `state`; 0: not known */
    struct pl_scope scope; /* what is shared, under the filters of both; the roots are of that */
    struct parley_root ours;
    const struct parley_root *theirs; /* NULL: it has not said since the start */
};
PL_MUST_USE parley_err pl_report_space(const struct pl_peer *peer, size_t grant,
                                       struct parley_read *read, parley_wall now,
                                       struct pl_report_space *out);

/* How far what a peer gets from us is, and what we get from it: sequences of the two logs. While a
 * cursor is missing they say nothing: then versions of a copy, and versions here of what the peer
 * said that it has. */
struct pl_report_progress {
    uint64_t done, of;
};
struct pl_report_progress pl_report_sending(const struct pl_peer *peer);
PL_MUST_USE parley_err pl_report_receiving(const struct pl_peer *peer, struct parley_read *read,
                                           parley_wall now, struct pl_report_progress *out);

/* Counts `held` and `held_until` of all peers anew. */
PL_MUST_USE parley_err pl_report_held(struct pl_node *node, struct parley_read *read);

/* Counts anew what waits for active peers that are not connected: no session does. Of the state
 * that was read last. */
void pl_report_waiting(struct pl_node *node);

/* When it is dialed again; 0: it is not, or it is connected. */
parley_wall pl_report_next_dial(const struct pl_node *node, const struct pl_peer *peer);

#endif
