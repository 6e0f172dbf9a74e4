# SPDX-License-Identifier: Apache-2.0
"""The curl lines of docs/HTTP.md work as they stand there, and there is one for every route."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest
import uuid

import nodes

DOC = pathlib.Path(__file__).parents[2] / "docs" / "HTTP.md"


def script():
    text = DOC.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


def lines_of(text):
    """(method, path) of each line that calls a route."""
    found = []
    for line in text.splitlines():
        match = re.search(r'"?\$NODE(/[^\s"?]*)', line)
        if not match or line.startswith(("#", "alias")):
            continue
        method = re.search(r"-X ([A-Z]+)", line)
        posts = re.search(r" (-d|--data-binary) ", line)
        found.append((method.group(1) if method else "POST" if posts else "GET", match.group(1)))
    return found


def registration(target):
    """What a program that has a key of its own sends; made here by other libraries."""
    import jwt
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key()
    spki = public.public_bytes(serialization.Encoding.DER,
                               serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    backend = "edge_sha256_" + digest.finalize().hex()[:32]
    now = int(time.time())
    stamp = lambda at: time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(at))
    name = uuid.uuid4().hex
    claims = {"sbt_id": name, "jti": name, "user_id": "u", "sub": "u", "session_id": "s",
              "local_backend_id": backend, "hosted_backend_id": target, "iss": backend,
              "created_at": stamp(now), "expires_at": stamp(now + 3600), "iat": now,
              "exp": now + 3600}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"typ": "SBT", "kid": backend})
    pem = public.public_bytes(serialization.Encoding.PEM,
                              serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return {"sbt": token, "peer_backend_id": backend, "peer_public_key": pem}


@unittest.skipUnless(shutil.which("curl"), "curl is missing")
class HttpDoc(nodes.PairCase):
    def test_every_line_works(self):
        third = nodes.Node(self.base, "third", kind="edge").start()
        try:
            folder = os.path.join(self.base, "doc")
            os.mkdir(folder)
            with open(os.path.join(folder, "register.json"), "w", encoding="utf-8") as file:
                json.dump(registration(self.local.identity()), file)
            environment = dict(nodes.clean_environment(),
                               NODE=f"http://127.0.0.1:{self.local.port}",
                               TOKEN=self.local.token(), PEER=self.hosted.identity(),
                               INVITE=third.invite())
            # An alias is one of an interactive shell, or of bash that was told so.
            text = "shopt -s expand_aliases\nset -eu\n" + script()
            done = subprocess.run(["bash", "-c", text], cwd=folder, env=environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(done.returncode, 0, f"{done.stdout[-1500:]}\n{done.stderr}")
            self.assertIn("304\n", done.stdout)
        finally:
            third.stop()

    def test_every_route_has_a_line(self):
        status, document = self.local.http("GET", "/openapi.json", token=None)
        self.assertEqual(status, 200)
        lines = lines_of(script())
        for path, operations in document["paths"].items():
            pattern = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + "$")
            for method in operations:
                self.assertTrue(any(method.upper() == one and pattern.match(other)
                                    for one, other in lines), f"{method} {path}")


if __name__ == "__main__":
    unittest.main()
