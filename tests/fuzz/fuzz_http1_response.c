/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes a whole answer to a call of ours: head, framing, body, end. The first input byte chooses
 * how the rest is cut. Checked: cuts change neither the verdict nor the content, what is kept is
 * bounded, and a call that is finished takes nothing more.
 */
#include <stdlib.h>

#include "node/legacy_call.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct pl_legacy_call *call, struct parley_span in, size_t step)
{
    for (size_t at = 0; at < in.len;) {
        size_t room = 0;
        uint8_t *to = pl_legacy_call_recv_buf(call, &room);
        if (to == NULL)
            break;
        size_t part = pl_min_size(pl_min_size(room, step), in.len - at);
        CHECK(part > 0);
        memcpy(to, in.ptr + at, part);
        pl_legacy_call_recv_ack(call, part);
        CHECK(call->content.len <= PL_LEGACY_ANSWER_BYTES_MAX);
        at += part;
    }
    pl_legacy_call_recv_end(call);
    CHECK(pl_legacy_call_is_finished(call));
    CHECK(call->state != PL_LEGACY_CALL_FAILED || call->why != NULL);
}

static struct pl_legacy_call *run(const struct parley_env *env, size_t *account,
                                  struct parley_span in, size_t step)
{
    struct pl_legacy_call *call = calloc(1, sizeof *call);
    pl_legacy_call_init(call, env, account);
    pl_legacy_call_head(call, false, "/identity", "127.0.0.1:1");
    pl_legacy_call_connected(call, 1);
    feed(call, in, step);
    return call;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_env env;
    size_t account = 0;
    if (size == 0)
        return 0;
    parley_env_posix(&env);
    struct parley_span in = pl_span_of(data + 1, size - 1);
    struct pl_legacy_call *whole = run(&env, &account, in, SIZE_MAX);
    struct pl_legacy_call *split = run(&env, &account, in, 1 + data[0] % 64);
    CHECK(whole->state == split->state);
    if (whole->state == PL_LEGACY_CALL_DONE) {
        CHECK(whole->answer.status >= 200 && whole->answer.status <= 599);
        CHECK(pl_span_equal(pl_out_span(&whole->content), pl_out_span(&split->content)));
    }
    pl_legacy_call_deinit(whole);
    pl_legacy_call_deinit(split);
    free(whole);
    free(split);
    CHECK(account == 0);
    return 0;
}
