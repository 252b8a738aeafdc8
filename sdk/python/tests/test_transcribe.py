"""Files and samples to text in this process: what may be given, what comes back, what bad input gets."""

import array
import dataclasses
import inspect
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import wave

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant
from sonant import _samples, _segments, _transcribe

WHISPER = str(TINY / "whisper")  # random weights: its text is noise, but always the same one
PLAIN = {"beam_size": 1, "fallback": False, "vad": False}
SONANT = os.environ.get("SONANT", "sonant")
TIME = re.compile(rb'"processing_time": [0-9.]+')


@pytest.fixture(scope="module")
def tiny(engine):
    return engine.load(WHISPER)


@pytest.fixture(scope="module")
def pcm():
    """jfk.wav: [176000] int16, 16 kHz."""
    with wave.open(str(JFK)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture(scope="module")
def long(pcm):
    """Five minutes and a half."""
    return np.tile(pcm.astype(np.float32) / 32768, 30)


def facts(transcript):
    return dataclasses.replace(transcript, processing_time=0)


@pytest.fixture(scope="module")
def expected(engine, tiny):
    return facts(engine.transcribe(JFK, model=tiny, **PLAIN))


TONE = np.sin(np.arange(16000)).astype(np.float32)

# ---- what may be given ----


@needs_model("whisper-tiny.en")
def test_a_file_becomes_text_with_segments_and_words(engine):
    result = engine.transcribe(JFK, model="tiny.en", beam_size=1)
    assert words(result.text) == JFK_TEXT == words(str(result)) and result.language == "en" and result.duration == 11
    assert result.model == "openai/whisper-tiny.en" and result.dtype and result.processing_time > 0
    assert words(" ".join(word.word for word in result.words)) == JFK_TEXT
    times = [t for word in result.words for t in (word.start, word.end)]
    assert times == sorted(times) and times[-1] <= 11 and all(0 < word.confidence <= 1 for word in result.words)
    assert "".join(segment.text for segment in result.segments).strip() == result.text
    assert all(len(s.tokens) == len(s.token_logprobs) > 0 for s in result.segments)


SOURCES = {
    "path": lambda _: str(JFK),
    "bytes": lambda _: JFK.read_bytes(),
    "bytearray": lambda _: bytearray(JFK.read_bytes()),
    "memoryview": lambda _: memoryview(JFK.read_bytes()),
    "file": lambda _: io.BytesIO(JFK.read_bytes()),
    "int16": lambda pcm: pcm,
    "buffer": lambda pcm: memoryview(pcm[:]),
    "array": lambda pcm: array.array("h", pcm.tolist()),
    "int32": lambda pcm: pcm.astype(np.int32) << 16,
    "float32": lambda pcm: pcm.astype(np.float32) / 32768,
    "big-endian": lambda pcm: pcm.astype(">f4") / 32768,
    "float64": lambda pcm: pcm / 32768,
    "one channel": lambda pcm: (pcm / 32768)[:, None],
    "three channels": lambda pcm: np.stack([pcm, pcm, pcm], axis=1),
    "fortran": lambda pcm: np.asfortranarray(np.stack([pcm, pcm], axis=1)),
    "stride": lambda pcm: np.repeat(pcm, 2)[::2],
}


@pytest.mark.parametrize("given", SOURCES.values(), ids=SOURCES)
def test_every_source_gives_the_same(engine, tiny, pcm, expected, given):
    assert facts(engine.transcribe(given(pcm), model=tiny, **PLAIN)) == expected


def test_an_open_file_is_read_from_where_it_stands(engine, tiny, expected):
    with open(JFK, "rb") as file:
        assert facts(engine.transcribe(file, model=tiny, **PLAIN)) == expected
        assert file.read() == b""


class Tensor:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.values, Exception):
            raise self.values
        return self.values


def test_what_turns_into_an_array_is_read(engine, tiny, pcm, expected):
    assert facts(engine.transcribe(Tensor(pcm), model=tiny, **PLAIN)) == expected
    with pytest.raises(TypeError, match=r"use \.detach"):
        engine.transcribe(Tensor(RuntimeError("use .detach()")), model=tiny)


