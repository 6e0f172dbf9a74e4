/* SPDX-License-Identifier: Apache-2.0
 *
 * What merging a version would do. Writes nothing, so that the duplicate check,
 * parley_read_wants and the write itself are one rule.
 *
 *   M1  Of two versions of a register the one with the greater (time, tag, digest) is live.
 *   M2  A conversation tombstone with stamp S covers each other register of its conversation whose
 *       (time, tag) is at most S: such versions are never live.
 *   M3  Hence the live set depends on the set of versions merged, not on their order.
 *   M4  A version from further ahead than PARLEY_CLOCK_DRIFT_US_MAX is not merged but held, unless
 *       it is known already.
 *   M5  A loser goes to history if there is room or it is newer than the oldest kept.
 *   M6  A tombstone at or below the floor of its namespace is nothing: it was collected, or comes
 *       too late for what has been said about it.
 *   M7  A version that a purge of its conversation covers is nothing (purge.c, P1).
 */
#include "db/db_int.h"

#include "core/clock.h"
#include "core/digest.h"

const uint8_t *pl_merge_digest(struct pl_candidate *candidate)
{
    if (!candidate->has_digest) {
        PL_ASSERT(candidate->has_body);
        pl_digest_of(candidate->version, candidate->digest);
        candidate->has_digest = true;
    }
    return candidate->digest;
}

/* M2. */
static bool is_covered(const struct pl_talk_row *talk, const struct pl_candidate *c)
{
    bool coverable =
        c->version->kind == PARLEY_KIND_HEADER || c->version->kind == PARLEY_KIND_MESSAGE;
    if (talk->tomb.time == 0 || !coverable)
        return false;
    return pl_stamp_compare(c->stamp, talk->tomb) <= 0;
}

/* The same version byte for byte? Names are equal by the look-up, so this saves the digest of
 * everything a peer sends again. */
static bool is_same_bytes(const struct pl_candidate *c, const struct pl_record *record)
{
    return c->has_body && c->origin != 0 && c->origin == record->origin &&
           c->version->flags == record->flags && pl_span_equal(c->version->body, record->body);
}

/* Equal (time, tag): the digest decides. */
static PL_MUST_USE parley_err decide_tie(struct pl_view *view, struct pl_candidate *c,
                                         struct pl_decision *d)
{
    struct pl_record record;
    PL_TRY(pl_view_get_version(view, view->talk_number, (uint8_t)c->version->kind, c->version->id,
                               &d->old, &record));
    if (is_same_bytes(c, &record)) {
        d->verdict = PARLEY_VERDICT_SAME;
        return PARLEY_OK;
    }
    int order = memcmp(pl_merge_digest(c), record.digest, PARLEY_DIGEST_BYTES);
    d->verdict = order > 0   ? PARLEY_VERDICT_UPDATED
                 : order < 0 ? PARLEY_VERDICT_LOST
                             : PARLEY_VERDICT_SAME;
    return PARLEY_OK;
}

/* M1. */
static PL_MUST_USE parley_err decide_register(struct pl_view *view, struct pl_candidate *c,
                                              struct pl_decision *d)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_register(&key, view->talk_number, (uint8_t)c->version->kind, c->version->id);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &d->old));
    d->has_old = true;
    int order = pl_stamp_compare(c->stamp, d->old.stamp);
    if (order == 0)
        return decide_tie(view, c, d);
    d->verdict = order > 0 ? PARLEY_VERDICT_UPDATED : PARLEY_VERDICT_LOST;
    return PARLEY_OK;
}

/* M4. */
static PL_MUST_USE parley_err decide_hold(struct pl_view *view, struct pl_candidate *c,
                                          struct pl_decision *d)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_hold(&key, c->stamp, pl_merge_digest(c), c->version->name_space);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_HOLD, pl_key_span(&key), &value, &found));
    d->verdict = found ? PARLEY_VERDICT_SAME : PARLEY_VERDICT_HELD;
    d->writes = !found;
    return PARLEY_OK;
}

/* M5. */
static PL_MUST_USE parley_err decide_history(struct pl_view *view, struct pl_candidate *c,
                                             struct pl_decision *d)
{
    struct pl_key key, oldest;
    enum pl_history_place place;
    pl_key_history_prefix(&key, view->talk_number, (uint8_t)c->version->kind, c->version->id);
    size_t prefix_len = key.len;
    pl_key_history(&key, view->talk_number, (uint8_t)c->version->kind, c->version->id, c->stamp,
                   pl_merge_digest(c));
    PL_TRY(pl_history_find_place(view, &key, prefix_len, &place, &oldest));
    d->verdict = place == PL_HISTORY_KNOWN ? PARLEY_VERDICT_SAME : PARLEY_VERDICT_LOST;
    d->writes = place == PL_HISTORY_ROOM || place == PL_HISTORY_FULL;
    return PARLEY_OK;
}

/* M6. */
static PL_MUST_USE parley_err is_collected(struct pl_view *view, const struct pl_candidate *c,
                                           bool *out)
{
    struct pl_floor_row row;
    *out = false;
    if ((c->version->flags & PARLEY_FLAG_TOMBSTONE) == 0)
        return PARLEY_OK;
    PL_TRY(pl_collect_read_floor(view, view->space_number, &row));
    *out = c->stamp.time <= row.floor;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_merge_decide(struct pl_view *view, struct pl_candidate *candidate,
                                       const parley_wall *now, struct pl_decision *out)
{
    struct pl_decision d = { .verdict = PARLEY_VERDICT_NEW, .writes = true };
    uint8_t kind = (uint8_t)candidate->version->kind;
    bool found, nothing = false;
    PL_TRY(pl_view_find_space(view, candidate->version->name_space, &found));
    if (found)
        PL_TRY(is_collected(view, candidate, &nothing));
    if (found && !nothing)
        PL_TRY(pl_view_find_talk(view, candidate->version->conversation, &found));
    if (found && !nothing)
        PL_TRY(pl_purge_covers(view, kind, candidate->stamp, &nothing));
    if (nothing) {
        *out = (struct pl_decision){ .verdict = PARLEY_VERDICT_LOST };
        return PARLEY_OK;
    }
    if (found && is_covered(&view->talk, candidate))
        d.verdict = PARLEY_VERDICT_LOST;
    else if (found)
        PL_TRY(decide_register(view, candidate, &d));
    if (d.verdict == PARLEY_VERDICT_SAME)
        d.writes = false;
    else if (now != NULL && pl_clock_is_ahead(candidate->stamp.time, *now))
        PL_TRY(decide_hold(view, candidate, &d));
    else if (d.verdict == PARLEY_VERDICT_LOST && kind == PARLEY_KIND_PURGE)
        d.writes = false; /* an older purge says nothing more */
    else if (d.verdict == PARLEY_VERDICT_LOST)
        PL_TRY(decide_history(view, candidate, &d));
    *out = d;
    return PARLEY_OK;
}
