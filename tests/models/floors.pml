/* SPDX-License-Identifier: Apache-2.0
 *
 * Collecting tombstones: floors, who is waited for, and who was away for too long.
 *
 * Modelled. Two or three nodes that all have the versions A and B in the beginning, and are in
 * sync. A is deleted, then B; with WORKS a version C is written somewhere, with a time of now or,
 * as an import, of the beginning. Time goes on in steps. In a step anything may happen any number
 * of times, and nothing must, so that to be away is to do nothing for some steps. Two nodes meet
 * and compare roots, send what they have in one direction, follow a floor, begin a rebase; a node
 * collects, ends its rebase or gives it up half done, crashes. With LATE one frame at a time, a
 * STATE or versions, may be on its way while other things happen, for up to a step of time;
 * between three nodes only from the third to the second. In the end, which may be at any time, all
 * meet until nothing happens any more.
 *
 * Worlds. PAIR: two nodes, else three. COMPANY: the first one has more peers, of which there is no
 * more here than that they are always there and have what it has, so that it is not outnumbered.
 * ELSEWHERE: a deletion that one of them made a grace ago comes late. AWAY: two nodes are away
 * from the first one, which has company and alone deletes; with APART from the beginning until it
 * has collected. ANSWERED: a STATE that was late is answered in the moment that it comes.
 *
 * Correspondence. judge, take_state: pl_floor_judge of net/sync/floor.c, note_synced of round.c.
 * write_data, take_data: withholds and pl_round_passes_over of round_floor.c, merge.c (M6).
 * COUNTS, find_limit, find_collectable, pass, follow: pl_floor_counts, age_limit, is_outnumbered,
 * pl_collect_find, pass, follow of net/node/collect.c. compare, raise: net/node/rebase.c,
 * pl_round_fate_of. collect: pl_collect_apply of engine/db. stored: store_synced, synced_anew.
 *
 * Properties
 *   DELETED (I11) What was deleted, and its tombstone collected, does not come back to a node
 *           that had that tombstone, or has a floor above it; and in the end it is nowhere.
 *   HEEDED  A tombstone that is younger than the grace counts wherever it comes.
 *   KEPT    (I1) In the end what nobody deleted is everywhere, and what was written while away is
 *           everywhere or in a trash.
 *   AGREE   (I7) In the end all have the same versions, and the same tombstones above the cut.
 *   ENDS    All of that within a bounded number of meetings.
 *
 * Planted, each must be found: BUG_NO_ACK (a tombstone goes that a peer which counts has not
 * acknowledged), BUG_NO_GRACE (it goes whatever its age), BUG_FLOOR_STAYS (it goes and the floor
 * does not rise), BUG_FLOOR_UNSAID (no STATE has it), BUG_AGE_ALONE (its age alone lets it go,
 * however long ago the node was in sync), BUG_ALONE (a node collects while more peers are away
 * than here), BUG_NO_REBASE (whoever returns is fresh), BUG_TIE (so is who was last in sync in the
 * very moment of the deletion), BUG_NO_CLEAN (the clean time is not looked at), BUG_CLEAN_STAYS
 * (nor raised by a rebase), BUG_DATED_BY_RECEIVER (in sync is when a STATE came, not when it was
 * written), BUG_SENT (a stale node sends what is old), BUG_NOT_PASSED_OVER (what was sent in
 * ignorance of a floor is taken), BUG_NO_TRASH, BUG_DROP_FIRST (a rebase drops tombstones before
 * the floor rises), BUG_UNCOUNTED (fresh by what it knows itself, though the peer has not heard of
 * it). With that one only, so each a second defence: BUG_TIE, BUG_DATED_BY_RECEIVER, and
 * BUG_STORED_LATER (a crash forgets that a peer was in sync again after long).
 *
 * Left out: sequences (an equal root says in sync, and all of a log goes at once, so that none is
 * cut in the middle); what a STATE said is acted upon when it comes, and not later; clocks that
 * differ (G6); what arrives between the beginning of a rebase and its comparison; last_sync_at;
 * writes above what was deleted; restored stores, and nodes that join; purges. Time has few steps,
 * of which one is the grace. With SLACK=0, which saves a step, no STATE may be late: what it takes
 * on its way is what the slack is for.
 */
