# SPDX-License-Identifier: Apache-2.0
"""Real HTTP clients that nobody here wrote, each as its users use it: curl, Python's requests and
httpx, fetch of Node; and what a proxy or a Go client does to a connection, by hand: pipelining,
and requests that come in any two pieces."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import unittest

from nodes import Node, conversation, is_check_build, scratch, write_lines

SECONDS = 60
MIB = 1 << 20

try:
    import requests
except ImportError:
    requests = None
try:
    import httpx
except ImportError:
    httpx = None


def need(thing, name):
    if thing:
        return
    print(f"SKIPPED test_clients: there is no {name}", file=sys.stderr)
    raise unittest.SkipTest(name)


def long_conversation(name, count):
    messages = [{"message_id": f"m{index}", "role": "user", "content": "all work and no play",
                 "timestamp": f"2024-03-01T10:00:00.{index:06d}Z"} for index in range(1, count + 1)]
    return {"conversation_id": name, "messages": messages}


class Clients(unittest.TestCase):
    """One node with some conversations, the large one some hundred KB."""

    @classmethod
    def setUpClass(cls):
        base = scratch()
        cls.node = Node(base, "node").start()
        cls.url = f"http://127.0.0.1:{cls.node.port}"
        lines = [conversation(number) for number in range(20)]
        lines.append(long_conversation("big", 1000))
        cls.node.json("import", write_lines(os.path.join(base, "lines"), lines))
        cls.token = cls.node.token()
        cls.head = {"Authorization": "Bearer " + cls.token}
        cls.big = cls.node.http("GET", "/conversations/big")[1]

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def stored(self, conversation_id):
        """role and content of its messages"""
        status, answer = self.node.http("GET", "/conversations/" + conversation_id)
        self.assertEqual(200, status, answer)
        return [(message["role"], message["content"]) for message in answer["messages"]]


class Curl(Clients):
    @classmethod
    def setUpClass(cls):
        need(shutil.which("curl"), "curl")
        super().setUpClass()

    def curl(self, *arguments, stdin=b""):
        """Returns stdout and the notes of --verbose."""
        done = subprocess.run(["curl", "-sS", "-v", "--noproxy", "*", "--max-time", str(SECONDS),
                               "-H", "Authorization: Bearer " + self.token, *arguments],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=2 * SECONDS, check=False)
        notes = done.stderr.decode("utf-8", "replace")
        self.assertEqual(0, done.returncode, notes[-2000:])
        return done.stdout, notes

    def test_several_urls_share_one_connection(self):
        urls = [f"{self.url}/conversations/conv-{number:05d}" for number in range(10)]
        out, notes = self.curl("-w", "\n%{num_connects} %{http_code}\n", *urls)
        lines = out.decode().split("\n")[1::2]
        self.assertEqual(["1 200"] + ["0 200"] * 9, lines[:10])
        self.assertEqual(9, len(re.findall("Re-using existing connection", notes)))

    def test_an_error_with_a_small_body_keeps_the_connection_too(self):
        out, _ = self.curl("-w", "%{num_connects} %{http_code}\n", "-o", os.devnull, "-o",
                           os.devnull, "-d", "{}", f"{self.url}/conversations/c/messages",
                           f"{self.url}/nothing")
        self.assertEqual("1 400\n0 404\n", out.decode())

    def test_a_packed_answer_is_unpacked(self):
        plain, _ = self.curl(f"{self.url}/conversations/big")
        for flags in (["--compressed"], ["--compressed", "-H", "Accept-Encoding: gzip"]):
            packed, notes = self.curl(*flags, f"{self.url}/conversations/big")
            self.assertRegex(notes, "(?i)< content-encoding: (gzip|zstd)")
            length = int(re.search("(?i)< content-length: ([0-9]+)", notes).group(1))
            self.assertLess(length, len(plain) // 4)
            self.assertEqual(plain, packed)
        self.assertEqual(self.big, json.loads(plain))

    def test_http_1_0_closes_and_keeps_alive_when_asked(self):
        urls = [f"{self.url}/conversations/conv-{number:05d}" for number in range(2)]
        for flags, connects in (((), ["1", "1"]), (("-H", "Connection: keep-alive"), ["1", "0"])):
            out, notes = self.curl("--http1.0", *flags, "-w", "\n%{num_connects}\n", *urls)
            self.assertEqual(connects, out.decode().split("\n")[1:4:2], flags)
            self.assertNotIn("ransfer-Encoding", notes)
        sent = json.dumps({"role": "user", "content": "from 1.0"})
        out, _ = self.curl("--http1.0", "-d", sent, f"{self.url}/conversations/old/messages")
        self.assertIn("message_id", json.loads(out))
        self.assertEqual([("user", "from 1.0")], self.stored("old"))

    def test_an_upload_of_unknown_length_goes_in_chunks(self):
        content = "chunk by chunk, " * 20000
        body = json.dumps({"role": "user", "content": content}).encode()
        out, notes = self.curl("-T", "-", "-X", "POST", "-w", "%{http_code}",
                               f"{self.url}/conversations/chunks/messages", stdin=body)
        self.assertRegex(notes, "(?i)> transfer-encoding: chunked")
        self.assertTrue(out.endswith(b"201"), out)
        self.assertEqual([("user", content)], self.stored("chunks"))

    def test_a_large_body_waits_for_100_continue(self):
        content = "x" * (3 * MIB)
        body = json.dumps({"role": "user", "content": content}).encode()
        for flags in ((), ("-H", "Transfer-Encoding: chunked")):
            name = f"large{len(flags)}"
            out, notes = self.curl("-d", "@-", "-H", "Expect: 100-continue", *flags, "-w",
                                   "%{http_code} %{time_total}", "--expect100-timeout", "30",
                                   f"{self.url}/conversations/{name}/messages", stdin=body)
            self.assertIn("HTTP/1.1 100 Continue", notes)
            self.assertRegex(out.decode(), " ?201 ")
            # Had curl not seen it, it would have waited for those 30 s.
            self.assertLess(float(out.decode().rsplit(" ", 1)[1]), 20)
            self.assertEqual([("user", content)], self.stored(name))

    def test_what_is_refused_is_refused_before_the_body(self):
        body = b"x" * (3 * MIB)
        out, notes = self.curl("-d", "@-", "-H", "Expect: 100-continue", "-w",
                               "%{http_code} %{size_upload}", "--expect100-timeout", "30",
                               f"{self.url}/nothing", stdin=body)
        self.assertNotIn("100 Continue", notes)
        self.assertTrue(out.endswith(b"404 0"), out)

    def test_head_has_the_length_and_nothing_else(self):
        plain, _ = self.curl(f"{self.url}/conversations/big")
        out, _ = self.curl("-I", f"{self.url}/conversations/big", "-w", "%{num_connects}",
                           f"{self.url}/health")
        heads = out.decode().split("\r\n\r\n")
        self.assertRegex(heads[0], f"(?i)content-length: {len(plain)}(\r|$)")
        self.assertTrue(heads[1].startswith("1HTTP/1.1 200"), heads)
        self.assertEqual("0", heads[2])

    def test_range_is_ignored(self):
        plain, _ = self.curl(f"{self.url}/conversations/big")
        out, notes = self.curl("-r", "0-99", f"{self.url}/conversations/big")
        self.assertIn("< HTTP/1.1 200 OK", notes)
        self.assertEqual(plain, out)

    def test_an_etag_is_one_that_saves_the_second_answer(self):
        saved = os.path.join(scratch(), "etag")
        plain, notes = self.curl("--etag-save", saved, f"{self.url}/conversations/big")
        self.assertEqual(self.big, json.loads(plain))
        self.assertRegex(notes, "(?i)< etag: \"")
        out, notes = self.curl("--etag-compare", saved, f"{self.url}/conversations/big")
        self.assertIn("< HTTP/1.1 304", notes)
        self.assertEqual(b"", out)

    def test_events_come_while_curl_reads(self):
        reader = subprocess.Popen(["curl", "-sSN", "--noproxy", "*", "--max-time", str(SECONDS),
                                   "-H", "Accept: text/event-stream", "-H",
                                   "Authorization: Bearer " + self.token,
                                   f"{self.url}/changes?since=now"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            line = reader.stdout.readline()
            while not line.startswith(b"id:"):
                self.assertTrue(line)
                line = reader.stdout.readline()
            self.node.http("POST", "/conversations/live/messages",
                           {"role": "user", "content": "while you read"})
            while not line.startswith(b"data:"):
                self.assertTrue(line)
                line = reader.stdout.readline()
            self.assertEqual("while you read", json.loads(line[5:])["content"])
        finally:
            reader.kill()
            reader.wait()
            reader.stdout.close()


class Requests(Clients):
    @classmethod
    def setUpClass(cls):
        need(requests, "python3-requests")
        super().setUpClass()

    def setUp(self):
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(self.head)
        self.addCleanup(self.session.close)

    def test_a_session_keeps_its_connection(self):
        ports = set()
        for number in range(20):
            answer = self.session.get(f"{self.url}/conversations/conv-{number:05d}", stream=True,
                                      timeout=SECONDS)
            ports.add(answer.raw._connection.sock.getsockname()[1])
            self.assertEqual(f"conv-{number:05d}", answer.json()["conversation_id"])
            refused = self.session.post(f"{self.url}/conversations/c/messages", json={},
                                        timeout=SECONDS)
            self.assertEqual(400, refused.status_code)
        self.assertEqual(1, len(ports))

    def test_gzip_is_unpacked(self):
        answer = self.session.get(f"{self.url}/conversations/big", timeout=SECONDS,
                                  headers={"Accept-Encoding": "gzip, deflate"})
        self.assertEqual("gzip", answer.headers["Content-Encoding"])
        self.assertEqual(self.big, answer.json())
        asked = self.session.get(f"{self.url}/conversations/big", timeout=SECONDS,
                                 headers={"Accept-Encoding": "identity"})
        self.assertNotIn("Content-Encoding", asked.headers)
        self.assertEqual(asked.content, answer.content)

    def test_a_generator_is_uploaded_while_it_makes(self):
        def lines():
            for number in range(3000, 3200):
                yield (json.dumps(conversation(number)) + "\n").encode()
        answer = self.session.post(f"{self.url}/import", data=lines(), timeout=SECONDS)
        self.assertEqual("chunked", answer.request.headers["Transfer-Encoding"])
        self.assertEqual((200, 200), (answer.status_code, answer.json()["created"]), answer.text)
        self.assertEqual(3, len(self.stored("conv-03199")))

    def test_json_goes_in_and_out(self):
        sent = {"role": "user", "content": "Grüße \U0001f389 \u0000 \u2028", "mood": {"a": [1.5]}}
        answer = self.session.post(f"{self.url}/conversations/json/messages", json=sent,
                                   timeout=SECONDS)
        self.assertEqual(201, answer.status_code, answer.text)
        got = self.session.get(f"{self.url}/conversations/json", timeout=SECONDS).json()
        self.assertLessEqual(sent.items(), got["messages"][0].items())
        answer = self.session.post(f"{self.url}/conversations/json/messages", json={"role": "u"},
                                   timeout=SECONDS)
        self.assertEqual((400, "bad-message"), (answer.status_code, answer.json()["code"]))
        self.assertEqual("application/problem+json", answer.headers["Content-Type"])

    def test_a_time_out_leaves_a_session_that_works(self):
        with self.assertRaises(requests.exceptions.ReadTimeout):
            self.session.get(f"{self.url}/changes?since=now&wait=30", timeout=(SECONDS, 0.3))
        answer = self.session.get(f"{self.url}/conversations/big", timeout=SECONDS)
        self.assertEqual(self.big, answer.json())

    def test_an_answer_is_read_in_pieces(self):
        with self.session.get(f"{self.url}/export", stream=True, timeout=SECONDS) as answer:
            ids = [json.loads(line)["conversation_id"] for line in answer.iter_lines(7)]
        self.assertIn("big", ids)
        self.assertEqual(sorted(ids), ids)


class Httpx(Clients):
    @classmethod
    def setUpClass(cls):
        need(httpx, "python3-httpx")
        super().setUpClass()

    def client(self):
        client = httpx.Client(base_url=self.url, headers=self.head, timeout=SECONDS,
                              trust_env=False)
        self.addCleanup(client.close)
        return client

    def test_a_client_keeps_one_connection_and_packs(self):
        client = self.client()
        ports = set()
        for _ in range(20):
            with client.stream("GET", "/conversations/big",
                               headers={"Accept-Encoding": "gzip"}) as answer:
                stream = answer.extensions["network_stream"]
                ports.add(stream.get_extra_info("client_addr"))
                answer.read()
            self.assertEqual("gzip", answer.headers["content-encoding"])
            self.assertEqual(self.big, answer.json())
        self.assertEqual(1, len(ports))

    def test_a_generator_is_uploaded_and_json_refused_with_a_problem(self):
        client = self.client()
        text = json.dumps({"role": "user", "content": "é" * 100000}).encode()
        pieces = (text[at:at + 777] for at in range(0, len(text), 777))
        answer = client.post("/conversations/pieces/messages", content=pieces)
        self.assertEqual(201, answer.status_code, answer.text)
        self.assertEqual([("user", "é" * 100000)], self.stored("pieces"))
        answer = client.post("/conversations/pieces/messages", json={"role": "user"})
        self.assertEqual(400, answer.status_code)
        self.assertIn("content", answer.json()["detail"])

    def test_events_come_line_by_line(self):
        client = self.client()
        head = {"Accept": "text/event-stream"}
        with client.stream("GET", "/changes?since=now", headers=head) as answer:
            self.assertEqual("text/event-stream", answer.headers["content-type"])
            lines = answer.iter_lines()
            while not next(lines).startswith("id:"):
                pass
            self.node.http("POST", "/conversations/events/messages",
                           {"role": "user", "content": "to httpx"})
            line = next(lines)
            while not line.startswith("data:"):
                line = next(lines)
        self.assertEqual("to httpx", json.loads(line[5:])["content"])


# Reads a stream of events by the rules of the HTML standard, as far as the node uses them. Answers
# go to stdout as one JSON object.
NODE_SCRIPT = r"""
const [url, token] = [process.env.URL, process.env.TOKEN];
const head = {Authorization: 'Bearer ' + token};
const found = {};
function fail(error) { console.error(error); process.exit(1); }
setTimeout(() => fail('too late'), 50000).unref();

