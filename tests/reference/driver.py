# SPDX-License-Identifier: Apache-2.0
"""The engine behind reference_driver, and how its answers are compared with the model."""
import os
import subprocess

import reference

DRIVER = os.environ.get("REFERENCE_DRIVER", os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/release/tests/reference",
    "reference_driver"))


class Differs(AssertionError):
    """The engine and the model do not say the same."""


class Driver:
    def __init__(self):
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8", bufsize=1 << 16)

    def put(self, v, local=False):
        """Adds a version to those of the next apply."""
        words = ("v", v.space, v.talk, v.kind, v.id or "-", int(v.dead), 0 if local else v.time,
                 "-" if local else v.origin, v.body.hex() or "-")
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def ask(self, *words):
        """Carries out a command; returns the lines of its answer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == ".\n":
                return lines
            lines.append(line[:-1])
        raise Differs(f"the engine ended at {' '.join(map(str, words))!r}: {lines[-3:]}")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait(60) != 0:
            raise Differs(f"the engine ended with {self.process.returncode}")


def line(what, v):
    return (f"{what} {v.space} {v.talk} {v.kind} {v.id or '-'} {int(v.dead)} {v.time} {v.origin} "
            f"{reference.digest(v).hex()}")


def shown(model, spaces, views=()):
    """What `dump` must say of the model."""
    lines = []
    for space in spaces:
        count, total = model.root(space)
        talks, messages = model.counts(space)
        lines.append(f"root {space} {count} {total:032x} {talks} {messages} "
                     f"{model.floor.get(space, 0)}")
    lines += [line("live", v) for v in model.live.values()]
    lines += [line("lost", v) for lost in model.history.values() for v in lost]
    lines += [line("held", v) for v in model.held]
    for space, prefix in views:
        count, total = model.root(space, prefix)
        lines.append(f"view {space} {prefix} {count} {total:032x}")
    return lines


def is_nothing(text):
    """The root of a namespace that nobody has to know: without versions and floor."""
    return text.startswith("root ") and set(" ".join(text.split(" ")[2:])) <= set("0 ")


def compare(engine, model, what):
    """Of two lists of lines: the same, whatever their order, and as often."""
    engine = [text for text in engine if not is_nothing(text)]
    model = [text for text in model if not is_nothing(text)]
    if sorted(engine) == sorted(model):
        return
    rest = list(engine)
    only_model = []
    for text in model:
        if text in rest:
            rest.remove(text)
        else:
            only_model.append(text)
    raise Differs(f"{what}\n  the engine alone has: " + "\n    ".join(rest[:5]) +
                  "\n  the model alone has: " + "\n    ".join(only_model[:5]))
