/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a node, shared by the files of this folder only.
 *
 * How a write becomes durable: a handler or session puts writes into the filling batch and
 * remembers (serial, first, count). When no commit is in flight, the filling batch becomes the one
 * in flight and a COMMIT effect is made; writes that arrive meanwhile fill the other batch and
 * share
 * the next commit. On `committed` every connection that waits for that serial is resumed. Nothing
 * that promises durability is sent before that.
 */
#ifndef PL_NODE_INT_H
#define PL_NODE_INT_H

#include "base/arena.h"
#include "base/rng.h"
#include "base/slab.h"
#include "node/node.h"
#include "node/rate.h"
#include "node/tokens.h"
#include "proto/http1.h"
#include "proto/session.h"
#include "proto/tls.h"
#include "sync/peer.h"
#include "sync/round.h"
#include "trust/audit.h"
#include "trust/token.h"
#include <parley/trace.h>

#define PL_EFFECTS_MAX (PL_CONNS_MAX * 4 + 8)
#define PL_INVITES_MAX 64
/* Joins that one invite may begin, all by the node that began the first: a connection can break
 * a few times, but each join is another chance to meet given check digits. */
#define PL_INVITE_TRIES_MAX    8
#define PL_ADVERTISE_BYTES_MAX 255
/* PEM of the identity's own certificate: base64 and line ends of its DER, two lines around it. */
#define PL_CA_PEM_BYTES_MAX (PL_CERT_DER_BYTES_MAX * 3 / 2)

/* A finished connection sends its last bytes for at most this long, one of a revoked peer or
 * whose place another has taken for less: what does not take them must not keep its place. */
#define PL_DRAIN_NS_MAX   (2 * PARLEY_NS_PER_S)
#define PL_REVOKED_NS_MAX (500 * PARLEY_NS_PER_MS)

/* Old backends that a node pushes to: each may hold a payload and an answer in memory. */
#define PL_LEGACY_PEERS_MAX 16

/* Registrations that wait at once: strangers can make them, the operator must be able to read
 * them, and they must not fill the table of peers. Nobody approves one after a week. */
#define PL_PENDING_MAX    64
#define PL_PENDING_US_MAX (INT64_C(7) * 24 * 3600 * PARLEY_US_PER_S)

/* ---- The audit log, audit.c ---- */

#define PL_AUDIT_PREFIX      "audit/"
#define PL_AUDIT_KEY_BYTES   (sizeof PL_AUDIT_PREFIX - 1 + 8)
#define PL_AUDIT_BATCH_MAX   PL_LIMIT(32, 6)
#define PL_AUDIT_CLASSES_MAX 48

struct pl_audit_head {
    uint64_t sequence; /* of the last record */
    uint8_t hash[PL_SHA256_BYTES];
};

/* Refusals of one class. */
struct pl_audit_class {
    char name[48];
    char actor[PARLEY_BACKEND_ID_BYTES_MAX + 1]; /* of the first since the last record */
    char subject[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    uint64_t count; /* since the last record */
    uint64_t total; /* since the start */
    parley_time flush_at;
};

struct pl_audit {
    struct pl_audit_head head;                           /* after the last successful commit */
    struct pl_audit_head launched;                       /* after the batch in flight */
    struct pl_audit_class classes[PL_AUDIT_CLASSES_MAX]; /* the last one: all others */
    size_t class_count;
};

/* An event in a batch. */
struct pl_audit_slot {
    uint8_t key[PL_AUDIT_KEY_BYTES];
    uint8_t record[PL_AUDIT_RECORD_BYTES_MAX];
    size_t len;
};

struct pl_batch {
    struct parley_write *writes; /* PL_BATCH_WRITES_MAX of them, and what the audit log adds */
    size_t count;
    struct pl_arena arena; /* PL_BATCH_BYTES_MAX: what the writes point at */
    void *mem;             /* of the arena */
    uint64_t serial;       /* from 1; names the batch to those who wait for it */
    struct pl_audit_slot audits[PL_AUDIT_BATCH_MAX];
    size_t audit_count;
    uint8_t audit_head[1 + 9 + 2 + PL_SHA256_BYTES];
};
#define PL_BATCH_ROOM (PL_BATCH_WRITES_MAX + PL_AUDIT_BATCH_MAX + 1)

#define PL_INVITE_ID_BYTES 32

struct pl_invite {
    uint8_t secret_hash[16]; /* first half of SHA-256 of the secret */
    char name_space[PARLEY_NAMESPACE_BYTES_MAX + 1];
    bool may_write;
    struct pl_filter filter;
    parley_wall created;
    parley_wall expires;
    char used_by[PARLEY_BACKEND_ID_BYTES_MAX + 1]; /* empty: open */
    bool withdrawn;                                /* good for nothing; gone with the commit */
    unsigned tries;                                /* joins that presented it, since the start */
    uint64_t stored_in;                            /* the batch with its newest record */
};

/* The rotation of our identity that is under way, or how the last one ended. */
enum pl_rotate_phase {
    PL_ROTATE_NONE = 0,
    PL_ROTATE_MAKING,  /* NEW_KEY effect made */
    PL_ROTATE_WAITING, /* for room in the batch */
    PL_ROTATE_STORING,
    PL_ROTATE_DONE,
    PL_ROTATE_FAILED
};
struct pl_rotate {
    enum pl_rotate_phase phase;
    struct pl_identity *next; /* WAITING, STORING */
    uint64_t serial;          /* STORING: the batch */
    size_t record_len;
    uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX];
    char error[160];
};

