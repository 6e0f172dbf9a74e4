# SPDX-License-Identifier: Apache-2.0
"""parley doctor: each of the usual problems is made for real, found under its name, and said with
what to do; a node that is well has none. What takes too long to make is in unit/test_doctor.c."""
import os
import resource
import signal
import subprocess
import unittest

from nodes import PARLEY, Node, PairCase, clean_environment, is_check_build, join, run, scratch
from nodes import until
from test_tls import HAVE_TOOLS, make_certificate

CLOCK_SHIM = os.environ.get("CLOCK_SHIM", "")


def shifted(seconds):
    """The environment of a process whose wall clock is wrong."""
    return dict(clean_environment(), LD_PRELOAD=CLOCK_SHIM, CLOCK_SHIFT_S=str(seconds))


def needs_shim(test):
    return unittest.skipIf(is_check_build() or not CLOCK_SHIM,
                           "a wrong clock needs LD_PRELOAD, which sanitizers do not bear")(test)


class Case(unittest.TestCase):
    def setUp(self):
        self.base = scratch()
        self.node = Node(self.base, "a")
        self.nodes = [self.node]

    def tearDown(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.stop()

    def doctor(self, node=None, environment=None, flags=()):
        """{check: finding}, and the exit code."""
        node = node or self.node
        result = node.cli("--json", "doctor", *flags, environment=environment)
        answer = result.json
        self.assertEqual(answer["ok"], answer["problems"] == 0)
        levels = [item["level"] for item in answer["findings"]]
        self.assertEqual((answer["problems"], answer["warnings"], answer["notes"]),
                         tuple(levels.count(level) for level in ("problem", "warning", "note")))
        if not flags:
            self.assertEqual(1 if answer["problems"] else 0, result.code, result)
        self.assertEqual("", result.err)
        for item in answer["findings"]:
            if item["level"] != "ok":
                self.assertGreater(len(item["do"]), 10, item)
        return {item["check"]: item for item in answer["findings"]}

    def found(self, check, level, what, to_do="", **given):
        finding = self.doctor(**given).get(check)
        self.assertIsNotNone(finding, self.doctor(**given))
        self.assertEqual(level, finding["level"])
        self.assertIn(what, finding["what"])
        self.assertIn(to_do, finding.get("do", ""))
        return finding


class Alone(Case):
    def test_a_node_that_is_well_has_no_problem(self):
        self.node.start()
        found = self.doctor()
        self.assertEqual([], [item for item in found.values()
                              if item["level"] in ("problem", "warning")
                              and item["check"] != "file-system"])
        for check in ("files", "process", "store", "peers", "key", "settings"):
            self.assertEqual("ok", found[check]["level"], found)
        self.assertIn(f"pid {self.node.process.pid}", found["process"]["what"])
        text = self.node.cli("doctor")
        self.assertEqual(0, text.code)
        self.assertRegex(text.out, r"\n0 problems, \d warnings?, \d notes?\n$")

    def test_without_a_daemon_it_says_so_and_looks_all_the_same(self):
        self.node.start()
        self.node.stop()
        self.found("not-running", "warning", "does not run", f"parleyd --data {self.node.data}")
        self.assertEqual("ok", self.doctor()["store"]["level"])
        self.assertEqual(1, self.node.cli("doctor", "--strict").code)
        self.assertEqual(0, self.node.cli("doctor").code)

    def test_a_run_file_that_a_kill_left_is_not_believed(self):
        self.node.start()
        self.node.kill()
        self.assertTrue(os.path.exists(os.path.join(self.node.data, "parleyd.run")))
        self.assertIn("not-running", self.doctor())

    def test_no_directory_is_a_problem_and_none_named_is_a_mistake(self):
        self.found("no-directory", "problem", "is no directory", "parleyd --data ")
        self.assertFalse(os.path.exists(self.node.data))
        self.assertEqual(64, run([PARLEY, "doctor"]).code)

    def test_a_name_with_blanks_and_quotes_can_be_pasted(self):
        self.node.data = os.path.join(self.base, "it's here")
        command = self.found("no-directory", "problem", "")["do"]
        words = subprocess.run(["sh", "-c", 'printf "%s\\n" ' + command.split("parleyd ")[-1]],
                               stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        self.assertEqual(["--data", self.node.data], words)

    def test_rights_of_files_are_looked_at(self):
        self.node.start()
        secret, plain = (os.path.join(self.node.data, name) for name in ("seal.key", "witness"))
        os.chmod(self.node.data, 0o755)
        os.chmod(secret, 0o640)
        os.chmod(plain, 0o644)
        finding = self.found("open-directory", "problem", "mode 0755", "chmod 700 ")
        subprocess.run(finding["do"], shell=True, check=True)
        self.found("open-secret", "problem", "mode 0640", f"chmod 600 {secret}")
        os.chmod(secret, 0o600)
        finding = self.found("open-file", "warning", "mode 0644", f"chmod 600 {plain}")
        subprocess.run(finding["do"], shell=True, check=True)
        self.assertEqual("ok", self.doctor()["files"]["level"])

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_owners_are_looked_at(self):
        self.node.start()
        path = os.path.join(self.node.data, "store", "data.mdb")
        os.chown(path, 65534, 65534)
        finding = self.found("foreign-file", "problem", "user 65534", "chown -R 0 ")
        subprocess.run(finding["do"], shell=True, check=True)
        self.assertNotIn("foreign-file", self.doctor())
        self.node.stop()
        subprocess.run(["chown", "-R", "65534", self.node.data], check=True)
        before = sorted(os.stat(os.path.join(self.node.data, name)).st_mtime_ns
                        for name in os.listdir(self.node.data))
        found = self.doctor()
        self.assertEqual("warning", found["not-owner"]["level"])
        self.assertIn("sudo -u '#65534' parley", found["not-owner"]["do"])
        # The store was left alone: root would leave files that its owner cannot read.
        self.assertNotIn("store", found)
        self.assertEqual(before, sorted(os.stat(os.path.join(self.node.data, name)).st_mtime_ns
                                        for name in os.listdir(self.node.data)))

    def test_a_node_that_cannot_be_opened_says_why(self):
        self.node.start()
        token = os.path.join(self.node.data, "admin.token")
        os.chmod(token, 0o644)
        self.found("no-answer", "problem", "others can read this secret",
                   f"pid {self.node.process.pid}")
        os.chmod(token, 0o600)
        self.node.stop()
        secret = os.path.join(self.node.data, "seal.key")
        os.rename(secret, secret + ".away")
        self.found("cannot-open", "problem", "seal.key")
        self.assertFalse(os.path.exists(secret))

    def test_too_few_files_are_noticed(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        try:
            self.node.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if is_check_build():
            self.assertNotIn("files-few", self.doctor())
        else:
            self.found("files-few", "warning", "may open 100 files", "ulimit -n 1024")

    def test_old_clients_and_plain_peers_are_named(self):
        self.node.start("--compat-legacy", "--plain-peers")
        self.found("compat-legacy", "note", "from this machine", "--compat-legacy")
        self.found("plain-peers", "warning", "in the clear", "--plain-peers")
        self.node.stop()
        self.node.start("--force-compat-legacy", "--listen", "0.0.0.0:0")
        self.found("compat-legacy", "problem", "from other machines", "--force-compat-legacy")

    def test_a_changed_open_or_missing_configuration_is_noticed(self):
        path = os.path.join(self.base, "parleyd.conf")
        with open(path, "w") as file:
            file.write("log-level = info\n")
        self.node.start("--config", path)
        self.assertEqual("ok", self.doctor()["settings"]["level"])
        with open(path, "a") as file:
            file.write("rate = 0:0\n")
        finding = self.found("config-changed", "note", "was changed", "--check-config && kill -HUP")
        self.assertTrue(finding["do"].endswith(str(self.node.process.pid)))
        self.node.process.send_signal(signal.SIGHUP)
        until(lambda: "config-changed" not in self.doctor(), what="the end of the finding")
        os.chmod(path, 0o666)
        self.found("config-open", "problem", "mode 0666", f"chmod go-w {path}")
        os.unlink(path)
        self.found("config-missing", "warning", "not there any more")

    @unittest.skipUnless(HAVE_TOOLS, "openssl and curl are needed")
    def test_a_certificate_that_ends_soon_is_named_and_a_reload_ends_it(self):
        cert, key = make_certificate(self.base, "one", key="ec:prime256v1", days="7")
        self.node.start("--tls-cert", cert, "--tls-key", key)
        self.found("certificate-expires", "warning", "expires in", "kill -HUP")
        if CLOCK_SHIM and not is_check_build():
            self.found("certificate-expired", "problem", "expired",
                       environment=shifted(8 * 86400))
        make_certificate(self.base, "one", key="ec:prime256v1", days="90")
        self.node.process.send_signal(signal.SIGHUP)
        until(lambda: "certificate-expires" not in self.doctor(), what="the new certificate")


class Clocks(Case):
    @needs_shim
    def test_a_year_that_cannot_be_is_a_problem(self):
        self.node.start()
        self.found("clock-year", "problem", "the year 19", "timedatectl",
                   environment=shifted(-40 * 365 * 86400))

    @needs_shim
    def test_a_clock_that_went_back_is_compared_with_the_stamps(self):
        self.node.start(environment=shifted(3600))
        self.node.json("append", "c", "--role", "user", "later")
        self.node.stop()
        self.node.start()
        self.found("clock-behind-stamps", "problem", "minutes behind the newest stamp", "date -u")

    @needs_shim
    def test_the_clock_of_a_peer_is_compared(self):
        other = Node(self.base, "b", kind="hosted").start(environment=shifted(1000))
        self.nodes.append(other)
        self.node.start()
        join(other, self.node)
        until(lambda: "peer-skew" in self.doctor(), what="the first state of the peer")
        self.found("peer-skew", "problem", "16 minutes ahead of this one", "date -u")
        self.found("peer-skew", "problem", "16 minutes behind this one", node=other,
                   environment=shifted(1000))


class Disks(Case):
    """On a small tmpfs; needs the right to mount."""

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.base, "disk")
        os.mkdir(self.disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={20 << 20},nr_inodes=64",
                               "tmpfs", self.disk], stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            print("SKIPPED: disks were NOT tested: mounting a tmpfs is not allowed here: "
                  + done.stderr.decode().strip(), flush=True)
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=False)
        self.node = Node(self.disk, "data")
        self.node.log = os.path.join(self.base, "log")
        self.nodes = [self.node]

    def test_memory_little_room_no_room_and_read_only(self):
        self.node.start()
        self.found("file-system", "warning", "is on tmpfs", "local disk")
        self.found("disk-nearly-full", "warning", "of 21.0 MB are free", "make room")
        ballast = os.path.join(self.disk, "ballast")
        with open(ballast, "wb") as file:
            file.write(b"\0" * (17 << 20))
        self.found("disk-full", "problem", "writes are refused", "make room")
        self.assertNotEqual(0, self.node.cli("append", "c", "--role", "user", "x").code)
        self.found("writes-refused", "problem", "no space left", "room")
        os.unlink(ballast)
        self.node.json("append", "c", "--role", "user", "x")
        self.assertNotIn("writes-refused", self.doctor())
        self.node.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        self.found("read-only", "problem", "mounted read-only", "remount,rw")

    def test_no_inodes(self):
        self.node.start()
        for number in range(64):
            try:
                os.mkdir(os.path.join(self.disk, f"d{number}"))
            except OSError:
                break
        self.found("no-inodes", "problem", "no room for more files")


class Peers(PairCase):
    doctor = Case.doctor
    found = Case.found

    @property
    def node(self):
        return self.local

    def test_peers_that_are_well(self):
        self.sync()
        self.found("peers", "ok", "1 of 1 in sync")
        self.found("peers", "ok", "1 of 1 in sync", node=self.hosted)

    def test_a_peer_that_is_away_is_said_with_the_reason_and_the_next_try(self):
        self.sync()
        port = self.hosted.port
        self.hosted.kill()
        until(lambda: "refused" in self.doctor().get("peer-offline", {"what": ""})["what"],
              what="the refused dial")
        finding = self.found("peer-offline", "warning", "away: ",
                             f"is parleyd running at 127.0.0.1:{port}")
        self.assertRegex(finding["what"], r"next try in \d+ s")
        if CLOCK_SHIM and not is_check_build():
            self.found("peer-offline", "problem", "for 3 days",
                       environment=shifted(3 * 86400 + 60))
        # Whoever is dialed cannot dial.
        self.hosted.start()
        self.sync()
        self.local.kill()
        until(lambda: "peer-offline" in self.doctor(self.hosted), what="the lost peer")
        self.found("peer-offline", "warning", "away: ", "it dials this node", node=self.hosted)

    def test_a_peer_that_does_not_trust_us(self):
        self.sync()
        self.hosted.json("revoke", self.local.identity())
        until(lambda: "peer-refused" in self.doctor(), what="the refusal")
        self.found("peer-refused", "problem", "not trusted: ", "join URL")
        # There it was done on purpose.
        self.assertEqual("ok", self.doctor(self.hosted)["peers"]["level"])

    def test_a_peer_that_waits_to_be_let_in(self):
        try:
            from test_tokens import Program
        except SystemExit:
            self.skipTest("python3-jwt and python3-cryptography are needed")
        program = Program("ES256")
        status, answer = self.hosted.http("POST", "/register-peer", {
            "sbt": program.token(self.hosted.identity()), "peer_backend_id": program.id,
            "peer_public_key": program.pem, "peer_capabilities": []}, token=None)
        self.assertEqual((202, "pending"), (status, answer.get("status")), answer)
        self.found("peer-pending", "warning", "waits to be let in", f"approve {program.id}",
                   node=self.hosted)
        self.hosted.json("approve", program.id)
        # A client that is not here now is nobody's problem.
        self.assertEqual("ok", self.doctor(self.hosted)["peers"]["level"])

    def test_writes_where_a_peer_may_only_read(self):
        self.sync()
        self.hosted.json("approve", self.local.identity(), "--right", "read")
        self.local.json("append", "c", "--role", "user", "x")
        until(lambda: "peer-writes-refused" in self.doctor(self.hosted), what="the refused write")
        self.found("peer-writes-refused", "warning", "of its writes were refused",
                   f"approve {self.local.identity()}", node=self.hosted)

    def test_without_the_daemon_peers_are_not_said_to_be_away(self):
        self.sync()
        self.local.stop()
        self.hosted.stop()
        self.assertEqual("1 known", self.doctor()["peers"]["what"])


if __name__ == "__main__":
    unittest.main()
