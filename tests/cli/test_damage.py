# SPDX-License-Identifier: Apache-2.0
"""A bit on the disk changes: the row is never served, the scrub finds it by itself, and health, log
and check say so."""
import os
import unittest

from nodes import Node, conversation, scratch, until, write_lines

WORD = b"a-word-that-occurs-once"


class Damage(unittest.TestCase):
    def test_a_flipped_bit_is_found_and_not_served(self):
        base = scratch()
        node = Node(base, "data")
        node.start()
        node.json("import", write_lines(os.path.join(base, "talks.jsonl"),
                                        [conversation(i) for i in range(20)]))
        node.json("append", "conv-00001", "--role", "user", "--id", "m-x", WORD.decode())
        passes = node.json("status")["store"]["scrub"]["passes"]
        until(lambda: node.json("status")["store"]["scrub"]["passes"] > passes,
              what="a whole pass over all that was written")
        self.assertEqual(0, node.json("status")["store"]["scrub"]["problems"])
        self.assertEqual(0, node.stop())
        path = os.path.join(node.data, "store", "data.mdb")
        with open(path, "r+b") as file:
            content = file.read()
            self.assertLessEqual(1, content.count(WORD)) # free pages may have it, too
            file.seek(0)
            file.write(content.replace(WORD, b"A" + WORD[1:]))
        node.start()
        until(lambda: node.http("GET", "/health", token=None)[1]["status"] == "degraded",
              what="the scrub")
        health = node.http("GET", "/health", token=None)[1]["store"]
        self.assertIn("parley check", health["note"])
        self.assertIn("store-damaged", node.log_text())
        scrub = node.json("status")["store"]["scrub"]
        self.assertRegex(scrub["first"], "^(REGISTER|LOG) ")
        self.assertIn("damaged rows", node.cli("status").out)
        shown = node.cli("show", "conv-00001")
        self.assertNotEqual(0, shown.code)
        self.assertNotIn("A-word", shown.out)
        self.assertEqual(3, len(node.json("show", "conv-00002")["messages"]))
        self.assertEqual(65, node.cli("check").code)
        self.assertEqual(0, node.stop())


if __name__ == "__main__":
    unittest.main()
