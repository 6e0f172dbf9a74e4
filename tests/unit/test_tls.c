/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/testlib.h"

#include "lib/keys.h"

#include "proto/tls.h"

/* 2026-01-01T00:00:00Z */
#define NOW        (INT64_C(1767225600) * PARLEY_US_PER_S)
#define DAY        (INT64_C(86400) * PARLEY_US_PER_S)
#define MONO       (7 * PARLEY_NS_PER_S)
#define BACKEND_ID "local_sha256_0123456789abcdef0123456789abcdef"

struct pair {
    struct test_env t;
    struct pl_identity *id;
    struct pl_tls_profile *profile;
    struct pl_tls_credential credential;
    struct pl_tls *server;
    struct pl_tls *client;
};

static void setup(struct pair *p)
{
    *p = (struct pair){ .server = NULL };
    test_env_init(&p->t);
    assert_ok(pl_identity_import(&p->t.env, pl_span_text(TEST_KEY_A_PKCS1), &p->id, NULL));
    assert_ok(pl_tls_profile_create(&p->t.env, &p->profile));
    assert_ok(pl_tls_credential_make(&p->t.env, p->id, BACKEND_ID, NULL, NOW, &p->credential));
    assert_ok(pl_tls_open_server(&p->t.env, p->profile, &p->credential, NULL, MONO, &p->server));
}

static void setup_client(struct pair *p, parley_wall wall)
{
    struct parley_now now = { .mono = MONO, .wall = wall };
    assert_ok(pl_tls_open_client(&p->t.env, p->profile, NULL, now, &p->client));
}

/* A new connection to the server, whose credential may have changed. */
static void reopen(struct pair *p, const struct pl_tls_session *session, parley_time mono)
{
    struct parley_now now = { .mono = mono, .wall = NOW };
    pl_tls_close(p->server);
    pl_tls_close(p->client);
    p->server = NULL;
    p->client = NULL;
    assert_ok(pl_tls_open_server(&p->t.env, p->profile, &p->credential, NULL, mono, &p->server));
    if (session != NULL)
        assert_ok(pl_tls_open_client(&p->t.env, p->profile, session, now, &p->client));
}

static void teardown(struct pair *p)
{
    pl_tls_close(p->client);
    pl_tls_close(p->server);
    pl_tls_profile_destroy(p->profile);
    pl_tls_credential_wipe(&p->credential);
    pl_identity_destroy(p->id);
    assert_int_equal(0, p->t.allocs);
}

/* Moves at most `max` cipher bytes from one filter to the other; returns how many moved. */
static size_t move(struct pl_tls *from, struct pl_tls *to, size_t max)
{
    size_t have;
    size_t room;
    const uint8_t *src = pl_tls_send_buf(from, &have);
    uint8_t *dst = pl_tls_recv_buf(to, &room);
    if (src == NULL || dst == NULL)
        return 0;
    size_t len = pl_min_size(max, pl_min_size(have, room));
    memcpy(dst, src, len);
    pl_tls_send_ack(from, len);
    pl_tls_recv_ack(to, len);
    return len;
}

/* Moves cipher bytes both ways, in pieces of at most `max`, until nothing moves. */
static void pump(struct pair *p, size_t max)
{
    for (;;) {
        size_t moved = move(p->client, p->server, max);
        moved += move(p->server, p->client, max);
        if (moved == 0)
            return;
    }
}

/* Gives what fits of `bytes` to the plain side. */
static size_t send_plain(struct pl_tls *tls, const uint8_t *bytes, size_t len)
{
    size_t room;
    uint8_t *dst = pl_tls_plain_send_buf(tls, &room);
    if (dst == NULL)
        return 0;
    len = pl_min_size(len, room);
    memcpy(dst, bytes, len);
    pl_tls_plain_send_ack(tls, len);
    return len;
}

static size_t recv_plain(struct pl_tls *tls, uint8_t *bytes, size_t cap)
{
    size_t have;
    const uint8_t *src = pl_tls_plain_recv_buf(tls, &have);
    if (src == NULL)
        return 0;
    have = pl_min_size(have, cap);
    memcpy(bytes, src, have);
    pl_tls_plain_recv_ack(tls, have);
    return have;
}

