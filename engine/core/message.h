/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a message version: a msgpack array
 *   [ role: str, content: str, created: uint, extra: map ]
 * `created` is the microseconds that order it in its conversation, 0 when that is the stamp's own
 * time (true of every message that was never edited); `extra` holds the unknown fields of the
 * message object, in the order they came, and is omitted when empty, and `created` too when both
 * are.
 * The message id, timestamp (the stamp's time) and source_backend (the origin) are not in the body.
 *
 * The body of a header version is one msgpack value: what JSON had there.
 */
#ifndef PL_MESSAGE_H
#define PL_MESSAGE_H

#include "base/writer.h"
#include "core/mp_read.h"

struct pl_message {
    struct parley_span role;
    struct parley_span content;
    uint64_t created;         /* 0: the stamp's time */
    struct parley_span extra; /* an encoded msgpack map, or empty */
};

/* Errors: EMALFORMED, ETYPE, ETOOBIG, EUTF8. Spans are lent from `body`. */
PL_MUST_USE parley_err pl_message_decode(struct parley_span body, struct pl_message *out);
void pl_message_encode(struct pl_writer *out, const struct pl_message *message);

#endif
