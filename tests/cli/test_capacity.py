# SPDX-License-Identifier: Apache-2.0
"""What docs/OPERATIONS.md says of capacity: the limits are those of the source, and the table is
one that tools/dev/capacity.py prints."""
import argparse
import pathlib
import re
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools" / "dev"))
import capacity
import nodes

HEADERS = ("engine/include/parley/limits.h", "engine/base/bounds.h",
           "engine/store/store_lmdb_int.h", "net/uv/uv_node.h", "net/node/node_int.h",
           "net/node/tokens.h")
# Of no use to an operator, or said elsewhere in other words.
INNER = {"PARLEY_STORE_KEY_BYTES_MAX", "PARLEY_BACKUP_JOURNAL_BYTES_MAX", "PARLEY_BODY_BYTES_MAX",
         "PARLEY_CLOCK_DRIFT_US_MAX", "PARLEY_BACKEND_ID_BYTES_MAX",
         "PARLEY_PUBLIC_KEY_PEM_BYTES_MAX"}
TINY = "SKIPPED: a build with tiny limits has no room for 64 writers: its capacity was NOT measured"
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def macros():
    """The values of all macros that are a number: of a build without PARLEY_TINY, for 64 bits."""
    found = {}
    for header in HEADERS:
        text = (TOP / header).read_text(encoding="utf-8").replace("\\\n", " ")
        for name, value in re.findall(r"^#define (P\w+_\w+) +(.+?) *(?:/\*.*)?$", text, re.M):
            value = re.sub(r"PL_LIMIT\((.*),.*\)$", r"\1", value)
            value = re.sub(r"\bU?INT64_C\((\d+)\)|\b(\d+)u\b", r"\1\2", value)
            value = re.sub(r"\bP\w+", lambda word: str(found.get(word[0], word[0])), value)
            if re.fullmatch(r"[\d\s()+*<-]+", value):
                found.setdefault(name, eval(value)) # digits and operators alone
    return found


def section():
    text = (TOP / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    return re.search(r"^## Capacity$.*?(?=^## )", text, re.M | re.S)[0]


class Capacity(unittest.TestCase):
    def test_the_limits_are_those_of_the_source(self):
        rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) ?([KMGT]iB|) \| `(\w+)` \|$", section(),
                          re.M)
        self.assertGreater(len(rows), 20)
        known = macros()
        for what, number, unit, name in rows:
            self.assertIn(name, known, what)
            self.assertEqual(known[name], int(number.replace(",", "")) * UNITS[unit], name)
        lines = re.findall(r"^\| .*`P\w+` \|$", section(), re.M)
        self.assertEqual(len(lines), len(rows), "each row is read")

    def test_every_product_limit_is_there(self):
        text = (TOP / HEADERS[0]).read_text(encoding="utf-8").partition("/* ---- Of programs")[0]
        for name in set(re.findall(r"^#define (PARLEY_\w+_MAX)\b", text, re.M)) - INNER:
            self.assertIn(f"`{name}`", section())

    def test_those_of_the_small_profile_too(self):
        text = (TOP / "tools" / "parleyd" / "profile.c").read_text(encoding="utf-8")
        small = dict(re.findall(r"\.(\w+_max) = ([^,]+),", text))
        said = section().rpartition("`--profile small`")[2]
        self.assertEqual("24", small["conns_max"])
        self.assertEqual("UINT64_C(256) << 20", small["store_bytes_max"])
        self.assertEqual("5u << 20", small["memory_bytes_max"])
        for words in ("24 connections", "256 MiB", "5 MiB"):
            self.assertIn(words, said)

    @unittest.skipIf(nodes.is_check_build(), TINY)
    def test_the_script_measures_a_store(self):
        capacity.FLUSHES, capacity.ROUNDS, capacity.OPENS = 2, 2, 1
        options = argparse.Namespace(messages=300, data=TOP / "tools" / "sample.jsonl", seconds=0.5)
        row = capacity.measure(nodes, options, nodes.scratch())
        self.assertEqual(300, row["messages"])
        for _, form in capacity.COLUMNS:
            self.assertRegex(form.format(**row), r"\d")

    @unittest.skipIf(nodes.is_check_build(), TINY)
    def test_the_script_measures_connections(self):
        capacity.CONNECTIONS, capacity.WARM, capacity.SETTLE_SECONDS = 4, 1, 0
        base = nodes.scratch()
        self.assertIsInstance(capacity.measure_peers(nodes, base, 1), float)
        self.assertIsInstance(capacity.measure_connections(nodes, base, capacity.wrapped), float)

    def test_the_table_is_one_that_the_script_prints(self):
        head = section().index(capacity.HEAD + "\n")
        rows = section()[head:].partition("\n\n")[0].splitlines()[2:]
        self.assertEqual(["10,000", "100,000", "1,000,000", "5,000,000"],
                         [row.split(" | ")[0].strip("| ") for row in rows])
        self.assertEqual({capacity.HEAD.count("|")}, {row.count("|") for row in rows})


if __name__ == "__main__":
    unittest.main()
