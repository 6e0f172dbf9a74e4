/* SPDX-License-Identifier: Apache-2.0
 *
 * The asking side of a reconciliation; see descent.h.
 */
#include "sync/descent.h"

#include "core/hash.h"

_Static_assert(sizeof(struct pl_descent) <= 65536, "64 KiB a session");
_Static_assert(sizeof(struct pl_range_entry) == 48, "counts in what a session costs");
_Static_assert(2 * PL_QUERY_PARTS_MAX <= 64 && PL_LEAF_KEYS_MAX <= 64, "bits of an answer");
_Static_assert(sizeof(struct pl_wide_bits) == sizeof(struct pl_range_entry), "share the pool");

/* D3: what the levels below must find free. */
#define LEVEL_RESERVE (PL_DESCENT_ENTRIES / 4)
/* The top is so many ranges of PL_RANGE_PARTS_MAX parts each: the first round trip narrows a
 * difference down to a five-hundredth. */
#define TOP_RANGES_MAX PL_LIMIT(16u, 2u)
/* Begun with room for this much, so that a query is not made of crumbs. */
#define QUERY_ROOM_BYTES (PL_ROUND_FRAME_BYTES / 4)

/* ---- Entries and lists ---- */

static struct pl_range_entry *at(struct pl_descent *d, uint16_t index)
{
    PL_ASSERT(index != 0 && index < PL_DESCENT_ENTRIES);
    return &d->pool[index].range;
}

static void push(struct pl_descent *d, struct pl_range_list *list, uint16_t index)
{
    at(d, index)->next = 0;
    if (list->last != 0)
        at(d, list->last)->next = index;
    else
        list->first = index;
    list->last = index;
}

static uint16_t pop(struct pl_descent *d, struct pl_range_list *list)
{
    uint16_t index = list->first;
    PL_ASSERT(index != 0);
    list->first = at(d, index)->next;
    if (list->first == 0)
        list->last = 0;
    return index;
}

static void release(struct pl_descent *d, uint16_t index)
{
    at(d, index)->next = d->free;
    d->free = index;
    d->free_count++;
}

static void give_back(struct pl_descent *d, uint16_t index)
{
    const struct pl_range_entry *entry = at(d, index);
    if (entry->count == PL_RANGE_WIDE)
        release(d, (uint16_t)entry->bits);
    release(d, index);
}

/* The caller has looked at free_count. */
static uint16_t allocate(struct pl_descent *d)
{
    uint16_t index = d->free;
    PL_ASSERT(index != 0);
    d->free = at(d, index)->next;
    d->free_count--;
    return index;
}

static void take(struct pl_descent *d, struct pl_range_list *list,
                 const struct pl_range_entry *entry)
{
    uint16_t index = allocate(d);
    *at(d, index) = *entry;
    if (entry->count == PL_RANGE_WIDE)
        at(d, index)->bits = allocate(d);
    push(d, list, index);
}

static struct pl_bound from_of(const struct pl_range_entry *entry)
{
    return (struct pl_bound){ entry->from_time, entry->from_prefix };
}

static struct pl_bound to_of(const struct pl_range_entry *entry)
{
    return (struct pl_bound){ entry->to_time, entry->to_prefix };
}

static struct pl_range_entry entry_of(const struct pl_bound *from, const struct pl_bound *to,
                                      uint8_t space)
{
    return (struct pl_range_entry){ .from_time = from->time,
                                    .from_prefix = from->prefix,
                                    .to_time = to->time,
                                    .to_prefix = to->prefix,
                                    .space = space };
}

/* ---- Bits of a leaf ---- */

static uint32_t key_count(const struct pl_range_entry *entry)
{
    return entry->count == PL_RANGE_WIDE ? (uint32_t)(entry->bits >> 16) : entry->count;
}

static uint64_t *word_of(struct pl_descent *d, struct pl_range_entry *entry, uint32_t key)
{
    if (entry->count != PL_RANGE_WIDE)
        return &entry->bits;
    return &d->pool[(uint16_t)entry->bits].wide.words[key / 64];
}

static bool is_wanted(struct pl_descent *d, struct pl_range_entry *entry, uint32_t key)
{
    return (*word_of(d, entry, key) >> (key % 64) & 1) != 0;
}

