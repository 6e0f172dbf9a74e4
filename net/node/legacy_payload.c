/* SPDX-License-Identifier: Apache-2.0
 *
 * What is new since a cursor, as a SyncPayload of the old system: exactly five names, and in each
 * conversation conversation_id, title, created_at, updated_at and messages. Times have microseconds
 * and no zone.
 *
 * The change log gives what is new, in the order in which it came here; of it one stretch is taken,
 * and its changes are brought together by conversation. When that comes out too long, the stretch
 * is halved: so a payload always is all of a stretch, and the cursor can pass it.
 *
 * Deletions are not sent: the old system has no word for them. U+0000 in a text becomes U+FFFD,
 * because databases behind old backends take no NUL.
 */
#include "node/legacy.h"

#include "core/hash.h"
#include "core/iso8601.h"
#include "core/message.h"

#define MAIN          "main"
#define SYNC_ID_BYTES 16
/* Of the frame around a message, about. */
#define FRAME_BYTES 256u

/* A change that goes along. */
struct taken {
    uint64_t conversation; /* local number; 0: written */
    parley_seq seq;
};

struct packing {
    struct parley_read *read;
    const struct pl_peer *peer;
    const struct pl_grant *grant;
    uint64_t oldest; /* versions before this are not for the peer */
    uint64_t since;
    struct pl_out taken; /* of struct taken, as bytes */
    size_t walked;       /* registers read for dates of creation */
    struct pl_legacy_pack *pack;
    struct pl_out *out;
};

static struct taken *list_of(const struct packing *p)
{
    return (struct taken *)(void *)p->taken.ptr;
}

static size_t count_of(const struct packing *p)
{
    return p->taken.len / sizeof(struct taken);
}

/* ---- Times and texts ---- */

static void write_naive(struct pl_out *out, uint64_t us)
{
    char text[PL_ISO8601_BYTES];
    pl_iso8601_format(pl_min_u64(us, PL_ISO8601_US_MAX), text);
    pl_out_text(out, "\"");
    pl_out_bytes(out, pl_span_of(text, sizeof text - 1)); /* all but the Z */
    pl_out_text(out, "\"");
}

void pl_legacy_write_time(struct pl_out *out, const char *name, uint64_t us)
{
    pl_out_name(out, name);
    write_naive(out, us);
}

/* U+0000 can only stand in our JSON as an escape of six characters, and U+FFFD has as many. */
static void replace_nuls(uint8_t *json, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (json[i] != '\\')
            continue;
        if (len - i >= 6 && memcmp(json + i, "\\u0000", 6) == 0)
            memcpy(json + i, "\\ufffd", 6);
        i++; /* what is escaped is no backslash of its own */
    }
}

/* ---- Which changes ---- */

static bool is_for_peer(const struct packing *p, const struct parley_change *change)
{
    const struct parley_version *v = &change->version;
    bool header = v->kind == PARLEY_KIND_HEADER &&
                  (pl_span_is(v->id, "title") || pl_span_is(v->id, "created_at"));
    return (header || v->kind == PARLEY_KIND_MESSAGE) && (v->flags & PARLEY_FLAG_TOMBSTONE) == 0 &&
           pl_span_is(v->name_space, MAIN) && change->source != p->peer->number &&
           v->time > p->since && v->time >= p->oldest &&
           pl_span_has_prefix(v->conversation, pl_span_text(p->grant->filter.prefix));
}

static PL_MUST_USE parley_err take_change(struct packing *p, const struct parley_change *change)
{
    struct taken taken = { .seq = change->seq };
    bool found = false;
    PL_TRY(parley_read_change_conversation(p->read, change->seq, &taken.conversation, &found));
    if (found && taken.conversation != 0)
        pl_out_bytes(&p->taken, pl_span_of(&taken, sizeof taken));
    return p->taken.err;
}

