/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "lib/secret.h"

#include "core/hash.h"

#include <stdio.h>
#include <stdlib.h>

#define SEAL_KEY_BYTES     32
#define SEAL_KEY_BYTES_MIN 32 /* unstretched, fewer could be searched; pl_seal refuses them too */
#define ADMIN_TOKEN_TEXT   (2 * TOOL_ADMIN_TOKEN_BYTES)
#define KEY_CREDENTIAL     "parley-seal"
#define PHRASE_CREDENTIAL  "parley-passphrase"

parley_err tool_secret_take_env(const char *name, char *out, size_t cap, bool *found)
{
    char *value = getenv(name);
    *found = value != NULL && value[0] != '\0';
    if (!*found)
        return PARLEY_OK;
    size_t len = strlen(value);
    bool fits = len < cap;
    if (fits)
        memcpy(out, value, len + 1);
    /* In place, since /proc/PID/environ shows the block that the process was started with. */
    pl_wipe(value, len);
    if (unsetenv(name) != 0)
        return PARLEY_EIO;
    return fits ? PARLEY_OK : PARLEY_ETOOBIG;
}

struct pl_seal_secret tool_secret_view(const struct tool_secret *secret)
{
    return (struct pl_seal_secret){ .kind = secret->kind,
                                    .bytes = pl_span_of(secret->bytes, secret->len) };
}

void tool_secret_wipe(struct tool_secret *secret)
{
    pl_wipe(secret->bytes, sizeof secret->bytes);
    secret->len = 0;
}

static parley_err load_file(const char *path, bool check_mode, struct tool_secret *out,
                            struct parley_diag *diag)
{
    out->kind = PL_SEAL_RAW;
    snprintf(out->source, sizeof out->source, "%s", path);
    PL_TRY(tool_file_read(path, check_mode, out->bytes, sizeof out->bytes, &out->len, diag));
    if (out->len < SEAL_KEY_BYTES_MIN)
        return tool_fail(diag, PARLEY_EINVAL, "%.120s: holds %zu bytes; a key has at least %d",
                         path, out->len, SEAL_KEY_BYTES_MIN);
    return PARLEY_OK;
}

parley_err tool_secret_load_key(const struct parley_env *env, const char *path, bool create,
                                struct tool_secret *out, struct parley_diag *diag)
{
    parley_err err = load_file(path, true, out, diag);
    if (err != PARLEY_ENOENT || !create)
        return err;
    uint8_t key[SEAL_KEY_BYTES];
    env->entropy(env->ud, key, sizeof key);
    err = tool_file_create(path, pl_span_of(key, sizeof key), diag);
    if (err == PARLEY_OK) {
        memcpy(out->bytes, key, sizeof key);
        out->len = sizeof key;
    }
    pl_wipe(key, sizeof key);
    return err;
}

static parley_err load_default(const struct parley_env *env, const char *dir, bool create,
                               struct tool_secret *out, struct parley_diag *diag)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    PL_TRY(tool_path_join(dir, "seal.key", path, diag));
    parley_err err = tool_secret_load_key(env, path, create, out, diag);
    if (err != PARLEY_ENOENT || create)
        return err;
    return tool_fail(diag, PARLEY_ENOENT,
                     "%.110s is missing and the identity is sealed; restore it from a backup, "
                     "or give the pass phrase or key file it was sealed with",
                     path);
}

static parley_err load_phrase(const char *path, bool check_mode, struct tool_secret *out,
                              struct parley_diag *diag)
{
    out->kind = PL_SEAL_PASSPHRASE;
    snprintf(out->source, sizeof out->source, "%s", path);
    PL_TRY(tool_file_read(path, check_mode, out->bytes, sizeof out->bytes, &out->len, diag));
    if (out->len != 0 && out->bytes[out->len - 1] == '\n')
        out->len--;
    if (out->len != 0 && out->bytes[out->len - 1] == '\r')
        out->len--;
    if (out->len == 0)
        return tool_fail(diag, PARLEY_EINVAL, "%.180s: holds no pass phrase", path);
    return PARLEY_OK;
}

parley_err tool_secret_load_passphrase(const char *path, struct tool_secret *out,
                                       struct parley_diag *diag)
{
    return load_phrase(path, true, out, diag);
}

/* The credential, if the service manager gave one. Its mode is not ours to judge: systemd guards
 * the directory and grants the service's user by access list. */