static void set_wanted(struct pl_descent *d, struct pl_range_entry *entry, uint32_t key, bool want)
{
    uint64_t *word = word_of(d, entry, key);
    *word = (*word & ~(UINT64_C(1) << (key % 64))) | (want ? UINT64_C(1) << (key % 64) : 0);
}

void pl_descent_init(struct pl_descent *d, const struct pl_salt *salt, parley_seq head)
{
    *d = (struct pl_descent){ .salt = *salt, .head = head, .next_number = 1 };
    for (uint16_t i = PL_DESCENT_ENTRIES - 1; i > 0; i--)
        give_back(d, i);
}

void pl_descent_add_space(struct pl_descent *d, const struct pl_scope *scope, bool takes)
{
    size_t len = scope->name_space.len;
    PL_ASSERT(d->space_count < PL_DESCENT_SPACES && len <= PARLEY_NAMESPACE_BYTES_MAX);
    struct pl_descent_space *space = &d->spaces[d->space_count++];
    memcpy(space->name, scope->name_space.ptr, len);
    space->scope = *scope;
    space->scope.name_space = pl_span_of(space->name, len);
    space->takes = takes;
}

static const struct pl_scope *scope_of(const struct pl_descent *d, uint8_t space)
{
    return &d->spaces[space].scope;
}

/* ---- Cutting ---- */

static uint64_t square_root(uint64_t value)
{
    uint64_t root = 1;
    while ((root + 1) * (root + 1) <= value)
        root++;
    return root;
}

/* Elements of a part: the top cuts a namespace into about five hundred; the middle halfway from
 * there, as a ratio, to a leaf; what is low into leaves. */
static uint64_t limit_of(enum pl_descent_level level, uint64_t total)
{
    uint64_t top = total / (TOP_RANGES_MAX * PL_RANGE_PARTS_MAX) + 1;
    uint64_t limit = PL_LEAF_KEYS_MAX;
    if (level == PL_LEVEL_TOP)
        limit = top;
    else if (level == PL_LEVEL_MIDDLE && top > 8 * PL_LEAF_KEYS_MAX)
        limit = square_root(top * PL_LEAF_KEYS_MAX);
    return pl_max_u64(limit, PL_LEAF_KEYS_MAX);
}

/* Queues the ranges of the next namespace, newest first. */
static parley_err queue_top(struct pl_descent *d, struct parley_read *read)
{
    struct pl_bound from = { 0 }, to = PL_BOUND_END;
    struct pl_range_part parts[PL_RANGE_PARTS_MAX];
    struct parley_root root;
    uint32_t count = 1;
    uint8_t space = (uint8_t)d->next_space++;
    PL_TRY(pl_range_root(read, scope_of(d, space), &root));
    uint64_t total = root.count;
    for (int level = PL_LEVEL_TOP; level < PL_LEVEL_LEAF; level++)
        d->spaces[space].limits[level] = limit_of((enum pl_descent_level)level, total);
    parts[0].to = to;
    if (total > PL_RANGE_PARTS_MAX * PL_LEAF_KEYS_MAX)
        PL_TRY(pl_range_cut(read, scope_of(d, space), &from, &to, total / TOP_RANGES_MAX + 1, parts,
                            &count));
    for (uint32_t i = count; i-- > 0;) {
        struct pl_range_entry entry =
            entry_of(i == 0 ? &from : &parts[i - 1].to, &parts[i].to, space);
        take(d, &d->queued[total <= PL_LEAF_KEYS_MAX ? PL_LEVEL_LEAF : PL_LEVEL_TOP], &entry);
    }
    return PARLEY_OK;
}

/* ---- Queries ---- */

static uint32_t fold(uint32_t check, uint64_t value)
{
    return (uint32_t)((check ^ value) * UINT64_C(0x9e3779b97f4a7c15) >> 29);
}

/* Cuts a range as a query does. *check tells whether a later cut is the same. */
static parley_err cut(const struct pl_descent *d, struct parley_read *read,
                      enum pl_descent_level level, const struct pl_range_entry *entry,
                      struct pl_range_part parts[PL_RANGE_PARTS_MAX], uint32_t *count,
                      uint32_t *check)
{
    struct pl_bound from = from_of(entry);
    struct pl_bound to = to_of(entry);
    PL_TRY(pl_range_cut(read, scope_of(d, entry->space), &from, &to,
                        d->spaces[entry->space].limits[level], parts, count));
    *check = 0;
    for (uint32_t i = 0; i < *count; i++) {
        *check = fold(*check, parts[i].to.time);
        *check = fold(*check, parts[i].to.prefix);
        *check = fold(*check, parts[i].root.count);
    }
    return PARLEY_OK;
}

