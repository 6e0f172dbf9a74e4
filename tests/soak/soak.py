# SPDX-License-Identifier: Apache-2.0
"""A soak: five real daemons in a ring with a chord, TLS between them, under load and faults,
watched for what grows. `python3 soak.py --minutes 120` is a campaign; docs/RELIABILITY.md has its
figures.

The first three daemons live as long as the run, so that their memory can be judged; they are
stopped for seconds and lose their connections like the others. The last two are also killed and
restarted. Exit 0: judge.py has found nothing; 1: what it found is printed."""
import argparse
import collections
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
os.environ.setdefault("PARLEYD", os.path.join(ROOT, "build/release/tools/parleyd"))
os.environ.setdefault("PARLEY", os.path.join(ROOT, "build/release/tools/parley/parley"))

import judge  # noqa: E402
import links  # noqa: E402
import load  # noqa: E402
import nodes  # noqa: E402

NAMES = ("a", "b", "c", "d", "e")
LONG_LIVED = 3
EDGES = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2))  # who dials whom
CONVERGE_SECONDS = 240
REST_SECONDS = 60
WARM_UP_SECONDS_MAX = 1800  # by then every register has the history that it may have
FINDINGS_MAX = 50
# Errors in the log that a fault of this test explains; there are none.
EXPLAINED = ()
METRICS = {"parley_store_file_bytes": "file", "parley_store_readers": "readers",
           "parley_store_reader_slots": "slots", "parley_connections": "connections",
           "parley_buffered_bytes": "buffered", "parley_log_sequence": "sequence",
           "parley_commits_total": "commits", 'parley_namespace_versions{namespace="main"}':
           "versions", "parley_scrub_problems_total": "scrub_problems"}
COLUMNS = ("second", "node", "life", "private", "mapped", "fds", "threads", "cpu",
           *METRICS.values())


