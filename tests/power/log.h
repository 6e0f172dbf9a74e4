/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a recording: everything that one or more processes did to the files below one
 * directory, in one total order, with what they read and sent over sockets as far as it says when
 * an answer left.
 *
 * A record is this header and `len` bytes. Each is added by one write to a file opened with
 * O_APPEND, so that records of several threads and processes never mix. Names are relative to the
 * recorded directory, "" being itself; files are known by inode.
 *
 * Order: what changes a file is logged after it was done, and no other change of a file by that
 * process comes between. A sync is logged when it has returned. An answer is logged before it
 * is sent and waits for nothing: its record never comes later than its first byte could be seen.
 */
#ifndef POWER_LOG_H
#define POWER_LOG_H

#include <stdint.h>

#define POWER_LOG_MAGIC 0x504c4f47u
/* The greatest record: a write of a large value and its overflow pages comes in one piece. */
#define POWER_RECORD_BYTES_MAX (UINT32_C(128) << 20)

enum power_type {
    POWER_START = 1, /* file: the recorded directory */
    POWER_CREATE,    /* file; data: its name */
    POWER_MKDIR,     /* file; data: its name */
    POWER_RENAME,    /* data: two names, each with its NUL */
    POWER_LINK,      /* data: two names, each with its NUL */
    POWER_UNLINK,    /* data: a name; also of rmdir */
    POWER_WRITE,     /* file, offset; data: the bytes */
    POWER_SIZE,      /* file, offset: the new size; of ftruncate, O_TRUNC and fallocate */
    POWER_SYNC,      /* file or directory: fsync or fdatasync returned */
    POWER_MAP,       /* file: it was mapped shared and writable */
    POWER_ASK,       /* offset: the number in X-Op of a request; flags: the socket */
    POWER_ANSWER     /* offset: the status of a response; flags: the socket */
};

#define POWER_FLAG_DSYNC 1u /* of a write: the descriptor has O_DSYNC or O_SYNC */
#define POWER_FLAG_DATA  2u /* of a sync: it was fdatasync */

struct power_record {
    uint32_t magic;
    uint32_t type;
    uint64_t file;
    uint64_t offset;
    uint32_t pid;
    uint32_t flags;
    uint32_t len;
    uint32_t unused;
};

#endif
