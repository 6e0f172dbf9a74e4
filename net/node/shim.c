/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes and what every handler shares: problems, replies, writes. docs/HTTP.md
 * describes each route.
 */
#include "node/shim.h"

#include "core/hash.h"
#include "sync/round.h"

#define BIG    PL_HTTP_WHOLE_BYTES_MAX
#define PIECES PL_HTTP_BODY_BYTES_MAX

static const struct pl_route routes[] = {
    { PL_HTTP_GET, "/identity", PL_SHIM_OPEN, 0, pl_shim_get_identity },
    { PL_HTTP_GET, "/identity/ca.pem", PL_SHIM_OPEN, 0, pl_shim_get_ca },
    { PL_HTTP_GET, "/health", PL_SHIM_OPEN, 0, pl_shim_get_health },
    { PL_HTTP_GET, "/version", PL_SHIM_OPEN, 0, pl_shim_get_version },
    { PL_HTTP_GET, "/openapi.json", PL_SHIM_OPEN, 0, pl_shim_get_openapi },
    { PL_HTTP_GET, "/ui", PL_SHIM_OPEN, 0, pl_shim_get_ui },
    { PL_HTTP_GET, "/ui/*", PL_SHIM_OPEN, 0, pl_shim_get_ui_file },
    { PL_HTTP_POST, "/register-peer", PL_SHIM_OPEN, PL_SHIM_SMALL_BODY, pl_shim_register_peer },
    { PL_HTTP_GET, "/peers", PL_SHIM_LEGACY_LIST, 0, pl_shim_get_peers },
    { PL_HTTP_DELETE, "/peers/*", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_delete_peer },
    { PL_HTTP_POST, "/peers/*/approve", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY,
      pl_shim_approve_peer },
    { PL_HTTP_POST, "/peers/*/sync", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_sync_peer },
    { PL_HTTP_GET, "/peers/*/diff", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_diff },
    { PL_HTTP_POST, "/peers/*/diff", PL_SHIM_ADMIN_ONLY, 0, pl_shim_post_diff },
    { PL_HTTP_POST, "/sync", PL_SHIM_SYNC, PIECES, pl_shim_post_sync },
    { PL_HTTP_POST, "/sync/*", PL_SHIM_WRITE, PL_SHIM_SMALL_BODY, pl_shim_post_sync_peer },
    { PL_HTTP_GET, "/sync/*", PL_SHIM_LEGACY_READ, 0, pl_shim_get_sync_peer },
    { PL_HTTP_GET, "/sync/metrics/*", PL_SHIM_LEGACY_READ, 0, pl_shim_get_sync_metrics },
    { PL_HTTP_GET, "/debug/sync/*", PL_SHIM_LEGACY_READ, 0, pl_shim_get_debug_sync },
    { PL_HTTP_POST, "/peers/legacy", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_legacy },
    { PL_HTTP_POST, "/import", PL_SHIM_ADMIN_ONLY, PIECES, pl_shim_post_import },
    { PL_HTTP_GET, "/export", PL_SHIM_READ, 0, pl_shim_get_export },
    { PL_HTTP_GET, "/status", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_status },
    { PL_HTTP_GET, "/metrics", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_metrics },
    { PL_HTTP_GET, "/check", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_check },
    { PL_HTTP_GET, "/audit", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_audit },
    { PL_HTTP_GET, "/backup", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_backup },
    { PL_HTTP_GET, "/bundle", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_bundle },
    { PL_HTTP_POST, "/bundle", PL_SHIM_ADMIN_ONLY, BIG, pl_shim_post_bundle },
    { PL_HTTP_GET, "/key", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_key },
    { PL_HTTP_POST, "/key/rotate", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_rotate_key },
    { PL_HTTP_POST, "/invites", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_invite },
    { PL_HTTP_GET, "/invites", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_invites },
    { PL_HTTP_DELETE, "/invites/*", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_delete_invite },
    { PL_HTTP_POST, "/joins", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_join },
    { PL_HTTP_GET, "/joins", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_join },
    { PL_HTTP_POST, "/tokens", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_token },
    { PL_HTTP_GET, "/tokens", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_tokens },
    { PL_HTTP_DELETE, "/tokens/*", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_delete_token },
    { PL_HTTP_GET, "/changes", PL_SHIM_READ, 0, pl_shim_get_changes },
    { PL_HTTP_GET, "/conversations", PL_SHIM_READ, 0, pl_shim_get_conversations },
    { PL_HTTP_POST, "/conversations", PL_SHIM_WRITE, BIG, pl_shim_post_conversation },
    { PL_HTTP_PATCH, "/conversations/*", PL_SHIM_WRITE, BIG, pl_shim_patch_conversation },
    { PL_HTTP_GET, "/conversations/*", PL_SHIM_LEGACY_READ, 0, pl_shim_get_conversation },
    { PL_HTTP_DELETE, "/conversations/*", PL_SHIM_WRITE, PL_SHIM_SMALL_BODY,
      pl_shim_delete_conversation },
    { PL_HTTP_POST, "/conversations/*/purge", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY,
      pl_shim_purge },
    { PL_HTTP_GET, "/conversations/*/history", PL_SHIM_READ, 0, pl_shim_get_history },
    { PL_HTTP_GET, "/conflicts", PL_SHIM_READ, 0, pl_shim_get_conflicts },
    { PL_HTTP_GET, "/retention", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_retention },
    { PL_HTTP_POST, "/retention", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_retention },
    { PL_HTTP_GET, "/log-level", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_log_level },
    { PL_HTTP_POST, "/log-level", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_post_log_level },
    { PL_HTTP_GET, "/trash", PL_SHIM_ADMIN_ONLY, 0, pl_shim_get_trash },
    { PL_HTTP_POST, "/trash/restore", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY,
      pl_shim_restore_trash },
    { PL_HTTP_DELETE, "/trash", PL_SHIM_ADMIN_ONLY, PL_SHIM_SMALL_BODY, pl_shim_empty_trash },
    { PL_HTTP_POST, "/conversations/*/promote", PL_SHIM_WRITE, PL_SHIM_SMALL_BODY,
      pl_shim_promote },
    { PL_HTTP_GET, "/conversations/*/messages", PL_SHIM_READ, 0, pl_shim_get_messages },
    { PL_HTTP_GET, "/conversations/*/messages/*", PL_SHIM_READ, 0, pl_shim_get_message },
    { PL_HTTP_POST, "/conversations/*/messages/*/append", PL_SHIM_WRITE, BIG,
      pl_shim_append_message },
    { PL_HTTP_POST, "/conversations/*/messages", PL_SHIM_WRITE, BIG, pl_shim_post_message },
    { PL_HTTP_PATCH, "/conversations/*/messages/*", PL_SHIM_WRITE, BIG, pl_shim_patch_message },
    { PL_HTTP_DELETE, "/conversations/*/messages/*", PL_SHIM_WRITE, PL_SHIM_SMALL_BODY,
      pl_shim_delete_message },
};

