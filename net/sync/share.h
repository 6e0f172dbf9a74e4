/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session shares of the namespaces granted to a peer, as scopes of ranges. Pure.
 */
#ifndef PL_SHARE_H
#define PL_SHARE_H

#include "sync/peer.h"
#include "sync/range.h"

/* A session begins: nothing is known of the peer's filters. */
void pl_share_begin(struct pl_peer *peer);
/* Under the filters of both sides as far as they are known; lent from the peer. */
struct pl_scope pl_share_scope(const struct pl_peer *peer, size_t grant, parley_wall now);
/* Under that of our grant alone. */
struct pl_scope pl_share_own_scope(const struct pl_peer *peer, size_t grant, parley_wall now);
/* Whether our STATE was under another scope than holds now. */
bool pl_share_has_moved(const struct pl_peer *peer, size_t grant, parley_wall now);
/* Whether there is what the scope needs: a prefix needs a view. */
PL_MUST_USE parley_err pl_share_is_ready(struct parley_read *read, const struct pl_scope *scope,
                                         bool *ready);
/* Whether the peer may have this version under the filters of both. */
bool pl_share_has(const struct pl_peer *peer, const struct parley_version *version,
                  parley_wall now);

#endif
