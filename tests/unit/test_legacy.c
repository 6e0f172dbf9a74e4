/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushing to an old backend, in virtual time: the test is the backend, and answers or fails as it
 * likes. tests/cli/test_legacy.py does the same over sockets.
 */
#include "lib/client_fixture.h"

#include "core/message.h"
#include "node/legacy.h"
#include "node/out.h"

#include <stdio.h>

#define ADDRESS "127.0.0.1:8000"
#define OLD     "local_sha256_abababababababababababababababab"
#define GOOD    "{\"status\":\"synced\"}"

struct old {
    struct fixture f; /* first: client() finds it */
    struct pl_identity *identity;
    char pem[2 * PARLEY_PUBLIC_KEY_PEM_BYTES_MAX];
    char request[16384];
    size_t len;
};

static struct old *old_of(void **state)
{
    return *state;
}

static int open_old(void **state)
{
    struct old *o = calloc(1, sizeof *o);
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    env_mem_init(&o->f.env);
    node_client_open(&o->f.c, &o->f.env, "a", TEST_KEY_A_PKCS8, false);
    assert_ok(
        pl_identity_import(&o->f.env.t.env, pl_span_text(TEST_KEY_B_PKCS1), &o->identity, NULL));
    assert_ok(pl_pubkey_to_pem(pl_identity_pubkey(o->identity), pem));
    /* As JSON has it. */
    for (size_t i = 0, at = 0; pem[i] != '\0'; i++) {
        o->pem[at++] = pem[i] == '\n' ? '\\' : pem[i];
        if (pem[i] == '\n')
            o->pem[at++] = 'n';
    }
    o->f.c.hold_dials = true;
    *state = o;
    return 0;
}

static int close_old(void **state)
{
    struct old *o = *state;
    node_client_close(&o->f.c);
    pl_identity_destroy(o->identity);
    env_mem_deinit(&o->f.env);
    free(o);
    return 0;
}

/* ---- The backend ---- */

/* Accepts the connection that the node makes, and takes its request whole. */
static const char *take_request(struct old *o)
{
    struct node_client *c = &o->f.c;
    assert_int_not_equal(0, c->dialed);
    pl_node_dialed(c->node, c->dialed, true, true, "", c->now);
    o->len = 0;
    for (;;) {
        size_t len = 0;
        const uint8_t *at = pl_node_send_buf(c->node, c->dialed, &len);
        if (at == NULL || len == 0)
            break;
        assert_true(o->len + len < sizeof o->request);
        memcpy(o->request + o->len, at, len);
        o->len += len;
        pl_node_send_ack(c->node, c->dialed, len, c->now);
    }
    o->request[o->len] = '\0';
    return o->request;
}

static void expect_request(struct old *o, const char *line)
{
    const char *text = take_request(o);
    if (strncmp(text, line, strlen(line)) != 0)
        fail_msg("wanted %s, got %s", line, text);
}

static void give_bytes(struct old *o, const char *text)
{
    struct node_client *c = &o->f.c;
    struct parley_span rest = pl_span_text(text);
    while (rest.len != 0) {
        size_t room = 0;
        uint8_t *to = pl_node_recv_buf(c->node, c->dialed, &room);
        if (to == NULL)
            break;
        size_t len = pl_min_size(room, rest.len);
        memcpy(to, rest.ptr, len);
        pl_node_recv_ack(c->node, c->dialed, len, c->now);
        rest = pl_span_after(rest, len);
    }
    node_client_settle(c);
}

