"""The client over HTTP, against a running server and against servers that misbehave."""

import array
import asyncio
import dataclasses
import inspect
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from client_tools import HEALTH, FakeServer, cut, jfk_samples, problem, reply
from conftest import JFK, JFK_TEXT, needs_model, server_tools, words

import sonant
from sonant.client import DeniedError, IncompatibleError, LostError, UnreachableError
from sonant.types import ModelInfo, Outcome, Quality, Speech

QUICK = {"model": "tiny.en", "beam_size": 1}
TRANSCRIPT = {
    "success": True,
    "text": "Yes.",
    "language": "en",
    "language_confidence": 1.0,
    "duration": 1.0,
    "processing_time": 0.1,
    "model": "m",
    "dtype": "f32",
    "segments": [],
    "notes": [],
    "request_id": "r",
}
GOOD = reply(body=TRANSCRIPT)
BUSY = problem(503, "SN_E_BUSY", "the queue is full", Retry_After="0")
listens = needs_model("whisper-tiny.en")
speaks = needs_model("joe")


@pytest.fixture(scope="module")
def client(server):
    with sonant.Client(server.url) as client:
        yield client


def impatient(url, **options):
    return sonant.Client(url, **{"retries": 0, "timeout": 20, **options})


def working(server):
    return server.get("/audio/health").json["requests"]["working"]


def wait_working(server, count, seconds=30):
    until = time.monotonic() + seconds
    while working(server) != count:
        assert time.monotonic() < until
        time.sleep(0.02)


# ---- the engine's results ----


@listens
def test_a_transcript_is_the_engines(client, engine):
    far, near = client.transcribe(JFK, **QUICK), engine.transcribe(JFK, **QUICK)
    assert words(far.text) == JFK_TEXT and far.request_id
    assert (far.text, far.language, far.model, far.dtype, far.task) == (near.text, near.language, near.model, near.dtype, near.task)
    assert [(w.word, w.start, w.end) for w in far.words] == [(w.word, pytest.approx(w.start), pytest.approx(w.end)) for w in near.words]
    assert [(s.text, s.tokens, len(s.words)) for s in far.segments] == [(s.text, s.tokens, len(s.words)) for s in near.segments]
    assert far.avg_confidence == pytest.approx(near.avg_confidence, abs=1e-4)
    assert [(a.model, a.dtype, a.kept) for a in far.attempts] == [(a.model, a.dtype, a.kept) for a in near.attempts]
    assert far.attempts[0].confidence == pytest.approx(near.attempts[0].confidence, abs=1e-4)


@listens
def test_every_kind_of_source_says_the_same(client):
    pcm, wav = jfk_samples(), JFK.read_bytes()
    twice = np.stack([pcm, pcm], axis=1).astype(np.float32) / 32768
    sources = [str(JFK), wav, bytearray(wav), io.BytesIO(wav), pcm, pcm.astype(np.int32) << 16, twice, array.array("h", pcm.tobytes())]
    assert {client.transcribe(source, words=False, **QUICK).text for source in sources} == {client.transcribe(JFK, **QUICK).text}
    with open(JFK, "rb") as file:
        assert words(client.transcribe(file, **QUICK).text) == JFK_TEXT


@listens
def test_segments_come_as_they_are_found(client):
    whole, found, moved = client.transcribe(JFK, **QUICK), [], []
    streamed = client.transcribe(JFK, on_segment=found.append, progress=lambda done, total: moved.append((done, total)), **QUICK)
    assert streamed.segments == tuple(found) == whole.segments and streamed.text == whole.text and moved[-1] == (11.0, 11.0)
    with client.segments(JFK, **QUICK) as segments:
        assert tuple(segments) == whole.segments
    assert (segments.info.text, segments.info.segments, segments.info.duration) == ("", (), 11.0)


@listens
def test_what_a_function_raises_comes_out(client, server):
    def refuse(_):
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError):
        client.transcribe(JFK, on_segment=refuse, **QUICK)
    wait_working(server, 0)


@listens
def test_many_sources_come_back_in_their_order(client):
    sources = [str(JFK), b"RIFF nothing of that", jfk_samples()]
    outcomes = list(client.transcribe_many(sources, **QUICK))
    assert [type(o) for o in outcomes] == [Outcome] * 3 and [bool(o) for o in outcomes] == [True, False, True]
    assert words(outcomes[0].get().text) == words(outcomes[2].get().text) == JFK_TEXT
    with pytest.raises(sonant.FormatError):
        outcomes[1].get()


