# SPDX-License-Identifier: Apache-2.0
"""Imports of what other programs export: the same ids wherever it is imported, and nothing but a
clear refusal for what is damaged or made to do harm."""
import io
import json
import os
import random
import struct
import subprocess
import unittest
import zipfile

import nodes
from nodes import Node, scratch


def gpt_node(name, parent, role, text, at, **metadata):
    message = None
    if role is not None:
        message = {"id": name, "author": {"role": role, "name": None, "metadata": {}},
                   "create_time": at, "update_time": None, "status": "finished_successfully",
                   "content": {"content_type": "text", "parts": [text]}, "metadata": metadata,
                   "recipient": "all", "weight": 1.0}
    return {"id": name, "message": message, "parent": parent, "children": []}


def gpt(number, turns=4):
    """One conversation as ChatGPT exports it: a tree with a hidden root and one branch more."""
    base = 1700000000.125 + 1000 * number
    tree = [gpt_node("root", None, None, "", 0),
            gpt_node(f"s{number}", "root", "system", "", None,
                     is_visually_hidden_from_conversation=True)]
    parent = f"s{number}"
    for turn in range(turns):
        name = f"m{number}-{turn}"
        role = "assistant" if turn % 2 else "user"
        tree.append(gpt_node(name, parent, role, f"turn {turn} \u2713 \"x\"", base + turn,
                             model_slug="m-1"))
        if turn == turns - 1:
            tree.append(gpt_node(f"b{number}", parent, role, "another answer", base + turn - 0.5))
        parent = name
    mapping = {node["id"]: node for node in tree}
    for node in tree:
        if node["parent"]:
            mapping[node["parent"]]["children"].append(node["id"])
    return {"title": f"Talk {number}", "create_time": base, "update_time": base + 99.5,
            "mapping": mapping, "current_node": parent, "conversation_id": f"c-{number}",
            "moderation_results": [], "plugin_ids": None, "id": f"c-{number}"}


def claude(number):
    stamp = f"2024-03-{number % 28 + 1:02}T10:00:0"
    return {"uuid": f"u-{number}", "name": f"Chat {number}", "account": {"uuid": "a"},
            "created_at": stamp + "0.000000Z", "updated_at": stamp + "9.500000+00:00",
            "chat_messages": [
                {"uuid": f"q-{number}", "sender": "human", "text": "old text",
                 "content": [{"type": "text", "text": "What is\nthis?"}],
                 "created_at": stamp + "1.000001Z", "updated_at": stamp + "1.0Z",
                 "attachments": [{"file_name": "a.txt", "file_size": 3, "file_type": "txt",
                                  "extracted_content": "abc"}], "files": [{"file_name": "b.png"}]},
                {"uuid": f"e-{number}", "sender": "assistant", "text": "", "content": [],
                 "created_at": stamp + "2.0Z", "attachments": [], "files": []},
                {"uuid": f"r-{number}", "sender": "assistant", "text": "That.",
                 "content": [{"type": "thinking", "thinking": "hm"},
                             {"type": "text", "text": "That."}],
                 "created_at": stamp + "3.0Z", "attachments": [], "files": []}]}


def message_list(number):
    return {"messages": [{"role": "system", "content": "Be brief."},
                         {"role": "user", "content": f"Question {number}"},
                         {"role": "assistant", "content": None,
                          "tool_calls": [{"id": "t", "type": "function"}]},
                         {"role": "assistant", "content": [{"type": "text", "text": "Answer"}]}]}


