/* SPDX-License-Identifier: Apache-2.0
 *
 * One native connection above TLS: frames, the signed HELLO, keep-alive and BYE. What the messages
 * of an open session mean is not its business: net/sync reads and writes them through
 * pl_session_next and pl_session_send_begin. No callbacks; the owner pulls events.
 *
 *              client                                server
 *   preface, HELLO(join?)        ->
 *                                <-   HELLO, PROOF(signature, rotations, first key if join)
 *   PROOF(signature, rotations, first key and reveal if join), JOIN if join  ->
 *   (OPEN on the client as soon as it has verified and sent its proof; not in join)
 *                                     (OPEN on the server once the proof verified)
 *   join only:                   <-   JOINED(reveal)
 *   JOIN_DONE                    ->       (OPEN on both)
 *
 * PROOF signs SHA-256("parley proof 1" | 'C' or 'S' | client HELLO frame | server HELLO frame |
 * 65 bytes TLS server key or zeros), frames with their headers. Nothing in it can be replayed.
 *
 * HELLO says which key the sender holds for the receiver. Who has rotated since attaches the
 * statements that lead from that key to the current one; in a join, all of them.
 *
 * In a join each nonce is the hash of a reveal: the client's comes with its PROOF, the server's
 * with JOINED. The check digits are of both HELLOs and both reveals, so that neither side could
 * choose its part by what it knew of the other's.
 *
 * States: HELLO -> PEER -> PROOF -> [JOIN] -> OPEN -> CLOSED; the table is at the top of session.c.
 * Data plane: the four verbs. recv_buf is NULL while an event waits to be taken or the message lent
 * by the last MESSAGE event is not done: that is the backpressure.
 * Packing (zip.h) is its business alone: what the owner writes and reads is plain.
 *
 * Threads: one. Memory: one allocation of about 2 x PL_FRAME_BYTES_MAX from env, and one more of
 * PL_FRAME_BYTES_MAX once a packed message has come.
 */
#ifndef PL_SESSION_H
#define PL_SESSION_H

#include "base/writer.h"
#include "proto/wire.h"
#include "proto/zip.h"
#include "trust/rotation.h"
#include <parley/types.h>

#define PL_SESSION_HELLO_NS_MAX  (10 * PARLEY_NS_PER_S) /* to OPEN, else closed */
#define PL_SESSION_IDLE_NS_MAX   (45 * PARLEY_NS_PER_S) /* nothing heard: BYE IDLE */
#define PL_SESSION_LINGER_NS_MAX (2 * PARLEY_NS_PER_S)  /* closed: to send the rest, then dropped */

/* What the people on both sides of a join compare. */
#define PL_CHECK_DIGITS 6

/* What is known of a peer's key. `previous` is still honoured when it is not NULL; `rotations` is
 * how many led to `key`. */
struct pl_session_key {
    const struct pl_pubkey *key;
    const struct pl_pubkey *previous;
    uint32_t rotations;
};

struct pl_session_config {
    bool client;
    bool join;                          /* client only: the handshake of an invite */
    struct parley_span backend_id;      /* ours; borrowed for the session */
    const struct pl_identity *identity; /* borrowed until the session is open */
    const struct pl_key_chain *chain;   /* the same; NULL: it was never rotated */
    struct pl_zip *zip; /* borrowed for the session; NULL: nothing is packed, either way */
    struct parley_incarnation incarnation;
    uint8_t tls_server_key[65]; /* zeros on plain TCP */
    /* Client: who must answer. In a join `expect_fingerprint` is used, else `expect_key`. */
    struct parley_span expect_backend_id; /* borrowed for the session */
    struct pl_session_key expect_key;     /* copied */
    uint8_t expect_fingerprint[PL_FINGERPRINT_BYTES];
    uint8_t join_secret[PL_INVITE_SECRET_BYTES];
};

enum pl_session_event_kind {
    PL_SESSION_NONE = 0, /* nothing to take */
    PL_SESSION_PEER,     /* server: somebody names himself; answer with _admit or _close */
    PL_SESSION_JOIN, /* server: a verified key presents an invite; answer with _joined or _close */
    PL_SESSION_JOINED,  /* client: the server has us; store it, then _join_done */
    PL_SESSION_OPEN,    /* authenticated both ways; messages may flow */
    PL_SESSION_MESSAGE, /* a message; its body is lent until pl_session_message_done */
    PL_SESSION_CLOSED   /* by BYE, a broken rule or a deadline; once, last */
};

