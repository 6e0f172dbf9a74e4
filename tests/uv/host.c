/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "host.h"

#include "lib/identity_store.h"
#include "uv/uv_time.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (20 * PARLEY_NS_PER_S)

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void host_loop_init(struct host_loop *l)
{
    assert_int_equal(0, uv_loop_init(&l->loop));
    assert_int_equal(0, uv_timer_init(&l->loop, &l->ticker));
    assert_int_equal(0, uv_timer_start(&l->ticker, on_tick, 2, 2));
}

void host_loop_close(struct host_loop *l)
{
    uv_close((uv_handle_t *)&l->ticker, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&l->loop));
}

bool host_run(struct host_loop *l, bool (*done)(void *arg), void *arg)
{
    uint64_t give_up = uv_hrtime() + PATIENCE_NS;
    while (!done(arg)) {
        if (uv_hrtime() > give_up)
            return false;
        uv_run(&l->loop, UV_RUN_ONCE);
    }
    return true;
}

static void on_note(void *ud, const struct pl_uv_note *note)
{
    struct host *h = ud;
    h->notes[note->kind]++;
    h->err = note->err;
    snprintf(h->why, sizeof h->why, "%s", note->text != NULL ? note->text : "");
    snprintf(h->about, sizeof h->about, "%s", note->address != NULL ? note->address : "");
}

static void on_stopped(void *ud)
{
    struct host *h = ud;
    h->stopped = true;
}

static void open_node(struct host *h, bool plain_peers, const char *advertise)
{
    struct tool_identity identity;
    struct tool_identity_options who = { .data_dir = h->dir };
    struct pl_node_options options = { .plain_peers = plain_peers,
                                       .advertise = advertise,
                                       .version = "test",
                                       .sync_interval = 20 * PARLEY_NS_PER_MS };
    assert_ok(tool_identity_load(&h->env, h->db, &who, pl_uv_wall_now(), &identity, NULL));
    assert_ok(pl_node_open(&h->env, &options, h->db, identity.key, pl_uv_now(), &h->node, NULL));
}

/* A port that was free a moment ago; invites name it before the node listens. */
static uint16_t free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&at, sizeof at));
    assert_int_equal(0, getsockname(fd, (struct sockaddr *)&at, &len));
    assert_int_equal(0, close(fd));
    return ntohs(at.sin_port);
}

void host_start(struct host *h, struct host_loop *l, bool plain_peers)
{
    *h = (struct host){ 0 };
    char address[PL_UV_ADDRESS_BYTES];
    bool renewed;
    parley_env_posix(&h->env);
    test_tmpdir(h->dir);
    snprintf(address, sizeof address, "127.0.0.1:%u", free_port());
    struct parley_db_options options = { .name = h->dir };
    assert_ok(parley_db_open(&h->env, &options, &h->db, &renewed, NULL));
    open_node(h, plain_peers, address);
    struct pl_uv_options driver = {
        .node = h->node, .db = h->db, .ud = h, .note = on_note, .stopped = on_stopped
    };
    assert_ok(pl_uv_open(&l->loop, &driver, &h->uv, NULL));
    assert_ok(pl_uv_listen(h->uv, address, NULL));
    pl_uv_start(h->uv);
}

static bool is_stopped(void *arg)
{
    const struct host *h = arg;
    return h->stopped;
}

void host_stop(struct host *h, struct host_loop *l)
{
    pl_uv_stop(h->uv);
    assert_true(host_run(l, is_stopped, h));
    /* The handles are given back in the next turns. */
    for (int i = 0; i < 3; i++)
        uv_run(&l->loop, UV_RUN_NOWAIT);
    pl_uv_free(h->uv);
    pl_node_free(h->node);
    parley_db_close(h->db);
    test_rmtree(h->dir);
}

uint16_t host_port(const struct host *h)
{
    const char *colon = strrchr(pl_uv_listen_address(h->uv, 0), ':');
    assert_non_null(colon);
    return (uint16_t)strtoul(colon + 1, NULL, 10);
}

int host_connect(const struct host *h)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(host_port(h)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}
