/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of kind http-legacy: backends of the system that parley replaces. They know nothing but
 * POST /sync, so this node pushes to them what is new here, one request after the other.
 *
 *   every call:  due -> [pack] -> dial -> send, receive -> outcome -> due again
 *   in order:    GET /identity -> POST /register-peer -> POST /sync, again and again
 *
 * Invariants
 *  L1. The cursor passes a change only after the push that had it was answered by 200 and a JSON
 *      object. What was not acknowledged is sent again; the other side merges it by message id.
 *  L2. Nothing is pushed but to the backend id and key that were first learned from that address;
 *      both are asked for again after every failure. Another id is refused, not followed.
 *  L3. After 403 the node registers again before the next push: the other side forgets its peers.
 *  L4. With nothing new since the cursor no connection is made.
 *  L5. The cursor belongs to an incarnation of our store; under another one all is sent anew.
 *
 * The record of one is stored under "legacy/<HOST:PORT>". Its peer, in the table of peers, is made
 * when its id is learned; until then it is known by its URL.
 */
#ifndef PL_LEGACY_H
#define PL_LEGACY_H

#include "node/legacy_call.h"
#include "node/node_int.h"

#define PL_LEGACY_URL     "http://"
#define PL_LEGACY_URL_MAX (sizeof PL_LEGACY_URL - 1 + PL_PEER_ADDRESS_BYTES_MAX)
/* Bytes of one payload. Above it there is only the one that has a single change in it, since
 * messages cannot be cut. */
#define PL_LEGACY_PAYLOAD_BYTES PL_LIMIT(1u << 20, 4096u)
/* Changes in one payload. */
#define PL_LEGACY_CHANGES_MAX PL_LIMIT(1024u, 6u)
/* Changes looked at for one payload, and registers read for dates of creation that nobody wrote:
 * what one turn of the loop may cost. */
#define PL_LEGACY_SCAN_MAX PL_LIMIT(4096u, 16u)
#define PL_LEGACY_WALK_MAX PL_LIMIT(16384u, 64u)

enum pl_legacy_phase { PL_LEGACY_IDENTITY = 0, PL_LEGACY_REGISTER, PL_LEGACY_PUSH };

struct pl_legacy {
    /* Stored. */
    char address[PL_PEER_ADDRESS_BYTES_MAX + 1]; /* HOST:PORT */
    uint32_t peer_number;                        /* 0: its id is not known yet */
    parley_wall added_at;
    struct parley_incarnation incarnation; /* of our store, to which `cursor` belongs */
    parley_seq cursor;                     /* what it has acknowledged of our log */
    parley_wall pushed_at;                 /* the last push that was acknowledged; 0: none */
    bool registered;

    /* Live. */
    bool identified;    /* since the last failure */
    bool removed;       /* its record goes, and it as soon as nothing points to it */
    bool gone;          /* the record is gone */
    bool stored_once;   /* the record is durable */
    bool unsaved;       /* the record is not in a batch yet */
    uint64_t stored_in; /* the batch that has it */
    enum pl_sync_state sync;
    parley_wall since;                 /* of `sync` */
    char note[PL_PEER_NOTE_BYTES_MAX]; /* the last failure, until a push goes well; or "" */
    parley_wall failed_at;
    uint32_t failures; /* in a row */
    parley_time next_at;
    enum pl_legacy_phase phase; /* of the call */
    pl_conn conn;               /* of the call; 0: none */
    struct pl_legacy_call *call;
    bool settled;       /* what came of the call was taken; it only waits for its socket */
    size_t changes_max; /* of the next payload: less after a payload was refused */

    /* Of the payload on its way. */
    parley_seq pushing_to;
    uint64_t pushing_conversations, pushing_messages;
    char pushing_first[PARLEY_ID_BYTES_MAX + 1];

    /* Since the start. */
    uint64_t pushes, push_failures, conversations, messages, bytes_out, bytes_in;
};

/* ---- legacy.c: the table and the records ---- */
PL_MUST_USE parley_err pl_legacy_load(struct pl_node *node, struct parley_read *read);
void pl_legacy_free_all(struct pl_node *node);
/* Splits "http://HOST:PORT", with or without a slash at its end. EINVAL; `diag` says why: another
 * scheme, a path, a host that is not this machine while `plain_peers` is false. */
PL_MUST_USE parley_err pl_legacy_parse(struct parley_span url, bool plain_peers,
                                       char address[PL_PEER_ADDRESS_BYTES_MAX + 1],
                                       struct parley_diag *diag);
