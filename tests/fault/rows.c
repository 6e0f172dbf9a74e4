/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of the store that fail. LMDB reads from a map, where no call of the system can fail; but a
 * cursor wants memory, and a page can be damaged. So they fail at the store's contract, as far as
 * the engine can tell the difference.
 */
#include "fault/script.h"

#include <execinfo.h>

/* Callers that tell one place from another; before them stand the functions of this file. */
#define CALLERS    4
#define OWN_FRAMES 2

/* Operations know their store and their transaction, not the script; a run has one of each. */
static struct script *reader;

static __attribute__((noinline)) void note_site(struct script_sites *sites)
{
    void *frames[OWN_FRAMES + CALLERS] = { NULL };
    uint64_t number = atomic_load(&reader->fault->count[FAULT_ROW]);
    backtrace(frames, OWN_FRAMES + CALLERS);
    uint64_t hash = pl_xxh3_of(pl_span_of(frames + OWN_FRAMES, CALLERS * sizeof frames[0]));
    for (uint32_t i = 0; i < sites->count; i++)
        if (sites->hashes[i] == hash)
            return;
    PL_ASSERT(sites->count < SCRIPT_SITES_MAX);
    sites->hashes[sites->count] = hash;
    sites->reads[sites->count++] = (uint32_t)number;
}

static bool fails(void)
{
    bool fails = fault_take(FAULT_ROW) != 0;
    if (reader->reading.sites != NULL && atomic_load(&reader->fault->armed) != 0)
        note_site(reader->reading.sites);
    return fails;
}

/* An error sticks to its transaction: what goes on after one commits nothing. */
static parley_err fail(struct pl_txn *txn)
{
    if (txn->writable && txn->err == PARLEY_OK)
        txn->err = PARLEY_EIO;
    return PARLEY_EIO;
}

static parley_err read_get(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                           struct parley_span *value, bool *found)
{
    return fails() ? fail(txn) : reader->reading.sound->get(txn, t, key, value, found);
}

static parley_err read_cursor(struct pl_txn *txn, enum pl_table t, struct pl_cursor *c)
{
    return fails() ? fail(txn) : reader->reading.sound->cursor(txn, t, c);
}

static parley_err read_seek(struct pl_cursor *c, struct parley_span key,
                            struct parley_span *out_key, struct parley_span *value, bool *found)
{
    return fails() ? fail(c->txn) : reader->reading.sound->seek(c, key, out_key, value, found);
}

static parley_err read_seek_last(struct pl_cursor *c, struct parley_span *out_key,
                                 struct parley_span *value, bool *found)
{
    return fails() ? fail(c->txn) : reader->reading.sound->seek_last(c, out_key, value, found);
}

static parley_err read_next(struct pl_cursor *c, struct parley_span *out_key,
                            struct parley_span *value, bool *found)
{
    return fails() ? fail(c->txn) : reader->reading.sound->next(c, out_key, value, found);
}

static parley_err read_prev(struct pl_cursor *c, struct parley_span *out_key,
                            struct parley_span *value, bool *found)
{
    return fails() ? fail(c->txn) : reader->reading.sound->prev(c, out_key, value, found);
}

void script_note_sites(struct script *s, struct script_sites *sites)
{
    void *frames[1];
    s->reading.sites = sites;
    backtrace(frames, 1); /* takes its memory now, which is then no leak of the engine */
}

void script_read_rows(struct script *s, struct parley_store *store)
{
    reader = s;
    s->reading.sound = store->ops;
    s->reading.ops = *store->ops;
    s->reading.ops.get = read_get;
    s->reading.ops.cursor = read_cursor;
    s->reading.ops.seek = read_seek;
    s->reading.ops.seek_last = read_seek_last;
    s->reading.ops.next = read_next;
    s->reading.ops.prev = read_prev;
    store->ops = &s->reading.ops;
}
