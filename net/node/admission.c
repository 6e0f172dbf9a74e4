/* SPDX-License-Identifier: Apache-2.0
 *
 * Who keeps a place in the table of connections. Whoever has proved nothing yet competes with his
 * like alone, first of all with those from his own address; he who came first leaves first, since
 * an honest handshake is over in a few round trips.
 */
#include "node/node_int.h"

/* Connections kept free for newcomers while idle ones can be closed. */
#define CONNS_SPARE 4

/* A session is its peer's once its proof, and in a join its invite, was accepted. */
static bool has_proved(const struct pl_connection *conn)
{
    return conn->dialed || conn->proved || (conn->kind == PL_CONN_NATIVE && conn->peer != NULL);
}

/* What waits for a commit is not cut: our disk alone decides how long that takes. */
static bool is_unproved(const struct pl_connection *conn)
{
    return !conn->closing && !has_proved(conn) && conn->waits_for == 0;
}

static bool is_from(const struct pl_connection *conn, const struct pl_remote *from)
{
    return !conn->local && memcmp(conn->net, from->net, sizeof conn->net) == 0;
}

/* Closes the oldest of the unproved connections, of those from one address when `from` is not NULL,
 * if there are `max`. */
static void bound_unproved(struct pl_node *node, const struct pl_remote *from, size_t max)
{
    struct pl_connection *oldest = NULL;
    size_t count = 0;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        if (!is_unproved(conn) || (from != NULL && !is_from(conn, from)))
            continue;
        count++;
        if (oldest == NULL || conn->accepted_at < oldest->accepted_at)
            oldest = conn;
    }
    if (count >= max)
        pl_node_conn_close(node, oldest);
}

/* The connection without a whole request that was heard from longest ago. */
static struct pl_connection *find_idle(struct pl_node *node)
{
    struct pl_connection *oldest = NULL;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        bool idle = is_unproved(conn) || (conn->kind == PL_CONN_HTTP && pl_http_is_idle(conn));
        if (idle && !conn->closing && (oldest == NULL || conn->heard_at < oldest->heard_at))
            oldest = conn;
    }
    return oldest;
}

void pl_admission_make_room(struct pl_node *node, const struct pl_remote *from)
{
    if (!from->local)
        bound_unproved(node, from, PL_UNPROVED_ADDRESS_MAX);
    bound_unproved(node, NULL, PL_UNPROVED_MAX);
    struct pl_connection *idle = NULL;
    if (node->conns.used + CONNS_SPARE >= PL_CONNS_MAX)
        idle = find_idle(node);
    if (idle != NULL)
        pl_node_conn_close(node, idle);
}