static void say(struct pair *p, struct pl_tls *from, struct pl_tls *to, const char *text)
{
    uint8_t got[64];
    assert_int_equal(strlen(text), send_plain(from, (const uint8_t *)text, strlen(text)));
    pl_tls_flush(from);
    pump(p, SIZE_MAX);
    size_t len = recv_plain(to, got, sizeof got);
    assert_span_text(pl_span_of(got, len), text);
}

static void both_sides_become_ready_and_talk(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    setup_client(&p, NOW);
    assert_false(pl_tls_is_ready(p.client));
    assert_false(pl_tls_is_ready(p.server));
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_ready(p.client));
    assert_true(pl_tls_is_ready(p.server));
    say(&p, p.client, p.server, "hello");
    say(&p, p.server, p.client, "good day");
    assert_false(pl_tls_is_closed(p.client, NULL));
    teardown(&p);
}

static void both_sides_agree_on_server_key_and_protocol(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_memory_equal(p.credential.public_key, pl_tls_server_key(p.server), PL_EC_PUBLIC_BYTES);
    assert_memory_equal(p.credential.public_key, pl_tls_server_key(p.client), PL_EC_PUBLIC_BYTES);
    assert_int_equal(PL_ALPN_PARLEY, pl_tls_alpn(p.server));
    assert_int_equal(PL_ALPN_PARLEY, pl_tls_alpn(p.client));
    teardown(&p);
}

static void any_split_of_the_bytes_gives_the_same(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 2, 3, 5, 7, 100, 1000, 16000 };
    for (size_t i = 0; i < PL_ARRAY_LEN(pieces); i++) {
        struct pair p;
        uint8_t got[64];
        setup(&p);
        setup_client(&p, NOW);
        pump(&p, pieces[i]);
        assert_true(pl_tls_is_ready(p.client));
        assert_true(pl_tls_is_ready(p.server));
        assert_int_equal(5, send_plain(p.client, (const uint8_t *)"hello", 5));
        pl_tls_flush(p.client);
        pump(&p, pieces[i]);
        size_t len = recv_plain(p.server, got, sizeof got);
        assert_span_text(pl_span_of(got, len), "hello");
        teardown(&p);
    }
}

/* Which identity signed the certificate is not TLS's business: the signed HELLO covers its key. */
static void a_server_of_any_identity_is_accepted_with_its_key(void **state)
{
    (void)state;
    struct pair p;
    struct pl_identity *other = NULL;
    setup(&p);
    assert_ok(pl_identity_import(&p.t.env, pl_span_text(TEST_KEY_B_PKCS1), &other, NULL));
    pl_tls_close(p.server);
    assert_ok(pl_tls_credential_make(&p.t.env, other, BACKEND_ID, NULL, NOW, &p.credential));
    assert_ok(pl_tls_open_server(&p.t.env, p.profile, &p.credential, NULL, MONO, &p.server));
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_ready(p.client));
    assert_memory_equal(p.credential.public_key, pl_tls_server_key(p.client), PL_EC_PUBLIC_BYTES);
    pl_identity_destroy(other);
    teardown(&p);
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    static const parley_wall walls[] = { NOW + 91 * DAY, NOW - 2 * DAY };
    for (size_t i = 0; i < PL_ARRAY_LEN(walls); i++) {
        struct pair p;
        struct parley_diag why;
        setup(&p);
        setup_client(&p, walls[i]);
        pump(&p, SIZE_MAX);
        assert_false(pl_tls_is_ready(p.client));
        assert_true(pl_tls_is_closed(p.client, &why));
        assert_non_null(strstr(why.text, "expired or not yet valid"));
        teardown(&p);
    }
}

static void a_certificate_of_another_shape_is_refused(void **state)
{
    (void)state;
    struct pair p;
    struct parley_diag why;
    setup(&p);
    p.credential.leaf[4] ^= 1;
    reopen(&p, NULL, MONO);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_closed(p.client, &why));
    assert_non_null(strstr(why.text, "not that of a parley node"));
    teardown(&p);
}

/* The certificate is right, the key behind it is not: somebody replays a leaf. */
static void a_server_without_the_key_of_its_certificate_is_refused(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    p.credential.private_key[31] ^= 1;
    reopen(&p, NULL, MONO);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_false(pl_tls_is_ready(p.client));
    assert_true(pl_tls_is_closed(p.client, NULL));
    teardown(&p);
}