def test_sound_in_memory_is_read(engine, tiny, pcm, expected):
    assert facts(engine.transcribe(sonant.Audio(pcm.astype(np.float32) / 32768, 16000), model=tiny, **PLAIN)) == expected
    assert engine.transcribe(sonant.Audio(TONE, 8000), model=tiny, **PLAIN).duration == 2


def test_float16_is_read(engine, tiny, pcm):
    assert engine.transcribe((pcm / 32768).astype(np.float16), model=tiny, **PLAIN).duration == 11


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(rate):
    """A tone stays where it is, and nothing is lost."""
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    heard = _samples.resampled(_samples.as_source(tone, rate), 16000).pcm
    assert len(heard) == 16000
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() == 440 and 0.45 < spectrum[440] / 16000 < 0.55


def test_a_rate_gives_the_right_times(engine, tiny, pcm):
    assert engine.transcribe(np.repeat(pcm, 3), rate=48000, model=tiny, **PLAIN).duration == pytest.approx(11, abs=0.01)


@needs_model("whisper-tiny.en")
def test_stereo_of_48_khz_is_understood(engine, pcm):
    stereo = np.repeat(np.stack([pcm, pcm], axis=1), 3, axis=0)
    assert words(engine.transcribe(stereo, rate=48000, model="tiny.en", beam_size=1).text) == JFK_TEXT


@pytest.mark.parametrize("readonly", [False, True])
def test_float32_of_16_khz_is_read_where_it_lies(engine, tiny, pcm, readonly, monkeypatch):
    samples = np.tile(pcm.astype(np.float32) / 32768, 6)
    samples.flags.writeable = not readonly
    given = []
    run = _transcribe._run
    monkeypatch.setattr(_transcribe, "_run", lambda held, model, source, *rest: (given.append(source), run(held, model, source, *rest))[1])
    tracemalloc.start()
    try:
        engine.transcribe(samples, model=tiny, **PLAIN)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    address = int(_samples.ffi.cast("uintptr_t", given[0].pointer))
    assert address == samples.ctypes.data and samples.nbytes > 4e6 and peak < 1e6


def test_the_callers_array_is_left_as_it_is(engine, tiny, pcm):
    for samples in (pcm.copy(), (pcm / 32768).astype(np.float32)):
        before = samples.copy()
        engine.transcribe(samples, model=tiny, length=2, **PLAIN)
        assert (samples == before).all()


# ---- what bad input gets ----


def with_value(value, at):
    samples = np.tile(TONE, 200)
    samples[at] = value
    return samples


@pytest.mark.parametrize(
    ("source", "rate", "kind", "message"),
    [
        (5, None, TypeError, "audio must be a path, bytes, a binary file, or an array of samples, not int"),
        (None, None, TypeError, "not NoneType"),
        ([0.1, 0.2], None, TypeError, r"not list: numpy\.asarray makes an array of it"),
        ("-", None, ValueError, 'say "./-"'),
        (pathlib.Path("-"), None, ValueError, 'say "./-"'),
        ("a\0b", None, ValueError, "NUL character at byte 1"),
        ("nowhere.wav", None, FileNotFoundError, "nowhere.wav"),
        ("/", None, sonant.Error, "/"),
        (b"", None, sonant.FormatError, "audio"),
        (b"this is not sound" * 100, None, sonant.FormatError, "audio"),
        (io.StringIO("text" * (1 << 20)), None, TypeError, r'not bytes; open it in binary mode \("rb"\)'),
        (TONE, 999, ValueError, "a rate of 999 Hz is out of range; 1000 to 768000"),
        (TONE, 768001, ValueError, "768001"),
        (TONE, "16000", TypeError, "rate must be a whole number, not str"),
        (TONE, 16000.5, TypeError, "rate must be a whole number, not float"),
        (JFK, 16000, ValueError, "rate=16000 is for arrays of samples; PosixPath has a rate of its own"),
        (sonant.Audio(TONE, 8000), 16000, ValueError, "Audio has a rate of its own"),
        (np.float32(0.5), None, ValueError, r"shape \[\] is not audio"),
        (TONE.reshape(2, 4, -1), None, ValueError, r"shape \[2, 4, 2000\] is not audio: give \[frames\] or \[frames, channels\]"),
        (TONE.reshape(2, -1), None, ValueError, r"looks like \[channels, frames\]: give its transpose"),
        (TONE.reshape(-1, 16), None, ValueError, "16 channels; at most 8 are read"),
        (TONE[:0], None, sonant.FormatError, r"no samples in an array of shape \[0\]"),
        (TONE.reshape(-1, 2)[:0], None, sonant.FormatError, "no samples"),
        (TONE > 0, None, TypeError, "an array of bool is not read as samples; give float32"),
        (TONE.astype(complex), None, TypeError, "an array of complex128"),
        (TONE.astype(object), None, TypeError, "an array of object"),
        (TONE.astype(np.uint8), None, TypeError, "an array of uint8"),
        (TONE.astype(np.int64), None, TypeError, "an array of int64"),
        (with_value(np.nan, 12345), None, sonant.FormatError, "the sample at frame 12345 is nan"),
        (with_value(-np.inf, 3000000), None, sonant.FormatError, "the sample at frame 3000000 is -inf"),
        (with_value(1e20, 7), None, sonant.FormatError, "the sample at frame 7 is"),
        (np.array([0, 1e300]), None, sonant.FormatError, "the sample at frame 1 is inf"),
    ],
)
def test_bad_audio(engine, tiny, source, rate, kind, message):
    with pytest.raises(kind, match=message):
        engine.transcribe(source, rate=rate, model=tiny, **PLAIN)
    with pytest.raises(kind, match=message):
        next(engine.segments(source, rate=rate, model=tiny, **PLAIN))


