# SPDX-License-Identifier: Apache-2.0
"""Two nodes that edit the same things while apart: what lost is listed on both, and one command
brings it back everywhere."""
import unittest

from nodes import Node, PairCase, scratch


class Conflicts(PairCase):
    def setUp(self):
        super().setUp()
        self.local.json("append", "talk", "--role", "user", "as it was", "--id", "m1")
        self.local.json("append", "talk", "--role", "user", "untouched", "--id", "m2")
        self.sync()

    def edit_apart(self):
        self.hosted.stop()
        self.local.json("edit", "talk", "m1", "by local")
        self.hosted.json("edit", "talk", "m1", "by hosted")
        self.hosted.start()
        self.sync()

    def conflicts(self, node, *flags):
        return node.json("conflicts", *flags)["conflicts"]

    def content(self, node, message="m1"):
        return {m["message_id"]: m["content"]
                for m in node.json("show", "talk")["messages"]}.get(message)

    def test_both_nodes_show_the_same_winner_and_the_same_loser(self):
        self.edit_apart()
        found = self.conflicts(self.local)
        self.assertEqual(found, self.conflicts(self.hosted))
        self.assertEqual(1, len(found))
        self.assertEqual(("main", "talk", "m1"), (found[0]["namespace"],
                                                  found[0]["conversation_id"],
                                                  found[0]["message_id"]))
        self.assertEqual(("by hosted", self.hosted.identity()),
                         (found[0]["winner"]["content"], found[0]["winner"]["source_backend"]))
        self.assertEqual([("by local", self.local.identity())],
                         [(v["content"], v["source_backend"]) for v in found[0]["losers"]])
        self.assertEqual([], self.conflicts(self.local, "--namespace", "other"))
        text = self.local.cli("conflicts", "talk").out
        for word in ("by hosted", "by local", "lost", found[0]["losers"][0]["version"]):
            self.assertIn(word, text)

    def test_a_promoted_loser_is_current_everywhere(self):
        self.edit_apart()
        version = self.conflicts(self.local)[0]["losers"][0]["version"]
        self.hosted.json("promote", "talk", "m1", version[:8])
        self.sync()
        for node in (self.local, self.hosted):
            self.assertEqual("by local", self.content(node))
            self.assertEqual([], self.conflicts(node))
            self.assertLess(1, len(self.conflicts(node, "--all")[0]["losers"]))
        self.assertEqual(self.local.export(), self.hosted.export())

    def test_a_deletion_is_undone(self):
        self.hosted.json("delete", "talk", "m1")
        self.sync()
        self.assertIsNone(self.content(self.local))
        versions = self.local.json("history", "talk", "m1")["versions"]
        said = [v["version"] for v in versions if v.get("content") == "as it was"]
        self.local.json("promote", "talk", "m1", said[0])
        self.sync()
        for node in (self.local, self.hosted):
            self.assertEqual("as it was", self.content(node))
            self.assertEqual(["m1", "m2"], [m["message_id"]
                                            for m in node.json("show", "talk")["messages"]])

    def test_an_ordinary_edit_of_another_nodes_message_is_no_conflict(self):
        self.hosted.json("edit", "talk", "m1", "corrected")
        self.sync()
        for node in (self.local, self.hosted):
            self.assertEqual([], self.conflicts(node))
            self.assertEqual(1, len(self.conflicts(node, "--all")))

    def test_it_works_without_the_daemon(self):
        self.edit_apart()
        want = self.conflicts(self.local)
        self.local.stop()
        self.assertEqual(want, self.conflicts(self.local))
        self.local.json("promote", "talk", "m1", want[0]["losers"][0]["version"])
        self.assertEqual("by local", self.content(self.local))

    def test_what_is_not_there_is_named(self):
        for arguments, code in ((("talk", "m1", "00000000"), "no-such-version"),
                                (("none", "m1", "00000000"), "no-such-conversation"),
                                (("talk", "title", "00000000", "--field"), "no-such-version")):
            result = self.local.cli("--json", "promote", *arguments)
            self.assertEqual((1, code), (result.code, result.error["code"]))


class Pages(unittest.TestCase):
    def test_a_limit_says_that_there_is_more(self):
        node = Node(scratch(), "one")
        node.start()
        for number in range(3):
            node.json("append", f"t{number}", "--role", "user", "a", "--id", "m")
            node.json("edit", f"t{number}", "m", "b")
        some = node.json("conflicts", "--all", "--limit", "2")
        self.assertEqual((["t2", "t1"], True),
                         ([c["conversation_id"] for c in some["conflicts"]], some["more"]))
        every = node.json("conflicts", "--all")
        self.assertEqual((3, False), (len(every["conflicts"]), every["more"]))
        node.stop()


if __name__ == "__main__":
    unittest.main()
