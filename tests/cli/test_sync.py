# SPDX-License-Identifier: Apache-2.0
"""Two nodes: invite, join, sync, edits on both sides at once, kill -9, restart, revocation."""
import os
import unittest

from nodes import Node, PairCase, conversation, join, until, write_lines


class Sync(PairCase):
    def fill(self, node, count=60):
        path = write_lines(os.path.join(self.base, "in.jsonl"),
                           [conversation(i) for i in range(count)])
        return node.json("import", path)

    def test_joining_registers_both_sides(self):
        for one, other in ((self.local, self.hosted), (self.hosted, self.local)):
            peers = until(lambda node=one: [p for p in node.json("peers")["peers"]
                                            if p["state"] == "active"], what="the registration")
            self.assertEqual([other.identity()], [p["backend_id"] for p in peers])

    def test_an_invite_is_good_once_and_a_forged_one_never(self):
        third = Node(self.base, "third").start()
        fourth = Node(self.base, "fourth").start()
        url = self.hosted.invite()
        answer = third.json("join", url)
        self.assertEqual(self.hosted.identity(), answer["backend_id"])
        self.assertRegex(answer["check"], r"^\d{6}$")
        again = fourth.cli("--json", "join", url)
        self.assertEqual((1, "join-failed"), (again.code, again.error["code"]))
        forged = self.hosted.invite()
        secret = forged.split("&s=")[1].split("&")[0]
        forged = forged.replace(secret, "A" * len(secret))
        self.assertEqual(1, fourth.cli("--json", "join", forged).code)
        self.assertEqual([], [p for p in fourth.json("peers")["peers"] if p["state"] == "active"])
        third.stop()
        fourth.stop()

    def test_an_invite_that_was_withdrawn_lets_nobody_in(self):
        third = Node(self.base, "third").start()
        made = self.hosted.json("invite")
        kept = self.hosted.json("invite")
        listed = {one["id"]: one["state"] for one in self.hosted.json("invite", "list")["invites"]}
        self.assertEqual(["open", "open", "used"], sorted(listed.values()))
        self.assertIn(made["id"][:8], self.hosted.cli("invite", "list").out)
        self.assertEqual(64, self.hosted.cli("invite", "withdraw").code)
        self.assertEqual(64, self.hosted.cli("invite", "list", "--ttl", "5m").code)
        self.assertEqual(1, self.hosted.cli("invite", "withdraw", "none").code)
        self.assertIn("is withdrawn", self.hosted.cli("invite", "withdraw", made["id"][:8]).out)
        self.assertEqual(1, third.cli("--json", "join", made["url"]).code)
        self.hosted.stop()
        left = [one["id"] for one in self.hosted.json("invite", "list")["invites"]]
        self.assertIn(kept["id"], left)
        self.assertNotIn(made["id"], left)
        self.hosted.start()
        self.assertEqual(1, third.cli("--json", "join", made["url"]).code)
        third.stop()

    def test_an_import_on_one_side_arrives_on_the_other_byte_for_byte(self):
        self.fill(self.local)
        self.sync()
        self.assertEqual(60, self.hosted.root()[2])
        self.assertEqual(self.local.export(), self.hosted.export())
        status = self.local.status()["peers"][0]
        self.assertEqual(("in sync", True, True, 0), (status["state"], status["in_sync"],
                                                      status["root_equal"], status["behind"]))
        self.assertTrue(status["last_sync_at"])

    def test_a_node_that_does_not_pack_gets_the_same_in_more_bytes(self):
        plain = Node(self.base, "plain", "--no-zstd").start()
        join(self.hosted, plain)
        plain.json("sync")
        self.fill(self.hosted, 400)
        taken = []
        for node in (self.local, plain):
            node.json("sync")
            self.assertEqual(self.hosted.export(), node.export())
            taken.append(node.json("peers")["peers"][0]["sync"]["bytes_in"])
        self.assertLess(taken[0], taken[1])
        plain.stop()

    def test_writes_on_both_sides_at_once_all_survive(self):
        self.fill(self.local)
        self.sync()
        self.hosted.stop()
        self.local.json("append", "conv-00001", "--role", "user", "from local")
        self.local.json("edit", "conv-00002", "m000", "edited by local")
        self.local.json("delete", "conv-00003")
        self.hosted.json("append", "conv-00001", "--role", "user", "from hosted")
        self.hosted.json("edit", "conv-00002", "m000", "edited by hosted")
        self.hosted.json("append", "new", "--role", "user", "only here")
        self.hosted.start()
        self.sync()
        self.assertEqual(self.local.export(), self.hosted.export())
        contents = [m["content"] for m in self.local.json("show", "conv-00001")["messages"]]
        self.assertIn("from local", contents)
        self.assertIn("from hosted", contents)
        # The later edit won, and the other one is still there to be read, on both nodes.
        for node in (self.local, self.hosted):
            self.assertEqual("edited by hosted",
                             node.json("show", "conv-00002")["messages"][0]["content"])
            history = node.json("history", "conv-00002", "m000")["versions"]
            self.assertIn("edited by local", [v.get("content") for v in history])
            self.assertEqual(1, node.cli("show", "conv-00003").code)

    def test_a_kill_changes_neither_identity_nor_registration_nor_data(self):
        self.fill(self.local)
        self.sync()
        before = [(n.identity(), n.root(), [p["backend_id"] for p in n.json("peers")["peers"]],
                   n.status()["incarnation"]) for n in (self.local, self.hosted)]
        self.local.kill()
        self.hosted.kill()
        self.hosted.start()
        self.local.start()
        after = [(n.identity(), n.root(), [p["backend_id"] for p in n.json("peers")["peers"]],
                  n.status()["incarnation"]) for n in (self.local, self.hosted)]
        self.assertEqual(before, after)
        self.local.json("append", "conv-00001", "--role", "user", "after the kill")
        self.sync()
        self.assertEqual("after the kill",
                         self.hosted.json("show", "conv-00001")["messages"][-1]["content"])

    def test_a_change_is_pushed_without_being_asked_for(self):
        self.sync()
        self.local.json("append", "live", "--role", "user", "now")
        until(lambda: self.hosted.cli("show", "live").code == 0, what="the push")

    def test_a_revoked_peer_gets_nothing_more(self):
        self.sync()
        self.hosted.json("revoke", self.local.identity())
        self.hosted.json("append", "secret", "--role", "user", "not for local")
        result = self.local.cli("--json", "sync", "--timeout", "3s")
        self.assertEqual((75, "not-in-sync"), (result.code, result.error["code"]))
        self.assertIn(self.hosted.identity(), result.error["detail"])
        self.assertEqual(1, self.local.cli("show", "secret").code)
        self.assertEqual("revoked", self.hosted.json("peers")["peers"][0]["state"])

    def test_a_peer_that_is_down_is_named_when_the_time_is_up(self):
        self.hosted.stop()
        result = self.local.cli("--json", "sync", "--timeout", "2s")
        self.assertEqual((75, "not-in-sync"), (result.code, result.error["code"]))
        self.assertIn("offline", result.error["detail"])

    def test_peers_are_named_by_any_unique_beginning(self):
        identity = self.hosted.identity()
        for name in (identity, identity[:16], identity.split("_")[-1][:8]):
            self.assertTrue(self.local.json("sync", name)["in_sync"])

    def test_a_namespace_that_was_not_granted_stays_at_home(self):
        self.local.json("append", "private", "--role", "user", "x", "--namespace", "mine")
        self.local.json("append", "shared", "--role", "user", "x")
        self.sync()
        names = {n["name"] for n in self.hosted.status()["namespaces"]}
        self.assertNotIn("mine", names)

    def test_a_read_only_invite_gives_no_right_to_write(self):
        reader = Node(self.base, "reader").start()
        self.hosted.json("append", "c", "--role", "user", "to read", "--namespace", "news")
        join(self.hosted, reader, "--namespace", "news", "--read-only")
        until(lambda: reader.cli("show", "c", "--namespace", "news").code == 0, what="the sync")
        before = self.hosted.root("news")
        reader.json("append", "c", "--role", "user", "may not", "--namespace", "news")
        reader.cli("sync", "--timeout", "2s")
        self.assertEqual(before, self.hosted.root("news"))
        self.expect_refused(reader.identity())
        self.hosted.json("approve", reader.identity(), "--namespace", "news", "--right", "write")
        reader.stop()
        reader.start()
        until(lambda: self.hosted.root("news") == reader.root("news"), what="the write")
        reader.stop()

    def expect_refused(self, identity):
        """The operator sees that writes were refused, of whom, and what to do."""
        def count(peers):
            return {p["backend_id"]: p for p in peers}[identity]
        self.assertLess(0, count(self.hosted.json("peers")["peers"])["sync"]["writes_refused"])
        self.assertLess(0, count(self.hosted.status()["peers"])["writes_refused"])
        for command in ("peers", "status"):
            text = self.hosted.cli(command).out
            self.assertRegex(text, rf"\d+ writes of {identity} were refused")
            self.assertIn(f"parley approve {identity} --namespace NS --right write", text)
            self.assertEqual(1, text.count("were refused"))


if __name__ == "__main__":
    unittest.main()
