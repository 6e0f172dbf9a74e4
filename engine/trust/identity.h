/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a node is: an RSA key pair, made once, and the backend id derived from the first public key.
 * The private key leaves this module only sealed. Public keys of others are `struct pl_pubkey`: RSA
 * for nodes; programs that register over HTTP may have EC P-256.
 *
 * Threads: an identity is immutable once made; signing may run on any thread.
 */
#ifndef PL_IDENTITY_H
#define PL_IDENTITY_H

#include "base/span.h"
#include <parley/env.h>

#define PL_RSA_BITS_DEFAULT      2048
#define PL_RSA_BITS_MAX          3072
#define PL_RSA_MODULUS_BYTES_MAX (PL_RSA_BITS_MAX / 8)
#define PL_SIGNATURE_BYTES_MAX   PL_RSA_MODULUS_BYTES_MAX
#define PL_FINGERPRINT_BYTES     32
/* DER SubjectPublicKeyInfo of RSA-3072, with room. */
#define PL_PUBKEY_DER_BYTES_MAX 512
/* P-256: a scalar, an uncompressed point, and a signature as r and s side by side (IEEE P1363). */
#define PL_EC_PRIVATE_BYTES   32
#define PL_EC_PUBLIC_BYTES    65
#define PL_EC_SIGNATURE_BYTES 64

enum pl_key_kind { PL_KEY_RSA = 0, PL_KEY_P256 = 1 };

/* A public key and its fingerprint: SHA-256 of the DER SPKI. */
struct pl_pubkey {
    enum pl_key_kind kind;
    /* RSA, 2048 to 3072 bits. */
    uint8_t modulus[PL_RSA_MODULUS_BYTES_MAX]; /* big-endian, no leading zero */
    size_t modulus_len;
    uint8_t exponent[8];
    size_t exponent_len;
    /* P-256: 04, x, y; on the curve. */
    uint8_t point[PL_EC_PUBLIC_BYTES];
    uint8_t fingerprint[PL_FINGERPRINT_BYTES];
};

struct pl_identity; /* holds the private key */

/* "local", "hosted" or "edge". */
enum pl_backend_type { PL_BACKEND_LOCAL = 0, PL_BACKEND_HOSTED = 1, PL_BACKEND_EDGE = 2 };
const char *pl_backend_type_name(enum pl_backend_type type);
PL_MUST_USE parley_err pl_backend_type_parse(struct parley_span text, enum pl_backend_type *out);

/* Makes a new RSA key of `bits` (2048 or 3072). Cost: 75 ms to seconds; never on an event loop. */
PL_MUST_USE parley_err pl_identity_create(const struct parley_env *env, unsigned bits,
                                          struct pl_identity **out);

/* Reads a private key in PEM (PKCS#1 or PKCS#8, not encrypted) as BACKEND_PRIVATE_KEY holds it.
 * Literal "\n" sequences and CRLF are accepted in place of newlines, as environments mangle them.
 * Sizes are checked before any decoder sees the bytes.
 * Errors: EMALFORMED, ETOOBIG (above 3072 bits), EINVAL (below 2048, or not RSA). `diag` says. */
PL_MUST_USE parley_err pl_identity_import(const struct parley_env *env, struct parley_span pem,
                                          struct pl_identity **out, struct parley_diag *diag);

/* Seals the private key for storage: AEAD ChaCha20-Poly1305 under a key from `secret`; see seal.h.
 * `out` needs PL_IDENTITY_SEALED_BYTES_MAX. */
#define PL_IDENTITY_SEALED_BYTES_MAX 3072
struct pl_seal_secret;
PL_MUST_USE parley_err pl_identity_seal(const struct pl_identity *id, const struct parley_env *env,
                                        const struct pl_seal_secret *secret, uint8_t *out,
                                        size_t cap, size_t *len);
/* Errors: ESEALED (wrong secret or damaged), EMALFORMED. */
PL_MUST_USE parley_err pl_identity_unseal(const struct parley_env *env,
                                          const struct pl_seal_secret *secret,
                                          struct parley_span sealed, struct pl_identity **out);
/* The same with a key that was derived before, see seal.h. */
struct pl_seal_key;
PL_MUST_USE parley_err pl_identity_seal_with(const struct pl_identity *id,
                                             const struct parley_env *env,
                                             const struct pl_seal_key *key, uint8_t *out,
                                             size_t cap, size_t *len);
PL_MUST_USE parley_err pl_identity_unseal_with(const struct parley_env *env,
                                               const struct pl_seal_key *key,
                                               struct parley_span sealed, struct pl_identity **out);
/* Wipes and frees; NULL is allowed. */
void pl_identity_destroy(struct pl_identity *id);

/* Lends the public half until destroy. */
const struct pl_pubkey *pl_identity_pubkey(const struct pl_identity *id);

/* RSASSA-PKCS1-v1_5 with SHA-256 over `hash`; `out` needs PL_SIGNATURE_BYTES_MAX. Verified before
 * it leaves, since one faulty bit of a CRT signature reveals the key. About 1.5 ms.
 * Errors: ECORRUPT when that fails (bad memory). */
PL_MUST_USE parley_err pl_identity_sign(const struct pl_identity *id, const uint8_t hash[32],
                                        uint8_t *out, size_t *len);
/* By the kind of the key: RSASSA-PKCS1-v1_5 as above, of exactly the length of the modulus, or
 * ECDSA as PL_EC_SIGNATURE_BYTES. EAUTH when it does not verify. About 0.1 ms; P-256 0.7 ms. */
PL_MUST_USE parley_err pl_pubkey_verify(const struct pl_pubkey *key, const uint8_t hash[32],
                                        struct parley_span signature);

/* "<type>_sha256_<first 32 hex digits of the fingerprint>", NUL-terminated. */
void pl_backend_id_make(enum pl_backend_type type, const struct pl_pubkey *first_key,
                        char out[PARLEY_BACKEND_ID_BYTES_MAX + 1]);

/* Whether an id is one that _make gives for this key: the rule by which an id belongs to a key, and
 * later, through its rotations, to an identity. */
bool pl_backend_id_names(struct parley_span id, const struct pl_pubkey *first_key);

/* PEM SubjectPublicKeyInfo ("BEGIN PUBLIC KEY"), NUL-terminated; and DER. */
PL_MUST_USE parley_err pl_pubkey_to_pem(const struct pl_pubkey *key,
                                        char out[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1]);
/* Both read: EMALFORMED (also a point that is compressed or not on the curve), ETOOBIG (above 3072
 * bits or 512 bytes), EINVAL (RSA below 2048 bits, or neither RSA nor P-256). */
PL_MUST_USE parley_err pl_pubkey_from_pem(struct parley_span pem, struct pl_pubkey *out);
PL_MUST_USE parley_err pl_pubkey_to_der(const struct pl_pubkey *key,
                                        uint8_t out[PL_PUBKEY_DER_BYTES_MAX], size_t *len);
PL_MUST_USE parley_err pl_pubkey_from_der(struct parley_span der, struct pl_pubkey *out);

#endif
