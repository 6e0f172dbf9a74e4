/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what: every route against everybody who may ask. A route that has no row here fails,
 * and so does a refusal that changes what the operator sees, or shows what is stored.
 */
#include "lib/auth_fixture.h"

#include "core/base64.h"
#include "core/hash.h"
#include "node/shim.h"

/* ---- Who asks ---- */

enum who {
    OPERATOR,
    ANONYMOUS,
    WRONG_ADMIN,
    MALFORMED,
    FORGED,  /* in the name of an active peer that may write, by another key */
    HMAC,    /* the same, as the old clients sign */
    EXPIRED, /* a good one of such a peer, of yesterday */
    STRANGER,
    PENDING,
    REVOKED, /* it could write before */
    READER,  /* of main */
    WRITER,  /* of main */
    OTHER,   /* writes b, has nothing in main */
    USER,    /* of this node: a token it issued itself */
    COMPAT,  /* no token, node with --compat-legacy */
    COMPAT_HMAC,
    COMPAT_FORGED,
    WHO_COUNT
};

static const char *const names[WHO_COUNT] = {
    "operator", "anonymous", "wrong admin",  "malformed",    "forged",         "hmac",
    "expired",  "stranger",  "pending",      "revoked",      "reader",         "writer",
    "other",    "a user",    "compat, none", "compat, hmac", "compat, forged",
};

/* ---- What a route is ---- */

/* What docs/HTTP.md says of it; the node's own table is not asked. */
enum policy {
    OPEN,
    OPERATOR_ONLY,
    READ,
    WRITE,
    PUSH,
    LEGACY_LIST,
    LEGACY_READ,
    OF_PEER,      /* the operator, and a peer for itself: all ask for another one here */
    OF_PEER_WRITE /* the same, with write, and with a token in any mode */
};

/* The refusal; NULL: let in. */
static const char *verdict(enum policy policy, enum who who)
{
    static const char *const no_token[WHO_COUNT] = {
        [ANONYMOUS] = "401 token-missing",   [WRONG_ADMIN] = "401 token-admin",
        [MALFORMED] = "401 token-malformed", [FORGED] = "401 token-signature",
        [HMAC] = "401 token-alg-hmac",       [EXPIRED] = "401 token-expired",
        [STRANGER] = "403 not-registered",   [PENDING] = "403 pending",
        [REVOKED] = "403 revoked",           [COMPAT] = "401 token-missing",
        [COMPAT_HMAC] = "401 token-missing", [COMPAT_FORGED] = "401 token-signature",
    };
    bool compat = who == COMPAT || who == COMPAT_HMAC;
    if (policy == OPEN || who == OPERATOR)
        return NULL;
    if (compat &&
        (policy == LEGACY_LIST || policy == LEGACY_READ || policy == PUSH || policy == OF_PEER))
        return NULL;
    if (no_token[who] != NULL)
        return who == COMPAT_HMAC && policy == OPERATOR_ONLY ? no_token[HMAC] : no_token[who];
    switch (policy) {
    case OPEN:
        return NULL;
    case OPERATOR_ONLY:
    case LEGACY_LIST:
        return "403 operator-only";
    case READ:
    case LEGACY_READ:
        return who == OTHER ? "403 not-granted" : NULL;
    case WRITE:
        return who == WRITER || who == USER ? NULL : "403 not-granted";
    case PUSH:
        return who == WRITER ? NULL : "403 not-granted";
    case OF_PEER_WRITE:
        if (who == READER)
            return "403 not-granted";
        /* fall through */
    case OF_PEER:
        return who == OTHER  ? "403 not-granted"
               : who == USER ? "403 operator-only"
                             : "403 other-peer";
    }
    return NULL;
}

#define MESSAGE "{\"message_id\":\"m9\",\"role\":\"user\",\"content\":\"x\"}"
#define LINE    "{\"conversation_id\":\"i\",\"updated_at\":\"2023-01-01T00:00:00\",\"messages\":[]}"
#define PAYLOAD "S" /* becomes a payload of whoever may send one */

/* In the order in which they are asked: what destroys comes last. In targets and bodies, "@" stands
 * for the id of another active peer. */
