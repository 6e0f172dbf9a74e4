/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver over a libuv that fails, dawdles and lies: what the node is told, that places are
 * given back, and that the next one is served.
 */
#define _GNU_SOURCE 1
#include "uv_pair.h"

#include "node/node_int.h"
#include "uv/uv_time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Listening ---- */

static void an_address_that_cannot_be_listened_on_says_why(void **state)
{
    (void)state;
    static const struct {
        enum shim_call call;
        int rc;
        parley_err err;
    } rows[] = {
        { SHIM_GETADDRINFO, UV_EAI_NONAME, PARLEY_EIO },
        { SHIM_TCP_INIT, UV_ENOMEM, PARLEY_EIO },
        { SHIM_BIND, UV_EACCES, PARLEY_EACCESS },
        { SHIM_BIND, UV_EPERM, PARLEY_EACCESS },
        { SHIM_BIND, UV_EADDRNOTAVAIL, PARLEY_EIO },
        { SHIM_LISTEN, UV_EADDRINUSE, PARLEY_EBUSY },
    };
    struct pair p;
    one_start(&p);
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        struct parley_diag diag = { "" };
        shim_fail(rows[i].call, rows[i].rc, 2);
        assert_err(rows[i].err, pl_uv_listen(p.a.uv, "127.0.0.1:0", &diag));
        assert_non_null(strstr(diag.text, "127.0.0.1:0"));
        assert_non_null(strstr(diag.text, uv_strerror(rows[i].rc)));
        assert_err(rows[i].err, pl_uv_listen(p.a.uv, "127.0.0.1:0", NULL));
    }
    struct parley_diag diag = { "" };
    assert_err(PARLEY_EINVAL, pl_uv_listen(p.a.uv, "nowhere", &diag));
    assert_non_null(strstr(diag.text, "nowhere"));
    assert_err(PARLEY_EINVAL, pl_uv_listen(p.a.uv, "nowhere", NULL));
    one_stop(&p);
}

static void no_more_addresses_are_listened_on_than_there_are_places(void **state)
{
    (void)state;
    struct parley_diag diag = { "" };
    struct pair p;
    one_start(&p);
    while (pl_uv_listen_count(p.a.uv) < PL_UV_LISTENS_MAX)
        assert_ok(pl_uv_listen(p.a.uv, "127.0.0.1:0", NULL));
    assert_err(PARLEY_EFULL, pl_uv_listen(p.a.uv, "127.0.0.1:0", &diag));
    assert_string_equal("more than 16 addresses to listen on", diag.text);
    assert_err(PARLEY_EFULL, pl_uv_listen_take(p.a.uv, 0, "a socket", NULL));
    assert_int_equal(PL_UV_LISTENS_MAX, pl_uv_listen_count(p.a.uv));
    one_stop(&p);
}

static void a_socket_that_is_none_is_not_taken(void **state)
{
    (void)state;
    struct parley_diag diag = { "" };
    struct pair p;
    int fds[2];
    one_start(&p);
    assert_int_equal(0, pipe(fds));
    shim_fail(SHIM_TCP_INIT, UV_ENOMEM, 1);
    assert_err(PARLEY_EIO, pl_uv_listen_take(p.a.uv, fds[0], "the third", &diag));
    assert_non_null(strstr(diag.text, "the third"));
    assert_err(PARLEY_EIO, pl_uv_listen_take(p.a.uv, -1, "the third", NULL));
    assert_int_equal(0, close(fds[0]));
    assert_int_equal(0, close(fds[1]));
    one_stop(&p);
}

static void a_bound_address_is_printed_as_it_is_dialed(void **state)
{
    (void)state;
    struct sockaddr_in6 six;
    struct pair p;
    one_start(&p);
    assert_int_equal(0, uv_ip6_addr("fe80::1", 8825, &six));
    shim.here = (const struct sockaddr *)&six;
    assert_ok(pl_uv_listen(p.a.uv, "127.0.0.1:0", NULL));
    assert_string_equal("[fe80::1]:8825", pl_uv_listen_address(p.a.uv, 1));
    shim.nameless = true;
    assert_ok(pl_uv_listen(p.a.uv, "127.0.0.1:0", NULL));
    assert_string_equal("?:0", pl_uv_listen_address(p.a.uv, 2));
    shim_reset();
    one_stop(&p);
}

