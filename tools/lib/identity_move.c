/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities on the move: out of a store, into an empty one, under another secret.
 *
 * An exported identity is text:
 *   -----BEGIN PARLEY SEALED IDENTITY-----
 *   base64, 64 characters a line, of a msgpack array:
 *     [1, bin: the record of identity_store.h with the key sealed under the export's pass phrase,
 *      bin: the chain of keys of trust/rotation.h]
 *   -----END PARLEY SEALED IDENTITY-----
 * Only the private key is secret. Of the rest nothing can be changed: the id names the first key,
 * each rotation is signed, and the last key must be the public half of the sealed one.
 */
#define _GNU_SOURCE 1
#include "lib/identity_int.h"

#include "core/base64.h"
#include "core/hash.h"
#include "core/mp_read.h"
#include "core/mp_write.h"

#define EXPORT_VERSION   1
#define EXPORT_BEGIN     "-----BEGIN PARLEY SEALED IDENTITY-----"
#define EXPORT_END       "-----END PARLEY SEALED IDENTITY-----"
#define LINE_CHARS       64
#define BODY_BYTES_MAX   (PL_IDENTITY_RECORD_BYTES_MAX + PL_CHAIN_RECORD_BYTES_MAX + 16)
#define BASE64_CHARS_MAX PL_BASE64_LEN(BODY_BYTES_MAX)
_Static_assert(BASE64_CHARS_MAX + BASE64_CHARS_MAX / LINE_CHARS + 128 <= TOOL_EXPORT_BYTES_MAX,
               "every export must fit its bound");

static parley_err read_existing(struct parley_db *db, struct pl_identity_record *record,
                                struct parley_diag *diag)
{
    bool found = false;
    PL_TRY(tool_identity_read(db, record, &found, diag));
    if (!found)
        return tool_fail(diag, PARLEY_ENOENT, "the data directory has no identity yet");
    return PARLEY_OK;
}

/* The key of the store, opened with the secret it is sealed under now. */
static parley_err open_key(const struct parley_env *env, const struct pl_identity_record *record,
                           const struct tool_identity_options *options, struct pl_identity **out,
                           struct parley_diag *diag)
{
    struct tool_secret secret;
    struct pl_seal_key seal = { { 0 }, { 0 } };
    struct tool_secret_sources sources = { .dir = options->data_dir,
                                           .key_file = options->seal_key_file,
                                           .passphrase_file = options->passphrase_file };
    PL_TRY(tool_secret_load(env, &sources, false, &secret, diag));
    parley_err err = tool_identity_unseal(env, record, &secret, &seal, out, diag);
    tool_secret_wipe(&secret);
    pl_seal_key_wipe(&seal);
    return err;
}

static parley_err seal_again(const struct parley_env *env, const struct pl_identity *key,
                             const struct tool_secret *secret, struct pl_identity_record *record,
                             struct parley_diag *diag)
{
    struct pl_seal_key seal = { { 0 }, { 0 } };
    parley_err err = tool_identity_seal(env, key, secret, &seal, record, diag);
    pl_seal_key_wipe(&seal);
    return err;
}

/* ---- Export ---- */

static parley_err encode_body(const struct pl_identity_record *record, uint8_t body[BODY_BYTES_MAX],
                              size_t *len)
{
    uint8_t bytes[PL_IDENTITY_RECORD_BYTES_MAX];
    uint8_t chain[PL_CHAIN_RECORD_BYTES_MAX];
    struct pl_writer r = pl_writer_over(bytes, sizeof bytes);
    struct pl_writer c = pl_writer_over(chain, sizeof chain);
    struct pl_writer w = pl_writer_over(body, BODY_BYTES_MAX);
    PL_TRY(pl_identity_record_encode(record, &r));
    pl_key_chain_encode(&record->chain, &c);
    PL_TRY(c.err);
    pl_mp_write_array(&w, 3);
    pl_mp_write_uint(&w, EXPORT_VERSION);
    pl_mp_write_bin(&w, pl_writer_span(&r));
    pl_mp_write_bin(&w, pl_writer_span(&c));
    *len = w.len;
    return w.err;
}

static void write_lines(struct pl_writer *w, struct parley_span text)
{
    while (text.len != 0) {
        size_t len = pl_min_size(LINE_CHARS, text.len);
        pl_write_bytes(w, text.ptr, len);
        pl_write_u8(w, '\n');
        text = pl_span_after(text, len);
    }
}

static parley_err write_armor(struct parley_span body, char out[TOOL_EXPORT_BYTES_MAX])
{
    static const char end[] = EXPORT_END "\n";
    char chars[BASE64_CHARS_MAX];
    struct pl_writer base64 = pl_writer_over(chars, sizeof chars);
    struct pl_writer w = pl_writer_over(out, TOOL_EXPORT_BYTES_MAX);
    pl_base64_write(&base64, body);
    pl_write_text(&w, EXPORT_BEGIN "\n");
    write_lines(&w, pl_writer_span(&base64));
    pl_write_bytes(&w, end, sizeof end); /* with its NUL */
    return w.err;
}

