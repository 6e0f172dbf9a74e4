/* SPDX-License-Identifier: Apache-2.0
 *
 * From the moment at which a revocation is durable nothing that is written crosses between the
 * outcast and the rest, in either direction, whatever is restarted, restored or rotated; a second
 * later they do not even begin to sync.
 */
#include "sim/oracle.h"

/* A session that was open says goodbye within this time. */
#define PARTING_NS (PARLEY_NS_PER_S + PL_REVOKED_NS_MAX)

void oracle_outcast_see(struct sim_link *link, unsigned dir, uint8_t type)
{
    struct sim_world *w = link->world;
    bool may_say = type == PL_MSG_HELLO || type == PL_MSG_PROOF || type == PL_MSG_BYE;
    if (may_say || !sim_are_apart(w, link->node[0], link->node[1]))
        return;
    /* The outcast may not have heard of it; what counts is what the host says. */
    if (link->node[dir] == w->plan.host && w->now > w->cast_out_at + PARTING_NS)
        sim_fail(w, "outcast", "n%u sends message %u to n%u, %.1f s after it was revoked",
                 link->node[dir], type, link->node[1 - dir],
                 (double)(w->now - w->cast_out_at) / 1e9);
}

void oracle_outcast_look(struct sim_node *n)
{
    struct sim_world *w = n->world;
    for (size_t i = 0; w->cast_out_at != 0 && i < w->load.count && !w->failed; i++) {
        const struct sim_entry *e = &w->load.entries[i];
        const struct parley_version *v = &e->version;
        /* A greater version in its place is nothing that crossed: only the same one is. */
        if (e->logged_at > w->cast_out_at && sim_are_apart(w, e->node, n->index) &&
            oracle_has_this(n, e))
            sim_fail(w, "outcast", "n%u has %.*s/%.*s, which n%u wrote %.1f s after the revocation",
                     n->index, (int)v->conversation.len, (const char *)v->conversation.ptr,
                     (int)v->id.len, (const char *)v->id.ptr, e->node,
                     (double)(e->logged_at - w->cast_out_at) / 1e9);
    }
}
