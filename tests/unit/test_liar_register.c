/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that lies when it registers over HTTP. Each request is honest but for one thing. After
 * each lie the node has answered why it refuses, and knows and stores what it did before.
 */
#include "lib/keys.h"
#include "lib/snapshot.h"
#include "lib/talk.h"

#include "core/base64.h"
#include "core/hash.h"
#include "trust/token.h"

#include <stdio.h>

#define JSON_MAX 8192

/* The fields as JSON; a lie changes one. */
struct claim {
    struct rig *rig;
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char sbt[JSON_MAX];
    char id_json[JSON_MAX];
    char pem[JSON_MAX];
    char capabilities[JSON_MAX];
    char body[5 * JSON_MAX];
};

/* ---- What an honest one says ---- */

static void quote(char out[JSON_MAX], const char *text)
{
    size_t at = 0;
    out[at++] = '"';
    for (; *text != '\0'; text++) {
        assert_true(at + 4 < JSON_MAX);
        if (*text == '\n')
            out[at++] = '\\';
        out[at++] = *text == '\n' ? 'n' : *text;
    }
    out[at++] = '"';
    out[at] = '\0';
}

static struct pl_token honest_token(const struct claim *c)
{
    struct pl_token token = { .sbt_id = "sbt-1", .user_id = "u", .session_id = "s" };
    snprintf(token.issuer, sizeof token.issuer, "%s", c->id);
    snprintf(token.local_backend_id, sizeof token.local_backend_id, "%s", c->id);
    snprintf(token.hosted_backend_id, sizeof token.hosted_backend_id, "%s",
             c->rig->c.node->backend_id);
    token.created_at = c->rig->c.now.wall;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    return token;
}

static void set_token(struct claim *c, const struct pl_token *token, enum who signer)
{
    char jwt[PARLEY_TOKEN_BYTES_MAX + 1];
    size_t len = 0;
    assert_ok(pl_token_issue(c->rig->ids[signer], token, jwt, &len));
    jwt[len] = '\0';
    quote(c->sbt, jwt);
}

static void set_key(struct claim *c, enum who who)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(c->rig->ids[who]), pem));
    quote(c->pem, pem);
}

/* Registers `id` by the key of somebody, with a token that agrees. */
static void claim_id(struct claim *c, const char *id, enum who who)
{
    snprintf(c->id, sizeof c->id, "%s", id);
    quote(c->id_json, c->id);
    set_key(c, who);
    struct pl_token token = honest_token(c);
    set_token(c, &token, who);
}

static void claim_init(struct claim *c, struct rig *r)
{
    c->rig = r;
    claim_id(c, r->names[STRANGER], STRANGER);
    snprintf(c->capabilities, sizeof c->capabilities, "[\"sync\"]");
}

static void write_body(struct claim *c)
{
    snprintf(c->body, sizeof c->body,
             "{\"sbt\":%s,\"peer_backend_id\":%s,\"peer_public_key\":%s,\"peer_capabilities\":%s}",
             c->sbt, c->id_json, c->pem, c->capabilities);
}

/* ---- Lies ---- */

static void signs_with_another_key(struct claim *c)
{
    struct pl_token token = honest_token(c);
    set_token(c, &token, NEXT);
}

static void brings_a_token_of_another_issuer(struct claim *c)
{
    struct pl_token token = honest_token(c);
    snprintf(token.issuer, sizeof token.issuer, "%s", c->rig->names[OTHER]);
    snprintf(token.local_backend_id, sizeof token.local_backend_id, "%s", c->rig->names[OTHER]);
    set_token(c, &token, OTHER);
}

static void brings_a_token_for_another_node(struct claim *c)
{
    struct pl_token token = honest_token(c);
    snprintf(token.hosted_backend_id, sizeof token.hosted_backend_id, "%s", c->rig->names[OTHER]);
    set_token(c, &token, STRANGER);
}

static void brings_an_expired_token(struct claim *c)
{
    struct pl_token token = honest_token(c);
    token.created_at -= 9 * INT64_C(3600) * PARLEY_US_PER_S;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    set_token(c, &token, STRANGER);
}

static void brings_a_token_from_the_future(struct claim *c)
{
    struct pl_token token = honest_token(c);
    token.created_at += INT64_C(3600) * PARLEY_US_PER_S;
    token.expires_at = token.created_at + PL_TOKEN_TTL_US_DEFAULT;
    set_token(c, &token, STRANGER);
}

/* The header is another one than was signed. */
static void brings_a_token_without_algorithm(struct claim *c)
{
    char header[512];
    char jwt[JSON_MAX];
    uint8_t encoded[512];
    struct pl_writer w = pl_writer_over(encoded, sizeof encoded);
    snprintf(header, sizeof header, "{\"typ\":\"SBT\",\"alg\":\"none\",\"kid\":\"%s\"}", c->id);
    pl_base64url_write(&w, pl_span_text(header));
    assert_ok(w.err);
    snprintf(jwt, sizeof jwt, "\"%.*s%s", (int)w.len, (const char *)encoded, strchr(c->sbt, '.'));
    memcpy(c->sbt, jwt, strlen(jwt) + 1);
}

