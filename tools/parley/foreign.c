/* SPDX-License-Identifier: Apache-2.0
 *
 * Other programs' conversations. The contract is in foreign.h; tests/cli/test_foreign.py has
 * their shapes.
 */
#include "parley/foreign.h"

#include "base/base.h"
#include "core/hash.h"
#include "core/iso8601.h"
#include "parley/cli.h"

#include <stdlib.h>
#include <string.h>

#define TITLE_BYTES_MAX   120u
#define HASH_TEXT_BYTES   33 /* half of a SHA-256 in hex */
#define SECONDS_MAX       253402300799.0
#define ATTACHMENTS_MAX   100u
#define ATTACHMENTS_BYTES 32768u

static json_t *refuse(struct foreign_report *report, const char *why)
{
    snprintf(report->why, sizeof report->why, "%s", why);
    return NULL;
}

/* ---- Pieces ---- */

static bool has(const json_t *object, const char *name)
{
    return json_object_get(object, name) != NULL;
}

enum foreign_shape foreign_shape(const json_t *value)
{
    if (!json_is_object(value))
        return FOREIGN_UNKNOWN;
    if (json_is_object(json_object_get(value, "mapping")))
        return FOREIGN_CHATGPT;
    if (json_is_array(json_object_get(value, "chat_messages")))
        return FOREIGN_CLAUDE;
    if (has(value, "conversation_id"))
        return FOREIGN_OURS;
    if (json_is_array(json_object_get(value, "messages")))
        return FOREIGN_LIST;
    if (json_is_string(json_object_get(value, "role")))
        return FOREIGN_MESSAGE;
    return FOREIGN_UNKNOWN;
}

/* Seconds since 1970, with a fraction; 0: no such time. */
static uint64_t seconds_to_us(const json_t *seconds)
{
    double value = json_is_number(seconds) ? json_number_value(seconds) : 0;
    return value > 0 && value < SECONDS_MAX ? (uint64_t)(value * 1e6 + 0.5) : 0;
}

static uint64_t iso_to_us(const char *text)
{
    uint64_t us = 0;
    return pl_iso8601_parse(pl_span_text(text), &us) == PARLEY_OK ? us : 0;
}

static json_t *iso_of(uint64_t us)
{
    char text[PL_ISO8601_BYTES];
    pl_iso8601_format(pl_min_u64(us, PL_ISO8601_US_MAX), text);
    return json_stringn(text, sizeof text);
}

static json_t *text_json(const struct buf *b)
{
    return json_stringn_nocheck(buf_str(b), b->len);
}

static void add_json_text(struct buf *b, const json_t *string)
{
    if (json_string_length(string) == 0)
        return;
    if (b->len != 0)
        buf_text(b, "\n");
    buf_add(b, json_string_value(string), json_string_length(string));
}

