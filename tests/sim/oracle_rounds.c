/* SPDX-License-Identifier: Apache-2.0
 *
 * A store went back in time, was wiped or was copied in a world that was equal and idle: then one
 * session of each pair makes all nodes equal, and its comparison takes at most four round trips.
 * Counted on the wires: sessions by their first STATE, round trips by the time from the first QUERY
 * to the last, in units of the latency both ways. The frame that ends a comparison asks nothing.
 */
#include "sim/oracle.h"

#define TRIPS_MAX 4u
/* A number of up to ten bytes, a tag and one to spare: shorter than any range. */
#define END_BYTES_MAX 12u
/* From the last STATE that opened a session: it, the comparison, what that found, and relays, which
 * gather for 100 ms, along a chain. Nothing stands still meanwhile. */
#define TIME_MAX(w)                                                                                \
    (6 * 2 * (w)->plan.latency_ns + 500 * PARLEY_NS_PER_MS + (w)->plan.nodes * RELAY_NS)
/* What is relayed gathers before it goes on, at each hop of a chain. */
#define RELAY_NS (100 * PARLEY_NS_PER_MS)

void oracle_rounds_begin(struct sim_world *w, const char *after)
{
    if (!w->plan.in_one_session)
        return;
    if (!oracle_converge_roots_equal(w))
        sim_fail(w, "rounds", "the nodes were not equal before %s", after);
    w->rounds = (struct sim_rounds){ .watching = true, .began_at = w->now, .after = after };
}

void oracle_rounds_see(struct sim_link *link, unsigned dir, uint8_t type, uint32_t body_bytes)
{
    struct sim_world *w = link->world;
    struct sim_tap *tap = &link->pipe[dir].tap;
    if (type == PL_MSG_STATE && dir == 0 && tap->stated_at == 0) {
        tap->stated_at = w->now;
        w->rounds.sessions[link->node[0]][link->node[1]]++;
        w->rounds.stated_at = w->now;
        w->rounds.link = link->index;
    }
    if (type != PL_MSG_QUERY || body_bytes <= END_BYTES_MAX)
        return;
    tap->asked_at = tap->asked_at == 0 ? w->now : tap->asked_at;
    unsigned trips = 1 + (unsigned)((w->now - tap->asked_at) / (2 * w->plan.latency_ns));
    w->rounds.trips = trips > w->rounds.trips ? trips : w->rounds.trips;
}

/* Of two sessions that were begun at once, one by a join, one remains. The turns of twins end in
 * the same way; those are counted. */
void oracle_rounds_duplicate(struct sim_link *link)
{
    struct sim_world *w = link->world;
    struct sim_tap *tap = &link->pipe[0].tap;
    bool counted = tap->stated_at != 0 && tap->stated_at >= w->rounds.began_at;
    if (!w->rounds.watching || !counted || tap->is_duplicate || w->plan.has_twin)
        return;
    tap->is_duplicate = true;
    w->rounds.sessions[link->node[0]][link->node[1]]--;
}

/* Two machines with one identity take turns at a peer: one session brings what a twin has, and a
 * second one, after the turn of the other, fetches what that has brought. */
static unsigned sessions_max(const struct sim_world *w)
{
    return w->plan.has_twin ? 2 : 1;
}

static unsigned most_sessions(const struct sim_world *w)
{
    unsigned most = 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        for (unsigned j = 0; j < i; j++) {
            unsigned count = w->rounds.sessions[i][j] + w->rounds.sessions[j][i];
            most = count > most ? count : most;
        }
    }
    return most;
}

void oracle_rounds_look(struct sim_world *w)
{
    if (!w->rounds.watching || !oracle_converge_roots_equal(w))
        return;
    w->rounds.watching = false;
    sim_note(w, w->rounds.trips, 13, "equal again, %u round trips", w->rounds.trips);
    if (most_sessions(w) > sessions_max(w))
        sim_fail(w, "rounds", "%u sessions of a pair until all were equal after %s",
                 most_sessions(w), w->rounds.after);
    /* No session was needed when all that was written meanwhile is private. */
    if (w->rounds.stated_at != 0 && w->now - w->rounds.stated_at > TIME_MAX(w))
        sim_fail(w, "rounds", "a session took %.3f s after %s",
                 (double)(w->now - w->rounds.stated_at) / 1e9, w->rounds.after);
    if (w->rounds.trips > TRIPS_MAX)
        sim_fail(w, "rounds", "%u round trips of comparison after %s", w->rounds.trips,
                 w->rounds.after);
}

void oracle_rounds_end(struct sim_world *w)
{
    if (w->rounds.watching)
        sim_fail(w, "rounds", "not equal in time after %s, with %u sessions of a pair",
                 w->rounds.after, most_sessions(w));
}
