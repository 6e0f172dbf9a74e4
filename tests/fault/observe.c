/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that a store shows, as one digest. Walks the public interface alone; what it does not
 * show, above all the sets of elements, is parley_db_check's.
 */
#include "fault/script.h"

static void add(struct pl_sha256 *h, const void *bytes, size_t len)
{
    pl_sha256_update(h, &len, sizeof len);
    if (len != 0)
        pl_sha256_update(h, bytes, len);
}

static void add_span(struct pl_sha256 *h, struct parley_span bytes)
{
    add(h, bytes.ptr, bytes.len);
}

static void add_number(struct pl_sha256 *h, uint64_t number)
{
    add(h, &number, sizeof number);
}

static void add_version(struct pl_sha256 *h, const struct parley_version *v)
{
    add_span(h, v->name_space);
    add_span(h, v->conversation);
    add_span(h, v->id);
    add_number(h, (uint64_t)v->kind);
    add_number(h, v->flags);
    add_number(h, v->time);
    add_span(h, v->origin);
    add_number(h, pl_xxh3_of(v->body)); /* some are long */
}

static PL_MUST_USE parley_err add_state(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_db_state state;
    PL_TRY(parley_read_state(read, &state));
    add(h, state.incarnation.bytes, sizeof state.incarnation.bytes);
    add_number(h, state.head);
    add_number(h, state.clock);
    add_number(h, state.held);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err add_spaces(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_namespace_info info;
    struct parley_retention rule;
    uint32_t position = 0;
    bool found = true;
    for (;;) {
        PL_TRY(parley_read_namespace(read, &position, &info, &found));
        if (!found)
            return PARLEY_OK;
        add_span(h, info.name);
        add_number(h, info.root.count);
        add(h, info.root.sum, sizeof info.root.sum);
        add_number(h, info.conversations);
        add_number(h, info.messages);
        add_number(h, info.floor);
        add_number(h, info.clean);
        PL_TRY(parley_read_retention(read, info.name, &rule));
        add_number(h, rule.versions);
    }
}

static PL_MUST_USE parley_err add_log(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_feed feed;
    struct parley_change change;
    bool found = true;
    PL_TRY(parley_feed_begin(read, 0, &feed));
    for (;;) {
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found)
            return PARLEY_OK;
        add_number(h, change.seq);
        add_number(h, change.source);
        add(h, change.digest, sizeof change.digest);
        add_version(h, &change.version);
    }
}

static PL_MUST_USE parley_err add_history(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_register_name name = { 0 };
    struct parley_version version;
    bool found = true;
    for (;;) {
        PL_TRY(parley_read_lost_after(read, &name, &found));
        if (!found)
            return PARLEY_OK;
        struct parley_span id = pl_span_of(name.id, name.id_len);
        uint32_t position = 0;
        for (;;) {
            PL_TRY(parley_read_history(read, name.conversation, name.kind, id, &position, &version,
                                       &found));
            if (!found)
                break;
            add_version(h, &version);
        }
    }
}

static PL_MUST_USE parley_err add_aside(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_held_position position = { 0 };
    struct parley_held held;
    struct parley_trash_key key = { 0 };
    struct parley_version version;
    bool found = true;
    for (;;) {
        PL_TRY(parley_read_held(read, &position, &held, &found));
        if (!found)
            break;
        add_number(h, held.source);
        add_version(h, &held.version);
    }
    for (;;) {
        PL_TRY(parley_read_trash_after(read, &key, &version, &found));
        if (!found)
            return PARLEY_OK;
        add_version(h, &version);
    }
}

static PL_MUST_USE parley_err add_rows(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_view_info view;
    struct parley_incarnation incarnation;
    struct parley_span key = pl_span_of(NULL, 0);
    struct parley_span value;
    parley_seq seq = 0;
    uint64_t position = 0;
    bool found = true;
    for (;;) {
        PL_TRY(parley_read_sys_after(read, pl_span_of(NULL, 0), key, &key, &value, &found));
        if (!found)
            break;
        add_span(h, key);
        add_span(h, value);
    }
    PL_TRY(parley_read_cursor(read, 7, &incarnation, &seq, &found));
    add_number(h, found ? seq : 0);
    for (;;) {
        PL_TRY(parley_read_views(read, &position, &view, &found));
        if (!found)
            return PARLEY_OK;
        add_span(h, view.prefix);
        add_number(h, (uint64_t)view.state);
    }
}

parley_err script_observe(struct script *s, uint8_t out[PL_SHA256_BYTES])
{
    struct parley_read *read;
    struct pl_sha256 h;
    if (s->db == NULL)
        return PARLEY_ESTATE;
    pl_sha256_init(&h);
    PL_TRY(parley_read_begin(s->db, &read));
    parley_err err = add_state(&h, read);
    if (err == PARLEY_OK)
        err = add_spaces(&h, read);
    if (err == PARLEY_OK)
        err = add_log(&h, read);
    if (err == PARLEY_OK)
        err = add_history(&h, read);
    if (err == PARLEY_OK)
        err = add_aside(&h, read);
    if (err == PARLEY_OK)
        err = add_rows(&h, read);
    parley_read_end(read);
    if (s->lie == SCRIPT_LIE_BLIND)
        err = PARLEY_OK;
    if (err == PARLEY_OK)
        pl_sha256_final(&h, out);
    return err;
}
