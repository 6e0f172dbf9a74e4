/* SPDX-License-Identifier: Apache-2.0
 *
 * Sync by cursor, with crashes, a backup that is put back, and a store that is copied.
 *
 * Modelled. Three stores that write versions of two registers; each has a change log, cursors into the
 * logs of its peers, and what it remembers of their incarnations. Sessions between any two of them are
 * opened and cut at any moment. In a session each side sends a STATE (cursor, head, set), then its log
 * behind the cursor of the peer, one version a frame; where that cursor is void it holds its cursor back
 * until a comparison, or a copy, is over. Versions and cursor are one transaction. One crash, which
 * forgets what was not stored; one backup of any store at any time, put back at any later time, as the
 * files were or with its log numbered anew. With -DCLONE the third store is a copy of the first one under
 * the same identity, and the two take turns at their peer. In the end all is quiet: no writes, no faults,
 * sessions stay open. With -DPAIR there are two stores.
 *
 * Correspondence. choose_start, on_state: net/sync/round.c. send: write_log, cursor_for_peer,
 * pl_round_is_for_peer of round_send.c. begin_compare, end_compare: round_compare.c. take: take_changes of
 * net/node/native.c, pl_merge_decide and pl_winner_store of engine/db. open: pl_round_init (the sequence
 * at which a new incarnation of the peer appeared). put_back, copy_store: open_rows of engine/db/db.c,
 * restore_store.c.
 *
 * Properties
 *   CURSOR  (I15, I16) A cursor for the present life of a peer's log never passes a version that is still
 *           in that log and that this store lacks, unless it has a newer one of the register.
 *   TWICE   (I16) No version goes into a store's log a second time, also when it comes again.
 *   AGREE   (I7) When all is quiet and nothing is left to send all stores have the same versions, without
 *           the repairs that compare roots again and again: those are a net below this.
 *   KEPT    (I1, I15) and have each version that was anywhere after the last restore, or a newer one.
 *   ENDS    All of that within a bounded number of steps.
 *
 * Planted, each must be found: BUG_SAME_INCARNATION (a backup goes on under its old incarnation),
 * BUG_CURSOR_APART (the cursor is committed before its data), BUG_CURSOR_BEFORE_COMPARE (it is given while
 * the comparison is due), BUG_ECHO (what a peer sent is never sent to it again, restored or not),
 * BUG_CURSOR_IN_FLIGHT (the cursor moves to what was sent, not to what was taken), BUG_NO_DEDUPE (what is
 * known is stored again), BUG_ARRIVAL (the last to arrive wins).
 *
 * Left out: how a comparison finds differences (here it sees both sets at once), offers, versions in
 * pieces, filters, floors (floors.pml), holding back by clock, clocks that differ (later writes have later
 * stamps), frames of more than one version, commits that fail.
 */
#ifndef OPS
#define OPS 2 /* versions that are written, the first two of one register, others of another one */
#endif
#ifndef OPENS
#define OPENS 2 /* sessions opened before it is quiet */
#endif

#define NONE 255
#define BIT(op)          (1 << ((op)-1))
#define REGISTER(op)      ((op) <= 2 -> 3 : 252)
#define SAME_OR_NEWER(op) (REGISTER(op) & ~(BIT(op) - 1))
#define COVERS(s, op)    ((has[s] & SAME_OR_NEWER(op)) != 0)

#define LOG(s, q) log[(s)*OPS + (q)-1]
#define SRC(s, q) src[(s)*OPS + (q)-1]
#define OF(s, id) ((s)*3 + (id))

/* Pairs 0: stores 0 and 1; 1: 1 and 2; 2: 0 and 2. Direction 2p is from the smaller one. */
#define LOW(p)  ((p) == 1 -> 1 : 0)
#define HIGH(p) ((p) == 0 -> 1 : 2)
#define FROM(d) (((d)&1) -> HIGH((d) / 2) : LOW((d) / 2))
#define TO(d)   (((d)&1) -> LOW((d) / 2) : HIGH((d) / 2))
#define BACK(d) ((d) ^ 1)