/* ---- Who is local ---- */

struct ends {
    const char *here;
    const char *there;
    bool local;
    uint8_t net[8];
};

static void put_address(const char *text, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (uv_ip4_addr(text, 1, (struct sockaddr_in *)out) != 0)
        assert_int_equal(0, uv_ip6_addr(text, 1, (struct sockaddr_in6 *)out));
}

static void a_machine_knows_itself_and_what_stands_for_another(void **state)
{
    (void)state;
    static const struct ends rows[] = {
        { "10.0.0.1", "127.0.0.2", true, { 0, 0, 0xff, 0xff, 127, 0, 0, 2 } },
        { "10.0.0.1", "10.0.0.1", true, { 0, 0, 0xff, 0xff, 10, 0, 0, 1 } },
        { "10.0.0.1", "10.0.0.2", false, { 0, 0, 0xff, 0xff, 10, 0, 0, 2 } },
        { "2001:db8::1", "::1", true, { 0 } },
        { "2001:db8::1", "2001:db8::1", true, { 0x20, 1, 0xd, 0xb8 } },
        { "2001:db8::1", "2001:db8:0:1::1", false, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1 } },
        { "2001:db8::1", "10.0.0.1", false, { 0, 0, 0xff, 0xff, 10, 0, 0, 1 } },
        { "::ffff:10.0.0.1", "::ffff:127.0.0.1", true, { 0, 0, 0xff, 0xff, 127, 0, 0, 1 } },
        { "::ffff:10.0.0.1", "::ffff:10.0.0.3", false, { 0, 0, 0xff, 0xff, 10, 0, 0, 3 } },
    };
    uv_tcp_t tcp;
    memset(&tcp, 0, sizeof tcp);
    shim_reset();
    for (size_t i = 0; i < PL_ARRAY_LEN(rows); i++) {
        struct sockaddr_storage here, there;
        uint8_t net[8];
        put_address(rows[i].here, &here);
        put_address(rows[i].there, &there);
        shim.here = (const struct sockaddr *)&here;
        shim.there = (const struct sockaddr *)&there;
        assert_int_equal(rows[i].local, pl_uv_conn_is_local(&tcp));
        pl_uv_conn_net(&tcp, net);
        assert_memory_equal(rows[i].net, net, sizeof net);
    }
}

/* Rights of this machine are for who is known to be on it. */
static void who_has_no_address_is_not_local(void **state)
{
    (void)state;
    static const uint8_t none[8] = { 0 };
    struct sockaddr_storage there;
    uint8_t net[8];
    uv_tcp_t tcp;
    memset(&tcp, 0, sizeof tcp);
    shim_reset();
    put_address("127.0.0.1", &there);
    shim.nameless = true;
    assert_false(pl_uv_conn_is_local(&tcp));
    pl_uv_conn_net(&tcp, net);
    assert_memory_equal(none, net, sizeof net);
    shim.there = (const struct sockaddr *)&there;
    assert_false(pl_uv_conn_is_local(&tcp));

    struct sockaddr_storage other = { .ss_family = AF_INET6 };
    struct sockaddr odd = { .sa_family = AF_UNIX };
    struct sockaddr_storage big = { 0 };
    memcpy(&big, &odd, sizeof odd);
    shim_reset();
    shim.here = (const struct sockaddr *)&big;
    shim.there = (const struct sockaddr *)&big;
    assert_false(pl_uv_conn_is_local(&tcp));
    pl_uv_conn_net(&tcp, net);
    assert_memory_equal(none, net, sizeof net);
    shim.there = (const struct sockaddr *)&other;
    assert_false(pl_uv_conn_is_local(&tcp));
}

/* ---- One client ---- */

struct client {
    struct pair *p;
    int fd;
    char reply[8192];
    size_t got;
    bool ended;
    int error;
};

