/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/settings.h"

#include "lib/file.h"

#include <stdlib.h>

/* A hundred years: the sum with any time of now fits. */
#define GRACE_DAYS_MAX 36500u
/* A tebibyte: more than anybody keeps free on purpose. */
#define RESERVE_MIB_MAX (1u << 20)
/* A million a second is more than one node serves. */
#define RATE_MAX         1000000u
#define ORIGIN_BYTES_MAX 255

#define TEXT(number)      #number
#define TEXT_OF(number)   TEXT(number)
#define VALUES_MAX_TEXT   TEXT_OF(SETTING_VALUES_MAX)
#define ALLOWED_YES       "yes or no"
#define ALLOWED_LEVELS    "error, warn, info, debug"
#define ALLOWED_FORMATS   "logfmt, json"
#define ALLOWED_PROFILES  "normal, small"
#define ALLOWED_TYPES     "local, hosted, edge"
#define ALLOWED_KEY_BITS  "2048, 3072"
#define DEFAULT_RATE_TEXT "500:100"

static parley_err refuse_word(struct parley_diag *diag, const char *text, const char *allowed)
{
    return tool_fail(diag, PARLEY_EINVAL, "\"%.60s\" is not one of %s", text, allowed);
}

static parley_err set_text(const char **out, const char *text, struct parley_diag *diag)
{
    if (text[0] == '\0')
        return tool_fail(diag, PARLEY_EINVAL, "is empty; name a file or directory");
    if (strlen(text) > TOOL_PATH_BYTES_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "is longer than %d bytes", TOOL_PATH_BYTES_MAX);
    *out = text;
    return PARLEY_OK;
}

static parley_err set_switch(bool *out, const char *text, struct parley_diag *diag)
{
    static const char *const words[2][3] = { { "no", "false", "off" }, { "yes", "true", "on" } };
    for (size_t i = 0; i < 6; i++) {
        if (strcmp(text, words[i / 3][i % 3]) == 0) {
            *out = i / 3 == 1;
            return PARLEY_OK;
        }
    }
    return tool_fail(diag, PARLEY_EINVAL, "\"%.60s\" is not yes or no", text);
}

/* Decimal digits and nothing else. */
static parley_err read_number(const char *text, const char *unit, unsigned long max,
                              unsigned long *out, struct parley_diag *diag)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > max)
        return tool_fail(diag, PARLEY_EINVAL, "\"%.60s\": write 0 to %lu %s", text, max, unit);
    *out = value;
    return PARLEY_OK;
}

static parley_err apply_data(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_text(&out->data_dir, text, diag);
}

static parley_err apply_listen(struct settings *out, const char *text, struct parley_diag *diag)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    if (pl_uv_split_address(text, host, port) != PARLEY_OK)
        return tool_fail(diag, PARLEY_EINVAL,
                         "\"%.100s\": write ADDR:PORT, or [ADDR]:PORT for IPv6", text);
    if (out->listen_count == PL_UV_LISTENS_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "at most %d addresses", PL_UV_LISTENS_MAX);
    out->listen[out->listen_count++] = text;
    return PARLEY_OK;
}

static parley_err apply_advertise(struct settings *out, const char *text, struct parley_diag *diag)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    if (strlen(text) > PL_ADDRESS_BYTES_MAX || pl_uv_split_address(text, host, port) != PARLEY_OK)
        return tool_fail(diag, PARLEY_EINVAL, "\"%.100s\": write HOST:PORT", text);
    out->advertise = text;
    return PARLEY_OK;
}

static parley_err apply_type(struct settings *out, const char *text, struct parley_diag *diag)
{
    if (pl_backend_type_parse(pl_span_text(text), &out->type) != PARLEY_OK)
        return refuse_word(diag, text, ALLOWED_TYPES);
    out->type_given = true;
    return PARLEY_OK;
}

static parley_err apply_seal_key(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_text(&out->seal_key_file, text, diag);
}

