/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the driver, shared by the files of this folder only.
 *
 * A socket has a slot. Slots are all allocated at open, so that accepting costs no memory and the
 * cap on connections is ours. Life of a slot, with the function that takes each edge:
 *
 *   FREE --accept_one--> OPEN ----------------------------------+
 *   FREE --pl_uv_dial--> RESOLVING --on_resolved--> CONNECTING  |
 *                            |                        |    ^    |
 *                            |   next address: RETRYING <--+    |
 *                            |                        |         |
 *                            |                        +-------> OPEN --close_gently--> LINGERING
 *                            |                        |           |                       |
 *                            +---> FREE <--on_closed-- CLOSING <--+--pl_uv_conn_close-----+
 *
 * A dial that ends without a connection goes from RESOLVING or RETRYING to FREE in give_up.
 *
 * U1  A slot is freed in the same step as its pl_node_closed, so a node that obeys PL_CONNS_MAX
 *     always finds a slot for a dial.
 * U2  At most PL_UV_REJECTS_MAX slots belong to no connection of the node (refused, being closed);
 *     beyond that nothing is accepted, which leaves clients in the kernel's backlog.
 *     Nor is anything while the node has no place and one is about to be free.
 * U3  At most one uv_write is in flight per connection; its bytes are the node's send buffer.
 * U4  Only callbacks of libuv call pl_uv_pump, once, at their end; what it runs never calls it.
 */
#ifndef PL_UV_INT_H
#define PL_UV_INT_H

#include "uv/uv_node.h"
#include "uv/uv_store.h"
#include "uv/uv_time.h"

#include <uv.h>

#define PL_UV_REJECTS_MAX 16
#define PL_UV_SLOTS_MAX   (PL_CONNS_MAX + PL_UV_REJECTS_MAX)
/* Addresses of one name that are tried, and name look-ups that run at once. */
#define PL_UV_CANDIDATES_MAX 8
#define PL_UV_LOOKUPS_MAX    16
#define PL_UV_DIAL_NS        (10 * PARLEY_NS_PER_S)
#define PL_UV_STOP_NS        (5 * PARLEY_NS_PER_S)
/* After our last byte the other side may still be sending. Closing then would make the kernel send
 * a reset, which can destroy our answer on its way; so its bytes are thrown away for a while. */
#define PL_UV_LINGER_NS        PARLEY_NS_PER_S
#define PL_UV_LINGER_BYTES_MAX (4u << 20)
/* So many linger at once; the one that did longest makes place for the next. Each keeps a place in
 * the node's table, and a crowd of clients that do not close would have them all. */
#define PL_UV_LINGERS_MAX   PL_LIMIT(32, 2)
#define PL_UV_SCRATCH_BYTES 65536u
/* Effects of one pump; a chunk of at most 64 KiB is written for one. Then the loop polls again. */
#define PL_UV_EFFECTS_PER_PUMP 1024
#define PL_UV_BACKLOG          128

enum pl_uv_state {
    PL_UV_FREE = 0,
    PL_UV_RESOLVING, /* a look-up runs; no socket yet */
    PL_UV_CONNECTING,
    PL_UV_RETRYING, /* the socket of a failed attempt is being closed */
    PL_UV_OPEN,
    PL_UV_LINGERING, /* our side is done; waiting for the other's end */
    PL_UV_CLOSING
};

/* A name look-up. Apart from the slot, since libuv cannot always cancel one: a slot that gives up
 * forgets its look-up, which frees itself when it ends. */
struct pl_uv_lookup {
    uv_getaddrinfo_t request;
    struct pl_uv *uv;
    struct pl_uv_slot *slot; /* NULL: forgotten */
};

struct pl_uv_slot {
    struct pl_uv *uv;
    enum pl_uv_state state;
    pl_conn conn; /* 0: refused by the node */
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool writing; /* U3 */
    size_t write_len;
    bool reading;
    bool read_ended;
    parley_time deadline; /* of the dial or of the linger */
    size_t lingered;
    /* Dialing only. */
    uv_connect_t connect;
    parley_time attempt_deadline;
    struct pl_uv_lookup *lookup;
    struct sockaddr_storage candidates[PL_UV_CANDIDATES_MAX];
    size_t candidate_count;
    size_t candidate_next;
    bool dial_told; /* the node knows how the dial ended */
    const char *why;
    char address[PL_ADDRESS_BYTES_MAX + 1];
};

struct pl_uv_listener {
    struct pl_uv *uv;
    uv_tcp_t tcp;
    bool open;
    bool waiting; /* a connection waits for a free slot */
    char address[PL_UV_ADDRESS_BYTES];
};

