/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations to JSON; the contract is in render.h.
 *
 * Registers come in (kind, id) order: all headers, sorted by id, then all messages. Headers are
 * collected as spans of the read snapshot first, because JSON wants the title before "created_at".
 */
#include "node/render.h"

#include "core/digest.h"
#include "core/hash.h"
#include "core/iso8601.h"
#include "core/json.h"
#include "core/message.h"
#include "node/etag.h"

#define METADATA_PREFIX "metadata."
#define FIELD_PREFIX    "field."
/* Names, punctuation and two times of a message. */
#define MESSAGE_TEXT_BYTES 192u
/* Room that is made in one piece for all; beyond it buffers double. Growing overwrites what was. */
#define ROOM_BYTES_MAX 65536u

struct entry {
    uint64_t created;
    uint64_t time;
    struct parley_span id;
    struct parley_span origin;
    struct pl_message message;
};

struct rendering {
    struct parley_read *read;
    uint64_t conversation;
    struct pl_etag_sum *sum; /* NULL: nobody wants a tag */
    struct pl_out entries;   /* of struct entry, as bytes */
    struct parley_span title, surface, created_at;
    bool has_metadata, has_fields;
    uint64_t updated;
};

static bool is_live(const struct parley_version *v)
{
    return (v->flags & PARLEY_FLAG_TOMBSTONE) == 0;
}

/* ---- Order of messages: heap sort in place, no memory, no recursion, never quadratic ---- */

static bool comes_before(const struct entry *a, const struct entry *b)
{
    if (a->created != b->created)
        return a->created < b->created;
    return pl_span_compare(a->id, b->id) < 0;
}

static void sift_down(struct entry *list, size_t at, size_t count)
{
    struct entry moving = list[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && comes_before(&list[child], &list[child + 1]))
            child++;
        if (!comes_before(&moving, &list[child]))
            break;
        list[at] = list[child];
        at = child;
    }
    list[at] = moving;
}

static void sort_entries(struct entry *list, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = comes_before(&list[i - 1], &list[i]);
    if (sorted) /* the common case: ids made in time order */
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(list, i, count);
    for (size_t left = count; left-- > 1;) {
        struct entry last = list[left];
        list[left] = list[0];
        list[0] = last;
        sift_down(list, 0, left);
    }
}

/* ---- Collecting ---- */

static void collect_header(struct rendering *r, const struct parley_version *v)
{
    if (pl_span_is(v->id, "title"))
        r->title = v->body;
    else if (pl_span_is(v->id, "surface"))
        r->surface = v->body;
    else if (pl_span_is(v->id, "created_at"))
        r->created_at = v->body;
    else if (pl_span_has_prefix(v->id, pl_span_text(METADATA_PREFIX)))
        r->has_metadata = true;
    else if (pl_span_has_prefix(v->id, pl_span_text(FIELD_PREFIX)))
        r->has_fields = true;
}

static PL_MUST_USE parley_err collect_message(struct rendering *r, const struct parley_version *v)
{
    struct entry entry = { .time = v->time, .id = v->id, .origin = v->origin };
    if (pl_message_decode(v->body, &entry.message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    entry.created = entry.message.created != 0 ? entry.message.created : v->time;
    pl_out_bytes(&r->entries, pl_span_of(&entry, sizeof entry));
    return r->entries.err;
}

static PL_MUST_USE parley_err collect(struct rendering *r)
{
    struct parley_register_cursor cursor;
    PL_TRY(parley_registers_begin(r->read, r->conversation, &cursor));
    for (;;) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_registers_next_change(&cursor, &change, &found));
        if (!found)
            return PARLEY_OK;
        struct parley_version v = change.version;
        if (!is_live(&v))
            continue;
        if (r->sum != NULL)
            pl_etag_add(r->sum, change.digest);
        r->updated = pl_max_u64(r->updated, v.time);
        switch (v.kind) {
        case PARLEY_KIND_CONVERSATION:
        case PARLEY_KIND_PURGE:
            break;
        case PARLEY_KIND_HEADER:
            collect_header(r, &v);
            break;
        case PARLEY_KIND_MESSAGE:
            PL_TRY(collect_message(r, &v));
            break;
        }
    }
}