def test_a_file_object_without_end_is_refused(engine, tiny, monkeypatch):
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return bytes(size)

    monkeypatch.setattr(_samples, "MAX_FILE_OBJECT", 1 << 22)
    with pytest.raises(sonant.LimitError, match="more than 4194304 bytes; give its path"):
        engine.transcribe(Endless(), model=tiny)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "nonsense"}, FileNotFoundError, "nonsense"),
        ({"model": 5}, TypeError, "model must be a Model, a name or None, not int"),
        ({"model": ["tiny"]}, TypeError, "model must be a Model, a name or None, not list"),
        ({"language": "xx"}, sonant.Error, "xx"),
        ({"language": 5}, TypeError, "language must be text, not int"),
        ({"task": "sing"}, ValueError, '"sing"'),
        ({"beam_size": 0}, ValueError, "beam_size is 0; it may be 1 to 16"),
        ({"beam_size": 17}, ValueError, "17"),
        ({"beam_size": "5"}, TypeError, "beam_size must be a whole number, not str"),
        ({"temperature": 3}, ValueError, "temperature"),
        ({"vad": "yes"}, ValueError, "vad is 'yes'; it may be False, True"),
        ({"vad_threshold": 0}, ValueError, "vad_threshold is 0; it may be above 0"),
        ({"vad_pad": -1}, ValueError, "vad_pad is -1; it may be 0 to 10000 ms"),
        ({"vad_min_silence": 10001}, ValueError, "vad_min_silence is 10001"),
        ({"batch": 2**40}, ValueError, "batch is 1099511627776"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"priority": "soon"}, ValueError, "'interactive', 'realtime', 'batch'"),
        ({"hotwords": ["a,b"]}, ValueError, "'a,b' is no hotword"),
        ({"hotwords": 5}, TypeError, "hotwords must be text or a list of texts, not int"),
        ({"temperature": 10**400}, ValueError, "temperature is too large"),
        ({"prompt": "x" * 5000}, sonant.LimitError, "4096"),
        ({"retry_models": "tiny.en"}, TypeError, "a list of names"),
        ({"retry_models": 5}, TypeError, "a list of names of models, not int"),
        ({"retry_models": ["a"] * 9}, ValueError, "there are 9 retry_models; at most 8"),
        ({"start": 11.5}, ValueError, "behind the end"),
        ({"start": -1}, ValueError, "-1"),
        ({"length": 0}, ValueError, "length is 0; it may be above 0"),
        ({"nonsense": 1}, TypeError, "there is no option 'nonsense'; options are language"),
        ({"progress": 5}, TypeError, "progress must be a function"),
        ({"on_segment": 5}, TypeError, "on_segment must be a function of a segment, not int"),
        ({"cancel": 5}, TypeError, r"cancel must be an event, such as threading\.Event\(\), not int"),
    ],
)
def test_bad_options(engine, tiny, options, kind, message):
    with pytest.raises(kind, match=message):
        engine.transcribe(JFK, **{"model": tiny, **options})


