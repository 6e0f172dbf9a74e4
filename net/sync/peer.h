/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of peers: who they are, what they may touch, where they can be dialed, and what is
 * known of the sync with each. Records live in the store under "peer/<backend id>"; this table is
 * their image in memory, loaded at start, changed only together with a record write.
 *
 * Threads: the node's.
 */
#ifndef PL_PEER_H
#define PL_PEER_H

#include <parley/db.h>

#include "base/writer.h"
#include "proto/tls_cache.h"
#include "sync/diff.h"
#include "sync/filter.h"
#include "trust/identity.h"

#define PL_PEER_GRANTS_MAX        16
#define PL_PEER_ADDRESS_BYTES_MAX 255
/* Grants at their longest are 10 KiB of it. */
#define PL_PEER_RECORD_BYTES_MAX 16384
#define PL_PEER_KEY_BYTES_MAX    (5 + PARLEY_BACKEND_ID_BYTES_MAX)
#define PL_PEER_NOTE_BYTES_MAX   128
#define PL_PEER_EXTRA_BYTES_MAX  4096

enum pl_peer_state {
    PL_PEER_PENDING = 1, /* registered over HTTP without an invite: waits for approval */
    PL_PEER_JOINING = 2, /* invite presented, not yet confirmed by JOIN_DONE */
    PL_PEER_ACTIVE = 3,
    PL_PEER_REVOKED = 4
};

/* What the operator sees of a sync relation. */
enum pl_sync_state {
    PL_SYNC_OFFLINE = 0, /* no session; `note` says why, `dial_at` when next */
    PL_SYNC_CATCHING_UP, /* session open, not equal yet */
    PL_SYNC_IN_SYNC,     /* both caught up and roots equal */
    PL_SYNC_REFUSED      /* the peer or we refuse; `note` says why */
};

struct pl_grant {
    char name_space[PARLEY_NAMESPACE_BYTES_MAX + 1];
    bool may_write;
    struct pl_filter filter; /* a limit of what the peer may read, and by its prefix write */
    /* A longer prefix that the peer has asked for, for which we keep a view; empty: none. */
    char asked[PARLEY_ID_BYTES_MAX + 1];
    parley_wall asked_at;
};

/* What a peer last said of a namespace that we grant it. */
struct pl_peer_root {
    bool named; /* it shares it too */
    bool equal; /* to ours, when it said so */
    struct parley_root root;
    parley_wall since; /* of `equal` */
};

struct pl_peer {
    /* Stored. */
    uint32_t number; /* local, from 1, never reused: the `source` of versions */
    char backend_id[PARLEY_BACKEND_ID_BYTES_MAX + 1];
    struct pl_pubkey key;
    uint32_t rotations;        /* that led to `key` */
    bool has_previous;         /* one of them was shown to us: */
    struct pl_pubkey previous; /* the key before `key`, */
    parley_wall rotated_at;    /* and until when it was the current one */
    enum pl_peer_state state;
    bool http;                                   /* registered by POST /register-peer */
    bool legacy;                                 /* with a token that proves nothing: only good
                                                    while the node runs with compat_legacy */
    char address[PL_PEER_ADDRESS_BYTES_MAX + 1]; /* HOST:PORT to dial; empty: it dials us */
    struct pl_grant grants[PL_PEER_GRANTS_MAX];
    size_t grant_count;
    parley_wall registered_at;
    parley_wall admitted_at; /* last approved, or let in by an invite */
    parley_wall revoked_at;  /* 0: never */
    parley_wall last_sync_at;
    struct parley_incarnation incarnation;  /* the last one it showed */
    parley_seq incarnation_seq;             /* our head when that one appeared */
    uint8_t extra[PL_PEER_EXTRA_BYTES_MAX]; /* msgpack map {capabilities, sbt} as registered */
    size_t extra_len;
    parley_seq acked_stored; /* of our log, as of the last time it was stored */
    /* By grant: when the namespace was the same on both sides, each having the other's log. Good
     * for this life of our store only: a restored one has forgotten what it had. */
    parley_wall synced_at[PL_PEER_GRANTS_MAX];
    struct parley_incarnation synced_life;