static void give(struct old *o, unsigned status, const char *body)
{
    char text[8192];
    snprintf(text, sizeof text, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    give_bytes(o, text);
}

static void lose_connection(struct old *o)
{
    struct node_client *c = &o->f.c;
    pl_conn conn = c->dialed;
    c->dialed = 0;
    pl_node_closed(c->node, conn, c->now);
    node_client_settle(c);
}

static void identify_as(struct old *o, const char *id)
{
    char body[4096];
    expect_request(o, "GET /identity HTTP/1.1\r\nHost: " ADDRESS "\r\n");
    snprintf(body, sizeof body,
             "{\"backend_id\":\"%s\",\"public_key\":\"%s\",\"capabilities\":[\"sync\"]}", id,
             o->pem);
    give(o, 200, body);
}

static void accept_registration(struct old *o)
{
    expect_request(o, "POST /register-peer HTTP/1.1\r\n");
    give(o, 200, "{\"status\":\"registered\"}");
}

static void introduce(struct old *o)
{
    identify_as(o, OLD);
    accept_registration(o);
}

/* ---- The node ---- */

static void add(struct old *o)
{
    node_client_expect(
        node_client_admin(&o->f.c, "POST", "/peers/legacy", "{\"url\":\"http://" ADDRESS "/\"}"),
        202, "\"url\":\"http://" ADDRESS "\"");
}

static void append(struct old *o, const char *talk, const char *text)
{
    char path[128];
    char body[512];
    snprintf(path, sizeof path, "/conversations/%s/messages", talk);
    snprintf(body, sizeof body, "{\"role\":\"user\",\"content\":\"%s\",\"message_id\":\"%.40s\"}",
             text, text);
    node_client_expect(node_client_admin(&o->f.c, "POST", path, body), 201, NULL);
}

static const struct pl_legacy *legacy(struct old *o)
{
    assert_int_equal(1, o->f.c.node->legacy_count);
    return o->f.c.node->legacy[0];
}

/* Time passes up to the next dial; returns how long that took, in milliseconds. */
static unsigned wait_for_dial(struct old *o, unsigned ms_max)
{
    unsigned ms = 0;
    while (o->f.c.dialed == 0 && ms < ms_max) {
        node_client_wait(&o->f.c, 10 * PARLEY_NS_PER_MS);
        ms += 10;
    }
    assert_int_not_equal(0, o->f.c.dialed);
    return ms;
}

static void expect_no_dial(struct old *o, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        node_client_wait(&o->f.c, PARLEY_NS_PER_S);
        assert_int_equal(0, o->f.c.dialed);
    }
}

/* ---- The good case ---- */

static void legacy_asks_who_it_is_registers_and_pushes(void **state)
{
    struct old *o = old_of(state);
    append(o, "talk", "hello");
    add(o);
    introduce(o);
    assert_non_null(strstr(o->request, "\"local_backend_id\":\"local_sha256_"));
    assert_non_null(strstr(o->request, "\"hosted_backend_id\":\"" OLD "\""));
    assert_non_null(strstr(o->request, "\"expires_at\":\"2023-11-15T06:13:20.000000\""));
    assert_non_null(strstr(o->request, "\"signature\":\""));
    assert_non_null(strstr(o->request, "\"peer_public_key\":\"-----BEGIN PUBLIC KEY-----"));
    assert_non_null(strstr(o->request, "\"peer_capabilities\":[\""));
    expect_request(o, "POST /sync HTTP/1.1\r\n");
    assert_non_null(strstr(o->request, "\"target_backend_id\":\"" OLD "\",\"timestamp\":"
                                       "\"2023-11-14T22:13:20.000000\",\"conversations\":[{"
                                       "\"conversation_id\":\"talk\",\"title\":\"\",\"created_at\":"
                                       "\"2023-11-14T22:13:20.000000\",\"updated_at\":"
                                       "\"2023-11-14T22:13:20.000000\",\"messages\":[{"));
    assert_string_equal("}]}]}", o->request + o->len - 5);
    give(o, 200, GOOD);
    assert_int_equal(o->f.c.node->state.head, legacy(o)->cursor);
    assert_int_equal(PL_SYNC_IN_SYNC, legacy(o)->sync);
    node_client_expect(node_client_admin(&o->f.c, "GET", "/peers", NULL), 200,
                       "\"kind\":\"http-legacy\",\"legacy\":{\"url\":\"http://" ADDRESS
                       "\",\"state\":\"in sync\"");
}

