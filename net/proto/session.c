/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of one native connection.
 *
 *   client:  HELLO --take_hello--> PROOF --take_proof--> OPEN
 *                                        \-(join)-> JOINED --take_joined--> STORE --_join_done-->
 *                                        OPEN
 *   server:  HELLO --take_hello--> PEER --_admit--> PROOF --take_proof--> OPEN
 *                                                        \-(join)-> JOIN --take_join--> INVITE
 *            INVITE --_joined--> DONE --take_join_done--> OPEN
 *   any:     --end--> CLOSED, by BYE, a broken rule, a deadline or the owner
 *
 * PEER, INVITE and STORE wait for the owner: what arrives meanwhile is buffered, not looked at.
 *
 * Invariants (session_is_sound)
 *   I1  0 <= start <= end <= room, in both buffers.
 *   I2  A lent or waiting message lies inside the receive buffer before `recv_start`, or in
 *       `unpacked`, and nothing moves in either until it is given back.
 *   I3  OPEN, and every state after PROOF, was reached through a proof that verified.
 *   I4  Outside of CLOSED the send buffer keeps SEND_RESERVE free bytes, so BYE always fits.
 *   I5  The states of one role are never entered by the other.
 *   I6  A frame is being written only while OPEN.
 *
 * Copies: bytes are moved inside the receive buffer only when a frame does not fit behind what was
 * read before it. All bytes moved belong to that frame, which then begins at 0 and is never moved
 * again: at most one move a byte. In the send buffer the rest is moved in send_ack only, and only
 * when it is no longer than what was sent: at most one move for each byte acknowledged.
 */
#include "proto/session_int.h"

#include "core/hash.h"
#include "proto/msg.h"

#define BIT(state) (1u << (state))
#define CLIENT     1u
#define SERVER     2u

/* Which states may follow, which message a state takes (NONE: it waits for the owner; OPEN takes
 * every message of net/sync), and who may be in it. BYE is taken in every state. */
static const struct state_rule {
    unsigned next;
    enum pl_message_type takes;
    unsigned roles;
    bool proved;
} rules[STATE_COUNT] = {
    [STATE_HELLO] = { BIT(STATE_PEER) | BIT(STATE_PROOF) | BIT(STATE_CLOSED), PL_MSG_HELLO,
                      CLIENT | SERVER, false },
    [STATE_PEER] = { BIT(STATE_PROOF) | BIT(STATE_CLOSED), PL_MSG_NONE, SERVER, false },
    [STATE_PROOF] = { BIT(STATE_JOIN) | BIT(STATE_JOINED) | BIT(STATE_OPEN) | BIT(STATE_CLOSED),
                      PL_MSG_PROOF, CLIENT | SERVER, false },
    [STATE_JOIN] = { BIT(STATE_INVITE) | BIT(STATE_CLOSED), PL_MSG_JOIN, SERVER, true },
    [STATE_INVITE] = { BIT(STATE_DONE) | BIT(STATE_CLOSED), PL_MSG_NONE, SERVER, true },
    [STATE_JOINED] = { BIT(STATE_STORE) | BIT(STATE_CLOSED), PL_MSG_JOINED, CLIENT, true },
    [STATE_STORE] = { BIT(STATE_OPEN) | BIT(STATE_CLOSED), PL_MSG_NONE, CLIENT, true },
    [STATE_DONE] = { BIT(STATE_OPEN) | BIT(STATE_CLOSED), PL_MSG_JOIN_DONE, SERVER, true },
    [STATE_OPEN] = { BIT(STATE_CLOSED), PL_MSG_NONE, CLIENT | SERVER, true },
    [STATE_CLOSED] = { 0, PL_MSG_NONE, CLIENT | SERVER, false },
};

static PL_UNUSED bool session_is_sound(const struct pl_session *s)
{
    unsigned role = s->config.client ? CLIENT : SERVER;
    bool waiting = s->lent || s->pending == PL_SESSION_MESSAGE;
    bool i1 = s->recv_start <= s->recv_end && s->recv_end <= sizeof s->recv &&
              s->send_start <= s->send_end && s->send_end <= sizeof s->send;
    bool i2 =
        !waiting || s->message.ptr == s->unpacked ||
        (s->message.ptr >= s->recv && s->message.ptr + s->message.len <= s->recv + s->recv_start);
    bool i3 = !rules[s->state].proved || (s->proved && s->peer_id_len != 0);
    bool i4 = s->state == STATE_CLOSED || s->send_end <= SEND_ROOM - SEND_RESERVE;
    bool i5 = (rules[s->state].roles & role) != 0;
    bool i6 = !s->writing || s->state == STATE_OPEN;
    return i1 && i2 && i3 && i4 && i5 && i6;
}

