/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's checks of what the node says: store, stamps, peers, key, and how it was started.
 */
#define _GNU_SOURCE 1
#include "parley/doctor.h"

#include "core/iso8601.h"
#include "lib/file.h"
#include "trust/rotation.h"

#include <stdlib.h>
#include <sys/stat.h>

#define HOUR_US INT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

/* A clock that is off by this much is wrong, and by PARLEY_CLOCK_DRIFT_US_MAX its writes are held.
 */
#define SKEW_US_SHOWN INT64_C(10000000)
/* Away for longer: no lid that is closed at night. */
#define AWAY_US_MAX (2 * DAY_US)
/* Still catching up after this: it is too slow, or something is in its way. */
#define CATCH_UP_US_MAX HOUR_US
/* Equality that had to be repaired more often than this since the start. */
#define REPAIRS_MAX        10
#define CERT_US_SHOWN      (14 * DAY_US)
#define ROTATIONS_LEFT_MIN 2

/* Nine tenths of a limit that cannot be raised. */
static bool is_near(uint64_t count, uint64_t limit)
{
    return limit != 0 && count >= limit - limit / 10;
}

/* Microseconds since an ISO 8601 time; false: there is none. */
static bool age_of(const struct doctor *d, const char *iso, int64_t *out)
{
    uint64_t us = 0;
    if (pl_iso8601_parse(pl_span_text(iso), &us) != PARLEY_OK || us == 0 || us > INT64_MAX)
        return false;
    *out = d->now_us - (int64_t)us;
    return true;
}

/* "3 hours", "12 days". */
static const char *span_text(int64_t us, char out[32])
{
    long long seconds = (long long)(us < 0 ? -us : us) / 1000000;
    if (seconds < 120)
        snprintf(out, 32, "%lld s", seconds);
    else if (seconds < 2 * 3600)
        snprintf(out, 32, "%lld minutes", seconds / 60);
    else if (seconds < 2 * 86400)
        snprintf(out, 32, "%lld hours", seconds / 3600);
    else
        snprintf(out, 32, "%lld days", seconds / 86400);
    return out;
}

/* ---- The store ---- */

static void judge_health(struct doctor *d, const json_t *store)
{
    const json_t *scrub = json_object_get(store, "scrub");
    if (json_count(scrub, "problems") != 0) {
        doctor_add(d, DOCTOR_PROBLEM, "store-damaged", "store",
                   "the disk has changed what was stored: %s", json_text(scrub, "first"));
        doctor_do(d, "keep a copy of the directory, then: parley %s check", buf_str(&d->dir));
    } else if (!json_is_true(json_object_get(store, "ok"))) {
        doctor_add(d, DOCTOR_PROBLEM, "writes-refused", "store", "writes are refused: %s",
                   json_text(store, "note"));
        doctor_do(d, "make room on the disk, or look at dmesg; the next write that works ends it");
    }
    if (is_near(json_count(store, "file_bytes"), json_count(store, "limit_bytes"))) {
        struct buf size = { 0 };
        text_bytes(&size, json_count(store, "file_bytes"));
        buf_text(&size, " of ");
        text_bytes(&size, json_count(store, "limit_bytes"));
        doctor_add(d, DOCTOR_WARNING, "store-near-limit", "store",
                   "it has %s, and cannot grow beyond that", buf_str(&size));
        doctor_do(d,
                  "keep less history: parley %s retention --versions 4; then stop parleyd and: "
                  "parley %s compact",
                  buf_str(&d->dir), buf_str(&d->dir));
        buf_free(&size);
    }
}

static void judge_stamps(struct doctor *d, const json_t *status)
{
    char span[32];
    int64_t ahead = (int64_t)json_count(status, "clock_ahead_us");
    if (ahead >= SKEW_US_SHOWN) {
        doctor_add(d, ahead > PARLEY_CLOCK_DRIFT_US_MAX ? DOCTOR_PROBLEM : DOCTOR_WARNING,
                   "clock-behind-stamps", "clock",
                   "it is %s behind the newest stamp that is stored: it was set back, or was ahead "
                   "before%s",
                   span_text(ahead, span),
                   ahead > PARLEY_CLOCK_DRIFT_US_MAX
                       ? "; peers hold what is written here until then"
                       : "");
        doctor_do(d, "compare with: date -u; if it is wrong: timedatectl set-ntp true; if it is "
                     "right, wait that long");
    }
    if (json_count(status, "held") != 0) {
        doctor_add(d, DOCTOR_WARNING, "held", "store",
                   "%llu versions are stamped more than 5 minutes ahead of this clock and wait",
                   (unsigned long long)json_count(status, "held"));
        doctor_do(d,
                  "set the clock that stamped them; parley %s status says of which peer they are",
                  buf_str(&d->dir));
    }
}

