"""Servers that misbehave, and clips, for the client's tests."""

import contextlib
import http.server
import json
import threading
import wave

import numpy as np
from conftest import JFK

import sonant

HEALTH = {"status": "ok", "version": sonant.__version__, "models": []}


def jfk_samples():
    """[frames] int16, 16 kHz."""
    with wave.open(str(JFK)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def reply(status=200, body=b"{}", kind="application/json", **headers):
    """An answer as bytes of HTTP. Headers' names with _ for -."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(status, code, detail="so it is", **headers):
    body = {"type": "about:blank", "title": "title", "status": status, "detail": detail, "code": code, "request_id": "r1"}
    return reply(status, json.dumps(body).encode(), "application/problem+json", X_Request_Id="r1", **headers)


def cut(answer, size):
    """What the answer's head promises, less than that, and the end of the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n" + body[:size], "close"


class FakeServer:
    """Gives the answers of `script` one after the other, the last one again and again; the health is always good unless it is given.

    An answer is bytes, (bytes, "close"), or a function of the request's handler that gives one."""

    def __init__(self, *script, health=None):
        self.script, self.health = list(script), health or reply(body=HEALTH)
        self.seen = []
        """(method, path, bytes of the body) of the requests, but for the health."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/audio/health":
                    said = outer.health
                else:
                    outer.seen.append((self.command, self.path, len(body)))
                    said = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                said = said(self) if callable(said) else said
                close = isinstance(said, tuple)
                with contextlib.suppress(OSError):
                    self.wfile.write(said[0] if close else said)
                self.close_connection = close

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