/* ---- Writing ---- */

/* The header registers with this prefix, as `"rest of the id":value`, in id order. */
static PL_MUST_USE parley_err write_prefixed(const struct rendering *r, const char *prefix,
                                             struct pl_out *out)
{
    struct parley_register_cursor cursor;
    struct parley_span head = pl_span_text(prefix);
    PL_TRY(parley_registers_begin(r->read, r->conversation, &cursor));
    for (;;) {
        struct parley_version v;
        bool found = false;
        PL_TRY(parley_registers_next(&cursor, &v, &found));
        if (!found || v.kind == PARLEY_KIND_MESSAGE)
            return PARLEY_OK;
        if (!is_live(&v) || v.kind != PARLEY_KIND_HEADER || !pl_span_has_prefix(v.id, head))
            continue;
        pl_out_separate(out);
        pl_out_string(out, pl_span_after(v.id, head.len));
        pl_out_text(out, ":");
        pl_out_mp(out, v.body);
    }
}

/* A text of ours that needs no escapes. */
#define PUT_TEXT(w, literal) pl_write_bytes(w, literal, sizeof(literal) - 1)

static void put_time(struct pl_writer *w, uint64_t us)
{
    char text[PL_ISO8601_BYTES];
    if (us == 0 || us > PL_ISO8601_US_MAX) {
        PUT_TEXT(w, "null");
        return;
    }
    pl_iso8601_format(us, text);
    PUT_TEXT(w, "\"");
    pl_write_bytes(w, text, sizeof text);
    PUT_TEXT(w, "\"");
}

static PL_MUST_USE parley_err put_extra(struct pl_writer *w, struct parley_span extra)
{
    if (extra.len == 0)
        return w->err;
    struct pl_reader r = pl_reader_over(extra);
    uint32_t count = pl_mp_read_map(&r, UINT32_MAX);
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, extra.len);
        PUT_TEXT(w, ",");
        pl_json_write_string(w, name);
        PUT_TEXT(w, ":");
        PL_TRY(pl_mp_to_json(&r, w));
    }
    return r.err != PARLEY_OK ? r.err : w->err;
}

/* Errors: EFULL without room; any other says that the extra fields do not decode. */
static PL_MUST_USE parley_err put_message(struct pl_writer *w, const struct entry *entry)
{
    PUT_TEXT(w, "{\"message_id\":");
    pl_json_write_string(w, entry->id);
    PUT_TEXT(w, ",\"role\":");
    pl_json_write_string(w, entry->message.role);
    PUT_TEXT(w, ",\"content\":");
    pl_json_write_string(w, entry->message.content);
    PUT_TEXT(w, ",\"timestamp\":");
    put_time(w, entry->time);
    PUT_TEXT(w, ",\"source_backend\":");
    pl_json_write_string(w, entry->origin);
    if (entry->message.created != 0 && entry->message.created != entry->time) {
        PUT_TEXT(w, ",\"created_at\":");
        put_time(w, entry->message.created);
    }
    PL_TRY(put_extra(w, entry->message.extra));
    PUT_TEXT(w, "}");
    return w->err;
}

/* What a message without many escapes takes. */
static size_t message_room(const struct entry *entry)
{
    const struct pl_message *m = &entry->message;
    return MESSAGE_TEXT_BYTES + entry->id.len + entry->origin.len + m->role.len + m->content.len +
           m->content.len / 8 + 2 * m->extra.len;
}

/* Messages are nearly all of an answer, so each goes straight into the buffer in one piece. Escapes
 * make its length unknown: try, and grow, until it fits. */
static void write_message(const struct entry *entry, struct pl_out *out)
{
    size_t want = message_room(entry);
    pl_out_separate(out);
    while (pl_out_room(out, want) == PARLEY_OK) {
        struct pl_writer w = pl_writer_over(out->ptr + out->len, out->cap - out->len);
        parley_err err = put_message(&w, entry);
        if (err == PARLEY_OK) {
            out->len += w.len;
            return;
        }
        if (err != PARLEY_EFULL) {
            out->err = PARLEY_ECORRUPT;
            return;
        }
        want = (out->cap - out->len) * 2;
    }
}

