/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator asked for: file, environment and flags to one struct, every mistake with a
 * sentence and with the place where it was made.
 *
 * A flag goes before the environment, that before the file, that before the default. A list is
 * taken whole from the first of them that has it. What is overruled must be right all the same.
 *
 * Lifetime: config_load -> use -> config_free. It may be loaded again, at a reload.
 */
#ifndef PARLEYD_CONFIG_H
#define PARLEYD_CONFIG_H

#include "parleyd/activation.h"
#include "parleyd/settings.h"

#include <stdio.h>

enum config_source {
    CONFIG_FROM_DEFAULT = 0,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG
};

/* The values of one setting, and where they are from. */
struct config_values {
    enum config_source source;
    size_t count;
    unsigned line; /* of the file; of a list, that of the first */
    char *text[SETTING_VALUES_MAX];
};

struct config {
    struct settings set; /* borrows from `values` */
    struct config_values values[SETTING_COUNT];
    char *file;                   /* the configuration file; NULL: none */
    struct activation activation; /* sockets of the service manager, beside those of `listen` */
};

#define CONFIG_ERRORS_MAX      64
#define CONFIG_ERROR_BYTES_MAX 511

struct config_errors {
    char text[CONFIG_ERRORS_MAX][CONFIG_ERROR_BYTES_MAX + 1];
    size_t count;
    size_t left_out; /* for which there was no room */
};

enum config_action {
    CONFIG_RUN,
    CONFIG_CHECK,
    CONFIG_PRINT,
    CONFIG_LIST,
    CONFIG_HELP,
    CONFIG_VERSION
};

/* Reads everything. `*out` is only set when there was no mistake and the action needs it.
 * Ownership: the caller frees `*out`; argv is not kept.
 * Errors: EINVAL (`errors` has each of them), ENOMEM. */
PL_MUST_USE parley_err config_load(int argc, char **argv, struct config **out,
                                   enum config_action *action, struct config_errors *errors);
/* NULL is allowed. */
void config_free(struct config *config);

/* Whether two configurations say the same of a setting. */
bool config_is_same(const struct config *a, const struct config *b, enum setting_id id);

/* Every setting as it is in force, as a configuration file with the source of each value behind
 * it. What is secret is never in a configuration; of the variables that hold secrets it says
 * whether they are set. */
void config_print(const struct config *config, FILE *out);
/* The table of all settings, as it stands in docs/OPERATIONS.md. */
void config_list(FILE *out);
/* The text of --help. */
void config_help(FILE *out);

#endif
