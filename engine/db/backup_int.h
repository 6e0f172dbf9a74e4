/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a backup, as both sides have them; docs/STORAGE.md, "The backup", is their
 * description.
 *
 *   stream = magic, blocks
 *   block  = u32 bytes of records, records, u16 bytes of place, place, digest
 *   record = u8 type, u32 bytes, body
 *
 *   backup.c         from a store into blocks      backup_record.c  records and places, both ways
 *   restore.c        from bytes to records         restore_store.c  from records into a store
 *
 * The digest of a block is SHA-256 over that of the block before and the bytes of this one, so the
 * last one vouches for all, and each shows at once what was changed, lost or put in.
 */
#ifndef PL_BACKUP_INT_H
#define PL_BACKUP_INT_H

#include <parley/backup.h>

#include "base/reader.h"
#include "core/hash.h"
#include "db/db_int.h"

#define PL_BACKUP_MAGIC         "\x89parley\n"
#define PL_BACKUP_MAGIC_BYTES   8
#define PL_BACKUP_RECORD_BYTES  5 /* in front of a body */
#define PL_BACKUP_KEY_BYTES_MAX 400
/* Keys of a journal are its prefix and a number. */
#define PL_BACKUP_LAST_BYTES_MAX (PARLEY_BACKUP_JOURNAL_BYTES_MAX + 8)
/* A version's body in a record: all but the body of the version itself. */
#define PL_BACKUP_VERSION_HEAD_BYTES_MAX                                                           \
    (14 + 4 + PARLEY_NAMESPACE_BYTES_MAX + 2 * PARLEY_ID_BYTES_MAX + PARLEY_ORIGIN_BYTES_MAX)

_Static_assert(PARLEY_BODY_BYTES_MAX + PL_BACKUP_VERSION_HEAD_BYTES_MAX + PL_BACKUP_RECORD_BYTES <=
                   PL_BACKUP_PAYLOAD_BYTES_MAX,
               "any version must fit a block");

enum pl_backup_type {
    PL_BACKUP_HEAD = 1,
    PL_BACKUP_SYS = 2,
    PL_BACKUP_CURSOR = 3,
    PL_BACKUP_FLOOR = 4,
    PL_BACKUP_VIEW = 5,
    PL_BACKUP_HELD = 6,
    PL_BACKUP_TRASH = 7,
    PL_BACKUP_LIVE = 8,
    PL_BACKUP_LOST = 9,
    PL_BACKUP_RAISED = 10,
    PL_BACKUP_END = 11,
    PL_BACKUP_RETENTION = 12
};

/* The order of a backup. Each phase is a walk of one table in the order of its keys.
 *   B1  SYS and HELD come before the change log: what a cursor says is applied, and what is
 *       released meanwhile, is in the log when that is walked to its end.
 *   B2  TRASH comes before the log, for what an operator writes anew meanwhile, and again after it,
 *       for what is taken out of the log meanwhile.
 *   B3  LOG ends with a snapshot that has nothing behind the place: the live versions of that
 *       snapshot are then all in the backup, and those that were overwritten since they were
 *       walked lose again when they are merged.
 *   B4  LOST comes after the log: each one finds what it lost to.
 *   B5  Floors come before the log, so that all tombstones of the log count, and as they are at the
 *       end again: what was collected meanwhile is collected by a restore too, after all has been
 *       merged. A node that lacks tombstones must have a floor that says so. */
enum pl_backup_phase {
    PL_BACKUP_BEGIN = 0,
    PL_BACKUP_WALK_SYS,
    PL_BACKUP_WALK_VIEWS,
    PL_BACKUP_WALK_HOLD,
    PL_BACKUP_WALK_TRASH,
    PL_BACKUP_WALK_LOG,
    PL_BACKUP_WALK_HISTORY,
    PL_BACKUP_WALK_TRASH_AGAIN,
    PL_BACKUP_WALK_FLOORS_AGAIN,
    PL_BACKUP_FINISH,
    PL_BACKUP_DONE
};

