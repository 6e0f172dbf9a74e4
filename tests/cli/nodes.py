# SPDX-License-Identifier: Apache-2.0
"""Starts, kills and asks real nodes. Ports are chosen by the kernel; everything is in a fresh
directory; processes are stopped by their own id; every wait has an end."""
import atexit
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

PARLEYD = os.environ.get("PARLEYD", "parleyd")
PARLEY = os.environ.get("PARLEY", "parley")
START_SECONDS = 30
CALL_SECONDS = 120

running = set()


def clean_environment():
    environment = dict(os.environ)
    for name in ("BACKEND_PRIVATE_KEY", "PARLEY_PASSPHRASE", "PARLEY_DATA", "NOTIFY_SOCKET",
                 "CREDENTIALS_DIRECTORY"):
        environment.pop(name, None)
    return environment


@atexit.register
def stop_all():
    for process in list(running):
        if process.poll() is None:
            process.kill()
            process.wait()


def scratch():
    path = tempfile.mkdtemp(prefix="parley-cli-")
    atexit.register(shutil.rmtree, path, True)
    return path


def is_check_build():
    """Whether the daemon was built by the preset `check`: with sanitizers, which keep freed memory,
    and with limits of a few connections."""
    with open(PARLEYD, "rb") as file:
        return b"__asan_init" in file.read()


class Result:
    """What a run of parley gave."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out[-2000:]}\n--- stderr\n{self.err[-2000:]}"


def run(arguments, stdin=None, environment=None):
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(arguments, input=data if data is not None else b"",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CALL_SECONDS,
                          env=environment or clean_environment(), check=False)
    return Result(done.returncode, done.stdout.decode("utf-8", "surrogateescape"),
                  done.stderr.decode("utf-8", "surrogateescape"))


class Node:
    def __init__(self, base, name, *flags, kind=None):
        self.data = os.path.join(base, name)
        self.flags = list(flags)
        self.kind = kind
        self.port = 0
        self.process = None
        self.line = ""
        self.log = self.data + ".log"

    # ---- The daemon ----

    def spawn(self, *flags, environment=None):
        """Starts it and returns the first line of its stdout, "" when it ended instead."""
        arguments = [PARLEYD, "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]
        arguments += self.flags + list(flags)
        if self.kind and not os.path.exists(self.data):
            arguments += ["--type", self.kind]
        return self.spawn_arguments(arguments, environment)

    def spawn_arguments(self, arguments, environment):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=log,
                                        env=environment or clean_environment())
        log.close()
        running.add(self.process)
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        if not ready:
            raise AssertionError(f"{self.data}: not ready after {START_SECONDS} s")
        self.line = self.process.stdout.readline().decode()
        return self.line

    def start(self, *flags, environment=None):
        line = self.spawn(*flags, environment=environment)
        if not line.startswith("parleyd ready on "):
            raise AssertionError(f"{self.data}: {line!r}\n{self.log_text()}")
        self.port = int(line.split(" ")[3].rstrip(",").rsplit(":", 1)[1])
        return self

    def wait(self):
        code = self.process.wait(START_SECONDS)
        self.process.stdout.close()
        running.discard(self.process)
        return code

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()

    def log_text(self):
        with open(self.log, "r", errors="replace") as file:
            return file.read()[-4000:]

    # ---- The command line ----

    def cli(self, *arguments, stdin=None, environment=None):
        return run([PARLEY, "--data", self.data, *arguments], stdin, environment)

    def json(self, *arguments, stdin=None):
        """Runs a command that must succeed; returns its JSON."""
        result = self.cli("--json", *arguments, stdin=stdin)
        if result.code != 0:
            raise AssertionError(f"parley {' '.join(arguments)[:200]}: {result}\n"
                                 f"{self.log_text()}")
        return result.json

    def invite(self, *flags):
        return self.json("invite", *flags)["url"].replace("127.0.0.1:8825",
                                                          f"127.0.0.1:{self.port}")

    def status(self):
        return self.json("status")

    def root(self, name="main"):
        for item in self.status()["namespaces"]:
            if item["name"] == name:
                return (item["root"], item["versions"], item["conversations"], item["messages"])
        return None

    def identity(self):
        return self.json("identity")["backend_id"]

    def export(self):
        path = self.data + ".export"
        self.json("export", path)
        with open(path, "rb") as file:
            return sorted(file.read().splitlines())

    # ---- HTTP ----

    def token(self):
        with open(os.path.join(self.data, "admin.token")) as file:
            return file.read().strip()

    def http(self, method, path, body=None, token="admin", headers=None):
        """Returns (status, parsed JSON or text)."""
        head = dict(headers or {})
        if token == "admin":
            token = self.token()
        if token:
            head["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
        try:
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode("utf-8", "replace")


def join(inviting, joining, *flags):
    return joining.json("join", inviting.invite(*flags))


def pair(base):
    """Two nodes that know each other: (local, hosted)."""
    local = Node(base, "local", kind="local").start()
    hosted = Node(base, "hosted", kind="hosted").start()
    join(hosted, local)
    return local, hosted


class PairCase(unittest.TestCase):
    """Tests of two nodes that know each other."""

    def setUp(self):
        self.base = scratch()
        self.local, self.hosted = pair(self.base)

    def tearDown(self):
        for node in (self.local, self.hosted):
            if node.process.poll() is None:
                node.stop()

    def sync(self):
        self.local.json("sync")
        self.hosted.json("sync")
        self.assertEqual(self.local.root(), self.hosted.root())


def until(check, seconds=30, what="it"):
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        select.select([], [], [], 0.05)


def conversation(number, messages=3, text="hello", updated=None):
    """A conversation as JSON lines hold it."""
    stamp = "2024-03-01T10:%02d:%02d.000000Z"
    return {
        "conversation_id": f"conv-{number:05d}",
        "title": f"Conversation {number} – Grüße 你好",
        "created_at": stamp % (number % 60, 0),
        "updated_at": updated or stamp % (number % 60, messages),
        "metadata": {"number": number, "tags": ["a", "b"]},
        "messages": [{
            "message_id": f"m{index:03d}",
            "role": "user" if index % 2 == 0 else "assistant",
            "content": f"{text} {number}.{index} 🎉",
            "timestamp": stamp % (number % 60, index),
            "source_backend": "import",
        } for index in range(messages)],
    }


def write_lines(path, items):
    with open(path, "w", encoding="utf-8") as file:
        for item in items:
            line = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
            file.write(line + "\n")
    return path
