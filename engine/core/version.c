/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of shape that every version obeys before it is merged: the same on every node, so that
 * what one accepts no other refuses.
 *
 * Names (namespace, conversation, register id, origin) are valid UTF-8 without control characters
 * below 0x20 and without 0x7f. History keys rely on that: a zero byte ends the id there.
 */
#include <parley/db.h>

#include "core/message.h"
#include "core/mp_read.h"
#include "core/utf8.h"

static PL_MUST_USE parley_err refuse(struct parley_diag *diag, parley_err err, const char *field,
                                     const char *why)
{
    if (diag == NULL)
        return err;
    struct pl_writer w = pl_writer_over(diag->text, sizeof diag->text - 1);
    pl_write_text(&w, field);
    pl_write_text(&w, ": ");
    pl_write_text(&w, why);
    diag->text[w.len] = '\0';
    return err;
}

static bool has_control(struct parley_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static PL_MUST_USE parley_err check_name(struct parley_span name, size_t max, const char *field,
                                         const char *too_long, struct parley_diag *diag)
{
    if (name.len == 0)
        return refuse(diag, PARLEY_EMISSING, field, "is empty");
    if (name.len > max)
        return refuse(diag, PARLEY_ETOOBIG, field, too_long);
    if (pl_ascii_is_printable(name))
        return PARLEY_OK;
    if (has_control(name))
        return refuse(diag, PARLEY_EMALFORMED, field, "has a control character");
    if (!pl_utf8_is_valid(name))
        return refuse(diag, PARLEY_EUTF8, field, "is not valid UTF-8");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_names(const struct parley_version *v, struct parley_diag *diag)
{
    PL_TRY(check_name(v->name_space, PARLEY_NAMESPACE_BYTES_MAX, "namespace",
                      "is longer than 64 bytes", diag));
    PL_TRY(check_name(v->conversation, PARLEY_ID_BYTES_MAX, "conversation_id",
                      "is longer than 255 bytes", diag));
    /* A local write (time 0) gets its origin when it gets its stamp. */
    if (v->time != 0 || v->origin.len != 0)
        PL_TRY(check_name(v->origin, PARLEY_ORIGIN_BYTES_MAX, "origin", "is longer than 255 bytes",
                          diag));
    if (v->kind == PARLEY_KIND_HEADER || v->kind == PARLEY_KIND_MESSAGE)
        return check_name(v->id, PARLEY_ID_BYTES_MAX, "id", "is longer than 255 bytes", diag);
    if (v->id.len != 0)
        return refuse(diag, PARLEY_EMALFORMED, "id",
                      "must be empty for a conversation and for a purge");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_header_body(const struct parley_version *v,
                                                struct parley_diag *diag)
{
    if (v->body.len > PARLEY_METADATA_BYTES_MAX)
        return refuse(diag, PARLEY_ETOOBIG, "body", "a header is longer than 64 KiB");
    parley_err err = pl_mp_check(v->body);
    if (err != PARLEY_OK)
        return refuse(diag, err, "body", "is not one well-formed msgpack value");
    if (!pl_span_is(v->id, "title"))
        return PARLEY_OK;
    struct pl_reader r = pl_reader_over(v->body);
    if (pl_mp_peek(&r) != PL_MP_STR)
        return refuse(diag, PARLEY_ETYPE, "title", "is not a string");
    struct parley_span title = pl_mp_read_str(&r, v->body.len);
    if (title.len > PARLEY_TITLE_BYTES_MAX)
        return refuse(diag, PARLEY_ETOOBIG, "title", "is longer than 4096 bytes");
    return pl_reader_end(&r);
}

static PL_MUST_USE parley_err check_message_body(const struct parley_version *v,
                                                 struct parley_diag *diag)
{
    struct pl_message message;
    parley_err err = pl_message_decode(v->body, &message);
    if (err != PARLEY_OK)
        return refuse(diag, err, "body", "is not a message: [role, content, created, extra]");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_purge_body(const struct parley_version *v,
                                               struct parley_diag *diag)
{
    struct pl_reader r = pl_reader_over(v->body);
    struct parley_span reason = pl_mp_read_str(&r, PARLEY_PURGE_REASON_BYTES_MAX);
    if (pl_reader_end(&r) != PARLEY_OK || !pl_utf8_is_valid(reason))
        return refuse(diag, PARLEY_EMALFORMED, "reason",
                      "is not a string of at most 256 bytes of UTF-8");
    return PARLEY_OK;
}

PARLEY_MUST_USE parley_err parley_version_check(const struct parley_version *version,
                                                struct parley_diag *diag)
{
    /* The kind may come from a peer: compare the number before the switch believes it. */
    uint32_t kind = (uint32_t)version->kind;
    if (kind < PARLEY_KIND_CONVERSATION || kind > PARLEY_KIND_PURGE)
        return refuse(diag, PARLEY_EMALFORMED, "kind", "is unknown");
    if ((version->flags & ~PARLEY_FLAG_TOMBSTONE) != 0)
        return refuse(diag, PARLEY_EMALFORMED, "flags", "has an unknown flag");
    PL_TRY(check_names(version, diag));
    if ((version->flags & PARLEY_FLAG_TOMBSTONE) != 0) {
        if (version->body.len != 0)
            return refuse(diag, PARLEY_EMALFORMED, "body", "must be empty for a tombstone");
        if (version->kind == PARLEY_KIND_PURGE)
            return refuse(diag, PARLEY_EMALFORMED, "flags", "a purge is never a tombstone");
        return PARLEY_OK;
    }
    switch (version->kind) {
    case PARLEY_KIND_CONVERSATION:
        return refuse(diag, PARLEY_EMALFORMED, "flags", "a conversation is only ever a tombstone");
    case PARLEY_KIND_HEADER:
        return check_header_body(version, diag);
    case PARLEY_KIND_MESSAGE:
        return check_message_body(version, diag);
    case PARLEY_KIND_PURGE:
        return check_purge_body(version, diag);
    }
    return PARLEY_EMALFORMED;
}
