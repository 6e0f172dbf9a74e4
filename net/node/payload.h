/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation object, as JSON clients send it, becomes a sequence of versions.
 *
 * Two passes over its msgpack form. pl_payload_open checks everything: types, lengths, times,
 * names; it yields nothing of a conversation that has one mistake. pl_payload_next then cannot
 * fail.
 * docs/HTTP.md, "Conversation object", is the mapping. In short: each message is a register at its
 * own timestamp; each header field is one at the conversation's updated_at; a null title, surface,
 * created_at or metadata is an absent one. The header created_at is stored in one spelling, so that
 * clients which write the same moment with or without a zone do not overwrite each other for ever.
 *
 * Nothing here allocates. Spans are lent from the msgpack bytes, which must stay.
 */
#ifndef PL_PAYLOAD_H
#define PL_PAYLOAD_H

#include <parley/db.h>

#include "base/reader.h"
#include "base/writer.h"
#include "core/iso8601.h"

struct pl_payload {
    struct parley_span name_space;
    struct parley_span origin; /* of versions that name none */
    struct parley_span id;
    struct parley_span created_at; /* text, or empty */
    uint64_t header_time;          /* 0: the object has neither times nor messages: no header */
    uint32_t message_count;
    bool keeps_null;       /* known fields that are null are yielded as well */
    bool metadata_is_null; /* there, but null: it has no field that could be yielded */

    /* What is still to be yielded. */
    struct pl_reader fields;
    uint32_t fields_left;
    size_t messages_bytes; /* of that field's value, to be stepped over */
    struct pl_reader metadata;
    uint32_t metadata_left;
    struct pl_reader messages;
    uint32_t messages_left;
    uint8_t name[PARLEY_ID_BYTES_MAX];           /* register id of a header field */
    uint8_t created_value[PL_ISO8601_BYTES + 2]; /* its one spelling, as msgpack */
};

/* One version without its body; the body is made by pl_payload_body. */
struct pl_payload_item {
    struct parley_version version;
    struct parley_span value; /* HEADER: the body itself. MESSAGE: the whole message object */
    struct parley_span role, content;
    uint64_t created;
    uint32_t extra_count;
};

/* Checks the object at `object` (exactly one msgpack value) and rewinds to its first version.
 *
 * Ownership: all spans are borrowed until the payload is forgotten.
 * Errors: EMALFORMED, EMISSING, ETYPE, ETOOBIG, EUTF8; `diag` (may be NULL) then holds
 *         "messages[3].content: must be a string" and its like. `out` is filled with as much of the
 *         id as is known in any case. */
PL_MUST_USE parley_err pl_payload_open(struct pl_payload *out, struct parley_span object,
                                       struct parley_span name_space, struct parley_span origin,
                                       struct parley_diag *diag);
/* The same for what POST and PATCH say of a conversation: its id may be missing, and its versions
 * have no time, because the node stamps them. Only headers are yielded, null ones too, with nil as
 * value. `messages` is at the first element of `message_count`, none of which is checked. */
PL_MUST_USE parley_err pl_payload_open_header(struct pl_payload *out, struct parley_span object,
                                              struct parley_span name_space,
                                              struct parley_diag *diag);
/* The next version, headers first; false at the end. Lends until the next call. */
bool pl_payload_next(struct pl_payload *payload, struct pl_payload_item *out);
/* Room that suffices for the body of an item. */
size_t pl_payload_body_bytes_max(const struct pl_payload_item *item);
/* Appends the body. */
void pl_payload_body(const struct pl_payload_item *item, struct pl_writer *out);

/* Reads the fields of one message object outside a payload (POST .../messages): role and content
 * are required, message_id is optional. `id` is empty if absent. Other fields become extra. */
PL_MUST_USE parley_err pl_payload_message(struct parley_span object, struct pl_payload_item *out,
                                          struct parley_diag *diag);

/* "name: why" into a diag; NULL is allowed. Returns `err`. */
PL_MUST_USE parley_err pl_payload_refuse(struct parley_diag *diag, parley_err err,
                                         struct parley_span name, const char *why);

#endif
