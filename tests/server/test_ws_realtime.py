"""/v1/realtime: OpenAI's realtime transcription, by the openai package where it takes part and by its messages where not."""
import array
import base64
import difflib
import subprocess
import sys
import types
import urllib.parse

import pytest

from conftest import JFK_TEXT, SONANT, make_home, needs_model, words
from ws_tools import Raw, frame, pcm_of, talk

pytestmark = needs_model("whisper-tiny.en", "silero-vad")
openai = pytest.importorskip("openai")
PATH = "/v1/realtime?model=whisper-tiny.en&intent=transcription"


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="whisper-tiny.en").wait_ready()


def at_24_khz(pcm):
    """16 kHz to 24 kHz: two samples become three."""
    samples = array.array("h", pcm)
    out = array.array("h")
    for i in range(0, len(samples) - 2, 2):
        a, b, c = samples[i:i + 3]
        out.extend((a, a + (b - a) * 2 // 3, b + (c - b) // 3))
    return out.tobytes()


def appends(pcm, piece=9600):
    return [{"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm[i:i + piece]).decode()} for i in range(0, len(pcm), piece)]


def manual(**transcription):
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-tiny.en", **transcription}, "turn_detection": None}}}}


COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"


def test_a_committed_buffer_becomes_an_item(server):
    async def script(t):
        created = await t.next()
        await t.send(manual())
        updated = await t.next()
        await t.send(*appends(at_24_khz(pcm_of())), {"type": "input_audio_buffer.commit"})
        return created, updated, await t.until(COMPLETED)
    created, updated, seen = talk(server, PATH, script)
    assert created["type"] == "session.created" and created["session"]["type"] == "transcription" and created["event_id"]
    assert updated["type"] == "session.updated" and updated["session"]["audio"]["input"]["turn_detection"] is None
    done = seen[-1]
    assert words(done["transcript"]) == JFK_TEXT and done["usage"]["type"] == "duration" and done["usage"]["seconds"] == pytest.approx(11, abs=0.1)
    assert "".join(m["delta"] for m in seen if m["type"] == DELTA) == done["transcript"]
    committed = [m for m in seen if m["type"] == "input_audio_buffer.committed"]
    assert len(committed) == 1 and committed[0]["item_id"] == done["item_id"] and committed[0]["previous_item_id"] is None
    assert len({m["event_id"] for m in seen}) == len(seen)


def test_ends_of_speech_make_items(server):
    async def script(t):
        await t.next()
        await t.send(*appends(at_24_khz(pcm_of() + bytes(64000))))
        seen = []
        while sum(m["type"] == COMPLETED for m in seen) < 2:
            seen += await t.until(COMPLETED)
        return seen
    seen = talk(server, PATH, script)
    for item in [m["item_id"] for m in seen if m["type"] == COMPLETED]:
        kinds = [m["type"].rpartition(".")[2] for m in seen if m.get("item_id") == item]
        assert kinds[0] == "speech_started" and kinds[-1] == "completed" and kinds.index("speech_stopped") < kinds.index("committed"), kinds
    started = [m["audio_start_ms"] for m in seen if m["type"] == "input_audio_buffer.speech_started"]
    stopped = [m["audio_end_ms"] for m in seen if m["type"] == "input_audio_buffer.speech_stopped"]
    assert all(0 <= a < b <= 13100 for a, b in zip(started, stopped)) and stopped == sorted(stopped)
    assert words(" ".join(m["transcript"] for m in seen if m["type"] == COMPLETED)).startswith("and so my fellow americans")


def test_a_cleared_buffer_is_forgotten(server):
    async def script(t):
        await t.next()
        await t.send(manual(), *appends(at_24_khz(pcm_of()[:96000])), {"type": "input_audio_buffer.clear"})
        await t.until("input_audio_buffer.cleared")
        await t.send({"type": "input_audio_buffer.commit"})
        error = (await t.until("error"))[-1]
        await t.send(*appends(at_24_khz(pcm_of()[230000:])), {"type": "input_audio_buffer.commit"})
        return error, (await t.until(COMPLETED))[-1]
    error, done = talk(server, PATH, script)
    assert error["error"]["type"] == "invalid_request_error" and "empty" in error["error"]["message"]
    assert "country" in words(done["transcript"]) and "americans" not in words(done["transcript"])


def test_what_was_committed_outlives_a_clear(server):
    """Clients with a key to talk clear the buffer when it goes up, and set the session for the next turn."""
    clip = appends(at_24_khz(pcm_of()))

    async def script(t):
        await t.next()
        await t.send(manual(), *clip, {"type": "input_audio_buffer.commit"}, {"type": "input_audio_buffer.clear"}, manual(prompt="x"))
        await t.send(*clip, {"type": "input_audio_buffer.commit"})
        return await t.until(COMPLETED) + await t.until(COMPLETED)
    seen = talk(server, PATH, script)
    done = [m for m in seen if m["type"] == COMPLETED]
    # what two partials agreed on stays, so words depend on when they were made: a busy machine may keep another form of one
    assert all(difflib.SequenceMatcher(None, words(m["transcript"]), JFK_TEXT).ratio() > 0.95 for m in done), done
    assert done[0]["item_id"] != done[1]["item_id"]
    kinds = [m["type"] for m in seen]
    assert kinds.count("session.updated") == 2 and kinds.count("input_audio_buffer.cleared") == 1 and "error" not in kinds
    assert kinds.index(COMPLETED) < len(kinds) - 1 - kinds[::-1].index("session.updated")


def test_the_old_names_do_the_same(server):
    async def script(t):
        await t.next()
        await t.send({"type": "transcription_session.update", "session": {"input_audio_format": "pcm16", "turn_detection": None,
                      "input_audio_transcription": {"model": "whisper-tiny.en", "prompt": "", "language": "en"}, "input_audio_noise_reduction": {"type": "near_field"}}})
        return await t.next()
    updated = talk(server, PATH, script)
    assert updated["type"] == "transcription_session.updated" and updated["session"]["input_audio_format"] == "pcm16"
    assert updated["session"]["turn_detection"] is None and updated["session"]["input_audio_noise_reduction"] == {"type": "near_field"}


@pytest.mark.parametrize("message, param", [
    ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
    ({"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/ogg"}}}}}, "format"),
    ({"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "magic"}}}}}, "turn_detection"),
    ({"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 7}}}}}, "threshold"),
    ({"type": "session.update"}, "session"), ({"type": "response.create"}, "type"),
    ({"type": "input_audio_buffer.append", "audio": "?"}, "audio"), ({"type": "input_audio_buffer.append"}, "audio")])
def test_mistakes_are_told_and_the_session_goes_on(server, message, param):
    async def script(t):
        await t.next()
        await t.send(message)
        error = await t.next()
        await t.send({"type": "input_audio_buffer.clear"})
        return error, await t.next()
    error, cleared = talk(server, PATH, script)
    assert error["type"] == "error" and error["event_id"] and error["error"]["param"] == param and error["error"]["message"]
    assert cleared["type"] == "input_audio_buffer.cleared"


def with_key(serve, tmp_path, **options):
    """A server that wants a key, and the key."""
    home = make_home(tmp_path / "home")
    made = subprocess.run([SONANT, "serve", "keys", "add", "tester", "--home", str(home)], capture_output=True, text=True, check=True)
    return serve(home=home, preload="none", require_key="on", **options), made.stdout.strip()


def test_a_key_comes_in_the_header_the_query_or_a_subprotocol(serve, tmp_path):
    server, key = with_key(serve, tmp_path)
    with Raw(server, PATH, {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{key}, openai-beta.realtime-v1"}) as raw:
        assert raw.status == 101 and b"sec-websocket-protocol: realtime\r\n" in raw.head.lower() + b"\r\n"
    with Raw(server, PATH, {"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.wrong"}) as raw:
        assert raw.status == 401
    for path in ("/stt/stream", "/tts/stream"):
        for headers, query, status in (({}, "?api_key=" + key, 101), ({"Authorization": "Bearer " + key}, "", 101), ({}, "?api_key=wrong", 401), ({}, "", 401)):
            with Raw(server, path + query, headers) as raw:
                assert raw.status == status
    assert key not in open(server.log).read()


def test_sessions_of_a_key_are_counted(serve, tmp_path):
    server, key = with_key(serve, tmp_path, key_sessions=2)
    with Raw(server, f"/stt/stream?api_key={key}") as a, Raw(server, f"/tts/stream?api_key={key}") as b:
        assert (a.status, b.status) == (101, 101)
        with Raw(server, f"/stt/stream?api_key={key}") as c:
            assert c.status == 429


class OldTransport:
    """What the package wants of a connection of websockets 13, which Debian 12 lacks, on the bare socket of these tests."""

    def __init__(self, url, additional_headers=None, **_):
        parts = urllib.parse.urlsplit(str(url))
        self.raw = Raw(types.SimpleNamespace(host=parts.hostname, port=parts.port), f"{parts.path}?{parts.query}", dict(additional_headers or {}))
        assert self.raw.status == 101

    def send(self, text):
        self.raw.send(frame(1, text.encode()))

    def recv(self, decode=None):
        opcode, payload = self.raw.frame()
        while opcode == 9:
            self.raw.send(frame(10, payload))
            opcode, payload = self.raw.frame()
        assert opcode == 1
        return payload if decode is False else payload.decode()

    def close(self, *_, **__):
        self.raw.s.close()


def test_the_openai_package_transcribes(server, monkeypatch):
    for name in ("sync", "sync.client", "asyncio", "asyncio.client"):
        monkeypatch.setitem(sys.modules, "websockets." + name, types.SimpleNamespace(connect=OldTransport, ClientConnection=OldTransport))
    client = openai.OpenAI(api_key="x", base_url=server.url + "/v1")
    with client.realtime.connect(model="whisper-tiny.en", extra_query={"intent": "transcription"}) as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session=manual()["session"])
        for message in appends(at_24_khz(pcm_of())):
            connection.input_audio_buffer.append(audio=message["audio"])
        connection.input_audio_buffer.commit()
        events = []
        while not events or events[-1].type not in (COMPLETED, "error"):
            events.append(connection.recv())
    assert events[-1].type == COMPLETED and words(events[-1].transcript) == JFK_TEXT
    assert "".join(e.delta for e in events if e.type == DELTA) == events[-1].transcript


def test_the_openai_package_reads_every_event(server):
    """The events of a session, as its own types parse them."""
    from openai.types.realtime import RealtimeServerEvent
    from openai._models import construct_type

    async def script(t):
        seen = [await t.next()]
        await t.send(*appends(at_24_khz(pcm_of()[:160000] + bytes(64000))))
        return seen + await t.until(COMPLETED)
    for message in talk(server, PATH, script):
        event = construct_type(value=message, type_=RealtimeServerEvent)
        assert type(event).model_validate(message), message["type"]
