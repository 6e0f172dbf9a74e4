/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a backup: bytes as they come -> whole blocks -> their digest -> their records.
 *
 * Nothing of a block is looked at before its digest is right, and nothing is believed because it
 * is: a digest finds accidents, the decoders and the rules of versions deal with the rest. What
 * waits for the rest of its block is at most one block.
 *
 *   MAGIC -> RECORDS_LEN -> PLACE_LEN -> BLOCK --digest, records--> RECORDS_LEN
 *                                              --the end was among them--> END
 */
#include "db/backup_int.h"

/* What is read next, once `wanted` bytes are there. */
enum stage { STAGE_MAGIC, STAGE_RECORDS_LEN, STAGE_PLACE_LEN, STAGE_BLOCK, STAGE_END };

/* The floor of a namespace at the end of the backup. */
struct raised {
    uint8_t len;
    uint8_t name_space[PARLEY_NAMESPACE_BYTES_MAX];
    struct pl_floor_row row;
};

struct parley_restore {
    const struct parley_env *env;
    struct parley_db *db; /* STORE only */
    enum parley_restore_mode mode;
    parley_err err;
    enum stage stage;
    struct pl_buffer buffer; /* the block that is coming in */
    size_t have, wanted;
    size_t records_len;    /* of that block */
    uint64_t payload;      /* bytes of records before that block */
    uint64_t clock;        /* where the clock of the store was at the end */
    struct raised *raised; /* PARLEY_NAMESPACES_MAX of them; NULL: there was none */
    size_t raised_count;
    struct parley_backup_place place;
    struct parley_backup_report report;
};

/* ---- Life ---- */

/* Nothing was ever written: what is there cannot be told from what is restored. */
static PL_MUST_USE parley_err check_empty(struct parley_db *db)
{
    struct parley_read *read;
    struct pl_counters counters;
    struct parley_span key, value;
    struct parley_span any = pl_span_of(NULL, 0);
    bool found = false;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = pl_db_read_counters(read->view.txn, &counters);
    if (err == PARLEY_OK)
        err = parley_read_sys_after(read, any, any, &key, &value, &found);
    parley_read_end(read);
    if (err != PARLEY_OK)
        return err;
    bool empty = counters.head == 0 && counters.held == 0 && counters.name_spaces == 0;
    return empty && !found ? PARLEY_OK : PARLEY_EBUSY;
}

PARLEY_MUST_USE parley_err parley_restore_open(const struct parley_env *env, struct parley_db *db,
                                               enum parley_restore_mode mode,
                                               struct parley_restore **out)
{
    PL_ASSERT((mode == PARLEY_RESTORE_STORE) == (db != NULL));
    if (db != NULL)
        PL_TRY(check_empty(db));
    struct parley_restore *r = env->alloc(env->ud, sizeof *r);
    if (r == NULL)
        return PARLEY_ENOMEM;
    memset(r, 0, sizeof *r);
    r->env = env;
    r->db = db;
    r->mode = mode;
    r->stage = STAGE_MAGIC;
    r->wanted = PL_BACKUP_MAGIC_BYTES;
    pl_backup_genesis(r->report.digest);
    *out = r;
    return PARLEY_OK;
}

void parley_restore_close(struct parley_restore *restore)
{
    if (restore == NULL)
        return;
    const struct parley_env *env = restore->env;
    env->release(env->ud, restore->buffer.ptr, restore->buffer.cap);
    if (restore->raised != NULL)
        env->release(env->ud, restore->raised, PARLEY_NAMESPACES_MAX * sizeof *restore->raised);
    env->release(env->ud, restore, sizeof *restore);
}

void parley_restore_report(const struct parley_restore *restore, struct parley_backup_report *out)
{
    *out = restore->report;
}

void parley_restore_place(const struct parley_restore *restore, struct parley_backup_place *out)
{
    *out = restore->place;
}

void parley_restore_rewind(struct parley_restore *restore)
{
    bool begun = restore->place.len != 0;
    PL_ASSERT(restore->mode == PARLEY_RESTORE_SKIM);
    restore->err = PARLEY_OK;
    restore->have = 0;
    restore->wanted = begun ? 4 : PL_BACKUP_MAGIC_BYTES;
    restore->stage = !begun                     ? STAGE_MAGIC
                     : restore->report.complete ? STAGE_END
                                                : STAGE_RECORDS_LEN;
    if (!begun)
        restore->report = (struct parley_backup_report){ 0 };
    if (!begun)
        pl_backup_genesis(restore->report.digest);
}

