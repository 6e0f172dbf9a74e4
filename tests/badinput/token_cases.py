# SPDX-License-Identifier: Apache-2.0
"""Session binding tokens, by the table of refusals in docs/HTTP.md (the first that is so counts),
RFC 7515 and RFC 8017. Readers: `rsa` and `p256`, a verifier that holds that key of the issuer.
Verdict: ok or the code of the refusal; CODE|CODE where the table leaves the choice.

Wrong claims are properly signed: they are only read behind a good signature."""
import base64
import datetime
import hashlib
import hmac
import json

from cases import Book
from signing import N, P256, SHA256_INFO, Rsa, read_key

NOW = 1767225600
ISSUER = "local_sha256_0123456789abcdef0123456789abcdef"
AUDIENCE = "hosted_sha256_fedcba9876543210fedcba9876543210"
OTHER = "edge_sha256_00000000000000000000000000000000"


def moment(seconds, micro=0):
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{micro:06d}Z"


def times(created, expires):
    return {"created_at": moment(created), "expires_at": moment(expires), "iat": created,
            "exp": expires}


HEADER = {"typ": "SBT", "alg": "RS256", "kid": ISSUER}
CLAIMS = {"sbt_id": "sbt-1", "user_id": "ann", "session_id": "desk", "local_backend_id": ISSUER,
          "hosted_backend_id": AUDIENCE, "iss": ISSUER, "sub": "ann", "jti": "sbt-1",
          **times(NOW - 60, NOW + 3600)}
TEXTS = ("sbt_id", "user_id", "session_id", "local_backend_id", "hosted_backend_id", "iss", "sub",
         "jti")


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def dump(value):
    return value if isinstance(value, (str, bytes)) else json.dumps(value, separators=(",", ":"))


class Tokens:
    def __init__(self):
        self.book = Book("token")
        self.rsa = Rsa("TEST_KEY_A_PKCS1")
        self.other = Rsa("TEST_KEY_B_PKCS1")
        self.p256 = P256()

    def text(self, header, claims):
        return b64(dump(header)) + b"." + b64(dump(claims))

    def signed(self, header=None, claims=None, key=None):
        text = self.text(HEADER if header is None else header, CLAIMS if claims is None else claims)
        return text + b"." + b64((key or self.rsa).sign(text))

    def header(self, name, verdict, header):
        self.book.add("header_" + name, "rsa", verdict, self.signed(header=header))

    def claims(self, name, verdict, claims):
        self.book.add("claims_" + name, "rsa", verdict, self.signed(claims=claims))


def members(pairs):
    """A JSON object from pairs, so that a name can come twice."""
    return "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}"


def shapes(all_):
    def add(name, token, verdict="token-malformed"):
        all_.book.add("shape_" + name, "rsa", verdict, token)

    good = all_.signed()
    head, body, sign = good.split(b".")
    add("good", good, "ok")
    for name, token in {
            "empty": b"", "word": b"token", "dots": b"..", "three_dots": b"...",
            "two_parts": head + b"." + body, "one_part": head, "four_parts": good + b".x",
            "dot_behind": good + b".", "dot_before": b"." + good,
            "no_header": b"." + body + b"." + sign, "blank_before": b" " + good,
            "blank_in_header": head[:8] + b" " + head[8:] + good[len(head):],
            "line_before": b"\n" + good, "padding": head + b"=." + body + b"." + sign,
            "padding_2": head + b"==." + body + b"." + sign, "alphabet_plus": b"+" + good[1:],
            "alphabet_slash": b"/" + good[1:], "quote": b'"' + good + b'"',
            "bearer": b"Bearer " + good, "nul_before": b"\0" + good, "high": b"\xe9" + good[1:],
            "percent": b"%" + good[1:], "header_one_letter": b"e." + body + b"." + sign,
            "header_spare_bits": b"e1." + body + b"." + sign, "json_alone": b'{"typ":"SBT"}',
            "admin_token": b"0" * 64}.items():
        add(name, token)
    # What stands behind the header is looked at behind its checks alone.
    for name, part in {"blank": sign + b" ", "line": sign + b"\n", "padding": sign + b"=",
                       "plus": b"+" + sign[1:], "spare_bits": sign[:-1] + b"-", "letter": b"A",
                       "nul": sign + b"\0"}.items():
        add("signature_" + name, head + b"." + body + b"." + part)
    add("long", head + b"." + body + b"." + b"A" * 4096, "token-too-big")
    add("long_garbage", b"x" * 5000, "token-too-big")
    add("long_by_one", good + b"A" * (4097 - len(good)), "token-too-big")
    for name, text in {"text": '"SBT"', "array": "[]", "null": "null", "number": "1", "empty": "",
                       "open": '{"typ":"SBT"', "behind": json.dumps(HEADER) + "x",
                       "two": json.dumps(HEADER) * 2, "comment": json.dumps(HEADER) + "//",
                       "mark": "\ufeff" + json.dumps(HEADER),
                       "deep": '{"a":' + "[" * 65 + "]" * 65 + "}", "single": str(HEADER)}.items():
        all_.header("is_" + name, "token-malformed", text)
        all_.claims("is_" + name, "token-malformed", text.replace("SBT", "x"))
    all_.header("is_utf8", "token-malformed", dump(HEADER).encode()[:-1] + b',"a":"\xff"}')
    all_.claims("is_utf8", "token-malformed", dump(CLAIMS).encode()[:-1] + b',"a":"\xff"}')
    for name in HEADER:
        all_.header("twice_" + name, "token-malformed",
                    members([*HEADER.items(), (name, HEADER[name])]))
    all_.header("twice_unknown", "token-malformed", members([*HEADER.items(), ("a", 1), ("a", 1)]))
    all_.header("twice_escaped", "token-malformed", dump(HEADER)[:-1] + r',"al\u0067":"none"}')


