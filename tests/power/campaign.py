# SPDX-License-Identifier: Apache-2.0
"""The long form of test_power.py: recordings from many seeds, each replayed at each tear size.

  python3 campaign.py [--seeds 1..20] [--operations 300] [--tears 512,4096] [--images 1000000]
                      [--per-class 48] [--random 40] [--jobs 2] [--minutes 60]

Ends when it has gone through all seeds, when there are enough images, or when the time is up, and
prints the sum; exit 1 when there was a failure, whose recording is then kept. A seed gives the same
operations again, not the same commits: threads and clocks differ. To look at a failure again, use
the recording that was kept.
"""
import argparse
import re
import sys
import time

import recording

SUMMARY = re.compile(r"^tear .*: (\d+) crash points, (\d+) images \((\d+) deep\), (\d+) contents "
                     r"with (\d+) cursors, (\d+) operations, (\d+) failures", re.M)


class Sums:
    """What replays have counted; they add up."""

    FIELDS = ("points", "images", "deep", "contents", "cursors", "operations", "failures")

    def __init__(self, text=None):
        found = SUMMARY.search(text) if text is not None else None
        if text is not None and found is None:
            raise SystemExit("the replay proved nothing:\n" + text)
        for index, field in enumerate(self.FIELDS):
            setattr(self, field, int(found[index + 1]) if found else 0)

    def add(self, other):
        for field in self.FIELDS:
            setattr(self, field, getattr(self, field) + getattr(other, field))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1..20", help="FIRST..LAST")
    parser.add_argument("--operations", type=int, default=300, help="of each recording")
    parser.add_argument("--tears", default="512,4096", help="sizes in bytes, apart by commas")
    parser.add_argument("--images", type=int, default=1000000, help="enough is enough")
    parser.add_argument("--per-class", default="48")
    parser.add_argument("--random", default="40")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60)
    return parser.parse_args()


def main():
    wanted = arguments()
    first, last = (int(number) for number in wanted.seeds.split(".."))
    began = time.monotonic()
    end = began + wanted.minutes * 60
    total = Sums()
    seeds = 0
    bad = False
    for seed in range(first, last + 1):
        if time.monotonic() > end or total.images >= wanted.images:
            break
        recorded = recording.record(seed, wanted.operations)
        seeds += 1
        lost = False
        for tear in wanted.tears.split(","):
            code, text = recorded.replay("--tear", tear, "--seed", str(seed), "--per-class",
                                         wanted.per_class, "--random", wanted.random,
                                         jobs=wanted.jobs)
            print(text, end="", flush=True)
            total.add(Sums(text))
            lost = lost or code != 0
        if lost:
            print(f"seed {seed}: kept in {recorded.base}", flush=True)
        else:
            recorded.remove()
        bad = bad or lost
    print(f"{seeds} seeds, {total.points} crash points, {total.images} images ({total.deep} deep), "
          f"{total.contents} contents with {total.cursors} cursors, {total.operations} operations, "
          f"{total.failures} failures, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if bad or total.images == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