def archive(texts, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as file:
        for name, text in texts.items():
            file.writestr(name, text)
    return out.getvalue()


class Foreign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = scratch()
        cls.node = Node(cls.base, "a").start()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def write(self, data, name="in.json"):
        path = os.path.join(self.base, name)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else
                       (data if isinstance(data, str) else json.dumps(data)).encode())
        return path

    def take(self, data, name="in.json", *flags):
        return self.node.json("import", self.write(data, name), *flags)

    def refused(self, data, name, words, code=65):
        """It is refused by name, and the node holds what it held before."""
        root = self.node.root()
        done = self.node.cli("import", self.write(data, name))
        self.assertEqual(code, done.code, done)
        self.assertIn(words, done.err)
        self.assertNotIn("bug of ours", done.err)
        self.assertEqual(root, self.node.root())

    def show(self, conversation):
        return self.node.http("GET", f"/conversations/{conversation}")[1]

    # ---- What is taken ----

    def test_chatgpt_branch_that_was_shown_last(self):
        answer = self.take([gpt(1), gpt(2)])
        self.assertEqual((2, 2, 0, 2), (answer["received"], answer["created"], answer["bad"],
                                        answer["messages_left_out"]))
        talk = self.show("chatgpt-c-1")
        self.assertEqual("Talk 1", talk["title"])
        self.assertEqual([f"m1-{turn}" for turn in range(4)],
                         [message["message_id"] for message in talk["messages"]])
        self.assertEqual(("user", "turn 0 \u2713 \"x\"", "2023-11-14T22:30:00.125000Z", "m-1"),
                         tuple(talk["messages"][0][key]
                               for key in ("role", "content", "timestamp", "model")))
        self.assertEqual("2023-11-14T22:31:39.625000Z", talk["updated_at"])

    def test_chatgpt_all_branches(self):
        self.take([gpt(3)], "in.json", "--all")
        found = {message["message_id"]: message for message in self.show("chatgpt-c-3")["messages"]}
        self.assertEqual("another answer", found["b3"]["content"])
        self.assertEqual("m3-2", found["b3"]["parent_id"])

    def test_claude(self):
        answer = self.take([claude(1)])
        self.assertEqual((1, 0), (answer["created"], answer["bad"]))
        talk = self.show("claude-u-1")
        self.assertEqual("Chat 1", talk["title"])
        self.assertEqual([("user", "What is\nthis?"), ("assistant", "That.")],
                         [(message["role"], message["content"]) for message in talk["messages"]])
        self.assertEqual(["a.txt", "b.png"], talk["messages"][0]["attachments"])

    def test_lists_of_messages_one_a_line_and_as_a_file(self):
        lines = "".join(json.dumps(message_list(number)) + "\n" for number in range(3))
        answer = self.take(lines, "in.jsonl", "--date", "2024-05-06")
        self.assertEqual((3, 3, 0), (answer["received"], answer["created"], answer["bad"]))
        whole = self.take(message_list(1)["messages"], "in.json", "--date", "2024-05-06")
        self.assertEqual((1, 0), (whole["received"], whole["created"]), "the same content twice")
        status, listed = self.node.http("GET", "/conversations?prefix=list-")
        self.assertEqual(200, status)
        titles = {talk["title"] for talk in listed["conversations"]}
        self.assertEqual({"Question 0", "Question 1", "Question 2"}, titles)
        talk = self.show(listed["conversations"][0]["conversation_id"])
        self.assertEqual(["Be brief.", "", "Answer"],
                         [talk["messages"][i]["content"] for i in (0, 2, 3)])
        self.assertEqual([{"id": "t", "type": "function"}], talk["messages"][2]["tool_calls"])
        self.assertTrue(talk["messages"][0]["timestamp"].startswith("2024-05-06T00:00:00"))

    def test_an_archive_of_several_texts(self):
        data = archive({"user.json": "{}", "export/conversations-000.json": json.dumps([gpt(7)]),
                        "export/conversations-001.json": json.dumps([gpt(8), claude(8)]),
                        "chat.html": "<p>", "more.jsonl": json.dumps(nodes.conversation(9))})
        answer = self.take(data, "export.zip")
        self.assertEqual((4, 4, 0), (answer["received"], answer["created"], answer["bad"]))

    def test_twice_and_on_two_nodes_gives_one_root(self):
        talks = [gpt(number) for number in range(20, 60)] + [claude(n) for n in range(20, 60)]
        lists = "".join(json.dumps(message_list(number)) + "\n" for number in range(20))
        base = scratch()
        one, two = Node(base, "x").start(), Node(base, "y").start()
        try:
            packed = self.write(archive({"conversations.json": json.dumps(talks)}), "all.zip")
            plain = self.write(list(reversed(talks)), "all.json")
            lines = self.write(lists, "lists.jsonl")
            for node, files in ((one, (packed, lines, packed)), (two, (lines, plain))):
                for file in files:
                    self.assertEqual(0, node.json("import", file)["bad"])
            self.assertEqual(one.root(), two.root())
            self.assertEqual(100, one.root()[2])
        finally:
            one.stop()
            two.stop()

    def test_a_later_export_adds_what_is_new(self):
        self.take([gpt(70, turns=2)])
        answer = self.take([gpt(70, turns=6)])
        self.assertEqual((1, 0), (answer["updated"], answer["created"]))
        self.assertEqual(6, len(self.show("chatgpt-c-70")["messages"]))

    # ---- And out again ----

    def test_markdown_for_people(self):
        self.take([claude(75)])
        path = os.path.join(self.base, "one.md")
        self.assertEqual(1, self.node.json("export", path, "claude-u-75")["conversations"])
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(
            "# Chat 75\n\nConversation `claude-u-75`, updated 2024-03-20 10:00:09 UTC\n\n"
            "## user, 2024-03-20 10:00:01 UTC\n\nWhat is\nthis?\n\n"
            "## assistant, 2024-03-20 10:00:03 UTC\n\nThat.\n\n", text)
        whole = self.node.cli("export", "-", "--markdown")
        self.assertEqual(0, whole.code, whole)
        self.assertIn(text, whole.out)
        self.assertEqual(self.node.root()[2], whole.out.count("\nConversation `"))
        self.assertEqual(1, self.node.cli("export", path, "no-such-talk").code)

    # ---- What is not ----

    def test_bad_conversations_are_named_and_the_rest_is_taken(self):
        circle = gpt(80)
        circle["mapping"]["root"]["parent"] = circle["current_node"]
        nameless = claude(81)
        del nameless["uuid"]
        deep = '{"mapping":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}"
        items = [json.dumps(gpt(82)), json.dumps(circle), json.dumps(nameless), deep, "17",
                 '{"title":"x"}', json.dumps(gpt(83))]
        answer = self.take("[" + ",".join(items) + "]")
        self.assertEqual((7, 2, 5), (answer["received"], answer["created"], answer["bad"]))
        details = {item["number"]: item["detail"] for item in answer["errors"]}
        self.assertEqual({2, 3, 4, 5, 6}, set(details))
        self.assertIn("circle", details[2])
        self.assertIn("uuid", details[3])
        self.assertIn("none of conversation_id", details[6])

    def test_text_that_is_no_utf8_is_refused_by_number(self):
        good = json.dumps(gpt(84)).encode()
        answer = self.take(b"[" + good.replace(b"another", b"\xff\xfe") + b"," + good + b"]")
        self.assertEqual((1, [1]), (answer["created"], [e["number"] for e in answer["errors"]]))

    def test_strict_stops_at_the_first_bad_one(self):
        path = self.write("[" + json.dumps(gpt(85)) + ",17," + json.dumps(gpt(86)) + "]")
        done = self.node.cli("import", path, "--strict")
        self.assertEqual(65, done.code)
        self.assertIn("conversation 2", done.err)
        self.assertEqual(404, self.node.http("GET", "/conversations/chatgpt-c-86")[0])

    def test_arrays_that_are_not_well_formed(self):
        good = json.dumps(gpt(87))
        for text, words in (("[" + good + " " + good + "]", "comma is missing"),
                            ("[" + good, "does not end"), ("[" + good + ",]", "value is missing"),
                            ("[," + good + "]", "value is missing"),
                            ("[" + good + "] x", "follows the array"),
                            ("[" + good[:-5], "does not end")):
            done = self.node.cli("import", self.write(text))
            self.assertEqual(65, done.code, text[-30:])
            self.assertIn(words, done.err)

    def test_an_archive_cut_anywhere_is_refused(self):
        data = archive({"conversations.json": json.dumps([gpt(88)])})
        for cut in random.Random(5).sample(range(4, len(data)), 12):
            self.refused(data[:cut], "cut.zip", "is no whole ZIP archive")

    def test_a_bomb_is_refused_before_it_goes_off(self):
        self.refused(archive({"conversations.json": b"[" + b" " * (48 << 20) + b"]"}),
                     "bomb.zip", "which no export does")

    def test_a_bomb_that_lies_about_its_size_is_refused(self):
        data = bytearray(archive({"conversations.json": b"[" + b" " * (64 << 20) + b"]"}))
        central = data.index(b"PK\x01\x02")
        for at in (22, central + 24):
            data[at:at + 4] = struct.pack("<I", 100)
        done = self.node.cli("import", self.write(bytes(data), "lie.zip"))
        self.assertEqual(65, done.code, done.out)

    def test_archives_without_anything_to_take(self):
        self.refused(archive({"user.json": "{}"}), "none.zip", "has no conversations.json")
        self.refused(archive({f"{i}.json": "" for i in range(10001)}), "many.zip",
                     "more than 10000")
        data = bytearray(archive({"conversations.json": "[]"}))
        for at in (6, data.index(b"PK\x01\x02") + 8):
            data[at] |= 1  # encrypted, it says
        self.refused(bytes(data), "locked.zip", "unpack it first")

    def test_flipped_bytes_of_an_archive_never_crash(self):
        data = archive({"conversations.json": json.dumps([gpt(90), claude(90)])})
        draw = random.Random(7)
        for _ in range(25):
            bad = bytearray(data)
            for _ in range(draw.randrange(1, 4)):
                bad[draw.randrange(4, len(bad))] = draw.randrange(256)
            done = self.node.cli("import", self.write(bytes(bad), "flip.zip"))
            self.assertIn(done.code, (0, 65), done.err)

    def test_a_large_export_takes_the_memory_of_one_conversation(self):
        text = json.dumps(gpt(91, turns=40)).replace("turn", "turn" + "x" * 800)
        path = os.path.join(self.base, "large.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[" + ",".join(text.replace("c-91", f"c-91-{i}") for i in range(1000)) + "]")
        self.assertGreater(os.path.getsize(path), 30 << 20)
        if nodes.is_check_build():
            self.skipTest("sanitizers take address space without end")
        done = subprocess.run(["sh", "-c", 'ulimit -v 200000; exec "$@"', "sh", nodes.PARLEY,
                               "--data", self.node.data, "--json", "import", path],
                              capture_output=True, text=True, timeout=300, check=False,
                              env=nodes.clean_environment())
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(1000, json.loads(done.stdout)["created"])


if __name__ == "__main__":
    unittest.main()