async function* events(body) {
    let rest = '', event = {};
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
        rest += text;
        for (let end; (end = rest.indexOf('\n')) >= 0; rest = rest.slice(end + 1)) {
            const line = rest.slice(0, end);
            const colon = line.indexOf(': ');
            if (line === '') { yield event; event = {}; }
            else event[line.slice(0, colon)] = line.slice(colon + 2);
        }
    }
}

function post(id, content) {
    return fetch(`${url}/conversations/node/messages`, {
        method: 'POST', headers: {...head, 'Content-Type': 'application/json'},
        body: JSON.stringify({role: 'user', message_id: id, content})});
}

async function listen(since, wanted, write) {
    const stop = new AbortController();
    const answer = await fetch(`${url}/changes?since=${since.cursor}`, {
        headers: {...head, Accept: 'text/event-stream', ...since.last}, signal: stop.signal});
    const seen = [];
    let cursor = '', written = false;
    for await (const event of events(answer.body)) {
        cursor = event.id ?? cursor;
        if (event.event === 'change') seen.push(JSON.parse(event.data).content);
        if (cursor && !written) { written = true; await write(); }
        if (seen.length === wanted) break;
    }
    stop.abort();
    return {seen, cursor};
}

async function byEventSource() {
    const token_query = `access_token=${process.env.SHORT}&since=now`;
    const source = new EventSource(`${url}/changes?${token_query}`);
    return await new Promise((resolve) => {
        source.onopen = () => post('m-es', 'by EventSource');
        source.addEventListener('change', (event) => {
            source.close();
            resolve(JSON.parse(event.data).content);
        });
    });
}

