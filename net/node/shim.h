/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request between its head and its answer, and the handlers that serve it.
 *
 * A handler is a small state machine. It is called with the whole body, and returns
 *   DONE   the response is set
 *   WAIT   its writes are in the batch `serial`; called again, with `commit_err`, when that is done
 *   AGAIN  the batch has no room; called again after the next commit
 *   YIELD  much is left to do; called again after others had their turn
 *   MORE   of a body that comes in pieces: it needs more than there is, and is done with the first
 *          `body_taken` bytes; called again when there is more, or when that was the end
 *   SEND   `out` is a piece of the answer; called again, with an empty `out`, when it is sent. The
 *          head goes out before the first piece; from then on there is no other answer
 *   SLEEP  there is nothing to say yet; called again after the next commit, or at `wake_at`
 * Between calls it keeps numbers and buffers in the request, never spans of a read snapshot.
 * Nothing says "stored" before `commit_err` of the batch that holds it is PARLEY_OK.
 */
#ifndef PL_SHIM_H
#define PL_SHIM_H

#include "node/node_int.h"
#include "node/out.h"
#include "trust/token.h"

enum pl_shim_step {
    PL_SHIM_DONE,
    PL_SHIM_WAIT,
    PL_SHIM_AGAIN,
    PL_SHIM_YIELD,
    PL_SHIM_MORE,
    PL_SHIM_SEND,
    PL_SHIM_SLEEP
};

/* Who asks. */
enum pl_shim_role {
    PL_SHIM_NOBODY = 0, /* no token; in compat-legacy mode perhaps still allowed */
    PL_SHIM_ADMIN,
    PL_SHIM_PEER,   /* a token of a registered peer, `peer_number` */
    PL_SHIM_SESSION /* a token this node issued for itself: a user of the namespace "main" */
};

/* What a route asks for. */
enum pl_shim_access {
    PL_SHIM_OPEN,
    PL_SHIM_ADMIN_ONLY,
    PL_SHIM_READ,        /* a token, with read on the namespace */
    PL_SHIM_WRITE,       /* a token, with write on the namespace */
    PL_SHIM_LEGACY_LIST, /* admin; in compat-legacy mode anybody */
    PL_SHIM_LEGACY_READ, /* READ; in compat-legacy mode anybody, namespace "main" only */
    PL_SHIM_SYNC         /* WRITE; in compat-legacy mode also no token: the payload names a peer */
};

struct pl_request;

struct pl_route {
    enum pl_http_method method;
    const char *pattern; /* "*" stands for one segment, which becomes a parameter */
    enum pl_shim_access access;
    size_t body_bytes_max; /* above PL_HTTP_WHOLE_BYTES_MAX: the body comes in pieces */
    enum pl_shim_step (*handler)(struct pl_node *node, struct pl_request *request);
};

#define PL_SHIM_PARAMS_MAX      2
#define PL_SHIM_EXTRA_BYTES_MAX 2048
#define PL_SHIM_SMALL_BODY      65536u

