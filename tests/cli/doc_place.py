# SPDX-License-Identifier: Apache-2.0
"""Where the commands of the pages run: what DIR, FILE, CONV and their like stand for, and the nodes
behind them."""
import os
import pathlib
import re
import shutil

import nodes
import old_backend

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build" / "release"))


class Place:
    """What stands for something else, while commands run: two nodes that know each other, `one` and
    `two`, a stopped one to copy, and what more a command needs when it comes."""

    def __init__(self, config):
        self.base = nodes.scratch()
        self.config = config
        self.count = 0
        self.started = []
        for name in ("tools", "tests"):
            os.symlink(TOP / name, self.path(name))
        self.one = self.start(nodes.Node(self.base, "one", kind="local"))
        self.two = self.start(nodes.Node(self.base, "two", kind="hosted"))
        nodes.join(self.two, self.one)
        talks = [nodes.conversation(number) for number in range(400)]
        self.lines = nodes.write_lines(self.path("talks.jsonl"), talks)
        self.one.json("import", self.lines)
        self.one.json("sync")
        still = nodes.Node(self.base, "still").start()
        still.json("import", self.lines)
        self.backup = self.path("still.parley")
        still.json("backup", self.backup)
        still.stop()
        self.still = still
        self.host = self.other = None
        self.old = old_backend.OldBackend().start()

    def start(self, node):
        self.started.append(node.start())
        return node

    def close(self):
        for node in self.started:
            if node.process.poll() is None:
                node.stop()
        self.old.stop()

    def path(self, name):
        return os.path.join(self.base, name)

    def new(self, end=""):
        self.count += 1
        return self.path(f"new-{self.count}{end}")

    # ---- Values ----

    def copy(self):
        """A data directory without a daemon."""
        path = self.new()
        shutil.copytree(self.still.data, path)
        return path

    def talk(self):
        self.count += 1
        return f"conv-{self.count:05d}"

    def invite(self):
        """Of a third node that knows nobody else."""
        if self.host is None:
            self.host = self.start(nodes.Node(self.base, "host", kind="edge"))
        return self.host.invite()

    def guest(self, goes):
        """A peer that is let in, and shut out."""
        if self.other is None:
            self.count += 1
            self.other = self.start(nodes.Node(self.base, f"guest-{self.count}", kind="edge"))
            nodes.join(self.one, self.other)
        name = self.other.identity()
        if goes:
            self.other = None
        return name

    def secret(self, data=b"a pass phrase of eight words and no more\n"):
        path = self.new(".secret")
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o600)
        return path

    def sealed(self):
        path = self.new(".sealed")
        done = nodes.run([nodes.PARLEY, "--data", self.copy(), "key", "export", "--sealed", path],
                         environment=self.environment())
        assert done.code == 0, done
        return path

    def bundle(self):
        path = self.new(".bundle")
        self.two.json("bundle", "create", path)
        return path

    def settings(self):
        """The documented configuration file, of this machine."""
        path = self.new(".conf")
        text = re.sub(r"(?m)^ +", "", self.config)
        text = text.replace("/var/lib/parley", self.copy()).replace(
            "0.0.0.0:8825, [::]:8825", "127.0.0.1:0")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def token_id(self):
        return self.one.json("token", "create", "--user", "guest")["sbt_id"]

    def invite_id(self):
        return self.one.json("invite")["id"]

    def log_place(self):
        return self.one.json("bundle", "create", self.new(".bundle"))["upto"]

    def chain(self):
        return self.one.json("audit", "--verify")["hash"]

    def lost(self, is_field):
        """Edits a message, or a title, and names the version that was overwritten."""
        talk = self.talk()
        if is_field:
            self.one.http("PATCH", f"/conversations/{talk}", {"title": "Another"})
            name, key = "title", "field"
        else:
            self.one.json("edit", talk, "m000", "another text")
            name, key = "m000", "message_id"
        versions = self.one.http("GET", f"/conversations/{talk}/history")[1]["versions"]
        version = next(one["version"] for one in versions
                       if one.get(key) == name and not one["current"])
        return f"{talk} {name} {version}" + (" --field" if is_field else "")

    def environment(self, data=None):
        folders = [os.path.dirname(nodes.PARLEYD), os.path.dirname(nodes.PARLEY),
                   *(str(BUILD / one) for one in ("tests/sim", "tests/fault"))]
        return dict(nodes.clean_environment(), HOME=self.base, PARLEY_DATA=data or self.one.data,
                    PARLEY_EXPORT_PASSPHRASE="five blue ladders under seven suns",
                    PATH=os.pathsep.join([*folders, os.environ["PATH"]]))


