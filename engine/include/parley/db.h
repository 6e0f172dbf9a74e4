/* SPDX-License-Identifier: Apache-2.0
 *
 * The embeddable store of versioned conversations.
 *
 * A register is the only replicated thing: (namespace, conversation, kind, id). It holds one
 * current
 * version, the one with the greatest stamp (time, origin tag, digest); versions that lost are kept
 * in its history. Every change has a place in the local change log, one live entry a register.
 *
 * Lifetime: parley_db_open -> reads and writes -> parley_db_close when no read is open.
 * Threads:  parley_db_apply from one thread at a time (the writer); reads from any thread, each
 *           parley_read used by one thread at a time. Nothing else is shared.
 */
#ifndef PARLEY_DB_H
#define PARLEY_DB_H

#include <stdbool.h>

#include <parley/env.h>
#include <parley/limits.h>
#include <parley/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct parley_db;
struct parley_read;

enum parley_kind {
    PARLEY_KIND_CONVERSATION = 1, /* id empty; only ever a tombstone: deletes what is older */
    PARLEY_KIND_HEADER = 2,       /* id: "title", "surface", "created_at", "metadata.<key>", other
                                     top-level keys as "field.<key>"; body: one msgpack value */
    PARLEY_KIND_MESSAGE = 3,      /* id: message_id; body: see parley/message.h */
    PARLEY_KIND_PURGE = 4         /* id empty; body: one msgpack string, the reason. Erases what its
                                     conversation was before, with history, trash and tombstone,
                                     on every node that gets it. It is no tombstone, and stays */
};

#define PARLEY_FLAG_TOMBSTONE 0x01u

/* One version of one register. Spans are borrowed or lent as the call says. */
struct parley_version {
    struct parley_span name_space;
    struct parley_span conversation;
    struct parley_span id;
    enum parley_kind kind;
    uint32_t flags;
    uint64_t time;             /* microseconds; the hybrid clock of its writer */
    struct parley_span origin; /* name of its writer, the tie-break of equal times */
    struct parley_span body;   /* empty for a tombstone */
};

/* Checks every rule of shape: lengths, kinds, UTF-8, body is one well-formed msgpack value of the
 * kind's type. `diag` (may be NULL) names field and limit. Pure; any thread. */
PARLEY_API PARLEY_MUST_USE parley_err parley_version_check(const struct parley_version *version,
                                                           struct parley_diag *diag);

/* ---- Writing ---- */

enum parley_write_kind {
    PARLEY_WRITE_VERSION, /* merge a version; time 0 means: stamp it here and now, as a local write
                             */
    PARLEY_WRITE_CURSOR,  /* remember how far a peer's change log is applied */
    PARLEY_WRITE_SYS_PUT, /* a record of the node */
    PARLEY_WRITE_SYS_DEL,
    PARLEY_WRITE_LEDGER, /* a line for parley_db_ledger: durable before the rest of the batch, kept
                           also when the batch fails or an older copy of the store is put back */
    PARLEY_WRITE_INDEX,  /* bring the sets of elements on, after the rest of the batch; write it
                          again while `indexed` is below `head` */
    PARLEY_WRITE_VIEW,   /* make a view, or go on with it: some thousand versions; write it again
                          until it is READY, after which it writes nothing */
    PARLEY_WRITE_VIEW_DROP, /* likewise, until there is none */
    PARLEY_WRITE_COLLECT,   /* remove tombstones for good; a step, repeat while `more` */
    PARLEY_WRITE_TRASH,     /* a current version leaves the set, the log and its conversation */
    PARLEY_WRITE_UNTRASH,   /* what is in the trash is dropped */
    PARLEY_WRITE_RETENTION  /* the rule of a namespace for its history */
};

/* How much of what was overwritten this store keeps, of one namespace. No part of the root. */
struct parley_retention {
    uint32_t
        versions;    /* of one register, 0 to PARLEY_HISTORY_PER_REGISTER_MAX; 16 without a rule */
    uint64_t age_us; /* since it was overwritten; 0: any */
};

/* The source of a change that was held: a peer sent it, and may have lost it since. */
#define PARLEY_SOURCE_FORGOTTEN UINT32_MAX

