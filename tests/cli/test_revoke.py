# SPDX-License-Identifier: Apache-2.0
"""A peer is revoked while it syncs: its connection is cut, its tokens and dials are refused, also
after a restart, after an older store was put back, and whatever is granted at the same moment."""
import os
import shutil
import threading
import time
import unittest

from nodes import Node, PairCase, scratch, until

CUT_SECONDS = 1.0
ESTABLISHED = "01"


def sessions(node, port):
    """The sockets of a node's process that are connected to this port, by inode."""
    mine = set()
    base = f"/proc/{node.process.pid}/fd"
    for name in os.listdir(base):
        try:
            mine.add(os.readlink(os.path.join(base, name)))
        except OSError:
            pass
    found = set()
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if (fields[3] == ESTABLISHED and int(fields[2].split(":")[1], 16) == port
                    and f"socket:[{fields[9]}]" in mine):
                found.add(fields[9])
    return found


class Revoke(PairCase):
    def setUp(self):
        super().setUp()
        self.peer = self.local.identity()
        self.hosted.json("append", "c", "--role", "user", "x")
        self.local.json("sync")
        # One token that the hosted node issued for the peer, one that the peer issued itself.
        self.tokens = [node.http("POST", "/tokens", {"user_id": "u", "peer": other})[1]["token"]
                       for node, other in ((self.hosted, self.peer),
                                           (self.local, self.hosted.identity()))]

    def use(self):
        """What each token gets, reading and writing."""
        got = []
        for token in self.tokens:
            status, answer = self.hosted.http("GET", "/conversations", token=token)
            got.append((status, answer.get("code")))
            status, answer = self.hosted.http("POST", "/conversations/c/messages",
                                              {"role": "user", "content": "mine"}, token=token)
            got.append((status, answer.get("code")))
        return got

    def expect_shut_out(self):
        self.assertEqual([(403, "revoked")] * 4, self.use())
        states = {p["backend_id"]: p["state"] for p in self.hosted.json("peers")["peers"]}
        self.assertEqual("revoked", states[self.peer])
        before = self.hosted.root()
        self.local.json("append", "c", "--role", "user", "after the revocation")
        result = self.local.cli("--json", "sync", "--timeout", "2s")
        self.assertEqual((75, "not-in-sync"), (result.code, result.error["code"]))
        self.assertIn("revoked", result.error["detail"])
        self.assertEqual(before, self.hosted.root())
        self.assertEqual(1, self.hosted.cli("approve", self.peer).code)

    def test_an_open_session_is_cut_within_a_second(self):
        self.assertEqual([(200, None), (201, None)] * 2, self.use())
        open_now = sessions(self.local, self.hosted.port)
        self.assertEqual(1, len(open_now))
        began = time.monotonic()
        self.assertEqual(200, self.hosted.http("DELETE", "/peers/" + self.peer)[0])
        until(lambda: not open_now & sessions(self.local, self.hosted.port), what="the cut")
        took = time.monotonic() - began
        print(f"cut {took * 1000:.0f} ms after the request", flush=True)
        self.assertLess(took, CUT_SECONDS)
        self.expect_shut_out()

    def test_it_stays_out_after_a_restart_and_a_kill(self):
        self.hosted.json("revoke", self.peer)
        self.hosted.kill()
        self.hosted.start()
        self.expect_shut_out()
        self.hosted.stop()
        self.hosted.start()
        self.expect_shut_out()

    def test_it_stays_out_when_an_older_store_is_put_back(self):
        older = os.path.join(self.base, "older")
        self.hosted.stop()
        shutil.copytree(os.path.join(self.hosted.data, "store"), older)
        self.hosted.start()
        self.hosted.json("revoke", self.peer)
        self.hosted.stop()
        shutil.rmtree(os.path.join(self.hosted.data, "store"))
        shutil.copytree(older, os.path.join(self.hosted.data, "store"))
        self.hosted.start()
        self.expect_shut_out()
        # And now the store knows it itself.
        self.hosted.stop()
        os.remove(os.path.join(self.hosted.data, "ledger"))
        self.hosted.start()
        self.expect_shut_out()

    def test_it_stays_out_when_revoked_without_the_daemon(self):
        self.hosted.stop()
        self.hosted.json("revoke", self.peer)
        self.hosted.start()
        self.expect_shut_out()


class Race(unittest.TestCase):
    ROUNDS = 25

    def register(self, node, name):
        body = {"sbt": {"sbt_id": name, "user_id": "u", "session_id": "s",
                        "local_backend_id": name, "hosted_backend_id": node.identity(),
                        "created_at": "2024-01-01T00:00:00", "expires_at": "2034-01-01T00:00:00",
                        "signature": "x"},
                "peer_backend_id": name, "peer_capabilities": [],
                "peer_public_key": node.json("identity")["public_key"]}
        status, answer = node.http("POST", "/register-peer", body)
        self.assertEqual((200, "registered"), (status, answer["status"]), answer)

    def race(self, node, name):
        """Approvals and a revocation at once; returns their answers."""
        start = threading.Barrier(5)
        answers = []

        def ask(method, path, body):
            start.wait()
            answers.append((method, node.http(method, path, body)[0]))

        threads = [threading.Thread(target=ask, args=("POST", f"/peers/{name}/approve",
                                                      {"namespace": space, "right": "write"}))
                   for space in ("main", "team", "main", "other")]
        threads.append(threading.Thread(target=ask, args=("DELETE", f"/peers/{name}", None)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def expect_out(self, node, names):
        states = {p["backend_id"]: p["state"] for p in node.json("peers")["peers"]}
        self.assertEqual({name: "revoked" for name in names}, states)
        for name in names:
            self.assertEqual(403, node.http("POST", "/sync", {
                "source_backend_id": name, "conversations": []}, token=None)[0])

    def test_a_revocation_beats_what_is_granted_at_the_same_moment(self):
        node = Node(scratch(), "hosted", "--compat-legacy", kind="hosted").start()
        names = [f"old-client-{number}" for number in range(self.ROUNDS)]
        for name in names:
            self.register(node, name)
            for method, status in self.race(node, name):
                self.assertIn(status, (200,) if method == "DELETE" else (200, 409))
        self.expect_out(node, names)
        node.kill()
        node.start()
        self.expect_out(node, names)
        node.stop()


if __name__ == "__main__":
    unittest.main()
