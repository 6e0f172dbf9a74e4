/* SPDX-License-Identifier: Apache-2.0
 *
 * Two peers, each with TLS and a session above it, and somebody in the middle who ends the TLS of
 * both with a key of his own and passes on every plain byte. The signed transcripts must differ.
 */
#include "lib/keys.h"
#include "lib/testlib.h"

#include "proto/session.h"
#include "proto/tls.h"

/* 2026-01-01T00:00:00Z */
#define NOW   (INT64_C(1767225600) * PARLEY_US_PER_S)
#define START PARLEY_NS_PER_S

struct party {
    struct pl_identity *id;
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_tls_profile *profile;
    struct pl_tls_credential credential;
};

/* One TLS connection. */
struct leg {
    struct pl_tls *client;
    struct pl_tls *server;
};

struct stage {
    struct test_env t;
    struct party client, server, middle;
    struct leg legs[2]; /* one when nobody is between */
    size_t leg_count;
    struct pl_session *sessions[2]; /* client, server */
    bool open[2];
    uint32_t bye[2];
};

static void party_open(struct stage *s, struct party *party, const char *key)
{
    assert_ok(pl_identity_import(&s->t.env, pl_span_text(key), &party->id, NULL));
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(party->id), party->name);
    assert_ok(pl_tls_profile_create(&s->t.env, &party->profile));
    assert_ok(
        pl_tls_credential_make(&s->t.env, party->id, party->name, NULL, NOW, &party->credential));
}

static void party_close(struct party *party)
{
    pl_identity_destroy(party->id);
    pl_tls_profile_destroy(party->profile);
}

static void stage_open(struct stage *s)
{
    *s = (struct stage){ .leg_count = 0 };
    test_env_init(&s->t);
    party_open(s, &s->client, TEST_KEY_A_PKCS1);
    party_open(s, &s->server, TEST_KEY_B_PKCS1);
    party_open(s, &s->middle, TEST_KEY_3072_PKCS8);
}

static void leg_open(struct stage *s, struct leg *leg, struct party *client, struct party *server,
                     const struct pl_tls_session *session)
{
    struct parley_now now = { .mono = START, .wall = NOW };
    assert_ok(pl_tls_open_server(&s->t.env, server->profile, &server->credential, NULL, START,
                                 &leg->server));
    assert_ok(pl_tls_open_client(&s->t.env, client->profile, session, now, &leg->client));
}

static void connection_close(struct stage *s)
{
    for (size_t i = 0; i < 2; i++) {
        pl_session_free(s->sessions[i]);
        pl_tls_close(s->legs[i].client);
        pl_tls_close(s->legs[i].server);
        s->sessions[i] = NULL;
        s->legs[i] = (struct leg){ .client = NULL };
        s->open[i] = false;
        s->bye[i] = 0;
    }
}

static void stage_close(struct stage *s)
{
    connection_close(s);
    party_close(&s->client);
    party_close(&s->server);
    party_close(&s->middle);
    assert_int_equal(0, s->t.allocs);
}

static bool copy(const uint8_t *from, size_t have, uint8_t *to, size_t room, size_t *len)
{
    *len = from == NULL || to == NULL ? 0 : pl_min_size(have, room);
    if (*len != 0)
        memcpy(to, from, *len);
    return *len != 0;
}

static bool move_cipher(struct pl_tls *from, struct pl_tls *to)
{
    size_t have, room, len;
    const uint8_t *src = pl_tls_send_buf(from, &have);
    uint8_t *dst = pl_tls_recv_buf(to, &room);
    if (!copy(src, have, dst, room, &len))
        return false;
    pl_tls_send_ack(from, len);
    pl_tls_recv_ack(to, len);
    return true;
}

static bool move_up(struct pl_tls *tls, struct pl_session *session)
{
    size_t have, room, len;
    const uint8_t *src = pl_tls_plain_recv_buf(tls, &have);
    uint8_t *dst = pl_session_recv_buf(session, &room);
    if (!copy(src, have, dst, room, &len))
        return false;
    pl_tls_plain_recv_ack(tls, len);
    pl_session_recv_ack(session, len, START);
    return true;
}

static bool move_down(struct pl_session *session, struct pl_tls *tls)
{
    size_t have, room, len;
    const uint8_t *src = pl_session_send_buf(session, &have);
    uint8_t *dst = pl_tls_plain_send_buf(tls, &room);
    if (!copy(src, have, dst, room, &len))
        return false;
    pl_session_send_ack(session, len);
    pl_tls_plain_send_ack(tls, len);
    pl_tls_flush(tls);
    return true;
}

/* In the middle: from one connection to the other. */
static bool move_across(struct pl_tls *from, struct pl_tls *to)
{
    size_t have, room, len;
    const uint8_t *src = pl_tls_plain_recv_buf(from, &have);
    uint8_t *dst = pl_tls_plain_send_buf(to, &room);
    if (!copy(src, have, dst, room, &len))
        return false;
    pl_tls_plain_recv_ack(from, len);
    pl_tls_plain_send_ack(to, len);
    pl_tls_flush(to);
    return true;
}