static const struct row {
    enum pl_http_method method;
    const char *pattern;
    enum policy policy;
    const char *target;
    const char *body;
    const char *let_in; /* what is answered to who may */
} rows[] = {
    { PL_HTTP_GET, "/identity", OPEN, "/identity", NULL, "200" },
    { PL_HTTP_GET, "/identity/ca.pem", OPEN, "/identity/ca.pem", NULL, "200" },
    { PL_HTTP_GET, "/health", OPEN, "/health", NULL, "200" },
    { PL_HTTP_GET, "/version", OPEN, "/version", NULL, "200" },
    { PL_HTTP_GET, "/openapi.json", OPEN, "/openapi.json", NULL, "200" },
    { PL_HTTP_GET, "/ui", OPEN, "/ui", NULL, "200" },
    { PL_HTTP_GET, "/ui/*", OPEN, "/ui/app.js", NULL, "200" },
    { PL_HTTP_POST, "/register-peer", OPEN, "/register-peer", "{}", "400 missing-field" },
    { PL_HTTP_GET, "/peers", LEGACY_LIST, "/peers", NULL, "200" },
    { PL_HTTP_GET, "/status", OPERATOR_ONLY, "/status", NULL, "200" },
    { PL_HTTP_GET, "/metrics", OPERATOR_ONLY, "/metrics", NULL, "200" },
    { PL_HTTP_GET, "/check", OPERATOR_ONLY, "/check", NULL, "200" },
    { PL_HTTP_GET, "/audit", OPERATOR_ONLY, "/audit", NULL, "200" },
    { PL_HTTP_GET, "/retention", OPERATOR_ONLY, "/retention", NULL, "200" },
    { PL_HTTP_POST, "/retention", OPERATOR_ONLY, "/retention", "{\"versions\":4}", "200" },
    { PL_HTTP_GET, "/log-level", OPERATOR_ONLY, "/log-level", NULL, "404 no-log" },
    { PL_HTTP_POST, "/log-level", OPERATOR_ONLY, "/log-level", "{\"level\":\"debug\"}",
      "404 no-log" },
    { PL_HTTP_GET, "/backup", OPERATOR_ONLY, "/backup", NULL, "200" },
    { PL_HTTP_GET, "/bundle", OPERATOR_ONLY, "/bundle", NULL, "200" },
    { PL_HTTP_POST, "/bundle", OPERATOR_ONLY, "/bundle", "x", "400 bad-bundle" },
    { PL_HTTP_GET, "/trash", OPERATOR_ONLY, "/trash", NULL, "200" },
    { PL_HTTP_POST, "/trash/restore", OPERATOR_ONLY, "/trash/restore", "{}", "200" },
    { PL_HTTP_DELETE, "/trash", OPERATOR_ONLY, "/trash", NULL, "200" },
    { PL_HTTP_GET, "/key", OPERATOR_ONLY, "/key", NULL, "200" },
    { PL_HTTP_GET, "/joins", OPERATOR_ONLY, "/joins", NULL, "200" },
    { PL_HTTP_POST, "/joins", OPERATOR_ONLY, "/joins", "{\"url\":\"x\"}", "400 bad-invite" },
    { PL_HTTP_POST, "/invites", OPERATOR_ONLY, "/invites", "{\"right\":\"write\"}", "201" },
    { PL_HTTP_GET, "/invites", OPERATOR_ONLY, "/invites", NULL, "200" },
    { PL_HTTP_DELETE, "/invites/*", OPERATOR_ONLY, "/invites/x", NULL, "404 no-such-invite" },
    { PL_HTTP_POST, "/tokens", OPERATOR_ONLY, "/tokens", "{\"user_id\":\"u\",\"peer\":\"@\"}",
      "201" },
    { PL_HTTP_GET, "/tokens", OPERATOR_ONLY, "/tokens", NULL, "200" },
    { PL_HTTP_DELETE, "/tokens/*", OPERATOR_ONLY, "/tokens/sbt-1?issuer=@", NULL, "200" },
    { PL_HTTP_POST, "/peers/*/approve", OPERATOR_ONLY, "/peers/@/approve",
      "{\"namespace\":\"main\",\"right\":\"write\"}", "200" },
    { PL_HTTP_POST, "/peers/*/sync", OPERATOR_ONLY, "/peers/@/sync", "{}", "202" },
    { PL_HTTP_GET, "/peers/*/diff", OPERATOR_ONLY, "/peers/@/diff", NULL, "200" },
    { PL_HTTP_POST, "/peers/*/diff", OPERATOR_ONLY, "/peers/@/diff", NULL, "409" },
    { PL_HTTP_POST, "/sync/*", OF_PEER_WRITE, "/sync/@", "{}", "200" },
    { PL_HTTP_GET, "/sync/*", OF_PEER, "/sync/@", NULL, "200" },
    { PL_HTTP_GET, "/sync/metrics/*", OF_PEER, "/sync/metrics/@", NULL, "200" },
    { PL_HTTP_GET, "/debug/sync/*", OF_PEER, "/debug/sync/@", NULL, "200" },
    { PL_HTTP_POST, "/peers/legacy", OPERATOR_ONLY, "/peers/legacy",
      "{\"url\":\"http://127.0.0.1:1\"}", "202" },
    { PL_HTTP_DELETE, "/peers/*", OPERATOR_ONLY, "/peers/@", NULL, "200" },
    { PL_HTTP_POST, "/key/rotate", OPERATOR_ONLY, "/key/rotate", "{}", "202" },
    { PL_HTTP_POST, "/import", OPERATOR_ONLY, "/import", LINE, "200" },
    { PL_HTTP_GET, "/export", READ, "/export", NULL, "200" },
    { PL_HTTP_GET, "/changes", READ, "/changes", NULL, "200" },
    { PL_HTTP_GET, "/conversations", READ, "/conversations", NULL, "200" },
    { PL_HTTP_POST, "/conversations", WRITE, "/conversations", "{\"conversation_id\":\"made\"}",
      "201" },
    { PL_HTTP_PATCH, "/conversations/*", WRITE, "/conversations/talk", "{\"title\":\"T\"}", "200" },
    { PL_HTTP_GET, "/conversations/*/messages", READ, "/conversations/talk/messages", NULL, "200" },
    { PL_HTTP_GET, "/conversations/*/messages/*", READ, "/conversations/talk/messages/m", NULL,
      "200" },
    { PL_HTTP_GET, "/conversations/*", LEGACY_READ, "/conversations/talk", NULL, "200" },
    { PL_HTTP_GET, "/conversations/*/history", READ, "/conversations/talk/history", NULL, "200" },
    { PL_HTTP_GET, "/conflicts", READ, "/conflicts", NULL, "200" },
    { PL_HTTP_POST, "/sync", PUSH, "/sync", PAYLOAD, "200" },
    { PL_HTTP_POST, "/conversations/*/messages", WRITE, "/conversations/talk/messages", MESSAGE,
      "201" },
    { PL_HTTP_POST, "/conversations/*/messages/*/append", WRITE,
      "/conversations/talk/messages/m10/append", "{\"role\":\"r\",\"content\":\"x\",\"done\":true}",
      "201" },
    { PL_HTTP_PATCH, "/conversations/*/messages/*", WRITE, "/conversations/talk/messages/m",
      "{\"content\":\"y\"}", "200" },
    { PL_HTTP_POST, "/conversations/*/promote", WRITE, "/conversations/talk/promote",
      "{\"message_id\":\"m\",\"version\":\"0000\"}", "404 no-such-version" },
    { PL_HTTP_DELETE, "/conversations/*/messages/*", WRITE, "/conversations/talk/messages/m", NULL,
      "200" },
    { PL_HTTP_POST, "/conversations/*/purge", OPERATOR_ONLY, "/conversations/nobody/purge", "{}",
      "404 no-such-conversation" },
    { PL_HTTP_DELETE, "/conversations/*", WRITE, "/conversations/talk", NULL, "200" },
};

