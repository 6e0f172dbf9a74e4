/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of writes: one durable transaction, or none.
 *
 * Happy path: check every version's shape -> in a read transaction, pass over the leading writes
 * that change nothing -> if any is left, begin a write transaction, merge the rest in order, and
 * what the source has besides by then; write back the current conversation and namespace once, the
 * counters once, commit.
 *
 * Failures: any store error aborts the transaction and drops what RAM remembered of it. EIO makes
 * the db uncertain (db.c). Verdicts of a failed batch mean nothing.
 */
#include "db/db_int.h"

#include "core/clock.h"
#include "db/source.h"

struct batch {
    struct parley_db *db;
    struct pl_view *view;
    parley_wall now;
    bool changed;
    parley_err room;    /* ENOSPC, EMAPFULL: there is none but the reserve */
    uint64_t index_max; /* versions that it may put into the sets, however many there are */
};

/* ---- One version ---- */

/* The stamp of a local write is given here; `own` must outlive the candidate. */
static PL_MUST_USE parley_err make_candidate(struct batch *b, struct parley_version *own,
                                             struct pl_candidate *out)
{
    bool local = own->time == 0;
    if (local) {
        if (b->db->local_origin_len == 0)
            return PARLEY_ESTATE;
        own->time = pl_clock_next(b->view->counters.clock, b->now);
        own->origin = pl_span_of(b->db->local_origin, b->db->local_origin_len);
    }
    out->version = own;
    out->has_body = true;
    out->has_digest = false;
    out->stamp.time = own->time;
    return pl_view_find_origin(b->view, own->origin, &out->origin, &out->stamp.tag);
}

