"""Text to speech in this process: whole, as a stream, side by side, and everything that may be wrong with a text."""

import asyncio
import gc
import itertools
import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import TINY, needs_model

import sonant
from sonant.types import Note, Voice

VITS = str(TINY / "vits-sdp")
FAMILIES = [
    "bark",
    "fastpitch-coqui",
    "fastspeech2-coqui",
    "fastspeech2-conformer-with-hifigan",
    "speecht5",
    "tacotron2-coqui",
    "tacotron2-nvidia",
    "vits-mms",
    "vits-piper",
    "vits-sdp",
    "vits-sdp-multispeaker",
    "yourtts",
]
TEXT = "Hello there. How are you today? Fine, thank you."
LONG = "This is a sentence that goes on for a good while, and then for another one. " * 1500


def joined(stream):
    return np.concatenate([chunk.samples for chunk in stream])


# -- whole --


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_speaks_the_same_whole_and_as_a_stream(engine, family):
    with engine.load(str(TINY / family)) as model:
        speech = engine.speak("hello there.", model=model, seed=5, retries=0)
        assert speech.samples.dtype == np.float32 and speech.samples.ndim == 1 and speech.samples.flags.c_contiguous
        assert len(speech.samples) > 0 and np.abs(speech.samples).max() <= 1
        assert speech.duration == len(speech.samples) / speech.sample_rate and speech.sentences == 1
        with engine.speak_stream("hello there.", model=model, seed=5) as stream:
            assert np.array_equal(joined(stream), speech.samples)
            assert (stream.result.model, stream.result.vocoder) == (speech.model, speech.vocoder)


def test_the_facts_of_speech(engine):
    speech = engine.speak(TEXT, model=VITS, retries=0)
    assert speech.model.endswith("vits-sdp") and speech.dtype in ("f32", "bf16") and speech.sentences == 3 and speech.vocoder == ""
    assert 0 < speech.first_audio <= speech.processing_time and speech.attempts == 1
    assert speech.quality_score is None and speech.word_error_rate is None


def test_options_change_what_is_heard(engine):
    plain = engine.speak(TEXT, model=VITS, retries=0)
    assert np.array_equal(plain.samples, engine.speak(TEXT, model=VITS, seed=0, retries=0).samples)
    assert not np.array_equal(plain.samples, engine.speak(TEXT, model=VITS, seed=1, retries=0).samples)
    assert engine.speak(TEXT, model=VITS, speed=0.5, retries=0).duration > 1.5 * plain.duration
    assert engine.speak(TEXT, model=VITS, pause=0.5, retries=0).duration == pytest.approx(plain.duration + 1, abs=0.01)
    still = engine.speak(TEXT, model=VITS, noise=0, noise_duration=0, retries=0).samples
    assert np.array_equal(still, engine.speak(TEXT, model=VITS, noise=0, noise_duration=0, seed=9, retries=0).samples)
    assert not np.array_equal(still, plain.samples)


def test_voices_by_name_number_and_entry(engine):
    with engine.load(str(TINY / "vits-sdp-multispeaker")) as model:
        first, second = (engine.speak("hello.", model=model, voice=voice, retries=0) for voice in (0, "1"))
        assert (first.voice, second.voice) == ("0", "1") and not np.array_equal(first.samples, second.samples)
        entry = engine.speak("hello.", model=model, voice=Voice("1"), retries=0)
        assert np.array_equal(entry.samples, second.samples)


def test_marks_and_notes(engine):
    ssml = '<speak>Hello <mark name="here"/> there. <break time="700ms"/> <mark name="end"/></speak>'
    speech = engine.speak(ssml, model=VITS, retries=0)
    assert [mark.name for mark in speech.marks] == ["here", "end"]
    assert 0 < speech.marks[0].time < speech.marks[1].time <= speech.duration + 0.001
    marked = [chunk for chunk in engine.speak_stream(ssml, model=VITS) if chunk.mark]
    assert [chunk.mark for chunk in marked] == ["here", "end"] and all(len(chunk.samples) == 0 for chunk in marked)
    assert len(engine.speak(ssml, model=VITS, ssml=False).marks) == 0
    hollow = engine.speak("hello.", model=str(TINY / "fastspeech2-coqui"), retries=0)
    assert hollow.vocoder == "griffin-lim" and "no_vocoder" in [note.code for note in hollow.notes]
    assert all(isinstance(note, Note) and note.message for note in hollow.notes)


@needs_model("joe")
def test_a_real_voice_speaks_in_a_moment(engine):
    speech = engine.speak("Good morning.", model="joe")
    assert speech.sample_rate == 22050 and 0.5 < speech.duration < 2 and speech.model == "en_US-joe-medium"
    assert np.sqrt(np.mean(speech.samples**2)) > 0.01


