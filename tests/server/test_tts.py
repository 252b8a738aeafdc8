"""POST /tts/synthesize: JSON and audio alone, formats, streams, caches, what a model cannot do, and clients that go away."""
import base64
import concurrent.futures
import http.client
import io
import json
import socket
import struct
import subprocess
import time
import wave

import pytest
from conftest import SONANT, eventually, needs_model, words
from schema_check import check_reply
from speech_home import make_speech_home

PATH = "/tts/synthesize"
FORMATS = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "opus": "audio/ogg", "pcm": "audio/pcm"}
LONG = "The first of them is short. " + "And then one sentence follows after another, as if it would never end. " * 40


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    return serve(home=make_speech_home(tmp_path_factory.mktemp("speech") / "home"), preload="none", models_speak="tiny-vits")


@pytest.fixture(scope="module")
def bare(serve, tmp_path_factory):
    """Without caches."""
    return serve(home=make_speech_home(tmp_path_factory.mktemp("bare") / "home"), preload="none", models_speak="tiny-vits",
                 result_cache=0, audio_cache=0)


def ask(server, accept=None, **params):
    return server.post(PATH, json_body={"text": "Hello there, my friend.", **params}, headers={"Accept": accept} if accept else {})


def audio(server, **params):
    reply = ask(server, "audio/*", **params)
    assert reply.status == 200, reply.text
    return reply


def problem(reply, status, code, field=None):
    assert reply.status == status and reply.headers["content-type"] == "application/problem+json", reply.text
    assert (reply.json["code"], reply.json.get("field")) == (code, field) and reply.json["request_id"] == reply.headers["x-request-id"]
    return reply.json["detail"]


def pcm_of(data):
    with wave.open(io.BytesIO(data)) as file:
        return file.getframerate(), file.readframes(1 << 24)


# ---- replies ----

def test_json_carries_audio_and_facts(server):
    reply = ask(server, text="A text that nobody asked for before.")
    value = check_reply(server, "POST", PATH, reply)
    rate, pcm = pcm_of(base64.b64decode(value["audio_data"]))
    assert reply.status == 200 and reply.headers["x-cache"] == "miss"
    assert value["success"] is True and value["format"] == "wav" and value["sample_rate"] == rate
    assert abs(value["duration"] - len(pcm) / 2 / rate) < 0.001 and value["duration"] > 0.1
    assert value["model"] and value["voice"] and value["processing_time"] > 0 and value["sentences"] == 1


def test_audio_alone_is_the_same_audio(server):
    value, reply = ask(server).json, audio(server)
    assert reply.body == base64.b64decode(value["audio_data"])
    assert reply.headers["content-type"] == "audio/wav" and reply.headers["x-format"] == "wav"
    assert int(reply.headers["x-sample-rate"]) == value["sample_rate"] and float(reply.headers["x-duration"]) == value["duration"]
    assert reply.headers["x-model"] == value["model"]
    check_reply(server, "POST", PATH, reply)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_at_the_rate_asked_for(server, tmp_path, kind):
    duration = float(audio(server).headers["x-duration"])
    reply = audio(server, response_format=kind, sample_rate=24000)
    assert reply.headers["content-type"] == FORMATS[kind] and reply.headers["x-sample-rate"] == "24000"
    if kind == "pcm":
        assert abs(len(reply.body) / 2 / 24000 - duration) < 0.01
        return
    (tmp_path / "in").write_bytes(reply.body)
    subprocess.run([SONANT, "convert", tmp_path / "in", "-o", tmp_path / "out.wav"], check=True, stdout=subprocess.DEVNULL)
    rate, pcm = pcm_of((tmp_path / "out.wav").read_bytes())
    assert (rate in (24000, 48000)) and abs(len(pcm) / 2 / rate - duration) < 0.15


@pytest.mark.parametrize("accept, kind", [("audio/mpeg", "mp3"), ("audio/flac;q=0.9, audio/*", "flac"), ("audio/x-wav", "wav"), ("audio/*", "wav")])
def test_the_accepted_type_chooses_the_format(server, accept, kind):
    assert ask(server, accept).headers["content-type"] == FORMATS[kind]
    assert ask(server, accept, response_format="opus").headers["content-type"] == "audio/ogg"


