/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the ledger of a node. Oracle: whatever it says, the node opens; a token that it
 * revokes has a whole record that is not over yet; to heed it once more changes nothing.
 */
#include "lib/keys.h"
#include "lib/plain_env.h"

#include "node/node_int.h"

/* 2026-01-01T00:00:00Z */
#define WALL (INT64_C(1767225600) * PARLEY_US_PER_S)

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct plain_env env;
    struct parley_db *db;
    struct pl_node *node;
};

/* Opening a node costs more than a run, so it is opened once. */
static struct world world;

static void make_world(void)
{
    struct parley_db_options db_options = { .name = "a" };
    struct pl_node_options options = { .version = "fuzz" };
    struct pl_identity *identity = NULL;
    struct pl_peer *peer = NULL;
    bool renewed = false;
    plain_env_init(&world.env);
    CHECK(pl_identity_import(&world.env.env, pl_span_text(TEST_KEY_A_PKCS8), &identity, NULL) ==
          PARLEY_OK);
    CHECK(parley_db_open(&world.env.env, &db_options, &world.db, &renewed, NULL) == PARLEY_OK);
    CHECK(pl_node_open(&world.env.env, &options, world.db, identity,
                       (struct parley_now){ .mono = 1, .wall = WALL }, &world.node,
                       NULL) == PARLEY_OK);
    CHECK(pl_peers_add(&world.node->peers, &world.env.env, pl_span_text("p"), &peer) == PARLEY_OK);
}

/* Looks at the record behind `*name` of `*len` bytes, which become its own. */
static bool look(char name[PL_TOKENS_KEY_BYTES_MAX], size_t *len)
{
    struct parley_read *read = NULL;
    struct pl_token_record record;
    struct parley_span key;
    struct parley_span value;
    bool found = false;
    CHECK(parley_read_begin(world.db, &read) == PARLEY_OK);
    CHECK(parley_read_sys_after(read, pl_span_text(PL_TOKENS_PREFIX), pl_span_of(name, *len), &key,
                                &value, &found) == PARLEY_OK);
    if (found) {
        CHECK(pl_tokens_decode(value, &record) == PARLEY_OK);
        CHECK(record.revoked_at != 0 && !pl_tokens_is_over(&record, WALL));
        *len = key.len;
        memcpy(name, key.ptr, key.len);
    }
    parley_read_end(read);
    return found;
}

/* Looks at every record, and takes it away if asked; how many there are. */
static size_t walk(bool take_away)
{
    char name[PL_TOKENS_KEY_BYTES_MAX] = PL_TOKENS_PREFIX;
    size_t len = PL_TOKENS_PREFIX_BYTES;
    size_t count = 0;
    for (; look(name, &len); count++) {
        struct parley_write write = { .kind = PARLEY_WRITE_SYS_DEL };
        write.u.sys.key = pl_span_of(name, len);
        if (take_away)
            CHECK(parley_db_apply(world.db, &write, 1, WALL, NULL) == PARLEY_OK);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.node == NULL)
        make_world();
    if (size == 0 || size > 65536 || data[size - 1] != '\n')
        return 0;
    struct pl_peer *peer = world.node->peers.table[0];
    peer->state = PL_PEER_ACTIVE;
    CHECK(parley_db_ledger_replace(world.db, data, size) == PARLEY_OK);
    CHECK(pl_ledger_heed(world.node) == PARLEY_OK);
    CHECK(world.node->ledger_bytes <= size);
    CHECK(peer->state == PL_PEER_ACTIVE || peer->state == PL_PEER_REVOKED);
    size_t bytes = world.node->ledger_bytes;
    size_t count = walk(false);
    CHECK(pl_ledger_heed(world.node) == PARLEY_OK);
    CHECK(world.node->ledger_bytes == bytes && walk(true) == count);
    return 0;
}
