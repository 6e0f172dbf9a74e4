/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /version, and GET /openapi.json: the routes as OpenAPI 3.1, written from the table of routes
 * and the notes below. tests/unit/test_openapi.c compares both with what the node does.
 */
#include "proto/wire.h"

#include "node/shim.h"

/* A route: its path with names for what stands in it, what it does, and lists of
 *   query   "name:type ..."
 *   body    the same; '!' behind a type: it must be there. "*": other members are kept. A word
 *           with '/' in it is the type of a body that is no object
 *   good    the statuses of success, each with the type of what it answers behind ':' unless that
 *           is JSON
 * where a type is s (text), i (number from 1), b (true or false), o (object), a (list), x (any) or
 * t (a time: ISO 8601, or microseconds since 1970). */
struct note {
    enum pl_http_method method;
    const char *path, *summary, *query, *body, *good;
};

#define NDJSON "application/x-ndjson"

static const struct note notes[] = {
    { PL_HTTP_GET, "/identity", "Who this node is, and its public key", "", "", "200" },
    { PL_HTTP_GET, "/identity/ca.pem", "The certificate of its identity", "", "",
      "200:application/x-pem-file" },
    { PL_HTTP_GET, "/health", "Whether it is well", "", "", "200" },
    { PL_HTTP_GET, "/version", "What it is and which formats it speaks", "", "", "200" },
    { PL_HTTP_GET, "/openapi.json", "This text", "", "", "200" },
    { PL_HTTP_GET, "/ui", "The page", "", "", "200:text/html 304" },
    { PL_HTTP_GET, "/ui/{file}", "A file of it", "", "",
      "200:text/css 200:text/javascript 200:image/svg+xml 304" },
    { PL_HTTP_POST, "/register-peer", "Register a node", "",
      "sbt:x! peer_backend_id:s! peer_public_key:s! peer_capabilities:a", "200 202" },
    { PL_HTTP_GET, "/peers", "All peers and how they are", "", "", "200" },
    { PL_HTTP_DELETE, "/peers/{id}", "Revoke a peer, or forget one that waits", "", "", "200" },
    { PL_HTTP_POST, "/peers/{id}/approve", "Let a peer in, or change what it may", "",
      "namespace:s right:s prefix:s max_age_days:x", "200" },
    { PL_HTTP_POST, "/peers/{id}/sync", "Dial a peer now", "", "", "202" },
    { PL_HTTP_GET, "/peers/{id}/diff", "What a sync with a peer would move", "", "", "200" },
    { PL_HTTP_POST, "/peers/{id}/diff", "Compare with a peer now", "", "", "202" },
    { PL_HTTP_POST, "/sync", "Take a SyncPayload of a peer", "",
      "source_backend_id:s! conversations:a! sync_id:s target_backend_id:s timestamp:s", "200" },
    { PL_HTTP_POST, "/sync/{peer_id}", "Sync with a peer now", "", "", "200" },
    { PL_HTTP_GET, "/sync/{peer_id}", "A SyncPayload of what is new for a peer", "since:t after:i",
      "", "200" },
    { PL_HTTP_GET, "/sync/metrics/{peer_id}", "Counts of the sync with a peer", "", "", "200" },
    { PL_HTTP_GET, "/debug/sync/{peer_id}", "Where the sync with a peer stands", "", "", "200" },
    { PL_HTTP_POST, "/peers/legacy", "Push to a backend of the old system", "", "url:s!",
      "200 202" },
    { PL_HTTP_POST, "/import", "Take conversations, one a line", "strict:i", NDJSON, "200" },
    { PL_HTTP_GET, "/export", "Give conversations, one a line, by id", "after:s limit_bytes:i", "",
      "200:" NDJSON },
    { PL_HTTP_GET, "/status", "Everything about store, namespaces and peers", "", "", "200" },
    { PL_HTTP_GET, "/metrics", "The same for Prometheus", "", "", "200:text/plain" },
    { PL_HTTP_GET, "/check", "Prove the whole store", "", "", "200" },
    { PL_HTTP_GET, "/audit", "The audit log", "after:i limit:i", "", "200" },
    { PL_HTTP_GET, "/backup", "The next part of a backup", "after:s limit_bytes:i", "",
      "200:application/octet-stream" },
    { PL_HTTP_GET, "/bundle", "The next block of a bundle: a sync by file", "since:s peer:s", "",
      "200:application/octet-stream" },
    { PL_HTTP_POST, "/bundle", "Apply a block of a bundle that a peer made", "",
      "application/octet-stream", "200" },
    { PL_HTTP_GET, "/key", "The identity key and its rotations", "", "", "200" },
    { PL_HTTP_POST, "/key/rotate", "Rotate the identity key", "", "bits:x", "202" },
    { PL_HTTP_POST, "/invites", "Make an invite", "",
      "namespace:s right:s ttl_seconds:x prefix:s max_age_days:x", "201" },
    { PL_HTTP_GET, "/invites", "Invites that have not expired", "", "", "200" },
    { PL_HTTP_DELETE, "/invites/{id}", "Withdraw an invite", "", "", "200" },
    { PL_HTTP_POST, "/joins", "Join a node by its invite", "", "url:s! prefix:s max_age_days:x",
      "202" },
    { PL_HTTP_GET, "/joins", "How the last join went", "", "", "200" },
    { PL_HTTP_POST, "/tokens", "Issue a session binding token", "",
      "user_id:s! session_id:s peer:s ttl_seconds:x", "201" },
    { PL_HTTP_GET, "/tokens", "Tokens that are known", "after:s limit:i", "", "200" },
    { PL_HTTP_DELETE, "/tokens/{sbt_id}", "Revoke a token", "issuer:s", "", "200" },
    { PL_HTTP_GET, "/changes", "What was written, at once, waited for, or as events",
      "since:s limit:i wait:i access_token:s", "", "200 200:text/event-stream" },
    { PL_HTTP_GET, "/conversations", "Conversations, the last updated first",
      "order:s prefix:s title:s updated_since:t after:s limit:i", "", "200" },
    { PL_HTTP_POST, "/conversations", "Make a conversation", "",
      "conversation_id:s title:s surface:s metadata:o created_at:s messages:a *", "200 201" },
    { PL_HTTP_GET, "/conversations/{id}", "A conversation", "", "", "200 304" },
    { PL_HTTP_PATCH, "/conversations/{id}", "Change its header", "",
      "title:s surface:s metadata:o created_at:s *", "200" },
    { PL_HTTP_DELETE, "/conversations/{id}", "Delete it", "", "", "200" },
    { PL_HTTP_POST, "/conversations/{id}/purge", "Erase it everywhere, for good", "", "reason:s",
      "200" },
    { PL_HTTP_GET, "/conversations/{id}/history", "What it was", "message:s", "", "200" },
    { PL_HTTP_POST, "/conversations/{id}/promote", "Make an old version the current one", "",
      "message_id:s field:s version:s!", "200" },
    { PL_HTTP_GET, "/conversations/{id}/messages", "Its messages by time",
      "since:t until:t order:s after:s limit:i", "", "200 304" },
    { PL_HTTP_POST, "/conversations/{id}/messages", "Add a message", "",
      "role:s! content:s! message_id:s *", "200 201" },
    { PL_HTTP_GET, "/conversations/{id}/messages/{message_id}", "A message", "", "", "200 304" },
    { PL_HTTP_PATCH, "/conversations/{id}/messages/{message_id}", "Change its content", "",
      "content:s!", "200" },
    { PL_HTTP_DELETE, "/conversations/{id}/messages/{message_id}", "Delete it", "", "", "200" },
    { PL_HTTP_POST, "/conversations/{id}/messages/{message_id}/append",
      "Add to the end of its content", "durable:i", "content:s! role:s offset:x done:b",
      "200 201" },
    { PL_HTTP_GET, "/conflicts", "Versions that lost to one of another node",
      "conversation:s all:i after:s limit:i", "", "200" },
    { PL_HTTP_GET, "/retention", "How much history is kept", "", "", "200" },
    { PL_HTTP_POST, "/retention", "Change that", "", "versions:x max_age_days:x", "200" },
    { PL_HTTP_GET, "/log-level", "How much is logged", "", "", "200" },
    { PL_HTTP_POST, "/log-level", "Change that, until the next start", "", "level:s!", "200" },
    { PL_HTTP_GET, "/trash", "What a rebase took out", "conversation:s after:s limit:i", "",
      "200" },
    { PL_HTTP_POST, "/trash/restore", "Write it again", "",
      "conversation_id:s message_id:s after:s", "200" },
    { PL_HTTP_DELETE, "/trash", "Drop it for good", "conversation:s after:s", "", "200" },
};

