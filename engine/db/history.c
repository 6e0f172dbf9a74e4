/* SPDX-License-Identifier: Apache-2.0
 *
 * The versions of one register that lost, oldest first, as many as its namespace keeps (retain.c).
 * History is local and bounded; it is no part of the root.
 */
#include "db/db_int.h"

static void copy_key(struct pl_key *to, struct parley_span from)
{
    PL_ASSERT(from.len <= PL_KEY_BYTES_MAX);
    to->len = from.len;
    memcpy(to->bytes, from.ptr, from.len);
}

PL_MUST_USE parley_err pl_history_find_place(struct pl_view *view, const struct pl_key *key,
                                             size_t prefix_len, enum pl_history_place *place,
                                             struct pl_key *oldest)
{
    struct pl_cursor *c;
    struct parley_span prefix = pl_span_of(key->bytes, prefix_len);
    struct parley_span at, value;
    struct parley_retention rule;
    bool found;
    PL_TRY(pl_retain_find(view, view->space_number, &rule));
    PL_TRY(pl_view_cursor(view, PL_TABLE_HISTORY, &c));
    PL_TRY(pl_cursor_seek(c, prefix, &at, &value, &found));
    if (found && pl_span_has_prefix(at, prefix) && at.len <= PL_KEY_BYTES_MAX)
        copy_key(oldest, at);
    size_t count = 0;
    while (found && pl_span_has_prefix(at, prefix)) {
        if (pl_span_equal(at, pl_key_span(key))) {
            *place = PL_HISTORY_KNOWN;
            return PARLEY_OK;
        }
        count++;
        PL_TRY(pl_cursor_next(c, &at, &value, &found));
    }
    *place = PL_HISTORY_ROOM;
    if (count >= rule.versions)
        *place = count == 0 || pl_span_compare(pl_key_span(key), pl_key_span(oldest)) < 0
                     ? PL_HISTORY_TOO_OLD
                     : PL_HISTORY_FULL;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_history_add(struct parley_db *db, struct pl_view *view,
                                      const struct pl_record *record)
{
    struct pl_key key, oldest;
    enum pl_history_place place;
    pl_key_history_prefix(&key, record->conversation, record->kind, record->id);
    size_t prefix_len = key.len;
    pl_key_history(&key, record->conversation, record->kind, record->id, record->stamp,
                   record->digest);
    PL_TRY(pl_history_find_place(view, &key, prefix_len, &place, &oldest));
    if (place == PL_HISTORY_KNOWN || place == PL_HISTORY_TOO_OLD)
        return PARLEY_OK;
    size_t bytes = pl_record_bytes(record->id.len, record->body.len);
    PL_TRY(pl_db_room(db, &db->record, bytes));
    struct pl_writer w = pl_writer_over(db->record.ptr, db->record.cap);
    pl_record_write_version(&w, pl_key_span(&key), record);
    if (place == PL_HISTORY_FULL)
        PL_TRY(pl_txn_del(view->txn, PL_TABLE_HISTORY, pl_key_span(&oldest)));
    return pl_txn_put(view->txn, PL_TABLE_HISTORY, pl_key_span(&key), pl_writer_span(&w));
}

PL_MUST_USE parley_err pl_history_stand(struct pl_view *view, const struct pl_record *record,
                                        enum pl_history_standing *out)
{
    struct pl_floor_row floor;
    struct pl_key key;
    struct parley_span value;
    struct pl_register_row row;
    struct pl_record live;
    bool found;
    *out = PL_HISTORY_GONE;
    PL_TRY(pl_collect_read_floor(view, view->space_number, &floor));
    if (record->stamp.time <= floor.gone)
        return PARLEY_OK;
    *out = PL_HISTORY_LOSES;
    if (record->kind != PARLEY_KIND_CONVERSATION && view->talk.tomb.time != 0 &&
        pl_stamp_compare(record->stamp, view->talk.tomb) <= 0)
        return PARLEY_OK;
    *out = PL_HISTORY_ALONE;
    pl_key_register(&key, record->conversation, record->kind, record->id);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &row));
    int order = pl_stamp_compare(record->stamp, row.stamp);
    if (order == 0) {
        PL_TRY(
            pl_view_get_version(view, record->conversation, record->kind, record->id, &row, &live));
        order = memcmp(record->digest, live.digest, PARLEY_DIGEST_BYTES);
    }
    *out = order < 0 ? PL_HISTORY_LOSES : PL_HISTORY_WINS;
    return PARLEY_OK;
}