#ifndef TIME_MAX
#define TIME_MAX 5
#endif
#ifndef GRACE
#define GRACE 1
#endif
#ifndef SLACK
#define SLACK 1 /* a peer is waited for longer by this than it counts itself as fresh */
#endif
#ifndef DELETIONS
#define DELETIONS 1
#endif
#ifndef WORKS
#define WORKS 0
#endif
#ifndef LATE
#define LATE 0 /* what may be on its way for longer: 1 a STATE, 2 versions, 3 either */
#endif
#ifndef FIRST_BY
#define FIRST_BY 1 /* the first deletion comes no later */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifdef AWAY
#define COMPANY
#define HOME_DELETES
#endif

#ifdef PAIR
#define NODES 2
#define PAIRS 1
#else
#define NODES 3
#define PAIRS 3
#endif
#define DIRECTIONS (2 * PAIRS)

/* Pairs 0: nodes 0 and 1; 1: 1 and 2; 2: 0 and 2. Direction 2p is from the smaller one. */
#define LOW(p)  ((p) == 1 -> 1 : 0)
#define HIGH(p) ((p) == 0 -> 1 : 2)
#define FROM(d) (((d)&1) -> HIGH((d) / 2) : LOW((d) / 2))
#define TO(d)   (((d)&1) -> LOW((d) / 2) : HIGH((d) / 2))
#define BACK(d) ((d) ^ 1)
#define OF(n, m) ((n) * NODES + (m))

/* Versions, as bits. A tombstone is three bits above what it deletes. */
#define WORK    4
#define ALIVE   7
#define DEAD    24
#define COVERED(set) (((set)&DEAD) >> 3)

/* What has a time at or below a limit. */
#define UPTO(limit) (((limit) >= 1 -> 3 : 0) | ((limit) >= work_time -> WORK : 0) | \
                     ((limit) >= dead_time[0] -> 8 : 0) | ((limit) >= dead_time[1] -> 16 : 0))

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))

#define EVEN   1
#define FOLLOW 2
#define STALE  3

#define NOTHING 0
#define STATE   1
#define DATA    2

byte now = 1;
byte deletions, works;
byte dead_time[2];
byte work_time;

/* Durable. */
byte has[NODES];
byte trash[NODES];
byte floor[NODES];
byte clean[NODES];
byte synced[NODES * NODES]; /* OF(n, m): when n was in sync with m, as n knows */
byte acked[NODES * NODES];  /* OF(n, m): tombstones of n that m has acknowledged */
#if CRASHES > 0
byte stored[NODES * NODES]; /* of synced, what a crash leaves */
byte crashes;
#endif

byte rebase_floor[NODES]; /* what the floor is to be, while a rebase is under way */

/* The frame that is on its way for longer than a step. */
byte f_kind, f_direction, f_wall, f_floor, f_clean, f_counted, f_cut, f_has, f_acks;
bool f_old;

/* Ghosts: of which deletion the tombstone was collected, and which a node knew of. */
byte gone;
byte knew[NODES];

hidden byte CHECK_DELETED, CHECK_HEEDED, CHECK_KEPT, CHECK_AGREE, CHECK_ENDS;
hidden byte m_wall, m_floor, m_clean, m_counted, m_cut, m_has, m_acks;
hidden byte relation, i, n, m, d, t, top, here, away, able, limit, set;
hidden byte steps, moved, has_before, floor_before;

#define GUARD(n) MAX(floor[n], rebase_floor[n])
#define COUNTS(n, m) (synced[OF(n, m)] + GRACE + SLACK >= now)

/* ---- Sets ---- */

inline put_dead(n, what)
{
    has[n] = (has[n] | (what)) & ~COVERED(what);
    knew[n] = knew[n] | COVERED(what)
}

inline put_alive(n, what)
{
    set = (what) & ~has[n] & ~COVERED(has[n]);
    assert(CHECK_DELETED || (set & gone & (knew[n] | COVERED(UPTO(floor[n])))) == 0);
    has[n] = has[n] | set
}

