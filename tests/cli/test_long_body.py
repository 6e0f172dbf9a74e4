# SPDX-License-Identifier: Apache-2.0
"""Bodies of 100 MB to POST /sync and POST /import, of a known length and in chunks: all of it is
stored as it came, in the memory of a few windows; saying it again costs no commit."""
import http.client
import json
import re
import socket
import sys
import threading
import time
import unittest

from nodes import Node, is_check_build, scratch, until
from test_slow_clients import limit, private_bytes

SECONDS = 240
MIB = 1 << 20
BODY_BYTES = 2 * MIB if is_check_build() else 100_000_000
MESSAGES = 10
FILLER = "the quick brown fox jumps over the lazy dog, then says \\\"Grüße\\\" to it; " * 13


def content(number, index):
    return f"{number}.{index} {json.loads(chr(34) + FILLER + chr(34))}"


def conversations(count):
    """JSON of conversations, 10 KB each, one by one; the Python side is not to be the slow one."""
    for number in range(count):
        minute, second = number // 60 % 60, number % 60
        messages = ",".join(
            f'{{"message_id":"m{index}","role":"user","content":"{number}.{index} {FILLER}",'
            f'"timestamp":"2024-03-01T10:{minute:02d}:{second:02d}.{index:06d}Z",'
            f'"source_backend":"elsewhere"}}' for index in range(MESSAGES))
        yield f'{{"conversation_id":"c{number:06d}","messages":[{messages}]}}'.encode()


class Upload:
    """One request whose body is made while it is sent. The memory of the daemon is watched."""

    def __init__(self, node, path):
        self.node = node
        self.path = path
        self.most = 0
        self.done = False

    def watch(self):
        while not self.done:
            self.most = max(self.most, private_bytes(self.node.process.pid))
            time.sleep(0.002)

    def send(self, pieces, length=None):
        """Returns (status, answer); in chunks without a length."""
        watcher = threading.Thread(target=self.watch)
        watcher.start()
        try:
            with socket.create_connection(("127.0.0.1", self.node.port), SECONDS) as connection:
                framing = "Transfer-Encoding: chunked" if length is None else \
                    f"Content-Length: {length}"
                connection.sendall((f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n"
                                    f"Authorization: Bearer {self.node.token()}\r\n\r\n").encode())
                for piece in pieces:
                    connection.sendall(piece if length is not None else
                                       b"%x\r\n%s\r\n" % (len(piece), piece))
                if length is None:
                    connection.sendall(b"0\r\n\r\n")
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                return answer.status, json.loads(answer.read())
        finally:
            self.done = True
            watcher.join()


