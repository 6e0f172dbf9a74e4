# SPDX-License-Identifier: Apache-2.0
"""Plain connections from elsewhere: no token and no peer gets in without TLS, unless the operator
says so. Elsewhere is another address of this machine, which asks for 127.0.0.1."""
import http.client
import json
import socket
import ssl
import sys
import unittest

from nodes import CALL_SECONDS, Node, scratch

PREFACE = b"\xc1PLY"


def other_address():
    """An address of this machine that is not loopback; None when there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


ELSEWHERE = other_address()


class Transport(unittest.TestCase):
    def setUp(self):
        if ELSEWHERE is None:
            print("SKIPPED test_transport: no address but loopback", file=sys.stderr)
            self.skipTest("no address but loopback")
        self.base = scratch()
        self.node = None

    def tearDown(self):
        if self.node is not None and self.node.process.poll() is None:
            self.node.stop()

    def start(self, *flags):
        self.node = Node(self.base, "a", *flags)
        self.node.spawn("--listen", "0.0.0.0:0", "--advertise", "127.0.0.1:1")
        self.assertIn("parleyd ready on 127.0.0.1:", self.node.line)
        self.node.port = int(self.node.line.split(" ")[3].rstrip(",").rsplit(":", 1)[1])

    def ask(self, method, path, token=None, body=None, tls=False):
        """As from another machine: (status, answer, its Connection header)."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        arguments = {"timeout": CALL_SECONDS, "source_address": (ELSEWHERE, 0)}
        connection = http.client.HTTPSConnection("127.0.0.1", self.node.port, context=context,
                                                 **arguments) if tls else \
            http.client.HTTPConnection("127.0.0.1", self.node.port, **arguments)
        try:
            head = {"Authorization": "Bearer " + token} if token else {}
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.getheader("Connection")
        finally:
            connection.close()

    def tokens(self):
        return [None, self.node.token(),
                self.node.json("token", "create", "--user", "ann")["token"]]

    def test_no_token_is_taken_in_plain_text(self):
        self.start()
        for token in self.tokens():
            for method, path, body in (("GET", "/conversations", None), ("GET", "/health", None),
                                       ("POST", "/conversations/c/messages",
                                        '{"role":"user","content":"x"}'),
                                       ("POST", "/invites", "{}"),
                                       ("POST", "/sync", "x" * 100000)):
                status, answer, connection = self.ask(method, path, token, body)
                self.assertEqual((403, "tls-required", "close"),
                                 (status, answer["code"], connection), (method, path))
                self.assertIn("https://", answer["detail"])
                self.assertIn("--plain-peers", answer["detail"])
        self.assertEqual({"conversations": []}, self.node.http("GET", "/conversations")[1])
        self.assertEqual(15, self.node.http("GET", "/audit")[1]["refusals"]["tls-required"])

    def test_the_same_tokens_are_taken_over_tls(self):
        self.start()
        nobody, operator, user = self.tokens()
        self.assertEqual(401, self.ask("GET", "/conversations", nobody, tls=True)[0])
        self.assertEqual(200, self.ask("GET", "/conversations", user, tls=True)[0])
        self.assertEqual(200, self.ask("GET", "/status", operator, tls=True)[0])

    def test_the_flag_allows_it_and_is_in_the_log(self):
        self.start("--plain-peers")
        nobody, operator, user = self.tokens()
        self.assertEqual(401, self.ask("GET", "/conversations", nobody)[0])
        self.assertEqual(200, self.ask("GET", "/conversations", user)[0])
        self.assertEqual(200, self.ask("GET", "/status", operator)[0])
        self.assertRegex(self.node.log_text(), r"level=warn event=plain-peers .*in the clear")

    def test_this_machine_needs_no_tls(self):
        self.start()
        self.assertTrue(self.node.status()["backend_id"])
        self.assertNotIn("plain-peers", self.node.log_text())

    def test_a_native_session_in_plain_text_is_closed_at_once(self):
        self.start()
        with socket.create_connection(("127.0.0.1", self.node.port), 30,
                                      source_address=(ELSEWHERE, 0)) as connection:
            connection.sendall(PREFACE)
            connection.settimeout(30)
            try:
                self.assertEqual(b"", connection.recv(100))
            except ConnectionResetError:
                pass
        self.assertEqual(1, self.node.http("GET", "/audit")[1]["refusals"]["plain-connection"])


if __name__ == "__main__":
    unittest.main()
