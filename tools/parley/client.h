/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests to the node of a data directory, over whichever wire there is. Requests may be
 * pipelined: client_send several, then client_receive the answers in order.
 */
#ifndef PARLEY_CLIENT_H
#define PARLEY_CLIENT_H

#include "parley/cli.h"
#include "parley/wire.h"

#define REPLY_NEXT_BYTES_MAX 1200 /* a place in a backup, as hex */

struct reply {
    unsigned status;
    struct buf body;
    char next[REPLY_NEXT_BYTES_MAX]; /* X-Parley-Next, as it came; "" when absent */
};

struct client {
    struct wire *wire;
    struct buf out;  /* not yet sent */
    size_t out_sent; /* of it */
    struct buf in;   /* not yet parsed */
    bool closes;     /* the last answer said so: the next request needs a new connection */
};

/* Finds the node of cli->data_dir, once a run; sets cli->client. */
PL_MUST_USE enum cli_exit client_open(struct cli *cli);
/* Whether a daemon seems to serve the directory. Unlike client_open it takes no lock and waits for
 * nothing. */
bool client_finds_daemon(const char *data_dir);
/* Only when a daemon has cli->data_dir, which is not waited for; the store is not touched. */
PL_MUST_USE enum cli_exit client_open_daemon(struct cli *cli);
/* NULL is allowed. */
void client_close(struct client *client);

/* Queues a request; bytes leave in client_receive. `type` is the content type of a body. */
void client_send(struct client *client, const char *method, const char *path, const char *type,
                 struct parley_span body);
/* Waits for the next answer; `reply` is emptied first and stays the caller's to free. */
PL_MUST_USE enum cli_exit client_receive(struct cli *cli, struct reply *reply);
void reply_free(struct reply *reply);

/* Notes what the node said as the failure of this run; for a status of 400 and above. */
enum cli_exit client_refusal(struct cli *cli, const struct reply *reply);
/* The content of a problem document; "" when it has none. Both are the caller's. */
void reply_problem(const struct reply *reply, struct buf *code, struct buf *detail);

#endif
