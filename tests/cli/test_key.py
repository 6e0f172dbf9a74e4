# SPDX-License-Identifier: Apache-2.0
"""The life of a key: shown, rotated with and without the daemon, moved, sealed anew."""
import os
import stat
import subprocess
import unittest

import nodes
from nodes import Node, conversation, join, pair, scratch, until, write_lines

PHRASE = "eleven purple herons recite the tide tables"


def write_secret(path, data):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o600)
    return path


def openssl_key(path):
    """A PEM private key; None when there is no openssl."""
    try:
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    with open(path) as file:
        return file.read()


def key_held(node, peer):
    """The public key that `node` holds for `peer`."""
    for item in node.json("peers")["peers"]:
        if item["backend_id"] == peer.identity():
            return item["public_key"]
    return None


def follows(node, peer):
    return key_held(node, peer) == peer.json("identity")["public_key"]


class Rotation(unittest.TestCase):
    def setUp(self):
        self.base = scratch()

    def test_a_key_is_rotated_with_and_without_the_daemon(self):
        node = Node(self.base, "a").start()
        first = node.json("key", "show")
        self.assertEqual((2048, [], "none"), (first["bits"], first["rotations"], first["phase"]))
        second = node.json("key", "rotate")
        self.assertNotEqual(first["fingerprint"], second["fingerprint"])
        self.assertEqual([first["fingerprint"]], [r["from"] for r in second["rotations"]])
        node.kill()
        node.start()
        self.assertEqual(second["fingerprint"], node.json("key", "show")["fingerprint"])
        node.stop()
        third = node.json("key", "rotate", "--bits", "3072")
        self.assertEqual(3072, third["bits"])
        self.assertEqual(third["fingerprint"], node.json("key", "show")["fingerprint"])
        node.start()
        shown = node.json("key", "show")
        self.assertEqual(third["fingerprint"], shown["fingerprint"])
        self.assertEqual([1, 2], [r["number"] for r in shown["rotations"]])
        self.assertEqual(first["backend_id"], shown["backend_id"])
        self.assertIn("rotation 2", node.cli("key", "show").out)
        node.stop()

    def test_peers_follow_also_when_they_were_away(self):
        local, hosted = pair(self.base)
        hosted.json("key", "rotate")
        until(lambda: follows(local, hosted), what="learning the key of the dialed node")
        local.json("key", "rotate")
        until(lambda: follows(hosted, local), what="learning the key of the dialing node")
        local.stop()
        hosted.json("key", "rotate")
        hosted.json("key", "rotate")
        local.json("key", "rotate")
        local.start()
        until(lambda: follows(local, hosted) and follows(hosted, local), what="catching up")
        hosted.json("import", write_lines(os.path.join(self.base, "in"), [conversation(1)]))
        local.json("sync")
        self.assertEqual(hosted.root(), local.root())
        third = Node(self.base, "third").start()
        join(hosted, third)
        self.assertTrue(follows(third, hosted))
        for node in (local, hosted, third):
            self.assertEqual(0, node.stop())

    def test_a_daemon_that_is_killed_in_a_rotation_starts_again(self):
        node = Node(self.base, "a").start()
        identity = node.identity()
        for _ in range(5):
            self.assertEqual(202, node.http("POST", "/key/rotate", "{}")[0])
            node.kill()
            node.start()
            self.assertEqual(identity, node.identity())
        node.stop()

    def test_a_key_that_was_rotated_away_stops_the_start(self):
        key = openssl_key(os.path.join(self.base, "key.pem"))
        if key is None:
            self.skipTest("openssl is not there to make a key")
        environment = nodes.clean_environment()
        environment["BACKEND_PRIVATE_KEY"] = key
        node = Node(self.base, "a").start(environment=environment)
        node.json("key", "rotate")
        node.stop()
        self.assertEqual("", node.spawn(environment=environment))
        self.assertEqual(78, node.wait())
        self.assertRegex(node.log_text(), r"was rotated away on 20\d\d-\d\d-\d\d; unset it")
        node.start()
        node.stop()

    def test_a_large_key_is_for_a_new_directory(self):
        node = Node(self.base, "a", "--key-bits", "3072").start()
        self.assertEqual(3072, node.json("key", "show")["bits"])
        node.stop()
        node.flags = ["--key-bits", "2048"]
        self.assertEqual("", node.spawn())
        self.assertEqual(78, node.wait())
        self.assertIn("parley key rotate --bits 2048", node.log_text())


class Moving(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a").start()
        self.node.json("key", "rotate")
        self.file = os.path.join(self.base, "key.parley")
        self.environment = nodes.clean_environment()
        self.environment["PARLEY_EXPORT_PASSPHRASE"] = PHRASE

    def tearDown(self):
        if self.node.process.poll() is None:
            self.node.stop()

    def test_an_export_opens_in_an_empty_directory_and_nowhere_else(self):
        result = self.node.cli("key", "export", "--sealed", self.file,
                               environment=self.environment)
        self.assertEqual(75, result.code, result)
        shown = self.node.json("key", "show")
        self.node.stop()
        result = self.node.cli("key", "export", "--sealed", self.file)
        self.assertEqual(64, result.code, result)
        result = self.node.cli("key", "export", "--sealed", self.file,
                               environment=self.environment)
        self.assertEqual(0, result.code, result)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.file).st_mode))
        with open(self.file) as file:
            self.assertNotIn("PRIVATE KEY", file.read())
        self.assertNotEqual(0, self.node.cli("key", "import", self.file,
                                             environment=self.environment).code)
        other = Node(self.base, "b")
        wrong = dict(self.environment, PARLEY_EXPORT_PASSPHRASE="no such phrase")
        self.assertEqual(78, other.cli("key", "import", self.file, environment=wrong).code)
        phrase = write_secret(os.path.join(self.base, "phrase"), PHRASE.encode() + b"\n")
        result = other.cli("key", "import", self.file, "--export-passphrase-file", phrase)
        self.assertEqual(0, result.code, result)
        other.start()
        again = other.json("key", "show")
        for name in ("backend_id", "fingerprint", "rotations"):
            self.assertEqual(shown[name], again[name])
        other.stop()

    def test_a_key_is_sealed_under_another_secret(self):
        identity = self.node.identity()
        phrase = write_secret(os.path.join(self.base, "phrase"), PHRASE.encode() + b"\n")
        self.assertEqual(75, self.node.cli("key", "reseal", "--new-passphrase-file", phrase).code)
        self.node.stop()
        self.assertEqual(64, self.node.cli("key", "reseal").code)
        result = self.node.cli("key", "reseal", "--new-passphrase-file", phrase)
        self.assertEqual(0, result.code, result)
        self.assertEqual(78, self.node.cli("identity").code)
        self.assertEqual(0, self.node.cli("identity", "--passphrase-file", phrase).code)
        self.node.start("--passphrase-file", phrase)
        self.assertEqual(identity, self.node.json("identity")["backend_id"])
        self.node.json("key", "rotate")
        self.node.kill()
        self.node.start("--passphrase-file", phrase)
        self.assertEqual(2, len(self.node.json("key", "show")["rotations"]))
        self.node.stop()
        file = os.path.join(self.base, "new.key")
        result = self.node.cli("--passphrase-file", phrase, "key", "reseal",
                               "--new-seal-key-file", file)
        self.assertEqual(0, result.code, result)
        self.node.start("--seal-key-file", file)
        self.assertEqual(identity, self.node.json("identity")["backend_id"])


if __name__ == "__main__":
    unittest.main()
