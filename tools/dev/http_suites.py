#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs public conformance suites against a parleyd. They are not part of the project: name copies
of their repositories.

Usage: http_suites.py --parleyd PATH [--json JSONTestSuite] [--http llhttp]

--json: every file of test_parsing is the value of a field that nobody knows, of a message that is
        posted. y_ must be stored and come back equal, n_ be refused with 400, i_ either; never 5xx.
--http: every request of test/request/*.md is sent as it is. Where llhttp reports an error the node
        must not have answered more requests than llhttp has found whole. Many lack a Host, for
        which alone the node refuses them: these are sent again with one. So is each that has a
        body, to a route that takes bodies, since others are refused by their head.
Exit 1 when something is wrong; what is different on purpose is listed and counted.
"""
import argparse
import glob
import http.client
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile

SECONDS = 30
# Codes of problems that say: this is no request, or its body is none.
REFUSALS = {"malformed", "truncated", "target-too-long", "expectation", "head-too-large",
            "transfer-coding", "http-version", "timeout"}


class Daemon:
    def __init__(self, program):
        self.base = tempfile.mkdtemp(prefix="parley-suites-")
        data = os.path.join(self.base, "data")
        self.process = subprocess.Popen([program, "--data", data, "--listen", "127.0.0.1:0"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline().decode() if ready else ""
        if not line.startswith("parleyd ready on "):
            self.close()
            raise SystemExit(f"parleyd did not start: {line!r}")
        self.port = int(line.split(" ")[3].rstrip(",").rsplit(":", 1)[1])
        with open(os.path.join(data, "admin.token")) as file:
            self.token = file.read().strip()

    def is_alive(self):
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.base, True)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {"Authorization": "Bearer " + self.token})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def talk(self, data):
        """Sends all, half-closes, returns all that comes back."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    got += part
            except ConnectionError:
                pass
        return got


# ---- JSONTestSuite ----

def run_json(daemon, folder):
    counts = {}
    wrong = []
    paths = sorted(glob.glob(os.path.join(folder, "test_parsing", "*.json")))
    for number, path in enumerate(paths):
        name = os.path.basename(path)
        with open(path, "rb") as file:
            text = file.read()
        # In the middle and at the end: what is cut off or goes too far must not be made whole by
        # what is behind it.
        bodies = [b'{"role":"user","content":"c","message_id":"m","extra":' + text + b"}",
                  b'{"role":"user","content":"c","extra":' + text + b',"message_id":"m"}']
        for place, body in enumerate(bodies):
            where = f"/conversations/j{number}-{place}"
            status, answer = daemon.ask("POST", where + "/messages", body)
            kind = name[0]
            verdict = {201: "accepted", 400: "refused"}.get(status, f"status {status}")
            good = {"y": verdict == "accepted", "n": verdict == "refused",
                    "i": verdict in ("accepted", "refused")}[kind]
            if kind == "y" and verdict == "accepted":
                stored = json.loads(daemon.ask("GET", where)[1])["messages"][0]["extra"]
                good = stored == json.loads(text)
                verdict = "accepted" if good else "changed"
            counts[kind, verdict] = counts.get((kind, verdict), 0) + 1
            if not good:
                wrong.append(f"{name} (place {place}): {verdict} {answer[:200]!r}")
    for kind, verdict in sorted(counts):
        print(f"JSONTestSuite {kind}_ {verdict}: {counts[kind, verdict]}")
    print(f"JSONTestSuite: {len(paths)} files, each in two places; {len(wrong)} wrong")
    return len(paths), wrong


# ---- llhttp ----

def cases_of(path):
    """(name, type, bytes, log) of each case of a file: a heading, a comment with the type, the
    request and what the parser reports."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    name = ""
    kind = {}
    request = None
    pattern = r"^#+ ([^\n]+)$|^<!-- meta=([^\n]+?) *-->$|^```(\w+)\n(.*?)^```$"
    for match in re.finditer(pattern, text, re.M | re.S):
        if match.group(1):
            name = match.group(1)
        elif match.group(2):
            kind = json.loads(match.group(2))
        elif match.group(3) == "http":
            request = decode(match.group(4))
        elif match.group(3) == "log" and request is not None:
            yield name, kind, request, match.group(4)
            request = None


def decode(text):
    """The notation of the files: a line ends with CR LF; escapes stand for bytes; a backslash
    before the end of a line joins it with the next one; ${...} is JavaScript, of which a repeated
    string is all that there is."""
    text = text[:-1] if text.endswith("\n") else text
    text = re.sub(r"\\\n", "", text).replace("\n", "\r\n")
    for mark, byte in (("r", "\r"), ("n", "\n"), ("t", "\t"), ("f", "\f")):
        text = text.replace("\\" + mark, byte)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda match: chr(int(match.group(1), 16) & 0xffff), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda match: chr(int(match.group(1), 8)), text)

    def repeated(match):
        call = re.fullmatch(r"""['"](.*)['"]\.repeat\((\d+)\)""", match.group(1))
        if call is None:
            raise ValueError(f"no JavaScript here: {match.group(0)}")
        return call.group(1) * int(call.group(2))

    return re.sub(r"\$\{(.+?)\}", repeated, text).encode("utf-8", "replace")


def accepted(answers):
    """How many requests were answered as such, and the codes of those that were not."""
    count = 0
    codes = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
        body, answers = rest, b""
        if length is not None and not rest.startswith(b"HTTP/1."):
            body, answers = rest[:int(length.group(1))], rest[int(length.group(1)):]
        elif status < 200 or rest.startswith(b"HTTP/1."):
            body, answers = b"", rest
        if status < 200:
            continue
        code = re.search(rb'"code":"([a-z-]+)"', body)
        code = code.group(1).decode() if code else ""
        if code in REFUSALS:
            codes.append(code)
        else:
            count += 1
    return count, codes


def with_host(request):
    """The same with a Host in each head; None if there is one, or no head that is known as such."""
    if re.search(rb"(?im)^host:", request):
        return None
    more = re.sub(rb"(?m)^([A-Z-]+ [^ \r\n]+ HTTP/1\.[01]\r\n)", rb"\1Host: localhost\r\n", request)
    return more if more != request else None


def to_a_route_with_bodies(daemon, request):
    """The same request, for POST /import with the operator's token."""
    line, end, rest = request.lstrip(b"\r\n").partition(b"\r\n")
    parts = line.split(b" ")
    if not end or len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
        return None
    rest = re.sub(rb"(?im)^host:.*\r\n", b"", rest)
    head = b"POST /import " + parts[2] + b"\r\nHost: localhost\r\nAuthorization: Bearer "
    return head + daemon.token.encode() + b"\r\n" + rest


def judge(daemon, case, request, whole):
    """Why the answer is wrong; "" when it is not."""
    _, _, _, log = case
    error = re.search(r"error code=(\d+) reason=\"(.*)\"", log)
    count, codes = accepted(daemon.talk(request))
    if not daemon.is_alive():
        return "the daemon is gone", count
    if error is not None and count > whole:
        return f"answered {count} requests {codes} of {whole}; llhttp: {error.group(2)}", count
    return "", count


def run_http(daemon, folder):
    counts = {}
    wrong = []
    cases = 0
    for path in sorted(glob.glob(os.path.join(folder, "test", "request", "*.md"))):
        for case in cases_of(path):
            name, kind, request, log = case
            # Which methods there are is a list there; HTTP lets any token be one, and the node
            # answers 405 or 404 to those that it has no use for.
            on_purpose = re.search(r'reason="(Invalid method|Expected space after method)', log) \
                and re.match(rb"[A-Z-]+ /", request)
            heads = log.count("headers complete")
            bodies = log.count("message complete")
            cases += 1
            runs = [("as it is", request, heads)]
            if with_host(request):
                runs.append(("with a Host", with_host(request), heads))
            rewritten = to_a_route_with_bodies(daemon, request)
            if rewritten and heads and re.search(rb"(?i)content-length|transfer-enc", request):
                runs.append(("to a route with bodies", rewritten, bodies))
            for what, data, whole in runs:
                why, count = judge(daemon, case, data, whole)
                refused = "error code=" in log
                if why and on_purpose:
                    why, verdict = "", "any method (on purpose)"
                else:
                    verdict = "more than llhttp" if why else "equal or stricter" if refused else \
                        "both accept" if count else "stricter"
                label = "strict" if kind["type"] == "request" else "lenient"
                counts[label, verdict] = counts.get((label, verdict), 0) + 1
                if why:
                    wrong.append(f"{os.path.basename(path)}, {name}, {what}: {why}\n    {data!r}")
    for label, verdict in sorted(counts):
        print(f"llhttp {label}, {verdict}: {counts[label, verdict]}")
    print(f"llhttp: {cases} cases; {len(wrong)} wrong")
    return cases, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--parleyd", required=True)
    parser.add_argument("--json", help="a copy of JSONTestSuite")
    parser.add_argument("--http", help="a copy of llhttp")
    options = parser.parse_args()
    wrong = []
    daemon = Daemon(options.parleyd)
    try:
        for run, folder in ((run_json, options.json), (run_http, options.http)):
            if folder is None:
                continue
            count, found = run(daemon, folder)
            if count == 0:
                raise SystemExit(f"{folder}: there are no cases")
            wrong += found
        if not daemon.is_alive():
            wrong.append("the daemon is gone")
    finally:
        daemon.close()
    for line in wrong:
        print("WRONG " + line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
