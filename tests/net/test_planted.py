# SPDX-License-Identifier: Apache-2.0
"""Planted bugs: each oracle of real networks must complain, or its silence elsewhere means nothing.
Three worlds without weather: two whose daemons or stores really go wrong, and one whose oracles are
told something wrong."""
import contextlib
import os
import re
import shutil
import subprocess
import time
import unittest

import oracles
import running
from load import Message
from wires import NotHere, nodes
from world import HEAL_SECONDS, Broken, World

SKIP_CHANGES = os.environ.get("SKIP_CHANGES", "skip_changes")


@contextlib.contextmanager
def world_of(seed, count, *flags):
    try:
        world = World(seed, count, flags)
    except NotHere as why:
        running.skip("test_planted", why)
    try:
        world.begin()
        yield world
    finally:
        world.close()


def load_for(world, seconds):
    for writer in world.writers:
        writer.resume()
    time.sleep(seconds)
    world.pause()


class Told(unittest.TestCase):
    """One world in which all is well; then what was acknowledged, shown or logged is made up."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.world = cls.stack.enter_context(world_of(101, 3))
        load_for(cls.world, 4)
        cls.statuses = cls.world.converge(HEAL_SECONDS)
        cls.export = cls.world.node(1).export()
        cls.there = oracles.parse(cls.export)
        cls.ledger = cls.world.writers[1].ledger

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def complaints(self):
        return oracles.acknowledged(self.there, self.world.ledgers()) + \
            oracles.counted(self.statuses[1], self.there, self.world.ledgers())

    def message(self):
        """One that is there."""
        return next((name, message) for name, message in self.ledger.messages.items()
                    if message.content is not None)

    def assert_one(self, pattern, complaints):
        self.assertTrue(any(re.search(pattern, c) for c in complaints), complaints)

    def test_nothing_is_complained_of_when_all_is_well(self):
        self.assertEqual([], self.world.judge(self.statuses))
        self.assertGreater(len(self.ledger.messages), 3)

    def test_an_append_that_was_never_made(self):
        self.ledger.messages["n2-999999"] = Message("shared-1", "made up")
        self.addCleanup(self.ledger.messages.pop, "n2-999999")
        self.assert_one("I1: n2-999999 was acknowledged and is not there", self.complaints())

    def test_an_edit_that_was_never_made(self):
        name, message = self.message()
        self.addCleanup(setattr, message, "content", message.content)
        message.content = "made up"
        self.assert_one(f"I1: {name} should be 'made up'", self.complaints())

    def test_a_deletion_that_was_never_made(self):
        name, message = self.message()
        self.addCleanup(setattr, message, "content", message.content)
        message.content = None
        found = self.complaints()
        self.assert_one(f"I1: {name} was deleted and is there", found)
        self.assert_one("I16: deletions: ", found)

    def test_a_later_edit_of_what_all_edit(self):
        self.ledger.hot.setdefault("h0", []).append(("2999-01-01T00:00:00.000000Z", "made up"))
        self.addCleanup(self.ledger.hot["h0"].pop)
        self.assert_one("I1: of the edits of h0 the last one is 'made up'", self.complaints())

    def test_an_import_that_was_never_made(self):
        self.ledger.imported["imp-x"] = nodes.conversation(1)
        self.addCleanup(self.ledger.imported.pop, "imp-x")
        self.assert_one("I1: imp-x was imported and is None", self.complaints())

    def test_a_message_that_nobody_wrote(self):
        name, message = self.message()
        del self.ledger.messages[name]
        self.addCleanup(self.ledger.messages.__setitem__, name, message)
        self.assert_one("I16: messages: ", self.complaints())

    def test_a_version_that_is_missing_in_the_history(self):
        writer = self.world.writers[1]
        self.addCleanup(setattr, writer.ledger, "messages", writer.ledger.messages)
        name, message = self.message()
        altered = Message(message.where, message.content)
        altered.versions = message.versions + 1
        writer.ledger.messages = {name: altered}
        self.assert_one(f"I16: {name} had {altered.versions} versions",
                        oracles.history(writer, [], self.world.look))

    def test_a_node_that_reads_other_than_it_acknowledged(self):
        writer = self.world.writers[1]
        self.addCleanup(setattr, writer.ledger, "messages", writer.ledger.messages)
        name, message = self.message()
        writer.ledger.messages = {name: Message(message.where, "made up")}
        writer.done = False
        writer.read()
        self.assert_one(f"I1: {name} reads other", writer.ledger.wrong)
        writer.ledger.wrong.clear()

    def test_an_export_that_differs_by_a_byte(self):
        other = bytearray(self.export)
        other[len(other) // 2] ^= 1
        self.assertEqual([], oracles.exports({1: self.export, 2: bytes(self.export)}))
        self.assert_one("I7: the exports of nodes 1 and 2 differ",
                        oracles.exports({1: self.export, 2: bytes(other)}))

    def test_a_peer_that_is_blamed_and_a_store_that_is_damaged(self):
        for line in ('time=t level=info event=session-closed peer=p note="the peer broke the '
                     'protocol"', 'level=warn event=session-refused note="the proof of identity '
                     'does not verify"', "level=error event=store-damaged note=log count=1"):
            self.assertEqual(1, len(oracles.log_lines(1, line)), line)
        self.assertEqual([], oracles.log_lines(1, "level=info event=session-closed peer=p "
                                                  'note="connection reset by peer"'))


class Real(unittest.TestCase):
    def test_a_partition_that_does_not_heal(self):
        with world_of(102, 3) as world:
            load_for(world, 1)
            wires = [(1, 3), (3, 1), (2, 3), (3, 2)]
            world.switch.turn("cut", wires)
            load_for(world, 1)
            with self.assertRaisesRegex(Broken, "I7: not equal 6 s after the heal: roots"):
                world.check(6)
            world.switch.turn("open", wires)
            world.check()

    def test_a_store_that_is_put_back_loses_what_only_it_had(self):
        with world_of(103, 3) as world:
            load_for(world, 1)
            world.converge(HEAL_SECONDS)
            node = world.node(3)
            node.stop()
            shutil.copytree(node.data, node.data + ".old")
            node.start()
            world.switch.turn("cut", [(1, 3), (3, 1), (2, 3), (3, 2)])
            load_for(world, 2)
            node.kill()
            shutil.rmtree(node.data)
            os.rename(node.data + ".old", node.data)
            world.heal()
            with self.assertRaisesRegex(Broken, "(?s)I1: n3-[0-9]+ .*I16: messages: "):
                world.check()

    def test_changes_that_a_node_counts_as_applied_and_has_not(self):
        """They come back, by comparing: that somebody had to is what the oracle must see."""
        with world_of(104, 2) as world:
            load_for(world, 1)
            world.converge(HEAL_SECONDS)
            node = world.node(2)
            node.stop()
            world.writers[0].resume()
            time.sleep(1)
            world.writers[0].pause(30)
            state = world.node(1).status()
            done = subprocess.run([SKIP_CHANGES, node.data, "1", state["incarnation"],
                                   str(state["head"])], stderr=subprocess.PIPE, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            node.start()
            with self.assertRaisesRegex(Broken, "I16: node 2 had to repair"):
                world.check()

    def test_a_reset_ends_a_session_and_nothing_is_lost(self):
        """No bug: that what the switch makes is one for the kernel."""
        with world_of(106, 2) as world:
            opened = world.node(2).log_text().count("event=session-open ")
            world.switch.turn("reset", [(1, 2)])
            load_for(world, 2)
            world.check()
            self.assertEqual(1, world.switch.counts()["reset"])
            self.assertGreater(world.node(2).log_text().count("event=session-open "), opened)

    def test_peers_that_speak_without_tls(self):
        with world_of(105, 2, "--plain-peers") as world:
            load_for(world, 0.5)
            world.converge(HEAL_SECONDS)
            with self.assertRaisesRegex(Broken, "peers did not speak TLS alone"):
                world.finish()


if __name__ == "__main__":
    running.main()
