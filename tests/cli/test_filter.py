# SPDX-License-Identifier: Apache-2.0
"""A small device joins a node with a filter: it holds what lies within, proves that by root, and a
wider filter brings the rest."""
import datetime
import os
import unittest

from nodes import Node, conversation, scratch, until, write_lines


def aged(number, prefix, days):
    """A conversation of `days` ago, whose id begins with `prefix`."""
    item = conversation(number)
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
    item["conversation_id"] = f"{prefix}{number:04d}"
    for index, message in enumerate(item["messages"]):
        when = begin + datetime.timedelta(seconds=index)
        message["timestamp"] = when.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    item["created_at"] = item["messages"][0]["timestamp"]
    item["updated_at"] = item["messages"][-1]["timestamp"]
    return item


class Filter(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.server = Node(self.base, "server", kind="hosted").start()
        self.device = Node(self.base, "device", kind="edge").start()
        items = []
        for number in range(30):
            items += [aged(number, "work/", 3), aged(number, "work/old-", 300),
                      aged(number, "home/", 3)]
        self.server.json("import", write_lines(os.path.join(self.base, "in.jsonl"), items))

    def tearDown(self):
        for node in (self.server, self.device):
            if node.process.poll() is None:
                node.stop()

    def ids(self, node):
        listed = node.json("list", "--limit", "1000")["conversations"]
        return sorted(item["conversation_id"] for item in listed)

    def shared(self, node):
        return node.status()["peers"][0]["namespaces"][0]

    def assert_proved(self, count):
        """Both say that they are in sync, over as many versions, by the same root."""
        self.device.json("sync")
        for node in (self.device, self.server):
            space = until(lambda n=node: [s for s in [self.shared(n)] if s["state"] == "in sync"],
                          what="equal roots")[0]
            self.assertEqual((True, count, count), (space["root_equal"], space["versions"],
                                                    space["versions_there"]))

    def test_a_device_with_a_prefix_gets_that_and_no_more_until_it_is_widened(self):
        self.device.json("join", self.server.invite(), "--prefix", "work/")
        versions = 60 * 7  # three messages, title, created_at, two of metadata
        self.assert_proved(versions)
        self.assertEqual([i for i in self.ids(self.server) if i.startswith("work/")],
                         self.ids(self.device))
        self.assertEqual("work/", self.shared(self.device)["prefix"])
        self.assertEqual("work/", self.shared(self.server)["prefix"])
        self.assertEqual("work/", self.device.json("peers")["peers"][0]["grants"][0]["prefix"])
        text = self.device.cli("status").out
        self.assertIn("work/*", text)
        self.assertIn("main work/*", self.device.cli("peers").out)
        # Both ways, what lies within goes on.
        self.server.json("append", "work/0001", "--role", "user", "to the device")
        self.server.json("append", "home/0001", "--role", "user", "not to the device")
        self.device.json("append", "work/0002", "--role", "user", "to the server")
        self.assert_proved(versions + 2)
        self.assertFalse([i for i in self.ids(self.device) if not i.startswith("work/")])
        peer = self.device.json("peers")["peers"][0]["backend_id"]
        self.device.json("approve", peer)
        until(lambda: self.ids(self.server) == self.ids(self.device), what="the rest")
        self.assert_proved(90 * 7 + 3)
        self.assertNotIn("prefix", self.shared(self.device))
        for node in (self.device, self.server):
            self.assertEqual(0, node.cli("check").code)
        self.assertEqual(self.server.export(), self.device.export())

    def test_a_device_with_an_age_gets_what_was_written_since(self):
        self.device.json("join", self.server.invite(), "--max-age", "30")
        self.assert_proved(60 * 7)
        self.assertEqual([i for i in self.ids(self.server) if "old" not in i],
                         self.ids(self.device))
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)
        self.assertEqual(since.strftime("%Y-%m-%d"),
                         self.shared(self.device)["versions_since"][:10])
        self.assertEqual(30, self.device.json("peers")["peers"][0]["grants"][0]["max_age_days"])
        # A new message in an old conversation comes, without what was there before.
        self.server.json("append", "work/old-0003", "--role", "user", "again")
        self.assert_proved(60 * 7 + 1)
        self.assertEqual(1, len(self.device.json("show", "work/old-0003")["messages"]))

    def test_what_the_server_grants_is_a_limit_also_for_http(self):
        self.device.json("join", self.server.invite("--prefix", "work/old-", "--max-age", "365"),
                         "--prefix", "work/")
        self.assert_proved(30 * 7)
        self.assertTrue(all(i.startswith("work/old-") for i in self.ids(self.device)))
        self.device.json("append", "home/1", "--role", "user", "not for the server")
        self.assert_proved(30 * 7)
        self.assertNotIn("home/1", self.ids(self.server))
        self.device.stop()
        self.device.start()
        self.assert_proved(30 * 7)

    def test_filters_that_exclude_each_other_say_so(self):
        self.device.json("join", self.server.invite("--prefix", "home/"), "--prefix", "work/")
        until(lambda: "exclude" in self.device.status()["peers"][0]["note"], what="the note")
        self.assertEqual([], self.ids(self.device))

    def test_bad_filters_are_refused(self):
        url = self.server.invite()
        for flags in (("--max-age", "0"), ("--max-age", "36501"), ("--max-age", "2w"),
                      ("--max-age", "")):
            self.assertEqual(64, self.device.cli("--json", "join", url, *flags).code)
        for body in ({"prefix": "a\nb"}, {"prefix": "x" * 256}, {"max_age_days": 0},
                     {"max_age_days": "3"}, {"max_age_days": -1}, {"prefix": 3}):
            status, answer = self.server.http("POST", "/invites", body)
            self.assertEqual(400, status, answer)
            status, answer = self.device.http("POST", "/joins", {"url": url, **body})
            self.assertEqual(400, status, answer)


if __name__ == "__main__":
    unittest.main()
