/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges: what a conversation was before a moment is erased, everywhere and for good.
 *
 *   P1  A purge with stamp S covers each other register of its conversation whose (time, tag) is at
 *       most S, the tombstone of the conversation too. Such versions are nowhere: not live, not in
 *       history, not in the trash, not held, and one that comes is nothing.
 *   P2  It is a live version like any other: it is in the root, is compared and relayed, also below
 *       a floor, and is never collected. Only a newer purge takes its place.
 *   P3  The conversation row's tombstone is the greater one of tombstone and purge, so that a merge
 *       looks for a purge only where something is covered.
 */
#include "db/db_int.h"

#define HISTORY_STAMP_BYTES (8 + 4 + PL_KEY_DIGEST_BYTES)

PL_MUST_USE parley_err pl_purge_find(struct pl_view *view, uint32_t talk, struct pl_stamp *out)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_register_row row;
    bool found;
    *out = (struct pl_stamp){ 0 };
    pl_key_register(&key, talk, PARLEY_KIND_PURGE, pl_span_of(NULL, 0));
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &row));
    *out = row.stamp;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_purge_covers(struct pl_view *view, uint8_t kind, struct pl_stamp stamp,
                                       bool *out)
{
    const struct pl_talk_row *talk = &view->talk;
    struct pl_stamp purge;
    *out = false;
    if (kind == PARLEY_KIND_PURGE || talk->tomb.time == 0 ||
        pl_stamp_compare(stamp, talk->tomb) > 0)
        return PARLEY_OK;
    PL_TRY(pl_purge_find(view, view->talk_number, &purge));
    *out = purge.time != 0 && pl_stamp_compare(stamp, purge) <= 0;
    return PARLEY_OK;
}

/* ---- What is not live ---- */

/* Deletes the versions of the current conversation up to a stamp from HISTORY or TRASH, whose keys
 * are the same. */
static PL_MUST_USE parley_err erase_versions(struct pl_view *view, enum pl_table table,
                                             struct pl_stamp upto, uint32_t *count)
{
    struct pl_key at;
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found;
    uint8_t prefix[4];
    pl_put_be(prefix, view->talk_number, sizeof prefix);
    pl_key_register(&at, view->talk_number, 0, pl_span_of(NULL, 0));
    PL_TRY(pl_view_cursor(view, table, &c));
    for (;;) {
        PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
        if (!found || !pl_span_has_prefix(key, pl_span_of(prefix, sizeof prefix)))
            return PARLEY_OK;
        if (key.len < 5 + HISTORY_STAMP_BYTES || key.len > sizeof at.bytes)
            return PARLEY_ECORRUPT;
        at.len = key.len;
        memcpy(at.bytes, key.ptr, key.len);
        const uint8_t *tail = at.bytes + at.len - HISTORY_STAMP_BYTES;
        struct pl_stamp stamp = { .time = pl_get_be(tail, 8),
                                  .tag = (uint32_t)pl_get_be(tail + 8, 4) };
        if (pl_stamp_compare(stamp, upto) <= 0) {
            PL_TRY(pl_txn_del(view->txn, table, pl_key_span(&at)));
            ++*count;
        }
        pl_key_bump(&at);
    }
}

/* Of all that is held, what belongs to the current conversation. A purge stays until it is due: it
 * may be the one that is being released. */
static PL_MUST_USE parley_err erase_held(struct pl_view *view, struct pl_stamp upto,
                                         uint32_t *count)
{
    struct pl_key at = { .len = 1 };
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found;
    PL_TRY(pl_view_cursor(view, PL_TABLE_HOLD, &c));
    for (uint64_t left = view->counters.held; left > 0; left--) {
        struct pl_held held;
        PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
        if (!found || key.len != PL_KEY_HOLD_BYTES)
            return found ? PARLEY_ECORRUPT : PARLEY_OK;
        struct pl_stamp stamp = { .time = pl_get_be(key.ptr, 8),
                                  .tag = (uint32_t)pl_get_be(key.ptr + 8, 4) };
        if (stamp.time > upto.time)
            return PARLEY_OK;
        PL_TRY(pl_record_read_held(key, value, &held));
        at.len = key.len;
        memcpy(at.bytes, key.ptr, key.len);
        if (pl_stamp_compare(stamp, upto) <= 0 && held.version.kind != PARLEY_KIND_PURGE &&
            pl_span_equal(held.version.name_space, view->space.name) &&
            pl_span_equal(held.version.conversation, view->talk.id)) {
            PL_TRY(pl_txn_del(view->txn, PL_TABLE_HOLD, pl_key_span(&at)));
            view->counters.held--;
            ++*count;
        }
        pl_key_bump(&at);
    }
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_purge_erase(struct pl_view *view, struct pl_stamp upto, uint32_t *count)
{
    uint32_t trash = 0;
    PL_TRY(erase_versions(view, PL_TABLE_HISTORY, upto, count));
    PL_TRY(erase_versions(view, PL_TABLE_TRASH, upto, &trash));
    PL_TRY(pl_collect_forget(view, trash));
    *count += trash;
    return erase_held(view, upto, count);
}
