/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /ui and /ui/{file}: the page, open to all because it holds nothing of this node. Whoever
 * looks at it shows his token to the routes that it asks, as everybody does.
 *
 * The policy lets the page load and ask nothing but this node, and run no text as a program: what
 * stands in a conversation cannot act, even if a view had a hole.
 */
#include "node/ui.h"

#include "node/etag.h"
#include "node/shim.h"

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                \
    "require-trusted-types-for 'script'; trusted-types 'none'"

static const struct pl_ui_file *find_file(struct parley_span name)
{
    for (size_t i = 0; i < pl_ui_file_count; i++)
        if (pl_span_is(name, pl_ui_files[i].name))
            return &pl_ui_files[i];
    return NULL;
}

static void write_heads(struct pl_request *request)
{
    pl_shim_header(request, "Content-Security-Policy", pl_span_text(POLICY));
    pl_shim_header(request, "Referrer-Policy", pl_span_text("no-referrer"));
    pl_shim_header(request, "Cross-Origin-Resource-Policy", pl_span_text("same-origin"));
}

static enum pl_shim_step answer(struct pl_request *request, struct parley_span name)
{
    const struct pl_ui_file *file = find_file(name);
    struct pl_etag_sum sum;
    struct pl_etag tag;
    if (file == NULL) {
        pl_shim_problem(request, 404, "no-such-route", "the page has no such file; open /ui");
        return PL_SHIM_DONE;
    }
    pl_etag_begin(&sum, "ui");
    pl_sha256_update(&sum.hash, file->packed.ptr, file->packed.len);
    pl_etag_end(&sum, false, &tag);
    if (pl_etag_is_known(request, &tag)) {
        write_heads(request);
        return PL_SHIM_DONE;
    }
    pl_shim_reply(request, 200);
    request->content_type = file->type;
    pl_etag_write(request, &tag);
    write_heads(request);
    pl_out_bytes(&request->out, file->packed);
    request->packed_from = file->plain_bytes;
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_ui(struct pl_node *node, struct pl_request *request)
{
    (void)node;
    return answer(request, pl_span_text("index.html"));
}

enum pl_shim_step pl_shim_get_ui_file(struct pl_node *node, struct pl_request *request)
{
    (void)node;
    return answer(request, pl_shim_param(request, 0));
}
