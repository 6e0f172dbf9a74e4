/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the driver and libuv: calls that fail when a test says so, a clock that is ahead, name
 * look-ups that end when the test ends them, connections that nobody answers. The linker puts the
 * functions here in front of libuv's (--wrap), for this program alone.
 */
#ifndef UV_SHIM_H
#define UV_SHIM_H

#include "host.h"

#include "uv/uv_int.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>

enum shim_call {
    SHIM_TCP_INIT,
    SHIM_BIND,
    SHIM_LISTEN,
    SHIM_ACCEPT,
    SHIM_CONNECT,
    SHIM_READ_START,
    SHIM_TRY_WRITE,
    SHIM_WRITE,
    SHIM_WRITTEN, /* the write begins, and its callback hears of a failure */
    SHIM_SHUTDOWN,
    SHIM_SHUT, /* likewise */
    SHIM_NODELAY,
    SHIM_GETADDRINFO,
    SHIM_QUEUE_WORK,
    SHIM_WORKED, /* likewise */
    SHIM_MUTEX_INIT,
    SHIM_COND_INIT,
    SHIM_ASYNC_INIT,
    SHIM_THREAD_CREATE,
    SHIM_APPLY,
    SHIM_RECOVER,
    SHIM_MAINTAIN,
    SHIM_CALLS
};

#define SHIM_LOOKUPS_MAX 32
#define SHIM_NAMES_MAX   12

/* A look-up that the test ends, with `names` numeric addresses, all of one port. */
struct shim_lookup {
    uv_getaddrinfo_t *request;
    uv_getaddrinfo_cb done;
    uint16_t port;
};

struct shim {
    parley_time ahead; /* ns that the driver's clock is ahead */
    struct {
        int rc;
        atomic_uint after; /* so many go well first */
        atomic_uint times; /* so many fail then */
        atomic_uint hits;  /* have failed */
    } fault[SHIM_CALLS];
    unsigned swallow; /* so many connections to come are never answered */
    uv_connection_cb on_connection;
    uv_stream_t *listener; /* the last that listens */
    bool hold_lookups;
    size_t lookup_count;
    struct shim_lookup lookups[SHIM_LOOKUPS_MAX];
    /* Of sockets of which the kernel is not asked. */
    const struct sockaddr *here;
    const struct sockaddr *there;
    bool nameless; /* they have no names at all */
};

static struct shim shim;

static inline void shim_reset(void)
{
    for (size_t i = 0; i < SHIM_CALLS; i++)
        shim.fault[i].times = 0;
    shim.ahead = 0;
    shim.swallow = 0;
    shim.hold_lookups = false;
    shim.lookup_count = 0;
    shim.here = NULL;
    shim.there = NULL;
    shim.nameless = false;
}

static inline void shim_fail(enum shim_call call, int rc, unsigned times)
{
    shim.fault[call].rc = rc;
    shim.fault[call].after = 0;
    shim.fault[call].hits = 0;
    shim.fault[call].times = times;
}

static inline bool shim_hits(enum shim_call call)
{
    if (shim.fault[call].times == 0)
        return false;
    if (shim.fault[call].after != 0) {
        shim.fault[call].after--;
        return false;
    }
    shim.fault[call].times--;
    shim.fault[call].hits++;
    return true;
}

/* A function of libuv that only may fail. */
#define SHIM_CALL(call, name, parameters, arguments)                                               \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return shim_hits(call) ? shim.fault[call].rc : __real_##name arguments;                    \
    }

SHIM_CALL(SHIM_TCP_INIT, uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *tcp), (loop, tcp))
SHIM_CALL(SHIM_BIND, uv_tcp_bind, (uv_tcp_t * tcp, const struct sockaddr *at, unsigned flags),
          (tcp, at, flags))
SHIM_CALL(SHIM_READ_START, uv_read_start, (uv_stream_t * s, uv_alloc_cb alloc, uv_read_cb read),
          (s, alloc, read))
SHIM_CALL(SHIM_TRY_WRITE, uv_try_write, (uv_stream_t * s, const uv_buf_t bufs[], unsigned count),
          (s, bufs, count))
SHIM_CALL(SHIM_NODELAY, uv_tcp_nodelay, (uv_tcp_t * tcp, int on), (tcp, on))
SHIM_CALL(SHIM_MUTEX_INIT, uv_mutex_init, (uv_mutex_t * mutex), (mutex))
SHIM_CALL(SHIM_COND_INIT, uv_cond_init, (uv_cond_t * cond), (cond))
SHIM_CALL(SHIM_ASYNC_INIT, uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb cb),
          (loop, async, cb))
SHIM_CALL(SHIM_THREAD_CREATE, uv_thread_create, (uv_thread_t * thread, uv_thread_cb run, void *arg),
          (thread, run, arg))