static const char *method_text(enum pl_http_method method)
{
    switch (method) {
    case PL_HTTP_GET:
        return "GET";
    case PL_HTTP_HEAD:
        return "HEAD";
    case PL_HTTP_POST:
        return "POST";
    case PL_HTTP_PUT:
        return "PUT";
    case PL_HTTP_PATCH:
        return "PATCH";
    case PL_HTTP_DELETE:
        return "DELETE";
    case PL_HTTP_OPTIONS:
    case PL_HTTP_OTHER:
        break;
    }
    return "?";
}

/* ---- The world they ask in ---- */

static struct pl_peer *add_peer(struct fixture *f, const char *id, const struct pl_pubkey *key)
{
    struct pl_peer *peer = NULL;
    assert_ok(pl_peers_add(&f->c.node->peers, &f->env.t.env, pl_span_text(id), &peer));
    peer->key = *key;
    peer->state = PL_PEER_ACTIVE;
    snprintf(peer->address, sizeof peer->address, "127.0.0.1:1");
    return peer;
}

static void add_asker(struct fixture *f, enum who who)
{
    struct pl_peer *peer = add_peer(f, f->peer_id, pl_identity_pubkey(f->peer));
    peer->registered_at = f->c.now.wall;
    if (who == PENDING)
        peer->state = PL_PEER_PENDING;
    if (who == REVOKED)
        peer->state = PL_PEER_REVOKED;
    if (who != PENDING)
        assert_ok(pl_peer_grant(peer, pl_span_text(who == OTHER ? "b" : "main"), who != READER));
    pl_node_store_peer(f->c.node, peer);
}

