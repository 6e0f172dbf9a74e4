/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of CHANGES: a run of versions, compact because what repeats is said
 * once. After the fixed head the body is a sequence of records, each a small tag and its values:
 *
 *   0 NAMESPACE  str        the namespace of what follows
 *   1 CONVERSATION str      the conversation of what follows
 *   2 ORIGIN     str        a new origin name, numbered from 0 in this frame, and now current
 *   3 ORIGIN     uint       an origin named before is current again
 *   8 + 2*kind + tombstone  a version: uint bytes that its id begins with like the id of the one
 *                           before (0 at first), str the rest of the id, int time minus the time
 *                           before (0 at first), then one msgpack value, the body (nothing for a
 *                           tombstone)
 *
 * The head is the uint64 sequence that the frame brings the receiver to; 0: it does not move.
 */
#ifndef PL_CHANGE_H
#define PL_CHANGE_H

#include <parley/db.h>

#include "base/writer.h"
#include "core/mp_read.h"

/* Different origins in one frame; a full table ends the frame. */
#define PL_CHANGE_ORIGINS_MAX 32
/* Bytes that one version needs at most beside its body: names, tags, numbers. */
#define PL_CHANGE_OVERHEAD_BYTES_MAX                                                               \
    (PARLEY_NAMESPACE_BYTES_MAX + 2 * PARLEY_ID_BYTES_MAX + PARLEY_ORIGIN_BYTES_MAX + 48)
/* A body above this travels in PARTs. */
#define PL_CHANGE_BODY_BYTES_MAX                                                                   \
    (PL_FRAME_BYTES_MAX - 5u - 32u - (unsigned)PL_CHANGE_OVERHEAD_BYTES_MAX)

/* What both ends keep while they walk a frame. */
struct pl_change_state {
    struct parley_span name_space;
    struct parley_span conversation;
    struct parley_span origins[PL_CHANGE_ORIGINS_MAX];
    size_t origin_count;
    size_t origin; /* current */
    uint64_t time; /* of the version before, as is the id */
    size_t id_len;
    uint8_t id[PARLEY_ID_BYTES_MAX];
};

/* Appends one version. False, and nothing written, when it does not fit: end the frame. State spans
 * must outlive the frame. */
bool pl_change_write(struct pl_writer *w, struct pl_change_state *state,
                     const struct parley_version *version);

/* Reads the next version; *found false at the end. Spans are lent from the frame, the id from
 * `state` until the next read.
 * Errors: EPROTO for anything that the rules above do not allow. */
PL_MUST_USE parley_err pl_change_read(struct pl_reader *r, struct pl_change_state *state,
                                      struct parley_version *out, bool *found);

/* The sequence of a head: always nine bytes, so that it can be patched when the frame is full. */
#define PL_CHANGE_SEQ_BYTES 9
void pl_change_put_seq(uint8_t at[PL_CHANGE_SEQ_BYTES], parley_seq seq);

#endif
