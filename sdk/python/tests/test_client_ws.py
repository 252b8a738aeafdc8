"""The client's streams over WebSockets, against a running server."""

import asyncio
import base64
import contextlib
import hashlib
import struct
import threading
import time

import numpy as np
import pytest
from client_tools import HEALTH, FakeServer, jfk_samples, problem, reply
from conftest import JFK, JFK_TEXT, needs_model, server_tools, words

import sonant
from sonant import _client_net
from sonant.client import DeniedError, LostError
from sonant.types import Commit, Language, Note, Partial, Segment, SpeechChunk

listens = needs_model("whisper-tiny.en")
speaks = needs_model("joe")
LIVE = {"model": "tiny.en"}


@pytest.fixture(scope="module")
def client(server):
    with sonant.Client(server.url, retries=0) as client:
        yield client


SHORT_TEXT = "and so my fellow americans ask not"


def short():
    """The first words."""
    return jfk_samples()[:72000]


def pieces(samples, size=3200):
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def forever(chunk, pause=0.05):
    """A microphone."""
    while True:
        yield chunk
        time.sleep(pause)


def said(events):
    return words("".join(e.text for e in events if isinstance(e, Segment)))


def of(events, kind):
    return [e for e in events if isinstance(e, kind)]


def wait_quiet(server, seconds=20):
    """No session is open any more."""
    until = time.monotonic() + seconds
    while any(server.get("/audio/health").json["sockets"].values()):
        assert time.monotonic() < until
        time.sleep(0.02)


# ---- live captions ----


@listens
def test_what_is_heard_is_what_the_engine_hears(client, engine):
    """Which partials there are is a matter of time; what is committed is not."""
    far, near = list(client.listen(pieces(short()), **LIVE)), list(engine.listen(pieces(short()), **LIVE))
    assert said(far) == said(near) == SHORT_TEXT
    assert [s.text for s in of(far, Segment)] == [s.text for s in of(near, Segment)]
    assert [w.word for s in of(far, Segment) for w in s.words] == [w.word for s in of(near, Segment) for w in s.words]
    assert "".join(c.text for c in of(far, Commit)) == "".join(s.text for s in of(far, Segment))
    assert of(far, Language)[0].language == "en" and {type(e) for e in far} <= {Partial, Commit, Language, Note, Segment}


@listens
@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        (pieces(jfk_samples().tobytes(), 5001), {}),
        (pieces(jfk_samples().astype(np.float32) / 32768), {}),
        (pieces(np.repeat(jfk_samples(), 2)), {"rate": 32000}),
        (pieces(JFK.read_bytes(), 7777), {"format": "auto"}),
        (pieces(np.repeat(jfk_samples(), 2).tobytes(), 9999), {"channels": 2}),
    ],
    ids=["bytes", "float32", "32 kHz", "a container", "two channels"],
)
def test_every_kind_of_chunk(client, chunks, options):
    assert said(client.listen(chunks, live=False, **LIVE, **options)) == JFK_TEXT


@listens
def test_events_come_while_the_source_waits(client):
    heard = threading.Event()

    def chunks():
        yield from pieces(short())
        assert heard.wait(30), "nothing came before the end"

    with client.listen(chunks(), **LIVE) as events:
        for _ in events:
            heard.set()
    assert heard.is_set()


@listens
def test_what_the_source_raises_comes_out(client, server):
    def chunks():
        yield jfk_samples()[:16000]
        raise ZeroDivisionError("the microphone is gone")

    with pytest.raises(ZeroDivisionError, match="microphone"):
        list(client.listen(chunks(), **LIVE))
    wait_quiet(server)


@listens
@pytest.mark.parametrize(
    ("chunks", "kind", "part"),
    [
        ([np.zeros(100, np.uint8)[::2].astype(np.uint16)], TypeError, "uint16"),
        ([np.array([np.nan], np.float32)], sonant.FormatError, "frame 0"),
        ([b"ab", np.zeros(9, np.float32)], TypeError, "one kind"),
        (["text"], TypeError, "not str"),
        (b"bytes", TypeError, "iterable"),
        (np.zeros(9, np.float32), TypeError, "iterable"),
    ],
)
def test_chunks_that_are_none(client, chunks, kind, part):
    with pytest.raises(kind, match=part):
        list(client.listen(chunks, **LIVE))