static void legacy_makes_no_connection_without_news(void **state)
{
    struct old *o = old_of(state);
    append(o, "talk", "hello");
    add(o);
    introduce(o);
    take_request(o);
    give(o, 200, GOOD);
    expect_no_dial(o, 60);
    append(o, "talk", "more");
    assert_in_range(wait_for_dial(o, 6000), 0, 5010);
    expect_request(o, "POST /sync");
    assert_non_null(strstr(o->request, "\"more\""));
    assert_null(strstr(o->request, "\"hello\""));
}

static void legacy_sends_one_envelope_a_conversation_and_no_nul(void **state)
{
    struct old *o = old_of(state);
    append(o, "a", "one");
    append(o, "b", "two");
    node_client_expect(
        node_client_admin(&o->f.c, "POST", "/conversations/a/messages",
                          "{\"role\":\"u\",\"content\":\"three \\u0000 \\\\u0000 \\\\\\u0000\"}"),
        201, NULL);
    add(o);
    introduce(o);
    const char *text = take_request(o);
    const char *first = strstr(text, "\"conversation_id\":\"a\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"conversation_id\":\"a\""));
    assert_non_null(strstr(text, "\"three \\ufffd \\\\u0000 \\\\\\ufffd\""));
}

static void legacy_sends_nothing_of_what_was_deleted(void **state)
{
    struct old *o = old_of(state);
    append(o, "a", "one");
    append(o, "a", "two");
    append(o, "b", "three");
    node_client_admin(&o->f.c, "DELETE", "/conversations/a/messages/one", NULL);
    node_client_admin(&o->f.c, "DELETE", "/conversations/b", NULL);
    node_client_expect(node_client_admin(&o->f.c, "POST", "/conversations/c/messages?namespace=n",
                                         "{\"role\":\"u\",\"content\":\"secret\"}"),
                       201, NULL);
    add(o);
    introduce(o);
    const char *text = take_request(o);
    assert_non_null(strstr(text, "\"two\""));
    assert_null(strstr(text, "\"one\""));
    assert_null(strstr(text, "three"));
    assert_null(strstr(text, "secret"));
    give(o, 200, GOOD);
    expect_no_dial(o, 10);
}

/* Messages whose text is six times as long in JSON. */
static void write_controls(struct old *o, unsigned count, size_t len)
{
    uint8_t *text = malloc(len);
    uint8_t *body = malloc(len + 64);
    char id[32];
    memset(text, 1, len);
    struct pl_writer w = pl_writer_over(body, len + 64);
    struct pl_message message = { .role = pl_span_text("u"), .content = pl_span_of(text, len) };
    pl_message_encode(&w, &message);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .time = 1,
                                               .origin = pl_span_text("x"),
                                               .body = pl_writer_span(&w) };
    for (unsigned i = 0; i < count; i++) {
        bool changed = false;
        snprintf(id, sizeof id, "%zu-%u", len, i);
        write.u.version.conversation = pl_span_text(i % 2 == 0 ? "a" : "b");
        write.u.version.id = pl_span_text(id);
        assert_ok(parley_db_apply(o->f.c.db, &write, 1, o->f.c.now.wall, &changed));
    }
    free(text);
    free(body);
}

/* All payloads behind a change; returns how many messages they have. */
static uint64_t pack_all(struct old *o, parley_seq after, struct pl_out *out, unsigned *payloads)
{
    struct pl_node *node = o->f.c.node;
    struct pl_legacy_range range = { .after = after, .changes_max = SIZE_MAX };
    struct pl_legacy_pack pack = { .more = true };
    uint64_t messages = 0;
    for (*payloads = 0; pack.more && *payloads < 10000; *payloads += 1) {
        pl_out_reset(out);
        assert_ok(
            pl_legacy_write_payload(node, pl_legacy_peer(node, legacy(o)), &range, out, &pack));
        pl_node_read_done(node);
        assert_true(out->len < PL_LEGACY_PAYLOAD_BYTES + 512 || pack.messages == 1);
        assert_true(pack.messages <= PL_LEGACY_CHANGES_MAX && pack.end > range.after);
        messages += pack.messages;
        range.after = pack.end;
    }
    return messages;
}

