/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a token, and any text as the claims of a token that is properly signed, since claims
 * are read only behind a good signature. Oracle: a token that verifies names its audience and its
 * issuer among its two backends and is in its time.
 */
#include "lib/keys.h"
#include "lib/plain_env.h"

#include "core/base64.h"
#include "core/hash.h"
#include "trust/token.h"

#define NOW      (INT64_C(1767225600) * PARLEY_US_PER_S)
#define AUDIENCE "hosted_sha256_fedcba9876543210fedcba9876543210"
#define HEADER   "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"local_sha256_0\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made on the first input and kept: importing costs as much as signing. */
static struct pl_identity *identity;
static struct pl_pubkey p256;

static void verify_with(struct parley_span jwt, const struct pl_pubkey *key)
{
    struct pl_token token;
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    if (pl_token_verify(jwt, key, pl_span_text(AUDIENCE), NOW, &token, &why) != PARLEY_OK) {
        PL_ASSERT(why != PL_TOKEN_ACCEPTED && why < PL_TOKEN_REFUSAL_COUNT);
        return;
    }
    PL_ASSERT(why == PL_TOKEN_ACCEPTED);
    PL_ASSERT(strcmp(token.local_backend_id, AUDIENCE) == 0 ||
              strcmp(token.hosted_backend_id, AUDIENCE) == 0);
    PL_ASSERT(strcmp(token.local_backend_id, token.issuer) == 0 ||
              strcmp(token.hosted_backend_id, token.issuer) == 0);
    PL_ASSERT(token.created_at <= NOW + PL_TOKEN_LEEWAY_US);
    PL_ASSERT(token.expires_at >= NOW - PL_TOKEN_LEEWAY_US);
}

static void verify(struct parley_span jwt)
{
    verify_with(jwt, pl_identity_pubkey(identity));
    verify_with(jwt, &p256);
}

static void verify_signed(struct parley_span claims)
{
    char jwt[PARLEY_TOKEN_BYTES_MAX];
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    struct pl_writer w = pl_writer_over(jwt, sizeof jwt);
    pl_base64url_write(&w, pl_span_text(HEADER));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, claims);
    pl_sha256_of(pl_writer_span(&w), hash);
    PL_ASSERT(pl_identity_sign(identity, hash, signature, &len) == PARLEY_OK);
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_of(signature, len));
    if (w.err == PARLEY_OK)
        verify(pl_writer_span(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plain_env env;
    plain_env_init(&env);
    struct parley_span text = pl_span_of(data, size);
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    if (identity == NULL) {
        PL_ASSERT(pl_identity_import(&env.env, pl_span_text(TEST_KEY_A_PKCS1), &identity, NULL) ==
                  PARLEY_OK);
        PL_ASSERT(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &p256) == PARLEY_OK);
    }
    if (pl_token_peek_issuer(text, issuer, NULL) == PARLEY_OK)
        PL_ASSERT(issuer[0] != '\0');
    verify(text);
    if (size != 0 && data[0] == '{')
        verify_signed(text);
    return 0;
}
