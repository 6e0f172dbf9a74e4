/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/identity_int.h"

#include "core/hash.h"
#include "core/iso8601.h"
#include "trust/pem.h"

#include <stdio.h>

parley_err tool_identity_read(struct parley_db *db, struct pl_identity_record *out, bool *found,
                              struct parley_diag *diag)
{
    parley_err err = pl_identity_record_read(db, out, found);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the stored identity cannot be read: %s; run `parley check`",
                         parley_err_text(err));
    return PARLEY_OK;
}

parley_err tool_identity_write(struct parley_db *db, const struct pl_identity_record *record,
                               parley_wall now, struct parley_diag *diag)
{
    parley_err err = pl_identity_record_write(db, record, now);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the identity cannot be stored: %s", parley_err_text(err));
    return PARLEY_OK;
}

parley_err tool_identity_peek(struct parley_db *db, struct pl_identity_info *out, bool *found,
                              struct parley_diag *diag)
{
    struct pl_identity_record record;
    PL_TRY(tool_identity_read(db, &record, found, diag));
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
                             const struct pl_identity_info *info, struct parley_diag *diag)
{
    if (options->type == NULL || *options->type == info->type)
        return PARLEY_OK;
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "the data directory belongs to %s; its type cannot become \"%s\": leave "
                     "--type away, or use an empty --data directory",
                     info->backend_id, pl_backend_type_name(*options->type));
}

static parley_err refuse_rotated_key(const struct pl_identity_record *record, size_t index,
                                     struct parley_diag *diag)
{
    char at[PL_ISO8601_BYTES + 1] = "";
    pl_iso8601_format((uint64_t)record->chain.links[index].at, at);
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "BACKEND_PRIVATE_KEY is an earlier key of %s that was rotated away on %.10s; "
                     "unset it",
                     record->info.backend_id, at);
}

static parley_err check_same_key(const struct pl_identity *key,
                                 const struct pl_identity_record *record, struct parley_diag *diag)
{
    const struct pl_pubkey *pubkey = pl_identity_pubkey(key);
    size_t index = 0;
    if (memcmp(pubkey->fingerprint, record->info.pubkey.fingerprint, sizeof pubkey->fingerprint) ==
        0)
        return PARLEY_OK;
    if (pl_key_chain_find(&record->chain, pubkey->fingerprint, &index) &&
        index < record->chain.count)
        return refuse_rotated_key(record, index, diag);
    char other[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(record->info.type, pubkey, other);
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "BACKEND_PRIVATE_KEY is the key of %s, but the data directory belongs to %s; "
                     "unset it, or use an empty --data directory",
                     other, record->info.backend_id);
}

static parley_err refuse_secret(const struct pl_identity_record *record,
                                const struct tool_secret *secret, struct parley_diag *diag)
{
    bool is_phrase = secret->kind == PL_SEAL_PASSPHRASE;
    const char *id = record->info.backend_id;
    if (record->info.needs_passphrase && is_phrase)
        return tool_fail(diag, PARLEY_ESEALED, "%.110s is not the pass phrase of %s",
                         secret->source, id);
    if (record->info.needs_passphrase)
        return tool_fail(diag, PARLEY_ESEALED,
                         "the key of %s is sealed with a pass phrase; set PARLEY_PASSPHRASE, or "
                         "give --passphrase-file",
                         id);
    if (is_phrase)
        return tool_fail(diag, PARLEY_ESEALED,
                         "the key of %s is sealed with a key file, not a pass phrase; leave "
                         "%.100s away",
                         id, secret->source);
    return tool_fail(diag, PARLEY_ESEALED, "the key of %s was sealed with another key than %.110s",
                     id, secret->source);
}

