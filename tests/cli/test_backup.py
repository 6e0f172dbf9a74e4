# SPDX-License-Identifier: Apache-2.0
"""backup, restore and compact: while the node is written to, interrupted, on a full disk, through a
pipe that stalls; and what a node is after it."""
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
import unittest

from nodes import (PARLEY, Node, clean_environment, conversation, pair, run, scratch, until,
                   write_lines)


class Writer(threading.Thread):
    """Appends messages as fast as the node takes them; knows which ones it acknowledged."""

    def __init__(self, node, size=40, edit=False):
        super().__init__(daemon=True)
        self.node, self.size, self.edit = node, size, edit
        self.acknowledged = []
        self.ending = False
        self.start()

    def run(self):
        number = 0
        while not self.ending:
            number += 1
            text = f"text {number} " + "x" * self.size
            if self.edit:
                status, _ = self.node.http("PATCH", f"/conversations/w/messages/m{number % 4}",
                                           {"content": text})
            else:
                status, _ = self.node.http(
                    "POST", f"/conversations/w{number % 7}/messages",
                    {"message_id": f"m{number}", "role": "user", "content": text})
            if status in (200, 201):
                self.acknowledged.append((f"w{number % 7}", f"m{number}"))

    def end(self):
        self.ending = True
        self.join()
        return self.acknowledged


