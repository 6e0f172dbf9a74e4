/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing of secrets at rest: ChaCha20-Poly1305 under a key from HKDF-SHA256 over a pass phrase
 * stretched by Argon2id, or over high-entropy key material as it is. The record states version,
 * kind and parameters, which are authenticated; parameters read back are capped.
 */
#ifndef PL_SEAL_H
#define PL_SEAL_H

#include "base/span.h"
#include <parley/env.h>

/* Bytes that a seal adds to what it seals. */
#define PL_SEAL_OVERHEAD_BYTES   80
#define PL_SEAL_SECRET_BYTES_MAX 1024

enum pl_seal_kind {
    PL_SEAL_RAW = 1,       /* 32 or more random bytes of a key file or credential */
    PL_SEAL_PASSPHRASE = 2 /* what a person typed: Argon2id, 64 MiB, t=3 */
};

struct pl_seal_secret {
    enum pl_seal_kind kind;
    struct parley_span bytes; /* borrowed for the call */
};

/* What a secret becomes for one salt: enough to seal further records that the same secret opens,
 * without keeping the secret. Holds a key: wipe it. */
#define PL_SEAL_SALT_HEAD_BYTES 52
#define PL_SEAL_KEY_BYTES       32
struct pl_seal_key {
    uint8_t head[PL_SEAL_SALT_HEAD_BYTES]; /* of its records, up to the nonce: parameters, salt */
    uint8_t key[PL_SEAL_KEY_BYTES];
};

/* Derives a key with a fresh salt, or the one of a record. Errors: EINVAL, ENOMEM; _of also
 * EMALFORMED and ESEALED (another kind). Cost: as pl_unseal. */
PL_MUST_USE parley_err pl_seal_key_make(const struct parley_env *env,
                                        const struct pl_seal_secret *secret,
                                        struct pl_seal_key *out);
PL_MUST_USE parley_err pl_seal_key_of(const struct pl_seal_secret *secret,
                                      struct parley_span sealed, struct pl_seal_key *out);
void pl_seal_key_wipe(struct pl_seal_key *key);
/* As pl_seal and pl_unseal, in microseconds. Each record gets a nonce of its own. */
PL_MUST_USE parley_err pl_seal_with(const struct parley_env *env, const struct pl_seal_key *key,
                                    struct parley_span context, struct parley_span plain,
                                    uint8_t *out, size_t cap, size_t *len);
PL_MUST_USE parley_err pl_unseal_with(const struct pl_seal_key *key, struct parley_span context,
                                      struct parley_span sealed, uint8_t *out, size_t cap,
                                      size_t *len);

/* Seals `plain`, bound to `context` (both needed to open). `out` needs plain.len +
 * PL_SEAL_OVERHEAD_BYTES. Errors: EINVAL (empty or oversized secret), EFULL, ENOMEM. */
PL_MUST_USE parley_err pl_seal(const struct parley_env *env, const struct pl_seal_secret *secret,
                               struct parley_span context, struct parley_span plain, uint8_t *out,
                               size_t cap, size_t *len);
/* Opens into `out`, which needs sealed.len - PL_SEAL_OVERHEAD_BYTES and must not overlap `sealed`;
 * it is wiped when the seal does not hold.
 * Errors: ESEALED (wrong secret, kind or context, or damaged), EMALFORMED (no record of ours, or
 *         parameters above the caps: 1 GiB, 10 passes), EINVAL, EFULL, ENOMEM.
 * Cost: 0.15 s and 64 MiB from malloc (libargon2) for a pass phrase; else microseconds. */
PL_MUST_USE parley_err pl_unseal(const struct parley_env *env, const struct pl_seal_secret *secret,
                                 struct parley_span context, struct parley_span sealed,
                                 uint8_t *out, size_t cap, size_t *len);

#endif
