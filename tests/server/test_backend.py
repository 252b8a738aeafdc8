"""A server whose models run by ONNX Runtime, when that goes wrong: it stays up, says which model is not ready and why, and serves what it can."""
import os
import shutil

import pytest

from conftest import JFK, SOURCE

TINY = SOURCE / "tests/fixtures/tiny"
SHIM = os.environ.get("ORT_SHIM")
pytestmark = pytest.mark.skipif(not SHIM, reason="ONNX Runtime is not here")


@pytest.fixture(scope="module")
def faulty(serve, tmp_path_factory):
    """faulty(NAME=value, ...) -> a server by an ONNX Runtime that goes wrong: see tests/units/ort_shim.c. Its models: hears, speaks."""

    def start(**shim):
        home = tmp_path_factory.mktemp("home")
        for name, fixture in {"hears": "whisper", "speaks": "vits-sdp"}.items():
            shutil.copytree(TINY / fixture, home / "models" / name)
        env = {"ORT_SHIM_REAL": os.environ["SONANT_ONNXRUNTIME"], "SONANT_ONNXRUNTIME": SHIM, **{f"ORT_SHIM_{key}": value for key, value in shim.items()}}
        return serve(home=home, environment=env, preload="hears,speaks", backend="ort", dtype="f32")

    return start


def transcribe(server):
    return server.post("/stt/transcribe", form={"file": ("a.wav", JFK), "model": "hears", "vad": "off", "beam_size": "1"})


def speak(server):
    return server.post("/tts/synthesize", json_body={"text": "hello there", "model": "speaks", "check": False, "retries": 0})


def states(server):
    return {m["name"]: (m["state"], m.get("error", "")) for m in server.get("/audio/models").json["models"] if m["name"] in ("hears", "speaks")}


def test_models_that_cannot_be_loaded_are_named(faulty):
    server = faulty(FAIL="CreateSessionFromArray", TEXT="CUDA failure 2: out of memory")
    for reply in (transcribe(server), speak(server)):
        assert reply.status >= 500 and "CUDA failure 2: out of memory" in reply.text
    assert {state for state, error in states(server).values()} == {"failed"}
    assert all("out of memory" in error for state, error in states(server).values())
    health = server.get("/audio/health")
    assert "hears" in health.text and server.get("/health/ready").status == 503
    assert server.get("/audio/config").status == 200


def test_a_run_that_fails_ends_its_request_alone(faulty):
    server = faulty(FAIL="RunWithBinding:1", UNTIL="1", TEXT="something broke")
    server.wait_ready()
    failed = transcribe(server)
    assert failed.status == 500 and "something broke" in failed.text
    assert transcribe(server).status == speak(server).status == 200
    assert {state for state, error in states(server).values()} == {"ready"}
