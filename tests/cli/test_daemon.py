# SPDX-License-Identifier: Apache-2.0
"""Start, stop, a second daemon, a key that differs; commands with and without the daemon."""
import json
import os
import re
import signal
import subprocess
import unittest

import nodes
from nodes import Node, conversation, scratch, write_lines


def make_key(path):
    """A PEM private key by openssl; None when there is no openssl."""
    try:
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    with open(path) as file:
        return file.read()


class Daemon(unittest.TestCase):
    def setUp(self):
        self.base = scratch()

    def test_one_line_says_it_is_ready_and_sigterm_ends_it_with_zero(self):
        node = Node(self.base, "a").start()
        self.assertRegex(node.line, r"^parleyd ready on 127\.0\.0\.1:\d+ as local_sha256_[0-9a-f]"
                                    r"{32} \(data .*\)$")
        self.assertEqual(0, node.stop())
        self.assertFalse(os.path.exists(os.path.join(node.data, "parleyd.run")))

    def test_a_second_daemon_on_the_same_directory_is_refused_and_the_first_lives(self):
        node = Node(self.base, "a").start()
        other = Node(self.base, "a")
        self.assertEqual("", other.spawn())
        self.assertEqual(75, other.wait())
        self.assertIn(str(node.process.pid), other.log_text())
        self.assertEqual("ok", node.http("GET", "/health", token=None)[1]["status"])
        self.assertEqual(0, node.stop())

    def test_an_identity_survives_kill_9_and_another_key_stops_the_start(self):
        node = Node(self.base, "a").start()
        first = node.identity()
        node.kill()
        node.start()
        self.assertEqual(first, node.identity())
        node.stop()
        key = make_key(os.path.join(self.base, "key.pem"))
        if key is None:
            self.skipTest("openssl is not there to make another key")
        environment = nodes.clean_environment()
        environment["BACKEND_PRIVATE_KEY"] = key
        self.assertEqual("", node.spawn(environment=environment))
        self.assertEqual(78, node.wait())
        self.assertIn(first, node.log_text())
        node.start()
        self.assertEqual(first, node.identity())
        node.stop()

    def test_a_key_of_the_environment_becomes_the_identity(self):
        key = make_key(os.path.join(self.base, "key.pem"))
        if key is None:
            self.skipTest("openssl is not there to make a key")
        environment = nodes.clean_environment()
        environment["BACKEND_PRIVATE_KEY"] = key
        ids = []
        for name in ("a", "b"):
            node = Node(self.base, name).start(environment=environment)
            ids.append(node.identity())
            node.stop()
        self.assertEqual(ids[0], ids[1])

    def test_health_is_open_and_status_is_not(self):
        node = Node(self.base, "a").start()
        self.assertEqual(200, node.http("GET", "/health", token=None)[0])
        self.assertEqual(200, node.http("GET", "/identity", token=None)[0])
        self.assertEqual(401, node.http("GET", "/status", token=None)[0])
        node.stop()