/* A join this node has begun, by POST /joins. One at a time. */
enum pl_join_phase {
    PL_JOIN_NONE = 0,
    PL_JOIN_DIALING,
    PL_JOIN_STORING,
    PL_JOIN_DONE,
    PL_JOIN_FAILED
};
struct pl_join {
    enum pl_join_phase phase;
    char address[PL_ADDRESS_BYTES_MAX + 1];
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    char name_space[PARLEY_NAMESPACE_BYTES_MAX + 1];
    uint8_t fingerprint[PL_FINGERPRINT_BYTES];
    uint8_t secret[PL_INVITE_SECRET_BYTES];
    bool may_write;
    struct pl_filter filter; /* of our grant */
    pl_conn conn;
    char check[PL_CHECK_DIGITS + 1]; /* empty until the other side has us */
    char error[160];
};

enum pl_conn_kind {
    PL_CONN_SNIFFING = 0, /* accepted, no byte yet */
    PL_CONN_DIALING,      /* DIAL effect made */
    PL_CONN_NATIVE,
    PL_CONN_HTTP,
    PL_CONN_LEGACY /* ours to an old backend, see legacy.h */
};

struct pl_http_conn; /* http_conn.c */
struct pl_legacy;    /* legacy.h */

/* A large version on its way in: assembled in memory of its own, which a write of the batch then
 * points at, so it lives until that batch is done even if its connection does not. */
#define PL_LARGE_MAX 8
/* An assembly without a piece for this long gives way to one that has none. */
#define PL_LARGE_STALL_NS (60 * PARLEY_NS_PER_S)
struct pl_large {
    uint8_t *ptr; /* NULL: free */
    size_t size;
    size_t len;
    pl_conn conn;           /* who is assembling; 0 once the batch has it */
    parley_time touched_at; /* last piece */
    uint64_t serial;        /* the batch that points at it */
    /* What the first part said, copied behind the body in the same memory. */
    struct parley_version version;
};

struct pl_connection {
    pl_conn handle;
    enum pl_conn_kind kind;
    bool dialed;
    bool local;
    bool proved;       /* HTTP: a request came with a good token */
    bool is_operator;  /* HTTP: with the operator's */
    uint8_t net[8];    /* accepted: see pl_remote */
    bool closing;      /* CLOSE effect made */
    bool failed;       /* NATIVE: we ended it for a fault; the next dial waits longer */
    bool tls_shutdown; /* close_notify was asked for */
    bool want_write;   /* WRITE effect made and not yet exhausted */
    bool read_paused;  /* recv_buf returned NULL */
    parley_time accepted_at;
    parley_time moved_at; /* bytes last came, or were taken */
    struct pl_tls *tls;   /* NULL on plain TCP */
    uint8_t sniff[1024];  /* plain TCP: the first bytes, before the kind is known */
    size_t sniff_len;
    struct pl_session *session;    /* NATIVE */
    struct pl_round *round;        /* NATIVE, once open */
    struct pl_session_event event; /* NATIVE: a MESSAGE not yet done */
    bool has_message;
    uint64_t join_serial;       /* NATIVE: the batch that stores a registration by invite */
    struct pl_grant join_grant; /* NATIVE: what its invite grants */
    size_t skipping;            /* NATIVE: bytes of a refused large version still to come */
    bool wants_pump;            /* NATIVE: more to send, the last scan was cut short */
    struct pl_http_conn *http;  /* HTTP; NULL between two requests */
    parley_time rest_until;     /* HTTP without one: closed then; 0: it is finished */
    struct pl_peer *peer;       /* NATIVE, once known; the HTTP peer is per request */
    struct pl_legacy *legacy;   /* LEGACY, and while it is dialed */
    uint64_t waits_for;         /* batch serial this connection waits for, 0 none */
    parley_time cut_at;         /* closed then, whatever is still to be sent */
};