static bool client_has_ended(void *arg)
{
    struct client *c = arg;
    ssize_t got = recv(c->fd, c->reply + c->got, sizeof c->reply - 1 - c->got, MSG_DONTWAIT);
    if (got > 0)
        c->got += (size_t)got;
    if (got < 0 && errno != EAGAIN)
        c->error = errno;
    c->reply[c->got] = '\0';
    c->ended = got == 0 || c->error != 0;
    return c->ended;
}

static bool client_has_answer(void *arg)
{
    struct client *c = arg;
    return client_has_ended(c) || strstr(c->reply, "\r\n\r\n") != NULL;
}

/* Connects, and asks for the health of the node if `connection` (its header) is not NULL. */
static void client_begin(struct client *c, struct pair *p, const char *connection)
{
    char request[160];
    *c = (struct client){ .p = p, .fd = host_connect(&p->a) };
    if (connection == NULL)
        return;
    int len = snprintf(request, sizeof request,
                       "GET /health HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: %s\r\n\r\n",
                       host_port(&p->a), connection);
    assert_int_equal(len, send(c->fd, request, (size_t)len, MSG_NOSIGNAL));
}

static void client_end(struct client *c)
{
    assert_int_equal(0, close(c->fd));
}

static bool nobody_is_there(void *arg)
{
    const struct pair *p = arg;
    return p->a.uv->used == 0;
}

/* No place is taken and a client is served: nothing stayed of what went before. */
static void assert_serves(struct pair *p)
{
    struct client c;
    assert_true(host_run(&p->l, nobody_is_there, p));
    assert_int_equal(0, p->a.uv->rejects);
    assert_int_equal(0, p->a.uv->timed);
    client_begin(&c, p, "close");
    assert_true(host_run(&p->l, client_has_ended, &c));
    assert_int_equal(0, c.error);
    assert_non_null(strstr(c.reply, "HTTP/1.1 200"));
    client_end(&c);
    assert_true(host_run(&p->l, nobody_is_there, p));
}

static void a_connection_that_is_gone_before_it_is_accepted_leaves_nothing(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    shim_fail(SHIM_ACCEPT, UV_ECONNABORTED, 1);
    client_begin(&c, &p, "close");
    assert_true(host_run(&p.l, client_has_ended, &c));
    assert_int_equal(1, shim.fault[SHIM_ACCEPT].hits);
    assert_int_equal(0, c.got);
    client_end(&c);
    assert_serves(&p);
    one_stop(&p);
}

static void an_accept_without_a_descriptor_is_noted_with_its_address(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    shim.on_connection(shim.listener, UV_EMFILE);
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_ACCEPT_FAILED]);
    assert_string_equal(uv_strerror(UV_EMFILE), p.a.why);
    assert_string_equal(pl_uv_listen_address(p.a.uv, 0), p.a.about);
    assert_serves(&p);
    /* Who does not want notes does not get them. */
    p.a.uv->options.note = NULL;
    shim.on_connection(shim.listener, UV_EMFILE);
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_ACCEPT_FAILED]);
    one_stop(&p);
}

static void a_socket_that_cannot_be_read_is_closed(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    shim_fail(SHIM_READ_START, UV_EBADF, 1);
    client_begin(&c, &p, NULL);
    assert_true(host_run(&p.l, client_has_ended, &c));
    assert_int_equal(0, c.got);
    client_end(&c);
    assert_serves(&p);
    one_stop(&p);
}

