# SPDX-License-Identifier: Apache-2.0
"""A backend of the system that parley replaces, as far as its peers can tell: GET /identity, POST
/register-peer and POST /sync over plain HTTP, everything in memory. It says no to what the old
models would not take, and fails on demand."""
import http.server
import json
import socket
import threading
import time

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvLAf3fn+ypjpXUisCV1f
nsMVnQHP97xyVH3b239/zAUz+PL4PZTthJYlLKjrM94x2p9RSnEEseLvQ2n+Qfeh
iW8oGFXt2y6CaRJOyLZjO2c6wHDnWQ2Q/PHS2VcK6HJqEtue7qMmPRUweiFklwUu
NvAzvqbihKd1ca/hqTikcJIsW6Q1bdthMn2915tS0H2WZEKCjgY8aV1hmyYlpaan
urfW0gLs/8TxiRgFh1+6LE3yeape5aUsivXi4TTcXG2hgaEKLtxNwuiSreZFfWLI
hrXL8WlNNq36qLnK/b6hBQ2atU/fkI+/wfUzHPyIyMLKvc5Du/S54NKzePY+kar4
zQIDAQAB
-----END PUBLIC KEY-----
"""
PAYLOAD = {"sync_id", "source_backend_id", "target_backend_id", "timestamp", "conversations"}
ENVELOPE = {"conversation_id", "title", "created_at", "updated_at", "messages"}
MESSAGE = {"message_id", "role", "content", "timestamp"}
SBT = {"sbt_id", "user_id", "session_id", "local_backend_id", "hosted_backend_id", "created_at",
       "expires_at", "signature"}


def is_naive(text):
    """With microseconds and without a zone: what datetime.isoformat() of utcnow() gives."""
    try:
        time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    return len(text) == 26 and text[19] == "." and text[20:].isdigit()


class OldBackend:
    def __init__(self, backend_id="local_sha256_" + "ab" * 16):
        self.backend_id = backend_id
        self.public_key = PUBLIC_KEY
        self.port = 0
        self.lock = threading.Lock()
        self.peers = {}  # id to registration
        self.conversations = {}  # id to {title, created_at, updated_at, messages by id}
        self.calls = []  # (method, path) of all requests
        self.payloads = []  # those that were taken
        self.wrong = []  # what the old models would not have taken
        self.faults = []  # for the next POST /sync, one each
        self.registrations = 0
        self.server = None
        self.thread = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                backend.get(self)

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                backend.post(self, self.rfile.read(length))

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={
            "poll_interval": 0.05}, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def forget_peers(self):
        """What a restart of the old system does."""
        with self.lock:
            self.peers.clear()

    # ---- Requests ----

    def get(self, handler):
        with self.lock:
            self.calls.append(("GET", handler.path))
        if handler.path != "/identity":
            answer(handler, 404, {"detail": "Not Found"})
            return
        answer(handler, 200, {"backend_id": self.backend_id, "backend_type": "local",
                              "public_key": self.public_key, "capabilities": ["sync"],
                              "version": "1.0", "created_at": "2024-01-01T00:00:00.000000"})

    def post(self, handler, raw):
        with self.lock:
            self.calls.append(("POST", handler.path))
            fault = self.faults.pop(0) if handler.path == "/sync" and self.faults else None
        if fault is not None and fault(self, handler, raw):
            return
        body = json.loads(raw)
        with self.lock:
            status, reply = self.register(body) if handler.path == "/register-peer" else \
                self.sync(body, len(raw))
        answer(handler, status, reply)

    def register(self, body):
        if set(body) != {"sbt", "peer_backend_id", "peer_public_key", "peer_capabilities"} or \
                set(body["sbt"]) != SBT or not is_naive(body["sbt"]["expires_at"]):
            self.wrong.append(body)
            return 422, {"detail": "not a registration"}
        if self.backend_id not in (body["sbt"]["local_backend_id"],
                                   body["sbt"]["hosted_backend_id"]):
            return 400, {"detail": "SBT does not name this backend"}
        self.registrations += 1
        self.peers[body["peer_backend_id"]] = body
        return 200, {"status": "registered", "sbt_id": body["sbt"]["sbt_id"],
                     "peer_backend_id": self.backend_id}

    def sync(self, body, size):
        if body["source_backend_id"] not in self.peers:
            return 403, {"detail": "Source backend not registered"}
        ids = [item["conversation_id"] for item in body["conversations"]]
        good = set(body) == PAYLOAD and is_naive(body["timestamp"]) and \
            len(ids) == len(set(ids)) and body["target_backend_id"] == self.backend_id
        for item in body["conversations"]:
            good = good and set(item) == ENVELOPE and is_naive(item["created_at"]) and \
                is_naive(item["updated_at"]) and isinstance(item["title"], str)
            for message in item["messages"]:
                good = good and MESSAGE <= set(message) and is_naive(message["timestamp"]) and \
                    "\0" not in message["content"]
        if not good:
            self.wrong.append(body)
            return 422, {"detail": "not a payload"}
        self.payloads.append((size, body))
        for item in body["conversations"]:
            self.merge(item)
        return 200, {"status": "synced", "sync_id": body["sync_id"],
                     "conversations_received": len(ids), "conversations_merged": 0,
                     "conversations_updated": len(ids), "conversations_skipped": 0}

    def merge(self, item):
        have = self.conversations.setdefault(item["conversation_id"], {
            "conversation_id": item["conversation_id"], "title": item["title"],
            "created_at": item["created_at"], "updated_at": item["updated_at"], "messages": {}})
        if item["updated_at"] > have["updated_at"]:
            have["title"] = item["title"]
            have["updated_at"] = item["updated_at"]
        for message in item["messages"]:
            old = have["messages"].get(message["message_id"])
            if old is None or message["timestamp"] > old["timestamp"]:
                have["messages"][message["message_id"]] = message

    # ---- What a test asks ----

    def texts(self, conversation):
        with self.lock:
            have = self.conversations.get(conversation, {"messages": {}})
            return sorted(message["content"] for message in have["messages"].values())

    def count(self, method, path):
        with self.lock:
            return self.calls.count((method, path))

    def payload(self, target, stamp):
        """All it has, as it sends it every five seconds: stamped anew, from oldest to newest."""
        with self.lock:
            items = [dict(item, updated_at=stamp,
                          messages=[{name: message[name] for name in MESSAGE}
                                    for message in item["messages"].values()])
                     for item in self.conversations.values()]
        return {"sync_id": "old", "source_backend_id": self.backend_id,
                "target_backend_id": target, "timestamp": stamp, "conversations": items}


def answer(handler, status, body):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


# ---- Faults: each answers in its way and returns whether that was all ----

def status(code):
    def fault(backend, handler, raw):
        answer(handler, code, {"detail": "no, for a test"})
        return True
    return fault


def raw_bytes(data):
    def fault(backend, handler, raw):
        handler.wfile.write(data)
        handler.wfile.flush()
        close(backend, handler, raw)
        return True
    return fault


def close(backend, handler, raw):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def hang(seconds):
    def fault(backend, handler, raw):
        time.sleep(seconds)
        handler.close_connection = True
        return True
    return fault


def slowly(seconds):
    """The right answer, a few bytes at a time."""
    def fault(backend, handler, raw):
        with backend.lock:
            code, body = backend.sync(json.loads(raw), len(raw))
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {code} OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
        for at in range(0, len(head + text), 8):
            handler.wfile.write((head + text)[at:at + 8])
            handler.wfile.flush()
            time.sleep(seconds * 8 / len(head + text))
        return True
    return fault


def chunked(backend, handler, raw):
    """The right answer in chunks, with an extension and a trailer."""
    with backend.lock:
        code, body = backend.sync(json.loads(raw), len(raw))
    text = json.dumps(body).encode()
    handler.wfile.write(f"HTTP/1.1 {code} OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for at in range(0, len(text), 7):
        piece = text[at:at + 7]
        handler.wfile.write(b"%x;a=b\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.flush()
    handler.wfile.write(b"0\r\nX-Sum: 1\r\n\r\n")
    return True


def until_close(backend, handler, raw):
    """The right answer without a length, as HTTP/1.0 has it."""
    with backend.lock:
        code, body = backend.sync(json.loads(raw), len(raw))
    handler.wfile.write(f"HTTP/1.0 {code} OK\r\n\r\n".encode() + json.dumps(body).encode())
    handler.wfile.flush()
    return close(backend, handler, raw)
