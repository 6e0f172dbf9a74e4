/* SPDX-License-Identifier: Apache-2.0
 *
 * How bytes reach the node: through a socket to the daemon, or straight into a node in this process
 * when there is no daemon. Both look the same: bytes out, bytes in.
 */
#ifndef PARLEY_WIRE_H
#define PARLEY_WIRE_H

#include "parley/text.h"
#include <parley/env.h>

struct wire;

struct wire_ops {
    /* Sends what it can of `out` (*sent bytes), appends what arrives to `in`, and waits until at
     * least one of the two happened. Never waits to send without receiving, so that requests can be
     * pipelined. Errors: ECLOSING (the other side is gone), ETIMEOUT, EIO. */
    parley_err (*move)(struct wire *wire, struct parley_span out, size_t *sent, struct buf *in);
    void (*close)(struct wire *wire);
};

struct wire {
    const struct wire_ops *ops;
    char token[65]; /* the operator's, as 64 hex digits */
    char host[80];  /* for the Host field */
    bool is_local;  /* no daemon: the node is in this process */
};

/* Connects to HOST:PORT or [HOST]:PORT; unspecified hosts mean this machine.
 * Errors: EINVAL, EIO (refused), ETIMEOUT, ENOMEM; `diag` says. */
PL_MUST_USE parley_err wire_tcp_open(const char *address, struct wire **out,
                                     struct parley_diag *diag);

/* Where the secret that seals the identity is; each may be NULL. */
struct wire_secrets {
    const char *seal_key_file;
    const char *passphrase_file;
};

/* Opens the store of the directory and a node on it.
 * Errors: ELOCKED (a daemon or another command has it), ENOENT (no store there), those of
 *         parley_db_open, tool_identity_load and pl_node_open; `diag` says. */
PL_MUST_USE parley_err wire_local_open(const char *data_dir, const struct wire_secrets *secrets,
                                       struct wire **out, struct parley_diag *diag);

#endif
