/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parleyd/config.h"

#include "lib/file.h"

#include <getopt.h>
#include <stdlib.h>

enum flag {
    FLAG_DATA = 1,
    FLAG_LISTEN,
    FLAG_TYPE,
    FLAG_COMPAT,
    FLAG_FORCE_COMPAT,
    FLAG_ADVERTISE,
    FLAG_PLAIN_PEERS,
    FLAG_SEAL_KEY,
    FLAG_TLS_CERT,
    FLAG_TLS_KEY,
    FLAG_NO_ZSTD,
    FLAG_PASSPHRASE,
    FLAG_KEY_BITS,
    FLAG_GRACE,
    FLAG_RESERVE,
    FLAG_ORIGIN,
    FLAG_RATE,
    FLAG_LOG_LEVEL,
    FLAG_JSON_READY,
    FLAG_VERSION,
    FLAG_HELP
};

static const struct option flags[] = {
    { "data", required_argument, NULL, FLAG_DATA },
    { "listen", required_argument, NULL, FLAG_LISTEN },
    { "type", required_argument, NULL, FLAG_TYPE },
    { "compat-legacy", no_argument, NULL, FLAG_COMPAT },
    { "force-compat-legacy", no_argument, NULL, FLAG_FORCE_COMPAT },
    { "advertise", required_argument, NULL, FLAG_ADVERTISE },
    { "plain-peers", no_argument, NULL, FLAG_PLAIN_PEERS },
    { "no-zstd", no_argument, NULL, FLAG_NO_ZSTD },
    { "seal-key-file", required_argument, NULL, FLAG_SEAL_KEY },
    { "tls-cert", required_argument, NULL, FLAG_TLS_CERT },
    { "tls-key", required_argument, NULL, FLAG_TLS_KEY },
    { "passphrase-file", required_argument, NULL, FLAG_PASSPHRASE },
    { "key-bits", required_argument, NULL, FLAG_KEY_BITS },
    { "tombstone-grace", required_argument, NULL, FLAG_GRACE },
    { "reserve", required_argument, NULL, FLAG_RESERVE },
    { "cors-origin", required_argument, NULL, FLAG_ORIGIN },
    { "rate", required_argument, NULL, FLAG_RATE },
    { "log-level", required_argument, NULL, FLAG_LOG_LEVEL },
    { "json-ready", no_argument, NULL, FLAG_JSON_READY },
    { "version", no_argument, NULL, FLAG_VERSION },
    { "help", no_argument, NULL, FLAG_HELP },
    { NULL, 0, NULL, 0 },
};

