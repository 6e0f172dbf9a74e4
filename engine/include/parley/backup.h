/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: everything that makes a node out of a store, as a stream of blocks, taken while it is
 * written to; and a store made from such a stream. No file is opened here: bytes in, bytes out.
 * docs/STORAGE.md has the format, docs/decisions/0009 why it is not a copy of the pages.
 *
 * A backup is taken block by block, each from a snapshot of its own: a place says where the next
 * one begins, and nothing is held in between. Versions merge, so what changed meanwhile comes again
 * later in the stream. What was acknowledged before the first block is in the backup, and what a
 * restore makes of it passes parley_db_check.
 *
 * Taking:    a zeroed place -> { parley_read_begin, parley_backup_next, parley_read_end } until
 *            `done`. Any thread with a read; whoever keeps place and blocks can go on later.
 * Restoring: parley_restore_open over an empty db -> parley_restore_push -> parley_restore_finish
 *            -> parley_restore_close. The writer's thread.
 * Checking:  the same without a db.
 */
#ifndef PARLEY_BACKUP_H
#define PARLEY_BACKUP_H

#include <parley/db.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_BACKUP_FORMAT       1u
#define PARLEY_BACKUP_DIGEST_BYTES 32

/* Where the next block begins, and the digest of all before; opaque. Zeroed: the beginning. */
#define PARLEY_BACKUP_PLACE_BYTES_MAX 544
struct parley_backup_place {
    size_t len;
    uint8_t bytes[PARLEY_BACKUP_PLACE_BYTES_MAX];
};

struct parley_backup_options {
    /* The prefix of those records of the node that are written once and in order, like a log, at
     * most PARLEY_BACKUP_JOURNAL_BYTES_MAX bytes; may be empty. Of them those are taken that the
     * first snapshot has, and all that sort before them are of that snapshot. */
    struct parley_span journal;
    parley_wall now; /* noted in the backup */
};

/* Writes the next block and moves `place` behind it. *done: it was the last one.
 *
 * Errors: EFULL (`cap` is too small for this block: *len says how many bytes it takes; nothing is
 *         written, the place stays, and the read is as good as before), EINVAL (no place, or a
 *         prefix that is too long), ESTATE (a place of another incarnation: begin anew), and those
 *         of the read.
 * Cost:   some 256 KiB are read, copied and hashed, or one version that is longer. */
PARLEY_API PARLEY_MUST_USE parley_err parley_backup_next(
    struct parley_read *read, const struct parley_backup_options *options,
    struct parley_backup_place *place, uint8_t *out, size_t cap, size_t *len, bool *done);

/* ---- Reading a backup ---- */

struct parley_restore;

enum parley_restore_mode {
    PARLEY_RESTORE_SKIM,   /* only the digests of blocks: to go on with a backup */
    PARLEY_RESTORE_VERIFY, /* and each record in them */
    PARLEY_RESTORE_STORE   /* and each goes into the db */
};

struct parley_backup_report {
    struct parley_incarnation incarnation; /* of the store that the backup was taken from */
    parley_wall taken_at;                  /* when its first block was */
    uint64_t bytes;                        /* of whole blocks so far */
    uint64_t records;                      /* what follows is not counted by SKIM */
    uint64_t versions, history, trash, held;
    bool complete;                              /* the last block was there */
    uint8_t digest[PARLEY_BACKUP_DIGEST_BYTES]; /* of all so far */
};

/* `db` must be empty, and nobody else's until the restore is over; NULL unless the mode is STORE.
 * Ownership: `env` and `db` are borrowed until parley_restore_close.
 * Errors:    EBUSY (the db is not empty), ENOMEM, those of parley_read_begin. */
PARLEY_API PARLEY_MUST_USE parley_err parley_restore_open(const struct parley_env *env,
                                                          struct parley_db *db,
                                                          enum parley_restore_mode mode,
                                                          struct parley_restore **out);
/* Takes the next bytes, as many as come. The first failure is final; `diag` (may be NULL) then says
 * at which byte and why. What went into the db before is not a whole node: drop that store.
 * Errors: EMALFORMED, EVERSION (of a newer parley), and those of parley_db_apply. */
PARLEY_API PARLEY_MUST_USE parley_err parley_restore_push(struct parley_restore *restore,
                                                          const uint8_t *bytes, size_t len,
                                                          struct parley_diag *diag);
/* After all bytes: the backup is whole. With a db the sets of elements and the views are made.
 * Errors: EMISSING (the end is not there: an interrupted backup), and as of push. */
PARLEY_API PARLEY_MUST_USE parley_err parley_restore_finish(struct parley_restore *restore,
                                                            struct parley_diag *diag);
/* What was read so far; also after a failure. */
PARLEY_API void parley_restore_report(const struct parley_restore *restore,
                                      struct parley_backup_report *out);
/* The place behind the last whole block, for parley_backup_next to go on from. */
PARLEY_API void parley_restore_place(const struct parley_restore *restore,
                                     struct parley_backup_place *out);
/* Forgets what came behind the last whole block, a failure there too: push goes on with the byte at
 * report.bytes. For SKIM: to cut a torn end off. */
PARLEY_API void parley_restore_rewind(struct parley_restore *restore);
/* NULL is allowed. */
PARLEY_API void parley_restore_close(struct parley_restore *restore);

#ifdef __cplusplus
}
#endif

#endif
