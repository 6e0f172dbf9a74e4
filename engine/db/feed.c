/* SPDX-License-Identifier: Apache-2.0
 *
 * Iterations over a snapshot: the registers of a conversation and the change log.
 *
 * Iterators hold no store cursor of their own, since a read may begin thousands of them. They share
 * the view's cursor of their table; the one that moved it last just moves on, another seeks to its
 * own place first.
 */
#include "db/db_int.h"

/* What an iterator keeps in its opaque bytes. */
struct place {
    uint64_t owner;
};
_Static_assert(sizeof(struct place) <= sizeof((struct parley_feed *)0)->impl, "must fit");
_Static_assert(sizeof(struct place) <= sizeof((struct parley_register_cursor *)0)->impl,
               "must fit");

PL_MUST_USE parley_err pl_read_advance(struct parley_read *read, enum pl_table t, uint64_t owner,
                                       struct parley_span from, struct parley_span *key,
                                       struct parley_span *value, bool *found)
{
    struct pl_view *view = &read->view;
    struct pl_cursor *c;
    if (view->cursor_open[t] && view->cursor_owner[t] == owner)
        return pl_cursor_next(&view->cursors[t], key, value, found);
    PL_TRY(pl_view_cursor(view, t, &c));
    PL_TRY(pl_cursor_seek(c, from, key, value, found));
    view->cursor_owner[t] = owner;
    return PARLEY_OK;
}

static struct place new_place(struct parley_read *read)
{
    return (struct place){ .owner = ++read->iterators };
}

/* ---- Registers of a conversation ---- */