@needs_model("joe", "whisper-tiny.en")
def test_what_was_spoken_can_be_read_back(server):
    reply = audio(server, model="joe", text="The quick brown fox jumps over the lazy dog.", response_format="mp3")
    heard = server.post("/stt/transcribe", form={"file": ("x.mp3", reply.body), "model": "tiny.en", "beam_size": 1})
    assert words(heard.json["text"]) == "the quick brown fox jumps over the lazy dog"


@needs_model("joe", "dnsmos")
def test_speech_is_rated_unless_that_is_switched_off(server):
    text = "Rate this sentence, please."
    assert 1 <= ask(server, model="joe", text=text).json["quality_score"] <= 5
    assert ask(server, model="joe", text=text, quality=False).json["quality_score"] == 0
    assert "x-quality-score" not in audio(server, model="joe", text=text).headers
    assert float(audio(server, model="joe", text=text, quality=True).headers["x-quality-score"]) > 1


# ---- streams ----

def test_a_stream_is_the_whole_speech(server):
    text = "This one is streamed. So is this."
    streamed, whole = audio(server, text=text, response_format="pcm", stream=True), audio(server, text=text, response_format="pcm", check=False)
    assert streamed.headers["transfer-encoding"] == "chunked" and streamed.body == whole.body
    assert "x-duration" not in streamed.headers and streamed.headers["x-sample-rate"] == whole.headers["x-sample-rate"]


def test_a_streamed_wav_says_that_its_length_is_unknown(server):
    body = audio(server, stream=True).body
    assert body[:4] == b"RIFF" and struct.unpack("<I", body[4:8])[0] == 0xffffffff


@pytest.mark.parametrize("kind", FORMATS)
def test_sound_comes_before_the_speech_is_over(bare, kind):
    audio(bare)  # the model is loaded
    connection = http.client.HTTPConnection(bare.host, bare.port, timeout=60)
    body = json.dumps({"text": LONG * 3, "response_format": kind, "stream": True, "seed": len(kind)})
    connection.request("POST", PATH, body, {"Content-Type": "application/json", "Accept": "audio/*"})
    began = time.monotonic()
    response = connection.getresponse()
    first = response.read1(4096)
    early = time.monotonic() - began
    rest = response.read()
    assert response.status == 200 and first and len(rest) > len(first)
    assert early < 0.7 * (time.monotonic() - began)
    connection.close()


def test_a_stream_needs_a_client_that_takes_audio(server):
    problem(ask(server, stream=True), 400, "SN_E_ARGUMENT", "stream")


# ---- what is refused ----

BAD = [
    ({"text": ""}, 400, "SN_E_ARGUMENT", "text"),
    ({"text": "..."}, 400, "SN_E_ARGUMENT", "text"),
    ({"text": 5}, 400, "SN_E_ARGUMENT", "text"),
    ({"text": "x" * 524289}, 413, "SN_E_LIMIT", "text"),
    ({"text": "<speak>Hello <break></speak>", "ssml": True}, 422, "SN_E_FORMAT", "text"),
    ({"speed": 9}, 400, "SN_E_ARGUMENT", "speed"),
    ({"sped": 1}, 400, "SN_E_ARGUMENT", "sped"),
    ({"response_format": "aac"}, 400, "SN_E_ARGUMENT", "response_format"),
    ({"sample_rate": 10}, 400, "SN_E_ARGUMENT", "sample_rate"),
    ({"response_format": "flac", "bitrate": 64000}, 400, "SN_E_ARGUMENT", None),
    ({"emotion": "happy"}, 422, "SN_E_UNSUPPORTED", None),
    ({"pitch": 2}, 422, "SN_E_UNSUPPORTED", None),
    ({"temperature": 1}, 422, "SN_E_UNSUPPORTED", None),
    ({"model": "tiny-speecht5", "speed": 2}, 422, "SN_E_UNSUPPORTED", None),
    ({"language": "gibberish"}, 400, "SN_E_ARGUMENT", None),
    ({"model": "tiny-yourtts", "language": "ja"}, 422, "SN_E_UNSUPPORTED", None),
    ({"vocoder": "griffin-lim"}, 422, "SN_E_UNSUPPORTED", None),
    ({"vocoder": "/etc/passwd"}, 404, "SN_E_NOT_FOUND", "vocoder"),
    ({"verify_model": "src"}, 404, "SN_E_NOT_FOUND", "verify_model"),
    ({"voice": "nobody"}, 404, "SN_E_NOT_FOUND", "voice"),
    ({"voice": "/etc/passwd"}, 404, "SN_E_NOT_FOUND", "voice"),
    ({"voice": "x.npy"}, 404, "SN_E_NOT_FOUND", "voice"),
    ({"voice": "99"}, 404, "SN_E_NOT_FOUND", "voice"),
    ({"model": "no-such-model"}, 404, "SN_E_NOT_FOUND", "model"),
]