/* What became of one write; filled by parley_db_apply. */
enum parley_verdict {
    PARLEY_VERDICT_NONE = 0, /* not a version */
    PARLEY_VERDICT_NEW,      /* the register did not exist */
    PARLEY_VERDICT_UPDATED,  /* replaced an older version, which went to history */
    PARLEY_VERDICT_SAME,     /* already known: nothing written */
    PARLEY_VERDICT_LOST,     /* older than what is here: in history, unless that is full of newer */
    PARLEY_VERDICT_HELD      /* stamp too far in the future: held until its time comes */
};

struct parley_write {
    enum parley_write_kind kind;
    uint32_t source; /* peer number the version came from; 0: written here */
    union {
        struct parley_version version;
        struct {
            uint32_t peer;
            struct parley_incarnation incarnation;
            parley_seq seq;
        } cursor;
        struct {
            struct parley_span key;   /* 1 to 400 bytes, the first not 0 */
            struct parley_span value; /* at most 64 KiB */
            bool spares_reserve;      /* refused where only the reserve is left */
        } sys;
        struct parley_span line; /* 2 to 512 bytes, the last and only the last a newline */
        struct {
            struct parley_span name_space;
            struct parley_span prefix; /* 1 to PARLEY_ID_BYTES_MAX bytes */
        } view;
        struct {
            struct parley_span name_space;
            uint64_t upto; /* tombstones of this time and before; not in the future */
            bool raise;    /* the floor comes along: such tombstones are not taken any more */
            uint64_t clean;
        } collect;
        parley_seq trash; /* of the version; nothing when it was overwritten, a tombstone or a
                             purge */
        struct parley_span untrash; /* the key of a struct parley_trash_key */
        struct {
            struct parley_span name_space;
            struct parley_retention rule;
        } retention;
    } u;
    /* Results. */
    enum parley_verdict verdict;
    bool conversation_created;
    uint64_t stamped_time; /* the version's time, also when it was stamped here */
    uint32_t moved;        /* COLLECT, TRASH, UNTRASH: versions; of a purge: what it erased */
    bool more;             /* COLLECT: tombstones are left */
};

/* Checks the shape of writes, as parley_db_apply does: what fails here fails there with EINVAL, and
 * takes its whole batch along. `diag` (may be NULL) names field and limit. Pure; any thread.
 * Errors: EINVAL. */
PARLEY_API PARLEY_MUST_USE parley_err parley_writes_check(const struct parley_write *writes,
                                                          size_t count, struct parley_diag *diag);

/* Applies all writes in order, in one durable transaction, or none of them. Duplicates are found in
 * a read transaction first, so a batch that changes nothing commits and writes nothing. Local
 * writes (time 0) get `max(last + 1, now)`. After PARLEY_EIO the outcome is unknown: call
 * parley_db_recover before anything else.
 *
 * Ownership: writes and everything they point at are borrowed for the call; results are filled, and
 *            mean nothing when the call failed. `changed` may be NULL.
 * Errors:    ESTATE (a local write and no local origin), EINVAL (a version fails
 *            parley_version_check: the batch is refused whole), ENOSPC,
 *            EMAPFULL, EIO, EFULL (PARLEY_ORIGINS_MAX, PARLEY_NAMESPACES_MAX, PARLEY_VIEWS_MAX),
 *            ENOMEM, ECORRUPT
 * Threads:   the writer's. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_apply(struct parley_db *db,
                                                      struct parley_write *writes, size_t count,
                                                      parley_wall now, bool *changed);

/* All lines of the ledger of this place, whatever became of the store. `cap` of
 * PARLEY_LEDGER_BYTES_MAX holds them all. Errors: EIO, EACCESS. Threads: the writer's. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_ledger(struct parley_db *db, uint8_t *out,
                                                       size_t cap, size_t *len);

/* Whole lines in the place of all that the ledger has: without those that say nothing any more. A
 * crash leaves the old or the new ones. Errors: EINVAL, EFULL, ENOSPC, EIO. Threads: the writer's.
 */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_ledger_replace(struct parley_db *db,
                                                               const uint8_t *lines, size_t len);

