/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parley/progress.h"

#include <time.h>

#define BAR_WIDTH   24u
#define REDRAW_EACH 0.1

double progress_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_init(struct progress *p, const struct cli *cli)
{
    double now = progress_now();
    *p = (struct progress){ .shown = cli->err_is_tty && !cli->json,
                            .began = now,
                            .next = now + REDRAW_EACH };
}

bool progress_is_due(const struct progress *p)
{
    return p->shown && progress_now() >= p->next;
}

void progress_draw(struct progress *p, uint64_t done, uint64_t total, const char *text)
{
    struct buf b = { 0 };
    if (!p->shown)
        return;
    if (total != 0) {
        double part = (double)pl_min_u64(done, total) / (double)total;
        size_t full = (size_t)(part * BAR_WIDTH);
        buf_text(&b, "[");
        for (size_t i = 0; i < BAR_WIDTH; i++)
            buf_text(&b, i < full ? "#" : "-");
        buf_format(&b, "] %3.0f%%  ", part * 100);
    }
    buf_text(&b, text);
    fprintf(stderr, "\r\033[K%s", b.ptr);
    fflush(stderr);
    buf_free(&b);
    p->drawn = true;
    p->next = progress_now() + REDRAW_EACH;
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