@pytest.mark.parametrize("params, status, code, field", BAD, ids=[json.dumps(b[0])[:40] for b in BAD])
def test_what_cannot_be_is_told(server, params, status, code, field):
    reply = ask(server, **params)
    check_reply(server, "POST", PATH, reply)
    assert problem(reply, status, code, field)
    if "stream" not in params:
        assert ask(server, "audio/*", stream=True, **params).status == status


def test_a_path_is_no_model(server):
    for model in ("/etc", "../x", "./src", str(server.home / "models/tiny-vits")):
        assert ask(server, model=model).status in (400, 404)


def test_bodies_that_are_no_text(server):
    for body in (b'{"text":"\xff\xfe"}', b'{"text":', b"[]", b"", b'{"text":"a\\u0000b"}'):
        reply = server.post(PATH, body=body, headers={"Content-Type": "application/json"})
        assert reply.status in (400, 422), (body, reply.text)
    assert server.post(PATH, body=b"hello", headers={"Content-Type": "text/plain"}).status == 415


def test_a_limit_of_the_operator_holds(serve, tmp_path_factory):
    small = serve(home=make_speech_home(tmp_path_factory.mktemp("small") / "home"), preload="none", models_speak="tiny-vits", max_text=40)
    assert ask(small, text="This is short.").status == 200
    problem(ask(small, text="This one is longer than the forty bytes that are allowed."), 413, "SN_E_LIMIT", "text")


# ---- SSML ----

def test_marks_have_times(server):
    value = ask(server, text='<speak>One. <mark name="here"/>Two and three. <mark name="there"/></speak>').json
    assert [m["name"] for m in value["marks"]] == ["here", "there"]
    assert 0 < value["marks"][0]["time"] < value["marks"][1]["time"] <= value["duration"] + 0.01


def test_ssml_opens_no_file(server):
    value = ask(server, text='<speak>One. <voice name="/etc/passwd">Two.</voice><voice name="x.npy"> Three.</voice></speak>').json
    assert "ssml_voice" in [n["code"] for n in value["notes"]]


# ---- caches ----

def test_a_repeated_request_is_served_from_the_cache(server):
    params = {"text": "Say it again, and again.", "seed": 3}
    first, second = ask(server, **params), ask(server, **params)
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    one, two = first.json, check_reply(server, "POST", PATH, second)
    assert one.pop("request_id") != two.pop("request_id") and one == two
    alone = [ask(server, "audio/*", **params) for _ in range(2)]
    assert [r.headers["x-cache"] for r in alone] == ["audio", "hit"] and alone[0].body == alone[1].body
    assert {k: v for k, v in alone[0].headers.items() if k.startswith("x-") and k not in ("x-cache", "x-request-id")} == \
           {k: v for k, v in alone[1].headers.items() if k.startswith("x-") and k not in ("x-cache", "x-request-id")}