def test_a_model_that_cannot_do_it_says_so(engine):
    with pytest.raises(sonant.UnsupportedError):
        engine.transcribe(JFK, model=str(TINY / "hifigan-jik876"))


def test_a_model_of_another_engine_is_refused(tiny):
    with sonant.Engine(threads=1) as other, pytest.raises(ValueError, match="belongs to another engine"):
        other.transcribe(JFK, model=tiny)


def test_silence_says_why_there_is_no_text(engine, tiny):
    result = engine.transcribe(np.zeros(16, np.float32), model=tiny, vad=False)
    assert not result.text and [note.code for note in result.notes] == ["too_short"]


# ---- options ----


def test_a_part_of_the_audio(engine, tiny):
    result = engine.transcribe(JFK, model=tiny, start=2, length=3, **PLAIN)
    assert result.duration == 3 and all(2 <= segment.start <= 6 for segment in result.segments)


def test_options_reach_the_engine(engine, tiny):
    result = engine.transcribe(
        JFK,
        model=tiny,
        language="de",
        task="translate",
        temperature=0.5,
        seed=3,
        words=False,
        timestamps=False,
        prompt="Namen",
        hotwords=["Kennedy", "Amerika"],
        guards=False,
        priority="batch",
        share=7,
        condition=False,
        vad_min_silence=0,
        vad_pad=0,
        **PLAIN,
    )
    assert (result.language, result.language_confidence, result.task) == ("de", 1, "translate") and not result.words
    assert all(segment.temperature == 0.5 for segment in result.segments)


def test_doubtful_results_are_tried_again(engine, tiny):
    result = engine.transcribe(JFK, model=tiny, retry_models=[WHISPER], min_confidence=1.0, **PLAIN)
    assert len(result.attempts) == 2 and sum(attempt.kept for attempt in result.attempts) == 1
    assert "retried" in [note.code for note in result.notes]


@pytest.mark.parametrize("call", ["transcribe", "segments", "transcribe_many"])
def test_options_are_seen_in_the_signature(call):
    names = inspect.signature(getattr(sonant.Engine, call)).parameters
    assert {"model", "cancel", "language", "beam_size", "vad_pad", "retry_models"} <= set(names) and "options" not in names
    assert names["beam_size"].default is None and names["beam_size"].annotation == "int | None"


# ---- while it works ----


def test_segments_and_progress_are_told_while_it_works(engine, tiny, long):
    seen, moved = [], []
    result = engine.transcribe(long, model=tiny, on_segment=seen.append, progress=lambda *at: moved.append(at), **PLAIN)
    assert tuple(seen) == result.segments and len(seen) > 3
    assert moved == sorted(moved) and len(moved) > 3 and moved[-1] == (pytest.approx(330, abs=0.1), pytest.approx(330, abs=0.1))


def test_progress_may_be_a_bar(engine, tiny, capsys):
    engine.transcribe(JFK, model=tiny, progress=True, **PLAIN)
    assert "transcribe" in capsys.readouterr().err


