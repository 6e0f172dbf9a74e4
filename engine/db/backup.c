/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes a backup, a block a call; see backup_int.h for the order and why it is enough.
 *
 * A block is filled from one snapshot: the walk goes on behind the last key, in the next phase when
 * a table ends, until the block has what it should. What is not in the place is not remembered.
 */
#include "db/backup_int.h"

/* A block while it is filled. */
struct block {
    struct parley_read *read;
    const struct parley_backup_options *options;
    struct parley_db_state state; /* of this snapshot */
    struct pl_backup_at at;
    struct pl_backup_names names;
    struct pl_writer w; /* over the room for records */
    bool full;
    bool too_small; /* the room is: nothing of this block is used */
    size_t needed;  /* bytes of records that the next try must have room for */
};

/* ---- Records ---- */

/* Whether another record belongs into this block. One that is `tied` to those before must be of
 * the same snapshot, hence of the same block. */
static bool has_room(struct block *b, size_t bytes, bool tied)
{
    bool wanted = b->w.len == 0 || tied || b->w.len + bytes <= PL_BACKUP_BLOCK_BYTES;
    b->full = !wanted;
    if (!wanted)
        return false;
    b->too_small = bytes > b->w.cap - b->w.len;
    b->needed = pl_max_size(b->w.len + bytes, PL_BACKUP_BLOCK_BYTES);
    b->full = b->too_small;
    return !b->full;
}

static void put_tied(struct block *b, const struct pl_backup_record *record, bool tied)
{
    if (!has_room(b, pl_backup_record_bytes(record), tied))
        return;
    pl_backup_write_record(&b->w, record, &b->names);
    b->at.records++;
}

static void put(struct block *b, const struct pl_backup_record *record)
{
    put_tied(b, record, false);
}

/* ---- Rows ---- */

typedef parley_err (*put_row)(struct block *b, struct parley_span key, struct parley_span value);

/* Puts the rows of a table behind the place, those whose keys begin with `prefix`; then comes the
 * next phase. */
