# SPDX-License-Identifier: Apache-2.0
"""The primitives of engine/trust against published vectors and against forgeries made here.

Published: NIST and RFC vectors of python3-cryptography-vectors, and the Wycheproof project's when
the environment names a copy of its repository in WYCHEPROOF_DIR; the tests of vectors that are not
there are skipped, and say so. Forged here, with python3-cryptography doing the arithmetic: what
Wycheproof is feared for, so that it is tried everywhere. Every forgery must be refused."""
import glob
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import unittest

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    print("SKIPPED test_vectors: python3-cryptography is missing", file=sys.stderr)
    sys.exit(0)

TOOL = os.environ.get("TRUST_TOOL", "trust_tool")
WYCHEPROOF = os.environ.get("WYCHEPROOF_DIR", "")
try:
    import cryptography_vectors
    PUBLISHED = os.path.dirname(cryptography_vectors.__file__)
except ImportError:
    PUBLISHED = ""

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def need(folder, name):
    if folder and os.path.exists(folder):
        return
    print(f"SKIPPED {name}", file=sys.stderr)
    raise unittest.SkipTest(name)


def spell(field):
    return bytes(field).hex() or "-"


class Batch:
    """Requests with the answers they must get; one run of the tool for all."""

    def __init__(self):
        self.lines = []
        self.wanted = []
        self.labels = []

    def add(self, label, wanted, word, *fields):
        self.lines.append(" ".join([word] + [spell(field) for field in fields]))
        self.wanted.append(wanted)
        self.labels.append(label)

    def verdict(self, label, good, word, *fields):
        self.add(label, "ok" if good else "refused", word, *fields)

    def run(self, test, at_least):
        """Every answer as wanted; fewer than `at_least` means that the vectors were not read."""
        test.assertGreaterEqual(len(self.lines), at_least)
        done = subprocess.run([TOOL], input="\n".join(self.lines).encode() + b"\n",
                              stdout=subprocess.PIPE, check=True, timeout=250)
        answers = done.stdout.decode().splitlines()
        test.assertEqual(len(self.lines), len(answers))
        wrong = [f"{label}: wanted {wanted[:60]}, got {answer[:60]}" for label, wanted, answer
                 in zip(self.labels, self.wanted, answers) if wanted != answer]
        test.assertEqual([], wrong[:20], f"{len(wrong)} of {len(answers)} are wrong")
        print(f"{test.id()}: {len(answers)} as expected", file=sys.stderr)


def result(data):
    return "ok " + (data.hex() or "-")


# ---- Keys ----

def p256_spki(x, y):
    return P256_HEAD + b"\x04" + x + y


def number(value, size):
    return value.to_bytes(size, "big")


def der(tag, contents):
    size = len(contents)
    head = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 \
        else b"\x82" + number(size, 2)
    return bytes([tag]) + head + contents


