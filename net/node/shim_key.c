/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /key and POST /key/rotate, and which keys a token may be signed with: after a rotation the
 * old one still counts for PL_ROTATION_GRACE_US.
 *
 * A rotation answers 202 at once, because making a key takes up to seconds; GET /key says how it
 * goes.
 */
#include "core/hash.h"
#include "core/mp_read.h"
#include "node/shim.h"

/* ---- Tokens ---- */

parley_err pl_shim_verify_peer(struct pl_node *node, const struct pl_peer *peer,
                               struct parley_span jwt, struct pl_token *token, bool *rotated,
                               enum pl_token_refusal *why)
{
    struct parley_span audience = pl_span_text(node->backend_id);
    parley_err err = pl_token_verify_known(&node->signatures, jwt, &peer->key, audience,
                                           node->now.wall, token, why);
    *rotated = false;
    if (err != PARLEY_EAUTH || !peer->has_previous)
        return err;
    parley_err second = pl_token_verify_known(&node->signatures, jwt, &peer->previous, audience,
                                              node->now.wall, token, why);
    if (second == PARLEY_EAUTH || pl_peer_previous_key(peer, node->now.wall) != NULL)
        return second;
    *rotated = true;
    return PARLEY_EAUTH;
}

parley_err pl_shim_verify_own(struct pl_node *node, struct parley_span jwt, struct pl_token *token,
                              bool *rotated, enum pl_token_refusal *why)
{
    const struct pl_key_chain *chain = &node->chain;
    struct parley_span audience = pl_span_text(node->backend_id);
    parley_err err = pl_token_verify_known(&node->signatures, jwt, pl_key_chain_current(chain),
                                           audience, node->now.wall, token, why);
    *rotated = false;
    for (size_t i = chain->count; i > 0 && err == PARLEY_EAUTH; i--) {
        bool honoured = node->now.wall <= chain->links[i - 1].at + PL_ROTATION_GRACE_US;
        /* The last of those that count no more is tried too, for an answer that helps; older ones
         * would only cost time. */
        if (!honoured && i != chain->count)
            break;
        err = pl_token_verify_known(&node->signatures, jwt, pl_key_chain_at(chain, i - 1), audience,
                                    node->now.wall, token, why);
        if (!honoured && err != PARLEY_EAUTH) {
            *rotated = true;
            return PARLEY_EAUTH;
        }
    }
    return err;
}

/* ---- GET /key ---- */

static const char *phase_name(enum pl_rotate_phase phase)
{
    switch (phase) {
    case PL_ROTATE_NONE:
        return "none";
    case PL_ROTATE_MAKING:
        return "making";
    case PL_ROTATE_WAITING:
    case PL_ROTATE_STORING:
        return "storing";
    case PL_ROTATE_DONE:
        return "done";
    case PL_ROTATE_FAILED:
        return "failed";
    }
    return "none";
}

static void write_fingerprint(struct pl_out *out, const struct pl_pubkey *key)
{
    pl_out_name(out, "fingerprint");
    pl_out_hex(out, key->fingerprint, sizeof key->fingerprint);
}

static void write_rotations(const struct pl_node *node, struct pl_out *out)
{
    pl_out_name(out, "rotations");
    pl_out_text(out, "[");
    for (size_t i = 0; i < node->chain.count; i++) {
        parley_wall at = node->chain.links[i].at;
        pl_out_separate(out);
        pl_out_text(out, "{");
        pl_out_field_u64(out, "number", i + 1);
        pl_out_field_time(out, "at", at);
        pl_out_name(out, "from");
        pl_out_hex(out, pl_key_chain_at(&node->chain, i)->fingerprint, PL_FINGERPRINT_BYTES);
        pl_out_field_time(out, "from_honoured_until", at + PL_ROTATION_GRACE_US);
        pl_out_text(out, "}");
    }
    pl_out_text(out, "]");
}

enum pl_shim_step pl_shim_get_key(struct pl_node *node, struct pl_request *request)
{
    struct pl_out *out = &request->out;
    const struct pl_pubkey *key = pl_key_chain_current(&node->chain);
    size_t count = node->chain.count;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "backend_id", node->backend_id);
    write_fingerprint(out, key);
    pl_out_field_u64(out, "bits", 8 * key->modulus_len);
    pl_out_field_time(out, "created_at",
                      count == 0 ? node->created_at : node->chain.links[count - 1].at);
    write_rotations(node, out);
    pl_out_field_u64(out, "rotations_left", PL_ROTATIONS_MAX - count);
    pl_out_field_text(out, "phase", phase_name(node->rotate.phase));
    if (node->rotate.phase == PL_ROTATE_FAILED)
        pl_out_field_text(out, "error", node->rotate.error);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}

/* ---- POST /key/rotate ---- */

static bool take_bits(struct pl_node *node, struct pl_request *request, unsigned *bits)
{
    struct pl_shim_field fields[] = { { .name = "bits", .any = true } };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)))
        return false;
    *bits = 0;
    if (fields[0].value.len == 0)
        return true;
    struct pl_reader r = pl_reader_over(fields[0].value);
    uint64_t value = pl_mp_read_uint(&r);
    if (r.err != PARLEY_OK || (value != PL_RSA_BITS_DEFAULT && value != PL_RSA_BITS_MAX)) {
        pl_shim_problem_field(request, 400, "bad-bits", "bits", "must be 2048 or 3072");
        return false;
    }
    *bits = (unsigned)value;
    return true;
}

enum pl_shim_step pl_shim_rotate_key(struct pl_node *node, struct pl_request *request)
{
    unsigned bits = 0;
    if (!take_bits(node, request, &bits))
        return PL_SHIM_DONE;
    parley_err err = pl_node_rotate(node, bits, node->now);
    if (err == PARLEY_EBUSY) {
        pl_shim_problem(request, 409, "rotation-under-way", "a rotation is under way already");
    } else if (err == PARLEY_EFULL) {
        pl_shim_problem(
            request, 409, "too-many-rotations",
            "this identity was rotated 16 times, and peers that do not know it yet must "
            "be shown all of them; make a new node and join it to the others");
    } else if (err != PARLEY_OK) {
        return pl_shim_store_problem(node, request, err);
    } else {
        pl_shim_reply(request, 202);
        pl_out_text(&request->out, "{");
        pl_out_field_text(&request->out, "status", "rotating");
        pl_out_field_u64(&request->out, "number", node->chain.count + 1);
        pl_out_text(&request->out, "}");
    }
    return PL_SHIM_DONE;
}
