/* SPDX-License-Identifier: Apache-2.0
 *
 * In a world with filters each device has what the hub has within its range, and outside of it
 * nothing but what it has written itself; it claims to be in sync only when that is so.
 */
#include "sim/oracle.h"

#include "core/digest.h"

/* The prefix under which two nodes share: the longer one of their grants to each other. */
static struct parley_span prefix_between(const struct sim_node *a, const struct sim_node *b)
{
    struct parley_span longest = { 0 };
    for (int i = 0; i < 2; i++) {
        const struct sim_node *n = i == 0 ? a : b;
        const struct sim_node *other = i == 0 ? b : a;
        struct pl_peer *peer = pl_peers_find(&n->node->peers, pl_span_text(other->id));
        if (peer == NULL || peer->grant_count == 0)
            continue;
        struct parley_span prefix = pl_span_text(peer->grants[0].filter.prefix);
        longest = prefix.len > longest.len ? prefix : longest;
    }
    return longest;
}

static struct parley_root root_within(struct sim_node *n, struct parley_span prefix)
{
    struct sim_dump dump;
    struct parley_root root = { 0 };
    sim_dump_take(n, &dump);
    for (size_t i = 0; i < dump.count; i++) {
        if (!pl_span_has_prefix(dump.changes[i].version.conversation, prefix))
            continue;
        root.count++;
        pl_digest_add(root.sum, dump.changes[i].digest);
    }
    sim_dump_drop(&dump);
    return root;
}

bool oracle_filter_is_equal(struct sim_node *a, struct sim_node *b, struct parley_root roots[2])
{
    struct parley_span prefix = prefix_between(a, b);
    roots[0] = prefix.len == 0 ? oracle_root(a) : root_within(a, prefix);
    roots[1] = prefix.len == 0 ? oracle_root(b) : root_within(b, prefix);
    return pl_root_equal(&roots[0], &roots[1]);
}

/* Nothing outside crosses. */
void oracle_filter_look(struct sim_node *n)
{
    struct sim_dump dump;
    if (!n->world->plan.filtered)
        return;
    sim_dump_take(n, &dump);
    for (size_t i = 0; i < dump.count; i++) {
        const struct parley_version *v = &dump.changes[i].version;
        bool within = sim_filter_has(n->world, n->index, v->conversation);
        if (!within && !pl_span_is(v->origin, n->id))
            sim_fail(n->world, "filter", "n%u has %.*s/%.*s, which lies outside of its filter",
                     n->index, (int)v->conversation.len, (const char *)v->conversation.ptr,
                     (int)v->id.len, (const char *)v->id.ptr);
    }
    sim_dump_drop(&dump);
}

void oracle_filter_at_end(struct sim_world *w)
{
    for (unsigned i = 1; i < w->plan.nodes && !w->failed; i++) {
        struct pl_filter filter = sim_filter_of(w, i);
        struct parley_root there = root_within(&w->nodes[0], pl_span_text(filter.prefix));
        struct parley_root here = root_within(&w->nodes[i], pl_span_text(filter.prefix));
        if (!pl_root_equal(&there, &here))
            sim_fail(w, "filter", "within \"%s\" n%u has %llu versions, the hub %llu",
                     filter.prefix, i, (unsigned long long)here.count,
                     (unsigned long long)there.count);
        if (!w->failed)
            oracle_filter_look(&w->nodes[i]);
    }
}
