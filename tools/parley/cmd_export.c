/* SPDX-License-Identifier: Apache-2.0
 *
 * export: all conversations of a namespace, or one, as JSON lines or as Markdown. The file appears
 * under its name only when it is whole.
 */
#include "parley/client.h"
#include "parley/markdown.h"
#include "parley/output.h"
#include "parley/progress.h"

#define PART_BYTES "524288"

struct export
{
    struct cli *cli;
    const char *name;
    struct output output;
    bool markdown;
    uint64_t conversations, bytes;
    struct progress progress;
};

/* Whole lines, each a conversation. */
static enum cli_exit write_lines(struct export *e, const struct buf *part)
{
    struct buf text = { 0 };
    enum cli_exit exit = CLI_OK;
    const char *line = buf_str(part);
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        e->conversations++;
        if (!e->markdown)
            continue;
        json_t *talk = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        if (talk == NULL)
            exit = cli_fail(e->cli, CLI_BUG, "bad-answer", "the answer of the node is not JSON");
        else
            markdown_add(&text, talk);
        json_decref(talk);
    }
    const struct buf *written = e->markdown ? &text : part;
    e->bytes += written->len;
    if (exit == CLI_OK)
        exit = output_write(&e->output, pl_span_of(written->ptr, written->len));
    buf_free(&text);
    return exit;
}

static void draw(struct export *e)
{
    struct buf b = { 0 };
    if (!progress_is_due(&e->progress))
        return;
    text_count(&b, e->conversations);
    buf_text(&b, " conversations, ");
    text_bytes(&b, e->bytes);
    progress_draw(&e->progress, 0, 0, b.ptr);
    buf_free(&b);
}

static void name_part(const struct export *e, const struct buf *after, struct buf *path)
{
    if (e->cli->arg_count == 2) {
        buf_text(path, "/conversations");
        path_add(path, e->cli->args[1]);
        path_query(path, "namespace", e->cli->name_space);
        return;
    }
    buf_text(path, "/export");
    path_query(path, "namespace", e->cli->name_space);
    path_query(path, "limit_bytes", PART_BYTES);
    /* The node has encoded it already. */
    if (after->len != 0)
        buf_format(path, "&after=%s", after->ptr);
}

/* One request: the part goes to the output, the place to go on to `after`. */
static enum cli_exit take_part(struct export *e, struct buf *after)
{
    struct reply reply = { 0 };
    struct buf path = { 0 };
    enum cli_exit exit = client_open(e->cli);
    name_part(e, after, &path);
    if (exit == CLI_OK) {
        client_send(e->cli->client, "GET", path.ptr, NULL, pl_span_of(NULL, 0));
        exit = client_receive(e->cli, &reply);
    }
    if (exit == CLI_OK && reply.status >= 400)
        exit = client_refusal(e->cli, &reply);
    if (e->cli->arg_count == 2)
        buf_text(&reply.body, "\n");
    if (exit == CLI_OK)
        exit = write_lines(e, &reply.body);
    buf_clear(after);
    buf_text(after, reply.next);
    reply_free(&reply);
    buf_free(&path);
    return exit;
}

static void print_result(const struct export *e)
{
    double seconds = progress_now() - e->progress.began;
    if (e->cli->json) {
        json_t *answer = json_pack("{s:s*, s:I, s:I, s:f}", "file", e->name, "conversations",
                                   (json_int_t)e->conversations, "bytes", (json_int_t)e->bytes,
                                   "seconds", seconds);
        cli_print_json(e->cli, answer);
        json_decref(answer);
        return;
    }
    struct buf b = { 0 };
    text_count(&b, e->conversations);
    buf_text(&b, " conversations, ");
    text_bytes(&b, e->bytes);
    fprintf(output_is_stdout(e->name) ? stderr : stdout, "exported %s, %.1f s\n", b.ptr, seconds);
    buf_free(&b);
}

enum cli_exit cmd_export(struct cli *cli)
{
    struct export e = { .cli = cli, .name = cli->args[0] };
    struct buf after = { 0 };
    size_t len = strlen(e.name);
    bool packed = len > 3 && strcmp(e.name + len - 3, ".gz") == 0;
    e.markdown = cli->markdown || (len > 3 && strcmp(e.name + len - 3, ".md") == 0);
    if (cli->json && output_is_stdout(e.name))
        return cli_fail(cli, CLI_USAGE, "usage",
                        "export - writes the conversations to stdout; --json needs a file name");
    progress_init(&e.progress, cli);
    enum cli_exit exit = client_open(cli);
    if (exit == CLI_OK)
        exit = output_open(&e.output, cli, e.name, packed);
    while (exit == CLI_OK) {
        exit = take_part(&e, &after);
        if (after.len == 0)
            break;
        draw(&e);
    }
    exit = output_close(&e.output, exit);
    progress_clear(&e.progress);
    if (exit == CLI_OK)
        print_result(&e);
    buf_free(&after);
    return exit;
}
