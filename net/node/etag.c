/* SPDX-License-Identifier: Apache-2.0 */
#include "node/etag.h"

/* In the hash, so that a tag changes when the same versions are shown in another way. */
#define CONVERSATION_FORM "conversation 1"
/* Between a tag and the form of its answer. */
#define FORM_MARK '-'

/* ---- Making tags ---- */

void pl_etag_of_version(const uint8_t digest[PARLEY_DIGEST_BYTES], struct pl_etag *out)
{
    out->text[0] = '"';
    pl_hex_encode(digest, PARLEY_DIGEST_BYTES, out->text + 1);
    out->text[PL_ETAG_BYTES - 1] = '"';
}

void pl_etag_begin(struct pl_etag_sum *sum, const char *what)
{
    sum->count = 0;
    pl_sha256_init(&sum->hash);
    pl_sha256_update(&sum->hash, what, strlen(what) + 1);
}

void pl_etag_add(struct pl_etag_sum *sum, const uint8_t digest[PARLEY_DIGEST_BYTES])
{
    sum->count++;
    pl_sha256_update(&sum->hash, digest, PARLEY_DIGEST_BYTES);
}

void pl_etag_end(struct pl_etag_sum *sum, bool more, struct pl_etag *out)
{
    uint8_t tail[9];
    uint8_t hash[PL_SHA256_BYTES];
    pl_put_be(tail, sum->count, 8);
    tail[8] = more ? 1 : 0;
    pl_sha256_update(&sum->hash, tail, sizeof tail);
    pl_sha256_final(&sum->hash, hash);
    pl_etag_of_version(hash, out);
}

void pl_etag_begin_conversation(struct pl_etag_sum *sum)
{
    pl_etag_begin(sum, CONVERSATION_FORM);
}

PL_MUST_USE parley_err pl_etag_of_conversation(struct parley_read *read, uint64_t conversation,
                                               struct pl_etag *out)
{
    struct parley_register_cursor cursor;
    struct pl_etag_sum sum;
    pl_etag_begin_conversation(&sum);
    PL_TRY(parley_registers_begin(read, conversation, &cursor));
    for (;;) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_registers_next_change(&cursor, &change, &found));
        if (!found)
            break;
        if ((change.version.flags & PARLEY_FLAG_TOMBSTONE) == 0)
            pl_etag_add(&sum, change.digest);
    }
    pl_etag_end(&sum, false, out);
    return PARLEY_OK;
}

/* ---- Reading lists of tags ---- */

enum listed { LISTED_NO, LISTED_YES, LISTED_MALFORMED };

