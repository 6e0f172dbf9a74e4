# SPDX-License-Identifier: Apache-2.0
"""Every command that README, docs/*.md and the manual pages show is run, with real daemons, as it
stands there; what stands for something else (DIR, CONV, ...) is filled in. What cannot run here is
in NOT_RUN with the reason and what else tries it. A command in neither fails this test, and so
does an entry of a list that no page shows any more.

The fenced blocks of TUTORIAL.md and HTTP.md are run by test_tutorial.py and test_http_doc.py."""
import json
import os
import pathlib
import re
import signal
import subprocess
import unittest

import doc_commands
import doc_place
import nodes
import test_http_doc
import test_tutorial

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md")),
         *(TOP / "tools" / "package" / name for name in ("README.Debian", "parley.1", "parleyd.8"))]
SECONDS = 100

# Pages whose blocks are pictures and layouts of bytes, unless a line begins with a program.
LAYOUT_PAGES = {"ARCHITECTURE.md", "PROTOCOL.md", "STORAGE.md"}
# First lines of blocks, and spans, that are no commands.
NO_COMMANDS = {
    "# /etc/parley/parleyd.conf": "a configuration file: what FILE is behind --config here",
    "- job_name: parley": "a part of a configuration file of Prometheus",
    "NODE=http://127.0.0.1:8825            # where the node is":
        "what test_http_doc.py sets for the block below",
    "parleyd ready on ADDR:PORT as BACKEND_ID (data DIR)": "what parleyd prints",
}

