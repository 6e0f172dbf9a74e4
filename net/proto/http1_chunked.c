/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder of chunked bodies, one state a byte except in the data itself, which is lent in runs.
 *
 *   SIZE -> [extensions] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE
 *              \ size 0 -> TRAILER -> NAME -> VALUE -> VALUE_LF -> TRAILER
 *                             \ CR -> LAST_LF -> DONE
 *   extensions: SEMICOLON -> EXTENSION -> [EQUALS -> WORD, or QUOTED -> BEHIND] -> SEMICOLON ...
 *
 * Extensions mean nothing here, but they are read by their grammar: a quote that is open at the end
 * of the line is where two readers begin to differ on where that end is.
 *
 * Anything else leads to FAILED, which has no way out: the caller answers 400 and closes.
 */
#include "proto/http1.h"
#include "proto/http1_chars.h"

#define EXTENSION_BYTES_MAX 64
/* 15 hex digits are 60 bits: a size cannot overflow 64 bits while it is being read. */
#define SIZE_DIGITS_MAX   15
#define TRAILER_BYTES_MAX 4096

enum chunked_state {
    CHUNKED_SIZE,
    CHUNKED_SEMICOLON,
    CHUNKED_EXTENSION,
    CHUNKED_EQUALS,
    CHUNKED_WORD,
    CHUNKED_QUOTED,
    CHUNKED_ESCAPE,
    CHUNKED_BEHIND,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER,
    CHUNKED_NAME,
    CHUNKED_VALUE,
    CHUNKED_VALUE_LF,
    CHUNKED_LAST_LF,
    CHUNKED_DONE,
    CHUNKED_FAILED
};

void pl_http_chunked_init(struct pl_http_chunked *c)
{
    *c = (struct pl_http_chunked){ .state = CHUNKED_SIZE };
}

static enum chunked_state expect(uint8_t byte, uint8_t wanted, enum chunked_state next)
{
    return byte == wanted ? next : CHUNKED_FAILED;
}

/* One byte of a size line before its CR. */
static enum chunked_state size_byte(struct pl_http_chunked *c, uint8_t byte)
{
    unsigned digit = pl_http1_hex_value(byte);
    if (digit < 16) {
        c->left = c->left << 4 | digit;
        return ++c->line_len > SIZE_DIGITS_MAX ? CHUNKED_FAILED : CHUNKED_SIZE;
    }
    if (c->line_len == 0)
        return CHUNKED_FAILED;
    c->line_len = 0;
    if (byte == ';')
        return CHUNKED_SEMICOLON;
    return expect(byte, '\r', CHUNKED_SIZE_LF);
}

/* Behind the name or the value of an extension. */
static enum chunked_state extension_end(uint8_t byte)
{
    return byte == ';' ? CHUNKED_SEMICOLON : expect(byte, '\r', CHUNKED_SIZE_LF);
}

/* ";" [blanks] name ["=" (token or quoted string)], once or more. */
static enum chunked_state extension_state(enum chunked_state state, uint8_t byte)
{
    bool token = pl_http1_is_token(byte);
    if (state == CHUNKED_SEMICOLON && pl_http1_is_blank(byte))
        return CHUNKED_SEMICOLON;
    if (state == CHUNKED_SEMICOLON)
        return token ? CHUNKED_EXTENSION : CHUNKED_FAILED;
    if (state == CHUNKED_EQUALS && byte == '"')
        return CHUNKED_QUOTED;
    if (state == CHUNKED_EQUALS)
        return token ? CHUNKED_WORD : CHUNKED_FAILED;
    if (state == CHUNKED_QUOTED && byte == '"')
        return CHUNKED_BEHIND;
    if (state == CHUNKED_QUOTED && byte == '\\')
        return CHUNKED_ESCAPE;
    if (state == CHUNKED_QUOTED || state == CHUNKED_ESCAPE)
        return pl_http1_is_field(byte) ? CHUNKED_QUOTED : CHUNKED_FAILED;
    if (state == CHUNKED_EXTENSION && byte == '=')
        return CHUNKED_EQUALS;
    if (token && state != CHUNKED_BEHIND)
        return state;
    return extension_end(byte);
}

