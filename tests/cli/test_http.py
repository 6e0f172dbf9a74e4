# SPDX-License-Identifier: Apache-2.0
"""What the HTTP interface refuses, with a status, a code and a sentence that names the thing."""
import base64
import json
import socket
import time
import unittest
import uuid

from nodes import Node, conversation, pair, scratch


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged_token(issuer, target):
    now = int(time.time())
    claims = {"sbt_id": str(uuid.uuid4()), "user_id": "u", "session_id": "s",
              "local_backend_id": issuer, "hosted_backend_id": target,
              "created_at": now, "expires_at": now + 3600, "iss": issuer, "sub": "u",
              "jti": str(uuid.uuid4()), "iat": now, "exp": now + 3600}
    head = {"typ": "SBT", "alg": "RS256", "kid": issuer}
    signature = base64.urlsafe_b64encode(b"\x01" * 256).rstrip(b"=").decode()
    return f"{part(head)}.{part(claims)}.{signature}"


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = scratch()
        cls.local, cls.hosted = pair(cls.base)

    @classmethod
    def tearDownClass(cls):
        cls.local.stop()
        cls.hosted.stop()

    def payload(self, source, conversations=()):
        return {"sync_id": str(uuid.uuid4()), "source_backend_id": source,
                "target_backend_id": self.hosted.identity(),
                "timestamp": "2024-01-01T00:00:00", "conversations": list(conversations)}

    def refused(self, answer, status, word):
        self.assertEqual(status, answer[0], answer)
        self.assertIn(word, answer[1]["detail"])
        self.assertTrue(answer[1]["code"])
        self.assertEqual(status, answer[1]["status"])

    def test_an_unknown_peer_is_forbidden(self):
        stranger = "local_sha256_" + "0" * 32
        self.refused(self.hosted.http("POST", "/sync", self.payload(stranger)), 403, stranger)

    def test_a_forged_token_is_unauthorized(self):
        token = forged_token(self.local.identity(), self.hosted.identity())
        answer = self.hosted.http("POST", "/sync", self.payload(self.local.identity()), token)
        self.refused(answer, 401, "signature")

    def test_no_token_and_a_wrong_operators_token_are_unauthorized(self):
        for path in ("/status", "/peers", "/conversations", "/export", "/check"):
            self.refused(self.hosted.http("GET", path, token=None), 401, "token")
            self.refused(self.hosted.http("GET", path, token="0" * 64), 401, "token")
        self.refused(self.hosted.http("GET", "/status", token="nonsense"), 401, "token")

    def test_another_target_is_a_bad_request(self):
        payload = self.payload(self.local.identity())
        payload["target_backend_id"] = "hosted_sha256_" + "1" * 32
        self.refused(self.hosted.http("POST", "/sync", payload), 400, "target_backend_id")

    def test_one_bad_conversation_does_not_spoil_the_others(self):
        bad = conversation(2)
        bad["messages"][1]["content"] = 17
        payload = self.payload(self.local.identity(), [conversation(1), bad, conversation(3)])
        status, answer = self.hosted.http("POST", "/sync", payload)
        self.assertEqual(200, status, answer)
        self.assertEqual((3, 2), (answer["conversations_received"],
                                  answer["conversations_merged"]))
        self.assertEqual(1, answer["errors"][0]["index"])
        self.assertIn("content", answer["errors"][0]["detail"])
        # Nor does saying it again change anything.
        before = self.hosted.root()
        self.assertEqual(200, self.hosted.http("POST", "/sync", payload)[0])
        self.assertEqual(before, self.hosted.root())

    def test_a_body_that_is_no_utf8_is_refused_by_name(self):
        body = b'{"role":"user","content":"\xff\xfe"}'
        answer = self.hosted.http("POST", "/conversations/c/messages", body)
        self.refused(answer, 400, "UTF-8")

    def test_wrong_types_and_missing_fields_are_named(self):
        path = "/conversations/c/messages"
        self.refused(self.hosted.http("POST", path, {"role": "user", "content": 5}), 400,
                     "content")
        self.refused(self.hosted.http("POST", path, {"content": "x"}), 400, "role")
        self.refused(self.hosted.http("POST", path, {"role": "r" * 65, "content": "x"}), 400,
                     "role")
        self.assertEqual(400, self.hosted.http("POST", path, '{"role":"user"')[0])
        self.assertEqual(400, self.hosted.http("POST", path, "")[0])

    def test_a_content_above_its_limit_is_refused_and_just_below_is_taken(self):
        path = "/conversations/big/messages"
        text = "x" * (16 << 20)
        self.assertEqual(201, self.hosted.http("POST", path, {"role": "user", "content": text})[0])
        answer = self.hosted.http("POST", path, {"role": "user", "content": text + "y"})
        self.refused(answer, 400, "content")
        self.assertEqual(200, self.hosted.http("DELETE", "/conversations/big")[0])

    def test_a_body_above_every_limit_is_refused_before_it_is_read(self):
        with socket.create_connection(("127.0.0.1", self.hosted.port), 30) as connection:
            head = (f"POST /import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                    f"{self.hosted.token()}\r\nContent-Length: {1 << 40}\r\n\r\n")
            connection.sendall(head.encode())
            connection.settimeout(30)
            answer = b""
            while part := connection.recv(65536):  # head and body come apart
                answer += part
        answer = answer.decode()
        self.assertTrue(answer.startswith("HTTP/1.1 413 "), answer)
        self.assertIn("1 GiB", answer)

    def test_a_foreign_host_or_origin_is_forbidden_on_loopback(self):
        for head in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            self.assertEqual(403, self.hosted.http("GET", "/status", headers=head)[0], head)

    def test_unknown_paths_and_methods_have_their_own_answers(self):
        self.assertEqual(404, self.hosted.http("GET", "/nothing")[0])
        self.assertEqual(405, self.hosted.http("PUT", "/conversations/c")[0])
        self.refused(self.hosted.http("GET", "/conversations/none"), 404, "conversation")

    def test_an_unapproved_registration_waits(self):
        status, _ = self.hosted.http("POST", "/register-peer", {"sbt": "a.b.c"}, token=None)
        self.assertEqual(400, status)

    def test_garbage_does_not_harm_the_node(self):
        for garbage in (b"\x00" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"\xff" * 512,
                        b"\xc1parley" + b"\x00" * 64, b"GET / HTTP/1.1\r\nA: b\rc: d\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.hosted.port), 30) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(30)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        self.assertEqual(200, self.hosted.http("GET", "/health", token=None)[0])


class CompatLegacy(unittest.TestCase):
    """The old programs, unchanged: HMAC tokens that prove nothing, sync by registration alone."""

    def test_an_old_client_registers_lists_syncs_and_reads(self):
        node = Node(scratch(), "old", "--compat-legacy", kind="hosted").start()
        me = node.identity()
        old = "local_sha256_" + "ab" * 16
        identity = node.http("GET", "/identity", token=None)[1]
        self.assertLessEqual({"backend_id", "backend_type", "public_key", "capabilities",
                              "version", "created_at"}, set(identity))
        self.assertEqual("1.0", identity["version"])
        sbt = {"sbt_id": "s1", "user_id": "u", "session_id": "x", "local_backend_id": old,
               "hosted_backend_id": me, "created_at": "2024-01-01T00:00:00",
               "expires_at": "2034-01-01T00:00:00", "signature": "c2VjcmV0"}
        body = {"sbt": sbt, "peer_backend_id": old, "peer_public_key": identity["public_key"],
                "peer_capabilities": ["sync"]}
        status, answer = node.http("POST", "/register-peer", body, token=None)
        self.assertEqual((200, "registered", "s1", old),
                         (status, answer["status"], answer["sbt_id"], answer["peer_backend_id"]))
        other = dict(body, sbt=dict(sbt, hosted_backend_id="hosted_sha256_" + "0" * 32))
        self.assertEqual(400, node.http("POST", "/register-peer", other, token=None)[0])
        peers = node.http("GET", "/peers", token=None)[1]["peers"]
        self.assertEqual(old, peers[0]["backend_id"])
        self.assertNotIn("signature", peers[0]["sbt"])
        payload = {"sync_id": "1", "source_backend_id": old, "target_backend_id": me,
                   "timestamp": "2024-01-01T00:00:00", "conversations": [conversation(1)]}
        status, answer = node.http("POST", "/sync", payload, token=None)
        self.assertEqual((200, "synced", 1), (status, answer["status"],
                                              answer["conversations_merged"]))
        payload["source_backend_id"] = "local_sha256_" + "cd" * 16
        self.assertEqual(403, node.http("POST", "/sync", payload, token=None)[0])
        shown = node.http("GET", "/conversations/conv-00001", token=None)[1]
        self.assertEqual(3, len(shown["messages"]))
        self.assertTrue(node.http("GET", "/health", token=None)[1]["compat_legacy"])
        node.stop()


if __name__ == "__main__":
    unittest.main()