static void seed(struct fixture *f)
{
    static const char body[] =
        "{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"this is private\"}";
    node_client_expect(node_client_admin(&f->c, "POST", "/conversations/talk/messages", body), 201,
                       NULL);
    node_client_expect(
        node_client_admin(&f->c, "POST", "/conversations/talk/messages?namespace=b", body), 201,
        NULL);
}

static void open_world(struct fixture **f, enum who who)
{
    void *state = NULL;
    bool legacy = who == COMPAT || who == COMPAT_HMAC || who == COMPAT_FORGED;
    open_fixture(&state, legacy);
    *f = state;
    add_asker(*f, who);
    struct pl_peer *another = add_peer(*f, (*f)->other_id, pl_identity_pubkey((*f)->other));
    pl_node_store_peer((*f)->c.node, another);
    if (legacy) {
        struct pl_peer *old = add_peer(*f, "old-client", pl_identity_pubkey((*f)->peer));
        old->legacy = true;
        old->http = true;
        assert_ok(pl_peer_grant(old, pl_span_text("main"), true));
        pl_node_store_peer((*f)->c.node, old);
    }
    node_client_settle(&(*f)->c);
    seed(*f);
}

static void close_world(struct fixture *f)
{
    void *state = f;
    tear_down(&state);
}

static const char *hmac_token(struct fixture *f)
{
    char header[256];
    char claims[256];
    struct pl_writer w = pl_writer_over(f->token, sizeof f->token - 1);
    snprintf(header, sizeof header, "{\"typ\":\"SBT\",\"alg\":\"HS256\",\"kid\":\"%s\"}",
             f->peer_id);
    snprintf(claims, sizeof claims, "{\"iss\":\"%s\"}", f->peer_id);
    pl_base64url_write(&w, pl_span_text(header));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_text(claims));
    pl_write_text(&w, ".c2lnbmVkIHdpdGggd2hhdCBldmVyeWJvZHkga25vd3M");
    assert_ok(w.err);
    f->token[w.len] = '\0';
    return f->token;
}

static const char *token_of(struct fixture *f, enum who who)
{
    switch (who) {
    case OPERATOR:
        return NODE_CLIENT_ADMIN;
    case ANONYMOUS:
    case COMPAT:
        return NULL;
    case WRONG_ADMIN:
        return "0101010101010101010101010101010101010101010101010101010101010102";
    case MALFORMED:
        return "short";
    case FORGED:
    case COMPAT_FORGED:
        return make_token(f, f->other, f->peer_id, us(f), 0);
    case HMAC:
    case COMPAT_HMAC:
        return hmac_token(f);
    case EXPIRED:
        return make_token(f, f->peer, f->peer_id, us(f), 24 * 3600);
    case STRANGER:
        return make_token(f, f->other, "edge_sha256_00000000000000000000000000000000", us(f), 0);
    case PENDING:
    case REVOKED:
    case READER:
    case WRITER:
    case OTHER:
        return peer_token(f);
    case USER:
        return make_token(f, f->c.node->identity, us(f), us(f), 0);
    case WHO_COUNT:
        break;
    }
    return NULL;
}

/* ---- One question ---- */

/* `text` with "@" replaced by the other peer's id. */
static const char *fill_in(const struct fixture *f, const char *text, char out[512])
{
    size_t len = strcspn(text, "@");
    snprintf(out, 512, "%.*s%s%s", (int)len, text, text[len] == '@' ? f->other_id : "",
             text[len] == '@' ? text + len + 1 : "");
    return out;
}

static const char *body_of(struct fixture *f, enum who who, const char *text, char out[1024])
{
    bool compat = who == COMPAT || who == COMPAT_HMAC;
    if (text == NULL)
        return NULL;
    if (strcmp(text, PAYLOAD) != 0)
        return fill_in(f, text, out);
    snprintf(out, 1024,
             "{\"sync_id\":\"s\",\"source_backend_id\":\"%s\",\"target_backend_id\":\"%s\","
             "\"conversations\":[" LINE "]}",
             compat ? "old-client" : f->peer_id, us(f));
    return out;
}