/* ---- Collecting, collect.c and rebase.c ---- */

/* Tombstones that one look for what may go walks over. */
#define PL_COLLECT_SCAN_MAX PL_LIMIT(100000u, 20u)

enum pl_collect_job {
    PL_COLLECT_IDLE = 0,
    PL_COLLECT_AGE,
    PL_COLLECT_FOLLOW,
    PL_COLLECT_RAISE /* at its end */
};
struct pl_collect {
    enum pl_collect_job job;
    char name_space[PARLEY_NAMESPACE_BYTES_MAX + 1];
    uint64_t upto, clean;
    uint64_t moved;
    uint64_t serial; /* the batch that it is in; 0: it waits for room */
    size_t index;    /* there */
    parley_time due; /* the next pass by age; 0: not set yet */
    uint32_t position;
};

enum pl_rebase_step { PL_REBASE_IDLE = 0, PL_REBASE_COMPARING, PL_REBASE_RAISING };
struct pl_rebase {
    enum pl_rebase_step phase;
    pl_conn conn;
    size_t grant;
    uint64_t floor;
    char name_space[PARLEY_NAMESPACE_BYTES_MAX + 1];
    char peer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    uint32_t open; /* writes to the trash that are not durable yet */
    uint64_t trashed;
};

struct pl_growing; /* growth.h */
#define PL_GROWING_MAX PL_LIMIT(64u, 3u)

struct pl_node {
    const struct parley_env *env;
    struct pl_node_options options;
    char advertise[PL_ADVERTISE_BYTES_MAX + 1];
    enum pl_log_level log_level; /* of the host */
    struct parley_db *db;
    struct pl_identity *identity;
    struct pl_key_chain chain; /* all keys of the identity, the current one last */
    struct pl_rotate rotate;
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    parley_wall created_at;
    struct pl_tls_profile *tls_profile;
    struct pl_zip *zip; /* NULL: options.no_zstd */
    struct pl_cert_names tls_names;
    struct pl_tls_credential tls_credential;
    char ca_pem[PL_CA_PEM_BYTES_MAX]; /* empty: not made yet */
    struct pl_rng rng;
    struct parley_now now; /* of the call being served */
    parley_wall started_wall;

    struct pl_peers peers;
    parley_wall last_stamp; /* the latest admission, revocation or making of an invite */
    size_t ledger_bytes;    /* at least what the ledger has */
    struct pl_invite invites[PL_INVITES_MAX];
    size_t invite_count;
    struct pl_join join;
    struct pl_tokens tokens;
    uint64_t view_serial; /* the batch with a step of a view; 0: none */

    void *conns_mem;
    uint32_t conns_max, batch_writes_max, batch_bytes_max; /* the options, or bounds.h */
    struct pl_slab conns;                                  /* of struct pl_connection */
    struct pl_large large[PL_LARGE_MAX];
    size_t
        buffered_bytes; /* HTTP bodies, responses and large versions, of PL_NODE_BUFFER_BYTES_MAX */

    /* Messages that grow: one for each connection that streams, and some. */
    struct pl_growing *growing[PL_GROWING_MAX];
    uint64_t growth_names; /* given so far */

    struct pl_batch batches[2];
    size_t filling;        /* index */
    bool commit_in_flight; /* batches[1 - filling] */
    bool commit_wanted;
    uint64_t next_serial;
    parley_err store_health; /* PARLEY_OK, or why writes are refused; shown by /health */
    char store_note[160];
    parley_time maintain_at;
    struct parley_scrub scrub;
    parley_time index_at; /* when the store's sets are brought on; NEVER: nothing is known to lag */
    parley_time index_not_before; /* a commit has failed */

