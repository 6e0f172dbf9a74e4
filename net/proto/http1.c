/* SPDX-License-Identifier: Apache-2.0
 *
 * A head is read in two passes. The scan looks at each byte once, refuses bare CR, bare LF and
 * control bytes as they arrive, and finds the empty line; so when the second pass starts every line
 * is known to end in CRLF and to hold no other control byte than a tab. The second pass splits the
 * request line and the fields and then applies the rules that need all fields (framing, Host).
 *
 * Failure modes: any doubt is BAD with a status. No byte of a refused message is interpreted as the
 * start of another one, because the caller closes.
 */
#include "proto/http1.h"
#include "proto/http1_chars.h"

/* 19 digits are below 10^19 < 2^64: a length cannot overflow while it is being read. */
#define LENGTH_DIGITS_MAX 19

_Static_assert(PL_HTTP_BODY_BYTES_MAX < UINT64_C(1000000000000000000), "lengths fit 19 digits");

/* ---- Characters ---- */

/* The characters of a path and query in RFC 3986; '#', '\' and the like are not among them. */
static bool is_target(uint8_t c)
{
    switch (c) {
    case '"':
    case '#':
    case '<':
    case '>':
    case '\\':
    case '^':
    case '`':
    case '{':
    case '|':
    case '}':
        return false;
    default:
        return c > 0x20 && c < 0x7f;
    }
}

/* ---- Head: the scan ---- */

/* Looks for the empty line from *scanned on. DONE sets *head_len. */
enum pl_http_parse pl_http1_scan(struct parley_span bytes, size_t *scanned, size_t *head_len)
{
    size_t end = pl_min_size(bytes.len, PL_HTTP_HEAD_BYTES_MAX);
    for (size_t i = *scanned; i < end; i++) {
        uint8_t c = bytes.ptr[i];
        bool after_cr = i > 0 && bytes.ptr[i - 1] == '\r';
        /* Most bytes are plain ones in the middle of a line. */
        if (c >= 0x20 && c != 0x7f && !after_cr && i > 0)
            continue;
        if (after_cr != (c == '\n'))
            return PL_HTTP_BAD;
        if (c != '\r' && c != '\n' && !pl_http1_is_field(c))
            return PL_HTTP_BAD;
        /* A method in lower case, an empty line and binary protocols all end here. */
        if (i == 0 && !(c >= 'A' && c <= 'Z'))
            return PL_HTTP_BAD;
        if (c == '\n' && i >= 3 && bytes.ptr[i - 2] == '\n') {
            *head_len = i + 1;
            return PL_HTTP_DONE;
        }
    }
    *scanned = end;
    return PL_HTTP_NEED_MORE;
}

/* ---- Head: request line ---- */

static enum pl_http_method method_of(struct parley_span name)
{
    static const struct {
        const char *name;
        enum pl_http_method method;
    } methods[] = { { "GET", PL_HTTP_GET },        { "HEAD", PL_HTTP_HEAD },
                    { "POST", PL_HTTP_POST },      { "PUT", PL_HTTP_PUT },
                    { "PATCH", PL_HTTP_PATCH },    { "DELETE", PL_HTTP_DELETE },
                    { "OPTIONS", PL_HTTP_OPTIONS } };
    for (size_t i = 0; i < PL_ARRAY_LEN(methods); i++)
        if (pl_span_is(name, methods[i].name))
            return methods[i].method;
    return PL_HTTP_OTHER;
}

