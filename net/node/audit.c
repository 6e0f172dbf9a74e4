/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log of a node: events go into the batch that carries them out, so that neither is ever
 * stored without the other.
 *
 * Rows of SYS: "audit/" and eight bytes of sequence, the record (trust/audit.h); "audit-head", the
 * sequence and hash of the last one.
 *
 *   A1  Sequence and previous hash are put in when a batch is launched, from what the last
 *       successful commit left: a batch that fails leaves no gap, whatever the next one holds.
 *   A2  Refusals are counted by class; a class makes at most one record a minute, so that a flood
 *       of them fills neither disk nor time.
 */
#include "node/node_int.h"

#include "core/mp_read.h"
#include "core/mp_write.h"

#define HEAD_KEY "audit-head"
#define FLUSH_NS (60 * PARLEY_NS_PER_S)

struct parley_span pl_audit_key(uint64_t sequence, uint8_t out[PL_AUDIT_KEY_BYTES])
{
    memcpy(out, PL_AUDIT_PREFIX, sizeof PL_AUDIT_PREFIX - 1);
    pl_put_be(out + sizeof PL_AUDIT_PREFIX - 1, sequence, 8);
    return pl_span_of(out, PL_AUDIT_KEY_BYTES);
}

static PL_MUST_USE parley_err read_head(struct parley_read *read, struct pl_audit_head *out)
{
    struct pl_audit_head head = { 0 };
    struct parley_span value;
    bool found = false;
    pl_audit_genesis(head.hash);
    PL_TRY(parley_read_sys(read, pl_span_text(HEAD_KEY), &value, &found));
    if (found) {
        struct pl_reader r = pl_reader_over(value);
        uint32_t fields = pl_mp_read_array(&r, 2);
        head.sequence = pl_mp_read_uint(&r);
        struct parley_span hash = pl_mp_read_bin(&r, PL_SHA256_BYTES);
        if (pl_reader_end(&r) != PARLEY_OK || fields != 2 || hash.len != PL_SHA256_BYTES)
            return PARLEY_ECORRUPT;
        memcpy(head.hash, hash.ptr, PL_SHA256_BYTES);
    }
    *out = head;
    return PARLEY_OK;
}

parley_err pl_audit_load(struct pl_node *node, struct parley_read *read)
{
    return read_head(read, &node->audit.head);
}

/* ---- Checking ---- */

static const char *check_end(const struct pl_audit_head *head, const struct pl_audit_head *last)
{
    if (head->sequence > last->sequence)
        return "it is missing, and the end of the log with it";
    if (head->sequence < last->sequence)
        return "it is behind what was the end of the log";
    return memcmp(head->hash, last->hash, PL_SHA256_BYTES) == 0 ? NULL : "it was changed";
}

/* A record that holds the hash of another one says that the one before it was changed. */
static void blame(struct parley_span record, struct pl_audit_head *last, const char **why)
{
    struct pl_audit_record decoded;
    bool in_place =
        pl_audit_decode(record, &decoded) == PARLEY_OK && decoded.sequence == last->sequence + 1;
    if (!in_place || last->sequence == 0)
        return;
    last->sequence--;
    *why = "it was changed";
}

static PL_MUST_USE parley_err walk(struct parley_read *read, struct pl_audit_head *last,
                                   const char **why)
{
    struct parley_span prefix = pl_span_text(PL_AUDIT_PREFIX);
    struct parley_span key = prefix;
    for (;;) {
        uint8_t buf[PL_AUDIT_KEY_BYTES];
        struct parley_span value;
        bool found = false;
        *why = "its bytes are damaged";
        PL_TRY(parley_read_sys_after(read, prefix, key, &key, &value, &found));
        if (!found)
            return PARLEY_OK;
        *why = "it is missing, or not in its place";
        if (!pl_span_equal(key, pl_audit_key(last->sequence + 1, buf)))
            return PARLEY_ECORRUPT;
        parley_err err = pl_audit_verify(value, &last->sequence, last->hash, why);
        if (err != PARLEY_OK)
            blame(value, last, why);
        PL_TRY(err);
    }
}

parley_err pl_audit_check(struct parley_read *read, uint64_t *records, uint64_t *broken,
                          const char **why)
{
    struct pl_audit_head last = { 0 };
    struct pl_audit_head head;
    pl_audit_genesis(last.hash);
    parley_err err = walk(read, &last, why);
    *broken = last.sequence + 1;
    if (err == PARLEY_OK) {
        *why = "what says that it is the last one is damaged";
        *broken = last.sequence;
        err = read_head(read, &head);
    }
    *records = last.sequence;
    if (err == PARLEY_OK) {
        *why = check_end(&head, &last);
        *broken = head.sequence < last.sequence ? head.sequence + 1 : last.sequence;
        *broken += head.sequence > last.sequence ? 1 : 0;
    }
    return err == PARLEY_ECORRUPT ? PARLEY_OK : err;
}

/* ---- Events ---- */

bool pl_audit_has_room(const struct pl_node *node)
{
    return node->batches[node->filling].audit_count < PL_AUDIT_BATCH_MAX;
}