PL_MUST_USE parley_err pl_render_message(const struct parley_version *version, struct pl_out *out)
{
    struct entry entry = { .time = version->time, .id = version->id, .origin = version->origin };
    if (pl_message_decode(version->body, &entry.message) != PARLEY_OK)
        return PARLEY_ECORRUPT;
    write_message(&entry, out);
    return out->err;
}

static void write_value(const char *name, struct parley_span value, struct pl_out *out)
{
    if (value.len == 0)
        return;
    pl_out_name(out, name);
    pl_out_mp(out, value);
}

static PL_MUST_USE parley_err write_header(const struct rendering *r, unsigned flags,
                                           uint64_t oldest, struct pl_out *out)
{
    bool defaults = (flags & PL_RENDER_DEFAULTS) != 0;
    write_value("title", r->title, out);
    if (defaults && r->title.len == 0)
        pl_out_field_text(out, "title", "");
    write_value("surface", r->surface, out);
    write_value("created_at", r->created_at, out);
    if (defaults && r->created_at.len == 0)
        pl_out_field_time(out, "created_at", (int64_t)oldest);
    pl_out_field_time(out, "updated_at", (int64_t)r->updated);
    if (r->has_metadata) {
        pl_out_name(out, "metadata");
        pl_out_text(out, "{");
        PL_TRY(write_prefixed(r, METADATA_PREFIX, out));
        pl_out_text(out, "}");
    }
    if (r->has_fields)
        PL_TRY(write_prefixed(r, FIELD_PREFIX, out));
    return PARLEY_OK;
}

/* The room that an answer of the usual size needs. */
static PL_MUST_USE parley_err make_room(const struct entry *list, size_t count, struct pl_out *out)
{
    size_t want = MESSAGE_TEXT_BYTES;
    for (size_t i = 0; i < count && want < ROOM_BYTES_MAX; i++)
        want += message_room(&list[i]);
    return pl_out_room(out, pl_min_size(want, ROOM_BYTES_MAX));
}

static PL_MUST_USE parley_err render(struct rendering *r,
                                     const struct parley_conversation_info *info, unsigned flags,
                                     struct pl_out *out)
{
    uint64_t expected = pl_min_u64(info->messages, ROOM_BYTES_MAX / sizeof(struct entry));
    PL_TRY(pl_out_room(&r->entries, (size_t)expected * sizeof(struct entry)));
    PL_TRY(collect(r));
    struct entry *list = (struct entry *)(void *)r->entries.ptr;
    size_t count = r->entries.len / sizeof *list;
    if (count != 0)
        sort_entries(list, count);
    PL_TRY(make_room(list, count, out));
    pl_out_text(out, "{");
    pl_out_field(out, "conversation_id", info->id);
    PL_TRY(write_header(r, flags, count != 0 ? list[0].created : r->updated, out));
    pl_out_name(out, "messages");
    pl_out_text(out, "[");
    for (size_t i = 0; i < count && out->err == PARLEY_OK; i++)
        write_message(&list[i], out);
    pl_out_text(out, "]}");
    return out->err;
}

static PL_MUST_USE parley_err render_all(struct parley_read *read,
                                         const struct parley_conversation_info *info,
                                         struct pl_etag_sum *sum, unsigned flags,
                                         struct pl_out *out)
{
    struct rendering r = { .read = read, .conversation = info->number, .sum = sum };
    pl_out_init(&r.entries, out->env, out->account);
    parley_err err = render(&r, info, flags, out);
    pl_out_free(&r.entries);
    return err;
}

PL_MUST_USE parley_err pl_render_conversation(struct parley_read *read,
                                              const struct parley_conversation_info *info,
                                              unsigned flags, struct pl_out *out)
{
    return render_all(read, info, NULL, flags, out);
}