static void hash_text(const char *kind, const char *bytes, size_t len, char out[HASH_TEXT_BYTES])
{
    uint8_t hash[PL_SHA256_BYTES];
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, kind, strlen(kind) + 1);
    pl_sha256_update(&h, bytes, len);
    pl_sha256_final(&h, hash);
    for (size_t i = 0; i < (HASH_TEXT_BYTES - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* Names of what was attached; the things themselves are not in an export's text. */
static json_t *names_of(const json_t *list, const char *field)
{
    json_t *names = json_array();
    size_t bytes = 0;
    for (size_t i = 0; i < json_array_size(list) && i < ATTACHMENTS_MAX; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *name = json_is_string(item) ? item : json_object_get(item, field);
        bytes += json_string_length(name);
        if (json_is_string(name) && bytes <= ATTACHMENTS_BYTES)
            json_array_append(names, (json_t *)name);
    }
    return names;
}

static void add_names(json_t *message, const char *field, json_t *names)
{
    if (json_array_size(names) != 0)
        json_object_set(message, field, names);
    json_decref(names);
}

/* ---- A conversation that is being made ---- */

struct talk {
    json_t *object, *messages;
    const char *source;
    uint64_t last_us; /* of the message before: each is later */
};

static struct talk begin(const char *source, const char *id)
{
    struct talk t = { .object = json_object(), .messages = json_array(), .source = source };
    struct buf b = { 0 };
    buf_format(&b, "%s-", source);
    buf_text(&b, id);
    json_object_set_new(t.object, "conversation_id", text_json(&b));
    json_object_set_new(t.object, "messages", t.messages);
    json_object_set_new(t.object, "metadata", json_pack("{s:s}", "imported_from", source));
    buf_free(&b);
    return t;
}

static json_t *add_message(struct talk *t, const char *id, const char *role,
                           const struct buf *content, uint64_t us)
{
    json_t *message = json_object();
    t->last_us = pl_max_u64(us, t->last_us + 1);
    json_object_set_new(message, "message_id", json_string(id));
    json_object_set_new(message, "role", json_string(role));
    json_object_set_new(message, "content", text_json(content));
    json_object_set_new(message, "timestamp", iso_of(t->last_us));
    json_object_set_new(message, "source_backend", json_string(t->source));
    json_array_append_new(t->messages, message);
    return message;
}

/* The header's times: what the export says, else those of the messages. */
static void finish(struct talk *t, const json_t *title, uint64_t created_us, uint64_t updated_us)
{
    if (json_string_length(title) != 0)
        json_object_set(t->object, "title", (json_t *)title);
    if (created_us != 0)
        json_object_set_new(t->object, "created_at", iso_of(created_us));
    json_object_set_new(t->object, "updated_at",
                        iso_of(updated_us != 0 ? updated_us : pl_max_u64(t->last_us, 1)));
}

/* ---- ChatGPT ---- */

static void add_parts(struct buf *b, const json_t *parts)
{
    size_t index;
    json_t *part;
    json_array_foreach(parts, index, part)
    {
        if (json_is_string(part)) {
            add_json_text(b, part);
        } else if (has(part, "text")) {
            add_json_text(b, json_object_get(part, "text"));
        } else if (has(part, "asset_pointer")) {
            buf_text(b, b->len != 0 ? "\n[" : "[");
            buf_text(b, json_text(part, "content_type"));
            buf_text(b, "]");
        }
    }
}

static void add_content(struct buf *b, const json_t *content)
{
    if (json_is_string(content))
        add_json_text(b, content);
    add_parts(b, json_object_get(content, "parts"));
    if (b->len == 0)
        add_json_text(b, json_object_get(content, "text"));
    if (b->len == 0)
        add_json_text(b, json_object_get(content, "result"));
    if (b->len == 0)
        add_json_text(b, json_object_get(content, "content"));
}

/* The branch that ends at `leaf`, first message first. NULL: it has no end. */
static json_t *branch_to(const json_t *mapping, const char *leaf)
{
    json_t *up = json_array();
    json_t *down = json_array();
    size_t steps = 0;
    const json_t *node = json_object_get(mapping, leaf);
    for (; json_is_object(node) && steps <= FOREIGN_MESSAGES_MAX; steps++) {
        json_array_append(up, (json_t *)node);
        node = json_object_get(mapping, json_text(node, "parent"));
    }
    for (size_t i = json_array_size(up); i-- > 0;)
        json_array_append(down, json_array_get(up, i));
    json_decref(up);
    if (steps > FOREIGN_MESSAGES_MAX) {
        json_decref(down);
        return NULL;
    }
    return down;
}

/* Whether it says anything; adds its text. */
static bool has_words(const json_t *node, struct buf *b)
{
    const json_t *message = json_object_get(node, "message");
    const json_t *metadata = json_object_get(message, "metadata");
    buf_clear(b);
    if (json_is_true(json_object_get(metadata, "is_visually_hidden_from_conversation")))
        return false;
    add_content(b, json_object_get(message, "content"));
    return b->len != 0;
}

static void add_node(struct talk *t, const json_t *node, const struct buf *content, uint64_t us,
                     bool with_parent)
{
    const json_t *message = json_object_get(node, "message");
    const json_t *metadata = json_object_get(message, "metadata");
    const char *role = json_text(json_object_get(message, "author"), "role");
    uint64_t own = seconds_to_us(json_object_get(message, "create_time"));
    json_t *out = add_message(t, json_text(message, "id"), role[0] != '\0' ? role : "unknown",
                              content, own != 0 ? own : us);
    if (json_text(metadata, "model_slug")[0] != '\0')
        json_object_set_new(out, "model", json_string(json_text(metadata, "model_slug")));
    if (with_parent && json_text(node, "parent")[0] != '\0')
        json_object_set_new(out, "parent_id", json_string(json_text(node, "parent")));
    add_names(out, "attachments", names_of(json_object_get(metadata, "attachments"), "name"));
}

static int compare_nodes(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a;
    const json_t *y = *(json_t *const *)b;
    double at = json_number_value(json_object_get(json_object_get(x, "message"), "create_time"));
    double bt = json_number_value(json_object_get(json_object_get(y, "message"), "create_time"));
    return at != bt ? (at > bt) - (at < bt) : strcmp(json_text(x, "id"), json_text(y, "id"));
}

/* All nodes of the tree in order of time. */
static json_t *all_nodes(const json_t *mapping)
{
    size_t count = 0;
    json_t **nodes = calloc(json_object_size(mapping) + 1, sizeof *nodes);
    json_t *list = json_array();
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)mapping, key, node)
    {
        if (nodes != NULL && json_is_object(node))
            nodes[count++] = node;
    }
    if (count > 0)
        qsort(nodes, count, sizeof *nodes, compare_nodes);
    for (size_t i = 0; i < count; i++)
        json_array_append(list, nodes[i]);
    free(nodes);
    return list;
}

