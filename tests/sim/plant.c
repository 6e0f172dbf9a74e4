/* SPDX-License-Identifier: Apache-2.0
 *
 * Bugs of our own, to see that the oracles see. They strike through the simulator's seams: the
 * product is not touched.
 */
#include "sim/world.h"

#include "core/message.h"
#include "db/db_int.h"
#include "sim/oracle.h"

#include <stdlib.h>

#define PLANT_AT (8 * PARLEY_NS_PER_S)

/* Flips a bit of the last row of the change log. */
static void flip_bit(struct sim_node *n)
{
    struct pl_txn *txn = NULL;
    struct pl_cursor cursor;
    struct parley_span key, value;
    bool found = false;
    uint8_t row[65536];
    if (n->disk.store == NULL || pl_store_write_begin(n->disk.store, &txn) != PARLEY_OK)
        return;
    parley_err err = pl_txn_cursor(txn, PL_TABLE_LOG, &cursor);
    if (err == PARLEY_OK)
        err = n->disk.store->ops->seek_last(&cursor, &key, &value, &found);
    if (err != PARLEY_OK || !found || value.len > sizeof row) {
        pl_txn_abort(txn);
        return;
    }
    uint8_t own_key[PL_STORE_KEY_BYTES_MAX];
    struct parley_span copy = pl_span_of(own_key, key.len);
    memcpy(own_key, key.ptr, key.len);
    memcpy(row, value.ptr, value.len);
    row[value.len / 2] ^= 0x10;
    err = pl_txn_put(txn, PL_TABLE_LOG, copy, pl_span_of(row, value.len));
    PL_ASSERT(err == PARLEY_OK);
    err = pl_txn_commit(txn);
    PL_ASSERT(err == PARLEY_OK);
    n->world->planted = true;
}

/* Writes to a store without telling anybody; the node goes on claiming what it claimed. */
static void write_behind(struct sim_node *n, const char *name_space)
{
    uint8_t body[64];
    struct pl_writer writer = pl_writer_over(body, sizeof body);
    struct pl_message message = { .role = pl_span_text("user"), .content = pl_span_text("ghost") };
    bool changed = false;
    if (n->state != SIM_UP || n->disk.busy)
        return;
    pl_message_encode(&writer, &message);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text(name_space),
                                               .conversation = pl_span_text("talk-0"),
                                               .id = pl_span_text("ghost"),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .body = pl_writer_span(&writer) };
    parley_err err = parley_db_apply(n->db, &write, 1, sim_now(n).wall, &changed);
    PL_ASSERT(err == PARLEY_OK);
    n->world->planted = true;
}

static void empty_trash(struct sim_node *n)
{
    struct parley_read *read = NULL;
    struct parley_trash_key key = { 0 };
    struct parley_version version;
    bool found = false;
    if (n->state != SIM_UP || n->disk.busy || parley_read_begin(n->db, &read) != PARLEY_OK)
        return;
    parley_err err = parley_read_trash_after(read, &key, &version, &found);
    parley_read_end(read);
    if (err != PARLEY_OK || !found)
        return;
    struct parley_write write = { .kind = PARLEY_WRITE_UNTRASH };
    write.u.untrash = pl_span_of(key.bytes, key.len);
    err = parley_db_apply(n->db, &write, 1, sim_now(n).wall, NULL);
    PL_ASSERT(err == PARLEY_OK);
}

static bool claims(const struct sim_world *w, unsigned a, unsigned b)
{
    const struct sim_claim *claim = &w->nodes[a].claims[b];
    return claim->held && claim->changes == w->nodes[a].changes;
}

/* Again and again: what a node knows of filters is forgotten. */
static void forget_filters(struct sim_node *n)
{
    for (size_t i = 0; n->state == SIM_UP && i < n->node->peers.count; i++) {
        struct pl_peer *peer = n->node->peers.table[i];
        for (size_t g = 0; g < peer->grant_count; g++) {
            peer->grants[g].filter = (struct pl_filter){ .max_age = 0 };
            peer->shares[g].prefix_len = 0;
            peer->shares[g].since = 0;
        }
    }
}

