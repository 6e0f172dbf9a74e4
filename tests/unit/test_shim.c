/* SPDX-License-Identifier: Apache-2.0
 *
 * The other routes: identity, health, conversations, messages, status, invites, joins, and what the
 * table of routes itself refuses.
 */
#include "lib/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static struct node_reply admin(struct node_client *c, const char *method, const char *target,
                               const char *body)
{
    return node_client_admin(c, method, target, body);
}

static void append(struct node_client *c, const char *conversation, const char *id,
                   const char *text)
{
    char path[128];
    char body[256];
    snprintf(path, sizeof path, "/conversations/%s/messages", conversation);
    snprintf(body, sizeof body, "{\"role\":\"user\",\"content\":\"%s\",\"message_id\":\"%s\"}",
             text, id);
    node_client_expect(admin(c, "POST", path, body), 201, id);
}

/* ---- Routes ---- */

static void shim_answers_404_to_unknown_paths(void **state)
{
    static const char *const paths[] = { "/",
                                         "/nothing",
                                         "/peers/",
                                         "/peers/a/b",
                                         "/conversations//history",
                                         "/identity/",
                                         "/conversations/a/messages/b/c" };
    for (size_t i = 0; i < PL_ARRAY_LEN(paths); i++)
        node_client_expect(admin(client(state), "GET", paths[i], NULL), 404,
                           "\"code\":\"no-such-route\"");
}

static void shim_answers_405_with_what_is_allowed(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } cases[] = {
        { "POST", "/identity", "Allow: GET, HEAD, OPTIONS\r\n" },
        { "GET", "/sync", "Allow: POST, OPTIONS\r\n" },
        { "PUT", "/conversations/c", "Allow: PATCH, GET, HEAD, DELETE, OPTIONS\r\n" },
        { "PUT", "/conversations/c/messages/m", "Allow: GET, HEAD, PATCH, DELETE, OPTIONS\r\n" },
        { "PUT", "/joins", "Allow: POST, GET, HEAD, OPTIONS\r\n" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct node_reply r = admin(client(state), cases[i].method, cases[i].path, NULL);
        node_client_expect(r, 405, "method-not-allowed");
        assert_non_null(strstr(r.head, cases[i].allow));
    }
}

static void shim_problems_are_readable_by_old_and_new_clients(void **state)
{
    struct node_reply r = admin(client(state), "GET", "/nothing", NULL);
    assert_string_equal(r.body,
                        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                        "\"code\":\"no-such-route\",\"detail\":\"there is nothing at this path\"}");
    assert_non_null(strstr(r.head, "Content-Type: application/problem+json\r\n"));
}

static void shim_refuses_bad_ids_and_queries(void **state)
{
    struct node_client *c = client(state);
    char path[400];
    memset(path, 'a', sizeof path);
    memcpy(path, "/conversations/", 15);
    path[15 + 256] = '\0';
    node_client_expect(admin(c, "GET", path, NULL), 400, "longer than 255 bytes");
    path[15 + 255] = '\0';
    node_client_expect(admin(c, "GET", path, NULL), 404, "no-such-conversation");
    node_client_expect(admin(c, "GET", "/conversations/a%2", NULL), 400, NULL);
    node_client_expect(admin(c, "GET", "/conversations/a?namespace=", NULL), 400,
                       "must not be empty");
    node_client_expect(admin(c, "GET", "/conversations/a?namespace=%01", NULL), 400,
                       "control character");
    node_client_expect(admin(c, "GET", "/conversations/a?namespace=%FF", NULL), 400, "UTF-8");
    node_client_expect(admin(c, "GET", "/conversations/a?namespace=a&namespace=b", NULL), 400,
                       "given twice");
    node_client_expect(admin(c, "GET", "/conversations?limit=x", NULL), 400,
                       "limit: must be a number");
    node_client_expect(admin(c, "GET", "/conversations?limit=0", NULL), 400, "limit");
    node_client_expect(
        admin(c, "POST", "/conversations/a%00b/messages", "{\"role\":\"u\",\"content\":\"\"}"), 400,
        "control character");
}

static void shim_refuses_compressed_bodies(void **state)
{
    struct node_client *c = client(state);
    static const char text[] =
        "POST /import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " NODE_CLIENT_ADMIN
        "\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}";
    node_client_connect(c);
    node_client_send(c, text, sizeof text - 1);
    node_client_expect(node_client_take(c, false), 415, "content-encoding");
}

