/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries a merge decision out: rows, root and counts change together.
 *
 * Invariants kept here
 *   W1  Every register row names one log row, which names it back; no other log row exists.
 *   W2  A namespace's root is (number, sum of digests) of its log rows.
 *   W3  A conversation row counts its live messages and headers; `updated` is the greatest time of
 *       its registers. A merge only lets it grow: what a tombstone removes is older than it is.
 *   W4  The clock is at least the time of every version that was merged.
 */
#include "db/db_int.h"

#include "core/digest.h"

/* ---- Counts ---- */

static bool is_alive(const struct pl_talk_row *talk)
{
    return talk->messages != 0 || talk->headers != 0;
}

/* Adds or removes one register in root and counts. A disagreement is damage on disk, not ours. */
static PL_MUST_USE parley_err count_register(struct pl_view *view, uint8_t kind, uint32_t flags,
                                             const uint8_t *digest, bool add)
{
    struct pl_talk_row *talk = &view->talk;
    struct pl_space_row *space = &view->space;
    bool was_alive = is_alive(talk);
    bool message = kind == PARLEY_KIND_MESSAGE;
    bool visible = (message || kind == PARLEY_KIND_HEADER) && (flags & PARLEY_FLAG_TOMBSTONE) == 0;
    uint32_t *mine = message ? &talk->messages : &talk->headers;
    view->talk_dirty = true;
    view->space_dirty = true;
    if (add) {
        if (visible && *mine == UINT32_MAX)
            return PARLEY_EFULL;
        space->root.count++;
        pl_digest_add(space->root.sum, digest);
        *mine += visible ? 1 : 0;
        space->messages += visible && message ? 1 : 0;
    } else {
        if (space->root.count == 0 || (visible && *mine == 0) ||
            (visible && message && space->messages == 0))
            return PARLEY_ECORRUPT;
        space->root.count--;
        pl_digest_sub(space->root.sum, digest);
        *mine -= visible ? 1 : 0;
        space->messages -= visible && message ? 1 : 0;
    }
    if (!was_alive && is_alive(talk))
        space->conversations++;
    if (was_alive && !is_alive(talk)) {
        if (space->conversations == 0)
            return PARLEY_ECORRUPT;
        space->conversations--;
    }
    return PARLEY_OK;
}

/* ---- A live version leaves ---- */

static PL_MUST_USE parley_err keep_version(struct parley_db *db, struct pl_view *view,
                                           const struct pl_record *record, enum pl_keep keep)
{
    switch (keep) {
    case PL_KEEP_HISTORY:
        return pl_history_add(db, view, record);
    case PL_KEEP_TRASH:
        return pl_collect_keep(db, view, record);
    case PL_KEEP_NOWHERE:
        break;
    }
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_winner_retire(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                        struct parley_span id, const struct pl_register_row *row,
                                        enum pl_keep keep)
{
    struct pl_record record;
    struct pl_key key;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    PL_TRY(pl_view_get_version(view, view->talk_number, kind, id, row, &record));
    PL_TRY(count_register(view, kind, record.flags, record.digest, false));
    memcpy(digest, record.digest, sizeof digest);
    PL_TRY(keep_version(db, view, &record, keep));
    if (row->seq <= view->counters.indexed)
        PL_TRY(pl_subset_remove(db, view, kind, id, row->flags, row->stamp.time, digest));
    pl_key_log(&key, row->seq);
    return pl_txn_del(view->txn, PL_TABLE_LOG, pl_key_span(&key));
}

/* The registers of the current conversation from a kind on, but not its purge, leave the live set,
 * as far as they are not newer than a stamp. */
static PL_MUST_USE parley_err sweep(struct parley_db *db, struct pl_view *view, uint8_t from,
                                    struct pl_stamp upto, enum pl_keep keep, uint32_t *count)
{
    struct pl_key at;
    struct parley_span key, value;
    struct pl_cursor *c;
    bool found;
    pl_key_register(&at, view->talk_number, from, pl_span_of(NULL, 0));
    PL_TRY(pl_view_cursor(view, PL_TABLE_REGISTER, &c));
    for (;;) {
        struct pl_key_register_parts parts;
        struct pl_register_row row;
        PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
        if (!found)
            return PARLEY_OK;
        PL_TRY(pl_key_register_split(key, &parts));
        if (parts.conversation != view->talk_number || parts.kind == PARLEY_KIND_PURGE)
            return PARLEY_OK;
        PL_TRY(pl_record_read_register(key, value, &row));
        at.len = key.len;
        memcpy(at.bytes, key.ptr, key.len);
        if (pl_stamp_compare(row.stamp, upto) <= 0) {
            /* The store's key is lent only until the next write; the copy stays. */
            struct parley_span id = pl_span_of(at.bytes + 5, at.len - 5);
            PL_TRY(pl_winner_retire(db, view, parts.kind, id, &row, keep));
            PL_TRY(pl_txn_del(view->txn, PL_TABLE_REGISTER, pl_key_span(&at)));
            ++*count;
        }
        pl_key_bump(&at);
    }
}

/* M2: what the new tombstone covers. */
static PL_MUST_USE parley_err delete_talk(struct parley_db *db, struct pl_view *view,
                                          struct pl_stamp tomb)
{
    uint32_t count = 0;
    view->talk.tomb = tomb;
    return sweep(db, view, PARLEY_KIND_HEADER, tomb, PL_KEEP_HISTORY, &count);
}

/* M7: what the new purge covers, and the tombstone among it. */
static PL_MUST_USE parley_err purge_talk(struct parley_db *db, struct pl_view *view,
                                         struct pl_stamp purge, uint32_t *count)
{
    if (pl_stamp_compare(purge, view->talk.tomb) > 0)
        view->talk.tomb = purge;
    PL_TRY(sweep(db, view, PARLEY_KIND_CONVERSATION, purge, PL_KEEP_NOWHERE, count));
    return pl_purge_erase(view, purge, count);
}

/* ---- A version comes in ---- */

static PL_MUST_USE parley_err put_version(struct parley_db *db, struct pl_view *view,
                                          struct pl_candidate *c, uint32_t source)
{
    const struct parley_version *v = c->version;
    struct pl_record record = {
        .flags = (uint8_t)v->flags,
        .kind = (uint8_t)v->kind,
        .source = source,
        .conversation = view->talk_number,
        .stamp = c->stamp,
        .origin = c->origin,
        .digest = pl_merge_digest(c),
        .id = v->id,
        .body = v->body,
    };
    struct pl_register_row row = { .stamp = c->stamp, .flags = (uint8_t)v->flags };
    struct pl_key key;
    uint8_t value[PL_RECORD_ROW_BYTES_MAX];
    PL_ASSERT(view->counters.head < UINT64_MAX);
    row.seq = ++view->counters.head;
    PL_TRY(pl_db_room(db, &db->record, pl_record_bytes(v->id.len, v->body.len)));
    struct pl_writer w = pl_writer_over(db->record.ptr, db->record.cap);
    pl_key_log(&key, row.seq);
    pl_record_write_version(&w, pl_key_span(&key), &record);
    PL_TRY(pl_txn_append(view->txn, PL_TABLE_LOG, pl_key_span(&key), pl_writer_span(&w)));
    w = pl_writer_over(value, sizeof value);
    pl_key_register(&key, view->talk_number, record.kind, v->id);
    pl_record_write_register(&w, pl_key_span(&key), &row);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), pl_writer_span(&w)));
    return count_register(view, record.kind, v->flags, record.digest, true);
}

