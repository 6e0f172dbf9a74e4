/* SPDX-License-Identifier: Apache-2.0
 *
 * What came from one peer and goes on to another. Versions of the log that are relayed gather for a
 * moment, leave as one OFFER of short keys, and follow when the peer wants them; the log goes on
 * meanwhile, but no cursor passes over an offer before it was served.
 *
 *   GATHERING --full or due--> SENT --WANT--> ANSWERED --versions sent--> gone
 */
#include "core/mp_write.h"
#include "sync/range.h"
#include "sync/round_int.h"
#include "sync/sender.h"

/* A number and BEGIN; for each version at worst a SPACE and a HAVE of its own. */
#define OFFER_BYTES_MAX                                                                            \
    (32u + PL_OFFER_ENTRIES_MAX * (PARLEY_NAMESPACE_BYTES_MAX + 17u + PL_QUERY_KEY_BYTES))
_Static_assert(OFFER_BYTES_MAX <= PL_ROUND_FRAME_BYTES, "an offer must fit a frame");

static struct pl_offer *gathering(struct pl_round *round)
{
    struct pl_offer *last = round->offer_count == 0 ? NULL : &round->offers[round->offer_count - 1];
    return last != NULL && last->number == 0 ? last : NULL;
}

bool pl_offer_gather(struct pl_round *round, parley_seq seq, parley_time now)
{
    struct pl_offer *offer = gathering(round);
    if (offer == NULL) {
        if (round->offer_count == PL_ROUND_OFFERS_MAX)
            return false;
        offer = &round->offers[round->offer_count++];
        *offer = (struct pl_offer){ .send_at = now + PL_ROUND_RELAY_NS, .seq_from = seq - 1 };
    }
    if (offer->count == PL_OFFER_ENTRIES_MAX)
        return false;
    offer->seqs[offer->count++] = seq;
    return true;
}

parley_time pl_offer_deadline(const struct pl_round *round)
{
    const struct pl_offer *last =
        round->offer_count == 0 ? NULL : &round->offers[round->offer_count - 1];
    bool gathers = last != NULL && last->number == 0 && last->send_at != 0;
    bool owes = round->announce_due && round->announce_at != 0;
    return pl_min_u64(gathers ? last->send_at : PARLEY_TIME_NEVER,
                      owes ? round->announce_at : PARLEY_TIME_NEVER);
}

/* ---- Sending ---- */

struct writer {
    struct pl_writer w;
    struct pl_query_walk walk;
    struct pl_query_item item; /* HAVE, being filled */
    struct parley_span space;  /* of it */
};

static void end_item(struct writer *o)
{
    struct pl_query_item space = { .kind = PL_QUERY_SPACE, .name_space = o->space, .takes = true };
    if (o->item.count == 0)
        return;
    pl_query_write(&o->w, &o->walk, &space);
    pl_query_write(&o->w, &o->walk, &o->item);
    o->item.count = 0;
}

static void add_key(struct writer *o, const struct pl_round *round,
                    const struct parley_change *change)
{
    if (o->item.count == PL_QUERY_KEYS_MAX || !pl_span_equal(o->space, change->version.name_space))
        end_item(o);
    o->space = change->version.name_space;
    o->item.times[o->item.count] = change->version.time;
    o->item.keys[o->item.count] = pl_query_key(&round->offer_salt, change->digest);
    o->item.count++;
}

/* Names what is still current; what was overwritten meanwhile is later in the log. */
static parley_err write_offer(struct pl_round *round, struct pl_offer *offer,
                              const struct pl_round_view *view, struct pl_writer *w)
{
    struct writer o = { .w = *w, .item.kind = PL_QUERY_HAVE };
    uint32_t kept = 0;
    pl_varint_write(&o.w, round->next_offer);
    if (!round->salt_sent) {
        round->env->entropy(round->env->ud, round->offer_salt.bytes, PL_QUERY_SALT_BYTES);
        struct pl_query_item salt = {
            .kind = PL_QUERY_BEGIN, .salt = pl_span_of(round->offer_salt.bytes, PL_QUERY_SALT_BYTES)
        };
        pl_query_write(&o.w, &o.walk, &salt);
    }
    for (uint32_t i = 0; i < offer->count; i++) {
        struct parley_change change;
        bool found = false;
        PL_TRY(parley_read_change(view->read, offer->seqs[i], &change, &found));
        if (!found || !pl_round_is_for_peer(round, &change, view->now.wall))
            continue;
        offer->seqs[kept++] = offer->seqs[i];
        add_key(&o, round, &change);
    }
    end_item(&o);
    offer->count = kept;
    *w = o.w;
    return PARLEY_OK;
}

