/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's checks that need no node: files and their rights, the disk, the clock, the process.
 */
#define _GNU_SOURCE 1
#include "parley/doctor.h"

#include "lib/file.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define STORE_FILE     "store/data.mdb"
#define RUN_FILE_BYTES 16384
/* More than these in a data directory are not ours. */
#define FILES_MAX 64
/* Before this no parley was made, and beyond it no clock is right. */
#define YEAR_MIN 2024
#define YEAR_MAX 2100

/* ---- Files and their rights ---- */

static bool path_of(const struct doctor *d, const char *name, char out[TOOL_PATH_BYTES_MAX + 1])
{
    return tool_path_join(d->data_dir, name, out, NULL) == PARLEY_OK;
}

static void judge_mode(struct doctor *d, const char *path, const struct stat *st, bool is_secret)
{
    struct buf word = { 0 };
    if ((st->st_mode & 077) == 0)
        return;
    doctor_quote(&word, path);
    if (S_ISDIR(st->st_mode)) {
        doctor_add(d, DOCTOR_PROBLEM, "open-directory", path,
                   "others may enter this directory (mode %04o)", st->st_mode & 07777);
        doctor_do(d, "chmod 700 %s", buf_str(&word));
    } else if (is_secret) {
        doctor_add(d, DOCTOR_PROBLEM, "open-secret", path,
                   "others can read this secret (mode %04o): parleyd refuses it, and it must count "
                   "as known",
                   st->st_mode & 07777);
        doctor_do(d,
                  "chmod 600 %s; then make a new one (parley %s key reseal, or remove "
                  "admin.token and restart)",
                  buf_str(&word), buf_str(&d->dir));
    } else {
        doctor_add(d, DOCTOR_WARNING, "open-file", path, "others can read this file (mode %04o)",
                   st->st_mode & 07777);
        doctor_do(d, "chmod 600 %s", buf_str(&word));
    }
    buf_free(&word);
}

static void judge_file(struct doctor *d, const char *name, uid_t owner)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    bool is_secret = strcmp(name, "seal.key") == 0 || strcmp(name, "admin.token") == 0;
    if (!path_of(d, name, path) || lstat(path, &st) != 0)
        return;
    /* A link may be made on purpose; what it leads to has rights of its own. */
    if (S_ISLNK(st.st_mode))
        return;
    if (st.st_uid != owner) {
        struct buf word = { 0 };
        doctor_quote(&word, d->data_dir);
        doctor_add(d, DOCTOR_PROBLEM, "foreign-file", path,
                   "belongs to user %ld, but its directory to user %ld", (long)st.st_uid,
                   (long)owner);
        doctor_do(d, "chown -R %ld %s", (long)owner, buf_str(&word));
        buf_free(&word);
    }
    judge_mode(d, path, &st, is_secret);
}

static void judge_owner(struct doctor *d, const struct stat *st)
{
    if (st->st_uid == geteuid())
        return;
    if (geteuid() != 0) {
        doctor_add(d, DOCTOR_PROBLEM, "not-owner", d->data_dir,
                   "belongs to user %ld, and this is user %ld", (long)st->st_uid, (long)geteuid());
    } else {
        d->keep_out = true;
        doctor_add(d, DOCTOR_WARNING, "not-owner", d->data_dir,
                   "belongs to user %ld, and this is root: what root writes there, parleyd cannot "
                   "read; so the store is only looked at through a running parleyd",
                   (long)st->st_uid);
    }
    doctor_do(d, "sudo -u '#%ld' parley %s doctor", (long)st->st_uid, buf_str(&d->dir));
}

