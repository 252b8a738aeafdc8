"""OpenAI's own Python package against /v1/audio/transcriptions, /v1/audio/translations and /v1/models."""
import json
import os
import socket
import subprocess
import wave

import pytest
from conftest import JFK, JFK_TEXT, SONANT, installed_home, make_home, multipart, needs_model, words
from schema_check import check_reply

openai = pytest.importorskip("openai")

pytestmark = needs_model("whisper-tiny.en")
TINY = "openai/whisper-tiny.en"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
# "Mi familia vive en una casa muy grande. Mi padre es doctor."
SPANISH = """<speak><phoneme alphabet="ipa" ph="mi fɑːmˈiːliɑː vˈiːvɛ ɛn ˈunɑː kˈɑːsɑː mˈui ɡɾˈɑːndɛ">x</phoneme>.
<phoneme alphabet="ipa" ph="mi pˈɑːdɾɛ ɛs dˈoʊktoʊɾ">x</phoneme>.</speak>"""


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="none", models_transcribe=TINY)


@pytest.fixture(scope="module")
def client(server):
    return client_of(server)


def clip():
    return ("jfk.wav", JFK, "audio/wav")


# ---- formats ----

def test_json(client):
    answer = client.audio.transcriptions.create(model="whisper-1", file=clip())
    assert words(answer.text) == JFK_TEXT
    assert answer.usage.type == "duration" and abs(answer.usage.seconds - 11) < 0.01 and answer.logprobs is None


@pytest.mark.parametrize("form, begin", [("text", "And so"), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")])
def test_text_formats(client, form, begin):
    answer = client.audio.transcriptions.create(model="whisper-1", file=clip(), response_format=form)
    assert isinstance(answer, str) and answer.startswith(begin)
    lines = [x for x in answer.splitlines() if "-->" not in x and not x.isdigit() and x != "WEBVTT"]
    assert words(" ".join(lines)) == JFK_TEXT


@pytest.mark.parametrize("wanted, has_words, has_segments", [(None, False, True), (["segment"], False, True), (["word"], True, False),
                                                            (["word", "segment"], True, True)])
def test_verbose_json_and_granularities(client, wanted, has_words, has_segments):
    options = {"timestamp_granularities": wanted} if wanted else {}
    answer = client.audio.transcriptions.create(model="whisper-1", file=clip(), response_format="verbose_json", **options)
    assert answer.language == "english" and abs(answer.duration - 11) < 0.01 and words(answer.text) == JFK_TEXT
    assert answer.usage.type == "duration" and answer.task == "transcribe"
    assert (answer.words is not None, answer.segments is not None) == (has_words, has_segments)
    if has_words:
        assert words(" ".join(w.word for w in answer.words)) == JFK_TEXT and all(w.start <= w.end <= 11.1 for w in answer.words)
    if has_segments:
        one = answer.segments[0]
        assert "".join(s.text for s in answer.segments).strip() == answer.text
        assert one.id == 0 and one.tokens and one.avg_logprob < 0 and one.seek == int(one.start * 100) and one.temperature == 0


def test_log_probabilities_of_tokens(client):
    answer = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=clip(), include=["logprobs"])
    assert answer.usage.type == "tokens" and answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert bytes(int(b) for t in answer.logprobs for b in t.bytes).decode().strip() == answer.text
    assert "".join(t.token for t in answer.logprobs).strip() == answer.text and all(t.logprob <= 0 for t in answer.logprobs)


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", TINY])
def test_names_of_models(client, model):
    assert words(client.audio.transcriptions.create(model=model, file=clip()).text) == JFK_TEXT


def test_empty_fields_are_as_if_they_were_not_there(server):
    plain = server.post(TRANSCRIPTIONS, form={"file": ("jfk.wav", JFK), "model": TINY})
    empty = server.post(TRANSCRIPTIONS, form={"file": ("jfk.wav", JFK), "model": TINY, "language": "", "temperature": "", "stream": "", "response_format": ""})
    assert plain.status == empty.status == 200 and plain.json["text"] == empty.json["text"]
    assert server.post("/stt/transcribe", form={"file": ("jfk.wav", JFK), "temperature": ""}).status == 400


def test_options_of_other_servers_are_taken(client):
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=clip(), language="en", prompt="A speech.", temperature=0.0, chunking_strategy={"type": "server_vad", "threshold": 0.4},
        extra_body={"keywords": ["Americans", "country"], "known_speaker_names": ["John"], "something_new": "yes", "languages": ["en"]})
    assert "fellow americans" in words(answer.text)


def test_replies_are_as_the_document_says(server):
    for options in ({}, {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}, {"include[]": "logprobs"},
                    {"response_format": "text"}, {"response_format": "srt"}, {"response_format": "vtt"}, {"stream": "true"}, {"model": "none-such"},
                    {"temperature": 2}):
        reply = server.post(TRANSCRIPTIONS, form={"file": ("jfk.wav", JFK), "model": "whisper-1", **options})
        check_reply(server, "POST", TRANSCRIPTIONS, reply)
    for path in ("/v1/models", "/v1/models/whisper-1", "/v1/models/openai/whisper-tiny.en", "/v1/models/none"):
        check_reply(server, "GET", path, server.get(path))


def test_the_cache_knows_the_shapes_apart(server):
    form = {"file": ("jfk.wav", JFK), "prompt": "Of its own."}
    first = server.post(TRANSCRIPTIONS, form={**form, "model": "whisper-1"})
    again = server.post(TRANSCRIPTIONS, form={**form, "model": "whisper-1"})
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("miss", "hit") and first.body == again.body
    tokens = server.post(TRANSCRIPTIONS, form={**form, "model": "gpt-4o-transcribe"})
    assert tokens.headers["x-cache"] == "audio" and tokens.json["usage"]["type"] == "tokens"
    native = server.post("/stt/transcribe", form={**form, "model": TINY})
    assert native.headers["x-cache"] == "audio" and native.json["text"] == first.json["text"]


