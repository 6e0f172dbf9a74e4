/* SPDX-License-Identifier: Apache-2.0
 *
 * audit: who was let in, shut out and refused; and whether the log is whole.
 *
 * The node gives the bytes of each record. --verify computes the hashes from them here, so that it
 * does not rely on what the node says of itself.
 */
#define _GNU_SOURCE 1
#include "parley/cli.h"

#include "core/base64.h"
#include "trust/audit.h"

#include <time.h>

#define PAGE       1000
#define SHOWN      50
#define FOLLOW_NS  500000000L
#define HASH_CHARS ((size_t)2 * PL_SHA256_BYTES)

struct chain {
    uint64_t sequence;
    uint8_t hash[PL_SHA256_BYTES];
    bool expected; /* the hash that was asked for came by */
};

/* The page behind `after`. */
static enum cli_exit get_page(struct cli *cli, uint64_t after, uint64_t limit, json_t **out)
{
    char path[96];
    int len = snprintf(path, sizeof path, "/audit?limit=%llu", (unsigned long long)limit);
    if (after != 0) /* 0, before the first, is what the node takes when nothing is said */
        snprintf(path + len, sizeof path - (size_t)len, "&after=%llu", (unsigned long long)after);
    return cli_call(cli, "GET", path, NULL, out);
}

/* ---- Showing ---- */

static void add_field(struct buf *line, const json_t *record, const char *name)
{
    const char *text = json_text(record, name);
    buf_text(line, "  ");
    if (text[0] == '\0')
        buf_text(line, "-");
    else
        text_safe(line, pl_span_text(text), false);
}

static void print_record(const struct cli *cli, const json_t *record)
{
    struct buf line = { 0 };
    if (cli->json) {
        cli_print_json(cli, record);
        return;
    }
    text_safe(&line, pl_span_text(json_text(record, "time")), false);
    add_field(&line, record, "event");
    add_field(&line, record, "actor");
    add_field(&line, record, "subject");
    add_field(&line, record, "detail");
    uint64_t count = json_count(record, "count");
    printf("%s", buf_str(&line));
    if (count > 1)
        printf("  (%llu times)", (unsigned long long)count);
    putchar('\n');
    buf_free(&line);
}

static uint64_t print_page(const struct cli *cli, const json_t *answer, uint64_t after)
{
    size_t index;
    json_t *record;
    json_array_foreach(json_object_get(answer, "records"), index, record)
    {
        print_record(cli, record);
        after = json_count(record, "sequence");
    }
    fflush(stdout);
    return after;
}

static enum cli_exit follow(struct cli *cli, uint64_t after)
{
    struct timespec pause = { .tv_nsec = FOLLOW_NS };
    for (;;) {
        json_t *answer = NULL;
        enum cli_exit exit = get_page(cli, after, PAGE, &answer);
        if (exit != CLI_OK)
            return exit;
        after = print_page(cli, answer, after);
        json_decref(answer);
        nanosleep(&pause, NULL);
    }
}

/* The newest records, oldest of them first. */
static enum cli_exit show(struct cli *cli)
{
    json_t *answer = NULL;
    uint64_t limit = (cli->given & CLI_FLAG_LIMIT) != 0 ? cli->limit : SHOWN;
    enum cli_exit exit = get_page(cli, 0, 1, &answer);
    if (exit != CLI_OK)
        return exit;
    uint64_t head = json_count(json_object_get(answer, "head"), "sequence");
    uint64_t after = head > limit ? head - limit : 0;
    json_decref(answer);
    while (exit == CLI_OK && after < head) {
        exit = get_page(cli, after, PAGE, &answer);
        uint64_t before = after;
        if (exit == CLI_OK)
            after = print_page(cli, answer, after);
        if (exit == CLI_OK)
            json_decref(answer);
        if (after == before)
            break;
    }
    return exit == CLI_OK && cli->follow ? follow(cli, after) : exit;
}

