/* SPDX-License-Identifier: Apache-2.0
 *
 * Invites: one line that lets one node join. The URL is
 *   parley://HOST:PORT/<backend id>?k=<fingerprint>&s=<secret>&n=<namespace>&r=<r|w>&e=<unix s>
 * with fingerprint (32 bytes) and secret (16 bytes) in base64url. Only a hash of the secret is
 * stored, under "invite/<hex>", so that a stolen store does not let anybody in.
 */
#include "node/node_int.h"

#include "core/base64.h"
#include "core/hash.h"
#include "core/mp_write.h"
#include "core/utf8.h"

#define INVITE_PREFIX           "invite/"
#define INVITE_KEY_BYTES        (sizeof INVITE_PREFIX - 1 + PL_INVITE_ID_BYTES)
#define INVITE_RECORD_BYTES_MAX 512
/* Before there were filters. */
#define INVITE_FIELDS_OLD 6
#define INVITE_FIELDS     8
#define URL_SCHEME        "parley://"
#define COPY_WHOLE        "copy the whole line of `parley invite`; a shell needs it in quotes"

static void hash_secret(const uint8_t secret[PL_INVITE_SECRET_BYTES], uint8_t out[16])
{
    uint8_t hash[PL_SHA256_BYTES];
    pl_sha256_of(pl_span_of(secret, PL_INVITE_SECRET_BYTES), hash);
    memcpy(out, hash, 16);
}

void pl_invite_id(const struct pl_invite *invite, char id[PL_INVITE_ID_BYTES])
{
    pl_hex_encode(invite->secret_hash, sizeof invite->secret_hash, id);
}

static void make_key(const struct pl_invite *invite, char key[INVITE_KEY_BYTES])
{
    memcpy(key, INVITE_PREFIX, sizeof INVITE_PREFIX - 1);
    pl_invite_id(invite, key + sizeof INVITE_PREFIX - 1);
}