const struct pl_route *pl_shim_routes(size_t *count)
{
    *count = PL_ARRAY_LEN(routes);
    return routes;
}

/* ---- Life ---- */

void pl_shim_init(struct pl_node *node, struct pl_request *request)
{
    memset(request, 0, sizeof *request);
    pl_out_init(&request->mp, node->env, &node->buffered_bytes);
    pl_out_init(&request->scratch, node->env, &node->buffered_bytes);
    pl_out_init(&request->out, node->env, &node->buffered_bytes);
}

void pl_shim_end(struct pl_node *node, struct pl_request *request)
{
    pl_shim_import_free(node, request);
    pl_shim_changes_end(node, request);
    pl_out_free(&request->mp);
    pl_out_free(&request->scratch);
    pl_out_free(&request->out);
}

struct pl_peer *pl_shim_named_peer(struct pl_node *node, struct pl_request *request)
{
    struct pl_peer *peer = pl_peers_find(&node->peers, pl_shim_param(request, 0));
    if (peer == NULL)
        pl_shim_problem(request, 404, "no-such-peer", "no peer with this backend id is known here");
    return peer;
}

/* ---- Responses ---- */

void pl_shim_reply(struct pl_request *request, unsigned status)
{
    pl_out_reset(&request->out);
    request->status = status;
    request->content_type = "application/json";
    request->problem = NULL;
    request->extra_len = 0;
    request->tagged = false;
}

static void begin_problem(struct pl_request *request, unsigned status, const char *code)
{
    pl_shim_reply(request, status);
    request->content_type = "application/problem+json";
    request->problem = code;
    struct pl_out *out = &request->out;
    pl_out_text(out, "{");
    pl_out_field_text(out, "type", "about:blank");
    pl_out_field_text(out, "title", pl_http_reason(status));
    pl_out_field_u64(out, "status", status);
    pl_out_field_text(out, "code", code);
}

