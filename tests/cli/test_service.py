# SPDX-License-Identifier: Apache-2.0
"""Under a service manager: sockets that it hands over, the watchdog that it sets, and a data
directory that belongs to a user of its own. The manager is played by this program."""
import os
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

from nodes import PARLEYD, Node, clean_environment, running, scratch

# Puts the descriptors of argv[1] at 3, 4, …, says so to this very process, and becomes the daemon.
LAUNCHER = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
kept = [os.dup(fd) for fd in fds]
kept = [os.dup2(fd, 100 + i) for i, fd in enumerate(kept)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i, inheritable=True)
os.closerange(3 + len(fds), 200)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ.setdefault("LISTEN_FDS", str(len(fds)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def listener(address="127.0.0.1", family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((address, 0))
    sock.listen(16)
    return sock


def port_of(sock):
    return sock.getsockname()[1]


def ask_health(connection):
    connection.settimeout(30)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = b""
    while True:
        part = connection.recv(65536)
        if not part:
            return answer.decode()
        answer += part


class Service(unittest.TestCase):
    def setUp(self):
        self.data = os.path.join(scratch(), "data")

    def spawn(self, sockets, *flags, **environment):
        fds = [sock.fileno() for sock in sockets]
        process = subprocess.Popen(
            [sys.executable, "-B", "-c", LAUNCHER, ",".join(map(str, fds)), PARLEYD,
             "--data", self.data, *flags],
            pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**clean_environment(), **environment})
        running.add(process)
        return process

    def ready_line(self, process):
        ready, _, _ = select.select([process.stdout], [], [], 30)
        self.assertTrue(ready, "no ready line")
        return process.stdout.readline().decode()

    def end(self, process, how=signal.SIGTERM):
        """Stops it; returns its exit code and its log."""
        if how is not None:
            process.send_signal(how)
        _, log = process.communicate(timeout=30)
        running.discard(process)
        return process.returncode, log.decode()

    # ---- Sockets ----

    def test_it_serves_the_sockets_that_it_was_handed_and_no_other(self):
        four, six = listener(), listener("::1", socket.AF_INET6)
        early = socket.create_connection(four.getsockname())
        process = self.spawn([four, six])
        line = self.ready_line(process)
        self.assertIn(f"ready on 127.0.0.1:{port_of(four)}, [::1]:{port_of(six)} as ", line)
        self.assertIn('"status":"ok"', ask_health(early))
        with socket.create_connection(six.getsockname()[:2]) as late:
            self.assertIn('"status":"ok"', ask_health(late))
        self.assertEqual(0, self.end(process)[0])

    def test_addresses_of_flags_come_on_top(self):
        four = listener()
        process = self.spawn([four], "--listen", "127.0.0.1:0")
        line = self.ready_line(process)
        self.assertEqual(2, line.split(" as ")[0].count("127.0.0.1:"), line)
        self.assertIn(f"127.0.0.1:{port_of(four)},", line)
        self.assertEqual(0, self.end(process)[0])

    def test_who_connects_between_two_runs_is_served_by_the_next(self):
        four = listener()
        first = self.spawn([four])
        self.ready_line(first)
        self.assertEqual(0, self.end(first)[0])
        between = socket.create_connection(four.getsockname())
        second = self.spawn([four])
        self.ready_line(second)
        self.assertIn('"status":"ok"', ask_health(between))
        self.assertEqual(0, self.end(second)[0])

    def test_sockets_for_another_process_are_left_alone(self):
        four = listener()
        process = self.spawn([four], "--listen", "127.0.0.1:0", LISTEN_PID=str(os.getpid()))
        self.assertNotIn(f":{port_of(four)}", self.ready_line(process))
        self.assertEqual(0, self.end(process)[0])

    def test_what_is_no_number_of_sockets_is_refused_by_name(self):
        four = listener()
        for bad in ("17", "-1", "1x", "", "99999999999999999999"):
            process = self.spawn([four], LISTEN_FDS=bad)
            code, log = self.end(process, None)
            self.assertEqual(64, code, log)
            self.assertIn(f'LISTEN_FDS "{bad}": use 0 to 16 sockets', log)
            self.assertFalse(os.path.exists(self.data))
        process = self.spawn([four], LISTEN_PID="me")
        code, log = self.end(process, None)
        self.assertEqual(64, code, log)
        self.assertIn('LISTEN_PID "me"', log)

    def test_a_socket_of_another_kind_is_refused_by_number(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        silent.bind(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.bind(self.data + ".sock")
        local.listen(1)
        with open(os.devnull, "rb") as no_socket:
            for bad in (silent, datagrams, local, no_socket):
                code, log = self.end(self.spawn([listener(), bad]), None)
                self.assertEqual(64, code, log)
                self.assertIn("LISTEN_FDS: descriptor 4 is not a TCP socket that listens", log)

    def test_one_more_than_the_table_holds_is_refused(self):
        sockets = [listener() for _ in range(16)]
        code, log = self.end(self.spawn(sockets, "--listen", "127.0.0.1:0"), None)
        self.assertEqual(64, code, log)
        self.assertIn("at most 16 addresses, with those of LISTEN_FDS", log)
        process = self.spawn(sockets)
        self.assertEqual(16, self.ready_line(process).count("127.0.0.1:"))
        self.assertEqual(0, self.end(process)[0])

    def test_compat_legacy_is_refused_on_a_handed_socket_of_all_addresses(self):
        code, log = self.end(self.spawn([listener("0.0.0.0")], "--compat-legacy"), None)
        self.assertEqual(64, code, log)
        self.assertIn("--compat-legacy: with listen 0.0.0.0:", log)

    # ---- The watchdog ----

    def watched(self, **environment):
        path = self.data + ".notify"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(path)
        notify.settimeout(30)
        process = self.spawn([listener()], NOTIFY_SOCKET=path, **environment)
        self.ready_line(process)
        self.assertEqual(b"READY=1", self.next_notice(notify, b"WATCHDOG=1"))
        return process, notify

    def next_notice(self, notify, skipped):
        while True:
            notice = notify.recv(4096)
            if notice != skipped:
                return notice

    def test_it_says_that_it_lives_twice_in_the_time_that_it_has(self):
        process, notify = self.watched(WATCHDOG_USEC="400000")
        began = time.monotonic()
        for _ in range(5):
            self.assertEqual(b"WATCHDOG=1", notify.recv(4096))
        self.assertGreater(time.monotonic() - began, 0.7)
        process.send_signal(signal.SIGSTOP)
        self.assertFalse(self.drain(notify, 1.5), "a process that stands still has spoken")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(b"WATCHDOG=1", notify.recv(4096))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(b"STOPPING=1", self.next_notice(notify, b"WATCHDOG=1"))
        self.assertEqual(0, self.end(process, None)[0])

    def drain(self, notify, seconds):
        """Whether something comes in the last two thirds of the time: one may be on its way."""
        end = time.monotonic() + seconds
        late = False
        while time.monotonic() < end:
            if select.select([notify], [], [], end - time.monotonic())[0]:
                notify.recv(4096)
                late = late or end - time.monotonic() < seconds * 2 / 3
        return late

    def test_without_a_watchdog_of_its_own_it_says_nothing(self):
        for environment in ({}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())},
                            {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}):
            process, notify = self.watched(**environment)
            notify.settimeout(0.5)
            self.assertRaises(socket.timeout, notify.recv, 4096)
            self.assertEqual(0, self.end(process)[0])
            os.unlink(self.data + ".notify")


@unittest.skipIf(os.geteuid() != 0, "SKIPPED: who may touch whose directory needs root")
class UserOfItsOwn(unittest.TestCase):
    USER = 64123

    def setUp(self):
        base = scratch()
        os.chmod(base, 0o755)
        home = os.path.join(base, "home")
        os.mkdir(home, 0o700)
        os.chown(home, self.USER, self.USER)
        self.node = Node(home, "data")

    def as_user(self):
        os.setgid(self.USER)
        os.setuid(self.USER)

    def start(self):
        process = subprocess.Popen([PARLEYD, "--data", self.node.data, "--listen", "127.0.0.1:0"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, preexec_fn=self.as_user,
                                   env=clean_environment())
        running.add(process)
        self.assertTrue(select.select([process.stdout], [], [], 30)[0])
        self.assertIn(b"parleyd ready on ", process.stdout.readline())
        return process

    def stop(self, process):
        process.terminate()
        self.assertEqual(0, process.wait(30))
        process.stdout.close()
        running.discard(process)

    def test_root_goes_through_the_daemon_and_never_past_it(self):
        process = self.start()
        self.node.json("append", "c1", "--role", "user", "hello")
        self.assertEqual("c1", self.node.json("list")["conversations"][0]["conversation_id"])
        self.stop(process)
        for arguments in (("append", "c1", "--role", "user", "no"), ("status",), ("compact",),
                          ("key", "show"), ("check",)):
            result = self.node.cli("--json", *arguments)
            self.assertEqual(77, result.code, result)
            self.assertIn(f"belongs to user {self.USER}", result.error["detail"])
        self.assertEqual("", self.node.spawn())
        self.assertEqual(77, self.node.wait())
        for folder, _, names in os.walk(self.node.data):
            for name in names:
                self.assertEqual(self.USER, os.stat(os.path.join(folder, name)).st_uid, name)
        self.stop(self.start())

    def test_a_secret_of_a_third_user_stays_refused(self):
        process = self.start()
        os.chown(os.path.join(self.node.data, "admin.token"), self.USER + 1, 0)
        result = self.node.cli("--json", "status")
        self.assertEqual(77, result.code, result)
        os.chown(os.path.join(self.node.data, "admin.token"), self.USER, 0)
        self.stop(process)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
