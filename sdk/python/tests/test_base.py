"""What everything stands on: lives of engines and models, errors, what importing costs."""

import dataclasses
import gc
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import SOURCE, TINY, needs_model

import sonant

WHISPER = str(TINY / "whisper")


def test_an_engine_says_what_it_runs_on(engine):
    assert engine.threads >= 1 and engine.cpu and engine.home


def test_a_model_says_what_it_is(engine):
    with engine.load(WHISPER) as model:
        assert (model.info.architecture, model.task, model.info.sample_rate) == ("whisper", "transcribe", 16000)
        assert model.info.memory_most >= model.info.memory > 0 and model.info.mel == ""
        assert "en" in model.info.languages and model.info.detects_language and "whisper" in repr(model)


def test_precision_and_dtype_are_two_names_of_one(engine):
    """Of what a model says of itself, and of what it made; neither can be set."""
    samples = np.sin(np.arange(16000)).astype(np.float32)
    with engine.load(WHISPER, precision="f32") as model, engine.load(str(TINY / "vits-sdp"), precision="f32") as voice:
        heard = engine.transcribe(samples, rate=16000, model=model, beam_size=1, fallback=False, vad=False)
        spoken = engine.speak("Hello.", model=voice, retries=0)
        results = (model.info, heard, heard.attempts[0], spoken)
        assert {(result.precision, result.dtype) for result in results} == {("f32", "f32")}
    for result in results:
        with pytest.raises((AttributeError, TypeError)):
            result.dtype = result.precision = "int8"
        assert {"precision", "dtype"} - {field.name for field in dataclasses.fields(result)}, "one is stored, one is asked for"


@needs_model("joe")
def test_a_voice_says_its_controls(engine):
    assert "speed" in engine.load("joe").info.controls


def test_a_model_says_what_its_mel_spectrograms_mean(engine):
    assert "mels" in engine.load(str(TINY / "fastspeech2-coqui")).info.mel


def test_a_backend_that_is_not_there_is_no_other(engine):
    with engine.load(WHISPER) as model:
        assert model.info.backend == "cpu"
    with pytest.raises(ValueError, match="ort:cuda"):
        sonant.Engine(backend="gpu")
    missing = ""
    try:
        with sonant.Engine(backend="ort") as other, other.load(WHISPER) as model:
            assert model.info.backend.startswith("ort:cpu")
    except sonant.DependencyError as error:
        missing = str(error)
    assert not missing or "onnxruntime" in missing


def test_an_unknown_model_is_a_file_that_is_not_found(engine):
    with pytest.raises(FileNotFoundError, match="nonsense") as caught:
        engine.load("nonsense")
    assert isinstance(caught.value, sonant.NotFoundError) and caught.value.code == "SN_E_NOT_FOUND" and caught.value.status == 404


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"threads": 999}, ValueError, "999 threads"),
        ({"threads": "two"}, TypeError, "threads must be a whole number, not str"),
        ({"threads": 2**40}, ValueError, "threads is 1099511627776"),
        ({"precision": "f16"}, ValueError, "precision is 'f16'; it may be 'auto', 'f32', 'bf16', 'int8'"),
        ({"threads": 0}, ValueError, "threads is 0; it may be 1 to 256, and None is the default"),
        ({"max_memory": 0}, ValueError, "max_memory is 0"),
        ({"home": 5}, TypeError, "home must be text, not int"),
        ({"home": "a\0b"}, ValueError, "NUL"),
    ],
)
def test_bad_options_of_an_engine(options, kind, words):
    with pytest.raises(kind, match=words):
        sonant.Engine(**options)


def open_sessions(engine):
    from sonant._binding import ffi, lib

    stats = ffi.new("sn_engine_stats *")
    with engine._handle as pointer:
        lib.sn_engine_measure(pointer, stats)
    return sum(stats.sessions)