static void skip_blanks(struct parley_span *rest)
{
    while (rest->len != 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t' || rest->ptr[0] == ','))
        *rest = pl_span_after(*rest, 1);
}

/* The next tag with its quotes. False: what is there is none. */
static bool take_tag(struct parley_span *rest, struct parley_span *tag, bool *weak)
{
    *weak = pl_span_has_prefix(*rest, pl_span_text("W/"));
    if (*weak)
        *rest = pl_span_after(*rest, 2);
    if (rest->len < 2 || rest->ptr[0] != '"')
        return false;
    const uint8_t *end = memchr(rest->ptr + 1, '"', rest->len - 1);
    if (end == NULL)
        return false;
    *tag = pl_span_of(rest->ptr, (size_t)(end - rest->ptr) + 1);
    *rest = pl_span_after(*rest, tag->len);
    return true;
}

/* Whether it is the tag, or that of another form of the same answer. */
static bool is_tag(struct parley_span one, const struct pl_etag *tag)
{
    struct parley_span own =
        pl_span_of(tag->text, sizeof tag->text - 1); /* without the last quote */
    return pl_span_has_prefix(one, own) &&
           (one.ptr[own.len] == '"' || one.ptr[own.len] == FORM_MARK);
}

/* Whether `tag` is in the list. `weakly`: what is marked as weak counts too. */
static enum listed find_tag(struct parley_span list, const struct pl_etag *tag, bool weakly)
{
    enum listed out = LISTED_NO;
    skip_blanks(&list);
    if (list.len == 0)
        return LISTED_MALFORMED;
    for (; list.len != 0; skip_blanks(&list)) {
        struct parley_span one;
        bool weak;
        if (!take_tag(&list, &one, &weak))
            return LISTED_MALFORMED;
        if (is_tag(one, tag) && (weakly || !weak))
            out = LISTED_YES;
    }
    return out;
}

/* ---- Requests ---- */

void pl_etag_write(struct pl_request *request, const struct pl_etag *tag)
{
    pl_shim_header(request, "ETag", pl_span_of(tag->text, sizeof tag->text));
    request->tagged = true;
}

void pl_etag_mark_form(struct pl_request *request, const char *form)
{
    static const char start[] = "ETag: ";
    size_t len = strlen(form);
    size_t before = sizeof start - 1 + PL_ETAG_BYTES - 1; /* up to the last quote, at the least */
    char *line = request->extra;
    char *end = request->extra + request->extra_len;
    while ((size_t)(end - line) > before && memcmp(line, start, sizeof start - 1) != 0)
        line = (char *)memchr(line, '\n', (size_t)(end - line)) + 1;
    if ((size_t)(end - line) <= before || len + 1 > sizeof request->extra - request->extra_len)
        return;
    char *quote = memchr(line + sizeof start, '"', (size_t)(end - line) - sizeof start);
    PL_ASSERT(quote != NULL);
    memmove(quote + 1 + len, quote, (size_t)(end - quote));
    quote[0] = FORM_MARK;
    memcpy(quote + 1, form, len);
    request->extra_len += len + 1;
}

/* A list that cannot be read names nothing that the client has: it gets the answer. */
bool pl_etag_is_known(struct pl_request *request, const struct pl_etag *tag)
{
    struct parley_span list = request->head.if_none_match;
    bool known =
        list.ptr != NULL && (pl_span_is(list, "*") || find_tag(list, tag, true) == LISTED_YES);
    if (!known)
        return false;
    pl_shim_reply(request, 304);
    request->content_type = NULL;
    pl_etag_write(request, tag);
    return true;
}

static bool refuse_change(struct pl_request *request, const struct pl_etag *tag)
{
    pl_shim_problem_field(request, 412, "precondition-failed", "If-Match",
                          tag == NULL ? "there is nothing that it could match"
                                      : "this has changed since; fetch it, and send its new ETag");
    if (tag != NULL)
        pl_etag_write(request, tag);
    return false;
}

bool pl_etag_may_write(struct pl_request *request, const struct pl_etag *tag)
{
    struct parley_span list = request->head.if_match;
    if (list.ptr == NULL || (pl_span_is(list, "*") && tag != NULL))
        return true;
    if (tag == NULL)
        return refuse_change(request, tag);
    switch (find_tag(list, tag, false)) {
    case LISTED_YES:
        return true;
    case LISTED_NO:
        return refuse_change(request, tag);
    case LISTED_MALFORMED:
        break;
    }
    /* Who sends it wants to be protected by it: better no write than one that is not. */
    pl_shim_problem_field(request, 400, "bad-etag", "If-Match",
                          "must be * or a list of entity tags in double quotes");
    return false;
}

bool pl_etag_may_write_in(struct pl_node *node, struct pl_request *request,
                          struct parley_read *read, uint64_t conversation)
{
    struct pl_etag tag;
    if (!pl_etag_is_asked(request))
        return true;
    parley_err err = pl_etag_of_conversation(read, conversation, &tag);
    if (err == PARLEY_OK)
        return pl_etag_may_write(request, &tag);
    pl_shim_store_problem(node, request, err);
    return false;
}

bool pl_shim_is_settled(const struct pl_node *node, const struct pl_request *request,
                        enum parley_kind kind, struct parley_span id)
{
    struct parley_version what = { .name_space = pl_shim_name_space(request),
                                   .conversation = pl_shim_param(request, 0),
                                   .kind = kind,
                                   .id = id };
    return !pl_batch_touches(node, &what);
}
