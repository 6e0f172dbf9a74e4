# SPDX-License-Identifier: Apache-2.0
"""Frames and what is in them, by docs/PROTOCOL.md.

Readers: `split`, the bytes of one direction behind the preface, with the verdict ERROR@N (refused,
and not before N bytes are there nor later), `need` or `whole`; `server` and `client`, a session
that reads these bytes, preface included, with the verdict bye:NAME, `closed` (the other side said
BYE) or `waits`; `state`, `changes`, `query`, `tally`, `diff`, the body of one such message, with
EPROTO or ok."""
import struct

from cases import Book

MAX = 65536
# Type: name and greatest body. CHANGES, OFFER, PART, QUERY and PACKED have what a frame has.
LIMITS = {1: ("hello", 512), 2: ("proof", 21504), 3: ("join", 1024), 4: ("joined", 512),
          5: ("join_done", 16), 6: ("state", 8192), 8: ("ack", 32), 10: ("want", 4096),
          12: ("bye", 512), 14: ("answer", 4096), 16: ("tally", 2048), 17: ("diff", 128)}
PREFACE = b"\xc1PLY"
SERVER_ID = b"local_sha256_ae27b04f09e5cad3773e176506377423"  # of the tests' key A
CLIENT_ID = b"local_sha256_" + b"b" * 32


def frame(kind, body):
    return struct.pack(">IB", len(body) + 1, kind) + body


def text(value):
    return b"\xd9" + bytes([len(value)]) + value


def binary(value):
    return b"\xc5" + struct.pack(">H", len(value)) + value


def array(*items):
    return b"\xdc" + struct.pack(">H", len(items)) + b"".join(items)


HELLO = {"version": b"\x01", "id": text(CLIENT_ID), "nonce": binary(b"n" * 32),
         "incarnation": binary(b"i" * 16), "features": b"\x00", "join": b"\xc2",
         "hint": binary(b"h" * 16)}
PROOF = {"signature": binary(b"s" * 256), "key": b"\xc0", "rotations": b"\x90", "reveal": b"\xc0"}


def hello(behind=(), **changes):
    return frame(1, array(*{**HELLO, **changes}.values(), *behind))


def proof(behind=(), **changes):
    return frame(2, array(*{**PROOF, **changes}.values(), *behind))


def splits(book):
    def add(name, verdict, data):
        book.add("split_" + name, "split", verdict, data)

    for kind in (1, 7, 12, 255):
        add(f"length_0_{kind}", "EMALFORMED@4", struct.pack(">IB", 0, kind))
    for name, length in (("most", 2**32 - 1), ("sign", 2**31), ("sign_less", 2**31 - 1),
                         ("mib", 2**20), ("max", MAX), ("max_less_3", MAX - 3)):
        add(f"length_{name}", "ETOOBIG@4", struct.pack(">IB", length, 7))
    for name, head in (("http", b"GET /"), ("tls", b"\x16\x03\x01\x02\x00"), ("preface", PREFACE),
                       ("text", b"hello")):
        add(f"length_{name}", "ETOOBIG@4", head + b"\x01")
    for kind in (0, 18, 19, 32, 127, 128, 254, 255):
        add(f"type_{kind}", "EPROTO@5", struct.pack(">IB", 1, kind))
        add(f"type_{kind}_long", "EPROTO@5", struct.pack(">IB", 600, kind) + b"x" * 600)
    for kind, (name, most) in LIMITS.items():
        add(f"above_{name}", "ETOOBIG@5", struct.pack(">IB", most + 2, kind))
        add(f"at_{name}", "whole", frame(kind, b"x" * most))
        add(f"at_{name}_cut", "need", frame(kind, b"x" * most)[:-1])
    for length in range(5):
        add(f"cut_{length}", "need", frame(5, b"\x90")[:length])


