/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/identity_store.h"

#include "core/hash.h"
#include "core/mp_read.h"
#include "core/mp_write.h"
#include "lib/secret.h"
#include "trust/pem.h"

#include <stdio.h>

#define KEYS_MAX 32

/* The record in a form of its own, since what a read lends dies with the read. */
struct record {
    struct tool_identity_info info;
    uint8_t sealed[PL_IDENTITY_SEALED_BYTES_MAX];
    size_t sealed_len;
};

/* ---- The record ---- */

static void decode_field(struct pl_reader *r, struct pl_span key, struct record *out)
{
    if (pl_span_is(key, "type")) {
        struct pl_span type = pl_mp_read_str(r, 16);
        if (r->err == PARLEY_OK && pl_backend_type_parse(type, &out->info.type) != PARLEY_OK)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    } else if (pl_span_is(key, "backend_id")) {
        struct pl_span id = pl_mp_read_str(r, PARLEY_BACKEND_ID_BYTES_MAX);
        if (id.len != 0)
            memcpy(out->info.backend_id, id.ptr, id.len);
        out->info.backend_id[id.len] = '\0';
    } else if (pl_span_is(key, "created_at")) {
        out->info.created_at = pl_mp_read_int(r);
    } else if (pl_span_is(key, "public")) {
        struct pl_span pem = pl_mp_read_str(r, PARLEY_PUBLIC_KEY_PEM_BYTES_MAX);
        if (r->err == PARLEY_OK && pl_pubkey_from_pem(pem, &out->info.pubkey) != PARLEY_OK)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    } else if (pl_span_is(key, "seal")) {
        out->info.needs_passphrase = pl_span_is(pl_mp_read_str(r, 16), "passphrase");
    } else if (pl_span_is(key, "sealed")) {
        struct pl_span sealed = pl_mp_read_bin(r, sizeof out->sealed);
        if (sealed.len != 0)
            memcpy(out->sealed, sealed.ptr, sealed.len);
        out->sealed_len = sealed.len;
    } else {
        pl_mp_read_any(r);
    }
}

static parley_err record_decode(struct pl_span bytes, struct record *out)
{
    struct pl_reader r = pl_reader_over(bytes);
    struct record record = { 0 };
    uint32_t count = pl_mp_read_map(&r, KEYS_MAX);
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct pl_span key = pl_mp_read_str(&r, 64);
        decode_field(&r, key, &record);
    }
    if (pl_reader_end(&r) != PARLEY_OK || record.info.backend_id[0] == '\0' ||
        record.info.pubkey.modulus_len == 0 || record.sealed_len == 0)
        return PARLEY_ECORRUPT;
    *out = record;
    return PARLEY_OK;
}

static parley_err record_encode(const struct record *record, struct pl_writer *w)
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

static parley_err record_read(struct parley_db *db, struct record *out, bool *found,
                              struct parley_diag *diag)
{
    struct parley_read *read;
    struct pl_span value;
    parley_err err = parley_read_begin(db, &read);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the store cannot be read: %s", parley_err_text(err));
    err = parley_read_sys(read, pl_span_text(TOOL_IDENTITY_KEY), &value, found);
    if (err == PARLEY_OK && *found)
        err = record_decode(value, out);
    parley_read_end(read);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the stored identity cannot be read: %s; run `parley check`",
                         parley_err_text(err));
    return PARLEY_OK;
}

