/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of what was overwritten is kept: a rule of each namespace, by number and by age.
 *
 *   K1  A register has at most `versions` in its history; a loser that comes in puts the oldest out
 *       (history.c). A rule that became narrower is carried out by passes.
 *   K2  A version goes when it was overwritten longer ago than `age_us`: the time of what took its
 *       place, the next one in history or what is current, is that old.
 *   K3  A pass is a few rows each time that maintenance comes along; it reads, and writes only when
 *       something is to go. Without a rule there is none.
 */
#include "db/db_int.h"

/* Rows looked at in one step. */
#define STEP_ROWS PL_LIMIT(2000u, 5u)
/* From the end of a pass to the next. */
#define PASS_US (INT64_C(600) * PARLEY_US_PER_S)
/* What follows the prefix of a history key: time, tag, digest. */
#define TAIL_BYTES (8 + 4 + PL_KEY_DIGEST_BYTES)

static const struct parley_retention usual = { .versions = PARLEY_HISTORY_VERSIONS };

PL_MUST_USE parley_err pl_retain_find(struct pl_view *view, uint32_t name_space,
                                      struct parley_retention *out)
{
    struct pl_key key;
    struct parley_span value;
    bool found;
    pl_key_retention(&key, name_space);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_SYS, pl_key_span(&key), &value, &found));
    *out = usual;
    return found ? pl_record_read_retention(pl_key_span(&key), value, out) : PARLEY_OK;
}

PL_MUST_USE parley_err pl_retain_apply(struct parley_db *db, struct pl_view *view,
                                       struct parley_write *w, bool write, bool *known)
{
    const struct parley_retention *rule = &w->u.retention.rule;
    struct parley_retention before;
    struct pl_key key;
    bool found;
    PL_TRY(pl_view_find_space(view, w->u.retention.name_space, &found));
    *known = false;
    if (!found && write)
        PL_TRY(pl_view_intern_space(view, w->u.retention.name_space));
    if (found) {
        PL_TRY(pl_retain_find(view, view->space_number, &before));
        *known = before.versions == rule->versions && before.age_us == rule->age_us;
    }
    if (*known || !write)
        return PARLEY_OK;
    uint8_t row[PL_RECORD_RETENTION_BYTES];
    struct pl_writer writer = pl_writer_over(row, sizeof row);
    pl_key_retention(&key, view->space_number);
    pl_record_write_retention(&writer, pl_key_span(&key), rule);
    db->retain = (struct pl_retain){ 0 }; /* from the beginning, now */
    return pl_txn_put(view->txn, PL_TABLE_SYS, pl_key_span(&key), pl_writer_span(&writer));
}

/* ---- A pass ---- */

/* The history of one register: times of its versions, oldest first. */
struct run {
    size_t prefix_len;
    size_t count;
    struct pl_key keys[PARLEY_HISTORY_PER_REGISTER_MAX];
};

static uint64_t time_of(const struct pl_key *key)
{
    return pl_get_be(key->bytes + key->len - TAIL_BYTES, 8);
}

/* When the last one was overwritten; its own time where nothing says. */
static PL_MUST_USE parley_err find_successor(struct pl_view *view, const struct run *run,
                                             uint64_t *time)
{
    struct pl_key key = run->keys[run->count - 1];
    struct parley_span value;
    struct pl_register_row row;
    bool found;
    *time = pl_max_u64(time_of(&key), view->talk.tomb.time);
    key.len = run->prefix_len - 1; /* the zero byte ends the id */
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, &found));
    if (!found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &row));
    *time = pl_max_u64(*time, row.stamp.time);
    return PARLEY_OK;
}

static bool is_old(uint64_t overwritten, uint64_t age_us, parley_wall now)
{
    return age_us != 0 && now > 0 && overwritten + age_us < (uint64_t)now;
}

/* K1, K2. */
static PL_MUST_USE parley_err judge(struct pl_view *view, const struct run *run, parley_wall now,
                                    struct pl_retain_gone *gone)
{
    struct parley_retention rule;
    uint64_t last = 0;
    if (run->count == 0)
        return PARLEY_OK;
    PL_TRY(pl_view_get_talk(view, (uint32_t)pl_get_be(run->keys[0].bytes, 4)));
    PL_TRY(pl_retain_find(view, view->talk.name_space, &rule));
    PL_TRY(find_successor(view, run, &last));
    for (size_t i = 0; i < run->count; i++) {
        uint64_t overwritten = i + 1 < run->count ? time_of(&run->keys[i + 1]) : last;
        if (run->count - i > rule.versions || is_old(overwritten, rule.age_us, now))
            gone->keys[gone->count++] = run->keys[i];
    }
    return PARLEY_OK;
}

