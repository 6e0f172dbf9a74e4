/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include "sim/oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_NS      PARLEY_NS_PER_S
#define JOIN_NS      (700 * PARLEY_NS_PER_MS)
#define LAST_WORD_NS (60 * PARLEY_NS_PER_S)

/* ---- Trace and failure ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

void sim_note(struct sim_world *w, uint64_t a, uint64_t b, const char *format, ...)
{
    w->hash = mix(mix(mix(w->hash, w->now), a), b);
    if (!w->tracing)
        return;
    char *line = w->trace[w->trace_count++ % SIM_TRACE_LINES];
    int len = snprintf(line, SIM_TRACE_BYTES, "%12.6f  ", (double)w->now / 1e9);
    va_list args;
    va_start(args, format);
    vsnprintf(line + len, SIM_TRACE_BYTES - (size_t)len, format, args);
    va_end(args);
}

void sim_fail(struct sim_world *w, const char *oracle, const char *format, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    w->oracle = oracle;
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    sim_note(w, 0, 0, "FAILED %s: %.80s", oracle, w->why);
}

void sim_world_print_trace(const struct sim_world *w)
{
    uint64_t first = w->trace_count > SIM_TRACE_LINES ? w->trace_count - SIM_TRACE_LINES : 0;
    for (uint64_t i = first; i < w->trace_count; i++)
        printf("%s\n", w->trace[i % SIM_TRACE_LINES]);
}

bool sim_is_unborn(const struct sim_node *n)
{
    const struct sim_plan *plan = &n->world->plan;
    return plan->has_twin && n->index + 1 == plan->nodes && n->disk.store == NULL;
}

bool sim_has_twin(const struct sim_node *n)
{
    const struct sim_plan *plan = &n->world->plan;
    return plan->has_twin && n->self == plan->twin_of;
}

/* ---- Chance and time ---- */

bool sim_chance(struct sim_world *w, unsigned percent)
{
    return pl_rng_below(&w->rng, 100) < percent;
}

parley_time sim_within(struct sim_world *w, parley_time max)
{
    return max == 0 ? 0 : pl_rng_below(&w->rng, max);
}

parley_wall sim_wall(const struct sim_world *w)
{
    return w->plan.epoch_us + w->slept_us + (int64_t)(w->now / 1000);
}

struct parley_now sim_now(const struct sim_node *n)
{
    return (struct parley_now){ .mono = n->world->now, .wall = sim_wall(n->world) + n->skew_us };
}

/* ---- Events: a binary heap by time, then by order of making ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_push(struct sim_world *w, parley_time at, enum sim_event_kind kind, uint32_t who,
              uint32_t epoch)
{
    struct sim_heap *h = &w->heap;
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 256 : h->cap * 2;
        h->events = realloc(h->events, h->cap * sizeof *h->events);
        PL_ASSERT(h->events != NULL);
    }
    struct sim_event event = { pl_max_u64(at, w->now), h->seq++, kind, who, epoch };
    size_t i = h->count++;
    for (; i > 0 && is_before(&event, &h->events[(i - 1) / 2]); i = (i - 1) / 2)
        h->events[i] = h->events[(i - 1) / 2];
    h->events[i] = event;
}

static struct sim_event pop(struct sim_heap *h)
{
    struct sim_event first = h->events[0];
    struct sim_event last = h->events[--h->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && is_before(&h->events[child + 1], &h->events[child]))
            child++;
        if (!is_before(&h->events[child], &last))
            break;
        h->events[i] = h->events[child];
        i = child;
    }
    h->events[i] = last;
    return first;
}

/* ---- Effects ---- */

static void wake_at_deadline(struct sim_node *n)
{
    struct sim_world *w = n->world;
    /* One turn of an event loop takes some time, also when there is more to do at once. */
    parley_time at = pl_max_u64(pl_node_deadline(n->node), w->now + 20000);
    if (at == PARLEY_TIME_NEVER || (n->wake_at <= at && n->wake_at > w->now))
        return;
    n->wake_at = at;
    sim_push(w, at, SIM_WAKE, n->index, n->epoch);
}