static bool is_method(struct parley_span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!((name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') || name.ptr[i] == '-'))
            return false;
    return name.len > 0;
}

static bool is_origin_form(struct parley_span target)
{
    for (size_t i = 0; i < target.len; i++)
        if (!is_target(target.ptr[i]))
            return false;
    return target.len > 0 && target.ptr[0] == '/';
}

/* 0 and the minor version, or the status to refuse with. */
static unsigned read_version(struct parley_span version, unsigned *minor)
{
    if (version.len != 8 || !pl_span_has_prefix(version, pl_span_text("HTTP/")))
        return 400;
    if (!pl_http1_is_digit(version.ptr[5]) || version.ptr[6] != '.' ||
        !pl_http1_is_digit(version.ptr[7]))
        return 400;
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return 505;
    *minor = (unsigned)(version.ptr[7] - '0');
    return 0;
}

/* 0, or the status to refuse with. */
static unsigned read_request_line(struct parley_span line, struct pl_http_request *out)
{
    struct parley_span rest = line;
    struct parley_span method;
    struct parley_span target;
    if (!pl_http1_cut(&rest, ' ', &method) || !pl_http1_cut(&rest, ' ', &target) ||
        !is_method(method))
        return 400;
    /* The version goes first: what follows it in another version is not ours to judge. */
    unsigned status = read_version(rest, &out->minor);
    if (status != 0)
        return status;
    if (target.len > PL_HTTP_TARGET_BYTES_MAX)
        return 414;
    if (!is_origin_form(target))
        return 400;
    out->method = method_of(method);
    out->target = target;
    out->query = target;
    pl_http1_cut(&out->query, '?', &out->path);
    return 0;
}

/* ---- Head: fields ---- */

/* The fields that are kept; each at most once. Repeating even a list-valued one is refused: keeping
 * one of two If-Match values would be a wrong answer, and no known client sends them apart. */
enum field_name {
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_ORIGIN,
    FIELD_AUTHORIZATION,
    FIELD_CONTENT_TYPE,
    FIELD_ACCEPT,
    FIELD_ACCEPT_ENCODING,
    FIELD_CONTENT_ENCODING,
    FIELD_IF_NONE_MATCH,
    FIELD_IF_MATCH,
    FIELD_IDEMPOTENCY_KEY,
    FIELD_LAST_EVENT_ID,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_HOST] = "host",
    [FIELD_CONTENT_LENGTH] = "content-length",
    [FIELD_TRANSFER_ENCODING] = "transfer-encoding",
    [FIELD_EXPECT] = "expect",
    [FIELD_ORIGIN] = "origin",
    [FIELD_AUTHORIZATION] = "authorization",
    [FIELD_CONTENT_TYPE] = "content-type",
    [FIELD_ACCEPT] = "accept",
    [FIELD_ACCEPT_ENCODING] = "accept-encoding",
    [FIELD_CONTENT_ENCODING] = "content-encoding",
    [FIELD_IF_NONE_MATCH] = "if-none-match",
    [FIELD_IF_MATCH] = "if-match",
    [FIELD_IDEMPOTENCY_KEY] = "idempotency-key",
    [FIELD_LAST_EVENT_ID] = "last-event-id",
};

/* A NULL pointer in `value` is "not seen": a seen value always points into the head. */
struct fields {
    struct parley_span value[FIELD_COUNT];
    size_t count;
    bool close;
    bool keep_alive;
};

static void read_connection(struct fields *fields, struct parley_span value)
{
    struct parley_span option;
    bool more;
    do {
        more = pl_http1_cut(&value, ',', &option);
        fields->close = fields->close || pl_http1_equals(pl_http1_trim(option), "close");
        fields->keep_alive =
            fields->keep_alive || pl_http1_equals(pl_http1_trim(option), "keep-alive");
    } while (more);
}

/* 0, or the status to refuse with. A line that starts with a blank (obs-fold) has no valid name. */
static unsigned read_field(struct fields *fields, struct parley_span line)
{
    struct parley_span value = line;
    struct parley_span name;
    if (!pl_http1_cut(&value, ':', &name) || name.len == 0)
        return 400;
    for (size_t i = 0; i < name.len; i++)
        if (!pl_http1_is_token(name.ptr[i]))
            return 400;
    if (fields->count == PL_HTTP_HEADERS_MAX)
        return 431;
    fields->count++;
    value = pl_http1_trim(value);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!pl_http1_equals(name, field_names[i]))
            continue;
        if (fields->value[i].ptr != NULL)
            return 400;
        fields->value[i] = value;
        return 0;
    }
    if (pl_http1_equals(name, "connection"))
        read_connection(fields, value);
    return 0;
}

