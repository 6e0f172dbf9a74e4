/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of what is not live: registers that have history, and versions that wait for their time.
 * Both are walked by position, one seek a step, so that a walk may go on in a later snapshot.
 */
#include "db/db_int.h"

/* What follows the id in a history key. */
#define HISTORY_TAIL_BYTES (1 + 8 + 4 + PL_KEY_DIGEST_BYTES)

/* ---- Registers with history ---- */

static PL_MUST_USE parley_err split_history_key(struct parley_span key,
                                                struct parley_register_name *out)
{
    struct pl_key_register_parts parts;
    if (key.len < 5 + HISTORY_TAIL_BYTES)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_key_register_split(pl_span_of(key.ptr, key.len - HISTORY_TAIL_BYTES), &parts));
    if (parts.kind == 0 || parts.kind > PARLEY_KIND_MESSAGE || key.ptr[5 + parts.id.len] != 0)
        return PARLEY_ECORRUPT;
    out->conversation = parts.conversation;
    out->kind = (enum parley_kind)parts.kind;
    out->id_len = parts.id.len;
    if (parts.id.len != 0)
        memcpy(out->id, parts.id.ptr, parts.id.len);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err read_lost(struct pl_view *view, struct parley_register_name *name,
                                        bool *found)
{
    struct pl_key from;
    struct pl_cursor *c;
    struct parley_span key, value;
    struct parley_register_name next = { 0 };
    pl_key_history_prefix(&from, (uint32_t)name->conversation, (uint8_t)name->kind,
                          pl_span_of(name->id, name->id_len));
    /* The prefix ends in a zero byte; with a one there it is above every version. */
    from.bytes[from.len - 1] = 1;
    if (name->kind == 0)
        pl_key_register(&from, (uint32_t)name->conversation, 0, pl_span_of(NULL, 0));
    PL_TRY(pl_view_cursor(view, PL_TABLE_HISTORY, &c));
    PL_TRY(pl_cursor_seek(c, pl_key_span(&from), &key, &value, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(split_history_key(key, &next));
    *name = next;
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_lost_after(struct parley_read *read,
                                                  struct parley_register_name *name, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    if (name->conversation > UINT32_MAX || name->id_len > PARLEY_ID_BYTES_MAX)
        return PARLEY_EINVAL;
    parley_err err = read_lost(&read->view, name, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}

/* ---- Held versions ---- */

static PL_MUST_USE parley_err read_held(struct pl_view *view, struct parley_held_position *position,
                                        struct parley_held *out, bool *found)
{
    struct pl_cursor *c;
    struct parley_span key, value;
    struct pl_held held;
    /* A key has at least one byte, and none of HOLD is below a zero. */
    size_t len = pl_max_size(position->len, 1);
    PL_TRY(pl_view_cursor(view, PL_TABLE_HOLD, &c));
    PL_TRY(pl_cursor_seek(c, pl_span_of(position->key, len), &key, &value, found));
    if (!*found)
        return PARLEY_OK;
    if (key.len >= sizeof position->key)
        return PARLEY_ECORRUPT;
    PL_TRY(pl_record_read_held(key, value, &held));
    memcpy(position->key, key.ptr, key.len);
    position->key[key.len] = 0; /* the smallest key above */
    position->len = key.len + 1;
    *out = (struct parley_held){ .source = held.source, .version = held.version };
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_read_held(struct parley_read *read,
                                            struct parley_held_position *position,
                                            struct parley_held *out, bool *found)
{
    bool have = false;
    if (read->err != PARLEY_OK)
        return read->err;
    parley_err err = read_held(&read->view, position, out, &have);
    if (err == PARLEY_OK)
        *found = have;
    return pl_read_keep(read, err);
}
