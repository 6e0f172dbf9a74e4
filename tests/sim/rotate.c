/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of nodes, and operators who rotate them. Making a key takes some time, in which the node
 * may crash or stop; the key is one of a fixed few, because RSA keys are slow to make.
 */
#include "sim/world.h"

#include "lib/keys.h"
#include "lib/more_keys.h"

const char *sim_key_pem(unsigned number)
{
    static const char *const keys[SIM_KEYS_MAX] = {
        TEST_KEY_A_PKCS1, TEST_KEY_B_PKCS1, TEST_KEY_C_PKCS8, TEST_KEY_D_PKCS8,
        TEST_KEY_E_PKCS8, TEST_NEXT_KEY_1,  TEST_NEXT_KEY_2,  TEST_NEXT_KEY_3,
        TEST_NEXT_KEY_4,  TEST_NEXT_KEY_5,  TEST_NEXT_KEY_6
    };
    PL_ASSERT(number < SIM_KEYS_MAX);
    return keys[number];
}

unsigned sim_key_stored(struct sim_node *n)
{
    struct parley_read *read = NULL;
    struct parley_span record;
    bool found = false;
    unsigned number = n->self;
    if (parley_read_begin(n->db, &read) != PARLEY_OK)
        return number;
    parley_err err = parley_read_sys(read, pl_span_text(PL_IDENTITY_RECORD_KEY), &record, &found);
    if (err == PARLEY_OK && found && record.len == 1)
        number = record.ptr[0];
    parley_read_end(read);
    return number;
}

/* A node that may be restored rotates once: a backup of before two rotations would know none of the
 * keys that its peers still honour, and its operator would have to join it anew under a new id. */
void sim_key_rotate(struct sim_node *n)
{
    const struct sim_world *w = n->world;
    unsigned most = w->plan.every_ns[SIM_FAULT_RESTORE] != 0 ? 1 : 3;
    if (n->state != SIM_UP || n->rotations >= most || w->keys_used == SIM_KEYS_MAX)
        return;
    parley_err err = pl_node_rotate(n->node, 0, sim_now(n));
    sim_note(n->world, n->index, (uint64_t)err, "n%u: rotates its key: %s", n->index,
             parley_err_name(err));
    sim_drain(n);
}

void sim_key_wanted(struct sim_node *n)
{
    n->rotations++;
    sim_push(n->world, n->world->now + sim_within(n->world, PARLEY_NS_PER_S), SIM_KEY, n->index,
             n->epoch);
}

void sim_key_made(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct pl_identity *identity = NULL;
    parley_err err = PARLEY_ENOMEM;
    uint8_t number = (uint8_t)w->keys_used;
    if (w->keys_used < SIM_KEYS_MAX)
        err = pl_identity_import(&n->env, pl_span_text(sim_key_pem(number)), &identity, NULL);
    if (err == PARLEY_OK) {
        w->keys_used++;
        n->keys_given |= 1u << number;
    }
    sim_note(w, n->index, number, "n%u: key %u is made: %s", n->index, number,
             parley_err_name(err));
    pl_node_key_made(n->node, identity, pl_span_of(&number, 1), err, sim_now(n));
    sim_drain(n);
}
