/* SPDX-License-Identifier: Apache-2.0
 *
 * Many conversations in one request, across as many commits as needed: what POST /sync and POST
 * /import share.
 *
 * One conversation after the other is checked whole, then merged version by version. What the store
 * has already is found here, in the snapshot, and never becomes a write: the old clients send
 * everything they have every five seconds, and that must cost no commit.
 *
 * When the batch is full the request waits for its commit, takes the verdicts of its writes, and
 * goes on; so the answer counts only what is durable. A conversation may span commits: its verdicts
 * are summed until the next one begins.
 */
#ifndef PL_IMPORT_H
#define PL_IMPORT_H

#include "node/heard.h"
#include "node/payload.h"
#include "node/shim.h"
#include "node/split.h"

enum pl_import_phase { PL_IMPORT_NEW = 0, PL_IMPORT_RUNNING, PL_IMPORT_COMMITTING };
/* What a source of conversations has found. */
enum pl_import_next {
    PL_IMPORT_OPEN, /* the next one, checked: it can be merged */
    PL_IMPORT_BAD,  /* one with a fault, which was noted */
    PL_IMPORT_END,
    PL_IMPORT_READ,   /* there may be more when there is more of the body */
    PL_IMPORT_REFUSED /* the response is set */
};

struct pl_shim_import {
    bool lines;  /* /import; else the array of /sync */
    bool strict; /* stop at the first bad line */
    bool stopped;
    uint32_t source;
    char origin[PARLEY_ORIGIN_BYTES_MAX];
    size_t origin_len; /* 0: not known yet */
    char sync_id[PARLEY_ID_BYTES_MAX];
    size_t sync_id_len;

    /* What is still to come. */
    parley_err (*next)(struct pl_node *node, struct pl_request *request, enum pl_import_next *out);
    bool has_conversations;
    bool refused; /* the response is set */
    struct pl_split split;
    size_t at;       /* of the body that is here: what comes next */
    uint64_t number; /* of the current line, from 1; of the current element, from 0 */
    struct pl_reader list;
    uint32_t left;

    /* The current conversation. */
    bool active;
    bool has_item; /* taken, but not yet in a batch */
    bool written;  /* at least one of its versions became a write */
    bool exists;   /* in the snapshot */
    struct parley_conversation_info info;
    struct pl_payload payload;
    struct pl_payload_item item;
    bool legacy;           /* of a peer that repeats itself: */
    struct pl_heard heard; /* what it has sent of this conversation's header */
    size_t turn;           /* bytes looked at in this turn */

    /* Verdicts of the conversation whose writes were last in a batch. */
    bool open, open_created, open_changed;
    uint64_t received, created, updated, skipped, versions_new;
    struct pl_out errors;
    uint32_t error_count;
    struct parley_diag last_error;
    uint8_t starts[PL_BATCH_WRITES_MAX]; /* write i of ours is the first of a conversation */
};

/* The work of a request. NULL: the response is set. */
struct pl_shim_import *pl_import_begin(struct pl_node *node, struct pl_request *request);
/* Runs until all is merged and durable. *step DONE: the caller answers.
 * Errors: ENOMEM, store errors. */
PL_MUST_USE parley_err pl_import_run(struct pl_node *node, struct pl_request *request,
                                     enum pl_shim_step *step);

/* For the sources: one conversation as msgpack, or as JSON. Errors: ENOMEM. */
PL_MUST_USE parley_err pl_import_object(struct pl_node *node, struct pl_request *request,
                                        struct parley_span object, enum pl_import_next *out);
PL_MUST_USE parley_err pl_import_json(struct pl_node *node, struct pl_request *request,
                                      struct parley_span json, enum pl_import_next *out);
/* The member "errors" and its like, if there are any. */
void pl_import_write_errors(struct pl_shim_import *work, struct pl_out *out);

#endif
