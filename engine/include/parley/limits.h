/* SPDX-License-Identifier: Apache-2.0
 *
 * Every bound in the product, with its unit and its reason. A length or count from outside is
 * compared with one of these before any arithmetic, allocation or buffering. PARLEY_TINY shrinks
 * the internal ones (never the documented product limits) so that ordinary tests hit every edge.
 */
#ifndef PARLEY_LIMITS_H
#define PARLEY_LIMITS_H

/* ---- Product limits: documented, the same on every node, part of the protocol ---- */

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

/* ---- Internal limits: sizes of buffers and tables of this implementation ---- */

#ifdef PARLEY_TINY
#define PL_LIMIT(normal, tiny) (tiny)
#else
#define PL_LIMIT(normal, tiny) (normal)
#endif

/* Bytes of one native frame, header included: a TLS record carries 16 KiB, so four records. The
 * tiny value still holds the largest handshake: a PROOF with sixteen rotations. */
#define PL_FRAME_BYTES_MAX PL_LIMIT(65536u, 24576u)
/* Connections open at once, native and HTTP together; above it the oldest idle one is closed. */
#define PL_CONNS_MAX PL_LIMIT(256, 16)
/* Accepted connections that have not proved who they are, all together and from one address that is
 * not this machine's; above, the oldest of them is closed. The rest is for those who have: a crowd
 * of strangers is busy with itself. */
#define PL_UNPROVED_MAX         PL_LIMIT(64, 8)
#define PL_UNPROVED_ADDRESS_MAX PL_LIMIT(16, 4)
/* HTTP requests that wait for changes, all together: each keeps a connection. */
#define PL_STREAMS_MAX PL_LIMIT(64, 4)
/* Versions and bytes in one write batch: one group commit. Caps LMDB's dirty pages (FACTS). */
#define PL_BATCH_WRITES_MAX PL_LIMIT(8192, 12)
#define PL_BATCH_BYTES_MAX  PL_LIMIT(4u << 20, 32u << 10)
/* Bytes of records at which a block of a backup ends: some milliseconds of a snapshot, and what a
 * crash loses of a backup. A longer record has a block of its own. */
#define PL_BACKUP_BLOCK_BYTES PL_LIMIT(256u << 10, 600u)
/* Bytes of records in one block: the longest version, or what must be of one snapshot (the cursors
 * and floors of a node). */
#define PL_BACKUP_PAYLOAD_BYTES_MAX (PARLEY_BODY_BYTES_MAX + (1u << 20))
/* The queue of a parley_writer, by default: jobs that wait, and bytes of their writes and of all
 * that these point at. The memory is the callers'; enough for each of a thousand threads, and for
 * three of the largest versions. */
#define PARLEY_WRITER_JOBS_MAX  1024u
#define PARLEY_WRITER_BYTES_MAX (64u << 20)
/* Writes of one job: one transaction, see PL_BATCH_WRITES_MAX. */
#define PARLEY_WRITER_JOB_WRITES_MAX 8192u
/* Milliseconds: between two maintenances of a parley_writer, a quarter of what db.h asks for; and
 * that it waits for a moment without a read, which last microseconds, before it gives up. */
#define PARLEY_WRITER_MAINTAIN_MS 1000u
#define PARLEY_WRITER_RECOVER_MS  2000u
/* Writes and bytes that jobs share a commit with; more than that gains little (from 1,000 on
 * the flush is no longer what counts). A larger job goes alone. */
#define PL_WRITER_GROUP_WRITES_MAX PL_LIMIT(1024u, 5u)
#define PL_WRITER_GROUP_BYTES_MAX  PL_LIMIT(4u << 20, 8u << 10)
/* Bytes of one HTTP request head; of a request body; of one that is held whole, or of one
 * conversation in one that is not; and of what is held of the latter before it is looked at. */
#define PL_HTTP_HEAD_BYTES_MAX  PL_LIMIT(16384u, 4096u)
#define PL_HTTP_BODY_BYTES_MAX  (1u << 30)
#define PL_HTTP_WHOLE_BYTES_MAX (64u << 20)
#define PL_HTTP_WINDOW_BYTES    PL_LIMIT(1u << 20, 4096u)
/* TLS sessions that a server remembers for resumption, 180 bytes each: a fleet of peers that all
 * come back at once. A multiple of the ways of the table (tls_cache.h). */
#define PL_TLS_SESSIONS_MAX PL_LIMIT(1024u, 8u)
/* Nanoseconds after its full handshake that a TLS session may be resumed. One hour: a peer that
 * comes and goes is served by it, and a key in memory opens no older recording. */
#define PL_TLS_SESSION_NS_MAX (UINT64_C(3600) * 1000000000u)
/* Bytes of all buffered HTTP bodies and large versions of all connections together. */
#define PL_NODE_BUFFER_BYTES_MAX (160u << 20)
/* The last of them, so much for each connection, are for buffers of at most this: small requests
 * are served, the operator's above all, while large answers wait for slow readers. */
#define PL_SMALL_BUFFER_BYTES 65536u

#ifndef __cplusplus /* which spells it differently; every build of the library checks them */
_Static_assert(PL_UNPROVED_MAX * 2 <= PL_CONNS_MAX, "strangers must leave room for peers");
_Static_assert(PARLEY_ID_BYTES_MAX + 16 < 511, "register keys must fit an LMDB key");
_Static_assert(PARLEY_BODY_BYTES_MAX < PL_HTTP_WHOLE_BYTES_MAX, "one message must fit a request");
_Static_assert(PL_HTTP_WHOLE_BYTES_MAX * 2 + PL_SMALL_BUFFER_BYTES * PL_CONNS_MAX <=
                   PL_NODE_BUFFER_BYTES_MAX,
               "a body and what it is decoded to must fit beside the small buffers");
_Static_assert(PARLEY_WRITER_BYTES_MAX > PARLEY_BODY_BYTES_MAX, "the largest version must fit");
_Static_assert(PL_TLS_SESSIONS_MAX % 4 == 0, "sessions are kept in sets of four");
_Static_assert(PARLEY_ORIGIN_BYTES_MAX >= PARLEY_BACKEND_ID_BYTES_MAX, "a node is an origin");
#endif

#endif
