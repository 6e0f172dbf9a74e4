/* SPDX-License-Identifier: Apache-2.0
 *
 * Bugs of our own, to see that the oracles see. They strike through the simulator's seams: the
 * product is not touched.
 */
#include "sim/world.h"

#include "core/message.h"
#include "sim/oracle.h"

#include <stdlib.h>

#define PLANT_AT (8 * PARLEY_NS_PER_S)

/* Flips a bit of the last row of the change log. */
static void flip_bit(struct sim_node *n)
{
    struct pl_txn *txn = NULL;
    struct pl_cursor cursor;
    struct pl_span key, value;
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
    struct pl_span copy = pl_span_of(own_key, key.len);
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

void sim_plant_tick(struct sim_world *w)
{
    const struct sim_edge *edge = &w->edges[0];
    struct sim_node *n = &w->nodes[edge->client];
    if (w->planted || w->now < PLANT_AT)
        return;
    switch (w->plan.plant) {
    case SIM_PLANT_LOST_COMMIT:
        for (unsigned i = 0; i < w->plan.nodes; i++)
            if (w->nodes[i].disk.store != NULL && w->nodes[i].disk.backup == NULL)
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
        for (unsigned i = 0; i < w->plan.nodes; i++) {
            w->cut_until[0][i] = UINT64_MAX / 2;
            w->cut_until[i][0] = UINT64_MAX / 2;
        }
        w->planted = true;
        break;
    case SIM_PLANT_EMPTIED:
        empty_trash(&w->nodes[2]);
        break;
    case SIM_PLANT_NONE:
    case SIM_PLANT_RISEN:
    case SIM_PLANT_ALTERED_BODY:
    case SIM_PLANT_SKIPPED:
    case SIM_PLANT_MISSED:
    case SIM_PLANT_BROKEN_FRAME:
    case SIM_PLANT_DICE:
    case SIM_PLANT_COUNT:
        break;
    }
}

static bool is_remote(const struct parley_write *write)
{
    return write->kind == PARLEY_WRITE_VERSION && write->u.version.time != 0;
}

static void miss_one(struct sim_world *w, struct parley_write *writes, size_t *count)
{
    size_t at = 0;
    while (at < *count && !is_remote(&writes[at]))
        at++;
    if (at == *count || w->planted || w->now < PLANT_AT)
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
        miss_one(w, writes, count);
    if (w->plan.plant == SIM_PLANT_SKIPPED && n->index == 1) {
        for (size_t i = 0; i < *count; i++) {
            bool skip =
                is_remote(&writes[i]) && pl_span_is(writes[i].u.version.conversation, "talk-0");
            if (!skip)
                writes[kept++] = writes[i];
        }
        *count = kept;
    }
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
