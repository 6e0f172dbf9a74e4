/* SPDX-License-Identifier: Apache-2.0
 *
 * Making an RSA key takes up to seconds, so it is done in libuv's pool. The pool touches the slot
 * between queueing and `key_made`, the loop only outside that span. The driver does not end before.
 */
#define _GNU_SOURCE 1
#include "uv/uv_int.h"

static void make_key(uv_work_t *work)
{
    struct pl_uv *uv = work->data;
    struct pl_uv_key *key = &uv->key;
    key->err = uv->options.make_key(uv->options.ud, key->bits, &key->identity, key->record,
                                    &key->record_len);
}

static void answer(struct pl_uv *uv)
{
    struct pl_uv_key *key = &uv->key;
    key->busy = false;
    pl_node_key_made(uv->node, key->identity, pl_span_of(key->record, key->record_len), key->err,
                     pl_uv_turn(uv));
    key->identity = NULL;
}

static void key_made(uv_work_t *work, int status)
{
    struct pl_uv *uv = work->data;
    if (status != 0)
        uv->key.err = PARLEY_ECLOSING;
    answer(uv);
    pl_uv_pump(uv);
}

void pl_uv_key_make(struct pl_uv *uv, unsigned bits)
{
    struct pl_uv_key *key = &uv->key;
    PL_ASSERT(!key->busy);
    key->busy = true;
    key->bits = bits;
    key->identity = NULL;
    key->record_len = 0;
    key->err = PARLEY_ESTATE;
    key->work.data = uv;
    if (uv->options.make_key == NULL ||
        uv_queue_work(uv->loop, &key->work, make_key, key_made) != 0)
        answer(uv);
}