    struct pl_effect effects[PL_EFFECTS_MAX];
    size_t effect_first, effect_count;
    bool stopping;

    unsigned streams; /* requests that wait for changes */
    struct pl_rates rates;
    struct pl_token_signatures signatures;

    /* A read snapshot shared by everything one call does; opened on demand, ended at its end. */
    struct parley_read *read;
    bool state_fresh;
    struct parley_db_state state; /* as of the last commit: head, incarnation, clock */
    uint64_t commits;             /* that wrote something */
    struct pl_collect collect;
    struct pl_rebase rebase;
    uint64_t collected, rebases; /* since the start: tombstones; rebases that were completed */
    struct pl_audit audit;
    struct pl_legacy *legacy[PL_LEGACY_PEERS_MAX]; /* allocated one by one */
    size_t legacy_count;
};

/* ---- batch.c ---- */

/* Room for `count` writes with `bytes` of data between them in the filling batch? */
bool pl_batch_has_room(const struct pl_node *node, size_t count, size_t bytes);
/* The next free write, zeroed; its kind and source are set. Only after pl_batch_has_room. */
struct parley_write *pl_batch_add(struct pl_node *node, enum parley_write_kind kind,
                                  uint32_t source);
/* Copies bytes into the filling batch's memory. Only after pl_batch_has_room. */
struct parley_span pl_batch_copy(struct pl_node *node, struct parley_span bytes);
/* Copies a version's spans; large bodies may instead be pointed at directly by the caller. */
void pl_batch_add_version(struct pl_node *node, const struct parley_version *version,
                          uint32_t source);
void pl_batch_add_sys(struct pl_node *node, struct parley_span key, struct parley_span value);
/* The same, but what must be in one transaction with it asks for the commit. */
void pl_batch_put_sys(struct pl_node *node, struct parley_span key, struct parley_span value);
void pl_batch_del_sys(struct pl_node *node, struct parley_span key);
/* A line for the ledger; the record that goes with it asks for the commit. */
void pl_batch_add_line(struct pl_node *node, struct parley_span line);
/* The serial of the filling batch, and its number of writes so far. */
uint64_t pl_batch_serial(const struct pl_node *node);
size_t pl_batch_count(const struct pl_node *node);
/* Whether a write to this register (kind 0: to any of its conversation), or to its conversation as
 * a whole, is in a batch whose outcome is not known: what a snapshot says of it may be over soon.
 * Cost: some ns for each version in the two batches. */
bool pl_batch_touches(const struct pl_node *node, const struct parley_version *what);
/* Asks for a commit as soon as none is in flight. */
void pl_batch_commit_soon(struct pl_node *node);

/* ---- index.c: when the store's sets of elements follow what was written in bulk ---- */

/* Whether the batch that is launched now should bring the sets on. */
bool pl_index_goes_along(struct pl_node *node);
/* A batch has ended; `alone`: it did nothing else. */
void pl_index_committed(struct pl_node *node, bool alone, parley_err err);
void pl_index_tick(struct pl_node *node);
/* The results of the batch just committed; valid only inside pl_*_committed calls. */
const struct parley_write *pl_batch_results(const struct pl_node *node);

/* ---- audit.c ---- */
PL_MUST_USE parley_err pl_audit_load(struct pl_node *node, struct parley_read *read);
/* Proves the stored chain, from the first record to the one that is noted as the last. `*records`
 * of them hold; `*why` is NULL, or static text that says what is wrong with the record `*broken`.
 * The snapshot is of no use after that. Errors: store errors but ECORRUPT. */
PL_MUST_USE parley_err pl_audit_check(struct parley_read *read, uint64_t *records, uint64_t *broken,
                                      const char **why);
/* Room for one event in the filling batch; it comes beside that of pl_batch_has_room. */
bool pl_audit_has_room(const struct pl_node *node);
/* Adds an event to the filling batch; call it before what it tells of, which may launch the batch.
 * `actor` is who did it: "operator", "node" or a backend id. Texts are copied, and cut. */
void pl_audit_event(struct pl_node *node, enum pl_audit_event event, const char *actor,
                    const char *subject, const char *detail);
void pl_audit_counted(struct pl_node *node, enum pl_audit_event event, const char *actor,
                      const char *subject, const char *detail, uint64_t count);
