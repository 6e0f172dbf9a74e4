# SPDX-License-Identifier: Apache-2.0
"""The corpus of bad input: it is the one that was reviewed, it is large enough, every decoder comes
to the verdicts of the manifest, and the runner sees it when one does not."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from generate import COUNTS

HERE = pathlib.Path(__file__).parent
RUNNER = os.environ["BADINPUT"]
CORPUS = pathlib.Path(os.environ["BADINPUT_CORPUS"])


def run(folder, *formats):
    done = subprocess.run([RUNNER, str(folder), *formats], stdout=subprocess.PIPE, check=False,
                          timeout=250)
    return done.returncode, done.stdout.decode()


class Corpus(unittest.TestCase):
    def test_it_is_the_one_of_the_manifest(self):
        for name in COUNTS:
            made = (CORPUS / f"{name}.txt").read_text()
            kept = (HERE / "manifest" / f"{name}.txt").read_text()
            self.assertEqual(kept, made, f"{name}: look at what changed, then run "
                             "tests/badinput/generate.py --manifest")

    def test_there_are_as_many_files_as_it_says(self):
        for name, least in COUNTS.items():
            lines = (CORPUS / f"{name}.txt").read_text().splitlines()
            self.assertGreaterEqual(len(lines), least)
            self.assertEqual(len(lines), len(list((CORPUS / name).iterdir())))

    def test_every_decoder_comes_to_its_verdict(self):
        code, text = run(CORPUS)
        print(text)
        self.assertEqual(0, code, text)
        for name in COUNTS:
            self.assertRegex(text, rf"(?m)^{name}: \d+ cases, 0 wrong$")


class Control(unittest.TestCase):
    """What the runner must not pass over."""

    def setUp(self):
        self.copy = pathlib.Path(tempfile.mkdtemp(prefix="parley-badinput-"))
        self.addCleanup(shutil.rmtree, self.copy, True)

    def take(self, name):
        """A copy of one format; returns its lines, split."""
        shutil.copytree(CORPUS / name, self.copy / name)
        return [line.split() for line in (CORPUS / f"{name}.txt").read_text().splitlines()]

    def put(self, name, lines):
        (self.copy / f"{name}.txt").write_text("".join(" ".join(line) + "\n" for line in lines))

    def test_a_wrong_verdict_is_seen_in_every_format(self):
        for name in COUNTS:
            lines = self.take(name)
            refused = next(i for i, line in enumerate(lines) if not line[2].startswith("ok"))
            lines[refused][2] = "ok"
            taken = next(i for i, line in enumerate(lines) if line[2].startswith("ok")
                         and i != refused)
            lines[taken][2] = "EFULL"
            self.put(name, lines)
            code, text = run(self.copy, name)
            self.assertEqual(1, code, text)
            self.assertIn(f"{name}: {len(lines)} cases, 2 wrong", text)
            for at in (refused, taken):
                self.assertIn(f"{name}/{lines[at][3]}: wanted {lines[at][2]}, got ", text)

    def test_another_value_another_place_and_another_status_are_seen(self):
        for name, verdict, other in (("mp", "ok:05", "ok:06"), ("utf8", "at:8", "at:9"),
                                     ("http", "head:400", "head:413"), ("frame", "EPROTO@5",
                                                                       "EPROTO@4")):
            lines = self.take(name)
            found = [line for line in lines if line[2] == verdict]
            if not found:
                found = [line for line in lines if line[2].startswith(verdict[:3])]
                other = found[0][2] + "00"
            found[0][2] = other
            self.put(name, lines)
            code, text = run(self.copy, name)
            self.assertEqual(1, code, text)
            self.assertIn(f"{name}: {len(lines)} cases, 1 wrong", text)

    def test_a_changed_and_a_missing_file_are_seen(self):
        lines = self.take("utf8")
        self.put("utf8", lines)
        path = self.copy / "utf8" / lines[0][3]
        path.write_bytes(path.read_bytes() + b"\x80")
        (self.copy / "utf8" / lines[1][3]).unlink()
        code, text = run(self.copy, "utf8")
        self.assertEqual(1, code, text)
        self.assertIn("2 wrong", text)

    def test_an_empty_manifest_and_an_unknown_format_are_no_success(self):
        (self.copy / "json.txt").write_text("")
        self.assertEqual(1, run(self.copy, "json")[0])
        self.assertEqual(1, run(self.copy, "none")[0])


if __name__ == "__main__":
    unittest.main()
