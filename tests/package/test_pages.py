# SPDX-License-Identifier: Apache-2.0
"""The manual pages and the completions know every command and every flag, and none that is not
there. The pages are rendered and the completions are run, by bash and by zsh themselves."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

PARLEY = os.environ["PARLEY"]
PARLEYD = os.environ["PARLEYD"]
PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/package")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# Flags of other programs that the examples name.
OF_OTHERS = {"--pipe", "--wait", "--cacert"}


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def commands():
    return json.loads(output(PARLEY, "help", "--json"))["commands"]


def usage_flags(command):
    text = command["usage"] + output(PARLEY, "help", command["name"]).partition("\n\n")[2]
    return set(FLAG.findall(text))


def said_by(program, *flags):
    done = subprocess.run([program, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False, timeout=30)
    return done.stderr.decode()


def is_flag(program, flag):
    """Whether the program knows the flag; alone, it lacks a value or --data, and nothing begins."""
    return "is not a flag" not in said_by(program, flag)


class Pages(unittest.TestCase):
    def test_the_parts_that_are_made_are_those_of_these_programs(self):
        done = subprocess.run([sys.executable, "-B", os.path.join(PACKAGE, "pages.py"), PARLEY,
                               PARLEYD], stdout=subprocess.PIPE, check=False)
        self.assertEqual((0, b""), (done.returncode, done.stdout))

    def render(self, page):
        if shutil.which("groff") is None:
            self.skipTest("SKIPPED: the manual pages were NOT rendered: there is no groff")
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-rLL=250n", "-P-cbou",
                               os.path.join(PACKAGE, page)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((0, b""), (done.returncode, done.stderr))
        return re.sub(r"[ \n]+", " ", done.stdout.decode().replace("\u2010\n", ""))

    def test_parley_1_has_each_command_with_its_usage_and_help(self):
        text = self.render("parley.1")
        for command in commands():
            if command["name"] != "token": # its verbs have a usage each
                self.assertIn(f" {command['name']} {command['usage']}".rstrip() + " ", text)
                self.assertIn(command["help"], text)
            for flag in usage_flags(command):
                self.assertIn(flag, text)
        for flag in FLAG.findall(output(PARLEY, "help").partition("Flags of all commands")[2]):
            self.assertIn(flag, text)

    def test_parleyd_8_has_each_flag_and_exit_code(self):
        text = self.render("parleyd.8")
        shown = output(PARLEYD, "--help")
        for flag in FLAG.findall(shown):
            self.assertIn(f" {flag} ", text)
        for code in re.findall(r"(?m)(?:^|  )(\d\d?) [a-z]", shown.partition("Exit codes")[2]):
            self.assertRegex(text, rf" {code} [a-z]")
        self.assertIn("/etc/credstore", text)

    def test_they_have_no_flag_that_is_none(self):
        for page, program in (("parley.1", PARLEY), ("parleyd.8", PARLEYD)):
            flags = set(FLAG.findall(self.render(page))) - OF_OTHERS
            self.assertGreater(len(flags), 15)
            for flag in sorted(flags):
                self.assertTrue(is_flag(program, flag), f"{page}: {flag}")


@unittest.skipIf(shutil.which("bash") is None, "SKIPPED: bash completion: there is no bash")
class Bash(unittest.TestCase):
    def complete(self, *words):
        """What bash offers behind `words`, of which the last one is being written."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '"_${1}"; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script, "bash",
                               os.path.join(PACKAGE, f"{words[0]}.bash"), *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              cwd=self.folder)
        self.assertEqual((0, b""), (done.returncode, done.stderr), words)
        return set(done.stdout.decode().split())

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="parley-complete-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(os.path.join(self.folder, "some-dir"))
        open(os.path.join(self.folder, "some-file"), "w").close()

    def test_it_offers_every_command_and_no_other(self):
        names = {command["name"] for command in commands()}
        self.assertEqual(names, self.complete("parley", ""))
        self.assertEqual(names, self.complete("parley", "--data", "x", "--json", ""))
        self.assertEqual(names, self.complete("parley", "--data", "=", "x", ""))
        self.assertEqual(names, self.complete("parley", "help", ""))
        self.assertEqual({"restore", "revoke", "retention"}, self.complete("parley", "re"))

    def test_it_offers_the_flags_of_a_command_and_those_of_all(self):
        common = {"--data", "--json", "--seal-key-file", "--passphrase-file", "--help", "--version"}
        for command in commands():
            self.assertEqual(usage_flags(command) | common,
                             self.complete("parley", command["name"], "--"), command["name"])
        self.assertEqual(common, self.complete("parley", "--"))

    def test_it_offers_words_files_and_directories_where_they_belong(self):
        self.assertEqual({"read", "write"}, self.complete("parley", "approve", "--right", ""))
        self.assertEqual({"write"}, self.complete("parley", "approve", "--right", "=", "w"))
        self.assertEqual({"create", "list", "revoke"}, self.complete("parley", "token", ""))
        self.assertEqual({"reseal", "rotate", "show", "export", "import"},
                         self.complete("parley", "key", ""))
        self.assertEqual({"some-file", "some-dir"}, self.complete("parley", "import", "some"))
        self.assertEqual({"some-dir"}, self.complete("parley", "--data", "some"))
        self.assertEqual(set(), self.complete("parley", "show", ""))

    def test_it_offers_every_flag_of_parleyd(self):
        self.assertEqual(set(FLAG.findall(output(PARLEYD, "--help").partition("\nSettings\n")[2])),
                         self.complete("parleyd", ""))
        self.assertEqual({"hosted"}, self.complete("parleyd", "--type", "h"))
        self.assertEqual({"some-dir"}, self.complete("parleyd", "--data", "some"))


