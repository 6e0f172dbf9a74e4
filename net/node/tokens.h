/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of session binding tokens: what this node issued, and whatever was revoked here,
 * also of other issuers. It holds what a token says, never the token. A token verifies without its
 * record, so one that was issued before a restart, or by a peer, is good; only a record that says
 * revoked makes a difference, and that one is kept until no token with its id can be valid.
 *
 * Records live in the store under "token/<issuer>/<sbt id>" and nowhere else: a decision reads the
 * snapshot of its call. In memory is only how many there are.
 *
 * Threads: the node's.
 */
#ifndef PL_TOKENS_H
#define PL_TOKENS_H

#include <parley/db.h>

#include "trust/token.h"

struct pl_node;

/* Records at once: a few hundred bytes each, counted at the start. New tokens leave the spare ones
 * to revocations, which must not fail because many were issued. */
#define PL_TOKENS_MAX   PL_LIMIT(65536u, 64u)
#define PL_TOKENS_SPARE (PL_TOKENS_MAX / 16)

#define PL_TOKENS_PREFIX       "token/"
#define PL_TOKENS_PREFIX_BYTES (sizeof PL_TOKENS_PREFIX - 1)
#define PL_TOKENS_KEY_BYTES_MAX                                                                    \
    (PL_TOKENS_PREFIX_BYTES + PARLEY_BACKEND_ID_BYTES_MAX + 1 + PL_TOKEN_FIELD_BYTES_MAX)
/* Three fields and three ids with their heads, three times, version and array. */
#define PL_TOKENS_RECORD_BYTES_MAX                                                                 \
    (3 * (PL_TOKEN_FIELD_BYTES_MAX + 3) + 3 * (PARLEY_BACKEND_ID_BYTES_MAX + 2) + 32)

struct pl_token_record {
    struct pl_token token;  /* created_at 0: not issued here, only its id is known */
    parley_wall revoked_at; /* 0: it was not */
};

struct pl_tokens {
    size_t count;                        /* of the store, as of the last commit */
    size_t added[2];                     /* records that the batch of this index makes, */
    size_t removed[2];                   /* deletes, */
    size_t writes[2];                    /* or touches at all */
    char swept[PL_TOKENS_KEY_BYTES_MAX]; /* pruning goes on behind this key */
    size_t swept_len;
};

/* Counts the records. Errors: store errors. */
PL_MUST_USE parley_err pl_tokens_load(struct pl_node *node, struct parley_read *read);

struct parley_span pl_tokens_key(struct parley_span issuer, struct parley_span sbt_id,
                                 char out[PL_TOKENS_KEY_BYTES_MAX]);
/* Looks a record up in the snapshot of this call. Errors: ECORRUPT, store errors. */
PL_MUST_USE parley_err pl_tokens_find(struct pl_node *node, struct parley_span key,
                                      struct pl_token_record *out, bool *found);
PL_MUST_USE parley_err pl_tokens_decode(struct parley_span record, struct pl_token_record *out);
void pl_tokens_encode(const struct pl_token_record *record, struct pl_writer *w);
/* Nobody accepts a token with this id any more: neither issued nor revoked makes a difference. */
bool pl_tokens_is_over(const struct pl_token_record *record, parley_wall now);
/* "active", "expired" or "revoked". */
const char *pl_tokens_state(const struct pl_token_record *record, parley_wall now);

/* Whether one more record may be made. */
bool pl_tokens_has_place(const struct pl_node *node, bool is_revocation);
/* Whether a record is in a batch that is not stored yet: then a snapshot does not have the newest
 * of each, and who would change one must wait. */
bool pl_tokens_is_busy(const struct pl_node *node);
/* Room for one record in the batch, and its line in the ledger. */
bool pl_tokens_has_room(const struct pl_node *node);
/* Writes a record into the batch. Only after pl_tokens_has_room; `is_new`: none has its key. */
void pl_tokens_put(struct pl_node *node, const struct pl_token_record *record, bool is_new);
/* The batch in flight was stored, or not. */
void pl_tokens_committed(struct pl_node *node, parley_err err);
/* Deletes a few records of tokens that nobody would accept any more. */
void pl_tokens_prune(struct pl_node *node);

#endif
