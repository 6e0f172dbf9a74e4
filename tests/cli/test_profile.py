# SPDX-License-Identifier: Apache-2.0
"""parleyd --profile small: what is asked of a small device has small bounds, and a file system that
takes nothing is named."""
import os
import re
import socket
import subprocess
import unittest

from nodes import Node, conversation, is_check_build, scratch, until, write_lines

SMALL_CONNECTIONS = 24
SMALL_STORE_BYTES = 256 << 20
SMALL_MEMORY_KIB = 8 << 10


def private_kib(node):
    with open(f"/proc/{node.process.pid}/smaps_rollup") as file:
        return sum(int(found) for found in re.findall(r"(?m)^(?:Anonymous|Swap): +(\d+) kB",
                                                      file.read()))


class Small(unittest.TestCase):
    def setUp(self):
        self.node = Node(scratch(), "a", "--profile", "small").start()

    def tearDown(self):
        if self.node.process.poll() is None:
            self.node.stop()

    def test_the_store_has_a_limit(self):
        self.assertEqual(SMALL_STORE_BYTES, self.node.status()["store"]["limit_bytes"])

    def test_connections_are_bounded_and_the_next_one_is_served(self):
        clients = []
        for _ in range(3 * SMALL_CONNECTIONS):
            clients.append(socket.create_connection(("127.0.0.1", self.node.port)))
            self.assertEqual("ok", self.node.http("GET", "/health", token=None)[1]["status"])
        sockets = os.listdir(f"/proc/{self.node.process.pid}/fd")
        # What refuses and lingers has places of its own, see net/uv/uv_int.h.
        self.assertLess(len(sockets), SMALL_CONNECTIONS + 16 + 20)
        for client in clients:
            client.close()

    def commits(self):
        metrics = self.node.http("GET", "/metrics")[1]
        return int(re.search(r"(?m)^parley_commits_total (\d+)$", metrics).group(1))

    @unittest.skipIf(is_check_build(), "batches of this build are smaller anyway")
    def test_commits_are_small(self):
        path = write_lines(self.node.data + ".jsonl", [conversation(i, 20) for i in range(100)])
        before = self.commits()
        self.assertEqual(100, self.node.json("import", path)["created"])
        self.assertGreater(self.commits() - before, 2000 // 256)
        self.node.stop()
        self.node = Node(scratch(), "b").start()
        before = self.commits()
        self.node.json("import", path)
        self.assertLess(self.commits() - before, 2000 // 256)

    @unittest.skipIf(is_check_build(), "sanitizers keep what was freed")
    def test_what_is_too_much_at_once_is_busy_and_costs_nothing(self):
        held = []
        for _ in range(12): # 12 MB in bodies that do not end
            client = socket.create_connection(("127.0.0.1", self.node.port))
            client.settimeout(0.3)
            client.sendall(b"POST /conversations HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Length: 1100000\r\nAuthorization: Bearer "
                           + self.node.token().encode() + b"\r\n\r\n")
            try:
                client.sendall(b"{\"x\":\"" + b"y" * 1000000)
            except OSError:
                pass # it has been answered and closed
            held.append(client)
        self.assertEqual("ok", self.node.http("GET", "/health", token=None)[1]["status"])
        answers = [self.answer(client) for client in held]
        self.assertTrue(any(b" 503 " in answer for answer in answers), answers)
        self.assertLess(private_kib(self.node), SMALL_MEMORY_KIB)
        for client in held:
            client.close()
        until(lambda: self.node.cli("append", "c", "--role", "user", "again").code == 0,
              what="a write after the crowd")

    def answer(self, client):
        try:
            return client.recv(64)
        except OSError:
            return b""

    def test_a_write_that_will_never_find_memory_is_busy_in_the_end(self):
        body = {"role": "user", "content": "x" * 1500000}
        status, answer = self.node.http("POST", "/conversations/c/messages", body)
        self.assertEqual((503, "busy"), (status, answer["code"]))
        self.assertEqual(201, self.node.http("POST", "/conversations/c/messages",
                                             {"role": "user", "content": "short"})[0])

    def test_another_profile_is_refused_with_the_names_there_are(self):
        node = Node(scratch(), "x", "--profile", "tiny")
        self.assertEqual("", node.spawn())
        self.assertEqual(64, node.wait())
        self.assertIn('--profile: "tiny" is not one of normal, small', node.log_text())


class ReadOnly(unittest.TestCase):
    """A file system that was mounted read-only, as flash is after its last error."""

    def setUp(self):
        self.base = scratch()
        self.disk = os.path.join(self.base, "disk")
        os.mkdir(self.disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32M", "tmpfs", self.disk],
                          stderr=subprocess.DEVNULL, check=False).returncode != 0:
            print("SKIPPED: the read-only disk was NOT tested: mounting is not allowed here",
                  flush=True)
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)
        self.node = Node(self.disk, "a")
        self.node.log = os.path.join(self.base, "log")

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.disk], check=True)

    def test_a_start_is_refused_with_the_reason_and_changes_nothing(self):
        self.remount("ro")
        self.assertEqual("", self.node.spawn())
        self.assertEqual(77, self.node.wait(), self.node.log_text())
        self.assertIn("Read-only file system", self.node.log_text())
        self.remount("rw")
        self.node.start()
        self.node.json("append", "c", "--role", "user", "kept")
        self.assertEqual(0, self.node.stop())
        self.remount("ro")
        self.assertEqual("", self.node.spawn())
        self.assertEqual(77, self.node.wait(), self.node.log_text())
        self.assertIn("Read-only file system", self.node.log_text())
        result = self.node.cli("--json", "list")
        self.assertEqual(77, result.code, result)
        self.assertIn("Read-only file system", result.error["detail"])
        self.remount("rw")
        self.node.start()
        self.assertEqual(1, len(self.node.json("show", "c")["messages"]))
        self.assertEqual(0, self.node.stop())


if __name__ == "__main__":
    unittest.main()
