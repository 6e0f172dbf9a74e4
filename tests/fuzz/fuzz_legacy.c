/* SPDX-License-Identifier: Apache-2.0
 *
 * An old backend that answers anything. A node that pushes to it, and has something to push, asks
 * who it is, registers and sends; each request gets the next piece of the input: u16 length, bytes.
 * Then the backend closes. The first byte of the input is how much arrives at a time.
 *
 * Checked: the node comes to rest, asks nothing but these three, and serves others; its store is
 * sound.
 */
#include "lib/keys.h"
#include "lib/node_client.h"

#include "node/node_int.h"

#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : abort())
#define ANSWERS_MAX 8
#define SECONDS_MAX 120

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_node(struct env_mem *env, struct node_client *c)
{
    env_mem_init(env);
    node_client_open(c, env, "a", TEST_KEY_A_PKCS8, false);
    c->hold_dials = true;
    node_client_expect(node_client_admin(c, "POST", "/conversations/c/messages",
                                         "{\"role\":\"user\",\"content\":\"hello\"}"),
                       201, NULL);
    node_client_expect(
        node_client_admin(c, "POST", "/peers/legacy", "{\"url\":\"http://127.0.0.1:8000\"}"), 202,
        NULL);
}

/* Takes what the node asks on the connection that it dialed. */
static void take_request(struct node_client *c)
{
    static const char *const lines[] = { "GET /identity HTTP/1.1\r\n",
                                         "POST /register-peer HTTP/1.1\r\n",
                                         "POST /sync HTTP/1.1\r\n" };
    bool first = true;
    pl_node_dialed(c->node, c->dialed, true, true, "", c->now);
    for (;;) {
        size_t len = 0;
        const uint8_t *at = pl_node_send_buf(c->node, c->dialed, &len);
        bool known = false;
        if (at == NULL || len == 0)
            return;
        for (size_t i = 0; i < PL_ARRAY_LEN(lines); i++)
            known = known || pl_span_has_prefix(pl_span_of(at, len), pl_span_text(lines[i]));
        CHECK(known || !first);
        first = false;
        pl_node_send_ack(c->node, c->dialed, len, c->now);
    }
}

/* The node may have heard enough at any byte, and have dialed for the next request. */
static void answer(struct node_client *c, struct parley_span bytes, size_t step)
{
    pl_conn conn = c->dialed;
    while (bytes.len != 0 && c->dialed == conn) {
        size_t room = 0;
        uint8_t *to = pl_node_recv_buf(c->node, conn, &room);
        size_t len = pl_min_size(pl_min_size(room, step), bytes.len);
        if (to == NULL || len == 0)
            break;
        memcpy(to, bytes.ptr, len);
        pl_node_recv_ack(c->node, conn, len, c->now);
        bytes = pl_span_after(bytes, len);
        node_client_settle(c);
    }
    if (c->dialed == conn)
        pl_node_recv_end(c->node, conn, c->now);
    node_client_settle(c);
    if (c->dialed != conn)
        return;
    c->dialed = 0;
    pl_node_closed(c->node, conn, c->now);
    node_client_settle(c);
}

static bool wait_for_dial(struct node_client *c)
{
    for (int i = 0; i < SECONDS_MAX && c->dialed == 0; i++)
        node_client_wait(c, PARLEY_NS_PER_S);
    return c->dialed != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct env_mem env;
    static struct node_client client;
    struct pl_reader input = pl_reader_over(pl_span_of(data, size));
    struct parley_check_report report;
    size_t step = (size_t)pl_read_u8(&input) + 1;
    open_node(&env, &client);
    for (int i = 0; i < ANSWERS_MAX && pl_reader_left(&input) >= 2; i++) {
        size_t len = pl_min_size(pl_read_u16(&input), pl_reader_left(&input));
        struct parley_span bytes = pl_read_bytes(&input, len);
        if (!wait_for_dial(&client))
            break;
        take_request(&client);
        answer(&client, bytes, step);
    }
    node_client_expect(node_client_ask(&client, "GET", "/health", NULL, NULL), 200, "\"status\"");
    CHECK(client.node->legacy_count <= 1);
    CHECK(parley_db_check(client.db, &report) == PARLEY_OK && report.problems == 0);
    node_client_close(&client);
    env_mem_deinit(&env);
    return 0;
}
