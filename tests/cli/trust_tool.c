/* SPDX-License-Identifier: Apache-2.0
 *
 * The primitives of engine/trust for tests in other languages. Reads one request a line from stdin,
 * a word and fields in hex ("-" is an empty one), and answers each with one line: "ok", with hex
 * where there is a result, or "refused".
 *
 *   sha256 MESSAGE                      hmac KEY MESSAGE
 *   hkdf SECRET SALT INFO LENGTH        aead KEY NONCE DATA CIPHERTEXT TAG
 *   key SPKI                            verify SPKI MESSAGE SIGNATURE
 *   unseal SECRET CONTEXT RECORD
 *   rs256 PEM CLAIM...                  es256 SCALAR CLAIM...
 *
 * The claims of a token: sbt_id, user_id, session_id, local and hosted backend id, issuer, and
 * created_at and expires_at in microseconds as decimal text. aead, hkdf and hmac call BearSSL as
 * seal.c does, because a sealed record cannot hold vectors of others.
 */
#include "core/hash.h"
#include "trust/seal.h"
#include "trust/token.h"

#include <bearssl.h>

#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX     10
#define LINE_BYTES_MAX (1u << 18)

struct request {
    const char *word;
    struct parley_span fields[FIELDS_MAX];
    size_t count;
};

static void *take(void *ud, size_t size)
{
    (void)ud;
    return malloc(size);
}

static void give(void *ud, void *ptr, size_t size)
{
    (void)ud;
    (void)size;
    free(ptr);
}

static const struct parley_env env = { .alloc = take, .release = give };

static void answer_bytes(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    printf("ok ");
    for (size_t i = 0; i < len; i++)
        printf("%02x", at[i]);
    printf(len == 0 ? "-\n" : "\n");
}

static void answer(bool ok)
{
    printf(ok ? "ok\n" : "refused\n");
}

static void do_sha256(const struct request *r)
{
    uint8_t hash[PL_SHA256_BYTES];
    pl_sha256_of(r->fields[0], hash);
    answer_bytes(hash, sizeof hash);
}

static void do_hmac(const struct request *r)
{
    br_hmac_key_context key;
    br_hmac_context hmac;
    uint8_t out[PL_SHA256_BYTES];
    br_hmac_key_init(&key, &br_sha256_vtable, r->fields[0].ptr, r->fields[0].len);
    br_hmac_init(&hmac, &key, 0);
    br_hmac_update(&hmac, r->fields[1].ptr, r->fields[1].len);
    br_hmac_out(&hmac, out);
    answer_bytes(out, sizeof out);
}

static void do_hkdf(const struct request *r)
{
    br_hkdf_context hkdf;
    uint8_t out[255 * PL_SHA256_BYTES];
    char length[16];
    size_t digits = pl_min_size(r->fields[3].len, sizeof length - 1);
    memcpy(length, r->fields[3].ptr, digits);
    length[digits] = '\0';
    size_t len = strtoul(length, NULL, 10);
    if (len > sizeof out) {
        answer(false);
        return;
    }
    br_hkdf_init(&hkdf, &br_sha256_vtable, r->fields[1].ptr, r->fields[1].len);
    br_hkdf_inject(&hkdf, r->fields[0].ptr, r->fields[0].len);
    br_hkdf_flip(&hkdf);
    br_hkdf_produce(&hkdf, r->fields[2].ptr, r->fields[2].len, out, len);
    answer_bytes(out, len);
}

static void do_aead(const struct request *r)
{
    uint8_t tag[16];
    if (r->fields[0].len != 32 || r->fields[1].len != 12 || r->fields[4].len != sizeof tag) {
        answer(false);
        return;
    }
    uint8_t *text = malloc(r->fields[3].len + 1);
    if (text == NULL)
        abort();
    memcpy(text, r->fields[3].ptr, r->fields[3].len);
    br_poly1305_ctmul_run(r->fields[0].ptr, r->fields[1].ptr, text, r->fields[3].len,
                          r->fields[2].ptr, r->fields[2].len, tag, br_chacha20_ct_run, 0);
    if (pl_equal_ct(tag, r->fields[4].ptr, sizeof tag))
        answer_bytes(text, r->fields[3].len);
    else
        answer(false);
    free(text);
}

static void do_key(const struct request *r)
{
    struct pl_pubkey key;
    answer(pl_pubkey_from_der(r->fields[0], &key) == PARLEY_OK);
}

static void do_verify(const struct request *r)
{
    struct pl_pubkey key;
    uint8_t hash[PL_SHA256_BYTES];
    pl_sha256_of(r->fields[1], hash);
    answer(pl_pubkey_from_der(r->fields[0], &key) == PARLEY_OK &&
           pl_pubkey_verify(&key, hash, r->fields[2]) == PARLEY_OK);
}

