/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of verification, in this order; tests cite them by number.
 *
 *   1. three parts of strict base64url, at most PARLEY_TOKEN_BYTES_MAX characters
 *   2. header: a JSON object with typ "SBT", the alg that the kind of the issuer's key asks for, a
 *      kid, no "crit", no key twice
 *   3. the signature verifies under the key that the caller found for the issuer
 *   4. claims: a JSON object with every claim that we issue, once each; the short names (iss, sub,
 *      jti, iat, exp) say the same as the long ones; kid is iss
 *   5. times, with leeway
 *   6. the audience and the issuer are among the two backends that the token binds
 *
 * Nothing that the token says about its own algorithm or key chooses how it is verified. Each way
 * to break a rule has its own refusal; the first one found is told.
 */
#include "trust/token.h"

#include "base/reader.h"
#include "base/writer.h"
#include "core/base64.h"
#include "core/hash.h"
#include "core/iso8601.h"
#include "core/json.h"
#include "core/mp_read.h"
#include "core/utf8.h"

#include <bearssl.h>

#define PART_BYTES_MAX (PARLEY_TOKEN_BYTES_MAX / 4 * 3 + 3)
/* MessagePack of one part; JSON made of containers alone grows, and is refused. */
#define VALUE_BYTES_MAX (PART_BYTES_MAX + 512)
#define KEYS_MAX        64

struct parts {
    struct parley_span header;
    struct parley_span claims;
    struct parley_span signature;
    struct parley_span signed_text;
};

/* One value of a JSON object that we asked for. */
struct field {
    enum pl_mp_type type; /* PL_MP_END: absent */
    struct parley_span text;
    uint64_t number;
};

struct scratch {
    uint8_t json[PART_BYTES_MAX];
    uint8_t value[VALUE_BYTES_MAX];
};

enum header_field { HEADER_TYP, HEADER_ALG, HEADER_KID, HEADER_CRIT, HEADER_COUNT };
static const char *const header_names[HEADER_COUNT] = { "typ", "alg", "kid", "crit" };

enum claim {
    CLAIM_SBT_ID,
    CLAIM_USER_ID,
    CLAIM_SESSION_ID,
    CLAIM_LOCAL,
    CLAIM_HOSTED,
    CLAIM_CREATED_AT,
    CLAIM_EXPIRES_AT,
    CLAIM_ISS,
    CLAIM_SUB,
    CLAIM_JTI,
    CLAIM_IAT,
    CLAIM_EXP,
    CLAIM_COUNT
};
static const char *const claim_names[CLAIM_COUNT] = { "sbt_id",
                                                      "user_id",
                                                      "session_id",
                                                      "local_backend_id",
                                                      "hosted_backend_id",
                                                      "created_at",
                                                      "expires_at",
                                                      "iss",
                                                      "sub",
                                                      "jti",
                                                      "iat",
                                                      "exp" };

/* ---- Refusals ---- */

static const struct {
    parley_err err;
    const char *code;
    const char *text;
} refusals[PL_TOKEN_REFUSAL_COUNT] = { [PL_TOKEN_ACCEPTED] = { PARLEY_OK, "", "" },
#define REFUSAL_ROW(name, err, code, text) [PL_TOKEN_##name] = { PARLEY_##err, code, text },
                                       PL_TOKEN_REFUSAL_TABLE(REFUSAL_ROW)
#undef REFUSAL_ROW
};

const char *pl_token_refusal_code(enum pl_token_refusal refusal)
{
    PL_ASSERT(refusal < PL_TOKEN_REFUSAL_COUNT);
    return refusals[refusal].code;
}

const char *pl_token_refusal_text(enum pl_token_refusal refusal)
{
    PL_ASSERT(refusal < PL_TOKEN_REFUSAL_COUNT);
    return refusals[refusal].text;
}

/* Tells the reason to whoever wants it; `return refuse(why, ...)`. */
static parley_err refuse(enum pl_token_refusal *why, enum pl_token_refusal refusal)
{
    if (why != NULL)
        *why = refusal;
    return refusals[refusal].err;
}

