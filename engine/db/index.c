/* SPDX-License-Identifier: Apache-2.0
 *
 * When versions come into the sets of element.c. A merge takes them out at once, when they are in;
 * it puts none in: that is done for many together, in the order of the sets, so that a block that
 * many of them belong to is written once. What is not in yet is the end of the change log.
 *
 * Invariant
 *   X1  The sets hold the live versions with a sequence of at most `indexed`, and no other.
 *
 * A batch that leaves little behind `indexed` ends with a step in its own transaction. After a bulk
 * of writes parley_db_maintain makes the steps, or whoever needs the sets asks for them.
 */
#include "db/db_int.h"

struct entry {
    uint32_t set;
    struct parley_point point;
    uint64_t seq;
};

static int compare(const struct entry *a, const struct entry *b)
{
    uint64_t a_time = pl_get_be(a->point.bytes, 8);
    uint64_t b_time = pl_get_be(b->point.bytes, 8);
    if (a->set != b->set)
        return a->set < b->set ? -1 : 1;
    if (a_time != b_time)
        return a_time < b_time ? -1 : 1;
    return memcmp(a->point.bytes + 8, b->point.bytes + 8, PARLEY_POINT_BYTES - 8);
}

/* Lets the entry at `at` sink in the heap of the first `count`: down to a leaf by way of the
 * greater children, and up from there, since most belong near the leaves. */
static void sink(struct entry *entries, size_t at, size_t count)
{
    struct entry moving = entries[at];
    size_t hole = at;
    for (size_t child; (child = 2 * hole + 1) < count; hole = child) {
        if (child + 1 < count && compare(&entries[child], &entries[child + 1]) < 0)
            child++;
        entries[hole] = entries[child];
    }
    while (hole > at && compare(&entries[(hole - 1) / 2], &moving) < 0) {
        entries[hole] = entries[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    entries[hole] = moving;
}

static void sort(struct entry *entries, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sink(entries, i, count);
    for (size_t end = count; end > 1; end--) {
        struct entry greatest = entries[0];
        entries[0] = entries[end - 1];
        entries[end - 1] = greatest;
        sink(entries, 0, end - 1);
    }
}

/* One entry for each set of the version. */
static PL_MUST_USE parley_err add_entries(struct parley_db *db, struct pl_view *view,
                                          const struct pl_record *record, uint64_t seq,
                                          struct entry *entries, size_t *count)
{
    uint32_t sets[PL_SETS_MAX];
    uint32_t set_count;
    struct parley_point point;
    pl_element_point(&point, record->stamp.time, record->digest);
    PL_TRY(pl_view_get_talk(view, record->conversation));
    PL_TRY(pl_subset_list(db, view, record->kind, record->id, record->flags, sets, &set_count));
    for (uint32_t i = 0; i < set_count; i++)
        entries[(*count)++] = (struct entry){ .set = sets[i], .point = point, .seq = seq };
    return PARLEY_OK;
}

/* The live versions behind `indexed`, until there are `max` entries or more, but for those of one
 * version; `*reached`: as far as they were looked at. */
static PL_MUST_USE parley_err collect(struct parley_db *db, struct pl_view *view,
                                      struct entry *entries, size_t max, size_t *count,
                                      uint64_t *reached)
{
    struct pl_key at;
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found = false;
    pl_key_log(&at, view->counters.indexed + 1);
    PL_TRY(pl_view_cursor(view, PL_TABLE_LOG, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&at), &key, &value, &found));
    *count = 0;
    while (found && *count < max) {
        struct pl_record record;
        if (key.len != 8)
            return PARLEY_ECORRUPT;
        PL_TRY(pl_record_read_version(key, value, &record));
        *reached = pl_get_be(key.ptr, 8);
        PL_TRY(add_entries(db, view, &record, *reached, entries, count));
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
    }
    if (!found)
        *reached = view->counters.head;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_index_step(struct parley_db *db, struct pl_view *view, uint64_t max)
{
    uint64_t behind = view->counters.head - view->counters.indexed;
    size_t room = (size_t)pl_min_u64(behind * PL_SETS_MAX, max);
    uint64_t reached = view->counters.indexed;
    size_t count = 0;
    PL_TRY(pl_view_flush(view));
    PL_TRY(pl_db_room(db, &db->entries, (room + PL_SETS_MAX) * sizeof(struct entry)));
    struct entry *entries = (struct entry *)(void *)db->entries.ptr;
    PL_TRY(collect(db, view, entries, room, &count, &reached));
    sort(entries, count);
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        PL_TRY(pl_element_add(view, e->set, &e->point, e->seq));
    }
    view->counters.indexed = reached;
    return PARLEY_OK;
}
