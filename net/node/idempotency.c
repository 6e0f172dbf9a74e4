/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotency-Key: the id of a message is made from it, of who asks and the conversation. So
 * nothing has to be remembered: the message itself says that the request was carried out, after a
 * restart too, and on every node that it was synced to.
 *
 * Who asks is the operator, a peer by its backend id (whatever token it has now), or a token of
 * this node's own. Of a message that was edited or deleted since, the history says what it was.
 */
#include "core/hash.h"
#include "core/message.h"
#include "node/shim.h"

/* Names the derivation, so that no other hash of the same parts is an id. */
#define ID_LABEL "parley idempotency key 1"

static void add_part(struct pl_sha256 *hash, struct parley_span part)
{
    uint8_t len[4];
    pl_put_be(len, part.len, sizeof len);
    pl_sha256_update(hash, len, sizeof len);
    pl_sha256_update(hash, part.ptr, part.len);
}

static void add_asker(struct pl_node *node, const struct pl_request *request,
                      struct pl_sha256 *hash)
{
    const struct pl_peer *peer = pl_shim_peer(node, request);
    switch (request->role) {
    case PL_SHIM_NOBODY:
    case PL_SHIM_ADMIN:
        add_part(hash, pl_span_text("operator"));
        break;
    case PL_SHIM_PEER:
        add_part(hash, pl_span_text("peer"));
        add_part(hash, pl_span_text(peer == NULL ? "" : peer->backend_id));
        break;
    case PL_SHIM_SESSION:
        add_part(hash, pl_span_text("token"));
        add_part(hash, pl_span_of(request->token_key, request->token_key_len));
        break;
    }
}

bool pl_shim_key_id(struct pl_node *node, struct pl_request *request, struct parley_span given)
{
    struct parley_span key = request->head.idempotency_key;
    uint8_t digest[PL_SHA256_BYTES];
    struct pl_sha256 hash;
    if (key.len == 0 || key.len > PL_SHIM_KEY_BYTES_MAX) {
        pl_shim_problem_limit(request, 400, "bad-idempotency-key", "Idempotency-Key",
                              PL_SHIM_KEY_BYTES_MAX, "must have 1 to 255 bytes");
        return false;
    }
    pl_sha256_init(&hash);
    pl_sha256_update(&hash, ID_LABEL, sizeof ID_LABEL);
    add_asker(node, request, &hash);
    add_part(&hash, pl_shim_name_space(request));
    add_part(&hash, pl_shim_param(request, 0));
    add_part(&hash, key);
    pl_sha256_final(&hash, digest);
    request->word_len = PL_SHIM_MADE_ID_CHARS;
    pl_hex_encode(digest, PL_SHIM_MADE_ID_CHARS / 2, request->word);
    if (given.len == 0 || pl_span_equal(given, pl_span_of(request->word, request->word_len)))
        return true;
    pl_shim_problem_field(request, 400, "bad-idempotency-key", "message_id",
                          "is another id than the one that the Idempotency-Key makes; send only "
                          "one of the two");
    return false;
}

PL_MUST_USE parley_err pl_shim_key_history(struct parley_read *read, uint64_t conversation,
                                           struct parley_span id, const struct pl_message *said,
                                           enum pl_shim_past *out)
{
    uint32_t position = 0;
    *out = PL_SHIM_PAST_NONE;
    for (unsigned i = 0; i < PARLEY_HISTORY_PER_REGISTER_MAX; i++) {
        struct parley_version v;
        struct pl_message message;
        bool found = false;
        PL_TRY(parley_read_history(read, conversation, PARLEY_KIND_MESSAGE, id, &position, &v,
                                   &found));
        if (!found)
            return PARLEY_OK;
        *out = PL_SHIM_PAST_OTHER;
        if ((v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
            continue;
        if (pl_message_decode(v.body, &message) != PARLEY_OK)
            return PARLEY_ECORRUPT;
        if (pl_span_equal(message.content, said->content) &&
            pl_span_equal(message.role, said->role)) {
            *out = PL_SHIM_PAST_SAME;
            return PARLEY_OK;
        }
    }
    return PARLEY_OK;
}
