/* SPDX-License-Identifier: Apache-2.0
 *
 * Suite `trust`: what parley adds to the cryptography under it, and whether handshakes stall a
 * running node.
 *
 * Handshakes: both peers in this thread, through pl_tls and pl_session, until both are OPEN;
 * against the same TLS handshake in bare BearSSL and the two signatures and verifications that the
 * proofs need (bare.c). Both in turns of a few, CPU time, the median of the ratios of the turns.
 * The load on a real daemon is in trust_load.c.
 */
#define _GNU_SOURCE 1
#include "bare.h"
#include "bench.h"
#include "trust_load.h"

#include "core/base64.h"
#include "proto/session.h"
#include "proto/tls.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS_MAX      41
#define HANDSHAKES     5
#define TOKENS         200
#define NOTE_BYTES     320
#define US_PER_SECOND  1e6
#define TURNS_OF_QUICK 5

struct peer {
    struct pl_identity *identity;
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
};

struct rig {
    struct parley_env env;
    struct parley_now now;
    struct peer client, server;
    struct pl_tls_profile *profiles[2]; /* of the client, of the server */
    struct pl_tls_credential credential;
    struct pl_tls_session session;
    struct bare *bare;
    /* One handshake. */
    struct pl_tls *tls[2]; /* client, server */
    struct pl_session *sessions[2];
    bool open[2];
};

/* ---- Setting up ---- */

static void peer_make(struct rig *rig, struct peer *peer)
{
    bench_ok(pl_identity_create(&rig->env, PL_RSA_BITS_DEFAULT, &peer->identity), "a key");
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(peer->identity), peer->name);
}

static void rig_open(struct rig *rig)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    *rig = (struct rig){ .now.wall = (parley_wall)wall.tv_sec * PARLEY_US_PER_S };
    rig->now.mono = PARLEY_NS_PER_S;
    parley_env_posix(&rig->env);
    peer_make(rig, &rig->client);
    peer_make(rig, &rig->server);
    for (size_t i = 0; i < 2; i++)
        bench_ok(pl_tls_profile_create(&rig->env, &rig->profiles[i]), "a TLS profile");
    bench_ok(pl_tls_credential_make(&rig->env, rig->server.identity, rig->server.name, NULL,
                                    rig->now.wall, &rig->credential),
             "a certificate");
    rig->bare = bare_open(&rig->credential);
}

static void rig_close(struct rig *rig)
{
    bare_close(rig->bare);
    for (size_t i = 0; i < 2; i++)
        pl_tls_profile_destroy(rig->profiles[i]);
    pl_identity_destroy(rig->client.identity);
    pl_identity_destroy(rig->server.identity);
}

/* ---- Our handshake ---- */

static bool move_cipher(struct pl_tls *from, struct pl_tls *to)
{
    size_t have = 0;
    size_t room = 0;
    const uint8_t *src = pl_tls_send_buf(from, &have);
    uint8_t *dst = pl_tls_recv_buf(to, &room);
    size_t len = src == NULL || dst == NULL ? 0 : pl_min_size(have, room);
    if (len == 0)
        return false;
    memcpy(dst, src, len);
    pl_tls_send_ack(from, len);
    pl_tls_recv_ack(to, len);
    return true;
}

static bool move_plain(struct rig *rig, size_t side)
{
    size_t have = 0;
    size_t room = 0;
    bool moved = false;
    const uint8_t *src = pl_tls_plain_recv_buf(rig->tls[side], &have);
    uint8_t *dst = src == NULL ? NULL : pl_session_recv_buf(rig->sessions[side], &room);
    size_t len = dst == NULL ? 0 : pl_min_size(have, room);
    if (len != 0) {
        memcpy(dst, src, len);
        pl_tls_plain_recv_ack(rig->tls[side], len);
        pl_session_recv_ack(rig->sessions[side], len, rig->now.mono);
        moved = true;
    }
    struct pl_session_event event;
    pl_session_next(rig->sessions[side], &event);
    const struct pl_session_key client = { .key = pl_identity_pubkey(rig->client.identity) };
    if (event.kind == PL_SESSION_PEER)
        pl_session_admit(rig->sessions[side], &client);
    rig->open[side] = rig->open[side] || event.kind == PL_SESSION_OPEN;
    src = pl_session_send_buf(rig->sessions[side], &have);
    dst = src == NULL || have == 0 ? NULL : pl_tls_plain_send_buf(rig->tls[side], &room);
    len = dst == NULL ? 0 : pl_min_size(have, room);
    if (len != 0) {
        memcpy(dst, src, len);
        pl_session_send_ack(rig->sessions[side], len);
        pl_tls_plain_send_ack(rig->tls[side], len);
        pl_tls_flush(rig->tls[side]);
    }
    return moved || len != 0 || event.kind != PL_SESSION_NONE;
}

