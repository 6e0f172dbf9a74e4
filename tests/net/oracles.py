# SPDX-License-Identifier: Apache-2.0
"""What must be so after a heal, when nobody writes. Each oracle returns complaints, none if all is
well, and each is shown a planted bug in test_faults.py.

  I1   What a node acknowledged is there: on that node at once, on all when they have converged.
  I7   Within a bounded time all nodes have the same root and counts, their exports are equal byte
       for byte, and each pair says that it is in sync.
  I16  No change was skipped and none applied twice: the counts are those of the ledgers, no more
       and no less; each version is in a history once; nobody found out by comparing that roots
       differ although both had the other's log; nobody was blamed, nothing is damaged.
"""
import json
import re

HISTORY_VERSIONS = 16  # kept of each message beside the current one
SAMPLE = 3  # messages of each writer
COMPLAINTS_MAX = 8
# Of a session, a peer or a row that breaks a rule. Partitions break connections, not rules.
BLAME = re.compile(r"level=error|broke the protocol|does not verify|not registered here|"
                   r"was revoked|no common protocol|cannot peer with itself|store-damaged|"
                   r"rebase|corrupt|cannot write to its store|PARLEY_E")


def merged(ledgers):
    """What all nodes together have acknowledged."""
    messages, imported, hot = {}, {}, {}
    for ledger in ledgers:
        messages.update(ledger.messages)
        for name, item in ledger.imported.items():
            if name not in imported or item is None:
                imported[name] = item
        for name, edits in ledger.hot.items():
            hot.setdefault(name, []).extend(edits)
    return messages, imported, hot


def parse(export):
    there = {}
    for line in export.splitlines():
        item = json.loads(line)
        there[item["conversation_id"]] = {m["message_id"]: m for m in item["messages"]}
    return there


def some(complaints):
    if len(complaints) > COMPLAINTS_MAX:
        return complaints[:COMPLAINTS_MAX] + [f"and {len(complaints) - COMPLAINTS_MAX} more"]
    return complaints


def acknowledged(there, ledgers):
    """I1, of the conversations of one node that has everything."""
    messages, imported, hot = merged(ledgers)
    found = []
    for name, message in messages.items():
        at = there.get(message.where, {}).get(name)
        if message.content is None:
            if at is not None:
                found.append(f"I1: {name} was deleted and is there")
        elif at is None:
            found.append(f"I1: {name} was acknowledged and is not there")
        elif at["content"] != message.content:
            found.append(f"I1: {name} should be {message.content[:40]!r} and is "
                         f"{at['content'][:40]!r}")
    for name, edits in hot.items():
        at = there.get("hot", {}).get(name)
        stamp, content = max(edits)
        if at is None or (at["timestamp"], at["content"]) != (stamp, content):
            found.append(f"I1: of the edits of {name} the last one is {content!r} at {stamp}, "
                         f"there is {at}")
    for name, item in imported.items():
        at = there.get(name)
        texts = {i: m["content"] for i, m in at.items()} if at is not None else None
        wanted = {m["message_id"]: m["content"] for m in item["messages"]} \
            if item is not None else None
        if texts != wanted and item is None:
            found.append(f"I1: {name} was deleted and is there")
        elif texts != wanted:
            found.append(f"I1: {name} was imported and is {str(texts)[:200]}")
    return some(found)


def expected_counts(ledgers):
    messages, imported, hot = merged(ledgers)
    alive = [m for m in messages.values() if m.content is not None]
    whole = [item for item in imported.values() if item is not None]
    return {
        "messages": len(alive) + len(hot) + sum(len(i["messages"]) for i in whole),
        "conversations": len({m.where for m in alive}) + len(whole) + bool(hot),
        "deletions": len(messages) - len(alive) + len(imported) - len(whole),
    }


def counted(status, there, ledgers):
    """I16: not one message, conversation or deletion more or less than was written."""
    found = []
    main = status["namespaces"][0]
    for name, value in expected_counts(ledgers).items():
        if main[name] != value:
            found.append(f"I16: {name}: {main[name]} in the status, {value} were acknowledged")
    shown = sum(len(messages) for messages in there.values())
    if shown != main["messages"]:
        found.append(f"I16: {shown} messages in the export, {main['messages']} in the status")
    return found


def history(writer, others, draw):
    """I16: each version of a message once, on its writer's node all of them."""
    found = []
    names = sorted(writer.ledger.messages)
    for name in draw.sample(names, min(SAMPLE, len(names))):
        message = writer.ledger.messages[name]
        path = f"/conversations/{message.where}/history?message={name}"
        own = writer.node.http("GET", path)[1].get("versions", [])
        if not own:
            found.append(f"I16: {name} has no history on its node")
            continue
        stamps = [v["timestamp"] for v in own]
        if not min(message.versions, HISTORY_VERSIONS + 1) <= len(own) <= message.versions:
            found.append(f"I16: {name} had {message.versions} versions, its node shows {len(own)}")
        if stamps != sorted(set(stamps), reverse=True):
            found.append(f"I16: versions of {name} are not in order, or twice: {stamps}")
        for node in others:
            versions = [v["version"] for v in node.http("GET", path)[1].get("versions", [])]
            if len(versions) != len(set(versions)) or versions[:1] != [own[0]["version"]] or \
                    not set(versions) <= {v["version"] for v in own}:
                found.append(f"I16: {name} on node {node.number}: {versions}")
    return some(found)


def sessions(number, status):
    """I16: a comparison because roots differed means that a log was not the whole truth."""
    return [f"I16: node {number} had to repair what it shares with {peer['backend_id']}"
            for peer in status["peers"] if peer["repairs"] != 0]


def difference(statuses):
    """I7: None when all nodes are equal and each pair knows it; else what is not so yet."""
    roots = {}
    for number, status in statuses.items():
        main = status["namespaces"][0] if status["namespaces"] else {}
        roots[number] = tuple(main.get(k) for k in ("root", "versions", "conversations",
                                                    "messages", "deletions"))
    if len(set(roots.values())) != 1:
        return f"roots and counts differ: {roots}"
    for number, status in statuses.items():
        for peer in status["peers"]:
            if not peer["in_sync"]:
                return (f"node {number} is not in sync with {peer['backend_id'][:24]}: "
                        f"{peer['state']}, {peer['note']}")
    return None


def exports(dumps):
    """I7, byte for byte."""
    first = min(dumps)
    return [f"I7: the exports of nodes {first} and {number} differ, although their roots are equal"
            for number in dumps if dumps[number] != dumps[first]]


def log_lines(number, text):
    return some([f"I16: log of node {number}: {line}" for line in text.splitlines()
                 if BLAME.search(line)])


def notes(text):
    """How often sessions began, and why they ended or dials failed, to be counted."""
    return ["session opened"] * text.count("event=session-open ") + \
        re.findall(r'event=(?:session-closed|session-refused|diverged)[^\n]*? note="?([^"\n]*)',
                   text)
