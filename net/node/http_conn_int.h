/* SPDX-License-Identifier: Apache-2.0
 *
 * What http_conn.c, which reads and runs requests, shares with http_answer.c, which writes answers.
 */
#ifndef PL_HTTP_CONN_INT_H
#define PL_HTTP_CONN_INT_H

#include "node/shim.h"

#define PL_HTTP_WRITE_NS_MAX (30 * PARLEY_NS_PER_S) /* between two pieces the client takes */
/* Where chunks arrive, behind the head. */
#define PL_HTTP_RAW_BYTES 4096u

enum http_state { HTTP_HEAD, HTTP_BODY, HTTP_RUN, HTTP_WRITE, HTTP_DRAIN, HTTP_FINISHED };

struct pl_http_conn {
    enum http_state state;
    bool keep_alive; /* after the current answer */
    bool refused;    /* BODY: the response is set, the body is only skipped */
    bool unread;     /* WRITE: request bytes are left unread, DRAIN follows */
    bool waiting;    /* RUN: WAIT was returned */
    bool yielded;    /* RUN: YIELD was returned; `deadline` runs it again */
    bool sleeping;   /* RUN: SLEEP was returned; so does a commit after `slept_at` */
    bool streaming;  /* the head of an answer in pieces was written */
    bool chunked_out;
    bool last_piece;
    bool recv_ended;
    parley_time deadline;

    size_t in_len;     /* filled */
    size_t in_high;    /* the most that ever was */
    size_t in_used;    /* the current head, and chunks already decoded */
    size_t head_bytes; /* the current head alone */
    size_t scanned;
    size_t body_want; /* announced length */
    size_t body_got;  /* of it */
    size_t window;
    uint64_t slept_at;       /* commits of the node then */
    parley_time again_until; /* RUN: AGAIN counts until then; 0: it was not returned */
    struct pl_http_chunked chunked;
    struct pl_out body;
    size_t drained;

    struct parley_span interim; /* "100 Continue", what is left of it */
    size_t head_len;
    struct parley_span tail; /* behind the body: the end of a chunk, static */
    size_t sent;             /* of head, body and tail together */
    struct pl_request request;
    uint8_t head[512 + PL_SHIM_EXTRA_BYTES_MAX];
    uint8_t in[PL_HTTP_HEAD_BYTES_MAX + PL_HTTP_RAW_BYTES];
};

void pl_http_enter(struct pl_node *node, struct pl_http_conn *h, enum http_state state,
                   parley_time wait);

/* ---- http_encode.c ---- */

/* Gives a whole answer the form that the client asks for. */
void pl_http_encode(struct pl_node *node, struct pl_request *request);

/* ---- http_answer.c ---- */

/* Sends the response that is set. */
void pl_http_respond(struct pl_node *node, struct pl_http_conn *h);
/* Sends what is in `out` as the next piece of the response, with its head if it is the first. A
 * response that fails when it has begun ends with the connection. */
void pl_http_send_piece(struct pl_node *node, struct pl_http_conn *h, bool last);
/* Bytes of `out` that go out: none for HEAD. */
size_t pl_http_body_len(const struct pl_http_conn *h);
/* For a head that does not parse; static. */
uint64_t pl_http_parse_limit(unsigned status); /* 0: there is no number */
const char *pl_http_parse_code(unsigned status);
const char *pl_http_parse_detail(unsigned status);

#endif