static void a_client_that_resets_gives_its_place_back(void **state)
{
    (void)state;
    static const struct linger at_once = { .l_onoff = 1 };
    struct pair p;
    struct client c;
    one_start(&p);
    client_begin(&c, &p, "keep-alive");
    assert_true(host_run(&p.l, client_has_answer, &c));
    assert_int_equal(1, p.a.uv->used);
    assert_int_equal(0, setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    client_end(&c);
    assert_serves(&p);
    one_stop(&p);
}

static void an_answer_is_whole_when_the_kernel_has_no_room_for_it(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    shim_fail(SHIM_TRY_WRITE, UV_EAGAIN, 1);
    assert_serves(&p);
    assert_int_equal(1, shim.fault[SHIM_TRY_WRITE].hits);
    shim_fail(SHIM_TRY_WRITE, 0, 1); /* not one byte */
    shim_fail(SHIM_NODELAY, UV_EINVAL, 1);
    assert_serves(&p);
    assert_int_equal(1, shim.fault[SHIM_TRY_WRITE].hits);
    assert_int_equal(1, shim.fault[SHIM_NODELAY].hits);
    one_stop(&p);
}

/* A write that fails, at once, as it is queued or in the end, ends its connection and no other. */
static void a_write_that_fails_ends_its_connection(void **state)
{
    (void)state;
    static const enum shim_call calls[] = { SHIM_TRY_WRITE, SHIM_WRITE, SHIM_WRITTEN };
    struct pair p;
    one_start(&p);
    for (size_t i = 0; i < PL_ARRAY_LEN(calls); i++) {
        struct client c;
        shim_fail(SHIM_TRY_WRITE, UV_EAGAIN, 1);
        shim_fail(calls[i], UV_EPIPE, 1);
        client_begin(&c, &p, "keep-alive");
        assert_true(host_run(&p.l, client_has_ended, &c));
        assert_int_equal(1, shim.fault[calls[i]].hits);
        client_end(&c);
        shim_fail(SHIM_TRY_WRITE, 0, 0);
        assert_serves(&p);
    }
    one_stop(&p);
}

/* ---- Lingering ---- */

/* What cannot linger is closed at once; the answer went before. */
static void an_answer_arrives_when_its_connection_cannot_linger(void **state)
{
    (void)state;
    static const enum shim_call calls[] = { SHIM_SHUTDOWN, SHIM_SHUT, SHIM_READ_START };
    struct pair p;
    one_start(&p);
    for (size_t i = 0; i < PL_ARRAY_LEN(calls); i++) {
        struct client c;
        shim_fail(calls[i], UV_ENOTCONN, 1);
        shim.fault[calls[i]].after = calls[i] == SHIM_READ_START;
        client_begin(&c, &p, "close");
        assert_true(host_run(&p.l, client_has_ended, &c));
        assert_int_equal(1, shim.fault[calls[i]].hits);
        assert_non_null(strstr(c.reply, "HTTP/1.1 200"));
        /* It does not wait for the client to close. */
        assert_true(host_run(&p.l, nobody_is_there, &p));
        client_end(&c);
        assert_serves(&p);
    }
    one_stop(&p);
}

static void a_client_that_does_not_close_is_waited_for_only_so_long(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    client_begin(&c, &p, "close");
    assert_true(host_run(&p.l, client_has_ended, &c));
    turn(&p, 3);
    assert_int_equal(1, p.a.uv->used);
    shim.ahead += PL_UV_LINGER_NS;
    assert_true(host_run(&p.l, nobody_is_there, &p));
    client_end(&c);
    one_stop(&p);
}

static bool flood_has_ended(void *arg)
{
    static const char junk[65536];
    struct client *c = arg;
    ssize_t put = send(c->fd, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN)
        c->error = errno;
    if (put > 0)
        c->got += (size_t)put;
    return c->error != 0;
}

static void a_client_that_never_stops_sending_is_listened_to_only_so_long(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    client_begin(&c, &p, "close");
    assert_true(host_run(&p.l, client_has_ended, &c));
    assert_int_equal(0, c.error);
    c.got = 0;
    assert_true(host_run(&p.l, flood_has_ended, &c));
    assert_true(c.got > PL_UV_LINGER_BYTES_MAX);
    assert_true(host_run(&p.l, nobody_is_there, &p));
    client_end(&c);
    one_stop(&p);
}

static size_t count_lingerers(const struct pl_uv *uv)
{
    size_t count = 0;
    for (size_t i = 0; i < PL_UV_SLOTS_MAX; i++)
        count += uv->slots[i].state == PL_UV_LINGERING;
    return count;
}

static void who_lingers_longest_makes_place_for_the_next(void **state)
{
    (void)state;
    struct client c[PL_UV_LINGERS_MAX + 1];
    struct pair p;
    one_start(&p);
    for (size_t i = 0; i < PL_ARRAY_LEN(c); i++) {
        client_begin(&c[i], &p, "close");
        assert_true(host_run(&p.l, client_has_ended, &c[i]));
        turn(&p, 3);
        assert_true(count_lingerers(p.a.uv) <= PL_UV_LINGERS_MAX);
    }
    assert_int_equal(PL_UV_LINGERS_MAX, count_lingerers(p.a.uv));
    /* The first one's socket is closed: what it says now is answered with a reset. */
    assert_int_equal(1, send(c[0].fd, "x", 1, MSG_NOSIGNAL));
    turn(&p, 3);
    assert_int_equal(-1, send(c[0].fd, "x", 1, MSG_NOSIGNAL));
    assert_int_equal(1, send(c[1].fd, "x", 1, MSG_NOSIGNAL));
    turn(&p, 3);
    assert_int_equal(1, send(c[1].fd, "x", 1, MSG_NOSIGNAL));
    for (size_t i = 0; i < PL_ARRAY_LEN(c); i++)
        client_end(&c[i]);
    assert_serves(&p);
    one_stop(&p);
}

/* ---- Stopping ---- */

static bool is_stopped(void *arg)
{
    const struct pair *p = arg;
    return p->a.stopped;
}

/* A request that does not come whole would be waited for; five seconds are enough. */
static void begin_stubborn_request(struct pair *p, struct client *c)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Par";
    client_begin(c, p, NULL);
    assert_int_equal(sizeof request - 1, send(c->fd, request, sizeof request - 1, MSG_NOSIGNAL));
    turn(p, 5);
    pl_uv_stop(p->a.uv);
}

