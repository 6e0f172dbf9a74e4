/* SPDX-License-Identifier: Apache-2.0
 *
 * The answering side of a reconciliation; see reply.h.
 */
#include "sync/reply.h"

#include "sync/range.h"
#include "sync/round_int.h"
#include "sync/sender.h"
#include "sync/share.h"

/* Allocated while a dry comparison runs: what is counted for the frame at hand. */
struct pl_dry_reply {
    struct pl_tally tally;
    uint64_t keys[PL_TALLY_KEYS_MAX];
};

/* What the peer may do in the namespace of the items at hand. */
struct rights {
    struct pl_scope scope;
    bool shared;
    bool may_write; /* it may, so we want what it has */
    bool takes;     /* it takes versions, so we send what it lacks */
};

/* Never more than our grant allows, whatever the peer asks for: its prefix must be the one that
 * both hold; of two ages the younger counts, since one side's day may have begun before. */
static parley_err rights_of(const struct pl_sender *sender, const struct pl_query_item *item,
                            struct rights *out)
{
    struct pl_peer *peer = sender->round->peer;
    *out = (struct rights){ .shared = false };
    for (size_t i = 0; i < peer->grant_count; i++) {
        if (!pl_span_is(item->name_space, peer->grants[i].name_space))
            continue;
        bool ready = false;
        out->scope = pl_share_scope(peer, i, sender->view->now.wall);
        PL_TRY(pl_share_is_ready(sender->view->read, &out->scope, &ready));
        out->shared = ready && peer->shares[i].state == PL_SHARE_OPEN &&
                      pl_span_equal(item->prefix, out->scope.prefix);
        out->scope.since = pl_max_u64(out->scope.since, item->since);
        out->scope.cut = item->cut;
        out->may_write = out->shared && peer->grants[i].may_write;
        out->takes = out->shared && item->takes;
    }
    return PARLEY_OK;
}

/* ---- The answer ---- */

static enum pl_query_verdict verdict_of(const struct pl_reply *reply, const struct rights *rights,
                                        const struct parley_root *ours, uint64_t their_count,
                                        uint64_t their_print)
{
    bool equal = ours->count == their_count && pl_query_print(&reply->salt, ours) == their_print;
    if (equal || !rights->shared || (!rights->may_write && !rights->takes))
        return PL_QUERY_DONE;
    if (ours->count == 0)
        return rights->may_write ? PL_QUERY_TAKES_ALL : PL_QUERY_DONE;
    if (their_count == 0)
        return PL_QUERY_DONE; /* it gets all of ours */
    return PL_QUERY_DIFFERS;
}

static parley_err answer_split(const struct pl_reply *reply, const struct rights *rights,
                               struct parley_read *read, const struct pl_query_item *item,
                               struct pl_bit_writer *bits)
{
    struct pl_range_sums sums;
    if (rights->shared)
        PL_TRY(pl_range_sums_begin(read, &rights->scope, &item->bounds[0], &sums));
    for (uint32_t i = 0; i < item->count; i++) {
        struct parley_root ours = { 0 };
        if (rights->shared)
            PL_TRY(pl_range_sums_next(&sums, &item->bounds[i + 1], &ours));
        pl_bits_write(bits, verdict_of(reply, rights, &ours, item->counts[i], item->prints[i]), 2);
    }
    return PARLEY_OK;
}

/* Which key of the leaf is this element's; item->count: none. */
static uint32_t find_key(const struct pl_reply *reply, const struct pl_query_item *item,
                         const struct parley_element *element)
{
    uint64_t time = pl_point_time(&element->point);
    uint64_t key = pl_query_key(&reply->salt, pl_point_digest(&element->point));
    uint32_t low = 0;
    uint32_t high = item->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (item->times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < item->count && item->times[low] == time; low++) {
        if (item->keys[low] == key)
            return low;
    }
    return item->count;
}

