/* SPDX-License-Identifier: Apache-2.0
 *
 * The native protocol's numbers. docs/PROTOCOL.md describes bytes and states.
 *
 * After the preface (client only) a connection is a sequence of frames both ways:
 *   u32 length of what follows (1 to PL_FRAME_BYTES_MAX - 4), u8 message type, body.
 * The body is one msgpack array unless the table says otherwise.
 */
#ifndef PL_WIRE_H
#define PL_WIRE_H

#include "base/base.h"

/* 0xC1 is never valid msgpack, not TLS (0x16) and not an HTTP letter. */
#define PL_WIRE_PREFACE        "\xc1PLY"
#define PL_WIRE_PREFACE_BYTES  4
#define PL_WIRE_VERSION        1
#define PL_FRAME_HEADER_BYTES  5
#define PL_NONCE_BYTES         32
#define PL_INVITE_SECRET_BYTES 16
/* In a join a nonce is the SHA-256 of these bytes, which are shown later. */
#define PL_REVEAL_BYTES 32

/* Bits of `features` in HELLO; a feature is used when both sides set its bit. */
#define PL_FEATURE_ZSTD UINT64_C(1) /* CHANGES, OFFER and PART may come as PACKED */

/* number, name, greatest body in bytes */
#define PL_MESSAGE_TABLE(X)                                                                        \
    X(1, HELLO, 512)    /* [version, backend_id, nonce, incarnation, features, join?, hint|nil] */ \
    X(2, PROOF, 21504)  /* [signature, first key DER|nil, [rotation...], reveal|nil] */            \
    X(3, JOIN, 1024)    /* [secret] : after the client's PROOF with its key */                     \
    X(4, JOINED, 512)   /* [namespace, may_write, reveal] */                                       \
    X(5, JOIN_DONE, 16) /* [] */                                                                   \
    X(6, STATE, 8192)   /* sync/state.h */                                                         \
    X(7, CHANGES, PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES) /* see sync/change.h */              \
    X(8, ACK, 32)                                             /* [sequence durably applied] */     \
    X(9, OFFER, PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES)   /* see sync/query.h */               \
    X(10, WANT, 4096)                                         /* [offer number, bitmap] */         \
    X(11, PART, PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES)   /* piece of a large version */       \
    X(12, BYE, 512)                                           /* [code, text] */                   \
    X(13, QUERY, PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES)  /* see sync/query.h */               \
    X(14, ANSWER, 4096)                                       /* see sync/query.h */               \
    X(15, PACKED, PL_FRAME_BYTES_MAX - PL_FRAME_HEADER_BYTES) /* u8 type, zstd of its body */      \
    X(16, TALLY, 2048)                                        /* see sync/tally.h */               \
    X(17, DIFF, 128)                                          /* see sync/diff.h */

enum pl_message_type {
    PL_MSG_NONE = 0,
#define PL_MSG_ENUM(number, name, max) PL_MSG_##name = number,
    PL_MESSAGE_TABLE(PL_MSG_ENUM)
#undef PL_MSG_ENUM
};

/* Why a session ends; travels in BYE. Internal error codes never travel. */
#define PL_BYE_TABLE(X)                                                                            \
    X(0, CLOSING, "the node is stopping")                                                          \
    X(1, VERSION, "no common protocol version")                                                    \
    X(2, UNKNOWN_PEER, "this peer is not registered here")                                         \
    X(3, PENDING, "the registration waits for approval")                                           \
    X(4, REVOKED, "this peer was revoked")                                                         \
    X(5, PROOF, "the proof of identity does not verify")                                           \
    X(6, INVITE, "the invite is unknown, used or expired")                                         \
    X(7, PROTOCOL, "the peer broke the protocol")                                                  \
    X(8, DUPLICATE, "another session with this peer is open")                                      \
    X(9, IDLE, "nothing was heard for too long")                                                   \
    X(10, STORE, "the node cannot write to its store")                                             \
    X(11, SELF, "a node cannot peer with itself")                                                  \
    X(12, BUSY, "the node has no room for another session")                                        \
    X(13, REKEYED, "the node has a new identity key; connect again")                               \
    X(14, REGRANTED, "what the nodes share has changed; connect again")

enum pl_bye {
#define PL_BYE_ENUM(number, name, text) PL_BYE_##name = number,
    PL_BYE_TABLE(PL_BYE_ENUM)
#undef PL_BYE_ENUM
        PL_BYE_COUNT
};

/* Static text; "unknown reason" above the table. */
const char *pl_bye_text(uint32_t code);

#endif