static parley_err fill_split(const struct pl_descent *d, struct parley_read *read,
                             enum pl_descent_level level, struct pl_range_entry *entry,
                             struct pl_query_item *item)
{
    struct pl_range_part parts[PL_RANGE_PARTS_MAX];
    PL_TRY(cut(d, read, level, entry, parts, &item->count, &entry->check));
    item->kind = PL_QUERY_SPLIT;
    item->bounds[0] = from_of(entry);
    for (uint32_t i = 0; i < item->count; i++) {
        item->bounds[i + 1] = parts[i].to;
        item->counts[i] = parts[i].root.count;
        item->prints[i] = pl_query_print(&d->salt, &parts[i].root);
    }
    entry->count = (uint8_t)item->count;
    return PARLEY_OK;
}

/* The elements of a leaf with a sequence of at most that which the entry has: what the peer sends
 * meanwhile does not disturb. *fits false: they are too many. */
static parley_err fill_leaf(const struct pl_descent *d, struct parley_read *read,
                            struct pl_range_entry *entry, struct pl_query_item *item, bool *fits)
{
    struct pl_range_walk walk;
    uint32_t max = entry->count == PL_RANGE_WIDE ? PL_LEAF_WIDE_MAX : PL_LEAF_KEYS_MAX;
    item->kind = PL_QUERY_LEAF;
    item->bounds[0] = from_of(entry);
    item->bounds[1] = to_of(entry);
    item->count = 0;
    entry->check = 0;
    PL_TRY(pl_range_begin(read, scope_of(d, entry->space), &item->bounds[0], &walk));
    for (;;) {
        struct parley_element element;
        bool found = false;
        PL_TRY(pl_range_next(&walk, &item->bounds[1], &element, &found));
        if (found && element.seq > d->head + entry->head)
            continue;
        *fits = !found || item->count < max;
        if (!found || !*fits)
            break;
        item->times[item->count] = pl_point_time(&element.point);
        item->keys[item->count] = pl_query_key(&d->salt, pl_point_digest(&element.point));
        entry->check = fold(entry->check, item->keys[item->count]);
        item->count++;
    }
    if (entry->count == PL_RANGE_WIDE)
        entry->bits = (uint16_t)entry->bits | (uint64_t)item->count << 16;
    else
        entry->count = (uint8_t)item->count;
    return PARLEY_OK;
}

struct query {
    struct pl_writer w;
    struct pl_query_walk walk;
    uint8_t space; /* of the item before; none: PL_DESCENT_SPACES */
    uint32_t ranges;
};

static void begin_query(struct pl_descent *d, struct query *q)
{
    q->space = PL_DESCENT_SPACES;
    pl_varint_write(&q->w, d->next_number);
    if (d->begun)
        return;
    struct pl_query_item item = { .kind = PL_QUERY_BEGIN,
                                  .salt = pl_span_of(d->salt.bytes, sizeof d->salt.bytes) };
    pl_query_write(&q->w, &q->walk, &item);
    item.kind = PL_QUERY_DRY;
    if (d->dry)
        pl_query_write(&q->w, &q->walk, &item);
}

static void add_item(struct pl_descent *d, struct query *q, uint8_t space,
                     const struct pl_query_item *item)
{
    if (q->space != space) {
        struct pl_query_item name = { .kind = PL_QUERY_SPACE,
                                      .name_space = scope_of(d, space)->name_space,
                                      .cut = scope_of(d, space)->cut,
                                      .takes = d->spaces[space].takes,
                                      .since = scope_of(d, space)->since,
                                      .prefix = scope_of(d, space)->prefix };
        pl_query_write(&q->w, &q->walk, &name);
        q->space = space;
    }
    pl_query_write(&q->w, &q->walk, item);
    q->ranges++;
}

/* What was a wide leaf is one no more. */
static void lower(struct pl_descent *d, struct pl_range_entry *entry)
{
    if (entry->count == PL_RANGE_WIDE)
        release(d, (uint16_t)entry->bits);
    entry->count = 0;
    entry->bits = 0;
}

