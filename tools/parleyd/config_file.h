/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a configuration file: lines of NAME = VALUE, comments, nothing else. It knows no
 * settings; who calls it does.
 *
 * A line is read by inih; what stands around that here is what an operator needs and it does not
 * give: every mistake with its line, and no line that is taken for something else.
 */
#ifndef PARLEYD_CONFIG_FILE_H
#define PARLEYD_CONFIG_FILE_H

#include "base/span.h"
#include <parley/err.h>

#define CONFIG_FILE_BYTES_MAX 65536u
/* inih as Debian builds it reads lines of 197 bytes, and cuts longer ones in two. */
#define CONFIG_LINE_BYTES_MAX 190u

struct config_file_hooks {
    void *ud;
    /* A line that says something; both texts are lent for the call. */
    void (*entry)(void *ud, unsigned line, const char *name, const char *value);
    /* A line that is none; `why` is lent for the call. */
    void (*mistake)(void *ud, unsigned line, const char *why);
};

/* Calls a hook for each line that is not empty and no comment, in order, to the end. */
void config_file_read(struct parley_span text, const struct config_file_hooks *hooks);

#endif
