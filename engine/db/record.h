/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of the store's tables, encoded and decoded; docs/STORAGE.md is their description.
 *
 * Every value ends in a checksum over its key and the rest of the value: 4 bytes of XXH3 for small
 * rows, 8 for versions. Decoders check it first and answer ECORRUPT; spans they give are lent from
 * the value.
 */
#ifndef PL_RECORD_H
#define PL_RECORD_H

#include <parley/db.h>

#include "base/writer.h"
#include "core/stamp.h"

#define PL_RECORD_CHECK_BYTES     8
#define PL_RECORD_ROW_CHECK_BYTES 4
#define PL_RECORD_HEAD_BYTES      43
#define PL_RECORD_DIGEST_AT       26
/* The longest small row: a conversation or origin row. */
#define PL_RECORD_ROW_BYTES_MAX (40 + PARLEY_ID_BYTES_MAX + PL_RECORD_ROW_CHECK_BYTES)
#define PL_RECORD_BYTES_MAX                                                                        \
    (PL_RECORD_HEAD_BYTES + PARLEY_ID_BYTES_MAX + PARLEY_BODY_BYTES_MAX + PL_RECORD_CHECK_BYTES)

/* META "counters": what every commit advances. */
struct pl_counters {
    uint64_t commits; /* lets recover tell whether the last commit is there */
    uint64_t head;
    uint64_t clock;
    uint64_t held;
    uint64_t indexed;     /* sequence up to which ELEMENT and SUM have come */
    uint32_t name_spaces; /* numbers given so far; they start at 1 */
    uint32_t origins;
    uint32_t conversations;
};
#define PL_RECORD_COUNTERS_BYTES (5 * 8 + 3 * 4 + PL_RECORD_ROW_CHECK_BYTES)

/* NAMESPACE by number. */
struct pl_space_row {
    struct parley_root root;
    uint64_t conversations;
    uint64_t messages;
    struct parley_span name;
};

/* NAMESPACE by namespace and slot: a view, and how far it has come. */
struct pl_subset_row {
    uint8_t state; /* enum parley_view_state */
    struct parley_span prefix;
    /* BUILDING: it has the registers up to this one of its conversations in the order of their ids;
     * `talk` empty: none yet. */
    struct parley_span talk;
    uint8_t kind;
    struct parley_span id;
};
#define PL_RECORD_SUBSET_BYTES_MAX (2 + 3 * (1 + PARLEY_ID_BYTES_MAX) + PL_RECORD_ROW_CHECK_BYTES)

/* ORIGIN by number. */
struct pl_origin_row {
    uint32_t tag;
    struct parley_span name;
};

/* REGISTER with kind 0. */
struct pl_talk_row {
    uint32_t name_space;
    uint32_t messages;
    uint32_t headers;
    uint64_t updated;
    struct pl_stamp tomb; /* time 0: none */
    struct parley_span id;
};

/* REGISTER. */
struct pl_register_row {
    uint64_t seq;
    struct pl_stamp stamp;
    uint8_t flags;
};

/* LOG and HISTORY: one version, with names as numbers. */
struct pl_record {
    uint8_t flags;
    uint8_t kind;
    uint32_t source;
    uint32_t conversation;
    struct pl_stamp stamp;
    uint32_t origin;
    const uint8_t *digest;
    struct parley_span id;
    struct parley_span body;
};

/* ELEMENT: elements of a namespace that are neighbours, in order. An element is 8 bytes time, 16
 * bytes digest, 8 bytes sequence, so that byte order is the order of points. Three full blocks fill
 * a page of 4 KiB. */
#define PL_ELEMENT_BYTES      (PARLEY_POINT_BYTES + 8)
#define PL_BLOCK_ELEMENTS_MAX PL_LIMIT(40u, 4u)
#define PL_BLOCK_BYTES_MAX    (PL_BLOCK_ELEMENTS_MAX * PL_ELEMENT_BYTES + PL_RECORD_ROW_CHECK_BYTES)

/* SUM: what the elements of one block amount to. */
#define PL_RECORD_SUM_BYTES (2 + PARLEY_DIGEST_BYTES + PL_RECORD_ROW_CHECK_BYTES)

/* SYS: what has been collected of a namespace; see collect.c. */
struct pl_floor_row {
    uint64_t floor;
    uint64_t clean;
    uint64_t gone; /* tombstones of this time and before may have gone, floor or not */
};
#define PL_RECORD_FLOOR_BYTES (3 * 8 + PL_RECORD_ROW_CHECK_BYTES)

/* SYS: how much history is kept of a namespace: u32 versions, u64 age. */
#define PL_RECORD_RETENTION_BYTES (4 + 8 + PL_RECORD_ROW_CHECK_BYTES)

