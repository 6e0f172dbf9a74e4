/* SPDX-License-Identifier: Apache-2.0
 *
 * Records and places of a backup; see backup_int.h. Decoders check everything that does not need a
 * store: what they pass can be merged.
 */
#include "db/backup_int.h"

/* Merged times end here: microseconds for 292,000 years, and local stamps can still follow. */
#define TIME_MAX ((uint64_t)INT64_MAX)

/* ---- Sizes ---- */

static size_t version_bytes(const struct parley_version *v)
{
    return 14 + 4 + v->name_space.len + v->conversation.len + v->id.len + v->origin.len +
           v->body.len;
}

static size_t body_bytes(const struct pl_backup_record *record)
{
    switch (record->type) {
    case PL_BACKUP_HEAD:
        return 4 + PARLEY_INCARNATION_BYTES + 3 * 8;
    case PL_BACKUP_SYS:
        return 2 + record->u.sys.key.len + record->u.sys.value.len;
    case PL_BACKUP_CURSOR:
        return 4 + PARLEY_INCARNATION_BYTES + 8;
    case PL_BACKUP_FLOOR:
    case PL_BACKUP_RAISED:
        return 1 + record->u.floor.name_space.len + 3 * 8;
    case PL_BACKUP_RETENTION:
        return 1 + record->u.retention.name_space.len + 4 + 8;
    case PL_BACKUP_VIEW:
        return 2 + record->u.view.name_space.len + record->u.view.prefix.len;
    case PL_BACKUP_HELD:
    case PL_BACKUP_TRASH:
    case PL_BACKUP_LIVE:
    case PL_BACKUP_LOST:
        return version_bytes(&record->u.version.version);
    case PL_BACKUP_END:
        return 3 * 8;
    }
    return 0;
}

size_t pl_backup_record_bytes(const struct pl_backup_record *record)
{
    return PL_BACKUP_RECORD_BYTES + body_bytes(record);
}

/* ---- Writing ---- */

static void write_short(struct pl_writer *w, struct parley_span text)
{
    pl_write_u8(w, (uint8_t)text.len);
    pl_write_span(w, text);
}

/* No name is empty, so an empty one stands for that of the version before. */
static void write_name(struct pl_writer *w, struct parley_span name, struct parley_span *last)
{
    bool same = pl_span_equal(name, *last);
    write_short(w, same ? pl_span_of(NULL, 0) : name);
    *last = name;
}

static void write_version(struct pl_writer *w, const struct pl_backup_record *record,
                          struct pl_backup_names *names)
{
    const struct parley_version *v = &record->u.version.version;
    pl_write_u8(w, (uint8_t)v->flags);
    pl_write_u8(w, (uint8_t)v->kind);
    pl_write_u32(w, record->u.version.source);
    pl_write_u64(w, v->time);
    write_name(w, v->name_space, &names->name_space);
    write_name(w, v->conversation, &names->conversation);
    write_name(w, v->origin, &names->origin);
    write_short(w, v->id);
    pl_write_span(w, v->body);
}

