"""The frames of WebSockets, as RFC 6455 has them: what is right is answered, what is wrong is closed with the code that says so."""
import asyncio
import json
import os
import struct
import time

import pytest
import websockets

from conftest import PATIENCE, SANITIZED
from ws_tools import Raw, Talk, address, frame, talk

PING = b'{"type":"ping","id":7}'
PONG = {"type": "pong", "id": 7}


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="none", socket_timeout=3, socket_idle=6)


def answers(raw):
    opcode, payload = raw.frame()
    assert opcode == 1
    return json.loads(payload)


def test_the_handshake_is_that_of_the_standard(server):
    with Raw(server, key="dGhlIHNhbXBsZSBub25jZQ==") as raw:
        assert raw.status == 101
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in raw.head.decode().split("\r\n")[1:])}
        assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert fields["upgrade"].lower() == "websocket" and "upgrade" in fields["connection"].lower()
        assert "x-request-id" in fields and "sec-websocket-protocol" not in fields


@pytest.mark.parametrize("headers, status", [
    ({"Upgrade": None}, 426), ({"Upgrade": "h2c"}, 426), ({"Connection": "keep-alive"}, 426), ({"Sec-WebSocket-Version": "8"}, 426),
    ({"Sec-WebSocket-Version": None}, 426), ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400),
    ({"Sec-WebSocket-Key": "!" * 24}, 400), ({"Origin": "https://elsewhere.example"}, 403), ({"Origin": "null"}, 403)])
def test_a_bad_handshake_is_refused(server, headers, status):
    with Raw(server, headers=headers) as raw:
        assert raw.status == status
        assert b"application/problem+json" in raw.head


def test_a_page_of_the_server_itself_may_call(server):
    with Raw(server, headers={"Origin": f"http://{server.host}:{server.port}"}) as raw:
        assert raw.status == 101


def test_bytes_that_come_with_the_handshake_are_not_lost(server):
    with Raw(server, extra=frame(1, PING) + frame(9, b"early")) as raw:
        assert sorted([raw.frame(), raw.frame()]) == [(1, b'{"type":"pong","id":7}'), (10, b"early")] # which of them overtakes is open


@pytest.mark.parametrize("payload", [b"", b"a", b"x" * 125])
def test_a_ping_is_answered(server, payload):
    with Raw(server) as raw:
        raw.send(frame(9, payload))
        assert raw.frame() == (10, payload)


def test_a_pong_nobody_asked_for_is_ignored(server):
    with Raw(server) as raw:
        raw.send(frame(10, b"hello") + frame(1, PING))
        assert answers(raw) == PONG


def test_bytes_may_come_one_by_one(server):
    with Raw(server) as raw:
        for byte in frame(1, PING):
            raw.send(bytes([byte]))
            time.sleep(0.002)
        assert answers(raw) == PONG


def test_fragments_are_put_together_with_pings_between(server):
    with Raw(server) as raw:
        raw.send(frame(1, PING[:5], fin=False) + frame(9, b"between") + frame(0, b"", fin=False) + frame(0, PING[5:]))
        assert raw.frame() == (10, b"between")
        assert answers(raw) == PONG


def test_a_message_of_many_tiny_fragments_is_one(server):
    text = b'{"type":"ping","id":"' + b"x" * 3000 + b'"}'
    with Raw(server) as raw:
        raw.send(b"".join([frame(1, text[:1], fin=False)] + [frame(0, text[i:i + 1], fin=False) for i in range(1, len(text))] + [frame(0)]))
        assert answers(raw)["id"] == "x" * 3000


def test_utf8_may_be_cut_between_fragments(server):
    text = '{"type":"ping","id":"κόσμε🎈"}'.encode()
    with Raw(server) as raw:
        raw.send(frame(1, text[:23], fin=False) + frame(0, text[23:34], fin=False) + frame(0, text[34:]))
        assert answers(raw)["id"] == "κόσμε🎈"


