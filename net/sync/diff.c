/* SPDX-License-Identifier: Apache-2.0
 *
 * The result of a dry comparison; see diff.h.
 */
#include "sync/diff.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define FIELDS 6u

void pl_diff_init(struct pl_diff *diff)
{
    diff->out = (struct pl_tally){ .key_max = PL_DIFF_KEYS_MAX, .keys = diff->keys[0] };
    diff->in = (struct pl_tally){ .key_max = PL_DIFF_KEYS_MAX, .keys = diff->keys[1] };
}

void pl_diff_end(struct pl_diff *diff, parley_wall now, struct pl_diff_result *out)
{
    *out = (struct pl_diff_result){ .state = PL_DIFF_DONE,
                                    .at = now,
                                    .versions_out = diff->out.versions,
                                    .bytes_out = diff->out.bytes,
                                    .versions_in = diff->in.versions,
                                    .bytes_in = diff->in.bytes,
                                    .conflicts = pl_tally_conflicts(&diff->out, &diff->in),
                                    .conflicts_all = !diff->out.cut && !diff->in.cut };
}

void pl_diff_write(struct pl_writer *w, const struct pl_diff_result *result)
{
    pl_mp_write_array(w, FIELDS);
    pl_mp_write_uint(w, result->versions_out);
    pl_mp_write_uint(w, result->bytes_out);
    pl_mp_write_uint(w, result->versions_in);
    pl_mp_write_uint(w, result->bytes_in);
    pl_mp_write_uint(w, result->conflicts);
    pl_mp_write_bool(w, result->conflicts_all);
}

parley_err pl_diff_read(struct parley_span body, bool *asks, struct pl_diff_result *out)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t fields = pl_mp_read_array(&r, FIELDS);
    *asks = fields == 0;
    *out = (struct pl_diff_result){ .state = PL_DIFF_DONE };
    if (fields != 0) {
        out->versions_in = pl_mp_read_uint(&r);
        out->bytes_in = pl_mp_read_uint(&r);
        out->versions_out = pl_mp_read_uint(&r);
        out->bytes_out = pl_mp_read_uint(&r);
        out->conflicts = pl_mp_read_uint(&r);
        out->conflicts_all = pl_mp_read_bool(&r);
    }
    bool whole = pl_reader_end(&r) == PARLEY_OK && (fields == 0 || fields == FIELDS);
    return whole ? PARLEY_OK : PARLEY_EPROTO;
}