static void a_stop_that_takes_too_long_is_forced_and_noted(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    begin_stubborn_request(&p, &c);
    turn(&p, 3);
    assert_false(p.a.stopped);
    shim.ahead += PL_UV_STOP_NS;
    assert_true(host_run(&p.l, is_stopped, &p));
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_STOP_FORCED]);
    pl_uv_stop(p.a.uv); /* once more is no harm */
    client_end(&c);
    one_stop(&p);
}

static void a_second_stop_does_not_wait(void **state)
{
    (void)state;
    struct pair p;
    struct client c;
    one_start(&p);
    begin_stubborn_request(&p, &c);
    turn(&p, 3);
    assert_false(p.a.stopped);
    pl_uv_stop(p.a.uv);
    assert_true(host_run(&p.l, is_stopped, &p));
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_STOP_FORCED]);
    client_end(&c);
    one_stop(&p);
}

static void a_driver_that_was_not_started_is_not_stopped(void **state)
{
    (void)state;
    struct pair p;
    struct pl_uv *second;
    one_start(&p);
    struct pl_uv_options options = { .node = p.a.node, .db = p.a.db };
    assert_ok(pl_uv_open(&p.l.loop, &options, &second, NULL));
    pl_uv_stop(second);
    assert_false(second->stopping);
    pl_uv_wake(second);
    pl_uv_free(NULL);
    host_stop(&p.a, &p.l);
    /* It runs the loop until that has nothing left. */
    uv_close((uv_handle_t *)&p.l.ticker, NULL);
    pl_uv_free(second);
    assert_int_equal(0, uv_loop_close(&p.l.loop));
}

static void a_driver_that_cannot_be_opened_leaves_nothing(void **state)
{
    (void)state;
    static const enum shim_call calls[] = { SHIM_MUTEX_INIT, SHIM_COND_INIT, SHIM_ASYNC_INIT,
                                            SHIM_THREAD_CREATE };
    struct pair p;
    one_start(&p);
    for (size_t i = 0; i < PL_ARRAY_LEN(calls); i++) {
        struct pl_uv_options options = { .node = p.a.node, .db = p.a.db };
        struct parley_diag diag = { "" };
        struct pl_uv *uv = NULL;
        uv_loop_t loop;
        assert_int_equal(0, uv_loop_init(&loop));
        shim_fail(calls[i], UV_EAGAIN, 2);
        assert_err(PARLEY_ENOMEM, pl_uv_open(&loop, &options, &uv, &diag));
        assert_null(uv);
        assert_string_equal("no memory or no thread for the event loop", diag.text);
        assert_err(PARLEY_ENOMEM, pl_uv_open(&loop, &options, &uv, NULL));
        assert_int_equal(0, uv_run(&loop, UV_RUN_NOWAIT));
        assert_int_equal(0, uv_loop_close(&loop));
    }
    one_stop(&p);
}