/* ---- Words of a list ---- */

static struct parley_span next_word(struct parley_span *list)
{
    size_t len = 0;
    while (len < list->len && list->ptr[len] != ' ')
        len++;
    struct parley_span word = pl_span_of(list->ptr, len);
    *list = pl_span_after(*list, len == list->len ? len : len + 1);
    return word;
}

/* "name:type" -> the name; *rest is what is behind the colon, or empty. */
static struct parley_span cut_word(struct parley_span word, struct parley_span *rest)
{
    size_t len = 0;
    while (len < word.len && word.ptr[len] != ':')
        len++;
    *rest = len == word.len ? pl_span_of(NULL, 0) : pl_span_after(word, len + 1);
    return pl_span_of(word.ptr, len);
}

/* ---- Parts of the text ---- */

static void write_name(struct pl_out *out, struct parley_span name)
{
    pl_out_separate(out);
    pl_out_string(out, name);
    pl_out_text(out, ":");
}

static void write_type(struct pl_out *out, struct parley_span type)
{
    switch (type.len == 0 ? 'x' : type.ptr[0]) {
    case 's':
        pl_out_text(out, "{\"type\":\"string\"}");
        break;
    case 't':
        pl_out_text(out, "{\"type\":[\"string\",\"integer\"],\"description\":\"ISO 8601, or "
                         "microseconds since 1970\"}");
        break;
    case 'i':
        pl_out_text(out, "{\"type\":\"integer\",\"minimum\":1}");
        break;
    case 'b':
        pl_out_text(out, "{\"type\":\"boolean\"}");
        break;
    case 'o':
        pl_out_text(out, "{\"type\":\"object\"}");
        break;
    case 'a':
        pl_out_text(out, "{\"type\":\"array\"}");
        break;
    default:
        pl_out_text(out, "{}");
        break;
    }
}