static parley_err apply_passphrase(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_text(&out->passphrase_file, text, diag);
}

static parley_err apply_key_bits(struct settings *out, const char *text, struct parley_diag *diag)
{
    bool is_small = strcmp(text, "2048") == 0;
    if (!is_small && strcmp(text, "3072") != 0)
        return refuse_word(diag, text, ALLOWED_KEY_BITS);
    out->key_bits = is_small ? 2048 : 3072;
    return PARLEY_OK;
}

static parley_err apply_tls_cert(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_text(&out->tls_cert, text, diag);
}

static parley_err apply_tls_key(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_text(&out->tls_key, text, diag);
}

static parley_err apply_grace(struct settings *out, const char *text, struct parley_diag *diag)
{
    unsigned long days = 0;
    PL_TRY(read_number(text, "days", GRACE_DAYS_MAX, &days, diag));
    out->tombstone_grace_us = days == 0 ? -1 : (int64_t)days * 24 * 3600 * PARLEY_US_PER_S;
    return PARLEY_OK;
}

static parley_err apply_reserve(struct settings *out, const char *text, struct parley_diag *diag)
{
    unsigned long mib = 0;
    PL_TRY(read_number(text, "MiB", RESERVE_MIB_MAX, &mib, diag));
    out->reserve_bytes = (uint64_t)mib << 20;
    return PARLEY_OK;
}

static parley_err apply_profile(struct settings *out, const char *text, struct parley_diag *diag)
{
    const struct profile *profile = profile_find(text);
    if (profile == NULL)
        return refuse_word(diag, text, ALLOWED_PROFILES);
    out->profile = profile;
    return PARLEY_OK;
}

static parley_err apply_plain_peers(struct settings *out, const char *text,
                                    struct parley_diag *diag)
{
    return set_switch(&out->plain_peers, text, diag);
}

static parley_err apply_no_zstd(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_switch(&out->no_zstd, text, diag);
}

/* As browsers send it: no path, no slash at the end, nothing that stands for many. */
static parley_err apply_origin(struct settings *out, const char *text, struct parley_diag *diag)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    if (host[0] == '\0' || strpbrk(host, "/*?# ") != NULL || strlen(text) > ORIGIN_BYTES_MAX)
        return tool_fail(diag, PARLEY_EINVAL,
                         "\"%.100s\": write https://HOST or https://HOST:PORT, one for each site",
                         text);
    if (out->origin_count == SETTING_VALUES_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "at most %d of them", SETTING_VALUES_MAX);
    out->origins[out->origin_count++] = text;
    return PARLEY_OK;
}