void pl_session_move(struct pl_session *s, enum session_state to)
{
    PL_ASSERT((rules[s->state].next & BIT(to)) != 0);
    s->state = to;
    if (to == STATE_OPEN)
        s->idle_from = s->now;
}

void pl_session_raise(struct pl_session *s, enum pl_session_event_kind kind)
{
    PL_ASSERT(s->pending == PL_SESSION_NONE);
    s->pending = kind;
}

static bool is_blocked(const struct pl_session *s)
{
    return s->lent || s->pending != PL_SESSION_NONE;
}

/* ---- Sending ---- */

struct pl_writer pl_session_start_frame(struct pl_session *s, enum pl_message_type type)
{
    PL_ASSERT(!s->writing);
    PL_ASSERT(SEND_ROOM - s->send_end >= PL_FRAME_HEADER_BYTES);
    size_t room = SEND_ROOM - s->send_end - PL_FRAME_HEADER_BYTES;
    return pl_writer_over(s->send + s->send_end + PL_FRAME_HEADER_BYTES,
                          pl_min_size(room, pl_frame_body_max(type)));
}

struct parley_span pl_session_finish_frame(struct pl_session *s, enum pl_message_type type,
                                           const struct pl_writer *body)
{
    PL_ASSERT(body->err == PARLEY_OK);
    uint8_t *at = s->send + s->send_end;
    PL_ASSERT(body->ptr == at + PL_FRAME_HEADER_BYTES);
    pl_frame_put_header(at, type, body->len);
    s->send_end += PL_FRAME_HEADER_BYTES + body->len;
    return pl_span_of(at, PL_FRAME_HEADER_BYTES + body->len);
}

static void send_bye(struct pl_session *s, enum pl_bye code)
{
    struct pl_msg_bye bye = { .code = (uint32_t)code,
                              .text = pl_span_text(pl_bye_text((uint32_t)code)) };
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_BYE);
    pl_msg_bye_encode(&bye, &w);
    pl_session_finish_frame(s, PL_MSG_BYE, &w);
}

/* ---- Ending ---- */

static void end(struct pl_session *s)
{
    pl_session_move(s, STATE_CLOSED);
    s->armed = false;
    pl_wipe(s->join_secret, sizeof s->join_secret);
    pl_wipe(s->config.join_secret, sizeof s->config.join_secret);
}

void pl_session_fail(struct pl_session *s, enum pl_bye code, const char *why)
{
    send_bye(s, code);
    end(s);
    s->closed_pending = true;
    s->closed_by_peer = false;
    s->closed_code = (uint32_t)code;
    s->closed_why = why;
}

/* The peer's BYE is answered with nothing, and what we had still to say is not said. One that does
 * not decode is a BYE all the same. */
static void take_bye(struct pl_session *s, struct parley_span body)
{
    struct pl_msg_bye bye;
    bool decodes = pl_msg_bye_decode(body, &bye) == PARLEY_OK;
    end(s);
    s->abandoned = true;
    s->closed_pending = true;
    s->closed_by_peer = true;
    s->closed_code = decodes ? bye.code : (uint32_t)PL_BYE_PROTOCOL;
    s->closed_why = decodes ? pl_bye_text(bye.code) : "the peer said BYE without a readable reason";
}

static void take_message(struct pl_session *s, const struct pl_frame *frame)
{
    if (s->state != STATE_OPEN) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "a message before the session is open");
        return;
    }
    s->message_type = frame->type;
    s->message = frame->body;
    pl_session_raise(s, PL_SESSION_MESSAGE);
}

/* The messages that carry versions. */
static bool may_be_packed(enum pl_message_type type)
{
    return type == PL_MSG_CHANGES || type == PL_MSG_OFFER || type == PL_MSG_PART;
}

static uint8_t *unpack_buf(struct pl_session *s)
{
    if (s->unpacked == NULL)
        s->unpacked = s->env->alloc(s->env->ud, PL_FRAME_BODY_BYTES_MAX);
    return s->unpacked;
}

