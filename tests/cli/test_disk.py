# SPDX-License-Identifier: Apache-2.0
"""A really full disk: writes are refused by name a little before the end, reads and deletions go
on, nothing acknowledged is lost, and writes work again when there is room. Needs the right to mount
a small tmpfs."""
import os
import subprocess
import unittest

from nodes import Node, conversation, scratch, until, write_lines

DISK_BYTES = 24 << 20
RESERVE_BYTES = 4 << 20


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.disk = os.path.join(self.base, "disk")
        os.mkdir(self.disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs",
                               self.disk], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              check=False)
        if done.returncode != 0:
            print("SKIPPED: the full disk was NOT tested: mounting a tmpfs is not allowed here: "
                  + done.stderr.decode().strip(), flush=True)
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)

    def test_a_full_disk_refuses_writes_by_name_and_heals(self):
        node = Node(self.disk, "data")
        node.log = os.path.join(self.base, "log")
        node.start()
        path = write_lines(os.path.join(self.base, "first.jsonl"),
                           [conversation(i) for i in range(20)])
        node.json("import", path)
        node.json("append", "conv-00001", "--role", "user", "--id", "kept", "acknowledged")
        ballast = os.path.join(self.disk, "ballast")
        fill(ballast)
        big = write_lines(os.path.join(self.base, "big.jsonl"),
                          [conversation(1000 + i, text="y" * 3000) for i in range(1000)])
        result = node.cli("--json", "import", big)
        self.assertEqual(74, result.code, result)
        self.assertEqual("store-full", result.error["code"])
        self.assertIn("disk is full", result.error["detail"])
        # Reads go on, and health says why writes do not.
        self.assertEqual(4, len(node.json("show", "conv-00001")["messages"]))
        health = node.http("GET", "/health", token=None)[1]
        self.assertEqual(("degraded", False), (health["status"], health["store"]["ok"]))
        result = node.cli("health")
        self.assertEqual(1, result.code, result)
        self.assertIn("degraded: ", result.out)
        os.unlink(ballast)
        self.assertGreater(room(self.disk), RESERVE_BYTES)
        until(lambda: node.cli("append", "conv-00001", "--role", "user", "again").code == 0,
              what="the first write after there was room")
        self.assertEqual("ok", node.http("GET", "/health", token=None)[1]["status"])
        node.kill()
        node.start()
        messages = node.json("show", "conv-00001")["messages"]
        self.assertIn("kept", [m["message_id"] for m in messages])
        self.assertIn("again", [m["content"] for m in messages])
        self.assertTrue(node.json("check")["ok"])
        self.assertEqual(0, node.stop())

    def test_imports_stop_before_the_end_and_deletions_go_on(self):
        node = Node(self.disk, "data")
        node.log = os.path.join(self.base, "log")
        node.start()
        result, count = self.import_until_refused(node, 0)
        self.assertEqual((74, "store-full"), (result.code, result.error["code"]), result)
        left = room(self.disk)
        self.assertTrue(RESERVE_BYTES // 4 < left < RESERVE_BYTES, left)
        self.assertEqual(74, node.cli("append", "conv-00001", "--role", "user", "no").code)
        for number in range(20):
            node.json("delete", f"conv-{number:05d}")
        self.assertEqual(1, node.cli("show", "conv-00003").code)
        self.assertEqual(3, len(node.json("show", "conv-00030")["messages"]))
        # What went into the reserve does not say that there is room again.
        health = node.http("GET", "/health", token=None)[1]
        self.assertEqual(("degraded", False), (health["status"], health["store"]["ok"]))
        self.assertEqual(74, node.cli("append", "conv-00030", "--role", "user", "no").code)
        # Room comes back from outside; no restart.
        subprocess.run(["mount", "-o", f"remount,size={2 * DISK_BYTES}", self.disk], check=True)
        node.json("append", "conv-00030", "--role", "user", "yes")
        self.assertEqual("ok", node.http("GET", "/health", token=None)[1]["status"])
        self.assertEqual(0, self.import_once(node, count).code)
        self.assertTrue(node.json("check")["ok"])
        self.assertEqual(0, node.stop())

    def test_a_reserve_of_0_uses_everything(self):
        node = Node(self.disk, "data", "--reserve", "0")
        node.log = os.path.join(self.base, "log")
        node.start()
        result, _ = self.import_until_refused(node, 0)
        self.assertEqual((74, "store-full"), (result.code, result.error["code"]), result)
        self.assertLess(room(self.disk), RESERVE_BYTES // 4)
        self.assertTrue(node.json("check")["ok"])
        self.assertEqual(0, node.stop())

    def import_once(self, node, first):
        path = write_lines(os.path.join(self.base, "more.jsonl"),
                           [conversation(first + i, text="y" * 3000) for i in range(50)])
        return node.cli("--json", "import", path)

    def import_until_refused(self, node, first):
        """The refusal, and the number of the first conversation that was not imported."""
        for number in range(first, first + 20000, 50):
            result = self.import_once(node, number)
            if result.code != 0:
                return result, number
        raise AssertionError("the disk never filled")

    def test_a_start_without_room_says_so(self):
        ballast = os.path.join(self.disk, "ballast")
        fill(ballast)
        node = Node(self.disk, "data")
        node.log = os.path.join(self.base, "log")
        self.assertEqual("", node.spawn())
        self.assertEqual(74, node.wait(), node.log_text())
        self.assertIn(self.disk, node.log_text())
        os.unlink(ballast)
        node.start()
        self.assertEqual(0, node.stop())


def room(path):
    have = os.statvfs(path)
    return have.f_bavail * have.f_frsize


def fill(path):
    """Takes all the room there is."""
    block = b"\0" * 65536
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError:
            pass


if __name__ == "__main__":
    unittest.main()
