/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that joins with nothing gets whole conversations, that of the newest version first: in
 * worlds in which it does, and as long as its first session lasts, what it has is newer than what
 * it lacks, but for one conversation that is on its way.
 */
#include "sim/oracle.h"

#include "core/digest.h"

static bool is_same_register(const struct parley_version *a, const struct parley_version *b)
{
    return a->kind == b->kind && pl_span_equal(a->conversation, b->conversation) &&
           pl_span_equal(a->id, b->id);
}

static bool is_current(const struct sim_load *load, const struct sim_entry *e)
{
    for (size_t i = 0; i < load->count; i++) {
        const struct parley_version *other = &load->entries[i].version;
        if (pl_span_is(other->name_space, SIM_NAMESPACE) && other->time > e->version.time &&
            is_same_register(other, &e->version))
            return false;
    }
    return pl_span_is(e->version.name_space, SIM_NAMESPACE);
}

/* The time of the newest version of a conversation. */
static uint64_t updated(const struct sim_load *load, struct parley_span conversation)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < load->count; i++) {
        const struct parley_version *v = &load->entries[i].version;
        if (pl_span_is(v->name_space, SIM_NAMESPACE) &&
            pl_span_equal(v->conversation, conversation))
            newest = pl_max_u64(newest, v->time);
    }
    return newest;
}

static bool has(struct parley_read *read, const struct parley_version *v)
{
    struct parley_conversation_info info;
    struct parley_version got;
    bool found = false;
    if (parley_read_conversation(read, v->name_space, v->conversation, &info, &found) !=
            PARLEY_OK ||
        !found)
        return false;
    return parley_read_register(read, info.number, v->kind, v->id, &got, &found) == PARLEY_OK &&
           found;
}

static void check(struct sim_world *w, struct sim_node *n)
{
    struct parley_read *read = NULL;
    uint64_t oldest = UINT64_MAX;
    uint64_t missing = 0;
    if (parley_read_begin(n->db, &read) != PARLEY_OK)
        return;
    for (size_t i = 0; i < w->load.count; i++) {
        const struct sim_entry *e = &w->load.entries[i];
        if (!is_current(&w->load, e))
            continue;
        uint64_t at = updated(&w->load, e->version.conversation);
        if (has(read, &e->version))
            oldest = pl_min_u64(oldest, at);
        else
            missing = pl_max_u64(missing, at);
    }
    parley_read_end(read);
    if (missing > oldest)
        sim_fail(w, "newest", "n%u got a conversation before one that is newer by %llu ms",
                 n->index, (unsigned long long)(missing - oldest) / 1000);
}

void oracle_newest_watch(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[SIM_COLD_NODE];
    if (!w->plan.cold || w->cold.over || n->state != SIM_UP || n->changes == w->cold.changes)
        return;
    w->cold.changes = n->changes;
    if (oracle_root(n).count == 0)
        return;
    uint32_t conn = n->node->peers.count == 0 ? 0 : n->node->peers.table[0]->conn;
    w->cold.conn = w->cold.conn == 0 ? conn : w->cold.conn;
    w->cold.over = conn == 0 || conn != w->cold.conn || w->last_words;
    if (!w->cold.over)
        check(w, n);
}