static void open_sessions(struct rig *rig)
{
    struct pl_session_config configs[2] = {
        { .client = true,
          .backend_id = pl_span_text(rig->client.name),
          .identity = rig->client.identity,
          .expect_backend_id = pl_span_text(rig->server.name),
          .expect_key.key = pl_identity_pubkey(rig->server.identity) },
        { .backend_id = pl_span_text(rig->server.name), .identity = rig->server.identity }
    };
    for (size_t side = 0; side < 2; side++) {
        memcpy(configs[side].tls_server_key, pl_tls_server_key(rig->tls[side]), PL_EC_PUBLIC_BYTES);
        bench_ok(pl_session_open(&rig->env, &configs[side], rig->now.mono, &rig->sessions[side]),
                 "a session");
    }
}

static void our_handshake(struct rig *rig, bool resume)
{
    bench_ok(pl_tls_open_server(&rig->env, rig->profiles[1], &rig->credential, NULL, rig->now.mono,
                                &rig->tls[1]),
             "a TLS server");
    bench_ok(pl_tls_open_client(&rig->env, rig->profiles[0], resume ? &rig->session : NULL,
                                rig->now, &rig->tls[0]),
             "a TLS client");
    rig->open[0] = false;
    rig->open[1] = false;
    while (!pl_tls_is_ready(rig->tls[0]) || !pl_tls_is_ready(rig->tls[1])) {
        bool moved = move_cipher(rig->tls[0], rig->tls[1]);
        moved = move_cipher(rig->tls[1], rig->tls[0]) || moved;
        bench_check(moved, "our TLS handshake");
    }
    open_sessions(rig);
    while (!rig->open[0] || !rig->open[1]) {
        bool moved = move_plain(rig, 0);
        moved = move_plain(rig, 1) || moved;
        moved = move_cipher(rig->tls[0], rig->tls[1]) || moved;
        moved = move_cipher(rig->tls[1], rig->tls[0]) || moved;
        bench_check(moved, "our handshake");
    }
    bench_check(pl_tls_is_resumed(rig->tls[0]) == resume &&
                    pl_tls_is_resumed(rig->tls[1]) == resume,
                "the kind of handshake");
    bench_check(pl_tls_session(rig->tls[0], &rig->session), "a session to resume");
    for (size_t side = 0; side < 2; side++) {
        pl_session_free(rig->sessions[side]);
        pl_tls_close(rig->tls[side]);
    }
}

/* ---- Ratios ---- */

struct ratio {
    double value;
    double ours_us, bare_us; /* medians, each */
};

struct contest {
    void (*ours)(void *arg);
    void (*bare)(void *arg);
    void *arg;
    size_t count; /* a turn */
};

static double cpu_of(void (*run)(void *arg), void *arg, size_t count)
{
    double start = bench_cpu();
    for (size_t i = 0; i < count; i++)
        run(arg);
    return (bench_cpu() - start) / (double)count;
}

static struct ratio compete(const struct bench *b, const struct contest *contest)
{
    double ratios[TURNS_MAX], ours[TURNS_MAX], bare[TURNS_MAX];
    size_t turns = b->quick ? TURNS_OF_QUICK : TURNS_MAX;
    cpu_of(contest->ours, contest->arg, 1);
    cpu_of(contest->bare, contest->arg, 1);
    for (size_t i = 0; i < turns; i++) {
        ours[i] = cpu_of(contest->ours, contest->arg, contest->count);
        bare[i] = cpu_of(contest->bare, contest->arg, contest->count);
        ratios[i] = ours[i] / bare[i];
    }
    return (struct ratio){ .value = bench_median(ratios, turns),
                           .ours_us = US_PER_SECOND * bench_median(ours, turns),
                           .bare_us = US_PER_SECOND * bench_median(bare, turns) };
}

