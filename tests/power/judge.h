/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens the image of a node with the engine and says what is wrong with it.
 *
 * The content of a store is a hash over every row of every table, taken before the engine writes
 * anything. An image must have the content of the last commit or of the one that was under way:
 * who calls says which hashes these are. What a content is worth (its checks, which promises it
 * keeps, whether it has the data that its cursors stand for) is found out once for each and
 * remembered.
 *
 * The place of the store is taken for the one that it was written in: after a power loss the disk
 * is the same.
 */
#ifndef POWER_JUDGE_H
#define POWER_JUDGE_H

#include "power/claims.h"
#include <parley/db.h>

#define JUDGE_TEXT_BYTES 400
#define JUDGE_PEERS_MAX  4

enum judge_kind {
    JUDGE_OK = 0,
    JUDGE_OPEN,    /* the store does not open */
    JUDGE_LOST,    /* something acknowledged is not there */
    JUDGE_CURSOR,  /* a cursor is past data that is not there */
    JUDGE_CHECK,   /* parley_db_check finds problems */
    JUDGE_CONTENT, /* neither the last commit nor the one under way */
    JUDGE_RENEWED, /* the node took its own store for a copy */
    JUDGE_WRITE,   /* writes afterwards fail, or do harm */
    JUDGE_CRASH,   /* the process died, or did not come to an end */
    JUDGE_KINDS
};

extern const char *const judge_names[JUDGE_KINDS];

struct judge_verdict {
    enum judge_kind kind;
    uint64_t content;
    char text[JUDGE_TEXT_BYTES];
};

/* One live version of a node's final change log. */
struct judge_change {
    parley_seq seq;
    struct parley_version version; /* without its body; its spans are the judge's */
    uint8_t digest[PARLEY_DIGEST_BYTES];
};

/* What a node had in the end, for those that have a cursor into its log. */
struct judge_peer {
    struct parley_incarnation incarnation;
    struct judge_change *changes;
    size_t count, cap;
};

struct judge_state;

struct judge {
    struct parley_env env;
    const struct claims *claims;
    struct judge_peer peers[JUDGE_PEERS_MAX];
    size_t peer_count;
    struct judge_state *states;
    size_t state_count, state_cap;
    uint64_t cursors; /* that were compared with a peer's log */
    uint64_t nothing; /* the content of a store that was just made */
    uint64_t content; /* of the store that was opened last */
    bool place_known;
    uint8_t place[16];
};

/* `dir` is empty: a store is made there once. */
void judge_init(struct judge *j, const struct claims *claims, const char *dir);
/* Learns the change log of the store in `dir`, as it was in the end. */
void judge_learn_peer(struct judge *j, const char *dir);

struct judge_ask {
    const char *dir;
    const char *node;
    const uint64_t *allowed; /* contents */
    size_t allowed_count;    /* 0: any */
    bool deep;               /* also write to it, and check it whole then */
};
void judge_image(struct judge *j, const struct judge_ask *ask, struct judge_verdict *out);

#endif