static void write_parameter(struct pl_out *out, const char *where, struct parley_span name,
                            struct parley_span type)
{
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "name", name);
    pl_out_field_text(out, "in", where);
    if (strcmp(where, "path") == 0)
        pl_out_field_bool(out, "required", true);
    pl_out_name(out, "schema");
    write_type(out, type);
    pl_out_text(out, "}");
}

static void write_parameters(struct pl_out *out, const struct note *note, bool has_name_space)
{
    struct parley_span path = pl_span_text(note->path);
    struct parley_span query = pl_span_text(note->query);
    pl_out_name(out, "parameters");
    pl_out_text(out, "[");
    for (size_t i = 0; i < path.len; i++) {
        size_t end = i;
        while (path.ptr[i] == '{' && path.ptr[end] != '}')
            end++;
        if (end > i)
            write_parameter(out, "path", pl_span_of(path.ptr + i + 1, end - i - 1),
                            pl_span_text("s"));
        i = end;
    }
    if (has_name_space)
        write_parameter(out, "query", pl_span_text("namespace"), pl_span_text("s"));
    while (query.len != 0) {
        struct parley_span type;
        struct parley_span name = cut_word(next_word(&query), &type);
        write_parameter(out, "query", name, type);
    }
    pl_out_text(out, "]");
}

static bool is_required(struct parley_span type)
{
    return type.len == 2 && type.ptr[1] == '!';
}

static void write_members(struct pl_out *out, struct parley_span body)
{
    struct parley_span rest = body;
    bool open = false;
    pl_out_text(out, "{\"type\":\"object\",\"properties\":{");
    while (rest.len != 0) {
        struct parley_span type;
        struct parley_span name = cut_word(next_word(&rest), &type);
        open = open || pl_span_is(name, "*");
        if (pl_span_is(name, "*"))
            continue;
        write_name(out, name);
        write_type(out, type);
    }
    pl_out_text(out, "},\"required\":[");
    for (rest = body; rest.len != 0;) {
        struct parley_span type;
        struct parley_span name = cut_word(next_word(&rest), &type);
        if (!is_required(type))
            continue;
        pl_out_separate(out);
        pl_out_string(out, name);
    }
    pl_out_text(out, "]");
    if (open)
        pl_out_field_bool(out, "additionalProperties", true);
    pl_out_text(out, "}");
}

static void write_body(struct pl_out *out, struct parley_span body)
{
    bool plain = memchr(body.ptr, '/', body.len) != NULL;
    if (body.len == 0)
        return;
    pl_out_name(out, "requestBody");
    pl_out_text(out, "{\"content\":{");
    write_name(out, plain ? body : pl_span_text("application/json"));
    pl_out_text(out, "{\"schema\":");
    if (plain)
        pl_out_text(out, "{\"type\":\"string\"}");
    else
        write_members(out, body);
    pl_out_text(out, "}}}");
}

/* Types of the same status follow each other. */
static void write_responses(struct pl_out *out, struct parley_span good)
{
    struct parley_span before = pl_span_of(NULL, 0);
    pl_out_name(out, "responses");
    pl_out_text(out, "{");
    while (good.len != 0) {
        struct parley_span type;
        struct parley_span status = cut_word(next_word(&good), &type);
        bool same = before.len != 0 && pl_span_equal(before, status);
        if (before.len != 0 && !same)
            pl_out_text(out, "}}");
        if (!same) {
            write_name(out, status);
            pl_out_text(out, "{\"description\":\"Done\",\"content\":{");
        }
        write_name(out, type.len != 0 ? type : pl_span_text("application/json"));
        pl_out_text(out, "{}");
        before = status;
    }
    pl_out_text(out, "}},\"default\":{\"$ref\":\"#/components/responses/problem\"}}");
}

