/* SPDX-License-Identifier: Apache-2.0
 *
 * From the records of a backup into a store, by the rules that any version is merged by, so that
 * the store is sound whatever the backup says. What is different here:
 *
 *   - Nothing is held because its time is ahead of the clock: where it came from it was merged, or
 *     is a HELD record. The clock of the machine that restores may stand anywhere.
 *   - An overwritten version goes to the history and nowhere else. When nothing that it lost to is
 *     there, that was collected: `gone` of its namespace comes up to it (invariant 5). When it is
 *     newer than what is there and than `gone`, it was written after the backup, and is left out.
 *   - What a purge covers is nowhere, in the history and the trash neither.
 */
#include "db/backup_int.h"

struct incoming {
    struct parley_db *db;
    struct pl_view *view;
    const struct parley_version *version;
    uint32_t source;
    struct pl_candidate candidate;
};

static PL_MUST_USE parley_err prepare(struct parley_db *db, const struct pl_backup_record *record,
                                      struct incoming *out)
{
    const struct parley_version *v = &record->u.version.version;
    *out = (struct incoming){ .db = db,
                              .view = &db->view,
                              .version = v,
                              .source = record->u.version.source,
                              .candidate = { .version = v, .has_body = true } };
    out->candidate.stamp.time = v->time;
    return pl_view_find_origin(out->view, v->origin, &out->candidate.origin,
                               &out->candidate.stamp.tag);
}

/* `now` NULL: merged whatever its time. */
static PL_MUST_USE parley_err merge(struct incoming *in, const parley_wall *now)
{
    struct pl_decision decision;
    struct parley_write w = { .kind = PARLEY_WRITE_VERSION, .source = in->source };
    PL_TRY(pl_merge_decide(in->view, &in->candidate, now, &decision));
    return decision.writes ? pl_winner_store(in->db, in->view, &in->candidate, &w, &decision)
                           : PARLEY_OK;
}

/* Names become numbers, and the view stands at the conversation. */
static PL_MUST_USE parley_err intern(struct incoming *in, struct pl_record *out)
{
    struct pl_candidate *c = &in->candidate;
    const struct parley_version *v = in->version;
    bool created = false;
    PL_TRY(pl_view_intern_space(in->view, v->name_space));
    PL_TRY(pl_view_intern_talk(in->view, v->conversation, &created));
    if (c->origin == 0)
        PL_TRY(pl_view_intern_origin(in->view, v->origin, c->stamp.tag, &c->origin));
    in->view->counters.clock = pl_max_u64(in->view->counters.clock, c->stamp.time);
    *out = (struct pl_record){ .flags = (uint8_t)v->flags,
                               .kind = (uint8_t)v->kind,
                               .source = in->source,
                               .conversation = in->view->talk_number,
                               .stamp = c->stamp,
                               .origin = c->origin,
                               .digest = pl_merge_digest(c),
                               .id = v->id,
                               .body = v->body };
    return PARLEY_OK;
}

static PL_MUST_USE parley_err raise_gone(struct pl_view *view, uint64_t time)
{
    struct pl_floor_row row;
    PL_TRY(pl_collect_read_floor(view, view->space_number, &row));
    if (row.gone >= time)
        return PARLEY_OK;
    row.gone = time;
    return pl_collect_write_floor(view, &row);
}

static PL_MUST_USE parley_err keep_lost(struct incoming *in)
{
    struct pl_record record;
    enum pl_history_standing standing;
    bool purged;
    PL_TRY(intern(in, &record));
    PL_TRY(pl_purge_covers(in->view, record.kind, record.stamp, &purged));
    if (purged || record.kind == PARLEY_KIND_PURGE)
        return PARLEY_OK;
    PL_TRY(pl_history_stand(in->view, &record, &standing));
    if (standing == PL_HISTORY_WINS)
        return PARLEY_OK;
    if (standing == PL_HISTORY_ALONE)
        PL_TRY(raise_gone(in->view, record.stamp.time));
    return pl_history_add(in->db, in->view, &record);
}

static PL_MUST_USE parley_err keep_trash(struct incoming *in)
{
    struct pl_record record;
    bool purged;
    PL_TRY(intern(in, &record));
    PL_TRY(pl_purge_covers(in->view, record.kind, record.stamp, &purged));
    return purged || record.kind == PARLEY_KIND_PURGE ? PARLEY_OK
                                                      : pl_collect_keep(in->db, in->view, &record);
}

static PL_MUST_USE parley_err put_floor(struct parley_db *db, struct parley_span name_space,
                                        const struct pl_floor_row *row)
{
    struct pl_view *view = &db->view;
    PL_TRY(pl_view_intern_space(view, name_space));
    view->counters.clock = pl_max_u64(view->counters.clock, row->floor);
    return pl_collect_write_floor(view, row);
}