/* Whether a write of the leading run changes nothing. */
static PL_MUST_USE parley_err is_known_version(struct batch *b, struct parley_write *w, bool *known)
{
    struct parley_version own = w->u.version;
    struct pl_candidate candidate;
    struct pl_decision decision;
    *known = false;
    if (own.time == 0)
        return PARLEY_OK;
    PL_TRY(make_candidate(b, &own, &candidate));
    PL_TRY(pl_merge_decide(b->view, &candidate, &b->now, &decision));
    if (decision.writes)
        return PARLEY_OK;
    w->verdict = decision.verdict;
    w->stamped_time = own.time;
    *known = true;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err apply_version(struct batch *b, struct parley_write *w)
{
    struct parley_version own = w->u.version;
    bool local = own.time == 0;
    struct pl_candidate candidate;
    struct pl_decision decision;
    PL_TRY(make_candidate(b, &own, &candidate));
    PL_TRY(pl_merge_decide(b->view, &candidate, local ? NULL : &b->now, &decision));
    if (decision.writes) {
        PL_TRY(pl_winner_store(b->db, b->view, &candidate, w, &decision));
        b->changed = true;
    }
    if (local) {
        /* The clock is at or above every merged stamp (W4), so a local write cannot lose. */
        PL_ASSERT(decision.verdict == PARLEY_VERDICT_NEW ||
                  decision.verdict == PARLEY_VERDICT_UPDATED);
        b->db->local_written = true;
    }
    w->verdict = decision.verdict;
    w->stamped_time = own.time;
    return PARLEY_OK;
}

/* ---- Rows of the node ---- */

/* Puts a row into SYS unless it is there already. `write` false: only says what it would do. */
static PL_MUST_USE parley_err merge_row(struct batch *b, struct parley_span key,
                                        const struct pl_writer *row, bool write, bool *known)
{
    struct parley_span value;
    bool found;
    PL_TRY(pl_txn_get(b->view->txn, PL_TABLE_SYS, key, &value, &found));
    *known = found && pl_span_equal(value, pl_writer_span(row));
    if (*known || !write)
        return PARLEY_OK;
    b->changed = true;
    return pl_txn_put(b->view->txn, PL_TABLE_SYS, key, pl_writer_span(row));
}

static PL_MUST_USE parley_err merge_cursor(struct batch *b, const struct parley_write *w,
                                           bool write, bool *known)
{
    struct pl_key key;
    uint8_t row[PARLEY_INCARNATION_BYTES + 8 + PL_RECORD_ROW_CHECK_BYTES];
    struct pl_writer writer = pl_writer_over(row, sizeof row);
    pl_key_cursor(&key, w->u.cursor.peer);
    pl_record_write_cursor(&writer, pl_key_span(&key), &w->u.cursor.incarnation, w->u.cursor.seq);
    return merge_row(b, pl_key_span(&key), &writer, write, known);
}

static PL_MUST_USE parley_err merge_sys(struct batch *b, const struct parley_write *w, bool write,
                                        bool *known)
{
    struct parley_span value = w->u.sys.value;
    PL_TRY(pl_db_room(b->db, &b->db->record, value.len + PL_RECORD_ROW_CHECK_BYTES));
    struct pl_writer writer = pl_writer_over(b->db->record.ptr, b->db->record.cap);
    pl_record_write_plain(&writer, w->u.sys.key, value);
    return merge_row(b, w->u.sys.key, &writer, write, known);
}

static PL_MUST_USE parley_err delete_sys(struct batch *b, const struct parley_write *w, bool write,
                                         bool *known)
{
    struct parley_span value;
    bool found;
    PL_TRY(pl_txn_get(b->view->txn, PL_TABLE_SYS, w->u.sys.key, &value, &found));
    *known = !found;
    if (!found || !write)
        return PARLEY_OK;
    b->changed = true;
    return pl_txn_del(b->view->txn, PL_TABLE_SYS, w->u.sys.key);
}

/* ---- Views ---- */

static PL_MUST_USE parley_err step_view(struct batch *b, const struct parley_write *w, bool write,
                                        bool *known)
{
    struct parley_span name = w->u.view.name_space;
    struct parley_span prefix = w->u.view.prefix;
    if (w->kind == PARLEY_WRITE_VIEW)
        PL_TRY(pl_subset_make(b->db, b->view, name, prefix, write, known));
    else
        PL_TRY(pl_subset_drop(b->db, b->view, name, prefix, write, known));
    b->changed = b->changed || (write && !*known);
    return PARLEY_OK;
}

/* ---- One write ---- */

static PL_MUST_USE parley_err is_known(struct batch *b, struct parley_write *w, bool *known)
{
    switch (w->kind) {
    case PARLEY_WRITE_VERSION:
        return is_known_version(b, w, known);
    case PARLEY_WRITE_CURSOR:
        return merge_cursor(b, w, false, known);
    case PARLEY_WRITE_SYS_PUT:
        return merge_sys(b, w, false, known);
    case PARLEY_WRITE_SYS_DEL:
        return delete_sys(b, w, false, known);
    case PARLEY_WRITE_LEDGER:
        *known = true; /* append_lines has dealt with it */
        return PARLEY_OK;
    case PARLEY_WRITE_INDEX:
        *known = b->view->counters.indexed == b->view->counters.head;
        return PARLEY_OK;
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_VIEW_DROP:
        return step_view(b, w, false, known);
    case PARLEY_WRITE_COLLECT:
        return pl_collect_apply(b->db, b->view, w, false, known);
    case PARLEY_WRITE_TRASH:
        return pl_collect_trash(b->db, b->view, w, false, known);
    case PARLEY_WRITE_UNTRASH:
        return pl_collect_untrash(b->view, w, false, known);
    case PARLEY_WRITE_RETENTION:
        return pl_retain_apply(b->db, b->view, w, false, known);
    }
    return PARLEY_EINVAL;
}

/* A write of collect.c, which says whether it changed something. */
static PL_MUST_USE parley_err note_change(struct batch *b, parley_err err, bool known)
{
    b->changed = b->changed || (err == PARLEY_OK && !known);
    return err;
}

static PL_MUST_USE parley_err apply_write(struct batch *b, struct parley_write *w)
{
    bool known = true;
    parley_err err;
    switch (w->kind) {
    case PARLEY_WRITE_VERSION:
        return apply_version(b, w);
    case PARLEY_WRITE_CURSOR:
        return merge_cursor(b, w, true, &known);
    case PARLEY_WRITE_SYS_PUT:
        return merge_sys(b, w, true, &known);
    case PARLEY_WRITE_SYS_DEL:
        return delete_sys(b, w, true, &known);
    case PARLEY_WRITE_LEDGER:
        return PARLEY_OK;
    case PARLEY_WRITE_INDEX:
        b->index_max = PL_INDEX_STEP_MAX;
        return PARLEY_OK;
    case PARLEY_WRITE_VIEW:
    case PARLEY_WRITE_VIEW_DROP:
        return step_view(b, w, true, &known);
    case PARLEY_WRITE_COLLECT:
        err = pl_collect_apply(b->db, b->view, w, true, &known);
        return note_change(b, err, known);
    case PARLEY_WRITE_TRASH:
        err = pl_collect_trash(b->db, b->view, w, true, &known);
        return note_change(b, err, known);
    case PARLEY_WRITE_UNTRASH:
        err = pl_collect_untrash(b->view, w, true, &known);
        return note_change(b, err, known);
    case PARLEY_WRITE_RETENTION:
        err = pl_retain_apply(b->db, b->view, w, true, &known);
        return note_change(b, err, known);
    }
    return PARLEY_EINVAL;
}

/* Before anything else of the batch: what the ledger says must not depend on whether that works. */
static PL_MUST_USE parley_err append_lines(struct parley_db *db, const struct parley_write *writes,
                                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (writes[i].kind == PARLEY_WRITE_LEDGER)
            PL_TRY(db->store->ops->ledger_append(db->store, writes[i].u.line));
    }
    return PARLEY_OK;
}

