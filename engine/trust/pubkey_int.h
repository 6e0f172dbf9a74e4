/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share about keys; private to it.
 */
#ifndef PL_PUBKEY_INT_H
#define PL_PUBKEY_INT_H

#include "trust/identity.h"

/* Checks the numbers of an RSA key (no leading zeros), copies them and computes the fingerprint.
 * Errors: ETOOBIG, EINVAL (modulus too small), EMALFORMED. */
PL_MUST_USE parley_err pl_pubkey_make(struct parley_span modulus, struct parley_span exponent,
                                      struct pl_pubkey *out);

/* DER of the AlgorithmIdentifier of a kind: { rsaEncryption, NULL } or { id-ecPublicKey,
 * prime256v1 }, the curve by its name and never by numbers. */
struct parley_span pl_pubkey_algorithm(enum pl_key_kind kind);

#endif