static parley_err send_offer(struct pl_round *round, struct pl_offer *offer,
                             struct pl_session *session, const struct pl_round_view *view,
                             bool *sent)
{
    struct pl_writer w;
    if (!pl_session_send_begin(session, PL_MSG_OFFER, OFFER_BYTES_MAX, &w))
        return PARLEY_OK;
    parley_err err = write_offer(round, offer, view, &w);
    bool any = err == PARLEY_OK && offer->count != 0;
    pl_session_send_end(session, any ? &w : NULL);
    if (err != PARLEY_OK)
        return err;
    offer->number = round->next_offer;
    offer->answered = !any; /* nothing to wait for */
    round->next_offer += any ? 1 : 0;
    round->salt_sent = round->salt_sent || any;
    *sent = true;
    return PARLEY_OK;
}

/* Sends what the answer to the oldest offer wants. */
static parley_err serve(struct pl_round *round, struct pl_session *session,
                        const struct pl_round_view *view, bool *sent)
{
    struct pl_sender sender = { .round = round, .session = session, .view = view };
    struct pl_offer *offer = &round->offers[0];
    parley_err err = PARLEY_OK;
    bool taken = true;
    for (; offer->next < offer->count && err == PARLEY_OK && taken;) {
        uint32_t i = offer->next;
        if ((offer->wanted[i / 8] >> (i % 8) & 1) != 0)
            err = pl_sender_add(&sender, offer->seqs[i], &taken);
        offer->next += taken ? 1 : 0;
    }
    pl_sender_end(&sender);
    *sent = taken || round->part_seq != 0;
    if (err != PARLEY_OK || !taken)
        return err;
    round->offer_count--;
    memmove(&round->offers[0], &round->offers[1], round->offer_count * sizeof round->offers[0]);
    if (!round->announce_due)
        round->announce_at = view->now.mono + PL_ROUND_RELAY_NS;
    round->announce_due = true;
    return PARLEY_OK;
}

parley_err pl_offer_step(struct pl_round *round, struct pl_session *session,
                         const struct pl_round_view *view, bool *sent)
{
    struct pl_offer *offer = gathering(round);
    *sent = false;
    if (round->offer_count > 0 && round->offers[0].answered)
        return serve(round, session, view, sent);
    if (offer == NULL)
        return PARLEY_OK;
    if (view->now.mono >= offer->send_at || offer->count == PL_OFFER_ENTRIES_MAX)
        offer->send_at = 0;
    return offer->send_at == 0 ? send_offer(round, offer, session, view, sent) : PARLEY_OK;
}

parley_err pl_round_on_want(struct pl_round *round, struct parley_span body)
{
    struct pl_reader r = pl_reader_over(body);
    uint32_t fields = pl_mp_read_array(&r, 2);
    uint64_t number = pl_mp_read_uint(&r);
    struct parley_span bits = pl_mp_read_bin(&r, (PL_OFFER_ENTRIES_MAX + 7) / 8);
    if (pl_reader_end(&r) != PARLEY_OK || fields != 2)
        return PARLEY_EPROTO;
    for (size_t i = 0; i < round->offer_count; i++) {
        struct pl_offer *offer = &round->offers[i];
        if (offer->number == 0 || offer->number != number)
            continue;
        if (offer->answered || bits.len != (offer->count + 7) / 8)
            return PARLEY_EPROTO;
        memcpy(offer->wanted, bits.ptr, bits.len);
        offer->answered = true;
        return PARLEY_OK;
    }
    return PARLEY_EPROTO;
}

