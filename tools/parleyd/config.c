/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/config.h"

#include "lib/file.h"
#include "parleyd/config_file.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

/* getopt_long gives a setting as FLAG_SETTING + its number. */
enum flag {
    FLAG_CONFIG = 1,
    FLAG_CHECK,
    FLAG_PRINT,
    FLAG_LIST,
    FLAG_VERSION,
    FLAG_HELP,
    FLAG_SETTING = 256
};

#define FLAGS_OWN 6

struct load {
    struct config *config;
    struct config_errors *errors;
    const char *named_file;
    enum config_action *action;
    /* Of the file: where each setting was first given; 0: not yet. */
    unsigned first_line[SETTING_COUNT];
    bool no_memory;
};

static void add_error(struct load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_error(struct load *load, const char *format, ...)
{
    struct config_errors *errors = load->errors;
    va_list args;
    if (errors->count == CONFIG_ERRORS_MAX) {
        errors->left_out++;
        return;
    }
    va_start(args, format);
    vsnprintf(errors->text[errors->count++], sizeof errors->text[0], format, args);
    va_end(args);
}

/* ---- Values ---- */

static void clear(struct config_values *values)
{
    for (size_t i = 0; i < values->count; i++)
        free(values->text[i]);
    *values = (struct config_values){ 0 };
}

/* One value of `source`. It takes the place of those of a weaker source. `where` begins the
 * message when it is wrong: "parleyd.conf:3: log-level", "--log-level". */
static void add_value(struct load *load, enum setting_id id, enum config_source source,
                      unsigned line, const char *text, const char *where)
{
    const struct setting *setting = setting_at(id);
    struct config_values *values = &load->config->values[id];
    struct settings scratch = { 0 };
    struct parley_diag diag = { "" };
    if (setting->apply(&scratch, text, &diag) != PARLEY_OK) {
        add_error(load, "%s: %s", where, diag.text);
        return;
    }
    if (source < values->source)
        return;
    if (source > values->source || !setting->is_list)
        clear(values);
    if (values->count == SETTING_VALUES_MAX) {
        add_error(load, "%s: at most %d values", where, SETTING_VALUES_MAX);
        return;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        load->no_memory = true;
        return;
    }
    values->line = values->count == 0 ? line : values->line;
    values->source = source;
    values->text[values->count++] = copy;
}

/* A list may stand in one line or variable, with blanks or commas between. */
static void add_values(struct load *load, enum setting_id id, enum config_source source,
                       unsigned line, const char *text, const char *where)
{
    if (!setting_at(id)->is_list) {
        add_value(load, id, source, line, text, where);
        return;
    }
    for (;;) {
        text += strspn(text, ", \t");
        size_t len = strcspn(text, ", \t");
        if (len == 0)
            return;
        char *part = strndup(text, len);
        if (part == NULL) {
            load->no_memory = true;
            return;
        }
        add_value(load, id, source, line, part, where);
        free(part);
        text += len;
    }
}

/* ---- The file ---- */

static void on_mistake(void *ud, unsigned line, const char *why)
{
    struct load *load = ud;
    add_error(load, "%.200s:%u: %s", load->config->file, line, why);
}

/* The value is not repeated: who looks for a place for a secret may have put one there. */
static void refuse_name(struct load *load, unsigned line, const char *name)
{
    const struct setting *near = setting_nearest(name);
    add_error(load, "%.200s:%u: \"%.60s\" is not a setting%s%s%s", load->config->file, line, name,
              near != NULL ? "; did you mean \"" : "; parleyd --help has them all",
              near != NULL ? near->name : "", near != NULL ? "\"?" : "");
}

static void on_entry(void *ud, unsigned line, const char *name, const char *value)
{
    struct load *load = ud;
    enum setting_id id;
    char where[300];
    if (!setting_find(name, &id)) {
        refuse_name(load, line, name);
        return;
    }
    snprintf(where, sizeof where, "%.200s:%u: %s", load->config->file, line, name);
    if (!setting_at(id)->is_list && load->first_line[id] != 0) {
        add_error(load, "%s: line %u has it already; take one of them away", where,
                  load->first_line[id]);
        return;
    }
    if (load->first_line[id] == 0)
        load->first_line[id] = line;
    add_values(load, id, CONFIG_FROM_FILE, line, value, where);
}

static void read_file(struct load *load)
{
    struct config_file_hooks hooks = { .ud = load, .entry = on_entry, .mistake = on_mistake };
    struct parley_diag diag = { "" };
    size_t len = 0;
    uint8_t *bytes = malloc(CONFIG_FILE_BYTES_MAX);
    if (bytes == NULL) {
        load->no_memory = true;
        return;
    }
    if (tool_file_read(load->config->file, false, bytes, CONFIG_FILE_BYTES_MAX, &len, &diag) ==
        PARLEY_OK)
        config_file_read(pl_span_of(bytes, len), &hooks);
    else
        add_error(load, "%s", diag.text);
    free(bytes);
}

/* ---- The environment ---- */

static void read_environment(struct load *load)
{
    char name[SETTING_VARIABLE_BYTES_MAX];
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        setting_variable(setting_at(id), name);
        const char *text = getenv(name);
        if (text != NULL && text[0] != '\0')
            add_values(load, id, CONFIG_FROM_ENVIRONMENT, 0, text, name);
    }
}

