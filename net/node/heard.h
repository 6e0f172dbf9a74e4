/* SPDX-License-Identifier: Apache-2.0
 *
 * What a legacy peer last sent of the header of each conversation.
 *
 * Old backends send all they have again and again, each time with a new updated_at, also a title
 * that was changed here meanwhile. Such an echo must not win over the change. So a header field of
 * a legacy peer counts only when it differs from what that peer last sent; and when it has never
 * sent the field, only when it is not what stood here before, which it may have from us.
 *
 * One record a peer and conversation, under "heard/<peer><namespace>\0<conversation>": hashes of
 * the last PL_HEARD_FIELDS_MAX fields. It is written in the batch of the versions that go with it,
 * or later: a crash in between makes the peer's next push look like news that is known already.
 * A peer thus costs at most one such record a conversation it sends, and none while it says the
 * same; numbers of peers are never used again, so nobody inherits them.
 */
#ifndef PL_HEARD_H
#define PL_HEARD_H

#include "node/node_int.h"

/* Header fields of one conversation that are remembered; with more the oldest gives way. */
#define PL_HEARD_FIELDS_MAX 32

struct pl_heard_field {
    uint64_t name;  /* hash of the register's id */
    uint64_t value; /* hash of its body */
};

struct pl_heard {
    struct pl_heard_field fields[PL_HEARD_FIELDS_MAX]; /* in the order in which they were noted */
    size_t count;
    bool changed; /* since it was read or stored */
};

/* Reads the record; without one it is empty. Errors: store errors, ECORRUPT. */
PL_MUST_USE parley_err pl_heard_read(struct parley_read *read, uint32_t peer,
                                     struct parley_span name_space, struct parley_span conversation,
                                     struct pl_heard *out);
/* Whether the peer has sent this field; *same: as this very value, the last time. */
bool pl_heard_find(const struct pl_heard *heard, struct parley_span id, struct parley_span body,
                   bool *same);
/* The peer sends it now. */
void pl_heard_note(struct pl_heard *heard, struct parley_span id, struct parley_span body);
/* Puts the record into the batch and leaves it to the caller to ask for the commit. False: no
 * room. */
bool pl_heard_store(struct pl_node *node, uint32_t peer, struct parley_span name_space,
                    struct parley_span conversation, struct pl_heard *heard);

#endif
