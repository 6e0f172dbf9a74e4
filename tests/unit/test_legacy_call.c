/* SPDX-License-Identifier: Apache-2.0
 *
 * One call to an old backend: what is sent, what counts as an answer, and when it is given up.
 */
#include "lib/testlib.h"

#include "node/legacy_call.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct test_env env;
    size_t account;
    struct pl_legacy_call call;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    test_env_init(&f->env);
    pl_legacy_call_init(&f->call, &f->env.env, &f->account);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pl_legacy_call_deinit(&f->call);
    assert_int_equal(0, f->account);
    assert_int_equal(0, f->env.allocs);
    free(f);
    return 0;
}

static struct pl_legacy_call *begin(void **state, const char *body)
{
    struct fixture *f = *state;
    if (body != NULL)
        pl_out_text(&f->call.body, body);
    pl_legacy_call_head(&f->call, body != NULL, "/sync", "127.0.0.1:8000");
    pl_legacy_call_connected(&f->call, 1000);
    return &f->call;
}

/* Takes what is sent, at most `step` bytes at once. */
static size_t take_sent(struct pl_legacy_call *call, size_t step, char *out, size_t cap)
{
    size_t done = 0;
    for (size_t len = 0;;) {
        const uint8_t *at = pl_legacy_call_send_buf(call, &len);
        if (at == NULL)
            break;
        len = pl_min_size(len, step);
        assert_true(done + len < cap);
        memcpy(out + done, at, len);
        done += len;
        pl_legacy_call_send_ack(call, len, 2000);
    }
    out[done] = '\0';
    return done;
}

static void send_all(struct pl_legacy_call *call)
{
    char out[4096];
    take_sent(call, SIZE_MAX, out, sizeof out);
}

static void answer(struct pl_legacy_call *call, const char *text, size_t step)
{
    struct parley_span rest = pl_span_text(text);
    while (rest.len != 0) {
        size_t room = 0;
        uint8_t *to = pl_legacy_call_recv_buf(call, &room);
        if (to == NULL)
            return;
        size_t len = pl_min_size(pl_min_size(room, step), rest.len);
        memcpy(to, rest.ptr, len);
        pl_legacy_call_recv_ack(call, len);
        rest = pl_span_after(rest, len);
    }
}

static void expect_content(const struct pl_legacy_call *call, unsigned status, const char *content)
{
    assert_int_equal(PL_LEGACY_CALL_DONE, call->state);
    assert_int_equal(status, call->answer.status);
    assert_span_text(pl_out_span(&call->content), content);
}

/* ---- Sending ---- */

static void legacy_call_sends_head_and_body_in_any_pieces(void **state)
{
    static const char want[] = "POST /sync HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: "
                               "parley\r\nAccept: application/json\r\nContent-Type: "
                               "application/json\r\nContent-Length: 7\r\nConnection: "
                               "close\r\n\r\n{\"a\":1}";
    char out[1024];
    struct pl_legacy_call *call = begin(state, "{\"a\":1}");
    assert_int_equal(sizeof want - 1, take_sent(call, 3, out, sizeof out));
    assert_string_equal(want, out);
    assert_int_equal(PL_LEGACY_CALL_HEAD, call->state);
}

static void legacy_call_gets_without_a_body(void **state)
{
    char out[1024];
    take_sent(begin(state, NULL), SIZE_MAX, out, sizeof out);
    assert_int_equal(0, strncmp(out, "GET /sync HTTP/1.1\r\n", 20));
    assert_null(strstr(out, "Content-"));
}

/* ---- Answers ---- */

static void legacy_call_takes_an_answer_with_a_length(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    answer(call, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcdignored", 3);
    expect_content(call, 200, "abcd");
    assert_true(pl_legacy_call_is_finished(call));
    assert_int_equal(PARLEY_TIME_NEVER, call->deadline);
}

static void legacy_call_takes_chunks_cut_anywhere(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                               "1;x=y\r\nd\r\n0\r\nA: b\r\n\r\n";
    struct fixture *f = *state;
    for (size_t step = 1; step < sizeof text; step++) {
        pl_legacy_call_deinit(&f->call);
        pl_legacy_call_init(&f->call, &f->env.env, &f->account);
        struct pl_legacy_call *call = begin(state, "{}");
        send_all(call);
        answer(call, text, step);
        expect_content(call, 200, "abcd");
    }
}

static void legacy_call_takes_an_answer_that_ends_with_the_connection(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    answer(call, "HTTP/1.0 200 OK\r\n\r\nab", 1);
    assert_int_equal(PL_LEGACY_CALL_BODY, call->state);
    pl_legacy_call_recv_end(call);
    expect_content(call, 200, "ab");
}

static void legacy_call_passes_over_interim_answers_but_not_for_ever(void **state)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    for (int i = 0; i < PL_LEGACY_INTERIM_MAX; i++)
        answer(call, interim, 5);
    assert_int_equal(PL_LEGACY_CALL_HEAD, call->state);
    answer(call, interim, 5);
    assert_int_equal(PL_LEGACY_CALL_FAILED, call->state);
}