/* ---- Floors ---- */

/* `able`: up to where all who count have acknowledged what n has. */
inline find_collectable(n, upto)
{
    able = upto;
    m = 0;
    do
    :: m < NODES ->
        if
        :: m != n && COUNTS(n, m) ->
            set = has[n] & DEAD & ~acked[OF(n, m)];
#ifdef BUG_NO_ACK
            set = 0;
#endif
            if
            :: (set & 8) && dead_time[0] <= able -> able = dead_time[0] - 1
            :: else
            fi;
            if
            :: (set & 16) && dead_time[1] <= able -> able = dead_time[1] - 1
            :: else
            fi
        :: else
        fi;
        m++
    :: else -> break
    od
}

/* Of what has gone: so that states do not differ by it. */
inline forget_acks(n)
{
    m = 0;
    do
    :: m < NODES -> acked[OF(n, m)] = acked[OF(n, m)] & has[n]; m++
    :: else -> break
    od
}

inline collect(n, upto, since)
{
    set = has[n] & DEAD & UPTO(upto);
    gone = gone | COVERED(set);
    has[n] = has[n] & ~set;
#ifndef BUG_FLOOR_STAYS
    floor[n] = upto;
#endif
    clean[n] = MAX(clean[n], since);
    forget_acks(n)
}

/* How far age lets go; nothing where more peers are away than here. */
inline find_limit(n)
{
    limit = now;
    here = 0;
    away = 0;
#ifdef COMPANY
    here = (n == 0 -> NODES - 1 : 0);
#endif
    m = 0;
    do
    :: m < NODES ->
        if
        :: m != n && COUNTS(n, m) ->
            here++;
#ifndef BUG_AGE_ALONE
            limit = (synced[OF(n, m)] < limit -> synced[OF(n, m)] : limit)
#endif
        :: m != n && !COUNTS(n, m) -> away++
        :: else
        fi;
        m++
    :: else -> break
    od;
#ifndef BUG_NO_GRACE
    limit = (limit > GRACE -> limit - GRACE : 0);
#endif
#ifndef BUG_ALONE
    limit = (away > here -> 0 : limit)
#endif
}

/* The newest tombstone that goes. */
inline find_pass(n)
{
    top = 0;
    find_limit(n);
    find_collectable(n, limit);
    if
    :: (has[n] & 8) && dead_time[0] <= able -> top = dead_time[0]
    :: else
    fi;
    if
    :: (has[n] & 16) && dead_time[1] <= able && dead_time[1] > top -> top = dead_time[1]
    :: else
    fi;
    top = (top > floor[n] -> top : 0)
}

inline pass(n)
{
    find_pass(n);
    if
    :: top != 0 ->
        t = (now > GRACE -> now - GRACE : 0);
        collect(n, top, t)
    :: else
    fi
}

/* ---- Sessions ---- */

inline drop_frame()
{
    f_kind = NOTHING; f_direction = 0; f_wall = 0; f_floor = 0; f_clean = 0; f_counted = 0;
    f_cut = 0; f_has = 0; f_acks = 0; f_old = false
}

#if defined(BUG_NO_REBASE)
#define IS_FRESH true
#elif defined(BUG_TIE)
#define IS_FRESH (t >= m_floor && t >= m_clean)
#elif defined(BUG_NO_CLEAN)
#define IS_FRESH (t > m_floor)
#else
#define IS_FRESH (t > m_floor && t >= m_clean)
#endif

/* TO(d) hears of a floor and a clean time of FROM(d). */
inline judge(d)
{
    n = FROM(d);
    m = TO(d);
    t = synced[OF(m, n)];
#ifndef BUG_UNCOUNTED
    t = MIN(t, m_counted);
#endif
    if
    :: m_floor <= floor[m] -> relation = EVEN
    :: m_floor > floor[m] && IS_FRESH -> relation = FOLLOW
    :: else -> relation = STALE
    fi
}