    /* Live; the first of these separates them from what is stored. */
    enum pl_sync_state sync;
    char note[PL_PEER_NOTE_BYTES_MAX];
    char check[8]; /* six digits of the join, until the next start; empty otherwise */
    uint32_t conn; /* the open session's connection, 0 if none */
    parley_time dial_at;
    uint32_t dial_failures;
    bool displaced;           /* its last session with us ended as a duplicate */
    parley_time stored_at;    /* when acked_stored and synced_at were stored last */
    bool synced_anew;         /* after so long that this is stored at once */
    uint64_t stored_in;       /* the write batch with its newest record */
    bool unsaved;             /* revoked, and not in a batch yet */
    bool forgotten;           /* the batch of `stored_in` deletes its record */
    parley_seq behind_ours;   /* sequences of ours that it has not acknowledged */
    parley_seq behind_theirs; /* sequences of its that we have not applied */
    uint64_t copied, to_copy; /* versions of a copy that it gets; to_copy 0: it gets none */
    parley_wall since;        /* of the sync state */
    bool root_equal;
    bool stated;      /* it has shown its state since the start: what follows means something */
    parley_seq acked; /* of our log */
    parley_seq applied, head;                      /* of its log: here, and in all */
    struct pl_peer_root roots[PL_PEER_GRANTS_MAX]; /* by grant, as is: */
    struct pl_share shares[PL_PEER_GRANTS_MAX];    /* in the session at hand */
    int64_t skew_us; /* its wall clock minus ours, at the last STATE */
    /* Since the start: bytes of the native protocol inside TLS and of POST /sync. */
    uint64_t bytes_in, bytes_out, versions_in, versions_out;
    uint64_t versions_lost; /* of versions_in, those that were older than what is here */
    uint64_t held;          /* of its versions, those that wait for their time; see report.h */
    parley_wall held_until; /* when the last of them is due */
    uint64_t repairs;       /* comparisons because roots differed though both had the other's log */
    uint64_t writes_refused;           /* versions for what it may only read, or not at all */
    struct pl_diff_result diff;        /* of the last dry comparison */
    struct pl_tls_session tls_session; /* resumes the next dial; a dial uses it up */
};

struct pl_peers {
    struct pl_peer *table[PARLEY_PEERS_MAX]; /* allocated one by one; order of number */
    size_t count;
    uint32_t next_number;
};

/* Fills the table from the store. Errors: ECORRUPT, ENOMEM, store errors. */
PL_MUST_USE parley_err pl_peers_load(struct pl_peers *peers, const struct parley_env *env,
                                     struct parley_read *read);
void pl_peers_free(struct pl_peers *peers, const struct parley_env *env);
/* NULL if absent. */
struct pl_peer *pl_peers_find(struct pl_peers *peers, struct parley_span backend_id);
struct pl_peer *pl_peers_find_number(struct pl_peers *peers, uint32_t number);
/* Another peer than `but` that holds this key, now or until its last rotation, and has proved that;
 * one that is not revoked if there is one, else the one that was revoked last. NULL if none. */
struct pl_peer *pl_peers_find_key(struct pl_peers *peers, const struct pl_pubkey *key,
                                  struct parley_span but);
/* A new entry with the next number; the caller fills it and writes its record. EFULL, ENOMEM. */
PL_MUST_USE parley_err pl_peers_add(struct pl_peers *peers, const struct parley_env *env,
                                    struct parley_span backend_id, struct pl_peer **out);
/* Adds or changes a grant; the filter of one that is there stays. EFULL. */
PL_MUST_USE parley_err pl_peer_grant(struct pl_peer *peer, struct parley_span name_space,
                                     bool may_write);
/* Sets the filter of a grant that is there. True: it is another one now. */
bool pl_peer_set_filter(struct pl_peer *peer, struct parley_span name_space,
                        const struct pl_filter *filter);
/* Whether it may write there: granted, and within the prefix. */
bool pl_peer_may_write(const struct pl_peer *peer, const struct parley_version *version);
const struct pl_grant *pl_peer_granted(const struct pl_peer *peer, struct parley_span name_space);
/* Lends the key before the current one while it is still honoured; NULL otherwise. */
const struct pl_pubkey *pl_peer_previous_key(const struct pl_peer *peer, parley_wall now);
/* False only for one that was just added. */
static inline bool pl_peer_has_key(const struct pl_peer *peer)
{
    return peer->key.kind != PL_KEY_RSA || peer->key.modulus_len != 0;
}
/* Notes what it said of the namespace of a grant; `root` NULL: it does not share it. */
void pl_peer_note_root(struct pl_peer *peer, size_t grant, const struct parley_root *root,
                       bool equal, parley_wall now);
void pl_peer_set_note(struct pl_peer *peer, const char *note);

/* Takes a peer out of the table and frees it; nothing may point to it any more. */
void pl_peers_remove(struct pl_peers *peers, const struct parley_env *env, struct pl_peer *peer);

/* The key of the stored record, "peer/<id>". */
struct parley_span pl_peer_key(const struct pl_peer *peer, char out[PL_PEER_KEY_BYTES_MAX]);
/* Takes what is stored from the record again; what is live stays. Errors: ECORRUPT. */
PL_MUST_USE parley_err pl_peer_reload(struct pl_peer *peer, struct parley_span record);
/* The stored record. */
void pl_peer_encode(const struct pl_peer *peer, struct pl_writer *out);
PL_MUST_USE parley_err pl_peer_decode(struct parley_span record, struct pl_peer *out);
const char *pl_peer_state_name(enum pl_peer_state state);
const char *pl_sync_state_name(enum pl_sync_state state);

#endif
