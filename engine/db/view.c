/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups in one transaction, and the writer's lazily written rows of the current namespace and
 * conversation. A batch that stays in one conversation writes those rows once.
 */
#include "db/db_int.h"

#include "core/hash.h"

void pl_view_init(struct pl_view *view, struct pl_txn *txn)
{
    view->txn = txn;
    view->origins = NULL;
    for (size_t i = 0; i < PL_TABLE_COUNT; i++) {
        view->cursor_open[i] = false;
        view->cursor_owner[i] = 0;
    }
    view->space_number = 0;
    view->space_dirty = false;
    view->talk_number = 0;
    view->talk_dirty = false;
    view->talk_shrunk = false;
    for (size_t i = 0; i < PL_BLOCKS_OPEN; i++) {
        view->blocks[i].name_space = 0;
        view->blocks[i].dirty = false;
    }
}

PL_MUST_USE parley_err pl_view_cursor(struct pl_view *view, enum pl_table t, struct pl_cursor **out)
{
    if (!view->cursor_open[t]) {
        PL_TRY(pl_txn_cursor(view->txn, t, &view->cursors[t]));
        view->cursor_open[t] = true;
    }
    view->cursor_owner[t] = 0;
    *out = &view->cursors[t];
    return PARLEY_OK;
}

/* ---- The current namespace ---- */

static PL_MUST_USE parley_err flush_space(struct pl_view *view)
{
    if (!view->space_dirty)
        return PARLEY_OK;
    struct pl_key key;
    uint8_t row[PL_RECORD_ROW_BYTES_MAX];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    pl_key_number(&key, view->space_number);
    pl_record_write_space(&w, pl_key_span(&key), &view->space);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key), pl_writer_span(&w)));
    view->space_dirty = false;
    return PARLEY_OK;
}

/* Once for all versions of a conversation that a batch takes out, because it walks the rest. */
static PL_MUST_USE parley_err find_updated(struct pl_view *view)
{
    struct pl_key at;
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found;
    uint8_t prefix[4];
    pl_put_be(prefix, view->talk_number, sizeof prefix);
    pl_key_register(&at, view->talk_number, PARLEY_KIND_CONVERSATION, pl_span_of(NULL, 0));
    PL_TRY(pl_view_cursor(view, PL_TABLE_REGISTER, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
    view->talk.updated = 0;
    while (found && pl_span_has_prefix(key, pl_span_of(prefix, sizeof prefix))) {
        struct pl_register_row row;
        PL_TRY(pl_record_read_register(key, value, &row));
        view->talk.updated = pl_max_u64(view->talk.updated, row.stamp.time);
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err flush_talk(struct pl_view *view)
{
    if (!view->talk_dirty)
        return PARLEY_OK;
    if (view->talk_shrunk)
        PL_TRY(find_updated(view));
    view->talk_shrunk = false;
    struct pl_key key;
    uint8_t row[PL_RECORD_ROW_BYTES_MAX];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    pl_key_register(&key, view->talk_number, 0, pl_span_of(NULL, 0));
    pl_record_write_talk(&w, pl_key_span(&key), &view->talk);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), pl_writer_span(&w)));
    view->talk_dirty = false;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_flush(struct pl_view *view)
{
    PL_TRY(flush_talk(view));
    return flush_space(view);
}

/* Makes room for another namespace; the current conversation belongs to the old one. */
static PL_MUST_USE parley_err leave_space(struct pl_view *view)
{
    PL_TRY(pl_view_flush(view));
    view->talk_number = 0;
    view->space_number = 0;
    return PARLEY_OK;
}

static void take_space(struct pl_view *view, uint32_t number, const struct pl_space_row *row)
{
    view->space_number = number;
    view->space = *row;
    if (!view->txn->writable)
        return;
    memcpy(view->space_name, row->name.ptr, row->name.len);
    view->space.name.ptr = view->space_name;
}

static void take_talk(struct pl_view *view, uint32_t number, const struct pl_talk_row *row)
{
    view->talk_number = number;
    view->talk = *row;
    if (!view->txn->writable)
        return;
    memcpy(view->talk_id, row->id.ptr, row->id.len);
    view->talk.id.ptr = view->talk_id;
}

PL_MUST_USE parley_err pl_view_get_space(struct pl_view *view, uint32_t number)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_space_row row;
    bool found;
    if (view->space_number == number && number != 0)
        return PARLEY_OK;
    PL_TRY(leave_space(view));
    pl_key_number(&key, number);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_space(pl_key_span(&key), value, &row));
    take_space(view, number, &row);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_find_space(struct pl_view *view, struct parley_span name,
                                          bool *found)
{
    struct pl_key key;
    struct parley_span value;
    uint32_t number;
    bool have;
    if (view->space_number != 0 && pl_span_equal(view->space.name, name)) {
        *found = true;
        return PARLEY_OK;
    }
    /* A name that no version could have is not there; it must not reach a key. */
    if (name.len == 0 || name.len > PARLEY_NAMESPACE_BYTES_MAX) {
        *found = false;
        return PARLEY_OK;
    }
    pl_key_name(&key, name);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key), &value, &have));
    if (!have) {
        *found = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_number(pl_key_span(&key), value, &number));
    PL_TRY(pl_view_get_space(view, number));
    if (!pl_span_equal(view->space.name, name))
        return PARLEY_ECORRUPT;
    *found = true;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_intern_space(struct pl_view *view, struct parley_span name)
{
    bool found;
    PL_TRY(pl_view_find_space(view, name, &found));
    if (found)
        return PARLEY_OK;
    if (view->counters.name_spaces >= PARLEY_NAMESPACES_MAX)
        return PARLEY_EFULL;
    PL_TRY(leave_space(view));
    struct pl_key key;
    uint8_t value[16];
    struct pl_writer w = pl_writer_over(value, sizeof value);
    uint32_t number = view->counters.name_spaces + 1;
    pl_key_name(&key, name);
    pl_record_write_number(&w, pl_key_span(&key), number);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key), pl_writer_span(&w)));
    view->counters.name_spaces = number;
    take_space(view, number, &(struct pl_space_row){ .name = name });
    view->space_dirty = true;
    return PARLEY_OK;
}

