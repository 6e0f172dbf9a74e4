/* SPDX-License-Identifier: Apache-2.0
 *
 * Three of BearSSL's functions, replaced in this program only.
 *
 *   br_prng_seeder_system       BearSSL mixes in the system's randomness whatever it is given. With
 *                               no system seeder it takes only ours: a seed with TLS repeats.
 *   br_rsa_pkcs1_sign_get_default, br_rsa_public_get_default
 *                               An RSA signature costs 1.4 ms, more than all the rest of a short
 *                               run. In most worlds signatures are played: the hash, and a checksum
 *                               that binds it to the key. One that is wrong is refused as before.
 */
#include "sim/world.h"

#include "core/hash.h"

#include <bearssl.h>

/* Which of the two; the functions below have no argument that could tell. */
static bool keys_are_real;

void sim_keys_real(bool real)
{
    keys_are_real = real;
}

/* Exported, for the library itself is to find it. */
__attribute__((visibility("default"))) br_prng_seeder br_prng_seeder_system(const char **name)
{
    if (name != NULL)
        *name = "none";
    return NULL;
}

static uint64_t last_word(const unsigned char *number, size_t len)
{
    uint64_t word = 0;
    for (size_t i = len < 8 ? 0 : len - 8; i < len; i++)
        word = word << 8 | number[i];
    return word;
}

static void bind(uint64_t key, const unsigned char *hash, uint8_t out[PL_SHA256_BYTES])
{
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, &key, sizeof key);
    pl_sha256_update(&h, hash, PL_SHA256_BYTES);
    pl_sha256_final(&h, out);
}

/* The last bits of the modulus follow from the last bits of its factors. */
static uint32_t play_sign(const unsigned char *hash_oid, const unsigned char *hash, size_t hash_len,
                          const br_rsa_private_key *sk, unsigned char *x)
{
    uint64_t key = last_word(sk->p, sk->plen) * last_word(sk->q, sk->qlen);
    (void)hash_oid;
    PL_ASSERT(hash_len == PL_SHA256_BYTES);
    memset(x, 0, (sk->n_bitlen + 7) / 8);
    memcpy(x, hash, PL_SHA256_BYTES);
    bind(key, hash, x + PL_SHA256_BYTES);
    return 1;
}

/* What the public operation makes of a good signature: the padded hash (EMSA-PKCS1-v1_5). A bad one
 * stays as it is and is no such thing. */
static uint32_t play_public(unsigned char *x, size_t xlen, const br_rsa_public_key *pk)
{
    static const uint8_t head[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t bound[PL_SHA256_BYTES];
    if (xlen != pk->nlen)
        return 0;
    memcpy(hash, x, sizeof hash);
    bind(last_word(pk->n, pk->nlen), hash, bound);
    if (memcmp(bound, x + PL_SHA256_BYTES, sizeof bound) != 0)
        return 1;
    memset(x, 0xff, xlen);
    x[0] = 0x00;
    x[1] = 0x01;
    size_t at = xlen - sizeof hash - sizeof head;
    x[at - 1] = 0x00;
    memcpy(x + at, head, sizeof head);
    memcpy(x + xlen - sizeof hash, hash, sizeof hash);
    return 1;
}

br_rsa_pkcs1_sign br_rsa_pkcs1_sign_get_default(void)
{
    br_rsa_pkcs1_sign fast = br_rsa_i62_pkcs1_sign_get();
    if (!keys_are_real)
        return play_sign;
    return fast != NULL ? fast : br_rsa_i31_pkcs1_sign;
}

br_rsa_public br_rsa_public_get_default(void)
{
    br_rsa_public fast = br_rsa_i62_public_get();
    if (!keys_are_real)
        return play_public;
    return fast != NULL ? fast : br_rsa_i31_public;
}
