/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of session binding tokens. One that is only an id (revoked here, never seen) has no user,
 * no session and no backends, and expires when every token with a permitted lifetime has that was
 * made before the revocation.
 *
 * An issuer with a '/' in its id, which only --compat-legacy lets in, may share a key with another.
 * So may a revocation then: it refuses more, never less.
 */
#include "node/node_int.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define RECORD_VERSION 1
#define RECORD_FIELDS  10

/* Bounds of one turn of pruning, every few seconds, so that it never holds up what else is due: a
 * full registry is looked at within a quarter of an hour, and emptied within two hours. */
#define PRUNE_DELETES_MAX 64
#define PRUNE_LOOKS_MAX   512

/* ---- Records ---- */

struct parley_span pl_tokens_key(struct parley_span issuer, struct parley_span sbt_id,
                                 char out[PL_TOKENS_KEY_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, PL_TOKENS_KEY_BYTES_MAX);
    pl_write_text(&w, PL_TOKENS_PREFIX);
    pl_write_span(&w, issuer);
    pl_write_text(&w, "/");
    pl_write_span(&w, sbt_id);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

void pl_tokens_encode(const struct pl_token_record *record, struct pl_writer *w)
{
    const struct pl_token *token = &record->token;
    pl_mp_write_array(w, RECORD_FIELDS);
    pl_mp_write_uint(w, RECORD_VERSION);
    pl_mp_write_text(w, token->issuer);
    pl_mp_write_text(w, token->sbt_id);
    pl_mp_write_text(w, token->user_id);
    pl_mp_write_text(w, token->session_id);
    pl_mp_write_text(w, token->local_backend_id);
    pl_mp_write_text(w, token->hosted_backend_id);
    pl_mp_write_int(w, token->created_at);
    pl_mp_write_int(w, token->expires_at);
    pl_mp_write_int(w, record->revoked_at);
}

static void read_text(struct pl_reader *r, char *out, size_t cap)
{
    struct parley_span text = pl_mp_read_str(r, cap - 1);
    if (text.len != 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

parley_err pl_tokens_decode(struct parley_span record, struct pl_token_record *out)
{
    struct pl_token_record decoded = { .revoked_at = 0 };
    struct pl_token *token = &decoded.token;
    struct pl_reader r = pl_reader_over(record);
    uint32_t fields = pl_mp_read_array(&r, RECORD_FIELDS);
    uint64_t version = pl_mp_read_uint(&r);
    read_text(&r, token->issuer, sizeof token->issuer);
    read_text(&r, token->sbt_id, sizeof token->sbt_id);
    read_text(&r, token->user_id, sizeof token->user_id);
    read_text(&r, token->session_id, sizeof token->session_id);
    read_text(&r, token->local_backend_id, sizeof token->local_backend_id);
    read_text(&r, token->hosted_backend_id, sizeof token->hosted_backend_id);
    token->created_at = pl_mp_read_int(&r);
    token->expires_at = pl_mp_read_int(&r);
    decoded.revoked_at = pl_mp_read_int(&r);
    if (pl_reader_end(&r) != PARLEY_OK || fields != RECORD_FIELDS || version != RECORD_VERSION)
        return PARLEY_ECORRUPT;
    *out = decoded;
    return PARLEY_OK;
}

parley_err pl_tokens_find(struct pl_node *node, struct parley_span key, struct pl_token_record *out,
                          bool *found)
{
    struct parley_span value;
    parley_err err = PARLEY_OK;
    *found = false;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    PL_TRY(parley_read_sys(read, key, &value, found));
    return *found ? pl_tokens_decode(value, out) : PARLEY_OK;
}

bool pl_tokens_is_over(const struct pl_token_record *record, parley_wall now)
{
    return record->token.expires_at < now - PL_TOKEN_LEEWAY_US;
}

const char *pl_tokens_state(const struct pl_token_record *record, parley_wall now)
{
    if (record->revoked_at != 0)
        return "revoked";
    return pl_tokens_is_over(record, now) ? "expired" : "active";
}

/* ---- Counting ---- */

parley_err pl_tokens_load(struct pl_node *node, struct parley_read *read)
{
    struct parley_span prefix = pl_span_text(PL_TOKENS_PREFIX);
    struct parley_span after = prefix;
    struct parley_span value;
    bool found = true;
    for (node->tokens.count = 0; found; node->tokens.count += found)
        PL_TRY(parley_read_sys_after(read, prefix, after, &after, &value, &found));
    return PARLEY_OK;
}

bool pl_tokens_has_place(const struct pl_node *node, bool is_revocation)
{
    const struct pl_tokens *tokens = &node->tokens;
    size_t bound = is_revocation ? PL_TOKENS_MAX : PL_TOKENS_MAX - PL_TOKENS_SPARE;
    /* What a batch will delete counts until it has. */
    return tokens->count + tokens->added[0] + tokens->added[1] < bound;
}

bool pl_tokens_is_busy(const struct pl_node *node)
{
    return node->tokens.writes[0] + node->tokens.writes[1] != 0;
}

bool pl_tokens_has_room(const struct pl_node *node)
{
    return pl_audit_has_room(node) &&
           pl_batch_has_room(node, 2,
                             PL_TOKENS_RECORD_BYTES_MAX + PL_TOKENS_KEY_BYTES_MAX +
                                 PL_LEDGER_LINE_BYTES_MAX);
}

void pl_tokens_put(struct pl_node *node, const struct pl_token_record *record, bool is_new)
{
    char key[PL_TOKENS_KEY_BYTES_MAX];
    uint8_t value[PL_TOKENS_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(value, sizeof value);
    pl_tokens_encode(record, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    /* Before the batch may be launched, which makes another one the filling one. */
    node->tokens.added[node->filling] += is_new;
    node->tokens.writes[node->filling]++;
    pl_batch_add_sys(
        node,
        pl_tokens_key(pl_span_text(record->token.issuer), pl_span_text(record->token.sbt_id), key),
        pl_writer_span(&w));
}

void pl_tokens_committed(struct pl_node *node, parley_err err)
{
    struct pl_tokens *tokens = &node->tokens;
    size_t index = 1 - node->filling;
    if (err == PARLEY_OK)
        tokens->count += tokens->added[index] - tokens->removed[index];
    tokens->added[index] = 0;
    tokens->removed[index] = 0;
    tokens->writes[index] = 0;
}

/* ---- Pruning ---- */

static void delete_record(struct pl_node *node, struct parley_span key)
{
    node->tokens.removed[node->filling]++;
    node->tokens.writes[node->filling]++;
    pl_batch_del_sys(node, key);
}

static void sweep(struct pl_node *node, struct parley_read *read)
{
    struct pl_tokens *tokens = &node->tokens;
    struct parley_span prefix = pl_span_text(PL_TOKENS_PREFIX);
    struct parley_span key = pl_span_of(tokens->swept, tokens->swept_len);
    size_t deleted = 0;
    bool found = true;
    if (key.len == 0)
        key = prefix;
    for (size_t i = 0; i < PRUNE_LOOKS_MAX && deleted < PRUNE_DELETES_MAX && found; i++) {
        struct pl_token_record record;
        struct parley_span next;
        struct parley_span value;
        if (!pl_batch_has_room(node, 1, PL_TOKENS_KEY_BYTES_MAX) ||
            parley_read_sys_after(read, prefix, key, &next, &value, &found) != PARLEY_OK)
            break;
        if (!found)
            break;
        key = next;
        /* One that does not decode is left for `parley check` and whoever asks for it. */
        if (pl_tokens_decode(value, &record) != PARLEY_OK ||
            !pl_tokens_is_over(&record, node->now.wall))
            continue;
        delete_record(node, key);
        deleted++;
    }
    tokens->swept_len = found && key.len <= sizeof tokens->swept ? key.len : 0;
    if (tokens->swept_len != 0)
        memmove(tokens->swept, key.ptr, tokens->swept_len);
}

void pl_tokens_prune(struct pl_node *node)
{
    parley_err err = PARLEY_OK;
    /* A record that is being changed must not be deleted by what it was before. */
    if (node->tokens.count == 0 || pl_tokens_is_busy(node))
        return;
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        sweep(node, read);
}
