/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node and one connection of its HTTP port: heads, routes, parameters, cursors, entity tags
 * and bodies, with the operator's rights where the input shows his token (that of node_client).
 * The first byte is how much arrives at a time.
 *
 * Checked: the node comes to rest; what it sends is answers, framed as they say, none of them a
 * 500, and JSON where they say so; the store is sound; the next request is served.
 */
#define _GNU_SOURCE 1 /* memmem */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "core/json.h"
#include "node/node_int.h"
#include "proto/http1_response.h"

#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : abort())
#define PEER        "local_sha256_00000000000000000000000000000000"
/* Each input has so much of the rates for itself. */
#define PAUSE_NS (60 * PARLEY_NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct env_mem env;
static struct node_client client;
static bool is_open;

static void add_peer(void)
{
    struct pl_peer *peer = NULL;
    CHECK(pl_peers_add(&client.node->peers, &env.t.env, pl_span_text(PEER), &peer) == PARLEY_OK);
    CHECK(pl_pubkey_from_pem(pl_span_text(TEST_KEY_EC_PUBLIC), &peer->key) == PARLEY_OK);
    peer->state = PL_PEER_ACTIVE;
    peer->registered_at = client.now.wall;
    CHECK(pl_peer_grant(peer, pl_span_text("main"), true) == PARLEY_OK);
    pl_node_store_peer(client.node, peer);
    node_client_settle(&client);
}

/* A node with a conversation and a peer, so that there is something to ask for. */
static void open_node(void)
{
    env_mem_init(&env);
    node_client_open(&client, &env, "a", TEST_KEY_A_PKCS8, false);
    add_peer();
    node_client_expect(
        node_client_admin(&client, "POST", "/conversations",
                          "{\"conversation_id\":\"c\",\"title\":\"T\",\"metadata\":{\"k\":[1]}}"),
        201, NULL);
    node_client_expect(
        node_client_admin(&client, "POST", "/conversations/c/messages",
                          "{\"message_id\":\"m\",\"role\":\"user\",\"content\":\"hello\"}"),
        201, NULL);
    is_open = true;
}

static void close_node(void)
{
    node_client_close(&client);
    env_mem_deinit(&env);
    is_open = false;
}

static bool has_line(struct parley_span head, const char *line)
{
    return memmem(head.ptr, head.len, line, strlen(line)) != NULL;
}

static void check_body(struct parley_span head, struct parley_span body)
{
    bool is_json = has_line(head, "Content-Type: application/json") ||
                   has_line(head, "Content-Type: application/problem+json");
    if (!is_json || body.len == 0 || has_line(head, "Content-Encoding: "))
        return;
    size_t cap = PL_JSON_MP_BYTES_MAX(body.len);
    uint8_t *room = malloc(cap);
    struct pl_writer w = pl_writer_over(room, cap);
    CHECK(room != NULL && pl_json_to_mp(body, &w, NULL) == PARLEY_OK);
    free(room);
}

/* How many bytes of a chunked answer are there; SIZE_MAX: it goes on. */
static size_t chunked_len(struct parley_span rest)
{
    struct pl_http_chunked c;
    size_t at = 0;
    bool done = false;
    pl_http_chunked_init(&c);
    while (!done && at < rest.len) {
        struct parley_span run;
        size_t used = 0;
        CHECK(pl_http_chunked_feed(&c, pl_span_after(rest, at), &used, &run, &done) == PARLEY_OK);
        at += used;
    }
    return done ? at : SIZE_MAX;
}

/* All that the node has sent. An answer to HEAD has the length of a body that does not follow;
 * where the input may have asked so, no more is known after it. */
static void check_answers(struct parley_span got, bool may_be_headless)
{
    while (got.len != 0) {
        struct pl_http_answer answer;
        size_t scanned = 0;
        size_t head_len = 0;
        const char *why = NULL;
        CHECK(pl_http_parse_answer(got, &scanned, &answer, &head_len, &why) == PL_HTTP_DONE);
        struct parley_span head = pl_span_of(got.ptr, head_len);
        struct parley_span body = pl_span_after(got, head_len);
        CHECK(answer.status != 500 && strcmp(pl_http_reason(answer.status), "Unknown") != 0);
        size_t len = answer.bodiless ? 0 : (size_t)answer.content_length;
        if (answer.chunked)
            len = chunked_len(body);
        else if (!answer.bodiless && !answer.has_length)
            len = SIZE_MAX;
        if (len == SIZE_MAX || may_be_headless)
            return;
        CHECK(len <= body.len);
        if (answer.has_length)
            check_body(head, pl_span_of(body.ptr, len));
        got = pl_span_after(body, len);
    }
}

static void check_store(void)
{
    struct parley_check_report report;
    CHECK(parley_db_check(client.db, &report) == PARLEY_OK && report.problems == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!is_open)
        open_node();
    uint64_t commits = client.changes;
    client.piece_max = data[0] == 0 ? SIZE_MAX : data[0];
    node_client_connect(&client);
    node_client_send(&client, data + 1, size - 1);
    check_answers(pl_span_of(client.got, client.got_len), memmem(data, size, "HEAD", 4) != NULL);
    client.piece_max = SIZE_MAX;
    node_client_connect(&client);
    node_client_expect(node_client_ask(&client, "GET", "/health", NULL, NULL), 200, "\"status\"");
    bool changed = client.changes != commits || client.new_key_bits != 0;
    if (changed)
        check_store();
    /* Every input begins with the same node: a new one, or one that a pause makes the same. */
    if (changed)
        close_node();
    else
        node_client_wait(&client, PAUSE_NS);
    return 0;
}
