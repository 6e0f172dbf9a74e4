/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags, and what requests say of them. A tag is strong: it is made of the digests of the
 * versions that an answer shows, so nodes that are equal give equal tags, and an answer that was
 * not made need not be made to know that it is the same. Digests cover time, writer and body.
 *
 *   message        the digest of its version
 *   conversation   SHA-256 over the digests of its live registers, in their order, and their count
 *   page of messages   the same over its messages, and whether there are more
 *
 * An answer that is packed, or msgpack, has the tag with that behind it: what it shows is the same,
 * and a client may send back either.
 *
 * If-Match is judged by the handler that writes, when nothing that is on its way into the store
 * touches what it is about (pl_shim_is_settled): the batch that the write joins then finds what was
 * judged.
 */
#ifndef PL_ETAG_H
#define PL_ETAG_H

#include "core/hash.h"
#include "node/shim.h"

#define PL_ETAG_BYTES (2 * PARLEY_DIGEST_BYTES + 2)
struct pl_etag {
    char text[PL_ETAG_BYTES]; /* with its quotes, no NUL */
};

void pl_etag_of_version(const uint8_t digest[PARLEY_DIGEST_BYTES], struct pl_etag *out);
/* Of a conversation by number. Cost: a look at each register, none of their bodies is read into. */
PL_MUST_USE parley_err pl_etag_of_conversation(struct parley_read *read, uint64_t conversation,
                                               struct pl_etag *out);

/* Begins that of a conversation; add its live registers in their order. */
struct pl_etag_sum;
void pl_etag_begin_conversation(struct pl_etag_sum *sum);

/* Of several versions: begin, add each, end with what else tells answers apart. */
struct pl_etag_sum {
    struct pl_sha256 hash;
    uint64_t count;
};
void pl_etag_begin(struct pl_etag_sum *sum, const char *what);
void pl_etag_add(struct pl_etag_sum *sum, const uint8_t digest[PARLEY_DIGEST_BYTES]);
void pl_etag_end(struct pl_etag_sum *sum, bool more, struct pl_etag *out);

/* If-None-Match, of a read: whether the client has this already. Then the response, 304, is set. */
bool pl_etag_is_known(struct pl_request *request, const struct pl_etag *tag);
/* The header of an answer, after pl_shim_reply. */
void pl_etag_write(struct pl_request *request, const struct pl_etag *tag);
/* The answer goes out in another form than JSON as it is: other bytes need another strong tag.
 * `form` is put behind the tag, inside of its quotes; lists may name it in any form. */
void pl_etag_mark_form(struct pl_request *request, const char *form);
/* If-Match, of a write to what has this tag; NULL: there is nothing. False: the response is set. */
bool pl_etag_may_write(struct pl_request *request, const struct pl_etag *tag);
/* The same where the tag is the conversation's, and is only made when it is asked for. */
bool pl_etag_may_write_in(struct pl_node *node, struct pl_request *request,
                          struct parley_read *read, uint64_t conversation);
static inline bool pl_etag_is_asked(const struct pl_request *request)
{
    return request->head.if_match.ptr != NULL;
}

/* Whether no write to this register is in a batch, and none to its conversation as a whole. If not,
 * what a snapshot says of it may be over: the handler returns pl_shim_again. `kind` 0: nothing of
 * the conversation. */
bool pl_shim_is_settled(const struct pl_node *node, const struct pl_request *request,
                        enum parley_kind kind, struct parley_span id);

#endif
