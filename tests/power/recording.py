# SPDX-License-Identifier: Apache-2.0
"""Records a pair of real nodes under a workload drawn from a seed, and what clients were told.

Every request carries its number in X-Op; the recorder sees it come and sees the answer leave. What
a good answer promises goes into the file of claims (claims.h) once the client has it. Contents
begin with "op=<eight digits>;", so that of two versions of a message the newer one is known.
"""
import base64
import collections
import fcntl
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import nodes  # noqa: E402
from nodes import Node, until  # noqa: E402

RECORDER = os.environ["POWER_RECORDER"]
REPLAY = os.environ["POWER_REPLAY"]
CURSOR_APART = os.environ["CURSOR_APART"]
SYNC_US = 300
SCRATCH = os.environ.get("POWER_SCRATCH", "/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


class Recording:
    """A directory with the recorded nodes below `root`, the log and the claims."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="parley-power-", dir=SCRATCH)
        self.root = os.path.join(self.base, "root")
        self.log = os.path.join(self.base, "log")
        self.claims = os.path.join(self.base, "claims")
        os.mkdir(self.root)
        with open(self.claims, "w"):
            pass

    def environment(self, **more):
        environment = nodes.clean_environment()
        environment.update(LD_PRELOAD=RECORDER, POWER_ROOT=self.root, POWER_LOG=self.log,
                           POWER_SYNC_US=str(SYNC_US), **more)
        return environment

    def replay(self, *arguments, jobs=2):
        """Returns (exit code, what it said)."""
        work = tempfile.mkdtemp(prefix="work-", dir=self.base)
        done = subprocess.run([REPLAY, "--log", self.log, "--claims", self.claims, "--root",
                               self.root, "--work", work, "--jobs", str(jobs), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        shutil.rmtree(work, True)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def remove(self):
        shutil.rmtree(self.base, True)


class RecordedNode(Node):
    def __init__(self, recording, name):
        super().__init__(recording.root, name, kind=name)
        self.recording = recording
        self.log = os.path.join(recording.base, name + ".log")

    def start(self, *flags, **more):
        return super().start(*flags, environment=self.recording.environment(**more))

    def kill(self):
        """Not in the middle of a record, nor between a write and its record."""
        with open(self.recording.log + ".gate", "a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            return super().kill()


class Client:
    """One connection to a node; begun again when the node was."""

    def __init__(self, workload, node):
        self.workload = workload
        self.node = node
        self.connection = None

    def ask(self, op, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=60)
        if isinstance(body, dict):
            body = json.dumps(body)
        self.connection.request(method, path, body, {
            "Authorization": "Bearer " + self.node.token(), "X-Op": f"{op} "})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201, 202):
            raise AssertionError(f"{method} {path}: {answer.status} {text}")
        return json.loads(text)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Workload:
    def __init__(self, recording, seed):
        self.recording = recording
        self.draw = random.Random(seed)
        self.local = RecordedNode(recording, "local")
        self.hosted = RecordedNode(recording, "hosted")
        self.both = (self.local, self.hosted)
        self.op = 0
        self.mutex = threading.Lock()
        self.lines = []
        # By node: what is promised of it, and the newest operation on that.
        self.known = {node: {} for node in self.both}
        self.messages = collections.defaultdict(list)  # by node: (conversation, id) it may change
        self.ids = 0

    # ---- Operations and promises ----

    def next_op(self):
        with self.mutex:
            self.op += 1
            return self.op

    def promise(self, op, value, node, *target):
        with self.mutex:
            self.lines.append("\t".join((str(op), str(value), os.path.basename(node.data),
                                         *target)))
            if target[0] in ("message", "gone"):
                known = self.known[node]
                known[target] = max(value, known.get(target, 0))

    def text(self, op, draw):
        size = draw.choice((20, 100, 400, 1500, 1500, 9000))
        return f"op={op:08d}; " + "".join(draw.choices("abcdefgh äöü", k=draw.randrange(size)))

    def append(self, client, draw, conversation, message):
        op = self.next_op()
        client.ask(op, "POST", f"/conversations/{conversation}/messages",
                   {"role": "user", "content": self.text(op, draw), "message_id": message})
        self.promise(op, op, client.node, "message", "main", conversation, message)
        for name in ("seal.key", "admin.token"):
            self.promise(op, op, client.node, "file", name)
        with self.mutex:
            self.messages[client.node].append((conversation, message))

    def edit(self, client, draw, conversation, message):
        op = self.next_op()
        client.ask(op, "PATCH", f"/conversations/{conversation}/messages/{message}",
                   {"content": self.text(op, draw)})
        self.promise(op, op, client.node, "message", "main", conversation, message)

    def delete(self, client, conversation, message):
        op = self.next_op()
        client.ask(op, "DELETE", f"/conversations/{conversation}/messages/{message}")
        self.promise(op, op, client.node, "message", "main", conversation, message)

    def delete_conversation(self, client, conversation):
        op = self.next_op()
        client.ask(op, "DELETE", f"/conversations/{conversation}")
        self.promise(op, op, client.node, "gone", "main", conversation)

    def import_some(self, client):
        op = self.next_op()
        items = []
        for _ in range(self.draw.randrange(2, 12)):
            self.ids += 1
            item = nodes.conversation(self.ids, messages=self.draw.randrange(1, 6))
            for message in item["messages"]:
                message["content"] = self.text(op, self.draw)
            items.append(item)
        client.ask(op, "POST", "/import", "".join(json.dumps(i) + "\n" for i in items).encode())
        for item in items:
            for message in item["messages"]:
                target = (item["conversation_id"], message["message_id"])
                self.promise(op, op, client.node, "message", "main", *target)

    def token(self, client):
        op = self.next_op()
        made = client.ask(op, "POST", "/tokens", {"user_id": "u"})
        issuer, name = client.node.backend_id, made["sbt_id"]
        self.promise(op, op, client.node, "record", f"token/{issuer}/{name}")
        if self.draw.random() < 0.7:
            op = self.next_op()
            client.ask(op, "DELETE", f"/tokens/{name}")
            key = base64.urlsafe_b64encode(f"{issuer}/{name}".encode()).rstrip(b"=").decode()
            self.promise(op, op, client.node, "line", f"token {key} ")

    # ---- Things that take both nodes ----

    def sync(self, client):
        """Waits until the node says that its peer has shown the root that it has itself: then what
        the node has promised, its peer promises, too."""
        def is_equal():
            op = self.next_op()
            peers = client.ask(op, "GET", "/status")["peers"]
            spaces = peers[0]["namespaces"] if peers else []
            return op if any(s["name"] == "main" and s["root_equal"] for s in spaces) else 0

        known = list(self.known[client.node].items())
        op = until(is_equal, what="being in sync")
        peer = self.hosted if client.node is self.local else self.local
        for target, value in known:
            self.promise(op, value, peer, *target)

    def rotate(self, client):
        client.ask(self.next_op(), "POST", "/key/rotate", {})

        def is_done():
            op = self.next_op()
            return op if client.ask(op, "GET", "/key")["phase"] == "done" else 0

        op = until(is_done, what="the new key")
        self.promise(op, op, client.node, "record", "identity/rotations")

    def join(self):
        for node in self.both:
            node.start()
            node.backend_id = node.http("GET", "/identity")[1]["backend_id"]
        invite = self.hosted.http("POST", "/invites", {})[1]["url"].replace(
            "127.0.0.1:8825", f"127.0.0.1:{self.hosted.port}")
        self.local.http("POST", "/joins", {"url": invite})
        until(lambda: self.local.http("GET", "/joins")[1]["phase"] == "done", what="the join")

    def restart(self, node):
        if self.draw.random() < 0.5:
            node.stop()
        else:
            node.kill()
        node.start()

    def revoke(self, client, peer):
        op = self.next_op()
        client.ask(op, "DELETE", f"/peers/{peer.backend_id}")
        self.promise(op, op, client.node, "line", f"revoked {peer.backend_id} ")

    # ---- The whole ----

    def burst(self, count):
        """Several clients at once, so that commits are shared."""
        def write(number, node, draw):
            client = Client(self, node)
            for _ in range(draw.randrange(1, 5)):
                conversation = f"talk-{node.kind}-{draw.randrange(6)}"
                self.append(client, draw, conversation, f"m{number:06d}")
                number += 1
            client.close()

        threads = []
        for _ in range(count):
            self.ids += 10
            threads.append(threading.Thread(target=write, args=(
                self.ids, self.draw.choice(self.both), random.Random(self.draw.random()))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def change_one(self, client):
        mine = self.messages[client.node]
        if not mine:
            return
        index = self.draw.randrange(len(mine))
        if self.draw.random() < 0.6:
            self.edit(client, self.draw, *mine[index])
        else:
            self.delete(client, *mine.pop(index))

    def drop_one(self, client):
        self.ids += 1
        conversation = f"short-{self.ids}"
        for number in range(self.draw.randrange(1, 4)):
            self.append(client, self.draw, conversation, f"s{number}")
        mine = self.messages[client.node]
        self.messages[client.node] = [item for item in mine if item[0] != conversation]
        self.delete_conversation(client, conversation)

    def round(self):
        client = Client(self, self.draw.choice(self.both))
        what = self.draw.randrange(100)
        if what < 40:
            self.burst(self.draw.randrange(1, 7))
        elif what < 60:
            self.change_one(client)
        elif what < 70:
            self.import_some(client)
        elif what < 78:
            self.drop_one(client)
        elif what < 86:
            self.token(client)
        elif what < 95:
            self.sync(client)
        else:
            client.close()
            self.restart(client.node)
        client.close()

    def run(self, operations):
        self.join()
        rotate_at = operations // 2
        while self.op < operations:
            self.round()
            if rotate_at and self.op >= rotate_at:
                rotate_at = 0
                client = Client(self, self.local)
                self.rotate(client)
                self.sync(client)
                client.close()
        client = Client(self, self.hosted)
        self.sync(client)
        self.revoke(client, self.local)
        client.close()
        for node in self.both:
            if node.stop() != 0:
                raise AssertionError(node.log_text())
        self.write_claims()

    def write_claims(self):
        with open(self.recording.claims, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in self.lines))


def record(seed, operations):
    recording = Recording()
    try:
        Workload(recording, seed).run(operations)
    except BaseException:
        recording.remove()
        raise
    return recording
