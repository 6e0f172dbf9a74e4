/* SPDX-License-Identifier: Apache-2.0
 *
 * MessagePack, JSON, UTF-8, and the conversation objects that come as one of the first two.
 */
#include "badinput.h"

#include "core/hash.h"
#include "core/json.h"
#include "core/mp_read.h"
#include "core/utf8.h"
#include "node/payload.h"

#include <stdlib.h>

/* Of values up to this many bytes the only encoding is told. */
#define SHOWN_BYTES_MAX 64

static void *take(size_t size)
{
    void *out = malloc(size);
    if (out == NULL)
        abort();
    return out;
}

/* "ok:" and the bytes in hex. */
static void show(struct parley_span mp, struct verdict *out)
{
    char digits[2 * SHOWN_BYTES_MAX + 1];
    pl_hex_encode(mp.ptr, mp.len, digits);
    digits[2 * mp.len] = '\0';
    verdict_print(out, "ok:%s", digits);
}

/* What was accepted, by way of JSON, in the encoding that is the only one. Values that JSON cannot
 * say, and long ones, are only "ok". */
static void show_again(struct parley_span mp, struct verdict *out)
{
    uint8_t text[SHOWN_BYTES_MAX * 32];
    uint8_t again[PL_JSON_MP_BYTES_MAX(sizeof text)];
    struct pl_reader r = pl_reader_over(mp);
    struct pl_writer json = pl_writer_over(text, sizeof text);
    struct pl_writer w = pl_writer_over(again, sizeof again);
    verdict_err(out, PARLEY_OK);
    if (mp.len <= SHOWN_BYTES_MAX && pl_mp_to_json(&r, &json) == PARLEY_OK &&
        pl_json_to_mp(pl_writer_span(&json), &w, NULL) == PARLEY_OK && w.len <= SHOWN_BYTES_MAX)
        show(pl_writer_span(&w), out);
}

static void judge_payload(struct parley_span mp, struct verdict *out)
{
    struct pl_payload payload;
    struct parley_diag diag;
    parley_err err = pl_mp_check(mp);
    if (err == PARLEY_OK)
        err = pl_payload_open(&payload, mp, pl_span_text("main"), pl_span_text("import"), &diag);
    verdict_err(out, err);
}

/* A read of one type, "name" or "name:limit". An `ok` is one that has also consumed its head. */
static void judge_read(const char *reader, struct parley_span data, struct verdict *out)
{
    struct pl_reader r = pl_reader_over(data);
    const char *colon = strchr(reader, ':');
    size_t max = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);
    struct parley_span name =
        pl_span_of(reader, colon == NULL ? strlen(reader) : (size_t)(colon - reader));
    if (pl_span_is(name, "nil"))
        pl_mp_read_nil(&r);
    else if (pl_span_is(name, "bool"))
        (void)pl_mp_read_bool(&r);
    else if (pl_span_is(name, "uint"))
        (void)pl_mp_read_uint(&r);
    else if (pl_span_is(name, "int"))
        (void)pl_mp_read_int(&r);
    else if (pl_span_is(name, "float"))
        (void)pl_mp_read_float(&r);
    else if (pl_span_is(name, "str"))
        (void)pl_mp_read_str(&r, max);
    else if (pl_span_is(name, "bin"))
        (void)pl_mp_read_bin(&r, max);
    else if (pl_span_is(name, "array"))
        (void)pl_mp_read_array(&r, (uint32_t)max);
    else if (pl_span_is(name, "map"))
        (void)pl_mp_read_map(&r, (uint32_t)max);
    else
        r.err = PARLEY_EINVAL;
    verdict_err(out, r.err == PARLEY_OK && r.at == data.ptr ? PARLEY_ESTATE : r.err);
}

void judge_mp(const char *reader, struct parley_span data, struct verdict *out)
{
    if (strcmp(reader, "payload") == 0) {
        judge_payload(data, out);
    } else if (strcmp(reader, "check") == 0) {
        parley_err err = pl_mp_check(data);
        struct pl_reader r = pl_reader_over(data);
        struct parley_span any = pl_mp_read_any(&r);
        verdict_err(out, err);
        if (err == PARLEY_OK && any.len != data.len)
            verdict_print(out, "read_any:%zu", any.len);
        else if (err == PARLEY_OK)
            show_again(data, out);
    } else {
        judge_read(reader, data, out);
    }
}

void judge_json(const char *reader, struct parley_span data, struct verdict *out)
{
    size_t cap = PL_JSON_MP_BYTES_MAX(data.len);
    uint8_t *room = take(cap);
    struct pl_writer w = pl_writer_over(room, cap);
    struct pl_json_error error = { .what = NULL };
    parley_err err = pl_json_to_mp(data, &w, &error);
    if (err != PARLEY_OK && (error.what == NULL || error.offset > data.len || w.len != 0))
        verdict_print(out, "unexplained:%s", parley_err_name(err));
    else if (err == PARLEY_OK && strcmp(reader, "payload") == 0)
        judge_payload(pl_writer_span(&w), out);
    else if (err == PARLEY_OK && w.len <= SHOWN_BYTES_MAX)
        show(pl_writer_span(&w), out);
    else
        verdict_err(out, err);
    free(room);
}

void judge_utf8(const char *reader, struct parley_span data, struct verdict *out)
{
    size_t good = pl_utf8_prefix(data);
    (void)reader;
    if (pl_utf8_is_valid(data) != (good == data.len))
        verdict_print(out, "two-minds");
    else if (good == data.len)
        verdict_err(out, PARLEY_OK);
    else
        verdict_print(out, "at:%zu", good);
}