void pl_shim_problem(struct pl_request *request, unsigned status, const char *code,
                     const char *detail)
{
    begin_problem(request, status, code);
    pl_out_field_text(&request->out, "detail", detail);
    pl_out_text(&request->out, "}");
}

static void write_field_problem(struct pl_request *request, unsigned status, const char *code,
                                const char *field, const char *detail)
{
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    pl_write_text(&w, field);
    pl_write_text(&w, ": ");
    pl_write_text(&w, detail);
    diag.text[w.len] = '\0';
    begin_problem(request, status, code);
    pl_out_field_text(&request->out, "detail", diag.text);
    pl_out_field_text(&request->out, "field", field);
}

void pl_shim_problem_field(struct pl_request *request, unsigned status, const char *code,
                           const char *field, const char *detail)
{
    write_field_problem(request, status, code, field, detail);
    pl_out_text(&request->out, "}");
}

void pl_shim_problem_limit(struct pl_request *request, unsigned status, const char *code,
                           const char *field, uint64_t limit, const char *detail)
{
    if (field != NULL) {
        write_field_problem(request, status, code, field, detail);
    } else {
        begin_problem(request, status, code);
        pl_out_field_text(&request->out, "detail", detail);
    }
    pl_out_field_u64(&request->out, "limit", limit);
    pl_out_text(&request->out, "}");
}

PL_MUST_USE parley_err pl_shim_find_conversation(struct pl_node *node,
                                                 const struct pl_request *request,
                                                 struct parley_span id, struct parley_read **read,
                                                 struct parley_conversation_info *info, bool *found)
{
    parley_err err = PARLEY_OK;
    *found = false;
    *read = pl_node_read(node, &err);
    return *read == NULL
               ? err
               : parley_read_conversation(*read, pl_shim_name_space(request), id, info, found);
}

enum pl_shim_step pl_shim_store_problem(struct pl_node *node, struct pl_request *request,
                                        parley_err err)
{
    (void)node;
    if (err == PARLEY_ENOSPC)
        pl_shim_problem(request, 507, "store-full",
                        "the disk is full; nothing of this request that was not answered is "
                        "stored; free some space on it and send it again");
    else if (err == PARLEY_EMAPFULL)
        pl_shim_problem(request, 507, "store-full",
                        "the store has reached its size limit, which grows by itself while the "
                        "disk has room; free some space on it and send it again");
    else if (err == PARLEY_EFULL)
        pl_shim_problem(request, 507, "store-full",
                        "the store has no room for another namespace or origin name");
    else if (err == PARLEY_ECORRUPT)
        pl_shim_problem(request, 500, "corrupt",
                        "stored bytes do not decode; stop the node and run `parley check`");
    else if (err == PARLEY_ENOMEM)
        pl_shim_problem(request, 503, "busy", "out of memory; try again shortly");
    else if (err == PARLEY_EINVAL)
        pl_shim_problem(
            request, 500, "internal",
            "the store refused the write; this is a defect of parley, please report it");
    else
        pl_shim_problem(
            request, 503, "store-error",
            "the store cannot be used; look at GET /health and the log, check the disk");
    if (request->status == 503)
        pl_shim_header(request, "Retry-After", pl_span_text("5"));
    return PL_SHIM_DONE;
}

void pl_shim_header(struct pl_request *request, const char *name, struct parley_span value)
{
    struct pl_writer w = pl_writer_over(request->extra, sizeof request->extra);
    w.len = request->extra_len;
    pl_write_text(&w, name);
    pl_write_text(&w, ": ");
    pl_write_span(&w, value);
    pl_write_text(&w, "\r\n");
    if (w.err == PARLEY_OK)
        request->extra_len = w.len;
}

/* ---- Routing ---- */

/* Cuts the next segment off a path that begins with '/'. */
static struct parley_span next_segment(struct parley_span *path)
{
    struct parley_span rest = pl_span_after(*path, 1);
    const uint8_t *end = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
    size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
    *path = pl_span_after(rest, len);
    return pl_span_of(rest.ptr, len);
}

