/* SPDX-License-Identifier: Apache-2.0
 *
 * What people do: local writes, and joins. Also the log of every version that became durable
 * anywhere, which the oracles compare the nodes with.
 */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include <parley/db.h>

struct sim_world;
struct sim_node;

enum sim_fate {
    SIM_MAYBE = 0, /* its node's store went back and nobody has it: it may be gone for good */
    SIM_ELSEWHERE, /* its node's store went back, but another has it: it must come back */
    SIM_DURABLE,   /* in its store, but its node was not told */
    SIM_ACKED      /* its node was told */
};

/* One version that was written. Spans are our own memory. */
struct sim_entry {
    unsigned node;
    enum sim_fate fate;
    parley_time logged_at;
    parley_wall heard_at; /* another node stored it; 0: none has yet */
    struct parley_version version;
    uint8_t digest[PARLEY_DIGEST_BYTES]; /* our own computation, not the product's */
    uint32_t tag;
    uint8_t *mem;
    size_t mem_len;
};

struct sim_load {
    struct sim_entry *entries;
    size_t count, cap;
    uint64_t time_max; /* of their stamps */
    unsigned written;
    uint64_t serial; /* makes every body different */
    uint64_t refused;
};

void sim_load_step(struct sim_world *w);
/* One write on this node, of the plan's kind. */
void sim_load_write(struct sim_node *n);
void sim_load_join(struct sim_world *w);
/* Whether all joins are done. */
bool sim_load_joined(const struct sim_world *w);
void sim_load_log(struct sim_node *n, const struct parley_write *write);
/* A version of another node is stored on this one. */
void sim_load_hear(struct sim_node *n, const struct parley_version *version);
/* The store of this node is now what it was before entry `first` of the log. */
void sim_load_undo(struct sim_node *n, size_t first);
/* The outcast gives nothing back any more, and gets nothing back. */
void sim_load_part(struct sim_world *w);
void sim_load_free(struct sim_world *w);

#endif