static void write_body(struct pl_writer *w, const struct pl_backup_record *record,
                       struct pl_backup_names *names)
{
    switch (record->type) {
    case PL_BACKUP_HEAD:
        pl_write_u32(w, record->u.head.format);
        pl_write_bytes(w, record->u.head.incarnation.bytes, PARLEY_INCARNATION_BYTES);
        pl_write_u64(w, (uint64_t)record->u.head.taken_at);
        pl_write_u64(w, record->u.head.head);
        pl_write_u64(w, record->u.head.clock);
        return;
    case PL_BACKUP_SYS:
        pl_write_u16(w, (uint16_t)record->u.sys.key.len);
        pl_write_span(w, record->u.sys.key);
        pl_write_span(w, record->u.sys.value);
        return;
    case PL_BACKUP_CURSOR:
        pl_write_u32(w, record->u.cursor.peer);
        pl_write_bytes(w, record->u.cursor.incarnation.bytes, PARLEY_INCARNATION_BYTES);
        pl_write_u64(w, record->u.cursor.seq);
        return;
    case PL_BACKUP_FLOOR:
    case PL_BACKUP_RAISED:
        write_short(w, record->u.floor.name_space);
        pl_write_u64(w, record->u.floor.row.floor);
        pl_write_u64(w, record->u.floor.row.clean);
        pl_write_u64(w, record->u.floor.row.gone);
        return;
    case PL_BACKUP_RETENTION:
        write_short(w, record->u.retention.name_space);
        pl_write_u32(w, record->u.retention.rule.versions);
        pl_write_u64(w, record->u.retention.rule.age_us);
        return;
    case PL_BACKUP_VIEW:
        write_short(w, record->u.view.name_space);
        write_short(w, record->u.view.prefix);
        return;
    case PL_BACKUP_HELD:
    case PL_BACKUP_TRASH:
    case PL_BACKUP_LIVE:
    case PL_BACKUP_LOST:
        write_version(w, record, names);
        return;
    case PL_BACKUP_END:
        pl_write_u64(w, record->u.end.records);
        pl_write_u64(w, record->u.end.bytes);
        pl_write_u64(w, record->u.end.clock);
        return;
    }
}

void pl_backup_write_record(struct pl_writer *w, const struct pl_backup_record *record,
                            struct pl_backup_names *names)
{
    size_t start = w->len;
    pl_write_u8(w, (uint8_t)record->type);
    pl_write_u32(w, 0);
    write_body(w, record, names);
    PL_ASSERT(w->err == PARLEY_OK);
    pl_put_be(w->ptr + start + 1, w->len - start - PL_BACKUP_RECORD_BYTES, 4);
}

/* ---- Reading ---- */

static struct parley_span read_short(struct pl_reader *r)
{
    size_t len = pl_read_u8(r);
    return pl_read_bytes(r, len);
}

static struct parley_span read_name(struct pl_reader *r, struct parley_span *last)
{
    struct parley_span name = read_short(r);
    if (name.len != 0)
        *last = name;
    return *last;
}

static PL_MUST_USE parley_err refuse(const char **why, const char *text)
{
    *why = text;
    return PARLEY_EMALFORMED;
}

