/* SPDX-License-Identifier: Apache-2.0
 *
 * A claim counts from the moment it is made or renewed; a change of the claiming node's own store
 * after that makes it void for us.
 */
#include "sim/oracle.h"

#include "core/digest.h"

static const struct pl_peer *find_peer(const struct sim_node *n, const struct sim_node *other)
{
    if (n->state == SIM_DOWN || other->id[0] == '\0')
        return NULL;
    return pl_peers_find(&n->node->peers, pl_span_text(other->id));
}

static const struct sim_claim *renew(struct sim_node *n, const struct sim_node *other)
{
    struct sim_claim *claim = &n->claims[other->index];
    if (!n->moved)
        return claim;
    const struct pl_peer *peer = find_peer(n, other);
    bool claims = peer != NULL && peer->sync == PL_SYNC_IN_SYNC;
    if (claims && (!claim->held || claim->at != peer->last_sync_at))
        *claim = (struct sim_claim){ true, peer->last_sync_at, n->changes };
    claim->held = claims;
    return claim;
}

static void watch(struct sim_world *w, struct sim_edge *edge)
{
    struct sim_node *a = &w->nodes[edge->client];
    struct sim_node *b = &w->nodes[edge->server];
    /* What is said of a node is said of its twin at other times. */
    if ((!a->moved && !b->moved) || sim_has_twin(a) || sim_has_twin(b))
        return;
    const struct sim_claim *of_a = renew(a, b);
    const struct sim_claim *of_b = renew(b, a);
    if (!of_a->held || !of_b->held || of_a->changes != a->changes || of_b->changes != b->changes)
        return;
    uint64_t mark = a->changes * 1000003 + b->changes + 1 + (uint64_t)w->planted;
    if (mark == edge->checked_mark)
        return;
    edge->checked_mark = mark;
    struct parley_root roots[2];
    if (!oracle_filter_is_equal(a, b, roots))
        sim_fail(w, w->plan.filtered ? "filter" : "claim",
                 "n%u and n%u claim to be in sync, with %llu and %llu versions", a->index, b->index,
                 (unsigned long long)roots[0].count, (unsigned long long)roots[1].count);
}

void oracle_claim_watch(struct sim_world *w)
{
    for (unsigned i = 0; i < w->edge_count && !w->failed; i++)
        watch(w, &w->edges[i]);
    /* A planted bug moves stores, not nodes. */
    for (unsigned i = 0; i < w->plan.nodes; i++)
        w->nodes[i].moved = w->plan.plant != SIM_PLANT_NONE;
}
