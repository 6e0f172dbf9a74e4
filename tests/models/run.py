#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the models of this folder with spin, exhaustively, and that each planted bug is found.

    run.py [--large] [NAME...]

A model passes when the whole of its states was searched without an error; a search that was cut
short, by depth, memory or time, is a failure. A variant with a planted bug passes when spin finds
an error in it, of the kind that is named below. NAME: only what begins with it. --large: wider
bounds, hours and up to 12 GB. Without spin or gcc it says SKIPPED and does nothing.
"""
import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MB = {"ci": 1900, "large": 12000}
# Of processor time: the machine may be busy.
SECONDS = {"ci": 150, "large": 3600}
DEPTH = 100000

# model, name, its bounds and scenario
SEARCHES = [
    ("sync", "pair", "-DPAIR -DOPS=2 -DOPENS=2"),
    ("sync", "mesh", "-DOPS=3 -DOPENS=1"),
    ("sync", "copy", "-DCLONE -DOPS=1 -DOPENS=3"),
    ("revoke", "invites", "-DTRIES=1 -DREVOKES=1 -DFAILS=1 -DCRASHES=1 -DAPPROVALS=0"),
    ("floors", "pair", "-DPAIR -DCOMPANY -DDELETIONS=2 -DLATE=3"),
    ("floors", "work", "-DPAIR -DCOMPANY -DWORKS=1 -DLATE=3"),
    ("floors", "relay", "-DPAIR -DCOMPANY -DELSEWHERE -DDELETIONS=2 -DFIRST_BY=4 -DCRASHES=1"),
    ("floors", "cut off", "-DPAIR -DCOMPANY -DELSEWHERE -DDELETIONS=2 -DFIRST_BY=4 -DLATE=3"),
    ("floors", "mesh", "-DTIME_MAX=4 -DFIRST_BY=2"),
    ("floors", "away", "-DAWAY -DAPART -DLATE=3"),
    ("floors", "half away", "-DAWAY -DSLACK=0 -DTIME_MAX=4 -DLATE=2"),
]
LARGE = [
    ("sync", "pair", "-DPAIR -DOPS=3 -DOPENS=3"),
    ("sync", "mesh", "-DOPS=2 -DOPENS=2"),
    ("sync", "copy", "-DCLONE -DOPS=2 -DOPENS=3"),
    ("revoke", "approvals", "-DTRIES=1 -DREVOKES=1 -DFAILS=1 -DCRASHES=1 -DAPPROVALS=1"),
    ("floors", "pair", "-DPAIR -DCOMPANY -DDELETIONS=2 -DWORKS=1 -DLATE=3 -DTIME_MAX=6"),
    ("floors", "cut off",
     "-DPAIR -DCOMPANY -DELSEWHERE -DDELETIONS=2 -DFIRST_BY=4 -DLATE=3 -DCRASHES=1"),
    ("floors", "mesh", "-DTIME_MAX=5 -DFIRST_BY=2"),
    ("floors", "away", "-DAWAY -DLATE=1 -DANSWERED"),
]
# model, planted bug, bounds with other bugs, the check that must catch it
PAIR = "-DPAIR -DOPS=2 -DOPENS=2"
ONE = "-DTRIES=1 -DREVOKES=1 -DFAILS=1 -DCRASHES=1 -DAPPROVALS=0"
TWO = "-DPAIR -DCOMPANY -DDELETIONS=2"
RELAY = "-DPAIR -DCOMPANY -DELSEWHERE -DFIRST_BY=4 -DCRASHES=1"
CUT_OFF = "-DPAIR -DCOMPANY -DELSEWHERE -DFIRST_BY=4 -DLATE=1"
AWAY = "-DAWAY -DAPART -DLATE=3"
UNHEARD = " -DBUG_UNCOUNTED"
HALF = "-DAWAY -DSLACK=0 -DTIME_MAX=4"
PLANTED = [
    ("sync", "SAME_INCARNATION", PAIR + " -DNO_CURSOR", "AGREE"),
    ("sync", "CURSOR_APART", PAIR, "CURSOR"),
    ("sync", "CURSOR_BEFORE_COMPARE", PAIR, "CURSOR"),
    ("sync", "ECHO", PAIR, "CURSOR"),
    ("sync", "CURSOR_IN_FLIGHT", PAIR, "CURSOR"),
    ("sync", "NO_DEDUPE", PAIR, "TWICE"),
    ("sync", "ARRIVAL", PAIR, "CURSOR|TWICE|AGREE"),
    ("revoke", "NO_LEDGER", ONE, "REVOKED"),
    ("revoke", "ANSWER_EARLY", ONE, "REVOKED"),
    ("revoke", "UNDO", ONE, "REVOKED"),
    ("revoke", "OPEN", ONE, "REVOKED"),
    ("revoke", "OLD_INVITE", ONE, "REVOKED"),
    ("revoke", "INVITES_STAY", ONE, "REVOKED"),
    ("revoke", "STAMP", ONE, "REVOKED"),
    ("floors", "NO_ACK", RELAY, "DELETED"),
    ("floors", "NO_GRACE", TWO, "DELETED"),
    ("floors", "FLOOR_STAYS", TWO, "DELETED"),
    ("floors", "FLOOR_UNSAID", TWO, "AGREE"),
    ("floors", "AGE_ALONE", TWO, "DELETED"),
    ("floors", "ALONE", TWO, "DELETED"),
    ("floors", "NO_REBASE", TWO, "DELETED"),
    ("floors", "TIE", TWO + UNHEARD, "DELETED"),
    ("floors", "SENT", TWO, "DELETED"),
    ("floors", "NO_CLEAN", RELAY, "DELETED"),
    ("floors", "STORED_LATER", RELAY + UNHEARD, "DELETED"),
    ("floors", "UNCOUNTED", CUT_OFF, "DELETED"),
    ("floors", "NO_TRASH", "-DPAIR -DCOMPANY -DWORKS=1", "KEPT"),
    ("floors", "DROP_FIRST", HALF, "DELETED"),
    ("floors", "CLEAN_STAYS", AWAY, "DELETED"),
    ("floors", "DATED_BY_RECEIVER", AWAY + UNHEARD, "DELETED"),
    ("floors", "NOT_PASSED_OVER", AWAY, "DELETED"),
]


def build(model, defines, folder, optimize="-O2"):
    """The verifier of a model."""
    source = os.path.join(HERE, model + ".pml")
    subprocess.run(["spin", "-a", *defines.split(), source], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    compiled = subprocess.run(["gcc", optimize, "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE",
                               "-DMEMLIM=%d" % MEMORY_MB["large"], "-o", "pan", "pan.c"],
                              cwd=folder, check=False)
    return compiled.returncode == 0


def search(folder, size):
    """Output, whether it ended, processor seconds."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS[size], SECONDS[size] + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB[size] << 20, MEMORY_MB[size] << 20))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(["./pan", "-m%d" % DEPTH], cwd=folder, text=True, preexec_fn=limit,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return run.stdout, run.returncode == 0, after.ru_utime - before.ru_utime