static void cuts_the_signature(struct claim *c)
{
    memcpy(c->sbt + strlen(c->sbt) - 5, "\"", sizeof "\"");
}

static void brings_a_long_token(struct claim *c)
{
    memset(c->sbt + 1, 'a', PARLEY_TOKEN_BYTES_MAX + 1);
    memcpy(c->sbt + PARLEY_TOKEN_BYTES_MAX + 2, "\"", sizeof "\"");
}

static void is_the_node_itself(struct claim *c)
{
    claim_id(c, c->rig->c.node->backend_id, STRANGER);
}

static void is_another_peer(struct claim *c)
{
    claim_id(c, c->rig->names[OTHER], STRANGER);
}
static void was_revoked(struct claim *c)
{
    claim_id(c, c->rig->names[REVOKED], REVOKED);
}
static void shows_the_key_of_another(struct claim *c)
{
    set_key(c, NEXT);
}

static void has_another_type(struct claim *c)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    snprintf(id, sizeof id, "other%s", strchr(c->rig->names[STRANGER], '_'));
    claim_id(c, id, STRANGER);
}

static void has_more_before_its_id(struct claim *c)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    id[0] = 'x';
    memcpy(id + 1, c->rig->names[STRANGER], sizeof id - 1);
    claim_id(c, id, STRANGER);
}

static void has_a_second_id(struct claim *c)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(c->rig->ids[OTHER]), id);
    claim_id(c, id, OTHER);
}

static void was_revoked_under_another_id(struct claim *c)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    pl_backend_id_make(PL_BACKEND_EDGE, pl_identity_pubkey(c->rig->ids[REVOKED]), id);
    claim_id(c, id, REVOKED);
}

/* The peer has rotated since: its first key still gives the id, but is no longer its key. */
static void shows_a_key_that_was_rotated_away(struct claim *c)
{
    struct pl_peer *peer =
        pl_peers_find(&c->rig->c.node->peers, pl_span_text(c->rig->names[OTHER]));
    peer->previous = peer->key;
    peer->has_previous = true;
    peer->key = *pl_identity_pubkey(c->rig->ids[NEXT]);
    claim_id(c, c->rig->names[OTHER], OTHER);
}

static void shows_half_a_key(struct claim *c)
{
    static const char end[] = "\\n-----END PUBLIC KEY-----\\n\"";
    memcpy(c->pem + strlen(c->pem) / 2, end, sizeof end);
}

static void shows_a_private_key(struct claim *c)
{
    quote(c->pem, TEST_KEY_EC);
}
static void shows_a_small_key(struct claim *c)
{
    quote(c->pem, TEST_KEY_1024);
}

static void shows_a_long_key(struct claim *c)
{
    memset(c->pem + 1, 'a', PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1);
    memcpy(c->pem + PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 2, "\"", sizeof "\"");
}

static void has_a_long_id(struct claim *c)
{
    char id[PARLEY_BACKEND_ID_BYTES_MAX + 2];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    quote(c->id_json, id);
}

static void has_many_capabilities(struct claim *c)
{
    size_t at = 1;
    for (; at < 2400; at += 2)
        memcpy(c->capabilities + at, "1,", 2);
    memcpy(c->capabilities + at, "1]", sizeof "1]");
}

static void has_deep_capabilities(struct claim *c)
{
    memset(c->capabilities, '[', 80);
    memset(c->capabilities + 80, ']', 80);
    c->capabilities[160] = '\0';
}

struct lie {
    unsigned status;
    const char *code;
    void (*tell)(struct claim *c);
    /* Or: this JSON in the place of a field. */
    const char *sbt, *id, *pem, *capabilities;
    const char *body; /* or of all; NULL: the fields */
};

#define TELL(status, code, lie)                                                                    \
    {                                                                                              \
        status, code, lie, NULL, NULL, NULL, NULL, NULL                                            \
    }
#define SBT(code, json)                                                                            \
    {                                                                                              \
        400, code, NULL, json, NULL, NULL, NULL, NULL                                              \
    }
#define ID(code, json)                                                                             \
    {                                                                                              \
        400, code, NULL, NULL, json, NULL, NULL, NULL                                              \
    }
#define KEY(code, json)                                                                            \
    {                                                                                              \
        400, code, NULL, NULL, NULL, json, NULL, NULL                                              \
    }
#define CAPABLE(code, json)                                                                        \
    {                                                                                              \
        400, code, NULL, NULL, NULL, NULL, json, NULL                                              \
    }
#define BODY(code, json)                                                                           \
    {                                                                                              \
        400, code, NULL, NULL, NULL, NULL, NULL, json                                              \
    }

