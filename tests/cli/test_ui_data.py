# SPDX-License-Identifier: Apache-2.0
"""The view of the page at /ui that reads and writes files: imports, exports, bundles."""
import gzip
import json
import os
import unittest

from nodes import conversation, is_check_build, join, until, write_lines
from test_ui import UiCase

# What a table with that caption says, row by row.
ROWS = """(caption) => [...[...document.querySelectorAll('table')].find((t) =>
    t.caption.textContent === caption).tBodies[0].rows].map((r) =>
    [...r.cells].map((c) => c.innerText.trim()))"""


class Data(UiCase):
    def facts(self, page):
        """What the last import came to."""
        return page.run("""Object.fromEntries([...document.querySelectorAll('form .facts div')].map(
            (d) => [...d.children].map((c) => c.innerText.trim())))""")

    def take(self, page, path, told="imported"):
        page.attach("File", path)
        page.run("window.before = document.querySelector('form .work [role=status]').firstChild")
        page.press("Import")
        page.until("""document.querySelector('form .work [role=status]').innerText.includes(
            %s) && document.querySelector('form .work [role=status]').firstChild !== before"""
                   % json.dumps(told))

    def write(self, name, items):
        return write_lines(os.path.join(self.base, name), items)

    def test_a_file_is_imported_once_and_bad_lines_are_shown_by_number(self):
        node = self.node("one")
        page = self.login(node)
        self.go(page, "data", "Import")
        path = self.write("small.jsonl", [conversation(1), '{"conversation_id": "cut', "",
                                          conversation(2), {"title": "whose?"}])
        for taken, unchanged in ((2, 0), (0, 2)):
            self.take(page, path)
            self.assertEqual({"Taken": f"{taken}", "Of these new": f"{taken}",
                              "Unchanged": f"{unchanged}", "Skipped": "2",
                              "New versions": "14" if taken else "0"}, self.facts(page))
            rows = page.run(f"({ROWS})('Lines that were skipped')")
            self.assertEqual(["2", "5"], [row[0] for row in rows])
            self.assertRegex(rows[0][1], "^at byte [0-9]+ of the line")
            self.assertEqual("conversation_id: is missing", rows[1][1])
            root = root if unchanged else node.root()
            self.assertEqual(root, node.root())
        self.assertEqual(2, root[2])
        self.picture(page, "data")
        self.take(page, self.write("more.jsonl", [conversation(1, 4), conversation(3)]))
        self.assertEqual(("2", "1", "0"), tuple(self.facts(page)[name] for name in
                                                ("Taken", "Of these new", "Skipped")))
        self.go(page, "conversations", "3 conversations")
        page.press(conversation(2)["title"])
        page.shows("hello 2.1")

    def test_a_packed_file_goes_in_by_parts_and_what_was_damaged_is_said(self):
        node, other = self.node("one"), self.node("two")
        lines = [json.dumps(conversation(number, 3, "x" * 3000)) for number in range(300)]
        lines[250] = "no json"
        data = gzip.compress("\n".join(lines).encode(), 1)
        path = os.path.join(self.base, "part.jsonl.gz")
        page = self.login(node)
        self.go(page, "data", "Import")
        with open(path, "wb") as file:
            file.write(data)
        self.take(page, path)
        self.assertEqual("299", self.facts(page)["Taken"])
        self.assertEqual(["251"], [row[0] for row in page.run(
            f"({ROWS})('Lines that were skipped')")])
        other.json("import", path)
        self.assertEqual(other.root(), node.root())
        with open(path, "wb") as file:
            file.write(data[:-100])
        self.take(page, path, "ended early")
        page.shows("The file cannot be read")
        self.assertEqual("0", self.facts(page)["Taken"])

    def test_what_others_wrote_is_not_sent_but_its_command_is_named(self):
        node = self.node("one")
        page = self.login(node)
        self.go(page, "data", "Import")
        for name, start, said in (("a.zip", "PK\3\4", "This is an archive"),
                                  ("c.json", ' [{"mapping": {}}]', "This is one JSON list")):
            page.attach("File", self.write(name, [start]))
            page.press("Import")
            page.shows(said)
            page.shows("parley --data DIR import FILE reads exports of ChatGPT and Claude")
        self.take(page, self.write("m.jsonl", [{"messages": [{"role": "user", "content": "x"}]}]))
        page.shows("Not one line was a conversation of parley.")
        self.assertIsNone(node.root())

    def test_exports_are_those_of_the_command(self):
        node = self.node("one")
        node.json("import", self.write("some.jsonl", [conversation(number) for number in
                                                      range(40)] + [
            {**conversation(77), "title": "two\nlines"}, {**conversation(78), "title": ""}]))
        page = self.login(node)
        self.go(page, "data", "Export")
        for kind in ("jsonl", "md"):
            page.choose("As", kind)
            page.press("Export")
            saved = page.downloaded("." + kind)
            path = os.path.join(self.base, "by-command." + kind)
            node.json("export", path)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), saved)
        page.shows("42 conversations as parley-main-")

    def test_a_bundle_takes_what_is_new_to_the_other_node(self):
        one, two = self.node("one"), self.node("two", "hosted")
        join(two, one)
        other = two.identity()
        two.stop()
        one.json("import", self.write("some.jsonl", [conversation(n) for n in range(30)]))
        here = self.login(one)
        self.go(here, "data", "Bundles")
        here.choose("Of this namespace", other)
        here.press("Make a bundle")
        here.shows("It is signed, not encrypted.")
        bundle = os.path.join(self.base, "by-page.bundle")
        with open(bundle, "wb") as file:
            file.write(here.downloaded(".bundle"))
        one.stop()
        two.start()
        there = self.login(two)
        self.go(there, "data", "Bundles")
        for number in ("210", "0"):
            there.attach("Bundle of another node", bundle)
            there.press("Apply")
            there.shows("applied")
            there.until("document.querySelector('section form .facts dd').innerText === "
                        f"'{number}'")
        self.assertEqual(30, two.root()[2])
        with open(bundle, "ab") as file:
            file.truncate(os.path.getsize(bundle) - 1)
        there.attach("Bundle of another node", bundle)
        there.press("Apply")
        there.shows("This is no whole bundle")

    def test_an_import_goes_on_behind_other_views_and_can_be_stopped(self):
        node = self.node("one")
        page = self.login(node)
        self.go(page, "data", "Import")
        count = 150 if is_check_build() else 1500
        path = self.write("long.jsonl", [conversation(n, 9, "y" * 2000) for n in range(count)])
        page.attach("File", path)
        page.press("Import")
        page.shows("Stop")
        self.go(page, "overview", "This node")
        until(node.root, what="an import behind another view")
        self.go(page, "data", "Import")
        page.run("document.querySelector('.work button').focus()")
        page.key("Enter")
        page.shows("Stopped. What was taken before stays.")
        self.assertEqual("Import", page.focused())
        self.assertLess(node.root()[2], count)
        self.take(page, path)
        self.assertEqual(count, node.root()[2])


if __name__ == "__main__":
    unittest.main()
