# SPDX-License-Identifier: Apache-2.0
"""A thousand clients that want to keep the node busy by being slow: a third send one byte of a head
a second, a third one byte of a body, a third do not read their answers. Who is cut off comes back
soon. Meanwhile the operator must be served as before, and memory stays within limits."""
import http.client
import json
import multiprocessing
import os
import re
import resource
import selectors
import socket
import statistics
import sys
import time
import unittest

from nodes import Node, conversation, is_check_build, scratch, until, write_lines

MIB = 1 << 20
SECONDS = 60
SLOW = 100 if is_check_build() else 1000  # there all tables are smaller
ROUNDS = 5
# Below this the noise of a shared machine is larger than what is measured.
FLOOR_SECONDS = 0.025
LIMITS = os.path.join(os.path.dirname(__file__), "../../engine/base/bounds.h")
CONTEXT = multiprocessing.get_context("fork")


def limit(name):
    """The value of a limit of this build."""
    with open(LIMITS, encoding="utf-8") as file:
        text = re.search(rf"#define {name}\s+(.+)", file.read()).group(1)
    text = text.replace("PL_LIMIT", "").replace("u", "")
    value = eval(text, {"__builtins__": {}})  # of "(256, 16)" or "(160 << 20)", from our own file
    return value[is_check_build()] if isinstance(value, tuple) else value


def private_bytes(pid):
    """Memory that the process has for itself, in RAM or swapped; not the pages of the store, which
    are the file's."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return 1024 * sum(int(line.split()[1]) for line in file
                          if line.startswith(("Anonymous:", "Swap:")))


def other_address():
    """An address of this machine that is not loopback: who calls 127.0.0.1 from there is taken for
    another machine. Nothing is sent to find it. None if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


# ---- The crowd, in a process of its own ----

