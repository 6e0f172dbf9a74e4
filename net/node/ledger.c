/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: what was revoked, beside the store, so that an older copy of the store that is put
 * back does not bring it into force again. A line is durable before the batch with the record.
 *
 *   revoked <backend id> <when>
 *   token <issuer/sbt id, base64url> <when> <until>
 *
 * Times are microseconds. A peer's line counts until the peer is let in again, a token's until the
 * token has expired; then it is left out at the next start. Tokens leave a quarter of the ledger to
 * peers, however many are revoked between two starts; a revocation that finds no place in it is in
 * the store alone. Other lines are of a later version, and stay.
 */
#include "node/node_int.h"

#include "core/base64.h"
#include "node/out.h"

#define PEER  "revoked "
#define TOKEN "token "

#define NAME_BYTES_MAX   (PL_TOKENS_KEY_BYTES_MAX - PL_TOKENS_PREFIX_BYTES)
#define TOKENS_BYTES_MAX (PARLEY_LEDGER_BYTES_MAX / 4 * 3)
#define WRITES_MAX       16

_Static_assert(sizeof PEER + PARLEY_BACKEND_ID_BYTES_MAX + 24 <= PL_LEDGER_LINE_BYTES_MAX,
               "a peer's line fits");
_Static_assert(sizeof TOKEN + PL_BASE64URL_LEN(NAME_BYTES_MAX) + 48 <= PL_LEDGER_LINE_BYTES_MAX,
               "a token's line fits");

/* ---- Writing ---- */

static void write_time(struct pl_writer *w, parley_wall at)
{
    char digits[20];
    pl_write_text(w, " ");
    pl_write_span(w, pl_out_digits((uint64_t)at, digits));
}

static void add_line(struct pl_node *node, struct pl_writer *w)
{
    pl_write_text(w, "\n");
    PL_ASSERT(w->err == PARLEY_OK);
    node->ledger_bytes += w->len;
    pl_batch_add_line(node, pl_writer_span(w));
}

void pl_ledger_add_peer(struct pl_node *node, const struct pl_peer *peer)
{
    char line[PL_LEDGER_LINE_BYTES_MAX];
    struct pl_writer w = pl_writer_over(line, sizeof line);
    pl_write_text(&w, PEER);
    pl_write_text(&w, peer->backend_id);
    write_time(&w, peer->revoked_at);
    add_line(node, &w);
}

void pl_ledger_add_token(struct pl_node *node, const struct pl_token_record *record)
{
    char line[PL_LEDGER_LINE_BYTES_MAX];
    char space[PL_TOKENS_KEY_BYTES_MAX];
    struct parley_span key = pl_tokens_key(pl_span_text(record->token.issuer),
                                           pl_span_text(record->token.sbt_id), space);
    struct pl_writer w = pl_writer_over(line, sizeof line);
    if (node->ledger_bytes > TOKENS_BYTES_MAX)
        return;
    pl_write_text(&w, TOKEN);
    pl_base64url_write(&w, pl_span_after(key, PL_TOKENS_PREFIX_BYTES));
    write_time(&w, record->revoked_at);
    write_time(&w, record->token.expires_at);
    add_line(node, &w);
}

/* ---- Reading ---- */

/* Cuts the next word off a line; empty at its end. */
static struct parley_span next_word(struct parley_span *line)
{
    const uint8_t *end = line->len == 0 ? NULL : memchr(line->ptr, ' ', line->len);
    size_t len = end == NULL ? line->len : (size_t)(end - line->ptr);
    struct parley_span word = pl_span_of(line->ptr, len);
    *line = pl_span_after(*line, end == NULL ? len : len + 1);
    return word;
}

static bool read_time(struct parley_span *line, parley_wall *out)
{
    struct parley_span word = next_word(line);
    *out = 0;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.ptr[i];
        if (c < '0' || c > '9' || *out > INT64_MAX / 16)
            return false;
        *out = *out * 10 + (c - '0');
    }
    return word.len != 0;
}

static void heed_peer(struct pl_node *node, struct parley_span line)
{
    parley_wall at;
    struct parley_span id = next_word(&line);
    if (!read_time(&line, &at) || line.len != 0)
        return;
    node->last_stamp = at > node->last_stamp ? at : node->last_stamp;
    struct pl_peer *peer = pl_peers_find(&node->peers, id);
    if (peer == NULL || peer->state == PL_PEER_REVOKED || peer->admitted_at > at)
        return;
    peer->state = PL_PEER_REVOKED;
    peer->sync = PL_SYNC_REFUSED;
    peer->revoked_at = at;
    peer->unsaved = true;
    pl_peer_set_note(peer, "revoked here, as the ledger remembers");
}

/* Records that the store has forgotten, to be written a few at a time. */
struct restored {
    struct parley_write writes[WRITES_MAX];
    char keys[WRITES_MAX][PL_TOKENS_KEY_BYTES_MAX];
    uint8_t values[WRITES_MAX][PL_TOKENS_RECORD_BYTES_MAX];
    size_t count;
};

static PL_MUST_USE parley_err flush(struct pl_node *node, struct restored *restored)
{
    size_t count = restored->count;
    bool changed = false;
    restored->count = 0;
    pl_node_read_done(node);
    return count == 0
               ? PARLEY_OK
               : parley_db_apply(node->db, restored->writes, count, node->now.wall, &changed);
}

