# SPDX-License-Identifier: Apache-2.0
"""The real daemon when calls of the system fail after it is ready: files that cannot be written,
synced or opened, and memory that runs out. One daemon after the other on one data directory, each
with one fault; CASES and SEED in the environment set the sample and repeat it.

Oracles: what was answered with success is there while the fault lasts, when it is over and after a
kill; what was refused was refused by name; writes work again without a restart when the fault is
over. libuv ends the process when memory runs out in its own set-up: then only the rest must hold.
"""
import errno
import http.client
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import nodes  # noqa: E402
from nodes import Node, scratch, until  # noqa: E402
from shim import CLASSES, COUNT, ERRORS, EVER, Fault, INJECTED, SHORT  # noqa: E402

CASES = int(os.environ.get("CASES", "36"))

# A kernel gives EINTR once a signal: this is a storm of them.
STORM = 63
HEAL_SECONDS = 20


class Client:
    """What was sent in one case, and what was answered."""

    def __init__(self, test, node, tag, lies=False):
        self.test = test
        self.node = node
        self.tag = tag
        self.token = node.token()
        self.lies = lies
        self.acknowledged = set()
        self.revoked = set()
        self.refused = 0
        self.cut = 0

    def call(self, method, path, body=None):
        """The answer, or None when there is none because something failed."""
        try:
            status, answer = self.node.http(method, path, body, token=self.token)
        except (OSError, http.client.HTTPException):
            self.cut += 1
            return None
        if status in (200, 201):
            return answer
        if (method, status) == ("GET", 404):  # no conversation yet, since nothing could be written
            return {"messages": []}
        self.test.assertIn(status, (503, 507), answer)
        if (status, answer) != (503, ""):  # there was no memory for a body either
            self.test.assertIn(answer["code"], ("store-full", "store-error", "busy"), answer)
        self.refused += 1
        return None

    def append(self, name):
        body = {"role": "user", "content": name, "message_id": name}
        answer = self.call("POST", f"/conversations/{self.tag}/messages", body)
        if answer is not None or self.lies:
            self.acknowledged.add(name)
        return answer is not None

    def work(self):
        for number in range(4):
            self.append(f"{self.tag}-{number}")
        token = self.call("POST", "/tokens", {"user_id": "u", "ttl_seconds": 3600})
        if token is not None:
            gone = self.call("DELETE", f"/tokens/{token['sbt_id']}")
            if gone is not None:
                self.revoked.add(token["sbt_id"])
        for number in range(4, 8):
            self.append(f"{self.tag}-{number}")
        self.look()

    def look(self):
        """What is shown has all that was acknowledged; an error shows nothing."""
        answer = self.call("GET", f"/conversations/{self.tag}")
        if answer is not None:
            there = {message["message_id"] for message in answer["messages"]}
            self.test.assertEqual(set(), self.acknowledged - there, "acknowledged, and not there")
        return answer is not None

    def prove(self):
        if self.acknowledged:
            self.test.assertTrue(self.look())
        if self.revoked:
            listed = self.call("GET", "/tokens?limit=1000")
            dead = {t["sbt_id"] for t in listed["tokens"] if t.get("revoked_at")}
            self.test.assertEqual(set(), self.revoked - dead, "a revocation is forgotten")


class Faults(unittest.TestCase):
    def setUp(self):
        base = scratch()
        self.fault = Fault(os.path.join(base, "fault"))
        self.node = Node(base, "node").start(environment=self.fault.environment)

    def measure(self):
        """Calls of each class that one round of work makes, of a daemon that is warm."""
        Client(self, self.node, "warm").work()
        self.fault.arm()
        Client(self, self.node, "count").work()
        self.fault.disarm()
        return {name: self.fault.get(COUNT + number) for name, number in CLASSES.items()}

    def run_case(self, tag, name, error, at, more, lies=False):
        client = Client(self, self.node, tag, lies)
        self.fault.arm(name, error, at, more)
        client.work()
        self.fault.disarm()
        died = self.node.process.poll() is not None
        if died:
            self.assertEqual("heap", name, "the daemon died: " + self.node.log_text())
            self.assertEqual(-6, self.node.wait(), self.node.log_text())
        else:
            until(lambda: client.append(f"{tag}-healed"), HEAL_SECONDS, "a write after the fault")
            client.prove()
            self.node.kill()
        self.node.start(environment=self.fault.environment)
        client.prove()
        return client, died

    def test_no_fault_makes_the_daemon_lie(self):
        seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
        draw = random.Random(seed)
        counts = self.measure()
        print(f"seed {seed}; calls of a round of work: {counts}", flush=True)
        classes = [name for name in CLASSES if counts[name] != 0]
        totals = {"injected": 0, "acknowledged": 0, "refused": 0, "cut": 0, "died": 0}
        for number in range(CASES):
            name = classes[number % len(classes)]
            error = draw.choice(ERRORS[name])
            more = draw.choice((0, STORM if error == errno.EINTR else EVER))
            at = draw.randrange(counts[name]) + 1
            text = f"{name} {error} at call {at}, {'once' if more == 0 else 'for ever'}"
            try:
                client, died = self.run_case(f"case-{number}", name, error, at, more)
            except AssertionError as broken:
                raise AssertionError(f"seed {seed}, {text}: {broken}") from broken
            totals["injected"] += self.fault.get(INJECTED) != 0
            totals["acknowledged"] += len(client.acknowledged)
            totals["refused"] += client.refused
            totals["cut"] += client.cut
            totals["died"] += died
        self.node.stop()
        self.assertTrue(self.node.json("check")["ok"])
        print(f"{CASES} daemons: {totals}", flush=True)
        self.assertGreater(totals["injected"], CASES // 2)
        self.assertGreater(totals["refused"], 0)
        self.assertGreater(totals["acknowledged"], CASES)

    def test_a_false_acknowledgement_is_found_out(self):
        with self.assertRaisesRegex(AssertionError, "acknowledged, and not there"):
            self.run_case("lie", "sync", errno.EIO, 1, EVER, lies=True)


if __name__ == "__main__":
    unittest.main()