/* ---- Identity and health ---- */

static void shim_shows_its_identity_to_anybody(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = node_client_ask(c, "GET", "/identity", NULL, NULL);
    node_client_expect(r, 200, pl_node_backend_id(c->node));
    node_client_expect(r, 200,
                       "\"backend_type\":\"local\",\"public_key\":\"-----BEGIN PUBLIC KEY-----\\n");
    node_client_expect(r, 200, "\"capabilities\":[");
    node_client_expect(r, 200,
                       "\"version\":\"1.0\",\"created_at\":\"2023-11-14T22:13:20.000000Z\"}");
}

static void shim_shows_its_health_to_anybody(void **state)
{
    struct node_client *c = client(state);
    node_client_wait(c, 90 * PARLEY_NS_PER_S);
    struct node_reply r = node_client_ask(c, "GET", "/health", NULL, NULL);
    node_client_expect(r, 200, "{\"status\":\"ok\",\"backend_id\":\"local_sha256_");
    node_client_expect(r, 200,
                       "\"version\":\"test\",\"uptime_seconds\":90,\"store\":{\"ok\":true,");
    node_client_expect(r, 200,
                       "\"peers\":0,\"sync\":{\"in_sync\":0,\"catching_up\":0,"
                       "\"offline\":0,\"refused\":0},\"compat_legacy\":false}");
}

/* ---- Messages ---- */

static void shim_appends_with_a_stamp_of_its_own(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = admin(c, "POST", "/conversations/c/messages",
                                "{\"role\":\"user\",\"content\":\"hi\",\"mood\":\"good\"}");
    node_client_expect(r, 201, "{\"message_id\":\"");
    node_client_expect(
        r, 201, "\",\"timestamp\":\"2023-11-14T22:13:20.000000Z\",\"conversation_id\":\"c\"}");
    assert_int_equal('"', r.body[15 + 32]);
    r = admin(c, "GET", "/conversations/c", NULL);
    node_client_expect(r, 200, "\"content\":\"hi\",\"timestamp\":\"2023-11-14T22:13:20.000000Z\",");
    node_client_expect(r, 200, pl_node_backend_id(c->node));
    node_client_expect(r, 200, "\"mood\":\"good\"}");
}

static void shim_makes_random_ids_that_differ(void **state)
{
    struct node_client *c = client(state);
    char first[64];
    struct node_reply r =
        admin(c, "POST", "/conversations/c/messages", "{\"role\":\"u\",\"content\":\"\"}");
    memcpy(first, r.body, 47);
    first[47] = '\0';
    r = admin(c, "POST", "/conversations/c/messages", "{\"role\":\"u\",\"content\":\"\"}");
    assert_int_not_equal(0, strncmp(first, r.body, 47));
}

static void shim_takes_the_same_append_twice(void **state)
{
    struct node_client *c = client(state);
    append(c, "c", "m", "hi");
    uint64_t commits = c->commits;
    const char *again = "{\"role\":\"user\",\"content\":\"hi\",\"message_id\":\"m\"}";
    node_client_expect(admin(c, "POST", "/conversations/c/messages", again), 200,
                       "22:13:20.000000Z");
    assert_int_equal(commits, c->commits);
    node_client_expect(admin(c, "POST", "/conversations/c/messages",
                             "{\"role\":\"user\",\"content\":\"other\",\"message_id\":\"m\"}"),
                       409, "message-exists");
}

static void shim_refuses_malformed_messages(void **state)
{
    struct node_client *c = client(state);
    const char *path = "/conversations/c/messages";
    node_client_expect(admin(c, "POST", path, "{\"role\":\"user\"}"), 400, "content: is missing");
    node_client_expect(admin(c, "POST", path, "{\"role\":\"user\",\"content\":{}}"), 400,
                       "content: must be a string");
    node_client_expect(admin(c, "POST", path, "7"), 400, "must be an object");
    node_client_expect(admin(c, "POST", path, "{"), 400, "bad-json");
    node_client_expect(
        admin(c, "POST", path, "{\"role\":\"user\",\"content\":\"x\",\"message_id\":\"\"}"), 400,
        "message_id: must not be empty");
}