void sim_drain(struct sim_node *n)
{
    struct pl_effect effect;
    while (pl_node_take_effect(n->node, &effect)) {
        switch (effect.kind) {
        case PL_EFFECT_DIAL:
            sim_wire_dial(n, effect.conn, effect.address);
            break;
        case PL_EFFECT_CLOSE:
            sim_wire_close(n, effect.conn);
            break;
        case PL_EFFECT_WRITE:
            sim_wire_want_write(n, effect.conn);
            break;
        case PL_EFFECT_READ:
            sim_wire_want_read(n, effect.conn);
            break;
        case PL_EFFECT_COMMIT:
            sim_disk_commit(n, effect.writes, effect.count);
            break;
        case PL_EFFECT_MAINTAIN:
            sim_disk_maintain(n);
            break;
        case PL_EFFECT_NEW_KEY:
            sim_key_wanted(n);
            break;
        }
    }
    wake_at_deadline(n);
    n->moved = true;
    oracle_memory_watch(n);
}

/* ---- Phases ---- */

static void begin_calm(struct sim_world *w)
{
    w->calm = true;
    oracle_rounds_end(w);
    w->ends_at = w->now + w->plan.calm_ns;
    sim_note(w, 1, 0, "--- calm ---");
    w->looking = true;
    for (unsigned i = 0; i < w->plan.nodes; i++)
        if (w->nodes[i].state == SIM_UP)
            oracle_filter_look(&w->nodes[i]);
    w->looking = false;
    sim_fault_calm(w);
    sim_push(w, w->now + LOOK_NS, SIM_LOOK, 0, 0);
}

/* Convergence is asked for twice: after the faults, and after a last write on every node. */
static void look(struct sim_world *w)
{
    struct parley_diag why = { "" };
    for (unsigned i = 0; i < w->plan.nodes; i++)
        oracle_future_overdue(&w->nodes[i]);
    if (w->acts_left > 0) {
        sim_push(w, w->now + LOOK_NS, SIM_LOOK, 0, 0);
        return;
    }
    sim_filter_widen(w);
    if (!sim_load_joined(w) || !oracle_converge_is_reached(w, &why)) {
        if (w->now >= w->ends_at) {
            sim_fail(w, "converge", "not in sync after %.0f s of calm: %s",
                     (double)w->plan.calm_ns / 1e9,
                     sim_load_joined(w) ? why.text : "a join is not done");
            return;
        }
        sim_push(w, w->now + LOOK_NS, SIM_LOOK, 0, 0);
        return;
    }
    sim_note(w, 2, 0, "converged");
    if (w->last_words) {
        w->done = true;
        return;
    }
    w->last_words = true;
    for (unsigned i = 0; i < w->plan.nodes; i++)
        sim_load_write(&w->nodes[i]);
    w->ends_at = w->now + LAST_WORD_NS + w->plan.calm_ns / 4;
    sim_push(w, w->now + LOOK_NS, SIM_LOOK, 0, 0);
}

static void wake(struct sim_node *n)
{
    n->wake_at = 0;
    pl_node_tick(n->node, sim_now(n));
    sim_drain(n);
    sim_node_try_halt(n, false);
}

static void heal(struct sim_world *w, uint32_t who)
{
    if (who < w->plan.nodes)
        sim_disk_full_ends(&w->nodes[who]);
}

static void serve_node(struct sim_world *w, const struct sim_event *e)
{
    struct sim_node *n = &w->nodes[e->who];
    if (e->kind == SIM_START && n->state == SIM_DOWN && n->epoch == e->epoch) {
        sim_node_start(n);
        return;
    }
    if (n->state == SIM_DOWN || n->epoch != e->epoch)
        return;
    if (e->kind == SIM_WAKE && n->wake_at == e->at)
        wake(n);
    else if (e->kind == SIM_APPLY)
        sim_disk_apply(n);
    else if (e->kind == SIM_COMMITTED)
        sim_disk_committed(n);
    else if (e->kind == SIM_KEY)
        sim_key_made(n);
    else if (e->kind == SIM_HALT)
        sim_node_try_halt(n, true);
}

