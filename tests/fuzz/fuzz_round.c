/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node and a registered peer that says anything once the session is open. The first byte
 * chooses what the node has; then come messages: u8 type, u16 length, body. Types that are none of
 * sync let as many seconds pass.
 *
 * Checked: the node comes to rest, what it says are messages that the peer's session takes, it ends
 * with a BYE if it ends, and its store is sound.
 */
#include "lib/node_rig.h"

#include "proto/frame.h"

#define CHECK(cond)  ((cond) ? (void)0 : abort())
#define MESSAGES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_of_sync(uint8_t type)
{
    return type >= PL_MSG_STATE && type != PL_MSG_BYE && type != PL_MSG_PACKED &&
           pl_frame_is_known(type);
}

static void say(struct rig *r, uint8_t type, struct parley_span body)
{
    struct pl_writer w;
    body.len = pl_min_size(body.len, pl_frame_body_max(type) - 1);
    for (int i = 0; i < 10 && r->conn != 0; i++) {
        if (pl_session_send_begin(r->s, (enum pl_message_type)type, body.len + 1, &w)) {
            pl_write_span(&w, body);
            end(r, &w);
            return;
        }
        settle(r);
    }
}

/* Versions of its own, that the peer may be sent. */
static void fill_node(struct rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        struct parley_version v = small_version(r, id);
        v.origin = pl_span_text(r->node->backend_id);
        struct parley_write write = { .kind = PARLEY_WRITE_VERSION, .u.version = v };
        bool changed = false;
        CHECK(parley_db_apply(r->db, &write, 1, r->now.wall, &changed) == PARLEY_OK && changed);
    }
}

static void check_store(struct rig *r)
{
    struct parley_check_report report;
    CHECK(parley_db_check(r->db, &report) == PARLEY_OK && report.problems == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    struct pl_reader input = pl_reader_over(pl_span_of(data, size));
    uint8_t start = pl_read_u8(&input);
    if (input.err != PARLEY_OK)
        return 0;
    rig_open(&rig);
    fill_node(&rig, start & 15u);
    dial(&rig);
    for (int i = 0; i < MESSAGES_MAX && rig.conn != 0 && pl_reader_left(&input) >= 3; i++) {
        uint8_t type = pl_read_u8(&input);
        size_t len = pl_min_size(pl_read_u16(&input), pl_reader_left(&input));
        struct parley_span body = pl_read_bytes(&input, len);
        if (is_of_sync(type))
            say(&rig, type, body);
        else
            wait_for(&rig, (parley_time)(1 + type % 64) * PARLEY_NS_PER_S);
    }
    CHECK(rig.conn != 0 || rig.closed);
    CHECK(!rig.closed || rig.bye < PL_BYE_COUNT);
    check_store(&rig);
    rig_close(&rig);
    return 0;
}
