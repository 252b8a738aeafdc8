"""The interface of the inference frameworks: the two programs that it is known by, and what its dictionaries hold."""

import asyncio
import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
import wave

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant
from sonant.framework import TorchInferenceFramework

VOICE, WHISPER = str(TINY / "vits-sdp"), str(TINY / "whisper")
QUICK = {"text": "hello.", "return_quality": False}
tiny = needs_model("whisper-tiny.en")

WELCOME = """
import asyncio
import base64

from framework import TorchInferenceFramework


async def main():
    framework = TorchInferenceFramework()
    framework.download_and_load_model(
        source="huggingface",
        model_id="joe",
        model_name="speecht5_optimized",
        optimize=True,
        optimization_level="balanced",
    )
    result = await framework.predict_async(
        {
            "text": "Welcome to our service. It is good to have you here.",
            "voice": "neutral",
            "speed": 1.0,
            "emotion": "cheerful",
            "language": "en-US",
        }
    )
    if result["success"]:
        with open("welcome_speech.wav", "wb") as file:
            file.write(base64.b64decode(result["audio_data"]))
        print(f"Speech of {result['duration']:.2f} s in {result['processing_time']:.3f} s")
        print(f"Quality: {result['quality_score']:.2f} of 5")


asyncio.run(main())
"""
MEETING = """
import asyncio
from pathlib import Path

from framework import TorchInferenceFramework


async def main():
    framework = TorchInferenceFramework()
    framework.download_and_load_model(
        source="huggingface",
        model_id="openai/whisper-base",
        model_name="whisper_optimized",
        optimize=True,
        optimization_level="speed",
    )
    result = await framework.predict_async(
        {
            "audio_file": Path("meeting_recording.wav"),
            "language": "auto",
            "return_timestamps": True,
            "return_confidence": True,
            "noise_reduction": True,
        }
    )
    if result["success"]:
        print(f"Text: {result['text']}")
        print(f"Language: {result['language']} ({result['language_confidence']:.2f})")
        print(f"Time: {result['processing_time']:.3f} s, confidence {result['avg_confidence']:.2f}")
        for word_info in result["word_timestamps"]:
            print(f"  {word_info['start']:.2f} - {word_info['end']:.2f}: {word_info['word']}")


asyncio.run(main())
"""
LAST = "\nimport sys\nassert not [name for name in ('torch', 'transformers', 'faster_whisper') if name in sys.modules]\n"


def run(program, folder):
    done = subprocess.run([sys.executable, "-c", program + LAST], cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_model("joe")
def test_the_program_that_welcomes(tmp_path):
    printed = run(WELCOME, tmp_path)
    assert "Quality: " in printed and "of 5" in printed
    with wave.open(str(tmp_path / "welcome_speech.wav")) as file:
        seconds = file.getnframes() / file.getframerate()
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2) and 2 < seconds < 8
    assert f"Speech of {seconds:.2f} s" in printed


@needs_model("whisper-base")
def test_the_program_that_transcribes_a_meeting(tmp_path):
    os.symlink(JFK, tmp_path / "meeting_recording.wav")
    lines = run(MEETING, tmp_path).splitlines()
    assert words(lines[0].removeprefix("Text: ")) == JFK_TEXT and lines[1].startswith("Language: en (")
    times = [line.split(":")[0].split("-") for line in lines[3:]]
    assert len(times) == len(JFK_TEXT.split()) and all(0 <= float(start) <= float(end) <= 11 for start, end in times)


