/* SPDX-License-Identifier: Apache-2.0
 *
 * badinput DIR [FORMAT...]: gives every case that generate.py has written to DIR to the decoder it
 * is for, and compares what that says with the verdict in DIR/FORMAT.txt. Says which differ; exit 1
 * when one does, when a file is not the one that the manifest means, or when there are none.
 */
#include "badinput.h"

#include "core/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1u << 20)
#define HASH_DIGITS    32

static const struct format {
    const char *name;
    judge_fn *judge;
} formats[] = { { "mp", judge_mp },        { "json", judge_json },   { "utf8", judge_utf8 },
                { "http", judge_http },    { "token", judge_token }, { "frame", judge_frame },
                { "invite", judge_invite } };

void verdict_print(struct verdict *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
}

void verdict_err(struct verdict *out, parley_err err)
{
    verdict_print(out, "%s", err == PARLEY_OK ? "ok" : parley_err_name(err) + strlen("PARLEY_"));
}

/* One of the words that a manifest allows. */
static bool is_meant(struct parley_span word, const char *got)
{
    if (pl_span_is(word, got))
        return true;
    if (pl_span_is(word, "ok"))
        return strncmp(got, "ok:", 3) == 0;
    if (pl_span_is(word, "refused"))
        return strcmp(got, "EMALFORMED") == 0 || strcmp(got, "EUTF8") == 0;
    return false;
}

static bool is_wanted(const char *wanted, const char *got)
{
    for (;;) {
        size_t len = strcspn(wanted, "|");
        if (is_meant(pl_span_of(wanted, len), got))
            return true;
        if (wanted[len] == '\0')
            return false;
        wanted += len + 1;
    }
}

/* The file in a block of exactly its length, so that a read past its end is seen; NULL: not. */
static uint8_t *read_file(const char *path, size_t *len)
{
    static uint8_t buf[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    *len = fread(buf, 1, sizeof buf, file);
    bool whole = ferror(file) == 0 && *len < sizeof buf;
    fclose(file);
    uint8_t *exact = whole ? malloc(*len == 0 ? 1 : *len) : NULL;
    if (exact != NULL)
        memcpy(exact, buf, *len);
    return exact;
}

static bool has_hash(struct parley_span data, const char *hash)
{
    char digits[2 * PL_SHA256_BYTES];
    uint8_t bytes[PL_SHA256_BYTES];
    pl_sha256_of(data, bytes);
    pl_hex_encode(bytes, sizeof bytes, digits);
    return strlen(hash) == HASH_DIGITS && memcmp(digits, hash, HASH_DIGITS) == 0;
}

struct line {
    char hash[HASH_DIGITS + 1];
    char reader[32];
    char verdict[VERDICT_BYTES];
    char name[128];
};

static bool run_case(const char *dir, const struct format *format, const struct line *line)
{
    char path[4096];
    size_t len = 0;
    struct verdict got = { "nothing" };
    snprintf(path, sizeof path, "%s/%s/%s", dir, format->name, line->name);
    uint8_t *bytes = read_file(path, &len);
    if (bytes == NULL || !has_hash(pl_span_of(bytes, len), line->hash)) {
        printf("%s: cannot be read, or is not the file of the manifest\n", path);
        free(bytes);
        return false;
    }
    format->judge(line->reader, pl_span_of(bytes, len), &got);
    free(bytes);
    if (is_wanted(line->verdict, got.text))
        return true;
    printf("%s/%s: wanted %s, got %s\n", format->name, line->name, line->verdict, got.text);
    return false;
}

/* Whether all cases of a format are as wanted, and there is one. */
static bool run_format(const char *dir, const struct format *format)
{
    char path[4096];
    char text[512];
    size_t count = 0;
    size_t wrong = 0;
    snprintf(path, sizeof path, "%s/%s.txt", dir, format->name);
    FILE *manifest = fopen(path, "r");
    if (manifest == NULL) {
        printf("%s: cannot be opened\n", path);
        return false;
    }
    while (fgets(text, sizeof text, manifest) != NULL) {
        struct line line;
        bool shaped = sscanf(text, "%32s %31s %255s %127s", line.hash, line.reader, line.verdict,
                             line.name) == 4;
        if (!shaped)
            printf("%s: not a line of a manifest: %s", path, text);
        wrong += !shaped || !run_case(dir, format, &line);
        count++;
    }
    fclose(manifest);
    printf("%s: %zu cases, %zu wrong\n", format->name, count, wrong);
    return count != 0 && wrong == 0;
}

static bool is_named(const char *name, int argc, char **argv)
{
    bool named = argc == 2;
    for (int i = 2; i < argc; i++)
        named = named || strcmp(argv[i], name) == 0;
    return named;
}

int main(int argc, char **argv)
{
    bool good = true;
    size_t ran = 0;
    if (argc < 2) {
        fputs("usage: badinput DIR [FORMAT...]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (!is_named(formats[i].name, argc, argv))
            continue;
        good = run_format(argv[1], &formats[i]) && good;
        ran++;
    }
    return good && ran != 0 ? 0 : 1;
}
