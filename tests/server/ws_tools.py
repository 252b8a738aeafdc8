"""WebSockets for the tests: scripts of JSON messages by the websockets package, and frames as bytes on a bare socket."""
import asyncio
import base64
import json
import os
import socket
import struct
import wave

import websockets

from conftest import SOURCE


def pcm_of(name="jfk.wav"):
    with wave.open(str(SOURCE / "tests/audio" / name)) as w:
        return w.readframes(w.getnframes())


def address(server, path):
    return server.url.replace("http", "ws", 1) + path


class Talk:
    """An open WebSocket: send takes an object or bytes, next gives the next message (an object or bytes)."""

    def __init__(self, ws):
        self.ws = ws

    async def send(self, *messages):
        for m in messages:
            await self.ws.send(m if isinstance(m, bytes) else json.dumps(m))

    async def next(self, timeout=60):
        m = await asyncio.wait_for(self.ws.recv(), timeout)
        return m if isinstance(m, bytes) else json.loads(m)

    async def until(self, *types):
        """All messages up to one of the types (an "error" ends it, too)."""
        seen = []
        while True:
            seen.append(await self.next())
            if not isinstance(seen[-1], bytes) and seen[-1]["type"] in types + ("error",):
                return seen

    async def closed(self, timeout=30):
        """The code that the server closes with; what else comes is forgotten."""
        try:
            while True:
                await asyncio.wait_for(self.ws.recv(), timeout)
        except websockets.ConnectionClosed:
            return self.ws.close_code


def talk(server, path, script, **options):
    """Runs `await script(Talk)` on a connection."""
    async def run():
        async with websockets.connect(address(server, path), max_size=None, ping_interval=None, open_timeout=30, **options) as ws:
            return await script(Talk(ws))
    return asyncio.run(run())


def of_type(messages, kind):
    return [m for m in messages if not isinstance(m, bytes) and m["type"] == kind]


class Raw:
    """A bare socket after the handshake, for frames that no library sends."""

    def __init__(self, server, path="/stt/stream", headers=None, extra=b"", key=None):
        self.s = socket.create_connection((server.host, server.port), timeout=20)
        fields = {"Host": f"{server.host}:{server.port}", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(), **(headers or {})}
        lines = [f"GET {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in fields.items() if v is not None]
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + extra)
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            got = self.s.recv(4096)
            if not got:
                break
            self.head += got
        self.head, _, self.rest = self.head.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def bytes(self, n):
        while len(self.rest) < n:
            got = self.s.recv(65536)
            if not got:
                raise EOFError
            self.rest += got
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def frame(self):
        """(opcode, payload) of the next frame; the server masks none and splits none."""
        first, length = self.bytes(2)
        assert first & 0x80 and not length & 0x80
        if length == 126:
            length, = struct.unpack(">H", self.bytes(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.bytes(8))
        return first & 15, self.bytes(length)

    def closing(self):
        """The code of the closing frame, whatever comes before it; then the connection ends."""
        opcode = 0
        while opcode != 8:
            opcode, payload = self.frame()
        try:
            while self.s.recv(4096):
                pass
        except ConnectionResetError:
            pass
        return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None


def frame(opcode, payload=b"", fin=True, masked=True, rsv=0, length=None):
    """One frame's bytes; length: a lie about it."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    m = 0x80 if masked else 0
    head += bytes([m | n]) if n < 126 else bytes([m | 126]) + struct.pack(">H", n) if n < 65536 else bytes([m | 127]) + struct.pack(">Q", n)
    if not masked:
        return head + payload
    mask = b"\x01\x02\x03\x04"
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
