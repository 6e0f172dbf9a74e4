# SPDX-License-Identifier: Apache-2.0
"""How a test tells the shim that is preloaded into a program which calls are to fail."""
import errno
import mmap
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import nodes  # noqa: E402

SHIM = os.environ.get("PARLEY_FAULT_SHIM", "libparley_fault.so")

# The struct of fault.h: numbers of 8 bytes.
ARMED, CLASS, ERROR, AT, MORE, FILES, NO_SYNC, INJECTED, BLOCKS, COUNT = range(10)
CLASSES = {"open": 1, "read": 2, "write": 3, "sync": 4, "size": 5, "name": 6, "map": 7, "heap": 8}
SHORT = 10000
EVER = (1 << 64) - 1
ERRORS = {"open": (errno.EIO, errno.ENOSPC, errno.EMFILE), "read": (errno.EIO, errno.EINTR),
          "write": (errno.EIO, errno.ENOSPC, errno.EINTR, SHORT),
          "sync": (errno.EIO, errno.ENOSPC, errno.EINTR), "size": (errno.EIO, errno.ENOSPC),
          "name": (errno.EIO, errno.ENOSPC), "map": (errno.ENOMEM,), "heap": (errno.ENOMEM,)}


class Fault:
    """The shared memory that tells the shim in a daemon what to do."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(4096))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        self.set(FILES, 1)
        self.environment = dict(nodes.clean_environment(), LD_PRELOAD=SHIM, PARLEY_FAULT=path)

    def set(self, field, value):
        self.map[field * 8:field * 8 + 8] = struct.pack("<Q", value)

    def get(self, field):
        return struct.unpack("<Q", self.map[field * 8:field * 8 + 8])[0]

    def arm(self, name="", error=0, at=0, more=0):
        for number in CLASSES.values():
            self.set(COUNT + number, 0)
        self.set(INJECTED, 0)
        self.set(CLASS, CLASSES.get(name, 0))
        self.set(ERROR, error)
        self.set(AT, at)
        self.set(MORE, more)
        self.set(ARMED, 1)

    def disarm(self):
        self.set(ARMED, 0)
