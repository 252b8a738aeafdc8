"""/stt/stream: audio in, text out while it is spoken."""
import array
import asyncio
import json
import shutil
import ssl
import subprocess
import time

import pytest
import websockets

from conftest import JFK, JFK_TEXT, PATIENCE, SOURCE, eventually, needs_model, words
from ws_tools import Raw, Talk, address, frame, of_type, pcm_of, talk

pytestmark = needs_model("whisper-tiny.en", "silero-vad")
TINY = {"type": "start", "model": "whisper-tiny.en"}
PIECE = 3200  # 100 ms of pcm16 at 16 kHz


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="whisper-tiny.en", socket_timeout=5).wait_ready()


def whole(t, start, audio, piece=PIECE, pause=0.0):
    """Sends it all in pieces and gives every message to the end."""
    async def run():
        async def feed():
            if start:
                await t.send(start)
            for i in range(0, len(audio), piece):
                await t.send(audio[i:i + piece])
                await asyncio.sleep(pause)
            await t.send({"type": "finish"})
        feeding = asyncio.create_task(feed())
        seen = await t.until("done")
        await feeding
        return seen
    return run()


def test_speech_becomes_text_while_it_is_spoken(server):
    async def script(t):
        return await whole(t, {**TINY, "return_timestamps": True, "partial_interval": 320}, pcm_of(), pause=min(0.04 * PATIENCE, 0.2))
    seen = talk(server, "/stt/stream", script)
    kinds = [m["type"] for m in seen]
    ready, done = seen[0], seen[-1]
    assert ready["type"] == "ready" and ready["live"] is True and ready["model"].endswith("whisper-tiny.en") and ready["session"]
    assert done["type"] == "done" and words(done["text"]) == JFK_TEXT
    assert done["duration"] == pytest.approx(11, abs=0.01) and done["request_id"] == ready["session"] and done["segments"] == kinds.count("segment")
    first, segment = kinds.index("partial"), kinds.index("segment")
    assert first < kinds.index("commit") < segment < len(kinds) - 1
    # what was committed does not change any more: utterances are their commits joined
    assert "".join(m["text"] for m in of_type(seen, "commit")) == "".join(m["text"] for m in of_type(seen, "segment"))
    for m in of_type(seen, "partial") + of_type(seen, "commit"):
        assert 0 <= m["latency"] < 60 and 0 < m["position"] <= 11
    timed = [w for m in of_type(seen, "commit") for w in m["words"]]
    assert words(" ".join(w["word"] for w in timed)) == JFK_TEXT
    assert all(a["start"] <= a["end"] <= b["end"] for a, b in zip(timed, timed[1:])) and all(0 < w["confidence"] <= 1 for w in timed)
    assert abs(timed[1]["start"] - 0.7) < 0.4


def test_partials_grow_into_what_is_committed(server):
    async def script(t):
        return await whole(t, {**TINY, "partial_interval": 200}, pcm_of(), pause=min(0.04 * PATIENCE, 0.2))
    seen = talk(server, "/stt/stream", script)
    partials = [m["position"] for m in of_type(seen, "partial")]
    assert len(partials) >= 3 and partials == sorted(partials)
    ids = [m["id"] for m in of_type(seen, "segment")]
    assert ids == list(range(len(ids)))


def test_a_start_is_not_needed(server):
    async def script(t):
        return await whole(t, None, pcm_of()[:64000])
    seen = talk(server, "/stt/stream", script)
    assert seen[0]["type"] == "ready" and seen[0]["format"] == "pcm16" and seen[0]["sample_rate"] == 16000
    assert "fellow" in seen[-1]["text"].lower()


def resampled(factor):
    """The clip's samples at a multiple of its rate, as floats."""
    samples = array.array("h", pcm_of())
    out = array.array("f", bytes(4 * len(samples) * factor))
    for i, x in enumerate(samples):
        following = samples[min(i + 1, len(samples) - 1)]
        for k in range(factor):
            out[i * factor + k] = (x + (following - x) * k / factor) / 32768
    return out


def ulaw(sample):
    """ITU-T G.711: sign, exponent and four bits of what lies above it, all inverted."""
    biased = min(abs(sample), 32635) + 132
    exponent = biased.bit_length() - 8
    return ~((sample < 0) << 7 | exponent << 4 | biased >> exponent + 3 & 15) & 255