static const struct lie lies[] = {
    TELL(401, "token-signature", signs_with_another_key),
    TELL(400, "bad-sbt", brings_a_token_of_another_issuer),
    TELL(400, "bad-sbt", brings_a_token_for_another_node),
    TELL(401, "token-expired", brings_an_expired_token),
    TELL(401, "token-not-yet-valid", brings_a_token_from_the_future),
    TELL(401, "token-", brings_a_token_without_algorithm),
    TELL(401, "token-", cuts_the_signature),
    TELL(400, "sbt", brings_a_long_token),
    SBT("wrong-type", "7"),
    SBT("wrong-type", "true"),
    SBT("wrong-type", "[\"a.b.c\"]"),
    SBT("missing-field", "null"),
    SBT("bad-sbt", "{\"sbt_id\":\"x\"}"),
    SBT("bad-sbt", "\"\""),
    SBT("bad-sbt", "\"a.b.c\""),
    SBT("bad-json", "\"\xff\""),

    TELL(400, "bad-backend-id", is_the_node_itself),
    TELL(400, "bad-backend-id", is_another_peer),
    TELL(400, "bad-backend-id", has_another_type),
    TELL(400, "bad-backend-id", has_more_before_its_id),
    TELL(409, "key-conflict", has_a_second_id),
    TELL(403, "revoked", was_revoked),
    TELL(403, "revoked", was_revoked_under_another_id),
    TELL(400, "too-long", has_a_long_id),
    ID("wrong-type", "7"),
    ID("wrong-type", "{}"),
    ID("missing-field", "null"),
    ID("bad-backend-id", "\"\""),
    ID("bad-backend-id", "\"local sha\""),
    ID("bad-backend-id", "\"local\\nsha\""),
    ID("bad-backend-id", "\"local\\u0000sha\""),
    ID("bad-backend-id", "\"loc\xc3\xa4l\""),
    ID("bad-json", "\"loc\xc3l\""),
    ID("bad-json", "\"\\ud800\""),

    TELL(409, "key-conflict", shows_a_key_that_was_rotated_away),
    TELL(400, "bad-backend-id", shows_the_key_of_another),
    TELL(400, "bad-key", shows_half_a_key),
    TELL(400, "bad-key", shows_a_private_key),
    TELL(400, "bad-key", shows_a_small_key),
    TELL(400, "too-long", shows_a_long_key),
    KEY("wrong-type", "7"),
    KEY("wrong-type", "[]"),
    KEY("missing-field", "null"),
    KEY("bad-key", "\"\""),
    KEY("bad-key", "\"nonsense\""),
    KEY("bad-json", "\"\xff\""),

    CAPABLE("wrong-type", "7"),
    CAPABLE("wrong-type", "{}"),
    CAPABLE("wrong-type", "\"sync\""),
    CAPABLE("bad-json", "[\"\xff\"]"),
    TELL(400, "too-long", has_many_capabilities),
    TELL(400, "bad-json", has_deep_capabilities),

    BODY("missing-field", "{}"),
    BODY("wrong-type", "[]"),
    BODY("wrong-type", "\"sbt\""),
    BODY("bad-json", "{"),
    BODY("bad-json", "{\"sbt\":1}x"),
    BODY("duplicate-field", "{\"sbt\":1,\"sbt\":1}"),
    BODY("duplicate-field", "{\"peer_backend_id\":\"a\",\"peer_backend_id\":\"b\"}"),
    BODY("duplicate-field", "{\"peer_public_key\":\"a\",\"peer_public_key\":\"a\"}"),
    BODY("duplicate-field", "{\"peer_capabilities\":[],\"peer_capabilities\":[]}"),
};

static void put(char out[JSON_MAX], const char *json)
{
    if (json != NULL)
        snprintf(out, JSON_MAX, "%s", json);
}

static void check_lie(size_t number)
{
    static struct rig r;
    static struct claim c;
    const struct lie *lie = &lies[number];
    rig_open(&r);
    claim_init(&c, &r);
    if (lie->tell != NULL)
        lie->tell(&c);
    put(c.sbt, lie->sbt);
    put(c.id_json, lie->id);
    put(c.pem, lie->pem);
    put(c.capabilities, lie->capabilities);
    write_body(&c);
    struct snapshot before = snapshot_take(r.c.node, r.c.db);
    struct node_reply reply = node_client_ask(&r.c, "POST", "/register-peer", NULL,
                                              lie->body != NULL ? lie->body : c.body);
    struct snapshot after = snapshot_take(r.c.node, r.c.db);
    if (reply.status != lie->status || strstr(reply.body, lie->code) == NULL)
        fail_msg("lie %zu: %u %s, wanted %u %s", number, reply.status, reply.body, lie->status,
                 lie->code);
    if (memcmp(&before, &after, sizeof before) != 0)
        fail_msg("lie %zu (%s): the node is not what it was", number, lie->code);
    rig_close(&r);
}

static void a_registration_that_lies_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(lies); i++)
        check_lie(i);
}

static void a_registration_that_is_honest_is_taken(void **state)
{
    static struct rig r;
    static struct claim c;
    (void)state;
    rig_open(&r);
    claim_init(&c, &r);
    write_body(&c);
    node_client_expect(node_client_ask(&r.c, "POST", "/register-peer", NULL, c.body), 202,
                       "pending");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_that_is_honest_is_taken),
        cmocka_unit_test(a_registration_that_lies_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