parley_err tool_identity_export(const struct parley_env *env, struct parley_db *db,
                                const struct tool_identity_options *options,
                                const struct tool_secret *passphrase,
                                char out[TOOL_EXPORT_BYTES_MAX], struct parley_diag *diag)
{
    struct pl_identity_record record;
    struct pl_identity *key = NULL;
    uint8_t body[BODY_BYTES_MAX];
    size_t len = 0;
    PL_TRY(read_existing(db, &record, diag));
    PL_TRY(open_key(env, &record, options, &key, diag));
    parley_err err = seal_again(env, key, passphrase, &record, diag);
    pl_identity_destroy(key);
    if (err != PARLEY_OK)
        return err;
    err = encode_body(&record, body, &len);
    if (err == PARLEY_OK)
        err = write_armor(pl_span_of(body, len), out);
    return err == PARLEY_OK
               ? err
               : tool_fail(diag, err, "the identity cannot be exported: %s", parley_err_text(err));
}

/* ---- Import ---- */

static bool cut(struct parley_span *text, const char *prefix)
{
    struct parley_span wanted = pl_span_text(prefix);
    if (!pl_span_has_prefix(*text, wanted))
        return false;
    *text = pl_span_after(*text, wanted.len);
    return true;
}

static bool is_space(uint8_t c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

static void skip_space(struct parley_span *text)
{
    while (text->len != 0 && is_space(text->ptr[0]))
        *text = pl_span_after(*text, 1);
}

static parley_err read_armor(struct parley_span text, uint8_t body[BODY_BYTES_MAX], size_t *len)
{
    char chars[BASE64_CHARS_MAX];
    size_t count = 0;
    skip_space(&text);
    if (!cut(&text, EXPORT_BEGIN))
        return PARLEY_EMALFORMED;
    for (; text.len != 0 && text.ptr[0] != '-'; text = pl_span_after(text, 1)) {
        if (is_space(text.ptr[0]))
            continue;
        if (count == sizeof chars)
            return PARLEY_ETOOBIG;
        chars[count++] = (char)text.ptr[0];
    }
    bool ended = cut(&text, EXPORT_END);
    skip_space(&text);
    if (!ended || text.len != 0)
        return PARLEY_EMALFORMED;
    return pl_base64_decode(pl_span_of(chars, count), body, BODY_BYTES_MAX, len);
}

static parley_err decode_body(struct parley_span body, struct pl_identity_record *out)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t count = pl_mp_read_array(&r, 3);
    uint64_t version = pl_mp_read_uint(&r);
    struct parley_span bytes = pl_mp_read_bin(&r, PL_IDENTITY_RECORD_BYTES_MAX);
    struct parley_span chain = pl_mp_read_bin(&r, PL_CHAIN_RECORD_BYTES_MAX);
    PL_TRY(pl_reader_end(&r));
    if (count != 3 || version != EXPORT_VERSION)
        return PARLEY_EMALFORMED;
    PL_TRY(pl_identity_record_decode(bytes, out));
    PL_TRY(pl_key_chain_decode(chain, pl_span_text(out->info.backend_id), &out->chain));
    return pl_identity_record_check(out);
}

parley_err tool_identity_import(const struct parley_env *env, struct parley_db *db,
                                const struct tool_identity_options *options,
                                const struct tool_secret *passphrase, struct parley_span text,
                                parley_wall now, struct pl_identity_info *out,
                                struct parley_diag *diag)
{
    struct pl_identity_record record;
    struct pl_identity *key = NULL;
    struct pl_seal_key seal = { { 0 }, { 0 } };
    struct tool_secret secret;
    struct tool_secret_sources sources = { .dir = options->data_dir,
                                           .key_file = options->seal_key_file,
                                           .passphrase_file = options->passphrase_file };
    uint8_t body[BODY_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    PL_TRY(tool_identity_peek(db, out, &found, diag));
    if (found)
        return tool_fail(diag, PARLEY_EBUSY,
                         "the data directory already belongs to %s; import into an empty one",
                         out->backend_id);
    parley_err err = read_armor(text, body, &len);
    if (err == PARLEY_OK)
        err = decode_body(pl_span_of(body, len), &record);
    if (err != PARLEY_OK)
        return tool_fail(diag, PARLEY_EMALFORMED,
                         "this is no whole identity as `parley key export` writes it");
    PL_TRY(tool_identity_unseal(env, &record, passphrase, &seal, &key, diag));
    pl_seal_key_wipe(&seal);
    err = tool_secret_load(env, &sources, true, &secret, diag);
    if (err == PARLEY_OK) {
        err = seal_again(env, key, &secret, &record, diag);
        tool_secret_wipe(&secret);
    }
    pl_identity_destroy(key);
    if (err == PARLEY_OK)
        err = tool_identity_write(db, &record, now, diag);
    if (err == PARLEY_OK)
        *out = record.info;
    return err;
}

/* ---- Another secret ---- */

parley_err tool_identity_reseal(const struct parley_env *env, struct parley_db *db,
                                const struct tool_identity_options *options,
                                const struct tool_secret *secret, parley_wall now,
                                struct parley_diag *diag)
{
    struct pl_identity_record record;
    struct pl_identity *key = NULL;
    PL_TRY(read_existing(db, &record, diag));
    PL_TRY(open_key(env, &record, options, &key, diag));
    parley_err err = seal_again(env, key, secret, &record, diag);
    pl_identity_destroy(key);
    return err == PARLEY_OK ? tool_identity_write(db, &record, now, diag) : err;
}
