# SPDX-License-Identifier: Apache-2.0
"""The files that `parley` makes, while the calls that make them fail, one after the other: a name
stands for a whole file that is on the disk, or for what it stood for before; success is only said
when the file, and the directory that names it, were synced; nothing else is left behind."""
import errno
import gzip
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from nodes import Node, scratch, write_lines  # noqa: E402
from shim import COUNT, CLASSES, ERRORS, Fault, INJECTED, SHORT  # noqa: E402

CALLS_MAX = 40


class Output(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a")
        self.node.start()
        self.addCleanup(self.node.stop)
        lines = [{"id": f"c{i}", "messages": [{"role": "user", "content": f"{i} " + "x" * 500}]}
                 for i in range(40)]
        self.node.json("import", write_lines(os.path.join(self.base, "in.jsonl"), lines))
        self.fault = Fault(os.path.join(self.base, "fault"))
        self.out = os.path.join(self.base, "out")
        os.mkdir(self.out)

    def make(self, words, name):
        return self.node.cli(*words, os.path.join(self.out, name),
                             environment=self.fault.environment)

    def content(self, name):
        with open(os.path.join(self.out, name), "rb") as file:
            data = file.read()
        return gzip.decompress(data) if name.endswith(".gz") else data

    def verify(self, name, whole):
        self.assertEqual(whole, self.content(name))

    def sweep(self, words, name, kept=(), verify=None):
        """Each call of each class fails once. `kept`: what a failure may leave behind."""
        self.fault.arm()
        done = self.make(words, name)
        self.assertEqual(0, done.code, done)
        counts = {kind: self.fault.get(COUNT + CLASSES[kind]) for kind in ("write", "sync", "name")}
        self.assertGreaterEqual(counts["sync"], 3, "the data directory, the file, its directory")
        whole = self.content(name)
        verify = verify or self.verify
        for kind, count in counts.items():
            self.assertLess(count, CALLS_MAX)
            for at in range(1, count + 1):
                for error in ERRORS[kind]:
                    with self.subTest(words=words, kind=kind, at=at, error=error):
                        self.one(words, name, kept, (kind, error, at))
                        if os.path.exists(os.path.join(self.out, name)):
                            verify(name, whole)

    def one(self, words, name, kept, fault):
        for old in os.listdir(self.out):
            os.unlink(os.path.join(self.out, old))
        self.fault.arm(*fault)
        done = self.make(words, name)
        self.assertEqual(1, self.fault.get(INJECTED), done)
        left = set(os.listdir(self.out)) - {name + end for end in kept}
        if done.code == 0:
            self.assertIn(fault[1], (errno.EINTR, SHORT), "success, though a call failed")
            self.assertEqual({name}, left)
        else:
            # The first sync is of the data directory, before anything is made.
            early = f"parley: {self.node.data}:" in done.err
            self.assertIn(done.code, (69, 74) if early else (73,), done)
            self.assertIn(self.node.data if early else name, done.err)
            self.assertLessEqual(left, {name})

    def test_exports(self):
        self.sweep(("export",), "e.jsonl")
        self.sweep(("export",), "e.jsonl.gz")
        self.sweep(("export",), "e.md")

    def test_bundles(self):
        self.sweep(("bundle", "create"), "b")

    def test_backups(self):
        def verify(name, _):
            done = self.node.cli("restore", "--verify", os.path.join(self.out, name))
            self.assertEqual(0, done.code, done)
        self.sweep(("backup",), "k", kept=(".part",), verify=verify)


if __name__ == "__main__":
    unittest.main()