@speaks
def test_speech_has_samples_and_facts(client, engine):
    speech = client.speak("Good morning to you.", model="joe", seed=3)
    near = engine.speak("Good morning to you.", model="joe", seed=3)
    assert speech.spoken == near.spoken == speech.duration == near.duration
    assert isinstance(speech, Speech) and speech.samples.dtype == np.float32 and 0.3 < speech.duration < 5
    assert (speech.sample_rate, speech.model, speech.quality_score) == (22050, "en_US-joe-medium", None) and speech.request_id
    assert np.array_equal(speech.samples, client.speak("Good morning to you.", model="joe", seed=3).samples)
    assert client.speak("Good morning to you.", model="joe", speed=2).duration < 0.8 * speech.duration
    assert [round(o.get().duration, 1) for o in client.speak_many(["Good morning to you."] * 2, model="joe", seed=3)] == [
        round(speech.duration, 1)
    ] * 2


@speaks
def test_a_whole_text_is_streamed(client):
    stream = client.speak_stream("One sentence. And another one, which is longer.", model="joe", seed=1)
    chunks = list(stream)
    whole = client.speak("One sentence. And another one, which is longer.", model="joe", seed=1, check=False)
    assert len(chunks) > 1 and sum(len(c.samples) for c in chunks) == len(whole.samples)
    assert np.allclose(np.concatenate([c.samples for c in chunks]), whole.samples, atol=2e-4)
    assert stream.result.model == "en_US-joe-medium" and chunks[0].sample_rate == 22050
    assert stream.result.duration == whole.duration