/* A key being made in the pool. */
struct pl_uv_key {
    uv_work_t work;
    bool busy;
    unsigned bits;
    parley_err err;
    struct pl_identity *identity;
    size_t record_len;
    uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX];
};

struct pl_uv {
    uv_loop_t *loop;
    struct pl_uv_options options;
    struct pl_node *node;
    struct pl_uv_store store;
    struct pl_uv_key key;
    uv_timer_t timer;
    parley_time timer_at;
    uv_prepare_t prepare;
    bool time_is_stale;
    struct parley_now now; /* of this turn */

    bool started;
    bool stopping;
    bool stopped;
    bool pumping;
    bool freed; /* by its host; look-ups may still run */
    parley_time stop_deadline;

    size_t listener_count;
    struct pl_uv_listener listeners[PL_UV_LISTENS_MAX];

    size_t lookup_count;
    size_t used;    /* slots not FREE */
    size_t rejects; /* of them without a connection of the node */
    size_t timed;   /* of them dialing or lingering: they have a deadline */
    uint16_t free_count;
    uint16_t free_slots[PL_UV_SLOTS_MAX];
    struct pl_uv_slot *by_index[PL_CONNS_MAX]; /* by the low half of the node's handle */
    struct pl_uv_slot slots[PL_UV_SLOTS_MAX];
    char scratch[PL_UV_SCRATCH_BYTES];
};

/* ---- uv_node.c ---- */
/* The time of this turn of the loop. */
struct parley_now pl_uv_turn(struct pl_uv *uv);
/* Carries out what the node asks for and sets the timer. */
void pl_uv_pump(struct pl_uv *uv);
void pl_uv_note(struct pl_uv *uv, struct pl_uv_note note);

/* ---- uv_key.c ---- */
void pl_uv_key_make(struct pl_uv *uv, unsigned bits);

/* ---- uv_conn.c ---- */
/* A slot without a connection, or NULL. */
struct pl_uv_slot *pl_uv_slot_take(struct pl_uv *uv);
void pl_uv_slot_release(struct pl_uv_slot *slot);
/* Ties a slot to the node's connection; 0 makes it a refused one. */
void pl_uv_slot_bind(struct pl_uv_slot *slot, pl_conn conn);
/* Sets or clears (PARLEY_TIME_NEVER) the deadline, and keeps count of those that have one. */
void pl_uv_slot_deadline(struct pl_uv_slot *slot, parley_time at);
/* The slot of a live connection of the node, or NULL. */
struct pl_uv_slot *pl_uv_slot_find(struct pl_uv *uv, pl_conn conn);
/* The socket is connected: begin to read. */
void pl_uv_conn_opened(struct pl_uv_slot *slot);
/* Whether the node has no place for another connection, but will have one within this turn. */
bool pl_uv_conn_place_is_coming(struct pl_uv *uv);
/* Reads again if the node has room. */
void pl_uv_conn_read(struct pl_uv_slot *slot);
/* Sends what the node has. */
void pl_uv_conn_write(struct pl_uv_slot *slot);
/* After the node asked: half-closes and lingers where that helps. */
void pl_uv_conn_close_gently(struct pl_uv_slot *slot);
/* At once. */
void pl_uv_conn_close(struct pl_uv_slot *slot);
/* Closes the socket of a dial that has failed; on_closed tries the next address. */
void pl_uv_conn_close_attempt(struct pl_uv_slot *slot);
/* Whether the other end of a connected socket is this machine. */
bool pl_uv_conn_is_local(const uv_tcp_t *tcp);
/* What of the peer's address stands for its host, see pl_remote; zeros when it is not known. */
void pl_uv_conn_net(const uv_tcp_t *tcp, uint8_t out[8]);
void pl_uv_conn_expire(struct pl_uv_slot *slot, parley_time now);

/* ---- uv_listen.c ---- */
/* Accepts what waited for a free slot. */
void pl_uv_listen_resume(struct pl_uv *uv);
void pl_uv_listen_close(struct pl_uv *uv);

/* ---- uv_dial.c ---- */
void pl_uv_dial(struct pl_uv *uv, pl_conn conn, const char *address);
/* The socket of the failed attempt is closed: the next address, or the end. */
void pl_uv_dial_next(struct pl_uv_slot *slot);
/* Ends a dial for `why` (static text). */
void pl_uv_dial_abandon(struct pl_uv_slot *slot, const char *why);
void pl_uv_dial_expire(struct pl_uv_slot *slot, parley_time now);

#endif
