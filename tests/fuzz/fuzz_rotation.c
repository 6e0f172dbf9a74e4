/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a statement of a rotation, as a stored chain of keys, and as a PROOF that carries
 * some. Oracle: a chain that is accepted writes the same bytes again.
 */
#include "lib/keys.h"
#include "proto/msg.h"
#include "trust/rotation.h"

#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[PL_CHAIN_RECORD_BYTES_MAX];
    static struct pl_key_chain chain;
    struct parley_span bytes = pl_span_of(data, size);
    struct parley_span id = pl_span_text("local_sha256_ae27b04f09e5cad3773e176506377423");
    struct pl_pubkey first, next;
    struct pl_msg_proof proof;
    parley_wall at = 0;
    CHECK(pl_pubkey_from_pem(pl_span_text(TEST_KEY_A_PUBLIC), &first) == PARLEY_OK);
    if (pl_rotation_check(bytes, id, &first, 1, &next, &at) == PARLEY_OK)
        CHECK(at > 0 && memcmp(first.fingerprint, next.fingerprint, PL_FINGERPRINT_BYTES) != 0);
    if (pl_key_chain_decode(bytes, id, &chain) == PARLEY_OK) {
        struct pl_writer w = pl_writer_over(again, sizeof again);
        pl_key_chain_encode(&chain, &w);
        CHECK(w.err == PARLEY_OK && pl_span_equal(bytes, pl_writer_span(&w)));
        CHECK(chain.count <= PL_ROTATIONS_MAX);
    }
    if (pl_msg_proof_decode(bytes, &proof) == PARLEY_OK) {
        CHECK(proof.rotation_count <= PL_ROTATIONS_MAX);
        for (size_t i = 0; i < proof.rotation_count; i++)
            if (pl_rotation_check(proof.rotations[i], id, &first, 1, &next, &at) == PARLEY_OK)
                CHECK(at > 0);
    }
    return 0;
}
