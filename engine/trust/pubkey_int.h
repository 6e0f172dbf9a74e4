/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share about keys; private to it.
 */
#ifndef PL_PUBKEY_INT_H
#define PL_PUBKEY_INT_H

#include "trust/identity.h"

/* Checks the numbers (no leading zeros), copies them and computes the fingerprint.
 * Errors: ETOOBIG, EINVAL (modulus too small), EMALFORMED. */
PL_MUST_USE parley_err pl_pubkey_make(struct pl_span modulus, struct pl_span exponent,
                                      struct pl_pubkey *out);

/* DER of AlgorithmIdentifier { rsaEncryption, NULL }. */
struct pl_span pl_pubkey_algorithm(void);

#endif