#ifdef CLONE
#define ID(s) ((s) == 2 -> 0 : (s))
#define THERE(s) ((s) != 2 || cloned)
#elif defined(PAIR)
#define ID(s) (s)
#define THERE(s) ((s) != 2)
#else
#define ID(s) (s)
#define THERE(s) true
#endif

/* What a store holds, durable. */
byte life[3];   /* incarnation */
byte head[3];
byte has[3];    /* live versions */
byte had[3];    /* ghost: all that were ever put into this log */
byte log[3 * OPS];
byte src[3 * OPS];    /* identity they came from, plus one; 0: written here */
byte cur_life[9];     /* cursor into the log of an identity */
byte cur_seq[9];
byte peer_life[9];    /* the life it showed last, and our head then */
byte peer_at[9];

/* The backup. */
byte kept = NONE; /* whose */
byte k_head, k_has, k_had;
byte k_log[OPS];
byte k_src[OPS];
byte k_cur_life[3];
byte k_cur_seq[3];
byte k_peer_life[3];
byte k_peer_at[3];

/* Sessions. */
bool up[3];
byte compare[3]; /* 1 due, 2 under way */
bool started[6];
byte sent[6];
byte told[6];  /* the last cursor given */
byte held[6];  /* 1: until a comparison is over, 2: until a copy is */
byte want[6];  /* what the comparison or the copy sends */
byte applied[6];
bool way[6];  /* a frame on its way: */
byte f_op[6];
byte f_cur[6];
bool s_way[6]; /* a STATE on its way: */
byte s_cur[6];
byte s_head[6];
byte s_has[6];
#ifdef BUG_CURSOR_APART
byte late[6];
#endif

byte lives;
byte ops = 0;
byte opens = 0;
bool crashed = false;
bool restored = false;
bool cloned = false;
byte lost = 0; /* ghost: known to nobody after the restore */

/* Always 0: an assertion that fails names its check. */
hidden byte CHECK_TWICE, CHECK_CURSOR, CHECK_KEPT, CHECK_AGREE, CHECK_ENDS;

/* Scratch, within one step. */
hidden byte q, r, i, j, op, to, source, d, p, moved, steps;
hidden byte equal, known, fits;

inline merge(s, what, from)
{
    fits = !COVERS(s, what);
#ifdef BUG_NO_DEDUPE
    fits = fits || (has[s] & BIT(what));
#endif
#ifdef BUG_ARRIVAL
    fits = !(has[s] & BIT(what));
#endif
    if
    :: fits ->
        assert(CHECK_TWICE || !(had[s] & BIT(what)));
        q = 1;
        do
        :: q <= head[s] ->
            if
            :: LOG(s, q) != 0 && REGISTER(LOG(s, q)) == REGISTER(what) ->
                LOG(s, q) = 0;
                SRC(s, q) = 0
            :: else
            fi;
            q++
        :: else -> break
        od;
        has[s] = (has[s] & ~REGISTER(what)) | BIT(what);
        had[s] = had[s] | BIT(what);
        head[s]++;
        LOG(s, head[s]) = what;
        SRC(s, head[s]) = from
    :: else
    fi
}

/* CURSOR, for what store j knows of the log of store i. */
inline check_cursor()
{
    if
    :: i != j && ID(i) != ID(j) && THERE(i) && THERE(j) && cur_life[OF(j, ID(i))] == life[i] ->
        q = 1;
        do
        :: q <= head[i] && q <= cur_seq[OF(j, ID(i))] ->
            assert(CHECK_CURSOR || LOG(i, q) == 0 || COVERS(j, LOG(i, q)));
            q++
        :: else -> break
        od
    :: else
    fi
}

inline check()
{
#ifndef NO_CURSOR
    i = 0;
    do
    :: i < 3 ->
        j = 0;
        do
        :: j < 3 -> check_cursor(); j++
        :: else -> break
        od;
        i++
    :: else -> break
    od
#else
    skip
#endif
}

