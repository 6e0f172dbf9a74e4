/* SPDX-License-Identifier: Apache-2.0
 *
 * Two rows of modules a line of text, by half blocks. Light modules are drawn, dark ones are left:
 * most terminals are dark, and with colours it does not matter.
 */
#include "parley/qr.h"

#include <qrencode.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define QUIET 2

static bool is_light(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return true;
    return (code->data[y * code->width + x] & 1) == 0;
}

void qr_print(const char *text, bool colors)
{
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (code == NULL)
        return;
    /* Broken over two lines it is no code any more, only clutter. */
    struct winsize size;
    if (ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 &&
        size.ws_col < code->width + 2 * QUIET) {
        QRcode_free(code);
        return;
    }
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        fputs(colors ? "\033[40;97m" : "", stdout);
        for (int x = -QUIET; x < code->width + QUIET; x++) {
            bool top = is_light(code, x, y);
            bool bottom = is_light(code, x, y + 1);
            fputs(top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ", stdout);
        }
        fputs(colors ? "\033[0m\n" : "\n", stdout);
    }
    QRcode_free(code);
}
