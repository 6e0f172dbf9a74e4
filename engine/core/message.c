/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a message version; its form is in message.h.
 */
#include "core/message.h"

#include "core/mp_write.h"
#include "core/utf8.h"

/* `extra` is checked whole: it is returned to clients as it came. */
static PL_MUST_USE parley_err check_extra(struct parley_span extra)
{
    if (extra.len > PARLEY_METADATA_BYTES_MAX)
        return PARLEY_ETOOBIG;
    return pl_mp_check(extra);
}

PL_MUST_USE parley_err pl_message_decode(struct parley_span body, struct pl_message *out)
{
    if (body.len > PARLEY_BODY_BYTES_MAX)
        return PARLEY_ETOOBIG;
    struct pl_reader r = pl_reader_over(body);
    struct pl_message message = { 0 };
    uint32_t count = pl_mp_read_array(&r, 4);
    if (r.err == PARLEY_OK && count < 2)
        return PARLEY_EMALFORMED;
    message.role = pl_mp_read_str(&r, PARLEY_ROLE_BYTES_MAX);
    message.content = pl_mp_read_str(&r, PARLEY_CONTENT_BYTES_MAX);
    if (count > 2)
        message.created = pl_mp_read_uint(&r);
    if (count > 3) {
        if (r.err == PARLEY_OK && pl_mp_peek(&r) != PL_MP_MAP)
            return PARLEY_ETYPE;
        message.extra = pl_read_bytes(&r, pl_reader_left(&r)); /* the last one: check_extra sees */
    }
    PL_TRY(pl_reader_end(&r));
    if (!pl_utf8_is_valid(message.role) || !pl_utf8_is_valid(message.content))
        return PARLEY_EUTF8;
    if (count > 3)
        PL_TRY(check_extra(message.extra));
    *out = message;
    return PARLEY_OK;
}

void pl_message_encode(struct pl_writer *out, const struct pl_message *message)
{
    uint32_t count = 2;
    if (message->created != 0)
        count = 3;
    if (message->extra.len != 0)
        count = 4;
    pl_mp_write_array(out, count);
    pl_mp_write_str(out, message->role);
    pl_mp_write_str(out, message->content);
    if (count > 2)
        pl_mp_write_uint(out, message->created);
    if (count > 3)
        pl_write_span(out, message->extra);
}
