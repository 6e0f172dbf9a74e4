/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of old backends and their records; the rules are in legacy.h.
 *
 * A record is a msgpack array; new fields go to its end, so that an older one still reads.
 */
#include "node/legacy.h"

#include "core/mp_read.h"
#include "core/mp_write.h"
#include "proto/http1_chars.h"

#define PREFIX        "legacy/"
#define KEY_BYTES_MAX (sizeof PREFIX - 1 + PL_PEER_ADDRESS_BYTES_MAX)
/* Version, address, five numbers of at most nine bytes, an incarnation and a flag. */
#define RECORD_BYTES_MAX (1 + 1 + 3 + PL_PEER_ADDRESS_BYTES_MAX + 5 * 9 + 18 + 1)
#define RECORD_VERSION   1
#define RECORD_FIELDS    8
#define PORT_DIGITS_MAX  5
#define PORT_MAX         65535u

/* ---- Records ---- */

static struct parley_span key_of(const struct pl_legacy *legacy, char out[KEY_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, KEY_BYTES_MAX);
    pl_write_text(&w, PREFIX);
    pl_write_text(&w, legacy->address);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

static void encode(const struct pl_legacy *legacy, struct pl_writer *w)
{
    pl_mp_write_array(w, RECORD_FIELDS);
    pl_mp_write_uint(w, RECORD_VERSION);
    pl_mp_write_text(w, legacy->address);
    pl_mp_write_uint(w, legacy->peer_number);
    pl_mp_write_int(w, legacy->added_at);
    pl_mp_write_bin(w, pl_span_of(legacy->incarnation.bytes, PARLEY_INCARNATION_BYTES));
    pl_mp_write_uint(w, legacy->cursor);
    pl_mp_write_int(w, legacy->pushed_at);
    pl_mp_write_bool(w, legacy->registered);
    PL_ASSERT(w->err == PARLEY_OK);
}

static PL_MUST_USE parley_err decode(struct parley_span record, struct pl_legacy *out)
{
    struct pl_reader r = pl_reader_over(record);
    uint32_t fields = pl_mp_read_array(&r, 64);
    uint64_t version = pl_mp_read_uint(&r);
    struct parley_span address = pl_mp_read_str(&r, PL_PEER_ADDRESS_BYTES_MAX);
    uint64_t number = pl_mp_read_uint(&r);
    out->added_at = pl_mp_read_int(&r);
    struct parley_span life = pl_mp_read_bin(&r, PARLEY_INCARNATION_BYTES);
    out->cursor = pl_mp_read_uint(&r);
    out->pushed_at = pl_mp_read_int(&r);
    out->registered = pl_mp_read_bool(&r);
    if (r.err != PARLEY_OK || fields < RECORD_FIELDS || version != RECORD_VERSION ||
        address.len == 0 || number > UINT32_MAX || life.len != PARLEY_INCARNATION_BYTES)
        return PARLEY_ECORRUPT;
    memcpy(out->address, address.ptr, address.len);
    memcpy(out->incarnation.bytes, life.ptr, life.len);
    out->peer_number = (uint32_t)number;
    return PARLEY_OK;
}

/* ---- The table ---- */

static struct pl_legacy *insert(struct pl_node *node)
{
    if (node->legacy_count == PL_LEGACY_PEERS_MAX)
        return NULL;
    struct pl_legacy *legacy = node->env->alloc(node->env->ud, sizeof *legacy);
    if (legacy == NULL)
        return NULL;
    *legacy = (struct pl_legacy){ .changes_max = PL_LEGACY_CHANGES_MAX,
                                  .since = node->now.wall,
                                  .next_at = node->now.mono };
    node->legacy[node->legacy_count++] = legacy;
    return legacy;
}

parley_err pl_legacy_load(struct pl_node *node, struct parley_read *read)
{
    struct parley_span prefix = pl_span_text(PREFIX);
    struct parley_span after = prefix;
    for (;;) {
        struct parley_span key;
        struct parley_span value;
        bool found = false;
        PL_TRY(parley_read_sys_after(read, prefix, after, &key, &value, &found));
        if (!found)
            return PARLEY_OK;
        struct pl_legacy *legacy = insert(node);
        if (legacy == NULL)
            return PARLEY_ENOMEM;
        legacy->stored_once = true;
        PL_TRY(decode(value, legacy));
        /* A registration or a revocation may be of another time than this record: it is looked at
         * again before the first call. */
        after = key;
    }
}

static void free_one(struct pl_node *node, struct pl_legacy *legacy)
{
    PL_ASSERT(legacy->call == NULL);
    node->env->release(node->env->ud, legacy, sizeof *legacy);
}

void pl_legacy_free_all(struct pl_node *node)
{
    for (size_t i = 0; i < node->legacy_count; i++)
        free_one(node, node->legacy[i]);
    node->legacy_count = 0;
}

struct pl_legacy *pl_legacy_find(const struct pl_node *node, const char *address)
{
    for (size_t i = 0; i < node->legacy_count; i++)
        if (!node->legacy[i]->removed && strcmp(node->legacy[i]->address, address) == 0)
            return node->legacy[i];
    return NULL;
}

struct pl_legacy *pl_legacy_named(const struct pl_node *node, struct parley_span url)
{
    char address[PL_PEER_ADDRESS_BYTES_MAX + 1];
    if (pl_legacy_parse(url, true, address, NULL) != PARLEY_OK)
        return NULL;
    return pl_legacy_find(node, address);
}

struct pl_legacy *pl_legacy_of(const struct pl_node *node, const struct pl_peer *peer)
{
    for (size_t i = 0; i < node->legacy_count; i++)
        if (!node->legacy[i]->removed && node->legacy[i]->peer_number == peer->number)
            return node->legacy[i];
    return NULL;
}

struct pl_peer *pl_legacy_peer(struct pl_node *node, const struct pl_legacy *legacy)
{
    return legacy->peer_number == 0 ? NULL
                                    : pl_peers_find_number(&node->peers, legacy->peer_number);
}

/* ---- Storing ---- */

static bool has_room(const struct pl_node *node)
{
    return pl_batch_has_room(node, 1, KEY_BYTES_MAX + RECORD_BYTES_MAX);
}

void pl_legacy_store(struct pl_node *node, struct pl_legacy *legacy)
{
    char key[KEY_BYTES_MAX];
    uint8_t record[RECORD_BYTES_MAX];
    legacy->unsaved = !has_room(node);
    if (legacy->unsaved)
        return;
    /* Before the batch may be launched, which gives the next one another serial. */
    legacy->stored_in = pl_batch_serial(node);
    if (legacy->removed) {
        pl_batch_del_sys(node, key_of(legacy, key));
        return;
    }
    struct pl_writer w = pl_writer_over(record, sizeof record);
    encode(legacy, &w);
    pl_batch_add_sys(node, key_of(legacy, key), pl_writer_span(&w));
}

parley_err pl_legacy_add(struct pl_node *node, const char *address)
{
    if (!has_room(node) || !pl_audit_has_room(node))
        return PARLEY_EAGAIN;
    if (node->legacy_count == PL_LEGACY_PEERS_MAX)
        return PARLEY_EFULL;
    struct pl_legacy *legacy = insert(node);
    if (legacy == NULL)
        return PARLEY_ENOMEM;
    pl_text_copy(legacy->address, sizeof legacy->address, address);
    legacy->added_at = node->now.wall;
    pl_audit_event(node, PL_AUDIT_legacy_added, "operator", address, "");
    pl_legacy_store(node, legacy);
    return PARLEY_OK;
}

void pl_legacy_remove(struct pl_node *node, struct pl_legacy *legacy)
{
    struct pl_connection *conn = pl_node_conn_find(node, legacy->conn);
    if (legacy->removed)
        return;
    legacy->removed = true;
    if (conn != NULL)
        pl_node_conn_close(node, conn);
    pl_legacy_store(node, legacy);
}

void pl_legacy_revoked(struct pl_node *node, const struct pl_peer *peer)
{
    struct pl_legacy *legacy = pl_legacy_of(node, peer);
    if (legacy != NULL)
        pl_legacy_remove(node, legacy);
}

void pl_legacy_regranted(struct pl_node *node, const struct pl_peer *peer)
{
    struct pl_legacy *legacy = pl_legacy_of(node, peer);
    if (legacy == NULL)
        return;
    legacy->cursor = 0;
    legacy->pushing_to = 0;
    pl_legacy_store(node, legacy);
}

void pl_legacy_committed(struct pl_node *node, uint64_t serial, parley_err err)
{
    for (size_t i = 0; i < node->legacy_count; i++) {
        struct pl_legacy *legacy = node->legacy[i];
        if (legacy->stored_in != serial)
            continue;
        legacy->stored_in = 0;
        if (err == PARLEY_OK) {
            legacy->stored_once = true;
            legacy->gone = legacy->removed && !legacy->unsaved;
        } else if (legacy->stored_once) {
            legacy->unsaved = true;
        } else {
            /* Nobody was told that it is there. */
            legacy->removed = true;
            legacy->gone = true;
        }
    }
}

void pl_legacy_save_again(struct pl_node *node)
{
    for (size_t i = node->legacy_count; i-- > 0;) {
        struct pl_legacy *legacy = node->legacy[i];
        if (legacy->unsaved && legacy->stored_in == 0)
            pl_legacy_store(node, legacy);
        if (!legacy->gone || legacy->conn != 0)
            continue;
        node->legacy_count--;
        memmove(&node->legacy[i], &node->legacy[i + 1],
                (node->legacy_count - i) * sizeof(struct pl_legacy *));
        free_one(node, legacy);
    }
}

/* ---- URLs ---- */

static PL_MUST_USE parley_err refuse(struct parley_diag *diag, const char *why)
{
    if (diag != NULL)
        pl_text_copy(diag->text, sizeof diag->text, why);
    return PARLEY_EINVAL;
}

static bool is_host(struct parley_span host)
{
    bool bracket = host.len > 4 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    struct parley_span inner = bracket ? pl_span_of(host.ptr + 1, host.len - 2) : host;
    for (size_t i = 0; i < inner.len; i++) {
        uint8_t c = inner.ptr[i];
        bool v6 = pl_http1_hex_value(c) < 16 || c == ':' || c == '.';
        bool name =
            pl_http1_is_alpha(c) || pl_http1_is_digit(c) || c == '-' || c == '.' || c == '_';
        if (bracket ? !v6 : !name)
            return false;
    }
    return inner.len != 0;
}

static bool is_port(struct parley_span text)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > PORT_DIGITS_MAX || text.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!pl_http1_is_digit(text.ptr[i]))
            return false;
        port = port * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return port <= PORT_MAX;
}