static const char help_text[] =
    "parleyd: keeps conversations, keys and peers in a directory and in sync with other nodes.\n"
    "\n"
    "  parleyd --data DIR                      serve on 127.0.0.1:8825, this machine only\n"
    "  parleyd --data DIR --listen 0.0.0.0:8825 --advertise chat.example.org:8825\n"
    "                                          serve the network; peers use TLS by themselves\n"
    "  parley --data DIR status                what it is doing now\n"
    "\n"
    "All state is in DIR: to back it up, stop parleyd, copy DIR, start it again.\n"
    "SIGTERM or Ctrl-C stops it cleanly; killing it loses nothing that was acknowledged.\n"
    "\n"
    "Flags\n"
    "  --data DIR             the data directory; made if missing (required)\n"
    "  --listen ADDR:PORT     where to serve; may be repeated; [ADDR]:PORT for IPv6; port 0 takes\n"
    "                         a free one (default 127.0.0.1:8825)\n"
    "  --advertise HOST:PORT  how other nodes reach this one; put into invitations\n"
    "  --type TYPE            local, hosted or edge; fixed at the first start (default local)\n"
    "  --seal-key-file FILE   key that seals the private key (default DIR/seal.key, made at the\n"
    "                         first start)\n"
    "  --tls-cert FILE.pem    certificate for HTTPS, with those above it, in place of the node's "
    "own\n"
    "  --tls-key FILE.pem     its private key; peers get the node's own certificate all the same\n"
    "  --passphrase-file FILE pass phrase that seals the private key instead, on its first line\n"
    "  --key-bits BITS        2048 or 3072: RSA key of a new data directory (default 2048)\n"
    "  --tombstone-grace DAYS how long deletions are kept at least, and a node may be away before\n"
    "                         what it then sends is compared first (default 90); 0: for ever;\n"
    "                         the same on all nodes\n"
    "  --reserve MIB          room on the disk that is kept for deletions: with less free, writes "
    "are\n"
    "                         refused (default 4); 0: none\n"
    "  --plain-peers          talk to peers without TLS, and serve HTTP without it to other\n"
    "                         machines, tokens and all; only inside a network you trust\n"
    "  --no-zstd              exchange nothing packed with peers: more bytes, less work\n"
    "  --cors-origin ORIGIN   let pages of https://HOST[:PORT] use the HTTP interface from a "
    "browser;\n"
    "                         may be repeated\n"
    "  --rate PEER:STRANGERS  HTTP requests a second of each peer or user, and of all from one\n"
    "                         address who show no good token (default 500:100); 0: no limit;\n"
    "                         the operator has none\n"
    "  --compat-legacy        accept old clients whose tokens prove nothing; loopback only\n"
    "  --force-compat-legacy  the same on any address: everyone who reaches it can write\n"
    "  --log-level LEVEL      error, warn, info or debug, on stderr (default info)\n"
    "  --json-ready           print the line that says it is ready as JSON\n"
    "  --version, --help\n"
    "\n"
    "Environment\n"
    "  BACKEND_PRIVATE_KEY    PEM of the identity to take over at the first start; later it must\n"
    "                         be the same key, or parleyd refuses to start\n"
    "  PARLEY_PASSPHRASE      seals the private key instead of a key file\n"
    "  CREDENTIALS_DIRECTORY  set by systemd; the credential parley-passphrase is used as pass\n"
    "                         phrase, the credential parley-seal as key file\n"
    "\n"
    "Files in DIR\n"
    "  store/       everything; lock   held while parleyd runs; parleyd.run   its pid and ports\n"
    "  seal.key     unseals the private key: without it the identity is lost; back it up apart\n"
    "  admin.token  the bearer token for the HTTP interface and the parley command\n"
    "\n"
    "Exit codes\n"
    "  0 stopped as asked       64 wrong flags            65 the store is damaged or too new\n"
    "  69 cannot listen         70 a bug of ours          71 no memory\n"
    "  74 disk trouble          75 another parleyd has DIR; try later\n"
    "  77 permissions           78 wrong key, pass phrase or identity\n";

const char *config_help(void)
{
    return help_text;
}

static parley_err set_type(struct config *config, const char *text, struct parley_diag *diag)
{
    if (pl_backend_type_parse(pl_span_text(text), &config->type) != PARLEY_OK)
        return tool_fail(diag, PARLEY_EINVAL, "--type \"%.60s\": use local, hosted or edge", text);
    config->type_given = true;
    return PARLEY_OK;
}

static parley_err add_listen(struct config *config, const char *text, struct parley_diag *diag)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    if (pl_uv_split_address(text, host, port) != PARLEY_OK)
        return tool_fail(diag, PARLEY_EINVAL,
                         "--listen \"%.100s\": write ADDR:PORT, or [ADDR]:PORT for IPv6", text);
    if (config->listen_count == PL_UV_LISTENS_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "--listen: at most %d addresses", PL_UV_LISTENS_MAX);
    config->listen[config->listen_count++] = text;
    return PARLEY_OK;
}

static parley_err set_advertise(struct config *config, const char *text, struct parley_diag *diag)
{
    char host[PL_ADDRESS_BYTES_MAX + 1];
    char port[6];
    if (strlen(text) > PL_ADDRESS_BYTES_MAX || pl_uv_split_address(text, host, port) != PARLEY_OK)
        return tool_fail(diag, PARLEY_EINVAL, "--advertise \"%.100s\": write HOST:PORT", text);
    config->advertise = text;
    return PARLEY_OK;
}

