/* SPDX-License-Identifier: Apache-2.0
 *
 * What was deleted where everybody could hear of it does not come back to life, on any node, also
 * when its tombstone is gone. A deletion by a node that was away for longer than tombstones are
 * kept may be void (docs/PROTOCOL.md, Floors): it does not count. A purge is never void.
 */
#include "sim/oracle.h"

#define NEAR_US (10 * PARLEY_US_PER_S)

bool sim_may_be_gone(const struct sim_world *w, uint64_t time)
{
    return w->plan.grace_us != 0 && (int64_t)time + w->plan.grace_us / 2 <= sim_wall(w);
}

bool sim_covers(const struct sim_entry *tomb, const struct sim_entry *e)
{
    const struct parley_version *t = &tomb->version;
    const struct parley_version *v = &e->version;
    bool same = (t->flags & PARLEY_FLAG_TOMBSTONE) != 0 && t->kind == v->kind &&
                pl_span_equal(t->name_space, v->name_space) &&
                pl_span_equal(t->conversation, v->conversation) && pl_span_equal(t->id, v->id);
    return same ? model_compare(tomb, e) > 0 : model_covers(tomb, e);
}

static bool was_heard_late(const struct sim_world *w, const struct sim_entry *e,
                           const struct sim_entry *tomb)
{
    return e->heard_at == 0 || e->heard_at > (int64_t)tomb->version.time + w->plan.grace_us;
}

/* Nobody but its writer had the version before the grace of the tombstone was over: it does not
 * come back, it comes. Its writer was new, or it would have gone to its trash. */
static bool comes_late(const struct sim_world *w, const struct sim_entry *tomb,
                       const struct sim_entry *live)
{
    for (size_t i = 0; i < w->load.count && tomb->version.kind != PARLEY_KIND_PURGE; i++) {
        const struct sim_entry *e = &w->load.entries[i];
        if (sim_register_compare(&e->version, &live->version) == 0 && model_compare(e, live) == 0)
            return was_heard_late(w, e, tomb);
    }
    return false;
}

/* Nobody else had it before its grace was over, or it was written by a node that was off line for
 * long, about then. */
static bool is_void(const struct sim_world *w, const struct sim_entry *tomb)
{
    int64_t time = (int64_t)tomb->version.time;
    if (tomb->version.kind == PARLEY_KIND_PURGE)
        return false;
    if (was_heard_late(w, tomb, tomb))
        return true;
    for (unsigned i = 0; i < w->plan.away_count; i++) {
        bool then = w->away_from[i] != 0 && time >= w->away_from[i] - NEAR_US &&
                    time <= w->away_to[i] + NEAR_US;
        if ((w->plan.away[i].nodes >> tomb->node & 1) != 0 && then)
            return true;
    }
    return false;
}

void oracle_deleted_at_end(struct sim_world *w)
{
    for (unsigned i = 0; i < w->plan.nodes && w->plan.grace_us != 0 && !w->failed; i++) {
        struct sim_dump dump;
        sim_dump_take(&w->nodes[i], &dump);
        for (size_t k = 0; k < dump.count && !w->failed; k++) {
            struct sim_entry live = { .version = dump.changes[k].version };
            if ((live.version.flags & PARLEY_FLAG_TOMBSTONE) != 0)
                continue;
            model_stamp(&live.version, live.digest, &live.tag);
            for (size_t t = 0; t < w->load.count && !w->failed; t++) {
                const struct sim_entry *tomb = &w->load.entries[t];
                if (tomb->fate != SIM_MAYBE && sim_covers(tomb, &live) && !is_void(w, tomb) &&
                    !comes_late(w, tomb, &live))
                    sim_fail(w, "deleted", "n%u has %.*s/%.*s of %llu again, deleted at %llu", i,
                             (int)live.version.conversation.len,
                             (const char *)live.version.conversation.ptr, (int)live.version.id.len,
                             (const char *)live.version.id.ptr,
                             (unsigned long long)live.version.time,
                             (unsigned long long)tomb->version.time);
            }
        }
        sim_dump_drop(&dump);
    }
}
