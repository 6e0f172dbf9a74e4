/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a public key, as a private key in both PEM forms, and as PEM text. Oracle: a public
 * key that is accepted writes the same bytes again; an imported key signs.
 */
#include "lib/plain_env.h"

#include "trust/identity.h"
#include "trust/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void import(struct parley_span pem)
{
    struct plain_env env;
    plain_env_init(&env);
    struct pl_identity *id = NULL;
    struct parley_diag diag;
    if (pl_identity_import(&env.env, pem, &id, &diag) != PARLEY_OK)
        return;
    static const uint8_t hash[32] = { 1 };
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    PL_ASSERT(pl_identity_sign(id, hash, signature, &len) == PARLEY_OK);
    pl_identity_destroy(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_span bytes = pl_span_of(data, size);
    struct pl_pubkey key;
    if (pl_pubkey_from_der(bytes, &key) == PARLEY_OK) {
        uint8_t der[PL_PUBKEY_DER_BYTES_MAX];
        size_t len;
        PL_ASSERT(pl_pubkey_to_der(&key, der, &len) == PARLEY_OK);
        PL_ASSERT(pl_span_equal(bytes, pl_span_of(der, len)));
    }
    import(bytes);
    if (pl_pubkey_from_pem(bytes, &key) == PARLEY_OK)
        PL_ASSERT(key.kind == PL_KEY_P256 ? key.point[0] == 0x04
                                          : key.modulus_len >= PL_RSA_BITS_DEFAULT / 8);
    if (size > PL_PEM_DER_BYTES_MAX)
        return 0;
    char pem[PL_PEM_TEXT_BYTES_MAX];
    PL_ASSERT(pl_pem_encode(bytes, "PRIVATE KEY", pem, sizeof pem) == PARLEY_OK);
    import(pl_span_text(pem));
    PL_ASSERT(pl_pem_encode(bytes, "RSA PRIVATE KEY", pem, sizeof pem) == PARLEY_OK);
    import(pl_span_text(pem));
    return 0;
}
