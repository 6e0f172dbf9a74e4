/* SPDX-License-Identifier: Apache-2.0
 *
 * parley_db_check: walks one snapshot and proves every invariant of docs/STORAGE.md from the rows
 * alone. A damaged row is a problem in the report; only a store that cannot be read is an error.
 *
 * Each row carries a checksum over its key and value, so a changed value is found wherever it is.
 * What a checksum cannot show (a row that is absent, doubled or out of date) follows from counting
 * both directions of each relation:
 *   registers name log rows one to one; conversations have one row in each of two tables;
 *   names and numbers of namespaces and origins are a bijection; sums and counts are recomputed;
 *   elements name log rows of their namespace, and are as many as its root counts; those of a view
 *   name log rows of its conversations, and are as many as those; those of the set of tombstones of
 *   either are its tombstones, all above the floor.
 */
#include "db/db_int.h"

#include "core/digest.h"

/* A view: how many elements it should have, and has. */
struct checked_view {
    uint32_t name_space;
    uint8_t slot;
    struct pl_subset_row row;
    uint64_t expected, elements; /* those of tombstones twice */
};

struct check {
    struct parley_read *read;
    struct parley_check_report *report;
    struct pl_counters counters;
    struct pl_space_row *spaces;   /* recomputed, by number - 1 */
    uint64_t talks;                /* conversation rows seen */
    struct pl_talk_row talk;       /* the conversation being walked, as stored */
    struct pl_talk_row counted;    /* and as counted */
    struct pl_stamp purge;         /* of it; time 0: none */
    uint32_t talk_number;          /* 0: none */
    struct parley_span run_prefix; /* of the register whose history is being walked */
    uint32_t run;
    struct parley_span block; /* key of the block before; empty: none */
    struct parley_point last; /* element seen last, in namespace `last_of` */
    uint32_t last_of;
    uint64_t elements, tombstones; /* of namespaces */
    uint64_t blocks, sums;
    uint64_t indexed; /* log rows up to where the elements have come */
    uint64_t buried;  /* tombstones among them */
    uint64_t trash_count;
    struct checked_view *views; /* in order of keys */
    size_t view_count;
};

/* ---- Report ---- */

static void note(struct check *c, const char *table, struct parley_span key, const char *what)
{
    struct parley_check_report *report = c->report;
    uint64_t index = report->problems++;
    if (index >= PL_ARRAY_LEN(report->first))
        return;
    struct parley_diag *diag = &report->first[index];
    struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
    pl_write_text(&w, table);
    pl_write_text(&w, " ");
    pl_db_write_hex(&w, key);
    pl_write_text(&w, ": ");
    pl_write_text(&w, what);
    diag->text[w.len] = '\0';
}

/* Counts a damaged row as a problem and passes every other error on. */
static PL_MUST_USE parley_err judge(struct check *c, parley_err err, const char *table,
                                    struct parley_span key, const char *what)
{
    if (err != PARLEY_ECORRUPT)
        return err;
    note(c, table, key, what);
    return PARLEY_OK;
}

typedef parley_err (*check_row)(struct check *c, struct parley_span key, struct parley_span value);

static PL_MUST_USE parley_err walk(struct check *c, enum pl_table t, const char *name,
                                   check_row row)
{
    struct pl_cursor cursor;
    struct parley_span key, value;
    bool found;
    PL_TRY(pl_txn_cursor(c->read->view.txn, t, &cursor));
    PL_TRY(pl_cursor_seek(&cursor, pl_span_of("", 1), &key, &value, &found));
    while (found) {
        PL_TRY(judge(c, row(c, key, value), name, key, "does not decode or disagrees"));
        PL_TRY(pl_cursor_next(&cursor, &key, &value, &found));
    }
    return PARLEY_OK;
}

/* ---- META ---- */