/* Whether one of the parameters behind an element of a list is a weight of zero: q=0, q=0.000. */
static bool weighs_nothing(struct parley_span parameters)
{
    struct parley_span one;
    bool more = parameters.len != 0;
    while (more) {
        more = pl_http1_cut(&parameters, ';', &one);
        one = pl_http1_trim(one);
        if (one.len < 3 || pl_http1_lower(one.ptr[0]) != 'q' || one.ptr[1] != '=')
            continue;
        bool nothing = true;
        for (size_t i = 2; i < one.len; i++)
            nothing = nothing && (one.ptr[i] == '0' || one.ptr[i] == '.');
        return nothing;
    }
    return false;
}

bool pl_http_accepts(struct parley_span list, const char *name)
{
    bool more = list.len != 0;
    while (more) {
        struct parley_span element, value;
        more = pl_http1_cut(&list, ',', &element);
        pl_http1_cut(&element, ';', &value);
        if (pl_http1_equals(pl_http1_trim(value), name))
            return !weighs_nothing(element);
    }
    return false;
}

/* "name", "name:port", "1.2.3.4:port" or "[v6]:port"; never empty. */
static bool is_host(struct parley_span host)
{
    size_t i = 0;
    bool bracket = host.len > 0 && host.ptr[0] == '[';
    if (bracket) {
        for (i = 1; i < host.len && host.ptr[i] != ']'; i++)
            if (pl_http1_hex_value(host.ptr[i]) > 15 && host.ptr[i] != ':' && host.ptr[i] != '.')
                return false;
        if (i == host.len || i == 1)
            return false;
        i++;
    } else {
        while (i < host.len && (pl_http1_is_alpha(host.ptr[i]) || pl_http1_is_digit(host.ptr[i]) ||
                                host.ptr[i] == '-' || host.ptr[i] == '.' || host.ptr[i] == '_'))
            i++;
    }
    if (i == 0 || i == host.len)
        return i > 0;
    if (host.ptr[i] != ':' || host.len - i < 2 || host.len - i > 6)
        return false;
    for (i++; i < host.len; i++)
        if (!pl_http1_is_digit(host.ptr[i]))
            return false;
    return true;
}

/* 0, or the status to refuse with. Leading zeros are refused: some readers take them as octal. */
unsigned pl_http1_read_length(struct parley_span value, uint64_t *out)
{
    uint64_t length = 0;
    if (value.len == 0 || (value.len > 1 && value.ptr[0] == '0'))
        return 400;
    for (size_t i = 0; i < value.len; i++)
        if (!pl_http1_is_digit(value.ptr[i]))
            return 400;
    if (value.len > LENGTH_DIGITS_MAX)
        return 413;
    for (size_t i = 0; i < value.len; i++)
        length = length * 10 + (uint64_t)(value.ptr[i] - '0');
    if (length > PL_HTTP_BODY_BYTES_MAX)
        return 413;
    *out = length;
    return 0;
}

/* 0, or the status to refuse with. A lone unknown coding is 501; a list, even one that ends in
 * "chunked", is where two readers begin to differ, hence 400. */
static unsigned read_transfer_encoding(struct parley_span value)
{
    if (pl_http1_equals(value, "chunked"))
        return 0;
    for (size_t i = 0; i < value.len; i++)
        if (!pl_http1_is_token(value.ptr[i]))
            return 400;
    return value.len == 0 ? 400 : 501;
}

/* Applies the rules of body framing (RFC 9112, 6). 0, or the status to refuse with. */
static unsigned read_framing(const struct fields *fields, struct pl_http_request *out)
{
    struct parley_span length = fields->value[FIELD_CONTENT_LENGTH];
    struct parley_span coding = fields->value[FIELD_TRANSFER_ENCODING];
    if (coding.ptr != NULL && (length.ptr != NULL || out->minor == 0))
        return 400;
    if (coding.ptr != NULL) {
        out->chunked = true;
        return read_transfer_encoding(coding);
    }
    if (length.ptr == NULL)
        return 0;
    out->has_length = true;
    return pl_http1_read_length(length, &out->content_length);
}