static void close_notify_ends_both_sides_without_error(void **state)
{
    (void)state;
    struct pair p;
    struct parley_diag why;
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    pl_tls_shutdown(p.client);
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_closed(p.server, &why));
    assert_string_equal("TLS closed by close_notify", why.text);
    assert_true(pl_tls_is_closed(p.client, &why));
    assert_string_equal("TLS closed by close_notify", why.text);
    teardown(&p);
}

static void bytes_acked_before_shutdown_still_arrive(void **state)
{
    (void)state;
    struct pair p;
    uint8_t got[64];
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_int_equal(4, send_plain(p.client, (const uint8_t *)"last", 4));
    pl_tls_shutdown(p.client);
    pump(&p, SIZE_MAX);
    size_t len = recv_plain(p.server, got, sizeof got);
    assert_span_text(pl_span_of(got, len), "last");
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_closed(p.server, NULL));
    assert_true(pl_tls_is_closed(p.client, NULL));
    teardown(&p);
}

static void shutdown_with_unread_bytes_does_not_hang(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_int_equal(4, send_plain(p.server, (const uint8_t *)"data", 4));
    pl_tls_flush(p.server);
    pump(&p, SIZE_MAX);
    pl_tls_shutdown(p.client);
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_is_closed(p.client, NULL));
    assert_true(pl_tls_is_closed(p.server, NULL));
    teardown(&p);
}

static void a_flipped_cipher_byte_closes_the_receiver(void **state)
{
    (void)state;
    struct pair p;
    struct parley_diag why;
    size_t have;
    size_t room;
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_int_equal(4, send_plain(p.client, (const uint8_t *)"data", 4));
    pl_tls_flush(p.client);
    const uint8_t *src = pl_tls_send_buf(p.client, &have);
    uint8_t *dst = pl_tls_recv_buf(p.server, &room);
    /* A record header is read before its body is. */
    for (size_t at = 0; at < have;) {
        size_t len = pl_min_size(room, have - at);
        memcpy(dst, src + at, len);
        at += len;
        if (at == have)
            dst[len - 1] ^= 1;
        pl_tls_recv_ack(p.server, len);
        dst = pl_tls_recv_buf(p.server, &room);
    }
    assert_true(pl_tls_is_closed(p.server, &why));
    assert_non_null(strstr(why.text, "after the handshake (TLS 7)"));
    assert_null(pl_tls_plain_recv_buf(p.server, &room));
    teardown(&p);
}

static void garbage_closes_the_server(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    static const uint8_t garbage[] = "GET / HTTP/1.1\r\n\r\n";
    for (size_t at = 0; at < sizeof garbage && !pl_tls_is_closed(p.server, NULL);) {
        size_t room;
        uint8_t *dst = pl_tls_recv_buf(p.server, &room);
        assert_non_null(dst);
        size_t len = pl_min_size(room, sizeof garbage - at);
        memcpy(dst, garbage + at, len);
        pl_tls_recv_ack(p.server, len);
        at += len;
    }
    assert_true(pl_tls_is_closed(p.server, NULL));
    teardown(&p);
}

/* One direction of a transfer of a byte pattern, checked on arrival. */
struct stream {
    struct pl_tls *from;
    struct pl_tls *to;
    size_t sent;
    size_t got;
};

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 13));
}

static void stream_step(struct stream *s, size_t total)
{
    size_t room;
    uint8_t *dst = pl_tls_plain_send_buf(s->from, &room);
    if (dst != NULL && s->sent < total) {
        room = pl_min_size(room, total - s->sent);
        for (size_t i = 0; i < room; i++)
            dst[i] = pattern(s->sent + i);
        pl_tls_plain_send_ack(s->from, room);
        s->sent += room;
        if (s->sent == total)
            pl_tls_flush(s->from);
    }
    size_t have;
    const uint8_t *src = pl_tls_plain_recv_buf(s->to, &have);
    if (src == NULL)
        return;
    size_t wrong = 0;
    for (size_t i = 0; i < have; i++)
        wrong += src[i] != pattern(s->got + i);
    assert_int_equal(0, wrong);
    pl_tls_plain_recv_ack(s->to, have);
    s->got += have;
}

