/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds of the product, with their units and reasons: documented, the same on every node, part
 * of the protocol. A length or count from outside is compared with one of these, or one of
 * engine/base/bounds.h, before any arithmetic, allocation or buffering.
 */
#ifndef PARLEY_LIMITS_H
#define PARLEY_LIMITS_H

/* Bytes of a conversation, message or header id; never cut, refused. Fits, with its prefix, into
 * LMDB's 511-byte key. */
#define PARLEY_ID_BYTES_MAX 255
/* Bytes of a namespace name. */
#define PARLEY_NAMESPACE_BYTES_MAX 64
/* Bytes of an origin (source_backend) name: a backend id with room to spare. */
#define PARLEY_ORIGIN_BYTES_MAX 255
/* Bytes of the body of one version as stored: 16 MiB of content plus 64 KiB of extra fields. */
#define PARLEY_CONTENT_BYTES_MAX  (16u << 20)
#define PARLEY_METADATA_BYTES_MAX (64u << 10)
#define PARLEY_BODY_BYTES_MAX     (PARLEY_CONTENT_BYTES_MAX + PARLEY_METADATA_BYTES_MAX + 1024u)
/* Bytes of a role: "assistant" and its like. */
#define PARLEY_ROLE_BYTES_MAX 64
/* Bytes of a title. */
#define PARLEY_TITLE_BYTES_MAX 4096
/* The longest key of a row of the store. */
#define PARLEY_STORE_KEY_BYTES_MAX 511
/* Why a conversation was purged: a reference, not a letter; it is kept for good on every node. */
#define PARLEY_PURGE_REASON_BYTES_MAX 256
/* Messages of one conversation in one payload: ten times the longest we have been shown. */
#define PARLEY_MESSAGES_PER_CONVERSATION_MAX 100000
/* Namespaces of one store: one a user or team on a hosted node. */
#define PARLEY_NAMESPACES_MAX 4096
/* Views of one namespace: each costs every write that belongs to it a row or two, and has one of
 * the 15 numbers that a set's number has room for. */
#define PARLEY_VIEWS_MAX 15
/* Namespaces one peer may share with us, and so the roots in one HELLO. */
#define PARLEY_SHARED_NAMESPACES_MAX 64
/* Different origin names of one store: one a node or program that ever wrote. */
#define PARLEY_ORIGINS_MAX 65536
/* Peers of one node. */
#define PARLEY_PEERS_MAX 1024
/* Overwritten versions kept for one register: as many unless its namespace has a rule, and the most
 * that a rule may say. Each that is overwritten costs a look at all of them. */
#define PARLEY_HISTORY_VERSIONS         16
#define PARLEY_HISTORY_PER_REGISTER_MAX 64
/* Microseconds that a stamp may be ahead of the local wall clock before it is held back. */
#define PARLEY_CLOCK_DRIFT_US_MAX (INT64_C(300) * 1000000)
/* Bytes of a backend id: "<type>_sha256_<32 hex>" with type at most 16 bytes. */
#define PARLEY_BACKEND_ID_BYTES_MAX 64
/* Bytes of a PEM public key in a registration; RSA-3072 needs 625. */
#define PARLEY_PUBLIC_KEY_PEM_BYTES_MAX 1024
/* Bytes of a session binding token: RSA-3072 signature and claims with room. */
#define PARLEY_TOKEN_BYTES_MAX 4096
/* Bytes of a node's ledger: some thousand revocations of peers and of tokens. */
#define PARLEY_LEDGER_BYTES_MAX (1u << 20)
/* Bytes of the prefix of a node's log among its records, as a backup is told of it. */
#define PARLEY_BACKUP_JOURNAL_BYTES_MAX 32
/* Bytes of room that are kept back for deletions (parley_db_set_reserve): a hundred conversations
 * of 15 KB, since what is deleted goes to the history; and little enough for a device that has
 * some tens of MB. */
#define PARLEY_RESERVE_BYTES (4u << 20)
/* Nesting of JSON and msgpack values. */
#define PARLEY_DEPTH_MAX 64

/* ---- Of programs that embed the engine ---- */

/* The queue of a parley_writer, by default: jobs that wait, and bytes of their writes and of all
 * that these point at. The memory is the callers'; enough for each of a thousand threads, and for
 * three of the largest versions. */
#define PARLEY_WRITER_JOBS_MAX  1024u
#define PARLEY_WRITER_BYTES_MAX (64u << 20)
/* Writes of one job: one transaction. */
#define PARLEY_WRITER_JOB_WRITES_MAX 8192u
/* Milliseconds: between two maintenances of a parley_writer, a quarter of what db.h asks for; and
 * that it waits for a moment without a read, which last microseconds, before it gives up. */
#define PARLEY_WRITER_MAINTAIN_MS 1000u
#define PARLEY_WRITER_RECOVER_MS  2000u

#endif
