/* SPDX-License-Identifier: Apache-2.0
 *
 * Floors within a session: which versions are too old to be sent, to be taken, or to be kept; see
 * floor.h. Judging happens where a STATE is taken; the owner carries out what follows.
 */
#include "sync/round_int.h"

static parley_err read_floor(struct pl_round *round, size_t grant, const struct pl_round_view *view)
{
    struct parley_namespace_info info;
    struct parley_span name = pl_span_text(round->peer->grants[grant].name_space);
    bool found = false;
    PL_TRY(parley_read_namespace_named(view->read, name, &info, &found));
    round->floors[grant].ours = found ? info.floor : 0;
    round->floors[grant].guard = pl_max_u64(round->floors[grant].guard, round->floors[grant].ours);
    round->peer->shares[grant].cut = pl_round_cut(round, grant);
    return PARLEY_OK;
}

parley_err pl_round_load_floors(struct pl_round *round, const struct pl_round_view *view)
{
    for (size_t i = 0; i < round->peer->grant_count; i++)
        PL_TRY(read_floor(round, i, view));
    return PARLEY_OK;
}

uint64_t pl_round_cut(const struct pl_round *round, size_t grant)
{
    return pl_max_u64(round->floors[grant].ours, round->floors[grant].theirs);
}

/* Whether the namespace of a grant was ever the same here and on some peer. */
static parley_err was_synced(struct pl_round *round, size_t grant, const struct pl_round_view *view,
                             bool *ever)
{
    uint8_t key[PL_SYNCED_KEY_BYTES_MAX];
    struct parley_span name = pl_span_text(round->peer->grants[grant].name_space);
    struct parley_span value;
    return parley_read_sys(view->read, pl_synced_key(name, key), &value, ever);
}

static parley_err judge(struct pl_round *round, size_t grant, const struct pl_round_view *view)
{
    const struct pl_peer *peer = round->peer;
    struct pl_round_floor *floor = &round->floors[grant];
    bool same_life = memcmp(peer->synced_life.bytes, view->state->incarnation.bytes,
                            PARLEY_INCARNATION_BYTES) == 0;
    struct pl_floor_facts facts = { .ours = floor->ours,
                                    .theirs = floor->theirs,
                                    .their_clean = floor->clean,
                                    .may_write = peer->grants[grant].may_write,
                                    .synced_at = same_life ? peer->synced_at[grant] : 0,
                                    .counted_at = floor->counted,
                                    .now = view->now.wall,
                                    .grace_us = round->grace_us };
    if (facts.theirs > facts.ours)
        PL_TRY(was_synced(round, grant, view, &facts.synced_ever));
    floor->relation = pl_floor_judge(&facts);
    return PARLEY_OK;
}

parley_err pl_round_note_floor(struct pl_round *round, size_t grant,
                               const struct pl_state_space *said, const struct pl_round_view *view)
{
    struct pl_round_floor *floor = &round->floors[grant];
    PL_TRY(read_floor(round, grant, view));
    if (said == NULL)
        return PARLEY_OK;
    floor->theirs = said->floor;
    floor->clean = said->clean;
    floor->counted = said->counted > INT64_MAX ? 0 : (parley_wall)said->counted;
    floor->their_cut = said->cut;
    round->peer->shares[grant].cut = pl_round_cut(round, grant);
    round->state_due = round->state_due || pl_round_cut(round, grant) != floor->stated_cut;
    return judge(round, grant, view);
}

void pl_round_set_floor(struct pl_round *round, size_t grant, uint64_t ours, uint64_t guard)
{
    struct pl_round_floor *floor = &round->floors[grant];
    floor->ours = ours;
    floor->guard = guard;
    round->peer->shares[grant].cut = pl_round_cut(round, grant);
    if (floor->theirs <= ours)
        floor->relation = PL_FLOOR_EVEN;
    round->state_due = round->state_due || pl_round_cut(round, grant) != floor->stated_cut;
}