def hellos(book):
    def add(name, verdict, data):
        book.add("hello_" + name, "server", verdict, data)

    for length in range(1, 4):
        add(f"preface_cut_{length}", "waits", PREFACE[:length])
        bad = PREFACE[:length] + b"x"
        add(f"preface_{length}", "bye:PROTOCOL", bad)
    for name, data in {"first": b"x", "lower": b"\xc1ply", "http": b"GET / HTTP/1.1\r\n\r\n",
                       "zero": b"\0", "no_preface": hello()}.items():
        add("preface_" + name, "bye:PROTOCOL", data)
    add("good", "waits", PREFACE + hello())
    add("cut", "waits", PREFACE + hello()[:-1])
    for name, version in (("0", b"\x00"), ("2", b"\x02"), ("127", b"\x7f"),
                          ("most", b"\xcf" + b"\xff" * 8)):
        add("version_" + name, "bye:VERSION", PREFACE + hello(version=version))
    # Whatever follows another version: a later protocol may change the rest.
    add("version_2_short", "bye:VERSION", PREFACE + frame(1, b"\x91\x02"))
    add("version_2_other", "bye:VERSION", PREFACE + frame(1, b"\x92\x02\xc1"))
    shapes = {
        "version_minus": hello(version=b"\xff"), "version_text": hello(version=text(b"1")),
        "version_float": hello(version=b"\xca\x3f\x80\x00\x00"), "empty": frame(1, b""),
        "nil": frame(1, b"\xc0"), "map": frame(1, b"\x81\x01\x01"), "no_fields": frame(1, b"\x90"),
        "reserved": frame(1, b"\xc1"), "six": frame(1, array(*list(HELLO.values())[:-1])),
        "eight": hello(behind=(b"\xc0",)), "behind": frame(1, array(*HELLO.values()) + b"\xc0"),
        "cut_inside": frame(1, array(*HELLO.values())[:-1]),
        "count_lie": frame(1, b"\xdd\xff\xff\xff\xff" + b"\x01" * 40),
        "id_empty": hello(id=text(b"")), "id_long": hello(id=text(b"l" * 65)),
        "id_blank": hello(id=text(b"local sha")), "id_nul": hello(id=text(b"local\0")),
        "id_newline": hello(id=text(b"local\n")), "id_high": hello(id=text(b"l\xc3\xb6cal")),
        "id_delete": hello(id=text(b"local\x7f")), "id_bin": hello(id=binary(CLIENT_ID)),
        "id_nil": hello(id=b"\xc0"), "id_lie": hello(id=b"\xdb\xff\xff\xff\xff"),
        "nonce_31": hello(nonce=binary(b"n" * 31)), "nonce_33": hello(nonce=binary(b"n" * 33)),
        "nonce_empty": hello(nonce=binary(b"")), "nonce_text": hello(nonce=text(b"n" * 32)),
        "nonce_nil": hello(nonce=b"\xc0"), "incarnation_15": hello(incarnation=binary(b"i" * 15)),
        "incarnation_17": hello(incarnation=binary(b"i" * 17)),
        "incarnation_text": hello(incarnation=text(b"i" * 16)),
        "features_minus": hello(features=b"\xff"), "features_text": hello(features=text(b"0")),
        "join_uint": hello(join=b"\x00"), "join_nil": hello(join=b"\xc0"),
        "hint_15": hello(hint=binary(b"h" * 15)), "hint_17": hello(hint=binary(b"h" * 17)),
        "hint_text": hello(hint=text(b"h" * 16)), "no_hint": hello(hint=b"\xc0"),
        "join_with_hint": hello(join=b"\xc3"), "is_proof": proof(), "is_state": frame(6, b"\x90"),
        "is_join": frame(3, array(binary(b"s" * 16))), "is_packed": frame(15, b"\x07"),
        "is_changes": frame(7, b"\xcf" + bytes(8)), "is_unknown": frame(99, b"\x90"),
        "length_0": bytes(5)}
    for name, data in shapes.items():
        add(name, "bye:PROTOCOL", PREFACE + data)
    add("self", "bye:SELF", PREFACE + hello(id=text(SERVER_ID)))
    add("long_forms", "waits", PREFACE + hello(version=b"\xcf" + bytes(7) + b"\x01",
                                               id=b"\xdb\x00\x00\x00" + text(CLIENT_ID)[1:]))
    add("unknown_features", "waits", PREFACE + hello(features=b"\xcf" + b"\xff" * 8))
    for name, body in {"plain": array(b"\x00", text(b"bye")),
                       "more": array(b"\x00", text(b""), b"\xc0", b"\x80"),
                       "unknown": array(b"\xcd\xff\xff", text(b"")), "malformed": b"\xc1"}.items():
        add("bye_" + name, "closed", PREFACE + frame(12, body))