def test_audio_is_rated_analysed_converted_enhanced(client, engine, tmp_path):
    far, near = client.quality(JFK, scores=False), engine.quality(JFK, scores=False)
    assert isinstance(far, Quality) and far.scores is None
    for field in dataclasses.fields(near):
        assert getattr(far, field.name) == pytest.approx(getattr(near, field.name), rel=2e-3, abs=0.06), field.name
    seen = client.analyze(jfk_samples(), plot=tmp_path / "a.png", language=False)
    assert seen.points and seen.bands and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    points = engine.analyze(jfk_samples(), language=False).points
    assert len(points) > 100 and [point.level for point in seen.points] == pytest.approx([point.level for point in points], abs=0.06)
    assert [point.pitch for point in seen.points] == pytest.approx([point.pitch for point in points], abs=0.06)
    flac = client.convert(JFK, format="flac", sample_rate=8000)
    assert flac.audio.startswith(b"fLaC") and (flac.format, flac.sample_rate, flac.input_rate) == ("flac", 8000, 16000)
    assert client.convert(JFK, tmp_path / "a.ogg", bitrate=32000).audio is None and (tmp_path / "a.ogg").read_bytes().startswith(b"OggS")
    better = client.enhance(JFK, denoise=False)
    assert better.audio.duration == pytest.approx(11, abs=0.1) and better.stages and better.after.loudness == pytest.approx(-16, abs=0.5)
    assert client.enhance(JFK, tmp_path / "b.flac", denoise=False).gain == pytest.approx(better.gain, abs=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ogg", "a.png", "b.flac"]


def test_nothing_is_left_of_a_file_that_failed(client, tmp_path):
    with pytest.raises(sonant.FormatError):
        client.convert(b"no audio at all", tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        client.convert(JFK, tmp_path / "nowhere/a.wav")
    assert list(tmp_path.iterdir()) == []


# ---- what a server has ----


@listens
@speaks
def test_jobs(client):
    moved = []
    job = client.submit_transcribe([str(JFK), b"no audio"], **QUICK)
    done = client.wait(job, timeout=60, progress=lambda *at: moved.append(at))
    assert (done.over, done.done, done.failed, moved[-1]) == (True, 1, 1, (2, 2)) and done.id in [j.id for j in client.jobs()]
    good, bad = client.results(job)
    assert words(good.result.text) == JFK_TEXT and good.name == "jfk.wav" and isinstance(bad.error, sonant.FormatError)
    spoken = client.submit_speak(["One.", {"text": "Two.", "name": "second", "speed": 2}], model="joe")
    client.wait(spoken, timeout=60)
    one, two = client.results(spoken.id)
    assert one.result.duration > two.result.duration > 0.1 and two.name == "second" and one.result.model == "en_US-joe-medium"
    client.cancel_job(spoken, remove=True)
    with pytest.raises(sonant.NotFoundError):
        client.job(spoken)


def test_waiting_has_an_end():
    queued = {"id": "ab", "kind": "transcribe", "state": "queued", "created": "", "items": 5, "done": 1, "failed": 0, "progress": 0.2}
    with FakeServer(reply(body=queued)) as fake, impatient(fake.url) as client:
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="1 of 5 items"):
            client.wait("ab", timeout=0.4)
        assert time.monotonic() - start >= 0.4
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(sonant.CancelledError):
            client.wait("ab", cancel=stop)


@listens
def test_models_are_loaded_and_unloaded(client):
    entries = {entry.name: entry for entry in client.models()}
    assert entries["openai/whisper-tiny.en"].installed and "tiny.en" in entries["openai/whisper-tiny.en"].aliases
    loaded = client.load("tiny.en", precision="f32")
    assert isinstance(loaded, ModelInfo) and (loaded.precision, loaded.task, loaded.words) == ("f32", "transcribe", True)
    assert loaded in [dataclasses.replace(m, load_time=loaded.load_time) for m in client.loaded()]
    client.unload("tiny.en")
    with pytest.raises(FileNotFoundError, match="nonsense"):
        client.load("nonsense")


@speaks
def test_voices(client):
    voice = client.add_voice("mine", model="joe", speaker="0", origin="a test")
    try:
        assert (voice.name, voice.kind, voice.in_bank, voice.source) == ("mine", "speaker", True, "a test")
        assert [v.name for v in client.voices()] == ["mine"] and len(client.voices("joe")) > 1
        assert client.speak("Yes.", model="joe", voice=voice).voice == "mine"
    finally:
        client.remove_voice("mine")
    with pytest.raises(sonant.NotFoundError):
        client.remove_voice("mine")


@needs_model("whisper-base")
def test_the_servers_state(client):
    health = client.health()
    assert health["status"] == "ok" and health["version"] == client.server_version == sonant.__version__
    assert "port" in client.config() and "sonant_requests_total" in client.metrics() and isinstance(client.usage(7), tuple)


# ---- what bad input gets ----


@needs_model("whisper-base")
@pytest.mark.parametrize(
    ("source", "options", "kind", "part"),
    [
        (b"RIFF nothing of that", {}, sonant.FormatError, "audio"),
        (JFK, {"model": "nonsense"}, FileNotFoundError, "nonsense"),
        (JFK, {"language": "klingon"}, ValueError, "klingon"),
        (JFK, {"beam_size": 99}, ValueError, "beam_size"),
        (JFK, {"start": 1}, sonant.UnsupportedError, "takes no start=1"),
        (JFK, {"rate": 8000}, ValueError, "rate=8000"),
        (JFK, {"model": object()}, TypeError, "model must be a name"),
        (JFK, {"hotwords": ["a,b"]}, ValueError, "commas"),
        (JFK, {"retry_models": "base"}, TypeError, "list"),
        (JFK, {"progress": 5}, TypeError, "progress"),
        (JFK, {"cancel": 5}, TypeError, "cancel must be an event"),
        (JFK, {"prompt": object()}, TypeError, "prompt must be text"),
        (JFK, {"prompt": "a\ud800"}, sonant.ArgumentError, "prompt has half .*U\\+D800"),
        (JFK, {"temperature": float("inf")}, sonant.ArgumentError, "temperature is inf"),
        ("nowhere.wav", {}, FileNotFoundError, "nowhere.wav"),
        ("-", {}, ValueError, "standard input"),
        (os.curdir, {}, ValueError, "directory"),
        ([0.0, 1.0], {}, TypeError, "numpy.asarray"),
        (io.StringIO("text"), {}, TypeError, "binary mode"),
        (np.zeros((2, 3, 4), np.float32), {}, ValueError, "shape"),
        (np.array([0, np.nan], np.float32), {}, sonant.FormatError, "frame 1"),
        (np.zeros(9, np.uint8), {}, TypeError, "uint8"),
        (np.zeros(9, np.float32), {"rate": 10}, ValueError, "10 Hz"),
    ],
)
def test_bad_input(client, source, options, kind, part):
    with pytest.raises(kind, match=part):
        client.transcribe(source, **options)


@pytest.mark.parametrize(
    ("text", "options", "kind", "part"),
    [
        ("", {}, ValueError, "text"),
        (5, {}, TypeError, "not int"),
        ("a\ud800", {}, sonant.FormatError, "U\\+D800"),
        ("Yes.", {"voice": JFK}, sonant.UnsupportedError, "add_voice"),
        ("Yes.", {"speed": 99}, ValueError, "speed"),
        ("Yes.", {"priority": "batch"}, sonant.UnsupportedError, "priority"),
        ("Yes.", {"sped": 1.1}, TypeError, "no option 'sped'"),
        ("Yes.", {"sped": None}, TypeError, "no option 'sped'"),
        ("Yes.", {"speed": float("nan")}, sonant.ArgumentError, "speed is nan"),
        ("Yes.", {"speed": object()}, TypeError, "speed must be"),
        ("Yes.", {"voice": "a\ud800"}, sonant.ArgumentError, "voice has half .*U\\+D800"),
    ],
)
def test_bad_text(client, text, options, kind, part):
    with pytest.raises(kind, match=part):
        client.speak(text, **options)


def test_an_error_names_its_request(client):
    with pytest.raises(sonant.NotFoundError) as caught:
        client.job("0" * 32)
    assert len(caught.value.request_id) == 32 and caught.value.status == 404


@pytest.mark.parametrize(
    ("options", "kind", "part"),
    [
        ({"url": "localhost:8765"}, ValueError, "address"),
        ({"url": "ftp://x"}, ValueError, "address"),
        ({"url": 5}, TypeError, "url"),
        ({"api_key": "a\nb"}, ValueError, "key"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"retries": -1}, ValueError, "retries"),
        ({"url": "https://x", "verify": "nowhere.pem"}, OSError, "nowhere.pem"),
    ],
)
def test_bad_options(options, kind, part):
    with pytest.raises(kind, match=part):
        sonant.Client(**options)


