/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores of older formats.
 *
 *   1, 2 -> 3  tables ELEMENT and SUM, and how far they have come: emptied, some thousand rows a
 *              transaction, and filled by maintenance; views and a table TRASH, in which there is
 *              nothing. The format is the last thing written, so an upgrade that was cut begins
 *              anew.
 *   3 -> 4     purges, which an older program would take for damage.
 */
#include "db/db_int.h"

#define STEP_ROWS PL_LIMIT(20000u, 7u)

/* One transaction of an upgrade; `at` is where the next begins. *done: there is none. */
typedef parley_err (*upgrade_step)(struct pl_view *view, struct pl_key *at, bool *done);

static PL_MUST_USE parley_err clear(struct pl_view *view, enum pl_table t, struct pl_key *at,
                                    bool *done)
{
    for (uint32_t i = 0; i < STEP_ROWS; i++) {
        struct pl_cursor *c;
        struct parley_span key, value;
        bool found;
        PL_TRY(pl_view_cursor(view, t, &c));
        PL_TRY(pl_cursor_seek(c, pl_span_of("", 1), &key, &value, &found));
        *done = !found;
        if (!found)
            return PARLEY_OK;
        if (key.len > sizeof at->bytes)
            return PARLEY_ECORRUPT;
        at->len = key.len;
        memcpy(at->bytes, key.ptr, key.len);
        PL_TRY(pl_txn_del(view->txn, t, pl_key_span(at)));
    }
    return PARLEY_OK;
}

/* Deletes what an upgrade that was cut has left. */
static PL_MUST_USE parley_err clear_elements(struct pl_view *view, struct pl_key *at, bool *done)
{
    return clear(view, PL_TABLE_ELEMENT, at, done);
}

static PL_MUST_USE parley_err clear_sums(struct pl_view *view, struct pl_key *at, bool *done)
{
    return clear(view, PL_TABLE_SUM, at, done);
}

/* The sets are empty now: maintenance fills them. */
static PL_MUST_USE parley_err finish(struct pl_view *view, struct pl_key *at, bool *done)
{
    (void)at;
    *done = true;
    view->counters.indexed = 0;
    PL_TRY(pl_db_write_counters(view->txn, &view->counters));
    return pl_db_write_format(view->txn);
}

static PL_MUST_USE parley_err run_steps(struct parley_db *db, upgrade_step step)
{
    struct pl_key at;
    pl_key_log(&at, 0);
    for (bool done = false; !done;) {
        struct pl_txn *txn;
        PL_TRY(pl_store_write_begin(db->store, &txn));
        pl_view_init(&db->view, txn);
        db->view.counters = db->counters;
        parley_err err = step(&db->view, &at, &done);
        if (err != PARLEY_OK) {
            pl_txn_abort(txn);
            return err;
        }
        PL_TRY(pl_txn_commit(txn));
        pl_ignore(db->store->ops->maintain(db->store), "a map that stays too small fails the step");
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err take_format(struct pl_view *view, struct pl_key *at, bool *done)
{
    (void)at;
    *done = true;
    return pl_db_write_format(view->txn);
}

PL_MUST_USE parley_err pl_db_upgrade(struct parley_db *db, uint32_t format)
{
    if (format == 3)
        return run_steps(db, take_format);
    PL_TRY(run_steps(db, clear_elements));
    PL_TRY(run_steps(db, clear_sums));
    PL_TRY(run_steps(db, finish));
    db->counters.indexed = 0;
    return PARLEY_OK;
}
