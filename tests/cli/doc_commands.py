# SPDX-License-Identifier: Apache-2.0
"""Finds the commands that pages show: the lines of their blocks of code, code spans that begin with
a program, and the first column of tables of commands."""
import re

# What a code span begins with that is a command. In a block every line is one.
PROGRAMS = {"age", "apt", "apt-get", "cc", "cd", "cmake", "cp", "ctest", "curl", "docker", "dpkg",
            "fly", "git", "head", "journalctl", "kill", "man", "mv", "npm", "openssl", "pip",
            "podman", "power_replay", "python3", "rm", "rsync", "scp", "sh", "ssh", "sudo",
            "systemctl", "systemd-analyze", "systemd-creds", "systemd-run", "tar", "timedatectl",
            "zstd"}
PROGRAM_NAME = re.compile(r"(parleyd?|parley-[a-z]+|(build|tools|tests|\.)/\S+|\S+\.(py|sh))$")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"(?<=\n\n)(?: {4,}\S.*\n|\n(?= {4}))+")
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
TABLE = re.compile(r"^\| command \| what it does \|$.*?(?=\n\n)", re.M | re.S)


class Shown:
    """One command line of a page. `block` is what all lines of one block share, None for a span."""

    def __init__(self, page, line, block=None):
        text = re.split(r" {2,}| #", line)[0].strip().removesuffix(" \u2026")
        self.page = page
        self.text = " ".join(text.replace("\\|", "|").split())
        self.note = line.partition("#")[2].strip()
        self.block = block

    def __repr__(self):
        return f"{self.page}: {self.text}"

    def written(self, form):
        """The same, in one of the ways to write it."""
        other = Shown(self.page, form, self.block)
        other.note = self.note
        return other


class Block:
    """A block of code: its language ("" for none, None when it is indented) and its lines."""

    def __init__(self, page, language, text):
        joined = re.sub(r"\s*\\\n\s*", " ", text)
        self.page = page
        self.language = language
        self.text = text
        self.lines = [line.strip() for line in joined.splitlines() if line.strip()]

    def commands(self, some=False):
        """All lines, but for comments; with `some` only those that begin with a program."""
        return [Shown(self.page, line, self) for line in self.lines
                if not line.startswith("#") and (not some or is_command(line))]


def program_of(line):
    """The first word behind `cd X &&` and variables that are set."""
    words = re.sub(r"^cd \S+ && ", "", line).split()
    while len(words) > 1 and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words[0] if words else ""


def is_command(line):
    program = program_of(line)
    return program in PROGRAMS or PROGRAM_NAME.match(program) is not None


def blocks_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".1", ".8"):
        found = re.findall(r"^\.nf\n(.*?)^\.fi$", text, re.M | re.S)
        return [Block(path.name, None, one.replace("\\-", "-").replace("\\e\n", "\\\n"))
                for one in found]
    return ([Block(path.name, *found) for found in FENCE.findall(text)] +
            [Block(path.name, None, found) for found in INDENTED.findall(FENCE.sub("", text))])


def spans_of(path):
    if path.suffix in (".1", ".8"):
        return []
    text = INDENTED.sub("", FENCE.sub("", path.read_text(encoding="utf-8")))
    found = []
    for table in TABLE.findall(text):
        for row in table.splitlines()[2:]:
            first = re.split(r"(?<!\\)\|", row)[1]
            found += [Shown(path.name, "parley " + span) for span in SPAN.findall(first)]
    for span in SPAN.findall(TABLE.sub("", text)):
        line = " ".join(span.split())
        if " " in line and is_command(line):
            found.append(Shown(path.name, line))
    return found


# ---- Usages: [optional], a|b ----

def parse(tokens, alternatives):
    """A list of sequences; an element is a list of words to choose from, or ("optional", list)."""
    sequences = [[]]
    while tokens and tokens[0] != "]":
        token = tokens.pop(0)
        if token == "[":
            sequences[-1].append(("optional", parse(tokens, True)))
            tokens.pop(0)
        elif token == "|" and alternatives:
            sequences.append([])
        else:
            sequences[-1].append(token.split("|") if token != "|" else [token])
    return sequences


def forms_of(sequences):
    found = []
    for sequence in sequences:
        base = [[] if isinstance(one, tuple) else [one[0]] for one in sequence]
        choices = [forms_of(one[1]) if isinstance(one, tuple) else [[word] for word in one[1:]]
                   for one in sequence]
        found.append(base)
        for place, others in enumerate(choices):
            found += [base[:place] + [other] + base[place + 1:] for other in others]
        found.append([others[-1] if isinstance(one, tuple) else one_base for one, others, one_base
                      in zip(sequence, choices, base)])
    return [[word for part in form for word in part] for form in found]


def forms(usage, alternatives=False):
    """The ways to write a usage: without what is optional, with one of it, with all of it."""
    if "'" in usage or '"' in usage:
        return [usage]
    tokens = re.findall(r"\[(?=[A-Za-z-])|\]|[^\s\[\]]+|\[\S*", usage.replace("\u2026", ""))
    return list(dict.fromkeys(" ".join(form) for form in forms_of(parse(tokens, alternatives))))
