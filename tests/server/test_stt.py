"""POST /stt/transcribe: every format and option, both caches, several clients at once, and what bad input gets."""
import base64
import concurrent.futures
import io
import json
import socket
import time
import wave

import pytest
from conftest import JFK, JFK_TEXT, PATIENCE, SOURCE, multipart, needs_model, words
from schema_check import check_json, check_reply, document_of

pytestmark = needs_model("whisper-tiny.en")
PATH = "/stt/transcribe"
FAST = {"model": "openai/whisper-tiny.en", "beam_size": 1}
FORMATS = {"json": "application/json", "verbose_json": "application/json", "text": "text/plain", "srt": "application/x-subrip",
           "vtt": "text/vtt", "tsv": "text/tab-separated-values"}


def samples(data=JFK):
    with wave.open(io.BytesIO(data)) as w:
        return w.readframes(w.getnframes())


def wav(pcm):
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(16000)
        w.writeframes(pcm)
    return out.getvalue()


def part(begin, end):
    return wav(samples()[int(begin * 32000):int(end * 32000)])


def transcribe(server, data=JFK, headers=None, **fields):
    return server.post(PATH, form={"file": ("clip.wav", data), **FAST, **fields}, headers=headers)


def without_times(value):
    return {k: v for k, v in value.items() if k not in ("request_id", "processing_time")}


@pytest.fixture(scope="module")
def bare(serve):
    """A server that keeps nothing."""
    return serve(preload="none", result_cache=0, audio_cache=0)


# ---- formats ----

@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_the_same(server, form):
    reply = transcribe(server, response_format=form)
    assert reply.status == 200 and reply.headers["content-type"].split(";")[0] == FORMATS[form]
    value = check_reply(server, "POST", PATH, reply)
    text = value["text"] if isinstance(value, dict) else value
    lines = [x for x in text.splitlines() if "-->" not in x and not x.strip().isdigit() and x not in ("WEBVTT", "start\tend\ttext")]
    assert words(" ".join(lines)) == JFK_TEXT


def test_json_leaves_the_decoders_numbers_to_verbose_json(server):
    plain, verbose = transcribe(server).json, transcribe(server, response_format="verbose_json").json
    assert plain["model"] == "openai/whisper-tiny.en" and plain["task"] == "transcribe" and plain["language"] == "en"
    assert abs(plain["duration"] - 11) < 0.01 and plain["success"] is True and 0.3 < plain["avg_confidence"] <= 1
    assert "tokens" not in plain["segments"][0] and verbose["segments"][0]["tokens"]
    assert len(verbose["segments"][0]["tokens"]) == len(verbose["segments"][0]["token_logprobs"])


def test_words_have_times_where_they_are_asked_for(server):
    assert "word_timestamps" not in transcribe(server).json
    spoken = transcribe(server, return_timestamps="true").json["word_timestamps"]
    assert words(" ".join(w["word"] for w in spoken)) == JFK_TEXT
    assert all(0 <= w["start"] <= w["end"] <= 11.1 for w in spoken)


def test_confidence_is_left_out_where_it_is_not_wanted(server):
    value = transcribe(server, return_confidence="false", return_timestamps="true").json
    assert "avg_confidence" not in value and "confidence" not in value["segments"][0] and "confidence" not in value["word_timestamps"][0]


@pytest.mark.parametrize("accept, media", [("text/plain", "text/plain"), ("text/vtt", "text/vtt"), ("application/x-subrip", "application/x-subrip"),
                                           ("text/tab-separated-values", "text/tab-separated-values"), ("*/*", "application/json"),
                                           ("application/json, text/plain", "application/json")])
def test_accept_chooses_the_format(server, accept, media):
    assert transcribe(server, headers={"Accept": accept}).headers["content-type"].split(";")[0] == media


def test_response_format_goes_before_accept(server):
    assert transcribe(server, headers={"Accept": "text/vtt"}, response_format="srt").headers["content-type"].startswith("application/x-subrip")


def test_lines_of_subtitles_can_be_chosen(server):
    wide, narrow = (transcribe(server, response_format="srt", **options).text for options in ({}, {"max_line_width": 16, "max_line_count": 1}))
    cues = [cue.split("\n")[2:] for cue in narrow.strip().split("\n\n")]
    assert all(len(cue) == 1 and len(cue[0]) <= 16 for cue in cues) and len(cues) > wide.count("-->") > 1
    assert transcribe(server, response_format="srt", max_line_width=1001).status == 400


