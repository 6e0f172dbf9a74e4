# SPDX-License-Identifier: Apache-2.0
"""UTF-8, by table 3-7 of the Unicode standard. Verdict: ok, or at:N, the offset of the first byte
that begins no character. Python's own decoder must say the same of each."""
from cases import Book

# Ill-formed sequences; each is one, and stays one whatever ASCII follows it.
BAD = {
    "tail_first": b"\x80", "tail_last": b"\xbf", "overlong_c0": b"\xc0\x80",
    "overlong_c0_max": b"\xc0\xbf", "overlong_c1": b"\xc1\x80", "overlong_c1_max": b"\xc1\xbf",
    "two_cut": b"\xc2", "two_max_cut": b"\xdf", "two_then_ascii": b"\xc3(",
    "two_then_lead": b"\xc3\xc3", "two_tail_high": b"\xc2\xc0", "two_tail_low": b"\xdf\x7f",
    "overlong_three": b"\xe0\x80\x80", "overlong_three_max": b"\xe0\x9f\xbf",
    "overlong_slash": b"\xe0\x80\xaf", "three_cut_1": b"\xe2", "three_cut_2": b"\xe2\x82",
    "three_ascii": b"\xe2(\xa1", "three_ascii_last": b"\xe2\x82(", "three_high": b"\xe1\xc0\x80",
    "three_high_last": b"\xe1\x80\xc0", "three_low": b"\xec\x7f\x80", "three_ef_cut": b"\xef\xbf",
    "surrogate_min": b"\xed\xa0\x80", "surrogate_high_max": b"\xed\xaf\xbf",
    "surrogate_low_min": b"\xed\xb0\x80", "surrogate_max": b"\xed\xbf\xbf",
    "surrogate_pair": b"\xed\xa0\xbd\xed\xb8\x80", "overlong_four": b"\xf0\x80\x80\x80",
    "overlong_four_max": b"\xf0\x8f\xbf\xbf", "overlong_euro": b"\xf0\x82\x82\xac",
    "four_cut_1": b"\xf0", "four_cut_2": b"\xf0\x9f", "four_cut_3": b"\xf0\x9f\x98",
    "four_ascii": b"\xf0(\x8c\xbc", "four_ascii_3": b"\xf0\x90(\xbc",
    "four_ascii_4": b"\xf0\x9f\x98(", "four_high_2": b"\xf1\xc0\x80\x80",
    "four_high_3": b"\xf1\x80\xc0\x80", "four_high_4": b"\xf1\x80\x80\xc0",
    "too_great": b"\xf4\x90\x80\x80", "too_great_max": b"\xf4\xbf\xbf\xbf",
    "f5": b"\xf5\x80\x80\x80", "f6": b"\xf6\x80\x80\x80", "f7": b"\xf7\xbf\xbf\xbf",
    "five_bytes": b"\xf8\x88\x80\x80\x80", "five_bytes_max": b"\xfb\xbf\xbf\xbf\xbf",
    "six_bytes": b"\xfc\x84\x80\x80\x80\x80", "six_bytes_max": b"\xfd\xbf\xbf\xbf\xbf\xbf",
    "fe": b"\xfe", "ff": b"\xff", "utf16_le_mark": b"\xff\xfeh\x00",
    "utf16_be_mark": b"\xfe\xff\x00h", "latin1": b"\xe9", "two_tails": b"\x80\x80",
}
# The edges of each row of the table, which are well-formed.
GOOD = {
    "empty": b"", "nul": b"\x00", "ascii_max": b"\x7f", "two_min": b"\xc2\x80",
    "two_max": b"\xdf\xbf", "three_min": b"\xe0\xa0\x80", "before_surrogates": b"\xed\x9f\xbf",
    "behind_surrogates": b"\xee\x80\x80", "three_max": b"\xef\xbf\xbf",
    "byte_order_mark": b"\xef\xbb\xbfx", "four_min": b"\xf0\x90\x80\x80",
    "four_f1": b"\xf1\x80\x80\x80", "four_max": b"\xf4\x8f\xbf\xbf",
    "mixed": "Gr\u00fc\u00dfe \u4f60\u597d \U0001f389".encode(),
}


def add_all(book, group, before, after, cases):
    for name, data in cases.items():
        whole = before + data + after
        verdict = "ok" if cases is GOOD else f"at:{len(before)}"
        try:
            whole.decode("utf-8")
            python = "ok"
        except UnicodeDecodeError as error:
            python = f"at:{error.start}"
        if python != verdict:
            raise ValueError(f"{name}: {verdict} here, {python} by Python")
        book.add(group + "_" + name, "utf8", verdict, whole)


def make():
    book = Book("utf8")
    add_all(book, "alone", b"", b"", BAD)
    add_all(book, "good", b"", b"", GOOD)
    # Words of eight bytes are looked at at once: across such an edge, and behind long text.
    add_all(book, "edge", b"abcdef\xc3\xa9", b"ghijklmnop", BAD)
    return book