static void shim_edits_keep_place_role_and_extra_fields(void **state)
{
    struct node_client *c = client(state);
    admin(c, "POST", "/conversations/c/messages",
          "{\"role\":\"user\",\"content\":\"one\",\"message_id\":\"z\",\"k\":1}");
    append(c, "c", "a", "two");
    node_client_wait(c, PARLEY_NS_PER_S);
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/z", "{\"content\":\"ONE\"}"),
                       200, "{\"message_id\":\"z\",\"timestamp\":\"2023-11-14T22:13:21");
    struct node_reply r = admin(c, "GET", "/conversations/c", NULL);
    node_client_expect(r, 200,
                       "\"messages\":[{\"message_id\":\"z\",\"role\":\"user\",\"content\":\"ONE\"");
    node_client_expect(r, 200, "\"created_at\":\"2023-11-14T22:13:20.000000Z\",\"k\":1}");
    node_client_wait(c, PARLEY_NS_PER_S);
    admin(c, "PATCH", "/conversations/c/messages/z", "{\"content\":\"again\"}");
    node_client_expect(admin(c, "GET", "/conversations/c", NULL), 200,
                       "\"created_at\":\"2023-11-14T22:13:20.000000Z\",\"k\":1}");
    uint64_t commits = c->commits;
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/z", "{\"content\":\"again\"}"),
                       200, NULL);
    assert_int_equal(commits, c->commits);
}

static void shim_edits_only_what_is_there(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/z", "{\"content\":\"x\"}"), 404,
                       NULL);
    append(c, "c", "m", "hi");
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/z", "{\"content\":\"x\"}"), 404,
                       NULL);
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/m", "{}"), 400,
                       "content: is missing");
    node_client_expect(admin(c, "PATCH", "/conversations/c/messages/m", "{\"content\":1}"), 400,
                       "content: must be a string");
}

static void shim_deletes_messages_and_remembers_them(void **state)
{
    struct node_client *c = client(state);
    append(c, "c", "m", "hi");
    append(c, "c", "n", "stay");
    node_client_expect(admin(c, "DELETE", "/conversations/c/messages/m", NULL), 200,
                       "{\"status\":\"deleted\"}");
    node_client_expect(admin(c, "DELETE", "/conversations/c/messages/m", NULL), 404,
                       "no-such-message");
    struct node_reply r = admin(c, "GET", "/conversations/c", NULL);
    assert_null(strstr(r.body, "\"hi\""));
    r = admin(c, "GET", "/conversations/c/history?message=m", NULL);
    node_client_expect(r, 200, "\"deleted\":true,\"current\":true}");
    node_client_expect(r, 200, "\"content\":\"hi\",\"deleted\":false,\"current\":false}");
    node_client_expect(admin(c, "GET", "/conversations/c/history?message=x", NULL), 404,
                       "no-such-message");
    node_client_expect(admin(c, "GET", "/conversations/x/history", NULL), 404,
                       "no-such-conversation");
    append(c, "c", "m", "back");
}

static void shim_deletes_conversations(void **state)
{
    struct node_client *c = client(state);
    append(c, "c", "m", "hi");
    node_client_expect(admin(c, "DELETE", "/conversations/c", NULL), 200, "deleted");
    node_client_expect(admin(c, "GET", "/conversations/c", NULL), 404, NULL);
    node_client_expect(admin(c, "DELETE", "/conversations/c", NULL), 404, "no-such-conversation");
    /* Its messages are gone from every list, and still in the history. */
    node_client_expect(admin(c, "GET", "/conversations/c/history?message=m", NULL), 200,
                       "\"content\":\"hi\",\"deleted\":false,\"current\":false}]}");
    node_client_expect(admin(c, "GET", "/conversations/c/history?message=x", NULL), 404,
                       "no-such-message");
    append(c, "c", "m2", "anew");
    node_client_expect(admin(c, "GET", "/conversations/c", NULL), 200, "anew");
}

static void shim_shows_the_history_of_a_whole_conversation(void **state)
{
    struct node_client *c = client(state);
    admin(c, "POST", "/import",
          "{\"conversation_id\":\"c\",\"title\":\"T\",\"updated_at\":\"2023-01-01T00:00\"}");
    admin(c, "POST", "/import",
          "{\"conversation_id\":\"c\",\"title\":\"U\",\"updated_at\":\"2023-01-02T00:00\"}");
    node_client_expect(
        admin(c, "GET", "/conversations/c/history", NULL), 200,
        "{\"versions\":[{\"field\":\"title\",\"version\":\"a3d54013e76aec40\","
        "\"timestamp\":\"2023-01-02T00:00:00.000000Z\","
        "\"source_backend\":\"import\",\"value\":\"U\",\"deleted\":false,\"current\":true},"
        "{\"field\":\"title\",\"version\":\"7833582a4e6a0b27\","
        "\"timestamp\":\"2023-01-01T00:00:00.000000Z\","
        "\"source_backend\":\"import\",\"value\":\"T\",\"deleted\":false,\"current\":false}]}");
}