BAD = {
    "unmasked": (frame(1, PING, masked=False), 1002),
    "reserved bit 1": (frame(1, PING, rsv=4), 1002),
    "reserved bit 3": (frame(1, PING, rsv=1), 1002),
    "reserved bits of a ping": (frame(9, b"", rsv=7), 1002),
    "reserved data opcode": (frame(3, b"x"), 1002),
    "reserved control opcode": (frame(11, b"x"), 1002),
    "fragmented ping": (frame(9, b"x", fin=False), 1002),
    "fragmented close": (frame(8, b"\x03\xe8", fin=False), 1002),
    "ping of 126 bytes": (frame(9, b"x" * 126), 1002),
    "continuation of nothing": (frame(0, b"x"), 1002),
    "text inside a text": (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
    "length not minimal": (b"\x81\xfe\x00\x05" + b"\0" * 9, 1002),
    "length with its top bit": (b"\x82\xff" + b"\xff" * 8 + b"\0" * 4, 1002),
    "text too long": (frame(1, b"", length=65537) + b"x" * 100, 1009),
    "audio too long": (frame(2, b"", length=2 << 20) + b"x", 1009),
    "fragments too long": (frame(1, b"x" * 40000, fin=False) + frame(0, b"x" * 40000), 1009),
    "not UTF-8": (frame(1, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"), 1007),
    "overlong UTF-8": (frame(1, b"\xc0\xaf"), 1007),
    "UTF-8 that ends early": (frame(1, b'{"a":"\xe2\x82'), 1007),
    "UTF-8 beyond Unicode": (frame(1, b"\xf4\x90\x80\x80"), 1007),
    "close of one byte": (frame(8, b"\x03"), 1002),
    "close with a reason that is not UTF-8": (frame(8, b"\x03\xe8\xff\xff"), 1007),
    **{f"close code {code}": (frame(8, struct.pack(">H", code)), 1002) for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)},
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_frame_ends_the_connection(server, name):
    data, code = BAD[name]
    with Raw(server) as raw:
        raw.send(data)
        assert raw.closing() == code


@pytest.mark.parametrize("payload, code", [(b"", None), (b"\x03\xe8", 1000), (b"\x03\xe8done", 1000), (b"\x03\xe9", 1001), (b"\x0b\xb8", 3000), (b"\x13\x87", 4999)])
def test_a_close_is_answered_with_the_same(server, payload, code):
    with Raw(server) as raw:
        raw.send(frame(8, payload))
        assert raw.closing() == code


def test_nothing_is_done_after_a_close(server):
    with Raw(server) as raw:
        raw.send(frame(8, b"\x03\xe8") + frame(9, b"late"))
        assert raw.frame() == (8, b"\x03\xe8")
        assert raw.s.recv(100) == b""


@pytest.mark.parametrize("text, code, field", [
    ("nonsense", "SN_E_FORMAT", "type"), ("[1]", "SN_E_ARGUMENT", "type"), ('{"a":1}', "SN_E_ARGUMENT", "type"), ('{"type":1}', "SN_E_ARGUMENT", "type"),
    ('{"type":"dance"}', "SN_E_ARGUMENT", "type"), ('{"type":"start","model":7}', "SN_E_ARGUMENT", "model"),
    ('{"type":"start","colour":"red"}', "SN_E_ARGUMENT", "colour"), ('{"type":"start","format":"pcm17"}', "SN_E_ARGUMENT", "format"),
    ('{"type":"start","sample_rate":5}', "SN_E_ARGUMENT", "sample_rate"), ('{"type":"start","model":"/etc/passwd"}', None, "model"),
    ('{"type":"start","model":"no/such"}', "SN_E_NOT_FOUND", "model"), ("[" * 5000, "SN_E_FORMAT", "type")])
@pytest.mark.parametrize("path", ["/stt/stream", "/tts/stream"])
def test_a_bad_message_is_told_and_ends_it(server, path, text, code, field):
    async def script(t):
        await t.ws.send(text)
        error = await t.next()
        return error, await t.closed()
    error, closed = talk(server, path, script)
    assert error["type"] == "error" and error["fatal"] is True and error["field"] == field and error["message"] and error["request_id"]
    assert code is None or error["code"] == code
    assert closed == {"SN_E_FORMAT": 4422, "SN_E_ARGUMENT": 4400, "SN_E_NOT_FOUND": 4404}[error["code"]]


def test_too_many_mistakes_end_it(server):
    async def script(t):
        for _ in range(70):
            await t.send({"type": "finish"})
        return await t.closed()
    assert talk(server, "/stt/stream", script) == 4409


def test_two_hundred_idle_sessions_are_cheap(serve):
    server = serve(preload="none")

    def resident():
        with open(f"/proc/{server.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    async def run():
        first = await websockets.connect(address(server, "/stt/stream"), ping_interval=None)
        before = resident()
        many = [await websockets.connect(address(server, ("/stt/stream", "/tts/stream", "/v1/realtime")[i % 3]), ping_interval=None) for i in range(200)]
        for ws in many[::20]:
            await ws.send('{"type":"ping"}')
            await Talk(ws).next()
        after = resident()
        assert server.get("/health/live").status == 200
        for ws in many + [first]:
            await ws.close()
        return (after - before) / 200
    per_session = asyncio.run(run())
    print(f"# {per_session:.1f} KB a session")
    assert per_session < 64 or SANITIZED  # whose redzones and quarantine are not the server's own memory
    until = time.monotonic() + 10
    while len(open_sockets(server)) > 20 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(open_sockets(server)) <= 20


def open_sockets(server):
    links = []
    for fd in os.listdir(f"/proc/{server.process.pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{server.process.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return [link for link in links if link.startswith("socket")]


def test_more_sessions_than_allowed_get_503(serve):
    server = serve(preload="none", max_sockets=2)
    with Raw(server) as a, Raw(server):
        assert a.status == 101
        with Raw(server) as c:
            assert c.status == 503 and b"retry-after" in c.head.lower()


def test_a_client_that_answers_no_ping_is_cut_off(server):
    with Raw(server) as raw:
        assert raw.frame()[0] == 9
        began = time.monotonic()
        with pytest.raises(EOFError):
            raw.frame()
        assert time.monotonic() - began < 6 * PATIENCE


def test_a_client_that_says_nothing_is_ended(server):
    async def script(t):
        return await t.closed()
    assert talk(server, "/stt/stream", script) == 4408


def test_a_stop_says_that_the_server_goes(serve):
    server = serve(preload="none")

    async def script(t):
        await t.send({"type": "ping"})
        await t.next()
        server.process.terminate()
        return await t.closed()
    assert talk(server, "/stt/stream", script) == 1001
    assert server.process.wait(20) == 0
