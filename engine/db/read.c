/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of one snapshot: state, namespaces, conversations, single registers, history, wants, and
 * the node's own rows. Iterations are in feed.c. Spans are lent from the snapshot itself.
 */
#include "db/db_int.h"

PL_MUST_USE parley_err pl_read_keep(struct parley_read *read, parley_err err)
{
    if (read->err == PARLEY_OK)
        read->err = err;
    return read->err;
}

PARLEY_MUST_USE parley_err parley_read_begin(struct parley_db *db, struct parley_read **out)
{
    const struct parley_env *env = db->env;
    struct pl_txn *txn;
    struct parley_read *read = env->alloc(env->ud, sizeof *read);
    if (read == NULL)
        return PARLEY_ENOMEM;
    parley_err err = pl_store_read_begin(db->store, &txn);
    if (err != PARLEY_OK) {
        env->release(env->ud, read, sizeof *read);
        return err;
    }
    read->db = db;
    read->err = PARLEY_OK;
    read->iterators = 0;
    read->origin_number = 0;
    pl_view_init(&read->view, txn);
    *out = read;
    return PARLEY_OK;
}

void parley_read_end(struct parley_read *read)
{
    if (read == NULL)
        return;
    const struct parley_env *env = read->db->env;
    pl_store_read_end(read->view.txn);
    env->release(env->ud, read, sizeof *read);
}

/* ---- State and namespaces ---- */

