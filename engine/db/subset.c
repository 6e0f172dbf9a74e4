/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of a namespace: the elements of the conversations whose id begins with a prefix, kept as a
 * set of their own beside that of the namespace, so that such a range of conversations can be
 * summed and compared in the order of time like the whole. Each has a slot of its namespace and a
 * row.
 *
 *   none --make--> BUILDING --make, in steps--> READY --drop--> DROPPING --drop, in steps--> none
 *
 * Invariants
 *   V1  A READY view has the elements of all live versions of its conversations up to where
 *       index.c has come.
 *   V2  A BUILDING one has those up to its position in the order (conversation id, kind, id), and
 *       no other: what is written at or before the position is kept up with like in a READY one,
 *       what is written behind it is found when the building comes there. So it may take many
 *       transactions, with writes and crashes between them.
 *   V3  A DROPPING one is not kept up and not read; its blocks go in steps, its row last.
 */
#include "db/db_int.h"

/* One transaction's share of building (versions) and dropping (blocks): about 20 ms. */
#define STEP_VERSIONS PL_LIMIT(4000u, 7u)
#define STEP_BLOCKS   PL_LIMIT(4000u, 3u)
/* Position: all registers of its conversation. */
#define KIND_ALL UINT8_MAX

/* ---- What belongs to a view ---- */

static int compare_places(struct parley_span talk, uint8_t kind, struct parley_span id,
                          const struct pl_subset_row *row)
{
    int order = pl_span_compare(talk, row->talk);
    if (order != 0 || kind != row->kind)
        return order != 0 ? order : (kind > row->kind) - (kind < row->kind);
    return pl_span_compare(id, row->id);
}

bool pl_subset_has(const struct pl_subset_row *row, struct parley_span talk, uint8_t kind,
                   struct parley_span id)
{
    if (!pl_span_has_prefix(talk, row->prefix))
        return false;
    return row->state == PARLEY_VIEW_READY ||
           (row->state == PARLEY_VIEW_BUILDING && row->talk.len != 0 &&
            compare_places(talk, kind, id, row) <= 0);
}

static struct pl_subset_row row_of(const struct pl_subset *subset)
{
    return (struct pl_subset_row){ .state = subset->state,
                                   .prefix = pl_span_of(subset->prefix, subset->prefix_len),
                                   .talk = pl_span_of(subset->talk, subset->talk_len),
                                   .kind = subset->kind,
                                   .id = pl_span_of(subset->id, subset->id_len) };
}

static uint8_t copy(uint8_t *out, struct parley_span from)
{
    if (from.len != 0)
        memcpy(out, from.ptr, from.len);
    return (uint8_t)from.len;
}

static void set_place(struct pl_subset *subset, struct parley_span talk, uint8_t kind,
                      struct parley_span id)
{
    subset->talk_len = copy(subset->talk, talk);
    subset->kind = kind;
    subset->id_len = copy(subset->id, id);
}

/* ---- Rows ---- */

/* The row of the first view at or behind `slot` of a namespace; *slot 0: there is none. */
static PL_MUST_USE parley_err next_row(struct pl_view *view, uint32_t name_space, uint8_t *slot,
                                       struct pl_subset_row *out)
{
    struct pl_cursor *c;
    struct pl_key from;
    struct parley_span key, value;
    bool found;
    pl_key_view(&from, name_space, *slot);
    PL_TRY(pl_view_cursor(view, PL_TABLE_NAMESPACE, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, &found));
    *slot = 0;
    if (!found || key.len != PL_KEY_VIEW_BYTES || memcmp(key.ptr, from.bytes, 5) != 0)
        return PARLEY_OK;
    *slot = key.ptr[5];
    if (*slot < 1 || *slot > PARLEY_VIEWS_MAX)
        return PARLEY_ECORRUPT;
    return pl_record_read_subset(key, value, out);
}

