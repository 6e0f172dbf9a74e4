# SPDX-License-Identifier: Apache-2.0
"""The QR code of an invite: on a terminal that is wide enough, and nowhere else."""
import fcntl
import os
import pty
import struct
import subprocess
import termios
import unittest

from nodes import PARLEY, Node, clean_environment, scratch

FINDER = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
QUIET = 2


def on_terminal(node, columns):
    """What `parley invite` prints on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 80, columns, 0, 0))
    environment = dict(clean_environment(), TERM="xterm", NO_COLOR="1")
    process = subprocess.Popen([PARLEY, "--data", node.data, "invite"], stdin=theirs,
                               stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(30) == 0, text
    return text.decode()


def modules(text):
    """The dark modules of the code, row by row, without its quiet zone."""
    rows = []
    for line in text.replace("\r", "").split("\n"):
        if set(line) <= set("█▀▄ ") and "█" in line:
            rows.append("".join("0" if c in "█▀" else "1" for c in line))
            rows.append("".join("0" if c in "█▄" else "1" for c in line))
    size = len(rows[0]) - 2 * QUIET if rows else 0
    return [row[QUIET:QUIET + size] for row in rows[QUIET:QUIET + size]]


class Qr(unittest.TestCase):
    def setUp(self):
        self.node = Node(scratch(), "one").start()

    def tearDown(self):
        self.node.stop()

    def test_a_wide_terminal_shows_a_code_with_its_three_finder_patterns(self):
        text = on_terminal(self.node, 200)
        self.assertIn("parley://", text)
        rows = modules(text)
        size = len(rows)
        self.assertTrue(21 <= size <= 177 and (size - 17) % 4 == 0, size)
        for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
            self.assertEqual(FINDER, [row[left:left + 7] for row in rows[top:top + 7]])
        self.assertNotEqual(FINDER, [row[size - 7:] for row in rows[size - 7:]])

    def test_a_narrow_terminal_and_a_pipe_get_the_line_alone(self):
        text = on_terminal(self.node, 40)
        self.assertIn("parley://", text)
        self.assertEqual([], modules(text))
        self.assertNotIn("█", self.node.cli("invite").out)


if __name__ == "__main__":
    unittest.main()
