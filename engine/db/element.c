/* SPDX-License-Identifier: Apache-2.0
 *
 * The live versions of each namespace, and of each of its views, as a set in the order (time,
 * digest), in blocks of neighbours. Table ELEMENT holds the blocks, table SUM under the same keys
 * their counts and sums, close together. Reconciliation compares sums of ranges: it reads SUM, and
 * ELEMENT only where a range ends inside a block.
 *
 * Invariants
 *   E1  A block covers the points from its key to the next key of its set; the first key of a set
 *       is the lowest point. So every point is in exactly one block.
 *   E2  The elements of a namespace are its log rows up to where index.c has come: (time, digest)
 *       and sequence; those of a view those of its conversations (subset.c). The tombstones of each
 *       are a set of their own beside it, under the number with PL_SPACE_TOMBSTONES.
 *   E3  Elements of a block are in order; its row of SUM is theirs.
 *
 * The writer keeps the blocks that it changed last and writes one when it needs another of its set:
 * a run of versions of one conversation costs two rows a set. A block that is full splits where
 * the new element goes when that is the end (so time order fills blocks), else in the middle. Its
 * new key is as short as it can be: a time alone, if that separates the halves. An empty block
 * goes.
 */
#include "db/db_int.h"

#include "core/digest.h"
#include "db/measure.h"

void pl_element_point(struct parley_point *out, uint64_t time,
                      const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    pl_put_be(out->bytes, time, 8);
    memcpy(out->bytes + 8, digest, PARLEY_DIGEST_BYTES);
}

static int compare(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, PARLEY_POINT_BYTES);
}

static bool is_of(struct parley_span key, uint32_t name_space)
{
    return key.len == PL_KEY_ELEMENT_BYTES && pl_get_be(key.ptr, 4) == name_space;
}

static void take_point(struct parley_point *out, struct parley_span key)
{
    memcpy(out->bytes, key.ptr + 4, PARLEY_POINT_BYTES);
}

/* The row of the block that covers a point; *found false when the namespace has none. Leaves the
 * cursor at it. */
static PL_MUST_USE parley_err seek_block(struct pl_cursor *c, uint32_t name_space,
                                         const struct parley_point *point, struct parley_span *key,
                                         struct parley_span *value, bool *found)
{
    struct pl_key wanted;
    pl_key_element(&wanted, name_space, point);
    PL_TRY(pl_cursor_seek(c, pl_key_span(&wanted), key, value, found));
    if (*found && pl_span_equal(*key, pl_key_span(&wanted)))
        return PARLEY_OK;
    PL_TRY(pl_cursor_prev(c, key, value, found));
    *found = *found && is_of(*key, name_space);
    return PARLEY_OK;
}

/* The digests of elements, summed. */
static struct parley_root sum_of(const uint8_t *elements, size_t count)
{
    struct parley_root root = { .count = count };
    for (size_t i = 0; i < count; i++)
        pl_digest_add(root.sum, elements + i * PL_ELEMENT_BYTES + 8);
    return root;
}

/* ---- Writing ---- */

/* Where the block of a set is kept: those of a namespace and of its tombstones apart from those of
 * its views. */
static struct pl_block *kept_block(struct pl_view *view, uint32_t set)
{
    uint32_t slot = (set & ~PL_SPACE_TOMBSTONES) >> PL_SET_SLOT_SHIFT;
    if (slot == 0)
        return &view->blocks[(set & PL_SPACE_TOMBSTONES) == 0 ? 0 : 1];
    return &view->blocks[2 + slot % (PL_BLOCKS_OPEN - 2)];
}

