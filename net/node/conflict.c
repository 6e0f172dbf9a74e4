/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging what was overwritten; the rules are in conflict.h.
 */
#include "node/conflict.h"

#include "core/message.h"

static bool is_deleted(const struct parley_version *v)
{
    return (v->flags & PARLEY_FLAG_TOMBSTONE) != 0;
}

/* Role, content and other fields; not when it was first said, which an edit adds. */
static bool is_same_message(struct parley_span a, struct parley_span b)
{
    struct pl_message one, other;
    if (pl_message_decode(a, &one) != PARLEY_OK || pl_message_decode(b, &other) != PARLEY_OK)
        return pl_span_equal(a, b);
    return pl_span_equal(one.role, other.role) && pl_span_equal(one.content, other.content) &&
           pl_span_equal(one.extra, other.extra);
}

bool pl_conflict_is_same(const struct parley_version *a, const struct parley_version *b)
{
    if (is_deleted(a) || is_deleted(b))
        return is_deleted(a) && is_deleted(b);
    return a->kind == PARLEY_KIND_MESSAGE ? is_same_message(a->body, b->body)
                                          : pl_span_equal(a->body, b->body);
}

/* A message that was never edited or deleted. */
static bool is_first(const struct parley_version *v)
{
    struct pl_message message;
    return v->kind == PARLEY_KIND_MESSAGE && !is_deleted(v) &&
           pl_message_decode(v->body, &message) == PARLEY_OK && message.created == 0;
}

/* C4. */
static bool is_promoted(const struct pl_conflict *c, const struct parley_version *next,
                        size_t older)
{
    for (size_t i = older; i < c->count; i++)
        if (pl_conflict_is_same(next, &c->losers[i]))
            return true;
    return false;
}

static bool is_lost(const struct pl_conflict *c, size_t index)
{
    const struct parley_version *loser = &c->losers[index];
    const struct parley_version *next = index == 0 ? &c->current : &c->losers[index - 1];
    if (!c->has_current || pl_span_equal(loser->origin, next->origin)) /* C5, C1 */
        return false;
    if (is_first(loser) && !is_first(next)) /* C2 */
        return false;
    return !pl_conflict_is_same(loser, &c->current) && !is_promoted(c, next, index + 1);
}

PL_MUST_USE parley_err pl_conflict_read(struct parley_read *read,
                                        const struct parley_register_name *name,
                                        struct pl_conflict *out)
{
    struct parley_span id = pl_span_of(name->id, name->id_len);
    uint32_t position = 0;
    bool found = false;
    out->count = 0;
    out->lost_count = 0;
    PL_TRY(parley_read_register(read, name->conversation, name->kind, id, &out->current,
                                &out->has_current));
    while (out->count < PARLEY_HISTORY_PER_REGISTER_MAX) {
        PL_TRY(parley_read_history(read, name->conversation, name->kind, id, &position,
                                   &out->losers[out->count], &found));
        if (!found)
            break;
        out->count++;
    }
    for (size_t i = 0; i < out->count; i++) {
        out->lost[i] = is_lost(out, i);
        out->lost_count += out->lost[i] ? 1 : 0;
    }
    return PARLEY_OK;
}
