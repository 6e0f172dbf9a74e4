/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversation objects to versions; the contract is in payload.h.
 *
 * Every rule of parley_version_check is checked here in the words of the client, because one bad
 * version would make the store refuse a whole batch that others share.
 */
#include "node/payload.h"

#include "core/mp_read.h"
#include "core/mp_write.h"
#include "core/utf8.h"
#include "node/out.h"

#define METADATA_PREFIX "metadata."
#define FIELD_PREFIX    "field."

/* A name whose length the compiler knows: each field of each message is looked up. */
#define NAME(text)                                                                                 \
    {                                                                                              \
        .ptr = (const uint8_t *)(text), .len = sizeof(text) - 1                                    \
    }

/* Where a mistake is: "messages[3].content" or "title". */
struct place {
    struct parley_diag *diag;
    bool in_message;
    uint32_t index;
};

static PL_MUST_USE parley_err refuse_at(const struct place *place, parley_err err,
                                        struct parley_span name, const char *why)
{
    if (place->diag == NULL)
        return err;
    struct pl_writer w = pl_writer_over(place->diag->text, sizeof place->diag->text - 1);
    if (place->in_message) {
        char digits[20];
        pl_write_text(&w, "messages[");
        pl_write_span(&w, pl_out_digits(place->index, digits));
        pl_write_text(&w, "]");
    }
    if (place->in_message && name.len != 0)
        pl_write_text(&w, ".");
    /* Names of unknown fields come from outside: cut, at a character, so that the reason fits. */
    struct parley_span shown = pl_span_of(name.ptr, pl_min_size(name.len, 120));
    pl_write_span(&w, pl_span_of(shown.ptr, pl_utf8_prefix(shown)));
    pl_write_text(&w, ": ");
    pl_write_text(&w, why);
    place->diag->text[w.len] = '\0';
    return err;
}

PL_MUST_USE parley_err pl_payload_refuse(struct parley_diag *diag, parley_err err,
                                         struct parley_span name, const char *why)
{
    struct place place = { .diag = diag };
    return refuse_at(&place, err, name, why);
}

static PL_MUST_USE parley_err refuse_text(const struct place *place, parley_err err,
                                          const char *name, const char *why)
{
    return refuse_at(place, err, pl_span_text(name), why);
}

