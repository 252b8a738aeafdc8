"""Programs that were written for faster-whisper and for transformers' pipelines: what they ask for and what they read."""

import dataclasses
import io
import shutil
import warnings
from contextlib import closing

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant
from sonant import faster_whisper, pipeline
from sonant.faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

tiny = needs_model("whisper-tiny.en")
TEXT = " And so, my fellow Americans ask not what your country can do for you ask what you can do for your country."
"""Of faster-whisper 1.2.1 with tiny.en in float32, as are the tokens; in int8 the comma depends on the kernel."""
TOKENS = [50363, 843, 523, 11, 616, 5891, 3399, 1265, 407, 644, 534, 1499, 460, 466, 329, 345, 50763]


@pytest.fixture(scope="module")
def whisper():
    model = WhisperModel("tiny.en", device="cpu", compute_type="float32")
    yield model
    model.close()


@pytest.fixture(scope="module")
def recognise(engine):
    return pipeline("automatic-speech-recognition", model="openai/whisper-tiny.en", engine=engine, dtype="float32", num_beams=1)


@pytest.fixture(scope="module")
def clip():
    return decode_audio(str(JFK))


@tiny
def test_a_program_for_faster_whisper_changes_its_import(whisper):
    """The lines are such a program's; only `whisper` was made before."""
    segments, info = whisper.transcribe(str(JFK), beam_size=5, word_timestamps=True)
    lines = []
    for segment in segments:
        lines.append(f"[{segment.start:.2f}s -> {segment.end:.2f}s] {segment.text}")
        for word in segment.words:
            lines.append(f"[{word.start:.2f}s -> {word.end:.2f}s] {word.word} {word.probability:.2f}")
    assert lines[0].startswith("[0.00s -> 8.00s]  And so, my fellow Americans") and len(lines) > 20
    assert (info.language, info.language_probability, info.duration) == ("en", 1.0, 11.0)
    assert info.duration_after_vad == 11.0 and info.all_language_probs is None and info.vad_options is None


@needs_model("silero-vad")
def test_the_filters_model_is_pulled_when_it_is_missing(engine, tmp_path, monkeypatch):
    """faster-whisper carries it with it. No network is needed to see that the store is asked."""
    detector = next(entry.path for entry in engine.models() if entry.name == "silero-vad")
    asked = []

    def pull(_engine, name, **_options):
        asked.append(name)
        shutil.copytree(detector, tmp_path / "models" / name)

    monkeypatch.setattr(sonant.Engine, "pull", pull)
    with closing(WhisperModel(str(TINY / "whisper"), download_root=str(tmp_path), local_files_only=True)) as model:
        wanted = r"vad_filter needs silero-vad.*sonant models pull silero-vad"
        with pytest.raises(sonant.NotFoundError, match=wanted):
            model.transcribe(str(JFK), "en", vad_filter=True)
    with closing(WhisperModel(str(TINY / "whisper"), download_root=str(tmp_path))) as model:
        for _ in range(2):
            segments, info = model.transcribe(str(JFK), "en", vad_filter=True)
            segments.close()
            assert 8 < info.duration_after_vad < 11
    assert asked == ["silero-vad"]


@tiny
def test_results_have_the_fields_of_faster_whisper(whisper, clip):
    segments, info = whisper.transcribe(clip, "en", word_timestamps=True)
    first, second = list(segments)
    assert first.text + second.text == TEXT and first.tokens == TOKENS
    assert [first.id, second.id] == [1, 2] and second.seek == round(second.start * 100)
    kinds = {field.name: type(getattr(first, field.name)).__name__ for field in dataclasses.fields(first)}
    assert kinds == {
        "id": "int",
        "seek": "int",
        "start": "float",
        "end": "float",
        "text": "str",
        "tokens": "list",
        "avg_logprob": "float",
        "compression_ratio": "float",
        "no_speech_prob": "float",
        "words": "list",
        "temperature": "float",
    }
    assert [field.name for field in dataclasses.fields(first.words[0])] == ["start", "end", "word", "probability"]
    assert "".join(word.word for word in first.words) == first.text and first.words[0].word == " And"
    assert -0.5 < first.avg_logprob < -0.1 and 1.2 < first.compression_ratio < 1.5
    assert info.transcription_options.beam_size == 5 and info.transcription_options.temperatures[-1] == 1.0
    with pytest.deprecated_call():
        assert first._asdict()["words"][0]["word"] == " And"


@tiny
def test_segments_are_computed_while_they_are_gone_through(whisper, clip):
    """Half an hour, of which three segments are taken: without laziness that would take minutes."""
    segments, info = whisper.transcribe(np.tile(clip, 160), beam_size=1, temperature=0)
    assert info.duration == 1760.0
    taken = [next(segments).start for _ in range(3)]
    segments.close()
    assert taken == sorted(taken) and taken[-1] < 60