def proofs(book):
    def server(name, verdict, *frames):
        book.add("proof_" + name, "server", verdict, PREFACE + b"".join(frames))

    shapes = {
        "empty": frame(2, b""), "three": frame(2, array(*list(PROOF.values())[:-1])),
        "five": proof(behind=(b"\xc0",)), "behind": frame(2, array(*PROOF.values()) + b"\x00"),
        "signature_empty": proof(signature=binary(b"")),
        "signature_long": proof(signature=binary(b"s" * 385)),
        "signature_text": proof(signature=text(b"s" * 255)),
        "signature_nil": proof(signature=b"\xc0"), "key_empty": proof(key=binary(b"")),
        "key_long": proof(key=binary(b"k" * 513)), "key_unasked": proof(key=binary(b"k" * 294)),
        "reveal_unasked": proof(reveal=binary(b"r" * 32)),
        "reveal_31": proof(reveal=binary(b"r" * 31)), "rotations_nil": proof(rotations=b"\xc0"),
        "rotations_17": proof(rotations=array(*[binary(b"r")] * 17)),
        "rotation_long": proof(rotations=array(binary(b"r" * 1281))),
        "rotations_lie": proof(rotations=b"\xdd\xff\xff\xff\xff"), "is_hello": hello(),
        "is_state": frame(6, b"\x90"), "is_join": frame(3, array(binary(b"s" * 16))),
        "is_changes": frame(7, b"\xcf" + bytes(8))}
    for name, data in shapes.items():
        server(name, "bye:PROTOCOL", hello(), data)
    joining = hello(join=b"\xc3", hint=b"\xc0")
    for name, data in {"join_no_key": proof(reveal=binary(b"r" * 32)),
                       "join_no_reveal": proof(key=binary(b"k" * 294)),
                       "join_reveal_33": proof(key=binary(b"k" * 294), reveal=binary(b"r" * 33)),
                       "join_first": frame(3, array(binary(b"s" * 16)))}.items():
        server(name, "bye:PROTOCOL", joining, data)
    server("join_key_no_der", "bye:PROOF", joining,
           proof(key=binary(b"k" * 294), reveal=binary(b"r" * 32)))
    for name, size in (("forged", 256), ("forged_short", 1), ("forged_long", 384)):
        server(name, "bye:PROOF", hello(), proof(signature=binary(b"\x01" * size)))
    server("rotation_garbage", "bye:PROOF", hello(), proof(rotations=array(binary(b"r" * 40))))
    answer = hello(id=text(SERVER_ID))
    joined = frame(4, array(text(b"main"), b"\xc3", binary(b"r" * 32)))
    for name, verdict, data in (
            ("join", "bye:PROTOCOL", hello(id=text(SERVER_ID), join=b"\xc3")),
            ("no_hint", "bye:PROTOCOL", hello(id=text(SERVER_ID), hint=b"\xc0")),
            ("other_id", "bye:PROOF", hello(id=text(b"local_sha256_" + b"c" * 32))),
            ("preface", "bye:PROTOCOL", PREFACE + answer), ("proof_first", "bye:PROTOCOL", proof()),
            ("twice", "bye:PROTOCOL", answer + answer),
            ("forged", "bye:PROOF", answer + proof()),
            ("version", "bye:VERSION", hello(version=b"\x02")),
            ("joined", "bye:PROTOCOL", answer + joined),
            ("http", "bye:PROTOCOL", b"HTTP/1.1 400 Bad Request\r\n\r\n")):
        book.add("client_" + name, "client", verdict, data)


# ---- Bodies of sync messages ----

SPACE = {"name": text(b"main"), "count": b"\x00", "sum": binary(bytes(16)), "floor": b"\x00",
         "clean": b"\x00", "counted": b"\x00", "cut": b"\x00", "since": b"\x00",
         "prefix": text(b"")}
STATE = {"head": b"\x05", "incarnation": binary(b"i" * 16), "cursor": b"\x05", "wall": b"\x05",
         "spaces": array(array(*SPACE.values())), "compare": b"\xc2"}