static bool has_control(struct parley_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static bool value_is_nil(struct parley_span value)
{
    return value.len == 1 && value.ptr[0] == 0xc0;
}

/* The text of a value that must be a string. */
static PL_MUST_USE parley_err take_text(const struct place *place, const char *name,
                                        struct parley_span value, struct parley_span *out)
{
    struct pl_reader r = pl_reader_over(value);
    if (pl_mp_peek(&r) != PL_MP_STR)
        return refuse_text(place, PARLEY_ETYPE, name, "must be a string");
    *out = pl_mp_read_str(&r, value.len);
    return r.err;
}

/* An id: 1 to 255 bytes without control characters. */
static PL_MUST_USE parley_err take_id(const struct place *place, const char *name,
                                      struct parley_span value, struct parley_span *out)
{
    struct parley_span text;
    PL_TRY(take_text(place, name, value, &text));
    if (text.len == 0)
        return refuse_text(place, PARLEY_EMISSING, name, "must not be empty");
    if (text.len > PARLEY_ID_BYTES_MAX)
        return refuse_text(place, PARLEY_ETOOBIG, name, "is longer than 255 bytes");
    if (has_control(text))
        return refuse_text(place, PARLEY_EMALFORMED, name, "has a control character");
    *out = text;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err take_time(const struct place *place, const char *name,
                                        struct parley_span value, uint64_t *out)
{
    struct parley_span text;
    PL_TRY(take_text(place, name, value, &text));
    uint64_t us = 0;
    parley_err err = pl_iso8601_parse(text, &us);
    if (err == PARLEY_EMALFORMED)
        return refuse_text(place, err, name, "is not an ISO 8601 time");
    /* Time 0 means "stamp it now" inside, so the first microsecond of 1970 is refused too. */
    if (err != PARLEY_OK || us == 0)
        return refuse_text(place, PARLEY_ETOOBIG, name, "is outside the years 1970 to 9999");
    *out = us;
    return PARLEY_OK;
}

/* ---- One message object ---- */

enum message_field {
    FIELD_MESSAGE_ID = 0,
    FIELD_ROLE,
    FIELD_CONTENT,
    FIELD_TIMESTAMP,
    FIELD_SOURCE_BACKEND,
    FIELD_CREATED_AT,
    FIELD_UNKNOWN
};

static enum message_field message_field_of(struct parley_span name)
{
    static const struct parley_span names[FIELD_UNKNOWN] = {
        NAME("message_id"), NAME("role"),           NAME("content"),
        NAME("timestamp"),  NAME("source_backend"), NAME("created_at")
    };
    for (size_t i = 0; i < FIELD_UNKNOWN; i++)
        if (pl_span_equal(name, names[i]))
            return (enum message_field)i;
    return FIELD_UNKNOWN;
}

/* Values of the known fields as encoded; empty: absent or null. */
struct message_fields {
    struct parley_span object; /* all of it */
    struct parley_span known[FIELD_UNKNOWN];
    uint32_t extra_count;
    size_t extra_bytes;
};

/* Reads one message object and moves over it: bodies are long, and each walk over them counts. */
static PL_MUST_USE parley_err split_message(const struct place *place, struct pl_reader *r,
                                            struct message_fields *out)
{
    struct message_fields fields = { 0 };
    const uint8_t *object = r->at;
    if (pl_mp_peek(r) != PL_MP_MAP)
        return refuse_text(place, PARLEY_ETYPE, "", "must be an object");
    uint32_t count = pl_mp_read_map(r, UINT32_MAX);
    for (uint32_t i = 0; i < count && r->err == PARLEY_OK; i++) {
        const uint8_t *start = r->at;
        struct parley_span name = pl_mp_read_str(r, pl_reader_left(r));
        struct parley_span value = pl_mp_read_any(r);
        if (r->err != PARLEY_OK)
            break;
        enum message_field field = message_field_of(name);
        if (field == FIELD_UNKNOWN) {
            fields.extra_count++;
            fields.extra_bytes += (size_t)(r->at - start);
        } else if (fields.known[field].len != 0) {
            return refuse_at(place, PARLEY_EMALFORMED, name, "is given twice");
        } else {
            fields.known[field] = value;
        }
    }
    if (r->err != PARLEY_OK)
        return refuse_text(place, r->err, "", "has a name that is not a string");
    for (size_t i = 0; i < FIELD_UNKNOWN; i++)
        if (value_is_nil(fields.known[i]))
            fields.known[i] = pl_span_of(NULL, 0);
    /* The head of a map takes at most 5 bytes. */
    if (fields.extra_bytes + 5 > PARLEY_METADATA_BYTES_MAX)
        return refuse_text(place, PARLEY_ETOOBIG, "", "has more than 64 KiB of other fields");
    fields.object = pl_span_of(object, (size_t)(r->at - object));
    *out = fields;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err take_words(const struct place *place,
                                         const struct message_fields *fields,
                                         struct pl_payload_item *out)
{
    if (fields->known[FIELD_ROLE].len == 0)
        return refuse_text(place, PARLEY_EMISSING, "role", "is missing");
    PL_TRY(take_text(place, "role", fields->known[FIELD_ROLE], &out->role));
    if (out->role.len > PARLEY_ROLE_BYTES_MAX)
        return refuse_text(place, PARLEY_ETOOBIG, "role", "is longer than 64 bytes");
    if (fields->known[FIELD_CONTENT].len == 0)
        return refuse_text(place, PARLEY_EMISSING, "content", "is missing");
    PL_TRY(take_text(place, "content", fields->known[FIELD_CONTENT], &out->content));
    if (out->content.len > PARLEY_CONTENT_BYTES_MAX)
        return refuse_text(place, PARLEY_ETOOBIG, "content", "is longer than 16 MiB");
    out->extra_count = fields->extra_count;
    return PARLEY_OK;
}

static PL_MUST_USE parley_err take_stamp(const struct place *place,
                                         const struct message_fields *fields,
                                         struct pl_payload_item *out)
{
    if (fields->known[FIELD_TIMESTAMP].len == 0)
        return refuse_text(place, PARLEY_EMISSING, "timestamp", "is missing");
    PL_TRY(take_time(place, "timestamp", fields->known[FIELD_TIMESTAMP], &out->version.time));
    if (fields->known[FIELD_CREATED_AT].len != 0)
        PL_TRY(take_time(place, "created_at", fields->known[FIELD_CREATED_AT], &out->created));
    /* 0 says "the stamp's own time": one encoding for one meaning. */
    if (out->created == out->version.time)
        out->created = 0;
    struct parley_span source = fields->known[FIELD_SOURCE_BACKEND];
    struct parley_span origin = { 0 };
    if (source.len != 0)
        PL_TRY(take_text(place, "source_backend", source, &origin));
    if (origin.len != 0)
        PL_TRY(take_id(place, "source_backend", source, &out->version.origin));
    return PARLEY_OK;
}

/* `out->version` holds namespace, conversation and default origin already. */
static PL_MUST_USE parley_err take_message(const struct place *place, struct pl_reader *r,
                                           struct pl_payload_item *out)
{
    struct message_fields fields;
    PL_TRY(split_message(place, r, &fields));
    if (fields.known[FIELD_MESSAGE_ID].len == 0)
        return refuse_text(place, PARLEY_EMISSING, "message_id", "is missing");
    PL_TRY(take_id(place, "message_id", fields.known[FIELD_MESSAGE_ID], &out->version.id));
    PL_TRY(take_words(place, &fields, out));
    PL_TRY(take_stamp(place, &fields, out));
    out->version.kind = PARLEY_KIND_MESSAGE;
    out->value = fields.object;
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_payload_message(struct parley_span object, struct pl_payload_item *out,
                                          struct parley_diag *diag)
{
    struct place place = { .diag = diag };
    struct pl_reader r = pl_reader_over(object);
    if (pl_mp_peek(&r) != PL_MP_MAP)
        return refuse_text(&place, PARLEY_ETYPE, "body", "must be an object");
    struct message_fields fields;
    struct pl_payload_item item = { .value = object, .version.kind = PARLEY_KIND_MESSAGE };
    PL_TRY(split_message(&place, &r, &fields));
    if (fields.known[FIELD_MESSAGE_ID].len != 0)
        PL_TRY(take_id(&place, "message_id", fields.known[FIELD_MESSAGE_ID], &item.version.id));
    PL_TRY(take_words(&place, &fields, &item));
    *out = item;
    return PARLEY_OK;
}

size_t pl_payload_body_bytes_max(const struct pl_payload_item *item)
{
    /* Heads of array, created and map on top of what the object takes already. */
    return item->value.len + 32;
}

void pl_payload_body(const struct pl_payload_item *item, struct pl_writer *out)
{
    if (item->version.kind == PARLEY_KIND_HEADER) {
        pl_write_span(out, item->value);
        return;
    }
    uint32_t count = item->extra_count != 0 ? 4 : item->created != 0 ? 3 : 2;
    pl_mp_write_array(out, count);
    pl_mp_write_str(out, item->role);
    pl_mp_write_str(out, item->content);
    if (count > 2)
        pl_mp_write_uint(out, item->created);
    if (count < 4)
        return;
    pl_mp_write_map(out, item->extra_count);
    struct pl_reader r = pl_reader_over(item->value);
    uint32_t pairs = pl_mp_read_map(&r, UINT32_MAX);
    for (uint32_t i = 0; i < pairs; i++) {
        const uint8_t *start = r.at;
        struct parley_span name = pl_mp_read_str(&r, item->value.len);
        pl_mp_read_any(&r);
        if (message_field_of(name) == FIELD_UNKNOWN)
            pl_write_bytes(out, start, (size_t)(r.at - start));
    }
    PL_ASSERT(r.err == PARLEY_OK);
}

/* ---- The conversation object ---- */

enum header_field {
    HEADER_CONVERSATION_ID = 0,
    HEADER_MESSAGES,
    HEADER_UPDATED_AT,
    HEADER_TITLE,
    HEADER_SURFACE,
    HEADER_CREATED_AT,
    HEADER_METADATA,
    HEADER_OTHER
};

static enum header_field header_field_of(struct parley_span name)
{
    static const struct parley_span names[HEADER_OTHER] = {
        NAME("conversation_id"), NAME("messages"),   NAME("updated_at"), NAME("title"),
        NAME("surface"),         NAME("created_at"), NAME("metadata")
    };
    for (size_t i = 0; i < HEADER_OTHER; i++)
        if (pl_span_equal(name, names[i]))
            return (enum header_field)i;
    return HEADER_OTHER;
}

/* The rules of a name that becomes part of a register id. */
static PL_MUST_USE parley_err check_key(const struct place *place, struct parley_span name,
                                        const char *prefix)
{
    if (name.len > PARLEY_ID_BYTES_MAX - strlen(prefix))
        return refuse_at(place, PARLEY_ETOOBIG, name,
                         "the name is too long (255 bytes with prefix)");
    if (has_control(name))
        return refuse_text(place, PARLEY_EMALFORMED, "a field name", "has a control character");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_value(const struct place *place, struct parley_span name,
                                          struct parley_span value)
{
    if (value.len > PARLEY_METADATA_BYTES_MAX)
        return refuse_at(place, PARLEY_ETOOBIG, name, "is longer than 64 KiB");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_metadata(const struct place *place, struct parley_span value,
                                             struct pl_payload *out)
{
    struct pl_reader r = pl_reader_over(value);
    if (pl_mp_peek(&r) != PL_MP_MAP)
        return refuse_text(place, PARLEY_ETYPE, "metadata", "must be an object");
    uint32_t count = pl_mp_read_map(&r, UINT32_MAX);
    out->metadata = r;
    out->metadata_left = count;
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, value.len);
        struct parley_span inner = pl_mp_read_any(&r);
        if (r.err != PARLEY_OK)
            break;
        PL_TRY(check_key(place, name, METADATA_PREFIX));
        PL_TRY(check_value(place, name, inner));
    }
    if (r.err != PARLEY_OK)
        return refuse_text(place, r.err, "metadata", "has a name that is not a string");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_title(const struct place *place, struct parley_span value)
{
    struct parley_span text;
    PL_TRY(take_text(place, "title", value, &text));
    if (text.len > PARLEY_TITLE_BYTES_MAX)
        return refuse_text(place, PARLEY_ETOOBIG, "title", "is longer than 4096 bytes");
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_created(const struct place *place, struct parley_span value,
                                            struct pl_payload *out)
{
    uint64_t created = 0;
    PL_TRY(take_time(place, "created_at", value, &created));
    char text[PL_ISO8601_BYTES];
    pl_iso8601_format(created, text);
    struct pl_writer w = pl_writer_over(out->created_value, sizeof out->created_value);
    pl_mp_write_str(&w, pl_span_of(text, sizeof text));
    PL_ASSERT(w.err == PARLEY_OK);
    out->created_at = pl_writer_span(&w);
    return PARLEY_OK;
}

/* Checks the messages and finds the newest of their times. */
static PL_MUST_USE parley_err check_messages(struct parley_diag *diag, struct parley_span value,
                                             struct pl_payload *out, uint64_t *newest)
{
    struct place place = { .diag = diag };
    struct pl_reader r = pl_reader_over(value);
    if (pl_mp_peek(&r) != PL_MP_ARRAY)
        return refuse_text(&place, PARLEY_ETYPE, "messages", "must be an array");
    uint32_t count = pl_mp_read_array(&r, UINT32_MAX);
    if (r.err == PARLEY_OK && count > PARLEY_MESSAGES_PER_CONVERSATION_MAX)
        return refuse_text(&place, PARLEY_ETOOBIG, "messages", "has more than 100000 elements");
    out->messages = r;
    out->messages_left = count;
    out->message_count = count;
    place.in_message = true;
    for (place.index = 0; place.index < count && r.err == PARLEY_OK; place.index++) {
        struct pl_payload_item item = { .version.origin = out->origin };
        PL_TRY(take_message(&place, &r, &item));
        *newest = pl_max_u64(*newest, item.version.time);
    }
    return r.err;
}

/* The raw values of the known header fields; the rest is checked on the way. */
static PL_MUST_USE parley_err split_header(const struct place *place, struct parley_span object,
                                           struct pl_payload *out,
                                           struct parley_span known[HEADER_OTHER])
{
    struct pl_reader r = pl_reader_over(object);
    if (pl_mp_peek(&r) != PL_MP_MAP)
        return refuse_text(place, PARLEY_ETYPE, "conversation", "must be an object");
    uint32_t count = pl_mp_read_map(&r, UINT32_MAX);
    out->fields = r;
    out->fields_left = count;
    for (uint32_t i = 0; i < count && r.err == PARLEY_OK; i++) {
        struct parley_span name = pl_mp_read_str(&r, object.len);
        struct parley_span value = pl_mp_read_any(&r);
        if (r.err != PARLEY_OK)
            break;
        enum header_field field = header_field_of(name);
        if (field == HEADER_OTHER) {
            PL_TRY(check_key(place, name, FIELD_PREFIX));
            PL_TRY(check_value(place, name, value));
        } else if (known[field].len != 0) {
            return refuse_at(place, PARLEY_EMALFORMED, name, "is given twice");
        } else {
            known[field] = value;
        }
    }
    if (r.err != PARLEY_OK)
        return refuse_text(place, r.err, "conversation", "has a name that is not a string");
    out->messages_bytes = known[HEADER_MESSAGES].len;
    out->metadata_is_null = value_is_nil(known[HEADER_METADATA]);
    for (size_t i = 0; i < HEADER_OTHER; i++)
        if (value_is_nil(known[i]))
            known[i] = pl_span_of(NULL, 0);
    return PARLEY_OK;
}

static PL_MUST_USE parley_err check_header(const struct place *place,
                                           const struct parley_span known[HEADER_OTHER],
                                           struct pl_payload *out)
{
    if (known[HEADER_TITLE].len != 0)
        PL_TRY(check_title(place, known[HEADER_TITLE]));
    if (known[HEADER_SURFACE].len != 0) {
        struct parley_span surface;
        PL_TRY(take_text(place, "surface", known[HEADER_SURFACE], &surface));
        PL_TRY(check_value(place, pl_span_text("surface"), known[HEADER_SURFACE]));
    }
    if (known[HEADER_CREATED_AT].len != 0)
        PL_TRY(check_created(place, known[HEADER_CREATED_AT], out));
    if (known[HEADER_METADATA].len != 0)
        PL_TRY(check_metadata(place, known[HEADER_METADATA], out));
    return PARLEY_OK;
}

PL_MUST_USE parley_err pl_payload_open(struct pl_payload *out, struct parley_span object,
                                       struct parley_span name_space, struct parley_span origin,
                                       struct parley_diag *diag)
{
    struct place place = { .diag = diag };
    struct parley_span known[HEADER_OTHER] = { 0 };
    *out = (struct pl_payload){ .name_space = name_space, .origin = origin };
    PL_TRY(split_header(&place, object, out, known));
    if (known[HEADER_CONVERSATION_ID].len == 0)
        return refuse_text(&place, PARLEY_EMISSING, "conversation_id", "is missing");
    PL_TRY(take_id(&place, "conversation_id", known[HEADER_CONVERSATION_ID], &out->id));
    PL_TRY(check_header(&place, known, out));
    uint64_t newest = 0;
    if (known[HEADER_MESSAGES].len != 0)
        PL_TRY(check_messages(diag, known[HEADER_MESSAGES], out, &newest));
    out->header_time = newest;
    if (known[HEADER_UPDATED_AT].len != 0)
        PL_TRY(take_time(&place, "updated_at", known[HEADER_UPDATED_AT], &out->header_time));
    else if (newest == 0 && known[HEADER_CREATED_AT].len != 0)
        PL_TRY(take_time(&place, "created_at", known[HEADER_CREATED_AT], &out->header_time));
    if (out->header_time == 0)
        return refuse_text(&place, PARLEY_EMISSING, "updated_at",
                           "is missing, and there is no message or created_at to take it from");
    return PARLEY_OK;
}

/* The head of the array alone. */
static PL_MUST_USE parley_err find_messages(const struct place *place, struct parley_span value,
                                            struct pl_payload *out)
{
    struct pl_reader r = pl_reader_over(value);
    if (pl_mp_peek(&r) != PL_MP_ARRAY)
        return refuse_text(place, PARLEY_ETYPE, "messages", "must be an array");
    out->message_count = pl_mp_read_array(&r, UINT32_MAX);
    out->messages = r;
    return r.err;
}

PL_MUST_USE parley_err pl_payload_open_header(struct pl_payload *out, struct parley_span object,
                                              struct parley_span name_space,
                                              struct parley_diag *diag)
{
    struct place place = { .diag = diag };
    struct parley_span known[HEADER_OTHER] = { 0 };
    *out = (struct pl_payload){ .name_space = name_space, .keeps_null = true };
    PL_TRY(split_header(&place, object, out, known));
    if (known[HEADER_CONVERSATION_ID].len != 0)
        PL_TRY(take_id(&place, "conversation_id", known[HEADER_CONVERSATION_ID], &out->id));
    if (known[HEADER_UPDATED_AT].len != 0)
        return refuse_text(&place, PARLEY_EINVAL, "updated_at",
                           "is decided by the node; POST /import keeps the times of what it takes");
    if (known[HEADER_MESSAGES].len != 0)
        PL_TRY(find_messages(&place, known[HEADER_MESSAGES], out));
    return check_header(&place, known, out);
}

/* ---- Yielding ---- */

static struct parley_span join_name(struct pl_payload *p, const char *prefix,
                                    struct parley_span name)
{
    struct pl_writer w = pl_writer_over(p->name, sizeof p->name);
    pl_write_text(&w, prefix);
    pl_write_span(&w, name);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}

static bool next_metadata(struct pl_payload *p, struct pl_payload_item *item)
{
    if (p->metadata_left == 0)
        return false;
    p->metadata_left--;
    struct parley_span name = pl_mp_read_str(&p->metadata, pl_reader_left(&p->metadata));
    item->value = pl_mp_read_any(&p->metadata);
    item->version.id = join_name(p, METADATA_PREFIX, name);
    return true;
}

/* Whether this top-level field is a header register of its own; then fills id and value. */
static bool header_item(struct pl_payload *p, struct parley_span name, struct parley_span value,
                        struct pl_payload_item *item)
{
    item->value = value;
    switch (header_field_of(name)) {
    case HEADER_CONVERSATION_ID:
    case HEADER_MESSAGES:
    case HEADER_UPDATED_AT:
    case HEADER_METADATA:
        return false;
    case HEADER_CREATED_AT:
        item->version.id = pl_span_text("created_at");
        if (!value_is_nil(value))
            item->value = p->created_at;
        return p->keeps_null || !value_is_nil(value);
    case HEADER_TITLE:
        item->version.id = pl_span_text("title");
        return p->keeps_null || !value_is_nil(value);
    case HEADER_SURFACE:
        item->version.id = pl_span_text("surface");
        return p->keeps_null || !value_is_nil(value);
    case HEADER_OTHER:
        item->version.id = join_name(p, FIELD_PREFIX, name);
        return true;
    }
    return false;
}

static bool next_header(struct pl_payload *p, struct pl_payload_item *item)
{
    item->version.kind = PARLEY_KIND_HEADER;
    item->version.time = p->header_time;
    while (p->fields_left != 0) {
        p->fields_left--;
        struct parley_span name = pl_mp_read_str(&p->fields, pl_reader_left(&p->fields));
        struct parley_span value = header_field_of(name) == HEADER_MESSAGES
                                       ? pl_read_bytes(&p->fields, p->messages_bytes)
                                       : pl_mp_read_any(&p->fields);
        if (header_item(p, name, value, item))
            return true;
    }
    return next_metadata(p, item);
}

bool pl_payload_next(struct pl_payload *payload, struct pl_payload_item *out)
{
    struct pl_payload_item item = { .version = { .name_space = payload->name_space,
                                                 .conversation = payload->id,
                                                 .origin = payload->origin } };
    if (next_header(payload, &item)) {
        *out = item;
        return true;
    }
    if (payload->messages_left == 0)
        return false;
    payload->messages_left--;
    struct place nowhere = { 0 };
    item = (struct pl_payload_item){ .version = { .name_space = payload->name_space,
                                                  .conversation = payload->id,
                                                  .origin = payload->origin } };
    parley_err err = take_message(&nowhere, &payload->messages, &item);
    PL_ASSERT(err == PARLEY_OK); /* pl_payload_open has read the same bytes */
    *out = item;
    return true;
}
