# SPDX-License-Identifier: Apache-2.0
"""Import and export: bad input is named by line, nothing is taken twice, nothing is lost."""
import gzip
import json
import os
import random
import unittest

from nodes import Node, conversation, scratch, write_lines


class Import(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a").start()

    def tearDown(self):
        self.node.stop()

    def file(self, items, name="in.jsonl"):
        return write_lines(os.path.join(self.base, name), items)

    def test_a_second_import_changes_nothing(self):
        path = self.file([conversation(i) for i in range(200)])
        first = self.node.json("import", path)
        self.assertEqual((200, 200, 0, 0), (first["received"], first["created"], first["updated"],
                                            first["bad"]))
        root, head = self.node.root(), self.node.status()["head"]
        again = self.node.json("import", path)
        self.assertEqual((200, 0, 0, 200, 0),
                         (again["received"], again["created"], again["updated"], again["skipped"],
                          again["versions_new"]))
        self.assertEqual((root, head), (self.node.root(), self.node.status()["head"]))

    def test_bad_lines_are_named_by_number_and_skipped(self):
        bad = {
            3: "this is no JSON",
            5: '{"conversation_id": 5}',
            6: '{"title": "no id"}',
            8: '{"conversation_id":"' + "x" * 256 + '"}',
            10: '{"conversation_id":"cut","messages":[{"message_id"',
            11: '{"conversation_id":"a","messages":"none"}',
            13: '{"conversation_id":"b","messages":[{"message_id":"m","role":7,"content":"x"}]}',
            14: "[]",
        }
        lines = [bad.get(number) or conversation(number) for number in range(1, 20)]
        lines.insert(16, "")  # blank lines are no lines, but they count
        path = self.file(lines)
        # One line that is no UTF-8 at the end.
        with open(path, "ab") as file:
            file.write(b'{"conversation_id":"u","title":"\xff\xfe"}\n')
        answer = self.node.json("import", path)
        self.assertEqual(sorted(bad) + [21], [item["line"] for item in answer["errors"]])
        self.assertEqual((len(bad) + 1, 19 - len(bad)), (answer["bad"], answer["created"]))
        details = {item["line"]: item["detail"] for item in answer["errors"]}
        self.assertIn("conversation_id", details[5])
        self.assertIn("conversation_id", details[6])
        self.assertIn("255", details[8])
        self.assertIn("messages", details[11])
        self.assertIn("role", details[13])
        self.assertIn("UTF-8", details[21])
        said = self.node.cli("import", path)
        self.assertEqual(0, said.code)
        self.assertIn("line 3: ", said.err)

    def test_bad_lines_have_the_number_of_the_file_also_far_into_it(self):
        lines = [conversation(i, text="x" * 2000) for i in range(1500)]
        lines[1234] = "bad"
        answer = self.node.json("import", self.file(lines))
        self.assertEqual([1235], [item["line"] for item in answer["errors"]])

    def test_a_file_without_one_good_line_fails(self):
        result = self.node.cli("import", self.file(["this", "is", "no", "export"]))
        self.assertEqual(65, result.code)
        result = self.node.cli("import", self.file(["bad", conversation(1)]))
        self.assertEqual(0, result.code)

    def test_strict_stops_at_the_first_bad_line(self):
        lines = [conversation(i, text="x" * 2000) for i in range(1000)]
        lines[700] = "bad"
        result = self.node.cli("--json", "import", "--strict", self.file(lines))
        self.assertEqual((65, "bad-line"), (result.code, result.error["code"]))
        self.assertIn("line 701:", result.error["detail"])
        self.assertEqual(700, self.node.root()[2])

    def test_gzip_and_stdin_are_read_like_files(self):
        items = [conversation(i) for i in range(50)]
        path = self.file(items)
        packed = path + ".gz"
        with open(path, "rb") as file, gzip.open(packed, "wb") as out:
            out.write(file.read())
        self.assertEqual(50, self.node.json("import", packed)["created"])
        with open(path, "rb") as file:
            text = file.read()
        self.assertEqual(50, self.node.json("import", "-", stdin=text)["skipped"])
        self.assertEqual(50, self.node.json("import", "-", stdin=gzip.compress(text))["skipped"])
        self.assertEqual(50, self.node.json("import", "-", stdin=text.rstrip(b"\n"))["skipped"])

    def test_a_truncated_gzip_file_keeps_what_was_whole_and_fails(self):
        random.seed(1)
        items = [conversation(i, text="".join(random.choices("abcdefgh ", k=400)))
                 for i in range(500)]
        packed = gzip.compress("\n".join(json.dumps(i) for i in items).encode())
        path = os.path.join(self.base, "cut.gz")
        with open(path, "wb") as file:
            file.write(packed[:len(packed) // 2])
        result = self.node.cli("--json", "import", path)
        self.assertEqual(65, result.code)
        self.assertIn("cut.gz", result.error["detail"])
        self.assertGreater(self.node.root()[2], 100)
        self.assertTrue(self.node.json("check")["ok"])

    def test_unknown_fields_come_back(self):
        item = conversation(1)
        item["priority"] = {"level": 3, "who": ["ä", None, True, 1.5]}
        item["messages"][0]["tokens"] = 12345678901234
        self.node.json("import", self.file([item]))
        shown = self.node.json("show", "conv-00001")
        self.assertEqual(item["priority"], shown["priority"])
        self.assertEqual(item["metadata"], shown["metadata"])
        self.assertEqual(item["messages"][0]["tokens"], shown["messages"][0]["tokens"])

    def test_an_export_imported_elsewhere_gives_the_same_export(self):
        self.node.json("import", self.file([conversation(i) for i in range(120)]))
        self.node.json("append", "conv-00007", "--role", "user", "one more")
        self.node.json("edit", "conv-00008", "m001", "changed")
        out = os.path.join(self.base, "out.jsonl.gz")
        self.assertEqual(120, self.node.json("export", out)["conversations"])
        other = Node(self.base, "b").start()
        self.assertEqual(120, other.json("import", out)["created"])
        self.assertEqual(self.node.export(), other.export())
        piped = self.node.cli("export", "-")
        self.assertEqual(120, piped.out.count("\n"))
        other.stop()

    def test_namespaces_are_apart(self):
        path = self.file([conversation(1)])
        self.node.json("import", path, "--namespace", "team")
        self.assertEqual([], self.node.json("list")["conversations"])
        self.assertEqual(1, len(self.node.json("list", "--namespace", "team")["conversations"]))
        self.assertEqual(1, self.node.cli("show", "conv-00001").code)
        self.assertEqual("conv-00001", self.node.json("show", "conv-00001", "--namespace",
                                                      "team")["conversation_id"])

    def test_a_list_of_many_pages_is_whole_and_in_order(self):
        self.node.json("import", self.file([conversation(i, messages=1) for i in range(2345)]))
        ids = [c["conversation_id"] for c in self.node.json("list")["conversations"]]
        self.assertEqual([f"conv-{i:05d}" for i in range(2345)], ids)
        self.assertEqual(10, len(self.node.json("list", "--limit", "10")["conversations"]))


if __name__ == "__main__":
    unittest.main()