static PL_MUST_USE parley_err store_loser(struct parley_db *db, struct pl_view *view,
                                          struct pl_candidate *c, uint32_t source)
{
    struct pl_record record = {
        .flags = (uint8_t)c->version->flags,
        .kind = (uint8_t)c->version->kind,
        .source = source,
        .conversation = view->talk_number,
        .stamp = c->stamp,
        .origin = c->origin,
        .digest = pl_merge_digest(c),
        .id = c->version->id,
        .body = c->version->body,
    };
    return pl_history_add(db, view, &record);
}

static PL_MUST_USE parley_err store_held(struct parley_db *db, struct pl_view *view,
                                         struct pl_candidate *c, uint32_t source)
{
    struct pl_held held = { .source = source, .version = *c->version };
    struct pl_key key;
    size_t bytes = PL_RECORD_HELD_BYTES_MAX - PARLEY_BODY_BYTES_MAX + held.version.body.len;
    PL_TRY(pl_db_room(db, &db->record, bytes));
    struct pl_writer w = pl_writer_over(db->record.ptr, db->record.cap);
    pl_key_hold(&key, c->stamp, pl_merge_digest(c), held.version.name_space);
    pl_record_write_held(&w, pl_key_span(&key), &held);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_HOLD, pl_key_span(&key), pl_writer_span(&w)));
    view->counters.held++;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_winner_store(struct parley_db *db, struct pl_view *view,
                                       struct pl_candidate *candidate, struct parley_write *w,
                                       const struct pl_decision *decision)
{
    const struct parley_version *v = candidate->version;
    bool purge = v->kind == PARLEY_KIND_PURGE;
    PL_ASSERT(decision->writes);
    if (decision->verdict == PARLEY_VERDICT_HELD)
        return store_held(db, view, candidate, w->source);
    PL_TRY(pl_view_intern_space(view, v->name_space));
    PL_TRY(pl_view_intern_talk(view, v->conversation, &w->conversation_created));
    if (candidate->origin == 0)
        PL_TRY(pl_view_intern_origin(view, v->origin, candidate->stamp.tag, &candidate->origin));
    /* W4 */
    view->counters.clock = pl_max_u64(view->counters.clock, candidate->stamp.time);
    if (decision->verdict == PARLEY_VERDICT_LOST)
        return store_loser(db, view, candidate, w->source);
    if (decision->verdict == PARLEY_VERDICT_UPDATED)
        PL_TRY(pl_winner_retire(db, view, (uint8_t)v->kind, v->id, &decision->old,
                                purge ? PL_KEEP_NOWHERE : PL_KEEP_HISTORY));
    PL_TRY(put_version(db, view, candidate, w->source));
    view->talk.updated = pl_max_u64(view->talk.updated, candidate->stamp.time);
    if (v->kind == PARLEY_KIND_CONVERSATION)
        return delete_talk(db, view, candidate->stamp);
    return purge ? purge_talk(db, view, candidate->stamp, &w->moved) : PARLEY_OK;
}
