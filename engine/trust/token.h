/* SPDX-License-Identifier: Apache-2.0
 *
 * Session binding tokens: JWTs {"typ":"SBT","alg":"RS256"|"ES256","kid":issuer} signed by the key
 * of their issuer. Verification is two steps, because the key depends on the issuer: read the
 * claimed issuer (untrusted), find its registered key, verify with it. The kind of that key decides
 * the algorithm; what the token says of it must agree and chooses nothing.
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

/* Why a token is refused: name, class of error, code, text. Codes stand in HTTP answers and never
 * change; texts are for people. */
#define PL_TOKEN_REFUSAL_TABLE(X)                                                                  \
    X(TOO_BIG, ETOOBIG, "token-too-big", "the token is longer than 4096 bytes")                    \
    X(MALFORMED, EMALFORMED, "token-malformed",                                                    \
      "the token is not three parts of base64url, the first two JSON objects with names once "     \
      "each")                                                                                      \
    X(NO_KID, EMISSING, "token-no-kid", "the token's header has no kid that could be an issuer")   \
    X(TYPE, ETYPE, "token-type", "the token's typ must be SBT")                                    \
    X(ALG_NONE, ETYPE, "token-alg-none", "a token without a signature (alg none) proves nothing")  \
    X(ALG_HMAC, ETYPE, "token-alg-hmac",                                                           \
      "the token is signed with a shared secret (alg HS...); it must be RS256 or ES256")           \
    X(ALG_UNKNOWN, ETYPE, "token-algorithm", "the token's alg must be RS256 or ES256")             \
    X(ALG_KEY, EAUTH, "token-alg-key",                                                             \
      "the token's alg does not fit its issuer's key: RS256 is for RSA, ES256 for P-256")          \
    X(CRIT, EMALFORMED, "token-crit", "the token's header has crit; no extension is known here")   \
    X(SIGNATURE, EAUTH, "token-signature",                                                         \
      "the token's signature does not verify with its issuer's registered key")                    \
    X(CLAIMS, EMALFORMED, "token-claims",                                                          \
      "a claim of the token is missing, there twice, empty, too long or of the wrong type")        \
    X(KID_MISMATCH, EMALFORMED, "token-kid-mismatch", "the token's kid and iss differ")            \
    X(ID_MISMATCH, EMALFORMED, "token-id-mismatch", "the token's jti and sbt_id differ")           \
    X(USER_MISMATCH, EMALFORMED, "token-user-mismatch", "the token's sub and user_id differ")      \
    X(TIMES, EMALFORMED, "token-times",                                                            \
      "iat and exp must be whole seconds of created_at and expires_at, which must be in order")    \
    X(EXPIRED, EEXPIRED, "token-expired", "the token has expired; issue a new one")                \
    X(NOT_YET_VALID, EAGAIN, "token-not-yet-valid",                                                \
      "the token was created in the future; compare the clocks")                                   \
    X(AUDIENCE, EDENIED, "token-audience", "the token binds other nodes: this one is not named")   \
    X(ISSUER_NOT_BOUND, EDENIED, "token-issuer-not-bound",                                         \
      "the token's issuer is not one of the two nodes that it binds")                              \
    X(CLOCK, EINVAL, "token-clock", "the clock of this node shows no usable time")

enum pl_token_refusal {
    PL_TOKEN_ACCEPTED = 0,
#define PL_TOKEN_REFUSAL_ENUM(name, err, code, text) PL_TOKEN_##name,
    PL_TOKEN_REFUSAL_TABLE(PL_TOKEN_REFUSAL_ENUM)
#undef PL_TOKEN_REFUSAL_ENUM
        PL_TOKEN_REFUSAL_COUNT
};

/* Static texts; "" for PL_TOKEN_ACCEPTED. */
const char *pl_token_refusal_code(enum pl_token_refusal refusal);
const char *pl_token_refusal_text(enum pl_token_refusal refusal);

/* Signs `token` as RS256; writes at most PARLEY_TOKEN_BYTES_MAX characters, no NUL.
 * Errors: EINVAL (an empty field, bad UTF-8, times out of order), ETOOBIG, ECORRUPT (see
 *         pl_identity_sign). */
PL_MUST_USE parley_err pl_token_issue(const struct pl_identity *id, const struct pl_token *token,
                                      char out[PARLEY_TOKEN_BYTES_MAX], size_t *len);
/* The same as ES256 under a P-256 key, deterministically (RFC 6979). Nodes do not: it is for
 * programs that register with such a key, and for tests. Errors: EINVAL (also a key that is zero or
 * not below the order of the curve), ETOOBIG. */
PL_MUST_USE parley_err pl_token_issue_es256(const uint8_t private_key[PL_EC_PRIVATE_BYTES],
                                            const struct pl_token *token,
                                            char out[PARLEY_TOKEN_BYTES_MAX], size_t *len);

/* Reads the kid of a token without trusting anything. `why` may be NULL; it is set on failure.
 * Errors: EMALFORMED, ETOOBIG, EMISSING (no kid). */
PL_MUST_USE parley_err pl_token_peek_issuer(struct parley_span jwt,
                                            char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1],
                                            enum pl_token_refusal *why);

/* Verifies: structure; typ SBT; alg that of `key` and no other; signature under `key`; claims that
 * agree; not expired, not from the future (leeway 60 s); `audience` is one of the two backend ids
 * in it, and so is the issuer. `why` may be NULL; it is set on failure.
 * Errors: the class of the refusal, see the table. */
PL_MUST_USE parley_err pl_token_verify(struct parley_span jwt, const struct pl_pubkey *key,
                                       struct parley_span audience, parley_wall now,
                                       struct pl_token *out, enum pl_token_refusal *why);

/* Signatures that were found good: for each the SHA-256 of key, hash and signature together. That
 * a key has signed something stays true for ever, so nothing has to leave but for room. */
#define PL_TOKEN_SIGNATURES_MAX 256
struct pl_token_signatures {
    uint8_t good[PL_TOKEN_SIGNATURES_MAX][32];
};
/* The same, without the 0.2 ms of RSA for a token that was verified with this key before; all else
 * is checked as ever. `known` may be NULL. */
PL_MUST_USE parley_err pl_token_verify_known(struct pl_token_signatures *known,
                                             struct parley_span jwt, const struct pl_pubkey *key,
                                             struct parley_span audience, parley_wall now,
                                             struct pl_token *out, enum pl_token_refusal *why);

#endif
