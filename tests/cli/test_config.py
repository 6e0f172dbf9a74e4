# SPDX-License-Identifier: Apache-2.0
"""The configuration of parleyd: file, environment and flags in one order, every mistake with its
place, what SIGHUP changes and what it refuses to change, and no secret in the log."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import unittest

from nodes import PARLEYD, Node, clean_environment, conversation, join, run, scratch, until
from nodes import write_lines
from test_tls import HAVE_TOOLS, make_certificate

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")


def write(path, *lines):
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def parleyd(*arguments, environment=None):
    return run([PARLEYD, *arguments], environment=dict(clean_environment(), **environment or {}))


def printed(result):
    """{name: [values]} and {name: source} of --print-config."""
    values, sources = {}, {}
    for line in result.out.splitlines():
        note = re.match(r"# ([a-z-]+): (.*)$", line)
        if note:
            sources[note[1]] = note[2]
        elif not line.startswith("#"):
            name, value = line.split(" = ", 1)
            values.setdefault(name, []).append(value)
    return values, sources


class Reading(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.file = os.path.join(self.base, "parleyd.conf")

    def check(self, *lines, flags=(), environment=None):
        write(self.file, *lines)
        return parleyd("--config", self.file, "--check-config", *flags, environment=environment)

    def errors(self, result):
        self.assertEqual((64, ""), (result.code, result.out), result)
        return [line.replace("parleyd: ", "", 1).replace(self.file, "FILE")
                for line in result.err.splitlines()]

    def test_every_mistake_of_a_file_has_its_line(self):
        result = self.check("data = d", "log-level = loud", "log-leve = info", "[net]", "foo",
                            "data = e", "rate = 5", "listen = 127.0.0.1:0, here", "x = y",
                            "plain-peers = 2", "name =")
        self.assertEqual([
            'FILE:2: log-level: "loud" is not one of error, warn, info, debug',
            'FILE:3: "log-leve" is not a setting; did you mean "log-level"?',
            "FILE:4: there are no sections; take the line away",
            "FILE:5: write NAME = VALUE",
            "FILE:6: data: line 1 has it already; take one of them away",
            'FILE:7: rate: "5": write PEER:STRANGERS, each 0 to 1000000 requests a second',
            'FILE:8: listen: "here": write ADDR:PORT, or [ADDR]:PORT for IPv6',
            'FILE:9: "x" is not a setting; parleyd --help has them all',
            'FILE:10: plain-peers: "2" is not yes or no',
            "FILE:11: there is no value behind the =; take the line away for the default",
        ], self.errors(result))

    def test_a_start_says_the_same_and_does_not_begin(self):
        data = os.path.join(self.base, "d")
        write(self.file, f"data = {data}", "log-level = loud", "rate = 5")
        result = parleyd("--config", self.file)
        self.assertEqual((64, 2), (result.code, len(result.err.splitlines())), result)
        self.assertFalse(os.path.exists(data))

    def test_what_is_no_setting_is_not_repeated(self):
        result = self.check("data = d", "passphrase = hunter2-secret")
        self.assertEqual(['FILE:2: "passphrase" is not a setting; did you mean "passphrase-file"?'],
                         self.errors(result))

    def test_flags_and_variables_are_named_as_they_are_written(self):
        result = self.check("data = d", flags=["--log-level", "loud", "--rate=x", "--tls-certt=y"],
                            environment={"PARLEY_TYPE": "big"})
        self.assertEqual([
            '--log-level: "loud" is not one of error, warn, info, debug',
            '--rate: "x": write PEER:STRANGERS, each 0 to 1000000 requests a second',
            "--tls-certt is not a flag; did you mean --tls-cert?",
            'PARLEY_TYPE: "big" is not one of local, hosted, edge',
        ], self.errors(result))

    def test_what_does_not_go_together_names_the_place(self):
        result = self.check("data = d", "compat-legacy = yes", "listen = 0.0.0.0:0",
                            "tls-cert = x.pem")
        errors = self.errors(result)
        self.assertIn("FILE:4: tls-cert: --tls-cert and --tls-key go together", errors)
        self.assertIn("FILE:2: compat-legacy: with listen 0.0.0.0:0", errors[1])
        self.assertEqual(["--data DIR is missing; try --help"],
                         self.errors(self.check("rate = 1:1")))

    def test_what_is_overruled_must_be_right_all_the_same(self):
        result = self.check("data = d", "log-level = loud", flags=["--log-level", "info"])
        self.assertEqual(['FILE:2: log-level: "loud" is not one of error, warn, info, debug'],
                         self.errors(result))

    def test_a_file_that_is_named_must_be_there_and_be_small(self):
        self.assertEqual(["FILE: No such file or directory"],
                         self.errors(parleyd("--config", self.file, "--data", "d",
                                             "--check-config")))
        self.assertEqual(["FILE: No such file or directory"],
                         self.errors(parleyd("--data", "d", "--check-config",
                                             environment={"PARLEY_CONFIG": self.file})))
        self.assertEqual(["FILE: is longer than 65536 bytes"],
                         self.errors(self.check("data = d", "#" * 66000)))
        result = parleyd("--config", self.base, "--data", "d", "--check-config")
        self.assertEqual([f"{self.base}: Is a directory"], self.errors(result))
        many = self.errors(self.check(*["bad"] * 500))
        self.assertEqual((65, "and 436 more"), (len(many), many[-1]))

    def test_the_order_is_flag_environment_file_default(self):
        write(self.file, "data = file", "log-level = warn", "rate = 1:1", "plain-peers = yes",
              "listen = 127.0.0.1:1", "listen = 127.0.0.1:2, 127.0.0.1:3",
              "cors-origin = https://file.example")
        result = parleyd("--config", self.file, "--rate", "3:3", "--plain-peers=no",
                         "--cors-origin", "https://a.example", "--cors-origin",
                         "https://b.example", "--print-config",
                         environment={"PARLEY_LOG_LEVEL": "error", "PARLEY_RATE": "2:2",
                                      "PARLEY_CORS_ORIGIN": "https://c.example"})
        self.assertEqual(0, result.code, result)
        values, sources = printed(result)
        self.assertEqual(["file"], values["data"])
        self.assertEqual(f"{self.file}:1", sources["data"])
        self.assertEqual((["error"], "environment, PARLEY_LOG_LEVEL"),
                         (values["log-level"], sources["log-level"]))
        self.assertEqual((["3:3"], "flag --rate"), (values["rate"], sources["rate"]))
        self.assertEqual((["no"], "flag --plain-peers"),
                         (values["plain-peers"], sources["plain-peers"]))
        self.assertEqual(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], values["listen"])
        self.assertEqual(["https://a.example", "https://b.example"], values["cors-origin"])
        self.assertEqual((["90"], "default"),
                         (values["tombstone-grace"], sources["tombstone-grace"]))

    def test_what_is_printed_is_a_configuration_and_has_no_secret(self):
        write(self.file, "data = d", "listen = 127.0.0.1:1, [::1]:2", "no-zstd = on")
        secrets = {"PARLEY_PASSPHRASE": "hunter2-secret", "BACKEND_PRIVATE_KEY": "pem-secret"}
        first = parleyd("--config", self.file, "--print-config", environment=secrets)
        self.assertEqual(0, first.code, first)
        self.assertNotIn("-secret", first.out + first.err)
        self.assertIn("# PARLEY_PASSPHRASE in the environment: set, not shown", first.out)
        again = os.path.join(self.base, "again.conf")
        with open(again, "w") as file:
            file.write(first.out)
        second = parleyd("--config", again, "--print-config")
        self.assertEqual((0, printed(first)[0]), (second.code, printed(second)[0]), second)

    def test_files_that_it_names_are_checked_too(self):
        phrase = write(os.path.join(self.base, "phrase"), "x")
        os.chmod(phrase, 0o644)
        result = self.check("data = d", f"passphrase-file = {phrase}", "tls-cert = none.pem",
                            "tls-key = none.key")
        errors = self.errors(result)
        self.assertEqual(2, len(errors), errors)
        self.assertIn("none.pem", errors[0])
        self.assertIn("others can read this secret", errors[1])
        os.chmod(phrase, 0o600)
        result = self.check("data = d", f"passphrase-file = {phrase}")
        self.assertEqual((0, "parleyd: the configuration is good\n"), (result.code, result.out))

    def test_the_table_in_the_docs_is_that_of_the_program(self):
        table = parleyd("--list-settings").out
        self.assertGreater(len(table.splitlines()), 20)
        with open(os.path.join(DOCS, "OPERATIONS.md"), encoding="utf-8") as file:
            self.assertTrue("\n\n" + table + "\n" in file.read(),
                            "put what parleyd --list-settings prints into docs/OPERATIONS.md")

    def test_help_has_every_setting_and_fits_a_terminal(self):
        text = parleyd("--help").out
        for line in parleyd("--list-settings").out.splitlines()[2:]:
            self.assertIn("\n  --" + line.split("`")[1], text)
        self.assertLess(max(len(line) for line in text.splitlines()), 101)


class Reload(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.file = os.path.join(self.base, "parleyd.conf")
        self.node = Node(self.base, "a", "--config", self.file)

    def tearDown(self):
        if self.node.process and self.node.process.poll() is None:
            self.node.stop()

    def lines(self, event):
        with open(self.node.log) as file:
            return [line.strip() for line in file if f"event={event} " in line or
                    f'"event":"{event}"' in line]

    def hup(self, event):
        """Sends SIGHUP, waits for one more line of the event, returns it."""
        before = len(self.lines(event))
        self.node.process.send_signal(signal.SIGHUP)
        return until(lambda: self.lines(event)[before:], what=event)[-1]

    def test_level_and_format_change_and_a_bad_file_changes_nothing(self):
        write(self.file, "log-level = info")
        self.node.start()
        write(self.file, "log-level = warn", "log-format = json")
        self.assertIn("changed=2", self.hup("reloaded"))
        write(self.file, "log-level = loud", "log-format = logfmt", "foo")
        failed = json.loads(self.hup("reload-failed"))
        self.assertEqual("error", failed["level"])
        both = [json.loads(line)["detail"] for line in self.lines("reload-failed")]
        self.assertEqual([
            f'{self.file}:1: log-level: "loud" is not one of error, warn, info, debug',
            f"{self.file}:3: write NAME = VALUE"], both)
        # Still JSON, still no info.
        write(self.file, "log-level = info", "log-format = json")
        self.assertEqual("1", json.loads(self.hup("reloaded"))["changed"])
        self.assertEqual(0, self.node.stop())
        self.assertEqual("info", json.loads(self.lines("stopped")[0])["level"])

    def test_a_missing_file_changes_nothing(self):
        write(self.file, "rate = 0:0")
        self.node.start()
        os.unlink(self.file)
        self.assertIn("No such file", self.hup("reload-failed"))
        self.assertEqual("ok", self.node.http("GET", "/health")[1]["status"])

    def test_rates_change(self):
        write(self.file, "rate = 0:0")
        self.node.start()
        codes = {self.node.http("GET", "/conversations", token="x")[0] for _ in range(40)}
        self.assertEqual({401}, codes)
        write(self.file, "rate = 500:2")
        self.assertIn("changed=1", self.hup("reloaded"))
        codes = [self.node.http("GET", "/conversations", token="x")[0] for _ in range(40)]
        self.assertIn(429, codes)
        write(self.file, "rate = 0:0")
        self.hup("reloaded")
        codes = {self.node.http("GET", "/conversations", token="x")[0] for _ in range(40)}
        self.assertEqual({401}, codes)

    def test_origins_change_as_often_as_one_likes(self):
        write(self.file, "cors-origin = https://one.example")
        self.node.start()
        for number in range(4):
            origin = f"https://site{number}.example"
            write(self.file, f"cors-origin = {origin} https://other.example")
            self.hup("reloaded")
            self.assertEqual(origin, self.allowed(origin))
            self.assertIsNone(self.allowed("https://one.example"))
        write(self.file, "# nothing")
        self.hup("reloaded")
        self.assertIsNone(self.allowed("https://other.example"))

    def allowed(self, origin):
        with socket.create_connection(("127.0.0.1", self.node.port), 10) as plain:
            plain.sendall(f"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n"
                          "Connection: close\r\n\r\n".encode())
            text = b""
            while part := plain.recv(65536):
                text += part
        found = re.search(rb"(?i)access-control-allow-origin: (\S+)", text)
        return found[1].decode() if found else None

    def test_what_needs_a_restart_is_named_each_time(self):
        write(self.file, "reserve = 4")
        self.node.start()
        write(self.file, "reserve = 8", "no-zstd = yes", "log-level = debug")
        for _ in range(2):
            before = len(self.lines("restart-needed"))
            self.hup("reloaded")
            new = self.lines("restart-needed")[before:]
            self.assertEqual(2, len(new), new)
            self.assertIn("level=warn", new[0])
            self.assertIn("setting=reserve value=8", new[0])
            self.assertIn("setting=no-zstd value=yes", new[1])

    def test_the_level_changes_by_command_until_the_next_reload(self):
        write(self.file, "log-level = warn")
        self.node.start()
        self.assertEqual({"level": "warn"}, self.node.json("log-level"))
        self.node.json("token", "create", "--user", "u")
        self.assertEqual([], self.lines("invite-created"))
        self.assertEqual("info\n", self.node.cli("log-level", "info").out)
        self.assertIn("note=info", until(lambda: self.lines("log-level"))[0])
        self.node.invite()
        self.assertEqual(1, len(until(lambda: self.lines("invite-created"))))
        # Less: the change is the last that is said.
        self.node.json("log-level", "error")
        self.assertIn("note=error", until(lambda: self.lines("log-level")[1:])[0])
        self.node.invite()
        self.assertEqual(1, len(self.lines("invite-created")))
        result = self.node.cli("--json", "log-level", "loud")
        self.assertEqual((65, "bad-level"), (result.code, result.error["code"]), result)
        self.assertIn("error, warn, info or debug", result.error["detail"])
        self.assertEqual({"level": "error"}, self.node.json("log-level"))
        # The configuration says warn, so that holds again.
        self.node.process.send_signal(signal.SIGHUP)
        until(lambda: self.node.json("log-level") == {"level": "warn"}, what="the reload")
        self.node.stop()
        result = self.node.cli("--json", "log-level", "info")
        self.assertEqual((69, "not-running"), (result.code, result.error["code"]))

    def test_a_flag_stays_above_the_file(self):
        write(self.file, "log-level = info")
        self.node.start("--log-level", "info")
        write(self.file, "log-level = error")
        self.assertIn("changed=0", self.hup("reloaded"))

    def test_systemd_is_told_when_a_reload_begins_and_ends(self):
        path = os.path.join(self.base, "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(path)
        manager.settimeout(20)
        write(self.file, "log-level = info")
        self.node.start(environment=dict(clean_environment(), NOTIFY_SOCKET=path))
        self.assertEqual(b"READY=1", manager.recv(4096))
        self.node.process.send_signal(signal.SIGHUP)
        begun = manager.recv(4096).decode()
        usec = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", begun)
        self.assertTrue(usec, begun)
        with open("/proc/uptime") as file:
            uptime = float(file.read().split()[0])
        self.assertLess(abs(int(usec[1]) / 1e6 - uptime), 60)
        self.assertEqual(b"READY=1", manager.recv(4096))
        # A reload that fails has ended too.
        write(self.file, "bad")
        self.node.process.send_signal(signal.SIGHUP)
        self.assertTrue(manager.recv(4096).startswith(b"RELOADING=1"))
        self.assertEqual(b"READY=1", manager.recv(4096))

    @unittest.skipUnless(HAVE_TOOLS, "openssl and curl are needed")
    def test_a_new_certificate_is_shown_and_a_bad_one_is_not(self):
        one = make_certificate(self.base, "one", key="ec:prime256v1")
        two = make_certificate(self.base, "two", key="ec:prime256v1")
        cert, key = (os.path.join(self.base, name) for name in ("live.pem", "live.key"))
        self.install(one, cert, key)
        write(self.file, f"tls-cert = {cert}", f"tls-key = {key}")
        self.node.start()
        self.assertEqual("one", self.shown())
        # Held open, with its handshake done by the old certificate.
        held = self.connect()
        self.addCleanup(held.close)
        context = no_questions()
        first = self.connect(context)
        session = first.session
        first.close()
        with self.connect(context, session) as again:
            self.assertTrue(again.session_reused)
        self.install(two, cert, key)
        self.hup("reloaded")
        self.assertEqual("two", self.shown())
        # A session that was resumed would hide the new certificate.
        with self.connect(context, session) as again:
            self.assertFalse(again.session_reused)
        held.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b"200 OK", held.recv(4096))
        # The certificate of one with the key of the other: nothing changes.
        os.replace(write_copy(one[0], self.base), cert)
        self.assertIn(key, self.hup("reload-failed"))
        self.assertEqual("two", self.shown())
        # As often as one likes, while nothing holds the old ones.
        for _ in range(12):
            self.install(one, cert, key)
            self.hup("reloaded")
            self.assertEqual("one", self.shown())
        # No certificate of the operator any more.
        write(self.file, "log-level = info")
        self.hup("reloaded")
        self.assertNotIn(self.shown(), ("one", "two"))
        self.assertEqual(0, self.node.stop())

    @unittest.skipUnless(HAVE_TOOLS, "openssl and curl are needed")
    def test_old_certificates_that_are_still_used_are_bounded(self):
        pair = make_certificate(self.base, "one", key="ec:prime256v1")
        write(self.file, f"tls-cert = {pair[0]}", f"tls-key = {pair[1]}")
        self.node.start()
        held = []
        self.addCleanup(lambda: [item.close() for item in held])
        for _ in range(8):
            held.append(self.connect())
            self.hup("reloaded")
        held.append(self.connect())
        self.assertIn("connections still use 8 older certificates", self.hup("reload-failed"))
        held.pop(0).close()
        self.alive()
        until(lambda: "reloaded" in self.answer(), what="a reload with a free place")

    def answer(self):
        before = len(self.lines("reloaded")) + len(self.lines("reload-failed"))
        self.node.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.lines("reloaded")) + len(self.lines("reload-failed")) > before)
        with open(self.node.log) as file:
            return file.read().splitlines()[-1]

    def alive(self):
        self.assertEqual(200, self.node.http("GET", "/health")[0])

    def install(self, pair, cert, key):
        os.replace(write_copy(pair[1], self.base), key)
        os.replace(write_copy(pair[0], self.base), cert)

    def connect(self, context=None, session=None):
        plain = socket.create_connection(("127.0.0.1", self.node.port), 20)
        return (context or no_questions()).wrap_socket(plain, server_hostname="localhost",
                                                       session=session)

    def shown(self):
        with self.connect() as secure:
            der = secure.getpeercert(binary_form=True)
        text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"],
                              input=der, stdout=subprocess.PIPE, check=True).stdout.decode()
        return text.strip().rsplit("= ", 1)[-1]


def no_questions():
    """TLS as a client does it who believes everything."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def write_copy(path, base):
    copy = os.path.join(base, "copy")
    with open(path, "rb") as source, open(copy, "wb") as file:
        file.write(source.read())
    os.chmod(copy, 0o600)
    return copy