@needs_model("whisper-base")
@pytest.mark.parametrize(
    ("options", "kind", "part"),
    [
        ({"model": "nonsense"}, FileNotFoundError, "nonsense"),
        ({"rate": 5}, ValueError, "5 Hz"),
        ({"language": "klingon"}, ValueError, "klingon"),
        ({"format": "tape"}, ValueError, "format"),
        ({"start": 2}, sonant.UnsupportedError, "start=2"),
    ],
)
def test_bad_options_of_listening(client, options, kind, part):
    with pytest.raises(kind, match=part) as caught:
        list(client.listen([bytes(3200) if "format" in options else np.zeros(1600, np.float32)], **options))
    if isinstance(caught.value, sonant.NotFoundError):
        assert len(caught.value.request_id) == 32


@listens
def test_a_stream_ends_early(client, server):
    """By close, by cancel, by an event, and when it is dropped: the server's session ends, too."""
    endless = np.tile(jfk_samples(), 50)
    with client.listen(pieces(endless), **LIVE) as events:
        next(events)
    with pytest.raises(StopIteration):
        next(events)
    wait_quiet(server)
    events = client.listen(pieces(endless), **LIVE)
    threading.Timer(0.5, events.cancel).start()
    with pytest.raises(sonant.CancelledError):
        list(events)
    stop = threading.Event()
    stop.set()
    with pytest.raises(sonant.CancelledError):
        list(client.listen(pieces(endless), cancel=stop, **LIVE))
    next(client.listen(pieces(endless), **LIVE))
    wait_quiet(server)


