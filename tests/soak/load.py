# SPDX-License-Identifier: Apache-2.0
"""What clients do to the nodes of a soak: all of it within a fixed set of names, so that what is
stored finds a level. A status that nobody expects is a finding; an end of the connection is one
only while nobody was doing anything to the node."""
import gzip
import http.client
import json
import os
import random
import socket
import threading
import time

TALKS = 40
MESSAGES = 24
FIELDS = 6
REQUEST_SECONDS = 40
WRITTEN = (200, 201, 404, 409, 410, 412)


class Lost(Exception):
    """The connection ended, or did not begin."""


class Client:
    """Requests to one of the daemons, counted."""

    def __init__(self, soak, seed):
        self.soak = soak
        self.random = random.Random(seed)

    def ask(self, daemon, method, path, body=None, token=None, want=(200,), **headers):
        """Returns (status, body); a finding when the status is not one of `want`."""
        head = {"Authorization": "Bearer " + (token or daemon.admin)}
        head.update({name.replace("_", "-"): value for name, value in headers.items()})
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        begun = daemon.troubles()
        connection = http.client.HTTPConnection("127.0.0.1", daemon.node.port,
                                                timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, data, head)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if daemon.troubles() == begun and not daemon.in_trouble():
                self.soak.finding(f"{daemon.name}: {method} {path}: {error!r}")
            self.soak.count("lost")
            raise Lost() from error
        finally:
            connection.close()
        self.soak.count(f"{method} {answer.status}")
        if answer.status not in want:
            self.soak.finding(f"{daemon.name}: {method} {path}: {answer.status} {text[:200]!r}")
        if answer.getheader("Content-Encoding") == "gzip":
            text = gzip.decompress(text)
        return answer.status, text

    def talk(self):
        return f"talk-{self.random.randrange(TALKS):03d}"

    def message(self):
        return f"m{self.random.randrange(MESSAGES):02d}"

    def text(self):
        """Mostly short; some fill pages of their own, one in a hundred needs several frames."""
        size = self.random.choice((20, 60, 200, 200, 600, 600, 1500, 5000))
        if self.random.random() < 0.01:
            size = 80000
        word = f"{self.random.getrandbits(64):016x} Grüße "
        return (word * (size // len(word) + 1))[:size]

    def loop(self, turn, rate):
        """turn() again and again, `rate` a second on average, until the load ends."""
        while not self.soak.calm.is_set():
            begun = time.monotonic()
            try:
                turn(self.random.choice(self.soak.daemons))
            except Lost:
                self.soak.calm.wait(0.2)
            pause = self.random.expovariate(rate) - (time.monotonic() - begun)
            if pause > 0:
                self.soak.calm.wait(pause)


class Writer(Client):
    def run(self):
        self.loop(self.turn, self.soak.rate)

    def turn(self, daemon):
        turns = ((self.append, 40), (self.edit, 15), (self.rename, 8), (self.grow, 6),
                 (self.drop, 8), (self.drop_all, 2), (self.import_some, 3), (self.create, 3),
                 (self.purge, 0.1))
        what = self.random.choices([t for t, _ in turns], [w for _, w in turns])[0]
        self.soak.count(what.__name__)
        what(daemon)

    def append(self, daemon):
        path = f"/conversations/{self.talk()}/messages"
        body = {"message_id": self.message(), "role": "user", "content": self.text()}
        status, _ = self.ask(daemon, "POST", path, body, want=WRITTEN)
        if status == 409:
            self.ask(daemon, "PATCH", f"{path}/{body['message_id']}",
                     {"content": body["content"]}, want=WRITTEN)

    def edit(self, daemon):
        self.ask(daemon, "PATCH", f"/conversations/{self.talk()}/messages/{self.message()}",
                 {"content": self.text()}, want=WRITTEN)

    def rename(self, daemon):
        key = f"key{self.random.randrange(FIELDS)}"
        value = None if self.random.random() < 0.3 else self.random.randrange(1000)
        self.ask(daemon, "PATCH", f"/conversations/{self.talk()}",
                 {"title": f"title {self.random.randrange(1000)}", "metadata": {key: value}},
                 want=WRITTEN)

    def grow(self, daemon):
        """A text that comes in pieces, from its beginning if it can be."""
        talk, message = self.talk(), self.message()
        path = f"/conversations/{talk}/messages/{message}"
        self.ask(daemon, "DELETE", path, want=WRITTEN)
        for number in range(self.random.randrange(5, 25)):
            if self.soak.calm.wait(0.02):
                break
            status, _ = self.ask(daemon, "POST", path + "/append",
                                 {"role": "assistant", "content": f"piece {number} of a text "},
                                 want=WRITTEN)
            if status not in (200, 201):
                return
        self.ask(daemon, "POST", path + "/append?durable=1",
                 {"role": "assistant", "content": "end", "done": True}, want=WRITTEN)

    def drop(self, daemon):
        self.ask(daemon, "DELETE", f"/conversations/{self.talk()}/messages/{self.message()}",
                 want=WRITTEN)

    def drop_all(self, daemon):
        self.ask(daemon, "DELETE", f"/conversations/{self.talk()}", want=WRITTEN)

    def purge(self, daemon):
        self.ask(daemon, "POST", f"/conversations/{self.talk()}/purge", {"reason": "soak"},
                 want=(200, 404))

    def import_some(self, daemon):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        lines = [json.dumps({
            "conversation_id": self.talk(), "title": "imported", "created_at": stamp,
            "updated_at": stamp, "messages": [
                {"message_id": self.message(), "role": "user", "content": self.text(),
                 "timestamp": stamp} for _ in range(4)]}) for _ in range(3)]
        self.ask(daemon, "POST", "/import", "\n".join(lines) + "\n",
                 Content_Type="application/x-ndjson")

    def create(self, daemon):
        self.ask(daemon, "POST", "/conversations",
                 {"conversation_id": self.talk(), "title": "made",
                  "messages": [{"message_id": self.message(), "role": "user",
                                "content": self.text()}]}, want=WRITTEN)


class Reader(Client):
    def run(self):
        self.loop(self.turn, self.soak.rate)

    def turn(self, daemon):
        talk = self.talk()
        path = self.random.choice((
            f"/conversations/{talk}", f"/conversations/{talk}/messages?limit=10&order=desc",
            f"/conversations/{talk}/messages/{self.message()}", f"/conversations/{talk}/history",
            "/conversations?limit=50", "/conversations?order=id&prefix=talk-01", "/export",
            "/changes?limit=1000", "/changes?since=now&wait=2", "/conflicts?all=1", "/status",
            "/tokens?limit=50", "/audit?limit=50", "/openapi.json", "/trash"))
        headers = self.random.choice(({}, {"Accept": "application/msgpack"},
                                      {"Accept_Encoding": "gzip"}, {"Accept_Encoding": "zstd"}))
        status, text = self.ask(daemon, "GET", path, want=(200, 404), **headers)
        if status == 200 and headers.get("Accept_Encoding") == "gzip" and path != "/export":
            json.loads(text)


class Stream(Client):
    """Server-sent events: comes, listens for a while, leaves in one way or the other."""

    def run(self):
        self.loop(self.turn, 0.5)

    def turn(self, daemon):
        try:
            with socket.create_connection(("127.0.0.1", daemon.node.port), 5) as s:
                s.sendall((f"GET /changes?since=now HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           f"Authorization: Bearer {daemon.admin}\r\n"
                           "Accept: text/event-stream\r\n\r\n").encode())
                s.settimeout(1)
                end = time.monotonic() + self.random.uniform(0.2, 8)
                while time.monotonic() < end and not self.soak.calm.is_set():
                    try:
                        if not s.recv(65536):
                            break
                    except TimeoutError:
                        continue
                if self.random.random() < 0.5:  # a reset in the place of an end
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.soak.count("streams")
        except OSError:
            self.soak.count("lost")


class Slow(Client):
    """Asks for much and takes it in small bites, or not at all."""

    def run(self):
        self.loop(self.turn, 0.5)

    def turn(self, daemon):
        try:
            with socket.create_connection(("127.0.0.1", daemon.node.port), 5) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall((f"GET /export HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           f"Authorization: Bearer {daemon.admin}\r\n\r\n").encode())
                for _ in range(self.random.randrange(60)):
                    if self.soak.calm.wait(0.2) or not s.recv(512):
                        break
            self.soak.count("slow readers")
        except OSError:
            self.soak.count("lost")


class Operator(Client):
    """Tokens, retention, keys, checks and backups."""

    def __init__(self, soak, seed):
        super().__init__(soak, seed)
        self.rotations = 0
        self.next_rotation = time.monotonic() + 20

    def run(self):
        self.loop(self.turn, 1)

    def turn(self, daemon):
        turns = ((self.token, 20), (self.retention, 3), (self.check, 2), (self.backup, 2),
                 (self.rotate, 2))
        self.random.choices([t for t, _ in turns], [w for _, w in turns])[0](daemon)

    def token(self, daemon):
        """Made, used, revoked, used in vain."""
        _, text = self.ask(daemon, "POST", "/tokens", {"user_id": "ann", "ttl_seconds": 60},
                           want=(201,))
        made = json.loads(text)
        self.ask(daemon, "GET", "/conversations?limit=5", token=made["token"])
        self.ask(daemon, "DELETE", f"/tokens/{made['sbt_id']}")
        self.ask(daemon, "GET", "/conversations?limit=5", token=made["token"], want=(401,))
        self.soak.count("tokens")

    def retention(self, daemon):
        self.ask(daemon, "POST", "/retention", {"versions": self.random.choice((1, 2, 3, 4))})

    def check(self, daemon):
        _, text = self.ask(daemon, "GET", "/check")
        if not json.loads(text)["ok"]:
            self.soak.finding(f"{daemon.name}: /check: {text[:300]!r}")
        self.soak.count("checks")

    def backup(self, daemon):
        """By parts, as `parley backup` does; then proved."""
        path = os.path.join(self.soak.out, f"{daemon.name}.backup")
        after, parts = "", []
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", daemon.node.port,
                                                    timeout=REQUEST_SECONDS)
            try:
                connection.request("GET", "/backup?limit_bytes=262144" + after, None,
                                   {"Authorization": "Bearer " + daemon.admin})
                answer = connection.getresponse()
                parts.append(answer.read())
            except (OSError, http.client.HTTPException) as error:
                raise Lost() from error
            finally:
                connection.close()
            if answer.status != 200:
                self.soak.finding(f"{daemon.name}: /backup: {answer.status} {parts[-1][:200]!r}")
                return
            after = answer.getheader("X-Parley-Next")
            if after is None:
                break
            after = "&after=" + after
        with open(path, "wb") as file:
            file.write(b"".join(parts))
        proved = daemon.node.cli("restore", "--verify", path)
        if proved.code != 0:
            self.soak.finding(f"{daemon.name}: the backup is refused: {proved}")
        os.unlink(path)
        self.soak.count("backups")

    def rotate(self, daemon):
        """Each identity may have 16; so one every five minutes among all of them."""
        if time.monotonic() < self.next_rotation:
            return
        self.next_rotation = time.monotonic() + 300
        self.ask(daemon, "POST", "/key/rotate", {}, want=(202, 409))
        self.soak.count("rotations")


def start(soak, seed):
    """All clients, each in a thread of its own."""
    kinds = [Writer] * 3 + [Reader] * 2 + [Stream] * 3 + [Slow] * 2 + [Operator]
    threads = []
    for number, kind in enumerate(kinds):
        client = kind(soak, f"{seed} {number}")
        thread = threading.Thread(target=soak.guarded, args=(client.run,), daemon=True)
        thread.start()
        threads.append(thread)
    return threads
