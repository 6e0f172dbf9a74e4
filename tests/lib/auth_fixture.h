/* SPDX-License-Identifier: Apache-2.0
 *
 * A node, and peers that register with it and bring tokens. For one test program: it holds
 * functions.
 */
#ifndef AUTH_FIXTURE_H
#define AUTH_FIXTURE_H

#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct env_mem env;
    struct node_client c;
    struct pl_identity *peer;  /* another node */
    struct pl_identity *other; /* a third */
    char peer_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char other_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX * 2]; /* of the peer, escaped for JSON */
    char other_pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX * 2];
    char token[PARLEY_TOKEN_BYTES_MAX + 1];
    char body[16384];
};

static void escape_pem(const struct pl_identity *id, char *out)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(id), pem));
    size_t at = 0;
    for (const char *p = pem; *p != '\0'; p++) {
        if (*p == '\n') {
            out[at++] = '\\';
            out[at++] = 'n';
        } else {
            out[at++] = *p;
        }
    }
    out[at] = '\0';
}

static int open_fixture(void **state, bool legacy)
{
    struct fixture *f = calloc(1, sizeof *f);
    env_mem_init(&f->env);
    const struct parley_env *env = &f->env.t.env;
    node_client_open(&f->c, &f->env, "a", TEST_KEY_A_PKCS8, legacy);
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_B_PKCS1), &f->peer, NULL));
    assert_ok(pl_identity_import(env, pl_span_text(TEST_KEY_3072_PKCS8), &f->other, NULL));
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(f->peer), f->peer_id);
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(f->other), f->other_id);
    escape_pem(f->peer, f->pem);
    escape_pem(f->other, f->other_pem);
    *state = f;
    return 0;
}

static inline int set_up(void **state)
{
    return open_fixture(state, false);
}

static inline int set_up_legacy(void **state)
{
    return open_fixture(state, true);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pl_identity_destroy(f->peer);
    pl_identity_destroy(f->other);
    node_client_close(&f->c);
    env_mem_deinit(&f->env);
    free(f);
    return 0;
}

static void copy_id(char *out, const char *id)
{
    snprintf(out, PARLEY_BACKEND_ID_BYTES_MAX + 1, "%s", id);
}

/* A token by `signer`, which says it is `issuer`, for `audience`, made `age` ago. */
static const char *make_token(struct fixture *f, const struct pl_identity *signer,
                              const char *issuer, const char *audience, int64_t age_s)
{
    struct pl_token token = { .sbt_id = "sbt-1", .user_id = "u", .session_id = "s" };
    size_t len = 0;
    copy_id(token.issuer, issuer);
    copy_id(token.local_backend_id, issuer);
    copy_id(token.hosted_backend_id, audience);
    token.created_at = f->c.now.wall - age_s * PARLEY_US_PER_S;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    assert_ok(pl_token_issue(signer, &token, f->token, &len));
    f->token[len] = '\0';
    return f->token;
}

static const char *us(struct fixture *f)
{
    return pl_node_backend_id(f->c.node);
}

static const char *peer_token(struct fixture *f)
{
    return make_token(f, f->peer, f->peer_id, us(f), 0);
}

/* The body of a registration; `sbt` is JSON. */
static const char *registration(struct fixture *f, const char *id, const char *pem, const char *sbt)
{
    snprintf(f->body, sizeof f->body,
             "{\"sbt\":%s,\"peer_backend_id\":\"%s\",\"peer_public_key\":\"%s\","
             "\"peer_capabilities\":[\"sync\"]}",
             sbt, id, pem);
    return f->body;
}

static struct node_reply send_registration(struct fixture *f, const char *id, const char *pem,
                                           const char *token)
{
    char sbt[PARLEY_TOKEN_BYTES_MAX + 3];
    snprintf(sbt, sizeof sbt, "\"%s\"", token);
    return node_client_ask(&f->c, "POST", "/register-peer", NULL, registration(f, id, pem, sbt));
}

static inline void register_peer(struct fixture *f)
{
    node_client_expect(send_registration(f, f->peer_id, f->pem, peer_token(f)), 202,
                       "\"status\":\"pending\",\"sbt_id\":\"sbt-1\"");
}

static inline void approve(struct fixture *f, const char *body)
{
    char path[128];
    snprintf(path, sizeof path, "/peers/%s/approve", f->peer_id);
    node_client_expect(node_client_admin(&f->c, "POST", path, body), 200, "approved");
}

#endif