static void serve_link(struct sim_world *w, const struct sim_event *e)
{
    struct sim_link *link = &w->links[e->who / 2];
    unsigned dir = e->who % 2;
    if (link->state == SIM_LINK_FREE || link->epoch != e->epoch)
        return;
    if (e->kind == SIM_ARRIVE)
        sim_wire_arrive(link, dir);
    else if (e->kind == SIM_READ)
        sim_wire_read(link, dir);
    else if (e->kind == SIM_SENT)
        sim_wire_sent(link, dir);
    else if (e->kind == SIM_DIALED)
        sim_wire_dialed(link);
    else
        sim_wire_reset(link);
}

static void serve(struct sim_world *w, const struct sim_event *e)
{
    switch (e->kind) {
    case SIM_WAKE:
    case SIM_APPLY:
    case SIM_COMMITTED:
    case SIM_START:
    case SIM_KEY:
    case SIM_HALT:
        serve_node(w, e);
        break;
    case SIM_ARRIVE:
    case SIM_READ:
    case SIM_SENT:
    case SIM_DIALED:
    case SIM_RESET:
        serve_link(w, e);
        break;
    case SIM_STRIKE:
        if (!w->calm)
            sim_fault_strike(w, (enum sim_fault)e->who);
        break;
    case SIM_HEAL:
        heal(w, e->who);
        break;
    case SIM_CLOGGED:
        if (!w->calm)
            sim_fault_clog(w, e->who);
        break;
    case SIM_WRITE:
        sim_load_step(w);
        break;
    case SIM_AWAY:
        sim_fault_away(w, e->who);
        break;
    case SIM_JOIN:
        sim_load_join(w);
        if (!w->done && !w->last_words)
            sim_push(w, w->now + JOIN_NS + sim_within(w, JOIN_NS), SIM_JOIN, 0, 0);
        break;
    case SIM_CALM:
        begin_calm(w);
        break;
    case SIM_ACT:
        w->acts_left--;
        sim_act(w, &w->plan.acts[e->who]);
        break;
    case SIM_NIGHT:
        if (!w->calm)
            sim_night(w);
        break;
    case SIM_LOOK:
        look(w);
        break;
    }
}

/* ---- Life ---- */

static void add_edge(struct sim_world *w, unsigned client, unsigned server)
{
    PL_ASSERT(w->edge_count < SIM_EDGES_MAX);
    w->edges[w->edge_count++] = (struct sim_edge){ .client = client, .server = server };
}

static void make_edges(struct sim_world *w)
{
    unsigned count = w->plan.nodes - (w->plan.has_twin ? 1 : 0);
    for (unsigned i = 1; i < count; i++) {
        switch (w->plan.topology) {
        case SIM_CHAIN:
        case SIM_RING:
            /* Who dials whom varies along the chain. */
            if (sim_chance(w, 50))
                add_edge(w, i, i - 1);
            else
                add_edge(w, i - 1, i);
            break;
        case SIM_STAR:
        case SIM_TOPOLOGY_COUNT:
            add_edge(w, i, 0);
            break;
        case SIM_MESH:
            for (unsigned j = 0; j < i; j++)
                add_edge(w, i, j);
            break;
        }
    }
    if (w->plan.topology == SIM_RING && count > 2)
        add_edge(w, count - 1, 0);
    for (unsigned i = w->plan.mutual ? w->edge_count : 0; i-- > 0;)
        add_edge(w, w->edges[i].server, w->edges[i].client);
}