def test_base64_is_the_same_audio(server):
    body = {"audio_data": base64.b64encode(JFK).decode(), **FAST}
    reply = server.post(PATH, json_body=body)
    assert without_times(check_reply(server, "POST", PATH, reply)) == without_times(transcribe(server).json)


def test_every_option_is_taken(server):
    reply = transcribe(server, part(0, 3), language="en", task="transcribe", prompt="A speech.", temperature=0, fallback="false", seed=7, vad="true",
                       vad_threshold=0.4, vad_min_speech=50, vad_min_silence=0, vad_pad=200, condition="false", timestamps="true",
                       return_timestamps="true", return_confidence="true", hotwords="Americans", guards="true", punctuate="true",
                       min_confidence=0.01, retry_models="openai/whisper-tiny.en", response_format="verbose_json")
    assert reply.status == 200, reply.text
    assert "fellow americans" in words(check_reply(server, "POST", PATH, reply)["text"])


def test_a_doubtful_transcript_is_tried_again(server):
    reply = transcribe(server, part(0, 2), min_confidence=1, retry_models="tiny.en")
    value = check_reply(server, "POST", PATH, reply)
    assert [a["model"] for a in value["attempts"]] == ["openai/whisper-tiny.en"] * 2 and sum(a["kept"] for a in value["attempts"]) == 1
    assert "retried" in [n["code"] for n in value["notes"]]


# ---- nothing to write ----

def test_silence_is_no_bare_success(server):
    quiet = wav(bytes(64000))
    value = check_reply(server, "POST", PATH, transcribe(server, quiet))
    assert value["text"] == "" and value["notes"] and all(n["message"] for n in value["notes"])
    reply = transcribe(server, quiet, response_format="text")
    assert reply.status == 200 and not reply.text.strip() and reply.headers["x-notes"] == ", ".join(n["code"] for n in value["notes"])
    again = transcribe(server, quiet, response_format="text")
    assert again.headers["x-cache"] == "hit" and again.headers["x-notes"] == reply.headers["x-notes"]


# ---- caches ----

def test_a_second_request_is_a_hit_with_its_own_id(server):
    clip = part(0, 4)
    first = transcribe(server, clip, headers={"X-Request-Id": "first"})
    second = transcribe(server, clip, headers={"X-Request-Id": "second"})
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    a, b = check_reply(server, "POST", PATH, first), check_reply(server, "POST", PATH, second)
    assert without_times(a) == without_times(b)
    assert (a["request_id"], b["request_id"]) == ("first", "second")
    assert b["processing_time"] < 0.05 < a["processing_time"]


def test_another_format_of_the_same_audio_needs_no_inference(server, bare):
    clip, timed = part(0, 4.5), {"return_timestamps": True}  # which subtitles ask for by themselves
    assert transcribe(server, clip, **timed).headers["x-cache"] == "miss"
    for form in FORMATS:
        if form == "json":
            continue
        reply = transcribe(server, clip, response_format=form, **timed)
        assert reply.headers["x-cache"] == "audio"
        fresh = transcribe(bare, clip, response_format=form, **timed)
        assert fresh.headers["x-cache"] == "miss"
        if form == "verbose_json":
            assert reply.json["processing_time"] < 0.05 and without_times(reply.json) == without_times(fresh.json)
        else:
            assert reply.body == fresh.body


def test_other_options_are_other_results(server):
    clip = part(0, 2)
    for options in ({}, {"return_timestamps": "true"}, {"prompt": "Americans"}, {"hotwords": "fellow"}, {"vad": "false"}, {"seed": 3}):
        assert transcribe(server, clip, **options).headers["x-cache"] == "miss", options
    assert transcribe(server, clip, beam_size=2).headers["x-cache"] == "miss"
    assert transcribe(server, clip).headers["x-cache"] == "hit"
    assert transcribe(server, part(0, 2.1)).headers["x-cache"] == "miss"


def test_a_server_without_caches_computes_anew(bare):
    clip = part(0, 2)
    assert [transcribe(bare, clip).headers["x-cache"] for _ in range(2)] == ["miss", "miss"]


# ---- large bodies ----

def chunks(data, size):
    for i in range(0, len(data), size):
        yield data[i:i + size]


