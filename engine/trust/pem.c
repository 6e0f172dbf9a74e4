/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/pem.h"

#include "core/base64.h"
#include "core/hash.h"

#define LABEL_BYTES_MAX  32
#define LINE_CHARS       64
#define BASE64_CHARS_MAX PL_BASE64_LEN(PL_PEM_DER_BYTES_MAX)

/* How many bytes at `at` are white space, spelt-out line ends included; 0 when it is none. */
static size_t space_len(struct parley_span text, size_t at)
{
    uint8_t c = text.ptr[at];
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
        return 1;
    if (c == '\\' && at + 1 < text.len && (text.ptr[at + 1] == 'n' || text.ptr[at + 1] == 'r'))
        return 2;
    return 0;
}

static struct parley_span skip_space(struct parley_span text)
{
    while (text.len != 0) {
        size_t len = space_len(text, 0);
        if (len == 0)
            break;
        text = pl_span_after(text, len);
    }
    return text;
}

/* Takes `prefix` off the front of `text`. */
static bool take(struct parley_span *text, const char *prefix)
{
    struct parley_span wanted = pl_span_text(prefix);
    if (!pl_span_has_prefix(*text, wanted))
        return false;
    *text = pl_span_after(*text, wanted.len);
    return true;
}

parley_err pl_pem_label(struct parley_span text, struct parley_span *label)
{
    if (text.len > PL_PEM_TEXT_BYTES_MAX)
        return PARLEY_ETOOBIG;
    text = skip_space(text);
    if (!take(&text, "-----BEGIN "))
        return PARLEY_EMALFORMED;
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '-')
        len++;
    struct parley_span rest = pl_span_after(text, len);
    if (len == 0 || len > LABEL_BYTES_MAX || !take(&rest, "-----"))
        return PARLEY_EMALFORMED;
    *label = pl_span_of(text.ptr, len);
    return PARLEY_OK;
}

/* Where `needle` begins in `text`, or text.len. */
static size_t index_of(struct parley_span text, const char *needle)
{
    struct parley_span wanted = pl_span_text(needle);
    for (size_t i = 0; i + wanted.len <= text.len; i++)
        if (memcmp(text.ptr + i, wanted.ptr, wanted.len) == 0)
            return i;
    return text.len;
}

parley_err pl_pem_cut(struct parley_span *text, struct parley_span *block, bool *found)
{
    struct parley_span rest = pl_span_after(*text, index_of(*text, "-----BEGIN "));
    *found = rest.len != 0;
    if (!*found)
        return PARLEY_OK;
    size_t end = index_of(rest, "-----END ");
    if (end == rest.len)
        return PARLEY_EMALFORMED;
    end += strlen("-----END ");
    struct parley_span label = pl_span_after(rest, end);
    size_t behind = end + index_of(label, "-----") + strlen("-----");
    if (behind > rest.len)
        return PARLEY_EMALFORMED;
    if (behind > PL_PEM_TEXT_BYTES_MAX)
        return PARLEY_ETOOBIG;
    *block = pl_span_of(rest.ptr, behind);
    *text = pl_span_after(rest, behind);
    return PARLEY_OK;
}

/* Collects the characters up to the END line without white space and moves `text` behind them. */
static parley_err collect(struct parley_span *text, char chars[BASE64_CHARS_MAX], size_t *len)
{
    size_t count = 0;
    while (text->len != 0 && text->ptr[0] != '-') {
        size_t space = space_len(*text, 0);
        if (space == 0) {
            if (count == BASE64_CHARS_MAX)
                return PARLEY_ETOOBIG;
            chars[count] = (char)text->ptr[0];
            count++;
            space = 1;
        }
        *text = pl_span_after(*text, space);
    }
    *len = count;
    return PARLEY_OK;
}

parley_err pl_pem_decode(struct parley_span text, const char *label, uint8_t *out, size_t cap,
                         size_t *len)
{
    struct parley_span found;
    PL_TRY(pl_pem_label(text, &found));
    if (!pl_span_is(found, label))
        return PARLEY_EMALFORMED;

    char chars[BASE64_CHARS_MAX];
    size_t count = 0;
    size_t decoded = 0;
    size_t behind = (size_t)(found.ptr - text.ptr) + found.len + strlen("-----");
    text = pl_span_after(text, behind);
    parley_err err = collect(&text, chars, &count);
    if (err != PARLEY_OK)
        goto out;
    err = PARLEY_EMALFORMED;
    if (count == 0 || !take(&text, "-----END ") || !take(&text, label) || !take(&text, "-----"))
        goto out;
    if (skip_space(text).len != 0)
        goto out;
    /* Four characters make at most three bytes, of which padding takes at most two. */
    err = PARLEY_ETOOBIG;
    if (count / 4 * 3 > cap + 2)
        goto out;
    err = pl_base64_decode(pl_span_of(chars, count), out, cap, &decoded);
    if (err == PARLEY_EFULL)
        err = PARLEY_ETOOBIG;
    if (err == PARLEY_OK)
        *len = decoded;
out:
    pl_wipe(chars, sizeof chars);
    if (err != PARLEY_OK)
        pl_wipe(out, cap);
    return err;
}

parley_err pl_pem_encode(struct parley_span der, const char *label, char *out, size_t cap)
{
    PL_ASSERT(der.len <= PL_PEM_DER_BYTES_MAX);
    char chars[BASE64_CHARS_MAX];
    struct pl_writer base64 = pl_writer_over(chars, sizeof chars);
    struct pl_writer w = pl_writer_over(out, cap);
    pl_base64_write(&base64, der);
    pl_write_text(&w, "-----BEGIN ");
    pl_write_text(&w, label);
    pl_write_text(&w, "-----\n");
    for (size_t from = 0; from < base64.len; from += LINE_CHARS) {
        pl_write_bytes(&w, chars + from, pl_min_size(LINE_CHARS, base64.len - from));
        pl_write_text(&w, "\n");
    }
    pl_write_text(&w, "-----END ");
    pl_write_text(&w, label);
    pl_write_text(&w, "-----\n");
    pl_write_u8(&w, '\0');
    pl_wipe(chars, sizeof chars);
    return w.err;
}
