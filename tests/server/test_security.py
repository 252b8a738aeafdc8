"""What strangers may send: raw requests and their answers, bodies of every wrong kind, keys, limits, slow and vanishing clients."""
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from conftest import JFK, SONANT, make_home, multipart, needs_model

HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="none", max_body="8M", max_json="64K", header_timeout=2, rate=0)


def connect(server, timeout=10):
    return socket.create_connection((server.host, server.port), timeout)


def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except (ConnectionResetError, TimeoutError):
        pass
    return data


def raw(server, data, half_close=True, timeout=10):
    """All that comes back until the server closes."""
    with connect(server, timeout) as s:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read_all(s)


def statuses(data):
    """libmicrohttpd 0.9.75 sends the head of an error page of its own twice; that counts once."""
    data = re.sub(rb"^(HTTP/1\.1 4.*?\r\n\r\n)\1", rb"\1", data, count=1, flags=re.S | re.M)
    return [int(x) for x in re.findall(rb"HTTP/1\.[01] (\d{3}) [A-Z]", data)]


# ---- the protocol, as raw requests: (name, bytes, statuses that are right; None: the connection is closed without an answer) ----

GET = b"GET /health/live HTTP/1.1\r\n"
RAW = [
    ("plain", GET + HOST + b"Connection: close\r\n\r\n", [[200]]),
    ("HTTP/1.0", b"GET /health/live HTTP/1.0\r\n\r\n", [[200]]),
    ("HTTP/1.0 keep-alive", b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [[200]]),
    ("no host", GET + b"\r\n", [[400]]),
    ("pipelined", (GET + HOST + b"\r\n") * 5, [[200] * 5]),
    ("pipelined, the second unknown", GET + HOST + b"\r\n" + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n" + GET + HOST + b"\r\n", [[200, 404, 200]]),
    ("HEAD", b"HEAD /health/live HTTP/1.1\r\n" + HOST + b"\r\n", [[200]]),
    ("POST to a GET", b"POST /health/live HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", [[405]]),
    ("OPTIONS", b"OPTIONS /stt/transcribe HTTP/1.1\r\n" + HOST + b"\r\n", [[405]]),
    ("unknown method", b"BREW /health/live HTTP/1.1\r\n" + HOST + b"\r\n", [[405]]),
    ("TRACE", b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", [[405], [404]]),
    ("CONNECT", b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n", [[404], [405], [400]]),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [[505], [400], []]),
    ("HTTP/3.0", b"GET /health/live HTTP/3.0\r\n" + HOST + b"\r\n", [[505], [400], []]),
    ("no version", b"GET /health/live\r\n\r\n", [[400], [505], []]),
    ("garbage", b"\x00\xff\x16\x03\x01 what\r\n\r\n", [[400], [404], [405], [505], []]),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), [[400], [505], []]),
    ("space before the colon", GET + HOST + b"X-A : b\r\n\r\n", [[400]]),
    ("folded header", GET + HOST + b"X-A: b\r\n c\r\n\r\n", [[200], [400]]),
    ("header without a colon", GET + HOST + b"nonsense\r\n\r\n", [[400]]),
    ("NUL in a header", GET + HOST + b"X-A: a\x00b\r\n\r\n", [[200], [400]]),
    ("header of 40 KB", GET + HOST + b"X-A: " + b"a" * 40000 + b"\r\n\r\n", [[431], [413], []]),
    ("10,000 headers", GET + HOST + b"A: b\r\n" * 10000 + b"\r\n", [[431], [413], []]),
    ("target of 40 KB", b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [[414], [431], []]),
    ("length and chunked", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST +
     b"Content-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
     [[400]]),
    ("two lengths", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
     [[400]]),
    ("two equal lengths", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
     [[400]]),
    ("negative length", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", [[400]]),
    ("length with a plus", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length: +2\r\n\r\n{}", [[400]]),
    ("length with a list", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\n{}", [[400]]),
    ("length beyond 64 bits", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n", [[400], [413]]),
    ("length in hex", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length: 0x10\r\n\r\n", [[400]]),
    ("spaced length", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\n12345", [[400]]),
    ("two hosts", GET + HOST + HOST + b"\r\n", [[400]]),
    ("unknown coding", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", [[400], [501]]),
    ("chunked twice", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     [[400], [415]]),
    ("chunk size is no number", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
     [[400], []]),
    ("chunk size beyond 64 bits", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST +
     b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n", [[400], [413], []]),
    ("chunk longer than said", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST +
     b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", [[400], []]),
    ("chunked JSON", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST +
     b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", [[400]]),
    ("expect of nonsense", b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Expect: nonsense\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
     [[417], [400]]),
]


@pytest.mark.parametrize("name, data, right", RAW, ids=[r[0] for r in RAW])
def test_the_protocol(server, name, data, right):
    answer = raw(server, data)
    assert statuses(answer) in right, answer[:500]
    assert server.get("/health/live").status == 200


def test_a_smuggled_request_is_not_answered(server):
    inner = b"GET /audio/models HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = raw(server, b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(inner) + 5) + inner)
    assert len(statuses(answer)) == 1 and b'"models"' not in answer


PATHS = ["/%2e%2e/etc/passwd", "/../../etc/passwd", "//health/live", "/health//live", "/health/live/", "/health/live%00", "/health/live%2f..",
         "/%ff%fe", "/.", "/health/../health/live", "/health/live%0d%0aX:%20y", "/health/live;a=b", "http://elsewhere/health/live"]


@pytest.mark.parametrize("path", PATHS)
def test_tricks_with_paths(server, path):
    answer = raw(server, b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(answer) in ([404], [400]) and b"root:" not in answer


@pytest.mark.parametrize("query, right", [("?a=1", 400), ("?days=1&days=2", 400), ("?%ff=1", 400), ("?days=%00", 400), ("?days=%zz", 400),
                                          ("?" + "&".join(f"a{i}=1" for i in range(100)), 400), ("?", 200), ("?&&", 200)])
def test_queries(server, query, right):
    assert server.get("/audio/usage" + query).status == right


# ---- bodies ----

def problem(reply, status, code=None, field=None):
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json
    assert body["status"] == status and body["request_id"] == reply.headers["x-request-id"] and body["detail"]
    assert code is None or body["code"] == code
    assert field is None or body.get("field") == field
    return body


JSON = {"Content-Type": "application/json"}
BAD_JSON = [b"", b"{", b"[1]", b"null", b'"a"', b"{}x", b'{"a":1,}', b"{'a':1}", b'{"text":"\xff"}', b'{"text":"a\x00b"}', b'{"text":"\\u0000"}',
            b'{"text":"\\ud800"}', b'{"text":NaN}', b'{"text":1e999}', b'{"text":"a","text":"b"}', b"\xef\xbb\xbf{}", b"[" * 60000, b'{"a":' * 10000]


@pytest.mark.parametrize("body", BAD_JSON, ids=range(len(BAD_JSON)))
def test_malformed_json(server, body):
    reply = server.post("/tts/synthesize", body=body, headers=JSON)
    problem(reply, reply.status)
    assert reply.status in (400, 422)


@pytest.mark.parametrize("body, field", [({"text": 5}, "text"), ({"text": "a", "speed": "fast"}, "speed"), ({"text": "a", "nonsense": 1}, "nonsense"),
                                         ({"text": "a", "speed": 1e9}, "speed"), ({"text": ["a"]}, "text"), ({}, "text"), ({"text": None}, "text"),
                                         ({"text": "a", "response_format": "exe"}, "response_format"), ({"text": "a", "seed": 1.5}, "seed"),
                                         ({"text": {"a": {"b": {}}}}, "text")])
def test_fields_of_json(server, body, field):
    problem(server.post("/tts/synthesize", json_body=body), 400, "SN_E_ARGUMENT", field)


@pytest.mark.parametrize("body, meant", [({"input": "a"}, "text"), ({"text": "a", "format": "wav"}, "response_format"), ({"text": "a", "voise": "x"}, "voice"),
                                         ({"text": "a", "zzz": 1}, None)])
def test_an_unknown_field_names_the_one_that_is_meant(server, body, meant):
    said = problem(server.post("/tts/synthesize", json_body=body), 400, "SN_E_ARGUMENT")["detail"]
    assert said.endswith(f'"{meant}" may be meant' if meant else "here"), said


def test_a_body_that_is_too_long(server):
    big = json.dumps({"text": "a" * 100000}).encode()
    problem(server.post("/tts/synthesize", body=big, headers=JSON), 413, "SN_E_LIMIT")
    chunks = (big[i:i + 8192] for i in range(0, len(big), 8192))
    problem(server.post("/tts/synthesize", body=chunks, headers=JSON), 413, "SN_E_LIMIT")


def test_a_body_of_too_many_values(serve):
    s = serve(preload="none")
    for many in (b"{},", b"0,", b"[],"):
        problem(s.post("/tts/synthesize", body=b'{"text":[' + many * (1 << 20) + b"0]}", headers=JSON), 413, "SN_E_LIMIT")
    problem(s.post("/tts/synthesize", body=json.dumps({"text": ["{[,\\\\" * 400000]}).encode(), headers=JSON), 400, "SN_E_ARGUMENT", "text")


def test_an_announced_length_is_refused_before_the_body(server):
    with connect(server) as s:
        s.sendall(b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=ab\r\nContent-Length: 999999999999\r\n\r\n")
        assert b" 413 " in s.recv(4096)


def test_an_endless_body_is_cut_off(server):
    with connect(server, 30) as s:
        s.sendall(b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=ab\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = b'--ab\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        s.sendall(b"%x\r\n" % len(head) + head + b"\r\n")
        sent, piece = 0, b"10000\r\n" + bytes(65536) + b"\r\n"
        with pytest.raises(OSError):
            while sent < 64 << 20:
                s.sendall(piece)
                sent += 65536
        assert sent < 32 << 20


def test_a_refused_body_without_a_length_is_answered(server):
    """Also where more comes than waits on the way."""
    pieces = (bytes(65536) for _ in range(60))
    problem(server.post("/nothing", body=pieces), 404, "SN_E_NOT_FOUND")
    pieces = (bytes(65536) for _ in range(60))
    problem(server.post("/tts/synthesize", body=pieces, headers={"Content-Type": "text/plain"}), 415)


def test_the_kind_of_a_body_comes_before_its_fields(server):
    reply = server.post("/stt/transcribe?model=tiny.en", body=b"RIFF", headers={"Content-Type": "audio/wav"})
    assert "multipart/form-data" in problem(reply, 415, field="Content-Type")["detail"]


def test_compressed_bodies_are_refused(server):
    for coding in ("gzip", "deflate", "br", "zstd"):
        problem(server.post("/tts/synthesize", body=b"x" * 100, headers={**JSON, "Content-Encoding": coding}), 415)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonx", "multipart/mixed; boundary=ab", ""])
def test_other_content_types_are_refused(server, kind):
    reply = server.post("/tts/synthesize", body=b"{}", headers={"Content-Type": kind} if kind else {})
    assert "application/json" in problem(reply, 415)["detail"]


def field(name, value=b"x", extra=b""):
    return b'--ab\r\nContent-Disposition: form-data; name="' + name + b'"' + extra + b"\r\n\r\n" + value + b"\r\n"


FILE = field(b"file", b"RIFF", b'; filename="a.wav"')
FORMS = [
    ("no boundary", b"multipart/form-data", FILE + b"--ab--\r\n", (415, 422, 400)),
    ("empty boundary", b"multipart/form-data; boundary=", FILE + b"--ab--\r\n", (422, 400)),
    ("another boundary", b"multipart/form-data; boundary=ba", FILE + b"--ab--\r\n", (422, 400)),
    ("truncated", b"multipart/form-data; boundary=ab", FILE[:-10], (422, 400)),
    ("no end", b"multipart/form-data; boundary=ab", FILE, (422, 400)),
    ("empty", b"multipart/form-data; boundary=ab", b"", (422, 400)),
    ("long name", b"multipart/form-data; boundary=ab", field(b"n" * 20000) + FILE + b"--ab--\r\n", (422, 400, 413)),
    ("one field, often", b"multipart/form-data; boundary=ab", FILE + field(b"a", b"x" * 1000) * 200 + b"--ab--\r\n", (413,)),
    ("100,000 fields", b"multipart/form-data; boundary=ab", b"".join(field(b"f%d" % i) for i in range(100000)) + b"--ab--\r\n", (422, 400, 413)),
    ("5,000 files", b"multipart/form-data; boundary=ab", FILE * 5000 + b"--ab--\r\n", (422, 400, 413)),
    ("a field twice", b"multipart/form-data; boundary=ab", FILE + field(b"language", b"en") * 2 + b"--ab--\r\n", (400,)),
    ("unknown field", b"multipart/form-data; boundary=ab", FILE + field(b"nonsense") + b"--ab--\r\n", (400,)),
    ("NUL in a field", b"multipart/form-data; boundary=ab", FILE + field(b"language", b"e\0n") + b"--ab--\r\n", (422, 400)),
    ("no UTF-8 in a field", b"multipart/form-data; boundary=ab", FILE + field(b"prompt", b"\xff\xfe") + b"--ab--\r\n", (422, 400)),
    ("no UTF-8 in a name", b"multipart/form-data; boundary=ab", FILE + field(b"\xff\xfe") + b"--ab--\r\n", (422, 400)),
    ("long field", b"multipart/form-data; boundary=ab", FILE + field(b"prompt", b"p" * 200000) + b"--ab--\r\n", (413, 422, 400)),
    ("a file in a text's field", b"multipart/form-data; boundary=ab", FILE + field(b"language", b"en", b'; filename="l"') + b"--ab--\r\n", (422, 400)),
    ("a text in the file's field", b"multipart/form-data; boundary=ab", field(b"file", b"RIFF") + b"--ab--\r\n", (422, 400)),
    ("nested", b"multipart/form-data; boundary=ab",
     b'--ab\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n'
     b'Content-Disposition: file; filename="x"\r\n\r\nRIFF\r\n--bb--\r\n--ab--\r\n', (422, 400)),
    ("base64 part", b"multipart/form-data; boundary=ab",
     b'--ab\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Transfer-Encoding: base64\r\n\r\nUklGRg==\r\n--ab--\r\n', (422, 400)),
    ("no audio", b"multipart/form-data; boundary=ab", field(b"file", b"this is no audio", b'; filename="../../etc/passwd"') + b"--ab--\r\n", (422,)),
    ("empty file", b"multipart/form-data; boundary=ab", field(b"file", b"", b'; filename="a.wav"') + b"--ab--\r\n", (422, 400)),
]


@needs_model("whisper-tiny.en")
@pytest.mark.parametrize("name, kind, body, right", FORMS, ids=[f[0] for f in FORMS])
def test_malformed_forms(server, name, kind, body, right):
    reply = server.post("/stt/transcribe", body=body, headers={"Content-Type": kind.decode()})
    problem(reply, reply.status)
    assert reply.status in right, reply.text


def test_a_connection_goes_on_after_errors(server):
    import http.client
    c = http.client.HTTPConnection(server.host, server.port, timeout=20)
    for _ in range(3):
        for method, path, body, headers, status in (
                ("GET", "/nothing", None, {}, 404), ("POST", "/tts/synthesize", b"{", JSON, 422), ("GET", "/health/live", None, {}, 200),
                ("POST", "/tts/synthesize", b'{"text":5}', JSON, 400), ("DELETE", "/health/live", None, {}, 405), ("HEAD", "/health/live", None, {}, 200)):
            c.request(method, path, body, headers)
            reply = c.getresponse()
            data = reply.read()
            assert reply.status == status, data
            assert method == "HEAD" and data == b"" or method != "HEAD"
    c.close()


def test_405_names_the_methods(server):
    reply = server.get("/stt/transcribe")
    assert reply.status == 405 and reply.headers["allow"] == "POST"


# ---- request ids ----

@pytest.mark.parametrize("given, kept", [("mine-1_2.3", True), ("a" * 32, True), ("a" * 33, False), ("a b", False), ("a\tb", False), ("é", False), ("", False),
                                         ("<script>", False), ("a;b", False)])
def test_request_ids(server, given, kept):
    reply = server.get("/nothing", headers={"X-Request-Id": given.encode().decode("latin-1")})
    got = reply.headers["x-request-id"]
    assert got == reply.json["request_id"] and (got == given) == kept
    assert kept or re.fullmatch("[0-9a-f]{32}", got)


def test_request_ids_differ(server):
    assert len({server.get("/health/live").headers["x-request-id"] for _ in range(50)}) == 50


# ---- origins ----

def test_no_origin_may_read_by_default(server):
    reply = server.get("/health/live", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers
    assert server.request("OPTIONS", "/stt/transcribe", headers={"Origin": "https://evil.example"}).status == 405


def test_only_listed_origins_may_read(serve):
    s = serve(preload="none", cors_origins="https://good.example, https://fine.example")
    for origin, allowed in (("https://good.example", True), ("https://fine.example", True), ("https://evil.example", False),
                            ("https://good.example.evil.example", False), ("https://good", False), ("null", False)):
        reply = s.get("/health/live", headers={"Origin": origin})
        assert (reply.headers.get("access-control-allow-origin") == origin) == allowed
        reply = s.request("OPTIONS", "/stt/transcribe", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert (reply.headers.get("access-control-allow-origin") == origin) == allowed


def test_a_listed_origin_may_send_and_read_headers(serve):
    """OpenAI's client for browsers sends some of its own."""
    s = serve(preload="none", cors_origins="https://good.example")
    asked = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count,x-stainless-runtime"
    reply = s.request("OPTIONS", "/v1/audio/speech", headers={"Origin": "https://good.example", "Access-Control-Request-Method": "POST",
                                                              "Access-Control-Request-Headers": asked})
    assert reply.status == 204 and reply.headers["access-control-allow-headers"] == asked
    reply = s.get("/health/ready", headers={"Origin": "https://good.example"})
    assert {"X-Request-Id", "Retry-After", "Location", "X-Sample-Rate", "X-Duration", "X-Notes"} <= set(reply.headers["access-control-expose-headers"].split(", "))
    assert s.get("/health/live").headers["vary"] == "Origin"


def test_pages_of_others_may_not_use_a_server_without_keys(server):
    """A form needs no leave of the browser's: the server itself has to look who sends it."""
    form = {"file": ("a.wav", JFK), "response_format": "wav"}
    for headers, status in (({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({}, 200),
                            ({"Origin": f"http://{server.host}:{server.port}"}, 200),
                            ({"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"}, 200),
                            ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403)):
        reply = server.post("/audio/convert", form=form, headers=headers)
        assert reply.status == status, (headers, reply.text)
        assert status == 200 or "cors_origins" in reply.json["detail"]
    reply = server.post("/tts/voices", form={"name": "evil", "file": ("a.wav", JFK)}, headers={"Origin": "https://evil.example"})
    assert reply.status == 403 and not any(v.get("name") == "evil" for v in server.get("/tts/voices").json["voices"])


@pytest.mark.parametrize("host, status", [("evil.example", 403), ("evil.example:8765", 403), ("localhost.evil.example", 403), ("localhost", 200), ("LOCALHOST:1", 200),
                                          ("a.localhost", 200), ("192.168.1.5:80", 200), ("[::1]:8765", 200), ("127.0.0.1.evil.example", 403), ("x" * 300, 403)])
def test_names_of_a_server_without_keys(server, host, status):
    """A page whose name was made to lead here would be one of this server's own."""
    reply = server.get("/audio/config", headers={"Host": host})
    assert reply.status == status and (status == 200 or "hosts" in problem(reply, 403)["detail"])
    assert server.get("/health/live", headers={"Host": host}).status == 200


def test_further_names_can_be_listed(serve):
    s = serve(preload="none", hosts="speech.example, b.example")
    assert [s.get("/audio/config", headers={"Host": h}).status for h in ("Speech.example", "b.example:80", "c.example")] == [200, 200, 403]


# ---- keys ----

def run(*arguments, home=None):
    return subprocess.run([SONANT, *arguments, *(["--home", str(home)] if home else [])], capture_output=True, text=True, timeout=60)


def test_keys(serve, tmp_path):
    home = make_home(tmp_path / "keys")
    made = run("serve", "keys", "add", "user", home=home)
    user = made.stdout.strip()
    assert made.returncode == 0 and re.fullmatch(r"sn_[\w-]{43}", user)
    manager = run("serve", "keys", "add", "boss", "--scope", "use,manage", home=home).stdout.strip()
    slow = run("serve", "keys", "add", "slow", "--per-minute", "3", home=home).stdout.strip()
    assert run("serve", "keys", "add", "user", home=home).returncode == 2
    assert user.encode() not in (home / "server/sonant.db").read_bytes()
    s = serve(home=home, preload="none", require_key="on")

    def status(path, key=None, method="GET", **options):
        return s.request(method, path, headers={"Authorization": "Bearer " + key} if key else {}, **options)

    assert status("/health/live").status == 200
    refused = status("/audio/models")
    assert refused.status == 401 and refused.headers["www-authenticate"].startswith("Bearer")
    for bad in ("nonsense", "sn_" + "A" * 43, user[:-1], user + "x", user.lower(), "x" * 5000):
        assert status("/audio/models", bad).status == 401
    for bad in ("Basic dTpw", "Bearer", "Bearer "):
        assert s.request("GET", "/audio/models", headers={"Authorization": bad}).status == 401
        assert s.request("GET", "/health/live", headers={"Authorization": bad}).status == 200
    assert status("/audio/models", user).status == 200
    assert status("/audio/models/unload", user, "POST", json_body={"model": "x"}).status == 403
    assert status("/audio/models/unload", manager, "POST", json_body={"model": "x"}).status == 404
    replies = [status("/audio/models", slow) for _ in range(6)]
    assert [r.status for r in replies] == [200] * 3 + [429] * 3
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 20
    assert run("serve", "keys", "revoke", "user", home=home).returncode == 0
    until = time.monotonic() + 5
    while status("/audio/models", user).status != 401:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert user not in pathlib.Path(s.log).read_text() and manager not in pathlib.Path(s.log).read_text()


def test_without_keys_another_scheme_is_no_mistake(server):
    for other in ("Basic dTpw", "Bearer", "Bearer placeholder"):
        assert server.get("/audio/models", headers={"Authorization": other}).status == 200


def test_another_address_needs_a_key(tmp_path):
    home = make_home(tmp_path / "open")
    result = run("serve", "--host", "0.0.0.0", "--port", "0", "--preload", "none", home=home)
    assert result.returncode == 2 and "sonant serve keys add" in result.stderr


# ---- slow and vanishing clients ----

def wait_closed(s, seconds):
    s.settimeout(seconds)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass


def test_slow_clients_are_cut_off(server):
    """A header a second, a byte of the body a second, a silent connection: none holds on longer than a few timeouts."""
    one, two, three = connect(server), connect(server), connect(server)
    one.sendall(GET)
    two.sendall(b"POST /tts/synthesize HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{")
    start, closed = time.monotonic(), set()
    while time.monotonic() - start < 14 and len(closed) < 2:
        for s, piece in ((one, b"X-%d: y\r\n" % int(time.monotonic())), (two, b" ")):
            try:
                s.sendall(piece)
            except OSError:
                closed.add(s)
        time.sleep(0.3)
    assert len(closed) == 2
    wait_closed(three, 10)
    assert server.get("/health/live").status == 200


def test_200_bad_requests_leave_nothing_open(server):
    fds = f"/proc/{server.process.pid}/fd"
    server.get("/health/live")
    time.sleep(0.5)
    before = len(os.listdir(fds))
    for i in range(200):
        kind = i % 5
        if kind == 0:
            raw(server, b"GARBAGE\r\n\r\n")
        elif kind == 1:
            server.post("/tts/synthesize", body=b"{", headers=JSON)
        elif kind == 2:
            body, form = multipart({"file": ("x", bytes(2000000) if i == 102 else b"RIFF"), "nonsense": "1"})
            server.post("/stt/transcribe", body=body, headers={"Content-Type": form})
        elif kind == 3:
            with connect(server) as s:
                s.sendall(b"POST /stt/transcribe HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=ab\r\nContent-Length: 5000\r\n\r\n" + FILE)
        else:
            server.get("/nothing")
    until = time.monotonic() + 8
    while len(os.listdir(fds)) > before + 1:
        assert time.monotonic() < until, os.listdir(fds)
        time.sleep(0.2)


# ---- TLS ----

def test_tls(serve, tmp_path):
    import ssl
    pem, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem,
                           "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is missing")
    s = serve(preload="none", tls_certificate=pem, tls_key=key)
    assert s.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(pem))
    with context.wrap_socket(connect(s), server_hostname="localhost") as t:
        t.sendall(GET + HOST + b"Connection: close\r\n\r\n")
        assert b" 200 " in read_all(t)
        assert t.version() in (None, "TLSv1.2", "TLSv1.3")
    for version, right in (("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)):
        shaken = subprocess.run(["openssl", "s_client", "-connect", f"{s.host}:{s.port}", "-" + version, "-cipher", "DEFAULT@SECLEVEL=0"],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert (shaken.returncode == 0) == right, (version, shaken.stdout, shaken.stderr)
    assert statuses(raw(s, GET + HOST + b"\r\n")) in ([], [400])
    result = run("serve", "--port", "0", "--tls-certificate", str(key), "--tls-key", str(pem), home=make_home(tmp_path / "h"))
    assert result.returncode == 2 and "PEM" in result.stderr