/* ---- Reading ---- */

/* The text up to the next dot, which is taken off; or all of it when there is none. */
static struct parley_span take_part(struct parley_span *text, bool *found_dot)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->ptr[i] == '.') {
            struct parley_span part = pl_span_of(text->ptr, i);
            *text = pl_span_after(*text, i + 1);
            *found_dot = true;
            return part;
        }
    }
    struct parley_span part = *text;
    *text = pl_span_of(NULL, 0);
    *found_dot = false;
    return part;
}

static parley_err split(struct parley_span jwt, struct parts *out, enum pl_token_refusal *why)
{
    if (jwt.len > PARLEY_TOKEN_BYTES_MAX)
        return refuse(why, PL_TOKEN_TOO_BIG);
    struct parts parts;
    struct parley_span rest = jwt;
    bool dots[3];
    parts.header = take_part(&rest, &dots[0]);
    parts.claims = take_part(&rest, &dots[1]);
    parts.signature = take_part(&rest, &dots[2]);
    if (!dots[0] || !dots[1] || dots[2])
        return refuse(why, PL_TOKEN_MALFORMED);
    parts.signed_text = pl_span_of(jwt.ptr, parts.header.len + 1 + parts.claims.len);
    *out = parts;
    return PARLEY_OK;
}

static void read_field(struct pl_reader *r, struct field *field)
{
    field->type = pl_mp_peek(r);
    if (field->type == PL_MP_STR) {
        field->text = pl_mp_read_str(r, PL_TOKEN_FIELD_BYTES_MAX);
        /* Fields become C strings. */
        if (field->text.len != 0 && memchr(field->text.ptr, 0, field->text.len) != NULL)
            pl_reader_fail(r, PARLEY_EMALFORMED);
    } else if (field->type == PL_MP_UINT) {
        field->number = pl_mp_read_uint(r);
    } else {
        pl_mp_read_any(r);
    }
}

/* Whether none of the keys before is the same one. */
static bool is_new(struct parley_span key, const struct parley_span *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (pl_span_equal(key, keys[i]))
            return false;
    return true;
}

/* Decodes a part and picks the named values; other keys are passed over, but may not come twice
 * either. The texts are lent from `scratch`. `bad_field` is the reason when it is an object and one
 * of its fields is no good. */
static parley_err read_object(struct parley_span part, const char *const *names, size_t count,
                              struct scratch *scratch, struct field *fields,
                              enum pl_token_refusal bad_field, enum pl_token_refusal *why)
{
    size_t len;
    struct parley_span keys[KEYS_MAX];
    struct pl_writer value = pl_writer_over(scratch->value, sizeof scratch->value);
    if (pl_base64url_decode(part, scratch->json, sizeof scratch->json, &len) != PARLEY_OK)
        return refuse(why, PL_TOKEN_MALFORMED);
    if (pl_json_to_mp(pl_span_of(scratch->json, len), &value, NULL) != PARLEY_OK)
        return refuse(why, PL_TOKEN_MALFORMED);
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct field){ .type = PL_MP_END };
    struct pl_reader r = pl_reader_over(pl_writer_span(&value));
    uint32_t pairs = pl_mp_read_map(&r, KEYS_MAX);
    if (r.err != PARLEY_OK)
        return refuse(why, PL_TOKEN_MALFORMED);
    for (uint32_t pair = 0; pair < pairs && r.err == PARLEY_OK; pair++) {
        struct parley_span key = pl_mp_read_str(&r, PL_TOKEN_FIELD_BYTES_MAX);
        size_t i = 0;
        if (!is_new(key, keys, pair))
            pl_reader_fail(&r, PARLEY_EMALFORMED);
        keys[pair] = key;
        while (i < count && !pl_span_is(key, names[i]))
            i++;
        if (i < count)
            read_field(&r, &fields[i]);
        else
            pl_mp_read_any(&r);
    }
    return pl_reader_end(&r) == PARLEY_OK ? PARLEY_OK : refuse(why, bad_field);
}

