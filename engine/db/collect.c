/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions that leave for good: tombstones below a floor, and what goes to the trash.
 *
 * Invariants
 *   G1  A namespace has no tombstone with a time at or below its floor; merge.c takes none (M6).
 *   G2  The clock is at or above each floor: a local deletion is never below it.
 *   G3  A register or conversation without a version has no row and counts for nothing; the number
 *       of a conversation stays its own.
 *   G4  What is in history is older than what is current, or covered, or at or below `gone`: the
 *       tombstone above it may have been collected, or the version itself gone to the trash.
 *   G5  The trash holds no tombstone. Nothing in it is dropped but by a write that says so.
 */
#include "db/db_int.h"

PL_MUST_USE parley_err pl_collect_read_floor(struct pl_view *view, uint32_t name_space,
                                             struct pl_floor_row *out)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_floor(&key, name_space);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_SYS, pl_key_span(&key), &value, &found));
    *out = (struct pl_floor_row){ 0 };
    return found ? pl_record_read_floor(pl_key_span(&key), value, out) : PARLEY_OK;
}

PL_MUST_USE parley_err pl_collect_write_floor(struct pl_view *view, const struct pl_floor_row *row)
{
    struct pl_key key;
    uint8_t bytes[PL_RECORD_FLOOR_BYTES];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_key_floor(&key, view->space_number);
    pl_record_write_floor(&w, pl_key_span(&key), row);
    return pl_txn_put(view->txn, PL_TABLE_SYS, pl_key_span(&key), pl_writer_span(&w));
}

/* ---- One version ---- */

/* Takes out the current version with this sequence, its register with it. */
static PL_MUST_USE parley_err take_out(struct parley_db *db, struct pl_view *view,
                                       const struct pl_record *record, uint64_t seq,
                                       enum pl_keep keep)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_register_row row;
    bool found;
    uint8_t kind = record->kind;
    pl_key_register(&key, record->conversation, kind, record->id);
    /* The store lends only until the next write; the key is a copy. */
    struct parley_span id = pl_span_of(key.bytes + 5, key.len - 5);
    PL_TRY(pl_view_get_talk(view, record->conversation));
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &row));
    if (row.seq != seq)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_winner_retire(db, view, kind, id, &row, keep));
    if (kind == PARLEY_KIND_CONVERSATION)
        PL_TRY(pl_purge_find(view, view->talk_number, &view->talk.tomb));
    view->talk_shrunk = view->talk_shrunk || row.stamp.time == view->talk.updated;
    return pl_txn_del(view->txn, PL_TABLE_REGISTER, pl_key_span(&key));
}

static PL_MUST_USE parley_err find_version(struct pl_view *view, uint64_t seq,
                                           struct pl_record *out, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    pl_key_log(&key, seq);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_LOG, pl_key_span(&key), &value, found));
    return *found ? pl_record_read_version(pl_key_span(&key), value, out) : PARLEY_OK;
}

/* ---- Tombstones ---- */

/* The oldest tombstones of the current namespace, one more than a write may take, up to a time. */
struct oldest {
    uint64_t seqs[PL_DB_COLLECT_MAX];
    uint32_t count;
    bool more;
    uint64_t next; /* time of the first one that is left */
};