class Daemon:
    def __init__(self, base, number):
        self.name = NAMES[number]
        self.long_lived = number < LONG_LIVED
        self.node = nodes.Node(base, self.name, kind=("local", "hosted", "edge")[number % 3])
        self.node.start()
        self.admin = self.node.token()
        self.identity = self.node.identity()
        self.lock = threading.Lock()  # held by who troubles it
        self.marks = 0
        self.life = 0
        self.fds_at_start = self.fds()
        self.peers = sum(number in edge for edge in EDGES)

    def fds(self):
        return len(os.listdir(f"/proc/{self.node.process.pid}/fd"))

    def troubles(self):
        return self.marks

    def in_trouble(self):
        return self.lock.locked()

    def __enter__(self):
        self.lock.acquire()
        self.marks += 1
        return self

    def __exit__(self, *_):
        self.marks += 1
        self.lock.release()

    def sample(self):
        """What the kernel and the daemon itself say, None when it does not answer."""
        proc = f"/proc/{self.node.process.pid}/"
        try:
            with open(proc + "smaps_rollup") as file:
                rows = dict(line.split(":") for line in file.read().splitlines()[1:])
            with open(proc + "stat") as file:
                stat = file.read().rsplit(")", 1)[1].split()
            size = {key: int(value.split()[0]) * 1024 for key, value in rows.items()}
            found = {"life": self.life, "private": size["Anonymous"] + size["Swap"],
                     "mapped": size["Rss"] - size["Anonymous"], "fds": self.fds(),
                     "threads": int(stat[17]),
                     "cpu": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")}
            status, text = self.node.http("GET", "/metrics", token=self.admin)
        except (OSError, ValueError, KeyError):
            return None
        if status != 200:
            return None
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name in METRICS:
                found[METRICS[name]] = int(float(value))
        return found


class Soak:
    def __init__(self, options, base):
        self.seconds = options.minutes * 60 if options.seconds is None else options.seconds
        self.rate = options.rate
        self.fault_every = options.fault_every
        self.random = random.Random(options.seed)
        self.out = options.out or base
        self.calm = threading.Event()  # load and faults end
        self.died = False              # a daemon has, and nobody asked it to
        self.counts = collections.Counter()
        self.findings = []
        self.lock = threading.Lock()
        self.samples = []
        self.begun = time.monotonic()
        self.wires = links.Wires()
        self.daemons = [Daemon(base, number) for number in range(len(NAMES))]
        self.connect()

    # ---- Notes ----

    def now(self):
        return time.monotonic() - self.begun

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def finding(self, text):
        with self.lock:
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(f"{self.now():.1f} s: {text}")
                print("FOUND", self.findings[-1], flush=True)

    def guarded(self, run):
        """The body of a thread: what ends it is a finding."""
        try:
            run()
        except BaseException:  # pylint: disable=broad-except
            self.finding("a thread of the test ended: " + traceback.format_exc())

    def connect(self):
        for dialer, target in EDGES:
            node = self.daemons[target].node
            link = self.wires.link(lambda node=node: node.port)
            own, other = f"127.0.0.1:{node.port}", f"127.0.0.1:{link.port}"
            url = node.json("invite")["url"]
            if own not in url:
                raise AssertionError(f"{url.split('&s=')[0]} does not name {own}")
            self.daemons[dialer].node.json("join", url.replace(own, other))

    # ---- Faults ----

    def fault_links(self):
        draw = random.Random(self.random.random())
        while not self.calm.wait(draw.expovariate(1 / self.fault_every)):
            link = draw.choice(self.wires.links)
            kind = draw.choice(("cut", "cut", "hold", "away"))
            self.count("link " + kind)
            if kind == "cut":
                link.cut()
                continue
            change = link.hold if kind == "hold" else link.take_away
            change(True)
            self.calm.wait(draw.uniform(1, 12))
            change(False)

    def fault_daemons(self):
        draw = random.Random(self.random.random())
        while not self.calm.wait(draw.expovariate(1 / self.fault_every)):
            daemon = draw.choice(self.daemons)
            kind = "stall" if daemon.long_lived else draw.choice(("stall", "kill", "kill", "stop"))
            self.count("daemon " + kind)
            with daemon:
                if kind == "stall":
                    self.stall(daemon, draw.uniform(0.2, 6))
                else:
                    self.restart(daemon, kind, draw.uniform(0, 4))

    def stall(self, daemon, seconds):
        daemon.node.process.send_signal(signal.SIGSTOP)
        self.calm.wait(seconds)
        daemon.node.process.send_signal(signal.SIGCONT)

    def restart(self, daemon, kind, seconds):
        if daemon.node.process.poll() is not None:
            return  # the sampler has said so
        code = daemon.node.kill() if kind == "kill" else daemon.node.stop()
        if kind == "stop" and code != 0:
            self.finding(f"{daemon.name}: ended with {code} when it was asked to end")
        self.calm.wait(seconds)
        daemon.life += 1
        daemon.node.start()

    # ---- Samples ----

    def sample(self, daemon):
        if daemon.in_trouble():
            return None
        code = daemon.node.process.poll()
        if code is not None:
            if not daemon.in_trouble():
                self.finding(f"{daemon.name}: ended by itself with {code}")
                self.died = True
                self.calm.set()
            return None
        found = daemon.sample()
        if found is not None:
            found.update(second=round(self.now(), 2), node=daemon.name)
            self.samples.append(found)
        return found

    def watch(self, end, every):
        with open(os.path.join(self.out, "samples.csv"), "w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            while time.monotonic() < end and not self.calm.is_set():
                begun = time.monotonic()
                for daemon in self.daemons:
                    found = self.sample(daemon)
                    if found is not None:
                        table.writerow(found)
                file.flush()
                self.calm.wait(max(0.1, every - (time.monotonic() - begun)))

    def series(self, daemon, column, after=0.0):
        return [(s["second"], s[column]) for s in self.samples
                if s["node"] == daemon.name and s["second"] >= after and column in s]

    # ---- The run ----

    def run(self):
        self.begun = time.monotonic()
        threads = load.start(self, self.random.random())
        for run in (self.fault_links, self.fault_daemons):
            threads.append(threading.Thread(target=self.guarded, args=(run,), daemon=True))
            threads[-1].start()
        self.watch(self.begun + self.seconds, max(0.5, min(5, self.seconds / 40)))
        self.calm.set()
        for thread in threads:
            thread.join(load.REQUEST_SECONDS + 30)
            if thread.is_alive():
                self.finding("a thread of the test does not end")
        for link in self.wires.links:
            link.hold(False)
            link.take_away(False)
            if link.connections == 0:
                self.finding(f"nobody dialed through the link on port {link.port}")
        self.counts["connections through links"] = sum(x.connections for x in self.wires.links)
        self.counts["connections cut"] = sum(x.cut_connections for x in self.wires.links)

    def wait_for(self, check, seconds, what):
        try:
            return nodes.until(check, seconds, what)
        except AssertionError as error:
            self.finding(str(error))
            return None

    def roots(self):
        return {daemon.name: daemon.node.root() for daemon in self.daemons}

    def rest(self, daemon):
        """A sample when nobody asks but the sampler, None while others are connected."""
        found = daemon.sample()
        return found if found and found["connections"] <= daemon.peers + 1 else None

    def settle(self):
        """Everybody becomes equal and comes to rest; returns what each has then."""
        self.wait_for(lambda: len(set(self.roots().values())) == 1, CONVERGE_SECONDS,
                      "that all roots are equal")
        self.judged("", judge.equal(self.roots(), "roots"))
        self.judged("", judge.equal({d.name: d.node.export() for d in self.daemons}, "exports"))
        rest = {}
        for daemon in self.daemons:
            found = self.wait_for(lambda d=daemon: self.rest(d), REST_SECONDS,
                                  f"{daemon.name}: that connections end")
            rest[daemon.name] = found or daemon.sample()
        return rest

    def stop(self):
        """Stops all; returns how large each store is without its free pages."""
        content = {}
        for daemon in self.daemons:
            code = daemon.node.stop()
            if code != 0:
                self.finding(f"{daemon.name}: ended with {code} when it was asked to end")
            for command in ("check", "compact", "check"):
                done = daemon.node.cli(command)
                if done.code != 0:
                    self.finding(f"{daemon.name}: parley {command}: {done}")
            content[daemon.name] = os.path.getsize(os.path.join(daemon.node.data, "store",
                                                                "data.mdb"))
        self.wires.stop()
        return content

    # ---- The verdict ----

    def judged(self, name, verdict):
        if verdict:
            self.finding(f"{name}: {verdict}" if name else verdict)

    def judge(self, rest, content):
        warm = min(self.seconds / 3, WARM_UP_SECONDS_MAX)
        rows = []
        for daemon in self.daemons:
            name = daemon.name
            memory = self.series(daemon, "private", warm)
            files = self.series(daemon, "file", warm)
            if not daemon.long_lived:  # each life begins anew: levels alone
                memory_verdict = judge.memory([(0, max((v for _, v in memory), default=0))])
            else:
                memory_verdict = judge.memory(memory)
                self.judged(name, judge.threads(self.series(daemon, "threads", warm)))
            at_rest = rest[name] or {"readers": 0, "fds": 0}
            self.judged(name, memory_verdict)
            # All had every rule of retention in turn; who has the widest at the end shows the most.
            self.judged(name, judge.file_size(files, max(content.values())))
            self.judged(name, judge.readers(self.series(daemon, "readers"),
                                            self.series(daemon, "slots"), at_rest["readers"]))
            self.judged(name, judge.descriptors(daemon.fds_at_start, at_rest["fds"],
                                                daemon.peers))
            with open(daemon.node.log, errors="replace") as file:
                self.judged(name, judge.log(file.read().splitlines(), EXPLAINED))
            rows.append(self.row(daemon, memory, files, content[name], at_rest))
        return rows

    def row(self, daemon, memory, files, content, at_rest):
        """What docs/RELIABILITY.md has of a daemon."""
        def mib(value):
            return f"{value / judge.MIB:.1f}"

        likely, lowest = judge.slope(memory)
        growth = "-"
        if daemon.long_lived and judge.is_long(memory):
            growth = f"{likely:.0f} ({lowest:.0f})"
        values = [v for _, v in memory] or [0]
        sizes = [v for _, v in files] or [0]
        cpu = [v for _, v in self.series(daemon, "cpu")]
        return [daemon.name, daemon.life, mib(judge.median(values)), mib(max(values)), growth,
                mib(sizes[0]), mib(sizes[-1]), mib(max(sizes)), mib(content),
                max(v for _, v in self.series(daemon, "readers")),
                max(v for _, v in self.series(daemon, "slots")), at_rest["readers"],
                f"{daemon.fds_at_start} / {at_rest['fds']}",
                f"{cpu[-1] if daemon.long_lived and cpu else 0:.0f}"]


HEADS = ("daemon", "restarts", "private, median MiB", "most", "slope B/s (surely)",
         "file, first MiB", "last", "most", "content", "open reads", "places", "at rest",
         "descriptors first / rest", "CPU s")


def report(soak, rows):
    print(f"\nran {soak.seconds:.0f} s, {len(soak.samples)} samples; " +
          ", ".join(f"{what} {count}" for what, count in sorted(soak.counts.items())))
    print("\n| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    with open(os.path.join(soak.out, "summary.json"), "w") as file:
        json.dump({"seconds": soak.seconds, "counts": soak.counts, "heads": HEADS, "rows": rows,
                   "findings": soak.findings}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seconds", type=float, help="in the place of minutes")
    parser.add_argument("--seed", type=int, default=None, help="of load and faults")
    parser.add_argument("--rate", type=float, default=8, help="requests a second of each client")
    parser.add_argument("--fault-every", type=float, default=5, help="seconds, of either kind")
    parser.add_argument("--out", help="a folder for samples.csv, summary.json and, on failure, all")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"soak: seed {options.seed}", flush=True)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
    base = tempfile.mkdtemp(prefix="parley-soak-")
    soak = Soak(options, base)
    soak.run()
    if not soak.died:  # else nothing can be said of the end, and the finding is enough
        rest = soak.settle()
        report(soak, soak.judge(rest, soak.stop()))
    if soak.findings:
        print(f"\nFAILED, {len(soak.findings)} findings; the data directories stay in {base}")
        print("\n".join(soak.findings))
        return 1
    print("\nnothing found")
    shutil.rmtree(base, True)
    return 0


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
