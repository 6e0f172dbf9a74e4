/* SPDX-License-Identifier: Apache-2.0
 *
 * The statement, all integers big-endian:
 *
 *   u8 version 1, u32 number, u64 wall time,
 *   then each behind a u16 length: the new key as DER SubjectPublicKeyInfo, the signature of the
 *   old key, the signature of the new key
 */
#include "trust/rotation.h"

#include "base/reader.h"
#include "core/hash.h"
#include "core/mp_read.h"
#include "core/mp_write.h"

#define STATEMENT_VERSION 1

struct statement {
    uint32_t number;
    parley_wall at;
    struct parley_span key;
    struct parley_span signatures[2]; /* of the old key, of the new key */
};

static void write_sized(struct pl_writer *w, struct parley_span bytes)
{
    pl_write_u16(w, (uint16_t)bytes.len);
    pl_write_span(w, bytes);
}

static struct parley_span read_sized(struct pl_reader *r, size_t max)
{
    size_t len = pl_read_u16(r);
    if (len > max)
        pl_reader_fail(r, PARLEY_ETOOBIG);
    return pl_read_bytes(r, len);
}

/* What both keys sign. */
static void hash_change(struct parley_span backend_id, struct parley_span from,
                        const struct statement *s, uint8_t out[PL_SHA256_BYTES])
{
    static const char label[] = "parley rotate 1";
    uint8_t bytes[sizeof label + 2 + PARLEY_BACKEND_ID_BYTES_MAX +
                  2 * (2 + PL_PUBKEY_DER_BYTES_MAX) + 12];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_write_text(&w, label);
    write_sized(&w, backend_id);
    write_sized(&w, from);
    write_sized(&w, s->key);
    pl_write_u64(&w, (uint64_t)s->at);
    pl_write_u32(&w, s->number);
    PL_ASSERT(w.err == PARLEY_OK);
    pl_sha256_of(pl_writer_span(&w), out);
}

static bool keys_equal(const struct pl_pubkey *a, const struct pl_pubkey *b)
{
    return memcmp(a->fingerprint, b->fingerprint, PL_FINGERPRINT_BYTES) == 0;
}

parley_err pl_rotation_make(const struct pl_identity *from, const struct pl_identity *to,
                            struct parley_span backend_id, parley_wall at, uint32_t number,
                            uint8_t out[PL_ROTATION_BYTES_MAX], size_t *len)
{
    uint8_t old_der[PL_PUBKEY_DER_BYTES_MAX];
    uint8_t new_der[PL_PUBKEY_DER_BYTES_MAX];
    uint8_t signatures[2][PL_SIGNATURE_BYTES_MAX];
    uint8_t hash[PL_SHA256_BYTES];
    size_t old_len = 0;
    size_t new_len = 0;
    size_t sizes[2] = { 0, 0 };
    bool same = keys_equal(pl_identity_pubkey(from), pl_identity_pubkey(to));
    if (same || number == 0 || at <= 0 || backend_id.len == 0 ||
        backend_id.len > PARLEY_BACKEND_ID_BYTES_MAX)
        return PARLEY_EINVAL;
    PL_TRY(pl_pubkey_to_der(pl_identity_pubkey(from), old_der, &old_len));
    PL_TRY(pl_pubkey_to_der(pl_identity_pubkey(to), new_der, &new_len));
    struct statement s = { .number = number, .at = at, .key = pl_span_of(new_der, new_len) };
    hash_change(backend_id, pl_span_of(old_der, old_len), &s, hash);
    PL_TRY(pl_identity_sign(from, hash, signatures[0], &sizes[0]));
    PL_TRY(pl_identity_sign(to, hash, signatures[1], &sizes[1]));
    struct pl_writer w = pl_writer_over(out, PL_ROTATION_BYTES_MAX);
    pl_write_u8(&w, STATEMENT_VERSION);
    pl_write_u32(&w, number);
    pl_write_u64(&w, (uint64_t)at);
    write_sized(&w, s.key);
    for (size_t i = 0; i < 2; i++)
        write_sized(&w, pl_span_of(signatures[i], sizes[i]));
    PL_TRY(w.err);
    *len = w.len;
    return PARLEY_OK;
}

static parley_err read_statement(struct parley_span bytes, struct statement *out)
{
    struct statement s = { 0 };
    if (bytes.len > PL_ROTATION_BYTES_MAX)
        return PARLEY_ETOOBIG;
    struct pl_reader r = pl_reader_over(bytes);
    uint8_t version = pl_read_u8(&r);
    s.number = pl_read_u32(&r);
    uint64_t at = pl_read_u64(&r);
    s.key = read_sized(&r, PL_PUBKEY_DER_BYTES_MAX);
    for (size_t i = 0; i < 2; i++)
        s.signatures[i] = read_sized(&r, PL_SIGNATURE_BYTES_MAX);
    PL_TRY(pl_reader_end(&r));
    if (version != STATEMENT_VERSION || at == 0 || at > INT64_MAX)
        return PARLEY_EMALFORMED;
    s.at = (parley_wall)at;
    *out = s;
    return PARLEY_OK;
}