# ---- in pieces ----

def test_a_stream(client):
    whole = client.audio.transcriptions.create(model="whisper-1", file=clip(), response_format="text").strip()
    long = b"".join([JFK] + [JFK[44:]] * 5)
    long = long[:4] + (len(long) - 8).to_bytes(4, "little") + long[8:40] + (len(long) - 44).to_bytes(4, "little") + long[44:]
    for data in (JFK, long):
        got = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("jfk.wav", data), stream=True, include=["logprobs"]))
        *deltas, done = got
        assert all(e.type == "transcript.text.delta" and e.delta for e in deltas) and done.type == "transcript.text.done"
        assert "".join(e.delta for e in deltas) == done.text
        assert [t.token for e in deltas for t in e.logprobs] == [t.token for t in done.logprobs] and done.logprobs
        assert done.usage.type == "tokens" and done.usage.output_tokens > 0
        assert data is long or done.text == whole
    assert len(deltas) > 1


def test_a_stream_without_log_probabilities(client):
    got = list(client.audio.transcriptions.create(model="whisper-1", file=clip(), stream=True))
    assert all(e.logprobs is None for e in got)


# ---- translation ----

@needs_model("whisper-base", "joe")
def test_translation(server, client, tmp_path):
    path = tmp_path / "spanish.wav"
    subprocess.run([SONANT, "speak", SPANISH, "-m", "joe", "-o", str(path)], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "SONANT_HOME": str(installed_home())})
    assert wave.open(str(path)).getnframes() > 22050
    spanish = client.audio.transcriptions.create(model="base", file=path, language="es").text
    assert "familia" in words(spanish) and "padre" in words(spanish)
    english = client.audio.translations.create(model="base", file=path, response_format="verbose_json", extra_body={"language": "es"})
    assert english.language == "english" and english.task == "translate" and english.segments
    assert "padre" not in words(english.text) and "doctor" in words(english.text)
    for form in ("json", "text", "srt", "vtt"):
        answer = client.audio.translations.create(model="base", file=path, response_format=form, extra_body={"language": "es"})
        assert "doctor" in words(answer if isinstance(answer, str) else answer.text)


# ---- models ----

def test_models(client):
    models = {m.id: m for m in client.models.list()}
    assert {"whisper-1", "gpt-4o-transcribe", TINY} <= set(models)
    assert models["whisper-1"].object == "model" and models["whisper-1"].created > 1.6e9
    for name in ("whisper-1", TINY):
        assert client.models.retrieve(name).id == name
    assert client.models.retrieve("tiny.en").id == TINY


# ---- errors ----

@pytest.mark.parametrize("options, error, param", [
    ({"model": "none-such"}, openai.NotFoundError, "model"),
    ({"model": "/etc/passwd"}, openai.NotFoundError, "model"),
    ({"file": ("x.wav", b"this is no audio")}, openai.BadRequestError, "file"),
    ({"file": ("x.wav", b"")}, openai.BadRequestError, "file"),
    ({"response_format": "diarized_json"}, openai.BadRequestError, "response_format"),
    ({"temperature": 3}, openai.BadRequestError, "temperature"),
    ({"timestamp_granularities": ["syllable"]}, openai.BadRequestError, "timestamp_granularities.0"),
    ({"language": "klingon"}, openai.BadRequestError, None),
    ({"prompt": "x" * 5000}, openai.APIStatusError, "prompt"),
])
def test_errors_are_those_of_the_client(client, options, error, param):
    with pytest.raises(error) as caught:
        client.audio.transcriptions.create(**{"model": TINY, "file": clip(), **options})
    assert caught.value.param == param and caught.value.body["message"] and caught.value.type == "invalid_request_error"
    assert caught.value.request_id
    assert error is not openai.NotFoundError or caught.value.code == "model_not_found"


def test_a_stream_that_cannot_begin_is_an_error(client):
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="whisper-1", file=("x.wav", b"no audio"), stream=True)


def test_a_model_that_is_not_there(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none-such")


def test_keys_and_rates(serve, tmp_path):
    home = make_home(tmp_path / "home")
    key = subprocess.run([SONANT, "serve", "keys", "add", "mine", "--home", str(home)], check=True, capture_output=True, text=True).stdout.split()[-1]
    closed = serve(home=home, preload="none", require_key="on")
    with pytest.raises(openai.AuthenticationError):
        client_of(closed, "sn_wrong").models.list()
    assert client_of(closed, key).models.list()
    slow = client_of(serve(preload="none", rate=2))
    with pytest.raises(openai.RateLimitError):
        for _ in range(5):
            slow.models.list()


def test_audio_beyond_the_limit(serve):
    with pytest.raises(openai.APIStatusError) as caught:
        client_of(serve(preload="none", max_duration=5)).audio.transcriptions.create(model=TINY, file=clip())
    assert caught.value.status_code == 413 and caught.value.param == "file"


def test_a_form_may_be_cut_anywhere(server):
    body, kind = multipart({"model": TINY, "response_format": "text", "temperature": "3", "file": ("a.wav", b"abcdef")})
    answers = set()
    for cut in range(len(body)):
        with socket.create_connection((server.host, server.port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            s.sendall(head.encode() + body[:cut])
            s.recv(0)
            s.sendall(body[cut:])
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        answers.add(answer.split(b"\r\n\r\n", 1)[1])
    assert len(answers) == 1 and json.loads(answers.pop())["error"]["param"] == "temperature"