/* ---- Failing ---- */

static void write_number(struct pl_writer *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    pl_write_bytes(w, digits + at, sizeof digits - at);
}

/* Notes the failure at a byte of the stream. */
static parley_err fail(struct parley_restore *r, parley_err err, uint64_t at, const char *why,
                       struct parley_diag *diag)
{
    r->err = err;
    if (diag == NULL)
        return err;
    struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
    pl_write_text(&w, "at byte ");
    write_number(&w, at);
    pl_write_text(&w, ": ");
    pl_write_text(&w, why != NULL ? why : parley_err_text(err));
    diag->text[w.len] = '\0';
    return err;
}

/* ---- Records ---- */

static void count(struct parley_restore *r, const struct pl_backup_record *record)
{
    struct parley_backup_report *report = &r->report;
    report->records++;
    report->versions += record->type == PL_BACKUP_LIVE ? 1 : 0;
    report->history += record->type == PL_BACKUP_LOST ? 1 : 0;
    report->trash += record->type == PL_BACKUP_TRASH ? 1 : 0;
    report->held += record->type == PL_BACKUP_HELD ? 1 : 0;
}

/* The first record says what this is, the last one how much there was; floors come before what they
 * were found beside, which would not fit a store that has it already. `at` is where the record
 * begins among the bytes of records. */
static PL_MUST_USE parley_err check_order(struct parley_restore *r,
                                          const struct pl_backup_record *record, uint64_t at,
                                          const char **why)
{
    bool first = r->report.records == 0;
    *why = first ? "the backup does not begin with its head" : "a second backup begins here";
    if ((record->type == PL_BACKUP_HEAD) != first)
        return PARLEY_EMALFORMED;
    *why = "something follows the end of the backup";
    if (r->report.complete)
        return PARLEY_EMALFORMED;
    *why = "a floor comes behind the versions that it counts for";
    if (record->type == PL_BACKUP_FLOOR && r->report.versions + r->report.history != 0)
        return PARLEY_EMALFORMED;
    if (first) {
        r->report.incarnation = record->u.head.incarnation;
        r->report.taken_at = record->u.head.taken_at;
    }
    if (record->type != PL_BACKUP_END)
        return PARLEY_OK;
    *why = "its end says that there was more, or less";
    if (record->u.end.records != r->report.records || record->u.end.bytes != at)
        return PARLEY_EMALFORMED;
    r->clock = record->u.end.clock;
    r->report.complete = true;
    return PARLEY_OK;
}

/* Floors wait until everything is merged. */
static PL_MUST_USE parley_err remember(struct parley_restore *r,
                                       const struct pl_backup_record *record, const char **why)
{
    struct parley_span name = record->u.floor.name_space;
    if (r->raised == NULL)
        r->raised = r->env->alloc(r->env->ud, PARLEY_NAMESPACES_MAX * sizeof *r->raised);
    if (r->raised == NULL)
        return PARLEY_ENOMEM;
    *why = "it has more floors than a store has room for namespaces";
    if (r->raised_count == PARLEY_NAMESPACES_MAX)
        return PARLEY_EFULL;
    struct raised *raised = &r->raised[r->raised_count++];
    raised->len = (uint8_t)name.len;
    memcpy(raised->name_space, name.ptr, name.len);
    raised->row = record->u.floor.row;
    return PARLEY_OK;
}

/* `*at`: bytes of `records` that were good. */
static PL_MUST_USE parley_err take_records(struct parley_restore *r, struct parley_span records,
                                           size_t *at, const char **why)
{
    struct pl_reader reader = pl_reader_over(records);
    struct pl_backup_names names = { 0 };
    while (pl_reader_left(&reader) != 0) {
        struct pl_backup_record record;
        *at = records.len - pl_reader_left(&reader);
        PL_TRY(pl_backup_read_record(&reader, &record, &names, why));
        PL_TRY(check_order(r, &record, r->payload + *at, why));
        *why = NULL;
        if (r->mode == PARLEY_RESTORE_STORE)
            PL_TRY(pl_restore_record(r->db, &record, why));
        if (r->mode == PARLEY_RESTORE_STORE && record.type == PL_BACKUP_RAISED)
            PL_TRY(remember(r, &record, why));
        count(r, &record);
    }
    return PARLEY_OK;
}

