/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node as a value: (state, time, event) -> (state, bytes, effects). No I/O, no clock, no
 * thread. A host (net/uv, the simulator, the command line) feeds events and bytes, and carries out
 * effects. After any call below that takes `now`, the host drains pl_node_take_effect until false.
 *
 * Threads: one, except that parley_db_apply on the writes of a COMMIT effect runs where the host
 *          likes, while the node only reads what that does not fill.
 */
#ifndef PL_NODE_H
#define PL_NODE_H

#include <parley/db.h>

#include "trust/cert.h"
#include "trust/rotation.h"

struct pl_node;

/* A handle of a connection: slab index and generation; 0 is none. A stale one is ignored. */
typedef uint32_t pl_conn;

#define PL_ADDRESS_BYTES_MAX 255
struct pl_https_cert;

struct pl_node_options {
    enum pl_backend_type type; /* prefix of the backend id of a new store */
    bool compat_legacy;        /* accept what old HTTP clients can do (DESIGN section 5) */
    bool plain_peers;          /* dial peers without TLS, accept plain off loopback */
    bool no_zstd;              /* pack nothing for peers, and take nothing packed */
    const char *advertise;     /* HOST:PORT put into invites; copied */
    const char *version;       /* shown by /health; static */
    uint8_t admin_token[32];   /* bearer token of the operator, as 64 hex digits */
    parley_time sync_interval; /* ns between dials of a peer that is off line; 0: 5 s */
    int64_t
        tombstone_grace_us; /* how long deletions are kept at least; 0: 90 days, below: for ever */
    /* HOST:PORT or HOST: what the TLS certificate is good for besides `advertise`; read at the
     * open. What stands for all addresses, or is no name, is passed over. */
    const char *const *tls_names;
    size_t tls_name_count;
    /* Origins of pages that may use the HTTP side from a browser; borrowed for the node's life, or
     * until pl_node_set_origins. */
    const char *const *origins;
    size_t origin_count;
    /* HTTP requests a second of one peer, and of all together from one address who show no good
     * token; 0: as many as come. */
    uint32_t peer_rate, stranger_rate;
    /* Of a small machine. 0: what bounds.h says, which is also the most. */
    uint32_t conns_max;        /* connections at once */
    uint32_t batch_writes_max; /* writes of one commit, unless one request has more */
    uint32_t batch_bytes_max;  /* bytes of them, likewise */
    /* The operator's certificate for HTTPS, with its key; NULL: the node's own. Borrowed for the
     * node's life, or as pl_node_set_https says. */
    const struct pl_https_cert *https;
};

/* Takes: `identity` (destroyed with the node). Borrows: `env`, `db` (open, for the node's life).
 * Loads peers, invites and rotations from the store, and makes the TLS credential.
 * Errors: ENOMEM, ECORRUPT, EIDENTITY (the store belongs to another key, or to a later one of the
 *         same identity). */
PL_MUST_USE parley_err pl_node_open(const struct parley_env *env,
                                    const struct pl_node_options *options, struct parley_db *db,
                                    struct pl_identity *identity, struct parley_now now,
                                    struct pl_node **out, struct parley_diag *diag);
/* Every connection must be closed and no commit in flight. */
void pl_node_free(struct pl_node *node);

/* ---- Control plane ---- */

/* Where a connection comes from: from this machine, else from what one host can speak for, its IPv4
 * address (as 0, 0, ff, ff and four bytes) or the first half of its IPv6 address. */
struct pl_remote {
    bool local;
    uint8_t net[8];
};
/* A connection was accepted. Others that have not proved who they are may be closed for it. Returns
 * 0 when the node has no room: close the socket. */
pl_conn pl_node_accepted(struct pl_node *node, const struct pl_remote *from, struct parley_now now);
/* The DIAL effect with this handle succeeded, or failed with `why` (static or copied text). */
void pl_node_dialed(struct pl_node *node, pl_conn conn, bool ok, bool local, const char *why,
                    struct parley_now now);
/* The socket is gone, by the other side or as a CLOSE effect asked. The handle is dead after. */
void pl_node_closed(struct pl_node *node, pl_conn conn, struct parley_now now);
/* The writes of the last COMMIT effect were applied (err OK) or not. After EIO the host has called
 * parley_db_recover and passes its result in `recovered`. */
void pl_node_committed(struct pl_node *node, parley_err err, bool recovered, bool changed,
                       struct parley_now now);
/* How far the host has read the store, and what it has found: for health, status and metrics. */
void pl_node_scrubbed(struct pl_node *node, const struct parley_scrub *scrub);
/* The NEW_KEY effect is done. `record` is what the host wants to find under PL_IDENTITY_RECORD_KEY
 * in the store from the next start on: the sealed key. It is written together with the statement
 * of the rotation, and the node uses the new key once both are durable; a crash before that leaves
 * the old one. Takes: `identity`, always; NULL with an `err`. Copies: `record`. */
void pl_node_key_made(struct pl_node *node, struct pl_identity *identity, struct parley_span record,
                      parley_err err, struct parley_now now);
