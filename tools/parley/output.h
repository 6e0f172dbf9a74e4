/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that a command makes: it appears under its name only when it is whole and on the disk.
 * "-" is stdout.
 *
 * Lifetime: a zeroed struct -> output_open -> output_write -> output_close, in every case.
 * Failure:  noted with cli_fail; what was there under the name stays as it was.
 */
#ifndef PARLEY_OUTPUT_H
#define PARLEY_OUTPUT_H

#include "parley/cli.h"

#include <zlib.h>

struct output {
    struct cli *cli;
    const char *name; /* borrowed */
    struct buf part;  /* NAME.part-PID while it is written; empty: stdout, or not open */
    int fd;
    gzFile gz; /* NULL: not packed */
};

bool output_is_stdout(const char *name);
PL_MUST_USE enum cli_exit output_open(struct output *o, struct cli *cli, const char *name,
                                      bool packed);
PL_MUST_USE enum cli_exit output_write(struct output *o, struct parley_span bytes);
/* `exit` is how the command went; the file is kept when it and this are CLI_OK. */
PL_MUST_USE enum cli_exit output_close(struct output *o, enum cli_exit exit);

#endif
