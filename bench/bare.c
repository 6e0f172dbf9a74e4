/* SPDX-License-Identifier: Apache-2.0 */
#include "bare.h"
#include "bench.h"

#include <bearssl.h>
#include <stdlib.h>

#define RSA_BITS    2048
#define RSA_BYTES   (RSA_BITS / 8)
#define CACHE_BYTES 4096

struct signer {
    br_rsa_private_key private_key;
    br_rsa_public_key public_key;
    uint8_t private_buf[BR_RSA_KBUF_PRIV_SIZE(RSA_BITS)];
    uint8_t public_buf[BR_RSA_KBUF_PUB_SIZE(RSA_BITS)];
};

struct bare {
    struct pl_tls_credential credential;
    struct signer signers[2];
    uint16_t suite;
    br_ssl_client_context client;
    br_ssl_server_context server;
    br_x509_certificate chain;
    br_ec_private_key server_key;
    br_x509_knownkey_context known;
    br_ssl_session_cache_lru cache;
    br_ssl_session_parameters session;
    uint8_t cache_bytes[CACHE_BYTES];
    uint8_t client_input[BR_SSL_BUFSIZE_INPUT];
    uint8_t client_output[BR_SSL_BUFSIZE_OUTPUT];
    uint8_t server_input[BR_SSL_BUFSIZE_INPUT];
    uint8_t server_output[BR_SSL_BUFSIZE_OUTPUT];
};

static void signer_make(struct signer *signer)
{
    br_hmac_drbg_context rng;
    br_hmac_drbg_init(&rng, &br_sha256_vtable, "bench", 5);
    bench_check(br_prng_seeder_system(NULL)(&rng.vtable) == 1, "seeding");
    bench_check(br_rsa_keygen_get_default()(&rng.vtable, &signer->private_key, signer->private_buf,
                                            &signer->public_key, signer->public_buf, RSA_BITS,
                                            65537) == 1,
                "making an RSA key");
}

struct bare *bare_open(const struct pl_tls_credential *credential)
{
    struct bare *bare = bench_alloc(sizeof *bare);
    memset(bare, 0, sizeof *bare);
    bare->credential = *credential;
    bare->suite = br_aes_x86ni_ctr_get_vtable() != NULL
                      ? BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                      : BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    bare->chain =
        (br_x509_certificate){ .data = bare->credential.leaf, .data_len = credential->leaf_len };
    bare->server_key = (br_ec_private_key){ .curve = BR_EC_secp256r1,
                                            .x = bare->credential.private_key,
                                            .xlen = PL_EC_PRIVATE_BYTES };
    br_ec_public_key point = { .curve = BR_EC_secp256r1,
                               .q = bare->credential.public_key,
                               .qlen = PL_EC_PUBLIC_BYTES };
    br_x509_knownkey_init_ec(&bare->known, &point, BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
    br_ssl_session_cache_lru_init(&bare->cache, bare->cache_bytes, sizeof bare->cache_bytes);
    for (size_t i = 0; i < 2; i++)
        signer_make(&bare->signers[i]);
    return bare;
}

void bare_close(struct bare *bare)
{
    free(bare);
}

/* ---- TLS ---- */

/* The same algorithms as parley's profile, asked for by the same names. */
static void engine_setup(const struct bare *bare, br_ssl_engine_context *engine)
{
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, &bare->suite, 1);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
    br_ssl_engine_set_ec(engine, br_ec_get_default());
    br_ssl_engine_set_ecdsa(engine, br_ecdsa_vrfy_asn1_get_default());
    if (bare->suite == BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
        br_ssl_engine_set_default_aes_gcm(engine);
    else
        br_ssl_engine_set_default_chapol(engine);
}

static bool move(br_ssl_engine_context *from, br_ssl_engine_context *to)
{
    size_t have = 0;
    size_t room = 0;
    const uint8_t *src = br_ssl_engine_sendrec_buf(from, &have);
    uint8_t *dst = br_ssl_engine_recvrec_buf(to, &room);
    size_t len = src == NULL || dst == NULL ? 0 : pl_min_size(have, room);
    if (len == 0)
        return false;
    memcpy(dst, src, len);
    br_ssl_engine_sendrec_ack(from, len);
    br_ssl_engine_recvrec_ack(to, len);
    return true;
}

static bool is_ready(const br_ssl_engine_context *engine)
{
    return (br_ssl_engine_current_state(engine) & BR_SSL_SENDAPP) != 0;
}

static void tls_handshake(struct bare *bare, bool resume)
{
    br_ssl_engine_context *client = &bare->client.eng;
    br_ssl_engine_context *server = &bare->server.eng;
    br_ssl_client_zero(&bare->client);
    engine_setup(bare, client);
    br_ssl_engine_set_x509(client, &bare->known.vtable);
    br_ssl_engine_set_buffers_bidi(client, bare->client_input, sizeof bare->client_input,
                                   bare->client_output, sizeof bare->client_output);
    if (resume)
        br_ssl_engine_set_session_parameters(client, &bare->session);
    bench_check(br_ssl_client_reset(&bare->client, NULL, resume) == 1, "a bare TLS client");

    br_ssl_server_zero(&bare->server);
    engine_setup(bare, server);
    br_ssl_server_set_single_ec(&bare->server, &bare->chain, 1, &bare->server_key, BR_KEYTYPE_SIGN,
                                BR_KEYTYPE_RSA, br_ec_get_default(),
                                br_ecdsa_sign_asn1_get_default());
    br_ssl_server_set_cache(&bare->server, &bare->cache.vtable);
    br_ssl_engine_set_buffers_bidi(server, bare->server_input, sizeof bare->server_input,
                                   bare->server_output, sizeof bare->server_output);
    bench_check(br_ssl_server_reset(&bare->server) == 1, "a bare TLS server");

    for (bool moved = true; moved;) {
        moved = move(client, server);
        moved = move(server, client) || moved;
    }
    bench_check(is_ready(client) && is_ready(server), "a bare TLS handshake");
    if (!resume)
        br_ssl_engine_get_session_parameters(client, &bare->session);
}

/* ---- Signatures ---- */

static void verify(const br_rsa_public_key *key, struct parley_span signature,
                   const uint8_t hash[32])
{
    uint8_t found[32];
    bench_check(br_rsa_pkcs1_vrfy_get_default()(signature.ptr, signature.len, BR_HASH_OID_SHA256,
                                                sizeof found, key, found) == 1 &&
                    memcmp(found, hash, sizeof found) == 0,
                "a bare verification");
}

void bare_handshake(struct bare *bare, bool resume)
{
    static const uint8_t hash[32] = { 1 };
    uint8_t signature[RSA_BYTES];
    tls_handshake(bare, resume);
    for (size_t i = 0; i < 2; i++) {
        bench_check(br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, sizeof hash,
                                                    &bare->signers[i].private_key, signature) == 1,
                    "a bare signature");
        verify(&bare->signers[i].public_key, pl_span_of(signature, sizeof signature), hash);
    }
}

void bare_token(struct parley_span text, struct parley_span signature, const struct pl_pubkey *key)
{
    uint8_t hash[32];
    br_sha256_context sha;
    /* BearSSL takes the numbers through pointers that are not const and only reads them. */
    br_rsa_public_key rsa = { .n = (unsigned char *)(uintptr_t)key->modulus,
                              .nlen = key->modulus_len,
                              .e = (unsigned char *)(uintptr_t)key->exponent,
                              .elen = key->exponent_len };
    br_sha256_init(&sha);
    br_sha256_update(&sha, text.ptr, text.len);
    br_sha256_out(&sha, hash);
    verify(&rsa, signature, hash);
}
