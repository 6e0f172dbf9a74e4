#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants the bugs of mutants.txt, one at a time, and demands that a test fails for each.

Usage: mutants.py [--build DIR] [--jobs N] [--rest] [NAME...]     all bugs, or those named
       mutants.py --smoke N [--seed S]                  N of them, drawn by the day or by S
       mutants.py --apply | --list        only see whether each still fits its file, or list them

The project is never changed: the file with the bug is compiled from a copy under DIR/mutants, and
its object is linked before the archives of the ordinary build in DIR (default: build/release), so
that it stands in for its like there. A bug costs one file and one link for each test that it
lists. What those tests do without a bug is tried first: they must pass.

A bug counts as caught when a test that it lists fails, dies or hangs. One that does not compile, or
whose lines are not in its file any more (or more than once), is an error: the list may not rot.
--rest runs all unit tests on a bug that its own tests miss, and names one of those that see it.
Exit 0: all are caught. 1: one is missed, or an error. 2: wrong use.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = os.path.join(ROOT, "tools/dev/mutants.txt")
TIMEOUT_S = 300
PROGRAMS = {"PARLEYD": "parleyd", "PARLEY": "parley", "TRUST_TOOL": "trust_tool"}


class Broken(Exception):
    """A bug that cannot be planted, or a build that does not work: the list must be mended."""


class Mutant:
    def __init__(self, name, line):
        self.name = name
        self.line = line
        self.breaks = ""
        self.control = False
        self.runs = []
        self.hunks = []  # (file, old lines, new lines)


# ---- The list ----

def read_list(text):
    mutants = []
    file = None
    taking = None
    for number, line in enumerate(text.split("\n"), 1):
        where = f"mutants.txt:{number}"
        if line == "" or line.startswith("#"):
            continue
        if line[0] in "-+":
            if not mutants or file is None:
                raise Broken(f"{where}: lines before a file")
            if line[0] == "-" and taking != "-":
                mutants[-1].hunks.append((file, [], []))
            if line[0] == "+" and taking is None:
                raise Broken(f"{where}: new lines without old ones")
            mutants[-1].hunks[-1][1 if line[0] == "-" else 2].append(line[1:])
            taking = line[0]
            continue
        taking = None
        key, _, value = line.partition(": ")
        if key == "mutant":
            if any(mutant.name == value for mutant in mutants):
                raise Broken(f"{where}: {value} is there twice")
            mutants.append(Mutant(value, number))
            file = None
        elif not mutants:
            raise Broken(f"{where}: '{key}' before the first mutant")
        elif key == "breaks":
            mutants[-1].breaks = value
        elif key == "control":
            mutants[-1].control = True
            mutants[-1].breaks = value
        elif key == "file":
            file = value
        elif key == "run":
            mutants[-1].runs.append(value)
        else:
            raise Broken(f"{where}: unknown key '{key}'")
    for mutant in mutants:
        if not (mutant.breaks and mutant.runs and mutant.hunks):
            raise Broken(f"mutants.txt:{mutant.line}: {mutant.name} lacks what it breaks, a test "
                         "or its lines")
    return mutants


def planted(mutant):
    """The files of a mutant with its bug in them: path to text."""
    texts = {}
    for path, old, new in mutant.hunks:
        if path not in texts:
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                texts[path] = "\n" + file.read()
        find = "\n" + "\n".join(old) + "\n"
        count = texts[path].count(find)
        if count != 1:
            raise Broken(f"{mutant.name}: its lines are {count} times in {path}, not once")
        put = "\n" + "".join(line + "\n" for line in new)
        texts[path] = texts[path].replace(find, put)
    return {path: text[1:] for path, text in texts.items()}


# ---- The build ----

