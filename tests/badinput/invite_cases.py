# SPDX-License-Identifier: Apache-2.0
"""Invites, by docs/PROTOCOL.md, section 9. The reader is `url`; verdicts: ok, or refused:PART,
where the sentence for the user names that part of the line: scheme, address, id, k, s, n, r, e, or
names for one that is given twice."""
import base64

from cases import Book

ID = "local_sha256_ae27b04f09e5cad3773e176506377423"
ADDRESS = "127.0.0.1:8825"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


KEY, SECRET = b64(bytes(range(32))), b64(bytes(range(100, 116)))
FIELDS = {"k": KEY, "s": SECRET, "n": "main", "r": "w", "e": "1767225600"}


def url(scheme="parley://", address=ADDRESS, path="/", backend=ID, mark="?", drop=(), behind="",
        **changes):
    fields = {k: v for k, v in {**FIELDS, **changes}.items() if k not in drop}
    query = "&".join(f"{k}={v}" for k, v in fields.items())
    return (scheme + address + path + backend + mark + query + behind).encode("utf-8",
                                                                              "surrogateescape")


def heads(add):
    for name, scheme in {"none": "", "http": "http://", "https": "https://", "upper": "PARLEY://",
                         "mixed": "Parley://", "one_slash": "parley:/", "no_slash": "parley:",
                         "short": "parle://", "longer": "parleys://", "blank": " parley://",
                         "line": "\nparley://", "quote": "'parley://", "bracket": "<parley://",
                         "mark": "\ufeffparley://", "nul": "\0parley://",
                         "plus": "parley+tls://"}.items():
        add("scheme_" + name, "scheme", url(scheme=scheme))
    add("empty", "scheme", b"")
    add("scheme_cut", "scheme", b"parley:/")
    add("scheme_alone", "address", b"parley://")
    for name, address in {"empty": "", "blank": " ", "blank_inside": "local host:8825",
                          "tab": "localhost:\t8825", "line": "localhost:8825\n",
                          "nul": "localhost:8825\0", "delete": "localhost\x7f:8825",
                          "long": "h" * 256 + ":1", "carriage": "localhost\r:8825",
                          "escape": "\x1b[31mlocalhost:1"}.items():
        add("address_" + name, "address", url(address=address))
    for name, backend in {"empty": "", "blank": " ", "blank_inside": "local sha256",
                          "long": "l" * 65, "nul": ID + "\0", "line": ID + "\n",
                          "delete": ID + "\x7f", "high": "l\u00f6cal_sha256_0",
                          "latin1": "l\udcf6cal", "escape": "\x1b[0m" + ID, "carriage": ID + "\r",
                          "tab": "local\tsha"}.items():
        add("id_" + name, "id", url(backend=backend))
    add("no_path", "id", ("parley://" + ADDRESS).encode())
    add("no_query", "k", ("parley://" + ADDRESS + "/" + ID).encode())
    add("query_empty", "k", ("parley://" + ADDRESS + "/" + ID + "?").encode())


def fields(add):
    for field, good, length in (("k", KEY, 32), ("s", SECRET, 16)):
        values = {
            "empty": "", "short": b64(bytes(length - 1)), "long": b64(bytes(length + 1)),
            "double": good * 2, "cut": good[:-1], "padded": good + "=", "padded_2": good + "==",
            "plus": "+" + good[1:], "slash": "/" + good[1:], "blank": good[:5] + " " + good[5:],
            "line": good + "\n", "nul": good[:-1] + "\0", "percent": "%41" + good[1:],
            "spare_bits": good[:-1] + "_", "hex": "00" * length, "words": "secret",
            "high": "\u00e9" + good[1:]}
        for name, value in values.items():
            add(f"{field}_{name}", field, url(**{field: value}))
        add(f"{field}_missing", field, url(drop=(field,)))
        add(f"{field}_upper", field, url(drop=(field,), behind=f"&{field.upper()}={good}"))
    for name, value in {"empty": "", "long": "n" * 65, "blank": "a b", "tab": "a\tb",
                        "line": "a\nb", "nul": "a\0", "delete": "a\x7f", "latin1": "gr\udcfcn",
                        "overlong": "\udcc0\udcaf", "surrogate": "\udced\udca0\udc80",
                        "cut": "\udce2\udc82", "carriage": "a\r"}.items():
        add("n_" + name, "n", url(n=value))
    add("n_missing", "n", url(drop=("n",)))
    for name, value in {"empty": "", "upper": "W", "both": "rw", "word": "write", "yes": "1",
                        "blank": "w ", "nul": "w\0", "line": "w\n", "other": "x"}.items():
        add("r_" + name, "r", url(r=value))
    for name, value in {"empty": "", "minus": "-1", "plus": "+1", "float": "1.5", "words": "soon",
                        "hex": "0x10", "blank": "1 ", "nul": "1\0", "digits_40": "1" * 40,
                        "time": "2026-01-01", "underscore": "1_0"}.items():
        add("e_" + name, "e", url(e=value))
    for field, value in FIELDS.items():
        other = {"k": b64(bytes(32)), "s": b64(bytes(16)), "n": "other", "r": "r", "e": "5"}[field]
        add(f"twice_{field}", "names", url(behind=f"&{field}={value}"))
        add(f"twice_{field}_differ", "names", url(behind=f"&{field}={other}"))
        add(f"twice_{field}_empty", "names", url(behind=f"&{field}="))


def make():
    book = Book("invite")

    def add(name, part, data):
        book.add(name, "url", "refused:" + part, data)

    heads(add)
    fields(add)
    for name, data in {"plain": url(), "read": url(r="r"), "no_right": url(drop=("r",)),
                       "no_end": url(drop=("e",)), "unknown": url(behind="&z=1&zz&=x"),
                       "v6": url(address="[::1]:8825"), "utf8": url(n="gr\u00fcn"),
                       "n_longest": url(n="n" * 64)}.items():
        book.add("good_" + name, "url", "ok", data)
    return book
