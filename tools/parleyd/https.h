/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's certificate for HTTPS, from the files that --tls-cert and --tls-key name.
 */
#ifndef PARLEYD_HTTPS_H
#define PARLEYD_HTTPS_H

#include "lib/file.h"
#include "trust/https_cert.h"

/* Reads both files. The key must be a secret: nobody else may be able to read it.
 * Ownership: the caller closes `*out`.
 * Errors: of tool_file_read and of trust/https_cert.h, ENOENT as EINVAL; `diag` names the file. */
PL_MUST_USE parley_err https_open(const struct parley_env *env, const char *cert_file,
                                  const char *key_file, parley_wall now, struct pl_https_cert **out,
                                  struct parley_diag *diag);

#endif
