# SPDX-License-Identifier: Apache-2.0
"""Resources over sockets and between two nodes: the list, tags, keys, texts that grow."""
import http.client
import json
import threading
import unittest

from nodes import PairCase, until


class Resources(PairCase):
    def setUp(self):
        super().setUp()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.local.port, timeout=30)

    def tearDown(self):
        self.connection.close()
        super().tearDown()

    def ask(self, method, path, body=None, **headers):
        """On one connection: (status, parsed JSON or None, ETag)."""
        head = {"Authorization": "Bearer " + self.local.token()}
        head.update({name.replace("_", "-"): value for name, value in headers.items()})
        self.connection.request(method, path, None if body is None else json.dumps(body), head)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.getheader("ETag")

    def synced(self):
        until(lambda: self.local.root() == self.hosted.root(), what="the sync")

    def test_a_conversation_is_made_listed_and_has_one_tag_on_both_nodes(self):
        for number in range(3):
            body = {"conversation_id": f"c{number}", "title": f"t{number}",
                    "messages": [{"role": "user", "content": "hi"}]}
            self.assertEqual(201, self.ask("POST", "/conversations", body)[0])
            self.assertEqual(200, self.ask("POST", "/conversations", body)[0])
        self.assertEqual(200, self.ask("PATCH", "/conversations/c1", {"title": "new"})[0])
        listed = self.ask("GET", "/conversations?limit=2")[1]
        self.assertEqual(["c1", "c2"], [c["conversation_id"] for c in listed["conversations"]])
        rest = self.ask("GET", f"/conversations?limit=2&after={listed['next']}")[1]
        self.assertEqual(["c0"], [c["conversation_id"] for c in rest["conversations"]])
        status, _, tag = self.ask("GET", "/conversations/c1")
        self.assertEqual((304, None, tag),
                         self.ask("GET", "/conversations/c1", If_None_Match=tag))
        self.synced()
        self.assertEqual(304, self.hosted.http("GET", "/conversations/c1",
                                               headers={"If-None-Match": tag})[0])

    def test_of_many_writers_with_one_tag_one_wins(self):
        self.ask("POST", "/conversations/c/messages",
                 {"message_id": "m", "role": "user", "content": "0"})
        path = "/conversations/c/messages/m"
        for turn in range(20):
            tag = self.ask("GET", path)[2]
            results = []

            def write(name, tag=tag):
                results.append(self.local.http("PATCH", path, {"content": name},
                                               headers={"If-Match": tag})[0])
            threads = [threading.Thread(target=write, args=(f"{turn}-{i}",)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([200, 412, 412, 412], sorted(results))

    def test_a_key_makes_one_message_on_both_nodes(self):
        body = {"role": "user", "content": "once"}
        status, made, _ = self.ask("POST", "/conversations/c/messages", body, Idempotency_Key="k")
        self.assertEqual(201, status)
        self.synced()
        again = self.hosted.http("POST", "/conversations/c/messages", body,
                                 headers={"Idempotency-Key": "k"})
        self.assertEqual((200, made["message_id"]), (again[0], again[1]["message_id"]))

    def test_a_text_grows_and_survives_a_kill_as_far_as_was_said(self):
        path = "/conversations/c/messages/m/append"
        offset = 0
        for number in range(200):
            piece = f"word{number} "
            status, answer, _ = self.ask("POST", path, {"role": "assistant", "content": piece,
                                                        "offset": offset})
            self.assertIn(status, (200, 201))
            offset += len(piece)
            self.assertEqual(offset, answer["offset"])
        answer = self.ask("POST", path + "?durable=1", {"content": "safe", "offset": offset})[1]
        self.assertTrue(answer["durable"])
        answer = self.ask("POST", path, {"content": "lost", "offset": offset + 4})[1]
        self.assertFalse(answer["durable"])
        self.local.kill()
        self.local.start()
        self.connection.close()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.local.port, timeout=30)
        status, answer, _ = self.ask("POST", path, {"content": "x", "offset": offset + 8})
        if status == 409:  # the kill came before the version that was due
            self.assertEqual(offset + 4, answer["offset"])
        message = self.ask("GET", "/conversations/c/messages/m")[1]
        self.assertTrue(message["content"].startswith("word0 word1 "))
        self.assertIn("word199 safe", message["content"])
        versions = self.ask("GET", "/conversations/c/history?message=m")[1]["versions"]
        self.assertLess(len(versions), 18)


if __name__ == "__main__":
    unittest.main()
