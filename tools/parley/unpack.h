/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of an input file: plain, gzip, or the texts in a ZIP archive as people download it from
 * a chat service, one after the other. Nothing is unpacked to disk; what is read is bounded.
 */
#ifndef PARLEY_UNPACK_H
#define PARLEY_UNPACK_H

#include "parley/cli.h"

#include <zip.h>
#include <zlib.h>

#define UNPACK_FILES_MAX 10000u
/* An archive that promises more, or keeps more than it promised, is refused. */
#define UNPACK_BYTES_MAX (UINT64_C(64) << 30)
/* Text packs 3 to 20 times; a bomb a thousand. Small texts may repeat themselves. */
#define UNPACK_RATIO_MAX   200u
#define UNPACK_RATIO_BYTES (UINT64_C(16) << 20)

struct unpack {
    struct cli *cli;
    const char *name;
    uint64_t file_bytes; /* 0: not known */
    gzFile gz;
    zip_t *zip;
    zip_file_t *file; /* the text that is being read */
    zip_uint64_t index;
    uint64_t promised; /* bytes of it left, by the directory of the archive */
    uint64_t packed;   /* bytes of the archive that were used */
};

/* Opens `name`; "-" is stdin, which may not be an archive. Failures are noted in `cli`. */
PL_MUST_USE enum cli_exit unpack_open(struct unpack *u, struct cli *cli, const char *name);
/* Up to `cap` bytes; *len 0: the end of this text, or of the input. Data that is damaged is a
 * failure; what came before it is good. */
PL_MUST_USE enum cli_exit unpack_read(struct unpack *u, void *to, size_t cap, size_t *len);
/* Whether there is another text; then reading goes on with it. `*more` is false at the end. */
PL_MUST_USE enum cli_exit unpack_next(struct unpack *u, bool *more);
/* Bytes of the file that were read, for the progress bar. */
uint64_t unpack_progress(const struct unpack *u);
void unpack_close(struct unpack *u);

#endif