/* Queries of the first queued range of a level. */
static parley_err ask(struct pl_descent *d, const struct pl_round_view *view,
                      enum pl_descent_level level, struct query *q)
{
    struct parley_read *read = view->read;
    struct pl_query_item item;
    bool fits = true;
    uint16_t index = pop(d, &d->queued[level]);
    struct pl_range_entry *entry = at(d, index);
    if (entry->count == PL_RANGE_WIDE)
        d->pool[(uint16_t)entry->bits].wide = (struct pl_wide_bits){ { 0 } };
    else
        entry->bits = 0;
    entry->depth = (uint8_t)(entry->depth < UINT8_MAX ? entry->depth + 1 : UINT8_MAX);
    d->depth = entry->depth > d->depth ? entry->depth : d->depth;
    entry->head = (uint32_t)pl_min_u64(view->state->head - d->head, UINT32_MAX);
    parley_err err = level == PL_LEVEL_LEAF ? fill_leaf(d, read, entry, &item, &fits)
                                            : fill_split(d, read, level, entry, &item);
    if (err != PARLEY_OK || !fits) {
        lower(d, entry);
        push(d, &d->queued[PL_LEVEL_LOW], index);
        return err;
    }
    add_item(d, q, entry->space, &item);
    push(d, &d->waiting[level], index);
    return PARLEY_OK;
}

static size_t item_room(void)
{
    return PL_QUERY_ITEM_BYTES_MAX + PARLEY_NAMESPACE_BYTES_MAX + PARLEY_ID_BYTES_MAX + 32;
}

static void note_frame(struct pl_descent *d, enum pl_descent_level level, uint32_t ranges)
{
    d->frames[d->frame_count].number = d->next_number++;
    d->frames[d->frame_count].level = level;
    d->frames[d->frame_count].ranges = ranges;
    d->frame_count++;
    d->begun = true;
}

/* One QUERY with ranges of one level. */
static parley_err send_query(struct pl_descent *d, struct pl_sender *sender,
                             enum pl_descent_level level, bool *sent)
{
    struct query q = { 0 };
    parley_err err = PARLEY_OK;
    if (d->frame_count == PL_DESCENT_FRAMES ||
        pl_session_send_room(sender->session) < QUERY_ROOM_BYTES)
        return PARLEY_OK;
    size_t room = pl_min_size(pl_session_send_room(sender->session), PL_ROUND_FRAME_BYTES);
    if (!pl_session_send_begin(sender->session, PL_MSG_QUERY, room, &q.w))
        return PARLEY_OK;
    begin_query(d, &q);
    while (err == PARLEY_OK && d->queued[level].first != 0 && q.w.cap - q.w.len >= item_room())
        err = ask(d, sender->view, level, &q);
    pl_session_send_end(sender->session, q.ranges != 0 ? &q.w : NULL);
    if (q.ranges != 0)
        note_frame(d, level, q.ranges);
    *sent = q.ranges != 0;
    return err;
}

static void send_end(struct pl_descent *d, struct pl_sender *sender, bool *sent)
{
    struct query q = { 0 };
    struct pl_query_item item = { .kind = PL_QUERY_END };
    if (!pl_session_send_begin(sender->session, PL_MSG_QUERY, 32, &q.w))
        return;
    begin_query(d, &q);
    pl_query_write(&q.w, &q.walk, &item);
    pl_session_send_end(sender->session, &q.w);
    note_frame(d, PL_LEVEL_TOP, 0);
    d->ended = true;
    *sent = true;
}

/* ---- Answers ---- */

static void take_bits(struct pl_descent *d, enum pl_descent_level level, struct pl_bit_reader *bits)
{
    uint16_t index = pop(d, &d->waiting[level]);
    struct pl_range_entry *entry = at(d, index);
    bool any = false;
    for (uint32_t i = 0; level == PL_LEVEL_LEAF && i < key_count(entry); i++) {
        bool want = pl_bits_read(bits, 1) != 0;
        set_wanted(d, entry, i, want);
        any = any || want;
    }
    for (uint32_t i = 0; level != PL_LEVEL_LEAF && i < entry->count; i++) {
        uint64_t verdict = pl_bits_read(bits, 2);
        entry->bits |= verdict << (2 * i);
        any = any || verdict != PL_QUERY_DONE;
    }
    if (any)
        push(d, &d->answered[level], index);
    else
        give_back(d, index);
}