static bool is_text(const struct field *field, const char *text)
{
    return field->type == PL_MP_STR && pl_span_is(field->text, text);
}

/* Copies a text of 1 to `max` bytes. */
static bool copy_text(const struct field *field, char *out, size_t max)
{
    if (field->type != PL_MP_STR || field->text.len == 0 || field->text.len > max)
        return false;
    memcpy(out, field->text.ptr, field->text.len);
    out[field->text.len] = '\0';
    return true;
}

static parley_err read_header(const struct parts *parts, struct scratch *scratch,
                              struct field header[HEADER_COUNT],
                              char kid[PARLEY_BACKEND_ID_BYTES_MAX + 1], enum pl_token_refusal *why)
{
    PL_TRY(read_object(parts->header, header_names, HEADER_COUNT, scratch, header,
                       PL_TOKEN_MALFORMED, why));
    if (!copy_text(&header[HEADER_KID], kid, PARLEY_BACKEND_ID_BYTES_MAX))
        return refuse(why, PL_TOKEN_NO_KID);
    return PARLEY_OK;
}

parley_err pl_token_peek_issuer(struct parley_span jwt,
                                char issuer[PARLEY_BACKEND_ID_BYTES_MAX + 1],
                                enum pl_token_refusal *why)
{
    struct parts parts;
    struct scratch scratch;
    struct field header[HEADER_COUNT];
    PL_TRY(split(jwt, &parts, why));
    return read_header(&parts, &scratch, header, issuer, why);
}

/* What to say of an algorithm that is not the one of the key. */
static enum pl_token_refusal judge_algorithm(const struct field *alg)
{
    static const char *const hmacs[] = { "HS256", "HS384", "HS512" };
    static const char *const nones[] = { "none", "None", "NONE" };
    if (is_text(alg, "RS256") || is_text(alg, "ES256"))
        return PL_TOKEN_ALG_KEY;
    for (size_t i = 0; i < PL_ARRAY_LEN(nones); i++)
        if (is_text(alg, nones[i]))
            return PL_TOKEN_ALG_NONE;
    for (size_t i = 0; i < PL_ARRAY_LEN(hmacs); i++)
        if (is_text(alg, hmacs[i]))
            return PL_TOKEN_ALG_HMAC;
    return PL_TOKEN_ALG_UNKNOWN;
}

/* The one algorithm of a key. */
static const char *algorithm_of(enum pl_key_kind kind)
{
    switch (kind) {
    case PL_KEY_RSA:
        return "RS256";
    case PL_KEY_P256:
        return "ES256";
    }
    return "";
}

/* Rule 2; gives the kid. */
static parley_err check_header(const struct parts *parts, enum pl_key_kind kind,
                               struct scratch *scratch, char kid[PARLEY_BACKEND_ID_BYTES_MAX + 1],
                               enum pl_token_refusal *why)
{
    struct field header[HEADER_COUNT];
    PL_TRY(read_header(parts, scratch, header, kid, why));
    if (!is_text(&header[HEADER_TYP], "SBT"))
        return refuse(why, PL_TOKEN_TYPE);
    if (!is_text(&header[HEADER_ALG], algorithm_of(kind)))
        return refuse(why, judge_algorithm(&header[HEADER_ALG]));
    if (header[HEADER_CRIT].type != PL_MP_END)
        return refuse(why, PL_TOKEN_CRIT);
    return PARLEY_OK;
}

/* Where this signature of this hash under this key is remembered, and as what. */
static uint8_t *find_known(struct pl_token_signatures *known, const struct pl_pubkey *key,
                           const uint8_t hash[PL_SHA256_BYTES], struct parley_span signature,
                           uint8_t name[PL_SHA256_BYTES])
{
    struct pl_sha256 h;
    pl_sha256_init(&h);
    pl_sha256_update(&h, key->fingerprint, sizeof key->fingerprint);
    pl_sha256_update(&h, hash, PL_SHA256_BYTES);
    pl_sha256_update(&h, signature.ptr, signature.len);
    pl_sha256_final(&h, name);
    return known->good[pl_get_be(name, 4) % PL_TOKEN_SIGNATURES_MAX];
}

