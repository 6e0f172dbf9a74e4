/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle: a sync by file, for nodes that no network joins. The file is the blocks that the node
 * gives, one after the other (node/bundle.h); each is handed to the other node by itself.
 */
#include "node/bundle.h"
#include "parley/client.h"
#include "parley/output.h"

#include <errno.h>
#include <stdlib.h>

#define PLACE_BYTES 64u

struct bundle {
    struct cli *cli;
    const char *name;
    struct output output; /* of create */
    FILE *file;           /* of apply */
    uint64_t blocks, bytes;
    uint64_t versions, added, known, lost, held, refused, passed_over;
    char upto[PLACE_BYTES]; /* of the last block */
    char maker[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    bool whole; /* the last block reaches the head of its log */
};

/* What the block says of itself; false: it is none. */
static bool look(struct bundle *b, struct parley_span block)
{
    struct pl_bundle head;
    uint8_t hash[32];
    struct parley_span signature;
    if (pl_bundle_read(block, &head, hash, &signature) != PARLEY_OK)
        return false;
    const uint8_t *i = head.incarnation.bytes;
    snprintf(b->upto, sizeof b->upto, "%02x%02x%02x%02x:%llu", i[0], i[1], i[2], i[3],
             (unsigned long long)head.upto);
    memcpy(b->maker, head.maker.ptr, head.maker.len);
    b->maker[head.maker.len] = '\0';
    b->whole = head.upto == head.head;
    b->blocks++;
    b->bytes += block.len;
    return true;
}

/* ---- create ---- */

/* --since is a place in our log, or a peer. */
static enum cli_exit first_path(struct bundle *b, struct buf *path)
{
    const char *since = b->cli->since;
    char *peer = NULL;
    enum cli_exit exit = CLI_OK;
    if (since != NULL && strchr(since, ':') == NULL)
        exit = cli_find_peer(b->cli, since, &peer);
    buf_text(path, "/bundle");
    path_query(path, "namespace", b->cli->name_space);
    path_query(path, "since", peer == NULL ? since : NULL);
    path_query(path, "peer", peer);
    free(peer);
    return exit;
}

static enum cli_exit take_block(struct bundle *b, struct buf *path)
{
    struct reply reply = { 0 };
    enum cli_exit exit = client_open(b->cli);
    if (exit == CLI_OK) {
        client_send(b->cli->client, "GET", path->ptr, NULL, pl_span_of(NULL, 0));
        exit = client_receive(b->cli, &reply);
    }
    if (exit == CLI_OK && reply.status >= 400)
        exit = client_refusal(b->cli, &reply);
    if (exit == CLI_OK && !look(b, pl_span_of(reply.body.ptr, reply.body.len)))
        exit = cli_fail(b->cli, CLI_BUG, "bad-answer", "the answer of the node is no bundle");
    if (exit == CLI_OK)
        exit = output_write(&b->output, pl_span_of(reply.body.ptr, reply.body.len));
    buf_clear(path);
    if (exit == CLI_OK && reply.next[0] != '\0') {
        buf_text(path, "/bundle");
        path_query(path, "namespace", b->cli->name_space);
        path_query(path, "since", reply.next);
    }
    reply_free(&reply);
    return exit;
}

static enum cli_exit create(struct bundle *b)
{
    struct buf path = { 0 };
    if (output_is_stdout(b->name) && (b->cli->json || b->cli->out_is_tty))
        return cli_fail(b->cli, CLI_USAGE, "usage",
                        "bundle create - writes the bundle to stdout; --json and terminals need a "
                        "file");
    enum cli_exit exit = client_open(b->cli);
    if (exit == CLI_OK)
        exit = first_path(b, &path);
    if (exit == CLI_OK)
        exit = output_open(&b->output, b->cli, b->name, false);
    while (exit == CLI_OK && path.len != 0)
        exit = take_block(b, &path);
    exit = output_close(&b->output, exit);
    if (exit == CLI_OK && b->cli->json) {
        json_t *answer =
            json_pack("{s:s, s:I, s:I, s:s}", "file", b->name, "blocks", (json_int_t)b->blocks,
                      "bytes", (json_int_t)b->bytes, "upto", b->upto);
        cli_print_json(b->cli, answer);
        json_decref(answer);
    } else if (exit == CLI_OK) {
        struct buf size = { 0 };
        text_bytes(&size, b->bytes);
        fprintf(output_is_stdout(b->name) ? stderr : stdout,
                "%s: %s, up to %s\n"
                "It is signed, not encrypted. On the other node: parley bundle apply %s\n"
                "The next one, once that is done: parley bundle create NEXT --since %s\n",
                b->name, size.ptr, b->upto, b->name, b->upto);
        buf_free(&size);
    }
    buf_free(&path);
    return exit;
}

/* ---- apply ---- */

static const char *input_name(const struct bundle *b)
{
    return b->file == stdin ? "stdin" : b->name;
}

static enum cli_exit fail_input(const struct bundle *b, const char *why)
{
    return cli_fail(b->cli, CLI_DATA, "bad-bundle",
                    "%s: %s; %llu blocks before that were taken, and may be taken again",
                    input_name(b), why, (unsigned long long)b->blocks);
}

/* Bytes of the file; *got less than `len`: it ends. */
static enum cli_exit read_some(struct bundle *b, struct buf *block, size_t len, size_t *got)
{
    *got = fread(buf_room(block, len), 1, len, b->file);
    block->len += *got;
    if (ferror(b->file))
        return cli_fail(b->cli, CLI_NO_INPUT, "no-input", "%s cannot be read: %s", input_name(b),
                        strerror(errno));
    return CLI_OK;
}

static enum cli_exit read_exactly(struct bundle *b, struct buf *block, size_t len)
{
    size_t got = 0;
    enum cli_exit exit = read_some(b, block, len, &got);
    return exit != CLI_OK || got == len ? exit : fail_input(b, "it ends in the middle of a block");
}

/* One block; empty at the end of the file. */
static enum cli_exit read_block(struct bundle *b, struct buf *block)
{
    size_t got = 0;
    buf_clear(block);
    enum cli_exit exit = read_some(b, block, 4, &got);
    if (exit != CLI_OK || got == 0)
        return exit;
    uint64_t len = got == 4 ? pl_get_be((const uint8_t *)block->ptr, 4) : UINT64_MAX;
    if (len > PL_BUNDLE_BODY_BYTES_MAX)
        return fail_input(b, "this is no bundle, or a damaged one");
    exit = read_exactly(b, block, (size_t)len + 2);
    if (exit != CLI_OK)
        return exit;
    size_t signature = (size_t)pl_get_be((const uint8_t *)block->ptr + block->len - 2, 2);
    if (signature > PL_SIGNATURE_BYTES_MAX)
        return fail_input(b, "this is no bundle, or a damaged one");
    return read_exactly(b, block, signature);
}

static enum cli_exit give_block(struct bundle *b, const struct buf *block)
{
    struct reply reply = { 0 };
    enum cli_exit exit = client_open(b->cli);
    if (exit == CLI_OK) {
        client_send(b->cli->client, "POST", "/bundle", "application/octet-stream",
                    pl_span_of(block->ptr, block->len));
        exit = client_receive(b->cli, &reply);
    }
    if (exit == CLI_OK && reply.status >= 400)
        exit = client_refusal(b->cli, &reply);
    json_t *answer =
        exit == CLI_OK ? json_loadb(buf_str(&reply.body), reply.body.len, 0, NULL) : NULL;
    if (exit == CLI_OK && (answer == NULL || !look(b, pl_span_of(block->ptr, block->len))))
        exit = cli_fail(b->cli, CLI_BUG, "bad-answer", "the answer of the node is not JSON");
    b->versions += json_count(answer, "versions");
    b->added += json_count(answer, "versions_new");
    b->known += json_count(answer, "known");
    b->lost += json_count(answer, "lost");
    b->held += json_count(answer, "held");
    b->refused += json_count(answer, "refused");
    b->passed_over += json_count(answer, "passed_over");
    json_decref(answer);
    reply_free(&reply);
    return exit;
}

static void print_applied(const struct bundle *b)
{
    const struct {
        const char *name, *text;
        uint64_t count;
    } parts[] = {
        { "versions_new", "new", b->added },
        { "known", "there already", b->known },
        { "lost", "older than what is here, now in the history", b->lost },
        { "held", "from the future, held until their time", b->held },
        { "refused", "refused: the peer may not write them here (parley approve)", b->refused },
        { "passed_over", "passed over: they may be deleted by now; a sync will tell",
          b->passed_over },
    };
    if (b->cli->json) {
        json_t *answer =
            json_pack("{s:s, s:s, s:I, s:s, s:I}", "file", b->name, "maker", b->maker, "blocks",
                      (json_int_t)b->blocks, "upto", b->upto, "versions", (json_int_t)b->versions);
        for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++)
            json_object_set_new(answer, parts[i].name, json_integer((json_int_t)parts[i].count));
        cli_print_json(b->cli, answer);
        json_decref(answer);
        return;
    }
    printf("%llu versions of %s, up to %s\n", (unsigned long long)b->versions, b->maker, b->upto);
    for (size_t i = 0; i < PL_ARRAY_LEN(parts); i++)
        if (parts[i].count != 0)
            printf("  %llu %s\n", (unsigned long long)parts[i].count, parts[i].text);
}