struct pl_session_event {
    enum pl_session_event_kind kind;
    struct parley_span peer_id;            /* PEER, JOIN, JOINED, OPEN: lent for the session */
    bool join;                             /* the same: in the handshake of an invite */
    struct parley_incarnation incarnation; /* PEER, JOIN, JOINED, OPEN: the peer's */
    /* JOIN, JOINED, OPEN: the peer's key, how many rotations led to it, and, when the proof has
     * shown rotations (`learned`), the key before it and since when. Lent for the session. */
    const struct pl_pubkey *peer_key;
    bool learned;
    uint32_t rotations;
    const struct pl_pubkey *previous;
    parley_wall rotated_at;
    uint8_t join_secret[PL_INVITE_SECRET_BYTES]; /* JOIN */
    char check[PL_CHECK_DIGITS + 1];             /* JOIN, JOINED: equal on both sides */
    struct parley_span name_space;               /* JOINED: lent until _join_done */
    bool may_write;                              /* JOINED */
    enum pl_message_type type;                   /* MESSAGE */
    struct parley_span body;                     /* MESSAGE */
    bool by_peer;                                /* CLOSED: the peer said BYE */
    uint32_t bye;                                /* CLOSED: enum pl_bye */
    const char *why;                             /* CLOSED: static text, more exact than the code */
};

struct pl_session;
PL_MUST_USE parley_err pl_session_open(const struct parley_env *env,
                                       const struct pl_session_config *config, parley_time now,
                                       struct pl_session **out);
void pl_session_free(struct pl_session *s); /* NULL is allowed */

/* Data plane. The pointer of recv_buf is good until the next call on the session; that of send_buf
 * until send_ack, even while more is written. recv_ack of 0 bytes changes nothing. tick is due at
 * the deadline; a session that the owner blocks by holding a message is not called idle if it is
 * ticked meanwhile. */
uint8_t *pl_session_recv_buf(struct pl_session *s, size_t *len);
void pl_session_recv_ack(struct pl_session *s, size_t len, parley_time now);
const uint8_t *pl_session_send_buf(const struct pl_session *s, size_t *len);
void pl_session_send_ack(struct pl_session *s, size_t len);
parley_time pl_session_deadline(const struct pl_session *s);
void pl_session_tick(struct pl_session *s, parley_time now);

/* Takes the next event; PL_SESSION_NONE when there is none. Spans are lent as stated. */
void pl_session_next(struct pl_session *s, struct pl_session_event *out);
/* Gives back the message of the last MESSAGE event. */
void pl_session_message_done(struct pl_session *s);

/* Answers, each in its turn after its event was taken; on a session that has closed since then they
 * do nothing. _admit: signs, and verifies the peer against `key` (copied); NULL in a join, where
 * the key comes with the proof. */
void pl_session_admit(struct pl_session *s, const struct pl_session_key *key);
void pl_session_joined(struct pl_session *s, struct parley_span name_space, bool may_write);
void pl_session_join_done(struct pl_session *s);

/* Reserves room for one message with at most `body_max` body bytes. False: no room now; try after
 * the next send_ack. The writer covers exactly the body. _end sends what was written, which must
 * not have overflowed; with NULL it sends nothing. No other call on the session in between. */
bool pl_session_send_begin(struct pl_session *s, enum pl_message_type type, size_t body_max,
                           struct pl_writer *body);
void pl_session_send_end(struct pl_session *s, const struct pl_writer *body);
/* Room for a body now, 0 when closed. */
size_t pl_session_send_room(const struct pl_session *s);

/* Says BYE and is CLOSED at once; no event is made for it and those not taken are dropped. What is
 * left to send is still sent, for at most LINGER_NS_MAX from the next tick. */
void pl_session_close(struct pl_session *s, enum pl_bye code);
/* Whether the peer's proof was made with this key, or showed it on the way to that one. Only once
 * it verified. */
bool pl_session_has_shown(const struct pl_session *s, const struct pl_pubkey *key);
/* A join that is not complete. */
bool pl_session_is_joining(const struct pl_session *s);
/* Our identity was rotated: signs with the new one from now on. False: that is too late, the proof
 * was made with the old one, or the session is a join. */
PL_MUST_USE bool pl_session_set_identity(struct pl_session *s, const struct pl_identity *identity);
bool pl_session_is_open(const struct pl_session *s);
/* Closed and nothing left to send. */
bool pl_session_is_finished(const struct pl_session *s);
struct parley_span pl_session_peer_id(const struct pl_session *s);
parley_time pl_session_heard_at(const struct pl_session *s);

#endif
