# SPDX-License-Identifier: Apache-2.0
"""`parley top` on a terminal, which is a pty and a few lines that understand what it draws."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata
import unittest

from nodes import PARLEY, Node, PairCase, clean_environment, running, until

SECONDS = 30
ENTER, LEAVE = "\033[?1049h", "\033[?1049l"


def width(text):
    """Columns of a text; marks that combine take none."""
    return sum(0 if unicodedata.combining(c) or c in "\u200d\ufe0f" else
               2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Terminal:
    """A process on a pty, and the picture that it has drawn last."""

    def __init__(self, node, *arguments, columns=120, rows=30, kind="xterm"):
        self.ours, self.theirs = pty.openpty()
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.theirs)
        self.raw = ""
        environment = dict(clean_environment(), TERM=kind, NO_COLOR="1")

        def place():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [PARLEY, "--data", node.data, "top", *arguments], stdin=self.theirs,
            stdout=self.theirs, stderr=self.theirs, env=environment, preexec_fn=place)
        running.add(self.process)

    def size(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        end = time.monotonic() + seconds
        while select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
            try:
                piece = os.read(self.ours, 65536)
            except OSError:
                return
            self.raw += piece.decode("utf-8", "replace")

    def lines(self):
        """Of the last picture that is whole."""
        frames = self.raw.split("\033[H")[1:]
        whole = [frame for frame in frames if "\033[J" in frame]
        return whole[-1].split("\033[J")[0].replace("\033[K", "").split("\r\n") if whole else []

    def shows(self, text):
        def look():
            self.read(0.05)
            return any(text in line for line in self.lines())
        try:
            until(look, SECONDS, f"{text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.lines()) + self.raw[-300:]) from None

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def child(self):
        """The process that draws."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return int(file.read().split()[0])

    def end(self):
        """Its exit code; the terminal must be as it was."""
        code = self.process.wait(SECONDS)
        running.discard(self.process)
        self.read(0.2)
        assert self.raw.rstrip().endswith(LEAVE), repr(self.raw[-200:])
        assert "\033[?25h" in self.raw.rsplit("\033[H", 1)[1], "the cursor stays hidden"
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is not as it was"
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        running.discard(self.process)
        os.close(self.ours)
        os.close(self.theirs)