static parley_err apply_rate(struct settings *out, const char *text, struct parley_diag *diag)
{
    char *end = NULL;
    unsigned long peer = strtoul(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && *end == ':' && end[1] >= '0' && end[1] <= '9';
    unsigned long stranger = good ? strtoul(end + 1, &end, 10) : 0;
    if (!good || *end != '\0' || peer > RATE_MAX || stranger > RATE_MAX)
        return tool_fail(diag, PARLEY_EINVAL,
                         "\"%.60s\": write PEER:STRANGERS, each 0 to %u requests a second", text,
                         RATE_MAX);
    out->peer_rate = (uint32_t)peer;
    out->stranger_rate = (uint32_t)stranger;
    return PARLEY_OK;
}

static parley_err apply_compat(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_switch(&out->compat_legacy, text, diag);
}

static parley_err apply_force_compat(struct settings *out, const char *text,
                                     struct parley_diag *diag)
{
    return set_switch(&out->force_compat_legacy, text, diag);
}

static parley_err apply_log_level(struct settings *out, const char *text, struct parley_diag *diag)
{
    if (log_level_parse(text, &out->log_level) != PARLEY_OK)
        return refuse_word(diag, text, ALLOWED_LEVELS);
    return PARLEY_OK;
}

static parley_err apply_log_format(struct settings *out, const char *text, struct parley_diag *diag)
{
    if (log_format_parse(text, &out->log_format) != PARLEY_OK)
        return refuse_word(diag, text, ALLOWED_FORMATS);
    return PARLEY_OK;
}

static parley_err apply_json_ready(struct settings *out, const char *text, struct parley_diag *diag)
{
    return set_switch(&out->json_ready, text, diag);
}

/* The columns: name, arg, allowed, fallback, is_list, is_live, help, apply. */
static const struct setting table[SETTING_COUNT] = {
    [SETTING_DATA] = { "data", "DIR", "a directory", NULL, false, false,
                       "the data directory; made if missing (required)", apply_data },
    [SETTING_LISTEN] = { "listen", "ADDR:PORT", "an address of this machine and a port",
                         "127.0.0.1:8825", true, false,
                         "where to serve, beside the sockets of systemd, which stand for the "
                         "default; [ADDR]:PORT for IPv6; port 0 takes a free one",
                         apply_listen },
    [SETTING_ADVERTISE] = { "advertise", "HOST:PORT", "a name or an address, and a port", NULL,
                            false, false,
                            "how other nodes reach this one; put into invitations, and into the "
                            "node's own certificate",
                            apply_advertise },
    [SETTING_TYPE] = { "type", "TYPE", ALLOWED_TYPES, NULL, false, false,
                       "what kind of node this is; local unless said at the first start, and fixed "
                       "then",
                       apply_type },
    [SETTING_SEAL_KEY_FILE] = { "seal-key-file", "FILE", "a file, mode 0600", NULL, false, false,
                                "key that seals the private key; unless said DIR/seal.key, made at "
                                "the first start",
                                apply_seal_key },
    [SETTING_PASSPHRASE_FILE] = { "passphrase-file", "FILE", "a file, mode 0600", NULL, false,
                                  false,
                                  "pass phrase that seals the private key instead, on its first "
                                  "line",
                                  apply_passphrase },
    [SETTING_KEY_BITS] = { "key-bits", "BITS", ALLOWED_KEY_BITS, NULL, false, false,
                           "RSA key of a new data directory; 2048 unless said", apply_key_bits },
    [SETTING_TLS_CERT] = { "tls-cert", "FILE.pem", "a PEM file; needs tls-key", NULL, false, true,
                           "certificate for HTTPS, with those above it, in place of the node's own",
                           apply_tls_cert },
    [SETTING_TLS_KEY] = { "tls-key", "FILE.pem", "a PEM file, mode 0600; needs tls-cert", NULL,
                          false, true,
                          "its private key; peers get the node's own certificate all the same",
                          apply_tls_key },
    [SETTING_TOMBSTONE_GRACE] = { "tombstone-grace", "DAYS", "0 to " TEXT_OF(36500) ", 0: for ever",
                                  "90", false, true,
                                  "how long deletions are kept at least, and a node may be away "
                                  "before what it then sends is compared first; the same on all "
                                  "nodes",
                                  apply_grace },
    [SETTING_RESERVE] = { "reserve", "MIB", "0 to 1048576, 0: none", "4", false, false,
                          "room on the disk that is kept for deletions: with less free, writes are "
                          "refused",
                          apply_reserve },
    [SETTING_PROFILE] = { "profile", "NAME", ALLOWED_PROFILES, "normal", false, false,
                          "small: for devices with little memory; bounds connections, buffers, "
                          "commits and the size of the store",
                          apply_profile },
    [SETTING_PLAIN_PEERS] = { "plain-peers", "", ALLOWED_YES, "no", false, false,
                              "talk to peers without TLS, and serve HTTP without it to other "
                              "machines, tokens and all; only inside a network you trust",
                              apply_plain_peers },
    [SETTING_NO_ZSTD] = { "no-zstd", "", ALLOWED_YES, "no", false, false,
                          "exchange nothing packed with peers: more bytes, less work",
                          apply_no_zstd },
    [SETTING_CORS_ORIGIN] = { "cors-origin", "ORIGIN", "https://HOST or https://HOST:PORT", NULL,
                              true, true,
                              "let pages of this origin use the HTTP interface from a browser",
                              apply_origin },
    [SETTING_RATE] = { "rate", "PEER:STRANGERS", "two numbers of 0 to 1000000, 0: no limit",
                       DEFAULT_RATE_TEXT, false, true,
                       "HTTP requests a second of each peer or user, and of all from one address "
                       "who show no good token; the operator has no limit",
                       apply_rate },
    [SETTING_COMPAT_LEGACY] = { "compat-legacy", "", ALLOWED_YES, "no", false, false,
                                "accept old clients whose tokens prove nothing; loopback only",
                                apply_compat },
    [SETTING_FORCE_COMPAT_LEGACY] = { "force-compat-legacy", "", ALLOWED_YES, "no", false, false,
                                      "the same on any address: everyone who reaches it can write",
                                      apply_force_compat },
    [SETTING_LOG_LEVEL] = { "log-level", "LEVEL", ALLOWED_LEVELS, "info", false, true,
                            "what is logged, on stderr: this and what is more important",
                            apply_log_level },
    [SETTING_LOG_FORMAT] = { "log-format", "FORMAT", ALLOWED_FORMATS, "logfmt", false, true,
                             "how a line of the log is written", apply_log_format },
    [SETTING_JSON_READY] = { "json-ready", "", ALLOWED_YES, "no", false, false,
                             "print the line that says it is ready as JSON", apply_json_ready },
};

const struct setting *setting_at(enum setting_id id)
{
    PL_ASSERT(id < SETTING_COUNT);
    return &table[id];
}

bool setting_find(const char *name, enum setting_id *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *out = (enum setting_id)i;
            return true;
        }
    }
    return false;
}