/* The keys that no element of ours has. */
static parley_err answer_leaf(const struct pl_reply *reply, const struct rights *rights,
                              struct parley_read *read, const struct pl_query_item *item,
                              struct pl_bit_writer *bits)
{
    struct pl_range_walk walk;
    bool known[PL_QUERY_KEYS_MAX] = { false };
    bool found = rights->may_write && item->count != 0;
    if (found)
        PL_TRY(pl_range_begin(read, &rights->scope, &item->bounds[0], &walk));
    while (found) {
        struct parley_element element;
        PL_TRY(pl_range_next(&walk, &item->bounds[1], &element, &found));
        uint32_t i = found ? find_key(reply, item, &element) : item->count;
        if (i < item->count)
            known[i] = true;
    }
    for (uint32_t i = 0; i < item->count; i++)
        pl_bits_write(bits, rights->may_write && !known[i] ? 1 : 0, 1);
    return PARLEY_OK;
}

static parley_err begin_dry(struct pl_reply *reply, const struct parley_env *env)
{
    if (!reply->running || reply->dry != NULL)
        return PARLEY_EPROTO;
    reply->dry = env->alloc(env->ud, sizeof *reply->dry);
    if (reply->dry == NULL)
        return PARLEY_ENOMEM;
    reply->dry->tally = (struct pl_tally){ .key_max = PL_TALLY_KEYS_MAX, .keys = reply->dry->keys };
    return PARLEY_OK;
}

void pl_reply_deinit(struct pl_reply *reply, const struct parley_env *env)
{
    if (reply->dry != NULL)
        env->release(env->ud, reply->dry, sizeof *reply->dry);
    reply->dry = NULL;
}

static parley_err answer_item(struct pl_reply *reply, struct rights *rights,
                              struct pl_sender *sender, const struct pl_query_item *item,
                              struct pl_bit_writer *bits)
{
    switch (item->kind) {
    case PL_QUERY_BEGIN:
        reply->running = true;
        reply->rebases = sender->round->rebase.phase == PL_REBASE_WANTED;
        memcpy(reply->salt.bytes, item->salt.ptr, sizeof reply->salt.bytes);
        return PARLEY_OK;
    case PL_QUERY_SPACE:
        PL_TRY(rights_of(sender, item, rights));
        if (reply->dry != NULL || !reply->rebases)
            return PARLEY_OK;
        pl_round_rebase_begins(sender->round);
        pl_round_rebase_compares(sender->round, item->name_space);
        return PARLEY_OK;
    case PL_QUERY_SPLIT:
        return answer_split(reply, rights, sender->view->read, item, bits);
    case PL_QUERY_LEAF:
        return answer_leaf(reply, rights, sender->view->read, item, bits);
    case PL_QUERY_DRY:
        return begin_dry(reply, sender->round->env);
    case PL_QUERY_END:
        reply->ended = reply->running && reply->dry == NULL;
        reply->running = false;
        pl_reply_deinit(reply, sender->round->env);
        return PARLEY_OK;
    case PL_QUERY_HAVE:
        break; /* of an OFFER */
    }
    return PARLEY_EPROTO;
}

static parley_err write_answer(struct pl_reply *reply, struct pl_sender *sender,
                               struct parley_span body, struct pl_writer *w)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_query_walk walk = { 0 };
    struct rights rights = { 0 };
    struct pl_bit_writer bits = { .w = w };
    pl_varint_write(w, pl_varint_read(&r));
    for (bool found = true; found;) {
        struct pl_query_item item;
        PL_TRY(pl_query_read(&r, &walk, &item, &found));
        if (found)
            PL_TRY(answer_item(reply, &rights, sender, &item, &bits));
    }
    pl_bits_flush(&bits);
    return w->err == PARLEY_OK ? PARLEY_OK : PARLEY_EPROTO;
}

/* ---- Versions ---- */

/* Sends what we have from `from` to reply->to and the peer lacks, newest first: in a leaf what no
 * key names. */
