# SPDX-License-Identifier: Apache-2.0
"""What a soak has shown: pure functions of series of samples. Each returns what is wrong, as text,
or "". The bounds are here and nowhere else; test_judge.py shows that each of them can fail.

Memory is judged by the line of Theil and Sen (the median of the slopes of all pairs), which a peak
or a restart does not move. Samples that lie close together say the same thing, so the series is cut
into blocks first and the median of each stands for it; of those the interval of confidence is
taken. A slope counts as growth when it is above the bound and surely above zero."""
import math

DAY = 24 * 3600
MIB = 1 << 20
BLOCKS = 48                    # of a series, for the slope
SLOPE_SECONDS_MIN = 15 * 60    # a shorter series shows levels, not slopes
SURE = 3.0                     # standard deviations: one alarm in 700 is false

MEMORY_DAY_BYTES = 8 * MIB     # growth a day that memory may have, or that cannot be told from it
MEMORY_GROWN_BYTES = MIB // 2  # less than this in the run is what buffers add that are never given
                               # back, each time that one is filled further than ever before
MEMORY_BYTES = 96 * MIB        # what a daemon may have at any time
FILE_TIMES = 4                 # how many times its content without free pages the store may be
FILE_BYTES = 8 * MIB           # beside that, for what one reader or one long list may hold
FILE_LATE_TIMES = 0.25         # of its content: growth in the second half after the warm-up
READERS = 8                    # open reads in any sample, and places of readers ever taken
FDS_AT_REST = 8                # above the daemon's own at its start and one for each peer
THREADS_GROWTH = 0             # threads at the end above those after the warm-up


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def blocks(series, count=BLOCKS):
    """(time, value) of the medians of at most `count` blocks that are equally long."""
    if len(series) <= count:
        return list(series)
    start, end = series[0][0], series[-1][0]
    cut = [[] for _ in range(count)]
    for time, value in series:
        cut[min(int((time - start) / (end - start) * count), count - 1)].append((time, value))
    return [(median([t for t, _ in part]), median([v for _, v in part])) for part in cut if part]


def slope(series):
    """(slope, lowest slope that is likely) a second, by Theil and Sen; (0, 0) of too few."""
    points = blocks(series)
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0])
                    for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0])
    if len(points) < 8 or not slopes:
        return 0.0, 0.0
    n = len(points)
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    lowest = int((len(slopes) - SURE * spread) / 2)
    return median(slopes), slopes[max(lowest, 0)]


def is_long(series):
    return len(series) >= 8 and series[-1][0] - series[0][0] >= SLOPE_SECONDS_MIN


def memory(series):
    """Of the private memory of one process, in bytes."""
    if not series:
        return "no samples"
    highest = max(value for _, value in series)
    if highest > MEMORY_BYTES:
        return f"private memory reached {highest / MIB:.1f} MiB, at most {MEMORY_BYTES // MIB}"
    if not is_long(series):
        return ""
    likely, lowest = slope(series)
    grown = likely * (series[-1][0] - series[0][0])
    if likely * DAY > MEMORY_DAY_BYTES and lowest > 0 and grown > MEMORY_GROWN_BYTES:
        return (f"private memory grows by {likely:.0f} B/s, surely by {lowest:.0f}: "
                f"{likely * DAY / MIB:.1f} MiB a day, at most {MEMORY_DAY_BYTES // MIB}")
    return ""


def file_size(series, content):
    """Of the store's file; `content` is what it has without free pages, at the end. The file never
    shrinks, so it shows the most that there ever was at once: it grows less and less, or leaks."""
    if not series or content <= 0:
        return "no samples"
    highest = max(value for _, value in series)
    bound = FILE_TIMES * content + FILE_BYTES
    if highest > bound:
        return (f"the store reached {highest / MIB:.1f} MiB; {FILE_TIMES} times its content and "
                f"{FILE_BYTES // MIB} MiB are {bound / MIB:.1f}")
    if not is_long(series):
        return ""
    middle = (series[0][0] + series[-1][0]) / 2
    late = highest - max(value for time, value in series if time <= middle)
    if late > FILE_LATE_TIMES * content:
        return (f"the store grew by {late / MIB:.1f} MiB in the second half; its content is "
                f"{content / MIB:.1f} MiB, a quarter of it may be")
    return ""


def readers(open_reads, slots, at_rest):
    """Series of open reads and of places, and the open reads when nobody asks but the sampler."""
    for name, series in (("open reads", open_reads), ("places of readers", slots)):
        highest = max((value for _, value in series), default=0)
        if highest == 0:
            return f"no samples of {name}"
        if highest > READERS:
            return f"{highest} {name}, at most {READERS}"
    if at_rest != 1:
        return f"{at_rest} reads are open at rest: only that of /metrics should be"
    return ""


def descriptors(at_start, at_rest, peers):
    bound = at_start + peers + FDS_AT_REST
    if at_rest > bound:
        return (f"{at_rest} descriptors at rest; {at_start} at the start and {peers} peers "
                f"allow {bound}")
    return ""


def threads(series):
    if not series:
        return "no samples"
    first = max(value for _, value in series[:max(len(series) // 4, 1)])
    last = series[-1][1]
    if last > first + THREADS_GROWTH:
        return f"{last} threads at the end, {first} after the warm-up"
    return ""


def log(lines, explained=()):
    """Lines of level error that nobody expects, at most three of them."""
    bad = [line for line in lines
           if "level=error" in line and not any(text in line for text in explained)]
    return f"{len(bad)} errors in the log: {' | '.join(bad[:3])}" if bad else ""


def equal(values, what):
    """Whether all nodes say the same; `values` by name of the node."""
    names = sorted(values)
    others = [name for name in names if values[name] != values[names[0]]]
    return f"{what} of {', '.join(others)} are not those of {names[0]}" if others else ""
