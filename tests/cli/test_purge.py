# SPDX-License-Identifier: Apache-2.0
"""A conversation is erased on two nodes by one command, with its history and deletions, also on one
that was away and wrote to it; each audit log says who did it and why.
And how much history is kept."""
import unittest

from nodes import PairCase, until

SECRET = "SECRET-OF-A-PERSON"


class Purge(PairCase):
    def setUp(self):
        super().setUp()
        self.local.json("append", "talk", "--role", "user", SECRET + " one", "--id", "m1")
        self.local.json("edit", "talk", "m1", SECRET + " two")
        self.local.json("append", "talk", "--role", "user", SECRET + " three", "--id", "m2")
        self.local.json("delete", "talk", "m2")
        self.local.json("append", "other", "--role", "user", "stays", "--id", "m1")
        self.sync()

    def assert_purged(self, node):
        self.assertNotEqual(0, node.cli("show", "talk").code)
        versions = node.json("history", "talk")["versions"]
        self.assertEqual([True], [v.get("purged") for v in versions], versions)
        self.assertEqual("request 77", versions[0]["reason"])
        self.assertEqual([], node.json("conflicts", "--all")["conflicts"])
        self.assertEqual([], node.json("trash")["trash"])
        text = b"".join(node.export()).decode()
        self.assertNotIn(SECRET, text)
        self.assertIn("stays", text)
        self.assertTrue(node.json("check")["ok"])
        lines = [line.split() for line in node.cli("audit").out.splitlines()
                 if "conversation_purged" in line]
        self.assertEqual(1, len(lines), lines)
        at = lines[0].index("conversation_purged")
        self.assertEqual(["talk", "request", "77"], lines[0][at + 2:at + 5])
        return lines[0][at + 1]

    def test_a_purge_erases_everywhere_and_is_in_each_audit_log(self):
        done = self.local.json("purge", "talk", "--reason", "request 77")
        self.assertEqual("purged", done["status"])
        self.assertEqual(4, done["versions_erased"])
        self.sync()
        self.assertEqual("operator", self.assert_purged(self.local))
        self.assertEqual(self.local.identity(), self.assert_purged(self.hosted))
        for node in (self.local, self.hosted):
            node.stop()
            node.start()
        self.assertEqual("operator", self.assert_purged(self.local))
        # What is said afterwards is said.
        self.hosted.json("append", "talk", "--role", "user", "anew")
        self.sync()
        self.assertEqual(["anew"], [m["content"]
                                    for m in self.local.json("show", "talk")["messages"]])

    def test_a_node_that_was_away_brings_nothing_back(self):
        self.hosted.stop()
        self.hosted.json("append", "talk", "--role", "user", SECRET + " away", "--id", "m3")
        self.local.json("purge", "talk", "--reason", "request 77")
        self.hosted.start()
        self.sync()
        for node in (self.local, self.hosted):
            self.assert_purged(node)

    def test_history_is_kept_as_the_operator_says(self):
        self.assertEqual({"namespace": "main", "versions": 16, "max_age_days": 0},
                         self.local.json("retention"))
        for i in range(6):
            self.local.json("edit", "other", "m1", f"text {i}")
        self.assertEqual(7, len(self.local.json("history", "other", "m1")["versions"]))
        self.assertIn("2 overwritten versions",
                      self.local.cli("retention", "--versions", "2").out)
        until(lambda: len(self.local.json("history", "other", "m1")["versions"]) == 3,
              what="the pass over the history")
        self.local.json("retention", "--days", "30")
        self.local.stop()
        self.local.start()
        self.assertEqual({"namespace": "main", "versions": 2, "max_age_days": 30},
                         self.local.json("retention"))
        result = self.local.cli("--json", "retention", "--versions", "65")
        self.assertIn("from 0 to 64", result.error["detail"])

    def test_a_purge_wants_a_reason_and_a_conversation(self):
        result = self.local.cli("purge", "talk")
        self.assertEqual(64, result.code)
        self.assertIn("--reason is missing", result.err)
        result = self.local.cli("--json", "purge", "nobody", "--reason", "x")
        self.assertEqual((1, "no-such-conversation"), (result.code, result.error["code"]))
        result = self.local.cli("--json", "purge", "talk", "--reason", "x" * 257)
        self.assertIn("256", result.error["detail"])
        self.assertEqual(1, len(self.local.json("show", "talk")["messages"]))
        self.assertEqual(403, self.local.http("POST", "/conversations/talk/purge", {"reason": "x"},
                                              token=self.local.json("token", "create", "--user",
                                                                    "u")["token"])[0])


if __name__ == "__main__":
    unittest.main()