@listens
def test_two_threads_listen_at_once(client):
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(said(client.listen(pieces(short()), **LIVE)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [SHORT_TEXT] * 2


# ---- speech while its text is written ----

TEXT = ["Good mor", "ning to ", "you. This is the second ", "sentence of it", "."]


@speaks
def test_pieces_of_text_are_spoken(client):
    stream = client.speak_stream(iter(TEXT), model="joe")
    chunks = list(stream)
    assert {type(c) for c in chunks} == {SpeechChunk} and {c.sentence for c in chunks} == {0, 1}
    whole = client.speak("".join(TEXT), model="joe")
    assert sum(c.duration for c in chunks) == pytest.approx(whole.duration, rel=0.35)
    facts = stream.result
    assert (
        (facts.model, facts.sentences, facts.sample_rate) == ("en_US-joe-medium", 2, 22050) and facts.request_id and facts.first_audio > 0
    )


@speaks
def test_marks_are_told(client):
    ssml = '<speak>One.<mark name="here"/> And two.</speak>'
    chunks = list(client.speak_stream(list(ssml), model="joe"))
    assert [c.mark for c in chunks if c.mark] == ["here"]


@speaks
def test_speech_comes_while_the_text_is_written(client):
    spoken = threading.Event()

    def text():
        yield "This sentence is whole. And"
        assert spoken.wait(30), "nothing was spoken before the end"
        yield " this one is now."

    with client.speak_stream(text(), model="joe") as stream:
        for _ in stream:
            spoken.set()


@speaks
@pytest.mark.parametrize(
    ("text", "options", "kind", "part"),
    [
        ([], {}, sonant.Error, "speak|text|finish"),
        (["...", " !"], {}, ValueError, "speak"),
        (["a", 5], {}, TypeError, "not int"),
        (["a\ud800"], {}, sonant.FormatError, "U\\+D800"),
        (b"bytes", {}, TypeError, "not bytes"),
        (["Yes."], {"verify": True}, sonant.UnsupportedError, "verify=True"),
        (["Yes."], {"voice": "nobody"}, FileNotFoundError, "nobody"),
        (["Yes."], {"speed": 99.0}, ValueError, "speed"),
    ],
)
def test_bad_text(client, text, options, kind, part):
    with pytest.raises(kind, match=part):
        list(client.speak_stream(text, model="joe", **options))


@speaks
def test_speech_ends_early(client, server):
    tale = ["And then one sentence follows after another. "] * 400
    for text in (tale, "".join(tale)):
        with client.speak_stream(text, model="joe") as stream:
            assert next(stream).duration > 0
    wait_quiet(server)
    until = time.monotonic() + 20
    while server.get("/audio/health").json["requests"]["working"]:
        assert time.monotonic() < until
        time.sleep(0.02)


# ---- opening and losing ----


@needs_model("silero-vad")
def test_a_refused_handshake(serve, tmp_path):
    home = server_tools.make_home(tmp_path / "home")
    with sonant.Client(serve(home=home, preload="none", require_key="off", max_sockets=1).url, retries=0) as client:
        ended = []
        held = client.listen(forever(np.zeros(160, np.float32)), **LIVE)
        thread = threading.Thread(target=lambda: ended.append(pytest.raises(sonant.CancelledError, list, held)))  # noqa: RUF061
        thread.start()
        until = time.monotonic() + 20
        while not client.health()["sockets"]["transcribe"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        with pytest.raises(sonant.BusyError, match="sessions") as caught:
            list(client.listen([np.zeros(160, np.float32)], **LIVE))
        assert caught.value.retry_after == 10
        held.cancel()
        thread.join()
        assert ended


@pytest.mark.parametrize(
    ("answers", "retries", "kind"),
    [
        ([problem(401, "SN_E_ARGUMENT", "an API key is needed")], 3, DeniedError),
        ([problem(503, "SN_E_BUSY", Retry_After="0"), problem(401, "SN_E_ARGUMENT")], 3, DeniedError),
        ([reply(200, b"<html>", "text/html")], 0, sonant.Error),
        ([(b"HTTP/1.1 101 Switching", "close")], 0, ConnectionError),
    ],
)
def test_handshakes_that_fail(answers, retries, kind):
    with FakeServer(*answers) as fake, sonant.Client(fake.url, retries=retries) as client:
        with pytest.raises(kind):
            list(client.speak_stream(["Yes."]))
        assert len(fake.seen) == len(answers)


def once_open(server, act):
    """Acts when a session is open and has worked for a while."""

    def wait():
        while not server.get("/audio/health").json["sockets"]["transcribe"]:
            time.sleep(0.02)
        time.sleep(1)
        act()

    threading.Thread(target=wait, daemon=True).start()


@listens
def test_a_server_that_dies(serve, tmp_path):
    dying = serve(home=server_tools.make_home(tmp_path / "home"), preload="none")
    with sonant.Client(dying.url, retries=0) as client:
        events = client.listen(forever(jfk_samples()[:1600]), **LIVE)
        once_open(dying, dying.kill)
        with pytest.raises(LostError, match="broke"):
            list(events)


@listens
def test_a_server_that_stops_says_so(serve, tmp_path):
    stopping = serve(home=server_tools.make_home(tmp_path / "home"), preload="none")
    with sonant.Client(stopping.url, retries=0) as client:
        events = client.listen(forever(jfk_samples()[:1600]), **LIVE)
        once_open(stopping, stopping.stop)
        with pytest.raises(LostError, match="1001"):
            list(events)


def test_health_is_asked_for_once():
    with FakeServer(problem(401, "SN_E_ARGUMENT"), health=reply(body={**HEALTH, "version": "0.2.0"})) as fake:
        with sonant.Client(fake.url, retries=0) as client, pytest.raises(sonant.UnsupportedError, match=r"0\.2\.0"):
            list(client.listen([b""]))
        assert fake.seen == []


# ---- asyncio ----


@listens
@speaks
def test_streams_in_asyncio(server):
    async def sound():
        for chunk in pieces(short()):
            yield chunk
            await asyncio.sleep(0)

    async def text():
        for piece in TEXT:
            yield piece

    async def script():
        async with sonant.AsyncClient(server.url) as client:
            async with client.speak_stream(text(), model="joe") as stream:
                chunks = [chunk async for chunk in stream]
            events = [event async for event in client.listen(sound(), **LIVE)]
            plain = [event async for event in client.listen(iter(pieces(short())), **LIVE)]
            return events, plain, chunks, stream.result

    events, plain, chunks, facts = asyncio.run(script())
    assert said(events) == said(plain) == SHORT_TEXT and {c.sentence for c in chunks} == {0, 1} and facts.sentences == 2


@listens
def test_a_cancelled_task_ends_its_stream(server):
    closed = []

    async def endless():
        try:
            while True:
                yield jfk_samples()[:1600]
                await asyncio.sleep(0.01)
        finally:
            closed.append(True)

    async def script():
        async with sonant.AsyncClient(server.url) as client:

            async def listen():
                async for _ in client.listen(endless(), **LIVE):
                    pass

            task = asyncio.create_task(listen())
            while not (await client.health())["sockets"]["transcribe"]:
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.1)

    asyncio.run(asyncio.wait_for(script(), 60))
    wait_quiet(server)
    assert closed == [True]


# ---- what comes while nobody reads ----

SPOKEN = 64 << 10
"""Bytes of a message of the server below."""


def shake_hands(handler):
    """Becomes a WebSocket: what is to be sent first."""
    accept = base64.b64encode(
        hashlib.sha1((handler.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    )
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    return upgrade + accept + b"\r\n\r\n" + frame(b'{"type": "ready", "sample_rate": 16000}', kind=1)


def frame(data, kind=2):
    """A message of a server: kind 1: text, 2: bytes, 10: a pong."""
    size = (
        bytes([len(data)])
        if len(data) < 126
        else b"\x7e" + struct.pack(">H", len(data))
        if len(data) < 65536
        else b"\x7f" + struct.pack(">Q", len(data))
    )
    return bytes([0x80 | kind]) + size + data


class Chatter:
    """A server that says as much as it is let, up to `most` bytes of speech, whatever it hears."""

    def __init__(self, most):
        self.most, self.sent = most, 0

    def __call__(self, handler):
        handler.wfile.write(shake_hands(handler))
        with contextlib.suppress(OSError):
            while self.sent < self.most:
                handler.wfile.write(frame(struct.pack("<H", self.sent // SPOKEN % 65536) * (SPOKEN // 2)))
                self.sent += SPOKEN
            handler.wfile.write(frame(b'{"type": "done", "sentences": 7}', kind=1))
            handler.rfile.read(1 << 20)
        return b"", "close"

    def settle(self):
        """Bytes that were sent when nothing more went out for a while."""
        sent = -1
        while sent != self.sent:
            sent = self.sent
            time.sleep(0.5)
        return sent


@pytest.fixture
def small_rooms(monkeypatch):
    for name, value in {"MOST_UNREAD": 1 << 20, "PING": 0.2, "SILENCE": 3.0}.items():
        monkeypatch.setattr(_client_net, name, value)


def test_a_caller_who_pauses_lets_the_server_wait(small_rooms):
    """What lies in between belongs to the system. Nothing is lost, and the pause is longer than a server may be silent."""
    chatter = Chatter(96 << 20)
    with FakeServer(chatter) as fake, sonant.Client(fake.url, retries=0) as client, client.speak_stream(["Yes."]) as stream:
        first = next(stream)
        time.sleep(4)
        assert chatter.settle() < chatter.most / 2
        values = [chunk.samples[0] for chunk in stream]
        assert len(values) == chatter.most // SPOKEN - 1 and stream.result.sentences == 7
        expected = np.arange(len(values) + 1) % 65536
        assert np.array_equal(np.array([first.samples[0], *values]) * 32768, expected.astype(np.uint16).astype(np.int16))


def test_a_pausing_task_lets_the_server_wait(small_rooms):
    chatter = Chatter(48 << 20)

    async def script(url):
        async with sonant.AsyncClient(url, retries=0) as client, client.speak_stream(["Yes."]) as stream:
            await anext(stream)
            assert await asyncio.to_thread(chatter.settle) < chatter.most / 2
            return sum([len(chunk.samples) async for chunk in stream])

    with FakeServer(chatter) as fake:
        assert asyncio.run(asyncio.wait_for(script(fake.url), 60)) == (chatter.most - SPOKEN) // 2


def test_a_stream_that_is_full_can_be_closed(small_rooms):
    chatter = Chatter(48 << 20)
    with FakeServer(chatter) as fake, sonant.Client(fake.url, retries=0) as client:
        with client.speak_stream(["Yes."]) as stream:
            next(stream)
            chatter.settle()
        assert client.health()["status"] == "ok"
        assert chatter.settle() < chatter.most


@speaks
def test_a_server_that_only_answers_pings_is_there(client, small_rooms):
    def text():
        time.sleep(4)
        yield "Yes."

    assert sum(chunk.duration for chunk in client.speak_stream(text(), model="joe")) > 0


def test_a_server_that_answers_no_ping_is_lost(small_rooms):
    def silent(handler):
        handler.wfile.write(shake_hands(handler))
        handler.connection.settimeout(20)
        with contextlib.suppress(OSError):
            while handler.connection.recv(4096):
                pass
        return b"", "close"

    with FakeServer(silent) as fake, sonant.Client(fake.url, retries=0) as client:
        began = time.monotonic()
        with pytest.raises(LostError, match="nothing was heard for 3 s"):
            list(client.speak_stream(["Yes."]))
        assert 3 < time.monotonic() - began < 15