async function main() {
    const answer = await post('m1', 'Grüße');
    found.status = answer.status;
    found.answer = await answer.json();
    found.again = (await post('m1', 'Grüße')).status;
    found.big = await (await fetch(`${url}/conversations/big`, {headers: head})).json();
    const first = await listen({cursor: 'now'}, 2, async () => {
        await post('m2', 'two'); await post('m3', 'three'); });
    found.first = first.seen;
    await post('m4', 'four');
    const second = await listen({cursor: 'now', last: {'Last-Event-ID': first.cursor}}, 2,
                                () => post('m5', 'five'));
    found.second = second.seen;
    const names = Array.from({length: +process.env.MANY}, (_, i) => `p${i}`);
    const many = await Promise.all(names.map((name) => post(name, name)));
    found.many = many.map((one) => one.status);
    for (const one of many) await one.arrayBuffer();
    const parts = Array.from({length: 50}, (_, i) => 'part ' + i + ' ');
    const text = JSON.stringify({role: 'user', message_id: 's', content: parts.join('')});
    const streamed = new ReadableStream({start(to) {
        for (let at = 0; at < text.length; at += 9) to.enqueue(Buffer.from(text.slice(at, at + 9)));
        to.close(); }});
    found.streamed = (await fetch(`${url}/conversations/node/messages`, {
        method: 'POST', headers: head, body: streamed, duplex: 'half'})).status;
    found.source = typeof EventSource === 'undefined' ? null : await byEventSource();
    process.stdout.write(JSON.stringify(found), () => process.exit(0));
}
main().catch(fail);
"""


class NodeFetch(Clients):
    @classmethod
    def setUpClass(cls):
        need(shutil.which("node"), "nodejs")
        need(subprocess.run(["node", "-e", "fetch"], stdin=subprocess.DEVNULL, timeout=SECONDS,
                            stderr=subprocess.DEVNULL, check=False).returncode == 0,
             "nodejs with fetch (18 or later)")
        super().setUpClass()

    def test_fetch_posts_reads_and_listens(self):
        flag = "--experimental-eventsource"
        knows = subprocess.run(["node", flag, "-e", ""], stdin=subprocess.DEVNULL, timeout=SECONDS,
                               stderr=subprocess.DEVNULL, check=False).returncode == 0
        short = self.node.json("token", "create", "--user", "ann", "--ttl", "5m")["token"]
        environment = {**os.environ, "URL": self.url, "TOKEN": self.token, "SHORT": short}
        environment.pop("NODE_OPTIONS", None)
        many = 4 if is_check_build() else 40  # connections at once
        environment["MANY"] = str(many)
        done = subprocess.run(["node", *([flag] if knows else []), "-e", NODE_SCRIPT],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=2 * SECONDS, check=False)
        self.assertEqual(0, done.returncode, done.stderr.decode()[-2000:])
        found = json.loads(done.stdout)
        self.assertEqual((201, "m1", 200),
                         (found["status"], found["answer"]["message_id"], found["again"]))
        self.assertEqual(self.big, found["big"])
        self.assertEqual(["two", "three"], found["first"])
        self.assertEqual(["four", "five"], found["second"])
        self.assertEqual([201] * many, found["many"])
        self.assertEqual(201, found["streamed"])
        if knows:
            self.assertEqual("by EventSource", found["source"])


class Connection:
    """A socket that reads whole answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise AssertionError(f"the connection ended behind {self.rest[-200:]!r}")
        self.rest += data

    def answer(self, bodyless=False):
        """(status, body) of the next answer that is not an interim one."""
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        if status < 200:
            return self.answer(bodyless)
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
        size = 0 if bodyless or length is None else int(length.group(1))
        while len(self.rest) < size:
            self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return status, body

    def close(self):
        self.socket.close()