/* A message of a type that may be packed, behind the number of that type. */
static void take_packed(struct pl_session *s, struct parley_span body)
{
    if (s->state != STATE_OPEN || !s->packs) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "a packed message that was not agreed on");
        return;
    }
    struct pl_frame frame = { .type =
                                  body.len == 0 ? PL_MSG_NONE : (enum pl_message_type)body.ptr[0] };
    if (!may_be_packed(frame.type)) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "a packed message of a type that is not packed");
        return;
    }
    uint8_t *out = unpack_buf(s);
    if (out == NULL) {
        pl_session_fail(s, PL_BYE_BUSY, "no memory to unpack a message");
        return;
    }
    size_t len = 0;
    if (pl_zip_unpack(s->config.zip, pl_span_after(body, 1), out, pl_frame_body_max(frame.type),
                      &len) != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "a packed message that does not unpack");
        return;
    }
    frame.body = pl_span_of(out, len);
    take_message(s, &frame);
}

static void take_frame(struct pl_session *s, const struct pl_frame *frame)
{
    switch (frame->type) {
    case PL_MSG_BYE:
        take_bye(s, frame->body);
        return;
    case PL_MSG_STATE:
    case PL_MSG_CHANGES:
    case PL_MSG_ACK:
    case PL_MSG_OFFER:
    case PL_MSG_WANT:
    case PL_MSG_PART:
    case PL_MSG_QUERY:
    case PL_MSG_ANSWER:
    case PL_MSG_TALLY:
    case PL_MSG_DIFF:
        take_message(s, frame);
        return;
    case PL_MSG_PACKED:
        take_packed(s, frame->body);
        return;
    case PL_MSG_NONE:
    case PL_MSG_HELLO:
    case PL_MSG_PROOF:
    case PL_MSG_JOIN:
    case PL_MSG_JOINED:
    case PL_MSG_JOIN_DONE:
        break;
    }
    if (rules[s->state].takes == frame->type)
        pl_handshake_take(s, frame);
    else
        pl_session_fail(s, PL_BYE_PROTOCOL, "a handshake message out of order");
}

/* ---- Receiving ---- */

static struct parley_span unread(const struct pl_session *s)
{
    return pl_span_of(s->recv + s->recv_start, s->recv_end - s->recv_start);
}

/* False: more bytes are needed, or the session has failed at the first byte that differs. */
static bool take_preface(struct pl_session *s)
{
    struct parley_span bytes = unread(s);
    size_t len = pl_min_size(bytes.len, PL_WIRE_PREFACE_BYTES);
    if (memcmp(bytes.ptr, PL_WIRE_PREFACE, len) != 0) {
        pl_session_fail(s, PL_BYE_PROTOCOL, "the preface is not parley's");
        return false;
    }
    if (len < PL_WIRE_PREFACE_BYTES)
        return false;
    s->recv_start += PL_WIRE_PREFACE_BYTES;
    s->preface_taken = true;
    return true;
}

static const char *split_error(parley_err err)
{
    if (err == PARLEY_ETOOBIG)
        return "a frame above its size limit";
    return err == PARLEY_EPROTO ? "an unknown message type" : "a frame of length 0";
}

/* Makes sure that the next `need` bytes from recv_start fit; see "Copies" above. */
static void make_room(struct pl_session *s, size_t need)
{
    PL_ASSERT(!is_blocked(s));
    if (s->recv_start != s->recv_end && s->recv_start + need <= sizeof s->recv)
        return;
    memmove(s->recv, s->recv + s->recv_start, s->recv_end - s->recv_start);
    s->recv_end -= s->recv_start;
    s->recv_start = 0;
}

/* True while whole frames are taken one after the other. */
static bool advance_once(struct pl_session *s)
{
    bool open = s->state == STATE_OPEN;
    if (is_blocked(s) || s->state == STATE_CLOSED ||
        (!open && rules[s->state].takes == PL_MSG_NONE))
        return false;
    if (!s->config.client && !s->preface_taken)
        return take_preface(s);
    struct pl_frame frame;
    bool whole = false;
    size_t need = 0;
    parley_err err = pl_frame_split(unread(s), &frame, &whole, &need);
    if (err != PARLEY_OK) {
        pl_session_fail(s, PL_BYE_PROTOCOL, split_error(err));
        return false;
    }
    if (!whole) {
        make_room(s, need);
        return false;
    }
    s->recv_start += frame.bytes.len;
    take_frame(s, &frame);
    return true;
}

static void advance(struct pl_session *s)
{
    /* Ends: each turn takes at least one byte of a bounded buffer. */
    while (advance_once(s))
        PL_ASSERT_SLOW(session_is_sound(s));
    PL_ASSERT_SLOW(session_is_sound(s));
}

