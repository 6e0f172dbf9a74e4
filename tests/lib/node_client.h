/* SPDX-License-Identifier: Apache-2.0
 *
 * A node in this process and an HTTP client of it: bytes are carried by hand, commits are carried
 * out at once, time stands still unless told. What the node sends is kept until it is looked at.
 */
#ifndef NODE_CLIENT_H
#define NODE_CLIENT_H

#include "lib/env_mem.h"
#include "node/node.h"

#define NODE_CLIENT_ADMIN "0101010101010101010101010101010101010101010101010101010101010101"
#define NODE_CLIENT_WALL  (INT64_C(1700000000) * PARLEY_US_PER_S)

struct node_client {
    struct env_mem *env;
    struct parley_db *db;
    struct pl_node *node;
    struct parley_now now;
    pl_conn conn;
    size_t piece_max;  /* bytes handed over at once */
    bool remote;       /* connects from another machine */
    bool hold_commits; /* leave COMMIT effects waiting in `held` */
    bool has_held;
    struct pl_effect held;
    bool hold_dials; /* leave the last DIAL effect waiting in `dialed`; else nobody listens */
    pl_conn dialed;
    unsigned dials;        /* DIAL effects so far */
    unsigned new_key_bits; /* of a NEW_KEY effect that waits for node_client_key */
    uint64_t commits;      /* COMMIT effects carried out */
    uint64_t changes;      /* those that wrote anything */
    uint8_t *got;          /* received and not taken, NUL-terminated */
    size_t got_len;
    char *body; /* of the last reply */
};

/* One parsed response; lent until the next request. */
struct node_reply {
    unsigned status;
    const char *head;
    const char *body;
    size_t body_len;
};

/* Opens a node over the store `name`; `key` is a PEM private key. */
void node_client_open(struct node_client *c, struct env_mem *env, const char *name, const char *key,
                      bool legacy);
void node_client_close(struct node_client *c);
/* Closes it, and opens a node over the store `name` at the same time. */
void node_client_restart(struct node_client *c, const char *name, const char *key);
/* A fresh connection; the old one is closed. */
void node_client_connect(struct node_client *c);
/* Hands bytes over as far as the node takes them; returns how many. */
size_t node_client_send(struct node_client *c, const void *bytes, size_t len);
/* Carries out effects and moves what the node sends into `got`, until all is quiet. */
void node_client_settle(struct node_client *c);
/* Carries out the commit that was held back. */
void node_client_commit(struct node_client *c);
/* Answers a NEW_KEY effect with this PEM private key, and the record "sealed". */
void node_client_key(struct node_client *c, const char *key);
/* Lets time pass and ticks. */
void node_client_wait(struct node_client *c, parley_time ns);
/* Takes one response off `got`; asserts that a whole one is there. `head_only`: it has no body. */
struct node_reply node_client_take(struct node_client *c, bool head_only);
/* One whole exchange. `token` NULL: none. `body` NULL: none. */
struct node_reply node_client_ask(struct node_client *c, const char *method, const char *target,
                                  const char *token, const char *body);
/* The same as the operator. */
struct node_reply node_client_admin(struct node_client *c, const char *method, const char *target,
                                    const char *body);
/* Asserts status and that the body contains `part` (NULL: anything). */
void node_client_expect(struct node_reply reply, unsigned status, const char *part);

#endif