/* A block is one transaction. */
static PL_MUST_USE parley_err store_records(struct parley_restore *r, struct parley_span records,
                                            size_t *at, const char **why)
{
    if (r->mode != PARLEY_RESTORE_STORE)
        return take_records(r, records, at, why);
    PL_TRY(pl_apply_begin(r->db));
    PL_TRY(pl_apply_end(r->db, take_records(r, records, at, why)));
    pl_ignore(r->db->store->ops->maintain(r->db->store),
              "a store that cannot grow says so when it is full");
    return PARLEY_OK;
}

/* Who goes on with a backup needs its head, and whether it is over. */
static PL_MUST_USE parley_err skim(struct parley_restore *r, struct parley_span records,
                                   const struct pl_backup_at *at, const char **why)
{
    struct pl_reader reader = pl_reader_over(records);
    struct pl_backup_names names = { 0 };
    struct pl_backup_record record;
    bool complete = at->phase == PL_BACKUP_DONE;
    if (r->report.bytes == PL_BACKUP_MAGIC_BYTES) {
        PL_TRY(pl_backup_read_record(&reader, &record, &names, why));
        *why = "the backup does not begin with its head";
        if (record.type != PL_BACKUP_HEAD)
            return PARLEY_EMALFORMED;
        r->report.incarnation = record.u.head.incarnation;
        r->report.taken_at = record.u.head.taken_at;
    }
    r->report.complete = complete;
    return PARLEY_OK;
}

/* ---- Blocks ---- */

static PL_MUST_USE parley_err take_block(struct parley_restore *r, struct parley_diag *diag)
{
    struct pl_backup_at place;
    const char *why = NULL;
    size_t at = 0;
    uint64_t start = r->report.bytes;
    size_t place_at = 4 + r->records_len + 2;
    size_t digest_at = r->wanted - PARLEY_BACKUP_DIGEST_BYTES;
    const uint8_t *block = r->buffer.ptr;
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES];
    memcpy(digest, r->report.digest, sizeof digest);
    pl_backup_chain(digest, pl_span_of(block, digest_at));
    if (memcmp(digest, block + digest_at, sizeof digest) != 0)
        return fail(r, PARLEY_EMALFORMED, start,
                    "the block that begins here was changed, or is not the one that follows", diag);
    struct parley_span place_bytes = pl_span_of(block + place_at, digest_at - place_at);
    if (pl_backup_read_at(place_bytes, &place) != PARLEY_OK)
        return fail(r, PARLEY_EMALFORMED, start + place_at, "the place of a block is malformed",
                    diag);
    struct parley_span records = pl_span_of(block + 4, r->records_len);
    parley_err err = r->mode == PARLEY_RESTORE_SKIM ? skim(r, records, &place, &why)
                                                    : store_records(r, records, &at, &why);
    if (err != PARLEY_OK)
        return fail(r, err, start + 4 + at, why, diag);
    if (r->report.complete != (place.phase == PL_BACKUP_DONE))
        return fail(r, PARLEY_EMALFORMED, start, "the end is not where it should be", diag);
    r->payload += r->records_len;
    r->report.bytes += r->wanted;
    memcpy(r->report.digest, digest, sizeof digest);
    r->place.len = PARLEY_BACKUP_DIGEST_BYTES + place_bytes.len;
    memcpy(r->place.bytes, digest, sizeof digest);
    memcpy(r->place.bytes + sizeof digest, place_bytes.ptr, place_bytes.len);
    r->have = 0;
    r->wanted = 4;
    r->stage = r->report.complete ? STAGE_END : STAGE_RECORDS_LEN;
    return PARLEY_OK;
}

