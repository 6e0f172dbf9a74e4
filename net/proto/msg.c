/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of the handshake, one message after the other, each pair adjacent. One
 * field is read per statement: the order of the wire is the order of the lines.
 */
#include "proto/msg.h"

#include "core/hash.h"
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "core/utf8.h"
#include "proto/frame.h"
#include "trust/identity.h"

#define HELLO_FIELDS  7
#define PROOF_FIELDS  4
#define JOIN_FIELDS   1
#define JOINED_FIELDS 3
#define BYE_FIELDS    2
/* Elements a later version may give BYE or HELLO; more is nonsense. */
#define FIELDS_MAX 16

static void read_array_of(struct pl_reader *r, uint32_t count)
{
    if (pl_mp_read_array(r, count) != count)
        pl_reader_fail(r, PARLEY_EMALFORMED);
}

/* Reads a binary string of exactly `len` bytes. */
static void read_fixed(struct pl_reader *r, uint8_t *out, size_t len)
{
    struct parley_span bytes = pl_mp_read_bin(r, len);
    if (bytes.len != len) {
        pl_reader_fail(r, PARLEY_EMALFORMED);
        memset(out, 0, len);
        return;
    }
    memcpy(out, bytes.ptr, len);
}

static void write_bin_or_nil(struct pl_writer *w, struct parley_span bytes)
{
    if (bytes.len == 0)
        pl_mp_write_nil(w);
    else
        pl_mp_write_bin(w, bytes);
}

/* Empty for nil, and only for it: an empty binary is malformed. */
static struct parley_span read_bin_or_nil(struct pl_reader *r, size_t max)
{
    if (pl_mp_peek(r) == PL_MP_NIL) {
        pl_mp_read_nil(r);
        return pl_span_of(NULL, 0);
    }
    struct parley_span bytes = pl_mp_read_bin(r, max);
    if (bytes.len == 0)
        pl_reader_fail(r, PARLEY_EMALFORMED);
    return bytes;
}

/* Ids are printed in logs and compared as text: nothing but visible ASCII. */
static bool is_visible(struct parley_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return false;
    return text.len != 0;
}

/* ---- HELLO [version, backend_id, nonce, incarnation, features, join, hint or nil] ---- */

void pl_msg_hello_encode(const struct pl_msg_hello *hello, struct pl_writer *w)
{
    pl_mp_write_array(w, HELLO_FIELDS);
    pl_mp_write_uint(w, hello->version);
    pl_mp_write_str(w, hello->backend_id);
    pl_mp_write_bin(w, pl_span_of(hello->nonce, PL_NONCE_BYTES));
    pl_mp_write_bin(w, pl_span_of(hello->incarnation.bytes, PARLEY_INCARNATION_BYTES));
    pl_mp_write_uint(w, hello->features);
    pl_mp_write_bool(w, hello->join);
    if (hello->has_hint)
        pl_mp_write_bin(w, pl_span_of(hello->hint, PL_KEY_HINT_BYTES));
    else
        pl_mp_write_nil(w);
}

parley_err pl_msg_hello_decode(struct parley_span body, struct pl_msg_hello *out)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t fields = pl_mp_read_array(&r, FIELDS_MAX);
    uint64_t version = pl_mp_read_uint(&r);
    if (r.err != PARLEY_OK)
        return r.err;
    if (version != PL_WIRE_VERSION)
        return PARLEY_EVERSION;
    struct pl_msg_hello hello = { .version = PL_WIRE_VERSION };
    hello.backend_id = pl_mp_read_str(&r, PARLEY_BACKEND_ID_BYTES_MAX);
    read_fixed(&r, hello.nonce, PL_NONCE_BYTES);
    read_fixed(&r, hello.incarnation.bytes, PARLEY_INCARNATION_BYTES);
    hello.features = pl_mp_read_uint(&r);
    hello.join = pl_mp_read_bool(&r);
    hello.has_hint = pl_mp_peek(&r) != PL_MP_NIL;
    if (hello.has_hint)
        read_fixed(&r, hello.hint, PL_KEY_HINT_BYTES);
    else
        pl_mp_read_nil(&r);
    PL_TRY(pl_reader_end(&r));
    if (fields != HELLO_FIELDS || !is_visible(hello.backend_id))
        return PARLEY_EMALFORMED;
    *out = hello;
    return PARLEY_OK;
}

/* ---- PROOF [signature, key or nil, rotations, reveal or nil] ---- */

void pl_msg_proof_encode(const struct pl_msg_proof *proof, struct pl_writer *w)
{
    pl_mp_write_array(w, PROOF_FIELDS);
    pl_mp_write_bin(w, proof->signature);
    write_bin_or_nil(w, proof->key);
    pl_mp_write_array(w, (uint32_t)proof->rotation_count);
    for (size_t i = 0; i < proof->rotation_count; i++)
        pl_mp_write_bin(w, proof->rotations[i]);
    write_bin_or_nil(w, proof->reveal);
}

