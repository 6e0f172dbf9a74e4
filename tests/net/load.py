# SPDX-License-Identifier: Apache-2.0
"""Load on one node, and what the node acknowledged of it. A request that gets no answer, because
the node was killed, is sent again until it gets one, as a client would do; so when a writer pauses
there is no doubt about anything that it wrote."""
import http.client
import json
import random
import threading
import time

from wires import Connection, nodes

SHARED = 5       # conversations that all nodes write to
HOT = 4          # messages that all nodes edit
PAUSE_SECONDS = 0.02
RETRIED = (429, 503)


class Message:
    """A message that one node alone writes, as that node has acknowledged it."""

    def __init__(self, where, content):
        self.where = where
        self.content = content  # None: deleted
        self.versions = 1       # that it has had


class Ledger:
    def __init__(self):
        self.messages = {}   # id -> Message
        self.imported = {}   # conversation -> how it came, or None when deleted
        self.hot = {}        # id -> [(timestamp, content)] of those that all edit
        self.wrong = []      # what the node answered that it must not answer
        self.acknowledged = 0
        self.unanswered = 0


def make_hot(node):
    """The messages that all edit; returns their ledger."""
    ledger = Ledger()
    for index in range(HOT):
        status, answer = node.http("POST", "/conversations/hot/messages",
                                   {"message_id": f"h{index}", "role": "user", "content": "made"})
        if status != 201:
            raise AssertionError(f"node {node.number}: {status} {answer}")
        ledger.hot[f"h{index}"] = [(answer["timestamp"], "made")]
    return ledger