static PL_MUST_USE parley_err flush(struct pl_view *view, struct pl_block *block)
{
    static const struct parley_point lowest;
    struct pl_key key;
    uint8_t bytes[PL_BLOCK_BYTES_MAX + PL_RECORD_SUM_BYTES];
    if (!block->dirty)
        return PARLEY_OK;
    block->dirty = false;
    pl_key_element(&key, block->name_space, &block->lower);
    if (block->root.count == 0 && compare(block->lower.bytes, lowest.bytes) != 0) {
        block->name_space = 0; /* what it covered belongs to the block before it */
        PL_TRY(pl_txn_del(view->txn, PL_TABLE_SUM, pl_key_span(&key)));
        return pl_txn_del(view->txn, PL_TABLE_ELEMENT, pl_key_span(&key));
    }
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_record_write_sum(&w, pl_key_span(&key), &block->root);
    PL_TRY(pl_txn_put(view->txn, PL_TABLE_SUM, pl_key_span(&key), pl_writer_span(&w)));
    w = pl_writer_over(bytes, sizeof bytes);
    pl_record_write_elements(
        &w, pl_key_span(&key),
        pl_span_of(block->elements, (size_t)block->root.count * PL_ELEMENT_BYTES));
    return pl_txn_put(view->txn, PL_TABLE_ELEMENT, pl_key_span(&key), pl_writer_span(&w));
}

PL_MUST_USE parley_err pl_element_flush(struct pl_view *view)
{
    for (size_t i = 0; i < PL_BLOCKS_OPEN; i++)
        PL_TRY(flush(view, &view->blocks[i]));
    return PARLEY_OK;
}

static bool covers(const struct pl_block *block, uint32_t name_space,
                   const struct parley_point *point)
{
    return block->name_space == name_space && compare(block->lower.bytes, point->bytes) <= 0 &&
           (!block->bounded || compare(point->bytes, block->upper.bytes) < 0);
}

/* Makes the block that covers a point the current one; of an empty namespace a new one. */
static PL_MUST_USE parley_err load(struct pl_view *view, struct pl_block *block,
                                   uint32_t name_space, const struct parley_point *point)
{
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found;
    if (covers(block, name_space, point))
        return PARLEY_OK;
    PL_TRY(flush(view, block));
    block->name_space = 0;
    PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
    PL_TRY(seek_block(c, name_space, point, &key, &value, &found));
    block->bounded = false;
    block->root = (struct parley_root){ 0 };
    memset(&block->lower, 0, sizeof block->lower);
    if (found) {
        struct parley_span elements;
        PL_TRY(pl_record_read_elements(key, value, &elements));
        memcpy(block->elements, elements.ptr, elements.len);
        block->root = sum_of(block->elements, elements.len / PL_ELEMENT_BYTES);
        take_point(&block->lower, key);
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
        block->bounded = found && is_of(key, name_space);
        if (block->bounded)
            take_point(&block->upper, key);
    }
    block->name_space = name_space;
    return PARLEY_OK;
}