/* One that fails has taken its connection off the queue. */
int __real_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    int rc = __real_uv_accept(server, client);
    return shim_hits(SHIM_ACCEPT) ? shim.fault[SHIM_ACCEPT].rc : rc;
}

/* ---- What may fail later ---- */

static uv_write_cb shim_written;
static uv_shutdown_cb shim_shut;
static uv_after_work_cb shim_worked;

static inline void on_failed_write(uv_write_t *request, int status)
{
    (void)status;
    shim_written(request, shim.fault[SHIM_WRITTEN].rc);
}

int __real_uv_write(uv_write_t *request, uv_stream_t *s, const uv_buf_t bufs[], unsigned count,
                    uv_write_cb done);
int __wrap_uv_write(uv_write_t *request, uv_stream_t *s, const uv_buf_t bufs[], unsigned count,
                    uv_write_cb done);
int __wrap_uv_write(uv_write_t *request, uv_stream_t *s, const uv_buf_t bufs[], unsigned count,
                    uv_write_cb done)
{
    if (shim_hits(SHIM_WRITE))
        return shim.fault[SHIM_WRITE].rc;
    bool fails = shim_hits(SHIM_WRITTEN);
    shim_written = done;
    return __real_uv_write(request, s, bufs, count, fails ? on_failed_write : done);
}

static inline void on_failed_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    shim_shut(request, shim.fault[SHIM_SHUT].rc);
}

int __real_uv_shutdown(uv_shutdown_t *request, uv_stream_t *s, uv_shutdown_cb done);
int __wrap_uv_shutdown(uv_shutdown_t *request, uv_stream_t *s, uv_shutdown_cb done);
int __wrap_uv_shutdown(uv_shutdown_t *request, uv_stream_t *s, uv_shutdown_cb done)
{
    if (shim_hits(SHIM_SHUTDOWN))
        return shim.fault[SHIM_SHUTDOWN].rc;
    bool fails = shim_hits(SHIM_SHUT);
    shim_shut = done;
    return __real_uv_shutdown(request, s, fails ? on_failed_shutdown : done);
}

static inline void on_failed_work(uv_work_t *work, int status)
{
    (void)status;
    shim_worked(work, shim.fault[SHIM_WORKED].rc);
}

static inline void no_work(uv_work_t *work)
{
    (void)work;
}

int __real_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done)
{
    if (shim_hits(SHIM_QUEUE_WORK))
        return shim.fault[SHIM_QUEUE_WORK].rc;
    if (!shim_hits(SHIM_WORKED))
        return __real_uv_queue_work(loop, work, run, done);
    shim_worked = done;
    return __real_uv_queue_work(loop, work, no_work, on_failed_work);
}

/* ---- Time ---- */

struct parley_now __real_pl_uv_now(void);
struct parley_now __wrap_pl_uv_now(void);
struct parley_now __wrap_pl_uv_now(void)
{
    struct parley_now now = __real_pl_uv_now();
    now.mono += shim.ahead;
    now.wall += (parley_wall)(shim.ahead / (PARLEY_NS_PER_S / PARLEY_US_PER_S));
    return now;
}

/* The driver looks at its clock every few milliseconds, so that a jump of it is seen. */
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t wait, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t wait, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t wait, uint64_t repeat)
{
    return __real_uv_timer_start(timer, cb, wait < 3 ? wait : 3, repeat);
}

/* ---- Connecting ---- */

int __real_uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *to,
                          uv_connect_cb done);
int __wrap_uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *to,
                          uv_connect_cb done);
int __wrap_uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *to,
                          uv_connect_cb done)
{
    if (shim_hits(SHIM_CONNECT))
        return shim.fault[SHIM_CONNECT].rc;
    if (shim.swallow == 0)
        return __real_uv_tcp_connect(request, tcp, to, done);
    shim.swallow--;
    return 0;
}

int __real_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb cb);
int __wrap_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb cb);
int __wrap_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb cb)
{
    if (shim_hits(SHIM_LISTEN))
        return shim.fault[SHIM_LISTEN].rc;
    shim.listener = s;
    shim.on_connection = cb;
    return __real_uv_listen(s, backlog, cb);
}

static inline int name_from(const struct sockaddr *from, struct sockaddr *out, int *len)
{
    size_t size =
        from->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    assert_true(size <= (size_t)*len);
    memcpy(out, from, size);
    *len = (int)size;
    return 0;
}

int __real_uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *out, int *len);
int __wrap_uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *out, int *len);
int __wrap_uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *out, int *len)
{
    if (shim.nameless)
        return UV_ENOTCONN;
    return shim.here != NULL ? name_from(shim.here, out, len)
                             : __real_uv_tcp_getsockname(tcp, out, len);
}