static void megabytes_pass_both_ways_at_once(void **state)
{
    (void)state;
    const size_t total = 3000001;
    struct pair p;
    setup(&p);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    struct stream up = { .from = p.client, .to = p.server };
    struct stream down = { .from = p.server, .to = p.client };
    for (size_t turn = 0; up.got < total || down.got < total; turn++) {
        assert_true(turn < 10000);
        stream_step(&up, total);
        stream_step(&down, total);
        size_t piece = turn % 5 == 0 ? 1000 : SIZE_MAX;
        move(p.client, p.server, piece);
        move(p.server, p.client, piece);
    }
    assert_int_equal(total, up.got);
    assert_int_equal(total, down.got);
    teardown(&p);
}

/* ---- Resumption ---- */

/* Makes a session by a full handshake. */
static struct pl_tls_session make_session(struct pair *p)
{
    struct pl_tls_session session;
    setup_client(p, NOW);
    pump(p, SIZE_MAX);
    assert_true(pl_tls_is_ready(p->client));
    assert_false(pl_tls_is_resumed(p->client));
    assert_false(pl_tls_is_resumed(p->server));
    assert_true(pl_tls_session(p->client, &session));
    return session;
}

static void assert_talking(struct pair *p, bool resumed)
{
    pump(p, SIZE_MAX);
    assert_true(pl_tls_is_ready(p->client));
    assert_true(pl_tls_is_ready(p->server));
    assert_int_equal(resumed, pl_tls_is_resumed(p->client));
    assert_int_equal(resumed, pl_tls_is_resumed(p->server));
    assert_memory_equal(pl_tls_server_key(p->server), pl_tls_server_key(p->client),
                        PL_EC_PUBLIC_BYTES);
    assert_memory_equal(p->credential.public_key, pl_tls_server_key(p->client), PL_EC_PUBLIC_BYTES);
    assert_int_equal(PL_ALPN_PARLEY, pl_tls_alpn(p->server));
    say(p, p->client, p->server, "hello");
    say(p, p->server, p->client, "good day");
}

static void a_session_is_resumed_and_both_sides_know_the_server_key(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    for (int i = 0; i < 3; i++) {
        struct pl_tls_session again;
        reopen(&p, &session, MONO + PARLEY_NS_PER_S);
        assert_talking(&p, true);
        assert_true(pl_tls_session(p.client, &again));
        assert_memory_equal(session.id, again.id, sizeof session.id);
        assert_int_equal(session.made_at, again.made_at);
    }
    teardown(&p);
}

static void a_session_has_an_age_limit_on_either_side(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    reopen(&p, &session, MONO + PL_TLS_SESSION_NS_MAX);
    assert_talking(&p, true);
    reopen(&p, &session, MONO + PL_TLS_SESSION_NS_MAX + 1);
    assert_talking(&p, false);
    /* A client that lies about the age meets the server's own clock. */
    reopen(&p, NULL, MONO);
    setup_client(&p, NOW);
    pump(&p, SIZE_MAX);
    assert_true(pl_tls_session(p.client, &session));
    session.made_at += PARLEY_NS_PER_S;
    reopen(&p, &session, MONO + PL_TLS_SESSION_NS_MAX + 1);
    assert_talking(&p, false);
    teardown(&p);
}

static void a_forgotten_or_unknown_session_falls_back_to_a_full_handshake(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    pl_tls_profile_forget(p.profile);
    reopen(&p, &session, MONO);
    assert_talking(&p, false);
    assert_true(pl_tls_session(p.client, &session));
    session.id[5] ^= 1;
    reopen(&p, &session, MONO);
    assert_talking(&p, false);
    teardown(&p);
}

static void a_server_that_renewed_its_key_makes_a_full_handshake_with_it(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    struct pl_tls_credential old = p.credential;
    assert_ok(pl_tls_credential_make(&p.t.env, p.id, BACKEND_ID, NULL, NOW, &p.credential));
    pl_tls_profile_forget(p.profile);
    reopen(&p, &session, MONO);
    assert_talking(&p, false);
    assert_memory_not_equal(old.public_key, pl_tls_server_key(p.client), PL_EC_PUBLIC_BYTES);
    teardown(&p);
}