static uint64_t count_words(const json_t *mapping)
{
    struct buf b = { 0 };
    uint64_t count = 0;
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)mapping, key, node)
    {
        count += has_words(node, &b) ? 1 : 0;
    }
    buf_free(&b);
    return count;
}

static json_t *from_chatgpt(const json_t *value, const struct foreign_options *options,
                            struct foreign_report *report)
{
    const json_t *mapping = json_object_get(value, "mapping");
    const char *id = json_text(value, "conversation_id");
    id = id[0] != '\0' ? id : json_text(value, "id");
    if (id[0] == '\0')
        return refuse(report, "a ChatGPT conversation without conversation_id");
    if (json_object_size(mapping) > FOREIGN_MESSAGES_MAX)
        return refuse(report, "mapping: has more than 100000 messages");
    uint64_t created = seconds_to_us(json_object_get(value, "create_time"));
    bool all = options->all_branches || json_text(value, "current_node")[0] == '\0';
    json_t *nodes = all ? all_nodes(mapping) : branch_to(mapping, json_text(value, "current_node"));
    if (nodes == NULL)
        return refuse(report, "mapping: its messages go round in a circle");
    struct talk t = begin("chatgpt", id);
    struct buf content = { 0 };
    size_t index;
    json_t *node;
    json_array_foreach(nodes, index, node)
    {
        if (has_words(node, &content))
            add_node(&t, node, &content, pl_max_u64(created, 1), all);
    }
    report->left_out = count_words(mapping) - json_array_size(t.messages);
    buf_free(&content);
    json_decref(nodes);
    finish(&t, json_object_get(value, "title"), created,
           seconds_to_us(json_object_get(value, "update_time")));
    return t.object;
}

/* ---- Claude ---- */

static void add_claude_content(struct buf *b, const json_t *message)
{
    size_t index;
    json_t *part;
    json_array_foreach(json_object_get(message, "content"), index, part)
    {
        if (strcmp(json_text(part, "type"), "text") == 0)
            add_json_text(b, json_object_get(part, "text"));
    }
    if (b->len == 0)
        add_json_text(b, json_object_get(message, "text"));
}

static json_t *from_claude(const json_t *value, struct foreign_report *report)
{
    const json_t *list = json_object_get(value, "chat_messages");
    const char *id = json_text(value, "uuid");
    if (id[0] == '\0')
        return refuse(report, "a Claude conversation without uuid");
    struct talk t = begin("claude", id);
    struct buf content = { 0 };
    uint64_t created = iso_to_us(json_text(value, "created_at"));
    size_t index;
    json_t *message;
    json_array_foreach(list, index, message)
    {
        const char *sender = json_text(message, "sender");
        json_t *files = names_of(json_object_get(message, "files"), "file_name");
        json_t *attached = names_of(json_object_get(message, "attachments"), "file_name");
        json_array_extend(attached, files);
        json_decref(files);
        buf_clear(&content);
        add_claude_content(&content, message);
        uint64_t us = iso_to_us(json_text(message, "created_at"));
        if (content.len == 0 && json_array_size(attached) == 0) {
            json_decref(attached);
            continue;
        }
        json_t *out = add_message(&t, json_text(message, "uuid"),
                                  strcmp(sender, "human") == 0 ? "user" : sender, &content,
                                  us != 0 ? us : pl_max_u64(created, 1));
        add_names(out, "attachments", attached);
    }
    buf_free(&content);
    finish(&t, json_object_get(value, "name"), created, iso_to_us(json_text(value, "updated_at")));
    return t.object;
}

