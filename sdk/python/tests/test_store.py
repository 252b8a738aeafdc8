"""Models and voices on disk: pulled from a hub of the tests' own, verified, removed; voices of clips and arrays; remarks."""

import importlib.util
import io
import logging
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import JFK, SOURCE, TINY

import sonant
from sonant import models

_spec = importlib.util.spec_from_file_location("hub_server", SOURCE / "tests/hub/hub_server.py")
hub_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hub_server)

REPO = "someone/big"
BIG = random.Random(7).randbytes(700_000)
FILES = {"config.json": b'{"model_type": "whisper"}', "model.safetensors": BIG, "tokenizer.json": b"{}"}
YOURTTS = str(TINY / "yourtts")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one repository, and nothing of this machine's own settings."""
    hub = hub_server.Hub()
    hub.repos[REPO] = dict(FILES)
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "")
    for name, value in {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "no_proxy": "*"}.items():
        monkeypatch.setenv(name, value)
    yield hub
    hub.close()


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


@pytest.fixture
def store(home):
    with sonant.Engine(threads=1, home=home) as engine:
        yield engine


def read(*path):
    return pathlib.Path(*path).read_bytes()


def test_a_model_is_pulled_listed_verified_and_removed(hub, store, home):
    pulled = store.pull(REPO)
    assert (pulled.source, pulled.repository, pulled.revision, pulled.already) == ("hub", REPO, hub.commit(REPO), False)
    assert {(file.name, file.bytes, file.present) for file in pulled.files} == {(n, len(d), len(d)) for n, d in FILES.items()}
    assert pulled.fetched == pulled.bytes == sum(map(len, FILES.values()))
    assert read(pulled.path, "model.safetensors") == BIG
    entry = next(entry for entry in store.models() if entry.name == REPO)
    assert entry.installed and entry.path == pulled.path and not entry.in_hub_cache
    assert models.pull(REPO, home=home).already
    verified = models.verify(REPO, home=home)
    assert verified and verified.files == 3 and verified.revision == pulled.revision
    assert store.remove(REPO) >= len(BIG)
    assert not any(entry.name == REPO for entry in models.list(home=home))
    with pytest.raises(FileNotFoundError, match=REPO):
        store.verify(REPO)


def test_the_catalogue_needs_no_disk(home):
    base = next(entry for entry in sonant.models.list(home=home) if entry.name == "openai/whisper-base")
    assert "base" in base.aliases and base.task == "transcribe" and base.licence and not base.installed


def test_a_dry_pull_fetches_nothing(hub, store):
    pulled = store.pull(REPO, dry=True)
    assert pulled.fetched == 0 and pulled.bytes > len(BIG) and not os.path.exists(pulled.path)


def test_progress_says_how_far_it_is(hub, store):
    hub.faults = {"model.safetensors": "slow"}
    states = []
    pulled = store.pull(REPO, progress=states.append)
    seen = [state.bytes for state in states]
    assert seen == sorted(seen) and len(BIG) / 2 < seen[-1] <= pulled.bytes == states[-1].total
    assert all(state.model == REPO for state in states) and any(state.file == "model.safetensors" for state in states)


def test_a_bar_counts_bytes(hub, store, capsys):
    hub.faults = {"model.safetensors": "slow"}
    store.pull(REPO, progress=True)
    errors = capsys.readouterr().err
    assert f"pulling {REPO}" in errors and "700k/700k" in errors


def test_what_progress_raises_ends_the_pull_and_the_next_goes_on(hub, store):
    hub.faults, hub.pause = {"model.safetensors": "slow"}, 0.1

    def stop(state):
        if state.bytes > 100_000:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        store.pull(REPO, progress=stop)
    with pytest.raises(FileNotFoundError):
        store.verify(REPO)
    sent, hub.faults = hub.sent("model.safetensors"), {}
    assert sent < len(BIG)
    assert not store.pull(REPO).already
    assert hub.sent("model.safetensors") - sent < len(BIG) - 50_000 and store.verify(REPO)


def test_a_cancelled_pull(hub, store):
    hub.faults, hub.pause = {"model.safetensors": "slow"}, 0.2
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(sonant.CancelledError):
        store.pull(REPO, cancel=cancel)
    assert time.monotonic() - began < 5


def test_ctrl_c_ends_a_pull(hub, home):
    hub.faults, hub.pause = {"model.safetensors": "slow"}, 0.3
    code = f"""
import sonant
try:
    sonant.models.pull({REPO!r}, home={home!r})
except KeyboardInterrupt:
    raise SystemExit(7)
"""
    pulling = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 30
    while not hub.sent("model.safetensors") and time.monotonic() < until:
        time.sleep(0.01)
    began = time.monotonic()
    os.killpg(pulling.pid, signal.SIGINT)  # as a terminal does it: the helper gets it, too
    assert pulling.wait(10) == 7, pulling.stderr.read()
    assert time.monotonic() - began < 5