/* And since when n counts m as in sync. */
inline say_floor(n, m)
{
    m_floor = floor[n];
#ifdef BUG_FLOOR_UNSAID
    m_floor = 0;
#endif
    m_clean = clean[n];
    m_counted = synced[OF(n, m)]
}

inline write_state(d)
{
    n = FROM(d);
    m = TO(d);
    say_floor(n, m);
    m_wall = now;
    m_cut = MAX(m_floor, floor[m]);
    m_has = has[n] & (ALIVE | ~UPTO(m_cut));
    m_acks = 0
}

inline take_state(d)
{
    judge(d);
    limit = MAX(floor[m], m_floor);
    if
    :: m_cut == limit && (has[m] & (ALIVE | ~UPTO(limit))) == m_has && relation != STALE ->
#ifdef BUG_DATED_BY_RECEIVER
        synced[OF(m, n)] = now;
#else
        synced[OF(m, n)] = m_wall;
#endif
#if CRASHES > 0 && !defined(BUG_STORED_LATER)
        /* At once, if the peer was away for long enough to make a difference. */
        stored[OF(m, n)] = (stored[OF(m, n)] + 1 < m_wall -> m_wall : stored[OF(m, n)])
#endif
    :: else
    fi
}

inline follow(d)
{
    judge(d);
    n = TO(d);
    find_collectable(n, m_floor);
    if
    :: relation == FOLLOW && able > floor[n] ->
        t = (now > GRACE -> now - GRACE : 0);
        t = MAX(t, m_clean);
        collect(n, able, t)
    :: else
    fi
}

inline write_data(d)
{
    n = TO(d);
    m = FROM(d);
    say_floor(n, m);
    judge(BACK(d));
    n = FROM(d);
    m_wall = 0;
    m_clean = 0;
    m_counted = 0;
    m_cut = MAX(m_floor, floor[n]);
    m_has = has[n];
    m_acks = has[n] & DEAD;
#ifndef BUG_SENT
    if
    :: relation == STALE -> m_has = m_has & ~UPTO(m_floor)
    :: else
    fi;
#endif
    m_floor = 0
}

inline take_data(d)
{
    n = FROM(d);
    m = TO(d);
    t = m_has & DEAD & UPTO(floor[m]);
    if
    :: COVERED(t) & has[m] ->
        assert(CHECK_HEEDED || (!(COVERED(t) & has[m] & 1) || dead_time[0] + GRACE <= now));
        assert(CHECK_HEEDED || (!(COVERED(t) & has[m] & 2) || dead_time[1] + GRACE <= now))
    :: else
    fi;
    acked[OF(n, m)] = (acked[OF(n, m)] | m_acks) & has[n];
    t = m_has & DEAD & ~UPTO(floor[m]);
    put_dead(m, t);
    t = m_has & ALIVE;
#ifndef BUG_NOT_PASSED_OVER
    if
    :: m_cut < GUARD(m) -> t = t & ~UPTO(GUARD(m))
    :: else
    fi;
#endif
    put_alive(m, t)
}

/* ---- Rebase ---- */

inline compare(d)
{
    n = FROM(d);
    m = TO(d);
    say_floor(n, m);
    judge(d);
    if
    :: relation == STALE ->
        rebase_floor[m] = m_floor;
        t = has[m] & ALIVE & UPTO(m_floor) & ~has[n];
        has[m] = has[m] & ~t;
#ifndef BUG_NO_TRASH
        trash[m] = trash[m] | t;
#endif
#ifdef BUG_DROP_FIRST
        has[m] = has[m] & ~(DEAD & UPTO(m_floor))
#endif
    :: else
    fi
}

inline raise(n)
{
    has[n] = has[n] & ~(DEAD & UPTO(rebase_floor[n]));
    floor[n] = rebase_floor[n];
#ifndef BUG_CLEAN_STAYS
    clean[n] = MAX(clean[n], now + 1);
#endif
    rebase_floor[n] = 0;
    forget_acks(n)
}

/* ---- In the end ---- */