/* Takes changes until there are `max`, or enough bytes, or enough was looked at. */
static PL_MUST_USE parley_err scan(struct packing *p, parley_seq after, size_t max)
{
    struct parley_feed feed;
    size_t bytes = 0;
    pl_out_reset(&p->taken);
    p->pack->end = after;
    p->pack->more = true;
    PL_TRY(parley_feed_begin(p->read, after, &feed));
    for (size_t looked = 0; looked < PL_LEGACY_SCAN_MAX; looked++) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_feed_next(&feed, &change, &found));
        if (!found) {
            p->pack->more = false;
            return PARLEY_OK;
        }
        if (is_for_peer(p, &change)) {
            size_t size = change.version.body.len + FRAME_BYTES;
            if (count_of(p) == max || (count_of(p) != 0 && size > PL_LEGACY_PAYLOAD_BYTES - bytes))
                return PARLEY_OK;
            PL_TRY(take_change(p, &change));
            bytes += pl_min_size(size, PL_LEGACY_PAYLOAD_BYTES - bytes);
        }
        p->pack->end = change.seq;
    }
    return PARLEY_OK;
}

/* ---- One conversation ---- */

/* Fields that the old models may not have, or may: they came from one of those. */
static void write_extra(struct parley_span extra, struct pl_out *out)
{
    struct pl_reader r = pl_reader_over(extra);
    uint32_t count = extra.len == 0 ? 0 : pl_mp_read_map(&r, UINT32_MAX);
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, extra.len);
        struct parley_span value = pl_mp_read_any(&r);
        pl_out_separate(out);
        pl_out_string(out, name);
        pl_out_text(out, ":");
        pl_out_mp(out, value);
    }
}

