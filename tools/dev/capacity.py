#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a machine has to give for a store of so many messages, and prints the row of the
table in docs/OPERATIONS.md, *Capacity*.

Usage: capacity.py --messages N [--data FILE.jsonl[.gz]] [--scratch DIR] [--bin DIR] [--seconds S]
       capacity.py --connections [--peers N] [--scratch DIR] [--bin DIR]

Conversations of --data are repeated under new ids, ten minutes apart, until there are N messages;
without it those of tools/sample.jsonl. --bin is the build directory (build/release). What it makes
it makes below --scratch, which should be on the disk that is asked about, and removes. Each step
is said on stderr.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import resource
import select
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLUSHES = 20
ROUNDS = 20
OPENS = 5
CONVERSATION_SECONDS = 600
EPOCH = 1577836800 # 2020
CONNECTIONS = 200
SETTLE_SECONDS = 4 # buffers of who is idle are given back by then
# So many come before, since what is made once is not theirs.
WARM_PEERS = 2
WARM = 8
COLUMNS = (
    ("messages", "{messages:,}"), ("store", "{store} MB"),
    ("memory: rest, `small`, most", "{rest:.1f}, {small}, {most:.0f} MiB"),
    ("start: stopped, killed", "{open:.0f}, {killed:.0f} ms"), ("import", "{import}"),
    ("copy", "{copy}"), ("backup", "{backup}, {backup_size} MB"), ("`check`", "{check}"),
    ("1 writer", "{one:,.0f} ({one_ratio:.2f})"), ("64 writers", "{many:,.0f} ({many_ratio:.1f})"),
    ("fdatasync", "{flush:.1f} ({flush_mean:.1f}) ms"),
)
HEAD = "| " + " | ".join(name for name, _ in COLUMNS) + " |"


def say(text):
    print(f"capacity: {text}", file=sys.stderr, flush=True)


# ---- Conversations ----

def conversations(path):
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def write_conversations(source, path, count):
    """Writes so many messages; returns the ids of their conversations."""
    ids, left = [], count
    with open(path, "w", encoding="utf-8") as file:
        while left > 0:
            for item in source:
                messages = [dict(message, timestamp=stamp(EPOCH + len(ids) * CONVERSATION_SECONDS +
                                                          4 * turn))
                            for turn, message in enumerate(item["messages"][:left])]
                name = f"{item['conversation_id']}-{len(ids)}"
                copy = dict(item, conversation_id=name, messages=messages,
                            created_at=messages[0]["timestamp"],
                            updated_at=messages[-1]["timestamp"])
                file.write(json.dumps(copy, ensure_ascii=False) + "\n")
                ids.append(name)
                left -= len(messages)
                if left <= 0:
                    break
    return ids


# ---- What the system says ----

def private_mib(node):
    """Memory that is the daemon's alone and in no file."""
    with open(f"/proc/{node.process.pid}/smaps_rollup", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return sum(int(fields[name].split()[0]) for name in ("Anonymous", "Swap")) / 1024


class Peak:
    """The most private memory that the daemon has while this is open."""

    def __init__(self, node):
        self.node, self.most, self.end = node, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.end.wait(0.1):
            self.most = max(self.most, private_mib(self.node))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def flush_times(folder):
    """Seconds of each write of a page to the end of a file with an fdatasync."""
    path = os.path.join(folder, "flush")
    times = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(FLUSHES):
            start = time.monotonic()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - start)
    os.unlink(path)
    return times


def forget_pages(path):
    """Drops what the page cache has of a file, so that the next open reads the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def store_file(node):
    folder = os.path.join(node.data, "store")
    return max((os.path.join(folder, name) for name in os.listdir(folder)), key=os.path.getsize)


def megabytes(path):
    size = os.path.getsize(path) / 1e6
    return f"{size:.1f}" if size < 10 else f"{size:.0f}"


def timed(function, *arguments):
    start = time.monotonic()
    function(*arguments)
    return time.monotonic() - start


def processor_seconds(daemons):
    """Of daemons, and of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    for node in daemons:
        with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def short(seconds):
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"