PARLEY_MUST_USE parley_err parley_registers_begin(struct parley_read *read, uint64_t conversation,
                                                  struct parley_register_cursor *out)
{
    struct pl_key key;
    if (read->err != PARLEY_OK)
        return read->err;
    if (conversation == 0 || conversation > UINT32_MAX)
        return PARLEY_EINVAL;
    struct place place = new_place(read);
    out->read = read;
    out->conversation = conversation;
    pl_key_register(&key, (uint32_t)conversation, PARLEY_KIND_CONVERSATION, pl_span_of(NULL, 0));
    memcpy(out->key, key.bytes, key.len);
    out->key_len = key.len;
    memcpy(out->impl, &place, sizeof place);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_registers_begin_after(struct parley_read *read,
                                                        const struct parley_register_name *after,
                                                        struct parley_register_cursor *out)
{
    struct pl_key key;
    PL_TRY(parley_registers_begin(read, after->conversation, out));
    if (after->kind == 0)
        return PARLEY_OK;
    if (after->id_len > PARLEY_ID_BYTES_MAX)
        return PARLEY_EINVAL;
    pl_key_register(&key, (uint32_t)after->conversation, (uint8_t)after->kind,
                    pl_span_of(after->id, after->id_len));
    pl_key_bump(&key);
    memcpy(out->key, key.bytes, key.len);
    out->key_len = key.len;
    return PARLEY_OK;
}

/* The sequence of the next register and its record. */
static PL_MUST_USE parley_err registers_next(struct parley_register_cursor *cursor,
                                             struct pl_record *out, parley_seq *seq, bool *found)
{
    struct parley_read *read = cursor->read;
    struct place place;
    struct parley_span key, value;
    struct pl_key_register_parts parts;
    struct pl_register_row row;
    memcpy(&place, cursor->impl, sizeof place);
    PL_TRY(pl_read_advance(read, PL_TABLE_REGISTER, place.owner,
                           pl_span_of(cursor->key, cursor->key_len), &key, &value, found));
    if (!*found || !pl_span_has_prefix(key, pl_span_of(cursor->key, 4))) {
        *found = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_key_register_split(key, &parts));
    PL_TRY(pl_record_read_register(key, value, &row));
    PL_TRY(pl_view_get_version(&read->view, parts.conversation, parts.kind, parts.id, &row, out));
    memcpy(cursor->key, key.ptr, key.len);
    cursor->key[key.len] = 0;
    cursor->key_len = key.len + 1;
    *seq = row.seq;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_registers_next(struct parley_register_cursor *cursor,
                                                 struct parley_version *out, bool *found)
{
    struct pl_record record;
    parley_seq seq;
    bool have;
    if (cursor->read->err != PARLEY_OK)
        return cursor->read->err;
    parley_err err = registers_next(cursor, &record, &seq, &have);
    if (err == PARLEY_OK && have)
        err = pl_read_lend(cursor->read, &record, out);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(cursor->read, err);
}

static PL_MUST_USE parley_err lend_record(struct parley_read *read, parley_seq seq,
                                          const struct pl_record *record, struct parley_change *out)
{
    PL_TRY(pl_read_lend(read, record, &out->version));
    out->seq = seq;
    out->source = record->source;
    memcpy(out->digest, record->digest, PARLEY_DIGEST_BYTES);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_registers_next_change(struct parley_register_cursor *cursor,
                                                        struct parley_change *out, bool *found)
{
    struct pl_record record;
    parley_seq seq;
    bool have;
    if (cursor->read->err != PARLEY_OK)
        return cursor->read->err;
    parley_err err = registers_next(cursor, &record, &seq, &have);
    if (err == PARLEY_OK && have)
        err = lend_record(cursor->read, seq, &record, out);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(cursor->read, err);
}

static PL_MUST_USE parley_err read_register_change(struct parley_read *read, uint32_t conversation,
                                                   uint8_t kind, struct parley_span id,
                                                   struct parley_change *out, bool *found)
{
    struct pl_record record;
    parley_seq seq;
    PL_TRY(pl_read_find_register(read, conversation, kind, id, &record, &seq, found));
    return *found ? lend_record(read, seq, &record, out) : PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_register_change(struct parley_read *read,
                                                       uint64_t conversation, enum parley_kind kind,
                                                       struct parley_span id,
                                                       struct parley_change *out, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = PARLEY_OK;
    if (pl_read_is_register_name(conversation, kind, id))
        err = read_register_change(read, (uint32_t)conversation, (uint8_t)kind, id, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

/* ---- The change log ---- */

PARLEY_MUST_USE parley_err parley_feed_begin(struct parley_read *read, parley_seq after,
                                             struct parley_feed *out)
{
    if (read->err != PARLEY_OK)
        return read->err;
    struct place place = new_place(read);
    out->read = read;
    out->after = after;
    out->started = true;
    memcpy(out->impl, &place, sizeof place);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err lend_change(struct parley_read *read, struct parley_span key,
                                          struct parley_span value, struct parley_change *out)
{
    struct pl_record record;
    if (key.len != 8)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_version(key, value, &record));
    return lend_record(read, pl_get_be(key.ptr, 8), &record, out);
}

static PL_MUST_USE parley_err feed_next(struct parley_feed *feed, struct parley_change *out,
                                        bool *found)
{
    struct place place;
    struct pl_key from;
    struct parley_span key, value;
    *found = false;
    if (feed->after == UINT64_MAX)
        return PARLEY_OK;
    memcpy(&place, feed->impl, sizeof place);
    pl_key_log(&from, feed->after + 1);
    PL_TRY(pl_read_advance(feed->read, PL_TABLE_LOG, place.owner, pl_key_span(&from), &key, &value,
                           found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(lend_change(feed->read, key, value, out));
    feed->after = out->seq;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_feed_next(struct parley_feed *feed, struct parley_change *out,
                                            bool *found)
{
    bool have;
    if (feed->read->err != PARLEY_OK)
        return feed->read->err;
    parley_err err = feed_next(feed, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(feed->read, err);
}

static PL_MUST_USE parley_err read_change(struct parley_read *read, parley_seq seq,
                                          struct parley_change *out, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    pl_key_log(&key, seq);
    PL_TRY(pl_txn_get(read->view.txn, PL_TABLE_LOG, pl_key_span(&key), &value, found));
    return *found ? lend_change(read, pl_key_span(&key), value, out) : PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_change(struct parley_read *read, parley_seq seq,
                                              struct parley_change *out, bool *found)
{
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = read_change(read, seq, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

static PL_MUST_USE parley_err read_conversation_of(struct parley_read *read, parley_seq seq,
                                                   uint64_t *conversation, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_record record;
    pl_key_log(&key, seq);
    PL_TRY(pl_txn_get(read->view.txn, PL_TABLE_LOG, pl_key_span(&key), &value, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_version(pl_key_span(&key), value, &record));
    *conversation = record.conversation;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_change_conversation(struct parley_read *read, parley_seq seq,
                                                           uint64_t *conversation, bool *found)
{
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = read_conversation_of(read, seq, conversation, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}