/* A session from before the renewal that the table still has: both sides name the key of then. */
static void a_resumed_session_names_the_key_it_was_made_under(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    struct pl_tls_credential old = p.credential;
    assert_ok(pl_tls_credential_make(&p.t.env, p.id, BACKEND_ID, NULL, NOW, &p.credential));
    reopen(&p, &session, MONO);
    p.credential = old;
    assert_talking(&p, true);
    teardown(&p);
}

static void a_handshake_that_has_begun_ends_with_its_credential(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_credential old = p.credential;
    setup_client(&p, NOW);
    move(p.client, p.server, 40); /* the server has part of the hello */
    assert_ok(pl_tls_credential_make(&p.t.env, p.id, BACKEND_ID, NULL, NOW, &p.credential));
    p.credential = old;
    assert_talking(&p, false);
    teardown(&p);
}

static void a_session_with_another_master_secret_is_refused(void **state)
{
    (void)state;
    struct pair p;
    setup(&p);
    struct pl_tls_session session = make_session(&p);
    session.master[0] ^= 1;
    reopen(&p, &session, MONO);
    pump(&p, SIZE_MAX);
    assert_false(pl_tls_is_ready(p.client));
    assert_false(pl_tls_is_ready(p.server));
    assert_true(pl_tls_is_closed(p.client, NULL));
    teardown(&p);
}

static void open_reports_failed_allocations(void **state)
{
    (void)state;
    struct pair p;
    struct pl_tls *tls = NULL;
    struct pl_tls_profile *profile = NULL;
    struct parley_now now = { .mono = MONO, .wall = NOW };
    setup(&p);
    int64_t open = p.t.allocs;
    p.t.fail_after = 0;
    assert_err(PARLEY_ENOMEM, pl_tls_profile_create(&p.t.env, &profile));
    assert_err(PARLEY_ENOMEM,
               pl_tls_open_server(&p.t.env, p.profile, &p.credential, NULL, MONO, &tls));
    assert_err(PARLEY_ENOMEM, pl_tls_open_client(&p.t.env, p.profile, NULL, now, &tls));
    p.t.fail_after = 1;
    assert_err(PARLEY_ENOMEM, pl_tls_profile_create(&p.t.env, &profile));
    assert_null(tls);
    assert_null(profile);
    assert_int_equal(open, p.t.allocs);
    p.t.fail_after = -1;
    pl_tls_close(NULL);
    pl_tls_profile_destroy(NULL);
    teardown(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_become_ready_and_talk),
        cmocka_unit_test(both_sides_agree_on_server_key_and_protocol),
        cmocka_unit_test(any_split_of_the_bytes_gives_the_same),
        cmocka_unit_test(a_server_of_any_identity_is_accepted_with_its_key),
        cmocka_unit_test(an_expired_certificate_is_refused),
        cmocka_unit_test(a_certificate_of_another_shape_is_refused),
        cmocka_unit_test(a_server_without_the_key_of_its_certificate_is_refused),
        cmocka_unit_test(close_notify_ends_both_sides_without_error),
        cmocka_unit_test(bytes_acked_before_shutdown_still_arrive),
        cmocka_unit_test(shutdown_with_unread_bytes_does_not_hang),
        cmocka_unit_test(a_flipped_cipher_byte_closes_the_receiver),
        cmocka_unit_test(garbage_closes_the_server),
        cmocka_unit_test(megabytes_pass_both_ways_at_once),
        cmocka_unit_test(a_session_is_resumed_and_both_sides_know_the_server_key),
        cmocka_unit_test(a_session_has_an_age_limit_on_either_side),
        cmocka_unit_test(a_forgotten_or_unknown_session_falls_back_to_a_full_handshake),
        cmocka_unit_test(a_server_that_renewed_its_key_makes_a_full_handshake_with_it),
        cmocka_unit_test(a_resumed_session_names_the_key_it_was_made_under),
        cmocka_unit_test(a_handshake_that_has_begun_ends_with_its_credential),
        cmocka_unit_test(a_session_with_another_master_secret_is_refused),
        cmocka_unit_test(open_reports_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
