# SPDX-License-Identifier: Apache-2.0
"""What of the secrets is left in the memory of a daemon that runs, stops, or cannot start. Each is
looked for in every form that it had: as it was given, as it was decoded, and as the arithmetic
has it."""
import base64
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

import nodes
from nodes import Node, PARLEYD, join, pair, scratch, until

FORGET_SECONDS = 3
PHRASE = "eleven purple herons recite the tide tables"

# ---- Reading memory ----


def memory_of(pid):
    """All that the process can write to: heap, stacks, data, its environment."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None:
                continue
            start, end = (int(text, 16) for text in match.groups())
            try:
                mem.seek(start)
                yield line.strip(), mem.read(end - start)
            except OSError:
                continue


def why_not():
    """Why the memory of a child cannot be judged here; "" when it can."""
    with open(PARLEYD, "rb") as file:
        program = file.read()
    if b"__asan_init" in program or b"__tsan_init" in program:
        return "sanitizers keep freed memory"
    child = subprocess.Popen(["sleep", "60"])
    try:
        return "" if any(memory for _, memory in memory_of(child.pid)) else "nothing can be read"
    except OSError as error:
        return f"/proc/PID/mem cannot be read: {error}"
    finally:
        child.kill()
        child.wait()


WHY_NOT = why_not()
if WHY_NOT:
    print(f"SKIPPED test_memory: {WHY_NOT}", file=sys.stderr)


# ---- Stopping a process where it ends, with its memory still there ----

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SETOPTIONS = 0, 7, 0x4200
PTRACE_O_TRACEEXIT, PTRACE_O_EXITKILL, PTRACE_EVENT_EXIT = 0x40, 0x100000, 6
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def traced(arguments, environment, log):
    """A process that stops where it ends."""
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=log, env=environment,
                               preexec_fn=lambda: libc.ptrace(PTRACE_TRACEME, 0, None, None))
    os.waitpid(process.pid, 0)  # at its exec
    ptrace(PTRACE_SETOPTIONS, process.pid, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)
    ptrace(PTRACE_CONT, process.pid)
    return process


def run_to_its_end(process, seconds=60):
    """Passes signals on until the process is about to be gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid == 0:
            time.sleep(0.02)
        elif not os.WIFSTOPPED(status):
            raise AssertionError("it ended unseen")
        elif status >> 16 == PTRACE_EVENT_EXIT:
            return
        else:
            ptrace(PTRACE_CONT, pid, os.WSTOPSIG(status))
    raise AssertionError(f"it did not end within {seconds} s")


def let_go(process):
    """Lets it end; returns its exit code."""
    ptrace(PTRACE_CONT, process.pid)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def end(process):
    """Of one that a test left behind."""
    if process.returncode is not None:
        return
    os.kill(process.pid, signal.SIGKILL)
    libc.ptrace(PTRACE_CONT, process.pid, None, None)  # when it stands at its end already
    pid, status = os.waitpid(process.pid, 0)
    if os.WIFSTOPPED(status):
        let_go(process)
    else:
        process.returncode = os.waitstatus_to_exitcode(status)


# ---- Secrets ----