static void reset_results(struct parley_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct parley_write *w = &writes[i];
        w->verdict = PARLEY_VERDICT_NONE;
        w->conversation_created = false;
        w->stamped_time = 0;
        w->moved = 0;
        w->more = false;
    }
}

/* ---- Transactions ---- */

static void start_view(struct batch *b, struct pl_txn *txn)
{
    pl_view_init(b->view, txn);
    b->view->counters = b->db->counters;
    b->view->origins = b->db->origins;
    b->db->subsets.name_space = 0;
}

/* Counts the leading writes that change nothing. */
static PL_MUST_USE parley_err skip_known(struct batch *b, struct parley_write *writes, size_t count,
                                         size_t *skipped)
{
    struct pl_txn *txn;
    bool known = true;
    size_t i = 0;
    parley_err err = PARLEY_OK;
    PL_TRY(pl_store_read_begin(b->db->store, &txn));
    start_view(b, txn);
    while (err == PARLEY_OK && i < count) {
        err = is_known(b, &writes[i], &known);
        if (err != PARLEY_OK || !known)
            break;
        i++;
    }
    pl_store_read_end(txn);
    *skipped = i;
    return err;
}

/* After a failure nothing that RAM remembers of the store is believed. */
static void forget(struct parley_db *db, parley_err err)
{
    memset(db->origins, 0, sizeof db->origins);
    db->counters_known = false;
    if (err == PARLEY_EIO)
        db->uncertain = true;
}

/* Whether these may be written: see parley_db_set_reserve. */
static PL_MUST_USE parley_err check_room(const struct batch *b, const struct parley_write *writes,
                                         size_t count)
{
    return b->room != PARLEY_OK && parley_writes_need_room(writes, count) ? b->room : PARLEY_OK;
}

static PL_MUST_USE parley_err find_room(struct batch *b)
{
    parley_err err = b->db->store->ops->room(b->db->store, b->db->reserve_bytes);
    bool reserve = err == PARLEY_ENOSPC || err == PARLEY_EMAPFULL;
    b->room = reserve ? err : PARLEY_OK;
    return reserve ? PARLEY_OK : err;
}