struct pl_legacy *pl_legacy_find(const struct pl_node *node, const char *address);
/* The one that the URL names; NULL: none, or no URL of one. */
struct pl_legacy *pl_legacy_named(const struct pl_node *node, struct parley_span url);
/* The one of a peer; NULL: it is not pushed to. */
struct pl_legacy *pl_legacy_of(const struct pl_node *node, const struct pl_peer *peer);
struct pl_peer *pl_legacy_peer(struct pl_node *node, const struct pl_legacy *legacy);
/* Adds one and puts its record into the batch. EFULL, ENOMEM, EAGAIN (no room in the batch). */
PL_MUST_USE parley_err pl_legacy_add(struct pl_node *node, const char *address);
/* Stops at once; the record is deleted as soon as there is room. */
void pl_legacy_remove(struct pl_node *node, struct pl_legacy *legacy);
/* The peer was revoked. */
void pl_legacy_revoked(struct pl_node *node, const struct pl_peer *peer);
/* What the peer may see has changed: all of it is sent anew. */
void pl_legacy_regranted(struct pl_node *node, const struct pl_peer *peer);
/* The record is to be stored; at once if there is room. */
void pl_legacy_store(struct pl_node *node, struct pl_legacy *legacy);
void pl_legacy_committed(struct pl_node *node, uint64_t serial, parley_err err);
/* Stores what could not be stored before, and frees what is gone. */
void pl_legacy_save_again(struct pl_node *node);

/* ---- legacy_push.c: calls and what comes of them ---- */
void pl_legacy_tick(struct pl_node *node);
parley_time pl_legacy_deadline(const struct pl_node *node);
/* Now, whatever the backoff. */
void pl_legacy_kick(struct pl_node *node, struct pl_legacy *legacy);
/* The verbs and events of its connection. */
void pl_legacy_dialed(struct pl_node *node, struct pl_connection *conn, bool ok, const char *why);
void pl_legacy_pump(struct pl_node *node, struct pl_connection *conn);
void pl_legacy_conn_tick(struct pl_node *node, struct pl_connection *conn);
/* The connection is gone; its buffers too. */
void pl_legacy_closed(struct pl_node *node, struct pl_connection *conn);
/* When the next call is made, as wall time; 0: none is planned, or one is under way. */
parley_wall pl_legacy_next_try(const struct pl_node *node, const struct pl_legacy *legacy);

/* ---- legacy_answer.c: what is asked and what was answered ---- */
/* Writes the body of a registration. */
void pl_legacy_write_registration(struct pl_node *node, const struct pl_peer *peer,
                                  struct pl_out *out);
/* Whether the answer is a JSON object; then finds a text field in it, "" if absent. `name` NULL:
 * none is looked for. */
bool pl_legacy_answer_field(struct pl_node *node, const struct pl_legacy_call *call,
                            const char *name, char *out, size_t cap);
/* Takes over what GET /identity has answered: links the peer, or makes it. Errors: EAGAIN (no room
 * in the batch), EMALFORMED (no identity), EIDENTITY (not the one it was: audited), EDENIED (known
 * here in a way that does not allow it); `why` is filled. */
PL_MUST_USE parley_err pl_legacy_take_identity(struct pl_node *node, struct pl_legacy *legacy,
                                               char why[PL_PEER_NOTE_BYTES_MAX]);

/* ---- legacy_payload.c: what is new, in the old shape ---- */
struct pl_legacy_range {
    parley_seq after;   /* changes behind this one */
    uint64_t since;     /* versions newer than this time */
    size_t changes_max; /* at most PL_LEGACY_CHANGES_MAX */
};
struct pl_legacy_pack {
    parley_seq end; /* everything up to here is in it, or not for this peer */
    bool more;      /* there is more behind */
    uint64_t conversations, messages;
    char first[PARLEY_ID_BYTES_MAX + 1]; /* the id of its first conversation */
};
/* Appends a payload, without the brace at its end, of what the peer may see of "main" and did not
 * send itself. Errors: store errors, ENOMEM, EFULL (buffer budget). */
PL_MUST_USE parley_err pl_legacy_write_payload(struct pl_node *node, const struct pl_peer *peer,
                                               const struct pl_legacy_range *range,
                                               struct pl_out *out, struct pl_legacy_pack *pack);
/* Microseconds as the old system writes them, without a zone, in quotes. */
void pl_legacy_write_time(struct pl_out *out, const char *name, uint64_t us);

#endif