/* Rule 3. */
static parley_err check_signature(struct pl_token_signatures *known, const struct parts *parts,
                                  const struct pl_pubkey *key, enum pl_token_refusal *why)
{
    uint8_t name[PL_SHA256_BYTES];
    uint8_t *place = NULL;
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    uint8_t hash[PL_SHA256_BYTES];
    size_t len;
    parley_err err = pl_base64url_decode(parts->signature, signature, sizeof signature, &len);
    if (err == PARLEY_EFULL)
        return refuse(why, PL_TOKEN_SIGNATURE); /* longer than any */
    if (err != PARLEY_OK)
        return refuse(why, PL_TOKEN_MALFORMED);
    pl_sha256_of(parts->signed_text, hash);
    if (known != NULL)
        place = find_known(known, key, hash, pl_span_of(signature, len), name);
    if (place != NULL && memcmp(place, name, sizeof name) == 0)
        return PARLEY_OK;
    if (pl_pubkey_verify(key, hash, pl_span_of(signature, len)) != PARLEY_OK)
        return refuse(why, PL_TOKEN_SIGNATURE);
    if (place != NULL)
        memcpy(place, name, sizeof name);
    return PARLEY_OK;
}

static bool is_given_text(const struct field *field)
{
    return field->type == PL_MP_STR && field->text.len != 0;
}

/* A time as text with microseconds. */
static bool read_time(const struct field *text, parley_wall *out)
{
    uint64_t us;
    if (text->type != PL_MP_STR || pl_iso8601_parse(text->text, &us) != PARLEY_OK)
        return false;
    *out = (parley_wall)us;
    return true;
}

static bool is_same_second(const struct field *seconds, parley_wall at)
{
    return seconds->number == (uint64_t)(at / PARLEY_US_PER_S);
}

/* Rule 4. */
static parley_err read_claims(const struct parts *parts, const char *kid, struct scratch *scratch,
                              struct pl_token *out, enum pl_token_refusal *why)
{
    struct field claims[CLAIM_COUNT];
    PL_TRY(read_object(parts->claims, claim_names, CLAIM_COUNT, scratch, claims, PL_TOKEN_CLAIMS,
                       why));
    bool whole =
        copy_text(&claims[CLAIM_SBT_ID], out->sbt_id, PL_TOKEN_FIELD_BYTES_MAX) &&
        copy_text(&claims[CLAIM_USER_ID], out->user_id, PL_TOKEN_FIELD_BYTES_MAX) &&
        copy_text(&claims[CLAIM_SESSION_ID], out->session_id, PL_TOKEN_FIELD_BYTES_MAX) &&
        copy_text(&claims[CLAIM_LOCAL], out->local_backend_id, PARLEY_BACKEND_ID_BYTES_MAX) &&
        copy_text(&claims[CLAIM_HOSTED], out->hosted_backend_id, PARLEY_BACKEND_ID_BYTES_MAX) &&
        copy_text(&claims[CLAIM_ISS], out->issuer, PARLEY_BACKEND_ID_BYTES_MAX) &&
        read_time(&claims[CLAIM_CREATED_AT], &out->created_at) &&
        read_time(&claims[CLAIM_EXPIRES_AT], &out->expires_at) &&
        is_given_text(&claims[CLAIM_SUB]) && is_given_text(&claims[CLAIM_JTI]) &&
        claims[CLAIM_IAT].type == PL_MP_UINT && claims[CLAIM_EXP].type == PL_MP_UINT;
    if (!whole)
        return refuse(why, PL_TOKEN_CLAIMS);
    if (!is_text(&claims[CLAIM_ISS], kid))
        return refuse(why, PL_TOKEN_KID_MISMATCH);
    if (!is_text(&claims[CLAIM_JTI], out->sbt_id))
        return refuse(why, PL_TOKEN_ID_MISMATCH);
    if (!is_text(&claims[CLAIM_SUB], out->user_id))
        return refuse(why, PL_TOKEN_USER_MISMATCH);
    if (!is_same_second(&claims[CLAIM_IAT], out->created_at) ||
        !is_same_second(&claims[CLAIM_EXP], out->expires_at) || out->expires_at < out->created_at)
        return refuse(why, PL_TOKEN_TIMES);
    return PARLEY_OK;
}

