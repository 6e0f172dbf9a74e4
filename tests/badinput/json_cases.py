# SPDX-License-Identifier: Apache-2.0
"""JSON, by RFC 8259 and, where that leaves a choice, by engine/core/json.h: nothing is repaired.

Readers: `text`, any JSON text; `payload`, a conversation object (docs/HTTP.md). Verdicts: ok,
ok:HEX with the msgpack that it becomes, the name of an error, or `refused` where the text is wrong
in a
way that both EMALFORMED and EUTF8 describe: which one is told is a matter of taste."""
import json
import struct

from cases import Book
from mp_cases import DEPTH_MAX, canonical
from utf8_cases import BAD

MALFORMED, TOO_BIG, UTF8, REFUSED = "EMALFORMED", "ETOOBIG", "EUTF8", "refused"

NUMBERS = {
    "plus": "+1", "two_signs": "--1", "sign_alone": "-", "sign_space": "- 1", "leading_zero": "01",
    "minus_leading_zero": "-01", "two_zeros": "00", "zero_point": "0.", "point_first": ".5",
    "minus_point": "-.5", "point_last": "1.", "point_exponent": "1.e5", "two_points": "1.2.3",
    "exponent_alone": "1e", "exponent_plus": "1e+", "exponent_minus": "1E-", "exponent_first": "e5",
    "two_exponents": "1e5e5", "exponent_point": "1e1.5", "hex": "0x1F", "hex_minus": "-0x1",
    "octal": "0o17", "binary": "0b1", "underscore": "1_000", "comma": "1,000", "space": "1 000",
    "suffix_l": "1L", "suffix_f": "1.0f", "suffix_n": "1n", "percent": "1%", "nan": "NaN",
    "minus_nan": "-NaN", "infinity": "Infinity", "minus_infinity": "-Infinity", "inf": "inf",
    "plus_infinity": "+Infinity", "currency": "$1", "fraction": "1/2",
    "zero_exponent_sign": "0e+-1", "letter_inside": "1a2", "point_only": ".", "nul_behind": "1\0",
    "quote_behind": '1"', "fullwidth": "\uff11", "superscript": "1\u00b2", "arabic": "\u0661",
    "minus_sign": "\u22121", "overflow": "1e999", "overflow_minus": "-1e309",
    "overflow_digits": "9" * 400, "zero_digits_exponent": "0.0e", "minus_letter": "-a",
    "minus_quote": '-"1"',
}
STRUCTURE = {
    "nothing": "", "blanks": " \t\r\n", "array_open": "[", "array_value_open": "[1",
    "array_comma_open": "[1,", "array_comma_last": "[1,]", "array_comma_first": "[,1]",
    "array_comma_alone": "[,]", "array_two_commas": "[1,,2]", "array_no_comma": "[1 2]",
    "array_no_comma_text": '["a" "b"]', "array_colon": "[1:2]", "array_closed_as_object": "[1}",
    "array_closed_twice": "[1]]", "array_semicolon": "[1;2]", "close_alone": "]",
    "object_open": "{", "object_name_open": '{"a"', "object_colon_open": '{"a":',
    "object_value_open": '{"a":1', "object_comma_open": '{"a":1,', "object_comma_last": '{"a":1,}',
    "object_comma_first": '{,"a":1}', "object_two_commas": '{"a":1,,"b":2}',
    "object_no_colon": '{"a" 1}', "object_two_colons": '{"a"::1}', "object_equals": '{"a"=1}',
    "object_arrow": '{"a"=>1}', "object_no_value": '{"a":}', "object_name_alone": '{"a"}',
    "object_no_comma": '{"a":1 "b":2}', "object_bare_name": "{a:1}",
    "object_single_quotes": "{'a':1}", "object_number_name": "{1:1}",
    "object_null_name": "{null:1}", "object_true_name": "{true:1}", "object_array_name": "{[1]:1}",
    "object_closed_as_array": '{"a":1]', "object_closed_twice": '{"a":1}}', "brace_alone": "}",
    "colon_alone": ":", "comma_alone": ",", "two_values": "1 2", "two_objects": "{}{}",
    "two_lines": "{}\n{}", "object_then_text": '{} "a"', "array_then_comma": "[],",
    "comment_line": "1 // one", "comment_block": "/* one */ 1", "comment_inside": "[1/**/,2]",
    "comment_hash": "# one\n1", "parentheses": "(1)", "undefined": "undefined", "none": "None",
    "true_upper": "True", "true_caps": "TRUE", "true_short": "tru", "true_long": "truee",
    "false_upper": "False", "false_short": "fals", "null_upper": "Null", "null_short": "nul",
    "null_nul": "nul\0", "nil": "nil", "yes": "yes", "word_in_array": "[foo]", "star": "*",
    "bare_text": "hello", "trailing_nul": "{}\0", "trailing_letter": "{}a", "xml": "<a/>",
    "form": "a=1&b=2", "prefix_guard": ")]}',{}", "jsonp": "f({})",
}
BLANKS = {
    "vertical_tab": "[\x0b1]", "form_feed": "[\x0c1]", "no_break": "[\u00a01]", "nul": "[\x001]",
    "line_separator": "[\u20281]", "ideographic": "[\u30001]", "zero_width": "[\u200b1]",
    "escape": "[\x1b1]", "delete": "[\x7f1]", "next_line": "[\u00851]", "mark": "\ufeff[1]",
    "mark_behind": "[1]\ufeff", "backspace": "[\x081]", "unit_separator": "\x1f[1]",
}
ESCAPES = {
    "a": r"\a", "v": r"\v", "zero": r"\0", "x": r"\x41", "octal": r"\101", "quote": r"\'",
    "upper_n": r"\N", "upper_u": r"\U00000041", "space": "\\ ", "line": "\\\n", "e": r"\e",
    "digit": r"\1", "question": r"\?", "high": "\\\u00e9", "u_none": r"\u", "u_one": r"\u0",
    "u_three": r"\u004", "u_bad_1": r"\ug041", "u_bad_4": r"\u004g", "u_space": r"\u 041",
    "u_sign": r"\u+041", "u_minus": r"\u-041", "u_brace": r"\u{41}", "u_x": r"\u0x41",
    "u_high": "\\u00\u00e9", "u_fullwidth": "\\u004\uff11",
}
SURROGATES = {
    "high": r"\ud800", "high_max": r"\udbff", "low": r"\udc00", "low_max": r"\udfff",
    "high_text": r"\ud800x", "high_high": r"\ud800\ud800", "low_high": r"\udc00\ud800",
    "high_plain_escape": r"\ud800\n", "high_other": r"\ud83d\u0041", "high_cut": r"\ud83d\u",
    "high_cut_3": r"\ud83d\ude0", "high_upper": r"\uD800", "high_raw_low": "\\ud83d\udc00",
    "second_pair": r"\ud83d\ude00\ud83d",
}


