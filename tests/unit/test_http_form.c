/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client may ask of the form of an answer, which origins of pages are let in, and how many
 * requests.
 */
#include "lib/client_fixture.h"

#include "core/json.h"
#include "core/mp_read.h"
#include "node/node_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define ADMIN "Authorization: Bearer " NODE_CLIENT_ADMIN "\r\n"

static struct node_reply ask(struct node_client *c, const char *what, const char *fields)
{
    char text[2048];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", what, fields);
    if (c->conn == 0)
        node_client_connect(c);
    node_client_send(c, text, strlen(text));
    return node_client_take(c, strncmp(what, "HEAD", 4) == 0);
}

static void write_messages(struct node_client *c, int count)
{
    for (int i = 0; i < count; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"message_id\":\"m%d\",\"role\":\"user\",\"content\":\"x\"}",
                 i);
        node_client_expect(node_client_admin(c, "POST", "/conversations/c/messages", body), 201,
                           NULL);
    }
}

/* ---- Packed answers ---- */

static char *plain_answer(struct node_client *c)
{
    struct node_reply r = ask(c, "GET /conversations/c", ADMIN);
    node_client_expect(r, 200, "message_id");
    char *text = malloc(r.body_len + 1);
    memcpy(text, r.body, r.body_len + 1);
    return text;
}

static void expect_gzip(struct node_reply r, const char *plain, size_t len)
{
    uint8_t *out = malloc(len);
    z_stream z = { .next_in = (uint8_t *)(uintptr_t)r.body,
                   .avail_in = (unsigned)r.body_len,
                   .next_out = out,
                   .avail_out = (unsigned)len };
    assert_int_equal(200, r.status);
    assert_non_null(strstr(r.head, "Content-Encoding: gzip\r\n"));
    assert_int_equal(Z_OK, inflateInit2(&z, 15 + 16));
    assert_int_equal(Z_STREAM_END, inflate(&z, Z_FINISH));
    assert_int_equal(len, z.total_out);
    assert_memory_equal(plain, out, len);
    inflateEnd(&z);
    free(out);
}

static void form_gzip_is_the_same_text(void **state)
{
    struct node_client *c = client(state);
    write_messages(c, 30);
    char *plain = plain_answer(c);
    struct node_reply r = ask(c, "GET /conversations/c", ADMIN "Accept-Encoding: gzip, br\r\n");
    expect_gzip(r, plain, strlen(plain));
    assert_non_null(strstr(r.head, "Vary: Accept, Accept-Encoding, Origin\r\n"));
    assert_true(r.body_len < strlen(plain) / 3);
    free(plain);
}

static void form_zstd_is_the_same_text_also_when_it_is_long(void **state)
{
    struct node_client *c = client(state);
    write_messages(c, 1000);
    char *plain = plain_answer(c);
    size_t len = strlen(plain);
    assert_true(len > PL_FRAME_BYTES_MAX);
    struct node_reply r = ask(c, "GET /conversations/c", ADMIN "Accept-Encoding: gzip, zstd\r\n");
    assert_non_null(strstr(r.head, "Content-Encoding: zstd\r\n"));
    /* Frame by frame; each says how long it is. */
    uint8_t *out = malloc(len);
    size_t done = 0;
    struct parley_span rest = pl_span_of((const uint8_t *)r.body, r.body_len);
    while (done < len) {
        size_t used = 1;
        size_t got = 0;
        while (used <= rest.len && pl_zip_unpack(c->node->zip, pl_span_of(rest.ptr, used),
                                                 out + done, len - done, &got) != PARLEY_OK)
            used++;
        assert_true(used <= rest.len);
        rest = pl_span_after(rest, used);
        done += got;
    }
    assert_int_equal(0, rest.len);
    assert_memory_equal(plain, out, len);
    free(out);
    free(plain);
}

static void form_leaves_as_it_is_what_need_not_or_may_not_be_packed(void **state)
{
    struct node_client *c = client(state);
    write_messages(c, 30);
    static const char *const fields[] = { ADMIN "Accept-Encoding: identity\r\n",
                                          ADMIN "Accept-Encoding: gzip;q=0, zstd; q=0.0\r\n",
                                          ADMIN "Accept-Encoding: *\r\n" };
    for (size_t i = 0; i < PL_ARRAY_LEN(fields); i++)
        assert_null(strstr(ask(c, "GET /conversations/c", fields[i]).head, "Content-Encoding"));
    assert_null(strstr(ask(c, "GET /health", "Accept-Encoding: gzip\r\n").head,
                       "Content-Encoding")); /* short */
    assert_null(strstr(ask(c, "HEAD /conversations/c", ADMIN "Accept-Encoding: gzip\r\n").head,
                       "Content-Encoding"));
}