void sim_world_init(struct sim_world *w, uint64_t seed, enum sim_plant plant,
                    const struct sim_scenario *scenario, bool tracing)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->tracing = tracing;
    if (tracing)
        w->trace = malloc(SIM_TRACE_LINES * sizeof *w->trace);
    PL_ASSERT(!tracing || w->trace != NULL);
    sim_plan_make(&w->plan, seed, plant);
    if (scenario != NULL)
        scenario->shape(&w->plan);
    else if (plant == SIM_PLANT_NONE)
        sim_plan_more(&w->plan, seed);
    pl_rng_init(&w->rng, seed ^ UINT64_C(0x776f726c64));
    w->now = PARLEY_NS_PER_S;
    for (unsigned i = 0; i < SIM_LINKS_MAX; i++) {
        w->links[i].world = w;
        w->links[i].index = i;
    }
    make_edges(w);
    w->keys_used = w->plan.nodes > SIM_NODES_DRAWN ? w->plan.nodes : SIM_NODES_DRAWN;
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        n->world = w;
        n->index = i;
        n->self = i;
        n->keys_given = 1u << i;
        n->skew_us = w->plan.skew_us[i];
        snprintf(n->address, sizeof n->address, "n%u:1", i);
        pl_rng_init(&n->entropy, seed ^ (UINT64_C(0x656e74) + i));
        if (!w->plan.has_twin || i + 1 < w->plan.nodes)
            sim_push(w, w->now + sim_within(w, 100 * PARLEY_NS_PER_MS), SIM_START, i, 0);
    }
    sim_push(w, w->now + PARLEY_NS_PER_S / 2, SIM_JOIN, 0, 0);
    parley_time talk = w->plan.talks_early ? 0 : 5 * PARLEY_NS_PER_S;
    sim_push(w, w->now + talk + PARLEY_NS_PER_S / 4, SIM_WRITE, 0, 0);
    sim_push(w, w->now + talk + w->plan.safety_ns, SIM_CALM, 0, 0);
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        sim_fault_next(w, (enum sim_fault)i);
    w->acts_left = w->plan.act_count;
    for (unsigned i = 0; i < w->plan.act_count; i++)
        sim_push(w, w->now + w->plan.acts[i].at, SIM_ACT, i, 0);
    if (w->plan.night_us != 0)
        sim_push(w, w->now + w->plan.day_ns, SIM_NIGHT, 0, 0);
    for (unsigned i = 0; i < w->plan.away_count; i++)
        sim_push(w, w->plan.away[i].from, SIM_AWAY, i, 0);
}

void sim_world_run(struct sim_world *w)
{
    while (!w->failed && !w->done && w->heap.count > 0) {
        struct sim_event e = pop(&w->heap);
        w->now = e.at;
        w->stats.events++;
        w->hash = mix(mix(mix(w->hash, e.at), (uint64_t)e.kind), e.who);
        if (w->plan.plant != SIM_PLANT_NONE)
            sim_plant_tick(w);
        serve(w, &e);
        w->looking = true;
        if (e.kind != SIM_SENT && e.kind != SIM_ARRIVE)
            oracle_claim_watch(w);
        if (!w->failed)
            oracle_newest_watch(w);
        w->looking = false;
        if (w->stats.events >= SIM_EVENTS_MAX)
            sim_fail(w, "liveness", "%u events and no end", SIM_EVENTS_MAX);
    }
    if (!w->failed)
        oracle_at_end(w);
}

void sim_world_deinit(struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n->state != SIM_DOWN)
            sim_node_crash(n, true);
        sim_disk_free(n);
    }
    if (w->disk_blocks != 0)
        sim_fail(w, "memory", "the stores leak %lld blocks", (long long)w->disk_blocks);
    sim_wire_free(w);
    sim_load_free(w);
    if (w->leaked != NULL)
        w->nodes[0].env.release(&w->nodes[0], w->leaked, 24);
    w->leaked = NULL;
    free(w->heap.events);
    free(w->trace);
    w->heap = (struct sim_heap){ 0 };
    w->trace = NULL;
}
