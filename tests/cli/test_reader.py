# SPDX-License-Identifier: Apache-2.0
"""Clients that ask for much and stop reading, while others write: no snapshot is held for them, so
the store file does not grow. SECONDS in the environment sets how long."""
import http.client
import json
import os
import socket
import threading
import time
import unittest

from nodes import Node, conversation, scratch, write_lines

SECONDS = int(os.environ.get("SECONDS", "8"))
STALLED = 12
TALKS = 200
TEXT = "x" * 900


class Writer(threading.Thread):
    """Edits the same messages over and over: what it writes takes the place of what it wrote."""

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.node = node
        self.number = number
        self.done = False
        self.count = 0
        self.bad = []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=30)
        token = self.node.token()
        while not self.done:
            self.count += 1
            talk = (self.count * 7 + self.number) % TALKS
            body = json.dumps({"content": f"{self.number} {self.count} {TEXT}"})
            connection.request("PATCH", f"/conversations/conv-{talk:05d}/messages/m000",
                               body, {"Authorization": "Bearer " + token})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.bad.append(answer.status)
        connection.close()


def stall(node, path):
    """Sends a request and reads nothing of the answer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", node.port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 f"Authorization: Bearer {node.token()}\r\n\r\n".encode())
    return sock


class HostileReader(unittest.TestCase):
    def write_for(self, node, seconds):
        writers = [Writer(node, i) for i in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        for writer in writers:
            writer.done = True
        for writer in writers:
            writer.join()
            self.assertEqual([], writer.bad)
        return sum(writer.count for writer in writers)

    def file_bytes(self, node):
        return os.stat(os.path.join(node.data, "store", "data.mdb")).st_size

    def test_the_store_does_not_grow_for_who_does_not_read(self):
        base = scratch()
        node = Node(base, "data")
        node.start()
        node.json("import", write_lines(os.path.join(base, "talks.jsonl"),
                                        [conversation(i, text=TEXT) for i in range(TALKS)]))
        node.json("retention", "--versions", "1")
        self.write_for(node, SECONDS / 2)  # until each has its history, and pages are reused
        before = self.file_bytes(node)
        stalled = [stall(node, path) for path in
                   ["/export", "/conversations?limit=1000", "/conflicts?all=1"] * (STALLED // 3)]
        written = self.write_for(node, SECONDS)
        after = self.file_bytes(node)
        print(f"{written} writes, {len(stalled)} who do not read: {before} B before, {after} after",
              flush=True)
        self.assertGreater(written, 100)
        self.assertLess(after, 1.25 * before + (1 << 20))
        for sock in stalled:
            sock.close()
        self.assertTrue(node.json("check")["ok"])
        self.assertEqual(0, node.stop())


if __name__ == "__main__":
    unittest.main()