PL_MUST_USE parley_err pl_render_tagged_conversation(struct parley_read *read,
                                                     const struct parley_conversation_info *info,
                                                     struct pl_etag_sum *sum, struct pl_out *out)
{
    return render_all(read, info, sum, PL_RENDER_DEFAULTS, out);
}

void pl_render_version_name(const struct parley_version *version,
                            char out[PL_VERSION_NAME_CHARS + 1])
{
    uint8_t digest[PARLEY_DIGEST_BYTES];
    pl_digest_of(version, digest);
    pl_hex_encode(digest, PL_VERSION_NAME_CHARS / 2, out);
    out[PL_VERSION_NAME_CHARS] = '\0';
}

static void write_version_head(const struct parley_version *version, struct pl_out *out)
{
    char name[PL_VERSION_NAME_CHARS + 1];
    pl_render_version_name(version, name);
    pl_out_field_text(out, "version", name);
    pl_out_field_time(out, "timestamp", (int64_t)version->time);
    pl_out_field(out, "source_backend", version->origin);
}

/* The longest beginning of at most `max` bytes that cuts no character. */
static struct parley_span cut_text(struct parley_span text, size_t max)
{
    size_t len = max;
    if (text.len <= max)
        return text;
    while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    return pl_span_of(text.ptr, len);
}

PL_MUST_USE parley_err pl_render_brief(const struct parley_version *version, size_t shown,
                                       struct pl_out *out)
{
    struct pl_message message = { 0 };
    bool is_message = version->kind == PARLEY_KIND_MESSAGE;
    bool cut = !is_message && version->body.len > shown;
    write_version_head(version, out);
    if (is_live(version) && is_message) {
        if (pl_message_decode(version->body, &message) != PARLEY_OK)
            return PARLEY_ECORRUPT;
        cut = message.content.len > shown;
        pl_out_field(out, "role", message.role);
        pl_out_field(out, "content", cut_text(message.content, shown));
    } else if (is_live(version) && !cut) {
        write_value("value", version->body, out);
    }
    if (cut)
        pl_out_field_bool(out, "cut", true);
    pl_out_field_bool(out, "deleted", !is_live(version));
    return out->err;
}

PL_MUST_USE parley_err pl_render_version_fields(const struct parley_version *version,
                                                struct pl_out *out)
{
    bool is_message = version->kind == PARLEY_KIND_MESSAGE;
    bool is_purge = version->kind == PARLEY_KIND_PURGE;
    if (is_purge)
        pl_out_field_bool(out, "purged", true);
    else if (version->kind != PARLEY_KIND_CONVERSATION)
        pl_out_field(out, is_message ? "message_id" : "field", version->id);
    write_version_head(version, out);
    if (is_purge) {
        write_value("reason", version->body, out);
    } else if (is_live(version) && is_message) {
        struct pl_message message;
        if (pl_message_decode(version->body, &message) != PARLEY_OK)
            return PARLEY_ECORRUPT;
        pl_out_field(out, "role", message.role);
        pl_out_field(out, "content", message.content);
    } else if (is_live(version)) {
        write_value("value", version->body, out);
    }
    pl_out_field_bool(out, "deleted", !is_live(version));
    return out->err;
}

PL_MUST_USE parley_err pl_render_version(const struct parley_version *version, bool current,
                                         struct pl_out *out)
{
    pl_out_separate(out);
    pl_out_text(out, "{");
    PL_TRY(pl_render_version_fields(version, out));
    pl_out_field_bool(out, "current", current);
    pl_out_text(out, "}");
    return out->err;
}

PL_MUST_USE parley_err pl_render_title(struct parley_read *read, uint64_t conversation,
                                       struct pl_out *out)
{
    struct parley_version v;
    bool found = false;
    PL_TRY(parley_read_register(read, conversation, PARLEY_KIND_HEADER, pl_span_text("title"), &v,
                                &found));
    if (found && is_live(&v))
        pl_out_mp(out, v.body);
    else
        pl_out_text(out, "\"\"");
    return out->err;
}
