/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "power/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void util_fail(const char *format, ...)
{
    va_list args;
    fputs("power_replay: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(2);
}

void *util_grow(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size == 0 ? 1 : size);
    if (grown == NULL)
        util_fail("out of memory");
    return grown;
}

void util_free(void *ptr)
{
    free(ptr);
}

void util_path(char *out, size_t cap, const char *dir, const char *name)
{
    int len = snprintf(out, cap, "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= cap)
        util_fail("%s/%s: the name is too long", dir, name);
}

void util_write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        util_fail("%s: %s", path, strerror(errno));
    close(fd);
}

void util_empty_dir(const char *path)
{
    char below[4096];
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (dir == NULL)
        util_fail("%s: %s", path, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        util_path(below, sizeof below, path, entry->d_name);
        if (unlink(below) == 0)
            continue;
        util_empty_dir(below);
        if (rmdir(below) != 0)
            util_fail("%s: %s", below, strerror(errno));
    }
    closedir(dir);
}

const uint8_t *util_map(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        util_fail("%s: %s", path, strerror(errno));
    *len = (size_t)st.st_size;
    void *bytes = *len == 0 ? NULL : mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        util_fail("%s: %s", path, strerror(errno));
    close(fd);
    return bytes;
}

uint64_t util_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
