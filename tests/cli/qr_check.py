# SPDX-License-Identifier: Apache-2.0
"""Compares a QR code with what libqrencode makes of the same text. Both may choose another mask, so
that is taken off first; the rest must be equal, module by module."""
import ctypes
import ctypes.util

LEVEL_M = 1
FIXED = 0x80  # of a module of libqrencode: not data
MASKS = [
    lambda x, y: (x + y) % 2, lambda x, y: y % 2, lambda x, y: x % 3, lambda x, y: (x + y) % 3,
    lambda x, y: (x // 3 + y // 2) % 2, lambda x, y: x * y % 2 + x * y % 3,
    lambda x, y: (x * y % 2 + x * y % 3) % 2, lambda x, y: ((x + y) % 2 + x * y % 3) % 2,
]


class Code(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("width", ctypes.c_int),
                ("data", ctypes.POINTER(ctypes.c_ubyte))]


library = ctypes.CDLL(ctypes.util.find_library("qrencode") or "libqrencode.so.4")
library.QRcode_encodeData.restype = ctypes.POINTER(Code)
library.QRcode_encodeData.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]


def expected(text):
    """Rows of (dark, fixed)."""
    data = text.encode()
    code = library.QRcode_encodeData(len(data), data, 0, LEVEL_M).contents
    modules = [code.data[i] for i in range(code.width * code.width)]
    return [[(m & 1, m & FIXED != 0) for m in modules[y * code.width:(y + 1) * code.width]]
            for y in range(code.width)]


def places(width):
    """Where the 15 bits of the format stand, twice, from the lowest."""
    first = [(8, i) for i in range(6)] + [(8, 7), (8, 8), (7, 8)] + \
        [(14 - i, 8) for i in range(9, 15)]
    second = [(width - 1 - i, 8) for i in range(8)] + [(8, width - 15 + i) for i in range(8, 15)]
    return first, second


def format_of(level_and_mask):
    rest = level_and_mask << 10
    for i in range(4, -1, -1):
        if rest >> (i + 10) & 1:
            rest ^= 0x537 << i
    return (level_and_mask << 10 | rest) ^ 0x5412


def mask_of(rows):
    """The mask that both copies of the format name; their check bits must hold."""
    found = set()
    for copy in places(len(rows)):
        bits = sum(rows[y][x] << i for i, (x, y) in enumerate(copy))
        found.add(bits)
    assert len(found) == 1, "the two formats differ"
    mask = (found.pop() ^ 0x5412) >> 10
    assert bits == format_of(mask) and mask < 8, "the format is not one of level M"
    return mask


def check(text, rows):
    """`rows`: lists of 0 and 1. Raises when they are no code of the text."""
    want = expected(text)
    width = len(want)
    assert len(rows) == width, f"{len(rows)} modules, not {width}"
    ours, theirs = mask_of(rows), mask_of([[dark for dark, _ in row] for row in want])
    formats = {place for copy in places(width) for place in copy}
    for y in range(width):
        for x in range(width):
            dark, fixed = want[y][x]
            have = rows[y][x]
            if not fixed:
                dark ^= MASKS[theirs](x, y) == 0
                have ^= MASKS[ours](x, y) == 0
            if (x, y) not in formats:
                assert have == dark, f"module {x}, {y} of version {(width - 17) // 4}"
