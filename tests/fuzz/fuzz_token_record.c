/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the stored record of a session token. Oracle: what is refused leaves the result
 * alone; what is accepted has texts that fit, is the same when written again, and has a state.
 */
#include "node/node_int.h"

#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct pl_token_record *a, const struct pl_token_record *b)
{
    const struct pl_token *s = &a->token;
    const struct pl_token *t = &b->token;
    CHECK(strcmp(s->issuer, t->issuer) == 0 && strcmp(s->sbt_id, t->sbt_id) == 0);
    CHECK(strcmp(s->user_id, t->user_id) == 0 && strcmp(s->session_id, t->session_id) == 0);
    CHECK(strcmp(s->local_backend_id, t->local_backend_id) == 0);
    CHECK(strcmp(s->hosted_backend_id, t->hosted_backend_id) == 0);
    CHECK(s->created_at == t->created_at && s->expires_at == t->expires_at);
    CHECK(a->revoked_at == b->revoked_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[PL_TOKENS_RECORD_BYTES_MAX];
    char key[PL_TOKENS_KEY_BYTES_MAX];
    struct pl_token_record record = { .revoked_at = 7 };
    struct pl_token_record again;
    if (pl_tokens_decode(pl_span_of(data, size), &record) != PARLEY_OK) {
        CHECK(record.revoked_at == 7 && record.token.issuer[0] == '\0');
        return 0;
    }
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_tokens_encode(&record, &w);
    CHECK(w.err == PARLEY_OK);
    CHECK(pl_tokens_decode(pl_writer_span(&w), &again) == PARLEY_OK);
    check_same(&record, &again);
    CHECK(pl_tokens_state(&record, 0)[0] != '\0');
    CHECK(pl_tokens_state(&record, INT64_MAX)[0] != '\0');
    CHECK(pl_tokens_key(pl_span_text(record.token.issuer), pl_span_text(record.token.sbt_id), key)
              .len > PL_TOKENS_PREFIX_BYTES);
    return 0;
}
