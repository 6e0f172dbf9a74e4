/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a node takes for whom: the key that it holds for a peer is one which that peer has had, and
 * in the end the one it has. The keys are told apart by their fingerprints, which are computed here
 * from the numbered keys, not read from what nodes say.
 */
#include "sim/oracle.h"

static int number_of(struct sim_node *n, const struct pl_pubkey *key)
{
    static uint8_t known[SIM_KEYS_MAX][PL_FINGERPRINT_BYTES];
    static bool is_known[SIM_KEYS_MAX];
    for (unsigned i = 0; i < SIM_KEYS_MAX; i++) {
        struct pl_identity *identity = NULL;
        if (!is_known[i]) {
            parley_err err =
                pl_identity_import(&n->env, pl_span_text(sim_key_pem(i)), &identity, NULL);
            PL_ASSERT(err == PARLEY_OK);
            memcpy(known[i], pl_identity_pubkey(identity)->fingerprint, PL_FINGERPRINT_BYTES);
            pl_identity_destroy(identity);
            is_known[i] = true;
        }
        if (memcmp(known[i], key->fingerprint, PL_FINGERPRINT_BYTES) == 0)
            return (int)i;
    }
    return -1;
}

static void look_at(struct sim_node *n, const struct pl_peer *peer, bool at_end)
{
    struct sim_world *w = n->world;
    int number = number_of(n, &peer->key);
    for (unsigned i = 0; i < w->plan.nodes; i++) {
        const struct sim_node *other = &w->nodes[i];
        if (strcmp(other->id, peer->backend_id) != 0)
            continue;
        if (number < 0 || (other->keys_given & 1u << number) == 0)
            sim_fail(w, "keys", "n%u holds key %d for n%u, which never had it", n->index, number,
                     i);
        else if (at_end && peer->state == PL_PEER_ACTIVE && !sim_are_apart(w, n->index, i) &&
                 memcmp(peer->key.fingerprint,
                        pl_identity_pubkey(other->node->identity)->fingerprint,
                        PL_FINGERPRINT_BYTES) != 0 &&
                 w->plan.every_ns[SIM_FAULT_RESTORE] == 0)
            sim_fail(w, "keys", "n%u holds key %d for n%u, which has another by now", n->index,
                     number, i);
    }
}

void oracle_keys_look(struct sim_node *n, bool at_end)
{
    for (size_t i = 0; i < n->node->peers.count && !n->world->failed; i++)
        look_at(n, n->node->peers.table[i], at_end);
}