CAMPAIGN = "takes minutes to hours; a part of it is a test"
BY_HAND = "takes long, and is done by hand for the figures of this page"
BUILDS = "builds everything; what this test runs in was built so"
PACKAGE = "needs a machine whose systemd it may change; tried in a chroot that boots one"
NETWORK = "fetches and builds packages for a long time"
NAMED = "is named here, without what it has to be given; run where a page gives it"
# Commands that are not run here: why, and the file that has them tried.
NOT_RUN = {
    "sh tools/demo.sh [FILE.jsonl[.gz]]": (BUILDS, "tools/test.sh"),
    "sh tools/test.sh": (BUILDS, "tools/test.sh"),
    "cmake --preset release && cmake --build --preset release": (BUILDS, "CMakePresets.json"),
    "cmake --workflow --preset check": (BUILDS, "CMakePresets.json"),
    "cmake --install build/release --prefix /usr/local":
        ("writes to the system", "tests/package/test_units.py"),
    "cmake --install": (NAMED, "tests/package/test_units.py"),
    "cc two_stores.c $(pkg-config --cflags --libs parley-node)":
        ("needs what is installed", "tests/embed/test_embed.py"),
    "cc -static two_stores.c $(pkg-config --static --cflags --libs parley-node)":
        ("needs what is installed", "tests/embed/test_embed.py"),
    "man parley": ("the pages are not installed", "tests/package/test_pages.py"),
    "man 8 parleyd": ("the pages are not installed", "tests/package/test_pages.py"),
    "sh tools/build-deb.sh": (NETWORK, "tests/package/chroot.sh"),
    "sh tools/build-static.sh amd64|arm64|armhf": (NETWORK, "tests/package/test_container.py"),
    "sh tests/package/chroot.sh": (NETWORK, "tests/package/chroot.sh"),
    "sh tests/proofs/run.sh": (NETWORK, "tests/proofs/run.sh"),
    "docker exec NAME /parley --data /data COMMAND":
        ("there is no docker", "tests/package/test_container.py"),
    "systemctl enable --now parleyd": (PACKAGE, "tests/package/chroot.sh"),
    "systemctl enable --now parleyd.socket": (PACKAGE, "tests/package/chroot.sh"),
    "systemctl reload": (NAMED, "tests/package/chroot.sh"),
    "systemctl reload parleyd": (PACKAGE, "tests/package/chroot.sh"),
    "systemd-analyze security parleyd": (PACKAGE, "tests/package/test_units.py"),
    "systemd-run --pipe --wait -p DynamicUser=yes -p User=parley -p StateDirectory=parley parley "
    "--data /var/lib/parley compact": (PACKAGE, "tests/package/chroot.sh"),
    "rm -rf /var/lib/private/parley /var/lib/parley": (PACKAGE, "tests/package/chroot.sh"),
    "ssh -L 8825:127.0.0.1:8825 HOST": ("needs another machine", "tests/cli/test_transport.py"),
    "curl --cacert": (NAMED, "docs/OPERATIONS.md"),
    "cd tests/power && PARLEYD=\u2026 PARLEY=\u2026 POWER_RECORDER=\u2026 POWER_REPLAY=\u2026 "
    "CURSOR_APART=\u2026 python3 campaign.py --seeds 1001..1060 --operations 250 --images 1200000":
        (CAMPAIGN, "tests/power/CMakeLists.txt"),
    "power_replay --log R/log --claims R/claims --root R/root --work /dev/shm/w --tear 512 "
    "--seed N --only POINT:IMAGE --keep DIR":
        ("needs what a campaign recorded", "tests/power/campaign.py"),
    "build/release/tests/fault/parley-fault sweep": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "build/release/tests/fault/parley-fault rows": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "parley-fault sweep": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "cd tests/fault && PARLEYD=\u2026 PARLEY=\u2026 PARLEY_FAULT_SHIM=\u2026 CASES=200 SEED=1 "
    "python3 test_daemon.py": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "CASES=200 SEED=20261128 test_daemon.py": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "cd tests/net && PARLEYD=\u2026 PARLEY=\u2026 NET_SWITCH=\u2026 python3 -B campaign.py "
    "--minutes 60": (CAMPAIGN, "tests/net/CMakeLists.txt"),
    "cd tests/net && PARLEYD=\u2026 PARLEY=\u2026 NET_SWITCH=\u2026 python3 -B campaign.py "
    "--only SEED --world-seconds 300": (CAMPAIGN, "tests/net/CMakeLists.txt"),
    "SEED=20261128 HISTORIES=6000 test_merge.py "
    "Merge.test_the_engine_and_the_model_say_the_same":
        (CAMPAIGN, "tests/reference/CMakeLists.txt"),
    "SEED=20261128 WORLDS=2000 test_reconcile.py "
    "Reconcile.test_two_nodes_become_what_the_model_says":
        (CAMPAIGN, "tests/reference/CMakeLists.txt"),
    "python3 tests/models/run.py [NAME]": ("needs spin", "tests/models/CMakeLists.txt"),
    "cd tests/reference && REFERENCE_DRIVER=../../build/release/tests/reference/reference_driver "
    "SEED=N HISTORIES=1 python3 -B test_merge.py": (CAMPAIGN, "tests/reference/CMakeLists.txt"),
    "parley-bench footprint": (BY_HAND, "bench/bench_footprint.c"),
    "python3 -B tests/soak/soak.py --minutes 120 --out soak":
        (CAMPAIGN, "tests/soak/CMakeLists.txt"),
    "soak.py --minutes 120": (CAMPAIGN, "tests/soak/CMakeLists.txt"),
    "python3 -B tools/dev/mutants.py": (CAMPAIGN, "tools/test.sh"),
    "sh tools/dev/fuzz.sh 600": (CAMPAIGN, "tools/test.sh"),
    "python3 -B tools/dev/mutants.py --smoke 8 --seed 1": (CAMPAIGN, "tools/test.sh"),
    "python3 -B tools/dev/coverage.py": (BY_HAND, "docs/RELIABILITY.md"),
    "python3 -B tools/dev/coverage.py --no-build --no-run --show net/uv/uv_dial.c":
        (BY_HAND, "docs/RELIABILITY.md"),
    "python3 -B tools/dev/http_suites.py --parleyd build/release/tools/parleyd "
    "--json JSONTestSuite --http llhttp":
        ("needs two suites of tests that others publish", "tools/dev/http_suites.py"),
    "python3 -B tools/dev/capacity.py --messages 1000000": (CAMPAIGN, "tests/cli/test_capacity.py"),
    "python3 -B tools/dev/capacity.py --connections": (CAMPAIGN, "tests/cli/test_capacity.py"),
    "parley-sim --scenarios --jobs 2": (CAMPAIGN, "tests/sim/CMakeLists.txt"),
    "parley-fault lies": (CAMPAIGN, "tests/fault/CMakeLists.txt"),
    "parley-sim --self-test": (CAMPAIGN, "tests/sim/CMakeLists.txt"),
}