parley_err pl_descent_answer(struct pl_descent *d, struct parley_span body)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_bit_reader bits = { .r = &r };
    uint64_t number = pl_varint_read(&r);
    if (r.err != PARLEY_OK || d->frame_count == 0 || d->frames[0].number != number)
        return PARLEY_EPROTO;
    enum pl_descent_level level = d->frames[0].level;
    uint32_t ranges = d->frames[0].ranges;
    d->frame_count--;
    memmove(&d->frames[0], &d->frames[1], d->frame_count * sizeof d->frames[0]);
    d->done = ranges == 0;
    for (uint32_t i = 0; i < ranges; i++)
        take_bits(d, level, &bits);
    return pl_reader_end(&r) == PARLEY_OK ? PARLEY_OK : PARLEY_EPROTO;
}

/* ---- Expanding ---- */

static uint32_t reserve_below(enum pl_descent_level level)
{
    return LEVEL_RESERVE * (uint32_t)(PL_LEVEL_LOW - level) + 2;
}

static enum pl_query_verdict verdict_at(const struct pl_range_entry *entry, uint32_t part)
{
    return (enum pl_query_verdict)(entry->bits >> (2 * part) & 3);
}

/* From which part on those up to `last` become one range: neighbours that differ make one leaf. */
static uint32_t first_of_range(const struct pl_range_entry *entry,
                               const struct pl_range_part *parts, uint32_t last, uint64_t *elements)
{
    uint32_t first = last;
    *elements = parts[last].root.count;
    if (verdict_at(entry, last) != PL_QUERY_DIFFERS || *elements > PL_LEAF_KEYS_MAX)
        return first;
    while (first > 0 && verdict_at(entry, first - 1) == PL_QUERY_DIFFERS &&
           parts[first - 1].root.count <= PL_LEAF_KEYS_MAX &&
           *elements + parts[first - 1].root.count <= PL_LEAF_WIDE_MAX)
        *elements += parts[--first].root.count;
    return first;
}

/* Queues a range of the next level, or all of it for sending. */
static void descend(struct pl_descent *d, enum pl_descent_level level, bool merged,
                    enum pl_query_verdict verdict, uint64_t elements, struct pl_range_entry *child)
{
    enum pl_descent_level below = level == PL_LEVEL_TOP ? PL_LEVEL_MIDDLE : PL_LEVEL_LOW;
    if (verdict == PL_QUERY_TAKES_ALL) {
        child->count = PL_RANGE_ALL;
        take(d, &d->answered[PL_LEVEL_LEAF], child);
    } else if (merged || elements <= PL_LEAF_KEYS_MAX) {
        child->count = elements > PL_LEAF_KEYS_MAX ? PL_RANGE_WIDE : 0;
        take(d, &d->queued[PL_LEVEL_LEAF], child);
    } else {
        take(d, &d->queued[below], child);
    }
}

/* Makes ranges of the next level of the parts that differ, newest first, while there are entries;
 * what is left keeps its bits. */
static parley_err expand(struct pl_descent *d, struct parley_read *read,
                         enum pl_descent_level level, bool *moved)
{
    struct pl_range_entry *entry = at(d, d->answered[level].first);
    struct pl_range_part parts[PL_RANGE_PARTS_MAX];
    uint32_t count = 0;
    uint32_t check = 0;
    PL_TRY(cut(d, read, level, entry, parts, &count, &check));
    if (check != entry->check || count != entry->count) {
        push(d, &d->queued[level], pop(d, &d->answered[level])); /* D1 */
        *moved = true;
        return PARLEY_OK;
    }
    for (uint32_t end = count; end > 0;) {
        uint32_t last = end - 1;
        uint64_t elements = 0;
        enum pl_query_verdict verdict = verdict_at(entry, last);
        uint32_t first = first_of_range(entry, parts, last, &elements);
        end = first;
        if (verdict == PL_QUERY_DONE)
            continue;
        if (d->free_count < reserve_below(level))
            return PARLEY_OK;
        struct pl_bound from = first == 0 ? from_of(entry) : parts[first - 1].to;
        struct pl_range_entry child = entry_of(&from, &parts[last].to, entry->space);
        child.depth = entry->depth;
        descend(d, level, first != last, verdict, elements, &child);
        for (uint32_t i = first; i <= last; i++)
            entry->bits &= ~(UINT64_C(3) << (2 * i));
        *moved = true;
    }
    give_back(d, pop(d, &d->answered[level]));
    return PARLEY_OK;
}

/* ---- Versions ---- */