/* Reads what was wanted and says what is wanted next. */
static PL_MUST_USE parley_err advance(struct parley_restore *r, struct parley_diag *diag)
{
    size_t len;
    switch (r->stage) {
    case STAGE_MAGIC:
        if (memcmp(r->buffer.ptr, PL_BACKUP_MAGIC, PL_BACKUP_MAGIC_BYTES) != 0)
            return fail(r, PARLEY_EMALFORMED, 0, "this is no backup of parley", diag);
        r->report.bytes = PL_BACKUP_MAGIC_BYTES;
        r->have = 0;
        r->wanted = 4;
        r->stage = STAGE_RECORDS_LEN;
        return PARLEY_OK;
    case STAGE_RECORDS_LEN:
        r->records_len = (size_t)pl_get_be(r->buffer.ptr, 4);
        if (r->records_len > PL_BACKUP_PAYLOAD_BYTES_MAX)
            return fail(r, PARLEY_EMALFORMED, r->report.bytes,
                        "a block is longer than a backup has them", diag);
        r->wanted = 4 + r->records_len + 2;
        r->stage = STAGE_PLACE_LEN;
        return PARLEY_OK;
    case STAGE_PLACE_LEN:
        len = (size_t)pl_get_be(r->buffer.ptr + r->wanted - 2, 2);
        if (len > PL_BACKUP_AT_BYTES_MAX)
            return fail(r, PARLEY_EMALFORMED, r->report.bytes + r->wanted - 2,
                        "the place of a block is longer than a backup has them", diag);
        r->wanted += len + PARLEY_BACKUP_DIGEST_BYTES;
        r->stage = STAGE_BLOCK;
        return PARLEY_OK;
    case STAGE_BLOCK:
        return take_block(r, diag);
    case STAGE_END:
        break;
    }
    return fail(r, PARLEY_EMALFORMED, r->report.bytes, "something follows the end of the backup",
                diag);
}

/* Room for what is wanted, keeping what is there. */
static PL_MUST_USE parley_err make_room(struct parley_restore *r)
{
    const struct parley_env *env = r->env;
    struct pl_buffer *buffer = &r->buffer;
    size_t cap = pl_max_size(buffer->cap, 4096);
    if (r->wanted <= buffer->cap)
        return PARLEY_OK;
    while (cap < r->wanted)
        cap *= 2;
    uint8_t *grown = env->alloc(env->ud, cap);
    if (grown == NULL)
        return PARLEY_ENOMEM;
    if (r->have != 0)
        memcpy(grown, buffer->ptr, r->have);
    env->release(env->ud, buffer->ptr, buffer->cap);
    *buffer = (struct pl_buffer){ .ptr = grown, .cap = cap };
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_restore_push(struct parley_restore *restore, const uint8_t *bytes,
                                               size_t len, struct parley_diag *diag)
{
    struct parley_restore *r = restore;
    if (r->err != PARLEY_OK)
        return r->err;
    while (len != 0) {
        parley_err err = r->stage == STAGE_END ? PARLEY_OK : make_room(r);
        if (err != PARLEY_OK)
            return fail(r, err, r->report.bytes, NULL, diag);
        size_t more = r->stage == STAGE_END ? 0 : pl_min_size(len, r->wanted - r->have);
        if (more != 0)
            memcpy(r->buffer.ptr + r->have, bytes, more);
        r->have += more;
        bytes += more;
        len -= more;
        while (r->err == PARLEY_OK && (r->have >= r->wanted || (r->stage == STAGE_END && len != 0)))
            PL_TRY(advance(r, diag));
    }
    return PARLEY_OK;
}

static PL_MUST_USE parley_err finish_store(struct parley_restore *r)
{
    PL_TRY(pl_apply_begin(r->db));
    struct pl_counters *counters = &r->db->view.counters;
    counters->clock = pl_max_u64(counters->clock, r->clock);
    PL_TRY(pl_apply_end(r->db, PARLEY_OK));
    PL_TRY(pl_restore_indexes(r->db));
    for (size_t i = 0; i < r->raised_count; i++) {
        const struct raised *raised = &r->raised[i];
        PL_TRY(pl_restore_raise(r->db, pl_span_of(raised->name_space, raised->len), &raised->row));
    }
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_restore_finish(struct parley_restore *restore,
                                                 struct parley_diag *diag)
{
    struct parley_restore *r = restore;
    if (r->err != PARLEY_OK)
        return r->err;
    if (!r->report.complete)
        return fail(r, PARLEY_EMISSING, r->report.bytes + r->have,
                    "the backup ends here, and is not whole: it was interrupted. Run the same "
                    "parley backup again to go on with it, or take another one",
                    diag);
    parley_err err = r->db == NULL ? PARLEY_OK : finish_store(r);
    return err == PARLEY_OK ? err : fail(r, err, r->report.bytes, NULL, diag);
}