# What a command says, by regular expression, and what is said instead; in this order.
INSTEAD = [
    # Numbers of campaigns.
    (r"1\.\.(5000|20000)\b", lambda place, found: "1..3"),
    (r"(?<=--scenario )N\b", lambda place, found: "12"),
    (r"parley-fault kill( --limit 5000)?", lambda place, found: "parley-fault kill --limit 3"),
    (r"^ctest( --preset release)?", lambda place, found: f"ctest --test-dir {BUILD} -N"),
    (r"^build/release/", lambda place, found: f"{BUILD}/"),
    # Other machines, and places of this one.
    (r"\bssh host '(.*)'", lambda place, found: "sh -c" + found.removeprefix("ssh host")),
    (r"\bage( \u2026)?$", lambda place, found: "cat >" + place.new()),
    (r"/var/lib/parley\b", lambda place, found: place.one.data),
    (r"/srv/parley\b", lambda place, found: place.new()),
    (r"/backups/", lambda place, found: place.new("-")),
    (r"http://(127\.0\.0\.1:8000|HOST:PORT)", lambda place, found: place.old.url),
    (r"(?<=--listen )\S+", lambda place, found: "127.0.0.1:0"),
    (r"(?<=http://)127\.0\.0\.1:8825", lambda place, found: f"127.0.0.1:{place.one.port}"),
    (r"https://HOST:PORT", lambda place, found: f"https://localhost:{place.one.port}"),
    (r"parley://[^'\s]+", lambda place, found: place.invite()),
    # What stands for something.
    (r"\bCONV MSG VERSION\b( --field)?", lambda place, found: place.lost("--field" in found)),
    (r"(?<=token revoke )ID\b", lambda place, found: place.token_id()),
    (r"(?<=invite withdraw )ID\b", lambda place, found: place.invite_id()),
    (r"(?<=approve )ID\b", lambda place, found: place.guest(False)),
    (r"(?<=parley revoke )ID\b", lambda place, found: place.guest(True)),
    (r"(?<=--config )FILE\b", lambda place, found: place.settings()),
    (r"(?<=key import )FILE\b", lambda place, found: place.sealed()),
    (r"(?<=import )FILE\b", lambda place, found: place.lines),
    (r"(?<=bundle apply )FILE\b", lambda place, found: place.bundle()),
    (r"(?<=restore )FILE\b|(?<=--verify )FILE\b", lambda place, found: place.backup),
    (r"(?<=--new-passphrase-file )F\b", lambda place, found: place.secret()),
    (r"(?<=--new-seal-key-file )F\b", lambda place, found: place.secret(os.urandom(32))),
    (r"\bNEWDIR\b", lambda place, found: place.new()),
    (r"\bFILE\b", lambda place, found: place.new(".out")),
    (r"'URL'", lambda place, found: f"'{place.invite()}'"),
    (r"^parley join URL\b", lambda place, found: f"parley join '{place.invite()}'"),
    (r"\bPEER:STRANGERS\b", lambda place, found: "500:100"),
    (r"\b(PEER|ID)\b", lambda place, found: place.two.identity()),
    (r"\bPLACE\b", lambda place, found: place.log_place()),
    (r"\bHASH\b", lambda place, found: place.chain()),
    (r"\bCONV\b", lambda place, found: place.talk()),
    (r"--id MSG\b", lambda place, found: "--id another"),
    (r"\bMSG\b", lambda place, found: "m000"),
    (r"\bTEXT\b", lambda place, found: "'a text'"),
    (r"\bCOMMAND\b", lambda place, found: "status"),
    (r"\bNS\b", lambda place, found: "main"),
    (r"\b(DAYS|N|D)\b", lambda place, found: "30"),
    (r"\b[PRUS]\b", lambda place, found: "user"),
]


PATTERN = re.compile("|".join(f"(?P<_{number}>{pattern})"
                               for number, (pattern, _) in enumerate(INSTEAD)))


def fill_in(text, place):
    """In one pass, so that nothing is replaced in what was filled in."""
    return PATTERN.sub(lambda found: INSTEAD[int(found.lastgroup[1:])][1](place, found[0]), text)