/* Applies held versions whose time has come; `*count` of them. Brings the sets of elements on,
 * drops history as the rules say, lets the store grow its limit and clears stale readers. Call
 * every few seconds from the writer, and again at once while nothing else is to do and `indexed` is
 * below `head`. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_maintain(struct parley_db *db, parley_wall now,
                                                         size_t *count);

/* Reopens the store after EIO and says whether the last acknowledged state is there; until it
 * returned OK, parley_db_apply answers EIO. No read may be open.
 * Errors: ECORRUPT (an acknowledged commit is gone: stay read-only), those of store_open. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_recover(struct parley_db *db);

/* Rewrites the store without the room that is free in it, in place: the same incarnation. A crash
 * leaves the old file or the new one. No read may be open.
 * Errors:  EBUSY (a read is open), ENOSPC (there must be room for both), EIO as parley_db_apply.
 * Threads: the writer's.
 * Cost:    all is read and written once. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_compact(struct parley_db *db);

/* ---- Life ---- */

struct parley_db_options {
    const char *name;                /* passed to env->store_open */
    struct parley_span local_origin; /* origin name of local writes; copied; may be set later */
};

/* Opens or creates. A store that was copied or moved gets a new incarnation, `*renewed` true.
 * Ownership: `env` is borrowed for the life of the db.
 * Errors:    those of store_open; EFORMAT for a newer format; ECORRUPT. `diag` may be NULL. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_open(const struct parley_env *env,
                                                     const struct parley_db_options *options,
                                                     struct parley_db **out, bool *renewed,
                                                     struct parley_diag *diag);
/* Sets the origin of local writes, once, before the first of them. Errors: ETOOBIG, EINVAL. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_set_origin(struct parley_db *db,
                                                           struct parley_span origin);
PARLEY_API void parley_db_close(struct parley_db *db);

/* Room that is kept back, so that what makes room, or says that there is none, still goes through
 * on a full disk. PARLEY_RESERVE_BYTES unless it is set; 0: none.
 *
 * Room on the disk is what the file system has free for this user, and the pages in the store that
 * are free again; room below the size limit of the store is what is left up to it, and the same
 * pages. When the former is below `bytes`, parley_db_apply answers ENOSPC; when the latter is below
 * `bytes`, or a sixteenth of the limit where that is less, EMAPFULL; both as if nothing were left.
 * They are looked at once a batch, if it changes anything.
 *
 * The reserve may be used by a batch that has nothing but these, not counting the leading writes
 * that change nothing:
 *   - VERSION with PARLEY_FLAG_TOMBSTONE or of kind PURGE, written here or elsewhere: a deletion;
 *   - COLLECT, UNTRASH, VIEW_DROP, RETENTION: they remove rows;
 *   - SYS_PUT, SYS_DEL, CURSOR, LEDGER: what the host has to remember of that, small and bounded;
 *     not a SYS_PUT that `spares_reserve`, which tells whether there is room again;
 *   - INDEX beside one of them; it is then left undone when more than a few versions wait for it.
 * What parley_db_maintain does for the sets counts as an ordinary write; held versions whose time
 * has come may use it, since they leave as much room as they take. When the reserve is used up as
 * well, everything is refused that writes.
 *
 * Threads: the writer's. Cost: one statvfs a batch that writes. */
PARLEY_API void parley_db_set_reserve(struct parley_db *db, uint64_t bytes);
/* Whether a batch may not use the reserve. Pure; any thread. */
PARLEY_API bool parley_writes_need_room(const struct parley_write *writes, size_t count);

/* ---- Reading: a snapshot; never held across a wait ---- */

/* Everything a read lends is valid until parley_read_end. The first error of a read sticks. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_begin(struct parley_db *db,
                                                        struct parley_read **out);
PARLEY_API void parley_read_end(struct parley_read *read);

struct parley_db_state {
    struct parley_incarnation incarnation;
    parley_seq head;    /* last sequence used in the change log */
    parley_seq indexed; /* the sets of elements have the versions up to this one */
    uint64_t clock;     /* last time given or merged, microseconds */
    uint64_t held;      /* versions waiting for their time */
    uint64_t file_bytes;
    uint64_t limit_bytes;
    uint32_t readers;      /* reads that are open, this one among them */
    uint32_t reader_slots; /* places in the store's table of readers that are taken or were; they
                              are used again, so this is the most that were open at once */
};
PARLEY_API PARLEY_MUST_USE parley_err parley_read_state(struct parley_read *read,
                                                        struct parley_db_state *out);