static void cut_off(struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        w->cut_until[0][i] = UINT64_MAX / 2;
        w->cut_until[i][0] = UINT64_MAX / 2;
    }
    w->planted = true;
}

void sim_plant_tick(struct sim_world *w)
{
    if (w->plan.plant == SIM_PLANT_UNFILTERED)
        forget_filters(&w->nodes[0]);
    if (w->plan.plant == SIM_PLANT_UNFILTERING)
        forget_filters(&w->nodes[1]);
    const struct sim_edge *edge = &w->edges[0];
    struct sim_node *n = &w->nodes[edge->client];
    if (w->planted || w->now < PLANT_AT)
        return;
    switch (w->plan.plant) {
    case SIM_PLANT_LOST_COMMIT:
        for (unsigned i = 0; i < w->plan.nodes; i++)
            if (w->nodes[i].disk.store != NULL && !w->nodes[i].disk.has_backup)
                sim_disk_back_up(&w->nodes[i]);
        break;
    case SIM_PLANT_FLIPPED_BIT:
        flip_bit(n);
        break;
    case SIM_PLANT_FALSE_CLAIM:
        if (claims(w, edge->client, edge->server) && claims(w, edge->server, edge->client))
            write_behind(n, SIM_NAMESPACE);
        break;
    case SIM_PLANT_STRAY:
        write_behind(n, "own-9");
        break;
    case SIM_PLANT_LEAK:
        if (n->state == SIM_UP) {
            w->leaked = n->env.alloc(n, 24);
            w->planted = true;
        }
        break;
    case SIM_PLANT_FALSE_KEY:
        if (n->state == SIM_UP && n->node->peers.count > 0) {
            n->node->peers.table[0]->key = *pl_identity_pubkey(n->node->identity);
            w->planted = true;
        }
        break;
    case SIM_PLANT_SPLIT:
        cut_off(w);
        break;
    case SIM_PLANT_CUT_SHORT:
        if (w->rounds.watching && w->rounds.stated_at != 0) {
            w->planted = true;
            sim_wire_reset(&w->links[w->rounds.link]);
        }
        break;
    case SIM_PLANT_EMPTIED:
        empty_trash(&w->nodes[2]);
        break;
    case SIM_PLANT_NONE:
    case SIM_PLANT_UNFILTERED:
    case SIM_PLANT_UNFILTERING:
    case SIM_PLANT_RISEN:
    case SIM_PLANT_ALTERED_BODY:
    case SIM_PLANT_SKIPPED:
    case SIM_PLANT_MISSED:
    case SIM_PLANT_BROKEN_FRAME:
    case SIM_PLANT_DISORDER:
    case SIM_PLANT_DICE:
    case SIM_PLANT_ECHO:
    case SIM_PLANT_EAGER:
    case SIM_PLANT_DROPPED_HELD:
    case SIM_PLANT_LOST_CLOCK:
    case SIM_PLANT_FORGIVEN:
    case SIM_PLANT_COUNT:
        break;
    }
}

/* Row by row, and the counter with them: parley_db_check sees nothing. */
static void drop_held(struct sim_node *n)
{
    struct pl_txn *txn = NULL;
    struct pl_cursor cursor;
    struct parley_span key, value;
    struct pl_counters counters = n->db->counters;
    bool found = true;
    parley_err err = pl_store_write_begin(n->disk.store, &txn);
    PL_ASSERT(err == PARLEY_OK);
    err = pl_txn_cursor(txn, PL_TABLE_HOLD, &cursor);
    PL_ASSERT(err == PARLEY_OK);
    while (found) {
        uint8_t own_key[PL_STORE_KEY_BYTES_MAX];
        err = pl_cursor_seek(&cursor, pl_span_of("", 1), &key, &value, &found);
        PL_ASSERT(err == PARLEY_OK);
        if (!found)
            break;
        memcpy(own_key, key.ptr, key.len);
        err = pl_txn_del(txn, PL_TABLE_HOLD, pl_span_of(own_key, key.len));
        PL_ASSERT(err == PARLEY_OK);
    }
    counters.held = 0;
    err = pl_db_write_counters(txn, &counters);
    PL_ASSERT(err == PARLEY_OK);
    err = pl_txn_commit(txn);
    PL_ASSERT(err == PARLEY_OK);
    n->db->counters = counters;
}

