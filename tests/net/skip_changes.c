/* SPDX-License-Identifier: Apache-2.0
 *
 * A planted bug for the oracles of real networks: skip_changes STORE PEER INCARNATION SEQUENCE
 *
 * Sets the cursor for the change log of peer number PEER to SEQUENCE of that log, in a store that
 * no daemon has open, although what is before that has not come: as a node would that counts a
 * change as applied which it has not applied. INCARNATION is the peer's, as its status shows it.
 */
#include "base/span.h"
#include <parley/db.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool read_hex(const char *text, uint8_t *out, size_t len)
{
    if (strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };
        char *end;
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        if (*end != '\0')
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct parley_env env;
    struct parley_db *db;
    struct parley_diag diag = { 0 };
    struct parley_write write = { .kind = PARLEY_WRITE_CURSOR };
    if (argc != 5 || !read_hex(argv[3], write.u.cursor.incarnation.bytes,
                               sizeof write.u.cursor.incarnation.bytes)) {
        fputs("usage: skip_changes STORE PEER INCARNATION SEQUENCE\n", stderr);
        return 2;
    }
    write.u.cursor.peer = (uint32_t)strtoul(argv[2], NULL, 10);
    write.u.cursor.seq = strtoull(argv[4], NULL, 10);
    parley_env_posix(&env);
    struct parley_db_options options = { .name = argv[1] };
    parley_err err = parley_db_open(&env, &options, &db, NULL, &diag);
    if (err == PARLEY_OK) {
        err = parley_db_apply(db, &write, 1, (parley_wall)time(NULL) * 1000000, NULL);
        parley_db_close(db);
    }
    if (err != PARLEY_OK)
        fprintf(stderr, "skip_changes: error %d %s\n", (int)err, diag.text);
    return err == PARLEY_OK ? 0 : 1;
}