def test_another_format_of_the_same_speech_is_not_spoken_again(server, bare):
    params = {"text": "Spoken once, written often."}
    assert audio(server, **params).headers["x-cache"] == "miss"
    again = audio(server, response_format="flac", sample_rate=8000, **params)
    assert again.headers["x-cache"] == "audio"
    assert again.body == audio(bare, response_format="flac", sample_rate=8000, **params).body
    for other in ({"seed": 1}, {"speed": 1.1}, {"voice": "1"}, {"text": "Spoken once, written often"}, {"normalise": False}):
        assert audio(server, **{**params, **other}).headers["x-cache"] == "miss", other


def test_where_nothing_rates_speech_that_is_told(serve, tmp_path_factory):
    alone = serve(home=make_speech_home(tmp_path_factory.mktemp("alone") / "home", alone=True), preload="none", models_speak="tiny-vits")
    replies = [ask(alone, text="Nobody rates this.") for _ in range(2)]
    assert [r.headers["x-cache"] for r in replies] == ["miss", "hit"]
    assert replies[0].json["quality_score"] == 0 and "not_rated" in [n["code"] for n in replies[0].json["notes"]]


def test_emotions_and_vocoders_of_models_that_have_them(server):
    assert len({audio(server, model="tiny-bark", text="Well.", emotion=e).body for e in ("happy", "sad")}) == 2
    reply = ask(server, model="tiny-speecht5", vocoder="griffin-lim")
    assert reply.status == 200 and reply.json["vocoder"] == "griffin-lim"
    assert "happy" in ask(server, model="tiny-bark", emotion="furious").json["detail"]
    assert "16000" in ask(server, model="tiny-speecht5", vocoder="tiny-hifigan").json["detail"]


def test_without_caches_nothing_is_kept(bare):
    assert [audio(bare, text="Nothing is kept.").headers["x-cache"] for _ in range(2)] == ["miss", "miss"]


# ---- many at once ----

def test_two_clients_never_get_each_others_speech(bare):
    wishes = [{"text": f"Client {name} speaks {name}.", "voice": "1" if i % 4 else "default", "seed": i, "model": model, "response_format": "pcm"}
              for i, (name, model) in enumerate(zip(["one", "two", "three", "four", "five", "six", "seven", "eight"], ["tiny-yourtts", "tiny-vits", "tiny-vits", "tiny-vits"] * 2))]
    alone = [audio(bare, **w).body for w in wishes]
    unchecked = [audio(bare, check=False, **w).body for w in wishes]
    assert len(set(alone)) == len(set(unchecked)) == len(wishes)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        plain = [pool.submit(audio, bare, **w) for w in wishes * 3]
        streams = [pool.submit(audio, bare, stream=True, **w) for w in wishes]
        assert [f.result().body for f in plain] == alone * 3
        assert [f.result().body for f in streams] == unchecked


def sessions(server):
    return sum(m.get("sessions", 0) for m in server.get("/audio/models").json["models"] if m["task"] == "speak")


def test_a_client_that_goes_away_frees_its_session(bare):
    body = json.dumps({"text": LONG * 20, "response_format": "pcm", "stream": True}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAccept: audio/*\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    clients = []
    for reads in (4096, 0):
        client = socket.create_connection((bare.host, bare.port))
        client.sendall(head.encode() + body)
        if reads:
            assert client.recv(reads).startswith(b"HTTP/1.1 200")
        clients.append(client)
    assert eventually(lambda: sessions(bare) == 2)
    time.sleep(0.5)
    assert sessions(bare) == 2  # a client that does not read holds its speech back, and nobody else's
    assert audio(bare, text="Still here.").status == 200
    for client in clients:
        client.close()
    assert eventually(lambda: sessions(bare) == 0)


def test_a_whole_reply_is_given_up_when_its_client_goes(bare):
    body = json.dumps({"text": LONG * 20}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    client = socket.create_connection((bare.host, bare.port))
    client.sendall(head.encode() + body)
    assert eventually(lambda: sessions(bare) == 1)
    client.close()
    assert eventually(lambda: sessions(bare) == 0)
