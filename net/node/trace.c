/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling an event from the table of parley/trace.h.
 */
#include "node/node_int.h"

static struct parley_trace describe(enum parley_trace_kind kind)
{
    switch (kind) {
#define DESCRIBE_CASE(number, id, severity, text)                                                  \
    case PARLEY_TRACE_##id##_EVENT:                                                                \
        return (                                                                                   \
            struct parley_trace){ .kind = kind, .level = PARLEY_TRACE_##severity, .name = text };
        PARLEY_TRACE_TABLE(DESCRIBE_CASE)
#undef DESCRIBE_CASE
    }
    return (struct parley_trace){ .kind = kind, .level = PARLEY_TRACE_ERROR, .name = "unknown" };
}

void pl_node_trace(const struct pl_node *node, enum parley_trace_kind kind, const char *peer,
                   const char *note, uint64_t count)
{
    if (node->env->trace == NULL)
        return;
    struct parley_trace event = describe(kind);
    event.peer = pl_span_text(peer);
    event.note = pl_span_text(note);
    event.count = count;
    node->env->trace(node->env->ud, &event);
}