bool doctor_check_files(struct doctor *d)
{
    struct stat st;
    size_t count = 0;
    doctor_begin(d);
    if (stat(d->data_dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        doctor_add(d, DOCTOR_PROBLEM, "no-directory", d->data_dir, "%s",
                   errno == EACCES ? "may not be entered" : "is no directory");
        doctor_do(d,
                  "name the data directory that parleyd was started with; a new node is made by: "
                  "parleyd %s",
                  buf_str(&d->dir));
        return false;
    }
    judge_owner(d, &st);
    judge_mode(d, d->data_dir, &st, false);
    DIR *dir = opendir(d->data_dir);
    for (struct dirent *item; dir != NULL && count < FILES_MAX && (item = readdir(dir)) != NULL;) {
        if (item->d_name[0] == '.')
            continue;
        judge_file(d, item->d_name, st.st_uid);
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    judge_file(d, STORE_FILE, st.st_uid);
    doctor_end(d, "files", d->data_dir, "%zu files, of one owner, and nobody else can read them",
               count);
    return true;
}

/* ---- The disk ---- */

static void judge_kind(struct doctor *d)
{
    static const struct {
        uint32_t magic; /* 32 bits everywhere; the type of f_type differs */
        const char *name;
        enum doctor_level level;
        const char *what;
    } kinds[] = {
        { 0x6969, "NFS", DOCTOR_PROBLEM, "locks and maps of files are not safe there" },
        { 0x517b, "SMB", DOCTOR_PROBLEM, "locks and maps of files are not safe there" },
        { 0xff534d42, "CIFS", DOCTOR_PROBLEM, "locks and maps of files are not safe there" },
        { 0xfe534d42, "SMB", DOCTOR_PROBLEM, "locks and maps of files are not safe there" },
        { 0x01021997, "9p", DOCTOR_PROBLEM, "locks and maps of files are not safe there" },
        { 0x65735546, "FUSE", DOCTOR_WARNING, "whether it keeps what was synced depends on it" },
        { 0x01021994, "tmpfs", DOCTOR_WARNING, "it is memory: all is gone at the next boot" },
        { 0x858458f6, "ramfs", DOCTOR_WARNING, "it is memory: all is gone at the next boot" },
        { 0x794c7630, "overlay", DOCTOR_WARNING, "it goes when its container goes" },
    };
    struct statfs fs;
    if (statfs(d->data_dir, &fs) != 0)
        return;
    for (size_t i = 0; i < PL_ARRAY_LEN(kinds); i++) {
        if ((uint32_t)fs.f_type != kinds[i].magic)
            continue;
        doctor_add(d, kinds[i].level, "file-system", d->data_dir, "is on %s: %s", kinds[i].name,
                   kinds[i].what);
        doctor_do(d, "stop parleyd, move the directory to a local disk (in a container: a volume), "
                     "and start it with --data there");
    }
}

static uint64_t store_bytes(const struct doctor *d)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    struct stat st;
    if (!path_of(d, STORE_FILE, path) || stat(path, &st) != 0)
        return 0;
    return (uint64_t)st.st_blocks * 512;
}

static void judge_room(struct doctor *d, uint64_t left, uint64_t all)
{
    struct buf room = { 0 };
    text_bytes(&room, left);
    buf_text(&room, " of ");
    text_bytes(&room, all);
    if (left < PARLEY_RESERVE_BYTES) {
        doctor_add(d, DOCTOR_PROBLEM, "disk-full", d->data_dir,
                   "%s are free: writes are refused, deletions go on", buf_str(&room));
        doctor_do(d, "make room on this disk (writes then work by themselves), or move the "
                     "directory to a larger one");
    } else if (left < 16 * (uint64_t)PARLEY_RESERVE_BYTES) {
        doctor_add(d, DOCTOR_WARNING, "disk-nearly-full", d->data_dir,
                   "%s are free; writes are refused below %u MiB (unless --reserve says otherwise)",
                   buf_str(&room), PARLEY_RESERVE_BYTES >> 20);
        doctor_do(d, "make room on this disk, or move the directory to a larger one");
    } else if (left < store_bytes(d)) {
        doctor_add(d, DOCTOR_NOTE, "disk-no-second", d->data_dir,
                   "%s are free, less than the store has: compact and a restore need room for a "
                   "second one",
                   buf_str(&room));
        doctor_do(d, "write backups to another disk");
    }
    buf_free(&room);
}

void doctor_check_disk(struct doctor *d)
{
    struct statvfs vfs;
    doctor_begin(d);
    judge_kind(d);
    if (statvfs(d->data_dir, &vfs) != 0)
        return;
    uint64_t left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if ((vfs.f_flag & ST_RDONLY) != 0) {
        doctor_add(
            d, DOCTOR_PROBLEM, "read-only", d->data_dir,
            "its file system is mounted read-only; after an error of the disk Linux does that "
            "by itself");
        doctor_do(d, "look at dmesg, then: mount -o remount,rw on it");
    } else {
        judge_room(d, left, (uint64_t)vfs.f_blocks * vfs.f_frsize);
    }
    if (vfs.f_files != 0 && vfs.f_favail < 16) {
        doctor_add(d, DOCTOR_PROBLEM, "no-inodes", d->data_dir,
                   "the file system has no room for more files (%llu inodes free)",
                   (unsigned long long)vfs.f_favail);
        doctor_do(d, "remove files that are not needed from this disk");
    }
    struct buf room = { 0 };
    text_bytes(&room, left);
    doctor_end(d, "disk", d->data_dir, "%s are free", buf_str(&room));
    buf_free(&room);
}

/* ---- The clock ---- */

void doctor_check_clock(struct doctor *d)
{
    time_t seconds = (time_t)(d->now_us / 1000000);
    struct timex state = { 0 };
    struct tm tm;
    doctor_begin(d);
    if (gmtime_r(&seconds, &tm) == NULL)
        return;
    int year = tm.tm_year + 1900;
    if (year < YEAR_MIN || year > YEAR_MAX) {
        doctor_add(d, DOCTOR_PROBLEM, "clock-year", "clock",
                   "it is the year %d here: what is written gets stamps of that time, and wins or "
                   "loses by them on every node",
                   year);
        doctor_do(d, "set the clock before anything is written: timedatectl set-ntp true");
    }
    /* Reads the state of the kernel's clock; it changes nothing with modes 0. */
    int answer = adjtimex(&state);
    if (answer >= 0 && (answer == TIME_ERROR || (state.status & STA_UNSYNC) != 0)) {
        doctor_add(d, DOCTOR_NOTE, "clock-not-synchronised", "clock",
                   "nothing keeps this clock right, as far as the kernel knows (in a container the "
                   "host may)");
        doctor_do(d, "timedatectl set-ntp true");
    }
    doctor_end(d, "clock", "clock", "kept right by the system, year %d", year);
}

/* ---- The process ---- */

static void read_run_file(struct doctor *d)
{
    char path[TOOL_PATH_BYTES_MAX + 1];
    char text[RUN_FILE_BYTES + 1];
    size_t len = 0;
    if (path_of(d, "parleyd.run", path) &&
        tool_file_read(path, false, (uint8_t *)text, RUN_FILE_BYTES, &len, NULL) == PARLEY_OK)
        d->run.json = json_loadb(text, len, 0, NULL);
    json_int_t pid = json_integer_value(json_object_get(d->run.json, "pid"));
    d->run.pid = pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
    d->run.alive = d->run.pid != 0 && (kill(d->run.pid, 0) == 0 || errno == EPERM);
}

/* Descriptors that the process has open; false: not to be seen from here. */
static bool count_files(pid_t pid, size_t *out)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *item; (item = readdir(dir)) != NULL;)
        count += item->d_name[0] != '.';
    closedir(dir);
    *out = count;
    return true;
}

