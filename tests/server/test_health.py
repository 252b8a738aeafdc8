"""What the server says of itself: alive, ready, its health by model, its configuration, its log."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from conftest import JFK, PATIENCE, eventually, make_home, needs_model
from schema_check import check_reply


def lines_of(server):
    """The JSON lines of the log so far; the writer lets them gather for a moment."""
    time.sleep(0.3)
    return [json.loads(line) for line in pathlib.Path(server.log).read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def quiet(serve):
    return serve(preload="none")


def test_health_is_what_the_document_says(quiet):
    health = check_reply(quiet, "GET", "/audio/health", quiet.get("/audio/health"))
    assert health["status"] == "ok" and health["ready"] and health["models"] == [] and health["store"] == "ok"
    assert health["memory"]["resident"] > 1e6 and health["queue"]["waiting"] == 0 and health["requests"]["connections"] >= 1
    assert "reason" not in health


def test_ready_follows_the_models(quiet):
    reply = quiet.get("/health/ready")
    assert (reply.status, reply.text) == (200, "ready\n")


@needs_model("whisper-base")
def test_health_tells_of_each_model(server):
    server.wait_ready()
    server.post("/stt/transcribe", form={"file": ("jfk.wav", JFK), "beam_size": 1})
    assert eventually(lambda: all(m.get("sessions", 0) == 0 for m in server.get("/audio/health").json["models"]))
    health = check_reply(server, "GET", "/audio/health", server.get("/audio/health"))
    base = [m for m in health["models"] if m["task"] == "transcribe"][0]
    assert base["state"] == "ready" and base["memory"] > 1e6 and base["idle"] < 60 and base["sessions"] == 0 and base["dtype"]


def test_a_model_that_cannot_be_loaded_degrades(serve, tmp_path):
    home = make_home(tmp_path / "home")
    (home / "models").unlink(missing_ok=True)
    broken = home / "models" / "openai--whisper-tiny.en"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"model_type": "whisper"')
    (broken / "model.safetensors").write_bytes(b"\0" * 64)
    server = serve(home=home, preload="openai/whisper-tiny.en")
    until = time.monotonic() + 20
    while time.monotonic() < until and server.get("/audio/health").json["status"] == "ok":
        time.sleep(0.1)
    time.sleep(0.2)
    health = check_reply(server, "GET", "/audio/health", server.get("/audio/health"))
    assert health["status"] == "degraded" and not health["ready"] and "whisper-tiny.en" in health["reason"]
    ready = server.get("/health/ready")
    assert ready.status == 503 and int(ready.headers["retry-after"]) >= 1
    assert "whisper-tiny.en" in check_reply(server, "GET", "/health/ready", ready)["detail"]
    assert server.get("/health/live").status == 200


def test_readiness_says_which_model_is_not_installed(serve, tmp_path):
    (tmp_path / "home").mkdir()
    server = serve(home=tmp_path / "home", preload="transcribe", environment={"HF_HUB_CACHE": str(tmp_path)})
    until = time.monotonic() + 20
    while time.monotonic() < until and "installed" not in server.get("/health/ready").json["detail"]:
        time.sleep(0.1)
    detail = server.get("/health/ready").json["detail"]
    assert "openai/whisper-base" in detail and "is not installed" in detail and "models pull" in detail


def test_health_is_never_older_than_a_moment(quiet):
    quiet.get("/audio/health")
    time.sleep(0.15)
    first = quiet.get("/audio/health").json["uptime"]
    time.sleep(0.25)
    assert quiet.get("/audio/health").json["uptime"] > first


def test_health_may_be_asked_all_the_time(quiet):
    """It is made anew ten times a second at most, however often it is asked for."""
    connection = socket.create_connection((quiet.host, quiet.port))
    one = b"GET /audio/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    begin, got, count = time.monotonic(), b"", 500
    connection.sendall(one * count)
    while got.count(b"HTTP/1.1 200") < count:
        piece = connection.recv(1 << 20)
        assert piece
        got += piece
    connection.close()
    made = set(re.findall(rb'"uptime":[\d.]+', got))
    assert 0 < len(made) <= 10 * (time.monotonic() - begin) + 2


def test_health_answers_while_all_workers_are_busy(serve):
    server = serve(preload="none", workers=1)
    halves = socket.create_connection((server.host, server.port))
    halves.sendall(b"POST /audio/quality HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(server.post, "/audio/quality", form={"file": ("jfk.wav", JFK)}) for _ in range(4)]
        begin = time.monotonic()
        assert server.get("/audio/health").status == 200 and server.get("/metrics").status == 200
        assert time.monotonic() - begin < 2 * PATIENCE
        assert all(b.result().status == 200 for b in busy)
    halves.close()


def test_configuration_without_secrets(serve, tmp_path):
    server = serve(preload="none", max_text="4K")
    config = check_reply(server, "GET", "/audio/config", server.get("/audio/config"))["config"]
    assert config["max_text"] == 4096 and config["preload"] == "none" and config["host"] == "127.0.0.1"


# ---- the log ----

def test_each_request_is_one_line_with_its_id(quiet):
    reply = quiet.post("/audio/quality", form={"file": ("secret-name.wav", JFK)}, headers={"X-Request-Id": "find-me-1"})
    assert reply.status == 200
    found = eventually(lambda: [l for l in lines_of(quiet) if l.get("id") == "find-me-1"])
    assert len(found) == 1
    line = found[0]
    assert (line["method"], line["route"], line["status"], line["task"]) == ("POST", "/audio/quality", 200, "quality")
    assert line["audio"] == pytest.approx(11, abs=0.01) and line["bytes_in"] > len(JFK) and line["bytes_out"] == len(reply.body)
    assert line["seconds"] >= line["processing"] > 0 and line["queue"] >= 0 and line["address"] == "127.0.0.1"


def test_a_failure_is_logged_with_its_code(quiet):
    quiet.post("/audio/quality", form={"file": ("a.wav", b"no audio at all")}, headers={"X-Request-Id": "failed-1"})
    line = eventually(lambda: [l for l in lines_of(quiet) if l.get("id") == "failed-1"])[0]
    assert (line["status"], line["code"]) == (422, "SN_E_FORMAT")


def test_no_text_no_audio_no_names_no_queries_in_the_log(quiet):
    quiet.post("/audio/analyze", form={"file": ("my-diary.wav", b"RIFF" + b"confidential" * 20)})
    quiet.post("/tts/synthesize", json_body={"text": "my secret sentence"})
    quiet.post("/tts/synthesize", json_body={"text": "my secret sentence", "voice": "nobody-has-it"})
    quiet.get("/audio/usage?days=3&extra=secretquery")
    quiet.get("/not/a/route/secretpath?x=secretquery")
    quiet.get("/audio/config", headers={"Authorization": "Bearer sn_secretkeysecretkeysecretkeysecretkeysecretk"})
    assert eventually(lambda: {"/audio/usage", "/audio/analyze"} <= {l["route"] for l in lines_of(quiet) if "route" in l})
    text = pathlib.Path(quiet.log).read_text()
    for word in ("diary", "confidential", "secret sentence", "secretquery", "secretpath", "secretkey", "nobody-has-it"):
        assert word not in text, word


def test_probes_are_not_logged(quiet):
    before = len(lines_of(quiet))
    for path in ("/health/live", "/health/ready", "/metrics", "/audio/health", "/audio/metrics"):
        assert quiet.get(path).status == 200
    assert len(lines_of(quiet)) == before


def test_level_debug_logs_probes_and_a_file_takes_the_lines(serve, tmp_path):
    file = tmp_path / "access.log"
    server = serve(preload="none", access_log=file, log_level="debug", log_address="off")
    server.get("/health/live", headers={"X-Request-Id": "probe-1"})
    assert eventually(lambda: [json.loads(l)["id"] for l in file.read_text().splitlines()] == ["probe-1"])
    assert "probe-1" not in pathlib.Path(server.log).read_text() and "127.0.0.1" not in file.read_text()
    file.rename(tmp_path / "access.log.1")
    server.process.send_signal(signal.SIGHUP)
    assert eventually(file.exists)
    server.get("/health/live", headers={"X-Request-Id": "probe-2"})
    assert eventually(lambda: [json.loads(l)["id"] for l in file.read_text().splitlines()] == ["probe-2"])


def test_no_access_log_where_none_is_wanted(serve):
    server = serve(preload="none", access_log="none")
    server.get("/audio/usage", headers={"X-Request-Id": "quiet-1"})
    assert not [l for l in lines_of(server) if "id" in l]


def test_an_access_log_that_cannot_be_opened_ends_the_start(serve, tmp_path):
    with pytest.raises(RuntimeError, match="access log"):
        serve(preload="none", access_log=tmp_path / "no" / "such" / "folder")


def test_who_does_not_read_the_log_stops_nothing(serve, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    server = serve(preload="none", access_log=pipe)
    connection = http.client.HTTPConnection(server.host, server.port)
    for i in range(600):
        connection.request("GET", "/no/such/path")
        assert connection.getresponse().read()
    connection.close()
    dropped, until = 0, time.monotonic() + 10
    while time.monotonic() < until and not dropped:
        time.sleep(0.1)
        server.get("/no/such/path")
        dropped = int(re.search(r"^sonant_log_dropped_total (\d+)$", server.get("/metrics").text, re.M)[1])
    assert dropped and server.stop(20) == 0
    os.close(reader)


def test_a_client_that_goes_away_is_499(quiet):
    connection = socket.create_connection((quiet.host, quiet.port))
    connection.sendall(b"POST /audio/quality HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: gone-1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    time.sleep(0.2)
    connection.close()
    until = time.monotonic() + 10
    while time.monotonic() < until and not (found := [l for l in lines_of(quiet) if l.get("id") == "gone-1"]):
        pass
    assert found and found[0]["status"] == 499
