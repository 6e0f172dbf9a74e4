# SPDX-License-Identifier: Apache-2.0
"""The audit log as an operator reads and proves it, with and without the daemon."""
import base64
import os
import unittest

from nodes import Node, pair, scratch, until


class Audit(unittest.TestCase):
    def test_what_was_done_and_refused_is_shown_and_proved(self):
        node = Node(scratch(), "a").start()
        node.invite()
        node.json("token", "create", "--user", "ann")
        status, _ = node.http("GET", "/status", token=None)
        self.assertEqual(401, status)
        # A refusal does not wait for its record.
        until(lambda: "refused" in node.cli("audit").out, what="the record of the refusal")
        shown = node.cli("audit")
        self.assertEqual(0, shown.code, shown)
        for word in ("node_created", "invite_created", "token_issued", "refused", "token-missing"):
            self.assertIn(word, shown.out)
        self.assertEqual(2, len(node.cli("audit", "--limit", "2").out.splitlines()))
        proof = node.json("audit", "--verify")
        self.assertTrue(proof["ok"])
        self.assertEqual(4, proof["records"])
        node.kill()
        self.assertTrue(node.json("audit", "--verify", "--expect", proof["hash"])["ok"])
        node.start()
        node.invite()
        self.assertTrue(node.json("audit", "--verify", "--expect", proof["hash"])["ok"])
        other = node.cli("audit", "--verify", "--expect", "0" * 64)
        self.assertEqual(65, other.code)
        self.assertIn("replaced or cut", other.err)
        node.stop()

    def test_check_names_the_record_whose_bytes_were_changed(self):
        node = Node(scratch(), "a").start()
        for _ in range(3):
            node.invite()
        self.assertEqual(4, node.json("check")["audit"])
        text = node.http("GET", "/audit")[1]["records"][2]["record"]
        record = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        node.stop()
        path = os.path.join(node.data, "store", "data.mdb")
        with open(path, "rb") as file:
            before = file.read()
        self.assertIn(record, before)
        for at in (0, 5, 20, 50, len(record) - 1):
            changed = bytearray(record)
            changed[at] ^= 0x40
            with open(path, "r+b") as file:
                file.write(before.replace(record, bytes(changed)))
            result = node.cli("check")
            self.assertEqual(65, result.code, result)
            self.assertIn("problem: audit record 3: its bytes are damaged", result.out)
        with open(path, "r+b") as file:
            file.write(before)
        self.assertTrue(node.json("check")["ok"])

    def test_a_join_and_a_revocation_are_recorded_on_both_sides(self):
        local, hosted = pair(scratch())
        self.assertIn("peer_joined  " + local.identity(), hosted.cli("audit").out)
        self.assertIn("joined_peer  operator  " + hosted.identity(), local.cli("audit").out)
        hosted.json("revoke", local.identity())
        self.assertIn("peer_revoked  operator  " + local.identity(), hosted.cli("audit").out)
        local.stop()
        hosted.stop()


if __name__ == "__main__":
    unittest.main()
