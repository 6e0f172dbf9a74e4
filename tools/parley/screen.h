/* SPDX-License-Identifier: Apache-2.0
 *
 * A terminal that a program fills as a whole, and gets back as it was however the program ends: the
 * drawing is done by a child, and its parent, which does nothing that can fail, restores the
 * terminal when the child is gone, also when it was killed. Plain ANSI, no library.
 */
#ifndef PARLEY_SCREEN_H
#define PARLEY_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum screen_key {
    SCREEN_NOTHING, /* the time is over */
    SCREEN_RESIZED,
    SCREEN_ENDED, /* there is no keyboard any more */
    SCREEN_UP,
    SCREEN_DOWN,
    SCREEN_LEFT,
    SCREEN_RIGHT,
    SCREEN_CHARACTER = 0x100 /* plus the byte */
};

/* What screen_run came to. */
enum screen_end {
    SCREEN_IN_CHILD, /* this is the child: draw, and end the process when done */
    SCREEN_DONE,     /* the child is gone by itself, or was told to go; *status is its exit */
    SCREEN_CRASHED,
    SCREEN_FAILED /* there is no terminal, or no process; errno says */
};

/* Whether stdin and stdout are terminals that obey more than text. */
bool screen_is_there(void);
/* Takes the terminal and starts the child. Returns in both. */
enum screen_end screen_run(int *status);
/* Of the terminal at stdout; left alone when that is none. */
void screen_size(size_t *columns, size_t *rows);
/* In the child: waits for a key for so long. */
int screen_wait(int milliseconds);

#endif
