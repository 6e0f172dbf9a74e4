/* SPDX-License-Identifier: Apache-2.0
 *
 * Revoking a peer against letting it in, with crashes, failed commits and an old store put back.
 *
 * Modelled. One node, whose operator makes two invites, approves and revokes, and one peer that
 * tries everything as often as it may: joins with either invite, again and again, and sessions with
 * what it has. Revocations are each node's own, so that one node is all there is to it. Memory, the
 * store and the ledger are apart; changes go into the filling batch, while another one is in flight. A
 * commit succeeds; or fails with nothing, the ledger line alone, or all of it on disk. A crash comes
 * at any moment, also between the ledger line and the batch. A backup of the store is put back, once, at
 * any later time; the ledger stays. The wall clock goes back, once, at any moment. A handshake has two
 * steps, so that a revocation falls between them.
 *
 * Correspondence. revoke, approve, stamp: net/node/peering.c. hello, open, join: on_peer, on_open, on_join,
 * lets_in of net/node/native.c. fail: net/node/undo.c and pl_invite_undo. start: load of net/node/life.c,
 * pl_ledger_heed, heed_peer of net/node/ledger.c, pl_invite_void_all. Ledger lines before the batch:
 * engine/db/writes.c.
 *
 * Properties (I13)
 *   REVOKED  From the call of a revocation on, until the node crashes, and for ever once it was
 *            answered: the peer is not admitted and has no session, unless the operator has made an
 *            invite after that call, or approved a registration that came after it (to a store from before
 *            the peer was known it is a stranger).
 *
 * Planted, each must be found: BUG_NO_LEDGER, BUG_ANSWER_EARLY (before the commit), BUG_UNDO (a failed
 * commit takes a revocation back in memory), BUG_OPEN (who was admitted to the handshake gets the session,
 * whatever happened since), BUG_OLD_INVITE (an invite made before the revocation lets in), BUG_INVITES_STAY
 * (a store that is put back keeps its invites), BUG_STAMP (after a start the node forgets the times of its
 * invites: with a clock that was put back an older invite looks newer than the revocation).
 *
 * Left out: keys, their rotation and proofs, and TLS (the peer has its key, and nobody else has); grants and
 * filters; tokens, which are revoked by the same lines of the ledger and have no state in memory; expiry of
 * invites; the whole data directory put back with its ledger, which does forget.
 */
#ifndef TRIES
#define TRIES 2 /* of an invite */
#endif
#ifndef REVOKES
#define REVOKES 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef APPROVALS
#define APPROVALS 1
#endif
#ifndef INVITES
#define INVITES 2
#endif
#ifndef FAILS
#define FAILS 1
#endif

#define NOBODY  0
#define PENDING 1
#define JOINING 2
#define ACTIVE  3
#define REVOKED 4

/* An image of the peer's record and of the invites. */
typedef image {
    byte state;
    byte admitted;
    byte revoked;
    byte created[2]; /* 0: there is no such invite */
    bool used[2];
}

/* What a batch has: which of it is said by the masks. */
typedef batch {
    bool peer;
    bool invite[2];
    byte line; /* of the ledger, 0: none */
    bool answers; /* a revocation is answered when this is durable */
    image to;
}

image memory, store, backup;
batch filling, flight;
bool flies;
byte ledger; /* the newest line */

byte stored_in;     /* the batch with the peer's newest record: 0 none, 1 in flight, 2 filling */
byte invite_in[2];
bool unsaved;
byte tries[2];
byte last;          /* last stamp */
byte now = 9;
bool session, shaking, joined; /* joined: waits for its batch */

bool kept, restored, set_back;
byte revokes, crashes, fails, approvals, registered, invites;

/* Ghosts. */
bool must;      /* revoked, as memory knows */
bool must_ever; /* and answered */
bool after[2];  /* the invite was made after that */
bool vouched;   /* a new registration was approved after that */

hidden byte k, t, CHECK_REVOKED;

inline check()
{
    assert(CHECK_REVOKED || !must || after[0] || after[1] || vouched ||
           (memory.state != ACTIVE && memory.state != JOINING && !session))
}

inline copy_image(a, b)
{
    a.state = b.state; a.admitted = b.admitted; a.revoked = b.revoked;
    a.created[0] = b.created[0]; a.created[1] = b.created[1];
    a.used[0] = b.used[0]; a.used[1] = b.used[1]
}

inline clear_backup()
{
    backup.state = 0; backup.admitted = 0; backup.revoked = 0;
    backup.created[0] = 0; backup.created[1] = 0; backup.used[0] = false; backup.used[1] = false
}