@needs_model("joe", "dnsmos", "deepfilternet3")
def test_speech_is_rated_where_that_is_asked_for(engine):
    stream = engine.speak_stream("The rating listens to nine seconds of speech, or to all of what is shorter.", model="joe", check=True)
    assert len(joined(stream)) > 50000 and 2 < stream.result.quality_score < 5
    noise = engine.speak("hello there, this is noise more than speech.", model=VITS, check=True, retries=0)
    assert noise.quality_score is not None and {"noisy", "enhanced"} & {note.code for note in noise.notes}


@needs_model("joe", "tiny.en")
def test_speech_is_read_back_where_that_is_asked_for(engine):
    speech = engine.speak("Good morning to you.", model="joe", verify=True, verify_model="tiny.en")
    assert speech.word_error_rate == 0
    wrong = engine.speak("hello there.", model=VITS, verify=True, verify_model="tiny.en", retries=2)
    assert wrong.word_error_rate > 0 and wrong.attempts == 3 and "misread" in [note.code for note in wrong.notes]


def test_samples_own_their_memory():
    with sonant.Engine(threads=1) as engine:
        speech = engine.speak("hello.", model=VITS, retries=0)
        again = engine.speak("hello.", model=VITS, retries=0).samples
        part = speech.samples[10:20]
        copy = part.copy()
    del speech
    gc.collect()
    again[:] = 0
    assert np.array_equal(part, copy) and part.flags.writeable


def test_progress_is_told_and_may_end_a_call(engine):
    told = []
    engine.speak(TEXT, model=VITS, retries=0, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] > 0 and told == sorted(told) and {total for _, total in told} == {0}

    def stop(done, total):
        if done > 0.5:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        engine.speak(LONG, model=VITS, progress=stop)
    assert engine.speak("hello.", model=VITS).duration > 0


def test_an_event_ends_a_call(engine):
    event = threading.Event()
    timer = threading.Timer(0.3, event.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(sonant.CancelledError):
        engine.speak(LONG, model=VITS, cancel=event)
    assert time.monotonic() - start < (30 if "PRELOAD" in os.environ else 5)


# -- bad input --


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", ValueError, "the text is empty"),
        (" \n\t", ValueError, "white space only"),
        ("?! ...", ValueError, "no letter or digit"),
        ("\0\1", ValueError, "2 control characters"),
        ("a\ud83d", sonant.FormatError, r"U\+D83D at character 1"),
        (b"hello", TypeError, "str, not bytes"),
        (None, TypeError, "not NoneType"),
        ("a" * (1 << 20), sonant.LimitError, "1048576 bytes; at most 524288"),
        ("<speak>a<b></speak>", sonant.FormatError, "line 1, column 14"),
    ],
)
def test_text_that_cannot_be_spoken(engine, text, kind, words):
    with pytest.raises(kind, match=words):
        engine.speak(text, model=VITS)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"speed": 9}, ValueError, "speed 9 is outside 0.25 to 4"),
        ({"speed": 0}, ValueError, "speed is 0"),
        ({"speed": math.nan}, ValueError, "speed nan"),
        ({"speed": "fast"}, TypeError, "speed must be a number, not str"),
        ({"noise": -1}, ValueError, "noise is -1"),
        ({"noise": math.inf}, ValueError, "noise inf"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 1.5}, TypeError, "whole number"),
        ({"retries": 99}, ValueError, "99 retries; at most 8"),
        ({"pause": 11}, ValueError, "pause of 11"),
        ({"pitch": 2}, sonant.UnsupportedError, "cannot change its pitch; it can change: speed, noise"),
        ({"temperature": 0}, sonant.UnsupportedError, "cannot change its temperature"),
        ({"emotion": "sad"}, sonant.UnsupportedError, 'no emotion "sad"; it has: none'),
        ({"language": "klingon"}, ValueError, "klingon"),
        ({"voice": "anna"}, FileNotFoundError, 'no voice "anna"'),
        ({"voice": 3.5}, TypeError, "voice must be text, not float"),
        ({"voice": "a\ud800"}, ValueError, r"voice has half of a surrogate pair, U\+D800 at character 1"),
        ({"voice": "a\0b"}, ValueError, "voice holds a NUL character"),
        ({"vocoder": "griffin-lim"}, sonant.UnsupportedError, "takes no vocoder"),
        ({"check": "yes"}, ValueError, "check is 'yes'"),
        ({"priority": "high"}, ValueError, "'interactive', 'realtime', 'batch'"),
        ({"verify": True, "verify_model": "nonsense"}, FileNotFoundError, "nonsense"),
        ({"rate": 3}, TypeError, "no option 'rate'"),
        ({"cancel": True}, TypeError, "cancel must be an event"),
        ({"model": "nonsense"}, FileNotFoundError, "nonsense"),
        ({"model": str(TINY / "whisper")}, sonant.UnsupportedError, "whisper"),
    ],
)
def test_bad_options_are_refused_at_once(engine, options, kind, words):
    options = {"model": VITS} | options
    with pytest.raises(kind, match=words):
        engine.speak("hello.", **options)
    with pytest.raises(kind, match=words):
        engine.speak_stream("hello.", **options)
    with pytest.raises(kind, match=words):
        engine.speak_many(["hello."], **options)