@tiny
def test_clips_are_heard_alone_and_keep_their_times(whisper, clip):
    segments, info = whisper.transcribe(clip, clip_timestamps="3,5,8", beam_size=1)
    found = list(segments)
    assert words(found[-1].text) == "ask what you can do for your country" and found[-1].start >= 8
    assert info.duration_after_vad == 5.0 and [segment.id for segment in found] == list(range(1, len(found) + 1))
    for bad in ("5,3", "-1", "x", "20,30"):
        with pytest.raises(ValueError, match="clip_timestamps"):
            whisper.transcribe(clip, clip_timestamps=bad)


@tiny
def test_what_the_engine_has_not_is_named(whisper, clip):
    with pytest.warns(UserWarning, match="is ignored") as caught:
        whisper.transcribe(clip, "de", patience=2, max_new_tokens=3, temperature=[0.0, 0.5], beam_size=1)[0].close()
    said = [str(warning.message) for warning in caught]
    assert any(text.startswith("patience=2 is ignored") for text in said) and any("max_new_tokens=3" in text for text in said)
    assert any("English only" in text for text in said) and any("steps of 0.2" in text for text in said)
    assert {warning.filename for warning in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whisper.transcribe(clip, beam_size=1)[0].close()
    with pytest.raises(TypeError, match="treshold"):
        whisper.transcribe(clip, vad_filter=True, vad_parameters={"treshold": 0.5})


@tiny
def test_an_empty_text_has_a_reason(whisper, recognise):
    silence = np.zeros(48000, np.float32)
    segments, info = whisper.transcribe(silence)
    assert list(segments) == [] and info.notes and all(isinstance(note, str) for note in info.notes)
    with pytest.warns(UserWarning, match="the text is empty: .+"):
        assert recognise(silence, return_timestamps=True) == {"text": "", "chunks": []}


@tiny
@needs_model("silero-vad")
def test_batches_are_of_windows_of_speech(whisper):
    with open(JFK, "rb") as file:
        segments, info = BatchedInferencePipeline(whisper).transcribe(file, batch_size=4, beam_size=1)
    found = list(segments)
    assert words(" ".join(segment.text for segment in found)) == JFK_TEXT and len(found) == 1
    assert 9 < info.duration_after_vad < 11 and info.vad_options.min_silence_duration_ms == 160
    with pytest.raises(ValueError, match="vad_filter=True or clip_timestamps"):
        BatchedInferencePipeline(whisper).transcribe(np.zeros(16000 * 31, np.float32), vad_filter=False)


@needs_model("whisper-base")
def test_a_language_is_heard(clip):
    model = WhisperModel("Systran/faster-whisper-base", compute_type="int8", local_files_only=True)
    language, probability, all_of_them = model.detect_language(clip)
    assert language == "en" and 0.5 < probability <= 1 and all_of_them == [("en", probability)]
    segments, info = model.transcribe(clip, beam_size=1)
    segments.close()
    assert info.language == "en" and info.language_probability == pytest.approx(probability) and info.all_language_probs == all_of_them
    assert "de" in model.supported_languages and model.model.is_multilingual


def test_bad_arguments_of_a_whisper_model():
    with pytest.raises(ValueError, match="compute_type is 'int4'"):
        WhisperModel("tiny.en", compute_type="int4")
    with pytest.raises(FileNotFoundError):
        WhisperModel("nonsense", local_files_only=True)
    with pytest.raises(sonant.UnsupportedError, match="directory"):
        WhisperModel("tiny.en", files={"model.bin": b""})
    with pytest.raises(sonant.UnsupportedError, match="transcribe"), pytest.warns(UserWarning, match="device 'cuda' is ignored"):
        WhisperModel(str(TINY / "vits-piper"), device="cuda")


def test_small_things_of_faster_whisper():
    assert "large-v3" in faster_whisper.available_models()
    with sonant.Engine(threads=1) as engine:
        known = {word: entry.name for entry in engine.models() for word in entry.aliases}
    assert {size: known[size] for size in faster_whisper.SIZES} == faster_whisper.SIZES
    assert faster_whisper.format_timestamp(3725.25) == "01:02:05.250" and faster_whisper.format_timestamp(59.9996) == "01:00.000"
    samples = decode_audio(io.BytesIO(JFK.read_bytes()), sampling_rate=8000)
    assert samples.dtype == np.float32 and samples.shape == (88000,)
    with pytest.raises(FileNotFoundError):
        decode_audio("missing.wav")


@tiny
def test_results_of_recognition_are_those_of_transformers(recognise, clip):
    text = recognise(str(JFK))["text"]
    assert text.startswith(" And so my fellow Americans") and words(text) == words(JFK_TEXT)
    assert recognise(str(JFK)) == {"text": text}
    assert recognise(JFK.read_bytes()) == recognise(clip) == {"text": text}
    timed = recognise(clip, return_timestamps=True)
    assert set(timed) == {"text", "chunks"} and "".join(chunk["text"] for chunk in timed["chunks"]) == timed["text"]
    assert set(timed["chunks"][0]) == {"text", "timestamp"} and 7 < timed["chunks"][-1]["timestamp"][0] < 9
    spoken = recognise(clip, return_timestamps="word")["chunks"]
    assert "".join(chunk["text"] for chunk in spoken) == text and spoken[0]["text"] == " And" and len(spoken) == 22
    assert all(isinstance(chunk["timestamp"], tuple) and 0 <= chunk["timestamp"][0] <= chunk["timestamp"][1] for chunk in spoken)
    assert recognise(clip, return_language=True)["chunks"] == [{"language": "english", "text": chunk["text"]} for chunk in timed["chunks"]]


@tiny
def test_inputs_of_recognition_are_those_of_transformers(recognise, clip):
    text = recognise(clip)["text"]
    slow = np.repeat(clip, 3)
    assert words(recognise({"raw": slow, "sampling_rate": 48000})["text"]) == JFK_TEXT
    row = {"array": clip, "sampling_rate": 16000, "path": None, "id": 7}
    assert recognise(row) == {"text": text, "id": [7]} and row["array"] is clip
    assert recognise([clip, str(JFK)], batch_size=2) == [{"text": text}] * 2
    taken = []
    results = recognise(taken.append(number) or clip for number in range(100))
    assert next(results) == {"text": text} and len(taken) < 20
    results.close()


@tiny
def test_what_transformers_has_and_the_engine_not_is_named(recognise, clip):
    with pytest.warns(UserWarning, match="is ignored") as caught:
        recognise(clip, chunk_length_s=30, generate_kwargs={"max_new_tokens": 5, "language": "<|en|>", "task": "transcribe"})
    assert [str(warning.message).split("=")[0] for warning in caught] == ["chunk_length_s", "max_new_tokens"]
    with pytest.raises(ValueError, match="return_timestamps is 'char'"):
        recognise(clip, return_timestamps="char")
    with pytest.raises(TypeError, match="'colour' is no option"):
        recognise(clip, colour=3)
    with pytest.raises(ValueError, match="'sampling_rate'"):
        recognise({"raw": clip})
    with pytest.raises(ValueError, match="is an address"):
        recognise("https://example.org/a.wav")
    with pytest.raises(FileNotFoundError):
        recognise("missing.wav")


def test_speech_of_a_pipeline(engine):
    for task in ("text-to-speech", "text-to-audio"):
        speak = pipeline(task, model=str(TINY / "vits-sdp"), engine=engine)
        made = speak("hello there.", forward_params={"seed": 3, "speaking_rate": 1.5})
        assert set(made) == {"audio", "sampling_rate"} and made["audio"].dtype == np.float32 and made["audio"].ndim == 1
        assert made["sampling_rate"] == speak.sampling_rate == 16000
        assert np.array_equal(made["audio"], engine.speak("hello there.", model=speak.model, seed=3, speed=1.5).samples)
    several = speak(["hello.", "there."])
    assert isinstance(several, list) and len(several) == 2
    with pytest.warns(UserWarning, match="do_sample=True is ignored"):
        speak("hello.", do_sample=True)
    with pytest.raises(TypeError, match="must be text, not int"):
        speak(3)


def test_a_pipeline_takes_a_speaker_by_its_vector(engine):
    speak = pipeline("text-to-speech", model=str(TINY / "speecht5"), engine=engine)
    values = np.random.default_rng(1).standard_normal((1, speak.model.info.embedding)).astype(np.float32)
    one, other = speak("hello.", forward_params={"speaker_embeddings": values}), speak("hello.", speaker_embeddings=-values)
    assert len(one["audio"]) != len(other["audio"]) or not np.array_equal(one["audio"], other["audio"])


def test_tasks_and_models_of_pipelines(engine):
    with pipeline(model=str(TINY / "whisper")) as recognise:
        assert recognise.task == "automatic-speech-recognition"
    with pytest.raises(sonant.ClosedError):
        recognise(np.zeros(16000, np.float32))
    with pytest.raises(ValueError, match="task is 'translation'"):
        pipeline("translation")
    with pytest.raises(ValueError, match="a task or a model"):
        pipeline()
    with pytest.raises(ValueError, match="dtype is 'float64'"):
        pipeline("text-to-speech", model=str(TINY / "vits-sdp"), engine=engine, dtype="float64")
    with pytest.raises(sonant.UnsupportedError):
        pipeline("text-to-speech", model=str(TINY / "whisper"), engine=engine)
    with pytest.raises(sonant.UnsupportedError, match="'vocode'"):
        pipeline(model=str(TINY / "hifigan-coqui"), engine=engine)
    with pytest.warns(UserWarning, match="device='cuda:0' is ignored"):
        pipeline(model=str(TINY / "whisper"), engine=engine, device="cuda:0").close()
