/* SPDX-License-Identifier: Apache-2.0
 *
 * What is set up here and why:
 *
 *   - TLS 1.2 only, ECDHE_ECDSA only, SHA-256 only: the one kind of certificate that parley makes.
 *     Debian's BearSSL prefers ChaCha20 and still offers 3DES; so the suites are our own. AES-GCM
 *     comes first where the CPU has the instructions, 20 times faster; elsewhere ChaCha20.
 *   - CPU features are asked once, in the profile: CPUID traps in a virtual machine, 5 us each.
 *   - Entropy of the host is injected before the handshake: BearSSL 0.6 alone trusts RDRAND.
 *   - No renegotiation, no client certificates (the peer proves itself in the signed HELLO above).
 *   - Sessions are resumed, and carry the server key they were made under: rule R1. BearSSL has no
 *     extended master secret, so somebody in the middle can make two sessions with one master
 *     secret; but each side remembers the key that it saw, and the signed HELLOs then differ.
 *   - Which certificate a server shows is decided when the client's whole hello is known, ALPN
 *     included (rule R2): parley/1 always gets the node's own.
 *   - The input buffer is always full size: a smaller one breaks with peers that ask for exactly
 *     its record length. The output buffer is full too, for bulk sync.
 *   - BearSSL 0.6 hangs in close while application data is unread; hence the drain in shutdown.
 */
#include "proto/tls.h"

#include "core/hash.h"

#include <bearssl.h>

#define SEED_BYTES          48
#define SUITES_COUNT        4
#define SUITES_COUNT_ECDSA  2 /* the first of them */
#define ECDSA_BYTES_MAX     72
#define HASH_OF_ALGORITHM   0xff
#define ALGORITHM_WITH_HASH 0xff00u

struct pl_tls_profile {
    struct parley_env env; /* a copy: destroy needs it */
    const br_block_ctr_class *aes_ctr;
    br_ghash ghash;
    br_chacha20_run chacha20;
    br_poly1305_run poly1305;
    const br_ec_impl *ec;
    br_ecdsa_vrfy ecdsa_verify;
    br_ecdsa_sign ecdsa_sign;
    uint16_t suites[SUITES_COUNT];
    const char *alpn[2]; /* in the server's order of preference */
    struct pl_tls_cache *cache;
};

/* Collects the server's leaf and judges it; what BearSSL calls an X.509 engine. */
struct leaf_engine {
    const br_x509_class *vtable; /* first, as BearSSL demands */
    bool is_refused;             /* more than one certificate, or too long */
    parley_wall wall;
    uint8_t der[PL_CERT_DER_BYTES_MAX];
    size_t len;
    unsigned count;
    parley_err verdict;
    br_x509_pkey key;
    uint8_t point[PL_EC_PUBLIC_BYTES];
};

/* What BearSSL calls a policy: which certificate a server shows, and signing with its key. */
struct policy {
    const br_ssl_server_policy_class *vtable;
    const struct pl_https_cert *https; /* NULL: none */
    struct pl_tls_credential own;      /* wiped once the handshake is over */
    br_x509_certificate chain[PL_HTTPS_CHAIN_MAX];
    bool was_asked; /* in a full handshake alone */
    bool is_https;
};

struct pl_tls {
    struct parley_env env; /* a copy: close needs it */
    union {
        br_ssl_engine_context engine; /* the first member of both others */
        br_ssl_server_context server;
        br_ssl_client_context client;
    } ssl;
    struct pl_tls_profile *profile; /* server */
    parley_time now;                /* of opening: how old sessions are is judged by it */
    bool is_client;
    bool is_ready;
    bool is_resumed;
    enum pl_alpn alpn;
    union {
        struct leaf_engine leaf; /* client */
        struct policy policy;    /* server */
    };
    const br_ssl_session_cache_class *cache_vtable; /* server */
    struct pl_tls_session session; /* the one of this connection; first the one offered or found */
    uint8_t input[BR_SSL_BUFSIZE_INPUT];
    uint8_t output[BR_SSL_BUFSIZE_OUTPUT];
};
_Static_assert(offsetof(br_ssl_server_context, eng) == 0, "the union relies on it");
_Static_assert(offsetof(br_ssl_client_context, eng) == 0, "the union relies on it");
_Static_assert(sizeof((br_ssl_session_parameters){ 0 }.session_id) == PL_TLS_SESSION_ID_BYTES &&
                   sizeof((br_ssl_session_parameters){ 0 }.master_secret) == PL_TLS_MASTER_BYTES,
               "a session must hold what BearSSL resumes from");