def test_a_closed_engine_says_so():
    with sonant.Engine(threads=1) as engine:
        model = engine.load(VITS)
        stream = engine.speak_stream(LONG, model=model)
        next(stream)
    with pytest.raises(sonant.ClosedError):
        engine.speak("hello.", model=model)
    with pytest.raises(sonant.ClosedError):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_a_fork_is_told_to_open_its_own():
    code = f"""
import os, sys, sonant
with sonant.Engine(threads=1) as engine:
    stream = engine.speak_stream("Hello there. How are you?" * 100, model={VITS!r})
    next(stream)
    child = os.fork()
    if child == 0:
        good = 0
        for attempt in (lambda: engine.speak("hello.", model={VITS!r}), lambda: next(stream), lambda: engine.speak_stream("hello.")):
            try:
                attempt()
            except sonant.ClosedError as error:
                good += "open an engine here" in str(error)
        stream.close()
        sys.exit(0 if good == 3 else 1)
    _, status = os.waitpid(child, 0)
    for chunk in stream:
        pass
    sys.exit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_closing_an_engine_ends_who_waits_for_a_stream():
    def never(left):
        yield "Hello there. "
        left.wait(30)

    left, raised = threading.Event(), []
    engine = sonant.Engine(threads=1)
    stream = engine.speak_stream(never(left), model=VITS)
    next(stream)

    def listen():
        try:
            list(stream)
        except sonant.ClosedError as error:
            raised.append(str(error))

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.2)
    engine.close()
    thread.join(20)
    assert not thread.is_alive() and raised == ["the session is closed"]
    left.set()


# -- streams --


@pytest.mark.parametrize("pieces", [iter, list])
def test_pieces_are_spoken_without_a_seam_in_the_text(engine, pieces):
    with engine.speak_stream(pieces(["Hel", "lo the", "re. ", "How are", "", " you?"]), model=VITS) as stream:
        chunks = list(stream)
    assert max(chunk.sentence for chunk in chunks) == 1 and stream.result.sentences == 2
    assert stream.result.duration == pytest.approx(sum(len(chunk.samples) for chunk in chunks) / stream.result.sample_rate)


def test_speech_comes_while_the_text_is_waited_for(engine):
    heard = threading.Event()
    was_heard = []

    def pieces():
        yield "Hello there, how are you today? "
        yield "I am "
        was_heard.append(heard.wait(20))
        yield "fine."

    for _ in engine.speak_stream(pieces(), model=VITS):
        heard.set()
    assert was_heard == [True]


def test_what_pieces_raise_comes_out(engine):
    def pieces():
        yield "Hello there. "
        raise LookupError("no more tokens")

    with pytest.raises(LookupError, match="no more tokens"):
        list(engine.speak_stream(pieces(), model=VITS))
    with pytest.raises(TypeError, match="text must be a str, not int"):
        list(engine.speak_stream(iter(["a ", 5]), model=VITS))
    for text in ("", [], ["", " "], iter(["?", "!"])):
        with pytest.raises(sonant.ArgumentError, match=r"no text|white space|letter"):
            list(engine.speak_stream(text, model=VITS))
    for text in (b"hello", 5, None):
        with pytest.raises(TypeError, match="a str or an iterable of pieces"):
            engine.speak_stream(text, model=VITS)


def test_a_stream_that_is_left_ends_its_pieces(engine):
    taken = []

    def pieces():
        for number in itertools.count():
            taken.append(number)
            yield f"This is sentence number {number}. "

    for closes in (True, False):
        stream = engine.speak_stream(pieces(), model=VITS)
        next(stream)
        if closes:
            stream.close()
        del stream
        gc.collect()
        deadline = time.monotonic() + 20
        while any(thread.name == "sonant-feed" for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "the thread of the pieces did not end"
            time.sleep(0.01)
        before = len(taken)
        time.sleep(0.1)
        assert len(taken) == before


def test_a_closed_stream_lets_go_of_its_pieces(engine):
    ended = threading.Event()

    def pieces():
        try:
            while True:
                yield "Hello there. "
        finally:
            ended.set()

    stream = engine.speak_stream(pieces(), model=VITS)
    next(stream)
    stream.close()
    assert ended.wait(20)


def test_a_stream_waits_for_nobody_and_for_ever(engine):
    """A text far longer than what a session holds, from a source that is never behind, and a listener who is slow at first."""
    stream = engine.speak_stream(("Hello there. " for _ in range(12000)), model=VITS)
    next(stream)
    time.sleep(0.5)
    assert sum(1 for _ in itertools.islice(stream, 50)) == 50
    stream.close()
    assert stream.result.duration > 0


def test_a_stream_is_cancelled_from_another_thread(engine):
    stream = engine.speak_stream(LONG * 10, model=VITS)
    threading.Timer(0.2, stream.cancel).start()
    with pytest.raises(sonant.CancelledError):
        for _ in stream:
            pass
    event = threading.Event()
    threading.Timer(0.2, event.set).start()

    def silent():
        yield "Hello."
        time.sleep(1)

    with pytest.raises(sonant.CancelledError):
        list(engine.speak_stream(silent(), model=VITS, cancel=event))


def test_streams_leave_no_descriptors(engine):
    list(engine.speak_stream(TEXT, model=VITS))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        next(engine.speak_stream(TEXT, model=VITS))
        list(engine.speak_stream("hello.", model=VITS))
        with pytest.raises(ValueError, match="speed"):
            engine.speak_stream("hello.", model=VITS, speed=9)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_stream_in_asyncio(engine):
    async def pieces(gate):
        yield "Hello there, how are you today? "
        yield "I am "
        await asyncio.wait_for(gate.wait(), 20)
        await asyncio.sleep(0.1)
        yield "fine."

    async def go():
        gate, chunks, beats = asyncio.Event(), [], 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.005)

        task = asyncio.create_task(beat())
        async with engine.speak_stream(pieces(gate), model=VITS) as stream:
            async for chunk in stream:
                gate.set()
                chunks.append(chunk)
        whole = [chunk.samples async for chunk in engine.speak_stream(TEXT, model=VITS, seed=2)]
        task.cancel()
        assert stream.result.sentences >= 2 and len(chunks) > 1 and beats > 5
        assert np.array_equal(np.concatenate(whole), engine.speak(TEXT, model=VITS, seed=2, retries=0).samples)

    asyncio.run(go())


def test_a_task_that_is_cancelled_ends_its_stream(engine):
    async def never():
        yield "Hello there. "
        await asyncio.sleep(1000)

    async def go():
        stream = engine.speak_stream(never(), model=VITS)

        async def listen():
            async for _ in stream:
                pass

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.session._handle.closed

        async def bad():
            yield "Hello there. "
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            async for _ in engine.speak_stream(bad(), model=VITS):
                pass

    asyncio.run(asyncio.wait_for(go(), 20))


INTERRUPT = """
import os, signal, sys, threading, time, sonant
long = "This is a sentence that goes on for a good while. " * 3000
def never():
    yield "Hello there. "
    time.sleep(1000)