/* Applies the rules that need all fields. 0, or the status to refuse with. */
static unsigned apply_fields(const struct fields *fields, struct pl_http_request *out)
{
    struct parley_span host = fields->value[FIELD_HOST];
    if (host.ptr == NULL ? out->minor == 1 : !is_host(host))
        return 400;
    unsigned status = read_framing(fields, out);
    if (status != 0)
        return status;
    struct parley_span expect = fields->value[FIELD_EXPECT];
    if (expect.ptr != NULL && !pl_http1_equals(expect, "100-continue"))
        return 417;
    out->expect_continue =
        expect.ptr != NULL && out->minor == 1 && (out->chunked || out->content_length > 0);
    out->keep_alive = !fields->close && (out->minor == 1 || fields->keep_alive);
    out->header_count = fields->count;
    out->host = host;
    out->origin = fields->value[FIELD_ORIGIN];
    out->authorization = fields->value[FIELD_AUTHORIZATION];
    out->content_type = fields->value[FIELD_CONTENT_TYPE];
    out->accept = fields->value[FIELD_ACCEPT];
    out->accept_encoding = fields->value[FIELD_ACCEPT_ENCODING];
    out->content_encoding = fields->value[FIELD_CONTENT_ENCODING];
    out->if_none_match = fields->value[FIELD_IF_NONE_MATCH];
    out->if_match = fields->value[FIELD_IF_MATCH];
    out->idempotency_key = fields->value[FIELD_IDEMPOTENCY_KEY];
    out->last_event_id = fields->value[FIELD_LAST_EVENT_ID];
    return 0;
}

/* Takes the next line off `rest`, without its CRLF. The scan has proved that it is there. */
struct parley_span pl_http1_next_line(struct parley_span *rest)
{
    struct parley_span line;
    bool ended = pl_http1_cut(rest, '\n', &line);
    PL_ASSERT(ended);
    PL_ASSERT(line.len > 0 && line.ptr[line.len - 1] == '\r');
    line.len--;
    return line;
}

/* Reads a scanned head. 0, or the status to refuse with. */
static unsigned read_head(struct parley_span head, struct pl_http_request *out)
{
    struct fields fields = { .count = 0 };
    struct parley_span rest = head;
    unsigned status = read_request_line(pl_http1_next_line(&rest), out);
    while (status == 0) {
        struct parley_span line = pl_http1_next_line(&rest);
        if (line.len == 0)
            break;
        status = read_field(&fields, line);
    }
    return status != 0 ? status : apply_fields(&fields, out);
}

enum pl_http_parse pl_http_parse_head(struct parley_span bytes, size_t *scanned,
                                      struct pl_http_request *out, size_t *head_len,
                                      unsigned *status)
{
    PL_ASSERT(*scanned <= bytes.len);
    size_t len = 0;
    enum pl_http_parse verdict = pl_http1_scan(bytes, scanned, &len);
    if (verdict == PL_HTTP_BAD) {
        *status = 400;
        return PL_HTTP_BAD;
    }
    if (verdict == PL_HTTP_NEED_MORE) {
        if (bytes.len < PL_HTTP_HEAD_BYTES_MAX)
            return PL_HTTP_NEED_MORE;
        bool one_line = memchr(bytes.ptr, '\n', PL_HTTP_HEAD_BYTES_MAX) == NULL;
        *status = one_line ? 414 : 431;
        return PL_HTTP_BAD;
    }
    struct pl_http_request request = { .method = PL_HTTP_OTHER };
    unsigned refused = read_head(pl_span_of(bytes.ptr, len), &request);
    if (refused != 0) {
        *status = refused;
        return PL_HTTP_BAD;
    }
    *out = request;
    *head_len = len;
    return PL_HTTP_DONE;
}

/* ---- Percent-decoding ---- */

/* Takes one decoded byte off `rest`, which is not empty. */
static parley_err decode_byte(struct parley_span *rest, bool form, uint8_t *out)
{
    uint8_t c = rest->ptr[0];
    if (c != '%') {
        *out = form && c == '+' ? ' ' : c;
        *rest = pl_span_after(*rest, 1);
        return PARLEY_OK;
    }
    unsigned high = rest->len < 3 ? 16 : pl_http1_hex_value(rest->ptr[1]);
    unsigned low = rest->len < 3 ? 16 : pl_http1_hex_value(rest->ptr[2]);
    if (high > 15 || low > 15)
        return PARLEY_EMALFORMED;
    *out = (uint8_t)(high << 4 | low);
    *rest = pl_span_after(*rest, 3);
    return PARLEY_OK;
}

