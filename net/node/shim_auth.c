/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks, and may they.
 *
 * Three kinds of bearer tokens: the operator's (64 hex digits), a session binding token of a
 * registered peer, and one that this node issued itself. Nothing of a body is read before this has
 * said yes. In compat-legacy mode a token in a form that nobody can verify counts as none, because
 * the old clients sign with what is no secret; a token that could be verified and fails never does.
 */
#include "core/hash.h"
#include "node/shim.h"

#define ADMIN_TOKEN_BYTES 32 /* in hex */

/* ---- Plain loopback: keep browsers of this machine out (rebinding, cross-site requests) ---- */

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool equals_nocase(struct parley_span text, const char *want)
{
    if (text.len != strlen(want))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (lower(text.ptr[i]) != want[i])
            return false;
    return true;
}

/* "name" or "name:port", where name means this machine. */
static bool is_loopback_name(struct parley_span host)
{
    size_t len = host.len;
    while (len != 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9')
        len--;
    struct parley_span name = host;
    if (len != 0 && len < host.len && host.ptr[len - 1] == ':')
        name = pl_span_of(host.ptr, len - 1);
    return equals_nocase(name, "localhost") || equals_nocase(name, "127.0.0.1") ||
           equals_nocase(name, "[::1]");
}

/* An address instead of a name: no page of another site can make a browser send it to us under its
 * own name. So it is harmless, and a node that listens on its LAN address is reached by it. The
 * parser has seen to its shape (is_host in http1.c): what begins with a bracket is IPv6. */
static bool is_address(struct parley_span host)
{
    bool v6 = host.ptr[0] == '[';
    for (size_t i = 0; i < host.len && !v6; i++) {
        uint8_t c = host.ptr[i];
        if ((c < '0' || c > '9') && c != '.' && c != ':')
            return false;
    }
    return true;
}

static bool is_loopback_origin(struct parley_span origin)
{
    if (pl_span_has_prefix(origin, pl_span_text("http://")))
        return is_loopback_name(pl_span_after(origin, 7));
    if (pl_span_has_prefix(origin, pl_span_text("https://")))
        return is_loopback_name(pl_span_after(origin, 8));
    return false;
}

bool pl_shim_check_host(struct pl_node *node, struct pl_request *request)
{
    struct parley_span host = request->head.host;
    struct parley_span origin = request->head.origin;
    if (host.ptr != NULL && !is_loopback_name(host) && !is_address(host)) {
        pl_shim_problem(request, 403, "foreign-host",
                        "Host must be localhost or the address of this node");
        return false;
    }
    if (origin.ptr == NULL || is_loopback_origin(origin) || pl_shim_is_named_origin(node, origin))
        return true;
    pl_shim_problem(request, 403, "foreign-origin",
                    "pages of other origins may not use this node; the operator can allow one with "
                    "parleyd --cors-origin");
    return false;
}

/* ---- Tokens ---- */

static bool refuse_token(struct pl_request *request, const char *code, const char *detail)
{
    pl_shim_problem(request, 401, code, detail);
    pl_shim_header(request, "WWW-Authenticate", pl_span_text("Bearer"));
    return false;
}

void pl_shim_token_problem(struct pl_request *request, enum pl_token_refusal why)
{
    refuse_token(request, pl_token_refusal_code(why), pl_token_refusal_text(why));
}

/* Whether the record of the request's token, if there is one, still lets it pass. Who is a peer or
 * has a session has shown a token, and its key is noted. */
static bool check_not_revoked(struct pl_node *node, struct pl_request *request)
{
    struct pl_token_record record;
    bool found = false;
    struct parley_span key = pl_span_of(request->token_key, request->token_key_len);
    parley_err err = pl_tokens_find(node, key, &record, &found);
    if (err != PARLEY_OK) {
        pl_shim_store_problem(node, request, err);
        return false;
    }
    if (!found || record.revoked_at == 0)
        return true;
    return refuse_token(request, "token-revoked", "the token was revoked here; issue a new one");
}

bool pl_shim_check_token(struct pl_node *node, struct pl_request *request,
                         const struct pl_token *token)
{
    if (token->expires_at - token->created_at > PL_TOKEN_LIFETIME_US_MAX)
        return refuse_token(request, "token-too-long-lived",
                            "the token is made for more than 31 days; issue one for less");
    request->token_expires = token->expires_at;
    request->token_key_len =
        pl_tokens_key(pl_span_text(token->issuer), pl_span_text(token->sbt_id), request->token_key)
            .len;
    return check_not_revoked(node, request);
}

static bool is_admin(const struct pl_node *node, const uint8_t token[ADMIN_TOKEN_BYTES])
{
    return pl_equal_ct(token, node->options.admin_token, ADMIN_TOKEN_BYTES);
}

/* `token` is wiped. */
static bool take_admin(struct pl_node *node, struct pl_request *request,
                       uint8_t token[ADMIN_TOKEN_BYTES])
{
    bool same = is_admin(node, token);
    pl_wipe(token, ADMIN_TOKEN_BYTES);
    if (!same)
        return refuse_token(request, "token-admin",
                            "this is not the operator's token of this node");
    request->role = PL_SHIM_ADMIN;
    return true;
}

/* A verified peer must also be an active one. */
static bool take_peer(const struct pl_node *node, struct pl_request *request,
                      const struct pl_peer *peer)
{
    if (peer->legacy && !node->options.compat_legacy) {
        pl_shim_problem(request, 403, "legacy-registration",
                        "this peer registered without proof, with --compat-legacy, which is off "
                        "now; register it again with a signed token");
        return false;
    }
    switch (peer->state) {
    case PL_PEER_ACTIVE:
        request->role = PL_SHIM_PEER;
        request->peer_number = peer->number;
        return true;
    case PL_PEER_PENDING:
    case PL_PEER_JOINING:
        pl_shim_problem(request, 403, "pending",
                        "the registration of this peer waits for the operator's approval");
        return false;
    case PL_PEER_REVOKED:
        pl_shim_problem(request, 403, "revoked", "this peer was revoked here");
        return false;
    }
    return false;
}

static bool refuse_rotated(struct pl_request *request)
{
    return refuse_token(request, "token-rotated",
                        "the token is signed with a key that was rotated away more than 7 days "
                        "ago; issue a new one");
}

/* One that we issued ourselves: it stands for the other id in it, or for a user of this node. */
static bool take_own(struct pl_node *node, struct pl_request *request, struct parley_span jwt)
{
    struct pl_token token;
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    bool rotated = false;
    parley_err err = pl_shim_verify_own(node, jwt, &token, &rotated, &why);
    if (rotated)
        return refuse_rotated(request);
    if (err != PARLEY_OK) {
        pl_shim_token_problem(request, why);
        return false;
    }
    if (!pl_shim_check_token(node, request, &token))
        return false;
    bool local_is_us = pl_span_is(pl_span_text(token.local_backend_id), node->backend_id);
    const char *other = local_is_us ? token.hosted_backend_id : token.local_backend_id;
    if (pl_span_is(pl_span_text(other), node->backend_id)) {
        request->role = PL_SHIM_SESSION;
        return true;
    }
    const struct pl_peer *peer = pl_peers_find(&node->peers, pl_span_text(other));
    if (peer != NULL)
        return take_peer(node, request, peer);
    pl_shim_problem(request, 403, "not-registered", "the token is for a peer not registered here");
    return false;
}

static bool refuse_unknown(struct pl_request *request, const char *id)
{
    struct parley_diag diag;
    struct pl_writer w = pl_writer_over(diag.text, sizeof diag.text - 1);
    pl_write_text(&w, id);
    pl_write_text(&w, " is not registered here; send POST /register-peer first");
    diag.text[w.len] = '\0';
    pl_shim_problem(request, 403, "not-registered", diag.text);
    return false;
}

static bool take_sbt(struct pl_node *node, struct pl_request *request, struct parley_span jwt)
{
    char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_token token;
    enum pl_token_refusal why = PL_TOKEN_ACCEPTED;
    bool lenient = node->options.compat_legacy && request->route->access != PL_SHIM_ADMIN_ONLY;
    parley_err err = pl_token_peek_issuer(jwt, issuer, &why);
    if (err != PARLEY_OK) {
        if (lenient)
            return true;
        pl_shim_token_problem(request, why);
        return false;
    }
    if (pl_span_is(pl_span_text(issuer), node->backend_id))
        return take_own(node, request, jwt);
    const struct pl_peer *peer = pl_peers_find(&node->peers, pl_span_text(issuer));
    if (peer == NULL)
        return refuse_unknown(request, issuer);
    bool rotated = false;
    err = pl_shim_verify_peer(node, peer, jwt, &token, &rotated, &why);
    if (rotated)
        return refuse_rotated(request);
    if (err == PARLEY_OK)
        return pl_shim_check_token(node, request, &token) && take_peer(node, request, peer);
    if (err == PARLEY_ETYPE && lenient)
        return true;
    pl_shim_token_problem(request, why);
    return false;
}

static bool take_token(struct pl_node *node, struct pl_request *request, struct parley_span token)
{
    uint8_t admin[ADMIN_TOKEN_BYTES];
    if (pl_hex_decode(token, admin, sizeof admin) == PARLEY_OK)
        return take_admin(node, request, admin);
    pl_wipe(admin, sizeof admin); /* the beginning of one with a slip in it */
    return take_sbt(node, request, token);
}

/* What reads events in a browser (EventSource) can send no header: there, and only there, the token
 * may be in the query. Queries are logged by others; ours are not. */
static bool identify_by_query(struct pl_node *node, struct pl_request *request)
{
    char text[PARLEY_TOKEN_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    if (request->route->handler != pl_shim_get_changes)
        return true;
    bool good = pl_shim_query(request, "access_token", text, sizeof text, &len, &found) &&
                (!found || take_token(node, request, pl_span_of(text, len)));
    pl_wipe(text, sizeof text);
    return good;
}

static bool bearer_of(struct parley_span value, struct parley_span *token)
{
    if (value.len < 8 || !equals_nocase(pl_span_of(value.ptr, 7), "bearer "))
        return false;
    *token = pl_span_after(value, 7);
    return true;
}

/* Fills role and peer. Without a token the role stays NOBODY. */
static bool identify(struct pl_node *node, struct pl_request *request)
{
    struct parley_span token;
    if (request->head.authorization.ptr == NULL)
        return identify_by_query(node, request);
    if (!bearer_of(request->head.authorization, &token))
        return refuse_token(request, "token-malformed", "Authorization must be \"Bearer <token>\"");
    return take_token(node, request, token);
}

/* Where nobody needs a token that of the operator counts all the same: a crowd of strangers shall
 * not keep him from seeing how the node is. No other is looked at: signatures take time. */
static void know_operator(const struct pl_node *node, struct pl_request *request)
{
    struct parley_span token;
    uint8_t admin[ADMIN_TOKEN_BYTES];
    if (bearer_of(request->head.authorization, &token) &&
        pl_hex_decode(token, admin, sizeof admin) == PARLEY_OK && is_admin(node, admin))
        request->role = PL_SHIM_ADMIN;
    pl_wipe(admin, sizeof admin);
}

/* ---- Rights ---- */

struct pl_peer *pl_shim_peer(struct pl_node *node, const struct pl_request *request)
{
    return request->role == PL_SHIM_PEER ? pl_peers_find_number(&node->peers, request->peer_number)
                                         : NULL;
}

bool pl_shim_may(struct pl_node *node, const struct pl_request *request,
                 struct parley_span name_space, bool write)
{
    switch (request->role) {
    case PL_SHIM_NOBODY:
        return false;
    case PL_SHIM_ADMIN:
        return true;
    case PL_SHIM_SESSION:
        return pl_span_is(name_space, "main");
    case PL_SHIM_PEER:
        break;
    }
    const struct pl_peer *peer = pl_shim_peer(node, request);
    if (peer == NULL || peer->state != PL_PEER_ACTIVE)
        return false;
    const struct pl_grant *grant = pl_peer_granted(peer, name_space);
    return grant != NULL && (grant->may_write || !write);
}

static bool need_token(struct pl_request *request)
{
    if (request->role != PL_SHIM_NOBODY)
        return true;
    return refuse_token(request, "token-missing",
                        "send Authorization: Bearer with the operator's token or a session token");
}

/* A grant with a prefix is good for routes of one conversation within it; those of all of them, and
 * what comes in one payload, do not look at each. */
static bool is_within_prefix(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = pl_shim_peer(node, request);
    const struct pl_grant *grant =
        peer == NULL ? NULL : pl_peer_granted(peer, pl_shim_name_space(request));
    if (grant == NULL || grant->filter.prefix[0] == '\0')
        return true;
    return pl_span_has_prefix(pl_span_text(request->route->pattern),
                              pl_span_text("/conversations/*")) &&
           pl_span_has_prefix(pl_shim_param(request, 0), pl_span_text(grant->filter.prefix));
}

static bool need_grant(struct pl_node *node, struct pl_request *request, bool write)
{
    if (!need_token(request))
        return false;
    if (pl_shim_may(node, request, pl_shim_name_space(request), write)) {
        if (is_within_prefix(node, request))
            return true;
        pl_shim_problem_field(request, 403, "not-granted", "namespace",
                              "this peer was granted only conversations that begin with a prefix");
        return false;
    }
    pl_shim_problem_field(request, 403, "not-granted", "namespace",
                          write ? "this peer was not granted write here"
                                : "this peer was not granted read here");
    return false;
}

static bool need_admin(struct pl_request *request)
{
    if (!need_token(request))
        return false;
    if (request->role == PL_SHIM_ADMIN)
        return true;
    pl_shim_problem(request, 403, "operator-only", "only the operator's token may do this");
    return false;
}

/* Whether who asks may use the route. */
static bool check_right(struct pl_node *node, struct pl_request *request)
{
    enum pl_shim_access access = request->route->access;
    bool legacy = node->options.compat_legacy && request->role == PL_SHIM_NOBODY;
    switch (access) {
    case PL_SHIM_OPEN:
        return true;
    case PL_SHIM_ADMIN_ONLY:
        return need_admin(request);
    case PL_SHIM_READ:
        return need_grant(node, request, false);
    case PL_SHIM_WRITE:
        return need_grant(node, request, true);
    case PL_SHIM_LEGACY_LIST:
        return legacy || need_admin(request);
    case PL_SHIM_LEGACY_READ:
        return (legacy && pl_span_is(pl_shim_name_space(request), "main")) ||
               need_grant(node, request, false);
    case PL_SHIM_SYNC:
        return legacy || need_grant(node, request, true);
    }
    return false;
}

bool pl_shim_authorize(struct pl_node *node, struct pl_request *request)
{
    if (request->route->access == PL_SHIM_OPEN)
        know_operator(node, request);
    else if (!identify(node, request))
        return false;
    return check_right(node, request);
}

bool pl_shim_still_may(struct pl_node *node, struct pl_request *request)
{
    const struct pl_peer *peer = pl_shim_peer(node, request);
    bool has_life = request->role == PL_SHIM_PEER || request->role == PL_SHIM_SESSION;
    if (has_life && node->now.wall > request->token_expires + PL_TOKEN_LEEWAY_US)
        return refuse_token(request, "token-expired", "the token expired while the body came");
    if (has_life && !check_not_revoked(node, request))
        return false;
    if (request->role == PL_SHIM_PEER && (peer == NULL || !take_peer(node, request, peer)))
        return false;
    return check_right(node, request);
}
