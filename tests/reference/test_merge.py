# SPDX-License-Identifier: Apache-2.0
"""Random histories through the engine's merge and through the model: after each batch both must
have the same live versions, history, held versions, roots and counts, and have said the same of
each write. A failure names the seed of its history: SEED=N HISTORIES=1 runs it again.

A version is drawn from few names and few times, so that ties, repetitions and coverings are common.
Planted bugs of the model must be found by the same comparison."""
import os
import random
import sys
import time
import unittest

import driver
import reference
from reference import CONVERSATION, HEADER, MESSAGE, PURGE, Version

HISTORIES = int(os.environ.get("HISTORIES", "400"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 40)))
PLANTED_HISTORIES = 400
NOW = 1_700_000_000_000_000
SPACES = ("main", "team")
TALKS = ("work/a", "work/b", "home/a", "wörk")
EXTREME = (1, 2, NOW - 10 ** 15, NOW + 299_999_999, NOW + 300_000_000, NOW + 300_000_001,
           NOW + 10 ** 9, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1)


# The tags of the last two are equal, as the test asserts: then only the digest decides.
WRITERS = ("local_1", "hosted_1", "edge_1", "writer-9567", "writer-75555")


def packed(text):
    raw = text.encode()
    return bytes([0xd9, len(raw)]) + raw


def body_of(kind, draw):
    text = packed(f"{draw.randrange(4)} " + "ü" * draw.choice((0, 0, 0, 100)))
    return b"\x92\xa4user" + text if kind == MESSAGE else text


def drawn(draw, base):
    """A version; of kinds that cover others fewer."""
    kind = draw.choices((CONVERSATION, HEADER, MESSAGE, PURGE), (4, 20, 70, 4))[0]
    dead = kind == CONVERSATION or (kind != PURGE and draw.random() < 0.2)
    stamp = base + draw.randrange(12) if draw.random() < 0.93 else draw.choice(EXTREME)
    return Version(draw.choices(SPACES, (8, 2))[0], draw.choice(TALKS), kind,
                   "" if kind in (CONVERSATION, PURGE) else draw.choice(("m1", "m2", "title")),
                   int(dead), stamp, draw.choice(WRITERS), b"" if dead else body_of(kind, draw))


class History:
    """One store and its model, from a seed."""

    def __init__(self, engine, model, seed):
        self.engine = engine
        self.model = model
        self.draw = random.Random(seed)
        self.seed = seed
        self.now = NOW
        self.known = []  # to be sent again
        self.spaces = set()
        self.views = []
        engine.ask("store")
        if self.draw.random() < 0.6:
            space = self.draw.choice(SPACES)
            keep = self.draw.choice((0, 1, 2, 3, 64))
            model.keep[space] = keep
            engine.ask("keep", space, keep)
            self.spaces.add(space)
        if self.draw.random() < 0.5:
            space, prefix = self.draw.choice(SPACES), self.draw.choice(("w", "work/", "home/a"))
            self.views.append((space, prefix))
            self.spaces.add(space)
            while not any(text.startswith("view") for text in engine.ask("dump")):
                engine.ask("view", space, prefix)

    def batch(self):
        """Some versions: new ones, such as were sent before, and local ones."""
        items = []
        for _ in range(self.draw.choice((1, 1, 2, 5, 20, 100))):
            if self.known and self.draw.random() < 0.25:
                v = self.draw.choice(self.known)
            else:
                v = drawn(self.draw, self.now - 20)
                self.known.append(v)
            items.append((v, self.draw.random() < 0.1))
        said = []
        for v, local in items:
            self.spaces.add(v.space)
            self.engine.put(v, local)
            if local:
                v = v._replace(origin="here")
            said.append(self.model.write(v, self.now) if local else self.model.merge(v, self.now))
        engine = self.engine.ask("apply", self.now)
        for (v, local), text, (verdict, at) in zip(items, engine, said):
            if text != f"{verdict} {at}":
                raise driver.Differs(f"{v}, local {local}, now {self.now}: the engine says "
                                     f"{text}, the model {verdict} {at}")

    def turn(self):
        kind = self.draw.random()
        if kind < 0.8:
            self.batch()
        elif kind < 0.9:  # time goes on, or back
            self.now += self.draw.choice((1, 10, 10 ** 6, 301 * 10 ** 6, 2 * 10 ** 9, -4 * 10 ** 8))
            self.model.due(self.now)
            self.engine.ask("maintain", self.now)
        elif self.spaces:
            space = self.draw.choice(sorted(self.spaces))
            upto = self.now - self.draw.choice((0, 10, 15, 20, 10 ** 7))
            raised = self.draw.random() < 0.7
            self.model.collect(space, upto, raised)
            self.engine.ask("collect", space, upto, int(raised), self.now)

    def run(self):
        for number in range(self.draw.choice((3, 8, 20))):
            try:
                self.turn()
                driver.compare(self.engine.ask("dump"),
                               driver.shown(self.model, self.spaces, self.views), "the state")
            except driver.Differs as difference:
                raise driver.Differs(f"SEED={self.seed} turn {number}: {difference}") from None
        driver.compare(self.engine.ask("check"), [], f"SEED={self.seed}: the check")


