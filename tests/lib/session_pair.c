/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/session_pair.h"

#include <stdlib.h>

#include "lib/keys.h"
#include "proto/frame.h"

const struct pl_pubkey *fixture_key(const struct fixture *f, int who)
{
    return pl_identity_pubkey(f->ids[who]);
}

void pair_init(struct pair *p, struct fixture *f, bool join)
{
    *p = (struct pair){ .f = f, .answer = true, .step = 0, .seed = 7, .now = START };
    p->admit_key.key = fixture_key(f, 1);
    for (int i = 0; i < 2; i++) {
        struct pl_session_config *c = &p->config[i];
        c->client = i == 1;
        c->identity = f->ids[i];
        c->backend_id = pl_span_text(f->names[i]);
        memset(c->incarnation.bytes, 0x10 + i, PARLEY_INCARNATION_BYTES);
        memset(c->tls_server_key, 4, sizeof c->tls_server_key);
        p->side[i].flip = SIZE_MAX;
        p->side[i].cut = SIZE_MAX;
    }
    struct pl_session_config *client = &p->config[1];
    client->join = join;
    memcpy(client->expect_fingerprint, fixture_key(f, 0)->fingerprint, PL_FINGERPRINT_BYTES);
    memset(client->join_secret, 0xab, PL_INVITE_SECRET_BYTES);
    if (!join) {
        client->expect_backend_id = pl_span_text(f->names[0]);
        client->expect_key.key = fixture_key(f, 0);
    }
}

void pair_open(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        assert_ok(pl_session_open(&p->f->t.env, &p->config[i], p->now, &p->side[i].s));
}

void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        pl_session_free(p->side[i].s);
}

static void answer(struct pair *p, struct side *side, const struct pl_session_event *event)
{
    bool refuse = p->refuse != PL_BYE_CLOSING;
    /* A join is refused when its secret is known. */
    bool asked = (event->kind == PL_SESSION_PEER && !event->join) || event->kind == PL_SESSION_JOIN;
    if (asked && refuse)
        pl_session_close(side->s, p->refuse);
    else if (event->kind == PL_SESSION_PEER)
        pl_session_admit(side->s, event->join ? NULL : &p->admit_key);
    else if (event->kind == PL_SESSION_JOIN)
        pl_session_joined(side->s, pl_span_text("family"), true);
    else if (event->kind == PL_SESSION_JOINED)
        pl_session_join_done(side->s);
    else if (event->kind == PL_SESSION_MESSAGE)
        pl_session_message_done(side->s);
}

bool pair_take_events(struct pair *p, struct side *side)
{
    bool any = false;
    struct pl_session_event event;
    for (pl_session_next(side->s, &event); event.kind != PL_SESSION_NONE;
         pl_session_next(side->s, &event)) {
        if (side->log_count < LOG_MAX)
            side->log[side->log_count++] = event.kind;
        side->last = event;
        any = true;
        if (!p->answer)
            break;
        answer(p, side, &event);
    }
    return any;
}

static size_t next_step(struct pair *p)
{
    if (p->step != 0)
        return p->step;
    p->seed = p->seed * UINT64_C(6364136223846793005) + 1;
    return 1 + (size_t)(p->seed >> 33) % 97;
}

/* Moves some bytes; false when nothing could move. */
bool pair_carry(struct pair *p, struct side *from, struct side *to)
{
    size_t have;
    size_t room;
    const uint8_t *src = pl_session_send_buf(from->s, &have);
    uint8_t *dst = pl_session_recv_buf(to->s, &room);
    size_t len = pl_min_size(pl_min_size(have, room), pl_min_size(next_step(p), from->cut));
    if (src == NULL || dst == NULL || len == 0)
        return false;
    memcpy(dst, src, len);
    for (size_t i = 0; i < len; i++, from->sent_len++) {
        if (from->sent_len < STREAM_MAX)
            from->sent[from->sent_len] = src[i];
        if (from->sent_len == from->flip)
            dst[i] ^= from->flip_bits;
    }
    from->cut -= from->cut == SIZE_MAX ? 0 : len;
    pl_session_send_ack(from->s, len);
    pl_session_recv_ack(to->s, len, p->now);
    return true;
}

/* Until nothing moves any more. */
void pair_pump(struct pair *p)
{
    bool moved = true;
    while (moved) {
        moved = pair_carry(p, &p->side[1], &p->side[0]);
        moved = pair_take_events(p, &p->side[0]) || moved;
        moved = pair_carry(p, &p->side[0], &p->side[1]) || moved;
        moved = pair_take_events(p, &p->side[1]) || moved;
    }
}

