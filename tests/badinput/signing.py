# SPDX-License-Identifier: Apache-2.0
"""Signatures as the tests need them: right ones, the same in each run, and wrong ones that no
library would make. Plain arithmetic; never for keys that protect anything."""
import base64
import hashlib
import pathlib
import re

KEYS = pathlib.Path(__file__).parent.parent / "lib" / "keys.h"
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def read_key(name):
    """The bytes of a PEM block in tests/lib/keys.h."""
    block = re.search(rf"#define {name}\s*\\\n((?:.*\\\n)*.*)\n", KEYS.read_text()).group(1)
    lines = re.findall(r'"([A-Za-z0-9+/=]+)\\n"', block)
    return base64.b64decode("".join(lines))


def take_der(data):
    """One DER element: (tag, content, rest)."""
    length, at = data[1], 2
    if length > 127:
        at = 2 + (length & 127)
        length = int.from_bytes(data[2:at], "big")
    return data[0], data[at:at + length], data[at + length:]


class Rsa:
    def __init__(self, name):
        rest = take_der(read_key(name))[1]
        numbers = []
        while rest:
            _, content, rest = take_der(rest)
            numbers.append(int.from_bytes(content, "big"))
        _, self.modulus, _, _, self.p, self.q, self.dp, self.dq, self.inverse = numbers
        self.size = (self.modulus.bit_length() + 7) // 8

    def raw(self, block):
        """The private operation on a block as long as the modulus, or on a number."""
        number = int.from_bytes(block, "big") if isinstance(block, bytes) else block
        a, b = pow(number, self.dp, self.p), pow(number, self.dq, self.q)
        return b + (a - b) * self.inverse % self.p * self.q

    def block(self, digest, info=SHA256_INFO):
        content = info + digest
        return b"\x00\x01" + b"\xff" * (self.size - 3 - len(content)) + b"\x00" + content

    def sign(self, text):
        block = self.block(hashlib.sha256(text).digest())
        return self.raw(block).to_bytes(self.size, "big")


def add(a, b):
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(scalar, point):
    out = None
    while scalar:
        if scalar & 1:
            out = add(out, point)
        point = add(point, point)
        scalar >>= 1
    return out


class P256:
    def __init__(self):
        data = read_key("TEST_KEY_EC_SEC1")
        inner = take_der(data)[1]
        _, _, inner = take_der(inner)
        self.scalar = int.from_bytes(take_der(inner)[1], "big")

    def numbers(self, text):
        """r and s; the nonce is made of key and text, so that each run gives the same."""
        digest = hashlib.sha256(text).digest()
        seed = self.scalar.to_bytes(32, "big") + digest
        nonce = int.from_bytes(hashlib.sha256(seed).digest(), "big") % (N - 1) + 1
        r = times(nonce, G)[0] % N
        return r, pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * self.scalar) % N

    def sign(self, text):
        r, s = self.numbers(text)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
