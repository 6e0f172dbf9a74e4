# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 requests, by RFC 9112 and, where that lets a server choose, by docs/HTTP.md: what two
programs could read in two ways is refused, and the connection closed.

The reader is always `request`. Verdicts: `head:N`, the head is refused with status N; `body:400`,
the head is taken and the chunked body refused; `more`, the request is not whole; `ok`, it is one
request, to the last byte. Behind each request that must be refused stands another one: it must get
no answer. TOKEN stands for an operator's token; who sends this over a socket puts the real one in.

A refused chunked body is a message that could be stored: nothing of it may be."""
from cases import Book

TOKEN = b"0" * 64
HOST = b"Host: localhost"
AUTH = b"Authorization: Bearer " + TOKEN
NEXT = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
MESSAGE = b'{"role":"user","content":"x"}'
POST = b"POST /conversations/badinput/messages HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
FIVE = b"Content-Length: 5"
BODY = b"5\r\nhello\r\n0\r\n\r\n"


def head(*fields, line=POST, host=HOST):
    lines = [line] + ([host] if host else []) + list(fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Requests:
    def __init__(self):
        self.book = Book("http")

    def refused(self, name, data, status=400):
        self.book.add(name, "request", f"head:{status}", data + NEXT)

    def each(self, group, cases, status=400):
        for name, data in cases.items():
            self.refused(f"{group}_{name}", data, status)

    def taken(self, name, data):
        self.book.add(name, "request", "ok", data)

    def chunks(self, name, data):
        self.book.add(name, "request", "body:400", head(AUTH, CHUNKED) + data + NEXT)


def both_lengths(all_):
    """A length and a transfer coding: the oldest way to hide a request in a body."""
    all_.each("both", {
        "length_first": head(FIVE, CHUNKED) + BODY, "coding_first": head(CHUNKED, FIVE) + BODY,
        "zero_length": head(b"Content-Length: 0", CHUNKED) + BODY,
        "bad_length": head(b"Content-Length: x", CHUNKED) + BODY,
        "empty_length": head(b"Content-Length:", CHUNKED) + BODY,
        "empty_coding": head(FIVE, b"Transfer-Encoding:") + b"hello",
        "other_coding": head(FIVE, b"Transfer-Encoding: gzip") + b"hello",
        "identity": head(FIVE, b"Transfer-Encoding: identity") + b"hello",
        "case": head(b"content-LENGTH: 5", b"TRANSFER-encoding: CHUNKED") + BODY,
        "apart": head(FIVE, b"A: b", b"B: c", CHUNKED) + BODY,
        "get": head(FIVE, CHUNKED, line=b"GET /health HTTP/1.1") + BODY,
        "two_lengths": head(FIVE, FIVE, CHUNKED) + BODY,
        "tab_before_value": head(FIVE, b"Transfer-Encoding:\tchunked") + BODY,
    })


def lengths(all_):
    all_.each("length_twice", {
        "equal": head(FIVE, FIVE) + b"hello", "differ": head(FIVE, b"Content-Length: 6") + b"hello",
        "zero_first": head(b"Content-Length: 0", FIVE) + b"hello",
        "zero_last": head(FIVE, b"Content-Length: 0") + b"hello",
        "case": head(FIVE, b"CONTENT-LENGTH: 5") + b"hello",
        "three": head(FIVE, FIVE, FIVE) + b"hello", "apart": head(FIVE, b"A: b", FIVE) + b"hello",
        "empty_last": head(FIVE, b"Content-Length:") + b"hello",
        "empty_first": head(b"Content-Length:", FIVE) + b"hello",
        "get": head(FIVE, FIVE, line=b"GET /health HTTP/1.1") + b"hello",
    })
    values = {
        "plus": b"+5", "minus": b"-5", "minus_zero": b"-0", "hex": b"0x5", "hex_digit": b"a",
        "underscore": b"5_0", "underscore_first": b"_5", "zero_first": b"05", "zeros": b"00",
        "octal": b"0o5", "list": b"5, 5", "list_tight": b"5,5", "list_differs": b"5, 6",
        "list_open": b"5,", "list_empty_first": b",5", "blank_inside": b"5 5",
        "tab_inside": b"5\t5", "point": b"5.0", "point_last": b"5.", "exponent": b"5e0",
        "semicolon": b"5;", "quoted": b'"5"', "letter_last": b"5x", "letter_first": b"x5",
        "empty": b"", "blanks": b"  ", "words": b"five", "fullwidth": "\uff15".encode(),
        "arabic": "\u0665".encode(), "latin1": b"5\xa0", "no_break_first": b"\xa05",
        "percent": b"%35", "comment": b"5 (five)", "kilo": b"5k", "brackets": b"[5]",
        "colon": b":5", "equals": b"=5",
    }
    all_.each("length", {name: head(b"Content-Length: " + value) + b"hello"
                         for name, value in values.items()})
    digits = {"2_63": str(2**63), "2_64": str(2**64), "2_64_and_5": str(2**64 + 5),
              "20_digits": "9" * 20, "40_digits": "1" * 40, "gib_and_1": str(2**30 + 1)}
    all_.each("length_above", {name: head(b"Content-Length: " + value.encode()) + b"hello"
                               for name, value in digits.items()}, 413)


def codings(all_):
    values = {
        "twice_in_one": b"chunked, chunked", "gzip_before": b"gzip, chunked",
        "gzip_behind": b"chunked, gzip", "identity_before": b"identity, chunked",
        "identity_behind": b"chunked, identity", "comma_first": b",chunked",
        "comma_last": b"chunked,", "parameter": b"chunked;q=1", "semicolon": b"chunked;",
        "quoted": b'"chunked"', "single": b"'chunked' x", "split": b"chu nked",
        "tab_split": b"chunked\tx", "empty": b"", "blank": b" ", "no_break": b"\xa0chunked",
        "no_break_last": b"chunked\xa0", "high": "chun\u212aed".encode(), "slash": b"chunked/1",
        "equals": b"chunked=1", "at": b"@chunked", "colon": b": chunked", "brackets": b"[chunked]",
        "next_line": b"chunked\x85",
    }
    all_.each("coding", {name: head(b"Transfer-Encoding: " + value) + BODY
                         for name, value in values.items()})
    # One that we do not know, by itself, is no ambiguity: RFC 9112, 6.1, says 501.
    all_.each("coding_unknown", {
        name: head(b"Transfer-Encoding: " + value) + BODY for name, value in {
            "prefix": b"xchunked", "suffix": b"chunkedx", "cow": b"cow", "gzip": b"gzip",
            "identity": b"identity", "dash": b"chunked-", "quote": b"'chunked'"}.items()}, 501)
    all_.each("coding_twice", {
        "equal": head(CHUNKED, CHUNKED) + BODY,
        "identity_first": head(b"Transfer-Encoding: identity", CHUNKED) + BODY,
        "identity_last": head(CHUNKED, b"Transfer-Encoding: identity") + BODY,
        "empty_last": head(CHUNKED, b"Transfer-Encoding:") + BODY,
        "unknown_first": head(b"Transfer-Encoding: cow", CHUNKED) + BODY,
        "case": head(CHUNKED, b"tRANSFER-eNCODING: chunked") + BODY,
    })
    all_.refused("coding_in_1_0", head(CHUNKED, line=b"POST /sync HTTP/1.0") + BODY)
    all_.refused("coding_in_1_0_kept", head(CHUNKED, b"Connection: keep-alive",
                                           line=b"POST /sync HTTP/1.0") + BODY)


def line_ends(all_):
    good = head(AUTH, b"A: b", line=b"GET /health HTTP/1.1")
    ends = [at for at in range(len(good)) if good[at:at + 2] == b"\r\n"]
    for number, at in enumerate(ends):
        before, behind = good[:at], good[at + 2:]
        all_.refused(f"lf_alone_{number}", before + b"\n" + behind)
        all_.refused(f"cr_alone_{number}", before + b"\r" + behind)
        all_.refused(f"cr_twice_{number}", before + b"\r\r\n" + behind)
        all_.refused(f"lf_cr_{number}", before + b"\n\r" + behind)
    line = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    all_.each("lines", {
        "all_lf": good.replace(b"\r\n", b"\n"), "all_cr": good.replace(b"\r\n", b"\r"),
        "empty_first": b"\r\n" + good, "empty_lf_first": b"\n" + good,
        "cr_in_value": line + b"A: b\rc\r\n\r\n", "lf_in_value": line + b"A: b\nc\r\n\r\n",
        "cr_in_name": line + b"A\rB: c\r\n\r\n", "cr_before_colon": line + b"A\r: c\r\n\r\n",
        "hidden_field": line + b"A: b\rTransfer-Encoding: chunked\r\n\r\n" + BODY,
        "hidden_field_lf": line + b"A: b\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        "hidden_length_cr": line + b"A: b\r" + FIVE + b"\r\n\r\nhello",
        "cr_in_target": b"GET /he\ralth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "lf_in_target": b"GET /he\nalth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "cr_at_end_of_head": line + b"\r\r\n",
    })
    folds = {"blank": b" ", "tab": b"\t", "blanks": b"  \t "}
    for name, fold in folds.items():
        all_.refused(f"fold_first_{name}", b"GET /health HTTP/1.1\r\n" + fold + HOST + b"\r\n\r\n")
        all_.refused(f"fold_{name}", line + b"A: b\r\n" + fold + b"c\r\n\r\n")
        all_.refused(f"fold_length_{name}",
                     line + b"Content-Length:\r\n" + fold + b"5\r\n\r\nhello")
        all_.refused(f"fold_coding_{name}",
                     line + b"Transfer-Encoding:\r\n" + fold + b"chunked\r\n\r\n" + BODY)
        all_.refused(f"fold_hides_{name}", line + b"A: b\r\n" + fold + CHUNKED + b"\r\n\r\n" + BODY)
        all_.refused(f"fold_only_{name}", line + b"A: b\r\n" + fold + b"\r\n\r\n")


def controls(all_):
    line = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    for code in [*range(0x20), 0x7f]:
        if code not in (9, 10, 13):
            all_.refused(f"control_{code:02x}_in_value",
                         line + b"A: b" + bytes([code]) + b"c\r\n\r\n")
    for code in (0, 1, 8, 9, 11, 12, 0x1f, 0x7f):
        byte = bytes([code])
        all_.refused(f"control_{code:02x}_in_target",
                     b"GET /he" + byte + b"alth HTTP/1.1\r\nHost: localhost\r\n\r\n")
        all_.refused(f"control_{code:02x}_in_name", line + b"A" + byte + b"B: c\r\n\r\n")
        all_.refused(f"control_{code:02x}_in_method",
                     b"GE" + byte + b"T /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for name, field in {"length": b"Content-Length: 5%s", "length_first": b"Content-Length: %s5",
                        "coding": b"Transfer-Encoding: chunked%s",
                        "coding_first": b"Transfer-Encoding: %schunked"}.items():
        for code in (0, 0x0b, 0x0c):
            all_.refused(f"control_{code:02x}_{name}", head(field % bytes([code])) + BODY)


def names(all_):
    for char in b'"(),/;<=>?@[\\]{}':
        all_.refused(f"name_with_{char:02x}", head(b"A" + bytes([char]) + b"B: c"))
    all_.each("name", {
        "empty": head(b": b"), "only_colon": head(b":"), "no_colon": head(b"A"),
        "no_colon_length": head(b"Content-Length 5") + b"hello", "high": head(b"A\xe9: b"),
        "utf8": head("\u00c4: b".encode()), "blank_inside": head(b"A B: c"),
        "blank_before_colon": head(b"A : b"), "tab_before_colon": head(b"A\t: b"),
        "length_blank": head(b"Content-Length : 5") + b"hello",
        "length_tab": head(b"Content-Length\t: 5") + b"hello",
        "coding_blank": head(b"Transfer-Encoding : chunked") + BODY,
        "coding_tab": head(b"Transfer-Encoding\t: chunked") + BODY,
        "length_blank_first": head(b"A: b", b" Content-Length: 5") + b"hello",
        "length_blank_inside": head(b"Content Length: 5") + b"hello",
        "host_blank": head(host=b"Host : localhost"), "second_colon_name": head(b"::"),
        "request_again": head(b"GET /health HTTP/1.1"),
    })
    for field in ("Authorization", "Origin", "Content-Type", "Accept", "Accept-Encoding",
                  "Content-Encoding", "If-None-Match", "If-Match", "Idempotency-Key",
                  "Last-Event-ID", "Expect"):
        one = field.encode() + b": 100-continue"
        all_.refused(f"twice_{field.lower()}", head(one, one, FIVE) + b"hello")


def request_lines(all_):
    lines = {
        "no_version": b"GET /health", "only_method": b"GET", "only_blank": b"GET ",
        "no_target": b"GET HTTP/1.1", "two_blanks": b"GET  /health HTTP/1.1",
        "two_blanks_last": b"GET /health  HTTP/1.1", "tabs": b"GET\t/health\tHTTP/1.1",
        "tab_last": b"GET /health\tHTTP/1.1", "blank_behind": b"GET /health HTTP/1.1 ",
        "tab_behind": b"GET /health HTTP/1.1\t", "blank_before": b" GET /health HTTP/1.1",
        "lower": b"get /health HTTP/1.1", "mixed": b"Get /health HTTP/1.1",
        "digit": b"G3T /health HTTP/1.1", "colon": b"GET: /health HTTP/1.1",
        "quote": b'G"T /health HTTP/1.1', "high_method": b"GE\xd4 /health HTTP/1.1",
        "blank_in_target": b"GET /he alth HTTP/1.1", "version_lower": b"GET /health http/1.1",
        "version_mixed": b"GET /health Http/1.1", "version_none": b"GET /health HTTP/",
        "version_word": b"GET /health HTTP/x.1", "version_minor": b"GET /health HTTP/1.x",
        "version_no_point": b"GET /health HTTP/11", "version_comma": b"GET /health HTTP/1,1",
        "version_two_digits": b"GET /health HTTP/1.10", "version_long": b"GET /health HTTP/01.1",
        "version_1": b"GET /health HTTP/1", "version_other": b"GET /health ICY/1.1",
        "version_https": b"GET /health HTTPS/1.1", "version_blank": b"GET /health HTTP /1.1",
        "version_sign": b"GET /health HTTP/+1.1", "extra_word": b"GET /health HTTP/1.1 HTTP/1.1",
        "absolute": b"GET http://localhost/health HTTP/1.1",
        "absolute_other": b"GET http://other/health HTTP/1.1",
        "authority": b"CONNECT localhost:80 HTTP/1.1", "asterisk": b"OPTIONS * HTTP/1.1",
        "no_slash": b"GET health HTTP/1.1", "query_alone": b"GET ?a=b HTTP/1.1",
        "fragment": b"GET /health#a HTTP/1.1", "backslash": b"GET /a\\b HTTP/1.1",
        "backslash_first": b"GET \\health HTTP/1.1", "brace": b"GET /{a} HTTP/1.1",
        "bracket_angle": b"GET /<a> HTTP/1.1", "pipe": b"GET /a|b HTTP/1.1",
        "caret": b"GET /a^b HTTP/1.1", "grave": b"GET /a`b HTTP/1.1",
        "quote_in_target": b'GET /"a" HTTP/1.1', "high_target": b"GET /caf\xe9 HTTP/1.1",
        "utf8_target": "GET /caf\u00e9 HTTP/1.1".encode(), "field_first": HOST,
    }
    for name, line in lines.items():
        all_.refused("line_" + name, head(line=line))
    for name, version in {"1_2": b"1.2", "1_9": b"1.9", "0_9": b"0.9", "2_0": b"2.0", "3_0": b"3.0",
                          "0_0": b"0.0"}.items():
        all_.refused("version_" + name, head(line=b"GET /health HTTP/" + version), 505)
    all_.refused("version_h2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)


def hosts(all_):
    get = b"GET /health HTTP/1.1"
    values = {
        "empty": b"", "blank": b" ", "list": b"localhost, other", "path": b"localhost/a",
        "user": b"a@localhost", "scheme": b"http://localhost", "query": b"localhost?a",
        "two_words": b"localhost other", "port_word": b"localhost:http",
        "port_empty": b"localhost:", "port_long": b"localhost:123456",
        "port_sign": b"localhost:+80", "two_ports": b"localhost:80:80", "bracket_open": b"[::1",
        "bracket_empty": b"[]", "bracket_word": b"[local]", "bracket_behind": b"[::1]x",
        "comma": b"localhost,", "quote": b'"localhost"', "fragment": b"localhost#a",
        "backslash": b"localhost\\a", "high": "l\u00f6calhost".encode(), "star": b"*",
        "percent": b"local%68ost", "tab_inside": b"local\thost", "semicolon": b"localhost;a",
    }
    all_.refused("host_missing", head(host=None, line=get))
    for name, value in values.items():
        all_.refused("host_" + name, head(host=b"Host: " + value, line=get))
    all_.refused("host_twice", head(HOST, line=get))
    all_.refused("host_twice_differ", head(b"host: other", line=get))
    all_.refused("host_twice_empty", head(b"Host:", line=get))


def sizes(all_):
    get = b"GET /health HTTP/1.1"
    all_.refused("size_target", head(line=b"GET /" + b"a" * 4096 + b" HTTP/1.1"), 414)
    all_.refused("size_line_endless", b"GET /" + b"a" * 20000, 414)
    all_.refused("size_method_endless", b"A" * 20000, 414)
    all_.refused("size_fields", head(*[b"A: b"] * 64, line=get), 431)
    all_.refused("size_fields_many", head(*[b"A: b"] * 500, line=get), 431)
    all_.refused("size_value", head(b"A: " + b"b" * 20000, line=get), 431)
    all_.refused("size_name", head(b"A" * 20000 + b": b", line=get), 431)
    all_.refused("size_values", head(*[b"A: " + b"b" * 1000] * 20, line=get), 431)
    for name, value in {"other": b"200-ok", "empty": b"", "list": b"100-continue, a",
                        "quoted": b'"100-continue"', "word": b"continue"}.items():
        all_.refused("expect_" + name, head(b"Expect: " + value, FIVE) + b"hello", 417)


def chunked(all_):
    size = b"%x" % len(MESSAGE)
    data = b"\r\n" + MESSAGE + b"\r\n0\r\n\r\n"
    for name, line in {
            "plus": b"+" + size, "minus": b"-" + size, "hex_prefix": b"0x" + size,
            "underscore": b"1_d", "blank_first": b" " + size, "tab_first": b"\t" + size,
            "blank_last": size + b" ", "tab_last": size + b"\t", "empty": b"", "word": b"size",
            "letter": size + b"g", "h_suffix": size + b"h", "point": size + b".0",
            "comma": size + b",", "quoted": b'"1d"', "colon": size + b":", "equals": size + b"=1",
            "digits_16": b"0" * 14 + size, "digits_17": b"1" + b"0" * 14 + size,
            "2_64": b"1" + b"0" * 16, "percent": b"%31d", "fullwidth": "\uff11d".encode(),
            "high": size + b"\xa0", "nul": size + b"\0", "vertical_tab": size + b"\x0b",
            "line_only": b"\r\n" + size, "minus_one": b"-1", "slash": size + b"/",
            "blank_inside": b"1 d"}.items():
        all_.chunks("size_line_" + name, line + data)
    for name, ext in {
            "nothing": b";", "blanks": b"; \t", "blank_before": b" ;a", "no_name": b";=a",
            "twice": b";;a", "last_semicolon": b";a;", "long": b";" + b"a" * 65,
            "long_value": b";a=" + b"b" * 64, "nul": b";a\0", "delete": b";a\x7f",
            "escape": b";a=\x1b", "lf": b";a\nb", "cr": b";a\rb", "quote_open": b';a="b',
            "quote_in_value": b';a=b"c', "quote_behind": b';a="b"c',
            "quote_escape_open": b';a="b\\', "quote_name": b';"a"=b', "value_none": b";a=",
            "value_twice": b";a=b=c", "value_comma": b";a=b,c", "name_blank": b";a b",
            "name_at": b";@a", "name_slash": b";a/b", "quote_cr": b';a="b\rc"',
            "quote_lf": b';a="b\nc"'}.items():
        all_.chunks("extension_" + name, size + ext + data)
    first = size + b"\r\n" + MESSAGE
    for name, body in {
            "lf_behind_size": size + b"\n" + MESSAGE + b"\r\n0\r\n\r\n",
            "cr_behind_size": size + b"\r" + MESSAGE + b"\r\n0\r\n\r\n",
            "crcrlf_behind_size": size + b"\r\r\n" + MESSAGE,
            "lf_behind_data": first + b"\n0\r\n\r\n", "cr_behind_data": first + b"\r0\r\n\r\n",
            "nothing_behind_data": first + b"0\r\n\r\n", "data_longer": first + b"x\r\n0\r\n\r\n",
            "data_shorter": size + b"\r\n" + MESSAGE[:-1] + b"\r\n0\r\n\r\n",
            "blank_behind_data": first + b" \r\n0\r\n\r\n",
            "two_ends_behind_data": first + b"\r\n\r\n0\r\n\r\n", "last_lf": first + b"\r\n0\n\n",
            "last_lf_end": first + b"\r\n0\r\n\n", "last_cr_end": first + b"\r\n0\r\n\r",
            "last_sign": first + b"\r\n-0\r\n\r\n", "last_hex": first + b"\r\n0x0\r\n\r\n",
            "last_word": first + b"\r\nx\r\n\r\n", "last_empty": first + b"\r\n\r\n",
            "last_blank": first + b"\r\n0 \r\n\r\n", "plain_body": MESSAGE + b"\r\n",
            "zero_sign": b"+0\r\n\r\n"}.items():
        all_.chunks("chunk_" + name, body)
    last = first + b"\r\n0\r\n"
    for name, trailer in {
            "fold": b"A: b\r\n c\r\n", "blank_first": b" A: b\r\n", "no_colon": b"A\r\n",
            "no_name": b": b\r\n", "blank_name": b"A : b\r\n", "tab_name": b"A\t: b\r\n",
            "lf": b"A: b\n", "cr": b"A: b\rc\r\n", "nul": b"A: b\0\r\n", "control": b"A: \x01\r\n",
            "high_name": b"\xe9: b\r\n", "long": b"A: " + b"b" * 4096 + b"\r\n",
            "many": b"A: b\r\n" * 700, "delete": b"A: \x7f\r\n",
            "quote_name": b'"A": b\r\n'}.items():
        all_.chunks("trailer_" + name, last + trailer + b"\r\n")


def unfinished(all_):
    """Cut, and then closed: never an answer as if it had been whole."""
    whole = head(AUTH, FIVE) + b"hello"
    end = whole.index(b"\r\n\r\n") + 4
    for name, data in {
            "method": whole[:3], "line": whole[:20], "line_end": whole[:len(POST) + 1],
            "field": whole[:len(POST) + 8], "fields": whole[:end - 2], "fields_cr": whole[:end - 1],
            "body": whole[:-1], "no_body": whole[:end], "chunk_size": head(AUTH, CHUNKED) + b"1d",
            "chunk_size_cr": head(AUTH, CHUNKED) + b"1d\r",
            "chunk_data": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE[:9],
            "chunk_whole": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE,
            "chunk_next": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE + b"\r\n",
            "chunk_last": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE + b"\r\n0\r\n",
            "chunk_last_cr": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE + b"\r\n0\r\n\r",
            "trailer": head(AUTH, CHUNKED) + b"1d\r\n" + MESSAGE + b"\r\n0\r\nA: b\r\n",
            "chunk_huge": head(AUTH, CHUNKED) + b"fffffff\r\n" + MESSAGE}.items():
        all_.book.add("cut_" + name, "request", "more", data)


def accepted(all_):
    """What the rules above must not refuse. Bodies are no message, so that nothing is stored."""
    get = b"GET /health HTTP/1.1"
    for name, data in {
            "plain": head(line=get), "1_0": head(host=None, line=b"GET /health HTTP/1.0"),
            "blanks": head(b"A:  \t b \t", line=get), "no_blank": head(b"A:b", line=get),
            "empty_value": head(b"A:", line=get), "high_value": head(b"A: \xe9\xff", line=get),
            "tab_value": head(b"A: b\tc", line=get), "colon_value": head(b"A: b: c", line=get),
            "token_name": head(b"!#$%&'*+-.^_`|~9: b", line=get),
            "host_v6": head(host=b"Host: [::1]:8825", line=get),
            "query": head(line=b"GET /health?a=b&c HTTP/1.1"),
            "escape": head(line=b"GET /%2e%00 HTTP/1.1"),
            "underscore_coding": head(b"Transfer_Encoding: chunked", line=get),
            "length": head(AUTH, FIVE) + b"hello", "length_zero": head(AUTH, b"Content-Length: 0"),
            "length_blanks": head(AUTH, b"Content-Length:  5 \t") + b"hello",
            "chunked": head(AUTH, CHUNKED) + BODY,
            "chunked_case": head(AUTH, b"Transfer-Encoding: ChUnKeD") + BODY,
            "chunk_zeros": head(AUTH, CHUNKED) + b"0005\r\nhello\r\n000\r\n\r\n",
            "chunk_extension": head(AUTH, CHUNKED)
                               + b'5; a;b=c;d="e;\\"\t f"\r\nhello\r\n0;z\r\n\r\n',
            "chunk_trailer": head(AUTH, CHUNKED) + b"5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n",
            "chunk_upper": head(AUTH, CHUNKED) + b"A\r\nhellohello\r\n0\r\n\r\n",
            "fields_64": head(*[b"A: b"] * 63, line=get)}.items():
        all_.taken("good_" + name, data)


def make():
    all_ = Requests()
    for part in (both_lengths, lengths, codings, line_ends, controls, names, request_lines, hosts,
                 sizes, chunked, unfinished, accepted):
        part(all_)
    return all_.book
