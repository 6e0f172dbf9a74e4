/* SPDX-License-Identifier: Apache-2.0
 *
 * Each function counts its call, fails as it is told to, or does what it was called for. It stands
 * before the C library in the order of symbols; under a sanitizer it stands behind that, which
 * passes calls on, but not those for memory.
 */
#define _GNU_SOURCE 1
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The one thing in this process that all functions below look at. */
static struct fault *control;

void fault_attach(struct fault *fault)
{
    control = fault;
}

__attribute__((constructor)) static void attach_file(void)
{
    const char *path = getenv("PARLEY_FAULT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

int fault_take(enum fault_class class)
{
    struct fault *f = control;
    if (f == NULL || atomic_load(&f->armed) == 0)
        return 0;
    uint64_t number = atomic_fetch_add(&f->count[class], 1) + 1;
    uint64_t at = atomic_load(&f->at);
    if (atomic_load(&f->class) != class || number < at || number - at > atomic_load(&f->more))
        return 0;
    atomic_fetch_add(&f->injected, 1);
    return (int)atomic_load(&f->error);
}

/* True when the call must fail; errno then says why. */
static bool fails(enum fault_class class)
{
    int error = fault_take(class);
    if (error != 0)
        errno = error;
    return error != 0;
}

/* Of a socket or a pipe errors mean something else, and some cannot be. */
static int take_of(enum fault_class class, int fd)
{
    struct stat st;
    if (control == NULL || atomic_load(&control->armed) == 0)
        return 0;
    if (atomic_load(&control->files) != 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
        return 0;
    return fault_take(class);
}

static bool read_fails(int fd)
{
    int error = take_of(FAULT_READ, fd);
    if (error != 0)
        errno = error;
    return error != 0;
}

/* The function that ours hides. The cast by way of memory is the one that POSIX asks for. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

/* ---- Files ---- */

#define OPEN_LIKE(name)                                                                            \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = va_arg(args, mode_t);                                                        \
        va_end(args);                                                                              \
        REAL(name);                                                                                \
        return fails(FAULT_OPEN) ? -1 : real(path, flags, mode);                                   \
    }

#define OPENAT_LIKE(name)                                                                          \
    EXPORT int name(int dir, const char *path, int flags, ...)                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = va_arg(args, mode_t);                                                        \
        va_end(args);                                                                              \
        REAL(name);                                                                                \
        return fails(FAULT_OPEN) ? -1 : real(dir, path, flags, mode);                              \
    }

OPEN_LIKE(open)
OPEN_LIKE(open64)
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
    REAL(read);
    return read_fails(fd) ? -1 : real(fd, buf, len);
}

#define PREAD_LIKE(name, offset)                                                                   \
    EXPORT ssize_t name(int fd, void *buf, size_t len, offset at)                                  \
    {                                                                                              \
        REAL(name);                                                                                \
        return read_fails(fd) ? -1 : real(fd, buf, len, at);                                       \
    }

PREAD_LIKE(pread, off_t)
PREAD_LIKE(pread64, off64_t)

/* How much of `len` is written, or -1 for an error. A short write still writes something. */
static ssize_t cut(int fd, size_t len)
{
    int error = take_of(FAULT_WRITE, fd);
    if (error == FAULT_SHORT)
        return (ssize_t)((len + 1) / 2);
    if (error == 0)
        return (ssize_t)len;
    errno = error;
    return -1;
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
    REAL(write);
    ssize_t part = cut(fd, len);
    return part < 0 ? -1 : real(fd, buf, (size_t)part);
}

#define PWRITE_LIKE(name, offset)                                                                  \
    EXPORT ssize_t name(int fd, const void *buf, size_t len, offset at)                            \
    {                                                                                              \
        REAL(name);                                                                                \
        ssize_t part = cut(fd, len);                                                               \
        return part < 0 ? -1 : real(fd, buf, (size_t)part, at);                                    \
    }

PWRITE_LIKE(pwrite, off_t)
PWRITE_LIKE(pwrite64, off64_t)