uint8_t *pl_session_recv_buf(struct pl_session *s, size_t *len)
{
    *len = s->state == STATE_CLOSED || is_blocked(s) ? 0 : sizeof s->recv - s->recv_end;
    return *len == 0 ? NULL : s->recv + s->recv_end;
}

void pl_session_recv_ack(struct pl_session *s, size_t len, parley_time now)
{
    PL_ASSERT(len <= sizeof s->recv - s->recv_end);
    /* A read may have been under way when the session closed. */
    if (s->state == STATE_CLOSED || len == 0)
        return;
    PL_ASSERT(!is_blocked(s));
    s->recv_end += len;
    s->now = pl_max_u64(s->now, now);
    s->heard_at = s->now;
    s->idle_from = s->now;
    advance(s);
}

/* ---- Sending, for the owner ---- */

const uint8_t *pl_session_send_buf(const struct pl_session *s, size_t *len)
{
    *len = s->abandoned ? 0 : s->send_end - s->send_start;
    return *len == 0 ? NULL : s->send + s->send_start;
}

void pl_session_send_ack(struct pl_session *s, size_t len)
{
    PL_ASSERT(!s->writing);
    PL_ASSERT(len <= s->send_end - s->send_start);
    /* One of the first frames may hold the secret of an invite. */
    if (s->state != STATE_OPEN)
        pl_wipe(s->send + s->send_start, len);
    s->send_start += len;
    size_t left = s->send_end - s->send_start;
    if (left <= s->send_start) {
        memmove(s->send, s->send + s->send_start, left);
        s->send_start = 0;
        s->send_end = left;
    }
    PL_ASSERT_SLOW(session_is_sound(s));
}

size_t pl_session_send_room(const struct pl_session *s)
{
    if (s->state != STATE_OPEN || s->writing)
        return 0;
    size_t room = SEND_ROOM - SEND_RESERVE - s->send_end;
    return room <= PL_FRAME_HEADER_BYTES ? 0 : room - PL_FRAME_HEADER_BYTES;
}

static bool is_sync_type(enum pl_message_type type)
{
    return (type >= PL_MSG_STATE && type <= PL_MSG_PART) || type == PL_MSG_QUERY ||
           type == PL_MSG_ANSWER || type == PL_MSG_TALLY || type == PL_MSG_DIFF;
}

bool pl_session_send_begin(struct pl_session *s, enum pl_message_type type, size_t body_max,
                           struct pl_writer *body)
{
    PL_ASSERT(!s->writing);
    PL_ASSERT(is_sync_type(type));
    PL_ASSERT(body_max >= 1);
    PL_ASSERT(body_max <= pl_frame_body_max(type));
    if (pl_session_send_room(s) < body_max)
        return false;
    *body = pl_writer_over(s->send + s->send_end + PL_FRAME_HEADER_BYTES, body_max);
    /* The type waits in its place in the header. */
    s->send[s->send_end + PL_FRAME_LENGTH_BYTES] = (uint8_t)type;
    s->writing = true;
    return true;
}

/* Replaces a body by the body of a PACKED, where that is shorter. */
static bool pack(struct pl_session *s, enum pl_message_type type, struct pl_writer *body)
{
    struct parley_span packed;
    if (!s->packs || !may_be_packed(type) || body->len < PL_ZIP_BYTES_MIN ||
        !pl_zip_pack(s->config.zip, pl_writer_span(body), &packed))
        return false;
    body->ptr[0] = (uint8_t)type;
    memcpy(body->ptr + 1, packed.ptr, packed.len);
    body->len = 1 + packed.len;
    return true;
}

void pl_session_send_end(struct pl_session *s, const struct pl_writer *body)
{
    PL_ASSERT(s->writing);
    s->writing = false;
    if (body == NULL)
        return;
    enum pl_message_type type = (enum pl_message_type)s->send[s->send_end + PL_FRAME_LENGTH_BYTES];
    struct pl_writer w = *body;
    PL_ASSERT(w.err == PARLEY_OK);
    if (pack(s, type, &w))
        type = PL_MSG_PACKED;
    pl_session_finish_frame(s, type, &w);
    PL_ASSERT_SLOW(session_is_sound(s));
}

/* ---- Events and answers ---- */

static void fill_closed(struct pl_session *s, struct pl_session_event *out)
{
    s->closed_pending = false;
    out->kind = PL_SESSION_CLOSED;
    out->by_peer = s->closed_by_peer;
    out->bye = s->closed_code;
    out->why = s->closed_why;
}

