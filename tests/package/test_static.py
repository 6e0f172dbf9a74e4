# SPDX-License-Identifier: Apache-2.0
"""The static build has its libraries from lists of its own: none may be missing there. (It is made
by hand, since it fetches sources for minutes: sh tools/build-static.sh amd64.)"""
import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
# The other provider of SHA-256, which a static build goes without.
LEFT_OUT = {"nettle"}


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


class Static(unittest.TestCase):
    def test_each_library_has_its_sources(self):
        named = read("cmake/FindParleyDependencies.cmake")
        wanted = set(re.findall(r"(?m)^ *parley_find\((\w+) ", named))
        made = read("cmake/ParleyStatic.cmake")
        self.assertGreater(len(wanted), 8)
        self.assertEqual(wanted - LEFT_OUT, set(re.findall(r"(?m)^ *parley_source\((\w+) ", made)))

    def test_each_source_is_fetched(self):
        made = read("cmake/ParleyStatic.cmake")
        folders = set(re.findall(r"(?m)^ *parley_source\(\w+ INCLUDE (\w+)", made))
        fetched = re.findall(r"(?m)^[^#\n]*\bfetch (\w+) \w+", read("tools/build-static.sh"))
        self.assertGreater(len(folders), 8)
        self.assertEqual(sorted(folders), sorted(fetched))


if __name__ == "__main__":
    unittest.main()
