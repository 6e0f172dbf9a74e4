#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the hand-made seeds of some corpora. Inputs found by fuzzing are added beside them by
hand. Run it after changing the tables below."""
import base64
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

SPLIT = {
    "payload": b'\x06{"sync_id":"s","source_backend_id":"b","conversations":[{"conversation_id":'
               b'"c","messages":[{"message_id":"m","content":"]}\\""}]},{"a":[]}],"t":null}',
    "escaped_name": b'\x00{"conversation\\u0073":[1,-2.5e3 , true]}',
    "blanks": b"\x01 \t{ \n\"conversations\" : [ ] , \"x\" :{} } \r\n",
    "not_an_array": b'\x02{"conversations":{"a":[1]}}',
    "empty": b"\x05{}",
    "list": b"\x05[1]",
    "open_string": b'\x03{"conversations":["a',
    "no_colon": b'\x03{"a" 1}',
    "comma": b'\x03{"conversations":[1,],}',
    "behind": b'\x03{"a":1}{',
    "long_name": b'\x07{"' + b"n" * 80 + b'":1}',
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



def text(value):
    return b"\xd9" + bytes([len(value)]) + value if len(value) > 31 else \
        bytes([0xa0 | len(value)]) + value


def time(value):
    return b"\xd3" + struct.pack(">q", value)


def audit(sequence=1, event=b"\x07", texts=(b"operator", b"hosted_sha256_" + b"0" * 32, b"main"),
          count=b"\x01"):
    return b"\x99\x01\xcf" + struct.pack(">Q", sequence) + b"\xc4\x20" + bytes(range(32)) \
        + time(1767225600000000) + event + b"".join(map(text, texts)) + count


AUDIT = {
    "approved": audit(),
    "later_event": audit(2, b"\xce\xff\xff\xff\xff"),
    "event_too_big": audit(2, b"\xcf" + b"\xff" * 8),
    "last_sequence": audit(2**64 - 1),
    "sequence_0": audit(0),
    "longest_texts": audit(3, texts=[b"x" * 128] * 3),
    "text_too_long": audit(3, texts=[b"x" * 129, b"", b""]),
    "refused_often": audit(4, b"\x0e", count=b"\xcf" + b"\xff" * 8),
    "short_hash": audit().replace(b"\xc4\x20" + bytes(range(32)), b"\xc4\x1f" + bytes(31)),
    "short_forms": b"\x99\x01\x05\xc4\x20" + bytes(32) + b"\x00\x01\xa0\xa0\xa0\x00",
    "other_version": audit().replace(b"\x99\x01", b"\x99\x02", 1),
    "truncated": audit()[:-1],
    "longer": audit() + b"\xc0",
}


def token(issuer=b"hosted_sha256_" + b"0" * 32, sbt_id=b"sbt-1", user=b"ann", revoked=0):
    return b"\x9a\x01" + b"".join(map(text, (issuer, sbt_id, user, b"desk", issuer, issuer))) \
        + time(1767225600000000) + time(1767254400000000) + time(revoked)


TOKEN_RECORD = {
    "active": token(),
    "revoked": token(revoked=1767225601000000),
    "unseen": b"\x9a\x01\xa1i\xa1s" + b"\xa0" * 4 + b"\x00" + time(1769904000000000)
              + time(1767225600000000),
    "longest": token(b"i" * 64, b"s" * 255, b"u" * 255),
    "issuer_too_long": token(b"i" * 65),
    "nul": token(user=b"a\x00n"),
    "expired_before_time": b"\x9a\x01\xa1i\xa1s" + b"\xa0" * 4 + time(-2**63) * 2 + b"\x00",
    "negative_times": b"\x9a\x01\xa1i\xa1s" + b"\xa0" * 4 + time(-2**63) * 3,
    "other_version": token().replace(b"\x9a\x01", b"\x9a\x02", 1),
    "nine_fields": b"\x99" + token()[1:-9],
    "truncated": token()[:-1],
}


def line(name, *numbers):
    name = base64.urlsafe_b64encode(name).rstrip(b"=")
    return b" ".join((b"token", name, *(b"%d" % number for number in numbers))) + b"\n"


WHEN = 1767225600000000
LEDGER = {
    "token": line(b"hosted_sha256_" + b"0" * 32 + b"/sbt-1", WHEN, WHEN + 3600 * 10**6),
    "expired": line(b"i/s", WHEN - 7200 * 10**6, WHEN - 3600 * 10**6) + b"revoked q 1\n",
    "peer": b"revoked p %d\n" % WHEN,
    "both_twice": (b"revoked p %d\n" % WHEN + line(b"i/s", WHEN, WHEN + 10**9)) * 2,
    "longest": line(b"i" * 64 + b"/" + b"s" * 255, 2**63 - 1, 2**63 - 1),
    "too_long": line(b"i" * 64 + b"/" + b"s" * 256, WHEN, WHEN + 10**9),
    "slashes": line(b"a/b/c", WHEN, WHEN + 10**9) + line(b"/", WHEN, WHEN + 10**9),
    "no_slash": line(b"ab", WHEN, WHEN + 10**9),
    "nul_and_newline": line(b"a/b\x00", WHEN, WHEN + 10**9) + line(b"a/\n", WHEN, WHEN + 10**9),
    "number_too_big": line(b"a/b", WHEN, 10**30),
    "many": b"".join(line(b"i/%d" % i, WHEN, WHEN + 10**9) for i in range(40)),
    "later_version": b"something else\n\n \ntoken\n",
}


# One of each item, then what is beyond a limit.
QUERY = {
    "begin": b"\x01\x01" + b"saltsalt" + b"\x02\x01\x04main"
             + b"\x03\x00\x00\x02\x80\x04\x00\x09fingerpr"
             + b"\xff" * 9 + b"\x01\x00\x07fingerpr",
    "leaf": b"\x02\x04\x0a\x00\x64\x00\x02\x01abcdef\x00ghijkl",
    "end": b"\x03\x05",
    "no_parts": b"\x01\x03\x00\x00\x00",
    "too_many_keys": b"\x01\x04\x00\x00\x00\x00\x81\x03",
    "long_name": b"\x01\x02\x00\x41" + b"n" * 65,
    "eleven_bytes": b"\x80" * 10 + b"\x01",
}


def zstd(*blocks, size, magic=b"\x28\xb5\x2f\xfd"):
    return b"\xff" + magic + b"\x60" + struct.pack("<H", size - 256) + b"".join(blocks)


def block(kind, size, data, last=1):
    return struct.pack("<I", last | kind << 1 | size << 3)[:3] + data


RAW, RLE = 0, 1
CHANGE = (b"\xcf" + bytes(8) + b"\x00\xa1n\x01\xa1c\x02\xa1o\x0e\x00\xa1m\x01\x92\xa1u\xd9\xff"
          + b"h" * 255)
ZIP = {
    "raw": zstd(block(RAW, len(CHANGE), CHANGE), size=len(CHANGE)),
    "repeated": zstd(block(RLE, 300, b"\xc0"), size=300),
    "two_blocks": zstd(block(RAW, 200, CHANGE[:200], 0), block(RLE, 100, b"h"), size=300),
    "more_than_named": zstd(block(RLE, 65536, b"\xc0"), size=256),
    "less_than_named": zstd(block(RLE, 10, b"\xc0"), size=256),
    "cut": zstd(block(RAW, 300, CHANGE[:100]), size=300),
    "two_frames": zstd(block(RLE, 300, b"\xc0"), size=300)
                  + zstd(block(RLE, 300, b"\xc0"), size=300)[1:],
    "skippable": b"\xff\x50\x2a\x4d\x18\x04\x00\x00\x00abcd",
    "version_0_7": zstd(block(RLE, 300, b"\xc0"), size=300, magic=b"\x27\xb5\x2f\xfd"),
    "text": b"\x10" + b"what can be packed, and packed again, and packed again and again " * 20,
}


def short(name):
    return bytes([len(name)]) + name


def record(kind, body):
    return bytes([kind]) + struct.pack(">I", len(body)) + body


def version(kind=8, flags=0, what=3, source=7, at=1000, space=b"main", talk=b"c", origin=b"o",
            name=b"m", body=b"\x93\xa4user\xa4text\x00"):
    return record(kind, struct.pack(">BBIQ", flags, what, source, at) + short(space) + short(talk)
                  + short(origin) + short(name) + body)


def delete(at=2000, kind=8, what=3, name=b"m"):
    return version(kind, 1, what, at=at, name=name, body=b"")


BACKUP = {
    "records": record(2, b"\x00\x08identitysealed") + record(3, bytes(28)),
    "versions": version() + version(at=1100, space=b"", talk=b"", origin=b"", name=b"n")
                + delete() + version(9, at=900),
    "conversation": version() + delete(what=1, name=b"") + version(at=3000) + version(9, at=10),
    "floor": record(4, b"\x04main" + struct.pack(">QQQ", 500, 400, 300)) + delete(at=450)
             + version(9, at=20, name=b"alone") + delete(at=460, kind=9),
    "floor_behind": delete(at=450) + record(4, b"\x04main" + struct.pack(">QQQ", 500, 400, 500)),
    "view": record(5, b"\x04main\x01c") + version() + version(talk=b"d") + delete(),
    "held_and_trash": version(6, at=2**63 + 5) + version(7) + version(7, name=b"n") + version(),
    "trash_alone": version(7, at=5000),
    "lost_alone": version(9, at=5000),
    "newer_than_live": version() + version(9, at=5000) + version(9),
    "lost_then_older": version(9, at=5000) + version(),
    "no_names": version(space=b""),
    "bad_time": version(at=2**63),
    "time_zero": version(at=0),
    "raised": version() + delete(at=450) + delete(at=460, name=b"n") + version(at=10, name=b"p")
              + record(10, b"\x04main" + struct.pack(">QQQ", 455, 400, 500))
              + record(10, b"\x05other" + struct.pack(">QQQ", 9999, 0, 0)),
    "end": record(11, bytes(24)),
    "head": record(1, b"\x00\x00\x00\x02" + bytes(40)),
    "cut": version()[:-1],
    "long": version() + b"\x08\xff\xff\xff\xff",
}

ADMIN = b"Authorization: Bearer " + b"01" * 32


def ask(line, body=None, *fields, step=0):
    lines = [line + b" HTTP/1.1", b"Host: localhost", ADMIN, *fields]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return bytes([step]) + b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


DIGEST = b"ab" * 16
PEER = b"local_sha256_" + b"0" * 32
REQUEST = {
    **{"get_" + path.replace("/", "_").replace("?", "_").replace("=", "_")[:60]:
       ask(b"GET /" + path.encode()) for path in (
           "identity", "identity/ca.pem", "openapi.json", "version", "peers", "export", "status",
           "metrics", "check", "audit", "audit?after=1&limit=2", "key", "joins", "tokens",
           "changes?limit=1", "changes?since=now", "changes?since=1.2", "conversations",
           "conversations?order=id&limit=1&prefix=c", "conversations/c", "conflicts", "retention",
           "conversations?updated_since=2024-01-01T00:00:00%2B01:00&cursor=AAAA", "trash?limit=1",
           "conversations/c/messages?order=desc&limit=1&after=m", "conversations/c/messages/m",
           "conversations/c/history?message=m&limit=1", "conversations/%00%2f", "nothing")},
    **{"peer_" + name: ask(method + b" /" + path.replace(b"*", PEER), body)
       for name, method, path, body in (
           ("delete", b"DELETE", b"peers/*", None), ("diff", b"GET", b"peers/*/diff", None),
           ("approve", b"POST", b"peers/*/approve", b'{"namespace":"main","right":"read"}'),
           ("sync", b"POST", b"peers/*/sync", b"{}"), ("push", b"POST", b"sync/*", b"{}"),
           ("pull", b"GET", b"sync/*?since=2024-01-01T00:00:00&after=1", None),
           ("metrics", b"GET", b"sync/metrics/*", None),
           ("debug", b"GET", b"debug/sync/*", None),
           ("legacy", b"POST", b"peers/legacy", b'{"url":"http://127.0.0.1:9"}'),
           ("payload", b"POST", b"sync",
            b'{"source_backend_id":"' + PEER + b'","conversations":[]}'))},
    "create": ask(b"POST /conversations", b'{"title":"x","metadata":{"a":null}}',
                  b"Idempotency-Key: k"),
    "change": ask(b"PATCH /conversations/c", b'{"title":null,"metadata":{"k":null}}'),
    "say": ask(b"POST /conversations/c/messages", b'{"role":"user","content":"x","z":[1.5]}'),
    "say_again": ask(b"POST /conversations/c/messages", b'{"role":"user","content":"x"}',
                     b"Idempotency-Key: k")
                 + ask(b"POST /conversations/c/messages", b'{"role":"user","content":"y"}',
                       b"Idempotency-Key: k")[1:],
    "say_msgpack": ask(b"POST /conversations/c/messages", b"\x82\xa4role\xa4user\xa7content\xa1x",
                       b"Content-Type: application/msgpack", b"Accept: application/msgpack"),
    "append": ask(b"POST /conversations/c/messages/n/append",
                  b'{"role":"user","content":"ab","offset":0}')
              + ask(b"POST /conversations/c/messages/n/append",
                    b'{"content":"c","offset":2,"done":true}')[1:],
    "edit": ask(b"PATCH /conversations/c/messages/m", b'{"content":"y"}',
                b'If-Match: W/"x", "' + DIGEST + b'"'),
    "edit_any": ask(b"PATCH /conversations/c/messages/m", b'{"content":"y"}', b"If-Match: *"),
    "known": ask(b"GET /conversations/c", None, b'If-None-Match: "' + DIGEST + b'-gzip", *',
                 b"Accept-Encoding: gzip;q=0.5, zstd;q=0"),
    "delete": ask(b"DELETE /conversations/c/messages/m") + ask(b"DELETE /conversations/c")[1:],
    "purge": ask(b"POST /conversations/c/purge", b'{"reason":"r"}'),
    "promote": ask(b"POST /conversations/c/promote",
                   b'{"message_id":"m","version":"' + DIGEST + b'"}'),
    "import": ask(b"POST /import", b'{"conversation_id":"d","updated_at":"2024-01-01T00:00:00Z",'
                  b'"title":"t"}\n{"conversation_id":5}\n', step=7),
    "retain": ask(b"POST /retention", b'{"versions":1,"max_age_days":1}'),
    "restore": ask(b"POST /trash/restore", b"{}") + ask(b"DELETE /trash")[1:],
    "invite": ask(b"POST /invites", b'{"right":"read","ttl_seconds":600,"prefix":"p"}'),
    "join": ask(b"POST /joins", b'{"url":"parley://h:1/i?n=a&s=AAECAwQFBgcICQoLDA0ODw&k='
                b'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}'),
    "token": ask(b"POST /tokens", b'{"user_id":"ann","ttl_seconds":3600}')
             + ask(b"DELETE /tokens/x")[1:],
    "rotate": ask(b"POST /key/rotate", b'{"bits":2048}'),
    "register": ask(b"POST /register-peer", b'{"sbt":"a.b.c","peer_backend_id":"' + PEER
                    + b'","peer_public_key":"-----BEGIN PUBLIC KEY-----"}'),
    "preflight": ask(b"OPTIONS /conversations/c", None, b"Origin: http://localhost:1",
                     b"Access-Control-Request-Method: PATCH"),
    "head": ask(b"HEAD /conversations/c"),
    "events": ask(b"GET /changes", None, b"Accept: text/event-stream"),
    "events_bad": ask(b"GET /changes", None, b"Accept: text/event-stream", b"Last-Event-ID: 1.1"),
    "chunked": ask(b"POST /conversations/c/messages", None, b"Transfer-Encoding: chunked",
                   step=3) + b'1d\r\n{"role":"user","content":"x"}\r\n0\r\n\r\n',
    "token_in_query": b"\x00GET /changes?token=" + b"01" * 32
                      + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "pieces": ask(b"GET /conversations", step=1),
}


def said(*messages, start=3):
    """What the peer of fuzz_round says: (type, body), or seconds to let pass."""
    out = bytes([start])
    for message in messages:
        kind, body = message if isinstance(message, tuple) else (128 + message, b"")
        out += bytes([kind]) + struct.pack(">H", len(body)) + body
    return out


def state(head=b"\x00", incarnation=b"\xc0", cursor=b"\x00", count=b"\x00", compare=b"\xc2"):
    space = b"\x99\xa4main" + count + b"\xc4\x10" + bytes(16) + bytes(5) + b"\xa0"
    return 6, b"\x96" + head + incarnation + cursor + b"\x00\x91" + space + compare


def changes(sequence, *records):
    head = b"\x00\xa4main\x01\xa1c\x02\xa1o"
    return 7, b"\xcf" + struct.pack(">Q", sequence) + head + b"".join(records)


MESSAGE = b"\x0e\x00\xa1m\xcd\x10\x00\x92\xa4user\xa1x"
ITEMS = b"\x01saltsalt\x02\x01\x04main"
FROM_TO = b"\x01" + b"\xff\xff\xff\xff\x0f"
ROUND = {
    "nothing": said(),
    "equal": said(state(), start=0),
    "empty_peer": said(state(), 1, (8, b"\x91\x03")),
    "cursor": said(state(incarnation=b"\xc4\x10" + bytes(16), cursor=b"\x01")),
    "writes": said(state(head=b"\x01", count=b"\x01"), changes(1, MESSAGE), 2,
                   changes(2, b"\x0f\x01\xa0\x01")),
    "writes_first": said(changes(1, MESSAGE)),
    "no_rights": said(state(), (7, b"\xcf" + bytes(7) + b"\x01\x00\xa5other\x01\xa1c\x02\xa1o"
                                + MESSAGE)),
    "purge": said(state(), changes(1, MESSAGE, b"\x10\x00\xa5purge\x01\x92\xa1r\x00")),
    "offer": said(state(), (9, b"\x01" + ITEMS + b"\x06\x01\x02keykey"), 1),
    "three_offers": said(state(), *[(9, bytes([n]) + ITEMS + b"\x06\x01\x02keykey")
                                    for n in (1, 2, 3)]),
    "want": said(state(), (10, b"\x92\x01\xc4\x01\xff")),
    "part": said(state(), (11, b"\x09\x00\xa4main\xa1c\xa1o\x03\xa1m\xcd\x10\x00"
                           b"\xc4\x04\x92\xa4us"), (11, b"\x09\x04\xc4\x05er\xa1x\xc0"),
                           (11, b"\x00\x00")),
    "query": said(state(count=b"\x05"), (13, b"\x01" + ITEMS + b"\x03\x00\x00\x01" + FROM_TO
                                         + b"\x00fingerpr"), (13, b"\x02\x05"), 1),
    "leaf": said(state(count=b"\x05"), (13, b"\x01" + ITEMS + b"\x04\x00\x00" + FROM_TO
                                        + b"\x01\x05keykey"), 1),
    "dry": said(state(count=b"\x05"), (13, b"\x01\x01saltsalt\x07" + ITEMS[9:] + b"\x03\x00\x00\x01"
                                       + FROM_TO + b"\x00fingerpr"), (13, b"\x02\x05")),
    "answer": said(state(count=b"\x05", compare=b"\xc3"), 6, (14, b"\x01\x02")),
    "tally": said(state(), (16, b"\x01\x05\x01keykey")),
    "diff": said(state(), (17, b"\x90"), (17, b"\x96\x01\x02\x03\x04\x05\xc3")),
    "floors": said((6, state()[1].replace(bytes(5) + b"\xa0", b"\x05\x04\x03\x06\x07\xa1c")), 12),
    "idle": said(state(), 40, 40),
}

HTTP1_RESPONSE = {
    "length": b"\x07HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}",
    "chunks": b"\x03HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              b"2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n",
    "until_end": b"\x01HTTP/1.0 200 OK\r\n\r\n{}",
    "interim": b"\x05HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "interims": b"\x05" + b"HTTP/1.1 102 Wait\r\n\r\n" * 9,
    "switch": b"\x05HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "half": b"\x09HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    "long": b"\x0fHTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n{}",
    "both": b"\x02HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "garbage": b"\x02this is not HTTP\n",
}


def reply(body, status=b"200 OK", *fields):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def replies(*answers, step=255):
    return bytes([step]) + b"".join(struct.pack(">H", len(one)) + one for one in answers)


PEM = b"\\n".join((
    b"-----BEGIN PUBLIC KEY-----",
    b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh+KoNXG6kkDbhaCd+kFaaLfFWsMe",
    b"yP8/hPi0qyuXC0SghxCraP+lHVtFG/1nfXanjbaYamB2zI2YH+LDcdd/bw==",
    b"-----END PUBLIC KEY-----", b""))
OLD = (b'{"backend_id":"local_sha256_' + b"ab" * 16 + b'","public_key":"' + PEM
       + b'","capabilities":["sync"]}')
LEGACY = {
    "good": replies(reply(OLD), reply(b'{"status":"registered"}'), reply(b'{"status":"synced"}')),
    "good_bytes": replies(reply(OLD), reply(b'{"status":"registered"}'), step=0),
    "pending": replies(reply(OLD), reply(b'{"status":"pending"}', b"202 Accepted"), reply(OLD)),
    "errors": replies(reply(OLD), reply(b'{"status":"registered"}'),
                      reply(b'{"status":"synced","errors":[{"conversation_id":"c","error":"x"}]}')),
    "forgotten": replies(reply(OLD), reply(b'{"status":"registered"}'),
                         reply(b'{"detail":"unknown"}', b"403 Forbidden"), reply(OLD)),
    "chunks": replies(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(OLD)
                      + OLD + b"\r\n0\r\n\r\n"),
    "until_end": replies(b"HTTP/1.0 200 OK\r\n\r\n" + OLD),
    "not_json": replies(reply(b"<html>"), reply(b"")),
    "no_key": replies(reply(b'{"backend_id":"x"}')),
    "types": replies(reply(b'{"backend_id":5,"public_key":[],"capabilities":{}}')),
    "moved": replies(reply(b"", b"301 Moved", b"Location: http://other/")),
    "failed": replies(*[reply(b"", b"500 No")] * 4),
    "both": replies(reply(OLD, b"200 OK", b"Transfer-Encoding: chunked")),
    "cut": replies(reply(OLD)[:-9]),
    "nothing": replies(b"", b"HTTP"),
}

CONFIG_FILE = {
    "good": b"# parleyd\n\ndata = /var/lib/parley ; here\nlisten=127.0.0.1:0, [::1]:8825\n"
            b"log-level: debug\r\n  rate = 500:100\n; end\n",
    "mark": b"\xef\xbb\xbfdata = d\n\xef\xbb\xbfdata = e",
    "bad": b"[net]\nfoo\n= 1\ndata =\ndata = \"x\"\ndata = x # y\nrate = 5\n"
           b"tombstone-grace = 99999999999999999999\nkey-bits = 1024\n",
    "long": b"data = " + b"x" * 183 + b"\ndata = " + b"x" * 184 + b"\n",
    "bytes": b"data = a\x00b\nda\x01ta = x\ndata = \xff\nx\x00",
    "near": b"DATA = x\nlog_level = info\ncert = x\n" + b"n" * 90 + b" = x\n",
    "no_end": b"data = x",
}

for name, inputs in (("backup", BACKUP), ("query", QUERY), ("json", JSON), ("mp", MP),
                     ("split", SPLIT), ("http1_response", HTTP1_RESPONSE),
                     ("audit", AUDIT), ("token_record", TOKEN_RECORD), ("ledger", LEDGER),
                     ("zip", ZIP), ("request", REQUEST), ("round", ROUND), ("legacy", LEGACY),
                     ("config_file", CONFIG_FILE)):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, data in inputs.items():
        (folder / key).write_bytes(data)