/* ---- The store ---- */

static void write_title(struct host *h)
{
    static const uint8_t body[] = { 0xa2, 'h', 'i' };
    struct parley_version version = { .name_space = pl_span_text("main"),
                                      .conversation = pl_span_text("c1"),
                                      .id = pl_span_text("title"),
                                      .kind = PARLEY_KIND_HEADER,
                                      .body = pl_span_of(body, sizeof body) };
    version.origin = pl_span_text(pl_node_backend_id(h->node));
    assert_ok(pl_node_write(h->node, &version, pl_uv_now()));
    pl_uv_wake(h->uv);
}

static bool has_title(void *arg)
{
    struct pair *p = arg;
    struct parley_read *read;
    struct parley_conversation_info info;
    bool found = false;
    assert_ok(parley_read_begin(p->a.db, &read));
    assert_ok(
        parley_read_conversation(read, pl_span_text("main"), pl_span_text("c1"), &info, &found));
    parley_read_end(read);
    return found && info.headers != 0;
}

static bool commit_was_noted(void *arg)
{
    const struct pair *p = arg;
    return p->a.notes[PL_UV_NOTE_RECOVERED] + p->a.notes[PL_UV_NOTE_RECOVER_FAILED] != 0;
}

static void a_store_that_fails_once_is_opened_again_and_written(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    turn(&p, 20);
    shim_fail(SHIM_APPLY, PARLEY_EIO, 1);
    shim_fail(SHIM_RECOVER, PARLEY_EBUSY, 3); /* a reader was still there */
    write_title(&p.a);
    assert_true(host_run(&p.l, commit_was_noted, &p));
    assert_int_equal(3, shim.fault[SHIM_RECOVER].hits);
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_COMMIT_FAILED]);
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_RECOVERED]);
    assert_int_equal(0, p.a.notes[PL_UV_NOTE_RECOVER_FAILED]);
    write_title(&p.a);
    assert_true(host_run(&p.l, has_title, &p));
    one_stop(&p);
}

static void a_store_that_cannot_be_opened_again_is_noted(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    turn(&p, 20);
    shim_fail(SHIM_APPLY, PARLEY_EIO, 1);
    shim_fail(SHIM_RECOVER, PARLEY_EIO, 1);
    write_title(&p.a);
    assert_true(host_run(&p.l, commit_was_noted, &p));
    assert_int_equal(1, p.a.notes[PL_UV_NOTE_RECOVER_FAILED]);
    assert_int_equal(PARLEY_EIO, p.a.err);
    assert_int_equal(0, p.a.notes[PL_UV_NOTE_RECOVERED]);
    assert_int_not_equal(PARLEY_OK, p.a.node->store_health);
    one_stop(&p);
}

static bool maintenance_was_noted(void *arg)
{
    const struct pair *p = arg;
    return p->a.notes[PL_UV_NOTE_MAINTAIN_FAILED] != 0;
}

static bool maintenance_has_failed(void *arg)
{
    (void)arg;
    return shim.fault[SHIM_MAINTAIN].times == 0;
}

static void maintenance_that_fails_is_noted_and_goes_on(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    turn(&p, 20);
    /* EIO: the store is opened again, so nothing is wrong; busy is no news either. */
    shim_fail(SHIM_MAINTAIN, PARLEY_EIO, 1);
    shim.ahead += 3600 * PARLEY_NS_PER_S;
    assert_true(host_run(&p.l, maintenance_has_failed, &p));
    turn(&p, 10);
    assert_int_equal(0, p.a.notes[PL_UV_NOTE_MAINTAIN_FAILED]);
    shim_fail(SHIM_MAINTAIN, PARLEY_EBUSY, 1);
    shim.ahead += 3600 * PARLEY_NS_PER_S;
    assert_true(host_run(&p.l, maintenance_has_failed, &p));
    turn(&p, 10);
    assert_int_equal(0, p.a.notes[PL_UV_NOTE_MAINTAIN_FAILED]);
    shim_fail(SHIM_MAINTAIN, PARLEY_ECORRUPT, 1);
    shim.ahead += 3600 * PARLEY_NS_PER_S;
    assert_true(host_run(&p.l, maintenance_was_noted, &p));
    assert_int_equal(PARLEY_ECORRUPT, p.a.err);
    write_title(&p.a);
    assert_true(host_run(&p.l, has_title, &p));
    one_stop(&p);
}