static bool is_bound(const struct pl_token *token, struct parley_span backend_id)
{
    return pl_span_is(backend_id, token->local_backend_id) ||
           pl_span_is(backend_id, token->hosted_backend_id);
}

/* Rules 5 and 6. */
static parley_err check_bounds(const struct pl_token *token, struct parley_span audience,
                               parley_wall now, enum pl_token_refusal *why)
{
    if (now < 0 || now > (parley_wall)PL_ISO8601_US_MAX)
        return refuse(why, PL_TOKEN_CLOCK);
    if (now > token->expires_at + PL_TOKEN_LEEWAY_US)
        return refuse(why, PL_TOKEN_EXPIRED);
    if (token->created_at > now + PL_TOKEN_LEEWAY_US)
        return refuse(why, PL_TOKEN_NOT_YET_VALID);
    if (!is_bound(token, audience))
        return refuse(why, PL_TOKEN_AUDIENCE);
    if (!is_bound(token, pl_span_text(token->issuer)))
        return refuse(why, PL_TOKEN_ISSUER_NOT_BOUND);
    return PARLEY_OK;
}

parley_err pl_token_verify(struct parley_span jwt, const struct pl_pubkey *key,
                           struct parley_span audience, parley_wall now, struct pl_token *out,
                           enum pl_token_refusal *why)
{
    return pl_token_verify_known(NULL, jwt, key, audience, now, out, why);
}

