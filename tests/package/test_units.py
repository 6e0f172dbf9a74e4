# SPDX-License-Identifier: Apache-2.0
"""The units of systemd, as `cmake --install` puts them down: systemd itself reads them and says how
exposed the service is. Whether it starts under them is shown by tests/package/chroot.sh."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["BUILD"]
CMAKE = os.environ.get("CMAKE", "cmake")
# systemd's own scale goes from 0, nothing reachable, to 10.
EXPOSURE_MAX = 2.0


@unittest.skipIf(shutil.which("systemd-analyze") is None,
                 "SKIPPED: the units were NOT checked: there is no systemd-analyze")
class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="parley-units-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.prefix = os.path.join(cls.root, "prefix")
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", cls.prefix], check=True,
                       stdout=subprocess.DEVNULL)
        cls.units = os.path.join(cls.prefix, "lib/systemd/system")

    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout.decode()

    def read(self, name):
        with open(os.path.join(self.units, name)) as file:
            return file.read()

    def test_systemd_finds_no_fault_in_them(self):
        for name in ("parleyd.service", "parleyd.socket"):
            # Where the programs are depends on the prefix of the build, not on this one.
            text = re.sub(r"(?m)^(ExecStart|ExecPaths)=\S*/parleyd",
                          rf"\1={self.prefix}/bin/parleyd", self.read(name))
            text = re.sub(r"(?m)^Documentation=.*\n", "", text)
            with open(os.path.join(self.units, name), "w") as file:
                file.write(text)
        code, said = self.analyze("verify", *(os.path.join(self.units, name) for name in
                                              ("parleyd.service", "parleyd.socket")))
        ours = [line for line in said.splitlines() if "parleyd" in line]
        self.assertEqual([], ours)
        self.assertEqual(0, code, said)

    def test_the_service_is_hardly_exposed(self):
        code, said = self.analyze("security", "--offline=true", "--no-pager",
                                  os.path.join(self.units, "parleyd.service"))
        found = re.search(r"Overall exposure level for parleyd.service: ([0-9.]+)", said)
        self.assertIsNotNone(found, said)
        self.assertLess(float(found.group(1)), EXPOSURE_MAX, said)
        self.assertEqual(0, code, said)

    def test_it_says_what_the_daemon_can_do(self):
        unit = self.read("parleyd.service")
        for line in ("Type=notify", "DynamicUser=yes", "StateDirectory=parley",
                     "LoadCredential=parley-seal"):
            self.assertIn("\n" + line + "\n", unit)
        self.assertRegex(unit, r"(?m)^WatchdogSec=\d+$")


if __name__ == "__main__":
    unittest.main()
