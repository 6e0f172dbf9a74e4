/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages, for programs that embed the store. What they encode is decoded before they get it, so
 * that no body leaves here that parley_version_check would refuse.
 */
#include <parley/message.h>

#include "core/message.h"

parley_err parley_message_decode(struct parley_span body, struct parley_message *out)
{
    struct pl_message message;
    PL_TRY(pl_message_decode(body, &message));
    *out = (struct parley_message){ .role = message.role,
                                    .content = message.content,
                                    .created = message.created,
                                    .extra = message.extra };
    return PARLEY_OK;
}

parley_err parley_message_encode(const struct parley_message *message, uint8_t *out, size_t cap,
                                 size_t *len)
{
    struct pl_message source = { .role = message->role,
                                 .content = message->content,
                                 .created = message->created,
                                 .extra = message->extra };
    struct pl_writer w = pl_writer_over(out, cap);
    struct pl_message check;
    pl_message_encode(&w, &source);
    PL_TRY(w.err);
    PL_TRY(pl_message_decode(pl_writer_span(&w), &check));
    *len = w.len;
    return PARLEY_OK;
}

parley_err parley_message_version(const struct parley_message_name *name,
                                  const struct parley_message *message, uint8_t *body, size_t cap,
                                  struct parley_version *out)
{
    size_t len = 0;
    PL_TRY(parley_message_encode(message, body, cap, &len));
    *out = (struct parley_version){ .name_space = name->name_space,
                                    .conversation = name->conversation,
                                    .id = name->id,
                                    .kind = PARLEY_KIND_MESSAGE,
                                    .body = pl_span_of(body, len) };
    return PARLEY_OK;
}

parley_err parley_read_message(struct parley_read *read, const struct parley_message_name *name,
                               struct parley_message *out, bool *found)
{
    struct parley_conversation_info talk;
    struct parley_version version;
    bool there = false;
    PL_TRY(parley_read_conversation(read, name->name_space, name->conversation, &talk, &there));
    if (there)
        PL_TRY(parley_read_register(read, talk.number, PARLEY_KIND_MESSAGE, name->id, &version,
                                    &there));
    *found = there && (version.flags & PARLEY_FLAG_TOMBSTONE) == 0;
    if (*found && parley_message_decode(version.body, out) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    return PARLEY_OK;
}