static void legacy_cuts_what_is_long_into_payloads(void **state)
{
    static const struct {
        unsigned count;
        size_t len;
        unsigned payloads_min;
    } cases[] = { { 3 * PL_LEGACY_CHANGES_MAX / 2, 1, 2 },
                  { 9, PL_LEGACY_PAYLOAD_BYTES / 10, 9 },
                  { 20, PL_LEGACY_PAYLOAD_BYTES / 40, 4 },
                  { 3, PL_LEGACY_PAYLOAD_BYTES + 1, 3 } };
    struct old *o = old_of(state);
    unsigned payloads = 0;
    struct pl_out out;
    parley_seq after = 0;
    add(o);
    introduce(o);
    pl_out_init(&out, &o->f.env.t.env, &o->f.c.node->buffered_bytes);
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        write_controls(o, cases[i].count, cases[i].len);
        assert_int_equal(cases[i].count, pack_all(o, after, &out, &payloads));
        assert_in_range(payloads, cases[i].payloads_min, 4 * cases[i].payloads_min);
        after += cases[i].count;
    }
    pl_out_free(&out);
}

/* ---- Faults ---- */

static void legacy_moves_the_cursor_only_after_200_with_an_object(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        const char *note;
    } answers[] = { { 500, "oops", "POST /sync: it answered 500, for conversation talk" },
                    { 422, "{\"detail\":\"no\\u0007 good\"}", "it answered 422 no? good" },
                    { 201, GOOD, "it answered 201" },
                    { 302, "", "it answered 302" },
                    { 200, "", "no JSON object" },
                    { 200, "[]", "no JSON object" },
                    { 200, "{\"a\":", "no JSON object" },
                    { 200, "<html>", "no JSON object" } };
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    for (size_t i = 0; i < PL_ARRAY_LEN(answers); i++) {
        expect_request(o, "POST /sync");
        assert_non_null(strstr(o->request, "hello"));
        give(o, answers[i].status, answers[i].body);
        assert_true(legacy(o)->cursor < o->f.c.node->state.head);
        assert_int_equal(PL_SYNC_OFFLINE, legacy(o)->sync);
        if (strstr(legacy(o)->note, answers[i].note) == NULL)
            fail_msg("%u: %s", answers[i].status, legacy(o)->note);
        wait_for_dial(o, 61000);
        identify_as(o, OLD);
    }
    take_request(o);
    give(o, 200, GOOD);
    assert_int_equal(o->f.c.node->state.head, legacy(o)->cursor);
    assert_int_equal(0, legacy(o)->failures);
    assert_string_equal("", legacy(o)->note);
}

static void legacy_waits_longer_after_each_failure(void **state)
{
    struct old *o = old_of(state);
    unsigned longest = 0;
    add(o);
    for (unsigned i = 1; i < 10; i++) {
        pl_conn conn = o->f.c.dialed;
        o->f.c.dialed = 0;
        pl_node_dialed(o->f.c.node, conn, false, false, "connection refused", o->f.c.now);
        node_client_settle(&o->f.c);
        assert_string_equal("GET /identity: connection refused", legacy(o)->note);
        unsigned ms = wait_for_dial(o, 61000);
        unsigned most = 5000u / 4 * (1u << i);
        most = most < 60000 ? most : 60000;
        assert_in_range(ms, most / 2 - 20, most + 30);
        longest = ms > longest ? ms : longest;
    }
    assert_true(longest >= 30000);
}