/* ---- Verifying ---- */

static enum cli_exit broken(struct cli *cli, const struct chain *chain, const char *why)
{
    return cli_fail(cli, CLI_DATA, "audit-broken",
                    "the audit log does not hold at record %llu: %s; the records before it do. "
                    "Keep a copy of the data directory and find out who could write to it",
                    (unsigned long long)chain->sequence + 1, why);
}

static enum cli_exit verify_record(struct cli *cli, const json_t *record, struct chain *chain)
{
    uint8_t bytes[PL_AUDIT_RECORD_BYTES_MAX];
    char hash[HASH_CHARS + 1];
    size_t len = 0;
    const char *why = "it is not base64url";
    struct parley_span text = pl_span_text(json_text(record, "record"));
    parley_err err = pl_base64url_decode(text, bytes, sizeof bytes, &len);
    if (err == PARLEY_OK)
        err = pl_audit_verify(pl_span_of(bytes, len), &chain->sequence, chain->hash, &why);
    if (err != PARLEY_OK)
        return broken(cli, chain, why);
    pl_hex_encode(chain->hash, sizeof chain->hash, hash);
    hash[HASH_CHARS] = '\0';
    chain->expected = chain->expected || (cli->expect != NULL && strcmp(cli->expect, hash) == 0);
    return CLI_OK;
}

static enum cli_exit verify_page(struct cli *cli, struct chain *chain, bool *more, json_t **head)
{
    json_t *answer = NULL;
    size_t index;
    json_t *record;
    enum cli_exit exit = get_page(cli, chain->sequence, PAGE, &answer);
    if (exit != CLI_OK)
        return exit;
    const json_t *records = json_object_get(answer, "records");
    *more = json_array_size(records) != 0;
    json_array_foreach(records, index, record)
    {
        if (exit == CLI_OK)
            exit = verify_record(cli, record, chain);
    }
    json_decref(*head);
    *head = json_incref(json_object_get(answer, "head"));
    json_decref(answer);
    return exit;
}

static enum cli_exit report(struct cli *cli, const struct chain *chain, const json_t *head)
{
    char hash[HASH_CHARS + 1];
    pl_hex_encode(chain->hash, sizeof chain->hash, hash);
    hash[HASH_CHARS] = '\0';
    if (json_count(head, "sequence") > chain->sequence)
        return broken(cli, chain, "it is missing, and the end of the log with it");
    if (cli->expect != NULL && !chain->expected)
        return cli_fail(cli, CLI_DATA, "audit-other",
                        "no record has the hash %.64s: the log was replaced or cut since that was "
                        "written down",
                        cli->expect);
    if (cli->json) {
        json_t *answer = json_pack("{s:b, s:I, s:s}", "ok", 1, "records",
                                   (json_int_t)chain->sequence, "hash", hash);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else {
        printf("%llu records, whole; the last has the hash\n  %s\n"
               "write it down elsewhere: parley audit --verify --expect HASH proves later that "
               "nothing was taken away\n",
               (unsigned long long)chain->sequence, hash);
    }
    return CLI_OK;
}

static enum cli_exit verify(struct cli *cli)
{
    struct chain chain = { 0 };
    json_t *head = NULL;
    bool more = true;
    enum cli_exit exit = CLI_OK;
    pl_audit_genesis(chain.hash);
    while (exit == CLI_OK && more)
        exit = verify_page(cli, &chain, &more, &head);
    if (exit == CLI_OK)
        exit = report(cli, &chain, head);
    json_decref(head);
    return exit;
}

enum cli_exit cmd_audit(struct cli *cli)
{
    if (cli->expect != NULL && strlen(cli->expect) != HASH_CHARS)
        return cli_fail(cli, CLI_USAGE, "usage", "--expect takes the 64 hex digits of a hash");
    return cli->verify || cli->expect != NULL ? verify(cli) : show(cli);
}