static bool path_matches(const char *pattern, struct parley_span path)
{
    struct parley_span wanted = pl_span_text(pattern);
    while (wanted.len != 0 && path.len != 0 && path.ptr[0] == '/') {
        struct parley_span want = next_segment(&wanted);
        struct parley_span have = next_segment(&path);
        bool matches = pl_span_is(want, "*") ? have.len != 0 : pl_span_equal(want, have);
        if (!matches)
            return false;
    }
    return wanted.len == 0 && path.len == 0;
}

/* Percent-decodes what stands for the stars of the pattern. */
static bool take_params(struct pl_request *request)
{
    struct parley_span wanted = pl_span_text(request->route->pattern);
    struct parley_span path = request->head.path;
    size_t count = 0;
    while (wanted.len != 0) {
        struct parley_span want = next_segment(&wanted);
        struct parley_span have = next_segment(&path);
        if (!pl_span_is(want, "*"))
            continue;
        PL_ASSERT(count < PL_SHIM_PARAMS_MAX);
        parley_err err = pl_http_decode_segment(have, request->param[count], PARLEY_ID_BYTES_MAX,
                                                &request->param_len[count]);
        if (err != PARLEY_OK) {
            pl_shim_problem(request, 400, "bad-path",
                            err == PARLEY_ETOOBIG ? "an id in the path is longer than 255 bytes"
                                                  : "the path has a malformed percent escape");
            return false;
        }
        count++;
    }
    return true;
}

static const char *method_name(enum pl_http_method method)
{
    switch (method) {
    case PL_HTTP_GET:
        return "GET, HEAD";
    case PL_HTTP_HEAD:
        return "HEAD";
    case PL_HTTP_POST:
        return "POST";
    case PL_HTTP_PUT:
        return "PUT";
    case PL_HTTP_PATCH:
        return "PATCH";
    case PL_HTTP_DELETE:
        return "DELETE";
    case PL_HTTP_OPTIONS:
        return "OPTIONS";
    case PL_HTTP_OTHER:
        return "";
    }
    return "";
}

/* No route takes this method here: 405 with what is allowed, or 404. OPTIONS asks for that. */
static void refuse_route(struct pl_node *node, struct pl_request *request)
{
    char allow[64];
    struct pl_writer w = pl_writer_over(allow, sizeof allow);
    for (size_t i = 0; i < PL_ARRAY_LEN(routes); i++) {
        if (!path_matches(routes[i].pattern, request->head.path))
            continue;
        pl_write_text(&w, w.len == 0 ? "" : ", ");
        pl_write_text(&w, method_name(routes[i].method));
    }
    if (w.len == 0) {
        pl_shim_problem(request, 404, "no-such-route", "there is nothing at this path");
        return;
    }
    pl_write_text(&w, ", OPTIONS");
    if (request->head.method == PL_HTTP_OPTIONS) {
        pl_shim_answer_options(node, request, pl_writer_span(&w));
        return;
    }
    pl_shim_problem(request, 405, "method-not-allowed", "this path does not take this method");
    pl_shim_header(request, "Allow", pl_writer_span(&w));
}

static bool find_route(struct pl_node *node, struct pl_request *request)
{
    enum pl_http_method method = request->head.method;
    if (method == PL_HTTP_HEAD)
        method = PL_HTTP_GET;
    for (size_t i = 0; i < PL_ARRAY_LEN(routes); i++) {
        if (routes[i].method == method && path_matches(routes[i].pattern, request->head.path)) {
            request->route = &routes[i];
            return true;
        }
    }
    refuse_route(node, request);
    return false;
}

static bool take_name_space(struct pl_request *request)
{
    bool found = false;
    if (!pl_shim_query(request, "namespace", request->name_space, sizeof request->name_space,
                       &request->name_space_len, &found))
        return false;
    if (!found) {
        memcpy(request->name_space, "main", 4);
        request->name_space_len = 4;
    }
    for (size_t i = 0; i < request->name_space_len; i++) {
        unsigned char c = (unsigned char)request->name_space[i];
        if (c < 0x20 || c == 0x7f) {
            pl_shim_problem_field(request, 400, "bad-namespace", "namespace",
                                  "has a control character");
            return false;
        }
    }
    if (request->name_space_len != 0)
        return true;
    pl_shim_problem_field(request, 400, "bad-namespace", "namespace", "must not be empty");
    return false;
}