static PL_MUST_USE parley_err put_write(struct parley_db *db, const struct pl_backup_record *record)
{
    struct parley_write w = { .kind = PARLEY_WRITE_VIEW };
    if (record->type == PL_BACKUP_SYS) {
        w.kind = PARLEY_WRITE_SYS_PUT;
        w.u.sys.key = record->u.sys.key;
        w.u.sys.value = record->u.sys.value;
    } else if (record->type == PL_BACKUP_CURSOR) {
        w.kind = PARLEY_WRITE_CURSOR;
        w.u.cursor.peer = record->u.cursor.peer;
        w.u.cursor.incarnation = record->u.cursor.incarnation;
        w.u.cursor.seq = record->u.cursor.seq;
    } else if (record->type == PL_BACKUP_RETENTION) {
        w.kind = PARLEY_WRITE_RETENTION;
        w.u.retention.name_space = record->u.retention.name_space;
        w.u.retention.rule = record->u.retention.rule;
    } else {
        w.u.view.name_space = record->u.view.name_space;
        w.u.view.prefix = record->u.view.prefix;
    }
    return pl_apply_write(db, &w);
}

static PL_MUST_USE parley_err put_version(struct parley_db *db,
                                          const struct pl_backup_record *record)
{
    static const parley_wall never = 0; /* all times are ahead of it */
    struct incoming in;
    PL_TRY(prepare(db, record, &in));
    if (record->type == PL_BACKUP_LOST)
        return keep_lost(&in);
    if (record->type == PL_BACKUP_TRASH)
        return keep_trash(&in);
    return merge(&in, record->type == PL_BACKUP_HELD ? &never : NULL);
}

PL_MUST_USE parley_err pl_restore_record(struct parley_db *db,
                                         const struct pl_backup_record *record, const char **why)
{
    parley_err err = PARLEY_OK;
    switch (record->type) {
    case PL_BACKUP_HEAD:
    case PL_BACKUP_RAISED: /* after all the others: restore.c */
    case PL_BACKUP_END:
        return PARLEY_OK;
    case PL_BACKUP_SYS:
    case PL_BACKUP_CURSOR:
    case PL_BACKUP_RETENTION:
    case PL_BACKUP_VIEW:
        err = put_write(db, record);
        break;
    case PL_BACKUP_FLOOR:
        err = put_floor(db, record->u.floor.name_space, &record->u.floor.row);
        break;
    case PL_BACKUP_HELD:
    case PL_BACKUP_TRASH:
    case PL_BACKUP_LIVE:
    case PL_BACKUP_LOST:
        err = put_version(db, record);
        break;
    }
    if (err == PARLEY_EFULL)
        *why = "it has more namespaces, views or origins than a store has room for";
    return err;
}

/* ---- Indexes ---- */

/* A view of the db that still has to be built; its names are copied. */
struct unready {
    struct parley_write write;
    uint8_t name_space[PARLEY_NAMESPACE_BYTES_MAX];
    uint8_t prefix[PARLEY_ID_BYTES_MAX];
};

static PL_MUST_USE parley_err find_unready(struct parley_db *db, struct unready *out, bool *found)
{
    struct parley_read *read;
    struct parley_view_info info;
    uint64_t position = 0;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = parley_read_views(read, &position, &info, found);
    while (err == PARLEY_OK && *found && info.state == PARLEY_VIEW_READY)
        err = parley_read_views(read, &position, &info, found);
    if (err == PARLEY_OK && *found) {
        memcpy(out->name_space, info.name_space.ptr, info.name_space.len);
        memcpy(out->prefix, info.prefix.ptr, info.prefix.len);
        out->write = (struct parley_write){ .kind = PARLEY_WRITE_VIEW };
        out->write.u.view.name_space = pl_span_of(out->name_space, info.name_space.len);
        out->write.u.view.prefix = pl_span_of(out->prefix, info.prefix.len);
    }
    parley_read_end(read);
    return err;
}

PL_MUST_USE parley_err pl_restore_indexes(struct parley_db *db)
{
    struct parley_write index = { .kind = PARLEY_WRITE_INDEX };
    struct unready view;
    bool found = false;
    while (db->counters.indexed < db->counters.head)
        PL_TRY(parley_db_apply(db, &index, 1, 0, NULL));
    PL_TRY(find_unready(db, &view, &found));
    while (found) {
        PL_TRY(parley_db_apply(db, &view.write, 1, 0, NULL));
        PL_TRY(find_unready(db, &view, &found));
    }
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_restore_raise(struct parley_db *db, struct parley_span name_space,
                                        const struct pl_floor_row *row)
{
    struct parley_write w = { .kind = PARLEY_WRITE_COLLECT };
    w.u.collect.name_space = name_space;
    w.u.collect.upto = row->floor;
    w.u.collect.raise = true;
    w.u.collect.clean = row->clean;
    do
        PL_TRY(parley_db_apply(db, &w, 1, 0, NULL));
    while (w.more);
    return PARLEY_OK;
}
