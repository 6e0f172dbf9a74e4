/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup under full write load. One thread merges single messages for random conversations,
 * batches of 1,000, as fast as it can; in every other round a second thread takes a backup into a
 * file meanwhile, as the command line does, fsync included. What counts is how much less is
 * written in a second.
 */
#define _GNU_SOURCE 1
#include "engine_backup.h"

#include "filler.h"

#include "base/span.h"
#include <parley/backup.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH       1000u
#define ROUNDS      5u
#define BLOCK_BYTES (32u << 20)

struct backup {
    struct parley_db *db;
    char path[BENCH_PATH_BYTES];
    uint8_t *block;
    atomic_bool over;
    uint64_t bytes;
    double seconds;
};

static void write_all(int fd, const uint8_t *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t put = write(fd, bytes + done, len - done);
        bench_check(put > 0, "writing the backup");
        done += (size_t)put;
    }
}

static void *take_backup(void *arg)
{
    struct backup *backup = arg;
    struct parley_backup_options options = { .now = FILLER_WALL };
    struct parley_backup_place place = { 0 };
    double start = bench_now();
    int fd = open(backup->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bench_check(fd >= 0, "the file of the backup");
    backup->bytes = 0;
    for (bool done = false; !done;) {
        struct parley_read *read = NULL;
        size_t len = 0;
        bench_ok(parley_read_begin(backup->db, &read), "a read");
        bench_ok(
            parley_backup_next(read, &options, &place, backup->block, BLOCK_BYTES, &len, &done),
            "a block of the backup");
        parley_read_end(read);
        write_all(fd, backup->block, len);
        backup->bytes += len;
    }
    bench_check(fsync(fd) == 0 && close(fd) == 0, "syncing the backup");
    backup->seconds = bench_now() - start;
    atomic_store(&backup->over, true);
    return NULL;
}

/* A writer, and what it has written so far. */
struct load {
    struct filler filler;
    struct pl_rng rng;
    uint64_t talks;
    uint64_t messages;
};

static void write_batch(struct load *load)
{
    for (size_t i = 0; i < BATCH; i++, load->messages++) {
        uint64_t time = (uint64_t)(FILLER_BEGIN_US + FILLER_YEAR_US) + load->messages * 1000000;
        filler_put(&load->filler, "c", pl_rng_below(&load->rng, load->talks),
                   FILLER_TALK_LEN + load->messages, time, BATCH);
    }
}

/* Versions a second, for `seconds`, or as long as the backup takes. */
static double write_rate(struct load *load, struct backup *backup, double seconds)
{
    uint64_t before = load->messages;
    double start = bench_now();
    do
        write_batch(load);
    while (backup != NULL ? !atomic_load(&backup->over) : bench_now() - start < seconds);
    return (double)(load->messages - before) / (bench_now() - start);
}

static double rate_during(struct load *load, struct backup *backup)
{
    pthread_t thread;
    atomic_store(&backup->over, false);
    bench_check(pthread_create(&thread, NULL, take_backup, backup) == 0, "a thread");
    double rate = write_rate(load, backup, 0);
    bench_check(pthread_join(thread, NULL) == 0, "the end of a thread");
    return rate;
}

static void check_whole(const struct backup *backup)
{
    struct parley_env env;
    struct parley_restore *restore = NULL;
    parley_env_posix(&env);
    bench_ok(parley_restore_open(&env, NULL, PARLEY_RESTORE_VERIFY, &restore), "a reader");
    int fd = open(backup->path, O_RDONLY | O_CLOEXEC);
    bench_check(fd >= 0, "the file of the backup");
    for (ssize_t got = 1; got > 0;) {
        got = read(fd, backup->block, BLOCK_BYTES);
        bench_check(got >= 0, "reading the backup");
        bench_ok(parley_restore_push(restore, backup->block, (size_t)got, NULL), "the backup");
    }
    bench_ok(parley_restore_finish(restore, NULL), "the end of the backup");
    close(fd);
    parley_restore_close(restore);
}

void engine_backup_measure(struct bench *b, const char *base, uint64_t talks)
{
    struct load load = { .talks = talks };
    struct backup backup = { .block = bench_alloc(BLOCK_BYTES) };
    double alone[ROUNDS], during[ROUNDS], speed[ROUNDS];
    char dir[BENCH_PATH_BYTES];
    char note[160];
    size_t rounds = b->quick ? 2 : ROUNDS;
    bench_make_dir(b, dir);
    filler_copy(base, dir);
    bench_join(backup.path, dir, "backup");
    pl_rng_init(&load.rng, 7);
    filler_open(&load.filler, dir, false);
    backup.db = load.filler.db;
    write_rate(&load, NULL, b->quick ? 0.1 : 1); /* warm */
    for (size_t i = 0; i < rounds; i++) {
        during[i] = rate_during(&load, &backup);
        speed[i] = (double)backup.bytes / 1e6 / backup.seconds;
        alone[i] = write_rate(&load, NULL, backup.seconds);
    }
    check_whole(&backup);
    double without = bench_median(alone, rounds);
    double with = bench_median(during, rounds);
    snprintf(note, sizeof note,
             "%.0f versions/s alone, %.0f meanwhile; backup of %.0f MB at %.0f MB/s", without, with,
             (double)backup.bytes / 1e6, bench_median(speed, rounds));
    bench_report(b, &(struct bench_metric){ .name = "backup_write_slowdown_percent",
                                            .value = 100 * (1 - with / without),
                                            .unit = "%",
                                            .note = note });
    filler_close(&load.filler);
    bench_remove_tree(dir);
    free(backup.block);
}
