/* SPDX-License-Identifier: Apache-2.0
 *
 * When the store's sets of elements are brought on. Single writes are in them when they are
 * durable. What comes in bulk is not, so that an import or a first copy pays for it once, at its
 * end: when no batch was launched for a moment, or when a comparison waits for it. A node with
 * several open sessions does it along with every batch: by the sets it knows what a peer offers.
 */
#include "node/node_int.h"

#define INDEX_IDLE_NS  (200 * PARLEY_NS_PER_MS)
#define INDEX_RETRY_NS PARLEY_NS_PER_S /* after a commit that failed */

struct sessions {
    size_t open;
    bool waits; /* one of them, for the sets */
};

static struct sessions look(struct pl_node *node)
{
    struct sessions s = { 0 };
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        const struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (conn->kind != PL_CONN_NATIVE || conn->round == NULL)
            continue;
        s.open++;
        s.waits = s.waits || pl_round_waits_for_index(conn->round);
    }
    return s;
}

bool pl_index_goes_along(struct pl_node *node)
{
    struct sessions s = look(node);
    return s.open > 1 || s.waits;
}

void pl_index_committed(struct pl_node *node, bool alone, parley_err err)
{
    bool at_once = alone || look(node).waits;
    node->index_not_before = err == PARLEY_OK ? 0 : node->now.mono + INDEX_RETRY_NS;
    node->index_at =
        pl_max_u64(node->now.mono + (at_once ? 0 : INDEX_IDLE_NS), node->index_not_before);
}

void pl_index_tick(struct pl_node *node)
{
    parley_err err = PARLEY_OK;
    if (look(node).waits)
        node->index_at =
            pl_min_u64(node->index_at, pl_max_u64(node->now.mono, node->index_not_before));
    if (node->now.mono < node->index_at || node->commit_in_flight || node->stopping)
        return;
    node->index_at = PARLEY_TIME_NEVER;
    if (pl_node_read(node, &err) == NULL || node->state.indexed == node->state.head ||
        !pl_batch_has_room(node, 1, 0))
        return;
    pl_batch_add(node, PARLEY_WRITE_INDEX, 0);
    pl_batch_commit_soon(node);
}
