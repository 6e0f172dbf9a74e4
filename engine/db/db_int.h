/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of engine/db share: the db itself, a view of one transaction with its current
 * namespace and conversation, and the steps of a merge.
 *
 *   db.c       open, recover, close, buffers          view.c     look-ups and interning
 *   merge.c    what a version would do (writes nothing)   history.c  the losers of one register
 *   apply.c    batches of writes                      winner.c   a winner goes in
 *   read.c, feed.c, lost.c  the reading API           verify.c   parley_db_check
 *   element.c  sets of live versions                  subset.c   which sets a version belongs to
 *   index.c    when versions come into the sets       collect.c  tombstones go for good, the trash
 *   upgrade.c  stores of older formats        purge.c    a conversation is erased
 *   retain.c   how much history is kept        scrub.c    parley_db_scrub
 *   backup_int.h  backups
 */
#ifndef PL_DB_INT_H
#define PL_DB_INT_H

#include <parley/db.h>

#include "core/key.h"
#include "db/record.h"
#include "store/store.h"

#define PL_DB_FORMAT              4u
#define PL_DB_FORMAT_OLDEST       1u /* that pl_db_upgrade knows */
#define PL_DB_SYS_KEY_BYTES_MAX   400
#define PL_DB_SYS_VALUE_BYTES_MAX (64u << 10)
#define PL_DB_LINE_BYTES_MAX      512
/* Tombstones that one write collects: bounds its transaction. */
#define PL_DB_COLLECT_MAX PL_LIMIT(1024u, 5u)
/* The number of the set of a namespace's tombstones, from that of the namespace. */
#define PL_SPACE_TOMBSTONES 0x80000000u
/* Entries of the writer's origin cache: a batch rarely names more writers. */
#define PL_DB_ORIGIN_CACHE 64
/* What the writer's buffers keep between batches; a larger one is given back. */
#define PL_DB_BUFFER_KEEP_BYTES (256u << 10)

/* A buffer from env, grown on demand. */
struct pl_buffer {
    uint8_t *ptr;
    size_t cap;
};

struct pl_origin_entry {
    uint32_t number; /* 0: free */
    uint32_t tag;
    uint8_t len;
    uint8_t name[PARLEY_ORIGIN_BYTES_MAX];
};

/* The block of elements last changed, and the range that it covers. */
struct pl_block {
    uint32_t name_space; /* 0: none */
    bool dirty;
    bool bounded; /* by `upper`; else it is the last of its namespace */
    struct parley_point lower, upper;
    struct parley_root root;
    uint8_t elements[PL_BLOCK_ELEMENTS_MAX * PL_ELEMENT_BYTES];
};

/* Blocks kept at once, each of another set, so that a run of versions that belong to a namespace
 * and some of its views still changes each block's rows once. */
#define PL_BLOCKS_OPEN 5u

/* A set of elements has the number of its namespace, and that of a view in the bits above. */
#define PL_SET_SLOT_SHIFT 24u
_Static_assert(PARLEY_NAMESPACES_MAX < 1u << PL_SET_SLOT_SHIFT, "numbers of namespaces must fit");
_Static_assert(PARLEY_VIEWS_MAX < 1u << (31u - PL_SET_SLOT_SHIFT), "so must the slots");
static inline uint32_t pl_set_number(uint32_t name_space, uint32_t slot)
{
    return name_space | slot << PL_SET_SLOT_SHIFT;
}

/* A view (docs/STORAGE.md) is called subset in here, where a view is one of a transaction. */
struct pl_subset {
    uint8_t state; /* enum parley_view_state; NONE: the slot is free */
    uint8_t prefix_len, talk_len, kind, id_len;
    uint8_t prefix[PARLEY_ID_BYTES_MAX];
    uint8_t talk[PARLEY_ID_BYTES_MAX];
    uint8_t id[PARLEY_ID_BYTES_MAX];
};
struct pl_subsets {
    uint32_t name_space;                      /* 0: not loaded */
    uint32_t top;                             /* no slot above it is taken */
    struct pl_subset slots[PARLEY_VIEWS_MAX]; /* by slot - 1 */
};