def add_texts(book, group, verdict, texts):
    for name, text in texts.items():
        data = text.encode("utf-8", "surrogatepass")
        book.add(f"{group}_{name}", "text", verdict, data)
        # The numbers that no double can hold are the RFC's to allow and ours to refuse.
        if verdict == MALFORMED and "overflow" not in name:
            judge_by_python(name, data)


def judge_by_python(name, data):
    """Python's reader is laxer in four words, and must else refuse what is malformed."""
    if data.strip() in (b"NaN", b"-NaN", b"Infinity", b"-Infinity") or data.startswith(b"\xef\xbb"):
        return
    try:
        json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError:
        return
    raise ValueError(f"{name}: malformed here, JSON to Python")


def strings(book):
    for code in range(0x20):
        book.add(f"control_{code:02x}", "text", MALFORMED, b'"a' + bytes([code]) + b'b"')
    book.add("control_in_name", "text", MALFORMED, b'{"a\nb":1}')
    for name, text in {"open": '"', "open_text": '"abc', "open_escape": '"abc\\',
                       "open_escaped_quote": r'"abc\"', "single": "'abc'", "close_alone": 'abc"',
                       "two": '"a""b"', "open_in_array": '["a', "open_in_name": '{"a'}.items():
        add_texts(book, "string", MALFORMED, {name: text})
    add_texts(book, "escape", MALFORMED, {k: f'"{v}"' for k, v in ESCAPES.items()
                                         if k not in ("high", "u_high", "u_fullwidth")})
    add_texts(book, "escape", REFUSED, {k: f'"{v}"' for k, v in ESCAPES.items()
                                       if k in ("high", "u_high", "u_fullwidth")})
    add_texts(book, "surrogate", REFUSED, {k: f'"{v}"' for k, v in SURROGATES.items()})
    for number, (name, data) in enumerate(BAD.items()):
        if number % 2 == 0:  # the others stand alone among the UTF-8 cases
            # That of UTF-16 has a NUL, which must not stand in a text either.
            verdict = REFUSED if b"\0" in data else UTF8
            book.add(f"utf8_{name}", "text", verdict, b'"' + data + b'"')
    book.add("utf8_name", "text", UTF8, b'{"\xff":1}')
    book.add("utf8_inside", "text", UTF8, b'[["ok","\xc3("]]')
    book.add("utf8_outside", "text", MALFORMED, b"[\xff]")
    book.add("utf8_behind", "text", MALFORMED, b"[]\xc3\xa9")
    for name, codec in (("utf16_le", "utf-16-le"), ("utf16_be", "utf-16-be"),
                        ("utf16", "utf-16"), ("utf32_le", "utf-32-le")):
        book.add(f"encoding_{name}", "text", MALFORMED, '{"a":1}'.encode(codec))


def depths(book):
    n = DEPTH_MAX
    book.add("depth_array_most", "text", "ok:" + ("91" * (n - 1) + "90"), b"[" * n + b"]" * n)
    for name, head, tail in (("array", b"[", b"]"), ("object", b'{"k":', b"}"),
                             ("both", b'[{"k":', b"}]")):
        times = n + 1 if name != "both" else n // 2 + 1
        book.add(f"depth_{name}", "text", TOO_BIG, head * times + b"1" + tail * times)
        book.add(f"depth_{name}_open", "text", TOO_BIG, head * times * 50)
    book.add("depth_second", "text", TOO_BIG, b"[1," * n + b"[]" + b"]" * n)


