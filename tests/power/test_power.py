# SPDX-License-Identifier: Apache-2.0
"""Power loss: no image of the disk that a crash may leave behind loses what a client was told, and
the same tools see each planted bug. POWER_OPERATIONS and SEED in the environment set the size of
the recording and repeat a run; campaign.py is the long form."""
import os
import random
import shutil
import subprocess
import tempfile
import unittest

import recording
from campaign import Sums
from nodes import Node
from recording import Client, Recording, Workload

OPERATIONS = int(os.environ.get("POWER_OPERATIONS", "200"))
SEED = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
IMAGES_MIN = 10 * OPERATIONS
STARTS = 12
NAMES_MAX = 40
QUICK = ("--per-class", "6", "--random", "6")


def show(code, text):
    """All that was said; of failures that were expected only their sum."""
    print(text if code else text.splitlines()[-1], flush=True)


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.recorded = recording.record(SEED, OPERATIONS)
        cls.addClassCleanup(cls.recorded.remove)

    def replay(self, *arguments):
        code, text = self.recorded.replay("--seed", str(SEED), *arguments)
        show(code, text)
        return code, text

    def nothing_is_lost(self, tear):
        code, text = self.replay("--tear", tear)
        self.assertEqual(0, code, text)
        sums = Sums(text)
        self.assertEqual(0, sums.failures)
        self.assertGreater(sums.images, IMAGES_MIN)
        self.assertGreater(sums.deep, sums.images // 100)
        self.assertGreater(sums.operations, OPERATIONS // 3)
        self.assertGreater(sums.points, sums.operations)
        self.assertGreater(sums.contents, sums.operations)
        self.assertGreater(sums.cursors, sums.contents // 2)

    def test_nothing_is_lost_when_512_bytes_are_written_at_once(self):
        self.nothing_is_lost("512")

    def test_nothing_is_lost_when_4096_bytes_are_written_at_once(self):
        self.nothing_is_lost("4096")

    def is_seen(self, kind, *arguments):
        code, text = self.replay(*QUICK, "--expect", kind, *arguments)
        self.assertEqual(0, code, text)

    def test_a_disk_that_syncs_nothing_is_seen(self):
        self.is_seen("lost", "--plant", "nosync")

    def test_one_fdatasync_less_in_each_commit_is_seen(self):
        self.is_seen("any", "--plant", "no-fdatasync")

    def test_an_acknowledgement_before_the_commit_is_seen(self):
        self.is_seen("lost", "--plant", "early-ack")

    def test_the_daemon_itself_starts_on_images(self):
        points = Sums(self.replay(*QUICK)[1]).points
        draw = random.Random(SEED)
        started = 0
        for _ in range(20 * STARTS):
            # Every fourth from the time when the directory is being made.
            point = draw.randrange(points if started % 4 else points // 20)
            started += self.starts(point, draw.randrange(8))
            if started == STARTS:
                return
        self.fail(f"only {started} images were found to start on")

    def starts(self, point, image):
        base = tempfile.mkdtemp(prefix="start-", dir=self.recorded.base)
        self.addCleanup(shutil.rmtree, base, True)
        code, _ = self.recorded.replay("--seed", str(SEED), "--only", f"{point}:{image}", "--keep",
                                       os.path.join(base, "data"), jobs=1)
        if code != 0:  # that crash point has no image of that number
            return 0
        node = Node(base, "data").start()
        status, answer = node.http("GET", "/check")
        self.assertEqual((200, True), (status, answer["ok"]), answer)
        self.assertEqual(0, node.stop())
        return 1


class Cursor(unittest.TestCase):
    def replay(self, how, *arguments):
        recorded = Recording()
        self.addCleanup(recorded.remove)
        subprocess.run([recording.CURSOR_APART, recorded.root, how], check=True,
                       env=recorded.environment())
        code, text = recorded.replay(*arguments)
        show(code, text)
        self.assertEqual(0, code, text)

    def test_a_cursor_in_a_transaction_of_its_own_is_seen(self):
        self.replay("apart", "--expect", "cursor")

    def test_a_cursor_with_its_data_is_not_blamed(self):
        self.replay("together")


class Names(unittest.TestCase):
    def test_a_kill_between_a_name_and_its_sync_loses_nothing_later(self):
        """The first start is killed after each name that it makes; the second one finds everything
        there, and must not take for durable what only the first one knew to be new."""
        for number in range(1, NAMES_MAX):
            recorded = Recording()
            self.addCleanup(recorded.remove)
            workload = Workload(recorded, number)
            if workload.local.spawn(environment=recorded.environment(POWER_DIE=str(number))):
                workload.local.stop()
                self.assertGreater(number, 8, "the recorder did not kill")
                return
            workload.local.wait()
            self.go_on(workload)
            code, text = recorded.replay(*QUICK)
            self.assertEqual(0, code, f"killed after name {number}: {text}")
        self.fail(f"more than {NAMES_MAX} names")

    def go_on(self, workload):
        node = workload.local.start()
        node.backend_id = node.http("GET", "/identity")[1]["backend_id"]
        client = Client(workload, node)
        for number in range(3):
            workload.append(client, workload.draw, "c", f"m{number}")
        workload.token(client)
        client.close()
        node.stop()
        workload.write_claims()


if __name__ == "__main__":
    unittest.main()