def test_verify_finds_a_flipped_byte(hub, store):
    path = os.path.join(store.pull(REPO).path, "model.safetensors")
    with open(path, "r+b") as file:
        file.seek(123_456)
        file.write(bytes([BIG[123_456] ^ 1]))
    verified = store.verify(REPO)
    assert not verified and [(flaw.file, flaw.what) for flaw in verified.flaws] == [("model.safetensors", "changed")]
    assert store.pull(REPO, force=True).fetched >= len(BIG)
    assert store.verify(REPO)


def test_a_hub_that_is_gone_leaves_what_is_there(hub, store):
    store.pull(REPO)
    hub.close()
    pulled = store.pull(REPO)
    assert pulled.already and len(pulled.notes) == 1 and "127.0.0.1" in pulled.notes[0].message


@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("someone/nothing", {}, FileNotFoundError, "someone/nothing"),
        ("no such model", {}, ValueError, "no such model"),
        (5, {}, TypeError, "name must be text, not int"),
        (REPO, {"source": "ftp"}, ValueError, "auto, hub or packages"),
        (REPO, {"revision": "../x"}, ValueError, "revision"),
        (REPO, {"progress": 5}, TypeError, "progress must be a function of a PullState, or True"),
        (REPO, {"include": [5]}, TypeError, "str"),
        (REPO, {"endpoint": "http://127.0.0.1:1"}, OSError, "127.0.0.1"),
    ],
)
def test_bad_pulls(hub, store, name, options, kind, words):
    with pytest.raises(kind, match=words):
        store.pull(name, **options)


def test_a_home_that_cannot_be_written(hub):
    with sonant.Engine(threads=1, home="/proc/sonant") as engine:
        assert any(entry.name == "openai/whisper-base" for entry in engine.models())
        assert engine.voices() == ()
        with pytest.raises(OSError, match="/proc/sonant"):
            engine.pull(REPO)
        with pytest.raises(OSError, match="/proc/sonant"):
            engine.add_voice("me", JFK)


def test_a_model_in_use_is_not_removed(store, home):
    os.makedirs(home + "/models")
    subprocess.run(["cp", "-r", str(TINY / "whisper"), home + "/models/mine"], check=True)
    with store.load("mine"), pytest.raises(sonant.BusyError):
        store.remove("mine")
    assert store.remove("mine") > 0


def clip(seconds=3.0, rate=22050):
    """A voice of a kind: pulses through a resonance."""
    at = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 120 * at) * (1 + 0.5 * np.sin(2 * np.pi * 3 * at))).astype(np.float32), rate


def test_a_voice_of_an_array_is_kept_exported_and_removed(store, tmp_path):
    samples, rate = clip()
    made = store.add_voice("hum", samples, rate=rate, model=YOURTTS, language="en", licence="CC0", origin="a formula")
    assert (made.name, made.kind, made.in_bank, made.language, made.licence, made.source) == (
        "hum",
        "embedding",
        True,
        "en",
        "CC0",
        "a formula",
    )
    assert made.embedding > 0 and made.created
    assert [voice.name for voice in store.voices()] == ["hum"]
    assert store.voices(pathlib.Path(YOURTTS)) == store.voices(YOURTTS)
    folder = store.export_voice("hum", tmp_path)
    assert folder == str(tmp_path / "hum") and os.path.isdir(folder)
    data = store.export_voice("hum", tmp_path / "hum.npy")
    store.add_voice("again", folder)
    with pytest.raises(ValueError, match='there is a voice "hum" already'):
        store.add_voice("hum", samples, rate=rate)
    store.add_voice("bytes", read(data), model=YOURTTS)
    a, b = (np.load(os.path.join(voice.path, "voice.npy")) for voice in store.voices() if voice.name in ("again", "bytes"))
    assert np.array_equal(a, b)
    store.remove_voice("hum")
    assert sorted(voice.name for voice in store.voices()) == ["again", "bytes"]
    with pytest.raises(FileNotFoundError, match="hum"):
        store.remove_voice("hum")


