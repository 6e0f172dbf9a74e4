/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sweep runs: a fixed script of everything an engine on LMDB does, in steps. A step that
 * was done leaves the same state in every run, however often it had to be asked for, so that what a
 * run with faults leaves can be compared with one without.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "core/hash.h"
#include "fault/fault.h"
#include "store/store.h"
#include <parley/db.h>

#define SCRIPT_STEPS_MAX  64
#define SCRIPT_WRITES_MAX 260
/* Room of the body of one small message. */
#define SCRIPT_BODY_BYTES 96
#define SCRIPT_LINES      3

/* Lies that a sweep must find out: what an engine could do wrong. */
enum script_lie {
    SCRIPT_LIE_NONE = 0,
    SCRIPT_LIE_EARLY,   /* acknowledges before the transaction is committed, and then it is not */
    SCRIPT_LIE_SWALLOW, /* takes a failed commit for a good one */
    SCRIPT_LIE_HALF,    /* leaves out a put after an error, and commits the rest */
    SCRIPT_LIE_STUCK,   /* says that it has reopened, and has not */
    SCRIPT_LIE_CRASH,   /* ends the program for want of memory */
    SCRIPT_LIE_HANG,    /* tries again for ever */
    SCRIPT_LIE_LEAK,    /* loses memory after an error */
    SCRIPT_LIE_UNNAMED, /* returns a bare errno */
    SCRIPT_LIE_ALARM,   /* calls a store damaged because it could not be read */
    SCRIPT_LIE_LINE,    /* acknowledges a ledger line that was not written */
    SCRIPT_LIE_RENEW,   /* writes a witness of another store */
    SCRIPT_LIE_BLIND,   /* takes a read that failed for one that found nothing */
    SCRIPT_LIE_UNDONE,  /* says that a batch was undone, and has committed it */
    SCRIPT_LIE_INDEX,   /* leaves out a row of the sets, which no read shows */
    SCRIPT_LIE_MOODY,   /* refuses a batch for no reason */
    SCRIPT_LIE_BLAME,   /* says that the request was wrong */
    SCRIPT_LIE_COUNT
};

/* What a lie has to remember, and the operations that tell it (lie.c). */
struct script_lying {
    const struct pl_store_ops *honest;
    struct pl_store_ops ops;
    uint32_t commits;
    bool left_out;
};

/* Numbers of reads, the first from each place in the engine that reads. */
#define SCRIPT_SITES_MAX 2048
struct script_sites {
    uint32_t count;
    uint32_t reads[SCRIPT_SITES_MAX];
    uint64_t hashes[SCRIPT_SITES_MAX];
};

/* Reads of the store that can fail (rows.c). */
struct script_reading {
    struct script_sites *sites; /* to be filled; NULL: not wanted */
    const struct pl_store_ops *sound;
    struct pl_store_ops ops;
};

struct script {
    struct parley_env env;
    struct parley_db *db; /* NULL: not open */
    const char *dir;
    const struct fault *fault; /* borrowed */
    enum script_lie lie;
    struct script_lying lying;
    struct script_reading reading;
    int64_t blocks; /* allocations through the env that are open */
    /* Ledger lines, as bits: acknowledged and not taken out again; ever asked for. */
    uint32_t lines_kept, lines_tried;
    bool renewed; /* an open gave a new incarnation */
    /* What the script must meet: a file that is shorter than its pages, a map that is full. */
    bool lengthened, grown;
    /* The batch of a step. */
    struct parley_write writes[SCRIPT_WRITES_MAX];
    size_t count;
    char ids[SCRIPT_WRITES_MAX][16];
    uint8_t bodies[SCRIPT_WRITES_MAX][SCRIPT_BODY_BYTES];
};

struct script_step {
    const char *name;
    parley_err (*run)(struct script *s, parley_wall now);
    bool loose;   /* more than one transaction: states in between are as good */
    bool local;   /* gives a stamp: when it was done it must not be done again */
    bool reopens; /* is parley_db_recover */
};
extern const struct script_step script_steps[];
extern const size_t script_step_count;

/* `dir` and `fault` are borrowed. Nothing is opened. */
void script_init(struct script *s, const char *dir, const struct fault *fault, enum script_lie lie);
/* One step, at the time that is its own. */
PL_MUST_USE parley_err script_run(struct script *s, size_t step);
PL_MUST_USE parley_err script_open(struct script *s);
void script_close(struct script *s);

/* The digest of everything that the public interface shows of a store, but how far its sets are
 * indexed, and of the ledger. */
PL_MUST_USE parley_err script_observe(struct script *s, uint8_t out[PL_SHA256_BYTES]);
/* Whether the ledger has each line that was acknowledged, and none that was never asked for. */
PL_MUST_USE parley_err script_look_at_ledger(struct script *s, bool *good);

/* Makes a store that has just been opened lie (lie.c). */
void script_plant(struct script *s, struct parley_store *store);

/* From now on the places that read are noted in `sites`, borrowed (rows.c). */
void script_note_sites(struct script *s, struct script_sites *sites);
/* Lets reads of a store that has just been opened fail, when it is their turn (rows.c). */
void script_read_rows(struct script *s, struct parley_store *store);

#endif