/* ---- Receiving ---- */

static parley_err has_element(struct pl_round *round, const struct pl_round_view *view,
                              const struct pl_scope *scope, uint64_t time, uint64_t key, bool *has)
{
    struct pl_range_walk walk;
    struct pl_bound from = { .time = time };
    struct pl_bound to = time == UINT64_MAX ? PL_BOUND_END : (struct pl_bound){ .time = time + 1 };
    *has = false;
    PL_TRY(pl_range_begin(view->read, scope, &from, &walk));
    for (bool found = true; found && !*has;) {
        struct parley_element element;
        PL_TRY(pl_range_next(&walk, &to, &element, &found));
        *has = found && pl_query_key(&round->their_salt, pl_point_digest(&element.point)) == key;
    }
    return PARLEY_OK;
}

/* Where an offered version is looked for: in no more than the peer may read, so that the answer
 * tells nothing else. *found false: nowhere. */
static parley_err scope_of_offer(const struct pl_round *round, const struct pl_round_view *view,
                                 struct parley_span name_space, struct pl_scope *out, bool *found)
{
    const struct pl_peer *peer = round->peer;
    *found = false;
    for (size_t i = 0; i < peer->grant_count; i++) {
        if (!pl_span_is(name_space, peer->grants[i].name_space))
            continue;
        *out = pl_share_scope(peer, i, view->now.wall);
        return pl_share_is_ready(view->read, out, found);
    }
    return PARLEY_OK;
}

/* What is not here, and may be written by the peer, is wanted. */
static parley_err take_keys(struct pl_round *round, const struct pl_round_view *view,
                            struct parley_span name_space, const struct pl_query_item *item,
                            struct pl_want *answer)
{
    const struct pl_grant *grant = pl_peer_granted(round->peer, name_space);
    struct pl_scope scope = { 0 };
    bool readable = false;
    PL_TRY(scope_of_offer(round, view, name_space, &scope, &readable));
    for (uint32_t i = 0; i < item->count; i++, answer->count++) {
        bool has = false;
        if (answer->count == PL_OFFER_ENTRIES_MAX)
            return PARLEY_EPROTO;
        if (readable)
            PL_TRY(has_element(round, view, &scope, item->times[i], item->keys[i], &has));
        bool may_write = grant != NULL && grant->may_write;
        round->peer->writes_refused += !has && !may_write ? 1 : 0;
        uint8_t *bits = &answer->bits[answer->count / 8];
        if (!has && may_write && !pl_round_passes_over_time(round, name_space, item->times[i]))
            *bits = (uint8_t)(*bits | 1u << (answer->count % 8));
    }
    return PARLEY_OK;
}

parley_err pl_round_on_offer(struct pl_round *round, struct parley_span body,
                             const struct pl_round_view *view)
{
    struct pl_reader r = pl_reader_over(body);
    struct pl_query_walk walk = { 0 };
    struct parley_span space = { 0 };
    if (round->want_count == PL_ROUND_OFFERS_MAX)
        return PARLEY_EPROTO;
    struct pl_want *answer = &round->wants[round->want_count];
    *answer = (struct pl_want){ .number = pl_varint_read(&r) };
    for (bool found = true; found;) {
        struct pl_query_item item;
        PL_TRY(pl_query_read(&r, &walk, &item, &found));
        if (found && item.kind == PL_QUERY_BEGIN) {
            memcpy(round->their_salt.bytes, item.salt.ptr, PL_QUERY_SALT_BYTES);
            round->has_their_salt = true;
        } else if (found && item.kind == PL_QUERY_SPACE) {
            space = item.name_space;
        } else if (found) {
            bool fits = item.kind == PL_QUERY_HAVE && round->has_their_salt && space.len != 0;
            if (!fits)
                return PARLEY_EPROTO;
            PL_TRY(take_keys(round, view, space, &item, answer));
        }
    }
    if (answer->count == 0)
        return PARLEY_EPROTO;
    round->want_count++;
    return PARLEY_OK;
}