/* ---- Profile ---- */

static const br_block_ctr_class *portable_aes(void)
{
    return sizeof(size_t) >= 8 ? &br_aes_ct64_ctr_vtable : &br_aes_ct_ctr_vtable;
}

static br_ghash portable_ghash(void)
{
    return sizeof(size_t) >= 8 ? &br_ghash_ctmul64 : &br_ghash_ctmul32;
}

parley_err pl_tls_profile_create(const struct parley_env *env, struct pl_tls_profile **out)
{
    struct pl_tls_profile *profile = env->alloc(env->ud, sizeof *profile);
    if (profile == NULL)
        return PARLEY_ENOMEM;
    struct pl_tls_cache *cache = env->alloc(env->ud, sizeof *cache);
    if (cache == NULL) {
        env->release(env->ud, profile, sizeof *profile);
        return PARLEY_ENOMEM;
    }
    pl_tls_cache_flush(cache);
    *profile = (struct pl_tls_profile){ .env = *env,
                                        .aes_ctr = br_aes_x86ni_ctr_get_vtable(),
                                        .ghash = br_ghash_pclmul_get(),
                                        .chacha20 = &br_chacha20_ct_run, /* beats sse2, measured */
                                        .poly1305 = br_poly1305_ctmulq_get(),
                                        .ec = br_ec_get_default(),
                                        .ecdsa_verify = br_ecdsa_vrfy_asn1_get_default(),
                                        .ecdsa_sign = br_ecdsa_sign_asn1_get_default(),
                                        .alpn = { "parley/1", "http/1.1" },
                                        .cache = cache };
    if (profile->aes_ctr == NULL)
        profile->aes_ctr = br_aes_pwr8_ctr_get_vtable();
    bool has_fast_aes = profile->aes_ctr != NULL;
    if (profile->aes_ctr == NULL)
        profile->aes_ctr = portable_aes();
    if (profile->ghash == NULL)
        profile->ghash = br_ghash_pwr8_get();
    if (profile->ghash == NULL)
        profile->ghash = portable_ghash();
    if (profile->poly1305 == NULL)
        profile->poly1305 = &br_poly1305_ctmul_run;
    size_t aes = has_fast_aes ? 0 : 1;
    profile->suites[aes] = BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    profile->suites[1 - aes] = BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    profile->suites[2 + aes] = BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    profile->suites[3 - aes] = BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256;
    *out = profile;
    return PARLEY_OK;
}

void pl_tls_profile_destroy(struct pl_tls_profile *profile)
{
    if (profile == NULL)
        return;
    struct parley_env env = profile->env;
    pl_tls_cache_flush(profile->cache);
    env.release(env.ud, profile->cache, sizeof *profile->cache);
    env.release(env.ud, profile, sizeof *profile);
}

void pl_tls_profile_forget(struct pl_tls_profile *profile)
{
    pl_tls_cache_flush(profile->cache);
}

/* ---- The check of the server's certificate ---- */

static struct leaf_engine *leaf_of(const br_x509_class **ctx)
{
    return (struct leaf_engine *)(void *)ctx;
}

static void leaf_start_chain(const br_x509_class **ctx, const char *server_name)
{
    struct leaf_engine *leaf = leaf_of(ctx);
    (void)server_name; /* a node is known by its key, not by a name */
    leaf->count = 0;
    leaf->len = 0;
    leaf->is_refused = false;
}

static void leaf_start_cert(const br_x509_class **ctx, uint32_t length)
{
    struct leaf_engine *leaf = leaf_of(ctx);
    leaf->count++;
    if (leaf->count > 1 || length > sizeof leaf->der)
        leaf->is_refused = true;
}

