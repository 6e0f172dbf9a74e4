/* SPDX-License-Identifier: Apache-2.0
 *
 * An acknowledged version is on its node as the current one, or something greater has taken its
 * place: a newer version of its register, or a tombstone or a purge of its conversation. Where
 * tombstones are collected the tombstone may be gone, or the version in a trash; then
 * oracle_trash.c looks.
 */
#include "sim/oracle.h"

struct found {
    bool any;
    struct sim_entry entry;
};

static parley_err read_one(struct parley_read *read, const struct parley_version *of,
                           enum parley_kind kind, struct parley_span id, struct found *out)
{
    struct parley_conversation_info talk;
    bool found = false;
    out->any = false;
    PL_TRY(parley_read_conversation(read, of->name_space, of->conversation, &talk, &found));
    if (!found)
        return PARLEY_OK;
    return parley_read_register(read, talk.number, kind, id, &out->entry.version, &out->any);
}

static bool is_same(const struct parley_version *a, const struct parley_version *b)
{
    return a->kind == b->kind && a->flags == b->flags && pl_span_equal(a->origin, b->origin) &&
           pl_span_equal(a->body, b->body);
}

/* Hashing is slow: the digest is computed only when the times are equal, and not all. */
static bool is_at_least(struct found *current, const struct sim_entry *e)
{
    if (!current->any || current->entry.version.time != e->version.time)
        return current->any && current->entry.version.time > e->version.time;
    if (is_same(&current->entry.version, &e->version))
        return true;
    model_stamp(&current->entry.version, current->entry.digest, &current->entry.tag);
    return model_compare(&current->entry, e) >= 0;
}

static bool covers(struct found *tomb, const struct sim_entry *e)
{
    if (!tomb->any || tomb->entry.version.time < e->version.time)
        return false;
    model_stamp(&tomb->entry.version, tomb->entry.digest, &tomb->entry.tag);
    return model_covers(&tomb->entry, e);
}

/* It is a tombstone that may be collected, or was deleted by one. */
static bool is_buried(const struct sim_world *w, const struct sim_entry *e)
{
    if ((e->version.flags & PARLEY_FLAG_TOMBSTONE) != 0 && sim_may_be_gone(w, e->version.time))
        return true;
    for (size_t i = 0; i < w->load.count && w->plan.grace_us != 0; i++) {
        const struct sim_entry *tomb = &w->load.entries[i];
        if (sim_covers(tomb, e) && sim_may_be_gone(w, tomb->version.time))
            return true;
    }
    return false;
}

/* Whether it is there, or something greater in its place. */
static parley_err look_for(struct parley_read *read, const struct sim_entry *e, bool *there)
{
    const struct parley_version *v = &e->version;
    struct found current, tomb, purge;
    PL_TRY(read_one(read, v, v->kind, v->id, &current));
    PL_TRY(read_one(read, v, PARLEY_KIND_CONVERSATION, pl_span_of(NULL, 0), &tomb));
    PL_TRY(read_one(read, v, PARLEY_KIND_PURGE, pl_span_of(NULL, 0), &purge));
    *there = is_at_least(&current, e) || covers(&tomb, e) || covers(&purge, e);
    return PARLEY_OK;
}

static void want(struct sim_node *n, struct parley_read *read, const struct sim_entry *e)
{
    const struct parley_version *v = &e->version;
    bool there = false;
    parley_err err = look_for(read, e, &there);
    if (err != PARLEY_OK)
        sim_fail(n->world, "acked", "n%u can not read %.*s: %s", n->index, (int)v->id.len,
                 (const char *)v->id.ptr, parley_err_name(err));
    else if (there || is_buried(n->world, e))
        return;
    else if (!sim_may_be_gone(n->world, v->time))
        sim_fail(
            n->world, "acked", "n%u has lost what n%u acknowledged: %.*s/%.*s kind %d time %llu",
            n->index, e->node, (int)v->conversation.len, (const char *)v->conversation.ptr,
            (int)v->id.len, (const char *)v->id.ptr, (int)v->kind, (unsigned long long)v->time);
    else if (!oracle_trash_keeps(n->world, v))
        sim_fail(n->world, "trash", "n%u lacks %.*s/%.*s of n%u, time %llu, and nobody keeps it",
                 n->index, (int)v->conversation.len, (const char *)v->conversation.ptr,
                 (int)v->id.len, (const char *)v->id.ptr, e->node, (unsigned long long)v->time);
}

bool oracle_acked_has(struct sim_node *n, const struct sim_entry *e)
{
    struct parley_read *read = NULL;
    bool there = false;
    bool was_looking = n->world->looking;
    n->world->looking = true;
    parley_err err = parley_read_begin(n->db, &read);
    if (err == PARLEY_OK)
        err = look_for(read, e, &there);
    if (read != NULL)
        parley_read_end(read);
    n->world->looking = was_looking;
    return err == PARLEY_OK && there;
}

bool oracle_has_this(struct sim_node *n, const struct sim_entry *e)
{
    struct parley_read *read = NULL;
    struct found current = { 0 };
    const struct parley_version *v = &e->version;
    parley_err err = parley_read_begin(n->db, &read);
    if (err == PARLEY_OK)
        err = read_one(read, v, v->kind, v->id, &current);
    bool same = err == PARLEY_OK && current.any && current.entry.version.time == v->time &&
                is_same(&current.entry.version, v);
    if (read != NULL)
        parley_read_end(read);
    return same;
}

/* `all`: also what other nodes acknowledged, which is only to be expected in the end. */
void oracle_acked_look(struct sim_node *n, bool all)
{
    struct sim_world *w = n->world;
    struct parley_read *read = NULL;
    if (parley_read_begin(n->db, &read) != PARLEY_OK) {
        sim_fail(w, "acked", "n%u can not be read", n->index);
        return;
    }
    for (size_t i = 0; i < w->load.count && !w->failed; i++) {
        const struct sim_entry *e = &w->load.entries[i];
        bool mine = e->node == n->index && (all || e->fate != SIM_ELSEWHERE);
        struct parley_span talk = e->version.conversation;
        bool shared = pl_span_is(e->version.name_space, SIM_NAMESPACE) &&
                      !sim_are_apart(w, e->node, n->index) && sim_filter_has(w, e->node, talk) &&
                      sim_filter_has(w, n->index, talk);
        /* What is in the store but was not reported must survive all the same. */
        if (e->fate != SIM_MAYBE && (mine || (all && shared)))
            want(n, read, e);
    }
    parley_read_end(read);
}
