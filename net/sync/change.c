/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoder and decoder of runs of versions, side by side.
 */
#include "sync/change.h"

#include "core/mp_write.h"

enum change_tag {
    TAG_NAMESPACE = 0,
    TAG_CONVERSATION = 1,
    TAG_ORIGIN_NEW = 2,
    TAG_ORIGIN = 3,
    TAG_VERSION = 8
};

void pl_change_put_seq(uint8_t at[PL_CHANGE_SEQ_BYTES], parley_seq seq)
{
    at[0] = 0xcf; /* msgpack uint 64 */
    pl_put_be(at + 1, seq, 8);
}

static bool find_origin(const struct pl_change_state *state, struct parley_span name, size_t *index)
{
    for (size_t i = 0; i < state->origin_count; i++) {
        if (pl_span_equal(state->origins[i], name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool write_origin(struct pl_writer *w, struct pl_change_state *state,
                         struct parley_span name)
{
    size_t index = 0;
    if (find_origin(state, name, &index)) {
        if (index != state->origin) {
            pl_mp_write_uint(w, TAG_ORIGIN);
            pl_mp_write_uint(w, index);
        }
        state->origin = index;
        return true;
    }
    if (state->origin_count == PL_CHANGE_ORIGINS_MAX)
        return false;
    pl_mp_write_uint(w, TAG_ORIGIN_NEW);
    pl_mp_write_str(w, name);
    state->origin = state->origin_count;
    state->origins[state->origin_count++] = name;
    return true;
}

/* How many bytes `id` begins with like the one before. */
static size_t shared_bytes(const struct pl_change_state *state, struct parley_span id)
{
    size_t max = pl_min_size(state->id_len, id.len);
    size_t shared = 0;
    while (shared < max && state->id[shared] == id.ptr[shared])
        shared++;
    return shared;
}

static void keep_id(struct pl_change_state *state, size_t shared, struct parley_span rest)
{
    if (rest.len != 0)
        memcpy(state->id + shared, rest.ptr, rest.len);
    state->id_len = shared + rest.len;
}

static void write_id(struct pl_writer *w, struct pl_change_state *state, struct parley_span id)
{
    size_t shared = shared_bytes(state, id);
    struct parley_span rest = pl_span_after(id, shared);
    pl_mp_write_uint(w, shared);
    pl_mp_write_str(w, rest);
    keep_id(state, shared, rest);
}

bool pl_change_write(struct pl_writer *w, struct pl_change_state *state,
                     const struct parley_version *version)
{
    struct pl_writer before = *w;
    size_t need = PL_CHANGE_OVERHEAD_BYTES_MAX + version->body.len;
    if (w->err != PARLEY_OK || need > w->cap - w->len)
        return false;
    bool same_namespace = pl_span_equal(state->name_space, version->name_space);
    bool same_conversation =
        same_namespace && pl_span_equal(state->conversation, version->conversation);
    if (!same_namespace) {
        pl_mp_write_uint(w, TAG_NAMESPACE);
        pl_mp_write_str(w, version->name_space);
    }
    if (!same_conversation) {
        pl_mp_write_uint(w, TAG_CONVERSATION);
        pl_mp_write_str(w, version->conversation);
    }
    if (!write_origin(w, state, version->origin)) {
        *w = before;
        return false;
    }
    bool tombstone = (version->flags & PARLEY_FLAG_TOMBSTONE) != 0;
    pl_mp_write_uint(w, TAG_VERSION + 2 * (uint64_t)version->kind + (tombstone ? 1 : 0));
    write_id(w, state, version->id);
    pl_mp_write_int(w, (int64_t)(version->time - state->time));
    if (!tombstone)
        pl_write_span(w, version->body);
    PL_ASSERT(w->err == PARLEY_OK);
    state->name_space = version->name_space;
    state->conversation = version->conversation;
    state->time = version->time;
    return true;
}

static parley_err read_origin(struct pl_reader *r, struct pl_change_state *state, bool is_new)
{
    if (is_new) {
        if (state->origin_count == PL_CHANGE_ORIGINS_MAX)
            return PARLEY_EPROTO;
        state->origin = state->origin_count;
        state->origins[state->origin_count++] = pl_mp_read_str(r, PARLEY_ORIGIN_BYTES_MAX);
        return PARLEY_OK;
    }
    uint64_t index = pl_mp_read_uint(r);
    if (r->err == PARLEY_OK && index >= state->origin_count)
        return PARLEY_EPROTO;
    state->origin = (size_t)index;
    return PARLEY_OK;
}

static parley_err read_id(struct pl_reader *r, struct pl_change_state *state,
                          struct parley_span *out)
{
    uint64_t shared = pl_mp_read_uint(r);
    struct parley_span rest = pl_mp_read_str(r, PARLEY_ID_BYTES_MAX);
    if (r->err != PARLEY_OK || shared > state->id_len || rest.len > PARLEY_ID_BYTES_MAX - shared)
        return PARLEY_EPROTO;
    keep_id(state, (size_t)shared, rest);
    *out = pl_span_of(state->id, state->id_len);
    return PARLEY_OK;
}

static parley_err read_version(struct pl_reader *r, struct pl_change_state *state, uint64_t code,
                               struct parley_version *out)
{
    bool tombstone = (code & 1) != 0;
    uint64_t kind = code >> 1;
    if (kind < PARLEY_KIND_CONVERSATION || kind > PARLEY_KIND_PURGE || state->origin_count == 0)
        return PARLEY_EPROTO;
    struct parley_version version = {
        .name_space = state->name_space,
        .conversation = state->conversation,
        .kind = (enum parley_kind)kind,
        .flags = tombstone ? PARLEY_FLAG_TOMBSTONE : 0,
        .origin = state->origins[state->origin],
    };
    PL_TRY(read_id(r, state, &version.id));
    int64_t delta = pl_mp_read_int(r);
    version.time = state->time + (uint64_t)delta;
    if (!tombstone)
        version.body = pl_mp_read_any(r);
    if (r->err != PARLEY_OK)
        return PARLEY_EPROTO;
    state->time = version.time;
    *out = version;
    return PARLEY_OK;
}

parley_err pl_change_read(struct pl_reader *r, struct pl_change_state *state,
                          struct parley_version *out, bool *found)
{
    while (r->err == PARLEY_OK && pl_reader_left(r) > 0) {
        uint64_t tag = pl_mp_read_uint(r);
        if (tag == TAG_NAMESPACE) {
            state->name_space = pl_mp_read_str(r, PARLEY_NAMESPACE_BYTES_MAX);
            state->conversation = pl_span_of(NULL, 0);
        } else if (tag == TAG_CONVERSATION) {
            state->conversation = pl_mp_read_str(r, PARLEY_ID_BYTES_MAX);
        } else if (tag == TAG_ORIGIN_NEW || tag == TAG_ORIGIN) {
            PL_TRY(read_origin(r, state, tag == TAG_ORIGIN_NEW));
        } else if (tag >= TAG_VERSION) {
            PL_TRY(read_version(r, state, tag - TAG_VERSION, out));
            *found = true;
            return PARLEY_OK;
        } else {
            return PARLEY_EPROTO;
        }
    }
    if (r->err != PARLEY_OK)
        return PARLEY_EPROTO;
    *found = false;
    return PARLEY_OK;
}
