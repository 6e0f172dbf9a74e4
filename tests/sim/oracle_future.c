/* SPDX-License-Identifier: Apache-2.0
 *
 * What is stamped further ahead than the drift that is tolerated is held at the nodes that get it:
 * it never wins before its time, is there after a restart, is shown to the operator, and is applied
 * when it is due.
 */
#include "sim/oracle.h"

#define DRIFT_US ((uint64_t)PARLEY_CLOCK_DRIFT_US_MAX)
/* One batch of them is released every five seconds. */
#define OVERDUE_NS (30 * PARLEY_NS_PER_S)
#define SKEW_US    (30 * PARLEY_US_PER_S)

static bool is_ahead(uint64_t time, parley_wall wall)
{
    return time > (uint64_t)wall + DRIFT_US;
}

static struct parley_read *begin_read(struct sim_node *n)
{
    struct parley_read *read = NULL;
    if (parley_read_begin(n->db, &read) != PARLEY_OK)
        sim_fail(n->world, "future", "n%u can not be read", n->index);
    return read;
}

static bool next_held(struct sim_node *n, struct parley_read *read,
                      struct parley_held_position *position, struct parley_held *out)
{
    bool found = false;
    if (parley_read_held(read, position, out, &found) != PARLEY_OK)
        sim_fail(n->world, "future", "n%u can not read what it holds", n->index);
    return found;
}

/* ---- Never early ---- */

static void look_for_early(struct sim_node *n, struct parley_read *read, const struct sim_entry *e)
{
    const struct parley_version *v = &e->version;
    struct parley_conversation_info talk;
    struct parley_version live;
    bool found = false;
    parley_err err = parley_read_conversation(read, v->name_space, v->conversation, &talk, &found);
    if (err == PARLEY_OK && found)
        err = parley_read_register(read, talk.number, v->kind, v->id, &live, &found);
    if (err != PARLEY_OK)
        sim_fail(n->world, "future", "n%u can not be read: %s", n->index, parley_err_name(err));
    else if (found && live.time == v->time && pl_span_equal(live.origin, v->origin))
        sim_fail(n->world, "future", "at n%u a version of n%u wins %.1f s before its time",
                 n->index, e->node, (double)(v->time - DRIFT_US - (uint64_t)n->wall_max) / 1e6);
}

/* `wall_max` and not the clock as it is: what was merged stays when the clock goes back. */
void oracle_future_look(struct sim_node *n)
{
    struct sim_world *w = n->world;
    if (w->failed || !is_ahead(w->load.time_max, n->wall_max))
        return;
    w->looking = true;
    struct parley_read *read = begin_read(n);
    for (size_t i = 0; read != NULL && i < w->load.count; i++) {
        const struct sim_entry *e = &w->load.entries[i];
        if (e->node != n->index && is_ahead(e->version.time, n->wall_max))
            look_for_early(n, read, e);
    }
    if (read != NULL)
        parley_read_end(read);
    w->looking = false;
}

/* ---- Never late ---- */

void oracle_future_overdue(struct sim_node *n)
{
    struct parley_held_position position = { 0 };
    struct parley_held held;
    struct sim_world *w = n->world;
    struct parley_read *read = n->state == SIM_UP ? begin_read(n) : NULL;
    if (read == NULL)
        return;
    bool overdue =
        next_held(n, read, &position, &held) && !is_ahead(held.version.time, sim_now(n).wall);
    if (!overdue || held.version.time != n->overdue_time) {
        n->overdue_time = overdue ? held.version.time : 0;
        n->overdue_since = w->now;
    }
    parley_read_end(read);
    if (overdue && w->now - n->overdue_since > OVERDUE_NS)
        sim_fail(w, "future", "n%u still holds what was due %.0f s ago", n->index,
                 (double)(w->now - n->overdue_since) / 1e9);
}

/* ---- Never dropped ---- */