static void add_record(struct pl_node *node, const struct pl_audit_record *record)
{
    struct pl_batch *batch = &node->batches[node->filling];
    uint8_t bytes[PL_AUDIT_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(bytes, sizeof bytes);
    pl_audit_encode(record, &w);
    PL_ASSERT(w.err == PARLEY_OK && batch->audit_count < PL_AUDIT_BATCH_MAX);
    struct pl_audit_slot *slot = &batch->audits[batch->audit_count++];
    memcpy(slot->record, bytes, w.len);
    slot->len = w.len;
}

void pl_audit_event(struct pl_node *node, enum pl_audit_event event, const char *actor,
                    const char *subject, const char *detail)
{
    pl_audit_counted(node, event, actor, subject, detail, 1);
}

void pl_audit_counted(struct pl_node *node, enum pl_audit_event event, const char *actor,
                      const char *subject, const char *detail, uint64_t count)
{
    struct pl_audit_record record = { .time = node->now.wall,
                                      .event = (uint32_t)event,
                                      .actor = pl_span_text(actor),
                                      .subject = pl_span_text(subject),
                                      .detail = pl_span_text(detail),
                                      .count = count };
    add_record(node, &record);
}

/* ---- Launching a batch (A1) ---- */

size_t pl_audit_launch(struct pl_node *node, struct pl_batch *batch)
{
    struct pl_audit_head head = node->audit.head;
    struct parley_write *write = &batch->writes[batch->count];
    if (batch->audit_count == 0)
        return batch->count;
    for (size_t i = 0; i < batch->audit_count; i++, write++) {
        struct pl_audit_slot *slot = &batch->audits[i];
        pl_audit_chain(slot->record, slot->len, ++head.sequence, head.hash);
        pl_sha256_of(pl_span_of(slot->record, slot->len), head.hash);
        *write = (struct parley_write){ .kind = PARLEY_WRITE_SYS_PUT };
        write->u.sys.key = pl_audit_key(head.sequence, slot->key);
        write->u.sys.value = pl_span_of(slot->record, slot->len);
    }
    struct pl_writer w = pl_writer_over(batch->audit_head, sizeof batch->audit_head);
    pl_mp_write_array(&w, 2);
    pl_mp_write_uint(&w, head.sequence);
    pl_mp_write_bin(&w, pl_span_of(head.hash, sizeof head.hash));
    PL_ASSERT(w.err == PARLEY_OK);
    *write = (struct parley_write){ .kind = PARLEY_WRITE_SYS_PUT };
    write->u.sys.key = pl_span_text(HEAD_KEY);
    write->u.sys.value = pl_writer_span(&w);
    node->audit.launched = head;
    return batch->count + batch->audit_count + 1;
}

void pl_audit_committed(struct pl_node *node, const struct pl_batch *batch, parley_err err)
{
    if (batch->audit_count == 0)
        return;
    if (err == PARLEY_OK) {
        node->audit.head = node->audit.launched;
        return;
    }
    /* Perhaps it was stored after all; the store knows. */
    struct parley_read *read = pl_node_read(node, &err);
    if (read != NULL)
        pl_ignore(pl_audit_load(node, read), "what cannot be read now is found by parley check");
}

/* ---- Refusals (A2) ---- */

static struct pl_audit_class *find_class(struct pl_audit *audit, const char *class)
{
    for (size_t i = 0; i < audit->class_count; i++)
        if (strcmp(audit->classes[i].name, class) == 0)
            return &audit->classes[i];
    if (audit->class_count == PL_AUDIT_CLASSES_MAX)
        return &audit->classes[PL_AUDIT_CLASSES_MAX - 1];
    struct pl_audit_class *found = &audit->classes[audit->class_count++];
    *found = (struct pl_audit_class){ 0 };
    bool last = audit->class_count == PL_AUDIT_CLASSES_MAX;
    pl_text_copy(found->name, sizeof found->name, last ? "other" : class);
    return found;
}

static void flush(struct pl_node *node, struct pl_audit_class *class)
{
    if (class->count == 0 || node->now.mono < class->flush_at || !pl_audit_has_room(node) ||
        node->store_health != PARLEY_OK)
        return;
    struct pl_audit_record record = { .time = node->now.wall,
                                      .event = PL_AUDIT_refused,
                                      .actor = pl_span_text(class->actor),
                                      .subject = pl_span_text(class->subject),
                                      .detail = pl_span_text(class->name),
                                      .count = class->count };
    add_record(node, &record);
    class->count = 0;
    class->flush_at = node->now.mono + FLUSH_NS;
    pl_batch_commit_soon(node);
}

void pl_audit_refusal(struct pl_node *node, const char *class, const char *actor,
                      const char *subject)
{
    struct pl_audit_class *found = find_class(&node->audit, class);
    if (found->count == 0) {
        pl_text_copy(found->actor, sizeof found->actor, actor);
        pl_text_copy(found->subject, sizeof found->subject, subject);
    }
    found->count++;
    found->total++;
    flush(node, found);
}

void pl_audit_tick(struct pl_node *node)
{
    for (size_t i = 0; i < node->audit.class_count; i++)
        flush(node, &node->audit.classes[i]);
    /* What the start had to say waits for the first tick: opening a node asks for nothing. */
    if (node->batches[node->filling].audit_count != 0)
        pl_batch_commit_soon(node);
}
