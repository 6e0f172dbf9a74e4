/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/node_client.h"

#include <stdio.h>
#include <stdlib.h>

static void open_at(struct node_client *c, struct env_mem *env, const char *name, const char *key,
                    bool legacy, struct parley_now now)
{
    struct parley_db_options db_options = { .name = name };
    struct pl_node_options options = { .version = "test", .compat_legacy = legacy };
    struct pl_identity *identity = NULL;
    bool renewed = false;
    memset(options.admin_token, 1, sizeof options.admin_token);
    *c = (struct node_client){ .env = env, .piece_max = 1u << 20 };
    c->now = now;
    c->got = calloc(1, 1);
    assert_ok(pl_identity_import(&env->t.env, pl_span_text(key), &identity, NULL));
    assert_ok(parley_db_open(&env->t.env, &db_options, &c->db, &renewed, NULL));
    assert_ok(pl_node_open(&env->t.env, &options, c->db, identity, c->now, &c->node, NULL));
}

void node_client_open(struct node_client *c, struct env_mem *env, const char *name, const char *key,
                      bool legacy)
{
    open_at(c, env, name, key, legacy, (struct parley_now){ .mono = 1, .wall = NODE_CLIENT_WALL });
}

void node_client_restart(struct node_client *c, const char *name, const char *key)
{
    struct env_mem *env = c->env;
    struct parley_now now = c->now;
    node_client_close(c);
    open_at(c, env, name, key, false, now);
    node_client_connect(c);
}

void node_client_close(struct node_client *c)
{
    node_client_commit(c);
    if (c->conn != 0)
        pl_node_closed(c->node, c->conn, c->now);
    c->conn = 0;
    c->hold_dials = false;
    if (c->dialed != 0)
        pl_node_closed(c->node, c->dialed, c->now);
    c->dialed = 0;
    node_client_settle(c);
    pl_node_free(c->node);
    parley_db_close(c->db);
    free(c->got);
    free(c->body);
}

void node_client_connect(struct node_client *c)
{
    if (c->conn != 0)
        pl_node_closed(c->node, c->conn, c->now);
    c->conn = pl_node_accepted(c->node, &(struct pl_remote){ .local = !c->remote }, c->now);
    assert_int_not_equal(0, c->conn);
    c->got_len = 0;
}

static void commit(struct node_client *c, const struct pl_effect *effect)
{
    bool changed = false;
    bool recovered = false;
    parley_err err = parley_db_apply(c->db, effect->writes, effect->count, c->now.wall, &changed);
    if (err == PARLEY_EIO)
        recovered = parley_db_recover(c->db) == PARLEY_OK;
    c->commits++;
    c->changes += changed && err == PARLEY_OK ? 1 : 0;
    pl_node_committed(c->node, err, recovered, changed, c->now);
}

static void run_effects(struct node_client *c)
{
    struct pl_effect effect;
    while (pl_node_take_effect(c->node, &effect)) {
        switch (effect.kind) {
        case PL_EFFECT_COMMIT:
            if (c->hold_commits) {
                c->held = effect;
                c->has_held = true;
            } else {
                commit(c, &effect);
            }
            break;
        case PL_EFFECT_CLOSE:
            pl_node_closed(c->node, effect.conn, c->now);
            if (effect.conn == c->conn)
                c->conn = 0;
            if (effect.conn == c->dialed)
                c->dialed = 0;
            break;
        case PL_EFFECT_DIAL:
            c->dials++;
            c->dialed = c->hold_dials ? effect.conn : 0;
            if (c->hold_dials)
                break;
            pl_node_dialed(c->node, effect.conn, false, true, "nobody listens", c->now);
            break;
        case PL_EFFECT_NEW_KEY:
            c->new_key_bits = effect.bits;
            break;
        case PL_EFFECT_WRITE:
        case PL_EFFECT_READ:
        case PL_EFFECT_MAINTAIN:
            break;
        }
    }
}

static bool receive(struct node_client *c)
{
    size_t len = 0;
    const uint8_t *bytes = c->conn == 0 ? NULL : pl_node_send_buf(c->node, c->conn, &len);
    if (bytes == NULL || len == 0)
        return false;
    len = pl_min_size(len, c->piece_max);
    c->got = realloc(c->got, c->got_len + len + 1);
    memcpy(c->got + c->got_len, bytes, len);
    c->got_len += len;
    c->got[c->got_len] = '\0';
    pl_node_send_ack(c->node, c->conn, len, c->now);
    return true;
}

