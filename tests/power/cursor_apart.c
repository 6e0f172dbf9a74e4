/* SPDX-License-Identifier: Apache-2.0
 *
 * A sync with a planted bug, for the recorder: cursor_apart DIR apart|together
 *
 * Two stores, DIR/hosted and DIR/local; what is written in the first is applied in the second, one
 * version after the other, together with the cursor for it: in one batch as the product does, or in
 * a batch of its own before the data. The replayer must see the difference.
 */
#include "base/span.h"
#include <parley/db.h>

#include <stdio.h>
#include <string.h>

#define VERSIONS   12
#define PEER       1u
#define WALL       INT64_C(1700000000000000)
#define PATH_BYTES 512

struct pair {
    struct parley_db *local, *hosted;
    bool together;
};

static parley_err open_one(const struct parley_env *env, const char *dir, const char *name,
                           struct parley_db **out)
{
    char path[PATH_BYTES];
    struct parley_diag diag = { 0 };
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return PARLEY_ETOOBIG;
    struct parley_db_options options = { .name = path, .local_origin = pl_span_text(name) };
    parley_err err = parley_db_open(env, &options, out, NULL, &diag);
    if (err != PARLEY_OK)
        fprintf(stderr, "cursor_apart: %s\n", diag.text);
    return err;
}

static parley_err write_one(struct parley_db *db, unsigned number)
{
    static uint8_t body[] = { 0x92, 0xa4, 'u', 's', 'e', 'r', 0xa4, 't', 'e', 'x', 't' };
    char id[16];
    snprintf(id, sizeof id, "m%u", number);
    struct parley_write write = { .kind = PARLEY_WRITE_VERSION };
    write.u.version = (struct parley_version){ .name_space = pl_span_text("main"),
                                               .conversation = pl_span_text("c"),
                                               .id = pl_span_text(id),
                                               .kind = PARLEY_KIND_MESSAGE,
                                               .body = pl_span_of(body, sizeof body) };
    return parley_db_apply(db, &write, 1, WALL + number, NULL);
}

/* The cursor and the data, or the data alone, of change `seq`. */
static parley_err carry(struct pair *p, struct parley_read *read, parley_seq seq)
{
    struct parley_db_state state;
    struct parley_change change;
    bool found;
    PL_TRY(parley_read_state(read, &state));
    PL_TRY(parley_read_change(read, seq, &change, &found));
    if (!found)
        return PARLEY_ECORRUPT;
    struct parley_write writes[2] = { { .kind = PARLEY_WRITE_CURSOR },
                                      { .kind = PARLEY_WRITE_VERSION, .source = PEER } };
    writes[0].u.cursor.peer = PEER;
    writes[0].u.cursor.incarnation = state.incarnation;
    writes[0].u.cursor.seq = seq;
    writes[1].u.version = change.version;
    if (p->together)
        return parley_db_apply(p->local, writes, 2, WALL + VERSIONS, NULL);
    PL_TRY(parley_db_apply(p->local, &writes[0], 1, WALL + VERSIONS, NULL));
    return parley_db_apply(p->local, &writes[1], 1, WALL + VERSIONS, NULL);
}

static parley_err sync_one(struct pair *p, unsigned number)
{
    struct parley_read *read;
    PL_TRY(write_one(p->hosted, number));
    PL_TRY(parley_read_begin(p->hosted, &read));
    parley_err err = carry(p, read, number);
    parley_read_end(read);
    return err;
}

static parley_err run(const char *dir, bool together)
{
    struct parley_env env;
    struct pair p = { .together = together };
    parley_env_posix(&env);
    parley_err err = open_one(&env, dir, "hosted", &p.hosted);
    if (err == PARLEY_OK)
        err = open_one(&env, dir, "local", &p.local);
    for (unsigned i = 1; i <= VERSIONS && err == PARLEY_OK; i++)
        err = sync_one(&p, i);
    parley_db_close(p.local);
    parley_db_close(p.hosted);
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[2], "apart") != 0 && strcmp(argv[2], "together") != 0)) {
        fputs("Usage: cursor_apart DIR apart|together\n", stderr);
        return 2;
    }
    parley_err err = run(argv[1], strcmp(argv[2], "together") == 0);
    if (err != PARLEY_OK)
        fprintf(stderr, "cursor_apart: error %d\n", (int)err);
    return err == PARLEY_OK ? 0 : 1;
}
