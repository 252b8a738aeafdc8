"""Clients that are right and not like others: slow ones, those that pause, those that write forms in another way."""
import base64
import http.client
import io
import json
import shutil
import socket
import threading
import time
import wave

import pytest

from conftest import JFK, PATIENCE, eventually, multipart
from tiny import OPTIONS, SPEAK, tiny_home


def long_wav(seconds):
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(16000)
        w.writeframes(bytes(range(256)) * (125 * seconds))
    return out.getvalue()


def send_form(server, path, fields, headers=b""):
    """Head and body of a request, not sent yet."""
    body, kind = multipart(fields)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode() + headers + b"\r\n"
    return head, body


def read_reply(c):
    """Head and body of one reply with a length."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := c.recv(65536)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < size and (piece := c.recv(1 << 20)):
        body += piece
    return head, body


def test_a_long_upload_has_its_turn(serve):
    """The wait for a worker, and the time to run, begin when the body is there."""
    s = serve(preload="none", queue_timeout=PATIENCE, request_timeout=2 * PATIENCE)
    head, body = send_form(s, "/audio/convert", {"file": ("a.wav", JFK), "response_format": "wav"}, b"Accept: audio/wav\r\n")
    with socket.create_connection((s.host, s.port), 30) as c:
        c.sendall(head)
        for i in range(10):
            c.sendall(body[len(body) * i // 10:len(body) * (i + 1) // 10])
            time.sleep(0.3 * PATIENCE)
        head, body = read_reply(c)
    assert b" 200 " in head.split(b"\r\n")[0] and body[:4] == b"RIFF"


def test_a_reply_is_waited_for(serve):
    """A client may pause amid its reply for much longer than it may be silent elsewhere."""
    s = serve(preload="none", header_timeout=1)
    head, body = send_form(s, "/audio/convert", {"file": ("a.wav", long_wav(500)), "response_format": "wav"}, b"Accept: audio/wav\r\n")
    with socket.socket() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.settimeout(30)
        c.connect((s.host, s.port))
        c.sendall(head + body)
        first = c.recv(1000)
        time.sleep(4)
        size = int(first.lower().split(b"content-length:")[1].split()[0])
        got = len(first.partition(b"\r\n\r\n")[2])
        while got < size and (piece := c.recv(1 << 20)):
            got += len(piece)
    assert b" 200 " in first and got == size > 15_000_000


def test_a_stop_ends_though_clients_go_on(serve):
    """Clients that keep their connections and ask again and again: from the stop on they get 503, and every reply ends its connection."""
    s = serve(preload="none", drain_timeout=30)
    replies, running = [], [True] * 4
    work = multipart({"file": ("a.wav", JFK), "response_format": "flac"})

    def client(i):
        c = http.client.HTTPConnection(s.host, s.port, timeout=30)
        while running[i]:
            try:
                c.request("POST", "/audio/convert", work[0], {"Content-Type": work[1]})
                reply = c.getresponse()
                reply.read()
                replies.append((time.monotonic(), reply.status, reply.getheader("Connection")))
            except ConnectionRefusedError:
                return

    threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    time.sleep(1.5)
    start = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - start < 10 * PATIENCE
    for t in threads:
        t.join()
    assert {status for _, status, _ in replies} <= {200, 503} and any(status == 200 for _, status, _ in replies)
    stopped = min((at for at, status, _ in replies if status == 503), default=time.monotonic())
    assert sum(at > stopped for at, _, _ in replies) <= 8  # of each client the one under way, and the refusal


# ---- forms ----

def dotnet(boundary, quoted=True, name="file", disposition=None):
    """What .NET's MultipartFormDataContent writes."""
    wav = (disposition or f"form-data; name={name}; filename=a.wav; filename*=utf-8''a.wav").encode()
    body = b"--%s\r\nContent-Type: audio/wav\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (boundary, wav, JFK)
    body += b"--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=response_format\r\n\r\nwav\r\n--%s--\r\n" % (boundary, boundary)
    return body, {"Content-Type": f'multipart/form-data; boundary="{boundary.decode()}"' if quoted else "multipart/form-data; boundary=" + boundary.decode(),
                  "Accept": "audio/wav"}


@pytest.fixture(scope="module")
def converter(serve):
    return serve(preload="none")


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("disposition", [
    "form-data; name=file; filename=a.wav; filename*=utf-8''a.wav", "form-data; name=\"file\"; filename*=utf-8''%C3%A4.wav",
    "form-data; filename=a.wav; name=file", 'form-data; name="file"; filename="=?utf-8?B?w6Qud2F2?="; filename*=utf-8\'\'%C3%A4.wav',
    'FORM-DATA; NAME="file"; FILENAME="a;b\\"c.wav"', 'form-data;\r\n name="file"; filename="a.wav"', 'form-data; name="file"; filename="C:\\dir\\a.wav"',
    "form-data; name=\"file\"; filename*=iso-8859-1''%e4.wav"])
def test_forms_as_others_write_them(converter, disposition, quoted):
    body, headers = dotnet(b"ab'c-0123", quoted, disposition=disposition)
    reply = converter.post("/audio/convert", body=body, headers=headers)
    assert reply.status == 200 and reply.body[:4] == b"RIFF", reply.text


