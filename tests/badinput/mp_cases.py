# SPDX-License-Identifier: Apache-2.0
"""MessagePack, by its specification and by engine/core/mp_read.h: every type cut short, with
lengths that lie, nested too deeply, in longer forms than needed, and with names given twice.

Readers: `check`, exactly one well-formed value; a read of one type, with its limit behind a colon;
`payload`, a conversation object (docs/HTTP.md). Verdicts: ok, ok:HEX with the only encoding that
the same value has here, or the name of the error. Longer forms are read, because the specification
only asks writers for the shortest one; what is made of them must be the shortest again."""
import struct

from cases import Book
from utf8_cases import BAD

MALFORMED, TOO_BIG, TYPE, UTF8 = "EMALFORMED", "ETOOBIG", "ETYPE", "EUTF8"
DEPTH_MAX = 64

# Every form of every type that is longer than a byte.
FORMS = {
    "uint8": b"\xcc\xff", "uint16": b"\xcd\xff\xff", "uint32": b"\xce\xff\xff\xff\xff",
    "uint64": b"\xcf" + b"\xff" * 8, "int8": b"\xd0\x80", "int16": b"\xd1\x80\x00",
    "int32": b"\xd2\x80\x00\x00\x00", "int64": b"\xd3\x80" + bytes(7),
    "float32": b"\xca\x3f\x80\x00\x00", "float64": b"\xcb\x3f\xf0" + bytes(6),
    "fixstr": b"\xa4abcd", "str8": b"\xd9\x04abcd", "str16": b"\xda\x00\x04abcd",
    "str32": b"\xdb\x00\x00\x00\x04abcd", "bin8": b"\xc4\x04abcd", "bin16": b"\xc5\x00\x04abcd",
    "bin32": b"\xc6\x00\x00\x00\x04abcd", "fixarray": b"\x93\x01\x02\x03",
    "array16": b"\xdc\x00\x03\x01\x02\x03", "array32": b"\xdd\x00\x00\x00\x03\x01\x02\x03",
    "fixmap": b"\x82\xa1a\x01\xa1b\x02", "map16": b"\xde\x00\x02\xa1a\x01\xa1b\x02",
    "map32": b"\xdf\x00\x00\x00\x02\xa1a\x01\xa1b\x02",
}
EXTS = {
    "fixext1": b"\xd4\x05a", "fixext2": b"\xd5\x05ab", "fixext4": b"\xd6\xff\x00\x00\x00\x01",
    "fixext8": b"\xd7\x05" + bytes(8), "fixext16": b"\xd8\x05" + bytes(16),
    "ext8": b"\xc7\x03\x05abc", "ext8_empty": b"\xc7\x00\x05", "ext16": b"\xc8\x00\x03\x05abc",
    "ext32": b"\xc9\x00\x00\x00\x03\x05abc",
}


def truncated(book):
    for name, data in {**FORMS, **EXTS}.items():
        for length in range(1, len(data)):
            if not book.has("check", data[:length]):  # two forms may begin alike
                book.add(f"cut_{name}_{length}", "check", MALFORMED, data[:length])
    book.add("cut_empty", "check", MALFORMED, b"")
    for name in ("uint32", "float64", "str8", "bin16", "fixmap"):
        data = FORMS[name]
        book.add(f"cut_in_array_{name}", "check", MALFORMED, b"\x92\xc0" + data[:-1])
        book.add(f"cut_in_map_{name}", "check", MALFORMED, b"\x81\xa1k" + data[:-1])


def lies(book):
    """Lengths above what is there, up to those that ask for gigabytes."""
    heads = {"str": (b"\xd9", b"\xda", b"\xdb"), "bin": (b"\xc4", b"\xc5", b"\xc6"),
             "ext": (b"\xc7", b"\xc8", b"\xc9"), "array": (None, b"\xdc", b"\xdd"),
             "map": (None, b"\xde", b"\xdf")}
    for kind, tags in heads.items():
        for tag, width, code in zip(tags, (8, 16, 32), (">B", ">H", ">I")):
            if tag is None:
                continue
            for name, count in (("most", 2**width - 1), ("half", 2**(width - 1)), ("more", 9)):
                data = tag + struct.pack(code, count) + b"\x01" * 8
                book.add(f"lie_{kind}{width}_{name}", "check", MALFORMED, data)
                if name == "most":
                    book.add(f"lie_in_array_{kind}{width}", "check", MALFORMED, b"\x91" + data)
    # Two values a pair: so many bytes as elements are not enough.
    book.add("lie_map_pairs", "check", MALFORMED, b"\xde\x00\x08" + b"\xc0" * 15)
    book.add("lie_outer_array", "check", MALFORMED, b"\x93\x92\x01\x02\x03")


