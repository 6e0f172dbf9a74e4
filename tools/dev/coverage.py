#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the branches that the tests take, and fails below what docs/RELIABILITY.md says.

Usage: coverage.py [--no-build] [--no-run] [--jobs N] [--show FILE...]

Builds the preset `cov` (gcc, no optimisation, tiny limits as in `check`), runs the tests of TESTS
under it, and reads what gcov counted. Prints each folder's share of branches taken, and each branch
of the files of NAMED that was never taken; --show does the latter for other files too.

What is not counted: assertions, which are no branches in this build (base.h), because their other
way is never taken, and functions that nothing but assertions call; and of each switch over an
enumeration without default the way past its last case, because a warning that is an error sees to
it that all values are there.
"""
import argparse
import concurrent.futures
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/cov")
FOLDERS = ["engine", "engine/base", "engine/core", "engine/store", "engine/trust", "engine/db",
           "net/proto", "net/sync", "net/node", "net/uv"]

# Percent of all branches of the engine and the node.
OVERALL_MIN = 89.5
# Files of which every branch is taken: file, and why it is named.
NAMED = {
    "engine/db/merge.c": "merge",
    "engine/core/clock.h": "clock",
    "engine/core/key.c": "codec: keys",
    "engine/core/mp_read.c": "codec: msgpack",
    "engine/core/digest.c": "codec: digests",
    "engine/core/hash.c": "codec: hex; comparing secrets",
    "net/proto/frame.c": "codec: frames",
    "net/proto/msg.c": "codec: messages of the handshake",
    "engine/trust/token.c": "token",
    "net/node/shim_auth.c": "authorisation: HTTP",
    "net/node/admission.c": "authorisation: connections",
    "net/node/rate.c": "authorisation: rates",
}
# What runs: of ctest by name, and the simulator and the faults in a size of their own. `embed`
# builds other programs, which do not know of gcov.
TESTS = (r"^(test_.*|fuzz_.*|cli_(audit|backup|conflicts|daemon|disk|filter|http|import|key|legacy|"
         r"purge|reader|resources|restore|revoke|status|sync|tls|token|tokens|trash))$")
EXTRA = [["tests/sim/parley-sim", "--seeds", "1..100", "--jobs", "1"],
         ["tests/fault/parley-fault", "rows"],
         ["tests/fault/parley-fault", "sweep", "--limit", "400"]]


def call(command, cwd=ROOT, good=(0,)):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode not in good:
        print(done.stdout[-6000:])
        sys.exit(f"failed: {' '.join(command)}")
    return done.stdout


def build(jobs):
    call(["cmake", "--preset", "cov"])
    call(["cmake", "--build", "--preset", "cov", "-j", str(jobs)])


def run(jobs):
    for path in glob.glob(f"{BUILD}/**/*.gcda", recursive=True):
        os.remove(path)
    steps = [["ctest", "-j", str(jobs), "--output-on-failure", "-R", TESTS], *EXTRA]
    for step in steps:
        began = time.monotonic()
        call(step, cwd=BUILD)
        print(f"   {time.monotonic() - began:.0f} s: {' '.join(step)[:70]}", flush=True)


# ---- Reading ----

def read_counts(jobs):
    """{file: {(line, function): [times each branch was taken]}}, {file: {function: its lines}}"""
    data = sorted(glob.glob(f"{BUILD}/engine/**/*.gcda", recursive=True) +
                  glob.glob(f"{BUILD}/net/**/*.gcda", recursive=True))
    if not data:
        sys.exit("nothing was counted: run without --no-run")
    counts = {}
    functions = {}
    with tempfile.TemporaryDirectory() as place:
        def gcov(job):
            number, paths = job
            folder = os.path.join(place, str(number))
            os.mkdir(folder)
            call(["gcov", "--json-format", "--branch-probabilities", "--branch-counts",
                  "--preserve-paths", *paths], cwd=folder)
            return [os.path.join(folder, name) for name in os.listdir(folder)]
        jobs_of = [(i, data[i::4 * jobs]) for i in range(4 * jobs) if data[i::4 * jobs]]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for names in pool.map(gcov, jobs_of):
                for name in names:
                    with gzip.open(name, "rt", encoding="utf-8") as file:
                        add(counts, functions, json.load(file))
    return counts, functions


def add(counts, functions, data):
    for file in data["files"]:
        path = os.path.relpath(os.path.join(data["current_working_directory"], file["file"]), ROOT)
        if not path.startswith(("engine/", "net/")):
            continue
        lines = counts.setdefault(path, {})
        for function in file["functions"]:
            functions.setdefault(path, {})[function["name"]] = (function["start_line"],
                                                                function["end_line"])
        for line in file["lines"]:
            if not line["branches"]:
                continue
            taken = [branch["count"] for branch in line["branches"]]
            key = (line["line_number"], line.get("function_name", ""))
            before = lines.get(key, [])
            size = max(len(before), len(taken))
            lines[key] = [sum(pair) for pair in zip(before + [0] * (size - len(before)),
                                                    taken + [0] * (size - len(taken)))]


def is_whole_enum(source, number):
    """Whether the switch of this line is one over an enumeration, without a default."""
    head = source[number - 1]
    if not re.match(r"\s*switch \(", head):
        return False
    indent = len(head) - len(head.lstrip())
    labels = []
    for line in source[number:]:
        if line.strip() == "}" and len(line) - len(line.lstrip()) == indent:
            break
        if len(line) - len(line.lstrip()) == indent:
            labels.append(line.strip())
    cases = [label for label in labels if label.startswith(("case ", "default"))]
    return bool(cases) and all(re.match(r"case [A-Z]\w*:", label) for label in cases)


def assertions_only(text, functions):
    """The lines of static functions that nothing but assertions call."""
    lines = set()
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    code = re.sub(r"PL_ASSERT(_SLOW)?\([^;]*\);", "", code)
    for name, (start, end) in functions.items():
        definition = re.search(rf"^static (?!inline)[^;{{}}]*\b{name}\(", code, re.M)
        if definition and len(re.findall(rf"\b{name}\b", code)) == 1:
            lines.update(range(start, end + 1))
    return lines


def judge(counts, functions):
    """{file: (branches, taken, [(line, how many untaken, text)])}"""
    out = {}
    for path, lines in counts.items():
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            text = file.read()
        source = text.split("\n")
        passed_over = assertions_only(text, functions.get(path, {}))
        total = taken = 0
        holes = {}
        for (number, _), branches in sorted(lines.items()):
            if number in passed_over:
                continue
            missed = branches.count(0)
            size = len(branches)
            if missed and is_whole_enum(source, number):
                missed -= 1
                size -= 1
            total += size
            taken += size - missed
            if missed:
                holes[number] = holes.get(number, 0) + missed
        out[path] = (total, taken, [(n, m, source[n - 1].strip()) for n, m in holes.items()])
    return out


def percent(total, taken):
    return 100.0 * taken / total if total else 100.0


def report(files, show):
    good = True
    for folder in FOLDERS:
        mine = [value for path, value in files.items() if os.path.dirname(path) == folder]
        total, taken = sum(v[0] for v in mine), sum(v[1] for v in mine)
        print(f"{percent(total, taken):6.2f} %  {taken:6} of {total:6}  {folder}")
    total, taken = sum(v[0] for v in files.values()), sum(v[1] for v in files.values())
    share = percent(total, taken)
    print(f"{share:6.2f} %  {taken:6} of {total:6}  all; {OVERALL_MIN} % are asked for")
    good = good and share >= OVERALL_MIN
    for path, why in NAMED.items():
        if path not in files:
            print(f"{path}: nothing was counted")
            good = False
            continue
        total, taken, holes = files[path]
        print(f"{percent(total, taken):6.2f} %  {taken:6} of {total:6}  {path} ({why})")
        good = good and not holes
    for path in [*NAMED, *show]:
        for number, missed, text in files.get(path, (0, 0, []))[2]:
            print(f"{path}:{number}: {missed} never taken: {text}")
    return good


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", nargs="*", default=[])
    args = parser.parse_args()
    if not args.no_build:
        build(args.jobs)
    if not args.no_run:
        run(args.jobs)
    files = judge(*read_counts(args.jobs))
    return 0 if report(files, args.show) else 1


if __name__ == "__main__":
    sys.exit(main())