static bool check_body(struct pl_request *request)
{
    if (request->head.content_length > request->route->body_bytes_max) {
        pl_shim_problem_limit(request, 413, "body-too-large", NULL, request->route->body_bytes_max,
                              request->route->body_bytes_max == 0 ? "this route takes no body"
                              : request->route->body_bytes_max < BIG
                                  ? "the body is longer than 64 KiB"
                                  : "the body is longer than 64 MiB");
        return false;
    }
    struct parley_span coding = request->head.content_encoding;
    if (coding.len != 0 && !pl_span_is(coding, "identity")) {
        pl_shim_problem(request, 415, "content-encoding", "compressed bodies are not understood");
        return false;
    }
    return true;
}

/* Tokens must not cross a network in the clear; nobody shall get used to sending them so. */
static bool check_transport(struct pl_request *request)
{
    if (!request->plain_remote)
        return true;
    pl_shim_problem(request, 403, "tls-required",
                    "plain HTTP from another machine is not served; use https://, or start parleyd "
                    "with --plain-peers inside a network that you trust. A token that was sent is "
                    "known to whoever could read it: make a new one");
    return false;
}

/* Whose bucket a request is taken from; those of the operator are not counted. */
static struct pl_rate *find_bucket(struct pl_node *node, const struct pl_request *request)
{
    uint8_t id[8] = { 0 };
    switch (request->role) {
    case PL_SHIM_ADMIN:
        return NULL;
    case PL_SHIM_PEER:
        pl_put_be(id, request->peer_number, 8);
        return pl_rate_of(&node->rates, PL_RATE_PEER, id);
    case PL_SHIM_SESSION:
        pl_put_be(id, pl_xxh3_of(pl_span_of(request->token_key, request->token_key_len)), 8);
        return pl_rate_of(&node->rates, PL_RATE_TOKEN, id);
    case PL_SHIM_NOBODY:
        break;
    }
    if (request->from.local)
        return pl_rate_of(&node->rates, PL_RATE_LOCAL, id);
    return pl_rate_of(&node->rates, PL_RATE_ADDRESS, request->from.net);
}

/* Looks after the token was verified, so that a crowd of strangers at the address of a peer takes
 * nothing from it; a token that is refused counts as none. */
static bool check_rate(struct pl_node *node, struct pl_request *request)
{
    struct pl_rate *bucket = find_bucket(node, request);
    bool stranger = request->role == PL_SHIM_NOBODY;
    uint32_t rate = stranger ? node->options.stranger_rate : node->options.peer_rate;
    uint64_t wait_s = 0;
    char digits[20];
    if (bucket == NULL || pl_rate_take(bucket, rate, node->now.mono, &wait_s))
        return true;
    pl_shim_problem(request, 429, "too-many-requests",
                    stranger ? "too many requests without a good token came from this address; "
                               "wait, and send a token (parleyd --rate)"
                             : "too many requests came with this peer's or user's tokens; wait "
                               "(parleyd --rate)");
    pl_shim_header(request, "Retry-After", pl_out_digits(wait_s, digits));
    return false;
}

bool pl_shim_begin(struct pl_node *node, struct pl_request *request)
{
    if (!check_transport(request))
        return false;
    if (request->plain_local && !pl_shim_check_host(node, request))
        return false;
    bool good = find_route(node, request) && take_params(request) && take_name_space(request) &&
                pl_shim_authorize(node, request);
    return check_rate(node, request) && good && check_body(request);
}

/* ---- Writes ---- */

void pl_shim_mark(struct pl_node *node, struct pl_request *request)
{
    request->serial = pl_batch_serial(node);
    request->first = pl_batch_count(node);
    request->count = 0;
}

enum pl_shim_step pl_shim_wait(struct pl_node *node, struct pl_request *request)
{
    /* Adding a record of the node may have begun the commit already; then this asks for nothing. */
    if (pl_batch_serial(node) == request->serial)
        pl_batch_commit_soon(node);
    request->commit_err = PARLEY_OK;
    return PL_SHIM_WAIT;
}

enum pl_shim_step pl_shim_again(struct pl_node *node)
{
    if (pl_batch_count(node) != 0)
        pl_batch_commit_soon(node);
    return PL_SHIM_AGAIN;
}

bool pl_shim_add_version(struct pl_node *node, struct pl_request *request,
                         const struct parley_version *version, uint32_t source)
{
    PL_ASSERT_SLOW(parley_version_check(version, NULL) == PARLEY_OK);
    if (pl_large_write(node, request->conn, version, source) != PARLEY_OK)
        return false;
    request->count++;
    return true;
}