def figure(pattern, text, default="?"):
    found = re.search(pattern, text)
    return found.group(1) if found else default


def is_whole(output, ended):
    """Searched to the end: nothing was cut."""
    cut = re.search(r"too small|out of memory|aborting|not completed|hash conflict.*lost|truncated",
                    output)
    return ended and not cut and "State-vector" in output and "Bit statespace" not in output


def states(output):
    return int(float(figure(r"([0-9.e+]+) states, stored", output, "0")))


def error(output):
    """The check that failed, as the assertion names it."""
    violated = figure(r"assertion violated (.*) \(at depth", output, "")
    return figure(r"CHECK_([A-Z]+)", violated, violated or "no assertion")


def check(model, name, defines, size):
    with tempfile.TemporaryDirectory() as folder:
        if not build(model, defines, folder):
            return "does not compile"
        output, ended, seconds = search(folder, size)
    line = "%s %s: %d states, %.1f s, %s MB" % (
        model, name, states(output), seconds,
        figure(r"([0-9.]+)\s+total actual memory usage", output))
    print(line + ", " + defines, flush=True)
    if "errors: 0" not in output or not is_whole(output, ended):
        return "not clean, or not whole:\n" + output[:4000]
    return None


def plant(model, bug, defines, wanted):
    with tempfile.TemporaryDirectory() as folder:
        # Most are found sooner than they are compiled.
        if not build(model, defines + " -DBUG_" + bug, folder, "-O0"):
            return "does not compile"
        output, _, seconds = search(folder, "ci")
    found = error(output)
    print("%s planted %s: %s after %d states, %.1f s" % (
        model, bug, found, states(output), seconds), flush=True)
    if "errors: 1" not in output or not re.fullmatch(wanted, found):
        return "not found by %s:\n%s" % (wanted, output[:4000])
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            print("SKIPPED: %s is not installed (apt-get install spin gcc)" % program)
            return 0
    began = time.time()
    failed = 0
    todo = [(check, model, name, defines, "large" if args.large else "ci")
            for model, name, defines in (LARGE if args.large else SEARCHES)]
    if not args.large:
        todo += [(plant, model, bug, defines, wanted) for model, bug, defines, wanted in PLANTED]
    for run, model, name, *rest in todo:
        if args.names and not any(("%s %s" % (model, name)).startswith(n) for n in args.names):
            continue
        problem = run(model, name, *rest)
        if problem is not None:
            failed += 1
            print("FAILED %s %s: %s" % (model, name, problem), flush=True)
    print("%d failed, %.0f s" % (failed, time.time() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