/* ---- Flags ---- */

static void refuse_flag(struct load *load, const char *flag)
{
    char name[SETTING_NAME_BYTES_MAX + 1];
    size_t len = strcspn(flag, "=");
    const struct setting *near = NULL;
    if (strncmp(flag, "--", 2) == 0 && len - 2 < sizeof name) {
        memcpy(name, flag + 2, len - 2);
        name[len - 2] = '\0';
        near = setting_nearest(name);
    }
    add_error(load, "%.*s is not a flag; %s%s%s", (int)pl_min_size(len, 100), flag,
              near != NULL ? "did you mean --" : "", near != NULL ? near->name : "try --help",
              near != NULL ? "?" : "");
}

static void fill_flags(struct option out[FLAGS_OWN + SETTING_COUNT + 1])
{
    static const struct option own[FLAGS_OWN] = {
        { "config", required_argument, NULL, FLAG_CONFIG },
        { "check-config", no_argument, NULL, FLAG_CHECK },
        { "print-config", no_argument, NULL, FLAG_PRINT },
        { "list-settings", no_argument, NULL, FLAG_LIST },
        { "version", no_argument, NULL, FLAG_VERSION },
        { "help", no_argument, NULL, FLAG_HELP },
    };
    memcpy(out, own, sizeof own);
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting *setting = setting_at(id);
        out[FLAGS_OWN + id] =
            (struct option){ setting->name,
                             setting->arg[0] != '\0' ? required_argument : optional_argument, NULL,
                             FLAG_SETTING + (int)id };
    }
    out[FLAGS_OWN + SETTING_COUNT] = (struct option){ NULL, 0, NULL, 0 };
}

static void apply_flag(struct load *load, int flag, const char *value)
{
    char where[SETTING_NAME_BYTES_MAX + 3];
    switch (flag) {
    case FLAG_CONFIG:
        load->named_file = value;
        return;
    case FLAG_CHECK:
        *load->action = CONFIG_CHECK;
        return;
    case FLAG_PRINT:
        *load->action = CONFIG_PRINT;
        return;
    case FLAG_LIST:
        *load->action = CONFIG_LIST;
        return;
    case FLAG_VERSION:
        *load->action = CONFIG_VERSION;
        return;
    case FLAG_HELP:
        *load->action = CONFIG_HELP;
        return;
    default:
        break;
    }
    enum setting_id id = (enum setting_id)(flag - FLAG_SETTING);
    snprintf(where, sizeof where, "--%s", setting_at(id)->name);
    add_value(load, id, CONFIG_FROM_FLAG, 0, value != NULL ? value : "yes", where);
}

/* --help, --version and --list-settings need nothing else to be right. */
static bool is_alone(enum config_action action)
{
    return action == CONFIG_HELP || action == CONFIG_VERSION || action == CONFIG_LIST;
}

static void read_flags(struct load *load, int argc, char **argv)
{
    struct option flags[FLAGS_OWN + SETTING_COUNT + 1];
    fill_flags(flags);
    opterr = 0;
    optind = 0; /* begins anew, also at a reload */
    while (!is_alone(*load->action)) {
        int flag = getopt_long(argc, argv, ":", flags, NULL);
        if (flag == -1)
            break;
        if (flag == ':')
            add_error(load, "%.100s needs a value; try --help", argv[optind - 1]);
        else if (flag == '?')
            refuse_flag(load, argv[optind - 1]);
        else
            apply_flag(load, flag, optarg);
    }
    if (optind < argc && !is_alone(*load->action))
        add_error(load, "\"%.100s\" is not a flag; try --help", argv[optind]);
}

/* ---- The whole ---- */