/* Counts something that was refused; `class` is its stable code. */
void pl_audit_refusal(struct pl_node *node, const char *class, const char *actor,
                      const char *subject);
void pl_audit_tick(struct pl_node *node);
/* Completes a batch; returns its number of writes. */
size_t pl_audit_launch(struct pl_node *node, struct pl_batch *batch);
void pl_audit_committed(struct pl_node *node, const struct pl_batch *batch, parley_err err);
struct parley_span pl_audit_key(uint64_t sequence, uint8_t out[PL_AUDIT_KEY_BYTES]);

/* ---- trace.c ---- */
/* Emits an event; `peer` and `note` may be "". */
void pl_node_trace(const struct pl_node *node, enum parley_trace_kind kind, const char *peer,
                   const char *note, uint64_t count);

/* ---- node.c ---- */
void pl_node_effect(struct pl_node *node, struct pl_effect effect);
/* The snapshot of this call; NULL with *err set when none can be had. */
struct parley_read *pl_node_read(struct pl_node *node, parley_err *err);
/* Ends it, so that the next pl_node_read sees later commits. */
void pl_node_read_done(struct pl_node *node);
/* A new connection, NULL when there is no room. */
struct pl_connection *pl_node_conn_open(struct pl_node *node);
struct pl_connection *pl_node_conn_find(struct pl_node *node, pl_conn handle);
void pl_node_conn_close(struct pl_node *node, struct pl_connection *conn);
/* Writes a peer's record into the batch. Needs room for one write and PL_PEER_RECORD_BYTES_MAX. */
void pl_node_store_peer(struct pl_node *node, struct pl_peer *peer);

/* ---- invite.c ---- */
PL_MUST_USE parley_err pl_invite_load(struct pl_node *node, struct parley_read *read);
/* Reads the URL of an invite into address, backend id, namespace, right, fingerprint and secret;
 * `out` is otherwise empty. Its texts are not empty and hold no control characters.
 * Errors: EMALFORMED; `diag` names the part. */
PL_MUST_USE parley_err pl_invite_parse(struct parley_span url, struct pl_join *out,
                                       struct parley_diag *diag);
/* As pl_node_invite and pl_node_join, with a filter of the grant that comes of it on this side. */
PL_MUST_USE parley_err pl_invite_make(struct pl_node *node, struct parley_span name_space,
                                      bool may_write, const struct pl_filter *filter,
                                      parley_wall expires, char *url, size_t cap,
                                      char id[PL_INVITE_ID_BYTES], struct parley_now now);
PL_MUST_USE parley_err pl_invite_join(struct pl_node *node, struct parley_span url,
                                      const struct pl_filter *filter, struct parley_now now,
                                      struct parley_diag *diag);
/* Whether there is an invite that this peer may present: not expired, and open, or used by the same
 * peer and fewer than PL_INVITE_TRIES_MAX times. */
bool pl_invite_may_join(const struct pl_node *node, struct parley_span peer_id);
/* Finds the invite of a secret, if this peer may present it. */
struct pl_invite *pl_invite_find(struct pl_node *node, const uint8_t secret[PL_INVITE_SECRET_BYTES],
                                 struct parley_span peer_id);
/* What operators call it by: of the hash of its secret. */
void pl_invite_id(const struct pl_invite *invite, char id[PL_INVITE_ID_BYTES]);
/* The one with this id that has not been withdrawn; NULL if there is none. */
struct pl_invite *pl_invite_named(struct pl_node *node, struct parley_span id);
/* Nobody joins by it from now on. Errors: EAGAIN, there is no room in the batch. */
PL_MUST_USE parley_err pl_invite_withdraw(struct pl_node *node, struct pl_invite *invite);
/* Forgets those that were withdrawn in the batch `serial`, which is durable. */
void pl_invite_committed(struct pl_node *node, uint64_t serial);
/* Puts its record into the batch, and leaves it to the caller to ask for the commit. */
void pl_invite_store(struct pl_node *node, struct pl_invite *invite);
/* The store is a copy or an older state: its invites may have been used since. Only while the node
 * is being opened. */
PL_MUST_USE parley_err pl_invite_void_all(struct pl_node *node);
/* Takes invites whose records were in the failed batch `serial` from the store again. */
void pl_invite_undo(struct pl_node *node, struct parley_read *read, uint64_t serial);

