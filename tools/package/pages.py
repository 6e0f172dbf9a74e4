#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the manual pages and the completions equal to what the programs say of themselves.

Usage: pages.py [--update] PARLEY PARLEYD

Each page has parts between a line that ends in "begin NAME" and one that ends in "end NAME". They
are made from the output of `parley help --json`, `parley help token` and the two texts of --help;
the rest is written by hand. Without --update it prints which parts are not what they should be, and
exits 1. With it the parts are written anew: run it after a change of a command or a flag.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGES = ("parley.1", "parleyd.8", "parley.bash", "parleyd.bash", "_parley", "_parleyd")
# Where the second column of the help texts begins.
HELP_COLUMN = 25
# What a value is, by the name that the help gives it.
FILES = ("FILE", "FILE.pem", "FILE.jsonl[.gz]")


def ask(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


# ---- What the programs say ----

def sections(text):
    """The parts of a help text below headings that stand alone in a line: name to lines."""
    found = {}
    lines = None
    for line in text.split("\n"):
        if re.fullmatch(r"[A-Z][A-Za-z, ]+", line):
            lines = found.setdefault(line, [])
        elif lines is not None and line.startswith(" "):
            lines.append(line)
        elif lines is not None and line:
            lines = None
    return found


def items(lines):
    """(head, text) of a list in two columns; a head that is too long has its text below."""
    found = []
    for line in lines:
        head, text = line[:HELP_COLUMN], line[HELP_COLUMN:]
        if not line.startswith("   ") and (head.endswith(" ") or not text):
            found.append([head.strip(), text.strip()])
        elif not line.startswith("   "):
            found.append([line.strip(), ""])
        else:
            found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
    return found


def flag_items(lines):
    """(flag, value or "", text) of a list of flags."""
    found = []
    for head, text in items(lines):
        for one in head.split(", "):
            flag, _, value = one.partition(" ")
            found.append((flag, value, text))
    return found


class Command:
    """A command of parley: its usage in one or more lines, with the help of each."""

    def __init__(self, entry, verbs_text):
        self.name = entry["name"]
        self.help = entry["help"]
        self.usages = [(self.name + " " + entry["usage"], entry["help"])]
        verbs = verb_usages(self.name, verbs_text)
        if verbs:
            self.usages = verbs
        self.words = self.find_words(entry["usage"])
        self.flags = {}
        for usage, _ in self.usages:
            for flag, value in re.findall(r"(--[a-z-]+)(?: ([A-Za-z0-9][A-Za-z0-9|.]*))?", usage):
                self.flags[flag] = value
        plain = re.sub(r"--[a-z-]+ FILE", "", entry["usage"])
        self.takes_file = re.search(r"\bFILE\b", plain) is not None

    def find_words(self, usage):
        plain = re.match(r"\[?([a-z]+(?:\|[a-z]+)+)", usage)
        if plain:
            return plain.group(1).split("|")
        if usage == "[COMMAND]":
            return None
        verbs = [part.split(" ")[0] for part in usage.split(" | ")
                 if re.match(r"[a-z]+( |$)", part)]
        return list(dict.fromkeys(verbs))


def verb_usages(name, text):
    """What `parley help NAME` has below an empty line: the usage of each verb and its help."""
    found = []
    for line in text.partition("\n\n")[2].split("\n"):
        if re.match(rf"  {name} [a-z]", line):
            found.append([line.strip(), ""])
        elif found and line.startswith("      "):
            found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
    return [tuple(one) for one in found]


class Programs:
    def __init__(self, parley, parleyd):
        self.parley_help = sections(ask(parley, "help"))
        self.parleyd_help = sections(ask(parleyd, "--help"))
        self.commands = [Command(entry, ask(parley, "help", entry["name"]))
                         for entry in json.loads(ask(parley, "help", "--json"))["commands"]]
        self.common = flag_items(self.parley_help["Flags of all commands"])
        self.flags = flag_items(self.parleyd_help["Settings"])
        self.flags += flag_items(self.parleyd_help["The configuration"])
        self.variables = self.parleyd_help["Environment, besides the settings"]


# ---- Manual pages ----

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in ".'" else text


def roff_usage(text):
    """Names and flags bold, what stands for something else as it is."""
    words = []
    for word in re.split(r"([\[\] |])", text):
        is_literal = re.fullmatch(r"--[a-z-]+|[a-z][a-z-]*", word)
        words.append(f"\\fB{roff(word)}\\fR" if is_literal else roff(word))
    return "".join(words).rstrip()


def roff_list(pairs):
    return "".join(f".TP\n{head}\n{roff(text)}\n" if text else f".TP\n{head}\n\\&\n"
                   for head, text in pairs)


def roff_flags(flags):
    return roff_list((f"\\fB{roff(flag)}\\fR {roff(value)}".rstrip(), text)
                     for flag, value, text in flags)


def roff_codes(lines):
    """Exit codes, which the help has in two or three columns."""
    codes = {}
    for line in lines:
        for code, text in re.findall(r"(?:^|\s)(\d+) (\S+(?: \S+)*)", line):
            codes[int(code)] = text
    return roff_list((str(code), codes[code]) for code in sorted(codes))


def man_parley(programs):
    usages = [pair for command in programs.commands for pair in command.usages]
    return {"commands": roff_list((roff_usage(usage), text) for usage, text in usages),
            "flags": roff_flags(programs.common),
            "codes": roff_codes(programs.parley_help["Exit codes"])}


def man_parleyd(programs):
    return {"flags": roff_flags(programs.flags),
            "environment": roff_list((f"\\fB{roff(head)}\\fR", text) for head, text in
                                     items(programs.variables)),
            "codes": roff_codes(programs.parleyd_help["Exit codes"])}


# ---- Completions ----

def kind_of(flag, value):
    """"file", "dir", "none", words to choose from, or "text"."""
    if not value:
        return "none"
    if value == "DIR":
        return "dir"
    if value in FILES:
        return "file"
    if "|" in value:
        return value.split("|")
    return {"--type": ["local", "hosted", "edge"],
            "--profile": ["normal", "small"],
            "--log-level": ["error", "warn", "info", "debug"],
            "--key-bits": ["2048", "3072"]}.get(flag, "text")


def flag_kinds(flags):
    return {flag: kind_of(flag, value) for flag, value in flags}


def bash_values(kinds):
    """A case of the flags that take a value."""
    lines = []
    for flag, kind in sorted(kinds.items()):
        if kind == "none":
            continue
        body = " ".join(["words", *kind]) if isinstance(kind, list) else kind
        lines.append(f"    {flag}) echo {body} ;;\n")
    return "".join(lines)


def all_kinds(programs):
    kinds = flag_kinds((flag, value) for flag, value, _ in programs.common)
    for command in programs.commands:
        kinds.update(flag_kinds(command.flags.items()))
    return kinds


def bash_parley(programs):
    cases = []
    for command in programs.commands:
        flags = " ".join(sorted(command.flags))
        words = "$commands" if command.words is None else " ".join(command.words)
        kind = "file" if command.takes_file else ""
        cases.append(f"    {command.name}) flags='{flags}' words=\"{words}\" kind='{kind}' ;;\n")
    names = " ".join(command.name for command in programs.commands)
    common = " ".join(flag for flag, _, _ in programs.common)
    return {"lists": f"    commands='{names}'\n    common='{common} --help --version'\n",
            "commands": "".join(cases), "values": bash_values(all_kinds(programs))}


def bash_parleyd(programs):
    kinds = flag_kinds((flag, value) for flag, value, _ in programs.flags)
    return {"lists": f"    flags='{' '.join(kinds)}'\n", "values": bash_values(kinds)}


def zsh_text(text):
    text = re.sub(r"[\[\]:\\]", lambda found: "\\" + found.group(0), text)
    return text.replace("'", "'\\''")


def zsh_flag(flag, value, text, many=False):
    kind = kind_of(flag, value)
    action = {"none": "", "dir": ":directory:_files -/", "file": ":file:_files",
              "text": f":{zsh_text(value.lower())}: "}.get(kind if isinstance(kind, str) else "")
    if action is None:
        action = f":{flag.lstrip('-')}:({' '.join(kind)})"
    shown = f"[{zsh_text(text)}]" if text else ""
    return f"'{'*' if many else ''}{flag}{'=' if action else ''}{shown}{action}'"


def zsh_parley(programs):
    described = "".join(f"        '{command.name}:{zsh_text(command.help)}'\n"
                        for command in programs.commands)
    common = "".join(f"        {zsh_flag(*one)}\n" for one in programs.common)
    cases = []
    for command in programs.commands:
        flags = [zsh_flag(flag, value, "") for flag, value in sorted(command.flags.items())]
        if command.words is None:
            flags.append("'1:command:->help'")
        elif command.words:
            flags.append(f"'1:verb:({' '.join(command.words)})'")
        flags.append("'*:file:_files'" if command.takes_file else "'*:argument: '")
        cases.append(f"    {command.name}) flags=({' '.join(flags)}) ;;\n")
    return {"described": described, "common": common, "commands": "".join(cases)}


def zsh_parleyd(programs):
    repeated = ("--listen", "--cors-origin")
    return {"flags": "".join(f"        {zsh_flag(flag, value, text, flag in repeated)}\n"
                             for flag, value, text in programs.flags)}


MAKERS = dict(zip(PAGES, (man_parley, man_parleyd, bash_parley, bash_parleyd, zsh_parley,
                          zsh_parleyd)))


# ---- Pages ----

def fill(text, parts):
    """The page with its parts in place."""
    for name, body in parts.items():
        pattern = rf"(?ms)^([^\n]* begin {name}\n).*?(^[^\n]* end {name}$)"
        text, count = re.subn(pattern, lambda found, body=body: found[1] + body + found[2], text)
        if count != 1:
            raise SystemExit(f"pages.py: there should be one part {name}, and there are {count}")
    return text


def main():
    arguments = sys.argv[1:]
    update = "--update" in arguments
    names = [one for one in arguments if one != "--update"]
    if len(names) != 2:
        raise SystemExit("usage: pages.py [--update] PARLEY PARLEYD")
    programs = Programs(*names)
    stale = []
    for page in PAGES:
        path = os.path.join(HERE, page)
        with open(path) as file:
            text = file.read()
        filled = fill(text, MAKERS[page](programs))
        if filled != text:
            stale.append(page)
        if filled != text and update:
            with open(path, "w") as file:
                file.write(filled)
    advice = "is not what the programs say; run: tools/package/pages.py --update PARLEY PARLEYD"
    for page in stale:
        print(f"tools/package/{page}: {'written anew' if update else advice}")
    sys.exit(1 if stale and not update else 0)


if __name__ == "__main__":
    main()