struct pl_shim_import; /* shim_key.c */
enum pl_shim_step pl_shim_get_key(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_rotate_key(struct pl_node *node, struct pl_request *request);
/* shim_sync.c */

struct pl_request {
    struct pl_http_request head; /* lent from the connection's buffer until the answer is sent */
    struct parley_span body;     /* whole, or the piece of it that is here and not yet done with */
    bool body_more;              /* it goes on behind `body` */
    size_t body_taken;           /* MORE */
    uint64_t body_bytes;         /* that came so far */
    const struct pl_route *route;
    bool plain_local;  /* plain TCP from this machine: browsers are kept out by Host and Origin */
    bool plain_remote; /* plain TCP from another one, which was not allowed: nothing is served */
    pl_conn conn;
    struct pl_remote from;

    char param[PL_SHIM_PARAMS_MAX][PARLEY_ID_BYTES_MAX];
    size_t param_len[PL_SHIM_PARAMS_MAX];
    char name_space[PARLEY_NAMESPACE_BYTES_MAX];
    size_t name_space_len;
    enum pl_shim_role role;
    uint32_t peer_number;
    parley_wall token_expires;               /* microseconds; of a session binding token */
    char token_key[PL_TOKENS_KEY_BYTES_MAX]; /* its record, if there is one */
    size_t token_key_len;

    /* The state of the handler. */
    int phase;
    uint64_t serial; /* WAIT: the batch */
    size_t first;    /* where our writes begin in it */
    size_t count;
    parley_err commit_err;
    parley_time wake_at; /* SLEEP */
    uint64_t remembered; /* a number a handler keeps across a wait */
    char word[PARLEY_ID_BYTES_MAX + 1];
    size_t word_len;
    char long_text[640];         /* an invite URL */
    struct pl_out mp;            /* the body as msgpack */
    struct pl_out scratch;       /* one version's body */
    struct pl_shim_import *work; /* POST /sync and /import */
    struct {
        uint64_t after, limit;
        parley_time until; /* to wait for changes; of events: the next heartbeat */
        bool counted;      /* in node->streams */
    } feed;                /* GET /changes */

    /* The response. */
    unsigned status;
    const char *content_type;
    const char *problem; /* the code of a problem; static */
    bool tagged;         /* the answer has an entity tag */
    struct pl_out out;
    size_t packed_from; /* `out` is packed with gzip, from so many bytes; 0: it is as it is */
    char extra[PL_SHIM_EXTRA_BYTES_MAX]; /* formatted header lines */
    size_t extra_len;
};

/* ---- shim.c ---- */

/* The table of all routes, for who must miss none. */
const struct pl_route *pl_shim_routes(size_t *count);
/* Prepares an empty request. */
void pl_shim_init(struct pl_node *node, struct pl_request *request);
/* After the head: finds the route, decodes parameters, checks who asks. False: the response is set
 * and the body must not be looked at. */
bool pl_shim_begin(struct pl_node *node, struct pl_request *request);
/* Frees what the request holds. */
void pl_shim_end(struct pl_node *node, struct pl_request *request);

/* Sets an error response, in place of whatever was written before. `detail` is for people and says
 * what to do; `code` is static text for programs and never changes. */
void pl_shim_problem(struct pl_request *request, unsigned status, const char *code,
                     const char *detail);
/* The same with "<name>: <detail>" and the field named for programs. */
void pl_shim_problem_field(struct pl_request *request, unsigned status, const char *code,
                           const char *field, const char *detail);
/* The same, with the number that was exceeded; `field` may be NULL. */
void pl_shim_problem_limit(struct pl_request *request, unsigned status, const char *code,
                           const char *field, uint64_t limit, const char *detail);
/* What a failed commit or read means to a client: 507 and what to do, or 503. Returns DONE. */
enum pl_shim_step pl_shim_store_problem(struct pl_node *node, struct pl_request *request,
                                        parley_err err);
/* The same of a read, also for an answer that does not fit: then the buffer's own error counts. */
enum pl_shim_step pl_shim_read_problem(struct pl_node *node, struct pl_request *request,
                                       parley_err err);
/* The conversation of this id in the request's namespace, whatever is left of it. `*read` is the
 * node's, NULL after an error. */
PL_MUST_USE parley_err pl_shim_find_conversation(struct pl_node *node,
                                                 const struct pl_request *request,
                                                 struct parley_span id, struct parley_read **read,
                                                 struct parley_conversation_info *info,
                                                 bool *found);
/* Begins a JSON response with this status. */
void pl_shim_reply(struct pl_request *request, unsigned status);
void pl_shim_header(struct pl_request *request, const char *name, struct parley_span value);

static inline struct parley_span pl_shim_param(const struct pl_request *request, size_t index)
{
    return pl_span_of(request->param[index], request->param_len[index]);
}
static inline struct parley_span pl_shim_name_space(const struct pl_request *request)
{
    return pl_span_of(request->name_space, request->name_space_len);
}

/* Whether the asker may use the namespace. */
bool pl_shim_may(struct pl_node *node, const struct pl_request *request,
                 struct parley_span name_space, bool write);
/* The peer of a PL_SHIM_PEER request. */
struct pl_peer *pl_shim_peer(struct pl_node *node, const struct pl_request *request);
/* The peer that the first parameter of the path names. NULL: the response is set. */
struct pl_peer *pl_shim_named_peer(struct pl_node *node, struct pl_request *request);

/* Remembers where our writes will go; then add them, then `return pl_shim_wait(...)`. */
void pl_shim_mark(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_wait(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_again(struct pl_node *node);

/* Adds one version, large or small, to the batch. False: no room now, AGAIN. */
bool pl_shim_add_version(struct pl_node *node, struct pl_request *request,
                         const struct parley_version *version, uint32_t source);

/* ---- shim_body.c: small bodies ---- */

/* One field of a JSON object that a handler wants. */
struct pl_shim_field {
    const char *name;
    bool required;
    bool any; /* any type; otherwise a string of at most `max` bytes */
    size_t max;
    struct parley_span text;  /* of a string */
    struct parley_span value; /* as encoded; empty: absent or null */
};

/* Converts the body to msgpack in request->mp. False: the response is set. */
bool pl_shim_body(struct pl_node *node, struct pl_request *request);
/* The same, then picks fields out of the object; unknown ones are ignored. An empty body counts as
 * an empty object. */
bool pl_shim_body_fields(struct pl_node *node, struct pl_request *request,
                         struct pl_shim_field *fields, size_t count);
bool pl_shim_body_is_msgpack(const struct pl_request *request);
/* One value that stands alone, as such a field. `seen`: it was given before. False: the response is
 * set. */
bool pl_shim_json_field(struct pl_request *request, struct parley_span json, bool seen,
                        struct pl_shim_field *field);
/* Converts any JSON text into `out`, which grows. Errors as pl_json_to_mp, ENOMEM, EFULL. */
struct pl_json_error;
PL_MUST_USE parley_err pl_shim_to_mp(struct parley_span json, struct pl_out *out,
                                     struct pl_json_error *where);
/* An optional query parameter into text; *found. False: the response is set. */
bool pl_shim_query(struct pl_request *request, const char *name, char *out, size_t cap, size_t *len,
                   bool *found);
/* The same for a number of at most `max`; `*value` is left alone if absent. */
bool pl_shim_query_number(struct pl_request *request, const char *name, uint64_t max,
                          uint64_t *value);
/* `namespace` and `right` as POST /invites and /peers/{id}/approve take them. */
bool pl_shim_grant(struct pl_request *request, const struct pl_shim_field *name_space,
                   const struct pl_shim_field *right, bool *may_write);
/* After the call that put the record of a peer or an invite into the batch, and its error; then it
 * is phase 1. */
enum pl_shim_step pl_shim_wait_for_record(struct pl_node *node, struct pl_request *request,
                                          parley_err err);
/* `prefix` and `max_age_days`, likewise, and whether there is room for such a filter. False: the
 * problem is answered. */
bool pl_shim_take_filter(struct pl_request *request, const struct pl_shim_field *prefix,
                         const struct pl_shim_field *max_age, struct pl_filter *out);
bool pl_shim_check_views(struct pl_node *node, struct pl_request *request,
                         struct parley_span name_space, const struct pl_filter *filter);

/* ---- shim_cors.c ---- */

/* Whether the operator has named this origin. */
bool pl_shim_is_named_origin(const struct pl_node *node, struct parley_span origin);
/* The header lines that every answer has, at its end. */
void pl_shim_finish_head(struct pl_node *node, struct pl_request *request);
/* The answer to OPTIONS; `allow`: the methods of the path. */
void pl_shim_answer_options(struct pl_node *node, struct pl_request *request,
                            struct parley_span allow);

/* ---- shim_auth.c ---- */

/* Decides who asks and whether they may use the route. False: the response is set. */
bool pl_shim_authorize(struct pl_node *node, struct pl_request *request);
/* The same again once the body is there, which may be long after: the token may have expired
 * or been revoked, the peer been revoked or lost the right. */
bool pl_shim_still_may(struct pl_node *node, struct pl_request *request);
/* Host and Origin of a plain loopback request. */
bool pl_shim_check_host(struct pl_node *node, struct pl_request *request);
/* The response to a token that does not verify. */
void pl_shim_token_problem(struct pl_request *request, enum pl_token_refusal why);
/* What else a verified token must be: not too long-lived, and not revoked here. Remembers it in the
 * request. False: the response is set. */
bool pl_shim_check_token(struct pl_node *node, struct pl_request *request,
                         const struct pl_token *token);

/* ---- shim_key.c ---- */

/* Verify a token of a peer, or one of our own, with the current key or one that was rotated away
 * and still counts. Errors: pl_token_verify's; `*rotated`: EAUTH because the key counts no more. */
PL_MUST_USE parley_err pl_shim_verify_peer(struct pl_node *node, const struct pl_peer *peer,
                                           struct parley_span jwt, struct pl_token *token,
                                           bool *rotated, enum pl_token_refusal *why);
PL_MUST_USE parley_err pl_shim_verify_own(struct pl_node *node, struct parley_span jwt,
                                          struct pl_token *token, bool *rotated,
                                          enum pl_token_refusal *why);

/* ---- Handlers ---- */

/* shim_identity.c */
enum pl_shim_step pl_shim_get_identity(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_ca(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_health(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_register_peer(struct pl_node *node, struct pl_request *request);
/* shim_openapi.c */
enum pl_shim_step pl_shim_get_version(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_openapi(struct pl_node *node, struct pl_request *request);
/* shim_ui.c */
enum pl_shim_step pl_shim_get_ui(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_ui_file(struct pl_node *node, struct pl_request *request);
/* shim_peers.c */
enum pl_shim_step pl_shim_get_peers(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_peer(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_approve_peer(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_sync_peer(struct pl_node *node, struct pl_request *request);
/* shim_invites.c */
enum pl_shim_step pl_shim_post_invite(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_invites(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_invite(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_post_join(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_join(struct pl_node *node, struct pl_request *request);
/* shim_tokens.c */
enum pl_shim_step pl_shim_post_token(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_tokens(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_token(struct pl_node *node, struct pl_request *request);
/* shim_sync.c */
enum pl_shim_step pl_shim_post_sync(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_post_import(struct pl_node *node, struct pl_request *request);
void pl_shim_import_free(struct pl_node *node, struct pl_request *request);
/* shim_list.c */
enum pl_shim_step pl_shim_get_conversations(struct pl_node *node, struct pl_request *request);
/* shim_conversations.c */
enum pl_shim_step pl_shim_get_conversation(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_history(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_export(struct pl_node *node, struct pl_request *request);
/* shim_changes.c */
enum pl_shim_step pl_shim_get_changes(struct pl_node *node, struct pl_request *request);
void pl_shim_changes_end(struct pl_node *node, struct pl_request *request);
/* shim_messages.c */
enum pl_shim_step pl_shim_post_message(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_patch_message(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_message(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_conversation(struct pl_node *node, struct pl_request *request);
/* Adds a local version of the conversation in the path; its body is in request->scratch. Goes on in
 * phase 1. */
enum pl_shim_step pl_shim_write_local(struct pl_node *node, struct pl_request *request,
                                      enum parley_kind kind, struct parley_span id, uint32_t flags);
/* shim_log.c */
enum pl_shim_step pl_shim_get_log_level(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_post_log_level(struct pl_node *node, struct pl_request *request);
/* shim_retention.c */
enum pl_shim_step pl_shim_get_retention(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_post_retention(struct pl_node *node, struct pl_request *request);
/* shim_purge.c */
enum pl_shim_step pl_shim_purge(struct pl_node *node, struct pl_request *request);
/* shim_conflicts.c */
enum pl_shim_step pl_shim_get_conflicts(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_promote(struct pl_node *node, struct pl_request *request);
/* The body of a version into request->scratch, to be written anew: a message keeps its place in the
 * conversation. */
PL_MUST_USE parley_err pl_shim_copy_body(struct pl_request *request,
                                         const struct parley_version *v);
/* shim_trash.c */
enum pl_shim_step pl_shim_get_trash(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_restore_trash(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_empty_trash(struct pl_node *node, struct pl_request *request);
/* shim_backup.c */
enum pl_shim_step pl_shim_get_backup(struct pl_node *node, struct pl_request *request);
/* shim_bundle.c */
enum pl_shim_step pl_shim_get_bundle(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_post_bundle(struct pl_node *node, struct pl_request *request);
/* shim_audit.c */
enum pl_shim_step pl_shim_get_audit(struct pl_node *node, struct pl_request *request);
/* shim_status.c */
enum pl_shim_step pl_shim_get_status(struct pl_node *node, struct pl_request *request);
/* shim_metrics.c */
enum pl_shim_step pl_shim_get_metrics(struct pl_node *node, struct pl_request *request);
/* shim_diff.c */
enum pl_shim_step pl_shim_post_diff(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_diff(struct pl_node *node, struct pl_request *request);
/* shim_admin.c */
enum pl_shim_step pl_shim_get_check(struct pl_node *node, struct pl_request *request);
/* shim_thread.c: the messages of one conversation */
enum pl_shim_step pl_shim_get_messages(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_message(struct pl_node *node, struct pl_request *request);
/* shim_create.c */
enum pl_shim_step pl_shim_post_conversation(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_patch_conversation(struct pl_node *node, struct pl_request *request);
/* shim_append.c */
enum pl_shim_step pl_shim_append_message(struct pl_node *node, struct pl_request *request);

/* What answers about one thing that is not there say; they return DONE. shim_conversations.c,
 * shim_messages.c */
enum pl_shim_step pl_shim_no_conversation(struct pl_request *request);
enum pl_shim_step pl_shim_no_message(struct pl_request *request);
/* An optional time of the query, ISO 8601 or microseconds. False: the response is set. */
bool pl_shim_query_time(struct pl_request *request, const char *name, uint64_t *value);
/* Whether a parameter is an id that a conversation may have. False: the response is set. */
bool pl_shim_check_id(struct pl_request *request, size_t index);

/* idempotency.c */
#define PL_SHIM_KEY_BYTES_MAX 255u
/* Of ids that the node makes: 128 bits. */
#define PL_SHIM_MADE_ID_CHARS 32u
/* The message id that the request's Idempotency-Key makes, into request->word. `given`: the one in
 * the body, which must be the same. False: the response is set. */
bool pl_shim_key_id(struct pl_node *node, struct pl_request *request, struct parley_span given);
/* What the history of a message has: nothing, others only, or one that says the same. */
enum pl_shim_past { PL_SHIM_PAST_NONE, PL_SHIM_PAST_OTHER, PL_SHIM_PAST_SAME };
struct pl_message;
PL_MUST_USE parley_err pl_shim_key_history(struct parley_read *read, uint64_t conversation,
                                           struct parley_span id, const struct pl_message *said,
                                           enum pl_shim_past *out);
/* shim_legacy.c */
enum pl_shim_step pl_shim_post_legacy(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_delete_legacy(struct pl_node *node, struct pl_request *request,
                                        struct pl_legacy *legacy);
enum pl_shim_step pl_shim_post_sync_peer(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_sync_peer(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_sync_metrics(struct pl_node *node, struct pl_request *request);
enum pl_shim_step pl_shim_get_debug_sync(struct pl_node *node, struct pl_request *request);
/* What kind of peer it is, and how an old backend stands. */
void pl_shim_write_kind(const struct pl_node *node, const struct pl_peer *peer, struct pl_out *out);
/* Old backends whose id is not known yet, as elements of a list of peers. */
void pl_shim_write_unknown_legacy(struct pl_node *node, struct pl_out *out);

#endif
