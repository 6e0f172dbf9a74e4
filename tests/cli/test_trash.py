# SPDX-License-Identifier: Apache-2.0
"""The command for the trash, and the flag that decides how long deletions are kept. What fills the
trash takes days: the unit tests and the simulator have it."""
import unittest

from nodes import Node, scratch


class Trash(unittest.TestCase):
    def setUp(self):
        self.node = Node(scratch(), "n")

    def tearDown(self):
        if self.node.process is not None and self.node.process.poll() is None:
            self.node.stop()

    def test_an_empty_trash_is_listed_restored_and_emptied(self):
        self.node.start("--tombstone-grace", "30")
        for daemon in (True, False):
            if not daemon:
                self.node.stop()
            self.assertEqual({"trash": []}, self.node.json("trash"))
            self.assertEqual({"trash": []}, self.node.json("trash", "list", "talk"))
            self.assertEqual({"restored": 0}, self.node.json("trash", "restore", "talk", "m1"))
            self.assertEqual({"dropped": 0}, self.node.json("trash", "empty"))
            self.assertEqual("the trash is empty\n", self.node.cli("trash").out)
            self.assertEqual(64, self.node.cli("trash", "burn").code)

    def test_status_counts_deletions(self):
        self.node.start("--tombstone-grace", "0")
        self.node.json("append", "talk", "--role", "user", "hello", "--id", "m1")
        self.node.json("delete", "talk", "m1")
        space = self.node.status()["namespaces"][0]
        self.assertEqual((1, 0), (space["deletions"], space["deletions_waiting"]))
        self.assertEqual(0, self.node.status()["trash"])

    def test_a_grace_that_is_no_number_of_days_is_refused(self):
        for value in ("", "-1", "90d", "1.5", "36501", "99999999999999999999"):
            self.assertEqual("", self.node.spawn("--tombstone-grace", value))
            self.assertEqual(64, self.node.wait())


if __name__ == "__main__":
    unittest.main()