def test_a_bar_needs_tqdm(engine, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(sonant.DependencyError, match="pip install"):
        engine.transcribe(JFK, model=tiny, progress=True)


@pytest.mark.parametrize("where", ["progress", "on_segment"])
def test_what_a_function_raises_ends_the_call_and_comes_out(engine, tiny, long, expected, where):
    class MyError(Exception):
        pass

    called = []

    def fail(*_):
        called.append(time.monotonic())
        raise MyError("mine")

    with pytest.raises(MyError, match="mine"):
        engine.transcribe(long, model=tiny, **{where: fail}, **PLAIN)
    assert len(called) == 1 and time.monotonic() - called[0] < 30
    assert facts(engine.transcribe(JFK, model=tiny, **PLAIN)) == expected


def test_an_event_cancels(engine, tiny, long):
    cancel = threading.Event()
    with pytest.raises(sonant.CancelledError, match="cancel"):
        engine.transcribe(long, model=tiny, cancel=cancel, progress=lambda *_: cancel.set(), **PLAIN)
    with pytest.raises(sonant.CancelledError):
        engine.transcribe(long, model=tiny, cancel=cancel, **PLAIN)


# ---- segments as they come ----


def test_an_iterator_gives_the_same_segments(engine, tiny, long):
    expected = engine.transcribe(long, model=tiny, **PLAIN)
    segments = engine.segments(long, model=tiny, **PLAIN)
    assert segments.info is None
    assert tuple(segments) == expected.segments
    assert (segments.info.language, segments.info.duration, segments.info.notes) == (expected.language, 330, expected.notes)
    assert segments.info.segments == () and segments.info.text == "" and list(segments) == []


def test_the_iterator_works_no_further_ahead_than_it_may(engine, tiny, long, monkeypatch):
    monkeypatch.setattr(_segments, "AHEAD", 2)
    moved = []
    with engine.segments(long, model=tiny, progress=lambda *at: moved.append(at), **PLAIN) as segments:
        next(segments)
        until = time.monotonic() + 30
        while len(segments._line.waiting) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        seen = -1
        while len(moved) > seen and time.monotonic() < until:  # the windows under way are brought to their end
            seen = len(moved)
            time.sleep(1)
        assert len(segments._line.waiting) == 2 and len(moved) == seen and moved[-1][0] < 330


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sonant-")]


@pytest.mark.parametrize("how", ["close", "with", "drop", "cancel", "progress"])
def test_an_iterator_that_ends_early_ends_the_work(engine, tiny, long, how):
    cancel, stop = threading.Event(), []

    def progress(*_):
        if stop:
            raise KeyError("mine")

    segments = engine.segments(np.tile(long, 10), model=tiny, cancel=cancel, progress=progress, **PLAIN)
    assert not workers()
    next(segments)
    assert workers()
    if how == "close":
        segments.close()
        assert not workers()
        segments.close()
        assert next(segments, None) is None and segments.info is None
    elif how == "with":
        with segments:
            pass
        assert not workers()
    elif how == "drop":
        del segments
    elif how == "cancel":
        cancel.set()
        with pytest.raises(sonant.CancelledError):
            list(segments)
    else:
        stop.append(True)
        with pytest.raises(KeyError, match="mine"):
            list(segments)
    until = time.monotonic() + 30
    while workers() and time.monotonic() < until:
        time.sleep(0.01)
    assert not workers()


def test_errors_of_options_come_before_the_iteration(engine, tiny):
    with pytest.raises(ValueError, match="beam_size"):
        engine.segments(JFK, model=tiny, beam_size=0)
    with pytest.raises(FileNotFoundError, match="nonsense"):
        engine.segments(JFK, model="nonsense")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(engine.segments("nowhere.wav", model=tiny))


# ---- many ----


def test_many_sources_keep_their_order_and_one_error_is_no_other(engine, tiny, pcm, expected):
    sources = [JFK, "nowhere.wav", pcm, b"no sound", JFK.read_bytes(), 5, JFK]
    counted = []
    outcomes = list(engine.transcribe_many(sources, model=tiny, jobs=3, progress=lambda *at: counted.append(at), **PLAIN))
    assert [outcome.source is source for outcome, source in zip(outcomes, sources, strict=True)] == [True] * 7
    assert [bool(outcome) for outcome in outcomes] == [True, False, True, False, True, False, True]
    assert [facts(outcome.get()) for outcome in outcomes if outcome] == [expected] * 4
    assert [type(outcome.error) for outcome in outcomes if not outcome] == [sonant.NotFoundError, sonant.FormatError, TypeError]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        outcomes[1].get()
    assert counted == [(i, 7) for i in range(1, 8)] and not workers()


def test_many_take_sources_as_they_are_needed(engine, tiny):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield JFK

    outcomes = engine.transcribe_many(endless(), model=tiny, jobs=2, **PLAIN)
    assert next(outcomes).get().duration == 11 and len(taken) <= 5
    outcomes.close()
    assert not workers()


def test_many_can_be_cancelled(engine, tiny, long):
    cancel = threading.Event()
    outcomes = engine.transcribe_many([JFK, *[long] * 20], model=tiny, cancel=cancel, **PLAIN)
    assert next(outcomes)
    cancel.set()
    with pytest.raises(sonant.CancelledError):
        list(outcomes)
    assert not workers()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"jobs": 0}, ValueError, "jobs is 0; it may be 1 to 256"),
        ({"jobs": 1.5}, TypeError, "jobs must be a whole number"),
        ({"beam_size": 0}, ValueError, "beam_size is 0"),
        ({"beam_size": 17}, ValueError, "17"),
        ({"language": "klingon"}, ValueError, "klingon"),
        ({"model": "nonsense"}, FileNotFoundError, "nonsense"),
        ({"cancel": 1}, TypeError, "cancel must be an event"),
    ],
)
def test_bad_options_of_many_come_at_once(engine, tiny, options, kind, message):
    with pytest.raises(kind, match=message):
        engine.transcribe_many([JFK], **{"model": tiny, **options})


