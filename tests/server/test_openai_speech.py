"""POST /v1/audio/speech as OpenAI's own client calls it."""
import base64
import io
import json
import subprocess
import wave

import pytest
from conftest import SONANT, needs_model, words
from schema_check import check_reply
from speech_home import make_speech_home

openai = pytest.importorskip("openai")
TEXT = "It works with the usual client."


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    return serve(home=make_speech_home(tmp_path_factory.mktemp("openai") / "home"), preload="none", models_speak="tiny-vits")


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=60)


def speak(client, **params):
    return client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": TEXT, **params})


@pytest.mark.parametrize("kind, begins, media", [("mp3", (b"\xff", b"ID3"), "audio/mpeg"), ("opus", (b"OggS",), "audio/ogg"), ("flac", (b"fLaC",), "audio/flac"),
                                                 ("wav", (b"RIFF",), "audio/wav"), ("pcm", (b"",), "audio/pcm")])
def test_every_format(client, tmp_path, kind, begins, media):
    reply = speak(client, response_format=kind)
    assert reply.content.startswith(begins) and reply.response.headers["content-type"] == media
    if kind != "pcm":
        reply.write_to_file(tmp_path / "in")
        subprocess.run([SONANT, "convert", tmp_path / "in", "-o", tmp_path / "out.wav"], check=True, stdout=subprocess.DEVNULL)
        assert wave.open(str(tmp_path / "out.wav")).getnframes() > 1000


def test_mp3_is_the_default(client):
    assert speak(client).content == speak(client, response_format="mp3").content


def test_pcm_is_of_24_khz(client, server):
    pcm = speak(client, response_format="pcm").content
    own = server.post("/tts/synthesize", json_body={"text": TEXT, "response_format": "pcm", "sample_rate": 24000}, headers={"Accept": "audio/*"})
    assert pcm == own.body


def test_names_of_openai_stand_for_the_defaults(client):
    wanted = speak(client, response_format="pcm").content
    for model in ("tts-1-hd", "gpt-4o-mini-tts", "tiny-vits"):
        assert speak(client, model=model, response_format="pcm").content == wanted
    for voice in ("ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar", "default"):
        assert speak(client, voice=voice, response_format="pcm").content == wanted
    assert speak(client, voice="1", response_format="pcm").content != wanted


def test_speed(client):
    assert len(speak(client, speed=2, response_format="pcm").content) < 0.7 * len(speak(client, response_format="pcm").content)


def test_streaming_response(client, tmp_path):
    whole = speak(client, response_format="pcm").content
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm") as reply:
        assert b"".join(reply.iter_bytes(1024)) == whole
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=TEXT) as reply:
        reply.stream_to_file(tmp_path / "x.mp3")
    assert (tmp_path / "x.mp3").read_bytes() == speak(client).content


def test_server_sent_events(client):
    body = speak(client, response_format="pcm", stream_format="sse").content.decode()
    events = [json.loads(part.removeprefix("data: ")) for part in body.split("\n\n") if part]
    assert {e["type"] for e in events[:-1]} == {"speech.audio.delta"} and events[-1]["type"] == "speech.audio.done"
    assert b"".join(base64.b64decode(e["audio"]) for e in events[:-1]) == speak(client, response_format="pcm").content
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def test_instructions_are_ignored_and_told_so(client):
    reply = speak(client, instructions="Speak like a pirate.", response_format="pcm")
    assert reply.response.headers["x-ignored"] == "instructions" and reply.content == speak(client, response_format="pcm").content


def test_errors_have_openais_shape(client):
    with pytest.raises(openai.BadRequestError) as caught:
        speak(client, response_format="aac")
    assert "mp3, opus, flac, wav and pcm" in str(caught.value) and caught.value.param == "response_format"
    with pytest.raises(openai.BadRequestError):
        speak(client, speed=100)
    with pytest.raises(openai.BadRequestError):
        speak(client, input="")
    with pytest.raises(openai.BadRequestError):
        speak(client, input="...")
    with pytest.raises(openai.NotFoundError):
        speak(client, model="no-such-model")
    with pytest.raises(openai.NotFoundError) as caught:
        speak(client, voice="nobody", stream_format="sse")
    assert caught.value.param == "voice"
    with pytest.raises(openai.UnprocessableEntityError):
        speak(client, model="tiny-speecht5", speed=2)


def test_replies_are_as_documented(server):
    for body in ({"model": "tts-1", "voice": "alloy", "input": TEXT}, {"model": "tts-1", "voice": {"id": "alloy"}, "input": TEXT},
                 {"model": "tts-1", "voice": "alloy"}, {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "aac"}):
        check_reply(server, "POST", "/v1/audio/speech", server.post("/v1/audio/speech", json_body=body))


@needs_model("joe", "whisper-tiny.en")
def test_what_was_spoken_can_be_transcribed(client, server):
    mp3 = speak(client, model="joe", input="This is a small test of what was said before.").content
    heard = server.post("/stt/transcribe", form={"file": ("speech.mp3", mp3), "model": "tiny.en", "beam_size": 1})
    assert words(heard.json["text"]) == "this is a small test of what was said before"