inline end_direction(d)
{
    started[d] = 0; sent[d] = 0; told[d] = 0; held[d] = 0; want[d] = 0; applied[d] = 0;
    way[d] = 0; f_op[d] = 0; f_cur[d] = 0; s_way[d] = 0; s_cur[d] = 0; s_head[d] = 0; s_has[d] = 0;
#ifdef BUG_CURSOR_APART
    late[d] = 0;
#endif
}

/* What was applied is stored at the end of a session, but not in a crash. */
inline store_cursor(d)
{
#ifdef BUG_CURSOR_APART
    if
    :: late[d] != 0 ->
        to = TO(d);
        source = ID(FROM(d)) + 1;
        merge(to, late[d], source)
    :: else
    fi;
#endif
    if
    :: applied[d] != 0 ->
        cur_life[OF(TO(d), ID(FROM(d)))] = life[FROM(d)];
        cur_seq[OF(TO(d), ID(FROM(d)))] = applied[d]
    :: else
    fi
}

inline end_session(p)
{
    end_direction(2 * (p));
    end_direction(2 * (p) + 1);
    up[p] = false;
    compare[p] = 0
}

inline cut(p)
{
    store_cursor(2 * (p));
    store_cursor(2 * (p) + 1);
    end_session(p)
}

/* One side of a session knows only what it has stored. */
inline crash_in(p, s)
{
    if
    :: up[p] && LOW(p) == s -> store_cursor(2 * (p)); end_session(p)
    :: up[p] && HIGH(p) == s -> store_cursor(2 * (p) + 1); end_session(p)
    :: else
    fi
}

inline crash(s)
{
    r = 0;
    do
    :: r < 3 -> crash_in(r, s); r++
    :: else -> break
    od
}

/* FROM(d) learns who is there; TO(d) will be told. */
inline greet(d)
{
    if
    :: peer_life[OF(FROM(d), ID(TO(d)))] != life[TO(d)] ->
        peer_life[OF(FROM(d), ID(TO(d)))] = life[TO(d)];
        peer_at[OF(FROM(d), ID(TO(d)))] = head[FROM(d)]
    :: else
    fi;
    applied[BACK(d)] = (cur_life[OF(FROM(d), ID(TO(d)))] == life[TO(d)] ->
                        cur_seq[OF(FROM(d), ID(TO(d)))] : 0)
}

inline say_state(d)
{
    s_way[d] = true;
    s_cur[d] = (applied[BACK(d)] == 0 -> NONE : applied[BACK(d)]);
    s_head[d] = head[FROM(d)];
    s_has[d] = has[FROM(d)]
}

inline open(p)
{
    up[p] = true;
    greet(2 * (p));
    greet(2 * (p) + 1);
    say_state(2 * (p));
    say_state(2 * (p) + 1)
}

/* The STATE of direction d decides where the other direction begins. */
inline on_state(d)
{
    s_way[d] = false;
    started[BACK(d)] = true;
    equal = has[TO(d)] == s_has[d];
    known = s_cur[d] != NONE && s_cur[d] <= head[TO(d)];
    if
    :: applied[d] > s_head[d] -> applied[d] = 0
    :: else
    fi;
    sent[BACK(d)] = (known -> s_cur[d] : head[TO(d)]);
    told[BACK(d)] = (known -> s_cur[d] : 0);
    if
    :: !known && !equal && has[TO(d)] != 0 ->
#ifndef BUG_CURSOR_BEFORE_COMPARE
        held[BACK(d)] = (s_has[d] == 0 -> 2 : 1);
#endif
        want[BACK(d)] = (s_has[d] == 0 -> has[TO(d)] : 0)
    :: else
    fi;
    if
    :: !equal && has[TO(d)] != 0 && s_has[d] != 0 && compare[(d) / 2] == 0 &&
       (!known || (applied[d] == 0 && s_head[d] != 0)) -> compare[(d) / 2] = 1
    :: else
    fi;
    s_cur[d] = 0;
    s_head[d] = 0;
    s_has[d] = 0
}