static void fill_key(const struct pl_session *s, struct pl_session_event *out)
{
    out->peer_key = &s->peer_key;
    out->learned = s->learned;
    out->rotations = s->peer_rotations;
    out->previous = s->learned ? &s->peer_previous : NULL;
    out->rotated_at = s->peer_rotated_at;
}

void pl_session_next(struct pl_session *s, struct pl_session_event *out)
{
    *out = (struct pl_session_event){ .kind = s->pending };
    s->pending = PL_SESSION_NONE;
    switch (out->kind) {
    case PL_SESSION_NONE:
        if (s->closed_pending)
            fill_closed(s, out);
        return;
    case PL_SESSION_MESSAGE:
        out->type = s->message_type;
        out->body = s->message;
        s->lent = true;
        return;
    case PL_SESSION_JOIN:
        fill_key(s, out);
        memcpy(out->join_secret, s->join_secret, sizeof out->join_secret);
        pl_handshake_check(s, out->check);
        break;
    case PL_SESSION_JOINED:
        fill_key(s, out);
        out->name_space = pl_span_of(s->name_space, s->name_space_len);
        out->may_write = s->may_write;
        pl_handshake_check(s, out->check);
        break;
    case PL_SESSION_OPEN:
        fill_key(s, out);
        break;
    case PL_SESSION_PEER:
    case PL_SESSION_CLOSED:
        break;
    }
    out->peer_id = pl_session_peer_id(s);
    out->join = s->join;
    out->incarnation = s->peer_incarnation;
    /* Messages may have come behind the proof. */
    advance(s);
}

void pl_session_message_done(struct pl_session *s)
{
    PL_ASSERT(s->lent);
    s->lent = false;
    s->message = pl_span_of(NULL, 0);
    advance(s);
}

/* An answer may come after a deadline closed the session; then it changes nothing. */
static bool may_answer(const struct pl_session *s, enum session_state in)
{
    if (s->state == STATE_CLOSED)
        return false;
    PL_ASSERT(s->state == in);
    PL_ASSERT(s->pending == PL_SESSION_NONE);
    return true;
}

static void copy_key(struct pl_session *s, const struct pl_session_key *key)
{
    s->peer_key = *key->key;
    s->has_previous = key->previous != NULL;
    if (s->has_previous)
        s->peer_previous = *key->previous;
    s->peer_rotations = key->rotations;
}

void pl_session_admit(struct pl_session *s, const struct pl_session_key *key)
{
    if (!may_answer(s, STATE_PEER))
        return;
    PL_ASSERT((key == NULL) == s->join);
    if (key != NULL)
        copy_key(s, key);
    pl_handshake_send_hello(s);
    if (pl_handshake_send_proof(s))
        pl_session_move(s, STATE_PROOF);
    advance(s);
}

void pl_session_joined(struct pl_session *s, struct parley_span name_space, bool may_write)
{
    if (!may_answer(s, STATE_INVITE))
        return;
    PL_ASSERT(name_space.len >= 1);
    PL_ASSERT(name_space.len <= PARLEY_NAMESPACE_BYTES_MAX);
    struct pl_msg_joined joined = { .name_space = name_space, .may_write = may_write };
    memcpy(joined.reveal, s->our_reveal, sizeof joined.reveal);
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_JOINED);
    pl_msg_joined_encode(&joined, &w);
    pl_session_finish_frame(s, PL_MSG_JOINED, &w);
    pl_wipe(s->join_secret, sizeof s->join_secret);
    pl_session_move(s, STATE_DONE);
    advance(s);
}

void pl_session_join_done(struct pl_session *s)
{
    if (!may_answer(s, STATE_STORE))
        return;
    pl_wipe(s->config.join_secret, sizeof s->config.join_secret);
    struct pl_writer w = pl_session_start_frame(s, PL_MSG_JOIN_DONE);
    pl_msg_join_done_encode(&w);
    pl_session_finish_frame(s, PL_MSG_JOIN_DONE, &w);
    pl_session_move(s, STATE_OPEN);
    pl_session_raise(s, PL_SESSION_OPEN);
    advance(s);
}

void pl_session_close(struct pl_session *s, enum pl_bye code)
{
    if (s->state == STATE_CLOSED)
        return;
    send_bye(s, code);
    end(s);
    s->pending = PL_SESSION_NONE;
}

/* ---- Time ---- */

