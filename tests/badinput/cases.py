# SPDX-License-Identifier: Apache-2.0
"""The cases of one format: bytes, who reads them, and what must come of it."""
import hashlib
import re


class Book:
    """Cases in the order in which they were added; a name, and a pair of reader and bytes, once."""

    def __init__(self, name):
        self.name = name
        self.cases = []
        self.names = set()
        self.seen = set()

    def add(self, name, reader, verdict, data):
        data = bytes(data)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name) or name in self.names:
            raise ValueError(f"{self.name}: {name!r} is no name, or given twice")
        if re.search(r"\s", verdict) or re.search(r"\s", reader):
            raise ValueError(f"{self.name}/{name}: a blank in a column")
        if (reader, data) in self.seen:
            raise ValueError(f"{self.name}/{name}: these bytes are a case already")
        self.names.add(name)
        self.seen.add((reader, data))
        self.cases.append((name, reader, verdict, data))

    def has(self, reader, data):
        return (reader, bytes(data)) in self.seen

    def manifest(self):
        """A line a case: the first half of the SHA-256 of its bytes, reader, verdict, name."""
        return "".join(f"{hashlib.sha256(data).hexdigest()[:32]} {reader} {verdict} {name}\n"
                       for name, reader, verdict, data in self.cases)