/* ---- Lists of messages ---- */

static void add_list_content(struct buf *b, const json_t *content)
{
    if (json_is_string(content))
        add_json_text(b, content);
    else if (json_is_array(content))
        add_parts(b, content);
}

/* What a list says besides role and content stays with the message. */
static void keep_rest(json_t *out, const json_t *message)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)message, key, value)
    {
        if (!has(out, key))
            json_object_set(out, key, value);
    }
}

/* The first line that the user says. */
static json_t *title_of(const json_t *messages)
{
    size_t index;
    json_t *message;
    json_array_foreach(messages, index, message)
    {
        const char *content = json_text(message, "content");
        if (strcmp(json_text(message, "role"), "user") != 0 || content[0] == '\0')
            continue;
        struct buf line = { 0 };
        text_brief(&line, pl_span_text(content), TITLE_BYTES_MAX);
        json_t *title = json_string(buf_str(&line));
        buf_free(&line);
        return title;
    }
    return NULL;
}

static json_t *from_list(const json_t *value, const json_t *messages,
                         const struct foreign_options *options, struct foreign_report *report)
{
    char id[HASH_TEXT_BYTES], own[HASH_TEXT_BYTES];
    if (json_array_size(messages) > FOREIGN_MESSAGES_MAX)
        return refuse(report, "messages: has more than 100000 elements");
    char *canonical = json_dumps(messages, JSON_COMPACT | JSON_SORT_KEYS);
    if (canonical == NULL)
        return refuse(report, "messages: cannot be written as JSON again");
    hash_text("list", canonical, strlen(canonical), id);
    free(canonical);
    const char *given = json_text(value, "id");
    struct talk t = begin("list", given[0] != '\0' ? given : id);
    uint64_t us = seconds_to_us(json_object_get(value, "created"));
    uint64_t created = us != 0 ? us : options->time_us;
    struct buf content = { 0 }, name = { 0 };
    size_t index;
    json_t *message;
    json_array_foreach(messages, index, message)
    {
        buf_clear(&content);
        buf_clear(&name);
        add_list_content(&content, json_object_get(message, "content"));
        buf_format(&name, "%06zu-", index);
        buf_text(&name, json_text(message, "role"));
        buf_text(&name, "\n");
        buf_add(&name, buf_str(&content), content.len);
        hash_text("message", name.ptr, name.len, own);
        buf_clear(&name);
        buf_format(&name, "%06zu-%.16s", index, own);
        const char *role = json_text(message, "role");
        json_t *out = add_message(&t, name.ptr, role[0] != '\0' ? role : "unknown", &content,
                                  created + index);
        keep_rest(out, message);
    }
    buf_free(&content);
    buf_free(&name);
    json_t *title =
        has(value, "title") ? json_incref(json_object_get(value, "title")) : title_of(t.messages);
    finish(&t, title, created, 0);
    json_decref(title);
    return t.object;
}

json_t *foreign_convert(const json_t *value, enum foreign_shape shape,
                        const struct foreign_options *options, struct foreign_report *report)
{
    *report = (struct foreign_report){ .left_out = 0 };
    switch (shape) {
    case FOREIGN_OURS:
        return json_incref((json_t *)value);
    case FOREIGN_CHATGPT:
        return from_chatgpt(value, options, report);
    case FOREIGN_CLAUDE:
        return from_claude(value, report);
    case FOREIGN_LIST:
        return from_list(value, json_object_get(value, "messages"), options, report);
    case FOREIGN_MESSAGE:
        return from_list(NULL, value, options, report);
    case FOREIGN_UNKNOWN:
        break;
    }
    return refuse(report, "is no conversation: it has none of conversation_id, mapping (ChatGPT), "
                          "chat_messages (Claude), messages");
}