@pytest.fixture(scope="module")
def framework(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        framework.download_and_load_model(model_id=VOICE, model_name="voice", optimization_level="quality")
        yield framework


def named(result):
    return {note["code"]: note["message"] for note in result["notes"]}


def test_controls_that_a_model_lacks_are_named(framework):
    given = {"text": "hello there.", "voice": "neutral", "speed": 1.1, "pitch": 1.5, "emotion": "cheerful", "language": "xx"}
    given |= {"colour": 3, "return_quality": False}
    result = framework.predict(given)
    assert result["success"] and json.loads(json.dumps(result)) == result
    said = [note["message"] for note in result["notes"] if note["code"] == "ignored"]
    assert [text.split(" ")[0] for text in said] == ["colour", "voice", "language", "emotion", "pitch"]
    assert result["duration"] > 0 and 1 <= result["quality_score"] <= 5 and result["sample_rate"] == 16000
    quiet = framework.predict(
        {"text": "hello there.", "voice": "default", "speed": 1.0, "pitch": 1, "emotion": "neutral", "language": "auto"}
    )
    assert "ignored" not in named(quiet)


@needs_model("dnsmos")
def test_speech_is_rated_or_measured(framework):
    rated, measured = framework.predict({"text": "hello."}), framework.predict(QUICK)
    assert "quality_measured" not in named(rated) and "return_quality" in named(measured)["quality_measured"]
    assert all(1 <= result["quality_score"] <= 5 for result in (rated, measured))


def test_speech_is_that_of_the_engine(framework, engine):
    result = framework.predict({"text": "hello there.", "seed": 3, "speed": 1.5, "return_quality": False})
    with wave.open(io.BytesIO(base64.b64decode(result["audio_data"]))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    speech = engine.speak("hello there.", model=engine.load(VOICE, precision="f32"), seed=3, speed=1.5)
    assert result["duration"] == pytest.approx(speech.duration) and np.abs(samples / 32768 - speech.samples).max() < 1e-3


def test_levels_of_optimisation_are_precisions(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        for level, precision in {"quality": "f32", "balanced": "bf16", "speed": "int8"}.items():
            facts = framework.download_and_load_model(model_id=WHISPER, model_name=level, optimization_level=level)
            assert (facts["precision"], facts["optimization_level"], facts["model_name"]) == (precision, level, level)
        facts = framework.download_and_load_model("local", WHISPER, "own", optimize=False)
        assert facts["optimization_level"] is None and framework.loaded_models == ("quality", "balanced", "speed", "own")


def test_a_model_with_one_precision_comes_in_that(engine):
    refused = pytest.raises(sonant.UnsupportedError, match="'embed'")  # its task, not that it has no int8
    with TorchInferenceFramework(engine=engine) as framework, refused:
        framework.download_and_load_model(model_id=str(TINY / "xvector"), model_name="ear", optimization_level="speed")


@tiny
def test_transcripts(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        framework.download_and_load_model(model_id="openai/whisper-tiny.en", optimization_level="speed")
        given = {"audio_file": JFK, "language": "de", "beam_size": 1, "noise_reduction": False}
        full, plain = framework.predict_batch([given, {**given, "return_timestamps": False, "return_confidence": False}])
        assert full["success"] and words(full["text"]) == JFK_TEXT and full["duration"] == 11.0
        assert json.loads(json.dumps(full)) == full and "has en" in named(full)["ignored"]
        first = full["word_timestamps"][0]
        assert first["word"] == "And" and 0 <= first["start"] < first["end"] < 2 and 0 < first["confidence"] <= 1
        assert 0.5 < full["avg_confidence"] <= 1 and full["segments"][0]["words"][0] == first
        assert plain["text"] == full["text"] and plain["word_timestamps"] == [] and "avg_confidence" not in plain
        silence = framework.predict({"audio": np.zeros(48000, np.float32), "sample_rate": 48000, "beam_size": 1})
        assert silence["success"] and silence["text"] == "" and silence["notes"]


@needs_model("silero-vad")
def test_a_region_of_a_language_is_its_language(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        framework.load_model(WHISPER)
        result = framework.predict({"audio": np.zeros(16000, np.float32), "language": "en-US", "vad": True})
        assert result["success"] and result["language"] == "en" and "taken as 'en'" in named(result)["language_region"]


def test_the_last_model_of_a_kind_answers_unless_one_is_named(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        framework.load_model(VOICE, "first")
        framework.load_model(TINY / "vits-sdp-multispeaker", "second")
        framework.load_model(WHISPER, "ears")
        assert framework.get_model_info()["model_name"] == "ears" and framework.get_model_info("first")["task"] == "speak"
        many, one = framework.predict([QUICK, {**QUICK, "model_name": "first"}])
        assert many["model"].endswith("multispeaker") and one["model"].endswith("vits-sdp")
        wrong = framework.predict({"text": "hello.", "model": "third"})
        assert not wrong["success"] and "loaded: 'first', 'second', 'ears'" in wrong["error"]
        framework.unload_model("second")
        assert framework.predict(QUICK)["model"].endswith("vits-sdp")


@needs_model("joe")
def test_the_default_model_stands_in_for_a_kind_that_is_not_loaded(engine):
    with TorchInferenceFramework(engine=engine) as framework:
        framework.load_model(WHISPER)
        assert "joe" in framework.predict({"text": "Hello."})["model"]
        assert framework.loaded_models == (WHISPER,)


@pytest.mark.parametrize(
    ("given", "code", "kind", "says"),
    [
        ({"audio_file": "missing.wav"}, "SN_E_NOT_FOUND", "NotFoundError", "missing.wav"),
        ({"audio_file": __file__}, "SN_E_FORMAT", "FormatError", "test_framework.py"),
        ({"audio": np.full(160, np.nan, np.float32)}, "SN_E_FORMAT", "FormatError", "nan"),
        ({"audio_file": 3}, "SN_E_ARGUMENT", "TypeError", "not int"),
        ({"audio_file": JFK, "audio": b""}, "SN_E_ARGUMENT", "ArgumentError", "not both"),
        ({"audio_file": JFK, "return_timestamps": "yes"}, "SN_E_ARGUMENT", "TypeError", "return_timestamps must be True or False"),
        ({"audio_file": JFK, "language": "?"}, "SN_E_ARGUMENT", "ArgumentError", "language is '?'"),
        ({"text": ""}, "SN_E_ARGUMENT", "ArgumentError", ""),
        ({"text": b"hello"}, "SN_E_ARGUMENT", "TypeError", "not bytes"),
        ({"text": "hello.", "speed": "fast"}, "SN_E_ARGUMENT", "TypeError", "speed must be a number"),
        ({"text": "hello.", "speed": 9.0}, "SN_E_ARGUMENT", "ArgumentError", "speed"),
        ({"text": "hello.", "speed": 0}, "SN_E_ARGUMENT", "ArgumentError", "above 0"),
        ({"text": "hello.", "audio_file": JFK}, "SN_E_ARGUMENT", "ArgumentError", "either 'text'"),
        ({}, "SN_E_ARGUMENT", "ArgumentError", "has nothing"),
    ],
)
def test_bad_inputs_are_results(framework, given, code, kind, says):
    if not framework.loaded_models.count("ears"):
        framework.load_model(WHISPER, "ears")
    result = framework.predict(given)
    assert result["success"] is False and (result["error_code"], result["error_type"]) == (code, kind)
    assert says in result["error"] and result["error"]
    good, bad = framework.predict_batch([QUICK, given])
    assert good["success"] and bad["error"] == result["error"]


def test_wrong_programs_are_told_by_exceptions(framework):
    for inputs in ("hello", None, 3, [3], {"text": "hello."}.items()):
        with pytest.raises(TypeError, match=r"dictionar"):
            framework.predict(inputs)
    with pytest.raises(TypeError, match="must be a mapping"):
        TorchInferenceFramework(config=3)
    with pytest.raises(TypeError, match="colour"):
        TorchInferenceFramework({"colour": 3})
    with pytest.raises(sonant.UnsupportedError, match="'cuda'"):
        TorchInferenceFramework(device="cuda")
    with pytest.raises(ValueError, match="optimization_level is 'fast'"):
        framework.download_and_load_model(model_id=VOICE, optimization_level="fast")
    with pytest.raises(ValueError, match="source is 'ftp'"):
        framework.download_and_load_model("ftp", VOICE)
    with pytest.raises(TypeError, match="model_id"):
        framework.download_and_load_model()
    with pytest.raises(FileNotFoundError):
        framework.download_and_load_model("local", "nonsense")
    with pytest.raises(sonant.UnsupportedError, match="'vocode'"):
        framework.load_model(TINY / "hifigan-coqui")


def test_tasks_of_asyncio(framework):
    async def main():
        texts = [{"text": f"number {number}.", "return_quality": False} for number in range(6)]
        one = await framework.predict_async(texts[0], priority=1)
        many = await framework.predict_batch_async(texts)
        together = await asyncio.gather(*(framework.predict_async(given) for given in texts))
        assert await framework.predict_batch_async([]) == []
        return one, many, together

    one, many, together = asyncio.run(main())
    assert [result["audio_data"] for result in many] == [result["audio_data"] for result in together]
    assert one["audio_data"] == many[0]["audio_data"]


@tiny
def test_a_timeout_is_a_result_and_a_cancelled_task_ends_the_work(engine):
    long = np.tile(engine_samples(), 40)

    async def main(framework):
        late = await framework.predict_async({"audio": long}, timeout=0.2)
        assert (late["success"], late["error_code"]) == (False, "SN_E_TIMEOUT") and "0.2 s" in late["error"]
        task = asyncio.create_task(framework.predict_async({"audio": long}))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        busy = [asyncio.create_task(framework.predict_async({"audio": long})) for _ in range(16)]
        await asyncio.sleep(0.2)
        late = await framework.predict_async({"audio": long}, timeout=0.2)
        assert late["error_code"] == "SN_E_TIMEOUT" and not any(task.done() for task in busy)
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    with TorchInferenceFramework(engine=engine) as framework:
        framework.load_model("tiny.en")
        ticks = []
        watch = threading.Timer(60, lambda: ticks.append("hangs"))
        watch.start()
        asyncio.run(main(framework))
    watch.cancel()
    assert not ticks, "seven minutes of audio were transcribed to the end"


def engine_samples():
    with wave.open(str(JFK)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_what_is_closed_says_so():
    framework = TorchInferenceFramework(config={"threads": 1})
    framework.load_model(VOICE)

    async def main():
        await framework.start_engine()
        assert (await framework.health_check())["healthy"]
        async with framework.async_context():
            assert (await framework.predict_async(QUICK))["success"]
        await framework.cleanup()

    asyncio.run(main())
    framework.close()
    assert not framework.get_health_status()["healthy"] and framework.get_model_info() == {"loaded": False}
    for call in (lambda: framework.predict({"text": "hello."}), lambda: framework.load_model(VOICE)):
        with pytest.raises(sonant.ClosedError, match="the framework is closed"):
            call()


def test_a_model_that_is_not_installed_is_pulled(engine, tmp_path, monkeypatch):
    """The store is asked with the program's words; no network is needed to see that."""
    asked = []

    def pull(_engine, name, **options):
        asked.append((name, options["source"], options["revision"]))
        raise sonant.IoError("the network is off")

    monkeypatch.setattr(type(engine), "pull", pull)
    with TorchInferenceFramework(engine=engine) as framework:
        with pytest.raises(OSError, match="the network is off"):
            framework.download_and_load_model(source="huggingface", model_id="microsoft/speecht5_tts", revision="main")
        with pytest.raises(FileNotFoundError):
            framework.download_and_load_model(source="huggingface", model_id=str(pathlib.Path(tmp_path) / "none"))
    assert asked == [("microsoft/speecht5_tts", "auto", "main")]
