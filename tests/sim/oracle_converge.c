/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include "core/digest.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t floor_of(struct sim_node *n)
{
    struct parley_read *read = NULL;
    struct parley_namespace_info info = { 0 };
    bool found = false;
    if (n->db == NULL || parley_read_begin(n->db, &read) != PARLEY_OK)
        return 0;
    parley_err err = parley_read_namespace_named(read, pl_span_text(SIM_NAMESPACE), &info, &found);
    parley_read_end(read);
    return err == PARLEY_OK && found ? info.floor : 0;
}

/* The greatest of all floors. */
static uint64_t cut_of(struct sim_world *w)
{
    uint64_t cut = 0;
    for (unsigned i = 0; i < w->plan.nodes && w->plan.grace_us != 0; i++)
        cut = pl_max_u64(cut, floor_of(&w->nodes[i]));
    return cut;
}

struct parley_root oracle_root(struct sim_node *n)
{
    struct parley_read *read = NULL;
    struct pl_scope scope = { .name_space = pl_span_text(SIM_NAMESPACE), .cut = cut_of(n->world) };
    struct parley_root root = { 0 };
    parley_err err = parley_read_begin(n->db, &read);
    if (err == PARLEY_OK)
        err = pl_range_root(read, &scope, &root);
    if (read != NULL)
        parley_read_end(read);
    if (err != PARLEY_OK)
        sim_fail(n->world, "converge", "n%u can not be read: %s", n->index, parley_err_name(err));
    return root;
}

bool oracle_converge_roots_equal(struct sim_world *w)
{
    struct parley_root first = { 0 };
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        if (sim_is_unborn(&w->nodes[i]) || sim_are_apart(w, 0, i))
            continue;
        if (w->nodes[i].state != SIM_UP)
            return false;
        struct parley_root root = oracle_root(&w->nodes[i]);
        first = i == 0 ? root : first;
        if (!pl_root_equal(&first, &root))
            return false;
    }
    return true;
}

bool oracle_converge_is_reached(struct sim_world *w, struct parley_diag *why)
{
    struct parley_root first = { 0 };
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n->state != SIM_UP) {
            snprintf(why->text, sizeof why->text, "n%u is not up", i);
            return false;
        }
        if (sim_are_apart(w, 0, i))
            continue;
        struct parley_root roots[2], root = oracle_root(n);
        first = i == 0 ? root : first;
        bool equal = w->plan.filtered ? oracle_filter_is_equal(&w->nodes[0], n, roots)
                                      : pl_root_equal(&first, &root);
        if (!equal) {
            snprintf(why->text, sizeof why->text, "n0 has %llu versions, n%u has %llu",
                     (unsigned long long)first.count, i, (unsigned long long)root.count);
            return false;
        }
        /* Twins take turns at their peers: they are equal, but never all connected. */
        if (!w->plan.has_twin && !pl_node_in_sync(n->node)) {
            snprintf(why->text, sizeof why->text, "n%u does not say that it is in sync", i);
            return false;
        }
    }
    return true;
}

/* ---- Dumps ---- */

static int compare_kinds(enum parley_kind a, enum parley_kind b)
{
    return (a > b) - (a < b);
}

int sim_register_compare(const struct parley_version *a, const struct parley_version *b)
{
    int order = pl_span_compare(a->conversation, b->conversation);
    if (order == 0)
        order = compare_kinds(a->kind, b->kind);
    return order != 0 ? order : pl_span_compare(a->id, b->id);
}

static int compare_changes(const void *a, const void *b)
{
    const struct parley_change *x = a;
    const struct parley_change *y = b;
    return sim_register_compare(&x->version, &y->version);
}

void sim_dump_take(struct sim_node *n, struct sim_dump *dump)
{
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    *dump = (struct sim_dump){ 0 };
    parley_err err = parley_read_begin(n->db, &dump->read);
    if (err == PARLEY_OK)
        err = parley_feed_begin(dump->read, 0, &feed);
    while (err == PARLEY_OK && found) {
        err = parley_feed_next(&feed, &change, &found);
        if (err != PARLEY_OK || !found || !pl_span_is(change.version.name_space, SIM_NAMESPACE))
            continue;
        if (dump->count == dump->cap) {
            dump->cap = dump->cap == 0 ? 64 : dump->cap * 2;
            dump->changes = realloc(dump->changes, dump->cap * sizeof *dump->changes);
            PL_ASSERT(dump->changes != NULL);
        }
        dump->changes[dump->count++] = change;
    }
    if (err != PARLEY_OK)
        sim_fail(n->world, "converge", "n%u can not be dumped: %s", n->index, parley_err_name(err));
    if (dump->count > 0)
        qsort(dump->changes, dump->count, sizeof *dump->changes, compare_changes);
}

void sim_dump_drop(struct sim_dump *dump)
{
    if (dump->read != NULL)
        parley_read_end(dump->read);
    free(dump->changes);
    *dump = (struct sim_dump){ 0 };
}

static bool is_same(const struct parley_change *a, const struct parley_change *b)
{
    const struct parley_version *x = &a->version;
    const struct parley_version *y = &b->version;
    return sim_register_compare(x, y) == 0 && x->time == y->time && x->flags == y->flags &&
           pl_span_equal(x->origin, y->origin) && pl_span_equal(x->body, y->body) &&
           memcmp(a->digest, b->digest, PARLEY_DIGEST_BYTES) == 0;
}

/* Drops the tombstones up to `cut`. */
static void leave_out(struct sim_dump *dump, uint64_t cut)
{
    size_t kept = 0;
    for (size_t i = 0; i < dump->count; i++) {
        const struct parley_version *v = &dump->changes[i].version;
        if ((v->flags & PARLEY_FLAG_TOMBSTONE) == 0 || v->time > cut)
            dump->changes[kept++] = dump->changes[i];
    }
    dump->count = kept;
}

void oracle_converge_at_end(struct sim_world *w)
{
    struct sim_dump first;
    uint64_t cut = cut_of(w);
    sim_dump_take(&w->nodes[0], &first);
    leave_out(&first, cut);
    for (unsigned i = 1; i < w->plan.nodes && !w->failed; i++) {
        struct sim_dump other;
        if (sim_are_apart(w, 0, i))
            continue;
        sim_dump_take(&w->nodes[i], &other);
        leave_out(&other, cut);
        if (other.count != first.count)
            sim_fail(w, "converge", "n0 dumps %zu versions, n%u %zu", first.count, i, other.count);
        for (size_t j = 0; j < first.count && !w->failed; j++)
            if (!is_same(&first.changes[j], &other.changes[j]))
                sim_fail(w, "converge", "n0 and n%u differ in %.*s", i,
                         (int)first.changes[j].version.id.len,
                         (const char *)first.changes[j].version.id.ptr);
        sim_dump_drop(&other);
    }
    sim_dump_drop(&first);
}