static struct node_reply ask(struct fixture *f, enum who who, const struct row *row,
                             const char *method, const char *query)
{
    char target[512];
    char body[1024];
    char whole[1024];
    fill_in(f, row->target, target);
    snprintf(whole, sizeof whole, "%s%s%s", target,
             query[0] == '\0' ? "" : (strchr(target, '?') != NULL ? "&" : "?"), query);
    return node_client_ask(&f->c, method, whole, token_of(f, who),
                           body_of(f, who, row->body, body));
}

/* All that the operator sees, in one text to compare and to free. */
static char *describe(struct fixture *f)
{
    static const char *const paths[] = { "/peers", "/tokens", "/key",
                                         "/joins", "/export", "/export?namespace=b" };
    struct pl_out out;
    size_t budget = 0;
    pl_out_init(&out, &f->env.t.env, &budget);
    for (size_t i = 0; i < PL_ARRAY_LEN(paths); i++)
        pl_out_text(&out, node_client_admin(&f->c, "GET", paths[i], NULL).body);
    pl_out_u64(&out, f->c.node->invite_count);
    struct parley_span text = pl_out_span(&out);
    char *copy = calloc(1, text.len + 1);
    memcpy(copy, text.ptr, text.len);
    pl_out_free(&out);
    return copy;
}

/* `want` is "status" or "status code". */
static void expect(struct node_reply r, const char *want, enum who who, const struct row *row,
                   const char *method)
{
    char code[64];
    snprintf(code, sizeof code, "\"code\":\"%s\"", strlen(want) > 4 ? want + 4 : "");
    bool same = r.status == strtoul(want, NULL, 10);
    bool named = strlen(want) == 3 || strcmp(method, "HEAD") == 0 || strstr(r.body, code) != NULL;
    if (!same || !named)
        fail_msg("%s %s as %s: wanted %s, got %u %s", method, row->target, names[who], want,
                 r.status, r.body);
    if (r.status >= 400)
        assert_null(strstr(r.body, "private"));
    if (r.status == 401)
        assert_non_null(strstr(r.head, "WWW-Authenticate: Bearer"));
}

static void expect_refusal(struct fixture *f, enum who who, const struct row *row,
                           const char *method, const char *query, const char *want)
{
    char *before = describe(f);
    expect(ask(f, who, row, method, query), want, who, row, method);
    char *after = describe(f);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void ask_all(enum who who)
{
    struct fixture *f = NULL;
    open_world(&f, who);
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        const char *method = method_text(row->method);
        const char *refusal = verdict(row->policy, who);
        if (refusal == NULL) {
            expect(ask(f, who, row, method, ""), row->let_in, who, row, method);
            continue;
        }
        expect_refusal(f, who, row, method, "", refusal);
        if (row->method == PL_HTTP_GET)
            expect_refusal(f, who, row, "HEAD", "", refusal);
    }
    close_world(f);
}

/* ---- Tests ---- */

static void every_route_has_a_row(void **state)
{
    size_t count = 0;
    const struct pl_route *routes = pl_shim_routes(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < PL_ARRAY_LEN(rows); j++)
            found += rows[j].method == routes[i].method &&
                     strcmp(rows[j].pattern, routes[i].pattern) == 0;
        if (found != 1)
            fail_msg("%s %s has %zu rows in this test", method_text(routes[i].method),
                     routes[i].pattern, found);
    }
    assert_int_equal(count, PL_ARRAY_LEN(rows));
}

static void everybody_gets_what_is_theirs_and_nothing_else(void **state)
{
    (void)state;
    for (int who = 0; who < WHO_COUNT; who++)
        ask_all((enum who)who);
}

/* Whoever may do something in main may do nothing of it in b. */
static void a_right_in_one_namespace_is_none_in_another(void **state)
{
    static const enum who askers[] = { READER, WRITER, USER, COMPAT, COMPAT_HMAC };
    (void)state;
    for (size_t k = 0; k < PL_ARRAY_LEN(askers); k++) {
        struct fixture *f = NULL;
        enum who who = askers[k];
        bool compat = who == COMPAT || who == COMPAT_HMAC;
        open_world(&f, who);
        for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
            const struct row *row = &rows[i];
            bool data = row->policy == READ || row->policy == WRITE || row->policy == PUSH ||
                        row->policy == LEGACY_READ || row->policy == OF_PEER;
            const char *want =
                compat && row->policy != PUSH ? "401 token-missing" : "403 not-granted";
            if (data)
                expect_refusal(f, who, row, method_text(row->method), "namespace=b", want);
        }
        close_world(f);
    }
}