def test_a_large_upload_in_chunks_is_read_and_kept(server):
    data = wav(samples() + bytes(88 * 32000))  # 3.2 MB
    body, kind = multipart({"file": ("long.wav", data), **FAST})
    for expected in ("miss", "hit"):
        reply = server.post(PATH, body=chunks(body, 70001), headers={"Content-Type": kind})
        assert reply.status == 200, reply.text
        assert reply.headers["x-cache"] == expected
        assert words(reply.json["text"]) == JFK_TEXT and abs(reply.json["duration"] - 99) < 0.1
    began = time.monotonic()
    server.post(PATH, body=chunks(body, 70001), headers={"Content-Type": kind})
    assert time.monotonic() - began < 5 * PATIENCE


def test_a_large_container_is_read_by_the_helper(server):
    m4a = (SOURCE / "tests/audio/jfk_2s.m4a").read_bytes()
    padded = m4a + (3 << 20).to_bytes(4, "big") + b"free" + bytes((3 << 20) - 8)
    small, large = transcribe(server, m4a), transcribe(server, padded)
    assert small.status == large.status == 200, large.text
    assert small.json["text"] == large.json["text"] and "fellow american" in words(large.json["text"])


# ---- several at once ----

def test_one_clip_alone_and_among_eight_gives_the_same_bytes(bare):
    clips = [part(0, 5)] + [part(0.2 * i, 2 + 0.4 * i) for i in range(1, 8)]
    alone = [transcribe(bare, c, response_format="verbose_json").json for c in clips[:2]]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda c: transcribe(bare, c, response_format="verbose_json").json, clips))
    for a, b in zip(alone, together):
        assert json.dumps(without_times(a), sort_keys=True) == json.dumps(without_times(b), sort_keys=True)