static void judge_files(struct doctor *d)
{
    size_t used = 0;
    uint64_t limit = json_count(d->run.json, "files_max");
    if (limit == 0 || !count_files(d->run.pid, &used))
        return;
    /* Each connection is a descriptor, and the store, the log and libuv have some. */
    uint64_t need = PL_CONNS_MAX + 32;
    if (used + 16 > limit) {
        doctor_add(d, DOCTOR_PROBLEM, "files-used-up", "parleyd",
                   "%zu of %llu file descriptors are open: connections are refused", used,
                   (unsigned long long)limit);
    } else if (limit < need) {
        doctor_add(d, DOCTOR_WARNING, "files-few", "parleyd",
                   "it may open %llu files, and %llu are needed for all connections",
                   (unsigned long long)limit, (unsigned long long)need);
    } else {
        return;
    }
    doctor_do(d, "LimitNOFILE=1024 in the unit, or ulimit -n 1024 before the start; then restart");
}

void doctor_check_process(struct doctor *d)
{
    doctor_begin(d);
    read_run_file(d);
    if (d->run.alive) {
        judge_files(d);
    } else {
        doctor_add(d, DOCTOR_WARNING, "not-running", "parleyd",
                   "does not run: nothing is synced, and commands open the store themselves");
        doctor_do(d, "parleyd %s (or: systemctl start parleyd)", buf_str(&d->dir));
    }
    doctor_end(d, "process", "parleyd", "runs, pid %ld", (long)d->run.pid);
}
