/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the page at /ui. cmake/EmbedFiles.cmake writes the table from net/node/ui.
 */
#ifndef PL_UI_H
#define PL_UI_H

#include "base/span.h"

struct pl_ui_file {
    const char *name;
    const char *type;
    struct parley_span packed; /* with gzip */
    size_t plain_bytes;
};

extern const struct pl_ui_file pl_ui_files[];
extern const size_t pl_ui_file_count;

#endif