static PL_MUST_USE parley_err find_oldest(struct pl_view *view, uint64_t upto, struct oldest *out)
{
    static const struct parley_point lowest;
    struct pl_cursor *c;
    struct pl_key from;
    struct parley_span key, value, elements;
    bool found;
    uint32_t set = view->space_number | PL_SPACE_TOMBSTONES;
    out->count = 0;
    out->more = false;
    out->next = 0;
    pl_key_element(&from, set, &lowest);
    PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, &found));
    for (; found && key.len == PL_KEY_ELEMENT_BYTES && pl_get_be(key.ptr, 4) == set;) {
        PL_TRY(pl_record_read_elements(key, value, &elements));
        for (; elements.len != 0; elements = pl_span_after(elements, PL_ELEMENT_BYTES)) {
            out->next = pl_get_be(elements.ptr, 8);
            out->more = out->next <= upto && out->count == PL_DB_COLLECT_MAX;
            if (out->next > upto || out->more)
                return PARLEY_OK;
            out->seqs[out->count++] = pl_get_be(elements.ptr + PARLEY_POINT_BYTES, 8);
        }
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err remove_oldest(struct parley_db *db, struct pl_view *view,
                                            const struct oldest *oldest)
{
    for (uint32_t i = 0; i < oldest->count; i++) {
        struct pl_record record;
        bool found;
        PL_TRY(find_version(view, oldest->seqs[i], &record, &found));
        if (!found || (record.flags & PARLEY_FLAG_TOMBSTONE) == 0)
            return PARLEY_ECORRUPT;
        PL_TRY(take_out(db, view, &record, oldest->seqs[i], PL_KEEP_NOWHERE));
    }
    return PARLEY_OK;
}

/* What the row is after this step. */
static struct pl_floor_row raised(const struct pl_floor_row *row, const struct parley_write *w,
                                  const struct oldest *oldest)
{
    struct pl_floor_row next = *row;
    uint64_t upto = w->u.collect.upto;
    next.gone = pl_max_u64(next.gone, oldest->count != 0 || w->u.collect.raise ? upto : 0);
    if (!w->u.collect.raise)
        return next;
    next.clean = pl_max_u64(next.clean, w->u.collect.clean);
    /* Of several tombstones at one time some may be left. */
    next.floor = pl_max_u64(next.floor, oldest->more ? oldest->next - 1 : upto);
    return next;
}

PL_MUST_USE parley_err pl_collect_apply(struct parley_db *db, struct pl_view *view,
                                        struct parley_write *w, bool write, bool *known)
{
    struct pl_floor_row row;
    struct oldest oldest;
    bool found;
    PL_TRY(pl_view_find_space(view, w->u.collect.name_space, &found));
    *known = !found && !w->u.collect.raise;
    if (*known || (!found && !write))
        return PARLEY_OK;
    if (!found)
        PL_TRY(pl_view_intern_space(view, w->u.collect.name_space));
    if (!write && view->counters.indexed < view->counters.head)
        return PARLEY_OK; /* not known before the set of tombstones has come so far */
    bool brought_on = write && view->counters.indexed < view->counters.head;
    if (brought_on) {
        PL_TRY(pl_index_step(db, view, PL_INDEX_STEP_MAX));
        w->more = view->counters.indexed < view->counters.head;
        *known = false;
        if (w->more)
            return PARLEY_OK;
        PL_TRY(pl_view_find_space(view, w->u.collect.name_space, &found));
    }
    PL_TRY(pl_element_flush(view)); /* what the batch has changed so far is read below */
    PL_TRY(pl_collect_read_floor(view, view->space_number, &row));
    PL_TRY(find_oldest(view, w->u.collect.upto, &oldest));
    struct pl_floor_row next = raised(&row, w, &oldest);
    bool nothing = oldest.count == 0 && memcmp(&next, &row, sizeof row) == 0;
    *known = nothing && !brought_on;
    if (nothing || !write)
        return PARLEY_OK;
    PL_TRY(remove_oldest(db, view, &oldest));
    w->moved = oldest.count;
    w->more = oldest.more;
    view->counters.clock = pl_max_u64(view->counters.clock, next.floor);
    return pl_collect_write_floor(view, &next);
}

/* ---- Trash ---- */

static PL_MUST_USE parley_err read_count(struct pl_view *view, uint64_t *count)
{
    struct pl_key key;
    struct parley_span value, bytes;
    bool found;
    pl_key_trash_count(&key);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_SYS, pl_key_span(&key), &value, &found));
    *count = 0;
    if (!found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_plain(pl_key_span(&key), value, &bytes));
    if (bytes.len != 8)
        return PARLEY_ECORRUPT;
    *count = pl_get_be(bytes.ptr, 8);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err write_count(struct pl_view *view, uint64_t count)
{
    struct pl_key key;
    uint8_t number[8], row[8 + PL_RECORD_ROW_CHECK_BYTES];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    pl_put_be(number, count, sizeof number);
    pl_key_trash_count(&key);
    pl_record_write_plain(&w, pl_key_span(&key), pl_span_of(number, sizeof number));
    return pl_txn_put(view->txn, PL_TABLE_SYS, pl_key_span(&key), pl_writer_span(&w));
}

