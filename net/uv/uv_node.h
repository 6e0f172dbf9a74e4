/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives one node on one libuv loop: sockets, one timer, one writer thread. It decides nothing; it
 * carries out the node's effects and feeds it bytes, time and outcomes.
 *
 * Lifetime: pl_uv_open (loop, thread and watchers exist before the first accept) -> pl_uv_listen,
 *           as often as one likes -> pl_uv_start -> uv_run -> pl_uv_stop -> the `stopped` hook ->
 *           pl_uv_free once uv_run has returned. The node and the db are freed after that.
 * Threads:  the loop's, for every call here. The writer thread calls nothing but parley_db_*.
 * Failures: libuv aborts when memory runs out in its own set-up; the store survives that by design.
 */
#ifndef PL_UV_NODE_H
#define PL_UV_NODE_H

#include "node/node.h"

struct uv_loop_s;
struct pl_uv;

/* Listening addresses of one node. */
#define PL_UV_LISTENS_MAX 16
/* "[" IPv6 with zone "]:" port, NUL included. */
#define PL_UV_ADDRESS_BYTES 64

enum pl_uv_note_kind {
    PL_UV_NOTE_ACCEPT_FAILED,   /* text: the reason; often: no free descriptor */
    PL_UV_NOTE_DIAL_FAILED,     /* text: the reason; the node plans the next try */
    PL_UV_NOTE_COMMIT_FAILED,   /* err; the node has been told */
    PL_UV_NOTE_RECOVERED,       /* after EIO the store is open again */
    PL_UV_NOTE_RECOVER_FAILED,  /* err; the node stays read-only */
    PL_UV_NOTE_MAINTAIN_FAILED, /* err; tried again at the next maintenance */
    PL_UV_NOTE_STOP_FORCED      /* the time to say good-bye was over */
};

/* Something that an operator may want in the log; nothing has to be done about it. */
struct pl_uv_note {
    enum pl_uv_note_kind kind;
    parley_err err;
    const char *text;    /* static or lent for the call; may be NULL */
    const char *address; /* the same */
};

struct pl_uv_options {
    struct pl_node *node; /* borrowed until pl_uv_free */
    struct parley_db *db; /* the same */
    void *ud;
    void (*note)(void *ud, const struct pl_uv_note *note); /* may be NULL */
    /* Makes an identity of `bits` and the record of it that the next start of the host will look
     * for; see pl_node_key_made. Runs on a thread of libuv's pool. NULL: keys cannot be made. */
    parley_err (*make_key)(void *ud, unsigned bits, struct pl_identity **out,
                           uint8_t record[PL_IDENTITY_RECORD_BYTES_MAX], size_t *len);
    /* Every socket is closed and the writer thread has ended. Must not call pl_uv_free: libuv
     * gives the handles back after this. May be NULL. */
    void (*stopped)(void *ud);
};

/* Ownership: borrows the loop, the node and the db; copies the options.
 * Errors:    ENOMEM (also: no thread). */
PL_MUST_USE parley_err pl_uv_open(struct uv_loop_s *loop, const struct pl_uv_options *options,
                                  struct pl_uv **out, struct parley_diag *diag);

/* Binds and listens on ADDR:PORT or [ADDR]:PORT; port 0 takes a free one. Connections wait in the
 * kernel until pl_uv_start. Errors: EINVAL (does not parse), EFULL, EACCESS, EBUSY (in use), EIO.
 * */
PL_MUST_USE parley_err pl_uv_listen(struct pl_uv *uv, const char *address,
                                    struct parley_diag *diag);
/* Listens on a TCP socket that is bound already; `address` names it in errors.
 * Ownership: takes the socket once it is in a listener. Errors: EFULL, EACCESS, EBUSY, EIO. */
PL_MUST_USE parley_err pl_uv_listen_take(struct pl_uv *uv, int fd, const char *address,
                                         struct parley_diag *diag);
size_t pl_uv_listen_count(const struct pl_uv *uv);
/* The bound address with its real port, lent until free. */
const char *pl_uv_listen_address(const struct pl_uv *uv, size_t index);

/* Begins to accept, and does what the node asks for. */
void pl_uv_start(struct pl_uv *uv);
/* After a call to the node from outside the driver (pl_node_write, pl_node_join), made between
 * turns of the loop: carries out what it asked for. */
void pl_uv_wake(struct pl_uv *uv);
/* Begins an orderly stop; forced after five seconds, or at once by a second call. */
void pl_uv_stop(struct pl_uv *uv);
/* After `stopped`, when the loop has run on until it had nothing left; or when pl_uv_start was
 * never called (it then runs the loop itself to close what was opened). NULL is allowed. */
void pl_uv_free(struct pl_uv *uv);

/* Splits HOST:PORT or [HOST]:PORT. Errors: EINVAL. */
PL_MUST_USE parley_err pl_uv_split_address(const char *address, char host[PL_ADDRESS_BYTES_MAX + 1],
                                           char port[6]);
/* Whether an address names this machine only: 127.0.0.0/8, ::1 or localhost. */
bool pl_uv_address_is_loopback(const char *address);

#endif