static void do_unseal(const struct request *r)
{
    struct pl_seal_secret secret = { .kind = PL_SEAL_RAW, .bytes = r->fields[0] };
    uint8_t out[4096];
    size_t len = 0;
    if (pl_unseal(&env, &secret, r->fields[1], r->fields[2], out, sizeof out, &len) == PARLEY_OK)
        answer_bytes(out, len);
    else
        answer(false);
}

static bool copy_claim(struct parley_span text, char *out, size_t cap)
{
    if (text.len >= cap)
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_token(const struct request *r, struct pl_token *t)
{
    const struct parley_span *f = r->fields;
    char created[32];
    char expires[32];
    *t = (struct pl_token){ .created_at = 0 };
    if (r->count != 9)
        return false;
    bool fits = copy_claim(f[1], t->sbt_id, sizeof t->sbt_id) &&
                copy_claim(f[2], t->user_id, sizeof t->user_id) &&
                copy_claim(f[3], t->session_id, sizeof t->session_id) &&
                copy_claim(f[4], t->local_backend_id, sizeof t->local_backend_id) &&
                copy_claim(f[5], t->hosted_backend_id, sizeof t->hosted_backend_id) &&
                copy_claim(f[6], t->issuer, sizeof t->issuer) &&
                copy_claim(f[7], created, sizeof created) &&
                copy_claim(f[8], expires, sizeof expires);
    t->created_at = fits ? strtoll(created, NULL, 10) : 0;
    t->expires_at = fits ? strtoll(expires, NULL, 10) : 0;
    return fits;
}

static void do_rs256(const struct request *r)
{
    struct pl_token token;
    struct pl_identity *id = NULL;
    char out[PARLEY_TOKEN_BYTES_MAX];
    size_t len = 0;
    bool ok = read_token(r, &token) &&
              pl_identity_import(&env, r->fields[0], &id, NULL) == PARLEY_OK &&
              pl_token_issue(id, &token, out, &len) == PARLEY_OK;
    if (ok)
        answer_bytes(out, len);
    else
        answer(false);
    pl_identity_destroy(id);
}

static void do_es256(const struct request *r)
{
    struct pl_token token;
    char out[PARLEY_TOKEN_BYTES_MAX];
    size_t len = 0;
    if (read_token(r, &token) && r->fields[0].len == PL_EC_PRIVATE_BYTES &&
        pl_token_issue_es256(r->fields[0].ptr, &token, out, &len) == PARLEY_OK)
        answer_bytes(out, len);
    else
        answer(false);
}

static const struct {
    const char *word;
    size_t fields;
    void (*run)(const struct request *r);
} operations[] = {
    { "sha256", 1, do_sha256 }, { "hmac", 2, do_hmac },   { "hkdf", 4, do_hkdf },
    { "aead", 5, do_aead },     { "key", 1, do_key },     { "verify", 3, do_verify },
    { "unseal", 3, do_unseal }, { "rs256", 9, do_rs256 }, { "es256", 9, do_es256 },
};

/* Decodes the hex of a field in place. */
static bool decode_field(char *text, struct parley_span *out)
{
    size_t len = strcmp(text, "-") == 0 ? 0 : strlen(text);
    uint8_t *bytes = (uint8_t *)text;
    *out = pl_span_of(bytes, len / 2);
    for (size_t i = 0; i < len / 2; i++) {
        uint8_t byte;
        if (pl_hex_decode(pl_span_of(text + 2 * i, 2), &byte, 1) != PARLEY_OK)
            return false;
        bytes[i] = byte;
    }
    return len % 2 == 0;
}

/* Cuts the line at its spaces. */
static bool read_request(char *line, struct request *out)
{
    *out = (struct request){ .word = line };
    char *space = strchr(line, ' ');
    while (space != NULL && out->count < FIELDS_MAX) {
        char *field = space + 1;
        *space = '\0';
        space = strchr(field, ' ');
        if (space != NULL)
            *space = '\0';
        if (!decode_field(field, &out->fields[out->count++]))
            return false;
    }
    return space == NULL;
}

static bool run(const struct request *request)
{
    for (size_t i = 0; i < PL_ARRAY_LEN(operations); i++) {
        if (strcmp(operations[i].word, request->word) == 0 &&
            operations[i].fields == request->count) {
            operations[i].run(request);
            return true;
        }
    }
    return false;
}

int main(void)
{
    char *line = malloc(LINE_BYTES_MAX);
    if (line == NULL)
        return 1;
    while (fgets(line, LINE_BYTES_MAX, stdin) != NULL) {
        struct request request;
        char *end = strchr(line, '\n');
        if (end == NULL)
            return 2; /* a line too long */
        *end = '\0';
        if (!read_request(line, &request) || !run(&request)) {
            fprintf(stderr, "trust_tool: no such request: %.40s\n", line);
            return 2;
        }
    }
    free(line);
    return 0;
}
