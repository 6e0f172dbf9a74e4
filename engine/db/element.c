/* SPDX-License-Identifier: Apache-2.0
 *
 * The live versions of each namespace as a set in the order (time, digest), in blocks of
 * neighbours with their sum. Reconciliation compares sums of ranges: most blocks of a range count
 * whole, only the two at its ends element by element.
 *
 * Invariants
 *   E1  A block covers the points from its key to the next key of its namespace; the first key of a
 *       namespace is the lowest point. So every point is in exactly one block.
 *   E2  The elements of a namespace are its log rows: (time, digest) and sequence.
 *   E3  Elements of a block are in order; count and sum are theirs.
 *
 * The writer keeps the block that it changed last and writes it when it needs another: a run of
 * versions of one conversation costs one row. A block that is full splits where the new element
 * goes when that is the end (so time order fills blocks), else in the middle. An empty block goes.
 */
#include "db/db_int.h"

#include "core/digest.h"

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

static bool is_of(struct pl_span key, uint32_t name_space)
{
    return key.len == PL_KEY_ELEMENT_BYTES && pl_get_be(key.ptr, 4) == name_space;
}

static void take_point(struct parley_point *out, struct pl_span key)
{
    memcpy(out->bytes, key.ptr + 4, PARLEY_POINT_BYTES);
}

/* The row of the block that covers a point; *found false when the namespace has none. Leaves the
 * cursor at it. */
static PL_MUST_USE parley_err seek_block(struct pl_cursor *c, uint32_t name_space,
                                         const struct parley_point *point, struct pl_span *key,
                                         struct pl_span *value, bool *found)
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

/* ---- Writing ---- */

static struct pl_block_row row_of(const struct pl_block *block)
{
    struct pl_block_row row = { .count = block->count,
                                .elements =
                                    pl_span_of(block->elements, block->count * PL_ELEMENT_BYTES) };
    memcpy(row.sum, block->sum, sizeof row.sum);
    return row;
}

PL_MUST_USE parley_err pl_element_flush(struct pl_view *view)
{
    static const struct parley_point lowest;
    struct pl_block *block = &view->block;
    struct pl_key key;
    uint8_t bytes[PL_BLOCK_BYTES_MAX];
    if (!block->dirty)
        return PARLEY_OK;
    block->dirty = false;
    pl_key_element(&key, block->name_space, &block->lower);
    if (block->count == 0 && compare(block->lower.bytes, lowest.bytes) != 0) {
        block->name_space = 0; /* what it covered belongs to the block before it */
        return pl_txn_del(view->txn, PL_TABLE_ELEMENT, pl_key_span(&key));
    }
    struct pl_block_row row = row_of(block);
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_record_write_block(&w, pl_key_span(&key), &row);
    return pl_txn_put(view->txn, PL_TABLE_ELEMENT, pl_key_span(&key), pl_writer_span(&w));
}

static bool covers(const struct pl_block *block, uint32_t name_space,
                   const struct parley_point *point)
{
    return block->name_space == name_space && compare(block->lower.bytes, point->bytes) <= 0 &&
           (!block->bounded || compare(point->bytes, block->upper.bytes) < 0);
}

