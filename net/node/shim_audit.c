/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /audit: the audit log, a page at a time, with the bytes that the hashes are made of, so that
 * whoever reads it can verify the chain without believing this node.
 */
#include "core/base64.h"
#include "node/shim.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX     1000

static void write_bytes(struct pl_out *out, struct parley_span bytes)
{
    char text[(PL_AUDIT_RECORD_BYTES_MAX + 2) / 3 * 4];
    struct pl_writer w = pl_writer_over(text, sizeof text);
    pl_base64url_write(&w, bytes);
    pl_out_name(out, "record");
    pl_out_string(out, pl_writer_span(&w));
}

static void write_record(struct pl_out *out, const struct pl_audit_record *record,
                         struct parley_span bytes)
{
    uint8_t hash[PL_SHA256_BYTES];
    pl_sha256_of(bytes, hash);
    pl_out_separate(out);
    pl_out_text(out, "{");
    pl_out_field_u64(out, "sequence", record->sequence);
    pl_out_field_time(out, "time", record->time);
    pl_out_field_text(out, "event", pl_audit_event_name(record->event));
    pl_out_field(out, "actor", record->actor);
    pl_out_field(out, "subject", record->subject);
    pl_out_field(out, "detail", record->detail);
    pl_out_field_u64(out, "count", record->count);
    pl_out_name(out, "hash");
    pl_out_hex(out, hash, sizeof hash);
    write_bytes(out, bytes);
    pl_out_text(out, "}");
}

static PL_MUST_USE parley_err write_page(struct parley_read *read, uint64_t after, uint64_t limit,
                                         struct pl_out *out)
{
    uint8_t buf[PL_AUDIT_KEY_BYTES];
    struct parley_span key = pl_audit_key(after, buf);
    for (uint64_t i = 0; i < limit; i++) {
        struct pl_audit_record record;
        struct parley_span value;
        bool found = false;
        PL_TRY(
            parley_read_sys_after(read, pl_span_text(PL_AUDIT_PREFIX), key, &key, &value, &found));
        if (!found)
            return PARLEY_OK;
        PL_TRY(pl_audit_decode(value, &record));
        write_record(out, &record, value);
    }
    return PARLEY_OK;
}

static void write_refusals(const struct pl_audit *audit, struct pl_out *out)
{
    pl_out_name(out, "refusals");
    pl_out_text(out, "{");
    for (size_t i = 0; i < audit->class_count; i++)
        pl_out_field_u64(out, audit->classes[i].name, audit->classes[i].total);
    pl_out_text(out, "}");
}

enum pl_shim_step pl_shim_get_audit(struct pl_node *node, struct pl_request *request)
{
    uint64_t after = 0;
    uint64_t limit = PAGE_DEFAULT;
    parley_err err = PARLEY_OK;
    struct pl_out *out = &request->out;
    if (!pl_shim_query_number(request, "after", UINT64_MAX, &after) ||
        !pl_shim_query_number(request, "limit", PAGE_MAX, &limit))
        return PL_SHIM_DONE;
    struct parley_read *read = pl_node_read(node, &err);
    if (read == NULL)
        return pl_shim_store_problem(node, request, err);
    pl_shim_reply(request, 200);
    pl_out_text(out, "{");
    pl_out_name(out, "head");
    pl_out_text(out, "{");
    pl_out_field_u64(out, "sequence", node->audit.head.sequence);
    pl_out_name(out, "hash");
    pl_out_hex(out, node->audit.head.hash, PL_SHA256_BYTES);
    pl_out_text(out, "}");
    write_refusals(&node->audit, out);
    pl_out_name(out, "records");
    pl_out_text(out, "[");
    err = write_page(read, after, limit, out);
    pl_out_text(out, "]}");
    return err == PARLEY_OK ? PL_SHIM_DONE : pl_shim_store_problem(node, request, err);
}