static parley_err record_write(struct parley_db *db, const struct record *record, parley_wall now,
                               struct parley_diag *diag)
{
    uint8_t bytes[TOOL_IDENTITY_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    parley_err err = record_encode(record, &w);
    struct parley_write write = { .kind = PARLEY_WRITE_SYS_PUT,
                                  .u.sys = { .key = pl_span_text(TOOL_IDENTITY_KEY),
                                             .value = pl_writer_span(&w) } };
    bool changed;
    if (err == PARLEY_OK)
        err = parley_db_apply(db, &write, 1, now, &changed);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the new identity cannot be stored: %s", parley_err_text(err));
    return PARLEY_OK;
}

parley_err tool_identity_peek(struct parley_db *db, struct tool_identity_info *out, bool *found,
                              struct parley_diag *diag)
{
    struct record record;
    PL_TRY(record_read(db, &record, found, diag));
    if (*found)
        *out = record.info;
    return PARLEY_OK;
}

/* ---- The key of the environment ---- */

/* `*out` is NULL when BACKEND_PRIVATE_KEY is not set. */
static parley_err take_environment_key(const struct parley_env *env, struct pl_identity **out,
                                       struct parley_diag *diag)
{
    char pem[PL_PEM_TEXT_BYTES_MAX + 1];
    bool found;
    struct parley_diag why = { "" };
    parley_err err = tool_secret_take_env("BACKEND_PRIVATE_KEY", pem, sizeof pem, &found);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "BACKEND_PRIVATE_KEY: %s", parley_err_text(err));
    if (!found) {
        *out = NULL;
        return PARLEY_OK;
    }
    err = pl_identity_import(env, pl_span_text(pem), out, &why);
    pl_wipe(pem, sizeof pem);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "BACKEND_PRIVATE_KEY: %.200s",
                         why.text[0] != '\0' ? why.text : parley_err_text(err));
    return PARLEY_OK;
}

/* ---- Loading ---- */

static parley_err check_type(const struct tool_identity_options *options,
                             const struct tool_identity_info *info, struct parley_diag *diag)
{
    if (options->type == NULL || *options->type == info->type)
        return PARLEY_OK;
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "the data directory belongs to %s; its type cannot become \"%s\": leave "
                     "--type away, or use an empty --data directory",
                     info->backend_id, pl_backend_type_name(*options->type));
}

static parley_err check_same_key(const struct pl_identity *key,
                                 const struct tool_identity_info *info, struct parley_diag *diag)
{
    const struct pl_pubkey *pubkey = pl_identity_pubkey(key);
    if (memcmp(pubkey->fingerprint, info->pubkey.fingerprint, sizeof pubkey->fingerprint) == 0)
        return PARLEY_OK;
    char other[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(info->type, pubkey, other);
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "BACKEND_PRIVATE_KEY is the key of %s, but the data directory belongs to %s; "
                     "unset it, or use an empty --data directory",
                     other, info->backend_id);
}

static parley_err unseal(const struct parley_env *env, const struct record *record,
                         const struct tool_identity_options *options, struct pl_identity **out,
                         struct parley_diag *diag)
{
    struct tool_secret secret;
    PL_TRY(tool_secret_load(env, options->data_dir, options->seal_key_file, false, &secret, diag));
    struct pl_seal_secret view = tool_secret_view(&secret);
    bool is_phrase = secret.kind == PL_SEAL_PASSPHRASE;
    parley_err err = PARLEY_ESEALED;
    if (is_phrase == record->info.needs_passphrase)
        err = pl_identity_unseal(env, &view, pl_span_of(record->sealed, record->sealed_len), out);
    tool_secret_wipe(&secret);
    if (err != PARLEY_ESEALED)
        return err == PARLEY_OK ? err
                                : tool_fail(diag, err, "the identity key cannot be unsealed: %s",
                                            parley_err_text(err));
    if (record->info.needs_passphrase)
        return tool_fail(diag, err,
                         is_phrase ? "PARLEY_PASSPHRASE is not the pass phrase of %s"
                                   : "the key of %s is sealed with a pass phrase; set "
                                     "PARLEY_PASSPHRASE",
                         record->info.backend_id);
    return tool_fail(diag, err,
                     is_phrase
                         ? "the key of %s is sealed with a key file, not a pass phrase; unset "
                           "PARLEY_PASSPHRASE"
                         : "the key of %s was sealed with another key than %.110s",
                     record->info.backend_id, secret.source);
}