inline check_end()
{
    n = 0;
    do
    :: n < NODES ->
        limit = MAX(floor[0], floor[n]);
        set = has[0] & (ALIVE | ~UPTO(limit));
        assert(CHECK_AGREE || (has[n] & (ALIVE | ~UPTO(limit))) == set);
        assert(CHECK_DELETED || (has[n] & gone) == 0);
        n++
    :: else -> break
    od;
    t = 0;
    n = 0;
    do
    :: n < NODES -> t = t | trash[n]; n++
    :: else -> break
    od;
    t = t | has[0];
    assert(CHECK_KEPT || works == 0 || (t & WORK));
    assert(CHECK_KEPT || deletions >= 1 || (has[0] & 1));
    assert(CHECK_KEPT || deletions >= 2 || (has[0] & 2))
}

/* Every two nodes meet, and do all that there is to do, until nothing happens any more. */
inline settle()
{
    steps = 0;
    moved = true;
    do
    :: moved ->
        moved = false;
        steps++;
        assert(CHECK_ENDS || steps < 12);
        d = 0;
        do
        :: d < DIRECTIONS ->
            has_before = has[TO(d)];
            floor_before = floor[TO(d)];
            write_data(d);
            take_data(d);
            write_state(d);
            take_state(d);
            write_state(d);
            follow(d);
            compare(d);
            n = TO(d);
            if
            :: rebase_floor[n] != 0 -> raise(n)
            :: else
            fi;
            moved = moved || has_before != has[TO(d)] || floor_before != floor[TO(d)];
            d++
        :: else -> break
        od
    :: else -> break
    od
}

inline forget()
{
    i = 0;
    do
    :: i < NODES * NODES ->
        synced[i] = 0;
        acked[i] = 0;
#if CRASHES > 0
        stored[i] = 0;
#endif
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NODES -> has[i] = 0; trash[i] = 0; floor[i] = 0; clean[i] = 0; knew[i] = 0; i++
    :: else -> break
    od;
    gone = 0; now = 0; deletions = 0; works = 0; dead_time[0] = 0; dead_time[1] = 0; work_time = 0;
#if CRASHES > 0
    crashes = 0;
#endif
}

/* ---- The world ---- */

#define DELETE_FIRST(n) \
    :: deletions == 0 && DELETIONS > 0 && (has[n] & 1) -> \
        d_step { dead_time[0] = now; deletions = 1; put_dead(n, 8); skip }
/* One that its writer, of the company, made up to a grace ago. */
#define DELETE_ELSEWHERE \
    :: deletions == 0 && DELETIONS > 0 && (has[0] & 1) && now > GRACE && now - GRACE > floor[0] -> \
        d_step { dead_time[0] = now - GRACE; deletions = 1; put_dead(0, 8); skip }
#define DELETE_SECOND(n) \
    :: deletions == 1 && DELETIONS > 1 && (has[n] & 2) -> \
        d_step { dead_time[1] = now; deletions = 2; put_dead(n, 16); skip }
#define WRITE(n) \
    :: works < WORKS -> d_step { works++; work_time = now; has[n] = has[n] | WORK; skip } \
    :: works < WORKS && now > 1 -> d_step { works++; work_time = 1; has[n] = has[n] | WORK; skip }
#define IS_FREE(d) (f_kind == NOTHING || f_direction != (d))
#define HOLD_BACK(kind, d) \
    f_kind = kind; f_direction = d; f_wall = m_wall; f_floor = m_floor; f_clean = m_clean; \
    f_counted = m_counted; f_cut = m_cut; f_has = m_has; f_acks = m_acks
#ifdef APART
#define MAY_TALK(p) ((p) == 1 || gone != 0)
#else
#define MAY_TALK(p) true
#endif
#define MEET(p) \
    :: MAY_TALK(p) && IS_FREE(2 * (p)) && IS_FREE(2 * (p) + 1) -> d_step { \
        d = 2 * (p); write_state(d); take_state(d); \
        d = 2 * (p) + 1; write_state(d); take_state(d); skip }
#define TALK(d) \
    :: MAY_TALK((d) / 2) && IS_FREE(d) && rebase_floor[TO(d)] == 0 && \
       floor[FROM(d)] > floor[TO(d)] -> \
        d_step { write_state(d); follow(d); compare(d); skip } \
    :: MAY_TALK((d) / 2) && IS_FREE(d) -> d_step { write_data(d); take_data(d); skip } \
    STATE_LATER(d) DATA_LATER(d)
