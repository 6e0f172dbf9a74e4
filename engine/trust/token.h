/* SPDX-License-Identifier: Apache-2.0
 *
 * Session binding tokens: JWTs {"typ":"SBT","alg":"RS256","kid":issuer} signed by the identity key
 * of their issuer. Verification is two steps, because the key depends on the issuer: read the
 * claimed issuer (untrusted), find its registered key, verify with it.
 */
#ifndef PL_TOKEN_H
#define PL_TOKEN_H

#include "trust/identity.h"

#define PL_TOKEN_LEEWAY_US       (INT64_C(60) * 1000000)
#define PL_TOKEN_TTL_US_DEFAULT  (INT64_C(8) * 3600 * 1000000)
#define PL_TOKEN_FIELD_BYTES_MAX 255
/* From created to expires, a day more than what is issued: a revocation must be remembered as long
 * as its token lives, so no token may live for ever. */
#define PL_TOKEN_LIFETIME_US_MAX (INT64_C(31) * 24 * 3600 * 1000000)

struct pl_token {
    char sbt_id[PL_TOKEN_FIELD_BYTES_MAX + 1]; /* also jti */
    char user_id[PL_TOKEN_FIELD_BYTES_MAX + 1];
    char session_id[PL_TOKEN_FIELD_BYTES_MAX + 1];
    char local_backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char hosted_backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1]; /* kid and iss */
    parley_wall created_at;                       /* microseconds; iat */
    parley_wall expires_at;                       /* exp */
};

/* Signs `token` as RS256; writes at most PARLEY_TOKEN_BYTES_MAX characters, no NUL.
 * Errors: EINVAL (an empty field, bad UTF-8, times out of order), ETOOBIG, ECORRUPT (see
 *         pl_identity_sign). */
PL_MUST_USE parley_err pl_token_issue(const struct pl_identity *id, const struct pl_token *token,
                                      char out[PARLEY_TOKEN_BYTES_MAX], size_t *len);

/* Reads the kid of a token without trusting anything. Errors: EMALFORMED, ETOOBIG. */
PL_MUST_USE parley_err pl_token_peek_issuer(struct pl_span jwt,
                                            char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1]);

/* Verifies: structure; typ SBT; alg exactly RS256 (never what the token wishes); kid == iss;
 * signature under `key`; not expired, not from the future (leeway 60 s); `audience` is one of the
 * two backend ids in it, and so is the issuer.
 * Errors: ETOOBIG, EMALFORMED, ETYPE (alg or typ), EAUTH (signature), EEXPIRED, EAGAIN (not yet
 *         valid), EDENIED (other audience or issuer not bound); EINVAL when `now` has no year. */
PL_MUST_USE parley_err pl_token_verify(struct pl_span jwt, const struct pl_pubkey *key,
                                       struct pl_span audience, parley_wall now,
                                       struct pl_token *out);

#endif
