/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of the store's tables; docs/STORAGE.md is their description. Integers are big-endian,
 * so that byte order is number order. Lengths are asserted: callers have checked them.
 */
#ifndef PL_KEY_H
#define PL_KEY_H

#include "core/stamp.h"

/* The longest is a history key: conversation, kind, id, zero byte, time, tag, digest prefix. */
#define PL_KEY_BYTES_MAX    (4 + 1 + PARLEY_ID_BYTES_MAX + 1 + 8 + 4 + PL_KEY_DIGEST_BYTES)
#define PL_KEY_DIGEST_BYTES 4
/* First bytes of the two kinds of keys in NAMESPACE and ORIGIN. */
#define PL_KEY_BY_NUMBER 'i'
#define PL_KEY_BY_NAME   'n'
/* And of the views in NAMESPACE. */
#define PL_KEY_OF_VIEW 'v'

struct pl_key {
    size_t len;
    uint8_t bytes[PL_KEY_BYTES_MAX];
};

static inline struct parley_span pl_key_span(const struct pl_key *key)
{
    return pl_span_of(key->bytes, key->len);
}

/* Rows of NAMESPACE and ORIGIN. */
void pl_key_number(struct pl_key *key, uint32_t number);
void pl_key_name(struct pl_key *key, struct parley_span name);
/* NAMESPACE: one view of a namespace. */
void pl_key_view(struct pl_key *key, uint32_t name_space, uint8_t slot);
#define PL_KEY_VIEW_BYTES 6
/* CONVERSATION. */
void pl_key_conversation(struct pl_key *key, uint32_t name_space, struct parley_span id);
/* REGISTER; kind 0 with an empty id is the conversation row. */
void pl_key_register(struct pl_key *key, uint32_t conversation, uint8_t kind,
                     struct parley_span id);
/* LOG. */
void pl_key_log(struct pl_key *key, uint64_t seq);
/* HISTORY: what all versions of one register share, and the whole key. */
void pl_key_history_prefix(struct pl_key *key, uint32_t conversation, uint8_t kind,
                           struct parley_span id);
void pl_key_history(struct pl_key *key, uint32_t conversation, uint8_t kind, struct parley_span id,
                    struct pl_stamp stamp, const uint8_t digest[PARLEY_DIGEST_BYTES]);
/* HOLD: by time, so that what is due is first. */
void pl_key_hold(struct pl_key *key, struct pl_stamp stamp,
                 const uint8_t digest[PARLEY_DIGEST_BYTES], struct parley_span name_space);
#define PL_KEY_HOLD_BYTES (8 + 4 + 8 + 4)
/* SYS: the cursor of a peer. Begins with a zero byte, which no caller's key may. */
void pl_key_cursor(struct pl_key *key, uint32_t peer);
#define PL_KEY_CURSOR_BYTES 6
/* SYS: the floor of a namespace, and how many versions are in the trash. */
void pl_key_floor(struct pl_key *key, uint32_t name_space);
#define PL_KEY_FLOOR_BYTES 6
void pl_key_retention(struct pl_key *key, uint32_t name_space);
#define PL_KEY_RETENTION_BYTES 6
void pl_key_trash_count(struct pl_key *key);
#define PL_KEY_TRASH_COUNT_BYTES 2

/* ELEMENT: where a block begins. */
void pl_key_element(struct pl_key *key, uint32_t name_space, const struct parley_point *point);
#define PL_KEY_ELEMENT_BYTES (4 + PARLEY_POINT_BYTES)

/* The parts of a REGISTER key. Errors: ECORRUPT. */
struct pl_key_register_parts {
    uint32_t conversation;
    uint8_t kind;
    struct parley_span id;
};
PL_MUST_USE parley_err pl_key_register_split(struct parley_span key,
                                             struct pl_key_register_parts *out);

/* Makes `key` the smallest key greater than itself. */
void pl_key_bump(struct pl_key *key);

#endif