#ifdef BUG_ECHO
#define IS_ECHO(d, at) (SRC(FROM(d), at) == ID(TO(d)) + 1)
#else
#define IS_ECHO(d, at) (SRC(FROM(d), at) == ID(TO(d)) + 1 && (at) > peer_at[OF(FROM(d), ID(TO(d)))])
#endif

#define CAN_SEND(d) (up[(d) / 2] && started[d] && !way[d] && \
                     (sent[d] < head[FROM(d)] || want[d] != 0 || (held[d] == 0 && told[d] < sent[d])))

inline send(d)
{
    op = 0;
    do
    :: sent[d] < head[FROM(d)] && op == 0 ->
        sent[d]++;
        op = (IS_ECHO(d, sent[d]) -> 0 : LOG(FROM(d), sent[d]))
    :: else -> break
    od;
    r = (held[d] == 0 -> sent[d] : 0);
    if
    :: op == 0 && want[d] != 0 ->
        op = 1;
        do
        :: want[d] & BIT(op) -> break
        :: else -> op++
        od;
        want[d] = want[d] & ~BIT(op);
        op = ((has[FROM(d)] & BIT(op)) -> op : 0);
#ifndef BUG_CURSOR_BEFORE_COMPARE
        r = 0
#endif
    :: else
    fi;
    if
    :: op != 0 || r > told[d] ->
        way[d] = true;
        f_op[d] = op;
        f_cur[d] = r
    :: else
    fi;
    told[d] = (r > told[d] -> r : told[d]);
    if
    :: held[d] == 2 && want[d] == 0 -> held[d] = 0
    :: else
    fi;
#ifdef BUG_CURSOR_IN_FLIGHT
    if
    :: f_cur[d] != 0 ->
        cur_life[OF(TO(d), ID(FROM(d)))] = life[FROM(d)];
        cur_seq[OF(TO(d), ID(FROM(d)))] = f_cur[d]
    :: else
    fi;
#endif
}

/* The batch of a frame is durable. */
inline take(d)
{
    if
    :: f_op[d] != 0 ->
        if
        :: f_cur[d] != 0 ->
            cur_life[OF(TO(d), ID(FROM(d)))] = life[FROM(d)];
            cur_seq[OF(TO(d), ID(FROM(d)))] = f_cur[d]
        :: else
        fi;
#ifdef BUG_CURSOR_APART
        late[d] = f_op[d]
#else
        to = TO(d);
        source = ID(FROM(d)) + 1;
        merge(to, f_op[d], source)
#endif
    :: else
    fi;
    applied[d] = (f_cur[d] > applied[d] -> f_cur[d] : applied[d]);
    way[d] = false;
    f_op[d] = 0;
    f_cur[d] = 0
}

#define AT_REST(d) (started[d] && (held[d] == 1 || \
                    (held[d] == 0 && sent[d] == head[FROM(d)] && told[d] == sent[d] && !way[d])))

inline begin_compare(p)
{
    compare[p] = 2;
    want[2 * (p)] = has[LOW(p)] & ~has[HIGH(p)];
    want[2 * (p) + 1] = has[HIGH(p)] & ~has[LOW(p)]
}

inline end_compare(p)
{
    compare[p] = 0;
    held[2 * (p)] = 0;
    held[2 * (p) + 1] = 0
}

inline keep(s)
{
    kept = s;
    k_head = head[s]; k_has = has[s]; k_had = had[s];
    q = 0;
    do
    :: q < OPS -> k_log[q] = log[s * OPS + q]; k_src[q] = src[s * OPS + q]; q++
    :: else -> break
    od;
    q = 0;
    do
    :: q < 3 ->
        k_cur_life[q] = cur_life[OF(s, q)]; k_cur_seq[q] = cur_seq[OF(s, q)];
        k_peer_life[q] = peer_life[OF(s, q)]; k_peer_at[q] = peer_at[OF(s, q)];
        q++
    :: else -> break
    od
}