/* A few are put into the sets at once, many when that is asked for: see index.c. */
static PL_MUST_USE parley_err index_some(struct batch *b)
{
    struct pl_view *view = b->view;
    uint64_t behind = view->counters.head - view->counters.indexed;
    uint64_t max = behind <= PL_INDEX_EAGER_MAX ? behind * PL_SETS_MAX : b->index_max;
    /* What bulk writes have left behind may be more than the reserve has room for. */
    if (b->room != PARLEY_OK && behind > PL_INDEX_EAGER_MAX)
        max = 0;
    if (max == 0 || b->db->without_elements)
        return PARLEY_OK;
    b->changed = true;
    return pl_index_step(b->db, view, max);
}

static PL_MUST_USE parley_err finish(struct batch *b, parley_err err)
{
    struct pl_view *view = b->view;
    struct pl_txn *txn = view->txn;
    if (err == PARLEY_OK)
        err = index_some(b);
    if (err == PARLEY_OK)
        err = pl_view_flush(view);
    if (err == PARLEY_OK)
        err = pl_element_flush(view);
    if (err == PARLEY_OK && b->changed) {
        view->counters.commits++;
        err = pl_db_write_counters(txn, &view->counters);
    }
    if (err != PARLEY_OK || !b->changed)
        pl_txn_abort(txn);
    else
        err = pl_txn_commit(txn);
    if (err != PARLEY_OK)
        forget(b->db, err);
    if (err == PARLEY_OK && b->changed) {
        b->db->counters = view->counters;
        pl_db_testify(b->db);
    }
    return err;
}

static void shrink(struct parley_db *db, struct pl_buffer *buffer)
{
    if (buffer->cap <= PL_DB_BUFFER_KEEP_BYTES)
        return;
    db->env->release(db->env->ud, buffer->ptr, buffer->cap);
    *buffer = (struct pl_buffer){ 0 };
}

/* Makes the writer ready: certain of the store, and with its counters in RAM. */
static PL_MUST_USE parley_err ready(struct parley_db *db)
{
    if (db->uncertain)
        return PARLEY_EIO;
    if (db->counters_known)
        return PARLEY_OK;
    struct pl_txn *txn;
    struct pl_counters counters;
    PL_TRY(pl_store_read_begin(db->store, &txn));
    parley_err err = pl_db_read_counters(txn, &counters);
    pl_store_read_end(txn);
    if (err != PARLEY_OK)
        return err;
    if (counters.commits < db->counters.commits)
        return PARLEY_ECORRUPT;
    db->counters = counters;
    db->counters_known = true;
    return PARLEY_OK;
}

/* The next writes; *count 0: there are no more. */
static PL_MUST_USE parley_err take(struct parley_db *db, const struct pl_write_source *source,
                                   struct parley_write **writes, size_t *count)
{
    *count = source->next(source->ud, writes);
    PL_TRY(parley_writes_check(*writes, *count, NULL));
    reset_results(*writes, *count);
    return append_lines(db, *writes, *count);
}

static PL_MUST_USE parley_err apply_some(struct batch *b, struct parley_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        PL_TRY(apply_write(b, &writes[i]));
    return PARLEY_OK;
}

/* The transaction: from the first writes that change something to the last that come. */
static PL_MUST_USE parley_err write_all(struct batch *b, const struct pl_write_source *source,
                                        struct parley_write *writes, size_t count)
{
    struct pl_txn *txn;
    PL_TRY(find_room(b));
    PL_TRY(check_room(b, writes, count));
    PL_TRY(pl_store_write_begin(b->db->store, &txn));
    start_view(b, txn);
    parley_err err = PARLEY_OK;
    while (err == PARLEY_OK && count != 0) {
        err = apply_some(b, writes, count);
        if (err == PARLEY_OK)
            err = take(b->db, source, &writes, &count);
        if (err == PARLEY_OK)
            err = check_room(b, writes, count);
    }
    return finish(b, err);
}