def headers(all_):
    def change(name, verdict, drop=None, **changes):
        header = {k: v for k, v in {**HEADER, **changes}.items() if k != drop}
        all_.header(name, verdict, header)

    change("unknown", "ok", x5u="http://other/")
    for name in HEADER:
        verdict = {"kid": "token-no-kid", "typ": "token-type", "alg": "token-algorithm"}[name]
        change("missing_" + name, verdict, drop=name)
        for kind, value in {"null": None, "number": 5, "array": [HEADER[name]], "object": {},
                            "empty": "", "true": True}.items():
            change(f"{name}_{kind}", verdict, **{name: value})
    change("kid_long", "token-no-kid", kid="k" * 65)
    for name, value in {"jwt": "JWT", "lower": "sbt", "blank": "SBT ", "blank_first": " SBT",
                        "more": "SBT+x", "full": "application/SBT"}.items():
        change("typ_" + name, "token-type", typ=value)
    for value in ("HS256", "HS384", "HS512"):
        change("alg_" + value.lower(), "token-alg-hmac", alg=value)
    for value in ("RS384", "RS512", "PS256", "PS384", "ES384", "ES512", "ES256K", "EdDSA",
                  "Ed25519",
                  "RSA-OAEP", "A128KW", "dir", "rs256", "Rs256", "RS256\0", "RS-256", "RS2561"):
        name = value.lower().replace("\0", "_nul")
        change("alg_" + ("rs256_lower" if value == "rs256" else "rs256_mixed" if value == "Rs256"
                         else name), "token-algorithm" if "\0" not in value else "token-malformed",
               alg=value)
    change("alg_blank", "token-algorithm", alg="RS256 ")
    change("alg_es256", "token-alg-key", alg="ES256")
    change("alg_none_signed", "token-alg-none", alg="none")
    change("alg_none_mixed", "token-alg-none|token-algorithm", alg="nOnE")
    for name, value in {"list": ["exp"], "empty": [], "null": None, "text": "exp",
                        "b64": ["b64"]}.items():
        change("crit_" + name, "token-crit", crit=value)
    # The classic forgeries: no signature, and the public key taken as a shared secret.
    text = all_.text({**HEADER, "alg": "none"}, CLAIMS)
    all_.book.add("none_unsigned", "rsa", "token-alg-none", text + b".")
    text = all_.text({**HEADER, "alg": "HS256"}, CLAIMS)
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(read_key("TEST_KEY_A_PUBLIC"))
    for name, secret in {"pem": pem, "der": read_key("TEST_KEY_A_PUBLIC"), "empty": b""}.items():
        mac = hmac.new(secret, text, hashlib.sha256).digest()
        all_.book.add("hmac_" + name, "rsa", "token-alg-hmac", text + b"." + b64(mac))
    es = {**HEADER, "alg": "ES256"}
    all_.book.add("p256_rs256", "p256", "token-alg-key", all_.signed())
    all_.book.add("p256_alg_none", "p256", "token-alg-none",
                  all_.text({**HEADER, "alg": "none"}, CLAIMS) + b".")
    all_.book.add("p256_good", "p256", "ok", all_.signed(header=es, key=all_.p256))
    all_.book.add("rsa_es256", "rsa", "token-alg-key", all_.signed(header=es, key=all_.p256))


