/* SPDX-License-Identifier: Apache-2.0
 *
 * The session as session.c (the machine, the buffers, time) and handshake.c (what the messages of
 * the handshake mean) share it. Private to these two.
 */
#ifndef PL_SESSION_INT_H
#define PL_SESSION_INT_H

#include "proto/frame.h"
#include "proto/session.h"

/* Room kept for BYE in the send buffer of an open session. */
#define SEND_RESERVE   1024
#define SEND_ROOM      (PL_FRAME_BYTES_MAX + SEND_RESERVE)
#define HELLO_BODY_MAX 512
/* Preface, HELLO, PROOF, JOIN at their greatest. */
#define HANDSHAKE_BYTES_MAX (PL_WIRE_PREFACE_BYTES + 4 * PL_FRAME_HEADER_BYTES + 512 + 21504 + 1024)

_Static_assert(PL_FRAME_HEADER_BYTES + 512 <= SEND_RESERVE, "a BYE must fit the reserve");
_Static_assert(HANDSHAKE_BYTES_MAX + SEND_RESERVE <= SEND_ROOM, "a handshake must fit");

enum session_state {
    STATE_HELLO,  /* waits for the peer's HELLO */
    STATE_PEER,   /* server: waits for pl_session_admit, before anything is signed */
    STATE_PROOF,  /* waits for the peer's PROOF */
    STATE_JOIN,   /* server: waits for JOIN */
    STATE_INVITE, /* server: waits for pl_session_joined */
    STATE_JOINED, /* client: waits for JOINED */
    STATE_STORE,  /* client: waits for pl_session_join_done */
    STATE_DONE,   /* server: waits for JOIN_DONE */
    STATE_OPEN,
    STATE_CLOSED,
    STATE_COUNT
};

/* A HELLO frame as it was on the wire, for the transcript. */
struct hello_bytes {
    uint8_t bytes[PL_FRAME_HEADER_BYTES + HELLO_BODY_MAX];
    size_t len;
};

struct pl_session {
    const struct parley_env *env;
    struct pl_session_config config;
    enum session_state state;
    bool join;          /* this handshake is a join */
    bool packs;         /* both sides have PL_FEATURE_ZSTD */
    bool proved;        /* the peer's proof verified */
    bool preface_taken; /* server */
    bool lent;          /* a message is with the owner */
    bool writing;       /* between send_begin and send_end */
    bool abandoned;     /* closed, and what is left to send will not be sent */
    bool armed;         /* closed, and linger_until is set */
    parley_time now;    /* the latest we were told */
    parley_time opened_at;
    parley_time heard_at;
    parley_time idle_from; /* the silence that counts began here */
    parley_time linger_until;

    enum pl_session_event_kind pending; /* not CLOSED */
    enum pl_message_type message_type;
    struct parley_span message;
    bool closed_pending;
    bool closed_by_peer;
    uint32_t closed_code;
    const char *closed_why;

    char peer_id[PARLEY_BACKEND_ID_BYTES_MAX];
    size_t peer_id_len;
    struct parley_incarnation peer_incarnation;
    struct pl_pubkey peer_key;      /* as known; as proved once the proof verified */
    struct pl_pubkey peer_previous; /* see pl_session_config */
    bool has_previous;
    uint32_t peer_rotations;
    parley_wall peer_rotated_at; /* of the last rotation that the proof showed */
    bool learned;
    uint8_t shown[PL_ROTATIONS_MAX + 1][PL_FINGERPRINT_BYTES]; /* keys of the proof, in order */
    size_t shown_count;
    uint8_t peer_hint[PL_KEY_HINT_BYTES];        /* of the key it holds for us */
    uint8_t join_secret[PL_INVITE_SECRET_BYTES]; /* server: as presented */
    uint8_t our_reveal[PL_REVEAL_BYTES];         /* join */
    uint8_t peer_reveal[PL_REVEAL_BYTES];        /* join: once it was found to open `peer_nonce` */
    uint8_t peer_nonce[PL_NONCE_BYTES];
    uint8_t name_space[PARLEY_NAMESPACE_BYTES_MAX];
    size_t name_space_len;
    bool may_write;
    struct hello_bytes our_hello;
    struct hello_bytes peer_hello;

    uint8_t *unpacked; /* PL_FRAME_BODY_BYTES_MAX: a message that came packed; from the first on */
    size_t recv_start, recv_end;
    size_t send_start, send_end;
    /* Last, so that opening need not clear them. */
    uint8_t recv[PL_FRAME_BYTES_MAX];
    uint8_t send[SEND_ROOM];
};

/* The machine, for handshake.c. _move asserts that the table allows it. */
void pl_session_move(struct pl_session *s, enum session_state to);
void pl_session_raise(struct pl_session *s, enum pl_session_event_kind kind);
/* A writer over the body of the next frame. The handshake and BYE always have room: I4. */
struct pl_writer pl_session_start_frame(struct pl_session *s, enum pl_message_type type);
/* Lends the frame's bytes until the next call that sends. */
struct parley_span pl_session_finish_frame(struct pl_session *s, enum pl_message_type type,
                                           const struct pl_writer *body);
/* A rule was broken or a deadline passed: BYE, and an event for the owner. */
void pl_session_fail(struct pl_session *s, enum pl_bye code, const char *why);

/* The handshake, for session.c. */
void pl_handshake_send_hello(struct pl_session *s);
/* False: the session has failed. */
bool pl_handshake_send_proof(struct pl_session *s);
/* The digits of a join, once both reveals are known. */
void pl_handshake_check(const struct pl_session *s, char out[PL_CHECK_DIGITS + 1]);
/* Takes the one message that the state waits for. */
void pl_handshake_take(struct pl_session *s, const struct pl_frame *frame);

#endif
