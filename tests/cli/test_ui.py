# SPDX-License-Identifier: Apache-2.0
"""The page at /ui in a real browser, as an operator and as a user meet it. With AXE=FILE, the
axe.min.js of axe-core, every view is checked for accessibility too. With SHOTS=DIRECTORY pictures
of the views are left there."""
import http.client
import json
import os
import sys
import unittest
import urllib.parse

import devtools
import qr_check
from nodes import Node, is_check_build, join, pair, scratch, until, write_lines

WEIGHT_BYTES_MAX = 50000  # packed, as it goes over the network
AXE = os.environ.get("AXE")
SHOTS = os.environ.get("SHOTS")

if devtools.BROWSER is None:
    print("SKIPPED test_ui: chromium is missing", file=sys.stderr)
    sys.exit(0)
if AXE is None:
    print("SKIPPED in test_ui: accessibility; set AXE to the axe.min.js of axe-core",
          file=sys.stderr)

WATCH = """window.violations = []; addEventListener('securitypolicyviolation', (e) =>
    violations.push(e.violatedDirective + ' ' + e.blockedURI));"""


class UiCase(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.browser = devtools.Browser(self.base)
        self.addCleanup(self.browser.close)
        self.pages = []

    def node(self, name, kind="local"):
        node = Node(self.base, name, kind=kind).start()
        self.addCleanup(lambda: node.process.poll() is None and node.stop())
        return node

    def open(self, node, width=1280, height=900, phone=False):
        page = self.browser.page(width, height, phone)
        page.origin = f"http://127.0.0.1:{node.port}/"
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.open(page.origin + "ui")
        page.shows("Log in to this node")
        self.pages.append(page)
        return page

    def login(self, node, token=None, **size):
        page = self.open(node, **size)
        page.fill("Token", token or node.token())
        page.press("Log in")
        page.shows("Log out")
        page.shows("Live")
        return page

    def go(self, page, view, text):
        page.run(f"location.hash = {json.dumps('#/' + view)}")
        page.shows(text)

    def expect_clean(self, page):
        """Nothing was blocked, nothing failed, and nobody but the node was asked."""
        self.assertEqual([], page.run("window.violations"))
        self.assertEqual([], page.events("Runtime.exceptionThrown"))
        asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
        self.assertTrue(asked)
        self.assertEqual([], [url for url in asked if not url.startswith(page.origin)])
        self.assertEqual([], [url for url in asked if "token=" in url])

    def picture(self, page, name):
        if SHOTS:
            page.picture(os.path.join(SHOTS, name + ".png"))

    def tearDown(self):
        for page in self.pages:
            self.expect_clean(page)


class Story(UiCase):
    def test_two_nodes_meet_differ_agree_and_part(self):
        one, two = self.node("one"), self.node("two", "hosted")
        here, there = self.login(one), self.login(two)
        here.shows("No peers yet")
        self.make_invite_in_error(there, two)
        self.meet(here, there)
        self.write_here_and_see_it_there(here, there, one)
        self.edit_on_both(here, there, one, two)
        self.take_it_back(here, there)
        self.revoke(here, there, one, two)

    def make_invite_in_error(self, page, node):
        self.go(page, "access", "Invite a node")
        page.press("Make an invite")
        page.shows("An invite")
        page.key("Escape")
        page.lacks("An invite")
        page.shows("read and write")
        self.picture(page, "invites")
        page.press("Withdraw the invite")
        page.shows("Withdraw this invite?")
        page.press("Withdraw")
        page.shows("Withdrawn.")
        page.until("!document.querySelector('#invites-h').getClientRects().length")
        self.assertEqual([], node.json("invite", "list")["invites"])

    def meet(self, here, there):
        self.go(there, "access", "Invite a node")
        there.press("Make an invite")
        there.shows("An invite")
        url = there.run("document.querySelector('dialog textarea').value")
        self.assertTrue(url.startswith("parley://127.0.0.1:"), url)
        qr_check.check(url, drawn_code(there))
        self.picture(there, "invite")
        there.key("Escape")
        there.lacks("An invite")
        self.go(here, "access", "Join a node")
        here.fill("Its invite", url)
        here.press("Join")
        here.shows("The other node must show the same")
        digits = here.run("document.querySelector('.digits').textContent")
        self.assertRegex(digits, "^[0-9]{6}$")
        self.picture(here, "joined")
        self.go(there, "overview", "Check digits")
        there.shows(digits)
        self.go(there, "access", "Used by")
        there.until("document.querySelector('[aria-labelledby=invites-h] td').innerText === 'used'")
        self.go(there, "overview", "Check digits")
        there.shows("Peers: 1 of 1 in sync")

    def write_here_and_see_it_there(self, here, there, one):
        self.go(there, "conversations", "There are no conversations yet.")
        self.go(here, "conversations", "There are no conversations yet.")
        here.press("New conversation")
        here.fill("Title", "Bread for Sunday")
        here.fill("First message", "Rye or wheat?")
        here.press("Create")
        here.shows("Rye or wheat?")
        there.shows("Bread for Sunday")  # nobody touched that page
        there.press("Bread for Sunday")
        there.shows("Rye or wheat?")
        there.fill("Content", "Rye.")
        there.press("Add")
        here.shows("Rye.")
        here.fill("Content", "Said by mistake")
        here.press("Add")
        there.shows("Said by mistake")
        there.run("[...document.querySelectorAll('[data-act=Delete]')].pop().click()")
        there.press("Delete")
        here.lacks("Said by mistake")
        there.press("Undo")
        here.shows("Said by mistake")
        there.run("[...document.querySelectorAll('[data-act=Delete]')].pop().click()")
        there.press("Delete")
        here.lacks("Said by mistake")
        self.picture(here, "conversation")
        self.go(here, "overview", "= equal")
        root = one.root()[0]
        here.shows(root[:8])
        here.shows("Highest shown")
        self.picture(here, "overview")

    def edit(self, page, old, new):
        page.press("Edit: message of user")
        page.until("!!document.querySelector('.message textarea')")
        self.assertEqual(old, page.run("document.querySelector('.message textarea').value"))
        page.run("document.querySelector('.message textarea').select()")
        page.type(new)
        page.press("Save")
        page.shows(new)
        page.until("!document.querySelector('.message textarea')")

    def edit_on_both(self, here, there, one, two):
        self.go(here, "conversations", "Bread for Sunday")
        here.press("Bread for Sunday")
        here.shows("Rye or wheat?")
        two.stop()
        there.shows("Reconnecting")
        self.edit(here, "Rye or wheat?", "Rye or spelt?")
        one.stop()
        two.start()
        there.shows("Live")
        self.edit(there, "Rye or wheat?", "Rye or oats?")
        one.start()
        here.shows("Rye or oats?")
        here.shows("Live")

    def take_it_back(self, here, there):
        here.press("See 1 conflict")
        here.shows("Rye or spelt?")
        self.picture(here, "conflicts")
        here.press("Make it current")
        here.shows("There are no conflicts.")
        there.shows("Rye or spelt?")
        there.lacks("Rye or oats?")
        there.press("History: message of user")
        there.shows("Rye or wheat?")
        self.picture(there, "history")
        self.assertEqual(4, there.run("document.querySelectorAll('dialog .version').length"))
        there.key("Escape")

    def revoke(self, here, there, one, two):
        self.go(here, "overview", "Peers: 1 of 1 in sync")
        here.press("Compare")
        here.shows("Both have shown the same root")
        here.key("Escape")
        # By keyboard alone from here on.
        here.run("document.activeElement.blur()")
        here.tab_to("Revoke: hosted")
        here.key("Enter")
        here.shows("Revoke this peer?")
        self.assertEqual("Cancel", here.focused())
        here.key("Escape")
        here.lacks("Revoke this peer?")
        self.assertTrue(here.focused().startswith("Revoke: hosted"), here.focused())
        here.key("Enter")
        here.shows("Revoke this peer?")
        here.tab_to("Revoke")
        self.picture(here, "revoke")
        here.key("Enter")
        here.shows("revoked")
        here.lacks("Sync now")
        self.assertEqual("revoked", one.status()["peers"][0]["state"])
        self.go(there, "overview", "Peers: 0 of 1 in sync")
        here.lacks("1 in sync")
        until(lambda: not two.status()["peers"][0]["in_sync"], what="the end of the session")
        self.go(here, "audit", "peer revoked")
        here.press("Verify the chain")
        here.shows("verified by this page")
        self.picture(here, "audit")


def drawn_code(page):
    """The modules of the code in the dialog, from the path that draws it."""
    box, path = page.run("""(() => { const s = document.querySelector('dialog svg.qr');
        return [s.getAttribute('viewBox'), s.querySelector('path').getAttribute('d')]; })()""")
    size = int(box.split()[2]) - 8
    rows = [[0] * size for _ in range(size)]
    for run in path.split("z")[:-1]:
        place, _, rest = run[1:].partition("h")
        x, y = (int(word) - 4 for word in place.split())
        for i in range(int(rest.split("v")[0])):
            rows[y][x + i] = 1
    return rows


# Bytes that fit a code of level M, by its version from 1.
CAPACITIES = (14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560,
              624, 666)


class Codes(UiCase):
    def test_codes_of_all_sizes_are_those_of_libqrencode(self):
        page = self.open(self.node("one"))
        for length in sorted({1, *CAPACITIES, *(length + 1 for length in CAPACITIES[:-1])}):
            text = ("parley://ü-" + "0aZ_-&=?/" * 80).encode()[:length].decode("utf-8", "ignore")
            rows = page.run(f"""import('/ui/qr.js').then((m) => m.qr({json.dumps(text)})
                .map((row) => row.map(Number)))""")
            qr_check.check(text, rows)
        self.assertIsNone(page.run("import('/ui/qr.js').then((m) => m.qr('x'.repeat(667)))"))
        broken = [list(row) for row in rows]
        broken[40][40] ^= 1
        with self.assertRaises(AssertionError):
            qr_check.check(text, broken)


LONG_TITLE = "“" + "W" * 1500 + "” <b>bold</b>"
HOSTILE = [
    ("<img src=x onerror='window.hacked=1'>", "<script>window.hacked = 2</script>"),
    (LONG_TITLE, "unbroken" * 3000),
    ("\u202eesrever \u200f\u05e9\u05dc\u05d5\u05dd مرحبا",
     "\u202e<iframe src='javascript:hacked=3'>"),
    ("👩‍👩‍👧‍👦🏳️‍🌈 " * 20, "javascript:window.hacked=4 http://foreign.example/x.png"),
    ("{{constructor.constructor('hacked=5')()}}", "<svg onload=hacked=6><style>*{display:none}"),
]


def hostile_node(case):
    node = case.node("one")
    for number, (title, content) in enumerate(HOSTILE):
        name = f"../{number}/%2e?#<b>{'x' * 200}"
        body = {"conversation_id": name, "title": title, "metadata": {"<script>": content[:500]}}
        messages = [{"role": "<u>user", "content": content, "message_id": f"'\"/{number}"},
                    {"role": "assistant", "content": content}]
        where = f"/conversations/{urllib.parse.quote(name, safe='')}/messages"
        for path, item in [("/conversations", body)] + [(where, m) for m in messages]:
            status, answer = node.http("POST", path, item)
            case.assertEqual(201, status, answer)
    return node


class Hostile(UiCase):
    def test_what_stands_in_a_conversation_is_text(self):
        node = hostile_node(self)
        page = self.login(node)
        self.go(page, "conversations", "5 conversations")
        for title, content in HOSTILE:
            page.run("location.hash = '#/conversations'")
            page.shows("5 conversations")
            index = page.run(f"""[...document.querySelectorAll('.list .title')].findIndex((e) =>
                e.textContent === {json.dumps(title)})""")
            self.assertGreaterEqual(index, 0, title)
            page.run(f"document.querySelectorAll('.list a')[{index}].click()")
            page.until(f"""[...document.querySelectorAll('.message .text')].filter((e) =>
                e.textContent === {json.dumps(content[:20000])}).length === 2""")
            page.press("History: message of <u>user")
            page.until("!!document.querySelector('dialog .version')")
            page.key("Escape")
            page.press("Fields and their history")
            page.until("document.querySelectorAll('dialog .version').length > 1")
            page.key("Escape")
        self.assertIsNone(page.run("window.hacked"))
        self.assertEqual(0, page.run("document.querySelectorAll('img, iframe, style').length"))

    def test_the_policy_is_at_work_and_would_be_seen_to_be(self):
        page = self.open(self.node("one"))
        page.run("""(() => { const s = document.createElement('script');
            s.append('window.hacked = 1'); document.body.append(s); })()""")
        self.assertIsNone(page.run("window.hacked"))
        self.assertEqual("TypeError", page.run("""(() => { try {
            document.body.innerHTML = '<b>x</b>'; } catch (e) { return e.name; } })()"""))
        self.assertEqual("TypeError", page.run(
            "fetch('http://127.0.0.2:9/').catch((e) => e.name)"))
        page.until("violations.length >= 3")
        with self.assertRaises(AssertionError):
            self.expect_clean(page)
        self.pages.remove(page)

    def test_every_view_fits_a_phone(self):
        node = hostile_node(self)
        page = self.login(node, width=360, height=740, phone=True)
        for width in (360, 320):
            page.size(width, 740, True)
            page.width = width
            for name, text in VIEWS:
                self.go(page, name, text)
                self.expect_fits(page, f"{name} at {width}")
            for number in range(len(HOSTILE)):
                self.go(page, "conversations", "5 conversations")
                self.expect_fits(page, "list")
                page.run(f"document.querySelectorAll('.list a')[{number}].click()")
                page.until("document.querySelectorAll('.message').length === 2")
                self.expect_fits(page, f"conversation {number} at {width}")
        page.press("Change the title")
        page.until("!!document.querySelector('dialog')")
        self.expect_fits(page, "dialog")
        page.key("Escape")
        join(self.node("two", "hosted"), node)
        self.go(page, "overview", "Revoke")
        page.press("Revoke")
        page.shows("Revoke this peer?")  # with an id in it that is one long word
        self.assertEqual(0, page.run("""(() => { const d = document.querySelector('dialog');
            return d.scrollWidth - d.clientWidth; })()"""))

    def expect_fits(self, page, what):
        # Of a page that is too wide a phone makes everything smaller, so its own width says little.
        self.assertLessEqual(page.run("document.documentElement.scrollWidth"), page.width, what)


VIEWS = [("overview", "This node"), ("conversations", "Title contains"),
         ("conflicts", "There are no conflicts."), ("data", "Bundle of another node"),
         ("access", "Give a person a token"),
         ("audit", "node created"), ("trash", "The trash is empty.")]


class Tokens(UiCase):
    def test_a_wrong_token_is_refused_in_words_and_by_keyboard_a_good_one_lets_in(self):
        node = self.node("one")
        page = self.open(node)
        self.assertEqual("Token", page.focused())
        page.run("document.activeElement.blur()")
        page.key("Tab", shift=True)
        page.key("Tab", shift=True)
        page.tab_to("Skip to the content")
        page.tab_to("Token")
        page.type("0" * 64)
        page.key("Enter")
        page.shows("this is not the operator's token of this node")
        page.tab_to("Token")
        page.run("document.activeElement.select()")
        page.type(node.token())
        page.key("Enter")
        page.shows("This node")
        self.assertEqual("main", page.run("document.activeElement.id"))
        page.reload()
        page.until("document.activeElement.id === 'main'")
        page.key("Tab", shift=True)
        self.assertEqual("Log out", page.focused())
        page.reload()
        page.shows("This node")
        page.tab_to("Log out")
        page.key("Enter")
        page.shows("Log in to this node")
        self.assertEqual(0, page.run("sessionStorage.length"))
        self.assertEqual([], page.run("Object.values(localStorage).filter((v) => v.length > 9)"))

    def test_a_token_stays_with_its_tab_only_when_asked_and_never_in_the_address(self):
        node = self.node("one")
        page = self.login(node)
        page.reload()
        page.shows("This node")
        self.assertNotIn(node.token(), page.run("location.href"))
        page.press("Log out")
        page.shows("Log in to this node")
        page.fill("Token", node.token())
        page.run("document.querySelector('input[type=checkbox]').click()")
        page.press("Log in")
        page.shows("This node")
        self.assertEqual(0, page.run("sessionStorage.length"))
        page.reload()
        page.shows("Log in to this node")

    def test_a_user_sees_conversations_until_the_token_is_revoked(self):
        node = self.node("one")
        operator = self.login(node)
        self.go(operator, "access", "Give a person a token")
        operator.fill("User", "ann")
        operator.press("Make a token")
        operator.shows("It is shown this once")
        token = operator.run("document.querySelector('dialog textarea').value")
        operator.key("Escape")
        user = self.login(node, token)
        self.assertEqual("Conversations\nConflicts", user.run(
            "document.querySelector('nav').innerText.trim().replace(/\\s*\\n\\s*/g, '\\n')"))
        user.press("New conversation")
        user.fill("Title", "Ann's")
        user.press("Create")
        user.shows("Add a message")
        user.run("location.hash = '#/audit'")  # what is not shown cannot be opened either
        user.until("document.querySelector('h1').innerText === 'Conversations'")
        self.assertNotIn("operator-only", json.dumps(node.http("GET", "/audit")[1]["refusals"]))
        operator.press("Revoke the token of ann")
        operator.shows("Revoke this token?")
        operator.press("Revoke")
        operator.shows("revoked")
        user.shows("the token was revoked here")
        user.shows("Log in to this node")


class Lists(UiCase):
    def test_lists_are_searched_paged_and_kept_apart_by_namespace(self):
        node = self.node("one")
        for number in range(120):
            status, answer = node.http("POST", "/conversations", {
                "conversation_id": f"c{number:03d}", "title": f"Talk {number} of {number % 7}"})
            self.assertEqual(201, status, answer)
        node.http("POST", "/conversations?namespace=team", {"conversation_id": "t",
                                                            "title": "Elsewhere"})
        page = self.login(node)
        self.go(page, "conversations", "50 shown, the newest first")
        count = "document.querySelectorAll('.list li').length"
        page.press("Show more")
        page.until(count + " === 100")
        page.press("Show more")
        page.until(count + " === 120")
        page.fill("Title contains", "TALK 11")
        page.until(count + " === 11")
        page.shows("11 conversations")
        page.fill("Id begins with", "c11")
        page.until(count + " === 10")
        page.fill("Title contains", "nothing of that kind")
        page.shows("Nothing was found.")
        page.fill("Title contains", "e")
        page.fill("Id begins with", "t")
        page.choose("Namespace", "team")
        page.shows("Elsewhere")
        status, answer = node.http("POST", "/conversations?namespace=team", {
            "conversation_id": "t2", "title": "Here too"})
        page.shows("Here too")  # changes of the namespace that is looked at
        page.press("Here too")
        page.shows("t2 in team")


    def test_a_long_conversation_comes_part_by_part(self):
        node = self.node("one")
        for number in range(120):
            node.http("POST", "/conversations/long/messages", {
                "message_id": f"m{number:03d}", "role": "user", "content": f"text {number}."})
        page = self.login(node)
        self.go(page, "conversation/main/long", "text 99.")
        count = "document.querySelectorAll('.message').length"
        self.assertEqual(100, page.run(count))
        page.press("Show later messages")
        page.until(count + " === 120")
        page.lacks("Show later messages")
        if is_check_build():  # where bodies are short
            return
        # A page ends behind 8 MiB; the view has all the same all of them.
        for number in range(3):
            node.http("POST", "/conversations/big/messages", {
                "role": "user", "content": f"{number} " + "long " * 1000000})
        self.go(page, "conversation/main/big", "Show all 5,000,002 characters")
        page.until(count + " === 3")


class Edits(UiCase):
    def test_an_edit_that_would_undo_another_is_refused_and_keeps_its_text(self):
        node = self.node("one")
        node.json("append", "talk", "--role", "user", "--id", "m", "first")
        page = self.login(node)
        self.go(page, "conversation/main/talk", "first")
        page.press("Edit: message of user")
        area = "document.querySelector('.message textarea')"
        page.until(f"!!{area}")
        page.run(area + ".select()")
        page.type("what I am writing")
        node.json("edit", "talk", "m", "what somebody else wrote")
        node.json("append", "talk", "--role", "user", "and one more")
        page.shows("and one more")
        self.assertEqual("what I am writing", page.run(area + ".value"))
        page.press("Save")
        page.shows("Somebody changed it meanwhile")
        self.assertEqual("what I am writing", page.run(area + ".value"))
        page.press("Cancel")
        page.shows("what somebody else wrote")


class Away(UiCase):
    def test_a_view_opened_while_the_node_is_away_comes_back_with_it(self):
        node = self.node("one")
        page = self.login(node)
        node.stop()
        page.shows("Reconnecting")
        self.go(page, "audit", "The node does not answer")
        node.start()
        page.shows("node created")
        page.lacks("The node does not answer")


class Programs(UiCase):
    def test_a_program_is_let_in_and_may_what_it_was_granted(self):
        try:
            from test_tokens import Program
        except SystemExit:
            self.skipTest("python3-jwt is missing")
        node, program = self.node("one"), Program("ES256")
        token = program.token(node.identity())
        status, answer = node.http("POST", "/register-peer", {
            "sbt": token, "peer_backend_id": program.id, "peer_public_key": program.pem},
            token=None)
        self.assertEqual((202, "pending"), (status, answer["status"]), answer)
        node.json("append", "talk", "--role", "user", "hello")
        operator, reader = self.login(node), self.open(node)
        operator.shows("pending")
        reader.fill("Token", token)
        reader.press("Log in")
        reader.shows("waits for the operator's approval")
        operator.press("Approve")
        operator.shows("Let this node in")
        operator.choose("It may", "read")
        operator.run("[...document.querySelectorAll('dialog button')].pop().click()")
        operator.shows("was let in")
        operator.lacks("pending")
        reader.press("Log in")
        reader.press("no title")
        reader.shows("hello")
        reader.fill("Content", "may I?")
        reader.press("Add")
        reader.shows("403 not-granted")
        reader.run("location.hash = '#/conversations'")
        reader.press("no title")
        reader.shows("hello")
        self.assertEqual("History", reader.run(
            "document.querySelector('.message .acts').innerText.trim()"))
        reader.lacks("Add a message")


class Files(UiCase):
    def test_the_page_is_light_and_asked_for_again_costs_nothing(self):
        node = self.node("one")
        page = self.login(node)
        for name, text in VIEWS:
            self.go(page, name, text)
        files = page.run("""Object.fromEntries(performance.getEntriesByType('resource')
            .filter((e) => e.name.includes('/ui/'))
            .map((e) => [e.name.split('/ui/')[1], e.encodedBodySize]))""")
        weight = sum(files.values()) + page.run(
            "performance.getEntriesByType('navigation')[0].encodedBodySize")
        self.assertIn("style.css", files)
        self.assertIn("app.js", files)
        print(f"page weight: {weight} bytes in {len(files) + 1} files")
        self.assertGreater(weight, 20000)
        self.assertLess(weight, WEIGHT_BYTES_MAX)
        for path in ["/ui"] + ["/ui/" + name for name in files if name.endswith("s")]:
            self.check_file(node, path)

    def check_file(self, node, path):
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read()
        policy = answer.headers["Content-Security-Policy"]
        self.assertEqual(200, answer.status)
        for rule in ("default-src 'none'", "script-src 'self';", "frame-ancestors 'none'",
                     "form-action 'none'", "base-uri 'none'", "connect-src 'self';"):
            self.assertIn(rule, policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
        self.assertEqual("no-referrer", answer.headers["Referrer-Policy"])
        connection.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
        again = connection.getresponse()
        self.assertEqual((304, b""), (again.status, again.read()))
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        packed = connection.getresponse()
        self.assertEqual("gzip", packed.headers["Content-Encoding"])
        self.assertLess(len(packed.read()), len(text))
        connection.request("GET", "/ui/nothing.js")
        missing = connection.getresponse()
        self.assertEqual(404, missing.status)
        missing.read()


@unittest.skipUnless(AXE, "AXE is not set")
class Accessibility(UiCase):
    FOUND = """axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.map((v) =>
        [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 200),
         v.nodes[0].any.concat(v.nodes[0].all).map((c) => c.message).join('; ').slice(0, 300)]))"""

    def check(self, page, what):
        with open(AXE, encoding="utf-8") as file:
            page.run("window.axe || (() => {" + file.read() + "})(), 1")
        for dark in (False, True):
            page.dark(dark)
            page.run("new Promise((r) => setTimeout(r, 300))")
            found = page.run(self.FOUND)
            for item in found:
                print(f"axe: {what}, {'dark' if dark else 'light'}: {item}")
            self.count += 1
            self.picture(page, f"{what.replace(' ', '-')}-{'dark' if dark else 'light'}")
            self.bad += [(what, item) for item in found if item[0] in ("serious", "critical")]

    def expect_that_faults_are_found(self, page):
        page.run("document.body.append(document.createElement('button'))")
        self.assertIn("critical", [item[0] for item in page.run(self.FOUND)])
        page.run("document.body.lastChild.remove()")

    def test_no_view_has_a_serious_finding(self):
        local, hosted = pair(self.base)
        self.addCleanup(local.stop)
        self.addCleanup(hosted.stop)
        local.json("import", os.path.join(os.path.dirname(__file__), "../../tools/sample.jsonl"))
        local.json("token", "create", "--user", "ann", "--ttl", "1h")
        make_conflict(local, hosted)
        self.count, self.bad = 0, []
        for phone in (False, True):
            self.walk(local, phone)
        print(f"axe: {self.count} checks of views, {len(self.bad)} serious or critical findings")
        self.assertEqual([], self.bad)

    def walk(self, node, phone):
        size = {"width": 360, "height": 740, "phone": True} if phone else {}
        kind = "phone" if phone else "desktop"
        page = self.open(node, **size)
        self.check(page, f"{kind} login")
        self.expect_that_faults_are_found(page)
        page.fill("Token", "0" * 64)
        page.press("Log in")
        page.shows("not the operator")
        self.check(page, f"{kind} refused")
        page = self.login(node, **size)
        page.shows("Highest shown")
        for name, text in VIEWS:
            self.go(page, name, "overwritten" if name == "conflicts" else text)
            self.check(page, f"{kind} {name}")
        self.go(page, "data", "Import")
        page.attach("File", write_lines(os.path.join(self.base, "bad.jsonl"), ["{", "[]"]))
        page.press("Import")
        page.shows("Not one line was a conversation of parley.")
        page.press("Make a bundle")
        page.shows("It is signed, not encrypted.")
        self.check(page, f"{kind} imported")
        self.go(page, "conversations", "Sourdough")
        page.press("Sourdough that does not rise")
        page.shows("Add a message")
        self.check(page, f"{kind} conversation")
        page.press("Edit: message of user")
        page.until("!!document.querySelector('.message textarea')")
        self.check(page, f"{kind} editor")
        page.press("History: message of user")
        page.until("!!document.querySelector('dialog .version')")
        self.check(page, f"{kind} history")
        page.key("Escape")
        self.go(page, "access", "Invite a node")
        page.press("Make an invite")
        page.shows("An invite")
        self.check(page, f"{kind} invite")
        page.key("Escape")
        self.go(page, "overview", "Sync now")
        page.press("Revoke")
        page.shows("Revoke this peer?")
        self.check(page, f"{kind} revoke")


def make_conflict(local, hosted):
    local.json("append", "talk", "--role", "user", "--id", "m", "first")
    local.json("sync")
    hosted.stop()
    local.json("edit", "talk", "m", "what the one wrote")
    local.stop()
    hosted.start()
    hosted.json("edit", "talk", "m", "what the other wrote")
    local.start()
    local.json("sync")


if __name__ == "__main__":
    unittest.main()
