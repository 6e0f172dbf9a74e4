/* SPDX-License-Identifier: Apache-2.0 */
#include "parleyd/https.h"

#include "core/hash.h"

#include <stdlib.h>

static parley_err fail_file(struct parley_diag *diag, parley_err err, const char *path,
                            const struct parley_diag *why)
{
    return tool_fail(diag, err, "%.150s: %.90s", path,
                     why->text[0] != '\0' ? why->text : parley_err_text(err));
}

/* A file that is not there is a mistake in a flag, not a lost secret of ours. */
static parley_err read_file(const char *path, bool is_secret, uint8_t *bytes, size_t *len,
                            struct parley_diag *diag)
{
    parley_err err = tool_file_read(path, is_secret, bytes, PL_HTTPS_PEM_BYTES_MAX, len, diag);
    return err == PARLEY_ENOENT ? PARLEY_EINVAL : err;
}

static parley_err open_with(const struct parley_env *env, const char *cert_file,
                            const char *key_file, parley_wall now, uint8_t *bytes,
                            struct pl_https_cert **out, struct parley_diag *diag)
{
    struct parley_diag why = { "" };
    struct pl_https_cert *cert = NULL;
    size_t len = 0;
    PL_TRY(read_file(cert_file, false, bytes, &len, diag));
    parley_err err = pl_https_cert_open(env, pl_span_of(bytes, len), now, &cert, &why);
    if (err != PARLEY_OK)
        return fail_file(diag, err, cert_file, &why);
    err = read_file(key_file, true, bytes, &len, diag);
    if (err == PARLEY_OK) {
        err = pl_https_cert_set_key(cert, pl_span_of(bytes, len), &why);
        if (err != PARLEY_OK)
            err = fail_file(diag, err, key_file, &why);
    }
    if (err != PARLEY_OK) {
        pl_https_cert_close(cert);
        return err;
    }
    *out = cert;
    return PARLEY_OK;
}

parley_err https_open(const struct parley_env *env, const char *cert_file, const char *key_file,
                      parley_wall now, struct pl_https_cert **out, struct parley_diag *diag)
{
    uint8_t *bytes = calloc(1, PL_HTTPS_PEM_BYTES_MAX);
    if (bytes == NULL)
        return tool_fail(diag, PARLEY_ENOMEM, "out of memory");
    parley_err err = open_with(env, cert_file, key_file, now, bytes, out, diag);
    pl_wipe(bytes, PL_HTTPS_PEM_BYTES_MAX);
    free(bytes);
    return err;
}