struct parley_namespace_info {
    struct parley_span name;
    struct parley_root root; /* root.count is the number of versions */
    uint64_t conversations;  /* with at least one live register */
    uint64_t messages;       /* live */
    uint64_t floor; /* there are no tombstones of this time and before, and none are taken */
    uint64_t clean; /* who was in sync with us last before this may have missed some of them */
};
/* Lists namespaces in number order: pass *position 0 first. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_namespace(struct parley_read *read,
                                                            uint32_t *position,
                                                            struct parley_namespace_info *out,
                                                            bool *found);
PARLEY_API PARLEY_MUST_USE parley_err parley_read_namespace_named(struct parley_read *read,
                                                                  struct parley_span name,
                                                                  struct parley_namespace_info *out,
                                                                  bool *found);

/* A conversation by name, or the next one in id order after `after` (empty: the first). Deleted and
 * empty conversations are skipped by the iteration and found by name with messages 0. */
struct parley_conversation_info {
    struct parley_span id;
    uint64_t number;   /* local, stable */
    uint64_t messages; /* live */
    uint64_t headers;  /* live */
    uint64_t updated;  /* greatest time of any live register, microseconds */
    uint64_t deleted;  /* time of its tombstone, 0 if none */
};
PARLEY_API PARLEY_MUST_USE parley_err parley_read_conversation(struct parley_read *read,
                                                               struct parley_span name_space,
                                                               struct parley_span id,
                                                               struct parley_conversation_info *out,
                                                               bool *found);
PARLEY_API PARLEY_MUST_USE parley_err parley_read_conversation_after(
    struct parley_read *read, struct parley_span name_space, struct parley_span after,
    struct parley_conversation_info *out, bool *found);
/* A conversation of any namespace by its local number, as changes and registers have it; also a
 * deleted or empty one. Not found for a number that was never given. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_conversation_numbered(
    struct parley_read *read, uint64_t number, struct parley_conversation_info *out, bool *found);

/* Registers of one conversation in (kind, id) order, tombstones included. */
struct parley_register_cursor {
    struct parley_read *read;
    uint64_t conversation;
    uint8_t key[PARLEY_ID_BYTES_MAX + 16];
    size_t key_len;
    uint8_t impl[64];
};
PARLEY_API PARLEY_MUST_USE parley_err parley_registers_begin(struct parley_read *read,
                                                             uint64_t conversation,
                                                             struct parley_register_cursor *out);
PARLEY_API PARLEY_MUST_USE parley_err parley_registers_next(struct parley_register_cursor *cursor,
                                                            struct parley_version *out,
                                                            bool *found);
PARLEY_API PARLEY_MUST_USE parley_err parley_read_register(struct parley_read *read,
                                                           uint64_t conversation,
                                                           enum parley_kind kind,
                                                           struct parley_span id,
                                                           struct parley_version *out, bool *found);
/* Overwritten versions of one register, newest first: pass *position 0 first. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_history(struct parley_read *read,
                                                          uint64_t conversation,
                                                          enum parley_kind kind,
                                                          struct parley_span id, uint32_t *position,
                                                          struct parley_version *out, bool *found);

/* The rule for the history of a namespace, also of one that has none or is unknown. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_retention(struct parley_read *read,
                                                            struct parley_span name_space,
                                                            struct parley_retention *out);

/* A register by name, and a place in the order (conversation, kind, id). */
struct parley_register_name {
    uint64_t conversation; /* local number */
    enum parley_kind kind; /* 0: before all registers of the conversation */
    size_t id_len;
    uint8_t id[PARLEY_ID_BYTES_MAX];
};
/* The registers behind `after`, of its conversation: a walk that goes on in a later read. */
PARLEY_API PARLEY_MUST_USE parley_err
parley_registers_begin_after(struct parley_read *read, const struct parley_register_name *after,
                             struct parley_register_cursor *out);
/* Moves `*name` to the next register that has overwritten versions, in any namespace; pass it
 * zeroed first, or with kind 0 to begin with a conversation. A walk may go on in a later read. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_lost_after(struct parley_read *read,
                                                             struct parley_register_name *name,
                                                             bool *found);

/* A version whose time has not come, and the peer number it came from. */
struct parley_held {
    uint32_t source;
    struct parley_version version;
};
struct parley_held_position {
    size_t len;
    uint8_t key[32];
};
/* Lists held versions, the earliest first: pass *position zeroed first. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_held(struct parley_read *read,
                                                       struct parley_held_position *position,
                                                       struct parley_held *out, bool *found);

/* What PARLEY_WRITE_TRASH took out: neither current nor history; local, and kept until it is
 * dropped. A place in the trash; zeroed: before all. */