static parley_err load_stored(const struct parley_env *env, const struct record *record,
                              const struct tool_identity_options *options,
                              struct pl_identity *environment_key, struct tool_identity *out,
                              struct parley_diag *diag)
{
    PL_TRY(check_type(options, &record->info, diag));
    struct pl_identity *key = environment_key;
    if (key != NULL)
        PL_TRY(check_same_key(key, &record->info, diag));
    else
        PL_TRY(unseal(env, record, options, &key, diag));
    *out = (struct tool_identity){ .key = key,
                                   .type = record->info.type,
                                   .created_at = record->info.created_at,
                                   .is_imported = environment_key != NULL };
    memcpy(out->backend_id, record->info.backend_id, sizeof out->backend_id);
    return PARLEY_OK;
}

static parley_err seal(const struct parley_env *env, const struct pl_identity *key,
                       const struct tool_identity_options *options, struct record *record,
                       struct parley_diag *diag)
{
    struct tool_secret secret;
    PL_TRY(tool_secret_load(env, options->data_dir, options->seal_key_file, true, &secret, diag));
    struct pl_seal_secret view = tool_secret_view(&secret);
    record->info.needs_passphrase = secret.kind == PL_SEAL_PASSPHRASE;
    parley_err err = pl_identity_seal(key, env, &view, record->sealed, sizeof record->sealed,
                                      &record->sealed_len);
    tool_secret_wipe(&secret);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the new identity cannot be sealed: %s", parley_err_text(err));
    return PARLEY_OK;
}

/* Stores `key` as the identity of a fresh data directory. */
static parley_err store_new(const struct parley_env *env, struct parley_db *db,
                            const struct tool_identity_options *options, parley_wall now,
                            struct pl_identity *key, struct tool_identity *out,
                            struct parley_diag *diag)
{
    struct record record = { 0 };
    record.info.type = options->type == NULL ? PL_BACKEND_LOCAL : *options->type;
    record.info.created_at = now;
    record.info.pubkey = *pl_identity_pubkey(key);
    pl_backend_id_make(record.info.type, &record.info.pubkey, record.info.backend_id);
    PL_TRY(seal(env, key, options, &record, diag));
    PL_TRY(record_write(db, &record, now, diag));
    *out = (struct tool_identity){
        .key = key, .type = record.info.type, .created_at = now, .is_new = true
    };
    memcpy(out->backend_id, record.info.backend_id, sizeof out->backend_id);
    return PARLEY_OK;
}

static parley_err create_key(const struct parley_env *env, struct pl_identity **out,
                             struct parley_diag *diag)
{
    parley_err err = pl_identity_create(env, PL_RSA_BITS_DEFAULT, out);
    return err == PARLEY_OK ? err
                            : tool_fail(diag, err, "no key can be made: %s", parley_err_text(err));
}

/* Where the secret was not needed it still must not stay in the environment. */
static void drop_passphrase(void)
{
    char phrase[PL_SEAL_SECRET_BYTES_MAX + 1];
    bool found;
    pl_ignore(tool_secret_take_env("PARLEY_PASSPHRASE", phrase, sizeof phrase, &found),
              "a longer one was never a pass phrase of ours");
    pl_wipe(phrase, sizeof phrase);
}

parley_err tool_identity_load(const struct parley_env *env, struct parley_db *db,
                              const struct tool_identity_options *options, parley_wall now,
                              struct tool_identity *out, struct parley_diag *diag)
{
    struct record record;
    struct tool_identity identity;
    struct pl_identity *key = NULL;
    bool found;
    PL_TRY(record_read(db, &record, &found, diag));
    if (!found && options->must_exist)
        return tool_fail(diag, PARLEY_ENOENT,
                         "the data directory has no identity yet; start "
                         "parleyd on it once");
    PL_TRY(take_environment_key(env, &key, diag));
    bool imported = key != NULL;
    parley_err err = PARLEY_OK;
    if (found) {
        err = load_stored(env, &record, options, key, &identity, diag);
    } else {
        if (key == NULL)
            err = create_key(env, &key, diag);
        if (err == PARLEY_OK)
            err = store_new(env, db, options, now, key, &identity, diag);
    }
    if (err != PARLEY_OK) {
        pl_identity_destroy(key);
        return err;
    }
    identity.is_imported = imported;
    drop_passphrase();
    *out = identity;
    return PARLEY_OK;
}