def der_uint(value):
    data = number(value, max(1, (value.bit_length() + 7) // 8))
    return der(0x02, (b"\0" if data[0] >= 0x80 else b"") + data)


def rsa_spki(modulus, exponent):
    key = der(0x30, der_uint(modulus) + der_uint(exponent))
    return der(0x30, bytes.fromhex("300d06092a864886f70d0101010500") + der(0x03, b"\0" + key))


def spki_of(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


# ---- Published vectors ----

def records(path):
    """Yields (section, {name: value}) of a NIST response file; a blank line ends a record, and
    what comes before the first one of a section belongs to all of it."""
    section, common, record = "", {}, {}
    with open(path, encoding="ascii", errors="replace") as file:
        for line in list(file) + [""]:
            if line.startswith("#"):
                continue
            line = line.strip()
            if line.startswith("["):
                section, common = line, {}
            elif not line and record:
                yield section, {**common, **record}
                if "n" in record:
                    common = {"n": record["n"]}
                record = {}
            elif "=" in line:
                name, value = line.split("=", 1)
                record[name.strip()] = value.strip()


class Published(unittest.TestCase):
    def setUp(self):
        need(PUBLISHED, "published vectors: python3-cryptography-vectors is missing")

    def path(self, *parts):
        return os.path.join(PUBLISHED, *parts)

    def test_sha256(self):
        batch = Batch()
        for name in ("SHA256ShortMsg.rsp", "SHA256LongMsg.rsp"):
            for _, r in records(self.path("hashes", "SHA2", name)):
                if "MD" in r:
                    text = bytes.fromhex(r["Msg"])[:int(r["Len"]) // 8]
                    batch.add(name, "ok " + r["MD"], "sha256", text)
        batch.run(self, 120)

    def test_hmac_and_hkdf_sha256(self):
        batch = Batch()
        for _, r in records(self.path("HMAC", "rfc-4231-sha256.txt")):
            if "MD" in r:
                batch.add("hmac", "ok " + r["MD"], "hmac", bytes.fromhex(r["Key"]),
                          bytes.fromhex(r["Msg"]))
        with open(self.path("KDF", "rfc-5869-HKDF-SHA256.txt"), encoding="ascii") as file:
            for part in file.read().split("COUNT")[1:]:
                r = dict(re.findall(r"^(\w+) *= *(\S*)$", part, re.M))
                batch.add("hkdf", "ok " + r["OKM"], "hkdf", bytes.fromhex(r["IKM"]),
                          bytes.fromhex(r["salt"]), bytes.fromhex(r["info"]), r["L"].encode())
        batch.run(self, 8)

    def test_chacha20_poly1305(self):
        batch = Batch()
        names = {"Key": "KEY", "IV": "NONCE", "AAD": "AD", "Tag": "TAG", "Plaintext": "IN",
                 "Ciphertext": "CT"}
        for name in ("boringssl.txt", "openssl.txt"):
            with open(self.path("ciphers", "ChaCha20Poly1305", name), encoding="ascii") as file:
                text = file.read()
            for part in re.split(r"^COUNT", text, flags=re.M)[1:]:
                r = dict(re.findall(r"^(\w+) *[=:] *(.*)$", part, re.M))
                f = {names.get(k, k): v[1:-1].encode() if v.startswith('"') else bytes.fromhex(v)
                     for k, v in r.items() if k != "Result"}
                front = f["KEY"], f["NONCE"], f["AD"], f["CT"]
                wanted = "refused" if "Result" in r or len(f["NONCE"]) != 12 else result(f["IN"])
                batch.add(name, wanted, "aead", *front, f["TAG"])
                for bit in (0, 63, 127):
                    bad = bytearray(f["TAG"])
                    bad[bit // 8] ^= 1 << bit % 8
                    batch.verdict(name, False, "aead", *front, bad)
        batch.run(self, 250)

    def test_rsa_pkcs1_signatures(self):
        """Only RSA of 2048 and 3072 bits with SHA-256 is ours: all others must be refused."""
        batch = Batch()
        for name in ("SigVer15_186-3.rsp", "../SigVer15EMTest.txt"):
            for _, r in records(self.path("asymmetric", "RSA", "FIPS_186-2", name)):
                if "S" not in r or "n" not in r:
                    continue
                modulus, exponent = int(r["n"], 16), int(r["e"], 16)
                ours = r["SHAAlg"] == "SHA256" and 2048 <= modulus.bit_length() <= 3072
                batch.verdict(f"{name} {modulus.bit_length()} {r['SHAAlg']}",
                              ours and r["Result"].startswith("P"), "verify",
                              rsa_spki(modulus, exponent), bytes.fromhex(r["Msg"]),
                              bytes.fromhex(r["S"]))
        batch.run(self, 450)

    def test_ecdsa_signatures_and_keys(self):
        batch = Batch()
        folder = self.path("asymmetric", "ECDSA", "FIPS_186-3")
        for section, r in records(os.path.join(folder, "SigVer.rsp")):
            if section.startswith("[P-256") and "R" in r:
                q = [bytes.fromhex(r[k].zfill(64)) for k in ("Qx", "Qy")]
                good = section == "[P-256,SHA-256]" and r["Result"].startswith("P")
                batch.verdict(section, good, "verify", p256_spki(*q), bytes.fromhex(r["Msg"]),
                              bytes.fromhex(r["R"].zfill(64) + r["S"].zfill(64)))
        for section, r in records(os.path.join(folder, "PKV.rsp")):
            if section == "[P-256]" and "Qx" in r:
                q = [bytes.fromhex(r[k].zfill(len(r[k]) + len(r[k]) % 2)) for k in ("Qx", "Qy")]
                batch.verdict(section, r["Result"].startswith("P"), "key",
                              p256_spki(*(v.rjust(32, b"\0") for v in q)))
        batch.run(self, 80)


class Wycheproof(unittest.TestCase):
    """"acceptable" cases are legacy forms; ours is the strict reading, which refuses them."""

    def groups(self, name):
        path = os.path.join(WYCHEPROOF, "testvectors_v1", name)
        need(WYCHEPROOF and path, f"Wycheproof {name}: set WYCHEPROOF_DIR to a copy of its "
             "repository")
        with open(path, encoding="utf-8") as file:
            for group in json.load(file)["testGroups"]:
                for case in group["tests"]:
                    label = f"{name} {case['tcId']} {case['comment']} {case['flags']}"
                    yield group, case, label

    def signatures(self, pattern, at_least):
        batch = Batch()
        paths = sorted(glob.glob(os.path.join(WYCHEPROOF, "testvectors_v1", pattern)))
        for name in [os.path.basename(path) for path in paths] or [pattern]:
            for group, case, label in self.groups(name):
                key = group.get("publicKeyDer") or group["publicKeyAsn"]
                batch.verdict(label, case["result"] == "valid", "verify", bytes.fromhex(key),
                              bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        batch.run(self, at_least)

    def test_rsa_2048(self):
        self.signatures("rsa_signature_2048_sha256_test.json", 200)

    def test_rsa_3072(self):
        self.signatures("rsa_signature_3072_sha256_test.json", 200)

    def test_ecdsa_p256(self):
        self.signatures("ecdsa_secp256r1_sha256_p1363_test.json", 200)

    def test_chacha20_poly1305(self):
        batch = Batch()
        for _, case, label in self.groups("chacha20_poly1305_test.json"):
            f = {k: bytes.fromhex(case[k]) for k in ("key", "iv", "aad", "msg", "ct", "tag")}
            wanted = result(f["msg"]) if case["result"] == "valid" else "refused"
            batch.add(label, wanted, "aead", f["key"], f["iv"], f["aad"], f["ct"], f["tag"])
        batch.run(self, 200)

    def test_hkdf_and_hmac(self):
        batch = Batch()
        for _, case, label in self.groups("hkdf_sha256_test.json"):
            f = {k: bytes.fromhex(case[k]) for k in ("ikm", "salt", "info", "okm")}
            wanted = result(f["okm"]) if case["result"] == "valid" else "refused"
            batch.add(label, wanted, "hkdf", f["ikm"], f["salt"], f["info"],
                      str(case["size"]).encode())
        for group, case, label in self.groups("hmac_sha256_test.json"):
            if case["result"] == "valid" and group["tagSize"] == 256:
                batch.add(label, "ok " + case["tag"], "hmac", bytes.fromhex(case["key"]),
                          bytes.fromhex(case["msg"]))
        batch.run(self, 100)


# ---- Forgeries ----

class RsaForgeries(unittest.TestCase):
    """Each is the private key's work on something that is nearly the encoding of the hash."""

    @classmethod
    def setUpClass(cls):
        cls.keys = [rsa.generate_private_key(65537, bits) for bits in (2048, 3072)]

    def encodings(self, size, digest):
        """(label, encoded message) of what must not pass."""
        oid = SHA256_INFO[4:15]
        pad = lambda info: b"\0\x01" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
        seq = lambda algorithm: der(0x30, der(0x30, algorithm) + der(0x04, digest))
        good = SHA256_INFO + digest
        yield "no NULL", pad(seq(oid))
        yield "NULL with contents", pad(seq(oid + b"\x05\x01\0"))
        yield "two NULLs", pad(seq(oid + b"\x05\0\x05\0"))
        yield "an empty OCTET STRING for NULL", pad(seq(oid + b"\x04\0"))
        yield "an empty SEQUENCE for NULL", pad(seq(oid + b"\x30\0"))
        yield "a context tag for NULL", pad(seq(oid + b"\x80\0"))
        inner = der(0x30, oid + b"\x05\0")
        yield "long length outside", pad(b"\x30\x81" + good[1:])
        yield "two-byte length outside", pad(b"\x30\x82\0" + good[1:])
        yield "long length of the algorithm", pad(der(0x30, b"\x30\x81" + inner[1:]
                                                      + der(0x04, digest)))
        yield "long length of the OID", pad(seq(b"\x06\x81\x09" + oid[2:] + b"\x05\0"))
        yield "long length of the NULL", pad(seq(oid + b"\x05\x81\0"))
        yield "long length of the hash", pad(der(0x30, inner + b"\x04\x81\x20" + digest))
        yield "four-byte length of the hash", pad(der(0x30, inner + b"\x04\x84\0\0\0\x20" + digest))
        yield "indefinite length", pad(b"\x30\x80" + inner + der(0x04, digest) + b"\0\0")
        yield "constructed hash", pad(der(0x30, inner + der(0x24, der(0x04, digest[:16])
                                                            + der(0x04, digest[16:]))))
        yield "a wrong tag outside", pad(b"\x31" + good[1:])
        yield "a BIT STRING as hash", pad(der(0x30, inner + der(0x03, b"\0" + digest)))
        yield "a byte after the hash, inside", pad(der(0x30, inner + der(0x04, digest) + b"\0"))
        yield "a byte after the hash", pad(good + b"\0")
        yield "NULL after the hash", pad(good + b"\x05\0")
        yield "a long tail after the hash", b"\0\x01" + b"\xff" * 8 + b"\0" + good \
            + b"\xab" * (size - 11 - len(good))
        yield "a tail in the parameters", pad(seq(oid + der(0x04, b"\xab" * 60)))
        for name, other, algorithm in (("SHA-1", "2b0e03021a", "sha1"),
                                       ("SHA-224", "608648016503040204", "sha224"),
                                       ("SHA-384", "608648016503040202", "sha384"),
                                       ("SHA-512", "608648016503040203", "sha512"),
                                       ("MD5", "2a864886f70d0205", "md5")):
            its = der(0x06, bytes.fromhex(other)) + b"\x05\0"
            yield f"OID of {name}", pad(seq(its))
            yield f"hash of {name}", pad(der(0x30, der(0x30, its)
                                             + der(0x04, hashlib.new(algorithm, b"m").digest())))
        yield "no DigestInfo", pad(digest)
        yield "hash too short", pad(der(0x30, inner + der(0x04, digest[:-1])))
        yield "hash too long", pad(der(0x30, inner + der(0x04, digest + b"\0")))
        yield "empty hash", pad(der(0x30, inner + der(0x04, b"")))
        yield "another hash", pad(SHA256_INFO + hashlib.sha256(b"other").digest())
        for at in range(0, len(SHA256_INFO)):
            yield f"DigestInfo byte {at}", pad(bytes(
                v ^ (1 if i == at else 0) for i, v in enumerate(SHA256_INFO)) + digest)
        full = bytearray(pad(good))
        for label, at, value in (("first byte 1", 0, 1), ("type 0", 1, 0), ("type 2", 1, 2),
                                 ("type ff", 1, 255), ("padding 00 at once", 2, 0),
                                 ("padding fe", 20, 0xfe), ("padding 00", 30, 0),
                                 ("last padding fe", size - len(good) - 2, 0xfe),
                                 ("no separator", size - len(good) - 1, 0xff),
                                 ("separator 01", size - len(good) - 1, 1)):
            changed = bytearray(full)
            changed[at] = value
            yield label, bytes(changed)
        for short in (0, 1, 7, 8, 100):
            front = b"\0\x01" + b"\xff" * short + b"\0" + good
            yield f"{short} bytes of padding, zeros behind", front.ljust(size, b"\0")
            yield f"{short} bytes of padding, zeros before", front.rjust(size, b"\0")
        yield "zeros", b"\0" * size
        yield "one", b"\1".rjust(size, b"\0")
        yield "random padding", b"\0\x02" + (bytes(range(1, 256)) * 2)[:size - 3 - len(good)] \
            + b"\0" + good

    def test_everything_but_the_one_encoding_is_refused(self):
        batch = Batch()
        digest = hashlib.sha256(b"m").digest()
        for key in self.keys:
            n, d = key.public_key().public_numbers().n, key.private_numbers().d
            size = key.key_size // 8
            right = b"\0\x01" + b"\xff" * (size - 54) + b"\0" + SHA256_INFO + digest
            sign = lambda message: number(pow(int.from_bytes(message, "big"), d, n), size)
            batch.verdict("the right one", True, "verify", spki_of(key), b"m", sign(right))
            for label, message in self.encodings(size, digest):
                self.assertNotEqual(right, message, label)
                self.assertEqual(size, len(message), label)
                batch.verdict(label, False, "verify", spki_of(key), b"m", sign(message))
        batch.run(self, 160)

    def test_signatures_out_of_range_or_of_another_length_are_refused(self):
        batch = Batch()
        digest = hashlib.sha256(b"m").digest()
        for key in self.keys:
            n, d = key.public_key().public_numbers().n, key.private_numbers().d
            size = key.key_size // 8
            right = b"\0\x01" + b"\xff" * (size - 54) + b"\0" + SHA256_INFO + digest
            s = pow(int.from_bytes(right, "big"), d, n)
            good = number(s, size)
            bad = [b"", b"\0", number(0, size), number(1, size), number(n - 1, size),
                   number(n, size), number(n - s, size), good[:-1], good[1:], b"\0" + good,
                   good + b"\0", b"\0\0" + good, good * 2, good[::-1], number(s + n, size + 1),
                   b"\xff" * size, right, digest]
            if (s + n).bit_length() <= 8 * size:
                bad.append(number(s + n, size))
            for bit in range(0, 8 * size, 61):
                bad.append(number(s ^ 1 << bit, size))
            for index, signature in enumerate(bad):
                batch.verdict(f"signature {index}", False, "verify", spki_of(key), b"m", signature)
            batch.verdict("another message", False, "verify", spki_of(key), b"n", good)
        batch.run(self, 100)

    def test_keys_that_are_none_of_ours_are_refused(self):
        batch = Batch()
        n = self.keys[0].public_key().public_numbers().n
        for label, modulus, exponent in (
                ("even modulus", n - 1, 65537), ("exponent 1", n, 1), ("exponent 0", n, 0),
                ("even exponent", n, 65536), ("2047 bits", n >> 1 | 1, 65537),
                ("4096 bits", n * n | 1, 65537), ("exponent of 9 bytes", n, 2**71 + 1),
                ("modulus 0", 0, 3), ("modulus 1", 1, 3)):
            batch.verdict(label, False, "key", rsa_spki(modulus, exponent))
        good = spki_of(self.keys[0])
        batch.verdict("good", True, "key", good)
        for label, key in (("cut", good[:-1]), ("longer", good + b"\0"),
                           ("long length", b"\x30\x83\0" + good[2:]),
                           ("another OID", good.replace(bytes.fromhex("010101"),
                                                        bytes.fromhex("01010a"))),
                           ("negative modulus", good.replace(b"\x02\x82\x01\x01\0",
                                                             b"\x02\x82\x01\x01\x80"))):
            batch.verdict(label, False, "key", key)
        batch.run(self, 15)


class EcdsaForgeries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.key = ec.generate_private_key(ec.SECP256R1())
        cls.spki = spki_of(cls.key)

    def signature(self, message=b"m"):
        return utils.decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))

    def test_signatures_out_of_range_or_of_another_form_are_refused(self):
        batch = Batch()
        for turn in range(3):
            r, s = self.signature()
            pair = lambda a, b: number(a % 2**256, 32) + number(b % 2**256, 32)
            good = pair(r, s)
            batch.verdict("good", True, "verify", self.spki, b"m", good)
            # Not a forgery: -s is as good as s, here and in every JWT library.
            batch.verdict("-s", True, "verify", self.spki, b"m", pair(r, N - s))
            batch.verdict("another message", False, "verify", self.spki, b"n", good)
            odd = (0, 1, N - 1, N, N + 1, P, P + 1, P - N, 2**256 - 1, 2**255)
            for a in odd:
                for b in odd:
                    batch.verdict(f"r={a:x} s={b:x}", False, "verify", self.spki, b"m", pair(a, b))
                batch.verdict(f"r={a:x}", False, "verify", self.spki, b"m", pair(a, s))
                batch.verdict(f"s={a:x}", False, "verify", self.spki, b"m", pair(r, a))
            for label, a, b in (("swapped", s, r), ("-r", N - r, s), ("-r -s", N - r, N - s),
                                ("r+1", r + 1, s), ("s+1", r, s + 1), ("negative r", -r, s),
                                ("negative s", r, -s)):
                batch.verdict(label, False, "verify", self.spki, b"m", pair(a, b))
            wide = lambda a, b, size: number(a, size) + number(b, size)
            for label, signature in (
                    ("empty", b""), ("r alone", good[:32]), ("cut", good[:-1]),
                    ("cut by two", good[:-2]), ("longer", good + b"\0"),
                    ("zero before", b"\0" + good),
                    ("33 bytes each", wide(r, s, 33)), ("r+n", wide(r + N, s, 33)),
                    ("s+n", wide(r, s + N, 33)), ("r+n s+n", wide(r + N, s + N, 33)),
                    ("64 bytes each", wide(r, s, 64)), ("r+2^256", wide(r + 2**256, s, 33)),
                    ("DER", utils.encode_dss_signature(r, s)), ("twice", good * 2),
                    ("bytes turned round", good[:32][::-1] + good[32:][::-1])):
                batch.verdict(label, False, "verify", self.spki, b"m", signature)
            for bit in range(turn, 512, 8):
                flipped = number(int.from_bytes(good, "big") ^ 1 << bit, 64)
                batch.verdict(f"bit {bit}", False, "verify", self.spki, b"m", flipped)
        batch.run(self, 600)

    def test_small_r_and_s_leave_no_way_round(self):
        """r + n fits into 32 bytes only when r < p - n, which nature never shows: forge a key for
        it. With Q = (s R - e G) / r the pair (r, s) is good for the point R of x coordinate r."""
        batch = Batch()
        e = int.from_bytes(hashlib.sha256(b"m").digest(), "big") % N
        found = 0
        for x in range(1, 60):
            point = point_at(x)
            if point is None:
                continue
            found += 1
            for s in (1, 2, 3, N - 1, 12345):
                q = times(pow(x, -1, N), add(times(s, point), times(N - e, G)))
                spki = p256_spki(number(q[0], 32), number(q[1], 32))
                batch.verdict(f"r={x}", True, "verify", spki, b"m", number(x, 32) + number(s, 32))
                batch.verdict(f"r={x}+n", False, "verify", spki, b"m",
                              number(x + N, 32) + number(s, 32))
                if s < P - N:
                    batch.verdict(f"s={s}+n", False, "verify", spki, b"m",
                                  number(x, 32) + number(s + N, 32))
        self.assertGreater(found, 10)
        batch.run(self, 100)

    def test_keys_that_are_no_points_are_refused(self):
        batch = Batch()
        numbers = self.key.public_key().public_numbers()
        x, y = number(numbers.x, 32), number(numbers.y, 32)
        batch.verdict("good", True, "key", self.spki)
        batch.verdict("-y", True, "key", p256_spki(x, number(P - numbers.y, 32)))
        zero, all_ones = b"\0" * 32, b"\xff" * 32
        for label, a, b in (("zero", zero, zero), ("x 0", zero, y), ("y 0", x, zero),
                            ("ones", all_ones, all_ones), ("swapped", y, x),
                            ("x = p", number(P, 32), y), ("y = p", x, number(P, 32)),
                            ("y + 1", x, number(numbers.y + 1, 32)),
                            ("x + 1", number(numbers.x + 1, 32), y)):
            batch.verdict(label, False, "key", p256_spki(a, b))
            batch.verdict(label, False, "verify", p256_spki(a, b), b"m", b"\1" * 64)
        root = point_at(5)
        if root is not None and 5 + P < 2**256:  # the same point with x not reduced
            batch.verdict("x + p", False, "key", p256_spki(number(5 + P, 32), number(root[1], 32)))
        bits = lambda point: P256_HEAD[:1] + bytes([len(point) + 24]) + P256_HEAD[2:23] \
            + der(0x03, b"\0" + point)
        even = bytes([2 + numbers.y % 2])
        for label, key in (("infinity", bits(b"\0")), ("no point", bits(b"")),
                           ("compressed", bits(even + x)),
                           ("hybrid", bits(bytes([even[0] + 4]) + x + y)),
                           ("x alone", bits(b"\4" + x)),
                           ("one byte more", bits(b"\4" + x + y + b"\0")),
                           ("one byte less", bits((b"\4" + x + y)[:-1])),
                           ("unused bits", self.spki.replace(b"\x03\x42\0", b"\x03\x42\1")),
                           ("cut", self.spki[:-1]), ("longer", self.spki + b"\0"),
                           ("secp256k1", self.spki.replace(bytes.fromhex("06082a8648ce3d030107"),
                                                           bytes.fromhex("06082a8648ce3d03010a")))):
            batch.verdict(label, False, "key", key)
        for curve in (ec.SECP256K1(), ec.SECP384R1(), ec.SECP224R1()):
            other = ec.generate_private_key(curve)
            batch.verdict(curve.name, False, "key", spki_of(other))
        explicit = der(0x30, der(0x30, bytes.fromhex("06072a8648ce3d0201") + der(0x30, der_uint(1)))
                       + der(0x03, b"\0\4" + x + y))
        batch.verdict("explicit parameters", False, "key", explicit)
        batch.run(self, 30)


# The curve, by the book: for forged keys that no library would make.
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)
B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b


def point_at(x):
    square = (x**3 - 3 * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    return (x, y) if y * y % P == square else None


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return (x, (slope * (a[0] - x) - a[1]) % P)


def times(k, point):
    out = None
    while k:
        if k & 1:
            out = add(out, point)
        point = add(point, point)
        k >>= 1
    return out


class Seals(unittest.TestCase):
    """Records written by another implementation open, and changed ones do not."""

    def record(self, secret, context, plain, salt, nonce, version=1):
        head = struct.pack(">8sBBHII", b"pl-seal\0", version, 1, 0, 0, 0) + salt + nonce
        key = HKDF(hashes.SHA256(), 32, salt, b"parley seal v1").derive(secret)
        bound = hashlib.sha256(head + context).digest()
        return head + ChaCha20Poly1305(key).encrypt(nonce, plain, bound)

    def test_records_made_elsewhere_open_and_changed_ones_do_not(self):
        batch = Batch()
        for size in (0, 1, 15, 16, 17, 63, 64, 65, 255, 1000):
            secret, context = os.urandom(32 + size % 7), b"parley identity"
            plain = os.urandom(size)
            record = self.record(secret, context, plain, os.urandom(32), os.urandom(12))
            batch.add(f"{size} bytes", result(plain), "unseal", secret, context, record)
            batch.verdict("another context", False, "unseal", secret, context + b"x", record)
            batch.verdict("another secret", False, "unseal", secret[::-1], context, record)
            batch.verdict("cut", False, "unseal", secret, context, record[:-1])
            batch.verdict("longer", False, "unseal", secret, context, record + b"\0")
            for at in range(0, len(record), 1 + len(record) // 90):
                changed = bytearray(record)
                changed[at] ^= 1
                batch.verdict(f"byte {at}", False, "unseal", secret, context, changed)
        batch.run(self, 700)


if __name__ == "__main__":
    unittest.main()