PL_MUST_USE parley_err pl_db_apply_from(struct parley_db *db, const struct pl_write_source *source,
                                        parley_wall now, bool *changed)
{
    struct batch b = { .db = db, .view = &db->view, .now = now };
    struct parley_write *writes = NULL;
    size_t count = 0;
    size_t known = 0;
    parley_err err = ready(db);
    while (err == PARLEY_OK && known == count) {
        err = take(db, source, &writes, &count);
        if (err != PARLEY_OK || count == 0)
            break;
        err = skip_known(&b, writes, count, &known);
    }
    if (err == PARLEY_OK && count != 0)
        err = write_all(&b, source, writes + known, count - known);
    shrink(db, &db->record);
    shrink(db, &db->entries);
    if (err != PARLEY_OK)
        return err;
    if (changed != NULL)
        *changed = b.changed;
    return PARLEY_OK;
}

/* One piece. */
struct whole {
    struct parley_write *writes;
    size_t count;
};

static size_t next_whole(void *ud, struct parley_write **out)
{
    struct whole *whole = ud;
    size_t count = whole->count;
    *out = whole->writes;
    whole->count = 0;
    return count;
}

PARLEY_MUST_USE parley_err parley_db_apply(struct parley_db *db, struct parley_write *writes,
                                           size_t count, parley_wall now, bool *changed)
{
    struct whole whole = { .writes = writes, .count = count };
    struct pl_write_source source = { .ud = &whole, .next = next_whole };
    return pl_db_apply_from(db, &source, now, changed);
}

/* ---- For a restore ---- */

