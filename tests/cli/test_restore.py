# SPDX-License-Identifier: Apache-2.0
"""Stores that went back in time, were copied or wiped: all converge by themselves, and no write of
anybody is lost."""
import os
import shutil
import subprocess
import unittest

from nodes import Node, clean_environment, conversation, join, pair, scratch, until, write_lines


def store_of(node):
    return os.path.join(node.data, "store")


def equal(*nodes):
    roots = {(node.root() or ())[:2] for node in nodes}
    return len(roots) == 1


class Restore(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.stop()

    def pair(self):
        local, hosted = pair(self.base)
        self.nodes += [local, hosted]
        return local, hosted

    def fill(self, node, first, count, name):
        path = write_lines(os.path.join(self.base, name),
                           [conversation(first + i) for i in range(count)])
        node.json("import", path)

    def settle(self, *nodes):
        until(lambda: equal(*nodes), 60, "equality")
        for node in nodes:
            self.assertEqual(nodes[0].export(), node.export())
            self.assertEqual(0, node.cli("check").code)

    def go_back(self, back, other):
        """`back` gets a store of before some writes on both sides, and writes again."""
        self.fill(back, 0, 40, "before.jsonl")
        self.settle(back, other)
        back.stop()
        copy = back.data + ".copy"
        shutil.copytree(store_of(back), copy)
        back.start()
        back.json("append", "conv-00001", "--role", "user", "written after the backup")
        back.json("edit", "conv-00002", "m000", "edited after the backup")
        other.json("append", "conv-00003", "--role", "user", "written by the other")
        self.settle(back, other)
        incarnation = back.status()["incarnation"]
        back.stop()
        other.json("append", "conv-00004", "--role", "user", "while it was away")
        shutil.rmtree(store_of(back))
        shutil.copytree(copy, store_of(back))
        back.json("append", "conv-00005", "--role", "user", "on the restored store")
        back.start()
        self.assertNotEqual(incarnation, back.status()["incarnation"])
        self.settle(back, other)
        texts = [m["content"] for i in range(1, 6)
                 for m in back.json("show", f"conv-0000{i}")["messages"]]
        for text in ("written after the backup", "edited after the backup", "written by the other",
                     "while it was away", "on the restored store"):
            self.assertIn(text, texts)

    def test_a_restored_node_that_dials_gets_everything_back(self):
        local, hosted = self.pair()
        self.go_back(local, hosted)

    def test_a_restored_node_that_is_dialed_gets_everything_back(self):
        local, hosted = self.pair()
        self.go_back(hosted, local)

    def test_two_daemons_on_copies_of_one_store_lose_nothing(self):
        local, hosted = self.pair()
        self.fill(hosted, 0, 30, "first.jsonl")
        self.settle(local, hosted)
        hosted.stop()
        twin = Node(self.base, "twin")
        shutil.copytree(hosted.data, twin.data)
        self.nodes.append(twin)
        # Each writes under the same identity while the other is away, then takes its turn.
        hosted.start()
        hosted.json("append", "conv-00001", "--role", "user", "by the first twin")
        self.settle(local, hosted)
        port = hosted.port
        hosted.stop()
        twin.json("append", "conv-00001", "--role", "user", "by the second twin")
        twin.json("delete", "conv-00007")
        twin.port = port
        twin.start()
        self.assertEqual(hosted.identity(), twin.identity())
        self.settle(local, twin)
        twin.stop()
        hosted.start()
        self.settle(local, hosted)
        texts = [m["content"] for m in hosted.json("show", "conv-00001")["messages"]]
        self.assertIn("by the first twin", texts)
        self.assertIn("by the second twin", texts)
        self.assertEqual(29, hosted.root()[2])

    def test_two_daemons_on_copies_that_run_at_once_lose_nothing(self):
        local, hosted = self.pair()
        self.fill(hosted, 0, 10, "first.jsonl")
        self.settle(local, hosted)
        local.stop()
        twin = Node(self.base, "twin", kind="local")
        shutil.copytree(local.data, twin.data)
        self.nodes.append(twin)
        # Both dial the hosted node, and it has one place for the two.
        local.start()
        twin.start()
        self.assertEqual(local.identity(), twin.identity())
        local.json("append", "conv-00001", "--role", "user", "by the first twin")
        twin.json("append", "conv-00001", "--role", "user", "by the second twin")
        hosted.json("append", "conv-00001", "--role", "user", "by the third")
        self.settle(local, twin, hosted)
        texts = [m["content"] for m in hosted.json("show", "conv-00001")["messages"]]
        for text in ("by the first twin", "by the second twin", "by the third"):
            self.assertIn(text, texts)

    def test_a_wiped_node_joins_again_under_its_identity(self):
        pem = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True,
                             text=True).stdout
        environment = dict(clean_environment(), BACKEND_PRIVATE_KEY=pem)
        hosted = Node(self.base, "hosted", kind="hosted").start()
        edge = Node(self.base, "edge", kind="edge").start(environment=environment)
        self.nodes += [hosted, edge]
        join(hosted, edge)
        self.fill(edge, 0, 30, "first.jsonl")
        self.settle(hosted, edge)
        identity = edge.identity()
        edge.stop()
        shutil.rmtree(edge.data)
        edge.start(environment=environment)
        self.assertEqual(identity, edge.identity())
        edge.json("append", "conv-00002", "--role", "user", "before it joined again")
        join(hosted, edge)
        self.settle(hosted, edge)
        self.assertEqual(30, edge.root()[2])
        texts = [m["content"] for m in hosted.json("show", "conv-00002")["messages"]]
        self.assertIn("before it joined again", texts)
        self.assertEqual(4, len(texts))


if __name__ == "__main__":
    unittest.main()
