# SPDX-License-Identifier: Apache-2.0
"""Where the secret that seals the identity key may come from: a file, the environment, a systemd
credential; which of them goes first; and that a file which others can read is refused."""
import os
import unittest

import nodes
from nodes import Node, scratch

PHRASE = "nine slow barges carry salt to the upper town"
OTHER = "another phrase"
EXIT_NO_INPUT = 66
EXIT_ACCESS = 77
EXIT_IDENTITY = 78


class Sources(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a")

    def tearDown(self):
        if self.node.process is not None and self.node.process.poll() is None:
            self.node.stop()

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.base, name)
        with open(path, "wb") as file:
            file.write(text.encode())
        os.chmod(path, mode)
        return path

    def credentials(self, mode=0o440, **files):
        """A directory as systemd makes it; its files belong to root and may be read by a group."""
        folder = os.path.join(self.base, "credentials")
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            path = os.path.join(folder, "parley-" + name)
            if os.path.exists(path):
                os.remove(path)
            with open(path, "wb") as file:
                file.write(text.encode())
            os.chmod(path, mode)
        return folder

    @staticmethod
    def environment(**values):
        return {**nodes.clean_environment(), **values}

    def start(self, *flags, **environment):
        self.node.start(*flags, environment=self.environment(**environment))
        return self.node.identity()

    def expect_refusal(self, code, text, *flags, **environment):
        """Of the daemon, and of the command line without it."""
        line = self.node.spawn(*flags, environment=self.environment(**environment))
        self.assertEqual(("", code), (line, self.node.wait()), self.node.log_text())
        self.assertIn(text, self.node.log_text())
        result = self.node.cli("key", "show", *flags,
                               environment=self.environment(**environment))
        missing = " missing" in text or "No such file" in text
        self.assertEqual(EXIT_NO_INPUT if missing else code, result.code, result)
        self.assertIn(text, result.err)

    def test_the_same_phrase_opens_it_wherever_it_comes_from(self):
        file = self.write("phrase", PHRASE + "\n")
        folder = self.credentials(passphrase=PHRASE)
        identity = self.start("--passphrase-file", file)
        self.node.stop()
        self.assertFalse(os.path.exists(os.path.join(self.node.data, "seal.key")))
        self.assertEqual(identity, self.start(PARLEY_PASSPHRASE=PHRASE))
        with open(f"/proc/{self.node.process.pid}/environ", "rb") as environ:
            self.assertNotIn(PHRASE.encode(), environ.read())
        self.node.stop()
        self.assertEqual(identity, self.start(CREDENTIALS_DIRECTORY=folder))
        self.node.stop()
        for flags, environment in ((("--passphrase-file", file), {}),
                                   ((), {"PARLEY_PASSPHRASE": PHRASE}),
                                   ((), {"CREDENTIALS_DIRECTORY": folder})):
            result = self.node.cli("--json", *flags, "key", "show",
                                   environment=self.environment(**environment))
            self.assertEqual(identity, result.json["backend_id"])

    def test_without_the_phrase_or_with_another_it_stays_shut(self):
        self.start("--passphrase-file", self.write("phrase", PHRASE))
        self.node.stop()
        self.expect_refusal(EXIT_IDENTITY, "seal.key is missing")
        self.expect_refusal(EXIT_IDENTITY, "is not the pass phrase of", PARLEY_PASSPHRASE=OTHER)
        self.expect_refusal(EXIT_IDENTITY, "is not the pass phrase of",
                            CREDENTIALS_DIRECTORY=self.credentials(passphrase=OTHER))
        self.expect_refusal(EXIT_IDENTITY, "no pass phrase", "--passphrase-file",
                            self.write("empty", "\n"))
        self.expect_refusal(EXIT_IDENTITY, "No such file", "--passphrase-file",
                            os.path.join(self.base, "no-such-file"))

    def test_the_environment_goes_before_the_file_and_that_before_credentials(self):
        good = self.write("good", PHRASE)
        bad = self.write("bad", OTHER)
        identity = self.start(PARLEY_PASSPHRASE=PHRASE)
        self.node.stop()
        folder = self.credentials(passphrase=OTHER, seal="k" * 32)
        self.assertEqual(identity, self.start("--passphrase-file", bad, PARLEY_PASSPHRASE=PHRASE,
                                              CREDENTIALS_DIRECTORY=folder))
        self.node.stop()
        self.assertEqual(identity, self.start("--passphrase-file", good,
                                              CREDENTIALS_DIRECTORY=folder))
        self.node.stop()
        folder = self.credentials(passphrase=PHRASE)
        key = self.write("key", "k" * 32)
        self.assertEqual(identity, self.start("--seal-key-file", key,
                                              CREDENTIALS_DIRECTORY=folder))
        self.node.stop()

    def test_a_key_may_be_a_credential_too(self):
        folder = self.credentials(seal="0123456789abcdef" * 2)
        identity = self.start(CREDENTIALS_DIRECTORY=folder)
        self.node.stop()
        self.assertFalse(os.path.exists(os.path.join(self.node.data, "seal.key")))
        key = self.write("key", "0123456789abcdef" * 2)
        self.assertEqual(identity, self.start("--seal-key-file", key))
        self.node.stop()
        self.expect_refusal(EXIT_IDENTITY, "seal.key is missing")

    def test_a_file_that_others_can_read_or_write_is_refused(self):
        self.start("--passphrase-file", self.write("phrase", PHRASE))
        self.node.stop()
        for mode in (0o640, 0o604, 0o620, 0o602, 0o644, 0o610):
            self.expect_refusal(EXIT_ACCESS, "chmod 600", "--passphrase-file",
                                self.write("phrase", PHRASE, mode))
            self.expect_refusal(EXIT_ACCESS, "chmod 600", "--seal-key-file",
                                self.write("key", "k" * 32, mode))
        self.expect_refusal(EXIT_ACCESS, "not a regular file", "--passphrase-file", self.base)
        self.start("--passphrase-file", self.write("phrase", PHRASE, 0o400))

    def test_a_file_of_somebody_else_is_refused(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        path = self.write("phrase", PHRASE)
        os.chown(path, 12345, 12345)
        line = self.node.spawn("--passphrase-file", path)
        self.assertEqual(("", EXIT_ACCESS), (line, self.node.wait()))
        self.assertIn("belongs to another user", self.node.log_text())


if __name__ == "__main__":
    unittest.main()
