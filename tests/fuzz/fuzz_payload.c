/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes conversation objects: JSON text (or, when the first byte is no JSON, msgpack) to versions.
 * Checked: what is accepted yields only versions that the store accepts too, bodies fit the room
 * that was promised, and a second walk over the same bytes gives the same.
 */
#include <stdlib.h>

#include "core/json.h"
#include "core/mp_read.h"
#include "core/utf8.h"
#include "node/payload.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())
#define ROOM        (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(struct parley_span object, uint8_t *body, size_t cap)
{
    struct pl_payload payload;
    struct pl_payload_item item;
    struct parley_diag diag;
    size_t sum = 0;
    memset(&diag, 'x', sizeof diag);
    if (pl_payload_open(&payload, object, pl_span_text("main"), pl_span_text("import"), &diag) !=
        PARLEY_OK) {
        CHECK(memchr(diag.text, '\0', sizeof diag.text) != NULL);
        CHECK(pl_utf8_is_valid(pl_span_text(diag.text)));
        return 0;
    }
    while (pl_payload_next(&payload, &item)) {
        size_t room = pl_payload_body_bytes_max(&item);
        CHECK(room <= cap);
        struct pl_writer w = pl_writer_over(body, room);
        pl_payload_body(&item, &w);
        CHECK(w.err == PARLEY_OK);
        item.version.body = pl_writer_span(&w);
        CHECK(parley_version_check(&item.version, &diag) == PARLEY_OK);
        sum += w.len + 1;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t mp[ROOM];
    static uint8_t body[ROOM + 64];
    struct parley_span object = pl_span_of(data, size);
    struct pl_writer w = pl_writer_over(mp, sizeof mp);
    struct pl_json_error where;
    if (size > ROOM / 4)
        return 0;
    if (pl_json_to_mp(object, &w, &where) == PARLEY_OK)
        object = pl_writer_span(&w);
    else if (pl_mp_check(object) != PARLEY_OK)
        return 0;
    CHECK(walk(object, body, sizeof body) == walk(object, body, sizeof body));
    return 0;
}