@unittest.skipIf(shutil.which("zsh") is None,
                 "SKIPPED: zsh completion was NOT run: there is no zsh")
class Zsh(unittest.TestCase):
    """zsh on a terminal of ours: what stands in the line after a press of the tabulator."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="parley-zsh-")
        self.addCleanup(shutil.rmtree, self.home)
        functions = os.path.join(self.home, "functions")
        os.mkdir(functions)
        for name in ("_parley", "_parleyd"):
            shutil.copy(os.path.join(PACKAGE, name), functions)
        open(os.path.join(self.home, "some-file"), "w").close()
        # A key of its own prints the line as it stands, so that nothing of the terminal is guessed.
        with open(os.path.join(self.home, ".zshrc"), "w") as file:
            file.write(f"fpath=({functions} $fpath)\nautoload -Uz compinit\ncompinit -u -D\n"
                       "PS1=''\nunsetopt beep zle_bracketed_paste prompt_cr prompt_sp\n"
                       "setopt auto_list list_ambiguous; LISTMAX=10000\n"
                       "zstyle ':completion:*' list-prompt ''\n"
                       "show() { print -r -- $'\\n'\"<<$BUFFER>>\"; BUFFER=''; }\nzle -N show\n"
                       "bindkey '^G' show\nprint READY\n")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self.home)
            os.execvpe("zsh", ["zsh", "-i"], {"HOME": self.home, "ZDOTDIR": self.home,
                                             "TERM": "dumb", "LC_ALL": "C.UTF-8", "COLUMNS": "200",
                                             "PATH": "/usr/bin:/bin"})
        self.addCleanup(self.end)
        self.read_until("READY")

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read_until(self, pattern, seconds=30):
        text = ""
        end = time.monotonic() + seconds
        while not re.search(pattern, text):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{pattern} did not come: {text!r}")
            text += os.read(self.fd, 65536).decode("utf-8", "replace")
        return text

    def complete(self, line, tabs=1):
        """(the line after the tabulator, all that was shown meanwhile)."""
        os.write(self.fd, line.encode() + b"\t" * tabs + b"\x07")
        shown = self.read_until(r"<<.*>>")
        return re.search(r"<<(.*)>>", shown).group(1), shown

    def test_it_completes_every_command(self):
        for command in commands():
            name = command["name"]
            others = [one["name"] for one in commands() if one["name"] != name]
            short = next(name[:i] for i in range(1, len(name) + 1)
                         if not any(one.startswith(name[:i]) for one in others))
            self.assertEqual(f"parley {name} ", self.complete(f"parley {short}")[0])

    def test_it_shows_the_flags_of_every_command(self):
        for command in commands():
            shown = self.complete(f"parley {command['name']} --", tabs=2)[1]
            for flag in usage_flags(command) | {"--data", "--json"}:
                self.assertIn(flag, shown, command["name"])

    def test_it_completes_words_and_files(self):
        self.assertEqual("parley approve x --right=write ",
                         self.complete("parley approve x --right=w")[0])
        self.assertEqual("parley token create ", self.complete("parley token c")[0])
        self.assertEqual("parley import some-file ", self.complete("parley import so")[0])
        self.assertEqual("parley help invite ", self.complete("parley help inv")[0])
        self.assertEqual("parleyd --type=hosted ", self.complete("parleyd --type=h")[0])

    def test_it_shows_every_flag_of_parleyd(self):
        shown = self.complete("parleyd --", tabs=2)[1]
        for flag in FLAG.findall(output(PARLEYD, "--help").partition("\nSettings\n")[2]):
            self.assertIn(flag, shown)


if __name__ == "__main__":
    unittest.main()
