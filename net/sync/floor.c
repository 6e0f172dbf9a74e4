/* SPDX-License-Identifier: Apache-2.0
 *
 * Floors; see floor.h.
 */
#include "sync/floor.h"

/* That both were the same then: nothing was collected since that this node did not have. */
static bool proves(const struct pl_floor_facts *f, parley_wall at)
{
    /* A time of the future was written by a clock that was wrong: it proves nothing. */
    bool known = at > 0 && at <= f->now;
    /* Of a deletion of the very microsecond of that STATE nobody knows which was first. */
    return known && (uint64_t)at > f->theirs && (uint64_t)at >= f->their_clean;
}

enum pl_floor_relation pl_floor_judge(const struct pl_floor_facts *f)
{
    if (f->theirs <= f->ours || !f->may_write)
        return PL_FLOOR_EVEN;
    int64_t newest = f->now - f->grace_us / PL_FLOOR_AGE_PART;
    if (newest < 0 || f->theirs > (uint64_t)newest)
        return PL_FLOOR_TOO_NEW;
    if (!f->synced_ever)
        return PL_FLOOR_FOLLOW;
    bool since = proves(f, f->synced_at) && proves(f, f->counted_at);
    return since ? PL_FLOOR_FOLLOW : PL_FLOOR_STALE;
}

bool pl_floor_passes_over(const struct parley_version *version, uint64_t guard, uint64_t heard)
{
    bool exempt =
        (version->flags & PARLEY_FLAG_TOMBSTONE) != 0 || version->kind == PARLEY_KIND_PURGE;
    return !exempt && pl_floor_passes_over_time(version->time, guard, heard);
}

bool pl_floor_counts(const struct pl_peer *peer, size_t grant, parley_wall now, int64_t grace_us)
{
    parley_wall oldest = now - grace_us - grace_us / PL_FLOOR_SLACK_PART;
    bool admitted = peer->state == PL_PEER_ACTIVE || peer->state == PL_PEER_JOINING;
    return admitted && (peer->synced_at[grant] >= oldest || peer->last_sync_at >= oldest ||
                        peer->admitted_at >= oldest);
}

parley_seq pl_floor_acked(const struct pl_peer *peer)
{
    return peer->stated ? peer->acked : peer->acked_stored;
}

struct parley_span pl_synced_key(struct parley_span name_space,
                                 uint8_t out[PL_SYNCED_KEY_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, PL_SYNCED_KEY_BYTES_MAX);
    pl_write_text(&w, PL_SYNCED_PREFIX);
    pl_write_span(&w, name_space);
    PL_ASSERT(w.err == PARLEY_OK);
    return pl_writer_span(&w);
}