/* Time passed; call at pl_node_deadline or later. */
void pl_node_tick(struct pl_node *node, struct parley_now now);
parley_time pl_node_deadline(const struct pl_node *node);
/* Begins an orderly stop: sessions say BYE, HTTP requests in flight finish. */
void pl_node_stop(struct pl_node *node, struct parley_now now);
/* Stopped: no connection, no commit in flight, no key being made. */
bool pl_node_is_stopped(const struct pl_node *node);

enum pl_effect_kind {
    PL_EFFECT_DIAL = 1, /* connect to `address` as `conn`; answer with pl_node_dialed */
    PL_EFFECT_CLOSE,    /* close the socket of `conn`, then pl_node_closed */
    PL_EFFECT_WRITE,    /* `conn` has bytes in send_buf */
    PL_EFFECT_READ,     /* `conn` has room in recv_buf again */
    PL_EFFECT_COMMIT,   /* run parley_db_apply(writes, count); at most one in flight */
    PL_EFFECT_MAINTAIN, /* run parley_db_maintain on the writer, and some rows of parley_db_scrub,
                           whose result may be given back with pl_node_scrubbed */
    PL_EFFECT_NEW_KEY   /* make an identity of `bits`, off the loop; answer: pl_node_key_made */
};

struct pl_effect {
    enum pl_effect_kind kind;
    pl_conn conn;
    const char *address;         /* DIAL: HOST:PORT, lent until dialed */
    struct parley_write *writes; /* COMMIT: lent until committed */
    size_t count;
    unsigned bits; /* NEW_KEY */
};
bool pl_node_take_effect(struct pl_node *node, struct pl_effect *out);

/* ---- Data plane of a connection ---- */

uint8_t *pl_node_recv_buf(struct pl_node *node, pl_conn conn, size_t *len);
void pl_node_recv_ack(struct pl_node *node, pl_conn conn, size_t len, struct parley_now now);
/* Stable until the matching ack. */
const uint8_t *pl_node_send_buf(struct pl_node *node, pl_conn conn, size_t *len);
void pl_node_send_ack(struct pl_node *node, pl_conn conn, size_t len, struct parley_now now);
/* The other side has half-closed: no more bytes will come. */
void pl_node_recv_end(struct pl_node *node, pl_conn conn, struct parley_now now);

/* ---- Facts for hosts and tests ---- */

const char *pl_node_backend_id(const struct pl_node *node);
/* Replaces the address put into invites, once the bound port is known; copied, cut at 255 bytes. */
void pl_node_set_advertise(struct pl_node *node, const char *address);
/* Change what the options said at the open, for what comes from now on. A rate also counts for who
 * is limited just now. */
void pl_node_set_rates(struct pl_node *node, uint32_t peer_rate, uint32_t stranger_rate);
/* Borrows: `origins` until the next call or the node's end. */
void pl_node_set_origins(struct pl_node *node, const char *const *origins, size_t count);
/* As in the options: 0 is 90 days, below it is for ever. */
void pl_node_set_tombstone_grace(struct pl_node *node, int64_t grace_us);
/* How much the host logs: nothing to the node, which keeps it for GET and POST /log-level. When the
 * operator changes it there comes the event LOG_LEVEL. NONE: the host has no log. */
enum pl_log_level {
    PL_LOG_NONE = 0,
    PL_LOG_ERROR = 1,
    PL_LOG_WARN = 2,
    PL_LOG_INFO = 3,
    PL_LOG_DEBUG = 4
};
void pl_node_set_log_level(struct pl_node *node, enum pl_log_level level);
enum pl_log_level pl_node_log_level(const struct pl_node *node);
/* The certificate of connections that are accepted from now on; NULL: the node's own. Borrows: it
 * until another one is set and pl_node_uses_https says false of it, or until the node's end. */
void pl_node_set_https(struct pl_node *node, const struct pl_https_cert *https);
/* Whether a connection that began with this certificate is still open. */
bool pl_node_uses_https(const struct pl_node *node, const struct pl_https_cert *https);
/* Creates an invite as POST /invites does, for hosts without HTTP (the simulator). The URL is
 * written to `url` (cap at least 512). The registration is part of the next COMMIT. */
PL_MUST_USE parley_err pl_node_invite(struct pl_node *node, struct parley_span name_space,
                                      bool may_write, parley_wall expires, char *url, size_t cap,
                                      struct parley_now now);
/* Begins a join as POST /joins does. */
PL_MUST_USE parley_err pl_node_join(struct pl_node *node, struct parley_span url,
                                    struct parley_now now, struct parley_diag *diag);
/* Begins a rotation of the identity as POST /key/rotate does; `bits` 0 keeps the size. Errors:
 * EINVAL (bits), EBUSY (one is under way), EFULL (PL_ROTATIONS_MAX), ECLOSING, the store's. */
PL_MUST_USE parley_err pl_node_rotate(struct pl_node *node, unsigned bits, struct parley_now now);
/* Whether every active peer with an address is in sync with us (sessions open, roots equal). */
bool pl_node_in_sync(const struct pl_node *node);
/* Whether a connection that is accepted now would be refused for want of a place. */
bool pl_node_is_full(const struct pl_node *node);
/* Injects a local write (the simulator, embedders); copied. Errors: EAGAIN (no room now), ENOMEM,
 * those of parley_version_check. */
PL_MUST_USE parley_err pl_node_write(struct pl_node *node, const struct parley_version *version,
                                     struct parley_now now);

#endif