/* HOLD: one version, with names in full, so that holding interns nothing. */
struct pl_held {
    uint32_t source;
    struct parley_version version;
};
#define PL_RECORD_HELD_BYTES_MAX                                                                   \
    (6 + 4 + PARLEY_NAMESPACE_BYTES_MAX + 2 * PARLEY_ID_BYTES_MAX + PARLEY_ORIGIN_BYTES_MAX + 8 +  \
     PARLEY_BODY_BYTES_MAX + PL_RECORD_CHECK_BYTES)

/* Encoders append to `w`, which must have room (asserted), and seal the value for `key`. */
void pl_record_write_counters(struct pl_writer *w, struct parley_span key,
                              const struct pl_counters *in);
void pl_record_write_number(struct pl_writer *w, struct parley_span key, uint32_t number);
void pl_record_write_space(struct pl_writer *w, struct parley_span key,
                           const struct pl_space_row *in);
void pl_record_write_subset(struct pl_writer *w, struct parley_span key,
                            const struct pl_subset_row *in);
void pl_record_write_origin(struct pl_writer *w, struct parley_span key,
                            const struct pl_origin_row *in);
void pl_record_write_talk(struct pl_writer *w, struct parley_span key,
                          const struct pl_talk_row *in);
void pl_record_write_register(struct pl_writer *w, struct parley_span key,
                              const struct pl_register_row *in);
void pl_record_write_version(struct pl_writer *w, struct parley_span key,
                             const struct pl_record *in);
void pl_record_write_held(struct pl_writer *w, struct parley_span key, const struct pl_held *in);
void pl_record_write_cursor(struct pl_writer *w, struct parley_span key,
                            const struct parley_incarnation *incarnation, parley_seq seq);
void pl_record_write_floor(struct pl_writer *w, struct parley_span key,
                           const struct pl_floor_row *in);
void pl_record_write_retention(struct pl_writer *w, struct parley_span key,
                               const struct parley_retention *in);
void pl_record_write_elements(struct pl_writer *w, struct parley_span key,
                              struct parley_span elements);
void pl_record_write_sum(struct pl_writer *w, struct parley_span key, const struct parley_root *in);
/* Any bytes with a row checksum behind them: incarnation and SYS values. */
void pl_record_write_plain(struct pl_writer *w, struct parley_span key, struct parley_span bytes);

/* Decoders. Errors: ECORRUPT. */
PL_MUST_USE parley_err pl_record_read_counters(struct parley_span key, struct parley_span value,
                                               struct pl_counters *out);
PL_MUST_USE parley_err pl_record_read_number(struct parley_span key, struct parley_span value,
                                             uint32_t *out);
PL_MUST_USE parley_err pl_record_read_space(struct parley_span key, struct parley_span value,
                                            struct pl_space_row *out);
PL_MUST_USE parley_err pl_record_read_subset(struct parley_span key, struct parley_span value,
                                             struct pl_subset_row *out);
PL_MUST_USE parley_err pl_record_read_origin(struct parley_span key, struct parley_span value,
                                             struct pl_origin_row *out);
PL_MUST_USE parley_err pl_record_read_talk(struct parley_span key, struct parley_span value,
                                           struct pl_talk_row *out);
PL_MUST_USE parley_err pl_record_read_register(struct parley_span key, struct parley_span value,
                                               struct pl_register_row *out);
PL_MUST_USE parley_err pl_record_read_version(struct parley_span key, struct parley_span value,
                                              struct pl_record *out);
PL_MUST_USE parley_err pl_record_read_held(struct parley_span key, struct parley_span value,
                                           struct pl_held *out);
PL_MUST_USE parley_err pl_record_read_cursor(struct parley_span key, struct parley_span value,
                                             struct parley_incarnation *incarnation,
                                             parley_seq *seq);
PL_MUST_USE parley_err pl_record_read_floor(struct parley_span key, struct parley_span value,
                                            struct pl_floor_row *out);
PL_MUST_USE parley_err pl_record_read_retention(struct parley_span key, struct parley_span value,
                                                struct parley_retention *out);
PL_MUST_USE parley_err pl_record_read_elements(struct parley_span key, struct parley_span value,
                                               struct parley_span *elements);
PL_MUST_USE parley_err pl_record_read_sum(struct parley_span key, struct parley_span value,
                                          struct parley_root *out);
PL_MUST_USE parley_err pl_record_read_plain(struct parley_span key, struct parley_span value,
                                            struct parley_span *out);

/* Bytes that a version's record takes. */
static inline size_t pl_record_bytes(size_t id_len, size_t body_len)
{
    return PL_RECORD_HEAD_BYTES + id_len + body_len + PL_RECORD_CHECK_BYTES;
}

#endif