/* ---- The current conversation ---- */

PL_MUST_USE parley_err pl_view_find_numbered(struct pl_view *view, uint32_t number, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_talk_row row;
    *found = true;
    if (view->talk_number == number && number != 0)
        return PARLEY_OK;
    PL_TRY(flush_talk(view));
    view->talk_number = 0;
    pl_key_register(&key, number, 0, pl_span_of(NULL, 0));
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_talk(pl_key_span(&key), value, &row));
    /* Keeps the rule that the current conversation lies in the current namespace. */
    PL_TRY(pl_view_get_space(view, row.name_space));
    take_talk(view, number, &row);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_get_talk(struct pl_view *view, uint32_t number)
{
    bool found;
    PL_TRY(pl_view_find_numbered(view, number, &found));
    return found ? PARLEY_OK : PARLEY_ECORRUPT;
}

PL_MUST_USE parley_err pl_view_find_talk(struct pl_view *view, struct parley_span id, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    uint32_t number;
    bool have;
    PL_ASSERT(view->space_number != 0);
    if (view->talk_number != 0 && pl_span_equal(view->talk.id, id)) {
        *found = true;
        return PARLEY_OK;
    }
    pl_key_conversation(&key, view->space_number, id);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_CONVERSATION, pl_key_span(&key), &value, &have));
    if (!have) {
        *found = false;
        return PARLEY_OK;
    }
    uint32_t space = view->space_number;
    PL_TRY(pl_record_read_number(pl_key_span(&key), value, &number));
    PL_TRY(pl_view_get_talk(view, number));
    if (view->talk.name_space != space || !pl_span_equal(view->talk.id, id))
        return PARLEY_ECORRUPT;
    *found = true;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_intern_talk(struct pl_view *view, struct parley_span id,
                                           bool *created)
{
    bool found;
    PL_TRY(pl_view_find_talk(view, id, &found));
    if (found)
        return PARLEY_OK;
    if (view->counters.conversations == UINT32_MAX)
        return PARLEY_EFULL;
    PL_TRY(flush_talk(view));
    struct pl_key key;
    uint8_t value[16];
    struct pl_writer w = pl_writer_over(value, sizeof value);
    uint32_t number = view->counters.conversations + 1;
    pl_key_conversation(&key, view->space_number, id);
    pl_record_write_number(&w, pl_key_span(&key), number);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_CONVERSATION, pl_key_span(&key), pl_writer_span(&w)));
    view->counters.conversations = number;
    take_talk(view, number, &(struct pl_talk_row){ .name_space = view->space_number, .id = id });
    view->talk_dirty = true;
    *created = true;
    return PARLEY_OK;
}

