/* SPDX-License-Identifier: Apache-2.0
 *
 * Who keeps a place in the table of connections. Whoever has proved nothing yet competes with his
 * like alone, first of all with those from his own address; he who came first leaves first, since
 * an honest handshake is over in a few round trips. When all places are taken, who leaves first is
 * who needs his least: who asks for nothing, then who is slow to send or to take what he asked for.
 * The operator is never cut while he is served: it is he who has to see what goes on.
 */
#include "node/node_int.h"

/* Connections kept free for newcomers while others can be closed. */
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

/* Who leaves first. */
enum need { NEED_NOTHING, NEED_PATIENCE, NEED_LITTLE, NEED_ALL };

static enum need need_of(const struct pl_connection *conn)
{
    if (is_unproved(conn))
        return NEED_NOTHING;
    if (conn->kind != PL_CONN_HTTP)
        return NEED_ALL;
    if (pl_http_is_idle(conn))
        return conn->is_operator ? NEED_LITTLE : NEED_NOTHING;
    return pl_http_waits_for_client(conn) && !conn->is_operator ? NEED_PATIENCE : NEED_ALL;
}

/* The connection that needs its place least, among equals that which moved bytes longest ago; NULL
 * when all are at work. */
static struct pl_connection *find_least(struct pl_node *node)
{
    struct pl_connection *least = NULL;
    enum need need = NEED_ALL;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        struct pl_connection *conn = pl_slab_find(&node->conns, h);
        enum need own = conn->closing ? NEED_ALL : need_of(conn);
        if (own > need || own == NEED_ALL)
            continue;
        if (own < need || conn->moved_at < least->moved_at)
            least = conn;
        need = own;
    }
    return least;
}

/* Those that are being closed have as good as left. */
static size_t count_staying(struct pl_node *node)
{
    size_t count = 0;
    for (pl_handle h = pl_slab_next(&node->conns, 0); h != 0; h = pl_slab_next(&node->conns, h)) {
        const struct pl_connection *conn = pl_slab_find(&node->conns, h);
        count += conn->closing ? 0 : 1;
    }
    return count;
}

void pl_admission_make_room(struct pl_node *node, const struct pl_remote *from)
{
    if (!from->local)
        bound_unproved(node, from, PL_UNPROVED_ADDRESS_MAX);
    bound_unproved(node, NULL, pl_min_size(PL_UNPROVED_MAX, node->conns_max / 2));
    struct pl_connection *least = NULL;
    if (count_staying(node) + CONNS_SPARE >= node->conns_max)
        least = find_least(node);
    if (least != NULL)
        pl_node_conn_close(node, least);
}