def test_environment_names_the_server(monkeypatch):
    monkeypatch.setenv("SONANT_URL", "http://elsewhere:1")
    assert sonant.Client().url == "http://elsewhere:1"
    monkeypatch.delenv("SONANT_URL")
    assert sonant.Client().url == "http://127.0.0.1:8765"


def test_nobody_is_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with impatient(url) as client, pytest.raises(ConnectionError, match=f"{url}.*sonant serve") as caught:
            client.health()
        assert isinstance(caught.value, UnreachableError) and isinstance(caught.value, sonant.IoError)


@pytest.mark.parametrize(
    ("health", "part"),
    [
        (reply(body={**HEALTH, "version": "0.9.0"}), "is Sonant 0.9.0 and this client is " + sonant.__version__),
        (reply(body={**HEALTH, "version": "7.1.0"}), "7.1.0"),
        (reply(body=b"<html>It works!</html>", kind="text/html"), "no Sonant server.*It works"),
        (reply(404, b"nothing here", "text/plain"), "HTTP status 404"),
        (reply(body={"hello": "world"}), "no Sonant server"),
        (reply(302, b"", Location="http://elsewhere/"), "302"),
    ],
)
def test_who_answers_is_no_server_of_ours(health, part):
    with FakeServer(GOOD, health=health) as fake, impatient(fake.url) as client, pytest.raises(IncompatibleError, match=part):
        client.transcribe(JFK)
    assert fake.seen == []


# ---- again ----


@pytest.mark.parametrize(
    "refusal",
    [BUSY, problem(429, "SN_E_BUSY", Retry_After="0"), reply(503, b"<html>busy</html>", "text/html"), reply(429, b"", "text/plain")],
)
def test_what_was_refused_is_asked_again(refusal):
    with FakeServer(refusal, refusal, GOOD) as fake, impatient(fake.url, retries=4) as client:
        assert client.transcribe(JFK).text == "Yes."
    assert len(fake.seen) == 3 and len({size for _, _, size in fake.seen}) == 1


def test_asking_again_has_an_end():
    later = problem(503, "SN_E_BUSY", Retry_After="30")
    with FakeServer(BUSY) as fake, impatient(fake.url, retries=2) as client:
        with pytest.raises(sonant.BusyError, match="queue is full") as caught:
            client.transcribe(JFK)
        assert caught.value.retry_after == 0 and caught.value.request_id == "r1" and len(fake.seen) == 3
    start = time.monotonic()
    with FakeServer(later) as fake, impatient(fake.url, retries=9, retry_time=10) as client:
        with pytest.raises(sonant.BusyError) as caught:
            client.transcribe(JFK)
        assert caught.value.retry_after == 30 and len(fake.seen) == 1 and time.monotonic() - start < 5


def test_a_time_to_wait_is_waited_for():
    with FakeServer(problem(503, "SN_E_BUSY", Retry_After="1"), GOOD) as fake, impatient(fake.url, retries=1) as client:
        start = time.monotonic()
        client.transcribe(JFK)
        assert 1 <= time.monotonic() - start < 4