/* The backup goes into store s; `anew`: without gaps in its log. */
inline put_back(s, anew)
{
    crash(s);
    has[s] = k_has; had[s] = k_had;
    q = 0;
    r = 0;
    do
    :: q < OPS ->
        log[s * OPS + q] = 0;
        src[s * OPS + q] = 0;
        if
        :: q < k_head && (!anew || k_log[q] != 0) ->
            log[s * OPS + r] = k_log[q];
            src[s * OPS + r] = k_src[q];
            r++
        :: else
        fi;
        q++
    :: else -> break
    od;
    head[s] = r;
    q = 0;
    do
    :: q < 3 ->
        cur_life[OF(s, q)] = k_cur_life[q]; cur_seq[OF(s, q)] = k_cur_seq[q];
        peer_life[OF(s, q)] = k_peer_life[q]; peer_at[OF(s, q)] = k_peer_at[q];
        q++
    :: else -> break
    od;
#ifndef BUG_SAME_INCARNATION
    life[s] = lives;
    lives++;
#endif
    op = 1;
    do
    :: op <= ops ->
        if
        :: !COVERS(0, op) && !COVERS(1, op) && !COVERS(2, op) -> lost = lost | BIT(op)
        :: else
        fi;
        op++
    :: else -> break
    od
}

inline drop_backup()
{
    kept = 3;
    k_head = 0; k_has = 0; k_had = 0;
    q = 0;
    do
    :: q < OPS -> k_log[q] = 0; k_src[q] = 0; q++
    :: else -> break
    od;
    q = 0;
    do
    :: q < 3 -> k_cur_life[q] = 0; k_cur_seq[q] = 0; k_peer_life[q] = 0; k_peer_at[q] = 0; q++
    :: else -> break
    od
}

inline agree()
{
    op = 1;
    do
    :: op <= ops ->
        assert(CHECK_KEPT || (lost & BIT(op)) || COVERS(0, op));
        op++
    :: else -> break
    od;
    assert(CHECK_AGREE || has[0] == has[1]);
    assert(CHECK_AGREE || has[1] == has[2] || !THERE(2))
}

/* ---- Quiet ---- */

#define IS_LINKED(p) (THERE(LOW(p)) && THERE(HIGH(p)) && ID(LOW(p)) != ID(HIGH(p)))

/* One step of a direction, if there is one. */
inline move(d)
{
    if
    :: s_way[d] -> on_state(d); moved = true
    :: !s_way[d] && CAN_SEND(d) -> send(d); moved = true
    :: !s_way[d] && !CAN_SEND(d) && way[d] -> take(d); moved = true
    :: else
    fi;
#ifdef BUG_CURSOR_APART
    if
    :: late[d] != 0 ->
        to = TO(d);
        source = ID(FROM(d)) + 1;
        merge(to, late[d], source);
        late[d] = 0
    :: else
    fi
#endif
}

inline try_compare(p)
{
    if
    :: compare[p] == 1 && AT_REST(2 * (p)) && AT_REST(2 * (p) + 1) -> begin_compare(p); moved = true
    :: compare[p] == 2 && want[2 * (p)] == 0 && want[2 * (p) + 1] == 0 && !way[2 * (p)] &&
       !way[2 * (p) + 1] -> end_compare(p); moved = true
    :: else
    fi
}

/* All sessions that are open go on until nothing is left to do. */
inline settle()
{
    moved = true;
    do
    :: moved ->
        moved = false;
        steps++;
        assert(CHECK_ENDS || steps < 200);
        d = 0;
        do
        :: d < 6 ->
            move(d);
            check();
            d++
        :: else -> break
        od;
        d = 0;
        do
        :: d < 3 ->
            try_compare(d);
            d++
        :: else -> break
        od
    :: else -> break
    od
}

inline try_open(p)
{
    if
    :: !up[p] && IS_LINKED(p) -> open(p)
    :: else
    fi
}

/* All ends are one state. */
inline forget()
{
    cut(0);
    cut(1);
    cut(2);
    drop_backup();
    p = 0;
    do
    :: p < 3 * OPS -> log[p] = 0; src[p] = 0; p++
    :: else -> break
    od;
    p = 0;
    do
    :: p < 9 -> cur_life[p] = 0; cur_seq[p] = 0; peer_life[p] = 0; peer_at[p] = 0; p++
    :: else -> break
    od;
    p = 0;
    do
    :: p < 3 -> life[p] = 0; head[p] = 0; has[p] = 0; had[p] = 0; p++
    :: else -> break
    od;
    lives = 0; ops = 0; opens = 0; lost = 0; crashed = false; restored = false; cloned = false
}