parley_err pl_msg_proof_decode(struct parley_span body, struct pl_msg_proof *out)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_msg_proof proof = { .key = { NULL, 0 } };
    read_array_of(&r, PROOF_FIELDS);
    proof.signature = pl_mp_read_bin(&r, PL_SIGNATURE_BYTES_MAX);
    proof.key = read_bin_or_nil(&r, PL_PUBKEY_DER_BYTES_MAX);
    proof.rotation_count = pl_mp_read_array(&r, PL_ROTATIONS_MAX);
    for (size_t i = 0; i < proof.rotation_count; i++)
        proof.rotations[i] = pl_mp_read_bin(&r, PL_ROTATION_BYTES_MAX);
    proof.reveal = read_bin_or_nil(&r, PL_REVEAL_BYTES);
    PL_TRY(pl_reader_end(&r));
    if (proof.signature.len == 0 || (proof.reveal.len != 0 && proof.reveal.len != PL_REVEAL_BYTES))
        return PARLEY_EMALFORMED;
    *out = proof;
    return PARLEY_OK;
}

/* ---- JOIN [secret] ---- */

void pl_msg_join_encode(const struct pl_msg_join *join, struct pl_writer *w)
{
    pl_mp_write_array(w, JOIN_FIELDS);
    pl_mp_write_bin(w, pl_span_of(join->secret, PL_INVITE_SECRET_BYTES));
}

parley_err pl_msg_join_decode(struct parley_span body, struct pl_msg_join *out)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_msg_join join;
    read_array_of(&r, JOIN_FIELDS);
    read_fixed(&r, join.secret, PL_INVITE_SECRET_BYTES);
    PL_TRY(pl_reader_end(&r));
    *out = join;
    pl_wipe(&join, sizeof join);
    return PARLEY_OK;
}

/* ---- JOINED [namespace, may_write, reveal] ---- */

void pl_msg_joined_encode(const struct pl_msg_joined *joined, struct pl_writer *w)
{
    pl_mp_write_array(w, JOINED_FIELDS);
    pl_mp_write_str(w, joined->name_space);
    pl_mp_write_bool(w, joined->may_write);
    pl_mp_write_bin(w, pl_span_of(joined->reveal, PL_REVEAL_BYTES));
}

parley_err pl_msg_joined_decode(struct parley_span body, struct pl_msg_joined *out)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_msg_joined joined;
    read_array_of(&r, JOINED_FIELDS);
    joined.name_space = pl_mp_read_str(&r, PARLEY_NAMESPACE_BYTES_MAX);
    joined.may_write = pl_mp_read_bool(&r);
    read_fixed(&r, joined.reveal, PL_REVEAL_BYTES);
    PL_TRY(pl_reader_end(&r));
    if (joined.name_space.len == 0 || !pl_utf8_is_valid(joined.name_space))
        return PARLEY_EMALFORMED;
    *out = joined;
    return PARLEY_OK;
}

/* ---- JOIN_DONE [] ---- */

void pl_msg_join_done_encode(struct pl_writer *w)
{
    pl_mp_write_array(w, 0);
}

parley_err pl_msg_join_done_decode(struct parley_span body)
{
    struct pl_reader r = pl_reader_over(body);
    read_array_of(&r, 0);
    return pl_reader_end(&r);
}

/* ---- BYE [code, text]; later versions may append ---- */

void pl_msg_bye_encode(const struct pl_msg_bye *bye, struct pl_writer *w)
{
    pl_mp_write_array(w, BYE_FIELDS);
    pl_mp_write_uint(w, bye->code);
    pl_mp_write_str(w, bye->text);
}

parley_err pl_msg_bye_decode(struct parley_span body, struct pl_msg_bye *out)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_msg_bye bye;
    uint32_t fields = pl_mp_read_array(&r, FIELDS_MAX);
    if (fields < BYE_FIELDS)
        pl_reader_fail(&r, PARLEY_EMALFORMED);
    uint64_t code = pl_mp_read_uint(&r);
    bye.text = pl_mp_read_str(&r, pl_frame_body_max(PL_MSG_BYE));
    for (uint32_t i = BYE_FIELDS; i < fields; i++) {
        struct parley_span later = pl_mp_read_any(&r);
        if (later.len == 0)
            break;
    }
    PL_TRY(pl_reader_end(&r));
    if (code > UINT32_MAX)
        return PARLEY_ETOOBIG;
    bye.code = (uint32_t)code;
    *out = bye;
    return PARLEY_OK;
}
