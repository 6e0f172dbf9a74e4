/* SPDX-License-Identifier: Apache-2.0
 *
 * The recorder: a shared object for LD_PRELOAD that writes the log described in log.h.
 *
 *   POWER_ROOT=DIR     what is recorded: all files below it, which are on one file system
 *   POWER_LOG=FILE     the log; records are added
 *   FILE.gate          a lock that is held, shared, from a change of a file to the end of its
 *                      record: who kills the process takes it alone before, so that no record is
 *                      cut and none is missing
 *   POWER_SYNC_US=N    each fsync, fdatasync and write through O_DSYNC takes N microseconds longer
 *   POWER_DIE=N        the process kills itself right after the N-th name that it makes there
 *
 * It knows no descriptors: whether one is a file of that file system is asked of the kernel at each
 * call. What it does not see (stdio, a call that is not here) the replayer notices at the end: the
 * files that the log describes must be the files that are there.
 */
#define _GNU_SOURCE 1
#include "power/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOWN        __attribute__((visibility("default")))
#define NAMES_BYTES  (2 * PATH_MAX)
#define LOG_FD_MIN   500
#define PARTS_MAX    1024
#define STATUS_BYTES 12 /* "HTTP/1.1 200" */

/* The next definition of a function: that of libc. */
#define REAL(name) ((__typeof__(&(name)))real(#name))

/* Held by one thread at a time, and kept shut by who takes the lock of the file alone. */
struct gate {
    pthread_mutex_t mutex;
    int fd;
};

static struct {
    struct gate files; /* over each call that changes a file, and its record */
    struct gate talk;  /* over the record of a request or an answer, which waits for no file */
    int log;
    char root[PATH_MAX];
    size_t root_len;
    dev_t device;
    useconds_t sync_us;
    unsigned long dies; /* after so many more names; 0: never */
} recorder = { .files = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1 },
               .talk = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1 },
               .log = -1 };

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

static void fail(const char *what)
{
    dprintf(2, "recorder: %s: %s\n", what, strerror(errno));
    abort();
}

/* Out of the way of programs that count on low numbers. */
static int open_high(const char *path, int flags)
{
    int fd = REAL(open)(path, flags | O_CREAT | O_CLOEXEC, 0600);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
    if (high < 0)
        fail(path);
    close(fd);
    return high;
}

__attribute__((constructor)) static void start(void)
{
    char gate[PATH_MAX];
    const char *root = getenv("POWER_ROOT");
    const char *log = getenv("POWER_LOG");
    const char *sync_us = getenv("POWER_SYNC_US");
    const char *dies = getenv("POWER_DIE");
    struct stat st;
    if (root == NULL || log == NULL)
        return;
    if (realpath(root, recorder.root) == NULL || stat(recorder.root, &st) != 0)
        fail(root);
    if (snprintf(gate, sizeof gate, "%s.gate", log) >= (int)sizeof gate)
        fail(log);
    recorder.files.fd = open_high(gate, O_RDWR);
    recorder.talk.fd = open_high(gate, O_RDWR);
    recorder.log = open_high(log, O_WRONLY | O_APPEND);
    recorder.root_len = strlen(recorder.root);
    recorder.device = st.st_dev;
    recorder.sync_us = sync_us == NULL ? 0 : (useconds_t)strtoul(sync_us, NULL, 10);
    recorder.dies = dies == NULL ? 0 : strtoul(dies, NULL, 10);
    struct power_record record = {
        .magic = POWER_LOG_MAGIC, .type = POWER_START, .file = st.st_ino, .pid = (uint32_t)getpid()
    };
    if (REAL(write)(recorder.log, &record, sizeof record) != (ssize_t)sizeof record)
        fail(log);
}

/* ---- Records ---- */

static void put_parts(struct power_record record, const struct iovec *parts, int count, size_t len)
{
    struct iovec all[PARTS_MAX + 1];
    int saved = errno;
    if (count > PARTS_MAX || len > POWER_RECORD_BYTES_MAX)
        fail("a record is too long");
    record.magic = POWER_LOG_MAGIC;
    record.pid = (uint32_t)getpid();
    record.len = (uint32_t)len;
    int used = 1;
    all[0] = (struct iovec){ .iov_base = &record, .iov_len = sizeof record };
    /* A short write took only the first `len` bytes of its parts. */
    for (int i = 0; i < count && len != 0; i++) {
        size_t part = parts[i].iov_len < len ? parts[i].iov_len : len;
        all[used++] = (struct iovec){ .iov_base = parts[i].iov_base, .iov_len = part };
        len -= part;
    }
    if (REAL(writev)(recorder.log, all, used) != (ssize_t)(sizeof record + record.len))
        fail("the log cannot be written");
    errno = saved;
}

