#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the corpus of bad input: files, each with the verdict that a specification asks for.

    generate.py DIR            writes DIR/<format>/<name>, DIR/<format>.txt and DIR/seeds/<target>/
    generate.py --manifest     writes tests/badinput/manifest/<format>.txt, to be looked at and kept

The files are made when the tests are built and are not kept: two thousand files that nobody can
read say less than the tables which make them. What is kept is a line for each, with its hash and
its verdict, so that a change of any byte or verdict is a change that somebody reviews;
test_badinput.py compares. Everything here is a function of these files and of tests/lib/keys.h."""
import pathlib
import shutil
import sys

import frame_cases
import http_cases
import invite_cases
import json_cases
import mp_cases
import token_cases
import utf8_cases

HERE = pathlib.Path(__file__).parent
# The least that there must be of each format.
COUNTS = {"mp": 400, "http": 300, "json": 250, "token": 200, "frame": 150, "invite": 100,
          "utf8": 100}
MODULES = (mp_cases, http_cases, json_cases, token_cases, frame_cases, invite_cases, utf8_cases)


def make_books():
    books = [module.make() for module in MODULES]
    for book in books:
        if len(book.cases) < COUNTS[book.name]:
            raise ValueError(f"{book.name}: {len(book.cases)} cases are too few")
    return books


def seeds(book):
    """(fuzz target, name, input): the cases as the target of that format takes them."""
    for name, reader, _, data in book.cases:
        if book.name == "http":
            yield "http1", name, b"\x06" + data  # how it is cut
        elif book.name == "utf8":
            yield "json", "utf8_" + name, b'"' + data + b'"'
        elif reader == "payload":
            yield "payload", f"{book.name}_{name}", data
        elif reader in ("server", "client"):
            # Behind no frame of the honest side; a client has sent its own HELLO.
            start = b"\x00" if reader == "server" else b"\x08"
            yield "session", name, start + b"\x06" + data
        elif reader == "changes":
            yield "change", name, data
        elif reader in ("query", "state", "tally", "diff"):
            yield "query", name, data
        else:
            yield book.name, name, data


def write(target):
    shutil.rmtree(target, ignore_errors=True)
    for book in make_books():
        folder = target / book.name
        folder.mkdir(parents=True)
        for name, _, _, data in book.cases:
            (folder / name).write_bytes(data)
        for fuzz, name, data in seeds(book):
            (target / "seeds" / fuzz).mkdir(parents=True, exist_ok=True)
            (target / "seeds" / fuzz / name).write_bytes(data)
        (target / f"{book.name}.txt").write_text(book.manifest())


def main():
    if sys.argv[1:] == ["--manifest"]:
        (HERE / "manifest").mkdir(exist_ok=True)
        for book in make_books():
            (HERE / "manifest" / f"{book.name}.txt").write_text(book.manifest())
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        write(pathlib.Path(sys.argv[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