def openssl_key():
    """A PEM private key; None when there is no openssl."""
    try:
        return subprocess.run(["openssl", "genrsa", "2048"], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return None


def der_numbers(der):
    """The integers of a private key in PKCS#1 or PKCS#8: version, n, e, d, p, q, dp, dq, qinv."""
    numbers = []
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7f
            length, at = int.from_bytes(der[at:at + size], "big"), at + size
        if tag == 0x02:
            numbers.append(int.from_bytes(der[at:at + length], "big"))
        if tag not in (0x30, 0x04):  # neither a sequence nor what wraps the key
            at += length
    return numbers[-9:]


def forms(name, number):
    """A number as bytes in both orders, and in words of 31 bits as BearSSL calculates with it."""
    size = (number.bit_length() + 7) // 8
    words = b"".join((number >> shift & 0x7fffffff).to_bytes(4, "little")
                     for shift in range(0, number.bit_length(), 31))
    return {name: number.to_bytes(size, "big"), name + " reversed": number.to_bytes(size, "little"),
            name + " in words": words}


def private_parts(pem):
    """All of a private key that is not public, in all forms; the middle of it is enough."""
    lines = [line for line in pem.splitlines() if "-----" not in line]
    names = ("d", "p", "q", "dp", "dq", "qinv")
    found = {}
    for name, number in zip(names, der_numbers(base64.b64decode("".join(lines)))[3:]):
        found.update(forms(name, number))
    return {name: value[16:-16] for name, value in found.items()}


def invite_secret(url):
    text = url.split("&s=")[1].split("&")[0]
    return {"the invite": text.encode(),
            "its secret": base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))}


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Memory(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.stop()

    def node(self, *flags):
        self.nodes.append(Node(self.base, f"n{len(self.nodes)}", *flags))
        return self.nodes[-1]

    def find(self, pid, secrets):
        """The names of those that are there, and where."""
        seen = 0
        found = []
        for line, memory in memory_of(pid):
            seen += len(memory)
            found += [f"{name} in {line} at {memory.find(secret):#x}"
                      for name, secret in secrets.items() if secret in memory]
        self.assertGreater(seen, 1 << 17, "the memory of the daemon was not read")
        return found

    def assert_forgotten(self, node, secrets):
        """Soon: the connection that brought a secret must be gone first."""
        end_at = time.monotonic() + FORGET_SECONDS
        found = self.find(node.process.pid, secrets)
        while found and time.monotonic() < end_at:
            time.sleep(0.1)
            found = self.find(node.process.pid, secrets)
        self.assertEqual([], found)

    # ---- While it runs ----

    def test_the_scan_finds_what_is_there(self):
        node = self.node().start()
        identity = node.identity().encode()
        self.assertNotEqual([], self.find(node.process.pid, {"id": identity}))

    def test_a_pass_phrase_is_forgotten(self):
        secrets = {"the pass phrase": PHRASE.encode()}
        node = self.node()
        environment = {**nodes.clean_environment(), "PARLEY_PASSPHRASE": PHRASE}
        path = os.path.join(self.base, "parley-passphrase")
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(PHRASE + "\n")
        credentials = {**nodes.clean_environment(), "CREDENTIALS_DIRECTORY": self.base}
        for flags, given in (((), environment), ((), environment), ((), credentials),
                             (("--passphrase-file", path), None)):
            node.start(*flags, environment=given)
            self.assert_forgotten(node, secrets)
            node.json("key", "rotate")
            node.json("token", "create", "--user", "ann")
            self.assert_forgotten(node, secrets)
            node.stop()

    def test_a_seal_key_is_forgotten(self):
        node = self.node()
        for _ in range(2):
            node.start()
            with open(os.path.join(node.data, "seal.key"), "rb") as file:
                self.assert_forgotten(node, {"seal.key": file.read()})
            node.stop()

    def test_a_key_of_the_environment_is_forgotten(self):
        pem = openssl_key()
        if pem is None:
            self.skipTest("openssl is not there to make a key")
        lines = [line for line in pem.splitlines() if "-----" not in line]
        secrets = {f"line {i} of the PEM": line.encode() for i, line in enumerate(lines[6:-1])}
        # Behind the numbers of the public key: the private exponent, which nobody needs.
        secrets["the private exponent"] = base64.b64decode("".join(lines))[320:384]
        environment = {**nodes.clean_environment(), "BACKEND_PRIVATE_KEY": pem}
        node = self.node()
        for _ in range(2):
            node.start(environment=environment)
            self.assert_forgotten(node, secrets)
            node.stop()

    def test_a_key_that_was_rotated_away_is_forgotten(self):
        pem = openssl_key()
        if pem is None:
            self.skipTest("openssl is not there to make a key")
        parts = private_parts(pem)
        node, peer = self.node(), self.node().start()
        node.start(environment={**nodes.clean_environment(), "BACKEND_PRIVATE_KEY": pem})
        join(node, peer)
        node.json("token", "create", "--user", "ann")
        # While it is the key, its primes are there: the scan would find them.
        self.assertTrue([name for name in self.find(node.process.pid, parts)
                         if name.startswith("p in ")])
        node.json("key", "rotate")
        until(lambda: node.status()["peers"][0]["in_sync"], what="the new session")
        node.json("token", "create", "--user", "ann")
        self.assert_forgotten(node, parts)

    def test_an_invite_is_forgotten_by_both_sides_once_it_was_used(self):
        hosted, local = self.node().start(), self.node().start()
        url = hosted.invite()
        local.json("join", url)
        until(lambda: local.status()["peers"][0]["in_sync"], what="the first session")
        for node in (hosted, local):
            self.assert_forgotten(node, invite_secret(url))

    def test_an_invite_that_was_refused_is_forgotten_by_who_tried_it(self):
        hosted, local, late = self.node().start(), self.node().start(), self.node().start()
        url = hosted.invite()
        local.json("join", url)
        self.assertEqual(1, late.cli("join", url).code)
        for node in (hosted, late):
            self.assert_forgotten(node, invite_secret(url))

    def test_a_token_is_forgotten_by_who_issued_it(self):
        node = self.node().start()
        token = node.json("token", "create", "--user", "ann")["token"]
        self.assert_forgotten(node, {"the signature": token.split(".")[2].encode()})

    # ---- When it ends ----

    def spawn(self, node, *flags, **environment):
        arguments = [PARLEYD, "--data", node.data, "--listen", "127.0.0.1:0", *flags]
        with open(node.log, "ab") as log:
            process = traced(arguments, {**nodes.clean_environment(), **environment}, log)
        self.addCleanup(end, process)
        return process

    def expect_nothing_at_the_end(self, node, process, code, secrets):
        run_to_its_end(process)
        found = self.find(process.pid, secrets)
        self.assertEqual((code, []), (let_go(process), found), node.log_text())

    def test_a_stopped_daemon_leaves_nothing(self):
        pem = openssl_key()
        if pem is None:
            self.skipTest("openssl is not there to make a key")
        node = self.node()
        process = self.spawn(node, PARLEY_PASSPHRASE=PHRASE, BACKEND_PRIVATE_KEY=pem)
        try:
            until(lambda: node.cli("status").code == 0 and
                  os.path.exists(os.path.join(node.data, "parleyd.run")), what="the start")
        finally:
            os.kill(process.pid, signal.SIGTERM)
        run_to_its_end(process)
        secrets = {"the pass phrase": PHRASE.encode(), **private_parts(pem),
                   "the operator's token": bytes.fromhex(node.token())}
        found = self.find(process.pid, secrets)
        self.assertEqual((0, []), (let_go(process), found), node.log_text())

    def test_a_start_that_fails_leaves_nothing(self):
        pem = openssl_key()
        if pem is None:
            self.skipTest("openssl is not there to make a key")
        node = self.node()
        secrets = {"the pass phrase": PHRASE.encode(), **private_parts(pem)}
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            process = self.spawn(node, "--listen", address, PARLEY_PASSPHRASE=PHRASE,
                                 BACKEND_PRIVATE_KEY=pem)
            self.expect_nothing_at_the_end(node, process, 69, secrets)
        process = self.spawn(node, PARLEY_PASSPHRASE=PHRASE + "x")
        self.expect_nothing_at_the_end(node, process, 78, {
            **secrets, "the wrong pass phrase": (PHRASE + "x").encode()})
        process = self.spawn(node, PARLEY_PASSPHRASE=PHRASE, BACKEND_PRIVATE_KEY=openssl_key())
        self.expect_nothing_at_the_end(node, process, 78, secrets)
        process = self.spawn(node, "--tls-cert", node.log, "--tls-key", node.log,
                             PARLEY_PASSPHRASE=PHRASE)
        self.expect_nothing_at_the_end(node, process, 78, secrets)


if __name__ == "__main__":
    unittest.main()
