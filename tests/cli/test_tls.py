# SPDX-License-Identifier: Apache-2.0
"""Certificates as the tools of others see them: openssl and curl against parleyd."""
import os
import shutil
import subprocess
import unittest

from nodes import Node, join, run, scratch, until

HAVE_TOOLS = shutil.which("openssl") is not None and shutil.which("curl") is not None


def openssl(*arguments, stdin=""):
    return run(["openssl", *arguments], stdin)


def must(result):
    if result.code != 0:
        raise AssertionError(result)
    return result.out


def curl(node, cacert, *flags, host="127.0.0.1"):
    return run(["curl", "-sS", "--max-time", "20", "--noproxy", "*", "--cacert", cacert, *flags,
                f"https://{host}:{node.port}/health"])


def s_client(node, *flags, stdin=""):
    return openssl("s_client", "-connect", f"127.0.0.1:{node.port}", "-tls1_2", *flags,
                   stdin=stdin)


def make_certificate(base, name, *flags, key="rsa:2048", days="30"):
    """A self-signed certificate and its key; returns both paths."""
    cert, secret = (os.path.join(base, name + end) for end in (".pem", ".key"))
    kind = ["-newkey", key]
    if key.startswith("ec:"):
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:" + key[3:]]
    must(openssl("req", "-x509", *kind, "-nodes", "-keyout", secret, "-out", cert, "-days", days,
                 "-subj", "/CN=" + name, "-addext",
                 "subjectAltName=DNS:localhost,IP:127.0.0.1", *flags))
    os.chmod(secret, 0o600)
    return cert, secret


@unittest.skipUnless(HAVE_TOOLS, "openssl and curl are needed")
class OwnCertificate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = scratch()
        cls.node = Node(cls.base, "a", "--advertise", "chat.example.org:8825").start()
        cls.ca = os.path.join(cls.base, "ca.pem")
        cls.node.json("identity", "--ca", cls.ca)

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def leaf(self):
        path = os.path.join(self.base, "leaf.pem")
        shown = must(s_client(self.node, "-showcerts"))
        begin = shown.index("-----BEGIN CERTIFICATE-----")
        end = shown.index("-----END CERTIFICATE-----")
        with open(path, "w") as file:
            file.write(shown[begin:end] + "-----END CERTIFICATE-----\n")
        return path

    def test_the_ca_is_the_same_with_and_without_the_daemon_and_over_http(self):
        with open(self.ca) as file:
            text = file.read()
        self.assertEqual(text, self.node.cli("identity", "--ca").out)
        self.assertEqual((200, text), self.node.http("GET", "/identity/ca.pem", token=None))
        self.assertEqual(text, self.node.json("identity", "--ca")["ca_pem"])
        self.node.stop()
        self.assertEqual(text, self.node.cli("identity", "--ca").out)
        self.node.start()
        self.assertEqual(text, self.node.cli("identity", "--ca").out)

    def test_the_ca_is_never_written_over_a_file(self):
        result = self.node.cli("--json", "identity", "--ca", self.ca)
        self.assertEqual((73, "exists"), (result.code, result.error["code"]))
        self.assertEqual(64, self.node.cli("identity", self.ca).code)

    def test_openssl_reads_and_verifies_both_certificates(self):
        text = must(openssl("x509", "-in", self.ca, "-noout", "-text"))
        self.assertIn("CA:TRUE", text)
        self.assertIn(self.node.identity(), text)
        leaf = self.leaf()
        text = must(openssl("x509", "-in", leaf, "-noout", "-text"))
        self.assertIn("DNS:chat.example.org", text)
        self.assertIn("prime256v1", text)
        for name in (["-verify_hostname", "chat.example.org"], ["-verify_hostname", "localhost"],
                     ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]):
            must(openssl("verify", "-x509_strict", "-purpose", "sslserver", *name, "-CAfile",
                         self.ca, leaf))
        self.assertNotEqual(0, openssl("verify", "-verify_hostname", "other.example.org",
                                       "-CAfile", self.ca, leaf).code)

    def test_openssl_connects_and_resumes(self):
        session = os.path.join(self.base, "session.pem")
        first = must(s_client(self.node, "-CAfile", self.ca, "-verify_return_error",
                              "-sess_out", session))
        self.assertIn("New, TLSv1.2, Cipher is ECDHE-ECDSA-", first)
        self.assertIn("Verify return code: 0 (ok)", first)
        again = must(s_client(self.node, "-sess_in", session))
        self.assertIn("Reused, TLSv1.2, Cipher is ECDHE-ECDSA-", again)
        self.node.stop()
        self.node.start()
        self.assertIn("New, TLSv1.2", must(s_client(self.node, "-sess_in", session)))

    def test_curl_accepts_the_node_under_its_ca_alone(self):
        answer = curl(self.node, self.ca)
        self.assertIn('"status":"ok"', must(answer))
        advertised = curl(self.node, self.ca, "--connect-to",
                          f"chat.example.org:{self.node.port}:127.0.0.1:{self.node.port}",
                          host="chat.example.org")
        self.assertIn('"status":"ok"', must(advertised))
        other, _ = make_certificate(self.base, "other")
        self.assertEqual(60, curl(self.node, other).code)
        wrong = curl(self.node, self.ca, "--connect-to",
                     f"other.example.org:{self.node.port}:127.0.0.1:{self.node.port}",
                     host="other.example.org")
        self.assertEqual(60, wrong.code)