/* With three nodes from the third to the second: those two are alike. */
#define MAY_BE_LATE(d) (NODES == 2 || (d) == 3)
#if LATE & 1
#define STATE_LATER(d) \
    :: f_kind == NOTHING && MAY_BE_LATE(d) -> d_step { write_state(d); HOLD_BACK(STATE, d); skip }
#else
#define STATE_LATER(d)
#endif
#if LATE & 2
#define DATA_LATER(d) \
    :: f_kind == NOTHING && MAY_BE_LATE(d) -> d_step { write_data(d); HOLD_BACK(DATA, d); skip }
#else
#define DATA_LATER(d)
#endif
#define PASS(n) \
    :: rebase_floor[n] == 0 && (has[n] & DEAD) -> d_step { pass(n); skip } \
    :: rebase_floor[n] != 0 -> d_step { raise(n); skip } \
    :: rebase_floor[n] != 0 -> rebase_floor[n] = 0
#if CRASHES > 0
#define CRASH(n) :: crashes < CRASHES -> d_step { \
    crashes++; \
    rebase_floor[n] = 0; \
    i = 0; \
    do \
    :: i < NODES -> synced[OF(n, i)] = stored[OF(n, i)]; i++ \
    :: else -> break \
    od; \
    skip }
#else
#define CRASH(n)
#endif
#ifdef PAIR
#define NO_REBASE (rebase_floor[0] == 0 && rebase_floor[1] == 0)
#else
#define NO_REBASE (rebase_floor[0] == 0 && rebase_floor[1] == 0 && rebase_floor[2] == 0)
#endif

active proctype world()
{
    d_step {
        i = 0;
        do
        :: i < NODES -> has[i] = 3; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < NODES * NODES ->
            synced[i] = 1;
#if CRASHES > 0
            stored[i] = 1;
#endif
            i++
        :: else -> break
        od;
        skip
    };
    do
    DELETE_FIRST(0)
    DELETE_SECOND(0)
#ifdef ELSEWHERE
    DELETE_ELSEWHERE
#endif
#ifndef HOME_DELETES
    DELETE_SECOND(1)
#ifdef COMPANY
    DELETE_FIRST(1)
#endif
#endif
    WRITE(0) WRITE(1)
    MEET(0) TALK(0) TALK(1)
    PASS(0) PASS(1)
    CRASH(0) CRASH(1)
#ifndef PAIR
    MEET(1) MEET(2) TALK(2) TALK(3) TALK(4) TALK(5)
    PASS(2)
    CRASH(2)
#endif
    :: f_kind == STATE -> d_step {
        d = f_direction;
        m_wall = f_wall; m_floor = f_floor; m_clean = f_clean; m_counted = f_counted;
        m_cut = f_cut; m_has = f_has;
        drop_frame();
        take_state(d);
#ifdef ANSWERED
        d = BACK(d);
        write_state(d);
        take_state(d);
#endif
        skip }
    :: f_kind == STATE && rebase_floor[TO(f_direction)] == 0 -> d_step {
        d = f_direction;
        m_floor = f_floor; m_clean = f_clean; m_counted = f_counted;
        drop_frame();
        follow(d);
        skip }
    :: f_kind == DATA -> d_step {
        d = f_direction;
        m_cut = f_cut; m_has = f_has; m_acks = f_acks;
        drop_frame();
        take_data(d);
        skip }
    :: now < TIME_MAX && !f_old && (now < FIRST_BY || deletions > 0) -> d_step {
        now++;
        f_old = f_kind != NOTHING;
#if CRASHES > 0
        i = 0;
        do
        :: i < NODES * NODES -> stored[i] = synced[i]; i++
        :: else -> break
        od;
#endif
        skip }
    :: f_kind != NOTHING -> d_step { drop_frame(); skip }
    :: f_kind == NOTHING && NO_REBASE -> d_step { settle(); check_end(); forget(); skip }; break
    od
}