class Wire(Clients):
    def connect(self):
        """A connection that has shown its token, so that it does not compete with strangers."""
        connection = Connection(self.node.port)
        self.addCleanup(connection.close)
        connection.send(self.request("GET", "/conversations/none"))
        self.assertEqual(404, connection.answer()[0])
        return connection

    def request(self, method, path, *fields, body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost",
                 "Authorization: Bearer " + self.token, *fields]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def test_a_hundred_pipelined_requests_are_answered_in_order(self):
        connection = self.connect()
        wire = b""
        wanted = []
        for number in range(100):
            if number % 4 == 0:
                body = json.dumps({"role": "user", "message_id": f"m{number}",
                                   "content": f"c{number}"}).encode()
                wire += self.request("POST", "/conversations/line/messages",
                                     f"Content-Length: {len(body)}", body=body)
                wanted.append((201, f'"message_id":"m{number}"'))
            elif number % 4 == 1:
                body = json.dumps({"content": f"d{number}"}).encode()
                wire += self.request("PATCH", f"/conversations/line/messages/m{number - 1}",
                                     "Transfer-Encoding: chunked",
                                     body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                wanted.append((200, f'"message_id":"m{number - 1}"'))
            elif number % 4 == 2:
                # It was written by a request before it on the same connection.
                wire += self.request("GET", "/conversations/line")
                wanted.append((200, f'"content":"d{number - 1}"'))
            else:
                wire += self.request("GET", f"/conversations/none-{number}")
                wanted.append((404, "no-such-conversation"))
        sender = threading.Thread(target=connection.send, args=(wire,))
        sender.start()
        try:
            for number, (status, word) in enumerate(wanted):
                answer = connection.answer()
                self.assertEqual(status, answer[0], (number, answer))
                self.assertIn(word, answer[1].decode(), number)
        finally:
            sender.join(SECONDS)
        self.assertEqual(b"", connection.rest)
        self.assertEqual(25, len(self.stored("line")))

    def check_splits(self, wire, check):
        """Sends `wire` cut at every place. A group of connections gets its first parts; an answer
        on another connection shows that the node has read them; then come the second parts."""
        group = [self.connect() for _ in range(4)]
        clock = self.connect()
        cuts = list(range(1, len(wire)))
        for at in range(0, len(cuts), len(group)):
            pairs = list(zip(group, cuts[at:at + len(group)]))
            for connection, cut in pairs:
                connection.send(wire[:cut])
            clock.send(self.request("GET", "/conversations/none"))
            clock.answer()
            for connection, cut in pairs:
                connection.send(wire[cut:])
            for connection, cut in pairs:
                check(connection, cut)
                self.assertEqual(b"", connection.rest, cut)
        for connection in [*group, clock]:
            connection.close()

    def test_a_request_may_be_cut_at_every_byte(self):
        body = json.dumps({"role": "user", "message_id": "cut", "content": "é\\u00e9\n"}).encode()
        path = "/conversations/cut/messages"
        known = self.request("POST", path, f"Content-Length: {len(body)}", body=body)
        half = len(body) // 2
        chunks = b"%x;a=b\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
            half, body[:half], len(body) - half, body[half:])
        chunked = self.request("POST", path, "Transfer-Encoding: chunked", body=chunks)
        statuses = []

        def check(connection, cut):
            status, answer = connection.answer()
            statuses.append(status)
            self.assertEqual("cut", json.loads(answer).get("message_id"), (cut, answer))

        self.check_splits(known, check)
        self.check_splits(chunked, check)
        # The first ones of the first group wrote it; none may fail, all others find it there.
        self.assertEqual({200, 201}, set(statuses))
        self.assertEqual([("user", json.loads(body)["content"])], self.stored("cut"))

    def test_a_pipeline_may_be_cut_at_every_byte(self):
        wire = self.request("GET", "/conversations/conv-00001") + \
            self.request("HEAD", "/conversations/conv-00002") + \
            self.request("GET", "/conversations/conv-00003")

        def check(connection, cut):
            for number in (1, 2, 3):
                status, answer = connection.answer(bodyless=number == 2)
                self.assertEqual(200, status, (cut, answer))
                if number != 2:
                    self.assertEqual(f"conv-{number:05d}", json.loads(answer)["conversation_id"])

        self.check_splits(wire, check)

    def test_a_request_may_come_byte_by_byte(self):
        connection = self.connect()
        for byte in self.request("GET", "/conversations/conv-00001"):
            connection.send(bytes([byte]))
        self.assertEqual(200, connection.answer()[0])


if __name__ == "__main__":
    unittest.main()