/* Whether the range has just the elements that were asked about, so that bits and places agree. */
static parley_err is_unchanged(const struct pl_descent *d, struct parley_read *read,
                               const struct pl_range_entry *entry, bool *same)
{
    struct pl_range_entry now = *entry;
    struct pl_query_item item;
    bool fits = true;
    *same = true;
    if (entry->count == PL_RANGE_ALL)
        return PARLEY_OK;
    PL_TRY(fill_leaf(d, read, &now, &item, &fits));
    *same = fits && now.check == entry->check && key_count(&now) == key_count(entry);
    return PARLEY_OK;
}

/* Sends the wanted versions of the first answered leaf, newest first. *done: all of them. */
static parley_err send_wanted(struct pl_descent *d, struct pl_sender *sender,
                              struct pl_range_entry *entry, bool *done)
{
    struct pl_range_walk walk;
    struct pl_bound from = from_of(entry);
    struct pl_bound to = to_of(entry);
    bool all = entry->count == PL_RANGE_ALL;
    uint32_t key = all ? 0 : key_count(entry);
    *done = false;
    PL_TRY(pl_range_begin_below(sender->view->read, scope_of(d, entry->space), &to, &walk));
    for (;;) {
        struct parley_element element;
        bool found = false;
        bool taken = true;
        PL_TRY(pl_range_prev(&walk, &from, &element, &found));
        if (!found)
            break;
        if (!all && element.seq > d->head + entry->head)
            continue;
        if (!all && !is_wanted(d, entry, --key))
            continue;
        PL_TRY(pl_sender_add(sender, element.seq, &taken));
        if (!taken) {
            to = pl_bound_above(&element.point);
            entry->to_time = all ? to.time : entry->to_time;
            entry->to_prefix = all ? to.prefix : entry->to_prefix;
            return PARLEY_OK;
        }
        if (!all)
            set_wanted(d, entry, key, false);
    }
    *done = true;
    return PARLEY_OK;
}

static parley_err send_leaves(struct pl_descent *d, struct pl_sender *sender, bool *sent)
{
    struct pl_range_list *list = &d->answered[PL_LEVEL_LEAF];
    parley_err err = PARLEY_OK;
    while (err == PARLEY_OK && list->first != 0) {
        struct pl_range_entry *entry = at(d, list->first);
        bool same = true;
        bool done = false;
        err = is_unchanged(d, sender->view->read, entry, &same);
        if (err == PARLEY_OK && same)
            err = send_wanted(d, sender, entry, &done);
        if (err != PARLEY_OK || (same && !done))
            break;
        *sent = true;
        if (same)
            give_back(d, pop(d, list));
        else
            push(d, &d->queued[PL_LEVEL_LEAF], pop(d, list)); /* D1 */
    }
    pl_sender_end(sender);
    *sent = *sent || (!d->dry && sender->round->part_seq != 0);
    return err;
}

/* ---- The whole ---- */

static bool is_empty(const struct pl_descent *d)
{
    return d->free_count == PL_DESCENT_ENTRIES - 1 && d->next_space == d->space_count;
}

parley_err pl_descent_step(struct pl_descent *d, struct pl_sender *sender, bool *sent)
{
    struct parley_read *read = sender->view->read;
    *sent = false;
    if (d->ended)
        return PARLEY_OK;
    for (int level = PL_LEVEL_LOW; level >= PL_LEVEL_TOP; level--) {
        bool moved = true;
        while (moved && d->answered[level].first != 0) {
            moved = false;
            PL_TRY(expand(d, read, (enum pl_descent_level)level, &moved));
        }
    }
    /* After the ranges are expanded: a part of which the peer takes all is a leaf at once, and what
     * it needs may be all that there is to do. */
    PL_TRY(send_leaves(d, sender, sent));
    if (d->next_space < d->space_count && d->waiting[PL_LEVEL_TOP].first == 0 &&
        d->free_count > LEVEL_RESERVE)
        PL_TRY(queue_top(d, read));
    for (int level = PL_LEVEL_LEAF; level >= PL_LEVEL_TOP && !*sent; level--) {
        if (d->queued[level].first != 0)
            PL_TRY(send_query(d, sender, (enum pl_descent_level)level, sent));
    }
    if (is_empty(d) && (d->dry || sender->round->part_seq == 0))
        send_end(d, sender, sent);
    return PARLEY_OK;
}