class LongBody(unittest.TestCase):
    SOURCE = "local_sha256_" + "ab" * 16

    def setUp(self):
        self.node = Node(scratch(), "node", "--compat-legacy", kind="hosted").start()
        self.addCleanup(lambda: self.node.process.poll() is None and self.node.stop())
        self.register()
        size = len(next(conversations(1))) + 1
        self.count = BODY_BYTES // size

    def register(self):
        sbt = {"sbt_id": "s1", "user_id": "u", "session_id": "x", "local_backend_id": self.SOURCE,
               "hosted_backend_id": self.node.identity(), "created_at": "2024-01-01T00:00:00",
               "expires_at": "2034-01-01T00:00:00", "signature": "c2VjcmV0"}
        key = self.node.http("GET", "/identity", token=None)[1]["public_key"]
        answer = self.node.http("POST", "/register-peer", {
            "sbt": sbt, "peer_backend_id": self.SOURCE, "peer_public_key": key}, token=None)
        self.assertEqual(200, answer[0], answer)

    def sync_body(self, items):
        yield json.dumps({"sync_id": "s", "source_backend_id": self.SOURCE})[:-1].encode() + \
            b', "conversations": ['
        separator = b""
        for item in items:
            yield separator + item
            separator = b","
        yield b"]}"

    def import_body(self, items):
        for item in items:
            yield item + b"\n"

    def commits(self):
        """Of those that wrote something; once it is quiet, since what comparisons read follows the
        change log in commits of its own."""
        seen = []

        def is_quiet():
            text = self.node.http("GET", "/metrics")[1]
            seen.append(re.search(r"^parley_commits_total ([0-9]+)$", text, re.M).group(1))
            return len(seen) > 10 and len(set(seen[-10:])) == 1  # for half a second
        until(is_quiet, SECONDS, "the last commit")
        return int(seen[-1])

    def exported(self):
        """All conversations, page by page."""
        after = ""
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=SECONDS)
        try:
            while after is not None:
                connection.request("GET", f"/export?limit_bytes=4194304&after={after}",
                                   headers={"Authorization": "Bearer " + self.node.token()})
                answer = connection.getresponse()
                for line in answer.read().splitlines():
                    yield json.loads(line)
                after = answer.headers["X-Parley-Next"]
        finally:
            connection.close()

    def check_stored(self):
        number = 0
        for found in self.exported():
            self.assertEqual(f"c{number:06d}", found["conversation_id"])
            wanted = [(f"m{index}", "user", content(number, index)) for index in range(MESSAGES)]
            self.assertEqual(wanted, [(message["message_id"], message["role"], message["content"])
                                      for message in found["messages"]])
            number += 1
        self.assertEqual(self.count, number)

    def windows(self):
        """What one long body may cost: eight windows (its own, and what that is decoded to; each
        beside what it grows from, or twice as large), and the two batches that it fills."""
        return 8 * limit("PL_HTTP_WINDOW_BYTES") + 2 * limit("PL_BATCH_BYTES_MAX")

    def check(self, path, body, counts):
        total = sum(len(piece) for piece in body(conversations(self.count)))
        self.node.http("GET", "/status")
        for length in (total, None):
            before = private_bytes(self.node.process.pid)
            upload = Upload(self.node, path)
            began = time.monotonic()
            status, answer = upload.send(body(conversations(self.count)), length)
            took = time.monotonic() - began
            grown = upload.most - before
            print(f"{path}: {total / 1e6:.0f} MB {'chunked' if length is None else 'known'} in "
                  f"{took:.1f} s, {grown / MIB:.1f} MiB more, at most {self.windows() / MIB:.0f}",
                  file=sys.stderr)
            self.assertEqual(200, status, answer)
            self.assertEqual(counts(first=length is not None),
                             {name: answer[name] for name in counts(True)}, answer)
            if not is_check_build():
                self.assertLess(grown, self.windows())
            if length is not None:
                self.check_stored()
                root, commits = self.node.root(), self.commits()
        # The second one said it all again.
        self.assertEqual(root, self.node.root())
        self.assertEqual(commits, self.commits())

    def test_sync(self):
        def counts(first):
            return {"conversations_received": self.count,
                    "conversations_merged": self.count if first else 0,
                    "conversations_updated": 0, "conversations_skipped": 0 if first else self.count}
        self.check("/sync", self.sync_body, counts)

    def test_import(self):
        def counts(first):
            return {"received": self.count, "created": self.count if first else 0, "updated": 0,
                    "skipped": 0 if first else self.count,
                    "versions_new": self.count * MESSAGES if first else 0}
        self.check("/import", self.import_body, counts)

    def test_a_conversation_of_ten_thousand_messages_and_a_message_of_a_megabyte(self):
        many = [{"message_id": f"m{index:05d}", "role": "user" if index % 2 else "assistant",
                 "content": f"number {index} \U0001f389", "source_backend": "elsewhere",
                 "timestamp": f"2024-03-01T10:00:00.{index + 1:06d}Z"} for index in range(10000)]
        text = "0123456789abcdé" * (MIB // 16)
        one = [{"message_id": "m", "role": "user", "content": text, "source_backend": "elsewhere",
                "timestamp": "2024-03-01T10:00:00.000001Z"}]
        self.assertEqual(MIB, len(text.encode()))
        body = {"sync_id": "s", "source_backend_id": self.SOURCE,
                "target_backend_id": self.node.identity(), "timestamp": "2024-01-01T00:00:00",
                "conversations": [{"conversation_id": "many", "messages": many},
                                  {"conversation_id": "one", "messages": one}]}
        status, answer = self.node.http("POST", "/sync", body)
        self.assertEqual((200, 2), (status, answer["conversations_merged"]), answer)
        self.assertNotIn("errors", answer)
        for name, wanted in (("many", many), ("one", one)):
            status, answer = self.node.http("GET", "/conversations/" + name)
            self.assertEqual((200, wanted), (status, answer["messages"]))
        root, commits = self.node.root(), self.commits()
        status, answer = self.node.http("POST", "/sync", body)
        self.assertEqual((200, 2), (status, answer["conversations_skipped"]), answer)
        self.assertEqual((root, commits), (self.node.root(), self.commits()))


if __name__ == "__main__":
    unittest.main()