def test_two_clients_get_their_own_text(bare):
    clips = {"fellow americans": part(0, 3.5), "you can do for your country": part(8, 11)}

    def ask(wanted):
        return [(wanted, words(transcribe(bare, clips[wanted]).json["text"])) for _ in range(2)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for answers in pool.map(ask, list(clips) * 2):
            for wanted, text in answers:
                assert wanted in text, (wanted, text)
                assert not any(other in text for other in clips if other != wanted)


def sessions(server):
    return sum(s["value"] for s in server.get("/audio/metrics").json["metrics"]["sonant_engine_sessions"]["samples"])


def test_a_client_that_goes_away_cancels_its_work(bare):
    body, kind = multipart({"file": ("long.wav", wav(samples() * 60)), **FAST})  # 11 minutes
    gone = socket.create_connection((bare.host, bare.port))
    gone.sendall(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    until = time.monotonic() + 20
    while sessions(bare) == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert sessions(bare) == 1
    gone.close()
    left = time.monotonic()
    while sessions(bare) and time.monotonic() < left + 10 * PATIENCE:
        time.sleep(0.02)
    assert time.monotonic() - left < 5 * PATIENCE


def test_a_client_that_leaves_a_stream_cancels_its_work(bare):
    body, kind = multipart({"file": ("long.wav", wav(samples() * 60)), "stream": "true", **FAST})
    gone = socket.create_connection((bare.host, bare.port))
    gone.sendall(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert gone.recv(65536).startswith(b"HTTP/1.1 200") and sessions(bare) == 1
    gone.close()
    left = time.monotonic()
    while sessions(bare) and time.monotonic() < left + 10 * PATIENCE:
        time.sleep(0.02)
    assert time.monotonic() - left < 5 * PATIENCE


# ---- in pieces ----

def events(text):
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        yield lines.get("event"), json.loads(lines["data"])


def test_a_stream_gives_segments_and_the_whole(server):
    reply = transcribe(server, stream="true", return_timestamps="true")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/event-stream")
    got = list(events(reply.text))
    assert [name for name, _ in got[:-1]] == ["segment"] * (len(got) - 1) and len(got) > 1 and got[-1][0] == "done"
    done = got[-1][1]
    assert "".join(s["text"] for _, s in got[:-1]).strip() == done["text"]
    check_json(document_of(server), {"$ref": "#/components/schemas/Transcript"}, done)
    assert done["request_id"] == reply.headers["x-request-id"] and got[0][1]["word_timestamps"]


def test_a_stream_that_cannot_begin_is_a_problem(server):
    reply = transcribe(server, b"no audio at all", stream="true")
    assert reply.status == 422 and check_reply(server, "POST", PATH, reply)["field"] == "file"


# ---- what bad input gets ----

@pytest.mark.parametrize("fields, status, field", [
    ({"beam_size": 17}, 400, "beam_size"), ({"beam_size": 0}, 400, "beam_size"), ({"beam_size": "many"}, 400, "beam_size"),
    ({"temperature": 1.5}, 400, "temperature"), ({"temperature": "nan"}, 400, "temperature"), ({"temperature": -1}, 400, "temperature"),
    ({"task": "sing"}, 400, "task"), ({"response_format": "docx"}, 400, "response_format"), ({"return_timestamps": "perhaps"}, 400, "return_timestamps"),
    ({"vad_threshold": 0}, 400, "vad_threshold"), ({"vad_pad": 10001}, 400, "vad_pad"), ({"min_confidence": 2}, 400, "min_confidence"),
    ({"seed": -1}, 400, "seed"), ({"colour": "red"}, 400, "colour"), ({"prompt": "x" * 5000}, 413, "prompt"),
    ({"model": "openai/whisper-enormous"}, 404, "model"), ({"model": "/etc/passwd"}, 404, "model"), ({"model": "../../x"}, 404, "model"),
    ({"model": "silero-vad"}, 422, "model"), ({"retry_models": "/etc/passwd"}, 404, "retry_models"), ({"punctuation": "../secret"}, 404, "punctuation"),
    ({"language": "xx"}, 422, None), ({"stream": "true", "response_format": "srt"}, 400, "response_format"),
    ({"task": "translate"}, 422, None),
])
def test_a_bad_option_is_a_problem_that_names_it(server, fields, status, field):
    reply = transcribe(server, part(0, 1), **fields)
    assert reply.status == status, reply.text
    value = check_reply(server, "POST", PATH, reply)
    assert value.get("field") == field and value["status"] == status and len(value["detail"]) > 20


@pytest.mark.parametrize("data", [b"", b"RIFF", b"this is no audio", JFK[:44], b"\x00" * 5000])
def test_what_is_no_audio_is_refused(server, data):
    reply = transcribe(server, data)
    assert reply.status == 422 and check_reply(server, "POST", PATH, reply)["code"] == "SN_E_FORMAT"


@pytest.mark.parametrize("body, status, field", [
    ({"audio_data": "!!!"}, 422, "audio_data"), ({"audio_data": ""}, 422, "audio_data"), ({}, 400, "audio_data"), ({"audio_data": 7}, 400, "audio_data"),
    ({"audio_data": "AAAA", "file": "/etc/passwd"}, 400, "file"), ({"audio_data": "AAAA", "beam_size": "5"}, 400, "beam_size"),
])
def test_bad_json_bodies(server, body, status, field):
    reply = server.post(PATH, json_body=body)
    assert reply.status == status, reply.text
    assert check_reply(server, "POST", PATH, reply).get("field") == field


def test_bad_bodies(server):
    def status(body, kind):
        reply = server.post(PATH, body=body, headers={"Content-Type": kind})
        check_reply(server, "POST", PATH, reply)
        return reply.status

    assert status(b"{", "application/json") == 422
    assert status(b"[]", "application/json") == 422
    assert status(b"x", "text/plain") == 415
    assert status(b"hello", "multipart/form-data; boundary=x") in (400, 422)
    body, kind = multipart({**FAST, "file": [("a.wav", part(0, 1)), ("b.wav", part(1, 2))]})
    assert status(body, kind) == 400
    body, kind = multipart({**FAST, "file": "no upload"})
    assert status(body, kind) == 400


def test_audio_beyond_the_limit_is_refused(serve):
    server = serve(preload="none", max_duration=5)
    reply = transcribe(server)
    assert reply.status == 413, reply.text
    value = check_reply(server, "POST", PATH, reply)
    assert value["field"] == "file" and "5 seconds" in value["detail"]
    assert transcribe(server, part(0, 4)).status == 200


def test_a_header_that_lies_about_the_length_is_no_reason_to_refuse(serve, server):
    endless = bytearray(part(0, 3))
    endless[4:8] = endless[40:44] = b"\xff\xff\xff\xff"  # as a pipe writes it
    assert transcribe(serve(preload="none", max_duration=5), bytes(endless)).status == 200


def test_models_that_transcribe(server):
    reply = server.get("/stt/models")
    models = {m["name"]: m for m in check_reply(server, "GET", "/stt/models", reply)["models"]}
    assert models["openai/whisper-tiny.en"]["installed"] and all(m["task"] == "transcribe" for m in models.values())
