# SPDX-License-Identifier: Apache-2.0
"""The HTTP cases over real sockets to a real daemon: each has the status of its verdict and nothing
behind it, the connection is closed, and in the end the store is as it was and the node answers."""
import concurrent.futures
import os
import pathlib
import json
import socket
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).parent.parent / "cli"))

from nodes import Node, conversation, scratch  # noqa: E402

CORPUS = pathlib.Path(os.environ["BADINPUT_CORPUS"])
TOKEN = b"0" * 64
NEXT = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# A check build has places for eight strangers; more would push each other out.
AT_ONCE = 6
ANSWER_SECONDS = 20
CODES = {400: "malformed", 413: "body-too-large", 414: "target-too-long", 417: "expectation",
         431: "head-too-large", 501: "transfer-coding", 505: "http-version"}


def has_answer(data):
    try:
        return len(take_answers(data)) > 0
    except ValueError:
        return False


def read_all(connection, patient):
    """(what came, whether the other side closed). Behind an answer to a request that it has not
    read to its end the node waits, up to 2 s, until the client has no more to send; who is not
    `patient` says so when the answer is there."""
    data = b""
    said = patient
    try:
        while part := connection.recv(65536):
            data += part
            if not said and has_answer(data):
                connection.shutdown(socket.SHUT_WR)
                said = True
    except socket.timeout:
        return data, False
    except OSError:  # reset, also under the shutdown
        return data, True
    return data, True


def take_answers(data):
    """[(status, head, body)]; what is no whole answer is an error."""
    answers = []
    while data:
        head, mark, data = data.partition(b"\r\n\r\n")
        if not mark or not head.startswith(b"HTTP/1."):
            raise ValueError(f"no answer: {head[:80]!r}")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        if len(data) < length:
            raise ValueError(f"an answer that is cut: {data!r}")
        answers.append((int(head.split()[1]), fields, data[:length]))
        data = data[length:]
    return answers


class Sender:
    def __init__(self, node):
        self.port = node.port
        self.token = node.token().encode()

    def send(self, verdict, data, patient=False):
        """What is wrong with what the node did, or None."""
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.sendall(data.replace(TOKEN, self.token)
                                   + (NEXT if verdict == "ok" else b""))
                if verdict == "more":
                    connection.shutdown(socket.SHUT_WR)
            except (ConnectionResetError, BrokenPipeError):
                pass  # it has refused and closed before it had all
            got, closed = read_all(connection, patient or verdict == "ok")
        if not closed:
            return "the connection was not closed"
        try:
            answers = take_answers(got)
        except ValueError as error:
            return str(error)
        if verdict == "ok":
            return self.judge_taken(data, answers)
        return self.judge_refused(verdict, answers)

    def judge_refused(self, verdict, answers):
        status = 400 if verdict == "more" else int(verdict.split(":")[1])
        code = "truncated" if verdict == "more" else CODES[status]
        if len(answers) != 1:
            return f"{len(answers)} answers: {answers!r}"
        got, fields, body = answers[0]
        if got != status or json.loads(body)["code"] != code:
            return f"wanted {status} {code}: {got} {body!r}"
        return None if fields[b"connection"] == b"close" else "it does not say that it closes"

    def judge_taken(self, data, answers):
        wanted = 1 if b"HTTP/1.0\r\n" in data else 2
        if len(answers) != wanted or answers[-1][0] != 200:
            return f"{len(answers)} answers, not {wanted}: {answers!r}"
        return "refused" if answers[0][0] >= 400 and \
            json.loads(answers[0][2])["code"] in CODES.values() else None


def read_cases():
    lines = [line.split() for line in (CORPUS / "http.txt").read_text().splitlines()]
    return [(name, verdict, (CORPUS / "http" / name).read_bytes())
            for _, _, verdict, name in lines]


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node(scratch(), "node", kind="hosted").start()
        status, answer = cls.node.http("POST", "/import", json.dumps(conversation(1)))
        assert status == 200, answer
        cls.sender = Sender(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def state(self):
        return self.node.root(), self.node.export()

    def test_every_case_gets_its_status_and_changes_nothing(self):
        cases = read_cases()
        before = self.state()
        self.assertGreaterEqual(len(cases), 300)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            results = pool.map(lambda case: self.sender.send(case[1], case[2]), cases)
            wrong = [f"{case[0]} ({case[1]}): {result}" for case, result in zip(cases, results)
                     if result is not None]
        self.assertEqual([], wrong, f"{len(wrong)} of {len(cases)}")
        self.assertEqual(200, self.node.http("GET", "/health", token=None)[0])
        self.assertEqual(before, self.state())
        path = "/conversations/badinput/messages"
        self.assertEqual(201, self.node.http("POST", path, {"role": "user", "content": "x"})[0])
        self.assertNotEqual(before, self.state())
        self.assertEqual(200, self.node.http("DELETE", "/conversations/badinput")[0])

    def test_a_refused_connection_is_closed_whatever_the_client_does(self):
        cases = {verdict: (verdict, data) for _, verdict, data in read_cases()
                 if verdict not in ("ok", "more")}
        self.assertGreaterEqual(len(cases), 8)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = pool.map(lambda case: self.sender.send(*case, patient=True), cases.values())
            self.assertEqual([None] * len(cases), list(wrong))

    def test_a_wrong_verdict_is_seen(self):
        cases = {name: (verdict, data) for name, verdict, data in read_cases()}
        _, plain = cases["good_plain"]
        _, refused = cases["both_length_first"]
        _, cut = cases["cut_body"]
        for verdict, data in (("head:400", plain), ("ok", refused), ("head:413", refused),
                              ("ok", plain + plain), ("head:400", cut)):
            if verdict == "head:400":
                data += NEXT
            self.assertIsNotNone(self.sender.send(verdict, data), verdict)


if __name__ == "__main__":
    unittest.main()
