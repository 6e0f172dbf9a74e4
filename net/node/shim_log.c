/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /log-level: how much the host logs. The node only keeps the level; the host takes it
 * over when it gets the event LOG_LEVEL.
 */
#include "node/shim.h"

static const char *level_name(enum pl_log_level level)
{
    switch (level) {
    case PL_LOG_NONE:
        break;
    case PL_LOG_ERROR:
        return "error";
    case PL_LOG_WARN:
        return "warn";
    case PL_LOG_INFO:
        return "info";
    case PL_LOG_DEBUG:
        return "debug";
    }
    return "none";
}

static enum pl_log_level level_of(struct parley_span text)
{
    for (enum pl_log_level level = PL_LOG_ERROR; level <= PL_LOG_DEBUG; level++)
        if (pl_span_is(text, level_name(level)))
            return level;
    return PL_LOG_NONE;
}

/* False: answered. An embedder may have no log, and the command line has none. */
static bool has_log(struct pl_node *node, struct pl_request *request)
{
    if (node->log_level != PL_LOG_NONE)
        return true;
    pl_shim_problem(request, 404, "no-log", "who runs this node keeps no log; parleyd does");
    return false;
}

static enum pl_shim_step answer(const struct pl_node *node, struct pl_request *request)
{
    pl_shim_reply(request, 200);
    pl_out_text(&request->out, "{");
    pl_out_field_text(&request->out, "level", level_name(node->log_level));
    pl_out_text(&request->out, "}");
    return PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_get_log_level(struct pl_node *node, struct pl_request *request)
{
    return has_log(node, request) ? answer(node, request) : PL_SHIM_DONE;
}

enum pl_shim_step pl_shim_post_log_level(struct pl_node *node, struct pl_request *request)
{
    struct pl_shim_field fields[] = { { .name = "level", .required = true, .max = 16 } };
    if (!pl_shim_body_fields(node, request, fields, PL_ARRAY_LEN(fields)) ||
        !has_log(node, request))
        return PL_SHIM_DONE;
    enum pl_log_level level = level_of(fields[0].text);
    if (level == PL_LOG_NONE) {
        pl_shim_problem_field(request, 400, "bad-level", "level",
                              "must be error, warn, info or debug");
        return PL_SHIM_DONE;
    }
    node->log_level = level;
    pl_node_trace(node, PARLEY_TRACE_LOG_LEVEL_EVENT, "", level_name(level), 0);
    return answer(node, request);
}