static void leaf_append(const br_x509_class **ctx, const unsigned char *buf, size_t len)
{
    struct leaf_engine *leaf = leaf_of(ctx);
    if (leaf->is_refused || len > sizeof leaf->der - leaf->len) {
        leaf->is_refused = true;
        return;
    }
    memcpy(leaf->der + leaf->len, buf, len);
    leaf->len += len;
}

static void leaf_end_cert(const br_x509_class **ctx)
{
    (void)ctx;
}

static unsigned leaf_end_chain(const br_x509_class **ctx)
{
    struct leaf_engine *leaf = leaf_of(ctx);
    leaf->verdict = PARLEY_EMALFORMED;
    if (!leaf->is_refused && leaf->count == 1)
        leaf->verdict =
            pl_cert_leaf_check(pl_span_of(leaf->der, leaf->len), NULL, leaf->wall, leaf->point);
    if (leaf->verdict == PARLEY_OK)
        return 0;
    return leaf->verdict == PARLEY_EEXPIRED ? BR_ERR_X509_EXPIRED : BR_ERR_X509_UNEXPECTED;
}

static const br_x509_pkey *leaf_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    const struct leaf_engine *leaf = (const struct leaf_engine *)(const void *)ctx;
    if (leaf->verdict != PARLEY_OK)
        return NULL;
    if (usages != NULL)
        *usages = BR_KEYTYPE_SIGN;
    return &leaf->key;
}

static const br_x509_class leaf_class = { .context_size = sizeof(struct leaf_engine),
                                          .start_chain = leaf_start_chain,
                                          .start_cert = leaf_start_cert,
                                          .append = leaf_append,
                                          .end_cert = leaf_end_cert,
                                          .end_chain = leaf_end_chain,
                                          .get_pkey = leaf_get_pkey };

static void leaf_init(struct leaf_engine *leaf, parley_wall wall)
{
    leaf->vtable = &leaf_class;
    leaf->wall = wall;
    leaf->verdict = PARLEY_EMALFORMED;
    leaf->key.key_type = BR_KEYTYPE_EC;
    leaf->key.key.ec.curve = BR_EC_secp256r1;
    leaf->key.key.ec.q = leaf->point;
    leaf->key.key.ec.qlen = sizeof leaf->point;
}

/* ---- Sessions of a server (R1) ---- */

static struct pl_tls *tls_of_cache(const br_ssl_session_cache_class **ctx)
{
    return PL_CONTAINER_OF(ctx, struct pl_tls, cache_vtable);
}

/* Fills the session of this connection from what BearSSL knows of it. */
static void session_fill(struct pl_tls *tls, const br_ssl_session_parameters *params,
                         const uint8_t *server_key)
{
    struct pl_tls_session *session = &tls->session;
    *session = (struct pl_tls_session){ .is_set = true,
                                        .is_https = server_key == NULL,
                                        .version = params->version,
                                        .suite = params->cipher_suite,
                                        .made_at = tls->now };
    memcpy(session->id, params->session_id, sizeof session->id);
    memcpy(session->master, params->master_secret, sizeof session->master);
    if (server_key != NULL)
        memcpy(session->server_key, server_key, sizeof session->server_key);
}

static void session_params(const struct pl_tls_session *session, br_ssl_session_parameters *out)
{
    out->session_id_len = sizeof session->id;
    out->version = session->version;
    out->cipher_suite = session->suite;
    memcpy(out->session_id, session->id, sizeof session->id);
    memcpy(out->master_secret, session->master, sizeof session->master);
}

static void cache_save(const br_ssl_session_cache_class **ctx, br_ssl_server_context *server,
                       const br_ssl_session_parameters *params)
{
    struct pl_tls *tls = tls_of_cache(ctx);
    (void)server;
    session_fill(tls, params, tls->policy.is_https ? NULL : tls->policy.own.public_key);
    pl_tls_cache_add(tls->profile->cache, &tls->session, tls->now);
}