static PL_MUST_USE parley_err walk(struct block *b, enum pl_table t, struct parley_span prefix,
                                   put_row row)
{
    struct pl_cursor *c;
    struct parley_span key, value;
    uint8_t from[PL_BACKUP_KEY_BYTES_MAX + 1];
    struct parley_span behind = b->at.key_len == 0 ? prefix : pl_span_of(b->at.key, b->at.key_len);
    size_t len = behind.len;
    bool found;
    if (len != 0)
        memcpy(from, behind.ptr, len);
    from[len++] = 0; /* the smallest key above; a key has at least one byte more than `prefix` */
    PL_TRY(pl_view_cursor(&b->read->view, t, &c));
    PL_TRY(pl_cursor_seek(c, pl_span_of(from, len), &key, &value, &found));
    while (found && pl_span_has_prefix(key, prefix)) {
        if (key.len > sizeof b->at.key)
            return PARLEY_ECORRUPT;
        PL_TRY(row(b, key, value));
        if (b->full)
            return PARLEY_OK;
        memcpy(b->at.key, key.ptr, key.len);
        b->at.key_len = key.len;
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
    }
    b->at.key_len = 0;
    b->at.phase++;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_cursor(struct block *b, struct parley_span key,
                                         struct parley_span value, bool tied)
{
    struct pl_backup_record record = { .type = PL_BACKUP_CURSOR };
    PL_TRY(pl_record_read_cursor(key, value, &record.u.cursor.incarnation, &record.u.cursor.seq));
    record.u.cursor.peer = (uint32_t)pl_get_be(key.ptr + 2, 4);
    put_tied(b, &record, tied);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_floor(struct block *b, struct parley_span key,
                                        struct parley_span value, enum pl_backup_type type,
                                        bool tied)
{
    struct pl_backup_record record = { .type = type };
    PL_TRY(pl_record_read_floor(key, value, &record.u.floor.row));
    PL_TRY(pl_view_get_space(&b->read->view, (uint32_t)pl_get_be(key.ptr + 2, 4)));
    record.u.floor.name_space = b->read->view.space.name;
    put_tied(b, &record, tied);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_retention(struct block *b, struct parley_span key,
                                            struct parley_span value, bool tied)
{
    struct pl_backup_record record = { .type = PL_BACKUP_RETENTION };
    PL_TRY(pl_record_read_retention(key, value, &record.u.retention.rule));
    PL_TRY(pl_view_get_space(&b->read->view, (uint32_t)pl_get_be(key.ptr + 2, 4)));
    record.u.retention.name_space = b->read->view.space.name;
    put_tied(b, &record, tied);
    return PARLEY_OK;
}

/* A row belongs to the snapshot of the one before when its key is that and a path below it, or it
 * is one of those that the journal is told of by: they stand before it. */
static bool is_tied(const struct block *b, struct parley_span key)
{
    struct parley_span before = pl_span_of(b->at.key, b->at.key_len);
    bool below = before.len != 0 && key.len > before.len && pl_span_has_prefix(key, before) &&
                 key.ptr[before.len] == '/';
    return below || pl_span_compare(key, b->options->journal) < 0;
}

static bool is_late(const struct block *b, struct parley_span key)
{
    return b->options->journal.len != 0 && pl_span_has_prefix(key, b->options->journal) &&
           pl_span_compare(key, pl_span_of(b->at.last, b->at.last_len)) > 0;
}

static PL_MUST_USE parley_err put_sys(struct block *b, struct parley_span key,
                                      struct parley_span value)
{
    struct pl_backup_record record = { .type = PL_BACKUP_SYS, .u.sys.key = key };
    bool tied = is_tied(b, key);
    if (key.ptr[0] != 0) {
        PL_TRY(pl_record_read_plain(key, value, &record.u.sys.value));
        if (!is_late(b, key))
            put_tied(b, &record, tied);
        return PARLEY_OK;
    }
    if (key.len == PL_KEY_CURSOR_BYTES && key.ptr[1] == 'c')
        return put_cursor(b, key, value, tied);
    if (key.len == PL_KEY_FLOOR_BYTES && key.ptr[1] == 'f')
        return put_floor(b, key, value, PL_BACKUP_FLOOR, tied);
    if (key.len == PL_KEY_RETENTION_BYTES && key.ptr[1] == 'h')
        return put_retention(b, key, value, tied);
    /* How many are in the trash is counted anew by a restore. */
    return key.len == PL_KEY_TRASH_COUNT_BYTES && key.ptr[1] == 't' ? PARLEY_OK : PARLEY_ECORRUPT;
}

static PL_MUST_USE parley_err put_raised(struct block *b, struct parley_span key,
                                         struct parley_span value)
{
    return put_floor(b, key, value, PL_BACKUP_RAISED, false);
}

static PL_MUST_USE parley_err put_view(struct block *b, struct parley_span key,
                                       struct parley_span value)
{
    struct pl_backup_record record = { .type = PL_BACKUP_VIEW };
    struct pl_subset_row row;
    PL_TRY(pl_record_read_subset(key, value, &row));
    if (key.len != PL_KEY_VIEW_BYTES)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_view_get_space(&b->read->view, (uint32_t)pl_get_be(key.ptr + 1, 4)));
    record.u.view.name_space = b->read->view.space.name;
    record.u.view.prefix = row.prefix;
    if (row.state != PARLEY_VIEW_DROPPING)
        put(b, &record);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_held(struct block *b, struct parley_span key,
                                       struct parley_span value)
{
    struct pl_backup_record record = { .type = PL_BACKUP_HELD };
    struct pl_held held;
    PL_TRY(pl_record_read_held(key, value, &held));
    record.u.version.source = held.source;
    record.u.version.version = held.version;
    put(b, &record);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_version(struct block *b, enum pl_backup_type type,
                                          struct parley_span key, struct parley_span value)
{
    struct pl_backup_record record = { .type = type };
    struct pl_record row;
    PL_TRY(pl_record_read_version(key, value, &row));
    PL_TRY(pl_read_lend(b->read, &row, &record.u.version.version));
    record.u.version.source = row.source;
    put(b, &record);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err put_live(struct block *b, struct parley_span key,
                                       struct parley_span value)
{
    return put_version(b, PL_BACKUP_LIVE, key, value);
}

static PL_MUST_USE parley_err put_lost(struct block *b, struct parley_span key,
                                       struct parley_span value)
{
    return put_version(b, PL_BACKUP_LOST, key, value);
}

static PL_MUST_USE parley_err put_trash(struct block *b, struct parley_span key,
                                        struct parley_span value)
{
    return put_version(b, PL_BACKUP_TRASH, key, value);
}

/* ---- Begin and end ---- */

/* Remembers where the journal ends in this snapshot. */
static PL_MUST_USE parley_err find_last(struct block *b)
{
    struct parley_span prefix = b->options->journal;
    struct pl_cursor *c;
    struct parley_span key, value;
    struct pl_key above;
    bool found;
    if (prefix.len == 0)
        return PARLEY_OK;
    memcpy(above.bytes, prefix.ptr, prefix.len);
    above.len = prefix.len;
    above.bytes[above.len - 1]++; /* no prefix ends in 0xff: checked */
    PL_TRY(pl_view_cursor(&b->read->view, PL_TABLE_SYS, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&above), &key, &value, &found));
    PL_TRY(found ? pl_cursor_prev(c, &key, &value, &found)
                 : pl_cursor_seek_last(c, &key, &value, &found));
    if (!found || !pl_span_has_prefix(key, prefix))
        return PARLEY_OK;
    if (key.len > sizeof b->at.last)
        return PARLEY_EINVAL;
    memcpy(b->at.last, key.ptr, key.len);
    b->at.last_len = key.len;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err begin(struct block *b)
{
    struct pl_backup_record record = { .type = PL_BACKUP_HEAD };
    record.u.head.format = PARLEY_BACKUP_FORMAT;
    record.u.head.incarnation = b->state.incarnation;
    record.u.head.taken_at = b->options->now;
    record.u.head.head = b->state.head;
    record.u.head.clock = b->state.clock;
    b->at.incarnation = b->state.incarnation;
    PL_TRY(find_last(b));
    put(b, &record);
    b->at.phase++;
    return PARLEY_OK;
}

static void finish(struct block *b)
{
    struct pl_backup_record record = { .type = PL_BACKUP_END };
    record.u.end.records = b->at.records;
    record.u.end.bytes = b->at.bytes + b->w.len;
    record.u.end.clock = b->state.clock;
    put(b, &record);
    if (!b->full)
        b->at.phase++;
}

static PL_MUST_USE parley_err go_on(struct block *b)
{
    static const uint8_t floors[] = { 0, 'f' };
    struct parley_span all = pl_span_of(NULL, 0);
    switch ((enum pl_backup_phase)b->at.phase) {
    case PL_BACKUP_BEGIN:
        return begin(b);
    case PL_BACKUP_WALK_SYS:
        return walk(b, PL_TABLE_SYS, all, put_sys);
    case PL_BACKUP_WALK_VIEWS:
        return walk(b, PL_TABLE_NAMESPACE, pl_span_text("v"), put_view);
    case PL_BACKUP_WALK_HOLD:
        return walk(b, PL_TABLE_HOLD, all, put_held);
    case PL_BACKUP_WALK_TRASH:
    case PL_BACKUP_WALK_TRASH_AGAIN:
        return walk(b, PL_TABLE_TRASH, all, put_trash);
    case PL_BACKUP_WALK_LOG:
        return walk(b, PL_TABLE_LOG, all, put_live);
    case PL_BACKUP_WALK_FLOORS_AGAIN:
        return walk(b, PL_TABLE_SYS, pl_span_of(floors, sizeof floors), put_raised);
    case PL_BACKUP_WALK_HISTORY:
        return walk(b, PL_TABLE_HISTORY, all, put_lost);
    case PL_BACKUP_FINISH:
        finish(b);
        return PARLEY_OK;
    case PL_BACKUP_DONE:
        break;
    }
    b->full = true;
    return PARLEY_OK;
}

/* ---- A block ---- */

static PL_MUST_USE parley_err load(struct block *b, const struct parley_backup_place *place)
{
    PL_TRY(parley_read_state(b->read, &b->state));
    b->at = (struct pl_backup_at){ .phase = PL_BACKUP_BEGIN };
    if (place->len == 0) {
        pl_backup_genesis(b->at.digest);
        return PARLEY_OK;
    }
    struct parley_span bytes = pl_span_of(place->bytes, place->len);
    if (place->len < PARLEY_BACKUP_DIGEST_BYTES || place->len > sizeof place->bytes ||
        pl_backup_read_at(pl_span_after(bytes, PARLEY_BACKUP_DIGEST_BYTES), &b->at) != PARLEY_OK ||
        b->at.phase == PL_BACKUP_DONE)
        return PARLEY_EINVAL;
    memcpy(b->at.digest, place->bytes, PARLEY_BACKUP_DIGEST_BYTES);
    bool same =
        memcmp(b->at.incarnation.bytes, b->state.incarnation.bytes, PARLEY_INCARNATION_BYTES) == 0;
    return same ? PARLEY_OK : PARLEY_ESTATE;
}

/* Puts the frame around the records at out + 4 and moves the place. */
static size_t close_block(struct block *b, uint8_t *out, size_t cap,
                          struct parley_backup_place *place)
{
    struct pl_writer w = pl_writer_over(out, cap);
    w.len = 4 + b->w.len;
    pl_put_be(out, b->w.len, 4);
    b->at.bytes += b->w.len;
    size_t at = w.len + 2;
    pl_write_u16(&w, 0);
    pl_backup_write_at(&w, &b->at);
    pl_put_be(out + at - 2, w.len - at, 2);
    pl_backup_chain(b->at.digest, pl_writer_span(&w));
    place->len = PARLEY_BACKUP_DIGEST_BYTES + w.len - at;
    memcpy(place->bytes, b->at.digest, PARLEY_BACKUP_DIGEST_BYTES);
    memcpy(place->bytes + PARLEY_BACKUP_DIGEST_BYTES, out + at, w.len - at);
    pl_write_bytes(&w, b->at.digest, PARLEY_BACKUP_DIGEST_BYTES);
    PL_ASSERT(w.err == PARLEY_OK);
    return w.len;
}

static PL_MUST_USE parley_err next_block(struct block *b, struct parley_backup_place *place,
                                         uint8_t *out, size_t cap, size_t *len)
{
    size_t magic = place->len == 0 ? PL_BACKUP_MAGIC_BYTES : 0;
    size_t frame = magic + PL_BACKUP_FRAME_BYTES_MAX;
    PL_TRY(load(b, place));
    if (cap > frame)
        b->w = pl_writer_over(out + magic + 4, cap - frame);
    while (!b->full && b->at.phase != PL_BACKUP_DONE)
        PL_TRY(go_on(b));
    if (b->too_small) {
        *len = frame + b->needed;
        return PARLEY_EFULL;
    }
    memcpy(out, PL_BACKUP_MAGIC, magic);
    *len = magic + close_block(b, out + magic, cap - magic, place);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_backup_next(struct parley_read *read,
                                              const struct parley_backup_options *options,
                                              struct parley_backup_place *place, uint8_t *out,
                                              size_t cap, size_t *len, bool *done)
{
    struct block b = { .read = read, .options = options };
    struct parley_span journal = options->journal;
    if (read->err != PARLEY_OK)
        return read->err;
    if (journal.len > PARLEY_BACKUP_JOURNAL_BYTES_MAX ||
        (journal.len != 0 && journal.ptr[journal.len - 1] == UINT8_MAX))
        return PARLEY_EINVAL;
    parley_err err = next_block(&b, place, out, cap, len);
    if (err == PARLEY_OK)
        *done = b.at.phase == PL_BACKUP_DONE;
    bool ours = err == PARLEY_EFULL || err == PARLEY_EINVAL || err == PARLEY_ESTATE;
    return ours ? err : pl_read_keep(read, err);
}