inline stamp()
{
    last = (now > last -> now : last + 1)
}

inline clear(b)
{
    b.peer = false; b.invite[0] = false; b.invite[1] = false; b.line = 0; b.answers = false;
    b.to.state = 0; b.to.admitted = 0; b.to.revoked = 0;
    b.to.created[0] = 0; b.to.created[1] = 0; b.to.used[0] = false; b.to.used[1] = false
}

inline store_peer()
{
    filling.peer = true;
    filling.to.state = memory.state;
    filling.to.admitted = memory.admitted;
    filling.to.revoked = memory.revoked;
#ifndef BUG_NO_LEDGER
    filling.line = (unsaved -> memory.revoked : filling.line);
#endif
    filling.answers = filling.answers || unsaved;
    unsaved = false;
    stored_in = 2
}

inline store_invite(i)
{
    filling.invite[i] = true;
    filling.to.created[i] = memory.created[i];
    filling.to.used[i] = memory.used[i];
    invite_in[i] = 2
}

/* What a batch has gets into the store. */
inline write(b)
{
    if
    :: b.peer ->
        store.state = b.to.state; store.admitted = b.to.admitted; store.revoked = b.to.revoked
    :: else
    fi;
    k = 0;
    do
    :: k < 2 ->
        if
        :: b.invite[k] -> store.created[k] = b.to.created[k]; store.used[k] = b.to.used[k]
        :: else
        fi;
        k++
    :: else -> break
    od
}

inline write_line(b)
{
    ledger = (b.line > ledger -> b.line : ledger)
}

/* ---- The operator ---- */

inline make_invite(i)
{
    stamp();
    memory.created[i] = last;
    memory.used[i] = false;
    after[i] = true;
    store_invite(i)
}

inline approve()
{
    vouched = vouched || memory.state == PENDING;
    memory.state = ACTIVE;
    stamp();
    memory.admitted = last;
    store_peer()
}

inline revoke(room)
{
    if
    :: memory.state != REVOKED -> stamp(); memory.revoked = last
    :: else
    fi;
    memory.state = REVOKED;
    unsaved = true;
    session = false;
    joined = false;
    must = true;
    after[0] = false;
    after[1] = false;
    vouched = false;
#ifdef BUG_ANSWER_EARLY
    must_ever = true;
#endif
    if
    :: room -> store_peer()
    :: else
    fi
}

/* ---- The peer ---- */

#define OVERRULED(i) (memory.state == REVOKED && memory.created[i] <= memory.revoked)
#ifdef BUG_OLD_INVITE
#define LETS_IN(i) (!memory.used[i] || memory.state == JOINING)
#else
#define LETS_IN(i) (!OVERRULED(i) && (!memory.used[i] || memory.state == JOINING))
#endif

inline join(i)
{
    tries[i]++;
    memory.state = (memory.state == ACTIVE -> ACTIVE : JOINING);
    stamp();
    memory.admitted = last;
    memory.used[i] = true;
    store_invite(i);
    store_peer();
    session = false;
    joined = true
}

inline open()
{
    shaking = false;
#ifdef BUG_OPEN
    t = true;
#else
    t = memory.state == ACTIVE || memory.state == JOINING;
#endif
    if
    :: t ->
        session = true;
        if
        :: memory.state == JOINING -> memory.state = ACTIVE; store_peer()
        :: else
        fi
    :: else
    fi
}

/* ---- Batches ---- */

inline launch()
{
    flies = true;
    flight.peer = filling.peer;
    flight.invite[0] = filling.invite[0];
    flight.invite[1] = filling.invite[1];
    flight.line = filling.line;
    flight.answers = filling.answers;
    copy_image(flight.to, filling.to);
    clear(filling);
    stored_in = (stored_in == 2 -> 1 : stored_in);
    invite_in[0] = (invite_in[0] == 2 -> 1 : invite_in[0]);
    invite_in[1] = (invite_in[1] == 2 -> 1 : invite_in[1])
}

inline land()
{
    flies = false;
    clear(flight);
    stored_in = (stored_in == 1 -> 0 : stored_in);
    invite_in[0] = (invite_in[0] == 1 -> 0 : invite_in[0]);
    invite_in[1] = (invite_in[1] == 1 -> 0 : invite_in[1])
}

inline commit()
{
    write_line(flight);
    write(flight);
    must_ever = must_ever || (flight.answers && must);
    /* JOINED leaves, and the session opens with JOIN_DONE. */
    if
    :: joined && stored_in <= 1 -> joined = false; shaking = true
    :: else
    fi;
    land()
}