static bool count_held(struct sim_node *n, uint64_t *count)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    parley_err err = parley_read_begin(n->db, &read);
    if (err == PARLEY_OK)
        err = parley_read_state(read, &state);
    if (err == PARLEY_OK)
        *count = state.held;
    if (read != NULL)
        parley_read_end(read);
    return err == PARLEY_OK;
}

void oracle_future_at_death(struct sim_node *n)
{
    n->held_known = !n->disk.uncertain && count_held(n, &n->held);
}

void oracle_future_at_start(struct sim_node *n)
{
    uint64_t count = 0;
    n->overdue_time = 0;
    if (n->held_known && count_held(n, &count) && count != n->held)
        sim_fail(n->world, "future", "n%u held %llu versions, after its restart %llu", n->index,
                 (unsigned long long)n->held, (unsigned long long)count);
}

/* ---- Shown ---- */

static bool holds(struct sim_node *n, struct parley_read *read, const struct parley_version *v)
{
    struct parley_held_position position = { 0 };
    struct parley_held held;
    while (next_held(n, read, &position, &held))
        if (held.version.time == v->time && pl_span_equal(held.version.id, v->id) &&
            pl_span_equal(held.version.origin, v->origin) &&
            pl_span_equal(held.version.body, v->body))
            return true;
    return false;
}

/* What GET /status says of the peer. */
static void look_at_report(struct sim_node *n, struct parley_read *read, const struct sim_node *of)
{
    struct sim_world *w = n->world;
    const struct pl_peer *peer = pl_peers_find(&n->node->peers, pl_span_text(of->id));
    parley_err err = pl_report_held(n->node, read);
    if (err != PARLEY_OK || peer == NULL) {
        sim_fail(w, "future", "n%u has no report of n%u", n->index, of->index);
        return;
    }
    int64_t off = peer->skew_us - (of->skew_us - n->skew_us);
    bool noted =
        strstr(peer->note, "clocks differ") != NULL || strcmp(peer->note, "comparing") == 0;
    if (peer->held == 0 || peer->held_until <= sim_now(n).wall)
        sim_fail(w, "future", "n%u does not show what it holds of n%u", n->index, of->index);
    else if (off > SKEW_US || off < -SKEW_US)
        sim_fail(w, "future", "n%u shows a skew of n%u that is %.1f s off", n->index, of->index,
                 (double)off / 1e6);
    else if (!noted || peer->sync == PL_SYNC_IN_SYNC)
        sim_fail(w, "future", "n%u says of n%u: %s", n->index, of->index, peer->note);
}

static void look_at_neighbour(struct sim_node *n, const struct sim_node *of,
                              const struct sim_dump *dump)
{
    struct parley_read *read = begin_read(n);
    size_t ahead = 0;
    for (size_t i = 0; read != NULL && i < dump->count; i++) {
        const struct parley_version *v = &dump->changes[i].version;
        if (!pl_span_is(v->origin, of->id) || !is_ahead(v->time, sim_now(n).wall))
            continue;
        ahead++;
        if (!holds(n, read, v))
            sim_fail(n->world, "future", "n%u does not hold %.*s of n%u", n->index, (int)v->id.len,
                     (const char *)v->id.ptr, of->index);
    }
    if (ahead == 0)
        sim_fail(n->world, "future", "n%u wrote nothing ahead of n%u", of->index, n->index);
    else
        look_at_report(n, read, of);
    if (read != NULL)
        parley_read_end(read);
}

void oracle_future_shown(struct sim_node *of)
{
    struct sim_world *w = of->world;
    struct sim_dump dump;
    if (w->failed)
        return;
    sim_dump_take(of, &dump);
    for (unsigned i = 0; i < w->edge_count && !w->failed; i++) {
        const struct sim_edge *edge = &w->edges[i];
        if (edge->client == of->index)
            look_at_neighbour(&w->nodes[edge->server], of, &dump);
        else if (edge->server == of->index)
            look_at_neighbour(&w->nodes[edge->client], of, &dump);
    }
    sim_dump_drop(&dump);
}