def run(make, histories, seed):
    """Histories with models that make() gives; returns how many versions they merged."""
    engine = driver.Driver()
    merged = 0
    try:
        for number in range(histories):
            history = History(engine, make(), seed + number)
            history.run()
            merged += len(history.known)
        return merged
    finally:
        engine.close()


# ---- Planted bugs, each of one rule ----

class ReversedTie(reference.Store):
    """Of equal stamps the smaller digest wins."""
    def place(self, v, now):
        old = self.live.get(reference.register(v))
        if (old and old != v and reference.stamp(old) == reference.stamp(v) and
                not self.covered(v, PURGE) and not self.covered(v, CONVERSATION) and
                not self.collected(v) and v.time - now <= reference.AHEAD_MAX):
            if reference.digest(v) > reference.digest(old):
                return self.remember(v)
            self.remember(old)
            self.live[reference.register(v)] = v
            return reference.UPDATED
        return super().place(v, now)


class CoversOnlyOlder(reference.Store):
    """A deletion spares what has its own stamp."""
    def covers(self, cover, v):
        return super().covers(cover, v) and reference.stamp(v) < reference.stamp(cover)


class CoversByTime(reference.Store):
    """A deletion looks at the time alone."""
    def covers(self, cover, v):
        return super().covers(cover, v) or (v.kind in (HEADER, MESSAGE) and v.time <= cover.time)


class KeepsOldest(reference.Store):
    """The history keeps the oldest versions."""
    def remember(self, v):
        said = super().remember(v)
        lost = self.history[reference.register(v)]
        keep = self.keep.get(v.space, reference.KEEP)
        if len(lost) == keep and keep < 4 and said == reference.LOST and v not in lost[:-1]:
            lost[-1:] = [v]
        return said


class TakesCollected(reference.Store):
    """A tombstone below the floor is merged."""
    def collected(self, v):
        return False


class PurgeSparesHeld(reference.Store):
    """A purge forgets what waits for its time."""
    def hide(self, cover):
        held = set(self.held)
        super().hide(cover)
        self.held = held


class PurgeIsADeletion(reference.Store):
    """A purge leaves the history."""
    def hide(self, cover):
        history = {key: list(lost) for key, lost in self.history.items()}
        super().hide(cover)
        if cover.kind == PURGE:
            self.history = history


class HoldsTooLittle(reference.Store):
    """What is a second more than five minutes ahead is merged."""
    def place(self, v, now):
        return super().place(v, now + 10 ** 6)


class StampsByTheClockAlone(reference.Store):
    """A local write takes the wall clock's time."""
    def write(self, v, now):
        return self.merge(v._replace(time=now), now)


class SumsWithoutTombstones(reference.Store):
    """The root leaves deletions out."""
    def shown(self, space, prefix=""):
        return [v for v in super().shown(space, prefix) if not v.dead]


PLANTED = (ReversedTie, CoversOnlyOlder, CoversByTime, KeepsOldest, TakesCollected, PurgeSparesHeld,
           PurgeIsADeletion, HoldsTooLittle, StampsByTheClockAlone, SumsWithoutTombstones)


class Merge(unittest.TestCase):
    def test_two_writers_have_one_tag(self):
        tags = [reference.stamp(Version("", "", 0, "", 0, 0, name, b"")) for name in WRITERS]
        self.assertEqual(tags[3], tags[4])
        self.assertEqual(4, len(set(tags)))

    def test_the_engine_and_the_model_say_the_same(self):
        begun = time.monotonic()
        merged = run(reference.Store, HISTORIES, SEED)
        print(f"{HISTORIES} histories from SEED={SEED}, {merged} versions, "
              f"{time.monotonic() - begun:.1f} s", file=sys.stderr)

    def test_the_order_of_merging_is_no_matter(self):
        """Of the model; so, by the first test, of the engine."""
        draw = random.Random(SEED)
        for _ in range(50):
            versions = [drawn(draw, NOW - 20) for _ in range(60)]
            shown = []
            for _ in range(3):
                draw.shuffle(versions)
                store = reference.Store()
                for v in versions + versions[:10]:
                    store.merge(v, NOW)
                shown.append((store.live, [store.root(space) for space in SPACES], store.held))
            self.assertEqual(shown[0], shown[1])
            self.assertEqual(shown[0], shown[2])

    def test_a_model_with_a_bug_is_found(self):
        for bug in PLANTED:
            with self.subTest(bug.__name__), self.assertRaises(driver.Differs):
                run(bug, PLANTED_HISTORIES, SEED)

    def test_a_difference_comes_again_with_its_seed(self):
        found = []
        for _ in range(2):
            with self.assertRaises(driver.Differs) as caught:
                run(ReversedTie, PLANTED_HISTORIES, SEED)
            found.append(str(caught.exception))
        self.assertEqual(*found)


if __name__ == "__main__":
    unittest.main()