parley_time pl_session_deadline(const struct pl_session *s)
{
    if (s->state == STATE_OPEN)
        return s->idle_from + PL_SESSION_IDLE_NS_MAX;
    if (s->state != STATE_CLOSED)
        return s->opened_at + PL_SESSION_HELLO_NS_MAX;
    if (pl_session_is_finished(s))
        return PARLEY_TIME_NEVER;
    /* Closing knows no time; the first tick after it starts the wait. */
    return s->armed ? s->linger_until : s->now;
}

/* A peer that does not read our BYE must not keep the session for ever. */
static void tick_closed(struct pl_session *s)
{
    if (pl_session_is_finished(s))
        return;
    if (!s->armed) {
        s->armed = true;
        s->linger_until = s->now + PL_SESSION_LINGER_NS_MAX;
    }
    if (s->now >= s->linger_until)
        s->abandoned = true;
}

void pl_session_tick(struct pl_session *s, parley_time now)
{
    PL_ASSERT(!s->writing);
    s->now = pl_max_u64(s->now, now);
    if (s->state == STATE_CLOSED) {
        tick_closed(s);
        return;
    }
    /* We are not reading: the silence is ours, an honest peer is not blamed for it. */
    if (s->state == STATE_OPEN && is_blocked(s))
        s->idle_from = s->now;
    if (s->now < pl_session_deadline(s))
        return;
    if (s->state == STATE_OPEN)
        pl_session_fail(s, PL_BYE_IDLE, "nothing was heard from the peer for too long");
    else
        pl_session_fail(s, PL_BYE_IDLE, "the handshake took too long");
}

/* ---- Life ---- */

parley_err pl_session_open(const struct parley_env *env, const struct pl_session_config *config,
                           parley_time now, struct pl_session **out)
{
    PL_ASSERT(config->identity != NULL);
    PL_ASSERT(config->backend_id.len >= 1);
    PL_ASSERT(config->backend_id.len <= PARLEY_BACKEND_ID_BYTES_MAX);
    PL_ASSERT(config->client || !config->join);
    PL_ASSERT(!config->client || config->join || config->expect_key.key != NULL);
    struct pl_session *s = env->alloc(env->ud, sizeof *s);
    if (s == NULL)
        return PARLEY_ENOMEM;
    memset(s, 0, offsetof(struct pl_session, recv));
    s->env = env;
    s->config = *config;
    s->state = STATE_HELLO;
    s->join = config->join;
    s->now = s->opened_at = s->heard_at = s->idle_from = now;
    if (config->client && !config->join)
        copy_key(s, &config->expect_key);
    s->config.expect_key = (struct pl_session_key){ 0 };
    if (config->client) {
        memcpy(s->send, PL_WIRE_PREFACE, PL_WIRE_PREFACE_BYTES);
        s->send_end = PL_WIRE_PREFACE_BYTES;
        pl_handshake_send_hello(s);
    }
    PL_ASSERT_SLOW(session_is_sound(s));
    *out = s;
    return PARLEY_OK;
}

void pl_session_free(struct pl_session *s)
{
    if (s == NULL)
        return;
    const struct parley_env *env = s->env;
    if (s->unpacked != NULL)
        env->release(env->ud, s->unpacked, PL_FRAME_BODY_BYTES_MAX);
    pl_wipe(s, sizeof *s);
    env->release(env->ud, s, sizeof *s);
}

bool pl_session_has_shown(const struct pl_session *s, const struct pl_pubkey *key)
{
    for (size_t i = 0; s->proved && i < s->shown_count; i++)
        if (memcmp(s->shown[i], key->fingerprint, PL_FINGERPRINT_BYTES) == 0)
            return true;
    return false;
}

bool pl_session_is_joining(const struct pl_session *s)
{
    return s->join && s->state != STATE_OPEN && s->state != STATE_CLOSED;
}

bool pl_session_set_identity(struct pl_session *s, const struct pl_identity *identity)
{
    s->config.identity = identity;
    bool signed_already = s->state == STATE_PROOF ? !s->config.client : s->state > STATE_PROOF;
    return !signed_already && !pl_session_is_joining(s);
}

bool pl_session_is_open(const struct pl_session *s)
{
    return s->state == STATE_OPEN;
}

bool pl_session_is_finished(const struct pl_session *s)
{
    return s->state == STATE_CLOSED && (s->abandoned || s->send_start == s->send_end);
}

struct parley_span pl_session_peer_id(const struct pl_session *s)
{
    return pl_span_of(s->peer_id, s->peer_id_len);
}

parley_time pl_session_heard_at(const struct pl_session *s)
{
    return s->heard_at;
}