static void put(struct power_record record, const void *data, size_t len)
{
    struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
    put_parts(record, &part, 1, len);
}

static int is_on(void)
{
    return recorder.log >= 0;
}

static void enter(struct gate *gate)
{
    int saved = errno;
    pthread_mutex_lock(&gate->mutex);
    while (is_on() && flock(gate->fd, LOCK_SH) != 0)
        if (errno != EINTR)
            fail("the gate");
    errno = saved;
}

static void leave(struct gate *gate)
{
    int saved = errno;
    if (is_on() && flock(gate->fd, LOCK_UN) != 0)
        fail("the gate");
    pthread_mutex_unlock(&gate->mutex);
    errno = saved;
}

static void lock(void)
{
    enter(&recorder.files);
}

static void unlock(void)
{
    leave(&recorder.files);
}

static void put_talk(enum power_type type, int fd, uint64_t number)
{
    enter(&recorder.talk);
    put((struct power_record){ .type = type, .flags = (uint32_t)fd, .offset = number }, NULL, 0);
    leave(&recorder.talk);
}

/* The name below the root, or NULL when it is elsewhere. Programs under test name files in full. */
static const char *name_of(const char *path)
{
    if (!is_on() || strncmp(path, recorder.root, recorder.root_len) != 0)
        return NULL;
    const char *rest = path + recorder.root_len;
    if (*rest != '\0' && *rest != '/')
        return NULL;
    while (*rest == '/')
        rest++;
    return rest;
}

/* Between a name and the sync of its directory is where a kill does harm that shows much later. */
static void name_was_made(void)
{
    if (recorder.dies != 0 && --recorder.dies == 0)
        raise(SIGKILL);
}

static void put_name(enum power_type type, uint64_t file, const char *name)
{
    put((struct power_record){ .type = type, .file = file }, name, strlen(name));
    if (type != POWER_UNLINK)
        name_was_made();
}

static void put_names(enum power_type type, const char *from, const char *to)
{
    char names[NAMES_BYTES];
    size_t from_size = strlen(from) + 1;
    size_t to_size = strlen(to) + 1;
    if (from_size + to_size > sizeof names)
        fail("a name is too long");
    memcpy(names, from, from_size);
    memcpy(names + from_size, to, to_size);
    put((struct power_record){ .type = type }, names, from_size + to_size);
    name_was_made();
}

/* Whether the descriptor is a file or directory of the recorded file system. */
static int is_ours(int fd, struct stat *st)
{
    return is_on() && fstat(fd, st) == 0 && st->st_dev == recorder.device &&
           (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

static int is_socket(int fd)
{
    struct stat st;
    return is_on() && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* ---- Opening ---- */

/* After an open that went well: `was` says what was there before. */
static void opened(const char *name, int fd, int flags, int was)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    if (!was)
        put_name(POWER_CREATE, st.st_ino, name);
    else if ((flags & O_TRUNC) != 0 && (flags & O_ACCMODE) != O_RDONLY)
        put((struct power_record){ .type = POWER_SIZE, .file = st.st_ino }, NULL, 0);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    const char *name = name_of(path);
    if (name == NULL)
        return REAL(openat)(dir, path, flags, mode);
    struct stat st;
    lock();
    int was = stat(path, &st) == 0;
    int fd = REAL(openat)(dir, path, flags, mode);
    opened(name, fd, flags, was);
    unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    int needs = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return needs ? (mode_t)va_arg(args, int) : 0;
}

#define OPEN_LIKE(name)                                                                            \
    SHOWN int name(const char *path, int flags, ...)                                               \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return open_at(AT_FDCWD, path, flags, mode);                                               \
    }
OPEN_LIKE(open)
OPEN_LIKE(open64)

#define OPENAT_LIKE(name)                                                                          \
    SHOWN int name(int dir, const char *path, int flags, ...)                                      \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        return open_at(dir, path, flags, mode);                                                    \
    }
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

/* What fortified programs call when there is no mode. */
#define OPEN_2_LIKE(name)                                                                          \
    SHOWN int name(const char *path, int flags);                                                   \
    SHOWN int name(const char *path, int flags)                                                    \
    {                                                                                              \
        return open_at(AT_FDCWD, path, flags, 0);                                                  \
    }
OPEN_2_LIKE(__open_2)
OPEN_2_LIKE(__open64_2)

#define MKOSTEMP_LIKE(name)                                                                        \
    SHOWN int name(char *path, int flags)                                                          \
    {                                                                                              \
        lock();                                                                                    \
        int fd = REAL(name)(path, flags);                                                          \
        if (fd >= 0 && name_of(path) != NULL)                                                      \
            opened(name_of(path), fd, flags, 0);                                                   \
        unlock();                                                                                  \
        return fd;                                                                                 \
    }