/* ---- Keys ---- */

static bool rotation_has_ended(void *arg)
{
    const struct pair *p = arg;
    enum pl_rotate_phase phase = p->a.node->rotate.phase;
    return phase == PL_ROTATE_FAILED || phase == PL_ROTATE_DONE;
}

static parley_err make_no_key(void *ud, unsigned bits, struct pl_identity **out,
                              uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX], size_t *len)
{
    (void)ud;
    (void)bits;
    (void)out;
    (void)record;
    (void)len;
    return PARLEY_ENOMEM;
}

static void assert_no_new_key(struct pair *p, parley_err why)
{
    assert_ok(pl_node_rotate(p->a.node, 0, pl_uv_now()));
    pl_uv_wake(p->a.uv);
    assert_true(host_run(&p->l, rotation_has_ended, p));
    assert_int_equal(PL_ROTATE_FAILED, p->a.node->rotate.phase);
    assert_string_equal(parley_err_text(why), p->a.node->rotate.error);
    assert_false(p->a.uv->key.busy);
}

/* However making a key fails, the node keeps its key and may be told to try again. */
static void a_key_that_cannot_be_made_fails_the_rotation_only(void **state)
{
    (void)state;
    struct pair p;
    one_start(&p);
    assert_no_new_key(&p, PARLEY_ESTATE); /* the host makes none */
    p.a.uv->options.make_key = make_no_key;
    assert_no_new_key(&p, PARLEY_ENOMEM);
    shim_fail(SHIM_QUEUE_WORK, UV_ENOMEM, 1);
    assert_no_new_key(&p, PARLEY_ESTATE);
    shim_fail(SHIM_WORKED, UV_ECANCELED, 1);
    assert_no_new_key(&p, PARLEY_ECLOSING);
    assert_serves(&p);
    one_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_cannot_be_listened_on_says_why),
        cmocka_unit_test(no_more_addresses_are_listened_on_than_there_are_places),
        cmocka_unit_test(a_socket_that_is_none_is_not_taken),
        cmocka_unit_test(a_bound_address_is_printed_as_it_is_dialed),
        cmocka_unit_test(a_machine_knows_itself_and_what_stands_for_another),
        cmocka_unit_test(who_has_no_address_is_not_local),
        cmocka_unit_test(a_connection_that_is_gone_before_it_is_accepted_leaves_nothing),
        cmocka_unit_test(an_accept_without_a_descriptor_is_noted_with_its_address),
        cmocka_unit_test(a_socket_that_cannot_be_read_is_closed),
        cmocka_unit_test(a_client_that_resets_gives_its_place_back),
        cmocka_unit_test(an_answer_is_whole_when_the_kernel_has_no_room_for_it),
        cmocka_unit_test(a_write_that_fails_ends_its_connection),
        cmocka_unit_test(an_answer_arrives_when_its_connection_cannot_linger),
        cmocka_unit_test(a_client_that_does_not_close_is_waited_for_only_so_long),
        cmocka_unit_test(a_client_that_never_stops_sending_is_listened_to_only_so_long),
        cmocka_unit_test(who_lingers_longest_makes_place_for_the_next),
        cmocka_unit_test(a_stop_that_takes_too_long_is_forced_and_noted),
        cmocka_unit_test(a_second_stop_does_not_wait),
        cmocka_unit_test(a_driver_that_was_not_started_is_not_stopped),
        cmocka_unit_test(a_driver_that_cannot_be_opened_leaves_nothing),
        cmocka_unit_test(a_store_that_fails_once_is_opened_again_and_written),
        cmocka_unit_test(a_store_that_cannot_be_opened_again_is_noted),
        cmocka_unit_test(maintenance_that_fails_is_noted_and_goes_on),
        cmocka_unit_test(a_key_that_cannot_be_made_fails_the_rotation_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