static parley_err send_range(struct pl_reply *reply, const struct rights *rights,
                             struct pl_sender *sender, const struct pl_query_item *leaf,
                             const struct pl_bound *from)
{
    struct pl_range_walk walk;
    PL_TRY(pl_range_begin_below(sender->view->read, &rights->scope, &reply->to, &walk));
    for (;;) {
        struct parley_element element;
        bool found = false;
        bool taken = true;
        PL_TRY(pl_range_prev(&walk, from, &element, &found));
        if (!found)
            return PARLEY_OK;
        if (leaf == NULL || find_key(reply, leaf, &element) == leaf->count)
            PL_TRY(pl_sender_add(sender, element.seq, &taken));
        if (!taken) {
            reply->to = pl_bound_above(&element.point);
            return PARLEY_EAGAIN;
        }
    }
}

/* The parts of an item that the peer lacks something of, the newest first; reply->part of them are
 * done. */
static parley_err send_item(struct pl_reply *reply, const struct rights *rights,
                            struct pl_sender *sender, const struct pl_query_item *item)
{
    bool leaf = item->kind == PL_QUERY_LEAF;
    uint32_t parts = leaf ? 1 : item->kind == PL_QUERY_SPLIT ? item->count : 0;
    for (; rights->takes && reply->part < parts; reply->part++) {
        uint32_t at = parts - 1 - reply->part;
        if (!leaf && item->counts[at] != 0)
            continue; /* it asks again, more exactly */
        if (!reply->in_part)
            reply->to = item->bounds[at + 1];
        reply->in_part = true;
        PL_TRY(send_range(reply, rights, sender, leaf ? item : NULL, &item->bounds[at]));
        reply->in_part = false;
    }
    reply->part = 0;
    return PARLEY_OK;
}

static parley_err send_versions(struct pl_reply *reply, struct pl_sender *sender,
                                struct parley_span body)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_query_walk walk = { 0 };
    struct rights rights = { 0 };
    uint32_t index = 0;
    pl_varint_read(&r);
    for (bool found = true; found; index++) {
        struct pl_query_item item;
        PL_TRY(pl_query_read(&r, &walk, &item, &found));
        if (!found)
            break;
        if (item.kind == PL_QUERY_SPACE)
            PL_TRY(rights_of(sender, &item, &rights));
        if (index < reply->item)
            continue;
        PL_TRY(send_item(reply, &rights, sender, &item));
        reply->item = index + 1;
    }
    return PARLEY_OK;
}

/* ---- The whole ---- */

static parley_err send_answer(struct pl_reply *reply, struct pl_sender *sender,
                              struct parley_span body)
{
    struct pl_writer w;
    if (!pl_session_send_begin(sender->session, PL_MSG_ANSWER, PL_ANSWER_BYTES_MAX, &w))
        return PARLEY_EAGAIN;
    parley_err err = write_answer(reply, sender, body, &w);
    pl_session_send_end(sender->session, err == PARLEY_OK ? &w : NULL);
    return err;
}

/* What was counted for a frame, if it is anything. */
static parley_err send_tally(struct pl_session *session, struct pl_tally *tally)
{
    struct pl_writer w;
    if (tally->versions == 0)
        return PARLEY_OK;
    if (!pl_session_send_begin(session, PL_MSG_TALLY, PL_TALLY_BYTES_MAX, &w))
        return PARLEY_EAGAIN;
    pl_tally_write(&w, tally);
    pl_session_send_end(session, &w);
    *tally = (struct pl_tally){ .key_max = tally->key_max, .keys = tally->keys };
    return PARLEY_OK;
}

parley_err pl_reply_serve(struct pl_reply *reply, struct pl_sender *sender, struct parley_span body)
{
    parley_err err = reply->answered ? PARLEY_OK : send_answer(reply, sender, body);
    if (err != PARLEY_OK)
        return err;
    reply->answered = true;
    sender->tally = reply->dry == NULL ? NULL : &reply->dry->tally;
    sender->salt = &reply->salt;
    err = send_versions(reply, sender, body);
    pl_sender_end(sender);
    reply->cut = sender->cut;
    if (err == PARLEY_OK && reply->dry != NULL)
        err = send_tally(sender->session, &reply->dry->tally);
    if (err != PARLEY_EAGAIN) {
        reply->answered = false;
        reply->item = 0;
        reply->part = 0;
        reply->in_part = false;
    }
    return err;
}