static void form_packing_without_memory_answers_plainly(void **state)
{
    struct node_client *c = client(state);
    struct test_env *t = &c->env->t;
    static const char request[] = "GET /conversations/c HTTP/1.1\r\nHost: localhost\r\n" ADMIN
                                  "Accept: application/msgpack\r\nAccept-Encoding: gzip\r\n\r\n";
    write_messages(c, 30);
    for (int64_t n = 0; n < 40; n++) {
        node_client_connect(c);
        t->fail_after = n;
        node_client_send(c, request, strlen(request));
        t->fail_after = -1;
        node_client_settle(c);
    }
    node_client_connect(c);
    c->node->buffered_bytes += PL_NODE_BUFFER_BYTES_MAX - 20000;
    struct node_reply r = ask(c, "GET /conversations/c", ADMIN "Accept-Encoding: gzip\r\n");
    c->node->buffered_bytes -= PL_NODE_BUFFER_BYTES_MAX - 20000;
    assert_true(r.status == 200 || r.status == 503);
}

static void form_the_page_is_kept_packed_and_unpacked_for_who_asks_for_that(void **state)
{
    struct node_client *c = client(state);
    static char text[65536];
    FILE *file = fopen(TEST_SOURCE_DIR "/../net/node/ui/app.js", "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    struct node_reply r = ask(c, "GET /ui/app.js", "Accept-Encoding: gzip\r\n");
    expect_gzip(r, text, len);
    assert_non_null(strstr(r.head, "-gzip\"\r\n"));
    static const char *const others[] = { "", "Accept-Encoding: identity\r\n",
                                          "Accept-Encoding: zstd, gzip;q=0\r\n" };
    for (size_t i = 0; i < PL_ARRAY_LEN(others); i++) {
        r = ask(c, "GET /ui/app.js", others[i]);
        assert_int_equal(200, r.status);
        assert_null(strstr(r.head, "Content-Encoding"));
        assert_int_equal(len, r.body_len);
        assert_memory_equal(text, r.body, len);
    }
}

static void form_the_page_without_memory_is_refused_or_whole(void **state)
{
    struct node_client *c = client(state);
    struct test_env *t = &c->env->t;
    static const char request[] = "GET /ui/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t len = ask(c, "GET /ui/app.js", "").body_len;
    bool refused = false;
    for (int64_t n = 0; n < 40; n++) {
        node_client_connect(c);
        t->fail_after = n;
        node_client_send(c, request, strlen(request));
        t->fail_after = -1;
        node_client_settle(c);
        if (c->got_len == 0)
            continue;
        struct node_reply r = node_client_take(c, false);
        refused = refused || r.status == 503;
        assert_true(r.status == 503 || (r.status == 200 && r.body_len == len));
    }
    assert_true(refused);
}

/* ---- msgpack ---- */

static void form_msgpack_says_what_json_says(void **state)
{
    struct node_client *c = client(state);
    struct node_reply r = ask(c, "GET /health", "Accept: text/html, application/msgpack;q=0.5\r\n");
    assert_non_null(strstr(r.head, "Content-Type: application/msgpack\r\n"));
    struct pl_reader in = pl_reader_over(pl_span_of((const uint8_t *)r.body, r.body_len));
    char json[2048];
    struct pl_writer w = pl_writer_over(json, sizeof json - 1);
    assert_ok(pl_mp_check(pl_span_of((const uint8_t *)r.body, r.body_len)));
    assert_int_equal(PL_MP_MAP, pl_mp_peek(&in));
    assert_ok(pl_mp_to_json(&in, &w));
    json[w.len] = '\0';
    assert_non_null(strstr(json, "\"status\":\"ok\""));
    r = ask(c, "GET /nothing", "Accept: application/msgpack\r\n");
    assert_int_equal(404, r.status);
    assert_non_null(strstr(r.head, "Content-Type: application/msgpack\r\n"));
    assert_null(strstr(ask(c, "GET /health", "Accept: */*\r\n").head, "msgpack"));
}

/* ---- Origins ---- */

#define PAGE "Origin: https://app.example\r\n"

static const char *const origins[] = { "https://app.example" };

static void let_in(struct node_client *c)
{
    c->node->options.origins = origins;
    c->node->options.origin_count = 1;
}

static void cors_lets_in_the_pages_that_were_named(void **state)
{
    struct node_client *c = client(state);
    node_client_expect(ask(c, "GET /health", PAGE), 403, "foreign-origin");
    let_in(c);
    struct node_reply r = ask(c, "GET /health", PAGE);
    node_client_expect(r, 200, NULL);
    assert_non_null(strstr(r.head, "Access-Control-Allow-Origin: https://app.example\r\n"));
    assert_non_null(strstr(r.head, "Access-Control-Expose-Headers: ETag"));
    assert_null(strstr(r.head, "Allow-Credentials"));
    r = ask(c, "GET /conversations", PAGE); /* errors too, else the page cannot read them */
    node_client_expect(r, 401, "token-missing");
    assert_non_null(strstr(r.head, "Access-Control-Allow-Origin: https://app.example\r\n"));
    static const char *const others[] = { "Origin: https://app.example.evil\r\n",
                                          "Origin: https://app.exampl\r\n",
                                          "Origin: http://app.example\r\n", "Origin: null\r\n" };
    for (size_t i = 0; i < PL_ARRAY_LEN(others); i++)
        node_client_expect(ask(c, "GET /health", others[i]), 403, "foreign-origin");
    assert_null(strstr(ask(c, "GET /health", "").head, "Access-Control"));
}

static void cors_answers_before_a_page_asks(void **state)
{
    struct node_client *c = client(state);
    let_in(c);
    struct node_reply r = ask(c, "OPTIONS /sync",
                              PAGE "Access-Control-Request-Method: POST\r\n"
                                   "Access-Control-Request-Headers: authorization\r\n");
    node_client_expect(r, 204, NULL);
    assert_non_null(strstr(r.head, "Access-Control-Allow-Methods: POST, OPTIONS\r\n"));
    assert_non_null(strstr(r.head, "Access-Control-Allow-Headers: Authorization, "));
    assert_non_null(strstr(r.head, "Access-Control-Max-Age: "));
    r = ask(c, "OPTIONS /health", "");
    node_client_expect(r, 204, NULL);
    assert_non_null(strstr(r.head, "Allow: GET, HEAD, OPTIONS\r\n"));
    assert_null(strstr(r.head, "Access-Control"));
    node_client_expect(ask(c, "OPTIONS /nothing", ""), 404, "no-such-route");
}

/* ---- Rates ---- */

static void rate_strangers_are_told_to_wait_and_the_operator_is_not(void **state)
{
    struct node_client *c = client(state);
    c->node->options.stranger_rate = 2;
    for (unsigned i = 0; i < 2 * PL_RATE_BURST_S; i++)
        node_client_expect(ask(c, "GET /health", ""), 200, NULL);
    struct node_reply r = ask(c, "GET /health", "");
    node_client_expect(r, 429, "too-many-requests");
    assert_non_null(strstr(r.head, "Retry-After: 1\r\n"));
    node_client_expect(ask(c, "GET /conversations", ADMIN), 200, NULL);
    node_client_expect(ask(c, "GET /health", ADMIN), 200, NULL);
    node_client_expect(ask(c, "GET /conversations", "Authorization: Bearer guess\r\n"), 429, NULL);
    node_client_expect(ask(c, "GET /health", "Authorization: Bearer guess\r\n"), 429, NULL);
    node_client_wait(c, PARLEY_NS_PER_S);
    node_client_expect(ask(c, "GET /health", ""), 200, NULL);
    node_client_expect(ask(c, "GET /health", "Authorization: Bearer guess\r\n"), 200, NULL);
}

static void rate_buckets_are_apart_and_full_ones_give_way(void **state)
{
    (void)state;
    static struct pl_rates rates;
    uint64_t wait = 0;
    uint8_t id[8] = { 0 };
    const parley_time now = 100 * PARLEY_NS_PER_S;
    struct pl_rate *drained = pl_rate_of(&rates, PL_RATE_PEER, id);
    for (unsigned i = 0; i < PL_RATE_BURST_S; i++)
        assert_true(pl_rate_take(drained, 1, now, &wait));
    assert_false(pl_rate_take(drained, 1, now, &wait));
    assert_int_equal(1, wait);
    assert_true(pl_rate_take(pl_rate_of(&rates, PL_RATE_ADDRESS, id), 1, now, &wait));
    for (unsigned i = 1; i < 4 * PL_RATES_MAX; i++) {
        pl_put_be(id, i, 8);
        assert_true(pl_rate_take(pl_rate_of(&rates, PL_RATE_ADDRESS, id), 1, now, &wait));
    }
    pl_put_be(id, 0, 8);
    assert_false(pl_rate_take(pl_rate_of(&rates, PL_RATE_PEER, id), 1, now, &wait));
    assert_true(pl_rate_take(drained, 1, now + PARLEY_NS_PER_S, &wait));
    assert_true(pl_rate_take(drained, 0, now, &wait));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(form_gzip_is_the_same_text),
        TEST(form_zstd_is_the_same_text_also_when_it_is_long),
        TEST(form_leaves_as_it_is_what_need_not_or_may_not_be_packed),
        TEST(form_packing_without_memory_answers_plainly),
        TEST(form_the_page_is_kept_packed_and_unpacked_for_who_asks_for_that),
        TEST(form_the_page_without_memory_is_refused_or_whole),
        TEST(form_msgpack_says_what_json_says),
        TEST(cors_lets_in_the_pages_that_were_named),
        TEST(cors_answers_before_a_page_asks),
        TEST(rate_strangers_are_told_to_wait_and_the_operator_is_not),
        TEST(rate_buckets_are_apart_and_full_ones_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