def states(book):
    def add(name, verdict, body):
        book.add("state_" + name, "state", verdict, body)

    def space(**changes):
        return {"spaces": array(array(*{**SPACE, **changes}.values()))}

    def state(**changes):
        return array(*{**STATE, **changes}.values())

    add("good", "ok", state())
    add("nil_cursor", "ok", state(incarnation=b"\xc0"))
    for name, changes in {
            "head_minus": {"head": b"\xff"}, "head_text": {"head": text(b"5")},
            "head_float": {"head": b"\xca" + bytes(4)},
            "incarnation_15": {"incarnation": binary(b"i" * 15)},
            "incarnation_text": {"incarnation": text(b"i" * 16)}, "cursor_nil": {"cursor": b"\xc0"},
            "wall_above": {"wall": b"\xcf" + b"\xff" * 8}, "wall_text": {"wall": text(b"5")},
            "spaces_map": {"spaces": b"\x80"},
            "spaces_65": {"spaces": array(*[array(*SPACE.values())] * 65)},
            "spaces_lie": {"spaces": b"\xdd\xff\xff\xff\xff"}, "compare_uint": {"compare": b"\x00"},
            "compare_nil": {"compare": b"\xc0"}, "name_long": space(name=text(b"n" * 65)),
            "name_bin": space(name=binary(b"main")), "count_minus": space(count=b"\xff"),
            "sum_15": space(sum=binary(bytes(15))), "sum_17": space(sum=binary(bytes(17))),
            "floor_minus": space(floor=b"\xff"), "counted_minus": space(counted=b"\xff"),
            "prefix_long": space(prefix=b"\xda\x01\x00" + b"p" * 256),
            "prefix_nil": space(prefix=b"\xc0"),
            "space_eight": {"spaces": array(array(*list(SPACE.values())[:-1]))},
            "space_ten": {"spaces": array(array(*SPACE.values(), b"\xc0"))}}.items():
        add(name, "EPROTO", state(**changes))
    add("five", "EPROTO", array(*list(STATE.values())[:-1]))
    add("seven", "EPROTO", array(*STATE.values(), b"\xc0"))
    add("behind", "EPROTO", state() + b"\xc0")
    add("empty", "EPROTO", b"")