/* ---- Origins ---- */

static struct pl_origin_entry *cache_slot(struct pl_view *view, struct parley_span name)
{
    return &view->origins[pl_xxh3_of(name) % PL_DB_ORIGIN_CACHE];
}

static void cache_origin(struct pl_view *view, struct parley_span name, uint32_t number,
                         uint32_t tag)
{
    if (view->origins == NULL)
        return;
    struct pl_origin_entry *entry = cache_slot(view, name);
    entry->number = number;
    entry->tag = tag;
    entry->len = (uint8_t)name.len;
    memcpy(entry->name, name.ptr, name.len);
}

PL_MUST_USE parley_err pl_view_get_origin(struct pl_view *view, uint32_t number,
                                          struct pl_origin_row *out)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_number(&key, number);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_ORIGIN, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    return pl_record_read_origin(pl_key_span(&key), value, out);
}

PL_MUST_USE parley_err pl_view_find_origin(struct pl_view *view, struct parley_span name,
                                           uint32_t *number, uint32_t *tag)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_origin_row row;
    bool found;
    if (view->origins != NULL) {
        const struct pl_origin_entry *entry = cache_slot(view, name);
        if (entry->number != 0 && pl_span_equal(pl_span_of(entry->name, entry->len), name)) {
            *number = entry->number;
            *tag = entry->tag;
            return PARLEY_OK;
        }
    }
    pl_key_name(&key, name);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_ORIGIN, pl_key_span(&key), &value, &found));
    if (!found) {
        *number = 0;
        *tag = pl_stamp_tag(name);
        return PARLEY_OK;
    }
    uint32_t known;
    PL_TRY(pl_record_read_number(pl_key_span(&key), value, &known));
    PL_TRY(pl_view_get_origin(view, known, &row));
    if (!pl_span_equal(row.name, name))
        return PARLEY_ECORRUPT;
    *number = known;
    *tag = row.tag;
    cache_origin(view, name, known, row.tag);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_view_intern_origin(struct pl_view *view, struct parley_span name,
                                             uint32_t tag, uint32_t *number)
{
    if (view->counters.origins >= PARLEY_ORIGINS_MAX)
        return PARLEY_EFULL;
    struct pl_key key;
    uint8_t row[PL_RECORD_ROW_BYTES_MAX];
    struct pl_writer w = pl_writer_over(row, sizeof row);
    uint32_t next = view->counters.origins + 1;
    pl_key_name(&key, name);
    pl_record_write_number(&w, pl_key_span(&key), next);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_ORIGIN, pl_key_span(&key), pl_writer_span(&w)));
    w = pl_writer_over(row, sizeof row);
    pl_key_number(&key, next);
    pl_record_write_origin(&w, pl_key_span(&key),
                           &(struct pl_origin_row){ .tag = tag, .name = name });
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_ORIGIN, pl_key_span(&key), pl_writer_span(&w)));
    view->counters.origins = next;
    cache_origin(view, name, next, tag);
    *number = next;
    return PARLEY_OK;
}

/* ---- Versions ---- */

PL_MUST_USE parley_err pl_view_get_version(struct pl_view *view, uint32_t talk, uint8_t kind,
                                           struct parley_span id, const struct pl_register_row *row,
                                           struct pl_record *out)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_record record;
    bool found;
    pl_key_log(&key, row->seq);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_LOG, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_version(pl_key_span(&key), value, &record));
    if (record.conversation != talk || record.kind != kind || record.flags != row->flags)
        return PARLEY_ECORRUPT;
    if (!pl_span_equal(record.id, id) || pl_stamp_compare(record.stamp, row->stamp) != 0)
        return PARLEY_ECORRUPT;
    *out = record;
    return PARLEY_OK;
}
