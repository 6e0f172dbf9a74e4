# SPDX-License-Identifier: Apache-2.0
"""One world: 3 to 5 daemons, each in a network of its own, joined by a switch that breaks; load on
all of them; partitions, each followed by a heal and all oracles."""
import collections
import json
import random
import time

import faults
import oracles
from load import Writer, make_hot
from wires import NetNode, Quality, Switch, nodes

JOIN_SECONDS = 120
# After a heal: a session that is dead but open ends after 45 s, a dial fails after 10 s, and the
# wait for the next one is at most 60 s.
HEAL_SECONDS = 150
PAUSE_SECONDS = 90
POLL_SECONDS = 0.1
LATE_AFTER = 3  # heals
BULK = 1500     # conversations that a late node has to copy


class Broken(AssertionError):
    """An oracle complained."""


class Figures(collections.Counter):
    def __init__(self, *given):
        super().__init__(*given)
        self.heal_seconds = []
        self.notes = collections.Counter()

    def __reduce__(self):
        return Figures, (dict(self),), vars(self)

    def add(self, other):
        self.update(other)
        self.heal_seconds += other.heal_seconds
        self.notes.update(other.notes)

    def share(self, part):
        """So many of the heals took no longer than this."""
        ordered = sorted(self.heal_seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


class World:
    def __init__(self, seed, count=None, flags=(), late=False, say=print):
        self.seed = seed
        self.say = say
        self.flags = flags
        self.draw = random.Random(f"{seed}/world")
        # Of its own, for it depends on what was written how often it is asked.
        self.look = random.Random(f"{seed}/look")
        self.count = count or self.draw.choice((3, 3, 4, 5))
        self.switch = Switch(self.count, seed)
        self.base = nodes.scratch()
        self.nodes = []
        self.late = self.count if self.count > 3 and late else None
        self.pairs = self.draw_pairs()  # that have not joined yet
        self.peers = {}
        self.writers = []
        self.ledger = None  # of what no writer wrote
        self.figures = Figures()
        self.log_at = {}
        self.history = []

    def node(self, number):
        return self.nodes[number - 1]

    # ---- Beginning ----

    def begin(self):
        """All nodes but the late one, if this world has one: that comes by `grow`."""
        self.switch.set(Quality(), self.switch.wires())
        for number in range(1, self.count + (self.late is None)):
            self.add_node(number)
        self.switch.set(faults.mild_weather(self.draw), self.switch.wires())
        self.join_all(len(self.nodes))
        self.ledger = make_hot(self.nodes[0])
        self.converge(HEAL_SECONDS)
        for node in self.nodes:
            self.add_writer(node)

    def grow(self):
        """One more node joins; before it has what the others have, the next partition comes."""
        self.import_bulk(self.draw.choice(self.nodes))
        node = self.add_node(self.late)
        self.join_all(self.late)
        self.add_writer(node)
        self.late = None
        self.figures["late nodes"] += 1

    def add_node(self, number):
        kind = "hosted" if number == 1 else "local"
        node = NetNode(self.base, self.switch, number, *self.flags, kind=kind)
        self.nodes.append(node)
        return node.start()

    def add_writer(self, node):
        writer = Writer(node, self.seed)
        self.writers.append(writer)
        writer.start()
        writer.resume()

    def join_all(self, newest):
        """All joins that are not made yet, of the nodes up to `newest`."""
        for joining, inviting in [pair for pair in self.pairs if pair[0] <= newest]:
            self.join(self.node(inviting), self.node(joining))
            self.pairs.remove((joining, inviting))
            self.peers.setdefault(inviting, []).append(joining)
            self.peers.setdefault(joining, []).append(inviting)

    def import_bulk(self, node):
        """So much that a copy of it does not get through between two partitions."""
        items = [nodes.conversation(number, 8, "much " * 30) for number in range(BULK)]
        for item in items:
            item["conversation_id"] = "bulk-" + item["conversation_id"]
        lines = "".join(json.dumps(item) + "\n" for item in items)
        status, text, _ = node.request("POST", "/import", lines.encode())
        if status != 200 or json.loads(text)["received"] != BULK:
            raise Broken(f"node {node.number}: import: {status} {text[:300]}")
        self.ledger.imported.update({item["conversation_id"]: item for item in items})

    def draw_pairs(self):
        """Who joins whom: a tree, so that all are connected, and some edges more."""
        pairs = []
        for joining in range(2, self.count + 1):
            first = self.draw.randrange(1, joining)
            pairs += [(joining, first)] + [(joining, other) for other in range(1, joining)
                                           if other != first and self.draw.random() < 0.5]
        return pairs

    def join(self, inviting, joining):
        """Through the network as it is; an invite that was used up by a join that failed is
        replaced, as an operator would do."""
        end = time.monotonic() + JOIN_SECONDS
        while time.monotonic() < end:
            self.figures["invites"] += 1
            _, invite = inviting.http("POST", "/invites", {})
            joining.http("POST", "/joins", {"url": invite["url"]})
            while time.monotonic() < end:
                state = joining.get("/joins")
                if state["phase"] == "done":
                    return
                if state["phase"] == "failed":
                    self.say(f"   a join failed: {state.get('error')}")
                    break
                time.sleep(POLL_SECONDS)
        raise Broken(f"node {joining.number} could not join {inviting.number}: {state}")

    # ---- Faults ----

    def do(self, step):
        time.sleep(step.seconds)
        if step.what == "kill":
            node = self.node(*step.arguments)
            if node.process.poll() is None:
                node.kill()
                self.figures["kills"] += 1
        elif step.what == "start":
            node = self.node(*step.arguments)
            if node.process.poll() is not None:
                node.start()
        else:
            self.switch.turn(step.what, step.arguments[0])

    def partition(self, long_share):
        plan = faults.draw_plan(self.draw, self.peers, long_share)
        self.history.append(repr(plan))
        for wires, quality in plan.weather:
            self.switch.set(quality, wires)
        for step in plan.steps:
            self.do(step)
        self.figures["partitions"] += 1
        self.figures["of kind " + plan.kind] += 1
        if any(q.loss or q.reorder or q.dup for _, q in plan.weather):
            self.figures["in bad weather"] += 1

    def heal(self):
        self.switch.turn("open", self.switch.wires())
        self.switch.set(faults.mild_weather(self.draw), self.switch.wires())
        for node in self.nodes:
            if node.process.poll() is not None:
                node.start()

    # ---- Oracles ----

    def converge(self, seconds):
        """I7: waits until all are equal and know it; returns their states."""
        end = time.monotonic() + seconds
        while True:
            statuses = {node.number: node.status() for node in self.nodes}
            why = oracles.difference(statuses)
            if why is None:
                return statuses
            if time.monotonic() > end:
                raise Broken(f"I7: not equal {seconds} s after the heal: {why}")
            time.sleep(POLL_SECONDS)

    def pause(self):
        for writer in self.writers:
            writer.pause(PAUSE_SECONDS)

    def ledgers(self):
        return [self.ledger] + [writer.ledger for writer in self.writers]

    def look_at_logs(self):
        found = []
        for node in self.nodes:
            with open(node.log, "r", errors="replace") as file:
                file.seek(self.log_at.get(node.number, 0))
                text = file.read()
                self.log_at[node.number] = file.tell()
            found += oracles.log_lines(node.number, text)
            self.figures.notes.update(oracles.notes(text))
        return found

    def judge(self, statuses):
        """All that must be so now; complaints."""
        dumps = {node.number: node.export() for node in self.nodes}
        found = [wrong for writer in self.writers for wrong in writer.ledger.wrong]
        found += oracles.exports(dumps)
        there = oracles.parse(dumps[1])
        found += oracles.acknowledged(there, self.ledgers())
        found += oracles.counted(statuses[1], there, self.ledgers())
        for number, status in statuses.items():
            found += oracles.sessions(number, status)
        for writer in self.writers:
            found += oracles.history(writer, [n for n in self.nodes if n is not writer.node],
                                     self.look)
        return found + self.look_at_logs()

    def check(self, seconds=HEAL_SECONDS):
        """After a heal: quiet, convergence, oracles; then the load goes on."""
        began = time.monotonic()
        self.pause()
        statuses = self.converge(seconds)
        self.figures.heal_seconds.append(time.monotonic() - began)
        found = self.judge(statuses)
        if found:
            raise Broken("\n".join(found))
        self.figures["heals checked"] += 1
        for writer in self.writers:
            writer.resume()

    # ---- All of it ----

    def run(self, seconds, long_share=0.0):
        """Partitions for so long; each is checked."""
        self.begin()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.draw.uniform(0.1, 0.5))
            self.partition(long_share)
            self.heal()
            self.check()
            if self.late is not None and self.figures["heals checked"] == LATE_AFTER:
                self.grow()
        self.finish()
        return self.figures

    def finish(self):
        """The last oracles, with the daemons stopped."""
        self.pause()
        for writer in self.writers:
            writer.end()
            self.figures["acknowledged"] += writer.ledger.acknowledged
            self.figures["unanswered"] += writer.ledger.unanswered
        counts = self.switch.counts()
        self.figures.update({"packets " + name: n for name, n in counts.items()})
        self.figures["worlds"] += 1
        self.figures["nodes"] += len(self.nodes)
        if counts["plain"] != 0 or counts["tls"] == 0:
            raise Broken(f"peers did not speak TLS alone: {counts}")
        for node in self.nodes:
            code = node.stop()
            if code != 0:
                raise Broken(f"node {node.number}: exit {code}")
            result = node.cli("--json", "check")
            if result.code != 0 or not result.json["ok"]:
                raise Broken(f"node {node.number}: parley check: {result}")

    def close(self):
        """Stops everything, whatever happened."""
        for writer in self.writers:
            writer.done = True
            writer.go.set()
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()
            node.hang_up()
        for writer in self.writers:
            if writer.is_alive():
                writer.join(30)
        self.switch.close()

    def last_words(self):
        """For whoever has to find out why."""
        tails = "\n".join(f"--- log of node {node.number}\n{node.log_text()[-1500:]}"
                          for node in self.nodes)
        plans = "\n".join(self.history[-3:])
        return f"seed {self.seed}, {self.count} nodes, data in {self.base}\n{plans}\n{tails}"
