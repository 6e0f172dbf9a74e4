# SPDX-License-Identifier: Apache-2.0
"""Bundles: two nodes that met once become equal by files alone, and nothing but what a peer signed
is ever taken."""
import os
import random
import struct
import unittest

from nodes import Node, conversation, join, scratch, write_lines


def blocks(data):
    """(begin, end of the array, end) of each block of a file."""
    found, at = [], 0
    while at < len(data):
        length = struct.unpack(">I", data[at:at + 4])[0]
        end = at + 4 + length
        signature = struct.unpack(">H", data[end:end + 2])[0]
        found.append((at, end, end + 2 + signature))
        at = found[-1][2]
    return found


class Bundles(unittest.TestCase):
    def setUp(self):
        """A pair that has met; from then on no network joins them."""
        self.base = scratch()
        self.a = Node(self.base, "a").start()
        self.b = Node(self.base, "b").start()
        join(self.a, self.b)
        self.b.json("sync")
        self.b.stop()
        # Elsewhere: nobody finds the other again.
        self.b.port = 0
        self.a.stop()
        self.a.port = 0
        self.a.start()
        self.b.start()

    def tearDown(self):
        self.a.stop()
        self.b.stop()

    def path(self, name):
        return os.path.join(self.base, name)

    def carry(self, source, target, since=None, name="bundle"):
        flags = ["--since", since] if since else []
        made = source.json("bundle", "create", self.path(name), *flags)
        taken = target.json("bundle", "apply", self.path(name))
        self.assertEqual(made["upto"], taken["upto"])
        os.unlink(self.path(name))
        return made, taken

    def fill(self, node, first, count):
        path = write_lines(self.path("in.jsonl"), [conversation(i) for i in range(first,
                                                                                  first + count)])
        self.assertEqual(0, node.json("import", path)["bad"])

    def test_both_ways_by_file_gives_one_root(self):
        self.fill(self.a, 0, 300)
        self.fill(self.b, 200, 300)
        self.a.json("append", "talk", "--role", "user", "from a", "--id", "m")
        self.b.json("append", "talk", "--role", "user", "from b", "--id", "m")
        self.b.json("append", "gone", "--role", "user", "x", "--id", "m")
        self.b.json("delete", "gone")
        self.b.json("append", "erased", "--role", "user", "x")
        self.b.json("purge", "erased", "--reason", "asked")
        made, taken = self.carry(self.a, self.b)
        self.assertEqual((0, 0), (taken["refused"], taken["passed_over"]))
        self.carry(self.b, self.a)
        self.assertEqual(self.a.root(), self.b.root())
        self.assertEqual(self.a.export(), self.b.export())
        self.assertTrue(self.a.json("check")["ok"])
        self.assertTrue(self.b.json("check")["ok"])
        # Again: nothing is new, nothing is written.
        head = self.b.status()["head"]
        _, again = self.carry(self.a, self.b)
        self.assertEqual(0, again["versions_new"])
        self.assertEqual(head, self.b.status()["head"])

    def test_the_next_one_is_small(self):
        self.fill(self.a, 0, 400)
        made, _ = self.carry(self.a, self.b)
        self.a.json("append", "new", "--role", "user", "hello", "--id", "m")
        second, taken = self.carry(self.a, self.b, since=made["upto"])
        self.assertLess(second["bytes"], 2000)
        self.assertEqual((1, 1), (taken["versions"], taken["versions_new"]))
        self.assertEqual(self.a.root(), self.b.root())

    def test_since_a_peer_is_what_it_has_acknowledged(self):
        made, _ = self.carry(self.a, self.b, since=self.b.identity())
        whole, _ = self.carry(self.a, self.b)
        self.assertLessEqual(made["bytes"], whole["bytes"])

    def test_large_messages_and_many_blocks(self):
        for number in range(3):
            self.a.json("append", "large", "--role", "user", "-", "--id", f"m{number}",
                        stdin=f"{number}" + "x" * (900 << 10))
        made, taken = self.carry(self.a, self.b)
        self.assertGreater(made["blocks"], 2)
        self.assertEqual(self.a.root(), self.b.root())

    # ---- What is refused ----

    def refused(self, data, code):
        root = self.b.root()
        with open(self.path("bad"), "wb") as file:
            file.write(data)
        done = self.b.cli("--json", "bundle", "apply", self.path("bad"))
        self.assertNotEqual(0, done.code, done)
        self.assertEqual(code, done.error["code"], done)
        self.assertEqual(root, self.b.root())

    def test_through_a_pipe(self):
        self.fill(self.a, 0, 300)
        made = self.a.cli("bundle", "create", "-")
        self.assertIn("signed, not encrypted", made.err)
        data = made.out.encode("utf-8", "surrogateescape")
        self.assertEqual(64, self.a.cli("--json", "bundle", "create", "-").code)
        cut = self.b.cli("--json", "bundle", "apply", "-", stdin=data[:-1])
        self.assertEqual((65, "bad-bundle"), (cut.code, cut.error["code"]))
        self.assertIn("stdin", cut.error["detail"])
        self.b.json("bundle", "apply", "-", stdin=data)
        self.assertEqual(self.a.root(), self.b.root())

    def bundle(self):
        self.a.json("append", "talk", "--role", "user", "hello", "--id", "m")
        self.a.json("bundle", "create", self.path("good"))
        with open(self.path("good"), "rb") as file:
            return file.read()

    def test_a_changed_byte_anywhere_is_refused(self):
        data = self.bundle()
        _, end, _ = blocks(data)[0]
        for at in random.Random(3).sample(range(24, len(data)), 30):
            if at in (end, end + 1):
                continue  # the length of the signature
            bad = bytearray(data)
            bad[at] ^= 1 << random.Random(at).randrange(8)
            with open(self.path("bad"), "wb") as file:
                file.write(bad)
            done = self.b.cli("--json", "bundle", "apply", self.path("bad"))
            self.assertIn(done.error["code"], ("bad-signature", "bad-bundle", "unknown-maker"),
                          (at, done))
        self.assertEqual(404, self.b.http("GET", "/conversations/talk")[0])

    def test_a_file_that_is_cut_says_so(self):
        data = self.bundle()
        for cut in (0, 3, 100, len(data) - 1):
            self.refused(data[:cut], "bad-bundle")
        self.refused(b"no bundle at all, but long enough to be one", "bad-bundle")

    def test_only_an_active_peer_is_believed(self):
        data = self.bundle()
        stranger = Node(self.base, "c").start()
        try:
            stranger.json("append", "talk", "--role", "user", "I am nobody")
            stranger.json("bundle", "create", self.path("strange"))
            with open(self.path("strange"), "rb") as file:
                self.refused(file.read(), "unknown-maker")
        finally:
            stranger.stop()
        own = self.a.cli("--json", "bundle", "apply", self.path("good"))
        self.assertEqual("own-bundle", own.error["code"])
        self.b.json("revoke", self.a.identity())
        self.refused(data, "unknown-maker")

    def test_a_peer_that_may_only_read_writes_nothing(self):
        self.b.json("approve", self.a.identity(), "--right", "read")
        self.bundle()
        taken = self.b.json("bundle", "apply", self.path("good"))
        self.assertEqual((0, taken["versions"]), (taken["versions_new"], taken["refused"]))
        self.assertEqual(404, self.b.http("GET", "/conversations/talk")[0])

    def test_a_place_of_another_log_is_refused(self):
        for place, code in (("00000000:1", "another-incarnation"), ("1:2", "bad-query"),
                            ("0123456789", "no-such-peer")):
            done = self.a.cli("--json", "bundle", "create", self.path("x"), "--since", place)
            self.assertEqual(code, done.error["code"], done)
            self.assertFalse(os.path.exists(self.path("x")))


if __name__ == "__main__":
    unittest.main()