static void judge_spaces(struct doctor *d, const json_t *status)
{
    const json_t *spaces = json_object_get(status, "namespaces");
    json_t *space;
    size_t index;
    if (is_near(json_array_size(spaces), PARLEY_NAMESPACES_MAX)) {
        doctor_add(d, DOCTOR_WARNING, "namespaces-near-limit", "store",
                   "%zu namespaces, of %d at most; a new one is refused then",
                   json_array_size(spaces), PARLEY_NAMESPACES_MAX);
        doctor_do(d, "put more into each namespace");
    }
    json_array_foreach(spaces, index, space)
    {
        if (!json_is_true(json_object_get(space, "more_peers_away_than_here")))
            continue;
        doctor_add(d, DOCTOR_NOTE, "deletions-wait", json_text(space, "name"),
                   "%llu deletions are old enough to go, and stay: more peers are away than here",
                   (unsigned long long)json_count(space, "deletions_waiting"));
        doctor_do(d, "revoke peers that will not come back: parley %s revoke ID", buf_str(&d->dir));
    }
}

static void judge_version(struct doctor *d, const json_t *status, bool is_local)
{
    const char *version = json_text(status, "version");
    if (is_local || version[0] == '\0' || strcmp(version, PARLEY_VERSION) == 0)
        return;
    doctor_add(d, DOCTOR_WARNING, "version", "parleyd", "it is version %s, and this command %s",
               version, PARLEY_VERSION);
    doctor_do(d, "restart parleyd, so that it is what is installed");
}

void doctor_judge_store(struct doctor *d, const json_t *status, bool is_local)
{
    const json_t *store = json_object_get(status, "store");
    const json_t *scrub = json_object_get(store, "scrub");
    struct buf size = { 0 };
    doctor_begin(d);
    judge_health(d, store);
    judge_stamps(d, status);
    judge_spaces(d, status);
    judge_version(d, status, is_local);
    if (json_count(status, "trash") != 0) {
        doctor_add(d, DOCTOR_NOTE, "trash", "store",
                   "%llu versions lie in the trash, from before this node was away",
                   (unsigned long long)json_count(status, "trash"));
        doctor_do(d, "parley %s trash, then: trash restore, or trash empty", buf_str(&d->dir));
    }
    text_bytes(&size, json_count(store, "file_bytes"));
    doctor_end(d, "store", "store", "%s, writes work, %llu rows proved since the start",
               buf_str(&size), (unsigned long long)json_count(scrub, "rows"));
    buf_free(&size);
}

/* ---- Peers ---- */

struct patient {
    const char *id, *note;
    char where[DOCTOR_WHERE_BYTES_MAX];
    int64_t away_us; /* since it was last equal, or since its state began */
    bool was_here;
};

static void judge_offline(struct doctor *d, const json_t *peer, const struct patient *p)
{
    char span[32];
    char next[32];
    int64_t next_us = 0;
    const char *address = json_text(peer, "address");
    bool dials = address[0] != '\0' && age_of(d, json_text(peer, "next_dial_at"), &next_us);
    doctor_add(d, p->away_us > AWAY_US_MAX ? DOCTOR_PROBLEM : DOCTOR_WARNING, "peer-offline",
               p->where, "%s: %s%s%s%s%s", p->was_here ? "away" : "never reached",
               p->note[0] != '\0' ? p->note : "it has not called", p->away_us > 0 ? ", for " : "",
               p->away_us > 0 ? span_text(p->away_us, span) : "", dials ? "; next try in " : "",
               dials ? span_text(next_us, next) : "");
    if (address[0] != '\0')
        doctor_do(d, "is parleyd running at %s, and can it be reached? Then: parley %s sync %s",
                  address, buf_str(&d->dir), p->id);
    else
        doctor_do(d,
                  "it dials this node: run parley doctor there; if it will not come back: parley "
                  "%s revoke %s",
                  buf_str(&d->dir), p->id);
}