class Writer(threading.Thread):
    def __init__(self, node, seed):
        super().__init__(daemon=True)
        self.node = node
        self.draw = random.Random(f"{seed}/writer/{node.number}")
        self.ledger = Ledger()
        self.token = node.token()
        self.connection = None
        self.number = 0
        self.imports = 0
        self.broken = False          # the connection broke since the last look back
        self.go = threading.Event()  # cleared: pause
        self.idle = threading.Event()
        self.done = False
        self.failure = None

    # ---- Requests ----

    def once(self, method, path, body):
        if self.connection is None:
            self.connection = Connection(self.node.space)
        self.connection.request(method, path, body, {"Authorization": "Bearer " + self.token})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def call(self, method, path, body=None):
        """(status, answer, how often it was asked); asks until there is an answer."""
        data = body.encode() if isinstance(body, str) else \
            json.dumps(body).encode() if body is not None else None
        tries = 0
        while not self.done:
            tries += 1
            try:
                status, answer = self.once(method, path, data)
            except (OSError, http.client.HTTPException):
                self.ledger.unanswered += 1
                self.connection.close()
                self.connection = None
                self.broken = True
                time.sleep(0.02)
                continue
            if status not in RETRIED:
                return status, answer, tries
            tries -= 1
            time.sleep(0.05)
        raise InterruptedError

    def complain(self, what, status, answer):
        self.ledger.wrong.append(f"node {self.node.number}: {what}: {status} {str(answer)[:300]}")

    # ---- What it does ----

    def text(self, name):
        length = self.draw.choice((0, 20, 100, 400, 2000))
        if self.draw.random() < 0.005:
            length = 300_000
        return name + " " + "lorem Grüße 你好 "[:self.draw.randrange(2, 15)] * (length // 8)

    def pick(self):
        alive = [m for m in self.ledger.messages if self.ledger.messages[m].content is not None]
        return self.draw.choice(alive) if alive else None

    def append(self):
        self.number += 1
        name = f"n{self.node.number}-{self.number:06d}"
        where = f"shared-{self.draw.randrange(SHARED)}"
        content = self.text(name)
        status, answer, _ = self.call("POST", f"/conversations/{where}/messages",
                                      {"message_id": name, "role": "user", "content": content})
        if status not in (200, 201):
            return self.complain(f"append {name}", status, answer)
        self.ledger.messages[name] = Message(where, content)
        return True

    def edit(self):
        name = self.pick()
        if name is None:
            return None
        message = self.ledger.messages[name]
        content = self.text(f"{name}.{message.versions}")
        status, answer, _ = self.call("PATCH", f"/conversations/{message.where}/messages/{name}",
                                      {"content": content})
        if status != 200:
            return self.complain(f"edit {name}", status, answer)
        message.content = content
        message.versions += 1
        return True

    def delete(self):
        name = self.pick()
        if name is None:
            return None
        message = self.ledger.messages[name]
        status, answer, tries = self.call("DELETE",
                                          f"/conversations/{message.where}/messages/{name}")
        if status != 200 and not (status == 404 and tries > 1):
            return self.complain(f"delete {name}", status, answer)
        message.content = None
        message.versions += 1
        return True

    def read(self):
        name = self.pick()
        if name is None:
            return None
        message = self.ledger.messages[name]
        status, answer, _ = self.call("GET", f"/conversations/{message.where}/messages/{name}")
        if status != 200 or answer["content"] != message.content:
            self.complain(f"I1: {name} reads other than acknowledged", status, answer)
        return None

    def edit_hot(self):
        name = f"h{self.draw.randrange(HOT)}"
        self.number += 1
        content = f"hot n{self.node.number}-{self.number}"
        status, answer, _ = self.call("PATCH", f"/conversations/hot/messages/{name}",
                                      {"content": content})
        if status == 404:
            return None  # it has not come here yet
        if status != 200:
            return self.complain(f"edit {name}", status, answer)
        self.ledger.hot.setdefault(name, []).append((answer["timestamp"], content))
        return True

    def import_some(self):
        """Three conversations of its own, and one that every node imports."""
        self.imports += 1
        items = []
        for index in range(3):
            items.append(nodes.conversation(10 * self.imports + index))
            items[-1]["conversation_id"] = f"imp-{self.node.number}-{self.imports}-{index}"
        items.append(nodes.conversation(self.imports))
        items[-1]["conversation_id"] = f"both-{self.imports}"
        lines = "".join(json.dumps(item) + "\n" for item in items)
        status, answer, _ = self.call("POST", "/import", lines)
        if status != 200 or answer.get("errors") or answer["received"] != len(items):
            return self.complain("import", status, answer)
        for item in items:
            self.ledger.imported[item["conversation_id"]] = item
        return True

    def delete_import(self):
        alive = [c for c, n in self.ledger.imported.items() if n is not None and c[:4] == "imp-"]
        if not alive:
            return None
        name = self.draw.choice(alive)
        status, answer, tries = self.call("DELETE", f"/conversations/{name}")
        if status != 200 and not (status == 404 and tries > 1):
            return self.complain(f"delete conversation {name}", status, answer)
        self.ledger.imported[name] = None
        return True

    def step(self):
        if self.broken:
            # The node was killed: what it had acknowledged must be there, whoever it can reach.
            self.broken = False
            for _ in range(10):
                self.read()
        action = self.draw.choices(
            (self.append, self.edit, self.delete, self.edit_hot, self.read, self.import_some,
             self.delete_import), (40, 20, 8, 10, 10, 1, 1))[0]
        if action():
            self.ledger.acknowledged += 1

    def run(self):
        try:
            while not self.done:
                if not self.go.is_set():
                    self.idle.set()
                    self.go.wait(0.2)
                    continue
                self.idle.clear()
                self.step()
                time.sleep(self.draw.random() * 2 * PAUSE_SECONDS)
        except InterruptedError:
            pass
        except BaseException as why:  # else the world would wait for this thread
            self.failure = why
            raise
        finally:
            self.idle.set()
            if self.connection is not None:
                self.connection.close()

    # ---- For the world ----

    def resume(self):
        self.idle.clear()
        self.go.set()

    def pause(self, seconds):
        """Waits until the request under way is answered."""
        self.go.clear()
        if not self.idle.wait(seconds):
            raise AssertionError(f"node {self.node.number} answers nothing for {seconds} s")
        if self.failure is not None:
            raise AssertionError(f"writer {self.node.number}: {self.failure!r}")

    def end(self):
        self.done = True
        self.go.set()
        self.join(90)
