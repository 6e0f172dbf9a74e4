# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile and the example for fly.io, without Docker: what the image would have is put into
an empty directory, and run there as the image says: chroot, its user, command, health check."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BUILD = os.environ["BUILD"]
STATIC = os.path.join(BUILD, "../static-amd64/bin")


def instructions():
    with open(os.path.join(ROOT, "tools/package/Dockerfile")) as file:
        text = re.sub(r"\\\n", " ", file.read())
    found = {}
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name.isupper():
            found.setdefault(name, []).append(value.strip())
    return found


class Files(unittest.TestCase):
    def test_the_image_is_empty_but_for_what_is_copied_and_not_of_root(self):
        found = instructions()
        self.assertEqual("scratch", found["FROM"][-1])
        self.assertEqual(["65532:65532"], found["USER"])
        for source in re.findall(r"/src/(tools/\S+)", " ".join(found["RUN"])):
            self.assertTrue(os.path.exists(os.path.join(ROOT, source.strip('"'))), source)

    def test_the_example_for_fly_reads_and_its_flags_are_flags(self):
        with open(os.path.join(ROOT, "tools/package/fly.toml"), "rb") as file:
            fly = tomllib.load(file)
        self.assertEqual("/data", fly["mounts"]["destination"])
        self.assertTrue(os.path.exists(os.path.join(ROOT, fly["build"]["dockerfile"])))
        flags = fly["processes"]["app"].split()
        port = fly["services"][0]["internal_port"]
        self.assertEqual(f"0.0.0.0:{port}", flags[flags.index("--listen") + 1])
        shown = subprocess.run([os.environ["PARLEYD"], "--help"], stdout=subprocess.PIPE,
                               check=True).stdout.decode()
        for flag in flags[::2]:
            self.assertIn(f"  {flag} ", shown)


@unittest.skipIf(os.geteuid() != 0, "SKIPPED: the image was NOT tried: chroot needs root")
@unittest.skipIf(not os.path.exists(os.path.join(STATIC, "parley")),
                 "SKIPPED: the image was NOT tried: sh tools/build-static.sh amd64")
class Image(unittest.TestCase):
    def setUp(self):
        self.found = instructions()
        self.root = tempfile.mkdtemp(prefix="parley-image-")
        self.addCleanup(shutil.rmtree, self.root)
        os.chmod(self.root, 0o755)
        self.user = int(self.found["USER"][0].split(":")[0])
        os.mkdir(os.path.join(self.root, "data"), 0o700)
        os.chown(os.path.join(self.root, "data"), self.user, self.user)
        for name in ("parleyd", "parley"):
            shutil.copy(os.path.join(STATIC, name), self.root)

    def enter(self):
        os.chroot(self.root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(self.user)
        os.setuid(self.user)

    def run_in(self, command):
        return subprocess.run(command, preexec_fn=self.enter, stdout=subprocess.PIPE, env={},
                              stderr=subprocess.STDOUT, timeout=60, check=False)

    def start(self, command):
        process = subprocess.Popen(command, preexec_fn=self.enter, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env={})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def test_it_runs_alone_and_its_health_check_tells(self):
        health = json.loads(re.search(r"CMD (\[.*\])", self.found["HEALTHCHECK"][0]).group(1))
        command = json.loads(self.found["ENTRYPOINT"][0]) + json.loads(self.found["CMD"][0])
        command[command.index("--listen") + 1] = "127.0.0.1:0"
        self.assertEqual(69, self.run_in(health).returncode)
        process = self.start(command)
        self.assertIn(b"parleyd ready on", process.stdout.readline())
        self.assertEqual((0, b"ok\n"), (self.run_in(health).returncode, self.run_in(health).stdout))
        wrote = self.run_in(["/parley", "--data", "/data", "append", "c", "--role", "user", "hi"])
        self.assertEqual(0, wrote.returncode, wrote.stdout)
        process.terminate()
        began = time.monotonic()
        self.assertEqual(0, process.wait(30))
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(69, self.run_in(health).returncode)


if __name__ == "__main__":
    unittest.main()
