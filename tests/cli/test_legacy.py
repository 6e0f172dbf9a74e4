# SPDX-License-Identifier: Apache-2.0
"""A node and a backend of the system it replaces, which knows POST /sync alone and breaks in every
way that one can. What was written here must be there in the end, and nothing else."""
import datetime
import os
import unittest

import old_backend
from nodes import Node, conversation, run, scratch, until, write_lines

FAULTS = {
    "400": old_backend.status(400),
    "404": old_backend.status(404),
    "422": old_backend.status(422),
    "500": old_backend.status(500),
    "503": old_backend.status(503),
    "garbage": old_backend.raw_bytes(b"this is not HTTP\n"),
    "not JSON": old_backend.raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<hr/>"),
    "no object": old_backend.raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
    "half a head": old_backend.raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": old_backend.raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
    "half a chunk": old_backend.raw_bytes(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"),
    "two lengths": old_backend.raw_bytes(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    "closes": old_backend.close,
}
SLOW_BUT_GOOD = [old_backend.chunked, old_backend.until_close, old_backend.slowly(2.0)]


def now(seconds=0):
    stamp = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%f")


class Legacy(unittest.TestCase):
    def setUp(self):
        self.old = old_backend.OldBackend().start()
        self.node = Node(scratch(), "hosted", "--compat-legacy", kind="hosted").start()

    def tearDown(self):
        if self.node.process.poll() is None:
            self.node.stop()
        self.old.stop()

    def add(self):
        answer = self.node.json("add-legacy", self.old.url)
        self.assertEqual(("added", "http-legacy"), (answer["status"], answer["kind"]))

    def append(self, talk, text, *more):
        self.node.json("append", talk, "--role", "user", text, *more)

    def peer(self):
        return self.node.json("peers")["peers"][0]

    def until_there(self, talk, texts, seconds=30):
        until(lambda: self.old.texts(talk) == sorted(texts), seconds,
              f"{texts} in {talk} of the old backend")
        self.assertEqual([], self.old.wrong)

    def push(self):
        return self.node.http("POST", f"/sync/{self.old.backend_id}")

    # ---- Pushing ----

    def test_what_is_new_is_pushed_once_and_nothing_when_nothing_is(self):
        lines = write_lines(self.node.data + ".jsonl", [conversation(i) for i in range(40)])
        self.node.json("import", lines)
        self.append("talk", "nul \0 there".replace("\0", ""))
        self.node.http("POST", "/conversations/talk/messages",
                       {"role": "user", "content": "a\0b \\u0000 c", "message_id": "nul"})
        self.add()
        until(lambda: len(self.old.conversations) == 41, what="all conversations there")
        self.until_there("talk", ["nul  there", "a\ufffdb \\u0000 c"])
        have = self.old.conversations["conv-00007"]
        self.assertEqual("Conversation 7 – Grüße 你好", have["title"])
        self.assertEqual("2024-03-01T10:07:00.000000", have["created_at"])
        self.assertEqual(1, self.old.registrations)
        until(lambda: self.peer()["sync"]["state"] == "in sync", what="in sync")
        calls = len(self.old.calls)
        until(lambda: self.push()[1]["status"] == "synced", what="a push of nothing")
        self.node.json("sync")
        self.assertEqual(calls, len(self.old.calls))
        payloads = len(self.old.payloads)
        self.append("conv-00007", "one more")
        self.until_there("conv-00007", ["hello 7.0 🎉", "hello 7.1 🎉", "hello 7.2 🎉",
                                        "one more"])
        size, payload = self.old.payloads[-1]
        self.assertEqual(payloads + 1, len(self.old.payloads))
        self.assertEqual(["conv-00007"], [item["conversation_id"]
                                          for item in payload["conversations"]])
        self.assertEqual(1, len(payload["conversations"][0]["messages"]))

    def test_payloads_are_bounded(self):
        lines = write_lines(self.node.data + ".jsonl", [
            conversation(i, messages=20, text="\x01" * 1500) for i in range(100)])
        self.node.json("import", lines)
        self.add()
        until(lambda: sum(len(item["messages"]) for item in self.old.conversations.values()) ==
              2000, 60, "all messages there")
        self.assertLess(10, len(self.old.payloads))
        for size, payload in self.old.payloads:
            self.assertLess(size, (1 << 20) + 4096)
        self.assertEqual([], self.old.wrong)

    def test_deletions_are_not_sent_and_do_not_stop_the_rest(self):
        self.append("talk", "goes", "--id", "m1")
        self.append("gone", "all of it")
        self.node.json("delete", "talk", "m1")
        self.node.json("delete", "gone")
        self.append("talk", "stays")
        self.add()
        self.until_there("talk", ["stays"])
        self.assertEqual(["talk"], list(self.old.conversations))

    # ---- Faults ----

    def test_it_survives_every_fault_and_loses_nothing(self):
        self.add()
        texts = []
        for number, (name, fault) in enumerate(FAULTS.items()):
            with self.subTest(name):
                texts.append(name)
                self.old.faults.append(fault)
                self.append("talk", name)
                answer = self.push()[1]
                # The scheduler may have been quicker; then this was the second try.
                if answer["status"] == "failed":
                    self.assertIn("POST /sync: ", answer["error"])
                    self.assertEqual(sorted(texts[:-1]), self.old.texts("talk"))
                    peer = self.peer()
                    self.assertEqual(("offline", "http-legacy"), (peer["sync"]["state"],
                                                                  peer["kind"]))
                    self.assertIn("next_dial_at", peer["sync"])
                    self.assertTrue(peer["legacy"]["last_error"])
                self.assertEqual([], self.old.faults)
                if number % 4 != 0:  # else the scheduler tries again by itself
                    self.push()
                self.until_there("talk", texts)
                self.assertEqual(number + 1, self.peer()["legacy"]["push_failures"])
                self.assertEqual(number + 1, len(self.old.payloads))

    def test_slow_chunked_and_unframed_answers_are_good(self):
        self.add()
        texts = []
        for number, fault in enumerate(SLOW_BUT_GOOD):
            texts.append(f"text {number}")
            self.old.faults.append(fault)
            self.append("talk", texts[-1])
            self.assertEqual("synced", self.push()[1]["status"])
            self.assertEqual(texts, self.old.texts("talk"))
        self.assertEqual(3, len(self.old.payloads))
        self.assertEqual(0, self.peer()["legacy"]["push_failures"])

    def test_an_answer_that_does_not_come_is_given_up_after_30_seconds(self):
        self.add()
        self.old.faults.append(old_backend.hang(40))
        self.append("talk", "patience")
        self.assertEqual("syncing", self.push()[1]["status"])
        self.until_there("talk", ["patience"], 60)
        self.assertEqual(1, self.peer()["legacy"]["push_failures"])

    def test_one_that_refuses_connections_gets_all_when_it_is_back(self):
        self.add()
        self.append("talk", "before")
        self.until_there("talk", ["before"])
        self.old.stop()
        self.append("talk", "meanwhile")
        self.assertEqual("failed", self.push()[1]["status"])
        self.assertIn("refused", self.peer()["sync"]["note"])
        self.assertIn("refused", self.node.cli("peers").out)
        self.old.start()
        self.until_there("talk", ["before", "meanwhile"])

    def test_it_registers_again_when_it_was_forgotten(self):
        self.add()
        self.append("talk", "one")
        self.until_there("talk", ["one"])
        self.old.forget_peers()
        self.append("talk", "two")
        self.until_there("talk", ["one", "two"])
        self.assertEqual(2, self.old.registrations)

    def test_a_restart_in_the_middle_goes_on_from_the_cursor(self):
        lines = write_lines(self.node.data + ".jsonl", [conversation(i) for i in range(20)])
        self.node.json("import", lines)
        self.add()
        until(lambda: len(self.old.conversations) == 20, what="all conversations there")
        until(lambda: self.peer()["sync"]["state"] == "in sync", what="in sync")
        self.old.faults.append(old_backend.hang(5))
        self.append("talk", "under way")
        until(lambda: not self.old.faults, what="the push that hangs")
        self.node.kill()
        payloads = len(self.old.payloads)
        self.append("talk", "off line")
        self.node.start()
        self.until_there("talk", ["off line", "under way"])
        sent = {item["conversation_id"] for _, payload in self.old.payloads[payloads:]
                for item in payload["conversations"]}
        self.assertEqual({"talk"}, sent)
        self.assertEqual(1, self.old.registrations)

    # ---- Who it is ----

    def test_another_backend_at_the_address_is_refused_and_gets_nothing(self):
        self.add()
        self.append("talk", "for one")
        self.until_there("talk", ["for one"])
        first = self.old.backend_id
        self.old.backend_id = "local_sha256_" + "cd" * 16
        self.old.faults.append(old_backend.status(500))
        self.append("talk", "for nobody else")
        until(lambda: self.peer()["sync"]["state"] == "refused", what="the refusal")
        self.assertIn("another backend answers", self.peer()["sync"]["note"])
        self.assertEqual(first, self.peer()["backend_id"])
        self.assertEqual(["for one"], self.old.texts("talk"))
        until(lambda: "legacy-identity" in self.node.cli("audit").out, what="the audit record")
        self.old.backend_id = first
        self.assertEqual("synced", self.push()[1]["status"])
        self.until_there("talk", ["for nobody else", "for one"])

    def test_it_ends_with_revoke_and_can_be_added_again(self):
        self.add()
        self.append("talk", "one")
        self.until_there("talk", ["one"])
        self.node.json("revoke", self.old.backend_id)
        calls = len(self.old.calls)
        self.append("talk", "two")
        self.assertEqual(409, self.push()[0])
        self.node.stop()
        self.node.start()
        self.assertEqual("revoked", self.peer()["state"])
        self.assertEqual(calls, len(self.old.calls))
        self.add()
        self.until_there("talk", ["one", "two"])

    def test_one_that_never_answered_is_shown_and_removed_by_its_url(self):
        self.old.stop()
        self.add()
        self.assertEqual("known", self.node.json("add-legacy", self.old.url + "/")["status"])
        peer = until(lambda: self.peer()["legacy"]["last_error"] and self.peer(),
                     what="the first failure")
        self.assertEqual((self.old.url, "http-legacy", "offline"),
                         (peer["backend_id"], peer["kind"], peer["sync"]["state"]))
        status = self.node.status()["peers"][0]
        self.assertEqual((self.old.url, "http-legacy"), (status["backend_id"], status["kind"]))
        for command in ("peers", "status"):
            self.assertIn(self.old.url, self.node.cli(command).out)
        self.node.json("revoke", self.old.url)
        self.assertEqual([], self.node.json("peers")["peers"])
        self.node.stop()
        self.node.start()
        self.assertEqual([], self.node.json("peers")["peers"])
        self.old.start()

    def test_urls_that_would_leak_are_refused(self):
        for url, hint in (("https://127.0.0.1:1", "TLS proxy"), ("http://10.0.0.1:80", "plain"),
                          ("ftp://127.0.0.1:1", "http://HOST:PORT"),
                          ("http://127.0.0.1", "http://HOST:PORT"),
                          ("http://127.0.0.1:0", "http://HOST:PORT"),
                          ("http://127.0.0.1:1/path", "no path"),
                          ("http://127.0.0.1.example.org:80", "plain")):
            result = self.node.cli("--json", "add-legacy", url)
            self.assertEqual("bad-url", result.error["code"], url)
            self.assertIn(hint, result.error["detail"])
        self.assertEqual([], self.node.json("peers")["peers"])

    # ---- What comes back ----

    def post_all(self, stamp):
        payload = self.old.payload(self.node.identity(), stamp)
        status, answer = self.node.http("POST", "/sync", payload, token=None)
        self.assertEqual(200, status, answer)
        return answer

    def title(self, talk="talk"):
        return self.node.http("GET", f"/conversations/{talk}")[1].get("title")

    def rename(self, title, stamp):
        """As a program of this node does it: another origin, a newer time."""
        line = {"conversation_id": "talk", "title": title, "updated_at": stamp, "messages": []}
        self.node.json("import", write_lines(self.node.data + ".title", [line]))

    def test_an_echoed_title_does_not_undo_a_renaming(self):
        self.rename("first", now(-60))
        self.append("talk", "hello")
        self.add()
        self.until_there("talk", ["hello"])
        self.rename("second", now(-50))
        self.assertEqual("second", self.title())
        # Its very first push still has the title that it was given, with a time of its own.
        self.post_all(now(-40))
        self.assertEqual("second", self.title())
        self.assertEqual(0, self.post_all(now(-30))["conversations_updated"])
        self.node.stop()
        self.node.start()
        self.post_all(now(-20))
        self.assertEqual("second", self.title())
        # What somebody changes there counts, and its echo does not undo a later change here.
        self.old.conversations["talk"]["title"] = "third"
        self.assertEqual(1, self.post_all(now(-10))["conversations_updated"])
        self.assertEqual("third", self.title())
        self.rename("fourth", now(-8))
        self.post_all(now(-5))
        self.assertEqual("fourth", self.title())
        # Back to a title that it once had, which it did not send last.
        self.old.conversations["talk"]["title"] = "first"
        self.post_all(now())
        self.assertEqual("first", self.title())

    def test_an_echo_costs_no_commit_and_brings_nothing_back(self):
        self.rename("title", now(-60))
        self.node.http("POST", "/conversations/talk/messages",
                       {"role": "user", "content": "hello", "message_id": "m1", "model": "x"})
        self.add()
        self.until_there("talk", ["hello"])
        root = self.node.root()
        self.post_all(now(-30))
        head = self.node.status()["head"]
        # It has lost a field of the message, and says another origin for it.
        self.post_all(now(-20))
        self.assertEqual((root, head), (self.node.root(), self.node.status()["head"]))
        shown = self.node.http("GET", "/conversations/talk")[1]["messages"][0]
        self.assertEqual(("x", self.node.identity()), (shown["model"], shown["source_backend"]))
        self.node.json("delete", "talk")
        self.post_all(now(-10))
        self.assertEqual(404, self.node.http("GET", "/conversations/talk")[0])
        self.assertEqual([], self.node.json("list")["conversations"])

    def test_what_it_pushed_is_not_pushed_back(self):
        self.append("talk", "ours")
        self.add()
        self.until_there("talk", ["ours"])
        payloads = len(self.old.payloads)
        theirs = {"conversation_id": "theirs", "title": "t", "created_at": now(-9),
                  "updated_at": now(-9), "messages": {
                      "o1": {"message_id": "o1", "role": "user", "content": "x",
                             "timestamp": now(-9)}}}
        self.old.conversations["theirs"] = theirs
        self.assertEqual(1, self.post_all(now(-5))["conversations_merged"])
        self.assertEqual("synced", self.push()[1]["status"])
        self.append("theirs", "answer")
        self.until_there("theirs", ["answer", "x"])
        self.assertEqual(payloads + 1, len(self.old.payloads))
        self.assertEqual(1, len(self.old.payloads[-1][1]["conversations"][0]["messages"]))

    # ---- The other old routes ----

    def test_a_peer_is_asked_for_what_is_new_for_it(self):
        self.append("talk", "one")
        self.add()
        self.until_there("talk", ["one"])
        path = f"/sync/{self.old.backend_id}"
        status, payload = self.node.http("GET", path, token=None)
        self.assertEqual((200, old_backend.PAYLOAD), (status, set(payload)))
        self.assertEqual("one", payload["conversations"][0]["messages"][0]["content"])
        later = payload["conversations"][0]["messages"][0]["timestamp"]
        self.assertEqual([], self.node.http("GET", f"{path}?since={later}")[1]["conversations"])
        self.assertEqual(400, self.node.http("GET", f"{path}?since=soon")[0])
        self.assertEqual(404, self.node.http("GET", "/sync/nobody")[0])
        self.assertEqual(401, self.node.http("POST", path, token=None)[0])
        for route in (f"/sync/metrics/{self.old.backend_id}",
                      f"/debug/sync/{self.old.backend_id}"):
            status, answer = self.node.http("GET", route)
            self.assertEqual((200, self.old.backend_id, "http-legacy"),
                             (status, answer["peer_id"], answer["kind"]))
            self.assertLess(0, answer["bytes_out"])
        self.assertEqual(self.old.url, answer["legacy"]["url"])
        self.assertNotIn("legacy", self.node.http("GET", route, token=None)[1])

    def test_what_is_new_comes_in_bounded_parts(self):
        lines = write_lines(self.node.data + ".jsonl", [
            conversation(i, messages=30) for i in range(100)])
        self.node.json("import", lines)
        self.add()
        until(lambda: len(self.old.conversations) == 100, what="all conversations there")
        seen = set()
        path = f"/sync/{self.old.backend_id}?since=2020-01-01T00:00:00"
        after = ""
        for _ in range(3000):
            payload = self.node.http("GET", path + after)[1]
            for item in payload["conversations"]:
                seen |= {(item["conversation_id"], message["message_id"])
                         for message in item["messages"]}
            if "next" not in payload:
                break
            after = f"&after={payload['next']}"
        self.assertEqual(3000, len(seen))
        self.assertTrue(after)


if __name__ == "__main__":
    unittest.main()
