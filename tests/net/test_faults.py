# SPDX-License-Identifier: Apache-2.0
"""Real networks, broken on purpose: one world of 3 to 5 daemons for NET_SECONDS (35), from a new
seed, which is printed; SEED in the environment repeats the faults. The method and what it shows:
docs/RELIABILITY.md, "Real networks". campaign.py runs many such worlds."""
import os
import random
import unittest

import running
from wires import NotHere
from world import World

SECONDS = float(os.environ.get("NET_SECONDS", "35"))


class Faults(unittest.TestCase):
    def test_nothing_is_lost_and_all_are_equal_after_each_heal(self):
        seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
        print(f"seed {seed}", flush=True)
        try:
            world = World(seed)
        except NotHere as why:
            running.skip("test_faults", why)
        try:
            figures = world.run(SECONDS)
        except BaseException:
            print(world.last_words(), flush=True)
            raise
        finally:
            world.close()
        running.show(figures)
        self.assertGreater(figures["heals checked"], 0)
        self.assertGreater(figures["acknowledged"], 0)


if __name__ == "__main__":
    running.main()