static const char *method_name(enum pl_http_method method)
{
    switch (method) {
    case PL_HTTP_GET:
        return "get";
    case PL_HTTP_POST:
        return "post";
    case PL_HTTP_PUT:
        return "put";
    case PL_HTTP_PATCH:
        return "patch";
    case PL_HTTP_DELETE:
        return "delete";
    case PL_HTTP_HEAD:
    case PL_HTTP_OPTIONS:
    case PL_HTTP_OTHER:
        break;
    }
    return "x-other";
}

static void write_operation(struct pl_out *out, const struct note *note,
                            const struct pl_route *route)
{
    enum pl_shim_access access = route->access;
    pl_out_name(out, method_name(note->method));
    pl_out_text(out, "{");
    pl_out_field_text(out, "summary", note->summary);
    if (access == PL_SHIM_OPEN) {
        pl_out_name(out, "security");
        pl_out_text(out, "[]");
    }
    pl_out_field_bool(out, "x-operator-only",
                      access == PL_SHIM_ADMIN_ONLY || access == PL_SHIM_LEGACY_LIST);
    bool by_name_space = access != PL_SHIM_OPEN && access != PL_SHIM_LEGACY_LIST;
    write_parameters(out, note, by_name_space);
    write_body(out, pl_span_text(note->body));
    write_responses(out, pl_span_text(note->good));
    pl_out_text(out, "}");
}

/* ---- Routes and notes ---- */

/* "/a/{id}/b" and "/a" "/" "*" "/b" say the same. */
static bool names_the_same(const char *path, const char *pattern)
{
    while (*path != '\0' && *pattern != '\0') {
        if (*path == '{' && *pattern == '*') {
            while (*path != '}')
                path++;
        } else if (*path != *pattern) {
            return false;
        }
        path++;
        pattern++;
    }
    return *path == *pattern;
}

static const struct pl_route *route_of(const struct note *note)
{
    size_t count;
    const struct pl_route *routes = pl_shim_routes(&count);
    for (size_t i = 0; i < count; i++)
        if (routes[i].method == note->method && names_the_same(note->path, routes[i].pattern))
            return &routes[i];
    return NULL;
}

/* Operations of one path stand together, wherever their notes are. */
static void write_paths(struct pl_out *out)
{
    pl_out_text(out, "{");
    for (size_t i = 0; i < PL_ARRAY_LEN(notes); i++) {
        size_t first = 0;
        while (strcmp(notes[first].path, notes[i].path) != 0)
            first++;
        if (first != i)
            continue;
        write_name(out, pl_span_text(notes[i].path));
        pl_out_text(out, "{");
        for (size_t k = i; k < PL_ARRAY_LEN(notes); k++) {
            const struct pl_route *route = route_of(&notes[k]);
            if (strcmp(notes[k].path, notes[i].path) == 0 && route != NULL)
                write_operation(out, &notes[k], route);
        }
        pl_out_text(out, "}");
    }
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_get_openapi(struct pl_node *node, struct pl_request *request)
{
    struct pl_out *out = &request->out;
    const char *version = node->options.version != NULL ? node->options.version : "";
    pl_shim_reply(request, 200);
    pl_out_text(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"parley\"");
    pl_out_field_text(out, "version", version);
    pl_out_text(out, "},\"security\":[{\"bearer\":[]}],\"paths\":");
    write_paths(out);
    pl_out_text(
        out, ",\"components\":{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":"
             "\"bearer\"}},\"responses\":{\"problem\":{\"description\":\"Refused: RFC 9457\","
             "\"content\":{\"application/problem+json\":{\"schema\":{\"type\":\"object\","
             "\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
             "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},\"detail\":{"
             "\"type\":\"string\"},\"field\":{\"type\":\"string\"},\"limit\":{\"type\":"
             "\"integer\"}},\"required\":[\"type\",\"title\",\"status\",\"code\",\"detail\"]}}}}}"
             "}}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_version(struct pl_node *node, struct pl_request *request)
{
    struct pl_out *out = &request->out;
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_field_text(out, "name", "parley");
    pl_out_field_text(out, "version", node->options.version != NULL ? node->options.version : "");
    pl_out_field_u64(out, "protocol", PL_WIRE_VERSION);
    pl_out_text(out, "}");
    return PL_SHIM_DONE;
}
