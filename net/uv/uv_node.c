/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "uv/uv_int.h"

#include <stdio.h>
#include <stdlib.h>

void pl_uv_note(struct pl_uv *uv, struct pl_uv_note note)
{
    if (uv->options.note != NULL)
        uv->options.note(uv->options.ud, &note);
}

/* ---- Time ---- */

static void on_prepare(uv_prepare_t *prepare)
{
    struct pl_uv *uv = prepare->data;
    uv->time_is_stale = true;
}

struct parley_now pl_uv_turn(struct pl_uv *uv)
{
    if (uv->time_is_stale)
        uv->now = pl_uv_now();
    uv->time_is_stale = false;
    return uv->now;
}

static parley_time next_deadline(const struct pl_uv *uv)
{
    parley_time at = PARLEY_TIME_NEVER;
    if (uv->started && !uv->stopped)
        at = pl_node_deadline(uv->node);
    if (uv->stopping)
        at = pl_min_u64(at, uv->stop_deadline);
    for (size_t i = 0, seen = 0; i < PL_UV_SLOTS_MAX && seen < uv->timed; i++) {
        const struct pl_uv_slot *slot = &uv->slots[i];
        if (slot->deadline == PARLEY_TIME_NEVER)
            continue;
        seen++;
        at = pl_min_u64(at, slot->deadline);
        if (slot->state == PL_UV_CONNECTING)
            at = pl_min_u64(at, slot->attempt_deadline);
    }
    return at;
}

static void on_timer(uv_timer_t *timer);

/* Never sooner than a millisecond: a deadline that stays in the past must not spin the loop. */
static void set_timer(struct pl_uv *uv, bool more)
{
    parley_time at = more ? 0 : next_deadline(uv);
    if (at == uv->timer_at && at != 0 && uv_is_active((uv_handle_t *)&uv->timer))
        return;
    uv->timer_at = at;
    if (at == PARLEY_TIME_NEVER) {
        uv_timer_stop(&uv->timer);
        return;
    }
    uint64_t wait_ms = 1;
    if (at > uv->now.mono)
        wait_ms = (at - uv->now.mono) / PARLEY_NS_PER_MS + 1;
    if (uv_timer_start(&uv->timer, on_timer, more ? 0 : wait_ms, 0) != 0)
        parley_panic(__FILE__, __LINE__, "the timer cannot be set");
}

static void expire_slots(struct pl_uv *uv, parley_time now)
{
    for (size_t i = 0; i < PL_UV_SLOTS_MAX && uv->timed != 0; i++) {
        if (uv->slots[i].deadline != PARLEY_TIME_NEVER)
            pl_uv_conn_expire(&uv->slots[i], now);
    }
}

/* From here on only a commit in flight is waited for: its outcome decides what is on disk. */
static void force_stop(struct pl_uv *uv)
{
    if (uv->used != 0)
        pl_uv_note(uv, (struct pl_uv_note){ .kind = PL_UV_NOTE_STOP_FORCED });
    for (size_t i = 0; i < PL_UV_SLOTS_MAX; i++)
        pl_uv_conn_close(&uv->slots[i]);
    uv->stop_deadline = PARLEY_TIME_NEVER;
}

static void on_timer(uv_timer_t *timer)
{
    struct pl_uv *uv = timer->data;
    struct parley_now now = pl_uv_turn(uv);
    uv->timer_at = PARLEY_TIME_NEVER;
    expire_slots(uv, now.mono);
    if (uv->stopping && now.mono >= uv->stop_deadline)
        force_stop(uv);
    if (now.mono >= pl_node_deadline(uv->node))
        pl_node_tick(uv->node, now);
    pl_uv_pump(uv);
}

/* ---- Effects ---- */

