/* SPDX-License-Identifier: Apache-2.0
 *
 * STATE: what a node says of itself and of the namespaces that it shares. Pure; any thread.
 *
 *   [head, incarnation|nil, cursor, wall,
 *    [[namespace, count, sum, floor, clean, counted, cut, since, prefix], ...], compare]
 */
#ifndef PL_STATE_H
#define PL_STATE_H

#include <parley/env.h>
#include <parley/limits.h>
#include <parley/types.h>

#include "base/reader.h"
#include "base/writer.h"

struct pl_state_space {
    struct parley_span name_space;
    struct parley_root root; /* of what the sender would have both compare */
    uint64_t floor;          /* of the sender: it has no tombstones of this time and before */
    uint64_t clean;          /* who was in sync with it before this time proves nothing by that */
    uint64_t counted; /* when the receiver said, by its clock, what showed the sender that both are
                       the same; 0: it never did */
    uint64_t cut;   /* the greater one of both floors, as far as it knows them: the root leaves out
                     the tombstones of this time and before */
    uint64_t since; /* what is older is not counted: it takes no such versions */
    struct parley_span prefix; /* nor conversations whose id does not begin so */
};

struct pl_state {
    parley_seq head;
    bool has_cursor; /* a cursor into the receiver's log, and of which life of it: */
    struct parley_incarnation cursor_incarnation;
    parley_seq cursor;
    int64_t wall;
    struct pl_state_space spaces[PARLEY_SHARED_NAMESPACES_MAX];
    size_t space_count;
    bool compare; /* the sender, which did not dial, needs a comparison */
};

#define PL_STATE_SPACE_BYTES_MAX                                                                   \
    (PARLEY_NAMESPACE_BYTES_MAX + PARLEY_ID_BYTES_MAX + PARLEY_DIGEST_BYTES + 64u)
#define PL_STATE_HEAD_BYTES_MAX 96u

/* `w` has room for the head and the spaces. */
void pl_state_write(struct pl_writer *w, const struct pl_state *state);
/* Spans are lent from the body. Errors: EPROTO. */
PL_MUST_USE parley_err pl_state_read(struct parley_span body, struct pl_state *out);

#endif
