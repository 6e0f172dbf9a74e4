# SPDX-License-Identifier: Apache-2.0
"""The switch and the nodes behind it. Namespaces have no names and no files: they go with the
processes in them. Daemons get SIGKILL from the kernel when this process dies, however it dies, and
the switch ends with its stdin."""
import ctypes
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import nodes  # noqa: E402

NET_SWITCH = os.environ.get("NET_SWITCH", "net_switch")
PORT = 8825
ANSWER_SECONDS = 60
EXIT_NOT_HERE = 3

libc = ctypes.CDLL(None, use_errno=True)


class NotHere(Exception):
    """Namespaces or TUN devices are not allowed on this machine."""


class Quality:
    """What a wire does to packets; shares are of 1."""

    def __init__(self, delay_ms=1.0, jitter_ms=0.0, loss=0.0, dup=0.0, reorder=0.0, hold_ms=0.0):
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.loss = loss
        self.dup = dup
        self.reorder = reorder
        self.hold_ms = hold_ms

    def command(self, one, other):
        micros = [int(1000 * x) for x in (self.delay_ms, self.jitter_ms)]
        shares = [int(1e6 * x) for x in (self.loss, self.dup, self.reorder)]
        return " ".join(map(str, ["quality", one, other, *micros, *shares,
                                  int(1000 * self.hold_ms)]))


class Switch:
    def __init__(self, count, seed):
        self.count = count
        self.process = subprocess.Popen([NET_SWITCH, str(count), str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        nodes.running.add(self.process)
        ready = self.process.stdout.readline().split()
        if not ready:
            _, why = self.process.communicate()
            nodes.running.discard(self.process)
            if self.process.returncode == EXIT_NOT_HERE:
                raise NotHere(why.strip())
            raise AssertionError(f"net_switch: exit {self.process.returncode}: {why}")
        self.paths = [f"/proc/{self.process.pid}/fd/{fd}" for fd in ready[1:]]
        self.spaces = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in self.paths]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.startswith("ok"):
            raise AssertionError(f"net_switch: {line}: {answer or 'it is gone'}")
        return answer[3:]

    def wires(self):
        every = range(1, self.count + 1)
        return [(a, b) for a in every for b in every if a != b]

    def turn(self, verb, wires):
        """`verb` is open, cut, stop or reset."""
        for one, other in wires:
            self.ask(f"{verb} {one} {other}")

    def set(self, quality, wires):
        for one, other in wires:
            self.ask(quality.command(one, other))

    def counts(self):
        return {k: int(v) for k, v in (pair.split("=") for pair in self.ask("counts").split())}

    def close(self):
        for fd in self.spaces:
            os.close(fd)
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()
        nodes.running.discard(self.process)


class Connection(http.client.HTTPConnection):
    """HTTP to 127.0.0.1 of another namespace. A socket stays in the namespace in which it was made,
    so this thread goes there for a moment; others do not notice."""

    def __init__(self, space):
        super().__init__("127.0.0.1", PORT, timeout=ANSWER_SECONDS)
        self.space = space

    def connect(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(self.space, 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            if libc.setns(home, 0) != 0:
                os.abort()  # this thread would go on in a network that is not its own
            os.close(home)
        made.settimeout(self.timeout)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            made.connect((self.host, self.port))
        except OSError:
            made.close()
            raise
        self.sock = made


made_keys = []


def key_of(number):
    """A key for a new identity. The daemon would make one as well, for each world anew; worlds that
    come one after the other have the same."""
    if shutil.which("openssl") is None:
        return None
    while len(made_keys) < number:
        made = subprocess.run(["openssl", "genrsa", "2048"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True, text=True)
        made_keys.append(made.stdout)
    return made_keys[number - 1]


class NetNode(nodes.Node):
    """A daemon in namespace `number` of a switch."""

    def __init__(self, base, switch, number, *flags, kind=None):
        super().__init__(base, f"n{number}", *flags, kind=kind)
        self.number = number
        self.port = PORT
        self.address = f"10.77.0.{number}:{PORT}"
        self.space = switch.spaces[number - 1]
        self.inside = ["setpriv", "--pdeathsig", "KILL", "nsenter",
                       f"--net={switch.paths[number - 1]}", "--"]
        self.link = None
        self.secret = key_of(number)

    def spawn(self, *flags, environment=None):
        arguments = [*self.inside, nodes.PARLEYD, "--data", self.data,
                     "--listen", f"0.0.0.0:{PORT}", "--advertise", self.address,
                     *self.flags, *flags]
        if self.kind and not os.path.exists(self.data):
            arguments += ["--type", self.kind]
        environment = dict(environment or nodes.clean_environment())
        if self.secret is not None:
            environment["BACKEND_PRIVATE_KEY"] = self.secret
        return self.spawn_arguments(arguments, environment)

    def cli(self, *arguments, stdin=None, environment=None):
        return nodes.run([*self.inside, nodes.PARLEY, "--data", self.data, *arguments], stdin,
                         environment)

    def http(self, method, path, body=None, token="admin", headers=None):
        status, text, _ = self.request(method, path, body)
        return status, json.loads(text)

    def request(self, method, path, body=None):
        """(status, body, what X-Parley-Next says), over a connection that is kept; for one thread.
        Only what may be repeated, for a connection that has ended is made anew."""
        for again in (False, True):
            if self.link is None:
                self.link = Connection(self.space)
            try:
                data = body if body is None or isinstance(body, bytes) else json.dumps(body)
                self.link.request(method, path, data,
                                  {"Authorization": "Bearer " + self.token()})
                answer = self.link.getresponse()
                return answer.status, answer.read(), answer.getheader("X-Parley-Next")
            except (OSError, http.client.HTTPException):
                self.hang_up()
                if again:
                    raise
        return None

    def hang_up(self):
        if self.link is not None:
            self.link.close()
            self.link = None

    def get(self, path):
        status, answer = self.http("GET", path)
        if status != 200:
            raise AssertionError(f"node {self.number}: GET {path}: {status} {answer}")
        return answer

    def status(self):
        return self.get("/status")

    def export(self):
        """All conversations as the node writes them, byte for byte."""
        pages, after = [], ""
        while after is not None:
            status, text, following = self.request("GET", "/export" + after)
            if status != 200:
                raise AssertionError(f"node {self.number}: export: {text[:500]}")
            pages.append(text)
            after = "?after=" + following if following is not None else None
        return b"".join(pages)