static void carry_out(struct pl_uv *uv, const struct pl_effect *effect)
{
    struct pl_uv_slot *slot = pl_uv_slot_find(uv, effect->conn);
    switch (effect->kind) {
    case PL_EFFECT_DIAL:
        pl_uv_dial(uv, effect->conn, effect->address);
        return;
    case PL_EFFECT_CLOSE:
        if (slot != NULL)
            pl_uv_conn_close_gently(slot);
        return;
    case PL_EFFECT_WRITE:
        if (slot != NULL)
            pl_uv_conn_write(slot);
        return;
    case PL_EFFECT_READ:
        if (slot != NULL)
            pl_uv_conn_read(slot);
        return;
    case PL_EFFECT_COMMIT:
        pl_uv_store_commit(&uv->store, effect->writes, effect->count);
        return;
    case PL_EFFECT_MAINTAIN:
        pl_uv_store_maintain(&uv->store);
        return;
    case PL_EFFECT_NEW_KEY:
        pl_uv_key_make(uv, effect->bits);
        return;
    }
}

/* The handles go back to libuv; `stopped` may end the loop, so it comes last. */
static void finish_stop(struct pl_uv *uv)
{
    PL_ASSERT(!uv->stopped);
    uv->stopped = true;
    pl_uv_store_close(&uv->store);
    uv_close((uv_handle_t *)&uv->timer, NULL);
    uv_close((uv_handle_t *)&uv->prepare, NULL);
    if (uv->options.stopped != NULL)
        uv->options.stopped(uv->options.ud);
}

void pl_uv_pump(struct pl_uv *uv)
{
    if (!uv->started || uv->stopped)
        return;
    PL_ASSERT(!uv->pumping);
    uv->pumping = true;
    struct pl_effect effect;
    bool more = false;
    for (size_t i = 0; !more && pl_node_take_effect(uv->node, &effect); i++) {
        carry_out(uv, &effect);
        more = i + 1 == PL_UV_EFFECTS_PER_PUMP;
    }
    uv->pumping = false;
    if (uv->stopping && !more && uv->used == 0 && pl_uv_store_is_idle(&uv->store) &&
        !uv->key.busy && (pl_node_is_stopped(uv->node) || uv->stop_deadline == PARLEY_TIME_NEVER)) {
        finish_stop(uv);
        return;
    }
    set_timer(uv, more);
}

static void on_store_done(void *ud, const struct pl_uv_store_result *result)
{
    struct pl_uv *uv = ud;
    struct parley_now now = pl_uv_turn(uv);
    if (result->maintained && result->maintain_err != PARLEY_OK &&
        result->maintain_err != PARLEY_EBUSY)
        pl_uv_note(uv, (struct pl_uv_note){ .kind = PL_UV_NOTE_MAINTAIN_FAILED,
                                            .err = result->maintain_err });
    if (result->maintained)
        pl_node_scrubbed(uv->node, &result->scrub);
    if (result->committed && result->err != PARLEY_OK)
        pl_uv_note(uv, (struct pl_uv_note){ .kind = PL_UV_NOTE_COMMIT_FAILED, .err = result->err });
    if (result->committed && result->err == PARLEY_EIO)
        pl_uv_note(uv, (struct pl_uv_note){ .kind = result->recovered ? PL_UV_NOTE_RECOVERED
                                                                      : PL_UV_NOTE_RECOVER_FAILED,
                                            .err = result->recover_err });
    if (result->committed)
        pl_node_committed(uv->node, result->err, result->recovered, result->changed, now);
    pl_uv_pump(uv);
}

/* ---- Life ---- */

static void warm_up(uv_work_t *work)
{
    (void)work;
}

static void warmed_up(uv_work_t *work, int status)
{
    (void)status;
    free(work);
}

/* The pool of libuv's name look-ups starts at its first use and aborts when it cannot; let that
 * happen now, not in the middle of the night. The request belongs to the loop, not to the driver: a
 * busy machine may get round to it only after a short-lived driver was freed. */
static parley_err start_pool(uv_loop_t *loop)
{
    uv_work_t *work = calloc(1, sizeof *work);
    if (work == NULL)
        return PARLEY_ENOMEM;
    if (uv_queue_work(loop, work, warm_up, warmed_up) == 0)
        return PARLEY_OK;
    free(work);
    return PARLEY_ENOMEM;
}

