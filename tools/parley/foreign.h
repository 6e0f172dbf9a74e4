/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations as other programs write them, made into ours: the exports of ChatGPT and Claude,
 * and lists of messages as the interfaces of OpenAI and its likes take them. The same input gives
 * the same ids, times and origins wherever and whenever it is imported, so that two imports, on two
 * nodes, are one. docs/HTTP.md, "Conversation object", is what comes out.
 */
#ifndef PARLEY_FOREIGN_H
#define PARLEY_FOREIGN_H

#include <parley/env.h>

#include <jansson.h>
#include <stdbool.h>

enum foreign_shape {
    FOREIGN_OURS,    /* a conversation object */
    FOREIGN_CHATGPT, /* with "mapping" */
    FOREIGN_CLAUDE,  /* with "chat_messages" */
    FOREIGN_LIST,    /* {"messages": [{"role", "content"}]} without a conversation_id */
    FOREIGN_MESSAGE, /* one message of such a list; all of the file is one conversation */
    FOREIGN_UNKNOWN
};

struct foreign_options {
    bool all_branches; /* of ChatGPT's trees; else the one that was shown last */
    uint64_t time_us;  /* of lists that have none; from 1 */
};

#define FOREIGN_WHY_BYTES    160
#define FOREIGN_MESSAGES_MAX 100000u

/* What happened with one conversation. */
struct foreign_report {
    char why[FOREIGN_WHY_BYTES]; /* it cannot be taken; empty: it was */
    uint64_t left_out;           /* messages of other branches */
};

enum foreign_shape foreign_shape(const json_t *value);
/* The conversation object, the caller's; NULL with report->why. `value` is an object of that
 * shape, for FOREIGN_MESSAGE an array of all messages. */
json_t *foreign_convert(const json_t *value, enum foreign_shape shape,
                        const struct foreign_options *options, struct foreign_report *report);

#endif
