/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds of this implementation, beside those of parley/limits.h: sizes of buffers and tables,
 * with their units and reasons. PARLEY_TINY shrinks them, and never those of the product, so that
 * ordinary tests hit every edge.
 */
#ifndef PL_BOUNDS_H
#define PL_BOUNDS_H

#include <parley/limits.h>

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
/* A batch that leaves at most this many versions out of the sets puts them in itself; a step of
 * maintenance puts in so many. Memory of a step: 40 bytes each. */
#define PL_INDEX_EAGER_MAX PL_LIMIT(64u, 3u)
#define PL_INDEX_STEP_MAX  PL_LIMIT(32768u, 11u)
/* Bytes of records at which a block of a backup ends: some milliseconds of a snapshot, and what a
 * crash loses of a backup. A longer record has a block of its own. */
#define PL_BACKUP_BLOCK_BYTES PL_LIMIT(256u << 10, 600u)
/* Bytes of records in one block: the longest version, or what must be of one snapshot (the cursors
 * and floors of a node). */
#define PL_BACKUP_PAYLOAD_BYTES_MAX (PARLEY_BODY_BYTES_MAX + (1u << 20))
/* Writes and bytes with which jobs of a parley_writer share a commit; more than that gains little
 * (from 1,000 on the flush is no longer what counts). A larger job goes alone. */
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