static PL_MUST_USE parley_err read_version(struct pl_reader *r, struct pl_backup_record *out,
                                           struct pl_backup_names *names, const char **why)
{
    struct parley_version v = { 0 };
    v.flags = pl_read_u8(r);
    uint8_t kind = pl_read_u8(r);
    uint32_t source = pl_read_u32(r);
    v.time = pl_read_u64(r);
    v.name_space = read_name(r, &names->name_space);
    v.conversation = read_name(r, &names->conversation);
    v.origin = read_name(r, &names->origin);
    v.id = read_short(r);
    v.body = pl_read_bytes(r, pl_reader_left(r));
    if (r->err != PARLEY_OK || kind < PARLEY_KIND_CONVERSATION || kind > PARLEY_KIND_PURGE)
        return refuse(why, "a version does not decode");
    v.kind = (enum parley_kind)kind;
    if (parley_version_check(&v, NULL) != PARLEY_OK)
        return refuse(why, "a version breaks the rules of versions");
    bool merged = out->type != PL_BACKUP_HELD;
    if (v.time == 0 || (merged && v.time > TIME_MAX))
        return refuse(why, "a version has an impossible time");
    if (out->type == PL_BACKUP_TRASH && (v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return refuse(why, "a deletion is in the trash");
    out->u.version.source = source;
    out->u.version.version = v;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err read_head(struct pl_reader *r, struct pl_backup_record *out,
                                        const char **why)
{
    out->u.head.format = pl_read_u32(r);
    if (r->err == PARLEY_OK && out->u.head.format != PARLEY_BACKUP_FORMAT) {
        *why = "the backup was written by another format version; use a newer parley";
        return PARLEY_EVERSION;
    }
    pl_read_copy(r, out->u.head.incarnation.bytes, PARLEY_INCARNATION_BYTES);
    uint64_t taken_at = pl_read_u64(r);
    out->u.head.taken_at = (parley_wall)pl_min_u64(taken_at, TIME_MAX);
    out->u.head.head = pl_read_u64(r);
    out->u.head.clock = pl_read_u64(r);
    if (out->u.head.clock > TIME_MAX)
        return refuse(why, "its clock has an impossible time");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err read_sys(struct pl_reader *r, struct pl_backup_record *out,
                                       const char **why)
{
    size_t len = pl_read_u16(r);
    struct parley_span key = pl_read_bytes(r, len);
    struct parley_span value = pl_read_bytes(r, pl_reader_left(r));
    if (key.len == 0 || key.len > PL_DB_SYS_KEY_BYTES_MAX || key.ptr[0] == 0 ||
        value.len > PL_DB_SYS_VALUE_BYTES_MAX)
        return refuse(why, "a record of the node has a bad key, or is longer than 64 KiB");
    out->u.sys.key = key;
    out->u.sys.value = value;
    return PARLEY_OK;
}

/* The rules for the name of a namespace are those of a version in it. */
static PL_MUST_USE parley_err check_space(struct parley_span name, const char **why)
{
    struct parley_version v = { .name_space = name,
                                .conversation = pl_span_text("any"),
                                .kind = PARLEY_KIND_CONVERSATION,
                                .flags = PARLEY_FLAG_TOMBSTONE,
                                .time = 1,
                                .origin = pl_span_text("any") };
    return parley_version_check(&v, NULL) == PARLEY_OK ? PARLEY_OK
                                                       : refuse(why, "a namespace has a bad name");
}

static PL_MUST_USE parley_err read_floor(struct pl_reader *r, struct pl_backup_record *out,
                                         const char **why)
{
    struct pl_floor_row row = { 0 };
    out->u.floor.name_space = read_short(r);
    row.floor = pl_read_u64(r);
    row.clean = pl_read_u64(r);
    row.gone = pl_read_u64(r);
    out->u.floor.row = row;
    if (row.floor > TIME_MAX || row.clean > TIME_MAX || row.gone > TIME_MAX)
        return refuse(why, "a floor has an impossible time");
    return check_space(out->u.floor.name_space, why);
}

static PL_MUST_USE parley_err read_retention(struct pl_reader *r, struct pl_backup_record *out,
                                             const char **why)
{
    out->u.retention.name_space = read_short(r);
    out->u.retention.rule.versions = pl_read_u32(r);
    out->u.retention.rule.age_us = pl_read_u64(r);
    if (out->u.retention.rule.versions > PARLEY_HISTORY_PER_REGISTER_MAX)
        return refuse(why, "a rule keeps more versions than a history may have");
    return check_space(out->u.retention.name_space, why);
}

static PL_MUST_USE parley_err read_view(struct pl_reader *r, struct pl_backup_record *out,
                                        const char **why)
{
    out->u.view.name_space = read_short(r);
    out->u.view.prefix = read_short(r);
    if (out->u.view.prefix.len == 0)
        return refuse(why, "a view has no prefix");
    return check_space(out->u.view.name_space, why);
}

static void read_cursor(struct pl_reader *r, struct pl_backup_record *out)
{
    out->u.cursor.peer = pl_read_u32(r);
    pl_read_copy(r, out->u.cursor.incarnation.bytes, PARLEY_INCARNATION_BYTES);
    out->u.cursor.seq = pl_read_u64(r);
}

static PL_MUST_USE parley_err read_end(struct pl_reader *r, struct pl_backup_record *out,
                                       const char **why)
{
    out->u.end.records = pl_read_u64(r);
    out->u.end.bytes = pl_read_u64(r);
    out->u.end.clock = pl_read_u64(r);
    return out->u.end.clock <= TIME_MAX ? PARLEY_OK
                                        : refuse(why, "its clock has an impossible time");
}

static PL_MUST_USE parley_err read_body(struct pl_reader *r, uint8_t type,
                                        struct pl_backup_record *out, struct pl_backup_names *names,
                                        const char **why)
{
    if (type < PL_BACKUP_HEAD || type > PL_BACKUP_RETENTION)
        return refuse(why, "a record has an unknown type");
    out->type = (enum pl_backup_type)type;
    switch (out->type) {
    case PL_BACKUP_HEAD:
        return read_head(r, out, why);
    case PL_BACKUP_SYS:
        return read_sys(r, out, why);
    case PL_BACKUP_CURSOR:
        read_cursor(r, out);
        return PARLEY_OK;
    case PL_BACKUP_FLOOR:
    case PL_BACKUP_RAISED:
        return read_floor(r, out, why);
    case PL_BACKUP_RETENTION:
        return read_retention(r, out, why);
    case PL_BACKUP_VIEW:
        return read_view(r, out, why);
    case PL_BACKUP_HELD:
    case PL_BACKUP_TRASH:
    case PL_BACKUP_LIVE:
    case PL_BACKUP_LOST:
        return read_version(r, out, names, why);
    case PL_BACKUP_END:
        return read_end(r, out, why);
    }
    return PARLEY_EMALFORMED;
}

PL_MUST_USE parley_err pl_backup_read_record(struct pl_reader *r, struct pl_backup_record *out,
                                             struct pl_backup_names *names, const char **why)
{
    uint8_t type = pl_read_u8(r);
    size_t len = pl_read_u32(r);
    struct pl_reader body = pl_reader_over(pl_read_bytes(r, len));
    if (r->err != PARLEY_OK)
        return refuse(why, "a record is cut off");
    PL_TRY(read_body(&body, type, out, names, why));
    return pl_reader_end(&body) == PARLEY_OK ? PARLEY_OK
                                             : refuse(why, "a record has the wrong length");
}

/* ---- Places ---- */

void pl_backup_write_at(struct pl_writer *w, const struct pl_backup_at *at)
{
    pl_write_bytes(w, at->incarnation.bytes, PARLEY_INCARNATION_BYTES);
    pl_write_u64(w, at->records);
    pl_write_u64(w, at->bytes);
    pl_write_u8(w, at->phase);
    pl_write_u16(w, (uint16_t)at->key_len);
    pl_write_bytes(w, at->key, at->key_len);
    pl_write_u8(w, (uint8_t)at->last_len);
    pl_write_bytes(w, at->last, at->last_len);
    PL_ASSERT(w->err == PARLEY_OK);
}

PL_MUST_USE parley_err pl_backup_read_at(struct parley_span bytes, struct pl_backup_at *out)
{
    struct pl_reader r = pl_reader_over(bytes);
    struct pl_backup_at at = { 0 };
    pl_read_copy(&r, at.incarnation.bytes, PARLEY_INCARNATION_BYTES);
    at.records = pl_read_u64(&r);
    at.bytes = pl_read_u64(&r);
    at.phase = pl_read_u8(&r);
    at.key_len = pl_read_u16(&r);
    if (at.key_len > sizeof at.key)
        return PARLEY_EMALFORMED;
    pl_read_copy(&r, at.key, at.key_len);
    at.last_len = pl_read_u8(&r);
    if (at.last_len > sizeof at.last)
        return PARLEY_EMALFORMED;
    pl_read_copy(&r, at.last, at.last_len);
    if (pl_reader_end(&r) != PARLEY_OK || at.phase < PL_BACKUP_WALK_SYS ||
        at.phase > PL_BACKUP_DONE)
        return PARLEY_EMALFORMED;
    *out = at;
    return PARLEY_OK;
}

void pl_backup_chain(uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES], struct parley_span bytes)
{
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, digest, PARLEY_BACKUP_DIGEST_BYTES);
    pl_sha256_update(&h, bytes.ptr, bytes.len);
    pl_sha256_final(&h, digest);
}

void pl_backup_genesis(uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES])
{
    pl_sha256_of(pl_span_text(PL_BACKUP_MAGIC), digest);
}
