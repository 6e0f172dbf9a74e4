/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node knows and stores, as one hash: for tests of what must change nothing. The audit log
 * is left out, because refusals are counted there.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "core/hash.h"
#include "node/node_int.h"

struct snapshot {
    uint8_t hash[PL_SHA256_BYTES];
};

/* Of peers, invites, tokens and the state of a join in memory; of records, roots and the sequence
 * in the store. No commit may be under way. */
struct snapshot snapshot_take(struct pl_node *node, struct parley_db *db);

#endif