MKOSTEMP_LIKE(mkostemp)
MKOSTEMP_LIKE(mkostemp64)

/* ---- Names ---- */

SHOWN int mkdir(const char *path, mode_t mode)
{
    const char *name = name_of(path);
    struct stat st;
    lock();
    int rc = REAL(mkdir)(path, mode);
    if (rc == 0 && name != NULL && stat(path, &st) == 0)
        put_name(POWER_MKDIR, st.st_ino, name);
    unlock();
    return rc;
}

static int remove_name(const char *path, int (*remove_it)(const char *))
{
    const char *name = name_of(path);
    lock();
    int rc = remove_it(path);
    if (rc == 0 && name != NULL)
        put_name(POWER_UNLINK, 0, name);
    unlock();
    return rc;
}

SHOWN int unlink(const char *path)
{
    return remove_name(path, REAL(unlink));
}

SHOWN int rmdir(const char *path)
{
    return remove_name(path, REAL(rmdir));
}

static int two_names(enum power_type type, const char *from, const char *to,
                     int (*call)(const char *, const char *))
{
    const char *old_name = name_of(from);
    const char *new_name = name_of(to);
    lock();
    int rc = call(from, to);
    if (rc == 0 && old_name != NULL && new_name != NULL)
        put_names(type, old_name, new_name);
    else if (rc == 0 && (old_name != NULL || new_name != NULL))
        fail("a name comes from or goes to elsewhere");
    unlock();
    return rc;
}

SHOWN int rename(const char *from, const char *to)
{
    return two_names(POWER_RENAME, from, to, REAL(rename));
}

SHOWN int link(const char *from, const char *to)
{
    return two_names(POWER_LINK, from, to, REAL(link));
}

/* ---- Bytes ---- */

static void put_write(const struct stat *st, int fd, off_t at, const struct iovec *parts, int count,
                      ssize_t rc)
{
    int flags = fcntl(fd, F_GETFL);
    struct power_record record = { .type = POWER_WRITE,
                                   .file = st->st_ino,
                                   .offset = (uint64_t)at,
                                   .flags = (flags & O_DSYNC) != 0 ? POWER_FLAG_DSYNC : 0 };
    if (rc <= 0)
        return;
    if (record.flags != 0 && recorder.sync_us != 0)
        usleep(recorder.sync_us);
    put_parts(record, parts, count, (size_t)rc);
}

#define PWRITE_LIKE(name)                                                                          \
    SHOWN ssize_t name(int fd, const void *bytes, size_t len, off_t at)                            \
    {                                                                                              \
        struct stat st;                                                                            \
        if (!is_ours(fd, &st))                                                                     \
            return REAL(name)(fd, bytes, len, at);                                                 \
        struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };              \
        lock();                                                                                    \
        ssize_t rc = REAL(name)(fd, bytes, len, at);                                               \
        put_write(&st, fd, at, &part, 1, rc);                                                      \
        unlock();                                                                                  \
        return rc;                                                                                 \
    }
PWRITE_LIKE(pwrite)
PWRITE_LIKE(pwrite64)

/* Where a write without an offset goes. */
static off_t place_of(int fd)
{
    struct stat st;
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0 && fstat(fd, &st) == 0)
        return st.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

/* An answer waits for no file: one that leaves while a commit is being synced must not be logged
 * after that sync. */
static void put_answer(int fd, const void *bytes, size_t len)
{
    char text[STATUS_BYTES + 1] = "";
    if (len < STATUS_BYTES || memcmp(bytes, "HTTP/1.", 7) != 0 || !is_socket(fd))
        return;
    memcpy(text, bytes, STATUS_BYTES);
    put_talk(POWER_ANSWER, fd, strtoul(text + 9, NULL, 10));
}

SHOWN ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct stat st;
    if (!is_ours(fd, &st)) {
        if (count > 0)
            put_answer(fd, parts[0].iov_base, parts[0].iov_len);
        return REAL(writev)(fd, parts, count);
    }
    lock();
    off_t at = place_of(fd);
    ssize_t rc = REAL(writev)(fd, parts, count);
    put_write(&st, fd, at, parts, count, rc);
    unlock();
    return rc;
}

SHOWN ssize_t write(int fd, const void *bytes, size_t len)
{
    struct stat st;
    struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
    if (is_ours(fd, &st))
        return writev(fd, &part, 1);
    put_answer(fd, bytes, len);
    return REAL(write)(fd, bytes, len);
}

SHOWN ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (message->msg_iovlen > 0)
        put_answer(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return REAL(sendmsg)(fd, message, flags);
}

SHOWN ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    put_answer(fd, bytes, len);
    return REAL(send)(fd, bytes, len, flags);
}