parley_err pl_token_verify_known(struct pl_token_signatures *known, struct parley_span jwt,
                                 const struct pl_pubkey *key, struct parley_span audience,
                                 parley_wall now, struct pl_token *out, enum pl_token_refusal *why)
{
    struct parts parts;
    struct scratch scratch;
    struct pl_token token = { .created_at = 0 };
    char kid[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    PL_TRY(split(jwt, &parts, why));
    PL_TRY(check_header(&parts, key->kind, &scratch, kid, why));
    PL_TRY(check_signature(known, &parts, key, why));
    PL_TRY(read_claims(&parts, kid, &scratch, &token, why));
    PL_TRY(check_bounds(&token, audience, now, why));
    *out = token;
    return PARLEY_OK;
}

/* ---- Writing ---- */

static void write_key(struct pl_writer *w, const char *name)
{
    pl_write_u8(w, w->len == 0 ? '{' : ',');
    pl_json_write_string(w, pl_span_text(name));
    pl_write_u8(w, ':');
}

static void write_text(struct pl_writer *w, const char *name, const char *text)
{
    write_key(w, name);
    pl_json_write_string(w, pl_span_text(text));
}

static void write_number(struct pl_writer *w, const char *name, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        at--;
        digits[at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    write_key(w, name);
    pl_write_bytes(w, digits + at, sizeof digits - at);
}

static void write_time(struct pl_writer *w, const char *name, parley_wall time)
{
    char text[PL_ISO8601_BYTES];
    pl_iso8601_format((uint64_t)time, text);
    write_key(w, name);
    pl_json_write_string(w, pl_span_of(text, sizeof text));
}

static bool is_good_text(const char *text)
{
    struct parley_span span = pl_span_text(text);
    return span.len != 0 && pl_utf8_is_valid(span);
}

static parley_err check_token(const struct pl_token *token)
{
    bool texts = is_good_text(token->sbt_id) && is_good_text(token->user_id) &&
                 is_good_text(token->session_id) && is_good_text(token->local_backend_id) &&
                 is_good_text(token->hosted_backend_id) && is_good_text(token->issuer);
    bool times = token->created_at >= 0 && token->expires_at >= token->created_at &&
                 token->expires_at <= (parley_wall)PL_ISO8601_US_MAX;
    return texts && times ? PARLEY_OK : PARLEY_EINVAL;
}

static void write_claims(struct pl_writer *w, const struct pl_token *token)
{
    write_text(w, "sbt_id", token->sbt_id);
    write_text(w, "user_id", token->user_id);
    write_text(w, "session_id", token->session_id);
    write_text(w, "local_backend_id", token->local_backend_id);
    write_text(w, "hosted_backend_id", token->hosted_backend_id);
    write_time(w, "created_at", token->created_at);
    write_time(w, "expires_at", token->expires_at);
    write_text(w, "iss", token->issuer);
    write_text(w, "sub", token->user_id);
    write_text(w, "jti", token->sbt_id);
    write_number(w, "iat", (uint64_t)(token->created_at / PARLEY_US_PER_S));
    write_number(w, "exp", (uint64_t)(token->expires_at / PARLEY_US_PER_S));
    pl_write_u8(w, '}');
}

/* Header and claims, checked and written: all that the signature covers. */
static parley_err write_signed_text(struct pl_writer *w, const struct pl_token *token,
                                    enum pl_key_kind kind)
{
    PL_TRY(check_token(token));
    uint8_t json_buf[PART_BYTES_MAX];
    struct pl_writer json = pl_writer_over(json_buf, sizeof json_buf);
    write_text(&json, "typ", "SBT");
    write_text(&json, "alg", algorithm_of(kind));
    write_text(&json, "kid", token->issuer);
    pl_write_u8(&json, '}');
    pl_base64url_write(w, pl_writer_span(&json));
    pl_write_u8(w, '.');
    json.len = 0;
    write_claims(&json, token);
    pl_base64url_write(w, pl_writer_span(&json));
    return json.err != PARLEY_OK || w->err != PARLEY_OK ? PARLEY_ETOOBIG : PARLEY_OK;
}

static parley_err finish(struct pl_writer *w, struct parley_span signature, size_t *len)
{
    pl_write_u8(w, '.');
    pl_base64url_write(w, signature);
    if (w->err != PARLEY_OK)
        return PARLEY_ETOOBIG;
    *len = w->len;
    return PARLEY_OK;
}

parley_err pl_token_issue(const struct pl_identity *id, const struct pl_token *token,
                          char out[PARLEY_TOKEN_BYTES_MAX], size_t *len)
{
    struct pl_writer w = pl_writer_over(out, PARLEY_TOKEN_BYTES_MAX);
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t signature_len;
    PL_TRY(write_signed_text(&w, token, PL_KEY_RSA));
    pl_sha256_of(pl_writer_span(&w), hash);
    PL_TRY(pl_identity_sign(id, hash, signature, &signature_len));
    return finish(&w, pl_span_of(signature, signature_len), len);
}

parley_err pl_token_issue_es256(const uint8_t private_key[PL_EC_PRIVATE_BYTES],
                                const struct pl_token *token, char out[PARLEY_TOKEN_BYTES_MAX],
                                size_t *len)
{
    struct pl_writer w = pl_writer_over(out, PARLEY_TOKEN_BYTES_MAX);
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_EC_SIGNATURE_BYTES];
    uint8_t scalar[PL_EC_PRIVATE_BYTES];
    br_ec_private_key key = { .curve = BR_EC_secp256r1, .x = scalar, .xlen = sizeof scalar };
    PL_TRY(write_signed_text(&w, token, PL_KEY_P256));
    pl_sha256_of(pl_writer_span(&w), hash);
    memcpy(scalar, private_key, sizeof scalar);
    size_t signature_len = br_ecdsa_sign_raw_get_default()(br_ec_get_default(), &br_sha256_vtable,
                                                           hash, &key, signature);
    pl_wipe(scalar, sizeof scalar);
    if (signature_len != sizeof signature)
        return PARLEY_EINVAL;
    return finish(&w, pl_span_of(signature, signature_len), len);
}