PL_MUST_USE parley_err pl_apply_begin(struct parley_db *db)
{
    struct batch b = { .db = db, .view = &db->view };
    struct pl_txn *txn;
    PL_TRY(ready(db));
    PL_TRY(pl_store_write_begin(db->store, &txn));
    start_view(&b, txn);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_apply_write(struct parley_db *db, struct parley_write *write)
{
    struct batch b = { .db = db, .view = &db->view };
    PL_TRY(parley_writes_check(write, 1, NULL));
    reset_results(write, 1);
    return apply_write(&b, write);
}

PL_MUST_USE parley_err pl_apply_end(struct parley_db *db, parley_err err)
{
    struct batch b = { .db = db, .view = &db->view, .changed = true };
    err = finish(&b, err);
    shrink(db, &db->record);
    return err;
}

/* ---- Held versions ---- */

/* Merges the earliest held version if its time has come. */
static PL_MUST_USE parley_err release_first(struct batch *b, bool *released)
{
    struct parley_db *db = b->db;
    struct pl_cursor *c;
    struct parley_span key, value;
    struct pl_key own_key;
    struct pl_held held;
    bool found;
    *released = false;
    PL_TRY(pl_view_cursor(b->view, PL_TABLE_HOLD, &c));
    PL_TRY(pl_cursor_seek(c, pl_span_of("", 1), &key, &value, &found));
    if (!found)
        return PARLEY_OK;
    if (key.len != PL_KEY_HOLD_BYTES)
        return PARLEY_ECORRUPT;
    if (pl_clock_is_ahead(pl_get_be(key.ptr, 8), b->now))
        return PARLEY_OK;
    /* The store lends the row only until the next write: merge from a copy. */
    PL_TRY(pl_db_room(db, &db->incoming, value.len));
    memcpy(db->incoming.ptr, value.ptr, value.len);
    own_key.len = key.len;
    memcpy(own_key.bytes, key.ptr, key.len);
    PL_TRY(
        pl_record_read_held(pl_key_span(&own_key), pl_span_of(db->incoming.ptr, value.len), &held));
    if (b->view->counters.held == 0 || parley_version_check(&held.version, NULL) != PARLEY_OK ||
        held.version.time == 0)
        return PARLEY_ECORRUPT;
    /* Not held.source: where that peer came back from an older store, a change of its from before
     * would look as if the new one had it. */
    struct parley_write w = { .source = PARLEY_SOURCE_FORGOTTEN, .u.version = held.version };
    PL_TRY(apply_version(b, &w));
    PL_TRY(pl_txn_del(b->view->txn, PL_TABLE_HOLD, pl_key_span(&own_key)));
    b->view->counters.held--;
    b->changed = true;
    *released = true;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err release_due(struct parley_db *db, parley_wall now, size_t *count)
{
    struct batch b = { .db = db, .view = &db->view, .now = now };
    struct pl_txn *txn;
    struct pl_cursor c;
    struct parley_span key, value;
    bool more = true;
    size_t released = 0;
    PL_TRY(pl_store_read_begin(db->store, &txn));
    parley_err err = pl_txn_cursor(txn, PL_TABLE_HOLD, &c);
    if (err == PARLEY_OK)
        err = pl_cursor_seek(&c, pl_span_of("", 1), &key, &value, &more);
    if (err == PARLEY_OK && more)
        more = key.len < 8 || !pl_clock_is_ahead(pl_get_be(key.ptr, 8), now);
    pl_store_read_end(txn);
    if (err != PARLEY_OK || !more)
        return err;
    PL_TRY(pl_store_write_begin(db->store, &txn));
    start_view(&b, txn);
    while (err == PARLEY_OK && more && released < PL_BATCH_WRITES_MAX) {
        err = release_first(&b, &more);
        released += more ? 1 : 0;
    }
    err = finish(&b, err);
    shrink(db, &db->record);
    shrink(db, &db->incoming);
    if (err == PARLEY_OK)
        *count = released;
    return err;
}

/* One step of what bulk writes have left behind. */
static PL_MUST_USE parley_err index_step(struct parley_db *db, parley_wall now)
{
    struct batch b = { .db = db, .view = &db->view, .now = now, .index_max = PL_INDEX_STEP_MAX };
    struct pl_txn *txn;
    if (db->counters.indexed == db->counters.head || db->without_elements)
        return PARLEY_OK;
    PL_TRY(db->store->ops->room(db->store, db->reserve_bytes));
    PL_TRY(pl_store_write_begin(db->store, &txn));
    start_view(&b, txn);
    parley_err err = finish(&b, PARLEY_OK);
    shrink(db, &db->entries);
    return err;
}

/* One step of what the rules of retention say. */
static PL_MUST_USE parley_err retain_step(struct parley_db *db, parley_wall now)
{
    struct batch b = { .db = db, .view = &db->view, .now = now, .changed = true };
    struct pl_txn *txn;
    if (!pl_retain_is_due(db, now))
        return PARLEY_OK;
    struct pl_retain_gone *gone = db->env->alloc(db->env->ud, sizeof *gone);
    if (gone == NULL)
        return PARLEY_ENOMEM;
    parley_err err = pl_retain_look(db, now, gone);
    if (err == PARLEY_OK && gone->count != 0) {
        err = pl_store_write_begin(db->store, &txn);
        if (err == PARLEY_OK) {
            start_view(&b, txn);
            err = finish(&b, pl_retain_drop(b.view, gone));
        }
    }
    if (err == PARLEY_OK)
        db->retain = gone->next;
    db->env->release(db->env->ud, gone, sizeof *gone);
    return err;
}

PARLEY_MUST_USE parley_err parley_db_maintain(struct parley_db *db, parley_wall now, size_t *count)
{
    size_t released = 0;
    PL_TRY(ready(db));
    /* First, since the rest may need the room. */
    parley_err grown = db->store->ops->maintain(db->store);
    if (grown == PARLEY_EBUSY) /* a reader is open: the store grows at the next call */
        grown = PARLEY_OK;
    if (grown != PARLEY_OK && grown != PARLEY_ENOSPC)
        return grown;
    if (db->counters.held != 0)
        PL_TRY(release_due(db, now, &released));
    PL_TRY(index_step(db, now));
    PL_TRY(retain_step(db, now));
    if (count != NULL)
        *count = released;
    return grown;
}
