/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS certificate of a node: a P-256 key and an X.509 v3 leaf signed by the identity key
 * (sha256WithRSAEncryption). Issuer and subject name the backend id. Also the self-signed CA
 * certificate of the identity key, for `curl --cacert`.
 */
#ifndef PL_CERT_H
#define PL_CERT_H

#include "trust/cert_names.h"
#include "trust/identity.h"

#define PL_CERT_DER_BYTES_MAX 1536

/* What the TLS server of a node needs; wiped with pl_tls_credential_wipe. */
struct pl_tls_credential {
    uint8_t private_key[PL_EC_PRIVATE_BYTES];
    uint8_t public_key[PL_EC_PUBLIC_BYTES];
    uint8_t leaf[PL_CERT_DER_BYTES_MAX];
    size_t leaf_len;
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
};

/* Makes a P-256 key and its leaf, valid from one day before `now` for 90 days, with
 * subjectAltName DNS:localhost, IP 127.0.0.1, IP ::1 and `names` (NULL: none); extendedKeyUsage
 * serverAuth and clientAuth. Cost: about 2 ms.
 * Errors: EINVAL (`now` out of range), EFULL, ECORRUPT. */
PL_MUST_USE parley_err pl_tls_credential_make(const struct parley_env *env,
                                              const struct pl_identity *id, const char *backend_id,
                                              const struct pl_cert_names *names, parley_wall now,
                                              struct pl_tls_credential *out);
/* A third of the validity is left, or less, or it has not begun: the clock was wrong. */
bool pl_tls_credential_is_due(const struct pl_tls_credential *credential, parley_wall now);
void pl_tls_credential_wipe(struct pl_tls_credential *credential);

/* The self-signed CA certificate of the identity, deterministic but for its dates (ten years from
 * `created`). */
PL_MUST_USE parley_err pl_cert_ca_make(const struct pl_identity *id, const char *backend_id,
                                       parley_wall created, uint8_t out[PL_CERT_DER_BYTES_MAX],
                                       size_t *len);

/* Checks a leaf made by pl_tls_credential_make against the identity key it must be signed with:
 * structure, algorithm, dates against `now`, signature; gives the P-256 point. A bounded DER
 * reader of our own; BearSSL sees only the hash and the signature.
 * Errors: EMALFORMED, EEXPIRED, EAUTH. `issuer` NULL skips the signature (used before the key is
 * known; the caller then binds the point by a signed transcript). */
PL_MUST_USE parley_err pl_cert_leaf_check(struct parley_span der, const struct pl_pubkey *issuer,
                                          parley_wall now, uint8_t point[PL_EC_PUBLIC_BYTES]);

#endif
