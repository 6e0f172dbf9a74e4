/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a message: what a version of PARLEY_KIND_MESSAGE carries, as every node reads it.
 * Its id, its time and its writer are not in the body but in the version.
 *
 * Threads: pure functions, any; those of a read, as in db.h.
 */
#ifndef PARLEY_MESSAGE_H
#define PARLEY_MESSAGE_H

#include <parley/db.h>

#ifdef __cplusplus
extern "C" {
#endif

struct parley_message {
    struct parley_span role;    /* "user", "assistant", ...; at most PARLEY_ROLE_BYTES_MAX, UTF-8 */
    struct parley_span content; /* at most PARLEY_CONTENT_BYTES_MAX, UTF-8 */
    uint64_t created; /* microseconds since 1970, of a message that was edited since: its place
                               in the conversation; 0: the time of the version */
    struct parley_span extra; /* further fields, as one msgpack map of at most
                               PARLEY_METADATA_BYTES_MAX; empty: none */
};

/* Where it is. */
struct parley_message_name {
    struct parley_span name_space;
    struct parley_span conversation;
    struct parley_span id;
};

/* Bytes that a body has beyond role, content and extra. */
#define PARLEY_MESSAGE_OVERHEAD_BYTES 32

/* Encodes a body into `out`. `cap` suffices with the lengths of role, content and extra, and
 * PARLEY_MESSAGE_OVERHEAD_BYTES.
 *
 * Ownership: borrows all; fills `out`.
 * Errors:    EFULL (`cap`), ETOOBIG, EUTF8, ETYPE or EMALFORMED (`extra` is no map). */
PARLEY_API PARLEY_MUST_USE parley_err parley_message_encode(const struct parley_message *message,
                                                            uint8_t *out, size_t cap, size_t *len);

/* Decodes the body of a message that is not a tombstone.
 *
 * Ownership: the spans of `out` are lent from `body`.
 * Errors:    EMALFORMED, ETYPE, ETOOBIG, EUTF8. */
PARLEY_API PARLEY_MUST_USE parley_err parley_message_decode(struct parley_span body,
                                                            struct parley_message *out);

/* Makes the version that writes a message, here and now: for parley_db_apply or parley_node_write.
 *
 * Ownership: borrows all; fills `body`. The spans of `out` are lent from `name` and `body`.
 * Errors:    those of parley_message_encode; of the name later, by whoever takes the version. */
PARLEY_API PARLEY_MUST_USE parley_err parley_message_version(const struct parley_message_name *name,
                                                             const struct parley_message *message,
                                                             uint8_t *body, size_t cap,
                                                             struct parley_version *out);

/* Reads a message by its name. `*found` is false, and `out` is left alone, when there is none, or
 * it was deleted.
 *
 * Ownership: the spans of `out` are lent until parley_read_end.
 * Errors:    those of the read; ECORRUPT (it does not decode). */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_message(struct parley_read *read,
                                                          const struct parley_message_name *name,
                                                          struct parley_message *out, bool *found);

#ifdef __cplusplus
}
#endif

#endif