/* Looks at some registers behind `at`, which then stands behind them; *end: there are no more. */
static PL_MUST_USE parley_err look(struct pl_view *view, struct pl_key *at, parley_wall now,
                                   struct pl_retain_gone *gone, bool *end)
{
    struct run run = { .count = 0 };
    struct pl_cursor *c;
    struct parley_span key, value;
    bool found;
    PL_TRY(pl_view_cursor(view, PL_TABLE_HISTORY, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(at), &key, &value, &found));
    for (uint32_t rows = 0; found; rows++) {
        if (key.len <= 5 + TAIL_BYTES || key.len > sizeof at->bytes)
            return PARLEY_ECORRUPT;
        size_t prefix_len = key.len - TAIL_BYTES;
        bool same = run.count != 0 && run.prefix_len == prefix_len &&
                    memcmp(run.keys[0].bytes, key.ptr, prefix_len) == 0;
        if (!same) {
            PL_TRY(judge(view, &run, now, gone));
            run.count = 0;
            at->len = key.len;
            memcpy(at->bytes, key.ptr, key.len);
            if (rows >= STEP_ROWS || gone->count >= PL_RETAIN_STEP)
                return PARLEY_OK;
        }
        if (run.count == PARLEY_HISTORY_PER_REGISTER_MAX)
            return PARLEY_ECORRUPT;
        run.prefix_len = prefix_len;
        run.keys[run.count].len = key.len;
        memcpy(run.keys[run.count++].bytes, key.ptr, key.len);
        PL_TRY(pl_cursor_next(c, &key, &value, &found));
    }
    *end = true;
    return judge(view, &run, now, gone);
}

static PL_MUST_USE parley_err has_rules(struct pl_view *view, bool *out)
{
    struct pl_key from;
    struct pl_cursor *c;
    struct parley_span key, value;
    pl_key_retention(&from, 0);
    PL_TRY(pl_view_cursor(view, PL_TABLE_SYS, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, out));
    *out = *out && pl_span_has_prefix(key, pl_span_of(from.bytes, 2));
    return PARLEY_OK;
}

bool pl_retain_is_due(const struct parley_db *db, parley_wall now)
{
    /* A clock that was set back does not stop it. */
    parley_wall until = db->retain.rests_until;
    return now >= until || until - now > PASS_US;
}

PL_MUST_USE parley_err pl_retain_look(struct parley_db *db, parley_wall now,
                                      struct pl_retain_gone *gone)
{
    struct pl_retain next = db->retain;
    struct pl_txn *txn;
    bool rules = false, end = false;
    gone->count = 0;
    PL_TRY(pl_store_read_begin(db->store, &txn));
    pl_view_init(&db->view, txn);
    parley_err err = has_rules(&db->view, &rules);
    if (next.at.len == 0)
        next.at = (struct pl_key){ .len = 1 };
    if (err == PARLEY_OK && rules)
        err = look(&db->view, &next.at, now, gone, &end);
    pl_store_read_end(txn);
    if (err == PARLEY_OK && (end || !rules))
        next = (struct pl_retain){ .rests_until = now + PASS_US };
    gone->next = next;
    return err;
}

PL_MUST_USE parley_err pl_retain_drop(struct pl_view *view, const struct pl_retain_gone *gone)
{
    for (size_t i = 0; i < gone->count; i++)
        PL_TRY(pl_txn_del(view->txn, PL_TABLE_HISTORY, pl_key_span(&gone->keys[i])));
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_retention(struct parley_read *read,
                                                 struct parley_span name_space,
                                                 struct parley_retention *out)
{
    bool found = false;
    if (read->err != PARLEY_OK)
        return read->err;
    *out = usual;
    parley_err err = pl_view_find_space(&read->view, name_space, &found);
    if (err == PARLEY_OK && found)
        err = pl_retain_find(&read->view, read->view.space_number, out);
    return pl_read_keep(read, err);
}