static parley_err open_watchers(struct pl_uv *uv)
{
    if (uv_timer_init(uv->loop, &uv->timer) != 0 || uv_prepare_init(uv->loop, &uv->prepare) != 0)
        return PARLEY_ENOMEM;
    uv->timer.data = uv;
    uv->prepare.data = uv;
    if (uv_prepare_start(&uv->prepare, on_prepare) != 0)
        return PARLEY_ENOMEM;
    PL_TRY(start_pool(uv->loop));
    /* It only marks the time as old; alone it must not keep the loop alive. */
    uv_unref((uv_handle_t *)&uv->prepare);
    return PARLEY_OK;
}

static void init_slots(struct pl_uv *uv)
{
    for (size_t i = 0; i < PL_UV_SLOTS_MAX; i++) {
        uv->slots[i].uv = uv;
        uv->slots[i].deadline = PARLEY_TIME_NEVER;
        uv->free_slots[i] = (uint16_t)(PL_UV_SLOTS_MAX - 1 - i);
    }
    uv->free_count = PL_UV_SLOTS_MAX;
}

parley_err pl_uv_open(struct uv_loop_s *loop, const struct pl_uv_options *options,
                      struct pl_uv **out, struct parley_diag *diag)
{
    struct pl_uv *uv = calloc(1, sizeof *uv);
    parley_err err = PARLEY_ENOMEM;
    if (uv == NULL)
        goto out;
    uv->loop = loop;
    uv->options = *options;
    uv->node = options->node;
    uv->time_is_stale = true;
    uv->timer_at = PARLEY_TIME_NEVER;
    uv->stop_deadline = PARLEY_TIME_NEVER;
    init_slots(uv);
    /* The thread first: nothing of libuv's has to be closed when it fails. */
    err = pl_uv_store_open(&uv->store, loop, options->db, uv, on_store_done);
    if (err != PARLEY_OK)
        goto out;
    err = open_watchers(uv);
    /* Half of them open: not worth a path of its own, the program ends anyway. */
    PL_ASSERT(err == PARLEY_OK);
    *out = uv;
    return PARLEY_OK;
out:
    if (uv != NULL && uv_run(loop, UV_RUN_NOWAIT) == 0)
        free(uv);
    if (diag != NULL)
        snprintf(diag->text, sizeof diag->text, "no memory or no thread for the event loop");
    return err;
}

void pl_uv_start(struct pl_uv *uv)
{
    PL_ASSERT(!uv->started);
    uv->started = true;
    pl_uv_turn(uv);
    pl_uv_listen_resume(uv);
    pl_uv_pump(uv);
}

void pl_uv_wake(struct pl_uv *uv)
{
    pl_uv_turn(uv);
    pl_uv_pump(uv);
}

void pl_uv_stop(struct pl_uv *uv)
{
    if (!uv->started || uv->stopped)
        return;
    struct parley_now now = pl_uv_turn(uv);
    bool again = uv->stopping;
    uv->stopping = true;
    uv->stop_deadline = again ? now.mono : now.mono + PL_UV_STOP_NS;
    if (!again) {
        pl_uv_listen_close(uv);
        pl_node_stop(uv->node, now);
    }
    pl_uv_pump(uv);
}

void pl_uv_free(struct pl_uv *uv)
{
    if (uv == NULL)
        return;
    if (!uv->stopped) {
        PL_ASSERT(!uv->started);
        pl_uv_listen_close(uv);
        uv->options.stopped = NULL;
        finish_stop(uv);
        uv_run(uv->loop, UV_RUN_DEFAULT);
    }
    PL_ASSERT(uv->used == 0);
    /* Look-ups that nobody waits for any more still point here: the last one that ends frees it. */
    uv->freed = true;
    if (uv->lookup_count == 0)
        free(uv);
}