def test_changes_are_not_asked_for_twice():
    """A proxy's 503 does not say whether the server took the job."""
    job = {"id": "ab", "kind": "transcribe", "state": "queued", "created": "", "items": 1, "done": 0, "failed": 0, "progress": 0.0}
    with FakeServer(reply(503, b"<html>", "text/html"), reply(202, job)) as fake, impatient(fake.url, retries=3) as client:
        with pytest.raises(sonant.BusyError):
            client.submit_transcribe([str(JFK)])
        assert len(fake.seen) == 1
    with FakeServer(BUSY, reply(202, job)) as fake, impatient(fake.url, retries=3) as client:
        assert client.submit_transcribe([str(JFK)]).id == "ab" and len(fake.seen) == 2


def test_other_errors_are_final():
    with FakeServer(problem(503, "SN_E_MEMORY")) as fake, impatient(fake.url, retries=3) as client:
        with pytest.raises(MemoryError):
            client.transcribe(JFK)
        assert len(fake.seen) == 1


def test_a_broken_connection_is_tried_again_for_reading_only():
    models = reply(body={"models": [], "request_id": "r"})
    with FakeServer(cut(models, 3), models) as fake, impatient(fake.url, retries=2) as client:
        assert client.models() == () and len(fake.seen) == 2
    with FakeServer((b"", "close"), GOOD) as fake, impatient(fake.url, retries=2) as client:
        with pytest.raises(LostError, match="may have done it"):
            client.transcribe(JFK)
        assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "part"),
    [
        (cut(GOOD, 30), LostError, "broke"),
        (reply(body=b'{"text": "Ye'), sonant.FormatError, "cannot be read"),
        (reply(body=b"[1, 2]"), sonant.FormatError, "no object"),
        (reply(body=b"<html>hello</html>", kind="text/html"), IncompatibleError, "hello"),
        (reply(body={"text": "Yes."}), sonant.FormatError, "language"),
        (reply(502, b"<html>bad gateway", "text/html"), OSError, "502"),
        (reply(413, b"<html>large", "text/html"), sonant.LimitError, "413"),
        (problem(500, "SN_E_SOMETHING_NEW", "a new kind"), sonant.InternalError, "a new kind"),
    ],
)
def test_replies_that_are_none(answer, kind, part):
    with FakeServer(answer) as fake, impatient(fake.url) as client, pytest.raises(kind, match=part):
        client.transcribe(JFK)


def everything(client):
    """Calls by what their reply must hold."""
    return {
        "models": client.models,
        "usage": client.usage,
        "config": client.config,
        "metrics": client.metrics,
        "model": lambda: client.pull("m"),
        "voices": client.voices,
        "results": lambda: list(client.results("ab")),
        "jobs": client.jobs,
    }


@pytest.mark.parametrize("body", [{}, {name: 5 for name in ("models", "usage", "model", "voices", "results", "jobs")}])
def test_replies_that_lack_something(body):
    with FakeServer(reply(body=body)) as fake, impatient(fake.url) as client:
        for name, call in everything(client).items():
            with pytest.raises(sonant.FormatError, match=name):
                call()
        for call in (client.loaded, lambda: client.enhance(JFK), lambda: client.speak("Yes.")):
            with pytest.raises(sonant.FormatError):
                call()


@pytest.mark.parametrize("refusal", [b'{"code": "SN_E_MODEL", "status": "many"}', b'{"code": "SN_E_MODEL", "status": [1]}', b"[" * 200000])
def test_refusals_that_are_damaged(refusal):
    with FakeServer(reply(500, refusal)) as fake, impatient(fake.url) as client, pytest.raises(sonant.Error):
        client.models()


def test_pages_that_go_round():
    with FakeServer(reply(body={"results": [], "next": 0})) as fake, impatient(fake.url) as client, pytest.raises(sonant.FormatError):
        list(client.results("ab"))


@pytest.mark.parametrize(
    "event", [b"event: error\ndata: [1]", b'event: error\ndata: {"status": "x"}', b"event: done\ndata: 5", b"event: segment\ndata: {}"]
)
def test_events_that_are_damaged(event):
    damaged = reply(body=event + b"\n\n", kind="text/event-stream")
    with FakeServer(damaged) as fake, impatient(fake.url) as client, pytest.raises(sonant.Error):
        list(client.segments(JFK))


def endless(status, kind):
    def say(handler):
        handler.wfile.write(f"HTTP/1.1 {status} Reason\r\nContent-Type: {kind}\r\n\r\n".encode())
        while True:  # until the client has enough
            handler.wfile.write(b"a" * (1 << 16))

    return say