static void forgive(struct sim_node *n)
{
    const struct sim_world *w = n->world;
    if (n->index != w->plan.host || w->cast_out_at == 0)
        return;
    struct pl_peer *peer =
        pl_peers_find(&n->node->peers, pl_span_text(w->nodes[w->plan.outcast].id));
    peer->state = PL_PEER_ACTIVE;
    peer->revoked_at = 0;
}

void sim_plant_start(struct sim_node *n)
{
    if (n->world->plan.plant == SIM_PLANT_FORGIVEN)
        forgive(n);
    if (n->world->plan.plant == SIM_PLANT_DROPPED_HELD)
        drop_held(n);
    if (n->world->plan.plant == SIM_PLANT_LOST_CLOCK)
        n->db->counters.clock = 0;
}

static bool is_remote(const struct parley_write *write)
{
    return write->kind == PARLEY_WRITE_VERSION && write->u.version.time != 0;
}

static void miss_one(struct sim_world *w, struct parley_write *writes, size_t *count,
                     parley_time from)
{
    size_t at = 0;
    while (at < *count && !is_remote(&writes[at]))
        at++;
    if (at == *count || w->planted || w->now < from)
        return;
    memmove(&writes[at], &writes[at + 1], (*count - at - 1) * sizeof *writes);
    --*count;
    w->planted = true;
}

void sim_plant_writes(struct sim_node *n, struct parley_write *writes, size_t *count)
{
    struct sim_world *w = n->world;
    size_t kept = 0;
    for (size_t i = 0; i < *count && w->plan.plant == SIM_PLANT_RISEN && n->index == 2; i++) {
        if (writes[i].kind == PARLEY_WRITE_TRASH)
            writes[i].u.trash = UINT64_MAX; /* no version has it */
    }
    if (w->plan.plant == SIM_PLANT_MISSED && n->index == 1)
        miss_one(w, writes, count, PLANT_AT);
    if (w->plan.plant == SIM_PLANT_DISORDER && n->index == SIM_COLD_NODE)
        miss_one(w, writes, count, 0);
    if (w->plan.plant == SIM_PLANT_SKIPPED && n->index == 1) {
        for (size_t i = 0; i < *count; i++) {
            bool skip =
                is_remote(&writes[i]) && pl_span_is(writes[i].u.version.conversation, "talk-0");
            if (!skip)
                writes[kept++] = writes[i];
        }
        *count = kept;
    }
    for (size_t i = 0; i < *count && w->plan.plant == SIM_PLANT_ECHO && n->index == 1; i++)
        writes[i].source = is_remote(&writes[i]) ? 0 : writes[i].source;
    for (size_t i = 0; i < *count && w->plan.plant == SIM_PLANT_ALTERED_BODY; i++) {
        struct parley_version *v = &writes[i].u.version;
        /* The last byte of a message is text of its content. */
        if (is_remote(&writes[i]) && v->kind == PARLEY_KIND_MESSAGE && v->body.len > 0 &&
            !w->planted) {
            union {
                const uint8_t *given;
                uint8_t *ours;
            } body = { v->body.ptr };
            body.ours[v->body.len - 1] = '#';
            w->planted = true;
        }
    }
}

void sim_plant_bytes(struct sim_link *link, unsigned dir, uint8_t *bytes, size_t len)
{
    struct sim_world *w = link->world;
    (void)dir;
    if (w->planted || w->now < PLANT_AT || len == 0)
        return;
    bytes[0] ^= 0x80;
    w->planted = true;
}