class SlowClient:
    def __init__(self, port, source, rest, opening, slowly):
        self.port = port
        self.source = source
        self.opening = opening  # said at once
        self.slowly = slowly    # and then this, byte by byte
        self.rest = rest        # seconds until it comes back when it was cut off
        self.rested = rest
        self.socket = None

    def step(self):
        """Once a second."""
        if self.socket is None:
            self.rested += 1
            if self.rested > self.rest:
                self.connect()
            return
        try:
            if self.sent < len(self.slowly):
                self.socket.send(self.slowly[self.sent:self.sent + 1])
                self.sent += 1
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def connect(self):
        self.sent = 0
        self.rested = 0
        self.greeted = False
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        if self.source:
            self.socket.bind((self.source, 0))
        self.socket.connect_ex(("127.0.0.1", self.port))

    def opened(self):
        """It is connected, or cannot be."""
        self.greeted = True
        try:
            if self.opening:
                self.socket.send(self.opening)
        except OSError:
            self.close()

    def is_cut_off(self):
        """Looks whether the node has closed it, without reading what it was sent."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def run_crowd(port, source, rest, kinds, count, stop, alive):
    """Each client has its turn once a second; they are spread over it. `alive`: how many have been
    there at all."""
    clients = [SlowClient(port, source, rest, *kinds[i % len(kinds)]) for i in range(count)]
    seen = set()
    fresh = selectors.DefaultSelector()
    turn = 0
    began = time.monotonic()
    while not stop.is_set():
        for key, _ in fresh.select(0.005):
            fresh.unregister(key.fileobj)
            key.data.opened()
        due = int((time.monotonic() - began) * count)
        while turn < due:
            client = clients[turn % count]
            turn += 1
            if client.socket is not None and not client.greeted:
                continue
            if client.socket is not None and client.is_cut_off():
                client.close()
            client.step()
            if client.socket is not None and not client.greeted:
                fresh.register(client.socket, selectors.EVENT_WRITE, client)
                seen.add(client)
        alive.value = len(seen)
    for client in clients:
        client.close()


class Crowd:
    def __init__(self, port, source, rest, kinds, count):
        self.stop = CONTEXT.Event()
        self.alive = CONTEXT.Value("i", 0)
        self.process = CONTEXT.Process(target=run_crowd, daemon=True, args=(
            port, source, rest, kinds, count, self.stop, self.alive))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.process.join(SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


# ---- The operator ----

class Operator:
    """Keeps a connection while it is kept, and opens a new one for every tenth request."""

    def __init__(self, node):
        self.port = node.port
        self.head = {"Authorization": "Bearer " + node.token()}
        self.connection = None
        self.asked = 0
        self.dropped = 0  # connections that the node closed

    def drop(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ask(self, method, path, body=None):
        """Returns the status. Tries anew, as HTTP clients do, when the connection was closed; a new
        one can lose its place to newcomers when this process is not run for some 50 ms."""
        for _ in range(4):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                self.connection.request(method, path, body, self.head)
                answer = self.connection.getresponse()
                answer.read()
                return answer.status
            except (OSError, http.client.HTTPException):
                self.drop()
                self.dropped += 1
        return 0

    def next_request(self):
        self.asked += 1
        if self.asked % 10 == 0:
            self.drop()
        if self.asked % 3 == 0:
            body = json.dumps({"role": "user", "content": f"number {self.asked}"})
            return self.ask("POST", "/conversations/operator/messages", body) == 201
        path = "/status" if self.asked % 3 == 1 else "/conversations/conv-00001"
        return self.ask("GET", path) == 200

    def round(self, count=300, seconds=20):
        """(99th percentile in seconds, requests that failed)"""
        times = []
        failed = 0
        end = time.monotonic() + seconds
        while len(times) < count and time.monotonic() < end:
            began = time.monotonic()
            failed += not self.next_request()
            times.append(time.monotonic() - began)
        return sorted(times)[len(times) * 99 // 100], failed

    def rounds(self):
        done = [self.round() for _ in range(ROUNDS)]
        return statistics.median(p99 for p99, _ in done), sum(failed for _, failed in done)


def head(method, path, *fields):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def strangers():
    """(what is said at once, what is said slowly) of each kind; without a token."""
    slow_head = head("GET", "/health", "X-Slow: " + "x" * 500)
    slow_body = head("POST", "/register-peer", "Content-Length: 60000")
    unread = head("GET", "/identity") * 40
    return [(b"", slow_head), (slow_body, b'{"sbt":"' + b"x" * 500), (unread, b"")]


def insiders(token):
    bearer = "Authorization: Bearer " + token
    slow_head = head("GET", "/conversations", bearer, "X-Slow: " + "x" * 500)
    # Short enough that the node takes all of them: for long ones it soon has no memory (503).
    slow_body = head("POST", "/conversations/slow/messages", bearer, "Content-Length: 60000")
    unread = head("GET", f"/export?limit_bytes={4 * MIB}", bearer)
    # The first request shows the token, so that a slow head is that of somebody who is known.
    return [(head("GET", "/health", bearer), slow_head),
            (slow_body, b'{"content":"' + b"x" * 500), (unread, b"")]


class Slow(unittest.TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < SLOW + 200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * SLOW), hard))
        base = scratch()
        self.node = Node(base, "node", "--plain-peers").start()
        self.addCleanup(lambda: self.node.process.poll() is None and self.node.stop())
        self.node.json("import", write_lines(os.path.join(base, "lines"),
                                             [conversation(number) for number in range(20)]))
        self.token = self.node.json("token", "create", "--user", "eve", "--ttl", "10m")["token"]

    def fill(self):
        """So much that an export is as long as it may be."""
        for number in range(6):
            body = {"role": "user", "content": "x" * MIB}
            self.assertEqual(201, self.node.http("POST", f"/conversations/big{number:03d}/messages",
                                                 body)[0])

    def check(self, kinds, source, rest, held_max):
        """Measures without the crowd and with it. `held_max`: bytes of bodies and answers that this
        crowd may make the node hold."""
        operator = Operator(self.node)
        pid = self.node.process.pid
        operator.round(50)
        quiet, failed = operator.rounds()
        self.assertEqual(0, failed)
        base = private_bytes(pid)
        with Crowd(self.node.port, source, rest, kinds, SLOW) as crowd:
            until(lambda: crowd.alive.value == SLOW, what="the crowd")
            operator.round(50)
            most = 0
            done = []
            for _ in range(ROUNDS):
                done.append(operator.round())
                most = max(most, private_bytes(pid))
        busy = statistics.median(p99 for p99, _ in done)
        # The state of a connection, its head and the place where its chunks arrive, twice over for
        # the pages of the heap; and what they may make the node hold.
        a_connection = 2 * (limit("PL_HTTP_HEAD_BYTES_MAX") + 16384)
        grown_max = limit("PL_CONNS_MAX") * a_connection + held_max + 8 * MIB
        print(f"p99 {quiet * 1e3:.1f} ms without them, {busy * 1e3:.1f} ms with them; "
              f"{(most - base) / MIB:.1f} MiB more, at most {grown_max / MIB:.0f} are allowed; "
              f"{operator.dropped} of the operator's connections were closed",
              file=sys.stderr)
        self.assertEqual(0, sum(failed for _, failed in done), "requests of the operator failed")
        self.assertLess(operator.dropped, operator.asked // 20)
        self.assertLessEqual(busy, max(2 * quiet, FLOOR_SECONDS))
        if not is_check_build():
            self.assertLessEqual(most - base, grown_max)
        self.assertEqual(200, operator.ask("GET", "/status"))
        operator.drop()

    def strangers_hold(self):
        return limit("PL_UNPROVED_MAX") * 2 * 65536

    def test_strangers_of_this_machine_do_not_starve_the_operator(self):
        self.check(strangers(), None, 1, self.strangers_hold())

    def test_strangers_of_another_machine_do_not_starve_the_operator(self):
        source = other_address()
        if source is None:
            print("SKIPPED test_slow_clients: no address but loopback to come from",
                  file=sys.stderr)
            self.skipTest("no other address")
        self.check(strangers(), source, 1, self.strangers_hold())

    def test_users_do_not_starve_the_operator(self):
        self.fill()
        # They rest for longer: what is tried here is slowness, and exports are work.
        self.check(insiders(self.token), other_address(), 4, limit("PL_NODE_BUFFER_BYTES_MAX") +
                   limit("PL_HTTP_WHOLE_BYTES_MAX"))  # of a buffer that grows there are two


if __name__ == "__main__":
    unittest.main()