static int cache_load(const br_ssl_session_cache_class **ctx, br_ssl_server_context *server,
                      br_ssl_session_parameters *params)
{
    struct pl_tls *tls = tls_of_cache(ctx);
    (void)server;
    const struct pl_tls_session *found =
        pl_tls_cache_find(tls->profile->cache, params->session_id, tls->now);
    if (found == NULL)
        return 0;
    tls->session = *found;
    session_params(found, params);
    return 1;
}

static const br_ssl_session_cache_class cache_class = { .context_size = sizeof(
                                                            const br_ssl_session_cache_class *),
                                                        .save = cache_save,
                                                        .load = cache_load };

/* ---- The certificate of a server (R2) ---- */

static struct pl_tls *tls_of_policy(const br_ssl_server_policy_class **ctx)
{
    return PL_CONTAINER_OF(ctx, struct pl_tls, policy.vtable);
}

/* BearSSL takes bytes through pointers that are not const and only reads them. */
static unsigned char *lend(const uint8_t *bytes)
{
    return (unsigned char *)(uintptr_t)bytes;
}

static void policy_fill_chain(struct policy *policy, br_ssl_server_choices *choices)
{
    choices->chain = policy->chain;
    choices->chain_len = policy->is_https ? pl_https_cert_count(policy->https) : 1;
    for (size_t i = 0; policy->is_https && i < choices->chain_len; i++) {
        struct parley_span der = pl_https_cert_at(policy->https, i);
        policy->chain[i] = (br_x509_certificate){ .data = lend(der.ptr), .data_len = der.len };
    }
    if (!policy->is_https)
        policy->chain[0] = (br_x509_certificate){ .data = lend(policy->own.leaf),
                                                  .data_len = policy->own.leaf_len };
}

static int policy_choose(const br_ssl_server_policy_class **ctx,
                         const br_ssl_server_context *server, br_ssl_server_choices *choices)
{
    struct pl_tls *tls = tls_of_policy(ctx);
    struct policy *policy = &tls->policy;
    const char *name = br_ssl_engine_get_selected_protocol(&tls->ssl.engine);
    bool is_native = name != NULL && pl_span_is(pl_span_text(name), "parley/1");
    policy->was_asked = true;
    policy->is_https = policy->https != NULL && !is_native;
    bool is_rsa = policy->is_https && pl_https_cert_is_rsa(policy->https);
    /* The hashes that the client verifies: bits by number, for RSA, and 8 higher for ECDSA. */
    uint32_t hash = UINT32_C(1) << (br_sha256_ID + (is_rsa ? 0 : 8));
    if ((br_ssl_server_get_client_hashes(server) & hash) == 0)
        return 0;
    size_t count = 0;
    const br_suite_translated *suites = br_ssl_server_get_client_suites(server, &count);
    for (size_t i = 0; i < count; i++) {
        if (suites[i][1] >> 12 != (is_rsa ? BR_SSLKEYX_ECDHE_RSA : BR_SSLKEYX_ECDHE_ECDSA))
            continue;
        choices->cipher_suite = suites[i][0];
        choices->algo_id = ALGORITHM_WITH_HASH + br_sha256_ID;
        policy_fill_chain(policy, choices);
        return 1;
    }
    return 0;
}

static uint32_t policy_do_keyx(const br_ssl_server_policy_class **ctx, unsigned char *data,
                               size_t *len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return 0; /* no suite of ours has such an exchange */
}

static size_t policy_do_sign(const br_ssl_server_policy_class **ctx, unsigned algorithm,
                             unsigned char *data, size_t hash_len, size_t cap)
{
    const struct pl_tls *tls = tls_of_policy(ctx);
    const struct policy *policy = &tls->policy;
    uint8_t hash[PL_SHA256_BYTES];
    size_t len = 0;
    if ((algorithm & HASH_OF_ALGORITHM) != br_sha256_ID || hash_len != sizeof hash)
        return 0;
    memcpy(hash, data, sizeof hash);
    if (policy->is_https)
        return pl_https_cert_sign(policy->https, hash, data, cap, &len) == PARLEY_OK ? len : 0;
    br_ec_private_key key = { .curve = BR_EC_secp256r1,
                              .x = lend(policy->own.private_key),
                              .xlen = PL_EC_PRIVATE_BYTES };
    if (cap < ECDSA_BYTES_MAX)
        return 0;
    return tls->profile->ecdsa_sign(tls->profile->ec, &br_sha256_vtable, hash, &key, data);
}

