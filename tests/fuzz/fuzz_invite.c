/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as the URL of an invite. Oracle: what is refused leaves the result alone and says why;
 * what is accepted has texts that are not empty, fit and hold no control characters, and is the
 * same when it is written as an invite again.
 */
#include "core/base64.h"
#include "node/node_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t cap)
{
    size_t len = strlen(text);
    PL_ASSERT(len != 0 && len < cap);
    for (size_t i = 0; i < len; i++)
        PL_ASSERT((uint8_t)text[i] > ' ' && text[i] != 0x7f);
}

static void check_again(const struct pl_join *join)
{
    char url[1024];
    struct pl_join again;
    struct pl_writer w = pl_writer_over(url, sizeof url);
    pl_write_text(&w, "parley://");
    pl_write_text(&w, join->address);
    pl_write_text(&w, "/");
    pl_write_text(&w, join->backend_id);
    pl_write_text(&w, "?k=");
    pl_base64url_write(&w, pl_span_of(join->fingerprint, sizeof join->fingerprint));
    pl_write_text(&w, "&s=");
    pl_base64url_write(&w, pl_span_of(join->secret, sizeof join->secret));
    pl_write_text(&w, "&n=");
    pl_write_text(&w, join->name_space);
    pl_write_text(&w, join->may_write ? "&r=w&e=1" : "&r=r&e=1");
    PL_ASSERT(w.err == PARLEY_OK);
    PL_ASSERT(pl_invite_parse(pl_writer_span(&w), &again, NULL) == PARLEY_OK);
    PL_ASSERT(strcmp(join->address, again.address) == 0);
    PL_ASSERT(strcmp(join->backend_id, again.backend_id) == 0);
    PL_ASSERT(strcmp(join->name_space, again.name_space) == 0);
    PL_ASSERT(memcmp(join->fingerprint, again.fingerprint, sizeof again.fingerprint) == 0);
    PL_ASSERT(memcmp(join->secret, again.secret, sizeof again.secret) == 0);
    PL_ASSERT(join->may_write == again.may_write);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_join join = { .phase = PL_JOIN_FAILED };
    struct parley_diag diag = { { 0 } };
    if (pl_invite_parse(pl_span_of(data, size), &join, &diag) != PARLEY_OK) {
        PL_ASSERT(join.phase == PL_JOIN_FAILED && join.address[0] == '\0');
        PL_ASSERT(strncmp(diag.text, "url: ", 5) == 0);
        return 0;
    }
    PL_ASSERT(join.phase == PL_JOIN_NONE && join.check[0] == '\0' && join.error[0] == '\0');
    check_text(join.address, sizeof join.address);
    check_text(join.backend_id, sizeof join.backend_id);
    check_text(join.name_space, sizeof join.name_space);
    check_again(&join);
    return 0;
}
