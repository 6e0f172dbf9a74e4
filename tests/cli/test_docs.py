# SPDX-License-Identifier: Apache-2.0
"""Every parley and parleyd command that the documents show is one that there is, with flags that it
takes. Those of TUTORIAL.md and HTTP.md are run by tests of their own."""
import json
import pathlib
import re
import unittest

import nodes

TOP = pathlib.Path(__file__).parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
EVERYWHERE = {"--data", "--json", "--seal-key-file", "--passphrase-file", "--help", "--version"}


def shown(text):
    """Command lines: in code spans, and in lines of indented or fenced code."""
    spans = re.findall(r"`((?:parley|parleyd) [^`]+)`", text)
    table = re.search(r"^\| command \| what it does \|$(.*?)\n\n", text, re.M | re.S)
    for row in table.group(1).splitlines()[2:] if table else []:
        spans += ["parley " + span for span in re.findall(r"`([a-z][^`]*)`",
                                                          row.replace("\\|", "/").split("|")[1])]
    lines = re.findall(r"^(?: {4,}|)((?:[A-Z]+=\S+ )*(?:parley|parleyd) [^\n|]*)$", text, re.M)
    return spans + [line for line in lines if not line.endswith((".", ",", ":"))]


def words_of(line):
    line = re.sub(r"\s+#.*$", "", line)
    line = re.sub(r"\[|\]|\u2026", " ", line)
    words = line.replace("\\|", " ").split()
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        listed = json.loads(nodes.run([nodes.PARLEY, "--json", "help"]).out)["commands"]
        cls.usages = {}
        for entry in listed:
            more = nodes.run([nodes.PARLEY, "help", entry["name"]]).out
            cls.usages[entry["name"]] = entry["usage"] + more
        cls.parleyd = nodes.run([nodes.PARLEYD, "--help"]).out

    def check(self, page, line):
        words = words_of(line)
        flags = [re.match(r"--[a-z-]+", word).group(0) for word in words
                 if re.match(r"--[a-z]", word)]
        if words[0] == "parleyd":
            for flag in flags:
                self.assertTrue(flag in self.parleyd, f"{page.name}: {line}")
            return 1
        plain = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
        name = next((word for word in plain if word in self.usages), None)
        if name is None:
            self.assertFalse(plain and plain[0] in words[1:2] and flags,
                             f"{page.name}: no such command: {line}")
            return 0
        for flag in flags:
            if flag not in EVERYWHERE:
                self.assertIn(flag, self.usages[name], f"{page.name}: {line}")
        return 1

    def test_every_command_line_is_one_that_there_is(self):
        count = 0
        for page in PAGES:
            for line in shown(page.read_text(encoding="utf-8")):
                count += self.check(page, line)
        self.assertGreater(count, 100)

    def test_a_line_that_is_wrong_is_seen(self):
        for line in ("parley --data DIR invite --nonsense", "parleyd --data DIR --nonsense"):
            with self.assertRaises(AssertionError):
                self.check(PAGES[0], line)

    def test_every_command_is_in_the_table(self):
        text = (TOP / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
        for name in self.usages:
            if name not in ("help", "version"):
                self.assertTrue(re.search(rf"`{name}\b", text), f"OPERATIONS.md lacks {name}")


if __name__ == "__main__":
    unittest.main()
