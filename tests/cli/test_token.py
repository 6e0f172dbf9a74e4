# SPDX-License-Identifier: Apache-2.0
"""Session tokens as an operator issues, lists and revokes them, with and without the daemon."""
import os
import shutil
import unittest

from nodes import Node, pair, scratch


class Token(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a").start()

    def tearDown(self):
        if self.node.process.poll() is None:
            self.node.stop()

    def use(self, token):
        status, answer = self.node.http("GET", "/conversations", token=token)
        return status, answer.get("code")

    def test_a_token_outlives_a_restart_and_is_refused_once_revoked(self):
        node = self.node
        made = node.cli("token", "create", "--user", "ann", "--ttl", "1h")
        self.assertEqual(0, made.code, made)
        token = made.out.strip()
        self.assertEqual(2, token.count("."))
        self.assertIn("of user ann", made.err)
        self.assertNotIn(token, made.err)
        self.assertEqual((200, None), self.use(token))
        node.stop()
        node.start()
        self.assertEqual((200, None), self.use(token))
        listed = node.json("token", "list")["tokens"]
        self.assertEqual([("ann", "active")], [(t["user_id"], t["state"]) for t in listed])
        revoked = node.json("token", "revoke", listed[0]["sbt_id"])
        self.assertEqual("revoked", revoked["status"])
        self.assertEqual((401, "token-revoked"), self.use(token))
        node.kill()
        node.start()
        self.assertEqual((401, "token-revoked"), self.use(token))
        self.assertEqual("revoked", node.json("token", "list")["tokens"][0]["state"])
        self.assertNotIn(token, node.log_text())

    def test_a_token_stays_revoked_when_an_older_store_is_put_back(self):
        node = self.node
        store = os.path.join(node.data, "store")
        older = os.path.join(self.base, "older")
        tokens = [node.json("token", "create", "--user", "ann")]
        node.stop()
        shutil.copytree(store, older)
        node.start()
        tokens.append(node.json("token", "create", "--user", "bob"))
        good = node.json("token", "create", "--user", "eve")
        for token in tokens:
            node.json("token", "revoke", token["sbt_id"])
        node.stop()
        shutil.rmtree(store)
        shutil.copytree(older, store)
        node.start()
        for token in tokens:
            self.assertEqual((401, "token-revoked"), self.use(token["token"]))
        self.assertEqual((200, None), self.use(good["token"]))
        self.assertEqual({"revoked"}, {t["state"] for t in node.json("token", "list")["tokens"]})

    def test_tokens_are_issued_and_revoked_without_the_daemon(self):
        node = self.node
        node.stop()
        first = node.json("token", "create", "--user", "ann", "--session", "desk")
        second = node.json("token", "create", "--user", "bob")
        self.assertEqual("desk", first["session_id"])
        node.json("token", "revoke", first["sbt_id"])
        text = node.cli("token", "list")
        self.assertIn(first["sbt_id"], text.out)
        self.assertNotIn(first["token"], text.out)
        node.start()
        self.assertEqual((401, "token-revoked"), self.use(first["token"]))
        self.assertEqual((200, None), self.use(second["token"]))

    def test_a_token_is_no_operators_token(self):
        token = self.node.json("token", "create", "--user", "ann")["token"]
        for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/x")):
            body = {"user_id": "eve"} if method == "POST" else None
            status, answer = self.node.http(method, path, body, token=token)
            self.assertEqual((403, "operator-only"), (status, answer["code"]), method)

    def test_a_wrong_line_says_what_is_wrong(self):
        cases = [(["token"], 64, "usage"), (["token", "fly"], 64, "usage"),
                 (["token", "create"], 64, "usage"),
                 (["token", "list", "--user", "u"], 64, "usage"),
                 (["token", "revoke"], 64, "usage"), (["list", "--user", "u"], 64, "usage"),
                 (["token", "create", "--user", "u", "--ttl", "31d"], 64, "usage"),
                 (["token", "create", "--user", "u", "--peer", "no"], 1, "no-such-peer"),
                 (["token", "create", "--user", "u" * 256], 65, "too-long"),
                 (["token", "create", "--user", "a\nb"], 65, "bad-id"),
                 (["token", "revoke", "x", "--issuer", "nobody"], 1, "no-such-peer")]
        for command, code, name in cases:
            result = self.node.cli("--json", *command)
            self.assertEqual((code, name), (result.code, result.error["code"]), command)

    def test_help_has_a_line_for_each_verb(self):
        text = self.node.cli("help", "token").out
        for verb in ("token create --user", "token list", "token revoke ID"):
            self.assertIn(verb, text)


class Peer(unittest.TestCase):
    def test_a_token_for_a_peer_names_both_and_the_peer_can_refuse_it(self):
        local, hosted = pair(scratch())
        made = local.json("token", "create", "--user", "ann", "--peer", hosted.identity())
        self.assertEqual((local.identity(), hosted.identity()),
                         (made["local_backend_id"], made["hosted_backend_id"]))
        for node in (local, hosted):
            self.assertEqual(200, node.http("GET", "/conversations", token=made["token"])[0])
        hosted.json("token", "revoke", made["sbt_id"], "--issuer", local.identity())
        status, answer = hosted.http("GET", "/conversations", token=made["token"])
        self.assertEqual((401, "token-revoked"), (status, answer["code"]))
        local.stop()
        hosted.stop()


if __name__ == "__main__":
    unittest.main()