/* A vector is cut to half of its parts, a single one to half of its bytes. */
static int cut_vector(int fd, const struct iovec *parts, int count, struct iovec *first)
{
    ssize_t half = cut(fd, count == 1 ? parts[0].iov_len : (size_t)count);
    *first = parts[0];
    if (half < 0 || count != 1)
        return (int)half;
    first->iov_len = (size_t)half;
    return 1;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    struct iovec first;
    if (count < 1)
        return real(fd, parts, count);
    int part = cut_vector(fd, parts, count, &first);
    return part < 0 ? -1 : real(fd, count == 1 ? &first : parts, part);
}

#define PWRITEV_LIKE(name, offset)                                                                 \
    EXPORT ssize_t name(int fd, const struct iovec *parts, int count, offset at)                   \
    {                                                                                              \
        REAL(name);                                                                                \
        struct iovec first;                                                                        \
        if (count < 1)                                                                             \
            return real(fd, parts, count, at);                                                     \
        int part = cut_vector(fd, parts, count, &first);                                           \
        return part < 0 ? -1 : real(fd, count == 1 ? &first : parts, part, at);                    \
    }

PWRITEV_LIKE(pwritev, off_t)
PWRITEV_LIKE(pwritev64, off64_t)

/* ---- Durability, sizes, names ---- */

static bool syncs(void)
{
    return control == NULL || atomic_load(&control->no_sync) == 0;
}

EXPORT int fsync(int fd)
{
    REAL(fsync);
    if (fails(FAULT_SYNC))
        return -1;
    return syncs() ? real(fd) : 0;
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync);
    if (fails(FAULT_SYNC))
        return -1;
    return syncs() ? real(fd) : 0;
}

EXPORT int msync(void *at, size_t len, int flags)
{
    REAL(msync);
    return fails(FAULT_SYNC) ? -1 : real(at, len, flags);
}

EXPORT int ftruncate(int fd, off_t len)
{
    REAL(ftruncate);
    return fails(FAULT_SIZE) ? -1 : real(fd, len);
}

EXPORT int ftruncate64(int fd, off64_t len)
{
    REAL(ftruncate64);
    return fails(FAULT_SIZE) ? -1 : real(fd, len);
}

EXPORT int truncate(const char *path, off_t len)
{
    REAL(truncate);
    return fails(FAULT_SIZE) ? -1 : real(path, len);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    int error = fault_take(FAULT_SIZE); /* it returns its error */
    return error != 0 ? error : real(fd, at, len);
}

EXPORT int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails(FAULT_NAME) ? -1 : real(from, to);
}

EXPORT int unlink(const char *path)
{
    REAL(unlink);
    return fails(FAULT_NAME) ? -1 : real(path);
}

EXPORT int rmdir(const char *path)
{
    REAL(rmdir);
    return fails(FAULT_NAME) ? -1 : real(path);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return fails(FAULT_NAME) ? -1 : real(path, mode);
}

#define MMAP_LIKE(name, offset)                                                                    \
    EXPORT void *name(void *at, size_t len, int prot, int flags, int fd, offset from)              \
    {                                                                                              \
        REAL(name);                                                                                \
        return fails(FAULT_MAP) ? MAP_FAILED : real(at, len, prot, flags, fd, from);               \
    }

MMAP_LIKE(mmap, off_t)
MMAP_LIKE(mmap64, off64_t)

/* ---- Memory ---- */

#ifndef FAULT_SANITIZED

/* glibc's own, which are there before dlsym, which needs them. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *ptr);

static void *counted(void *ptr)
{
    if (ptr != NULL && control != NULL)
        atomic_fetch_add(&control->blocks, 1);
    return ptr;
}

EXPORT void *malloc(size_t size)
{
    return fails(FAULT_HEAP) ? NULL : counted(__libc_malloc(size));
}

EXPORT void *calloc(size_t count, size_t size)
{
    return fails(FAULT_HEAP) ? NULL : counted(__libc_calloc(count, size));
}

EXPORT void *realloc(void *ptr, size_t size)
{
    if (fails(FAULT_HEAP))
        return NULL;
    return ptr == NULL ? counted(__libc_malloc(size)) : __libc_realloc(ptr, size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    int error = fault_take(FAULT_HEAP);
    if (error != 0)
        return error;
    *out = counted(__libc_memalign(align, size));
    return *out == NULL ? ENOMEM : 0;
}

EXPORT void free(void *ptr)
{
    if (ptr != NULL && control != NULL)
        atomic_fetch_sub(&control->blocks, 1);
    __libc_free(ptr);
}

#endif