with sonant.Engine(threads=2) as engine:
    model = engine.load({model!r})
    other = []
    thread = threading.Thread(target=lambda: other.append(engine.speak("Hello there. How are you?" * 20, model=model, retries=0)))
    alone = engine.speak("Hello there. How are you?" * 20, model=model, retries=0)
    for work in (lambda: engine.speak(long, model=model), lambda: list(engine.speak_stream(never(), model=model))):
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        if not other and not thread.ident:
            thread.start()
        timer.start()
        start = time.monotonic()
        try:
            work()
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - start < 30)
    thread.join()
    print("same", (other[0].samples == alone.samples).all())
"""


def test_ctrl_c_ends_a_long_speech_and_no_other():
    code = INTERRUPT.format(model=VITS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[:3] == ["interrupted True", "interrupted True", "same True"], done.stdout + done.stderr


# -- many --


def test_many_texts_are_spoken_in_their_order(engine):
    texts = [f"This is text number {number}." for number in range(6)] + [""]
    outcomes = list(engine.speak_many(iter(texts), model=VITS, jobs=3, retries=0))
    assert [outcome.source for outcome in outcomes] == texts
    for outcome in outcomes[:-1]:
        assert np.array_equal(outcome.get().samples, engine.speak(outcome.source, model=VITS, retries=0).samples)
    with pytest.raises(sonant.ArgumentError, match="empty"):
        outcomes[-1].get()
    with pytest.raises(TypeError, match="not one text"):
        engine.speak_many("hello.", model=VITS)
