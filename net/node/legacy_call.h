/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request that this node makes, and its answer: bytes out, bytes in, a deadline. Pure; it
 * knows nothing of what is asked. The connection is used for one call and closed.
 *
 *          all sent, or the answer begins          head          body whole
 *   SEND ------------------------------> HEAD -----------> BODY -----------> DONE
 *     |                                    |                 |
 *     +------------------------------------+-----------------+-------------> FAILED
 *
 * Invariants
 *  1. Nothing is taken for an answer that is not whole: a length that is not reached, a last chunk
 *     that does not come, a head that is cut off all end in FAILED.
 *  2. Sending ends after PL_LEGACY_CALL_NS and a second for each PL_LEGACY_CALL_BYTES_S, the answer
 *     PL_LEGACY_CALL_NS after the last byte was sent, however it drips.
 *  3. At most PL_LEGACY_ANSWER_BYTES_MAX of an answer are kept.
 *
 * Lifetime: init -> fill `body` -> head -> connected -> the four verbs until finished -> deinit,
 * once the socket is gone: it may still be reading what send_buf gave it.
 */
#ifndef PL_LEGACY_CALL_H
#define PL_LEGACY_CALL_H

#include "node/out.h"
#include "proto/http1_response.h"

/* What the old clients wait, too. */
#define PL_LEGACY_CALL_NS      (30 * PARLEY_NS_PER_S)
#define PL_LEGACY_CALL_BYTES_S 65536u
/* An identity with its key and capabilities, or the counts of a sync. */
#define PL_LEGACY_ANSWER_BYTES_MAX PL_LIMIT(65536u, 8192u)
/* "100 Continue" and its like before the answer. */
#define PL_LEGACY_INTERIM_MAX    4
#define PL_LEGACY_HEAD_BYTES_MAX 640

enum pl_legacy_call_state {
    PL_LEGACY_CALL_SEND = 0,
    PL_LEGACY_CALL_HEAD,
    PL_LEGACY_CALL_BODY,
    PL_LEGACY_CALL_DONE,
    PL_LEGACY_CALL_FAILED
};

struct pl_legacy_call {
    enum pl_legacy_call_state state;
    const char *why; /* FAILED: static text */
    parley_time deadline;
    struct pl_out body; /* of the request */
    size_t sent;        /* of head and body together */
    struct pl_http_answer answer;
    struct pl_out content; /* of the answer */
    struct pl_http_chunked chunked;
    unsigned interim;
    size_t head_len;
    uint8_t head[PL_LEGACY_HEAD_BYTES_MAX];
    size_t in_len;
    size_t scanned;
    uint8_t in[PL_HTTP_HEAD_BYTES_MAX];
};

/* Ownership: `env` and `account` are borrowed, as by pl_out_init. */
void pl_legacy_call_init(struct pl_legacy_call *call, const struct parley_env *env,
                         size_t *account);
void pl_legacy_call_deinit(struct pl_legacy_call *call);
/* Writes the head for what is in `body`. `post`: else a GET. `path` is short, `address` at most 255
 * bytes. */
void pl_legacy_call_head(struct pl_legacy_call *call, bool post, const char *path,
                         const char *address);
/* The connection is there. */
void pl_legacy_call_connected(struct pl_legacy_call *call, parley_time now);

uint8_t *pl_legacy_call_recv_buf(struct pl_legacy_call *call, size_t *len);
void pl_legacy_call_recv_ack(struct pl_legacy_call *call, size_t len);
const uint8_t *pl_legacy_call_send_buf(const struct pl_legacy_call *call, size_t *len);
void pl_legacy_call_send_ack(struct pl_legacy_call *call, size_t len, parley_time now);
/* The other side has half-closed. */
void pl_legacy_call_recv_end(struct pl_legacy_call *call);
void pl_legacy_call_tick(struct pl_legacy_call *call, parley_time now);
/* Ends it from outside; one that is finished stays as it is. */
void pl_legacy_call_fail(struct pl_legacy_call *call, const char *why);

static inline bool pl_legacy_call_is_finished(const struct pl_legacy_call *call)
{
    return call->state == PL_LEGACY_CALL_DONE || call->state == PL_LEGACY_CALL_FAILED;
}

#endif