def test_replies_that_never_end(monkeypatch):
    monkeypatch.setattr("sonant._client_net.MOST", 1 << 20)
    monkeypatch.setattr("sonant._client_talk.MOST", 1 << 20)
    for status, kind, raised, part in (
        (200, "application/json", sonant.LimitError, "1048576 bytes"),
        (500, "text/html", IncompatibleError, "'aaa"),
    ):
        with FakeServer(endless(status, kind)) as fake, impatient(fake.url) as client, pytest.raises(raised, match=part):
            client.models()
    stream = endless(200, "text/event-stream")
    with FakeServer(stream) as fake, impatient(fake.url) as client, pytest.raises(sonant.FormatError, match="1048576 bytes"):
        list(client.segments(JFK))


def test_replies_come_as_they_are():
    """Compressed on the way, the pieces of a stream could not be read."""
    accepted = []

    def note(handler):
        accepted.append(handler.headers["Accept-Encoding"])
        return GOOD

    with FakeServer(note) as fake, impatient(fake.url) as client:
        client.transcribe(JFK)
    assert accepted == ["identity"]


def test_numbers_of_numpy_are_numbers():
    with FakeServer(problem(422, "SN_E_FORMAT")) as fake, impatient(fake.url) as client:
        for options in ({"speed": np.float32(1.5)}, {"speed": 1.5}, {"seed": np.int64(3)}, {"seed": 3}):
            with pytest.raises(sonant.FormatError):
                client.speak("Yes.", **options)
        bodies = [size for _, _, size in fake.seen]
    assert bodies[0] == bodies[1] and bodies[2] == bodies[3]


def test_a_stream_that_ends_too_early():
    event = b'event: segment\ndata: {"id": 0, "start": 0.0, "end": 1.0, "text": " Yes."}\n\n'
    broken = b'event: error\ndata: {"code": "SN_E_MODEL", "detail": "it broke", "status": 500, "request_id": "r9"}\n\n'
    with FakeServer(reply(body=event, kind="text/event-stream")) as fake, impatient(fake.url) as client:
        found = []
        with pytest.raises(LostError, match="ended before"):
            client.transcribe(JFK, on_segment=found.append)
        assert [s.text for s in found] == [" Yes."]
    with FakeServer(reply(body=event + broken, kind="text/event-stream")) as fake, impatient(fake.url) as client:
        with pytest.raises(sonant.ModelError, match="it broke") as caught:
            list(client.segments(JFK))
        assert caught.value.request_id == "r9"


def test_a_silent_server():
    def wait(_):
        time.sleep(3)
        return GOOD

    with FakeServer(wait) as fake, impatient(fake.url, timeout=0.3) as client, pytest.raises(TimeoutError, match=r"0\.3 s"):
        client.transcribe(JFK)


# ---- keys, certificates ----


def test_keys(serve, tmp_path):
    home = server_tools.make_home(tmp_path / "keys")

    def key(*arguments):
        made = [server_tools.SONANT, "serve", "keys", "add", *arguments]
        return subprocess.run(made, env={**os.environ, "SONANT_HOME": str(home)}, check=True, capture_output=True, text=True).stdout.strip()

    user, slow = key("user"), key("slow", "--per-minute", "1")
    url = serve(home=home, preload="none", require_key="on").url
    with impatient(url) as nobody, pytest.raises(PermissionError, match="SONANT_API_KEY") as caught:
        nobody.models()
    assert isinstance(caught.value, DeniedError) and caught.value.status == 401
    with impatient(url, api_key=user) as client:
        assert client.models()
        with pytest.raises(PermissionError, match="manage") as caught:
            client.load("tiny.en")
        assert caught.value.status == 403
    with impatient(url, api_key=slow) as client:
        client.models()
        with pytest.raises(sonant.BusyError, match="limit") as caught:
            client.models()
        assert caught.value.retry_after >= 1 and caught.value.status == 429


def test_a_key_is_neither_carried_elsewhere_nor_logged(caplog):
    asked = []

    def ask(handler):
        asked.append(handler.headers["Authorization"])
        return reply(403, b"no", "text/plain")

    with FakeServer(ask, health=ask) as other:
        away = reply(302, b"", Location=other.url.replace("http://127.0.0.1", "ws://localhost") + "/stt/stream")
        with caplog.at_level("DEBUG"), FakeServer(away) as fake, impatient(fake.url, api_key="SECRET") as client:
            with pytest.raises(sonant.Error, match="302"):
                list(client.listen([np.zeros(160, np.float32)]))
            with pytest.raises(sonant.Error, match="302"):
                client.models()
    assert asked == [] and "SECRET" not in caplog.text and "/stt/stream" in caplog.text


