"""/audio/quality, analyze, convert, enhance: replies as the document declares them, options that do what they say, hostile files."""
import base64
import io
import json
import math
import os
import pathlib
import socket
import struct
import subprocess
import time
import wave
import zipfile
import zlib

import pytest

from conftest import JFK, PATIENCE, eventually, multipart, needs_model
from schema_check import check_reply

ROUTES = ("analyze", "quality", "convert", "enhance")


@pytest.fixture(scope="module")
def quiet(serve):
    return serve(preload="none")


def tone(seconds=1.0, rate=16000, channels=1, level=0.3, hertz=440):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        one = b"".join(struct.pack("<h", int(32767 * level * math.sin(2 * math.pi * hertz * i / rate))) * channels for i in range(rate))
        file.writeframes((one * (int(seconds) + 1))[:int(seconds * rate) * 2 * channels])
    return out.getvalue()


def floats(values, rate=16000):
    data = struct.pack(f"<{len(values)}f", *values)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, rate, rate * 4, 4, 32) + b"data" + \
        struct.pack("<I", len(data)) + data


def post(server, route, data, headers=None, **fields):
    return server.post("/audio/" + route, form={"file": ("clip.wav", data), **fields}, headers=headers)


def checked(server, route, reply, status=200):
    assert reply.status == status, reply.body[:500]
    return check_reply(server, "POST", "/audio/" + route, reply)


def read_wav(data):
    with wave.open(io.BytesIO(data)) as file:
        return file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()


# ---- quality ----

def test_quality_measures(quiet):
    q = checked(quiet, "quality", post(quiet, "quality", tone(2, 44100, 2), scores="false"))
    assert q["success"] and q["duration"] == pytest.approx(2) and q["sample_rate"] == 44100 and q["channels"] == 2
    assert q["peak"] == pytest.approx(20 * math.log10(0.3), abs=0.1) and q["dnsmos"] is None and 1 <= q["score"] <= 5


@needs_model("dnsmos")
def test_quality_scores(quiet):
    q = checked(quiet, "quality", post(quiet, "quality", JFK, personalised="true", exact="true"))
    assert 1 <= q["dnsmos"]["overall"] <= 5 and q["dnsmos"]["windows"] == q["windows_possible"] and 1 <= q["dnsmos_personalised"]["overall"] <= 5
    assert any(m["task"] == "score" and m["state"] == "ready" for m in quiet.get("/audio/health").json["models"])
    text = post(quiet, "quality", JFK, response_format="text")
    assert "DNSMOS" in checked(quiet, "quality", text)


def test_base64_is_the_same_as_an_upload(quiet):
    clip = tone(1)
    a = checked(quiet, "quality", post(quiet, "quality", clip, scores="false"))
    b = checked(quiet, "quality", quiet.post("/audio/quality", json_body={"audio_data": base64.b64encode(clip).decode(), "scores": False}))
    for fact in (a, b):
        del fact["request_id"], fact["processing_time"]
    assert a == b


# ---- analyze ----

def test_analysis_of_a_tone(quiet):
    a = checked(quiet, "analyze", post(quiet, "analyze", tone(2, hertz=220), points="true"))
    assert a["pitch"]["median"] == pytest.approx(220, abs=2) and a["format"] == "wav" and a["language"] is None
    points = a["points"]
    assert len({len(points[k]) for k in ("low", "high", "level", "pitch", "speech")}) == 1
    assert len(points["low"]) * points["interval"] == pytest.approx(2, abs=0.1) and max(points["high"]) == pytest.approx(0.3, abs=0.01)
    assert "points" not in checked(quiet, "analyze", post(quiet, "analyze", tone(1)))
    assert "octaves" in checked(quiet, "analyze", post(quiet, "analyze", tone(1), response_format="text"))


@needs_model("whisper-base")
def test_analysis_with_words_and_language(quiet):
    a = checked(quiet, "analyze", post(quiet, "analyze", JFK, words="true", language="true", model="openai/whisper-base"))
    assert a["language"] == "en" and a["language_confidence"] > 0.5
    assert len(a["word_timestamps"]) == 22 and "country" in a["text"]


