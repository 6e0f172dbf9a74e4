/* SPDX-License-Identifier: Apache-2.0 */
#include "parley/markdown.h"

#include "parley/cli.h"

#include <string.h>

/* On one line: a heading ends where its line does. */
static void add_line(struct buf *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        buf_add(out, *at == '\n' || *at == '\r' ? " " : at, 1);
}

/* "2024-05-06 10:00:00 UTC" of an ISO 8601 time of ours. */
static void add_time(struct buf *out, const char *iso)
{
    if (strlen(iso) < 19)
        return;
    buf_format(out, "%.10s %.8s UTC", iso, iso + 11);
}

static void add_message(struct buf *out, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    buf_text(out, "## ");
    add_line(out, json_text(message, "role"));
    buf_text(out, ", ");
    add_time(out, json_text(message, "timestamp"));
    buf_text(out, "\n\n");
    buf_add(out, json_text(message, "content"), json_string_length(content));
    buf_text(out, "\n\n");
}

void markdown_add(struct buf *out, const json_t *talk)
{
    size_t index;
    json_t *message;
    const char *title = json_text(talk, "title");
    buf_text(out, "# ");
    add_line(out, title[0] != '\0' ? title : json_text(talk, "conversation_id"));
    buf_text(out, "\n\nConversation `");
    add_line(out, json_text(talk, "conversation_id"));
    buf_text(out, "`, updated ");
    add_time(out, json_text(talk, "updated_at"));
    buf_text(out, "\n\n");
    json_array_foreach(json_object_get(talk, "messages"), index, message)
    {
        add_message(out, message);
    }
}
