/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that the service manager has opened for us and hands over at the start, by the protocol
 * of systemd: LISTEN_FDS of them, from number 3 on, for the process LISTEN_PID.
 */
#ifndef PARLEYD_ACTIVATION_H
#define PARLEYD_ACTIVATION_H

#include "uv/uv_node.h"

struct activation {
    size_t count;
    int fds[PL_UV_LISTENS_MAX];
    char addresses[PL_UV_LISTENS_MAX][PL_UV_ADDRESS_BYTES]; /* ADDR:PORT of each */
};

/* What this process was handed; nothing when it was not. Each must be a TCP socket that listens,
 * and is closed in programs that this one would start. The environment stays as it is, so that a
 * second call finds the same.
 * Ownership: the sockets belong to the process; pl_uv_listen_take takes them.
 * Errors:    EINVAL (a number that is none, too many, a socket of another kind); `diag` says. */
PL_MUST_USE parley_err activation_take(struct activation *out, struct parley_diag *diag);

#endif
