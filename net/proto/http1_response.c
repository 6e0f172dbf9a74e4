/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of answers; the contract is in http1_response.h.
 *
 * The scan is that of requests, so every line is known to end in CRLF when it is read here. Fields
 * that say nothing about the framing are checked and passed over.
 */
#include "proto/http1_response.h"
#include "proto/http1_chars.h"

#define VERSION_BYTES (sizeof "HTTP/1.1" - 1)
#define STATUS_DIGITS 3

struct answer_fields {
    struct parley_span length, coding; /* a NULL pointer: not seen */
    size_t count;
};

/* NULL, or what is wrong. A reason phrase, and the blank before it, may be missing. */
static const char *read_status_line(struct parley_span line, struct pl_http_answer *out)
{
    size_t digits = VERSION_BYTES + 1;
    bool shaped = line.len >= digits + STATUS_DIGITS &&
                  pl_span_has_prefix(line, pl_span_text("HTTP/1.")) &&
                  (line.ptr[VERSION_BYTES - 1] == '0' || line.ptr[VERSION_BYTES - 1] == '1') &&
                  line.ptr[VERSION_BYTES] == ' ' &&
                  (line.len == digits + STATUS_DIGITS || line.ptr[digits + STATUS_DIGITS] == ' ');
    if (!shaped)
        return "the answer does not begin with an HTTP/1.x status line";
    out->minor = (unsigned)(line.ptr[VERSION_BYTES - 1] - '0');
    out->status = 0;
    for (size_t i = 0; i < STATUS_DIGITS; i++) {
        uint8_t c = line.ptr[digits + i];
        if (!pl_http1_is_digit(c))
            return "the answer does not begin with an HTTP/1.x status line";
        out->status = out->status * 10 + (unsigned)(c - '0');
    }
    return out->status >= 100 && out->status <= 599 ? NULL
                                                    : "the status is none between 100 and 599";
}

static const char *keep(struct parley_span *field, struct parley_span value)
{
    if (field->ptr != NULL)
        return "a field that frames the answer is given twice";
    *field = value;
    return NULL;
}

/* A line that starts with a blank (obs-fold) has no valid name. */
static const char *read_answer_field(struct answer_fields *fields, struct parley_span line)
{
    struct parley_span value = line;
    struct parley_span name;
    if (!pl_http1_cut(&value, ':', &name) || name.len == 0)
        return "a field of the answer has no name";
    for (size_t i = 0; i < name.len; i++)
        if (!pl_http1_is_token(name.ptr[i]))
            return "the name of a field of the answer is malformed";
    if (fields->count++ == PL_HTTP_HEADERS_MAX)
        return "the answer has more than 64 fields";
    if (pl_http1_equals(name, "content-length"))
        return keep(&fields->length, pl_http1_trim(value));
    if (pl_http1_equals(name, "transfer-encoding"))
        return keep(&fields->coding, pl_http1_trim(value));
    return NULL;
}

/* The rules of body framing (RFC 9112, 6). */
static const char *apply_framing(const struct answer_fields *fields, struct pl_http_answer *out)
{
    out->bodiless = out->status < 200 || out->status == 204 || out->status == 304;
    if (fields->length.ptr != NULL && fields->coding.ptr != NULL)
        return "the answer has both a length and a transfer coding";
    if (fields->coding.ptr != NULL &&
        (out->minor == 0 || !pl_http1_equals(fields->coding, "chunked")))
        return "the transfer coding of the answer is not understood";
    out->chunked = fields->coding.ptr != NULL;
    out->has_length = fields->length.ptr != NULL;
    if (out->has_length && pl_http1_read_length(fields->length, &out->content_length) != 0)
        return "the length of the answer is malformed or too large";
    return NULL;
}

static const char *read_answer(struct parley_span head, struct pl_http_answer *out)
{
    struct answer_fields fields = { .count = 0 };
    struct parley_span rest = head;
    const char *why = read_status_line(pl_http1_next_line(&rest), out);
    while (why == NULL) {
        struct parley_span line = pl_http1_next_line(&rest);
        if (line.len == 0)
            break;
        why = read_answer_field(&fields, line);
    }
    return why != NULL ? why : apply_framing(&fields, out);
}

enum pl_http_parse pl_http_parse_answer(struct parley_span bytes, size_t *scanned,
                                        struct pl_http_answer *out, size_t *head_len,
                                        const char **why)
{
    PL_ASSERT(*scanned <= bytes.len);
    struct pl_http_answer answer = { .status = 0 };
    size_t len = 0;
    enum pl_http_parse verdict = pl_http1_scan(bytes, scanned, &len);
    const char *wrong = NULL;
    if (verdict == PL_HTTP_NEED_MORE && bytes.len < PL_HTTP_HEAD_BYTES_MAX)
        return PL_HTTP_NEED_MORE;
    if (verdict == PL_HTTP_BAD)
        wrong = "what was answered is not HTTP";
    else if (verdict == PL_HTTP_NEED_MORE)
        wrong = "the head of the answer is too long";
    else
        wrong = read_answer(pl_span_of(bytes.ptr, len), &answer);
    if (wrong != NULL) {
        *why = wrong;
        return PL_HTTP_BAD;
    }
    *out = answer;
    *head_len = len;
    return PL_HTTP_DONE;
}