def test_a_model_speaks_with_voices_of_arrays(store):
    samples, rate = clip()
    noise = np.random.default_rng(1).normal(0, 0.1, len(samples)).astype(np.float32)
    with store.load(YOURTTS) as model:
        store.add_voice("hum", samples, rate=rate, model=model)
        store.add_voice("hiss", noise, rate=rate, model=model)

        def sound(voice):
            return np.concatenate([chunk.samples for chunk in store.speak_stream("Hello you.", model=model, voice=voice, seed=1)])

        hum, again, hiss = sound("hum"), sound("hum"), sound("hiss")
    assert len(hum) > 1000 and np.array_equal(hum, again) and not np.array_equal(hum, hiss)
    with pytest.raises(sonant.NotFoundError, match="nobody"):
        list(store.speak_stream("Hello.", model=YOURTTS, voice="nobody"))


def test_a_clip_of_a_path_of_bytes_and_of_a_file_is_the_same_voice(store):
    for name, source in (("path", JFK), ("bytes", JFK.read_bytes()), ("file", io.BytesIO(JFK.read_bytes()))):
        assert store.add_voice(name, source).kind == "clip"
    clips = [read(voice.path, "voice.wav") for voice in store.voices()]
    assert len(clips) == 3 and clips[0] == clips[1] == clips[2]


def test_speakers_inside_a_model(store):
    with store.load(str(TINY / "vits-sdp-multispeaker")) as model:
        inside = store.voices(model)
        assert len(inside) == model.info.speakers > 1 and all(voice.kind == "speaker" and not voice.in_bank for voice in inside)
        named = store.add_voice("second", speaker=inside[1].speaker, model=model)
    assert named.kind == "speaker" and named.speaker == inside[1].speaker
    with pytest.raises(ValueError, match="no data"):
        store.export_voice("second", "/tmp/x.npy")


@pytest.mark.parametrize(
    ("name", "source", "options", "kind", "words"),
    [
        ("../x", JFK, {}, ValueError, "cannot be called"),
        ("x", None, {}, ValueError, "a voice needs a clip"),
        ("x", b"not audio", {}, sonant.FormatError, "'the audio' is text"),
        ("x", clip(0.2)[0], {"rate": 22050}, ValueError, "the audio holds 0.20 s"),
        ("x", "/no/such.wav", {}, FileNotFoundError, "/no/such.wav"),
        ("x", JFK, {"model": str(TINY / "whisper")}, sonant.UnsupportedError, "neither speaks nor embeds"),
        ("x", JFK, {"model": 5}, TypeError, "model must be a name or a Model, not int"),
        ("x", 5, {}, TypeError, "not int"),
    ],
)
def test_bad_voices(store, name, source, options, kind, words):
    with pytest.raises(kind, match=words):
        store.add_voice(name, source, **options)
    assert store.voices() == ()


def test_temporary_files_do_not_stay(store, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store.add_voice("kept", clip()[0], rate=22050)
    with pytest.raises(sonant.FormatError):
        store.add_voice("spoilt", b"x" * 1000)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def test_remarks_of_the_library_go_to_the_logger(store, home, caplog):
    os.makedirs(home + "/voices/broken")
    with open(home + "/voices/broken/voice.json", "w") as file:
        file.write("{")
    with caplog.at_level(logging.INFO, "sonant"):
        assert store.voices() == ()
    assert [(record.name, record.levelname) for record in caplog.records] == [("sonant", "WARNING")]
    assert "broken" in caplog.text


def test_remarks_nobody_listens_to_are_not_printed(home):
    os.makedirs(home + "/voices/broken")
    code = f"import sonant; engine = sonant.Engine(threads=1, home={home!r}); engine.voices(); engine.close()"
    open(home + "/voices/broken/voice.json", "w").close()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_handler_that_fails_does_not_fail_the_call(store, home):
    class Failing(logging.Handler):
        def handle(self, _):
            raise RuntimeError("the handler is broken")

    os.makedirs(home + "/voices/broken")
    open(home + "/voices/broken/voice.json", "w").close()
    handler = Failing()
    logging.getLogger("sonant").addHandler(handler)
    try:
        assert store.voices() == ()
    finally:
        logging.getLogger("sonant").removeHandler(handler)


def test_the_default_model_knows_the_language(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "home/models").mkdir(parents=True)
    for name, fixture in (("wav2vec2-base-960h", "wav2vec2-base"), ("openai--whisper-small", "whisper")):
        (tmp_path / "home/models" / name).symlink_to(TINY / fixture)
    with sonant.Engine(threads=1, home=str(tmp_path / "home"), cache=False) as engine:
        assert engine.load(task="transcribe").name == "facebook/wav2vec2-base-960h"
        assert engine.load(task="transcribe", language="de").name == "openai/whisper-small"
        for language, name in (("en", "facebook/wav2vec2-base-960h"), ("German", "openai/whisper-small")):
            assert engine.transcribe(np.zeros(16000, np.float32), language=language).model == name