static bool take_event(struct stage *s, size_t side)
{
    struct pl_session_event event;
    pl_session_next(s->sessions[side], &event);
    const struct pl_session_key client = { .key = pl_identity_pubkey(s->client.id) };
    if (event.kind == PL_SESSION_PEER)
        pl_session_admit(s->sessions[side], &client);
    s->open[side] = s->open[side] || event.kind == PL_SESSION_OPEN;
    if (event.kind == PL_SESSION_CLOSED)
        s->bye[side] = event.bye;
    return event.kind != PL_SESSION_NONE;
}

static bool handshake_step(struct stage *s)
{
    bool moved = false;
    for (size_t i = 0; i < s->leg_count; i++) {
        moved = move_cipher(s->legs[i].client, s->legs[i].server) || moved;
        moved = move_cipher(s->legs[i].server, s->legs[i].client) || moved;
    }
    return moved;
}

static bool session_step(struct stage *s)
{
    bool moved = handshake_step(s);
    struct pl_tls *ends[2] = { s->legs[0].client, s->legs[s->leg_count - 1].server };
    for (size_t side = 0; side < 2; side++) {
        moved = move_up(ends[side], s->sessions[side]) || moved;
        moved = take_event(s, side) || moved;
        moved = move_down(s->sessions[side], ends[side]) || moved;
    }
    if (s->leg_count == 2) {
        moved = move_across(s->legs[0].server, s->legs[1].client) || moved;
        moved = move_across(s->legs[1].client, s->legs[0].server) || moved;
    }
    return moved;
}

/* TLS on every leg, then the sessions of the two ends over it. */
static void run(struct stage *s)
{
    while (handshake_step(s))
        continue;
    struct pl_session_config configs[2] = { { .client = true,
                                              .backend_id = pl_span_text(s->client.name),
                                              .identity = s->client.id,
                                              .expect_backend_id = pl_span_text(s->server.name),
                                              .expect_key.key = pl_identity_pubkey(s->server.id) },
                                            { .backend_id = pl_span_text(s->server.name),
                                              .identity = s->server.id } };
    memcpy(configs[0].tls_server_key, pl_tls_server_key(s->legs[0].client), PL_EC_PUBLIC_BYTES);
    memcpy(configs[1].tls_server_key, pl_tls_server_key(s->legs[s->leg_count - 1].server),
           PL_EC_PUBLIC_BYTES);
    for (size_t side = 0; side < 2; side++)
        assert_ok(pl_session_open(&s->t.env, &configs[side], START, &s->sessions[side]));
    while (session_step(s))
        continue;
}

static void assert_refused(const struct stage *s)
{
    assert_false(s->open[0]);
    assert_false(s->open[1]);
    assert_int_equal(PL_BYE_PROOF, s->bye[0]);
}

static void peers_without_anybody_between_open_also_when_resumed(void **state)
{
    (void)state;
    struct stage s;
    struct pl_tls_session session;
    stage_open(&s);
    s.leg_count = 1;
    for (int resumed = 0; resumed < 2; resumed++) {
        leg_open(&s, &s.legs[0], &s.client, &s.server, resumed ? &session : NULL);
        run(&s);
        assert_true(s.open[0]);
        assert_true(s.open[1]);
        assert_int_equal(resumed, pl_tls_is_resumed(s.legs[0].client));
        assert_true(pl_tls_session(s.legs[0].client, &session));
        connection_close(&s);
    }
    stage_close(&s);
}

static void a_relay_with_a_tls_key_of_its_own_is_refused_also_when_resumed(void **state)
{
    (void)state;
    struct stage s;
    struct pl_tls_session sessions[2];
    stage_open(&s);
    s.leg_count = 2;
    for (int resumed = 0; resumed < 2; resumed++) {
        leg_open(&s, &s.legs[0], &s.client, &s.middle, resumed ? &sessions[0] : NULL);
        leg_open(&s, &s.legs[1], &s.middle, &s.server, resumed ? &sessions[1] : NULL);
        run(&s);
        assert_refused(&s);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(resumed, pl_tls_is_resumed(s.legs[i].client));
            assert_true(pl_tls_session(s.legs[i].client, &sessions[i]));
        }
        connection_close(&s);
    }
    stage_close(&s);
}

/* Without the extended master secret somebody in the middle can make two sessions with one secret
 * and one id, and then pass on the abbreviated handshake untouched: one TLS connection from end to
 * end, with no key of his in it. What each side remembers of the server still differs. */
static void a_resumed_session_that_was_synchronised_by_a_relay_is_refused(void **state)
{
    (void)state;
    struct stage s;
    struct pl_tls_session session;
    stage_open(&s);
    s.leg_count = 1;
    leg_open(&s, &s.legs[0], &s.client, &s.server, NULL);
    while (handshake_step(&s))
        continue;
    assert_true(pl_tls_session(s.legs[0].client, &session));
    connection_close(&s);
    memcpy(session.server_key, s.middle.credential.public_key, sizeof session.server_key);
    leg_open(&s, &s.legs[0], &s.client, &s.server, &session);
    run(&s);
    assert_true(pl_tls_is_resumed(s.legs[0].server));
    assert_refused(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_without_anybody_between_open_also_when_resumed),
        cmocka_unit_test(a_relay_with_a_tls_key_of_its_own_is_refused_also_when_resumed),
        cmocka_unit_test(a_resumed_session_that_was_synchronised_by_a_relay_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
