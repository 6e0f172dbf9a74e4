/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client was told: which operation promises what of which node.
 *
 * A file of lines, fields apart by tabs:
 *   OP VALUE NODE message NAMESPACE CONVERSATION ID   the content has the mark "op=VALUE;" or that
 *                                                     of a later operation, or it is deleted
 *   OP VALUE NODE gone NAMESPACE CONVERSATION         the conversation is deleted
 *   OP VALUE NODE record KEY                          the node has a record of that name
 *   OP VALUE NODE line TEXT                           the ledger has that line
 *   OP VALUE NODE file NAME                           there is such a file, and it is not empty
 * from the moment that the answer to operation OP left. OP and VALUE have no leading zeros; a mark
 * has eight digits.
 */
#ifndef POWER_CLAIMS_H
#define POWER_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIMS_NODE_BYTES 96
#define CLAIMS_TEXT_BYTES 256

enum claim_kind { CLAIM_MESSAGE, CLAIM_GONE, CLAIM_RECORD, CLAIM_LINE, CLAIM_FILE };

/* One thing that may be promised, and how new it must be by now: 0 is not at all. */
struct claim_target {
    enum claim_kind kind;
    char node[CLAIMS_NODE_BYTES];
    char name[3][CLAIMS_TEXT_BYTES];
    uint32_t required;
    uint32_t by; /* the operation that required it */
};

struct claim_promise {
    uint32_t op, value, target;
};

struct claims {
    struct claim_target *targets;
    size_t target_count, target_cap;
    struct claim_promise *promises; /* in order of op */
    size_t promise_count, promise_cap;
    size_t op_count; /* different ones */
    size_t acknowledged;
};

void claims_load(struct claims *c, const char *path);
/* The answer to `op` left. Says whether there was any promise in it. */
bool claims_acknowledge(struct claims *c, uint64_t op);
/* Whether anything is required of the node. */
bool claims_any(const struct claims *c, const char *node);

#endif