static void legacy_call_takes_an_answer_before_all_is_sent(void **state)
{
    struct pl_legacy_call *call = begin(state, "{\"a\":1}");
    pl_legacy_call_send_ack(call, 10, 2000);
    answer(call, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", 100);
    expect_content(call, 413, "");
    size_t len = 1;
    assert_null(pl_legacy_call_send_buf(call, &len));
    assert_int_equal(0, len);
}

/* ---- Faults ---- */

static void expect_failure(struct pl_legacy_call *call, const char *why)
{
    assert_int_equal(PL_LEGACY_CALL_FAILED, call->state);
    assert_non_null(strstr(call->why, why));
    size_t room = 1;
    assert_null(pl_legacy_call_recv_buf(call, &room));
    assert_int_equal(0, room);
}

static void legacy_call_takes_nothing_that_is_cut_off(void **state)
{
    static const char *const texts[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < PL_ARRAY_LEN(texts); i++) {
        pl_legacy_call_deinit(&f->call);
        pl_legacy_call_init(&f->call, &f->env.env, &f->account);
        struct pl_legacy_call *call = begin(state, "{}");
        send_all(call);
        answer(call, texts[i], 7);
        assert_false(pl_legacy_call_is_finished(call));
        pl_legacy_call_recv_end(call);
        expect_failure(call, "ended before");
    }
}

static void legacy_call_refuses_what_is_not_http(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    answer(call, "this is not HTTP", 3);
    expect_failure(call, "not HTTP");
}

static void legacy_call_refuses_bad_chunks(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    answer(call, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 100);
    expect_failure(call, "chunks");
}

/* Announced, in chunks, and until the end. */
static void legacy_call_keeps_no_long_answer(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < PL_ARRAY_LEN(heads); i++) {
        pl_legacy_call_deinit(&f->call);
        pl_legacy_call_init(&f->call, &f->env.env, &f->account);
        struct pl_legacy_call *call = begin(state, "{}");
        send_all(call);
        answer(call, heads[i], 100);
        for (int k = 0; k < 5000 && !pl_legacy_call_is_finished(call); k++)
            answer(call, "twenty characters...", 100);
        expect_failure(call, "longer than 64 KiB");
        assert_true(call->content.len <= PL_LEGACY_ANSWER_BYTES_MAX);
    }
}

/* ---- Time ---- */

static void legacy_call_gives_up_what_is_not_answered_in_time(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    assert_int_equal(2000 + PL_LEGACY_CALL_NS, call->deadline);
    pl_legacy_call_tick(call, call->deadline - 1);
    assert_int_equal(PL_LEGACY_CALL_HEAD, call->state);
    /* Dripping moves the deadline no further. */
    answer(call, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 1);
    pl_legacy_call_tick(call, 2000 + PL_LEGACY_CALL_NS);
    expect_failure(call, "30 seconds");
}

static void legacy_call_gives_up_what_is_not_taken_in_time(void **state)
{
    struct pl_legacy_call *call = begin(state, "{}");
    pl_legacy_call_send_ack(call, 1, 5000);
    assert_int_equal(1000 + PL_LEGACY_CALL_NS, call->deadline);
    pl_legacy_call_tick(call, call->deadline);
    expect_failure(call, "not taken in time");
}

static void legacy_call_gives_long_bodies_longer(void **state)
{
    char *body = calloc(1, 4 * PL_LEGACY_CALL_BYTES_S + 1);
    memset(body, ' ', 4 * PL_LEGACY_CALL_BYTES_S);
    struct pl_legacy_call *call = begin(state, body);
    assert_int_equal(1000 + PL_LEGACY_CALL_NS + 4 * PARLEY_NS_PER_S, call->deadline);
    free(body);
}

static void legacy_call_fails_without_memory_for_the_answer(void **state)
{
    struct fixture *f = *state;
    struct pl_legacy_call *call = begin(state, "{}");
    send_all(call);
    f->env.fail_after = 0;
    answer(call, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 100);
    f->env.fail_after = -1;
    expect_failure(call, "no memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(legacy_call_sends_head_and_body_in_any_pieces),
        TEST(legacy_call_gets_without_a_body),
        TEST(legacy_call_takes_an_answer_with_a_length),
        TEST(legacy_call_takes_chunks_cut_anywhere),
        TEST(legacy_call_takes_an_answer_that_ends_with_the_connection),
        TEST(legacy_call_passes_over_interim_answers_but_not_for_ever),
        TEST(legacy_call_takes_an_answer_before_all_is_sent),
        TEST(legacy_call_takes_nothing_that_is_cut_off),
        TEST(legacy_call_refuses_what_is_not_http),
        TEST(legacy_call_refuses_bad_chunks),
        TEST(legacy_call_keeps_no_long_answer),
        TEST(legacy_call_gives_up_what_is_not_answered_in_time),
        TEST(legacy_call_gives_up_what_is_not_taken_in_time),
        TEST(legacy_call_gives_long_bodies_longer),
        TEST(legacy_call_fails_without_memory_for_the_answer),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