def signatures(all_):
    rsa = all_.rsa
    text = all_.text(HEADER, CLAIMS)
    digest = hashlib.sha256(text).digest()
    right = rsa.sign(text)

    def add(name, signature, signed=text, verdict="token-signature"):
        all_.book.add("rsa_" + name, "rsa", verdict, signed + b"." + b64(signature))

    def block(name, data):
        assert len(data) == rsa.size
        add("block_" + name, rsa.raw(data).to_bytes(rsa.size, "big"))

    add("none", b"")
    add("other_key", all_.other.sign(text))
    add("p256_signature", all_.p256.sign(text))
    for name, signature in {
            "zeros": bytes(256), "ones": b"\xff" * 256, "one": bytes(255) + b"\x01",
            "short": right[:-1], "short_first": right[1:], "zero_behind": right + b"\0",
            "zero_before": b"\0" + right, "twice": right + right[:128],
            "first_bit": bytes([right[0] ^ 128]) + right[1:],
            "last_bit": right[:-1] + bytes([right[-1] ^ 1]), "reversed": right[::-1],
            "long": right + bytes(300), "modulus": rsa.modulus.to_bytes(256, "big"),
            "negative": (rsa.modulus - int.from_bytes(right, "big")).to_bytes(256, "big"),
            "hash": digest, "block_plain": rsa.block(digest)}.items():
        add(name, signature)
    wide = int.from_bytes(right, "big") + rsa.modulus
    add("above_modulus", wide.to_bytes(257, "big"))
    changed = all_.text(HEADER, {**CLAIMS, "user_id": "eve", "sub": "eve"})
    add("claims_changed", right, changed)
    add("header_changed", right, all_.text({**HEADER, "a": 1}, CLAIMS))
    add("header_respelled", right, b64(json.dumps(HEADER)) + b"." + b64(dump(CLAIMS)))
    size = rsa.size
    block("hash_other", rsa.block(hashlib.sha256(b"x").digest()))
    block("sha1_info", rsa.block(digest, bytes.fromhex("3021300906052b0e03021a05000414")))
    block("sha512_info", rsa.block(digest, bytes.fromhex("3051300d060960864801650304020305000440")))
    block("no_info", rsa.block(digest, b""))
    block("no_null", rsa.block(digest, bytes.fromhex("302f300b0609608648016503040201" "0420")))
    block("info_length", rsa.block(digest, SHA256_INFO[:1] + b"\x32" + SHA256_INFO[2:]))
    block("type_2", b"\x00\x02" + rsa.block(digest)[2:])
    block("type_0", b"\x00\x00" + rsa.block(digest)[2:])
    block("first_byte", b"\x01" + rsa.block(digest)[1:-1] + rsa.block(digest)[-1:])
    block("padding_zero", rsa.block(digest)[:9] + b"\x00" + rsa.block(digest)[10:])
    block("padding_fe", rsa.block(digest)[:9] + b"\xfe" + rsa.block(digest)[10:])
    content = SHA256_INFO + digest
    short = b"\x00\x01" + b"\xff" * 8 + b"\x00" + content
    block("padding_8", short + bytes(size - len(short)))
    block("garbage_behind", short + b"\xaa" * (size - len(short)))
    block("no_separator", b"\x00\x01" + b"\xff" * (size - 2 - len(content)) + content)
    block("hash_short",
          b"\x00\x01" + b"\xff" * (size - 3 - len(content) + 1) + b"\x00" + content[:-1])
    header = {**HEADER, "alg": "ES256"}
    signed = all_.text(header, CLAIMS)
    r, s = all_.p256.numbers(signed)

    def ec(name, signature, verdict="token-signature"):
        all_.book.add("p256_" + name, "p256", verdict, signed + b"." + b64(signature))

    def pair(a, b):
        return a.to_bytes(32, "big") + b.to_bytes(32, "big")

    ec("other_s", pair(r, N - s), "ok")  # as good as the other by the arithmetic
    for name, signature in {
            "none": b"", "zeros": pair(0, 0), "r_zero": pair(0, s), "s_zero": pair(r, 0),
            "r_order": pair(N, s), "s_order": pair(r, N), "ones": b"\xff" * 64,
            "both_one": pair(1, 1), "r_one": pair(1, s), "swapped": pair(s, r),
            "r_next": pair(r + 1, s), "s_next": pair(r, s + 1), "short": pair(r, s)[:-1],
            "long": pair(r, s) + b"\0", "zero_before": b"\0" + pair(r, s),
            "r_alone": pair(r, s)[:32], "three": pair(r, s) + pair(r, s)[:32],
            "der": b"\x30\x44\x02\x20" + pair(r, s)[:32] + b"\x02\x20" + pair(r, s)[32:],
            "other_text": all_.p256.sign(b"other"), "rsa_signature": right}.items():
        ec(name, signature)