LIMITED = {
    "str": (8, {"fix": b"\xa9", "8": b"\xd9\x09", "16": b"\xda\x00\x09",
                "32": b"\xdb\x00\x00\x00\x09"}, b"x"),
    "bin": (8, {"8": b"\xc4\x09", "16": b"\xc5\x00\x09", "32": b"\xc6\x00\x00\x00\x09"}, b"x"),
    "array": (4, {"fix": b"\x95", "16": b"\xdc\x00\x05", "32": b"\xdd\x00\x00\x00\x05"}, b"\x01"),
    "map": (4, {"fix": b"\x85", "16": b"\xde\x00\x05", "32": b"\xdf\x00\x00\x00\x05"}, b"\xa0\x01"),
}


def limits(book):
    """One more than a reader's limit, really there; and exactly the limit."""
    for kind, (most, heads, unit) in LIMITED.items():
        for name, head in heads.items():
            fits = head[:-1] + bytes([head[-1] - 1])
            book.add(f"above_{kind}_{name}", f"{kind}:{most}", TOO_BIG, head + unit * (most + 1))
            book.add(f"at_{kind}_{name}", f"{kind}:{most}", "ok", fits + unit * most)
            # Beyond the limit and beyond the bytes: what cannot be true is malformed first.
            book.add(f"above_{kind}_{name}_cut", f"{kind}:{most}", MALFORMED, head + unit * most)


ONE_OF_EACH = {
    "nil": b"\xc0", "bool": b"\xc3", "uint": b"\x05", "int": b"\xff", "float": FORMS["float64"],
    "str": b"\xa1a", "bin": b"\xc4\x01a", "array": b"\x91\x01", "map": b"\x81\xa1a\x01",
    "ext": b"\xd4\x05a",
}


def types(book):
    readers = {"nil": "nil", "bool": "bool", "uint": "uint", "int": "int", "float": "float",
               "str": "str:8", "bin": "bin:8", "array": "array:4", "map": "map:4"}
    for kind, reader in readers.items():
        for other, data in ONE_OF_EACH.items():
            if kind != other and (kind, other) != ("int", "uint"):
                book.add(f"type_{kind}_is_{other}", reader, TYPE, data)
        book.add(f"type_{kind}_is_reserved", reader, MALFORMED, b"\xc1")
        book.add(f"type_{kind}_is_missing", reader, MALFORMED, b"")
    book.add("range_int_above", "int", TYPE, b"\xcf\x80" + bytes(7))
    book.add("range_int_most", "int", "ok", b"\xcf\x7f" + b"\xff" * 7)
    book.add("range_uint_minus_one", "uint", TYPE, b"\xd0\xff")
    book.add("range_uint_least", "uint", TYPE, FORMS["int64"])
    book.add("range_uint_signed_form", "uint", "ok", b"\xd1\x00\x05")


def exts(book):
    """No ext type means anything here, so none is let in."""
    for name, data in EXTS.items():
        book.add(f"ext_{name}", "check", MALFORMED, data)
    book.add("ext_in_array", "check", MALFORMED, b"\x91" + EXTS["fixext1"])
    book.add("ext_as_value", "check", MALFORMED, b"\x81\xa1a" + EXTS["ext8"])
    book.add("ext_as_name", "check", MALFORMED, b"\x81" + EXTS["fixext4"] + b"\x01")


