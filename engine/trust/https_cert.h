/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's own certificate and key for HTTPS, as an authority gave them: a leaf for an RSA
 * key of 2048 to 3072 bits or a P-256 key, with up to three certificates above it. Only what must
 * be known to serve it is read: dates and the leaf's key. Nothing is verified against a root: that
 * is for the clients, who have roots.
 *
 * Bytes in, no files. All DER goes through our own reader and never through BearSSL's decoders.
 */
#ifndef PL_HTTPS_CERT_H
#define PL_HTTPS_CERT_H

#include "trust/identity.h"

#define PL_HTTPS_CHAIN_MAX 4
/* Bytes of the PEM of a chain, with the text that openssl likes to put before each. */
#define PL_HTTPS_PEM_BYTES_MAX (64u << 10)

struct pl_https_cert;

/* Reads the chain, leaf first. `now` is for the dates: of all certificates in it.
 * Errors: EMALFORMED, ETOOBIG (a certificate above 4096 bytes, more than four, a key above 3072
 * bits), EINVAL (a key of another kind or too small), EEXPIRED (or not yet valid), ENOMEM; `diag`
 * says. */
PL_MUST_USE parley_err pl_https_cert_open(const struct parley_env *env, struct parley_span pem,
                                          parley_wall now, struct pl_https_cert **out,
                                          struct parley_diag *diag);
/* Adds the private key: PEM of PKCS#8, PKCS#1 or SEC1, not encrypted. It must be the leaf's.
 * Errors: EMALFORMED, ETOOBIG, EINVAL, EIDENTITY (the key of another certificate), ENOMEM; `diag`
 * says. */
PL_MUST_USE parley_err pl_https_cert_set_key(struct pl_https_cert *cert, struct parley_span pem,
                                             struct parley_diag *diag);
/* Wipes and frees; NULL is allowed. */
void pl_https_cert_close(struct pl_https_cert *cert);

size_t pl_https_cert_count(const struct pl_https_cert *cert);
/* DER; lent until close. */
struct parley_span pl_https_cert_at(const struct pl_https_cert *cert, size_t index);
bool pl_https_cert_is_rsa(const struct pl_https_cert *cert);
/* The end of the shortest validity, in seconds since 1970. */
int64_t pl_https_cert_not_after(const struct pl_https_cert *cert);

/* RSASSA-PKCS1-v1_5 or ECDSA (DER) with SHA-256 over `hash`. Only with a key. EFULL, ECORRUPT. */
PL_MUST_USE parley_err pl_https_cert_sign(const struct pl_https_cert *cert, const uint8_t hash[32],
                                          uint8_t *out, size_t cap, size_t *len);

#endif
