/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file of anything: each line says one thing at most, in order; names and values
 * are texts without controls, and no value of any setting is more than its checks allow.
 */
#include "parleyd/config_file.h"
#include "parleyd/settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    unsigned line;
    unsigned lines;
};

static void see(struct seen *seen, unsigned line)
{
    if (line <= seen->line || line > seen->lines)
        abort();
    seen->line = line;
}

static void check_text(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > CONFIG_LINE_BYTES_MAX)
        abort();
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            abort();
}

static void on_entry(void *ud, unsigned line, const char *name, const char *value)
{
    see(ud, line);
    check_text(name);
    check_text(value);
    const struct setting *near = setting_nearest(name);
    enum setting_id id;
    if (setting_find(name, &id) && near != setting_at(id))
        abort();
    for (id = 0; id < SETTING_COUNT; id++) {
        struct settings set = { 0 };
        struct parley_diag diag = { "" };
        parley_err err = setting_at(id)->apply(&set, value, &diag);
        if ((err == PARLEY_OK) != (diag.text[0] == '\0') || set.listen_count > 1 ||
            set.origin_count > 1 || set.reserve_bytes > (1ull << 40) || set.peer_rate > 1000000 ||
            set.stranger_rate > 1000000)
            abort();
    }
}

static void on_mistake(void *ud, unsigned line, const char *why)
{
    see(ud, line);
    check_text(why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = { .lines = 1 };
    struct config_file_hooks hooks = { .ud = &seen, .entry = on_entry, .mistake = on_mistake };
    if (size > CONFIG_FILE_BYTES_MAX)
        return 0;
    for (size_t i = 0; i < size; i++)
        seen.lines += data[i] == '\n';
    config_file_read(pl_span_of(data, size), &hooks);
    return 0;
}