/* Makes the block that covers a point the current one; of an empty namespace a new one. */
static PL_MUST_USE parley_err load(struct pl_view *view, uint32_t name_space,
                                   const struct parley_point *point)
{
    struct pl_block *block = &view->block;
    struct pl_block_row row;
    struct pl_cursor *c;
    struct pl_span key, value;
    bool found;
    if (covers(block, name_space, point))
        return PARLEY_OK;
    PL_TRY(pl_element_flush(view));
    block->name_space = 0;
    PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
    PL_TRY(seek_block(c, name_space, point, &key, &value, &found));
    block->bounded = false;
    block->count = 0;
    memset(block->sum, 0, sizeof block->sum);
    memset(&block->lower, 0, sizeof block->lower);
    if (found) {
        PL_TRY(pl_record_read_block(key, value, &row));
        PL_TRY(pl_record_read_elements(key, &row));
        block->count = row.count;
        memcpy(block->sum, row.sum, sizeof row.sum);
        memcpy(block->elements, row.elements.ptr, row.elements.len);
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
    uint32_t high = block->count;
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
    return at < block->count && compare(block->elements + at * PL_ELEMENT_BYTES, point->bytes) == 0;
}

static void sum_up(struct pl_block *block)
{
    memset(block->sum, 0, sizeof block->sum);
    for (uint32_t i = 0; i < block->count; i++)
        pl_digest_add(block->sum, block->elements + i * PL_ELEMENT_BYTES + 8);
}

/* Cuts the full current block before element `at`; the half that covers `point` stays current. */
static PL_MUST_USE parley_err split(struct pl_view *view, uint32_t at,
                                    const struct parley_point *point)
{
    struct pl_block *left = &view->block;
    struct pl_block right = *left;
    right.count = left->count - at;
    right.dirty = true;
    if (right.count == 0)
        right.lower = *point;
    else
        memcpy(right.lower.bytes, left->elements + at * PL_ELEMENT_BYTES, PARLEY_POINT_BYTES);
    memmove(right.elements, right.elements + at * PL_ELEMENT_BYTES, right.count * PL_ELEMENT_BYTES);
    sum_up(&right);
    left->count = at;
    left->bounded = true;
    left->upper = right.lower;
    left->dirty = true;
    sum_up(left);
    if (covers(left, left->name_space, point)) {
        struct pl_block kept = *left;
        *left = right;
        PL_TRY(pl_element_flush(view));
        *left = kept;
        return PARLEY_OK;
    }
    PL_TRY(pl_element_flush(view));
    *left = right;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_element_add(struct pl_view *view, uint32_t name_space, uint64_t time,
                                      const uint8_t digest[PARLEY_DIGEST_BYTES], parley_seq seq)
{
    struct pl_block *block = &view->block;
    struct parley_point point;
    pl_element_point(&point, time, digest);
    PL_TRY(load(view, name_space, &point));
    uint32_t at = place_of(block, &point);
    if (is_at(block, at, &point))
        return PARLEY_ECORRUPT;
    if (block->count == PL_BLOCK_ELEMENTS_MAX) {
        PL_TRY(split(view, at == block->count ? at : block->count / 2, &point));
        at = place_of(block, &point);
    }
    uint8_t *element = block->elements + at * PL_ELEMENT_BYTES;
    memmove(element + PL_ELEMENT_BYTES, element, (block->count - at) * PL_ELEMENT_BYTES);
    memcpy(element, point.bytes, PARLEY_POINT_BYTES);
    pl_put_be(element + PARLEY_POINT_BYTES, seq, 8);
    block->count++;
    pl_digest_add(block->sum, digest);
    block->dirty = true;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_element_remove(struct pl_view *view, uint32_t name_space, uint64_t time,
                                         const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    struct pl_block *block = &view->block;
    struct parley_point point;
    pl_element_point(&point, time, digest);
    PL_TRY(load(view, name_space, &point));
    uint32_t at = place_of(block, &point);
    if (!is_at(block, at, &point))
        return PARLEY_ECORRUPT;
    uint8_t *element = block->elements + at * PL_ELEMENT_BYTES;
    block->count--;
    memmove(element, element + PL_ELEMENT_BYTES, (block->count - at) * PL_ELEMENT_BYTES);
    pl_digest_sub(block->sum, digest);
    block->dirty = true;
    return PARLEY_OK;
}

/* ---- Reading ---- */

/* What an iterator keeps in its opaque bytes: the rest of the block it is in. */
struct place {
    uint64_t owner;
    bool whole; /* nothing of the block was passed over: its stored sum is that of the rest */
    bool proven;
    struct pl_span key;
    struct pl_block_row row;
};
_Static_assert(sizeof(struct place) <= sizeof((struct parley_elements *)0)->impl, "must fit");

static struct pl_span element_at(const struct place *p, size_t at)
{
    return pl_span_of(p->row.elements.ptr + at * PL_ELEMENT_BYTES, PL_ELEMENT_BYTES);
}

static size_t left_in(const struct place *p)
{
    return p->row.elements.len / PL_ELEMENT_BYTES;
}

static void drop_first(struct place *p, size_t count)
{
    p->row.elements = pl_span_after(p->row.elements, count * PL_ELEMENT_BYTES);
    p->whole = false;
}

static PL_MUST_USE parley_err enter_block(struct place *p, struct pl_span key, struct pl_span value)
{
    PL_TRY(pl_record_read_block(key, value, &p->row));
    p->key = key;
    p->whole = true;
    p->proven = false;
    return PARLEY_OK;
}

/* Before the first look at single elements of a block. */
static PL_MUST_USE parley_err prove(struct place *p)
{
    if (p->proven)
        return PARLEY_OK;
    PL_TRY(pl_record_read_elements(p->key, &p->row));
    p->proven = true;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err begin(struct parley_elements *e, struct place *p)
{
    struct pl_cursor *c;
    struct pl_span key, value;
    bool found;
    PL_TRY(pl_view_cursor(&e->read->view, PL_TABLE_ELEMENT, &c));
    PL_TRY(seek_block(c, e->name_space, &e->from, &key, &value, &found));
    e->read->view.cursor_owner[PL_TABLE_ELEMENT] = p->owner;
    if (!found) {
        e->name_space = 0;
        return PARLEY_OK;
    }
    PL_TRY(enter_block(p, key, value));
    size_t skip = 0;
    PL_TRY(prove(p));
    while (skip < left_in(p) && compare(element_at(p, skip).ptr, e->from.bytes) < 0)
        skip++;
    if (skip != 0)
        drop_first(p, skip);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_elements_begin(struct parley_read *read,
                                                 struct pl_span name_space,
                                                 const struct parley_point *from,
                                                 struct parley_elements *out)
{
    bool found = false;
    if (read->err != PARLEY_OK)
        return read->err;
    struct place place = { .owner = ++read->iterators };
    *out = (struct parley_elements){ .read = read, .from = *from };
    parley_err err = pl_view_find_space(&read->view, name_space, &found);
    if (err == PARLEY_OK && found) {
        out->name_space = read->view.space_number;
        err = begin(out, &place);
    }
    memcpy(out->impl, &place, sizeof place);
    return pl_read_keep(read, err);
}

/* Makes sure that the place has an element left; *found false at the end of the namespace. */
static PL_MUST_USE parley_err advance(struct parley_elements *e, struct place *p, bool *found)
{
    struct pl_view *view = &e->read->view;
    struct pl_cursor *c = &view->cursors[PL_TABLE_ELEMENT];
    struct pl_span key, value;
    *found = e->name_space != 0;
    while (*found && left_in(p) == 0) {
        if (view->cursor_owner[PL_TABLE_ELEMENT] != p->owner) {
            PL_TRY(pl_view_cursor(view, PL_TABLE_ELEMENT, &c));
            PL_TRY(pl_cursor_seek(c, p->key, &key, &value, found));
            view->cursor_owner[PL_TABLE_ELEMENT] = p->owner;
        }
        PL_TRY(pl_cursor_next(c, &key, &value, found));
        if (!*found || !is_of(key, e->name_space)) {
            *found = false;
            e->name_space = 0;
            return PARLEY_OK;
        }
        PL_TRY(enter_block(p, key, value));
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err next_element(struct parley_elements *e, struct place *p,
                                           struct parley_element *out, bool *found)
{
    PL_TRY(advance(e, p, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(prove(p));
    struct pl_span element = element_at(p, 0);
    memcpy(out->point.bytes, element.ptr, PARLEY_POINT_BYTES);
    out->seq = pl_get_be(element.ptr + PARLEY_POINT_BYTES, 8);
    drop_first(p, 1);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_elements_next(struct parley_elements *elements,
                                                struct parley_element *out, bool *found)
{
    struct place place;
    bool have = false;
    if (elements->read->err != PARLEY_OK)
        return elements->read->err;
    memcpy(&place, elements->impl, sizeof place);
    parley_err err = next_element(elements, &place, out, &have);
    memcpy(elements->impl, &place, sizeof place);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(elements->read, err);
}

/* How many of the elements left are below `to`. */
static size_t count_below(const struct place *p, const struct parley_point *to)
{
    size_t count = left_in(p);
    if (to == NULL || compare(element_at(p, count - 1).ptr, to->bytes) < 0)
        return count;
    for (count = 0; compare(element_at(p, count).ptr, to->bytes) < 0;)
        count++;
    return count;
}

static PL_MUST_USE parley_err next_run(struct parley_elements *e, struct place *p,
                                       const struct parley_point *to, struct parley_run *out,
                                       bool *found)
{
    PL_TRY(advance(e, p, found));
    if (!*found)
        return PARLEY_OK;
    size_t count = count_below(p, to);
    *found = count != 0;
    if (!*found)
        return PARLEY_OK;
    bool whole = p->whole && count == left_in(p);
    if (!whole)
        PL_TRY(prove(p));
    memcpy(out->first.bytes, element_at(p, 0).ptr, PARLEY_POINT_BYTES);
    memcpy(out->last.bytes, element_at(p, count - 1).ptr, PARLEY_POINT_BYTES);
    out->root = (struct parley_root){ .count = count };
    if (whole)
        memcpy(out->root.sum, p->row.sum, sizeof out->root.sum);
    for (size_t i = 0; !whole && i < count; i++)
        pl_digest_add(out->root.sum, element_at(p, i).ptr + 8);
    drop_first(p, count);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_elements_run(struct parley_elements *elements,
                                               const struct parley_point *to,
                                               struct parley_run *out, bool *found)
{
    struct place place;
    bool have = false;
    if (elements->read->err != PARLEY_OK)
        return elements->read->err;
    memcpy(&place, elements->impl, sizeof place);
    parley_err err = next_run(elements, &place, to, out, &have);
    memcpy(elements->impl, &place, sizeof place);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(elements->read, err);
}
