/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of the handshake, one struct each. A body is one msgpack array with exactly the
 * elements stated in wire.h, but for BYE, whose readers accept more. Encoders write into a sticky
 * writer; decoders lend spans from the body and write `*out` on success only.
 *
 * Errors of all decoders: EMALFORMED, ETYPE, ETOOBIG (a field above its limit).
 * Pure; any thread.
 */
#ifndef PL_MSG_H
#define PL_MSG_H

#include "base/writer.h"
#include "proto/wire.h"
#include "trust/rotation.h"
#include <parley/types.h>

struct pl_msg_hello {
    uint32_t version;
    struct parley_span backend_id; /* 1 to PARLEY_BACKEND_ID_BYTES_MAX visible ASCII characters */
    uint8_t nonce[PL_NONCE_BYTES];
    struct parley_incarnation incarnation;
    uint64_t features;               /* bits; unknown ones are ignored */
    bool join;                       /* always false from a server */
    bool has_hint;                   /* false in a join: no key is known yet */
    uint8_t hint[PL_KEY_HINT_BYTES]; /* of the key that the sender holds for the receiver */
};
void pl_msg_hello_encode(const struct pl_msg_hello *hello, struct pl_writer *w);
/* EVERSION for another version, whatever follows it: later versions may change the rest. */
PL_MUST_USE parley_err pl_msg_hello_decode(struct parley_span body, struct pl_msg_hello *out);

struct pl_msg_proof {
    struct parley_span signature;
    struct parley_span key; /* DER SubjectPublicKeyInfo; empty: nil, as outside of a join */
    struct parley_span rotations[PL_ROTATIONS_MAX]; /* see trust/rotation.h */
    size_t rotation_count;
    struct parley_span reveal; /* PL_REVEAL_BYTES from the client of a join; empty: nil */
};
void pl_msg_proof_encode(const struct pl_msg_proof *proof, struct pl_writer *w);
PL_MUST_USE parley_err pl_msg_proof_decode(struct parley_span body, struct pl_msg_proof *out);

struct pl_msg_join {
    uint8_t secret[PL_INVITE_SECRET_BYTES];
};
void pl_msg_join_encode(const struct pl_msg_join *join, struct pl_writer *w);
PL_MUST_USE parley_err pl_msg_join_decode(struct parley_span body, struct pl_msg_join *out);

struct pl_msg_joined {
    struct parley_span name_space; /* 1 to PARLEY_NAMESPACE_BYTES_MAX bytes of UTF-8 */
    bool may_write;
    uint8_t reveal[PL_REVEAL_BYTES]; /* of the server's nonce */
};
void pl_msg_joined_encode(const struct pl_msg_joined *joined, struct pl_writer *w);
PL_MUST_USE parley_err pl_msg_joined_decode(struct parley_span body, struct pl_msg_joined *out);

void pl_msg_join_done_encode(struct pl_writer *w);
PL_MUST_USE parley_err pl_msg_join_done_decode(struct parley_span body);

struct pl_msg_bye {
    uint32_t code;           /* enum pl_bye, or a number of a later version */
    struct parley_span text; /* for people; not checked, never shown without escaping */
};
void pl_msg_bye_encode(const struct pl_msg_bye *bye, struct pl_writer *w);
PL_MUST_USE parley_err pl_msg_bye_decode(struct parley_span body, struct pl_msg_bye *out);

#endif