/* A place, decoded. */
struct pl_backup_at {
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES]; /* of all blocks before */
    struct parley_incarnation incarnation;
    uint64_t records, bytes; /* before; bytes of records */
    uint8_t phase;
    size_t key_len; /* the last key that was walked in this phase; 0: none */
    uint8_t key[PL_BACKUP_KEY_BYTES_MAX];
    size_t last_len; /* the last key of the journal in the first snapshot; 0: it was empty */
    uint8_t last[PL_BACKUP_LAST_BYTES_MAX];
};
#define PL_BACKUP_AT_BYTES_MAX                                                                     \
    (PARLEY_INCARNATION_BYTES + 8 + 8 + 1 + 2 + PL_BACKUP_KEY_BYTES_MAX + 1 +                      \
     PL_BACKUP_LAST_BYTES_MAX)
_Static_assert(PARLEY_BACKUP_DIGEST_BYTES + PL_BACKUP_AT_BYTES_MAX <= PARLEY_BACKUP_PLACE_BYTES_MAX,
               "a place must fit");
/* What a block has besides its records. */
#define PL_BACKUP_FRAME_BYTES_MAX (4 + 2 + PL_BACKUP_AT_BYTES_MAX + PARLEY_BACKUP_DIGEST_BYTES)

/* One record; spans are lent from the bytes that it was decoded from. */
struct pl_backup_record {
    enum pl_backup_type type;
    union {
        struct {
            uint32_t format;
            struct parley_incarnation incarnation;
            parley_wall taken_at;
            uint64_t head, clock;
        } head;
        struct {
            struct parley_span key, value;
        } sys;
        struct {
            uint32_t peer;
            struct parley_incarnation incarnation;
            parley_seq seq;
        } cursor;
        struct {
            struct parley_span name_space;
            struct pl_floor_row row;
        } floor; /* FLOOR and RAISED */
        struct {
            struct parley_span name_space;
            struct parley_retention rule;
        } retention;
        struct {
            struct parley_span name_space, prefix;
        } view;
        struct {
            uint32_t source;
            struct parley_version version;
        } version; /* HELD, TRASH, LIVE, LOST */
        struct {
            uint64_t records, bytes; /* before it */
            uint64_t clock;
        } end;
    } u;
};

/* The names of the version before, in the same block: they are not written twice. Zeroed at the
 * begin of a block. */
struct pl_backup_names {
    struct parley_span name_space, conversation, origin;
};

/* Bytes of the record with its type and length, if nothing is left out. */
size_t pl_backup_record_bytes(const struct pl_backup_record *record);
/* Appends it; `w` has room for pl_backup_record_bytes (asserted). */
void pl_backup_write_record(struct pl_writer *w, const struct pl_backup_record *record,
                            struct pl_backup_names *names);
/* Takes the next record from `r`. Shape and bounds are checked, of versions by
 * parley_version_check. Errors: EMALFORMED, EVERSION; *why says. */
PL_MUST_USE parley_err pl_backup_read_record(struct pl_reader *r, struct pl_backup_record *out,
                                             struct pl_backup_names *names, const char **why);

/* The place as it stands in a block: without the digest, which follows there. */
void pl_backup_write_at(struct pl_writer *w, const struct pl_backup_at *at);
/* Errors: EMALFORMED. */
PL_MUST_USE parley_err pl_backup_read_at(struct parley_span bytes, struct pl_backup_at *out);
/* The digest of a block, from that of the one before and all its bytes but the digest. */
void pl_backup_chain(uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES], struct parley_span bytes);
/* The digest that the first block follows. */
void pl_backup_genesis(uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES]);

/* ---- restore_store.c ---- */

/* Puts the record into the db, in the transaction that pl_apply_begin has begun. *why when it is
 * refused with EMALFORMED. */
PL_MUST_USE parley_err pl_restore_record(struct parley_db *db,
                                         const struct pl_backup_record *record, const char **why);
/* After the last one: the sets and views. */
PL_MUST_USE parley_err pl_restore_indexes(struct parley_db *db);
/* After those: collects the tombstones of a namespace up to its floor, and raises that. */
PL_MUST_USE parley_err pl_restore_raise(struct parley_db *db, struct parley_span name_space,
                                        const struct pl_floor_row *row);

#endif