parley_err tool_identity_unseal(const struct parley_env *env,
                                const struct pl_identity_record *record,
                                const struct tool_secret *secret, struct pl_seal_key *seal,
                                struct pl_identity **out, struct parley_diag *diag)
{
    struct parley_span sealed = pl_span_of(record->sealed, record->sealed_len);
    struct pl_seal_secret view = tool_secret_view(secret);
    parley_err err = PARLEY_ESEALED;
    if ((secret->kind == PL_SEAL_PASSPHRASE) == record->info.needs_passphrase)
        err = pl_seal_key_of(&view, sealed, seal);
    if (err == PARLEY_OK)
        err = pl_identity_unseal_with(env, seal, sealed, out);
    if (err == PARLEY_ESEALED)
        return refuse_secret(record, secret, diag);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the identity key cannot be unsealed: %s",
                         parley_err_text(err));
    const struct pl_pubkey *key = pl_identity_pubkey(*out);
    if (memcmp(key->fingerprint, record->info.pubkey.fingerprint, sizeof key->fingerprint) == 0)
        return PARLEY_OK;
    pl_identity_destroy(*out);
    *out = NULL;
    return tool_fail(diag, PARLEY_ECORRUPT, "the sealed key of %s is not its public key",
                     record->info.backend_id);
}

static struct tool_secret_sources sources_of(const struct tool_identity_options *options)
{
    return (struct tool_secret_sources){ .dir = options->data_dir,
                                         .key_file = options->seal_key_file,
                                         .passphrase_file = options->passphrase_file };
}

static parley_err unseal(const struct parley_env *env, const struct pl_identity_record *record,
                         const struct tool_identity_options *options, struct pl_identity **out,
                         struct pl_seal_key *seal, struct parley_diag *diag)
{
    struct tool_secret secret;
    struct tool_secret_sources sources = sources_of(options);
    PL_TRY(tool_secret_load(env, &sources, false, &secret, diag));
    parley_err err = tool_identity_unseal(env, record, &secret, seal, out, diag);
    tool_secret_wipe(&secret);
    return err;
}

/* The key came from the environment, so the secret may be lost. If it is there, the key can be
 * rotated all the same. */
static bool find_seal(const struct parley_env *env, const struct pl_identity_record *record,
                      const struct tool_identity_options *options, struct pl_seal_key *seal)
{
    struct pl_identity *key = NULL;
    struct parley_diag unused;
    bool found = unseal(env, record, options, &key, seal, &unused) == PARLEY_OK;
    pl_identity_destroy(key);
    return found;
}

static parley_err check_bits(const struct tool_identity_options *options,
                             const struct pl_identity_record *record, struct parley_diag *diag)
{
    unsigned bits = 8 * (unsigned)record->info.pubkey.modulus_len;
    if (options->key_bits == 0 || options->key_bits == bits)
        return PARLEY_OK;
    return tool_fail(diag, PARLEY_EIDENTITY,
                     "--key-bits %u: the identity of this directory has a key of %u bits already; "
                     "change it with: parley key rotate --bits %u",
                     options->key_bits, bits, options->key_bits);
}

static parley_err load_stored(const struct parley_env *env, const struct pl_identity_record *record,
                              const struct tool_identity_options *options,
                              struct pl_identity *environment_key, struct tool_identity *out,
                              struct parley_diag *diag)
{
    PL_TRY(check_type(options, &record->info, diag));
    PL_TRY(check_bits(options, record, diag));
    struct pl_identity *key = environment_key;
    *out = (struct tool_identity){ .info = record->info,
                                   .type = record->info.type,
                                   .created_at = record->info.created_at,
                                   .is_imported = environment_key != NULL };
    if (key != NULL)
        PL_TRY(check_same_key(key, record, diag));
    if (key != NULL)
        out->can_seal = find_seal(env, record, options, &out->seal);
    else
        PL_TRY(unseal(env, record, options, &key, &out->seal, diag));
    out->key = key;
    out->can_seal = out->can_seal || environment_key == NULL;
    memcpy(out->backend_id, record->info.backend_id, sizeof out->backend_id);
    return PARLEY_OK;
}

/* ---- A new one ---- */

