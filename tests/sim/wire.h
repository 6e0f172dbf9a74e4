/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections as byte pipes: any split, latency, bounded capacity, stalls, half-close, reset, cuts.
 * Nothing is reordered or lost inside a connection, as TCP promises.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "node/node.h"

#define SIM_LINKS_MAX  96
#define SIM_PIECES_MAX 64

struct sim_world;
struct sim_node;

/* Follows the frames of a plain native stream, to see how sessions end. */
struct sim_tap {
    uint64_t at; /* bytes seen */
    uint8_t head[8];
    size_t head_len;
    uint64_t left;     /* of the frame's body */
    unsigned mark_len; /* of the beginning of a text, and the number in it: oracle_economy.c */
    uint64_t mark;
    parley_time stated_at; /* a STATE was seen: the session is open; 0: none was */
    bool is_duplicate;     /* the session ended because there is another */
    parley_time asked_at;  /* the first QUERY was seen */
    bool lost;             /* not a native stream, or not followed any more */
};

struct sim_pipe {
    uint8_t *buf; /* a ring of plan.pipe_bytes */
    size_t start, len;
    size_t arrived; /* of len */
    struct {
        parley_time at;
        size_t len;
    } pieces[SIM_PIECES_MAX]; /* under way */
    size_t piece_first, piece_count;
    size_t sending;  /* bytes given to the write call that has not returned; 0: none */
    bool wants_send; /* the node has more, the pipe had no room */
    bool reading;    /* a SIM_READ is on its way */
    bool ended;      /* the writer has closed */
    bool end_told;
    parley_time stalled_until;
    struct sim_tap tap;
};

enum sim_link_state { SIM_LINK_FREE = 0, SIM_LINK_DIALING, SIM_LINK_OPEN };

struct sim_link {
    struct sim_world *world;
    uint32_t index;
    uint32_t epoch;
    enum sim_link_state state;
    unsigned node[2]; /* 0 dialed 1 */
    pl_conn conn[2];
    bool open[2];
    struct sim_pipe pipe[2]; /* [i]: from node[i] to the other */
    bool resetting;
};

void sim_wire_dial(struct sim_node *n, pl_conn conn, const char *address);
void sim_wire_dialed(struct sim_link *link);
void sim_wire_want_write(struct sim_node *n, pl_conn conn);
void sim_wire_want_read(struct sim_node *n, pl_conn conn);
/* The node closes its end. */
void sim_wire_close(struct sim_node *n, pl_conn conn);
void sim_wire_arrive(struct sim_link *link, unsigned dir);
void sim_wire_read(struct sim_link *link, unsigned dir);
void sim_wire_sent(struct sim_link *link, unsigned dir);
void sim_wire_reset(struct sim_link *link);
/* The node is gone: with `silent` nobody hears of it. Closes its ends in the node too. */
void sim_wire_drop_node(struct sim_node *n, bool silent);
/* A fault: one side sees the end of the stream though the other has not closed. */
void sim_wire_half_close(struct sim_link *link, unsigned dir);
void sim_wire_free(struct sim_world *w);

#endif