/* By its name alone: a name that only resolves to this machine today is none. What was dialed is
 * looked at again. */
static bool is_loopback(struct parley_span host)
{
    if (pl_span_is(host, "localhost") || pl_span_is(host, "[::1]"))
        return true;
    if (!pl_span_has_prefix(host, pl_span_text("127.")))
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] != '.' && !pl_http1_is_digit(host.ptr[i]))
            return false;
    return true;
}

parley_err pl_legacy_parse(struct parley_span url, bool plain_peers,
                           char address[PL_PEER_ADDRESS_BYTES_MAX + 1], struct parley_diag *diag)
{
    struct parley_span scheme = pl_span_text(PL_LEGACY_URL);
    if (pl_span_has_prefix(url, pl_span_text("https://")))
        return refuse(diag, "https is not spoken to old backends; put a TLS proxy on this machine "
                            "before it, and give http://127.0.0.1:PORT of that");
    if (!pl_span_has_prefix(url, scheme))
        return refuse(diag, "must be http://HOST:PORT");
    struct parley_span rest = pl_span_after(url, scheme.len);
    if (rest.len != 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    if (rest.len > PL_PEER_ADDRESS_BYTES_MAX)
        return refuse(diag, "HOST:PORT is longer than 255 bytes");
    size_t colon = rest.len;
    while (colon > 0 && rest.ptr[colon - 1] != ':')
        colon--;
    struct parley_span host = pl_span_of(rest.ptr, colon == 0 ? 0 : colon - 1);
    if (!is_host(host) || !is_port(pl_span_after(rest, colon)))
        return refuse(diag, "must be http://HOST:PORT, with no path behind it");
    if (!plain_peers && !is_loopback(host))
        return refuse(diag, "the host is not this machine, and what is pushed to it would cross "
                            "the network in the clear; put a TLS proxy on this machine before it, "
                            "or start parleyd with --plain-peers inside a network that you trust");
    memcpy(address, rest.ptr, rest.len);
    address[rest.len] = '\0';
    return PARLEY_OK;
}
