/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of POST /register-peer, given to the handler of a whole node in memory,
 * once as it is by default and once with compat-legacy. An input that begins with "S" is the claims
 * of a token that is properly signed with the key of the registration, since claims are read only
 * behind a good signature. Oracle: a refusal says so and adds no peer; who is taken has an id that
 * belongs to its key, waits for the operator, and is the same when its record is read back.
 */
#include "lib/keys.h"
#include "lib/plain_env.h"

#include "core/base64.h"
#include "core/hash.h"
#include "core/json.h"
#include "node/shim.h"

/* 2026-01-01T00:00:00Z */
#define WALL (INT64_C(1767225600) * PARLEY_US_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct plain_env env;
    struct parley_now now;
    struct pl_identity *signer; /* who registers in the inputs that begin with "S" */
    char signer_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct parley_db *dbs[2];
    struct pl_node *nodes[2]; /* the second with compat-legacy */
};

/* Opening a node costs more than a run, so the two are opened once. */
static struct world world;

static void open_node(int which)
{
    struct parley_db_options db_options = { .name = "a" };
    struct pl_node_options options = { .version = "fuzz", .compat_legacy = which == 1 };
    struct pl_identity *identity = NULL;
    bool renewed = false;
    PL_ASSERT(pl_identity_import(&world.env.env, pl_span_text(TEST_KEY_A_PKCS8), &identity, NULL) ==
              PARLEY_OK);
    PL_ASSERT(parley_db_open(&world.env.env, &db_options, &world.dbs[which], &renewed, NULL) ==
              PARLEY_OK);
    PL_ASSERT(pl_node_open(&world.env.env, &options, world.dbs[which], identity, world.now,
                           &world.nodes[which], NULL) == PARLEY_OK);
}

static void make_world(void)
{
    plain_env_init(&world.env);
    world.now = (struct parley_now){ .mono = 1, .wall = WALL };
    PL_ASSERT(pl_identity_import(&world.env.env, pl_span_text(TEST_KEY_B_PKCS1), &world.signer,
                                 NULL) == PARLEY_OK);
    pl_backend_id_make(PL_BACKEND_LOCAL, pl_identity_pubkey(world.signer), world.signer_id);
    open_node(0);
    open_node(1);
}

static void carry_out(int which)
{
    struct pl_node *node = world.nodes[which];
    struct pl_effect effect;
    while (pl_node_take_effect(node, &effect)) {
        bool changed = false;
        if (effect.kind != PL_EFFECT_COMMIT)
            continue;
        PL_ASSERT(parley_db_apply(world.dbs[which], effect.writes, effect.count, WALL, &changed) ==
                  PARLEY_OK);
        pl_node_committed(node, PARLEY_OK, false, changed, world.now);
    }
}

static void check_peer(const struct pl_peer *peer, bool legacy)
{
    uint8_t record[PL_PEER_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    struct pl_peer again;
    char digits[32];
    pl_peer_encode(peer, &w);
    PL_ASSERT(w.err == PARLEY_OK);
    PL_ASSERT(pl_peer_decode(pl_writer_span(&w), &again) == PARLEY_OK);
    PL_ASSERT(memcmp(again.key.fingerprint, peer->key.fingerprint, PL_FINGERPRINT_BYTES) == 0);
    PL_ASSERT(strcmp(again.backend_id, peer->backend_id) == 0);
    PL_ASSERT(again.extra_len == peer->extra_len);
    size_t len = strlen(peer->backend_id);
    pl_hex_encode(peer->key.fingerprint, 16, digits);
    if (!legacy) {
        PL_ASSERT(peer->state == PL_PEER_PENDING && peer->grant_count == 0);
        PL_ASSERT(len > 32 && memcmp(peer->backend_id + len - 32, digits, 32) == 0);
    }
}

static unsigned register_with(int which, struct parley_span body)
{
    struct pl_node *node = world.nodes[which];
    struct pl_request request;
    pl_shim_init(node, &request);
    request.body = body;
    enum pl_shim_step step = pl_shim_register_peer(node, &request);
    if (step == PL_SHIM_WAIT) {
        PL_ASSERT(node->peers.count == 1);
        check_peer(node->peers.table[0], which == 1);
        pl_batch_commit_soon(node);
        carry_out(which);
        step = pl_shim_register_peer(node, &request);
        PL_ASSERT(request.status == 200 || request.status == 202);
        pl_peers_free(&node->peers, &world.env.env);
        node->peers.next_number = 1;
    } else {
        PL_ASSERT(request.status >= 400 && request.status != 500);
    }
    PL_ASSERT(step == PL_SHIM_DONE && node->peers.count == 0 && request.out.len != 0);
    unsigned status = request.status;
    pl_shim_end(node, &request);
    PL_ASSERT(node->buffered_bytes == 0);
    return status;
}

/* The whole registration around claims; empty when it does not fit. */
static size_t write_signed(struct parley_span claims, char *out, size_t cap)
{
    char pem[PARLEY_PUBLIC_KEY_PEM_BYTES_MAX + 1];
    char jwt[PARLEY_TOKEN_BYTES_MAX];
    uint8_t hash[PL_SHA256_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES_MAX];
    size_t len;
    struct pl_writer w = pl_writer_over(jwt, sizeof jwt);
    struct pl_writer header = pl_writer_over(out, cap);
    pl_write_text(&header, "{\"typ\":\"SBT\",\"alg\":\"RS256\",\"kid\":\"");
    pl_write_text(&header, world.signer_id);
    pl_write_text(&header, "\"}");
    pl_base64url_write(&w, pl_writer_span(&header));
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, claims);
    pl_sha256_of(pl_writer_span(&w), hash);
    PL_ASSERT(pl_identity_sign(world.signer, hash, signature, &len) == PARLEY_OK);
    pl_write_u8(&w, '.');
    pl_base64url_write(&w, pl_span_of(signature, len));
    PL_ASSERT(pl_pubkey_to_pem(pl_identity_pubkey(world.signer), pem) == PARLEY_OK);
    struct pl_writer body = pl_writer_over(out, cap);
    pl_write_text(&body, "{\"sbt\":");
    pl_json_write_string(&body, pl_writer_span(&w));
    pl_write_text(&body, ",\"peer_backend_id\":");
    pl_json_write_string(&body, pl_span_text(world.signer_id));
    pl_write_text(&body, ",\"peer_public_key\":");
    pl_json_write_string(&body, pl_span_text(pem));
    pl_write_text(&body, "}");
    return w.err == PARLEY_OK && body.err == PARLEY_OK ? body.len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char body[2 * PARLEY_TOKEN_BYTES_MAX];
    struct parley_span text = pl_span_of(data, size);
    if (world.nodes[0] == NULL)
        make_world();
    if (size != 0 && data[0] == 'S') {
        size_t len = write_signed(pl_span_after(text, 1), body, sizeof body);
        text = pl_span_of(body, len);
    }
    if (text.len > PL_SHIM_SMALL_BODY)
        return 0;
    unsigned strict = register_with(0, text);
    unsigned legacy = register_with(1, text);
    /* What needs no leniency is taken by both. */
    if (strict < 300)
        PL_ASSERT(legacy < 300);
    return 0;
}
