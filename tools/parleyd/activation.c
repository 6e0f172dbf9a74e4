/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/activation.h"

#include "lib/file.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3

/* A whole decimal number; false for anything else, also for one that does not fit. */
static bool parse_number(const char *text, unsigned long *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
        return false;
    *out = strtoul(text, NULL, 10);
    return true;
}

/* The bound address as text; false when the socket is not of IPv4 or IPv6. */
static bool print_address(int fd, char out[PL_UV_ADDRESS_BYTES])
{
    struct sockaddr_storage bound = { 0 };
    socklen_t len = sizeof bound;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        return false;
    if (bound.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&bound;
        if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof host) == NULL)
            return false;
        snprintf(out, PL_UV_ADDRESS_BYTES, "%s:%u", host, ntohs(in->sin_port));
        return true;
    }
    if (bound.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&bound;
        if (inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host) == NULL)
            return false;
        snprintf(out, PL_UV_ADDRESS_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
        return true;
    }
    return false;
}

static bool socket_option_is(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static parley_err take_one(int fd, char address[PL_UV_ADDRESS_BYTES], struct parley_diag *diag)
{
    bool good = socket_option_is(fd, SO_TYPE, SOCK_STREAM) &&
                socket_option_is(fd, SO_ACCEPTCONN, 1) && print_address(fd, address);
    if (!good)
        return tool_fail(diag, PARLEY_EINVAL,
                         "LISTEN_FDS: descriptor %d is not a TCP socket that listens; write "
                         "ListenStream=ADDR:PORT and Accept=no in the socket unit",
                         fd);
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0)
        return tool_fail(diag, PARLEY_EINVAL, "LISTEN_FDS: descriptor %d cannot be set up", fd);
    return PARLEY_OK;
}

parley_err activation_take(struct activation *out, struct parley_diag *diag)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    struct activation taken = { 0 };
    unsigned long pid = 0;
    unsigned long count = 0;
    *out = taken;
    if (pid_text == NULL || count_text == NULL)
        return PARLEY_OK;
    /* Meant for another process: the one that started this one did not clear it. */
    if (parse_number(pid_text, &pid) && pid != (unsigned long)getpid())
        return PARLEY_OK;
    if (pid == 0)
        return tool_fail(diag, PARLEY_EINVAL, "LISTEN_PID \"%.60s\": is not a process id",
                         pid_text);
    if (!parse_number(count_text, &count) || count > PL_UV_LISTENS_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "LISTEN_FDS \"%.60s\": use 0 to %d sockets",
                         count_text, PL_UV_LISTENS_MAX);
    for (; taken.count < count; taken.count++) {
        int fd = FIRST_FD + (int)taken.count;
        taken.fds[taken.count] = fd;
        PL_TRY(take_one(fd, taken.addresses[taken.count], diag));
    }
    *out = taken;
    return PARLEY_OK;
}