static enum cli_exit apply(struct bundle *b)
{
    struct buf block = { 0 };
    b->file = output_is_stdout(b->name) ? stdin : fopen(b->name, "rbe");
    if (b->file == NULL)
        return cli_fail(b->cli, CLI_NO_INPUT, "no-input", "%s cannot be read: %s", b->name,
                        strerror(errno));
    enum cli_exit exit = read_block(b, &block);
    while (exit == CLI_OK && block.len != 0) {
        exit = give_block(b, &block);
        if (exit == CLI_OK)
            exit = read_block(b, &block);
    }
    if (exit == CLI_OK && b->blocks == 0)
        exit = fail_input(b, "it is empty");
    if (exit == CLI_OK && !b->whole)
        exit = fail_input(b, "it is cut between two blocks: the end is missing");
    if (exit == CLI_OK)
        print_applied(b);
    fclose(b->file);
    buf_free(&block);
    return exit;
}

enum cli_exit cmd_bundle(struct cli *cli)
{
    struct bundle b = { .cli = cli, .name = cli->args[1] };
    enum cli_exit exit = CLI_OK;
    if (strcmp(cli->args[0], "create") == 0)
        exit = create(&b);
    else if (strcmp(cli->args[0], "apply") == 0)
        exit = apply(&b);
    else
        exit = cli_fail(cli, CLI_USAGE, "usage",
                        "parley bundle create FILE, or parley bundle apply FILE");
    return exit;
}
