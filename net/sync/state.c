/* SPDX-License-Identifier: Apache-2.0
 *
 * STATE; see state.h.
 */
#include "sync/state.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define STATE_FIELDS 6u
#define SPACE_FIELDS 9u

static void write_space(struct pl_writer *w, const struct pl_state_space *space)
{
    pl_mp_write_array(w, SPACE_FIELDS);
    pl_mp_write_str(w, space->name_space);
    pl_mp_write_uint(w, space->root.count);
    pl_mp_write_bin(w, pl_span_of(space->root.sum, PARLEY_DIGEST_BYTES));
    pl_mp_write_uint(w, space->floor);
    pl_mp_write_uint(w, space->clean);
    pl_mp_write_uint(w, space->counted);
    pl_mp_write_uint(w, space->cut);
    pl_mp_write_uint(w, space->since);
    pl_mp_write_str(w, space->prefix);
}

void pl_state_write(struct pl_writer *w, const struct pl_state *state)
{
    pl_mp_write_array(w, STATE_FIELDS);
    pl_mp_write_uint(w, state->head);
    if (state->has_cursor)
        pl_mp_write_bin(w, pl_span_of(state->cursor_incarnation.bytes, PARLEY_INCARNATION_BYTES));
    else
        pl_mp_write_nil(w);
    pl_mp_write_uint(w, state->cursor);
    pl_mp_write_int(w, state->wall);
    pl_mp_write_array(w, (uint32_t)state->space_count);
    for (size_t i = 0; i < state->space_count; i++)
        write_space(w, &state->spaces[i]);
    pl_mp_write_bool(w, state->compare);
}

static void read_exactly(struct pl_reader *r, uint8_t *out, size_t len)
{
    struct parley_span bytes = pl_mp_read_bin(r, len);
    if (r->err == PARLEY_OK && bytes.len != len)
        r->err = PARLEY_EPROTO;
    if (r->err == PARLEY_OK)
        memcpy(out, bytes.ptr, len);
}

static void read_space(struct pl_reader *r, struct pl_state_space *out)
{
    uint32_t fields = pl_mp_read_array(r, SPACE_FIELDS);
    if (r->err == PARLEY_OK && fields != SPACE_FIELDS)
        r->err = PARLEY_EPROTO;
    out->name_space = pl_mp_read_str(r, PARLEY_NAMESPACE_BYTES_MAX);
    out->root.count = pl_mp_read_uint(r);
    read_exactly(r, out->root.sum, PARLEY_DIGEST_BYTES);
    out->floor = pl_mp_read_uint(r);
    out->clean = pl_mp_read_uint(r);
    out->counted = pl_mp_read_uint(r);
    out->cut = pl_mp_read_uint(r);
    out->since = pl_mp_read_uint(r);
    out->prefix = pl_mp_read_str(r, PARLEY_ID_BYTES_MAX);
}

parley_err pl_state_read(struct parley_span body, struct pl_state *out)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t fields = pl_mp_read_array(&r, STATE_FIELDS);
    out->head = pl_mp_read_uint(&r);
    out->has_cursor = pl_mp_peek(&r) != PL_MP_NIL;
    if (out->has_cursor)
        read_exactly(&r, out->cursor_incarnation.bytes, PARLEY_INCARNATION_BYTES);
    else
        pl_mp_read_nil(&r);
    out->cursor = pl_mp_read_uint(&r);
    out->wall = pl_mp_read_int(&r);
    out->space_count = pl_mp_read_array(&r, PARLEY_SHARED_NAMESPACES_MAX);
    for (size_t i = 0; i < out->space_count && r.err == PARLEY_OK; i++)
        read_space(&r, &out->spaces[i]);
    out->compare = pl_mp_read_bool(&r);
    if (pl_reader_end(&r) != PARLEY_OK || fields != STATE_FIELDS)
        return PARLEY_EPROTO;
    return PARLEY_OK;
}
