"""Models written as ONNX and with narrower weights: what is written and told, that it loads, and what ends it or is refused."""

import asyncio
import dataclasses
import inspect
import json
import os
import shutil
import signal
import threading

import numpy as np
import pytest
from conftest import JFK, TINY, needs_model

import sonant

WHISPER, VITS, PIPER = (str(TINY / name) for name in ("whisper", "vits-sdp-multispeaker", "vits-piper"))
PLAIN = {"beam_size": 1, "fallback": False, "vad": False}


def manifest(path):
    with open(os.path.join(path, "manifest.json")) as file:
        return json.load(file)


# ---- export ----


def test_what_is_exported_is_told(engine, tmp_path):
    folder = tmp_path / "onnx"
    made = engine.export(WHISPER, folder, sequences=2)
    said = manifest(folder)
    assert (made.path, made.architecture, made.task) == (str(folder), "whisper", "transcribe")
    assert [(graph.name, graph.file) for graph in made.graphs] == [(graph["name"], graph["file"]) for graph in said["graphs"]]
    encoder, decoder, _ = made.graphs
    assert "mel" in encoder.inputs and "logits" in decoder.outputs and "self0.keys" in decoder.states
    rows, width = next(state["shape"] for state in said["graphs"][1]["states"] if state["input"] == "self0.keys")
    assert rows == 2 * said["whisper"]["target_positions"] and width > 0
    assert made.bytes == sum(path.stat().st_size for path in folder.iterdir()) and made.parameters == said["parameters"] > 0
    assert json.loads(json.dumps(dataclasses.asdict(made)))["graphs"][0]["file"] == "encoder.onnx"


def test_a_voice_and_a_loaded_model_are_exported(engine, tmp_path):
    assert [graph.name for graph in engine.export(PIPER, tmp_path / "piper").graphs][:2] == ["text", "flow"]
    with engine.load(VITS) as model:
        made = engine.export(model, str(tmp_path / "vits"))
    assert made.task == "speak" and "speaker" in made.graphs[0].inputs


# ---- quantize ----


def test_a_whisper_with_narrower_weights_transcribes(engine, tmp_path):
    made = engine.quantize(WHISPER, tmp_path / "int8", precision="int8")
    assert (made.path, made.model, made.architecture, made.precision) == (str(tmp_path / "int8"), "whisper", "whisper", "int8")
    assert made.bytes < made.bytes_before <= made.bytes_f32 == 4 * made.parameters
    assert 0 < made.error < 0.02 and {layer.type for layer in made.layers} >= {"int8"}
    layer = next(layer for layer in made.layers if layer.type == "int8")
    assert layer.name.startswith("model.") and layer.rows >= 32 <= layer.columns and 0 < layer.error < 0.02
    assert layer.bytes == layer.rows * (layer.columns + 4) < layer.bytes_before
    assert (made.texts, made.words, made.wer_before, made.wer_after) == (0, 0, None, None)
    with engine.load(made.path, precision="f32") as narrow, engine.load(WHISPER, precision="f32") as whole:
        mine, theirs = (engine.transcribe(JFK, model=model, **PLAIN) for model in (narrow, whole))
    assert mine.text and mine.language == theirs.language and mine.avg_confidence == pytest.approx(theirs.avg_confidence, rel=0.2)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_voice_with_narrower_weights_speaks(engine, tmp_path, precision):
    with engine.load(VITS) as model:
        made = engine.quantize(model, tmp_path / "voice", precision=precision)
        whole = engine.speak("hello there.", model=model, seed=1, retries=0)
    assert made.precision == made.dtype == precision and made.bytes < 0.6 * made.bytes_f32
    speech = engine.speak("hello there.", model=made.path, seed=1, retries=0)
    assert speech.duration == pytest.approx(whole.duration, rel=0.2) and np.abs(speech.samples).max() > 0