class Build:
    """The ordinary build, and what of it has to be made anew for a bug."""

    def __init__(self, directory, jobs):
        self.dir = directory
        self.jobs = jobs
        self.links = {}
        self.deps = None

    def configure(self):
        if not os.path.exists(os.path.join(self.dir, "build.ninja")):
            self.call(["cmake", "--preset", os.path.basename(self.dir)], cwd=ROOT)
        self.call(["ninja", "-C", self.dir, "build.ninja"])
        with open(os.path.join(self.dir, "compile_commands.json"), encoding="utf-8") as file:
            entries = json.load(file)
        self.compiles = {}
        for entry in entries:
            words = shlex.split(entry["command"])
            self.compiles[words[words.index("-o") + 1]] = words
        shown = self.call(["ctest", "--show-only=json-v1"], cwd=self.dir)
        self.tests = {test["name"]: test for test in json.loads(shown)["tests"]}

    def call(self, command, cwd=None):
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise Broken(f"{shlex.join(command)}\n{done.stdout[-3000:]}")
        return done.stdout

    def make(self, targets):
        self.call(["ninja", "-C", self.dir, f"-j{self.jobs}", *sorted(targets)])

    def link_of(self, target):
        """The words of the command that links a target."""
        if target not in self.links:
            shown = self.call(["ninja", "-C", self.dir, "-t", "commands", target])
            words = shlex.split(shown.strip().split("\n")[-1])
            self.links[target] = words[words.index("&&") + 1:-2]
        return self.links[target]

    def objects_of(self, path):
        """The objects that are made of a file, or include it."""
        if self.deps is None:
            self.deps = {}
            objects = None
            for line in self.call(["ninja", "-C", self.dir, "-t", "deps"]).split("\n"):
                if line and not line.startswith(" "):
                    objects = line.split(":")[0]
                elif line:
                    full = os.path.normpath(os.path.join(self.dir, line.strip()))
                    self.deps.setdefault(full, []).append(objects)
        return [name for name in self.deps.get(os.path.join(ROOT, path), [])
                if name in self.compiles]

    def compile(self, name, tree):
        words = list(self.compiles[name])
        source = words[words.index("-c") + 1]
        copy = os.path.join(tree, os.path.relpath(source, ROOT))
        out = os.path.join(tree, "objects", name.replace("/", "_"))
        os.makedirs(os.path.dirname(out), exist_ok=True)
        words[words.index("-o") + 1] = out
        if os.path.exists(copy):
            words[words.index("-c") + 1] = copy
        # The copy of a header comes before the header, and a warning is no verdict.
        front = [f"-I{tree}/{folder}" for folder in ("engine/include", "engine", "net/include",
                                                     "net", "tools", "tests")]
        words = [word for word in words if word != "-Werror"]
        self.call([words[0], *front, "-w", *words[1:]], cwd=self.dir)
        return out

    def link(self, target, made, tree):
        """Links a target with objects in place of those of the build: {object: new object}."""
        words = list(self.link_of(target))
        at = words.index("-o")
        out = os.path.join(tree, os.path.basename(words[at + 1]))
        words[at + 1] = out
        extra = []
        for name, new in made.items():
            archive = "lib" + name.split("/CMakeFiles/")[1].split(".dir/")[0] + ".a"
            if name in words:
                words[words.index(name)] = new
            elif any(os.path.basename(word) == archive for word in words):
                extra.append(new)
        self.call(words[:at] + extra + words[at:], cwd=self.dir)
        return out


# ---- Running ----

class Runner:
    def __init__(self, build):
        self.build = build

    def targets_of(self, run):
        name = run.split()[0]
        if name.startswith("cli_"):
            return set(PROGRAMS.values())
        return {name}

    def command_of(self, run, programs):
        """Command, environment and whether it is cmocka's, with these programs."""
        name, *rest = shlex.split(run)
        env = dict(os.environ)
        if not name.startswith("cli_"):
            return [programs[name], *rest], env
        test = self.build.tests.get(name)
        if test is None:
            raise Broken(f"there is no test {name}")
        for variable, target in PROGRAMS.items():
            env[variable] = programs[target]
        return [*test["command"], *rest], env

    def run(self, run, programs):
        """None: it passes. Else why not, in a few words."""
        command, env = self.command_of(run, programs)
        try:
            done = subprocess.run(command, cwd=self.build.dir, env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace",
                                  timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return f"{run}: hangs"
        if done.returncode == 0:
            return None
        failed = re.findall(r"^\[  FAILED  \] ([a-z]\w+)$", done.stdout, re.M)
        failed += re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stdout, re.M)
        died = f" (signal {-done.returncode})" if done.returncode < 0 else ""
        return f"{run}{died}: {failed[0]}" if failed else run + died

    def programs(self, run, made, tree):
        return {target: self.build.link(target, made, tree) for target in self.targets_of(run)}

    def baseline(self, runs):
        """Those of the runs that fail without any bug."""
        def one(run):
            return self.run(run, {target: os.path.join(self.build.dir, link[link.index("-o") + 1])
                                  for target in self.targets_of(run)
                                  for link in [self.build.link_of(target)]})
        with concurrent.futures.ThreadPoolExecutor(self.build.jobs) as pool:
            return [why for why in pool.map(one, sorted(runs)) if why is not None]

    def try_mutant(self, mutant, tree, rest):
        """None: nobody has seen it. Else who did."""
        shutil.rmtree(tree, ignore_errors=True)
        for path, text in planted(mutant).items():
            os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
            with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
                file.write(text)
        objects = sorted({name for path, _, _ in mutant.hunks
                          for name in self.build.objects_of(path)})
        words = [word for run in mutant.runs for target in self.targets_of(run)
                 for word in self.build.link_of(target)]
        archives = {os.path.basename(word) for word in words if word.endswith(".a")}
        objects = [name for name in objects if name in words or "lib" +
                   name.split("/CMakeFiles/")[1].split(".dir/")[0] + ".a" in archives]
        if not objects:
            raise Broken(f"{mutant.name}: no test that it lists has its file")
        made = {name: self.build.compile(name, tree) for name in objects}
        for run in mutant.runs:
            why = self.run(run, self.programs(run, made, tree))
            if why is not None:
                return why
        for run in self.others(mutant) if rest else []:
            why = self.run(run, self.programs(run, made, tree))
            if why is not None:
                raise Broken(f"only others see it: {why}")
        return None

    def others(self, mutant):
        return [name for name in self.build.tests
                if re.match(r"test_(?!parleyd|uv_|identity_store|power|fault)", name)
                and name not in mutant.runs and name in self.unit_targets()]

    def unit_targets(self):
        return {name for name in self.build.tests
                if os.path.exists(os.path.join(ROOT, f"tests/unit/{name}.c"))}