struct parley_trash_key {
    size_t len;
    uint8_t bytes[PARLEY_ID_BYTES_MAX + 32];
};
/* Moves `*key` to the next version in the trash, in the order (conversation, kind, id, time). */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_trash_after(struct parley_read *read,
                                                              struct parley_trash_key *key,
                                                              struct parley_version *out,
                                                              bool *found);
PARLEY_API PARLEY_MUST_USE parley_err parley_read_trash_count(struct parley_read *read,
                                                              uint64_t *count);

/* The change log: live entries with a sequence above `after`, in order. */
struct parley_change {
    parley_seq seq;
    uint32_t source; /* peer number it came from; 0: written here; or PARLEY_SOURCE_FORGOTTEN */
    struct parley_version version;
    uint8_t digest[PARLEY_DIGEST_BYTES];
};
struct parley_feed {
    struct parley_read *read;
    parley_seq after;
    bool started;
    uint8_t impl[64];
};
PARLEY_API PARLEY_MUST_USE parley_err parley_feed_begin(struct parley_read *read, parley_seq after,
                                                        struct parley_feed *out);
PARLEY_API PARLEY_MUST_USE parley_err parley_feed_next(struct parley_feed *feed,
                                                       struct parley_change *out, bool *found);
/* The live change with exactly this sequence number; not found when it was overwritten since. What
 * a reader at `after` has still to see is at most `state.head - after` changes. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_change(struct parley_read *read, parley_seq seq,
                                                         struct parley_change *out, bool *found);

/* The local number of the conversation that this change is in, read without anything else. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_change_conversation(struct parley_read *read,
                                                                      parley_seq seq,
                                                                      uint64_t *conversation,
                                                                      bool *found);
/* parley_registers_next, with what the change log has of each version. */
PARLEY_API PARLEY_MUST_USE parley_err parley_registers_next_change(
    struct parley_register_cursor *cursor, struct parley_change *out, bool *found);

/* parley_read_register, with what the change log has of the version. */
PARLEY_API PARLEY_MUST_USE parley_err
parley_read_register_change(struct parley_read *read, uint64_t conversation, enum parley_kind kind,
                            struct parley_span id, struct parley_change *out, bool *found);

/* Would merging a version with this stamp and digest change anything here? `stamp` needs no body.
 * False for a loser that is in history or older than all of it, and for a version that is held:
 * sending it again changes nothing. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_wants(struct parley_read *read,
                                                        const struct parley_version *stamp,
                                                        const uint8_t digest[PARLEY_DIGEST_BYTES],
                                                        bool *wanted);

/* ---- Elements: current versions as a set, for reconciliation ----
 * The sets follow the change log: what was written in bulk comes into them a little later (see
 * `indexed`), what was overwritten leaves them at once. */

/* Which versions are meant. */
struct parley_set {
    struct parley_span name_space;
    struct parley_span
        prefix;      /* of conversation ids; empty: all. Else there must be a READY view of
                              it, or the read fails with ESTATE */
    bool tombstones; /* of them only those */
};
struct parley_element {
    struct parley_point point;
    parley_seq seq; /* of its version in the change log */
};
struct parley_elements {
    struct parley_read *read;
    uint32_t space; /* local number of the set; 0: at the end */
    uint8_t impl[64];
};
/* Elements at or above `from` in order; of an unknown namespace none. */
PARLEY_API PARLEY_MUST_USE parley_err parley_elements_begin(struct parley_read *read,
                                                            const struct parley_set *set,
                                                            const struct parley_point *from,
                                                            struct parley_elements *out);
PARLEY_API PARLEY_MUST_USE parley_err parley_elements_next(struct parley_elements *elements,
                                                           struct parley_element *out, bool *found);
/* Elements below `below` (NULL: all), the greatest first: to be taken with parley_elements_prev. */
PARLEY_API PARLEY_MUST_USE parley_err parley_elements_begin_below(struct parley_read *read,
                                                                  const struct parley_set *set,
                                                                  const struct parley_point *below,
                                                                  struct parley_elements *out);