def test_word_errors_are_measured(engine, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(JFK, clips / "one.wav")
    (clips / "one.txt").write_text("and so my fellow americans")
    parts = []
    made = engine.quantize(
        WHISPER, tmp_path / "out", precision="bf16", measure=clips, language="en", progress=lambda *part: parts.append(part)
    )
    assert (made.texts, made.words) == (1, 5) and made.wer_before > 0 and made.wer_after > 0
    assert parts[-2:] == [(str(clips / "one.txt"), None)] * 2


@needs_model("whisper-tiny.en")
def test_word_errors_of_a_real_model(engine, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(JFK, clips)
    (clips / "jfk.txt").write_text(
        "And so my fellow Americans ask not what your country can do for you ask what you can do for your country."
    )
    made = engine.quantize("tiny.en", tmp_path / "out", precision="int8", measure=clips)
    assert (made.words, made.wer_before, made.wer_after) == (22, 0, 0) and made.bytes < made.bytes_f32 / 2


# ---- progress, cancelling ----

CALLS = {
    "export": lambda engine, folder, **more: engine.export(WHISPER, folder, **more),
    "quantize": lambda engine, folder, **more: engine.quantize(WHISPER, folder, precision="int8", **more),
}


def test_progress_names_graphs_and_tensors(engine, tmp_path):
    graphs, tensors = [], []
    engine.export(WHISPER, tmp_path / "a", progress=lambda *part: graphs.append(part))
    assert len(graphs) == 3 and all(share is None for _, share in graphs) and "decoder" in graphs[1][0]
    made = engine.quantize(WHISPER, tmp_path / "b", precision="int8", progress=lambda *part: tensors.append(part))
    shares = [share for _, share in tensors]
    assert shares == sorted(shares) and 0 <= shares[0] <= shares[-1] <= 1
    assert {layer.name for layer in made.layers} <= {name for name, _ in tensors}


@pytest.mark.parametrize("call", CALLS)
def test_a_bar(engine, tmp_path, capsys, call):
    CALLS[call](engine, tmp_path / "out", progress=True)
    shown = capsys.readouterr().err
    assert ("exporting" in shown and "3 parts" in shown) if call == "export" else ("quantizing: 100%" in shown)


@pytest.mark.parametrize("call", CALLS)
def test_what_ends_a_call_leaves_nothing(engine, tmp_path, call):
    cancelled, seen = threading.Event(), []

    def stop(part, _share):
        seen.append(part)
        if len(seen) == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        CALLS[call](engine, tmp_path / "out", progress=stop)
    assert len(seen) == 2
    with pytest.raises(sonant.CancelledError):
        CALLS[call](engine, tmp_path / "out", progress=lambda *_: cancelled.set(), cancel=cancelled)
    with pytest.raises(KeyboardInterrupt):
        CALLS[call](engine, tmp_path / "out", progress=lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert list(tmp_path.iterdir()) == []
    CALLS[call](engine, tmp_path / "out")


def test_a_cancelled_task_ends_its_call(tmp_path):
    async def script():
        async with sonant.AsyncEngine(threads=1) as engine:
            begun, go_on = threading.Event(), threading.Event()

            def wait(_part, _share):
                begun.set()
                go_on.wait(20)

            task = asyncio.create_task(engine.quantize(WHISPER, tmp_path / "out", precision="bf16", progress=wait))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            while list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)
            assert (await engine.export(WHISPER, tmp_path / "out")).graphs

    asyncio.run(asyncio.wait_for(script(), 60))


# ---- bad input ----


@pytest.mark.parametrize("call", CALLS)
def test_a_folder_with_files_is_left_alone(engine, tmp_path, call):
    (tmp_path / "mine").write_text("mine")
    for folder, words in ((tmp_path, "not empty"), (tmp_path / "mine", "is a file")):
        with pytest.raises(ValueError, match=words):
            CALLS[call](engine, folder)
    with pytest.raises(FileNotFoundError, match="none"):
        CALLS[call](engine, tmp_path / "none" / "out")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("call", "model", "options", "kind", "words"),
    [
        ("export", "nonsense", {}, FileNotFoundError, "nonsense"),
        ("export", 5, {}, TypeError, "model must be text, not int"),
        ("export", WHISPER, {"sequences": 0}, ValueError, "sequences is 0; it may be 1 to 64"),
        ("export", WHISPER, {"sequences": 65}, ValueError, "65 sequences"),
        ("export", WHISPER, {"windows": -1}, ValueError, "-1 windows"),
        ("export", WHISPER, {"windows": 1.5}, TypeError, "windows must be a whole number"),
        ("export", WHISPER, {"task": "speak"}, sonant.UnsupportedError, "speak"),
        ("export", WHISPER, {"task": "sing"}, ValueError, "task is 'sing'; it may be 'transcribe'"),
        ("export", WHISPER, {"progress": 5}, TypeError, "progress must be a function of a part"),
        ("export", WHISPER, {"cancel": 5}, TypeError, "cancel must be an event"),
        ("quantize", WHISPER, {"precision": "int4"}, ValueError, "precision is 'int4'; it may be 'int8', 'bf16'"),
        ("quantize", WHISPER, {"precision": "f32"}, ValueError, "precision is 'f32'; it may be 'int8', 'bf16'"),
        ("quantize", WHISPER, {"precision": None}, ValueError, "precision is None; it may be 'int8', 'bf16'"),
        ("quantize", "nonsense", {}, FileNotFoundError, "nonsense"),
        ("quantize", PIPER, {}, sonant.UnsupportedError, "inside of an ONNX graph"),
        ("quantize", WHISPER, {"measure": "/no/such"}, FileNotFoundError, "/no/such"),
        ("quantize", WHISPER, {"measure": TINY}, ValueError, "0 texts"),
        ("quantize", WHISPER, {"measure": TINY / "whisper"}, FileNotFoundError, "merges.txt' has no clip"),
    ],
)
def test_bad_options(engine, tmp_path, call, model, options, kind, words):
    more = {"precision": "int8", **options} if call == "quantize" else options
    with pytest.raises(kind, match=words):
        getattr(engine, call)(model, tmp_path / "out", **more)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_must_be_a_path(engine):
    with pytest.raises(TypeError, match="directory must be text, not int"):
        engine.export(WHISPER, 5)


@needs_model("kokoro")
def test_what_comes_as_onnx_is_not_exported(engine, tmp_path):
    with pytest.raises(sonant.UnsupportedError, match="ONNX"):
        engine.export("kokoro", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_leave_nothing(engine, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(WHISPER, broken)
    weights = broken / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-5000])
    for call in (engine.export, engine.quantize):
        more = {"precision": "int8"} if call == engine.quantize else {}
        with pytest.raises(sonant.ModelError, match=r"model\.safetensors"):
            call(str(broken), tmp_path / "out", **more)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_a_closed_engine(tmp_path):
    engine = sonant.Engine(threads=1)
    engine.close()
    for call in CALLS.values():
        with pytest.raises(sonant.ClosedError):
            call(engine, tmp_path / "out")


def test_the_precision_has_to_be_said():
    assert inspect.signature(sonant.Engine.quantize).parameters["precision"].default is inspect.Parameter.empty