static PL_MUST_USE parley_err write_message(struct packing *p, const struct parley_version *v)
{
    struct pl_message message;
    struct pl_out *out = p->out;
    if (pl_message_decode(v->body, &message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field(out, "message_id", v->id);
    pl_out_field(out, "role", message.role);
    pl_out_field(out, "content", message.content);
    pl_legacy_write_time(out, "timestamp", v->time);
    pl_out_field(out, "source_backend", v->origin);
    write_extra(message.extra, out);
    pl_out_text(out, "}");
    p->pack->messages++;
    return out->err;
}

/* The text of a live header; empty: there is none, or it is something else. */
static PL_MUST_USE parley_err find_header(const struct packing *p, uint64_t conversation,
                                          const char *name, struct parley_span *text)
{
    struct parley_version v;
    bool found = false;
    *text = pl_span_of(NULL, 0);
    PL_TRY(parley_read_register(p->read, conversation, PARLEY_KIND_HEADER, pl_span_text(name), &v,
                                &found));
    if (!found || (v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
        return PARLEY_OK;
    struct pl_reader r = pl_reader_over(v.body);
    if (pl_mp_peek(&r) == PL_MP_STR)
        *text = pl_mp_read_str(&r, v.body.len);
    return PARLEY_OK;
}

/* When the first of its messages was said. */
static PL_MUST_USE parley_err find_oldest(struct packing *p, uint64_t conversation,
                                          uint64_t *oldest)
{
    struct parley_register_cursor cursor;
    PL_TRY(parley_registers_begin(p->read, conversation, &cursor));
    for (;;) {
        struct parley_version v;
        struct pl_message message;
        bool found = false;
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (!found)
            return PARLEY_OK;
        p->walked++;
        if (v.kind != PARLEY_KIND_MESSAGE || (v.flags & PARLEY_FLAG_TOMBSTONE) != 0)
            continue;
        if (pl_message_decode(v.body, &message) != PARLEY_OK)
            return PARLEY_ECORRUPT;
        *oldest = pl_min_u64(*oldest, message.created != 0 ? message.created : v.time);
    }
}

static PL_MUST_USE parley_err write_header(struct packing *p,
                                           const struct parley_conversation_info *info)
{
    struct parley_span title;
    struct parley_span created_at;
    uint64_t created = 0;
    PL_TRY(find_header(p, info->number, "title", &title));
    PL_TRY(find_header(p, info->number, "created_at", &created_at));
    if (pl_iso8601_parse(created_at, &created) != PARLEY_OK) {
        created = info->updated;
        PL_TRY(find_oldest(p, info->number, &created));
    }
    pl_out_field(p->out, "conversation_id", info->id);
    pl_out_field(p->out, "title", title);
    pl_legacy_write_time(p->out, "created_at", created);
    pl_legacy_write_time(p->out, "updated_at", info->updated);
    return p->out->err;
}

static void note_first(struct pl_legacy_pack *pack, struct parley_span id)
{
    if (pack->conversations++ != 0)
        return;
    PL_ASSERT(id.len < sizeof pack->first);
    memcpy(pack->first, id.ptr, id.len);
    pack->first[id.len] = '\0';
}

/* The conversation of the change at `at`, with all that was taken of it. */
static PL_MUST_USE parley_err write_conversation(struct packing *p, size_t at)
{
    struct taken *list = list_of(p);
    uint64_t number = list[at].conversation;
    struct parley_conversation_info info;
    struct parley_change change;
    bool found = false;
    PL_TRY(parley_read_change(p->read, list[at].seq, &change, &found));
    if (found)
        PL_TRY(parley_read_conversation(p->read, change.version.name_space,
                                        change.version.conversation, &info, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    pl_out_separate(p->out);
    pl_out_text(p->out, "{");
    PL_TRY(write_header(p, &info));
    note_first(p->pack, info.id);
    pl_out_name(p->out, "messages");
    pl_out_text(p->out, "[");
    for (size_t i = at; i < count_of(p); i++) {
        if (list[i].conversation != number)
            continue;
        list[i].conversation = 0;
        PL_TRY(parley_read_change(p->read, list[i].seq, &change, &found));
        if (found && change.version.kind == PARLEY_KIND_MESSAGE)
            PL_TRY(write_message(p, &change.version));
    }
    pl_out_text(p->out, "]}");
    return p->out->err;
}

/* ---- The whole ---- */

/* *fits false: the stretch was too long, and the payload is not whole. */
static PL_MUST_USE parley_err write_all(struct packing *p, bool *fits)
{
    size_t start = p->out->len;
    size_t count = count_of(p);
    p->pack->conversations = 0;
    p->pack->messages = 0;
    p->walked = 0;
    for (size_t i = 0; i < count; i++) {
        if (list_of(p)[i].conversation != 0)
            PL_TRY(write_conversation(p, i));
        *fits = count == 1 ||
                (p->out->len - start <= PL_LEGACY_PAYLOAD_BYTES && p->walked <= PL_LEGACY_WALK_MAX);
        if (!*fits)
            return PARLEY_OK;
    }
    return PARLEY_OK;
}

static void write_envelope(struct pl_node *node, const struct pl_peer *peer, struct pl_out *out)
{
    uint8_t id[SYNC_ID_BYTES];
    node->env->entropy(node->env->ud, id, sizeof id);
    pl_out_text(out, "{");
    pl_out_name(out, "sync_id");
    pl_out_hex(out, id, sizeof id);
    pl_out_field_text(out, "source_backend_id", node->backend_id);
    pl_out_field_text(out, "target_backend_id", peer->backend_id);
    pl_legacy_write_time(out, "timestamp", (uint64_t)node->now.wall);
    pl_out_name(out, "conversations");
    pl_out_text(out, "[");
}

static PL_MUST_USE parley_err pack_all(struct pl_node *node, struct packing *p,
                                       const struct pl_legacy_range *range)
{
    size_t start = p->out->len;
    size_t max = pl_min_size(range->changes_max, PL_LEGACY_CHANGES_MAX);
    for (bool fits = false; !fits;) {
        fits = true;
        p->out->len = start;
        PL_TRY(scan(p, range->after, max));
        write_envelope(node, p->peer, p->out);
        PL_TRY(write_all(p, &fits));
        max = count_of(p) / 2;
    }
    pl_out_text(p->out, "]");
    PL_TRY(p->out->err);
    replace_nuls(p->out->ptr + start, p->out->len - start);
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_legacy_write_payload(struct pl_node *node, const struct pl_peer *peer,
                                               const struct pl_legacy_range *range,
                                               struct pl_out *out, struct pl_legacy_pack *pack)
{
    parley_err err = PARLEY_OK;
    struct packing p = { .peer = peer, .since = range->since, .pack = pack, .out = out };
    *pack = (struct pl_legacy_pack){ .end = range->after };
    p.read = pl_node_read(node, &err);
    p.grant = pl_peer_granted(peer, pl_span_text(MAIN));
    if (p.read == NULL)
        return err;
    if (p.grant == NULL) {
        write_envelope(node, peer, out);
        pl_out_text(out, "]");
        pack->end = node->state.head;
        return out->err;
    }
    p.oldest = pl_filter_since(&p.grant->filter, node->now.wall);
    pl_out_init(&p.taken, node->env, &node->buffered_bytes);
    err = pack_all(node, &p, range);
    pl_out_free(&p.taken);
    return err;
}