static parley_err load_credential(const char *name, bool is_phrase, struct tool_secret *out,
                                  bool *found, struct parley_diag *diag)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL || dir[0] == '\0' || *found)
        return PARLEY_OK;
    char path[TOOL_PATH_BYTES_MAX + 1];
    PL_TRY(tool_path_join(dir, name, path, diag));
    parley_err err =
        is_phrase ? load_phrase(path, false, out, diag) : load_file(path, false, out, diag);
    *found = err == PARLEY_OK;
    return err == PARLEY_ENOENT ? PARLEY_OK : err;
}

parley_err tool_secret_take_passphrase(const char *name, struct tool_secret *out, bool *found,
                                       struct parley_diag *diag)
{
    char phrase[PL_SEAL_SECRET_BYTES_MAX + 1];
    if (tool_secret_take_env(name, phrase, sizeof phrase, found) != PARLEY_OK)
        return tool_fail(diag, PARLEY_ETOOBIG, "%s is longer than %d bytes", name,
                         PL_SEAL_SECRET_BYTES_MAX);
    if (!*found)
        return PARLEY_OK;
    out->kind = PL_SEAL_PASSPHRASE;
    out->len = strlen(phrase);
    memcpy(out->bytes, phrase, out->len);
    snprintf(out->source, sizeof out->source, "%s", name);
    pl_wipe(phrase, sizeof phrase);
    return PARLEY_OK;
}

static parley_err find_secret(const struct parley_env *env,
                              const struct tool_secret_sources *sources, bool create,
                              struct tool_secret *out, struct parley_diag *diag)
{
    bool found = false;
    PL_TRY(tool_secret_take_passphrase("PARLEY_PASSPHRASE", out, &found, diag));
    if (!found && sources->passphrase_file != NULL)
        return load_phrase(sources->passphrase_file, true, out, diag);
    PL_TRY(load_credential(PHRASE_CREDENTIAL, true, out, &found, diag));
    PL_TRY(load_credential(KEY_CREDENTIAL, false, out, &found, diag));
    if (found)
        return PARLEY_OK;
    return sources->key_file != NULL ? load_file(sources->key_file, true, out, diag)
                                     : load_default(env, sources->dir, create, out, diag);
}

parley_err tool_secret_load(const struct parley_env *env, const struct tool_secret_sources *sources,
                            bool create, struct tool_secret *out, struct parley_diag *diag)
{
    struct tool_secret secret = { 0 };
    parley_err err = find_secret(env, sources, create, &secret, diag);
    if (err == PARLEY_OK)
        *out = secret;
    tool_secret_wipe(&secret);
    return err;
}

static parley_err create_token(const struct parley_env *env, const char *path,
                               uint8_t out[TOOL_ADMIN_TOKEN_BYTES], struct parley_diag *diag)
{
    uint8_t token[TOOL_ADMIN_TOKEN_BYTES];
    char text[ADMIN_TOKEN_TEXT + 1];
    env->entropy(env->ud, token, sizeof token);
    pl_hex_encode(token, sizeof token, text);
    text[ADMIN_TOKEN_TEXT] = '\n';
    parley_err err = tool_file_create(path, pl_span_of(text, sizeof text), diag);
    if (err == PARLEY_OK)
        memcpy(out, token, sizeof token);
    pl_wipe(token, sizeof token);
    pl_wipe(text, sizeof text);
    return err;
}

parley_err tool_admin_token_load(const struct parley_env *env, const char *dir, bool create,
                                 uint8_t out[TOOL_ADMIN_TOKEN_BYTES], struct parley_diag *diag)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    char text[ADMIN_TOKEN_TEXT + 2];
    size_t len = 0;
    PL_TRY(tool_path_join(dir, "admin.token", path, diag));
    parley_err err = tool_file_read(path, true, (uint8_t *)text, sizeof text, &len, diag);
    if (err == PARLEY_ENOENT && create)
        return create_token(env, path, out, diag);
    if (err == PARLEY_ENOENT)
        return tool_fail(diag, err, "%.160s is missing; parleyd makes it at its first start", path);
    if (err != PARLEY_OK && err != PARLEY_ETOOBIG)
        return err;
    while (len != 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (err == PARLEY_OK)
        err = pl_hex_decode(pl_span_of(text, len), out, TOOL_ADMIN_TOKEN_BYTES);
    pl_wipe(text, sizeof text);
    if (err != PARLEY_OK)
        return tool_fail(diag, PARLEY_EMALFORMED,
                         "%.120s: does not hold %d hex digits; remove it, and the next start makes "
                         "a new one",
                         path, ADMIN_TOKEN_TEXT);
    return PARLEY_OK;
}