static parley_err set_text(const char **out, const char *flag, const char *text,
                           struct parley_diag *diag)
{
    if (text[0] == '\0' || strlen(text) > TOOL_PATH_BYTES_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "%s: the name is empty or too long", flag);
    *out = text;
    return PARLEY_OK;
}

static parley_err set_bits(struct config *config, const char *text, struct parley_diag *diag)
{
    if (strcmp(text, "2048") == 0)
        config->key_bits = 2048;
    else if (strcmp(text, "3072") == 0)
        config->key_bits = 3072;
    else
        return tool_fail(diag, PARLEY_EINVAL, "--key-bits \"%.60s\": use 2048 or 3072", text);
    return PARLEY_OK;
}

/* A hundred years: the sum with any time of now fits. */
#define GRACE_DAYS_MAX 36500u

static parley_err set_grace(struct config *config, const char *text, struct parley_diag *diag)
{
    char *end = NULL;
    unsigned long days = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || days > GRACE_DAYS_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "--tombstone-grace \"%.60s\": use 0 to %u days", text,
                         GRACE_DAYS_MAX);
    config->tombstone_grace_us = days == 0 ? -1 : (int64_t)days * 24 * 3600 * PARLEY_US_PER_S;
    return PARLEY_OK;
}

/* A tebibyte: more than anybody keeps free on purpose. */
#define RESERVE_MIB_MAX (1u << 20)

static parley_err set_reserve(struct config *config, const char *text, struct parley_diag *diag)
{
    char *end = NULL;
    unsigned long mib = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || mib > RESERVE_MIB_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "--reserve \"%.60s\": use 0 to %u MiB", text,
                         RESERVE_MIB_MAX);
    config->reserve_bytes = (uint64_t)mib << 20;
    return PARLEY_OK;
}

/* As browsers send it: no path, no slash at the end, nothing that stands for many. */
static parley_err add_origin(struct config *config, const char *text, struct parley_diag *diag)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    if (host[0] == '\0' || strpbrk(host, "/*?# ") != NULL || strlen(text) > 255)
        return tool_fail(diag, PARLEY_EINVAL,
                         "--cors-origin \"%.100s\": write https://HOST or https://HOST:PORT, one "
                         "for each site",
                         text);
    if (config->origin_count == CONFIG_ORIGINS_MAX)
        return tool_fail(diag, PARLEY_EINVAL, "--cors-origin: at most %d of them",
                         CONFIG_ORIGINS_MAX);
    config->origins[config->origin_count++] = text;
    return PARLEY_OK;
}

/* A million a second is more than one node serves. */
#define RATE_MAX 1000000u