class Secrets(unittest.TestCase):
    """What the log must never have, with everything logged and much going wrong."""

    def test_no_secret_is_in_the_log_in_either_format(self):
        for log_format in ("logfmt", "json"):
            with self.subTest(log_format):
                self.check(log_format)

    def check(self, log_format):
        base = scratch()
        phrase = "correct horse battery staple"
        environment = dict(clean_environment(), PARLEY_PASSPHRASE=phrase)
        flags = ("--log-level", "debug", "--log-format", log_format)
        one = Node(base, "one", *flags, kind="hosted").start(environment=environment)
        two = Node(base, "two", *flags).start()
        secrets = [phrase, one.token(), two.token()]
        invite = one.invite()
        secrets.append(re.search(r"[?&]s=([A-Za-z0-9_-]{20,})", invite)[1])
        two.json("join", invite)
        self.assertNotEqual(0, two.cli("join", invite).code)
        for node in (one, two):
            token = node.json("token", "create", "--user", "u")["token"]
            secrets.append(token)
            secrets.append(token.rsplit(".", 1)[1])
            for send in (token, token[:-4], "no-such-token-" + "x" * 40):
                node.http("GET", "/conversations", token=send)
                node.http("GET", f"/changes?access_token={send}", token=None)
                node.http("GET", "/conversations", token=None,
                          headers={"Cookie": "cookie-secret-1", "Authorization": "Basic " + send})
                node.http("POST", "/conversations/a/messages", {"role": "user", "content": send})
            node.http("POST", "/joins", {"url": invite})
            node.http("POST", "/joins", {"url": "parley://x/" + "join-secret-2"})
        secrets += ["no-such-token-", "cookie-secret-1", "join-secret-2", "content-secret-3"]
        path = write_lines(os.path.join(base, "x.jsonl"),
                           [conversation(i, text="content-secret-3") for i in range(5)])
        two.json("import", path)
        two.json("sync")
        one.json("key", "rotate")
        two.process.send_signal(signal.SIGHUP)
        self.assertEqual((0, 0), (one.stop(), two.stop()))
        for node in (one, two):
            with open(node.log) as file:
                text = file.read()
            self.assertIn("debug" if "debug" in text else "stopped", text)
            for secret in secrets:
                # A line may be cut: no part of one is there either.
                for at in range(max(1, len(secret) - 15)):
                    self.assertNotIn(secret[at:at + 16], text)
            lines = text.splitlines()
            self.assertGreater(len(lines), 4)
            for line in lines:
                if log_format == "json":
                    self.assertIn("event", json.loads(line))
                else:
                    self.assertRegex(line, r"^time=\S+ level=\w+ event=[a-z-]+( |$)")


if __name__ == "__main__":
    unittest.main()