PL_MUST_USE parley_err pl_subset_find(struct pl_view *view, struct parley_span prefix,
                                      uint8_t *slot, enum parley_view_state *state)
{
    struct pl_subset_row row = { 0 };
    for (uint8_t at = 1; at != 0 && at <= PARLEY_VIEWS_MAX; at++) {
        PL_TRY(next_row(view, view->space_number, &at, &row));
        if (at == 0)
            break;
        if (pl_span_equal(row.prefix, prefix)) {
            *slot = at;
            *state = (enum parley_view_state)row.state;
            return PARLEY_OK;
        }
    }
    *slot = 0;
    *state = PARLEY_VIEW_NONE;
    return PARLEY_OK;
}

/* The views of the current namespace, in RAM for the rest of the transaction. */
static PL_MUST_USE parley_err load(struct parley_db *db, struct pl_view *view)
{
    struct pl_subsets *all = &db->subsets;
    struct pl_subset_row row = { 0 };
    if (all->name_space == view->space_number)
        return PARLEY_OK;
    all->name_space = 0;
    all->top = 0;
    for (size_t i = 0; i < PARLEY_VIEWS_MAX; i++)
        all->slots[i].state = PARLEY_VIEW_NONE;
    for (uint8_t at = 1; at != 0 && at <= PARLEY_VIEWS_MAX; at++) {
        PL_TRY(next_row(view, view->space_number, &at, &row));
        if (at == 0)
            break;
        struct pl_subset *subset = &all->slots[at - 1];
        all->top = at;
        subset->state = row.state;
        subset->prefix_len = copy(subset->prefix, row.prefix);
        set_place(subset, row.talk, row.kind, row.id);
    }
    all->name_space = view->space_number;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err store_row(struct pl_view *view, uint8_t slot,
                                        const struct pl_subset *subset)
{
    struct pl_key key;
    uint8_t bytes[PL_RECORD_SUBSET_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    struct pl_subset_row row = row_of(subset);
    pl_key_view(&key, view->space_number, slot);
    pl_record_write_subset(&w, pl_key_span(&key), &row);
    return pl_txn_put(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key), pl_writer_span(&w));
}

/* ---- A version comes or goes ---- */

static void add_set(uint32_t set, uint32_t flags, uint32_t sets[PL_SETS_MAX], uint32_t *count)
{
    sets[(*count)++] = set;
    if ((flags & PARLEY_FLAG_TOMBSTONE) != 0)
        sets[(*count)++] = set | PL_SPACE_TOMBSTONES;
}

PL_MUST_USE parley_err pl_subset_list(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                      struct parley_span id, uint32_t flags,
                                      uint32_t sets[PL_SETS_MAX], uint32_t *count)
{
    *count = 0;
    add_set(view->space_number, flags, sets, count);
    PL_TRY(load(db, view));
    for (uint32_t slot = 1; slot <= db->subsets.top; slot++) {
        struct pl_subset_row row = row_of(&db->subsets.slots[slot - 1]);
        if (pl_subset_has(&row, view->talk.id, kind, id))
            add_set(pl_set_number(view->space_number, slot), flags, sets, count);
    }
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_subset_remove(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                        struct parley_span id, uint32_t flags, uint64_t time,
                                        const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    uint32_t sets[PL_SETS_MAX];
    uint32_t count;
    struct parley_point point;
    pl_element_point(&point, time, digest);
    PL_TRY(pl_subset_list(db, view, kind, id, flags, sets, &count));
    for (uint32_t i = 0; i < count; i++)
        PL_TRY(pl_element_remove(view, sets[i], &point));
    return PARLEY_OK;
}

/* ---- Building ---- */

/* A conversation of the view, and the place in it. */
struct place {
    bool open; /* false: the next conversation is to be looked for */
    uint32_t number;
};

/* Goes to the conversation that is begun, or else to the next one; *found false behind the last. */
static PL_MUST_USE parley_err open_talk(struct pl_view *view, struct pl_subset *subset,
                                        struct place *place, bool *found)
{
    struct pl_cursor *c;
    struct pl_key from;
    struct parley_span key, value;
    bool begun = subset->talk_len != 0;
    bool next = begun && subset->kind == KIND_ALL;
    pl_key_conversation(&from, view->space_number,
                        begun ? pl_span_of(subset->talk, subset->talk_len)
                              : pl_span_of(subset->prefix, subset->prefix_len));
    if (next)
        pl_key_bump(&from);
    PL_TRY(pl_view_cursor(view, PL_TABLE_CONVERSATION, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, found));
    *found =
        *found && key.len > 4 && pl_get_be(key.ptr, 4) == view->space_number &&
        pl_span_has_prefix(pl_span_after(key, 4), pl_span_of(subset->prefix, subset->prefix_len));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_number(key, value, &place->number));
    place->open = true;
    if (!begun || next)
        set_place(subset, pl_span_after(key, 4), 0, pl_span_of(NULL, 0));
    return PARLEY_OK;
}

/* Adds the register behind the place; at the end of the conversation, closes that. */
static PL_MUST_USE parley_err add_next(struct pl_view *view, uint32_t set, struct pl_subset *subset,
                                       struct place *place)
{
    struct pl_cursor *c;
    struct pl_key from;
    struct pl_key_register_parts parts = { 0 };
    struct pl_register_row row;
    struct pl_record record;
    struct parley_span key, value;
    struct parley_point point;
    bool found;
    pl_key_register(&from, place->number, subset->kind, pl_span_of(subset->id, subset->id_len));
    pl_key_bump(&from);
    PL_TRY(pl_view_cursor(view, PL_TABLE_REGISTER, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, &found));
    if (found)
        PL_TRY(pl_key_register_split(key, &parts));
    if (!found || parts.conversation != place->number) {
        subset->kind = KIND_ALL;
        subset->id_len = 0;
        place->open = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_register(key, value, &row));
    PL_TRY(pl_view_get_version(view, place->number, parts.kind, parts.id, &row, &record));
    pl_element_point(&point, row.stamp.time, record.digest);
    subset->kind = parts.kind;
    subset->id_len = copy(subset->id, parts.id);
    /* What is not in the set of the namespace yet comes into this one with it. */
    if (row.seq > view->counters.indexed)
        return PARLEY_OK;
    PL_TRY(pl_element_add(view, set, &point, row.seq));
    if ((row.flags & PARLEY_FLAG_TOMBSTONE) == 0)
        return PARLEY_OK;
    return pl_element_add(view, set | PL_SPACE_TOMBSTONES, &point, row.seq);
}

static PL_MUST_USE parley_err build(struct pl_view *view, uint8_t slot, struct pl_subset *subset)
{
    struct place place = { .open = false };
    uint32_t set = pl_set_number(view->space_number, slot);
    for (uint32_t i = 0; i < STEP_VERSIONS; i++) {
        bool found = true;
        if (!place.open)
            PL_TRY(open_talk(view, subset, &place, &found));
        if (!found) {
            subset->state = PARLEY_VIEW_READY;
            set_place(subset, pl_span_of(NULL, 0), 0, pl_span_of(NULL, 0));
            break;
        }
        PL_TRY(add_next(view, set, subset, &place));
    }
    return store_row(view, slot, subset);
}

static PL_MUST_USE parley_err clear(struct pl_view *view, uint8_t slot, struct pl_subset *subset)
{
    struct pl_key key;
    bool done = false;
    subset->state = PARLEY_VIEW_DROPPING;
    set_place(subset, pl_span_of(NULL, 0), 0, pl_span_of(NULL, 0));
    uint32_t set = pl_set_number(view->space_number, slot);
    PL_TRY(pl_element_clear(view, set, STEP_BLOCKS, &done));
    if (done)
        PL_TRY(pl_element_clear(view, set | PL_SPACE_TOMBSTONES, STEP_BLOCKS, &done));
    if (!done)
        return store_row(view, slot, subset);
    subset->state = PARLEY_VIEW_NONE;
    pl_key_view(&key, view->space_number, slot);
    return pl_txn_del(view->txn, PL_TABLE_NAMESPACE, pl_key_span(&key));
}

/* ---- Writes ---- */

static uint8_t find_slot(const struct pl_subsets *all, struct parley_span prefix)
{
    for (uint8_t slot = 1; slot <= PARLEY_VIEWS_MAX; slot++) {
        struct pl_subset_row row = row_of(&all->slots[slot - 1]);
        if (row.state != PARLEY_VIEW_NONE && pl_span_equal(row.prefix, prefix))
            return slot;
    }
    return 0;
}

static PL_MUST_USE parley_err take_slot(struct pl_subsets *all, struct parley_span prefix,
                                        uint8_t *slot)
{
    for (*slot = 1; *slot <= PARLEY_VIEWS_MAX; ++*slot) {
        struct pl_subset *subset = &all->slots[*slot - 1];
        if (subset->state != PARLEY_VIEW_NONE)
            continue;
        all->top = all->top < *slot ? *slot : all->top;
        subset->state = PARLEY_VIEW_BUILDING;
        subset->prefix_len = copy(subset->prefix, prefix);
        set_place(subset, pl_span_of(NULL, 0), 0, pl_span_of(NULL, 0));
        return PARLEY_OK;
    }
    return PARLEY_EFULL;
}

PL_MUST_USE parley_err pl_subset_make(struct parley_db *db, struct pl_view *view,
                                      struct parley_span name_space, struct parley_span prefix,
                                      bool write, bool *known)
{
    bool found = false;
    PL_TRY(pl_view_find_space(view, name_space, &found));
    *known = false;
    if (!found && !write)
        return PARLEY_OK;
    if (!found)
        PL_TRY(pl_view_intern_space(view, name_space));
    PL_TRY(load(db, view));
    uint8_t slot = find_slot(&db->subsets, prefix);
    *known = slot != 0 && db->subsets.slots[slot - 1].state == PARLEY_VIEW_READY;
    if (*known || !write)
        return PARLEY_OK;
    if (slot == 0)
        PL_TRY(take_slot(&db->subsets, prefix, &slot));
    struct pl_subset *subset = &db->subsets.slots[slot - 1];
    return subset->state == PARLEY_VIEW_DROPPING ? clear(view, slot, subset)
                                                 : build(view, slot, subset);
}

PL_MUST_USE parley_err pl_subset_drop(struct parley_db *db, struct pl_view *view,
                                      struct parley_span name_space, struct parley_span prefix,
                                      bool write, bool *known)
{
    bool found = false;
    PL_TRY(pl_view_find_space(view, name_space, &found));
    *known = !found;
    if (!found)
        return PARLEY_OK;
    PL_TRY(load(db, view));
    uint8_t slot = find_slot(&db->subsets, prefix);
    *known = slot == 0;
    if (*known || !write)
        return PARLEY_OK;
    return clear(view, slot, &db->subsets.slots[slot - 1]);
}

/* ---- Reading ---- */

PARLEY_MUST_USE parley_err parley_read_view(struct parley_read *read, struct parley_span name_space,
                                            struct parley_span prefix, enum parley_view_state *out)
{
    bool found = false;
    uint8_t slot;
    if (read->err != PARLEY_OK)
        return read->err;
    *out = PARLEY_VIEW_NONE;
    parley_err err = pl_view_find_space(&read->view, name_space, &found);
    if (err == PARLEY_OK && found)
        err = pl_subset_find(&read->view, prefix, &slot, out);
    return pl_read_keep(read, err);
}

static PL_MUST_USE parley_err read_view_after(struct pl_view *view, uint64_t *position,
                                              struct parley_view_info *out, bool *found)
{
    struct pl_cursor *c;
    struct pl_key from;
    struct parley_span key, value;
    struct pl_subset_row row;
    /* The key's last five bytes as a number: namespace and slot. */
    pl_key_view(&from, (uint32_t)((*position + 1) >> 8), (uint8_t)(*position + 1));
    PL_TRY(pl_view_cursor(view, PL_TABLE_NAMESPACE, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, found));
    *found = *found && key.len == PL_KEY_VIEW_BYTES && key.ptr[0] == PL_KEY_OF_VIEW;
    if (!*found)
        return PARLEY_OK;
    *position = pl_get_be(key.ptr + 1, 5);
    PL_TRY(pl_record_read_subset(key, value, &row));
    PL_TRY(pl_view_get_space(view, (uint32_t)(*position >> 8)));
    *out = (struct parley_view_info){ .name_space = view->space.name,
                                      .prefix = row.prefix,
                                      .state = (enum parley_view_state)row.state };
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_views(struct parley_read *read, uint64_t *position,
                                             struct parley_view_info *out, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = read_view_after(&read->view, position, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}