def claims(all_):
    def change(name, verdict, drop=None, **changes):
        all_.claims(name, verdict, {k: v for k, v in {**CLAIMS, **changes}.items() if k != drop})

    change("unknown", "ok", aud="anybody", nbf=NOW + 10**6)
    for name, value in CLAIMS.items():
        change("missing_" + name, "token-claims", drop=name)
        change("null_" + name, "token-claims", **{name: None})
        change("array_" + name, "token-claims", **{name: [value]})
        all_.claims("twice_" + name, "token-claims", members([*CLAIMS.items(), (name, value)]))
        if name in TEXTS:
            longest = 64 if name.endswith("backend_id") or name == "iss" else 255
            change("empty_" + name, "token-claims", **{name: ""})
            change("long_" + name, "token-claims", **{name: "x" * (longest + 1)})
            change("number_" + name, "token-claims", **{name: 5})
        else:
            change("text_" + name, "token-claims", **{name: "soon"})
    change("nul", "token-claims", user_id="ann\0", sub="ann\0")
    all_.claims("twice_unknown", "token-claims", members([*CLAIMS.items(), ("a", 1), ("a", 2)]))
    for name, value in {"float": NOW - 59.5, "minus": -1, "text": str(NOW - 60),
                        "true": True}.items():
        change("iat_" + name, "token-claims", iat=value)
    for name, value in {"date": "2026-01-01", "month": "2026-13-01T00:00:00Z", "nothing": " ",
                        "zone": "2026-01-01T00:00:00+99:00"}.items():
        change("created_" + name, "token-claims|token-times", created_at=value)
    change("kid_mismatch", "token-kid-mismatch", iss=OTHER)
    change("jti_mismatch", "token-id-mismatch", jti="sbt-2")
    change("sub_mismatch", "token-user-mismatch", sub="Ann")
    for name, changes in {
            "iat_next": {"iat": NOW - 59}, "iat_before": {"iat": NOW - 61},
            "exp_next": {"exp": NOW + 3601}, "exp_before": {"exp": NOW + 3599},
            "iat_zero": {"iat": 0}, "exp_most": {"exp": 2**63}, "order": times(NOW + 30, NOW - 30),
            "iat_milliseconds": {"iat": (NOW - 60) * 1000}}.items():
        change("times_" + name, "token-times", **changes)
    change("expired", "token-expired", **times(NOW - 3600, NOW - 61))
    change("expired_long", "token-expired", **times(0, 1))
    change("expired_leeway", "ok", **times(NOW - 3600, NOW - 60))
    change("future", "token-not-yet-valid", **times(NOW + 61, NOW + 3600))
    change("future_far", "token-not-yet-valid", **times(2**33, 2**33 + 1))
    change("future_leeway", "ok", **times(NOW + 60, NOW + 3600))
    change("audience", "token-audience", hosted_backend_id=OTHER)
    change("audience_case", "token-audience", hosted_backend_id=AUDIENCE.upper())
    change("audience_prefix", "token-audience", hosted_backend_id=AUDIENCE[:-1])
    change("audience_longer", "token-audience", hosted_backend_id=AUDIENCE + "0")
    change("issuer_not_bound", "token-issuer-not-bound", local_backend_id=OTHER)
    change("issuer_case", "token-issuer-not-bound", local_backend_id=ISSUER.upper())
    # Two faults: the first in the order of the table is told.
    change("expired_and_audience", "token-expired", hosted_backend_id=OTHER,
           **times(NOW - 3600, NOW - 61))
    change("mismatch_and_expired", "token-user-mismatch", sub="eve", **times(0, 1))


def make():
    all_ = Tokens()
    for part in (shapes, headers, signatures, claims):
        part(all_)
    return all_.book