PL_MUST_USE parley_err pl_collect_forget(struct pl_view *view, uint64_t versions)
{
    uint64_t count = 0;
    if (versions == 0)
        return PARLEY_OK;
    PL_TRY(read_count(view, &count));
    return count < versions ? PARLEY_ECORRUPT : write_count(view, count - versions);
}

PL_MUST_USE parley_err pl_collect_keep(struct parley_db *db, struct pl_view *view,
                                       const struct pl_record *record)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_history(&key, record->conversation, record->kind, record->id, record->stamp,
                   record->digest);
    PL_TRY(pl_db_room(db, &db->record, pl_record_bytes(record->id.len, record->body.len)));
    struct pl_writer w = pl_writer_over(db->record.ptr, db->record.cap);
    pl_record_write_version(&w, pl_key_span(&key), record);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_TRASH, pl_key_span(&key), &value, &found));
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_TRASH, pl_key_span(&key), pl_writer_span(&w)));
    if (found)
        return PARLEY_OK;
    uint64_t count = 0;
    PL_TRY(read_count(view, &count));
    return write_count(view, count + 1);
}

PL_MUST_USE parley_err pl_collect_trash(struct parley_db *db, struct pl_view *view,
                                        struct parley_write *w, bool write, bool *known)
{
    struct pl_record record;
    struct pl_floor_row row;
    bool found;
    PL_TRY(find_version(view, w->u.trash, &record, &found));
    *known =
        !found || (record.flags & PARLEY_FLAG_TOMBSTONE) != 0 || record.kind == PARLEY_KIND_PURGE;
    if (*known || !write)
        return PARLEY_OK;
    uint64_t time = record.stamp.time;
    PL_TRY(take_out(db, view, &record, w->u.trash, PL_KEEP_TRASH));
    w->moved = 1;
    PL_TRY(pl_collect_read_floor(view, view->space_number, &row));
    if (row.gone >= time)
        return PARLEY_OK;
    row.gone = time;
    return pl_collect_write_floor(view, &row);
}

PL_MUST_USE parley_err pl_collect_untrash(struct pl_view *view, struct parley_write *w, bool write,
                                          bool *known)
{
    struct parley_span value;
    bool found;
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_TRASH, w->u.untrash, &value, &found));
    *known = !found;
    if (!found || !write)
        return PARLEY_OK;
    PL_TRY(pl_txn_del(view->txn, PL_TABLE_TRASH, w->u.untrash));
    w->moved = 1;
    return pl_collect_forget(view, 1);
}

/* ---- Reading ---- */

static PL_MUST_USE parley_err read_trash(struct parley_read *read, struct parley_trash_key *key,
                                         struct parley_version *out, bool *found)
{
    struct pl_cursor *c;
    struct parley_span at, value;
    struct pl_record record;
    uint8_t from[sizeof key->bytes + 1];
    if (key->len > sizeof key->bytes)
        return PARLEY_EINVAL;
    /* The smallest key above; before all: a key has at least one byte. */
    memcpy(from, key->bytes, key->len);
    from[key->len] = 0;
    PL_TRY(pl_view_cursor(&read->view, PL_TABLE_TRASH, &c));
    PL_TRY(pl_cursor_seek(c, pl_span_of(from, key->len + 1), &at, &value, found));
    if (!*found)
        return PARLEY_OK;
    if (at.len > sizeof key->bytes)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_version(at, value, &record));
    PL_TRY(pl_read_lend(read, &record, out));
    key->len = at.len;
    memcpy(key->bytes, at.ptr, at.len);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_trash_after(struct parley_read *read,
                                                   struct parley_trash_key *key,
                                                   struct parley_version *out, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = read_trash(read, key, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

PARLEY_MUST_USE parley_err parley_read_trash_count(struct parley_read *read, uint64_t *count)
{
    if (read->err != PARLEY_OK)
        return read->err;
    return pl_read_keep(read, read_count(&read->view, count));
}