def changes(book):
    names = b"\x00" + text(b"main") + b"\x01" + text(b"c")
    origin = b"\x02" + text(b"o")
    body = b"\x92\xa4user\xa1x"

    def version(tag=14, shared=b"\x00", rest=text(b"m"), time=b"\x05", value=body):
        return bytes([tag]) + shared + rest + time + value

    def add(name, verdict, data):
        book.add("changes_" + name, "changes", verdict, data)

    add("good", "ok", names + origin + version())
    add("tombstone", "ok", names + origin + version(tag=15, value=b""))
    for name, data in {
            "tag_4": names + b"\x04\x00", "tag_7": names + b"\x07\x00",
            "tag_minus": names + b"\xff", "tag_text": names + text(b"0"),
            "kind_0": names + origin + version(tag=8), "kind_5": names + origin + version(tag=18),
            "kind_59": names + origin + version(tag=126), "no_origin": names + version(),
            "origin_index": names + origin + b"\x03\x01" + version(),
            "origin_index_most": names + origin + b"\x03\xcf" + b"\xff" * 8 + version(),
            "origin_33": names + origin * 33,
            "origin_long": names + b"\x02\xda\x01\x00" + b"o" * 256,
            "origin_uint": names + b"\x02\x05", "namespace_long": b"\x00" + text(b"n" * 65),
            "namespace_nil": b"\x00\xc0", "conversation_long": b"\x01\xda\x01\x00" + b"c" * 256,
            "id_shared_first": names + origin + version(shared=b"\x01"),
            "id_shared_more": names + origin + version() + version(shared=b"\x02"),
            "id_shared_most": names + origin + version(shared=b"\xcf" + b"\xff" * 8),
            "id_long": names + origin + version(rest=b"\xda\x01\x00" + b"m" * 256),
            "id_bin": names + origin + version(rest=binary(b"m")),
            "time_text": names + origin + version(time=text(b"5")),
            "time_float": names + origin + version(time=b"\xca" + bytes(4)),
            "no_body": names + origin + version(value=b""),
            "body_cut": names + origin + version(value=body[:-1]),
            "body_reserved": names + origin + version(value=b"\xc1"),
            "body_deep": names + origin + version(value=b"\x91" * 65 + b"\xc0"),
            "body_lie": names + origin + version(value=b"\xdd\xff\xff\xff\xff")}.items():
        add(name, "EPROTO", data)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def queries(book):
    def add(name, verdict, *parts):
        book.add("query_" + name, "query", verdict, b"\x01" + b"".join(parts))

    begin = b"\x01saltsalt"
    space = b"\x02\x01\x04main"
    end = b"\x01" + varint(2**32 - 1)  # 2^64 - 1 is one less than 0
    split = b"\x03\x00\x00" + b"\x01" + end + b"\x05fingerpr"
    leaf = b"\x04\x00\x00" + end + b"\x01\x05keykey"
    add("good", "ok", begin, space, split, space, leaf)
    over = b"\x80" * 10 + b"\x01"
    for name, part in {
            "item_0": b"\x00", "item_8": b"\x08", "item_255": b"\xff", "begin_cut": begin[:-1],
            "space_name_none": b"\x02\x01\x00", "space_name_long": b"\x02\x01\x41" + b"n" * 65,
            "space_name_cut": b"\x02\x01\x04mai", "space_flag_4": b"\x02\x04\x04main",
            "space_flag_64": b"\x02\x40\x04main",
            "space_flag_2_40": b"\x02" + varint(2**40) + b"\x04main",
            "space_flags_64_bits": b"\x02" + over + b"\x04main",
            "space_prefix_long": b"\x02\x09\x04main\x00" + varint(256) + b"p" * 256,
            "split_parts_0": b"\x03\x00\x00\x00",
            "split_parts_33": b"\x03\x00\x00\x21" + (b"\x02\x00\x01fingerpr" * 33),
            "split_parts_most": b"\x03\x00\x00" + varint(2**64 - 1), "split_cut": split[:-1],
            "split_varint": b"\x03" + over, "split_prefix": b"\x03\x00" + varint(2**32),
            "split_backwards": b"\x03\x0a\x00\x01\x01\x00\x01fingerpr",
            "leaf_keys_385": b"\x04\x00\x00" + end + varint(385) + b"\x00keykey" * 385,
            "leaf_cut": leaf[:-1], "leaf_backwards": b"\x04\x0a\x00\x01\x00\x00",
            "leaf_beyond": b"\x04\x00\x00\x04\x00\x01\x05keykey", "have_0": b"\x06\x00",
            "have_385": b"\x06" + varint(385) + b"\x02keykey" * 385,
            "have_cut": b"\x06\x01\x02keyke", "have_varint": b"\x06" + over}.items():
        add(name, "EPROTO", begin, space if not name.startswith("space") else b"", part)


def counts(book):
    def tally(name, verdict, body):
        book.add("tally_" + name, "tally", verdict, body)

    tally("good", "ok", b"\x02\x64\x02keykey123456")
    for name, body in {"empty": b"", "two": b"\x02\x64", "cut": b"\x02\x64\x02keykey12345",
                       "behind": b"\x02\x64\x01keykey\x00",
                       "keys_above_versions": b"\x01\x64\x02keykey123456",
                       "keys_257": varint(300) + b"\x64" + varint(257) + b"keykey" * 257,
                       "keys_most": varint(2**64 - 1) + b"\x00" + varint(2**64 - 1),
                       "varint_11": b"\x80" * 10 + b"\x01\x00\x00",
                       "varint_65_bits": b"\xff" * 9 + b"\x02\x00\x00",
                       "varint_open": b"\x80"}.items():
        tally(name, "EPROTO", body)

    def diff(name, verdict, body):
        book.add("diff_" + name, "diff", verdict, body)

    diff("ask", "ok", b"\x90")
    diff("told", "ok", b"\x96\x01\x02\x03\x04\x05\xc3")
    for name, body in {"empty": b"", "nil": b"\xc0", "five": b"\x95\x01\x02\x03\x04\x05",
                       "seven": b"\x97\x01\x02\x03\x04\x05\xc3\x00", "behind": b"\x90\x00",
                       "minus": b"\x96\xff\x02\x03\x04\x05\xc3",
                       "all_uint": b"\x96\x01\x02\x03\x04\x05\x01",
                       "cut": b"\x96\x01\x02\x03\x04\x05", "one": b"\x91\x01",
                       "map": b"\x80"}.items():
        diff(name, "EPROTO", body)


def make():
    book = Book("frame")
    for part in (splits, hellos, proofs, states, changes, queries, counts):
        part(book)
    return book