/* ---- Lists ---- */

static void shim_lists_conversations_page_by_page(void **state)
{
    struct node_client *c = client(state);
    append(c, "a", "m", "1");
    append(c, "b", "m", "2");
    append(c, "d", "m", "3");
    struct node_reply r = admin(c, "GET", "/conversations?order=id&limit=2", NULL);
    node_client_expect(
        r, 200, "{\"conversations\":[{\"conversation_id\":\"a\",\"title\":\"\",\"updated_at\":");
    node_client_expect(r, 200, "\"messages\":1}],\"next\":\"b\"}");
    r = admin(c, "GET", "/conversations?order=id&limit=2&after=b", NULL);
    node_client_expect(r, 200, "{\"conversations\":[{\"conversation_id\":\"d\"");
    assert_null(strstr(r.body, "next"));
    node_client_expect(admin(c, "GET", "/conversations?order=id&limit=3", NULL), 200,
                       "\"messages\":1}]}");
    node_client_expect(admin(c, "GET", "/conversations?namespace=none", NULL), 200,
                       "{\"conversations\":[]}");
}

static void shim_exports_page_by_page(void **state)
{
    struct node_client *c = client(state);
    append(c, "a%2F%C3%A4", "m", "1");
    append(c, "b", "m", "2");
    struct node_reply r = admin(c, "GET", "/export?limit_bytes=1", NULL);
    node_client_expect(r, 200, "{\"conversation_id\":\"a/\xc3\xa4\"");
    assert_null(strstr(r.body, "\"b\""));
    assert_non_null(strstr(r.head, "X-Parley-Next: a%2F%C3%A4\r\n"));
    r = admin(c, "GET", "/export?limit_bytes=1&after=a%2F%C3%A4", NULL);
    node_client_expect(r, 200, "{\"conversation_id\":\"b\"");
    assert_null(strstr(r.head, "X-Parley-Next"));
    assert_int_equal('\n', r.body[r.body_len - 1]);
    node_client_expect(admin(c, "GET", "/export?after=b", NULL), 200, "");
}

static void shim_keeps_namespaces_apart(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "POST", "/conversations/c/messages?namespace=team",
                             "{\"role\":\"user\",\"content\":\"x\"}"),
                       201, NULL);
    node_client_expect(admin(c, "GET", "/conversations/c", NULL), 404, NULL);
    node_client_expect(admin(c, "GET", "/conversations/c?namespace=team", NULL), 200, "\"x\"");
}

/* ---- The operator ---- */

static void shim_shows_status_and_check(void **state)
{
    struct node_client *c = client(state);
    append(c, "c", "m", "hi");
    struct node_reply r = admin(c, "GET", "/status", NULL);
    node_client_expect(r, 200, "\"namespaces\":[{\"name\":\"main\",\"root\":\"");
    node_client_expect(r, 200,
                       "\"versions\":1,\"conversations\":1,\"messages\":1,\"deletions\":0,"
                       "\"deletions_waiting\":0}]");
    node_client_expect(r, 200,
                       "\"peers\":[],\"head\":1,\"held\":0,\"trash\":0,\"clock_ahead_us\":0,"
                       "\"store\":{\"ok\":true");
    node_client_expect(
        admin(c, "GET", "/check", NULL), 200,
        "{\"ok\":true,\"problems\":0,\"versions\":1,\"conversations\":1,\"messages\":1");
}