def png_size(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    at, image = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        assert zlib.crc32(data[at + 4:at + 8 + size]) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
        image += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    width, height = struct.unpack(">II", data[16:24])
    assert len(zlib.decompress(image)) == height * (1 + 3 * width)
    return width, height


def test_the_picture_is_one(quiet):
    reply = post(quiet, "analyze", tone(1), response_format="png")
    assert reply.headers["content-type"] == "image/png" and png_size(reply.body) == (1600, 900)
    reply = post(quiet, "analyze", tone(1), response_format="png", width=640, height=400)
    assert png_size(reply.body) == (640, 400)


@pytest.mark.parametrize("name", ["\u97f3\u58f0 \U0001f600.wav", "x" * 300 + ".wav", "a\tb\x01c.wav", "../../etc/passwd", ".", "%s%n%d.wav"])
def test_a_name_is_drawn_and_nothing_else(quiet, name):
    reply = quiet.post("/audio/analyze", form={"file": (name, tone(0.5)), "response_format": "png", "width": 480, "height": 360})
    assert reply.status == 200 and png_size(reply.body) == (480, 360)


# ---- convert ----

@pytest.mark.parametrize("format, media", [("wav", "audio/wav"), ("flac", "audio/flac"), ("mp3", "audio/mpeg"), ("opus", "audio/ogg"), ("pcm", "audio/pcm")])
def test_conversion_can_be_read_again(quiet, format, media):
    reply = post(quiet, "convert", tone(2, 44100, 2), response_format=format, sample_rate=24000)
    assert reply.status == 200 and reply.headers["content-type"] == media
    assert reply.headers["x-format"] == format and reply.headers["x-input-channels"] == "2" and reply.headers["x-input-rate"] == "44100"
    assert float(reply.headers["x-duration"]) == pytest.approx(2, abs=0.01) and int(reply.headers["x-sample-rate"]) in (24000, 48000)
    if format == "pcm":
        assert len(reply.body) == 2 * 24000 * 2
        return
    again = checked(quiet, "quality", post(quiet, "quality", reply.body, scores="false"))
    assert again["duration"] == pytest.approx(2, abs=0.1) and again["channels"] == 1
    assert again["rms"] == pytest.approx(20 * math.log10(0.3 / math.sqrt(2)), abs=1)


def test_conversion_cuts_and_raises(quiet):
    reply = post(quiet, "convert", tone(3), start=0.5, end=2, gain=6, bits=24)
    assert read_wav(reply.body) == (16000, 1, 3, 24000)
    assert float(reply.headers["x-gain"]) == 6 and float(reply.headers["x-peak"]) == pytest.approx(20 * math.log10(0.3) + 6, abs=0.1)
    loud = checked(quiet, "quality", post(quiet, "quality", post(quiet, "convert", tone(3), loudness=-23).body, scores="false"))
    assert loud["loudness"] == pytest.approx(-23, abs=0.3)


def test_conversion_as_json(quiet):
    reply = post(quiet, "convert", tone(1), headers={"Accept": "application/json"}, response_format="flac")
    facts = checked(quiet, "convert", reply)
    assert facts["format"] == "flac" and base64.b64decode(facts["audio_data"])[:4] == b"fLaC" and facts["input_format"] == "wav"
    assert post(quiet, "convert", tone(1), headers={"Accept": "audio/*, application/json;q=0.5"}).body[:4] == b"RIFF"


def test_a_large_upload_is_converted(quiet):
    clip = tone(60, 48000)
    reply = post(quiet, "convert", clip, response_format="wav", sample_rate=48000)
    assert len(clip) > 5 << 20 and read_wav(reply.body) == (48000, 1, 2, 60 * 48000)


# ---- enhance ----

def test_enhancement_levels_and_repairs(quiet):
    clip = tone(3, level=0.02)
    reply = post(quiet, "enhance", clip, denoise="false", loudness=-20)
    assert reply.status == 200 and read_wav(reply.body)[0] == 16000
    after = json.loads(reply.headers["x-after"])
    assert abs(after["loudness"] + 20) < 0.3 and json.loads(reply.headers["x-before"])["loudness"] < -30
    facts = checked(quiet, "enhance", post(quiet, "enhance", clip, headers={"Accept": "application/json"}, denoise="false", normalise="false",
                                           declip="false", highpass="false", sample_rate=8000, response_format="mp3"))
    stages = {s["name"]: s["done"] for s in facts["stages"]}
    assert not any(stages.values()) and facts["denoiser"] == "" and facts["sample_rate"] == 8000 and facts["format"] == "mp3"


@needs_model("deepfilternet3")
def test_enhancement_takes_noise_out(quiet):
    facts = checked(quiet, "enhance", post(quiet, "enhance", JFK, headers={"Accept": "application/json"}, denoise="true", attenuation=12))
    assert facts["denoiser"] and 3 < facts["noise_reduction"] < 14
    assert any(m["task"] == "denoise" and m["state"] == "ready" for m in quiet.get("/audio/health").json["models"])


# ---- what is refused ----

def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.wav", tone(1))
    return out.getvalue()


HOSTILE = {"empty": b"", "text": b"hello there\n" * 50, "html": b"<!doctype html><html><body>not found</body></html>", "zip": archive(),
           "header only": JFK[:44], "half a header": JFK[:20], "noise": bytes(range(256)) * 40, "zeros": bytes(5000),
           "nan": floats([0.1, float("nan"), 0.2] * 4000), "infinity": floats([0.1, float("inf")] * 4000)}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("route", ROUTES)
def test_what_is_no_audio_is_named(quiet, route, kind):
    reply = post(quiet, route, HOSTILE[kind])
    problem = checked(quiet, route, reply, 422)
    assert problem["code"] == "SN_E_FORMAT" and problem["field"] == "file"
    assert "/proc" not in problem["detail"] and "/tmp" not in problem["detail"], problem["detail"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_file_that_ends_early_is_used_as_far_as_it_goes(quiet, route):
    reply = post(quiet, route, JFK[:len(JFK) // 2])
    assert reply.status == 200
    check_reply(quiet, "POST", "/audio/" + route, reply)


@pytest.mark.parametrize("route, fields, field", [
    ("convert", {"response_format": "aac"}, "response_format"), ("convert", {"sample_rate": "fast"}, "sample_rate"),
    ("convert", {"sample_rate": 10 ** 9}, "sample_rate"), ("convert", {"gain": 61}, "gain"), ("convert", {"gain": "nan"}, "gain"),
    ("convert", {"bits": 8}, "bits"), ("convert", {"output": "/etc/passwd"}, "output"), ("enhance", {"loudness": 0}, "loudness"),
    ("enhance", {"denoise": "perhaps"}, "denoise"), ("quality", {"windows": 0}, "windows"), ("quality", {"vad_threshold": 2}, "vad_threshold"),
    ("analyze", {"response_format": "gif"}, "response_format"), ("analyze", {"width": 1, "response_format": "png"}, "width")])
def test_wrong_options_are_named(quiet, route, fields, field):
    problem = checked(quiet, route, post(quiet, route, tone(0.2), **fields), 400)
    assert problem["field"] == field and problem["code"] == "SN_E_ARGUMENT"


@pytest.mark.parametrize("fields", [{"start": 2, "end": 1}, {"gain": 3, "loudness": -20}, {"bits": 24, "response_format": "mp3"}, {"bits": 20}])
def test_options_that_do_not_go_together(quiet, fields):
    assert checked(quiet, "convert", post(quiet, "convert", tone(0.2), **fields), 400)["code"] == "SN_E_ARGUMENT"


def test_models_are_names_and_no_paths(quiet):
    for model in ("/etc/passwd", "../../secret", "no-such-model"):
        reply = post(quiet, "quality", tone(0.2), model=model)
        assert reply.status in (400, 404, 422) and check_reply(quiet, "POST", "/audio/quality", reply)["code"] != "SN_E_INTERNAL"


@pytest.mark.parametrize("route", ROUTES)
def test_no_file_at_all(quiet, route):
    assert quiet.post("/audio/" + route, form={"words": "true"}).status == 400
    assert quiet.post("/audio/" + route, json_body={"audio_data": "?!"}).status == 422
    assert quiet.post("/audio/" + route, json_body={}).status == 400
    assert quiet.post("/audio/" + route, json_body={"audio_data": 5}).status == 400
    assert quiet.post("/audio/" + route, body=tone(0.2), headers={"Content-Type": "audio/wav"}).status == 415


def test_longer_than_allowed_is_refused(serve):
    server = serve(preload="none", max_duration=2)
    for route in ROUTES:
        problem = checked(server, route, post(server, route, JFK), 413)
        assert "max_duration" in problem["detail"] and problem["code"] == "SN_E_LIMIT"
        assert post(server, route, tone(1)).status == 200


def test_nothing_is_left_behind(serve, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    server = serve(preload="none", environment={"TMPDIR": str(spool)})
    for route in ROUTES:
        quick = {"quality": {"scores": "false"}, "enhance": {"denoise": "false"}}.get(route, {})
        assert post(server, route, tone(12, 48000), **quick).status == 200
        post(server, route, b"no audio")
    post(server, "analyze", tone(1), response_format="png")
    files = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    for _ in range(5):
        post(server, "convert", tone(1))
        post(server, "enhance", b"no audio")
    assert eventually(lambda: list(spool.iterdir()) == [] and len(os.listdir(f"/proc/{server.process.pid}/fd")) <= files + 1)


def test_a_client_that_goes_ends_the_work(serve):
    server = serve(preload="none", threads=1)
    body, kind = multipart({"file": ("long.wav", tone(1800)), "scores": "false"})
    connection = socket.create_connection((server.host, server.port))
    head = f"POST /audio/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nX-Request-Id: gone\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    time.sleep(0.3)
    connection.close()
    until = time.monotonic() + 5 * PATIENCE
    line = None
    while time.monotonic() < until and not line:
        time.sleep(0.1)
        lines = pathlib.Path(server.log).read_text().splitlines()
        line = next((json.loads(l) for l in lines if '"gone"' in l), None)
    assert line and line["status"] == 499, "it was worked on though nobody waited"


def test_a_full_disk_is_507_and_passes(serve, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        server = serve(preload="none", environment={"TMPDIR": str(small)})
        problem = checked(server, "convert", post(server, "convert", tone(60), sample_rate=192000, bits=32), 507)
        assert problem["code"] == "SN_E_NO_SPACE" and str(small) not in problem["detail"]
        assert post(server, "convert", tone(1)).status == 200 and list(small.iterdir()) == []
        server.stop()
    finally:
        subprocess.run(["umount", small])


def test_two_clients_get_their_own(quiet):
    import concurrent.futures

    def one(i):
        reply = post(quiet, "convert", tone(0.5 + i / 10, 8000 + 1000 * (i % 4)))
        return read_wav(reply.body) == (8000 + 1000 * (i % 4), 1, 2, int((0.5 + i / 10) * (8000 + 1000 * (i % 4))))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(24)))