static void report_ratio(const struct bench *b, const char *name, const struct ratio *ratio,
                         const char *why)
{
    char note[NOTE_BYTES];
    snprintf(note, sizeof note, "%.0f us against %.0f us of bare BearSSL, both sides; %s",
             ratio->ours_us, ratio->bare_us, why);
    bench_report(b, &(struct bench_metric){ .name = name,
                                            .value = ratio->value,
                                            .unit = "ratio",
                                            .baseline = &ratio->bare_us,
                                            .note = note });
}

static void ours_full(void *arg)
{
    our_handshake(arg, false);
}

static void ours_resumed(void *arg)
{
    our_handshake(arg, true);
}

static void bare_full(void *arg)
{
    struct rig *rig = arg;
    bare_handshake(rig->bare, false);
}

static void bare_resumed(void *arg)
{
    struct rig *rig = arg;
    bare_handshake(rig->bare, true);
}

static void measure_handshakes(const struct bench *b, struct rig *rig)
{
    struct ratio full = compete(
        b,
        &(struct contest){ .ours = ours_full, .bare = bare_full, .arg = rig, .count = HANDSHAKES });
    report_ratio(b, "handshake_full_ratio", &full,
                 "ours checks each of its two signatures before it leaves (a verification each), "
                 "parses the certificate, carries HELLO and PROOF in records, wipes its buffers");
    struct ratio resumed = compete(
        b, &(struct contest){
               .ours = ours_resumed, .bare = bare_resumed, .arg = rig, .count = HANDSHAKES });
    report_ratio(b, "handshake_resumed_ratio", &resumed,
                 "two RSA signatures are most of both; ours adds a check of each, the records of "
                 "HELLO and PROOF, and wiping");
}

/* ---- Tokens ---- */

struct token_case {
    char text[PARLEY_TOKEN_BYTES_MAX];
    size_t len;
    struct parley_span jwt;
    struct parley_span signed_text;
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t signature_len;
    const struct pl_pubkey *key;
    struct parley_span audience;
    parley_wall now;
};

static void ours_token(void *arg)
{
    const struct token_case *c = arg;
    struct pl_token token;
    bench_ok(pl_token_verify(c->jwt, c->key, c->audience, c->now, &token, NULL), "a token");
}

static void bare_token_case(void *arg)
{
    const struct token_case *c = arg;
    bare_token(c->signed_text, pl_span_of(c->signature, c->signature_len), c->key);
}

static void measure_token(const struct bench *b, struct rig *rig)
{
    struct token_case c = { .key = pl_identity_pubkey(rig->client.identity),
                            .audience = pl_span_text(rig->server.name),
                            .now = rig->now.wall };
    struct pl_token token = { .sbt_id = "0f8fad5b-d9cb-469f-a165-70867728950e",
                              .user_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                              .session_id = "session-2026-01-01-0001",
                              .created_at = rig->now.wall,
                              .expires_at = rig->now.wall + PL_TOKEN_TTL_US_DEFAULT };
    memcpy(token.local_backend_id, rig->client.name, sizeof token.local_backend_id);
    memcpy(token.hosted_backend_id, rig->server.name, sizeof token.hosted_backend_id);
    memcpy(token.issuer, rig->client.name, sizeof token.issuer);
    bench_ok(pl_token_issue(rig->client.identity, &token, c.text, &c.len), "a token");
    size_t dot = c.len;
    while (c.text[dot - 1] != '.')
        dot--;
    c.jwt = pl_span_of(c.text, c.len);
    c.signed_text = pl_span_of(c.text, dot - 1);
    bench_ok(pl_base64url_decode(pl_span_of(c.text + dot, c.len - dot), c.signature,
                                 sizeof c.signature, &c.signature_len),
             "a signature");
    struct ratio ratio =
        compete(b, &(struct contest){
                       .ours = ours_token, .bare = bare_token_case, .arg = &c, .count = TOKENS });
    report_ratio(
        b, "token_verify_ratio", &ratio,
        "ours decodes three parts of base64, reads two JSON objects and checks the claims");
}

void bench_trust(struct bench *b)
{
    struct rig *rig = bench_alloc(sizeof *rig);
    rig_open(rig);
    measure_handshakes(b, rig);
    measure_token(b, rig);
    rig_close(rig);
    free(rig);
    trust_load_measure(b);
}
