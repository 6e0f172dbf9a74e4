# SPDX-License-Identifier: Apache-2.0
"""What happens to the network, drawn from a seed before it happens: a list of steps, each a pause
and what is done after it. The same seed gives the same steps; when packets come is up to the
kernel."""
from wires import Quality

KINDS = ("halves", "halves", "isolate", "one-way", "one-way", "swizzle-clog", "flapping")
LONG_SECONDS = (50.0, 65.0)  # sessions end after 45 s in which nothing is heard


class Step:
    def __init__(self, seconds, what, *arguments):
        self.seconds = seconds
        self.what = what  # open, cut, stop, reset, kill, start
        self.arguments = arguments

    def __repr__(self):
        return f"+{self.seconds:.2f}s {self.what} {self.arguments}"


class Plan:
    """A partition with all that goes with it."""

    def __init__(self, kind, weather, steps):
        self.kind = kind
        self.weather = weather  # [(wires, Quality)]
        self.steps = steps

    def __repr__(self):
        return f"{self.kind} {self.steps}"


def between(groups):
    one, other = groups
    return [(a, b) for a in one for b in other] + [(b, a) for a in one for b in other]


def draw_halves(draw, every):
    mixed = draw.sample(every, len(every))
    cut = draw.randrange(1, len(mixed))
    return mixed[:cut], mixed[cut:]


def bad_weather(draw):
    return Quality(delay_ms=draw.uniform(5, 200), jitter_ms=draw.uniform(0, 100),
                   loss=draw.choice((0, 0.01, 0.05, draw.uniform(0, 0.3))),
                   dup=draw.choice((0, draw.uniform(0, 0.1))),
                   reorder=draw.choice((0, draw.uniform(0, 0.3))), hold_ms=draw.uniform(5, 80))


def mild_weather(draw):
    """That of healed networks and of joins."""
    return Quality(delay_ms=draw.uniform(0.5, 40), jitter_ms=draw.uniform(0, 10),
                   loss=draw.choice((0, 0, draw.uniform(0, 0.02))),
                   dup=draw.choice((0, draw.uniform(0, 0.05))),
                   reorder=draw.choice((0, draw.uniform(0, 0.05))), hold_ms=20)


def draw_weather(draw, wires):
    if draw.random() < 0.3:
        return []
    if draw.random() < 0.5:
        return [(wires, bad_weather(draw))]
    return [([wire], bad_weather(draw)) for wire in wires if draw.random() < 0.6]


def draw_one_way(draw, every, peers):
    node = draw.choice(every)
    others = [other for other in every if other != node]
    wires = draw.choice(([(node, o) for o in others], [(o, node) for o in others],
                         [(node, draw.choice(peers[node]))]))
    return [Step(0, "cut", wires)], [Step(draw.uniform(0.5, 3), "open", wires)]


def draw_swizzle(draw, every):
    """Nodes lose their wires one after the other, and get them back in another order."""
    verb = draw.choice(("stop", "cut"))
    chosen = draw.sample(every, draw.randrange(2, len(every) + 1))
    wires = {n: [(n, o) for o in every if o != n] + [(o, n) for o in every if o != n]
             for n in chosen}
    steps = [Step(draw.uniform(0, 0.4), verb, wires[n]) for n in chosen]
    ends = [Step(draw.uniform(0.05, 0.8), "open", wires[n])
            for n in draw.sample(chosen, len(chosen))]
    return steps, ends


def draw_flapping(draw, every):
    wires = between(draw_halves(draw, every))
    steps = []
    for _ in range(draw.randrange(3, 7)):
        steps += [Step(draw.uniform(0.05, 0.3), "cut", wires),
                  Step(draw.uniform(0.1, 0.8), "open", wires)]
    return steps[:-1], steps[-1:]


def draw_kills(draw, every, steps):
    """Some daemons die by SIGKILL while the network is broken; most come back before it heals."""
    for node in draw.sample(every, draw.choice((1, 1, 1, 2, len(every)))):
        at = draw.randrange(len(steps) + 1)
        steps.insert(at, Step(draw.uniform(0, 0.5), "kill", node))
        if draw.random() < 0.7:
            steps.insert(draw.randrange(at + 1, len(steps) + 1),
                         Step(draw.uniform(0, 0.8), "start", node))


def draw_resets(draw, steps, peers):
    """Connections that end in the middle, of daemons that live."""
    for _ in range(draw.randrange(1, 4)):
        one = draw.choice(sorted(peers))
        steps.insert(draw.randrange(len(steps) + 1),
                     Step(draw.uniform(0, 0.3), "reset", [(one, draw.choice(peers[one]))]))


def draw_plan(draw, peers, long_share):
    """`peers` says who talks with whom: node -> nodes."""
    every = sorted(peers)
    wires = [(a, b) for a in every for b in every if a != b]
    kind = "long" if draw.random() < long_share else draw.choice(KINDS)
    if kind == "one-way":
        steps, ends = draw_one_way(draw, every, peers)
    elif kind == "swizzle-clog":
        steps, ends = draw_swizzle(draw, every)
    elif kind == "flapping":
        steps, ends = draw_flapping(draw, every)
    else:
        node = draw.choice(every)
        groups = ([node], [o for o in every if o != node]) if kind == "isolate" \
            else draw_halves(draw, every)
        seconds = draw.uniform(*(LONG_SECONDS if kind == "long" else (0.5, 3)))
        steps = [Step(draw.uniform(0, 0.3), "cut", between(groups))]
        ends = [Step(seconds, "open", between(groups))]
    if draw.random() < 0.35:
        draw_kills(draw, every, steps)
    if draw.random() < 0.4:
        draw_resets(draw, steps, peers)
    return Plan(kind, draw_weather(draw, wires), steps + ends)
