/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of other origins (CORS): only those that the operator has named, each by itself. There are
 * no cookies, so nothing is ever done with the rights of whoever happens to look at a page: it must
 * have a token.
 */
#include "node/shim.h"

#define HEADERS_ALLOWED                                                                            \
    "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID"
#define HEADERS_SHOWN "ETag, Retry-After, X-Parley-Next"

bool pl_shim_is_named_origin(const struct pl_node *node, struct parley_span origin)
{
    for (size_t i = 0; i < node->options.origin_count; i++)
        if (pl_span_is(origin, node->options.origins[i]))
            return true;
    return false;
}

void pl_shim_finish_head(struct pl_node *node, struct pl_request *request)
{
    struct parley_span origin = request->head.origin;
    pl_shim_header(request, "Vary", pl_span_text("Accept, Accept-Encoding, Origin"));
    if (origin.len == 0 || !pl_shim_is_named_origin(node, origin))
        return;
    pl_shim_header(request, "Access-Control-Allow-Origin", origin);
    pl_shim_header(request, "Access-Control-Expose-Headers", pl_span_text(HEADERS_SHOWN));
}

void pl_shim_answer_options(struct pl_node *node, struct pl_request *request,
                            struct parley_span allow)
{
    pl_shim_reply(request, 204);
    request->content_type = NULL;
    pl_shim_header(request, "Allow", allow);
    if (!pl_shim_is_named_origin(node, request->head.origin))
        return;
    pl_shim_header(request, "Access-Control-Allow-Methods", allow);
    pl_shim_header(request, "Access-Control-Allow-Headers", pl_span_text(HEADERS_ALLOWED));
    pl_shim_header(request, "Access-Control-Max-Age", pl_span_text("600"));
}