# Commands that may end otherwise than with 0, as the pages say.
CODES = [(r"\bdoctor\b", (0, 1))]
# Commands that go on until somebody ends them.
ENDLESS = re.compile(r"audit .*--follow")
# Commands of a node without a daemon, and those that make a node.
WITHOUT_DAEMON = re.compile(r"^parley .*?\b(compact|key export|key reseal)\b|^parleyd\b")
WITHOUT_NODE = re.compile(r"^parley .*?(?<!trash )\b(restore|key import)\b|"
                          r"^parleyd .*--(type|key-bits)\b")
# Programs that are run. What does more to a machine has to be in NOT_RUN.
RUN = re.compile(r"parleyd?|parley-\w+|build/release/.*|ctest|curl|head|mv|python3|PATH=.*")
ASKS_PARLEYD = re.compile(r"--(help|version|check-config|print-config|list-settings)\b")


class Runner:
    """Runs lines one after the other, each in a shell; daemons serve until the end."""

    def __init__(self, place, data, folder=None):
        self.place, self.data, self.folder = place, data, folder or place.base
        self.environment = place.environment(data)
        self.known = {"DIR": data}
        self.daemons = []

    def fill_in(self, text):
        """What this block knows goes before what the place has."""
        for word, meaning in self.known.items():
            text = re.sub(rf"(?<![\w-]){word}(?![\w-])", lambda _, meaning=meaning: meaning, text)
        return doc_place.fill_in(text, self.place)

    def run(self, text):
        """"" or what went wrong."""
        if not RUN.fullmatch(doc_commands.program_of(text)):
            return f"{text}: is neither run nor in NOT_RUN"
        line = self.fill_in(text)
        if re.fullmatch(r"PATH=\S+", line): # it is set here as the page says
            return ""
        program = doc_commands.program_of(line)
        if program == "parleyd" and not ASKS_PARLEYD.search(line):
            return self.serve(line)
        if ENDLESS.search(line):
            return self.follow(line)
        done = nodes.run(["timeout", str(SECONDS), "bash", "-c", f"cd {self.folder}\n{line}"],
                         environment=self.environment)
        codes = next((codes for pattern, codes in CODES if re.search(pattern, line)), (0,))
        for url in re.findall(r"^parley://\S+", done.out, re.M):
            self.known[r"parley://(\u2026|\.\.\.)"] = url
        if done.code not in codes or "Total Tests: 0" in done.out:
            return f"{line}: {done}"
        return ""

    def spawn(self, line):
        return subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=self.folder,
                                env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def serve(self, line):
        line = line.rstrip(" &")
        if "--listen" not in line:
            self.environment["PARLEY_LISTEN"] = "127.0.0.1:0"
        process = self.spawn(line)
        nodes.running.add(process)
        first = process.stdout.readline()
        if not first.startswith(b"parleyd ready on "):
            return f"{line}: {first!r} {self.end(process)}"
        self.daemons.append((line, process))
        return ""

    def follow(self, line):
        process = self.spawn(line)
        nodes.running.add(process)
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM) # a shell's background ignores SIGINT
        self.end(process)
        return "" if first else f"{line}: says nothing"

    @staticmethod
    def end(process):
        out, err = process.communicate(timeout=SECONDS)
        nodes.running.discard(process)
        return f"exit {process.returncode} {out[-500:]!r} {err[-2000:]!r}"

    def close(self):
        """Stops the daemons; "" or what went wrong."""
        wrong = ""
        for line, process in self.daemons:
            process.send_signal(signal.SIGTERM)
            said = self.end(process)
            if process.returncode != 0:
                wrong += f"{line}: {said}\n"
        self.daemons = []
        return wrong