static enum chunked_state extension_byte(struct pl_http_chunked *c, uint8_t byte)
{
    enum chunked_state next = extension_state((enum chunked_state)c->state, byte);
    if (next == CHUNKED_SIZE_LF)
        c->line_len = 0;
    else if (++c->line_len > EXTENSION_BYTES_MAX)
        return CHUNKED_FAILED;
    return next;
}

/* Trailer fields are checked like those of a head, so that no later reader sees another message
 * boundary, and then dropped. */
static enum chunked_state trailer_byte(struct pl_http_chunked *c, uint8_t byte)
{
    if (++c->trailer_len > TRAILER_BYTES_MAX)
        return CHUNKED_FAILED;
    if (c->state == CHUNKED_VALUE_LF)
        return expect(byte, '\n', CHUNKED_TRAILER);
    if (c->state == CHUNKED_TRAILER && byte == '\r')
        return CHUNKED_LAST_LF;
    if (c->state == CHUNKED_NAME && byte == ':')
        return CHUNKED_VALUE;
    if (c->state == CHUNKED_VALUE && byte == '\r')
        return CHUNKED_VALUE_LF;
    if (c->state == CHUNKED_VALUE)
        return pl_http1_is_field(byte) ? CHUNKED_VALUE : CHUNKED_FAILED;
    return pl_http1_is_token(byte) ? CHUNKED_NAME : CHUNKED_FAILED;
}

/* The state after one byte that is not body. */
static enum chunked_state chunked_byte(struct pl_http_chunked *c, uint8_t byte)
{
    switch ((enum chunked_state)c->state) {
    case CHUNKED_SIZE:
        return size_byte(c, byte);
    case CHUNKED_SEMICOLON:
    case CHUNKED_EXTENSION:
    case CHUNKED_EQUALS:
    case CHUNKED_WORD:
    case CHUNKED_QUOTED:
    case CHUNKED_ESCAPE:
    case CHUNKED_BEHIND:
        return extension_byte(c, byte);
    case CHUNKED_SIZE_LF:
        return expect(byte, '\n', c->left == 0 ? CHUNKED_TRAILER : CHUNKED_DATA);
    case CHUNKED_DATA_CR:
        return expect(byte, '\r', CHUNKED_DATA_LF);
    case CHUNKED_DATA_LF:
        return expect(byte, '\n', CHUNKED_SIZE);
    case CHUNKED_TRAILER:
    case CHUNKED_NAME:
    case CHUNKED_VALUE:
    case CHUNKED_VALUE_LF:
        return trailer_byte(c, byte);
    case CHUNKED_LAST_LF:
        return expect(byte, '\n', CHUNKED_DONE);
    case CHUNKED_DATA:
    case CHUNKED_DONE:
    case CHUNKED_FAILED:
        break;
    }
    return CHUNKED_FAILED;
}

parley_err pl_http_chunked_feed(struct pl_http_chunked *c, struct parley_span in, size_t *used,
                                struct parley_span *body, bool *done)
{
    struct parley_span run = pl_span_of(NULL, 0);
    size_t at = 0;
    while (at < in.len && c->state < CHUNKED_DONE) {
        if (c->state == CHUNKED_DATA) {
            run = pl_span_of(in.ptr + at, (size_t)pl_min_u64(c->left, in.len - at));
            at += run.len;
            c->left -= run.len;
            c->state = c->left == 0 ? CHUNKED_DATA_CR : CHUNKED_DATA;
            break;
        }
        c->state = chunked_byte(c, in.ptr[at]);
        at++;
    }
    if (c->state == CHUNKED_FAILED)
        return PARLEY_EMALFORMED;
    *used = at;
    *body = run;
    *done = c->state == CHUNKED_DONE;
    return PARLEY_OK;
}