/* Decodes all of `text`: once to check and count, once to write. */
static parley_err decode_text(struct parley_span text, bool form, char *out, size_t cap,
                              size_t *len)
{
    size_t count = 0;
    uint8_t byte = 0;
    for (struct parley_span rest = text; rest.len > 0; count++)
        PL_TRY(decode_byte(&rest, form, &byte));
    if (count > cap)
        return PARLEY_ETOOBIG;
    struct parley_span rest = text;
    for (size_t i = 0; i < count; i++) {
        PL_TRY(decode_byte(&rest, form, &byte));
        out[i] = (char)byte;
    }
    *len = count;
    return PARLEY_OK;
}

/* Compares an encoded parameter name with `name`. */
static parley_err match_name(struct parley_span encoded, const char *name, bool *same)
{
    size_t len = strlen(name);
    size_t i = 0;
    bool equal = true;
    for (; encoded.len > 0; i++) {
        uint8_t byte = 0;
        PL_TRY(decode_byte(&encoded, true, &byte));
        equal = equal && i < len && (uint8_t)name[i] == byte;
    }
    *same = equal && i == len;
    return PARLEY_OK;
}

parley_err pl_http_query(struct parley_span query, const char *name, char *out, size_t cap,
                         size_t *len, bool *found)
{
    struct parley_span value = pl_span_of(NULL, 0);
    bool seen = false;
    while (query.len > 0) {
        struct parley_span pair;
        struct parley_span key;
        bool same = false;
        pl_http1_cut(&query, '&', &pair);
        pl_http1_cut(&pair, '=', &key);
        PL_TRY(match_name(key, name, &same));
        if (same && seen)
            return PARLEY_EMALFORMED;
        value = same ? pair : value;
        seen = seen || same;
    }
    PL_TRY(decode_text(value, true, out, cap, len));
    *found = seen;
    return PARLEY_OK;
}

parley_err pl_http_decode_segment(struct parley_span segment, char *out, size_t cap, size_t *len)
{
    return decode_text(segment, false, out, cap, len);
}

/* ---- Responses ---- */

const char *pl_http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 425, "Too Early" },
        { 428, "Precondition Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < PL_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

static void write_number(struct pl_writer *out, uint64_t value)
{
    uint8_t digits[20]; /* 2^64 has 20 digits */
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    pl_write_bytes(out, digits + at, sizeof digits - at);
}

static void write_framing(struct pl_writer *out, const struct pl_http_response *response)
{
    if (response->status == 204 || response->status == 304 || response->until_close)
        return;
    if (response->chunked) {
        pl_write_text(out, "Transfer-Encoding: chunked\r\n");
        return;
    }
    pl_write_text(out, "Content-Length: ");
    write_number(out, response->content_length);
    pl_write_text(out, "\r\n");
}

static void write_fields(struct pl_writer *out, const struct pl_http_response *response)
{
    if (response->content_type != NULL) {
        pl_write_text(out, "Content-Type: ");
        pl_write_text(out, response->content_type);
        pl_write_text(out, "\r\n");
    }
    write_framing(out, response);
    pl_write_text(out,
                  response->keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
    /* What may be kept may be kept by one client alone, and is asked for again each time. */
    pl_write_text(out, response->tagged ? "Cache-Control: private, no-cache\r\n"
                                        : "Cache-Control: no-store\r\n");
    pl_write_text(out, "X-Content-Type-Options: nosniff\r\n");
}

void pl_http_write_head(struct pl_writer *out, const struct pl_http_response *response)
{
    struct parley_span extra = response->extra;
    PL_ASSERT(response->status >= 100 && response->status <= 599);
    PL_ASSERT(extra.len == 0 || (extra.len >= 2 && extra.ptr[extra.len - 2] == '\r' &&
                                 extra.ptr[extra.len - 1] == '\n'));
    pl_write_text(out, "HTTP/1.1 ");
    write_number(out, response->status);
    pl_write_text(out, " ");
    pl_write_text(out, pl_http_reason(response->status));
    pl_write_text(out, "\r\n");
    if (response->status >= 200)
        write_fields(out, response);
    pl_write_span(out, extra);
    pl_write_text(out, "\r\n");
}
