# SPDX-License-Identifier: Apache-2.0
"""A real browser: pages of one origin use a node at another. The pages are served here; what they
find they send back to where they came from, as JSON, so that no debugging protocol is needed."""
import http.client
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import unittest

from nodes import Node, conversation, running, scratch, write_lines

BROWSER = shutil.which("chromium")
SECONDS = 60

if BROWSER is None:
    print("SKIPPED test_browser: chromium is missing", file=sys.stderr)
    sys.exit(0)

# What every page has: `say` tells the test something, `attempt` tells how a promise ended.
PAGE = """<!doctype html><meta charset="utf-8"><title>a page</title><script type="module">
const node = %(node)s, token = %(token)s;
const bearer = {Authorization: 'Bearer ' + token};
let said = Promise.resolve();
function say(what) {  // one after the other, so that they arrive in order
    said = said.then(() => fetch('/say', {method: 'POST', body: JSON.stringify(what)}));
}
const attempt = (promise) => promise.then((value) => ({value}),
                                          (error) => ({error: error.name}));
function post(path, content, more) {
    return fetch(node + path, {method: 'POST', body: JSON.stringify({role: 'user', content}),
        headers: {...bearer, 'Content-Type': 'application/json', ...more}});
}
addEventListener('error', (event) => say({broken: event.message}));
addEventListener('unhandledrejection', (event) => say({broken: String(event.reason)}));
%(script)s
</script>
"""