def cost(daemons, function, *arguments):
    """Seconds, and those of them that processors were at work for it."""
    before = processor_seconds(daemons)
    took = timed(function, *arguments)
    text = f"{short(took)} s ({short(processor_seconds(daemons) - before)})"
    say(f"{arguments[0]}: {text}")
    return text


# ---- Appends ----

class Writer:
    """One connection that appends a message as soon as the one before is durable."""

    def __init__(self, node, token):
        self.socket = socket.create_connection(("127.0.0.1", node.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"

    def send(self, conversation):
        body = json.dumps({"role": "user", "content": "Please find restaurants in San Jose."})
        path = urllib.parse.quote(conversation, safe="")
        self.socket.sendall((f"POST /conversations/{path}/messages HTTP/1.1\r\n{self.head}"
                             f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def take(self):
        answer = self.socket.recv(65536)
        if not answer.startswith(b"HTTP/1.1 201"):
            raise SystemExit(f"capacity: an append was answered {answer!r}")


def appends(node, ids, count, seconds, end=None):
    """Durable appends a second of so many writers; `end` is called while they still write."""
    writers = {}
    poll = select.epoll()
    done = 0
    for _ in range(count):
        writer = Writer(node, node.token())
        writers[writer.socket.fileno()] = writer
        poll.register(writer.socket, select.EPOLLIN)
        writer.send(random.choice(ids))
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        for number, _ in poll.poll(1):
            writers[number].take()
            done += 1
            writers[number].send(random.choice(ids))
    rate = done / (time.monotonic() - start)
    if end is not None:
        end()
    for writer in writers.values():
        if end is None:
            writer.take()
        writer.socket.close()
    return rate


# ---- Measurements ----

def open_ms(node, before):
    """Median time from the start to the line that says it is ready, with nothing of the file in
    memory."""
    times = []
    for _ in range(OPENS):
        before()
        forget_pages(store_file(node))
        times.append(timed(node.start) * 1000)
    return statistics.median(times)


def measure_copy(nodes, node, base):
    other = nodes.Node(base, "other", kind="hosted").start()
    invite = node.invite()

    def copy(_):
        other.json("join", invite)
        other.json("sync", "--timeout", "86400s")

    text = cost([node, other], copy, "copy")
    if other.root() != node.root():
        raise SystemExit("capacity: the copy is not equal")
    node.json("revoke", other.identity())
    other.stop()
    shutil.rmtree(other.data)
    return text


def small_memory(node):
    """Private memory under --profile small, if the store is within its limit."""
    if os.path.getsize(store_file(node)) > 256 << 20:
        return "–"
    node.flags = ["--profile", "small"]
    return f"{rest_mib(node.start()):.1f}"


def rest_mib(node):
    node.json("status")
    node.json("list", "--limit", "10")
    time.sleep(1)
    memory = private_mib(node)
    node.stop()
    return memory


def measure_writes(node, ids, base, seconds):
    """In short turns with flushes of the disk, since disks and other programs have moods."""
    flushes, one, many = [], [], []
    for _ in range(ROUNDS):
        flushes += flush_times(base)
        one.append(appends(node, ids, 1, seconds / ROUNDS))
        flushes += flush_times(base)
        many.append(appends(node, ids, 64, seconds / ROUNDS))
    mean = statistics.mean(flushes)
    one, many = statistics.mean(one), statistics.mean(many)
    return {"flush": statistics.median(flushes) * 1000, "flush_mean": mean * 1000, "one": one,
            "many": many, "one_ratio": one * mean, "many_ratio": many * mean}


def measure(nodes, arguments, base):
    row = {"messages": arguments.messages}
    path = os.path.join(base, "in.jsonl")
    ids = write_conversations(conversations(arguments.data), path, arguments.messages)
    say(f"{len(ids):,} conversations, {os.path.getsize(path) / 1e6:.0f} MB of JSON lines")
    node = nodes.Node(base, "node").start()
    with Peak(node) as peak:
        row["import"] = cost([node], node.json, "import", path)
        os.unlink(path)
        row["store"] = megabytes(store_file(node))
        row["copy"] = measure_copy(nodes, node, base)
        backup = os.path.join(base, "node.parley")
        row["backup"] = cost([node], node.json, "backup", backup)
        row["backup_size"] = megabytes(backup)
        os.unlink(backup)
        row["check"] = cost([node], node.json, "check")
        row.update(measure_writes(node, ids, base, arguments.seconds))
        say(f"appends {row['one']:.0f} and {row['many']:.0f} a second")
    row["most"] = peak.most
    row["open"] = open_ms(node, node.stop)
    turn = arguments.seconds / ROUNDS
    row["killed"] = open_ms(node, lambda: appends(node, ids, 64, turn, node.kill))
    node.stop()
    row["rest"] = rest_mib(node.start())
    row["small"] = small_memory(node)
    return row


def print_row(row):
    print(HEAD)
    print("|" + "---|" * len(COLUMNS))
    print("| " + " | ".join(form.format(**row) for _, form in COLUMNS) + " |")


def measure_peers(nodes, base, count):
    """KiB of each peer that is connected and equal."""
    node = nodes.Node(base, "node").start()
    node.json("append", "c", "--role", "user", "hello")
    others = []
    for number in range(WARM_PEERS + count):
        if number == WARM_PEERS:
            before = settled_kib(node)
        other = nodes.Node(base, f"peer-{number}", kind="edge").start()
        other.json("join", node.invite())
        other.json("sync")
        others.append(other)
    taken = (settled_kib(node) - before) / count
    for other in (*others, node):
        other.stop()
    return taken


def measure_connections(nodes, base, wrap):
    """KiB of each connection that has been answered and is idle."""
    node = nodes.Node(base, "node").start()
    kept = []
    for number in range(WARM + CONNECTIONS):
        if number == WARM:
            before = settled_kib(node)
        one = wrap(socket.create_connection(("127.0.0.1", node.port)))
        one.sendall(f"GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                    f"{node.token()}\r\n\r\n".encode())
        if not one.recv(65536).startswith(b"HTTP/1.1 200"):
            raise SystemExit("capacity: a request failed")
        kept.append(one)
    taken = (settled_kib(node) - before) / CONNECTIONS
    node.stop()
    for one in kept:
        one.close()
    return taken


def print_connections(nodes, base, peers):
    rows = (("peer", measure_peers(nodes, base, peers)),
            ("connection of HTTP", measure_connections(nodes, base, lambda one: one)),
            ("connection of HTTPS", measure_connections(nodes, base, wrapped)))
    for name, taken in rows:
        print(f"| a {name} | {taken:.1f} KiB |")


def wrapped(one):
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(one)


def settled_kib(node):
    time.sleep(SETTLE_SECONDS)
    return private_mib(node) * 1024


def main():
    parser = argparse.ArgumentParser(description="What a store of so many messages takes.")
    parser.add_argument("--messages", type=int)
    parser.add_argument("--connections", action="store_true")
    parser.add_argument("--peers", type=int, default=16)
    parser.add_argument("--data", default=str(ROOT / "tools" / "sample.jsonl"))
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    parser.add_argument("--bin", default=str(ROOT / "build" / "release"))
    parser.add_argument("--seconds", type=float, default=20, help="of appends, by 1 and by 64")
    arguments = parser.parse_args()
    if (arguments.messages is None) == (not arguments.connections):
        parser.error("say --messages N or --connections")
    os.environ["PARLEYD"] = os.path.join(arguments.bin, "tools/parleyd")
    os.environ["PARLEY"] = os.path.join(arguments.bin, "tools/parley/parley")
    sys.path.insert(0, str(ROOT / "tests" / "cli"))
    import nodes
    nodes.START_SECONDS = nodes.CALL_SECONDS = 86400
    os.makedirs(arguments.scratch, exist_ok=True)
    base = tempfile.mkdtemp(prefix="parley-capacity-", dir=arguments.scratch)
    try:
        if arguments.connections:
            print_connections(nodes, base, arguments.peers)
        else:
            print_row(measure(nodes, arguments, base))
            say("load of the machine: " + " ".join(f"{load:.1f}" for load in os.getloadavg()))
    finally:
        nodes.stop_all()
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