static parley_err set_rate(struct config *config, const char *text, struct parley_diag *diag)
{
    char *end = NULL;
    unsigned long peer = strtoul(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && *end == ':' && end[1] >= '0' && end[1] <= '9';
    unsigned long stranger = good ? strtoul(end + 1, &end, 10) : 0;
    if (!good || *end != '\0' || peer > RATE_MAX || stranger > RATE_MAX)
        return tool_fail(diag, PARLEY_EINVAL,
                         "--rate \"%.60s\": write PEER:STRANGERS, each 0 to %u requests a second",
                         text, RATE_MAX);
    config->peer_rate = (uint32_t)peer;
    config->stranger_rate = (uint32_t)stranger;
    return PARLEY_OK;
}

static parley_err apply_flag(struct config *config, enum flag flag, const char *value,
                             enum config_action *action, struct parley_diag *diag)
{
    switch (flag) {
    case FLAG_DATA:
        return set_text(&config->data_dir, "--data", value, diag);
    case FLAG_LISTEN:
        return add_listen(config, value, diag);
    case FLAG_TYPE:
        return set_type(config, value, diag);
    case FLAG_COMPAT:
        config->compat_legacy = true;
        return PARLEY_OK;
    case FLAG_FORCE_COMPAT:
        config->compat_legacy = true;
        config->force_compat_legacy = true;
        return PARLEY_OK;
    case FLAG_ADVERTISE:
        return set_advertise(config, value, diag);
    case FLAG_PLAIN_PEERS:
        config->plain_peers = true;
        return PARLEY_OK;
    case FLAG_NO_ZSTD:
        config->no_zstd = true;
        return PARLEY_OK;
    case FLAG_SEAL_KEY:
        return set_text(&config->seal_key_file, "--seal-key-file", value, diag);
    case FLAG_TLS_CERT:
        return set_text(&config->tls_cert, "--tls-cert", value, diag);
    case FLAG_TLS_KEY:
        return set_text(&config->tls_key, "--tls-key", value, diag);
    case FLAG_PASSPHRASE:
        return set_text(&config->passphrase_file, "--passphrase-file", value, diag);
    case FLAG_KEY_BITS:
        return set_bits(config, value, diag);
    case FLAG_GRACE:
        return set_grace(config, value, diag);
    case FLAG_RESERVE:
        return set_reserve(config, value, diag);
    case FLAG_ORIGIN:
        return add_origin(config, value, diag);
    case FLAG_RATE:
        return set_rate(config, value, diag);
    case FLAG_LOG_LEVEL:
        if (log_level_parse(value, &config->log_level) == PARLEY_OK)
            return PARLEY_OK;
        return tool_fail(diag, PARLEY_EINVAL,
                         "--log-level \"%.60s\": use error, warn, info or debug", value);
    case FLAG_JSON_READY:
        config->json_ready = true;
        return PARLEY_OK;
    case FLAG_VERSION:
        *action = CONFIG_VERSION;
        return PARLEY_OK;
    case FLAG_HELP:
        *action = CONFIG_HELP;
        return PARLEY_OK;
    }
    return PARLEY_EINVAL;
}

static parley_err check_whole(struct config *config, struct parley_diag *diag)
{
    if (config->data_dir == NULL)
        return tool_fail(diag, PARLEY_EINVAL, "--data DIR is missing; try --help");
    if ((config->tls_cert == NULL) != (config->tls_key == NULL))
        return tool_fail(diag, PARLEY_EINVAL, "--tls-cert and --tls-key go together");
    if (config->listen_count == 0)
        config->listen[config->listen_count++] = CONFIG_LISTEN_DEFAULT;
    for (size_t i = 0; i < config->listen_count; i++) {
        if (config->compat_legacy && !config->force_compat_legacy &&
            !pl_uv_address_is_loopback(config->listen[i]))
            return tool_fail(diag, PARLEY_EINVAL,
                             "--compat-legacy on %.60s would let everyone who reaches it write; "
                             "listen on 127.0.0.1, or say --force-compat-legacy",
                             config->listen[i]);
    }
    return PARLEY_OK;
}

parley_err config_parse(int argc, char **argv, struct config *out, enum config_action *action,
                        struct parley_diag *diag)
{
    struct config config = { .log_level = LOG_LEVEL_INFO,
                             .reserve_bytes = PARLEY_RESERVE_BYTES,
                             .peer_rate = CONFIG_PEER_RATE,
                             .stranger_rate = CONFIG_STRANGER_RATE };
    *action = CONFIG_RUN;
    opterr = 0;
    optind = 1;
    for (;;) {
        int flag = getopt_long(argc, argv, ":", flags, NULL);
        if (flag == -1)
            break;
        if (flag == ':')
            return tool_fail(diag, PARLEY_EINVAL, "%.100s needs a value; try --help",
                             argv[optind - 1]);
        if (flag == '?')
            return tool_fail(diag, PARLEY_EINVAL, "%.100s is not a flag; try --help",
                             argv[optind - 1]);
        PL_TRY(apply_flag(&config, (enum flag)flag, optarg, action, diag));
        if (*action != CONFIG_RUN)
            return PARLEY_OK;
    }
    if (optind < argc)
        return tool_fail(diag, PARLEY_EINVAL, "\"%.100s\" is not a flag; try --help", argv[optind]);
    PL_TRY(check_whole(&config, diag));
    *out = config;
    return PARLEY_OK;
}
