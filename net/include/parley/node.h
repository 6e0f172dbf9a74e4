/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node as a value, for programs that embed one: libparley-node. It keeps a store equal with
 * those of its peers. It does no I/O, reads no clock and has no thread; its host does, in turns:
 *
 *   1. tell it what happened: accepted, dialed, bytes received or sent, closed, committed, tick;
 *   2. then take its effects until there are none, and carry each out.
 *
 * Calls that may make effects take `now`: the clocks of the host, read once a turn.
 * What is at the other end of a connection is the host's choice: a socket, a pipe, a function call.
 * The bytes are TLS, and peers know each other by their keys, so the way need not be safe.
 *
 * Lifetime: parley_db_open -> parley_node_open -> turns -> parley_node_stop -> turns until
 *           parley_node_is_stopped -> parley_node_close -> parley_db_close. A node that is closed
 *           without a stop loses nothing that was committed.
 * Threads:  a node belongs to one thread at a time; where a call may run elsewhere it says so. A
 *           process may have many nodes, each with a store of its own.
 */
#ifndef PARLEY_NODE_H
#define PARLEY_NODE_H

#include <stdbool.h>

#include <parley/db.h>

#ifdef __cplusplus
extern "C" {
#endif

struct parley_node;

/* A connection; 0 is none. One that is gone is ignored by every call. */
typedef uint32_t parley_conn;

/* ---- Life ---- */

/* What a node calls itself; the first part of its name. */
enum parley_node_type { PARLEY_NODE_LOCAL = 0, PARLEY_NODE_HOSTED = 1, PARLEY_NODE_EDGE = 2 };

/* Bytes of a secret. */
#define PARLEY_SECRET_BYTES_MIN 32
#define PARLEY_SECRET_BYTES_MAX 1024
/* Bytes of HOST:PORT. */
#define PARLEY_ADDRESS_BYTES_MAX 255
#define PARLEY_ADMIN_TOKEN_BYTES 32

/* All of it is borrowed for the call. */
struct parley_node_options {
    enum parley_node_type type; /* of a new store; an older one keeps its own */
    /* Seals the node's private key in the store: random bytes, PARLEY_SECRET_BYTES_MIN at least,
     * that the host keeps elsewhere. With the bytes of seal.key it opens a directory of parleyd. */
    struct parley_span secret;
    const char *advertise;     /* HOST:PORT that its invites name; NULL: 127.0.0.1:8825 */
    parley_time sync_interval; /* ns between dials of a peer that is off line; 0: 5 s */
    /* How long deletions are kept at least, in microseconds; 0: 90 days, below: for ever. */
    int64_t tombstone_grace_us;
    /* Whoever presents these PARLEY_ADMIN_TOKEN_BYTES bytes, as hex digits, over HTTP on a
     * connection of the node may do everything (docs/HTTP.md). NULL: nobody. */
    const uint8_t *admin_token;
};

/* Opens the node of a store. A store that has no identity gets one: an RSA key of 2048 bits.
 *
 * Ownership: borrows `env` and `db` until parley_node_close. `diag` may be NULL.
 * Errors:    EINVAL (secret), ESEALED (the key was sealed with another secret, or a pass phrase),
 *            ENOMEM, ECORRUPT, EIDENTITY, those of parley_db_apply
 * Cost:      a new identity 0.1 to 0.5 s; else milliseconds. */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_open(const struct parley_env *env,
                                                       const struct parley_node_options *options,
                                                       struct parley_db *db, struct parley_now now,
                                                       struct parley_node **out,
                                                       struct parley_diag *diag);
/* Begins an orderly stop: sessions say goodbye, requests that are under way finish. */
PARLEY_API void parley_node_stop(struct parley_node *node, struct parley_now now);
/* No connection, no commit under way, no key being made. */
PARLEY_API bool parley_node_is_stopped(const struct parley_node *node);
/* Frees the node, and forgets connections that are open. Every COMMIT and NEW_KEY effect that was
 * taken must have been answered. NULL is allowed. */
PARLEY_API void parley_node_close(struct parley_node *node);

/* ---- Effects: what the node asks of its host ---- */

enum parley_effect_kind {
    PARLEY_EFFECT_DIAL = 1, /* connect to `address` as `conn`; answer: parley_node_dialed */
    PARLEY_EFFECT_CLOSE,    /* close `conn`, then parley_node_closed */
    PARLEY_EFFECT_WRITE,    /* `conn` has bytes in send_buf */
    PARLEY_EFFECT_READ,     /* `conn` has room in recv_buf again */
    PARLEY_EFFECT_COMMIT,   /* parley_db_apply; answer: parley_node_committed. One at a time */
    PARLEY_EFFECT_MAINTAIN, /* parley_db_maintain on the db's writer; no answer */
    PARLEY_EFFECT_NEW_KEY   /* parley_node_key_make; answer: parley_node_key_made */
};

struct parley_effect {
    enum parley_effect_kind kind;
    parley_conn conn;
    const char *address;         /* DIAL: HOST:PORT, lent until dialed */
    struct parley_write *writes; /* COMMIT: lent until committed */
    size_t count;                /* of writes */
    unsigned bits;               /* NEW_KEY: of the key */
};

/* The next effect; false when there is none. */
PARLEY_API bool parley_node_take_effect(struct parley_node *node, struct parley_effect *out);

/* Carries out what an effect asks of store or key, here and now, and answers it: for hosts that may
 * wait for the disk, and for a new key up to two seconds. False for effects on a connection, which
 * are left to the host. */
PARLEY_API bool parley_node_run_effect(struct parley_node *node, const struct parley_effect *effect,
                                       struct parley_now now);

/* The writes of the last COMMIT effect were applied, or not: `err` of parley_db_apply. After EIO
 * the host has called parley_db_recover, and says in `recovered` whether that gave PARLEY_OK.
 * `changed` is that of parley_db_apply. */
PARLEY_API void parley_node_committed(struct parley_node *node, parley_err err, bool recovered,
                                      bool changed, struct parley_now now);

/* Makes the key of a NEW_KEY effect, sealed. Errors: ENOMEM. Cost: 0.1 to 2 s. Threads: any, while
 * the node goes on, but not while it is opened or closed. */
struct parley_node_key;
PARLEY_API PARLEY_MUST_USE parley_err parley_node_key_make(const struct parley_node *node,
                                                           unsigned bits,
                                                           struct parley_node_key **out);
/* The key of the last NEW_KEY effect was made, or not: `err` of parley_node_key_make, and `key`
 * NULL then. Takes: `key`, always. */
PARLEY_API void parley_node_key_made(struct parley_node *node, struct parley_node_key *key,
                                     parley_err err, struct parley_now now);

/* Time passed; call it at the deadline, or later. */
PARLEY_API void parley_node_tick(struct parley_node *node, struct parley_now now);
/* The monotonic time of the next tick; PARLEY_TIME_NEVER: none is needed. Changes in every turn. */
PARLEY_API parley_time parley_node_deadline(const struct parley_node *node);

/* ---- Connections ---- */

/* Somebody connected from an IP address of 4 or 16 bytes in network order; with 0 bytes, from this
 * process or over something that is no network; with any other number, from who knows where. 0 when
 * the node has no room: close it. */
PARLEY_API parley_conn parley_node_accepted(struct parley_node *node, const uint8_t *address,
                                            size_t address_bytes, struct parley_now now);
/* The DIAL effect of `conn` has succeeded: `why` NULL; or failed: `why` is a short reason for
 * people, copied, and the connection is gone. */
PARLEY_API void parley_node_dialed(struct parley_node *node, parley_conn conn, const char *why,
                                   struct parley_now now);
/* The connection is closed for both ways, as an effect asked or by itself. It is gone. */
PARLEY_API void parley_node_closed(struct parley_node *node, parley_conn conn,
                                   struct parley_now now);

/* Where bytes from the other side may be put, and how many; NULL: stop reading until the READ
 * effect. Lent until the next call on this node. */
PARLEY_API uint8_t *parley_node_recv_buf(struct parley_node *node, parley_conn conn, size_t *len);
/* So many bytes were put there. */
PARLEY_API void parley_node_recv_ack(struct parley_node *node, parley_conn conn, size_t len,
                                     struct parley_now now);
/* The other side will send no more. */
PARLEY_API void parley_node_recv_end(struct parley_node *node, parley_conn conn,
                                     struct parley_now now);
/* Bytes for the other side; NULL: none until the WRITE effect. Lent until the ack, so that one
 * write may be under way while the node goes on. */
PARLEY_API const uint8_t *parley_node_send_buf(struct parley_node *node, parley_conn conn,
                                               size_t *len);
/* So many of them were sent. */
PARLEY_API void parley_node_send_ack(struct parley_node *node, parley_conn conn, size_t len,
                                     struct parley_now now);

/* ---- What it is for ---- */

/* Bytes of an invite with its NUL. */
#define PARLEY_INVITE_URL_BYTES 640

/* Makes an invite: who brings it is a peer for this namespace from then on. Good once, until
 * `expires`, and from the moment the COMMIT effect that follows has succeeded. It is a secret.
 *
 * Ownership: fills `url`, NUL-terminated.
 * Errors:    EINVAL (namespace), EFULL (64 are open), EAGAIN (take effects first) */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_invite(struct parley_node *node,
                                                         struct parley_span name_space,
                                                         bool may_write, parley_wall expires,
                                                         char url[PARLEY_INVITE_URL_BYTES],
                                                         struct parley_now now);
/* Begins to join the node that made the invite; parley_node_state says how it goes. One at a time.
 * Errors: EMALFORMED, EBUSY (one is under way), EFULL, EAGAIN; `diag`, which may be NULL, says. */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_join(struct parley_node *node,
                                                       struct parley_span url,
                                                       struct parley_now now,
                                                       struct parley_diag *diag);

/* Puts a peer out: nothing more goes to it or comes from it, from this call on; what it has it
 * keeps. Another invite lets it in again. `name` is that of a struct parley_peer.
 * Errors: EUNKNOWN; EAGAIN (in force, but not on its way to the disk: take effects, then again) */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_revoke(struct parley_node *node,
                                                         struct parley_span name,
                                                         struct parley_now now);

/* Writes a version (time 0: stamped here and now). While a node has a store, its host writes
 * through the node, which then sends it on at once. It is durable when the COMMIT effect that has
 * it has succeeded: the one under way if any, and then the next.
 *
 * Ownership: borrows all; copied.
 * Errors:    EAGAIN (no room: carry out effects, then again), ENOMEM, those of
 *            parley_version_check */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_write(struct parley_node *node,
                                                        const struct parley_version *version,
                                                        struct parley_now now);

/* Begins to replace the node's key; peers learn of it by sync, and its name stays. `bits` 2048,
 * 3072, or 0: as it is.
 * Errors: EINVAL, EBUSY (one is under way), EFULL (16 in a life), ECLOSING, those of a store that
 *         refuses writes */
PARLEY_API PARLEY_MUST_USE parley_err parley_node_rotate(struct parley_node *node, unsigned bits,
                                                         struct parley_now now);

enum parley_join {
    PARLEY_JOIN_NONE = 0,
    PARLEY_JOIN_RUNNING,
    PARLEY_JOIN_DONE,
    PARLEY_JOIN_FAILED /* `join_error` says why */
};

struct parley_node_state {
    const char *name; /* its backend id: "<type>_sha256_<32 hex digits>" */
    size_t peers;     /* that it syncs with: let in, not revoked */
    size_t in_sync;   /* of them, those connected and known to have the same */
    parley_err store; /* PARLEY_OK, or why writes are refused; see docs/OPERATIONS.md */
    enum parley_join join;
    const char *check; /* six digits that both sides of the last join show to people, or "" */
    const char *join_error;
};
/* Lends: texts, until the next call on this node. */
PARLEY_API void parley_node_state(const struct parley_node *node, struct parley_node_state *out);

enum parley_peer_state {
    PARLEY_PEER_PENDING = 1, /* not let in yet */
    PARLEY_PEER_OFFLINE,     /* no connection; `note` says why */
    PARLEY_PEER_CATCHING_UP, /* connected, not equal yet */
    PARLEY_PEER_IN_SYNC,     /* connected, and each has what the other has */
    PARLEY_PEER_REFUSED,     /* it or we refuse; `note` says why */
    PARLEY_PEER_REVOKED
};
struct parley_peer {
    const char *name;
    const char *address; /* HOST:PORT, or "": it dials us */
    const char *note;    /* for people, or "" */
    enum parley_peer_state state;
    parley_wall synced_at; /* last time in sync, microseconds; 0: never */
};
/* Lists the peers: pass *position 0 first. False at the end. Lends: texts, until the next call on
 * this node that takes `now`. */
PARLEY_API bool parley_node_peer(const struct parley_node *node, size_t *position,
                                 struct parley_peer *out);

/* ---- Two nodes of one process ---- */

/* Connects two nodes: each dial of one reaches the other, whatever the address. Caller's memory,
 * zeroed but for the nodes; which must be open, and in no other hands, as long as it is used. */
struct parley_link {
    struct parley_node *nodes[2];
    parley_conn conns[2]; /* the two ends of the connection, 0: none */
};
/* One turn of both: time passes, effects are carried out, bytes move from each to the other. True
 * when anything happened: call again at once; else at the next deadline of the two. This host waits
 * for the disk. Its source, net/node/link.c, uses nothing but this header: a host to begin with. */
PARLEY_API bool parley_link_turn(struct parley_link *link, struct parley_now now);

#ifdef __cplusplus
}
#endif

#endif