class Offline(unittest.TestCase):
    """Commands give the same answers through the daemon and straight from the store."""

    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a").start()
        self.file = write_lines(os.path.join(self.base, "in.jsonl"),
                                [conversation(i) for i in range(5)])

    def tearDown(self):
        if self.node.process.poll() is None:
            self.node.stop()

    def test_what_was_written_with_the_daemon_is_read_without_it_and_back(self):
        node = self.node
        node.json("import", self.file)
        with_daemon = (node.root(), node.export(), node.json("list"), node.identity())
        node.stop()
        self.assertEqual(with_daemon,
                         (node.root(), node.export(), node.json("list"), node.identity()))
        written = node.json("append", "conv-00001", "--role", "user", "off line")
        node.json("edit", "conv-00001", "m000", "changed off line")
        node.json("delete", "conv-00002", "m001")
        node.json("delete", "conv-00003")
        node.start()
        shown = node.json("show", "conv-00001")["messages"]
        self.assertEqual("off line", shown[-1]["content"])
        self.assertEqual(written["message_id"], shown[-1]["message_id"])
        self.assertEqual("changed off line", shown[0]["content"])
        self.assertEqual(2, len(node.json("show", "conv-00002")["messages"]))
        self.assertEqual(1, node.cli("show", "conv-00003").code)
        self.assertTrue(node.json("check")["ok"])

    def test_commands_that_need_the_network_say_how_to_start_the_daemon(self):
        self.node.stop()
        for command in (["invite"], ["join", "parley://x"], ["sync"]):
            result = self.node.cli("--json", *command)
            self.assertEqual(69, result.code, command)
            self.assertEqual("not-running", result.error["code"])
            self.assertIn("parleyd --data " + self.node.data, result.error["detail"])

    def test_a_command_does_not_make_a_store(self):
        other = Node(self.base, "missing")
        result = other.cli("--json", "status")
        self.assertEqual(66, result.code)
        self.assertIn("parleyd --data", result.error["detail"])
        self.assertFalse(os.path.exists(other.data))

    def test_a_killed_daemon_leaves_nothing_that_confuses_the_next_command(self):
        self.node.json("import", self.file)
        root = self.node.root()
        self.node.kill()
        self.assertTrue(os.path.exists(os.path.join(self.node.data, "parleyd.run")))
        self.assertEqual(root, self.node.root())


class Health(unittest.TestCase):
    """`parley health`, for health checks that have nothing else."""

    def test_it_is_0_only_while_the_daemon_answers(self):
        node = Node(scratch(), "a")
        result = node.cli("--json", "health")
        self.assertEqual((69, "not-running"), (result.code, result.error["code"]), result)
        self.assertFalse(os.path.exists(node.data))
        node.start()
        result = node.cli("health")
        self.assertEqual((0, "ok\n"), (result.code, result.out), result)
        self.assertEqual("ok", node.json("health")["status"])
        node.process.send_signal(signal.SIGSTOP)
        result = node.cli("health")
        self.assertEqual((75, "parley: parleyd does not answer\n"), (result.code, result.err))
        node.process.send_signal(signal.SIGCONT)
        self.assertEqual(0, node.cli("health").code)
        node.kill()
        self.assertEqual(69, node.cli("health").code)