/* One transaction with the namespace and conversation last looked up. In a write transaction their
 * rows are changed here and written back once, when another takes their place or at the end. Names
 * are lent by the store in a read transaction and copied in a write transaction, where the store
 * lends only until the next put. */
struct pl_view {
    struct pl_txn *txn;
    struct pl_counters counters;     /* writer: the batch's own; reader: of the snapshot */
    struct pl_origin_entry *origins; /* the writer's cache, or NULL */
    struct pl_cursor cursors[PL_TABLE_COUNT];
    uint64_t cursor_owner[PL_TABLE_COUNT]; /* which iterator the cursor stands for; see feed.c */
    bool cursor_open[PL_TABLE_COUNT];

    uint32_t space_number; /* 0: none */
    bool space_dirty;
    struct pl_space_row space;

    uint32_t talk_number; /* 0: none */
    bool talk_dirty;
    bool talk_shrunk; /* `updated` is found anew before the row is written */
    struct pl_talk_row talk;

    uint8_t space_name[PARLEY_NAMESPACE_BYTES_MAX];
    uint8_t talk_id[PARLEY_ID_BYTES_MAX];

    struct pl_block blocks[PL_BLOCKS_OPEN]; /* writers only */
};

/* Where a pass over the history is; see retain.c. */
struct pl_retain {
    struct pl_key at; /* the next row to look at; len 0: the first */
    parley_wall rests_until;
};

struct parley_db {
    const struct parley_env *env;
    struct parley_store *store;
    struct parley_incarnation incarnation;
    size_t local_origin_len;
    uint8_t local_origin[PARLEY_ORIGIN_BYTES_MAX];

    /* The writer's; nobody else reads them. */
    struct pl_counters counters; /* of the last acknowledged commit */
    uint64_t reserve_bytes;      /* parley_db_set_reserve */
    bool counters_known;
    bool uncertain;        /* a commit failed with an unknown outcome */
    bool without_elements; /* see measure.h: the sets are never made */
    bool local_written;
    struct pl_view view;
    struct pl_subsets subsets; /* of the namespace last written to in this transaction */
    struct pl_retain retain;
    struct pl_buffer record;   /* the row being built */
    struct pl_buffer incoming; /* a held version on its way in */
    struct pl_buffer entries;  /* on their way into the sets */
    struct pl_origin_entry origins[PL_DB_ORIGIN_CACHE];
};

/* ---- db.c ---- */

PL_MUST_USE parley_err pl_db_room(const struct parley_db *db, struct pl_buffer *buffer, size_t len);
PL_MUST_USE parley_err pl_db_write_counters(struct pl_txn *txn, const struct pl_counters *counters);
/* Loads the counters of the snapshot. Errors: ECORRUPT. */
PL_MUST_USE parley_err pl_db_read_counters(struct pl_txn *txn, struct pl_counters *out);
PL_MUST_USE parley_err pl_db_write_format(struct pl_txn *txn);
/* The beginning of a key, for people. */
void pl_db_write_hex(struct pl_writer *w, struct parley_span bytes);

/* Tells the witness what was committed last. */
void pl_db_testify(struct parley_db *db);

/* ---- upgrade.c ---- */

/* Makes a store of an older format one of ours, in steps: a crash begins it anew. */
PL_MUST_USE parley_err pl_db_upgrade(struct parley_db *db, uint32_t format);

/* ---- view.c ---- */

void pl_view_init(struct pl_view *view, struct pl_txn *txn);
/* The view's cursor of a table, opened on first use and shared: seek before use. */
PL_MUST_USE parley_err pl_view_cursor(struct pl_view *view, enum pl_table t,
                                      struct pl_cursor **out);
PL_MUST_USE parley_err pl_view_find_space(struct pl_view *view, struct parley_span name,
                                          bool *found);
