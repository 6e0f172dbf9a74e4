/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.x answers, for the few requests that a node makes itself: the head, and how the body that
 * follows is framed. As strict as the parser of requests: what two readers could take in two ways
 * is BAD, and the connection is of no further use. Nothing here allocates or keeps a pointer.
 */
#ifndef PL_HTTP1_RESPONSE_H
#define PL_HTTP1_RESPONSE_H

#include "proto/http1.h"

/* With none of the four below the body lasts until the connection ends. */
struct pl_http_answer {
    unsigned status; /* 100 to 599 */
    unsigned minor;  /* HTTP/1.minor, 0 or 1 */
    bool bodiless;   /* 1xx, 204 or 304: no body, whatever the fields say */
    bool chunked;
    bool has_length;
    uint64_t content_length; /* at most PL_HTTP_BODY_BYTES_MAX */
};

/* Parses the head at the start of `bytes`, which may go on with body bytes. `scanned` is kept by
 * the caller between calls, 0 at first, as for pl_http_parse_head. DONE fills *out and *head_len,
 * BAD fills *why (static text), NEED_MORE moves *scanned; how the bytes were split over calls never
 * changes the verdict. At most PL_HTTP_HEAD_BYTES_MAX bytes and PL_HTTP_HEADERS_MAX fields.
 *
 * Ownership: `bytes` is borrowed for the call. */
enum pl_http_parse pl_http_parse_answer(struct parley_span bytes, size_t *scanned,
                                        struct pl_http_answer *out, size_t *head_len,
                                        const char **why);

#endif
