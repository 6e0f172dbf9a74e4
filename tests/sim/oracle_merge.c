/* SPDX-License-Identifier: Apache-2.0
 *
 * A model of the merge that shares nothing with the product but SHA-256: a flat list of registers,
 * into which all durable versions are merged in a random order.
 */
#include "sim/oracle.h"

#include "core/hash.h"

#include <stdlib.h>

static void add_number(struct pl_sha256 *h, uint64_t value, size_t bytes)
{
    uint8_t buf[8];
    for (size_t i = 0; i < bytes; i++)
        buf[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    pl_sha256_update(h, buf, bytes);
}

static void add_name(struct pl_sha256 *h, struct parley_span name)
{
    add_number(h, name.len, 2);
    if (name.len != 0)
        pl_sha256_update(h, name.ptr, name.len);
}

void model_stamp(const struct parley_version *v, uint8_t digest[PARLEY_DIGEST_BYTES], uint32_t *tag)
{
    struct pl_sha256 h;
    uint8_t hash[PL_SHA256_BYTES];
    pl_sha256_init(&h);
    add_number(&h, (uint64_t)v->kind, 1);
    add_number(&h, v->flags, 1);
    add_number(&h, v->time, 8);
    add_name(&h, v->conversation);
    add_name(&h, v->id);
    add_name(&h, v->origin);
    if (v->body.len != 0)
        pl_sha256_update(&h, v->body.ptr, v->body.len);
    pl_sha256_final(&h, hash);
    memcpy(digest, hash, PARLEY_DIGEST_BYTES);
    pl_sha256_of(v->origin, hash);
    *tag = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
}

int model_compare(const struct sim_entry *a, const struct sim_entry *b)
{
    if (a->version.time != b->version.time)
        return a->version.time > b->version.time ? 1 : -1;
    if (a->tag != b->tag)
        return a->tag > b->tag ? 1 : -1;
    return memcmp(a->digest, b->digest, PARLEY_DIGEST_BYTES);
}

struct model {
    const struct sim_entry **live; /* one a register, also tombstones and purges */
    size_t count;
};

bool model_covers(const struct sim_entry *cover, const struct sim_entry *e)
{
    const struct parley_version *c = &cover->version;
    const struct parley_version *v = &e->version;
    bool content = v->kind == PARLEY_KIND_HEADER || v->kind == PARLEY_KIND_MESSAGE;
    bool reaches = c->kind == PARLEY_KIND_CONVERSATION
                       ? content
                       : c->kind == PARLEY_KIND_PURGE && v->kind != PARLEY_KIND_PURGE;
    return reaches && pl_span_equal(c->name_space, v->name_space) &&
           pl_span_equal(c->conversation, v->conversation) &&
           (c->time > v->time || (c->time == v->time && cover->tag >= e->tag));
}

static bool is_covered(const struct model *m, const struct sim_entry *e)
{
    for (size_t i = 0; i < m->count; i++)
        if (model_covers(m->live[i], e))
            return true;
    return false;
}

static void merge(struct model *m, const struct sim_entry *e)
{
    size_t at = 0;
    if (is_covered(m, e))
        return;
    while (at < m->count && sim_register_compare(&m->live[at]->version, &e->version) != 0)
        at++;
    if (at < m->count && model_compare(m->live[at], e) >= 0)
        return;
    m->live[at] = e;
    m->count += at == m->count ? 1 : 0;
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++)
        if (!model_covers(e, m->live[i]))
            m->live[kept++] = m->live[i];
    m->count = kept;
}

static const struct parley_change *find_change(const struct sim_dump *dump,
                                               const struct parley_version *v)
{
    size_t low = 0;
    size_t high = dump->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = sim_register_compare(&dump->changes[mid].version, v);
        if (order == 0)
            return &dump->changes[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_in(const struct sim_dump *dump, const struct sim_entry *e)
{
    const struct parley_change *c = find_change(dump, &e->version);
    return c != NULL && c->version.time == e->version.time &&
           c->version.flags == e->version.flags &&
           pl_span_equal(c->version.origin, e->version.origin) &&
           pl_span_equal(c->version.body, e->version.body) &&
           memcmp(c->digest, e->digest, PARLEY_DIGEST_BYTES) == 0;
}

static void compare(struct sim_world *w, const struct model *m, const struct sim_dump *dump)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct parley_version *v = &m->live[i]->version;
        if (!is_in(dump, m->live[i]))
            sim_fail(w, "merge", "the model has %.*s/%.*s of n%u at %llu, the nodes do not",
                     (int)v->conversation.len, (const char *)v->conversation.ptr, (int)v->id.len,
                     (const char *)v->id.ptr, m->live[i]->node, (unsigned long long)v->time);
    }
    if (m->count != dump->count)
        sim_fail(w, "merge", "the model has %zu versions, the nodes %zu", m->count, dump->count);
}

void oracle_merge_at_end(struct sim_world *w)
{
    struct sim_dump dump;
    const struct sim_load *load = &w->load;
    const struct sim_entry **order = malloc((load->count + 1) * sizeof *order);
    struct model m = { .live = malloc((load->count + 1) * sizeof *order) };
    size_t count = 0;
    PL_ASSERT(order != NULL && m.live != NULL);
    /* What was collected or trashed is no matter of the model, nor what an outcast had said. */
    if (w->plan.grace_us != 0 || w->plan.revokes) {
        free(order);
        free(m.live);
        return;
    }
    sim_dump_take(&w->nodes[0], &dump);
    for (size_t i = 0; i < load->count; i++) {
        const struct sim_entry *e = &load->entries[i];
        /* What a restored backup may have undone counts only if somebody still has it. */
        bool counts = e->fate != SIM_MAYBE || is_in(&dump, e);
        if (counts && pl_span_is(e->version.name_space, SIM_NAMESPACE) &&
            sim_filter_has(w, e->node, e->version.conversation))
            order[count++] = e;
    }
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)sim_within(w, i);
        const struct sim_entry *moved = order[i - 1];
        order[i - 1] = order[other];
        order[other] = moved;
    }
    for (size_t i = 0; i < count; i++)
        merge(&m, order[i]);
    compare(w, &m, &dump);
    sim_dump_drop(&dump);
    free(order);
    free(m.live);
}