/* Where an element is, or belongs. */
static uint32_t place_of(const struct pl_block *block, const struct parley_point *point)
{
    uint32_t low = 0;
    uint32_t high = (uint32_t)block->root.count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare(block->elements + middle * PL_ELEMENT_BYTES, point->bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct pl_block *block, uint32_t at, const struct parley_point *point)
{
    return at < block->root.count &&
           compare(block->elements + at * PL_ELEMENT_BYTES, point->bytes) == 0;
}

/* The shortest point above `before` and not above `after`. */
static struct parley_point between(const uint8_t *before, const uint8_t *after)
{
    struct parley_point point = { { 0 } };
    size_t len = 8;
    while (len < PARLEY_POINT_BYTES && memcmp(before, after, len) == 0)
        len += 4;
    memcpy(point.bytes, after, len);
    return point;
}

/* Cuts the full current block before element `at`; the half that covers `point` stays current. */
static PL_MUST_USE parley_err split(struct pl_view *view, struct pl_block *left, uint32_t at,
                                    const struct parley_point *point)
{
    struct pl_block right = *left;
    uint32_t count = (uint32_t)left->root.count - at;
    const uint8_t *first = left->elements + at * PL_ELEMENT_BYTES;
    right.lower = between(first - PL_ELEMENT_BYTES, count == 0 ? point->bytes : first);
    memmove(right.elements, first, count * PL_ELEMENT_BYTES);
    right.root = sum_of(right.elements, count);
    if (count != 0)
        left->root = sum_of(left->elements, at);
    left->bounded = true;
    left->upper = right.lower;
    left->dirty = right.dirty = true;
    if (!covers(left, left->name_space, point)) {
        PL_TRY(flush(view, left));
        *left = right;
        return PARLEY_OK;
    }
    struct pl_block kept = *left;
    *left = right;
    PL_TRY(flush(view, left));
    *left = kept;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_element_add(struct pl_view *view, uint32_t set,
                                      const struct parley_point *point, parley_seq seq)
{
    struct pl_block *block = kept_block(view, set);
    PL_TRY(load(view, block, set, point));
    uint32_t at = place_of(block, point);
    if (is_at(block, at, point))
        return PARLEY_ECORRUPT;
    if (block->root.count == PL_BLOCK_ELEMENTS_MAX) {
        PL_TRY(split(view, block, at == PL_BLOCK_ELEMENTS_MAX ? at : PL_BLOCK_ELEMENTS_MAX / 2,
                     point));
        at = place_of(block, point);
    }
    uint8_t *element = block->elements + at * PL_ELEMENT_BYTES;
    memmove(element + PL_ELEMENT_BYTES, element,
            (size_t)(block->root.count - at) * PL_ELEMENT_BYTES);
    memcpy(element, point->bytes, PARLEY_POINT_BYTES);
    pl_put_be(element + PARLEY_POINT_BYTES, seq, 8);
    block->root.count++;
    pl_digest_add(block->root.sum, point->bytes + 8);
    block->dirty = true;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_element_remove(struct pl_view *view, uint32_t set,
                                         const struct parley_point *point)
{
    struct pl_block *block = kept_block(view, set);
    PL_TRY(load(view, block, set, point));
    uint32_t at = place_of(block, point);
    if (!is_at(block, at, point))
        return PARLEY_ECORRUPT;
    uint8_t *element = block->elements + at * PL_ELEMENT_BYTES;
    block->root.count--;
    memmove(element, element + PL_ELEMENT_BYTES,
            (size_t)(block->root.count - at) * PL_ELEMENT_BYTES);
    pl_digest_sub(block->root.sum, point->bytes + 8);
    block->dirty = true;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_element_clear(struct pl_view *view, uint32_t set, uint32_t blocks,
                                        bool *done)
{
    static const struct parley_point lowest;
    PL_TRY(pl_element_flush(view));
    kept_block(view, set)->name_space = 0;
    for (uint32_t i = 0; i < blocks; i++) {
        struct pl_cursor *c;
        struct pl_key at;
        struct parley_span key, value;
        bool found;
        pl_key_element(&at, set, &lowest);
        PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
        PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
        *done = !found || !is_of(key, set);
        if (*done)
            return PARLEY_OK;
        memcpy(at.bytes, key.ptr, key.len);
        PL_TRY(pl_txn_del(view->txn, PL_TABLE_SUM, pl_key_span(&at)));
        PL_TRY(pl_txn_del(view->txn, PL_TABLE_ELEMENT, pl_key_span(&at)));
    }
    *done = false;
    return PARLEY_OK;
}

void pl_db_leave_out_elements(struct parley_db *db)
{
    db->without_elements = true;
}

/* ---- Reading: elements ---- */

/* What an iterator over elements keeps in its opaque bytes. */
struct place {
    uint64_t owner;
    struct parley_span key;  /* of the block at hand */
    struct parley_span left; /* its elements not given yet */
};
_Static_assert(sizeof(struct place) <= sizeof((struct parley_elements *)0)->impl, "must fit");

/* The number that the keys of a set's blocks begin with; 0: there is none. */
static PL_MUST_USE parley_err find_set(struct parley_read *read, const struct parley_set *set,
                                       uint32_t *space)
{
    bool found = false;
    uint8_t slot = 0;
    enum parley_view_state state = PARLEY_VIEW_READY;
    *space = 0;
    PL_TRY(pl_view_find_space(&read->view, set->name_space, &found));
    if (found && set->prefix.len != 0)
        PL_TRY(pl_subset_find(&read->view, set->prefix, &slot, &state));
    if (state != PARLEY_VIEW_READY || (!found && set->prefix.len != 0))
        return PARLEY_ESTATE;
    *space = found ? pl_set_number(read->view.space_number, slot) : 0;
    if (found && set->tombstones)
        *space |= PL_SPACE_TOMBSTONES;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err begin_elements(struct parley_elements *e, struct place *p,
                                             const struct parley_point *from)
{
    struct pl_cursor *c;
    struct parley_span value;
    bool found;
    PL_TRY(pl_view_cursor(&e->read->view, PL_TABLE_ELEMENT, &c));
    PL_TRY(seek_block(c, e->space, from, &p->key, &value, &found));
    e->read->view.cursor_owner[PL_TABLE_ELEMENT] = p->owner;
    if (!found) {
        e->space = 0;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_elements(p->key, value, &p->left));
    while (p->left.len != 0 && compare(p->left.ptr, from->bytes) < 0)
        p->left = pl_span_after(p->left, PL_ELEMENT_BYTES);
    return PARLEY_OK;
}

/* Opens the iterator and puts it at `at`, by `seek`. */
static PL_MUST_USE parley_err begin_at(struct parley_read *read, const struct parley_set *set,
                                       const struct parley_point *at, struct parley_elements *out,
                                       parley_err (*seek)(struct parley_elements *e,
                                                          struct place *p,
                                                          const struct parley_point *at))
{
    if (read->err != PARLEY_OK)
        return read->err;
    struct place place = { .owner = ++read->iterators };
    *out = (struct parley_elements){ .read = read };
    parley_err err = find_set(read, set, &out->space);
    if (err == PARLEY_OK && out->space != 0)
        err = seek(out, &place, at);
    memcpy(out->impl, &place, sizeof place);
    return pl_read_keep(read, err);
}

PARLEY_MUST_USE parley_err parley_elements_begin(struct parley_read *read,
                                                 const struct parley_set *set,
                                                 const struct parley_point *from,
                                                 struct parley_elements *out)
{
    return begin_at(read, set, from, out, begin_elements);
}

/* The row after `*key`; *found false at the end of the namespace. */
static PL_MUST_USE parley_err step(struct parley_read *read, enum pl_table t, uint64_t owner,
                                   struct parley_span *key, struct parley_span *value, bool *found)
{
    uint32_t name_space = (uint32_t)pl_get_be(key->ptr, 4);
    struct pl_key after;
    after.len = key->len;
    memcpy(after.bytes, key->ptr, key->len);
    pl_key_bump(&after);
    PL_TRY(pl_read_advance(read, t, owner, pl_key_span(&after), key, value, found));
    *found = *found && is_of(*key, name_space);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err next_element(struct parley_elements *e, struct place *p,
                                           struct parley_element *out, bool *found)
{
    *found = e->space != 0;
    while (*found && p->left.len == 0) {
        struct parley_span value;
        PL_TRY(step(e->read, PL_TABLE_ELEMENT, p->owner, &p->key, &value, found));
        if (*found)
            PL_TRY(pl_record_read_elements(p->key, value, &p->left));
    }
    if (!*found) {
        e->space = 0;
        return PARLEY_OK;
    }
    memcpy(out->point.bytes, p->left.ptr, PARLEY_POINT_BYTES);
    out->seq = pl_get_be(p->left.ptr + PARLEY_POINT_BYTES, 8);
    p->left = pl_span_after(p->left, PL_ELEMENT_BYTES);
    return PARLEY_OK;
}

/* One step of the iterator, by `move`. */
static PL_MUST_USE parley_err move_on(struct parley_elements *elements, struct parley_element *out,
                                      bool *found,
                                      parley_err (*move)(struct parley_elements *e, struct place *p,
                                                         struct parley_element *out, bool *found))
{
    struct place place;
    bool have = false;
    if (elements->read->err != PARLEY_OK)
        return elements->read->err;
    memcpy(&place, elements->impl, sizeof place);
    parley_err err = move(elements, &place, out, &have);
    memcpy(elements->impl, &place, sizeof place);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(elements->read, err);
}

PARLEY_MUST_USE parley_err parley_elements_next(struct parley_elements *elements,
                                                struct parley_element *out, bool *found)
{
    return move_on(elements, out, found, next_element);
}

/* ---- Reading: elements, downwards ---- */

static struct parley_span all_but_last(struct parley_span elements)
{
    return pl_span_of(elements.ptr, elements.len - PL_ELEMENT_BYTES);
}

static const uint8_t *last_of(struct parley_span elements)
{
    return elements.ptr + elements.len - PL_ELEMENT_BYTES;
}

static PL_MUST_USE parley_err begin_below(struct parley_elements *e, struct place *p,
                                          const struct parley_point *below)
{
    struct parley_point top;
    struct pl_cursor *c;
    struct parley_span value;
    bool found;
    memset(top.bytes, 0xff, sizeof top.bytes);
    PL_TRY(pl_view_cursor(&e->read->view, PL_TABLE_ELEMENT, &c));
    PL_TRY(seek_block(c, e->space, below == NULL ? &top : below, &p->key, &value, &found));
    e->read->view.cursor_owner[PL_TABLE_ELEMENT] = p->owner;
    if (!found) {
        e->space = 0;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_elements(p->key, value, &p->left));
    while (below != NULL && p->left.len != 0 && compare(last_of(p->left), below->bytes) >= 0)
        p->left = all_but_last(p->left);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_elements_begin_below(struct parley_read *read,
                                                       const struct parley_set *set,
                                                       const struct parley_point *below,
                                                       struct parley_elements *out)
{
    return begin_at(read, set, below, out, begin_below);
}

/* The block before the one at hand; *found false at the beginning of the namespace. */
static PL_MUST_USE parley_err step_back(struct parley_read *read, struct place *p,
                                        struct parley_span *value, bool *found)
{
    struct pl_view *view = &read->view;
    struct pl_cursor *c = &view->cursors[PL_TABLE_ELEMENT];
    struct parley_span key = p->key;
    if (view->cursor_owner[PL_TABLE_ELEMENT] != p->owner) {
        PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
        PL_TRY(pl_cursor_seek(c, p->key, &key, value, found));
        view->cursor_owner[PL_TABLE_ELEMENT] = p->owner;
    }
    PL_TRY(pl_cursor_prev(c, &key, value, found));
    *found = *found && is_of(key, (uint32_t)pl_get_be(p->key.ptr, 4));
    if (*found)
        p->key = key;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err prev_element(struct parley_elements *e, struct place *p,
                                           struct parley_element *out, bool *found)
{
    *found = e->space != 0;
    while (*found && p->left.len == 0) {
        struct parley_span value;
        PL_TRY(step_back(e->read, p, &value, found));
        if (*found)
            PL_TRY(pl_record_read_elements(p->key, value, &p->left));
    }
    if (!*found) {
        e->space = 0;
        return PARLEY_OK;
    }
    const uint8_t *last = last_of(p->left);
    memcpy(out->point.bytes, last, PARLEY_POINT_BYTES);
    out->seq = pl_get_be(last + PARLEY_POINT_BYTES, 8);
    p->left = all_but_last(p->left);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_elements_prev(struct parley_elements *elements,
                                                struct parley_element *out, bool *found)
{
    return move_on(elements, out, found, prev_element);
}

/* ---- Reading: runs ---- */

/* What an iterator over runs keeps in its opaque bytes: the block at hand, and the key behind it,
 * where the cursor is. */
struct run_place {
    uint64_t owner;
    struct parley_point from; /* what is below it of the block at hand was given */
    struct parley_span key, value;
    struct parley_span next_key, next_value;
    bool has_next;
};
_Static_assert(sizeof(struct run_place) <= sizeof((struct parley_runs *)0)->impl, "must fit");

static PL_MUST_USE parley_err look_ahead(struct parley_runs *runs, struct run_place *p)
{
    p->next_key = p->key;
    return step(runs->read, PL_TABLE_SUM, p->owner, &p->next_key, &p->next_value, &p->has_next);
}

static PL_MUST_USE parley_err begin_runs(struct parley_runs *runs, struct run_place *p)
{
    struct pl_cursor *c;
    bool found;
    PL_TRY(pl_view_cursor(&runs->read->view, PL_TABLE_SUM, &c));
    PL_TRY(seek_block(c, runs->space, &p->from, &p->key, &p->value, &found));
    runs->read->view.cursor_owner[PL_TABLE_SUM] = p->owner;
    if (!found) {
        runs->space = 0;
        return PARLEY_OK;
    }
    return look_ahead(runs, p);
}

PARLEY_MUST_USE parley_err parley_runs_begin(struct parley_read *read, const struct parley_set *set,
                                             const struct parley_point *from,
                                             struct parley_runs *out)
{
    if (read->err != PARLEY_OK)
        return read->err;
    struct run_place place = { .owner = ++read->iterators, .from = *from };
    *out = (struct parley_runs){ .read = read };
    parley_err err = find_set(read, set, &out->space);
    if (err == PARLEY_OK && out->space != 0) {
        err = begin_runs(out, &place);
    }
    memcpy(out->impl, &place, sizeof place);
    return pl_read_keep(read, err);
}

/* The elements of the block at hand from p->from to below `to`. */
static PL_MUST_USE parley_err sum_part(struct parley_read *read, const struct run_place *p,
                                       const struct parley_point *to, struct parley_root *out)
{
    struct parley_span value, elements;
    bool found;
    PL_TRY(pl_txn_get(read->view.txn, PL_TABLE_ELEMENT, p->key, &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_elements(p->key, value, &elements));
    while (elements.len != 0 && compare(elements.ptr, p->from.bytes) < 0)
        elements = pl_span_after(elements, PL_ELEMENT_BYTES);
    size_t count = 0;
    while (count * PL_ELEMENT_BYTES < elements.len &&
           (to == NULL || compare(elements.ptr + count * PL_ELEMENT_BYTES, to->bytes) < 0))
        count++;
    *out = sum_of(elements.ptr, count);
    return PARLEY_OK;
}

/* One block, or its part below `to`. *end: `to` was reached. */
static PL_MUST_USE parley_err next_block(struct parley_runs *runs, struct run_place *p,
                                         const struct parley_point *to, struct parley_run *out,
                                         bool *end)
{
    bool cut = to != NULL && (!p->has_next || compare(to->bytes, p->next_key.ptr + 4) < 0);
    bool begun = compare(p->from.bytes, p->key.ptr + 4) > 0;
    memcpy(out->lower.bytes, begun ? p->from.bytes : p->key.ptr + 4, PARLEY_POINT_BYTES);
    *end = cut;
    if (cut && compare(to->bytes, out->lower.bytes) <= 0) {
        out->root = (struct parley_root){ 0 };
        return PARLEY_OK;
    }
    if (cut || begun)
        PL_TRY(sum_part(runs->read, p, cut ? to : NULL, &out->root));
    else
        PL_TRY(pl_record_read_sum(p->key, p->value, &out->root));
    if (cut) {
        p->from = *to;
        return PARLEY_OK;
    }
    if (!p->has_next) {
        runs->space = 0;
        return PARLEY_OK;
    }
    p->key = p->next_key;
    p->value = p->next_value;
    return look_ahead(runs, p);
}

PARLEY_MUST_USE parley_err parley_runs_next(struct parley_runs *runs, const struct parley_point *to,
                                            struct parley_run *out, bool *found)
{
    struct run_place place;
    struct parley_run run = { .root = { 0 } };
    parley_err err = runs->read->err;
    bool end = false;
    if (err != PARLEY_OK)
        return err;
    memcpy(&place, runs->impl, sizeof place);
    while (err == PARLEY_OK && run.root.count == 0 && !end && runs->space != 0)
        err = next_block(runs, &place, to, &run, &end);
    memcpy(runs->impl, &place, sizeof place);
    if (err == PARLEY_OK) {
        *out = run;
        *found = run.root.count != 0;
    }
    return pl_read_keep(runs->read, err);
}