/* ---- undo.c: a commit failed ---- */
void pl_undo_failed_batch(struct pl_node *node, uint64_t serial);
/* Stores again what must not be forgotten. */
void pl_undo_save_again(struct pl_node *node);

/* ---- ledger.c ---- */
#define PL_LEDGER_LINE_BYTES_MAX 512
/* Add a line to the batch, which has room for one more write and PL_LEDGER_LINE_BYTES_MAX. */
void pl_ledger_add_peer(struct pl_node *node, const struct pl_peer *peer);
void pl_ledger_add_token(struct pl_node *node, const struct pl_token_record *record);
/* Revokes again what the ledger says was revoked, peers unless they were let in since: an older
 * copy of the store has forgotten it. Only while the node opens. Errors: ENOMEM, store errors. */
PL_MUST_USE parley_err pl_ledger_heed(struct pl_node *node);

/* ---- peering.c: what an operator does to peers; each puts its records into the batch (room for
 * one record) and takes effect in memory at once. ---- */
/* `what` is for the audit log: the namespace and right that came with it. */
PL_MUST_USE parley_err pl_peering_approve(struct pl_node *node, struct pl_peer *peer,
                                          const char *what);
/* In force at once, also when EAGAIN says that it is not in a batch yet; cuts what is open. */
PL_MUST_USE parley_err pl_peering_revoke(struct pl_node *node, struct pl_peer *peer);
/* Drops a registration that waits for approval, as if it had never been made; `actor` is for the
 * audit log. It is gone once its batch is committed. EAGAIN: no room. */
PL_MUST_USE parley_err pl_peering_forget(struct pl_node *node, struct pl_peer *peer,
                                         const char *actor);
/* The batch `serial` was committed: removes what it has deleted. */
void pl_peering_committed(struct pl_node *node, uint64_t serial);
/* shim_purge.c: a version that came from a peer is in the batch. A purge that is new here is noted
 * in the audit log by that batch; needs pl_audit_has_room. */
void pl_purge_heard(struct pl_node *node, const struct parley_version *version);
/* Counts what of a committed batch was lost, by peer. */
void pl_peering_count(struct pl_node *node, const struct pl_batch *batch);
/* Forgets what has waited for more than PL_PENDING_US_MAX. */
void pl_peering_prune(struct pl_node *node);
/* The next time for the ledger: later than all before, whatever the clock does. */
parley_wall pl_peering_stamp(struct pl_node *node);
/* Room in the batch for one record. */
bool pl_peering_has_room(const struct pl_node *node);
/* Dial now, whatever the backoff. */
void pl_peering_kick(struct pl_node *node, struct pl_peer *peer);
/* Makes DIAL effects for active peers whose time has come. */
void pl_peering_dial_due(struct pl_node *node);
parley_time pl_peering_deadline(const struct pl_node *node);
/* The session that was begun at that time is in sync: the peer can be reached. */
void pl_peering_in_sync(struct pl_node *node, struct pl_peer *peer, parley_time opened_at);
/* The session or dial of this peer is over; plans the next dial. */
void pl_peering_lost(struct pl_node *node, struct pl_peer *peer, bool failed, const char *why);

/* ---- views.c: views for filters ---- */
/* Prefixes that peers have asked for, of all grants, and how long one stays at least. */
#define PL_VIEWS_ASKED_MAX PL_LIMIT(8u, 2u)
#define PL_VIEWS_ASK_US    (INT64_C(3600) * PARLEY_US_PER_S)
/* Makes or drops the next, when none is on its way; cheap when there is nothing to do. */
void pl_views_step(struct pl_node *node);
void pl_views_committed(struct pl_node *node, uint64_t serial, parley_err err);
/* Notes the prefixes that the peer has asked for, so that their views are made and stay, or refuses
 * them. EAGAIN: one is being made. */
PL_MUST_USE parley_err pl_views_prepare(struct pl_node *node, struct pl_peer *peer);
/* Whether there is, or can be, a view for this filter. EFULL, store errors. */
PL_MUST_USE parley_err pl_views_check(struct pl_node *node, struct parley_span name_space,
                                      const struct pl_filter *filter);
/* Sets the filter of a grant; an open session begins anew when it is another one. The caller stores
 * the record. */
void pl_views_regrant(struct pl_node *node, struct pl_peer *peer, struct parley_span name_space,
                      const struct pl_filter *filter);