class Pages:
    """What the pages show, sorted by what is done with it."""

    def __init__(self, paths, usages):
        self.usages = usages
        self.seen = set()
        self.groups = [] # lists of commands that are run in order
        fenced = {text for _, text in test_tutorial.blocks()}
        fenced |= set(re.findall(r"^```sh\n(.*?)^```$",
                                 test_http_doc.DOC.read_text(encoding="utf-8"), re.M | re.S))
        for path in paths:
            for block in doc_commands.blocks_of(path):
                self.take_block(block, fenced)
            for shown in doc_commands.spans_of(path):
                self.take([shown])

    def take_block(self, block, fenced):
        known = block.language is not None and not block.language.startswith("sh")
        if block.text in fenced or known and block.language != "":
            return
        if block.lines[0] in NO_COMMANDS:
            self.seen.add(block.lines[0])
            return
        self.take(block.commands(some=block.page in LAYOUT_PAGES))

    def take(self, group):
        kept = []
        for shown in group:
            if shown.text in NOT_RUN or shown.text in NO_COMMANDS:
                self.seen.add(shown.text)
            elif not self.is_name(shown.text):
                kept.append(shown)
        if kept:
            self.groups.append(kept)

    def is_name(self, text):
        """A command without all that it has to be given: its name, in a sentence."""
        return (text not in self.usages and
                any(usage.startswith(text + " ") for usage in self.usages))


def usages():
    """All ways to write all commands, as parley says them."""
    found = set()
    for entry in json.loads(nodes.run([nodes.PARLEY, "--json", "help"]).out)["commands"]:
        more = nodes.run([nodes.PARLEY, "help", entry["name"]]).out.partition("\n\n")[2]
        verbs = re.findall(rf"^  {entry['name']} (.*)$", more, re.M)
        for usage in verbs or [entry["usage"]]:
            for form in doc_commands.forms(usage, alternatives=True):
                found.add(f"parley {entry['name']} {form}".strip())
    return found


def script_of(text):
    """The file in the tree that a command runs, if it is a script."""
    found = re.match(r"(?:cd (\S+) && )?(?:[A-Z_]+=\S+ )*(?:python3 |sh )(?:-B )?(\S+)", text)
    return TOP / (found[1] or "") / found[2] if found else None


class DocsRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = Pages(PAGES, usages())
        text = (TOP / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
        config = re.search(r"^    # /etc/parley/parleyd\.conf\n(?:    .*\n)+", text, re.M)[0]
        cls.place = doc_place.Place(config)

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def runner_of(self, group):
        """For a block one directory; for a line what it needs."""
        text = group[0].text
        if any(re.search(r"--data (one|two)\b.*&$", shown.text) for shown in group):
            folder = self.place.new()
            os.mkdir(folder)
            os.symlink(TOP / "tools", os.path.join(folder, "tools"))
            return Runner(self.place, folder, folder)
        if len(group) == 1 and WITHOUT_NODE.search(text):
            return Runner(self.place, self.place.new())
        if len(group) == 1 and WITHOUT_DAEMON.search(text) or any(
                shown.text.startswith("parleyd ") and shown.block for shown in group):
            return Runner(self.place, self.place.copy())
        return Runner(self.place, self.place.one.data)

    def run_group(self, group):
        runner = self.runner_of(group)
        for shown in group:
            if shown.note.startswith("there"):
                runner.known["DIR"] = self.place.two.data
            yield shown, runner.run(shown.text)
        yield group[-1], runner.close()

    def run_pages(self, pages):
        """(how many commands were run, what went wrong)."""
        count, wrong, done = 0, [], set()
        for group in pages.groups:
            one_by_one = ([[group[0].written(form)] for form in doc_commands.forms(group[0].text)]
                          if len(group) == 1 else [group])
            for commands in one_by_one:
                key = tuple(shown.text for shown in commands)
                if key not in done:
                    done.add(key)
                    count += len(commands)
                    wrong += [f"{shown}\n{said}" for shown, said in self.run_group(commands)
                              if said]
        return count, wrong

    def test_every_command_runs(self):
        count, wrong = self.run_pages(self.pages)
        self.assertEqual([], wrong, "\n\n".join(wrong))
        self.assertGreater(count, 150)

    def planted(self, text):
        path = pathlib.Path(self.place.new(".md"))
        path.write_text(text, encoding="utf-8")
        return self.run_pages(Pages([path], self.pages.usages))[1]

    def test_what_is_wrong_in_a_page_is_seen(self):
        for text in ("\n\n    parley --data DIR list --nonsense\n\n", "`parley peers --nonsense`",
                     "\n\n    parleyd --data DIR --nonsense\n\n", "`systemctl nonsense parleyd`",
                     "```\nfrobnicate DIR\n```\n", "`tests/soak/soak.py --nonsense`",
                     "| command | what it does |\n|---|---|\n| `show CONV MSG TEXT` | |\n\n"):
            self.assertEqual(1, len(self.planted(text)), text)
        self.assertEqual([], self.planted("\n\n    parley --data DIR list\n\n"))

    def test_the_lists_have_nothing_that_no_page_shows(self):
        self.assertEqual(set(), (set(NOT_RUN) | set(NO_COMMANDS)) - self.pages.seen)

    def test_what_is_not_run_is_tried_elsewhere_and_has_its_flags(self):
        for text, (reason, where) in NOT_RUN.items():
            self.assertTrue(reason and (TOP / where).is_file(), f"{text}: {where}")
            script = script_of(text)
            if script is None:
                continue
            self.assertTrue(script.is_file(), text)
            for flag in re.findall(r"--[a-z-]+", text):
                self.assertIn(flag, script.read_text(encoding="utf-8"), text)


    # ---- Sequences, and what comes of them ----

    def section(self, head):
        text = (TOP / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
        return re.search(rf"^##+ {head}\n.*?(?=^##+ |\Z)", text, re.M | re.S)[0]

    def shown_in(self, text):
        path = pathlib.Path(self.place.new(".md"))
        path.write_text("\n" + text, encoding="utf-8")
        blocks = [shown for block in doc_commands.blocks_of(path) for shown in block.commands()]
        return [shown.text for shown in blocks + doc_commands.spans_of(path)]

    def run_all(self, data, lines, **known):
        runner = Runner(self.place, data)
        runner.known.update(known)
        for line in lines:
            self.assertEqual("", runner.run(line))
        self.assertEqual("", runner.close())

    def node_at(self, data, *flags):
        return nodes.Node(os.path.dirname(data), os.path.basename(data), *flags)

    def starts_as(self, data, backend_id, *flags):
        node = self.node_at(data, *flags).start()
        self.assertEqual(backend_id, node.identity())
        self.assertEqual(0, node.cli("check").code)
        self.assertEqual(0, node.stop())

    def test_restore(self):
        data = self.place.copy()
        node = self.node_at(data)
        before, backend_id = node.export(), node.identity()
        node.json("delete", "conv-00001")
        lines = self.shown_in(self.section("Restore"))[:3]
        self.assertEqual(["mv", "parley", "parleyd"], [line.split()[0] for line in lines])
        self.run_all(data, lines)
        self.assertEqual(before, node.export())
        self.starts_as(data, backend_id)

    def test_a_key_is_moved(self):
        paragraph = re.search(r"To move a node:.*?\n\n", self.section("Keys"), re.S)[0]
        lines = self.shown_in(paragraph)
        self.assertEqual(["export", "import"], [re.search("key (\\w+)", line)[1] for line in lines])
        data, new = self.place.copy(), self.place.new()
        self.run_all(data, lines, NEWDIR=new, FILE=self.place.new(".sealed"))
        self.starts_as(new, self.node_at(data).identity())

    def test_a_key_is_sealed_anew(self):
        lines = [line for line in self.shown_in(self.section("The command line"))
                 if "key reseal --" in line]
        for line, flag, secret in zip(lines, ("--passphrase-file", "--seal-key-file"),
                                      (self.place.secret(), self.place.secret(os.urandom(32)))):
            self.assertIn(f"--new{flag[1:]} F", line)
            data = self.place.copy()
            backend_id = self.node_at(data).identity()
            self.run_all(data, [line], F=secret)
            os.unlink(os.path.join(data, "seal.key"))
            self.starts_as(data, backend_id, flag, secret)

    def test_compact(self):
        data = self.place.copy()
        node = self.node_at(data)
        backend_id, store = node.identity(), os.path.join(data, "store", "data.mdb")
        for number in range(40):
            node.json("purge", f"conv-{number:05d}", "--reason", "room")
        before, size = node.export(), os.path.getsize(store)
        self.run_all(data, [line for line in self.shown_in(self.section("Compact"))
                            if line == "parley compact"])
        self.assertEqual(before, node.export())
        self.assertLess(os.path.getsize(store), size)
        self.starts_as(data, backend_id)


if __name__ == "__main__":
    unittest.main()
