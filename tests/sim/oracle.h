/* SPDX-License-Identifier: Apache-2.0
 *
 * What must be true of the world. Each oracle is a file of its own, knows nothing of how the
 * product works inside, and has a planted bug that it must catch (parley-sim --self-test).
 *
 *   acked     what a node acknowledged is there, after every restart and, at the end, on all nodes
 *   converge  after the faults all nodes become equal, byte for byte, in bounded time
 *   merge     the final state is what a small model makes of all durable versions in any order
 *   check     parley_db_check finds nothing, after every restart and at the end
 *   memory    a node takes a bounded amount, and gives all of it back
 *   claim     two nodes that both claim to be in sync, and were not changed since, are equal
 *   blame     no session between honest nodes ends with "broke the protocol" or "proof"
 *   keys      a node takes no key for a peer's that the peer never had, and ends with the right one
 *   confine   what was never shared stays where it was written
 *   repair    where no store went back, the log alone makes nodes equal
 *   clock     a node's writes are each newer than its writes before, whatever its clock does
 *   future    what is stamped far ahead is held until its time, and shown, never early, never lost
 *   rounds    after a restore, wipe or clone one session of each pair makes all nodes equal
 *   economy   in a mesh a body crosses to each node about once, and a copy that is cut begins
 *             where it was
 *   newest    who joins with nothing gets the newest conversations first
 *   filter    a device has what the hub has within its filter, and nothing else
 *   deleted   what was deleted does not come back when its tombstone is gone
 *   outcast   who was revoked gets nothing that is new, and nothing new comes from it
 *   trash     what a node took out of its set is kept by somebody
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/world.h"

/* ---- oracle_acked.c ---- */
void oracle_acked_look(struct sim_node *n, bool all);
bool oracle_acked_has(struct sim_node *n, const struct sim_entry *e);
/* Whether this very version is the current one there. */
bool oracle_has_this(struct sim_node *n, const struct sim_entry *e);

/* ---- oracle_converge.c ---- */
bool oracle_converge_roots_equal(struct sim_world *w);
bool oracle_converge_is_reached(struct sim_world *w, struct parley_diag *why);
void oracle_converge_at_end(struct sim_world *w);
/* Without the tombstones that any node has collected. */
struct parley_root oracle_root(struct sim_node *n);

/* One version of a dump; spans are lent for the dump's read. */
struct sim_dump {
    struct parley_read *read;
    struct parley_change *changes; /* in order of register */
    size_t count, cap;
};
void sim_dump_take(struct sim_node *n, struct sim_dump *dump);
void sim_dump_drop(struct sim_dump *dump);
int sim_register_compare(const struct parley_version *a, const struct parley_version *b);

/* ---- oracle_merge.c: the model ---- */
void oracle_merge_at_end(struct sim_world *w);
/* Tag and digest of a version by the text of docs/STORAGE.md, not by the product's code. */
void model_stamp(const struct parley_version *version, uint8_t digest[PARLEY_DIGEST_BYTES],
                 uint32_t *tag);
/* Whether one is a conversation's tombstone, or its purge, and covers the other. */
bool model_covers(const struct sim_entry *cover, const struct sim_entry *e);
/* Whether (time, tag, digest) of `a` is greater than, equal to (0) or less than that of `b`. */
int model_compare(const struct sim_entry *a, const struct sim_entry *b);

/* ---- oracle_check.c ---- */
void oracle_check_look(struct sim_node *n);

/* ---- oracle_memory.c ---- */
void oracle_memory_watch(struct sim_node *n);
void oracle_memory_at_death(struct sim_node *n);

/* ---- oracle_claim.c ---- */
void oracle_claim_watch(struct sim_world *w);

/* ---- oracle_blame.c ---- */
void oracle_blame_see(struct sim_link *link, unsigned dir, const uint8_t *bytes, size_t len);

/* ---- oracle_repair.c ---- */
void oracle_repair_at_end(struct sim_world *w);

/* ---- oracle_economy.c ---- */
void oracle_economy_see(struct sim_link *link, unsigned dir, const uint8_t *bytes, size_t len);
void oracle_economy_at_end(struct sim_world *w);

/* ---- oracle_newest.c ---- */
void oracle_newest_watch(struct sim_world *w);

/* ---- oracle_confine.c ---- */
void oracle_confine_look(struct sim_node *n);

/* ---- oracle_filter.c ---- */
void oracle_filter_look(struct sim_node *n);
void oracle_filter_at_end(struct sim_world *w);
/* Of what two nodes share. */
bool oracle_filter_is_equal(struct sim_node *a, struct sim_node *b, struct parley_root roots[2]);
/* ---- oracle_deleted.c ---- */
void oracle_deleted_at_end(struct sim_world *w);
/* Whether a tombstone of this time may have been collected by now. */
bool sim_may_be_gone(const struct sim_world *w, uint64_t time);
/* Whether `tomb` is a tombstone that beats `e`, or deletes its conversation. */
bool sim_covers(const struct sim_entry *tomb, const struct sim_entry *e);

/* ---- oracle_outcast.c ---- */
void oracle_outcast_see(struct sim_link *link, unsigned dir, uint8_t type);
void oracle_outcast_look(struct sim_node *n);

/* ---- oracle_trash.c ---- */
bool oracle_trash_keeps(struct sim_world *w, const struct parley_version *version);

/* ---- oracle_keys.c ---- */
void oracle_keys_look(struct sim_node *n, bool at_end);

/* ---- oracle_clock.c ---- */
void oracle_clock_see(struct sim_node *n, const struct sim_entry *e);
/* Its store went back: what counts is what it still has. */
void oracle_clock_restored(struct sim_node *n);

/* ---- oracle_future.c ---- */
void oracle_future_look(struct sim_node *n);
void oracle_future_overdue(struct sim_node *n);
void oracle_future_at_death(struct sim_node *n);
void oracle_future_at_start(struct sim_node *n);
/* Its neighbours hold what it stamped ahead, and say so. */
void oracle_future_shown(struct sim_node *of);

/* ---- oracle_rounds.c ---- */
/* A store went back or was copied: from here on what it takes to be equal again is counted. */
void oracle_rounds_begin(struct sim_world *w, const char *after);
void oracle_rounds_see(struct sim_link *link, unsigned dir, uint8_t type, uint32_t body_bytes);
void oracle_rounds_duplicate(struct sim_link *link);
void oracle_rounds_look(struct sim_world *w);
void oracle_rounds_end(struct sim_world *w);

/* ---- oracle.c ---- */
void oracle_at_start(struct sim_node *n);
void oracle_at_end(struct sim_world *w);

#endif