static PL_MUST_USE parley_err restore(struct pl_node *node, struct restored *restored,
                                      const struct pl_token_record *record)
{
    size_t i = restored->count++;
    struct pl_writer w = pl_writer_over(restored->values[i], sizeof restored->values[i]);
    pl_tokens_encode(record, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    restored->writes[i] = (struct parley_write){ .kind = PARLEY_WRITE_SYS_PUT };
    restored->writes[i].u.sys.key = pl_tokens_key(
        pl_span_text(record->token.issuer), pl_span_text(record->token.sbt_id), restored->keys[i]);
    restored->writes[i].u.sys.value = pl_writer_span(&w);
    return restored->count == WRITES_MAX ? flush(node, restored) : PARLEY_OK;
}

/* The record that a line stands for, as of a token that was never seen. */
static bool read_token(struct parley_span line, struct pl_token_record *out)
{
    uint8_t name[NAME_BYTES_MAX];
    size_t len = 0;
    *out = (struct pl_token_record){ .revoked_at = 0 };
    if (pl_base64url_decode(next_word(&line), name, sizeof name, &len) != PARLEY_OK ||
        !read_time(&line, &out->revoked_at) || !read_time(&line, &out->token.expires_at) ||
        line.len != 0 || out->revoked_at == 0 || memchr(name, 0, len) != NULL)
        return false;
    const uint8_t *slash = memchr(name, '/', len);
    size_t issuer = slash == NULL ? len : (size_t)(slash - name);
    size_t sbt_id = slash == NULL ? 0 : len - issuer - 1;
    if (slash == NULL || issuer > PARLEY_BACKEND_ID_BYTES_MAX || sbt_id > PL_TOKEN_FIELD_BYTES_MAX)
        return false;
    memcpy(out->token.issuer, name, issuer);
    memcpy(out->token.sbt_id, slash + 1, sbt_id);
    return true;
}

/* *over: the line says nothing any more. */
static PL_MUST_USE parley_err heed_token(struct pl_node *node, struct parley_span line,
                                         struct restored *restored, bool *over)
{
    struct pl_token_record record;
    struct pl_token_record stored;
    char space[PL_TOKENS_KEY_BYTES_MAX];
    bool found = false;
    if (!read_token(line, &record))
        return PARLEY_OK;
    *over = pl_tokens_is_over(&record, node->now.wall);
    if (*over)
        return PARLEY_OK;
    struct parley_span key =
        pl_tokens_key(pl_span_text(record.token.issuer), pl_span_text(record.token.sbt_id), space);
    parley_err err = pl_tokens_find(node, key, &stored, &found);
    /* A damaged record refuses the token as it is, and `parley check` finds it. */
    if (err == PARLEY_ECORRUPT || (err == PARLEY_OK && found && stored.revoked_at != 0))
        return PARLEY_OK;
    if (err != PARLEY_OK)
        return err;
    if (found) {
        stored.revoked_at = record.revoked_at;
        record = stored;
    }
    return restore(node, restored, &record);
}

static PL_MUST_USE parley_err heed_line(struct pl_node *node, struct parley_span line,
                                        struct restored *restored, bool *over)
{
    *over = false;
    if (pl_span_has_prefix(line, pl_span_text(TOKEN)))
        return heed_token(node, pl_span_after(line, sizeof TOKEN - 1), restored, over);
    if (pl_span_has_prefix(line, pl_span_text(PEER)))
        heed_peer(node, pl_span_after(line, sizeof PEER - 1));
    return PARLEY_OK;
}

/* Heeds all lines, and moves those that still say something together. */
static PL_MUST_USE parley_err heed(struct pl_node *node, uint8_t *lines, size_t *len,
                                   struct restored *restored)
{
    size_t kept = 0;
    size_t next;
    for (size_t at = 0; at < *len; at = next) {
        const uint8_t *end = memchr(lines + at, '\n', *len - at);
        bool over = false;
        next = end == NULL ? *len : (size_t)(end - lines) + 1;
        size_t line = next - at - (end == NULL ? 0 : 1);
        PL_TRY(heed_line(node, pl_span_of(lines + at, line), restored, &over));
        if (over)
            continue;
        memmove(lines + kept, lines + at, next - at);
        kept += next - at;
    }
    *len = kept;
    return flush(node, restored);
}

parley_err pl_ledger_heed(struct pl_node *node)
{
    const struct parley_env *env = node->env;
    size_t len = 0;
    for (size_t i = 0; i < node->peers.count; i++)
        if (node->peers.table[i]->admitted_at > node->last_stamp)
            node->last_stamp = node->peers.table[i]->admitted_at;
    uint8_t *lines = env->alloc(env->ud, PARLEY_LEDGER_BYTES_MAX);
    struct restored *restored = env->alloc(env->ud, sizeof *restored);
    parley_err err = lines == NULL || restored == NULL ? PARLEY_ENOMEM : PARLEY_OK;
    if (err == PARLEY_OK)
        err = parley_db_ledger(node->db, lines, PARLEY_LEDGER_BYTES_MAX, &len);
    size_t had = len;
    if (err == PARLEY_OK) {
        restored->count = 0;
        err = heed(node, lines, &len, restored);
    }
    if (err == PARLEY_OK && len != had)
        err = parley_db_ledger_replace(node->db, lines, len);
    node->ledger_bytes = len;
    env->release(env->ud, lines, PARLEY_LEDGER_BYTES_MAX);
    env->release(env->ud, restored, sizeof *restored);
    return err;
}