int __real_uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *out, int *len);
int __wrap_uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *out, int *len);
int __wrap_uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *out, int *len)
{
    if (shim.there == NULL && shim.nameless)
        return UV_ENOTCONN;
    return shim.there != NULL ? name_from(shim.there, out, len)
                              : __real_uv_tcp_getpeername(tcp, out, len);
}

/* ---- Names ---- */

int __real_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *host, const char *port, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *host, const char *port, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                          const char *host, const char *port, const struct addrinfo *hints)
{
    if (shim_hits(SHIM_GETADDRINFO))
        return shim.fault[SHIM_GETADDRINFO].rc;
    if (done == NULL || !shim.hold_lookups)
        return __real_uv_getaddrinfo(loop, request, done, host, port, hints);
    assert_true(shim.lookup_count < SHIM_LOOKUPS_MAX);
    shim.lookups[shim.lookup_count++] = (struct shim_lookup){
        .request = request, .done = done, .port = (uint16_t)strtoul(port, NULL, 10)
    };
    return 0;
}

int __real_uv_cancel(uv_req_t *request);
int __wrap_uv_cancel(uv_req_t *request);
int __wrap_uv_cancel(uv_req_t *request)
{
    for (size_t i = 0; i < shim.lookup_count; i++) {
        if ((uv_req_t *)shim.lookups[i].request == request)
            return UV_EBUSY; /* it runs */
    }
    return __real_uv_cancel(request);
}

/* The list of a test is not from libc. */
static struct addrinfo shim_found[SHIM_NAMES_MAX];
static struct sockaddr_storage shim_addresses[SHIM_NAMES_MAX];

void __real_uv_freeaddrinfo(struct addrinfo *found);
void __wrap_uv_freeaddrinfo(struct addrinfo *found);
void __wrap_uv_freeaddrinfo(struct addrinfo *found)
{
    if (found != shim_found)
        __real_uv_freeaddrinfo(found);
}

/* Ends the oldest look-up: with an error, or with IPv4 addresses (NULL: none) at these ports, of
 * which 0 stands for the port that was asked for. */
static inline void shim_resolve(int status, const char *address, const uint16_t *ports,
                                size_t count)
{
    assert_true(shim.lookup_count != 0);
    assert_true(count <= SHIM_NAMES_MAX);
    struct shim_lookup lookup = shim.lookups[0];
    shim.lookup_count--;
    memmove(shim.lookups, shim.lookups + 1, shim.lookup_count * sizeof shim.lookups[0]);
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_in in;
        assert_int_equal(0, uv_ip4_addr(address, ports[i] != 0 ? ports[i] : lookup.port, &in));
        memcpy(&shim_addresses[i], &in, sizeof in);
        shim_found[i] = (struct addrinfo){ .ai_addr = (struct sockaddr *)&shim_addresses[i],
                                           .ai_addrlen = sizeof in,
                                           .ai_next = i + 1 < count ? &shim_found[i + 1] : NULL };
    }
    lookup.done(lookup.request, status, count != 0 ? shim_found : NULL);
}

/* ---- The store ---- */

parley_err __real_parley_db_apply(struct parley_db *db, struct parley_write *writes, size_t count,
                                  parley_wall now, bool *changed);
parley_err __wrap_parley_db_apply(struct parley_db *db, struct parley_write *writes, size_t count,
                                  parley_wall now, bool *changed);
parley_err __wrap_parley_db_apply(struct parley_db *db, struct parley_write *writes, size_t count,
                                  parley_wall now, bool *changed)
{
    return shim_hits(SHIM_APPLY) ? (parley_err)shim.fault[SHIM_APPLY].rc
                                 : __real_parley_db_apply(db, writes, count, now, changed);
}

parley_err __real_parley_db_recover(struct parley_db *db);
parley_err __wrap_parley_db_recover(struct parley_db *db);
parley_err __wrap_parley_db_recover(struct parley_db *db)
{
    return shim_hits(SHIM_RECOVER) ? (parley_err)shim.fault[SHIM_RECOVER].rc
                                   : __real_parley_db_recover(db);
}

parley_err __real_parley_db_maintain(struct parley_db *db, parley_wall now, size_t *count);
parley_err __wrap_parley_db_maintain(struct parley_db *db, parley_wall now, size_t *count);
parley_err __wrap_parley_db_maintain(struct parley_db *db, parley_wall now, size_t *count)
{
    return shim_hits(SHIM_MAINTAIN) ? (parley_err)shim.fault[SHIM_MAINTAIN].rc
                                    : __real_parley_db_maintain(db, now, count);
}

#endif