@pytest.mark.parametrize("what", ["session", "model"])
def test_an_interrupt_behind_an_opening_leaves_nothing_open(engine, monkeypatch, what):
    """A Ctrl-C during a call of C is raised when that has returned."""
    from sonant import _base, _sessions
    from sonant._binding import lib

    class Interrupting:
        def __getattr__(self, name):
            function = getattr(lib, name)
            return (lambda *args: (function(*args), interrupt())) if name in ("sn_stt_open", "sn_model_load") else function

    def interrupt():
        raise KeyboardInterrupt

    model, descriptors, freed = engine.load(WHISPER), len(os.listdir("/proc/self/fd")), []
    monkeypatch.setattr(_sessions if what == "session" else _base, "lib", Interrupting())
    monkeypatch.setattr(
        Interrupting, "sn_model_release", lambda _, held: (freed.append(held[0]), lib.sn_model_release(held)), raising=False
    )
    with pytest.raises(KeyboardInterrupt):
        engine.listener(model=model) if what == "session" else engine.load(WHISPER)
    gc.collect()
    assert open_sessions(engine) == 0 and len(os.listdir("/proc/self/fd")) == descriptors
    assert what == "session" or (len(freed) == 1 and freed[0])


def test_what_is_closed_says_so():
    engine = sonant.Engine(threads=1)
    model = engine.load(WHISPER)
    model.close()
    model.close()
    engine.close()
    engine.close()
    with pytest.raises(sonant.ClosedError, match="the engine is closed"):
        engine.load(WHISPER)
    assert "closed" in repr(model)


def test_an_engine_that_nobody_holds_goes_at_once():
    """With its threads and models, also those that it loaded itself: collecting garbage knows nothing of their size."""
    before = len(os.listdir("/proc/self/task"))
    gc.disable()
    try:
        engine = sonant.Engine(threads=2)
        engine.transcribe(np.zeros(16000, np.float32), model=WHISPER, beam_size=1)
        assert len(os.listdir("/proc/self/task")) > before
        del engine
        end = time.monotonic() + 5
        while len(os.listdir("/proc/self/task")) > before and time.monotonic() < end:
            time.sleep(0.01)  # a thread that was joined is listed for a moment longer
        assert len(os.listdir("/proc/self/task")) <= before
    finally:
        gc.enable()


def test_a_zero_that_would_mean_the_default(engine):
    with pytest.raises(ValueError, match="windows is 0; it may be 1 to 32"):
        engine.load(WHISPER, windows=0)


def test_a_model_of_a_closed_engine_is_closed():
    with sonant.Engine(threads=1) as engine:
        model = engine.load(WHISPER)
    with pytest.raises(sonant.ClosedError), model._handle:
        pass


def test_a_fork_is_told_to_open_its_own():
    """The child must neither hang on the parent's threads nor free them."""
    code = f"""
import os, sys, sonant
engine = sonant.Engine(threads=1)
model = engine.load({WHISPER!r})
child = os.fork()
if child == 0:
    try:
        engine.load({WHISPER!r})
    except sonant.ClosedError as error:
        good = "open an engine here" in str(error)
    model.close(); engine.close()
    with sonant.Engine(threads=1) as own:
        own.load({WHISPER!r})
    sys.exit(0 if good else 1)
_, status = os.waitpid(child, 0)
engine.load({WHISPER!r}).close()
engine.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_errors_are_those_of_the_header():
    done = subprocess.run([sys.executable, str(SOURCE / "sdk/python/tools/errors.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_librarys():
    from sonant._binding import lib, text

    assert text(lib.sn_version()) == sonant.__version__


@pytest.mark.skipif("PRELOAD" in os.environ, reason="times mean nothing under sanitizers")
def test_importing_is_cheap():
    """At most 20 ms beyond numpy, and nothing heavy."""
    code = """
import sys, time, numpy
start = time.perf_counter()
import sonant
spent = time.perf_counter() - start
heavy = [name for name in ("torch", "httpx", "websockets", "tqdm", "asyncio", "_cffi_backend") if name in sys.modules]
assert not heavy, heavy
print(spent)
"""
    spent = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    assert min(spent) < 0.02, spent