/* 0: nothing of it is on disk, 1: the line, 2: all. */
inline fail(how)
{
    if
    :: how >= 1 -> write_line(flight)
    :: else
    fi;
    if
    :: how == 2 -> write(flight)
    :: else
    fi;
    if
#ifdef BUG_UNDO
    :: stored_in == 1 ->
#else
    :: stored_in == 1 && memory.state == REVOKED -> unsaved = true
    :: stored_in == 1 && memory.state != REVOKED ->
#endif
        session = false;
        joined = false;
        memory.state = store.state; memory.admitted = store.admitted; memory.revoked = store.revoked
    :: else
    fi;
    k = 0;
    do
    :: k < 2 ->
        if
        :: invite_in[k] == 1 ->
            memory.created[k] = store.created[k];
            memory.used[k] = store.used[k]
        :: else
        fi;
        k++
    :: else -> break
    od;
    land()
}

/* The node starts with what the store and the ledger have. */
inline start(renewed)
{
    session = false; shaking = false; joined = false;
    flies = false;
    clear(filling);
    clear(flight);
    stored_in = 0;
    invite_in[0] = 0; invite_in[1] = 0;
    tries[0] = 0; tries[1] = 0;
    unsaved = false;
    copy_image(memory, store);
    last = 0;
#ifndef BUG_STAMP
    last = (memory.created[0] > last -> memory.created[0] : last);
    last = (memory.created[1] > last -> memory.created[1] : last);
#endif
    last = (memory.admitted > last -> memory.admitted : last);
    last = (ledger > last -> ledger : last);
    if
    :: ledger != 0 && memory.state != NOBODY && memory.state != REVOKED && memory.admitted <= ledger ->
        memory.state = REVOKED;
        memory.revoked = ledger;
        unsaved = true
    :: else
    fi;
#ifndef BUG_INVITES_STAY
    if
    :: renewed ->
        memory.created[0] = 0; memory.created[1] = 0; memory.used[0] = false; memory.used[1] = false;
        store.created[0] = 0; store.created[1] = 0; store.used[0] = false; store.used[1] = false
    :: else
    fi;
#endif
    must = must_ever
}

/* A crash: 0 to 2 as in fail. */
inline crash(how)
{
    if
    :: how >= 1 -> write_line(flight)
    :: else
    fi;
    if
    :: how == 2 -> write(flight)
    :: else
    fi;
    start(false)
}

#define TOUCHES (filling.peer || filling.invite[0] || filling.invite[1])
#define INVITE(i) :: invites < INVITES && memory.created[i] == 0 && invite_in[i] == 0 && \
    (i == 0 || memory.created[0] != 0) -> d_step { invites++; make_invite(i); check(); skip }
#define JOIN(i) :: memory.created[i] != 0 && tries[i] < TRIES && LETS_IN(i) -> \
    d_step { join(i); check(); skip }
#define FAIL(how) :: flies && fails < FAILS -> d_step { fails++; fail(how); check(); skip }
#define CRASH(how) :: crashes < CRASHES && (flies || how == 0) -> \
    d_step { crashes++; crash(how); check(); skip }

active proctype world()
{
end:
    do
    INVITE(0) INVITE(1)
    :: APPROVALS > 0 && registered == 0 && memory.state == NOBODY -> d_step {
        registered = 1; memory.state = PENDING; store_peer(); skip }
    :: approvals < APPROVALS && memory.state != REVOKED && memory.state != NOBODY -> d_step {
        approvals++; approve(); check(); skip }
    :: revokes < REVOKES && memory.state != NOBODY -> d_step { revokes++; revoke(true); check(); skip }
    :: revokes < REVOKES && memory.state != NOBODY -> d_step { revokes++; revoke(false); check(); skip }
    :: unsaved -> d_step { store_peer(); skip }
    JOIN(0) JOIN(1)
    :: !shaking && !session && (memory.state == ACTIVE || memory.state == JOINING) -> shaking = true
    :: shaking -> d_step { open(); check(); skip }
    :: session -> session = false
    :: !flies && TOUCHES -> d_step { launch(); skip }
    :: flies -> d_step { commit(); check(); skip }
    FAIL(0) FAIL(1) FAIL(2)
    CRASH(0) CRASH(1) CRASH(2)
    :: !kept -> d_step { kept = true; copy_image(backup, store); skip }
    :: kept && !restored -> d_step {
        restored = true; copy_image(store, backup); clear_backup(); start(true); check(); skip }
    :: !set_back -> d_step { set_back = true; now = 0; skip }
    od
}