void node_client_settle(struct node_client *c)
{
    for (int i = 0; i < 1000000; i++) {
        run_effects(c);
        if (receive(c))
            continue;
        /* Work that gave way to others says so by a deadline that is already over. */
        if (pl_node_deadline(c->node) > c->now.mono)
            return;
        pl_node_tick(c->node, c->now);
    }
    fail_msg("the node does not come to rest");
}

void node_client_commit(struct node_client *c)
{
    c->hold_commits = false;
    if (c->has_held) {
        c->has_held = false;
        commit(c, &c->held);
    }
    node_client_settle(c);
}

void node_client_key(struct node_client *c, const char *key)
{
    struct pl_identity *identity = NULL;
    assert_int_not_equal(0, c->new_key_bits);
    c->new_key_bits = 0;
    assert_ok(pl_identity_import(&c->env->t.env, pl_span_text(key), &identity, NULL));
    pl_node_key_made(c->node, identity, pl_span_text("sealed"), PARLEY_OK, c->now);
    node_client_settle(c);
}

void node_client_wait(struct node_client *c, parley_time ns)
{
    c->now.mono += ns;
    c->now.wall += (parley_wall)(ns / 1000);
    pl_node_tick(c->node, c->now);
    node_client_settle(c);
}

size_t node_client_send(struct node_client *c, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    size_t done = 0;
    while (done < len) {
        size_t room = 0;
        uint8_t *to = c->conn == 0 ? NULL : pl_node_recv_buf(c->node, c->conn, &room);
        if (to == NULL || room == 0) {
            node_client_settle(c);
            to = c->conn == 0 ? NULL : pl_node_recv_buf(c->node, c->conn, &room);
            if (to == NULL || room == 0)
                break;
        }
        size_t part = pl_min_size(pl_min_size(room, len - done), c->piece_max);
        memcpy(to, from + done, part);
        pl_node_recv_ack(c->node, c->conn, part, c->now);
        run_effects(c);
        done += part;
    }
    node_client_settle(c);
    return done;
}

static size_t announced_length(const char *head)
{
    const char *at = strstr(head, "Content-Length: ");
    return at == NULL ? 0 : (size_t)strtoull(at + 16, NULL, 10);
}

struct node_reply node_client_take(struct node_client *c, bool head_only)
{
    char *end = strstr((char *)c->got, "\r\n\r\n");
    if (end == NULL)
        fail_msg("no whole response: %s", (char *)c->got);
    size_t head_len = (size_t)(end + 4 - (char *)c->got);
    free(c->body);
    size_t rest = c->got_len - head_len;
    c->body = malloc(c->got_len + 2);
    memcpy(c->body, c->got, head_len);
    c->body[head_len] = '\0';
    size_t len = head_only ? 0 : announced_length(c->body);
    assert_true(len <= rest);
    memcpy(c->body + head_len + 1, c->got + head_len, len);
    c->body[head_len + 1 + len] = '\0';
    memmove(c->got, c->got + head_len + len, rest - len);
    c->got_len = rest - len;
    c->got[c->got_len] = '\0';
    assert_int_equal(0, strncmp(c->body, "HTTP/1.1 ", 9));
    return (struct node_reply){ .status = (unsigned)strtoul(c->body + 9, NULL, 10),
                                .head = c->body,
                                .body = c->body + head_len + 1,
                                .body_len = len };
}

struct node_reply node_client_ask(struct node_client *c, const char *method, const char *target,
                                  const char *token, const char *body)
{
    char head[8192];
    int len =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost:8825\r\n", method, target);
    if (token != NULL)
        len +=
            snprintf(head + len, sizeof head - (size_t)len, "Authorization: Bearer %s\r\n", token);
    if (body != NULL)
        len += snprintf(head + len, sizeof head - (size_t)len, "Content-Length: %zu\r\n",
                        strlen(body));
    len += snprintf(head + len, sizeof head - (size_t)len, "\r\n");
    assert_in_range(len, 1, (int)sizeof head - 1);
    if (c->conn == 0)
        node_client_connect(c);
    node_client_send(c, head, (size_t)len);
    if (body != NULL)
        node_client_send(c, body, strlen(body));
    return node_client_take(c, strcmp(method, "HEAD") == 0);
}

struct node_reply node_client_admin(struct node_client *c, const char *method, const char *target,
                                    const char *body)
{
    return node_client_ask(c, method, target, NODE_CLIENT_ADMIN, body);
}

void node_client_expect(struct node_reply reply, unsigned status, const char *part)
{
    if (reply.status != status || (part != NULL && strstr(reply.body, part) == NULL))
        fail_msg("wanted %u with %s\ngot %s%s", status, part == NULL ? "anything" : part,
                 reply.head, reply.body);
}
