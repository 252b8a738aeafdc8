"""/tts/stream: text in while it is written, speech out while it is made."""
import asyncio
import io
import json
import time
import wave

import pytest

from conftest import PATIENCE, eventually, needs_model
from ws_tools import Raw, frame, of_type, talk

pytestmark = needs_model("joe")
TEXT = "Hello there, my friends. This is a second sentence, and it ends here. A third one follows."


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="speak", socket_timeout=4).wait_ready()


def speak(server, *messages, until="done"):
    async def script(t):
        await t.send(*messages)
        return await t.until(until)
    return talk(server, "/tts/stream", script)


def sound(seen):
    return b"".join(m for m in seen if isinstance(m, bytes))


def test_text_in_pieces_becomes_speech(server):
    pieces = [{"type": "text", "text": w + " "} for w in TEXT.split(" ")]
    seen = speak(server, {"type": "start"}, *pieces, {"type": "finish"})
    ready, done = seen[0], seen[-1]
    assert ready["type"] == "ready" and ready["format"] == "pcm" and ready["sample_rate"] == 22050
    assert done["type"] == "done" and done["sentences"] == len(of_type(seen, "sentence")) >= 3 and done["voice"] and done["model"]
    assert abs(len(sound(seen)) / 44100 - done["duration"]) < 0.001 and 3 < done["duration"] < 15
    assert done["characters"] == len(TEXT) + 1
    times = [m["time"] for m in of_type(seen, "sentence")]
    assert times[0] == 0 and times == sorted(times) and times[-1] < done["duration"]
    assert [m["index"] for m in of_type(seen, "sentence")] == list(range(len(times)))
    assert max(abs(int.from_bytes(sound(seen)[i:i + 2], "little", signed=True)) for i in range(0, len(sound(seen)), 2)) > 2000


def test_the_first_audio_comes_before_the_last_text(server):
    async def script(t):
        await t.send({"type": "start"}, {"type": "text", "text": "Hello there, my friends. And now "})
        seen = []
        while not seen or not isinstance(seen[-1], bytes):
            seen.append(await t.next())
        await t.send({"type": "text", "text": "comes the rest."}, {"type": "finish"})
        return seen + await t.until("done")
    seen = talk(server, "/tts/stream", script)
    assert seen[-1]["type"] == "done" and 0 < seen[-1]["first_audio"] < 5 * PATIENCE


@pytest.mark.parametrize("name, head", [("wav", b"RIFF"), ("mp3", None), ("opus", b"OggS"), ("flac", b"fLaC")])
def test_audio_comes_in_the_format_asked_for(server, name, head):
    seen = speak(server, {"type": "start", "format": name, "sample_rate": 24000}, {"type": "text", "text": TEXT}, {"type": "finish"})
    data = sound(seen)
    assert seen[-1]["type"] == "done" and seen[-1]["format"] == name and seen[-1]["sample_rate"] == 24000
    assert data.startswith(head) if head else data[0] == 0xff or data.startswith(b"ID3")
    if name == "wav":
        with wave.open(io.BytesIO(data)) as w:
            assert w.getframerate() == 24000 and w.getnchannels() == 1
    heard = server.post("/audio/quality", form={"file": ("x." + name, data)})
    assert heard.status == 200 and heard.json["duration"] == pytest.approx(seen[-1]["duration"], abs=0.2)


def test_a_flush_speaks_what_is_there(server):
    async def script(t):
        await t.send({"type": "start"}, {"type": "text", "text": "This has no end"}, {"type": "flush"})
        first = await t.until("flushed")
        await t.send({"type": "text", "text": "and goes on"}, {"type": "finish"})
        return first, await t.until("done")
    first, second = talk(server, "/tts/stream", script)
    assert first[-1]["type"] == "flushed" and first[-1]["time"] > 0.3 and sound(first)
    assert second[-1]["duration"] > first[-1]["time"] + 0.3 and of_type(second, "sentence")[0]["index"] == 1
    assert of_type(second, "sentence")[0]["time"] == first[-1]["time"]


def test_every_flush_is_answered(server):
    async def script(t):
        await t.send({"type": "flush"})
        before = await t.until("flushed")
        await t.send({"type": "text", "text": "Größe zählt"}, {"type": "flush"}, {"type": "flush"}, {"type": "flush"})
        times = [(await t.until("flushed"))[-1]["time"] for _ in range(3)]
        await t.send({"type": "finish"})
        return before[-1], times, (await t.until("done"))[-1]
    before, times, done = talk(server, "/tts/stream", script)
    assert before == {"type": "flushed", "time": 0}
    assert times[0] > 0.3 and times == [done["duration"]] * 3
    assert done["characters"] == 11