PARLEY_API PARLEY_MUST_USE parley_err parley_elements_prev(struct parley_elements *elements,
                                                           struct parley_element *out, bool *found);

/* Runs of neighbouring elements: some tens each, as they are stored together. */
struct parley_run {
    struct parley_point lower; /* not above the first of them, above all of the run before */
    struct parley_root root;   /* their number and the sum of their digests */
};
struct parley_runs {
    struct parley_read *read;
    uint32_t space; /* local number of the set; 0: at the end */
    uint8_t impl[160];
};
PARLEY_API PARLEY_MUST_USE parley_err parley_runs_begin(struct parley_read *read,
                                                        const struct parley_set *set,
                                                        const struct parley_point *from,
                                                        struct parley_runs *out);
/* The next run that is not empty, as far as it lies below `to` (NULL: no bound); a later call, with
 * a greater `to`, goes on from there. Cost: 50 ns; 1 us where `from` or `to` cuts a run. */
PARLEY_API PARLEY_MUST_USE parley_err parley_runs_next(struct parley_runs *runs,
                                                       const struct parley_point *to,
                                                       struct parley_run *out, bool *found);

/* ---- Views: the elements of those conversations of a namespace whose id begins so ---- */

enum parley_view_state {
    PARLEY_VIEW_NONE = 0,
    PARLEY_VIEW_BUILDING, /* go on with PARLEY_WRITE_VIEW */
    PARLEY_VIEW_READY,
    PARLEY_VIEW_DROPPING /* go on with PARLEY_WRITE_VIEW_DROP */
};
PARLEY_API PARLEY_MUST_USE parley_err parley_read_view(struct parley_read *read,
                                                       struct parley_span name_space,
                                                       struct parley_span prefix,
                                                       enum parley_view_state *out);
struct parley_view_info {
    struct parley_span name_space;
    struct parley_span prefix;
    enum parley_view_state state;
};
/* Lists all views: pass *position 0 first. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_views(struct parley_read *read,
                                                        uint64_t *position,
                                                        struct parley_view_info *out, bool *found);

/* The cursor held for a peer's change log. */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_cursor(struct parley_read *read, uint32_t peer,
                                                         struct parley_incarnation *incarnation,
                                                         parley_seq *seq, bool *found);

/* Records of the node. _after gives the first key greater than `after` that begins with `prefix`.
 * */
PARLEY_API PARLEY_MUST_USE parley_err parley_read_sys(struct parley_read *read,
                                                      struct parley_span key,
                                                      struct parley_span *value, bool *found);
PARLEY_API PARLEY_MUST_USE parley_err parley_read_sys_after(struct parley_read *read,
                                                            struct parley_span prefix,
                                                            struct parley_span after,
                                                            struct parley_span *key,
                                                            struct parley_span *value, bool *found);

/* ---- Proof of health ---- */

struct parley_check_report {
    uint64_t versions, conversations, messages, history, held, trash;
    uint64_t problems;            /* everything found, also what is not listed */
    struct parley_diag first[16]; /* the first of them, readable */
};
/* Walks everything and checks every invariant: checksums, digests, indexes, counts, roots, log
 * order. Reads one snapshot; any thread. Problems are in the report, not in the error. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_check(struct parley_db *db,
                                                      struct parley_check_report *out);

/* Where a scrub is, and what it has found; zeroed: at the beginning. Not stored: it begins anew
 * after a restart. */
struct parley_scrub {
    uint64_t rows;            /* read so far */
    uint64_t passes;          /* ends of the store reached */
    uint64_t problems;        /* rows that are damaged; again in each pass */
    struct parley_diag first; /* the first of them, readable; empty: none */
    uint32_t table;           /* the place */
    size_t key_len;
    uint8_t key[PARLEY_STORE_KEY_BYTES_MAX];
};
/* Proves the next rows, each by itself: its checksum, the digest of a version, the other end of
 * what it names; a few MiB at most. Call it now and then, and all that is stored is read again and
 * again; what only one look at everything can show is left to parley_db_check. Reads one snapshot;
 * any thread. Problems are in `scrub`, not in the error. */
PARLEY_API PARLEY_MUST_USE parley_err parley_db_scrub(struct parley_db *db,
                                                      struct parley_scrub *scrub, uint32_t rows);

#ifdef __cplusplus
}
#endif

#endif