class Output(unittest.TestCase):
    """Every command gives exactly one JSON document, and people get clean text."""

    @classmethod
    def setUpClass(cls):
        cls.base = scratch()
        cls.node = Node(cls.base, "a").start()
        path = write_lines(os.path.join(cls.base, "in.jsonl"), [conversation(i) for i in range(3)])
        cls.node.json("import", path)

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def test_every_command_prints_one_json_document(self):
        commands = [["identity"], ["invite"], ["peers"], ["list"], ["show", "conv-00000"],
                    ["append", "conv-00000", "--role", "user", "x"],
                    ["edit", "conv-00000", "m000", "y"], ["history", "conv-00000"],
                    ["history", "conv-00000", "m000"], ["delete", "conv-00000", "m001"],
                    ["status"], ["health"], ["check"], ["version"], ["help"], ["help", "import"],
                    ["import", os.path.join(self.base, "in.jsonl")],
                    ["export", os.path.join(self.base, "out.jsonl")]]
        for command in commands:
            result = self.node.cli("--json", *command)
            self.assertEqual(0, result.code, (command, result))
            self.assertIsInstance(json.loads(result.out), dict, command)

    def test_every_failure_prints_one_json_document(self):
        cases = [(["show", "nothing"], 1, "no-such-conversation"),
                 (["edit", "conv-00001", "nothing", "x"], 1, "no-such-message"),
                 (["delete", "nothing"], 1, "no-such-conversation"),
                 (["history", "nothing"], 1, "no-such-conversation"),
                 (["revoke", "nobody"], 1, "no-such-peer"),
                 (["approve", "nobody"], 1, "no-such-peer"),
                 (["sync"], 1, "no-peers"), (["sync", "nobody"], 1, "no-such-peer"),
                 (["join", "http://nonsense"], 65, "bad-invite"),
                 (["append", "conv-00001", "x"], 64, "usage"),
                 (["append", "conv-00001"], 64, "usage"),
                 (["list", "--strict"], 64, "usage"), (["fly"], 64, "usage"),
                 (["invite", "--ttl", "soon"], 64, "usage"), (["invite", "--bogus", "1"], 64,
                                                              "usage"),
                 (["import", os.path.join(self.base, "none.jsonl")], 66, "no-input"),
                 (["import", self.base], 66, "no-input"),
                 (["export", "/nowhere/x.jsonl"], 73, "no-output"),
                 (["export", "-"], 64, "usage"), ([], 64, "usage"),
                 (["show", "x" * 300], 65, "bad-path")]
        for command, code, name in cases:
            result = self.node.cli("--json", *command)
            self.assertEqual(code, result.code, (command, result))
            self.assertEqual(name, result.error["code"], (command, result))
            self.assertTrue(result.error["detail"], command)

    def test_a_flag_that_is_none_is_called_so_wherever_it_stands(self):
        for command in (["status", "--long"], ["status", "--long", "x"], ["--long", "status"]):
            self.assertIn("--long is not a flag", self.node.cli(*command).err)
        self.assertIn("--limit needs a value", self.node.cli("list", "--limit").err)

    def test_an_invite_that_a_shell_cut_says_what_to_do(self):
        url = self.node.json("invite")["url"]
        refused = self.node.cli("join", url.split("&")[0])
        self.assertEqual(65, refused.code)
        self.assertIn("quotes", refused.err)

    def test_status_has_the_fields_of_the_contract(self):
        status = self.node.status()
        self.assertLessEqual({"backend_id", "incarnation", "namespaces", "peers"}, set(status))
        self.assertRegex(status["backend_id"], r"^local_sha256_[0-9a-f]{32}$")
        self.assertRegex(status["incarnation"], r"^[0-9a-f]{32}$")
        main = status["namespaces"][0]
        self.assertLessEqual({"name", "root", "versions", "conversations", "messages"}, set(main))
        self.assertEqual(3, main["conversations"])

    def test_control_characters_never_reach_the_terminal(self):
        evil = "\x1b]0;owned\x07\u202egnp \x9b31m\r"
        line = {"conversation_id": "evil-\u202e", "title": evil,
                "messages": [{"message_id": "m", "role": "user", "content": evil,
                              "timestamp": "2024-01-01T00:00:00Z", "extra": evil}]}
        path = write_lines(os.path.join(self.base, "evil.jsonl"), [line])
        self.node.json("import", path)
        refused = self.node.cli("append", "evil-\x1b[2J", "--role", "user", "x")
        self.assertEqual(65, refused.code)
        for command in (["show", "evil-\u202e"], ["list"], ["history", "evil-\u202e"]):
            result = self.node.cli(*command)
            self.assertEqual(0, result.code, result)
            self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.out), command)
        self.assertEqual(evil, self.node.json("show", "evil-\u202e")["messages"][0]["content"])
        self.node.json("delete", "evil-\u202e")

    def test_text_may_come_from_stdin_and_must_be_utf8(self):
        text = "line 1\nline 2 ünï\n"
        self.node.json("append", "conv-00002", "--role", "user", "-", stdin=text)
        shown = self.node.json("show", "conv-00002")["messages"]
        self.assertEqual(text, shown[-1]["content"])
        result = self.node.cli("--json", "append", "conv-00002", "--role", "user", "-",
                               stdin=b"\xff\xfe")
        self.assertEqual((65, "bad-utf8"), (result.code, result.error["code"]))

    def test_the_same_message_id_twice_is_one_message(self):
        for _ in range(2):
            self.node.json("append", "conv-00002", "--role", "user", "--id", "once", "same")
        ids = [m["message_id"] for m in self.node.json("show", "conv-00002")["messages"]]
        self.assertEqual(1, ids.count("once"))
        result = self.node.cli("--json", "append", "conv-00002", "--role", "user", "--id", "once",
                               "other")
        self.assertEqual((1, "message-exists"), (result.code, result.error["code"]))


if __name__ == "__main__":
    unittest.main()
