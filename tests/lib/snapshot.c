/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/snapshot.h"

#include "lib/testlib.h"

static void add(struct pl_sha256 *h, const void *bytes, size_t len)
{
    pl_sha256_update(h, &len, sizeof len);
    if (len != 0)
        pl_sha256_update(h, bytes, len);
}

static void add_memory(struct pl_sha256 *h, const struct pl_node *node)
{
    uint8_t record[PL_PEER_RECORD_BYTES_MAX];
    add(h, &node->peers.count, sizeof node->peers.count);
    for (size_t i = 0; i < node->peers.count; i++) {
        const struct pl_peer *peer = node->peers.table[i];
        struct pl_writer w = pl_writer_over(record, sizeof record);
        pl_peer_encode(peer, &w);
        assert_ok(w.err);
        add(h, w.ptr, w.len);
        add(h, peer->check, sizeof peer->check);
        add(h, &peer->conn, sizeof peer->conn);
    }
    for (size_t i = 0; i < node->invite_count; i++) {
        const struct pl_invite *invite = &node->invites[i];
        add(h, invite->secret_hash, sizeof invite->secret_hash);
        add(h, invite->used_by, strlen(invite->used_by));
        add(h, &invite->tries, sizeof invite->tries);
        add(h, &invite->expires, sizeof invite->expires);
    }
    add(h, &node->join.phase, sizeof node->join.phase);
}

static void add_records(struct pl_sha256 *h, struct parley_read *read)
{
    struct parley_span key = pl_span_of(NULL, 0);
    for (;;) {
        struct parley_span value;
        bool found = false;
        assert_ok(parley_read_sys_after(read, pl_span_of(NULL, 0), key, &key, &value, &found));
        if (!found)
            return;
        if (pl_span_has_prefix(key, pl_span_text("audit")))
            continue;
        add(h, key.ptr, key.len);
        add(h, value.ptr, value.len);
    }
}

static void add_store(struct pl_sha256 *h, struct parley_db *db)
{
    struct parley_read *read = NULL;
    struct parley_db_state state;
    struct parley_namespace_info info = { 0 };
    bool found = false;
    assert_ok(parley_read_begin(db, &read));
    assert_ok(parley_read_state(read, &state));
    assert_ok(parley_read_namespace_named(read, pl_span_text("main"), &info, &found));
    add(h, &state.head, sizeof state.head);
    add(h, &state.incarnation, sizeof state.incarnation);
    add(h, &info.root.count, sizeof info.root.count);
    add(h, info.root.sum, sizeof info.root.sum);
    add_records(h, read);
    parley_read_end(read);
}

struct snapshot snapshot_take(struct pl_node *node, struct parley_db *db)
{
    struct snapshot snapshot;
    struct pl_sha256 h;
    assert_false(node->commit_in_flight);
    pl_sha256_init(&h);
    add_memory(&h, node);
    add_store(&h, db);
    pl_sha256_final(&h, snapshot.hash);
    return snapshot;
}