static PL_MUST_USE parley_err check_meta(struct check *c)
{
    struct pl_txn *txn = c->read->view.txn;
    struct parley_span value;
    struct parley_db_state state;
    uint8_t place[PL_STORE_PLACE_BYTES];
    bool found;
    PL_TRY(pl_txn_get(txn, PL_TABLE_META, pl_span_text("format"), &value, &found));
    if (!found || value.len != 4 || pl_get_be(value.ptr, 4) != PL_DB_FORMAT)
        note(c, "META", pl_span_of(NULL, 0), "unknown format");
    PL_TRY(pl_txn_get(txn, PL_TABLE_META, pl_span_text("place"), &value, &found));
    c->read->db->store->ops->place(c->read->db->store, place);
    if (!found || !pl_span_equal(value, pl_span_of(place, sizeof place)))
        note(c, "META", pl_span_of(NULL, 0), "place is not where the store lives");
    PL_TRY(judge(c, pl_db_read_counters(txn, &c->counters), "META", pl_span_of(NULL, 0),
                 "counters are damaged"));
    parley_err err = parley_read_state(c->read, &state);
    c->read->err = PARLEY_OK; /* the walk goes on past damage */
    return judge(c, err, "META", pl_span_of(NULL, 0), "state is damaged");
}

/* ---- Names ---- */

static struct checked_view *find_view(struct check *c, uint32_t name_space, uint32_t slot)
{
    for (size_t i = 0; i < c->view_count; i++)
        if (c->views[i].name_space == name_space && c->views[i].slot == slot)
            return &c->views[i];
    return NULL;
}

/* Views are known to the walk before it begins: this is the row's own check. */
static PL_MUST_USE parley_err check_view_row(struct check *c, struct parley_span key,
                                             struct parley_span value)
{
    struct pl_subset_row row;
    PL_TRY(pl_record_read_subset(key, value, &row));
    if (key.len != PL_KEY_VIEW_BYTES)
        return PARLEY_ECORRUPT;
    uint32_t name_space = (uint32_t)pl_get_be(key.ptr + 1, 4);
    bool known = name_space >= 1 && name_space <= c->counters.name_spaces;
    for (size_t i = 0; i < c->view_count; i++) {
        const struct checked_view *other = &c->views[i];
        if (other->name_space == name_space && other->slot != key.ptr[5] &&
            pl_span_equal(other->row.prefix, row.prefix))
            return PARLEY_ECORRUPT;
    }
    return known && find_view(c, name_space, key.ptr[5]) != NULL ? PARLEY_OK : PARLEY_ECORRUPT;
}

static PL_MUST_USE parley_err check_space_row(struct check *c, struct parley_span key,
                                              struct parley_span value)
{
    struct pl_space_row row;
    uint32_t number;
    bool found;
    if (key.ptr[0] == PL_KEY_OF_VIEW)
        return check_view_row(c, key, value);
    if (key.ptr[0] == PL_KEY_BY_NAME) {
        /* Finding by name checks both directions. */
        PL_TRY(pl_record_read_number(key, value, &number));
        PL_TRY(pl_view_find_space(&c->read->view, pl_span_after(key, 1), &found));
        return found ? PARLEY_OK : PARLEY_ECORRUPT;
    }
    if (key.ptr[0] != PL_KEY_BY_NUMBER || key.len != 5)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_space(key, value, &row));
    PL_TRY(pl_view_find_space(&c->read->view, row.name, &found));
    number = (uint32_t)pl_get_be(key.ptr + 1, 4);
    if (!found || c->read->view.space_number != number || number > c->counters.name_spaces)
        return PARLEY_ECORRUPT;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_origin_row(struct check *c, struct parley_span key,
                                               struct parley_span value)
{
    struct pl_origin_row row;
    uint32_t number, tag;
    if (key.ptr[0] == PL_KEY_BY_NAME) {
        PL_TRY(pl_record_read_number(key, value, &number));
        return pl_view_find_origin(&c->read->view, pl_span_after(key, 1), &number, &tag);
    }
    if (key.ptr[0] != PL_KEY_BY_NUMBER || key.len != 5)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_origin(key, value, &row));
    PL_TRY(pl_view_find_origin(&c->read->view, row.name, &number, &tag));
    if (number != pl_get_be(key.ptr + 1, 4) || number > c->counters.origins)
        return PARLEY_ECORRUPT;
    return row.tag == pl_stamp_tag(row.name) ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* Every number from 1 to the counter must be there. */