static void shim_makes_invites(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = admin(c, "POST", "/invites",
                                "{\"namespace\":\"team\",\"right\":\"read\",\"ttl_seconds\":60}");
    node_client_expect(r, 201, "\"url\":\"parley://127.0.0.1:8825/local_sha256_");
    node_client_expect(r, 201, "&n=team&r=r&");
    node_client_expect(r, 201, "\"expires_at\":\"2023-11-14T22:14:20.000000Z\"}");
    node_client_expect(admin(c, "POST", "/invites", ""), 201, "&n=main&r=w&");
    /* This one would read as an invite to the namespace "a" with the right to write. */
    node_client_expect(admin(c, "POST", "/invites", "{\"namespace\":\"a&r=w\",\"right\":\"read\"}"),
                       400, "bad-namespace");
    node_client_expect(admin(c, "POST", "/invites", "{\"namespace\":\"bad name\"}"), 400,
                       "bad-namespace");
    node_client_expect(admin(c, "POST", "/invites", "{\"right\":\"own\"}"), 400,
                       "\"read\\\" or \\\"write\\\"");
    node_client_expect(admin(c, "POST", "/invites", "{\"ttl_seconds\":0}"), 400, "ttl_seconds");
    node_client_expect(admin(c, "POST", "/invites", "{\"ttl_seconds\":\"x\"}"), 400, "ttl_seconds");
    node_client_expect(admin(c, "POST", "/invites", "{\"namespace\":\"\"}"), 400,
                       "namespace: must not be empty");
}

/* Makes one, and the target of its own. */
static void make_invite(struct node_client *c, char target[64])
{
    struct node_reply r = admin(c, "POST", "/invites", "{}");
    node_client_expect(r, 201, "{\"id\":\"");
    snprintf(target, 64, "/invites/%.*s", PL_INVITE_ID_BYTES, r.body + strlen("{\"id\":\""));
}

static void shim_refuses_invites_above_the_limit(void **state)
{
    struct node_client *c = client(state);
    char target[64];
    for (int i = 0; i < PL_INVITES_MAX; i++)
        make_invite(c, target);
    node_client_expect(admin(c, "POST", "/invites", "{}"), 409, "too-many-invites");
    node_client_expect(admin(c, "DELETE", target, NULL), 200, "withdrawn");
    node_client_expect(admin(c, "POST", "/invites", "{}"), 201, NULL);
}

static void shim_lists_invites_and_withdraws_them(void **state)
{
    struct node_client *c = client(state);
    char first[64], second[64];
    node_client_expect(admin(c, "GET", "/invites", NULL), 200, "{\"invites\":[]}");
    make_invite(c, first);
    make_invite(c, second);
    memcpy(c->node->invites[1].used_by, "edge_1", 7);
    struct node_reply r = admin(c, "GET", "/invites", NULL);
    node_client_expect(r, 200, first + strlen("/invites/"));
    node_client_expect(r, 200,
                       "\"state\":\"open\",\"namespace\":\"main\",\"right\":\"write\","
                       "\"created_at\":\"2023-11-14T22:13:20");
    node_client_expect(r, 200,
                       "\"expires_at\":\"2023-11-14T22:23:20.000000Z\",\"used_by\":\"edge_1\"");
    node_client_expect(admin(c, "DELETE", first, NULL), 200, "{\"status\":\"withdrawn\",\"id\":\"");
    node_client_expect(admin(c, "DELETE", first, NULL), 404, "no-such-invite");
    node_client_expect(admin(c, "DELETE", "/invites/x", NULL), 404, "no-such-invite");
    assert_int_equal(1, c->node->invite_count);
    node_client_expect(admin(c, "GET", "/invites", NULL), 200, second + strlen("/invites/"));
    c->now.wall += 600 * PARLEY_US_PER_S;
    node_client_expect(admin(c, "GET", "/invites", NULL), 200, "{\"invites\":[]}");
}