class Backup(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.file = os.path.join(self.base, "node.backup")
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.stop()

    def node(self, name):
        node = Node(self.base, name)
        self.nodes.append(node)
        return node

    def fill(self, node, count=300, first=0, text="hello"):
        node.json("import", write_lines(os.path.join(self.base, "in.jsonl"),
                                        [conversation(first + i, text=text)
                                         for i in range(count)]))

    def restored(self, node, name="restored"):
        """A node from the backup of `node`, in a directory of its own, running."""
        copy = self.node(name)
        copy.json("restore", self.file)
        shutil.copy(os.path.join(node.data, "seal.key"), copy.data)
        self.assertTrue(copy.json("check")["ok"])
        return copy.start()

    def ids(self, node):
        return {(c["conversation_id"], m["message_id"])
                for c in map(json.loads, node.export()) for m in c["messages"]}

    # ---- Hot ----

    def test_a_backup_under_writes_has_all_that_was_acknowledged_before(self):
        node = self.node("node").start()
        self.fill(node, 60, text="z" * 12000)
        writer = Writer(node)
        until(lambda: len(writer.acknowledged) > 20, what="some writes")
        before = list(writer.acknowledged)
        answer = node.json("backup", self.file)
        during = len(writer.acknowledged) - len(before)
        writer.end()
        self.assertEqual(os.path.getsize(self.file), answer["bytes"])
        self.assertEqual(0, node.cli("restore", "--verify", self.file).code)
        copy = self.restored(node)
        self.assertEqual(node.identity(), copy.identity())
        self.assertNotEqual(node.status()["incarnation"], copy.status()["incarnation"])
        ids = self.ids(copy)
        self.assertEqual([], [i for i in before if i not in ids])
        self.assertTrue(ids <= self.ids(node))
        self.assertGreater(during, 0)

    def test_a_backup_of_a_quiet_node_is_equal_with_and_without_the_daemon(self):
        node = self.node("node").start()
        self.fill(node, 60)
        node.json("edit", "conv-00001", "m000", "edited")
        node.json("delete", "conv-00002", "m001")
        node.json("delete", "conv-00003")
        node.json("backup", self.file)
        root = node.root()
        history = node.http("GET", "/conversations/conv-00001/history")[1]
        node.stop()
        node.json("backup", self.file, "--force")
        copy = self.restored(node)
        # It is renewed once, by the restore, and not again by what finds it in its place.
        incarnation = copy.status()["incarnation"]
        copy.stop()
        self.assertEqual(incarnation, copy.status()["incarnation"])
        copy.start()
        self.assertEqual(root, copy.root())
        self.assertEqual(history, copy.http("GET", "/conversations/conv-00001/history")[1])
        self.assertEqual(0, copy.cli("audit", "--verify").code)
        piped = subprocess.run([PARLEY, "--data", copy.data, "backup", "-"], check=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=clean_environment())
        result = run([PARLEY, "restore", "--verify", "-"], stdin=piped.stdout)
        self.assertEqual(0, result.code, result)
        self.assertIn(b"seal.key", piped.stderr)

    def test_a_pipe_that_stalls_does_not_let_the_store_grow(self):
        node = self.node("node").start()
        self.fill(node, 40, text="y" * 12000)
        for i in range(4):
            node.json("append", "w", "--role", "user", "--id", f"m{i}", "x")
        writer = Writer(node, size=30000, edit=True)
        # Until the history of each is full, and what is free is reused.
        until(lambda: len(writer.acknowledged) > 90, what="the writes before")
        data = os.path.join(node.data, "store", "data.mdb")
        size = os.path.getsize(data)
        done = len(writer.acknowledged)
        with subprocess.Popen([PARLEY, "--data", node.data, "backup", "-"], env=clean_environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            time.sleep(4)
            written = 30000 * (len(writer.acknowledged) - done)
            grown = os.path.getsize(data) - size
            self.assertIsNone(process.poll())
            writer.end()
            out, err = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, err)
        self.assertGreater(written, 2 << 20)
        self.assertLess(grown, written / 3)
        with open(self.file, "wb") as file:
            file.write(out)
        self.restored(node)

    # ---- Interrupted ----

    def test_a_killed_backup_goes_on_where_it_was(self):
        node = self.node("node").start()
        self.fill(node, 150, text="z" * 12000)
        part = self.file + ".part"
        with subprocess.Popen([PARLEY, "--data", node.data, "backup", self.file],
                              env=clean_environment(), stdout=subprocess.DEVNULL) as process:
            end = time.monotonic() + 30
            while not (os.path.exists(part) and os.path.getsize(part) > 1 << 20):
                self.assertLess(time.monotonic(), end)  # no pause: it is over soon
            process.send_signal(signal.SIGKILL)
        self.assertFalse(os.path.exists(self.file))
        # What was not written through may be anything after a crash.
        with open(part, "r+b") as file:
            file.seek(-1000, os.SEEK_END)
            file.write(bytes(1000))
        result = node.cli("restore", "--verify", part)
        self.assertEqual(65, result.code, result)
        node.json("append", "conv-00001", "--role", "user", "--id", "later", "written meanwhile")
        answer = node.json("backup", self.file)
        self.assertGreater(answer["resumed_at"], 0)
        self.assertLess(answer["resumed_at"], answer["bytes"])
        self.assertFalse(os.path.exists(part))
        self.assertIn(("conv-00001", "later"), self.ids(self.restored(node)))

    def test_a_part_of_another_store_is_begun_anew(self):
        node = self.node("node").start()
        other = self.node("other").start()
        self.fill(other, 40, text="z" * 12000)
        self.fill(node, 10)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        done = subprocess.run([PARLEY, "--data", other.data, "backup", self.file], check=False,
                              env=clean_environment(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, preexec_fn=limit)
        self.assertEqual(73, done.returncode, done.stderr)
        result = node.cli("backup", self.file)
        self.assertEqual(0, result.code, result)
        self.assertIn("begun anew", result.err)
        self.assertEqual(node.root(), self.restored(node).root())

    def test_a_full_disk_keeps_what_is_there_and_goes_on_when_there_is_room(self):
        disk = os.path.join(self.base, "disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk],
                          check=False, stderr=subprocess.DEVNULL).returncode != 0:
            print("SKIPPED: backup to a full disk was NOT tested: mounting a tmpfs is not allowed",
                  flush=True)
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        node = self.node("node").start()
        self.fill(node, 80, text="z" * 12000)
        self.file = os.path.join(disk, "node.backup")
        result = node.cli("--json", "backup", self.file)
        self.assertEqual(73, result.code, result)
        self.assertIn("make room and run it again", result.error["detail"])
        subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
        answer = node.json("backup", self.file)
        self.assertGreater(answer["resumed_at"], 1 << 20)
        self.assertEqual(node.root(), self.restored(node).root())

    # ---- Refused ----

    def test_a_backup_replaces_no_file_unless_told(self):
        node = self.node("node").start()
        with open(self.file, "w") as file:
            file.write("precious")
        result = node.cli("--json", "backup", self.file)
        self.assertEqual((73, "exists"), (result.code, result.error["code"]))
        with open(self.file) as file:
            self.assertEqual("precious", file.read())
        node.json("backup", "--force", self.file)
        self.assertEqual(0, node.cli("restore", "--verify", self.file).code)
        result = node.cli("--json", "backup", "-")
        self.assertEqual(64, result.code, result)

    def test_a_restore_replaces_no_store_and_leaves_nothing_when_it_fails(self):
        node = self.node("node").start()
        self.fill(node, 10)
        node.json("backup", self.file)
        result = node.cli("--json", "restore", self.file)
        self.assertEqual((1, "exists"), (result.code, result.error["code"]))
        with open(self.file, "rb") as file:
            whole = file.read()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        cases = [(whole[:-1], "incomplete-backup"), (whole[:len(whole) // 2], "incomplete-backup"),
                 (b"", "incomplete-backup"), (bytes(changed), "bad-backup"),
                 (whole + b"x", "bad-backup"), (b"{\"not\": \"a backup\"}", "bad-backup")]
        fresh = self.node("fresh")
        for data, code in cases:
            bad = os.path.join(self.base, "bad")
            with open(bad, "wb") as file:
                file.write(data)
            result = fresh.cli("--json", "restore", bad)
            self.assertEqual((65, code), (result.code, result.error["code"]), result)
            self.assertIn("at byte ", result.error["detail"])
            self.assertFalse(os.path.exists(os.path.join(fresh.data, "store")))
            self.assertFalse(os.path.exists(os.path.join(fresh.data, "restore.tmp")))
        fresh.json("restore", self.file)
        shutil.copy(os.path.join(node.data, "seal.key"), fresh.data)
        self.assertEqual(node.root(), fresh.root())

    # ---- Peers ----

    def test_a_restored_node_is_equal_to_its_peer_again_by_itself(self):
        local, hosted = pair(self.base)
        self.nodes += [local, hosted]
        self.fill(local, 40)
        until(lambda: local.root() == hosted.root(), 60, "equality")
        local.json("backup", self.file)
        local.json("append", "conv-00001", "--role", "user", "written after the backup")
        local.json("edit", "conv-00002", "m000", "edited after the backup")
        local.json("delete", "conv-00005")
        hosted.json("append", "conv-00003", "--role", "user", "written by the other")
        until(lambda: local.root() == hosted.root(), 60, "equality")
        incarnation = local.status()["incarnation"]
        local.stop()
        shutil.rmtree(os.path.join(local.data, "store"))
        hosted.json("append", "conv-00004", "--role", "user", "while it was away")
        local.json("restore", self.file)
        local.start()
        self.assertNotEqual(incarnation, local.status()["incarnation"])
        until(lambda: local.root() == hosted.root() and local.status()["peers"][0]["state"] ==
              "in sync", 60, "equality")
        self.assertEqual(local.export(), hosted.export())
        texts = [m["content"] for i in range(1, 5)
                 for m in local.json("show", f"conv-0000{i}")["messages"]]
        for text in ("written after the backup", "edited after the backup", "written by the other",
                     "while it was away"):
            self.assertIn(text, texts)
        self.assertEqual(39, local.root()[2])
        for node in (local, hosted):
            self.assertTrue(node.json("check")["ok"])

    def test_a_restore_does_not_take_a_revocation_back(self):
        local, hosted = pair(self.base)
        self.nodes += [local, hosted]
        hosted.json("backup", self.file)
        hosted.json("revoke", local.identity())
        hosted.stop()
        shutil.rmtree(os.path.join(hosted.data, "store"))
        hosted.json("restore", self.file)
        hosted.start()
        self.assertEqual(["revoked"], [p["state"] for p in hosted.json("peers")["peers"]])

    # ---- Compact ----

    def test_compact_gives_room_back_and_keeps_the_node(self):
        node = self.node("node").start()
        self.fill(node, 30, text="a" * 3000)
        for i in range(24):
            node.json("edit", "conv-00001", "m000", str(i) * 60000)
        node.json("append", "conv-00001", "--role", "user", "kept")
        result = node.cli("--json", "compact")
        self.assertEqual((75, "locked"), (result.code, result.error["code"]))
        before = (node.root(), node.identity(), node.status()["incarnation"])
        node.stop()
        answer = node.json("compact")
        self.assertLess(answer["bytes"], answer["bytes_before"])
        self.assertTrue(node.json("check")["ok"])
        node.start()
        self.assertEqual(before, (node.root(), node.identity(), node.status()["incarnation"]))
        node.json("append", "conv-00001", "--role", "user", "goes on")


if __name__ == "__main__":
    unittest.main()