/* Where a setting is from, for messages about more than one. */
static void describe(const struct config *config, enum setting_id id, char out[300])
{
    const struct config_values *values = &config->values[id];
    const struct setting *setting = setting_at(id);
    char name[SETTING_VARIABLE_BYTES_MAX];
    switch (values->source) {
    case CONFIG_FROM_FILE:
        snprintf(out, 300, "%.200s:%u: %s", config->file, values->line, setting->name);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        setting_variable(setting, name);
        snprintf(out, 300, "%s", name);
        return;
    case CONFIG_FROM_FLAG:
    case CONFIG_FROM_DEFAULT:
        snprintf(out, 300, "--%s", setting->name);
        return;
    }
}

static void settle(struct load *load)
{
    struct config *config = load->config;
    struct parley_diag diag = { "" };
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting *setting = setting_at(id);
        struct config_values *values = &config->values[id];
        bool handed = id == SETTING_LISTEN && config->activation.count != 0;
        if (values->count == 0 && setting->fallback != NULL && !handed)
            add_value(load, id, CONFIG_FROM_DEFAULT, 0, setting->fallback, setting->name);
        for (size_t i = 0; i < values->count; i++)
            if (setting->apply(&config->set, values->text[i], &diag) != PARLEY_OK)
                add_error(load, "%s: %s", setting->name, diag.text);
    }
    if (config->set.force_compat_legacy)
        config->set.compat_legacy = true;
}

static void check_compat(struct load *load, const char *address)
{
    const struct settings *set = &load->config->set;
    char where[300];
    if (!set->compat_legacy || set->force_compat_legacy || pl_uv_address_is_loopback(address))
        return;
    describe(load->config, SETTING_COMPAT_LEGACY, where);
    add_error(load,
              "%s: with listen %.60s it would let everyone who reaches it write; listen on "
              "127.0.0.1, or say force-compat-legacy",
              where, address);
}

static void check_whole(struct load *load)
{
    const struct config *config = load->config;
    const struct settings *set = &config->set;
    char where[300];
    if (set->data_dir == NULL)
        add_error(load, "--data DIR is missing; try --help");
    if ((set->tls_cert == NULL) != (set->tls_key == NULL)) {
        describe(config, set->tls_cert != NULL ? SETTING_TLS_CERT : SETTING_TLS_KEY, where);
        add_error(load, "%s: --tls-cert and --tls-key go together", where);
    }
    if (set->listen_count + config->activation.count > PL_UV_LISTENS_MAX)
        add_error(load, "--listen: at most %d addresses, with those of LISTEN_FDS",
                  PL_UV_LISTENS_MAX);
    for (size_t i = 0; i < set->listen_count; i++)
        check_compat(load, set->listen[i]);
    for (size_t i = 0; i < config->activation.count; i++)
        check_compat(load, config->activation.addresses[i]);
}

parley_err config_load(int argc, char **argv, struct config **out, enum config_action *action,
                       struct config_errors *errors)
{
    struct load load = { .config = calloc(1, sizeof *load.config),
                         .errors = errors,
                         .named_file = getenv("PARLEY_CONFIG"),
                         .action = action };
    *action = CONFIG_RUN;
    errors->count = 0;
    errors->left_out = 0;
    if (load.config == NULL)
        return PARLEY_ENOMEM;
    read_flags(&load, argc, argv);
    bool alone = is_alone(*action);
    if (!alone && load.named_file != NULL && load.named_file[0] != '\0') {
        load.config->file = strdup(load.named_file);
        load.no_memory = load.config->file == NULL;
        if (!load.no_memory)
            read_file(&load);
    }
    if (!alone) {
        struct parley_diag diag = { "" };
        read_environment(&load);
        if (activation_take(&load.config->activation, &diag) != PARLEY_OK)
            add_error(&load, "%s", diag.text);
        settle(&load);
    }
    /* What is missing in the whole may stand in a line that could not be read. */
    if (!alone && errors->count == 0)
        check_whole(&load);
    if (load.no_memory || errors->count != 0 || alone) {
        config_free(load.config);
        return load.no_memory ? PARLEY_ENOMEM : errors->count != 0 ? PARLEY_EINVAL : PARLEY_OK;
    }
    *out = load.config;
    return PARLEY_OK;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (enum setting_id id = 0; id < SETTING_COUNT; id++)
        clear(&config->values[id]);
    free(config->file);
    free(config);
}

bool config_is_same(const struct config *a, const struct config *b, enum setting_id id)
{
    const struct config_values *x = &a->values[id];
    const struct config_values *y = &b->values[id];
    bool same = x->count == y->count;
    for (size_t i = 0; same && i < x->count; i++)
        same = strcmp(x->text[i], y->text[i]) == 0;
    return same;
}
