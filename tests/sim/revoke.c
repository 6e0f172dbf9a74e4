/* SPDX-License-Identifier: Apache-2.0
 *
 * Worlds with an outcast: a node at the end of a chain, or of an arm of a star, is revoked by its
 * only neighbour, the host, at a moment of the seed. A revocation counts from the moment at which
 * its commit was reported; one that a crash took is made again, as the operator would who saw it
 * fail.
 */
#include "sim/world.h"

static struct pl_peer *outcast_of(struct sim_world *w)
{
    struct sim_node *host = &w->nodes[w->plan.host];
    const struct sim_node *outcast = &w->nodes[w->plan.outcast];
    if (host->state != SIM_UP || outcast->id[0] == '\0')
        return NULL;
    return pl_peers_find(&host->node->peers, pl_span_text(outcast->id));
}

/* No join is under way, which would come in by an invite of before. */
static bool is_settled(const struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        const struct sim_node *n = &w->nodes[i];
        enum pl_join_phase phase = n->state == SIM_UP ? n->node->join.phase : PL_JOIN_DIALING;
        if (phase == PL_JOIN_DIALING || phase == PL_JOIN_STORING)
            return false;
    }
    return sim_load_joined(w);
}

void sim_revoke(struct sim_world *w, uint32_t act)
{
    struct sim_node *host = &w->nodes[w->plan.host];
    if (w->cast_out_at != 0)
        return;
    struct pl_peer *peer = outcast_of(w);
    /* A host that went back behind the join, before its revocation was durable, has to be joined
     * again before it can revoke. */
    w->casting_out = w->casting_out && (peer != NULL || host->state != SIM_UP);
    if (peer != NULL && (w->casting_out || is_settled(w))) {
        w->casting_out = true;
        host->node->now = sim_now(host);
        parley_err err = pl_peering_revoke(host->node, peer);
        pl_node_read_done(host->node);
        sim_note(w, host->index, (uint64_t)err, "n%u revokes n%u: %s", host->index, w->plan.outcast,
                 parley_err_name(err));
        sim_drain(host);
    }
    w->acts_left++;
    sim_push(w, w->now + PARLEY_NS_PER_S, SIM_ACT, act, 0);
}

void sim_revoke_committed(struct sim_node *n)
{
    struct sim_world *w = n->world;
    if (!w->casting_out || n->index != w->plan.host || w->cast_out_at != 0)
        return;
    const struct pl_peer *peer = outcast_of(w);
    uint64_t open = pl_batch_serial(n->node) - (n->node->commit_in_flight ? 1 : 0);
    if (peer == NULL || peer->state != PL_PEER_REVOKED || peer->unsaved || peer->stored_in >= open)
        return;
    w->cast_out_at = w->now;
    sim_load_part(w);
    sim_note(w, n->index, 13, "n%u has revoked n%u", n->index, w->plan.outcast);
}

bool sim_is_parting(const struct sim_world *w, unsigned a, unsigned b)
{
    unsigned outcast = w->plan.outcast;
    return w->casting_out && a != b && (a == outcast || b == outcast);
}

bool sim_are_apart(const struct sim_world *w, unsigned a, unsigned b)
{
    return w->cast_out_at != 0 && sim_is_parting(w, a, b);
}
