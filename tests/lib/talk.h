/* SPDX-License-Identifier: Apache-2.0
 *
 * A node with peers of every kind and invites of every kind, and a peer that talks with it by hand:
 * its messages are honest unless they are changed before they are said.
 */
#ifndef TALK_H
#define TALK_H

#include "lib/node_client.h"

#include "node/node_int.h"
#include "proto/frame.h"
#include "proto/msg.h"

#define FRAME_MAX (PL_FRAME_HEADER_BYTES + 32768)
#define HOUR_US   (3600 * PARLEY_US_PER_S)

/* Who is known to the node, and the stranger who joins. */
enum who { PEER, OTHER, PENDING, REVOKED, LEGACY, STRANGER, NEXT, WHO_COUNT };

struct rig {
    struct env_mem env;
    struct node_client c;
    struct pl_identity *ids[WHO_COUNT];
    char names[WHO_COUNT][PARLEY_BACKEND_ID_BYTES_MAX + 1];
    uint8_t open[PL_INVITE_SECRET_BYTES]; /* secrets of invites */
    uint8_t old[PL_INVITE_SECRET_BYTES];  /* from before the revocation */
    uint8_t used[PL_INVITE_SECRET_BYTES];
    uint8_t expired[PL_INVITE_SECRET_BYTES];
};

struct bytes {
    uint8_t ptr[FRAME_MAX];
    size_t len;
};

/* One talk. The lies change what follows before it is said. */
struct talk {
    struct rig *rig;
    bool join;
    char id[80];
    struct pl_msg_hello hello;
    uint8_t reveal[PL_REVEAL_BYTES];
    const struct pl_identity *signer;
    char side;           /* in the signed transcript */
    uint8_t tls_key[65]; /* likewise */
    bool signs_own_hello_twice;
    bool shows_the_padded_hash; /* as its signature: good under the exponent 1 */
    bool signs_with_p256;       /* with TEST_KEY_EC */
    uint8_t key[PL_PUBKEY_DER_BYTES_MAX];
    struct pl_msg_proof proof; /* its signature is filled in when it is said, if it is empty */
    uint8_t signature[PL_SIGNATURE_BYTES_MAX + 1];
    uint8_t rotations[3][PL_ROTATION_BYTES_MAX];
    struct pl_msg_join secret;
    const char *steps; /* H, P, J, D: the messages; S, W: STATE, JOINED; 0 to 9: a raw frame */
    struct bytes client_hello, server_hello, frame;
    char edited; /* the step whose frame `edit` changes */
    void (*edit)(struct bytes *frame);
    struct bytes replayed; /* said instead of PROOF if not empty */
};

void rig_open(struct rig *r);
void rig_close(struct rig *r);

/* An honest talk: of PEER, or of STRANGER who joins by the open invite. */
void talk_init(struct talk *t, struct rig *r, bool join);
/* Takes id and key of somebody. */
void talk_be(struct talk *t, enum who who);
/* `id` may be t->id. */
void talk_set_id(struct talk *t, const char *id);
/* Connects; says one step. */
void talk_begin(struct talk *t);
void talk_step(struct talk *t, char step);
/* Connects and says all steps, until the node closes. */
void talk_say(struct talk *t);
/* The code of the BYE that the node ended with; UINT32_MAX: none. */
uint32_t talk_bye(const struct node_client *c);
/* Writes the frame's length into its header. */
void frame_set_length(struct bytes *frame);

#endif