@pytest.mark.parametrize("kind", ["float32 of 48 kHz", "stereo", "ulaw", "wav", "auto"])
def test_other_formats_say_the_same(server, kind):
    pcm = pcm_of()
    if kind == "float32 of 48 kHz":
        start, audio = {"format": "float32", "sample_rate": 48000}, resampled(3).tobytes()
    elif kind == "stereo":
        samples = array.array("h", pcm)
        start, audio = {"format": "pcm16", "channels": 2}, array.array("h", (x for s in samples for x in (s, s))).tobytes()
    elif kind == "ulaw":
        start, audio = {"format": "g711_ulaw", "sample_rate": 16000}, bytes(map(ulaw, array.array("h", pcm)))
    else:
        start, audio = {"format": kind}, JFK

    async def script(t):
        return await whole(t, {**TINY, **start}, audio, piece=10001)
    seen = talk(server, "/stt/stream", script)
    assert seen[-1]["type"] == "done" and words(seen[-1]["text"]).endswith("ask what you can do for your country")
    assert seen[-1]["duration"] == pytest.approx(11, abs=0.02)


def test_webm_is_heard_while_it_comes(server):
    audio = (SOURCE / "tests/audio/jfk_2s.webm").read_bytes()

    async def script(t):
        await t.send({**TINY, "format": "webm"})
        for i in range(0, len(audio), 700):
            await t.send(audio[i:i + 700])
        await t.send({"type": "finish"})
        return await t.until("done")
    seen = talk(server, "/stt/stream", script)
    assert seen[-1]["type"] == "done" and "fellow" in seen[-1]["text"].lower()
    assert seen[-1]["duration"] == pytest.approx(2, abs=0.1)


def test_one_connection_hears_one_utterance_after_another(server):
    async def script(t):
        first = await whole(t, TINY, pcm_of()[:64000])
        second = await whole(t, TINY, pcm_of()[160000:])
        return first[-1], second[-1]
    first, second = talk(server, "/stt/stream", script)
    assert "fellow" in first["text"].lower() and "country" in second["text"].lower() and "fellow" not in second["text"].lower()
    assert first["duration"] == pytest.approx(2, abs=0.01)


def test_a_cancel_ends_it_and_another_may_begin(server):
    async def script(t):
        await t.send(TINY)
        for _ in range(3):
            await t.send(pcm_of())
        await t.send({"type": "cancel"})
        began = time.monotonic()
        cancelled = (await t.until("cancelled"))[-1]
        took = time.monotonic() - began
        return cancelled, took, (await whole(t, TINY, pcm_of()[:64000]))
    cancelled, took, seen = talk(server, "/stt/stream", script)
    assert cancelled["type"] == "cancelled" and took < 20
    assert seen[0]["type"] == "ready" and seen[-1]["duration"] == pytest.approx(2, abs=0.01)


def test_silence_has_a_reason_for_its_empty_text(server):
    async def script(t):
        return await whole(t, TINY, bytes(64000))
    seen = talk(server, "/stt/stream", script)
    assert seen[-1]["type"] == "done" and seen[-1]["text"] == "" and of_type(seen, "note")


def test_nothing_at_all_is_told(server):
    async def script(t):
        await t.send({"type": "finish"})
        return await t.next()
    error = talk(server, "/stt/stream", script)
    assert error["type"] == "error" and error["fatal"] is False and error["code"] == "SN_E_CLOSED"


@pytest.mark.parametrize("messages, code, status", [
    (({**TINY, "format": "float32"}, b"\0\0\xc0\x7f" * 40), "SN_E_FORMAT", 4422),
    (({**TINY, "format": "webm"}, b"this is no webm " * 8000, {"type": "finish"}), "SN_E_FORMAT", 4422),
    (({**TINY, "format": "auto"}, b"\x01\x02\x03", {"type": "finish"}), "SN_E_FORMAT", 4422),
    (({**TINY, "task": "translate"}, b"\0" * 640), "SN_E_UNSUPPORTED", 4422),
    (({**TINY, "language": "Klingon"}, b"\0" * 640), "SN_E_ARGUMENT", 4400),
    ((TINY, b"\0" * 640, TINY), "SN_E_CLOSED", 4409),
    ((TINY, b"\0" * 641, {"type": "finish"}), "SN_E_FORMAT", 4422)])
def test_what_cannot_be_done_is_told(server, messages, code, status):
    async def script(t):
        await t.send(*messages)
        return (await t.until("done"))[-1], await t.closed()
    error, closed = talk(server, "/stt/stream", script)
    assert (error["type"], error["code"], error["fatal"], closed) == ("error", code, True, status)


def test_a_session_longer_than_allowed_is_ended(serve):
    server = serve(preload="none", max_duration=1)

    async def script(t):
        await t.send(TINY, pcm_of())
        return (await t.until("done"))[-1], await t.closed()
    error, closed = talk(server, "/stt/stream", script)
    assert error["code"] == "SN_E_LIMIT" and closed == 4413


