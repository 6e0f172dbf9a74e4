/* SPDX-License-Identifier: Apache-2.0
 *
 * What is shown of the settings: --help, --print-config, --list-settings.
 */
#define _GNU_SOURCE 1
#include "parleyd/config.h"

#include <stdlib.h>

static const char help_head[] =
    "parleyd: keeps conversations, keys and peers in a directory and in sync with other nodes.\n"
    "\n"
    "  parleyd --data DIR                      serve on 127.0.0.1:8825, this machine only\n"
    "  parleyd --data DIR --listen 0.0.0.0:8825 --advertise chat.example.org:8825\n"
    "                                          serve the network; peers use TLS by themselves\n"
    "  parleyd --config /etc/parley/parleyd.conf\n"
    "                                          the same, from a file\n"
    "  parley --data DIR status                what it is doing now\n"
    "  parley --data DIR doctor                what is wrong with it, and what to do\n"
    "\n"
    "All state is in DIR: to back it up, stop parleyd, copy DIR, start it again.\n"
    "SIGTERM or Ctrl-C stops it cleanly; killing it loses nothing that was acknowledged. SIGHUP\n"
    "reads the configuration and the certificate files again.\n"
    "\n"
    "Settings: flags as below, or lines NAME = VALUE of the file, or PARLEY_NAME in the\n"
    "environment (PARLEY_LOG_LEVEL). A flag goes before the environment, that before the file. A\n"
    "switch is on alone, or with =yes, and off with =no.\n";

static const char help_tail[] =
    "\n"
    "The configuration\n"
    "  --config FILE          read settings from FILE (or PARLEY_CONFIG); none is read unless "
    "named\n"
    "  --check-config         check file, environment, flags and certificate, and do not start\n"
    "  --print-config         print what is in force, and where each value is from, as a file\n"
    "  --list-settings        print the table of all settings\n"
    "  --version, --help\n"
    "\n"
    "Environment, besides the settings\n"
    "  BACKEND_PRIVATE_KEY    PEM of the identity to take over at the first start; later it must\n"
    "                         be the same key, or parleyd refuses to start\n"
    "  PARLEY_PASSPHRASE      seals the private key instead of a key file\n"
    "  CREDENTIALS_DIRECTORY  set by systemd; the credential parley-passphrase is used as pass\n"
    "                         phrase, the credential parley-seal as key file\n"
    "  LISTEN_FDS, LISTEN_PID set by systemd: sockets of a .socket unit that are served\n"
    "  NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID\n"
    "                         set by systemd: it is told that parleyd is ready, and that it lives\n"
    "\n"
    "Files in DIR\n"
    "  store/       everything; lock   held while parleyd runs; parleyd.run   its pid and ports\n"
    "  seal.key     unseals the private key: without it the identity is lost; back it up apart\n"
    "  admin.token  the bearer token for the HTTP interface and the parley command\n"
    "\n"
    "Exit codes\n"
    "  0 stopped as asked       64 wrong configuration    65 the store is damaged or too new\n"
    "  69 cannot listen         70 a bug of ours          71 no memory\n"
    "  74 disk trouble          75 another parleyd has DIR; try later\n"
    "  77 permissions           78 wrong key, pass phrase or identity\n";

/* ---- --help ---- */

#define HELP_COLUMN  25
#define HELP_COLUMNS 98

/* Words from the column of the help on; the line is at `column` now. */
static void print_words(const char *text, size_t *column, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        bool first = *column <= HELP_COLUMN;
        if (!first && *column + 1 + len > HELP_COLUMNS) {
            fputs("\n", out);
            *column = 0;
            first = true;
        }
        for (; *column < HELP_COLUMN; (*column)++)
            fputc(' ', out);
        if (!first) {
            fputc(' ', out);
            (*column)++;
        }
        fwrite(text, 1, len, out);
        *column += len;
        text += len;
        text += strspn(text, " ");
    }
}

static void print_setting_help(const struct setting *setting, FILE *out)
{
    char notes[200];
    int used =
        fprintf(out, "  --%s%s%s", setting->name, setting->arg[0] != '\0' ? " " : "", setting->arg);
    size_t column = used > 0 ? (size_t)used : 0;
    if (column >= HELP_COLUMN) {
        fputs("\n", out);
        column = 0;
    }
    print_words(setting->help, &column, out);
    bool has_default = setting->fallback != NULL && setting->arg[0] != '\0';
    bool has_values = setting->arg[0] != '\0' && strcmp(setting->arg, "DIR") != 0;
    snprintf(notes, sizeof notes, "(%s%s%s%s%s)", has_values ? setting->allowed : "",
             setting->is_list ? "; may be repeated" : "", has_values && has_default ? "; " : "",
             has_default ? "default " : "", has_default ? setting->fallback : "");
    if (has_values)
        print_words(notes, &column, out);
    fputs("\n", out);
}

void config_help(FILE *out)
{
    fputs(help_head, out);
    fputs("\nSettings\n", out);
    for (enum setting_id id = 0; id < SETTING_COUNT; id++)
        print_setting_help(setting_at(id), out);
    fputs(help_tail, out);
}

/* ---- --list-settings ---- */

void config_list(FILE *out)
{
    fputs("| setting | what it does | allowed | default | SIGHUP |\n"
          "|---|---|---|---|---|\n",
          out);
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting *setting = setting_at(id);
        fprintf(out, "| `%s` | %s | %s%s | %s | %s |\n", setting->name, setting->help,
                setting->allowed, setting->is_list ? "; a list" : "",
                setting->fallback != NULL ? setting->fallback : "", setting->is_live ? "yes" : "");
    }
}

/* ---- --print-config ---- */

static void print_source(const struct config *config, enum setting_id id, FILE *out)
{
    const struct config_values *values = &config->values[id];
    char name[SETTING_VARIABLE_BYTES_MAX];
    switch (values->source) {
    case CONFIG_FROM_DEFAULT:
        fputs("default", out);
        return;
    case CONFIG_FROM_FILE:
        fprintf(out, "%s:%u", config->file, values->line);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        setting_variable(setting_at(id), name);
        fprintf(out, "environment, %s", name);
        return;
    case CONFIG_FROM_FLAG:
        fprintf(out, "flag --%s", setting_at(id)->name);
        return;
    }
}

void config_print(const struct config *config, FILE *out)
{
    static const char *const secrets[] = { "BACKEND_PRIVATE_KEY", "PARLEY_PASSPHRASE" };
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct config_values *values = &config->values[id];
        const char *name = setting_at(id)->name;
        if (values->count == 0)
            fprintf(out, "# %s is not set\n", name);
        for (size_t i = 0; i < values->count; i++) {
            fprintf(out, "# %s: ", name);
            print_source(config, id, out);
            fprintf(out, "\n%s = %s\n", name, values->text[i]);
        }
    }
    for (size_t i = 0; i < PL_ARRAY_LEN(secrets); i++)
        fprintf(out, "# %s in the environment: %s\n", secrets[i],
                getenv(secrets[i]) != NULL ? "set, not shown" : "not set");
}