def test_a_form_in_single_bytes(converter):
    """Every place where a piece of the body may end: in a boundary, in a header, in what looks like a boundary."""
    tricky = b"\r\n--a\r\r\n--ab\n--abc\r\n-\r\n"
    body = b"preamble\r\n--abc  \r\nContent-Disposition: form-data; name=response_format\r\n\r\nnonsense" + tricky.replace(b"\n--abc", b"")
    body += b"\r\n--abc--\r\nepilogue"
    with socket.create_connection((converter.host, converter.port), 30) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.sendall(b"POST /audio/convert HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=abc\r\nContent-Length: %d\r\n\r\n" % len(body))
        for i in range(len(body)):
            c.sendall(body[i:i + 1])
            time.sleep(0.002)
        reply = read_reply(c)
    whole = converter.post("/audio/convert", body=body, headers={"Content-Type": "multipart/form-data; boundary=abc"})
    assert reply[0].startswith(b"HTTP/1.1 400") and whole.status == 400
    assert json.loads(reply[1])["detail"] == whole.json["detail"] and "nonsense" in whole.json["detail"] or "missing" in whole.json["detail"]


@pytest.mark.parametrize("body, status, said", [
    (b"--abc\r\nContent-Disposition: form-data\r\n\r\nx\r\n--abc--\r\n", 422, "no name"),
    (b"--abc\r\nX: " + b"y" * 9000 + b"\r\n\r\nx\r\n--abc--\r\n", 413, "8192"),
    (b"--abcd\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--abcd--\r\n", 422, "followed by byte 100"),
    (b"--abc\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--abc", 422, "cut short"), (b"nothing", 422, "boundary"),
    (b"--abc\r\nContent-Disposition: form-data; name=f\0\r\n\r\nx\r\n--abc--\r\n", 422, "NUL")],
    ids=["no name", "long header", "longer boundary", "cut short", "no boundary", "NUL"])
def test_what_is_wrong_with_a_form_is_said(converter, body, status, said):
    reply = converter.post("/audio/convert", body=body, headers={"Content-Type": "multipart/form-data; boundary=abc"})
    assert reply.status == status and said in reply.json["detail"], reply.text


def test_a_folded_header_is_no_end_of_headers(converter):
    """The second part has no name of a file: a line of white space goes on with the line before, and is not the empty one."""
    body = (b'--abc\r\nContent-Disposition: form-data; name="file"; filename="evil.wav"; x=yyyyyyyyyyyyyyy\r\n\r\n' + JFK
            + b'\r\n--abc\r\nContent-Disposition: form-data; name="response_format"\r\n \r\nX-Other: 1\r\n\r\nflac\r\n--abc--\r\n')
    reply = converter.post("/audio/convert", body=body, headers={"Content-Type": "multipart/form-data; boundary=abc"})
    assert reply.status == 200 and reply.body[:4] == b"fLaC"


def test_a_file_of_line_ends_is_read_as_fast_as_others(converter):
    """Each could begin a boundary."""
    start = time.monotonic()
    reply = converter.post("/audio/convert", form={"file": ("a.wav", b"\r" * (16 << 20))})
    assert reply.status in (400, 415, 422) and time.monotonic() - start < 10 * PATIENCE


def test_a_slow_reader_holds_no_worker(serve, tmp_path):
    """The only worker has a client that does not read; another is answered."""
    s = serve(home=tiny_home(tmp_path / "home"), **OPTIONS, workers=1)
    body = json.dumps({**SPEAK, "text": "Hello there, my friend. " * 8000, "stream": True}).encode()
    with socket.socket() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.settimeout(60)
        c.connect((s.host, s.port))
        c.sendall(b"POST /tts/synthesize HTTP/1.1\r\nHost: localhost\r\nAccept: audio/pcm\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert b" 200 " in c.recv(1000)
        assert s.post("/tts/synthesize", json_body={**SPEAK, "text": "Hi."}, timeout=120).status == 200
        assert eventually(lambda: s.get("/audio/health").json["requests"]["replying"] >= 1)
        for _ in range(20):
            assert c.recv(65536)


def test_audio_may_come_as_a_browser_writes_it(converter):
    url = "data:audio/wav;base64," + base64.b64encode(JFK).decode()
    assert converter.post("/audio/quality", json_body={"audio_data": url[5:]}).status == 422
    plain, same = (converter.post("/audio/convert", json_body={"audio_data": text, "response_format": "wav"}) for text in (url.partition(",")[2], url))
    assert plain.status == same.status == 200 and plain.body == same.body


def test_a_server_gets_ready_once_its_models_are_there(serve, tmp_path):
    """The first start: an empty home, models installed by and by."""
    home, full = tmp_path / "home", tiny_home(tmp_path / "full")
    home.mkdir()
    s = serve(home=home, **{**OPTIONS, "preload": "transcribe,speak"})
    assert s.get("/health/ready").status == 503
    time.sleep(1)
    shutil.copytree(full / "models", home / "models", dirs_exist_ok=True)
    s.wait_ready(60)
    assert s.post("/tts/synthesize", json_body={**SPEAK, "text": "Hi."}).status == 200
