/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults at the calls between a program and its system: the n-th call of a class fails.
 *
 * fault_shim.c stands in front of the C library, as a shared library that is linked first or
 * preloaded. What it does is said in one struct in memory that is shared, so that another process
 * can switch it on and off, and read how far it came, also after the program has died.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fault_class {
    FAULT_NONE = 0,
    FAULT_OPEN = 1,  /* open, openat */
    FAULT_READ = 2,  /* pread, read */
    FAULT_WRITE = 3, /* write, writev, pwrite, pwritev */
    FAULT_SYNC = 4,  /* fsync, fdatasync, msync */
    FAULT_SIZE = 5,  /* ftruncate, truncate, posix_fallocate */
    FAULT_NAME = 6,  /* rename, unlink, mkdir, rmdir */
    FAULT_MAP = 7,   /* mmap */
    FAULT_HEAP = 8,  /* malloc, calloc, realloc, posix_memalign; not under sanitizers */
    FAULT_ENV = 9,   /* the alloc of a parley_env; asked for by the test itself */
    FAULT_ROW = 10,  /* a read of the store: a row, a step of a cursor; asked for by the test */
    FAULT_CLASSES = 11
};

/* In the place of an errno: half of what was to be written is, and no error. */
#define FAULT_SHORT 10000

/* All fields are 8 bytes wide, so that a script can read them without knowing C. */
struct fault {
    _Atomic uint64_t armed;    /* 0: every call goes through and is not counted */
    _Atomic uint64_t class;    /* whose calls fail; FAULT_NONE: only count */
    _Atomic uint64_t error;    /* an errno, or FAULT_SHORT */
    _Atomic uint64_t at;       /* the number of the first call that fails, from 1 */
    _Atomic uint64_t more;     /* so many calls behind it fail as well */
    _Atomic uint64_t files;    /* of reads and writes only those of regular files count */
    _Atomic uint64_t no_sync;  /* fsync and fdatasync that do not fail do nothing */
    _Atomic uint64_t injected; /* calls that failed */
    _Atomic uint64_t blocks;   /* of the heap, allocated and not freed */
    _Atomic uint64_t count[FAULT_CLASSES];
};

/* Names the struct for this process; NULL: none. A preloaded shim takes the file that PARLEY_FAULT
 * names instead. `fault` is borrowed. */
__attribute__((visibility("default"))) void fault_attach(struct fault *fault);

/* Counts one call of the class; the error it must fail with, or 0. */
__attribute__((visibility("default"))) int fault_take(enum fault_class class);

#endif