/* What was begun is finished first, or not; then every two stores meet: all at once, or one pair after
 * the other, which also is what two machines with one identity do. */
inline calm(together)
{
    steps = 0;
    if
    :: together -> try_open(0); try_open(1); try_open(2); settle()
    :: else ->
        settle();
        p = 0;
        do
        :: p < 9 ->
            cut(0);
            cut(1);
            cut(2);
            try_open(p % 3);
            settle();
            p++
        :: else -> break
        od
    fi;
    agree();
    forget()
}

/* ---- The world ---- */

#define WRITE(s) \
    :: ops < OPS && THERE(s) -> d_step { ops++; op = ops; merge(s, op, 0); check(); skip }
#define KEEP(s) :: kept == NONE -> d_step { keep(s); skip }
#define CRASH(s) :: !crashed -> d_step { crashed = true; crash(s); check(); skip }
#define CUT(p) :: up[p] -> d_step { cut(p); check(); skip }
#ifdef BUG_CURSOR_APART
#define LATE(d) :: late[d] != 0 -> d_step { \
    to = TO(d); source = ID(FROM(d)) + 1; merge(to, late[d], source); late[d] = 0; skip }
#else
#define LATE(d)
#endif
#define MOVE(d) \
    :: s_way[d] -> d_step { on_state(d); check(); skip } \
    :: CAN_SEND(d) && !s_way[d] -> d_step { send(d); check(); skip } \
    :: way[d] && !s_way[d] -> d_step { take(d); check(); skip } \
    LATE(d)
#define COMPARE(p) \
    :: compare[p] == 1 && AT_REST(2 * (p)) && AT_REST(2 * (p) + 1) -> \
        d_step { begin_compare(p); skip } \
    :: compare[p] == 2 && want[2 * (p)] == 0 && want[2 * (p) + 1] == 0 && !way[2 * (p)] && \
       !way[2 * (p) + 1] -> d_step { end_compare(p); skip }
#define OPEN(p) :: !up[p] && opens < OPENS -> d_step { opens++; open(p); skip }
/* The newer one of two machines with one identity cuts the other off. */
#define DISPLACE(p, other) :: !up[p] && IS_LINKED(p) && opens < OPENS -> \
    d_step { if :: up[other] -> cut(other) :: else fi; opens++; open(p); check(); skip }
#define RESTORE(anew) :: kept < 3 && !restored -> \
    d_step { restored = true; put_back(kept, anew); drop_backup(); check(); skip }

active proctype world()
{
    d_step {
        life[0] = 1;
        life[1] = 2;
        life[2] = 3;
        lives = 4;
        skip
    };
    /* Stores are alike, so it is no loss that the first one is restored. */
    do
    WRITE(0) WRITE(1) WRITE(2)
    KEEP(0)
    CRASH(0) CRASH(1)
    RESTORE(false) RESTORE(true)
    CUT(0) CUT(1)
    MOVE(0) MOVE(1) MOVE(2) MOVE(3)
    COMPARE(0) COMPARE(1)
#ifdef CLONE
    DISPLACE(0, 1) DISPLACE(1, 0)
    /* The files are copied while nobody has them open. */
    :: !cloned && (kept == NONE || kept == 3) -> d_step {
        crash(0);
        cloned = true;
        keep(0);
        put_back(2, false);
        drop_backup();
        kept = (restored -> 3 : NONE);
        check();
        skip
    }
#elif defined(PAIR)
    OPEN(0)
#else
    CUT(2)
    MOVE(4) MOVE(5)
    COMPARE(2)
    OPEN(0) OPEN(1) OPEN(2)
    :: true -> d_step { calm(true); skip }; break
#endif
    :: true -> d_step { calm(false); skip }; break
    od
}