parley_err pl_rotation_check(struct parley_span statement, struct parley_span backend_id,
                             const struct pl_pubkey *from, uint32_t number, struct pl_pubkey *to,
                             parley_wall *at)
{
    struct statement s;
    struct pl_pubkey key;
    uint8_t old_der[PL_PUBKEY_DER_BYTES_MAX];
    uint8_t hash[PL_SHA256_BYTES];
    size_t old_len = 0;
    if (backend_id.len > PARLEY_BACKEND_ID_BYTES_MAX)
        return PARLEY_ETOOBIG;
    PL_TRY(read_statement(statement, &s));
    if (s.number != number)
        return PARLEY_EAUTH;
    PL_TRY(pl_pubkey_from_der(s.key, &key));
    PL_TRY(pl_pubkey_to_der(from, old_der, &old_len));
    if (keys_equal(from, &key))
        return PARLEY_EAUTH;
    hash_change(backend_id, pl_span_of(old_der, old_len), &s, hash);
    PL_TRY(pl_pubkey_verify(from, hash, s.signatures[0]));
    PL_TRY(pl_pubkey_verify(&key, hash, s.signatures[1]));
    *to = key;
    *at = s.at;
    return PARLEY_OK;
}

/* ---- The chain ---- */

void pl_key_chain_init(struct pl_key_chain *chain, const struct pl_pubkey *first)
{
    chain->first = *first;
    chain->count = 0;
}

const struct pl_pubkey *pl_key_chain_at(const struct pl_key_chain *chain, size_t index)
{
    PL_ASSERT(index <= chain->count);
    return index == 0 ? &chain->first : &chain->links[index - 1].key;
}

const struct pl_pubkey *pl_key_chain_current(const struct pl_key_chain *chain)
{
    return pl_key_chain_at(chain, chain->count);
}

bool pl_key_chain_find(const struct pl_key_chain *chain, const uint8_t hint[PL_KEY_HINT_BYTES],
                       size_t *index)
{
    for (size_t i = 0; i <= chain->count; i++) {
        if (memcmp(pl_key_chain_at(chain, i)->fingerprint, hint, PL_KEY_HINT_BYTES) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

parley_err pl_key_chain_append(struct pl_key_chain *chain, struct parley_span backend_id,
                               struct parley_span statement)
{
    struct pl_pubkey key;
    parley_wall at = 0;
    size_t index = 0;
    if (chain->count == PL_ROTATIONS_MAX)
        return PARLEY_EFULL;
    PL_TRY(pl_rotation_check(statement, backend_id, pl_key_chain_current(chain),
                             (uint32_t)chain->count + 1, &key, &at));
    if (pl_key_chain_find(chain, key.fingerprint, &index))
        return PARLEY_EAUTH;
    struct pl_key_link *link = &chain->links[chain->count++];
    link->key = key;
    link->at = at;
    memcpy(link->statement, statement.ptr, statement.len);
    link->len = statement.len;
    return PARLEY_OK;
}

void pl_key_chain_encode(const struct pl_key_chain *chain, struct pl_writer *w)
{
    uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
    size_t len = 0;
    parley_err err = pl_pubkey_to_der(&chain->first, der, &len);
    PL_ASSERT(err == PARLEY_OK);
    pl_mp_write_array(w, (uint32_t)chain->count + 1);
    pl_mp_write_bin(w, pl_span_of(der, len));
    for (size_t i = 0; i < chain->count; i++)
        pl_mp_write_bin(w, pl_span_of(chain->links[i].statement, chain->links[i].len));
}

parley_err pl_key_chain_first(struct parley_span record, struct pl_pubkey *out)
{
    struct pl_reader r = pl_reader_over(record);
    pl_mp_read_array(&r, PL_ROTATIONS_MAX + 1);
    struct parley_span der = pl_mp_read_bin(&r, PL_PUBKEY_DER_BYTES_MAX);
    bool good = r.err == PARLEY_OK && pl_pubkey_from_der(der, out) == PARLEY_OK;
    return good ? PARLEY_OK : PARLEY_ECORRUPT;
}

parley_err pl_key_chain_decode(struct parley_span record, struct parley_span backend_id,
                               struct pl_key_chain *out)
{
    struct pl_reader r = pl_reader_over(record);
    struct pl_pubkey first;
    uint32_t count = pl_mp_read_array(&r, PL_ROTATIONS_MAX + 1);
    struct parley_span der = pl_mp_read_bin(&r, PL_PUBKEY_DER_BYTES_MAX);
    if (r.err != PARLEY_OK || pl_pubkey_from_der(der, &first) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    pl_key_chain_init(out, &first);
    for (uint32_t i = 1; i < count; i++) {
        struct parley_span statement = pl_mp_read_bin(&r, PL_ROTATION_BYTES_MAX);
        if (r.err != PARLEY_OK || pl_key_chain_append(out, backend_id, statement) != PARLEY_OK)
            return PARLEY_ECORRUPT;
    }
    return pl_reader_end(&r) == PARLEY_OK ? PARLEY_OK : PARLEY_ECORRUPT;
}