PL_MUST_USE parley_err pl_view_find_talk(struct pl_view *view, struct parley_span id, bool *found);
PL_MUST_USE parley_err pl_view_find_numbered(struct pl_view *view, uint32_t number, bool *found);
/* By number, for readers: the row must exist, else ECORRUPT. */
PL_MUST_USE parley_err pl_view_get_space(struct pl_view *view, uint32_t number);
PL_MUST_USE parley_err pl_view_get_talk(struct pl_view *view, uint32_t number);
PL_MUST_USE parley_err pl_view_get_origin(struct pl_view *view, uint32_t number,
                                          struct pl_origin_row *out);
/* The tag of an origin name and its number, 0 when it has none yet. */
PL_MUST_USE parley_err pl_view_find_origin(struct pl_view *view, struct parley_span name,
                                           uint32_t *number, uint32_t *tag);
/* Writers only: find or create, and write back what changed. */
PL_MUST_USE parley_err pl_view_intern_space(struct pl_view *view, struct parley_span name);
PL_MUST_USE parley_err pl_view_intern_talk(struct pl_view *view, struct parley_span id,
                                           bool *created);
PL_MUST_USE parley_err pl_view_intern_origin(struct pl_view *view, struct parley_span name,
                                             uint32_t tag, uint32_t *number);
PL_MUST_USE parley_err pl_view_flush(struct pl_view *view);
/* The live version that a register row names; checks that they agree. Errors: ECORRUPT. */
PL_MUST_USE parley_err pl_view_get_version(struct pl_view *view, uint32_t talk, uint8_t kind,
                                           struct parley_span id, const struct pl_register_row *row,
                                           struct pl_record *out);

/* ---- history.c ---- */

enum pl_history_place {
    PL_HISTORY_KNOWN,  /* this version is there already */
    PL_HISTORY_ROOM,   /* it would be kept */
    PL_HISTORY_FULL,   /* it would be kept in place of the oldest */
    PL_HISTORY_TOO_OLD /* older than everything kept, and no room */
};
/* Where a loser belongs; `*oldest` is set for FULL. */
PL_MUST_USE parley_err pl_history_find_place(struct pl_view *view, const struct pl_key *key,
                                             size_t prefix_len, enum pl_history_place *place,
                                             struct pl_key *oldest);
/* Keeps a loser, dropping the oldest when there are too many. `record`'s spans are copied before
 * anything is written. */
PL_MUST_USE parley_err pl_history_add(struct parley_db *db, struct pl_view *view,
                                      const struct pl_record *record);

enum pl_history_standing {
    PL_HISTORY_GONE,  /* at or below `gone` of its namespace: what it lost to may be collected */
    PL_HISTORY_LOSES, /* to the live version, or to the tombstone of its conversation */
    PL_HISTORY_WINS,  /* over the live version */
    PL_HISTORY_ALONE  /* there is none */
};
/* How a version in the history of the current conversation stands to what is live; WINS and ALONE
 * may not be. */
PL_MUST_USE parley_err pl_history_stand(struct pl_view *view, const struct pl_record *record,
                                        enum pl_history_standing *out);

/* ---- merge.c ---- */

/* A version on its way in. */
struct pl_candidate {
    const struct parley_version *version;
    struct pl_stamp stamp;
    uint32_t origin; /* its number, 0: not interned yet */
    bool has_body;   /* false: only the digest is known */
    bool has_digest;
    uint8_t digest[PARLEY_DIGEST_BYTES];
};

struct pl_decision {
    enum parley_verdict verdict;
    bool writes;  /* false: applying it would change no row */
    bool has_old; /* `old` is the register it replaces */
    struct pl_register_row old;
};

/* The digest, computed at most once. */
const uint8_t *pl_merge_digest(struct pl_candidate *candidate);
/* Says what merging would do. `now` NULL: it is never held, as a local write. */
PL_MUST_USE parley_err pl_merge_decide(struct pl_view *view, struct pl_candidate *candidate,
                                       const parley_wall *now, struct pl_decision *out);

/* ---- winner.c ---- */

/* Carries out a decision that writes, of a write whose results say what came of it. */
PL_MUST_USE parley_err pl_winner_store(struct parley_db *db, struct pl_view *view,
                                       struct pl_candidate *candidate, struct parley_write *w,
                                       const struct pl_decision *decision);
