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

SUMMARY = re.compile(r"^tear .*: (\d+) crash points, (\d+) images \((\d+) deep\), "
                     r"(\d+) operations, (\d+) failures", re.M)


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


def sums(text):
    """(crash points, images, deep, operations, failures) of one replay."""
    found = SUMMARY.search(text)
    if found is None:
        raise SystemExit("the replay proved nothing:\n" + text)
    return [int(number) for number in found.groups()]


def main():
    wanted = arguments()
    first, last = (int(number) for number in wanted.seeds.split(".."))
    began = time.monotonic()
    end = began + wanted.minutes * 60
    total = [0] * 5
    seeds = 0
    for seed in range(first, last + 1):
        if time.monotonic() > end or total[1] >= wanted.images:
            break
        recorded = recording.record(seed, wanted.operations)
        seeds += 1
        failures = 0
        for tear in wanted.tears.split(","):
            code, text = recorded.replay("--tear", tear, "--seed", str(seed), "--per-class",
                                         wanted.per_class, "--random", wanted.random,
                                         jobs=wanted.jobs)
            print(text, end="", flush=True)
            numbers = sums(text)
            total = [a + b for a, b in zip(total, numbers)]
            failures += numbers[4] + (code != 0)
        if failures:
            print(f"seed {seed}: kept in {recorded.base}", flush=True)
            total[4] = max(total[4], 1)
        else:
            recorded.remove()
    print(f"{seeds} seeds, {total[0]} crash points, {total[1]} images ({total[2]} deep), "
          f"{total[4]} failures, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if total[4] or not total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