static PL_MUST_USE parley_err check_numbers(struct check *c)
{
    struct pl_origin_row origin;
    for (uint32_t i = 1; i <= c->counters.name_spaces && i <= PARLEY_NAMESPACES_MAX; i++)
        PL_TRY(judge(c, pl_view_get_space(&c->read->view, i), "NAMESPACE", pl_span_of(NULL, 0),
                     "a number has no row"));
    for (uint32_t i = 1; i <= c->counters.origins && i <= PARLEY_ORIGINS_MAX; i++)
        PL_TRY(judge(c, pl_view_get_origin(&c->read->view, i, &origin), "ORIGIN",
                     pl_span_of(NULL, 0), "a number has no row"));
    return PARLEY_OK;
}

/* ---- Conversations and registers ---- */

static PL_MUST_USE parley_err check_conversation_row(struct check *c, struct parley_span key,
                                                     struct parley_span value)
{
    struct pl_view *view = &c->read->view;
    uint32_t number;
    c->report->conversations++;
    PL_TRY(pl_record_read_number(key, value, &number));
    PL_TRY(pl_view_get_talk(view, number));
    if (key.len < 5 || view->talk.name_space != pl_get_be(key.ptr, 4) ||
        !pl_span_equal(view->talk.id, pl_span_after(key, 4)))
        return PARLEY_ECORRUPT;
    return number <= c->counters.conversations ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* The digest, recomputed from names and body, must be the stored one. */
static PL_MUST_USE parley_err check_digest(struct check *c, const struct pl_record *record)
{
    struct parley_version version;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    PL_TRY(pl_read_lend(c->read, record, &version));
    if (parley_version_check(&version, NULL) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    pl_digest_of(&version, digest);
    if (memcmp(digest, record->digest, sizeof digest) != 0 ||
        record->stamp.time > c->counters.clock)
        return PARLEY_ECORRUPT;
    return PARLEY_OK;
}

/* Compares what was counted of the conversation just walked with its row. */
static void end_talk(struct check *c)
{
    struct pl_key key;
    if (c->talk_number == 0)
        return;
    const struct pl_talk_row *row = &c->talk;
    const struct pl_talk_row *counted = &c->counted;
    if (row->messages != counted->messages || row->headers != counted->headers ||
        row->updated != counted->updated || pl_stamp_compare(row->tomb, counted->tomb) != 0) {
        pl_key_register(&key, c->talk_number, 0, pl_span_of(NULL, 0));
        note(c, "REGISTER", pl_key_span(&key), "conversation row disagrees with its registers");
    }
    if (c->spaces != NULL && row->name_space >= 1 && row->name_space <= c->counters.name_spaces &&
        (counted->messages != 0 || counted->headers != 0))
        c->spaces[row->name_space - 1].conversations++;
    c->talk_number = 0;
}

static PL_MUST_USE parley_err begin_talk(struct check *c, uint32_t number, struct parley_span key,
                                         struct parley_span value)
{
    struct pl_key name;
    struct parley_span named;
    uint32_t found_number;
    bool found;
    end_talk(c);
    c->talks++;
    PL_TRY(pl_record_read_talk(key, value, &c->talk));
    c->talk_number = number;
    c->counted = (struct pl_talk_row){ 0 };
    PL_TRY(pl_purge_find(&c->read->view, number, &c->counted.tomb));
    c->purge = c->counted.tomb;
    pl_key_conversation(&name, c->talk.name_space, c->talk.id);
    PL_TRY(
        pl_txn_get(c->read->view.txn, PL_TABLE_CONVERSATION, pl_key_span(&name), &named, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_number(pl_key_span(&name), named, &found_number));
    return found_number == number ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* A version of the conversation at hand counts in each view that has come to it. */
static void count_in_views(struct check *c, const struct pl_record *record)
{
    for (size_t i = 0; i < c->view_count; i++) {
        struct checked_view *view = &c->views[i];
        if (view->name_space == c->talk.name_space &&
            pl_subset_has(&view->row, c->talk.id, record->kind, record->id))
            view->expected += (record->flags & PARLEY_FLAG_TOMBSTONE) == 0 ? 1 : 2;
    }
}

static void count_live(struct check *c, const struct pl_record *record, uint64_t seq)
{
    bool visible = (record->flags & PARLEY_FLAG_TOMBSTONE) == 0;
    bool message = record->kind == PARLEY_KIND_MESSAGE;
    c->report->versions++;
    c->report->messages += visible && message ? 1 : 0;
    c->counted.messages += visible && message ? 1 : 0;
    c->counted.headers += visible && record->kind == PARLEY_KIND_HEADER ? 1 : 0;
    c->counted.updated = pl_max_u64(c->counted.updated, record->stamp.time);
    if (record->kind == PARLEY_KIND_CONVERSATION &&
        pl_stamp_compare(record->stamp, c->counted.tomb) > 0)
        c->counted.tomb = record->stamp;
    if (seq <= c->counters.indexed) {
        count_in_views(c, record);
        c->buried += visible ? 0 : 1;
    }
    if (c->spaces == NULL || c->talk.name_space < 1 || c->talk.name_space > c->counters.name_spaces)
        return;
    struct pl_space_row *space = &c->spaces[c->talk.name_space - 1];
    space->root.count++;
    pl_digest_add(space->root.sum, record->digest);
    space->messages += visible && message ? 1 : 0;
}

static PL_MUST_USE parley_err check_register_row(struct check *c, struct parley_span key,
                                                 struct parley_span value)
{
    struct pl_key_register_parts parts;
    struct pl_register_row row;
    struct pl_record record;
    PL_TRY(pl_key_register_split(key, &parts));
    if (parts.kind == 0 && parts.id.len == 0)
        return begin_talk(c, parts.conversation, key, value);
    if (parts.conversation != c->talk_number)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_register(key, value, &row));
    PL_TRY(pl_view_get_version(&c->read->view, parts.conversation, parts.kind, parts.id, &row,
                               &record));
    count_live(c, &record, row.seq);
    if (row.seq == 0 || row.seq > c->counters.head)
        return PARLEY_ECORRUPT;
    /* The kind 1 register sorts first, so the tombstone is known by now. */
    struct pl_stamp above = parts.kind == PARLEY_KIND_CONVERSATION ? c->purge : c->counted.tomb;
    if (parts.kind != PARLEY_KIND_PURGE && above.time != 0 &&
        pl_stamp_compare(row.stamp, above) <= 0)
        return PARLEY_ECORRUPT;
    return check_digest(c, &record);
}

/* ---- Log, history, hold, sys ---- */

static PL_MUST_USE parley_err check_log_row(struct check *c, struct parley_span key,
                                            struct parley_span value)
{
    struct pl_record record;
    struct pl_key name;
    struct parley_span row_value;
    struct pl_register_row row;
    bool found;
    if (key.len != 8)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_version(key, value, &record));
    pl_key_register(&name, record.conversation, record.kind, record.id);
    PL_TRY(
        pl_txn_get(c->read->view.txn, PL_TABLE_REGISTER, pl_key_span(&name), &row_value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_register(pl_key_span(&name), row_value, &row));
    c->indexed += row.seq <= c->counters.indexed ? 1 : 0;
    return row.seq == pl_get_be(key.ptr, 8) ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* A loser is older than the live version, or covered by the tombstone, or from a time of which
 * tombstones may be gone. */
static PL_MUST_USE parley_err check_lost(struct check *c, const struct pl_record *record)
{
    enum pl_history_standing standing;
    PL_TRY(pl_view_get_talk(&c->read->view, record->conversation));
    PL_TRY(pl_history_stand(&c->read->view, record, &standing));
    return standing == PL_HISTORY_WINS || standing == PL_HISTORY_ALONE ? PARLEY_ECORRUPT
                                                                       : PARLEY_OK;
}

/* P1. */
static PL_MUST_USE parley_err check_unpurged(struct check *c, const struct pl_record *record)
{
    bool covered;
    PL_TRY(pl_view_get_talk(&c->read->view, record->conversation));
    PL_TRY(pl_purge_covers(&c->read->view, record->kind, record->stamp, &covered));
    return covered || record->kind == PARLEY_KIND_PURGE ? PARLEY_ECORRUPT : PARLEY_OK;
}

static PL_MUST_USE parley_err check_history_row(struct check *c, struct parley_span key,
                                                struct parley_span value)
{
    struct pl_record record;
    struct pl_key expected;
    c->report->history++;
    PL_TRY(pl_record_read_version(key, value, &record));
    pl_key_history(&expected, record.conversation, record.kind, record.id, record.stamp,
                   record.digest);
    if (!pl_span_equal(key, pl_key_span(&expected)))
        return PARLEY_ECORRUPT;
    PL_TRY(check_digest(c, &record));
    /* Versions of one register are neighbours, so a run of equal prefixes is its history. */
    size_t prefix_len = key.len - 8 - 4 - PL_KEY_DIGEST_BYTES;
    bool same =
        c->run_prefix.len == prefix_len && memcmp(c->run_prefix.ptr, key.ptr, prefix_len) == 0;
    c->run_prefix = pl_span_of(key.ptr, prefix_len);
    c->run = same ? c->run + 1 : 1;
    if (c->run > PARLEY_HISTORY_PER_REGISTER_MAX)
        return PARLEY_ECORRUPT;
    PL_TRY(check_unpurged(c, &record));
    return check_lost(c, &record);
}

static PL_MUST_USE parley_err check_trash_row(struct check *c, struct parley_span key,
                                              struct parley_span value)
{
    struct pl_record record;
    struct pl_key expected;
    c->report->trash++;
    PL_TRY(pl_record_read_version(key, value, &record));
    pl_key_history(&expected, record.conversation, record.kind, record.id, record.stamp,
                   record.digest);
    bool dead = (record.flags & PARLEY_FLAG_TOMBSTONE) != 0;
    if (dead || !pl_span_equal(key, pl_key_span(&expected)))
        return PARLEY_ECORRUPT;
    PL_TRY(check_unpurged(c, &record));
    return check_digest(c, &record);
}

static PL_MUST_USE parley_err check_held_row(struct check *c, struct parley_span key,
                                             struct parley_span value)
{
    struct pl_held held;
    struct pl_key expected;
    uint8_t digest[PARLEY_DIGEST_BYTES];
    c->report->held++;
    PL_TRY(pl_record_read_held(key, value, &held));
    if (parley_version_check(&held.version, NULL) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    struct pl_stamp stamp = { .time = held.version.time, .tag = pl_stamp_tag(held.version.origin) };
    pl_digest_of(&held.version, digest);
    pl_key_hold(&expected, stamp, digest, held.version.name_space);
    if (!pl_span_equal(key, pl_key_span(&expected)))
        return PARLEY_ECORRUPT;
    struct pl_view *view = &c->read->view;
    bool found, covered = false;
    PL_TRY(pl_view_find_space(view, held.version.name_space, &found));
    if (found)
        PL_TRY(pl_view_find_talk(view, held.version.conversation, &found));
    if (found)
        PL_TRY(pl_purge_covers(view, (uint8_t)held.version.kind, stamp, &covered));
    return covered ? PARLEY_ECORRUPT : PARLEY_OK;
}

static PL_MUST_USE parley_err check_sys_row(struct check *c, struct parley_span key,
                                            struct parley_span value)
{
    struct parley_incarnation incarnation;
    struct parley_span bytes;
    parley_seq seq;
    if (key.ptr[0] != 0)
        return pl_record_read_plain(key, value, &bytes);
    if (key.len == PL_KEY_FLOOR_BYTES && key.ptr[1] == 'f') {
        struct pl_floor_row floor;
        PL_TRY(pl_record_read_floor(key, value, &floor));
        return floor.floor <= c->counters.clock ? PARLEY_OK : PARLEY_ECORRUPT;
    }
    if (key.len == PL_KEY_RETENTION_BYTES && key.ptr[1] == 'h') {
        struct parley_retention rule;
        return pl_record_read_retention(key, value, &rule);
    }
    if (key.len == PL_KEY_TRASH_COUNT_BYTES && key.ptr[1] == 't') {
        PL_TRY(pl_record_read_plain(key, value, &bytes));
        c->trash_count = bytes.len == 8 ? pl_get_be(bytes.ptr, 8) : UINT64_MAX;
        return PARLEY_OK;
    }
    if (key.len != PL_KEY_CURSOR_BYTES || key.ptr[1] != 'c')
        return PARLEY_ECORRUPT;
    return pl_record_read_cursor(key, value, &incarnation, &seq);
}

/* ---- Elements ---- */

/* Whether an element may be in the set: in that of the namespace (`view` NULL), or of a view. */
static bool belongs(const struct check *c, uint32_t name_space, const struct checked_view *view,
                    const struct pl_record *record)
{
    const struct pl_talk_row *talk = &c->read->view.talk;
    return talk->name_space == name_space &&
           (view == NULL || pl_subset_has(&view->row, talk->id, record->kind, record->id));
}

/* G1 of collect.c. */
static PL_MUST_USE parley_err check_tombstone(struct check *c, uint32_t name_space,
                                              const struct pl_record *record)
{
    struct pl_floor_row floor;
    PL_TRY(pl_collect_read_floor(&c->read->view, name_space, &floor));
    bool dead = (record->flags & PARLEY_FLAG_TOMBSTONE) != 0;
    return dead && record->stamp.time > floor.floor ? PARLEY_OK : PARLEY_ECORRUPT;
}

/* The version that an element names. Leaves the view at its conversation. */
static PL_MUST_USE parley_err check_element(struct check *c, uint32_t name_space, bool tombstones,
                                            const struct checked_view *view, const uint8_t *element)
{
    struct pl_record record;
    struct pl_key key;
    struct parley_span value;
    struct parley_point point;
    bool found;
    if (pl_get_be(element + PARLEY_POINT_BYTES, 8) > c->counters.indexed)
        return PARLEY_ECORRUPT;
    pl_key_log(&key, pl_get_be(element + PARLEY_POINT_BYTES, 8));
    PL_TRY(pl_txn_get(c->read->view.txn, PL_TABLE_LOG, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_version(pl_key_span(&key), value, &record));
    PL_TRY(pl_view_get_talk(&c->read->view, record.conversation));
    pl_element_point(&point, record.stamp.time, record.digest);
    bool same = memcmp(point.bytes, element, sizeof point.bytes) == 0;
    if (!same || !belongs(c, name_space, view, &record))
        return PARLEY_ECORRUPT;
    return tombstones ? check_tombstone(c, name_space, &record) : PARLEY_OK;
}

/* The row of SUM must be that of these elements; as many blocks as sums, so that none is alone. */
static PL_MUST_USE parley_err check_sum(struct check *c, struct parley_span key,
                                        struct parley_span elements)
{
    struct parley_root stored, counted = { .count = elements.len / PL_ELEMENT_BYTES };
    struct parley_span value;
    bool found;
    PL_TRY(pl_txn_get(c->read->view.txn, PL_TABLE_SUM, key, &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_sum(key, value, &stored));
    for (uint32_t i = 0; i < counted.count; i++)
        pl_digest_add(counted.sum, elements.ptr + i * PL_ELEMENT_BYTES + 8);
    return pl_root_equal(&stored, &counted) ? PARLEY_OK : PARLEY_ECORRUPT;
}

static void count_element(struct check *c, struct checked_view *view, bool tombstones)
{
    if (view != NULL)
        view->elements++;
    else if (tombstones)
        c->tombstones++;
    else
        c->elements++;
}

static PL_MUST_USE parley_err check_block_row(struct check *c, struct parley_span key,
                                              struct parley_span value)
{
    static const struct parley_point lowest;
    struct parley_span elements;
    PL_TRY(pl_record_read_elements(key, value, &elements));
    uint32_t set = (uint32_t)pl_get_be(key.ptr, 4);
    bool tombstones = (set & PL_SPACE_TOMBSTONES) != 0;
    uint32_t name_space = set & ((1u << PL_SET_SLOT_SHIFT) - 1);
    uint32_t slot = (set & ~PL_SPACE_TOMBSTONES) >> PL_SET_SLOT_SHIFT;
    struct checked_view *view = slot == 0 ? NULL : find_view(c, name_space, slot);
    if (slot != 0 && view == NULL)
        return PARLEY_ECORRUPT;
    /* What is being dropped goes from its front, and is not kept up. */
    bool dropping = view != NULL && view->row.state == PARLEY_VIEW_DROPPING;
    bool first = c->block.len == 0 || memcmp(c->block.ptr, key.ptr, 4) != 0;
    const uint8_t *lower = key.ptr + 4;
    c->block = key;
    c->blocks++;
    if (first && !dropping && memcmp(lower, lowest.bytes, sizeof lowest.bytes) != 0)
        return PARLEY_ECORRUPT;
    for (size_t i = 0; i < elements.len; i += PL_ELEMENT_BYTES) {
        const uint8_t *element = elements.ptr + i;
        bool in_block = memcmp(lower, element, PARLEY_POINT_BYTES) <= 0;
        bool in_order = c->last_of != set || memcmp(c->last.bytes, element, PARLEY_POINT_BYTES) < 0;
        if (!in_block || !in_order)
            return PARLEY_ECORRUPT;
        memcpy(c->last.bytes, element, PARLEY_POINT_BYTES);
        c->last_of = set;
        if (!dropping)
            PL_TRY(check_element(c, name_space, tombstones, view, element));
        count_element(c, view, tombstones);
    }
    return check_sum(c, key, elements);
}

static PL_MUST_USE parley_err check_sum_row(struct check *c, struct parley_span key,
                                            struct parley_span value)
{
    struct parley_root root;
    c->sums++;
    return pl_record_read_sum(key, value, &root);
}

/* ---- Sums ---- */

static PL_MUST_USE parley_err compare_spaces(struct check *c)
{
    const struct pl_space_row *row = &c->read->view.space;
    for (uint32_t i = 1; i <= c->counters.name_spaces; i++) {
        struct pl_key key;
        const struct pl_space_row *counted = &c->spaces[i - 1];
        parley_err err = pl_view_get_space(&c->read->view, i);
        if (err == PARLEY_ECORRUPT)
            continue; /* reported by check_numbers */
        if (err != PARLEY_OK)
            return err;
        pl_key_number(&key, i);
        if (!pl_root_equal(&row->root, &counted->root))
            note(c, "NAMESPACE", pl_key_span(&key), "root is not the sum of its versions");
        if (row->conversations != counted->conversations || row->messages != counted->messages)
            note(c, "NAMESPACE", pl_key_span(&key), "counts disagree with its conversations");
    }
    return PARLEY_OK;
}

/* Each element of a view names another version of its, so as many as those are all of them. */
static void compare_views(struct check *c)
{
    struct pl_key key;
    for (size_t i = 0; i < c->view_count; i++) {
        const struct checked_view *view = &c->views[i];
        pl_key_view(&key, view->name_space, view->slot);
        if (view->row.state != PARLEY_VIEW_DROPPING && view->expected != view->elements)
            note(c, "NAMESPACE", pl_key_span(&key), "the view has not the versions of its range");
    }
}

/* Counts the rows of views, or with `views` also notes those that decode. */
static PL_MUST_USE parley_err list_views(struct check *c, struct checked_view *views, size_t cap,
                                         size_t *count)
{
    struct pl_cursor cursor;
    struct parley_span key, value;
    bool found;
    *count = 0;
    PL_TRY(pl_txn_cursor(c->read->view.txn, PL_TABLE_NAMESPACE, &cursor));
    PL_TRY(pl_cursor_seek(&cursor, pl_span_text("v"), &key, &value, &found));
    while (found && key.ptr[0] == PL_KEY_OF_VIEW) {
        struct pl_subset_row row;
        bool good =
            key.len == PL_KEY_VIEW_BYTES && pl_record_read_subset(key, value, &row) == PARLEY_OK;
        if (good && views != NULL && *count < cap)
            views[*count] = (struct checked_view){
                .name_space = (uint32_t)pl_get_be(key.ptr + 1, 4), .slot = key.ptr[5], .row = row
            };
        *count += good ? 1 : 0;
        PL_TRY(pl_cursor_next(&cursor, &key, &value, &found));
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err load_views(struct check *c)
{
    const struct parley_env *env = c->read->db->env;
    size_t count;
    PL_TRY(list_views(c, NULL, 0, &count));
    if (count == 0)
        return PARLEY_OK;
    c->views = env->alloc(env->ud, count * sizeof *c->views);
    if (c->views == NULL)
        return PARLEY_ENOMEM;
    c->view_count = count;
    return list_views(c, c->views, count, &count);
}

static PL_MUST_USE parley_err check_all(struct check *c)
{
    struct parley_span none = pl_span_of(NULL, 0);
    PL_TRY(check_meta(c));
    PL_TRY(walk(c, PL_TABLE_NAMESPACE, "NAMESPACE", check_space_row));
    PL_TRY(walk(c, PL_TABLE_ORIGIN, "ORIGIN", check_origin_row));
    PL_TRY(check_numbers(c));
    PL_TRY(walk(c, PL_TABLE_CONVERSATION, "CONVERSATION", check_conversation_row));
    PL_TRY(walk(c, PL_TABLE_REGISTER, "REGISTER", check_register_row));
    end_talk(c);
    PL_TRY(walk(c, PL_TABLE_LOG, "LOG", check_log_row));
    PL_TRY(walk(c, PL_TABLE_HISTORY, "HISTORY", check_history_row));
    PL_TRY(walk(c, PL_TABLE_TRASH, "TRASH", check_trash_row));
    PL_TRY(walk(c, PL_TABLE_HOLD, "HOLD", check_held_row));
    PL_TRY(walk(c, PL_TABLE_SYS, "SYS", check_sys_row));
    PL_TRY(walk(c, PL_TABLE_ELEMENT, "ELEMENT", check_block_row));
    /* Each names another version, so as many as there should be are all of them. */
    PL_TRY(walk(c, PL_TABLE_SUM, "SUM", check_sum_row));
    if (c->sums != c->blocks)
        note(c, "SUM", none, "the sums are not those of the blocks");
    if (c->elements != c->indexed)
        note(c, "ELEMENT", none, "the elements are not the current versions");
    if (c->counters.indexed > c->counters.head)
        note(c, "META", none, "the elements are ahead of the change log");
    compare_views(c);
    if (c->tombstones != c->buried)
        note(c, "ELEMENT", none, "the tombstones are not those of the current versions");
    if (c->report->conversations != c->counters.conversations ||
        c->talks != c->counters.conversations)
        note(c, "META", none, "count of conversations disagrees");
    if (c->report->held != c->counters.held)
        note(c, "META", none, "count of held versions disagrees");
    if (c->report->trash != c->trash_count)
        note(c, "SYS", none, "count of the trash disagrees");
    return c->spaces == NULL ? PARLEY_OK : compare_spaces(c);
}

PARLEY_MUST_USE parley_err parley_db_check(struct parley_db *db, struct parley_check_report *out)
{
    const struct parley_env *env = db->env;
    struct parley_check_report report = { 0 };
    struct check c = { .report = &report };
    size_t bytes = 0;
    PL_TRY(parley_read_begin(db, &c.read));
    parley_err err = pl_db_read_counters(c.read->view.txn, &c.counters);
    /* Damaged counters are reported by check_meta; here they only size the table. */
    if (err == PARLEY_ECORRUPT)
        err = PARLEY_OK;
    if (err == PARLEY_OK && c.counters.name_spaces <= PARLEY_NAMESPACES_MAX)
        bytes = c.counters.name_spaces * sizeof *c.spaces;
    if (bytes != 0) {
        c.spaces = env->alloc(env->ud, bytes);
        if (c.spaces == NULL) {
            err = PARLEY_ENOMEM;
            goto out;
        }
        memset(c.spaces, 0, bytes);
    }
    if (err == PARLEY_OK)
        err = load_views(&c);
    if (err == PARLEY_OK)
        err = check_all(&c);
out:
    if (c.views != NULL)
        env->release(env->ud, c.views, c.view_count * sizeof *c.views);
    env->release(env->ud, c.spaces, bytes);
    parley_read_end(c.read);
    if (err == PARLEY_OK)
        *out = report;
    return err;
}
