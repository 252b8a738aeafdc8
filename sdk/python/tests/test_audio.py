"""Sound in memory: files of all formats, players, notebooks; with the engine's library and without it."""

import base64
import contextlib
import copy
import dataclasses
import io
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
import types
import wave
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import JFK, TINY

import sonant
from sonant import Audio

RATE = 22050
TONE = Audio((0.5 * np.sin(np.arange(RATE) * 0.1)).astype(np.float32), RATE)


def pcm_of(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


@pytest.fixture
def without_library(monkeypatch):
    """The package as it is where only a client was wanted."""
    monkeypatch.setitem(sys.modules, "sonant._native", None)


@contextlib.contextmanager
def programs(folder, monkeypatch, **scripts):
    """Only these programs are there."""
    for name, script in scripts.items():
        path = folder / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    yield


# -- files --


def test_a_wav_holds_the_samples():
    pcm, rate = pcm_of(TONE.to_bytes())
    assert rate == RATE and np.array_equal(pcm, np.floor(TONE.samples * np.float32(32768)))
    assert np.array_equal(pcm_of(Audio.load(TONE.to_bytes()).to_bytes())[0], pcm)
    assert len(pcm_of(Audio(np.zeros(0, np.float32), 16000).to_bytes())[0]) == 0
    loud = Audio(np.array([-2, -1, 0, 1, 2], np.float32), 8000)
    assert list(pcm_of(loud.to_bytes())[0][[0, 2, 4]]) == [-32768, 0, 32767]


def test_the_library_and_the_standard_library_write_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    audio = Audio(rng.uniform(-1.1, 1.1, 50000).astype(np.float32), 16000)
    by_library = pcm_of(audio.to_bytes())[0]
    monkeypatch.setitem(sys.modules, "sonant._native", None)
    assert np.array_equal(pcm_of(audio.to_bytes())[0], by_library)


@pytest.mark.parametrize(("ending", "near"), [("wav", 1e-4), ("flac", 1e-4), ("opus", 0.1), ("mp3", 0.1)])
def test_what_is_saved_is_loaded_again(tmp_path, ending, near):
    path = tmp_path / f"tone.{ending}"
    TONE.save(path)
    again = Audio.load(path)
    assert again.sample_rate == (24000 if ending == "opus" else RATE)
    count = min(len(again.samples), RATE) // 2
    level = np.sqrt(np.mean(again.samples[:count] ** 2))
    assert abs(again.duration - 1) < 0.1 and abs(level - np.sqrt(np.mean(TONE.samples[:count] ** 2))) < near
    assert Audio.load(path.read_bytes()).sample_rate == Audio.load(str(path)).sample_rate == again.sample_rate
    with open(path, "rb") as file:
        assert np.array_equal(Audio.load(file).samples, again.samples)
    assert again.samples.dtype == np.float32 and Audio.load(path, rate=8000).sample_rate == 8000


def test_formats_by_name(tmp_path):
    TONE.save(tmp_path / "sound", format="flac")
    assert (tmp_path / "sound").read_bytes()[:4] == b"fLaC"
    TONE.save(tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes() == TONE.to_bytes()
    assert len(TONE.to_bytes("pcm")) == 2 * RATE and TONE.to_bytes("opus")[:4] == b"OggS" and TONE.to_bytes("flac")[:4] == b"fLaC"
    assert pcm_of(TONE.to_bytes(rate=8000))[1] == 8000
    assert len(TONE.to_bytes("mp3", bitrate=32000)) < len(TONE.to_bytes("mp3", bitrate=128000))


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(sonant.ArgumentError, match="wav, flac, mp3, opus"):
        TONE.save(tmp_path / "sound", format="jpeg")
    with pytest.raises(sonant.ArgumentError, match="jpeg"):
        TONE.to_bytes("jpeg")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TONE.save(tmp_path / "nowhere" / "sound.wav")
    with pytest.raises(sonant.ArgumentError, match="standard output"):
        TONE.save("-")
    for path in (5, b"sound.wav", None):
        with pytest.raises(TypeError, match=r"path|PathLike"):
            TONE.save(path)
    for samples, kind, words in (
        (np.array([0, np.nan], np.float32), sonant.FormatError, "frame 1 is nan"),
        (np.zeros((2, 3, 4), np.float32), sonant.ArgumentError, "shape"),
        (np.array(["a"]), TypeError, "float32"),
    ):
        with pytest.raises(kind, match=words):
            Audio(samples, 16000).save(tmp_path / "bad.wav")
    with pytest.raises(sonant.ArgumentError, match="5 Hz"):
        Audio(np.zeros(9, np.float32), 5).to_bytes()
    for option in ("rate", "bitrate"):
        with pytest.raises(sonant.ArgumentError, match=f"{option} is 0"):
            TONE.to_bytes("mp3", **{option: 0})
    assert os.listdir(tmp_path) == []


def test_what_is_no_audio_is_not_loaded(tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(sonant.FormatError):
        Audio.load(tmp_path / "text.wav")
    with pytest.raises(FileNotFoundError, match="nothing"):
        Audio.load(tmp_path / "nothing.wav")
    with pytest.raises(TypeError, match="path, bytes"):
        Audio.load(5)
    with pytest.raises(TypeError, match="takes samples"):
        Audio.load(np.zeros(9, np.float32))
    with pytest.raises(sonant.ArgumentError, match="rate"):
        Audio.load(JFK, rate=5)


def test_channels_are_averaged_and_the_rate_is_kept(tmp_path):
    left, right = np.full(800, 8000, "<i2"), np.full(800, 4000, "<i2")
    with wave.open(str(tmp_path / "two.wav"), "wb") as file:
        file.setparams((2, 2, 11025, 0, "NONE", ""))
        file.writeframes(np.stack([left, right], 1).tobytes())
    audio = Audio.load(tmp_path / "two.wav")
    assert audio.sample_rate == 11025 and np.allclose(audio.samples, 6000 / 32768, atol=1e-6) and len(audio.samples) == 800


# -- in memory --


def test_it_is_resampled():
    half = TONE.resample(RATE // 2)
    assert half.sample_rate == RATE // 2 and half.duration == pytest.approx(1, abs=0.01)
    assert np.sqrt(np.mean(half.samples**2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.01)
    assert TONE.resample(RATE).samples is TONE.samples
    for rate, kind in ((0, sonant.ArgumentError), (16000.5, TypeError), (None, TypeError)):
        with pytest.raises(kind, match="rate"):
            TONE.resample(rate)


def test_pieces_are_joined(engine):
    with engine.speak_stream("Hello there. How are you?", model=str(TINY / "vits-sdp")) as stream:
        whole = Audio.join(stream)
    assert whole.duration == pytest.approx(stream.result.duration) and type(whole) is Audio
    with pytest.raises(sonant.ArgumentError, match="8000, 22050 Hz"):
        Audio.join([TONE, Audio(np.zeros(8, np.float32), 8000)])
    with pytest.raises(sonant.ArgumentError, match="no audio"):
        Audio.join([])


def test_speech_is_plain_data(engine):
    speech = engine.speak("Hello there.", model=str(TINY / "vits-sdp"), retries=0)
    plain = dataclasses.asdict(speech)
    assert np.array_equal(plain["samples"], speech.samples) and plain["sample_rate"] == speech.sample_rate
    for twin in (pickle.loads(pickle.dumps(speech)), copy.deepcopy(speech)):
        assert np.array_equal(twin.samples, speech.samples) and twin.model == speech.model and twin.notes == speech.notes
    assert "samples" not in repr(speech)


# -- notebooks --


@pytest.mark.parametrize("seconds", [0, 1, 700])
def test_a_notebook_gets_a_player(seconds):
    html = Audio(np.zeros(seconds * 1000, np.float32), 1000)._repr_html_()
    tree = ElementTree.fromstring(html)
    player = tree.find("audio")
    assert f"{seconds:.2f} s" in "".join(tree.itertext())
    if seconds:
        kind, data = player.get("src").split(",", 1)
        assert kind == "data:audio/wav;base64" and player.get("controls")
        assert len(pcm_of(base64.b64decode(data, validate=True))[0]) == min(seconds, 600) * 1000
    assert ("the first 600 s" in html) == (seconds > 600)


# -- playing --


def test_without_a_player_it_says_what_would_be_one(tmp_path, monkeypatch):
    with programs(tmp_path, monkeypatch), pytest.raises(sonant.DependencyError, match=r"sounddevice.*paplay.*aplay.*ffplay"):
        TONE.play()


def test_the_first_program_that_works_plays(tmp_path, monkeypatch):
    copied = f'/bin/cat "$#" 2>/dev/null; for last; do :; done; /bin/cat "$last" > {tmp_path}/heard-$0'.replace("$0", "${0##*/}")
    with programs(tmp_path, monkeypatch, paplay="echo no server >&2; exit 1", aplay=copied, ffplay=copied):
        TONE.play()
        assert (tmp_path / "heard-aplay").read_bytes() == TONE.to_bytes() and not (tmp_path / "heard-ffplay").exists()
        (tmp_path / "heard-aplay").unlink()
    with programs(tmp_path, monkeypatch, paplay="echo no server >&2; exit 1", aplay="exit 3", ffplay="exit 0"):
        TONE.play()
        (tmp_path / "ffplay").unlink()
        with pytest.raises(OSError, match=r"paplay: no server; aplay: exit status 3"):
            TONE.play()
    Audio(np.zeros(0, np.float32), 16000).play()


def test_it_plays_on_by_itself(tmp_path, monkeypatch):
    with programs(tmp_path, monkeypatch, paplay=f"/bin/sleep 5; echo > {tmp_path}/done"):
        start = time.monotonic()
        TONE.play(wait=False)
        assert time.monotonic() - start < 4.5 and not (tmp_path / "done").exists()
        while not (tmp_path / "done").exists():
            assert time.monotonic() - start < 60
            time.sleep(0.01)


def test_ctrl_c_stops_what_plays(tmp_path, monkeypatch):
    with programs(tmp_path, monkeypatch, paplay=f"echo $$ > {tmp_path}/pid; exec /bin/sleep 100"):

        def interrupt():
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            TONE.play()
        assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")


def test_sounddevice_comes_first(tmp_path, monkeypatch):
    told = []

    class PortAudioError(Exception):
        pass

    def play(samples, rate):
        told.append((len(samples), rate))
        if fails:
            raise PortAudioError("no device")

    fake = types.SimpleNamespace(
        play=play, wait=lambda: told.append("wait"), stop=lambda: told.append("stop"), PortAudioError=PortAudioError
    )
    with programs(tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        fails = False
        TONE.play()
        TONE.play(wait=False)
        assert told == [(RATE, RATE), "wait", (RATE, RATE)]
        fails = True
        with pytest.raises(OSError, match="sounddevice: no device"):
            TONE.play()


# -- without the engine's library --


def test_wav_needs_no_library(tmp_path, without_library):
    path = tmp_path / "tone.wav"
    TONE.save(path)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        again = Audio.load(source)
        assert again.sample_rate == RATE and np.allclose(again.samples, TONE.samples, atol=1e-4)
    assert TONE._repr_html_().startswith("<div><audio") and os.listdir(tmp_path) == ["tone.wav"]
    assert Audio.load(path).resample(RATE).sample_rate == RATE


def test_the_rest_says_that_it_needs_the_library(tmp_path, without_library):
    for attempt in (
        lambda: TONE.save(tmp_path / "tone.mp3"),
        lambda: TONE.to_bytes("flac"),
        lambda: TONE.to_bytes(rate=8000),
        lambda: TONE.resample(8000),
        lambda: Audio.load(b"fLaC" * 9),
    ):
        with pytest.raises(sonant.DependencyError, match=r"library"):
            attempt()
    with pytest.raises(FileNotFoundError, match="nothing"):
        Audio.load(tmp_path / "nothing.wav")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TONE.save(tmp_path / "nowhere" / "tone.wav")
    with pytest.raises(sonant.ArgumentError, match="jpeg"):
        TONE.to_bytes("jpeg")
    with pytest.raises(TypeError, match="not int"):
        Audio.load(5)


def test_audio_is_imported_without_the_library_and_without_numpy():
    code = """
import sys
sys.modules["sonant._native"] = None
from sonant.audio import Audio
import sonant.types
heavy = [name for name in ("numpy", "subprocess", "wave", "_cffi_backend") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_documentation_names_every_format():
    assert set(re.findall(r'"(\w+)"', (Audio.save.__doc__ or ""))) >= {"wav", "flac", "mp3", "opus", "pcm"}