/* Returns whether the state says more than that both talk. */
static bool judge_state(struct doctor *d, const json_t *peer, const struct patient *p,
                        bool is_local)
{
    const char *state = json_text(peer, "state");
    char span[32];
    if (strcmp(state, "revoked") == 0)
        return true;
    if (strcmp(state, "pending") == 0) {
        doctor_add(d, DOCTOR_WARNING, "peer-pending", p->where, "it waits to be let in");
        doctor_do(d, "is it yours? Then: parley %s approve %s; if not: revoke %s", buf_str(&d->dir),
                  p->id, p->id);
        return true;
    }
    if (strcmp(state, "refused") == 0) {
        doctor_add(d, DOCTOR_PROBLEM, "peer-refused", p->where, "not trusted: %s", p->note);
        doctor_do(d,
                  "look there at parley peers; if both shall sync: parley invite there, and here: "
                  "parley %s join URL",
                  buf_str(&d->dir));
        return true;
    }
    if (strcmp(state, "offline") == 0) {
        /* A client over HTTP comes when it likes. */
        if (!is_local && strcmp(json_text(peer, "kind"), "http") != 0)
            judge_offline(d, peer, p);
        return true;
    }
    if (strcmp(state, "catching up") == 0 && p->away_us > CATCH_UP_US_MAX) {
        doctor_add(d, DOCTOR_WARNING, "peer-behind", p->where,
                   "connected, and not equal for %s (%s); %llu changes to go",
                   span_text(p->away_us, span), p->note,
                   (unsigned long long)json_count(peer, "behind"));
        doctor_do(d,
                  "watch SENT and RECEIVED: parley %s status; when they stand still look at the "
                  "log there",
                  buf_str(&d->dir));
    }
    return false;
}

static void judge_skew(struct doctor *d, const json_t *peer, const struct patient *p)
{
    char span[32];
    int64_t skew = json_integer_value(json_object_get(peer, "skew_us"));
    int64_t size = skew < 0 ? -skew : skew;
    if (size < SKEW_US_SHOWN)
        return;
    bool is_held = size > PARLEY_CLOCK_DRIFT_US_MAX;
    doctor_add(d, is_held ? DOCTOR_PROBLEM : DOCTOR_WARNING, "peer-skew", p->where,
               "its clock is %s %s this one%s", span_text(size, span),
               skew > 0 ? "ahead of" : "behind",
               !is_held   ? ""
               : skew > 0 ? "; what is written there waits here until then"
                          : "; what is written here waits there until then");
    doctor_do(d, "compare both with: date -u; where it is wrong: timedatectl set-ntp true");
}

static void judge_traffic(struct doctor *d, const json_t *peer, const struct patient *p)
{
    if (json_count(peer, "writes_refused") != 0) {
        doctor_add(d, DOCTOR_WARNING, "peer-writes-refused", p->where,
                   "%llu of its writes were refused: it may only read there",
                   (unsigned long long)json_count(peer, "writes_refused"));
        doctor_do(d, "shall it write? Then: parley %s approve %s --namespace NS --right write",
                  buf_str(&d->dir), p->id);
    }
    if (json_count(peer, "repairs") > REPAIRS_MAX) {
        doctor_add(d, DOCTOR_WARNING, "peer-repairs", p->where,
                   "equality was lost and repaired %llu times since the start",
                   (unsigned long long)json_count(peer, "repairs"));
        doctor_do(d, "parley %s check, here and there", buf_str(&d->dir));
    }
}

static void judge_stale(struct doctor *d, const json_t *peer, const struct patient *p)
{
    json_t *space;
    size_t index;
    json_array_foreach(json_object_get(peer, "namespaces"), index, space)
    {
        if (!json_is_true(json_object_get(space, "stale")))
            continue;
        doctor_add(d, DOCTOR_WARNING, "peer-stale", p->where,
                   "away for so long that deletions of %s no longer wait for it; when it comes "
                   "back, what was deleted meanwhile goes to its trash",
                   json_text(space, "name"));
        doctor_do(d, "if it will not come back: parley %s revoke %s", buf_str(&d->dir), p->id);
        return;
    }
}

static bool judge_peer(struct doctor *d, const json_t *peer, bool is_local)
{
    struct patient p = { .id = json_text(peer, "backend_id"), .note = json_text(peer, "note") };
    snprintf(p.where, sizeof p.where, "peer %s", p.id);
    p.was_here = age_of(d, json_text(peer, "last_sync_at"), &p.away_us);
    if (!p.was_here && !age_of(d, json_text(peer, "since"), &p.away_us))
        p.away_us = 0;
    if (strcmp(json_text(peer, "state"), "revoked") == 0)
        return false;
    bool silent = judge_state(d, peer, &p, is_local);
    judge_skew(d, peer, &p);
    judge_traffic(d, peer, &p);
    judge_stale(d, peer, &p);
    return !silent && strcmp(json_text(peer, "state"), "in sync") == 0;
}

void doctor_judge_peers(struct doctor *d, const json_t *status, bool is_local)
{
    const json_t *peers = json_object_get(status, "peers");
    size_t in_sync = 0;
    size_t index;
    json_t *peer;
    doctor_begin(d);
    json_array_foreach(peers, index, peer)
    {
        in_sync += judge_peer(d, peer, is_local);
    }
    if (is_near(json_array_size(peers), PARLEY_PEERS_MAX)) {
        doctor_add(d, DOCTOR_WARNING, "peers-near-limit", "peers", "%zu are known, of %d at most",
                   json_array_size(peers), PARLEY_PEERS_MAX);
        doctor_do(d, "parley %s peers; drop those that wait in vain: parley %s revoke ID",
                  buf_str(&d->dir), buf_str(&d->dir));
    }
    if (is_local)
        doctor_end(d, "peers", "peers", "%zu known", json_array_size(peers));
    else
        doctor_end(d, "peers", "peers", "%zu of %zu in sync", in_sync, json_array_size(peers));
}