/* ---- What is too old ---- */

static bool find_grant(const struct pl_round *round, struct parley_span name_space, size_t *index)
{
    const struct pl_grant *grant = pl_peer_granted(round->peer, name_space);
    if (grant != NULL)
        *index = (size_t)(grant - round->peer->grants);
    return grant != NULL;
}

bool pl_round_passes_over_time(const struct pl_round *round, struct parley_span name_space,
                               uint64_t time)
{
    size_t i = 0;
    return find_grant(round, name_space, &i) &&
           pl_floor_passes_over_time(time, round->floors[i].guard, round->floors[i].their_cut);
}

bool pl_round_passes_over(const struct pl_round *round, const struct parley_version *version)
{
    size_t i = 0;
    return find_grant(round, version->name_space, &i) &&
           pl_floor_passes_over(version, round->floors[i].guard, round->floors[i].their_cut);
}

/* G7: a purge is for everybody. */
static bool withholds(const struct pl_round *round, size_t grant,
                      const struct parley_version *version)
{
    const struct pl_round_floor *floor = &round->floors[grant];
    return floor->relation == PL_FLOOR_STALE && version->time <= floor->theirs &&
           version->kind != PARLEY_KIND_PURGE;
}

bool pl_round_withholds(const struct pl_round *round, const struct parley_version *version)
{
    size_t i = 0;
    return find_grant(round, version->name_space, &i) && withholds(round, i, version);
}

bool pl_round_is_stale(const struct pl_round *round)
{
    for (size_t i = 0; i < round->peer->grant_count; i++) {
        if (round->floors[i].relation == PL_FLOOR_STALE)
            return true;
    }
    return false;
}

enum pl_round_fate pl_round_fate_of(struct pl_round *round, const struct parley_change *change,
                                    bool compared)
{
    struct pl_round_rebase *rebase = &round->rebase;
    size_t i = 0;
    if (!find_grant(round, change->version.name_space, &i) ||
        !withholds(round, i, &change->version))
        return PL_FATE_SEND;
    bool rebases = compared && rebase->phase == PL_REBASE_RUNNING && rebase->grant == i;
    /* What came after it began is new here, whatever its time. */
    if (!rebases || change->version.time > rebase->floor || change->seq > rebase->head)
        return PL_FATE_SKIP;
    if (rebase->trash_count == PL_REBASE_TRASH_MAX)
        return PL_FATE_WAIT;
    rebase->trash[rebase->trash_count++] = change->seq;
    return PL_FATE_TRASH;
}

/* ---- Rebase ---- */

void pl_round_rebase(struct pl_round *round, size_t grant, uint64_t floor, parley_seq head)
{
    PL_ASSERT(round->rebase.phase == PL_REBASE_NONE);
    round->rebase = (struct pl_round_rebase){
        .phase = PL_REBASE_WANTED, .grant = grant, .floor = floor, .head = head
    };
    round->reply.rebases = false;
    round->state_due = true;
}

void pl_round_rebase_begins(struct pl_round *round)
{
    if (round->rebase.phase != PL_REBASE_WANTED)
        return;
    round->rebase.phase = PL_REBASE_RUNNING;
    round->rebase.compared = false;
}

void pl_round_rebase_compares(struct pl_round *round, struct parley_span name_space)
{
    struct pl_round_rebase *rebase = &round->rebase;
    if (rebase->phase == PL_REBASE_RUNNING &&
        pl_span_is(name_space, round->peer->grants[rebase->grant].name_space))
        rebase->compared = true;
}

void pl_round_rebase_ends(struct pl_round *round)
{
    struct pl_round_rebase *rebase = &round->rebase;
    if (rebase->phase == PL_REBASE_RUNNING)
        rebase->phase = rebase->compared ? PL_REBASE_COMPARED : PL_REBASE_WANTED;
}