def test_a_password_in_the_address_is_not_told():
    asked = []

    def ask(handler):
        asked.append(handler.headers["Authorization"])
        return reply(403, b"no", "text/plain")

    with FakeServer(ask) as fake, impatient(fake.url.replace("//", "//me:SECRET@")) as client:
        with pytest.raises(DeniedError) as caught:
            client.models()
        assert client.url == fake.url and "SECRET" not in str(caught.value) and asked == ["Basic bWU6U0VDUkVU"]
    for options in ({"api_key": "a"}, {"url": "http://me:SECRET@x?y"}):
        with pytest.raises(sonant.ArgumentError) as caught:
            sonant.Client(**{"url": "http://me:SECRET@x", **options})
        assert "SECRET" not in str(caught.value)


def test_certificates(serve, tmp_path):
    key, pem = tmp_path / "k.pem", tmp_path / "c.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        key,
        "-out",
        pem,
    ]
    made = subprocess.run([*command, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is missing")
    url = serve(preload="none", tls_certificate=pem, tls_key=key).url
    with impatient(url) as strict, pytest.raises(UnreachableError, match=r"(?i)certificate"):
        strict.health()
    with impatient(url, verify=str(pem)) as client:
        assert client.health()["version"] == sonant.__version__
    with impatient(url, verify=False) as client:
        assert client.models()


# ---- lives ----


def long_clip():
    return np.tile(jfk_samples(), 100)


@listens
def test_a_set_event_ends_the_call_and_the_servers_work(client, server):
    stop = threading.Event()
    threading.Timer(0.7, stop.set).start()
    start = time.monotonic()
    with pytest.raises(sonant.CancelledError):
        client.transcribe(long_clip(), cancel=stop, **QUICK)
    assert time.monotonic() - start < 5
    wait_working(server, 0)


@listens
def test_ctrl_c_ends_the_call_and_other_calls_go_on(client, server):
    texts = []
    other = threading.Thread(target=lambda: texts.extend(client.transcribe(JFK, **QUICK).text for _ in range(4)))
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    other.start()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.transcribe(long_clip(), **QUICK)
    other.join()
    assert [words(text) for text in texts] == [JFK_TEXT] * 4
    wait_working(server, 0)


@listens
def test_threads_share_a_client(client):
    alone, texts = client.transcribe(JFK, **QUICK).text, []
    threads = [threading.Thread(target=lambda: texts.append(client.transcribe(JFK, **QUICK).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [alone] * 8


def test_closed_is_closed(server):
    client = sonant.Client(server.url)
    client.health()
    client.close()
    client.close()
    with pytest.raises(sonant.ClosedError):
        client.health()
    unused = sonant.Client(server.url)
    unused.close()
    with pytest.raises(sonant.ClosedError):
        unused.health()


def test_a_dropped_client_leaves_nothing(server):
    def running():
        return sum(thread.name == "sonant-client" for thread in threading.enumerate())

    before = running()
    for _ in range(4):
        sonant.Client(server.url).health()
    until = time.monotonic() + 10
    while running() > before:
        assert time.monotonic() < until
        time.sleep(0.02)
    code = f"import sonant; client = sonant.Client({server.url!r}); client.health()"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_closing_ends_calls_under_way():
    def wait(_):
        time.sleep(30)
        return GOOD

    with FakeServer(wait) as fake:
        client = impatient(fake.url)
        threading.Timer(0.5, client.close).start()
        start = time.monotonic()
        with pytest.raises(sonant.ClosedError):
            client.transcribe(JFK)
        assert time.monotonic() - start < 20


def test_a_fork_makes_its_own(server):
    with sonant.Client(server.url) as client:
        client.health()
        code = f"""
import os, sys, sonant
client = sonant.Client({server.url!r})
client.health()
child = os.fork()
if child == 0:
    try:
        client.health()
    except sonant.ClosedError as error:
        good = "make a client here" in str(error)
    with sonant.Client({server.url!r}) as own:
        own.health()
    os._exit(0 if good else 1)
_, status = os.waitpid(child, 0)
client.health()
client.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_uploads_are_not_held_in_memory(tmp_path):
    """60 MB from the disk, and progress tells the bytes of the form."""
    clip, moved = tmp_path / "large.wav", []
    with open(clip, "wb") as file:
        file.truncate(60 << 20)
    quality = problem(422, "SN_E_FORMAT", "zeros are no audio")
    with FakeServer(quality) as fake, impatient(fake.url) as client:
        client.health()
        tracemalloc.start()
        try:
            with pytest.raises(sonant.FormatError):
                client.quality(clip, progress=lambda *at: moved.append(at))
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert fake.seen[0][2] > 60 << 20 and moved and all(total == fake.seen[0][2] for _, total in moved)
    assert sorted(moved) == moved and held < 150 << 20  # the fake server holds one of it


# ---- asyncio ----


@listens
@speaks
def test_coroutines(server):
    async def script():
        async with sonant.AsyncClient(server.url) as client:
            texts = await asyncio.gather(*(client.transcribe(JFK, **QUICK) for _ in range(4)))
            outcomes = [outcome async for outcome in client.transcribe_many([str(JFK), b"no"], **QUICK)]
            chunks = [chunk async for chunk in client.speak_stream("Good morning.", model="joe")]
            segments = [segment async for segment in client.segments(JFK, **QUICK)]
            return texts, outcomes, chunks, segments, await client.health()

    texts, outcomes, chunks, segments, health = asyncio.run(script())
    assert {words(t.text) for t in texts} == {JFK_TEXT} and [bool(o) for o in outcomes] == [True, False]
    assert chunks and tuple(segments) == texts[0].segments and health["status"] == "ok"


@listens
def test_a_cancelled_task_ends_the_servers_work(server):
    async def script():
        async with sonant.AsyncClient(server.url) as client:
            task = asyncio.create_task(client.transcribe(long_clip(), **QUICK))
            while (await client.health())["requests"]["working"] != 1:
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(script(), 60))
    wait_working(server, 0)


def test_the_loop_does_not_wait_for_what_is_read():
    class Slow:
        """Cannot be read twice, and takes its time."""

        left = 3

        def read(self, _):
            time.sleep(0.6)
            self.left -= 1
            return b"audio" if self.left else b""

    async def script(url):
        async with sonant.AsyncClient(url, retries=0) as client:
            for call in (client.transcribe, client.quality, lambda source: anext(client.segments(source))):
                task, held = asyncio.ensure_future(call(Slow())), 0.0
                while not task.done():
                    start = time.monotonic()
                    await asyncio.sleep(0.01)
                    gap = time.monotonic() - start
                    held += gap if gap >= 0.5 else 0.0
                with pytest.raises(sonant.FormatError):
                    await task
                assert held < 1.7  # three reads on the loop: 1.8

    with FakeServer(problem(422, "SN_E_FORMAT")) as fake:
        asyncio.run(script(fake.url))


def test_an_async_client_is_of_one_loop(server):
    client = sonant.AsyncClient(server.url)
    asyncio.run(client.health())
    with pytest.raises(sonant.ArgumentError, match="another event loop"):
        asyncio.run(client.health())
    asyncio.run(client.close())
    with pytest.raises(sonant.ClosedError):
        asyncio.run(client.health())


# ---- the package ----


def test_arguments_are_the_engines():
    """Those that a server has are called as the engine's; the documentation shows them."""
    from sonant._listen import ListenOptions
    from sonant._speak import SpeakOptions

    options = {*ListenOptions.__annotations__, *SpeakOptions.__annotations__}
    for name in ("transcribe", "segments", "listen", "speak_stream", "quality", "analyze", "convert", "enhance", "add_voice"):
        near = {*inspect.signature(getattr(sonant.Engine, name)).parameters, *options}
        for kind in (sonant.Client, sonant.AsyncClient):
            far = inspect.signature(getattr(kind, name)).parameters
            assert set(far) - near <= {"cancel", "progress"} and "self" in far, name
    assert "source: 'Any'" in str(inspect.signature(sonant.Client.transcribe)) and "WebSocket" in sonant.Client.listen.__doc__
    assert inspect.iscoroutinefunction(sonant.AsyncClient.transcribe)


@listens
@speaks
def test_no_engine_is_needed(server, tmp_path):
    code = f"""
import sys
sys.modules["sonant._native"] = None
import numpy, sonant
with sonant.Client({server.url!r}) as client:
    assert client.transcribe({str(JFK)!r}, model="tiny.en", beam_size=1).words
    client.speak("Yes.", model="joe").save({str(tmp_path / "yes.wav")!r})
    assert list(client.listen([numpy.zeros(16000, numpy.float32)], model="tiny.en"))
    assert list(client.speak_stream(["Yes."], model="joe"))
    assert [outcome.get() for outcome in client.transcribe_many([{str(JFK)!r}], model="tiny.en")]
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "yes.wav").read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("missing", ["httpx", "websockets"])
def test_a_missing_package_is_named(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
import sonant
try:
    sonant.Client()
except sonant.DependencyError as error:
    assert "pip install 'sonant[client]'" in str(error) and {missing!r} in str(error)
else:
    sys.exit("nothing was missing")
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr("websockets.version.version", "14.2")
    with pytest.raises(sonant.DependencyError, match=r"websockets 15 or later, and 14\.2"):
        sonant.Client()