class Top(PairCase):
    def terminal(self, *arguments, **more):
        terminal = Terminal(self.local, *arguments, **more)
        self.addCleanup(terminal.close)
        return terminal

    def write(self, text, name="talk"):
        self.local.json("append", name, "--role", "user", text)

    def test_it_shows_node_peers_and_changes_as_they_come(self):
        terminal = self.terminal("--interval", "1s")
        terminal.shows("healthy")
        terminal.shows("1 of 1 peers in sync")
        terminal.shows(self.local.identity())
        hosted = self.hosted.identity().split("_")
        terminal.shows(f"hosted {hosted[2][:8]}")
        self.assertTrue(terminal.raw.startswith(ENTER), repr(terminal.raw[:20]))
        self.write("a word that nobody has said before")
        terminal.shows("a word that nobody has said before")
        terminal.shows("1 conversations")
        until(lambda: terminal.read(0.1) or self.rate(terminal) > 0, what="a rate above 0")
        terminal.press("q")
        self.assertEqual(0, terminal.end())

    def rate(self, terminal):
        found = re.findall(r"out ([0-9.]+) B/s", terminal.raw)
        return max((float(number) for number in found), default=0)

    def test_a_peer_that_is_away_shows_its_lag_and_why(self):
        self.hosted.stop()
        for number in range(7):
            self.write(f"text {number}")
        terminal = self.terminal("--interval", "1s")
        terminal.shows("offline")
        line = next(line for line in terminal.lines() if "offline" in line)
        self.assertRegex(line, r"offline +7 ")
        why = r"the node is|connection|refused|cannot"
        self.assertRegex(line, why)
        for columns, rows in ((80, 24), (60, 9)):
            terminal.size(columns, rows)
            until(lambda: terminal.read(0.05) or any(
                "offline" in line and width(line) <= columns for line in terminal.lines()[:9]),
                SECONDS, "the next picture")
            line = next(line for line in terminal.lines() if "offline" in line)
            self.assertRegex(line, rf"offline +7 +.*({why})")

    def test_what_does_not_fit_is_left_out_and_no_line_is_too_long(self):
        self.write("你好" * 100 + "e\u0301\u200d👩‍👩‍👧‍👦" * 50)
        self.write("\033[31mred\033]0;title\007 \u202eturned")
        terminal = self.terminal("--interval", "1s")
        for columns, rows in ((120, 30), (80, 24), (60, 16), (40, 12), (20, 6), (200, 50), (9, 3)):
            terminal.size(columns, rows)
            mark = len(terminal.raw)
            until(lambda: terminal.read(0.05) or "\033[J" in terminal.raw[mark:], SECONDS,
                  "the next picture")
            terminal.read(0.3)
            lines = terminal.lines()
            self.assertLessEqual(len(lines), max(rows, 12), f"{columns}x{rows}")
            for line in lines:
                self.assertLessEqual(width(line), columns, f"{columns}x{rows}: {line!r}")
                self.assertNotRegex(line, "[\x00-\x1f\x7f\u202e]")
        terminal.size(120, 30)
        terminal.shows("\\u{1b}[31mred")

    def test_keys_choose_what_peers_are_sorted_by(self):
        third = Node(self.base, "third", kind="edge").start()
        self.addCleanup(third.stop)
        third.json("join", self.local.invite())
        terminal = self.terminal("--interval", "1s")
        terminal.shows("2 of 2 peers in sync")
        names = lambda: [line.split()[0] for line in terminal.lines()
                         if re.match("(hosted|edge) [0-9a-f]{8}", line)]
        terminal.shows("+PEER")
        self.assertEqual(["edge", "hosted"], names())
        terminal.press("r")
        terminal.shows("-PEER")
        self.assertEqual(["hosted", "edge"], names())
        terminal.press("\033[C")
        terminal.shows("-STATE")
        terminal.press("\033OD\033[D")
        terminal.shows("-LAST SYNC")
        terminal.press("s")
        terminal.shows("-PEER")
        terminal.press("\033")  # the Escape key alone does nothing
        terminal.press("q")
        self.assertEqual(0, terminal.end())

    # ---- Ends ----

    def test_the_terminal_is_as_it_was_however_it_ends(self):
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            with self.subTest(name):
                terminal = self.terminal()
                terminal.shows("healthy")
                terminal.process.send_signal(getattr(signal, name))
                self.assertEqual(0, terminal.end())
        terminal = self.terminal()
        terminal.shows("healthy")
        terminal.press("\003")
        self.assertEqual(0, terminal.end())

    def test_the_terminal_is_as_it_was_when_the_drawing_process_is_killed(self):
        terminal = self.terminal()
        terminal.shows("healthy")
        os.kill(terminal.child(), signal.SIGKILL)
        code = terminal.process.wait(SECONDS)
        terminal.read(0.2)
        self.assertEqual(70, code)
        self.assertIn("parley top has crashed", terminal.raw.rsplit(LEAVE, 1)[1])
        self.assertEqual(terminal.before, termios.tcgetattr(terminal.theirs))

    def test_it_can_be_stopped_and_continued(self):
        terminal = self.terminal("--interval", "1s")
        terminal.shows("healthy")
        terminal.press("\032")
        until(lambda: terminal.read(0.1) or terminal.raw.endswith(LEAVE), what="the stop")
        pid = terminal.process.pid
        until(lambda: state_of(pid) == "T", what="the stop of the process")
        self.assertEqual(terminal.before, termios.tcgetattr(terminal.theirs))
        mark = len(terminal.raw)
        os.killpg(pid, signal.SIGCONT)
        until(lambda: terminal.read(0.1) or "healthy" in terminal.raw[mark:], what="a picture")
        terminal.press("q")
        self.assertEqual(0, terminal.end())

    # ---- Without a terminal, without a daemon ----

    def test_once_prints_it_without_a_terminal(self):
        self.write("said before")
        for arguments in (("--once",), ()):
            result = self.local.cli("top", *arguments)
            self.assertEqual(0, result.code, result)
            self.assertNotIn("\033", result.out)
            for word in ("healthy", "1 of 1 peers in sync", "said before", "changes/s"):
                self.assertIn(word, result.out)
        answer = self.local.json("top")
        self.assertEqual(self.local.status()["head"], answer["status"]["head"])
        self.assertEqual("ok", answer["health"]["status"])
        self.assertGreater(answer["rates"]["seconds"], 0.5)
        terminal = self.terminal(kind="dumb")
        self.assertEqual(0, terminal.process.wait(SECONDS))
        terminal.read(0.2)
        self.assertIn("healthy", terminal.raw)
        self.assertNotIn("\033", terminal.raw)

    def test_it_waits_for_a_daemon_that_went_and_keeps_nobody_from_starting_it(self):
        terminal = self.terminal("--interval", "1s")
        terminal.shows("healthy")
        for end in (self.local.stop, self.local.kill):
            end()
            terminal.shows("parleyd is not running; waiting for it")
            terminal.read(1.5)
            self.local.start()
            terminal.shows("healthy")
        terminal.press("q")
        self.assertEqual(0, terminal.end())

    def test_what_cannot_go_well_is_said_at_once(self):
        self.local.stop()
        self.assertEqual(69, self.local.cli("top").code)
        self.assertIn("parleyd is not running", self.local.cli("top").err)
        self.assertEqual(64, self.local.cli("top", "--interval", "0").code)
        self.assertEqual(64, self.local.cli("status", "--once").code)
        self.local.start()


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


if __name__ == "__main__":
    unittest.main()
