"""Limits that protect the server from too much of what is right: queue, time, sessions, clients that go away, and stopping."""
import io
import json
import signal
import socket
import struct
import threading
import time
import wave

import pytest

from conftest import JFK, JFK_TEXT, PATIENCE, eventually, multipart, needs_model, words

pytestmark = needs_model("whisper-tiny.en")
TINY = {"model": "tiny.en", "beam_size": "1"}


def long_clip(seconds, seed=0):
    """The clip again and again, as long as is asked for; another seed is another content."""
    source = wave.open(io.BytesIO(JFK))
    frames = source.readframes(1 << 30)
    while len(frames) < seconds * 32000:
        frames += frames
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setparams(source.getparams())
        w.writeframes(struct.pack("<h", seed) + frames[:int(seconds) * 32000])
    return out.getvalue()


def post(server, clip, results=None, **fields):
    reply = server.post("/stt/transcribe", form={"file": ("a.wav", clip), **TINY, **fields})
    if results is not None:
        results.append(reply)
    return reply



def safely(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass


def begin(server, clip):
    """A thread that posts the clip; it is being worked on when this returns."""
    wait_working(server, 0)
    t = threading.Thread(target=safely, args=(post, server, clip))
    t.start()
    wait_working(server, 1)
    assert t.is_alive()
    return t


def wait_working(server, count):
    until = time.monotonic() + 60
    while server.get("/audio/health").json["requests"]["working"] != count:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def small(serve):
    return serve(preload="tiny.en", workers=1, threads=1, dtype="f32", max_queue=1, queue_timeout="300ms", request_timeout=str(100 * PATIENCE),
                 max_duration="20m").wait_ready()


def test_a_full_queue_is_503_with_a_time_to_wait(small):
    results = []
    threads = [threading.Thread(target=post, args=(small, clip, results)) for clip in [long_clip(30, i) for i in range(5)]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    refused = [r for r in results if r.status == 503]
    assert refused and {r.status for r in results} == {200, 503}
    for r in refused:
        assert int(r.headers["retry-after"]) >= 1 and r.json["code"] == "SN_E_BUSY" and r.json["status"] == 503
    assert words(post(small, JFK).json["text"]) == JFK_TEXT


def test_waiting_too_long_is_503(small):
    slow = begin(small, long_clip(150, 11))
    start = time.monotonic()
    reply = post(small, long_clip(11, 12))
    waited = time.monotonic() - start
    slow.join()
    assert reply.status == 503 and "retry-after" in reply.headers and waited < 5 * PATIENCE


def test_running_too_long_is_504(serve):
    s = serve(preload="tiny.en", request_timeout="1").wait_ready()
    start = time.monotonic()
    reply = post(s, long_clip(1200, 21))
    assert reply.status == 504 and reply.json["code"] == "SN_E_TIMEOUT" and time.monotonic() - start < 8 * PATIENCE


def test_a_client_that_goes_ends_its_work(serve):
    """One worker: the next request has its turn at once when the first client has gone."""
    s = serve(preload="tiny.en", workers=1).wait_ready()
    body, kind = multipart({"file": ("a.wav", long_clip(1200, 31)), **TINY})
    with socket.create_connection((s.host, s.port)) as c:
        c.sendall(f"POST /stt/transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(1.0)
    start = time.monotonic()
    assert post(s, JFK).status == 200
    assert time.monotonic() - start < 6 * PATIENCE


def test_sessions_of_a_key_are_limited(serve):
    s = serve(preload="tiny.en", key_sessions=1, threads=1, dtype="f32").wait_ready()
    slow = begin(s, long_clip(100, 41))
    reply = post(s, JFK)
    slow.join()
    assert reply.status == 429 and int(reply.headers["retry-after"]) >= 1 and reply.json["code"] == "SN_E_BUSY"
    until = time.monotonic() + 30
    while (reply := post(s, JFK)).status == 429 and time.monotonic() < until:
        time.sleep(int(reply.headers["retry-after"]))
    assert reply.status == 200


def test_a_term_signal_lets_work_end(serve):
    s = serve(preload="tiny.en", drain_timeout=30 * PATIENCE).wait_ready()
    results = []
    t = threading.Thread(target=post, args=(s, long_clip(60, 51), results))
    t.start()
    assert eventually(lambda: results or s.get("/audio/health").json["requests"]["working"])
    assert s.stop(60 * PATIENCE) == 0
    t.join()
    assert results[0].status == 200 and results[0].json["text"]


def test_a_second_signal_ends_at_once(serve):
    s = serve(preload="tiny.en", threads=1, dtype="f32").wait_ready()
    t = begin(s, long_clip(1200, 61))
    start = time.monotonic()
    s.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: socket.socket().connect_ex((s.host, s.port)) != 0)  # two signals at once are one
    assert s.process.poll() is None
    s.process.send_signal(signal.SIGTERM)
    assert s.process.wait(20 * PATIENCE) == 0 and time.monotonic() - start < 10 * PATIENCE
    t.join()


def test_two_clients_get_their_own(small):
    replies = [post(small, JFK, prompt=p) for p in ("", "one", "")]
    assert len({r.headers["x-request-id"] for r in replies}) == 3
    assert all(r.json["request_id"] == r.headers["x-request-id"] for r in replies)