static const br_ssl_server_policy_class policy_class = { .context_size = sizeof(struct policy),
                                                         .choose = policy_choose,
                                                         .do_keyx = policy_do_keyx,
                                                         .do_sign = policy_do_sign };

/* ---- Open and close ---- */

/* What both sides share. */
static void engine_setup(struct pl_tls *tls, const struct pl_tls_profile *profile)
{
    br_ssl_engine_context *engine = &tls->ssl.engine;
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
    br_ssl_engine_set_ec(engine, profile->ec);
    br_ssl_engine_set_ecdsa(engine, profile->ecdsa_verify);
    br_ssl_engine_set_gcm(engine, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
    br_ssl_engine_set_aes_ctr(engine, profile->aes_ctr);
    br_ssl_engine_set_ghash(engine, profile->ghash);
    br_ssl_engine_set_chapol(engine, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
    br_ssl_engine_set_chacha20(engine, profile->chacha20);
    br_ssl_engine_set_poly1305(engine, profile->poly1305);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION | BR_OPT_ENFORCE_SERVER_PREFERENCES);
    /* BearSSL takes an array of pointers that are not const and only reads it. */
    const char **names = (const char **)(uintptr_t)profile->alpn;
    br_ssl_engine_set_protocol_names(engine, names,
                                     tls->is_client ? 1 : PL_ARRAY_LEN(profile->alpn));
    br_ssl_engine_set_buffers_bidi(engine, tls->input, sizeof tls->input, tls->output,
                                   sizeof tls->output);

    uint8_t seed[SEED_BYTES];
    tls->env.entropy(tls->env.ud, seed, sizeof seed);
    br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
    pl_wipe(seed, sizeof seed);
}

/* Allocates a filter and clears all but its buffers: their pages are touched when they are used. */
static struct pl_tls *tls_alloc(const struct parley_env *env)
{
    struct pl_tls *tls = env->alloc(env->ud, sizeof *tls);
    if (tls == NULL)
        return NULL;
    memset(tls, 0, offsetof(struct pl_tls, input));
    tls->env = *env;
    return tls;
}

parley_err pl_tls_open_server(const struct parley_env *env, struct pl_tls_profile *profile,
                              const struct pl_tls_credential *credential,
                              const struct pl_https_cert *https, parley_time now,
                              struct pl_tls **out)
{
    struct pl_tls *tls = tls_alloc(env);
    if (tls == NULL)
        return PARLEY_ENOMEM;
    tls->profile = profile;
    tls->now = now;
    tls->policy.vtable = &policy_class;
    tls->policy.https = https;
    tls->policy.own = *credential;
    tls->cache_vtable = &cache_class;
    br_ssl_server_zero(&tls->ssl.server);
    engine_setup(tls, profile);
    bool has_rsa = https != NULL && pl_https_cert_is_rsa(https);
    br_ssl_engine_set_suites(&tls->ssl.engine, profile->suites,
                             has_rsa ? SUITES_COUNT : SUITES_COUNT_ECDSA);
    br_ssl_server_set_policy(&tls->ssl.server, &tls->policy.vtable);
    br_ssl_server_set_cache(&tls->ssl.server, &tls->cache_vtable);
    if (br_ssl_server_reset(&tls->ssl.server) != 1) {
        pl_tls_close(tls);
        return PARLEY_ESTATE;
    }
    *out = tls;
    return PARLEY_OK;
}

parley_err pl_tls_open_client(const struct parley_env *env, const struct pl_tls_profile *profile,
                              const struct pl_tls_session *session, struct parley_now now,
                              struct pl_tls **out)
{
    struct pl_tls *tls = tls_alloc(env);
    if (tls == NULL)
        return PARLEY_ENOMEM;
    tls->is_client = true;
    tls->now = now.mono;
    leaf_init(&tls->leaf, now.wall);
    br_ssl_client_zero(&tls->ssl.client);
    engine_setup(tls, profile);
    br_ssl_engine_set_suites(&tls->ssl.engine, profile->suites, SUITES_COUNT_ECDSA);
    br_ssl_engine_set_x509(&tls->ssl.engine, &tls->leaf.vtable);
    bool offers = session != NULL && pl_tls_session_is_usable(session, now.mono);
    if (offers) {
        br_ssl_session_parameters params;
        tls->session = *session;
        session_params(session, &params);
        br_ssl_engine_set_session_parameters(&tls->ssl.engine, &params);
        pl_wipe(&params, sizeof params);
    }
    if (br_ssl_client_reset(&tls->ssl.client, NULL, offers) != 1) {
        pl_tls_close(tls);
        return PARLEY_ESTATE;
    }
    *out = tls;
    return PARLEY_OK;
}

void pl_tls_close(struct pl_tls *tls)
{
    if (tls == NULL)
        return;
    struct parley_env env = tls->env;
    pl_wipe(tls, sizeof *tls);
    env.release(env.ud, tls, sizeof *tls);
}

/* ---- Bytes ---- */

/* The client's part of R1: a full handshake makes a new session, with the key just shown. */
static void note_client_session(struct pl_tls *tls)
{
    br_ssl_session_parameters params;
    tls->is_resumed = tls->leaf.count == 0;
    if (tls->is_resumed)
        return;
    br_ssl_engine_get_session_parameters(&tls->ssl.engine, &params);
    session_fill(tls, &params, tls->leaf.point);
    tls->session.is_set = params.session_id_len == PL_TLS_SESSION_ID_BYTES;
    pl_wipe(&params, sizeof params);
}

/* The server's: a resumed session was found with its key. No secret is needed from here on. */
static void note_server_session(struct pl_tls *tls)
{
    tls->is_resumed = !tls->policy.was_asked;
    if (!tls->is_resumed) {
        tls->session.is_https = tls->policy.is_https;
        memcpy(tls->session.server_key, tls->policy.own.public_key, PL_EC_PUBLIC_BYTES);
    }
    pl_wipe(tls->session.master, sizeof tls->session.master);
    pl_tls_credential_wipe(&tls->policy.own);
}

/* Notes the end of the handshake; it stays noted while the output is busy and after the close. */
static void note_ready(struct pl_tls *tls)
{
    unsigned state = br_ssl_engine_current_state(&tls->ssl.engine);
    if (tls->is_ready || (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) == 0)
        return;
    tls->is_ready = true;
    const char *name = br_ssl_engine_get_selected_protocol(&tls->ssl.engine);
    if (name != NULL)
        tls->alpn = pl_span_is(pl_span_text(name), "parley/1") ? PL_ALPN_PARLEY : PL_ALPN_HTTP;
    if (tls->is_client)
        note_client_session(tls);
    else
        note_server_session(tls);
    PL_ASSERT(tls->session.is_https || tls->session.server_key[0] == 0x04);
}

uint8_t *pl_tls_recv_buf(struct pl_tls *tls, size_t *len)
{
    *len = 0;
    return br_ssl_engine_recvrec_buf(&tls->ssl.engine, len);
}

void pl_tls_recv_ack(struct pl_tls *tls, size_t len)
{
    if (len == 0)
        return; /* BearSSL would take it for progress */
    br_ssl_engine_recvrec_ack(&tls->ssl.engine, len);
    note_ready(tls);
}

const uint8_t *pl_tls_send_buf(struct pl_tls *tls, size_t *len)
{
    *len = 0;
    return br_ssl_engine_sendrec_buf(&tls->ssl.engine, len);
}

void pl_tls_send_ack(struct pl_tls *tls, size_t len)
{
    if (len == 0)
        return;
    br_ssl_engine_sendrec_ack(&tls->ssl.engine, len);
    note_ready(tls);
}

const uint8_t *pl_tls_plain_recv_buf(struct pl_tls *tls, size_t *len)
{
    *len = 0;
    return br_ssl_engine_recvapp_buf(&tls->ssl.engine, len);
}

void pl_tls_plain_recv_ack(struct pl_tls *tls, size_t len)
{
    size_t have = 0;
    if (len == 0)
        return;
    /* A record is decrypted in place and stays there until a longer one comes. */
    pl_wipe(br_ssl_engine_recvapp_buf(&tls->ssl.engine, &have), len);
    br_ssl_engine_recvapp_ack(&tls->ssl.engine, len);
}

uint8_t *pl_tls_plain_send_buf(struct pl_tls *tls, size_t *len)
{
    *len = 0;
    return br_ssl_engine_sendapp_buf(&tls->ssl.engine, len);
}

void pl_tls_plain_send_ack(struct pl_tls *tls, size_t len)
{
    if (len != 0)
        br_ssl_engine_sendapp_ack(&tls->ssl.engine, len);
}

void pl_tls_flush(struct pl_tls *tls)
{
    br_ssl_engine_flush(&tls->ssl.engine, 0);
}

/* ---- State ---- */

bool pl_tls_is_ready(const struct pl_tls *tls)
{
    return tls->is_ready;
}

/* What an operator can act on; the number stays for the rest. */
static const char *reason_text(const struct pl_tls *tls, int error)
{
    if (error == BR_ERR_OK)
        return "TLS closed by close_notify";
    if (error == BR_ERR_X509_EXPIRED)
        return "the certificate of the peer is expired or not yet valid; are the clocks right?";
    if (error == BR_ERR_X509_UNEXPECTED)
        return "the certificate of the peer is not that of a parley node";
    if (error == BR_ERR_UNSUPPORTED_VERSION || error == BR_ERR_BAD_VERSION)
        return "no common TLS version: this side speaks TLS 1.2 alone";
    if (error >= BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT)
        return "the peer ended TLS with an alert";
    return tls->is_ready ? "TLS failed after the handshake" : "the TLS handshake failed";
}

static void write_reason(struct parley_diag *why, const char *text, int error)
{
    size_t len = strlen(text);
    PL_ASSERT(len + 16 < sizeof why->text);
    memcpy(why->text, text, len);
    if (error != BR_ERR_OK) {
        memcpy(why->text + len, " (TLS ", 6);
        len += 6;
        for (int unit = error >= 100 ? 100 : error >= 10 ? 10 : 1; unit != 0; unit /= 10) {
            why->text[len] = (char)('0' + error / unit % 10);
            len++;
        }
        why->text[len] = ')';
        len++;
    }
    why->text[len] = '\0';
}

bool pl_tls_is_closed(const struct pl_tls *tls, struct parley_diag *why)
{
    if ((br_ssl_engine_current_state(&tls->ssl.engine) & BR_SSL_CLOSED) == 0)
        return false;
    if (why != NULL) {
        int error = br_ssl_engine_last_error(&tls->ssl.engine);
        write_reason(why, reason_text(tls, error), error);
    }
    return true;
}

void pl_tls_shutdown(struct pl_tls *tls)
{
    br_ssl_engine_context *engine = &tls->ssl.engine;
    size_t len = 0;
    while (br_ssl_engine_recvapp_buf(engine, &len) != NULL)
        br_ssl_engine_recvapp_ack(engine, len);
    br_ssl_engine_flush(engine, 0);
    br_ssl_engine_close(engine);
}

enum pl_alpn pl_tls_alpn(const struct pl_tls *tls)
{
    return tls->alpn;
}

const uint8_t *pl_tls_server_key(const struct pl_tls *tls)
{
    PL_ASSERT(tls->is_ready);
    return tls->session.is_https ? NULL : tls->session.server_key;
}

bool pl_tls_is_resumed(const struct pl_tls *tls)
{
    return tls->is_resumed;
}

bool pl_tls_borrows(const struct pl_tls *tls, const struct pl_https_cert *https)
{
    return tls->policy.https == https;
}

bool pl_tls_session(const struct pl_tls *tls, struct pl_tls_session *out)
{
    PL_ASSERT(tls->is_client);
    if (!tls->is_ready || !tls->session.is_set)
        return false;
    *out = tls->session;
    return true;
}
