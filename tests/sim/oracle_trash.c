/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node took out of its set because it had been away is kept by somebody: as it was, or as a
 * newer version of its register, in a trash or in a history.
 */
#include "sim/oracle.h"

static bool is_same_register(const struct parley_version *a, const struct parley_version *b)
{
    return pl_span_equal(a->name_space, b->name_space) && sim_register_compare(a, b) == 0;
}

static parley_err look_in_trash(struct parley_read *read, const struct parley_version *v,
                                bool *kept)
{
    struct parley_trash_key key = { 0 };
    for (bool found = true; found && !*kept;) {
        struct parley_version other;
        PL_TRY(parley_read_trash_after(read, &key, &other, &found));
        *kept = found && is_same_register(&other, v) && other.time >= v->time;
    }
    return PARLEY_OK;
}

static parley_err look_in_history(struct parley_read *read, const struct parley_version *v,
                                  bool *kept)
{
    struct parley_conversation_info talk;
    uint32_t position = 0;
    bool found = false;
    PL_TRY(parley_read_conversation(read, v->name_space, v->conversation, &talk, &found));
    while (found && !*kept) {
        struct parley_version other;
        PL_TRY(parley_read_history(read, talk.number, v->kind, v->id, &position, &other, &found));
        *kept = found && other.time >= v->time;
    }
    return PARLEY_OK;
}

bool oracle_trash_keeps(struct sim_world *w, const struct parley_version *v)
{
    bool kept = false;
    for (unsigned i = 0; i < w->plan.nodes && !kept; i++) {
        struct parley_read *read = NULL;
        if (w->nodes[i].db == NULL || parley_read_begin(w->nodes[i].db, &read) != PARLEY_OK)
            continue;
        parley_err err = look_in_trash(read, v, &kept);
        if (err == PARLEY_OK)
            err = look_in_history(read, v, &kept);
        if (err != PARLEY_OK)
            sim_fail(w, "trash", "n%u can not be read: %s", i, parley_err_name(err));
        parley_read_end(read);
    }
    return kept;
}