/* Nobody joins by it from the request on, and again only when the answer was that it failed. */
static void an_invite_that_could_not_be_withdrawn_is_open(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = { .fail_put_after = 0,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    char target[64];
    make_invite(&f->c, target);
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(admin(&f->c, "DELETE", target, NULL), 507, NULL);
    node_client_expect(admin(&f->c, "GET", "/invites", NULL), 200, target + strlen("/invites/"));
    faults.fail_put_after = -1;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(admin(&f->c, "DELETE", target, NULL), 200, "withdrawn");
    node_client_expect(admin(&f->c, "GET", "/audit", NULL), 200, "invite_withdrawn");
}

static void shim_joins_and_shows_how_it_went(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(admin(c, "GET", "/joins", NULL), 200, "{\"phase\":\"none\"");
    node_client_expect(admin(c, "POST", "/joins", "{\"url\":\"http://x\"}"), 400, "parley://");
    node_client_expect(admin(c, "POST", "/joins", "{}"), 400, "url: is missing");
    node_client_expect(
        admin(c, "POST", "/joins",
              "{\"url\":\"parley://h:1/local_sha256_0?k=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
              "&s=AAAAAAAAAAAAAAAAAAAAAA&n=main&r=w&e=2000000000\"}"),
        202, "\"phase\":\"dialing\"");
    node_client_settle(c);
    node_client_expect(admin(c, "GET", "/joins", NULL), 200, "\"phase\":\"failed\"");
    node_client_expect(admin(c, "GET", "/joins", NULL), 200, "\"error\":\"nobody listens\"");
}

static void shim_dials_peers_on_request(void **state)
{
    struct node_client *c = client(state);
    struct pl_peer *peer = NULL;
    node_client_expect(admin(c, "POST", "/peers/p/sync", NULL), 404, "no-such-peer");
    assert_ok(pl_peers_add(&c->node->peers, &c->env->t.env, pl_span_text("p"), &peer));
    peer->state = PL_PEER_ACTIVE;
    node_client_expect(admin(c, "POST", "/peers/p/sync", NULL), 409, "cannot-dial");
    memcpy(peer->address, "h:1", 4);
    peer->dial_at = PARLEY_TIME_NEVER;
    node_client_expect(admin(c, "POST", "/peers/p/sync", NULL), 202, "dialing");
    node_client_settle(c);
    node_client_expect(admin(c, "GET", "/status", NULL), 200,
                       "\"backend_id\":\"p\",\"state\":\"offline\"");
    node_client_expect(admin(c, "GET", "/peers", NULL), 200, "\"note\":\"nobody listens\"");
}

static void shim_says_507_and_what_to_do(void **state)
{
    struct fixture *f = *state;
    struct pl_store_mem_faults faults = { .fail_put_after = 0,
                                          .fail_commit_after = -1,
                                          .repeat = true };
    append(&f->c, "c", "m", "hi");
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    node_client_expect(
        admin(&f->c, "POST", "/conversations/c/messages", "{\"role\":\"u\",\"content\":\"\"}"), 507,
        "reached its size limit");
    node_client_expect(admin(&f->c, "PATCH", "/conversations/c/messages/m", "{\"content\":\"x\"}"),
                       507, NULL);
    node_client_expect(admin(&f->c, "DELETE", "/conversations/c/messages/m", NULL), 507, NULL);
    node_client_expect(admin(&f->c, "DELETE", "/conversations/c", NULL), 507, NULL);
    node_client_expect(admin(&f->c, "POST", "/invites", "{}"), 507, NULL);
    node_client_expect(admin(&f->c, "GET", "/conversations/c", NULL), 200, "hi");
    faults.fail_put_after = -1;
    pl_store_mem_set_faults(env_mem_store(&f->env, "a"), &faults);
    append(&f->c, "c", "m2", "again");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shim_answers_404_to_unknown_paths),
        TEST(shim_answers_405_with_what_is_allowed),
        TEST(shim_problems_are_readable_by_old_and_new_clients),
        TEST(shim_refuses_bad_ids_and_queries),
        TEST(shim_refuses_compressed_bodies),
        TEST(shim_shows_its_identity_to_anybody),
        TEST(shim_shows_its_health_to_anybody),
        TEST(shim_appends_with_a_stamp_of_its_own),
        TEST(shim_makes_random_ids_that_differ),
        TEST(shim_takes_the_same_append_twice),
        TEST(shim_refuses_malformed_messages),
        TEST(shim_edits_keep_place_role_and_extra_fields),
        TEST(shim_edits_only_what_is_there),
        TEST(shim_deletes_messages_and_remembers_them),
        TEST(shim_deletes_conversations),
        TEST(shim_shows_the_history_of_a_whole_conversation),
        TEST(shim_lists_conversations_page_by_page),
        TEST(shim_exports_page_by_page),
        TEST(shim_keeps_namespaces_apart),
        TEST(shim_shows_status_and_check),
        TEST(shim_makes_invites),
        TEST(shim_refuses_invites_above_the_limit),
        TEST(shim_lists_invites_and_withdraws_them),
        TEST(an_invite_that_could_not_be_withdrawn_is_open),
        TEST(shim_joins_and_shows_how_it_went),
        TEST(shim_dials_peers_on_request),
        TEST(shim_says_507_and_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