def test_one_source_is_not_many(engine, tiny):
    with pytest.raises(TypeError, match=r"sources must be an iterable of sources, not one .*; transcribe\(\) takes one"):
        engine.transcribe_many(str(JFK), model=tiny)


def test_what_the_sources_raise_comes_out(engine, tiny):
    def sources():
        yield JFK
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(engine.transcribe_many(sources(), model=tiny, **PLAIN))
    assert not workers()


# ---- formats ----


@pytest.mark.parametrize(
    ("model", "formats"),
    [
        (WHISPER, ("text", "srt", "vtt", "tsv", "json", "verbose_json", "jsonl")),
        pytest.param("tiny.en", ("srt", "verbose_json"), marks=needs_model("whisper-tiny.en")),
    ],
)
def test_formats_are_the_programs(engine, model, formats):
    result = engine.transcribe(JFK, model=model, words=True, **PLAIN)
    for format in formats:
        command = [SONANT, "transcribe", str(JFK), "-m", model, "--words", "--beam", "1", "--no-fallback", "--vad", "off", "-f", format]
        done = subprocess.run(command, capture_output=True, check=True)
        ours, theirs = (TIME.sub(b"", text) for text in (result.to(format).encode(), done.stdout))
        assert ours == theirs, format


def test_a_transcript_without_an_engine_can_be_written():
    words_ = (sonant.types.Word("Hello", 0.5, 1.0, 0.9), sonant.types.Word("there.", 1.0, 1.5, 0.8))
    segment = sonant.types.Segment(0, 0.5, 1.5, " Hello there.", words=words_)
    transcript = sonant.types.Transcript("Hello there.", "en", segments=(segment,), notes=(sonant.types.Note("code", "mess\0age \ud800"),))
    assert transcript.to("srt") == "1\n00:00:00,500 --> 00:00:01,500\nHello there.\n\n"
    assert transcript.to("vtt") == "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nHello there.\n\n"
    assert transcript.to("tsv") == "start\tend\ttext\n500\t1500\tHello there.\n"
    assert transcript.to("text") == "Hello there.\n"
    written = json.loads(transcript.to("verbose_json", file="a.wav"))
    assert written["file"] == "a.wav" and written["segments"][0]["text"] == " Hello there." and len(written["word_timestamps"]) == 2
    assert written["notes"][0]["message"].startswith("mess")
    assert sonant.types.Transcript("").to("srt") == "\n"


def test_lines_of_subtitles_can_be_chosen():
    spoken = tuple(sonant.types.Word(word, i / 4, (i + 1) / 4, 1.0) for i, word in enumerate(("one", "two", "three", "four", "five")))
    transcript = sonant.types.Transcript("", segments=(sonant.types.Segment(0, 0.0, 2.0, " one two three four five", words=spoken),))
    assert transcript.to("srt", max_line_width=10).endswith("one two\nthree\n\n2\n00:00:00,750 --> 00:00:01,250\nfour five\n\n")
    assert transcript.to("srt", max_line_width=10, max_line_count=3).endswith("one two\nthree\nfour five\n\n")
    with pytest.raises(sonant.ArgumentError, match="a line width of -1 is outside"):
        transcript.to("srt", max_line_width=-1)


def test_an_unknown_format_lists_those_that_are_known():
    with pytest.raises(ValueError, match='"docx" is unknown; known are text, json'):
        sonant.types.Transcript("").to("docx")
    with pytest.raises(TypeError, match="format must be text"):
        sonant.types.Transcript("").to(5)
