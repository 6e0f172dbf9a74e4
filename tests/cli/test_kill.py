# SPDX-License-Identifier: Apache-2.0
"""Kills two nodes with SIGKILL at random moments while they import, sync and take appends.

Oracles: every write that was acknowledged is on both nodes in the end; nobody ever had to register
again; identities and incarnations are what they were; the stores pass `parley check`; the roots and
exports are equal. KILLS and SEED in the environment set the size and repeat a run. The engine alone
is killed more often, and at finer moments, by `parley-fault kill` (tests/fault).
"""
import http.client
import json
import os
import random
import subprocess
import threading
import time
import unittest

import nodes
from nodes import PARLEY, conversation, pair, scratch, write_lines

KILLS = int(os.environ.get("KILLS", "60"))
SECONDS_MAX = 200


class Writer(threading.Thread):
    """Appends one message after the other and remembers those that the node acknowledged."""

    def __init__(self, node, name):
        super().__init__(daemon=True)
        self.node = node
        self.name = name
        self.acknowledged = {}
        self.refused = []
        self.done = False
        self.number = 0
        self.token = node.token()

    def run(self):
        connection = None
        while not self.done:
            self.number += 1
            path = f"/conversations/{self.name}-{self.number % 7}/messages"
            identity = f"{self.name}-{self.number:06d}"
            body = json.dumps({"role": "user", "content": identity, "message_id": identity})
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.node.port,
                                                            timeout=20)
                connection.request("POST", path, body,
                                   {"Authorization": "Bearer " + self.token})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.005)
                continue
            if answer.status in (200, 201):
                self.acknowledged[identity] = f"{self.name}-{self.number % 7}"
            elif answer.status not in (503,):
                self.refused.append((answer.status, text))
            time.sleep(0.002)
        if connection is not None:
            connection.close()


class Importer(threading.Thread):
    """Imports file after file; a file counts when parley said so."""

    def __init__(self, node, base, name):
        super().__init__(daemon=True)
        self.node = node
        self.base = base
        self.name = name
        self.acknowledged = set()
        self.strange = []
        self.done = False

    def run(self):
        for turn in range(100000):
            if self.done:
                return
            items = [conversation(turn * 100 + i) for i in range(100)]
            for item in items:
                item["conversation_id"] = f"{self.name}-{item['conversation_id']}"
            path = write_lines(os.path.join(self.base, f"{self.name}.jsonl"), items)
            while not self.done:
                process = subprocess.Popen(
                    [PARLEY, "--data", self.node.data, "--json", "import", path],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                    env=nodes.clean_environment())
                out, _ = process.communicate(timeout=60)
                if process.returncode == 0:
                    self.acknowledged.update(item["conversation_id"] for item in items)
                    break
                if process.returncode not in (69, 75):
                    self.strange.append((process.returncode, out[-500:]))
                time.sleep(0.01)


class Kill(unittest.TestCase):
    def test_no_acknowledged_write_is_lost_by_any_kill(self):
        seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
        print(f"seed {seed}, {KILLS} kills", flush=True)
        draw = random.Random(seed)
        base = scratch()
        both = pair(base)
        facts = [(n.identity(), n.status()["incarnation"]) for n in both]
        registered = [n.json("peers")["peers"][0]["registered_at"] for n in both]
        # A write is acknowledged by the daemon alone: a command between kill and restart would open
        # the store itself and make the daemon wait for the lock, so the importer is kept to one.
        writers = [Writer(node, name) for node, name in zip(both, ("wl", "wh"))]
        importer = Importer(both[0], base, "imp")
        for thread in writers + [importer]:
            thread.start()
        end = time.monotonic() + SECONDS_MAX
        kills = 0
        while kills < KILLS and time.monotonic() < end:
            time.sleep(draw.choice((0.0, 0.02, 0.1, 0.3)) * draw.random())
            victims = draw.choice(((0,), (1,), (0, 1)))
            for index in victims:
                both[index].process.kill()
                kills += 1
            for index in victims:
                both[index].wait()
                self.restart(both[index])
        self.assertGreaterEqual(kills, min(KILLS, 50), "the machine is too slow for this test")
        for thread in writers + [importer]:
            thread.done = True
        for thread in writers + [importer]:
            thread.join(90)
            self.assertFalse(thread.is_alive())
        self.assertEqual([], [w.refused for w in writers if w.refused])
        self.assertEqual([], importer.strange)
        self.judge(both, writers, importer, facts, registered, kills)

    def restart(self, node):
        """The importer may hold the store for a moment: then the daemon says 75, and is asked
        again."""
        for _ in range(200):
            if node.spawn().startswith("parleyd ready on "):
                return
            code = node.wait()
            self.assertEqual(75, code, node.log_text())
            time.sleep(0.02)
        self.fail("the daemon never got the store: " + node.log_text())

    def judge(self, both, writers, importer, facts, registered, kills):
        both[0].json("sync", "--timeout", "60s")
        both[1].json("sync", "--timeout", "60s")
        self.assertEqual(both[0].root(), both[1].root())
        exports = [node.export() for node in both]
        self.assertEqual(exports[0], exports[1])
        self.assertEqual(facts, [(n.identity(), n.status()["incarnation"]) for n in both])
        self.assertEqual(registered, [n.json("peers")["peers"][0]["registered_at"] for n in both])
        there = {}
        for line in exports[0]:
            item = json.loads(line)
            there[item["conversation_id"]] = {m["message_id"] for m in item["messages"]}
        count = 0
        for writer in writers:
            for message, where in writer.acknowledged.items():
                self.assertIn(message, there.get(where, ()), "an acknowledged append is gone")
                count += 1
        self.assertEqual(set(), {c for c in importer.acknowledged if len(there.get(c, ())) != 3})
        for node in both:
            self.assertTrue(node.json("check")["ok"])
            node.stop()
        print(f"{kills} kills of daemons: {count} acknowledged appends, "
              f"{len(importer.acknowledged)} imported conversations: all on both nodes", flush=True)
        self.assertGreater(count, 0)


if __name__ == "__main__":
    unittest.main()