class Site:
    """Serves one page at any path, and hears what it says."""

    def __init__(self):
        self.said = queue.Queue()
        self.page = b""
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/page":
                    self.answer(200, "text/html", site.page)
                else:
                    self.answer(404, "text/plain", b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.said.put(json.loads(body))
                self.answer(200, "text/plain", b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def hear(self, what):
        """The next thing that the page says; it must have that name."""
        try:
            said = self.said.get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError(f"the page did not say '{what}' within {SECONDS} s") from None
        if what not in said:
            raise AssertionError(f"not '{what}' but {said}")
        return said[what]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(SECONDS)


class Browser(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.site = Site()
        self.addCleanup(self.site.close)
        self.origin = f"http://localhost:{self.site.port}"

    def start(self, *flags):
        self.node = Node(self.base, "node", *flags).start()
        self.addCleanup(lambda: self.node.process.poll() is None and self.node.stop())
        self.node.json("import", write_lines(os.path.join(self.base, "lines"),
                                             [conversation(number) for number in range(5)]))
        self.token = self.node.json("token", "create", "--user", "ann", "--ttl", "10m")["token"]

    def browse(self, origin, script):
        """Opens a page of that origin in a browser of its own."""
        values = {"node": json.dumps(f"http://127.0.0.1:{self.node.port}"),
                  "token": json.dumps(self.token), "script": script}
        self.site.page = (PAGE % values).encode()
        environment = {**os.environ, "HOME": self.base}
        with open(os.path.join(self.base, "browser.log"), "ab") as log:
            process = subprocess.Popen(
                [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
                 "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
                 f"--user-data-dir={os.path.join(self.base, 'profile')}",
                 "--host-resolver-rules=MAP foreign.example 127.0.0.1", origin + "/page"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True)
        running.add(process)
        self.addCleanup(self.close_browser, process)

    def close_browser(self, process):
        # Its helpers are in its group, which is of our making.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        running.discard(process)

    def contents(self, name):
        status, answer = self.node.http("GET", "/conversations/" + name)
        self.assertEqual(200, status, answer)
        return [message["content"] for message in answer["messages"]]

    # ---- A page whose origin was named ----

    def test_a_named_page_reads_and_writes(self):
        self.start("--cors-origin", self.origin, "--rate", "500:20")
        self.browse(self.origin, """
            const list = await fetch(node + '/conversations', {headers: bearer});
            say({list: [list.status, (await list.json()).conversations.length]});
            const written = await post('/conversations/page/messages', 'Grüße \\u{1f389}',
                                       {'Idempotency-Key': 'k1'});
            say({written: [written.status, (await written.json()).conversation_id]});
            const one = await fetch(node + '/conversations/page', {headers: bearer});
            const known = {...bearer, 'If-None-Match': one.headers.get('ETag')};
            const same = await fetch(node + '/conversations/page',
                                     {headers: known, cache: 'no-store'});
            say({same: [same.status, (await same.text()).length]});
            say({etag: one.headers.get('ETag'), hidden: one.headers.get('X-Content-Type-Options'),
                 content: (await one.json()).messages[0].content});
            const part = await fetch(node + '/export?limit_bytes=1', {headers: bearer});
            say({next: part.headers.get('X-Parley-Next')});
            const problem = await post('/conversations/page/messages');
            say({problem: [problem.status, (await problem.json()).code]});
            const changed = await fetch(node + '/conversations/conv-00001/messages/m000', {
                method: 'PATCH', body: JSON.stringify({content: 'edited'}),
                headers: {...bearer, 'Content-Type': 'application/json'}});
            const gone = await fetch(node + '/conversations/conv-00002',
                                     {method: 'DELETE', headers: bearer});
            say({statuses: [changed.status, gone.status]});
            let many;
            for (let i = 0; i < 500; i++) {
                many = await fetch(node + '/health');
                if (many.status === 429) break;
                await many.arrayBuffer();
            }
            say({many: [many.status, many.headers.get('Retry-After')]});
        """)
        self.assertEqual([200, 5], self.site.hear("list"))
        self.assertEqual([201, "page"], self.site.hear("written"))
        self.assertEqual([304, 0], self.site.hear("same"))
        said = self.site.said.get(timeout=SECONDS)
        self.assertEqual("Grüße \U0001f389", said["content"])
        # A field that is not exposed cannot be read; so what follows shows that others are.
        self.assertIsNone(said["hidden"])
        self.assertEqual(self.head_of("/conversations/page")["ETag"], said["etag"])
        self.assertEqual("conv-00000", self.site.hear("next"))
        self.assertEqual([400, "bad-message"], self.site.hear("problem"))
        self.assertEqual([200, 200], self.site.hear("statuses"))
        self.assertEqual([429, "1"], self.site.hear("many"))
        self.assertEqual(["Grüße \U0001f389"], self.contents("page"))
        self.assertEqual("edited", self.contents("conv-00001")[0])

    def head_of(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + self.token})
            answer = connection.getresponse()
            answer.read()
            return answer.headers
        finally:
            connection.close()

    def test_events_go_on_where_they_were_when_the_node_comes_back(self):
        self.start("--cors-origin", self.origin)
        self.browse(self.origin, """
            const source = new EventSource(`${node}/changes?since=now&access_token=${token}`);
            source.onopen = () => say({open: true});
            source.onerror = () => say({error: source.readyState});
            source.addEventListener('change', (event) => {
                const change = JSON.parse(event.data);
                say({change: [change.conversation_id, change.content]});
            });
        """)
        written, seen = [], []

        def write(content):
            body = {"role": "user", "content": content}
            status, answer = self.node.http("POST", "/conversations/live/messages", body)
            self.assertEqual(201, status, answer)
            written.append(content)

        self.assertTrue(self.site.hear("open"))
        for end in (self.node.stop, self.node.kill):
            write(f"before {end.__name__}")
            seen.append(self.site.hear("change"))
            end()
            self.assertEqual(0, self.site.hear("error"), "EventSource gave up")
            self.node.start()
            # The browser waits 2 s before it tries again, as told: these are written meanwhile.
            for number in range(100):
                write(f"{number} after {end.__name__}")
            said = {}
            while "open" not in said:
                said = self.site.said.get(timeout=SECONDS)
                self.assertNotEqual(2, said.get("error"), "EventSource gave up")
            while len(seen) < len(written):
                seen.append(self.site.hear("change"))
        write("the last one")
        seen.append(self.site.hear("change"))
        self.assertEqual([["live", content] for content in written], seen)
        self.assertEqual(written, self.contents("live"))

    # ---- A page whose origin was not named, with a good token all the same ----

    def expect_nothing(self, origin):
        self.browse(origin, """
            const text = async (answer) => (await answer.text()) + answer.type + answer.status;
            const tries = {
                open: fetch(node + '/identity').then(text),
                opaque: fetch(node + '/identity', {mode: 'no-cors'}).then(text),
                list: fetch(node + '/conversations', {headers: bearer}).then(text),
                query: fetch(`${node}/changes?access_token=${token}`).then(text),
                written: post('/conversations/foreign/messages', 'x').then(text),
                simple: fetch(`${node}/conversations/foreign/messages?access_token=${token}`, {
                    method: 'POST', mode: 'no-cors', body: '{"role":"user","content":"x"}'
                }).then(text),
                events: new Promise((resolve, reject) => {
                    const source = new EventSource(`${node}/changes?access_token=${token}`);
                    source.onopen = () => resolve('open');
                    source.onmessage = (event) => resolve(event.data);
                    source.addEventListener('change', (event) => resolve(event.data));
                    source.onerror = () => reject(new TypeError('events'));
                }),
                script: new Promise((resolve, reject) => {
                    const script = document.createElement('script');
                    script.src = `${node}/changes?access_token=${token}`;
                    script.onload = () => resolve('loaded');
                    script.onerror = () => reject(new TypeError('script'));
                    document.head.append(script);
                }),
            };
            const found = {};
            await Promise.all(Object.keys(tries).map(async (name) => {
                found[name] = await attempt(tries[name]); }));
            say({found});
        """)
        found = self.site.hear("found")
        # What a page may send without asking has an answer that it cannot look into.
        for name in ("opaque", "simple"):
            self.assertIn(found.pop(name), ({"value": "opaque0"}, {"error": "TypeError"}), name)
        self.assertEqual({name: {"error": "TypeError"} for name in
                          ("open", "list", "query", "written", "events", "script")}, found)
        self.assertEqual(404, self.node.http("GET", "/conversations/foreign")[0])

    def test_a_page_of_another_port_reads_nothing(self):
        self.start("--cors-origin", "http://localhost:1", "--cors-origin", "https://app.example")
        self.expect_nothing(self.origin)

    def test_a_page_of_a_foreign_host_reads_nothing(self):
        self.start("--cors-origin", self.origin)
        self.expect_nothing(f"http://foreign.example:{self.site.port}")


if __name__ == "__main__":
    unittest.main()