/* ---- The nearest name ---- */

/* Letters to change, add or take away between two names; both are short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[SETTING_NAME_BYTES_MAX + 1];
    size_t b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t change = corner + (a[i - 1] != b[j - 1]);
            row[j] = pl_min_size(pl_min_size(above + 1, row[j - 1] + 1), change);
            corner = above;
        }
    }
    return row[b_len];
}

/* "cert" is near "tls-cert", whatever their distance. */
static bool is_part(const char *name, const char *of)
{
    return strlen(name) >= 4 && strstr(of, name) != NULL;
}

const struct setting *setting_nearest(const char *name)
{
    char plain[SETTING_NAME_BYTES_MAX + 1];
    size_t best = SETTING_COUNT;
    size_t len = strlen(name);
    size_t best_distance = 1 + pl_min_size(2, len / 3); /* one letter of three is wrong */
    if (len > SETTING_NAME_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i <= len; i++) {
        bool is_upper = name[i] >= 'A' && name[i] <= 'Z';
        plain[i] = is_upper ? (char)(name[i] + ('a' - 'A')) : name[i] == '_' ? '-' : name[i];
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        size_t far = distance(plain, table[i].name);
        if (far < best_distance) {
            best = i;
            best_distance = far;
        }
    }
    for (size_t i = 0; best == SETTING_COUNT && i < SETTING_COUNT; i++)
        if (is_part(plain, table[i].name))
            best = i;
    return best == SETTING_COUNT ? NULL : &table[best];
}

void setting_variable(const struct setting *setting, char out[SETTING_VARIABLE_BYTES_MAX])
{
    struct pl_writer w = pl_writer_over(out, SETTING_VARIABLE_BYTES_MAX - 1);
    pl_write_text(&w, "PARLEY_");
    for (const char *at = setting->name; *at != '\0'; at++)
        pl_write_u8(&w, (uint8_t)(*at == '-' ? '_' : *at - ('a' - 'A')));
    out[w.len] = '\0';
}