/* ---- credential.c: the node's certificates and TLS sessions ---- */
/* The names, the profile and the first credential. */
PL_MUST_USE parley_err pl_credential_open(struct pl_node *node);
/* A new TLS key and certificate, under the identity as it is now. Handshakes that have begun end
 * with the old one; nothing older is resumed. If it fails the old one stays. */
PL_MUST_USE parley_err pl_credential_renew(struct pl_node *node);
/* Renews when it is time. */
void pl_credential_tick(struct pl_node *node);
void pl_credential_close(struct pl_node *node);
/* The self-signed certificate of the identity as PEM, NUL-terminated; lent until the next renewal.
 * Signs at the first call. NULL: it cannot be made. */
const char *pl_credential_ca_pem(struct pl_node *node);
/* The peer was revoked or has another key: what was agreed with it is not resumed. Nothing says
 * which session of the server was whose, so all of those go. */
void pl_credential_forget(struct pl_node *node, struct pl_peer *peer);
/* ---- collect.c: tombstones go ---- */
/* The grace by which peers are judged; also when this node never collects by itself. */
int64_t pl_collect_grace(const struct pl_node *node);
/* What may go of a namespace, as far as `limit`, by what peers have acknowledged. */
struct pl_collectable {
    uint64_t upto;                /* the floor may rise so far */
    uint64_t last;                /* the newest tombstone that goes then; 0: none */
    const struct pl_peer *holder; /* who must acknowledge more; NULL: nobody holds back */
};
PL_MUST_USE parley_err pl_collect_find(const struct pl_node *node, struct parley_read *read,
                                       struct parley_span name_space, uint64_t limit,
                                       struct pl_collectable *out);
/* For people: how many tombstones there are, how many are old enough to go and have not gone, and
 * why. At most PL_COLLECT_SCAN_MAX are looked at for the second. */
struct pl_waiting {
    uint64_t tombstones;
    uint64_t due;
    const struct pl_peer *holder; /* has not acknowledged them; NULL: nobody holds back */
    bool outnumbered;             /* more peers are away than here */
};
/* What /health and /status say of a store in which the scrub has found something. */
#define PL_NODE_DAMAGED_NOTE "damaged rows: run parley check, then restore a backup"

PL_MUST_USE parley_err pl_collect_describe(const struct pl_node *node, struct parley_read *read,
                                           struct parley_span name_space, struct pl_waiting *out);
/* Begins the one write that may be under way; the job before must be done. */
void pl_collect_start(struct pl_node *node, enum pl_collect_job job, struct parley_span name_space,
                      uint64_t upto, uint64_t clean);
/* A session was opened: it hears of the write under way. */
void pl_collect_greet(struct pl_node *node);
/* Tells all sessions the floor of a namespace, and what a rebase or the write under way will make
 * of it: what comes behind that write must not bring back what it collects. */
void pl_collect_spread(struct pl_node *node, struct parley_span name_space);
void pl_collect_committed(struct pl_node *node, parley_err err);
void pl_collect_tick(struct pl_node *node);
/* After a STATE: remembers that there once was one where a namespace was the same. */
void pl_collect_note_synced(struct pl_node *node, struct pl_connection *conn,
                            struct parley_read *read);
/* Stores what is known of the peer's acknowledgements. */
void pl_collect_session_ends(struct pl_node *node, struct pl_peer *peer);

/* ---- rebase.c ---- */
/* To which floor a namespace is being rebased; 0: it is not. */
uint64_t pl_rebase_floor(const struct pl_node *node, struct parley_span name_space);
/* Begins what this session needs, and goes on with it. */
void pl_rebase_pump(struct pl_node *node, struct pl_connection *conn);
/* A session opens while another one rebases. */
void pl_rebase_greet(struct pl_node *node, const struct pl_connection *conn);
void pl_rebase_collected(struct pl_node *node);
void pl_rebase_committed(struct pl_node *node, const struct pl_batch *batch, parley_err err);
void pl_rebase_session_ends(struct pl_node *node, pl_conn handle);

/* ---- keys.c: the life of identity keys, our own and those of peers ---- */
/* The chain of our keys from the store. Errors: ECORRUPT, EIDENTITY. */
PL_MUST_USE parley_err pl_keys_load(struct pl_node *node, struct parley_read *read);
/* A batch has been committed, or not. */
void pl_keys_committed(struct pl_node *node, parley_err err);
/* Takes over what a proof has shown of the peer's rotations; false: nothing new. The caller writes
 * the peer's record. */