def depth(book):
    nests = {"fixarray": b"\x91", "array16": b"\xdc\x00\x01", "array32": b"\xdd\x00\x00\x00\x01",
             "fixmap": b"\x81\xa1k", "map16": b"\xde\x00\x01\xa1k",
             "map32": b"\xdf\x00\x00\x00\x01\xa1k", "name": b"\x81"}
    for name, head in nests.items():
        tail = b"\xc0" if name != "name" else b"\xc0" + b"\xc0" * DEPTH_MAX
        book.add(f"depth_{name}_most", "check", "ok", head * DEPTH_MAX + tail)
        book.add(f"depth_{name}_above", "check", TOO_BIG, head * (DEPTH_MAX + 1) + tail + b"\xc0")
    mixed = b"\x91\x81\xa1k" * (DEPTH_MAX // 2)
    book.add("depth_mixed_most", "check", "ok", mixed + b"\xc0")
    book.add("depth_mixed_above", "check", TOO_BIG, mixed + b"\x91\xc0")
    book.add("depth_empty_inside", "check", TOO_BIG, b"\x91" * DEPTH_MAX + b"\x90")
    book.add("depth_last_element", "check", TOO_BIG, b"\x92\xc0" * DEPTH_MAX + b"\x91\xc0")
    book.add("depth_flood", "check", TOO_BIG, b"\x91" * 100000)


def canonical(value):
    if value >= 0:
        for limit, tag, code in ((2**7, b"", ">B"), (2**8, b"\xcc", ">B"), (2**16, b"\xcd", ">H"),
                                 (2**32, b"\xce", ">I"), (2**64, b"\xcf", ">Q")):
            if value < limit:
                return tag + struct.pack(code, value)
    if value >= -32:
        return struct.pack(">b", value)
    for limit, tag, code in ((2**7, b"\xd0", ">b"), (2**15, b"\xd1", ">h"), (2**31, b"\xd2", ">i"),
                             (2**63, b"\xd3", ">q")):
        if value >= -limit:
            return tag + struct.pack(code, value)
    raise ValueError(value)


def longer(book):
    forms = (("uint8", b"\xcc", ">B"), ("uint16", b"\xcd", ">H"), ("uint32", b"\xce", ">I"),
             ("uint64", b"\xcf", ">Q"), ("int8", b"\xd0", ">b"), ("int16", b"\xd1", ">h"),
             ("int32", b"\xd2", ">i"), ("int64", b"\xd3", ">q"))
    for value in (0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -1, -32, -33, -128,
                  -129, -32768, -32769, -2**31, -2**31 - 1):
        for name, tag, code in forms:
            try:
                data = tag + struct.pack(code, value)
            except struct.error:
                continue
            short = canonical(value)
            if data != short:
                text = str(value).replace("-", "minus_")
                book.add(f"long_{name}_{text}", "check", "ok:" + short.hex(), data)
    for name, head in (("str8", b"\xd9\x03"), ("str16", b"\xda\x00\x03"),
                       ("str32", b"\xdb\x00\x00\x00\x03")):
        book.add(f"long_{name}", "check", "ok:" + b"\xa3abc".hex(), head + b"abc")
    for name, head in (("array16", b"\xdc\x00\x00"), ("array32", b"\xdd\x00\x00\x00\x00")):
        book.add(f"long_{name}", "check", "ok:90", head)
    for name, head in (("map16", b"\xde\x00\x00"), ("map32", b"\xdf\x00\x00\x00\x00")):
        book.add(f"long_{name}", "check", "ok:80", head)
    book.add("long_float32", "check", "ok:cb3ff8000000000000", b"\xca\x3f\xc0\x00\x00")


def texts(book):
    heads = {"fix": lambda data: bytes([0xa0 | len(data)]),
             "8": lambda data: b"\xd9" + bytes([len(data)]),
             "16": lambda data: b"\xda" + struct.pack(">H", len(data)),
             "32": lambda data: b"\xdb" + struct.pack(">I", len(data))}
    for name in ("tail_first", "overlong_c0", "two_cut", "surrogate_min", "too_great", "ff"):
        for form, head in heads.items():
            book.add(f"utf8_{form}_{name}", "check", UTF8, head(BAD[name]) + BAD[name])
    book.add("utf8_name", "check", UTF8, b"\x81\xa1\xff\x01")
    book.add("utf8_value", "check", UTF8, b"\x81\xa1a\xa2\xc3(")
    book.add("utf8_inside", "check", UTF8, b"\x92\xa2ok\xa3\xed\xa0\x80")


def rest(book):
    for name in ("nil", "uint", "float", "str", "bin", "array", "map"):
        book.add(f"behind_{name}", "check", MALFORMED, ONE_OF_EACH[name] + b"\xc0")
    book.add("behind_reserved", "check", MALFORMED, b"\xc0\xc1")
    book.add("reserved", "check", MALFORMED, b"\xc1")
    book.add("reserved_in_array", "check", MALFORMED, b"\x92\x01\xc1")
    book.add("reserved_as_name", "check", MALFORMED, b"\x81\xc1\x01")
    book.add("reserved_as_value", "check", MALFORMED, b"\x81\xa1a\xc1")


# ---- Conversation objects ----

def text(value):
    value = value.encode() if isinstance(value, str) else value
    if len(value) < 32:
        return bytes([0xa0 | len(value)]) + value
    return b"\xda" + struct.pack(">H", len(value)) + value


def mapping(*pairs):
    return b"\xde" + struct.pack(">H", len(pairs)) + b"".join(key + value for key, value in pairs)


def array(*items):
    return b"\xdc" + struct.pack(">H", len(items)) + b"".join(items)


TIME = text("2024-03-01T10:00:00Z")
MESSAGE = {"message_id": text("m"), "role": text("user"), "content": text("x"), "timestamp": TIME}


def message(drop=(), extra=(), **changes):
    fields = {**MESSAGE, **changes}
    return mapping(*((text(name), value) for name, value in fields.items() if name not in drop),
                   *extra)


def talk(*messages, drop=(), extra=(), **changes):
    fields = {"conversation_id": text("c"), "updated_at": TIME, "messages": array(*messages),
              **changes}
    return mapping(*((text(name), value) for name, value in fields.items() if name not in drop),
                   *extra)


def payloads(book):
    def add(name, verdict, data):
        book.add("payload_" + name, "payload", verdict, data)

    add("good", "ok", talk(message()))
    for name, value in (("conversation_id", text("c")), ("updated_at", TIME),
                        ("messages", array()), ("title", text("t")), ("created_at", TIME),
                        ("metadata", b"\x80"), ("surface", text("s"))):
        twice = ((text(name), value), (b"\xd9" + bytes([len(name)]) + name.encode(), value))
        known = talk(message(), drop=(name,), extra=twice)
        add(f"twice_{name}", MALFORMED, known)
    for name, value in MESSAGE.items():
        add(f"twice_message_{name}", MALFORMED, talk(message(extra=((text(name), value),))))
        add(f"missing_message_{name}", "EMISSING", talk(message(drop=(name,))))
        for kind in ("uint", "bin", "array", "map", "bool"):
            add(f"type_message_{name}_{kind}", TYPE, talk(message(**{name: ONE_OF_EACH[kind]})))
    add("missing_id", "EMISSING", talk(message(), drop=("conversation_id",)))
    for kind in ("nil", "uint", "str", "array", "bool", "bin", "float"):
        add(f"not_a_map_{kind}", TYPE, ONE_OF_EACH[kind])
        if kind not in ("array", "nil"):
            add(f"messages_{kind}", TYPE, talk(messages=ONE_OF_EACH[kind]))
        if kind != "nil":
            add(f"message_is_{kind}", TYPE, talk(ONE_OF_EACH[kind]))
    add("id_too_long", TOO_BIG, talk(message(), conversation_id=text("c" * 256)))
    add("id_longest", "ok", talk(message(), conversation_id=text("c" * 255)))
    add("message_id_too_long", TOO_BIG, talk(message(message_id=text("m" * 256))))
    add("role_too_long", TOO_BIG, talk(message(role=text("r" * 65))))
    add("title_too_long", TOO_BIG, talk(message(), title=text("t" * 4097)))
    add("bad_utf8", UTF8, talk(message(content=text(b"\xff"))))
    add("name_is_uint", TYPE, talk(message(), extra=((b"\x07", b"\x07"),)))


def make():
    book = Book("mp")
    for part in (truncated, lies, limits, types, exts, depth, longer, texts, rest, payloads):
        part(book)
    return book
