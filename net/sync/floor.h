/* SPDX-License-Identifier: Apache-2.0
 *
 * Floors: which tombstones are gone for good, and what follows from that for a peer. Pure; any
 * thread.
 *
 * Each namespace of a node has a floor F and a clean time C, microseconds (STORAGE.md). A version
 * carries its writer's time, which for an import may be any; so a rule over times of versions alone
 * would refuse what is new here and old elsewhere. Instead a node that was away compares before it
 * sends what is old.
 *
 *   G1  A node has no tombstone with a time at or below F; one that comes is nothing. Live versions
 *       are taken whatever their time.
 *   G2  What two nodes compare leaves out tombstones at or below the greater one of their floors,
 *       the cut. A root says under which cut it was made; only roots under the same cut are
 *       compared. A comparison keeps its cut from begin to end.
 *   G3  F rises over a tombstone when it is older than the grace, and every peer that counts has
 *       acknowledged it. A peer counts until it has not been in sync for the grace, and a slack
 *       for clocks that differ. The tombstone is also older, by the grace, than the last time that
 *       the node was in sync with each of these peers: a deletion of before that it has not heard
 *       of by then comes too late for everybody. A node of whose peers more are away than here may
 *       be the one that is away: it collects nothing, so that its floor stays below that of the
 *       others. C then becomes now minus the grace: who was in sync since was waited for.
 *   G4  A node is *fresh* towards a peer with a greater floor if they were in sync after the peer's
 *       F and since its C, by a STATE that the peer wrote since then, and by one of its own that
 *       the peer has taken, which the peer says: who was in sync by what it heard, and was cut off
 *       before the peer heard of it, was not waited for. It had everything that the peer has
 *       collected, and raises its own F as it collects (G3 without the grace). So does one that was
 *       never in sync with anybody: its data is its own. Otherwise it is *stale*: it may
 *       hold what was deleted and collected elsewhere. It then sends the peer nothing at or below
 *       the peer's F, compares, and puts what the peer lacks there into its trash. At the end it
 *       drops its own tombstones there and has F of the peer and C = now, in one step: nobody is
 *       fresh towards it by what was before. What those tombstones have hidden an ordinary
 *       comparison brings.
 *   G5  After a rise of F, and while a rebase is under way, a live version at or below F (or what F
 *       is to be) is passed over when its sender had not heard of that floor when it sent it, and
 *       so had not asked itself whether it is stale: a comparison finds what was passed over.
 *   G6  A floor that a peer says counts only if it is at least half the grace old: nobody pushes it
 *       into the present.
 *   G7  A purge is none of this: whoever has one sends it, whatever its time, and whoever gets one
 *       takes it.
 */
#ifndef PL_FLOOR_H
#define PL_FLOOR_H

#include "sync/peer.h"

/* Unless configured: a laptop in a drawer for a season still finds its deletions. */
#define PL_FLOOR_GRACE_US (INT64_C(90) * 24 * 3600 * PARLEY_US_PER_S)
/* A peer is waited for this part of the grace longer than it counts itself as fresh. */
#define PL_FLOOR_SLACK_PART 8
/* What is stored of being in sync is never older by more than this part of the grace. */
#define PL_FLOOR_STORE_PART 16
_Static_assert(PL_FLOOR_STORE_PART > PL_FLOOR_SLACK_PART,
               "whom a crash makes look as if away is waited for until it is stale");
/* A floor of a peer is this part of the grace old, or does not count. */
#define PL_FLOOR_AGE_PART 2

enum pl_floor_relation {
    PL_FLOOR_EVEN = 0, /* the peer's floor is not above ours */
    PL_FLOOR_FOLLOW,   /* we are fresh: raise ours */
    PL_FLOOR_STALE,    /* we were away: rebase */
    PL_FLOOR_TOO_NEW   /* the peer's floor does not count (G6) */
};

struct pl_floor_facts {
    uint64_t ours;
    uint64_t theirs, their_clean;
    bool may_write;         /* the peer, here: else its floor is no matter of ours */
    parley_wall synced_at;  /* with this peer; 0: never */
    parley_wall counted_at; /* the same, as the peer says */
    bool synced_ever;       /* with anybody, in this namespace */
    parley_wall now;
    int64_t grace_us;
};

enum pl_floor_relation pl_floor_judge(const struct pl_floor_facts *facts);
/* G5 by time alone, of what is known to be live; else as below. */
static inline bool pl_floor_passes_over_time(uint64_t time, uint64_t guard, uint64_t heard)
{
    return time <= guard && heard < guard;
}
/* G5: whether a version is passed over whose sender had heard of the floor `heard` when it sent it;
 * `guard` is ours, or what it is to be. Tombstones and purges are not. */
bool pl_floor_passes_over(const struct parley_version *version, uint64_t guard, uint64_t heard);
/* Whether the peer is waited for before a tombstone of the namespace of this grant goes (G3). */
bool pl_floor_counts(const struct pl_peer *peer, size_t grant, parley_wall now, int64_t grace_us);
/* What it has acknowledged of our log: in this life of the node, else as it was stored. */
parley_seq pl_floor_acked(const struct pl_peer *peer);

/* SYS: there once a namespace was the same here and on some peer. */
#define PL_SYNCED_PREFIX        "synced/"
#define PL_SYNCED_KEY_BYTES_MAX (sizeof PL_SYNCED_PREFIX - 1 + PARLEY_NAMESPACE_BYTES_MAX)
struct parley_span pl_synced_key(struct parley_span name_space,
                                 uint8_t out[PL_SYNCED_KEY_BYTES_MAX]);

#endif