bool pl_keys_learn(struct pl_node *node, struct pl_peer *peer,
                   const struct pl_session_event *event);

/* ---- admission.c: places for accepted connections ---- */
/* Makes room for one more from there. */
void pl_admission_make_room(struct pl_node *node, const struct pl_remote *from);

/* ---- native.c: sessions of the node ---- */
/* A dialed peer without TLS or after its handshake; an accepted one at the first byte. */
PL_MUST_USE parley_err pl_native_open(struct pl_node *node, struct pl_connection *conn);
/* Dials for node->join. */
PL_MUST_USE parley_err pl_native_dial_join(struct pl_node *node);
/* The dial, handshake or session of this connection has failed: plans the next dial, and ends the
 * join it was for (the second does only that). */
void pl_native_fail(struct pl_node *node, struct pl_connection *conn, const char *why);
void pl_native_fail_join(struct pl_node *node, const struct pl_connection *conn, const char *why);
parley_time pl_native_deadline(const struct pl_connection *conn);
void pl_native_tick(struct pl_node *node, struct pl_connection *conn);
/* Takes events, fills the send buffer; called after bytes moved, a commit or time. */
void pl_native_pump(struct pl_node *node, struct pl_connection *conn);
void pl_native_committed(struct pl_node *node, struct pl_connection *conn, parley_err err);
void pl_native_free(struct pl_node *node, struct pl_connection *conn);

/* ---- large.c: large versions on their way in ---- */
/* Above this a body gets memory of its own instead of a large part of the batch's. */
#define PL_LARGE_BYTES_MIN (PL_BATCH_BYTES_MAX / 4)
/* Adds a version, large or small, to the batch. Errors: EAGAIN (no room now), ENOMEM. `conn` is
 * whose request it is in. */
PL_MUST_USE parley_err pl_large_write(struct pl_node *node, pl_conn conn,
                                      const struct parley_version *version, uint32_t source);
/* Takes one PART. EAGAIN: no room now, try the same message later. *complete: `*out` may go into
 * the batch; then call _hand_over with its serial. */
PL_MUST_USE parley_err pl_large_take(struct pl_node *node, pl_conn conn, const struct pl_part *part,
                                     struct pl_large **out, bool *complete);
void pl_large_hand_over(struct pl_large *large, uint64_t serial);
/* Frees what the batch pointed at, or what a dead connection was assembling. */
void pl_large_committed(struct pl_node *node, uint64_t serial);
void pl_large_drop(struct pl_node *node, pl_conn conn);

/* ---- http_conn.c: HTTP connections ---- */
PL_MUST_USE parley_err pl_http_open(struct pl_node *node, struct pl_connection *conn);
void pl_http_free(struct pl_node *node, struct pl_connection *conn);
/* The four verbs, under TLS or not. */
uint8_t *pl_http_recv_buf(struct pl_node *node, struct pl_connection *conn, size_t *len);
void pl_http_recv_ack(struct pl_node *node, struct pl_connection *conn, size_t len);
const uint8_t *pl_http_send_buf(struct pl_node *node, struct pl_connection *conn, size_t *len);
void pl_http_send_ack(struct pl_node *node, struct pl_connection *conn, size_t len);
void pl_http_recv_end(struct pl_node *node, struct pl_connection *conn);
/* The batch `conn->waits_for` was committed, or failed with `err`. */
void pl_http_committed(struct pl_node *node, struct pl_connection *conn, parley_err err);
/* Runs what can run: parse, route, resume (also called when the batch has room again). */
void pl_http_pump(struct pl_node *node, struct pl_connection *conn);
/* Wants to be closed: answered, everything sent, not keep-alive; or broken. */
bool pl_http_is_finished(const struct pl_connection *conn);
/* Between requests: no whole head of the next one. */
bool pl_http_is_idle(const struct pl_connection *conn);
/* Only the client can end this: it has to send the rest of a body, or to take an answer. */
bool pl_http_waits_for_client(const struct pl_connection *conn);
/* The request at hand was made with a token of this peer. */
bool pl_http_serves(const struct pl_connection *conn, uint32_t peer_number);
parley_time pl_http_deadline(const struct pl_connection *conn);
void pl_http_tick(struct pl_node *node, struct pl_connection *conn);

#endif
