/* SPDX-License-Identifier: Apache-2.0
 *
 * QUERY and ANSWER: range-based reconciliation of the current versions of a namespace, as a set in
 * the order (time, digest). Pure; any thread.
 *
 * Integers are varints: seven bits a byte, least significant first, the top bit set in all but the
 * last byte, at most ten. A signed one is zigzag-coded. A bound is a signed time minus the time of
 * the bound before it (0 at first and after SPACE), then the first 4 bytes of a digest as a varint;
 * it lies below the elements of that time whose digest begins so or later. The bound with both
 * values at their greatest is the end.
 *
 *   QUERY   uint number, then items to the end:
 *     1 BEGIN  8 bytes salt of all fingerprints and keys that follow, until the next BEGIN
 *     2 SPACE  uint flags (1: the sender takes versions; 2: with a cut; 8: with a filter); with a
 *              cut uint cut; uint length, name; with a filter uint since, uint length, prefix.
 *              Tombstones with a time of the cut and before are left out by both
 *     3 SPLIT  bound, uint n (1 to 32), n times: bound, uint count, 8 bytes fingerprint of the
 *              sender's elements up to that bound
 *     4 LEAF   two bounds, uint n (0 to 384), n times: uint time minus the time before (at first
 *              that of the lower bound), 6 bytes key: all elements of the sender between the bounds
 *     5 END    the reconciliation is over
 *     7 DRY    nothing moves until END: what would move is counted, and told in TALLY (tally.h)
 *     6 HAVE   uint n (1 to 384), n times: signed time minus the time before (at first that of the
 *              bound before), 6 bytes key: elements that the sender has, in an OFFER
 *   OFFER   uint number, then items BEGIN, SPACE and HAVE
 *   ANSWER  uint number of the QUERY; then its items' bits, packed from the least significant:
 *     SPLIT n times two: 0 nothing to do here (equal, or the receiver sends what the sender lacks),
 *                        1 differs, 2 the receiver has nothing here and takes what there is
 *     LEAF  n times one: the receiver wants this element
 *
 * Fingerprint = XXH3-64 over salt, sum of the digests modulo 2^128, u64 count. Key = the low 48
 * bits of it over salt, digest. Both only guide the search: that the sets are equal is proved by
 * the roots.
 */
#ifndef PL_QUERY_H
#define PL_QUERY_H

#include <parley/db.h>

#include "base/reader.h"
#include "base/writer.h"

#define PL_QUERY_SALT_BYTES  8
#define PL_QUERY_PRINT_BYTES 8
#define PL_QUERY_KEY_BYTES   6
#define PL_QUERY_PARTS_MAX   32  /* of one SPLIT */
#define PL_QUERY_KEYS_MAX    384 /* of one LEAF */

struct pl_bound {
    uint64_t time;
    uint32_t prefix; /* of a digest */
};
#define PL_BOUND_END ((struct pl_bound){ UINT64_MAX, UINT32_MAX })

enum pl_query_kind {
    PL_QUERY_BEGIN = 1,
    PL_QUERY_SPACE = 2,
    PL_QUERY_SPLIT = 3,
    PL_QUERY_LEAF = 4,
    PL_QUERY_END = 5,
    PL_QUERY_HAVE = 6,
    PL_QUERY_DRY = 7
};

enum pl_query_verdict { PL_QUERY_DONE = 0, PL_QUERY_DIFFERS = 1, PL_QUERY_TAKES_ALL = 2 };

struct pl_query_item {
    enum pl_query_kind kind;
    struct parley_span salt;                        /* BEGIN; lent from the frame */
    struct parley_span name_space;                  /* SPACE; lent from the frame */
    bool takes;                                     /* SPACE */
    uint64_t cut;                                   /* SPACE; 0: nothing is left out */
    uint64_t since;                                 /* SPACE: no older versions */
    struct parley_span prefix;                      /* SPACE: of conversations; lent, too */
    uint32_t count;                                 /* SPLIT: parts; LEAF: keys */
    struct pl_bound bounds[PL_QUERY_PARTS_MAX + 1]; /* LEAF: two */
    uint64_t counts[PL_QUERY_PARTS_MAX];            /* SPLIT */
    uint64_t prints[PL_QUERY_PARTS_MAX];            /* SPLIT */
    uint64_t times[PL_QUERY_KEYS_MAX];              /* LEAF, HAVE */
    uint64_t keys[PL_QUERY_KEYS_MAX];               /* LEAF, HAVE */
};

/* What both ends keep while they walk a frame; zero at its start. */
struct pl_query_walk {
    uint64_t time; /* of the bound before */
};

/* The most that an item takes: a LEAF with all its keys. */
#define PL_QUERY_ITEM_BYTES_MAX (1u + 40u + 2u + PL_QUERY_KEYS_MAX * (10u + PL_QUERY_KEY_BYTES))

void pl_varint_write(struct pl_writer *w, uint64_t value);
/* Errors stick in the reader: EMALFORMED for more than 64 bits. */
uint64_t pl_varint_read(struct pl_reader *r);

/* Appends an item; the caller has made sure of PL_QUERY_ITEM_BYTES_MAX. */
void pl_query_write(struct pl_writer *w, struct pl_query_walk *walk,
                    const struct pl_query_item *item);
/* Reads the next item; *found false at the end. Errors: EPROTO. */
PL_MUST_USE parley_err pl_query_read(struct pl_reader *r, struct pl_query_walk *walk,
                                     struct pl_query_item *out, bool *found);

static inline int pl_bound_compare(const struct pl_bound *a, const struct pl_bound *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->prefix > b->prefix) - (a->prefix < b->prefix);
}

/* The lowest point that is not below the bound. */
void pl_bound_point(const struct pl_bound *bound, struct parley_point *out);
/* The greatest bound that is not above the point. */
struct pl_bound pl_bound_at(const struct parley_point *point);
/* The lowest bound that is above a point. */
struct pl_bound pl_bound_above(const struct parley_point *point);

/* Bits of an ANSWER. */
struct pl_bit_writer {
    struct pl_writer *w;
    uint8_t byte;
    unsigned used;
};
void pl_bits_write(struct pl_bit_writer *b, unsigned value, unsigned width);
void pl_bits_flush(struct pl_bit_writer *b);

struct pl_bit_reader {
    struct pl_reader *r;
    uint8_t byte;
    unsigned left;
};
unsigned pl_bits_read(struct pl_bit_reader *b, unsigned width);

/* ---- Fingerprints ---- */

struct pl_salt {
    uint8_t bytes[PL_QUERY_SALT_BYTES];
};
uint64_t pl_query_print(const struct pl_salt *salt, const struct parley_root *root);
uint64_t pl_query_key(const struct pl_salt *salt, const uint8_t digest[PARLEY_DIGEST_BYTES]);

#endif