def draw(mutants, count, seed):
    """Some, of each folder in turn, so that no layer is left out for long."""
    rng = random.Random(seed)
    folders = {}
    for mutant in rng.sample(mutants, len(mutants)):
        folders.setdefault(os.path.dirname(mutant.hunks[0][0]), []).append(mutant)
    order = rng.sample(sorted(folders), len(folders))
    chosen = []
    while len(chosen) < min(count, len(mutants)):
        for folder in order:
            if folders[folder] and len(chosen) < count:
                chosen.append(folders[folder].pop())
    return chosen


def judge(runner, mutant, place, rest):
    began = time.monotonic()
    try:
        why = runner.try_mutant(mutant, place, rest)
        verdict = "MISSED" if why is None else "caught"
    except Broken as broken:
        why = str(broken)
        verdict = "ERROR"
    shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - began
    print(f"{verdict} {mutant.name} {seconds:.1f} s {why or 'by ' + ', '.join(mutant.runs)}",
          flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--smoke", type=int)
    parser.add_argument("--seed", default=datetime.date.today().isoformat())
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("--apply", action="store_true")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    try:
        with open(LIST, encoding="utf-8") as file:
            mutants = read_list(file.read())
        for mutant in mutants:
            planted(mutant)
    except Broken as broken:
        print(broken)
        return 1
    if args.list:
        for mutant in mutants:
            print(f"{mutant.name}{' (control)' if mutant.control else ''}: {mutant.breaks}")
    if args.list or args.apply:
        print(f"{len(mutants)} planted bugs, each fits its file")
        return 0
    unknown = set(args.names) - {mutant.name for mutant in mutants}
    if unknown:
        print("no such mutant:", ", ".join(sorted(unknown)))
        return 2
    if args.names:
        mutants = [mutant for mutant in mutants if mutant.name in args.names]
    if args.smoke is not None:
        print(f"{args.smoke} of {len(mutants)}, seed {args.seed}; all of them fit their files")
        mutants = draw(mutants, args.smoke, args.seed)
    return run_all(mutants, args)


def run_all(mutants, args):
    build = Build(os.path.join(ROOT, args.build), args.jobs)
    runner = Runner(build)
    runs = {run for mutant in mutants for run in mutant.runs}
    try:
        build.configure()
        targets = {target for run in runs for target in runner.targets_of(run)}
        build.make(targets | (runner.unit_targets() if args.rest else set()))
        for target in targets:
            build.link_of(target)
        build.objects_of("engine/base/base.h")
        wrong = runner.baseline(runs)
    except Broken as broken:
        print(broken)
        return 1
    if wrong:
        print("fails without any bug:", *wrong, sep="\n  ")
        return 1
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        verdicts = list(pool.map(
            lambda mutant: judge(runner, mutant,
                                 os.path.join(build.dir, "mutants", mutant.name), args.rest),
            mutants))
    missed = [m.name for m, v in zip(mutants, verdicts) if v != "caught"]
    print(f"{len(mutants) - len(missed)} of {len(mutants)} planted bugs caught, "
          f"{time.monotonic() - began:.0f} s")
    if missed:
        print("not caught:", ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