void pl_invite_store(struct pl_node *node, struct pl_invite *invite)
{
    char key[INVITE_KEY_BYTES];
    uint8_t record[INVITE_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    make_key(invite, key);
    pl_mp_write_array(&w, INVITE_FIELDS);
    pl_mp_write_bin(&w, pl_span_of(invite->secret_hash, sizeof invite->secret_hash));
    pl_mp_write_text(&w, invite->name_space);
    pl_mp_write_bool(&w, invite->may_write);
    pl_mp_write_int(&w, invite->expires);
    pl_mp_write_text(&w, invite->used_by);
    pl_mp_write_int(&w, invite->created);
    pl_mp_write_text(&w, invite->filter.prefix);
    pl_mp_write_uint(&w, invite->filter.max_age);
    PL_ASSERT(w.err == PARLEY_OK);
    invite->stored_in = pl_batch_serial(node);
    pl_batch_put_sys(node, pl_span_of(key, sizeof key), pl_writer_span(&w));
}

static void read_text(struct pl_reader *r, char *out, size_t cap)
{
    struct parley_span text = pl_mp_read_str(r, cap - 1);
    if (text.len != 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static parley_err decode_invite(struct parley_span record, struct pl_invite *out)
{
    struct pl_reader r = pl_reader_over(record);
    uint32_t fields = pl_mp_read_array(&r, INVITE_FIELDS);
    struct parley_span hash = pl_mp_read_bin(&r, sizeof out->secret_hash);
    *out = (struct pl_invite){ 0 };
    read_text(&r, out->name_space, sizeof out->name_space);
    out->may_write = pl_mp_read_bool(&r);
    out->expires = pl_mp_read_int(&r);
    read_text(&r, out->used_by, sizeof out->used_by);
    out->created = pl_mp_read_int(&r);
    bool filtered = fields == INVITE_FIELDS;
    struct parley_span prefix =
        filtered ? pl_mp_read_str(&r, PARLEY_ID_BYTES_MAX) : pl_span_text("");
    uint64_t max_age = filtered ? pl_mp_read_uint(&r) : 0;
    if (pl_reader_end(&r) != PARLEY_OK || (fields != INVITE_FIELDS_OLD && !filtered) ||
        pl_filter_set(&out->filter, prefix, max_age) != PARLEY_OK ||
        hash.len != sizeof out->secret_hash)
        return PARLEY_ECORRUPT;
    memcpy(out->secret_hash, hash.ptr, hash.len);
    return PARLEY_OK;
}

parley_err pl_invite_load(struct pl_node *node, struct parley_read *read)
{
    struct parley_span prefix = pl_span_text(INVITE_PREFIX);
    struct parley_span after = prefix;
    for (;;) {
        struct parley_span value;
        bool found = false;
        PL_TRY(parley_read_sys_after(read, prefix, after, &after, &value, &found));
        if (!found || node->invite_count == PL_INVITES_MAX)
            return PARLEY_OK;
        struct pl_invite *invite = &node->invites[node->invite_count];
        PL_TRY(decode_invite(value, invite));
        node->invite_count++;
        /* A revocation from now on is later, also if the clock was put back meanwhile. */
        if (invite->created > node->last_stamp)
            node->last_stamp = invite->created;
    }
}

parley_err pl_invite_void_all(struct pl_node *node)
{
    struct parley_write writes[PL_INVITES_MAX] = { { 0 } };
    char keys[PL_INVITES_MAX][INVITE_KEY_BYTES];
    bool changed = false;
    for (size_t i = 0; i < node->invite_count; i++) {
        make_key(&node->invites[i], keys[i]);
        writes[i].kind = PARLEY_WRITE_SYS_DEL;
        writes[i].u.sys.key = pl_span_of(keys[i], sizeof keys[i]);
    }
    PL_TRY(parley_db_apply(node->db, writes, node->invite_count, node->now.wall, &changed));
    node->invite_count = 0;
    return PARLEY_OK;
}

void pl_invite_undo(struct pl_node *node, struct parley_read *read, uint64_t serial)
{
    for (size_t i = node->invite_count; i-- > 0;) {
        struct pl_invite *invite = &node->invites[i];
        struct parley_span value;
        char key[INVITE_KEY_BYTES];
        bool found = false;
        unsigned tries = invite->tries;
        if (invite->stored_in != serial)
            continue;
        make_key(invite, key);
        parley_err err = parley_read_sys(read, pl_span_of(key, sizeof key), &value, &found);
        if (err == PARLEY_OK && found && decode_invite(value, invite) == PARLEY_OK)
            invite->tries = tries;
        else
            *invite = node->invites[--node->invite_count];
    }
}

/* A place for a new invite: a free one, else one that has expired or was used. */
static struct pl_invite *find_place(struct pl_node *node)
{
    if (node->invite_count < PL_INVITES_MAX)
        return &node->invites[node->invite_count++];
    for (size_t i = 0; i < PL_INVITES_MAX; i++) {
        struct pl_invite *invite = &node->invites[i];
        if (invite->expires > node->now.wall && invite->used_by[0] == '\0')
            continue;
        char key[INVITE_KEY_BYTES];
        make_key(invite, key);
        pl_batch_del_sys(node, pl_span_of(key, sizeof key));
        return invite;
    }
    return NULL;
}

static void write_decimal(struct pl_writer *w, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    pl_write_bytes(w, digits + sizeof digits - count, count);
}

parley_err pl_node_invite(struct pl_node *node, struct parley_span name_space, bool may_write,
                          parley_wall expires, char *url, size_t cap, struct parley_now now)
{
    struct pl_filter none = { .max_age = 0 };
    char id[PL_INVITE_ID_BYTES];
    return pl_invite_make(node, name_space, may_write, &none, expires, url, cap, id, now);
}

parley_err pl_invite_make(struct pl_node *node, struct parley_span name_space, bool may_write,
                          const struct pl_filter *filter, parley_wall expires, char *url,
                          size_t cap, char id[PL_INVITE_ID_BYTES], struct parley_now now)
{
    uint8_t secret[PL_INVITE_SECRET_BYTES];
    node->now = now;
    if (name_space.len == 0 || name_space.len > PARLEY_NAMESPACE_BYTES_MAX || cap == 0)
        return PARLEY_EINVAL;
    if (!pl_audit_has_room(node) ||
        !pl_batch_has_room(node, 2, INVITE_RECORD_BYTES_MAX + 2 * INVITE_KEY_BYTES))
        return PARLEY_EAGAIN;
    struct pl_invite *invite = find_place(node);
    if (invite == NULL)
        return PARLEY_EFULL;
    node->env->entropy(node->env->ud, secret, sizeof secret);
    *invite = (struct pl_invite){ .may_write = may_write,
                                  .filter = *filter,
                                  .created = pl_peering_stamp(node),
                                  .expires = expires };
    hash_secret(secret, invite->secret_hash);
    pl_invite_id(invite, id);
    memcpy(invite->name_space, name_space.ptr, name_space.len);
    pl_audit_event(node, PL_AUDIT_invite_created, "operator", invite->name_space,
                   may_write ? "write" : "read");
    pl_invite_store(node, invite);
    pl_batch_commit_soon(node);
    pl_node_trace(node, PARLEY_TRACE_INVITE_CREATED_EVENT, "", invite->name_space, 0);

    const struct pl_pubkey *key = pl_identity_pubkey(node->identity);
    struct pl_writer w = pl_writer_over(url, cap - 1);
    pl_write_text(&w, URL_SCHEME);
    pl_write_text(&w, node->advertise);
    pl_write_text(&w, "/");
    pl_write_text(&w, node->backend_id);
    pl_write_text(&w, "?k=");
    pl_base64url_write(&w, pl_span_of(key->fingerprint, sizeof key->fingerprint));
    pl_write_text(&w, "&s=");
    pl_base64url_write(&w, pl_span_of(secret, sizeof secret));
    pl_write_text(&w, "&n=");
    pl_write_text(&w, invite->name_space);
    pl_write_text(&w, may_write ? "&r=w&e=" : "&r=r&e=");
    write_decimal(&w, (uint64_t)(expires / PARLEY_US_PER_S));
    pl_wipe(secret, sizeof secret);
    if (w.err != PARLEY_OK)
        return w.err;
    url[w.len] = '\0';
    return PARLEY_OK;
}

static bool is_usable(const struct pl_node *node, const struct pl_invite *invite,
                      struct parley_span peer_id)
{
    bool open = invite->used_by[0] == '\0';
    bool again = pl_span_is(peer_id, invite->used_by) && invite->tries < PL_INVITE_TRIES_MAX;
    return !invite->withdrawn && (open || again) && invite->expires > node->now.wall;
}

bool pl_invite_may_join(const struct pl_node *node, struct parley_span peer_id)
{
    for (size_t i = 0; i < node->invite_count; i++)
        if (is_usable(node, &node->invites[i], peer_id))
            return true;
    return false;
}

struct pl_invite *pl_invite_find(struct pl_node *node, const uint8_t secret[PL_INVITE_SECRET_BYTES],
                                 struct parley_span peer_id)
{
    uint8_t hash[16];
    hash_secret(secret, hash);
    for (size_t i = 0; i < node->invite_count; i++) {
        struct pl_invite *invite = &node->invites[i];
        if (pl_equal_ct(invite->secret_hash, hash, sizeof hash))
            return is_usable(node, invite, peer_id) ? invite : NULL;
    }
    return NULL;
}

/* ---- Withdrawing ---- */

struct pl_invite *pl_invite_named(struct pl_node *node, struct parley_span id)
{
    for (size_t i = 0; i < node->invite_count; i++) {
        char own[PL_INVITE_ID_BYTES];
        pl_invite_id(&node->invites[i], own);
        if (!node->invites[i].withdrawn && pl_span_equal(id, pl_span_of(own, sizeof own)))
            return &node->invites[i];
    }
    return NULL;
}

parley_err pl_invite_withdraw(struct pl_node *node, struct pl_invite *invite)
{
    char key[INVITE_KEY_BYTES];
    if (!pl_audit_has_room(node) || !pl_batch_has_room(node, 1, sizeof key))
        return PARLEY_EAGAIN;
    make_key(invite, key);
    invite->withdrawn = true;
    invite->stored_in = pl_batch_serial(node);
    pl_audit_event(node, PL_AUDIT_invite_withdrawn, "operator", invite->name_space,
                   invite->used_by);
    pl_batch_del_sys(node, pl_span_of(key, sizeof key));
    pl_node_trace(node, PARLEY_TRACE_INVITE_WITHDRAWN_EVENT, "", invite->name_space, 0);
    return PARLEY_OK;
}

void pl_invite_committed(struct pl_node *node, uint64_t serial)
{
    for (size_t i = node->invite_count; i-- > 0;)
        if (node->invites[i].withdrawn && node->invites[i].stored_in == serial)
            node->invites[i] = node->invites[--node->invite_count];
}

/* ---- The other side: reading a URL ---- */

static parley_err refuse(struct parley_diag *diag, const char *why)
{
    if (diag != NULL) {
        pl_text_copy(diag->text, sizeof diag->text, why);
    }
    return PARLEY_EMALFORMED;
}

/* Cuts `text` at the first `stop`; the whole when there is none. */
static struct parley_span cut(struct parley_span *text, char stop)
{
    const uint8_t *at = text->len == 0 ? NULL : memchr(text->ptr, stop, text->len);
    size_t len = at == NULL ? text->len : (size_t)(at - text->ptr);
    struct parley_span head = pl_span_of(text->ptr, len);
    *text = pl_span_after(*text, at == NULL ? len : len + 1);
    return head;
}

/* Texts become C strings and lines of logs: a NUL or a line end in one would say something else. */
static bool copy_text(char *out, size_t cap, struct parley_span text)
{
    if (text.len == 0 || text.len >= cap)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
            return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static bool decode_exact(struct parley_span text, uint8_t *out, size_t len)
{
    size_t got = 0;
    return pl_base64url_decode(text, out, len, &got) == PARLEY_OK && got == len;
}

static bool is_decimal(struct parley_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len != 0 && text.len < 20;
}

/* One pair of the query. Names that are not known are left to later versions. */
static parley_err parse_pair(struct parley_span name, struct parley_span value,
                             struct pl_join *join, struct parley_diag *diag)
{
    if (pl_span_is(name, "k") && !decode_exact(value, join->fingerprint, sizeof join->fingerprint))
        return refuse(diag, "url: the key (k=) is not 32 bytes of base64url; " COPY_WHOLE);
    if (pl_span_is(name, "s") && !decode_exact(value, join->secret, sizeof join->secret))
        return refuse(diag, "url: the secret (s=) is not 16 bytes of base64url; " COPY_WHOLE);
    if (pl_span_is(name, "n") &&
        (!copy_text(join->name_space, sizeof join->name_space, value) || !pl_utf8_is_valid(value)))
        return refuse(diag, "url: the namespace (n=) is empty, above 64 bytes, has blanks or is "
                            "not UTF-8");
    if (pl_span_is(name, "r") && !pl_span_is(value, "r") && !pl_span_is(value, "w"))
        return refuse(diag, "url: the right (r=) must be r or w; " COPY_WHOLE);
    if (pl_span_is(name, "r"))
        join->may_write = pl_span_is(value, "w");
    if (pl_span_is(name, "e") && !is_decimal(value))
        return refuse(diag, "url: the end (e=) must be seconds since 1970; " COPY_WHOLE);
    return PARLEY_OK;
}

/* No name twice: of two keys or namespaces, which one did the user look at? */
static parley_err parse_query(struct parley_span query, struct pl_join *join,
                              struct parley_diag *diag)
{
    static const char names[] = "ksnre";
    bool given[sizeof names] = { false };
    while (query.len > 0) {
        struct parley_span value = cut(&query, '&');
        struct parley_span name = cut(&value, '=');
        const char *known = name.len == 1 ? memchr(names, name.ptr[0], sizeof names - 1) : NULL;
        if (known != NULL && given[known - names])
            return refuse(diag, "url: a field is given twice; " COPY_WHOLE);
        if (known != NULL)
            given[known - names] = true;
        PL_TRY(parse_pair(name, value, join, diag));
    }
    if (!given[0])
        return refuse(diag, "url: the key (k=) is missing; " COPY_WHOLE);
    if (!given[1])
        return refuse(diag, "url: the secret (s=) is missing; " COPY_WHOLE);
    return given[2] ? PARLEY_OK : refuse(diag, "url: the namespace (n=) is missing");
}

parley_err pl_invite_parse(struct parley_span url, struct pl_join *out, struct parley_diag *diag)
{
    struct pl_join join = { .phase = PL_JOIN_NONE };
    if (!pl_span_has_prefix(url, pl_span_text(URL_SCHEME)))
        return refuse(diag, "url: must begin with parley://, as `parley invite` prints it");
    struct parley_span rest = pl_span_after(url, sizeof URL_SCHEME - 1);
    struct parley_span address = cut(&rest, '/');
    struct parley_span id = cut(&rest, '?');
    if (!copy_text(join.address, sizeof join.address, address))
        return refuse(diag, "url: HOST:PORT is missing, above 255 bytes or has blanks");
    if (!copy_text(join.backend_id, sizeof join.backend_id, id) || !pl_ascii_is_printable(id))
        return refuse(diag, "url: the backend id is missing, above 64 bytes, has blanks or is not "
                            "ASCII");
    PL_TRY(parse_query(rest, &join, diag));
    *out = join;
    return PARLEY_OK;
}

parley_err pl_node_join(struct pl_node *node, struct parley_span url, struct parley_now now,
                        struct parley_diag *diag)
{
    struct pl_filter none = { .max_age = 0 };
    return pl_invite_join(node, url, &none, now, diag);
}

parley_err pl_invite_join(struct pl_node *node, struct parley_span url,
                          const struct pl_filter *filter, struct parley_now now,
                          struct parley_diag *diag)
{
    struct pl_join join;
    node->now = now;
    if (node->join.phase == PL_JOIN_DIALING || node->join.phase == PL_JOIN_STORING) {
        pl_ignore(refuse(diag, "another join is under way; wait for it to end"), "one text");
        return PARLEY_EBUSY;
    }
    PL_TRY(pl_invite_parse(url, &join, diag));
    if (strcmp(join.backend_id, node->backend_id) == 0)
        return refuse(diag, "url: this is an invite of this node; run join on the other one");
    join.phase = PL_JOIN_DIALING;
    join.filter = *filter;
    node->join = join;
    pl_wipe(&join, sizeof join);
    return pl_native_dial_join(node);
}
