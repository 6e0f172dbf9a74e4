/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of the audit log: what was done with trust, by whom and when. Each holds the hash of the
 * record before it, so that nothing can be changed, left out or put in between without the hashes
 * after it changing too. Who writes down the hash of the last one elsewhere can prove the rest.
 *
 * A record is the msgpack array [1, sequence, previous hash, time, event, actor, subject, detail,
 * count]; its hash is SHA-256 over these bytes. Sequences begin at 1; the record before the first
 * has the hash of "parley audit 1". Sequence and previous hash have a fixed place, because they are
 * known only when the batch that stores the record is launched.
 *
 * Pure; any thread.
 */
#ifndef PL_AUDIT_H
#define PL_AUDIT_H

#include "base/writer.h"
#include "core/hash.h"
#include <parley/env.h>

#define PL_AUDIT_TEXT_BYTES_MAX   128
#define PL_AUDIT_RECORD_BYTES_MAX (64u + 3u * (PL_AUDIT_TEXT_BYTES_MAX + 2u) + 16u)

/* number, name, what it means */
#define PL_AUDIT_TABLE(X)                                                                          \
    X(1, node_created, "this node came into being")                                                \
    X(2, new_incarnation, "the store is a copy or was restored; open invites are void")            \
    X(3, peer_pending, "registered, waits for approval")                                           \
    X(4, peer_joined, "joined by an invite of this node")                                          \
    X(5, joined_peer, "this node joined another one")                                              \
    X(6, peer_legacy, "registered without proof (compat-legacy)")                                  \
    X(7, peer_approved, "let in, or granted a namespace")                                          \
    X(8, peer_revoked, "shut out")                                                                 \
    X(9, invite_created, "an invite was made")                                                     \
    X(10, key_rotated, "this node has a new identity key")                                         \
    X(11, peer_key_rotated, "a peer has a new identity key")                                       \
    X(12, token_issued, "a session binding token was issued")                                      \
    X(13, token_revoked, "a session binding token was revoked")                                    \
    X(14, refused, "refused; `detail` says why, `count` how often since the last such record")     \
    X(15, peer_forgotten, "a registration that waited for approval was dropped")                   \
    X(16, rebased, "was away: what the peer had collected is in the trash, `count` versions")      \
    X(17, conversation_purged, "`subject` was erased, here and where it goes; `detail` says why")  \
    X(18, legacy_added, "what is new here is pushed to the old backend at `subject`")              \
    X(19, legacy_linked, "the old backend at `detail` is `subject`")                               \
    X(20, invite_withdrawn, "an invite was withdrawn; `detail` is who had joined by it")

enum pl_audit_event {
    PL_AUDIT_NONE = 0,
#define PL_AUDIT_ENUM(number, name, text) PL_AUDIT_##name = number,
    PL_AUDIT_TABLE(PL_AUDIT_ENUM)
#undef PL_AUDIT_ENUM
};

struct pl_audit_record {
    uint64_t sequence;
    uint8_t previous[PL_SHA256_BYTES];
    parley_wall time; /* microseconds */
    uint32_t event;   /* enum pl_audit_event, or a number of a later version */
    struct parley_span actor;
    struct parley_span subject;
    struct parley_span detail;
    uint64_t count;
};

/* Writes the record; texts are cut to PL_AUDIT_TEXT_BYTES_MAX, between characters. */
void pl_audit_encode(const struct pl_audit_record *record, struct pl_writer *w);
/* Puts sequence and previous hash into an encoded record. */
void pl_audit_chain(uint8_t *record, size_t len, uint64_t sequence,
                    const uint8_t previous[PL_SHA256_BYTES]);
/* Errors: ECORRUPT. Texts are lent from `bytes`. */
PL_MUST_USE parley_err pl_audit_decode(struct parley_span bytes, struct pl_audit_record *out);
/* What the first record has as its previous hash. */
void pl_audit_genesis(uint8_t out[PL_SHA256_BYTES]);
/* "peer_revoked", or "unknown". */
const char *pl_audit_event_name(uint32_t event);
const char *pl_audit_event_text(uint32_t event);

/* One step of a verification: the record must follow `*sequence` and `hash`, which then become its
 * own. Errors: ECORRUPT; `why` (static) says what differs. */
PL_MUST_USE parley_err pl_audit_verify(struct parley_span bytes, uint64_t *sequence,
                                       uint8_t hash[PL_SHA256_BYTES], const char **why);

#endif