/* ---- The key ---- */

void doctor_judge_key(struct doctor *d, const json_t *key)
{
    doctor_begin(d);
    if (strcmp(json_text(key, "phase"), "failed") == 0) {
        doctor_add(d, DOCTOR_PROBLEM, "rotation-failed", "key", "its last rotation failed: %s",
                   json_text(key, "error"));
        doctor_do(d, "parley %s key rotate", buf_str(&d->dir));
    }
    if (json_count(key, "rotations_left") <= ROTATIONS_LEFT_MIN) {
        doctor_add(d, DOCTOR_WARNING, "rotations-near-limit", "key",
                   "it can be changed %llu times more, of %d",
                   (unsigned long long)json_count(key, "rotations_left"), PL_ROTATIONS_MAX);
        doctor_do(d, "keep what is left for a key that is stolen");
    }
    doctor_end(d, "key", "key", "%llu bits, %llu changes left",
               (unsigned long long)json_count(key, "bits"),
               (unsigned long long)json_count(key, "rotations_left"));
}

/* ---- How it was started ---- */

static void judge_certificate(struct doctor *d, const json_t *run)
{
    char span[32];
    int64_t left = 0;
    const char *file = json_text(run, "tls_cert");
    if (file[0] == '\0' || !age_of(d, json_text(run, "tls_cert_until"), &left))
        return;
    left = -left;
    if (left > CERT_US_SHOWN)
        return;
    if (left <= 0)
        doctor_add(d, DOCTOR_PROBLEM, "certificate-expired", file,
                   "it expired %s ago: clients refuse it", span_text(left, span));
    else
        doctor_add(d, DOCTOR_WARNING, "certificate-expires", file, "it expires in %s",
                   span_text(left, span));
    doctor_do(d, "renew it, put the new files in place, then: kill -HUP %ld", (long)d->run.pid);
}

static void judge_config(struct doctor *d, const json_t *run)
{
    const char *file = json_text(run, "config");
    struct stat st;
    struct buf word = { 0 };
    int64_t age = 0;
    if (file[0] == '\0')
        return;
    doctor_quote(&word, file);
    if (stat(file, &st) != 0) {
        doctor_add(d, DOCTOR_WARNING, "config-missing", file,
                   "it is not there any more (or not seen from this directory): a restart fails");
        doctor_do(d, "put it back, or start parleyd without --config");
    } else if ((st.st_mode & 022) != 0) {
        doctor_add(d, DOCTOR_PROBLEM, "config-open", file,
                   "others can change the configuration (mode %04o)", st.st_mode & 07777);
        doctor_do(d, "chmod go-w %s", buf_str(&word));
    } else if (age_of(d, json_text(run, "config_read_at"), &age) &&
               (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 > d->now_us - age) {
        doctor_add(d, DOCTOR_NOTE, "config-changed", file, "it was changed since parleyd read it");
        doctor_do(d, "parleyd --config %s --check-config && kill -HUP %ld", buf_str(&word),
                  (long)d->run.pid);
    }
    buf_free(&word);
}

void doctor_judge_run(struct doctor *d)
{
    const json_t *run = d->run.json;
    if (!d->run.alive)
        return;
    doctor_begin(d);
    if (json_is_true(json_object_get(run, "compat_legacy"))) {
        bool outside = json_is_true(json_object_get(run, "listens_outside"));
        doctor_add(d, outside ? DOCTOR_PROBLEM : DOCTOR_NOTE, "compat-legacy", "parleyd",
                   "it takes tokens that prove nothing%s",
                   outside
                       ? ", from other machines: everyone who reaches it can read and write main"
                       : ", from this machine");
        doctor_do(d, "when no old client is left: start it without --compat-legacy%s",
                  outside ? " and --force-compat-legacy" : "");
    }
    if (json_is_true(json_object_get(run, "plain_peers"))) {
        doctor_add(d, DOCTOR_WARNING, "plain-peers", "parleyd",
                   "peers and tokens cross the network in the clear (--plain-peers)");
        doctor_do(d, "start all nodes without --plain-peers: they then use TLS by themselves");
    }
    judge_certificate(d, run);
    judge_config(d, run);
    doctor_end(d, "settings", "parleyd", "%s", "started as it should be");
}