/* Where a live version that leaves is kept. */
enum pl_keep { PL_KEEP_HISTORY, PL_KEEP_TRASH, PL_KEEP_NOWHERE };
/* Takes the live version of a register out of root, counts, sets and log. Its register row is the
 * caller's to replace or delete. */
PL_MUST_USE parley_err pl_winner_retire(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                        struct parley_span id, const struct pl_register_row *row,
                                        enum pl_keep keep);

/* ---- collect.c ---- */

/* Of the namespace with this number; zeros when nothing was collected yet. */
PL_MUST_USE parley_err pl_collect_read_floor(struct pl_view *view, uint32_t name_space,
                                             struct pl_floor_row *out);
/* Keeps a version in the trash. `record`'s spans are copied before anything is written. */
PL_MUST_USE parley_err pl_collect_keep(struct parley_db *db, struct pl_view *view,
                                       const struct pl_record *record);
/* So many versions have left the trash. */
PL_MUST_USE parley_err pl_collect_forget(struct pl_view *view, uint64_t versions);
/* Carry out one write, or, with `write` false, only say in *known that it would change nothing. */
PL_MUST_USE parley_err pl_collect_apply(struct parley_db *db, struct pl_view *view,
                                        struct parley_write *w, bool write, bool *known);
PL_MUST_USE parley_err pl_collect_trash(struct parley_db *db, struct pl_view *view,
                                        struct parley_write *w, bool write, bool *known);
PL_MUST_USE parley_err pl_collect_untrash(struct pl_view *view, struct parley_write *w, bool write,
                                          bool *known);

PL_MUST_USE parley_err pl_collect_write_floor(struct pl_view *view, const struct pl_floor_row *row);

/* ---- purge.c ---- */

/* The stamp of a conversation's purge; time 0: none. */
PL_MUST_USE parley_err pl_purge_find(struct pl_view *view, uint32_t talk, struct pl_stamp *out);
/* Whether a version of the current conversation is nothing because of one (M7). */
PL_MUST_USE parley_err pl_purge_covers(struct pl_view *view, uint8_t kind, struct pl_stamp stamp,
                                       bool *out);
/* Deletes what is not live of the current conversation, up to a stamp: from history, trash and
 * hold. `*count` grows by that. */
PL_MUST_USE parley_err pl_purge_erase(struct pl_view *view, struct pl_stamp upto, uint32_t *count);

/* ---- retain.c ---- */

/* What a step has found to delete, and where the pass is then. */
#define PL_RETAIN_STEP PL_LIMIT(256u, 3u)
struct pl_retain_gone {
    struct pl_retain next;
    size_t count;
    struct pl_key keys[PL_RETAIN_STEP + PARLEY_HISTORY_PER_REGISTER_MAX];
};

/* The rule of a namespace. */
PL_MUST_USE parley_err pl_retain_find(struct pl_view *view, uint32_t name_space,
                                      struct parley_retention *out);
PL_MUST_USE parley_err pl_retain_apply(struct parley_db *db, struct pl_view *view,
                                       struct parley_write *w, bool write, bool *known);
bool pl_retain_is_due(const struct parley_db *db, parley_wall now);
/* Reads; then drop what was found in a write transaction, and take `next` when it is durable. */
PL_MUST_USE parley_err pl_retain_look(struct parley_db *db, parley_wall now,
                                      struct pl_retain_gone *gone);
PL_MUST_USE parley_err pl_retain_drop(struct pl_view *view, const struct pl_retain_gone *gone);

/* ---- apply.c: what a restore writes, which is not all in the words of db.h ---- */

/* Begins the writer's transaction; db->view is in it. */
PL_MUST_USE parley_err pl_apply_begin(struct parley_db *db);
/* One write in it, checked as parley_db_apply does. */
PL_MUST_USE parley_err pl_apply_write(struct parley_db *db, struct parley_write *write);
/* Commits, or with an error undoes all of it. Returns that error, or that of the commit. */
PL_MUST_USE parley_err pl_apply_end(struct parley_db *db, parley_err err);

/* ---- element.c ---- */