def truncated(book):
    whole = b'{"id":"c1","n":[-1.5e3,true,null],"t":"a\\u00e9\\n"}'
    judge = json.loads(whole)
    assert judge["id"] == "c1"
    for length in range(1, len(whole), 2):
        if not book.has("text", whole[:length]):
            book.add(f"cut_{length:02d}", "text", MALFORMED, whole[:length])


def accepted(book):
    for value in (0, -1, 127, 128, 2**32, 2**63, 2**64 - 1, -2**63):
        book.add(f"good_{str(value).replace('-', 'minus_')}", "text",
                 "ok:" + canonical(value).hex(), str(value).encode())
    for name, text in (("above", str(2**64)), ("below", str(-2**63 - 1)), ("exponent", "1e2"),
                       ("tiny", "5e-324"), ("underflow", "1e-999"), ("minus_zero_point", "-0.0")):
        book.add(f"good_double_{name}", "text",
                 "ok:cb" + struct.pack(">d", float(text)).hex(), text.encode())
    book.add("good_minus_zero", "text", "ok:00", b"-0")
    book.add("good_escapes", "text", "ok:" + (b"\xa8\"\\/\b\f\n\r\t").hex(),
             rb'"\"\\\/\b\f\n\r\t"')
    book.add("good_pair", "text", "ok:" + (b"\xa4" + "\U0001f600".encode()).hex(),
             rb'"\ud83d\uDE00"')
    book.add("good_nul", "text", "ok:a100", rb'"\u0000"')
    book.add("good_blanks", "text", "ok:91c0", b" \t\r\n[ \n null\t]\r ")
    book.add("good_twice", "text", "ok:82a16101a16102", b'{"a":1,"a":2}')


def payloads(book):
    message = '{"message_id":"m","role":"user","content":"x","timestamp":"2024-03-01T10:00:00Z"}'
    head = '{"conversation_id":"c","updated_at":"2024-03-01T10:00:00Z","messages":['

    def add(name, verdict, text):
        book.add("payload_" + name, "payload", verdict, text.encode())

    def time(text):
        return head + message.replace("2024-03-01T10:00:00Z", text) + "]}"

    add("good", "ok", head + message + "]}")
    add("twice_id", MALFORMED, head + message + r'],"conversation\u005fid":"d"}')
    add("twice_messages", MALFORMED, head + message + '],"messages":[]}')
    add("twice_role", MALFORMED, head + message[:-1] + ',"role":"system"}]}')
    add("twice_null", MALFORMED, head + message[:-1] + ',"content":null}]}')
    for name, text in {
            "date_only": "2024-03-01", "no_leap_day": "2023-02-29T00:00:00Z",
            "month_0": "2024-00-01T00:00:00Z", "month_13": "2024-13-01T00:00:00Z",
            "day_0": "2024-01-00T00:00:00Z", "day_31": "2024-04-31T00:00:00Z",
            "hour_24": "2024-01-01T24:00:00Z", "minute_60": "2024-01-01T00:60:00Z",
            "second_61": "2024-01-01T00:00:61Z", "short_year": "24-01-01T00:00:00Z",
            "long_year": "12024-01-01T00:00:00Z", "sign": "-2024-01-01T00:00:00Z",
            "no_t": "2024-01-0100:00:00Z", "zone_name": "2024-01-01T00:00:00 UTC",
            "zone_hour": "2024-01-01T00:00:00+24:00", "zone_minute": "2024-01-01T00:00:00+01:60",
            "zone_cut": "2024-01-01T00:00:00+01:", "fraction_none": "2024-01-01T00:00:00.Z",
            "fraction_long": "2024-01-01T00:00:00.1234567890Z",
            "blank_behind": "2024-01-01T00:00:00Z ", "blank_before": " 2024-01-01T00:00:00Z",
            "nothing": "", "words": "yesterday", "number": "1709287200",
            "nul": r"2024-01-01T00:00:00Z\u0000", "slashes": "2024/01/01T00:00:00Z",
            "fullwidth": "\uff12024-01-01T00:00:00Z"}.items():
        add("time_" + name, MALFORMED, time(text))
    for name, text in (("before_1970", "1969-12-31T23:59:59Z"), ("first", "1970-01-01T00:00:00Z"),
                       ("zone_before_1970", "1970-01-01T00:30:00+01:00"),
                       ("zone_year_10000", "9999-12-31T23:59:59-01:00")):
        add("time_" + name, TOO_BIG, time(text))


def make():
    book = Book("json")
    add_texts(book, "number", MALFORMED, NUMBERS)
    add_texts(book, "structure", MALFORMED, STRUCTURE)
    add_texts(book, "blank", MALFORMED, BLANKS)
    for part in (strings, depths, truncated, accepted, payloads):
        part(book)
    return book
