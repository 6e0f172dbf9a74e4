/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes come, crash, stop and come back.
 */
#include "sim/world.h"

#include "sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>

/* Each block remembers its size, so that a release with another one is noticed. */
#define HEAD_BYTES 16

static void *node_alloc(void *ud, size_t size)
{
    struct sim_node *n = ud;
    struct sim_world *w = n->world;
    if (w->now < n->memory_short_until && !w->looking && sim_chance(w, 3))
        return NULL;
    uint8_t *block = malloc(HEAD_BYTES + size);
    PL_ASSERT(block != NULL);
    memcpy(block, &size, sizeof size);
    n->memory.blocks++;
    n->memory.bytes += (int64_t)size;
    if (n->memory.bytes > n->memory.peak)
        n->memory.peak = n->memory.bytes;
    return block + HEAD_BYTES;
}

static void node_release(void *ud, void *ptr, size_t size)
{
    struct sim_node *n = ud;
    size_t was = 0;
    if (ptr == NULL)
        return;
    uint8_t *block = (uint8_t *)ptr - HEAD_BYTES;
    memcpy(&was, block, sizeof was);
    if (was != size)
        sim_fail(n->world, "memory", "a block of %zu bytes was released as %zu", was, size);
    n->memory.blocks--;
    n->memory.bytes -= (int64_t)was;
    free(block);
}

static void node_entropy(void *ud, void *out, size_t len)
{
    struct sim_node *n = ud;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)pl_rng_u64(&n->entropy);
    if (n->world->plan.plant == SIM_PLANT_DICE && len > 0) {
        static uint8_t dice; /* the planted bug: it remembers the run before */
        bytes[0] ^= ++dice;
    }
}

static void node_trace(void *ud, const struct parley_trace *event)
{
    struct sim_node *n = ud;
    sim_note(n->world, n->index, (uint64_t)event->kind, "n%u: %s %.*s %.*s %llu", n->index,
             event->name, (int)event->peer.len, (const char *)event->peer.ptr, (int)event->note.len,
             (const char *)event->note.ptr, (unsigned long long)event->count);
}

static parley_err open_node(struct sim_node *n, struct parley_diag *diag)
{
    const struct sim_world *w = n->world;
    struct parley_db_options db_options = { .name = "sim" };
    struct pl_identity *identity = NULL;
    struct pl_node_options options = { .type = PL_BACKEND_EDGE,
                                       .plain_peers = !w->plan.tls,
                                       .no_zstd = !w->plan.zstd[n->index],
                                       .advertise = n->address,
                                       .tombstone_grace_us = w->plan.grace_us,
                                       .version = "sim" };
    PL_TRY(parley_db_open(&n->env, &db_options, &n->db, NULL, diag));
    parley_err err =
        pl_identity_import(&n->env, pl_span_text(sim_key_pem(sim_key_stored(n))), &identity, diag);
    if (err == PARLEY_OK)
        err = pl_node_open(&n->env, &options, n->db, identity, sim_now(n), &n->node, diag);
    if (err == PARLEY_OK)
        return PARLEY_OK;
    pl_identity_destroy(identity);
    parley_db_close(n->db);
    n->db = NULL;
    return err;
}

void sim_node_start(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct parley_diag diag = { "" };
    PL_ASSERT(n->state == SIM_DOWN);
    n->env = (struct parley_env){ .ud = n,
                                  .entropy = node_entropy,
                                  .alloc = node_alloc,
                                  .release = node_release,
                                  .store_open = sim_disk_open,
                                  .trace = node_trace };
    n->epoch++;
    parley_err err = open_node(n, &diag);
    sim_note(w, n->index, (uint64_t)err, "n%u starts: %s", n->index, parley_err_name(err));
    if (err != PARLEY_OK) {
        n->disk.fail_next = false;
        /* A disk that is full or broken at this moment: the operator tries again. */
        if (w->calm)
            sim_fail(w, "start", "n%u does not start: %s %s", n->index, parley_err_name(err),
                     diag.text);
        else
            sim_push(w, w->now + PARLEY_NS_PER_S, SIM_START, n->index, n->epoch);
        return;
    }
    memcpy(n->id, pl_node_backend_id(n->node), strlen(pl_node_backend_id(n->node)) + 1);
    n->state = SIM_UP;
    n->wake_at = 0;
    n->base_bytes = n->memory.bytes;
    n->memory.peak = n->memory.bytes;
    memset(n->claims, 0, sizeof n->claims);
    sim_plant_start(n);
    oracle_at_start(n);
    for (; n->words > 0; n->words--)
        sim_load_write(n);
    sim_drain(n);
}

static void drop(struct sim_node *n)
{
    struct pl_effect effect;
    /* What it still wishes for does not happen any more. */
    while (pl_node_take_effect(n->node, &effect)) {
    }
    oracle_future_at_death(n);
    sim_disk_crash(n);
    pl_node_free(n->node);
    parley_db_close(n->db);
    n->node = NULL;
    n->db = NULL;
    n->state = SIM_DOWN;
    n->moved = true;
    n->epoch++;
    oracle_memory_at_death(n);
}

void sim_node_crash(struct sim_node *n, bool silent)
{
    PL_ASSERT(n->state != SIM_DOWN);
    sim_note(n->world, n->index, 3, "n%u crashes%s", n->index, silent ? " silently" : "");
    n->world->stats.crashes++;
    sim_wire_drop_node(n, silent);
    drop(n);
}

void sim_node_stop(struct sim_node *n)
{
    struct sim_world *w = n->world;
    sim_note(w, n->index, 4, "n%u stops", n->index);
    n->state = SIM_STOPPING;
    sim_push(w, w->now + 5 * PARLEY_NS_PER_S, SIM_HALT, n->index, n->epoch);
    pl_node_stop(n->node, sim_now(n));
    sim_drain(n);
}

void sim_node_try_halt(struct sim_node *n, bool at_once)
{
    struct sim_world *w = n->world;
    if (n->state != SIM_STOPPING || (!at_once && !pl_node_is_stopped(n->node)))
        return;
    sim_note(w, n->index, at_once, "n%u halts%s", n->index, at_once ? ", forced" : "");
    sim_wire_drop_node(n, false);
    drop(n);
    sim_push(w, w->now + sim_within(w, 3 * PARLEY_NS_PER_S), SIM_START, n->index, n->epoch);
}
