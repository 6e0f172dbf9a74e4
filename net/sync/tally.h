/* SPDX-License-Identifier: Apache-2.0
 *
 * What a comparison would move in one direction, counted instead of moved. Registers are known by a
 * short key, so that both directions together tell conflicts: registers of which each side has a
 * version that the other lacks. Pure; any thread.
 */
#ifndef PL_TALLY_H
#define PL_TALLY_H

#include "sync/query.h"

/* In one TALLY. */
#define PL_TALLY_KEYS_MAX  PL_LIMIT(256u, 8u)
#define PL_TALLY_BYTES_MAX (30u + PL_TALLY_KEYS_MAX * PL_QUERY_KEY_BYTES)

struct pl_tally {
    uint64_t versions;
    uint64_t bytes; /* of ids and bodies */
    uint32_t key_count;
    uint32_t key_max;
    bool cut;       /* there were more versions than keys */
    uint64_t *keys; /* borrowed from the owner: `key_max` of them */
};

void pl_tally_add(struct pl_tally *tally, const struct pl_salt *salt,
                  const struct parley_version *version);

/* TALLY: varint versions, varint bytes, varint n, n times 6 bytes key. */
void pl_tally_write(struct pl_writer *w, const struct pl_tally *tally);
/* Adds what a body says. Errors: EPROTO. */
PL_MUST_USE parley_err pl_tally_read(struct parley_span body, struct pl_tally *sum);

/* Registers in both; sorts them. */
uint64_t pl_tally_conflicts(struct pl_tally *a, struct pl_tally *b);

#endif
