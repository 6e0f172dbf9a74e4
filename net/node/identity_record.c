/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity of a store; its form is in identity_record.h.
 */
#include "node/identity_record.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define KEYS_MAX 32

static void decode_field(struct pl_reader *r, struct parley_span key,
                         struct pl_identity_record *out)
{
    if (pl_span_is(key, "type")) {
        struct parley_span type = pl_mp_read_str(r, 16);
        if (r->err == PARLEY_OK && pl_backend_type_parse(type, &out->info.type) != PARLEY_OK)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    } else if (pl_span_is(key, "backend_id")) {
        struct parley_span id = pl_mp_read_str(r, PARLEY_BACKEND_ID_BYTES_MAX);
        if (id.len != 0)
            memcpy(out->info.backend_id, id.ptr, id.len);
        out->info.backend_id[id.len] = '\0';
    } else if (pl_span_is(key, "created_at")) {
        out->info.created_at = pl_mp_read_int(r);
    } else if (pl_span_is(key, "public")) {
        struct parley_span pem = pl_mp_read_str(r, PARLEY_PUBLIC_KEY_PEM_BYTES_MAX);
        if (r->err == PARLEY_OK && pl_pubkey_from_pem(pem, &out->info.pubkey) != PARLEY_OK)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    } else if (pl_span_is(key, "seal")) {
        out->info.needs_passphrase = pl_span_is(pl_mp_read_str(r, 16), "passphrase");
    } else if (pl_span_is(key, "sealed")) {
        struct parley_span sealed = pl_mp_read_bin(r, sizeof out->sealed);
        if (sealed.len != 0)
            memcpy(out->sealed, sealed.ptr, sealed.len);
        out->sealed_len = sealed.len;
    } else {
        pl_mp_read_any(r);
    }
}

parley_err pl_identity_record_decode(struct parley_span bytes, struct pl_identity_record *out)
{
    struct pl_reader r = pl_reader_over(bytes);
    struct pl_identity_record record = { 0 };
    uint32_t count = pl_mp_read_map(&r, KEYS_MAX);
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span key = pl_mp_read_str(&r, 64);
        decode_field(&r, key, &record);
    }
    if (pl_reader_end(&r) != PARLEY_OK || record.info.backend_id[0] == '\0' ||
        record.info.pubkey.modulus_len == 0 || record.sealed_len == 0)
        return PARLEY_ECORRUPT;
    *out = record;
    return PARLEY_OK;
}

parley_err pl_identity_record_encode(const struct pl_identity_record *record, struct pl_writer *w)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    PL_TRY(pl_pubkey_to_pem(&record->info.pubkey, pem));
    pl_mp_write_map(w, 6);
    pl_mp_write_text(w, "type");
    pl_mp_write_text(w, pl_backend_type_name(record->info.type));
    pl_mp_write_text(w, "backend_id");
    pl_mp_write_text(w, record->info.backend_id);
    pl_mp_write_text(w, "created_at");
    pl_mp_write_int(w, record->info.created_at);
    pl_mp_write_text(w, "public");
    pl_mp_write_text(w, pem);
    pl_mp_write_text(w, "seal");
    pl_mp_write_text(w, record->info.needs_passphrase ? "passphrase" : "raw");
    pl_mp_write_text(w, "sealed");
    pl_mp_write_bin(w, pl_span_of(record->sealed, record->sealed_len));
    return w->err;
}

parley_err pl_identity_record_check(const struct pl_identity_record *record)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    const struct pl_pubkey *current = pl_key_chain_current(&record->chain);
    pl_backend_id_make(record->info.type, &record->chain.first, id);
    bool ends = memcmp(current->fingerprint, record->info.pubkey.fingerprint,
                       sizeof current->fingerprint) == 0;
    return ends && strcmp(id, record->info.backend_id) == 0 ? PARLEY_OK : PARLEY_ECORRUPT;
}

static parley_err read_both(struct parley_read *read, struct pl_identity_record *out, bool *found)
{
    struct parley_span value;
    bool rotated = false;
    PL_TRY(parley_read_sys(read, pl_span_text(PL_IDENTITY_RECORD_KEY), &value, found));
    if (!*found)
        return PARLEY_OK;
    PL_TRY(pl_identity_record_decode(value, out));
    PL_TRY(parley_read_sys(read, pl_span_text(PL_CHAIN_RECORD_KEY), &value, &rotated));
    if (rotated)
        PL_TRY(pl_key_chain_decode(value, pl_span_text(out->info.backend_id), &out->chain));
    else
        pl_key_chain_init(&out->chain, &out->info.pubkey);
    return pl_identity_record_check(out);
}

parley_err pl_identity_record_read(struct parley_db *db, struct pl_identity_record *out,
                                   bool *found)
{
    struct parley_read *read;
    PL_TRY(parley_read_begin(db, &read));
    parley_err err = read_both(read, out, found);
    parley_read_end(read);
    return err;
}

parley_err pl_identity_record_write(struct parley_db *db, const struct pl_identity_record *record,
                                    parley_wall now)
{
    uint8_t bytes[PL_IDENTITY_RECORD_BYTES_MAX];
    uint8_t chain[PL_CHAIN_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    struct pl_writer c = pl_writer_over(chain, sizeof chain);
    PL_TRY(pl_identity_record_encode(record, &w));
    pl_key_chain_encode(&record->chain, &c);
    PL_TRY(c.err);
    struct parley_write writes[] = {
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text(PL_IDENTITY_RECORD_KEY), .value = pl_writer_span(&w) } },
        { .kind = PARLEY_WRITE_SYS_PUT,
          .u.sys = { .key = pl_span_text(PL_CHAIN_RECORD_KEY), .value = pl_writer_span(&c) } },
    };
    bool changed;
    return parley_db_apply(db, writes, record->chain.count == 0 ? 1 : 2, now, &changed);
}