parley_err tool_identity_seal(const struct parley_env *env, const struct pl_identity *key,
                              const struct tool_secret *secret, struct pl_seal_key *seal,
                              struct pl_identity_record *record, struct parley_diag *diag)
{
    struct pl_seal_secret view = tool_secret_view(secret);
    record->info.needs_passphrase = secret->kind == PL_SEAL_PASSPHRASE;
    parley_err err = pl_seal_key_make(env, &view, seal);
    if (err == PARLEY_OK)
        err = pl_identity_seal_with(key, env, seal, record->sealed, sizeof record->sealed,
                                    &record->sealed_len);
    if (err != PARLEY_OK)
        return tool_fail(diag, err, "the identity cannot be sealed: %s", parley_err_text(err));
    return PARLEY_OK;
}

/* Stores `key` as the identity of a fresh data directory. */
static parley_err store_new(const struct parley_env *env, struct parley_db *db,
                            const struct tool_identity_options *options, parley_wall now,
                            struct pl_identity *key, struct tool_identity *out,
                            struct parley_diag *diag)
{
    struct pl_identity_record record = { 0 };
    struct tool_secret secret;
    struct tool_secret_sources sources = sources_of(options);
    record.info.type = options->type == NULL ? PL_BACKEND_LOCAL : *options->type;
    record.info.created_at = now;
    record.info.pubkey = *pl_identity_pubkey(key);
    pl_key_chain_init(&record.chain, &record.info.pubkey);
    pl_backend_id_make(record.info.type, &record.info.pubkey, record.info.backend_id);
    *out = (struct tool_identity){
        .key = key, .type = record.info.type, .created_at = now, .is_new = true, .can_seal = true
    };
    PL_TRY(tool_secret_load(env, &sources, true, &secret, diag));
    parley_err err = tool_identity_seal(env, key, &secret, &out->seal, &record, diag);
    tool_secret_wipe(&secret);
    if (err == PARLEY_OK)
        err = tool_identity_write(db, &record, now, diag);
    if (err != PARLEY_OK)
        return err;
    out->info = record.info;
    memcpy(out->backend_id, record.info.backend_id, sizeof out->backend_id);
    return PARLEY_OK;
}

static parley_err create_key(const struct parley_env *env, unsigned bits, struct pl_identity **out,
                             struct parley_diag *diag)
{
    parley_err err = pl_identity_create(env, bits == 0 ? PL_RSA_BITS_DEFAULT : bits, out);
    return err == PARLEY_OK ? err
                            : tool_fail(diag, err, "no key can be made: %s", parley_err_text(err));
}

parley_err tool_identity_make(const struct parley_env *env, const struct tool_identity *identity,
                              unsigned bits, struct pl_identity **out,
                              uint8_t bytes[PL_IDENTITY_RECORD_BYTES_MAX], size_t *len)
{
    struct pl_identity_record record = { .info = identity->info };
    struct pl_identity *key = NULL;
    struct pl_writer w = pl_writer_over(bytes, PL_IDENTITY_RECORD_BYTES_MAX);
    if (!identity->can_seal)
        return PARLEY_ESEALED;
    PL_TRY(pl_identity_create(env, bits, &key));
    record.info.pubkey = *pl_identity_pubkey(key);
    parley_err err = pl_identity_seal_with(key, env, &identity->seal, record.sealed,
                                           sizeof record.sealed, &record.sealed_len);
    if (err == PARLEY_OK)
        err = pl_identity_record_encode(&record, &w);
    if (err != PARLEY_OK) {
        pl_identity_destroy(key);
        return err;
    }
    *out = key;
    *len = w.len;
    return PARLEY_OK;
}

void tool_identity_wipe(struct tool_identity *identity)
{
    pl_seal_key_wipe(&identity->seal);
    identity->can_seal = false;
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
    struct pl_identity_record record;
    struct tool_identity identity = { 0 };
    struct pl_identity *key = NULL;
    bool found;
    PL_TRY(tool_identity_read(db, &record, &found, diag));
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
            err = create_key(env, options->key_bits, &key, diag);
        if (err == PARLEY_OK)
            err = store_new(env, db, options, now, key, &identity, diag);
    }
    drop_passphrase();
    if (err != PARLEY_OK) {
        pl_identity_destroy(key);
        tool_identity_wipe(&identity);
        return err;
    }
    identity.is_imported = imported;
    *out = identity;
    tool_identity_wipe(&identity);
    return PARLEY_OK;
}