def test_a_cancel_stops_and_another_utterance_begins(server):
    long = "This is a rather long sentence that is said again and again. " * 60

    async def script(t):
        await t.send({"type": "start", "seed": 5}, {"type": "text", "text": long})
        while not isinstance(await t.next(), bytes):
            pass
        began = time.monotonic()
        await t.send({"type": "cancel"})
        rest = await t.until("cancelled")
        took = time.monotonic() - began
        await t.send({"type": "text", "text": "Something else."}, {"type": "finish"})
        return rest, took, await t.until("done")
    rest, took, seen = talk(server, "/tts/stream", script)
    assert rest[-1]["type"] == "cancelled" and took < 2 * PATIENCE
    assert seen[0]["type"] == "ready" and seen[-1]["type"] == "done" and seen[-1]["duration"] < 4
    assert [m["index"] for m in of_type(seen, "sentence")] == [0]


def test_marks_of_ssml_are_told(server):
    text = '<speak>One two three. <mark name="here"/>Four five six.</speak>'
    seen = speak(server, {"type": "start", "ssml": True}, {"type": "text", "text": text}, {"type": "finish"})
    assert [m["name"] for m in of_type(seen, "mark")] == ["here"] and 0.3 < of_type(seen, "mark")[0]["time"] < seen[-1]["duration"]


def test_one_after_another_keeps_the_options(server):
    async def script(t):
        await t.send({"type": "start", "format": "pcm", "sample_rate": 8000}, {"type": "text", "text": "First."}, {"type": "finish"})
        first = await t.until("done")
        await t.send({"type": "text", "text": "Second."}, {"type": "finish"})
        return first, await t.until("done")
    first, second = talk(server, "/tts/stream", script)
    assert first[-1]["sample_rate"] == second[-1]["sample_rate"] == 8000 and second[0]["type"] == "ready"


@pytest.mark.parametrize("start, code, field, status", [
    ({"voice": "nobody"}, "SN_E_NOT_FOUND", "voice", 4404), ({"voice": "/etc/passwd"}, "SN_E_NOT_FOUND", "voice", 4404),
    ({"vocoder": "../../x"}, "SN_E_NOT_FOUND", "vocoder", 4404), ({"speed": 9}, "SN_E_ARGUMENT", "speed", 4400),
    ({"emotion": "joy"}, "SN_E_UNSUPPORTED", None, 4422), ({"language": "xx"}, None, None, None)])
def test_what_a_voice_cannot_do_is_told(server, start, code, field, status):
    async def script(t):
        await t.send({"type": "start", **start})
        return await t.next(), await t.closed()
    error, closed = talk(server, "/tts/stream", script)
    assert error["type"] == "error" and error["fatal"] is True
    if code:
        assert (error["code"], closed) == (code, status) and (field is None or error["field"] == field)


def test_nothing_to_speak_is_told(server):
    seen = speak(server, {"type": "start"}, {"type": "text", "text": "  ... "}, {"type": "finish"})
    assert seen[-1]["type"] == "error" and seen[-1]["code"] == "SN_E_ARGUMENT" and seen[-1]["fatal"] is False


def test_audio_is_refused(server):
    async def script(t):
        await t.send(b"abc")
        return await t.next(), await t.closed()
    error, closed = talk(server, "/tts/stream", script)
    assert error["code"] == "SN_E_ARGUMENT" and closed == 4400


def test_a_client_that_does_not_read_stops_the_making(server):
    """What waits for it is bounded, and after a while it is cut off."""
    def resident():
        with open(f"/proc/{server.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    text = json.dumps({"type": "text", "text": "This is said again and again, until nobody listens any more. " * 400}).encode()
    before = resident()
    with Raw(server, "/tts/stream") as raw:
        raw.s.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
        raw.send(frame(1, b'{"type":"start","format":"pcm","sample_rate":192000}') + frame(1, text) + frame(1, b'{"type":"finish"}'))
        time.sleep(2)
        assert resident() - before < 60000
        until = time.monotonic() + 30
        ended = False
        while not ended and time.monotonic() < until:
            time.sleep(1)
            ended = sum(float(line.rsplit(" ", 1)[1]) for line in server.get("/metrics").text.splitlines() if line.startswith("sonant_sockets{")) == 0
        assert ended
    assert server.get("/health/live").status == 200


def test_speech_is_in_the_metrics(server):
    value = lambda name: sum(float(line.rsplit(" ", 1)[1]) for line in server.get("/metrics").text.splitlines() if line.startswith(name))
    before = value("sonant_speech_seconds_total"), value("sonant_characters_total"), value("sonant_first_audio_seconds_count")
    done = speak(server, {"type": "text", "text": TEXT}, {"type": "finish"})[-1]
    assert eventually(lambda: value("sonant_speech_seconds_total") - before[0] == pytest.approx(done["duration"], abs=0.01))
    assert eventually(lambda: value("sonant_characters_total") - before[1] == len(TEXT))
    assert eventually(lambda: value("sonant_first_audio_seconds_count") == before[2] + 1)
