#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the hand-made seeds of corpus/json and corpus/mp. Inputs found by fuzzing are added beside
them by hand. Run it after changing the tables below."""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus"

JSON = {
    "conversation": b'{"conversation_id":"c1","title":"Caf\xc3\xa9","metadata":{"a":[1,2.5,-3]},'
                    b'"messages":[{"message_id":"m","content":"line\\n\\"two\\" \\ud83d\\ude00"}]}',
    "numbers": b"[0,-0,127,128,-32,-33,18446744073709551615,18446744073709551616,"
               b"-9223372036854775808,-9223372036854775809,1e1,5e-324,1.7976931348623157e308,"
               b"0.1,9007199254740993.0,1e23,2.2250738585072011e-308]",
    "tie": b"2.4703282292062327208299439634110764623255389e-324",
    "overflow": b"1e999",
    "wide": b"[" + b",".join(b"1" for _ in range(70)) + b"]",
    "deep": b"[" * 64 + b"]" * 64,
    "too_deep": b"[" * 65 + b"]" * 65,
    "many_escapes": b'"' + b"\\u0041" * 60 + b'"',
    "surrogate": b'"\\ud800"',
    "bad_utf8": b'"\xed\xa0\x80"',
    "words": b" [ true , false , null , {} , [] , \"\" ] ",
    "truncated": b'{"a":[1,',
}

MP = {
    "nil": b"\xc0",
    "map": b"\x83\xa1a\x01\xa1b\x92\xc3\xc2\xa1c\xcb" + struct.pack(">d", 0.1),
    "integers": b"\x9a\x7f\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf" + b"\xff" * 8
                + b"\xe0\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80" + b"\x00" * 7,
    "floats": b"\x93\xca\x3f\x80\x00\x00\xcb\x7f\xf0" + bytes(6) + b"\xcb\x7f\xf8" + bytes(6),
    "bin": b"\xc4\x05hello",
    "ext": b"\xc7\x02\x05ab",
    "fixext": b"\xd6\xff\x00\x00\x00\x01",
    "str8": b"\xd9\x20" + b"x" * 32,
    "controls": b"\xa5\x00\x1f\"\\\x7f",
    "bad_utf8": b"\xa1\xff",
    "reserved": b"\xc1",
    "huge_array": b"\xdd\xff\xff\xff\xff",
    "huge_str": b"\xdb\xff\xff\xff\xff",
    "int_key": b"\x81\x01\x02",
    "deep": b"\x91" * 64 + b"\xc0",
    "too_deep": b"\x91" * 65 + b"\xc0",
}

for name, inputs in (("json", JSON), ("mp", MP)):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, data in inputs.items():
        (folder / key).write_bytes(data)
