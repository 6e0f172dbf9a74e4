/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens, as a node verifies them that holds the issuer's key; its clock and its id are those that
 * token_cases.py has made them for.
 */
#include "badinput.h"

#include "lib/keys.h"

#include "trust/token.h"

#include <stdlib.h>

#define NOW      (INT64_C(1767225600) * PARLEY_US_PER_S)
#define AUDIENCE "hosted_sha256_fedcba9876543210fedcba9876543210"

void judge_token(const char *reader, struct parley_span data, struct verdict *out)
{
    static struct pl_token_signatures known;
    struct pl_pubkey key;
    struct pl_token token;
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    enum pl_token_refusal again = PL_TOKEN_ACCEPTED;
    const char *pem = strcmp(reader, "rsa") == 0 ? TEST_KEY_A_PUBLIC : TEST_KEY_EC_PUBLIC;
    struct parley_span audience = pl_span_text(AUDIENCE);
    if (pl_pubkey_from_pem(pl_span_text(pem), &key) != PARLEY_OK)
        abort();
    parley_err err = pl_token_verify(data, &key, audience, NOW, &token, &why);
    /* Signatures that are remembered as good must change no verdict, of this token or a later. */
    for (int i = 0; i < 2; i++)
        if (pl_token_verify_known(&known, data, &key, audience, NOW, &token, &again) != err ||
            again != why) {
            verdict_print(out, "remembered:%s", pl_token_refusal_code(again));
            return;
        }
    verdict_print(out, "%s", err == PARLEY_OK ? "ok" : pl_token_refusal_code(why));
}