static PL_MUST_USE parley_err read_state(struct parley_read *read, struct parley_db_state *out)
{
    struct pl_counters counters;
    struct pl_store_stats stats;
    struct parley_span value, bytes;
    struct parley_span key = pl_span_text("incarnation");
    bool found;
    PL_TRY(pl_db_read_counters(read->view.txn, &counters));
    PL_TRY(pl_txn_get(read->view.txn, PL_TABLE_META, key, &value, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_plain(key, value, &bytes));
    if (bytes.len != PARLEY_INCARNATION_BYTES)
        return PARLEY_ECORRUPT;
    PL_TRY(read->db->store->ops->stats(read->db->store, &stats));
    *out = (struct parley_db_state){
        .head = counters.head,
        .indexed = counters.indexed,
        .clock = counters.clock,
        .held = counters.held,
        .file_bytes = stats.file_bytes,
        .limit_bytes = stats.limit_bytes,
        .readers = stats.readers,
        .reader_slots = stats.reader_slots,
    };
    memcpy(out->incarnation.bytes, bytes.ptr, PARLEY_INCARNATION_BYTES);
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_state(struct parley_read *read, struct parley_db_state *out)
{
    if (read->err != PARLEY_OK)
        return read->err;
    return pl_read_keep(read, read_state(read, out));
}

static PL_MUST_USE parley_err fill_space(struct pl_view *view, struct parley_namespace_info *out)
{
    struct pl_floor_row floor;
    PL_TRY(pl_collect_read_floor(view, view->space_number, &floor));
    *out = (struct parley_namespace_info){
        .name = view->space.name,
        .root = view->space.root,
        .conversations = view->space.conversations,
        .messages = view->space.messages,
        .floor = floor.floor,
        .clean = floor.clean,
    };
    return PARLEY_OK;
}

static PL_MUST_USE parley_err read_space_after(struct pl_view *view, uint32_t *position,
                                               struct parley_namespace_info *out, bool *found)
{
    struct pl_counters counters;
    PL_TRY(pl_db_read_counters(view->txn, &counters));
    if (*position >= counters.name_spaces) {
        *found = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_view_get_space(view, *position + 1));
    *position += 1;
    *found = true;
    return fill_space(view, out);
}

PARLEY_MUST_USE parley_err parley_read_namespace(struct parley_read *read, uint32_t *position,
                                                 struct parley_namespace_info *out, bool *found)
{
    if (read->err != PARLEY_OK)
        return read->err;
    return pl_read_keep(read, read_space_after(&read->view, position, out, found));
}

PARLEY_MUST_USE parley_err parley_read_namespace_named(struct parley_read *read,
                                                       struct parley_span name,
                                                       struct parley_namespace_info *out,
                                                       bool *found)
{
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = pl_view_find_space(&read->view, name, &have);
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    err = have ? fill_space(&read->view, out) : PARLEY_OK;
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    *found = have;
    return PARLEY_OK;
}

/* ---- Conversations ---- */

static void fill_talk(const struct pl_view *view, struct parley_conversation_info *out)
{
    *out = (struct parley_conversation_info){
        .id = view->talk.id,
        .number = view->talk_number,
        .messages = view->talk.messages,
        .headers = view->talk.headers,
        .updated = view->talk.updated,
        .deleted = view->talk.tomb.time,
    };
}

static PL_MUST_USE parley_err find_talk(struct pl_view *view, struct parley_span name_space,
                                        struct parley_span id, bool *found)
{
    PL_TRY(pl_view_find_space(view, name_space, found));
    if (!*found)
        return PARLEY_OK;
    *found = false;
    if (id.len == 0 || id.len > PARLEY_ID_BYTES_MAX)
        return PARLEY_OK;
    return pl_view_find_talk(view, id, found);
}

PARLEY_MUST_USE parley_err parley_read_conversation(struct parley_read *read,
                                                    struct parley_span name_space,
                                                    struct parley_span id,
                                                    struct parley_conversation_info *out,
                                                    bool *found)
{
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = find_talk(&read->view, name_space, id, &have);
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    if (have)
        fill_talk(&read->view, out);
    *found = have;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err find_talk_after(struct pl_view *view, struct parley_span name_space,
                                              struct parley_span after, bool *found)
{
    struct pl_key key;
    struct pl_cursor *c;
    struct parley_span at, value;
    uint8_t prefix[4];
    PL_TRY(pl_view_find_space(view, name_space, found));
    if (!*found || after.len > PARLEY_ID_BYTES_MAX) {
        *found = false;
        return PARLEY_OK;
    }
    pl_put_be(prefix, view->space_number, sizeof prefix);
    pl_key_conversation(&key, view->space_number, after);
    pl_key_bump(&key);
    PL_TRY(pl_view_cursor(view, PL_TABLE_CONVERSATION, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&key), &at, &value, found));
    while (*found && pl_span_has_prefix(at, pl_span_of(prefix, sizeof prefix))) {
        uint32_t number;
        PL_TRY(pl_record_read_number(at, value, &number));
        PL_TRY(pl_view_get_talk(view, number));
        if (!pl_span_equal(view->talk.id, pl_span_after(at, 4)))
            return PARLEY_ECORRUPT;
        if (view->talk.messages != 0 || view->talk.headers != 0)
            return PARLEY_OK;
        PL_TRY(pl_cursor_next(c, &at, &value, found));
    }
    *found = false;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_conversation_after(struct parley_read *read,
                                                          struct parley_span name_space,
                                                          struct parley_span after,
                                                          struct parley_conversation_info *out,
                                                          bool *found)
{
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = find_talk_after(&read->view, name_space, after, &have);
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    if (have)
        fill_talk(&read->view, out);
    *found = have;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_conversation_numbered(struct parley_read *read,
                                                             uint64_t number,
                                                             struct parley_conversation_info *out,
                                                             bool *found)
{
    bool have = false;
    parley_err err = PARLEY_OK;
    if (read->err != PARLEY_OK)
        return read->err;
    if (number != 0 && number <= UINT32_MAX)
        err = pl_view_find_numbered(&read->view, (uint32_t)number, &have);
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    if (have)
        fill_talk(&read->view, out);
    *found = have;
    return PARLEY_OK;
}

/* ---- Versions ---- */

PL_MUST_USE parley_err pl_read_lend(struct parley_read *read, const struct pl_record *record,
                                    struct parley_version *out)
{
    struct pl_view *view = &read->view;
    struct pl_origin_row origin;
    PL_TRY(pl_view_get_talk(view, record->conversation));
    if (read->origin_number != record->origin || record->origin == 0) {
        PL_TRY(pl_view_get_origin(view, record->origin, &origin));
        read->origin_number = record->origin;
        read->origin = origin;
    }
    if (read->origin.tag != record->stamp.tag)
        return PARLEY_ECORRUPT;
    *out = (struct parley_version){
        .name_space = view->space.name,
        .conversation = view->talk.id,
        .id = record->id,
        .kind = (enum parley_kind)record->kind,
        .flags = record->flags,
        .time = record->stamp.time,
        .origin = read->origin.name,
        .body = record->body,
    };
    return PARLEY_OK;
}

/* Conversations are numbered with 32 bits; a greater number was never given. */
bool pl_read_is_register_name(uint64_t conversation, enum parley_kind kind, struct parley_span id)
{
    return conversation >= 1 && conversation <= UINT32_MAX && (uint32_t)kind >= 1 &&
           (uint32_t)kind <= PARLEY_KIND_PURGE && id.len <= PARLEY_ID_BYTES_MAX;
}

PL_MUST_USE parley_err pl_read_find_register(struct parley_read *read, uint32_t conversation,
                                             uint8_t kind, struct parley_span id,
                                             struct pl_record *out, parley_seq *seq, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    struct pl_register_row row;
    pl_key_register(&key, conversation, kind, id);
    PL_TRY(pl_txn_get(read->view.txn, PL_TABLE_REGISTER, pl_key_span(&key), &value, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(pl_record_read_register(pl_key_span(&key), value, &row));
    *seq = row.seq;
    return pl_view_get_version(&read->view, conversation, kind, id, &row, out);
}

static PL_MUST_USE parley_err read_register(struct parley_read *read, uint32_t conversation,
                                            uint8_t kind, struct parley_span id,
                                            struct parley_version *out, bool *found)
{
    struct pl_record record;
    parley_seq seq;
    PL_TRY(pl_read_find_register(read, conversation, kind, id, &record, &seq, found));
    return *found ? pl_read_lend(read, &record, out) : PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_register(struct parley_read *read, uint64_t conversation,
                                                enum parley_kind kind, struct parley_span id,
                                                struct parley_version *out, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = PARLEY_OK;
    if (pl_read_is_register_name(conversation, kind, id))
        err = read_register(read, (uint32_t)conversation, (uint8_t)kind, id, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

/* The `skip`-th version from the newest; history is short, so counting from the end is cheap. */
static PL_MUST_USE parley_err read_history(struct parley_read *read, const struct pl_key *prefix,
                                           uint32_t skip, struct parley_version *out, bool *found)
{
    struct pl_key end = *prefix;
    struct pl_cursor *c;
    struct parley_span at, value;
    struct pl_record record;
    /* The prefix ends in a zero byte; with a one there it is above every version. */
    end.bytes[end.len - 1] = 1;
    PL_TRY(pl_view_cursor(&read->view, PL_TABLE_HISTORY, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&end), &at, &value, found));
    if (*found)
        PL_TRY(pl_cursor_prev(c, &at, &value, found));
    else
        PL_TRY(pl_cursor_seek_last(c, &at, &value, found));
    for (uint32_t i = 0; i < skip && *found && pl_span_has_prefix(at, pl_key_span(prefix)); i++)
        PL_TRY(pl_cursor_prev(c, &at, &value, found));
    if (!*found || !pl_span_has_prefix(at, pl_key_span(prefix))) {
        *found = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_version(at, value, &record));
    return pl_read_lend(read, &record, out);
}

PARLEY_MUST_USE parley_err parley_read_history(struct parley_read *read, uint64_t conversation,
                                               enum parley_kind kind, struct parley_span id,
                                               uint32_t *position, struct parley_version *out,
                                               bool *found)
{
    struct pl_key prefix;
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    if (!pl_read_is_register_name(conversation, kind, id) ||
        *position >= PARLEY_HISTORY_PER_REGISTER_MAX) {
        *found = false;
        return PARLEY_OK;
    }
    pl_key_history_prefix(&prefix, (uint32_t)conversation, (uint8_t)kind, id);
    parley_err err = read_history(read, &prefix, *position, out, &have);
    if (err != PARLEY_OK)
        return pl_read_keep(read, err);
    *position += have ? 1 : 0;
    *found = have;
    return PARLEY_OK;
}

/* ---- Offers ---- */

static PL_MUST_USE parley_err read_wants(struct pl_view *view, const struct parley_version *stamp,
                                         const uint8_t digest[PARLEY_DIGEST_BYTES], bool *wanted)
{
    struct pl_candidate candidate = { .version = stamp, .has_digest = true };
    struct pl_decision decision;
    struct pl_key key;
    struct parley_span value;
    bool held;
    memcpy(candidate.digest, digest, PARLEY_DIGEST_BYTES);
    candidate.stamp.time = stamp->time;
    PL_TRY(pl_view_find_origin(view, stamp->origin, &candidate.origin, &candidate.stamp.tag));
    PL_TRY(pl_merge_decide(view, &candidate, NULL, &decision));
    if (!decision.writes) {
        *wanted = false;
        return PARLEY_OK;
    }
    pl_key_hold(&key, candidate.stamp, digest, stamp->name_space);
    PL_TRY(pl_txn_get(view->txn, PL_TABLE_HOLD, pl_key_span(&key), &value, &held));
    *wanted = !held;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_wants(struct parley_read *read,
                                             const struct parley_version *stamp,
                                             const uint8_t digest[PARLEY_DIGEST_BYTES],
                                             bool *wanted)
{
    if (read->err != PARLEY_OK)
        return read->err;
    /* Without a body parley_version_check says nothing; what is out of bounds is not wanted. */
    if (!pl_read_is_register_name(1, stamp->kind, stamp->id) || stamp->time == 0 ||
        stamp->name_space.len == 0 || stamp->name_space.len > PARLEY_NAMESPACE_BYTES_MAX ||
        stamp->conversation.len == 0 || stamp->conversation.len > PARLEY_ID_BYTES_MAX ||
        stamp->origin.len == 0 || stamp->origin.len > PARLEY_ORIGIN_BYTES_MAX) {
        *wanted = false;
        return PARLEY_OK;
    }
    return pl_read_keep(read, read_wants(&read->view, stamp, digest, wanted));
}

/* ---- Rows of the node ---- */

PARLEY_MUST_USE parley_err parley_read_cursor(struct parley_read *read, uint32_t peer,
                                              struct parley_incarnation *incarnation,
                                              parley_seq *seq, bool *found)
{
    struct pl_key key;
    struct parley_span value;
    bool have;
    if (read->err != PARLEY_OK)
        return read->err;
    pl_key_cursor(&key, peer);
    parley_err err = pl_txn_get(read->view.txn, PL_TABLE_SYS, pl_key_span(&key), &value, &have);
    if (err == PARLEY_OK && have)
        err = pl_record_read_cursor(pl_key_span(&key), value, incarnation, seq);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

PARLEY_MUST_USE parley_err parley_read_sys(struct parley_read *read, struct parley_span key,
                                           struct parley_span *value, bool *found)
{
    struct parley_span row;
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = PARLEY_OK;
    if (key.len != 0 && key.len <= PL_DB_SYS_KEY_BYTES_MAX && key.ptr[0] != 0)
        err = pl_txn_get(read->view.txn, PL_TABLE_SYS, key, &row, &have);
    if (err == PARLEY_OK && have)
        err = pl_record_read_plain(key, row, value);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

static PL_MUST_USE parley_err read_sys_after(struct parley_read *read, struct parley_span prefix,
                                             struct parley_span after, struct parley_span *key,
                                             struct parley_span *value, bool *found)
{
    /* A first byte of one skips our own rows, which begin with zero. */
    uint8_t from[PL_DB_SYS_KEY_BYTES_MAX + 1] = { 1 };
    size_t len = 1;
    struct pl_cursor *c;
    struct parley_span at, row;
    struct parley_span start = pl_span_compare(after, prefix) >= 0 ? after : prefix;
    if (start.len != 0) {
        memcpy(from, start.ptr, start.len);
        len = start.len;
    }
    if (after.len != 0 && pl_span_equal(start, after))
        from[len++] = 0;
    PL_TRY(pl_view_cursor(&read->view, PL_TABLE_SYS, &c));
    PL_TRY(pl_cursor_seek(c, pl_span_of(from, len), &at, &row, found));
    if (!*found || !pl_span_has_prefix(at, prefix)) {
        *found = false;
        return PARLEY_OK;
    }
    PL_TRY(pl_record_read_plain(at, row, value));
    *key = at;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_sys_after(struct parley_read *read,
                                                 struct parley_span prefix,
                                                 struct parley_span after, struct parley_span *key,
                                                 struct parley_span *value, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = PARLEY_OK;
    if (prefix.len <= PL_DB_SYS_KEY_BYTES_MAX && after.len <= PL_DB_SYS_KEY_BYTES_MAX &&
        (prefix.len == 0 || prefix.ptr[0] != 0))
        err = read_sys_after(read, prefix, after, key, value, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}