static void legacy_gives_up_after_30_seconds(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    take_request(o);
    node_client_wait(&o->f.c, 29 * PARLEY_NS_PER_S);
    assert_int_not_equal(0, o->f.c.dialed);
    give_bytes(o, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{");
    node_client_wait(&o->f.c, PARLEY_NS_PER_S);
    assert_int_equal(0, legacy(o)->conn);
    assert_non_null(strstr(legacy(o)->note, "30 seconds"));
}

static void legacy_sends_again_what_was_lost_with_the_connection(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    take_request(o);
    lose_connection(o);
    assert_non_null(strstr(legacy(o)->note, "lost"));
    wait_for_dial(o, 6000);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
    assert_non_null(strstr(o->request, "hello"));
}

static void legacy_registers_again_after_403_but_not_in_a_loop(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    take_request(o);
    give(o, 403, "{\"detail\":\"Source backend not registered\"}");
    introduce(o); /* at once */
    expect_request(o, "POST /sync");
    give(o, 403, "{\"detail\":\"Source backend not registered\"}");
    assert_int_equal(0, o->f.c.dialed);
    assert_in_range(wait_for_dial(o, 61000), 1000, 10000);
    introduce(o);
    expect_request(o, "POST /sync");
    give(o, 200, GOOD);
    assert_int_equal(PL_SYNC_IN_SYNC, legacy(o)->sync);
}

static void legacy_is_not_registered_by_an_answer_that_does_not_say_so(void **state)
{
    struct old *o = old_of(state);
    add(o);
    identify_as(o, OLD);
    expect_request(o, "POST /register-peer");
    give(o, 202, "{\"status\":\"pending\"}");
    assert_false(legacy(o)->registered);
    assert_non_null(strstr(legacy(o)->note, "not let in yet"));
    wait_for_dial(o, 6000);
    identify_as(o, OLD);
    expect_request(o, "POST /register-peer");
    give(o, 200, "registered");
    assert_false(legacy(o)->registered);
}

/* ---- Who it is ---- */

static void legacy_refuses_another_backend_at_the_address(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    take_request(o);
    give(o, 503, "");
    wait_for_dial(o, 6000);
    identify_as(o, "local_sha256_00000000000000000000000000000000");
    assert_int_equal(PL_SYNC_REFUSED, legacy(o)->sync);
    node_client_expect(node_client_admin(&o->f.c, "GET", "/status", NULL), 200,
                       "another backend answers there now");
    expect_no_dial(o, 55);
    wait_for_dial(o, 6000);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
}

static void legacy_refuses_an_identity_that_is_none(void **state)
{
    static const char *const bodies[] = { "",
                                          "[]",
                                          "{}",
                                          "{\"backend_id\":\"x\"}",
                                          "{\"backend_id\":\"a b\",\"public_key\":\"x\"}",
                                          "{\"backend_id\":7,\"public_key\":\"x\"}" };
    struct old *o = old_of(state);
    add(o);
    for (size_t i = 0; i < PL_ARRAY_LEN(bodies); i++) {
        expect_request(o, "GET /identity");
        give(o, 200, bodies[i]);
        assert_int_equal(0, o->f.c.node->peers.count);
        assert_int_equal(i + 1, legacy(o)->failures);
        wait_for_dial(o, 61000);
    }
    identify_as(o, pl_node_backend_id(o->f.c.node));
    assert_int_equal(PL_SYNC_REFUSED, legacy(o)->sync);
    assert_non_null(strstr(legacy(o)->note, "this node itself"));
    assert_int_equal(0, o->f.c.node->peers.count);
}

/* What has proved its key is not taken over by whoever answers at an address. */
static void legacy_takes_no_peer_that_is_a_node(void **state)
{
    struct old *o = old_of(state);
    struct pl_peer *peer = NULL;
    assert_ok(pl_peers_add(&o->f.c.node->peers, &o->f.env.t.env, pl_span_text(OLD), &peer));
    peer->key = *pl_identity_pubkey(o->identity);
    peer->state = PL_PEER_ACTIVE;
    add(o);
    identify_as(o, OLD);
    assert_int_equal(PL_SYNC_REFUSED, legacy(o)->sync);
    assert_int_equal(0, legacy(o)->peer_number);
    assert_false(peer->legacy);
}

static void legacy_dials_no_other_machine_in_the_clear(void **state)
{
    struct old *o = old_of(state);
    add(o);
    pl_node_dialed(o->f.c.node, o->f.c.dialed, true, false, "", o->f.c.now);
    node_client_settle(&o->f.c);
    assert_int_equal(0, o->f.c.dialed);
    assert_non_null(strstr(legacy(o)->note, "--plain-peers"));
    o->f.c.node->options.plain_peers = true;
    wait_for_dial(o, 6000);
    pl_node_dialed(o->f.c.node, o->f.c.dialed, true, false, "", o->f.c.now);
    size_t len = 0;
    assert_non_null(pl_node_send_buf(o->f.c.node, o->f.c.dialed, &len));
}

static void legacy_urls_are_plain_and_short(void **state)
{
    static const struct {
        const char *url;
        bool plain_peers;
        const char *why; /* NULL: good */
    } cases[] = {
        { "http://127.0.0.1:1", false, NULL },
        { "http://localhost:65535/", false, NULL },
        { "http://[::1]:80", false, NULL },
        { "http://old.example:80", true, NULL },
        { "http://[fe80::1]:80", true, NULL },
        { "http://old.example:80", false, "--plain-peers" },
        { "http://127.0.0.1.example:80", false, "--plain-peers" },
        { "http://[::2]:80", false, "--plain-peers" },
        { "https://127.0.0.1:1", true, "TLS proxy" },
        { "HTTP://127.0.0.1:1", false, "must be http://HOST:PORT" },
        { "http://127.0.0.1", false, "must be http://HOST:PORT" },
        { "http://127.0.0.1:", false, "must be http://HOST:PORT" },
        { "http://127.0.0.1:0", false, "must be http://HOST:PORT" },
        { "http://127.0.0.1:65536", false, "must be http://HOST:PORT" },
        { "http://127.0.0.1:80/api", false, "no path" },
        { "http://user@127.0.0.1:80", true, "must be http://HOST:PORT" },
        { "http://a b:80", true, "must be http://HOST:PORT" },
        { "http://:80", true, "must be http://HOST:PORT" },
        { "http://[::1:80", true, "must be http://HOST:PORT" },
        { "", true, "must be http://HOST:PORT" },
    };
    char address[PL_PEER_ADDRESS_BYTES_MAX + 1];
    (void)state;
    for (size_t i = 0; i < PL_ARRAY_LEN(cases); i++) {
        struct parley_diag diag = { "" };
        parley_err err =
            pl_legacy_parse(pl_span_text(cases[i].url), cases[i].plain_peers, address, &diag);
        if ((err == PARLEY_OK) != (cases[i].why == NULL) ||
            (cases[i].why != NULL && strstr(diag.text, cases[i].why) == NULL))
            fail_msg("%s: %s", cases[i].url, diag.text);
    }
}

/* ---- Records ---- */

static void legacy_goes_on_after_a_restart(void **state)
{
    struct old *o = old_of(state);
    append(o, "talk", "hello");
    add(o);
    introduce(o);
    take_request(o);
    give(o, 200, GOOD);
    append(o, "talk", "more");
    node_client_restart(&o->f.c, "a", TEST_KEY_A_PKCS8);
    o->f.c.hold_dials = true;
    node_client_wait(&o->f.c, 1);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
    assert_non_null(strstr(o->request, "\"more\""));
    assert_null(strstr(o->request, "\"hello\""));
}

/* A copy of the store may have lost what was acknowledged, or a later one have more. */
static void legacy_sends_all_anew_from_another_incarnation(void **state)
{
    struct old *o = old_of(state);
    append(o, "talk", "hello");
    add(o);
    introduce(o);
    take_request(o);
    give(o, 200, GOOD);
    node_client_close(&o->f.c);
    env_mem_copy(&o->f.env, "a", "b");
    node_client_open(&o->f.c, &o->f.env, "b", TEST_KEY_A_PKCS8, false);
    o->f.c.hold_dials = true;
    node_client_wait(&o->f.c, 1);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
    assert_non_null(strstr(o->request, "\"hello\""));
}

static void legacy_is_cut_off_by_a_revocation(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    wait_for_dial(o, 6000);
    take_request(o);
    node_client_expect(node_client_admin(&o->f.c, "DELETE", "/peers/" OLD, NULL), 200, "revoked");
    assert_int_equal(0, o->f.c.dialed);
    node_client_wait(&o->f.c, PARLEY_NS_PER_S);
    assert_int_equal(0, o->f.c.node->legacy_count);
    expect_no_dial(o, 10);
    node_client_restart(&o->f.c, "a", TEST_KEY_A_PKCS8);
    assert_int_equal(0, o->f.c.node->legacy_count);
    /* Added anew it is let in again: it never had to prove anything. */
    o->f.c.hold_dials = true;
    add(o);
    introduce(o);
    expect_request(o, "POST /sync");
}

static void legacy_that_cannot_be_stored_is_not_added(void **state)
{
    struct old *o = old_of(state);
    struct parley_store *store = env_mem_store(&o->f.env, "a");
    struct pl_store_mem_faults faults = { .fail_put_after = 0, .fail_commit_after = -1 };
    faults.repeat = true;
    pl_store_mem_set_faults(store, &faults);
    struct node_reply r =
        node_client_admin(&o->f.c, "POST", "/peers/legacy", "{\"url\":\"http://" ADDRESS "\"}");
    assert_true(r.status >= 500);
    faults = (struct pl_store_mem_faults){ .fail_put_after = -1, .fail_commit_after = -1 };
    pl_store_mem_set_faults(store, &faults);
    if (o->f.c.dialed != 0)
        lose_connection(o);
    node_client_wait(&o->f.c, PARLEY_NS_PER_S);
    assert_int_equal(0, o->f.c.node->legacy_count);
}

static void legacy_sees_what_its_grant_lets_it_see(void **state)
{
    struct old *o = old_of(state);
    append(o, "a-1", "one");
    append(o, "b-1", "two");
    add(o);
    introduce(o);
    take_request(o);
    give(o, 200, GOOD);
    node_client_expect(
        node_client_admin(&o->f.c, "POST", "/peers/" OLD "/approve", "{\"prefix\":\"a\"}"), 200,
        NULL);
    append(o, "b-1", "hidden");
    append(o, "a-1", "shown");
    /* That all is sent anew is not forgotten. */
    node_client_restart(&o->f.c, "a", TEST_KEY_A_PKCS8);
    o->f.c.hold_dials = true;
    node_client_wait(&o->f.c, 1);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
    assert_non_null(strstr(o->request, "\"shown\""));
    assert_non_null(strstr(o->request, "\"one\""));
    assert_null(strstr(o->request, "hidden"));
    assert_null(strstr(o->request, "two"));
}

/* What it has sent itself does not go back to it. */
static void legacy_gets_back_nothing_of_its_own(void **state)
{
    static const uint8_t body[] = { 0x92, 0xa1, 'u', 0xa5, 'o', 't', 'h', 'e', 'r' };
    struct old *o = old_of(state);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text("talk"),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .time = 1,
                                               .origin = pl_span_text(OLD),
                                               .body = pl_span_of(body, sizeof body) };
    bool changed = false;
    add(o);
    introduce(o);
    write.u.version.id = pl_span_text("its own");
    write.source = legacy(o)->peer_number;
    assert_ok(parley_db_apply(o->f.c.db, &write, 1, o->f.c.now.wall, &changed));
    expect_no_dial(o, 10);
    write.u.version.id = pl_span_text("of others");
    write.source = 0;
    assert_ok(parley_db_apply(o->f.c.db, &write, 1, o->f.c.now.wall, &changed));
    wait_for_dial(o, 6000);
    take_request(o);
    assert_non_null(strstr(o->request, "of others"));
    assert_null(strstr(o->request, "its own"));
}

static void legacy_takes_sixteen(void **state)
{
    struct old *o = old_of(state);
    char body[64];
    for (int i = 1; i <= PL_LEGACY_PEERS_MAX + 1; i++) {
        snprintf(body, sizeof body, "{\"url\":\"http://127.0.0.1:%d\"}", i);
        struct node_reply r = node_client_admin(&o->f.c, "POST", "/peers/legacy", body);
        o->f.c.hold_dials = false;
        node_client_expect(r, i <= PL_LEGACY_PEERS_MAX ? 202 : 409,
                           i <= PL_LEGACY_PEERS_MAX ? "added" : "too-many-legacy");
        if (i == 1)
            lose_connection(o);
    }
    node_client_expect(
        node_client_admin(&o->f.c, "DELETE", "/peers/http%3A%2F%2F127.0.0.1%3A3", NULL), 200,
        "forgotten");
    node_client_wait(&o->f.c, PARLEY_NS_PER_S);
    assert_int_equal(PL_LEGACY_PEERS_MAX - 1, o->f.c.node->legacy_count);
    node_client_expect(
        node_client_admin(&o->f.c, "DELETE", "/peers/http%3A%2F%2F127.0.0.1%3A3", NULL), 404,
        "no-such-peer");
}

static void legacy_waits_for_memory(void **state)
{
    struct old *o = old_of(state);
    add(o);
    introduce(o);
    append(o, "talk", "hello");
    o->f.env.t.fail_after = 0;
    node_client_wait(&o->f.c, 6 * PARLEY_NS_PER_S);
    o->f.env.t.fail_after = -1;
    assert_int_equal(0, o->f.c.dialed);
    assert_true(legacy(o)->failures != 0);
    wait_for_dial(o, 61000);
    identify_as(o, OLD);
    expect_request(o, "POST /sync");
    give(o, 200, GOOD);
    assert_int_equal(PL_SYNC_IN_SYNC, legacy(o)->sync);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_old, close_old)
        TEST(legacy_asks_who_it_is_registers_and_pushes),
        TEST(legacy_makes_no_connection_without_news),
        TEST(legacy_sends_one_envelope_a_conversation_and_no_nul),
        TEST(legacy_sends_nothing_of_what_was_deleted),
        TEST(legacy_cuts_what_is_long_into_payloads),
        TEST(legacy_moves_the_cursor_only_after_200_with_an_object),
        TEST(legacy_waits_longer_after_each_failure),
        TEST(legacy_gives_up_after_30_seconds),
        TEST(legacy_sends_again_what_was_lost_with_the_connection),
        TEST(legacy_registers_again_after_403_but_not_in_a_loop),
        TEST(legacy_is_not_registered_by_an_answer_that_does_not_say_so),
        TEST(legacy_refuses_another_backend_at_the_address),
        TEST(legacy_refuses_an_identity_that_is_none),
        TEST(legacy_takes_no_peer_that_is_a_node),
        TEST(legacy_dials_no_other_machine_in_the_clear),
        TEST(legacy_urls_are_plain_and_short),
        TEST(legacy_goes_on_after_a_restart),
        TEST(legacy_sends_all_anew_from_another_incarnation),
        TEST(legacy_is_cut_off_by_a_revocation),
        TEST(legacy_that_cannot_be_stored_is_not_added),
        TEST(legacy_sees_what_its_grant_lets_it_see),
        TEST(legacy_gets_back_nothing_of_its_own),
        TEST(legacy_takes_sixteen),
        TEST(legacy_waits_for_memory),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