/* The element of a live version comes or goes, that of a tombstone in both sets. Puts of other
 * blocks end what the store has lent.
 * Errors: ECORRUPT (it was there already, or is not there). */
PL_MUST_USE parley_err pl_element_add(struct pl_view *view, uint32_t set,
                                      const struct parley_point *point, parley_seq seq);
PL_MUST_USE parley_err pl_element_remove(struct pl_view *view, uint32_t set,
                                         const struct parley_point *point);
PL_MUST_USE parley_err pl_element_flush(struct pl_view *view);
/* Deletes up to `blocks` blocks of a set; *done: there are no more. */
PL_MUST_USE parley_err pl_element_clear(struct pl_view *view, uint32_t set, uint32_t blocks,
                                        bool *done);
void pl_element_point(struct parley_point *out, uint64_t time,
                      const uint8_t digest[PARLEY_DIGEST_BYTES]);

/* ---- index.c ---- */

/* Puts the versions behind `indexed` into the sets, about `max` elements; ends what the store has
 * lent. */
PL_MUST_USE parley_err pl_index_step(struct parley_db *db, struct pl_view *view, uint64_t max);
/* ---- subset.c ---- */

/* The sets that a version of the current conversation belongs to: that of the namespace, and those
 * of its views that have come so far; a tombstone also to that of the tombstones of each. */
#define PL_SETS_MAX (2u * (1u + PARLEY_VIEWS_MAX))
PL_MUST_USE parley_err pl_subset_list(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                      struct parley_span id, uint32_t flags,
                                      uint32_t sets[PL_SETS_MAX], uint32_t *count);
/* It leaves all of them. */
PL_MUST_USE parley_err pl_subset_remove(struct parley_db *db, struct pl_view *view, uint8_t kind,
                                        struct parley_span id, uint32_t flags, uint64_t time,
                                        const uint8_t digest[PARLEY_DIGEST_BYTES]);
/* One step of making or dropping a view. *known: there is nothing to do, as is found out also in a
 * read transaction, with `write` false. */
PL_MUST_USE parley_err pl_subset_make(struct parley_db *db, struct pl_view *view,
                                      struct parley_span name_space, struct parley_span prefix,
                                      bool write, bool *known);
PL_MUST_USE parley_err pl_subset_drop(struct parley_db *db, struct pl_view *view,
                                      struct parley_span name_space, struct parley_span prefix,
                                      bool write, bool *known);
/* The slot of a view of the current namespace and its state; 0 and NONE. */
PL_MUST_USE parley_err pl_subset_find(struct pl_view *view, struct parley_span prefix,
                                      uint8_t *slot, enum parley_view_state *state);
/* Whether a view has come to this register of a conversation whose id begins as it wants. */
bool pl_subset_has(const struct pl_subset_row *row, struct parley_span talk, uint8_t kind,
                   struct parley_span id);

/* ---- read.c ---- */

struct parley_read {
    struct parley_db *db;
    parley_err err;
    uint64_t iterators;     /* given so far; owners of shared cursors */
    uint32_t origin_number; /* the origin last looked up; 0: none */
    struct pl_origin_row origin;
    struct pl_view view;
};

PL_MUST_USE parley_err pl_read_keep(struct parley_read *read, parley_err err);
/* Whether there may be a register of this name: it must not reach a key otherwise. */
bool pl_read_is_register_name(uint64_t conversation, enum parley_kind kind, struct parley_span id);
PL_MUST_USE parley_err pl_read_find_register(struct parley_read *read, uint32_t conversation,
                                             uint8_t kind, struct parley_span id,
                                             struct pl_record *out, parley_seq *seq, bool *found);
/* feed.c: moves to the entry after the iterator's last one, the first at or above `from`. */
PL_MUST_USE parley_err pl_read_advance(struct parley_read *read, enum pl_table t, uint64_t owner,
                                       struct parley_span from, struct parley_span *key,
                                       struct parley_span *value, bool *found);
/* Names in full. Moves the view to the record's conversation. */
PL_MUST_USE parley_err pl_read_lend(struct parley_read *read, const struct pl_record *record,
                                    struct parley_version *out);

#endif
