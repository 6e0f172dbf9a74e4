/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the file of an operator's certificate, and what follows a zero byte as that of its
 * key. Oracle: what is accepted signs.
 */
#include "trust/https_cert.h"

#include <parley/env.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const parley_wall now = INT64_C(1767225600) * PARLEY_US_PER_S;
    struct parley_env env;
    struct pl_https_cert *cert = NULL;
    struct parley_diag diag = { "" };
    uint8_t hash[32] = { 1 };
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    parley_env_posix(&env);
    const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
    size_t cert_len = zero == NULL ? size : (size_t)(zero - data);
    if (pl_https_cert_open(&env, pl_span_of(data, cert_len), now, &cert, &diag) != PARLEY_OK)
        return 0;
    PL_ASSERT(pl_https_cert_count(cert) >= 1);
    PL_ASSERT(pl_https_cert_count(cert) <= PL_HTTPS_CHAIN_MAX);
    struct parley_span key = pl_span_of(data + cert_len, size - cert_len);
    if (pl_https_cert_set_key(cert, key, &diag) == PARLEY_OK)
        PL_ASSERT(pl_https_cert_sign(cert, hash, signature, sizeof signature, &len) == PARLEY_OK);
    pl_https_cert_close(cert);
    return 0;
}