def test_two_sessions_are_never_mixed(server):
    """Each hears its own half, at the same time, in pieces that interleave."""
    pcm = pcm_of()
    halves = [pcm[:100000], pcm[170000:]]

    async def run():
        async def one(audio):
            async with websockets.connect(address(server, "/stt/stream"), max_size=None, ping_interval=None) as ws:
                return await whole(Talk(ws), TINY, audio, piece=4000, pause=0.01)
        return await asyncio.gather(*(one(halves[i % 2]) for i in range(4)))
    results = asyncio.run(run())
    for i, seen in enumerate(results):
        said = words(" ".join(m.get("text", "") for m in seen if m["type"] in ("partial", "commit", "segment", "done")))
        assert ("americans" in said) == (i % 2 == 0) and ("country" in said) == (i % 2 == 1), said
    assert len({seen[0]["session"] for seen in results}) == 4


def test_a_client_that_goes_in_the_middle_leaves_nothing_behind(server):
    def engine_sessions():
        metrics = server.get("/metrics").text
        return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith("sonant_sockets{") or line.startswith("sonant_engine_sessions"))

    for _ in range(5):
        with Raw(server) as raw:
            raw.send(frame(1, json.dumps(TINY).encode()) + b"".join(frame(2, pcm_of()[i:i + 32000]) for i in range(0, 320000, 32000)))
            assert raw.frame()[0] == 1
    until = time.monotonic() + 20
    while engine_sessions() and time.monotonic() < until:
        time.sleep(0.1)
    assert engine_sessions() == 0
    assert words(server.post("/stt/transcribe", form={"file": ("a.wav", JFK), "model": "whisper-tiny.en", "beam_size": 1}).json["text"]) == JFK_TEXT


def test_more_audio_than_is_computed_waits_outside(server):
    """Ten minutes at once: the server reads what it has room for and the rest stays with the client, whose pings are answered all the same."""
    audio = pcm_of() * 55

    def resident():
        with open(f"/proc/{server.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    async def script(t):
        before = resident()
        await t.send({**TINY, "partial_interval": -1})
        await t.next()

        async def feed():
            for i in range(0, len(audio), 64000):
                await t.send(audio[i:i + 64000])
        feeding = asyncio.create_task(feed())
        await asyncio.sleep(3)
        grown, waits = resident() - before, not feeding.done()
        t.ws.transport.abort()
        await asyncio.gather(feeding, return_exceptions=True)
        return grown, waits
    grown, waits = talk(server, "/stt/stream", script)
    assert waits and grown < 120000


def test_a_model_that_is_not_live_gives_segments(serve, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(SOURCE / "tests/fixtures/tiny/wav2vec2-base", home / "models/tiny-wav2vec2")
    other = serve(home=home, preload="none")

    async def script(t):
        return await whole(t, {"type": "start", "model": "tiny-wav2vec2", "language": "en"}, pcm_of())
    seen = talk(other, "/stt/stream", script)
    assert seen[0].get("live") is False, seen[0]
    assert of_type(seen, "note")[0]["code"] == "not_live"
    assert not of_type(seen, "partial") and seen[-1]["type"] == "done" and seen[-1]["duration"] == pytest.approx(11, abs=0.1)
    assert of_type(seen, "segment") or len(of_type(seen, "note")) > 1  # its weights are random: an empty text says why


def test_wss(serve, tmp_path):
    key, pem = tmp_path / "k.pem", tmp_path / "c.pem"
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem,
                           "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is missing")
    secure = serve(preload="whisper-tiny.en", tls_certificate=pem, tls_key=key)

    async def script(t):
        return await whole(t, TINY, pcm_of(), pause=0.01)
    seen = talk(secure, "/stt/stream", script, ssl=ssl.create_default_context(cafile=str(pem)))
    assert words(seen[-1]["text"]) == JFK_TEXT


def test_audio_and_partials_are_in_the_metrics(server):
    value = lambda text, name: sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))
    until = time.monotonic() + 20
    while value(server.get("/metrics").text, "sonant_sockets{") and time.monotonic() < until:
        time.sleep(0.1)
    before = server.get("/metrics").text

    async def script(t):
        return await whole(t, TINY, pcm_of(), pause=min(0.04 * PATIENCE, 0.2))
    talk(server, "/stt/stream", script)
    assert eventually(lambda: value(server.get("/metrics").text, "sonant_audio_seconds_total") > value(before, "sonant_audio_seconds_total"))
    after = server.get("/metrics").text
    assert value(after, "sonant_audio_seconds_total") - value(before, "sonant_audio_seconds_total") == pytest.approx(11, abs=0.1)
    assert value(after, "sonant_partial_seconds_count") > value(before, "sonant_partial_seconds_count")
    assert value(after, "sonant_sockets_opened_total") > value(before, "sonant_sockets_opened_total")
