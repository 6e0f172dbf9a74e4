/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /backup: some blocks of a backup, and where the next ones begin. Nothing is kept between two
 * requests, neither here nor in the store, so a client may take as long as it likes.
 */
#include "core/hash.h"
#include "node/shim.h"

#include <parley/backup.h>

#define PART_BYTES_DEFAULT (1u << 20)
#define PART_BYTES_MAX     (4u << 20)

_Static_assert(2 * PARLEY_BACKUP_PLACE_BYTES_MAX + 64 <= PL_SHIM_EXTRA_BYTES_MAX,
               "a place must fit a header of an answer");

static bool read_place(struct pl_request *request, struct parley_backup_place *place)
{
    char hex[2 * PARLEY_BACKUP_PLACE_BYTES_MAX];
    size_t len = 0;
    bool found = false;
    if (!pl_shim_query(request, "after", hex, sizeof hex, &len, &found))
        return false;
    place->len = len / 2;
    if (pl_hex_decode(pl_span_of(hex, len), place->bytes, place->len) == PARLEY_OK)
        return true;
    pl_shim_problem_field(request, 400, "bad-query", "after",
                          "is no place in a backup; send X-Parley-Next as it came");
    return false;
}

static void write_next(struct pl_request *request, const struct parley_backup_place *place)
{
    char hex[2 * PARLEY_BACKUP_PLACE_BYTES_MAX];
    pl_hex_encode(place->bytes, place->len, hex);
    pl_shim_header(request, "X-Parley-Next", pl_span_of(hex, 2 * place->len));
}

/* One block, from a snapshot of its own. */
static PL_MUST_USE parley_err write_block(struct pl_node *node, struct pl_out *out,
                                          struct parley_backup_place *place, bool *done)
{
    struct parley_backup_options options = { .journal = pl_span_text(PL_AUDIT_PREFIX),
                                             .now = node->now.wall };
    parley_err err = PARLEY_OK;
    size_t len = PL_BACKUP_BLOCK_BYTES;
    pl_node_read_done(node);
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return err;
    do {
        PL_TRY(pl_out_room(out, len));
        err = parley_backup_next(read, &options, place, out->ptr + out->len, out->cap - out->len,
                                 &len, done);
    } while (err == PARLEY_EFULL);
    out->len += err == PARLEY_OK ? len : 0;
    return err;
}

static enum pl_shim_step refuse(struct pl_node *node, struct pl_request *request, parley_err err)
{
    if (err == PARLEY_EINVAL)
        pl_shim_problem_field(request, 400, "bad-query", "after",
                              "is no place in a backup; send X-Parley-Next as it came");
    else if (err == PARLEY_ESTATE)
        pl_shim_problem(request, 409, "another-incarnation",
                        "the store was restored or copied since that backup began; begin anew, "
                        "without `after`");
    else
        return pl_shim_read_problem(node, request, err);
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_backup(struct pl_node *node, struct pl_request *request)
{
    struct parley_backup_place place = { 0 };
    uint64_t limit = PART_BYTES_DEFAULT;
    bool done = false;
    parley_err err = PARLEY_OK;
    if (!read_place(request, &place) ||
        !pl_shim_query_number(request, "limit_bytes", PART_BYTES_MAX, &limit))
        return PL_SHIM_DONE;
    pl_shim_reply(request, 200);
    request->content_type = "application/octet-stream";
    do
        err = write_block(node, &request->out, &place, &done);
    while (err == PARLEY_OK && !done && request->out.len < limit);
    if (err != PARLEY_OK)
        return refuse(node, request, err);
    if (!done)
        write_next(request, &place);
    return PL_SHIM_DONE;
}