@unittest.skipUnless(HAVE_TOOLS, "openssl and curl are needed")
class OperatorsCertificate(unittest.TestCase):
    def setUp(self):
        self.base = scratch()

    def start(self, cert, secret, name="a"):
        return Node(self.base, name, "--tls-cert", cert, "--tls-key", secret).start()

    def refused(self, cert, secret):
        """Why parleyd does not start, and how it ends."""
        node = Node(self.base, "refused", "--tls-cert", cert, "--tls-key", secret)
        self.assertEqual("", node.spawn())
        code = node.wait()
        lines = [line for line in node.log_text().splitlines() if "step=https" in line]
        self.assertTrue(lines, node.log_text())
        return code, lines[-1]

    def test_curl_sees_it_and_peers_see_the_nodes_own(self):
        for key in ("rsa:2048", "ec:prime256v1"):
            cert, secret = make_certificate(self.base, "own-" + key[:2], key=key)
            node = self.start(cert, secret, "a" + key[:2])
            kind = "RSA" if key[:3] == "rsa" else "ECDSA"
            self.assertIn('"status":"ok"', must(curl(node, cert)))
            ca = node.data + ".ca"
            node.json("identity", "--ca", ca)
            self.assertEqual(60, curl(node, ca).code)
            for alpn in ([], ["-alpn", "http/1.1"], ["-alpn", "http/1.1,h2"]):
                shown = must(s_client(node, "-CAfile", cert, "-verify_return_error", *alpn))
                self.assertIn(f"Cipher is ECDHE-{kind}-", shown)
                self.assertIn("CN = own-" + key[:2], shown)
            # parley/1 is the node's own protocol, wherever it stands in the list.
            for alpn in ("parley/1", "http/1.1,parley/1"):
                shown = must(s_client(node, "-CAfile", ca, "-verify_return_error", "-alpn", alpn))
                self.assertIn("Cipher is ECDHE-ECDSA-", shown)
                self.assertIn("O = parley node", shown)
                self.assertIn("ALPN protocol: parley/1", shown)
            other = Node(self.base, "peer-" + key[:2]).start()
            join(node, other)
            other.json("sync")
            other.stop()
            node.stop()

    def test_its_sessions_are_resumed_for_https_and_no_way_to_the_native_protocol(self):
        cert, secret = make_certificate(self.base, "own")
        node = self.start(cert, secret)
        session = os.path.join(self.base, "session.pem")
        must(s_client(node, "-alpn", "http/1.1", "-sess_out", session))
        self.assertIn("Reused, TLSv1.2", must(s_client(node, "-alpn", "http/1.1", "-sess_in",
                                                       session)))
        # A native session over a connection that showed this certificate has no key to sign.
        for flags in (["-alpn", "parley/1", "-sess_in", session], []):
            preface = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{node.port}", "-tls1_2", "-quiet",
                 *flags], input=b"\xc1PLY", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                timeout=30, check=False)
            self.assertEqual(b"", preface.stdout)
        refusals = until(lambda: [line for line in node.log_text().splitlines()
                                  if "connection-refused" in line][1:], what="two refusals")
        self.assertTrue(refusals)
        node.stop()

    def test_a_chain_is_sent_as_it_is(self):
        root, root_key = make_certificate(self.base, "root", "-addext",
                                          "basicConstraints=critical,CA:TRUE")
        request, secret = (os.path.join(self.base, name) for name in ("leaf.csr", "leaf.key"))
        must(openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-keyout", secret, "-out", request, "-subj", "/CN=leaf",
                     "-addext", "subjectAltName=IP:127.0.0.1"))
        os.chmod(secret, 0o600)
        leaf = must(openssl("x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key,
                            "-CAcreateserial", "-days", "2", "-copy_extensions", "copy"))
        chain = os.path.join(self.base, "chain.pem")
        with open(root) as above, open(chain, "w") as file:
            file.write(leaf + above.read())
        node = self.start(chain, secret)
        self.assertIn('"status":"ok"', must(curl(node, root)))
        self.assertEqual(2, must(s_client(node, "-showcerts")).count("BEGIN CERTIFICATE"))
        node.stop()

    def test_refusals_name_the_file_and_the_reason(self):
        cert, secret = make_certificate(self.base, "good")
        other, other_key = make_certificate(self.base, "second")
        big, big_key = make_certificate(self.base, "big", key="rsa:4096")
        curve, curve_key = make_certificate(self.base, "curve", key="ec:secp384r1")
        missing = os.path.join(self.base, "missing.pem")
        empty = os.path.join(self.base, "empty.pem")
        open(empty, "w").close()
        os.chmod(empty, 0o600)
        long = os.path.join(self.base, "long.pem")
        with open(cert) as file:
            text = file.read()
        with open(long, "w") as file:
            file.write(text * 5)
        locked = os.path.join(self.base, "locked.key")
        must(openssl("rsa", "-in", secret, "-out", locked, "-aes128", "-passout", "pass:secret"))
        cases = [
            (cert, other_key, other_key, "is not the key of the first certificate"),
            (other, secret, secret, "is not the key of the first certificate"),
            (big, big_key, big, "above 3072 bits"),
            (curve, curve_key, curve, "neither RSA of 2048 to 3072 bits nor P-256"),
            (missing, secret, missing, "No such file"),
            (cert, missing, missing, "No such file"),
            (empty, secret, empty, "holds no certificate"),
            (cert, empty, empty, "holds no private key"),
            (long, secret, long, "more than 4 certificates"),
            (cert, locked, locked, "is encrypted"),
        ]
        for cert_file, key_file, named, reason in cases:
            code, line = self.refused(cert_file, key_file)
            self.assertEqual(78, code, line)
            self.assertIn(named, line)
            self.assertIn(reason, line)
        os.chmod(secret, 0o640)
        code, line = self.refused(cert, secret)
        self.assertEqual(77, code)
        self.assertIn(secret, line)
        self.assertIn("others can read", line)

    def test_an_expired_certificate_is_refused(self):
        cert, secret = make_certificate(self.base, "old", "-set_serial", "7", days="1")
        expired = os.path.join(self.base, "expired.pem")
        # `req` takes no dates in the past; `ca` does.
        for name in ("index", "serial"):
            with open(os.path.join(self.base, name), "w") as file:
                file.write("01\n" if name == "serial" else "")
        config = os.path.join(self.base, "ca.cnf")
        with open(config, "w") as file:
            file.write("[ca]\ndefault_ca=d\n[d]\n"
                       f"database={self.base}/index\nserial={self.base}/serial\n"
                       f"new_certs_dir={self.base}\ndefault_md=sha256\npolicy=p\n"
                       "[p]\ncommonName=supplied\n")
        request = os.path.join(self.base, "old.csr")
        must(openssl("req", "-new", "-key", secret, "-subj", "/CN=old", "-out", request))
        must(openssl("ca", "-batch", "-config", config, "-selfsign", "-keyfile", secret, "-in",
                     request, "-out", expired, "-startdate", "20200101000000Z", "-enddate",
                     "20210101000000Z", "-notext"))
        code, line = self.refused(expired, secret)
        self.assertEqual(78, code)
        self.assertIn("certificate 1 of it expired on 2021-01-01", line)

    def test_the_flags_go_together(self):
        node = Node(self.base, "flags", "--tls-cert", "x.pem")
        self.assertEqual("", node.spawn())
        self.assertEqual(64, node.wait())
        self.assertIn("go together", node.log_text())


if __name__ == "__main__":
    unittest.main()