static int set_size(int fd, off_t size, int (*call)(int, off_t))
{
    struct stat st;
    if (!is_ours(fd, &st))
        return call(fd, size);
    lock();
    int rc = call(fd, size);
    if (rc == 0)
        put((struct power_record){ .type = POWER_SIZE,
                                   .file = st.st_ino,
                                   .offset = (uint64_t)size },
            NULL, 0);
    unlock();
    return rc;
}

SHOWN int ftruncate(int fd, off_t size)
{
    return set_size(fd, size, REAL(ftruncate));
}

SHOWN int ftruncate64(int fd, off_t size)
{
    return set_size(fd, size, REAL(ftruncate64));
}

#define TRUNCATE_LIKE(name)                                                                        \
    SHOWN int name(const char *path, off_t size)                                                   \
    {                                                                                              \
        struct stat st;                                                                            \
        lock();                                                                                    \
        int rc = REAL(name)(path, size);                                                           \
        if (rc == 0 && name_of(path) != NULL && stat(path, &st) == 0)                              \
            put((struct power_record){ .type = POWER_SIZE,                                         \
                                       .file = st.st_ino,                                          \
                                       .offset = (uint64_t)size },                                 \
                NULL, 0);                                                                          \
        unlock();                                                                                  \
        return rc;                                                                                 \
    }
TRUNCATE_LIKE(truncate)
TRUNCATE_LIKE(truncate64)

#define FALLOCATE_LIKE(name)                                                                       \
    SHOWN int name(int fd, off_t at, off_t len)                                                    \
    {                                                                                              \
        struct stat before, after;                                                                 \
        if (!is_ours(fd, &before))                                                                 \
            return REAL(name)(fd, at, len);                                                        \
        lock();                                                                                    \
        int rc = REAL(name)(fd, at, len);                                                          \
        if (rc == 0 && fstat(fd, &after) == 0 && after.st_size != before.st_size)                  \
            put((struct power_record){ .type = POWER_SIZE,                                         \
                                       .file = after.st_ino,                                       \
                                       .offset = (uint64_t)after.st_size },                        \
                NULL, 0);                                                                          \
        unlock();                                                                                  \
        return rc;                                                                                 \
    }
FALLOCATE_LIKE(posix_fallocate)
FALLOCATE_LIKE(posix_fallocate64)

/* ---- Syncs ---- */

static int sync_file(int fd, int (*call)(int), uint32_t flags)
{
    struct stat st;
    if (!is_ours(fd, &st))
        return call(fd);
    lock();
    int rc = call(fd);
    if (recorder.sync_us != 0)
        usleep(recorder.sync_us);
    if (rc == 0)
        put((struct power_record){ .type = POWER_SYNC, .file = st.st_ino, .flags = flags }, NULL,
            0);
    unlock();
    return rc;
}

SHOWN int fsync(int fd)
{
    return sync_file(fd, REAL(fsync), 0);
}

SHOWN int fdatasync(int fd)
{
    return sync_file(fd, REAL(fdatasync), POWER_FLAG_DATA);
}

#define MMAP_LIKE(name)                                                                            \
    SHOWN void *name(void *at, size_t len, int prot, int flags, int fd, off_t offset)              \
    {                                                                                              \
        struct stat st;                                                                            \
        if ((prot & PROT_WRITE) != 0 && (flags & MAP_TYPE) != MAP_PRIVATE && fd >= 0 &&            \
            is_ours(fd, &st))                                                                      \
            put((struct power_record){ .type = POWER_MAP, .file = st.st_ino }, NULL, 0);           \
        return REAL(name)(at, len, prot, flags, fd, offset);                                       \
    }
MMAP_LIKE(mmap)
MMAP_LIKE(mmap64)

/* ---- Requests ---- */

/* The number of a request, which the client put into its head. */
static void put_asked(int fd, const char *bytes, ssize_t len)
{
    static const char mark[] = "X-Op: ";
    const char *at = len > 0 ? memmem(bytes, (size_t)len, mark, sizeof mark - 1) : NULL;
    char digits[21] = "";
    if (at == NULL || !is_socket(fd))
        return;
    at += sizeof mark - 1;
    for (size_t i = 0; i < sizeof digits - 1 && at + i < bytes + len; i++)
        digits[i] = at[i];
    put_talk(POWER_ASK, fd, strtoull(digits, NULL, 10));
}

SHOWN ssize_t read(int fd, void *bytes, size_t len)
{
    ssize_t rc = REAL(read)(fd, bytes, len);
    if (is_on())
        put_asked(fd, bytes, rc);
    return rc;
}

SHOWN ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    ssize_t rc = REAL(recv)(fd, bytes, len, flags);
    if (is_on() && (flags & MSG_PEEK) == 0)
        put_asked(fd, bytes, rc);
    return rc;
}
