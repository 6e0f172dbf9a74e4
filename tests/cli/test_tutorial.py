# SPDX-License-Identifier: Apache-2.0
"""docs/TUTORIAL.md, command by command: two shells with homes of their own, which stand for the two
machines. Addresses become ports of this one; what the text says to bring along is brought along."""
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import time
import unittest

import nodes

DOC = pathlib.Path(__file__).parents[2] / "docs" / "TUTORIAL.md"
BLOCK_SECONDS = 60


def blocks():
    text = DOC.read_text(encoding="utf-8")
    return re.findall(r"^```sh (server|laptop)\n(.*?)^```$", text, re.M | re.S)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machine:
    """A bash that keeps its jobs and variables from block to block."""

    def __init__(self, base, name):
        self.home = os.path.join(base, name)
        os.mkdir(self.home)
        bin_dirs = {os.path.dirname(nodes.PARLEYD), os.path.dirname(nodes.PARLEY)}
        environment = dict(nodes.clean_environment(), HOME=self.home)
        environment["PATH"] = os.pathsep.join([*bin_dirs, environment["PATH"]])
        # Jobs of a shell without a terminal have numbers only with monitor mode.
        self.shell = subprocess.Popen(["bash", "--norc", "-m"], cwd=self.home, env=environment,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.count = 0

    def run(self, text):
        """Output of all lines; each must succeed."""
        self.count += 1
        mark = f"-- block {self.count} --"
        lines = "\n".join(f"{line} || echo FAILED: {number}" if not line.endswith("&") else line
                          for number, line in enumerate(text.strip().splitlines(), 1))
        self.shell.stdin.write(f"{lines}\necho; echo '{mark}'\n".encode())
        self.shell.stdin.flush()
        out = b""
        end = time.monotonic() + BLOCK_SECONDS
        while mark.encode() not in out:
            ready, _, _ = select.select([self.shell.stdout], [], [], end - time.monotonic())
            if not ready:
                raise AssertionError(f"no end of:\n{text}\n{out.decode()}")
            piece = os.read(self.shell.stdout.fileno(), 65536)
            if not piece:
                raise AssertionError(f"the shell ended in:\n{text}\n{out.decode()}")
            out += piece
        answer = out.decode().split(mark)[0]
        if "FAILED: " in answer:
            raise AssertionError(f"{text}\n{answer}")
        return answer

    def close(self):
        self.shell.stdin.write(b"kill $(jobs -p) 2>/dev/null; wait; exit\n")
        self.shell.stdin.close()
        self.shell.wait(30)
        self.shell.stdout.close()


@unittest.skipUnless(shutil.which("bash") and shutil.which("curl"), "bash or curl is missing")
class Tutorial(unittest.TestCase):
    def setUp(self):
        base = nodes.scratch()
        self.machines = {name: Machine(base, name) for name in ("server", "laptop")}
        self.ports = {name: free_port() for name in self.machines}

    def tearDown(self):
        for machine in self.machines.values():
            machine.close()

    def here(self, name, text, brought):
        server = f"127.0.0.1:{self.ports['server']}"
        text = text.replace("server.example:8825", server).replace("0.0.0.0:8825", server)
        text = text.replace("127.0.0.1:8825", f"127.0.0.1:{self.ports[name]}")
        for word, meaning in brought.items():
            text = text.replace(word, meaning)
        return text

    def test_every_command_works_and_says_what_the_text_says(self):
        brought, said = {}, []
        for name, text in blocks():
            answer = self.machines[name].run(self.here(name, text, brought))
            said.append(answer)
            for url in re.findall(r"parley://\S+", answer):
                brought["parley://\u2026"] = url
            for version in re.findall(r"\blost +([0-9a-f]{16})\b", answer):
                brought["VERSION"] = version
        whole = "\n".join(said)
        self.assertEqual({"parley://\u2026", "VERSION"}, set(brought))
        digits = re.findall(r"check digits: (\d{6})", whole)
        self.assertTrue(digits and whole.count(digits[0]) >= 2, "the same digits on both")
        conflict = next(answer for answer in said if "lost" in answer)
        self.assertIn("Rye with how much wheat?", conflict)
        self.assertIn("Rye or spelt?", conflict)
        self.assertIn('"content":"Rye or spelt?"', whole, "the undone version is read by HTTP")
        self.assertIn("peer-revoked", said[-1].replace("_", "-"))

    def test_the_text_is_about_both(self):
        self.assertGreater(len(blocks()), 12)


if __name__ == "__main__":
    unittest.main()
