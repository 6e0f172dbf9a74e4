# SPDX-License-Identifier: Apache-2.0
"""A model of what a store of parley is, from docs/STORAGE.md and docs/PROTOCOL.md alone: plain sets
and dictionaries, no indexes, no bytes on disk, nothing shared with the engine. It is meant to be
read in one sitting: at most 150 lines."""
from collections import namedtuple
from functools import lru_cache
from hashlib import sha256

CONVERSATION, HEADER, MESSAGE, PURGE = 1, 2, 3, 4
NEW, UPDATED, SAME, LOST, HELD = 1, 2, 3, 4, 5  # what became of a version
AHEAD_MAX = 300 * 1000000  # microseconds that a stamp may be before the clock here
KEEP = 16                  # overwritten versions of a register, unless there is a rule

Version = namedtuple("Version", "space talk kind id dead time origin body")


def named(text):
    return len(text.encode()).to_bytes(2, "big") + text.encode()


@lru_cache(1 << 16)
def digest(v):
    """What names a version; its namespace is no part of it."""
    return sha256(bytes([v.kind, v.dead]) + v.time.to_bytes(8, "big") + named(v.talk) +
                  named(v.id) + named(v.origin) + v.body).digest()[:16]


@lru_cache(1 << 16)
def stamp(v):
    """Time, then four bytes that stand for the writer."""
    return v.time, sha256(v.origin.encode()).digest()[:4]


def order(v):
    """The total order of the versions of a register: the greatest is the current one."""
    return stamp(v) + (digest(v),)


def register(v):
    return v.space, v.talk, v.kind, v.id


class Store:
    def __init__(self):
        self.live = {}       # register: version
        self.history = {}    # register: versions that lost, the newest first
        self.held = set()    # versions from the future
        self.floor = {}      # space: tombstones up to then are gone
        self.keep = {}       # space: how many versions that lost are kept
        self.clock = 0       # the greatest time merged

    def covers(self, cover, v):
        """A deletion covers content, a purge all but purges; each what is not newer than itself."""
        reach = {CONVERSATION: (HEADER, MESSAGE), PURGE: (CONVERSATION, HEADER, MESSAGE)}
        return v.kind in reach[cover.kind] and stamp(v) <= stamp(cover)

    def covered(self, v, kind):
        cover = self.live.get((v.space, v.talk, kind, ""))
        return cover is not None and self.covers(cover, v)

    def collected(self, v):
        return v.dead and v.time <= self.floor.get(v.space, 0)

    def write(self, v, now):
        """A version of this store's own: newer than all that it has merged, and never held."""
        v = v._replace(time=max(self.clock + 1, now))
        return self.merge(v, v.time)

    def merge(self, v, now):
        """Returns what became of it, and the time that it has."""
        return self.place(v, now), v.time

    def place(self, v, now):
        old = self.live.get(register(v))
        if self.collected(v) or self.covered(v, PURGE):
            return LOST
        if old == v and not self.covered(v, CONVERSATION):
            return SAME
        if v.time - now > AHEAD_MAX:
            known = v in self.held
            self.held.add(v)
            return SAME if known else HELD
        if self.covered(v, CONVERSATION) or (old is not None and order(v) < order(old)):
            return LOST if v.kind == PURGE else self.remember(v)
        if old is not None and v.kind != PURGE:  # of purges the last one is all there is
            self.remember(old)
        self.live[register(v)] = v
        self.clock = max(self.clock, v.time)
        if v.kind in (CONVERSATION, PURGE):
            self.hide(v)
        return NEW if old is None else UPDATED

    def remember(self, v):
        """Into the history, which keeps the newest."""
        lost = self.history.setdefault(register(v), [])
        if v in lost:
            return SAME
        self.clock = max(self.clock, v.time)
        lost.append(v)
        lost.sort(key=order, reverse=True)
        del lost[self.keep.get(v.space, KEEP):]
        return LOST

    def hide(self, cover):
        """What is covered leaves: a deletion moves it to the history, a purge erases it."""
        def within(v):
            return (v.space, v.talk) == (cover.space, cover.talk) and self.covers(cover, v)
        for v in [v for v in self.live.values() if within(v)]:
            del self.live[register(v)]
            if cover.kind == CONVERSATION:
                self.remember(v)
        if cover.kind == PURGE:
            self.history = {r: [v for v in lost if not within(v)]
                            for r, lost in self.history.items()}
            self.held = {v for v in self.held if not within(v)}

    def due(self, now):
        """Held versions that are not too far ahead any more are merged, the earliest first."""
        for v in sorted(self.held, key=order):
            if v.time - now <= AHEAD_MAX and v in self.held:
                self.held.remove(v)
                self.place(v, now)

    def collect(self, space, upto, raised):
        """Tombstones that everybody has are removed for good."""
        for v in list(self.live.values()):
            if v.space == space and v.dead and v.time <= upto:
                del self.live[register(v)]
        if raised:
            self.floor[space] = max(upto, self.floor.get(space, 0))
            self.clock = max(self.clock, upto)

    def shown(self, space, prefix=""):
        return [v for v in self.live.values() if v.space == space and v.talk.startswith(prefix)]

    def root(self, space, prefix=""):
        """How many versions there are, and the sum of their digests."""
        parts = [int.from_bytes(digest(v), "big") for v in self.shown(space, prefix)]
        return len(parts), sum(parts) % 2 ** 128

    def counts(self, space):
        """Conversations that have content, and messages."""
        content = [v for v in self.shown(space) if v.kind in (HEADER, MESSAGE) and not v.dead]
        return len({v.talk for v in content}), sum(v.kind == MESSAGE for v in content)


def missing(here, there, space="main", prefix=""):
    """The versions of one store that the other one lacks."""
    return set(here.shown(space, prefix)) - set(there.shown(space, prefix))
