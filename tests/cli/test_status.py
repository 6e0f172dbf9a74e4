# SPDX-License-Identifier: Apache-2.0
"""The state of sync as an operator and a monitoring program see it, of two real nodes."""
import datetime
import re
import unittest

from nodes import PairCase, until

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? (-?[0-9.]+)$')


class Status(PairCase):
    def setUp(self):
        super().setUp()
        self.local.json("append", "talk", "--role", "user", "hello", "--id", "m1")
        self.local.json("sync")
        self.hosted.json("sync")

    def peer(self, node):
        return node.status()["peers"][0]

    def metrics(self, node):
        """Every sample by its name and labels."""
        status, text = node.http("GET", "/metrics")
        self.assertEqual(200, status)
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                match = SAMPLE.match(line)
                self.assertIsNotNone(match, line)
                found[match.group(1) + (match.group(2) or "")] = float(match.group(3))
        return found

    def test_a_namespace_in_sync_shows_versions_on_both_sides(self):
        for node in (self.local, self.hosted):
            space = self.peer(node)["namespaces"][0]
            self.assertEqual(("main", "write", "in sync", True, 1, 1),
                             (space["name"], space["right"], space["state"], space["root_equal"],
                              space["versions"], space["versions_there"]))
            self.assertTrue(space["since"])
        peer = self.peer(self.local)
        self.assertEqual(1, peer["versions_out"])
        self.assertLess(0, peer["bytes_in"])
        self.assertLess(0, peer["bytes_out"])
        self.assertLess(abs(peer["skew_us"]), 60e6)
        self.assertEqual(peer["sending"]["done"], peer["sending"]["of"])
        text = self.local.cli("status").out
        for word in ("VERSIONS THERE", "in sync", "main", "CLOCK"):
            self.assertIn(word, text)

    def test_an_offline_peer_says_why_and_when_next(self):
        self.hosted.stop()
        peer = until(lambda: self.peer(self.local)["state"] == "offline" and
                     self.peer(self.local), what="the end of the session")
        self.assertTrue(peer["note"])
        self.assertIn("next_dial_at", peer)
        self.assertEqual("offline", peer["namespaces"][0]["state"])
        self.assertEqual(1, self.local.http("GET", "/health", token=None)[1]["sync"]["offline"])

    def test_what_waits_for_an_offline_peer_is_counted_while_it_is_away(self):
        self.hosted.stop()
        until(lambda: self.peer(self.local)["state"] == "offline", what="the end of the session")
        self.assertEqual(0, self.peer(self.local)["behind"])
        for number in range(3):
            self.local.json("append", "c", "--role", "user", f"text {number}")
        peer = self.peer(self.local)
        self.assertEqual(3, peer["behind"])
        self.assertEqual(3, peer["sending"]["of"] - peer["sending"]["done"])
        listed = self.local.http("GET", "/peers")[1]["peers"][0]
        self.assertEqual(3, listed["sync"]["behind"])
        name = f'parley_peer_unsent_changes{{peer="{self.hosted.identity()}"}}'
        self.assertEqual(3, self.metrics(self.local)[name])
        self.hosted.start()
        self.sync()
        self.assertEqual(0, self.peer(self.local)["behind"])
        self.local.json("revoke", self.hosted.identity())
        self.local.json("append", "c", "--role", "user", "nobody waits for this one")
        self.assertEqual(0, self.peer(self.local)["behind"])

    def test_diff_tells_what_would_move_and_moves_nothing(self):
        peer = self.hosted.identity()
        answer = self.local.json("diff", peer)
        self.assertEqual(("equal", True, 0), (answer["basis"], answer["exact"],
                                              answer["outgoing"]["versions"]))
        self.assertIn("nothing would move", self.local.cli("diff", peer).out)
        self.hosted.stop()
        for number in range(5):
            self.local.json("append", f"t{number % 2}", "--role", "user", "x" * 100)
        answer = self.local.json("diff", peer)
        self.assertEqual(("logs", False, 5, 2),
                         (answer["basis"], answer["exact"], answer["outgoing"]["versions"],
                          answer["outgoing"]["conversations"]))
        self.assertLess(500, answer["outgoing"]["bytes"])
        self.assertIn("at most 5 versions in 2 conversations", self.local.cli("diff", peer).out)
        self.hosted.start()
        self.local.json("sync")
        self.assertEqual(self.local.root(), self.hosted.root())
        self.assertEqual("equal", self.local.json("diff", peer)["basis"])
        self.local.stop()
        self.assertEqual(69, self.local.cli("diff", peer).code)

    def test_diff_compares_with_a_connected_peer_from_either_side(self):
        for node, other in ((self.local, self.hosted), (self.hosted, self.local)):
            path = f"/peers/{other.identity()}/diff"
            self.assertEqual(202, node.http("POST", path)[0])
            answer = until(lambda: (lambda a: "compared" in a and a)(node.http("GET", path)[1]),
                           what="a comparison")
            self.assertEqual(
                ({"versions": 0, "bytes": 0}, {"versions": 0, "bytes": 0}, 0, True),
                tuple(answer["compared"][name] for name in ("outgoing", "incoming", "conflicts",
                                                            "conflicts_all")))
            self.assertFalse(answer["comparing"])

    def test_metrics_say_the_same_as_status(self):
        found = self.metrics(self.local)
        peer = self.hosted.identity()
        self.assertEqual(1, found[f'parley_peer_in_sync{{peer="{peer}"}}'])
        self.assertEqual(1, found[f'parley_peer_state{{peer="{peer}",state="in sync"}}'])
        self.assertEqual(1, found[f'parley_peer_namespace_in_sync{{peer="{peer}",'
                                  'namespace="main"}'])
        self.assertEqual(1, found['parley_namespace_messages{namespace="main"}'])
        self.assertLess(0, found[f'parley_peer_sent_bytes_total{{peer="{peer}"}}'])
        self.assertEqual(401, self.local.http("GET", "/metrics", token=None)[0])

    def test_versions_from_the_future_are_shown_with_who_sent_them(self):
        ahead = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
        item = {"conversation_id": "later", "updated_at": ahead.isoformat(),
                "messages": [{"message_id": "m", "role": "user", "content": "x",
                              "timestamp": ahead.isoformat()}]}
        answer = self.hosted.http("POST", "/sync",
                                  {"source_backend_id": self.local.identity(),
                                   "conversations": [item]})
        self.assertEqual(200, answer[0])
        status = self.hosted.status()
        self.assertEqual((1, 1), (status["held"], status["peers"][0]["held"]))
        self.assertLess(status["peers"][0]["held_until"], ahead.isoformat())
        text = self.hosted.cli("status").out
        self.assertIn(f"1 versions of {self.local.identity()} are stamped more than 5 minutes",
                      text)
        self.assertIn("Set the clock", text)
        peer = self.local.identity()
        found = self.metrics(self.hosted)
        self.assertEqual(1, found[f'parley_peer_held_versions{{peer="{peer}"}}'])


if __name__ == "__main__":
    unittest.main()
