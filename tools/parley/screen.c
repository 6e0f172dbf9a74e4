/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "parley/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* The other screen, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l\033[2J"
#define LEAVE "\033[0m\033[?25h\033[?1049l"
/* Bytes of an arrow come together; one that comes alone is the Escape key. */
#define ESCAPE_MS 50

bool screen_is_there(void)
{
    const char *kind = getenv("TERM");
    return isatty(0) == 1 && isatty(1) == 1 && kind != NULL && kind[0] != '\0' &&
           strcmp(kind, "dumb") != 0;
}

void screen_size(size_t *columns, size_t *rows)
{
    struct winsize size;
    if (ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return;
    *columns = size.ws_col;
    *rows = size.ws_row;
}

static bool put(const char *text)
{
    size_t len = strlen(text);
    return write(1, text, len) == (ssize_t)len;
}

/* Keys come at once and are not shown; signals of the keyboard stay. */
static bool take(const struct termios *before)
{
    struct termios now = *before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    return tcsetattr(0, TCSADRAIN, &now) == 0 && put(ENTER);
}

static void give_back(const struct termios *before)
{
    tcsetattr(0, TCSADRAIN, before);
    put(LEAVE);
}

/* ---- The parent ---- */

static void fill_signals(sigset_t *set)
{
    static const int list[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGTSTP };
    sigemptyset(set);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        sigaddset(set, list[i]);
}

/* The keyboard's signals reach the child too; the others are handed on. */
static void hand_on(int number, pid_t child, const struct termios *before)
{
    switch (number) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGQUIT:
        kill(child, SIGTERM);
        break;
    case SIGTSTP:
        kill(child, SIGSTOP);
        give_back(before);
        raise(SIGSTOP);
        /* Continued: the screen is somebody else's by now. */
        take(before);
        kill(child, SIGCONT);
        kill(child, SIGWINCH);
        break;
    default:
        break;
    }
}

static enum screen_end watch(pid_t child, const sigset_t *signals, const struct termios *before,
                             int *status)
{
    int state = 0;
    for (;;) {
        pid_t ended = waitpid(child, &state, WNOHANG);
        if (ended == child && (WIFEXITED(state) || WIFSIGNALED(state)))
            break;
        if (ended < 0 && errno != EINTR)
            return SCREEN_FAILED;
        int number = sigwaitinfo(signals, NULL);
        if (number > 0)
            hand_on(number, child, before);
    }
    *status = WIFEXITED(state) ? WEXITSTATUS(state) : 0;
    if (WIFEXITED(state))
        return SCREEN_DONE;
    int cause = WTERMSIG(state);
    bool told = cause == SIGINT || cause == SIGTERM || cause == SIGHUP || cause == SIGQUIT;
    return told ? SCREEN_DONE : SCREEN_CRASHED;
}

enum screen_end screen_run(int *status)
{
    struct termios before;
    sigset_t signals;
    sigset_t old;
    if (tcgetattr(0, &before) != 0)
        return SCREEN_FAILED;
    fill_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &old);
    pid_t parent = getpid();
    pid_t child = take(&before) ? fork() : -1;
    if (child == 0) {
        /* Nobody would give the terminal back. */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(0);
        sigset_t own;
        sigemptyset(&own);
        sigaddset(&own, SIGWINCH);
        sigaddset(&own, SIGTSTP); /* the parent stops both */
        sigprocmask(SIG_SETMASK, &own, NULL);
        return SCREEN_IN_CHILD;
    }
    enum screen_end end = child < 0 ? SCREEN_FAILED : watch(child, &signals, &before, status);
    give_back(&before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return end;
}

/* ---- The child ---- */

static bool is_readable(int milliseconds)
{
    struct pollfd keyboard = { .fd = 0, .events = POLLIN };
    return poll(&keyboard, 1, milliseconds) > 0;
}

static int read_key(void)
{
    unsigned char c = 0;
    if (read(0, &c, 1) != 1)
        return SCREEN_ENDED;
    if (c != 0x1b || !is_readable(ESCAPE_MS))
        return SCREEN_CHARACTER + c;
    /* Between the mark of a key and its last byte there are digits, of keys with Shift or Ctrl. */
    unsigned char mark = 0;
    if (read(0, &mark, 1) != 1)
        return SCREEN_ENDED;
    if (mark != '[' && mark != 'O')
        return SCREEN_CHARACTER + mark;
    for (c = '0'; c < '@' && is_readable(ESCAPE_MS);)
        if (read(0, &c, 1) != 1)
            return SCREEN_ENDED;
    switch (c) {
    case 'A':
        return SCREEN_UP;
    case 'B':
        return SCREEN_DOWN;
    case 'C':
        return SCREEN_RIGHT;
    case 'D':
        return SCREEN_LEFT;
    default:
        return SCREEN_NOTHING;
    }
}

int screen_wait(int milliseconds)
{
    sigset_t resized;
    sigemptyset(&resized);
    sigaddset(&resized, SIGWINCH);
    int fd = signalfd(-1, &resized, SFD_CLOEXEC);
    struct pollfd both[] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    int ready = poll(both, fd < 0 ? 1 : 2, milliseconds);
    int key = SCREEN_NOTHING;
    if (ready > 0 && fd >= 0 && both[1].revents != 0) {
        struct signalfd_siginfo info;
        key = read(fd, &info, sizeof info) > 0 ? SCREEN_RESIZED : SCREEN_NOTHING;
    } else if (ready > 0) {
        key = (both[0].revents & POLLIN) != 0 ? read_key() : SCREEN_ENDED;
    }
    if (fd >= 0)
        close(fd);
    return key;
}
