/* SPDX-License-Identifier: Apache-2.0
 *
 * Worlds with filters: a star, whose hub has everything and whose other nodes are small devices.
 * Device i shares the conversations "talk-<i mod 3>..." with the hub, of the last day; every other
 * one has set that itself, for the rest the hub has. In the calm the filter of device 1 is lifted.
 */
#include "sim/world.h"

#include <stdio.h>

#define RANGES 3u

struct pl_filter sim_filter_of(const struct sim_world *w, unsigned device)
{
    struct pl_filter filter = { .max_age = 1 };
    if (!w->plan.filtered || device == 0 || (device == 1 && w->widened))
        return (struct pl_filter){ .max_age = 0 };
    snprintf(filter.prefix, sizeof filter.prefix, "talk-%u", device % RANGES);
    return filter;
}

bool sim_filter_has(const struct sim_world *w, unsigned node, struct parley_span conversation)
{
    struct pl_filter filter = sim_filter_of(w, node);
    return pl_span_has_prefix(conversation, pl_span_text(filter.prefix));
}

/* Odd devices have set it themselves. */
struct pl_filter sim_filter_at(const struct sim_world *w, unsigned node, unsigned device)
{
    bool here = (device % 2 == 1) == (node == device);
    return here ? sim_filter_of(w, device) : (struct pl_filter){ .max_age = 0 };
}

void sim_filter_widen(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[1];
    w->widened = w->plan.filtered;
    if (!w->widened || n->state != SIM_UP || w->nodes[0].id[0] == '\0')
        return;
    struct pl_peer *peer = pl_peers_find(&n->node->peers, pl_span_text(w->nodes[0].id));
    struct pl_filter none = { .max_age = 0 };
    if (peer == NULL || peer->grant_count == 0 || pl_filter_equal(&peer->grants[0].filter, &none) ||
        !pl_peering_has_room(n->node))
        return;
    n->node->now = sim_now(n);
    pl_views_regrant(n->node, peer, pl_span_text(SIM_NAMESPACE), &none);
    pl_node_store_peer(n->node, peer);
    pl_node_read_done(n->node);
    sim_note(w, 1, 0, "the filter of n1 is lifted");
    sim_drain(n);
}