/* Whatever they ask, whatever token they bring. */
static void nobody_is_served_in_plain_text_from_another_machine(void **state)
{
    static const enum who askers[] = { OPERATOR, ANONYMOUS, WRITER, USER };
    (void)state;
    for (size_t k = 0; k < PL_ARRAY_LEN(askers); k++) {
        struct fixture *f = NULL;
        open_world(&f, askers[k]);
        char *before = describe(f);
        f->c.remote = true;
        for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
            const struct row *row = &rows[i];
            const char *method = method_text(row->method);
            node_client_connect(&f->c);
            struct node_reply r = ask(f, askers[k], row, method, "");
            expect(r, "403 tls-required", askers[k], row, method);
            assert_non_null(strstr(r.head, "Connection: close"));
        }
        f->c.remote = false;
        node_client_connect(&f->c);
        char *after = describe(f);
        assert_string_equal(before, after);
        free(before);
        free(after);
        close_world(f);
    }
}

static void with_plain_peers_other_machines_are_asked_for_their_tokens(void **state)
{
    struct fixture *f = NULL;
    (void)state;
    open_world(&f, WRITER);
    f->c.node->options.plain_peers = true;
    f->c.remote = true;
    node_client_connect(&f->c);
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", NULL, NULL), 401,
                       "token-missing");
    node_client_expect(node_client_ask(&f->c, "GET", "/conversations", peer_token(f), NULL), 200,
                       "talk");
    close_world(f);
}

/* What a writer of main may send must not be sent for somebody else. */
static void a_peer_pushes_for_nobody_else(void **state)
{
    struct fixture *f = NULL;
    char body[1024];
    (void)state;
    open_world(&f, WRITER);
    snprintf(body, sizeof body, "{\"source_backend_id\":\"%s\",\"conversations\":[" LINE "]}",
             f->other_id);
    char *before = describe(f);
    node_client_expect(node_client_ask(&f->c, "POST", "/sync", peer_token(f), body), 403,
                       "\"code\":\"other-peer\"");
    char *after = describe(f);
    assert_string_equal(before, after);
    free(before);
    free(after);
    close_world(f);
}

/* An old client without a token sees who is there, and not what the operator sees of them. */
static void compat_lists_peers_without_their_rights(void **state)
{
    struct fixture *f = NULL;
    (void)state;
    open_world(&f, COMPAT);
    struct node_reply r = node_client_ask(&f->c, "GET", "/peers", NULL, NULL);
    node_client_expect(r, 200, "old-client");
    assert_null(strstr(r.body, "grants"));
    assert_null(strstr(r.body, "address"));
    close_world(f);
}

/* Of the routes that are refused above because they name another peer. */
static void a_peer_asks_for_itself(void **state)
{
    static const char *const paths[] = { "/sync/", "/sync/metrics/", "/debug/sync/" };
    static const enum who askers[] = { READER, WRITER };
    (void)state;
    for (size_t k = 0; k < PL_ARRAY_LEN(askers); k++) {
        struct fixture *f = NULL;
        char path[128];
        open_world(&f, askers[k]);
        for (size_t i = 0; i < PL_ARRAY_LEN(paths); i++) {
            snprintf(path, sizeof path, "%s%s", paths[i], f->peer_id);
            struct node_reply r = node_client_ask(&f->c, "GET", path, peer_token(f), NULL);
            node_client_expect(r, 200, i == 0 ? "this is private" : f->peer_id);
            assert_null(strstr(r.body, "address"));
        }
        snprintf(path, sizeof path, "/sync/%s", f->peer_id);
        node_client_expect(node_client_ask(&f->c, "POST", path, peer_token(f), "{}"),
                           askers[k] == WRITER ? 200 : 403,
                           askers[k] == WRITER ? "dialing" : "not-granted");
        close_world(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_has_a_row),
        cmocka_unit_test(everybody_gets_what_is_theirs_and_nothing_else),
        cmocka_unit_test(a_right_in_one_namespace_is_none_in_another),
        cmocka_unit_test(nobody_is_served_in_plain_text_from_another_machine),
        cmocka_unit_test(with_plain_peers_other_machines_are_asked_for_their_tokens),
        cmocka_unit_test(a_peer_pushes_for_nobody_else),
        cmocka_unit_test(compat_lists_peers_without_their_rights),
        cmocka_unit_test(a_peer_asks_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