bool side_saw(const struct side *side, enum pl_session_event_kind kind)
{
    for (size_t i = 0; i < side->log_count; i++)
        if (side->log[i] == kind)
            return true;
    return false;
}

void side_assert_closed(const struct side *side, bool by_peer, uint32_t bye)
{
    assert_int_equal(PL_SESSION_CLOSED, side->last.kind);
    assert_int_equal(bye, side->last.bye);
    assert_int_equal(by_peer, side->last.by_peer);
    assert_non_null(side->last.why);
    assert_false(pl_session_is_open(side->s));
}

void pair_assert_never_open(const struct pair *p)
{
    assert_false(side_saw(&p->side[0], PL_SESSION_OPEN));
    assert_false(side_saw(&p->side[1], PL_SESSION_OPEN));
}

void pair_open_both(struct pair *p, struct fixture *f, bool join)
{
    pair_init(p, f, join);
    pair_open(p);
    pair_pump(p);
    assert_true(pl_session_is_open(p->side[0].s));
    assert_true(pl_session_is_open(p->side[1].s));
}

/* Puts bytes into a session as if they had come from its peer, then takes events. */
void pair_feed(struct pair *p, struct side *side, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len != 0) {
        size_t room;
        uint8_t *dst = pl_session_recv_buf(side->s, &room);
        if (dst == NULL)
            break;
        size_t part = pl_min_size(len, room);
        memcpy(dst, at, part);
        pl_session_recv_ack(side->s, part, p->now);
        at += part;
        len -= part;
        pair_take_events(p, side);
    }
}

void pair_feed_frame(struct pair *p, struct side *side, enum pl_message_type type, const void *body,
                     size_t len)
{
    uint8_t frame[PL_FRAME_HEADER_BYTES + 1024];
    assert_in_range(len, 0, 1024);
    pl_frame_put_header(frame, type, len);
    if (len != 0)
        memcpy(frame + PL_FRAME_HEADER_BYTES, body, len);
    pair_feed(p, side, frame, PL_FRAME_HEADER_BYTES + len);
}

size_t side_frame_end(const struct side *side, size_t from)
{
    return from + PL_FRAME_LENGTH_BYTES + (size_t)pl_get_be(side->sent + from, 4);
}

const struct moment moments[MOMENT_COUNT] = {
    { false, 0, 0, PL_MSG_HELLO }, { false, 0, 1, PL_MSG_PROOF },    { true, 0, 1, PL_MSG_PROOF },
    { true, 0, 2, PL_MSG_JOIN },   { true, 0, 3, PL_MSG_JOIN_DONE }, { false, 1, 0, PL_MSG_HELLO },
    { false, 1, 1, PL_MSG_PROOF }, { true, 1, 1, PL_MSG_PROOF },     { true, 1, 2, PL_MSG_JOINED },
};

/* Leaves moments[index].who waiting for its next message. */
void pair_reach(struct pair *p, struct fixture *f, const struct moment *m)
{
    struct pair model;
    pair_open_both(&model, f, m->join);
    const struct side *peer = &model.side[1 - m->who];
    size_t cut = m->who == 0 ? PL_WIRE_PREFACE_BYTES : 0;
    for (size_t i = 0; i < m->frames; i++)
        cut = side_frame_end(peer, cut);
    pair_free(&model);
    pair_init(p, f, m->join);
    p->side[1 - m->who].cut = cut;
    pair_open(p);
    pair_pump(p);
    assert_false(side_saw(&p->side[m->who], PL_SESSION_OPEN));
    assert_false(side_saw(&p->side[m->who], PL_SESSION_CLOSED));
}

int fixture_make(void **state)
{
    static const char *const pems[2] = { TEST_KEY_A_PKCS1, TEST_KEY_B_PKCS1 };
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_env_init(&f->t);
    for (int i = 0; i < 2; i++) {
        assert_ok(pl_identity_import(&f->t.env, pl_span_text(pems[i]), &f->ids[i], NULL));
        pl_backend_id_make(PL_BACKEND_LOCAL, fixture_key(f, i), f->names[i]);
    }
    *state = f;
    return 0;
}

int fixture_drop(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++)
        pl_identity_destroy(f->ids[i]);
    assert_int_equal(0, f->t.allocs);
    free(f);
    return 0;
}
